/* out.h: all output of the program.
 *
 * stdout carries results, stderr progress and errors. What goes to stdout through here
 * also lands in stdout.log of the run's record: until there is one it is kept in memory
 * (the first OUT_KEPT_BYTES of it), then written to the file, which follows from there
 * on. What a trial of a study says, by whichever way, goes to its own files instead.
 *
 * There is one stdout per process, so the state is one per process; it is used by the
 * main thread alone. */
#ifndef BASE_OUT_H
#define BASE_OUT_H

#include "base/fault.h"
#include "base/json.h"

enum { OUT_KEPT_BYTES = 1 << 20, OUT_NO_LIMIT = 1 << 20 };

/* To stdout. Wipes a progress line that is in the way. */
void out_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void out_write(const void *bytes, size_t n_bytes);

/* The same with "?" for control characters other than line ends and tabs: for a person,
 * with texts of records in it, which may be anybody's. */
void out_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For a program: as it is, but on a terminal as out_say. */
void out_data(const void *bytes, size_t n_bytes);
/* The value so, indented; takes it. */
Err out_json(Json *json, Fault *fault) WARN_UNUSED;

/* To stderr, never to the log; "?" for control characters other than line ends and
 * tabs. */
void err_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of its own, in red where colour is wanted there. */
void err_print_red(const char *text);

/* Are progress bars wanted: is stderr a terminal? */
bool out_progress_on(void);
/* Columns for results on stdout: the terminal's, else those of COLUMNS, else 80. */
int out_columns(void);
/* The same whether it is a terminal or not: those of COLUMNS, else 80. */
int out_page_columns(void);
/* The same for tables that are asked for: into a file or a pipe, whole. */
int out_table_columns(void);
/* Is colour wanted there: a terminal that is not dumb, and no NO_COLOR? */
bool out_colour_on(void);
/* Redraws the one progress line, cut to the terminal's width; nothing elsewhere. */
void out_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Wipes the progress line, or leaves it on the screen and starts the next one. */
void out_progress_end(bool leave);

/* From now on what out_write gets is written to the file as well, beginning with what
 * was kept. A write that fails later is reported by out_flush. *log is its number. */
enum { OUT_LOGS = 2, OUT_NO_LOG = 0 }; /* of a script, of one of its fits */
Err out_tee_begin(const char *path, int *log, Fault *fault) WARN_UNUSED;
/* Closes the file; *log becomes OUT_NO_LOG, which is fine, too. After the last one
 * keeping starts again, from nothing. */
Err out_tee_end(int *log, Fault *fault) WARN_UNUSED;

/* From now on descriptors 1 and 2 are these files, new or emptied: whatever is written
 * there, by programs that are started meanwhile too, lands in them. Nothing is kept. */
Err out_divert(const char *out_path, const char *err_path, Fault *fault) WARN_UNUSED;
/* They are again what they were; nothing where nothing is diverted. ERR_STORAGE when
 * something that was printed was lost. */
Err out_divert_end(Fault *fault) WARN_UNUSED;

/* ERR_STORAGE when anything written to stdout or to the log since the start was
 * lost. */
Err out_flush(Fault *fault) WARN_UNUSED;

#endif
