/* transform_random_flip.c: pictures turned over, or not. */
#include "data/transform.h"
#include "base/fault.h"

typedef enum FlipMode { FLIP_HORIZONTAL, FLIP_VERTICAL, FLIP_BOTH } FlipMode;
static const char *const mode_names[] = {"horizontal", "vertical", "both", NULL};

typedef struct RandomFlip {
  Transform transform;
  int mode; /* FlipMode */
  double p;
} RandomFlip;

static void flip_row(const Transform *self, const real *x, const Shape *in, real *y,
                     const Shape *out, const RowDraw *draw) {
  const RandomFlip *flip = (const RandomFlip *)self;
  (void)out;
  int64_t columns = in->dim[in->rank - 1], rows = in->dim[in->rank - 2];
  bool across = draw && flip->mode != FLIP_VERTICAL &&
                philox_unit(transform_row_word(draw, 0)) < flip->p;
  bool down = draw && flip->mode != FLIP_HORIZONTAL &&
              philox_unit(transform_row_word(draw, 1)) < flip->p;
  int64_t n_lines = shape_count(in) / columns;
  for (int64_t i = 0; i < n_lines; i++, y += columns) {
    int64_t r = i % rows, line = down ? i - r + (rows - 1 - r) : i;
    const real *from = x + line * columns;
    for (int64_t c = 0; c < columns; c++) y[c] = from[across ? columns - 1 - c : c];
  }
}

static const Option flip_options[] = {
    {.name = "mode", .kind = OPT_CHOICE, .offset = offsetof(RandomFlip, mode),
     .position = 1,
     .value = "horizontal", .choices = mode_names,
     .doc = "what is swapped: left and right, top and bottom, or both, each by a draw "
            "of its own"},
    {.name = "p", .kind = OPT_REAL, .offset = offsetof(RandomFlip, p), .value = "0.5",
     .lo = 0,
     .hi = 1, .doc = "probability that a picture is flipped"},
    {0}};

static const TransformSample flip_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"mode", FLIP_VERTICAL, {3, {3, 4, 4}}},
    {"mode", FLIP_BOTH, {3, {1, 1, 6}}}, {"p", 1, {2, {28, 28}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_random_flip = {
    .kind = {.name = "random_flip",
             .alias = "RandomFlip random_horizontal_flip RandomHorizontalFlip",
             .family = &transform_family, .size = sizeof(RandomFlip),
             .options = flip_options,
             .doc = "Flips each picture, [H, W] or [C, H, W], at random. Where nothing "
                    "is trained they stay as they are.",
             .equation = "y[.., r, c] = x[.., r, W + 1 - c] with probability p",
             .source = "Krizhevsky, Sutskever, Hinton, \"ImageNet classification with "
                       "deep convolutional neural networks\", NIPS 2012, section 4.1"},
    .draws = true, .moves = true, .shape = transform_keeps_planes, .row = flip_row,
    .samples = flip_samples};
