/* test_plan_proof.c: updates that are proved finite are, and those that are not finite
 * are never proved. */
#include "graph/ops.h"
#include "graph/plan.h"
#include "kernel/gemm.h"
#include "kernel/kernel.h"
#include "test.h"

#ifdef REAL_DOUBLE
#define FAR 1e305
#else
#define FAR 1e35
#endif

enum { N = 40000, MAX_INPUTS = 16 }; /* elements: several blocks */

/* -- what the records say ---------------------------------------------------------- */

static bool is_rate(const SampleIn *in) { return in->shape.rank == 0; }

/* A call of the sample whose weights, gradients and slots are as large as `size`. */
typedef struct Update {
  OpCall call;
  Array in[MAX_INPUTS], out[MAX_OUT];
  Range range[MAX_INPUTS];
} Update;

static Array array_new(Shape shape) {
  Array a = {shape, DT_REAL, calloc((size_t)shape_count(&shape) + 1, sizeof(real))};
  assert_non_null(a.data);
  return a;
}

static void fill(Array *a, const SampleIn *like, double size, Range *range) {
  real *x = a->data;
  *range = (Range){0, 0};
  for (int64_t i = 0; i < shape_count(&a->shape); i++) {
    double at = (double)(i * 7 % 11) / 10;
    double lo = like->lo < like->hi ? like->lo : -1,
           hi = like->lo < like->hi ? like->hi : 1;
    x[i] = (real)((lo + (hi - lo) * at) * (is_rate(like) ? 1 : size));
    if ((double)x[i] < range->lo) range->lo = (double)x[i];
    if ((double)x[i] > range->hi) range->hi = (double)x[i];
  }
}

static void update_init(Update *u, const Op *op, const Sample *sample, double size) {
  *u = (Update){.call = {.op = op, .n_in = sample->n_in, .n_out = op->n_out,
                         .n_attr = sample->n_attr, .attr = sample->attr}};
  if (sample->n_in < op->n_in) u->call.n_out--;
  for (int i = 0; i < sample->n_in; i++) {
    u->in[i] = array_new(sample->in[i].shape);
    fill(&u->in[i], &sample->in[i], size, &u->range[i]);
  }
  for (int o = 0; o < u->call.n_out; o++) u->out[o] = array_new(sample->in[0].shape);
  u->call.in = u->in;
  u->call.out = u->out;
}

static void update_deinit(Update *u) {
  for (int i = 0; i < u->call.n_in; i++) free(u->in[i].data);
  for (int o = 0; o < u->call.n_out; o++) free(u->out[o].data);
}

static void check_range(const Array *a, Range range) {
  for (int64_t i = 0; i < shape_count(&a->shape); i++) {
    double x = array_get(a, i), slack = 1e-5 * range_size(range);
    assert_true(x >= range.lo - slack && x <= range.hi + slack);
  }
}

/* Returns whether the record proves the sample's results finite. */
static bool check_sample(const Op *op, const Sample *sample, double size) {
  Update u;
  Range range[MAX_OUT];
  update_init(&u, op, sample, size);
  int64_t n_blocks;
  op_split(&u.call, 1, &n_blocks);
  for (int64_t block = 0; block < n_blocks; block++) op->run(&u.call, 0, block);
  op->range(&u.call, u.range, range);
  bool proved = true;
  for (int o = 0; o < u.call.n_out; o++) {
    proved = proved && range_known(range[o]);
    if (range_known(range[o])) check_range(&u.out[o], range[o]);
  }
  update_deinit(&u);
  return proved;
}

TEST(every_update_stays_in_the_range_that_its_record_tells) {
  int n_updates = 0;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    if (!(op->flags & OP_UPDATE)) continue;
    assert_non_null(op->range);
    n_updates++;
    for (const Sample *s = op->samples; s->n_attr >= 0; s++) {
      assert_true(check_sample(op, s, 1));
      for (double size = 1; size < FAR; size *= 1000) check_sample(op, s, size);
      assert_false(check_sample(op, s, FAR * 1000));
    }
  }
  assert_true(n_updates >= 2);
}

static bool all_alike(const Sample *sample) {
  for (int i = 0; i < sample->n_in; i++) {
    const SampleIn *in = &sample->in[i];
    bool alike = in->shape.rank == 0 || shape_equal(&in->shape, &sample->in[0].shape);
    if (!alike || in->dtype != DT_REAL) return false;
  }
  return true;
}

/* Members of rules: no slack, and for what is far out nothing that does not hold. */
TEST(every_elementwise_op_stays_in_the_range_that_its_record_tells) {
  int n_ops = 0;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    if (!(op->flags & OP_ELEMENTWISE) || !op->range) continue;
    n_ops++;
    for (const Sample *s = op->samples; s->n_attr >= 0; s++)
      for (double size = 1e-30; all_alike(s) && size < FAR; size *= 1000) {
        Update u;
        Range range;
        update_init(&u, op, s, size);
        int64_t n_blocks;
        op_split(&u.call, 1, &n_blocks);
        for (int64_t block = 0; block < n_blocks; block++) op->run(&u.call, 0, block);
        op->range(&u.call, u.range, &range);
        for (int64_t i = 0; range_known(range) && i < shape_count(&u.out[0].shape);
             i++) {
          double x = array_get(&u.out[0], i);
          if (!(x >= range.lo && x <= range.hi))
            fail_msg("%s: %g is outside", op->name, x);
        }
        update_deinit(&u);
      }
  }
  assert_true(n_ops >= 14);
}

static Range range_of(const Op *op, double a, double b, double c, double d) {
  OpCall call = {.op = op, .n_in = op->n_in, .n_out = 1};
  Range in[2] = {{a, b}, {c, d}}, out;
  op->range(&call, in, &out);
  return out;
}

TEST(what_may_be_no_number_is_not_known) {
  assert_false(range_known(range_of(&op_record_div, 0, 1, -1, 1)));
  assert_false(range_known(range_of(&op_record_div, 0, 1, 0, 1)));
  assert_false(range_known(range_of(&op_record_div, 0, 1, REAL_SMALLEST / 2, 1)));
  assert_true(range_known(range_of(&op_record_div, 0, 1, 0.5, 1)));
  assert_true(range_known(range_of(&op_record_div, -1, 1, -1, -0.5)));
  assert_false(range_known(range_of(&op_record_sqrt, -1e-9, 1, 0, 0)));
  assert_true(range_known(range_of(&op_record_sqrt, 0, 1, 0, 0)));
  assert_false(range_known(range_of(&op_record_square, 0, FAR, 0, 0)));
  assert_false(range_known(range_of(&op_record_mul, 0, FAR, 0, FAR)));
  assert_false(range_known(range_of(&op_record_add, 0, RANGE_LIMIT, 0, RANGE_LIMIT)));
}

/* A second moment below 0 has no root; without eps a first moment may be divided by
 * 0. */
TEST(adam_proves_nothing_of_roots_and_quotients_that_may_not_be) {
  const Op *op = &op_record_adam_update;
  const Sample *sample = op->samples;
  for (int k = 0; k < 2; k++) {
    Update u;
    Range range[MAX_OUT];
    update_init(&u, op, sample, 1);
    Attr attr[8] = {{0}};
    must(sample->n_attr <= 8);
    memcpy(attr, sample->attr, (size_t)sample->n_attr * sizeof *attr);
    u.call.attr = attr;
    if (k == 0) u.range[3].lo = -1e-30;
    else attr[2].f = 0;
    op->range(&u.call, u.range, range);
    assert_false(range_known(range[0]));
    update_deinit(&u);
  }
}

/* -- what a plan proves ------------------------------------------------------------ */

typedef struct World {
  Graph graph;
  Fault fault;
  double value[N];
} World;

static World w;

/* Values 0.5 and -0.25 in turn, but for one. */
static Node *values(Shape shape, int64_t at, double other) {
  for (int64_t i = 0; i < N; i++) w.value[i] = i % 2 ? 0.5 : -0.25;
  if (at >= 0) w.value[at] = other;
  return op_scale(&w.graph, graph_from_doubles(&w.graph, DT_REAL, &shape, w.value), 2);
}

/* Plans weight - 0.1 gradient, computes it without committing, and asks for the
 * proof. */
static bool proves(Node *gradient, double weight, Range *out) {
  Graph *g = &w.graph;
  for (int64_t i = 0; i < N; i++) w.value[i] = weight;
  Node *weights = graph_from_doubles(g, DT_REAL, &gradient->shape, w.value);
  Node *zero = graph_scalar(g, 0);
  Node *update = op_sgd_update(g, weights, gradient, NULL, graph_scalar(g, 0.1), zero,
                               zero, graph_scalar(g, 1), false);
  Node *root = graph_pick(g, update, 0);
  Plan *plan = plan_new(g, &root, 1);
  assert_non_null(plan);
  Tensor *made = tensor_new(&g->memory, DT_REAL, &root->shape, &w.fault);
  assert_non_null(made);
  Node *const *leaves;
  void *in[16], *to = made->a.data;
  int n_leaves = plan_leaves(plan, &leaves);
  for (int i = 0; i < n_leaves; i++) in[i] = plan_leaf_value(leaves[i])->a.data;
  PlanRun run = {in, &to, NULL};
  *out = RANGE_UNKNOWN;
  assert_int_equal(plan_compute(g, plan, &run), ERR_OK);
  bool proved = plan_proves_finite(g, plan, NULL, out);
  plan_commit(g, plan);
  if (proved) check_range(&made->a, *out);
  if (!array_is_finite(g, &made->a)) assert_false(proved);
  tensor_release(made);
  plan_free(plan);
  return proved;
}

static bool proves_values(int64_t at, double bad, double weight, Range *out) {
  int scope = graph_scope_begin(&w.graph);
  bool proved = proves(values(SHAPE_OF(N), at, bad), weight, out);
  graph_scope_end(&w.graph, scope);
  return proved;
}

/* A dense layer, and its gradient: a product of which both factors are smaller. Of the
 * small one all of it can be measured; the large one is made with its update. */
typedef struct Dense {
  int64_t rows, left, right;
} Dense;
static const Dense small = {25, 50, 70}, large = {8, 130, 290};

static bool proves_product(Dense d, int64_t at_left, double left, int64_t at_right,
                           double right, Range *out) {
  int scope = graph_scope_begin(&w.graph);
  Node *a = values(SHAPE_OF(d.rows, d.left), at_left, left);
  Node *b = values(SHAPE_OF(d.rows, d.right), at_right, right);
  bool proved = proves(op_matmul(&w.graph, op_transpose(&w.graph, a, NULL), b), 1, out);
  graph_scope_end(&w.graph, scope);
  return proved;
}

TEST(a_bad_element_anywhere_leaves_nothing_proved) {
  static const int64_t places[] = {0, 1, 16383, 16384, 32768, N - 1};
  static const double bad[] = {NAN, INFINITY, -INFINITY, 2 * FAR * 1000,
                               -2 * FAR * 1000};
  for (int threads = 1; threads <= 7; threads += 3) {
    Range out;
    assert_int_equal(graph_open(&w.graph, threads, 1, &w.fault), ERR_OK);
    w.graph.par.threshold = 1;
    assert_true(proves_values(0, 3, 1, &out));
    CHECK_NEAR(out.hi, 1 + 0.1 * 6, 1e-5);
    assert_true(proves_values(N - 1, -FAR / 1e6, 1, &out));
    assert_false(proves_values(0, 1, INFINITY, &out));
    assert_false(proves_values(0, 1, NAN, &out));
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
      for (size_t b = 0; b < sizeof bad / sizeof *bad; b++)
        assert_false(proves_values(places[p], bad[b], 1, &out));
    graph_close(&w.graph);
  }
}

static void check_product(Dense d, bool measured) {
  Range out;
  double rows = (double)d.rows;
  assert_true(proves_product(d, -1, 0, -1, 0, &out));
  CHECK_NEAR(out.hi, 1 + 0.1 * rows, 1e-5); /* products of at most 1 */
  assert_true(proves_product(d, 3, 1000, d.rows * d.right - 1, 5, &out));
  CHECK_NEAR(out.hi, 1 + 0.1 * rows * 2000 * 10, 1);
  /* The largest numbers of both factors do not meet, but they might. */
  assert_int_equal(proves_product(d, 0, FAR / 1e6, d.right, FAR / 1e6, &out), measured);
  assert_false(proves_product(d, 0, FAR / 1e6, 0, FAR / 1e6, &out));
  for (int64_t at = 0; at < d.rows * d.left; at += d.rows * d.left - 1) {
    assert_false(proves_product(d, at, NAN, -1, 0, &out));
    assert_false(proves_product(d, -1, 0, at, INFINITY, &out));
  }
}

TEST(a_product_is_finite_where_its_factors_say_so_or_it_is_measured) {
  const Gemm product = {.M = large.left, .N = large.right, .K = large.rows,
                        .transpose_a = true};
  for (int threads = 1; threads <= 7; threads += 3) {
    assert_int_equal(graph_open(&w.graph, threads, 1, &w.fault), ERR_OK);
    w.graph.par.threshold = 1;
    check_product(small, true);
    check_product(large, !gemm_goes_by_copy(&product));
    graph_close(&w.graph);
  }
}

/* -- many parameters, judged together ---------------------------------------------- */

enum { PARAMETERS = 40, OWN_RATE = 7 };

/* Of sizes that are measured in different ways; the last is none at all. */
static int64_t size_of(int i) {
  return i == PARAMETERS - 1 ? 0 : i % 10 == 9 ? 1000 * i : 1 + 31 * i;
}

/* Gradients of half, except for element `at` of parameter `which`; parameter
 * OWN_RATE has a rate of its own. NULL: a fault. */
static Node *updates(int which, int64_t at, double bad, Node **root) {
  static const double zeros[N];
  Graph *g = &w.graph;
  Node *lr = graph_scalar(g, 0.1), *zero = graph_scalar(g, 0), *own = NULL;
  for (int i = 0; i < PARAMETERS; i++) {
    Shape shape = SHAPE_OF(size_of(i));
    Node *gradient = values(shape, i == which ? at : -1, bad);
    Node *weight = graph_from_doubles(g, DT_REAL, &shape, zeros), *rate = lr;
    if (i == OWN_RATE) rate = own = graph_scalar(g, 100);
    root[i] = graph_pick(g,
                         op_sgd_update(g, weight, gradient, NULL, rate, zero, zero,
                                       graph_scalar(g, 1), false),
                         0);
    root[PARAMETERS + i] = op_quick_norm(g, gradient);
  }
  return own;
}

/* Is everything proved finite? norms: those of the gradients are asked for, too; out:
 * the ranges of the new values. */
static bool proves_all(int which, int64_t at, double bad, bool norms, Range *out) {
  Graph *g = &w.graph;
  Node *root[2 * PARAMETERS], *const *leaves;
  void *in[5 * PARAMETERS], *to[2 * PARAMETERS];
  Tensor *made[PARAMETERS];
  real norm[PARAMETERS];
  int scope = graph_scope_begin(g);
  assert_non_null(updates(which, at, bad, root));
  Plan *plan = plan_new(g, root, norms ? 2 * PARAMETERS : PARAMETERS);
  assert_non_null(plan);
  for (int i = 0; i < PARAMETERS; i++) to[PARAMETERS + i] = &norm[i];
  for (int i = 0; i < PARAMETERS; i++) {
    made[i] = tensor_new(&g->memory, DT_REAL, &root[i]->shape, &w.fault);
    to[i] = made[i]->a.data;
  }
  int n_leaves = plan_leaves(plan, &leaves);
  assert_true(n_leaves <= 5 * PARAMETERS);
  for (int i = 0; i < n_leaves; i++) in[i] = plan_leaf_value(leaves[i])->a.data;
  assert_int_equal(plan_compute(g, plan, &(PlanRun){in, to, NULL}), ERR_OK);
  bool proved = plan_proves_finite(g, plan, NULL, out), finite = true;
  plan_commit(g, plan);
  for (int i = 0; i < PARAMETERS; i++) {
    if (proved) check_range(&made[i]->a, out[i]);
    finite = finite && array_is_finite(g, &made[i]->a);
    tensor_release(made[i]);
  }
  assert_true(finite || !proved);
  plan_free(plan);
  graph_scope_end(g, scope);
  return proved;
}

TEST(one_bad_element_among_many_parameters_leaves_nothing_proved) {
  Range out[PARAMETERS];
  for (int threads = 1; threads <= 7; threads += 6) {
    assert_int_equal(graph_open(&w.graph, threads, 1, &w.fault), ERR_OK);
    w.graph.par.threshold = 1;
    /* The largest rate is that of all, and so is the largest norm. */
    assert_true(proves_all(-1, 0, 0, false, out));
    CHECK_NEAR(out[0].hi, 100, 1);
    assert_true(proves_all(-1, 0, 0, true, out));
    CHECK_NEAR(out[0].hi, 100 * sqrt(29000 * 0.625), 50);
    for (int i = 0; i < PARAMETERS - 1; i++) {
      bool norms = i % 3 == 0;
      assert_false(proves_all(i, size_of(i) - 1, NAN, norms, out));
      assert_false(proves_all(i, 0, -INFINITY, norms, out));
      assert_true(proves_all(i, size_of(i) / 2, -7, norms, out));
      assert_true(proves_all(i, size_of(i) / 2, FAR / 1e9, norms, out));
    }
    graph_close(&w.graph);
  }
}

TEST(integers_are_finite_and_empty_arrays_too) {
  int32_t i[] = {1, 2};
  real x[] = {1, NAN};
  assert_int_equal(graph_open(&w.graph, 1, 1, &w.fault), ERR_OK);
  assert_true(array_is_finite(&w.graph, &(Array){SHAPE_OF(2), DT_INT32, i}));
  assert_true(array_is_finite(&w.graph, &(Array){SHAPE_OF(0), DT_REAL, x}));
  assert_true(array_is_finite(&w.graph, &(Array){SHAPE_OF(1), DT_REAL, x}));
  assert_false(array_is_finite(&w.graph, &(Array){SHAPE_OF(2), DT_REAL, x}));
  graph_close(&w.graph);
}
