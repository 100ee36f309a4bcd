/* csv.c: tables of our own in CSV; see csv.h. Fields are unquoted in place. */
#include "lab/csv.h"
#include "base/array.h"
#include "base/csv.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

enum { CSV_LIMIT = 1 << 30 };

/* The cells of a row, unquoted in place. *whole: it has an end, and as many of them as
 * the header. */
static Err read_row(Csv *csv, CsvCursor *at, int64_t *room, bool *whole, Fault *fault) {
  CsvField field = {0};
  Fault open = {0}; /* a quote that is not closed */
  int n = 0;
  for (int64_t k = csv->n_rows * csv->n_columns; !field.last; n++) {
    *whole = false;
    if (csv_next(at, &field, &open)) return ERR_OK;
    *whole = at->at[-1] == '\n'; /* which the last cell's end takes the place of */
    if (ARRAY_ROOM(csv->cells, *room, k + n + 1, fault)) return fault->code;
    char *cell = csv->cells[k + n] = csv->bytes.data + (field.at - csv->bytes.data);
    csv_copy(&field, cell, field.n_bytes + 1);
  }
  if (csv->n_columns == 0) csv->n_columns = n;
  *whole = *whole && n == csv->n_columns;
  return ERR_OK;
}

/* Counts the header first. */
static Err read_rows(Csv *csv, Fault *fault) {
  CsvCursor at = {csv->bytes.data, csv->bytes.data + csv->bytes.n_bytes, ',', 1};
  int64_t room = 0;
  bool whole = true;
  while (whole && csv_more(&at)) {
    if (read_row(csv, &at, &room, &whole, fault)) return fault->code;
    csv->n_rows += whole;
  }
  csv->n_rows = csv->n_rows > 0 ? csv->n_rows - 1 : 0;
  return ERR_OK;
}

Err csv_read(Csv *out, const char *path, Fault *fault) {
  *out = (Csv){0};
  Err err = file_read(path, CSV_LIMIT, &out->bytes, fault);
  if (err == ERR_DATA) err = fault->code = ERR_STORAGE; /* a file of ours */
  if (!err && out->bytes.n_bytes) err = read_rows(out, fault);
  if (err) csv_deinit(out);
  return err;
}

void csv_deinit(Csv *csv) {
  free(csv->cells);
  text_deinit(&csv->bytes);
  *csv = (Csv){0};
}

const char *csv_column(const Csv *csv, int column) {
  must(column >= 0 && column < csv->n_columns);
  return csv->cells[column];
}

const char *csv_cell(const Csv *csv, int64_t row, int column) {
  must(row >= 0 && row < csv->n_rows && column >= 0 && column < csv->n_columns);
  return csv->cells[(row + 1) * csv->n_columns + column];
}
