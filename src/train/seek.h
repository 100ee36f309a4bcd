/* seek.h: steps that evaluate again before they end: see seek.c. */
#ifndef TRAIN_SEEK_H
#define TRAIN_SEEK_H

#include "nn/nn.h"
#include "train/commit.h"

/* A step whose optimizer searches (nn/optim.h). Its roots are results, what the
 * function assigned, what is asked of the gradients, and then, in place of new values,
 * the gradients of the parameters. All borrowed. */
typedef struct SeekStep {
  Optimizer *optimizer;
  const StepCommit *commit; /* updated: parameters, then slots; fresh: gets their new
                               values */
  int n_params;
  Tensor **out;      /* results of the first evaluation */
  real *gauge;       /* what is asked of its gradients: StepCommit; or NULL */
  Node *const *root; /* where commit->cached is NULL: by the naive executor */
  Tensor **gradient; /* private: of each parameter, the first */
} SeekStep;

/* All evaluations. The plan is bound, and there is memory for results, assigned values
 * and gauges, which the naive executor makes. *finite: could the step begin, its loss,
 * assigned values and gradients being finite? Then commit->fresh has the new values,
 * finite too. */
Err seek(SeekStep *step, bool *finite, Fault *fault) WARN_UNUSED;

#endif
