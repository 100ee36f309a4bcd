/* init.h: initial values of parameters. A value is a deferred node, drawn from a stream
 * that the caller names, so it does not depend on what else is drawn. */
#ifndef NN_INIT_H
#define NN_INIT_H

#include "base/record.h"
#include "graph/graph.h"
#include "nn/activation.h"

/* The struct of each kind begins with this one; its further fields are its options. */
typedef struct Init {
  Object object;
} Init;

/* What is made: a parameter of that shape, each of whose units has so many inputs and
 * outputs, drawn from the stream ("init", stream). */
typedef struct InitCall {
  const Shape *shape;
  double fan_in, fan_out;
  const char *stream;
  bool placed;                   /* is it known what the results go through? */
  const ActivationKind *follows; /* then that; NULL: they go on as they are */
} InitCall;

/* What an initializer comes to for a parameter; NaN and NULL where it has none such. */
typedef struct InitRule {
  const char *name; /* of the kind that draws */
  const char *mode; /* which fan it looks at */
  double fan, gain;
  double std; /* of the law that it draws from */
} InitRule;

typedef struct InitKind {
  Kind kind;
  Node *(*make)(Graph *graph, const Init *self, const InitCall *call);
  /* Fills in what it has. NULL: the name alone. */
  void (*rule)(const Init *self, const InitCall *call, InitRule *out);
} InitKind;

extern const Family init_family; /* module "init" */

/* Borrowed; of exactly the call's shape, else NULL and graph->fault. */
Node *init_make(Graph *graph, const Init *init, const InitCall *call);
InitRule init_rule(const Init *init, const InitCall *call);

/* The factor that keeps the variance through the activation, as its record says; a
 * fault where none is known. */
Err init_gain(const Activation *activation, double *out, Fault *fault) WARN_UNUSED;

/* -- for the kinds ----------------------------------------------------------------- */

/* A normal law. Truncated: cut off at two sigma, rescaled to the deviation `std`. */
Node *init_normal_law(Graph *graph, const InitCall *call, double mean, double std,
                      bool truncated);

#define INIT_TRUNCATED(type)                                                           \
  {.name = "truncated", .kind = OPT_BOOL, .offset = offsetof(type, truncated),         \
   .value = "false",                                                                   \
   .doc = "none beyond two standard deviations, rescaled to the same deviation"}
#define INIT_GAIN(type)                                                                \
  {.name = "gain", .kind = OPT_REAL, .offset = offsetof(type, gain), .value = "1",     \
   .lo = 0, .hi = 1e6, .open = true,                                                   \
   .doc = "factor on the standard deviation: see init.gain"}

#endif
