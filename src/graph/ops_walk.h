/* ops_walk.h: how elementwise ops run: broadcasting cut into runs that a kernel takes.
 *
 * The output is cut into blocks of BLOCK elements. In each, the kernel is called for
 * runs along which every input has stride 0 or 1; integer inputs are converted tile by
 * tile into reals on the stack.
 *
 * A float holds integers up to 2^24 alone. So where it matters (an integer output; an
 * int32 input of an op that is OP_EXACT) the inputs become doubles, which hold every
 * int32 and every sum and difference of two; each element is computed by the op's
 * `scalar` and rounded once to the output's type. */
#ifndef GRAPH_OPS_WALK_H
#define GRAPH_OPS_WALK_H

#include "graph/op.h"

enum { BLOCK = 16384 }; /* elements that make a block worth handing out */

/* Doubles need no way around. */
enum { REAL_HOLDS_INT32 = sizeof(real) > sizeof(int32_t) };

/* Blocks of output 0. */
int64_t count_blocks(const OpCall *call);
/* Op.split of ops that run by such blocks. heavy: of functions that cost about 16
 * operations per element. */
void elements_split(const OpCall *call, OpSplit *split);
void elements_split_heavy(const OpCall *call, OpSplit *split);

/* An elementwise op with its broadcasting worked out: axes along which all inputs go on
 * alike are merged, innermost first; strides in elements. At most four inputs. */
enum { MAX_ARGS = 4 };
typedef struct Elements {
  int n_in, rank;
  bool integers; /* an input is not real */
  bool exact;    /* by way of doubles */
  int64_t dim[MAX_RANK];
  int64_t stride[MAX_ARGS][MAX_RANK];
} Elements;

void elements_init(Elements *e, const OpCall *call);
/* Output elements first .. end - 1 of a call with the shapes of elements_init. */
void elements_run(const Elements *e, const OpCall *call, int64_t first, int64_t end);
/* Op.run of elementwise ops. */
void elements_run_block(const OpCall *call, int phase, int64_t block);

/* n elements from `offset` on as reals: in place, or converted into `buffer`. */
const real *elements_as_reals(const Array *a, int64_t offset, int64_t n, real *buffer);
/* Asks for n elements from `offset` on that are read soon: for short rows that lie far
 * apart, which the hardware does not foresee. */
void elements_fetch(const Array *a, int64_t offset, int64_t n);

#endif
