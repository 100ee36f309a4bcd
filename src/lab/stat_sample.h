/* stat_sample.h: what one sample says: mean, spread, and an interval for the mean. */
#ifndef LAB_STAT_SAMPLE_H
#define LAB_STAT_SAMPLE_H

#include "base/fault.h"
#include "base/philox.h"

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

/* All values are finite. ERR_MEMORY. */
Err stat_sample(const double *values, int n, StatSample *out, Fault *fault) WARN_UNUSED;

/* Ascending. */
void stat_sort(double *values, int64_t n);

double stat_mean(const double *values, int n);
/* 0 where the values differ by rounding only. */
double stat_sd(const double *values, int n);

/* Student's: mean +- t sd / sqrt(n); `miss` is .05 for 95 %. None below
 * STAT_INTERVAL_MIN values. */
StatInterval stat_t_interval(double mean, double sd, int n, double miss);

/* Bootstrap-t (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section
 * 12.5), 95 %: the t statistic of STAT_RESAMPLES resamples takes the place of Student's
 * distribution, so a skewed sample gets a skewed interval. Below STAT_BOOTSTRAP_MIN
 * values or without spread it is the t interval. The draws are those of `stream`.
 * ERR_MEMORY. */
Err stat_bootstrap_t(const double *values, int n, Stream stream, StatInterval *out,
                     Fault *fault) WARN_UNUSED;

/* Wilson's score interval (JASA 22, 1927) of a share of successes, 95 %; successes may
 * be halves (ties). None for n = 0. */
StatInterval stat_wilson(double successes, int n);

/* Fisher's exact test (Statistical Methods for Research Workers, section 21.02),
 * two-sided: are shares of a of n_a and b of n_b apart? The p of all tables with the
 * same margins that are no likelier than this one. 1 where there is nothing to compare.
 * Where pairs of runs go well or fail together the p is too large, never too small. */
double stat_fisher(int a, int n_a, int b, int n_b);

#endif
