/* layer_noise.c: layers that draw: dropout in its forms, and noise.
 *
 * Each draws from its own stream (layer_stream), so what one draws shifts no other.
 * Dropouts draw in training, and in inference where it is asked for (graph->dropout:
 * Monte-Carlo dropout); noise in training alone. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <math.h>

typedef struct Dropout {
  Layer layer;
  double rate;
  bool classical;
} Dropout;

static bool drops_at(const Graph *graph, double rate) {
  return (graph->training || graph->dropout) && rate > 0;
}

Node *layer_drop(Graph *graph, Layer *layer, const char *purpose, double rate,
                 const Shape *shape) {
  char name[STREAM_NAME];
  if (!drops_at(graph, rate) || !layer_stream(graph, layer, name)) return NULL;
  return op_dropout_mask(graph, shape, rate, graph_draw(graph, purpose, name));
}

static bool drops(const Graph *graph, const Dropout *self) {
  return drops_at(graph, self->rate);
}

/* Where it drops: 0 with the layer's rate, else 1 / (1 - rate); NULL and a fault. */
static Node *draw_mask(Graph *graph, Dropout *self, const Shape *shape) {
  return layer_drop(graph, &self->layer, "dropout", self->rate, shape);
}

/* The same as 0 and 1. */
static Node *draw_kept(Graph *graph, Dropout *self, const Shape *shape) {
  return op_gt(graph, draw_mask(graph, self, shape), graph_scalar(graph, 0));
}

static Node *draw_normal(Graph *graph, Layer *layer, const Shape *shape, double mean,
                         double std) {
  char name[STREAM_NAME];
  if (!layer_stream(graph, layer, name)) return NULL;
  return op_random_normal(graph, shape, mean, std, graph_draw(graph, "noise", name));
}

#define AT(type, field) .offset = offsetof(type, field)
#define RATE(text)                                                                     \
  {.name = "rate", .kind = OPT_REAL, AT(Dropout, rate), .position = 1, .lo = 0,        \
   .hi = 1, .open_hi = true, .alias = "p", .doc = text}

static const Option rate_options[] = {RATE("share of what is dropped"), LAYER_OPTIONS,
                                      {0}};

/* -- Dropout ----------------------------------------------------------------------- */

/* Inverted: what stays is divided by its probability, so that inference does nothing.
 */
static Node *dropout_forward(Graph *graph, Layer *layer, Node *x) {
  Dropout *self = (Dropout *)layer;
  bool classical = self->classical;
  if (!drops(graph, self)) return classical ? op_scale(graph, x, 1 - self->rate) : x;
  Node *mask = (classical ? draw_kept : draw_mask)(graph, self, &x->shape);
  return op_mul(graph, x, mask);
}

static const Option dropout_options[] = {
    RATE("probability that an element is dropped"),
    {.name = "classical", .kind = OPT_BOOL, AT(Dropout, classical), .value = "false",
     .doc = "training leaves what stays as it is, and inference multiplies by 1 - "
            "rate"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_dropout = {
    .kind = {.name = "Dropout", .family = &layer_family, .size = sizeof(Dropout),
             .options = dropout_options, .deinit = layer_deinit,
             .call = "nn.Dropout(0.2)",
             .doc = "Sets elements to 0 at random in training, and scales the others "
                    "up. In inference it passes its input on unchanged, unless net(x, "
                    "{ dropout = true }) asks for draws.",
             .equation = "y = x m / (1 - rate), m ~ Bernoulli(1 - rate); classical: y "
                         "= x m, in inference y = x (1 - rate)",
             .source = "Srivastava et al., JMLR 15, 2014"},
    .prefix = "dropout", .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"rate", "0.4"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"rate", "0.4"}, {"classical", "true"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = dropout_forward};

/* -- SpatialDropout ---------------------------------------------------------------- */

/* One draw for all positions of a feature: those of `axis` alone and of the batch. */
static Node *drop_features(Graph *graph, Layer *layer, Node *x, int rank, int axis,
                           const char *expects) {
  Dropout *self = (Dropout *)layer;
  if (x->shape.rank != rank) return layer_refuse(graph, layer, expects, &x->shape);
  if (!drops(graph, self)) return x;
  Shape shape = {.rank = rank, .dim = {x->shape.dim[0], 1, 1, 1}};
  shape.dim[axis] = x->shape.dim[axis];
  return op_mul(graph, x, draw_mask(graph, self, &shape));
}

static Node *spatial_1d_forward(Graph *graph, Layer *layer, Node *x) {
  return drop_features(graph, layer, x, 3, 2, "[N, T, F]");
}

static Node *spatial_2d_forward(Graph *graph, Layer *layer, Node *x) {
  return drop_features(graph, layer, x, 4, 1, "[N, C, H, W]");
}

const LayerKind layer_spatial_dropout_1d = {
    .kind = {.name = "SpatialDropout1D", .family = &layer_family,
             .size = sizeof(Dropout), .options = rate_options, .deinit = layer_deinit,
             .example = "local x = tensor.randn(2, 5, 3)\n"
                        "print(nn.SpatialDropout1D(0.5)(x, { training = true }))",
             .doc = "Dropout of whole features of sequences [N, T, F], at all steps "
                    "together. Neighbouring steps would else give away what was "
                    "dropped.",
             .equation = "y[n, t, f] = x[n, t, f] m[n, f] / (1 - rate), m ~ "
                         "Bernoulli(1 - rate)",
             .source = "Tompson et al., CVPR 2015, section 3.2"},
    .prefix = "spatial_dropout1d", .gives_steps = true, .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"rate", "0.4"}}, {{3, {3, 5, 4}}}, {3, {3, 5, 4}}}, LAYER_SAMPLES_END},
    .forward = spatial_1d_forward};

const LayerKind layer_spatial_dropout_2d = {
    .kind = {.name = "SpatialDropout2D", .alias = "Dropout2d", .family = &layer_family,
             .size = sizeof(Dropout), .options = rate_options, .deinit = layer_deinit,
             .example = "local x = tensor.randn(2, 3, 4, 4)\n"
                        "print(nn.SpatialDropout2D(0.5)(x, { training = true }))",
             .doc = "Dropout of whole channels of images [N, C, H, W]. Neighbouring "
                    "pixels would else give away what was dropped.",
             .equation = "y[n, c, h, w] = x[n, c, h, w] m[n, c] / (1 - rate), m ~ "
                         "Bernoulli(1 - rate)",
             .source = "Tompson et al., CVPR 2015, section 3.2"},
    .prefix = "spatial_dropout2d",
    .samples = (const LayerSample[]){
        {{{"rate", "0.4"}}, {{4, {2, 6, 3, 2}}}, {4, {2, 6, 3, 2}}}, LAYER_SAMPLES_END},
    .forward = spatial_2d_forward};

/* -- AlphaDropout ------------------------------------------------------------------ */

/* The limit of SELU for x -> -inf. */
static const double selu_floor = -1.0507009873554804934 * 1.6732632423543772848;

static Node *alpha_dropout_forward(Graph *graph, Layer *layer, Node *x) {
  Dropout *self = (Dropout *)layer;
  x = op_cast(graph, x, DT_REAL);
  if (!x || !drops(graph, self)) return x;
  double p = self->rate;
  double a = 1 / sqrt((1 - p) * (1 + p * selu_floor * selu_floor));
  Node *kept = draw_kept(graph, self, &x->shape);
  Node *y = op_where(graph, kept, x, graph_scalar(graph, selu_floor));
  return op_add(graph, op_scale(graph, y, a), graph_scalar(graph, -a * p * selu_floor));
}

const LayerKind layer_alpha_dropout = {
    .kind = {.name = "AlphaDropout", .family = &layer_family, .size = sizeof(Dropout),
             .options = rate_options, .deinit = layer_deinit,
             .call = "nn.AlphaDropout(0.1)",
             .doc = "Dropout for selu: dropped elements take the smallest value of "
                    "selu, and all are scaled and shifted so that mean 0 and variance "
                    "1 stay.",
             .equation = "y = a (x m + c (1 - m)) - a rate c, m ~ Bernoulli(1 - rate); "
                         "c = -1.7581, a = 1 / sqrt((1 - rate) (1 + rate c^2))",
             .source = "Klambauer et al., NIPS 2017, section 2 (new dropout "
                       "technique)"},
    .prefix = "alpha_dropout", .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"rate", "0.4"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"rate", "0"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = alpha_dropout_forward};

/* -- GaussianDropout --------------------------------------------------------------- */

static Node *gaussian_dropout_forward(Graph *graph, Layer *layer, Node *x) {
  const Dropout *self = (const Dropout *)layer;
  if (!drops(graph, self)) return x;
  double std = sqrt(self->rate / (1 - self->rate));
  return op_mul(graph, x, draw_normal(graph, layer, &x->shape, 1, std));
}

const LayerKind layer_gaussian_dropout = {
    .kind = {.name = "GaussianDropout", .family = &layer_family,
             .size = sizeof(Dropout), .options = rate_options, .deinit = layer_deinit,
             .call = "nn.GaussianDropout(0.2)",
             .doc = "Multiplies elements by normal numbers of mean 1 in training, of "
                    "the variance that Dropout of this rate has. In inference it "
                    "passes its input on unchanged.",
             .equation = "y = x m, m ~ N(1, rate / (1 - rate))",
             .source = "Srivastava et al., JMLR 15, 2014, section 10"},
    .prefix = "gaussian_dropout", .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"rate", "0.4"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"rate", "0.1"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = gaussian_dropout_forward};

/* -- GaussianNoise ----------------------------------------------------------------- */

typedef struct GaussianNoise {
  Layer layer;
  double std;
} GaussianNoise;

static Node *gaussian_noise_forward(Graph *graph, Layer *layer, Node *x) {
  double std = ((const GaussianNoise *)layer)->std;
  if (!graph->training || std == 0) return x;
  return op_add(graph, x, draw_normal(graph, layer, &x->shape, 0, std));
}

static const Option gaussian_noise_options[] = {
    {.name = "std", .kind = OPT_REAL, AT(GaussianNoise, std), .position = 1, .lo = 0,
     .hi = 1e30, .alias = "stddev", .doc = "standard deviation of the noise"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_gaussian_noise = {
    .kind = {.name = "GaussianNoise", .family = &layer_family,
             .size = sizeof(GaussianNoise), .options = gaussian_noise_options,
             .deinit = layer_deinit,
             .call = "nn.GaussianNoise(0.1)",
             .doc = "Adds normal noise to each element in training, as for denoising "
                    "autoencoders. In inference it passes its input on unchanged.",
             .equation = "y = x + e, e ~ N(0, std^2)",
             .source = "Bishop, Neural Computation 7, 1995"},
    .prefix = "gaussian_noise", .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"std", "0.4"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"std", "2"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = gaussian_noise_forward};

/* -- ActivityRegularization -------------------------------------------------------- */

typedef struct ActivityRegularization {
  Layer layer;
  double l1, l2;
} ActivityRegularization;

/* Inside of a step, whose loss it is added to. */
static Node *activity_forward(Graph *graph, Layer *layer, Node *x) {
  const ActivityRegularization *self = (const ActivityRegularization *)layer;
  x = op_cast(graph, x, DT_REAL);
  if (!x || !graph->training || !graph->in_transaction) return x;
  double n = (double)(x->shape.rank ? x->shape.dim[0] : 1);
  double factor[] = {self->l1 / n, self->l2 / n};
  for (int i = 0; i < 2; i++) {
    if (factor[i] == 0) continue;
    Node *size = (i ? op_square : op_abs)(graph, x);
    Node *sum = op_sum(graph, size, ALL_AXES, false);
    graph_penalize(graph, op_scale(graph, sum, factor[i]));
  }
  return x;
}

static const Option activity_options[] = {
    {.name = "l1", .kind = OPT_REAL, AT(ActivityRegularization, l1), .value = "0",
     .lo = 0, .hi = 1e30, .doc = "factor of the sum of absolute values"},
    {.name = "l2", .kind = OPT_REAL, AT(ActivityRegularization, l2), .value = "0",
     .lo = 0, .hi = 1e30, .doc = "factor of the sum of squares"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_activity_regularization = {
    .kind = {.name = "ActivityRegularization", .family = &layer_family,
             .size = sizeof(ActivityRegularization), .options = activity_options,
             .deinit = layer_deinit,
             .doc = "Passes its input on unchanged, and adds a penalty on it to the "
                    "loss that train.step and train.fit minimize. Losses of validation "
                    "do not include it.",
             .equation = "loss + (l1 sum |x| + l2 sum x^2) / N",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, section "
                       "7.10"},
    .prefix = "activity_regularization", .keeps_time = true,
    .samples = (const LayerSample[]){
        {{{"l1", "0.1"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"l1", "0.1"}, {"l2", "0.2"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .forward = activity_forward};
