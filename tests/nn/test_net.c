/* Layers: names, build, normalization, dropout, loading, freezing. */
#include "options.h"
#include "test.h"
#include "graph/ops.h"
#include "nn/nn.h"

static Graph graph;
static Fault fault;

static void open_graph(void) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
}

static void close_graph(void) { graph_close(&graph); }

static void *make(const char *name) {
  const Kind *kind = family_find(&layer_family, name, &fault);
  assert_non_null(kind);
  Object *o = object_new(kind, &fault);
  assert_non_null(o);
  return o;
}

static void set_number(void *o, const char *name, double value) {
  const Option *opt = option_find(((Object *)o)->kind, name, &fault);
  assert_non_null(opt);
  assert_int_equal(give_number(o, opt, value, &fault), ERR_OK);
}

static void set_text(void *o, const char *name, const char *value) {
  const Option *opt = option_find(((Object *)o)->kind, name, &fault);
  assert_non_null(opt);
  assert_int_equal(option_set_text(o, opt, value, &fault), ERR_OK);
}

static void ready(void *o) { assert_int_equal(object_ready(o, NULL, &fault), ERR_OK); }

static Layer *dense(int64_t units) {
  Layer *layer = make("Dense");
  set_number(layer, "units", (double)units);
  ready(layer);
  return layer;
}

static Layer *plain(const char *name) {
  Layer *layer = make(name);
  ready(layer);
  return layer;
}

/* Gives the reference away. */
static void add(Layer *net, Layer *layer) {
  assert_int_equal(layer_add(net, layer, &fault), ERR_OK);
  object_release(layer);
}

static void build(Layer *net, int64_t n) {
  assert_int_equal(layer_build(&graph, net, &(IntList){1, {n}}, 1, &fault), ERR_OK);
}

static double item(Node *node, int64_t i) {
  Tensor *t = graph_value(&graph, node);
  if (!t) fail_msg("%s", graph.fault.text);
  return array_get(&t->a, i);
}

static double var_item(const Variable *v, int64_t i) { return item(v->current, i); }

static Node *matrix(int64_t n, int64_t m, const double *v) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(n, m), v);
}

/* -- names ------------------------------------------------------------------------- */

TEST(names_count_per_kind_through_nested_containers) {
  open_graph();
  Layer *net = plain("Sequential"), *inner = plain("Sequential");
  add(net, dense(4));
  add(inner, dense(4));
  add(inner, plain("BatchNorm"));
  Layer *named = make("Dense");
  set_number(named, "units", 4);
  set_text(named, "name", "head");
  ready(named);
  add(net, inner);
  add(net, named);
  add(net, dense(2));
  StateList list;
  assert_int_equal(layer_state(net, &list, &fault), ERR_OK);
  const char *want[] = {"dense_1.weight",      "dense_1.bias",
                        "dense_2.weight",      "dense_2.bias",
                        "batch_norm_1.weight", "batch_norm_1.bias",
                        "batch_norm_1.running_mean", "batch_norm_1.running_var",
                        "head.weight",         "head.bias",
                        "dense_4.weight",      "dense_4.bias"};
  assert_int_equal(list.n, 12);
  for (int i = 0; i < list.n; i++) assert_string_equal(list.v[i]->name, want[i]);
  assert_false(list.v[0]->has_value);
  state_deinit(&list);
  object_release(net);
  close_graph();
}

TEST(two_layers_of_the_same_given_name_are_refused) {
  open_graph();
  Layer *net = plain("Sequential");
  for (int i = 0; i < 2; i++) {
    Layer *layer = make("Dense");
    set_number(layer, "units", 2);
    set_text(layer, "name", "twin");
    ready(layer);
    add(net, layer);
  }
  assert_int_equal(layer_name(net, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "twin"));
  object_release(net);
  close_graph();
}

TEST(a_net_inside_itself_is_refused) {
  open_graph();
  Layer *net = plain("Sequential"), *inner = plain("Sequential");
  assert_int_equal(layer_add(net, inner, &fault), ERR_OK);
  assert_int_equal(layer_add(inner, net, &fault), ERR_VALUE);
  object_release(inner);
  object_release(net);
  close_graph();
}

TEST(a_shared_layer_is_listed_once_and_outlives_its_net) {
  open_graph();
  Layer *net = plain("Sequential"), *shared = dense(3);
  assert_int_equal(layer_add(net, shared, &fault), ERR_OK);
  assert_int_equal(layer_add(net, shared, &fault), ERR_OK);
  build(net, 3);
  StateList list;
  assert_int_equal(layer_state(net, &list, &fault), ERR_OK);
  assert_int_equal(list.n, 2);
  state_deinit(&list);
  object_release(net);
  double x[] = {1, 2, 3};
  assert_non_null(layer_call(&graph, shared, matrix(1, 3, x)));
  assert_string_equal(shared->name, "dense_1");
  object_release(shared);
  close_graph();
}

/* -- Dense ------------------------------------------------------------------------- */

TEST(dense_is_x_w_plus_b) {
  open_graph();
  Layer *layer = dense(2);
  build(layer, 3);
  double w[] = {1, 2, 3, 4, 5, 6}, b[] = {0.5, -0.5}, x[] = {1, 0, -1, 2, 1, 0};
  NamedValue values[] = {{"dense_1.weight", matrix(3, 2, w)},
                         {"dense_1.bias", graph_from_doubles(&graph, DT_REAL,
                                                             &SHAPE_OF(2),
                                                             b)}};
  assert_int_equal(layer_load(&graph, layer, values, 2, &fault), ERR_OK);
  Node *y = layer_call(&graph, layer, matrix(2, 3, x));
  double want[] = {-3.5, -4.5, 5.5, 7.5};
  for (int i = 0; i < 4; i++) CHECK_NEAR(item(y, i), want[i], 1e-6);
  object_release(layer);
  close_graph();
}

TEST(dense_refuses_another_width_and_names_itself) {
  open_graph();
  Layer *net = plain("Sequential");
  add(net, dense(300));
  add(net, dense(10));
  build(net, 784);
  Node *x = op_full(&graph, 0, &SHAPE_OF(32, 100));
  assert_null(layer_call(&graph, net, x));
  assert_string_equal(graph.fault.text, "dense_1: expects [N, 784], got 32x100");
  fault_clear(&graph.fault);
  object_release(net);
  close_graph();
}

TEST(initial_values_do_not_depend_on_other_layers) {
  open_graph();
  Layer *a = plain("Sequential"), *b = plain("Sequential");
  add(a, dense(3));
  add(b, plain("LayerNorm"));
  add(b, dense(3));
  build(a, 4);
  close_graph();
  open_graph();
  Layer *again = plain("Sequential");
  add(again, dense(3));
  build(again, 4);
  double first = 0;
  StateList list;
  assert_int_equal(layer_state(again, &list, &fault), ERR_OK);
  first = var_item(list.v[0], 5);
  state_deinit(&list);
  object_release(again);
  close_graph();
  open_graph();
  build(b, 4);
  assert_int_equal(layer_state(b, &list, &fault), ERR_OK);
  assert_true(var_item(list.v[2], 5) == first);
  state_deinit(&list);
  object_release(a);
  object_release(b);
  close_graph();
}

/* -- normalization ----------------------------------------------------------------- */

/* Column 1: 1, 3, 8 (mean 4, biased variance 26/3, unbiased 13); column 2: 0, 0, 3. */
static const double batch[] = {1, 0, 3, 0, 8, 3};

TEST(batch_norm_training_and_running_statistics) {
  open_graph();
  Layer *norm = plain("BatchNorm");
  build(norm, 2);
  graph.training = true;
  Node *y = layer_call(&graph, norm, matrix(3, 2, batch));
  graph.training = false;
  CHECK_NEAR(item(y, 0), (1 - 4) / sqrt(26.0 / 3 + 1e-5), 1e-5);
  CHECK_NEAR(item(y, 5), (3 - 1) / sqrt(2 + 1e-5), 1e-5);
  CHECK_NEAR(var_item(norm->var[2], 0), 0.1 * 4, 1e-6);
  CHECK_NEAR(var_item(norm->var[2], 1), 0.1 * 1, 1e-6);
  CHECK_NEAR(var_item(norm->var[3], 0), 0.9 + 0.1 * 13, 1e-6);
  CHECK_NEAR(var_item(norm->var[3], 1), 0.9 + 0.1 * 3, 1e-6);
  Node *z = layer_call(&graph, norm, matrix(3, 2, batch));
  CHECK_NEAR(item(z, 0), (1 - 0.4) / sqrt(2.2 + 1e-5), 1e-5);
  CHECK_NEAR(var_item(norm->var[2], 0), 0.4, 1e-6);
  object_release(norm);
  close_graph();
}

TEST(batch_norm_over_images_takes_each_channel) {
  open_graph();
  Layer *norm = plain("BatchNorm");
  double x[] = {1, 3, 10, 20, 5, 7, 30, 40}; /* [2, 2, 2, 1] */
  graph.training = true;
  Node *y = layer_call(&graph, norm,
                       graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2, 2, 2, 1), x));
  graph.training = false;
  CHECK_NEAR(item(y, 0), (1 - 4) / sqrt(5 + 1e-5), 1e-5);
  CHECK_NEAR(item(y, 7), (40 - 25) / sqrt(125 + 1e-5), 1e-5);
  CHECK_NEAR(var_item(norm->var[3], 0), 0.9 + 0.1 * 20 / 3, 1e-5);
  Node *z = layer_call(&graph, norm,
                       graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2, 2, 2, 1), x));
  CHECK_NEAR(item(z, 7), (40 - 2.5) / sqrt(0.9 + 0.1 * 500 / 3 + 1e-5), 1e-4);
  object_release(norm);
  close_graph();
}

TEST(frozen_batch_norm_uses_running_statistics_in_training) {
  open_graph();
  Layer *net = plain("Sequential");
  add(net, plain("BatchNorm"));
  build(net, 2);
  assert_true(layer_needs_batches(net));
  assert_int_equal(layer_freeze(net, "batch_*", true, &fault), ERR_OK);
  assert_false(layer_needs_batches(net));
  graph.training = true;
  Node *y = layer_call(&graph, net, matrix(3, 2, batch));
  graph.training = false;
  CHECK_NEAR(item(y, 4), 8 / sqrt(1 + 1e-5), 1e-5);
  assert_int_equal(layer_freeze(net, "conv_1", true, &fault), ERR_VALUE);
  object_release(net);
  close_graph();
}

TEST(batch_norm_refuses_one_row_in_training_and_large_momentum) {
  open_graph();
  Layer *norm = plain("BatchNorm");
  const Option *momentum = option_find(norm->object.kind, "momentum", &fault);
  assert_int_equal(give_number(&norm->object, momentum, 0.99, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "Keras's 0.99 is 0.01 here"));
  graph.training = true;
  assert_null(layer_call(&graph, norm, matrix(1, 2, batch)));
  assert_non_null(strstr(graph.fault.text, "batch_norm_1"));
  graph.training = false;
  fault_clear(&graph.fault);
  object_release(norm);
  close_graph();
}

TEST(layer_norm_normalizes_rows) {
  open_graph();
  Layer *norm = plain("LayerNorm");
  double x[] = {1, 2, 6, 0, 0, 9};
  Node *y = layer_call(&graph, norm, matrix(2, 3, x));
  CHECK_NEAR(item(y, 0), (1 - 3) / sqrt(14.0 / 3 + 1e-5), 1e-5);
  CHECK_NEAR(item(y, 5), (9 - 3) / sqrt(18 + 1e-5), 1e-5);
  object_release(norm);
  close_graph();
}

/* -- Dropout ----------------------------------------------------------------------- */

TEST(dropout_is_inverted_and_only_in_training) {
  open_graph();
  Layer *drop = make("Dropout");
  set_number(drop, "rate", 0.25);
  ready(drop);
  const int64_t n = 20000;
  Node *x = op_full(&graph, 3, &SHAPE_OF(n, 1));
  assert_ptr_equal(layer_call(&graph, drop, x), x);
  graph.training = true;
  Node *y = layer_call(&graph, drop, x), *z = layer_call(&graph, drop, x);
  graph.training = false;
  int64_t zeros = 0, differ = 0;
  for (int64_t i = 0; i < n; i++) {
    double v = item(y, i);
    if (v == 0) zeros++;
    else CHECK_NEAR(v, 4, 1e-5);
    differ += v != item(z, i);
  }
  CHECK_NEAR((double)zeros / (double)n, 0.25, 0.015);
  assert_true(differ > 0);
  object_release(drop);
  close_graph();
}

/* -- containers -------------------------------------------------------------------- */

TEST(residual_adds_its_input) {
  open_graph();
  Layer *residual = make("Residual"), *block = dense(2);
  const Option *opt = option_find(residual->object.kind, "block", &fault);
  assert_int_equal(option_set_object(&residual->object, opt, &block->object, &fault),
                   ERR_OK);
  ready(residual);
  double x[] = {1, -1};
  Node *y = layer_call(&graph, residual, matrix(1, 2, x));
  Node *inner = layer_call(&graph, block, matrix(1, 2, x));
  assert_string_equal(block->name, "dense_1");
  for (int i = 0; i < 2; i++) CHECK_NEAR(item(y, i), x[i] + item(inner, i), 1e-6);
  object_release(block);
  object_release(residual);
  close_graph();
}

/* -- load, predict, summary -------------------------------------------------------- */

TEST(load_lists_what_is_missing_and_unknown_and_changes_nothing) {
  open_graph();
  Layer *layer = dense(2);
  build(layer, 3);
  double before = var_item(layer->var[0], 0), w[6] = {0};
  NamedValue unknown[] = {{"dense_1.weight", matrix(3, 2, w)}, {"dense_9.bias", NULL}};
  unknown[1].value = matrix(1, 2, w);
  assert_int_equal(layer_load(&graph, layer, unknown, 2, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "missing dense_1.bias"));
  assert_non_null(strstr(fault.text, "unknown dense_9.bias"));
  fault_clear(&fault);
  NamedValue wrong[] = {{"dense_1.weight", matrix(2, 3, w)}, {"dense_1.bias", NULL}};
  wrong[1].value = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2), w);
  assert_int_equal(layer_load(&graph, layer, wrong, 2, &fault), ERR_SHAPE);
  assert_non_null(strstr(fault.text, "3x2"));
  assert_non_null(strstr(fault.text, "2x3"));
  assert_true(var_item(layer->var[0], 0) == before);
  object_release(layer);
  close_graph();
}

TEST(predict_in_batches_equals_one_forward) {
  open_graph();
  Layer *net = plain("Sequential");
  add(net, dense(5));
  add(net, dense(3));
  Node *x = op_random_normal(&graph, &SHAPE_OF(11, 4), 0, 1,
                             graph_draw(&graph, "user", NULL));
  const Ports in = layer_ports_of(x, NULL);
  Node *all = layer_call(&graph, net, x), *parts = layer_predict(&graph, net, &in, 4);
  Node *labels = layer_predict_classes(&graph, net, &in, 4);
  assert_non_null(parts);
  assert_int_equal(parts->shape.dim[0], 11);
  for (int i = 0; i < 33; i++) CHECK_NEAR(item(parts, i), item(all, i), 1e-5);
  for (int i = 0; i < 11; i++) {
    int best = (int)item(labels, i);
    assert_in_range(best, 1, 3);
    for (int c = 0; c < 3; c++)
      assert_true(item(parts, i * 3 + best - 1) >= item(parts, i * 3 + c));
  }
  object_release(net);
  close_graph();
}

TEST(summary_counts_parameters_and_names_the_form_of_the_loss) {
  open_graph();
  Layer *net = plain("Sequential");
  Loss *loss = (Loss *)family_make(&loss_family, "cross_entropy", &fault);
  add(net, dense(2));
  add(net, plain("BatchNorm"));
  Text text = {0};
  assert_int_equal(layer_summary(&graph, net, NULL, false, &text, &fault), ERR_OK);
  assert_non_null(strstr(text.data, "not built"));
  text_deinit(&text);
  build(net, 3);
  assert_int_equal(layer_freeze(net, "batch_norm_1", true, &fault), ERR_OK);
  assert_int_equal(layer_summary(&graph, net, loss, false, &text, &fault), ERR_OK);
  assert_non_null(strstr(text.data, "12 parameters, 8 trainable"));
  assert_non_null(strstr(text.data, "frozen"));
  assert_non_null(strstr(text.data, "logits"));
  text_deinit(&text);
  object_release(loss);
  object_release(net);
  close_graph();
}

TEST(a_rolled_back_build_is_built_again_with_the_same_values) {
  open_graph();
  Layer *net = dense(2);
  double x[] = {1, 2, 3};
  graph_begin(&graph);
  double first = item(layer_call(&graph, net, matrix(1, 3, x)), 0);
  graph_rollback(&graph);
  assert_false(layer_built(net));
  assert_int_equal(graph.count.nets, 0);
  assert_true(item(layer_call(&graph, net, matrix(1, 3, x)), 0) == first);
  assert_int_equal(graph.count.nets, 1);
  object_release(net);
  close_graph();
}
