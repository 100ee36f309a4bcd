/* range.h: where the elements of results lie, from where those of the inputs do:
 * interval arithmetic for proofs (op.h: Range). Every rule holds for what the kernels
 * compute, rounding included: each op widens its interval by one unit of a real's
 * precision. */
#ifndef GRAPH_RANGE_H
#define GRAPH_RANGE_H

#include "graph/op.h"

/* Of ranges that may be unknown, as the result then is. */
Range range_sum(Range a, Range b);
Range range_product(Range a, Range b);

/* Op.range of elementwise ops. */
void range_neg(const OpCall *call, const Range *in, Range *out);
void range_abs(const OpCall *call, const Range *in, Range *out);
void range_sign(const OpCall *call, const Range *in, Range *out);
void range_square(const OpCall *call, const Range *in, Range *out);
/* Unknown where an element may be below 0. */
void range_sqrt(const OpCall *call, const Range *in, Range *out);
void range_add(const OpCall *call, const Range *in, Range *out);
void range_sub(const OpCall *call, const Range *in, Range *out);
void range_mul(const OpCall *call, const Range *in, Range *out);
/* Unknown where a divisor may be 0, or counts as it. */
void range_div(const OpCall *call, const Range *in, Range *out);
void range_maximum(const OpCall *call, const Range *in, Range *out);
void range_minimum(const OpCall *call, const Range *in, Range *out);

/* Op.covers of quick_norm: no element is larger than the norm. */
Range range_within_norm(double norm);

#endif
