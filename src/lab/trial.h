/* trial.h: the record of a run on disk: of a plain script, or of a trial of a study.
 *
 * A directory holds
 *   config.json    seed and arguments
 *   metrics.csv    one row per epoch, columns fixed by the first row, written at once;
 *                  a second fit of the same run writes metrics-2.csv, and so on
 *   probes.csv     what the probes of the first fit measured, put in place at its end;
 *                  of the second probes-2.csv, and so on; probes.step.csv of
 *                  steps of own loops, put in place at the end of the run
 *   table.<name>.csv  a matrix or curve that the first fit measured at its end, as
 *                  table.val_confusion_matrix.csv; of the second table-2.<name>.csv
 *   stdout.log     everything printed to stdout since the program began; of a trial of
 *                  a study whatever reaches descriptor 1, programs that it starts
 *                  included
 *   stderr.log     of such a trial: the same of descriptor 2, byte by byte
 *   meta.json      times, machine, versions, peak memory, attempts, rows of shares
 *   result.json    last, put in place exactly once: its presence means the run is over
 *   lock           held while it runs
 *
 * Of a plain run it is runs/<script>/<UTC time>/, made when first something is recorded
 * (-2, -3 ... on a clash). A trial of a study gets its directory from the store
 * (store.h), perhaps with what earlier attempts left.
 *
 * Faults are ERR_STORAGE and name the path. With `go_on` set the first one is printed
 * as a warning and recording ends there, without a fault. */
#ifndef LAB_TRIAL_H
#define LAB_TRIAL_H

#include "base/fault.h"
#include "base/json.h"
#include "base/sha256.h"
#include "lab/metrics.h"

typedef enum TrialState {
  TRIAL_PENDING, TRIAL_RUNNING, TRIAL_COMPLETE, TRIAL_DIVERGED, TRIAL_FAILED,
  TRIAL_INTERRUPTED, TRIAL_STALE, TRIAL_CANCELLED, TRIAL_STATES
} TrialState;
const char *trial_state_name(TrialState state);
/* What it means, in one line. */
const char *trial_state_doc(TrialState state);
/* Does a result of a study's trial have it? One of a plain script may also be
 * interrupted. */
bool trial_state_is_published(TrialState state);
/* False when it is no state's name. */
bool trial_state_parse(const char *name, TrialState *out);

/* What is known of a trial: the one record that is read off its directory (look.h),
 * kept by the index, asked for by queries, and held by a study. */
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

/* Of a row that QUERY_TRIALS gave with `whole`; NULL: pending, and all empty. Without
 * the configuration. */
void trial_info_of_row(const Json *row, TrialInfo *out);

typedef struct Trial {
  /* public */
  bool go_on;
  bool brief;   /* when short, others see to it that it is synced (crash.h) */
  bool logless; /* what this process prints is not the trial's: no logs */
  Json *meta;   /* the caller may put into it until trial_open */
  /* read-only */
  char *directory; /* of a plain run: NULL until something is recorded */
  int attempt;     /* 1, 2, ... */
  bool opened;
  bool failed; /* recording ended by a fault under go_on */
  bool finished;
  bool of_study;
  /* private */
  char *runs, *name; /* of a plain run */
  Json *config;
  Json *attempt_note; /* borrowed: the last one of meta's "attempts" */
  double start_s;
  char start_utc[32];
  Metrics metrics;
  int log; /* of what a plain run prints (out.h) */
  int lock;
} Trial;

/* Names of its logs. */
#define TRIAL_STDOUT "stdout.log"
#define TRIAL_STDERR "stderr.log"

/* Nothing is written yet. `runs` is the directory of runs, `script` the path of the
 * script (its name without directory and ".lua" is used) or a name. Takes both values,
 * also on failure: config is a map with seed and args; meta a map of what the caller
 * knows about the machine (threads, BLIS kernel set, SIMD level, versions), or NULL;
 * times, processor, host and peak memory are added here. */
Err trial_init(Trial *out, const char *runs, const char *script, Json *config,
               Json *meta, Fault *fault) WARN_UNUSED;

/* The same in a directory that is there and that the caller has locked. Takes
 * `attempts`, the list of earlier ones or NULL, and the lock, also on failure. */
Err trial_init_at(Trial *out, const char *directory, int lock, Json *config,
                  Json *attempts, Fault *fault) WARN_UNUSED;
void trial_deinit(Trial *trial); /* writes nothing; ends the lock */

/* Makes the directory with config.json, meta.json and the logs; once, then a no-op.
 * The directory's path is in trial->directory. */
Err trial_open(Trial *trial, Fault *fault) WARN_UNUSED;

/* One row of the metrics of fit number `fit` (from 1). The columns of the first row
 * are those of all: the same names in the same order, else ERR_VALUE. Opens the record.
 */
Err trial_row(Trial *trial, int fit, const char *const *columns, const double *values,
              int n, Fault *fault) WARN_UNUSED;

/* A table beside those of metrics, "<name>.csv" (probes, probes-2, table.roc_curve), in
 * place of one that is there. Opens the record. */
Err trial_table(Trial *trial, const char *name, const Text *csv,
                Fault *fault) WARN_UNUSED;

/* How the run ended. All but `state` may be missing (NULL, -1). Borrowed. */
typedef struct TrialEnd {
  TrialState state;
  const char *message; /* of the error */
  int64_t step;        /* of the optimizer, at which it diverged; -1: unknown */
  const char *layer;   /* first one with a value that is not finite */
  const Json *values;  /* map: final metrics by name */
  const char *weights; /* hash of the final weights, as text */
  const Json *rows; /* map: of values that are shares, how many rows they are of; goes
                       into meta.json */
} TrialEnd;

/* The end of a run that this fault ended (or none); borrows both. */
TrialEnd trial_end_of(const Fault *fault, const Json *values);

/* Final meta.json, the end of the logs, then result.json with its digest. Nothing when
 * the record was never opened. A second call is a no-op. */
Err trial_finish(Trial *trial, const TrialEnd *end, Fault *fault) WARN_UNUSED;

/* The same for a trial of a study: *first is false, without a fault, if a result is
 * there already. After a fault it may be called again. */
Err trial_publish(Trial *trial, const TrialEnd *end, bool *first,
                  Fault *fault) WARN_UNUSED;

/* Ends without a result: notes in meta.json that the attempt was interrupted, as far as
 * that can be written. */
void trial_release(Trial *trial, const char *why);

#endif
