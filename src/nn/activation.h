/* activation.h: elementwise functions (and softmax) between layers, as records. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "base/record.h"
#include "graph/graph.h"

typedef struct Activation {
  Object object;
  double slope;                /* leaky_relu */
  double alpha;                /* elu */
  Callable *function;          /* of the user: f(x) -> y of the same shape */
} Activation;

typedef struct ActivationKind {
  Kind kind;
  Node *(*apply)(Graph *graph, Activation *activation, Node *x);
  /* The factor on an initializer's deviation that keeps the variance (see init.gain), for
   * that slope below 0. NULL: none known. */
  double (*gain)(double slope);
  /* One element of y, from which the tests judge values and derivatives at all edges. NULL:
   * y is not elementwise, or the user's own. */
  long double (*reference)(const Activation *a, long double x);
} ActivationKind;

extern const Family activation_family;   /* module "nn" */

/* NULL after a fault, which then stands in graph->fault. */
Node *activation_apply(Graph *graph, Activation *activation, Node *x);

/* f(in ...) -> one tensor, for functions of the user; `what` begins messages, "" where the
 * caller says it. Borrowed. The first takes a number for a tensor without axes. */
Node *callable_node(Graph *graph, Callable *function, const Value *in, int n_in,
                    const char *what);
Node *callable_tensor(Graph *graph, Callable *function, const Value *in, int n_in,
                      const char *what);

#endif
