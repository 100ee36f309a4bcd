/* test_reduce.c: reduction kernels of every level that this processor has, against
 * plain loops in double: tails, strides, NaN and infinities, a mean far from zero. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const int64_t sizes[] = {1, 15, 16, 17, 31, 64, 65, 255, 256, 257, 1000, 20001};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 20001 };

static const int64_t planes[][2] = {{1, 1},  {1, 17}, {5, 3},    {7, 15},  {4, 16},
                                    {33, 17}, {64, 257}, {65, 300}, {1000, 20}};
enum { N_PLANES = sizeof planes / sizeof *planes };

/* Values in (-1, 1), the same ones in both builds. */
static void fill(real *x, int64_t n, double offset) {
  Stream stream = {philox_key(1, "test", "reduce"), (uint64_t)n};
  for (int64_t i = 0; i < n; i++)
    x[i] = (real)(offset + 2 * philox_unit(philox_word(stream, (uint64_t)i)) - 1);
}

/* Exact enough for both builds: sums in long double. */
static void moments(const real *x, int64_t n, int64_t stride, double *sum, double *mean,
                    double *squares) {
  long double s = 0, q = 0;
  for (int64_t i = 0; i < n; i++) s += x[i * stride];
  for (int64_t i = 0; i < n; i++)
    q += (x[i * stride] - s / n) * (x[i * stride] - s / n);
  *sum = (double)s;
  *mean = (double)(s / n);
  *squares = (double)q;
}

TEST(rows_sum_and_vary_as_in_plain_loops) {
  static real x[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++)
      for (int far = 0; far < 2; far++) {
        int64_t n = sizes[s];
        double sum, mean, squares, got = 0.25, part[3] = {0};
        fill(x, n, 1000 * far);
        moments(x, n, 1, &sum, &mean, &squares);
        tables[level]->reduce_sum_row(&got, x, n);
        CHECK_NEAR(got, 0.25 + sum, 1e-13 * (double)n * (1 + 1000 * far));
        tables[level]->reduce_var_row(part, x, n);
        assert_true(part[0] == (double)n);
        CHECK_NEAR(part[1], mean, 1e-13 * (1 + 1000 * far));
        CHECK_NEAR(part[2], squares, 1e-9 * (1e-3 + squares));
      }
}

/* A state made in two steps is that of all rows. */
TEST(columns_sum_and_vary_as_in_plain_loops) {
  static real x[64 * 1024];
  static double sums[512], part[3 * 512];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_PLANES; s++) {
      int64_t M = planes[s][0], N = planes[s][1], stride = N + 3, half = M / 2;
      fill(x, M * stride, 100);
      memset(sums, 0, sizeof sums);
      memset(part, 0, sizeof part);
      if (half) tables[level]->reduce_var_columns(part, x, half, stride, N);
      tables[level]->reduce_var_columns(part, x + half * stride, M - half, stride, N);
      tables[level]->reduce_sum_columns(sums, x, half, stride, N);
      tables[level]->reduce_sum_columns(sums, x + half * stride, M - half, stride, N);
      for (int64_t c = 0; c < N; c++) {
        double sum, mean, squares;
        moments(x + c, M, stride, &sum, &mean, &squares);
        CHECK_NEAR(sums[c], sum, 1e-11 * (double)M);
        assert_true(part[c] == (double)M);
        CHECK_NEAR(part[N + c], mean, 1e-11);
        CHECK_NEAR(part[2 * N + c], squares, 1e-9 * (1e-3 + squares));
      }
      assert_true(sums[N] == 0 && part[3 * N] == 0);
    }
}

/* Index from 0 of the first NaN, else of the first extreme; plain. */
static int64_t place_of(const real *x, int64_t n, int64_t stride, bool smallest) {
  int64_t place = 0;
  for (int64_t i = 1; i < n; i++) {
    real best = x[place * stride], here = x[i * stride];
    if (!isnan(best) && (isnan(here) || (smallest ? here < best : here > best)))
      place = i;
  }
  return place;
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void check_row_extremes(const Kernels *k, const real *x, int64_t n) {
  double most = -INFINITY, least = INFINITY;
  int64_t at_most = place_of(x, n, 1, false), at_least = place_of(x, n, 1, true);
  k->reduce_max_row(&most, x, n);
  k->reduce_min_row(&least, x, n);
  assert_true(same(most, x[at_most]));
  assert_true(same(least, x[at_least]));
  assert_int_equal(k->arg_row(x, n, false), at_most);
  assert_int_equal(k->arg_row(x, n, true), at_least);
}

TEST(rows_give_extremes_and_their_first_places) {
  static real x[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t n = sizes[s];
      fill(x, n, 0);
      check_row_extremes(tables[level], x, n);
      for (int64_t i = 0; i < n; i++) x[i] = (real)floor(3 * (double)x[i]);
      check_row_extremes(tables[level], x, n); /* many equal ones */
      x[n / 2] = -INFINITY;
      x[n - 1] = INFINITY;
      check_row_extremes(tables[level], x, n);
      x[2 * n / 3] = (real)NAN;
      check_row_extremes(tables[level], x, n);
      for (int64_t i = 0; i < n; i++) x[i] = -INFINITY;
      check_row_extremes(tables[level], x, n);
    }
}

TEST(an_extreme_that_is_nan_stays_nan) {
  real x[40];
  fill(x, 40, 0);
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    double most = NAN, least[3] = {NAN, NAN, INFINITY};
    tables[level]->reduce_max_row(&most, x, 40);
    tables[level]->reduce_min_columns(least, x, 10, 3, 3);
    assert_true(isnan(most) && isnan(least[0]) && isnan(least[1]) && least[2] < 1);
  }
}

TEST(columns_give_extremes_and_their_first_places) {
  static real x[64 * 1024];
  static double most[512], least[512];
  static int32_t at_most[512], at_least[512];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_PLANES; s++) {
      int64_t M = planes[s][0], N = planes[s][1], stride = N + 3;
      fill(x, M * stride, 0);
      for (int64_t i = 0; i < M * stride; i += 2) x[i] = (real)floor(3 * (double)x[i]);
      x[M / 2 * stride + N / 2] = (real)NAN;
      for (int64_t c = 0; c < N; c++) most[c] = -INFINITY, least[c] = INFINITY;
      tables[level]->reduce_max_columns(most, x, M, stride, N);
      tables[level]->reduce_min_columns(least, x, M, stride, N);
      tables[level]->arg_columns(at_most, x, M, stride, N, false);
      tables[level]->arg_columns(at_least, x, M, stride, N, true);
      for (int64_t c = 0; c < N; c++) {
        int64_t i = place_of(x + c, M, stride, false),
                j = place_of(x + c, M, stride, true);
        assert_true(same(most[c], x[i * stride + c]));
        assert_true(same(least[c], x[j * stride + c]));
        assert_int_equal(at_most[c], i);
        assert_int_equal(at_least[c], j);
      }
    }
}

/* A value at each place in turn, of all sizes and remainders. */
TEST(bounds_tell_every_value_and_hold_zero) {
  static real x[600];
  const double values[] = {NAN, -NAN, INFINITY, -INFINITY, 7, -7, -0.0, 0};
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int64_t n = 0; n <= 600; n += n < 20 ? 1 : 29)
      for (int64_t at = 0; at < n; at += n < 100 ? 1 : 7)
        for (int v = 0; v < 8; v++) {
          const double value = values[v];
          real lo = 1, hi = -1;
          fill(x, n, 0);
          x[at] = (real)value;
          tables[level]->reduce_bounds(&lo, &hi, &(RealSpan){x, n}, 1);
          if (isfinite(value)) {
            assert_true((double)lo <= 0 && (double)lo <= value && value <= (double)hi);
            for (int64_t i = 0; i < n; i++) assert_true(lo <= x[i] && x[i] <= hi);
            assert_true(fabs(value) < 7 || (double)lo == value || (double)hi == value);
          } else {
            assert_true(!isfinite((double)lo) || !isfinite((double)hi));
          }
        }
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    real lo = 1, hi = 1;
    tables[level]->reduce_bounds(&lo, &hi, &(RealSpan){x, 0}, 1);
    assert_true((double)lo == 0 && (double)hi == 0);
  }
}
