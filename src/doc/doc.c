/* doc.c: building documents, and the list of their writers; see doc.h. */
#include "doc/doc.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const DocWriter doc_writers[] = {
    {"text", "lines for a terminal", doc_write_text},
    {"md", "Markdown", doc_write_md},
    {"html", "a fragment of HTML", doc_write_html},
    {"latex", "LaTeX", doc_write_latex},
    {"csv", "the tables, as CSV", doc_write_csv},
    {"json", "paragraphs and tables, as JSON", doc_write_json},
    {NULL, NULL, NULL}};

const DocWriter *doc_writer_find(const char *name) {
  for (const DocWriter *w = doc_writers; w->name; w++)
    if (strcmp(w->name, name) == 0) return w;
  return NULL;
}

static void block_deinit(DocBlock *block) {
  text_deinit(&block->text);
  table_deinit(&block->table);
}

void doc_deinit(Doc *doc) {
  for (DocBlock *block = doc->first, *next; block; block = next) {
    next = block->next;
    block_deinit(block);
    free(block);
  }
  block_deinit(&doc->lost);
  *doc = (Doc){0};
}

static DocBlock *add_block(Doc *doc, DocKind kind) {
  DocBlock *block = calloc(1, sizeof *block);
  if (!block) {
    doc->failed = true;
    block_deinit(&doc->lost);
    return &doc->lost;
  }
  block->kind = kind;
  if (doc->last) doc->last->next = block;
  else doc->first = block;
  return doc->last = block;
}

Text *doc_begin(Doc *doc, DocKind kind) { return &add_block(doc, kind)->text; }

void doc_say(Doc *doc, DocKind kind, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_add_args(doc_begin(doc, kind), format, args);
  va_end(args);
}

void doc_break(Doc *doc) { add_block(doc, DOC_BREAK); }

Table *doc_table(Doc *doc) { return &add_block(doc, DOC_TABLE)->table; }

bool doc_is_empty(const DocBlock *block) {
  if (block->kind == DOC_BREAK) return true;
  if (block->kind == DOC_TABLE)
    return block->table.cells.failed || !block->table.n_cells;
  return block->text.failed || block->text.n_bytes == 0;
}
