/* synthetic.c: classes of points in the plane, drawn from the stream "data".
 *
 * Row i belongs to class i mod classes, so that every prefix is balanced (in xor the
 * class follows from the place). Row i takes block i of the stream, two words for its
 * place and two for its noise; so a row does not depend on how many there are. */
#include "data/draws.h"
#include "data/sources.h"
#include <math.h>

typedef struct Synthetic {
  Source source;
  int64_t n, n_classes, seed;
  double noise, turns, factor;
} Synthetic;

/* Place of a row without noise: u[0], u[1] in [0, 1) are its draws, `label` counts from
 * 0 (xor chooses its own). */
typedef void Place(const Synthetic *s, const double u[2], int64_t *label, double p[2]);

static Err draw(Source *source, Place *place, int64_t n_classes, Rows *out,
                Fault *fault) {
  Synthetic *s = (Synthetic *)source;
  Stream stream = source_stream(source, s->seed, source->object.kind->name, 0);
  out->x = tensor_new(source->memory, DT_REAL, &SHAPE_OF(s->n, 2), fault);
  out->y = out->x ? tensor_new(source->memory, DT_INT32, &SHAPE_OF(s->n), fault) : NULL;
  if (!out->y) return ERR_MEMORY;
  out->n_classes = n_classes;
  for (int64_t i = 0; i < s->n; i++) {
    uint32_t words[4];
    philox_block(words, stream, (uint64_t)i);
    double u[2] = {philox_unit(words[0]), philox_unit(words[1])}, p[2], noise[2];
    int64_t label = i % n_classes;
    place(s, u, &label, p);
    draw_normals(noise, words[2], words[3]);
    for (int k = 0; k < 2; k++)
      tensor_reals(out->x)[2 * i + k] = (real)(p[k] + s->noise * noise[k]);
    ((int32_t *)out->y->a.data)[i] = (int32_t)label + 1;
  }
  return ERR_OK;
}

/* Options of all kinds. */
#define COUNT \
  COUNT_OPTION(Synthetic, "number of points, all classes together" SAME_ROWS)
#define NOISE(default_)                                                                \
  {.name = "noise", .kind = OPT_REAL, .offset = offsetof(Synthetic, noise),            \
   .value = default_, .lo = 0, .hi = 1e6,                                              \
   .doc = "standard deviation of the normal noise on each axis"}

/* -- spirals ----------------------------------------------------------------------- */

static void spiral(const Synthetic *s, const double u[2], int64_t *label, double p[2]) {
  double angle = 2 * M_PI * (s->turns * u[0] + (double)*label / (double)s->n_classes);
  p[0] = u[0] * cos(angle);
  p[1] = u[0] * sin(angle);
}

static Err spirals_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return draw(source, spiral, ((Synthetic *)source)->n_classes, out, fault);
}

static const Option spirals_options[] = {
    COUNT,
    {.name = "classes", .kind = OPT_INT, .offset = offsetof(Synthetic, n_classes),
     .value = "2", .lo = 1, .hi = 1000, .doc = "number of arms, each a class"},
    {.name = "turns", .kind = OPT_REAL, .offset = offsetof(Synthetic, turns),
     .value = "1", .lo = 0, .hi = 1000, .doc = "turns of an arm from the centre out"},
    NOISE("0.02"),
    SEED_OPTION(Synthetic),
    {0}};

const SourceKind dataset_spirals = {
    .kind = {.name = "spirals",
             .family = &dataset_family,
             .size = sizeof(Synthetic),
             .options = spirals_options,
             .deinit = source_deinit,
             .doc = "Points on interleaved spiral arms in the unit disc, one for each "
                    "class.",
             .equation = "radius = u, angle = 2 pi (turns u + (class - 1) / classes), "
                         "u uniform in [0, 1)"},
    .draws = true,
    .load = spirals_load};

/* -- moons ------------------------------------------------------------------------- */

static void moon(const Synthetic *s, const double u[2], int64_t *label, double p[2]) {
  (void)s;
  double angle = M_PI * u[0];
  p[0] = *label == 0 ? cos(angle) : 1 - cos(angle);
  p[1] = *label == 0 ? sin(angle) : 0.5 - sin(angle);
}

static Err moons_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return draw(source, moon, 2, out, fault);
}

static const Option moons_options[] = {
    COUNT,
    NOISE("0.1"),
    SEED_OPTION(Synthetic),
    {0}};

const SourceKind dataset_moons = {
    .kind = {.name = "moons",
             .family = &dataset_family,
             .size = sizeof(Synthetic),
             .options = moons_options,
             .deinit = source_deinit,
             .doc = "Points on two interleaved half circles, one for each class.",
             .equation = "class 1: (cos a, sin a); class 2: (1 - cos a, 1/2 - sin a); "
                         "a uniform in [0, pi)"},
    .draws = true,
    .load = moons_load};

/* -- circles ----------------------------------------------------------------------- */

static void circle(const Synthetic *s, const double u[2], int64_t *label, double p[2]) {
  double radius = *label == 0 ? 1 : s->factor, angle = 2 * M_PI * u[0];
  p[0] = radius * cos(angle);
  p[1] = radius * sin(angle);
}

static Err circles_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return draw(source, circle, 2, out, fault);
}

static const Option circles_options[] = {
    COUNT,
    NOISE("0.05"),
    {.name = "factor", .kind = OPT_REAL, .offset = offsetof(Synthetic, factor),
     .value = "0.5", .lo = 0, .hi = 1, .doc = "radius of the inner circle"},
    SEED_OPTION(Synthetic),
    {0}};

const SourceKind dataset_circles = {
    .kind = {.name = "circles",
             .family = &dataset_family,
             .size = sizeof(Synthetic),
             .options = circles_options,
             .deinit = source_deinit,
             .doc = "Points on a circle (class 1) around another one (class 2).",
             .equation = "radius 1 or factor, angle uniform in [0, 2 pi)"},
    .draws = true,
    .load = circles_load};

/* -- xor --------------------------------------------------------------------------- */

/* The class follows from the place, before noise. */
static void quadrant(const Synthetic *s, const double u[2], int64_t *label,
                     double p[2]) {
  (void)s;
  p[0] = 2 * u[0] - 1;
  p[1] = 2 * u[1] - 1;
  *label = (p[0] < 0) != (p[1] < 0);
}

static Err xor_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return draw(source, quadrant, 2, out, fault);
}

static const Option xor_options[] = {
    COUNT,
    NOISE("0"),
    SEED_OPTION(Synthetic),
    {0}};

const SourceKind dataset_xor = {
    .kind = {.name = "xor",
             .family = &dataset_family,
             .size = sizeof(Synthetic),
             .options = xor_options,
             .deinit = source_deinit,
             .doc = "Points of a square: class 2 where exactly one coordinate is "
                    "negative, else class 1.",
             .equation = "x uniform in [-1, 1)^2"},
    .draws = true,
    .load = xor_load};
