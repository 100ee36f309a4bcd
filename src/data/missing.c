/* missing.c: means in the place of missing values, marked by NaN in the rows of a
 * source. */
#include "data/dataset.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

Means *means_retain(Means *means) {
  if (means) means->refs++;
  return means;
}

void means_release(Means *means) {
  if (means && --means->refs == 0) free(means);
}

bool dataset_lacks(const Dataset *set) {
  return set->rows && set->rows->missing && !set->means;
}

int64_t *dataset_copy_index(const Dataset *set, bool *ok, Fault *fault) {
  *ok = true;
  if (!set->index) return NULL;
  size_t n_bytes = (size_t)(set->n > 0 ? set->n : 1) * sizeof *set->index;
  int64_t *index = malloc(n_bytes);
  *ok = index != NULL;
  if (index) memcpy(index, set->index, (size_t)set->n * sizeof *index);
  else fault_memory(fault, n_bytes);
  return index;
}

Dataset *dataset_with_means(const Dataset *set, Means *means, Fault *fault) {
  bool ok;
  int64_t *index = dataset_copy_index(set, &ok, fault);
  Dataset *out = ok ? dataset_view(set, index, set->n, NULL, fault) : NULL;
  if (!out) return NULL;
  means_release(out->means);
  out->means = means_retain(means);
  return out;
}

/* -- means ------------------------------------------------------------------------- */

static Means *means_new(int64_t n, Fault *fault) {
  size_t n_bytes = sizeof(Means) + (size_t)n * sizeof(double);
  Means *means = calloc(1, n_bytes);
  if (!means) {
    fault_memory(fault, n_bytes);
    return NULL;
  }
  means->refs = 1;
  means->n = n;
  return means;
}

static Err refuse_mean(const Dataset *set, int64_t feature, const char *why,
                       Fault *fault) {
  const char *name = dataset_feature_name(set, feature + 1);
  return fault_set(fault, ERR_DATA,
                   "feature %lld%s%s%s of %s has %s the %lld rows whose means fill in "
                   "what is missing",
                   (long long)(feature + 1), name ? " (\"" : "", name ? name : "",
                   name ? "\")" : "", set->name, why, (long long)set->n);
}

/* Sums of the values that are there into means->v, their numbers into `counts`. */
static void add_rows(const Dataset *set, Means *means, int64_t *counts) {
  for (int64_t i = 0; i < set->n; i++) {
    int64_t row = dataset_row(set, i);
    for (int64_t j = 0; j < means->n; j++) {
      double x = dataset_raw(set, row, j);
      if (isnan(x)) continue;
      means->v[j] += x;
      counts[j]++;
    }
  }
}

/* Over the rows of the view, each feature for itself. */
static Means *means_of(const Dataset *set, Fault *fault) {
  size_t n_bytes = (size_t)set->n_features * sizeof(int64_t);
  int64_t *counts = calloc((size_t)set->n_features, sizeof *counts);
  if (!counts) {
    fault_memory(fault, n_bytes);
    return NULL;
  }
  Means *means = means_new(set->n_features, fault);
  if (!means) {
    free(counts);
    return NULL;
  }
  Err err = ERR_OK;
  add_rows(set, means, counts);
  for (int64_t j = 0; j < set->n_features && !err; j++) {
    if (counts[j] == 0) err = refuse_mean(set, j, "no value in any of", fault);
    else means->v[j] /= (double)counts[j];
    if (!err && !isfinite(means->v[j]))
      err = refuse_mean(set, j, "no finite sum over", fault);
  }
  free(counts);
  if (!err) return means;
  means_release(means);
  return NULL;
}

Dataset *dataset_complete(Dataset *set, Dataset *like, Fault *fault) {
  if (dataset_load(set, fault) || dataset_load(like, fault)) return NULL;
  if (!set->rows->missing || (set == like && set->means)) return dataset_retain(set);
  if (!shape_equal(&set->features, &like->features)) {
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    fault_set(fault, ERR_SHAPE,
              "missing values: %s has features %s, %s, whose means fill them in, has "
              "%s",
              set->name, shape_text(a, &set->features), like->name,
              shape_text(b, &like->features));
    return NULL;
  }
  Means *means = like->means ? means_retain(like->means) : means_of(like, fault);
  Dataset *out = means ? dataset_with_means(set, means, fault) : NULL;
  means_release(means);
  return out;
}
