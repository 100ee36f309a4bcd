/* transform_random_crop.c: a part of a picture, perhaps with a border around it
 * first. */
#include "data/transform.h"
#include "base/fault.h"

typedef struct RandomCrop {
  Transform transform;
  IntList size; /* rows and columns; one number: both */
  int64_t padding;
  double fill;
} RandomCrop;

/* Size along axis 0 (rows) or 1 (columns). */
static int64_t crop_size(const RandomCrop *crop, int axis) {
  return crop->size.v[crop->size.n > 1 ? axis : 0];
}

static Err crop_check(Object *object, Fault *fault) {
  const RandomCrop *crop = (const RandomCrop *)object;
  if (crop->size.n == 1 || crop->size.n == 2) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.random_crop: option \"size\": got %d numbers, allowed: rows "
                   "and columns, { 28, 28 }, or one number for both",
                   crop->size.n);
}

static Err crop_shape(const Transform *self, const Shape *in, Shape *out,
                      Fault *fault) {
  const RandomCrop *crop = (const RandomCrop *)self;
  Planes planes;
  if (transform_planes(self, in, &planes, fault)) return fault->code;
  int64_t room[] = {planes.rows + 2 * crop->padding,
                    planes.columns + 2 * crop->padding};
  *out = *in;
  for (int axis = 0; axis < 2; axis++) {
    int64_t size = crop_size(crop, axis);
    if (size > room[axis])
      return fault_set(fault, ERR_SHAPE,
                       "data.random_crop: option \"size\": got %lld %s, allowed: at "
                       "most %lld (%lld and a padding of %lld at each "
                       "side)",
                       (long long)size, axis ? "columns" : "rows",
                       (long long)room[axis],
                       (long long)(axis ? planes.columns : planes.rows),
                       (long long)crop->padding);
    out->dim[in->rank - 2 + axis] = size;
  }
  return ERR_OK;
}

/* Where a part of `size` begins in `room`: by the draw, else such that it is the
 * middle. */
static int64_t place_of(int64_t room, int64_t size, const RowDraw *draw, int axis) {
  int64_t free = room - size;
  if (!draw) return free / 2;
  return (int64_t)philox_below(draw->stream, draw->first + 2 * (uint64_t)axis,
                               (uint64_t)free + 1);
}

static void crop_row(const Transform *self, const real *x, const Shape *in, real *y,
                     const Shape *out, const RowDraw *draw) {
  const RandomCrop *crop = (const RandomCrop *)self;
  int64_t rows = in->dim[in->rank - 2], columns = in->dim[in->rank - 1];
  int64_t out_rows = out->dim[in->rank - 2], out_columns = out->dim[in->rank - 1];
  int64_t pad = crop->padding, n_planes = shape_count(out) / (out_rows * out_columns);
  int64_t top = place_of(rows + 2 * pad, out_rows, draw, 0) - pad;
  int64_t left = place_of(columns + 2 * pad, out_columns, draw, 1) - pad;
  for (int64_t p = 0; p < n_planes; p++, x += rows * columns)
    for (int64_t r = 0; r < out_rows; r++, y += out_columns) {
      bool inside = top + r >= 0 && top + r < rows;
      for (int64_t c = 0; c < out_columns; c++) {
        int64_t at = left + c;
        y[c] = inside && at >= 0 && at < columns ? x[(top + r) * columns + at]
                                                 : (real)crop->fill;
      }
    }
}

static const Option crop_options[] = {
    {.name = "size", .kind = OPT_INTS, .offset = offsetof(RandomCrop, size),
     .position = 1,
     .lo = 1, .hi = 1e6,
     .doc = "rows and columns of the part, as { 28, 28 }; one number: both"},
    {.name = "padding", .kind = OPT_INT, .offset = offsetof(RandomCrop, padding),
     .value = "0",
     .lo = 0, .hi = 1e6, .doc = "pixels added at each side before the cut"},
    {.name = "fill", .kind = OPT_REAL, .offset = offsetof(RandomCrop, fill),
     .value = "0",
     .doc = "value of these pixels, in the units that the row has by then: after "
            "set:normalize 0 is the mean"},
    {0}};

static const TransformSample crop_samples[] = {
    {"size", 3, {2, {5, 7}}}, {"size", 4, {3, {3, 4, 4}}}, {"size", 1, {3, {1, 1, 6}}},
    {"size", 24, {2, {28, 28}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_crop = {
    .kind = {.name = "random_crop", .alias = "RandomCrop", .family = &transform_family,
             .size = sizeof(RandomCrop), .options = crop_options, .check = crop_check,
             .call = "data.random_crop(4)",
             .doc = "Cuts a part out of each picture, [H, W] or [C, H, W], at a place "
                    "drawn at random. Where nothing is trained it is the middle: with "
                    "size = the picture's and a padding, the picture itself.",
             .equation = "y[.., r, c] = x[.., r + top - padding, c + left - padding], "
                         "outside of x: fill; top uniform from 0 to H + 2 padding - "
                         "size, left likewise",
             .source = "He, Zhang, Ren, Sun, \"Deep residual learning for image "
                       "recognition\", CVPR 2016, section 4.2"},
    .draws = true, .moves = true, .shape = crop_shape, .row = crop_row,
    .samples = crop_samples};
