/* transform_colour.c: brightness, contrast, saturation and hue of pictures.
 *
 * All are linear in the values, whatever their unit is: nothing is cut off at 0 or 1
 * unless `clip` says so. Gray is .299 R + .587 G + .114 B (ITU-R BT.601) of three
 * planes, else the mean over planes. */
#include "data/transform.h"
#include "base/fault.h"
#include <math.h>
#include <string.h>

typedef struct Colour {
  Transform transform;
  double by;
  bool clip;
} Colour;

/* The planes of a picture, pixel by pixel. */
typedef struct Picture {
  const real *x;
  real *y;
  int64_t n_planes, n; /* pixels of a plane */
} Picture;

static Err rgb_shape(const Transform *self, const Shape *in, Shape *out, Fault *fault) {
  char label[64], text[SHAPE_TEXT];
  *out = *in;
  if (in->rank == 3 && in->dim[0] == 3) return ERR_OK;
  return fault_set(fault, ERR_SHAPE,
                   "%s: got rows of features %s, allowed: coloured pictures, [3, H, W]",
                   kind_label(self->object.kind, label, sizeof label),
                   shape_text(text, in));
}

static double gray_at(const Picture *p, int64_t i) {
  static const double luma[] = {.299, .587, .114};
  double sum = 0;
  for (int64_t k = 0; k < p->n_planes; k++)
    sum += (p->n_planes == 3 ? luma[k] : 1.0 / (double)p->n_planes) *
           (double)p->x[k * p->n + i];
  return sum;
}

/* A factor from 1 - by to 1 + by, not below 0. */
static double drawn_factor(const Colour *self, const RowDraw *draw) {
  double f = 1 + self->by * (2 * philox_unit(transform_row_word(draw, 0)) - 1);
  return f > 0 ? f : 0;
}

static void colour_row(const Transform *t, const real *x, const Shape *in, real *y,
                       const RowDraw *draw,
                       void change(const Colour *, const Picture *, const RowDraw *)) {
  const Colour *self = (const Colour *)t;
  int64_t count = shape_count(in);
  int64_t n = in->dim[in->rank - 1] * in->dim[in->rank - 2];
  memcpy(y, x, (size_t)count * sizeof *y);
  if (!draw) return;
  change(self, &(Picture){x, y, count / n, n}, draw);
  for (int64_t i = 0; self->clip && i < count; i++)
    y[i] = y[i] < 0 ? 0 : y[i] > 1 ? 1 : y[i];
}

#define ROW(name)                                                                      \
  static void name##_row(const Transform *self, const real *x, const Shape *in,        \
                         real *y, const Shape *out, const RowDraw *draw) {             \
    (void)out;                                                                         \
    colour_row(self, x, in, y, draw, name);                                            \
  }

static void brightness(const Colour *self, const Picture *p, const RowDraw *draw) {
  double f = drawn_factor(self, draw);
  for (int64_t i = 0; i < p->n_planes * p->n; i++)
    p->y[i] = (real)(f * (double)p->x[i]);
}
ROW(brightness)

static void contrast(const Colour *self, const Picture *p, const RowDraw *draw) {
  double f = drawn_factor(self, draw), mean = 0;
  for (int64_t i = 0; i < p->n; i++) mean += gray_at(p, i) / (double)p->n;
  for (int64_t i = 0; i < p->n_planes * p->n; i++)
    p->y[i] = (real)(mean + f * ((double)p->x[i] - mean));
}
ROW(contrast)

static void saturation(const Colour *self, const Picture *p, const RowDraw *draw) {
  double f = drawn_factor(self, draw);
  for (int64_t i = 0; i < p->n; i++) {
    double gray = gray_at(p, i);
    for (int64_t k = 0; k < p->n_planes; k++)
      p->y[k * p->n + i] = (real)(gray + f * ((double)p->x[k * p->n + i] - gray));
  }
}
ROW(saturation)

/* Colours turned about the axis of grays (Rodrigues): R, G, B come round in thirds. */
static void hue(const Colour *self, const Picture *p, const RowDraw *draw) {
  double angle = 2 * M_PI * self->by *
                 (2 * philox_unit(transform_row_word(draw, 0)) - 1);
  double own = cos(angle), across = sin(angle) / sqrt(3), mean = (1 - own) / 3;
  for (int64_t i = 0; i < p->n; i++) {
    double c[3];
    for (int k = 0; k < 3; k++) c[k] = (double)p->x[k * p->n + i];
    double sum = c[0] + c[1] + c[2];
    for (int k = 0; k < 3; k++)
      p->y[k * p->n + i] = (real)(own * c[k] + mean * sum +
                                  across * (c[(k + 2) % 3] - c[(k + 1) % 3]));
  }
}
ROW(hue)

#define BY(name_, default_, hi_, doc_)                                                 \
  {.name = name_, .kind = OPT_REAL, .offset = offsetof(Colour, by), .position = 1,     \
   .value = default_, .lo = 0, .hi = hi_, .doc = doc_}
#define CLIP                                                                           \
  {.name = "clip", .kind = OPT_BOOL, .offset = offsetof(Colour, clip),                 \
   .value = "false", .doc = "limit the result to [0, 1], as PyTorch and Keras do"}
#define COLOUR(name_, alias_)                                                          \
  .name = name_, .alias = alias_, .family = &transform_family, .size = sizeof(Colour)
static const char factor_doc[] = "largest change of the factor from 1; 0.2: from 0.8 "
                                 "to 1.2";
static const char howard[] = "Howard, \"Some improvements on deep convolutional neural "
                             "network based image classification\", ICLR 2014, section "
                             "2.3";

static const Option factor_options[] = {BY("factor", "0.2", 100, factor_doc),
                                        CLIP,
                                        {0}};
static const TransformSample any_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"factor", 1, {3, {3, 4, 4}}},
    {"factor", 0, {3, {2, 1, 6}}},
    {"clip", 1, {3, {3, 2, 3}}}, {NULL, 0, {0, {0}}}};
static const TransformSample rgb_samples[] = {
    {NULL, 0, {3, {3, 5, 7}}}, {"factor", 1, {3, {3, 4, 4}}},
    {"clip", 1, {3, {3, 1, 1}}},
    {NULL, 0, {0, {0}}}};

const TransformKind transform_random_brightness = {
    .kind = {COLOUR("random_brightness", "RandomBrightness"), .options = factor_options,
             .doc = "Multiplies pictures by a factor drawn uniformly. Where nothing is "
                    "trained they stay as they are.",
             .equation = "y = f x, f ~ U(max(0, 1 - factor), 1 + factor)",
             .source = howard},
    .draws = true, .shape = transform_keeps_planes, .row = brightness_row,
    .samples = any_samples};

const TransformKind transform_random_contrast = {
    .kind = {COLOUR("random_contrast", "RandomContrast"), .options = factor_options,
             .doc = "Multiplies the differences from the picture's mean gray by a "
                    "factor drawn uniformly. Where nothing is trained pictures stay as "
                    "they are.",
             .equation = "y = m + f (x - m), m: mean gray, f ~ U(max(0, 1 - factor), 1 "
                         "+ factor)",
             .source = howard},
    .draws = true, .shape = transform_keeps_planes, .row = contrast_row,
    .samples = any_samples};

const TransformKind transform_random_saturation = {
    .kind = {COLOUR("random_saturation", "RandomSaturation"), .options = factor_options,
             .doc = "Multiplies the differences of each pixel's colours from its gray, "
                    "in pictures [3, H, W], by a factor drawn uniformly: 0 gives a "
                    "gray picture. Where nothing is trained pictures stay as they are.",
             .equation = "y = g + f (x - g), g = 0.299 R + 0.587 G + 0.114 B of the "
                         "pixel, f ~ U(max(0, 1 - factor), 1 + factor)",
             .source = howard},
    .draws = true, .shape = rgb_shape, .row = saturation_row, .samples = rgb_samples};

static const Option hue_options[] = {
    BY("turn", "0.05", 0.5, "the largest angle either way, as a share of a full turn"),
    CLIP, {0}};
static const TransformSample hue_samples[] = {
    {NULL, 0, {3, {3, 5, 7}}}, {"turn", 0.5, {3, {3, 4, 4}}},
    {"turn", 0, {3, {3, 1, 1}}},
    {NULL, 0, {0, {0}}}};

const TransformKind transform_random_hue = {
    .kind = {COLOUR("random_hue", "RandomHue"), .options = hue_options,
             .doc = "Turns the colours of pictures [3, H, W] about the axis of grays "
                    "by an angle drawn uniformly: a third of a turn makes red of "
                    "green. Values may be of any unit, as nothing is converted to HSV, "
                    "where PyTorch and Keras turn. Where nothing is trained pictures "
                    "stay as they are.",
             .equation = "y = cos a x + sin a (k cross x) + (1 - cos a) k (k . x), k = "
                         "(1, 1, 1) / sqrt 3, a in 2 pi [-turn, turn)",
             .source = howard},
    .draws = true, .shape = rgb_shape, .row = hue_row, .samples = hue_samples};
