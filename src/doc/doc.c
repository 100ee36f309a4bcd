/* doc.c: building documents, and the list of their writers; see doc.h. */
#include "doc/doc.h"
#include "base/out.h"
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

Err doc_writer_named(const char *name, const DocWriter **out, Fault *fault) {
  const char *names[8], *nearest;
  Text allowed = {0};
  int n = 0;
  *out = doc_writer_find(name);
  if (*out) return ERR_OK;
  for (const DocWriter *w = doc_writers; w->name; w++) {
    text_addf(&allowed, "%s%s", n ? ", " : "", w->name);
    names[n++] = w->name;
  }
  nearest = text_nearest(name, names, n);
  fault_set(fault, ERR_USAGE, "--format %s: allowed: %s%s%s%s", name,
            allowed.data ? allowed.data : "", nearest ? "; did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"?" : "");
  text_deinit(&allowed);
  return fault->code;
}

Err doc_print(Doc *doc, const DocWriter *writer, Fault *fault) {
  Text out = {0};
  (writer ? writer->write : doc_write_text)(doc, out_table_columns(), &out);
  Err err = out.failed ? fault_memory(fault, out.n_bytes) : ERR_OK;
  if (!err && out.n_bytes) out_data(out.data, out.n_bytes);
  text_deinit(&out);
  doc_deinit(doc);
  return err;
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
