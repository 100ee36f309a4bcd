/* ops_walk.h: how elementwise ops run: broadcasting cut into runs that a kernel takes.
 *
 * The output is cut into blocks of BLOCK elements. In each, the kernel is called for
 * runs along which every input has stride 0 or 1; integer inputs are converted tile by
 * tile into reals on the stack. */
#ifndef GRAPH_OPS_WALK_H
#define GRAPH_OPS_WALK_H

#include "graph/op.h"

enum { BLOCK = 16384 };

/* Blocks of output 0. */
int64_t count_blocks(const OpCall *call);

/* n elements of y from as many elements of each input whose stride is 1, or the one of
 * an input whose stride is 0. */
typedef void RunFn(const OpCall *call, real *y, const real *const *in,
                   const int64_t *stride, int64_t n);

/* Calls `run` for the runs of one block of a real output. At most three inputs. */
void run_block(const OpCall *call, int64_t block, RunFn *run);

/* n elements from `offset` on as reals: in place, or converted into `buffer`. */
const real *as_reals(const Array *a, int64_t offset, int64_t n, real *buffer);

#endif
