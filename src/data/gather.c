/* gather.c: rows of data sets copied into memory, as their batches have them: what
 * set:concat, set:cache and set:map give. */
#include "data/sources.h"
#include "data/dataset.h"
#include <stdlib.h>
#include <string.h>

Err batch_of_all(Batch *out, Dataset *set, const char *what, Fault *fault) {
  Batches batches = {0};
  bool more;
  Err err = dataset_need_rows(set, what, fault);
  BatchOptions options = {.batch_size = err ? 0 : set->n, .shuffle = SHUFFLE_NONE};
  if (!err) err = batches_open(&batches, set, &options, fault);
  if (!err) err = batches_next(&batches, out, &more, fault);
  batches_close(&batches);
  return err;
}

/* One set and all its rows, the caller's. */
typedef struct Portion {
  Dataset *set; /* borrowed */
  Batch batch;
} Portion;

Err dataset_settled(Dataset *set, Fault *fault) {
  Err err = dataset_load(set, fault);
  const Chain *chain = set->chain;
  if (err) return err;
  const Transform *drawing = set->mixer ? set->mixer->transform : NULL;
  for (int i = 0; chain && i < chain->n; i++)
    if (transform_kind(chain->stage[i].transform)->draws)
      drawing = chain->stage[i].transform;
  if (!drawing && !set->masker) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "%s goes through %s%s, which draws anew in each epoch and in a "
                   "copy of its rows would no more: transform the copy",
                   set->name, drawing ? "data." : "set:",
                   drawing ? drawing->object.kind->name : "mask_tokens");
}

static Err portion_read(Portion *p, Fault *fault) {
  Err err = dataset_need_rows(p->set, "concat", fault);
  if (!err) err = dataset_settled(p->set, fault);
  return err ? err : batch_of_all(&p->batch, p->set, "concat", fault);
}

/* -- do they fit? ------------------------------------------------------------------ */

/* Rows of one shape and type; NULL, a tensor that is not there, is like NULL alone. */
static bool alike(const Tensor *a, const Tensor *b) {
  if (!a || !b) return a == b;
  Shape x = a->a.shape, y = b->a.shape;
  x.dim[0] = y.dim[0] = 0;
  return a->a.dtype == b->a.dtype && shape_equal(&x, &y);
}

static Err refuse(const Portion *a, const Portion *b, const char *what, Fault *fault) {
  return fault_set(fault, ERR_SHAPE, "concat: %s and %s differ in %s", a->set->name,
                   b->set->name, what);
}

static Err check_x(const Portion *a, const Portion *b, Fault *fault) {
  if (a->batch.n_x != b->batch.n_x) return refuse(a, b, "the number of inputs", fault);
  for (int i = 0; i < a->batch.n_x; i++)
    if (!alike(a->batch.x[i], b->batch.x[i])) {
      char x[SHAPE_TEXT], y[SHAPE_TEXT];
      Shape of = dataset_input(a->set, i), other = dataset_input(b->set, i);
      return fault_set(fault, ERR_SHAPE, "concat: %s has rows of features %s, %s of %s",
                       a->set->name, shape_text(x, &of), b->set->name,
                       shape_text(y, &other));
    }
  return ERR_OK;
}

/* Names by number, from 1; NULL: no more. */
typedef const char *NameOf(const Dataset *set, int64_t number);

/* Where both have names they are the same. `what`: "class". */
static Err check_names(const Portion *a, const Portion *b, const char *what,
                       NameOf *name_of, Fault *fault) {
  const char *name, *other;
  for (int64_t i = 1; (name = name_of(a->set, i)) && (other = name_of(b->set, i)); i++)
    if (strcmp(name, other) != 0)
      return fault_set(fault, ERR_DATA, "concat: %s %lld is \"%s\" in %s, \"%s\" in %s",
                       what, (long long)i, name, a->set->name, other, b->set->name);
  return ERR_OK;
}

static Err check_vocabulary(const Portion *a, const Portion *b, Fault *fault) {
  const Vocabulary *one = a->set->rows->vocabulary, *other = b->set->rows->vocabulary;
  if (!one || !other || vocabulary_hash(one) == vocabulary_hash(other)) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "concat: %s and %s number other tokens; vocabulary = "
                   "first.vocabulary gives the second the numbers of the first",
                   a->set->name, b->set->name);
}

static Err check_fit(const Portion *a, const Portion *b, Fault *fault) {
  Err err = check_x(a, b, fault);
  if (!err) err = check_vocabulary(a, b, fault);
  if (err) return err;
  if (!alike(a->batch.y, b->batch.y) ||
      dataset_has_labels(a->set) != dataset_has_labels(b->set))
    return refuse(a, b, "their targets", fault);
  if (a->batch.weight && b->batch.weight && !alike(a->batch.weight, b->batch.weight))
    return refuse(a, b, "the shape of their weights", fault);
  err = check_names(a, b, "class", dataset_class_name, fault);
  if (err || a->set->chain || b->set->chain) return err;
  return check_names(a, b, "feature", dataset_feature_name, fault);
}

/* -- one behind the other ---------------------------------------------------------- */

typedef Tensor *PartOf(const Portion *p, int i);
static Tensor *x_of(const Portion *p, int i) { return p->batch.x[i]; }
static Tensor *y_of(const Portion *p, int i) { return (void)i, p->batch.y; }
static Tensor *weight_of(const Portion *p, int i) { return (void)i, p->batch.weight; }
static Tensor *mask_of(const Portion *p, int i) { return (void)i, p->batch.mask; }

/* Tensor `i` of all portions; one that lacks it has ones there. NULL where all do, and
 * with a fault where memory lacks. */
static Tensor *join(const Portion *p, int n, PartOf *part, int i, MemoryCount *memory,
                    Fault *fault) {
  const Tensor *like = NULL;
  int64_t n_rows = 0;
  for (int k = 0; k < n; k++) {
    if (!like) like = part(&p[k], i);
    n_rows += batch_rows(&p[k].batch);
  }
  if (!like) return NULL;
  if (n == 1) return tensor_retain(part(p, i));
  Shape shape = like->a.shape;
  shape.dim[0] = n_rows;
  Tensor *out = tensor_new(memory, like->a.dtype, &shape, fault);
  int64_t at = 0, run = shape_stride(&shape, 0);
  size_t n_bytes = dtype_bytes(like->a.dtype);
  for (int k = 0; out && k < n; k++) {
    const Tensor *t = part(&p[k], i);
    int64_t count = batch_rows(&p[k].batch) * run;
    if (t)
      memcpy((char *)out->a.data + (size_t)at * n_bytes, t->a.data,
             (size_t)count * n_bytes);
    for (int64_t j = 0; !t && j < count; j++) array_set(&out->a, at + j, 1);
    at += count;
  }
  return out;
}

/* Classes and names: those of the set that has most. */
static Err join_names(const Portion *p, int n, Rows *out, Fault *fault) {
  const Dataset *most = p->set;
  for (int k = 1; k < n; k++)
    if (dataset_classes(p[k].set) > dataset_classes(most)) most = p[k].set;
  out->n_classes = dataset_classes(most);
  out->vocabulary = vocabulary_retain(p->set->rows->vocabulary);
  Err err = ERR_OK;
  const char *name;
  for (int64_t c = 1; !err && (name = dataset_class_name(most, c)); c++)
    err = names_add(&out->class_names, name, strlen(name), fault);
  for (int64_t i = 1;
       !err && !p->set->chain && (name = dataset_feature_name(p->set, i)); i++)
    err = names_add(&out->feature_names, name, strlen(name), fault);
  return err;
}

static Err join_all(const Portion *p, int n, Rows *out, Fault *fault) {
  MemoryCount *memory = p->set->source->memory;
  *out = (Rows){.scale = 1, .n_more = p->batch.n_x - 1};
  out->x = join(p, n, x_of, 0, memory, fault);
  for (int i = 0; i < out->n_more; i++)
    out->more[i] = join(p, n, x_of, i + 1, memory, fault);
  out->y = join(p, n, y_of, 0, memory, fault);
  out->weight = join(p, n, weight_of, 0, memory, fault);
  out->mask = join(p, n, mask_of, 0, memory, fault);
  return fault->code ? fault->code : join_names(p, n, out, fault);
}

/* The data set of a source, whose rows are there and which it takes over, in buckets
 * where `like` is, of which it is made; NULL where the source is NULL. */
static Dataset *open_made(Source *source, const Dataset *like, Fault *fault) {
  Dataset *out = source ? dataset_open(source, 0, fault) : NULL;
  if (source) object_release(source);
  if (!out) return NULL;
  out->n_buckets = like->n_buckets;
  if (!dataset_load(out, fault)) return out;
  dataset_release(out);
  return NULL;
}

Dataset *dataset_gather(Dataset *const *sets, int n, Fault *fault) {
  must(n > 0);
  Portion *p = calloc((size_t)n, sizeof *p);
  if (!p) {
    fault_memory(fault, (size_t)n * sizeof *p);
    return NULL;
  }
  Err err = ERR_OK;
  for (int k = 0; k < n && !err; k++) {
    p[k].set = sets[k];
    err = portion_read(&p[k], fault);
    if (!err && k > 0) err = check_fit(&p[0], &p[k], fault);
  }
  Rows rows = {0};
  if (!err) err = join_all(p, n, &rows, fault);
  Source *source = NULL;
  if (err) rows_deinit(&rows);
  else source = source_of_rows(&rows, sets[0]->source->memory, fault);
  for (int k = 0; k < n; k++) batch_deinit(&p[k].batch);
  free(p);
  return open_made(source, sets[0], fault);
}

/* Whole numbers are labels; the largest says how many classes there are. */
static Err use_targets(Rows *out, Tensor *y, MemoryCount *memory, Fault *fault) {
  names_deinit(&out->class_names);
  tensor_release(out->y);
  out->y = NULL;
  out->n_classes = 0;
  if (y->a.dtype != DT_REAL && y->a.shape.rank == 1)
    return labels_convert(y, 0, 1, memory, out, fault);
  out->y = tensor_retain(y);
  return ERR_OK;
}

/* Steps of texts count where there is a token. */
static Err mask_padding(Rows *out, MemoryCount *memory, Fault *fault) {
  const Shape *x = &out->x->a.shape;
  if (x->rank != 2) return ERR_OK;
  tensor_release(out->mask);
  out->mask = tensor_new(memory, DT_REAL, x, fault);
  if (!out->mask) return fault->code;
  for (int64_t i = 0; i < shape_count(x); i++)
    tensor_reals(out->mask)[i] = array_get(&out->x->a, i) != 0;
  return ERR_OK;
}

Dataset *dataset_remake(Dataset *set, const Batch *all, Tensor *x, Tensor *y,
                        Fault *fault) {
  const Portion p = {set, *all};
  Rows rows = {0};
  MemoryCount *memory = set->source->memory;
  Err err = join_all(&p, 1, &rows, fault);
  if (!err) {
    tensor_release(rows.x);
    rows.x = tensor_retain(x);
    names_deinit(&rows.feature_names);
    if (rows.vocabulary && rows.mask) err = mask_padding(&rows, memory, fault);
    if (!err && y) err = use_targets(&rows, y, memory, fault);
  }
  Source *source = err ? NULL : source_of_rows(&rows, memory, fault);
  if (err) rows_deinit(&rows);
  return open_made(source, set, fault);
}
