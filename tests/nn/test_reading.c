/* What outputs say of classes: the largest, the threshold, and how each loss reads
 * them. */
#include "nn/reading.h"
#include "graph/ops.h"
#include "options.h"
#include "test.h"

static Graph graph;
static int scope;
static Fault fault;

static void open_graph(void) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  scope = graph_scope_begin(&graph);
}

static void close_graph(void) {
  graph_scope_end(&graph, scope);
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

/* -- the largest ------------------------------------------------------------------- */

static int64_t largest(DType dtype, const double *v, int64_t at, int64_t n) {
  Tensor *t = tensor_new(NULL, dtype, &SHAPE_OF(at + n + 1), &fault);
  for (int64_t i = 0; i <= at + n; i++) array_set(&t->a, i, 100); /* not to be seen */
  for (int64_t i = 0; i < n; i++) array_set(&t->a, at + i, v[i]);
  int64_t found = reading_largest(&t->a, at, n);
  tensor_release(t);
  return found;
}

TEST(the_largest_is_the_first_of_equal_ones) {
  static const struct {
    double v[4];
    int64_t n, want;
  } cases[] = {{{-5}, 1, 1},
               {{1, 2, 3}, 3, 3},
               {{3, 1, 3}, 3, 1},
               {{-1, -1, -1, -1}, 4, 1},
               {{-INFINITY, -7}, 2, 2},
               {{-INFINITY, -INFINITY}, 2, 1},
               {{1, INFINITY, INFINITY}, 3, 2},
               {{0.0, -0.0}, 2, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int64_t at = 0; at < 3; at++)
      assert_int_equal(largest(DT_REAL, cases[i].v, at, cases[i].n), cases[i].want);
}

TEST(a_row_with_nan_has_no_class) {
  for (int place = 0; place < 3; place++) {
    double v[] = {1, INFINITY, 3};
    v[place] = NAN;
    assert_int_equal(largest(DT_REAL, v, 0, 3), 0);
  }
}

/* Of these a float makes one number. */
TEST(integers_are_compared_exactly) {
  static const double v[] = {16777216, 16777217, 16777216};
  assert_int_equal(largest(DT_INT32, v, 1, 3), 2);
  static const double bytes[] = {0, 255, 254};
  assert_int_equal(largest(DT_UINT8, bytes, 0, 3), 2);
}

TEST(rows_are_as_wide_as_the_last_axis) {
  assert_int_equal(reading_width(&(Shape){0}), 1);
  assert_int_equal(reading_width(&SHAPE_OF(5)), 1);
  assert_int_equal(reading_width(&SHAPE_OF(5, 1)), 1);
  assert_int_equal(reading_width(&SHAPE_OF(5, 7, 3)), 3);
}

TEST(a_threshold_belongs_to_yes_and_nan_to_neither) {
  Reading half = {.threshold = 0.5}, logit = {.threshold = 0};
  assert_int_equal(reading_yes(&half, 0.5), 2);
  assert_int_equal(reading_yes(&half, 0.4999), 1);
  assert_int_equal(reading_yes(&half, NAN), 0);
  assert_int_equal(reading_yes(&logit, -0.0), 2);
  assert_int_equal(reading_yes(&logit, -1e-30), 1);
  assert_int_equal(reading_yes(&logit, INFINITY), 2);
}

/* -- by the loss ------------------------------------------------------------------- */

/* Targets are real, or integers. */
static Reading reading(const char *loss, Node *output, bool integers, bool logits) {
  Node *target = op_full(&graph, 1, &output->shape);
  if (integers) target = op_cast(&graph, target, DT_INT32);
  Loss *l = loss ? (Loss *)family_make(&loss_family, loss, &fault) : NULL;
  if (loss && !l) fail_msg("%s", fault.text);
  if (logits) {
    const Option *opt = option_find(l->object.kind, "from_logits", &fault);
    assert_int_equal(give_bool(&l->object, opt, true, &fault), ERR_OK);
  }
  Reading r = reading_of(l, output, target);
  object_release(l);
  return r;
}

TEST(losses_read_their_outputs) {
  open_graph();
  Node *one = op_full(&graph, 1, &SHAPE_OF(4, 1));
  Node *three = op_full(&graph, 1, &SHAPE_OF(4, 3));
  Reading r = reading("mse", one, false, false);
  assert_true(r.as == READ_BINARY && r.numbers && r.threshold == 0.5);
  assert_int_equal(reading("mse", three, false, false).as, READ_UNKNOWN);
  r = reading("binary_crossentropy", three, false, true);
  assert_true(r.as == READ_BINARY && r.logits && r.threshold == 0);
  r = reading("binary_crossentropy", op_sigmoid(&graph, three), false, false);
  assert_true(r.as == READ_BINARY && !r.logits && r.threshold == 0.5);
  r = reading("categorical_crossentropy", three, false, true);
  assert_true(r.as == READ_CATEGORICAL && r.logits);
  assert_int_equal(reading("sparse_categorical_crossentropy", three, true, true).as,
                   READ_CATEGORICAL);
  close_graph();
}

/* By integer targets, and by what is known of the output. */
TEST(without_a_loss_the_targets_decide) {
  open_graph();
  Node *one = op_full(&graph, 1, &SHAPE_OF(4, 1));
  Node *three = op_full(&graph, 1, &SHAPE_OF(4, 3));
  assert_int_equal(reading(NULL, three, true, false).as, READ_CATEGORICAL);
  assert_int_equal(reading(NULL, one, true, false).as, READ_BINARY);
  assert_int_equal(reading(NULL, three, false, false).as, READ_UNKNOWN);
  assert_int_equal(reading_of(NULL, three, NULL).as, READ_CATEGORICAL);
  Reading r = reading(NULL, op_sigmoid(&graph, one), true, false);
  assert_true(!r.logits && r.threshold == 0.5);
  close_graph();
}
