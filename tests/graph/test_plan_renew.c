/* Gradients that are made with the update that reads them: the bytes of the naive
 * executor, also where new values are written over old ones; which are, and that the
 * proof of finite updates follows from their factors. */
#include "graph/program.h"
#include "graph/plan.h"
#include "kernel/gemm.h"
#include <stdlib.h>

enum { MAX_NET_ROOTS = 8 };

/* Of x [rows, units], and of y [rows, out]. Of many rows y's gradient is made in a
 * chain: then only a large one is made with its update. */
typedef struct Size {
  int64_t rows, units, out;
} Size;
static const Size large = {33, 523, 517}, small = {20, 67, 71};

typedef enum Reader { UPDATE_ALONE, A_ROOT, A_NORM, ANOTHER_UPDATE } Reader;

/* y = tanh(x w). x and w are renewed, in this order. */
typedef struct Net {
  Node *x, *w, *m, *v, *root[MAX_NET_ROOTS];
  int n_roots;
} Net;

static void renew(Graph *g, Net *net, Node *made, int output, Node *old) {
  net->root[net->n_roots++] = op_renew(g, graph_pick(g, made, output), old);
}

static void make_net(Graph *g, Net *net, Size size, bool adam, Reader reader,
                     double most) {
  Dice d = {7};
  *net = (Net){.x = dice_values(g, &d, &SHAPE_OF(size.rows, size.units), most),
               .w = dice_values(g, &d, &SHAPE_OF(size.units, size.out), 0.3)};
  net->m = dice_values(g, &d, &net->w->shape, 0.1);
  net->v = op_square(g, dice_values(g, &d, &net->w->shape, 0.1));
  assert_int_equal(graph_eval(g, &net->v, 1), ERR_OK);
  net->v = graph_const(g, net->v->value[0]);
  Node *of[2] = {net->x, net->w}, *gradient[2];
  Node *y = op_tanh(g, op_matmul(g, net->x, net->w));
  Node *loss = op_mean(g, op_square(g, y), ALL_AXES, false);
  assert_int_equal(graph_grad(g, loss, NULL, of, 2, gradient), ERR_OK);
  Node *rate = graph_scalar(g, 0.1), *one = graph_scalar(g, 1);
  Node *x = op_sgd_update(g, net->x, gradient[0], NULL, rate, rate, rate, one, false);
  renew(g, net, x, 0, net->x);
  Node *w = adam ? op_adam_update(g, net->w, gradient[1], net->m, net->v, rate, one,
                                  one, rate, one, 0.9, 0.99, 1e-8, false)
                 : op_sgd_update(g, net->w, gradient[1], net->m, rate, rate, rate, one,
                                 true);
  renew(g, net, w, 0, net->w);
  renew(g, net, w, 1, net->m);
  if (adam) renew(g, net, w, 2, net->v);
  net->root[net->n_roots++] = loss;
  if (reader == A_ROOT) net->root[net->n_roots++] = gradient[1];
  if (reader == A_NORM)
    net->root[net->n_roots++] = op_norm(g, gradient[1], ALL_AXES, false);
  if (reader == ANOTHER_UPDATE)
    net->root[net->n_roots++] = graph_pick(g,
                                           op_sgd_update(g, net->m, gradient[1], NULL,
                                                         rate, rate, rate, one, false),
                                           0);
}

static size_t root_bytes(const Node *root) {
  return (size_t)shape_count(&root->shape) * sizeof(real);
}

/* What a root renews: its new value is written there. */
static Tensor *state_of(const Net *net, int r) {
  Node *const state[] = {net->x, net->w, net->m, net->v};
  return net->root[r]->op == &op_record_renew ? state[r]->value[0] : NULL;
}

/* A step of the plan that writes over what it reads, and one of the naive executor. */
static void check_step(int threads, Size size, bool adam, Reader reader) {
  Graph naive, planned;
  Net want, net;
  Fault fault = {0};
  assert_int_equal(graph_open(&naive, 1, 1, &fault), ERR_OK);
  assert_int_equal(graph_open(&planned, threads, 1, &fault), ERR_OK);
  planned.par.threshold = 1;
  planned.checked = true;
  make_net(&naive, &want, size, adam, reader, 1);
  make_net(&planned, &net, size, adam, reader, 1);
  assert_int_equal(graph_eval(&naive, want.root, want.n_roots), ERR_OK);
  Plan *plan = plan_new(&planned, net.root, net.n_roots);
  if (!plan) fail_msg("%s", planned.fault.text);
  Node *const *leaves;
  void *in[32], *out[MAX_NET_ROOTS];
  int n_leaves = plan_leaves(plan, &leaves);
  for (int i = 0; i < n_leaves; i++) in[i] = plan_leaf_value(leaves[i])->a.data;
  for (int r = 0; r < net.n_roots; r++) {
    Tensor *state = state_of(&net, r);
    out[r] = state ? state->a.data : malloc(root_bytes(net.root[r]));
    assert_non_null(out[r]);
  }
  assert_int_equal(plan_compute(&planned, plan, &(PlanRun){in, out, NULL}), ERR_OK);
  plan_commit(&planned, plan);
  for (int r = 0; r < net.n_roots; r++) {
    if (memcmp(out[r], want.root[r]->value[0]->a.data, root_bytes(net.root[r])))
      fail_msg("%d threads, %d rows, root %d differs", threads, (int)size.rows, r + 1);
    if (!state_of(&net, r)) free(out[r]);
  }
  plan_free(plan);
  graph_close(&planned);
  graph_close(&naive);
}

TEST(a_gradient_made_with_its_update_has_the_bytes_of_the_naive_executor) {
  static const Size sizes[] = {{1, 64, 65},  {2, 1, 5000}, {2, 5000, 1}, {3, 64, 64},
                               {31, 67, 71}, {70, 129, 47}, {64, 300, 300}};
  for (int k = 0; k < 7; k++)
    for (int adam = 0; adam < 2; adam++)
      for (Reader reader = UPDATE_ALONE; reader <= ANOTHER_UPDATE; reader++)
        check_step(1 + k % 3, sizes[k], adam, reader);
  check_step(3, large, true, UPDATE_ALONE);
}

/* w - gradient / 10, in place, the gradient being w s, or s w. */
static void check_old(int64_t rows, int64_t columns, bool left) {
  Graph g;
  Dice d = {3};
  Fault fault = {0};
  assert_int_equal(graph_open(&g, 3, 1, &fault), ERR_OK);
  g.par.threshold = 1;
  g.checked = true;
  Node *w = dice_values(&g, &d, &SHAPE_OF(rows, columns), 1);
  Node *s = dice_values(&g, &d, &SHAPE_OF(64, 64), 1);
  Node *rate = graph_scalar(&g, 0.1), *zero = graph_scalar(&g, 0);
  Node *gradient = left ? op_matmul(&g, s, w) : op_matmul(&g, w, s);
  Node *made = op_sgd_update(&g, w, gradient, NULL, rate, zero, zero,
                             graph_scalar(&g, 1), false);
  Node *root = op_renew(&g, graph_pick(&g, made, 0), w);
  Plan *plan = plan_new(&g, &root, 1);
  if (!plan) fail_msg("%s", g.fault.text);
  Node *const *leaves;
  void *in[8], *out = w->value[0]->a.data;
  int n_leaves = plan_leaves(plan, &leaves);
  for (int i = 0; i < n_leaves; i++) in[i] = plan_leaf_value(leaves[i])->a.data;
  assert_int_equal(graph_eval(&g, &root, 1), ERR_OK);
  assert_int_equal(plan_compute(&g, plan, &(PlanRun){in, &out, NULL}), ERR_OK);
  plan_commit(&g, plan);
  assert_memory_equal(out, root->value[0]->a.data, root_bytes(root));
  plan_free(plan);
  graph_close(&g);
}

TEST(a_gradient_made_of_the_old_weights_reads_them_before_they_are_renewed) {
  check_old(200, 64, false);
  check_old(64, 200, true);
}

/* -- which ones -------------------------------------------------------------------- */

static bool made_together(Size size, Reader reader, size_t *arena_bytes) {
  Graph g;
  Net net;
  Text text = {0};
  Fault fault = {0};
  assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
  make_net(&g, &net, size, true, reader, 1);
  Plan *plan = plan_new(&g, net.root, net.n_roots);
  assert_non_null(plan);
  plan_dump(plan, &text);
  *arena_bytes = plan_size(plan).arena_bytes;
  bool together = strstr(text.data, "-> tile 0  from input 0 arena") != NULL;
  text_deinit(&text);
  plan_free(plan);
  graph_close(&g);
  return together;
}

static bool goes_by_copy(Size s) {
  return gemm_goes_by_copy(
      &(Gemm){.M = s.units, .N = s.out, .K = s.rows, .transpose_a = true});
}

/* Where BLIS makes the product, it is not had row by row. */
TEST(gradients_that_only_their_update_reads_are_made_with_it) {
  size_t bytes, whole = (size_t)(large.units * large.out) * sizeof(real);
  assert_int_equal(made_together(large, UPDATE_ALONE, &bytes), goes_by_copy(large));
  if (goes_by_copy(large)) assert_true(bytes < whole);
  assert_int_equal(made_together(small, UPDATE_ALONE, &bytes), goes_by_copy(small));
  for (Reader reader = A_ROOT; reader <= ANOTHER_UPDATE; reader++)
    assert_false(made_together(small, reader, &bytes));
  const Size few = {20, 10, 10}, of_many = {400, 67, 71};
  assert_false(made_together(few, UPDATE_ALONE, &bytes));
  assert_false(made_together(of_many, UPDATE_ALONE, &bytes));
}

/* -- the proof --------------------------------------------------------------------- */

static bool proves(double most) {
  Graph g;
  Net net;
  Fault fault = {0};
  Range range[MAX_NET_ROOTS];
  void *in[32], *out[MAX_NET_ROOTS];
  Node *const *leaves;
  assert_int_equal(graph_open(&g, 2, 1, &fault), ERR_OK);
  make_net(&g, &net, small, false, UPDATE_ALONE, most);
  Plan *plan = plan_new(&g, net.root, net.n_roots);
  assert_non_null(plan);
  int n_leaves = plan_leaves(plan, &leaves);
  for (int i = 0; i < n_leaves; i++) in[i] = plan_leaf_value(leaves[i])->a.data;
  for (int r = 0; r < net.n_roots; r++) {
    out[r] = malloc(root_bytes(net.root[r]));
    assert_non_null(out[r]);
    range[r] = RANGE_UNKNOWN;
  }
  assert_int_equal(plan_compute(&g, plan, &(PlanRun){in, out, NULL}), ERR_OK);
  bool proved = plan_proves_finite(&g, plan, NULL, range);
  plan_commit(&g, plan);
  for (int r = 0; r < net.n_roots; r++) {
    const real *made = out[r];
    bool renewed = net.root[r]->op == &op_record_renew;
    for (int64_t i = 0; proved && renewed && i < shape_count(&net.root[r]->shape); i++)
      assert_true((double)made[i] >= range[r].lo && (double)made[i] <= range[r].hi);
    free(out[r]);
  }
  plan_free(plan);
  graph_close(&g);
  return proved;
}

TEST(updates_are_proved_finite_by_the_factors_of_their_gradients) {
  assert_true(proves(1));
  assert_false(proves(REAL_MAX / 4));
}
