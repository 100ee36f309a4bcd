/* csv.h: tables of our own in CSV (RFC 4180), read whole. */
#ifndef LAB_CSV_H
#define LAB_CSV_H

#include "base/fault.h"
#include "base/text.h"

typedef struct Csv {
  int n_columns;
  int64_t n_rows;
  char **cells; /* the header, then the rows; unquoted */
  /* private */
  Text bytes;
} Csv;

/* A row with fewer or more fields than the header, or an unclosed quote, ends the
 * table: what was written while a program died. ERR_STORAGE. */
Err csv_read(Csv *out, const char *path, Fault *fault) WARN_UNUSED;
void csv_deinit(Csv *csv);

const char *csv_column(const Csv *csv, int column);
const char *csv_cell(const Csv *csv, int64_t row, int column); /* row from 0 */

#endif
