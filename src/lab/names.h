/* names.h: the names of what this program puts below the directory of runs: the one
 * place that knows their forms. What has another name is not ours. */
#ifndef LAB_NAMES_H
#define LAB_NAMES_H

#include "base/fault.h"
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
bool name_is_table(const char *name); /* of a matrix or curve */
bool name_is_checkpoint(const char *name);
/* What another run of the trial must not find: all of these, what is half written. */
bool name_is_product(const char *name);

/* -- directories in runs/: of experiments, and of scripts and fits with records -- */

/* Has runs/ something else of that name, or hides it? A leading dot; index.sqlite and
 * what SQLite keeps beside it. */
bool name_is_hidden(const char *name);
/* The same, or "trials": a path with it would be read as one into an experiment. Such a
 * name is given to nothing new. */
bool name_is_taken(const char *name);

/* "dir/name.lua" -> "name", new. What a file name cannot hold or would hide becomes
 * '_', and is put before a name that is taken. NULL on lack of memory. */
char *name_of_script(const char *script);

/* *out is the one in the directory `runs` that was most likely meant by `name`: new;
 * NULL where none is near. */
Err name_nearest(const char *runs, const char *name, char **out,
                 Fault *fault) WARN_UNUSED;

#endif
