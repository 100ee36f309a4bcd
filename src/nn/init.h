/* init.h: initial values of parameters. A value is a deferred node, drawn from a stream
 * that the caller names, so it does not depend on what else is drawn. */
#ifndef NN_INIT_H
#define NN_INIT_H

#include "base/record.h"
#include "graph/graph.h"

typedef struct Init {
  Object object;
  double value, mean, std, lo, hi, gain;
  int mode;                    /* InitMode */
  bool truncated;
  Callable *function;          /* f(shape, fan_in, fan_out) -> tensor */
} Init;

typedef enum InitMode { FAN_IN, FAN_OUT, FAN_AVG } InitMode;

typedef struct InitKind {
  Kind kind;
  /* Draws from the stream ("init", stream). */
  Node *(*make)(Graph *graph, Init *init, const Shape *shape, double fan_in,
                double fan_out, const char *stream);
} InitKind;

extern const Family init_family;         /* module "init" */

/* Borrowed; of exactly `shape`, else NULL and graph->fault. */
Node *init_make(Graph *graph, Init *init, const Shape *shape, double fan_in,
                double fan_out, const char *stream);

/* The factor that keeps the variance through the activation of that name, as its record
 * says. `slope`: of leaky_relu. A fault for unknown names, and where no gain is known. */
Err init_gain(const char *activation, double slope, double *out, Fault *fault) WARN_UNUSED;

#endif
