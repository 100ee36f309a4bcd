/* refresh.h: running statistics of normalizations, found anew for the weights that a
 * net has: those of an average of weights were never seen by a step. */
#ifndef TRAIN_REFRESH_H
#define TRAIN_REFRESH_H

#include "data/data.h"
#include "nn/nn.h"

/* One pass over the rows in their order: each statistic becomes the mean of those of
 * the batches, each batch counting alike (as PyTorch's update_bn). Normalizations take
 * their batch, frozen ones apart; all else is as in inference: nothing is drawn, states
 * are kept from batch to batch. No pass where no normalization does. On a fault
 * statistics may be those of a batch: the caller puts them back. */
Err refresh_statistics(Graph *graph, Layer *net, Dataset *set,
                       const BatchOptions *options, Fault *fault) WARN_UNUSED;

#endif
