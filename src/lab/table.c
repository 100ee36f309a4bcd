/* table.c: tables of text: widths first, then the rows, each of as many lines as the cell that
 * is wrapped into the most. */
#include "lab/table.h"
#include "base/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, WRAP_MIN = 6 };  /* blanks between columns; narrowest column that is wrapped */

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

bool level_tells(const char *level, int n_factors) {
  return n_factors < 2 && level_is_word(level);
}

void text_add_level_of(Text *out, const char *factor, const char *level, int n_factors) {
  if (level_tells(level, n_factors)) text_add(out, level);
  else text_addf(out, "%s=%s", factor, level);
}

void text_add_level(Text *out, const char *factor, const char *level) {
  text_add_level_of(out, factor, level, 1);
}

/* -- layout -------------------------------------------------------------------------- */

typedef struct Layout {
  int width[TABLE_COLUMNS_MAX];    /* 0: the column is not shown */
} Layout;

static int longest_word(const char *text) {
  int longest = 0;
  for (; *text; text += strspn(text, " ")) {
    size_t n_bytes = strcspn(text, " ");
    int columns = bytes_columns(text, n_bytes);
    if (columns > longest) longest = columns;
    text += n_bytes;
  }
  return longest;
}

/* The widest of each column, as `measure` has it, with its title or without; columns without
 * any text below the title get 0. */
static Layout widest(const Table *table, int (*measure)(const char *text), bool titles) {
  Layout layout = {{0}};
  bool used[TABLE_COLUMNS_MAX] = {false};
  const char *cell = table->cells.data;
  for (int64_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
    int column = (int)(i % table->n_columns), n = measure(cell);
    bool counts = titles || i >= table->n_columns;
    if (counts && n > layout.width[column]) layout.width[column] = n;
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
  Layout all = widest(table, text_columns, true), layout = {{0}};
  int highest = 0;
  for (int c = 0; c < table->n_columns; c++)
    if (table->rank[c] > highest) highest = table->rank[c];
  for (int rank = 0; rank <= highest; rank++) {
    Layout more = layout;
    for (int c = 0; c < table->n_columns; c++)
      if (table->rank[c] == rank) more.width[c] = all.width[c];
    if (rank == 0 || total(table, &more) <= width) layout = more;
  }
  return layout;
}

/* Takes a column off the widest one so aligned that is wider than `least` has it; false if
 * none is. */
static bool narrow_one(const Table *table, TableAlign align, const Layout *least,
                       Layout *layout) {
  int found = -1;
  for (int c = 0; c < table->n_columns; c++)
    if (table->align[c] == align && (align == TABLE_RIGHT || layout->width[c] > WRAP_MIN) &&
        layout->width[c] > least->width[c] &&
        (found < 0 || layout->width[c] > layout->width[found]))
      found = c;
  if (found >= 0) layout->width[found]--;
  return found >= 0;
}

/* Leaves out the last column of the highest rank, but the table's first; false if there is
 * none of at least `least`. */
static bool drop_one(const Table *table, int least, Layout *layout) {
  int found = -1;
  for (int c = 1; c < table->n_columns; c++)
    if (layout->width[c] > 0 && table->rank[c] >= least &&
        (found < 0 || table->rank[c] >= table->rank[found]))
      found = c;
  if (found >= 0) layout->width[found] = 0;
  return found >= 0;
}

static bool names_rows(const Table *table) {
  for (int c = 0; c < table->n_columns; c++)
    if (table->rank[c] < 0) return true;
  return false;
}

/* What is shown of a table in which some columns tell which row is which, before any is
 * narrowed: all of it, or what is not put below the rows. */
static Layout above(const Table *table, int width) {
  Layout all = widest(table, text_columns, true);
  if (total(table, &all) <= width) return all;
  for (int c = 0; c < table->n_columns; c++)
    if (table->rank[c] == TABLE_BELOW) all.width[c] = 0;
  return all;
}

/* Columns are narrowed to their longest words first; then those go that may, which makes
 * room for what was narrowed; only then words are cut, and at last those that should stay go.
 * If it is to be `tight`, numbers go on in further lines before words are cut ("-0.31 to",
 * "1.20"), and then titles are cut. */
static Layout layout_of(const Table *table, int width, bool tight) {
  bool may_drop = names_rows(table);
  Layout whole = may_drop ? above(table, width) : fitting(table, width), layout = whole;
  if (total(table, &layout) <= width) return layout;
  Layout words = widest(table, longest_word, true), none = {{0}};
  Layout numbers = widest(table, longest_word, false);
  while (total(table, &layout) > width) {
    if (narrow_one(table, TABLE_LEFT, &words, &layout)) continue;
    if (may_drop && drop_one(table, 0, &whole)) {
      layout = whole;
      continue;
    }
    if (tight && narrow_one(table, TABLE_RIGHT, &words, &layout)) continue;
    if (narrow_one(table, TABLE_LEFT, &none, &layout)) continue;
    if (tight && narrow_one(table, TABLE_RIGHT, &numbers, &layout)) continue;
    if (!may_drop || !drop_one(table, TABLE_FIRST, &whole)) break;
    layout = whole;
  }
  return layout;
}

bool table_fits(const Table *table, int width, int indent) {
  if (table->cells.failed || table->n_cells == table->n_columns) return true;
  Layout layout = layout_of(table, width - indent, false);
  return total(table, &layout) <= width - indent;
}

void table_left_out(const Table *table, int width, int indent, Text *out) {
  if (table->cells.failed || table->n_cells == table->n_columns) return;
  Layout all = widest(table, text_columns, true);
  Layout layout = layout_of(table, width - indent, true);
  const char *title = table->cells.data, *comma = "";
  for (int c = 0; c < table->n_columns; c++, title += strlen(title) + 1) {
    if (!all.width[c] || layout.width[c] || table->rank[c] == TABLE_BELOW) continue;
    text_addf(out, "%s%s", comma, title);
    comma = ", ";
  }
}

/* Bytes of the cell's first line: up to the last blank between words with which it fits, or,
 * where there is none, as much as fits. */
static size_t line_bytes(const char *cell, int width) {
  size_t end = 0, blank = 0, word = strspn(cell, " ");
  for (int n = 0; cell[end] && n < width; n++) {
    if (cell[end] == ' ' && end > word) blank = end;
    do end++; while (((unsigned char)cell[end] & 0xC0) == 0x80);
  }
  if (!cell[end] || cell[end] == ' ' || !blank) return end;
  return blank;
}

static void add_cell(const char *text, size_t n_bytes, TableAlign align, int width,
                     Text *out) {
  int blanks = width - bytes_columns(text, n_bytes);
  if (align == TABLE_RIGHT) text_addf(out, "%*s", blanks, "");
  text_add_bytes(out, text, n_bytes);
  if (align == TABLE_LEFT) text_addf(out, "%*s", blanks, "");
}

static void end_line(Text *out) {
  while (out->n_bytes > 0 && out->data[out->n_bytes - 1] == ' ') out->n_bytes--;
  text_add(out, "\n");
}

/* What is left of the cells goes on below, until nothing is. */
static void add_row(const Table *table, const Layout *layout, const char **cells, int indent,
                    Text *out) {
  for (bool more = true; more;) {
    more = false;
    text_addf(out, "%*s", indent, "");
    for (int c = 0; c < table->n_columns; c++) {
      if (layout->width[c] == 0) continue;
      size_t n_bytes = line_bytes(cells[c], layout->width[c]);
      add_cell(cells[c], n_bytes, table->align[c], layout->width[c], out);
      text_addf(out, "%*s", GAP, "");
      cells[c] += n_bytes;
      cells[c] += strspn(cells[c], " ");
      more = more || *cells[c];
    }
    end_line(out);
  }
}

/* The cells that stand below their row, a step further in. */
static void add_below(const Table *table, const Layout *layout, const char **cells, int width,
                      int indent, Text *out) {
  indent += 2 * GAP;
  for (int c = 0; c < table->n_columns; c++) {
    if (table->rank[c] != TABLE_BELOW || layout->width[c]) continue;
    for (const char *at = cells[c]; *at; at += strspn(at, " ")) {
      size_t n_bytes = line_bytes(at, width - indent > WRAP_MIN ? width - indent : WRAP_MIN);
      text_addf(out, "%*s%.*s", indent, "", (int)n_bytes, at);
      end_line(out);
      at += n_bytes;
    }
  }
}

void table_write(const Table *table, int width, int indent, Text *out) {
  if (table->cells.failed) out->failed = true;
  if (out->failed || table->n_cells == table->n_columns) return;
  must(table->n_cells % table->n_columns == 0);
  Layout layout = layout_of(table, width - indent, true);
  const char *cells[TABLE_COLUMNS_MAX], *cell = table->cells.data;
  for (int64_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
    int c = (int)(i % table->n_columns);
    cells[c] = cell;
    if (c < table->n_columns - 1) continue;
    add_row(table, &layout, cells, indent, out);
    if (i >= table->n_columns) add_below(table, &layout, cells, width, indent, out);
  }
}
