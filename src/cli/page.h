/* page.h: what commands print: values, documents, help. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include "base/json.h"
#include "doc/doc.h"

/* Adds a value as a person reads it: texts as they are (documents clean them),
 * numbers to `digits` digits, 0: all. */
void page_add_value(Text *text, const Json *value, int digits);
/* The same as the next cell of a table; nothing for NULL. */
void page_add_cell(Table *table, const Json *value, int digits);
/* The first line of a message, whose others are a trace, as the next cell. */
void page_add_first_line(Table *table, const char *message);

/* The option of commands that print documents: how they are written. */
#define QUERY_FORMAT \
  {"--format", "NAME", DOC_FORMATS ": the page so written"}

/* Prints the document in that format (the value of --format; NULL: as text with the
 * width of stdout), and frees it. ERR_USAGE for a format that is none, with the
 * nearest. */
Err page_print(const char *format, Doc *doc, Fault *fault) WARN_UNUSED;
/* The same of records that were asked for: on stderr, which columns found no room. */
Err page_print_records(const char *format, Doc *doc, Fault *fault) WARN_UNUSED;
/* Prints the words that the format gives as text_add_wrapped adds them, within the
 * width of stdout. */
void page_print_wrapped(int used, int indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints "  left   doc", the doc from the column on and wrapped; `value` (NULL: none)
 * follows the name. */
void page_print_entry(const char *name, const char *value, int column, const char *doc);
/* Prints the text as out_data does, or its lack of memory, and frees it. */
Err page_print_text(Text *text, Fault *fault) WARN_UNUSED;

#endif
