/* test_layers_gradients.c: the gradient of every layer, activation and loss, on several
 * shapes.
 *
 *   L(x, w) = sum(c * y) over all results y,  c fixed and pseudo-random
 *   dL/dx for every input x and dL/dw for every parameter w against central
 *   differences of L
 *
 * in training (with the same draws at each evaluation) and in inference mode,
 * |analytic - numeric| <= 1e-6 max(1, |numeric|inf). Layers are those of their records'
 * samples: a kind without a sample fails. Values are compared in the double build
 * alone; the float build checks that gradients are finite. */
#include "graph/item.h"
#include "nn/layer_sample.h"

enum { MAX_SHAPES = 3, MAX_WRT = 64 };

static Graph graph;
static Fault fault;

/* -- layers ------------------------------------------------------------------------ */

/* A layer under test with its inputs. */
typedef struct Case {
  Layer *layer;
  int n_in;
  Tensor *x[SAMPLE_INPUTS];
} Case;

/* L for the layer's present parameters, with the same draws each time. `x`: NULL: the
 * case's. */
static Node *emit(const Case *c, Node *const *x) {
  graph_seed(&graph, 1);
  Ports in = {.n = c->n_in};
  for (int i = 0; i < c->n_in; i++) in.v[i].x = x ? x[i] : graph_const(&graph, c->x[i]);
  Ports y = layer_call_ports(&graph, c->layer, &in);
  if (!y.n) fail_msg("%s: %s", c->layer->object.kind->name, graph.fault.text);
  Node *total = NULL;
  for (int i = 0; i < y.n; i++) {
    Tensor *w = sample_numbers(&y.v[i].x->shape, 5000 + 1000 * (uint64_t)i, -1.5, 1.5);
    Node *sum = op_sum(&graph, op_mul(&graph, y.v[i].x, graph_const(&graph, w)),
                       ALL_AXES, false);
    tensor_release(w);
    total = total ? op_add(&graph, total, sum) : sum;
  }
  return total;
}

static double evaluate(const Case *c) {
  int scope = graph_scope_begin(&graph);
  double value = item_of(&graph, emit(c, NULL));
  graph_scope_end(&graph, scope);
  return value;
}

/* Compares `analytic` with differences in the elements of `t`, the values of `v` or
 * (NULL) an input of the case. */
static void compare(const Tensor *analytic, Tensor *t, const Case *c, Variable *v,
                    const char *what) {
#ifdef REAL_DOUBLE
  const double h = 1e-5;
  double largest = 1;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < tensor_count(t); i++) {
      double value[2], old = array_get(&t->a, i);
      for (int side = 0; side < 2; side++) {
        array_set(&t->a, i, old + (side ? h : -h));
        if (v)
          assert_int_equal(variable_assign(&graph, v, graph_const(&graph, t)), ERR_OK);
        value[side] = evaluate(c);
      }
      array_set(&t->a, i, old);
      if (v)
        assert_int_equal(variable_assign(&graph, v, graph_const(&graph, t)), ERR_OK);
      double numeric = (value[1] - value[0]) / (2 * h);
      if (pass == 0) largest = fmax(largest, fabs(numeric));
      else if (!(fabs(array_get(&analytic->a, i) - numeric) <= 1e-6 * largest))
        fail_msg("%s, %s, element %d: %.12g, difference %.12g",
                 c->layer->object.kind->name, what, (int)i + 1,
                 array_get(&analytic->a, i), numeric);
    }
#else
  (void)c, (void)v;
  for (int64_t i = 0; i < tensor_count(t); i++)
    if (!isfinite(array_get(&analytic->a, i))) fail_msg("%s is not finite", what);
#endif
}

static Tensor *copy_of(const Tensor *t) {
  Tensor *copy = tensor_new(NULL, t->a.dtype, &t->a.shape, &fault);
  for (int64_t i = 0; i < tensor_count(t); i++)
    array_set(&copy->a, i, array_get(&t->a, i));
  return copy;
}

static void check_layer(const Kind *kind, const LayerSample *sample, bool training) {
  Case c = {.layer = sample_layer(kind, sample), .n_in = sample_inputs(sample)};
  StateList list;
  for (int i = 0; i < c.n_in; i++)
    c.x[i] = sample_input(layer_kind(c.layer), sample, i);
  graph.training = training;
  evaluate(&c); /* builds */
  assert_int_equal(layer_parameters(c.layer, &list, &fault), ERR_OK);
  int n = c.n_in + list.n, scope = graph_scope_begin(&graph);
  assert_true(n <= MAX_WRT);
  Node *wrt[MAX_WRT], *grads[MAX_WRT];
  Tensor *value[MAX_WRT];
  for (int i = 0; i < c.n_in; i++)
    wrt[i] = graph_track(&graph, graph_const(&graph, c.x[i]));
  for (int i = 0; i < list.n; i++) wrt[c.n_in + i] = variable_read(&graph, list.v[i]);
  assert_int_equal(graph_grad(&graph, emit(&c, wrt), NULL, wrt, n, grads), ERR_OK);
  assert_int_equal(graph_eval(&graph, grads, n), ERR_OK);
  for (int i = 0; i < n; i++)
    value[i] = i < c.n_in ? tensor_retain(c.x[i])
                          : copy_of(graph_value(&graph, list.v[i - c.n_in]->current));
  for (int i = layer_kind(c.layer)->sample_ids ? 1 : 0; i < n; i++)
    compare(node_value(grads[i]), value[i], &c, i < c.n_in ? NULL : list.v[i - c.n_in],
            i < c.n_in ? "input" : list.v[i - c.n_in]->name);
  graph_scope_end(&graph, scope);
  for (int i = 0; i < n; i++) tensor_release(value[i]);
  for (int i = 0; i < c.n_in; i++) tensor_release(c.x[i]);
  state_deinit(&list);
  object_release(c.layer);
  graph.training = false;
}

TEST(every_layer) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  sample_graph = &graph;
  for (int k = 0; layer_family.kinds[k]; k++) {
    const LayerSample *sample = ((const LayerKind *)layer_family.kinds[k])->samples;
    if (!sample) fail_msg("nn.%s has no samples", layer_family.kinds[k]->name);
    for (; sample->out.rank; sample++)
      for (int training = 0; training < 2; training++)
        check_layer(layer_family.kinds[k], sample, training);
  }
  graph_close(&graph);
}

TEST(every_activation) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  const Shape shapes[] = {{2, {2, 1}}, {2, {3, 5}}, {2, {17, 7}}};
  const Shape even[] = {{2, {2, 2}}, {2, {3, 6}}, {2, {17, 4}}};
  const Kind *layer = family_find(&layer_family, "Activation", &fault);
  for (int k = 0; activation_family.kinds[k]; k++)
    for (int s = 0; s < MAX_SHAPES; s++) {
      const Kind *kind = activation_family.kinds[k];
      LayerSample sample = {.options = {{"activation", kind->name}}};
      /* layers that halve an axis need one that is even */
      sample.in[0] = sample.out = (option_named(kind, "layer") ? even : shapes)[s];
      check_layer(layer, &sample, true);
    }
  graph_close(&graph);
}

/* -- losses ------------------------------------------------------------------------ */

/* With weights 0, 0.5, 1 ..., or without. */
static Node *apply(const Loss *loss, Node *output, Node *target, bool weighted) {
  double w[32];
  int64_t n = output->shape.dim[0];
  for (int64_t i = 0; i < n; i++) w[i] = n == 1 ? 2 : 0.5 * (double)i;
  Node *weight = weighted ? graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(n), w) : NULL;
  return loss_apply(&graph, loss,
                    &(LossBatch){.output = output, .target = target, .weight = weight});
}

static void set_logits(Loss *loss, const char *value) {
  const Option *option = option_named(loss->object.kind, "from_logits");
  if (option)
    assert_int_equal(option_set_text(&loss->object, option, value, &fault), ERR_OK);
}

/* [N, C] outputs; targets of each loss. */
static Node *make_target(const Loss *loss, const Shape *shape) {
  LossTargets targets = loss_targets(loss);
  bool labels = targets == TARGETS_LABELS || targets == TARGETS_ALIKE;
  Tensor *t = labels ? tensor_new(NULL, DT_INT32, &SHAPE_OF(shape->dim[0]), &fault)
                     : sample_numbers(shape, 900, 0.1, 0.9);
  int64_t n_labels = targets == TARGETS_ALIKE ? 3 : shape->dim[1]; /* rows are alike */
  for (int64_t i = 0; labels && i < shape->dim[0]; i++)
    array_set(&t->a, i, (double)(1 + i % n_labels));
  Node *node = graph_const(&graph, t);
  tensor_release(t);
  return node;
}

typedef enum OutputForm {
  AS_LOGITS, AS_FOLDED, AS_RESHAPED, AS_PROBABILITIES, AS_SIGMOIDS, OUTPUT_FORMS
} OutputForm;

static Node *emit_loss(Loss *loss, Node *z, OutputForm form, bool weighted) {
  const char *fold = ((const LossKind *)loss->object.kind)->fold;
  Node *output = z;
  set_logits(loss, form == AS_LOGITS ? "true" : "auto");
  if (fold && form != AS_LOGITS)
    output = strcmp(fold, "softmax") == 0 ? op_softmax(&graph, z, 1)
                                          : op_sigmoid(&graph, z);
  if (form == AS_PROBABILITIES) { /* no longer the op's own output */
    set_logits(loss, "false");
    output = op_add(&graph, output, graph_scalar(&graph, 0));
  }
  if (form == AS_RESHAPED)
    output = op_reshape(&graph, op_reshape(&graph, output, &SHAPE_OF(-1)), &z->shape);
  if (form == AS_SIGMOIDS) { /* rows need not sum to 1 */
    set_logits(loss, "false");
    output = op_scale(&graph, op_sigmoid(&graph, z), 0.9);
  }
  Node *y = apply(loss, output, make_target(loss, &z->shape), weighted);
  if (!y) fail_msg("%s: %s", loss->object.kind->name, graph.fault.text);
  return y;
}

static double loss_value(Loss *loss, Tensor *z, OutputForm form, bool weighted) {
  int scope = graph_scope_begin(&graph);
  double value = item_of(&graph,
                         emit_loss(loss, graph_const(&graph, z), form, weighted));
  graph_scope_end(&graph, scope);
  return value;
}

static void check_loss(Loss *loss, const Shape *shape, OutputForm form, bool weighted) {
  int scope = graph_scope_begin(&graph);
  Tensor *z = sample_numbers(shape, 0, -2, 2);
  Node *leaf = graph_track(&graph, graph_const(&graph, z)), *grad = NULL;
  Node *y = emit_loss(loss, leaf, form, weighted);
  assert_int_equal(graph_grad(&graph, y, NULL, &leaf, 1, &grad), ERR_OK);
  Tensor *analytic = graph_value(&graph, grad);
  const double h = 1e-5;
  for (int64_t i = 0; i < tensor_count(z); i++) {
    double value[2], old = array_get(&z->a, i), got = array_get(&analytic->a, i);
    assert_true(isfinite(got));
    for (int side = 0; side < 2; side++) {
      array_set(&z->a, i, old + (side ? h : -h));
      value[side] = loss_value(loss, z, form, weighted);
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
    for (int s = loss_kind(loss)->coupled ? 1 : 0; s < MAX_SHAPES;
         s++) /* no pair in 0 */
      for (int form = AS_LOGITS; form < OUTPUT_FORMS; form++)
        for (int weighted = 0; weighted < 2; weighted++)
          check_loss(loss, &shapes[s], (OutputForm)form, weighted);
    object_release(loss);
  }
  graph_close(&graph);
}
