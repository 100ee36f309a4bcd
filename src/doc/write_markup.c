/* write_markup.c: documents as Markdown, HTML and LaTeX: one walk, and for each of them
 * a record of what it writes around and in place of what. An empty line is between
 * blocks, none at the end. What a record leaves out is nothing. */
#include "doc/doc.h"
#include <string.h>

typedef struct Around {
  const char *begin, *end;
} Around;

/* Something for each column, by what is in it. */
typedef struct PerColumn {
  const char *begin, *text, *number, *end;
} PerColumn;

typedef struct Markup {
  Around block[DOC_BREAK];
  Around list; /* around items that follow each other */
  Around code, strong;
  PerColumn begin_table, end_titles;
  Around row, title, title_of_numbers, cell, number;
  Around drawn;        /* around an interval in characters */
  const char *between; /* two cells of a row */
  const char *end_table;
  const char *const *escapes;      /* by byte, what is written in its place; NULL: it */
  const char *const *cell_escapes; /* the same in tables; NULL: as elsewhere */
  const char *no_break;            /* in place of NO_BREAK; NULL: it */
  /* Adds an interval as a picture; NULL: in characters. */
  void (*add_interval)(Text *out, TableScale scale, const char *cell);
} Markup;

static void put(Text *out, const char *part) {
  if (part) text_add(out, part);
}

static size_t char_bytes(const char *at) {
  size_t n = 1;
  while (((unsigned char)at[n] & 0xC0) == 0x80) n++;
  return n;
}

/* Adds a character (of n_bytes) of a text, or of a cell; "?" for one that cannot be
 * shown. */
static void add_char(Text *out, const char *at, size_t n_bytes, const Markup *markup,
                     bool cell) {
  unsigned char byte = (unsigned char)*at;
  const char *const *escapes = cell && markup->cell_escapes ? markup->cell_escapes
                                                            : markup->escapes;
  bool shown = byte == '\n' || byte == '\t' || text_printable(at, at + n_bytes);
  if (escapes[byte]) text_add(out, escapes[byte]);
  else if (!shown) text_add(out, "?");
  else if (markup->no_break && strncmp(at, NO_BREAK, n_bytes) == 0)
    text_add(out, markup->no_break);
  else text_add_bytes(out, at, n_bytes);
}

static void add_all(Text *out, const char *text, const Markup *markup) {
  for (size_t n; *text; text += n) {
    n = char_bytes(text);
    add_char(out, text, n, markup, true);
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
      add_char(out, text, n, markup, false);
      continue;
    }
    text_add(out, end);
    if (span) text_add(out, span->begin);
    end = span ? span->end : "";
  }
  text_add(out, end);
}

/* An interval in characters, its blanks such that they stay. */
static void add_drawn(Text *out, TableScale scale, const char *cell,
                      const Markup *markup) {
  enum { COLUMNS = 24 };
  Text drawn = {0};
  table_draw(scale, cell, COLUMNS, &drawn);
  put(out, markup->drawn.begin);
  for (const char *at = drawn.data ? drawn.data : ""; *at; at++)
    if (*at == ' ') add_char(out, NO_BREAK, 2, markup, true);
    else add_char(out, at, 1, markup, true);
  put(out, markup->drawn.end);
  text_deinit(&drawn);
}

static void add_cell(const Table *table, TableAt at, const Markup *markup, Text *out) {
  const TableColumn *column = &table->columns[at.column];
  bool number = column->kind == TABLE_NUMBER;
  const Around *around = at.row ? (number ? &markup->number : &markup->cell)
                                : (number ? &markup->title_of_numbers : &markup->title);
  put(out, around->begin);
  if (!at.row || column->kind != TABLE_DRAWN) add_all(out, at.cell, markup);
  else if (markup->add_interval)
    markup->add_interval(out, table_scale(table, at.column), at.cell);
  else add_drawn(out, table_scale(table, at.column), at.cell, markup);
  if (at.row == 0 && column->unit) {
    text_add(out, " (");
    add_all(out, column->unit, markup);
    text_add(out, ")");
  }
  put(out, around->end);
}

static void add_per_column(const Table *table, const PerColumn *parts, Text *out) {
  put(out, parts->begin);
  for (int c = 0; c < table->n_columns; c++)
    put(out, table->columns[c].kind == TABLE_NUMBER ? parts->number : parts->text);
  put(out, parts->end);
}

static void write_table(const Table *table, const Markup *markup, Text *out) {
  add_per_column(table, &markup->begin_table, out);
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    put(out, at.column ? markup->between : markup->row.begin);
    add_cell(table, at, markup, out);
    if (!at.last) continue;
    put(out, markup->row.end);
    if (at.row == 0) add_per_column(table, &markup->end_titles, out);
  }
  put(out, markup->end_table);
}

static void write_block(const DocBlock *block, const Markup *markup, Text *out) {
  if (block->kind == DOC_TABLE) {
    write_table(&block->table, markup, out);
    return;
  }
  put(out, markup->block[block->kind].begin);
  add_spans(out, block->text.data, markup);
  put(out, markup->block[block->kind].end);
}

static void write_markup(const DocWriter *self, const Doc *doc, int width, Text *out) {
  const Markup *markup = self->own;
  bool first = true, listing = false;
  (void)width;
  for (const DocBlock *block = doc->first; block; block = block->next) {
    bool item = block->kind == DOC_ITEM;
    if (doc_is_empty(block)) continue;
    if (listing && !item) put(out, markup->list.end);
    if (!first && !(listing && item)) text_add(out, "\n");
    if (item && !listing) put(out, markup->list.begin);
    write_block(block, markup, out);
    first = false;
    listing = item;
  }
  if (listing) put(out, markup->list.end);
}

/* -- Markdown ---------------------------------------------------------------------- */

/* A line end would end a row, and so a bar in a cell. What might begin a span, or a
 * tag, is quoted. */
static const char *const md_escapes[256] = {
    ['\n'] = " ", ['\\'] = "\\\\", ['`'] = "\\`", ['*'] = "\\*", ['<'] = "\\<",
    ['['] = "\\["};
static const char *const md_cell_escapes[256] = {
    ['\n'] = " ", ['\\'] = "\\\\", ['`'] = "\\`", ['*'] = "\\*", ['<'] = "\\<",
    ['|'] = "\\|"};
static const Markup md = {
    .block = {[DOC_HEADING] = {"## ", "\n"}, [DOC_PARAGRAPH] = {"", "\n"},
              [DOC_ITEM] = {"- ", "\n"}, [DOC_NOTE] = {"", "\n"}},
    .code = {"`", "`"}, .strong = {"**", "**"},
    .end_titles = {"|", "---|", "---:|", "\n"},
    .row = {"| ", " |\n"}, .between = " | ",
    .escapes = md_escapes, .cell_escapes = md_cell_escapes};
const DocWriter doc_writer_md = {"md", write_markup, &md, .page = true};

/* -- HTML -------------------------------------------------------------------------- */

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

static const char *const html_escapes[256] = {
    ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;"};
static const Markup html = {
    .block = {[DOC_HEADING] = {"<h2>", "</h2>\n"},
              [DOC_PARAGRAPH] = {"<p>", "</p>\n"},
              [DOC_ITEM] = {"<li>", "</li>\n"}, [DOC_NOTE] = {"<p>", "</p>\n"}},
    .list = {"<ul>\n", "</ul>\n"}, .code = {"<code>", "</code>"},
    .strong = {"<strong>", "</strong>"}, .row = {"<tr>", "</tr>\n"},
    .title = {"<th>", "</th>"}, .cell = {"<td>", "</td>"},
    .title_of_numbers = {"<th style=\"text-align:right\">", "</th>"},
    .number = {"<td style=\"text-align:right\">", "</td>"},
    .begin_table = {.begin = "<table>\n"}, .end_table = "</table>\n",
    .escapes = html_escapes, .add_interval = html_interval};
const DocWriter doc_writer_html = {"html", write_markup, &html, .page = true};

/* -- LaTeX ------------------------------------------------------------------------- */

/* The characters that mean something to LaTeX; a bracket behind \\ would begin an
 * option. */
static const char *const latex_escapes[256] = {
    ['\n'] = " ", ['\\'] = "\\textbackslash{}", ['~'] = "\\textasciitilde{}",
    ['^'] = "\\textasciicircum{}", ['['] = "{[}", ['<'] = "\\textless{}",
    ['>'] = "\\textgreater{}", ['&'] = "\\&", ['%'] = "\\%", ['$'] = "\\$",
    ['#'] = "\\#", ['_'] = "\\_", ['{'] = "\\{", ['}'] = "\\}"};
static const Markup latex = {
    .block = {[DOC_HEADING] = {"\\subsection*{", "}\n"}, [DOC_PARAGRAPH] = {"", "\n"},
              [DOC_ITEM] = {"\\item ", "\n"}, [DOC_NOTE] = {"", "\n"}},
    .list = {"\\begin{itemize}\n", "\\end{itemize}\n"}, .code = {"\\texttt{", "}"},
    .strong = {"\\textbf{", "}"}, .drawn = {"\\texttt{", "}"},
    .begin_table = {"\\begin{tabular}{", "l", "r", "}\n\\hline\n"},
    .end_titles = {.begin = "\\hline\n"}, .end_table = "\\hline\n\\end{tabular}\n",
    .row = {"", " \\\\\n"}, .between = " & ",
    .escapes = latex_escapes, .no_break = "~"};
const DocWriter doc_writer_latex = {"latex", write_markup, &latex, .page = true};
