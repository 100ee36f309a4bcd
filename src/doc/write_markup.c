/* write_markup.c: documents as Markdown, HTML and LaTeX: one walk, and what each of
 * them writes around and in place of what. An empty line stands between blocks, none at
 * the end. */
#include "doc/doc.h"
#include <string.h>

typedef struct Around {
  const char *begin, *end;
} Around;

typedef struct Markup Markup;
struct Markup {
  Around block[DOC_BREAK];
  Around list; /* around items that follow each other */
  Around code, strong;
  Around row, title, title_of_numbers, cell, number;
  const char *between; /* two cells of a row */
  const char *table_end;
  /* Adds a character (of n_bytes) of a text, or of a cell, as it has to be written. */
  void (*add_char)(Text *out, const char *at, size_t n_bytes, bool cell);
  void (*add_interval)(Text *out, TableScale scale, const char *cell,
                       const Markup *markup);
  void (*begin_table)(Text *out, const Table *table);
  void (*end_titles)(Text *out, const Table *table);
};

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

static void add_cell(const Table *table, TableAt at, const Markup *markup, Text *out) {
  const TableColumn *column = &table->columns[at.column];
  bool number = column->kind == TABLE_NUMBER;
  const Around *around = at.row ? (number ? &markup->number : &markup->cell)
                                : (number ? &markup->title_of_numbers : &markup->title);
  if (around->begin) text_add(out, around->begin);
  if (at.row && column->kind == TABLE_DRAWN)
    markup->add_interval(out, table_scale(table, at.column), at.cell, markup);
  else add_all(out, at.cell, markup, true);
  if (at.row == 0 && column->unit) {
    text_add(out, " (");
    add_all(out, column->unit, markup, true);
    text_add(out, ")");
  }
  if (around->end) text_add(out, around->end);
}

static void write_table(const Table *table, const Markup *markup, Text *out) {
  markup->begin_table(out, table);
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    text_add(out, at.column ? markup->between : markup->row.begin);
    add_cell(table, at, markup, out);
    if (!at.last) continue;
    text_add(out, markup->row.end);
    if (at.row == 0) markup->end_titles(out, table);
  }
  if (markup->table_end) text_add(out, markup->table_end);
}

static void write_block(const DocBlock *block, const Markup *markup, Text *out) {
  if (block->kind == DOC_TABLE) {
    write_table(&block->table, markup, out);
    return;
  }
  text_add(out, markup->block[block->kind].begin);
  add_spans(out, block->text.data, markup);
  text_add(out, markup->block[block->kind].end);
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

/* An interval in characters, its blanks such that they stay. */
static void add_drawn(Text *out, TableScale scale, const char *cell,
                      const Markup *markup) {
  enum { COLUMNS = 24 };
  Text drawn = {0};
  table_draw(scale, cell, COLUMNS, &drawn);
  for (const char *at = drawn.data ? drawn.data : ""; *at; at++)
    if (*at == ' ') markup->add_char(out, NO_BREAK, 2, true);
    else markup->add_char(out, at, 1, true);
  text_deinit(&drawn);
}

/* Nothing stands there. */
static void no_part(Text *out, const Table *table) { (void)out, (void)table; }

/* -- Markdown ---------------------------------------------------------------------- */

/* A line end would end a row, and so a bar in a cell. What might begin a span, or a
 * tag, is quoted. */
static void md_char(Text *out, const char *at, size_t n_bytes, bool cell) {
  if (strchr(cell ? "|\\`*<" : "\\`*<[", *at)) text_add(out, "\\");
  text_add_bytes(out, *at == '\n' ? " " : at, n_bytes);
}

static void md_rule(Text *out, const Table *table) {
  for (int c = 0; c < table->n_columns; c++)
    text_addf(out, "%s---%s", c ? "" : "|",
              table->columns[c].kind == TABLE_NUMBER ? ":|" : "|");
  text_add(out, "\n");
}

void doc_write_md(const Doc *doc, int width, Text *out) {
  static const Markup md = {
      .block = {[DOC_HEADING] = {"## ", "\n"}, [DOC_PARAGRAPH] = {"", "\n"},
                [DOC_ITEM] = {"- ", "\n"}, [DOC_NOTE] = {"", "\n"}},
      .list = {"", ""}, .code = {"`", "`"}, .strong = {"**", "**"},
      .row = {"| ", " |\n"}, .between = " | ",
      .add_char = md_char, .add_interval = add_drawn,
      .begin_table = no_part, .end_titles = md_rule};
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
static void html_interval(Text *out, TableScale scale, const char *cell,
                          const Markup *markup) {
  enum { WIDTH = 240, HEIGHT = 14, MARGIN = 4 };
  double low, value, high;
  (void)markup;
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

static void html_begin(Text *out, const Table *table) {
  (void)table;
  text_add(out, "<table>\n");
}

void doc_write_html(const Doc *doc, int width, Text *out) {
  static const Markup html = {
      .block = {[DOC_HEADING] = {"<h2>", "</h2>\n"},
                [DOC_PARAGRAPH] = {"<p>", "</p>\n"},
                [DOC_ITEM] = {"<li>", "</li>\n"}, [DOC_NOTE] = {"<p>", "</p>\n"}},
      .list = {"<ul>\n", "</ul>\n"}, .code = {"<code>", "</code>"},
      .strong = {"<strong>", "</strong>"}, .row = {"<tr>", "</tr>\n"},
      .title = {"<th>", "</th>"}, .cell = {"<td>", "</td>"},
      .title_of_numbers = {"<th style=\"text-align:right\">", "</th>"},
      .number = {"<td style=\"text-align:right\">", "</td>"}, .between = "",
      .table_end = "</table>\n", .add_char = html_char, .add_interval = html_interval,
      .begin_table = html_begin, .end_titles = no_part};
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

static void latex_interval(Text *out, TableScale scale, const char *cell,
                           const Markup *markup) {
  text_add(out, "\\texttt{");
  add_drawn(out, scale, cell, markup);
  text_add(out, "}");
}

static void latex_begin(Text *out, const Table *table) {
  text_add(out, "\\begin{tabular}{");
  for (int c = 0; c < table->n_columns; c++)
    text_add(out, table->columns[c].kind == TABLE_NUMBER ? "r" : "l");
  text_add(out, "}\n\\hline\n");
}

static void latex_rule(Text *out, const Table *table) {
  (void)table;
  text_add(out, "\\hline\n");
}

void doc_write_latex(const Doc *doc, int width, Text *out) {
  static const Markup latex = {
      .block = {[DOC_HEADING] = {"\\subsection*{", "}\n"}, [DOC_PARAGRAPH] = {"", "\n"},
                [DOC_ITEM] = {"\\item ", "\n"}, [DOC_NOTE] = {"", "\n"}},
      .list = {"\\begin{itemize}\n", "\\end{itemize}\n"}, .code = {"\\texttt{", "}"},
      .strong = {"\\textbf{", "}"}, .row = {"", " \\\\\n"}, .between = " & ",
      .table_end = "\\hline\n\\end{tabular}\n", .add_char = latex_char,
      .add_interval = latex_interval, .begin_table = latex_begin,
      .end_titles = latex_rule};
  (void)width;
  write_markup(doc, &latex, out);
}
