/* csv_table.h: one comma-separated table being read; private to the reader (csv.c,
 * csv_columns.c, csv_survey.c). */
#ifndef DATA_CSV_TABLE_H
#define DATA_CSV_TABLE_H

#include "base/record.h"
#include "base/text.h"
#include "base/csv.h"
#include "data/data.h"

typedef enum Header { HEADER_AUTO, HEADER_TRUE, HEADER_FALSE } Header;
typedef enum Encoding { ENCODE_ONE_HOT, ENCODE_CODE } Encoding;
typedef enum Missing { MISSING_ERROR, MISSING_DROP, MISSING_MEAN } Missing;

typedef struct Csv {
  Source source;
  char *path, *delimiter;
  TextList target, categorical, ignore, weight, na_values, sequence;
  char *inside;   /* what separates the steps in a field; NULL: it holds one number */
  bool each_step; /* of sequences: a target for each step */
  int header;     /* a Header */
  int encoding;   /* an Encoding */
  int missing;    /* a Missing */
} Csv;

enum { SHOWN = 40 }; /* bytes of a text in a message, with its end */

typedef struct Column {
  char *name;
  bool target, categorical, ignored, weight, sequence;
  int64_t place; /* among the targets, or first feature */
  /* found by the survey, over all rows */
  int64_t n_numbers, n_names, n_missing;
  CsvField name_seen;   /* the first text */
  int64_t missing_line; /* of the first missing value */
  CsvField *values;     /* of a category: of all rows, then the different ones */
  int64_t n_values;
  bool numeric; /* values are sorted as numbers */
} Column;

/* Of a row: the sequence, from 0, and its place there. While tables of series are
 * surveyed: the first column, and its number of steps. */
typedef struct CsvStep {
  int64_t sequence, place;
  int64_t line;
} CsvStep;

typedef struct Table {
  const Csv *csv;
  Text text;
  CsvCursor rows; /* at the first row of data */
  Column *columns;
  int64_t n_columns, column_room, n_features;
  int64_t n_rows; /* that are kept */
  int64_t *dropped, n_dropped,
      dropped_room; /* rows left out, by number among all, ascending */
  bool surveyed;    /* from then on walks leave them out */
  Rows *out;        /* borrowed */
  Vocabulary *ids;  /* of sequences, in the order in which they came; NULL: none */
  CsvStep *steps;
  int64_t n_steps_of, step_room; /* rows whose steps are noted */
  int64_t longest;               /* steps of the longest sequence that is kept */
} Table;

/* Calls `each` on the fields of every row that is kept; rows and columns from 0. */
typedef Err Each(Table *t, int64_t row, int64_t column, const CsvField *f,
                 Fault *fault);
Err csv_walk(Table *t, Each *each, Fault *fault) WARN_UNUSED;

/* Is it empty, or one of na_values? */
bool csv_is_missing(const Table *t, const CsvField *f);
/* Adds what to do about it; nothing where there is no guess. */
void csv_hint_delimiter(const Table *t, Text *out);

/* Columns from the first row, which may hold their names; then what the options say of
 * them. */
Err csv_read_columns(Table *t, Fault *fault) WARN_UNUSED;
Err csv_mark_columns(Table *t, Fault *fault) WARN_UNUSED;

/* Walks all rows: each has as many fields as the first, and every column in use holds
 * what it may. Rows to be dropped are noted. One fault names all columns that cannot be
 * used. */
Err csv_survey(Table *t, Fault *fault) WARN_UNUSED;

/* -- sequences (csv_sequences.c) --------------------------------------------------- */

/* Notes which sequence the row is a step of. */
Err csv_note_step(Table *t, int64_t row, const CsvField *f, Fault *fault) WARN_UNUSED;
/* The rows of `out`, noted so, as sequences. */
Err csv_fold(Table *t, MemoryCount *memory, Fault *fault) WARN_UNUSED;

/* Is the field numbers, with the separator of steps between them? */
bool csv_holds_numbers(const Table *t, const CsvField *f);
/* Do its fields hold a number for each step? */
bool csv_is_series(const Table *t, const Column *column);
/* They are numbers, as many as in the row's other columns. */
Err csv_look_at_series(Table *t, int64_t row, int64_t i, const CsvField *f,
                       Fault *fault) WARN_UNUSED;
/* After the survey: how many steps the longest of the rows has that are kept. */
void csv_end_series(Table *t);
void csv_fill_series(Table *t, int64_t row, const Column *column, const CsvField *f);

#endif
