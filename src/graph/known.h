/* known.h: rules by which ops know their values before these are computed. One is in
 * the record of each op that has any (op.h: known). */
#ifndef GRAPH_KNOWN_H
#define GRAPH_KNOWN_H

#include "graph/op.h"

/* Elementwise, of one input. increasing: any function that never falls, by its
 * scalar. */
Known known_increasing(const Node *y);
Known known_exp(const Node *y);
Known known_log(const Node *y);
Known known_clip(const Node *y);
Known known_neg(const Node *y);
Known known_abs(const Node *y);
Known known_square(const Node *y);
Known known_reciprocal(const Node *y);
/* sin and cos. */
Known known_wave(const Node *y);
/* The values themselves, perhaps as another type. */
Known known_same(const Node *y);

/* Elementwise, of several inputs. */
Known known_add(const Node *y);
Known known_sub(const Node *y);
Known known_mul(const Node *y);
Known known_div(const Node *y);
Known known_pow(const Node *y);
/* Comparisons: 0 or 1. */
Known known_truth(const Node *y);
Known known_maximum(const Node *y);
Known known_minimum(const Node *y);
Known known_where(const Node *y);

/* Reductions. extreme: of max, min and mean alike. */
Known known_sum(const Node *y);
Known known_mean(const Node *y);
Known known_extreme(const Node *y);

/* Elements moved: rows along the last axis stay whole where the rule says so. */
Known known_reshape(const Node *y);
Known known_broadcast(const Node *y);
Known known_transpose(const Node *y);
Known known_slice(const Node *y);
Known known_concat(const Node *y);
Known known_gather(const Node *y);

Known known_softmax(const Node *y);
Known known_log_softmax(const Node *y);
Known known_dropout_mask(const Node *y);

#endif
