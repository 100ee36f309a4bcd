/* plan_file.h: reading experiment.json (what it holds stands in store.h). */
#ifndef LAB_PLAN_FILE_H
#define LAB_PLAN_FILE_H

#include "base/json.h"

/* The plan in the experiment's directory, new. Whoever has it may count and go through
 * its cells, seeds, factors with their levels, contrasts, skipped cells, others, words
 * and names of tuned parameters; it has its name, metric, report and goal, and its
 * script, if there is one, is a text: that is looked at here and nowhere else. NULL
 * without a fault when there is no such file; NULL with an ERR_STORAGE fault, which
 * names the file and the field, when it is cut or was edited into something else. */
Json *plan_file_read(const char *directory, Fault *fault);

#endif
