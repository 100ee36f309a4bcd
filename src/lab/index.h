/* index.h: runs/index.sqlite, a cache of what the directories say, for queries.
 *
 * Only queries write it, workers never; it can be removed at any time. One that is
 * missing, damaged or of another version is built anew; where it cannot be written it
 * is built in memory: whenever that is found out, also by a query. It holds a row per
 * trial of every experiment, planned ones included, and per run of every plain script,
 * and per value of each.
 *
 * It is brought up to date by index_refresh: a published trial is read again when its
 * directory's time changed, any other one always; a plan when its file changed. Times
 * that are not older than the clock's grain are not trusted. */
#ifndef LAB_INDEX_H
#define LAB_INDEX_H

#include "base/fault.h"

typedef struct Index Index;

/* `runs` need not be there: the index is empty then, and nothing is made. */
Err index_open(Index **out, const char *runs, Fault *fault) WARN_UNUSED;
void index_close(Index *index); /* NULL is a no-op */

/* Reads what changed in runs/<experiment>, or in all of runs (NULL): then directories
 * that cannot be read are left out, with a warning. Faults are ERR_STORAGE. Progress on
 * stderr when it takes long. */
Err index_refresh(Index *index, const char *experiment, Fault *fault) WARN_UNUSED;

/* Is it kept in memory only, since its file cannot be written? */
bool index_in_memory(const Index *index);
/* Version of SQLite. */
const char *index_library(void);

#endif
