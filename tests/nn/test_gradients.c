/* test_gradients.c: the gradient of every layer, activation and loss, on several shapes.
 *
 *   L(x, w) = sum(c * y),  c fixed and pseudo-random
 *   dL/dx and dL/dw for every parameter w against central differences of L
 *
 * in training (with the same draws at each evaluation) and in inference mode,
 * |analytic - numeric| <= 1e-6 max(1, |numeric|inf). A kind without a case fails. Values
 * are compared in the double build alone; the float build checks that gradients are finite. */
#include "test.h"
#include "graph/ops.h"
#include "nn/nn.h"

enum { MAX_SHAPES = 3 };

typedef struct Case {
  const char *kind;
  const char *option;          /* set to a number, a name or a layer of that name */
  double number;
  const char *text;
  Shape shapes[MAX_SHAPES];    /* rank 0 ends */
} Case;

#define SHAPES_2D {{2, {2, 1}}, {2, {3, 5}}, {2, {17, 7}}}
#define SHAPES_ND {{2, {4, 3}}, {3, {3, 5, 2}}, {4, {2, 3, 2, 5}}}

static const Case layer_cases[] = {
    {"Sequential", "layers", 0, "Dense", SHAPES_2D},
    {"Residual", "block", 0, "LayerNorm", SHAPES_ND},
    {"Concat", "layers", 0, "Dense", SHAPES_2D},
    {"Dense", "units", 3, NULL, {{2, {1, 1}}, {2, {5, 7}}, {3, {2, 3, 4}}}},
    {"Flatten", NULL, 0, NULL, {{2, {3, 4}}, {3, {2, 3, 4}}, {4, {1, 2, 3, 2}}}},
    {"Activation", "activation", 0, "tanh", SHAPES_ND},
    {"BatchNorm", NULL, 0, NULL, SHAPES_ND},
    {"LayerNorm", NULL, 0, NULL, SHAPES_ND},
    {"Dropout", "rate", 0.4, NULL, SHAPES_ND},
    {"Lambda", "function", 0, NULL, SHAPES_2D},
    {"Identity", NULL, 0, NULL, SHAPES_2D},
    {0}};

static Graph graph;
static Fault fault;

/* -- a fixed source of numbers ----------------------------------------------------- */

static double number(uint64_t i, double lo, double hi) {
  Stream stream = {philox_key(5, "test", "gradients"), 0};
  return lo + (hi - lo) * philox_unit(philox_word(stream, i));
}

static Tensor *numbers(const Shape *shape, uint64_t from, double lo, double hi) {
  Tensor *t = tensor_new(NULL, DT_REAL, shape, &fault);
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double v = number(from + (uint64_t)i, lo, hi);
    /* Away from 0, where rectifiers have a kink. */
    array_set(&t->a, i, lo < 0 && fabs(v) < 0.05 ? v + 0.1 : v);
  }
  return t;
}

/* -- layers ------------------------------------------------------------------------ */

/* The user's function: y = x sin(x). */
static Err call_function(Callable *self, const Value *in, int n_in, Value *out, int n_out,
                         Fault *f) {
  (void)self, (void)n_in, (void)n_out, (void)f;
  Node *x = in[0].as.ref;
  *out = (Value){.kind = VALUE_NODE, .as.ref = op_mul(&graph, x, op_sin(&graph, x))};
  return ERR_OK;
}

static void free_function(Callable *self) { (void)self; }

static Object *inner_layer(const char *name) {
  Object *layer = object_new(family_find(&layer_family, name, &fault), &fault);
  const Option *first = option_at(layer->kind, 1);
  if (first) assert_int_equal(option_set_number(layer, first, 3, &fault), ERR_OK);
  assert_int_equal(object_ready(layer, NULL, &fault), ERR_OK);
  return layer;
}

static Layer *make_layer(const Case *c) {
  Object *layer = object_new(family_find(&layer_family, c->kind, &fault), &fault);
  const Option *opt = c->option ? option_find(layer->kind, c->option, &fault) : NULL;
  static Callable function = {1, call_function, free_function};
  Err err = ERR_OK;
  if (opt && opt->kind == OPT_CALL) err = option_set_call(layer, opt, &function, &fault);
  else if (opt && opt->family == &layer_family) {
    Object *inner = inner_layer(c->text);
    err = option_set_object(layer, opt, inner, &fault);
    object_release(inner);
  } else if (opt && c->text) err = option_set_text(layer, opt, c->text, &fault);
  else if (opt) err = option_set_number(layer, opt, c->number, &fault);
  if (err || object_ready(layer, NULL, &fault)) fail_msg("%s: %s", c->kind, fault.text);
  return (Layer *)layer;
}

/* L for the layer's present parameters, with the same draws each time. */
static Node *emit(Layer *layer, Node *x) {
  graph_seed(&graph, 1);
  Node *y = layer_call(&graph, layer, x);
  if (!y) fail_msg("%s: %s", layer->object.kind->name, graph.fault.text);
  Tensor *c = numbers(&y->shape, 5000, -1.5, 1.5);
  Node *sum = op_sum(&graph, op_mul(&graph, y, graph_const(&graph, c)), ALL_AXES, false);
  tensor_release(c);
  return sum;
}

static double evaluate(Layer *layer, Tensor *x) {
  int scope = graph_scope_begin(&graph);
  double value = graph_item(&graph, emit(layer, graph_const(&graph, x)));
  graph_scope_end(&graph, scope);
  return value;
}

/* Compares `analytic` with differences in the elements of `t`; `apply` makes a changed copy
 * count. */
static void compare(const Tensor *analytic, Tensor *t, Layer *layer, Tensor *x, Variable *v,
                    const char *what) {
#ifdef REAL_DOUBLE
  const double h = 1e-5;
  double largest = 1;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < tensor_count(t); i++) {
      double value[2], old = array_get(&t->a, i);
      for (int side = 0; side < 2; side++) {
        array_set(&t->a, i, old + (side ? h : -h));
        if (v) assert_int_equal(variable_assign(&graph, v, graph_const(&graph, t)), ERR_OK);
        value[side] = evaluate(layer, x);
      }
      array_set(&t->a, i, old);
      if (v) assert_int_equal(variable_assign(&graph, v, graph_const(&graph, t)), ERR_OK);
      double numeric = (value[1] - value[0]) / (2 * h);
      if (pass == 0) largest = fmax(largest, fabs(numeric));
      else if (!(fabs(array_get(&analytic->a, i) - numeric) <= 1e-6 * largest))
        fail_msg("%s, %s, element %d: %.12g, difference %.12g", layer->object.kind->name, what,
                 (int)i + 1, array_get(&analytic->a, i), numeric);
    }
#else
  (void)layer, (void)x, (void)v;
  for (int64_t i = 0; i < tensor_count(t); i++)
    if (!isfinite(array_get(&analytic->a, i))) fail_msg("%s is not finite", what);
#endif
}

static Tensor *copy_of(const Tensor *t) {
  Tensor *copy = tensor_new(NULL, t->a.dtype, &t->a.shape, &fault);
  for (int64_t i = 0; i < tensor_count(t); i++) array_set(&copy->a, i, array_get(&t->a, i));
  return copy;
}

static void check_layer(const Case *c, const Shape *shape, bool training) {
  Layer *layer = make_layer(c);
  Tensor *x = numbers(shape, 0, -2, 2), *value[LAYER_VARS + 1];
  StateList list;
  graph.training = training;
  evaluate(layer, x); /* builds */
  assert_int_equal(layer_parameters(layer, &list, &fault), ERR_OK);
  assert_true(list.n <= LAYER_VARS);
  int scope = graph_scope_begin(&graph);
  Node *wrt[LAYER_VARS + 1], *grads[LAYER_VARS + 1];
  wrt[0] = graph_track(&graph, graph_const(&graph, x));
  for (int i = 0; i < list.n; i++) wrt[i + 1] = variable_read(&graph, list.v[i]);
  Node *loss = emit(layer, wrt[0]);
  assert_int_equal(graph_grad(&graph, loss, NULL, wrt, list.n + 1, grads), ERR_OK);
  assert_int_equal(graph_eval(&graph, grads, list.n + 1), ERR_OK);
  value[0] = x;
  for (int i = 0; i < list.n; i++)
    value[i + 1] = copy_of(graph_value(&graph, list.v[i]->current));
  for (int i = 0; i <= list.n; i++)
    compare(node_value(grads[i]), value[i], layer, x, i ? list.v[i - 1] : NULL,
            i ? list.v[i - 1]->name : "input");
  graph_scope_end(&graph, scope);
  for (int i = 0; i <= list.n; i++) tensor_release(value[i]);
  state_deinit(&list);
  object_release(layer);
  graph.training = false;
}

TEST(every_layer) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int k = 0; layer_family.kinds[k]; k++) {
    const Case *c = layer_cases;
    while (c->kind && strcmp(c->kind, layer_family.kinds[k]->name) != 0) c++;
    if (!c->kind) fail_msg("layer %s has no case here", layer_family.kinds[k]->name);
    for (int s = 0; s < MAX_SHAPES; s++)
      for (int training = 0; training < 2; training++)
        check_layer(c, &c->shapes[s], training);
  }
  graph_close(&graph);
}

TEST(every_activation) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int k = 0; activation_family.kinds[k]; k++) {
    Case c = {"Activation", "activation", 0, activation_family.kinds[k]->name, SHAPES_2D};
    for (int s = 0; s < MAX_SHAPES; s++) check_layer(&c, &c.shapes[s], true);
  }
  graph_close(&graph);
}

/* -- losses ------------------------------------------------------------------------ */

/* [N, C] outputs; targets of each loss. */
static Node *make_target(const Loss *loss, const Shape *shape) {
  bool labels = loss_targets(loss) == TARGETS_LABELS;
  Tensor *t = labels ? tensor_new(NULL, DT_INT32, &SHAPE_OF(shape->dim[0]), &fault)
                     : numbers(shape, 900, 0.1, 0.9);
  for (int64_t i = 0; labels && i < shape->dim[0]; i++)
    array_set(&t->a, i, (double)(1 + i % shape->dim[1]));
  Node *node = graph_const(&graph, t);
  tensor_release(t);
  return node;
}

typedef enum OutputForm { AS_LOGITS, AS_FOLDED, AS_PROBABILITIES } OutputForm;

static Node *emit_loss(Loss *loss, Node *z, OutputForm form) {
  const char *fold = ((const LossKind *)loss->object.kind)->fold;
  Node *output = z;
  loss->from_logits = form == AS_LOGITS ? LOGITS_TRUE : LOGITS_AUTO;
  if (fold && form != AS_LOGITS)
    output = strcmp(fold, "softmax") == 0 ? op_softmax(&graph, z, 1) : op_sigmoid(&graph, z);
  if (form == AS_PROBABILITIES) { /* no longer the op's own output */
    loss->from_logits = LOGITS_FALSE;
    output = op_add(&graph, output, graph_scalar(&graph, 0));
  }
  Node *y = loss_apply(&graph, loss, output, make_target(loss, &z->shape));
  if (!y) fail_msg("%s: %s", loss->object.kind->name, graph.fault.text);
  return y;
}

static double loss_value(Loss *loss, Tensor *z, OutputForm form) {
  int scope = graph_scope_begin(&graph);
  double value = graph_item(&graph, emit_loss(loss, graph_const(&graph, z), form));
  graph_scope_end(&graph, scope);
  return value;
}

static void check_loss(Loss *loss, const Shape *shape, OutputForm form) {
  int scope = graph_scope_begin(&graph);
  Tensor *z = numbers(shape, 0, -2, 2);
  Node *leaf = graph_track(&graph, graph_const(&graph, z)), *grad = NULL;
  Node *y = emit_loss(loss, leaf, form);
  assert_int_equal(graph_grad(&graph, y, NULL, &leaf, 1, &grad), ERR_OK);
  Tensor *analytic = graph_value(&graph, grad);
  const double h = 1e-5;
  for (int64_t i = 0; i < tensor_count(z); i++) {
    double value[2], old = array_get(&z->a, i), got = array_get(&analytic->a, i);
    assert_true(isfinite(got));
    for (int side = 0; side < 2; side++) {
      array_set(&z->a, i, old + (side ? h : -h));
      value[side] = loss_value(loss, z, form);
    }
    array_set(&z->a, i, old);
    double tolerance = sizeof(real) == sizeof(double) ? 1e-6 : INFINITY;
    CHECK_NEAR(got, (value[1] - value[0]) / (2 * h), tolerance);
  }
  tensor_release(z);
  graph_scope_end(&graph, scope);
}

TEST(every_loss) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  const Shape shapes[] = {{2, {1, 2}}, {2, {5, 3}}, {2, {9, 17}}};
  for (int k = 0; loss_family.kinds[k]; k++) {
    Loss *loss = (Loss *)family_make(&loss_family, loss_family.kinds[k]->name, &fault);
    for (int s = 0; s < MAX_SHAPES; s++)
      for (int form = AS_LOGITS; form <= AS_PROBABILITIES; form++)
        check_loss(loss, &shapes[s], (OutputForm)form);
    object_release(loss);
  }
  graph_close(&graph);
}
