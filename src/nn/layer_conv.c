/* layer_conv.c: convolutions of images [N, C, H, W]: Conv2D, and those that take each
 * channel by itself. A kernel is [filters, C / groups, kh, kw] and moves over the image
 * in steps of `stride`, its own elements `dilation` apart (window.h).
 *
 * Each output sees C / groups kh kw inputs, and each input goes into filters / groups
 * kh kw outputs: these are the initializer's fans. */
#include "nn/conv.h"
#include "base/ints.h"
#include <stdio.h>

enum { WEIGHT, BIAS };
static const char *const conv_vars[] = {"weight", "bias", NULL};

/* -- what they share --------------------------------------------------------------- */

Err conv_check(Linear *self, int64_t filters, int64_t groups, Fault *fault) {
  char label[96];
  if (filters % groups == 0) return linear_declare(self, 1, fault);
  return fault_set(fault, ERR_VALUE,
                   "%s: %lld filters in %lld groups; allowed: a multiple of the groups",
                   kind_label(self->layer.object.kind, label, sizeof label),
                   (long long)filters, (long long)groups);
}

Window conv_along(const Conv *self, int axis, int64_t n, ConvSteps *steps) {
  Window w = {.n = n, .kernel = self->kernel.v[axis], .stride = self->stride.v[axis],
              .dilation = self->dilation.v[axis]};
  window_pad(&w, &self->padding, axis);
  steps->stride[axis] = w.stride;
  steps->dilation[axis] = w.dilation;
  steps->before[axis] = w.before;
  steps->after[axis] = w.after;
  return w;
}

/* Over images of such a shape. */
static ConvSteps steps_over(const Conv *self, const Shape *x, int64_t groups) {
  ConvSteps steps = {.groups = groups};
  for (int i = 0; i < 2; i++) (void)conv_along(self, i, x->dim[2 + i], &steps);
  return steps;
}

Err conv_check_images(const Conv *self, const Shape *x, Fault *fault) {
  char got[SHAPE_TEXT];
  if (x->rank == 4 && x->dim[1] % self->groups == 0) return ERR_OK;
  if (self->groups == 1)
    return layer_refuse_input(&self->linear.layer, "[N, C, H, W]", x, fault);
  return fault_set(fault, ERR_SHAPE,
                   "%s: expects [N, C, H, W] of which C is a multiple of %lld groups, "
                   "got %s",
                   self->linear.layer.name, (long long)self->groups,
                   shape_text(got, x));
}

bool conv_takes(Graph *graph, Layer *layer, const Shape *x, int64_t C) {
  char expects[64];
  if (x->rank == 4 && x->dim[1] == C) return true;
  snprintf(expects, sizeof expects, "[N, %lld, H, W]", (long long)C);
  layer_refuse(graph, layer, expects, x);
  return false;
}

Node *conv_finish(Graph *graph, Layer *layer, Node *y, int bias) {
  if (y && ((const Linear *)layer)->bias) {
    Node *b = layer_read(graph, layer, bias);
    y = op_add(graph, y, op_reshape(graph, b, &SHAPE_OF(y->shape.dim[1], 1, 1)));
  }
  return layer_activated(graph, layer, y);
}

/* -- Conv2D ------------------------------------------------------------------------ */

static Err conv2d_check(Object *object, Fault *fault) {
  Conv *self = (Conv *)object;
  return conv_check(&self->linear, self->filters, self->groups, fault);
}

static Err conv2d_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Conv *self = (Conv *)layer;
  const Shape *x = &in->v[0].x->shape;
  if (conv_check_images(self, x, fault)) return fault->code;
  int64_t c = x->dim[1] / self->groups, R = self->kernel.v[0], S = self->kernel.v[1];
  int64_t f = self->filters / self->groups;
  return linear_give(graph, &self->linear, &SHAPE_OF(self->filters, c, R, S), BIAS,
                     self->filters, (double)(c * R * S), (double)(f * R * S), fault);
}

static Node *conv2d_forward(Graph *graph, Layer *layer, Node *x) {
  const Conv *self = (const Conv *)layer;
  int64_t C = layer->var[WEIGHT]->current->shape.dim[1] * self->groups;
  if (!conv_takes(graph, layer, &x->shape, C)) return NULL;
  ConvSteps steps = steps_over(self, &x->shape, self->groups);
  Node *w = layer_read(graph, layer, WEIGHT);
  Node *y = op_conv2d(graph, op_cast(graph, x, DT_REAL), w, &steps);
  return conv_finish(graph, layer, y, BIAS);
}

#define AT(type, field) .offset = offsetof(type, field)

static const Option conv2d_options[] = {
    CONV_FILTERS(Conv),
    CONV_KERNEL(2),
    CONV_STRIDE(CONV_STRIDE_TEXT),
    WINDOW_PADDING(Conv, padding, "zeros around the image"),
    CONV_DILATION,
    CONV_GROUPS(Conv),
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_conv2d = {
    .kind = {.name = "Conv2D", .alias = "Conv2d Convolution2D", .family = &layer_family,
             .size = sizeof(Conv), .options = conv2d_options,
             .example = "local images = tensor.randn(1, 3, 5, 5)\n"
                        "print(nn.Conv2D(2, 3, { padding = \"same\" })(images))",
             .doc = "Convolution of images: [N, C, H, W] -> [N, filters, P, Q]. weight "
                    "[filters, C / groups, kh, kw], bias [filters]. The kernel is not "
                    "mirrored, as everywhere in deep learning.",
             .equation = "y[n, f, p, q] = bias[f] + sum_crs weight[f, c, r, s] "
                         "x[n, c, p stride + r dilation - pad, ...]",
             .source = CONV_SOURCE,
             .check = conv2d_check, .deinit = layer_deinit},
    .prefix = "conv2d", .vars = conv_vars, .activation = offsetof(Linear, activation),
    .units_axis = 1,
    .samples = (const LayerSample[]){
        {{{"filters", "1"}, {"kernel_size", "1"}}, {{4, {1, 1, 1, 1}}},
         {4, {1, 1, 1, 1}}},
        {{{"filters", "3"}, {"kernel_size", "2 3"}, {"activation", "tanh"}},
         {{4, {2, 2, 5, 4}}}, {4, {2, 3, 4, 2}}},
        {{{"filters", "4"}, {"kernel_size", "3"}, {"stride", "2"}, {"padding", "same"},
          {"groups", "2"}}, {{4, {3, 2, 5, 6}}}, {4, {3, 4, 3, 3}}},
        {{{"filters", "2"}, {"kernel_size", "2"}, {"padding", "1"}, {"dilation", "2 1"},
          {"bias", "false"}}, {{4, {1, 3, 4, 7}}}, {4, {1, 2, 4, 8}}},
        {{{"filters", "1"}, {"kernel_size", "3"}, {"padding", "2 0 0 1"}},
         {{4, {2, 1, 3, 4}}}, {4, {2, 1, 3, 3}}},
        LAYER_SAMPLES_END},
    .build = conv2d_build, .forward = conv2d_forward};

/* -- DepthwiseConv2D --------------------------------------------------------------- */

typedef struct DepthwiseConv2D {
  Conv conv;
  int64_t multiplier;
} DepthwiseConv2D;

/* Of C channels: m kernels for each. */
static Shape depthwise_shape(const Conv *self, int64_t C, int64_t m) {
  return SHAPE_OF(C * m, 1, self->kernel.v[0], self->kernel.v[1]);
}

static Err depthwise_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Conv *self = (Conv *)layer;
  const Shape *x = &in->v[0].x->shape;
  int64_t m = ((const DepthwiseConv2D *)layer)->multiplier;
  if (x->rank != 4) return layer_refuse_input(layer, "[N, C, H, W]", x, fault);
  Shape shape = depthwise_shape(self, x->dim[1], m);
  double seen = (double)(self->kernel.v[0] * self->kernel.v[1]);
  return linear_give(graph, &self->linear, &shape, BIAS, shape.dim[0], seen,
                     (double)m * seen, fault);
}

/* Each of the channels by itself, m times. */
static Node *depthwise(Graph *graph, Layer *layer, Node *x, int64_t m) {
  const Conv *self = (const Conv *)layer;
  int64_t C = layer->var[WEIGHT]->current->shape.dim[0] / m;
  if (!conv_takes(graph, layer, &x->shape, C)) return NULL;
  ConvSteps steps = steps_over(self, &x->shape, most(C, 1));
  Node *w = layer_read(graph, layer, WEIGHT);
  return op_conv2d(graph, op_cast(graph, x, DT_REAL), w, &steps);
}

static Node *depthwise_forward(Graph *graph, Layer *layer, Node *x) {
  int64_t m = ((const DepthwiseConv2D *)layer)->multiplier;
  return conv_finish(graph, layer, depthwise(graph, layer, x, m), BIAS);
}

#define MULTIPLIER(type)                                                               \
  {.name = "depth_multiplier", .kind = OPT_INT, AT(type, multiplier), .value = "1",    \
   .lo = 1, .hi = 1e6, .sizes = true, .doc = "number of kernels for each channel"}

static const Option depthwise_options[] = {
    CONV_KERNEL(1),
    CONV_STRIDE(CONV_STRIDE_TEXT),
    WINDOW_PADDING(Conv, padding, "zeros around the image"),
    CONV_DILATION,
    MULTIPLIER(DepthwiseConv2D),
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_depthwise_conv2d = {
    .kind = {.name = "DepthwiseConv2D", .alias = "DepthwiseConv2d",
             .family = &layer_family, .size = sizeof(DepthwiseConv2D),
             .options = depthwise_options,
             .example = "local images = tensor.randn(1, 3, 5, 5)\n"
                        "print(nn.DepthwiseConv2D(3)(images))",
             .doc = "Convolution of each channel by itself, with m = depth_multiplier "
                    "kernels: [N, C, H, W] -> [N, C m, P, Q]. weight [C m, 1, kh, kw], "
                    "bias [C m]. PyTorch: Conv2d with groups = C.",
             .equation = "y[n, c m + k, p, q] = bias[c m + k] + sum_rs weight[c m + k, "
                         "1, r, s] x[n, c, p stride + r dilation - pad, ...], c and k "
                         "from 0",
             .source = "Chollet, CVPR 2017, section 2; Sifre, thesis, Ecole "
                       "Polytechnique, 2014",
             .check = linear_check, .deinit = layer_deinit},
    .prefix = "depthwise_conv2d", .vars = conv_vars,
    .activation = offsetof(Linear, activation), .units_axis = 1,
    .samples = (const LayerSample[]){
        {{{"kernel_size", "1"}}, {{4, {1, 1, 1, 1}}}, {4, {1, 1, 1, 1}}},
        {{{"kernel_size", "2 3"}, {"depth_multiplier", "2"}, {"activation", "tanh"}},
         {{4, {2, 3, 5, 4}}}, {4, {2, 6, 4, 2}}},
        {{{"kernel_size", "3"}, {"stride", "2"}, {"padding", "same"},
          {"dilation", "1 2"}, {"bias", "false"}}, {{4, {1, 2, 5, 6}}},
         {4, {1, 2, 3, 3}}},
        LAYER_SAMPLES_END},
    .build = depthwise_build, .forward = depthwise_forward};

/* -- SeparableConv2D --------------------------------------------------------------- */

typedef struct SeparableConv2D {
  Conv conv;
  int64_t multiplier;
  Init *pointwise_init;
} SeparableConv2D;

enum { DEPTHWISE, POINTWISE, SEPARABLE_BIAS };
static const char *const separable_vars[] = {"depthwise_weight", "pointwise_weight",
                                             "bias", NULL};

static Err separable_check(Object *object, Fault *fault) {
  return linear_declare((Linear *)object, 2, fault);
}

static Err separable_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  SeparableConv2D *self = (SeparableConv2D *)layer;
  const Shape *x = &in->v[0].x->shape;
  int64_t filters = self->conv.filters, m = self->multiplier;
  if (x->rank != 4) return layer_refuse_input(layer, "[N, C, H, W]", x, fault);
  Shape shape = depthwise_shape(&self->conv, x->dim[1], m);
  double seen = (double)(self->conv.kernel.v[0] * self->conv.kernel.v[1]);
  Err err = linear_give(graph, &self->conv.linear, &shape, SEPARABLE_BIAS, filters,
                        seen, (double)m * seen, fault);
  if (err) return err;
  return layer_give(graph, layer, POINTWISE, self->pointwise_init,
                    &SHAPE_OF(filters, shape.dim[0], 1, 1), (double)shape.dim[0],
                    (double)filters, fault);
}

static Node *separable_forward(Graph *graph, Layer *layer, Node *x) {
  static const ConvSteps point = {{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1};
  Node *y = depthwise(graph, layer, x, ((const SeparableConv2D *)layer)->multiplier);
  y = op_conv2d(graph, y, layer_read(graph, layer, POINTWISE), &point);
  return conv_finish(graph, layer, y, SEPARABLE_BIAS);
}

static const Option separable_options[] = {
    CONV_FILTERS(Conv),
    CONV_KERNEL(2),
    CONV_STRIDE(CONV_STRIDE_TEXT),
    WINDOW_PADDING(Conv, padding, "zeros around the image"),
    CONV_DILATION,
    MULTIPLIER(SeparableConv2D),
    LAYER_ACTIVATION(Linear),
    LAYER_BIAS(Linear, "add a bias"),
    {.name = "depthwise_init", .kind = OPT_OBJECT, AT(Linear, init),
     .family = &init_family, .value = "glorot_uniform",
     .alias = "depthwise_initializer", .doc = "initial depthwise_weight"},
    {.name = "pointwise_init", .kind = OPT_OBJECT, AT(SeparableConv2D, pointwise_init),
     .family = &init_family, .value = "glorot_uniform",
     .alias = "pointwise_initializer", .doc = "initial pointwise_weight"},
    LAYER_BIAS_INIT(Linear, "initial bias"),
    LAYER_REGULARIZER_OF(DEPTHWISE, "depthwise", "depthwise_weight", NULL),
    LAYER_REGULARIZER_OF(POINTWISE, "pointwise", "pointwise_weight", NULL),
    LAYER_REGULARIZER(SEPARABLE_BIAS, "bias", NULL),
    LAYER_ACTIVITY_REGULARIZER,
    LAYER_CONSTRAINT_OF(DEPTHWISE, "depthwise", "depthwise_weight", NULL),
    LAYER_CONSTRAINT_OF(POINTWISE, "pointwise", "pointwise_weight", NULL),
    LAYER_CONSTRAINT(SEPARABLE_BIAS, "bias", NULL),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_separable_conv2d = {
    .kind = {.name = "SeparableConv2D", .alias = "SeparableConvolution2D",
             .family = &layer_family, .size = sizeof(SeparableConv2D),
             .options = separable_options,
             .example = "local images = tensor.randn(1, 3, 5, 5)\n"
                        "print(nn.SeparableConv2D(2, 3)(images))",
             .doc = "Convolution of each channel by itself, with m = depth_multiplier "
                    "kernels, then of all channels at each pixel: [N, C, H, W] -> [N, "
                    "filters, P, Q]. depthwise_weight [C m, 1, kh, kw], "
                    "pointwise_weight [filters, C m, 1, 1], bias [filters].",
             .equation = "y[n, f, p, q] = bias[f] + sum_k pointwise_weight[f, k] z[n, "
                         "k, p, q], z of DepthwiseConv2D without bias",
             .source = "Chollet, CVPR 2017, section 2",
             .check = separable_check, .deinit = layer_deinit},
    .prefix = "separable_conv2d", .vars = separable_vars,
    .activation = offsetof(Linear, activation), .units_axis = 1,
    .samples = (const LayerSample[]){
        {{{"filters", "1"}, {"kernel_size", "1"}}, {{4, {1, 1, 1, 1}}},
         {4, {1, 1, 1, 1}}},
        {{{"filters", "4"}, {"kernel_size", "2 3"}, {"depth_multiplier", "2"},
          {"activation", "tanh"}}, {{4, {2, 3, 5, 4}}}, {4, {2, 4, 4, 2}}},
        {{{"filters", "3"}, {"kernel_size", "3"}, {"stride", "2"}, {"padding", "same"},
          {"bias", "false"}}, {{4, {1, 2, 5, 6}}}, {4, {1, 3, 3, 3}}},
        LAYER_SAMPLES_END},
    .build = separable_build, .forward = separable_forward};
