/* activation.h: functions between layers, as records: elementwise, or over the last
 * axis. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "base/record.h"
#include "graph/graph.h"

struct Layer;

/* The struct of each kind begins with this one; its further fields are its options. */
typedef struct Activation {
  Object object;
  struct Layer *layer; /* that does it, an option of ACTIVATION_OF_LAYER; else NULL */
} Activation;

typedef struct ActivationKind {
  Kind kind;
  Node *(*apply)(Graph *graph, const Activation *self, Node *x);
  /* The factor on an initializer's deviation that keeps the variance (see init.gain).
   * NULL: none known. */
  double (*gain)(const Activation *self);
  /* Name of the initializer of weights before it that the literature gives: init.auto.
   * NULL: glorot_uniform. */
  const char *init;
  /* One element of y, from which the tests judge values and derivatives at all edges.
   * NULL: y is not elementwise, or the user's own, or a layer's. */
  long double (*reference)(const Activation *self, long double x);
} ActivationKind;

extern const Family activation_family; /* module "nn" */

static inline const ActivationKind *activation_kind(const Activation *activation) {
  return (const ActivationKind *)activation->object.kind;
}

/* NULL after a fault, which is then in graph->fault. */
Node *activation_apply(Graph *graph, const Activation *activation, Node *x);

/* f(in ...) -> one tensor, for functions of the user; `what` begins messages, "" where
 * the caller says it. Borrowed. The first takes a number for a tensor without axes; so
 * does callable_result, of what such a function has returned. */
Node *callable_node(Graph *graph, Callable *function, const Value *in, int n_in,
                    const char *what);
Node *callable_result(Graph *graph, const Value *result, const char *what);
Node *callable_tensor(Graph *graph, Callable *function, const Value *in, int n_in,
                      const char *what);

#endif
