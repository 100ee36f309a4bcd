/* trial_info.h: what is known of a trial: the one record that is read off its directory
 * (look.h), kept by the index, asked for by queries, and held by a study. */
#ifndef LAB_TRIAL_INFO_H
#define LAB_TRIAL_INFO_H

#include "base/sha256.h"
#include "lab/trial.h"

enum { TRIAL_ID = 64, HASH_TEXT = SHA256_TEXT }; /* bytes of an id, a hash in hex */

typedef struct TrialInfo {
  char id[TRIAL_ID]; /* "": unknown */
  int64_t seed;
  TrialState state;
  bool damaged;     /* a result.json is there and is none; `message` says why */
  bool belongs;     /* its experiment asks for it: what the index says */
  int attempts;     /* begun so far */
  double seconds;   /* of the last attempt, once it ended; else 0 */
  char started[32]; /* the last attempt, in UTC; "": never, or unknown */
  char fingerprint[HASH_TEXT]; /* the result's, else meta's of the last attempt; "":
                                  none */
  char digest[HASH_TEXT];      /* of a published one; else "" */
  char *message;               /* of what ended the last attempt; NULL if none */
  Json *factors, *args;        /* maps: its configuration; NULL: unknown */
  Json *values;                /* map of a published one; NULL if none */
  Json *rows; /* map: a value that is a share -> of how many; NULL if unknown */
  Json *data; /* map: what was read -> hash of its rows; NULL if unknown */
} TrialInfo;

void trial_info_deinit(TrialInfo *info);

/* Of a row that query_trials gave with `whole`; NULL: pending, and all empty. Without
 * the configuration. */
void trial_info_of_row(const Json *row, TrialInfo *out);

#endif
