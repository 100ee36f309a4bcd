/* layer_upsample.c: images of another size, larger as a rule: the nearest pixel, or
 * linear between pixels (ops_resample.c). */
#include "graph/ops.h"
#include "nn/nn.h"

typedef struct UpSample {
  Layer layer;
  IntPair factor, size; /* size: or the word, by the factor */
  int mode;
  bool aligned;
} UpSample;

enum { NEAREST, BILINEAR };
static const char *const modes[] = {"nearest", "bilinear", NULL};
static const char *const by_factor[] = {"scale_factor", NULL};

static Err upsample_check(Object *object, Fault *fault) {
  const UpSample *self = (const UpSample *)object;
  if (!self->aligned || self->mode != NEAREST) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "nn.UpSample: option \"align_corners\": got true with mode = "
                   "\"nearest\", allowed: with \"bilinear\"");
}

static Node *upsample_forward(Graph *graph, Layer *layer, Node *x) {
  const UpSample *self = (const UpSample *)layer;
  if (x->shape.rank != 4) return layer_refuse(graph, layer, "[N, C, H, W]", &x->shape);
  int64_t size[2];
  for (int i = 0; i < 2; i++)
    size[i] = self->size.word == WORD_NONE ? self->size.v[i]
                                           : self->factor.v[i] * x->shape.dim[2 + i];
  return op_resample(graph, op_cast(graph, x, DT_REAL), size, self->mode == BILINEAR,
                     self->aligned);
}

#define AT(field) .offset = offsetof(UpSample, field)

static const Option upsample_options[] = {
    {.name = "scale_factor", .kind = OPT_PAIR, AT(factor), .position = 1, .value = "2",
     .lo = 1, .hi = 1e6,
     .doc = "how many times as many rows and columns (Keras: size)"},
    {.name = "output_size", .kind = OPT_PAIR, AT(size), .value = "scale_factor",
     .lo = 1, .hi = 1e9, .choices = by_factor,
     .doc = "rows and columns of the result in place of the factor (PyTorch: size)"},
    {.name = "mode", .kind = OPT_CHOICE, AT(mode), .value = "nearest", .choices = modes,
     .alias = "interpolation",
     .doc = "the nearest pixel, or linear between the two rows and columns around"},
    {.name = "align_corners", .kind = OPT_BOOL, AT(aligned), .value = "false",
     .doc = "of \"bilinear\": the centres of the pixels at the corners stay, not the "
            "edges of the image (Keras and PyTorch: false)"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_upsample = {
    .kind = {.name = "UpSample", .alias = "Upsample UpSampling2D UpSample2D",
             .family = &layer_family, .size = sizeof(UpSample),
             .options = upsample_options, .check = upsample_check,
             .deinit = layer_deinit,
             .example = "local images = tensor.arange(1, 4):reshape(1, 1, 2, 2)\n"
                        "print(nn.UpSample(2)(images))",
             .doc = "Images of another size: [N, C, H, W] -> [N, C, P, Q].",
             .equation = "nearest: y[p] = x[floor(p H / P)]; bilinear: between the "
                         "pixels around (p + 1/2) H / P - 1/2, with align_corners "
                         "around p (H - 1) / (P - 1); columns likewise, p from 0",
             .source = "Odena, Dumoulin & Olah, Distill, 2016 (in place of transposed "
                       "convolutions)"},
    .prefix = "upsample",
    .samples = (const LayerSample[]){
        {.in = {{4, {1, 1, 1, 1}}}, .out = {4, {1, 1, 2, 2}}},
        {{{"scale_factor", "3 2"}, {"mode", "bilinear"}}, {{4, {2, 3, 2, 4}}},
         {4, {2, 3, 6, 8}}},
        {{{"output_size", "5 3"}, {"mode", "bilinear"}, {"align_corners", "true"}},
         {{4, {1, 2, 4, 4}}}, {4, {1, 2, 5, 3}}},
        LAYER_SAMPLES_END},
    .forward = upsample_forward};
