/* csv.c: comma-separated text; see csv.h. */
#include "base/csv.h"
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
