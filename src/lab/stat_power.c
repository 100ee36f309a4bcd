/* stat_power.c: power by the noncentral t distribution, its inversions by bisection. */
#include "lab/stat_power.h"
#include "lab/stat_dist.h"
#include "lab/stat_paired.h"
#include <math.h>

enum { HALVINGS = 40 }; /* to 1e-12 of the first bracket */

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
