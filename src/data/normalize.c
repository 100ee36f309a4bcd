/* normalize.c: x -> (x - shift) * scale as a transform, and its estimation from data.
 *
 * Statistics of unsigned bytes are exact: with s = sum x and q = sum x^2 as integers,
 * mean = s / n and variance = (n q - s^2) / n^2, the numerator without rounding. Others
 * take two passes in double: the mean, then the mean of (x - mean)^2. The deviation is
 * that of the rows at hand (divided by n). */
#include "data/dataset.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- affine ------------------------------------------------------------------------ */

/* Number of pairs for these features. */
static int64_t affine_count(Per per, const Shape *features) {
  if (per == PER_ALL) return 1;
  if (per == PER_FEATURE) return shape_count(features);
  return features->rank > 0 ? features->dim[0] : 1;
}

Err affine_init(Affine *out, Per per, int64_t n, Fault *fault) {
  *out = (Affine){per, n, malloc(2 * (size_t)n * sizeof(double)), NULL};
  if (!out->shift) return fault_memory(fault, 2 * (size_t)n * sizeof(double));
  out->scale = out->shift + n;
  return ERR_OK;
}

void affine_deinit(Affine *affine) {
  free(affine->shift);
  *affine = (Affine){0};
}

/* out = first, then second: (x - a.shift) a.scale, then (. - b.shift) b.scale is
 * (x - (a.shift + b.shift / a.scale)) a.scale b.scale. Scales are never 0. */
static Err affine_then(Affine *out, const Affine *a, const Affine *b,
                       const Shape *features, Fault *fault) {
  Per per = a->per > b->per ? a->per : b->per;
  Err err = affine_init(out, per, affine_count(per, features), fault);
  if (err) return err;
  for (int64_t i = 0; i < out->n; i++) {
    /* Counts divide one another: pair i of the finer one lies in pair i * n /
     * out->n. */
    int64_t ia = i / (out->n / a->n), ib = i / (out->n / b->n);
    out->shift[i] = a->shift[ia] + b->shift[ib] / a->scale[ia];
    out->scale[i] = a->scale[ia] * b->scale[ib];
  }
  return ERR_OK;
}

/* -- the transform ----------------------------------------------------------------- */

typedef struct Normalization {
  Transform transform;
  Means *means;   /* retained; NULL: none */
  Shape features; /* of the rows it was made for; PER_ALL: any fit */
  Affine affine;
} Normalization;

static const TransformKind normalization;

static const Normalization *normalization_of(const Transform *t) {
  must(transform_kind(t) == &normalization);
  return (const Normalization *)t;
}

static Normalization *normalization_new(Per per, const Shape *features, Fault *fault) {
  Normalization *t = (Normalization *)object_new(&normalization.kind, fault);
  if (!t) return NULL;
  t->features = *features;
  if (!affine_init(&t->affine, per, affine_count(per, features), fault)) return t;
  object_release(t);
  return NULL;
}

static void normalization_deinit(Object *object) {
  Normalization *t = (Normalization *)object;
  affine_deinit(&t->affine);
  means_release(t->means);
}

static Err normalization_shape(const Transform *self, const Shape *in, Shape *out,
                               Fault *fault) {
  const Normalization *t = (const Normalization *)self;
  bool fits = t->affine.per == PER_ALL ||
              affine_count(t->affine.per, in) == t->affine.n;
  if (t->affine.per == PER_FEATURE) fits = shape_equal(&t->features, in);
  *out = *in;
  if (fits) return ERR_OK;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE, "normalize: made for features %s, the set has %s",
                   shape_text(a, &t->features), shape_text(b, in));
}

static void normalization_row(const Transform *self, const real *x, const Shape *in,
                              real *y, const Shape *out, const RowDraw *draw) {
  const Affine *a = &((const Normalization *)self)->affine;
  int64_t run = shape_count(in) / a->n;
  (void)out, (void)draw;
  for (int64_t k = 0; k < a->n; k++, x += run, y += run) {
    const real shift = (real)a->shift[k], scale = (real)a->scale[k];
    for (int64_t j = 0; j < run; j++) y[j] = (x[j] - shift) * scale;
  }
}

/* Where nothing comes before but shifts and scales, all of these are one. */
static Dataset *normalization_join(Transform *self, Dataset *set, Fault *fault) {
  const Normalization *t = normalization_of(self);
  Shape same;
  if (normalization_shape(self, &set->given, &same, fault)) return NULL;
  Dataset *out = NULL;
  if (set->chain) {
    out = dataset_add_stage(set, self, fault);
  } else {
    Affine both;
    if (affine_then(&both, &set->affine, &t->affine, &set->features, fault))
      return NULL;
    bool ok;
    int64_t *index = dataset_copy_index(set, &ok, fault);
    if (ok) out = dataset_view(set, index, set->n, &both, fault);
    affine_deinit(&both);
  }
  if (!out || !t->means || !dataset_lacks(out)) return out;
  Dataset *complete = dataset_with_means(out, t->means, fault);
  dataset_release(out);
  return complete;
}

static void normalization_add_text(const Transform *self, Text *out) {
  const Affine *a = &((const Normalization *)self)->affine;
  for (int64_t i = 0; i < 2 * a->n; i++) text_addf(out, " %a", a->shift[i]);
}

static const TransformKind normalization = {
    .kind = {.name = "normalize", .family = &transform_family,
             .size = sizeof(Normalization),
             .deinit = normalization_deinit, .doc = "Made by set:normalize.",
             .equation = "x' = (x - shift) scale"},
    .shape = normalization_shape, .row = normalization_row, .join = normalization_join,
    .add_text = normalization_add_text};

int64_t transform_n_means(const Transform *t) {
  const Means *means = normalization_of(t)->means;
  return means ? means->n : 0;
}

double transform_mean(const Transform *t, int64_t i) {
  return normalization_of(t)->means->v[i];
}

int64_t transform_n(const Transform *t) { return normalization_of(t)->affine.n; }

double transform_shift(const Transform *t, int64_t i) {
  return normalization_of(t)->affine.shift[i];
}

double transform_scaling(const Transform *t, int64_t i) {
  return normalization_of(t)->affine.scale[i];
}

double *transform_pairs(const Transform *self, const Shape *x, Shape *out,
                        Fault *fault) {
  const Normalization *t = normalization_of(self);
  const Affine *a = &t->affine;
  int rank = a->per == PER_FEATURE ? t->features.rank + 1
             : a->per == PER_ALL   ? 0
                                   : x->rank;
  bool fits = x->rank >= (a->per == PER_CHANNEL ? 2 : 0) &&
              (rank == 0 || rank == x->rank);
  *out = (Shape){.rank = rank};
  for (int i = 0; fits && i < rank; i++) {
    bool apart = i > 0 && (a->per == PER_FEATURE || i == 1);
    out->dim[i] = apart ? x->dim[i] : 1;
  }
  if (fits && a->per == PER_FEATURE)
    for (int i = 1; i < rank; i++) fits = fits && x->dim[i] == t->features.dim[i - 1];
  if (!fits || shape_count(out) != a->n) {
    char got[SHAPE_TEXT], want[SHAPE_TEXT];
    fault_set(fault, ERR_SHAPE,
              "transform: made for features %s, got the shape %s; allowed: rows of "
              "such features",
              shape_text(want, &t->features), shape_text(got, x));
    return NULL;
  }
  size_t n_bytes = 2 * (size_t)a->n * sizeof(double);
  double *pairs = malloc(n_bytes);
  if (!pairs) fault_memory(fault, n_bytes);
  else memcpy(pairs, a->shift, n_bytes);
  return pairs;
}

/* -- statistics -------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 Wide;

/* Features are `n` groups of `run` each, one after another. */
typedef struct Groups {
  int64_t n, run;
} Groups;

/* Of the raw bytes: means into `mean`, deviations into `deviation`. */
static Err byte_statistics(const Dataset *set, Groups g, double *mean,
                           double *deviation, Fault *fault) {
  uint64_t *sum = calloc(2 * (size_t)g.n, sizeof *sum);
  if (!sum) return fault_memory(fault, 2 * (size_t)g.n * sizeof *sum);
  uint64_t *squares = sum + g.n;
  for (int64_t i = 0; i < set->n; i++) {
    const uint8_t *x = (const uint8_t *)set->rows->x->a.data +
                       dataset_row(set, i) * set->n_features;
    for (int64_t k = 0; k < g.n; k++, x += g.run) {
      uint64_t s = 0, q = 0;
      for (int64_t j = 0; j < g.run; j++) {
        s += x[j];
        q += (uint64_t)x[j] * x[j];
      }
      sum[k] += s;
      squares[k] += q;
    }
  }
  double n = (double)set->n * (double)g.run;
  Wide count = (Wide)set->n * (uint64_t)g.run;
  for (int64_t k = 0; k < g.n; k++) {
    Wide above = count * squares[k] - (Wide)sum[k] * sum[k];
    mean[k] = (double)sum[k] / n;
    deviation[k] = sqrt((double)above) / n;
  }
  free(sum);
  return ERR_OK;
}

/* Features of row i of the view in double, after its transforms: of those that only
 * shift and scale without rounding between. `given` has room for a row of the batch. */
static void row_features(const Dataset *set, int64_t i, real *given, double *out) {
  int64_t row = dataset_row(set, i), n = shape_count(&set->given);
  if (set->chain) {
    Array x = {.shape = {1, {n}}, .dtype = DT_REAL, .data = given};
    dataset_fill(set, &i, 1, &x, NULL, NULL);
    for (int64_t j = 0; j < n; j++) out[j] = (double)given[j];
    return;
  }
  for (int64_t j = 0; j < n; j++) {
    int64_t pair = j / (n / set->affine.n);
    out[j] = (dataset_raw(set, row, j) - set->affine.shift[pair]) *
             set->affine.scale[pair];
  }
}

/* Room for one row, in double and as in a batch. */
typedef struct RowRoom {
  double *x;
  real *given;
} RowRoom;

/* Adds features (power 1), or their squared distance from the mean (power 2), by
 * group. */
static void add_moments(const Dataset *set, Groups g, RowRoom room, int power,
                        const double *mean, double *sum) {
  for (int64_t i = 0; i < set->n; i++) {
    row_features(set, i, room.given, room.x);
    for (int64_t k = 0; k < g.n; k++) {
      double s = 0;
      for (int64_t j = k * g.run; j < (k + 1) * g.run; j++) {
        double v = room.x[j];
        s += power == 1 ? v : (v - mean[k]) * (v - mean[k]);
      }
      sum[k] += s;
    }
  }
}

static Err statistics(const Dataset *set, Groups g, double *mean, double *deviation,
                      Fault *fault) {
  double n = (double)set->n * (double)g.run;
  size_t n_given = (size_t)(g.n * g.run) + 1;
  RowRoom room = {calloc(n_given, sizeof *room.x), calloc(n_given, sizeof *room.given)};
  if (!room.x || !room.given) {
    free(room.x);
    free(room.given);
    return fault_memory(fault, n_given * sizeof *room.x);
  }
  for (int64_t k = 0; k < g.n; k++) mean[k] = deviation[k] = 0;
  add_moments(set, g, room, 1, NULL, mean);
  for (int64_t k = 0; k < g.n; k++) mean[k] /= n;
  add_moments(set, g, room, 2, mean, deviation);
  for (int64_t k = 0; k < g.n; k++) deviation[k] = sqrt(deviation[k] / n);
  free(room.x);
  free(room.given);
  return ERR_OK;
}

/* Of a set for which it is decided what replaces missing values. */
static Transform *normalize_complete(Dataset *set, Per per, Fault *fault) {
  Normalization *t = normalization_new(per, &set->given, fault);
  if (!t) return NULL;
  t->means = means_retain(set->means);
  Affine *a = &t->affine;
  Groups g = {a->n, shape_count(&set->given) / a->n};
  Err err = ERR_OK;
  /* mean((x - m) s) = (mean(x) - m) s, and deviations scale with |s|. */
  if (set->rows->x->a.dtype == DT_UINT8 && set->affine.n == 1 && !set->chain) {
    err = byte_statistics(set, g, a->shift, a->scale, fault);
    for (int64_t k = 0; k < a->n && !err; k++) {
      a->shift[k] = (a->shift[k] - set->affine.shift[0]) * set->affine.scale[0];
      a->scale[k] *= fabs(set->affine.scale[0]);
    }
  } else {
    err = statistics(set, g, a->shift, a->scale, fault);
  }
  for (int64_t k = 0; k < a->n && !err; k++) {
    if (!isfinite(a->shift[k]) || !isfinite(a->scale[k]))
      err = fault_set(fault, ERR_DATA,
                      "normalize: %s holds values that are not finite, or whose "
                      "variance is not (feature group %lld)",
                      set->name, (long long)(k + 1));
    /* A constant feature has deviation 0 up to rounding. */
    bool constant = !(a->scale[k] > 1e-12 * fabs(a->shift[k]));
    a->scale[k] = constant ? 1 : 1 / a->scale[k];
  }
  if (!err) return &t->transform;
  object_release(t);
  return NULL;
}

Transform *transform_normalize(Dataset *set, Per per, Fault *fault) {
  if (dataset_need_rows(set, "normalize", fault)) return NULL;
  if (dataset_transformable(set, fault)) return NULL;
  Dataset *complete = dataset_complete(set, set, fault);
  Transform *t = complete ? normalize_complete(complete, per, fault) : NULL;
  dataset_release(complete);
  return t;
}
