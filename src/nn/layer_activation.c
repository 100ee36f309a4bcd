/* layer_activation.c: activations that are layers, because they have variables (PReLU),
 * draw (RReLU) or change the shape (Maxout, GLU). Each is an activation, too, so that
 * `activation = "prelu"` names it: the layer around it then holds it. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>

#define AT(type, field) .offset = offsetof(type, field)

/* x where it is above 0, else slope x; NaN stays NaN. */
static Node *sloped(Graph *g, Node *x, Node *slope) {
  return op_where(g, op_gt(g, x, graph_scalar(g, 0)), x, op_mul(g, x, slope));
}

/* Axis number `axis` (from 1, -1 is the last) of x, from 0; the batch axis is refused,
 * in graph->fault, with -1. */
static int example_axis(Graph *graph, Layer *layer, int64_t axis, const Shape *x) {
  int64_t at = shape_axis(x->rank, axis);
  if (at > 0 && at < x->rank) return (int)at;
  char expects[64];
  snprintf(expects, sizeof expects, "an axis %lld behind the batch axis",
           (long long)axis);
  layer_refuse(graph, layer, expects, x);
  return -1;
}

#define AXIS_OPTION(type)                                                              \
  {.name = "axis", .kind = OPT_INT, AT(type, axis), .value = "-1", .alias = "dim",     \
   .lo = -MAX_RANK, .hi = MAX_RANK,                                                    \
   .doc = "axis of the units; axis 1 is the batch, -1 the last"}

/* -- PReLU ------------------------------------------------------------------------- */

typedef struct PRelu {
  Layer layer;
  IntList shared_axes;
  int64_t num_parameters; /* 0: as shared_axes says */
  double init;
} PRelu;

static const char *const prelu_vars[] = {"weight", NULL};

static Err prelu_check(Object *object, Fault *fault) {
  PRelu *self = (PRelu *)object;
  for (int i = 0; i < self->shared_axes.n; i++)
    if (self->shared_axes.v[i] < 2)
      return fault_set(fault, ERR_VALUE,
                       "nn.PReLU: option \"shared_axes\": got %lld, allowed: axes from "
                       "2 on; axis 1 is the batch",
                       (long long)self->shared_axes.v[i]);
  if (self->shared_axes.n && self->num_parameters)
    return fault_set(fault, ERR_VALUE,
                     "nn.PReLU: \"shared_axes\" and \"num_parameters\" are given; "
                     "allowed: one of them");
  return layer_declare(&self->layer, 0, true, fault);
}

/* One example's shape with 1 along shared axes. */
static Err prelu_shape(const PRelu *self, const Shape *x, Shape *out, Fault *fault) {
  char got[SHAPE_TEXT];
  *out = (Shape){.rank = x->rank - 1};
  for (int i = 1; i < x->rank; i++) {
    bool channels = i == 1 && self->num_parameters > 1;
    out->dim[i - 1] = self->num_parameters && !channels ? 1 : x->dim[i];
  }
  for (int i = 0; i < self->shared_axes.n; i++) {
    if (self->shared_axes.v[i] > x->rank)
      return fault_set(fault, ERR_SHAPE, "%s: shares axis %lld, got %s",
                       self->layer.name, (long long)self->shared_axes.v[i],
                       shape_text(got, x));
    out->dim[self->shared_axes.v[i] - 2] = 1;
  }
  if (x->rank > 1 && (self->num_parameters < 2 || self->num_parameters == x->dim[1]))
    return ERR_OK;
  const char *expects = self->num_parameters > 1 ? "[N, num_parameters, ...]"
                                                 : "[N, C, ...]";
  return layer_refuse_input(&self->layer, expects, x, fault);
}

static Err prelu_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const PRelu *self = (const PRelu *)layer;
  Shape shape;
  Err err = prelu_shape(self, &in->v[0].x->shape, &shape, fault);
  return err ? err : layer_give_constant(graph, layer, 0, self->init, &shape, fault);
}

static Node *prelu_forward(Graph *graph, Layer *layer, Node *x) {
  Shape want;
  Fault fault = {0};
  if (prelu_shape((const PRelu *)layer, &x->shape, &want, &fault)) {
    fault_pass(&graph->fault, &fault);
    return NULL;
  }
  const Shape *have = &layer->var[0]->current->shape;
  if (!shape_equal(have, &want)) {
    char expects[64 + SHAPE_TEXT], text[SHAPE_TEXT];
    snprintf(expects, sizeof expects, "an example that fits its weight of %s",
             shape_text(text, have));
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  return sloped(graph, op_cast(graph, x, DT_REAL), layer_read(graph, layer, 0));
}

#define PRELU_EQUATION "y = x if x > 0 else weight x"
#define PRELU_SOURCE "He et al., ICCV 2015, section 2.1"
ACTIVATION_OF_LAYER(prelu, "PReLU", "he_normal",
                    "Rectified linear unit with trained slopes for negative inputs.",
                    PRELU_EQUATION, PRELU_SOURCE);

static const Option prelu_layer_options[] = {
    {.name = "shared_axes", .kind = OPT_INTS, AT(PRelu, shared_axes),
     .doc = "axes along which slopes are shared, from 2 on (axis 1 is the batch): { 3, "
            "4 } of images is a slope for each channel; without: one for each unit"},
    {.name = "num_parameters", .kind = OPT_INT, AT(PRelu, num_parameters), .value = "0",
     .lo = 0, .hi = 1e9,
     .doc = "1: one slope for all; the number of channels (axis 2): one for each; 0: "
            "as shared_axes says"},
    {.name = "init", .kind = OPT_REAL, AT(PRelu, init), .value = "0.25", .lo = -1e6,
     .hi = 1e6, .doc = "initial slope (Keras: 0)"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_prelu = {
    .kind = {.name = "PReLU", .family = &layer_family, .size = sizeof(PRelu),
             .options = prelu_layer_options, .check = prelu_check,
             .deinit = layer_deinit,
             .doc = "Rectified linear unit with trained slopes for negative inputs, "
                    "one for each unit, or shared. weight has the shape of one "
                    "example, 1 along shared axes. Take it out of weight decay, which "
                    "pulls the slope to 0.",
             .equation = PRELU_EQUATION, .source = PRELU_SOURCE},
    .prefix = "prelu", .keeps_time = true, .vars = prelu_vars,
    .as_activation = &activation_prelu,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"shared_axes", "3"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        {{{"shared_axes", "3 4"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        {{{"num_parameters", "1"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"num_parameters", "3"}, {"init", "-0.5"}}, {{3, {2, 3, 2}}}, {3, {2, 3, 2}}},
        LAYER_SAMPLES_END},
    .build = prelu_build, .forward = prelu_forward};

/* -- RReLU ------------------------------------------------------------------------- */

typedef struct RRelu {
  Layer layer;
  double lower, upper;
} RRelu;

static Err rrelu_check(Object *object, Fault *fault) {
  const RRelu *self = (const RRelu *)object;
  if (self->lower <= self->upper) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "nn.RReLU: lower %g is above upper %g",
                   self->lower, self->upper);
}

static Node *rrelu_forward(Graph *graph, Layer *layer, Node *x) {
  const RRelu *self = (const RRelu *)layer;
  char name[STREAM_NAME];
  x = op_cast(graph, x, DT_REAL);
  if (!graph->training || !x)
    return op_leaky_relu(graph, x, (self->lower + self->upper) / 2);
  if (!layer_stream(graph, layer, name)) return NULL;
  Stream stream = graph_draw(graph, "noise", name);
  return sloped(graph, x,
                op_random_uniform(graph, &x->shape, self->lower, self->upper, stream));
}

#define RRELU_EQUATION                                                                 \
  "y = x if x > 0 else a x, a ~ U(lower, upper); inference: a = (lower + upper) / 2"
#define RRELU_SOURCE "Xu et al., arXiv:1505.00853, section 2.4"
ACTIVATION_OF_LAYER(rrelu, "RReLU", "he_normal",
                    "Rectified linear unit with random slopes for negative inputs.",
                    RRELU_EQUATION, RRELU_SOURCE);

static const Option rrelu_layer_options[] = {
    {.name = "lower", .kind = OPT_REAL, AT(RRelu, lower), .value = "0.125",
     .position = 1, .lo = 0, .hi = 1, .doc = "smallest slope"},
    {.name = "upper", .kind = OPT_REAL, AT(RRelu, upper),
     .value = "0.3333333333333333", .position = 2, .lo = 0, .hi = 1,
     .doc = "largest slope"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_rrelu = {
    .kind = {.name = "RReLU", .family = &layer_family, .size = sizeof(RRelu),
             .options = rrelu_layer_options, .check = rrelu_check,
             .deinit = layer_deinit,
             .doc = "Rectified linear unit whose slope for negative inputs is drawn "
                    "anew for each element in training. In inference it is the mean "
                    "slope.",
             .equation = RRELU_EQUATION, .source = RRELU_SOURCE},
    .prefix = "rrelu", .keeps_time = true, .as_activation = &activation_rrelu,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"lower", "0.2"}, {"upper", "0.9"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = rrelu_forward};

/* -- Maxout ------------------------------------------------------------------------ */

typedef struct Maxout {
  Layer layer;
  int64_t pieces, axis;
} Maxout;

/* The axis of k m numbers as two, [m, k]: the largest along the second. */
static Node *maxout_forward(Graph *graph, Layer *layer, Node *x) {
  const Maxout *self = (const Maxout *)layer;
  int axis = example_axis(graph, layer, self->axis, &x->shape);
  if (axis < 0) return NULL;
  if (x->shape.dim[axis] % self->pieces) {
    char expects[96];
    snprintf(expects, sizeof expects, "a multiple of %lld pieces along axis %d",
             (long long)self->pieces, axis + 1);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  Shape out = x->shape, parts = SHAPE_OF(-1, self->pieces, shape_stride(&out, axis));
  out.dim[axis] /= self->pieces;
  x = op_reshape(graph, op_cast(graph, x, DT_REAL), &parts);
  return op_reshape(graph, op_max(graph, x, 1u << 1, false), &out);
}

#define MAXOUT_EQUATION "y_j = max(x_k(j-1)+1, ..., x_kj), k = pieces"
#define MAXOUT_SOURCE "Goodfellow et al., ICML 2013, section 3"
ACTIVATION_OF_LAYER(maxout, "Maxout", NULL,
                    "The larger of every two neighbours along the last axis.",
                    MAXOUT_EQUATION, MAXOUT_SOURCE);

static const Option maxout_layer_options[] = {
    {.name = "pieces", .kind = OPT_INT, AT(Maxout, pieces), .value = "2", .position = 1,
     .lo = 1, .hi = 1e9, .doc = "number of neighbours of which one is taken"},
    AXIS_OPTION(Maxout),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_maxout = {
    .kind = {.name = "Maxout", .family = &layer_family, .size = sizeof(Maxout),
             .options = maxout_layer_options, .deinit = layer_deinit,
             .doc = "Takes the largest of each group of neighbours: [N, k m] -> [N, "
                    "m]. nn.Dense(k m) before it gives m units of k pieces.",
             .equation = MAXOUT_EQUATION, .source = MAXOUT_SOURCE},
    .prefix = "maxout", .keeps_time = true, .as_activation = &activation_maxout,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 6}}}, .out = {2, {4, 3}}},
        {{{"pieces", "3"}, {"axis", "2"}}, {{4, {2, 6, 2, 3}}}, {4, {2, 2, 2, 3}}},
        {{{"pieces", "1"}}, {{3, {2, 3, 2}}}, {3, {2, 3, 2}}},
        LAYER_SAMPLES_END},
    .forward = maxout_forward};

/* -- GLU --------------------------------------------------------------------------- */

typedef struct Glu {
  Layer layer;
  int64_t axis;
} Glu;

static Node *half_of(Graph *graph, Node *x, int axis, bool second) {
  int64_t start[MAX_RANK] = {0}, count[MAX_RANK], step[MAX_RANK];
  for (int i = 0; x && i < x->shape.rank; i++) {
    count[i] = i == axis ? x->shape.dim[i] / 2 : x->shape.dim[i];
    step[i] = 1;
  }
  if (second && x) start[axis] = count[axis];
  return op_slice(graph, x, start, count, step);
}

static Node *glu_forward(Graph *graph, Layer *layer, Node *x) {
  int axis = example_axis(graph, layer, ((const Glu *)layer)->axis, &x->shape);
  if (axis < 0) return NULL;
  if (x->shape.dim[axis] % 2) {
    char expects[64];
    snprintf(expects, sizeof expects, "an even number along axis %d", axis + 1);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  x = op_cast(graph, x, DT_REAL);
  return op_mul(graph, half_of(graph, x, axis, false),
                op_sigmoid(graph, half_of(graph, x, axis, true)));
}

#define GLU_EQUATION "y = a sigmoid(b), x = [a, b]"
#define GLU_SOURCE "Dauphin et al., ICML 2017, eq. 1"
ACTIVATION_OF_LAYER(glu, "GLU", NULL,
                    "Gated linear unit: the first half of the last axis times the "
                    "sigmoid of the second.",
                    GLU_EQUATION, GLU_SOURCE);

static const Option glu_layer_options[] = {AXIS_OPTION(Glu), LAYER_OPTIONS, {0}};

const LayerKind layer_glu = {
    .kind = {.name = "GLU", .family = &layer_family, .size = sizeof(Glu),
             .options = glu_layer_options, .deinit = layer_deinit,
             .doc = "Gated linear unit: the second half of the units, through a "
                    "sigmoid, opens and closes the first: [N, 2 m] -> [N, m].",
             .equation = GLU_EQUATION, .source = GLU_SOURCE},
    .prefix = "glu", .keeps_time = true, .as_activation = &activation_glu,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 6}}}, .out = {2, {4, 3}}},
        {{{"axis", "2"}}, {{4, {2, 6, 2, 3}}}, {4, {2, 3, 2, 3}}},
        {.in = {{3, {2, 3, 2}}}, .out = {3, {2, 3, 1}}},
        LAYER_SAMPLES_END},
    .forward = glu_forward};
