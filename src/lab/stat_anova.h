/* stat_anova.h: where the variance of a complete grid goes.
 *
 * The grid has one value for each combination of the factors' levels and each block
 * (seed). Balanced as it is, the sum of squares about the mean splits without remainder
 * into
 *   each factor           df = levels - 1
 *   each pair of factors  df = product of (levels - 1)
 *   higher interactions   all others, together
 *   blocks                df = blocks - 1
 *   the residual          blocks x combinations: what seeds do differently in each cell
 * The model is additive in blocks, with all interactions of factors. Shares:
 *   eta^2   = SS / SS_total                                          (Fisher)
 *   omega^2 = (SS - df MS_res) / (SS_total + MS_res)                 (Hays 1963)
 * omega^2 takes off what chance alone would give; it can come out below 0. F = MS /
 * MS_res. The shares describe this grid: another choice of levels gives others. */
#ifndef LAB_STAT_ANOVA_H
#define LAB_STAT_ANOVA_H

#include "base/fault.h"
#include <stdint.h>

enum {
  STAT_FACTORS_MAX = 32,
  STAT_EFFECTS_MAX = STAT_FACTORS_MAX * (STAT_FACTORS_MAX + 1) / 2 + 4
};

typedef enum StatSource {
  STAT_FACTOR, STAT_PAIR, STAT_HIGHER, STAT_BLOCK, STAT_RESIDUAL, STAT_TOTAL
} StatSource;

typedef struct StatEffect {
  StatSource source;
  int a, b; /* factors: a of STAT_FACTOR, a < b of STAT_PAIR; else -1 */
  int64_t df;
  double ss;
  double eta2;         /* NaN where nothing varies */
  double omega2, f, p; /* NaN without a residual, and for residual and total */
} StatEffect;

/* Effects that stat_anova writes: factors, pairs, higher (from three factors on),
 * blocks and residual (from two blocks on), total. */
int stat_anova_count(int n_factors, int n_blocks);

/* `values` is in row-major order: the last index is the block, the one before it the
 * level of the last factor. Each factor has at least 2 levels. Effects are written in
 * the order above, factors and pairs in the factors' order. ERR_MEMORY. */
Err stat_anova(const double *values, const int *levels, int n_factors, int n_blocks,
               StatEffect *out, Fault *fault) WARN_UNUSED;

/* The mean for each level of factor a, or, with b >= 0, for each pair of levels (a's
 * slower), in every block: out[level][block]. */
void stat_marginals(const double *values, const int *levels, int n_factors,
                    int n_blocks, int a, int b, double *out);

/* Brown and Forsythe's test that groups have one variance (JASA 69, 1974): the F test
 * on distances from the medians. `values` holds the groups one after the other. Groups
 * of fewer than two are left out; NaN with fewer than two groups or no spread.
 * ERR_MEMORY. */
Err stat_brown_forsythe(const double *values, const int *sizes, int n_groups, double *p,
                        Fault *fault) WARN_UNUSED;

#endif
