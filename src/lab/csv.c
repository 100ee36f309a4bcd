/* csv.c: tables of our own in CSV; see csv.h. Fields are unquoted in place. */
#include "lab/csv.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

enum { CSV_LIMIT = 1 << 30 };

/* Reads the field at *at, terminates it and moves *at behind its comma or line end. *end is
 * what ended it: ',' '\n', or 0 where the text ends in it. */
static char *read_field(char **at, char *end) {
  char *field = *at, *to = *at, *from = *at;
  bool quoted = false;
  for (; *from && (quoted || (*from != ',' && *from != '\n')); from++) {
    if (*from != '"') {
      if (*from != '\r' || quoted) *to++ = *from;
    } else if (quoted && from[1] == '"') {
      *to++ = *from++;
    } else {
      quoted = !quoted;
    }
  }
  *end = *from;
  *at = *from ? from + 1 : from;
  *to = 0;
  return field;
}

static bool add_cell(Csv *csv, size_t *n, size_t *capacity, char *cell) {
  if (*n == *capacity) {
    size_t wanted = *capacity ? 2 * *capacity : 256;
    char **cells = realloc(csv->cells, wanted * sizeof *cells);
    if (!cells) return false;
    csv->cells = cells;
    *capacity = wanted;
  }
  csv->cells[(*n)++] = cell;
  return true;
}

/* One line of fields; false on lack of memory. *whole: it has an end and as many fields as
 * the header. */
static bool read_line(Csv *csv, char **at, size_t *n, size_t *capacity, bool *whole) {
  char end = ',';
  int fields = 0;
  for (; end == ','; fields++)
    if (!add_cell(csv, n, capacity, read_field(at, &end))) return false;
  if (csv->n_columns == 0) csv->n_columns = fields;
  *whole = end == '\n' && fields == csv->n_columns;
  return true;
}

static Err read_rows(Csv *csv, Fault *fault) {
  size_t n = 0, capacity = 0;
  bool whole = true;
  for (char *at = csv->bytes.data; whole && *at; csv->n_rows++) {
    if (!read_line(csv, &at, &n, &capacity, &whole)) return fault_memory(fault, capacity);
    if (!whole) csv->n_rows--;
  }
  csv->n_rows = csv->n_rows > 0 ? csv->n_rows - 1 : 0;   /* without the header */
  return ERR_OK;
}

Err csv_read(Csv *out, const char *path, Fault *fault) {
  *out = (Csv){0};
  Err err = file_read(path, CSV_LIMIT, &out->bytes, fault);
  if (err == ERR_DATA) err = fault->code = ERR_STORAGE;   /* a file of ours */
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
