/* item.h: the one element of a node, computed. */
#ifndef TESTS_GRAPH_ITEM_H
#define TESTS_GRAPH_ITEM_H

#include "graph/graph.h"

static inline double item_of(Graph *graph, Node *node) {
  Tensor *t = graph_value(graph, node);
  must(!t || tensor_count(t) == 1);
  return t ? array_get(&t->a, 0) : NAN;
}

#endif
