/* dataset.c: views of a source: rows chosen, split, shuffled. See dataset.h for the
 * layout. Row numbers of a view are looked up once, when a view of it is made: index
 * holds rows of the source, never rows of another view. */
#include "data/dataset.h"
#include "base/hash.h"
#include "base/ints.h"
#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- life -------------------------------------------------------------------------- */

Dataset *dataset_open(Source *source, int part, Fault *fault) {
  must(part >= 0 && part < source_parts(source));
  const char *part_name = source_part(source, part);
  Dataset *set = calloc(1, sizeof *set);
  Text name = {0};
  text_addf(&name, "%s%s%s", source->object.kind->name, *part_name ? "." : "",
            part_name);
  if (!set || name.failed) {
    free(set);
    text_deinit(&name);
    fault_memory(fault, sizeof *set);
    return NULL;
  }
  set->refs = 1;
  set->source = object_retain(source);
  set->part = part;
  set->name = name.data;
  return set;
}

Dataset *dataset_retain(Dataset *set) {
  set->refs++;
  return set;
}

void dataset_release(Dataset *set) {
  if (!set || --set->refs > 0) return;
  object_release(set->source);
  affine_deinit(&set->affine);
  means_release(set->means);
  chain_release(set->chain);
  mixer_release(set->mixer);
  masker_release(set->masker);
  free(set->shift);
  free(set->index);
  free(set->name);
  free(set);
}

static void *retain_thing(void *set) { return dataset_retain(set); }
static void release_thing(void *set) { dataset_release(set); }

const RefType dataset_ref_type = {"data set", retain_thing, release_thing};

const char *dataset_name(const Dataset *set) { return set->name; }

Source *dataset_source(const Dataset *set) { return set->source; }

/* All rows as the source gives them, read or not? */
static bool is_whole(const Dataset *set) {
  const Affine *a = &set->affine;
  if (set->index || set->means || set->chain || set->mixer || set->masker ||
      set->n_buckets)
    return false;
  return !a->n || (a->n == 1 && a->shift[0] == 0 && a->scale[0] == set->rows->scale);
}

static uint64_t hash_transform(uint64_t hash, const Transform *transform) {
  Text text = {0};
  transform_add_text(&text, transform);
  hash = hash_bytes(hash, text.data, text.n_bytes);
  text_deinit(&text);
  return hash;
}

static uint64_t hash_masker(uint64_t hash, const Masker *m) {
  hash = hash_bytes(hash, &m->share, sizeof m->share);
  hash = hash_bytes(hash, &m->hidden, sizeof m->hidden);
  hash = hash_bytes(hash, &m->other, sizeof m->other);
  return hash_word(hash_word(hash, (uint64_t)m->n_tokens), m->key);
}

uint64_t dataset_view_hash(const Dataset *set) {
  uint64_t hash = HASH_BEGIN;
  size_t n = (size_t)set->affine.n;
  if (is_whole(set)) return 0;
  if (set->index)
    hash = hash_bytes(hash, set->index, (size_t)set->n * sizeof *set->index);
  if (set->means)
    hash = hash_bytes(hash, set->means->v,
                      (size_t)set->means->n * sizeof *set->means->v);
  if (n) hash = hash_bytes(hash, set->affine.shift, n * sizeof *set->affine.shift);
  if (n) hash = hash_bytes(hash, set->affine.scale, n * sizeof *set->affine.scale);
  for (int i = 0; set->chain && i < set->chain->n; i++)
    hash = hash_transform(hash, set->chain->stage[i].transform);
  if (set->n_buckets) hash = hash_word(hash, (uint64_t)set->n_buckets);
  if (set->mixer) hash = hash_transform(hash, set->mixer->transform);
  return set->masker ? hash_masker(hash, set->masker) : hash;
}

/* Derives the pairs that batches use from the affine. */
static Err set_affine(Dataset *set, const Affine *affine, Fault *fault) {
  Err err = affine_init(&set->affine, affine->per, affine->n, fault);
  if (err) return err;
  size_t n = (size_t)affine->n;
  memcpy(set->affine.shift, affine->shift, n * sizeof *affine->shift);
  memcpy(set->affine.scale, affine->scale, n * sizeof *affine->scale);
  set->shift = malloc(2 * n * sizeof *set->shift);
  if (!set->shift) return fault_memory(fault, 2 * n * sizeof *set->shift);
  set->scale = set->shift + n;
  for (size_t i = 0; i < n; i++) {
    set->shift[i] = (real)affine->shift[i];
    set->scale[i] = (real)affine->scale[i];
  }
  return ERR_OK;
}

Err dataset_load(Dataset *set, Fault *fault) {
  if (set->rows) return ERR_OK;
  const Rows *rows = source_rows(set->source, set->part, fault);
  if (!rows) return fault->code;
  double shift = 0, scale = rows->scale;
  Err err = set_affine(set, &(Affine){PER_ALL, 1, &shift, &scale}, fault);
  if (err) {
    affine_deinit(&set->affine);
    return err;
  }
  const Shape *x = &rows->x->a.shape;
  set->features.rank = x->rank - 1;
  for (int i = 1; i < x->rank; i++) set->features.dim[i - 1] = x->dim[i];
  set->n_features = shape_count(&set->features);
  set->given = set->features;
  set->n = x->dim[0];
  set->rows = rows;
  return ERR_OK;
}

Dataset *dataset_view(const Dataset *set, int64_t *index, int64_t n,
                      const Affine *affine, Fault *fault) {
  Dataset *view = calloc(1, sizeof *view);
  char *name = text_copy(set->name);
  if (!view || !name) {
    free(view);
    free(name);
    free(index);
    fault_memory(fault, sizeof *view);
    return NULL;
  }
  *view = *set;
  view->refs = 1;
  view->source = object_retain(set->source);
  view->name = name;
  view->index = index;
  view->n = n;
  view->means = means_retain(set->means);
  view->chain = chain_retain(set->chain);
  view->mixer = mixer_retain(set->mixer);
  view->masker = masker_retain(set->masker);
  view->affine = (Affine){0};
  view->shift = view->scale = NULL;
  if (!set_affine(view, affine ? affine : &set->affine, fault)) return view;
  dataset_release(view);
  return NULL;
}

bool dataset_loaded(const Dataset *set) { return set->rows != NULL; }

/* -- facts ------------------------------------------------------------------------- */

Err dataset_count(Dataset *set, int64_t *n, Fault *fault) {
  Err err = dataset_load(set, fault);
  *n = err ? 0 : set->n;
  return err;
}

int64_t dataset_n(const Dataset *set) {
  must(set->rows);
  return set->n;
}

bool dataset_has_y(const Dataset *set) {
  must(set->rows);
  return set->rows->y != NULL;
}

/* Row number `row` of the view and those after it that lie behind it in memory; data
 * NULL where there is no tensor. */
static Array rows_from(const Dataset *set, const Tensor *of, int64_t row) {
  must(row >= 0 && row < set->n);
  if (!of) return (Array){0};
  Array a = of->a;
  size_t n_bytes = (size_t)shape_stride(&a.shape, 0) * dtype_bytes(a.dtype);
  int64_t first = dataset_row(set, row), n = 1;
  while (row + n < set->n && dataset_row(set, row + n) == first + n) n++;
  a.data = (char *)a.data + (size_t)first * n_bytes;
  a.shape.dim[0] = n;
  return a;
}

Array dataset_targets(const Dataset *set, int64_t row) {
  must(dataset_has_y(set));
  return rows_from(set, set->rows->y, row);
}

Array dataset_weights(const Dataset *set, int64_t row) {
  must(set->rows);
  return rows_from(set, set->rows->weight, row);
}

Array dataset_mask(const Dataset *set, int64_t row) {
  must(set->rows);
  return rows_from(set, set->rows->mask, row);
}

int dataset_inputs(const Dataset *set) {
  must(set->rows);
  return 1 + set->rows->n_more;
}

Shape dataset_input(const Dataset *set, int i) {
  must(set->rows && i >= 0 && i < dataset_inputs(set));
  if (i == 0) return set->given;
  const Shape *x = &set->rows->more[i - 1]->a.shape;
  Shape row = {.rank = x->rank - 1};
  memcpy(row.dim, x->dim + 1, (size_t)row.rank * sizeof *row.dim);
  return row;
}

bool dataset_has_labels(const Dataset *set) {
  return dataset_has_y(set) && set->rows->n_classes > 0;
}

int64_t dataset_classes(const Dataset *set) {
  return dataset_has_labels(set) ? set->rows->n_classes : 0;
}

const char *dataset_class_name(const Dataset *set, int64_t label) {
  const Names *names = &set->rows->class_names;
  if (label < 1 || label > dataset_classes(set) || label > names->n) return NULL;
  return names->v[label - 1];
}

int64_t dataset_class_of(const Dataset *set, const char *name, Fault *fault) {
  enum { NAMES = 256 };
  const char *names[NAMES], *class;
  int n = 0;
  for (int64_t label = 1; (class = dataset_class_name(set, label)); label++) {
    if (strcmp(class, name) == 0) return label;
    if (n < NAMES) names[n++] = class;
  }
  const char *nearest = text_nearest(name, names, n);
  fault_set(fault, ERR_VALUE,
            "%s has no class \"%s\"%s%s%s; allowed: names or labels of its classes",
            dataset_name(set), name, nearest ? " (did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"?)" : "");
  return 0;
}

const char *dataset_feature_name(const Dataset *set, int64_t feature) {
  must(set->rows);
  const Names *names = &set->rows->feature_names;
  return feature < 1 || feature > names->n ? NULL : names->v[feature - 1];
}

Vocabulary *dataset_vocabulary(const Dataset *set) {
  must(set->rows);
  return set->rows->vocabulary;
}

static Err check_tokens(const Dataset *set, const Dataset *like, Fault *fault) {
  const Vocabulary *own = set->rows->vocabulary, *other = like->rows->vocabulary;
  int64_t n = own && other ? least(own->tokens.n, other->tokens.n) : 0;
  for (int64_t i = 0; i < n; i++)
    if (strcmp(own->tokens.v[i], other->tokens.v[i]) != 0)
      return fault_set(fault, ERR_DATA,
                       "token %lld is \"%s\" in %s, \"%s\" in %s; vocabulary = "
                       "first.vocabulary gives a text the numbers of the first",
                       (long long)i + 1, own->tokens.v[i], set->name,
                       other->tokens.v[i], like->name);
  return ERR_OK;
}

/* Its place, from 0; -1: it is not there. */
static int64_t place_of(const Names *names, const char *name) {
  int64_t i = 0;
  while (i < names->n && strcmp(names->v[i], name) != 0) i++;
  return i < names->n ? i : -1;
}

Err dataset_check_numbers(const Dataset *set, const Dataset *like, Fault *fault) {
  const Names *own = &set->rows->class_names, *other = &like->rows->class_names;
  Err err = check_tokens(set, like, fault);
  for (int64_t i = 0; i < own->n && !err; i++) {
    if (i < other->n && strcmp(own->v[i], other->v[i]) == 0) continue;
    int64_t at = place_of(other, own->v[i]);
    if (at >= 0)
      err = fault_set(fault, ERR_DATA,
                      "class \"%s\" is number %lld in %s, %lld in %s: other classes "
                      "occur there; parts of one set, as split gives them, number "
                      "alike",
                      own->v[i], (long long)i + 1, set->name, (long long)at + 1,
                      like->name);
  }
  return err;
}

Err dataset_need_rows(Dataset *set, const char *what, Fault *fault) {
  Err err = dataset_load(set, fault);
  if (err || set->n > 0) return err;
  return fault_set(fault, ERR_DATA, "data set is empty: %s (%s)", set->name, what);
}

Err dataset_need_labels(const Dataset *set, const char *what, Fault *fault) {
  if (dataset_has_labels(set) && set->rows->y->a.shape.rank == 1) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "%s needs labels, one for each row; %s has none",
                   what, set->name);
}

/* -- rows chosen ------------------------------------------------------------------- */

int64_t *dataset_new_index(int64_t n, Fault *fault) {
  int64_t *index = malloc((size_t)(n > 0 ? n : 1) * sizeof *index);
  if (!index) fault_memory(fault, (size_t)n * sizeof *index);
  return index;
}

Dataset *dataset_subset(Dataset *set, const int64_t *rows, int64_t n, Fault *fault) {
  if (dataset_load(set, fault)) return NULL;
  for (int64_t i = 0; i < n; i++)
    if (rows[i] < 0 || rows[i] >= set->n) {
      fault_set(fault, ERR_VALUE, "row %lld of %s, allowed: 1 to %lld",
                (long long)(rows[i] + 1), set->name, (long long)set->n);
      return NULL;
    }
  int64_t *index = dataset_new_index(n, fault);
  if (!index) return NULL;
  for (int64_t i = 0; i < n; i++) index[i] = dataset_row(set, rows[i]);
  return dataset_view(set, index, n, NULL, fault);
}

Dataset *dataset_take(Dataset *set, int64_t n, Fault *fault) {
  if (dataset_need_rows(set, "take", fault)) return NULL;
  if (n < 1 || n > set->n) {
    fault_set(fault, ERR_VALUE, "take: got %lld rows, allowed: 1 to %lld (%s)",
              (long long)n, (long long)set->n, set->name);
    return NULL;
  }
  int64_t *index = dataset_new_index(n, fault);
  if (!index) return NULL;
  for (int64_t i = 0; i < n; i++) index[i] = dataset_row(set, i);
  return dataset_view(set, index, n, NULL, fault);
}

Dataset *dataset_buckets(Dataset *set, int64_t n, Fault *fault) {
  if (dataset_need_rows(set, "buckets", fault)) return NULL;
  if (!set->rows->mask || set->rows->n_more) {
    fault_set(fault, ERR_VALUE,
              "buckets: %s has %s; allowed: sequences of several lengths, as "
              "data.lines "
              "gives them",
              set->name, set->rows->mask ? "several inputs" : "no mask");
    return NULL;
  }
  bool ok;
  int64_t *index = dataset_copy_index(set, &ok, fault);
  Dataset *out = ok ? dataset_view(set, index, set->n, NULL, fault) : NULL;
  if (out) out->n_buckets = n;
  return out;
}

Dataset *dataset_shuffle(Dataset *set, Stream stream, Fault *fault) {
  if (dataset_need_rows(set, "shuffle", fault)) return NULL;
  int64_t *index = dataset_new_index(set->n, fault);
  if (!index) return NULL;
  philox_shuffle(index, set->n, stream);
  for (int64_t i = 0; i < set->n; i++) index[i] = dataset_row(set, index[i]);
  return dataset_view(set, index, set->n, NULL, fault);
}

/* -- split ------------------------------------------------------------------------- */

static Err split_size(const Dataset *set, const SplitOptions *o, int64_t *n_first,
                      Fault *fault) {
  if (set->n < 2) return fault_set(fault, ERR_DATA, "split: %s has one row", set->name);
  if (o->n_first != 0) {
    *n_first = o->n_first;
    if (*n_first > 0 && *n_first < set->n) return ERR_OK;
    return fault_set(fault, ERR_VALUE, "split: got %lld rows, allowed: 1 to %lld (%s)",
                     (long long)*n_first, (long long)set->n - 1, set->name);
  }
  if (!(o->fraction > 0 && o->fraction < 1))
    return fault_set(fault, ERR_VALUE,
                     "split: got %g, allowed: a fraction between 0 and 1, or a number "
                     "of "
                     "rows",
                     o->fraction);
  int64_t n = (int64_t)floor(o->fraction * (double)set->n + 0.5);
  *n_first = n < 1 ? 1 : n > set->n - 1 ? set->n - 1 : n;
  return ERR_OK;
}

/* What rounding down took from a class. */
typedef struct Share {
  double remainder;
  int64_t class;
} Share;

/* The largest first, the first class of equals first. */
static int by_remainder(const void *a, const void *b) {
  const Share *x = a, *y = b;
  if (x->remainder != y->remainder) return x->remainder > y->remainder ? -1 : 1;
  return (x->class > y->class) - (x->class < y->class);
}

/* Rows of each class for the first part: n_first * n_c / n, rounded so that they sum to
 * n_first: the largest remainders are rounded up. `quota` holds n_c on entry. */
static Err share_out(int64_t *quota, int64_t n_classes, int64_t n_first, int64_t n,
                     Fault *fault) {
  Share *share = malloc((size_t)n_classes * sizeof *share);
  if (!share) return fault_memory(fault, (size_t)n_classes * sizeof *share);
  int64_t left = n_first;
  for (int64_t c = 0; c < n_classes; c++) {
    double exact = (double)n_first * (double)quota[c] / (double)n;
    quota[c] = (int64_t)exact;
    share[c] = (Share){exact - (double)quota[c], c};
    left -= quota[c];
  }
  qsort(share, (size_t)n_classes, sizeof *share, by_remainder);
  for (int64_t i = 0; i < left; i++) quota[share[i].class]++;
  free(share);
  return ERR_OK;
}

/* Marks the rows of the first part: in the order given, up to each class's quota. */
static Err mark_stratified(const Dataset *set, const int64_t *order, int64_t n_first,
                           bool *in_first, Fault *fault) {
  Err err = dataset_need_labels(set, "split: stratify", fault);
  if (err) return err;
  int64_t n_classes = set->rows->n_classes;
  int64_t *quota = calloc((size_t)n_classes, sizeof *quota);
  if (!quota) return fault_memory(fault, (size_t)n_classes * sizeof *quota);
  for (int64_t i = 0; i < set->n; i++) quota[dataset_class(set, i)]++;
  err = share_out(quota, n_classes, n_first, set->n, fault);
  for (int64_t i = 0; i < set->n && !err; i++)
    if (quota[dataset_class(set, order[i])]-- > 0) in_first[order[i]] = true;
  free(quota);
  return err;
}

/* The view of those rows that are (not) marked, in order. */
static Dataset *marked_rows(const Dataset *set, const bool *in_first, bool wanted,
                            int64_t n, Fault *fault) {
  int64_t *index = dataset_new_index(n, fault);
  if (!index) return NULL;
  int64_t at = 0;
  for (int64_t i = 0; i < set->n; i++)
    if (in_first[i] == wanted) index[at++] = dataset_row(set, i);
  must(at == n);
  return dataset_view(set, index, n, NULL, fault);
}

/* The first part is the one to train on: it decides what fills the gaps of both. */
static Err complete_parts(Dataset **first, Dataset **second, Fault *fault) {
  Dataset *parts[] = {NULL, NULL};
  parts[0] = dataset_complete(*first, *first, fault);
  if (parts[0]) parts[1] = dataset_complete(*second, parts[0], fault);
  if (!parts[1]) {
    dataset_release(parts[0]);
    return fault->code;
  }
  dataset_release(*first);
  dataset_release(*second);
  *first = parts[0];
  *second = parts[1];
  return ERR_OK;
}

Err dataset_part(const Dataset *set, const bool *in_first, Dataset **first,
                 Dataset **second, Fault *fault) {
  int64_t n_first = 0;
  for (int64_t i = 0; i < set->n; i++) n_first += in_first[i];
  *second = NULL;
  *first = marked_rows(set, in_first, true, n_first, fault);
  if (*first) *second = marked_rows(set, in_first, false, set->n - n_first, fault);
  Err err = *second ? complete_parts(first, second, fault) : fault->code;
  if (!err) return ERR_OK;
  dataset_release(*first);
  dataset_release(*second);
  *first = *second = NULL;
  return err;
}

Err dataset_split(Dataset *set, const SplitOptions *options, Dataset **first,
                  Dataset **second, Fault *fault) {
  *first = *second = NULL;
  int64_t n_first = 0;
  Err err = dataset_need_rows(set, "split", fault);
  if (!err) err = split_size(set, options, &n_first, fault);
  if (err) return err;
  must(n_first <= set->n);
  bool *in_first = calloc((size_t)set->n, sizeof *in_first);
  int64_t *order = dataset_new_index(set->n, fault);
  if (!in_first || !order) err = fault_memory(fault, (size_t)set->n * sizeof *order);
  if (!err) {
    for (int64_t i = 0; i < set->n; i++) order[i] = i;
    if (options->shuffle) philox_shuffle(order, set->n, options->stream);
    if (options->stratify) err = mark_stratified(set, order, n_first, in_first, fault);
    else
      for (int64_t i = 0; i < n_first; i++) in_first[order[i]] = true;
  }
  if (!err) err = dataset_part(set, in_first, first, second, fault);
  free(in_first);
  free(order);
  return err;
}
