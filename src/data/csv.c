/* csv.c: tables of numbers and names in comma-separated text.
 *
 * The text is walked three times, and only what becomes of it is kept:
 *   survey       every row has as many fields as the first; which columns hold numbers,
 *                which names; what is missing (csv_survey.c)
 *   categories   the different values of each column of names, sorted
 *   fill         the tensors, whose sizes are known by then
 *
 * A column is a number (one feature), a category (a feature for each value, or its
 * code), a target, the weight, or ignored. A missing value is an error, drops its row,
 * or is marked by NaN, to be filled in by the data sets that look at the rows
 * (dataset_complete). */
#include "base/out.h"
#include "data/csv_table.h"
#include "data/plain.h"
#include "data/sources.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ONE_HOT_MAX = 1000 };

static void table_deinit(Table *t) {
  for (int64_t i = 0; i < t->n_columns; i++) {
    free(t->columns[i].name);
    free(t->columns[i].values);
  }
  free(t->columns);
  free(t->dropped);
  free(t->steps);
  vocabulary_release(t->ids);
  text_deinit(&t->text);
}

/* -- walking ----------------------------------------------------------------------- */

static Err walk_row(Table *t, CsvCursor *c, int64_t row, Each *each, Fault *fault) {
  CsvField f = {0};
  for (int64_t i = 0; !f.last; i++) {
    Err err = csv_next(c, &f, fault);
    if (!err && (i >= t->n_columns || (f.last && i + 1 < t->n_columns)))
      err = fault_set(fault, ERR_DATA,
                      "line %lld: a row of %s %lld fields, the first row has %lld",
                      (long long)f.line, i >= t->n_columns ? "more than" : "only",
                      (long long)(i >= t->n_columns ? i : i + 1),
                      (long long)t->n_columns);
    if (!err && each) err = each(t, row, i, &f, fault);
    if (err) return err;
  }
  return ERR_OK;
}

Err csv_walk(Table *t, Each *each, Fault *fault) {
  CsvCursor c = t->rows;
  int64_t all = 0, kept = 0, n_dropped = 0;
  for (; csv_more(&c); all++) {
    bool drop = t->surveyed && n_dropped < t->n_dropped && t->dropped[n_dropped] == all;
    Err err = walk_row(t, &c, kept, drop ? NULL : each, fault);
    if (err) return err;
    n_dropped += drop;
    kept += !drop;
  }
  t->n_rows = kept;
  return ERR_OK;
}

/* -- categories -------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) { return csv_compare(a, b); }

static int by_number(const void *a, const void *b) {
  double p = 0, q = 0;
  csv_number(a, &p);
  csv_number(b, &q);
  return p != q ? (p < q ? -1 : 1) : csv_compare(a, b);
}

static Err note_value(Table *t, int64_t row, int64_t i, const CsvField *f,
                      Fault *fault) {
  (void)row;
  (void)fault;
  Column *column = &t->columns[i];
  double number;
  if (!column->values || (column->n_missing > 0 && csv_is_missing(t, f))) return ERR_OK;
  column->values[column->n_values++] = *f;
  column->numeric &= csv_number(f, &number);
  return ERR_OK;
}

static void sort_values(Column *column) {
  CsvField *v = column->values;
  int64_t n_all = column->n_values, n = 0;
  qsort(v, (size_t)n_all, sizeof *v, column->numeric ? by_number : by_text);
  for (int64_t i = 0; i < n_all; i++)
    if (n == 0 || csv_compare(&v[n - 1], &v[i]) != 0) v[n++] = v[i];
  column->n_values = n;
}

static Err find_categories(Table *t, Fault *fault) {
  int64_t n_bytes = t->n_rows * (int64_t)sizeof(CsvField), total = 0;
  for (int64_t i = 0; i < t->n_columns; i++) {
    Column *column = &t->columns[i];
    column->categorical |= column->target && column->n_names > 0;
    total += column->categorical ? n_bytes : 0;
  }
  Err err = memory_holds(total, fault);
  for (int64_t i = 0; i < t->n_columns && !err; i++) {
    Column *column = &t->columns[i];
    if (!column->categorical) continue;
    column->numeric = true;
    column->values = malloc((size_t)n_bytes);
    if (!column->values) err = fault_memory(fault, (size_t)n_bytes);
  }
  if (!err && total > 0) err = csv_walk(t, note_value, fault);
  for (int64_t i = 0; i < t->n_columns && !err; i++)
    if (t->columns[i].values) sort_values(&t->columns[i]);
  return err;
}

/* From 0. */
static int64_t code_of(const Column *column, const CsvField *f) {
  const CsvField *found = bsearch(f, column->values, (size_t)column->n_values,
                                  sizeof *column->values,
                                  column->numeric ? by_number : by_text);
  must(found);
  return found - column->values;
}

/* -- fill -------------------------------------------------------------------------- */

static bool is_one_hot(const Table *t, const Column *column) {
  return column->categorical && !column->target && t->csv->encoding == ENCODE_ONE_HOT;
}

static Err name_features(const Column *column, bool one_hot, Rows *out, Fault *fault) {
  if (!one_hot)
    return names_add(&out->feature_names, column->name, strlen(column->name), fault);
  Err err = ERR_OK;
  for (int64_t k = 0; k < column->n_values && !err; k++) {
    const CsvField *f = &column->values[k];
    Text name = {0};
    text_addf(&name, "%s=", column->name);
    char *copy = malloc(f->n_bytes + 1);
    if (copy) text_add(&name, csv_copy(f, copy, f->n_bytes + 1));
    err = copy && !name.failed
              ? names_add(&out->feature_names, name.data, name.n_bytes, fault)
              : fault_memory(fault, f->n_bytes);
    free(copy);
    text_deinit(&name);
  }
  return err;
}

/* Gives each column its place among the features. */
static Err place_features(Table *t, Rows *out, Fault *fault) {
  for (int64_t i = 0; i < t->n_columns; i++) {
    Column *column = &t->columns[i];
    if (column->target || column->ignored || column->weight || column->sequence)
      continue;
    bool one_hot = is_one_hot(t, column);
    if (one_hot && column->n_values > ONE_HOT_MAX)
      return fault_set(fault, ERR_DATA,
                       "column %lld (\"%s\") has %lld different values, allowed: %d "
                       "with a feature for each; encoding = \"code\" makes it "
                       "one",
                       (long long)(i + 1), column->name, (long long)column->n_values,
                       ONE_HOT_MAX);
    column->place = t->n_features;
    t->n_features += one_hot ? column->n_values : 1;
    Err err = name_features(column, one_hot, out, fault);
    if (err) return err;
  }
  if (t->n_features > 0) return ERR_OK;
  return fault_set(fault, ERR_DATA, "has no columns of features");
}

static Err name_classes(const Column *column, Rows *out, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t k = 0; k < column->n_values && !err; k++) {
    const CsvField *f = &column->values[k];
    char *copy = malloc(f->n_bytes + 1);
    if (!copy) return fault_memory(fault, f->n_bytes);
    csv_copy(f, copy, f->n_bytes + 1);
    err = names_add(&out->class_names, copy, strlen(copy), fault);
    free(copy);
  }
  out->n_classes = column->n_values;
  return err;
}

static Err new_targets(Table *t, Rows *out, MemoryCount *memory, Fault *fault) {
  const Column *classes = NULL;
  int64_t n_targets = 0;
  for (int64_t i = 0; i < t->n_columns; i++) {
    const Column *column = &t->columns[i];
    n_targets += column->target;
    if (column->target && column->categorical) classes = column;
  }
  if (n_targets == 0) return ERR_OK;
  if (classes && n_targets > 1)
    return fault_set(fault, ERR_DATA,
                     "column \"%s\" holds classes, and is one of %lld targets; "
                     "allowed: one target of classes, or several of numbers",
                     classes->name, (long long)n_targets);
  Shape shape = n_targets == 1 ? SHAPE_OF(t->n_rows) : SHAPE_OF(t->n_rows, n_targets);
  out->y = tensor_new(memory, classes ? DT_INT32 : DT_REAL, &shape, fault);
  if (!out->y) return ERR_MEMORY;
  return classes ? name_classes(classes, out, fault) : ERR_OK;
}

/* Marks all features that come of the column; one-hot ones are filled in by the share
 * that each value has. */
static void mark_missing(Table *t, int64_t row, const Column *column) {
  int64_t n = is_one_hot(t, column) ? column->n_values : 1;
  real *x = tensor_reals(t->out->x) + row * t->n_features + column->place;
  for (int64_t k = 0; k < n; k++) x[k] = (real)NAN;
  t->out->missing = true;
}

static Err fill(Table *t, int64_t row, int64_t i, const CsvField *f, Fault *fault) {
  Rows *out = t->out;
  const Column *column = &t->columns[i];
  if (column->ignored) return ERR_OK;
  if (column->sequence) return csv_note_step(t, row, f, fault);
  if (csv_is_series(t, column)) {
    csv_fill_series(t, row, column, f);
    return ERR_OK;
  }
  if (column->n_missing > 0 && csv_is_missing(t, f)) {
    must(t->csv->missing == MISSING_MEAN && !column->target && !column->weight);
    mark_missing(t, row, column);
    return ERR_OK;
  }
  double value = 0;
  if (column->categorical) value = (double)code_of(column, f) + 1;
  else must(csv_number(f, &value));
  if (column->weight) {
    array_set(&out->weight->a, row, value);
  } else if (column->target) {
    int64_t n = shape_stride(&out->y->a.shape, 0);
    array_set(&out->y->a, row * n + column->place, value);
  } else if (is_one_hot(t, column)) {
    tensor_reals(out->x)[row * t->n_features + column->place + (int64_t)value - 1] = 1;
  } else {
    tensor_reals(out->x)[row * t->n_features + column->place] = (real)value;
  }
  return ERR_OK;
}

static Err fill_rows(Table *t, MemoryCount *memory, Fault *fault) {
  Rows *out = t->out;
  const Csv *csv = t->csv;
  Err err = place_features(t, out, fault);
  if (!err) err = new_targets(t, out, memory, fault);
  if (csv->inside) csv_end_series(t);
  int64_t n_steps = csv->inside ? t->longest : 1;
  if (!err)
    err = memory_holds_all(t->n_rows * n_steps, t->n_features * (int64_t)sizeof(real),
                           fault);
  if (err) return err;
  Shape x = csv->inside ? SHAPE_OF(t->n_rows, t->longest, t->n_features)
                        : SHAPE_OF(t->n_rows, t->n_features);
  out->x = source_zeros(memory, DT_REAL, &x, fault);
  if (csv->weight.n)
    out->weight = source_zeros(memory, DT_REAL, &SHAPE_OF(t->n_rows), fault);
  if (csv->inside)
    out->mask = source_zeros(memory, DT_REAL, &SHAPE_OF(x.dim[0], x.dim[1]), fault);
  if (!out->x || (csv->weight.n && !out->weight) || (csv->inside && !out->mask))
    return fault->code;
  err = csv_walk(t, fill, fault);
  return err || !csv->sequence.n ? err : csv_fold(t, memory, fault);
}

static void say_dropped(const Table *t) {
  err_print("data.csv: %s: %lld of %lld rows left out, since values are missing "
            "(missing = \"drop\")\n",
            t->csv->path, (long long)t->n_dropped,
            (long long)(t->n_rows + t->n_dropped));
}

Err csv_parse(Source *source, Input *in, Rows *out, Fault *fault) {
  Table t = {.csv = (const Csv *)source, .out = out};
  Err err = plain_read(in, &t.text, fault);
  if (!err) err = csv_read_columns(&t, fault);
  if (!err) err = csv_mark_columns(&t, fault);
  if (!err) err = csv_survey(&t, fault);
  if (!err) err = find_categories(&t, fault);
  if (!err) err = fill_rows(&t, source->memory, fault);
  if (!err && t.n_dropped > 0) say_dropped(&t);
  table_deinit(&t);
  return err;
}

/* -- the kind ---------------------------------------------------------------------- */

static Err csv_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return source_read(source, ((Csv *)source)->path, csv_parse, out, fault);
}

/* The first that is there twice, -1: none. Numbers and texts differ. */
static int first_twice(const TextList *list) {
  for (int i = 1; i < list->n; i++)
    for (int k = 0; k < i; k++)
      if (list->number[i] == list->number[k] && strcmp(list->v[i], list->v[k]) == 0)
        return i;
  return -1;
}

static Err check_lists(const Csv *csv, Fault *fault) {
  const struct { const char *option; const TextList *list; } lists[] = {
      {"target", &csv->target}, {"categorical", &csv->categorical},
      {"ignore", &csv->ignore}, {"na_values", &csv->na_values}};
  if (csv->weight.n > 1 || csv->sequence.n > 1)
    return fault_set(fault, ERR_VALUE,
                     "data.csv: option \"%s\": got %d columns, allowed: one",
                     csv->weight.n > 1 ? "weight" : "sequence",
                     csv->weight.n > 1 ? csv->weight.n : csv->sequence.n);
  for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
    int i = first_twice(lists[k].list);
    if (i < 0) continue;
    const char *quote = lists[k].list->number[i] ? "" : "\"";
    return fault_set(fault, ERR_VALUE,
                     "data.csv: option \"%s\": got %s%s%s twice, allowed: each once",
                     lists[k].option, quote, lists[k].list->v[i], quote);
  }
  return ERR_OK;
}

static Err check_sequences(const Csv *csv, Fault *fault) {
  const char *what = NULL;
  bool steps = csv->sequence.n || csv->inside;
  if (csv->sequence.n && csv->inside) what = "\"sequence\" and \"inside\"";
  if (steps && csv->missing == MISSING_MEAN)
    what = "sequences and missing = \"mean\", which is of rows";
  if (csv->inside && csv->categorical.n)
    what = "\"inside\", whose fields hold numbers, and \"categorical\"";
  if (csv->inside && strcmp(csv->inside, csv->delimiter) == 0)
    what = "one character as \"inside\" and \"delimiter\"";
  if (csv->each_step && !csv->sequence.n) what = "\"each_step\" without \"sequence\"";
  if (!what) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "data.csv: got %s, allowed: one of them", what);
}

static bool is_separator(const char *d) {
  return strlen(d) == 1 && !strchr("\"\r\n.+-", *d) && !(*d >= '0' && *d <= '9');
}

static Err csv_check(Object *object, Fault *fault) {
  const Csv *csv = (const Csv *)object;
  bool delimiter = is_separator(csv->delimiter);
  if (!delimiter || (csv->inside && !is_separator(csv->inside)))
    return fault_set(fault, ERR_VALUE,
                     "data.csv: option \"%s\": got \"%s\", allowed: one character, as "
                     "\",\" \";\" \"\\t\"",
                     delimiter ? "inside" : "delimiter",
                     delimiter ? csv->inside : csv->delimiter);
  Err err = check_lists(csv, fault);
  return err ? err : check_sequences(csv, fault);
}

static const char *const header_names[] = {"auto", "true", "false", NULL};
static const char *const encoding_names[] = {"onehot", "code", NULL};
static const char *const missing_names[] = {
    [MISSING_ERROR] = "error", [MISSING_DROP] = "drop", [MISSING_MEAN] = "mean", NULL};

#define AT(field) .offset = offsetof(Csv, field)

static const Option csv_options[] = {
    {.name = "path", .kind = OPT_TEXT, AT(path), .position = 1,
     .doc = "file of rows, plain or gzipped, in UTF-8"},
    {.name = "target", .kind = OPT_TEXTS, AT(target),
     .doc = "column of y: a text is its name, a number its place (-1: the last). "
            "Names in it become labels of the classes, in sorted order; numbers are "
            "numbers. Several columns: y is [n, targets]"},
    {.name = "header", .kind = OPT_CHOICE, AT(header), .value = "auto",
     .choices = header_names,
     .doc = "does the first row hold names? auto: it does when none of it is a "
            "number, or when an option names one of its fields, as target = \"2020\" "
            "does, and target = 2020 does not"},
    {.name = "categorical", .kind = OPT_TEXTS, AT(categorical),
     .doc = "columns whose values are names, also where they look like numbers; by "
            "name or place, like target"},
    {.name = "ignore", .kind = OPT_TEXTS, AT(ignore),
     .doc = "columns to leave out, by name or place, like target"},
    {.name = "weight", .kind = OPT_TEXTS, AT(weight), .alias = "sample_weight",
     .doc = "column of what each row counts in losses and metrics, by name or place, "
            "like target: numbers, 0 or more; see data.set"},
    {.name = "missing", .kind = OPT_CHOICE, AT(missing), .value = "error",
     .choices = missing_names,
     .doc = "values that are not there, in the columns in use. error: a fault that "
            "lists the columns. drop: such rows are left out. mean: filled in with the "
            "feature's mean over the rows that are trained on (of a category: the "
            "share of each value): those of the first part of a split, of the set that "
            "train.fit or normalize gets; see set:impute"},
    {.name = "na_values", .kind = OPT_TEXTS, AT(na_values),
     .doc = "what marks a missing value besides an empty field: texts, or "
            "numbers as -999; not given: NA NaN nan null ?"},
    {.name = "encoding", .kind = OPT_CHOICE, AT(encoding), .value = "onehot",
     .choices = encoding_names,
     .doc = "categorical features: one feature of 0 or 1 for each value, or one "
            "feature with its code, from 1, in sorted order"},
    {.name = "delimiter", .kind = OPT_TEXT, AT(delimiter), .value = ",", .alias = "sep",
     .doc = "one character"},
    {.name = "sequence", .kind = OPT_TEXTS, AT(sequence),
     .doc = "column whose value says which sequence a row is a step of, by name or "
            "place, like target: x is [n, t, features], shorter ones are filled up "
            "behind, and the set has a mask. Steps are in the order of the file"},
    {.name = "each_step", .kind = OPT_BOOL, AT(each_step), .value = "false",
     .doc = "y, and the weight, is one for each step, [n, t]; else one for the "
            "sequence, which all of its rows have"},
    {.name = "inside", .kind = OPT_TEXT, AT(inside), .value = "none",
     .doc = "a row is a sequence: what separates the numbers of the steps in the field "
            "of each feature, as \" \" or \";\"; x is [n, t, features] with a mask"},
    {0}};

const SourceKind dataset_csv = {
    .kind = {.name = "csv",
             .family = &dataset_family,
             .size = sizeof(Csv),
             .options = csv_options,
             .check = csv_check,
             .deinit = source_deinit,
             .call = "data.csv(\"rows.csv\", { target = \"class\" })",
             .doc = "A table in comma-separated text: x [n, features], y of the target "
                    "column. Names are sorted by bytes, or by value where all are "
                    "numbers.",
             .source = "RFC 4180"},
    .load = csv_load};
