/* stat_power.h: what a number of seeds can show: the power of the paired t test.
 *
 * `d_z` is a true difference in standard deviations of the differences of pairs,
 * `level` the p below which the two-sided test counts as significant: STAT_ALPHA / m
 * for the first of m tests after Holm. Differences are taken as normal. */
#ifndef LAB_STAT_POWER_H
#define LAB_STAT_POWER_H

#define STAT_POWER 0.8 /* the probability that planning asks for */

enum { STAT_SEEDS_MAX = 1000000 }; /* more are no answer */

/* The probability that n >= 2 pairs are significant. */
double stat_power(double d_z, int n, double level);

/* The smallest d_z that n >= 2 pairs find with probability STAT_POWER; 0 < level <
 * 1. */
double stat_smallest(int n, double level);

/* The fewest pairs, at least STAT_TEST_MIN, that find d_z with that probability; 0
 * where STAT_SEEDS_MAX do not. */
int stat_pairs_needed(double d_z, double level);

#endif
