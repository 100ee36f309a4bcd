/* tidy.h: what the commands that change records share (retry, rm, gc): choosing trials,
 * doing something to each, telling how many. None of them touches a trial that runs,
 * nor what is behind a link. */
#ifndef CLI_TIDY_H
#define CLI_TIDY_H

#include "cli/asking.h"
#include "lab/store.h"

/* Begin of the name of the directory in which doctor writes; the number of its process
 * follows. */
#define DOCTOR_DIRECTORY ".doctor-"

/* The rows of an experiment that fit the filters; only those with a directory. New. */
Err tidy_choose(Asking *asking, Json **out, Fault *fault) WARN_UNUSED;

/* What became of those that were chosen. */
typedef struct Tally {
  int64_t n_done, n_running;
  int64_t n_refused; /* by the system, or as they are behind a link */
} Tally;

/* One more. A storage fault is one of this trial alone: it is printed on stderr, and
 * the others are gone on with; whatever else went wrong is returned. */
Err tally_note(Tally *tally, Err err, bool done, Fault *own, Fault *fault) WARN_UNUSED;
/* ERR_STORAGE if any was refused. */
Err tally_end(const Tally *tally, Fault *fault) WARN_UNUSED;

typedef Err (*TrialAction)(const Store *store, const char *id, bool *done,
                           Fault *fault);

/* Does it to the trials among the rows. */
Err tidy_trials(const QueryCall *call, const char *experiment, const Json *rows,
                TrialAction action, Tally *tally, Fault *fault) WARN_UNUSED;

/* Prints { done, running, others } or sentences of them. `others`: a list, or NULL. */
Err tidy_tell(const QueryCall *call, const char *done, const Tally *tally,
              const Json *others, Fault *fault) WARN_UNUSED;

#endif
