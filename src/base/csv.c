/* csv.c: comma-separated text; see csv.h. The fields of a table are unquoted in place.
 */
#include "base/csv.h"
#include "base/array.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

static bool is_blank(const CsvCursor *c, char byte) {
  return (byte == ' ' || byte == '\t') && byte != c->delimiter;
}

static bool at_line_end(const CsvCursor *c) {
  return c->at == c->end || *c->at == '\n' || *c->at == '\r';
}

static void skip_blanks(CsvCursor *c) {
  while (c->at < c->end && is_blank(c, *c->at)) c->at++;
}

static void skip_line_end(CsvCursor *c) {
  if (c->at == c->end) return;
  if (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n') c->at++;
  c->at++;
  c->line++;
}

bool csv_more(CsvCursor *c) {
  while (c->at < c->end) {
    CsvCursor line = *c;
    skip_blanks(&line);
    if (!at_line_end(&line)) return true;
    skip_line_end(&line);
    *c = line;
  }
  return false;
}

/* From behind the opening quote to behind the closing one. */
static Err quoted(CsvCursor *c, CsvField *out, Fault *fault) {
  out->at = c->at;
  for (;; c->at++) {
    if (c->at == c->end)
      return fault_set(fault, ERR_DATA, "line %lld: a quote is opened and never closed",
                       (long long)out->line);
    if (*c->at == '\n' || (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] != '\n')))
      c->line++;
    if (*c->at != '"') continue;
    if (c->at + 1 == c->end || c->at[1] != '"') break;
    out->doubled = true;
    c->at++;
  }
  out->n_bytes = (size_t)(c->at - out->at);
  c->at++;
  skip_blanks(c);
  if (at_line_end(c) || *c->at == c->delimiter) return ERR_OK;
  return fault_set(fault, ERR_DATA, "line %lld: text behind a closing quote",
                   (long long)c->line);
}

Err csv_next(CsvCursor *c, CsvField *out, Fault *fault) {
  *out = (CsvField){.line = c->line};
  skip_blanks(c);
  if (c->at < c->end && *c->at == '"') {
    c->at++;
    Err err = quoted(c, out, fault);
    if (err) return err;
  } else {
    out->at = c->at;
    while (!at_line_end(c) && *c->at != c->delimiter) c->at++;
    const char *end = c->at;
    while (end > out->at && is_blank(c, end[-1])) end--;
    out->n_bytes = (size_t)(end - out->at);
  }
  out->last = at_line_end(c);
  if (out->last) skip_line_end(c);
  else c->at++;
  return ERR_OK;
}

/* The byte at *at, which goes on behind it; -1 at the end. */
static int next_byte(const CsvField *f, size_t *at) {
  if (*at >= f->n_bytes) return -1;
  unsigned char byte = (unsigned char)f->at[*at];
  *at += byte == '"' && f->doubled ? 2 : 1;
  return byte;
}

int csv_compare(const CsvField *a, const CsvField *b) {
  size_t i = 0, j = 0;
  for (;;) {
    int p = next_byte(a, &i), q = next_byte(b, &j);
    if (p != q) return p < q ? -1 : 1;
    if (p < 0) return 0;
  }
}

char *csv_copy(const CsvField *field, char *buffer, size_t n_bytes) {
  size_t at = 0, n = 0;
  for (int byte; n + 1 < n_bytes && (byte = next_byte(field, &at)) >= 0;)
    buffer[n++] = (char)byte;
  buffer[n] = 0;
  return buffer;
}

/* strtod alone would take "inf", "nan" and "0x1p3", too. */
bool csv_number(const CsvField *field, double *out) {
  char text[400], *end;
  if (field->n_bytes == 0 || field->n_bytes >= sizeof text) return false;
  memcpy(text, field->at, field->n_bytes);
  text[field->n_bytes] = 0;
  if (text[strspn(text, "+-.0123456789eE")]) return false;
  *out = strtod(text, &end);
  return *end == 0;
}

/* -- writing ----------------------------------------------------------------------- */

void csv_add_field(Text *line, const char *field) {
  if (!strpbrk(field, ",\"\r\n")) {
    text_add(line, field);
    return;
  }
  text_add(line, "\"");
  for (; *field; field++) {
    if (*field == '"') text_add(line, "\"");
    text_add_bytes(line, field, 1);
  }
  text_add(line, "\"");
}

/* -- tables, read whole ------------------------------------------------------------ */

enum { CSV_LIMIT = 1 << 30 };

/* The cells of a row, unquoted in place. *whole: it has an end, and as many of them as
 * the header. */
static Err read_row(CsvTable *csv, CsvCursor *at, int64_t *room, bool *whole,
                    Fault *fault) {
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
static Err read_rows(CsvTable *csv, Fault *fault) {
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

Err csv_read(CsvTable *out, const char *path, Fault *fault) {
  *out = (CsvTable){0};
  Err err = file_read(path, CSV_LIMIT, &out->bytes, fault);
  if (err == ERR_DATA) err = fault->code = ERR_STORAGE; /* a file of ours */
  if (!err && out->bytes.n_bytes) err = read_rows(out, fault);
  if (err) csv_deinit(out);
  return err;
}

void csv_deinit(CsvTable *csv) {
  free(csv->cells);
  text_deinit(&csv->bytes);
  *csv = (CsvTable){0};
}

const char *csv_column(const CsvTable *csv, int column) {
  must(column >= 0 && column < csv->n_columns);
  return csv->cells[column];
}

const char *csv_cell(const CsvTable *csv, int64_t row, int column) {
  must(row >= 0 && row < csv->n_rows && column >= 0 && column < csv->n_columns);
  return csv->cells[(row + 1) * csv->n_columns + column];
}
