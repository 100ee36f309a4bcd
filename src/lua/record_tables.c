/* record_tables.c: matrices and curves of a fit, as tables of a record: a line for each
 * row, below the names of its columns. One of classes has the class of the row in its
 * first column, those that it was taken for in the others. */
#include "base/csv.h"
#include "lua/run_record.h"
#include <stdio.h>

static void add_header(Text *csv, const HistoryTable *table) {
  const Shape *shape = &table->value->a.shape;
  if (!table->columns) text_add(csv, "class");
  for (int64_t c = 0; c < shape->dim[1]; c++) {
    if (c || !table->columns) text_add(csv, ",");
    if (table->columns) csv_add_field(csv, table->columns[c]);
    else text_addf(csv, "%lld", (long long)c + 1);
  }
  text_add(csv, "\n");
}

static void add_row(Text *csv, const HistoryTable *table, int64_t row) {
  const Array *a = &table->value->a;
  int64_t width = a->shape.dim[1];
  char number[40];
  if (!table->columns) text_addf(csv, "%lld", (long long)row + 1);
  for (int64_t c = 0; c < width; c++)
    text_addf(csv, "%s%s", c || !table->columns ? "," : "",
              text_number(number, array_get(a, row * width + c)));
  text_add(csv, "\n");
}

Err run_record_table(Trial *trial, int64_t fit, const HistoryTable *table,
                     Fault *fault) {
  char name[HISTORY_NAME + 40], number[24] = "";
  Text csv = {0};
  if (fit > 1) snprintf(number, sizeof number, "-%lld", (long long)fit);
  snprintf(name, sizeof name, "table%s.%s", number, table->name);
  add_header(&csv, table);
  for (int64_t row = 0; row < table->value->a.shape.dim[0]; row++)
    add_row(&csv, table, row);
  Err err = trial_table(trial, name, &csv, fault);
  text_deinit(&csv);
  return err;
}
