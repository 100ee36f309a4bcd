/* Chains: nets of layers that go row by row, and their gradients, have the bytes of the
 * naive executor whatever the rows and threads; and they are one job where they can
 * be. */
#include "graph/program.h"
#include "graph/plan.h"
#include "kernel/gemm.h"
#include <stdlib.h>

enum { CLASSES = 5, DEPTH = 4, MAX_LAYERS = 12, MAX_PARAMETERS = 4 * MAX_LAYERS };

/* A net with its loss: roots are the loss, the logits and the gradients. */
typedef struct Net {
  Node *parameter[MAX_PARAMETERS], *root[MAX_PARAMETERS + 2];
  int n_parameters, n_roots;
} Net;

static Node *parameter(Graph *g, Net *net, Node *value) {
  assert_true(net->n_parameters < MAX_PARAMETERS);
  return net->parameter[net->n_parameters++] = graph_track(g, value);
}

static Node *dense(Graph *g, Net *net, Dice *d, Node *x, int64_t units) {
  int64_t n = x->shape.dim[1];
  Node *w = parameter(g, net, dice_values(g, d, &SHAPE_OF(n, units), 0.5));
  Node *b = parameter(g, net, dice_values(g, d, &SHAPE_OF(units), 0.1));
  return op_add(g, op_matmul(g, x, w), b);
}

/* Every row from all rows: products, and a number per column, that read what a chain
 * makes as a whole. */
static Node *mix_rows(Graph *g, Net *net, Dice *d, Node *x) {
  Node *each = op_reshape(g, dense(g, net, d, x, 1), &SHAPE_OF(x->shape.dim[0]));
  Node *pairs = op_add(g, op_matmul(g, x, op_transpose(g, x, NULL)), each);
  return op_matmul(g, op_tanh(g, pairs), x);
}

static Node *layer(Graph *g, Net *net, Dice *d, Node *x) {
  int64_t rows = x->shape.dim[0], n = x->shape.dim[1];
  switch (dice_below(d, 10)) {
  case 0: return op_tanh(g, x);
  case 1: return op_relu(g, x);
  case 2: return op_softmax(g, x, 1);
  case 3: return op_mul(g, x, op_dropout_mask(g, &x->shape, 0.25, (Stream){7, 0}));
  case 4: return op_sub(g, x, op_mean(g, x, 1u << 1, true)); /* of each row */
  case 5: return op_sub(g, x, op_mean(g, x, 1u << 0, true)); /* needs all rows */
  case 6:
    return op_reshape(g, op_reshape(g, x, &SHAPE_OF(rows * n)), &SHAPE_OF(rows, n));
  case 8: return mix_rows(g, net, d, x);
  case 7: {
    Node *w = parameter(g, net, dice_values(g, d, &SHAPE_OF(n), 1));
    Node *b = parameter(g, net, dice_values(g, d, &SHAPE_OF(n), 1));
    return op_layer_norm(g, x, w, b, 1e-5);
  }
  default: return dense(g, net, d, x, 1 + dice_below(d, 40));
  }
}

static void make_net(Graph *g, Net *net, uint64_t seed, int64_t rows, int n_layers) {
  Dice d = {seed};
  *net = (Net){0};
  Node *x = dice_values(g, &d, &SHAPE_OF(rows, 1 + dice_below(&d, 30)), 1);
  Node *label = op_random_int(g, &SHAPE_OF(rows), 1, CLASSES, (Stream){3, 0});
  assert_int_equal(graph_eval(g, &label, 1), ERR_OK);
  for (int i = 0; i < n_layers; i++) x = layer(g, net, &d, x);
  x = dense(g, net, &d, x, CLASSES);
  Node *each = op_softmax_cross_entropy(g, x, label);
  net->root[0] = op_mean(g, each, ALL_AXES, false);
  net->root[1] = x;
  net->n_roots = 2 + net->n_parameters;
  assert_int_equal(graph_grad(g, net->root[0], NULL, net->parameter, net->n_parameters,
                              net->root + 2),
                   ERR_OK);
}

static size_t root_bytes(const Node *root) {
  return (size_t)shape_count(&root->shape) * dtype_bytes(root->dtype);
}

/* The naive executor, then plans for some numbers of threads. */
static const int threads[] = {1, 1, 2, 7};
enum { NAIVE, RUNS = sizeof threads / sizeof *threads };

static void open_all(Graph *g) {
  Fault fault = {0};
  for (int i = 0; i < RUNS; i++) {
    assert_int_equal(graph_open(&g[i], threads[i], 1, &fault), ERR_OK);
    g[i].par.threshold = 1;
    g[i].checked = true;
  }
}

static void check_net(Graph *g, uint64_t seed, int64_t rows) {
  Net net[RUNS];
  for (int i = 0; i < RUNS; i++) {
    make_net(&g[i], &net[i], seed, rows, (int)(seed % (MAX_LAYERS - 1)));
    Node **roots = net[i].root;
    int n = net[i].n_roots;
    if (i == NAIVE ? graph_eval(&g[i], roots, n) : plan_eval(&g[i], roots, n))
      fail_msg("%s", g[i].fault.text);
    for (int r = 0; r < n; r++)
      if (memcmp(node_value(net[NAIVE].root[r])->a.data,
                 node_value(net[i].root[r])->a.data, root_bytes(net[i].root[r])))
        fail_msg("seed %d, %d rows, %d threads: root %d differs", (int)seed, (int)rows,
                 threads[i], r + 1);
  }
}

TEST(nets_of_rows_have_the_bytes_of_the_naive_executor) {
  static const int64_t rows[] = {1, 31, 32, 33, 64, 100, 129, 1000};
  Graph g[RUNS];
  open_all(g);
  for (uint64_t seed = 1; seed <= 8; seed++)
    for (int k = 0; k < 8; k++)
      if (rows[k] < 1000 || seed <= 4) check_net(g, seed, rows[k]);
  for (int i = 0; i < RUNS; i++) graph_close(&g[i]);
}

/* -- which jobs there are ---------------------------------------------------------- */

/* Layers of tanh and their gradients, on so many rows, of so many units. */
static PlanSize size_of(int64_t rows, int64_t units, Text *text) {
  Graph g;
  Net net = {0};
  Fault fault = {0};
  Dice d = {1};
  assert_int_equal(graph_open(&g, 2, 1, &fault), ERR_OK);
  Node *x = dice_values(&g, &d, &SHAPE_OF(rows, units), 1);
  for (int i = 0; i < DEPTH; i++) x = op_tanh(&g, dense(&g, &net, &d, x, units));
  net.root[0] = op_mean(&g, op_square(&g, x), ALL_AXES, false);
  net.n_roots = 1 + net.n_parameters;
  assert_int_equal(graph_grad(&g, net.root[0], NULL, net.parameter, net.n_parameters,
                              net.root + 1),
                   ERR_OK);
  Plan *plan = plan_new(&g, net.root, net.n_roots);
  assert_non_null(plan);
  plan_dump(plan, text);
  PlanSize size = plan_size(plan);
  plan_free(plan);
  graph_close(&g);
  return size;
}

/* What the mean of all rows needs comes before; sums over the rows after. Where BLIS
 * makes the products, they do not go by rows. */
TEST(the_way_through_a_net_and_back_is_one_chain) {
  Text text = {0};
  bool by_rows = gemm_goes_by_rows(&(Gemm){.M = 64, .N = 20, .K = 20});
  PlanSize size = size_of(64, 20, &text);
  bool chained = strstr(text.data, "chain of 64 rows, 32 at a time");
  if (by_rows != (chained && size.n_jobs <= 4))
    fail_msg("%d jobs\n%s", size.n_jobs, text.data);
  text_deinit(&text);
}

/* The kernels of a single column would write one. */
TEST(a_product_of_nothing_does_not_go_by_rows) {
  assert_false(gemm_goes_by_rows(&(Gemm){.M = 64, .N = 0, .K = 2}));
  assert_false(gemm_goes_by_rows(&(Gemm){.M = 64, .N = 2, .K = 0}));
}

/* Forward alone, every layer of one width: what a layer reads, what it makes. */
TEST(values_that_nothing_reads_any_more_leave_their_memory_to_others) {
  enum { ROWS = 4096, UNITS = 20, LAYERS = 10 };
  Graph g;
  Net net = {0};
  Fault fault = {0};
  Dice d = {1};
  assert_int_equal(graph_open(&g, 2, 1, &fault), ERR_OK);
  g.checked = true;
  Node *x = dice_values(&g, &d, &SHAPE_OF(ROWS, UNITS), 1);
  for (int i = 0; i < LAYERS; i++) x = op_tanh(&g, dense(&g, &net, &d, x, UNITS));
  Node *root = op_mean(&g, x, ALL_AXES, false);
  Plan *plan = plan_new(&g, &root, 1);
  assert_non_null(plan);
  PlanSize size = plan_size(plan);
  assert_true(size.arena_bytes <= 3 * ROWS * UNITS * sizeof(real));
  plan_free(plan);
  graph_close(&g);
}

TEST(few_rows_and_large_weights_make_no_chain) {
  Text text = {0};
  size_of(31, 20, &text);
  size_of(64, 600, &text);
  if (strstr(text.data, "chain of")) fail_msg("%s", text.data);
  text_deinit(&text);
}
