/* stat_paired.c: the paired t test and its power, the sign-flip test, Holm's
 * adjustment.
 *
 * The exact test sums both halves of the differences under all their sign patterns, and
 * goes through all pairs of half sums: each total is a few additions away from the
 * data, so equal totals differ by rounding only, which the tolerance takes up. By
 * symmetry the sign of the first difference stays fixed. */
#include "lab/stat.h"
#include <math.h>
#include <stdlib.h>

enum {
  HALF_MAX = STAT_EXACT_MAX / 2,
  HALVINGS = 40              /* to 1e-12 of the first bracket */
};

/* Sums of the n values under all 2^n sign patterns. */
static void signed_sums(const double *values, int n, double *sums) {
  for (int pattern = 0; pattern < 1 << n; pattern++) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pattern >> i & 1 ? -values[i] : values[i];
    sums[pattern] = sum;
  }
}

/* |sum| that counts as at least as extreme as the one seen. */
static double threshold(const double *values, int n) {
  double sum = 0, size = 0;
  for (int i = 0; i < n; i++) sum += values[i], size += fabs(values[i]);
  return fabs(sum) - 1e-12 * size;
}

static double exact_p(const double *values, int n) {
  double front[1 << HALF_MAX], back[1 << HALF_MAX];
  int n_front = (n - 1) / 2, n_back = n - 1 - n_front;
  signed_sums(values + 1, n_front, front);
  signed_sums(values + 1 + n_front, n_back, back);
  double limit = threshold(values, n);
  int64_t extreme = 0;
  for (int i = 0; i < 1 << n_front; i++) {
    double first = values[0] + front[i];
    for (int k = 0; k < 1 << n_back; k++) extreme += fabs(first + back[k]) >= limit;
  }
  return (double)extreme / (double)((int64_t)1 << (n - 1));
}

/* The sign of difference i in a draw is bit i of the fixed stream's words, of which a
 * block holds four. How many of the draws from number `first` to `last` are as extreme
 * as what was seen? */
static int64_t count_drawn(const double *values, int n, int64_t first, int64_t last) {
  Stream stream = {philox_key(0, "sign-flip", NULL), (uint64_t)first};
  double limit = threshold(values, n);
  int64_t extreme = 0;
  for (; stream.draw < (uint64_t)last; stream.draw++) {
    double sum = 0;
    uint32_t words[4];
    for (int i = 0; i < n; i++) {
      if (i % 128 == 0) philox_block(words, stream, (uint64_t)i / 128);
      uint32_t minus = words[i % 128 / 32] >> i % 32 & 1;
      sum += minus ? -values[i] : values[i];
    }
    extreme += fabs(sum) >= limit;
  }
  return extreme;
}

/* A multiple of 500, as all that are recorded. */
static int64_t flips_among(int n_tests) {
  int64_t wanted = (int64_t)n_tests * STAT_FLIPS_EACH;
  if (wanted > STAT_FLIPS_MAX) wanted = STAT_FLIPS_MAX;
  return wanted <= STAT_FLIPS ? STAT_FLIPS : (wanted + 499) / 500 * 500;
}

/* Going on only where nothing was extreme yet keeps p valid: for x below
 * 1 / (STAT_FLIPS + 1) it is at most x only if that of all draws is, and for others
 * only if that of the first draws is. */
static double drawn_p(const double *values, int n, int n_tests) {
  int64_t extreme = count_drawn(values, n, 0, STAT_FLIPS), all = flips_among(n_tests);
  if (extreme > 0 || all == STAT_FLIPS) return (double)(extreme + 1) / (STAT_FLIPS + 1);
  extreme = count_drawn(values, n, STAT_FLIPS, all);
  return (double)(extreme + 1) / (double)(all + 1);
}

double stat_sign_flip(const double *differences, int n, int n_tests) {
  if (n == 0) return 1;
  return n <= STAT_EXACT_MAX ? exact_p(differences, n)
                             : drawn_p(differences, n, n_tests);
}

double stat_sign_flip_min(int n, int n_tests) {
  if (n <= 0) return 1;
  return n <= STAT_EXACT_MAX ? ldexp(1, 1 - n)
                             : 1.0 / (double)(flips_among(n_tests) + 1);
}

int stat_flips_needed(int n_tests, double level) {
  for (int n = 1; n <= STAT_EXACT_MAX + 1; n++)
    if (n_tests * stat_sign_flip_min(n, n_tests) < level) return n;
  return 0;
}

static int find_dominant(const double *differences, int n) {
  double squares = 0, largest = 0;
  int at = -1;
  for (int i = 0; i < n; i++) largest = fmax(largest, fabs(differences[i]));
  for (int i = 0; i < n && largest > 0; i++) {
    /* scaled: squares may overflow, or vanish */
    double size = fabs(differences[i]) / largest;
    squares += size * size;
    if (size == 1) at = i;
  }
  return squares < 2 ? at : -1;
}

StatPaired stat_paired(const double *differences, int n, int n_tests, double sd_floor) {
  StatPaired out = {.n = n};
  out.mean = stat_mean(differences, n);
  out.sd = stat_sd(differences, n);
  out.sd_used = n < 2 ? NAN : fmax(out.sd, sd_floor);
  out.interval = stat_t_interval(out.mean, out.sd_used, n, 0.05);
  out.d_z = out.mean / out.sd_used;
  out.t = out.d_z * sqrt(n);
  out.p_t = n < 2 ? NAN : stat_t_tail(out.t, n - 1);
  out.p_flip = stat_sign_flip(differences, n, n_tests);
  out.p = out.sd_used > 0 ? out.p_t : out.p_flip;
  out.dominant = find_dominant(differences, n);
  double won = 0;
  for (int i = 0; i < n; i++)
    won += differences[i] > 0 ? 1 : differences[i] == 0 ? 0.5 : 0;
  out.won = n ? won / n : NAN;
  out.won_interval = stat_wilson(won, n);
  return out;
}

typedef struct Ranked {
  double p;
  int at;
} Ranked;

static int by_p(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  if (x->p != y->p) return x->p < y->p ? -1 : 1;
  return x->at - y->at;
}

/* p_(i) becomes the largest of (n - k) p_(k) for k = 0 .. i, at most 1. */
Err stat_holm(const double *p, int n, double *adjusted, Fault *fault) {
  if (n == 0) return ERR_OK;
  Ranked *ranked = malloc((size_t)n * sizeof *ranked);
  if (!ranked) return fault_memory(fault, (size_t)n * sizeof *ranked);
  for (int i = 0; i < n; i++) ranked[i] = (Ranked){isnan(p[i]) ? 1 : p[i], i};
  qsort(ranked, (size_t)n, sizeof *ranked, by_p);
  double highest = 0;
  for (int i = 0; i < n; i++) {
    double scaled = (n - i) * ranked[i].p;
    if (scaled > highest) highest = scaled;
    adjusted[ranked[i].at] = highest < 1 ? highest : 1;
  }
  free(ranked);
  return ERR_OK;
}

/* -- power: by the noncentral t distribution, inverted by bisection ---------------- */

double stat_power(double d_z, int n, double level) {
  must(n >= 2);
  return stat_shifted_t_tail(stat_t_critical(level, n - 1), n - 1, d_z * sqrt(n));
}

double stat_smallest(int n, double level) {
  double critical = stat_t_critical(level, n - 1), low = 0, high = 1;
  while (stat_shifted_t_tail(critical, n - 1, high) < STAT_POWER) high *= 2;
  for (int i = 0; i < HALVINGS; i++) {
    double middle = (low + high) / 2;
    if (stat_shifted_t_tail(critical, n - 1, middle) < STAT_POWER) low = middle;
    else high = middle;
  }
  return high / sqrt(n);
}

int stat_pairs_needed(double d_z, double level) {
  int low = STAT_TEST_MIN - 1, high = STAT_TEST_MIN;
  if (isnan(d_z) || d_z == 0) return 0;
  while (stat_power(d_z, high, level) < STAT_POWER) {
    if (high == STAT_SEEDS_MAX) return 0;
    low = high;
    high = high < STAT_SEEDS_MAX / 2 ? 2 * high : STAT_SEEDS_MAX;
  }
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    if (stat_power(d_z, middle, level) < STAT_POWER) low = middle;
    else high = middle;
  }
  return high;
}
