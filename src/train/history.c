/* history.c: the table of what a fit measured; see history.h. */
#include "train/history.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void history_deinit(History *history) {
  for (int i = 0; i < history->n_columns; i++) free(history->column[i].v);
  free(history->column);
  free(history->test);
  probe_log_deinit(&history->probes);
  *history = (History){0};
}

int history_find(const History *history, const char *column) {
  for (int i = 0; i < history->n_columns; i++)
    if (strcmp(history->column[i].name, column) == 0) return i;
  return -1;
}

/* Columns are few and added once: one more each time. */
Err history_column(History *history, const char *name, Fault *fault) {
  if (history_find(history, name) >= 0) return ERR_OK;
  must(history->n_rows == 0);
  size_t n_bytes = ((size_t)history->n_columns + 1) * sizeof *history->column;
  HistoryColumn *larger = realloc(history->column, n_bytes);
  if (!larger) return fault_memory(fault, n_bytes);
  history->column = larger;
  HistoryColumn *column = &history->column[history->n_columns++];
  *column = (HistoryColumn){0};
  snprintf(column->name, sizeof column->name, "%s", name);
  return ERR_OK;
}

Err history_row(History *history, Fault *fault) {
  if (history->n_rows == history->capacity) {
    int64_t wanted = history->capacity ? 2 * history->capacity : 32;
    for (int i = 0; i < history->n_columns; i++) {
      size_t n_bytes = (size_t)wanted * sizeof(double);
      double *larger = realloc(history->column[i].v, n_bytes);
      if (!larger) return fault_memory(fault, n_bytes);
      history->column[i].v = larger;
    }
    history->capacity = wanted;
  }
  for (int i = 0; i < history->n_columns; i++)
    history->column[i].v[history->n_rows] = NAN;
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
  size_t n_bytes = ((size_t)history->n_test + 1) * sizeof *history->test;
  HistoryTest *larger = realloc(history->test, n_bytes);
  if (!larger) return fault_memory(fault, n_bytes);
  history->test = larger;
  HistoryTest *test = &history->test[history->n_test++];
  snprintf(test->name, sizeof test->name, "%s", name);
  test->value = value;
  return ERR_OK;
}
