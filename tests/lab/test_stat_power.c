/* What a number of seeds can show: power, the noncentral t distribution, Fisher's exact
 * test. */
#include "lab/stat.h"
#include "test.h"

/* P(|T| >= t) by Simpson's rule over s = sqrt(C / df): given it, T >= t is Z >= t s -
 * shift. */
static double tail_by_quadrature(double t, double df, double shift) {
  enum { STEPS = 4000 };
  double sum = 0, width = 8.0 / STEPS;
  double front = log(2) + df / 2 * log(df / 2) - stat_log_gamma(df / 2);
  for (int i = 1; i <= STEPS; i++) {
    double s = i * width, weight = i == STEPS ? 1 : i % 2 ? 4 : 2;
    double density = exp(front + (df - 1) * log(s) - df * s * s / 2);
    double beyond = erfc((t * s - shift) * M_SQRT1_2) +
                    erfc((t * s + shift) * M_SQRT1_2);
    sum += weight * density * beyond / 2;
  }
  return sum * width / 3;
}

TEST(noncentral_t_agrees_with_quadrature) {
  static const double degrees[] = {3, 4, 7, 9, 30}, shifts[] = {0.1, 1, 2.5, 6, 15};
  static const double sizes[] = {0.5, 2, 2.776, 4, 9};
  for (int d = 0; d < 5; d++)
    for (int i = 0; i < 5; i++)
      for (int k = 0; k < 5; k++) {
        double want = tail_by_quadrature(sizes[k], degrees[d], shifts[i]);
        CHECK_NEAR(stat_shifted_t_tail(sizes[k], degrees[d], shifts[i]), want, 1e-8);
        CHECK_NEAR(stat_shifted_t_tail(sizes[k], degrees[d], -shifts[i]), want, 1e-8);
      }
}

TEST(noncentral_t_at_its_ends) {
  CHECK_NEAR(stat_shifted_t_tail(2, 4, 0), stat_t_tail(2, 4), 0);
  CHECK_NEAR(stat_shifted_t_tail(0, 4, 3), 1, 0);
  CHECK_NEAR(stat_shifted_t_tail(3, 4, 1e200), 1, 0);
  CHECK_NEAR(stat_shifted_t_tail(1e200, 4, 3), 0, 0);
  CHECK_NEAR(stat_shifted_t_tail(2, 100000, 400), 1, 1e-9);
  assert_true(isnan(stat_shifted_t_tail(NAN, 4, 1)) &&
              isnan(stat_shifted_t_tail(1, 4, NAN)));
}

TEST(the_smallest_difference_that_is_found) {
  static const int seeds[] = {4, 5, 6, 8, 10};
  static const double one[] = {2.13, 1.68, 1.43, 1.16, 1.00};
  static const double six[] = {3.96, 2.76, 2.20, 1.65, 1.37};
  for (int i = 0; i < 5; i++) {
    CHECK_NEAR(stat_smallest(seeds[i], STAT_ALPHA), one[i], 0.006);
    CHECK_NEAR(stat_smallest(seeds[i], STAT_ALPHA / 6), six[i], 0.006);
    CHECK_NEAR(stat_power(stat_smallest(seeds[i], 0.01), seeds[i], 0.01), STAT_POWER,
               1e-9);
  }
}

TEST(power_of_a_difference_of_one_and_a_half) {
  static const int seeds[] = {5, 8, 10};
  static const double one[] = {0.71, 0.95, 0.99}, six[] = {0.28, 0.71, 0.88};
  for (int i = 0; i < 3; i++) {
    CHECK_NEAR(stat_power(1.5, seeds[i], STAT_ALPHA), one[i], 0.006);
    CHECK_NEAR(stat_power(1.5, seeds[i], STAT_ALPHA / 6), six[i], 0.006);
  }
}

TEST(pairs_that_a_difference_takes) {
  static const double sizes[] = {5, 2.2, 1.5, -1.5, 0.8, 0.3, 0.05};
  for (int i = 0; i < 7; i++) {
    int n = stat_pairs_needed(sizes[i], 0.01);
    assert_true(n >= STAT_TEST_MIN && stat_power(sizes[i], n, 0.01) >= STAT_POWER);
    assert_true(n == STAT_TEST_MIN || stat_power(sizes[i], n - 1, 0.01) < STAT_POWER);
  }
  assert_int_equal(stat_pairs_needed(1.5, 0.01), stat_pairs_needed(-1.5, 0.01));
  assert_int_equal(stat_pairs_needed(0, 0.05), 0);
  assert_int_equal(stat_pairs_needed(NAN, 0.05), 0);
  assert_int_equal(stat_pairs_needed(1e-4, 0.05), 0); /* too many to be an answer */
  assert_int_equal(stat_pairs_needed(INFINITY, 0.05), STAT_TEST_MIN);
}

TEST(power_of_small_levels_and_large_samples) {
  assert_int_equal(stat_pairs_needed(0.5, STAT_ALPHA), 34);
  for (int exponent = 3; exponent <= 9; exponent++) {
    double level = pow(10, -exponent), smallest = stat_smallest(4, level);
    assert_true(isfinite(smallest) && smallest > stat_smallest(5, level));
    CHECK_NEAR(stat_power(smallest, 4, level), STAT_POWER, 1e-6);
  }
  CHECK_NEAR(stat_power(0.01, 100000, STAT_ALPHA), 0.885379,
             1e-5); /* as of the normal */
}

/* -- shares ------------------------------------------------------------------------ */

TEST(fishers_exact_test) {
  CHECK_NEAR(stat_fisher(3, 4, 1, 4), 34.0 / 70, 1e-12); /* the lady tasting tea */
  CHECK_NEAR(stat_fisher(5, 5, 0, 5), 2.0 / 252, 1e-12);
  CHECK_NEAR(stat_fisher(0, 5, 5, 5), 2.0 / 252, 1e-12);
  CHECK_NEAR(stat_fisher(2, 5, 0, 5), 20.0 / 45, 1e-12);
  CHECK_NEAR(stat_fisher(3, 3, 0, 12), 1.0 / 455, 1e-12);
  CHECK_NEAR(stat_fisher(0, 7, 0, 9), 1, 0);
  CHECK_NEAR(stat_fisher(7, 7, 9, 9), 1, 0);
  CHECK_NEAR(stat_fisher(0, 0, 3, 9), 1, 1e-12);
}

/* What is as likely is so relative to its size, however small. */
TEST(fishers_exact_test_of_tables_that_are_hardly_likely) {
  CHECK_NEAR(stat_fisher(22, 22, 0, 102) / 7.175066786245e-25, 1, 1e-9);
  CHECK_NEAR(stat_fisher(50, 51, 257, 632) / 1.222047036352e-17, 1, 1e-9);
  CHECK_NEAR(stat_fisher(94, 142, 3577, 20565) / 2.069356341010659e-37, 1, 1e-7);
}

/* All tables of up to six against up to six, by counting. */
TEST(fishers_exact_test_agrees_with_counting) {
  for (int n_a = 1; n_a <= 6; n_a++)
    for (int n_b = 1; n_b <= 6; n_b++)
      for (int a = 0; a <= n_a; a++)
        for (int b = 0; b <= n_b; b++) {
          int64_t counts[7] = {0}, all = 0, extreme = 0;
          for (int set = 0; set < 1 << (n_a + n_b); set++)
            if (__builtin_popcount((unsigned)set) == a + b)
              counts[__builtin_popcount((unsigned)set & ((1u << n_a) - 1))]++;
          for (int k = 0; k <= n_a; k++) {
            all += counts[k];
            extreme += counts[k] <= counts[a] ? counts[k] : 0;
          }
          CHECK_NEAR(stat_fisher(a, n_a, b, n_b), (double)extreme / (double)all, 1e-9);
        }
}

/* The unit of a metric decides nothing, though squares of it overflow or vanish. */
TEST(the_unit_decides_nothing) {
  static const double plain[] = {2, 3, 4, 2.5, 3.5};
  StatPaired want = stat_paired(plain, 5, 1, 0);
  for (int exponent = -1000; exponent <= 1000; exponent += 100) {
    double values[5];
    for (int i = 0; i < 5; i++) values[i] = ldexp(plain[i], exponent);
    StatPaired got = stat_paired(values, 5, 1, 0);
    CHECK_NEAR(got.sd, ldexp(want.sd, exponent), 0);
    CHECK_NEAR(got.d_z, want.d_z, 0);
    CHECK_NEAR(got.p, want.p, 0);
  }
}

/* -- the parts of a verdict -------------------------------------------------------- */

TEST(the_sd_has_a_floor) {
  double values[] = {0.01, 0.01, 0.01, 0.02, 0.01};
  StatPaired plain = stat_paired(values, 5, 1, 0),
             same = stat_paired(values, 5, 1, 1e-9);
  assert_memory_equal(&plain, &same, sizeof plain);
  StatPaired floored = stat_paired(values, 5, 1, 0.02);
  CHECK_NEAR(floored.sd, plain.sd, 0);
  CHECK_NEAR(floored.sd_used, 0.02, 0);
  CHECK_NEAR(floored.t, 0.012 / (0.02 / sqrt(5)), 1e-12);
  CHECK_NEAR(floored.p, stat_t_tail(floored.t, 4), 0);
  CHECK_NEAR(floored.interval.high, 0.012 + 0.02 / sqrt(5) * stat_t_critical(0.05, 4),
             1e-12);
  CHECK_NEAR(floored.p_flip, plain.p_flip, 0);
  double none[4] = {0};
  assert_true(stat_paired(none, 4, 1, 0.01).p == 1 &&
              stat_paired(none, 4, 1, 0).p == 1);
}

TEST(the_pair_that_makes_most_of_the_sum_of_squares) {
  CHECK_NEAR(stat_paired((double[]){1, 1, 1, 3}, 4, 1, 0).dominant, 3, 0);
  CHECK_NEAR(stat_paired((double[]){1, -3e300, 1, 1}, 4, 1, 0).dominant, 1, 0);
  CHECK_NEAR(stat_paired((double[]){1e-300, 0, 0}, 3, 1, 0).dominant, 0, 0);
  CHECK_NEAR(stat_paired((double[]){1, -1, 0}, 3, 1, 0).dominant, -1,
             0); /* just a half */
  CHECK_NEAR(stat_paired((double[]){0, 0, 0}, 3, 1, 0).dominant, -1, 0);
  CHECK_NEAR(stat_paired(NULL, 0, 1, 0).dominant, -1, 0);
}
