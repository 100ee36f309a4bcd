/* asking.h: what the commands that ask the index share: reading their words, bringing
 * the index up to date, printing values. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "cli/page.h"
#include "cli/query_command.h"
#include "lab/query.h"

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
Err asking_check_experiment(const char *runs, const char *name,
                            Fault *fault) WARN_UNUSED;

/* Why no trial fits the filters, on stderr: the levels that there are in place of those
 * asked for, and the nearest. */
Err asking_tell_misses(const Asking *asking, Fault *fault) WARN_UNUSED;

/* What the plan reports, if a trial has it: before the first result none does.
 * Borrowed. */
const char *asking_reported_metric(const Json *plan, const Json *names);

/* experiment.json, new, as plan_file_read gives it; NULL in *out if there is none. */
Err asking_read_plan(const char *runs, const char *experiment, Json **out,
                     Fault *fault) WARN_UNUSED;

#endif
