/* ops_move.h: what the ops that only move elements share. Private to graph/. */
#ifndef GRAPH_OPS_MOVE_H
#define GRAPH_OPS_MOVE_H

#include "graph/ops.h"
#include "kernel/move.h"

/* Is it a shape that a tensor can have? `low`: the least dim, 0, or -1 where that means
 * "what remains". */
Err attr_check_shape(const Attr *attr, int64_t low, Fault *fault);

/* The end of an infer: output 0 has the dtype of input 0. */
Err infer_same_dtype(OpInfer *io);

/* A move over all elements of `a`; its strides are still to be set. */
Move elements_move_over(const Array *a);

/* Coordinates of element `flat`, and back; for the plain references. */
void shape_unravel(int64_t *at, const Shape *s, int64_t flat);
int64_t shape_ravel(const int64_t *at, const Shape *s);

#endif
