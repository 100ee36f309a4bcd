/* csv_survey.c: what a table's columns hold, before anything is made of it. */
#include "base/array.h"
#include "data/csv_table.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const missing_texts[] = {"NA", "NaN", "nan", "null", "?"};
enum { LONGEST = 4 };

static bool is_text(const CsvField *f, const char *text) {
  return csv_compare(f, &(CsvField){.at = text, .n_bytes = strlen(text)}) == 0;
}

bool csv_is_missing(const Table *t, const CsvField *f) {
  const TextList *list = &t->csv->na_values;
  if (f->n_bytes == 0) return true;
  if (list->n == 0 && f->n_bytes > LONGEST) return false;
  for (size_t i = 0; !list->n && i < sizeof missing_texts / sizeof *missing_texts; i++)
    if (is_text(f, missing_texts[i])) return true;
  for (int i = 0; i < list->n; i++) {
    double number;
    if (is_text(f, list->v[i])) return true;
    if (list->number[i] && csv_number(f, &number) && number == strtod(list->v[i], NULL))
      return true;
  }
  return false;
}

/* -- one field --------------------------------------------------------------------- */

static Err drop_row(Table *t, int64_t row, Fault *fault) {
  if (t->n_dropped > 0 && t->dropped[t->n_dropped - 1] == row) return ERR_OK;
  Err err = ARRAY_ROOM(t->dropped, t->dropped_room, t->n_dropped + 1, fault);
  if (!err) t->dropped[t->n_dropped++] = row;
  return err;
}

static Err look_at(Table *t, int64_t row, int64_t i, const CsvField *f, Fault *fault) {
  Column *column = &t->columns[i];
  double number;
  if (column->ignored) return ERR_OK;
  if (csv_is_missing(t, f)) {
    if (column->n_missing++ == 0) column->missing_line = f->line;
    return t->csv->missing == MISSING_DROP ? drop_row(t, row, fault) : ERR_OK;
  }
  if (column->sequence || column->categorical) return ERR_OK;
  if (csv_is_series(t, column)) return csv_look_at_series(t, row, i, f, fault);
  if (!csv_number(f, &number)) {
    if (column->n_names++ == 0) column->name_seen = *f;
    return ERR_OK;
  }
  column->n_numbers++;
  if (real_holds(number) && isfinite(number)) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "line %lld, column %lld (\"%s\"): the number is too large",
                   (long long)f->line, (long long)(i + 1), column->name);
}

/* -- what cannot be used ----------------------------------------------------------- */

/* Names where numbers are wanted: a target of names alone is one of classes. */
static bool has_odd_names(const Column *column) {
  return column->n_names > 0 && (!column->target || column->n_numbers > 0);
}

/* Is there no mean that could stand for its missing values? */
static bool has_no_mean(const Table *t, const Column *column) {
  bool coded = column->categorical && t->csv->encoding == ENCODE_CODE;
  return column->target || column->weight || column->sequence || coded ||
         column->n_missing == t->n_rows;
}

static bool has_odd_gaps(const Table *t, const Column *column) {
  if (column->n_missing == 0 || t->csv->missing == MISSING_DROP) return false;
  return t->csv->missing == MISSING_ERROR || has_no_mean(t, column);
}

/* Of all the columns, for the hints behind them. */
typedef struct Problems {
  int n, n_told;
  bool gaps, no_mean, names;
  Text text, list; /* what is wrong; columns with names, as a list in Lua */
} Problems;

enum { TOLD = 12 };

static void describe_column(const Table *t, const Column *column, Problems *p) {
  char shown[SHOWN];
  Text *out = &p->text;
  text_addf(out, "%scolumn %lld (\"%.*s\"): ", p->n_told++ ? "; " : "",
            (long long)(column - t->columns + 1), SHOWN, column->name);
  if (has_odd_gaps(t, column))
    text_addf(out, "%lld of %lld values missing, the first in line %lld%s%s",
              (long long)column->n_missing, (long long)t->n_rows,
              (long long)column->missing_line, column->target ? " (a target)" : "",
              has_odd_names(column) ? ", and " : "");
  if (!has_odd_names(column)) return;
  csv_copy(&column->name_seen, shown, sizeof shown);
  text_addf(out, "text in %lld of %lld rows%s, the first \"%s\" in line %lld",
            (long long)column->n_names, (long long)t->n_rows,
            column->n_numbers ? " among numbers" : "", shown,
            (long long)column->name_seen.line);
  text_addf(&p->list, "%s\"%.*s\"", p->list.n_bytes ? ", " : "", SHOWN, column->name);
}

static void add_hints(const Table *t, Problems *p) {
  if (p->n > p->n_told) text_addf(&p->text, "; and %d columns more", p->n - p->n_told);
  if (p->names)
    text_addf(&p->text,
              "; categorical = {%s} codes names, ignore = {%s} leaves columns out",
              p->list.data ? p->list.data : "", p->list.data ? p->list.data : "");
  if (p->gaps && !p->no_mean)
    text_add(&p->text,
             "; missing = \"drop\" leaves such rows out, \"mean\" fills in the mean of "
             "the rows that are trained on");
  if (p->gaps && p->no_mean)
    text_add(&p->text, "; targets, weights, codes and empty columns have no mean: "
                       "missing = \"drop\" "
                       "leaves such rows out");
  csv_hint_delimiter(t, &p->text);
}

static Err judge_columns(const Table *t, Fault *fault) {
  Problems p = {0};
  for (int64_t i = 0; i < t->n_columns; i++) {
    const Column *column = &t->columns[i];
    bool gaps = has_odd_gaps(t, column), names = has_odd_names(column);
    if (!gaps && !names) continue;
    p.n++;
    p.gaps |= gaps;
    p.no_mean |= gaps && t->csv->missing == MISSING_MEAN;
    p.names |= names;
    if (p.n_told < TOLD) describe_column(t, column, &p);
  }
  Err err = ERR_OK;
  if (p.n > 0) {
    add_hints(t, &p);
    err = p.text.failed ? fault_memory(fault, FAULT_TEXT)
                        : fault_set(fault, ERR_DATA, "%s", p.text.data);
  }
  text_deinit(&p.text);
  text_deinit(&p.list);
  return err;
}

Err csv_survey(Table *t, Fault *fault) {
  Err err = csv_walk(t, look_at, fault);
  if (!err && t->n_rows == 0)
    err = fault_set(fault, ERR_DATA, "has a header and no rows");
  if (!err) err = judge_columns(t, fault);
  if (err) return err;
  t->surveyed = true;
  t->n_rows -= t->n_dropped;
  if (t->n_rows > 0) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "missing = \"drop\" leaves no row: in each of the %lld a value is "
                   "missing",
                   (long long)t->n_dropped);
}
