/* trial.h: the record of a run on disk.
 *
 * runs/<script>/<UTC time>/ is made when first something is recorded (-2, -3 ... on a
 * clash) and holds
 *   config.json    seed and arguments
 *   metrics.csv    one row per epoch, columns fixed by the first row, written at once;
 *                  a second fit of the same run writes metrics-2.csv, and so on
 *   stdout.log     everything printed to stdout since the program began
 *   meta.json      times, machine, versions, peak memory
 *   result.json    last, put in place exactly once: its presence means the run is over
 *
 * Faults are ERR_STORAGE and name the path. With `go_on` set the first one is printed as a
 * warning and recording ends there, without a fault. */
#ifndef LAB_TRIAL_H
#define LAB_TRIAL_H

#include "base/fault.h"
#include "base/json.h"

typedef enum TrialState {
  TRIAL_COMPLETE, TRIAL_DIVERGED, TRIAL_FAILED, TRIAL_INTERRUPTED
} TrialState;
const char *trial_state_name(TrialState state);

enum { TRIAL_FITS = 1000 };                /* most metrics files of one run */

typedef struct Trial {
  /* public */
  bool go_on;
  /* read-only */
  char *directory;           /* NULL until something is recorded */
  bool failed;               /* recording ended by a fault under go_on */
  bool finished;
  /* private */
  char *runs, *name;
  Json *config, *meta;
  double start_s;
  char start_utc[32];
  struct MetricsFile *metrics;
  int n_metrics;
} Trial;

/* Nothing is written yet. `runs` is the directory of runs, `script` the path of the script
 * (its name without directory and ".lua" is used) or a name. Takes both values, also on
 * failure: config is a map with seed and args; meta a map of what the caller knows about
 * the machine (threads, BLIS kernel set, SIMD level, versions), or NULL; times, processor,
 * host and peak memory are added here. */
Err trial_init(Trial *out, const char *runs, const char *script, Json *config, Json *meta,
               Fault *fault) WARN_UNUSED;
void trial_deinit(Trial *trial);           /* writes nothing */

/* Makes the directory with config.json, meta.json and stdout.log; once, then a no-op.
 * The directory's path is in trial->directory. */
Err trial_open(Trial *trial, Fault *fault) WARN_UNUSED;

/* One row of the metrics of fit number `fit` (from 1). The columns of the first row stand
 * for all: the same names in the same order, else ERR_VALUE. Opens the record. */
Err trial_row(Trial *trial, int fit, const char *const *columns, const double *values,
              int n, Fault *fault) WARN_UNUSED;

/* How the run ended. All but `state` may be missing (NULL, -1). Borrowed. */
typedef struct TrialEnd {
  TrialState state;
  const char *message;       /* of the error */
  int64_t step;              /* at which it diverged or failed; -1: unknown */
  const char *layer;         /* first one with a value that is not finite */
  const Json *values;        /* map: final metrics by name */
} TrialEnd;

/* Final meta.json, the end of stdout.log, then result.json. Nothing when the record was
 * never opened. A second call is a no-op. */
Err trial_finish(Trial *trial, const TrialEnd *end, Fault *fault) WARN_UNUSED;

#endif
