/* script.h: which script a plan or a trial came from, and whether it is another one.
 *
 * Plans (experiment.json) and records (meta.json) hold "script", as it was given on the
 * command line, and "script_path", where it was; older ones only the first. Those of
 * -e, the prompt and stdin hold none. */
#ifndef LAB_SCRIPT_H
#define LAB_SCRIPT_H

#include "base/json.h"

/* The path of the script, without links, new; NULL where it is not there. */
char *script_path(const char *script);

/* Is the script of `earlier` another one than that of `now`: of another name, or of
 * the same and another file that is still there? One that was moved is the same; what
 * was typed is another one than any script. */
bool script_is_other(const Json *now, const Json *earlier);
/* The same, and it is there: it may ask for what it made. */
bool script_is_another_there(const Json *now, const Json *earlier);

/* Is the script a file below the current directory, and not in one that belongs to the
 * records below `runs`? */
bool script_is_of_tree(const char *script, const char *runs);

#endif
