/* layer_conv_transpose.c: the transpose of a convolution of images: each pixel adds a
 * multiple of the kernel to the result, `stride` pixels apart.
 *
 *   rows        (n - 1) stride - before - after + (kernel - 1) dilation + 1 +
 *               output_padding
 *   "valid"     before = after = 0
 *   "same"      rows = n stride
 *
 * As a matrix it is that of the convolution, transposed, which makes images of this
 * layer's input size of those of its output size; so both have the same op
 * (ops_conv.c), and output_padding says which of the sizes is meant that this
 * convolution would map to the same.
 *
 * Each output sees inputs / groups kh kw products (of which a stride leaves out some),
 * each input goes into filters / groups kh kw outputs: the initializer's fans. */
#include "nn/conv.h"

enum { WEIGHT, BIAS };
static const char *const transpose_vars[] = {"weight", "bias", NULL};

typedef struct ConvTranspose2D {
  Conv conv;
  IntPair output_padding;
} ConvTranspose2D;

static Err transpose_check(Object *object, Fault *fault) {
  const ConvTranspose2D *self = (const ConvTranspose2D *)object;
  Conv *conv = (Conv *)object;
  bool same = conv->padding.word == PADDING_SAME;
  for (int i = 0; i < 2; i++) {
    if (same && self->output_padding.v[i])
      return fault_set(fault, ERR_VALUE,
                       "nn.ConvTranspose2D: option \"output_padding\": got %lld beside "
                       "padding = \"same\", which says how large the result is; "
                       "allowed: 0",
                       (long long)self->output_padding.v[i]);
    if (self->output_padding.v[i] >= conv->stride.v[i])
      return fault_set(fault, ERR_VALUE,
                       "nn.ConvTranspose2D: option \"output_padding\": got %lld, "
                       "allowed: less than the stride, %lld",
                       (long long)self->output_padding.v[i],
                       (long long)conv->stride.v[i]);
  }
  return conv_check(&conv->linear, conv->filters, conv->groups, fault);
}

static Err transpose_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Conv *self = (Conv *)layer;
  const Shape *x = &in->v[0].x->shape;
  if (conv_check_images(self, x, fault)) return fault->code;
  int64_t C = x->dim[1], c = C / self->groups, f = self->filters / self->groups;
  int64_t R = self->kernel.v[0], S = self->kernel.v[1];
  return linear_give(graph, &self->linear, &SHAPE_OF(C, f, R, S), BIAS, self->filters,
                     (double)(c * R * S), (double)(f * R * S), fault);
}

/* Sets the size of the result along an axis; false: there is none. */
static bool size_along(const ConvTranspose2D *self, int axis, int64_t n,
                       ConvSteps *steps, int64_t *size) {
  const Conv *conv = &self->conv;
  const Window w = conv_along(conv, axis, n * conv->stride.v[axis], steps);
  *size = w.n;
  if (conv->padding.word != PADDING_SAME)
    *size = (n - 1) * w.stride - w.before - w.after + (w.kernel - 1) * w.dilation + 1 +
            self->output_padding.v[axis];
  return *size > 0;
}

static Node *transpose_forward(Graph *graph, Layer *layer, Node *x) {
  const ConvTranspose2D *self = (const ConvTranspose2D *)layer;
  if (!conv_takes(graph, layer, &x->shape, layer->var[WEIGHT]->current->shape.dim[0]))
    return NULL;
  ConvSteps steps = {.groups = self->conv.groups};
  int64_t size[2];
  for (int i = 0; i < 2; i++)
    if (!size_along(self, i, x->shape.dim[2 + i], &steps, &size[i]))
      return layer_refuse(graph, layer, "an image from which the padding leaves some",
                          &x->shape);
  Node *w = layer_read(graph, layer, WEIGHT);
  Node *y = op_conv2d_data(graph, op_cast(graph, x, DT_REAL), w, &steps, size);
  return conv_finish(graph, layer, y, BIAS);
}

static const Option transpose_options[] = {
    CONV_FILTERS(Conv),
    CONV_KERNEL(2),
    CONV_STRIDE("step in the result from one pixel's kernel to the next one's"),
    {.name = "padding", .kind = OPT_SIDES, .offset = offsetof(Conv, padding),
     .value = "valid", .lo = 0, .hi = 1e9, .choices = window_paddings,
     .doc = "pixels that are left out of the result on each side, or of rows and "
            "columns, or at the top, the bottom, the left, the right. \"valid\": none; "
            "\"same\": as many as leave n stride"},
    {.name = "output_padding", .kind = OPT_PAIR,
     .offset = offsetof(ConvTranspose2D, output_padding), .value = "0", .lo = 0,
     .hi = 1e9, .doc = "more rows and columns at the end of the result, less than the "
                       "stride; not with \"same\""},
    CONV_DILATION,
    CONV_GROUPS(Conv),
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_conv_transpose_2d = {
    .kind = {.name = "ConvTranspose2D",
             .alias = "ConvTranspose2d Conv2DTranspose Convolution2DTranspose",
             .family = &layer_family, .size = sizeof(ConvTranspose2D),
             .options = transpose_options,
             .example = "local images = tensor.randn(1, 3, 4, 4)\n"
                        "print(nn.ConvTranspose2D(2, 3, { stride = 2 })(images))",
             .doc = "The transpose of a convolution, as in decoders: [N, C, H, W] -> "
                    "[N, filters, P, Q], larger with a stride. weight [C, filters / "
                    "groups, kh, kw], bias [filters].",
             .equation = "y[n, f, i, j] = bias[f] + sum of weight[c, f, r, s] x[n, c, "
                         "p, q] over i = p stride + r dilation - pad, j likewise",
             .source = "Dumoulin & Visin, arXiv:1603.07285, chapter 4; Zeiler et al., "
                       "CVPR 2010",
             .check = transpose_check, .deinit = layer_deinit},
    .prefix = "conv_transpose_2d", .vars = transpose_vars,
    .activation = offsetof(Linear, activation), .units_axis = 2,
    .samples = (const LayerSample[]){
        {{{"filters", "1"}, {"kernel_size", "1"}}, {{4, {1, 1, 1, 1}}},
         {4, {1, 1, 1, 1}}},
        {{{"filters", "4"}, {"kernel_size", "3 2"}, {"stride", "2"}, {"padding", "1"},
          {"output_padding", "1 0"}, {"groups", "2"}}, {{4, {2, 2, 3, 4}}},
         {4, {2, 4, 6, 6}}},
        {{{"filters", "2"}, {"kernel_size", "3"}, {"stride", "2 1"},
          {"padding", "same"}, {"activation", "tanh"}}, {{4, {1, 3, 3, 4}}},
         {4, {1, 2, 6, 4}}},
        {{{"filters", "1"}, {"kernel_size", "2"}, {"dilation", "2 3"},
          {"padding", "0 1 2 0"}, {"bias", "false"}}, {{4, {2, 1, 3, 3}}},
         {4, {2, 1, 4, 4}}},
        LAYER_SAMPLES_END},
    .build = transpose_build, .forward = transpose_forward};
