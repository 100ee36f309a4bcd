/* gaussians.c: synthetic sets of normal numbers: a mixture, and a linear regression.
 *
 * What holds for all rows (centres, weights) is draw 0 of the stream "data", row i is
 * draw i + 1: a row does not depend on how many there are. */
#include "data/draws.h"
#include "data/sources.h"
#include "base/ints.h"
#include <math.h>
#include <stdlib.h>

typedef struct Normals {
  Source source;
  int64_t n, n_features, n_classes, n_informative, seed;
  double radius, sd;
} Normals;

/* n numbers N(0, 1), of word `first` and those behind it. */
static void normals(double *out, Stream stream, uint64_t first, int64_t n) {
  for (int64_t i = 0; i < n; i += 2) {
    uint64_t at = first + (uint64_t)i;
    double pair[2];
    draw_normals(pair, philox_word(stream, at), philox_word(stream, at + 1));
    for (int64_t j = i; j < least(i + 2, n); j++) out[j] = pair[j - i];
  }
}

static Stream draw_of(const Normals *s, uint64_t number) {
  return source_stream(&s->source, s->seed, s->source.object.kind->name, number);
}

/* x [n, features] and room for what rows have in common: `n_common` numbers, then a row
 * of `n_features` and two more. NULL and a fault. */
static double *begin(Normals *s, int64_t n_common, Rows *out, Fault *fault) {
  Shape shape = SHAPE_OF(s->n, s->n_features);
  out->x = tensor_new(s->source.memory, DT_REAL, &shape, fault);
  if (!out->x) return NULL;
  size_t n_bytes = (size_t)(n_common + s->n_features + 2) * sizeof(double);
  double *common = malloc(n_bytes);
  if (!common) fault_memory(fault, n_bytes);
  return common;
}

#define AT(field) .offset = offsetof(Normals, field)
#define COUNT COUNT_OPTION(Normals, "number of rows" SAME_ROWS)
#define FEATURES(default_)                                                             \
  {.name = "features", .kind = OPT_INT, AT(n_features), .value = default_, .lo = 1,    \
   .hi = 1e6, .doc = "number of features of a row"}

/* -- a mixture --------------------------------------------------------------------- */

/* In the plane the centres lie evenly on a circle, else anywhere on a sphere. */
static void place_centres(const Normals *s, double *centre) {
  int64_t d = s->n_features;
  for (int64_t c = 0; c < s->n_classes; c++, centre += d) {
    double angle = 2 * M_PI * (double)c / (double)s->n_classes, length = 0;
    normals(centre, draw_of(s, 0), (uint64_t)(c * (d + 1)), d);
    if (d == 2) centre[0] = cos(angle), centre[1] = sin(angle);
    for (int64_t j = 0; j < d; j++) length += centre[j] * centre[j];
    for (int64_t j = 0; j < d; j++) centre[j] *= s->radius / sqrt(length);
  }
}

static Err gaussians_load(Source *source, int part, Rows *out, Fault *fault) {
  Normals *s = (Normals *)source;
  int64_t d = s->n_features;
  (void)part;
  double *centres = begin(s, s->n_classes * d, out, fault);
  if (centres) out->y = tensor_new(source->memory, DT_INT32, &SHAPE_OF(s->n), fault);
  if (!centres || !out->y) {
    free(centres);
    return fault->code;
  }
  double *row = centres + s->n_classes * d;
  out->n_classes = s->n_classes;
  place_centres(s, centres);
  for (int64_t i = 0; i < s->n; i++) {
    int64_t c = i % s->n_classes;
    normals(row, draw_of(s, (uint64_t)i + 1), 0, d);
    for (int64_t j = 0; j < d; j++)
      tensor_reals(out->x)[i * d + j] = (real)(centres[c * d + j] + s->sd * row[j]);
    ((int32_t *)out->y->a.data)[i] = (int32_t)c + 1;
  }
  free(centres);
  return ERR_OK;
}

static const Option gaussians_options[] = {
    COUNT,
    {.name = "classes", .kind = OPT_INT, AT(n_classes), .value = "8", .lo = 1,
     .hi = 1e6, .doc = "number of normal distributions, each a class"},
    FEATURES("2"),
    {.name = "radius", .kind = OPT_REAL, AT(radius), .value = "1", .lo = 0, .hi = 1e6,
     .doc = "distance of the means from 0"},
    {.name = "noise", .kind = OPT_REAL, AT(sd), .value = "0.1", .lo = 0, .hi = 1e6,
     .alias = "sd", .doc = "standard deviation on each axis"},
    SEED_OPTION(Normals),
    {0}};

const SourceKind dataset_gaussians = {
    .kind = {.name = "gaussians", .family = &dataset_family, .size = sizeof(Normals),
             .options = gaussians_options, .deinit = source_deinit,
             .doc = "Points of a mixture of normal distributions, equally many of "
                    "each, which are the classes. In the plane their means lie evenly "
                    "on a circle, else they are drawn on a sphere.",
             .equation = "x = m(class) + noise e, |m| = radius, e ~ N(0, 1)"},
    .draws = true,
    .load = gaussians_load};

/* -- a linear regression ----------------------------------------------------------- */

static Err regression_load(Source *source, int part, Rows *out, Fault *fault) {
  Normals *s = (Normals *)source;
  int64_t d = s->n_features, n_used = s->n_informative ? s->n_informative : d;
  (void)part;
  double *weight = begin(s, d, out, fault);
  if (weight) out->y = tensor_new(source->memory, DT_REAL, &SHAPE_OF(s->n, 1), fault);
  if (!weight || !out->y) {
    free(weight);
    return fault->code;
  }
  double *row = weight + d;
  normals(weight, draw_of(s, 0), 0, d);
  for (int64_t i = 0; i < s->n; i++) {
    Stream draw = draw_of(s, (uint64_t)i + 1);
    double error, y = 0;
    normals(&error, draw, 0, 1);
    normals(row, draw, 2, d);
    for (int64_t j = 0; j < d; j++) {
      if (j < n_used) y += weight[j] * row[j];
      tensor_reals(out->x)[i * d + j] = (real)row[j];
    }
    tensor_reals(out->y)[i] = (real)(y / sqrt((double)n_used) + s->sd * error);
  }
  free(weight);
  return ERR_OK;
}

static Err regression_check(Object *object, Fault *fault) {
  const Normals *s = (const Normals *)object;
  if (s->n_informative <= s->n_features) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.regression: option \"informative\": got %lld, allowed: at "
                   "most \"features\", %lld",
                   (long long)s->n_informative, (long long)s->n_features);
}

static const Option regression_options[] = {
    COUNT,
    FEATURES("10"),
    {.name = "informative", .kind = OPT_INT, AT(n_informative), .value = "0", .lo = 0,
     .hi = 1e6, .doc = "number of features that y depends on, the first ones; 0: all"},
    {.name = "noise", .kind = OPT_REAL, AT(sd), .value = "0.1", .lo = 0, .hi = 1e6,
     .doc = "standard deviation of the noise that is added to y"},
    SEED_OPTION(Normals),
    {0}};

const SourceKind dataset_regression = {
    .kind = {.name = "regression", .family = &dataset_family, .size = sizeof(Normals),
             .options = regression_options, .check = regression_check,
             .deinit = source_deinit,
             .doc = "Targets y [n, 1] that are a linear function of normal features, "
                    "plus noise.",
             .equation = "y = (w . x) / sqrt(informative) + noise e, with w, x, e ~ "
                         "N(0, 1)"},
    .draws = true,
    .load = regression_load};
