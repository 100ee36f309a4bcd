/* layer_conv_steps.c: convolution along the steps of a sequence [N, T, F]: that of an
 * image [N, F, 1, T], whose kernel is [filters, F / groups, k] (window.h). The fans are
 * those of images (layer_conv.c). */
#include "nn/conv.h"
#include <stdio.h>

typedef struct Conv1D {
  Linear linear;
  int64_t filters, groups, kernel, stride, dilation;
  IntPair padding;
} Conv1D;

enum { WEIGHT, BIAS };
static const char *const conv1d_vars[] = {"weight", "bias", NULL};

static Err conv1d_check(Object *object, Fault *fault) {
  Conv1D *self = (Conv1D *)object;
  return conv_check(&self->linear, self->filters, self->groups, fault);
}

static Err conv1d_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Conv1D *self = (Conv1D *)layer;
  const Shape *x = &in->v[0].x->shape;
  char got[SHAPE_TEXT];
  bool fits = x->rank == 3 && x->dim[2] % self->groups == 0;
  if (!fits && self->groups == 1)
    return layer_refuse_input(layer, "[N, T, F]", x, fault);
  if (!fits)
    return fault_set(fault, ERR_SHAPE,
                     "%s: expects [N, T, F] of which F is a multiple of %lld groups, "
                     "got %s",
                     layer->name, (long long)self->groups, shape_text(got, x));
  int64_t c = x->dim[2] / self->groups, f = self->filters / self->groups;
  return linear_give(graph, &self->linear, &SHAPE_OF(self->filters, c, self->kernel),
                     BIAS, self->filters, (double)(c * self->kernel),
                     (double)(f * self->kernel), fault);
}

static Window window_of(const Conv1D *self, int64_t T) {
  Window w = {.n = T, .kernel = self->kernel, .stride = self->stride,
              .dilation = self->dilation};
  window_pad_steps(&w, &self->padding);
  return w;
}

static ConvSteps steps_of(const Window *w, int64_t groups) {
  return (ConvSteps){.stride = {1, w->stride}, .before = {0, w->before},
                     .after = {0, w->after}, .dilation = {1, w->dilation},
                     .groups = groups};
}

static const int turn[] = {0, 2, 1};

static Node *conv1d_forward(Graph *graph, Layer *layer, Node *x) {
  const Conv1D *self = (const Conv1D *)layer;
  int64_t F = layer->var[WEIGHT]->current->shape.dim[1] * self->groups;
  if (x->shape.rank != 3 || x->shape.dim[2] != F) {
    char expects[64];
    snprintf(expects, sizeof expects, "[N, T, %lld]", (long long)F);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  int64_t N = x->shape.dim[0], T = x->shape.dim[1];
  Window w = window_of(self, T);
  if (!window_has_steps(graph, layer, &w, false, "kernel", &x->shape)) return NULL;
  ConvSteps steps = steps_of(&w, self->groups);
  x = op_transpose(graph, op_cast(graph, x, DT_REAL), turn);
  Node *image = op_reshape(graph, x, &SHAPE_OF(N, F, 1, T));
  Node *weight = op_reshape(graph, layer_read(graph, layer, WEIGHT),
                            &SHAPE_OF(self->filters, F / self->groups, 1, w.kernel));
  Node *y = op_conv2d(graph, image, weight, &steps);
  if (!y) return NULL;
  y = op_reshape(graph, y, &SHAPE_OF(N, self->filters, y->shape.dim[3]));
  y = op_transpose(graph, y, turn);
  if (self->linear.bias) y = op_add(graph, y, layer_read(graph, layer, BIAS));
  return layer_activated(graph, layer, y);
}

#define AT(field) .offset = offsetof(Conv1D, field)

static const Option conv1d_options[] = {
    CONV_FILTERS(Conv1D),
    {.name = "kernel_size", .kind = OPT_INT, AT(kernel), .position = 2, .lo = 1,
     .hi = 1e9, .sizes = true, .doc = "steps of the kernel"},
    {.name = "stride", .kind = OPT_INT, AT(stride), .value = "1", .lo = 1, .hi = 1e9,
     .alias = "strides", .doc = "step from one position of the kernel to the next"},
    {.name = "padding", .kind = OPT_PAIR, AT(padding), .value = "valid", .lo = 0,
     .hi = 1e9, .choices = window_causal_paddings,
     .doc = "zeros before and behind the sequence, one number for both. \"valid\": "
            "none; \"same\": as many as give ceil(T / stride) positions, an odd one at "
            "the end as in Keras; \"causal\": all before, so that no step sees a later "
            "one"},
    {.name = "dilation", .kind = OPT_INT, AT(dilation), .value = "1", .lo = 1,
     .hi = 1e9, .alias = "dilation_rate",
     .doc = "step from one element of the kernel to the next"},
    CONV_GROUPS(Conv1D),
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_conv1d = {
    .kind = {.name = "Conv1D", .alias = "Convolution1D", .family = &layer_family,
             .size = sizeof(Conv1D), .options = conv1d_options,
             .example = "local sequences = tensor.randn(2, 5, 3)\n"
                        "print(nn.Conv1D(2, 3, { padding = \"causal\" })(sequences))",
             .doc = "Convolution along the steps of sequences: [N, T, F] -> [N, P, "
                    "filters]. weight [filters, F / groups, k], bias [filters]. "
                    "PyTorch's Conv1d takes [N, F, T].",
             .equation = "y[n, p, f] = bias[f] + sum_cr weight[f, c, r] x[n, p stride "
                         "+ r dilation - pad, c]",
             .source = "Waibel et al., IEEE Trans. ASSP 37, 1989; causal: van den Oord "
                       "et al., arXiv:1609.03499, section 2.1",
             .check = conv1d_check, .deinit = layer_deinit},
    .prefix = "conv1d", .gives_steps = true,
    .vars = conv1d_vars, .activation = offsetof(Linear, activation),
    .units_axis = 1,
    .samples = (const LayerSample[]){
        {{{"filters", "1"}, {"kernel_size", "1"}}, {{3, {1, 1, 1}}}, {3, {1, 1, 1}}},
        {{{"filters", "4"}, {"kernel_size", "3"}, {"padding", "causal"},
          {"dilation", "2"}, {"groups", "2"}}, {{3, {2, 5, 2}}}, {3, {2, 5, 4}}},
        {{{"filters", "2"}, {"kernel_size", "2"}, {"stride", "2"}, {"padding", "same"},
          {"activation", "tanh"}}, {{3, {3, 5, 3}}}, {3, {3, 3, 2}}},
        {{{"filters", "2"}, {"kernel_size", "3"}, {"padding", "2 0"},
          {"bias", "false"}}, {{3, {1, 4, 1}}}, {3, {1, 4, 2}}},
        LAYER_SAMPLES_END},
    .build = conv1d_build, .forward = conv1d_forward};
