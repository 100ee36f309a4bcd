/* watch.c: a column of the history that a callback watches; see watch.h. */
#include "train/watch.h"
#include <math.h>

const char *const watch_mode_names[] = {"auto", "min", "max", NULL}; /* as Goal */

static Err find_goal(Watch *watch, const FitRun *run, const char *who, Fault *fault) {
  const ObjectList *metrics = &run->fit->metrics;
  watch->goal = watch->mode != GOAL_NONE
                    ? (Goal)watch->mode
                    : measure_goal(watch->monitor, metrics->v, metrics->n);
  if (watch->goal != GOAL_NONE) return ERR_OK;
  Text why = {0};
  metric_add_goal_missing(&why, watch->monitor, "mode");
  Err err = fault_set(fault, ERR_VALUE, "train.%s: %s", who, why.data ? why.data : "");
  text_deinit(&why);
  return err;
}

Err watch_begin(Watch *watch, const FitRun *run, const char *who, Fault *fault) {
  watch->best_epoch = 0;
  if (history_find(run->history, watch->monitor) >= 0)
    return find_goal(watch, run, who, fault);
  Text names = {0};
  for (int i = 0; i < run->history->n_columns; i++)
    text_addf(&names, "%s%s", i ? ", " : "", run->history->column[i].name);
  Err err = fault_set(fault, ERR_VALUE,
                      "train.%s: option \"monitor\": got \"%s\", allowed: %s%s", who,
                      watch->monitor, names.data ? names.data : "",
                      run->n_validation ? "" : " (this fit has no validation set)");
  text_deinit(&names);
  return err;
}

bool watch_better(Watch *watch, const FitRun *run) {
  const History *history = run->history;
  double value = history_get(history, watch->monitor, history->n_rows - 1);
  double gain = watch->goal == GOAL_MAX ? value - watch->best : watch->best - value;
  if (isnan(value) || (watch->best_epoch && !(gain > watch->min_delta))) return false;
  watch->best = value;
  watch->best_epoch = run->epoch;
  return true;
}

void watch_put(const Watch *watch, Json *map) {
  json_put_number(map, "best", watch->best);
  json_put_int(map, "best_epoch", watch->best_epoch);
}

Err watch_get(Watch *watch, const Json *map, Fault *fault) {
  if (json_find_number(map, "best", &watch->best) &&
      json_find_int(map, "best_epoch", &watch->best_epoch))
    return ERR_OK;
  return fault_set(fault, ERR_DATA, "the best value of \"%s\" is missing",
                   watch->monitor);
}
