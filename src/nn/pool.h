/* pool.h: what pooling of images and of sequences share. */
#ifndef NN_POOL_H
#define NN_POOL_H

#include "graph/ops.h"
#include "nn/window.h"

/* Words of an option `stride`: as many as the window has. */
extern const char *const pool_strides[];

/* The windows along an axis into the plane. */
void pool_along(PoolPlane *v, int axis, const Window *w, bool ceil);
/* Windows that share the image. */
PoolPlane pool_sharing(int64_t P, int64_t Q);

/* x^p; (count mean)^(1/p), of its sign, whose gradient is 0 where it is 0. */
Node *pool_power(Graph *graph, Node *x, double order);
Node *pool_root(Graph *graph, Node *mean, double order, double count);

#define POOL_CEIL                                                                      \
  "also take windows that begin inside and reach beyond the end (of the number of "    \
  "windows the ceiling, not the floor)"
#define POOL_COUNT                                                                     \
  "divide by all elements of a window, those of the padding, too (PyTorch: true), not "\
  "only by those of the image (Keras)"
#define POOL_ORDER "p, the order of the norm: 2 Euclid's, 1 the sum"
#define POOL_DILATION "step from one element of a window to the next"

#endif
