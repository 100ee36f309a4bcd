/* table.c: tables of text: widths first, then the lines. */
#include "lab/table.h"
#include "base/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, CUT_MIN = 6 };   /* blanks between columns; narrowest column that is cut */

void table_column(Table *table, const char *title, TableAlign align, int rank) {
  must(table->n_columns < TABLE_COLUMNS_MAX && table->n_cells == table->n_columns);
  table->align[table->n_columns] = align;
  table->rank[table->n_columns++] = rank;
  table_add(table, title);
}

void table_add(Table *table, const char *cell) {
  text_add_clean(&table->cells, cell);
  text_add_bytes(&table->cells, "", 1);
  table->n_cells++;
}

void table_addf(Table *table, const char *format, ...) {
  char buffer[512];
  va_list args;
  va_start(args, format);
  vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  table_add(table, buffer);
}

void table_deinit(Table *table) {
  text_deinit(&table->cells);
  *table = (Table){0};
}

/* Adds n_bytes of a word, blanks for its no-break spaces. */
static void add_word(Text *out, const char *word, size_t n_bytes) {
  for (size_t i = 0; i < n_bytes;) {
    bool no_break = (unsigned char)word[i] == 0xC2 && (unsigned char)word[i + 1] == 0xA0;
    text_add_bytes(out, no_break ? " " : word + i, 1);
    i += no_break ? 2 : 1;
  }
}

static int bytes_columns(const char *bytes, size_t n_bytes) {
  int n = 0;
  for (size_t i = 0; i < n_bytes; i++) n += ((unsigned char)bytes[i] & 0xC0) != 0x80;
  return n;
}

int text_columns(const char *text) { return bytes_columns(text, strlen(text)); }

void text_add_wrapped(Text *out, const char *text, int used, int indent, int width) {
  bool begun = false;
  for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
    size_t n_bytes = strcspn(text, " ");
    int columns = bytes_columns(text, n_bytes);
    if (begun && used + 1 + columns > width) {
      text_addf(out, "\n%*s", indent, "");
      used = indent;
    } else if (begun) {
      text_add(out, " ");
      used++;
    }
    add_word(out, text, n_bytes);
    used += columns;
    text += n_bytes;
    begun = true;
  }
  text_add(out, "\n");
}

bool level_is_word(const char *level) {
  char *end;
  if ((*level >= 'a' && *level <= 'z') || (*level >= 'A' && *level <= 'Z'))
    return !text_has_word("true false none yes no on off", level);
  strtod(level, &end);
  return *end != 0;
}

void text_add_level(Text *out, const char *factor, const char *level) {
  if (level_is_word(level)) text_add(out, level);
  else text_addf(out, "%s=%s", factor, level);
}

/* -- layout -------------------------------------------------------------------------- */

typedef struct Layout {
  int width[TABLE_COLUMNS_MAX];    /* 0: the column is not shown */
} Layout;

/* The widest of each column; columns without any text below the title get 0. */
static Layout natural(const Table *table) {
  Layout layout = {{0}};
  bool used[TABLE_COLUMNS_MAX] = {false};
  const char *cell = table->cells.data;
  for (int64_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
    int column = (int)(i % table->n_columns), n = text_columns(cell);
    if (n > layout.width[column]) layout.width[column] = n;
    if (i >= table->n_columns && n > 0) used[column] = true;
  }
  for (int c = 0; c < table->n_columns; c++)
    if (!used[c]) layout.width[c] = 0;
  return layout;
}

static int total(const Table *table, const Layout *layout) {
  int sum = 0;
  for (int c = 0; c < table->n_columns; c++)
    if (layout->width[c] > 0) sum += layout->width[c] + (sum > 0 ? GAP : 0);
  return sum;
}

/* The columns of ranks up to 0, then those of each further rank that still fit. */
static Layout fitting(const Table *table, int width) {
  Layout all = natural(table), layout = {{0}};
  int highest = 0;
  for (int c = 0; c < table->n_columns; c++)
    if (table->rank[c] > highest) highest = table->rank[c];
  for (int rank = 0; rank <= highest; rank++) {
    Layout more = layout;
    for (int c = 0; c < table->n_columns; c++)
      if (table->rank[c] == rank || (rank == 0 && table->rank[c] < 0))
        more.width[c] = all.width[c];
    if (rank == 0 || total(table, &more) <= width) layout = more;
  }
  return layout;
}

/* Takes a column off the widest left-aligned one of that rank or a higher; false if all are
 * as narrow as may be. */
static bool cut_one(const Table *table, Layout *layout, int rank) {
  int widest = -1;
  for (int c = 0; c < table->n_columns; c++)
    if (table->align[c] == TABLE_LEFT && table->rank[c] >= rank &&
        layout->width[c] > CUT_MIN &&
        (widest < 0 || layout->width[c] > layout->width[widest]))
      widest = c;
  if (widest >= 0) layout->width[widest]--;
  return widest >= 0;
}

/* Leaves out the last column that may go, a left-aligned one if there is any; false if no
 * column stays for which it would make room. */
static bool drop_one(const Table *table, Layout *layout) {
  bool any_first = false;
  int last[2] = {-1, -1};    /* by alignment */
  for (int c = 0; c < table->n_columns; c++) {
    any_first |= table->rank[c] < 0;
    if (table->rank[c] >= 0 && layout->width[c] > 0) last[table->align[c]] = c;
  }
  int dropped = last[last[TABLE_LEFT] >= 0 ? TABLE_LEFT : TABLE_RIGHT];
  if (!any_first || dropped < 0) return false;
  layout->width[dropped] = 0;
  return true;
}

/* As narrow as wanted, if that can be: what is left out makes room for what was cut. */
static Layout fitted(const Table *table, int width) {
  Layout whole = fitting(table, width), layout = whole;
  while (total(table, &layout) > width) {
    if (cut_one(table, &layout, 0)) continue;
    if (drop_one(table, &whole)) layout = whole;
    else if (!cut_one(table, &layout, TABLE_FIRST)) break;
  }
  return layout;
}

/* Adds the text in `width` columns, cut if it is longer. */
static void add_cell(const char *text, TableAlign align, int width, Text *out) {
  int columns = text_columns(text);
  if (columns <= width) {
    if (align == TABLE_RIGHT) text_addf(out, "%*s", width - columns, "");
    text_add(out, text);
    if (align == TABLE_LEFT) text_addf(out, "%*s", width - columns, "");
    return;
  }
  const char *end = text;
  for (int n = 0; n < width - 2; n++)
    do end++; while (((unsigned char)*end & 0xC0) == 0x80);
  text_add_bytes(out, text, (size_t)(end - text));
  text_add(out, "..");
}

static void end_line(Text *out) {
  while (out->n_bytes > 0 && out->data[out->n_bytes - 1] == ' ') out->n_bytes--;
  text_add(out, "\n");
}

void table_write(const Table *table, int width, int indent, Text *out) {
  if (table->cells.failed) out->failed = true;
  if (out->failed || table->n_cells == table->n_columns) return;
  must(table->n_cells % table->n_columns == 0);
  Layout layout = fitted(table, width - indent);
  const char *cell = table->cells.data;
  for (int64_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
    int c = (int)(i % table->n_columns);
    if (c == 0) text_addf(out, "%*s", indent, "");
    if (layout.width[c] > 0) {
      add_cell(cell, table->align[c], layout.width[c], out);
      text_addf(out, "%*s", GAP, "");
    }
    if (c == table->n_columns - 1) end_line(out);
  }
}
