/* move.h: copying between two strided arrays of the same extents, in blocks.
 *
 * A Move says how to reach element (i0, i1, ...) on both sides. Slices, transposes,
 * broadcasts, concatenation and padding are all one. Strides count elements; one may be
 * 0 (broadcast, x only) or negative. Fill size and strides, then move_fold, then run
 * each block once, in any order, on any thread: no two blocks write the same
 * element. */
#ifndef KERNEL_MOVE_H
#define KERNEL_MOVE_H

#include <stddef.h>
#include <stdint.h>

enum { MOVE_RANK = 6 };

typedef struct Move {
  int rank;
  size_t elem_bytes; /* 1, 4 or 8 */
  int64_t size[MOVE_RANK];
  int64_t out_stride[MOVE_RANK];
  int64_t x_stride[MOVE_RANK];
} Move;

/* Brings the move to its simplest form: axes of one element dropped, neighbours that
 * run on in both arrays merged, the two axes best suited to the inner loops last.
 * Afterwards the rank is at least 2. */
void move_fold(Move *move);

/* Blocks of a folded move; 0 when it has no elements. */
int64_t move_blocks(const Move *move);

/* Copies one block. out and x point at element (0, 0, ...) and do not overlap. */
void move_block(const Move *move, void *out, const void *x, int64_t block);

#endif
