/* look.h: what a trial's directory says: the one place that reads a state off it (the rules
 * stand in store.h). Takes no lock and writes nothing. */
#ifndef LAB_LOOK_H
#define LAB_LOOK_H

#include "lab/store.h"

typedef struct Look {
  Json *meta, *result;       /* NULL: not there */
  TrialState state;
} Look;

/* Of a directory that is not there: pending, both NULL. A result that cannot be read is an
 * ERR_STORAGE fault; a meta.json that cannot counts as none. */
Err look_open(Look *out, const char *directory, Fault *fault) WARN_UNUSED;
void look_close(Look *look);

/* What the two files say, as a TrialInfo; ended by trial_info_deinit. */
void look_info(const Look *look, TrialInfo *out);

/* The map or list in directory/name, new. NULL without a fault when there is no such file;
 * NULL with an ERR_STORAGE fault when it cannot be read. */
Json *look_json(const char *directory, const char *name, Fault *fault);

/* Key of an attempt after which the trial was taken back, to begin anew. */
#define LOOK_TAKEN_BACK "taken_back"

/* The last of meta's attempts, borrowed; NULL if there is none. */
Json *look_last_attempt(const Json *meta);

#endif
