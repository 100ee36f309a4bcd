/* layer_pool.c: pooling of images [N, C, H, W]: the largest element or the mean of
 * windows, over the whole image, or of windows that share the image. Of sequences:
 * layer_pool_steps.c. */
#include "nn/nn.h"
#include "graph/ops.h"
#include "nn/pool.h"

#define AT(type, field) .offset = offsetof(type, field)

/* -- windows ----------------------------------------------------------------------- */

typedef struct Pool2D {
  Layer layer;
  IntPair size, stride; /* stride: or the word, as the size */
  Sides padding;
  bool ceil;
} Pool2D;

const char *const pool_strides[] = {"pool_size", NULL};

static PoolPlane plane_of(const Pool2D *self, const Shape *x, const IntPair *dilation) {
  PoolPlane v = {.divisor = POOL_WITHOUT_PADDING};
  for (int i = 0; i < 2; i++) {
    Window w = {.n = x->dim[2 + i], .kernel = self->size.v[i],
                .dilation = dilation ? dilation->v[i] : 1};
    w.stride = self->stride.word == WORD_NONE ? self->stride.v[i] : w.kernel;
    window_pad(&w, &self->padding, i);
    pool_along(&v, i, &w, self->ceil);
  }
  return v;
}

void pool_along(PoolPlane *v, int axis, const Window *w, bool ceil) {
  v->kernel[axis] = w->kernel;
  v->stride[axis] = w->stride;
  v->dilation[axis] = w->dilation;
  v->before[axis] = w->before;
  v->after[axis] = w->after;
  v->size[axis] = window_positions(w, ceil);
}

/* Real images; NULL: a fault. */
static Node *images(Graph *graph, Layer *layer, Node *x) {
  if (x->shape.rank != 4) return layer_refuse(graph, layer, "[N, C, H, W]", &x->shape);
  return op_cast(graph, x, DT_REAL);
}

#define POOL_OPTIONS(place)                                                            \
  {.name = "pool_size", .kind = OPT_PAIR, AT(Pool2D, size), .position = place,         \
   .value = "2", .lo = 1, .hi = 1e9, .alias = "kernel_size",                           \
   .doc = "rows and columns of a window"},                                             \
  {.name = "stride", .kind = OPT_PAIR, AT(Pool2D, stride), .position = (place) + 1,    \
   .value = "pool_size", .lo = 1, .hi = 1e9, .alias = "strides",                       \
   .choices = pool_strides,                                                            \
   .doc = "step from one window to the next; \"pool_size\": windows do not overlap"},  \
  {.name = "ceil_mode", .kind = OPT_BOOL, AT(Pool2D, ceil), .value = "false",          \
   .doc = POOL_CEIL}

/* -- MaxPool2D --------------------------------------------------------------------- */

typedef struct MaxPool2D {
  Pool2D pool;
  IntPair dilation;
} MaxPool2D;

static Node *max_pool_forward(Graph *graph, Layer *layer, Node *x) {
  const MaxPool2D *self = (const MaxPool2D *)layer;
  if (!(x = images(graph, layer, x))) return NULL;
  PoolPlane v = plane_of(&self->pool, &x->shape, &self->dilation);
  return op_max_pool(graph, x, &v);
}

static const Option max_pool_options[] = {
    POOL_OPTIONS(1),
    WINDOW_PADDING(Pool2D, padding, "pixels around the image, which never win,"),
    {.name = "dilation", .kind = OPT_PAIR, AT(MaxPool2D, dilation), .value = "1",
     .lo = 1, .hi = 1e9, .doc = POOL_DILATION},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_max_pool_2d = {
    .kind = {.name = "MaxPool2D", .alias = "MaxPool2d MaxPooling2D",
             .family = &layer_family, .size = sizeof(MaxPool2D),
             .options = max_pool_options, .deinit = layer_deinit,
             .example = "local images = tensor.arange(1, 16):reshape(1, 1, 4, 4)\n"
                        "print(nn.MaxPool2D(2)(images))",
             .doc = "The largest element of each window of images: [N, C, H, W] -> "
                    "[N, C, P, Q]. Its gradient goes to the first of equal ones.",
             .equation = "y[n, c, p, q] = max_rs x[n, c, p stride + r dilation - pad, "
                         "...]",
             .source = "Riesenhuber & Poggio, Nature Neuroscience 2, 1999; Goodfellow, "
                       "Bengio & Courville, Deep Learning, 2016, section 9.3"},
    .prefix = "max_pool_2d",
    .samples = (const LayerSample[]){
        {.in = {{4, {1, 1, 2, 2}}}, .out = {4, {1, 1, 1, 1}}},
        {{{"pool_size", "3 2"}, {"stride", "2"}, {"padding", "same"}},
         {{4, {2, 3, 5, 7}}}, {4, {2, 3, 3, 4}}},
        {{{"pool_size", "2"}, {"stride", "1"}, {"padding", "0 1 1 0"},
          {"dilation", "2 1"}}, {{4, {1, 2, 4, 5}}}, {4, {1, 2, 3, 5}}},
        {{{"pool_size", "2"}, {"ceil_mode", "true"}}, {{4, {2, 1, 5, 5}}},
         {4, {2, 1, 3, 3}}},
        LAYER_SAMPLES_END},
    .forward = max_pool_forward};

/* -- AveragePooling2D -------------------------------------------------------------- */

typedef struct AveragePool2D {
  Pool2D pool;
  bool counts_padding;
} AveragePool2D;

static Node *average_pool_forward(Graph *graph, Layer *layer, Node *x) {
  const AveragePool2D *self = (const AveragePool2D *)layer;
  if (!(x = images(graph, layer, x))) return NULL;
  PoolPlane v = plane_of(&self->pool, &x->shape, NULL);
  if (self->counts_padding) v.divisor = POOL_WITH_PADDING;
  return op_mean_pool(graph, x, &v);
}

static const Option average_pool_options[] = {
    POOL_OPTIONS(1),
    WINDOW_PADDING(Pool2D, padding, "zeros around the image"),
    {.name = "count_include_pad", .kind = OPT_BOOL, AT(AveragePool2D, counts_padding),
     .value = "false", .doc = POOL_COUNT},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_average_pool_2d = {
    .kind = {.name = "AveragePooling2D", .alias = "AvgPool2d AvgPool2D AveragePool2D",
             .family = &layer_family, .size = sizeof(AveragePool2D),
             .options = average_pool_options, .deinit = layer_deinit,
             .example = "local images = tensor.arange(1, 16):reshape(1, 1, 4, 4)\n"
                        "print(nn.AveragePooling2D(2)(images))",
             .doc = "The mean of each window of images: [N, C, H, W] -> [N, C, P, Q].",
             .equation = "y[n, c, p, q] = sum_rs x[n, c, p stride + r - pad, ...] / "
                         "count",
             .source = "LeCun et al., Proc. IEEE 86, 1998, section II.B (subsampling)"},
    .prefix = "average_pool_2d",
    .samples = (const LayerSample[]){
        {.in = {{4, {1, 1, 2, 2}}}, .out = {4, {1, 1, 1, 1}}},
        {{{"pool_size", "3"}, {"stride", "2 1"}, {"padding", "same"}},
         {{4, {2, 3, 5, 7}}}, {4, {2, 3, 3, 7}}},
        {{{"pool_size", "3 2"}, {"stride", "2"}, {"padding", "1"},
          {"ceil_mode", "true"}, {"count_include_pad", "true"}},
         {{4, {1, 2, 5, 4}}}, {4, {1, 2, 3, 3}}},
        LAYER_SAMPLES_END},
    .forward = average_pool_forward};

/* -- LpPool2D ---------------------------------------------------------------------- */

typedef struct LpPool2D {
  Pool2D pool;
  double order;
} LpPool2D;

Node *pool_root(Graph *graph, Node *mean, double order, double count) {
  if (order == 1) return op_scale(graph, mean, count);
  Node *sum = op_scale(graph, mean, count), *zero = graph_scalar(graph, 0);
  Node *size = op_abs(graph, sum), *is_zero = op_eq(graph, sum, zero);
  Node *safe = op_where(graph, is_zero, graph_scalar(graph, 1), size);
  Node *root = op_pow(graph, safe, graph_scalar(graph, 1 / order));
  return op_where(graph, is_zero, zero, op_mul(graph, op_sign(graph, sum), root));
}

Node *pool_power(Graph *graph, Node *x, double order) {
  if (order == 1) return x;
  return order == 2 ? op_square(graph, x)
                    : op_pow(graph, x, graph_scalar(graph, order));
}

static Node *lp_pool_forward(Graph *graph, Layer *layer, Node *x) {
  const LpPool2D *self = (const LpPool2D *)layer;
  if (!(x = images(graph, layer, x))) return NULL;
  PoolPlane v = plane_of(&self->pool, &x->shape, NULL);
  Node *mean = op_mean_pool(graph, pool_power(graph, x, self->order), &v);
  return pool_root(graph, mean, self->order, (double)(v.kernel[0] * v.kernel[1]));
}

static const Option lp_pool_options[] = {
    {.name = "norm_type", .kind = OPT_REAL, AT(LpPool2D, order), .position = 1, .lo = 1,
     .hi = 100, .doc = POOL_ORDER},
    POOL_OPTIONS(2),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_lp_pool_2d = {
    .kind = {.name = "LpPool2D", .alias = "LPPool2d", .family = &layer_family,
             .size = sizeof(LpPool2D), .options = lp_pool_options,
             .deinit = layer_deinit,
             .example = "local images = tensor.arange(1, 16):reshape(1, 1, 4, 4)\n"
                        "print(nn.LpPool2D(2, 2)(images))",
             .doc = "The p-norm of each window of images: [N, C, H, W] -> [N, C, P, "
                    "Q]. Where a window reaches beyond the image (ceil_mode), the mean "
                    "of what it has counts for all of it, as in PyTorch.",
             .equation = "y = sign(s) |s|^(1/p), s = sum of x^p over the window; its "
                         "gradient is 0 where s = 0",
             .source = "Sermanet, Chintala & LeCun, ICPR 2012, section 2.2"},
    .prefix = "lp_pool_2d",
    .samples = (const LayerSample[]){
        {{{"norm_type", "2"}}, {{4, {1, 1, 2, 2}}}, {4, {1, 1, 1, 1}}},
        {{{"norm_type", "1"}, {"pool_size", "3 2"}, {"stride", "2"}},
         {{4, {2, 3, 5, 6}}}, {4, {2, 3, 2, 3}}},
        {{{"norm_type", "4"}, {"ceil_mode", "true"}}, {{4, {1, 2, 5, 4}}},
         {4, {1, 2, 3, 2}}},
        LAYER_SAMPLES_END},
    .forward = lp_pool_forward};

/* -- over the whole image ---------------------------------------------------------- */

typedef struct GlobalPool2D {
  Layer layer;
  bool keeps_axes;
} GlobalPool2D;

static Node *over_images(Graph *graph, Layer *layer, Node *x,
                         Node *(*op)(Graph *, Node *, const PoolPlane *)) {
  const PoolPlane whole = pool_sharing(1, 1);
  if (!(x = images(graph, layer, x))) return NULL;
  Node *y = op(graph, x, &whole);
  /* cppcheck-suppress returnDanglingLifetime ; the op copies what it is given */
  if (((const GlobalPool2D *)layer)->keeps_axes) return y;
  return op_reshape(graph, y, &SHAPE_OF(x->shape.dim[0], x->shape.dim[1]));
}

static Node *global_max_forward(Graph *graph, Layer *layer, Node *x) {
  return over_images(graph, layer, x, op_max_pool);
}

static Node *global_average_forward(Graph *graph, Layer *layer, Node *x) {
  return over_images(graph, layer, x, op_mean_pool);
}

static const Option global_options[] = {
    {.name = "keepdims", .kind = OPT_BOOL, AT(GlobalPool2D, keeps_axes),
     .value = "false", .doc = "keep the axes of the image: [N, C, 1, 1]"},
    LAYER_OPTIONS,
    {0}};
#define GLOBAL_SAMPLES                                                                 \
  (const LayerSample[]) {                                                              \
    {.in = {{4, {2, 3, 4, 5}}}, .out = {2, {2, 3}}},                                   \
        {{{"keepdims", "true"}}, {{4, {3, 1, 2, 1}}}, {4, {3, 1, 1, 1}}},              \
        LAYER_SAMPLES_END                                                              \
  }

const LayerKind layer_global_max_pool_2d = {
    .kind = {.name = "GlobalMaxPooling2D", .alias = "GlobalMaxPool2D",
             .family = &layer_family, .size = sizeof(GlobalPool2D),
             .options = global_options, .deinit = layer_deinit,
             .example = "print(nn.GlobalMaxPooling2D()(tensor.randn(2, 3, 4, 4)))",
             .doc = "The largest element of each channel: [N, C, H, W] -> [N, C]. Its "
                    "gradient goes to the first of equal ones.",
             .equation = "y[n, c] = max_ij x[n, c, i, j]",
             .source = "Oquab et al., CVPR 2015, section 3.2"},
    .prefix = "global_max_pool_2d", .samples = GLOBAL_SAMPLES,
    .forward = global_max_forward};

const LayerKind layer_global_average_pool_2d = {
    .kind = {.name = "GlobalAveragePooling2D", .alias = "GlobalAvgPool2D",
             .family = &layer_family, .size = sizeof(GlobalPool2D),
             .options = global_options, .deinit = layer_deinit,
             .example = "print(nn.GlobalAveragePooling2D()(tensor.randn(2, 3, 4, 4)))",
             .doc = "The mean of each channel: [N, C, H, W] -> [N, C].",
             .equation = "y[n, c] = mean_ij x[n, c, i, j]",
             .source = "Lin, Chen & Yan, ICLR 2014, section 3.2"},
    .prefix = "global_average_pool_2d", .samples = GLOBAL_SAMPLES,
    .forward = global_average_forward};

/* -- windows that share the image -------------------------------------------------- */

typedef struct AdaptivePool2D {
  Layer layer;
  IntPair size;
} AdaptivePool2D;

PoolPlane pool_sharing(int64_t P, int64_t Q) {
  return (PoolPlane){.size = {P, Q}, .kernel = {1, 1}, .stride = {1, 1},
                     .dilation = {1, 1}, .adaptive = true};
}

static PoolPlane shared(const Layer *layer, const Shape *x) {
  const int64_t *size = ((const AdaptivePool2D *)layer)->size.v;
  return pool_sharing(size[0] ? size[0] : x->dim[2], size[1] ? size[1] : x->dim[3]);
}

static Node *adaptive_max_forward(Graph *graph, Layer *layer, Node *x) {
  if (!(x = images(graph, layer, x))) return NULL;
  PoolPlane v = shared(layer, &x->shape);
  return op_max_pool(graph, x, &v);
}

static Node *adaptive_average_forward(Graph *graph, Layer *layer, Node *x) {
  if (!(x = images(graph, layer, x))) return NULL;
  PoolPlane v = shared(layer, &x->shape);
  return op_mean_pool(graph, x, &v);
}

static const Option adaptive_options[] = {
    {.name = "output_size", .kind = OPT_PAIR, AT(AdaptivePool2D, size), .position = 1,
     .lo = 0, .hi = 1e9,
     .doc = "rows and columns of the result; 0: as many as the image has (PyTorch: "
            "None)"},
    LAYER_OPTIONS,
    {0}};
#define ADAPTIVE_EQUATION(word)                                                        \
  "y[n, c, p, q] = " word                                                              \
  " x[n, c, i, j], floor(p H / P) <= i < ceil((p + 1) H / P), j likewise, p and q "    \
  "from 0"
#define ADAPTIVE_SAMPLES                                                               \
  (const LayerSample[]) {                                                              \
    {{{"output_size", "1"}}, {{4, {1, 1, 1, 1}}}, {4, {1, 1, 1, 1}}},                  \
        {{{"output_size", "3 2"}}, {{4, {2, 3, 5, 7}}}, {4, {2, 3, 3, 2}}},            \
        {{{"output_size", "0 7"}}, {{4, {1, 2, 4, 3}}}, {4, {1, 2, 4, 7}}},            \
        LAYER_SAMPLES_END                                                              \
  }

const LayerKind layer_adaptive_max_pool_2d = {
    .kind = {.name = "AdaptiveMaxPool2D", .alias = "AdaptiveMaxPool2d",
             .family = &layer_family, .size = sizeof(AdaptivePool2D),
             .options = adaptive_options, .deinit = layer_deinit,
             .example = "print(nn.AdaptiveMaxPool2D(2)(tensor.randn(1, 1, 5, 5)))",
             .doc = "The largest element of windows that share the image evenly: [N, "
                    "C, H, W] -> [N, C, output_size], whatever the size of the image.",
             .equation = ADAPTIVE_EQUATION("max"),
             .source = "He et al., ECCV 2014, section 2.2 (spatial pyramids)"},
    .prefix = "adaptive_max_pool_2d", .samples = ADAPTIVE_SAMPLES,
    .forward = adaptive_max_forward};

const LayerKind layer_adaptive_average_pool_2d = {
    .kind = {.name = "AdaptiveAvgPool2D",
             .alias = "AdaptiveAvgPool2d AdaptiveAveragePooling2D",
             .family = &layer_family, .size = sizeof(AdaptivePool2D),
             .options = adaptive_options, .deinit = layer_deinit,
             .example = "print(nn.AdaptiveAvgPool2D(2)(tensor.randn(1, 1, 5, 5)))",
             .doc = "The mean of windows that share the image evenly: [N, C, H, W] -> "
                    "[N, C, output_size], whatever the size of the image.",
             .equation = ADAPTIVE_EQUATION("mean"),
             .source = "He et al., ECCV 2014, section 2.2 (spatial pyramids)"},
    .prefix = "adaptive_average_pool_2d", .samples = ADAPTIVE_SAMPLES,
    .forward = adaptive_average_forward};
