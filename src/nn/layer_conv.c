/* layer_conv.c: convolutions. Images are [N, C, H, W]; a kernel is [filters, C / groups, kh, kw]
 * and moves over the image in steps of `stride`, its own elements `dilation` apart.
 *
 *   positions   p = floor((n + before + after - (k - 1) dilation - 1) / stride) + 1
 *   "valid"     no padding
 *   "same"      as much that p = ceil(n / stride); where it is odd, one more at the end
 *   a number    so many zeros on each side
 *
 * Each output sees C / groups kh kw inputs, and each input goes into filters / groups kh kw
 * outputs: these are the initializer's fans. */
#include "nn/nn.h"
#include "base/ints.h"
#include "graph/ops.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Conv2D {
  Layer layer;
  int64_t filters, groups;
  IntList kernel, stride, dilation;   /* one for both, or of rows and columns; stride and
                                         dilation without any: 1 */
  TextList padding;                   /* "valid", "same", a number or two */
  bool bias;
  Activation *activation;
  Init *init, *bias_init;
} Conv2D;

enum { WEIGHT, BIAS };
static const char *const conv_vars[] = {"weight", "bias", NULL};

/* Of rows (i 0) or columns (1). */
static int64_t along(const IntList *list, int i) {
  return list->n == 0 ? 1 : list->v[list->n > i ? i : 0];
}

/* "valid", "same", or numbers from 0? Then those, else -1 of "same". */
static bool padding_of(const Conv2D *self, int i, int64_t *out) {
  const TextList *p = &self->padding;
  if (p->n == 0 || p->n > 2) return (*out = 0, p->n == 0);
  int at = p->n > i ? i : 0;
  if (p->number[at]) {
    char *end;
    *out = strtoll(p->v[at], &end, 10);
    return *out >= 0 && !*end;
  }
  *out = strcmp(p->v[0], "same") == 0 ? -1 : 0;
  return p->n == 1 && (*out || strcmp(p->v[0], "valid") == 0);
}

static Err check_pair(const char *name, const IntList *list, bool needed, Fault *fault) {
  bool ok = list->n <= 2 && (list->n || !needed);
  for (int i = 0; i < list->n; i++) ok = ok && list->v[i] >= 1;
  if (ok) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "nn.Conv2D: option \"%s\": allowed: a number from 1, or two: "
                   "{ rows, columns }", name);
}

static Err conv2d_check(Object *object, Fault *fault) {
  Conv2D *self = (Conv2D *)object;
  int64_t unused;
  if (check_pair("kernel_size", &self->kernel, true, fault) ||
      check_pair("stride", &self->stride, false, fault) ||
      check_pair("dilation", &self->dilation, false, fault))
    return fault->code;
  if (!padding_of(self, 0, &unused) || !padding_of(self, 1, &unused))
    return fault_set(fault, ERR_VALUE, "nn.Conv2D: option \"padding\": allowed: \"valid\", "
                     "\"same\", a number from 0, or two: { rows, columns }");
  if (self->filters % self->groups)
    return fault_set(fault, ERR_VALUE, "nn.Conv2D: %lld filters in %lld groups; allowed: a "
                     "multiple of the groups", (long long)self->filters,
                     (long long)self->groups);
  Err err = layer_declare(&self->layer, WEIGHT, true, fault);
  return err || !self->bias ? err : layer_declare(&self->layer, BIAS, true, fault);
}

static Err conv2d_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const Conv2D *self = (const Conv2D *)layer;
  const Shape *x = &in->v[0].x->shape;
  char got[SHAPE_TEXT];
  if (x->rank != 4 || x->dim[1] % self->groups)
    return fault_set(fault, ERR_SHAPE, "%s: expects [N, C, H, W] of which C is a multiple of %lld "
                     "groups, got %s", layer->name, (long long)self->groups,
                     shape_text(got, x));
  int64_t c = x->dim[1] / self->groups, R = along(&self->kernel, 0), S = along(&self->kernel, 1);
  int64_t f = self->filters / self->groups;
  double fan_in = (double)(c * R * S), fan_out = (double)(f * R * S);
  Err err = layer_give(graph, layer, WEIGHT, self->init, &SHAPE_OF(self->filters, c, R, S),
                       fan_in, fan_out, fault);
  if (err || !self->bias) return err;
  return layer_give(graph, layer, BIAS, self->bias_init, &SHAPE_OF(self->filters), fan_in,
                    fan_out, fault);
}

static ConvSteps steps_for(const Conv2D *self, const Shape *x) {
  ConvSteps steps = {.groups = self->groups};
  for (int i = 0; i < 2; i++) {
    int64_t n = x->dim[2 + i], stride = along(&self->stride, i), pad;
    int64_t reach = (along(&self->kernel, i) - 1) * along(&self->dilation, i) + 1;
    must(padding_of(self, i, &pad));
    int64_t both = pad < 0 ? most(0, (divide_up(n, stride) - 1) * stride + reach - n) : 2 * pad;
    steps.stride[i] = stride;
    steps.dilation[i] = along(&self->dilation, i);
    steps.before[i] = both / 2;
    steps.after[i] = both - both / 2;
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
  return self->activation ? activation_apply(graph, self->activation, y) : y;
}

#define AT(field) .offset = offsetof(Conv2D, field)

static const Option conv2d_options[] = {
    {.name = "filters", .kind = OPT_INT, AT(filters), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "out_channels", .doc = "number of output channels"},
    {.name = "kernel_size", .kind = OPT_INTS, AT(kernel), .position = 2,
     .doc = "rows and columns of the kernel: { 3, 5 }, or 3 for both"},
    {.name = "stride", .kind = OPT_INTS, AT(stride), .value = "none", .alias = "strides",
     .doc = "step from one position to the next, of rows and columns (left out: 1)"},
    {.name = "padding", .kind = OPT_TEXTS, AT(padding), .value = "none",
     .doc = "\"valid\" (none, as when left out), \"same\" (ceil(n / stride) positions, an odd "
            "zero at the end as in Keras), or zeros on each side, of rows and columns"},
    {.name = "dilation", .kind = OPT_INTS, AT(dilation), .value = "none",
     .alias = "dilation_rate", .doc = "step within the kernel, of rows and columns (left out: 1)"},
    {.name = "groups", .kind = OPT_INT, AT(groups), .value = "1", .lo = 1, .hi = 1e9,
     .doc = "channels are divided into so many groups that do not see each other"},
    LINEAR_OPTIONS(Conv2D),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_conv2d = {
    .kind = {.name = "Conv2D", .alias = "Conv2d Convolution2D", .family = &layer_family,
             .size = sizeof(Conv2D), .options = conv2d_options,
             .doc = "Convolution of images: [N, C, H, W] -> [N, filters, P, Q]. weight "
                    "[filters, C / groups, kh, kw], bias [filters]. The kernel is not "
                    "mirrored, as everywhere in deep learning.",
             .equation = "y[n, f, p, q] = bias[f] + sum_crs weight[f, c, r, s] "
                         "x[n, c, p stride + r dilation - pad, ...]",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, chapter 9; "
                       "Dumoulin & Visin, arXiv:1603.07285",
             .check = conv2d_check, .deinit = layer_deinit},
    .prefix = "conv2d", .vars = conv_vars,
    .samples = (const LayerSample[]){
        {{{"filters", "1"}, {"kernel_size", "1"}}, {{4, {1, 1, 1, 1}}}, {4, {1, 1, 1, 1}}},
        {{{"filters", "3"}, {"kernel_size", "2 3"}, {"activation", "tanh"}},
         {{4, {2, 2, 5, 4}}}, {4, {2, 3, 4, 2}}},
        {{{"filters", "4"}, {"kernel_size", "3"}, {"stride", "2"}, {"padding", "same"},
          {"groups", "2"}}, {{4, {3, 2, 5, 6}}}, {4, {3, 4, 3, 3}}},
        {{{"filters", "2"}, {"kernel_size", "2"}, {"padding", "1"}, {"dilation", "2 1"},
          {"bias", "false"}}, {{4, {1, 3, 4, 7}}}, {4, {1, 2, 4, 8}}},
        LAYER_SAMPLES_END},
    .build = conv2d_build, .forward = conv2d_forward};
