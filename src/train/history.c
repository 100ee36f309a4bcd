/* history.c: the table of what a fit measured; see history.h. */
#include "train/history.h"
#include "base/array.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void history_deinit(History *history) {
  for (int i = 0; i < history->n_columns; i++) free(history->column[i].v);
  free(history->column);
  free(history->test);
  for (int i = 0; i < history->n_tables; i++) tensor_release(history->table[i].value);
  free(history->table);
  probe_log_deinit(&history->probes);
  *history = (History){0};
}

int history_find(const History *history, const char *column) {
  for (int i = 0; i < history->n_columns; i++)
    if (strcmp(history->column[i].name, column) == 0) return i;
  return -1;
}

Err history_column(History *history, const char *name, Fault *fault) {
  if (history_find(history, name) >= 0) return ERR_OK;
  must(history->n_rows == 0);
  Err err = ARRAY_ROOM(history->column, history->column_room, history->n_columns + 1,
                       fault);
  if (err) return err;
  HistoryColumn *column = &history->column[history->n_columns++];
  *column = (HistoryColumn){0};
  snprintf(column->name, sizeof column->name, "%s", name);
  return ERR_OK;
}

Err history_row(History *history, Fault *fault) {
  for (int i = 0; i < history->n_columns; i++) {
    HistoryColumn *column = &history->column[i];
    Err err = ARRAY_ROOM(column->v, column->room, history->n_rows + 1, fault);
    if (err) return err;
    column->v[history->n_rows] = NAN;
  }
  history->n_rows++;
  return ERR_OK;
}

void history_set(History *history, const char *name, double value) {
  int i = history_find(history, name);
  must(i >= 0 && history->n_rows > 0);
  history->column[i].v[history->n_rows - 1] = value;
}

double history_get(const History *history, const char *column, int64_t row) {
  int i = history_find(history, column);
  return i >= 0 && row >= 0 && row < history->n_rows ? history->column[i].v[row] : NAN;
}

Err history_test(History *history, const char *name, double value, Fault *fault) {
  Err err = ARRAY_ROOM(history->test, history->test_room, history->n_test + 1, fault);
  if (err) return err;
  HistoryTest *test = &history->test[history->n_test++];
  snprintf(test->name, sizeof test->name, "%s", name);
  test->value = value;
  return ERR_OK;
}

Err history_table(History *history, const char *name, const char *const *columns,
                  Tensor *value, Fault *fault) {
  Err err = ARRAY_ROOM(history->table, history->table_room, history->n_tables + 1,
                       fault);
  if (err) return err;
  HistoryTable *table = &history->table[history->n_tables++];
  *table = (HistoryTable){.columns = columns, .value = tensor_retain(value)};
  snprintf(table->name, sizeof table->name, "%s", name);
  return ERR_OK;
}
