/* choose.c: rows of a data set chosen by their classes or in turn: folds, balanced
 * classes, some classes, few labels. All are views: x is never copied. */
#include "data/dataset.h"
#include "data/sources.h"
#include <stdlib.h>
#include <string.h>

/* -- rows with other targets ------------------------------------------------------- */

Err dataset_share_rows(const Rows *rows, Rows *out, Fault *fault) {
  *out = (Rows){.x = tensor_retain(rows->x), .n_more = rows->n_more,
                .missing = rows->missing, .scale = rows->scale,
                .vocabulary = vocabulary_retain(rows->vocabulary)};
  for (int i = 0; i < rows->n_more; i++) out->more[i] = tensor_retain(rows->more[i]);
  if (rows->weight) out->weight = tensor_retain(rows->weight);
  if (rows->mask) out->mask = tensor_retain(rows->mask);
  return names_copy(&out->feature_names, &rows->feature_names, fault);
}

Dataset *dataset_over_rows(const Dataset *set, Rows *rows, int64_t *index, int64_t n,
                           Fault *fault) {
  Source *source = source_of_rows(rows, set->source->memory, fault);
  Dataset *out = source ? dataset_view(set, index, n, NULL, fault) : NULL;
  if (!source) free(index);
  if (out) {
    object_release(out->source);
    out->source = object_retain(source);
    out->part = 0;
    out->rows = source_rows(source, 0, fault);
    must(out->rows);
  }
  if (source) object_release(source);
  return out;
}

/* The same rows without targets. */
static Dataset *without_targets(const Dataset *set, Fault *fault) {
  Rows rows;
  bool ok = !dataset_share_rows(set->rows, &rows, fault);
  int64_t *index = ok ? dataset_copy_index(set, &ok, fault) : NULL;
  if (ok) return dataset_over_rows(set, &rows, index, set->n, fault);
  rows_deinit(&rows);
  return NULL;
}

/* One share for each label: 1 at its class, in a row of none nowhere. */
static Tensor *label_shares(const Dataset *set, Fault *fault) {
  const Tensor *y = set->rows->y;
  int64_t n_classes = set->rows->n_classes;
  Shape shape = y->a.shape;
  if (shape.rank == MAX_RANK) {
    fault_set(fault, ERR_SHAPE, "one_hot: labels of %d axes, allowed: at most %d",
              MAX_RANK, MAX_RANK - 1);
    return NULL;
  }
  shape.dim[shape.rank++] = n_classes;
  Tensor *out = source_zeros(set->source->memory, DT_REAL, &shape, fault);
  for (int64_t i = 0; out && i < tensor_count(y); i++) {
    int32_t label = ((const int32_t *)y->a.data)[i];
    if (label > 0) tensor_reals(out)[i * n_classes + label - 1] = 1;
  }
  return out;
}

Dataset *dataset_one_hot(Dataset *set, Fault *fault) {
  if (dataset_load(set, fault)) return NULL;
  const Tensor *y = set->rows->y;
  if (!y || (y->a.dtype != DT_REAL && !set->rows->n_classes)) {
    fault_set(fault, ERR_VALUE, "one_hot: the targets of %s are no labels%s", set->name,
              y ? "; integers that are something else: y:cast \"real\"" : "");
    return NULL;
  }
  if (!set->rows->n_classes) return dataset_retain(set);
  Rows rows;
  bool ok = !dataset_share_rows(set->rows, &rows, fault);
  if (ok) rows.y = label_shares(set, fault);
  int64_t *index = ok && rows.y ? dataset_copy_index(set, &ok, fault) : NULL;
  if (ok && rows.y) return dataset_over_rows(set, &rows, index, set->n, fault);
  rows_deinit(&rows);
  return NULL;
}

Err dataset_labels(Dataset *set, int64_t n, Stream stream, Dataset **labelled,
                   Dataset **rest, Fault *fault) {
  *labelled = *rest = NULL;
  Err err = dataset_need_rows(set, "labels", fault);
  if (!err) err = dataset_need_labels(set, "labels", fault);
  if (!err && (n < 1 || n >= set->n))
    err = fault_set(fault, ERR_VALUE, "labels: got %lld rows, allowed: 1 to %lld (%s)",
                    (long long)n, (long long)set->n - 1, set->name);
  SplitOptions options = {.n_first = n, .shuffle = true, .stratify = true,
                          .stream = stream};
  Dataset *others = NULL;
  if (!err) err = dataset_split(set, &options, labelled, &others, fault);
  if (err) return err;
  *rest = without_targets(others, fault);
  dataset_release(others);
  if (*rest) return ERR_OK;
  dataset_release(*labelled);
  *labelled = NULL;
  return fault->code;
}

/* -- some classes ------------------------------------------------------------------ */

/* Place in the list of each class, from 1; 0: it is not there. */
static Err places_of(const Dataset *set, const int64_t *classes, int n, int64_t *place,
                     Fault *fault) {
  for (int k = 0; k < n; k++) {
    if (classes[k] < 1 || classes[k] > set->rows->n_classes)
      return fault_set(fault, ERR_VALUE,
                       "only: got class %lld, allowed: 1 to %lld "
                       "(%s)",
                       (long long)classes[k], (long long)set->rows->n_classes,
                       set->name);
    if (place[classes[k] - 1])
      return fault_set(fault, ERR_VALUE, "only: class %lld is there twice",
                       (long long)classes[k]);
    place[classes[k] - 1] = k + 1;
  }
  return ERR_OK;
}

/* Labels by the places of their classes; 0 in the rows of others, which no view of
 * these shows. */
static Err relabel(const Dataset *set, const int64_t *classes, int n,
                   const int64_t *place, Rows *out, Fault *fault) {
  const Tensor *y = set->rows->y;
  Err err = dataset_share_rows(set->rows, out, fault);
  out->y = err ? NULL : tensor_new(set->source->memory, DT_INT32, &y->a.shape, fault);
  if (!out->y) return fault->code;
  out->n_classes = n;
  for (int64_t i = 0; i < tensor_count(y); i++) {
    int32_t label = ((const int32_t *)y->a.data)[i];
    ((int32_t *)out->y->a.data)[i] = label > 0 ? (int32_t)place[label - 1] : 0;
  }
  for (int k = 0; k < n && !err; k++) {
    const char *name = dataset_class_name(set, classes[k]);
    if (name) err = names_add(&out->class_names, name, strlen(name), fault);
  }
  return err;
}

static Dataset *only_rows(const Dataset *set, const int64_t *classes, int n,
                          const int64_t *place, bool renumber, Fault *fault) {
  int64_t *index = dataset_new_index(set->n, fault), n_rows = 0;
  if (!index) return NULL;
  for (int64_t i = 0; i < set->n; i++)
    if (place[dataset_class(set, i)]) index[n_rows++] = dataset_row(set, i);
  if (!renumber) return dataset_view(set, index, n_rows, NULL, fault);
  Rows rows;
  if (!relabel(set, classes, n, place, &rows, fault))
    return dataset_over_rows(set, &rows, index, n_rows, fault);
  rows_deinit(&rows);
  free(index);
  return NULL;
}

Dataset *dataset_only(Dataset *set, const int64_t *classes, int n, bool renumber,
                      Fault *fault) {
  if (dataset_need_rows(set, "only", fault) || dataset_need_labels(set, "only", fault))
    return NULL;
  int64_t *place = calloc((size_t)set->rows->n_classes, sizeof *place);
  if (!place) {
    fault_memory(fault, (size_t)set->rows->n_classes * sizeof *place);
    return NULL;
  }
  Dataset *out = NULL;
  if (!places_of(set, classes, n, place, fault))
    out = only_rows(set, classes, n, place, renumber, fault);
  free(place);
  return out;
}

/* -- balance ----------------------------------------------------------------------- */

/* Rows of each class; ERR_DATA where there is none of one. */
static Err count_classes(const Dataset *set, int64_t *count, Fault *fault) {
  for (int64_t i = 0; i < set->n; i++) count[dataset_class(set, i)]++;
  for (int64_t c = 0; c < set->rows->n_classes; c++)
    if (!count[c])
      return fault_set(fault, ERR_DATA,
                       "balance: %s has no rows of class %lld; set:only chooses "
                       "classes that are there",
                       set->name, (long long)c + 1);
  return ERR_OK;
}

/* How often each row is taken, so that every class has `each` rows: all alike often,
 * then once more the first ones in `order`. */
static void share_turns(const Dataset *set, const int64_t *order, int64_t each,
                        const int64_t *count, int64_t *extra, int64_t *turns) {
  for (int64_t c = 0; c < set->rows->n_classes; c++) extra[c] = each % count[c];
  for (int64_t i = 0; i < set->n; i++) {
    int64_t c = dataset_class(set, order[i]);
    turns[order[i]] = each / count[c] + (extra[c]-- > 0);
  }
}

/* In each turn the rows, in their order, whose turns are not over; `left` has room for
 * them. */
static Dataset *take_turns(const Dataset *set, const int64_t *turns, int64_t *left,
                           int64_t n, Fault *fault) {
  int64_t *index = dataset_new_index(n, fault), at = 0, n_left = set->n;
  if (!index) return NULL;
  for (int64_t i = 0; i < n_left; i++) left[i] = i;
  for (int64_t turn = 0; at < n; turn++) {
    int64_t n_now = n_left;
    n_left = 0;
    for (int64_t k = 0; k < n_now; k++) {
      int64_t i = left[k];
      if (turns[i] <= turn) continue;
      index[at++] = dataset_row(set, i);
      left[n_left++] = i;
    }
  }
  return dataset_view(set, index, n, NULL, fault);
}

Dataset *dataset_balance(Dataset *set, bool oversample, Stream stream, Fault *fault) {
  if (dataset_need_rows(set, "balance", fault) ||
      dataset_need_labels(set, "balance", fault))
    return NULL;
  int64_t n = set->n, n_classes = set->rows->n_classes;
  int64_t *count = calloc(2 * (size_t)(n + n_classes), sizeof *count);
  if (!count) {
    fault_memory(fault, 2 * (size_t)(n + n_classes) * sizeof *count);
    return NULL;
  }
  int64_t *extra = count + n_classes, *order = extra + n_classes, *turns = order + n;
  Dataset *out = NULL;
  if (!count_classes(set, count, fault)) {
    int64_t each = count[0];
    for (int64_t c = 1; c < n_classes; c++)
      if (oversample ? count[c] > each : count[c] < each) each = count[c];
    philox_shuffle(order, n, stream);
    share_turns(set, order, each, count, extra, turns);
    out = take_turns(set, turns, order, each * n_classes, fault);
  }
  free(count);
  return out;
}

/* -- folds ------------------------------------------------------------------------- */

/* The order sorted by class, equal ones as they were. */
static Err sort_by_class(const Dataset *set, int64_t *order, Fault *fault) {
  Err err = dataset_need_labels(set, "k_fold: stratify", fault);
  if (err) return err;
  int64_t n_classes = set->rows->n_classes;
  int64_t *sorted = calloc((size_t)(set->n + n_classes + 1), sizeof *sorted);
  if (!sorted) return fault_memory(fault, (size_t)set->n * sizeof *sorted);
  int64_t *first = sorted + set->n; /* of each class in the sorted order */
  for (int64_t i = 0; i < set->n; i++) first[dataset_class(set, i) + 1]++;
  for (int64_t c = 1; c < n_classes; c++) first[c] += first[c - 1];
  for (int64_t i = 0; i < set->n; i++)
    sorted[first[dataset_class(set, order[i])]++] = order[i];
  memcpy(order, sorted, (size_t)set->n * sizeof *order);
  free(sorted);
  return ERR_OK;
}

/* The fold of each row. Without classes a fold is a run of the order; with them its
 * rows are dealt out in turn, class after class. */
static Err fold_rows(const Dataset *set, const FoldOptions *o, int64_t *order,
                     int64_t *fold, Fault *fault) {
  for (int64_t i = 0; i < set->n; i++) order[i] = i;
  if (o->shuffle) philox_shuffle(order, set->n, o->stream);
  Err err = o->stratify ? sort_by_class(set, order, fault) : ERR_OK;
  int64_t base = set->n / o->k, longer = set->n % o->k * (base + 1);
  for (int64_t i = 0; i < set->n && !err; i++)
    fold[order[i]] = o->stratify  ? i % o->k
                     : i < longer ? i / (base + 1)
                                  : set->n % o->k + (i - longer) / base;
  return err;
}

static Err make_folds(const Dataset *set, const FoldOptions *o, const int64_t *fold,
                      Dataset **train, Dataset **validation, Fault *fault) {
  bool *in_train = malloc((size_t)set->n * sizeof *in_train);
  if (!in_train) return fault_memory(fault, (size_t)set->n * sizeof *in_train);
  Err err = ERR_OK;
  for (int64_t f = 0; f < o->k && !err; f++) {
    for (int64_t i = 0; i < set->n; i++) in_train[i] = fold[i] != f;
    err = dataset_part(set, in_train, &train[f], &validation[f], fault);
  }
  free(in_train);
  return err;
}

Err dataset_k_fold(Dataset *set, const FoldOptions *o, Dataset **train,
                   Dataset **validation, Fault *fault) {
  Err err = dataset_need_rows(set, "k_fold", fault);
  if (err) return err;
  if (o->k < 2 || o->k > set->n)
    return fault_set(fault, ERR_VALUE,
                     "k_fold: got %lld folds, allowed: 2 to %lld, "
                     "the rows of %s",
                     (long long)o->k, (long long)set->n, set->name);
  int64_t *order = dataset_new_index(2 * set->n, fault);
  if (!order) return fault->code;
  err = fold_rows(set, o, order, order + set->n, fault);
  if (!err) err = make_folds(set, o, order + set->n, train, validation, fault);
  free(order);
  return err;
}
