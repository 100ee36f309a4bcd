/* nonfinite.h: why a step was refused: which of its values is not finite, and where
 * that began. */
#ifndef TRAIN_NONFINITE_H
#define TRAIN_NONFINITE_H

#include "graph/graph.h"

/* A step whose new values are not all finite, as nodes. All borrowed. */
typedef struct NonfiniteStep {
  Graph *graph;
  int64_t number; /* of the step, from 1; of its update, where steps accumulate */
  Node *loss;
  Variable *const *assigned; /* by the function, and what to */
  Node *const *assigned_to;
  int n_assigned;
  Variable *const *vars; /* parameters, then slots, and their new values */
  Node *const *update;
  int n_vars;
  Node *const *gradient; /* of each parameter */
  int n_params;
} NonfiniteStep;

/* ERR_NONFINITE, with the step, the layer and the first bad value: of the loss, of what
 * the function assigned, of the gradients, of the updates, in this order. Everything is
 * computed again by the naive executor; the variables stand for what they did before
 * the step. */
Err nonfinite_fault(const NonfiniteStep *step, Fault *fault);

#endif
