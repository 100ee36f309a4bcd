/* Losses against their plain formulas, and the rule by which outputs are folded. */
#include "test.h"
#include "graph/ops.h"
#include "nn/nn.h"

static Graph graph;
static Fault fault;

static Loss *loss_of(const char *name) {
  fault = (Fault){0};
  Loss *loss = (Loss *)family_make(&loss_family, name, &fault);
  assert_non_null(loss);
  return loss;
}

static Node *node(int64_t n, int64_t m, const double *v) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(n, m), v);
}

static Node *labels(int64_t n, const double *v) {
  return graph_from_doubles(&graph, DT_INT32, &SHAPE_OF(n), v);
}

static double value(Loss *loss, Node *output, Node *target) {
  Node *y = loss_apply(&graph, loss, output, target);
  if (!y) fail_msg("%s", graph.fault.text);
  assert_int_equal(y->shape.rank, 0);
  return graph_item(&graph, y);
}

static const double z[] = {1, -2, 0.5, 3, 0, -1}; /* [2, 3] */

static double log_softmax(const double *row, int i) {
  return row[i] - log(exp(row[0]) + exp(row[1]) + exp(row[2]));
}

TEST(mse_and_mae_are_means_over_all_elements) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double y[] = {1, 2, 3, 4}, t[] = {0, 2, 5, 4.5};
  Loss *mse = loss_of("mean_squared_error"), *mae = loss_of("mae");
  CHECK_NEAR(value(mse, node(2, 2, y), node(2, 2, t)), (1 + 0 + 4 + 0.25) / 4, 1e-6);
  CHECK_NEAR(value(mae, node(2, 2, y), node(2, 2, t)), (1 + 0 + 2 + 0.5) / 4, 1e-6);
  assert_null(loss_apply(&graph, mse, node(4, 1, y), node(2, 2, t)));
  assert_non_null(strstr(graph.fault.text, "4x1"));
  assert_non_null(strstr(graph.fault.text, "2x2"));
  fault_clear(&graph.fault);
  object_release(mse);
  object_release(mae);
  graph_close(&graph);
}

TEST(categorical_cross_entropies_agree_in_every_form) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double hot[] = {0, 0, 1, 1, 0, 0}, t[] = {3, 1};
  double want = -(log_softmax(z, 2) + log_softmax(z + 3, 0)) / 2;
  Loss *sparse = loss_of("cross_entropy"), *full = loss_of("categorical_crossentropy");
  Node *logits = node(2, 3, z), *p = op_softmax(&graph, logits, 1);
  assert_int_equal(loss_form(sparse, p), FORM_FOLDED);
  CHECK_NEAR(value(sparse, p, labels(2, t)), want, 1e-6);
  CHECK_NEAR(value(full, p, node(2, 3, hot)), want, 1e-6);
  assert_int_equal(loss_form(sparse, logits), FORM_UNKNOWN);
  assert_null(loss_apply(&graph, sparse, logits, labels(2, t)));
  assert_non_null(strstr(graph.fault.text, "from_logits"));
  fault_clear(&graph.fault);
  logits->net_output = true;
  assert_int_equal(loss_form(sparse, logits), FORM_LOGITS);
  CHECK_NEAR(value(sparse, logits, labels(2, t)), want, 1e-6);
  CHECK_NEAR(value(full, logits, node(2, 3, hot)), want, 1e-6);
  graph_value(&graph, p);
  assert_int_equal(loss_form(sparse, p), FORM_PROBABILITIES); /* its input is forgotten */
  CHECK_NEAR(value(sparse, p, labels(2, t)), want, 1e-5);
  CHECK_NEAR(value(full, p, node(2, 3, hot)), want, 1e-5);
  assert_null(loss_apply(&graph, sparse, logits, labels(2, t) ? node(2, 3, hot) : NULL));
  assert_non_null(strstr(graph.fault.text, "2x3"));
  fault_clear(&graph.fault);
  object_release(sparse);
  object_release(full);
  graph_close(&graph);
}

TEST(binary_cross_entropy_agrees_in_every_form_and_far_out) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double t[] = {1, 0, 1, 0.25, 0, 1}, want = 0;
  for (int i = 0; i < 6; i++) {
    double p = 1 / (1 + exp(-z[i]));
    want -= (t[i] * log(p) + (1 - t[i]) * log(1 - p)) / 6;
  }
  Loss *bce = loss_of("binary_crossentropy");
  Node *logits = node(6, 1, z), *p = op_sigmoid(&graph, logits);
  CHECK_NEAR(value(bce, p, node(6, 1, t)), want, 1e-6);
  graph_value(&graph, p);
  CHECK_NEAR(value(bce, p, node(6, 1, t)), want, 1e-5);
  logits->net_output = true;
  CHECK_NEAR(value(bce, logits, node(6, 1, t)), want, 1e-6);
  double far[] = {80, -80}, wrong[] = {0, 1};
  Node *extreme = op_sigmoid(&graph, node(2, 1, far));
  CHECK_NEAR(value(bce, extreme, node(2, 1, wrong)), 80, 1e-4);
  double class[] = {2, 1, 2, 1, 1, 2}, same[] = {1, 0, 1, 0, 0, 1};
  CHECK_NEAR(value(bce, logits, labels(6, class)), value(bce, logits, node(6, 1, same)), 1e-6);
  object_release(bce);
  graph_close(&graph);
}
