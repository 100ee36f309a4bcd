/* commit.h: what a step changes: one place for steps that build their graph and for
 * those that are replayed.
 *
 * The roots of a step's plan are results, values that its function assigned, what is
 * asked of the gradients (gauge.h), then new values of the variables that it updates. A
 * variable whose value has no other owner keeps its memory: updates are written there,
 * and what was assigned changes places with it. Any other gets new memory, so that
 * snapshots and pending expressions keep what they saw. */
#ifndef TRAIN_COMMIT_H
#define TRAIN_COMMIT_H

#include "graph/cache.h"

typedef struct StepCommit {
  Graph *graph;
  CachedPlan *cached;   /* NULL: the values are computed already */
  VariableList updated; /* parameters, then slots */
  VariableList assigned;
  int n_out, n_gauges;
  Tensor **spare; /* per assigned variable: its next value; kept from run to run */
  Tensor **fresh; /* per updated one: memory of its new value; NULL: its own */
} StepCommit;

/* Before the plan runs: memory for all roots but the results. `own`, per updated
 * variable: does its value have no other owner? NULL: as it is now. `gauges`: of the
 * values that are asked for, from the last to the first. */
Err commit_begin(const StepCommit *c, const bool *own, real *gauges,
                 Fault *fault) WARN_UNUSED;

/* After the plan was computed: are the loss and all new values finite? If not, nothing
 * may be committed. What is not proved finite is computed into new memory and looked
 * at there; *proved: the updates are still to be written. ERR_INTERRUPT where that
 * waits. */
Err commit_check(const StepCommit *c, bool *finite, bool *proved,
                 Fault *fault) WARN_UNUSED;

/* The variables get their new values; what can fail comes first. */
Err commit_apply(const StepCommit *c, bool proved, Fault *fault) WARN_UNUSED;

/* A tensor as a value of its own, which outlives the step. Takes the tensor: *t becomes
 * NULL. Borrowed; NULL and a fault. */
Node *commit_value(Graph *graph, Tensor **t, Fault *fault);

#endif
