/* Numbers of distributions: their moments, their ends, and how many words they take. */
#include "data/draws.h"
#include "test.h"

enum { N = 20000 };

typedef double Draw(Words *words, double a, double b);

static double gamma_of(Words *words, double a, double b) {
  (void)b;
  return words_gamma(words, a);
}

static double normal_of(Words *words, double a, double b) {
  (void)a, (void)b;
  return words_normal(words);
}

/* Mean and variance within five standard errors; `fourth`: the fourth central moment.
 */
static void check_moments(Draw *draw, double a, double b, double mean, double variance,
                          double fourth) {
  Words words = {{philox_key(1, "test", "draws"), 0}, 0};
  double sum = 0, squares = 0;
  for (int i = 0; i < N; i++) {
    double x = draw(&words, a, b) - mean;
    assert_true(isfinite(x));
    sum += x;
    squares += x * x;
  }
  CHECK_NEAR(sum / N, 0, 5 * sqrt(variance / N));
  CHECK_NEAR(squares / N, variance, 5 * sqrt((fourth - variance * variance) / N));
}

TEST(uniform_numbers) { check_moments(words_uniform, -1, 3, 1, 16 / 12.0, 256 / 80.0); }

TEST(normal_numbers) { check_moments(normal_of, 0, 0, 0, 1, 3); }

TEST(gamma_numbers) {
  static const double shapes[] = {0.05, 0.5, 0.999, 1, 2.5, 100};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    double a = shapes[i];
    check_moments(gamma_of, a, 0, a, a, 3 * a * a + 6 * a);
  }
}

/* Of Beta(a, a): the mean is 1/2 and the excess kurtosis -6 / (2 a + 3). */
TEST(beta_numbers) {
  static const double shapes[] = {0.2, 1, 2, 50};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    double a = shapes[i], variance = 1 / (4 * (2 * a + 1));
    check_moments(words_beta, a, a, 0.5, variance,
                  variance * variance * (3 - 6 / (2 * a + 3)));
  }
  check_moments(words_beta, 2, 6, 0.25, 12.0 / (64 * 9), 1e-2);
}

/* At a tiny parameter all lies at the ends, where both gammas are 0, too. */
TEST(beta_numbers_at_the_ends) {
  Words words = {{1, 0}, 0};
  int n_ones = 0;
  for (int i = 0; i < N; i++) {
    double x = words_beta(&words, 1e-5, 1e-5);
    assert_true(x >= 0 && x <= 1);
    n_ones += x > 0.5;
  }
  CHECK_NEAR(n_ones / (double)N, 0.5, 0.02);
}

/* The largest and the smallest word give numbers, too. */
TEST(normals_of_extreme_words_are_finite) {
  static const uint32_t word[] = {0, 1, UINT32_MAX - 1, UINT32_MAX};
  double pair[2];
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 4; k++) {
      draw_normals(pair, word[i], word[k]);
      assert_true(fabs(pair[0]) < 7 && fabs(pair[1]) < 7);
    }
}

TEST(words_are_counted) {
  Words words = {{7, 3}, 10};
  words_uniform(&words, 0, 1);
  assert_int_equal(words.at, 11);
  words_normal(&words);
  assert_int_equal(words.at, 13);
  Words again = {{7, 3}, 10};
  assert_true(words_uniform(&again, 5, 6) >= 5);
  assert_int_equal(again.at, 11);
}
