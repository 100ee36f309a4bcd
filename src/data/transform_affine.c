/* transform_affine.c: pictures turned, shifted, sheared, zoomed about their middle.
 *
 * Each draws a matrix that leads from a place of the new picture back to one of the
 * old, where the value is mixed of the four pixels around it (bilinear); outside there
 * is the fill. All planes of a picture move alike. */
#include "data/transform.h"
#include "base/fault.h"
#include <math.h>
#include <string.h>

typedef struct Affine2 {
  double rr, rc, cr, cc; /* old row = rr row + rc column + r, old column alike */
  double r, c;
} Affine2;

typedef struct Move {
  Transform transform;
  double by; /* degrees, or a share */
  RealList shares;
  double fill;
} Move;

/* Pixel of a plane; the fill outside of it. */
static double pixel(const real *x, int64_t rows, int64_t columns, int64_t r, int64_t c,
                    double fill) {
  bool inside = r >= 0 && r < rows && c >= 0 && c < columns;
  return inside ? (double)x[r * columns + c] : fill;
}

static double sample_at(const real *x, int64_t rows, int64_t columns, double r,
                        double c, double fill) {
  double top = floor(r), left = floor(c), down = r - top, right = c - left;
  if (!(top >= -1 && top < (double)rows && left >= -1 && left < (double)columns))
    return fill;
  int64_t i = (int64_t)top, j = (int64_t)left;
  double above = (1 - right) * pixel(x, rows, columns, i, j, fill) +
                 right * pixel(x, rows, columns, i, j + 1, fill);
  double below = (1 - right) * pixel(x, rows, columns, i + 1, j, fill) +
                 right * pixel(x, rows, columns, i + 1, j + 1, fill);
  return (1 - down) * above + down * below;
}

/* y at each place from where the matrix leads, both counted from the middle. */
static void warp(const real *x, const Shape *shape, real *y, const Affine2 *m,
                 double fill) {
  int64_t columns = shape->dim[shape->rank - 1], rows = shape->dim[shape->rank - 2];
  int64_t n_planes = shape_count(shape) / (rows * columns);
  double middle_r = (double)(rows - 1) / 2, middle_c = (double)(columns - 1) / 2;
  for (int64_t p = 0; p < n_planes; p++, x += rows * columns)
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) {
        double r = (double)i - middle_r, c = (double)j - middle_c;
        *y++ = (real)sample_at(x, rows, columns,
                               m->rr * r + m->rc * c + m->r + middle_r,
                               m->cr * r + m->cc * c + m->c + middle_c, fill);
      }
}

/* A number from -by to by: draw i of the row. */
static double either_way(const RowDraw *draw, int i, double by) {
  return by * (2 * philox_unit(transform_row_word(draw, i)) - 1);
}

static void move_row(const Transform *self, const real *x, const Shape *in, real *y,
                     const RowDraw *draw,
                     Affine2 matrix(const Move *, const Shape *, const RowDraw *)) {
  const Move *move = (const Move *)self;
  if (!draw) {
    memcpy(y, x, (size_t)shape_count(in) * sizeof *y);
    return;
  }
  Affine2 m = matrix(move, in, draw);
  warp(x, in, y, &m, move->fill);
}

#define ROW(name)                                                                      \
  static void name##_row(const Transform *self, const real *x, const Shape *in,        \
                         real *y, const Shape *out, const RowDraw *draw) {             \
    (void)out;                                                                         \
    move_row(self, x, in, y, draw, name##_matrix);                                     \
  }

#define FILL                                                                           \
  {.name = "fill", .kind = OPT_REAL, .offset = offsetof(Move, fill), .value = "0",     \
   .doc = "value of places outside of the picture, in the units that the row has by "  \
          "then"}
#define BY(name_, default_, hi_, doc_)                                                 \
  {.name = name_, .kind = OPT_REAL, .offset = offsetof(Move, by), .position = 1,       \
   .value = default_, .lo = 0, .hi = hi_, .doc = doc_}
#define MOVE(name_, alias_)                                                            \
  .name = name_, .alias = alias_, .family = &transform_family, .size = sizeof(Move)
#define MOVES(name_)                                                                   \
  .draws = true, .shape = transform_keeps_planes, .row = name_##_row

static const char simard[] = "Simard, Steinkraus, Platt, \"Best practices for "
                             "convolutional neural networks\", ICDAR 2003, section 2";

/* -- rotation ---------------------------------------------------------------------- */

static Affine2 rotation_matrix(const Move *move, const Shape *in, const RowDraw *draw) {
  (void)in;
  double angle = either_way(draw, 0, move->by) * M_PI / 180;
  double cosine = cos(angle), sine = sin(angle);
  return (Affine2){cosine, sine, -sine, cosine, 0, 0};
}
ROW(rotation)

static const Option rotation_options[] = {
    BY("degrees", "10", 180, "the largest angle either way, in degrees"), FILL, {0}};
static const TransformSample rotation_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"degrees", 90, {3, {3, 4, 4}}},
    {"degrees", 180, {3, {1, 1, 6}}}, {"degrees", 0, {2, {3, 2}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_rotation = {
    .kind = {MOVE("random_rotation", "RandomRotation"), .options = rotation_options,
             .doc = "Rotates pictures about their middle by an angle drawn uniformly. "
                    "Where nothing is trained they stay as they are.",
             .equation = "y[r, c] = x at (cos a r + sin a c, cos a c - sin a r), r and "
                         "c from the middle, a in [-degrees, degrees)",
             .source = simard},
    MOVES(rotation), .samples = rotation_samples};

/* -- shift ------------------------------------------------------------------------- */

static Affine2 shift_matrix(const Move *move, const Shape *in, const RowDraw *draw) {
  double down = move->shares.v[0], right = move->shares.v[move->shares.n - 1];
  return (Affine2){1, 0, 0, 1,
                   either_way(draw, 0, down * (double)in->dim[in->rank - 2]),
                   either_way(draw, 1, right * (double)in->dim[in->rank - 1])};
}
ROW(shift)

static Err shift_check(Object *object, Fault *fault) {
  const Move *move = (const Move *)object;
  if (move->shares.n == 1 || move->shares.n == 2) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.random_shift: option \"shares\": got %d numbers, allowed: of "
                   "the height and the width, { 0.1, 0.2 }, or one number for both",
                   move->shares.n);
}

static const Option shift_options[] = {
    {.name = "shares", .kind = OPT_REALS, .offset = offsetof(Move, shares),
     .position = 1,
     .value = "0.1", .lo = 0, .hi = 1,
     .doc = "the largest shift, up or down and left or right, as shares of height and "
            "width; one number: both"},
    FILL,
    {0}};
static const TransformSample shift_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"shares", 0.5, {3, {3, 4, 4}}},
    {"shares", 1, {3, {1, 1, 6}}},
    {"shares", 0, {2, {3, 2}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_shift = {
    .kind = {MOVE("random_shift", "RandomTranslation random_translation"),
             .options = shift_options, .check = shift_check,
             .doc = "Shifts pictures by a distance drawn uniformly, not only by whole "
                    "pixels (data.random_crop with a padding does that). Where nothing "
                    "is trained they stay as they are.",
             .equation = "y[r, c] = x at (r + a, c + b), a in [-share H, share H), b "
                         "in [-share W, share W)",
             .source = simard},
    MOVES(shift), .samples = shift_samples};

/* -- shear ------------------------------------------------------------------------- */

static Affine2 shear_matrix(const Move *move, const Shape *in, const RowDraw *draw) {
  (void)in;
  return (Affine2){1, 0, tan(either_way(draw, 0, move->by) * M_PI / 180), 1, 0, 0};
}
ROW(shear)

static const Option shear_options[] = {
    BY("degrees", "10", 80, "the largest angle either way, in degrees"), FILL, {0}};
static const TransformSample shear_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"degrees", 45, {3, {3, 4, 4}}},
    {"degrees", 80, {3, {1, 1, 6}}}, {"degrees", 0, {2, {3, 2}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_shear = {
    .kind = {MOVE("random_shear", "RandomShear"), .options = shear_options,
             .doc = "Slants pictures: shifts rows sideways by their distance from the "
                    "middle, at an angle drawn uniformly. Where nothing is trained "
                    "they stay as they are.",
             .equation = "y[r, c] = x at (r, c + tan(a) r), r and c from the middle, a "
                         "in [-degrees, degrees)",
             .source = simard},
    MOVES(shear), .samples = shear_samples};

/* -- zoom -------------------------------------------------------------------------- */

static Affine2 zoom_matrix(const Move *move, const Shape *in, const RowDraw *draw) {
  (void)in;
  double back = 1 / (1 + either_way(draw, 0, move->by));
  return (Affine2){back, 0, 0, back, 0, 0};
}
ROW(zoom)

static const Option zoom_options[] = {
    BY("share", "0.1", 0.99, "largest change of the size; 0.1: from 0.9 to 1.1 of it"),
    FILL, {0}};
static const TransformSample zoom_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"share", 0.5, {3, {3, 4, 4}}},
    {"share", 0.99, {3, {1, 1, 6}}},
    {"share", 0, {2, {3, 2}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_zoom = {
    .kind = {MOVE("random_zoom", "RandomZoom"), .options = zoom_options,
             .doc = "Makes pictures larger or smaller about their middle by a factor "
                    "drawn uniformly; their size in pixels stays. Where nothing is "
                    "trained they stay as they are.",
             .equation = "y[r, c] = x at (r / s, c / s), r and c from the middle, s in "
                         "[1 - share, 1 + share)",
             .source = simard},
    MOVES(zoom), .samples = zoom_samples};
