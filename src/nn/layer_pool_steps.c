/* layer_pool_steps.c: pooling along the steps of sequences [N, T, F]: that of images of
 * T rows and F columns whose windows are one column wide (ops_pool.c).
 *
 * Masks [N, T]: steps that do not count never are the largest and have no part in a
 * mean, whatever they hold. A window without a step that counts gives 0, and its step
 * of the result does not count. Over the whole sequence no mask is left. */
#include "graph/ops.h"
#include "nn/nn.h"
#include "base/ints.h"
#include "nn/pool.h"
#include <math.h>

enum { STEPS, FEATURES };

typedef struct PoolSteps {
  Layer layer;
  int64_t size;
  IntOrWord stride; /* or the word, as the size */
  IntPair padding;
  bool ceil;
} PoolSteps;

/* Images of the sequences, and their mask so that it goes along; x is NULL after a
 * fault. */
static Port image_of(Graph *graph, Layer *layer, const Ports *in) {
  Port port = {0};
  if (!layer_takes(graph, layer, in, 1, 1)) return port;
  Node *x = in->v[0].x, *mask = in->v[0].mask;
  const Shape *s = &x->shape;
  if (s->rank != 3) {
    layer_refuse(graph, layer, "[N, T, F]", s);
    return port;
  }
  port.x = op_reshape(graph, op_cast(graph, x, DT_REAL),
                      &SHAPE_OF(s->dim[0], 1, s->dim[1], s->dim[2]));
  if (mask)
    port.mask = op_reshape(graph, op_cast(graph, mask, DT_REAL),
                           &SHAPE_OF(s->dim[0], 1, s->dim[1], 1));
  return port;
}

/* Windows of one of F columns. */
static PoolPlane columns_of(int64_t F) {
  PoolPlane v = {.divisor = POOL_WITHOUT_PADDING};
  pool_along(&v, FEATURES, &(Window){.n = F, .kernel = 1, .stride = 1, .dilation = 1},
             false);
  return v;
}

/* False after a fault: no window fits into x, [N, T, F]. */
static bool plane_of(PoolPlane *v, Graph *graph, const PoolSteps *self, const Shape *x,
                     int64_t dilation) {
  Window w = {.n = x->dim[1], .kernel = self->size, .dilation = dilation};
  w.stride = self->stride.word == WORD_NONE ? self->stride.number : self->size;
  window_pad_steps(&w, &self->padding);
  *v = columns_of(x->dim[2]);
  pool_along(v, STEPS, &w, self->ceil);
  return window_has_steps(graph, &self->layer, &w, self->ceil, "window", x);
}

static PoolPlane plane_of_all(const Shape *image) {
  PoolPlane v = columns_of(image->dim[3]);
  int64_t T = most(image->dim[2], 1);
  pool_along(&v, STEPS, &(Window){.n = T, .kernel = T, .stride = 1, .dilation = 1},
             false);
  return v;
}

static PoolPlane plane_of_share(const Shape *image, int64_t P) {
  return pool_sharing(P ? P : image->dim[2], image->dim[3]);
}

/* The same windows over the mask. */
static PoolPlane of_mask(const PoolPlane *v) {
  PoolPlane m = *v;
  m.size[FEATURES] = 1;
  return m;
}

/* The image of the result and of its mask. */
static Port largest(Graph *graph, const Port *in, const PoolPlane *v) {
  if (!in->mask) return (Port){op_max_pool(graph, in->x, v), NULL};
  PoolPlane m = of_mask(v);
  Node *none = graph_scalar(graph, -INFINITY), *zero = graph_scalar(graph, 0);
  Node *y = op_max_pool(graph, op_where(graph, in->mask, in->x, none), v);
  Node *counts = op_max_pool(graph, in->mask, &m);
  return (Port){op_where(graph, counts, y, zero), counts};
}

static Port mean(Graph *graph, const Port *in, const PoolPlane *v) {
  if (!in->mask) return (Port){op_mean_pool(graph, in->x, v), NULL};
  PoolPlane all = *v;
  all.divisor = POOL_SUM;
  PoolPlane m = of_mask(&all);
  Node *one = graph_scalar(graph, 1), *zero = graph_scalar(graph, 0);
  Node *sum = op_mean_pool(graph, op_where(graph, in->mask, in->x, zero), &all);
  Node *count = op_mean_pool(graph, in->mask, &m);
  return (Port){op_div(graph, sum, op_maximum(graph, count, one)),
                op_minimum(graph, count, one)};
}

/* Back to sequences. */
static Ports sequences(Graph *graph, Port y) {
  if (!y.x) return (Ports){0};
  const Shape *s = &y.x->shape;
  if (y.mask) y.mask = op_reshape(graph, y.mask, &SHAPE_OF(s->dim[0], s->dim[2]));
  y.x = op_reshape(graph, y.x, &SHAPE_OF(s->dim[0], s->dim[2], s->dim[3]));
  return layer_ports_of(graph->fault.code ? NULL : y.x, y.mask);
}

#define AT(type, field) .offset = offsetof(type, field)
#define STEPS_SIZE(place)                                                              \
  {.name = "pool_size", .kind = OPT_INT, AT(PoolSteps, size), .position = place,       \
   .value = "2", .lo = 1, .hi = 1e9, .alias = "kernel_size",                           \
   .doc = "steps of a window"},                                                        \
  {.name = "stride", .kind = OPT_INT_OR_WORD, AT(PoolSteps, stride),                   \
   .position = (place) + 1, .value = "pool_size", .lo = 1, .hi = 1e9,                  \
   .alias = "strides", .choices = pool_strides,                                        \
   .doc = "step from one window to the next; \"pool_size\": windows do not overlap"},  \
  {.name = "ceil_mode", .kind = OPT_BOOL, AT(PoolSteps, ceil), .value = "false",       \
   .doc = POOL_CEIL}
#define STEPS_PADDING                                                                  \
  {.name = "padding", .kind = OPT_PAIR, AT(PoolSteps, padding), .value = "valid",      \
   .lo = 0, .hi = 1e9, .choices = window_paddings,                                     \
   .doc = "steps before and behind the sequence, one number for both. \"valid\": "     \
          "none; \"same\": as many as give ceil(T / stride) windows, an odd one at "   \
          "the end as in Keras"}
#define STEPS_EXAMPLE(call)                                                            \
  "local sequences = tensor.arange(1, 8):reshape(1, 4, 2)\nprint(" call "(sequences))"
#define STEPS_MASK                                                                     \
  " Steps that a mask leaves out have no part in it; PyTorch's takes [N, F, T]."

/* -- MaxPool1D --------------------------------------------------------------------- */

typedef struct MaxPool1D {
  PoolSteps pool;
  int64_t dilation;
} MaxPool1D;

static Ports max_pool_ports(Graph *graph, Layer *layer, const Ports *in) {
  const MaxPool1D *self = (const MaxPool1D *)layer;
  Port image = image_of(graph, layer, in);
  PoolPlane v;
  if (!image.x || !plane_of(&v, graph, &self->pool, &in->v[0].x->shape, self->dilation))
    return (Ports){0};
  return sequences(graph, largest(graph, &image, &v));
}

static const Option max_pool_options[] = {
    STEPS_SIZE(1),
    STEPS_PADDING,
    {.name = "dilation", .kind = OPT_INT, AT(MaxPool1D, dilation), .value = "1",
     .lo = 1, .hi = 1e9, .doc = POOL_DILATION},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_max_pool_1d = {
    .kind = {.name = "MaxPool1D", .alias = "MaxPooling1D", .family = &layer_family,
             .size = sizeof(MaxPool1D), .options = max_pool_options,
             .deinit = layer_deinit, .example = STEPS_EXAMPLE("nn.MaxPool1D(2)"),
             .doc = "The largest of each feature in windows of steps: [N, T, F] -> [N, "
                    "P, F]." STEPS_MASK,
             .equation = "y[n, p, f] = max_r x[n, p stride + r dilation - pad, f]",
             .source = "Collobert et al., JMLR 12, 2011, section 3.3.2"},
    .prefix = "max_pool_1d", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {.in = {{3, {1, 2, 1}}}, .out = {3, {1, 1, 1}}},
        {{{"pool_size", "3"}, {"stride", "2"}, {"padding", "same"}}, {{3, {2, 5, 3}}},
         {3, {2, 3, 3}}},
        {{{"pool_size", "2"}, {"stride", "1"}, {"padding", "1 0"}, {"dilation", "2"}},
         {{3, {2, 6, 2}}}, {3, {2, 5, 2}}},
        {{{"pool_size", "2"}, {"ceil_mode", "true"}}, {{3, {2, 5, 1}}}, {3, {2, 3, 1}}},
        LAYER_SAMPLES_END},
    .ports = max_pool_ports};

/* -- AveragePooling1D -------------------------------------------------------------- */

typedef struct AveragePool1D {
  PoolSteps pool;
  bool counts_padding;
} AveragePool1D;

static Ports average_pool_ports(Graph *graph, Layer *layer, const Ports *in) {
  const AveragePool1D *self = (const AveragePool1D *)layer;
  Port image = image_of(graph, layer, in);
  PoolPlane v;
  if (!image.x || !plane_of(&v, graph, &self->pool, &in->v[0].x->shape, 1))
    return (Ports){0};
  if (self->counts_padding) v.divisor = POOL_WITH_PADDING;
  if (self->counts_padding && image.mask) {
    fault_set(&graph->fault, ERR_VALUE,
              "%s: count_include_pad = true beside a mask, which leaves padding out; "
              "allowed: false, or nn.Unmask() before the layer",
              layer->name);
    return (Ports){0};
  }
  return sequences(graph, mean(graph, &image, &v));
}

static const Option average_pool_options[] = {
    STEPS_SIZE(1),
    STEPS_PADDING,
    {.name = "count_include_pad", .kind = OPT_BOOL, AT(AveragePool1D, counts_padding),
     .value = "false", .doc = POOL_COUNT},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_average_pool_1d = {
    .kind = {.name = "AveragePooling1D", .alias = "AvgPool1D AveragePool1D",
             .family = &layer_family, .size = sizeof(AveragePool1D),
             .options = average_pool_options, .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.AveragePooling1D(2)"),
             .doc = "The mean of each feature in windows of steps: [N, T, F] -> [N, P, "
                    "F]." STEPS_MASK,
             .equation = "y[n, p, f] = sum_r x[n, p stride + r - pad, f] / count",
             .source = "Chollet et al., Keras, 2015 (AveragePooling1D)"},
    .prefix = "average_pool_1d", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {.in = {{3, {1, 2, 1}}}, .out = {3, {1, 1, 1}}},
        {{{"pool_size", "3"}, {"stride", "2"}, {"padding", "same"}}, {{3, {2, 5, 3}}},
         {3, {2, 3, 3}}},
        {{{"pool_size", "3"}, {"stride", "2"}, {"padding", "1"}, {"ceil_mode", "true"},
          {"count_include_pad", "true"}}, {{3, {2, 6, 2}}}, {3, {2, 4, 2}}},
        LAYER_SAMPLES_END},
    .ports = average_pool_ports};

/* -- LpPool1D ---------------------------------------------------------------------- */

typedef struct LpPool1D {
  PoolSteps pool;
  double order;
} LpPool1D;

static Ports lp_pool_ports(Graph *graph, Layer *layer, const Ports *in) {
  const LpPool1D *self = (const LpPool1D *)layer;
  Port image = image_of(graph, layer, in);
  PoolPlane v;
  if (!image.x || !plane_of(&v, graph, &self->pool, &in->v[0].x->shape, 1))
    return (Ports){0};
  image.x = pool_power(graph, image.x, self->order);
  Port y = mean(graph, &image, &v);
  y.x = pool_root(graph, y.x, self->order, (double)self->pool.size);
  return sequences(graph, y);
}

static const Option lp_pool_options[] = {
    {.name = "norm_type", .kind = OPT_REAL, AT(LpPool1D, order), .position = 1, .lo = 1,
     .hi = 100, .doc = POOL_ORDER},
    STEPS_SIZE(2),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_lp_pool_1d = {
    .kind = {.name = "LpPool1D", .family = &layer_family, .size = sizeof(LpPool1D),
             .options = lp_pool_options, .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.LpPool1D(2, 2)"),
             .doc = "The p-norm of each feature in windows of steps: [N, T, F] -> [N, "
                    "P, F]. Where a window has fewer steps (ceil_mode, masks), the "
                    "mean of what it has counts for all of it." STEPS_MASK,
             .equation = "y = sign(s) |s|^(1/p), s = sum of x^p over the window; its "
                         "gradient is 0 where s = 0",
             .source = "Sermanet, Chintala & LeCun, ICPR 2012, section 2.2"},
    .prefix = "lp_pool_1d", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"norm_type", "2"}}, {{3, {1, 2, 1}}}, {3, {1, 1, 1}}},
        {{{"norm_type", "4"}, {"pool_size", "3"}, {"stride", "2"},
          {"ceil_mode", "true"}}, {{3, {2, 6, 3}}}, {3, {2, 3, 3}}},
        LAYER_SAMPLES_END},
    .ports = lp_pool_ports};

/* -- over the whole sequence ------------------------------------------------------- */

typedef struct GlobalPool1D {
  Layer layer;
  bool keeps_axes;
} GlobalPool1D;

static Ports over_all(Graph *graph, Layer *layer, const Ports *in,
                      Port (*pool)(Graph *, const Port *, const PoolPlane *)) {
  Port image = image_of(graph, layer, in);
  if (!image.x) return (Ports){0};
  PoolPlane v = plane_of_all(&image.x->shape);
  Port y = pool(graph, &image, &v);
  int64_t N = image.x->shape.dim[0], F = image.x->shape.dim[3];
  bool keeps = ((const GlobalPool1D *)layer)->keeps_axes;
  Shape shape = keeps ? SHAPE_OF(N, 1, F) : SHAPE_OF(N, F);
  return layer_ports_of(op_reshape(graph, y.x, &shape), NULL);
}

static Ports global_max_ports(Graph *graph, Layer *layer, const Ports *in) {
  return over_all(graph, layer, in, largest);
}

static Ports global_average_ports(Graph *graph, Layer *layer, const Ports *in) {
  return over_all(graph, layer, in, mean);
}

static const Option global_options[] = {
    {.name = "keepdims", .kind = OPT_BOOL, AT(GlobalPool1D, keeps_axes),
     .value = "false", .doc = "keep the axis of the steps: [N, 1, F]"},
    LAYER_OPTIONS,
    {0}};
#define GLOBAL_SAMPLES                                                                 \
  (const LayerSample[]) {                                                              \
    {.in = {{3, {2, 4, 3}}}, .out = {2, {2, 3}}},                                      \
        {{{"keepdims", "true"}}, {{3, {3, 5, 1}}}, {3, {3, 1, 1}}}, LAYER_SAMPLES_END  \
  }

const LayerKind layer_global_max_pool_1d = {
    .kind = {.name = "GlobalMaxPooling1D", .alias = "GlobalMaxPool1D",
             .family = &layer_family, .size = sizeof(GlobalPool1D),
             .options = global_options, .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.GlobalMaxPooling1D()"),
             .doc = "The largest of each feature over all steps that count: [N, T, F] "
                    "-> [N, F]; 0 where none does.",
             .equation = "y[n, f] = max_t x[n, t, f]",
             .source = "Collobert et al., JMLR 12, 2011, section 3.3.2"},
    .prefix = "global_max_pool_1d", .knows_masks = true, .samples = GLOBAL_SAMPLES,
    .ports = global_max_ports};

const LayerKind layer_global_average_pool_1d = {
    .kind = {.name = "GlobalAveragePooling1D", .alias = "GlobalAvgPool1D",
             .family = &layer_family, .size = sizeof(GlobalPool1D),
             .options = global_options, .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.GlobalAveragePooling1D()"),
             .doc = "The mean of each feature over all steps that count: [N, T, F] -> "
                    "[N, F]; 0 where none does.",
             .equation = "y[n, f] = sum_t mask[n, t] x[n, t, f] / sum_t mask[n, t]",
             .source = "Iyyer et al., ACL 2015, section 3 (deep averaging networks)"},
    .prefix = "global_average_pool_1d", .knows_masks = true, .samples = GLOBAL_SAMPLES,
    .ports = global_average_ports};

/* -- windows that share the sequence ----------------------------------------------- */

typedef struct AdaptivePool1D {
  Layer layer;
  int64_t size;
} AdaptivePool1D;

static Ports by_shares(Graph *graph, Layer *layer, const Ports *in,
                       Port (*pool)(Graph *, const Port *, const PoolPlane *)) {
  Port image = image_of(graph, layer, in);
  if (!image.x) return (Ports){0};
  PoolPlane v = plane_of_share(&image.x->shape, ((const AdaptivePool1D *)layer)->size);
  return sequences(graph, pool(graph, &image, &v));
}

static Ports adaptive_max_ports(Graph *graph, Layer *layer, const Ports *in) {
  return by_shares(graph, layer, in, largest);
}

static Ports adaptive_average_ports(Graph *graph, Layer *layer, const Ports *in) {
  return by_shares(graph, layer, in, mean);
}

static const Option adaptive_options[] = {
    {.name = "output_size", .kind = OPT_INT, AT(AdaptivePool1D, size), .position = 1,
     .lo = 0, .hi = 1e9, .doc = "steps of the result; 0: as many as there are"},
    LAYER_OPTIONS,
    {0}};
#define ADAPTIVE_SAMPLES                                                               \
  (const LayerSample[]) {                                                              \
    {{{"output_size", "1"}}, {{3, {1, 1, 1}}}, {3, {1, 1, 1}}},                        \
        {{{"output_size", "3"}}, {{3, {2, 7, 3}}}, {3, {2, 3, 3}}}, LAYER_SAMPLES_END  \
  }
#define ADAPTIVE_EQUATION(word)                                                        \
  "y[n, p, f] = " word                                                                 \
  " x[n, t, f], floor(p T / P) <= t < ceil((p + 1) T / P), p from 0"

const LayerKind layer_adaptive_max_pool_1d = {
    .kind = {.name = "AdaptiveMaxPool1D", .family = &layer_family,
             .size = sizeof(AdaptivePool1D), .options = adaptive_options,
             .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.AdaptiveMaxPool1D(3)"),
             .doc = "The largest of each feature in windows that share the steps "
                    "evenly: [N, T, F] -> [N, output_size, F]." STEPS_MASK,
             .equation = ADAPTIVE_EQUATION("max"),
             .source = "He et al., ECCV 2014, section 2.2 (spatial pyramids)"},
    .prefix = "adaptive_max_pool_1d", .gives_steps = true,
    .knows_masks = true, .samples = ADAPTIVE_SAMPLES,
    .ports = adaptive_max_ports};

const LayerKind layer_adaptive_average_pool_1d = {
    .kind = {.name = "AdaptiveAvgPool1D", .alias = "AdaptiveAveragePooling1D",
             .family = &layer_family, .size = sizeof(AdaptivePool1D),
             .options = adaptive_options, .deinit = layer_deinit,
             .example = STEPS_EXAMPLE("nn.AdaptiveAvgPool1D(3)"),
             .doc = "The mean of each feature in windows that share the steps evenly: "
                    "[N, T, F] -> [N, output_size, F]." STEPS_MASK,
             .equation = ADAPTIVE_EQUATION("mean"),
             .source = "He et al., ECCV 2014, section 2.2 (spatial pyramids)"},
    .prefix = "adaptive_average_pool_1d", .gives_steps = true, .knows_masks = true,
    .samples = ADAPTIVE_SAMPLES, .ports = adaptive_average_ports};
