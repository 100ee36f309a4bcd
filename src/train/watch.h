/* watch.h: a column of the history that a callback watches, and its best value. */
#ifndef TRAIN_WATCH_H
#define TRAIN_WATCH_H

#include "train/train.h"

typedef struct Watch {
  char *monitor;
  int mode;  /* Goal; GOAL_NONE: as the measure's record says */
  Goal goal; /* of this fit */
  double min_delta, best;
  int64_t best_epoch; /* 0: none yet */
} Watch;

extern const char *const watch_mode_names[]; /* as Goal */

#define WATCH_MONITOR(type, default_)                                                  \
  {.name = "monitor", .kind = OPT_TEXT, .offset = offsetof(type, watch.monitor),       \
   .value = default_, .doc = "the column of the history that is watched"},             \
  {.name = "mode", .kind = OPT_CHOICE, .offset = offsetof(type, watch.mode),           \
   .value = "auto", .choices = watch_mode_names,                                       \
   .doc = "which way is better. auto: known from the name of a metric or a loss "      \
          "(\"loss\", \"f1\"), or from the goal of a train.metric; any other column "  \
          "needs \"min\" or \"max\""}

/* Of a fit that begins; `who` is the callback. ERR_VALUE: there is no such column, or
 * which way is better is not known. */
Err watch_begin(Watch *watch, const FitRun *run, const char *who,
                Fault *fault) WARN_UNUSED;
/* Takes the epoch's value; true when it is the best by at least min_delta. NaN never
 * is. */
bool watch_better(Watch *watch, const FitRun *run);
/* The best value into a checkpoint's map, and back. */
void watch_put(const Watch *watch, Json *map);
Err watch_get(Watch *watch, const Json *map, Fault *fault) WARN_UNUSED;

#endif
