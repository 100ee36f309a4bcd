/* table_layout.c: tables on a terminal: widths first, then the rows, each of as many
 * lines as the cell that is wrapped into the most; see table.h. */
#include "doc/table.h"
#include "base/fault.h"
#include <stdio.h>
#include <string.h>

enum {
  GAP = 2,                   /* blanks between columns */
  WRAP_MIN = 6,              /* narrowest column that is wrapped */
  SHOWN_MAX = 256,           /* columns that a terminal gets */
  DRAWN_MIN = 16, DRAWN_MAX = 40   /* columns of a drawn interval */
};

typedef struct Layout {
  int width[SHOWN_MAX]; /* 0: the column is not shown */
} Layout;

static int longest_word(const char *text) {
  int longest = 0;
  for (; *text; text += strspn(text, " ")) {
    size_t n_bytes = strcspn(text, " ");
    int columns = text_columns_of(text, n_bytes);
    if (columns > longest) longest = columns;
    text += n_bytes;
  }
  return longest;
}

static void widen(int *width, int n) {
  if (n > *width) *width = n;
}

/* The widest of each column, as `measure` has it, with its title and unit or without;
 * columns without any text below the title get 0. */
static Layout widest(const Table *table, int (*measure)(const char *text),
                     bool titles) {
  Layout layout = {{0}};
  bool used[SHOWN_MAX] = {false};
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    const char *unit = table->columns[at.column].unit;
    if (titles || at.row > 0) widen(&layout.width[at.column], measure(at.cell));
    if (titles && at.row == 0 && unit) widen(&layout.width[at.column], measure(unit));
    used[at.column] |= at.row > 0 && *at.cell;
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
    if (table->columns[c].rank > highest) highest = table->columns[c].rank;
  for (int rank = 0; rank <= highest; rank++) {
    Layout more = layout;
    for (int c = 0; c < table->n_columns; c++)
      if (table->columns[c].rank == rank) more.width[c] = all.width[c];
    if (rank == 0 || total(table, &more) <= width) layout = more;
  }
  return layout;
}

/* Takes a column off the widest one so aligned that is wider than `least` has it; false
 * if none is. */
static bool narrow_one(const Table *table, TableKind kind, const Layout *least,
                       Layout *layout) {
  int found = -1;
  for (int c = 0; c < table->n_columns; c++)
    if (table->columns[c].kind == kind &&
        (kind == TABLE_NUMBER || layout->width[c] > WRAP_MIN) &&
        layout->width[c] > least->width[c] &&
        (found < 0 || layout->width[c] > layout->width[found]))
      found = c;
  if (found >= 0) layout->width[found]--;
  return found >= 0;
}

/* Leaves out the last column of the highest rank, but the table's first; false if there
 * is none of at least `least`. */
static bool drop_one(const Table *table, int least, Layout *layout) {
  int found = -1;
  for (int c = 1; c < table->n_columns; c++)
    if (layout->width[c] > 0 && table->columns[c].rank >= least &&
        (found < 0 || table->columns[c].rank >= table->columns[found].rank))
      found = c;
  if (found >= 0) layout->width[found] = 0;
  return found >= 0;
}

/* What is shown of a table in which some columns name the rows, before any is
 * narrowed: all of it, or what is not put below the rows. */
static Layout above(const Table *table, int width) {
  Layout all = widest(table, text_columns, true);
  if (total(table, &all) <= width) return all;
  for (int c = 0; c < table->n_columns; c++)
    if (table->columns[c].rank == TABLE_BELOW) all.width[c] = 0;
  return all;
}

/* Columns are narrowed to their longest words first; then those go that may, which
 * makes room for what was narrowed; only then words are cut, and at last those that
 * should stay go. If it is to be `tight`, numbers go on in further lines before words
 * are cut ("-0.31 to", "1.20"), and then titles are cut. */
static Layout layout_of(const Table *table, int width, bool tight) {
  bool may_drop = table->names_rows;
  Layout whole = may_drop ? above(table, width) : fitting(table, width), layout = whole;
  if (total(table, &layout) <= width) return layout;
  Layout words = widest(table, longest_word, true), none = {{0}};
  Layout numbers = widest(table, longest_word, false);
  while (total(table, &layout) > width) {
    if (narrow_one(table, TABLE_TEXT, &words, &layout)) continue;
    if (may_drop && drop_one(table, 0, &whole)) {
      layout = whole;
      continue;
    }
    if (tight && narrow_one(table, TABLE_NUMBER, &words, &layout)) continue;
    if (narrow_one(table, TABLE_TEXT, &none, &layout)) continue;
    if (tight && narrow_one(table, TABLE_NUMBER, &numbers, &layout)) continue;
    if (!may_drop || !drop_one(table, TABLE_FIRST, &whole)) break;
    layout = whole;
  }
  return layout;
}

/* -- the cells that are shown ------------------------------------------------------ */

/* An end of a scale, with the decimals that a tenth of its length needs, or in
 * four digits where that has no room. */
static void scale_end(TableScale scale, double value, int n_columns, char *out,
                      size_t n_bytes) {
  int decimals = 0;
  for (double span = scale.high - scale.low; span > 0 && span < 10; span *= 10)
    decimals++;
  int n = snprintf(out, n_bytes, "%.*f", decimals, value);
  if (n >= n_columns || n >= (int)n_bytes) snprintf(out, n_bytes, "%.4g", value);
  else
    while (decimals-- > 0 && out[n - 1] == '0') out[n -= 1 + (out[n - 2] == '.')] = 0;
}

static void add_scale(TableScale scale, int n_columns, Text *out) {
  char low[32], high[32];
  scale_end(scale, scale.low, n_columns / 2, low, sizeof low);
  scale_end(scale, scale.high, n_columns / 2, high, sizeof high);
  text_addf(out, "%-*s%*s", n_columns / 2, low, n_columns - n_columns / 2, high);
}

static void add_shown(const Table *table, TableAt at, int drawn, Text *out) {
  TableScale scale;
  if (table->columns[at.column].kind != TABLE_DRAWN) {
    text_add_clean(out, at.cell);
  } else if (drawn > 0) {
    scale = table_scale(table, at.column);
    if (at.row > 0) table_draw(scale, at.cell, drawn, out);
    else add_scale(scale, drawn, out);
  }
}

/* A view: as many columns as a terminal gets, which stay the table's, and new cells,
 * cleaned; intervals drawn in so many columns, 0: left out. */
static Table shown_in(const Table *table, int drawn) {
  Table out = *table;
  out.cells = (Text){0};
  out.n_cells = 0;
  if (out.n_columns > SHOWN_MAX) out.n_columns = SHOWN_MAX;
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    if (at.column >= SHOWN_MAX) continue;
    add_shown(table, at, drawn, &out.cells);
    table_cell_end(&out);
  }
  return out;
}

/* Intervals get the room that the other columns leave, and none where words would have
 * to be broken for it. */
static Table shown(const Table *table, int width) {
  Table out = shown_in(table, table->has_drawn ? DRAWN_MIN : 0);
  if (out.cells.failed || !table->has_drawn) return out;
  Layout layout = fitting(&out, width);
  int more = width - total(&out, &layout);
  text_deinit(&out.cells);
  if (more < 0) return shown_in(table, 0);
  return shown_in(table, more < DRAWN_MAX - DRAWN_MIN ? DRAWN_MIN + more : DRAWN_MAX);
}

bool table_fits(const Table *table, int width, int indent) {
  if (table_is_empty(table)) return true;
  Table view = shown_in(table, 0);
  bool fits = view.cells.failed;
  if (!fits) {
    Layout layout = layout_of(&view, width - indent, false);
    fits = total(&view, &layout) <= width - indent;
  }
  text_deinit(&view.cells);
  return fits;
}

void table_left_out(const Table *table, int width, int indent, Text *out) {
  if (table_is_empty(table) || table->split) return;
  Table view = shown(table, width - indent);
  if (!view.cells.failed) {
    Layout all = widest(&view, text_columns, true);
    Layout layout = layout_of(&view, width - indent, true);
    const char *title = view.cells.data;
    for (int c = 0; c < view.n_columns; c++, title = table_next(title))
      if (all.width[c] && !layout.width[c] && view.columns[c].rank != TABLE_BELOW)
        text_addf(out, "%s%s", out->n_bytes ? ", " : "", title);
  }
  text_deinit(&view.cells);
}

/* -- writing ----------------------------------------------------------------------- */

/* Bytes of the cell's first line: up to the last blank between words with which it
 * fits, or, where there is none, as much as fits. */
static size_t line_bytes(const char *cell, int width) {
  size_t end = 0, blank = 0, word = strspn(cell, " ");
  for (int n = 0; cell[end];) {
    size_t next = end;
    do next++;
    while (((unsigned char)cell[next] & 0xC0) == 0x80);
    n += text_columns_of(cell + end, next - end);
    if (n > width && end > 0) break;
    if (cell[end] == ' ' && end > word) blank = end;
    end = next;
  }
  if (!cell[end] || cell[end] == ' ' || !blank) return end;
  return blank;
}

static void add_cell(const char *text, size_t n_bytes, TableKind kind, int width,
                     Text *out) {
  int blanks = width - text_columns_of(text, n_bytes);
  if (kind == TABLE_NUMBER) text_addf(out, "%*s", blanks, "");
  text_add_bytes(out, text, n_bytes);
  if (kind != TABLE_NUMBER) text_addf(out, "%*s", blanks, "");
}

static void end_line(Text *out) {
  while (out->n_bytes > 0 && out->data[out->n_bytes - 1] == ' ') out->n_bytes--;
  text_add(out, "\n");
}

/* What is left of the cells goes on below, until nothing is. */
static void add_row(const Table *table, const Layout *layout, const char **cells,
                    int indent, Text *out) {
  for (bool more = true; more;) {
    more = false;
    text_addf(out, "%*s", indent, "");
    for (int c = 0; c < table->n_columns; c++) {
      if (layout->width[c] == 0) continue;
      size_t n_bytes = line_bytes(cells[c], layout->width[c]);
      add_cell(cells[c], n_bytes, table->columns[c].kind, layout->width[c], out);
      text_addf(out, "%*s", GAP, "");
      cells[c] += n_bytes;
      cells[c] += strspn(cells[c], " ");
      more = more || *cells[c];
    }
    end_line(out);
  }
}

/* The cells that go below their row, a step further in. */
static void add_below(const Table *table, const Layout *layout, const char **cells,
                      int width, int indent, Text *out) {
  indent += 2 * GAP;
  for (int c = 0; c < table->n_columns; c++) {
    if (table->columns[c].rank != TABLE_BELOW || layout->width[c]) continue;
    for (const char *at = cells[c]; *at; at += strspn(at, " ")) {
      size_t n_bytes = line_bytes(at, width - indent > WRAP_MIN ? width - indent
                                                                : WRAP_MIN);
      text_addf(out, "%*s%.*s", indent, "", (int)n_bytes, at);
      end_line(out);
      at += n_bytes;
    }
  }
}

static bool any_text(const char *const *cells, int n) {
  for (int c = 0; c < n; c++)
    if (*cells[c]) return true;
  return false;
}

static void write_rows(const Table *table, int width, int indent, Text *out) {
  Layout layout = layout_of(table, width - indent, true);
  const char *cells[SHOWN_MAX];
  int n = table->n_columns;
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    cells[at.column] = at.cell;
    if (!at.last || (at.row == 0 && !any_text(cells, n))) continue;
    add_row(table, &layout, cells, indent, out);
    if (at.row > 0) add_below(table, &layout, cells, width, indent, out);
    for (int c = 0; at.row == 0 && c < n; c++)
      cells[c] = layout.width[c] && table->columns[c].unit ? table->columns[c].unit
                                                           : "";
    if (at.row == 0 && any_text(cells, n)) add_row(table, &layout, cells, indent, out);
  }
}

static void write_whole(const Table *table, int width, int indent, Text *out) {
  Table view = shown(table, width - indent);
  if (view.cells.failed) out->failed = true;
  else write_rows(&view, width, indent, out);
  text_deinit(&view.cells);
}

/* New: the first column and n from `first` on. */
static Table part_of(const Table *table, int first, int n) {
  Table part = {0};
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    int c = at.column;
    if (c != 0 && (c < first || c >= first + n)) continue;
    if (at.row > 0) table_add(&part, at.cell);
    else table_column(&part, at.cell, table->columns[c].kind, 0);
    if (at.row == 0) table_unit(&part, table->columns[c].unit);
  }
  return part;
}

/* As many columns at a time as there is room for. */
static void write_split(const Table *table, int width, int indent, Text *out) {
  for (int first = 1, n; first < table->n_columns; first += n) {
    n = table->n_columns - first < SHOWN_MAX ? table->n_columns - first : SHOWN_MAX - 1;
    Table part = part_of(table, first, n);
    while (n > 1 && !table_fits(&part, width, indent)) {
      table_deinit(&part);
      part = part_of(table, first, --n);
    }
    if (first > 1) text_add(out, "\n");
    write_whole(&part, width, indent, out);
    table_deinit(&part);
  }
}

void table_write(const Table *table, int width, int indent, Text *out) {
  if (table->cells.failed) out->failed = true;
  if (out->failed || table_is_empty(table)) return;
  must(table->n_cells % table->n_columns == 0);
  bool fits = (!table->narrow && !table->split) || table_fits(table, width, indent);
  if (!fits && table->narrow) table_write(table->narrow, width, indent, out);
  else if (!fits && table->split) write_split(table, width, indent, out);
  else write_whole(table, width, indent, out);
}
