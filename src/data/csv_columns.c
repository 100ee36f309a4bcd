/* csv_columns.c: the columns of a table: their names, and what the options say of them.
 *
 * An option names a column by a text, its name, or by a number, its place: never one
 * for the other, since names may look like numbers (2019, 2020). */
#include "base/array.h"
#include "base/ints.h"
#include "data/csv_table.h"
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 1000000 };

/* -- the first row ----------------------------------------------------------------- */

static Err add_column(Table *t, const CsvField *f, Fault *fault) {
  if (t->n_columns == COLUMNS_MAX)
    return fault_set(fault, ERR_DATA, "line %lld: more than %d columns",
                     (long long)f->line, COLUMNS_MAX);
  Err err = ARRAY_ROOM(t->columns, t->column_room, t->n_columns + 1, fault);
  if (err) return err;
  Column *column = &t->columns[t->n_columns];
  *column = (Column){.name = malloc(f->n_bytes + 1)};
  if (!column->name) return fault_memory(fault, f->n_bytes);
  csv_copy(f, column->name, f->n_bytes + 1);
  t->n_columns++;
  return ERR_OK;
}

static bool is_listed(const TextList *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (!list->number[i] && strcmp(list->v[i], name) == 0) return true;
  return false;
}

/* Is the first row one of names? It is when an option names one of its fields, or it
 * has some text and no number. */
static bool has_header(const Table *t, bool any_number) {
  const Csv *csv = t->csv;
  if (csv->header != HEADER_AUTO) return csv->header == HEADER_TRUE;
  bool any_name = false;
  for (int64_t i = 0; i < t->n_columns; i++) {
    const char *name = t->columns[i].name;
    any_name |= *name != 0;
    if (is_listed(&csv->target, name) || is_listed(&csv->categorical, name) ||
        is_listed(&csv->ignore, name) || is_listed(&csv->weight, name) ||
        is_listed(&csv->sequence, name))
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

Err csv_read_columns(Table *t, Fault *fault) {
  CsvCursor begin = {t->text.data, t->text.data + t->text.n_bytes, *t->csv->delimiter,
                     1};
  if (!csv_more(&begin)) return fault_set(fault, ERR_DATA, "is empty");
  CsvCursor c = begin;
  CsvField f = {0};
  bool any_number = false;
  while (!f.last) {
    double number;
    Err err = csv_next(&c, &f, fault);
    if (!err) err = add_column(t, &f, fault);
    if (err) return err;
    any_number |= t->csv->inside ? csv_holds_numbers(t, &f) : csv_number(&f, &number);
  }
  bool named = has_header(t, any_number);
  t->rows = named ? c : begin;
  return name_columns(t, named, fault);
}

/* -- the separator ----------------------------------------------------------------- */

/* The character that seems to separate fields where the whole row was taken for one; 0.
 */
static char guess_delimiter(const Table *t) {
  static const char others[] = ";\t|,";
  const char *at = t->text.data, *end = at + t->text.n_bytes;
  if (t->n_columns != 1) return 0;
  for (int line = 0; at < end && line < 2; at++) {
    line += *at == '\n';
    if (*at && strchr(others, *at) && *at != *t->csv->delimiter) return *at;
  }
  return 0;
}

void csv_hint_delimiter(const Table *t, Text *out) {
  char guess = guess_delimiter(t);
  char shown[3] = {guess, 0};
  if (guess)
    text_addf(out, "; the file seems to be separated by \"%s\": delimiter = \"%s\"",
              guess == '\t' ? "\\t" : shown, guess == '\t' ? "\\t" : shown);
}

/* -- columns by name and by place -------------------------------------------------- */

static bool looks_like_number(const char *text) {
  double number;
  return csv_number(&(CsvField){.at = text, .n_bytes = strlen(text)}, &number);
}

static Err no_column(const Table *t, const char *option, const char *name,
                     Fault *fault) {
  const char *names[64];
  int n = (int)least(t->n_columns, 64);
  for (int i = 0; i < n; i++) names[i] = t->columns[i].name;
  const char *nearest = text_nearest(name, names, n);
  Text hint = {0};
  if (nearest) text_addf(&hint, "; did you mean \"%s\"?", nearest);
  if (looks_like_number(name))
    text_addf(&hint, "; a number, without quotes, is a place");
  if (t->n_columns == 1)
    text_addf(&hint, "; there is one column, \"%.100s\"", t->columns[0].name);
  else
    text_addf(&hint, "; there are %lld columns, the first is \"%.100s\"",
              (long long)t->n_columns, t->columns[0].name);
  csv_hint_delimiter(t, &hint);
  Err err = fault_set(fault, ERR_VALUE, "option \"%s\": no column \"%s\"%s", option,
                      name, hint.failed ? "" : hint.data);
  text_deinit(&hint);
  return err;
}

/* A name that two columns have names neither. */
static Err column_named(Table *t, const char *option, const char *name, Column **out,
                        Fault *fault) {
  for (int64_t i = 0; i < t->n_columns; i++) {
    if (strcmp(t->columns[i].name, name) != 0) continue;
    if (*out)
      return fault_set(fault, ERR_DATA,
                       "option \"%s\": columns %lld and %lld are both called \"%s\"; "
                       "the place says which, as in %s = %lld",
                       option, (long long)(*out - t->columns + 1), (long long)(i + 1),
                       name, option, (long long)(i + 1));
    *out = &t->columns[i];
  }
  return *out ? ERR_OK : no_column(t, option, name, fault);
}

/* Places count from 1, negative ones from the end. */
static Err column_at(Table *t, const char *option, const char *text, Column **out,
                     Fault *fault) {
  char *end;
  long long number = strtoll(text, &end, 10);
  int64_t i = number < 0 ? t->n_columns + number : number - 1;
  if (!*end && number != 0 && i >= 0 && i < t->n_columns) {
    *out = &t->columns[i];
    return ERR_OK;
  }
  Text hint = {0};
  csv_hint_delimiter(t, &hint);
  Err err = fault_set(fault, ERR_VALUE,
                      "option \"%s\": no column %s; allowed: 1 to %lld, or negative "
                      "from the end%s",
                      option, text, (long long)t->n_columns,
                      hint.data ? hint.data : "");
  text_deinit(&hint);
  return err;
}

/* Marks the columns of an option's list, each of which may be there once. */
static Err mark_list(Table *t, const char *option, const TextList *list, size_t mark,
                     Fault *fault) {
  for (int i = 0; i < list->n; i++) {
    Column *column = NULL;
    Err err = (list->number[i] ? column_at : column_named)(t, option, list->v[i],
                                                           &column, fault);
    if (err) return err;
    must(column);
    /* cppcheck-suppress [nullPointerArithmetic] ; found, for there was no fault */
    bool *marked = (bool *)((char *)column + mark);
    if (*marked)
      return fault_set(fault, ERR_VALUE,
                       "option \"%s\": column %lld (\"%s\") is there twice", option,
                       (long long)(column - t->columns + 1), column->name);
    *marked = true;
    if (column->target && list == &t->csv->target) column->place = i;
  }
  return ERR_OK;
}

/* A column that is left out, holds weights or names sequences, is nothing else. */
static Err check_roles(const Column *column, Fault *fault) {
  const char *role[5];
  int n = 0;
  if (column->ignored) role[n++] = "ignored";
  if (column->weight) role[n++] = "the weight";
  if (column->sequence) role[n++] = "the sequence";
  if (n == 0) return ERR_OK;
  if (column->target) role[n++] = "a target";
  if (column->categorical) role[n++] = "categorical";
  if (n == 1) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "column \"%s\" is %s and %s", column->name,
                   role[0], role[1]);
}

Err csv_mark_columns(Table *t, Fault *fault) {
  const Csv *csv = t->csv;
  Err err = mark_list(t, "target", &csv->target, offsetof(Column, target), fault);
  if (!err)
    err = mark_list(t, "categorical", &csv->categorical, offsetof(Column, categorical),
                    fault);
  if (!err)
    err = mark_list(t, "ignore", &csv->ignore, offsetof(Column, ignored), fault);
  if (!err) err = mark_list(t, "weight", &csv->weight, offsetof(Column, weight), fault);
  if (!err)
    err = mark_list(t, "sequence", &csv->sequence, offsetof(Column, sequence), fault);
  for (int64_t i = 0; i < t->n_columns && !err; i++)
    err = check_roles(&t->columns[i], fault);
  return err;
}
