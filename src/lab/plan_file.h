/* plan_file.h: reading experiment.json (what it holds is in store.h), and the trials
 * that it asks for. */
#ifndef LAB_PLAN_FILE_H
#define LAB_PLAN_FILE_H

#include "lab/store.h"

/* The plan in the experiment's directory, new. Its readers may count and go through
 * its cells, seeds, factors with their levels, contrasts, skipped cells, others, words
 * and names of tuned parameters; it has its name, metric, report and goal, and its
 * script, if there is one, is a text: that is looked at here and nowhere else. NULL
 * without a fault when there is no such file; NULL with an ERR_STORAGE fault, which
 * names the file and the field, when it is cut or was edited into something else. */
Json *plan_file_read(const char *directory, Fault *fault);

typedef struct PlannedTrial {
  char id[TRIAL_ID];
  int64_t seed;
  const Json *factors; /* borrowed of the plan; NULL for one of `others` */
} PlannedTrial;

typedef struct Planned {
  Json *experiment; /* the whole file; NULL: there is none */
  PlannedTrial *v;  /* seed-major, cells in their order, then `others` */
  int64_t n;
  bool tuning; /* under way: the cells are not known yet */
} Planned;

/* The config of a cell of the plan, new, and its hash, which is what the identity of
 * its trials is made of (store_trial_id). */
Err plan_file_config(const Json *plan, const Json *cell, Json **config, char hash[17],
                     Fault *fault) WARN_UNUSED;

/* `directory` is the experiment's. Without the file nothing is planned. */
Err plan_file_open(Planned *out, const char *directory, Fault *fault) WARN_UNUSED;
void plan_file_close(Planned *planned);

#endif
