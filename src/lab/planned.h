/* planned.h: the trials that an experiment.json asks for. */
#ifndef LAB_PLANNED_H
#define LAB_PLANNED_H

#include "lab/store.h"

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

/* New: the config of a cell of the plan, which is what the identity of its trials is
 * made of (store_config_hash). NULL, or a fault at store_config_hash, on lack of
 * memory. */
Json *planned_config(const Json *plan, const Json *cell);

/* `directory` is the experiment's. Without the file nothing is planned. */
Err planned_open(Planned *out, const char *directory, Fault *fault) WARN_UNUSED;
void planned_close(Planned *planned);

#endif
