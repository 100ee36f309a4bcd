/* transform.h: what is done to the features of one example on their way into a batch,
 * as records.
 *
 *   source row ─► shift and scale (dataset.h, Affine) ─► transform ─► ... ─► batch
 *
 * A random transform draws where a batch is for training, and does what its record says
 * elsewhere (a crop takes the middle). What it draws for a row follows from the seed,
 * the fit, the epoch and the row's number in its source alone: the same in batches of
 * any size. */
#ifndef DATA_TRANSFORM_H
#define DATA_TRANSFORM_H

#include "base/philox.h"
#include "base/record.h"
#include "tensor/tensor.h"

struct Dataset;

typedef struct Transform {
  Object object;
} Transform;

/* The random words of one row for one transform. */
enum { ROW_WORDS = 64 };
typedef struct RowDraw {
  Stream stream;
  uint64_t first; /* its words: first .. first + ROW_WORDS - 1 */
} RowDraw;

static inline uint32_t transform_row_word(const RowDraw *draw, int i) {
  must(i < ROW_WORDS);
  return philox_word(draw->stream, draw->first + (uint64_t)i);
}

/* As many words of that row for that transform as it takes: another stream. */
static inline Stream transform_row_stream(const RowDraw *draw) {
  uint64_t high = transform_row_word(draw, 0), low = transform_row_word(draw, 1);
  return (Stream){high << 32 | low, draw->first};
}

/* An option of a sample and its value. */
typedef struct TransformSample {
  const char *option; /* NULL: only defaults */
  double value;
  Shape features; /* of a row that it takes */
} TransformSample;

typedef struct TransformKind {
  Kind kind;
  bool draws; /* at random, where something is trained */
  bool moves; /* every value that it gives is one of the row or the fill */
  /* The features that it gives; ERR_SHAPE where it cannot take those of `in`. */
  Err (*shape)(const Transform *self, const Shape *in, Shape *out, Fault *fault);
  /* One row, x of `in` into y of `out`, which lie apart. draw NULL: not for
   * training. */
  void (*row)(const Transform *self, const real *x, const Shape *in, real *y,
              const Shape *out, const RowDraw *draw);
  /* One that mixes rows, in place of `row`: the row x and another one of the set into
   * x; gives the share that the row keeps, and its targets. x NULL: the share alone. */
  double (*mix)(const Transform *self, real *x, const real *other, const Shape *shape,
                const RowDraw *draw);
  /* The set with the transform, where that can be part of what is done first; NULL: it
   * is always a stage of the chain. */
  struct Dataset *(*join)(Transform *self, struct Dataset *set, Fault *fault);
  /* Adds what its options do not say, so that two that differ have different texts.
   * NULL: the options say all. */
  void (*add_text)(const Transform *self, Text *out);
  const TransformSample *samples; /* ended by one without features */
} TransformKind;

extern const Family transform_family; /* module "data" */

static inline const TransformKind *transform_kind(const Transform *t) {
  return (const TransformKind *)t->object.kind;
}

/* All that it does as text. */
void transform_add_text(Text *out, const Transform *self);

/* A row as planes of pixels, [.., H, W]: the last two axes. */
typedef struct Planes {
  int64_t n, rows, columns;
} Planes;

/* ERR_SHAPE of features with fewer than two axes. */
Err transform_planes(const Transform *self, const Shape *features, Planes *out,
                     Fault *fault) WARN_UNUSED;

/* Shapes of kinds whose rows stay as large as they are: any, and planes of pixels. */
Err transform_keeps(const Transform *self, const Shape *in, Shape *out, Fault *fault);
Err transform_keeps_planes(const Transform *self, const Shape *in, Shape *out,
                           Fault *fault);

#endif
