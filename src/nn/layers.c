/* layers.c: leaf layers: Dense, Flatten, Activation, Lambda, Identity; what is like
 * Dense (linear.h); and the family. */
#include "nn/linear.h"
#include "graph/ops.h"
#include <stdio.h>

/* -- a weight, a bias and an activation -------------------------------------------- */

Err linear_declare(Linear *self, int n_weights, Fault *fault) {
  Err err = ERR_OK;
  layer_adopt_activation(&self->layer);
  for (int i = 0; !err && i < n_weights + self->bias; i++)
    err = layer_declare(&self->layer, i, true, fault);
  return err;
}

Err linear_check(Object *object, Fault *fault) {
  return linear_declare((Linear *)object, 1, fault);
}

Err linear_give(Graph *graph, Linear *self, const Shape *weight, int bias, int64_t n,
                double fan_in, double fan_out, Fault *fault) {
  Layer *layer = &self->layer;
  Err err = layer_give(graph, layer, 0, self->init, weight, fan_in, fan_out, fault);
  if (err || !self->bias) return err;
  return layer_give(graph, layer, bias, self->bias_init, &SHAPE_OF(n), fan_in, fan_out,
                    fault);
}

/* -- Dense ------------------------------------------------------------------------- */

typedef struct Dense {
  Linear linear;
  int64_t units;
} Dense;

enum { WEIGHT, BIAS };
static const char *const dense_vars[] = {"weight", "bias", NULL};

static Err dense_build(Graph *graph, Layer *layer, const Ports *ports, Fault *fault) {
  Dense *d = (Dense *)layer;
  const Shape *in = &ports->v[0].x->shape;
  if (in->rank < 2) return layer_refuse_input(layer, "[N, inputs]", in, fault);
  int64_t n = in->dim[in->rank - 1];
  return linear_give(graph, &d->linear, &SHAPE_OF(n, d->units), BIAS, d->units,
                     (double)n, (double)d->units, fault);
}

/* Y = X W + b over the last axis. */
static Node *dense_forward(Graph *graph, Layer *layer, Node *x) {
  const Linear *self = (const Linear *)layer;
  int64_t n_in = layer->var[WEIGHT]->current->shape.dim[0];
  if (x->shape.rank < 2 || x->shape.dim[x->shape.rank - 1] != n_in) {
    char expects[64];
    snprintf(expects, sizeof expects, "[N, %lld]", (long long)n_in);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  Node *w = layer_read(graph, layer, WEIGHT);
  Node *y = op_matmul(graph, op_cast(graph, x, DT_REAL), w);
  if (self->bias) y = op_add(graph, y, variable_read(graph, layer->var[BIAS]));
  return layer_activated(graph, layer, y);
}

#define AT(type, field) .offset = offsetof(type, field)

static const Option dense_options[] = {
    {.name = "units", .kind = OPT_INT, AT(Dense, units), .position = 1, .lo = 1,
     .hi = 1e9, .sizes = true,
     .alias = "out_features", .doc = "number of outputs, the last axis of the result"},
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_dense = {
    .kind = {.name = "Dense", .alias = "Linear", .family = &layer_family,
             .size = sizeof(Dense), .options = dense_options,
             .call = "nn.Dense(3)",
             .doc = "Fully connected layer, on the last axis: [N, in] -> [N, units]. "
                    "weight [in, units], bias [units].",
             .equation = "Y = X W + b",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, section "
                       "6.1",
             .check = linear_check, .deinit = layer_deinit},
    .prefix = "dense", .gives_steps = true, .keeps_time = true, .vars = dense_vars,
    .activation = offsetof(Linear, activation), .units_axis = 2,
    .samples = (const LayerSample[]){
        {{{"units", "3"}}, {{2, {1, 1}}}, {2, {1, 3}}},
        {{{"units", "2"}, {"activation", "tanh"}}, {{2, {5, 7}}}, {2, {5, 2}}},
        {{{"units", "4"}, {"bias", "false"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 4}}},
        LAYER_SAMPLES_END},
    .build = dense_build, .forward = dense_forward};

/* -- Flatten ----------------------------------------------------------------------- */

static Node *flatten_forward(Graph *graph, Layer *layer, Node *x) {
  if (x->shape.rank < 1) return layer_refuse(graph, layer, "[N, ...]", &x->shape);
  if (x->shape.rank == 2) return x;
  return op_reshape(graph, x, &SHAPE_OF(x->shape.dim[0], shape_stride(&x->shape, 0)));
}

static const Option plain_options[] = {LAYER_OPTIONS, {0}};

const LayerKind layer_flatten = {
    .kind = {.name = "Flatten", .family = &layer_family, .size = sizeof(Layer),
             .options = plain_options, .deinit = layer_deinit,
             .doc = "Joins all axes but the first: [N, a, b] -> [N, a b].",
             .equation = "y[n, (i - 1) b + j] = x[n, i, j]",
             .source = "LeCun et al., Proc. IEEE 86, 1998, section II (images as "
                       "vectors)"},
    .prefix = "flatten",
    .samples = (const LayerSample[]){
        {.in = {{2, {3, 4}}}, .out = {2, {3, 4}}},
        {.in = {{3, {2, 3, 4}}}, .out = {2, {2, 12}}},
        {.in = {{4, {1, 2, 3, 2}}}, .out = {2, {1, 12}}},
        LAYER_SAMPLES_END},
    .forward = flatten_forward};

/* -- Identity ---------------------------------------------------------------------- */

static Node *identity_forward(Graph *graph, Layer *layer, Node *x) {
  (void)graph, (void)layer;
  return x;
}

const LayerKind layer_identity = {
    .kind = {.name = "Identity", .family = &layer_family, .size = sizeof(Layer),
             .options = plain_options, .deinit = layer_deinit,
             .doc = "Passes its input on unchanged.", .equation = "y = x",
             .source = "He et al., CVPR 2016, section 3.2 (identity shortcuts)"},
    .prefix = "identity", .norm = "none", .keeps_time = true,
    .samples = (const LayerSample[]){
        {.in = {{2, {3, 5}}}, .out = {2, {3, 5}}},
        {.in = {{3, {2, 1, 4}}}, .out = {3, {2, 1, 4}}},
        LAYER_SAMPLES_END},
    .forward = identity_forward};

/* -- Activation -------------------------------------------------------------------- */

typedef struct ActivationLayer {
  Layer layer;
  Activation *activation;
} ActivationLayer;

static Node *activation_forward(Graph *graph, Layer *layer, Node *x) {
  Activation *activation = ((ActivationLayer *)layer)->activation;
  return activation_apply(graph, activation, op_cast(graph, x, DT_REAL));
}

static Err activation_check(Object *object, Fault *fault) {
  (void)fault;
  layer_adopt_activation((Layer *)object);
  return ERR_OK;
}

static const Option activation_options[] = {
    {.name = "activation", .kind = OPT_OBJECT, AT(ActivationLayer, activation),
     .position = 1, .family = &activation_family, .doc = "the activation function"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_activation = {
    .kind = {.name = "Activation", .family = &layer_family,
             .size = sizeof(ActivationLayer),
             .options = activation_options, .check = activation_check,
             .deinit = layer_deinit,
             .call = "nn.Activation(\"tanh\")",
             .doc = "Applies an activation function, as a layer of its own.",
             .equation = "y = f(x)",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, section "
                       "6.3"},
    .prefix = "activation", .keeps_time = true,
    .activation = offsetof(ActivationLayer, activation),
    .samples = (const LayerSample[]){
        {{{"activation", "tanh"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"activation", "softmax"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        {{{"activation", "gelu"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        LAYER_SAMPLES_END},
    .forward = activation_forward};

Layer *layer_activation_new(Activation *activation, Fault *fault) {
  ActivationLayer *layer = (ActivationLayer *)object_new(&layer_activation.kind, fault);
  if (!layer) return NULL;
  layer->activation = object_retain(activation);
  layer_adopt_activation(&layer->layer);
  return &layer->layer;
}

/* -- Lambda ------------------------------------------------------------------------ */

typedef struct Lambda {
  Layer layer;
  Callable *function;
} Lambda;

static Ports lambda_ports(Graph *graph, Layer *layer, const Ports *in) {
  return layer_function(graph, layer, ((Lambda *)layer)->function, in);
}

static const Option lambda_options[] = {
    {.name = "function", .kind = OPT_CALL, AT(Lambda, function), .position = 1,
     .doc = "f(x, ...) -> tensor, ..."},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_lambda = {
    .kind = {.name = "Lambda", .family = &layer_family, .size = sizeof(Lambda),
             .options = lambda_options, .deinit = layer_deinit,
             .call = "nn.Lambda(function(x) return x * x end)",
             .doc = "Makes a layer of a function of one tensor or several. For a layer "
                    "with variables of its own see help \"forward\".",
             .equation = "y = f(x)",
             .source = "Chollet et al., Keras, 2015 (Lambda)"},
    .prefix = "lambda",
    .samples = (const LayerSample[]){
        {.in = {{2, {3, 5}}}, .out = {2, {3, 5}}},
        {.in = {{2, {2, 1}}, {2, {2, 1}}}, .out = {2, {2, 1}}},
        LAYER_SAMPLES_END},
    .ports = lambda_ports};

/* -- Unmask ------------------------------------------------------------------------ */

static Ports unmask_ports(Graph *graph, Layer *layer, const Ports *in) {
  (void)graph, (void)layer;
  Ports out = *in;
  for (int i = 0; i < out.n; i++) out.v[i].mask = NULL;
  return out;
}

const LayerKind layer_unmask = {
    .kind = {.name = "Unmask", .family = &layer_family, .size = sizeof(Layer),
             .options = plain_options, .deinit = layer_deinit,
             .doc = "Passes its input on without the mask of its steps: from here on "
                    "all steps count.",
             .equation = "y = x", .source = "Chollet et al., Keras, 2015 (masking)"},
    .prefix = "unmask", .knows_masks = true,
    .samples = (const LayerSample[]){
        {.in = {{3, {2, 3, 4}}}, .out = {3, {2, 3, 4}}},
        {.in = {{2, {3, 2}}, {3, {3, 2, 1}}}, .out = {2, {3, 2}}},
        LAYER_SAMPLES_END},
    .ports = unmask_ports};

/* -- all kinds --------------------------------------------------------------------- */

#define LAYER(name) extern const LayerKind layer_##name;
#include "nn/layers.def"
#undef LAYER

static const Kind *const layer_kinds[] = {
#define LAYER(name) &layer_##name.kind,
#include "nn/layers.def"
#undef LAYER
    NULL};

/* Not what variables have their sizes by, once they have values, nor
 * what layers inside were made by. */
static Err may_set(const Object *object, const Option *field, Fault *fault) {
  const Layer *layer = (const Layer *)object;
  bool (*reads)(const Option *) = layer_kind(layer)->reads;
  char label[96];
  kind_label(object->kind, label, sizeof label);
  if (reads && !reads(field))
    return fault_set(fault, ERR_VALUE,
                     "%s: \"%s\": the layers inside were made by it; allowed: to set "
                     "their fields",
                     label, field->name);
  for (int i = 0; field->sizes && i < layer->n_vars; i++)
    if (layer->var[i] && layer->var[i]->has_value)
      return fault_set(fault, ERR_VALUE,
                       "%s: \"%s\": the variables of %s have their sizes by it; "
                       "allowed: to set it before the first use, or another layer",
                       label, field->name, layer->name ? layer->name : "the layer");
  return ERR_OK;
}

const Family layer_family = {
    .name = "layer", .module = "nn", .kinds = layer_kinds,
    .from_function = &layer_lambda.kind,
    .example = "print(%s(tensor.randn(4, 6)))", .may_set = may_set};
