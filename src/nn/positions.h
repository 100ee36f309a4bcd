/* positions.h: the places of steps in their sequences. */
#ifndef NN_POSITIONS_H
#define NN_POSITIONS_H

#include "graph/graph.h"

/* [N, T], int32, from 1: of each step its place behind the first one that the mask [N,
 * T] counts, and 1 before that. NULL where the mask is NULL: the steps' own numbers. */
Node *positions_of(Graph *graph, Node *mask);

#endif
