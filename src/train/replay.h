/* replay.h: steps run again without building their graph: see replay.c. */
#ifndef TRAIN_REPLAY_H
#define TRAIN_REPLAY_H

#include "graph/bound.h"
#include "nn/nn.h"
#include "train/gauge.h"

typedef struct Replay Replay;

Replay *replay_new(Fault *fault);
void replay_free(Replay *replay);  /* NULL is a no-op */
void replay_clear(Replay *replay); /* nothing to replay any more */

/* What a traced step knows of itself; all borrowed. */
typedef struct ReplayStep {
  Graph *graph;
  CachedPlan *cached;
  const Trace *trace;
  Optimizer *optimizer;
  Variable *const *vars, *const *assigned; /* vars: parameters, then slots */
  Node *const *root;
  int n_params, n_vars, n_assigned, n_gauges, n_out;
  int weight; /* StepOutputs.weight */
  PlanArgs args;
  uint64_t signature; /* of all settings */
} ReplayStep;

/* Keeps it, or nothing where it cannot be replayed (arguments that share memory). */
void replay_capture(Replay *replay, const ReplayStep *step);

/* May a step with these arguments be replayed: same shapes, same settings? */
bool replay_ready(const Replay *replay, uint64_t signature, const PlanArgs *args);

/* One step. *done is false, and nothing has changed, when the loss or a new value is
 * not finite: a traced step then says where; also when some of its parameters, which
 * shared their corrections, have been updated by other steps meanwhile: a traced step
 * groups them anew. `gauges` (NULL: none) ask what the captured step was asked. */
Err replay_run(Replay *replay, const PlanArgs *args, Gauges *gauges, bool *done,
               Fault *fault) WARN_UNUSED;

/* Result i of the last run, borrowed. */
Tensor *replay_out(const Replay *replay, int i);

#endif
