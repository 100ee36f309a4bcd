/* source.c: the family of data sources, loading on first use, tensors as a source. */
#include "data/sources.h"
#include "base/ints.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DATASET(name) extern const SourceKind dataset_##name;
#include "data/datasets.def"
#undef DATASET

static const Kind *const dataset_kinds[] = {
#define DATASET(name) &dataset_##name.kind,
#include "data/datasets.def"
#undef DATASET
    NULL};

const Family dataset_family = {.name = "dataset", .module = "data",
                               .kinds = dataset_kinds, .example = "print(%s)"};

static const SourceKind *source_kind(const Source *source) {
  return (const SourceKind *)source->object.kind; /* its first field */
}

int source_parts(const Source *source) {
  const char *const *parts = source_kind(source)->parts;
  int n = 0;
  while (parts && parts[n]) n++;
  must(n <= MAX_PARTS);
  return n ? n : 1;
}

bool source_draws(const Source *source) { return source_kind(source)->draws; }

bool source_given(const Source *source) { return source_kind(source)->given; }

void source_add_key(const Source *source, Text *out) {
  if (source_kind(source)->add_key) source_kind(source)->add_key(source, out);
  if (source_draws(source))
    text_addf(out, " of seed %lld", (long long)source->run_seed);
}

Stream source_stream(const Source *source, int64_t seed, const char *name,
                     uint64_t number) {
  uint64_t key_seed = seed > 0 ? (uint64_t)seed : source->run_seed;
  return (Stream){philox_key(key_seed, "data", name), number};
}

const char *source_part(const Source *source, int part) {
  const char *const *parts = source_kind(source)->parts;
  return parts ? parts[part] : "";
}

void source_hash(const Source *source, int part, char out[SHA256_TEXT]) {
  Sha256 hash;
  const Rows *rows = &source->rows[part];
  must(source->loaded[part]);
  sha256_begin(&hash);
  tensor_hash(rows->x, &hash);
  for (int i = 0; i < rows->n_more; i++) tensor_hash(rows->more[i], &hash);
  if (rows->y) tensor_hash(rows->y, &hash);
  if (rows->weight) tensor_hash(rows->weight, &hash);
  if (rows->mask) tensor_hash(rows->mask, &hash);
  sha256_end(&hash, out);
}

void rows_deinit(Rows *rows) {
  tensor_release(rows->x);
  for (int i = 0; i < rows->n_more; i++) tensor_release(rows->more[i]);
  tensor_release(rows->y);
  tensor_release(rows->weight);
  tensor_release(rows->mask);
  names_deinit(&rows->class_names);
  names_deinit(&rows->feature_names);
  vocabulary_release(rows->vocabulary);
  *rows = (Rows){0};
}

void source_enlist(SourceList *list, Source *source) {
  must(!source->list);
  source->list = list;
  source->after = list->first;
  if (list->first) list->first->before = source;
  list->first = source;
}

static void take_out(Source *source) {
  if (!source->list) return;
  if (source->before) source->before->after = source->after;
  else source->list->first = source->after;
  if (source->after) source->after->before = source->before;
}

void source_deinit(Object *object) {
  Source *source = (Source *)object;
  take_out(source);
  for (int i = 0; i < MAX_PARTS; i++) rows_deinit(&source->rows[i]);
}

Tensor *source_zeros(MemoryCount *memory, DType dtype, const Shape *shape,
                     Fault *fault) {
  Tensor *t = tensor_new(memory, dtype, shape, fault);
  if (t) memset(t->a.data, 0, (size_t)tensor_count(t) * dtype_bytes(dtype));
  return t;
}

Err source_read(Source *source, const char *path, ParseRows *parse, Rows *out,
                Fault *fault) {
  Input in;
  Err err = input_open_packed(&in, path, fault);
  if (!err) err = parse(source, &in, out, fault);
  input_close(&in);
  if (err) fault_prefix(fault, "%s", path);
  return err;
}

Err package_check(const char *path, const char *package, Fault *fault) {
  if (!package || access(path, F_OK) == 0) return ERR_OK;
  return fault_set(fault, ERR_DATA, "%s is not there: install the package %s", path,
                   package);
}

static Err weight_check(const Array *w, int64_t n_rows, Fault *fault) {
  const Shape *shape = &w->shape;
  if (shape->rank < 1 || shape->rank > 2 || shape->dim[0] != n_rows) {
    char text[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE,
                     "weight of shape %s, allowed: one for each of the %lld rows, or "
                     "for each step of a row, [n, t]",
                     shape_text(text, shape), (long long)n_rows);
  }
  int64_t at = array_first_outside(w, 0, REAL_MAX);
  if (at < 0) return ERR_OK;
  char got[32];
  return fault_set(fault, ERR_DATA,
                   "weight %s in row %lld, allowed: finite numbers, 0 or more",
                   text_number(got, array_get(w, at)),
                   (long long)(at / most(shape_stride(shape, 0), 1)) + 1);
}

static Err mask_check(const Array *mask, const Shape *x, Fault *fault) {
  if (mask->shape.rank != 2 || x->rank < 2 || !shape_begins(x, &mask->shape)) {
    char m[SHAPE_TEXT], of[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE,
                     "mask of shape %s for x of shape %s, allowed: [n, t] of an "
                     "x [n, t, ...]",
                     shape_text(m, &mask->shape), shape_text(of, x));
  }
  for (int64_t i = 0; i < shape_count(&mask->shape); i++) {
    double m = array_get(mask, i);
    char got[32];
    if (m != 0 && m != 1)
      return fault_set(fault, ERR_DATA,
                       "mask %s in row %lld, step %lld, allowed: 1 where a step "
                       "counts, else 0",
                       text_number(got, m), (long long)(i / mask->shape.dim[1]) + 1,
                       (long long)(i % mask->shape.dim[1]) + 1);
  }
  return ERR_OK;
}

/* `name`: "x", or of further ones "x[2]". */
static Err input_check(const Shape *x, const char *name, Fault *fault) {
  if (x->rank < 1)
    return fault_set(fault, ERR_SHAPE, "%s is a scalar, expected [rows, ...features]",
                     name);
  if (x->dim[0] == 0 || shape_count(x) > 0) return ERR_OK;
  char text[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE, "%s of shape %s has no features", name,
                   shape_text(text, x));
}

static Err inputs_check(const Rows *rows, Fault *fault) {
  int64_t n = rows->x->a.shape.rank ? rows->x->a.shape.dim[0] : 0;
  Err err = input_check(&rows->x->a.shape, "x", fault);
  for (int i = 0; !err && i < rows->n_more; i++) {
    const Shape *more = &rows->more[i]->a.shape;
    char name[16];
    snprintf(name, sizeof name, "x[%d]", i + 2);
    err = input_check(more, name, fault);
    if (!err && more->dim[0] != n)
      err = fault_set(fault, ERR_DATA, "x[1] has %lld rows, %s has %lld", (long long)n,
                      name, (long long)more->dim[0]);
  }
  return err;
}

/* What every loader must deliver, whatever file it came from. */
static Err rows_check(const Rows *rows, Fault *fault) {
  const Shape *x = &rows->x->a.shape;
  Err err = inputs_check(rows, fault);
  if (!err && rows->weight) err = weight_check(&rows->weight->a, x->dim[0], fault);
  if (!err && rows->mask) err = mask_check(&rows->mask->a, x, fault);
  if (err || !rows->y) return err;
  const Shape *y = &rows->y->a.shape;
  if (y->rank < 1 || y->dim[0] != x->dim[0])
    return fault_set(fault, ERR_DATA, "x has %lld rows, y has %lld",
                     (long long)x->dim[0], (long long)(y->rank < 1 ? 1 : y->dim[0]));
  return ERR_OK;
}

const Rows *source_rows(Source *source, int part, Fault *fault) {
  must(part >= 0 && part < source_parts(source));
  Rows *rows = &source->rows[part];
  source->read[part] = true;
  if (source->loaded[part]) return rows;
  *rows = (Rows){.scale = 1};
  Err err = source_kind(source)->load(source, part, rows, fault);
  if (!err) err = rows_check(rows, fault);
  if (err) {
    rows_deinit(rows);
    char label[64];
    fault_prefix(fault, "%s", kind_label(source->object.kind, label, sizeof label));
    return NULL;
  }
  source->loaded[part] = true;
  return rows;
}

/* -- labels ------------------------------------------------------------------------ */

static Err label_fault(double got, int64_t row, int64_t base, int64_t last,
                       bool guessed, Fault *fault) {
  char number[40];
  const char *hint = "";
  if (got == 0 && base == 1)
    hint = " (labels count from 1; label_base = 0 converts labels that count from 0)";
  else if (guessed && got > (double)last) hint = " (classes = n allows more)";
  return fault_set(fault, ERR_DATA,
                   "label %s in row %lld, allowed: whole numbers from %lld to %lld%s",
                   text_number(number, got), (long long)(row + 1), (long long)base,
                   (long long)last, hint);
}

/* Where their number is not given, the largest label says how many classes there are;
 * one far beyond the number of rows is more likely an error of the file, and memory for
 * that many classes would be asked for. */
static int64_t most_classes(int64_t n_rows) {
  enum { ALWAYS = 65536 };
  return n_rows > ALWAYS ? n_rows : ALWAYS;
}

/* Does label i count? At steps that do not there may be anything. */
static bool label_counts(const Rows *rows, const Tensor *labels, int64_t i) {
  const Tensor *mask = rows->mask;
  return !mask || !shape_equal(&mask->a.shape, &labels->a.shape) ||
         array_get(&mask->a, i) != 0;
}

/* Whole numbers of any number of axes, as int32 from 1; 0 for what is no label where it
 * does not count. */
static Err count_labels(const Tensor *y, int64_t n_classes, int64_t label_base,
                        MemoryCount *memory, Rows *out, Fault *fault) {
  int64_t n = tensor_count(y), largest = 0;
  int64_t per_row = y->a.shape.rank ? most(shape_stride(&y->a.shape, 0), 1) : 1;
  int64_t last = label_base - 1 + (n_classes > 0 ? n_classes : most_classes(n));
  Tensor *labels = tensor_new(memory, DT_INT32, &y->a.shape, fault);
  if (!labels) return ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) {
    double v = array_get(&y->a, i);
    bool valid = v >= (double)label_base && v <= (double)last && v == floor(v);
    if (!valid && label_counts(out, y, i)) {
      tensor_release(labels);
      return label_fault(v, i / per_row, label_base, last, n_classes == 0, fault);
    }
    if (!valid) v = (double)label_base - 1;
    int64_t label = (int64_t)v - label_base + 1;
    ((int32_t *)labels->a.data)[i] = (int32_t)label;
    if (label > largest && label_counts(out, y, i)) largest = label;
  }
  out->y = labels;
  out->n_classes = n_classes > 0 ? n_classes : largest;
  return ERR_OK;
}

Err labels_convert(const Tensor *y, int64_t n_classes, int64_t label_base,
                   MemoryCount *memory, Rows *out, Fault *fault) {
  char text[SHAPE_TEXT];
  if (y->a.shape.rank == 1)
    return count_labels(y, n_classes, label_base, memory, out, fault);
  return fault_set(fault, ERR_DATA, "labels of shape %s, expected one axis",
                   shape_text(text, &y->a.shape));
}

/* -- tensors as a source ----------------------------------------------------------- */

typedef struct SetSource {
  Source source;
  RefList x; /* of Tensor */
  Tensor *y, *weight, *mask;
  int64_t n_classes, label_base;
} SetSource;

/* As real, under that shape; NULL and a fault: no memory. */
static Tensor *as_real(const SetSource *set, const Tensor *t, const Shape *shape,
                       Fault *fault) {
  Tensor *out = tensor_new(set->source.memory, DT_REAL, shape, fault);
  for (int64_t i = 0; out && i < shape_count(shape); i++)
    array_set(&out->a, i, array_get(&t->a, i));
  return out;
}

/* Weights [n, 1] become [n]. */
static Err load_weights(const SetSource *set, Rows *out, Fault *fault) {
  if (set->weight) {
    Shape shape = set->weight->a.shape;
    if (shape.rank == 2 && shape.dim[1] == 1) shape.rank = 1;
    out->weight = as_real(set, set->weight, &shape, fault);
    if (!out->weight) return fault->code;
  }
  if (set->mask) out->mask = as_real(set, set->mask, &set->mask->a.shape, fault);
  return !set->mask || out->mask ? ERR_OK : fault->code;
}

static Err load_inputs(const SetSource *set, Rows *out, Fault *fault) {
  const RefList *x = &set->x;
  if (x->n > MAX_INPUTS)
    return fault_set(fault, ERR_VALUE, "option \"x\": got %d tensors, allowed: 1 to %d",
                     x->n, MAX_INPUTS);
  out->x = tensor_retain(x->v[0]);
  for (int i = 1; i < x->n; i++) out->more[out->n_more++] = tensor_retain(x->v[i]);
  return ERR_OK;
}

static Err set_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  SetSource *set = (SetSource *)source;
  Err err = load_inputs(set, out, fault);
  if (!err) err = load_weights(set, out, fault);
  if (err || !set->y) return err;
  bool integers = set->y->a.dtype != DT_REAL;
  bool labels = set->n_classes > 0 ||
                (integers && (set->y->a.shape.rank == 1 || set->label_base != 1));
  if (!labels) {
    out->y = tensor_retain(set->y);
    return ERR_OK;
  }
  return (integers ? count_labels : labels_convert)(set->y, set->n_classes,
                                                    set->label_base, source->memory,
                                                    out, fault);
}

static const Option set_options[] = {
    {.name = "x", .kind = OPT_REFS, .offset = offsetof(SetSource, x), .position = 1,
     .ref_type = &tensor_ref_type,
     .doc = "rows of features, [n, ...features]; of a net that takes several tensors, "
            "as net(a, b), a list of them: { a, b }"},
    {.name = "y", .kind = OPT_REF, .offset = offsetof(SetSource, y), .position = 2,
     .ref_type = &tensor_ref_type, .value = "none",
     .doc = "labels [n] (int32 or uint8, or any when classes is given) or targets "
            "[n, ...], which stay the type they are"},
    {.name = "weight", .kind = OPT_REF, .offset = offsetof(SetSource, weight),
     .ref_type = &tensor_ref_type, .value = "none", .alias = "sample_weight",
     .doc = "what each row counts in losses and metrics, [n], or each step of a row, "
            "[n, t]: 0 or more. A loss is sum(w v) / sum(w) over the batch, as "
            "PyTorch's (Keras divides by the number of rows), so that a row of weight "
            "2 is one that is there twice. A row of weight 0 counts nowhere: its "
            "target, unless it is a label, may be NaN, and what is not finite in its x "
            "is read as 0"},
    {.name = "mask", .kind = OPT_REF, .offset = offsetof(SetSource, mask),
     .ref_type = &tensor_ref_type, .value = "none",
     .doc = "of sequences x [n, t, ...] (of several x, the first): 1 at the steps that "
            "count, 0 at those that fill up, [n, t]. Layers pass it on (nn.Unmask "
            "drops it); losses and metrics of outputs that still have it leave out the "
            "other steps, whose x and y may be anything. The mean is over the steps "
            "that count, as with PyTorch's ignore_index (Keras divides by all)"},
    {.name = "classes", .kind = OPT_INT, .offset = offsetof(SetSource, n_classes),
     .value = "0", .lo = 0, .hi = 1e9,
     .doc = "number of classes; 0: the largest label, where y are labels"},
    {.name = "label_base", .kind = OPT_INT, .offset = offsetof(SetSource, label_base),
     .value = "1", .lo = -1e9, .hi = 1e9, .doc = "label of the first class in y"},
    {0}};

/* The largest label. */
static int64_t last_label(const Tensor *y) {
  int64_t last = 0;
  for (int64_t i = 0; i < tensor_count(y); i++)
    last = most(last, (int64_t)array_get(&y->a, i));
  return last;
}

/* Of rows that a method has made, whose options say nothing: the unit of x, what its
 * numbers stand for, and classes of which there is no row. */
static void set_add_key(const Source *source, Text *out) {
  const Rows *rows = &source->rows[0];
  if (((const SetSource *)source)->x.n > 0) return;
  if (rows->scale != 1) text_addf(out, " in units of %a", rows->scale);
  if (rows->vocabulary)
    text_addf(out, " with vocabulary %016llx",
              (unsigned long long)vocabulary_hash(rows->vocabulary));
  if (rows->n_classes > 0 && rows->n_classes != last_label(rows->y))
    text_addf(out, " of %lld classes", (long long)rows->n_classes);
}

const SourceKind dataset_set = {
    .kind = {.name = "set",
             .family = &dataset_family,
             .size = sizeof(SetSource),
             .options = set_options,
             .deinit = source_deinit,
             .example = "print(data.set(tensor.randn(2, 3), tensor { 1, 2 }))",
             .doc = "A data set of given tensors. x may be uint8, and stays so in "
                    "memory."},
    .given = true,
    .add_key = set_add_key,
    .load = set_load};

Source *source_of_rows(Rows *rows, MemoryCount *memory, Fault *fault) {
  Source *source = NULL;
  if (!rows_check(rows, fault)) source = (Source *)object_new(&dataset_set.kind, fault);
  if (!source) {
    rows_deinit(rows);
    return NULL;
  }
  source->memory = memory;
  source->rows[0] = *rows;
  source->loaded[0] = true;
  *rows = (Rows){0};
  return source;
}
