/* csv.h: the rows and fields of comma-separated text (RFC 4180).
 *
 * Fields are separated by one character and may stand in double quotes, in which line
 * ends, the separator and "" for a quote are text. Lines end in \n, \r\n or \r. Blanks
 * around a field do not count unless they are quoted; lines of blanks alone are left
 * out. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/fault.h"
#include "base/text.h"
#include <stdint.h>

typedef struct CsvCursor {
  const char *at, *end; /* borrowed */
  char delimiter;
  int64_t line; /* from 1 */
} CsvCursor;

typedef struct CsvField {
  const char *at; /* borrowed from the text */
  size_t n_bytes;
  bool doubled; /* holds "" for " */
  bool last;    /* of its row */
  int64_t line;
} CsvField;

/* Is there another row? Goes to its beginning. */
bool csv_more(CsvCursor *cursor);
/* The next field of the row. A quote without its end is ERR_DATA. */
Err csv_next(CsvCursor *cursor, CsvField *out, Fault *fault) WARN_UNUSED;

/* Order of two fields' texts, bytewise. */
int csv_compare(const CsvField *a, const CsvField *b);
/* The text, terminated, cut to n_bytes - 1 bytes. Writes to and returns `buffer`. */
char *csv_copy(const CsvField *field, char *buffer, size_t n_bytes);
/* Is it a decimal number, as 5, -0.25 or 1e-3? */
bool csv_number(const CsvField *field, double *out);

/* Adds a field, in quotes where it needs them. */
void csv_add_field(Text *line, const char *field);

/* A table, read whole. */
typedef struct CsvTable {
  int n_columns;
  int64_t n_rows;
  char **cells; /* the header, then the rows; unquoted */
  /* private */
  Text bytes;
} CsvTable;

/* Reads a file of ours. A row with fewer or more fields than the header, or an unclosed
 * quote, ends the table: what was written while a program died. ERR_STORAGE. */
Err csv_read(CsvTable *out, const char *path, Fault *fault) WARN_UNUSED;
void csv_deinit(CsvTable *csv);

const char *csv_column(const CsvTable *csv, int column);
const char *csv_cell(const CsvTable *csv, int64_t row, int column); /* row from 0 */

#endif
