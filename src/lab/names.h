/* names.h: the names of what this program puts into a store: the one place that knows
 * their forms. What has another name is somebody else's. */
#ifndef LAB_NAMES_H
#define LAB_NAMES_H

#include <stdbool.h>

/* Begin of the names of directories that are on their way out, in trials/. */
#define NAME_REMOVED ".removed-"

/* "<hash>-s<seed>", in trials/. */
bool name_is_trial(const char *name);
/* "20250301T093000Z", perhaps with "-2": a run of a plain script. */
bool name_is_run(const char *name);
/* "<hash>-<file>", in code/. */
bool name_is_source(const char *name);

/* In the directory of a trial or a run. */
bool name_is_metrics(const char *name);
bool name_is_probes(const char *name);
bool name_is_checkpoint(const char *name);
/* What another run of the trial must not find: these, probes, what is half written. */
bool name_is_product(const char *name);

#endif
