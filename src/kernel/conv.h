/* conv.h: convolutions of images and their two gradients, on raw pointers.
 *
 * x [N, G c, H, W], w [G f, c, R, S], y [N, G f, P, Q], all real; G groups of channels.
 *
 *   y[n, f, p, q] = sum over c, r, s of x[n, c, row, column] w[f, c, r, s]
 *   row = p stride - before + r dilation, column likewise; x is 0 outside of the image
 *
 * An element of x outside of the image is no term of a sum: 0 times an infinite weight
 * does not appear. Phases, blocks and the order of sums depend on the sizes and the
 * SIMD level alone; so does the choice of fewer products at points (conv_winograd.c),
 * whose results round otherwise than a plain sum. */
#ifndef KERNEL_CONV_H
#define KERNEL_CONV_H

#include "base/real.h"
#include <stddef.h>
#include <stdint.h>

enum { CONV_ROWS, CONV_COLUMNS }; /* indices of pairs */

typedef struct Conv {
  int64_t N, G, c, H, W, f, R, S, P, Q; /* c and f: channels of a group */
  int64_t stride[2], before[2], dilation[2];
} Conv;

typedef enum ConvResult {
  CONV_Y, /* of x, w */
  CONV_X, /* the gradient of x: of y's, w */
  CONV_W  /* the gradient of w: of y's, x */
} ConvResult;

/* Each has two phases; the blocks of the second need those of the first. */
enum { CONV_PHASES = 2 };
int64_t conv_blocks(const Conv *v, ConvResult result, int phase);
/* Memory, at 64 bytes: of all blocks, and of one while it runs. */
typedef struct ConvMemory {
  void *shared, *own;
} ConvMemory;
typedef struct ConvBytes {
  size_t shared, own;
} ConvBytes;
ConvBytes conv_bytes(const Conv *v, ConvResult result);
/* `in`: the two operands, in the order above. */
void conv_run_block(const Conv *v, ConvResult result, int phase, int64_t block,
                    real *out, const real *const in[2], ConvMemory memory);

#endif
