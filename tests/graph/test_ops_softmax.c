/* test_ops_softmax.c: labels that cannot be used, shapes that do not fit, and gradients
 * that flow into both outputs of the cross-entropy. */
#include "graph/item.h"
#include "test.h"
#include "graph/ops.h"

static Graph *open_graph(Graph *graph) {
  Fault fault = {0};
  assert_int_equal(graph_open(graph, 1, 1, &fault), ERR_OK);
  return graph;
}

static Node *logits(Graph *g, int64_t N, int64_t C) {
  double v[64];
  for (int i = 0; i < 64; i++) v[i] = sin(i * 1.7);
  return graph_from_doubles(g, DT_REAL, &SHAPE_OF(N, C), v);
}

static void refuses(Graph *g, DType dtype, double label, const char *text) {
  double v[6] = {1, 10, 3, 4, label, 2};
  Node *labels = graph_from_doubles(g, dtype, &SHAPE_OF(6), v);
  Node *loss = op_softmax_cross_entropy(g, logits(g, 6, 10), labels);
  Fault fault = {0};
  assert_null(graph_value(g, loss));
  assert_int_equal(graph_ok(g, &fault), ERR_DATA);
  if (!strstr(fault.text, text)) fail_msg("\"%s\" lacks \"%s\"", fault.text, text);
}

TEST(labels_out_of_range_are_named) {
  Graph graph, *g = open_graph(&graph);
  refuses(g, DT_INT32, 11, "label 11 at row 5 is out of range: allowed 1 to 10");
  refuses(g, DT_UINT8, 0,
          "label 0 at row 5 is out of range: allowed 1 to 10; labels count from 1 "
          "(label_base = 0 converts)");
  refuses(g, DT_INT32, -3, "label -3 at row 5 is out of range: allowed 1 to 10");
  refuses(g, DT_REAL, 2.5, "label 2.5 at row 5 is no whole number");
  refuses(g, DT_REAL, NAN, "at row 5 is out of range");
  graph_close(g);
}

TEST(labels_must_match_the_rows) {
  Graph graph, *g = open_graph(&graph);
  Fault fault = {0};
  Node *labels = graph_from_doubles(g, DT_INT32, &SHAPE_OF(2), (double[]){1, 2});
  assert_null(op_softmax_cross_entropy(g, logits(g, 6, 10), labels));
  assert_int_equal(graph_ok(g, &fault), ERR_SHAPE);
  assert_non_null(strstr(fault.text, "labels: got 2, allowed: 6, one per row of logits "
                                     "6x10"));
  graph_close(g);
}

TEST(an_axis_may_be_counted_from_the_end) {
  Graph graph, *g = open_graph(&graph);
  Node *y = op_sum(g, op_softmax(g, logits(g, 3, 5), -1), 2, false);
  for (int i = 0; i < 3; i++) CHECK_NEAR(array_get(&graph_value(g, y)->a, i), 1, 1e-6);
  Fault fault = {0};
  assert_null(op_softmax(g, logits(g, 3, 5), 2));
  assert_int_equal(graph_ok(g, &fault), ERR_VALUE);
  graph_close(g);
}

/* d(sum loss * a + sum p * b) against the same made of log_softmax. */
TEST(gradients_through_loss_and_probabilities_add_up) {
  Graph graph, *g = open_graph(&graph);
  Node *x = graph_track(g, logits(g, 4, 5)), *b = logits(g, 4, 5);
  Node *labels = graph_from_doubles(g, DT_INT32, &SHAPE_OF(4), (double[]){5, 1, 3, 3});
  Node *loss = op_softmax_cross_entropy(g, x, labels), *p = graph_pick(g, loss, 1);
  Node *y = op_add(g, op_sum(g, loss, ALL_AXES, false),
                   op_sum(g, op_mul(g, p, b), ALL_AXES, false));
  Node *log_p = op_log_softmax(g, x, 1), *hot = op_one_hot(g, labels, 5);
  Node *parts = op_sub(g, op_mul(g, op_exp(g, log_p), b), op_mul(g, hot, log_p));
  Node *z = op_sum(g, parts, ALL_AXES, false), *gy, *gz;
  CHECK_NEAR(item_of(g, y), item_of(g, z), 1e-5);
  assert_int_equal(graph_grad(g, y, NULL, &x, 1, &gy), ERR_OK);
  assert_int_equal(graph_grad(g, z, NULL, &x, 1, &gz), ERR_OK);
  const Tensor *vy = graph_value(g, gy), *vz = graph_value(g, gz);
  for (int i = 0; i < 20; i++)
    CHECK_NEAR(array_get(&vy->a, i), array_get(&vz->a, i), 1e-5);
  graph_close(g);
}
