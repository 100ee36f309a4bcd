/* columns.h: which facts and fields of trials a table shows. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "base/json.h"

typedef struct Column {
  const char
      *kind; /* "factors" ..., borrowed; NULL: a fact; "metrics": of the epochs */
  char *key;
  char *title; /* the key; where a fact or a column before it has that name, as filters
                  do, "values.loss" */
  bool real;   /* of the epochs: not all its cells are integers */
} Column;

typedef struct Columns {
  Column *v;
  int n;
  int64_t room;
} Columns;

void columns_deinit(Columns *columns);

/* Once: one that is there is not added again. */
Err columns_add(Columns *columns, const char *kind, const char *key,
                Fault *fault) WARN_UNUSED;
/* Of the fields `names` (QUERY_NAMES) of the rows: factors all, arguments where they
 * vary. */
Err columns_add_settings(Columns *columns, const Json *rows, const Json *names,
                         Fault *fault) WARN_UNUSED;

/* NULL: it is not there. */
Column *columns_find(const Columns *columns, const char *kind, const char *key);

/* The row's value there; NULL: none. */
const Json *column_value(const Column *column, const Json *row);

#endif
