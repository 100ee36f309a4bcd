/* layer_time.c: layers about the steps of sequences [N, T, ...]: which of them count,
 * and another layer at each of them. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <string.h>

/* -- Masking ----------------------------------------------------------------------- */

typedef struct Masking {
  Layer layer;
  double value;
} Masking;

/* A step counts that has an element other than the value, and counted before; the
 * others hold 0 from here on. */
static Ports masking_ports(Graph *graph, Layer *layer, const Ports *in) {
  if (!layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  Node *x = op_cast(graph, in->v[0].x, DT_REAL), *before = in->v[0].mask;
  if (!x || x->shape.rank < 3)
    return layer_ports_of(x ? layer_refuse(graph, layer, "[N, T, ...]", &x->shape)
                            : NULL,
                          NULL);
  unsigned features = ((1u << x->shape.rank) - 1) & ~3u;
  Node *value = graph_scalar(graph, ((const Masking *)layer)->value);
  Node *counts = op_max(graph, op_ne(graph, x, value), features, true);
  const Shape steps = SHAPE_OF(x->shape.dim[0], x->shape.dim[1]);
  Node *mask = op_reshape(graph, counts, &steps);
  Node *y = op_where(graph, counts, x, graph_scalar(graph, 0));
  return layer_ports_of(y, before ? op_mul(graph, before, mask) : mask);
}

static const Option masking_options[] = {
    {.name = "value", .kind = OPT_REAL, .offset = offsetof(Masking, value),
     .value = "0", .alias = "mask_value", .position = 1,
     .doc = "what all elements of a step are that does not count"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_masking = {
    .kind = {.name = "Masking", .family = &layer_family, .size = sizeof(Masking),
             .options = masking_options, .deinit = layer_deinit,
             .example = "local mean = nn.Sequential { nn.Masking(), "
                        "nn.GlobalAveragePooling1D() }\n"
                        "print(mean(tensor { { { 1, 2 }, { 3, 4 }, { 0, 0 } } }))",
             .doc = "Makes the mask of steps of sequences [N, T, ...]: a step counts "
                    "unless all of it is a value. The layers behind it leave out what "
                    "does not count, which holds 0 from here on.",
             .equation = "mask[n, t] = 1 if x[n, t, f] != value for some f, else 0",
             .source = "Chollet et al., Keras, 2015 (Masking)"},
    .prefix = "masking", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {.in = {{3, {2, 3, 4}}}, .out = {3, {2, 3, 4}}},
        {{{"value", "-1"}}, {{4, {2, 3, 1, 2}}}, {4, {2, 3, 1, 2}}},
        LAYER_SAMPLES_END},
    .ports = masking_ports};

/* -- TimeDistributed --------------------------------------------------------------- */

typedef struct TimeDistributed {
  Layer layer;
  Layer *inner;
} TimeDistributed;

static int time_children(Layer *layer, Layer *const **out) {
  *out = &((TimeDistributed *)layer)->inner;
  return 1;
}

static Err time_check(Object *object, Fault *fault) {
  TimeDistributed *self = (TimeDistributed *)object;
  if (!self->inner)
    return fault_set(fault, ERR_VALUE,
                     "nn.TimeDistributed: \"layer\" is missing: a layer");
  layer_adopt(&self->layer, self->inner);
  return ERR_OK;
}

/* Steps as rows: [N, T, ...] -> [N T, ...]. */
static Node *steps_as_rows(Graph *graph, Node *x) {
  Shape rows = x->shape;
  rows.rank--;
  rows.dim[0] = x->shape.dim[0] * x->shape.dim[1];
  memmove(rows.dim + 1, x->shape.dim + 2, (size_t)(rows.rank - 1) * sizeof *rows.dim);
  return op_reshape(graph, x, &rows);
}

/* And back. */
static Node *rows_as_steps(Graph *graph, Layer *layer, Node *y, const Shape *of) {
  Shape steps = y->shape;
  if (y->shape.rank < 1 || y->shape.rank >= MAX_RANK ||
      y->shape.dim[0] != of->dim[0] * of->dim[1])
    return layer_refuse(graph, layer, "a layer that gives a row for each of its input",
                        &y->shape);
  memmove(steps.dim + 2, y->shape.dim + 1,
          (size_t)(y->shape.rank - 1) * sizeof *steps.dim);
  steps.rank++;
  steps.dim[0] = of->dim[0];
  steps.dim[1] = of->dim[1];
  return op_reshape(graph, y, &steps);
}

/* What comes has the same steps. */
static bool alike(Graph *graph, Layer *layer, const Ports *in) {
  const Shape *first = &in->v[0].x->shape;
  for (int i = 0; i < in->n; i++) {
    const Shape *x = &in->v[i].x->shape;
    if (x->rank >= 2 && x->dim[0] == first->dim[0] && x->dim[1] == first->dim[1])
      continue;
    layer_refuse(graph, layer, "[N, T, ...] of the same N and T", x);
    return false;
  }
  return true;
}

/* The mask of steps; the layer inside must not make one of its own that is lost, or
 * count with the others what the mask leaves out. */
static Err check_inside(Graph *graph, const Layer *layer, Layer *inner,
                        const Ports *out, const Node *mask) {
  const Layer *batch = mask && graph->training ? layer_needs_batches(inner) : NULL;
  if (batch)
    return fault_set(&graph->fault, ERR_VALUE,
                     "%s: %s would count the steps that the mask leaves out in the "
                     "statistics of the batch; allowed: layers that take each row by "
                     "itself",
                     layer->name, batch->name);
  for (int i = 0; i < out->n; i++)
    if (out->v[i].mask)
      return fault_set(&graph->fault, ERR_VALUE,
                       "%s: the mask that %s gives is one of steps within a step, and "
                       "goes no further; put the layer that reads it, or nn.Unmask(), "
                       "inside, after it",
                       layer->name, inner->name);
  return graph->fault.code;
}

static Ports time_ports(Graph *graph, Layer *layer, const Ports *in) {
  Layer *inner = ((TimeDistributed *)layer)->inner;
  Ports rows = {.n = in->n};
  Node *mask = NULL;
  if (!alike(graph, layer, in)) return (Ports){0};
  for (int i = 0; i < in->n; i++) {
    rows.v[i].x = steps_as_rows(graph, in->v[i].x);
    if (!mask) mask = in->v[i].mask;
  }
  Ports out = layer_forward(graph, inner, &rows);
  if (check_inside(graph, layer, inner, &out, mask)) return (Ports){0};
  for (int i = 0; i < out.n; i++)
    out.v[i] = (Port){rows_as_steps(graph, layer, out.v[i].x, &in->v[0].x->shape),
                      mask};
  if (graph->fault.code) out.n = 0;
  return out;
}

static const Option time_options[] = {
    {.name = "layer", .kind = OPT_OBJECT, .offset = offsetof(TimeDistributed, inner),
     .position = 1, .family = &layer_family, .doc = "the layer or net"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_time_distributed = {
    .kind = {.name = "TimeDistributed", .family = &layer_family,
             .size = sizeof(TimeDistributed), .options = time_options,
             .check = time_check, .deinit = layer_deinit,
             .call = "nn.TimeDistributed(nn.Dense(3))",
             .example = "local layer = nn.TimeDistributed(nn.Conv2D(2, 3))\n"
                        "print(layer(tensor.randn(4, 5, 1, 6, 6)).shape)",
             .doc = "Applies a layer at each step of sequences by itself, with the "
                    "same weights: [N, T, ...] -> [N, T, ...]. A mask of steps passes "
                    "on. Dense and others that work on the last axis do without.",
             .equation = "y[n, t] = layer(x[n, t])",
             .source = "Chollet et al., Keras, 2015 (TimeDistributed)"},
    .prefix = "time_distributed", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"layer", "Dense 3"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 3}}},
        {{{"layer", "Flatten"}}, {{4, {2, 3, 2, 2}}}, {3, {2, 3, 4}}},
        {{{"layer", "Bilinear 2"}}, {{3, {2, 3, 4}}, {3, {2, 3, 1}}}, {3, {2, 3, 2}}},
        LAYER_SAMPLES_END},
    .ports = time_ports, .children = time_children};
