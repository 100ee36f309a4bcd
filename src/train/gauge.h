/* gauge.h: numbers that are wanted of a step beside its results: one of the gradient
 * of each variable that it trains, as its norm.
 *
 * What is asked is said before the step and belongs to its structure: it is planned,
 * found again and replayed with it, and changes no other value of the step. A step of
 * which nothing is asked computes nothing more. */
#ifndef TRAIN_GAUGE_H
#define TRAIN_GAUGE_H

#include "graph/graph.h"

/* A 0-axis real node of the gradient. */
typedef Node *(*Gauge)(Graph *graph, Node *gradient);

/* What is asked, and what the last step answered. All zero: nothing is asked. */
typedef struct Gauges {
  /* public */
  const Gauge *ask; /* borrowed */
  int n_ask;
  /* read-only; n_params is 0 after a step that failed */
  int n_params;
  Variable **param; /* that the step has trained; borrowed from it */
  real *value;      /* of parameter i and gauge k: [i * n_ask + k] */
  int64_t param_room, value_room;
} Gauges;

/* Makes room for n parameters, and sets n_params to 0. NULL is a no-op. */
Err gauges_begin(Gauges *gauges, int n, Fault *fault) WARN_UNUSED;
/* The step has been done with these parameters; its values are there. */
void gauges_take(Gauges *gauges, Variable *const *param, int n);
void gauges_deinit(Gauges *gauges);

static inline int gauges_asked(const Gauges *gauges) {
  return gauges ? gauges->n_ask : 0;
}

#endif
