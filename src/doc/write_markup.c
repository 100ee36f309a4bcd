/* write_markup.c: documents as Markdown, HTML and LaTeX: one walk, and what each of
 * them writes around and in place of what. An empty line stands between blocks, none at
 * the end. */
#include "doc/doc.h"
#include <string.h>

typedef struct Around {
  const char *begin, *end;
} Around;

enum { N_KINDS = DOC_BREAK + 1 };

typedef struct Markup {
  Around block[N_KINDS];
  Around list; /* around items that follow each other */
  Around code, strong;
  /* Adds a character (of n_bytes) of a text, or of a cell, as it has to be written. */
  void (*add_char)(Text *out, const char *at, size_t n_bytes, bool cell);
  void (*add_table)(Text *out, const Table *table, const struct Markup *markup);
} Markup;

static size_t char_bytes(const char *at) {
  size_t n = 1;
  while (((unsigned char)at[n] & 0xC0) == 0x80) n++;
  return n;
}

static void add_all(Text *out, const char *text, const Markup *markup, bool cell) {
  for (size_t n; *text; text += n) {
    n = char_bytes(text);
    markup->add_char(out, text, n, cell);
  }
}

/* A span that is not ended ends with its text. */
static void add_spans(Text *out, const char *text, const Markup *markup) {
  const char *end = "";
  for (size_t n; *text; text += n) {
    const Around *span = *text == *DOC_CODE     ? &markup->code
                         : *text == *DOC_STRONG ? &markup->strong
                                                : NULL;
    n = char_bytes(text);
    if (!span && *text != *DOC_END) {
      markup->add_char(out, text, n, false);
      continue;
    }
    text_add(out, end);
    if (span) text_add(out, span->begin);
    end = span ? span->end : "";
  }
  text_add(out, end);
}

static void write_block(const DocBlock *block, const Markup *markup, Text *out) {
  if (block->kind == DOC_TABLE) {
    markup->add_table(out, &block->table, markup);
    return;
  }
  const Around *around = &markup->block[block->kind];
  text_add(out, around->begin);
  add_spans(out, block->text.data, markup);
  text_add(out, around->end);
}

static void write_markup(const Doc *doc, const Markup *markup, Text *out) {
  bool first = true, listing = false;
  out->failed |= doc->failed;
  for (const DocBlock *block = doc->first; block; block = block->next) {
    out->failed |= block->text.failed || block->table.cells.failed;
    bool item = block->kind == DOC_ITEM;
    if (doc_is_empty(block)) continue;
    if (listing && !item) text_add(out, markup->list.end);
    if (!first && !(listing && item)) text_add(out, "\n");
    if (item && !listing) text_add(out, markup->list.begin);
    write_block(block, markup, out);
    first = false;
    listing = item;
  }
  if (listing) text_add(out, markup->list.end);
}

/* Calls `visit` with each title and cell. */
typedef void Visit(Text *out, const Table *table, int column, int64_t row,
                   const char *cell, const Markup *markup);

static void each_cell(Text *out, const Table *table, Visit *visit,
                      const Markup *markup) {
  const char *cell = table->cells.data;
  for (int64_t i = 0; i < table->n_cells; i++, cell = table_next(cell))
    visit(out, table, (int)(i % table->n_columns), i / table->n_columns, cell, markup);
}

/* An interval in characters, its blanks such that they stay. */
static void add_drawn(Text *out, const Table *table, int column, const char *cell,
                      const Markup *markup) {
  enum { COLUMNS = 24 };
  Text drawn = {0};
  table_draw(table_scale(table, column), cell, COLUMNS, &drawn);
  for (const char *at = drawn.data ? drawn.data : ""; *at; at++)
    if (*at == ' ') markup->add_char(out, NO_BREAK, 2, true);
    else markup->add_char(out, at, 1, true);
  text_deinit(&drawn);
}

/* -- Markdown ---------------------------------------------------------------------- */

/* A line end would end a row. What might begin a span in a sentence is quoted. */
static void md_char(Text *out, const char *at, size_t n_bytes, bool cell) {
  if (strchr(cell ? "|" : "\\`*<[", *at)) text_add(out, "\\");
  text_add_bytes(out, *at == '\n' ? " " : at, n_bytes);
}

static void md_cell(Text *out, const Table *table, int column, int64_t row,
                    const char *cell, const Markup *markup) {
  bool last = column == table->n_columns - 1;
  text_add(out, column ? " | " : "| ");
  if (row > 0 && table->columns[column].kind == TABLE_DRAWN)
    add_drawn(out, table, column, cell, markup);
  else add_all(out, cell, markup, true);
  if (!last) return;
  text_add(out, " |\n");
  for (int c = 0; row == 0 && c < table->n_columns; c++)
    text_addf(out, "%s---%s", c ? "" : "|",
              table->columns[c].kind == TABLE_NUMBER ? ":|" : "|");
  if (row == 0) text_add(out, "\n");
}

static void md_table(Text *out, const Table *table, const Markup *markup) {
  each_cell(out, table, md_cell, markup);
}

void doc_write_md(const Doc *doc, int width, Text *out) {
  static const Markup md = {
      .block = {[DOC_HEADING] = {"## ", "\n"}, [DOC_PARAGRAPH] = {"", "\n"},
                [DOC_ITEM] = {"- ", "\n"}, [DOC_NOTE] = {"", "\n"}},
      .list = {"", ""}, .code = {"`", "`"}, .strong = {"**", "**"},
      .add_char = md_char, .add_table = md_table};
  (void)width;
  write_markup(doc, &md, out);
}

/* -- HTML -------------------------------------------------------------------------- */

static void html_char(Text *out, const char *at, size_t n_bytes, bool cell) {
  (void)cell;
  unsigned char byte = (unsigned char)*at;
  if (*at == '&') text_add(out, "&amp;");
  else if (*at == '<') text_add(out, "&lt;");
  else if (*at == '>') text_add(out, "&gt;");
  else if (*at == '"') text_add(out, "&quot;");
  else if (*at == '\n' || *at == '\t' || byte == ' ') text_add_bytes(out, at, n_bytes);
  else if (byte < 32 || byte == 127) text_add(out, "?");
  else text_add_bytes(out, at, n_bytes);
}

/* A line from end to end of the interval, and its middle. */
static void html_interval(Text *out, TableScale scale, const char *cell) {
  enum { WIDTH = 240, HEIGHT = 14, MARGIN = 4 };
  double low, value, high;
  if (!table_get_drawn(cell, &low, &value, &high)) return;
  double room = WIDTH - 2 * MARGIN, middle = MARGIN + room * table_place(scale, value);
  text_addf(out, "<svg width=\"%d\" height=\"%d\" role=\"img\">", WIDTH, HEIGHT);
  if (low <= high)
    text_addf(out,
              "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" "
              "stroke=\"currentColor\"/>",
              MARGIN + room * table_place(scale, low),
              MARGIN + room * table_place(scale, high), HEIGHT / 2, HEIGHT / 2);
  text_addf(out, "<circle cx=\"%.1f\" cy=\"%d\" r=\"3\" fill=\"currentColor\"/></svg>",
            middle, HEIGHT / 2);
}

static void html_cell(Text *out, const Table *table, int column, int64_t row,
                      const char *cell, const Markup *markup) {
  const char *tag = row ? "td" : "th";
  TableKind kind = table->columns[column].kind;
  if (column == 0) text_add(out, "<tr>");
  text_addf(out, "<%s%s>", tag,
            kind == TABLE_NUMBER ? " style=\"text-align:right\"" : "");
  if (row && kind == TABLE_DRAWN) html_interval(out, table_scale(table, column), cell);
  else add_all(out, cell, markup, true);
  text_addf(out, "</%s>", tag);
  if (column == table->n_columns - 1) text_add(out, "</tr>\n");
}

static void html_table(Text *out, const Table *table, const Markup *markup) {
  text_add(out, "<table>\n");
  each_cell(out, table, html_cell, markup);
  text_add(out, "</table>\n");
}

void doc_write_html(const Doc *doc, int width, Text *out) {
  static const Markup html = {
      .block = {[DOC_HEADING] = {"<h2>", "</h2>\n"},
                [DOC_PARAGRAPH] = {"<p>", "</p>\n"},
                [DOC_ITEM] = {"<li>", "</li>\n"}, [DOC_NOTE] = {"<p>", "</p>\n"}},
      .list = {"<ul>\n", "</ul>\n"}, .code = {"<code>", "</code>"},
      .strong = {"<strong>", "</strong>"}, .add_char = html_char,
      .add_table = html_table};
  (void)width;
  write_markup(doc, &html, out);
}

/* -- LaTeX ------------------------------------------------------------------------- */

/* The characters that mean something to LaTeX. */
static void latex_char(Text *out, const char *at, size_t n_bytes, bool cell) {
  (void)cell;
  if (*at == '\\') text_add(out, "\\textbackslash{}");
  else if (*at == '~') text_add(out, "\\textasciitilde{}");
  else if (*at == '^') text_add(out, "\\textasciicircum{}");
  else if (*at == '[') text_add(out, "{[}"); /* behind \\ it would begin an option */
  else if (*at == '<') text_add(out, "\\textless{}");
  else if (*at == '>') text_add(out, "\\textgreater{}");
  else if (*at == '\n') text_add(out, " ");
  else if (strncmp(at, NO_BREAK, n_bytes) == 0) text_add(out, "~");
  else {
    if (strchr("&%$#_{}", *at)) text_add(out, "\\");
    text_add_bytes(out, at, n_bytes);
  }
}

static void latex_cell(Text *out, const Table *table, int column, int64_t row,
                       const char *cell, const Markup *markup) {
  if (column) text_add(out, " & ");
  if (row && table->columns[column].kind == TABLE_DRAWN) {
    text_add(out, "\\texttt{");
    add_drawn(out, table, column, cell, markup);
    text_add(out, "}");
  } else {
    add_all(out, cell, markup, true);
  }
  if (column == table->n_columns - 1)
    text_add(out, row ? " \\\\\n" : " \\\\\n\\hline\n");
}

static void latex_table(Text *out, const Table *table, const Markup *markup) {
  text_add(out, "\\begin{tabular}{");
  for (int c = 0; c < table->n_columns; c++)
    text_add(out, table->columns[c].kind == TABLE_NUMBER ? "r" : "l");
  text_add(out, "}\n\\hline\n");
  each_cell(out, table, latex_cell, markup);
  text_add(out, "\\hline\n\\end{tabular}\n");
}

void doc_write_latex(const Doc *doc, int width, Text *out) {
  static const Markup latex = {
      .block = {[DOC_HEADING] = {"\\subsection*{", "}\n"}, [DOC_PARAGRAPH] = {"", "\n"},
                [DOC_ITEM] = {"\\item ", "\n"}, [DOC_NOTE] = {"", "\n"}},
      .list = {"\\begin{itemize}\n", "\\end{itemize}\n"}, .code = {"\\texttt{", "}"},
      .strong = {"\\textbf{", "}"}, .add_char = latex_char, .add_table = latex_table};
  (void)width;
  write_markup(doc, &latex, out);
}
