/* run_name.h: names of the directories in runs/: of experiments, and of the scripts and
 * fits that have records of their own. */
#ifndef LAB_RUN_NAME_H
#define LAB_RUN_NAME_H

#include "base/fault.h"
#include <stdbool.h>

/* Has runs/ something else of that name, or hides it? A leading dot; index.sqlite and
 * what SQLite keeps beside it. */
bool run_name_is_hidden(const char *name);
/* The same, or "trials": a path with it would be read as one into an experiment. Such a
 * name is given to nothing new. */
bool run_name_is_taken(const char *name);

/* "dir/name.lua" -> "name", new. What a file name cannot hold or would hide becomes
 * '_', and stands before a name that is taken. NULL on lack of memory. */
char *run_name_of(const char *script);

/* *out is the one in the directory `runs` that was most likely meant by `name`: new;
 * NULL where none is near. */
Err run_name_nearest(const char *runs, const char *name, char **out,
                     Fault *fault) WARN_UNUSED;

#endif
