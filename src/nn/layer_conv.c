/* layer_conv.c: convolutions. Images are [N, C, H, W]; a kernel is [filters, C /
 * groups, kh, kw] and moves over the image in steps of `stride`, its own elements
 * `dilation` apart (window.h).
 *
 * Each output sees C / groups kh kw inputs, and each input goes into filters / groups
 * kh kw outputs: these are the initializer's fans. */
#include "nn/nn.h"
#include "graph/ops.h"
#include "nn/window.h"
#include <stdio.h>

typedef struct Conv2D {
  Layer layer;
  int64_t filters, groups;
  IntPair kernel, stride, dilation; /* of rows and columns */
  Sides padding;
  bool bias;
  Activation *activation;
  Init *init, *bias_init;
} Conv2D;

enum { WEIGHT, BIAS };
static const char *const conv_vars[] = {"weight", "bias", NULL};

static Err conv2d_check(Object *object, Fault *fault) {
  Conv2D *self = (Conv2D *)object;
  if (self->filters % self->groups)
    return fault_set(fault, ERR_VALUE,
                     "nn.Conv2D: %lld filters in %lld groups; allowed: a multiple of "
                     "the groups",
                     (long long)self->filters, (long long)self->groups);
  layer_adopt_activation(&self->layer);
  Err err = layer_declare(&self->layer, WEIGHT, true, fault);
  return err || !self->bias ? err : layer_declare(&self->layer, BIAS, true, fault);
}

static Err conv2d_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const Conv2D *self = (const Conv2D *)layer;
  const Shape *x = &in->v[0].x->shape;
  char got[SHAPE_TEXT];
  if (x->rank != 4 || x->dim[1] % self->groups)
    return fault_set(fault, ERR_SHAPE,
                     "%s: expects [N, C, H, W] of which C is a multiple of %lld "
                     "groups, got %s",
                     layer->name, (long long)self->groups, shape_text(got, x));
  int64_t c = x->dim[1] / self->groups, R = self->kernel.v[0], S = self->kernel.v[1];
  int64_t f = self->filters / self->groups;
  double fan_in = (double)(c * R * S), fan_out = (double)(f * R * S);
  Err err = layer_give(graph, layer, WEIGHT, self->init,
                       &SHAPE_OF(self->filters, c, R, S), fan_in, fan_out, fault);
  if (err || !self->bias) return err;
  return layer_give(graph, layer, BIAS, self->bias_init, &SHAPE_OF(self->filters),
                    fan_in, fan_out, fault);
}

static ConvSteps steps_for(const Conv2D *self, const Shape *x) {
  ConvSteps steps = {.groups = self->groups};
  for (int i = 0; i < 2; i++) {
    Window w = {.n = x->dim[2 + i], .kernel = self->kernel.v[i],
                .stride = self->stride.v[i], .dilation = self->dilation.v[i]};
    window_pad(&w, &self->padding, i);
    steps.stride[i] = w.stride;
    steps.dilation[i] = w.dilation;
    steps.before[i] = w.before;
    steps.after[i] = w.after;
  }
  return steps;
}

static Node *conv2d_forward(Graph *graph, Layer *layer, Node *x) {
  const Conv2D *self = (const Conv2D *)layer;
  int64_t C = layer->var[WEIGHT]->current->shape.dim[1] * self->groups;
  if (x->shape.rank != 4 || x->shape.dim[1] != C) {
    char expects[64];
    snprintf(expects, sizeof expects, "[N, %lld, H, W]", (long long)C);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  ConvSteps steps = steps_for(self, &x->shape);
  Node *w = layer_read(graph, layer, WEIGHT);
  Node *y = op_conv2d(graph, op_cast(graph, x, DT_REAL), w, &steps);
  if (self->bias) {
    Node *bias = layer_read(graph, layer, BIAS);
    y = op_add(graph, y, op_reshape(graph, bias, &SHAPE_OF(self->filters, 1, 1)));
  }
  return layer_activated(graph, layer, y);
}

#define AT(field) .offset = offsetof(Conv2D, field)

static const Option conv2d_options[] = {
    {.name = "filters", .kind = OPT_INT, AT(filters), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "out_channels", .doc = "number of channels of the result"},
    {.name = "kernel_size", .kind = OPT_PAIR, AT(kernel), .position = 2, .lo = 1,
     .hi = 1e9,
     .doc = "rows and columns of the kernel"},
    {.name = "stride", .kind = OPT_PAIR, AT(stride), .value = "1", .lo = 1, .hi = 1e9,
     .alias = "strides",
     .doc = "step from one position of the kernel to the next, in pixels"},
    WINDOW_PADDING(Conv2D, padding, "zeros around the image"),
    {.name = "dilation", .kind = OPT_PAIR, AT(dilation), .value = "1", .lo = 1,
     .hi = 1e9,
     .alias = "dilation_rate",
     .doc = "step from one element of the kernel to the next, in pixels"},
    {.name = "groups", .kind = OPT_INT, AT(groups), .value = "1", .lo = 1, .hi = 1e9,
     .doc = "number of groups into which the channels are divided; a group sees only "
            "its own channels"},
    LINEAR_OPTIONS(Conv2D),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_conv2d = {
    .kind = {.name = "Conv2D", .alias = "Conv2d Convolution2D", .family = &layer_family,
             .size = sizeof(Conv2D), .options = conv2d_options,
             .example = "local images = tensor.randn(1, 3, 5, 5)\n"
                        "print(nn.Conv2D(2, 3, { padding = \"same\" })(images))",
             .doc = "Convolution of images: [N, C, H, W] -> [N, filters, P, Q]. weight "
                    "[filters, C / groups, kh, kw], bias [filters]. The kernel is not "
                    "mirrored, as everywhere in deep learning.",
             .equation = "y[n, f, p, q] = bias[f] + sum_crs weight[f, c, r, s] "
                         "x[n, c, p stride + r dilation - pad, ...]",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, chapter "
                       "9; Dumoulin & Visin, arXiv:1603.07285",
             .check = conv2d_check, .deinit = layer_deinit},
    .prefix = "conv2d", .vars = conv_vars, .activation = offsetof(Conv2D, activation),
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
