/* write_text.c: documents as lines for a terminal or a file that is read as it is. */
#include "base/out.h"
#include "doc/doc.h"

enum { INDENT = 2 };

/* Where the first line of a block begins; the others begin INDENT further in, of notes
 * below. */
static int indent_of(DocKind kind) {
  return kind == DOC_ITEM || kind == DOC_NOTE ? INDENT : 0;
}

static int table_indent(const Table *table) { return table->outdented ? 0 : INDENT; }

/* Code stands between backquotes. */
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
  if (!clean.failed)
    text_add_wrapped(out, clean.data, indent,
                     kind == DOC_NOTE ? indent : indent + INDENT, width);
  text_deinit(&plain);
  text_deinit(&clean);
}

/* Tables may be as wide as a file takes them, but sentences are read. */
void doc_write_text(const Doc *doc, int width, Text *out) {
  size_t begin = out->n_bytes;
  bool apart = false;
  int columns = width < OUT_NO_LIMIT ? width : out_columns();
  out->failed |= doc->failed;
  for (const DocBlock *block = doc->first; block; block = block->next) {
    apart |= block->kind == DOC_BREAK || block->kind == DOC_HEADING;
    out->failed |= block->text.failed || block->table.cells.failed;
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

void doc_left_out(const Doc *doc, int width, Text *out) {
  for (const DocBlock *block = doc->first; block; block = block->next)
    if (block->kind == DOC_TABLE)
      table_left_out(&block->table, width, table_indent(&block->table), out);
}
