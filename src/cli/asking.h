/* asking.h: what the commands that ask the index share: reading their words, bringing
 * the index up to date, printing values. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "cli/query_command.h"
#include "lab/query.h"
#include "doc/doc.h"

/* An open index and what was asked of it. */
typedef struct Asking {
  Index *index;
  Query query; /* experiment and filter */
} Asking;

/* Reads the call's words: a name of an experiment (`needs_name`: there must be one) and
 * filters; opens the index and brings it up to date. ERR_USAGE for an experiment that
 * is not there, with the nearest. Ended by asking_end, also after a fault. */
Err asking_begin(Asking *out, const QueryCall *call, bool needs_name,
                 Fault *fault) WARN_UNUSED;
void asking_end(Asking *asking);

/* Is there such a directory in runs? ERR_USAGE with the nearest. */
Err check_experiment(const char *runs, const char *name, Fault *fault) WARN_UNUSED;

/* Why no trial fits the filters, on stderr: the levels that there are in place of those
 * asked for, and the nearest. */
Err tell_misses(const Asking *asking, Fault *fault) WARN_UNUSED;

/* Do the rows differ in it? kind: "factors", "args", "values". */
bool rows_differ(const Json *rows, const char *kind, const char *key);
/* What the plan reports, if a trial has it: before the first result none does.
 * Borrowed. */
const char *reported_metric(const Json *plan, const Json *names);

/* experiment.json, new, as plan_file_read gives it; NULL in *out if there is none. */
Err read_plan(const char *runs, const char *experiment, Json **out,
              Fault *fault) WARN_UNUSED;

/* Adds a value as a person reads it: texts as they are (documents clean them),
 * numbers to `digits` digits, 0: all. */
void add_value(Text *text, const Json *value, int digits);
/* The same as the next cell of a table; nothing for NULL. */
void add_cell(Table *table, const Json *value, int digits);
/* The first line of a message, whose others are a trace, as the next cell. */
void add_first_line(Table *table, const char *message);

/* The option of commands that print documents: how they are written. */
#define QUERY_FORMAT \
  {"--format", "NAME", DOC_FORMATS ": the page so written"}

/* Prints the document as --format has it, as text with the width of stdout, and frees
 * it. ERR_USAGE for a format that is none, with the nearest. */
Err print_doc(const QueryCall *call, Doc *doc, Fault *fault) WARN_UNUSED;
/* The same of records that were asked for: on stderr, which columns found no room. */
Err print_records(const QueryCall *call, Doc *doc, Fault *fault) WARN_UNUSED;
/* Prints the words that the format gives as text_add_wrapped adds them, within the
 * width of stdout. */
void print_wrapped(int used, int indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints "  left   doc", the doc from the column on and wrapped; `value` (NULL: none)
 * stands behind the name. */
void print_entry(const char *name, const char *value, int column, const char *doc);
/* Prints the text as out_data does, or its lack of memory, and frees it. */
Err print_data(Text *text, Fault *fault) WARN_UNUSED;

#endif
