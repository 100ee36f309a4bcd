/* regular.h: what keeps weights and activities small: regularizers, which add a penalty
 * to the loss of a step, and constraints, which bound a variable after its update. */
#ifndef NN_REGULAR_H
#define NN_REGULAR_H

#include "base/record.h"
#include "graph/graph.h"

/* -- regularizers ------------------------------------------------------------------ */

typedef struct Regularizer {
  Object object;
  double l1, l2;
} Regularizer;

extern const Family regularizer_family; /* module "nn" */

/* l1 sum |x| + l2 sum x^2, over n: a node without axes, NULL after a fault. */
Node *regularizer_penalty(Graph *graph, const Regularizer *self, Node *x, double n);

/* -- constraints ------------------------------------------------------------------- */

typedef struct Constraint {
  Object object;
  double max;
} Constraint;

extern const Family constraint_family; /* module "nn" */

/* The new value of a variable, bounded: the weights of each unit along `units_axis`,
 * from 0, below it the last; those of one axis together. */
Node *constraint_apply(Graph *graph, const Constraint *self, Node *w, int units_axis);

#endif
