/* stat_sample.c: summaries and intervals of one sample. Sums run in the order of the
 * values, so equal input gives equal bytes. */
#include "lab/stat.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const StatInterval none = {NAN, NAN};

/* The second pass takes back what rounding left over in the first. */
double stat_mean(const double *values, int n) {
  if (n == 0) return NAN;
  double sum = 0, rest = 0;
  for (int i = 0; i < n; i++) sum += values[i];
  double mean = sum / n;
  for (int i = 0; i < n; i++) rest += values[i] - mean;
  return mean + rest / n;
}

/* Equal values leave a trace of rounding, in themselves and in their mean. Taken for a
 * spread it would make a ratio to it, as of a mean, a number without sense instead of
 * infinity. Squares are of the deviations in units of a power of two near the largest:
 * they neither overflow nor vanish, and the bits are the same. */
double stat_sd(const double *values, int n) {
  if (n < 2) return NAN;
  double mean = stat_mean(values, n), squares = 0, low = values[0], high = values[0];
  int unit;
  for (int i = 0; i < n; i++) {
    low = fmin(low, values[i]);
    high = fmax(high, values[i]);
  }
  if (high - low <= STAT_ROUNDING * (fabs(low) + fabs(high))) return 0;
  frexp(high / 2 - low / 2, &unit);
  for (int i = 0; i < n; i++) {
    double deviation = ldexp(values[i] - mean, -unit);
    squares += deviation * deviation;
  }
  return ldexp(sqrt(squares / (n - 1)), unit);
}

StatInterval stat_t_interval(double mean, double sd, int n, double miss) {
  if (n < STAT_INTERVAL_MIN) return none;
  double half = stat_t_critical(miss, n - 1) * sd / sqrt(n);
  return (StatInterval){mean - half, mean + half};
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void stat_sort(double *values, int64_t n) {
  qsort(values, (size_t)n, sizeof *values, by_value);
}

Err stat_sample(const double *values, int n, StatSample *out, Fault *fault) {
  *out = (StatSample){0, NAN, NAN, NAN, NAN, NAN, none};
  if (n == 0) return ERR_OK;
  double *sorted = malloc((size_t)n * sizeof *sorted);
  if (!sorted) return fault_memory(fault, (size_t)n * sizeof *sorted);
  memcpy(sorted, values, (size_t)n * sizeof *sorted);
  stat_sort(sorted, n);
  out->n = n;
  out->mean = stat_mean(values, n);
  out->sd = stat_sd(values, n);
  out->median = sorted[(n - 1) / 2] + (sorted[n / 2] - sorted[(n - 1) / 2]) / 2;
  out->min = sorted[0];
  out->max = sorted[n - 1];
  out->interval = stat_t_interval(out->mean, out->sd, n, 0.05);
  free(sorted);
  return ERR_OK;
}

/* The quantile of sorted values by linear interpolation (type 7 of Hyndman and Fan). */
static double quantile(const double *sorted, int n, double p) {
  double at = p * (n - 1);
  int below = (int)at, above = below + 1 < n ? below + 1 : below;
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/* t statistics of the resamples about the sample's own mean; those without spread have
 * none and are left out. Returns how many there are. */
static int resampled_t(const double *values, int n, Stream stream, double *draw,
                       double *out) {
  double mean = stat_mean(values, n);
  int kept = 0;
  for (int r = 0; r < STAT_RESAMPLES; r++) {
    for (int i = 0; i < n; i++) {
      uint64_t word = (uint64_t)r * (uint64_t)n + (uint64_t)i;
      draw[i] = values[philox_below(stream, word, (uint64_t)n)];
    }
    double sd = stat_sd(draw, n);
    if (sd > 0) out[kept++] = (stat_mean(draw, n) - mean) / (sd / sqrt(n));
  }
  return kept;
}

Err stat_bootstrap_t(const double *values, int n, Stream stream, StatInterval *out,
                     Fault *fault) {
  double mean = stat_mean(values, n), sd = stat_sd(values, n);
  *out = stat_t_interval(mean, sd, n, 0.05);
  if (n < STAT_BOOTSTRAP_MIN || !(sd > 0)) return ERR_OK;
  size_t bytes = ((size_t)n + STAT_RESAMPLES) * sizeof(double);
  double *draw = malloc(bytes);
  if (!draw) return fault_memory(fault, bytes);
  double *t = draw + n;
  int kept = resampled_t(values, n, stream, draw, t);
  stat_sort(t, kept);
  double error = sd / sqrt(n);
  if (kept > 0)
    *out = (StatInterval){mean - quantile(t, kept, 0.975) * error,
                          mean - quantile(t, kept, 0.025) * error};
  free(draw);
  return ERR_OK;
}

StatInterval stat_wilson(double successes, int n) {
  if (n == 0) return none;
  double z = stat_normal_critical(0.05), share = successes / n;
  double scale = 1 + z * z / n, center = (share + z * z / (2 * n)) / scale;
  double half = z / scale * sqrt(share * (1 - share) / n + z * z / (4.0 * n * n));
  double low = center - half, high = center + half;
  if (successes <= 0) low = 0; /* exactly, where rounding leaves a trace */
  if (successes >= n) high = 1;
  return (StatInterval){low, high};
}

static double log_choose(int n, int k) {
  return stat_log_gamma(n + 1.0) - stat_log_gamma(k + 1.0) -
         stat_log_gamma(n - k + 1.0);
}

/* Tables whose probability differs by rounding only are equally likely. */
double stat_fisher(int a, int n_a, int b, int n_b) {
  must(a >= 0 && b >= 0 && a <= n_a && b <= n_b);
  int sum = a + b, first = sum > n_b ? sum - n_b : 0, last = sum < n_a ? sum : n_a;
  double all = log_choose(n_a + n_b, sum), p = 0;
  double seen = log_choose(n_a, a) + log_choose(n_b, b) - all;
  for (int k = first; k <= last; k++) {
    double one = log_choose(n_a, k) + log_choose(n_b, sum - k) - all;
    if (one <= seen + 1e-9) p += exp(one);
  }
  return fmin(1, p);
}
