/* dataset.h: the insides of a Dataset; private to data/. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "data/data.h"
#include "data/masker.h"
#include <math.h>

/* (x - shift) * scale with one pair for all features, per channel or per feature. */
typedef struct Affine {
  Per per;
  int64_t n;             /* 1, channels or features */
  double *shift, *scale; /* one allocation, at shift */
} Affine;

/* Transforms one after the other, each with the features that it takes and gives.
 * Shared by views, never changed but for the scratch: one row at a time. */
typedef struct Stage {
  Transform *transform; /* retained */
  Shape in, out;
} Stage;

typedef struct Chain {
  int refs;
  real *scratch; /* two rows of n_scratch; the first is what a chain begins with */
  int64_t n_scratch;
  int n;
  Stage stage[];
} Chain;

Chain *chain_retain(Chain *chain); /* NULL is a no-op */
void chain_release(Chain *chain);  /* NULL is a no-op */
/* The row in the scratch through all stages into `out`. `draw`: of this row; NULL: not
 * for training. */
void chain_row(const Chain *chain, real *out, const Stream *draw);

/* The transform that mixes rows, with room for the other one. Shared by views. */
typedef struct Mixer {
  int refs;
  Transform *transform; /* retained */
  real *other;          /* a row as it is after the chain */
} Mixer;

Mixer *mixer_retain(Mixer *mixer); /* NULL is a no-op */
void mixer_release(Mixer *mixer);  /* NULL is a no-op */
/* The loaded set, whose targets are reals, mixed by the transform: new. */
Dataset *dataset_with_mixer(const Dataset *set, Transform *t, Fault *fault);

/* Transforms are of one x, and know nothing of masks: else ERR_VALUE that says what to
 * do. */
Err dataset_transformable(const Dataset *set, Fault *fault) WARN_UNUSED;
/* The loaded set with the transform at the end of its chain: new. */
Dataset *dataset_add_stage(const Dataset *set, Transform *t, Fault *fault);

/* Stands for missing values: one for each feature, in the units of the source. */
typedef struct Means {
  int refs;
  int64_t n;
  double v[];
} Means;

struct Dataset {
  int refs;
  Source *source; /* retained */
  int part;
  char *name;
  /* from here on: once loaded */
  const Rows *rows; /* borrowed from the source; NULL: not loaded */
  Shape features;   /* of a row of the source */
  int64_t n_features;
  int64_t n;           /* rows of the view */
  int64_t *index;      /* row of the source for each; NULL: all in order */
  Means *means;        /* retained; NULL: nothing missing, or not decided */
  Affine affine;       /* the first shifts and scales, all in one, in double */
  real *shift, *scale; /* the same as batches are computed; one allocation */
  Chain *chain;        /* what comes after; NULL: nothing */
  Mixer *mixer;        /* what mixes rows, at the end; NULL: nothing */
  int64_t n_buckets;   /* that batches for training have at most; 0: none */
  Masker *masker; /* what hides tokens of rows, which have weights; NULL: nothing */
  Shape given;    /* features of a row in a batch: the last stage's */
};

static inline int64_t dataset_row(const Dataset *set, int64_t i) {
  return set->index ? set->index[i] : i;
}

/* Class of row i of a view with a label for each row, from 0. */
static inline int64_t dataset_class(const Dataset *set, int64_t i) {
  return ((const int32_t *)set->rows->y->a.data)[dataset_row(set, i)] - 1;
}
/* ERR_VALUE, "<what> needs labels ...", where the loaded set has no label for each
 * row. */
Err dataset_need_labels(const Dataset *set, const char *what, Fault *fault) WARN_UNUSED;

/* Feature j of a row of the source, before transforms; a mean where it is missing and
 * that is decided, else NaN. */
static inline double dataset_raw(const Dataset *set, int64_t row, int64_t j) {
  double x = array_get(&set->rows->x->a, row * set->n_features + j);
  return set->means && isnan(x) ? set->means->v[j] : x;
}

Means *means_retain(Means *means); /* NULL is a no-op */
void means_release(Means *means);  /* NULL is a no-op */
/* The set, whose features have that shape, with these means: new. */
Dataset *dataset_with_means(const Dataset *set, Means *means, Fault *fault);

Err affine_init(Affine *out, Per per, int64_t n, Fault *fault) WARN_UNUSED;
void affine_deinit(Affine *affine);

/* The view's own row numbers, copied for another view; NULL when it has none. `ok` is
 * false and a fault set when memory lacks. */
int64_t *dataset_copy_index(const Dataset *set, bool *ok, Fault *fault);
/* Room for n row numbers; NULL and a fault. */
int64_t *dataset_new_index(int64_t n, Fault *fault);

/* A new view of the same rows: takes `index` (n of them; also on failure), copies the
 * affine (NULL: the set's own). The set is loaded. */
Dataset *dataset_view(const Dataset *set, int64_t *index, int64_t n,
                      const Affine *affine, Fault *fault);
/* The same tensors without the targets and their classes. */
Err dataset_share_rows(const Rows *rows, Rows *out, Fault *fault) WARN_UNUSED;
/* The view of the chosen rows (takes `index`) over a source of those rows (takes what
 * is in `rows`, which is the source's rows but for targets and weights), transformed as
 * the set. */
Dataset *dataset_over_rows(const Dataset *set, Rows *rows, int64_t *index, int64_t n,
                           Fault *fault);
/* The rows that are marked and those that are not, each in order; as dataset_split
 * gives them. */
Err dataset_part(const Dataset *set, const bool *in_first, Dataset **first,
                 Dataset **second, Fault *fault) WARN_UNUSED;

#endif
