/* stat_dist.c: t and F tails by the incomplete beta function, noncentral ones by sums
 * of it, critical values by its inversion.
 *
 * Sources, in the NIST Digital Library of Mathematical Functions (dlmf.nist.gov):
 *   8.17.22  the continued fraction of I_x(a, b), which converges fast for
 *            x < (a + 1) / (a + b + 2)
 *   8.17.4   I_x(a, b) = 1 - I_{1-x}(b, a), for the other x
 * The fraction is evaluated from the front by Lentz's method as modified by Thompson
 * and Barnett (J. Comput. Phys. 64, 1986): C and D are the ratios of successive
 * numerators and denominators. Both x and 1 - x are passed, since a tail knows the
 * small one of them exactly. */
#include "lab/stat.h"
#include "base/fault.h"
#include <float.h>
#include <math.h>

enum { FRACTION_TERMS = 100000, NEWTON_STEPS = 2000 }; /* far more than are needed */
#define WEIGHT_MIN 1e-16                               /* of a term that still counts */
#define FAR 10.0 /* Z < -FAR and C > FAR^2 df do not happen */

double stat_log_gamma(double x) {
  int sign;
  return lgamma_r(x, &sign); /* lgamma itself writes to a global */
}

/* Coefficient d_m of DLMF 8.17.23. */
static double coefficient(int m, double a, double b, double x) {
  int k = m / 2;
  if (m % 2 == 0) return k * (b - k) * x / ((a + m - 1) * (a + m));
  return -(a + k) * (a + b + k) * x / ((a + m - 1) * (a + m));
}

/* 1 / (1 + d1 / (1 + d2 / (1 + ...))). A denominator of 0 gives way to a tiny one. */
static double beta_fraction(double a, double b, double x) {
  double c = 1, d = 0, value = 1;
  for (int m = 1; m <= FRACTION_TERMS; m++) {
    double term = coefficient(m, a, b, x);
    d = 1 + term * d;
    if (fabs(d) < DBL_MIN) d = DBL_MIN;
    d = 1 / d;
    c = 1 + term / c;
    if (fabs(c) < DBL_MIN) c = DBL_MIN;
    value *= c * d;
    if (fabs(c * d - 1) <= 2 * DBL_EPSILON) break;
  }
  return 1 / value;
}

/* I_x(a, b), with y = 1 - x. */
static double beta_ratio(double a, double b, double x, double y) {
  if (isnan(a) || isnan(b) || isnan(x)) return NAN;
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta_ratio(b, a, y, x);
  double log_front = stat_log_gamma(a + b) - stat_log_gamma(a) - stat_log_gamma(b) +
                     a * (x < 0.5 ? log(x) : log1p(-y)) +
                     b * (y < 0.5 ? log(y) : log1p(-x));
  return exp(log_front) / a * beta_fraction(a, b, x);
}

double stat_beta(double a, double b, double x) {
  must(!(a <= 0) && !(b <= 0) && !(x < 0) && !(x > 1));
  return beta_ratio(a, b, x, 1 - x);
}

/* P(|T| >= t) = I_x(df / 2, 1 / 2) with x = df / (df + t^2). */
double stat_t_tail(double t, double df) {
  must(!(df <= 0));
  double square = t * t;
  if (isinf(square)) return 0;
  return beta_ratio(df / 2, 0.5, df / (df + square), square / (df + square));
}

/* x^a y^b / (a B(a, b)): by so much I_x(a, b) is above I_x(a + 1, b) (DLMF 8.17.20). */
static double beta_step(double a, double b, double x, double y) {
  return exp(a * log(x) + b * log(y) + stat_log_gamma(a + b) - stat_log_gamma(a + 1) -
             stat_log_gamma(b));
}

static double poisson(double j, double mean) {
  return exp(j * log(mean) - mean - stat_log_gamma(j + 1));
}

/* T^2 is of the noncentral F distribution: with j of the Poisson distribution with mean
 * shift^2 / 2, P(|T| < t) is the mean of I_x(1 / 2 + j, df / 2), x = t^2 / (df + t^2).
 * Summed from the largest j that counts down, so that each I_x follows from the last by
 * an addition. */
double stat_shifted_t_tail(double t, double df, double shift) {
  must(!(df <= 0) && !(t < 0));
  if (isnan(t) || isnan(shift)) return NAN;
  double mean = shift * shift / 2, square = t * t, b = df / 2, sum = 0;
  if (mean == 0 || square == 0) return square == 0 ? 1 : stat_t_tail(t, df);
  if (isinf(square)) return 0;
  if (fabs(shift) > FAR * (1 + t)) return 1; /* T < t would be far out */
  double x = square / (df + square), y = df / (df + square), j = ceil(mean);
  while (poisson(j, mean) > WEIGHT_MIN) j++;
  double below = beta_ratio(0.5 + j, b, x, y);
  for (; j >= 0; j--) {
    double weight = poisson(j, mean);
    if (j < mean && weight < WEIGHT_MIN) break;
    sum += weight * below;
    if (j > 0) below += beta_step(j - 0.5, b, x, y);
  }
  return fmax(0, 1 - sum);
}

/* P(F >= f) = I_x(below / 2, above / 2) with x = below / (below + above f). */
double stat_f_tail(double f, double df_above, double df_below) {
  must(!(df_above <= 0) && !(df_below <= 0));
  if (f <= 0) return 1;
  if (isinf(f)) return 0;
  double scale = df_below + df_above * f;
  return beta_ratio(df_below / 2, df_above / 2, df_below / scale, df_above * f / scale);
}

static double t_density(double t, double df) {
  double log_front = stat_log_gamma((df + 1) / 2) - stat_log_gamma(df / 2) -
                     log(df * M_PI) / 2;
  return exp(log_front - (df + 1) / 2 * log1p(t * t / df));
}

static double normal_tail(double z, double unused) {
  (void)unused;
  return erfc(z * M_SQRT1_2);
}

static double normal_density(double z, double unused) {
  (void)unused;
  return exp(-z * z / 2) / sqrt(2 * M_PI);
}

typedef double Curve(double z, double df);

/* The z >= 0 where the two-sided tail is p. It falls and is convex, so Newton's steps
 * from 0 climb to the root and never pass it; the first step that does not climb is
 * rounding. */
static double critical(Curve *tail, Curve *density, double p, double df) {
  if (isnan(p) || isnan(df)) return NAN;
  must(p > 0 && p <= 1);
  double z = 0;
  for (int i = 0; i < NEWTON_STEPS; i++) {
    double next = z + (tail(z, df) - p) / (2 * density(z, df));
    if (!(next > z)) break;
    z = next;
  }
  return z;
}

double stat_t_critical(double p, double df) {
  return critical(stat_t_tail, t_density, p, df);
}

double stat_normal_critical(double p) {
  return critical(normal_tail, normal_density, p, 1);
}
