/* softmax.c: softmax, log-softmax and cross-entropy along rows and down columns.
 *
 *   m = max x,   s = sum exp(x - m),   softmax = exp(x - m) / s,
 *   log softmax = (x - m) - log s
 *
 * exp never overflows and s >= 1. A row with a NaN, or whose maximum is infinite,
 * becomes NaN. Rows are worked on in tiles of about TILE elements that stay in the
 * cache: exp runs over a whole tile, so that short rows (ten classes) fill the vectors
 * too. Sums run in double. Each row's result depends on that row alone, not on its
 * tile. */
#include "kernel/kernel.h"
#include "base/ints.h"
#include "kernel/vector/lanes.h"
#include "kernel/vector/vmath.h"
#include <math.h>
#include <string.h>

enum {
  TILE = 2048,    /* elements of a tile of rows; also its greatest number of rows */
  COLUMNS = 64    /* columns worked on at a time */
};

static inline real larger(real a, real b) { return a > b ? a : b; }

/* NaNs are passed over here; they come back through exp. Lanes are indexed by constants
 * alone, so that they stay in registers. */
static real row_max(const real *x, int64_t C) {
  real best = -(real)INFINITY;
  int64_t c = 0;
  if (C >= LANES) {
    real m[LANES];
    for (int l = 0; l < LANES; l++) m[l] = best;
    for (; c + LANES <= C; c += LANES)
      for (int l = 0; l < LANES; l++) m[l] = larger(x[c + l], m[l]);
    for (int l = 0; l < LANES; l++) best = larger(m[l], best);
  }
  for (; c < C; c++) best = larger(x[c], best);
  return best;
}

static double row_sum(const real *x, int64_t C) {
  double sum = 0;
  int64_t c = 0;
  if (C >= LANES) {
    double s[LANES] = {0};
    for (; c + LANES <= C; c += LANES)
      for (int l = 0; l < LANES; l++) s[l] += (double)x[c + l];
    sum = fold(s);
  }
  for (; c < C; c++) sum += (double)x[c];
  return sum;
}

static void exp_all(real *y, const real *x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = f_exp(x[i]);
}

/* log s of a double, by the logarithm of `real` and one step for what it rounded
 * away. */
static double log_sum(double s) {
  double rounded = (double)(real)s;
  return (double)f_log((real)s) + (s - rounded) / rounded;
}

/* y = x - max of its row */
static void shift_rows(real *y, const real *x, int64_t N, int64_t C) {
  for (int64_t i = 0; i < N; i++) {
    const real m = row_max(x + i * C, C);
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[i * C + c] = x[i * C + c] - m;
  }
}

static int64_t tile_rows(int64_t C) { return C < TILE ? TILE / C : 1; }

/* Rows of y, exps already, divided by their sums. */
static void divide_rows(real *y, int64_t N, int64_t C) {
  for (int64_t i = 0; i < N; i++) {
    const real factor = (real)(1 / row_sum(y + i * C, C));
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[i * C + c] *= factor;
  }
}

void KN(softmax_rows)(real *y, const real *x, int64_t N, int64_t C) {
  const int64_t step = tile_rows(C);
  for (int64_t i = 0; i < N; i += step) {
    const int64_t n = least(N - i, step);
    shift_rows(y + i * C, x + i * C, n, C);
    exp_all(y + i * C, y + i * C, n * C);
    divide_rows(y + i * C, n, C);
  }
}

/* sums[i] = sum of exp over row i: N short rows in one go, or one long row in
 * pieces. */
static void exp_sums(double *sums, const real *x, int64_t N, int64_t C) {
  real e[TILE];
  if (C <= TILE) {
    exp_all(e, x, N * C);
    for (int64_t i = 0; i < N; i++) sums[i] = row_sum(e + i * C, C);
    return;
  }
  sums[0] = 0;
  for (int64_t c = 0; c < C; c += TILE) {
    const int64_t n = least(C - c, TILE);
    exp_all(e, x + c, n);
    sums[0] += row_sum(e, n);
  }
}

void KN(log_softmax_rows)(real *y, const real *x, int64_t N, int64_t C) {
  const int64_t step = tile_rows(C);
  for (int64_t i = 0; i < N; i += step) {
    double sums[TILE];
    const int64_t n = least(N - i, step);
    shift_rows(y + i * C, x + i * C, n, C);
    exp_sums(sums, y + i * C, n, C);
    for (int64_t r = 0; r < n; r++) {
      real *row = y + (i + r) * C;
      const real log_s = (real)log_sum(sums[r]);
#pragma omp simd
      for (int64_t c = 0; c < C; c++) row[c] -= log_s;
    }
  }
}

/* -- columns ----------------------------------------------------------------------- */

/* y = x - max of its column, and e[j] = sum of exp of column j of y. N <= COLUMNS. */
static void shift_columns(double *sum, real *y, const real *x, int64_t n,
                          int64_t stride, int64_t N) {
  real m[COLUMNS];
  for (int64_t j = 0; j < N; j++) {
    m[j] = -(real)INFINITY;
    sum[j] = 0;
  }
  for (int64_t k = 0; k < n; k++)
    for (int64_t j = 0; j < N; j++) m[j] = larger(x[k * stride + j], m[j]);
  for (int64_t k = 0; k < n; k++) {
    real e[COLUMNS];
    for (int64_t j = 0; j < N; j++) y[k * stride + j] = x[k * stride + j] - m[j];
    exp_all(e, y + k * stride, N);
    for (int64_t j = 0; j < N; j++) sum[j] += (double)e[j];
  }
}

void KN(softmax_columns)(real *y, const real *x, int64_t n, int64_t stride, int64_t N) {
  for (int64_t at = 0; at < N; at += COLUMNS) {
    double sum[COLUMNS];
    real factor[COLUMNS];
    const int64_t width = least(N - at, COLUMNS);
    shift_columns(sum, y + at, x + at, n, stride, width);
    for (int64_t j = 0; j < width; j++) factor[j] = (real)(1 / sum[j]);
    for (int64_t k = 0; k < n; k++) {
      real *row = y + at + k * stride;
      exp_all(row, row, width);
      for (int64_t j = 0; j < width; j++) row[j] *= factor[j];
    }
  }
}

void KN(log_softmax_columns)(real *y, const real *x, int64_t n, int64_t stride,
                             int64_t N) {
  for (int64_t at = 0; at < N; at += COLUMNS) {
    double sum[COLUMNS];
    real log_s[COLUMNS];
    const int64_t width = least(N - at, COLUMNS);
    shift_columns(sum, y + at, x + at, n, stride, width);
    for (int64_t j = 0; j < width; j++) log_s[j] = (real)log_sum(sum[j]);
    for (int64_t k = 0; k < n; k++)
      for (int64_t j = 0; j < width; j++) y[at + k * stride + j] -= log_s[j];
  }
}

/* -- cross-entropy ----------------------------------------------------------------- */

void KN(cross_entropy_rows)(real *loss, real *p, const real *x, const int64_t *label,
                            int64_t N, int64_t C) {
  const int64_t step = tile_rows(C);
  for (int64_t i = 0; i < N; i += step) {
    const int64_t n = least(N - i, step);
    real *tile = p + i * C;
    shift_rows(tile, x + i * C, n, C);
    for (int64_t r = 0; r < n; r++) loss[i + r] = tile[r * C + label[i + r]];
    exp_all(tile, tile, n * C);
    for (int64_t r = 0; r < n; r++) {
      const double sum = row_sum(tile + r * C, C);
      const real factor = (real)(1 / sum);
      loss[i + r] = (real)(log_sum(sum) - (double)loss[i + r]);
#pragma omp simd
      for (int64_t c = 0; c < C; c++) tile[r * C + c] *= factor;
    }
  }
}

void KN(cross_entropy_grad_rows)(real *gx, const real *gy, const real *p,
                                 const int64_t *label, int64_t N, int64_t C) {
  for (int64_t i = 0; i < N; i++) {
    const real g = gy[i];
    if (g == 0 &&
        isnan(p[i * C])) { /* nothing flows on (ops_chain.c); NaN fills a row */
      memset(gx + i * C, 0, (size_t)C * sizeof *gx);
      continue;
    }
#pragma omp simd
    for (int64_t c = 0; c < C; c++) gx[i * C + c] = g * p[i * C + c];
    gx[i * C + label[i]] = g * (p[i * C + label[i]] - 1);
  }
}

/* -- attention --------------------------------------------------------------------- */

/* y = scale x where the mask is above 1/2, else -inf; is there such an element? */
static bool take_seen(real *y, const real *x, const real *mask, int64_t n, real scale) {
  const real none = -(real)INFINITY, half = (real)0.5;
  int64_t seen = 0;
  VECTOR_LOOP
  for (int64_t c = 0; c < n; c++) {
    seen += mask[c] > half;
    y[c] = mask[c] > half ? scale * x[c] : none;
  }
  return seen > 0;
}

static void scale_row(real *y, const real *x, int64_t n, real scale) {
#pragma omp simd
  for (int64_t c = 0; c < n; c++) y[c] = scale * x[c];
}

/* exp(y - max), over its sum; 0 where the mask, if any, is not above 1/2. */
static void finish_row(real *y, const real *mask, int64_t n) {
  const real m = row_max(y, n), half = (real)0.5;
#pragma omp simd
  for (int64_t c = 0; c < n; c++) y[c] = f_exp(y[c] - m);
  if (mask) {
#pragma omp simd
    for (int64_t c = 0; c < n; c++) y[c] = mask[c] > half ? y[c] : 0;
  }
  scale_row(y, y, n, (real)(1 / row_sum(y, n)));
}

void KN(masked_softmax_rows)(real *y, const real *x, int64_t N, int64_t C, real scale,
                             const SoftmaxMask *see) {
  for (int64_t i = 0; i < N; i++, x += C, y += C) {
    const int64_t n = least(C, see->causal + i + 1);
    const real *mask = see->mask ? see->mask + i * see->stride : NULL;
    bool any = n > 0;
    if (mask) any = take_seen(y, x, mask, n, scale);
    else scale_row(y, x, n, scale);
    if (any) finish_row(y, mask, n);
    memset(y + (any ? n : 0), 0, (size_t)(C - (any ? n : 0)) * sizeof *y);
  }
}

static double row_dot(const real *x, const real *y, int64_t C) {
  double sum = 0;
  int64_t c = 0;
  if (C >= LANES) {
    double s[LANES] = {0};
    for (; c + LANES <= C; c += LANES)
      for (int l = 0; l < LANES; l++) s[l] += (double)x[c + l] * (double)y[c + l];
    sum = fold(s);
  }
  for (; c < C; c++) sum += (double)x[c] * (double)y[c];
  return sum;
}

/* Where y is 0, x may be anything: a sum that is finite has nothing of it. (gcc 12 at
 * -O3 with AVX2 makes wrong sums of lanes whose terms have a condition.) */
static double row_dot_of_seen(const real *x, const real *y, int64_t C) {
  const double plain = row_dot(x, y, C);
  if (isfinite(plain)) return plain;
  const int64_t whole = C - C % LANES;
  double s[LANES] = {0};
  for (int64_t c = 0; c < whole; c++)
    if (y[c] != 0) s[c % LANES] += (double)x[c] * (double)y[c];
  double sum = whole ? fold(s) : 0;
  for (int64_t c = whole; c < C; c++)
    if (y[c] != 0) sum += (double)x[c] * (double)y[c];
  return sum;
}

void KN(softmax_grad_rows)(real *gx, const real *gp, const real *p, int64_t N,
                           int64_t C, real scale) {
  for (int64_t i = 0; i < N; i++, gx += C, gp += C, p += C) {
    const real along = (real)row_dot_of_seen(gp, p, C);
#pragma omp simd
    for (int64_t c = 0; c < C; c++)
      gx[c] = p[c] == 0 ? 0 : scale * p[c] * (gp[c] - along);
  }
}
