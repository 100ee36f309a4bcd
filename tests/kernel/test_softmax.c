/* test_softmax.c: softmax kernels of every level that this processor has, against plain
 * double loops: short and long rows, strides, extreme values, equal bits for any
 * cut. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const int64_t sizes[][2] = {{1, 1},  {3, 2},   {5, 10},   {7, 16},  {300, 17},
                                   {9, 63}, {2, 2048}, {3, 2049}, {1, 5000}};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 8192 };

static void fill(real *x, int64_t n, double lo, double hi) {
  Stream stream = {philox_key(1, "test", "softmax"), (uint64_t)n};
  for (int64_t i = 0; i < n; i++)
    x[i] = (real)(lo + (hi - lo) * philox_unit(philox_word(stream, (uint64_t)i)));
}

/* log softmax of n values, `stride` apart. */
static void reference(double *y, const real *x, int64_t n, int64_t stride) {
  double m = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; k++) m = fmax(m, (double)x[k * stride]);
  for (int64_t k = 0; k < n; k++) sum += exp((double)x[k * stride] - m);
  for (int64_t k = 0; k < n; k++) y[k * stride] = (double)x[k * stride] - m - log(sum);
}

/* The rounding of x - m is a relative error of exp of about |x - m| eps. */
static void check_close(const real *y, const real *log_y, const double *want,
                        int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    CHECK_NEAR(y[i], exp(want[i]),
               (16 + fabs(want[i])) * REAL_EPS * exp(want[i]) + 1e-37);
    CHECK_NEAR(log_y[i], want[i], 8 * REAL_EPS * (1 + fabs(want[i])));
  }
}

TEST(rows_agree_with_plain_loops) {
  static real x[MOST], y[MOST], log_y[MOST];
  static double want[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++)
      for (int wide = 0; wide < 2; wide++) {
        int64_t N = sizes[s][0], C = sizes[s][1];
        fill(x, N * C, wide ? -40 : -2, wide ? 40 : 2);
        tables[level]->softmax_rows(y, x, N, C);
        tables[level]->log_softmax_rows(log_y, x, N, C);
        for (int64_t i = 0; i < N; i++) reference(want + i * C, x + i * C, C, 1);
        check_close(y, log_y, want, N * C);
      }
}

TEST(columns_agree_with_plain_loops) {
  static real x[MOST], y[MOST], log_y[MOST];
  static double want[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t n = sizes[s][0], N = sizes[s][1];
      fill(x, n * N, -5, 5);
      tables[level]->softmax_columns(y, x, n, N, N);
      tables[level]->log_softmax_columns(log_y, x, n, N, N);
      for (int64_t j = 0; j < N; j++) reference(want + j, x + j, n, N);
      check_close(y, log_y, want, n * N);
    }
}

TEST(a_row_alone_has_the_bits_it_has_among_others) {
  static real x[MOST], all[MOST], one[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    fill(x, 300 * 17, -5, 5);
    tables[level]->softmax_rows(all, x, 300, 17);
    for (int64_t i = 0; i < 300; i++)
      tables[level]->softmax_rows(one + i * 17, x + i * 17, 1, 17);
    assert_memory_equal(all, one, sizeof(real) * 300 * 17);
  }
}

/* Probabilities that are 0 in front, behind or anywhere take nothing, whatever flows to
 * them, and leave the sum of the others as it is. */
TEST(gradients_of_rows_with_zeros_agree_with_plain_loops) {
  enum { MOST_C = 70 };
  real p[MOST_C], gp[MOST_C], gx[MOST_C];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int64_t C = 1; C <= MOST_C; C++)
      for (int64_t zeros = 0; zeros < 3 * C; zeros++) {
        double along = 0;
        fill(p, C, 0.01, 1);
        fill(gp, C, -3, 2);
        for (int64_t c = 0; c < C; c++) {
          bool front = zeros < C ? c < zeros : zeros < 2 * C && c >= zeros - C;
          if (front || (zeros >= 2 * C && (c * 7 + zeros) % 3 == 0)) p[c] = 0;
          if (p[c] == 0 && c % 5 == 0) gp[c] = (real)NAN;
          along += p[c] == 0 ? 0 : (double)gp[c] * (double)p[c];
        }
        tables[level]->softmax_grad_rows(gx, gp, p, 1, C, 2);
        for (int64_t c = 0; c < C; c++) {
          double want = p[c] == 0 ? 0 : 2 * p[c] * (gp[c] - along);
          CHECK_NEAR(gx[c], want, 64 * REAL_EPS * (1 + fabs(along)));
        }
      }
}

TEST(extreme_rows) {
  const real inf = (real)INFINITY;
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    real x[3] = {(real)1e30, -(real)1e30, -inf}, y[3];
    tables[level]->softmax_rows(y, x, 1, 3);
    assert_true(y[0] == 1 && y[1] == 0 && y[2] == 0);
    tables[level]->log_softmax_rows(y, x, 1, 3);
    assert_true(y[0] == 0 && y[1] == -(real)2e30 && y[2] == -inf);
    for (int bad = 0; bad < 2; bad++) {
      real z[3] = {1, bad ? inf : (real)NAN, 2};
      tables[level]->softmax_rows(y, z, 1, 3);
      assert_true(isnan(y[1]));
      tables[level]->log_softmax_rows(y, z, 1, 3);
      assert_true(isnan(y[1]));
    }
  }
}

TEST(cross_entropy_agrees_with_plain_loops) {
  static real x[MOST], p[MOST], loss[MOST], gx[MOST], gy[MOST];
  static double want[MOST];
  static int64_t label[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t N = sizes[s][0], C = sizes[s][1];
      fill(x, N * C, -9, 9);
      fill(gy, N, -1, 1);
      for (int64_t i = 0; i < N; i++) label[i] = i * 7 % C;
      tables[level]->cross_entropy_rows(loss, p, x, label, N, C);
      tables[level]->cross_entropy_grad_rows(gx, gy, p, label, N, C);
      for (int64_t i = 0; i < N; i++) {
        double *row = want + i * C;
        reference(row, x + i * C, C, 1);
        CHECK_NEAR(loss[i], -row[label[i]], 8 * REAL_EPS * (1 - row[label[i]]));
        for (int64_t c = 0; c < C; c++) {
          CHECK_NEAR(p[i * C + c], exp(row[c]), 16 * REAL_EPS);
          CHECK_NEAR(gx[i * C + c], (double)gy[i] * (exp(row[c]) - (c == label[i])),
                     16 * REAL_EPS);
        }
      }
    }
}

/* A confident row: log(1 + e^-20) = 2e-9 must not vanish behind a rounded 1. */
TEST(the_loss_of_a_sure_row_keeps_its_digits) {
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    real x[2] = {20, 0}, p[2], loss;
    int64_t label = 0;
    tables[level]->cross_entropy_rows(&loss, p, x, &label, 1, 2);
    CHECK_NEAR(loss, log1p(exp(-20)), 1e-5 * exp(-20));
  }
}
