/* table.h: tables of text for a terminal.
 *
 *   Table table = {0};
 *   table_column(&table, "init", TABLE_LEFT, 0);
 *   table_column(&table, "mean", TABLE_RIGHT, 0);
 *   table_add(&table, "he_normal");           cell by cell, row by row
 *   table_addf(&table, "%.2f", 88.31);
 *   table_write(&table, 80, 2, &text);
 *   table_deinit(&table);
 *
 * Two blanks stand between columns. A table that is too wide has the columns of rank 0, and
 * those of rank 1, 2, ... (all of one rank together) for which there is room; if rank 0 alone
 * is too wide, the cells of its widest left-aligned columns go on in further lines, broken at
 * blanks; where that is not enough, so do those of right-aligned ones; then words are cut, and
 * titles, but never a number: nothing is lost. Columns that are empty in every row are left
 * out. Control characters and what is not UTF-8 are shown as "?".
 *
 * Columns of rank TABLE_FIRST tell which row is which. Where a table has some, they stay, and
 * the others go one by one before a word of theirs is cut: the highest rank first, of one rank
 * the last; where they have no room even in a few letters each, the last of them go. Those of
 * rank TABLE_BELOW stay too: where the table is too wide, their cells stand in lines of their
 * own below the row, without the title. */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

#include "base/text.h"

enum { TABLE_COLUMNS_MAX = 64 };

enum { TABLE_FIRST = -1, TABLE_BELOW = -2 };   /* ranks */

typedef enum TableAlign { TABLE_LEFT, TABLE_RIGHT } TableAlign;

typedef struct Table {
  /* private */
  int n_columns;
  TableAlign align[TABLE_COLUMNS_MAX];
  int rank[TABLE_COLUMNS_MAX];
  Text cells;                /* titles, then cells; each ends with a 0 byte */
  int64_t n_cells;           /* titles included */
} Table;

void table_column(Table *table, const char *title, TableAlign align, int rank);
void table_add(Table *table, const char *cell);
void table_addf(Table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds heading and rows, each line after `indent` blanks and within `width` columns, if the
 * table fits. Lack of memory shows in out->failed. */
void table_write(const Table *table, int width, int indent, Text *out);
/* Does it fit with each right-aligned cell in one line, and no column narrower than a few
 * letters? */
bool table_fits(const Table *table, int width, int indent);
/* Adds the titles of the columns for which there is no room: "seconds, loss". */
void table_left_out(const Table *table, int width, int indent, Text *out);
void table_deinit(Table *table);

/* Columns that a text takes on a terminal: one for each code point. */
int text_columns(const char *text);

/* Does a level's name tell by itself what it is of? Numbers, truth values and the like do
 * not. */
bool level_is_word(const char *level);
/* The same in a study of which n_factors factors have a level of that name: one of several
 * tells nothing either. */
bool level_tells(const char *level, int n_factors);
/* Adds a level as people are told of it: "relu", but "lr=0.1", "norm=none", and
 * "encoder=small" where it is one of several. */
void text_add_level_of(Text *out, const char *factor, const char *level, int n_factors);
void text_add_level(Text *out, const char *factor, const char *level);   /* of one */

#define NO_BREAK "\u00a0"

/* Adds the words of `text`, in lines of up to `width` columns: the first goes on in
 * column `used`, the others begin after `indent` blanks. A newline ends it. NO_BREAK stands
 * for a blank at which no line ends. */
void text_add_wrapped(Text *out, const char *text, int used, int indent, int width);

#endif
