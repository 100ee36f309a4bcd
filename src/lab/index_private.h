/* index_private.h: the tables of the index, for the files that ask it.
 *
 *   entry   one per directory in runs: name; stamp of experiment.json
 *   trial   one per trial or run, what TrialInfo says of it. `belongs` is 0 for one
 *           that its experiment no longer asks for; `cell` is "" for a run; `purpose`
 *           is "report", "tuning" for one that only chooses parameters, "" for a run;
 *           `stamp` is the directory's time when it was read, 0: read it again, -1:
 *           there is no directory (planned only)
 *   field   one per value in a map of the trial's TrialInfo: kind (index_kinds); `type`
 *           is a JsonKind, `text` the value as written, `number` is NULL if it is none
 *   name    the fields of the first INDEX_NAMED kinds that an entry has, and their
 *           place in its tables
 */
#ifndef LAB_INDEX_PRIVATE_H
#define LAB_INDEX_PRIVATE_H

#include "lab/index.h"
#include <sqlite3.h>

/* Maps of a TrialInfo: its configuration, what can be asked for by name, all. */
enum { INDEX_CONFIG = 2, INDEX_NAMED = 3, INDEX_KINDS = 5 };
extern const char *const index_kinds[INDEX_KINDS];

struct Index {
  sqlite3 *db;
  char *runs;
  bool in_memory; /* the file cannot be used */
  bool rebuilt;   /* it was damaged; once is enough */
  int failure;    /* SQLite's code of the last fault; a ROLLBACK hides it there */
};

/* Prepares a statement; NULL and an ERR_STORAGE fault. Ended by sqlite3_finalize. */
sqlite3_stmt *index_prepare(Index *index, const char *sql, Fault *fault);
/* Steps to the next row: true if there is one. False at the end, for a fault, which is
 * set, and for a NULL statement or a fault that was set before: loops need no other
 * check. */
bool index_next(Index *index, sqlite3_stmt *s, Fault *fault);
/* The text of a column, "" where it is none: the file may be anybody's. */
const char *index_text(sqlite3_stmt *s, int column);
/* Runs statements without results; their format is that of sqlite3_mprintf: %Q quotes.
 * Not after a fault. */
Err index_run(Index *index, Fault *fault, const char *format, ...) WARN_UNUSED;

/* After a fault that another file cures opens that, empty, and clears the fault: a
 * damaged one is built anew, once; one that cannot be written, or is damaged again,
 * gives way to one in memory. Else the fault stays, and is returned. */
Err index_reopen(Index *index, Fault *fault) WARN_UNUSED;
/* The same, then reads the experiment, or all (NULL), as index_refresh does. */
Err index_renew(Index *index, const char *experiment, Fault *fault) WARN_UNUSED;

#endif
