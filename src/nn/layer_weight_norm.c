/* layer_weight_norm.c: a layer whose weight is read as a length times a direction.
 *
 *   w_u = scale_u v_u / |v_u|     for each unit u; v: the variable of the layer inside
 *
 * At the build scale_u = |v_u|, so that w = v: what the initializer gave. The layer
 * inside reads its weight through this one as long as this one lives. */
#include "nn/nn.h"
#include "graph/ops.h"

typedef struct WeightNorm {
  Layer layer;
  Layer *inner;
  Layer *bound; /* the one that reads through this; NULL: none yet; no reference */
} WeightNorm;

enum { SCALE };
static const char *const weight_norm_vars[] = {"scale", NULL};

static int weight_norm_children(Layer *layer, Layer *const **out) {
  *out = &((WeightNorm *)layer)->inner;
  return 1;
}

static void let_go(WeightNorm *self) {
  if (self->bound) self->bound->reader = NULL;
  self->bound = NULL;
}

static void weight_norm_deinit(Object *object) {
  let_go((WeightNorm *)object);
  layer_deinit(object);
}

static Err weight_norm_check(Object *object, Fault *fault) {
  WeightNorm *self = (WeightNorm *)object;
  Layer *inner = self->inner;
  char label[96];
  if (!inner || !layer_kind(inner)->units_axis)
    return fault_set(fault, ERR_VALUE,
                     "nn.WeightNorm: option \"layer\": got %s, allowed: a layer with "
                     "one weight, as nn.Dense or nn.Conv2D",
                     inner ? kind_label(inner->object.kind, label, sizeof label)
                           : "nothing");
  if (inner->reader && inner->reader != &self->layer)
    return fault_set(fault, ERR_VALUE,
                     "nn.WeightNorm: the layer is in another nn.WeightNorm already");
  let_go(self);
  self->bound = inner;
  inner->reader = &self->layer;
  layer_adopt(&self->layer, inner);
  return layer_declare(&self->layer, SCALE, true, fault);
}

/* |v_u| with 1 along the other axes; of a unit of zeros a number that divides it. */
static Node *lengths(Graph *graph, const WeightNorm *self, Node *v) {
  int axis = layer_kind(self->inner)->units_axis - 1;
  unsigned others = v ? ((1u << v->shape.rank) - 1) & ~(1u << axis) : 0;
  Node *squares = op_sum(graph, op_square(graph, v), others, true);
  return op_sqrt(graph, op_maximum(graph, squares, graph_scalar(graph, 1e-30)));
}

static Node *weight_norm_weight(Graph *graph, Layer *layer, Node *v) {
  const WeightNorm *self = (const WeightNorm *)layer;
  Node *length = lengths(graph, self, v);
  if (!length) return NULL;
  int64_t units = shape_count(&length->shape);
  int64_t held = shape_count(&layer->var[SCALE]->current->shape);
  if (held != units) {
    fault_set(&graph->fault, ERR_SHAPE,
              "%s: scale holds %lld numbers, but the weight of %s has %lld units",
              layer->name, (long long)held, self->inner->name, (long long)units);
    return NULL;
  }
  Node *scale = op_reshape(graph, layer_read(graph, layer, SCALE), &length->shape);
  return op_mul(graph, v, op_div(graph, scale, length));
}

/* The layer inside is built by a forward, whose result is not used. */
static Err weight_norm_build(Graph *graph, Layer *layer, const Ports *in,
                             Fault *fault) {
  WeightNorm *self = (WeightNorm *)layer;
  self->inner->reader = NULL;
  layer_forward(graph, self->inner, in);
  Node *length = lengths(graph, self, layer_read(graph, self->inner, 0));
  self->inner->reader = layer;
  if (!length) return graph_ok(graph, fault);
  Node *value = op_reshape(graph, length, &SHAPE_OF(-1));
  if (!value || variable_assign(graph, layer->var[SCALE], value))
    return graph_ok(graph, fault);
  return ERR_OK;
}

static Ports weight_norm_ports(Graph *graph, Layer *layer, const Ports *in) {
  return layer_forward(graph, ((WeightNorm *)layer)->inner, in);
}

static const Option weight_norm_options[] = {
    {.name = "layer", .kind = OPT_OBJECT, .offset = offsetof(WeightNorm, inner),
     .position = 1, .family = &layer_family,
     .doc = "the layer whose weight is normalized"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_weight_norm = {
    .kind = {.name = "WeightNorm", .alias = "WeightNormalization",
             .family = &layer_family, .size = sizeof(WeightNorm),
             .options = weight_norm_options, .check = weight_norm_check,
             .deinit = weight_norm_deinit,
             .call = "nn.WeightNorm(nn.Dense(3))",
             .doc = "Trains the length and the direction of each unit's weight of a "
                    "layer apart. scale [units] is the length; at first the weight is "
                    "what the layer's init gave.",
             .equation = "w_u = scale_u v_u / |v_u|, v: the weight of the layer",
             .source = "Salimans & Kingma, NIPS 2016, eq. 2"},
    .prefix = "weight_norm", .knows_masks = true, .vars = weight_norm_vars,
    .samples = (const LayerSample[]){
        {{{"layer", "Dense 3"}}, {{2, {3, 5}}}, {2, {3, 3}}},
        {{{"layer", "Dense 1"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 1}}},
        LAYER_SAMPLES_END},
    .build = weight_norm_build, .ports = weight_norm_ports,
    .children = weight_norm_children, .weight = weight_norm_weight};
