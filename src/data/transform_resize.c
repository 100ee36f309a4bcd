/* transform_resize.c: pictures brought to another size, whole or a part of them.
 *
 * A pixel of the new picture is the mean of the old ones below it, weighted by their
 * distance (a triangle as wide as two new pixels, at least two old ones): bilinear
 * where the picture grows, without aliasing where it shrinks. Pixels are squares: their
 * middles are at half numbers. */
#include "data/draws.h"
#include "data/transform.h"
#include "base/fault.h"
#include "base/ints.h"
#include <math.h>

typedef struct Resize {
  Transform transform;
  IntList size;        /* rows and columns; one number: both */
  double scale, ratio; /* the smallest share of the area, the largest proportion */
} Resize;

/* A part of a picture, in pixels. */
typedef struct Part {
  double top, left, rows, columns;
} Part;

static Err resize_check(Object *object, Fault *fault) {
  const Resize *self = (const Resize *)object;
  char label[64];
  if (self->size.n == 1 || self->size.n == 2) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "%s: option \"size\": got %d numbers, allowed: rows and columns, { "
                   "28, 28 }, or one number for both",
                   kind_label(object->kind, label, sizeof label), self->size.n);
}

static Err resize_shape(const Transform *self, const Shape *in, Shape *out,
                        Fault *fault) {
  const IntList *size = &((const Resize *)self)->size;
  Planes planes;
  *out = *in;
  if (transform_planes(self, in, &planes, fault)) return fault->code;
  out->dim[in->rank - 2] = size->v[0];
  out->dim[in->rank - 1] = size->v[size->n - 1];
  return ERR_OK;
}

/* Which old places, along one axis, the new place at `middle` is made of. */
typedef struct Window {
  double middle, reach;
  int64_t first, last;
} Window;

/* New place i of n_new that cover n_part of the n old places from `start` on. */
static Window window_of(int64_t i, int64_t n_new, double start, double n_part,
                        int64_t n) {
  double step = n_part / (double)n_new, reach = step > 1 ? step : 1;
  double middle = start + ((double)i + 0.5) * step;
  return (Window){middle, reach, most((int64_t)floor(middle - reach), 0),
                  least((int64_t)ceil(middle + reach), n) - 1};
}

static double weight_at(const Window *w, int64_t i) {
  double distance = fabs((double)i + 0.5 - w->middle) / w->reach;
  return distance < 1 ? 1 - distance : 0;
}

static double mean_below(const real *x, int64_t columns, const Window *rows,
                         const Window *across) {
  double sum = 0, total = 0;
  for (int64_t r = rows->first; r <= rows->last; r++) {
    double down = weight_at(rows, r);
    for (int64_t c = across->first; c <= across->last; c++) {
      double w = down * weight_at(across, c);
      sum += w * (double)x[r * columns + c];
      total += w;
    }
  }
  return sum / total;
}

static void resize_part(const real *x, const Shape *in, const Part *part, real *y,
                        const Shape *out) {
  int64_t rows = in->dim[in->rank - 2], columns = in->dim[in->rank - 1];
  int64_t n_rows = out->dim[in->rank - 2], n_columns = out->dim[in->rank - 1];
  int64_t n_planes = shape_count(in) / (rows * columns);
  for (int64_t p = 0; p < n_planes; p++, x += rows * columns)
    for (int64_t i = 0; i < n_rows; i++) {
      Window down = window_of(i, n_rows, part->top, part->rows, rows);
      for (int64_t j = 0; j < n_columns; j++) {
        Window across = window_of(j, n_columns, part->left, part->columns, columns);
        *y++ = (real)mean_below(x, columns, &down, &across);
      }
    }
}

#define SIZE(doc_)                                                                     \
  {.name = "size", .kind = OPT_INTS, .offset = offsetof(Resize, size), .position = 1,  \
   .lo = 1, .hi = 1e6, .doc = doc_}

/* -- the whole picture ------------------------------------------------------------- */

static void whole_row(const Transform *self, const real *x, const Shape *in, real *y,
                      const Shape *out, const RowDraw *draw) {
  (void)self, (void)draw;
  Part whole = {0, 0, (double)in->dim[in->rank - 2], (double)in->dim[in->rank - 1]};
  resize_part(x, in, &whole, y, out);
}

static const Option whole_options[] = {
    SIZE("rows and columns of the result, as { 28, 28 }; one number: both"), {0}};
static const TransformSample whole_samples[] = {
    {"size", 3, {2, {5, 7}}}, {"size", 4, {3, {3, 4, 4}}}, {"size", 2, {3, {1, 1, 6}}},
    {"size", 30, {2, {28, 28}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_resize = {
    .kind = {.name = "resize", .alias = "Resize Resizing", .family = &transform_family,
             .size = sizeof(Resize), .options = whole_options, .check = resize_check,
             .call = "data.resize(4)",
             .doc = "Resizes pictures, [H, W] or [C, H, W], always: also where nothing "
                    "is trained. Shrunk ones are smoothed, as in PIL and with "
                    "antialias = true in PyTorch and Keras.",
             .equation = "y[i, j] = sum w x / sum w, w = product over both axes of "
                         "max(0, 1 - distance / max(1, old / new size))",
             .source = "Turkowski, \"Filters for common resampling tasks\", Graphics "
                       "Gems 1990"},
    .shape = resize_shape, .row = whole_row, .samples = whole_samples};

/* -- a part of it ------------------------------------------------------------------ */

/* The largest part of the proportion in the middle. */
static Part middle_part(int64_t rows, int64_t columns, double ratio) {
  Part part = {0, 0, (double)rows, (double)columns};
  if (part.columns > ratio * part.rows) part.columns = ratio * part.rows;
  else part.rows = part.columns / ratio;
  part.top = ((double)rows - part.rows) / 2;
  part.left = ((double)columns - part.columns) / 2;
  return part;
}

/* A part by a share of the area and a proportion, both drawn. */
static Part drawn_part(const Resize *self, int64_t rows, int64_t columns,
                       const RowDraw *draw) {
  double ratio = self->ratio, own = (double)columns / (double)rows;
  Words words = {transform_row_stream(draw), 0};
  Rectangle part;
  if (words_rectangle(&words, (int64_t[]){rows, columns}, self->scale, 1, ratio, 1,
                      &part))
    return (Part){(double)part.top, (double)part.left, (double)part.rows,
                  (double)part.columns};
  return middle_part(rows, columns, fmin(fmax(own, 1 / ratio), ratio));
}

static void part_row(const Transform *self, const real *x, const Shape *in, real *y,
                     const Shape *out, const RowDraw *draw) {
  int64_t rows = in->dim[in->rank - 2], columns = in->dim[in->rank - 1];
  double ratio = (double)out->dim[in->rank - 1] / (double)out->dim[in->rank - 2];
  Part part = draw ? drawn_part((const Resize *)self, rows, columns, draw)
                   : middle_part(rows, columns, ratio);
  resize_part(x, in, &part, y, out);
}

static const Option part_options[] = {
    SIZE("rows and columns of the result, as { 28, 28 }; one number: both"),
    {.name = "scale", .kind = OPT_REAL, .offset = offsetof(Resize, scale),
     .value = "0.08", .lo = 0, .hi = 1, .open = true,
     .doc = "the smallest share of the picture's area; the largest is 1"},
    {.name = "ratio", .kind = OPT_REAL, .offset = offsetof(Resize, ratio),
     .value = "1.3333333333333333", .lo = 1, .hi = 1e3,
     .doc = "the largest ratio of width to height, and of height to width"},
    {0}};
static const TransformSample part_samples[] = {
    {"size", 3, {2, {5, 7}}}, {"size", 4, {3, {3, 4, 4}}}, {"size", 2, {3, {1, 1, 6}}},
    {"size", 28, {2, {28, 28}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_resized_crop = {
    .kind = {.name = "random_resized_crop", .alias = "RandomResizedCrop",
             .family = &transform_family,
             .size = sizeof(Resize), .options = part_options, .check = resize_check,
             .call = "data.random_resized_crop(4)",
             .doc = "Cuts a part out of each picture, of an area and a proportion "
                    "drawn at random, and resizes it to one size. Where nothing is "
                    "trained it is the largest part in the middle that has the "
                    "proportion of that size.",
             .equation = "area / (H W) uniform in [scale, 1), log(width / height) in "
                         "[-log ratio, log ratio), place uniform; after ten draws that "
                         "do not fit the middle",
             .source = "Szegedy et al., \"Going deeper with convolutions\", CVPR 2015, "
                       "section 6"},
    .draws = true, .shape = resize_shape, .row = part_row, .samples = part_samples};
