/* stat_grid.h: the largest complete part of a grid with holes. */
#ifndef LAB_STAT_GRID_H
#define LAB_STAT_GRID_H

#include "base/fault.h"
#include <stdbool.h>
#include <stdint.h>

/* Chooses levels of each dimension so that every combination of them is present and the
 * number of combinations is as large as can be. `present` is in row-major order, the
 * last dimension fastest; `out` tells for each level whether it stays, the levels of
 * one dimension after those of the other. *count is the number of combinations, 0 when
 * nothing is present.
 *
 * More levels of the last dimension (seeds) can be worth more than their number: a part
 * with at least `wanted` of them is preferred if it has at least half as many
 * combinations as the largest part. 0: no such wish.
 *
 * A greedy choice is improved by an exhaustive search (branch and bound over which
 * level of a hole's has to go). The search has a budget, which grids with a few holes,
 * or with whole levels missing, stay far below; where it runs out the best found is
 * taken. The result depends on the arguments alone. ERR_MEMORY. */
Err stat_grid_largest(const bool *present, const int *sizes, int n_dims, int wanted,
                      bool *out, int64_t *count, Fault *fault) WARN_UNUSED;

#endif
