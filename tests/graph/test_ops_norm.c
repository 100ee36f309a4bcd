/* test_ops_norm.c: shapes that a normalization refuses, inputs left out, and gradients
 * through the statistics it gives. */
#include "graph/item.h"
#include "test.h"
#include "graph/ops.h"

static Graph *open_graph(Graph *graph) {
  Fault fault = {0};
  assert_int_equal(graph_open(graph, 1, 1, &fault), ERR_OK);
  return graph;
}

static Node *waves(Graph *g, Shape shape, double frequency) {
  double v[64];
  for (int i = 0; i < 64; i++) v[i] = sin(i * frequency) + 0.3;
  return graph_from_doubles(g, DT_REAL, &shape, v);
}

static void refused(Graph *g, Node *y, const char *text) {
  Fault fault = {0};
  assert_null(y);
  assert_int_equal(graph_ok(g, &fault), ERR_SHAPE);
  if (!strstr(fault.text, text)) fail_msg("\"%s\" lacks \"%s\"", fault.text, text);
}

TEST(shapes_that_cannot_be_normalized_are_named) {
  Graph graph, *g = open_graph(&graph);
  Node *x = waves(g, SHAPE_OF(4, 3), 1), *w = waves(g, SHAPE_OF(4), 1);
  refused(g, op_batch_norm(g, waves(g, SHAPE_OF(1, 3), 1), NULL, NULL, 1e-5),
          "batch_norm: needs at least 2 values per channel, got 1");
  refused(g, op_batch_norm(g, w, NULL, NULL, 1e-5),
          "x: got 4, allowed: 2 axes or more");
  refused(g, op_batch_norm(g, x, w, NULL, 1e-5),
          "weight: got 4, allowed: 3, one per channel of x 4x3");
  refused(g, op_layer_norm(g, x, NULL, w, 1e-5), "bias: got 4, allowed: 3");
  refused(g, op_layer_norm(g, graph_scalar(g, 1), NULL, NULL, 1e-5), "x is a scalar");
  graph_close(g);
}

static void same(Graph *g, Node *a, Node *b, double tolerance) {
  assert_non_null(a);
  assert_non_null(b);
  assert_true(shape_equal(&a->shape, &b->shape));
  const Tensor *va = graph_value(g, a), *vb = graph_value(g, b);
  for (int64_t i = 0; i < tensor_count(va); i++)
    CHECK_NEAR(array_get(&va->a, i), array_get(&vb->a, i), tolerance);
}

TEST(a_bias_may_come_without_a_weight) {
  Graph graph, *g = open_graph(&graph);
  Node *x = waves(g, SHAPE_OF(4, 3), 1), *b = waves(g, SHAPE_OF(3), 2);
  same(g, op_batch_norm(g, x, NULL, b, 1e-5),
       op_add(g, op_batch_norm(g, x, NULL, NULL, 1e-5), b), 1e-6);
  same(g, op_layer_norm(g, x, NULL, b, 1e-5),
       op_add(g, op_layer_norm(g, x, NULL, NULL, 1e-5), b), 1e-6);
  graph_close(g);
}

/* A number that depends on all three outputs, of the op or of the same made by hand. */
static Node *mixture(Graph *g, Node *y, Node *mean, Node *var) {
  Node *a = op_sum(g, op_mul(g, y, op_square(g, y)), ALL_AXES, false);
  Node *b = op_sum(g, op_square(g, mean), ALL_AXES, false);
  return op_add(g, a, op_add(g, b, op_sum(g, op_square(g, var), ALL_AXES, false)));
}

static Node *by_hand(Graph *g, Node *x, unsigned axes) {
  Node *mean = op_mean(g, x, axes, true), *var = op_var(g, x, axes, true);
  Node *std = op_sqrt(g, op_add(g, var, graph_scalar(g, 1e-2)));
  return mixture(g, op_div(g, op_sub(g, x, mean), std), mean, var);
}

/* First and second derivatives of `y` and `z` in x agree. */
static void same_derivatives(Graph *g, Node *y, Node *z, Node *x) {
  Node *gy, *gz, *hy, *hz;
  CHECK_NEAR(item_of(g, y), item_of(g, z), 1e-4);
  assert_int_equal(graph_grad(g, y, NULL, &x, 1, &gy), ERR_OK);
  assert_int_equal(graph_grad(g, z, NULL, &x, 1, &gz), ERR_OK);
  same(g, gy, gz, 1e-3);
  Node *sy = op_sum(g, op_square(g, gy), ALL_AXES, false);
  Node *sz = op_sum(g, op_square(g, gz), ALL_AXES, false);
  assert_int_equal(graph_grad(g, sy, NULL, &x, 1, &hy), ERR_OK);
  assert_int_equal(graph_grad(g, sz, NULL, &x, 1, &hz), ERR_OK);
  Node *scale = op_max(g, op_abs(g, hz), ALL_AXES, false);
  same(g, op_div(g, hy, scale), op_div(g, hz, scale), 1e-4);
}

TEST(derivatives_go_through_the_statistics) {
  Graph graph, *g = open_graph(&graph);
  Node *x = graph_track(g, waves(g, SHAPE_OF(5, 4), 1.3));
  Node *b = op_batch_norm(g, x, NULL, NULL, 1e-2),
       *l = op_layer_norm(g, x, NULL, NULL, 1e-2);
  same_derivatives(g, mixture(g, b, graph_pick(g, b, 1), graph_pick(g, b, 2)),
                   by_hand(g, x, 1), x);
  same_derivatives(g, mixture(g, l, graph_pick(g, l, 1), graph_pick(g, l, 2)),
                   by_hand(g, x, 2), x);
  Node *image = graph_track(g, waves(g, SHAPE_OF(3, 2, 2, 2), 1.3));
  Node *c = op_batch_norm(g, image, NULL, NULL, 1e-2);
  same_derivatives(g, mixture(g, c, graph_pick(g, c, 1), graph_pick(g, c, 2)),
                   by_hand(g, image, 1 | 4 | 8), image);
  graph_close(g);
}
