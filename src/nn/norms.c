/* norms.c: batch, layer, group, instance and root-mean-square normalization.
 *
 *   training   y = weight (x - mean) / sqrt(var + eps) + bias
 *              mean, var (biased) of the batch, per channel (BatchNorm), over axes of
 *              each example (LayerNorm: the last), of each group of channels of an
 *              example (GroupNorm), or of each channel of an example (InstanceNorm);
 *              RMSNorm leaves the mean out
 *   inference  BatchNorm uses running statistics instead, which every training forward
 *              moves towards those of its batch, with the unbiased variance:
 *              running <- (1 - momentum) running + momentum batch
 *
 * Running statistics are assigned once per training forward and in program order: an
 * assignment in the middle of a step is part of the step, which is refused when they
 * are not finite. Elsewhere they are computed at once, with the layer's result, so that
 * a batch beyond what a real can hold is refused at its line and leaves them as they
 * were. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <stdio.h>

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };
static const char *const batch_vars[] = {"weight", "bias", "running_mean",
                                         "running_var",
                                         NULL};
static const char *const layer_vars[] = {"weight", "bias", NULL};

typedef struct Norm {
  Layer layer;
  double momentum, eps;
  bool affine;
} Norm;

/* Gives all declared variables that shape: ones for weight and variance, zeros else. */
static Err give_all(Graph *graph, Layer *layer, const Shape *shape, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < layer->n_vars; i++) {
    if (!layer->var[i]) continue;
    double value = i == WEIGHT || i == RUNNING_VAR ? 1 : 0;
    err = layer_give_constant(graph, layer, i, value, shape, fault);
  }
  return err;
}

/* Is it an axis of one example? Of options: from 1, where axis 1 is the batch. */
static Err refuse_axis(const Layer *layer, int64_t axis, Fault *fault) {
  char label[96];
  return fault_set(fault, ERR_VALUE,
                   "%s: option \"axis\": got %lld, allowed: axes from 2 on, as axis 1 "
                   "is the batch; -1 is the last",
                   kind_label(layer->object.kind, label, sizeof label),
                   (long long)axis);
}

/* -- batch normalization ----------------------------------------------------------- */

typedef struct BatchNorm {
  Norm norm;
  IntList axis; /* of the channels, from 1, -1: the last; none: by what comes */
} BatchNorm;

static Err batch_norm_check(Object *object, Fault *fault) {
  const BatchNorm *self = (const BatchNorm *)object;
  Norm *norm = (Norm *)object;
  char label[96];
  if (self->axis.n > 1)
    return fault_set(fault, ERR_VALUE,
                     "%s: option \"axis\": got %d axes, allowed: that of the channels",
                     kind_label(object->kind, label, sizeof label), self->axis.n);
  if (self->axis.n && (self->axis.v[0] == 0 || self->axis.v[0] == 1))
    return refuse_axis(&norm->layer, self->axis.v[0], fault);
  Err err = ERR_OK;
  for (int i = WEIGHT; !err && norm->affine && i <= BIAS; i++)
    err = layer_declare(&norm->layer, i, true, fault);
  for (int i = RUNNING_MEAN; !err && i <= RUNNING_VAR; i++)
    err = layer_declare(&norm->layer, i, false, fault);
  return err;
}

/* The axis of the channels, from 0; below 1: x has none, or may have them in two
 * places. */
static int channel_axis(const Layer *layer, const Port *in) {
  const IntList *given = &((const BatchNorm *)layer)->axis;
  int rank = in->x->shape.rank;
  bool sequence = port_is_sequence(in);
  if (!given->n && rank > 2 && (rank == 3 || sequence))
    return sequence && rank == 3 ? 2 : 0;
  int64_t axis = shape_axis(rank, given->n ? given->v[0] : 2);
  return axis < rank ? (int)axis : 0;
}

/* What it takes, where `in` is not that. */
static const char *channels_expected(const Layer *layer, const Port *in) {
  if (in->mask)
    return "[N, T, ..., C] with its mask of steps, and channels behind them: write "
           "axis = -1 (nn.Unmask() before it drops the mask)";
  if (((const BatchNorm *)layer)->axis.n) return "[N, ...] with the axis of channels";
  return in->x->shape.rank < 3 ? "[N, C, ...]"
                               : "[N, C] or images; here axis = 2 ([N, C, ...]) or "
                                 "axis = -1 ([N, T, ..., "
                                 "C], as of sequences) is to be said";
}

static Err batch_norm_build(Graph *graph, Layer *layer, const Ports *ports,
                            Fault *fault) {
  const Port *port = &ports->v[0];
  const Shape *in = &port->x->shape;
  int axis = channel_axis(layer, port);
  if (axis < (port->mask ? 2 : 1))
    return layer_refuse_input(layer, channels_expected(layer, port), in, fault);
  return give_all(graph, layer, &SHAPE_OF(in->dim[axis]), fault);
}

/* With frozen running statistics it uses these in training, too. */
static bool batch_norm_live(const Layer *layer) {
  return !layer->var[RUNNING_MEAN]->frozen;
}

/* Are those of the batch used, and noted? */
static bool takes_batch(const Graph *graph, const Layer *layer) {
  return (graph->training || graph->statistics) && batch_norm_live(layer);
}

static Node *moved_towards(Graph *graph, const Layer *layer, int running, Node *batch,
                           double factor) {
  double momentum = graph->statistics ? 1 : ((const Norm *)layer)->momentum;
  return op_moving_average(graph, variable_read(graph, layer->var[running]), batch,
                           momentum, factor);
}

/* Outside of a step: computes y and the new running statistics, which must be
 * finite. */
static Err settle_statistics(Graph *graph, const Layer *layer, Node *y, Node *mean,
                             Node *var) {
  static const char *const what[] = {"mean", "variance"};
  Node *all[] = {y, mean, var};
  if (graph->in_transaction || graph_eval(graph, all, 3)) return graph->fault.code;
  for (int i = 0; i < 2; i++) {
    Text bad = {0};
    const Variable *running = layer->var[RUNNING_MEAN + i];
    if (array_explain_nonfinite(&node_value(all[1 + i])->a, &bad)) {
      fault_set(&graph->fault, ERR_NONFINITE,
                "%s: the %s of this batch is beyond what a %s can hold, or not a "
                "number: %s would become %s; the batch is refused and the running "
                "statistics stay",
                layer->name, what[i], REAL_NAME, running->name, bad.data);
      snprintf(graph->fault.place.layer, sizeof graph->fault.place.layer, "%s",
               layer->name);
    }
    text_deinit(&bad);
    if (graph->fault.code) break;
  }
  return graph->fault.code;
}

/* y, with which the running statistics move towards those of the batch. */
static Node *with_statistics(Graph *graph, Layer *layer, Node *y, Node *mean,
                             Node *var) {
  if (graph->fault.code || settle_statistics(graph, layer, y, mean, var) ||
      variable_assign(graph, layer->var[RUNNING_MEAN], mean) ||
      variable_assign(graph, layer->var[RUNNING_VAR], var))
    return NULL;
  return y;
}

static Node *batch_norm_train(Graph *graph, Layer *layer, Node *x) {
  double n = (double)shape_count(&x->shape) / (double)x->shape.dim[1];
  if (!(n > 1)) {
    char got[SHAPE_TEXT];
    fault_set(&graph->fault, ERR_SHAPE,
              "%s: one value per channel has no variance: training needs a batch of at "
              "least 2, got %s",
              layer->name, shape_text(got, &x->shape));
    return NULL;
  }
  Node *y = op_batch_norm(graph, x, layer_read(graph, layer, WEIGHT),
                          layer_read(graph, layer, BIAS), ((const Norm *)layer)->eps);
  Node *mean = moved_towards(graph, layer, RUNNING_MEAN, graph_pick(graph, y, 1), 1);
  Node *var = moved_towards(graph, layer, RUNNING_VAR, graph_pick(graph, y, 2),
                            n / (n - 1));
  return with_statistics(graph, layer, graph_pick(graph, y, 0), mean, var);
}

static Node *batch_norm_infer(Graph *graph, Layer *layer, Node *x) {
  const Norm *norm = (const Norm *)layer;
  Node *mean = layer_read(graph, layer, RUNNING_MEAN),
       *var = layer_read(graph, layer, RUNNING_VAR);
  Node *std = op_sqrt(graph, op_add(graph, var, graph_scalar(graph, norm->eps)));
  Node *scale = norm->affine ? op_div(graph, layer_read(graph, layer, WEIGHT), std)
                             : op_reciprocal(graph, std);
  mean = op_channels(graph, mean, &x->shape);
  scale = op_channels(graph, scale, &x->shape);
  if (!norm->affine) return op_mul(graph, op_sub(graph, x, mean), scale);
  Node *bias = op_channels(graph, layer_read(graph, layer, BIAS), &x->shape);
  return op_normalize(graph, x, mean, scale, bias);
}

/* x with its channels at axis 2, or back again: rows of [..., C] lie so already, others
 * change places with what is there. */
static Node *channels_moved(Graph *graph, Node *x, int axis, const Shape *back) {
  int perm[MAX_RANK], rank = back ? back->rank : x ? x->shape.rank : 0;
  if (axis == 1) return x;
  if (back && axis == rank - 1) return op_reshape(graph, x, back);
  if (axis == rank - 1) {
    int64_t channels = x->shape.dim[axis];
    return op_reshape(graph, x, &SHAPE_OF(-1, channels));
  }
  for (int i = 0; i < rank; i++) perm[i] = i == 1 ? axis : i == axis ? 1 : i;
  return op_transpose(graph, x, perm);
}

static Node *batch_norm_along(Graph *graph, Layer *layer, Node *x, int axis) {
  const Shape shape = x->shape;
  x = channels_moved(graph, op_cast(graph, x, DT_REAL), axis, NULL);
  if (!x) return NULL;
  bool train = takes_batch(graph, layer);
  Node *y = (train ? batch_norm_train : batch_norm_infer)(graph, layer, x);
  return channels_moved(graph, y, axis, &shape);
}

/* -- the same of sequences with a mask --------------------------------------------- */

/* x - mean where the mask counts, else 0; *mean, *var (with n and with n - 1 below it)
 * of what counts, [C]: two values at least. */
typedef struct Counted {
  Node *centred, *mean, *var, *unbiased;
} Counted;

static Counted count_steps(Graph *graph, Node *x, Node *mask, int axis) {
  const Shape shape = x->shape, channels = SHAPE_OF(shape.dim[axis]);
  Shape steps = {.rank = shape.rank, .dim = {shape.dim[0], shape.dim[1], 1, 1, 1, 1}};
  unsigned others = ((1u << shape.rank) - 1) & ~(1u << axis);
  int64_t each = 1;
  for (int i = 2; i < shape.rank; i++) each *= i == axis ? 1 : shape.dim[i];
  mask = op_counted(graph, mask, each);
  Node *counts = op_reshape(graph, mask, &steps), *zero = graph_scalar(graph, 0);
  Node *n = op_scale(graph, op_sum(graph, mask, ALL_AXES, false), (double)each);
  Node *sum = op_sum(graph, op_where(graph, counts, x, zero), others, true);
  Node *mean = op_div(graph, sum, n);
  Counted c = {.centred = op_where(graph, counts, op_sub(graph, x, mean), zero)};
  Node *squares = op_sum(graph, op_square(graph, c.centred), others, true);
  Node *less = op_sub(graph, n, graph_scalar(graph, 1));
  c.mean = op_reshape(graph, mean, &channels);
  c.var = op_div(graph, squares, n);
  c.unbiased = op_reshape(graph, op_div(graph, squares, less), &channels);
  return c;
}

/* v [C] along an axis of what has `rank` of them. */
static Node *along(Graph *graph, Node *v, int rank, int axis) {
  Shape shape = {.rank = rank, .dim = {1, 1, 1, 1, 1, 1}};
  shape.dim[axis] = -1;
  return v ? op_reshape(graph, v, &shape) : NULL;
}

static Node *batch_norm_counted(Graph *graph, Layer *layer, Node *x, Node *mask,
                                int axis) {
  const Norm *norm = (const Norm *)layer;
  Counted c = count_steps(graph, x, mask, axis);
  Node *mean = moved_towards(graph, layer, RUNNING_MEAN, c.mean, 1);
  Node *var = moved_towards(graph, layer, RUNNING_VAR, c.unbiased, 1);
  Node *y = op_div(graph, c.centred,
                   op_sqrt(graph,
                           op_add(graph, c.var, graph_scalar(graph, norm->eps))));
  if (norm->affine) {
    y = op_mul(graph, y,
               along(graph, layer_read(graph, layer, WEIGHT), x->shape.rank, axis));
    y = op_add(graph, y,
               along(graph, layer_read(graph, layer, BIAS), x->shape.rank, axis));
  }
  return with_statistics(graph, layer, y, mean, var);
}

/* The axis of the channels, of which there are as many as before; 0 after a fault. */
static int take_axis(Graph *graph, Layer *layer, const Ports *in) {
  if (!layer_takes(graph, layer, in, 1, 1)) return 0;
  const Port *port = &in->v[0];
  const Shape *shape = &port->x->shape;
  int64_t channels = layer->var[RUNNING_MEAN]->current->shape.dim[0];
  int axis = channel_axis(layer, port);
  bool found = axis >= (port->mask ? 2 : 1);
  if (found && shape->dim[axis] == channels) return axis;
  char expects[64];
  snprintf(expects, sizeof expects,
           axis == 1 ? "[N, %lld, ...]" : "%lld channels along axis %d",
           (long long)channels, axis + 1);
  layer_refuse(graph, layer, found ? expects : channels_expected(layer, port), shape);
  return 0;
}

/* Steps that the mask leaves out are no part of the statistics. */
static Ports batch_norm_ports(Graph *graph, Layer *layer, const Ports *in) {
  Node *x = in->v[0].x, *mask = in->v[0].mask;
  int axis = take_axis(graph, layer, in);
  if (!axis) return (Ports){0};
  Node *y = mask && takes_batch(graph, layer)
                ? batch_norm_counted(graph, layer, op_cast(graph, x, DT_REAL), mask,
                                     axis)
                : batch_norm_along(graph, layer, x, axis);
  return layer_ports_of(y, mask);
}

#define AT(field) .offset = offsetof(Norm, field)
/* Penalties and bounds as Keras calls them. */
#define OF_WEIGHT                                                                      \
  LAYER_REGULARIZER(WEIGHT, "weight", "gamma_regularizer"),                            \
  LAYER_CONSTRAINT(WEIGHT, "weight", "gamma_constraint")
#define OF_BIAS                                                                        \
  LAYER_REGULARIZER(BIAS, "bias", "beta_regularizer"),                                 \
  LAYER_CONSTRAINT(BIAS, "bias", "beta_constraint")
#define EPS_AFFINE                                                                     \
  {.name = "eps", .kind = OPT_REAL, AT(eps), .value = "1e-5", .alias = "epsilon",      \
   .lo = 0, .hi = 1e9, .doc = "added to the variance (Keras: 1e-3)"},                  \
  {.name = "affine", .kind = OPT_BOOL, AT(affine), .value = "true",                    \
   .alias = "elementwise_affine",                                                      \
   .doc = "learn a weight and a bias for each channel or feature"}

#define BATCH_NORM_OPTIONS                                                             \
  {.name = "momentum", .kind = OPT_REAL, AT(momentum), .value = "0.1", .lo = 0,        \
   .hi = 0.5, .hint = "Keras's 0.99 is 0.01 here",                                     \
   .doc = "share of the new value in the running statistics; Keras's 0.99 is 0.01 "    \
          "here"},                                                                     \
  EPS_AFFINE,                                                                          \
  {.name = "axis", .kind = OPT_INTS, .offset = offsetof(BatchNorm, axis),              \
   .lo = -MAX_RANK, .hi = MAX_RANK,                                                    \
   .doc = "axis of the channels; axis 1 is the batch, -1 the last (Keras: -1); left "  \
          "out: 2 of [N, C] and of images, the last of what comes from layers of "     \
          "sequences; a tensor of three axes from elsewhere needs it"},                \
  OF_WEIGHT, OF_BIAS

static const Option batch_norm_options[] = {BATCH_NORM_OPTIONS, LAYER_OPTIONS, {0}};

const LayerKind layer_batch_norm = {
    .kind = {.name = "BatchNorm",
             .alias = "BatchNormalization BatchNorm1d BatchNorm2d",
             .family = &layer_family, .size = sizeof(BatchNorm),
             .options = batch_norm_options,
             .check = batch_norm_check, .deinit = layer_deinit,
             .doc = "Normalizes each channel over the batch. In inference, or "
                    "when frozen, it uses running statistics. The variance is biased "
                    "in the batch, unbiased in the running statistics. Of sequences "
                    "with a mask only the steps that count do.",
             .equation = "y = weight (x - mean) / sqrt(var + eps) + bias",
             .source = "Ioffe & Szegedy, ICML 2015, algorithms 1 and 2"},
    .prefix = "batch_norm", .norm = "batch", .uses_batch = batch_norm_live,
    .knows_masks = true,
    .vars = batch_vars,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"affine", "false"}, {"axis", "2"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        {.in = {{4, {2, 3, 2, 5}}}, .out = {4, {2, 3, 2, 5}}},
        {{{"axis", "-1"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        {{{"axis", "3"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        LAYER_SAMPLES_END},
    .build = batch_norm_build,
    .ports = batch_norm_ports};

/* -- noisy batch normalization ----------------------------------------------------- */

typedef struct NoisyBatchNorm {
  BatchNorm batch;
  double mean_range, std_range, mean_jitter, std_jitter;
} NoisyBatchNorm;

/* The law of a channel is drawn anew for each forward, then the noise of each value. */
static Node *noisy(Graph *graph, Layer *layer, Node *y, int axis) {
  const NoisyBatchNorm *self = (const NoisyBatchNorm *)layer;
  char name[STREAM_NAME];
  if (!y || !graph->training) return y;
  if (!layer_stream(graph, layer, name)) return NULL;
  const Shape all = y->shape;
  Shape each = {.rank = all.rank, .dim = {1, 1, 1, 1, 1, 1}};
  each.dim[axis] = all.dim[axis];
  Stream s[4];
  for (int i = 0; i < 4; i++) s[i] = graph_draw(graph, "noise", name);
  Node *mean = op_random_uniform(graph, &each, -self->mean_range, self->mean_range,
                                 s[0]);
  Node *std = op_random_uniform(graph, &each, 1, self->std_range, s[1]);
  double m = self->mean_jitter;
  Node *shift = op_add(graph, mean, op_random_uniform(graph, &all, -m, m, s[2]));
  Node *scale = op_add(graph, std,
                       op_random_normal(graph, &all, 0, self->std_jitter, s[3]));
  return op_add(graph, op_mul(graph, scale, y), shift);
}

static Ports noisy_batch_norm_ports(Graph *graph, Layer *layer, const Ports *in) {
  int axis = take_axis(graph, layer, in);
  if (!axis) return (Ports){0};
  Node *y = batch_norm_along(graph, layer, in->v[0].x, axis);
  return layer_ports_of(noisy(graph, layer, y, axis), NULL);
}

#define NOISE_OPTION(field, default_, low, text)                                       \
  {.name = #field, .kind = OPT_REAL, .offset = offsetof(NoisyBatchNorm, field),        \
   .value = default_, .lo = low, .hi = 1e6, .doc = text}

static const Option noisy_batch_norm_options[] = {
    NOISE_OPTION(mean_range, "0.5", 0,
                 "largest distance from 0 of a channel's mean shift"),
    NOISE_OPTION(std_range, "1.25", 1,
                 "largest mean scale of a channel; the smallest is 1"),
    NOISE_OPTION(mean_jitter, "0.1", 0,
                 "largest distance of a value's shift from its channel's"),
    NOISE_OPTION(std_jitter, "0.1", 0,
                 "standard deviation of a value's scale around its channel's"),
    BATCH_NORM_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_noisy_batch_norm = {
    .kind = {.name = "NoisyBatchNorm", .family = &layer_family,
             .size = sizeof(NoisyBatchNorm), .options = noisy_batch_norm_options,
             .check = batch_norm_check, .deinit = layer_deinit,
             .doc = "BatchNorm whose results are scaled and shifted at random in "
                    "training, by a law that changes at every step. So the "
                    "distributions that the next layer sees are less stable than "
                    "without BatchNorm: it shows whether their stability is what "
                    "helps. The paper's is noise of each value whose mean is not 0 and "
                    "whose variance is not 1. The law below and its default sizes are "
                    "this program's, not compared with those of the paper.",
             .equation = "y = s b + m, b = BatchNorm(x); of a channel: mu ~ "
                         "U(-mean_range, mean_range), sigma ~ U(1, std_range); of a "
                         "value: m ~ U(mu - mean_jitter, mu + mean_jitter), s ~ "
                         "N(sigma, std_jitter^2)",
             .source = "Santurkar et al., NeurIPS 2018, section 2.1 (the experiment)"},
    .prefix = "noisy_batch_norm", .norm = "noisy_batch", .uses_batch = batch_norm_live,
    .vars = batch_vars,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"axis", "-1"}, {"std_range", "3"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        LAYER_SAMPLES_END},
    .build = batch_norm_build, .ports = noisy_batch_norm_ports};

/* -- layer normalization ----------------------------------------------------------- */

static Err layer_norm_check(Object *object, Fault *fault) {
  Norm *norm = (Norm *)object;
  Err err = ERR_OK;
  for (int i = WEIGHT; !err && norm->affine && i <= BIAS; i++)
    err = layer_declare(&norm->layer, i, true, fault);
  return err;
}

/* Over axes of each example. */
typedef struct AxesNorm {
  Norm norm;
  IntList axis; /* from 1, below 0 from the end; none: the last */
} AxesNorm;

/* Is each an axis of one example, and there once? */
static Err check_axes(Object *object, Fault *fault) {
  const AxesNorm *self = (const AxesNorm *)object;
  char label[96];
  for (int i = 0; i < self->axis.n; i++) {
    int64_t axis = self->axis.v[i];
    if (axis == 0 || axis == 1) return refuse_axis(&self->norm.layer, axis, fault);
    for (int k = 0; k < i; k++)
      if (self->axis.v[k] == axis)
        return fault_set(fault, ERR_VALUE,
                         "%s: option \"axis\": got %lld twice, allowed: each axis once",
                         kind_label(object->kind, label, sizeof label),
                         (long long)axis);
  }
  return ERR_OK;
}

static Err axes_norm_check(Object *object, Fault *fault) {
  Err err = check_axes(object, fault);
  return err ? err : layer_norm_check(object, fault);
}

/* The axes as bits, from 0; 0: x lacks one of them. */
static unsigned axes_of(const Layer *layer, const Shape *x) {
  const IntList *list = &((const AxesNorm *)layer)->axis;
  unsigned axes = list->n || x->rank < 2 ? 0 : 1u << (x->rank - 1);
  for (int i = 0; i < list->n; i++) {
    int64_t axis = shape_axis(x->rank, list->v[i]);
    if (axis < 1 || axis >= x->rank || axes & 1u << axis) return 0;
    axes |= 1u << axis;
  }
  return axes;
}

/* The sizes of x along the axes; with `all` 1 along the others. */
static Shape sizes_along(const Shape *x, unsigned axes, bool all) {
  Shape s = {0};
  for (int i = 0; i < x->rank; i++)
    if (all || axes & 1u << i) s.dim[s.rank++] = axes & 1u << i ? x->dim[i] : 1;
  return s;
}

static const char *axes_expected(const Layer *layer) {
  return ((const AxesNorm *)layer)->axis.n ? "[N, ...] with the axes of its option axis"
                                           : "[N, ..., D]";
}

static Err axes_norm_build(Graph *graph, Layer *layer, const Ports *ports,
                           Fault *fault) {
  const Shape *in = &ports->v[0].x->shape;
  unsigned axes = axes_of(layer, in);
  if (!axes) return layer_refuse_input(layer, axes_expected(layer), in, fault);
  const Shape shape = sizes_along(in, axes, false);
  return give_all(graph, layer, &shape, fault);
}

/* The axes of x, which fits the weight; 0 and a fault: it does not. */
static unsigned fitting_axes(Graph *graph, Layer *layer, const Shape *x) {
  unsigned axes = axes_of(layer, x);
  const Variable *weight = layer_var(layer, WEIGHT);
  const Shape along = sizes_along(x, axes, false);
  if (axes && (!weight || shape_equal(&along, &weight->current->shape))) return axes;
  char expects[64 + SHAPE_TEXT], want[SHAPE_TEXT];
  if (axes && ((const AxesNorm *)layer)->axis.n)
    snprintf(expects, sizeof expects, "%s along its axes",
             shape_text(want, &weight->current->shape));
  else if (weight)
    snprintf(expects, sizeof expects, "[N, ..., %lld]",
             (long long)weight->current->shape.dim[0]);
  else snprintf(expects, sizeof expects, "%s", axes_expected(layer));
  layer_refuse(graph, layer, expects, x);
  return 0;
}

/* A mask passes on where no steps are mixed. */
static Ports axes_norm_ports(Graph *graph, Layer *layer, const Ports *in,
                             Node *(*f)(Graph *, Layer *, Node *, unsigned)) {
  if (!layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  Node *x = in->v[0].x, *mask = in->v[0].mask;
  unsigned axes = fitting_axes(graph, layer, &x->shape);
  if (axes && mask && axes & 2u)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: axis 2 is that of the steps, which a mask counts; allowed: axes "
              "from 3 on, or nn.Unmask() before it, which drops the mask",
              layer->name);
  if (graph->fault.code) return (Ports){0};
  return layer_ports_of(f(graph, layer, op_cast(graph, x, DT_REAL), axes), mask);
}

/* The order of x's axes that puts `axes` behind the others. True: it is another one. */
static bool axes_last(int perm[MAX_RANK], int rank, unsigned axes) {
  int n = 0;
  for (int behind = 0; behind < 2; behind++)
    for (int i = 0; i < rank; i++)
      if ((axes >> i & 1u) == (unsigned)behind) perm[n++] = i;
  for (int i = 0; i < rank; i++)
    if (perm[i] != i) return true;
  return false;
}

static Node *flat(Graph *graph, Node *v) {
  return v && v->shape.rank > 1 ? op_reshape(graph, v, &SHAPE_OF(-1)) : v;
}

/* Rows of all that is along the axes go through the op. */
static Node *layer_norm_forward(Graph *graph, Layer *layer, Node *x, unsigned axes) {
  int perm[MAX_RANK], back[MAX_RANK], rank = x->shape.rank;
  bool moved = axes_last(perm, rank, axes), rows = axes != 1u << (rank - 1);
  for (int i = 0; i < rank; i++) back[perm[i]] = i;
  if (moved) x = op_transpose(graph, x, perm);
  if (!x) return NULL;
  const Shape shape = x->shape;
  int64_t size[] = {1, 1}; /* of what is not along the axes, and of what is */
  for (int i = 0; i < rank; i++) size[axes >> perm[i] & 1u] *= shape.dim[i];
  if (rows) x = op_reshape(graph, x, &SHAPE_OF(size[0], size[1]));
  Node *y = op_layer_norm(graph, x, flat(graph, layer_read(graph, layer, WEIGHT)),
                          flat(graph, layer_read(graph, layer, BIAS)),
                          ((const Norm *)layer)->eps);
  if (rows) y = op_reshape(graph, y, &shape);
  return moved ? op_transpose(graph, y, back) : y;
}

static Ports layer_norm_ports(Graph *graph, Layer *layer, const Ports *in) {
  return axes_norm_ports(graph, layer, in, layer_norm_forward);
}

#define AXES_OPTION                                                                    \
  {.name = "axis", .kind = OPT_INTS, .offset = offsetof(AxesNorm, axis),               \
   .lo = -MAX_RANK, .hi = MAX_RANK,                                                    \
   .doc = "the axis, or list of axes, over which each example is normalized, each "    \
          "with a weight of its own; axis 1 is the batch; left out: the last. Of "     \
          "images 2: the channels of each pixel; { 2, 3, 4 }: all (PyTorch's "         \
          "normalized_shape of three sizes)"}

static const Option layer_norm_options[] = {EPS_AFFINE, AXES_OPTION, OF_WEIGHT, OF_BIAS,
                                            LAYER_OPTIONS, {0}};

const LayerKind layer_layer_norm = {
    .kind = {.name = "LayerNorm", .alias = "LayerNormalization",
             .family = &layer_family,
             .size = sizeof(AxesNorm), .options = layer_norm_options,
             .check = axes_norm_check, .deinit = layer_deinit,
             .doc = "Normalizes each row over its last axis, or each example over the "
                    "axes that are given, in training and inference alike.",
             .equation = "y = weight (x - mean) / sqrt(var + eps) + bias",
             .source = "Ba et al., arXiv:1607.06450, eq. 4; of channels: Liu et al., "
                       "CVPR 2022, section 2.6"},
    .prefix = "layer_norm", .norm = "layer", .knows_masks = true, .vars = layer_vars,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"affine", "false"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        {.in = {{4, {2, 3, 2, 5}}}, .out = {4, {2, 3, 2, 5}}},
        {{{"axis", "2"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        {{{"axis", "2 3 4"}}, {{4, {2, 3, 2, 4}}}, {4, {2, 3, 2, 4}}},
        {{{"axis", "-1 2"}, {"affine", "false"}}, {{4, {2, 3, 2, 4}}},
         {4, {2, 3, 2, 4}}},
        LAYER_SAMPLES_END},
    .build = axes_norm_build,
    .ports = layer_norm_ports};

/* -- group normalization ----------------------------------------------------------- */

typedef struct GroupNorm {
  Norm norm;
  int64_t groups;
} GroupNorm;

static Err group_norm_build(Graph *graph, Layer *layer, const Ports *ports,
                            Fault *fault) {
  const Shape *in = &ports->v[0].x->shape;
  if (in->rank < 2) return layer_refuse_input(layer, "[N, C, ...]", in, fault);
  return give_all(graph, layer, &SHAPE_OF(in->dim[1]), fault);
}

static Node *refuse_groups(Graph *graph, Layer *layer, int64_t groups, const Shape *x) {
  char expects[128];
  const Variable *weight = layer_var(layer, WEIGHT);
  int64_t C = x->rank < 2 ? 0 : x->dim[1], want = C;
  if (weight) want = weight->current->shape.dim[0];
  if (C % groups == 0 && C != want)
    snprintf(expects, sizeof expects, "[N, %lld, ...]", (long long)want);
  else
    snprintf(expects, sizeof expects,
             "[N, C, ...] of which C is a multiple of %lld groups that have at least "
             "2 values each",
             (long long)groups);
  return layer_refuse(graph, layer, expects, x);
}

/* x as [N, groups, values of a group]: each group is a row of a layer normalization. */
static Node *by_groups(Graph *graph, Layer *layer, Node *x, int64_t groups) {
  const Variable *weight = layer_var(layer, WEIGHT);
  int64_t C = x->shape.rank < 2 ? 0 : x->shape.dim[1];
  int64_t per_group = C ? shape_stride(&x->shape, 0) / groups : 0;
  if (!C || C % groups || per_group < 2 ||
      (weight && weight->current->shape.dim[0] != C))
    return refuse_groups(graph, layer, groups, &x->shape);
  Shape shape = x->shape, rows = SHAPE_OF(shape.dim[0], groups, per_group);
  Node *y = op_reshape(graph, op_cast(graph, x, DT_REAL), &rows);
  y = op_layer_norm(graph, y, NULL, NULL, ((const Norm *)layer)->eps);
  y = op_reshape(graph, y, &shape);
  if (!weight) return y;
  y = op_mul(graph, y, op_channels(graph, layer_read(graph, layer, WEIGHT), &shape));
  return op_add(graph, y, op_channels(graph, layer_read(graph, layer, BIAS), &shape));
}

static Node *group_norm_forward(Graph *graph, Layer *layer, Node *x) {
  return by_groups(graph, layer, x, ((const GroupNorm *)layer)->groups);
}

static const Option group_norm_options[] = {
    {.name = "groups", .kind = OPT_INT, .offset = offsetof(GroupNorm, groups),
     .position = 1,
     .lo = 1, .hi = 1e9, .alias = "num_groups",
     .doc = "number of groups into which the channels are divided (Keras: 32)"},
    EPS_AFFINE,
    OF_WEIGHT,
    OF_BIAS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_group_norm = {
    .kind = {.name = "GroupNorm", .alias = "GroupNormalization",
             .family = &layer_family,
             .size = sizeof(GroupNorm), .options = group_norm_options,
             .check = layer_norm_check, .deinit = layer_deinit,
             .call = "nn.GroupNorm(3)",
             .doc = "Normalizes each example over groups of its channels (axis 2) and "
                    "all axes behind them, in training and inference alike. With one "
                    "group, over all channels; with as many as channels, it is "
                    "instance normalization.",
             .equation = "y = weight (x - mean) / sqrt(var + eps) + bias, mean and var "
                         "over C / groups channels",
             .source = "Wu & He, ECCV 2018, eq. 1 and 7"},
    .prefix = "group_norm", .norm = "group", .vars = layer_vars,
    .samples = (const LayerSample[]){
        {{{"groups", "1"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"groups", "2"}}, {{4, {2, 6, 3, 5}}}, {4, {2, 6, 3, 5}}},
        {{{"groups", "3"}, {"affine", "false"}}, {{3, {1, 3, 7}}}, {3, {1, 3, 7}}},
        LAYER_SAMPLES_END},
    .build = group_norm_build,
    .forward = group_norm_forward};

/* -- instance normalization -------------------------------------------------------- */

static Node *instance_norm_forward(Graph *graph, Layer *layer, Node *x) {
  int64_t channels = x->shape.rank < 2 ? 0 : x->shape.dim[1];
  return by_groups(graph, layer, x, channels ? channels : 1);
}

static const Option instance_norm_options[] = {EPS_AFFINE, OF_WEIGHT, OF_BIAS,
                                               LAYER_OPTIONS, {0}};

const LayerKind layer_instance_norm = {
    .kind = {.name = "InstanceNorm",
             .alias = "InstanceNormalization InstanceNorm1d InstanceNorm2d",
             .family = &layer_family, .size = sizeof(Norm),
             .options = instance_norm_options, .check = layer_norm_check,
             .deinit = layer_deinit,
             .example = "print(nn.InstanceNorm()(tensor.randn(2, 3, 4, 4)))",
             .doc = "Normalizes each channel (axis 2) of each example by itself, in "
                    "training and inference alike (PyTorch: affine = false).",
             .equation = "y = weight (x - mean) / sqrt(var + eps) + bias",
             .source = "Ulyanov et al., arXiv:1607.08022, eq. 2"},
    .prefix = "instance_norm", .norm = "instance", .vars = layer_vars,
    .samples = (const LayerSample[]){
        {.in = {{3, {4, 3, 2}}}, .out = {3, {4, 3, 2}}},
        {{{"affine", "false"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        LAYER_SAMPLES_END},
    .build = group_norm_build, .forward = instance_norm_forward};

/* -- root-mean-square normalization ------------------------------------------------ */

static const char *const rms_vars[] = {"weight", NULL};
static const Option rms_norm_options[] = {EPS_AFFINE, AXES_OPTION, OF_WEIGHT,
                                          LAYER_OPTIONS, {0}};

static Err rms_norm_check(Object *object, Fault *fault) {
  Norm *norm = (Norm *)object;
  Err err = check_axes(object, fault);
  if (err || !norm->affine) return err;
  return layer_declare(&norm->layer, WEIGHT, true, fault);
}

static Node *rms_norm_forward(Graph *graph, Layer *layer, Node *x, unsigned axes) {
  Node *weight = layer_read(graph, layer, WEIGHT);
  if (!x) return NULL;
  const Shape along = sizes_along(&x->shape, axes, true);
  Node *mean = op_mean(graph, op_square(graph, x), axes, true);
  Node *eps = graph_scalar(graph, ((const Norm *)layer)->eps);
  Node *y = op_div(graph, x, op_sqrt(graph, op_add(graph, mean, eps)));
  if (!weight) return y;
  bool last = axes == 1u << (x->shape.rank - 1);
  return op_mul(graph, y, last ? weight : op_reshape(graph, weight, &along));
}

static Ports rms_norm_ports(Graph *graph, Layer *layer, const Ports *in) {
  return axes_norm_ports(graph, layer, in, rms_norm_forward);
}

const LayerKind layer_rms_norm = {
    .kind = {.name = "RMSNorm", .alias = "RMSNormalization", .family = &layer_family,
             .size = sizeof(AxesNorm), .options = rms_norm_options,
             .check = rms_norm_check, .deinit = layer_deinit,
             .doc = "Divides each row by its root mean square over the last axis, or "
                    "each example over the axes that are given, in training and "
                    "inference alike. affine: learn a weight.",
             .equation = "y = weight x / sqrt(mean(x^2) + eps)",
             .source = "Zhang & Sennrich, NeurIPS 2019, eq. 4"},
    .prefix = "rms_norm", .norm = "rms", .knows_masks = true, .vars = rms_vars,
    .samples = (const LayerSample[]){
        {.in = {{2, {4, 3}}}, .out = {2, {4, 3}}},
        {{{"affine", "false"}}, {{3, {3, 5, 2}}}, {3, {3, 5, 2}}},
        {.in = {{4, {2, 3, 2, 5}}}, .out = {4, {2, 3, 2, 5}}},
        {{{"axis", "2 4"}}, {{4, {2, 3, 2, 4}}}, {4, {2, 3, 2, 4}}},
        LAYER_SAMPLES_END},
    .build = axes_norm_build, .ports = rms_norm_ports};
