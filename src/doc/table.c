/* table.c: the cells of tables; see table.h. How they are laid out on a terminal is
 * table_layout.c's. */
#include "doc/table.h"
#include "base/fault.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_deinit(Table *table) {
  if (table->narrow) table_deinit(table->narrow);
  free(table->narrow);
  free(table->columns);
  text_deinit(&table->cells);
  *table = (Table){0};
}

void table_column(Table *table, const char *title, TableKind kind, int rank) {
  must(table->n_cells == table->n_columns);
  size_t n_bytes = ((size_t)table->n_columns + 1) * sizeof *table->columns;
  TableColumn *columns = realloc(table->columns, n_bytes);
  if (columns) {
    table->columns = columns;
    columns[table->n_columns++] = (TableColumn){kind, rank, NULL};
    table->has_drawn |= kind == TABLE_DRAWN;
    table->names_rows |= rank < 0;
    table_add(table, title);
  } else {
    table->cells.failed = true;
  }
}

void table_unit(Table *table, const char *unit) {
  if (unit && *unit && table->n_columns > 0)
    table->columns[table->n_columns - 1].unit = unit;
}

void table_head(Table *table, const char *columns, const char *unit) {
  for (size_t n; *columns; columns += n + (columns[n] == '|')) {
    const char *marks = ">=~", *mark = strchr(marks, *columns);
    char title[64];
    n = strcspn(columns, "|");
    size_t skipped = mark != NULL, n_title = strcspn(columns, ":|") - skipped;
    must(n_title < sizeof title);
    memcpy(title, columns + skipped, n_title);
    title[n_title] = 0;
    const char *rank = columns + skipped + n_title;
    table_column(table, title,
                 !mark          ? TABLE_TEXT
                 : *mark == '~' ? TABLE_DRAWN
                                : TABLE_NUMBER,
                 *rank == ':' ? atoi(rank + 1) : 0);
    if (mark && *mark == '=') table_unit(table, unit);
  }
}

Table *table_narrow(Table *table) {
  table->narrow = calloc(1, sizeof *table->narrow);
  if (!table->narrow) table->cells.failed = true;
  return table->narrow;
}

Text *table_cell(Table *table) { return &table->cells; }

void table_cell_end(Table *table) {
  text_add_bytes(&table->cells, "", 1);
  table->n_cells++;
}

void table_add(Table *table, const char *cell) {
  text_add(&table->cells, cell);
  table_cell_end(table);
}

void table_cells(Table *table, int n, ...) {
  va_list cells;
  va_start(cells, n);
  while (n-- > 0) table_add(table, va_arg(cells, const char *));
  va_end(cells);
}

void table_addf(Table *table, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_add_args(&table->cells, format, args);
  va_end(args);
  table_cell_end(table);
}

const char *table_next(const char *cell) { return cell + strlen(cell) + 1; }

TableAt table_begin(const Table *table) {
  return (TableAt){table->n_cells ? table->cells.data : NULL, 0, 0,
                   table->n_columns == 1};
}

void table_step(const Table *table, TableAt *at) {
  int64_t next = at->row * table->n_columns + at->column + 1;
  at->cell = next < table->n_cells ? table_next(at->cell) : NULL;
  at->row = next / table->n_columns;
  at->column = (int)(next % table->n_columns);
  at->last = at->column == table->n_columns - 1;
}

bool table_is_empty(const Table *table) {
  return table->cells.failed || table->n_cells == table->n_columns;
}

/* -- drawn intervals --------------------------------------------------------------- */

void table_add_drawn(Table *table, double low, double value, double high) {
  if (isfinite(value)) text_addf(&table->cells, "%.17g %.17g %.17g", low, value, high);
  table_cell_end(table);
}

bool table_get_drawn(const char *cell, double *low, double *value, double *high) {
  char *end = NULL;
  *low = strtod(cell, &end);
  *value = strtod(end, &end);
  *high = strtod(end, NULL);
  return *cell != 0;
}

/* An interval far wider than the values lie apart would make one dot of them all. */
TableScale table_scale(const Table *table, int column) {
  double least = INFINITY, most = -INFINITY, low = INFINITY, high = -INFINITY;
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    double from, value, to;
    if (at.row == 0 || at.column != column) continue;
    if (!table_get_drawn(at.cell, &from, &value, &to)) continue;
    least = fmin(least, value);
    most = fmax(most, value);
    low = fmin(low, fmin(from, value)); /* fmin and fmax leave NaN out */
    high = fmax(high, fmax(to, value));
  }
  if (most < least) return (TableScale){0, 0};
  double beside = most > least ? most - least : INFINITY;
  return (TableScale){fmax(low, least - beside), fmin(high, most + beside)};
}

double table_place(TableScale scale, double value) {
  double span = scale.high - scale.low;
  return span > 0 && isfinite(span) ? fmin(fmax((value - scale.low) / span, 0), 1)
                                    : 0.5;
}

static int draw_at(TableScale scale, double value, int n_columns) {
  return (int)lround(table_place(scale, value) * (n_columns - 1));
}

void table_draw(TableScale scale, const char *cell, int n_columns, Text *out) {
  double low, value, high;
  if (!table_get_drawn(cell, &low, &value, &high)) return;
  bool known = !isnan(low) && !isnan(high);
  int at = draw_at(scale, value, n_columns);
  int from = known ? draw_at(scale, low, n_columns) : at;
  int to = known ? draw_at(scale, high, n_columns) : at;
  for (int i = 0; i < n_columns; i++) {
    const char *mark = i > from && i < to ? "-" : " ";
    if (known && i == from) mark = low < scale.low ? "<" : "|";
    if (known && i == to) mark = high > scale.high ? ">" : "|";
    text_add(out, i == at ? "o" : mark);
  }
}
