/* stat_paired.h: paired comparisons over seeds: difference, tests, Holm, verdict's
 * parts.
 *
 * Two configurations share their seeds (data split, order, initial draws), so what is
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
#ifndef LAB_STAT_PAIRED_H
#define LAB_STAT_PAIRED_H

#include "lab/stat_sample.h"

#define STAT_ALPHA 0.05 /* significant: adjusted p below */

enum {
  STAT_TEST_MIN = 4,         /* fewest pairs for a verdict: with three t errs too often
                                where results are in steps, or many are alike */
  STAT_EXACT_MAX = 20,       /* most pairs with all 2^n patterns; beyond, draws */
  STAT_FLIPS = 100000,       /* draws beyond; more in a large family: */
  STAT_FLIPS_EACH = 40,      /* of each test, so that the smallest p comes to .025 after
                                Holm */
  STAT_FLIPS_MAX = 4000000
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

/* From the differences of n pairs, all finite; n_tests: as in stat_sign_flip; sd_floor:
 * 0 or more. */
StatPaired stat_paired(const double *differences, int n, int n_tests, double sd_floor);

/* The two-sided p of the sign-flip test, one of n_tests that are to be adjusted
 * together: exact up to STAT_EXACT_MAX pairs, else (b + 1) / (B + 1) over B =
 * STAT_FLIPS draws of one fixed stream, of which b are as extreme as what was seen.
 * Where none is, and the family is so large that such a p says nothing, the draws go
 * on: more seeds never make significance harder to reach. Sums within rounding of the
 * one seen count as equal to it. */
double stat_sign_flip(const double *differences, int n, int n_tests);

/* The smallest p that stat_sign_flip can give for n pairs. */
double stat_sign_flip_min(int n, int n_tests);

/* Holm's step-down adjustment (Scand. J. Statist. 6, 1979) of n p values; NaN counts
 * as 1. ERR_MEMORY. */
Err stat_holm(const double *p, int n, double *adjusted, Fault *fault) WARN_UNUSED;

/* The fewest pairs with which the sign-flip test can come below `level` after Holm in
 * one of n_tests tests, the others being far from it; 0 when no number does. */
int stat_flips_needed(int n_tests, double level);

#endif
