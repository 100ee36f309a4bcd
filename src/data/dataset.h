/* dataset.h: the insides of a Dataset; private to data/. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "data/data.h"

/* (x - shift) * scale with one pair for all features, per channel or per feature. */
typedef struct Affine {
  Per per;
  int64_t n;                 /* 1, channels or features */
  double *shift, *scale;     /* one allocation, at shift */
} Affine;

struct Transform {
  int refs;
  Shape features;            /* of the rows it was made for; PER_ALL: any fit */
  Affine affine;
};

struct Dataset {
  int refs;
  Source *source;            /* retained */
  int part;
  char *name;
  /* from here on: once loaded */
  const Rows *rows;          /* borrowed from the source; NULL: not loaded */
  Shape features;
  int64_t n_features;
  int64_t n;                 /* rows of the view */
  int64_t *index;            /* row of the source for each; NULL: all in order */
  Affine affine;             /* all transforms in one, in double */
  real *shift, *scale;       /* the same as batches are computed; one allocation */
};

static inline int64_t dataset_row(const Dataset *set, int64_t i) {
  return set->index ? set->index[i] : i;
}

/* Number of pairs for these features. */
int64_t affine_count(Per per, const Shape *features);
Err affine_init(Affine *out, Per per, int64_t n, Fault *fault) WARN_UNUSED;
void affine_deinit(Affine *affine);
/* out = first, then second: (x - a.shift) a.scale, then (. - b.shift) b.scale is
 * (x - (a.shift + b.shift / a.scale)) a.scale b.scale. Scales are never 0. */
Err affine_then(Affine *out, const Affine *a, const Affine *b, const Shape *features,
                Fault *fault) WARN_UNUSED;

/* A new view of the same rows: takes `index` (n of them; also on failure), copies the
 * affine (NULL: the set's own). The set is loaded. */
Dataset *dataset_view(const Dataset *set, int64_t *index, int64_t n, const Affine *affine,
                      Fault *fault);

#endif
