/* test_ops_matmul.c: what op_matmul makes of vectors, integers, batches and transposes,
 * and what it says to shapes that do not fit. Values and gradients of the op itself are
 * checked from its samples. */
#include "test.h"
#include "graph/ops.h"

static Graph *open_graph(Graph *graph) {
  Fault fault = {0};
  assert_int_equal(graph_open(graph, 1, 1, &fault), ERR_OK);
  return graph;
}

/* 1, 2, 3 ... in this shape. */
static Node *counting(Graph *g, DType dtype, Shape shape) {
  double v[64];
  for (int i = 0; i < 64; i++) v[i] = i + 1;
  return graph_from_doubles(g, dtype, &shape, v);
}

static void check(Graph *g, Node *y, Shape shape, const double *want) {
  assert_non_null(y);
  assert_true(shape_equal(&y->shape, &shape));
  Tensor *value = graph_value(g, y);
  assert_non_null(value);
  for (int64_t i = 0; i < shape_count(&shape); i++)
    CHECK_NEAR(array_get(&value->a, i), want[i], 1e-6 * fabs(want[i]));
}

TEST(vectors_are_rows_on_the_left_and_columns_on_the_right) {
  Graph graph, *g = open_graph(&graph);
  Node *v = counting(g, DT_REAL, SHAPE_OF(3)),
       *m = counting(g, DT_REAL, SHAPE_OF(3, 2));
  Node *n = counting(g, DT_REAL, SHAPE_OF(2, 3));
  check(g, op_matmul(g, v, m), SHAPE_OF(2), (double[]){22, 28});
  check(g, op_matmul(g, n, v), SHAPE_OF(2), (double[]){14, 32});
  check(g, op_matmul(g, v, v), SHAPE_SCALAR, (double[]){14});
  Node *batch = counting(g, DT_REAL, SHAPE_OF(2, 1, 3));
  check(g, op_matmul(g, batch, v), SHAPE_OF(2, 1), (double[]){14, 32});
  graph_close(g);
}

TEST(integers_become_real) {
  Graph graph, *g = open_graph(&graph);
  Node *a = counting(g, DT_INT32, SHAPE_OF(1, 2)),
       *b = counting(g, DT_UINT8, SHAPE_OF(2, 1));
  Node *y = op_matmul(g, a, b);
  check(g, y, SHAPE_OF(1, 1), (double[]){5});
  assert_int_equal(y->dtype, DT_REAL);
  graph_close(g);
}

/* Only of tracked operands: the others forget what they were made of when looked at. */
TEST(tracked_transposes_are_folded) {
  Graph graph, *g = open_graph(&graph);
  Node *m = counting(g, DT_REAL, SHAPE_OF(3, 2));
  Node *leaf = graph_track(g, m), *t = op_transpose(g, leaf, NULL);
  Node *y = op_matmul(g, t, m), *z = op_matmul(g, op_transpose(g, m, NULL), m);
  assert_true(y->op == &op_record_matmul && y->in[0] == leaf && y->attr[0].i == 1);
  assert_true(z->in[0] != m && z->attr[0].i == 0);
  const double want[] = {35, 44, 44, 56};
  check(g, y, SHAPE_OF(2, 2), want);
  check(g, z, SHAPE_OF(2, 2), want);
  graph_close(g);
}

static void refuses(Graph *g, Node *x, Node *y, const char *text) {
  Fault fault = {0};
  assert_null(op_matmul(g, x, y));
  assert_int_equal(graph_ok(g, &fault), ERR_SHAPE);
  if (!strstr(fault.text, text)) fail_msg("\"%s\" lacks \"%s\"", fault.text, text);
}

TEST(shapes_that_do_not_fit_are_named) {
  Graph graph, *g = open_graph(&graph);
  Node *a = counting(g, DT_REAL, SHAPE_OF(3, 4)),
       *b = counting(g, DT_REAL, SHAPE_OF(5, 6));
  refuses(g, a, b, "matmul: inner sizes differ: 3x4 and 5x6");
  refuses(g, counting(g, DT_REAL, SHAPE_OF(2, 3, 4)),
          counting(g, DT_REAL, SHAPE_OF(3, 4, 5)),
          "leading axes differ: 2x3x4 and 3x4x5");
  refuses(g, graph_scalar(g, 2), a, "x: got scalar, allowed: at least 1");
  graph_close(g);
}
