/* Losses against their plain formulas, and the rule by which outputs are folded. */
#include "graph/item.h"
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

/* Without weight and mask. */
static Node *apply(const Loss *loss, Node *output, Node *target) {
  return loss_apply(&graph, loss, &(LossBatch){.output = output, .target = target});
}

static void set_logits(Loss *loss, const char *value) {
  const Option *option = option_named(loss->object.kind, "from_logits");
  if (option)
    assert_int_equal(option_set_text(&loss->object, option, value, &fault), ERR_OK);
}

static Node *node(int64_t n, int64_t m, const double *v) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(n, m), v);
}

static Node *labels(int64_t n, const double *v) {
  return graph_from_doubles(&graph, DT_INT32, &SHAPE_OF(n), v);
}

static double value(Loss *loss, Node *output, Node *target) {
  Node *y = apply(loss, output, target);
  if (!y) fail_msg("%s", graph.fault.text);
  assert_int_equal(y->shape.rank, 0);
  return item_of(&graph, y);
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
  assert_null(apply(mse, node(4, 1, y), node(2, 2, t)));
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
  assert_null(apply(sparse, logits, labels(2, t)));
  assert_non_null(strstr(graph.fault.text, "from_logits"));
  fault_clear(&graph.fault);
  logits->net_output = true;
  assert_int_equal(loss_form(sparse, logits), FORM_LOGITS);
  CHECK_NEAR(value(sparse, logits, labels(2, t)), want, 1e-6);
  CHECK_NEAR(value(full, logits, node(2, 3, hot)), want, 1e-6);
  graph_value(&graph, p);
  assert_int_equal(loss_form(sparse, p),
                   FORM_PROBABILITIES); /* its input is forgotten */
  CHECK_NEAR(value(sparse, p, labels(2, t)), want, 1e-5);
  CHECK_NEAR(value(full, p, node(2, 3, hot)), want, 1e-5);
  assert_null(apply(sparse, logits, labels(2, t) ? node(2, 3, hot) : NULL));
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
  CHECK_NEAR(value(bce, logits, labels(6, class)), value(bce, logits, node(6, 1, same)),
             1e-6);
  object_release(bce);
  graph_close(&graph);
}

static void refused(Loss *loss, Node *output, Node *target, const char *word) {
  Node *y = apply(loss, output, target);
  if (y && graph_value(&graph, y)) fail_msg("accepted; expected \"%s\"", word);
  if (!strstr(graph.fault.text, word))
    fail_msg("\"%s\" lacks \"%s\"", graph.fault.text, word);
  fault_clear(&graph.fault);
}

TEST(targets_outside_0_to_1_are_refused_by_place) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *bce = loss_of("bce"), *cce = loss_of("cce");
  double out[] = {2, -1, 1.5, NAN, INFINITY}, y[] = {0.5, 0.5, 0.5, 0.5};
  Node *p = op_sigmoid(&graph, node(2, 2, y)),
       *q = op_softmax(&graph, node(2, 2, y), 1);
  for (int i = 0; i < 5; i++) {
    double t[] = {0, 1, out[i], 0};
    refused(bce, p, node(2, 2, t), "in row 2, element 1");
    refused(cce, q, node(2, 2, t), "in row 2, element 1");
  }
  double edge[] = {0, 1 + 1e-7, -1e-7, 1}; /* what rounding of a mixture may leave */
  assert_true(isfinite(value(bce, p, node(2, 2, edge))));
  double rows[] = {0.25, 0.25, 0, 0}; /* need not sum to 1 */
  assert_true(isfinite(value(cce, q, node(2, 2, rows))));
  object_release(bce);
  object_release(cce);
  graph_close(&graph);
}

TEST(integers_of_a_binary_loss_are_labels_in_every_shape_and_type) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *bce = loss_of("bce");
  set_logits(bce, "true");
  double class[] = {2, 1, 2, 1, 1, 2}, same[] = {1, 0, 1, 0, 0, 1}, zero[] = {1, 0};
  const Shape flat = SHAPE_OF(6), column = SHAPE_OF(6, 1);
  double want = value(bce, node(6, 1, z), node(6, 1, same));
  for (int o = 0; o < 2; o++)
    for (int t = 0; t < 2; t++)
      for (int d = DT_INT32; d <= DT_UINT8; d++) {
        Node *output = graph_from_doubles(&graph, DT_REAL, o ? &flat : &column, z);
        Node *target = graph_from_doubles(&graph, (DType)d, t ? &flat : &column, class);
        CHECK_NEAR(value(bce, output, target), want, 1e-6);
      }
  refused(bce, node(2, 1, z), labels(2, zero), ":cast \"real\"");
  refused(bce, node(2, 1, z), labels(2, zero), "label_base = 0");
  refused(bce, node(2, 3, z), labels(2, class), "sparse_categorical_crossentropy");
  zero[1] = 3;
  refused(bce, node(2, 1, z), labels(2, zero), "sparse_categorical_crossentropy");
  refused(bce, node(6, 1, z), graph_from_doubles(&graph, DT_REAL, &flat, same),
          ":reshape(6, 1)");
  object_release(bce);
  graph_close(&graph);
}

TEST(labels_count_from_1_in_every_form) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *sparse = loss_of("cross_entropy");
  double t[] = {3, 1}, bad[] = {0, 4, -1, 1.5, NAN};
  Node *p = op_softmax(&graph, node(2, 3, z), 1);
  double want = value(sparse, p, labels(2, t));
  CHECK_NEAR(value(sparse, p, node(2, 1, t)), want, 0);
  Node *bytes = graph_from_doubles(&graph, DT_UINT8, &SHAPE_OF(2, 1), t);
  CHECK_NEAR(value(sparse, p, bytes), want, 0);
  for (int i = 0; i < 5; i++) {
    t[1] = bad[i];
    refused(sparse, p, node(2, 1, t), i == 3 ? "no whole number" : "label_base = 0");
  }
  t[1] = 0;
  Node *known = op_clip(&graph, p, 1e-6, 1);
  refused(sparse, known, labels(2, t), "label_base = 0");
  object_release(sparse);
  graph_close(&graph);
}

TEST(one_class_is_refused) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double ones[] = {1, 1, 1, 1, 1, 1};
  Node *one = op_softmax(&graph, node(6, 1, z), 1), *t = node(6, 1, ones);
  for (int k = 0; loss_family.kinds[k]; k++) {
    Loss *loss = loss_of(loss_family.kinds[k]->name);
    refused(loss, one, t, "softmax of one unit");
    set_logits(loss, "true");
    LossTargets targets = loss_targets(loss);
    if (targets == TARGETS_LABELS || targets == TARGETS_DISTRIBUTIONS)
      refused(loss, node(6, 1, z), t, "binary_crossentropy");
    object_release(loss);
  }
  graph_close(&graph);
}

/* Twice, once in double: its first gradient and the gradient of a sum of that. */
static void check_masked(Loss *loss, Node *target) {
  double masked[] = {0, -INFINITY, 1, 2, 1, -INFINITY}, weight[] = {1, 2, 3, 4, 5, 6};
  Node *x = graph_track(&graph, node(2, 3, masked)), *gx = NULL, *gxx = NULL;
  Node *y = apply(loss, x, target);
  if (!y) fail_msg("%s", graph.fault.text);
  assert_int_equal(graph_grad(&graph, y, NULL, &x, 1, &gx), ERR_OK);
  Node *sum = op_sum(&graph, op_mul(&graph, gx, node(2, 3, weight)), ALL_AXES, false);
  assert_int_equal(graph_grad(&graph, sum, NULL, &x, 1, &gxx), ERR_OK);
  double e = exp(1), want = (log(1 + e) + log(1 + 1 / e)) / 2;
  CHECK_NEAR(item_of(&graph, y), want, 1e-6);
  const Tensor *g = graph_value(&graph, gx), *gg = graph_value(&graph, gxx);
  double share = 0.5 / (1 + e), p = 1 / (1 + e), curve = p * (1 - p) / 2;
  double first[] = {share - 0.5, 0, 0.5 - share, -share, share, 0};
  double second[] = {-2 * curve, 0, 2 * curve, -curve, curve, 0};
  for (int i = 0; i < 6; i++) {
    CHECK_NEAR(array_get(&g->a, i), first[i], 1e-6);
    CHECK_NEAR(array_get(&gg->a, i), second[i], 1e-6);
  }
}

TEST(a_masked_class_adds_nothing_unless_it_is_the_target) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *sparse = loss_of("cross_entropy"), *full = loss_of("cce");
  set_logits(sparse, "true");
  set_logits(full, "true");
  double hot[] = {1, 0, 0, 1, 0, 0}, t[] = {1, 1}, wrong[] = {2, 1};
  double wrong_hot[] = {0, 1, 0, 1, 0, 0},
         masked[] = {0, -INFINITY, 1, 2, 1, -INFINITY};
  check_masked(sparse, labels(2, t));
  check_masked(full, node(2, 3, hot));
  assert_true(value(sparse, node(2, 3, masked), labels(2, wrong)) == INFINITY);
  assert_true(value(full, node(2, 3, masked), node(2, 3, wrong_hot)) == INFINITY);
  set_logits(full, "false");
  double p[] = {0.5, 0, 0.5, 0.25, 0.75, 0};
  CHECK_NEAR(value(full, node(2, 3, p), node(2, 3, hot)), (log(2) + log(4)) / 2, 1e-6);
  object_release(sparse);
  object_release(full);
  graph_close(&graph);
}

TEST(rows_that_need_not_sum_to_1_are_divided_by_their_sum) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *sparse = loss_of("cross_entropy"), *full = loss_of("cce");
  double t[] = {3, 1}, hot[] = {0, 0, 1, 1, 0, 0}, s[6], zeros[6] = {0};
  for (int i = 0; i < 6; i++) s[i] = 1 / (1 + exp(-z[i]));
  double want = -(log(s[2] / (s[0] + s[1] + s[2])) + log(s[3] / (s[3] + s[4] + s[5]))) /
                2;
  Node *p = op_sigmoid(&graph, node(2, 3, z));
  assert_int_equal(loss_form(sparse, p), FORM_NORMALIZED);
  assert_int_equal(graph.warned, 0);
  CHECK_NEAR(value(sparse, p, labels(2, t)), want, 1e-6);
  assert_int_equal(graph.warned, 1u << WARN_NORMALIZED);
  CHECK_NEAR(value(full, p, node(2, 3, hot)), want, 1e-6);
  Node *columns = op_softmax(&graph, node(2, 3, z), 0);
  assert_int_equal(loss_form(sparse, columns), FORM_NORMALIZED);
  set_logits(sparse, "false");
  for (int i = 0; i < 6; i++) s[i] *= 7;
  CHECK_NEAR(value(sparse, node(2, 3, s), labels(2, t)), want, 1e-6);
  assert_true(isfinite(value(sparse, node(2, 3, zeros), labels(2, t))));
  graph.warned = 0;
  double sums[] = {0.2, 0.3, 0.5, 1, 0, 0}; /* seen to be distributions: no warning */
  value(sparse, node(2, 3, sums), labels(2, t));
  assert_int_equal(graph.warned, 0);
  object_release(sparse);
  object_release(full);
  graph_close(&graph);
}

TEST(probabilities_stay_probabilities_behind_softmax_and_sigmoid) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *sparse = loss_of("cross_entropy"), *bce = loss_of("bce");
  double t[] = {3, 1}, hot[] = {0, 0, 1, 1, 0, 0};
  Node *x = node(2, 3, z), *p = op_softmax(&graph, x, 1), *s = op_sigmoid(&graph, x);
  Node *deep = op_reshape(&graph, p, &SHAPE_OF(2, 1, 3)),
       *one = graph_scalar(&graph, 1);
  double want = value(sparse, p, labels(2, t));
  assert_int_equal(loss_form(sparse, deep), FORM_FOLDED);
  CHECK_NEAR(value(sparse, op_reshape(&graph, deep, &SHAPE_OF(2, 3)), labels(2, t)),
             want, 0);
  Node *clipped = op_clip(&graph, p, 1e-6, 1);
  clipped->net_output = true;
  assert_int_equal(loss_form(sparse, clipped), FORM_PROBABILITIES);
  CHECK_NEAR(value(sparse, clipped, labels(2, t)), want, 1e-6);
  Node *e = op_exp(&graph, x), *own = op_div(&graph, e, op_sum(&graph, e, 2u, true));
  CHECK_NEAR(value(sparse, own, labels(2, t)), want, 1e-6);
  CHECK_NEAR(value(sparse, op_log_softmax(&graph, x, 1), labels(2, t)), want, 1e-6);
  refused(bce, op_log_softmax(&graph, x, 1), node(2, 3, hot), "log_softmax");
  double binary = value(bce, s, node(2, 3, hot));
  Node *by_hand = op_div(&graph, one,
                         op_add(&graph, one, op_exp(&graph, op_neg(&graph, x))));
  by_hand->net_output = true;
  assert_int_equal(loss_form(bce, by_hand), FORM_PROBABILITIES);
  CHECK_NEAR(value(bce, by_hand, node(2, 3, hot)), binary, 1e-6);
  Node *turned = op_reshape(&graph, s, &SHAPE_OF(3, 2));
  CHECK_NEAR(value(bce, turned, node(3, 2, hot)), binary, 1e-6);
  object_release(sparse);
  object_release(bce);
  graph_close(&graph);
}

TEST(targets_take_the_outputs_shape_where_a_last_axis_of_1_is_all) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *flat = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(6), z),
       *column = node(6, 1, z);
  assert_int_equal(loss_conform(&graph, column, flat)->shape.rank, 2);
  assert_int_equal(loss_conform(&graph, flat, column)->shape.rank, 1);
  assert_ptr_equal(loss_conform(&graph, node(3, 2, z), flat), flat);
  Loss *mse = loss_of("mse"), *mae = loss_of("mae");
  refused(mse, column, flat, ":reshape(6, 1)");
  refused(mae, flat, column, ":reshape(6)");
  object_release(mse);
  object_release(mae);
  graph_close(&graph);
}

TEST(far_logits_give_finite_losses) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Loss *bce = loss_of("bce"), *sparse = loss_of("cross_entropy");
  set_logits(bce, "true");
  set_logits(sparse, "true");
  double far[] = {1e30, -1e30}, right[] = {1, 0}, wrong[] = {0, 1}, t[] = {1};
  CHECK_NEAR(value(bce, node(2, 1, far), node(2, 1, right)), 0, 0);
  CHECK_NEAR(value(bce, node(2, 1, far), node(2, 1, wrong)) / 1e30, 1, 1e-6);
  CHECK_NEAR(value(sparse, node(1, 2, far), labels(1, t)), 0, 0);
  object_release(bce);
  object_release(sparse);
  graph_close(&graph);
}

/* -- weights and masks ------------------------------------------------------------- */

static Node *rows(int64_t n, const double *v) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(n), v);
}

static double weighted(const Loss *loss, Node *output, Node *target, Node *weight,
                       Node *mask) {
  Node *y = loss_apply(&graph, loss,
                       &(LossBatch){.output = output,
                                    .target = target,
                                    .weight = weight,
                                    .mask = mask});
  if (!y) fail_msg("%s", graph.fault.text);
  assert_int_equal(y->shape.rank, 0);
  return item_of(&graph, y);
}

/* Of the forms of every loss: its outputs, and targets that fit. */
static Node *fit_target(const Loss *loss) {
  double some[] = {0.2, 0.4, 0.4, 1, 0, 0}, t[] = {3, 1};
  return loss_targets(loss) == TARGETS_LABELS ? labels(2, t) : node(2, 3, some);
}

TEST(the_mean_of_the_values_is_the_loss_and_weights_of_1_change_nothing) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double ones[] = {1, 1}, seven[] = {7, 7};
  for (int k = 0; loss_family.kinds[k]; k++) {
    Loss *loss = loss_of(loss_family.kinds[k]->name);
    if (loss_kind(loss)->coupled) { /* tests/nn/test_loss_pairs.lua */
      object_release(loss);
      continue;
    }
    set_logits(loss, "true");
    Node *t = fit_target(loss), *x = node(2, 3, z),
         *v = loss_values(&graph, loss, x, t);
    assert_non_null(v);
    assert_int_equal(v->shape.dim[0], 2);
    double want = value(loss, x, t);
    CHECK_NEAR(item_of(&graph, op_mean(&graph, v, ALL_AXES, false)), want, 1e-6);
    CHECK_NEAR(weighted(loss, x, t, rows(2, ones), NULL), want, 1e-6);
    CHECK_NEAR(weighted(loss, x, t, NULL, rows(2, ones)), want, 1e-6);
    CHECK_NEAR(weighted(loss, x, t, rows(2, seven), rows(2, ones)), want, 1e-6);
    object_release(loss);
  }
  graph_close(&graph);
}

/* Gradient of the loss in its outputs, [2, 3]. */
static void gradient(const Loss *loss, const double *outputs, Node *target,
                     Node *weight, double *out) {
  Node *x = graph_track(&graph, node(2, 3, outputs)), *gx = NULL;
  Node *y = loss_apply(&graph, loss,
                       &(LossBatch){.output = x, .target = target, .weight = weight});
  assert_int_equal(graph_grad(&graph, y, NULL, &x, 1, &gx), ERR_OK);
  const Tensor *g = graph_value(&graph, gx);
  for (int i = 0; i < 6; i++) out[i] = array_get(&g->a, i);
}

TEST(a_weight_of_0_leaves_a_row_out_exactly_whatever_it_holds) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double first[] = {1, 0}, g[6], alone[6];
  /* within every margin: where one is kept there is no gradient */
  double near[] = {0.25, -0.5, 0.125, 3, 0, -1};
  double far[] = {0.25, -0.5, 0.125, 1e30, NAN, -INFINITY};
  for (int k = 0; loss_family.kinds[k]; k++) {
    Loss *loss = loss_of(loss_family.kinds[k]->name);
    if (loss_kind(loss)->coupled) { /* tests/nn/test_loss_pairs.lua */
      object_release(loss);
      continue;
    }
    set_logits(loss, "true");
    Node *t = fit_target(loss);
    double want = weighted(loss, node(2, 3, near), t, rows(2, first), NULL);
    assert_true(weighted(loss, node(2, 3, far), t, rows(2, first), NULL) == want);
    gradient(loss, near, t, rows(2, first), alone);
    gradient(loss, far, t, rows(2, first), g);
    for (int i = 0; i < 6; i++) {
      assert_true(g[i] == alone[i]);
      assert_true(i < 3 ? g[i] != 0 : g[i] == 0);
    }
    object_release(loss);
  }
  graph_close(&graph);
}

TEST(whole_weights_are_repeated_rows) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double twice[] = {1, -2, 0.5, 3, 0, -1, 3, 0, -1}, w[] = {1, 2};
  double t[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.4, 0.5, 0.6}, class[] = {3, 1, 1};
  Loss *mse = loss_of("mse"), *mae = loss_of("mae"), *sparse = loss_of("cross_entropy");
  set_logits(sparse, "true");
  CHECK_NEAR(weighted(mse, node(2, 3, z), node(2, 3, t), rows(2, w), NULL),
             value(mse, node(3, 3, twice), node(3, 3, t)), 1e-6);
  CHECK_NEAR(weighted(mae, node(2, 3, z), node(2, 3, t), rows(2, w), NULL),
             value(mae, node(3, 3, twice), node(3, 3, t)), 1e-6);
  CHECK_NEAR(weighted(sparse, node(2, 3, z), labels(2, class), rows(2, w), NULL),
             value(sparse, node(3, 3, twice), labels(3, class)), 1e-6);
  object_release(mse);
  object_release(mae);
  object_release(sparse);
  graph_close(&graph);
}

/* [2, 2, 3]: two sequences of two steps; the last step of the first does not count. */
TEST(a_mask_of_steps_joins_the_weights_of_rows) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double steps[] = {1, -2, 0.5, 9, 9, 9, 3, 0, -1, 0.5, 1, 2}, t[] = {3, 1, 1, 2};
  double m[] = {1, 0, 1, 1}, w[] = {2, 3};
  Loss *sparse = loss_of("cross_entropy");
  set_logits(sparse, "true");
  Node *x = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2, 2, 3), steps);
  Node *y = graph_from_doubles(&graph, DT_INT32, &SHAPE_OF(2, 2), t);
  Node *mask = graph_from_doubles(&graph, DT_UINT8, &SHAPE_OF(2, 2), m);
  double a = -log_softmax(steps, 2), b = -log_softmax(steps + 6, 0),
         c = -log_softmax(steps + 9, 1);
  CHECK_NEAR(weighted(sparse, x, y, NULL, mask), (a + b + c) / 3, 1e-6);
  CHECK_NEAR(weighted(sparse, x, y, rows(2, w), mask), (2 * a + 3 * b + 3 * c) / 8,
             1e-6);
  CHECK_NEAR(weighted(sparse, x, y, node(2, 1, w), mask), (2 * a + 3 * b + 3 * c) / 8,
             1e-6);
  double d = -log_softmax(steps + 3, 0);
  CHECK_NEAR(weighted(sparse, x, y, rows(2, w), NULL),
             (2 * a + 2 * d + 3 * b + 3 * c) / 10, 1e-6);
  object_release(sparse);
  graph_close(&graph);
}

static void weight_refused(const Loss *loss, Node *weight, const char *word) {
  Node *t = fit_target(loss);
  Node *y =
      loss_apply(&graph, loss,
                 &(LossBatch){.output = node(2, 3, z), .target = t, .weight = weight});
  if (y && graph_value(&graph, y)) fail_msg("accepted; expected \"%s\"", word);
  if (!strstr(graph.fault.text, word))
    fail_msg("\"%s\" lacks \"%s\"", graph.fault.text, word);
  fault_clear(&graph.fault);
}

TEST(weights_that_have_no_mean_are_refused) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double zeros[] = {0, 0}, below[] = {1, -0.5}, none[] = {NAN, 1},
         far[] = {1, INFINITY};
  double six[] = {1, 1, 1, 1, 1, 1};
  Loss *mse = loss_of("mse");
  weight_refused(mse, rows(2, zeros), "sum to 0");
  weight_refused(mse, rows(2, below), "weight -0.5 in row 2");
  weight_refused(mse, rows(2, none), "weight nan in row 1");
  weight_refused(mse, rows(2, far), "weight inf in row 2");
  weight_refused(mse, rows(3, six), "one per row");
  weight_refused(mse, node(1, 2, six), "got weights 1x2 for values 2x3");
  weight_refused(mse, graph_scalar(&graph, 1), "one per row");
  object_release(mse);
  graph_close(&graph);
}
