/* table.h: tables of a document, and their layout on a terminal.
 *
 *   Table table = {0};
 *   table_column(&table, "init", TABLE_TEXT, 0);
 *   table_column(&table, "mean", TABLE_NUMBER, 0);
 *   table_add(&table, "he_normal");           cell by cell, row by row
 *   table_addf(&table, "%.2f", 88.31);
 *   table_write(&table, 80, 2, &text);
 *   table_deinit(&table);
 *
 * On a terminal two blanks are between columns. A table that is too wide has the
 * columns of rank 0, and those of rank 1, 2, ... (all of one rank together) for which
 * there is room; if rank 0 alone is too wide, the cells of its widest columns of text
 * go on in further lines, broken at blanks; where that is not enough, so do those of
 * numbers; then words are cut, and titles, but never a number: nothing is lost. Columns
 * that are empty in every row are left out, and a heading without a word. Control
 * characters and what is not UTF-8 are shown as "?".
 *
 * Columns of rank TABLE_FIRST name the rows. Where a table has some, they
 * stay, and the others go one by one before a word of theirs is cut: the highest rank
 * first, of one rank the last; where they have no room even in a few letters each, the
 * last of them go. Those of rank TABLE_BELOW stay too: where the table is too wide,
 * their cells go into lines of their own below the row, without the title. */
#ifndef DOC_TABLE_H
#define DOC_TABLE_H

#include "base/text.h"

enum { TABLE_FIRST = -1, TABLE_BELOW = -2 }; /* ranks */

typedef enum TableKind {
  TABLE_TEXT,                /* aligned left */
  TABLE_NUMBER,              /* aligned right: a number or what is made of numbers */
  TABLE_DRAWN                /* intervals, drawn on the scale of their column:
                                "|--o--|" */
} TableKind;

typedef struct TableColumn {
  TableKind kind;
  int rank;
  const char *unit; /* see table_unit */
} TableColumn;

typedef struct Table {
  /* read-only */
  int n_columns;
  TableColumn *columns;
  Text cells;           /* titles, then cells; each ends with a 0 byte */
  int64_t n_cells;      /* titles included */
  struct Table *narrow; /* see table_narrow; owned; NULL: none */
  bool has_drawn;       /* columns of that kind */
  bool names_rows;      /* with columns of a rank below 0 */
  /* set by the builder */
  bool split;     /* where it is too wide, columns go on below, beside the first */
  bool outdented; /* begins at the margin, as a table alone on its page does */
} Table;

void table_deinit(Table *table);
void table_column(Table *table, const char *title, TableKind kind, int rank);

/* Several columns: "name:1|>n|=mean|~95 % interval:2": titles, before them ">" where
 * there are numbers, "=" numbers in this unit, "~" drawn intervals, else text; behind
 * them ":" and a rank. */
void table_head(Table *table, const char *columns, const char *unit);

/* What the numbers of the column added last are in, as "%": the header shows it. NULL
 * and "": nothing. Borrowed. */
void table_unit(Table *table, const char *unit);

/* The same for where there is no room: new and without columns; NULL on lack of memory.
 */
Table *table_narrow(Table *table);

/* The next cell, in its row; the next n cells, each a const char *. */
void table_add(Table *table, const char *cell);
void table_cells(Table *table, int n, ...);
void table_addf(Table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The next cell, to be written: begun by adding to the text, and ended. */
Text *table_cell(Table *table);
void table_cell_end(Table *table);
/* The next cell of a drawn column: the interval may be NaN, or all three: an empty
 * cell. */
void table_add_drawn(Table *table, double low, double value, double high);
/* The three of such a cell; false: it is empty. */
bool table_get_drawn(const char *cell, double *low, double *value, double *high);

/* Walks titles, which are row 0, and cells:
 *   for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) */
typedef struct TableAt {
  const char *cell; /* NULL: behind the last */
  int64_t row;
  int column;
  bool last; /* of its row */
} TableAt;
TableAt table_begin(const Table *table);
void table_step(const Table *table, TableAt *at);
const char *table_next(const char *cell);
bool table_is_empty(const Table *table); /* no row, or lack of memory */

/* -- on a terminal ----------------------------------------------------------------- */

/* Adds heading and rows, each line after `indent` blanks and within `width` columns, if
 * the table fits. Lack of memory shows in out->failed. */
void table_write(const Table *table, int width, int indent, Text *out);
/* Does it fit with each number in one line, and no column narrower than a few
 * letters? */
bool table_fits(const Table *table, int width, int indent);
/* Adds the titles of the columns for which there is no room: "seconds, loss". */
void table_left_out(const Table *table, int width, int indent, Text *out);

/* -- drawn intervals --------------------------------------------------------------- */

typedef struct TableScale {
  double low, high;
} TableScale; /* equal: no cell is drawn */

/* The scale of column `column`: the values, and as much beside them as they span. */
TableScale table_scale(const Table *table, int column);
/* Where on it a value lies, from 0 to 1. */
double table_place(TableScale scale, double value);
/* Adds the drawn cell in n_columns characters: "  |--o---|    ", "<" and ">" where it
 * goes on beyond the scale. */
void table_draw(TableScale scale, const char *cell, int n_columns, Text *out);

#endif
