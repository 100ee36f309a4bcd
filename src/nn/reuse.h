/* reuse.h: nets made of others: a part, a copy, one with another layer in it. */
#ifndef NN_REUSE_H
#define NN_REUSE_H

#include "nn/nn.h"

/* A net of the first n layers of a Sequential, of all but the last -n where it is
 * negative: the same layers, not copies. Returns new. */
Layer *layer_cut(Layer *net, int n, Fault *fault);

/* `with` (retained) in the place of the layer inside the net that has that name there,
 * wherever that is held. On a fault nothing has changed. */
Err layer_replace(Layer *net, const char *name, Layer *with, Fault *fault) WARN_UNUSED;

/* A net of the same layers with variables of its own: with the values and frozen as
 * those of `net`, or to be built anew. Layers of a script are refused. Returns new. */
Layer *layer_clone(Graph *graph, Layer *net, bool weights, Fault *fault);

#endif
