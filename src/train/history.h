/* history.h: what a fit measured: a table with one row per finished epoch, the measures
 * of its test set, matrices and curves, and what its probes saw. Any number of columns,
 * which are fixed before the first row. */
#ifndef TRAIN_HISTORY_H
#define TRAIN_HISTORY_H

#include "tensor/tensor.h"
#include "train/probe_log.h"

enum { HISTORY_NAME = 48 };

typedef struct HistoryColumn {
  char name[HISTORY_NAME]; /* "epoch", "loss", "val_accuracy", "lr", "time_s" */
  double *v;               /* one per row */
  int64_t room;            /* of rows */
} HistoryColumn;

/* Measured once, after the last epoch. */
typedef struct HistoryTest {
  char name[HISTORY_NAME]; /* "test_loss" */
  double value;
} HistoryTest;

/* A matrix or curve, measured once, with the weights that the net ended with. */
typedef struct HistoryTable {
  char name[HISTORY_NAME];    /* "val_confusion_matrix" */
  const char *const *columns; /* NULL: of classes, as its rows (nn/metric.h) */
  Tensor *value;              /* retained */
} HistoryTable;

/* All zero is empty. */
typedef struct History {
  int n_columns;
  HistoryColumn *column;
  int64_t column_room, n_rows;
  int n_test;
  HistoryTest *test;
  int64_t test_room;
  int n_tables;
  HistoryTable *table;
  int64_t table_room;
  int64_t best_epoch; /* whose weights the net ends with; 0: the last */
  bool stopped;       /* by a callback, before the last epoch */
  ProbeLog probes;
} History;

void history_deinit(History *history);
/* Adds a column unless it is there. */
Err history_column(History *history, const char *name, Fault *fault) WARN_UNUSED;
/* Opens a row of NaN; history_set then fills its columns, which must be there. */
Err history_row(History *history, Fault *fault) WARN_UNUSED;
void history_set(History *history, const char *name, double value);
/* Index of a column, -1: none. */
int history_find(const History *history, const char *column);
/* Value of a column in a row (from 0); NaN when there is none. */
double history_get(const History *history, const char *column, int64_t row);
/* Adds a measure of the test set. */
Err history_test(History *history, const char *name, double value,
                 Fault *fault) WARN_UNUSED;
/* Adds a matrix or curve. */
Err history_table(History *history, const char *name, const char *const *columns,
                  Tensor *value, Fault *fault) WARN_UNUSED;

#endif
