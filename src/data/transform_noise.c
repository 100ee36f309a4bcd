/* transform_noise.c: parts of a row that are lost: erased, or under noise. */
#include "data/draws.h"
#include "data/transform.h"
#include "base/fault.h"
#include "base/ints.h"
#include <math.h>
#include <string.h>

/* -- noise ------------------------------------------------------------------------- */

typedef struct Noise {
  Transform transform;
  double sd;
} Noise;

static void noise_row(const Transform *self, const real *x, const Shape *in, real *y,
                      const Shape *out, const RowDraw *draw) {
  int64_t n = shape_count(in);
  (void)out;
  memcpy(y, x, (size_t)n * sizeof *y);
  if (!draw) return;
  Stream stream = transform_row_stream(draw);
  for (int64_t i = 0; i < n; i += 4) {
    uint32_t words[4];
    double normal[4];
    philox_block(words, stream, (uint64_t)i / 4);
    draw_normals(normal, words[0], words[1]);
    draw_normals(normal + 2, words[2], words[3]);
    for (int64_t j = i; j < least(i + 4, n); j++)
      y[j] = (real)((double)x[j] + ((const Noise *)self)->sd * normal[j - i]);
  }
}

static const Option noise_options[] = {
    {.name = "sd", .kind = OPT_REAL, .offset = offsetof(Noise, sd), .position = 1,
     .value = "0.1", .lo = 0, .hi = 1e6,
     .doc = "standard deviation, in the units that the row has by then"},
    {0}};
static const TransformSample noise_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"sd", 3, {1, {9}}}, {"sd", 0, {3, {1, 1, 6}}},
    {NULL, 0, {0, {0}}}};

const TransformKind transform_random_noise = {
    .kind = {.name = "random_noise", .alias = "gaussian_noise GaussianNoise",
             .family = &transform_family, .size = sizeof(Noise),
             .options = noise_options,
             .doc = "Adds normal noise to every feature, of rows of any shape. Where "
                    "nothing is trained rows stay as they are. (A layer of noise draws "
                    "in the net, after what comes before it.)",
             .equation = "y = x + sd e, e ~ N(0, 1)",
             .source = "Bishop, \"Training with noise is equivalent to Tikhonov "
                       "regularization\", Neural Computation 1995"},
    .draws = true, .shape = transform_keeps, .row = noise_row,
    .samples = noise_samples};

/* -- erasing ----------------------------------------------------------------------- */

typedef struct Erasing {
  Transform transform;
  double p, smallest, largest, ratio, fill;
} Erasing;

static void erasing_row(const Transform *t, const real *x, const Shape *in, real *y,
                        const Shape *out, const RowDraw *draw) {
  const Erasing *self = (const Erasing *)t;
  int64_t columns = in->dim[in->rank - 1], rows = in->dim[in->rank - 2];
  int64_t n_planes = shape_count(in) / (rows * columns);
  (void)out;
  memcpy(y, x, (size_t)shape_count(in) * sizeof *y);
  if (!draw) return;
  Words words = {transform_row_stream(draw), 0};
  if (words_uniform(&words, 0, 1) >= self->p) return;
  Rectangle area = {0};
  words_rectangle(&words, (int64_t[]){rows, columns}, self->smallest, self->largest,
                  self->ratio, 0, &area);
  for (int64_t p = 0; p < n_planes; p++)
    for (int64_t r = 0; r < area.rows; r++)
      for (int64_t c = 0; c < area.columns; c++)
        y[(p * rows + area.top + r) * columns + area.left + c] = (real)self->fill;
}

static Err erasing_check(Object *object, Fault *fault) {
  const Erasing *self = (const Erasing *)object;
  if (self->smallest <= self->largest) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.random_erasing: option \"smallest\": got %g, allowed: at most "
                   "\"largest\", %g",
                   self->smallest, self->largest);
}

#define SHARE(name_, field, default_, doc_)                                            \
  {.name = name_, .kind = OPT_REAL, .offset = offsetof(Erasing, field),                \
   .value = default_, .lo = 0, .hi = 1, .doc = doc_}
static const Option erasing_options[] = {
    {.name = "p", .kind = OPT_REAL, .offset = offsetof(Erasing, p), .position = 1,
     .value = "0.5", .lo = 0, .hi = 1, .doc = "probability that it is done to a row"},
    SHARE("smallest", smallest, "0.02", "the smallest share of the picture's area"),
    SHARE("largest", largest, "0.33", "the largest share of it"),
    {.name = "ratio", .kind = OPT_REAL, .offset = offsetof(Erasing, ratio),
     .value = "3.3333333333333335", .lo = 1, .hi = 1e3,
     .doc = "the largest ratio of width to height, and of height to width"},
    {.name = "fill", .kind = OPT_REAL, .offset = offsetof(Erasing, fill), .value = "0",
     .doc = "value of the rectangle, in the units that the row has by then"},
    {0}};
static const TransformSample erasing_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"p", 1, {3, {3, 4, 4}}}, {"largest", 1, {3, {1, 1, 6}}},
    {"p", 0, {2, {28, 28}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_erasing = {
    .kind = {.name = "random_erasing", .alias = "RandomErasing",
             .family = &transform_family, .size = sizeof(Erasing),
             .options = erasing_options, .check = erasing_check,
             .doc = "Fills a rectangle of each picture, of an area and a proportion "
                    "drawn at random, with one value. Where nothing is trained "
                    "pictures stay as they are.",
             .equation = "with probability p: area / (H W) uniform in [smallest, "
                         "largest), log(width / height) in [-log ratio, log ratio), "
                         "place uniform; after ten draws that do not fit nothing",
             .source = "Zhong, Zheng, Kang, Li, Yang, \"Random erasing data "
                       "augmentation\", AAAI 2020"},
    .draws = true, .moves = true, .shape = transform_keeps_planes, .row = erasing_row,
    .samples = erasing_samples};
