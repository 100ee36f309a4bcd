/* look.h: what a trial's directory says: the one place that reads a state off it (the
 * rules are in store.h). Takes no lock and writes nothing. */
#ifndef LAB_LOOK_H
#define LAB_LOOK_H

#include "lab/store.h"

typedef struct Look {
  Json *meta, *result; /* NULL: not there */
  char *damage;        /* what is wrong with a result.json that is no result; or NULL */
  char *meta_damage;   /* the same of a meta.json */
  TrialState state;
} Look;

/* Of a directory that is not there: pending, both NULL. A result.json that is empty or
 * cut, as a crash of the machine may leave it, or not of the form of one, counts as
 * none: the state is stale, unless it runs, and `damage` is set. One that the system
 * refuses to read is an ERR_STORAGE fault; a meta.json that cannot be read, or is none,
 * counts as not there, and `meta_damage` is set. */
Err look_open(Look *out, const char *directory, Fault *fault) WARN_UNUSED;
void look_close(Look *look);

/* Has the trial, one of a study, a result that is not damaged? */
Err look_published(const char *directory, bool *published, Fault *fault) WARN_UNUSED;

/* What the two files say, as a TrialInfo; ended by trial_info_deinit. */
void look_info(const Look *look, TrialInfo *out);

/* meta.json, new, with a list of attempts that are maps, or without one; NULL where
 * there is none, or *damage (new) says what is wrong with it. */
Json *look_meta(const char *directory, char **damage);

/* The map in directory/name, new: every record is one. NULL without a fault when there
 * is no such file; NULL with an ERR_STORAGE fault when it cannot be read or is
 * something else. */
Json *look_json(const char *directory, const char *name, Fault *fault);

/* Key of an attempt after which the trial was taken back, to begin anew. */
#define LOOK_TAKEN_BACK "taken_back"

/* The last of meta's attempts, borrowed; NULL if there is none. */
Json *look_last_attempt(const Json *meta);

#endif
