/* doc.c: building documents, the list of their writers, and that for a terminal, or a
 * file that is read as it is; see doc.h. */
#include "doc/doc.h"
#include "base/out.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DOC_WRITER(name) extern const DocWriter doc_writer_##name;
#include "doc/writers.def"
#undef DOC_WRITER

const DocWriter *const doc_writers[] = {
#define DOC_WRITER(name) &doc_writer_##name,
#include "doc/writers.def"
#undef DOC_WRITER
    NULL};

const DocWriter *doc_writer_find(const char *name) {
  for (const DocWriter *const *w = doc_writers; *w; w++)
    if (strcmp((*w)->name, name) == 0) return *w;
  return NULL;
}

Err doc_writer_named(const char *name, const DocWriter **out, Fault *fault) {
  const char *names[16], *nearest;
  Text allowed = {0};
  int n = 0;
  *out = doc_writer_find(name);
  if (*out) return ERR_OK;
  for (const DocWriter *const *w = doc_writers; *w; w++) {
    text_addf(&allowed, "%s%s", n ? ", " : "", (*w)->name);
    must(n < 16);
    names[n++] = (*w)->name;
  }
  nearest = text_nearest(name, names, n);
  fault_set(fault, ERR_USAGE, "--format %s: allowed: %s%s%s%s", name,
            allowed.data ? allowed.data : "", nearest ? "; did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"?" : "");
  text_deinit(&allowed);
  return fault->code;
}

void doc_write(const Doc *doc, const DocWriter *writer, int width, Text *out) {
  out->failed |= doc->failed;
  for (const DocBlock *block = doc->first; block; block = block->next)
    out->failed |= block->text.failed || block->table.cells.failed;
  if (!writer) writer = &doc_writer_text;
  writer->write(writer, doc, width, out);
}

Err doc_print(Doc *doc, const DocWriter *writer, Fault *fault) {
  Text out = {0};
  doc_write(doc, writer, out_table_columns(), &out);
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

/* -- lines of text ----------------------------------------------------------------- */

enum { INDENT = 2 };

/* Where the first line of a block begins; the others begin INDENT further in, of notes
 * below. */
static int indent_of(DocKind kind) {
  return kind == DOC_ITEM || kind == DOC_NOTE ? INDENT : 0;
}

static int table_indent(const Table *table) { return table->outdented ? 0 : INDENT; }

/* Code is put between backquotes. */
static void add_plain(const char *text, Text *out) {
  bool code = false;
  for (; *text; text++) {
    bool begins = *text == *DOC_CODE, ends = code && *text == *DOC_END;
    if (begins || ends) text_add(out, "`");
    else if (*text != *DOC_STRONG && *text != *DOC_END) text_add_bytes(out, text, 1);
    code = begins || (code && !ends);
  }
}

static void add_words(DocKind kind, const char *text, int width, Text *out) {
  Text plain = {0}, clean = {0};
  int indent = indent_of(kind);
  add_plain(text, &plain);
  text_add_clean(&clean, plain.data ? plain.data : "");
  out->failed |= plain.failed || clean.failed;
  text_addf(out, "%*s", indent, "");
  text_add_wrapped(out, clean.data ? clean.data : "", indent,
                   kind == DOC_NOTE ? indent : indent + INDENT, width);
  text_deinit(&plain);
  text_deinit(&clean);
}

/* Tables may be as wide as a file takes them, but sentences are read. */
static void write_text(const DocWriter *self, const Doc *doc, int width, Text *out) {
  (void)self;
  size_t begin = out->n_bytes;
  bool apart = false;
  int columns = width < OUT_NO_LIMIT ? width : out_columns();
  for (const DocBlock *block = doc->first; block; block = block->next) {
    apart |= block->kind == DOC_BREAK || block->kind == DOC_HEADING;
    if (doc_is_empty(block) ||
        (block->kind == DOC_TABLE && table_is_empty(&block->table)))
      continue;
    if (apart && out->n_bytes > begin) text_add(out, "\n");
    apart = false;
    if (block->kind == DOC_TABLE)
      table_write(&block->table, width, table_indent(&block->table), out);
    else add_words(block->kind, block->text.data, columns, out);
  }
}

const DocWriter doc_writer_text = {"text", write_text, .page = true};

void doc_left_out(const Doc *doc, int width, Text *out) {
  for (const DocBlock *block = doc->first; block; block = block->next)
    if (block->kind == DOC_TABLE)
      table_left_out(&block->table, width, table_indent(&block->table), out);
}
