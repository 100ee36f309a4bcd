/* crash.h: what a crash of the machine may take, and how it is found afterwards.
 *
 * A killed process loses nothing that it wrote; a machine that loses power may lose
 * what was not synced. Syncing costs some milliseconds a file, which a trial of a
 * minute does not notice and a trial of a millisecond does. So:
 *
 *   a trial of CRASH_SYNC_S or more is synced, file by file, before it counts as
 *   published; a shorter one of a study is not (Trial.brief): crash_end syncs the file
 *   system once, at the end of the run. Until then the experiment's directory has a
 *   mark,
 *     .unsynced-<number of the process>-<id of the machine's boot>
 *     (<number>.2- and so on where processes of two containers have one number)
 *
 * of which that process holds the lock (lock.h): its number may be another's by now. A
 * mark of another boot means that the machine went down within a run. crash_repair then
 * compares the digest of every published trial with its files, and takes back those
 * that do not agree: they are run again. A result.json that is empty or cut is no
 * result in any case (look.h). A mark of this boot whose process is gone is left to the
 * next crash_end. */
#ifndef LAB_CRASH_H
#define LAB_CRASH_H

#include "lab/store.h"

#define CRASH_SYNC_S 0.1

/* After a crash of the machine: repairs the store, and says so on stderr. Else
 * nothing. */
Err crash_repair(const Store *store, Fault *fault) WARN_UNUSED;

/* Is it the name of a mark? */
bool crash_is_mark(const char *name);

/* Are the files of a published trial those of which its digest was made? */
Err crash_check(const Store *store, const char *id, bool *whole,
                Fault *fault) WARN_UNUSED;

/* The mark of a run. */
typedef struct CrashMark {
  int lock; /* to be ended by lock_drop, also where the run ended badly: then
               the mark stays for the next crash_end */
  char name[128];
} CrashMark;

/* Before the first trial of a run, and after the last. Faults are ERR_STORAGE. */
Err crash_begin(const Store *store, CrashMark *out, Fault *fault) WARN_UNUSED;
Err crash_end(const Store *store, const CrashMark *mark, Fault *fault) WARN_UNUSED;

/* The number of a live process that is between the two; 0: there is none. */
Err crash_runs(const Store *store, long *process, Fault *fault) WARN_UNUSED;

#endif
