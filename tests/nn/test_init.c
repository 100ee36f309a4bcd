/* Initial values: the spread of each law, shapes of any size, and the gain that goes
 * with an activation. */
#include "options.h"
#include "test.h"
#include "graph/ops.h"
#include "nn/init.h"

static Graph graph;
static Fault fault;

static void open_graph(void) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
}

static void close_graph(void) { graph_close(&graph); }

static double item(Node *node, int64_t i) {
  Tensor *t = graph_value(&graph, node);
  if (!t) fail_msg("%s", graph.fault.text);
  return array_get(&t->a, i);
}

static void set_number(void *o, const char *name, double value) {
  const Option *opt = option_find(((Object *)o)->kind, name, &fault);
  assert_non_null(opt);
  assert_int_equal(give_number(o, opt, value, &fault), ERR_OK);
}

static void check_spread(const char *name, double fan_in, double fan_out,
                         double want_var) {
  open_graph();
  Init *init = (Init *)family_make(&init_family, name, &fault);
  assert_non_null(init);
  const int64_t n = 40000;
  InitCall call = {.shape = &SHAPE_OF(n), .fan_in = fan_in, .fan_out = fan_out,
                   .stream = "test"};
  Node *node = init_make(&graph, init, &call);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; i++) {
    double v = item(node, i);
    sum += v;
    squares += v * v;
  }
  double mean = sum / (double)n, var = squares / (double)n - mean * mean;
  CHECK_NEAR(mean, 0, 4 * sqrt(want_var / (double)n));
  CHECK_NEAR(var / want_var, 1, 0.04);
  object_release(init);
  close_graph();
}

TEST(initializers_have_the_variance_of_their_formula) {
  check_spread("glorot_uniform", 300, 100, 2.0 / 400);
  check_spread("xavier_normal", 300, 100, 2.0 / 400);
  check_spread("he_uniform", 300, 100, 2.0 / 300);
  check_spread("kaiming_normal", 300, 100, 2.0 / 300);
  check_spread("lecun_uniform", 300, 100, 1.0 / 300);
  check_spread("lecun_normal", 300, 100, 1.0 / 300);
  check_spread("normal", 3, 4, 0.05 * 0.05);
  check_spread("uniform", 3, 4, 0.05 * 0.05 / 3);
}

TEST(truncated_normal_ends_at_two_sigma_and_keeps_its_deviation) {
  open_graph();
  Init *init = (Init *)family_make(&init_family, "he_normal", &fault);
  const Option *truncated = option_find(init->object.kind, "truncated", &fault);
  assert_int_equal(give_bool(&init->object, truncated, true, &fault), ERR_OK);
  const int64_t n = 20000;
  InitCall call = {.shape = &SHAPE_OF(n), .fan_in = 50, .fan_out = 10,
                   .stream = "test"};
  Node *node = init_make(&graph, init, &call);
  double std = sqrt(2.0 / 50), squares = 0;
  for (int64_t i = 0; i < n; i++) {
    double v = item(node, i);
    assert_true(fabs(v) <= 2.0001 * std / 0.87962566);
    squares += v * v;
  }
  CHECK_NEAR(sqrt(squares / (double)n) / std, 1, 0.02);
  object_release(init);
  close_graph();
}

TEST(orthogonal_columns_are_orthonormal) {
  open_graph();
  Init *init = (Init *)family_make(&init_family, "orthogonal", &fault);
  InitCall call = {.shape = &SHAPE_OF(7, 4), .fan_in = 7, .fan_out = 4,
                   .stream = "test"};
  Node *w = init_make(&graph, init, &call);
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < 4; b++) {
      double dot = 0;
      for (int k = 0; k < 7; k++) dot += item(w, k * 4 + a) * item(w, k * 4 + b);
      CHECK_NEAR(dot, a == b, 1e-6);
    }
  object_release(init);
  close_graph();
}

/* slope: the first option; NAN: as it is. */
static double gain_of(const char *name, double slope) {
  double gain = 0;
  fault = (Fault){0};
  Object *activation = family_make(&activation_family, name, &fault);
  assert_non_null(activation);
  if (!isnan(slope))
    set_number(activation, option_at(activation->kind, 1)->name, slope);
  assert_int_equal(init_gain((Activation *)activation, &gain, &fault), ERR_OK);
  object_release(activation);
  return gain;
}

TEST(gain_of_activations) {
  CHECK_NEAR(gain_of("tanh", NAN), 5.0 / 3, 1e-15);
  CHECK_NEAR(gain_of("ReLU", NAN), sqrt(2), 1e-15);
  CHECK_NEAR(gain_of("leaky_relu", NAN), sqrt(2 / 1.0001), 1e-15);
  CHECK_NEAR(gain_of("leaky_relu", 0.5), sqrt(1.6), 1e-15);
  Object *none = family_make(&activation_family, "gelu", &fault);
  double gain = 0;
  assert_int_equal(init_gain((Activation *)none, &gain, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "none known for \"gelu\", allowed: linear, relu"));
  object_release(none);
}

/* -- any shape --------------------------------------------------------------------- */

static int64_t value_of(const Init *init, const Shape *shape, double *out) {
  InitCall call = {.shape = shape, .fan_in = (double)shape->dim[0],
                   .fan_out = (double)shape->dim[shape->rank - 1], .stream = "test",
                   .placed = true};
  Node *node = init_make(&graph, init, &call);
  if (!node) fail_msg("%s: %s", init->object.kind->name, graph.fault.text);
  int64_t n = shape_count(shape);
  for (int64_t i = 0; i < n; i++) out[i] = item(node, i);
  return n;
}

/* The values of a new session. */
static int64_t values_of(const Kind *kind, const Shape *shape, double *out) {
  open_graph();
  Init *init = (Init *)family_make(&init_family, kind->name, &fault);
  if (!init) fail_msg("%s", fault.text);
  int64_t n = value_of(init, shape, out);
  object_release(init);
  close_graph();
  return n;
}

/* One row, one column, odd sizes: finite, and the same again from the same stream. */
TEST(every_initializer_fills_every_matrix) {
  static const Shape shapes[] = {{2, {1, 1}}, {2, {1, 5}}, {2, {5, 1}},
                                 {2, {7, 3}}, {2, {3, 7}}, {2, {33, 17}}};
  static double first[33 * 17], again[33 * 17];
  for (int k = 0; init_family.kinds[k]; k++)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
      int64_t n = values_of(init_family.kinds[k], &shapes[i], first);
      assert_int_equal(values_of(init_family.kinds[k], &shapes[i], again), n);
      for (int64_t at = 0; at < n; at++) {
        assert_true(isfinite(first[at]));
        assert_true(first[at] == again[at]);
      }
    }
}

TEST(a_sparse_unit_has_its_share_of_zeros) {
  static double w[40 * 3];
  static const struct {
    double sparsity;
    int zeros; /* of 40, rounded up */
  } cases[] = {{0, 0}, {0.9, 36}, {0.91, 37}, {1, 40}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    open_graph();
    Init *init = (Init *)family_make(&init_family, "sparse", &fault);
    set_number(init, "sparsity", cases[i].sparsity);
    value_of(init, &SHAPE_OF(40, 3), w);
    for (int unit = 0; unit < 3; unit++) {
      int zeros = 0;
      for (int k = 0; k < 40; k++) zeros += w[k * 3 + unit] == 0;
      assert_int_equal(zeros, cases[i].zeros);
    }
    object_release(init);
    close_graph();
  }
}

TEST(an_identity_is_cut_off_or_filled_up_with_zeros) {
  static double w[3 * 5];
  for (int turned = 0; turned < 2; turned++) {
    open_graph();
    int columns = turned ? 3 : 5;
    Init *init = (Init *)family_make(&init_family, "identity", &fault);
    set_number(init, "gain", 2);
    value_of(init, turned ? &SHAPE_OF(5, 3) : &SHAPE_OF(3, 5), w);
    for (int i = 0; i < 15; i++)
      assert_true(w[i] == (i / columns == i % columns ? 2 : 0));
    object_release(init);
    close_graph();
  }
}

/* Wide ones have perpendicular rows. */
TEST(orthogonal_rows_have_the_length_of_the_gain) {
  static double w[3 * 8];
  open_graph();
  Init *init = (Init *)family_make(&init_family, "orthogonal", &fault);
  set_number(init, "gain", 3);
  value_of(init, &SHAPE_OF(3, 8), w);
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) {
      double dot = 0;
      for (int k = 0; k < 8; k++) dot += w[a * 8 + k] * w[b * 8 + k];
      CHECK_NEAR(dot, a == b ? 9 : 0, 1e-5);
    }
  object_release(init);
  close_graph();
}
