/* stat.h: statistics: distributions, one sample, pairs, power, balanced grids.
 *
 * Intervals and tests are two-sided; the level of intervals is 95 %. Values are finite,
 * if nothing else is said. Functions that return an Err need memory, and fail with
 * ERR_MEMORY for lack of it. */
#ifndef LAB_STAT_H
#define LAB_STAT_H

#include "base/fault.h"
#include "base/philox.h"

/* -- distributions (stat_dist.c) --------------------------------------------------- */

/* Degrees of freedom are positive and need not be whole. A NaN argument gives NaN. The
 * relative error is below 1e-10, also of small tails. */

/* log |gamma(x)|, without the global that lgamma writes to. */
double stat_log_gamma(double x);
/* The regularized incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1. */
double stat_beta(double a, double b, double x);
/* P(|T| >= |t|) for T of Student's t distribution: the p of a t test. */
double stat_t_tail(double t, double df);
/* The t >= 0 with P(|T| >= t) = p, 0 < p <= 1: p = .05 gives the factor of a 95 %
 * interval. The same for a standard normal Z. */
double stat_t_critical(double p, double df);
double stat_normal_critical(double p);
/* P(|T| >= t) for T of the noncentral t distribution, t >= 0: of (Z + shift) / sqrt(C /
 * df) with Z normal and C chi-square. To 1e-10, absolute. */
double stat_shifted_t_tail(double t, double df, double shift);
/* P(F >= f) for F of the F distribution: the p of an F test. */
double stat_f_tail(double f, double df_above, double df_below);

/* -- one sample (stat_sample.c) ---------------------------------------------------- */

enum {
  STAT_INTERVAL_MIN = 3,     /* fewest values that an interval is given for */
  STAT_BOOTSTRAP_MIN = 5,    /* the same for bootstrap-t */
  STAT_RESAMPLES = 10000     /* of the bootstrap */
};

/* A difference of up to that share of |a| + |b| is what rounding leaves of sums of a
 * few dozen doubles, and counts as none: between values of a sample, and between two of
 * a pair. */
#define STAT_ROUNDING 1e-14

typedef struct StatInterval {
  double low, high; /* both NaN: none */
} StatInterval;

typedef struct StatSample {
  int n;
  double mean, median, min, max; /* NaN for n = 0 */
  double sd;                     /* with n - 1; NaN below two values */
  StatInterval interval;         /* 95 %, of the mean; by t unless it was replaced */
} StatSample;

Err stat_sample(const double *values, int n, StatSample *out, Fault *fault) WARN_UNUSED;
double stat_mean(const double *values, int n);
double stat_sd(const double *values, int n); /* 0: they differ by rounding only */
void stat_sort(double *values, int64_t n);   /* ascending */

/* Student's: mean +- t sd / sqrt(n); `miss` is .05 for 95 %. None below
 * STAT_INTERVAL_MIN values. */
StatInterval stat_t_interval(double mean, double sd, int n, double miss);

/* Bootstrap-t (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
 * 12.5): the t statistic of STAT_RESAMPLES resamples takes the place of Student's
 * distribution, so a skewed sample gets a skewed interval. Below STAT_BOOTSTRAP_MIN
 * values or without spread it is the t interval. The draws are those of `stream`. */
Err stat_bootstrap_t(const double *values, int n, Stream stream, StatInterval *out,
                     Fault *fault) WARN_UNUSED;

/* Wilson's score interval (JASA 22, 1927) of a share of successes, which may be halves
 * (ties). None for n = 0. */
StatInterval stat_wilson(double successes, int n);

/* Fisher's exact test (Statistical Methods for Research Workers, section 21.02): are
 * shares of a of n_a and b of n_b apart? The p of all tables with the same margins that
 * are no likelier than this one. 1 where there is nothing to compare. Where pairs of
 * runs go well or fail together the p is too large, never too small. */
double stat_fisher(int a, int n_a, int b, int n_b);

/* -- pairs (stat_paired.c) --------------------------------------------------------- */

/* Two configurations share their seeds (data split, order, initial draws), so what is
 * compared is the difference of each seed. Two tests of the same hypothesis, that it
 * makes no difference to the distribution of results which of the two is run:
 *   the paired t test: the mean over its standard error. A verdict goes by it. Measured
 *   results come in steps (an accuracy of 100 rows in those of .01), so few seeds can
 *   agree by chance: the sd is taken as no smaller than a floor that the caller knows.
 *   the sign-flip test (Fisher's randomization test for pairs): if the two do not
 *   differ, each difference is as likely with the other sign; p is the share of the 2^n
 *   sign patterns whose mean is at least as far from 0 as the one seen. It assumes no
 *   distribution, and its smallest value is 2 / 2^n. It is given beside the other, and
 *   decides where there is no sd to go by. */

#define STAT_ALPHA 0.05 /* significant: adjusted p below */
#define STAT_POWER 0.8  /* the probability that planning asks for */

enum {
  STAT_TEST_MIN = 4,         /* fewest pairs for a verdict: with three t errs too often
                                where results are in steps, or many are alike */
  STAT_EXACT_MAX = 20,       /* most pairs with all 2^n patterns; beyond, draws */
  STAT_FLIPS = 100000,       /* draws beyond; more in a large family: */
  STAT_FLIPS_EACH = 40,      /* of each test, so that the smallest p comes to .025 after
                                Holm */
  STAT_FLIPS_MAX = 4000000,
  STAT_SEEDS_MAX = 1000000   /* more are no answer */
};

typedef struct StatPaired {
  int n;           /* pairs */
  double mean, sd; /* of the differences; NaN for n = 0, n < 2 */
  double sd_used;  /* the sd, or the floor if that is larger: what follows is of it */
  StatInterval interval; /* 95 %, of the mean, by t */
  double d_z;            /* mean / sd_used; infinite without spread, NaN for 0 / 0 */
  double t, p_t;         /* paired t test; NaN below two pairs, or for 0 / 0 */
  double p_flip;         /* sign-flip test; 1 for n = 0 */
  double p;              /* by which it is decided: p_t, or without spread p_flip */
  int dominant;          /* the pair that makes more than half of the sum of squares of
                            the differences; -1: none does */
  double won;            /* share of pairs with a difference above 0, ties half */
  StatInterval won_interval; /* Wilson, 95 % */
} StatPaired;

/* From the differences of n pairs; n_tests: as in stat_sign_flip; sd_floor: 0 or
 * more. */
StatPaired stat_paired(const double *differences, int n, int n_tests, double sd_floor);

/* The p of the sign-flip test, one of n_tests that are to be adjusted together: exact
 * up to STAT_EXACT_MAX pairs, else (b + 1) / (B + 1) over B = STAT_FLIPS draws of one
 * fixed stream, of which b are as extreme as what was seen. Where none is, and the
 * family is so large that such a p says nothing, the draws go on: more seeds never make
 * significance harder to reach. Sums within rounding of the one seen count as equal to
 * it. */
double stat_sign_flip(const double *differences, int n, int n_tests);
/* The smallest p that it can give for n pairs. */
double stat_sign_flip_min(int n, int n_tests);
/* The fewest pairs with which it can come below `level` after Holm in one of n_tests
 * tests, the others being far from it; 0 when no number does. */
int stat_flips_needed(int n_tests, double level);

/* Holm's step-down adjustment (Scand. J. Statist. 6, 1979) of n p values; NaN counts
 * as 1. */
Err stat_holm(const double *p, int n, double *adjusted, Fault *fault) WARN_UNUSED;

/* Power of the paired t test on normal differences: `d_z` is a true difference in sd of
 * the differences of pairs, `level` the p below which the test counts as significant:
 * STAT_ALPHA / m for the first of m tests after Holm, 0 < level < 1.
 * The probability that n >= 2 pairs are significant; the smallest d_z that they find
 * with probability STAT_POWER; the fewest pairs, at least STAT_TEST_MIN, that find d_z
 * with it: 0 where STAT_SEEDS_MAX do not. */
double stat_power(double d_z, int n, double level);
double stat_smallest(int n, double level);
int stat_pairs_needed(double d_z, double level);

/* -- grids (stat_grid.c, stat_anova.c) --------------------------------------------- */

enum {
  STAT_FACTORS_MAX = 32,
  STAT_EFFECTS_MAX = STAT_FACTORS_MAX * (STAT_FACTORS_MAX + 1) / 2 + 4
};

/* The largest complete part of a grid with holes: chooses levels of each dimension so
 * that every combination of them is present and the number of combinations is as large
 * as can be. `present` is in row-major order, the last dimension fastest; `out` says of
 * each level whether it stays, the levels of one dimension after those of the other.
 * *count is the number of combinations, 0 when nothing is present.
 *
 * More levels of the last dimension (seeds) can be worth more than their number: a part
 * with at least `wanted` of them is preferred if it has at least half as many
 * combinations as the largest part. 0: no such wish.
 *
 * A greedy choice is improved by an exhaustive search (branch and bound over which
 * level of a hole's has to go). The search has a budget, which grids with a few holes,
 * or with whole levels missing, stay far below; where it runs out the best found is
 * taken. The result depends on the arguments alone. */
Err stat_grid_largest(const bool *present, const int *sizes, int n_dims, int wanted,
                      bool *out, int64_t *count, Fault *fault) WARN_UNUSED;

/* Where the variance of a complete grid goes. It has one value for each combination of
 * the factors' levels and each block (seed). Balanced as it is, the sum of squares
 * about the mean splits without remainder into
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
 * the order above, factors and pairs in the factors' order. */
Err stat_anova(const double *values, const int *levels, int n_factors, int n_blocks,
               StatEffect *out, Fault *fault) WARN_UNUSED;

/* The mean for each level of factor a, or, with b >= 0, for each pair of levels (a's
 * slower), in every block: out[level][block]. */
void stat_marginals(const double *values, const int *levels, int n_factors,
                    int n_blocks, int a, int b, double *out);

/* Brown and Forsythe's test that groups have one variance (JASA 69, 1974): the F test
 * on distances from the medians. `values` holds the groups one after the other. Groups
 * of fewer than two are left out; NaN with fewer than two groups or no spread. */
Err stat_brown_forsythe(const double *values, const int *sizes, int n_groups, double *p,
                        Fault *fault) WARN_UNUSED;

#endif
