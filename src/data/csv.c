/* csv.c: tables of numbers and names in comma-separated text.
 *
 * The text is walked three times, and only what becomes of it is kept:
 *   survey       every row has as many fields as the first; nothing is missing; which
 *                columns hold numbers, which names
 *   categories   the different values of each column of names, sorted
 *   fill         the tensors, whose sizes are known by then
 *
 * A column is a number (one feature), a category (a feature for each value, or its code), a
 * target, or ignored. */
#include "base/ints.h"
#include "data/csv_text.h"
#include "data/plain.h"
#include "data/sources.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum Header { HEADER_AUTO, HEADER_TRUE, HEADER_FALSE } Header;
typedef enum Encoding { ENCODE_ONE_HOT, ENCODE_CODE } Encoding;

typedef struct Csv {
  Source source;
  char *path, *delimiter;
  TextList target, categorical, ignore;
  int header;                  /* a Header */
  int encoding;                /* an Encoding */
} Csv;

enum { COLUMNS_MAX = 1000000, ONE_HOT_MAX = 1000, SHOWN = 40 };

typedef struct Column {
  char *name;
  bool target, categorical, ignored;
  int64_t place;               /* among the targets, or first feature */
  int64_t n_numbers, n_names;  /* of a target: which of them it is is seen from the rows */
  CsvField *values;            /* of a category: of all rows, then the different ones */
  int64_t n_values;
  bool numeric;                /* values are sorted as numbers */
} Column;

/* One file being read. */
typedef struct Table {
  const Csv *csv;
  Text text;
  CsvCursor rows;              /* at the first row of data */
  Column *columns;
  int64_t n_columns, n_rows, n_features;
  Rows *out;                   /* borrowed */
} Table;

static void table_deinit(Table *t) {
  for (int64_t i = 0; i < t->n_columns; i++) {
    free(t->columns[i].name);
    free(t->columns[i].values);
  }
  free(t->columns);
  text_deinit(&t->text);
}

/* -- columns ------------------------------------------------------------------------- */

static Err field_fault(const Table *t, const CsvField *f, int64_t i, Fault *fault,
                       const char *what) {
  return fault_set(fault, ERR_DATA, "line %lld, column %lld (\"%s\"): %s",
                   (long long)f->line, (long long)(i + 1), t->columns[i].name, what);
}

/* Walks one row; calls `each` on its fields. */
typedef Err Each(Table *t, int64_t row, int64_t column, const CsvField *f, Fault *fault);

static Err walk_rows(Table *t, Each *each, Fault *fault) {
  CsvCursor c = t->rows;
  int64_t row = 0;
  for (; csv_more(&c); row++) {
    CsvField f = {0};
    for (int64_t i = 0; !f.last; i++) {
      Err err = csv_next(&c, &f, fault);
      if (!err && (i >= t->n_columns || (f.last && i + 1 < t->n_columns)))
        err = fault_set(fault, ERR_DATA, "line %lld: a row of %s %lld fields, the first row "
                        "has %lld", (long long)f.line,
                        i >= t->n_columns ? "more than" : "only",
                        (long long)(i >= t->n_columns ? i : i + 1),
                        (long long)t->n_columns);
      if (!err) err = each(t, row, i, &f, fault);
      if (err) return err;
    }
  }
  t->n_rows = row;
  return ERR_OK;
}

static Err add_column(Table *t, const CsvField *f, Fault *fault) {
  if (t->n_columns == COLUMNS_MAX)
    return fault_set(fault, ERR_DATA, "line %lld: more than %d columns",
                     (long long)f->line, COLUMNS_MAX);
  if ((t->n_columns & (t->n_columns - 1)) == 0) {   /* grows at powers of two */
    size_t n_bytes = (size_t)most(1, 2 * t->n_columns) * sizeof *t->columns;
    Column *columns = realloc(t->columns, n_bytes);
    if (!columns) return fault_memory(fault, n_bytes);
    t->columns = columns;
  }
  Column *column = &t->columns[t->n_columns];
  *column = (Column){.name = malloc(f->n_bytes + 1)};
  if (!column->name) return fault_memory(fault, f->n_bytes);
  csv_copy(f, column->name, f->n_bytes + 1);
  t->n_columns++;
  return ERR_OK;
}

static bool is_listed(const TextList *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (strcmp(list->v[i], name) == 0) return true;
  return false;
}

/* Is the first row one of names? It is when it has a column that an option names, or some
 * text and no number. */
static bool has_header(const Table *t, bool any_number) {
  const Csv *csv = t->csv;
  if (csv->header != HEADER_AUTO) return csv->header == HEADER_TRUE;
  bool any_name = false;
  for (int64_t i = 0; i < t->n_columns; i++) {
    const char *name = t->columns[i].name;
    any_name |= *name != 0;
    CsvField f = {.at = name, .n_bytes = strlen(name)};
    double number;
    if (csv_number(&f, &number)) continue;   /* 5 names the fifth column of any file */
    if (is_listed(&csv->target, name) || is_listed(&csv->categorical, name) ||
        is_listed(&csv->ignore, name))
      return true;
  }
  return any_name && !any_number;
}

/* Columns without a name are called by their number. */
static Err name_columns(Table *t, bool named, Fault *fault) {
  for (int64_t i = 0; i < t->n_columns; i++) {
    Column *column = &t->columns[i];
    if (named && *column->name) continue;
    Text name = {0};
    text_addf(&name, "%lld", (long long)(i + 1));
    if (name.failed) return fault_memory(fault, 32);
    free(column->name);
    column->name = name.data;
  }
  return ERR_OK;
}

static Err read_first_row(Table *t, Fault *fault) {
  CsvCursor begin = {t->text.data, t->text.data + t->text.n_bytes, *t->csv->delimiter, 1};
  if (!csv_more(&begin)) return fault_set(fault, ERR_DATA, "is empty");
  CsvCursor c = begin;
  CsvField f = {0};
  bool any_number = false;
  while (!f.last) {
    double number;
    Err err = csv_next(&c, &f, fault);
    if (!err) err = add_column(t, &f, fault);
    if (err) return err;
    any_number |= csv_number(&f, &number);
  }
  bool named = has_header(t, any_number);
  t->rows = named ? c : begin;
  return name_columns(t, named, fault);
}

static Err no_column(const Table *t, const char *option, const char *name, Fault *fault) {
  const char *names[64];
  int n = (int)least(t->n_columns, 64);
  for (int i = 0; i < n; i++) names[i] = t->columns[i].name;
  const char *nearest = text_nearest(name, names, n);
  return fault_set(fault, ERR_VALUE, "option \"%s\": no column \"%s\"%s%s%s; there are "
                   "%lld, the first is \"%s\"", option, name,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "", (long long)t->n_columns, t->columns[0].name);
}

/* The column of that name, else of that number, negative from the end. */
static Err find_column(Table *t, const char *option, const char *name, Column **out,
                       Fault *fault) {
  *out = NULL;
  for (int64_t i = 0; i < t->n_columns; i++) {
    if (strcmp(t->columns[i].name, name) != 0) continue;
    if (*out)
      return fault_set(fault, ERR_DATA, "two columns are called \"%s\"; its number says "
                       "which one", name);
    *out = &t->columns[i];
  }
  if (*out) return ERR_OK;
  char *end;
  long long number = strtoll(name, &end, 10);
  if (end == name || *end) return no_column(t, option, name, fault);
  int64_t i = number < 0 ? t->n_columns + number : number - 1;
  if (number == 0 || i < 0 || i >= t->n_columns)
    return fault_set(fault, ERR_VALUE, "option \"%s\": no column %lld; allowed: 1 to %lld, "
                     "or negative from the end", option, number, (long long)t->n_columns);
  *out = &t->columns[i];
  return ERR_OK;
}

static Err mark_columns(Table *t, Fault *fault) {
  const Csv *csv = t->csv;
  const struct { const char *option; const TextList *list; size_t mark; } marks[] = {
      {"target", &csv->target, offsetof(Column, target)},
      {"categorical", &csv->categorical, offsetof(Column, categorical)},
      {"ignore", &csv->ignore, offsetof(Column, ignored)}};
  for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
    for (int i = 0; i < marks[k].list->n; i++) {
      Column *column = NULL;
      Err err = find_column(t, marks[k].option, marks[k].list->v[i], &column, fault);
      if (err) return err;
      must(column);
      *(bool *)((char *)column + marks[k].mark) = true;
      if (column->target && k == 0) column->place = i;
      if (column->ignored && (column->target || column->categorical))
        return fault_set(fault, ERR_VALUE, "column \"%s\" is ignored and %s", column->name,
                         column->target ? "a target" : "categorical");
    }
  return ERR_OK;
}

/* -- survey -------------------------------------------------------------------------- */

static Err not_a_number(const Table *t, int64_t i, const CsvField *f, Fault *fault) {
  char shown[SHOWN], what[400];
  const Column *column = &t->columns[i];
  csv_copy(f, shown, sizeof shown);
  const char *other = t->n_columns == 1 ? strpbrk(shown, ";\t|,") : NULL;
  if (other)
    snprintf(what, sizeof what, "\"%s\" is no number; is the delimiter '%c'?", shown, *other);
  else if (column->target)
    snprintf(what, sizeof what, "\"%s\" among numbers; categorical = {\"%s\"} makes all "
             "values classes", shown, column->name);
  else
    snprintf(what, sizeof what, "\"%s\" is no number; target = or categorical = {\"%s\"} "
             "codes names, ignore = {\"%s\"} leaves the column out", shown, column->name,
             column->name);
  return field_fault(t, f, i, fault, what);
}

static Err survey(Table *t, int64_t row, int64_t i, const CsvField *f, Fault *fault) {
  (void)row;
  Column *column = &t->columns[i];
  double number;
  if (column->ignored) return ERR_OK;
  if (f->n_bytes == 0) return field_fault(t, f, i, fault, "the value is missing");
  if (column->categorical) return ERR_OK;
  if (csv_number(f, &number)) {
    column->n_numbers++;
    if (!isfinite((real)number))
      return field_fault(t, f, i, fault, "the number is too large");
  } else {
    column->n_names++;
  }
  if (column->n_names > 0 && (!column->target || column->n_numbers > 0))
    return not_a_number(t, i, f, fault);
  return ERR_OK;
}

/* -- categories ---------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) { return csv_compare(a, b); }

static int by_number(const void *a, const void *b) {
  double p = 0, q = 0;
  csv_number(a, &p);
  csv_number(b, &q);
  return p != q ? (p < q ? -1 : 1) : csv_compare(a, b);
}

static Err note_value(Table *t, int64_t row, int64_t i, const CsvField *f, Fault *fault) {
  (void)fault;
  Column *column = &t->columns[i];
  double number;
  if (!column->values) return ERR_OK;
  column->values[row] = *f;
  column->numeric &= csv_number(f, &number);
  return ERR_OK;
}

static void sort_values(Column *column, int64_t n_rows) {
  CsvField *v = column->values;
  qsort(v, (size_t)n_rows, sizeof *v, column->numeric ? by_number : by_text);
  int64_t n = 0;
  for (int64_t i = 0; i < n_rows; i++)
    if (n == 0 || csv_compare(&v[n - 1], &v[i]) != 0) v[n++] = v[i];
  column->n_values = n;
}

static Err find_categories(Table *t, Fault *fault) {
  int64_t n_bytes = most(t->n_rows, 1) * (int64_t)sizeof(CsvField), total = 0;
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
  if (!err && total > 0) err = walk_rows(t, note_value, fault);
  for (int64_t i = 0; i < t->n_columns && !err; i++)
    if (t->columns[i].values) sort_values(&t->columns[i], t->n_rows);
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

/* -- fill ---------------------------------------------------------------------------- */

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
    err = copy && !name.failed ? names_add(&out->feature_names, name.data, name.n_bytes, fault)
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
    if (column->target || column->ignored) continue;
    bool one_hot = is_one_hot(t, column);
    if (one_hot && column->n_values > ONE_HOT_MAX)
      return fault_set(fault, ERR_DATA, "column %lld (\"%s\") has %lld different values, "
                       "allowed: %d with a feature for each; encoding = \"code\" makes it "
                       "one", (long long)(i + 1), column->name,
                       (long long)column->n_values, ONE_HOT_MAX);
    column->place = t->n_features;
    t->n_features += one_hot ? column->n_values : 1;
    Err err = name_features(column, one_hot, out, fault);
    if (err) return err;
  }
  if (t->n_features > 0 || t->n_rows == 0) return ERR_OK;
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
    return fault_set(fault, ERR_DATA, "column \"%s\" holds classes, and is one of %lld "
                     "targets; allowed: one target of classes, or several of numbers",
                     classes->name, (long long)n_targets);
  Shape shape = n_targets == 1 ? SHAPE_OF(t->n_rows) : SHAPE_OF(t->n_rows, n_targets);
  out->y = tensor_new(memory, classes ? DT_INT32 : DT_REAL, &shape, fault);
  if (!out->y) return ERR_MEMORY;
  return classes ? name_classes(classes, out, fault) : ERR_OK;
}

static Err fill(Table *t, int64_t row, int64_t i, const CsvField *f, Fault *fault) {
  (void)fault;
  Rows *out = t->out;
  const Column *column = &t->columns[i];
  if (column->ignored) return ERR_OK;
  double value = 0;
  if (column->categorical) value = (double)code_of(column, f) + 1;
  else must(csv_number(f, &value));
  if (column->target) {
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
  Err err = place_features(t, out, fault);
  if (!err) err = new_targets(t, out, memory, fault);
  int64_t n_bytes = 0;
  if (!err && __builtin_mul_overflow(most(t->n_rows, 1) * (int64_t)sizeof(real),
                                     t->n_features, &n_bytes))
    n_bytes = INT64_MAX;
  if (!err) err = memory_holds(n_bytes, fault);
  if (err) return err;
  out->x = tensor_new(memory, DT_REAL, &SHAPE_OF(t->n_rows, t->n_features), fault);
  if (!out->x) return fault->code;
  memset(out->x->a.data, 0, (size_t)tensor_count(out->x) * sizeof(real));
  return walk_rows(t, fill, fault);
}

Err csv_parse(Source *source, Input *in, Rows *out, Fault *fault) {
  Table t = {.csv = (const Csv *)source, .out = out};
  Err err = plain_read(in, &t.text, fault);
  if (!err) err = read_first_row(&t, fault);
  if (!err) err = mark_columns(&t, fault);
  if (!err) err = walk_rows(&t, survey, fault);
  if (!err) err = find_categories(&t, fault);
  if (!err) err = fill_rows(&t, source->memory, fault);
  table_deinit(&t);
  return err;
}

/* -- the kind ------------------------------------------------------------------------ */

static Err csv_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return source_read(source, ((Csv *)source)->path, csv_parse, out, fault);
}

static Err csv_check(Object *object, Fault *fault) {
  const char *d = ((Csv *)object)->delimiter;
  if (strlen(d) == 1 && !strchr("\"\r\n.+-", *d) && !(*d >= '0' && *d <= '9'))
    return ERR_OK;
  return fault_set(fault, ERR_VALUE, "data.csv: option \"delimiter\": got \"%s\", allowed: "
                   "one character, as \",\" \";\" \"\\t\"", d);
}

static const char *const header_names[] = {"auto", "true", "false", NULL};
static const char *const encoding_names[] = {"onehot", "code", NULL};

#define AT(field) .offset = offsetof(Csv, field)

static const Option csv_options[] = {
    {.name = "path", .kind = OPT_TEXT, AT(path), .position = 1,
     .doc = "file of rows, plain or gzipped, in UTF-8; every value must be there"},
    {.name = "target", .kind = OPT_TEXTS, AT(target),
     .doc = "column of y, by name or number (-1: the last): names become labels of the "
            "classes, in sorted order; numbers are numbers. Several: y is [n, targets]"},
    {.name = "header", .kind = OPT_CHOICE, AT(header), .value = "auto",
     .choices = header_names,
     .doc = "does the first row hold names? auto: it does when none of it is a number, or "
            "when an option names one of its fields"},
    {.name = "categorical", .kind = OPT_TEXTS, AT(categorical),
     .doc = "columns whose values are names, also where they look like numbers"},
    {.name = "ignore", .kind = OPT_TEXTS, AT(ignore), .doc = "columns to leave out"},
    {.name = "encoding", .kind = OPT_CHOICE, AT(encoding), .value = "onehot",
     .choices = encoding_names,
     .doc = "categorical features: one feature of 0 or 1 for each value, or one feature "
            "with its code, from 1, in sorted order"},
    {.name = "delimiter", .kind = OPT_TEXT, AT(delimiter), .value = ",", .alias = "sep",
     .doc = "one character"},
    {0}};

const SourceKind csv_kind = {
    .kind = {.name = "csv",
             .family = &dataset_family,
             .size = sizeof(Csv),
             .options = csv_options,
             .check = csv_check,
             .deinit = source_deinit,
             .doc = "a table in comma-separated text: x [n, features], y of the target. "
                    "Sorted is by bytes, or by value where all are numbers",
             .source = "RFC 4180"},
    .load = csv_load};
