/* doc.h: a document as a value: it is made once, and each writer makes of it what its
 * format has room for.
 *
 *   Doc doc = {0};
 *   doc_say(&doc, DOC_PARAGRAPH, "Decided: %d of %d contrasts:", 1, 2);
 *   doc_say(&doc, DOC_ITEM, "relu beats tanh");
 *   Table *table = doc_table(&doc);              rows as table.h has them
 *   doc_write(&doc, doc_writer_find("html"), OUT_NO_LIMIT, &text);
 *   doc_deinit(&doc);
 *
 * A document knows no width and no format. Texts are UTF-8 and may come from anywhere:
 * a writer for people shows "?" for control characters, and each escapes what means
 * something in its format. DOC_CODE and DOC_STRONG begin a span, DOC_END ends it;
 * NO_BREAK (base/text.h) is a blank at which no line ends. Lack of memory while
 * building is remembered and shows in doc_write's out->failed. */
#ifndef DOC_DOC_H
#define DOC_DOC_H

#include "base/fault.h"
#include "doc/table.h"

typedef enum DocKind {
  DOC_HEADING,
  DOC_PARAGRAPH,
  DOC_ITEM,                  /* of a list; those that follow each other are one list */
  DOC_NOTE,                  /* belongs to a table: what it says, or how it is read */
  DOC_TABLE,
  DOC_BREAK                  /* what follows is another section */
} DocKind;

#define DOC_CODE "\001"
#define DOC_STRONG "\002"
#define DOC_END "\003"

typedef struct DocBlock {
  DocKind kind;
  Text text; /* of all but tables */
  Table table;
  struct DocBlock *next;
} DocBlock;

typedef struct Doc {
  /* read-only */
  DocBlock *first; /* owned; NULL: an empty document */
  /* private */
  DocBlock *last;
  DocBlock lost; /* what there was no memory for is built here, and dropped */
  bool failed;
} Doc;

void doc_deinit(Doc *doc);

/* A new block of text, to be filled; one that stays empty is none. Borrowed from the
 * document. */
Text *doc_begin(Doc *doc, DocKind kind);
void doc_say(Doc *doc, DocKind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What follows is another section. One without anything in it is none. */
void doc_break(Doc *doc);
/* A new table, without columns. Borrowed. */
Table *doc_table(Doc *doc);

/* Is there nothing in it, not even titles? */
bool doc_is_empty(const DocBlock *block);

/* Adds the title of every column for which a table has no room in `width` columns: "sd,
 * max". */
void doc_left_out(const Doc *doc, int width, Text *out);

/* -- writers: one record each ------------------------------------------------------ */

#define DOC_FORMATS "text, md, html, latex, csv or json"

typedef struct DocWriter DocWriter;
struct DocWriter {
  const char *name;
  /* Adds the blocks of the document that are not empty to `out`: see doc_write. */
  void (*write)(const DocWriter *self, const Doc *doc, int width, Text *out);
  const void *own; /* what else the function goes by; NULL: nothing */
  bool page;       /* for people, on a page that has no room for all there is */
  bool raw;        /* what is JSON already is written as it is, and no document made */
};

extern const DocWriter *const doc_writers[]; /* of writers.def; ends with NULL */
/* NULL: there is none of that name. */
const DocWriter *doc_writer_find(const char *name);

/* That of --format; ERR_USAGE with the nearest where there is none of that name. */
Err doc_writer_named(const char *name, const DocWriter **out, Fault *fault) WARN_UNUSED;

/* Adds the document to `out`, as text where the writer is NULL. `width` is for the
 * terminal alone: the columns of a line. With OUT_NO_LIMIT tables are as wide as they
 * need, and sentences have out_columns(). */
void doc_write(const Doc *doc, const DocWriter *writer, int width, Text *out);
/* The same on stdout; frees the document. What was lost for lack of memory is the
 * fault. */
Err doc_print(Doc *doc, const DocWriter *writer, Fault *fault) WARN_UNUSED;

#endif
