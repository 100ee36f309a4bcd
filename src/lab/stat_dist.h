/* stat_dist.h: the distributions that tests and intervals need: Student's t, F, normal,
 * and t where there is a difference.
 *
 * Degrees of freedom are positive and need not be whole. A NaN argument gives NaN. The
 * relative error is below 1e-10, also of small tails. */
#ifndef LAB_STAT_DIST_H
#define LAB_STAT_DIST_H

/* log |gamma(x)|, without the global that lgamma writes to. */
double stat_log_gamma(double x);

/* The regularized incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1. */
double stat_beta(double a, double b, double x);

/* P(|T| >= |t|) for T of Student's t distribution: the p of a two-sided t test. */
double stat_t_tail(double t, double df);
/* The t >= 0 with P(|T| >= t) = p, 0 < p <= 1: p = .05 gives the factor of a 95 %
 * interval. */
double stat_t_critical(double p, double df);

/* P(|T| >= t) for T of the noncentral t distribution, t >= 0: of (Z + shift) / sqrt(C /
 * df) with Z normal and C chi-square. To 1e-10, absolute. */
double stat_shifted_t_tail(double t, double df, double shift);

/* P(F >= f) for F of the F distribution: the p of an F test. */
double stat_f_tail(double f, double df_above, double df_below);

/* The z >= 0 with P(|Z| >= z) = p for a standard normal Z, 0 < p <= 1. */
double stat_normal_critical(double p);

#endif
