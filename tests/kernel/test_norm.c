/* test_norm.c: normalization kernels of every level that this processor has, against
 * plain double loops: tails, strides, a mean far from zero. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const int64_t sizes[][2] = {{1, 1},  {2, 3},   {3, 16},  {4, 17},
                                   {7, 31}, {33, 64}, {65, 47}, {5, 1025}};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 8192, STRIDE = 3 };
static const double EPSILON = 1e-5;

static void fill(real *x, int64_t n, const char *name, double lo, double hi) {
  Stream stream = {philox_key(1, "test", name), (uint64_t)n};
  for (int64_t i = 0; i < n; i++)
    x[i] = (real)(lo + (hi - lo) * philox_unit(philox_word(stream, (uint64_t)i)));
}

/* -- given statistics -------------------------------------------------------------- */

/* Columns of a wider array: STRIDE more than there are; what lies between stays. */
TEST(columns_are_normalized_and_nothing_else) {
  static real x[MOST], y[MOST], mean[MOST], scale[MOST], shift[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t M = sizes[s][0], N = sizes[s][1], stride = N + STRIDE;
      fill(x, M * stride, "x", -2, 2);
      fill(mean, N, "mean", -1, 1);
      fill(scale, N, "scale", 0.5, 2);
      fill(shift, N, "shift", -1, 1);
      for (int64_t i = 0; i < M * stride; i++) y[i] = 77;
      tables[level]->norm_columns(y, x, mean, scale, shift, M, stride, N);
      for (int64_t i = 0; i < M; i++)
        for (int64_t c = 0; c < stride; c++) {
          int64_t at = i * stride + c;
          double want = c < N ? ((double)x[at] - (double)mean[c]) * (double)scale[c] +
                                    (double)shift[c]
                              : 77;
          CHECK_NEAR(y[at], want, c < N ? 16 * REAL_EPS : 0);
        }
    }
}

TEST(gradient_sums_agree_by_columns_and_by_rows) {
  static real x[MOST], gy[MOST], mean[MOST];
  static double sums[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t M = sizes[s][0], N = sizes[s][1];
      fill(x, M * N, "x", -2, 2);
      fill(gy, M * N, "gy", -1, 1);
      fill(mean, N, "mean", -1, 1);
      for (int64_t c = 0; c < 2 * N; c++) sums[c] = 0.25;
      tables[level]->norm_grad_sum_columns(sums, gy, x, mean, M, N, N);
      for (int64_t c = 0; c < N; c++) {
        double sum = 0.25, moment = 0.25;
        for (int64_t i = 0; i < M; i++) {
          sum += (double)gy[i * N + c];
          moment += (double)gy[i * N + c] * ((double)x[i * N + c] - (double)mean[c]);
        }
        CHECK_NEAR(sums[c], sum, 1e-12);
        CHECK_NEAR(sums[N + c], moment, 4 * REAL_EPS * (double)(M + 1));
      }
      double row[2] = {0.5, 0.5}, sum = 0.5, moment = 0.5;
      tables[level]->norm_grad_sum_row(row, gy, x, mean[0], M * N);
      for (int64_t i = 0; i < M * N; i++) {
        sum += (double)gy[i];
        moment += (double)gy[i] * ((double)x[i] - (double)mean[0]);
      }
      CHECK_NEAR(row[0], sum, 1e-11);
      CHECK_NEAR(row[1], moment, REAL_EPS * (double)(M * N + 4));
    }
}

TEST(gradients_of_rows_are_those_of_columns) {
  static real x[MOST], gy[MOST], by_row[MOST], by_columns[MOST], f[4][MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t M = sizes[s][0], N = sizes[s][1];
      fill(x, M * N, "x", -2, 2);
      fill(gy, M * N, "gy", -1, 1);
      static const double value[4] = {0.3, 1.7, -0.2, 0.6};
      for (int k = 0; k < 4; k++)
        for (int64_t c = 0; c < N; c++) f[k][c] = (real)value[k];
      tables[level]->norm_grad_columns(by_columns, gy, x, f[0], f[1], f[2], f[3], M, N,
                                       N);
      tables[level]->norm_grad_row(by_row, gy, x, f[0][0], f[1][0], f[2][0], f[3][0],
                                   M * N);
      assert_memory_equal(by_row, by_columns, (size_t)(M * N) * sizeof(real));
      for (int64_t i = 0; i < M * N; i++)
        CHECK_NEAR(by_row[i], 1.7 * ((double)gy[i] + 0.2 - ((double)x[i] - 0.3) * 0.6),
                   16 * REAL_EPS);
    }
}

/* -- layer norm -------------------------------------------------------------------- */

static void layer_norm(double *y, double *mean, double *var, const real *x,
                       const real *w, const real *b, int64_t C) {
  *mean = *var = 0;
  for (int64_t c = 0; c < C; c++) *mean += (double)x[c] / (double)C;
  for (int64_t c = 0; c < C; c++)
    *var += ((double)x[c] - *mean) * ((double)x[c] - *mean) / (double)C;
  for (int64_t c = 0; c < C; c++)
    y[c] = ((double)x[c] - *mean) / sqrt(*var + EPSILON) * (w ? (double)w[c] : 1) +
           (b ? (double)b[c] : 0);
}

TEST(layer_norm_agrees_with_plain_loops) {
  static real x[MOST], y[MOST], mean[MOST], var[MOST], w[MOST], b[MOST];
  static double want[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++)
      for (int k = 0; k < 4; k++) {
        int64_t N = sizes[s][0], C = sizes[s][1];
        const real *weight = k & 1 ? w : NULL, *bias = k & 2 ? b : NULL;
        fill(x, N * C, "x", -2, 2);
        fill(w, C, "w", -1, 1);
        fill(b, C, "b", -1, 1);
        tables[level]->layer_norm_rows(y, mean, var, x, weight, bias, N, C, EPSILON);
        for (int64_t i = 0; i < N; i++) {
          double m, v;
          layer_norm(want, &m, &v, x + i * C, weight, bias, C);
          CHECK_NEAR(mean[i], m, 64 * REAL_EPS);
          CHECK_NEAR(var[i], v, 64 * REAL_EPS);
          for (int64_t c = 0; c < C; c++)
            CHECK_NEAR(y[i * C + c], want[c], C == 1 ? 256 * REAL_EPS : 64 * REAL_EPS);
        }
      }
}

/* E[x^2] - E[x]^2 would have no digits left here. */
TEST(the_variance_far_from_zero_keeps_its_digits) {
  static real x[1000], y[1000];
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    real mean, var;
    for (int i = 0; i < 1000; i++) x[i] = (real)(100000 + i % 2);
    tables[level]->layer_norm_rows(y, &mean, &var, x, NULL, NULL, 1, 1000, 0);
    CHECK_NEAR(mean, 100000.5, 0.01);
    CHECK_NEAR(var, 0.25, 1e-6);
  }
}

TEST(layer_norm_gradient_agrees_with_plain_loops) {
  static real x[MOST], gy[MOST], gx[MOST], mean[MOST], var[MOST], w[MOST];
  static double sums[MOST], want_sums[MOST];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++)
      for (int with = 0; with < 2; with++) {
        int64_t N = sizes[s][0], C = sizes[s][1];
        fill(x, N * C, "x", -2, 2);
        fill(gy, N * C, "gy", -1, 1);
        fill(mean, N, "mean", -1, 1);
        fill(var, N, "var", 0.5, 2);
        fill(w, C, "w", -1, 1);
        for (int64_t c = 0; c < 2 * C; c++) sums[c] = want_sums[c] = 0;
        tables[level]->layer_norm_grad_rows(gx, sums, gy, x, mean, var, with ? w : NULL,
                                            N, C, EPSILON);
        for (int64_t i = 0; i < N; i++) {
          const real *g = gy + i * C, *row = x + i * C;
          double istd = 1 / sqrt((double)var[i] + EPSILON), h = 0, along = 0;
          for (int64_t c = 0; c < C; c++) {
            double xhat = ((double)row[c] - (double)mean[i]) * istd;
            double gw = (double)g[c] * (with ? (double)w[c] : 1);
            h += gw / (double)C;
            along += gw * xhat / (double)C;
            want_sums[c] += (double)g[c];
            want_sums[C + c] += (double)g[c] * xhat;
          }
          for (int64_t c = 0; c < C; c++) {
            double xhat = ((double)row[c] - (double)mean[i]) * istd;
            double gw = (double)g[c] * (with ? (double)w[c] : 1);
            CHECK_NEAR(gx[i * C + c], istd * (gw - h - xhat * along), 64 * REAL_EPS);
          }
        }
        for (int64_t c = 0; c < 2 * C; c++)
          CHECK_NEAR(sums[c], want_sums[c], 8 * REAL_EPS * (double)(N + 1));
      }
}
