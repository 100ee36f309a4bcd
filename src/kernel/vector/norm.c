/* norm.c: normalization by given or by own statistics, and its gradients.
 *
 * Per element everything is one expression in real; sums run in double, in a fixed
 * number of lanes or in the order of the rows, so a result depends on the arguments
 * alone. The statistics of columns come from reduce.c; rows of a layer norm are short,
 * so they are read twice from the cache: mean, then squares about it. Lanes are indexed
 * by constants alone, so that they stay in registers. */
#include "kernel/kernel.h"
#include "kernel/vector/lanes.h"
#include "kernel/vector/vector.h"
#include <math.h>

enum { GROUP = 4 }; /* rows added up before they go to the sums in memory */

/* -- sums in lanes ----------------------------------------------------------------- */

/* The lanes as vectors: gcc takes two sums apart that are written lane by lane. */
enum { LANES_WIDTH = VECTOR_BYTES / (int)sizeof(double), PARTS = LANES / LANES_WIDTH };
typedef double Lanes __attribute__((vector_size(VECTOR_BYTES)));
typedef real LanesReal __attribute__((vector_size(LANES_WIDTH * sizeof(real))));

/* Part p of LANES elements from x on. */
INLINE LanesReal lanes_load(const real *x, int p) {
  LanesReal v;
  memcpy(&v, x + p * LANES_WIDTH, sizeof v);
  return v;
}

INLINE Lanes lanes_of(LanesReal x) { return __builtin_convertvector(x, Lanes); }

INLINE double lanes_fold(const Lanes s[PARTS]) {
  double lane[LANES];
  memcpy(lane, s, sizeof lane);
  return fold(lane);
}

/* -- given statistics -------------------------------------------------------------- */

void KN(norm_columns)(real *y, const real *x, const real *mean, const real *scale,
                      const real *shift, int64_t M, int64_t stride, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real *to = y + i * stride;
    const real *from = x + i * stride;
#pragma omp simd
    for (int64_t c = 0; c < N; c++) to[c] = (from[c] - mean[c]) * scale[c] + shift[c];
  }
}

void KN(norm_row)(real *y, const real *x, real mean, real scale, real shift,
                  int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * scale + shift;
}

/* One group of rows: GROUP partial products at a time, then into the sums. */
static void sum_group(double *restrict sum, const real *restrict gy,
                      const real *restrict x, const real *restrict mean, int64_t stride,
                      int64_t N) {
  double *restrict moment = sum + N;
  const real *g0 = gy, *g1 = gy + stride, *g2 = g1 + stride, *g3 = g2 + stride;
  const real *x0 = x, *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride;
  for (int64_t c = 0; c < N; c++) {
    sum[c] += ((double)g0[c] + (double)g1[c]) + ((double)g2[c] + (double)g3[c]);
    moment[c] +=
        ((double)(g0[c] * (x0[c] - mean[c])) + (double)(g1[c] * (x1[c] - mean[c]))) +
        ((double)(g2[c] * (x2[c] - mean[c])) + (double)(g3[c] * (x3[c] - mean[c])));
  }
}

void KN(norm_grad_sum_columns)(double *sum, const real *gy, const real *x,
                               const real *mean, int64_t M, int64_t stride, int64_t N) {
  int64_t i = 0;
  for (; i + GROUP <= M; i += GROUP)
    sum_group(sum, gy + i * stride, x + i * stride, mean, stride, N);
  for (; i < M; i++) {
    const real *g = gy + i * stride, *from = x + i * stride;
    for (int64_t c = 0; c < N; c++) {
      sum[c] += (double)g[c];
      sum[N + c] += (double)(g[c] * (from[c] - mean[c]));
    }
  }
}

void KN(norm_grad_sum_row)(double *sum, const real *gy, const real *x, real mean,
                           int64_t n) {
  Lanes s[PARTS] = {{0}}, moment[PARTS] = {{0}};
  double tail[2] = {0, 0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    UNROLL
    for (int p = 0; p < PARTS; p++) {
      LanesReal g = lanes_load(gy + i, p), from = lanes_load(x + i, p);
      s[p] += lanes_of(g);
      moment[p] += lanes_of(g * (from - mean));
    }
  }
  for (; i < n; i++) {
    tail[0] += (double)gy[i];
    tail[1] += (double)(gy[i] * (x[i] - mean));
  }
  sum[0] += lanes_fold(s) + tail[0];
  sum[1] += lanes_fold(moment) + tail[1];
}

void KN(norm_grad_columns)(real *gx, const real *gy, const real *x, const real *mean,
                           const real *scale, const real *offset, const real *slope,
                           int64_t M, int64_t stride, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real *to = gx + i * stride;
    const real *g = gy + i * stride, *from = x + i * stride;
#pragma omp simd
    for (int64_t c = 0; c < N; c++)
      to[c] = scale[c] * (g[c] - offset[c] - (from[c] - mean[c]) * slope[c]);
  }
}

void KN(norm_grad_row)(real *gx, const real *gy, const real *x, real mean, real scale,
                       real offset, real slope, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    gx[i] = scale * (gy[i] - offset - (x[i] - mean) * slope);
}

/* -- layer norm -------------------------------------------------------------------- */

static double row_sum(const real *x, int64_t n) {
  Lanes s[PARTS] = {{0}};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    UNROLL
    for (int p = 0; p < PARTS; p++) s[p] += lanes_of(lanes_load(x + i, p));
  }
  double tail = 0;
  for (; i < n; i++) tail += (double)x[i];
  return lanes_fold(s) + tail;
}

static double row_squares(const real *x, double mean, int64_t n) {
  Lanes s[PARTS] = {{0}};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    UNROLL
    for (int p = 0; p < PARTS; p++) {
      Lanes d = lanes_of(lanes_load(x + i, p)) - mean;
      s[p] += d * d;
    }
  }
  double tail = 0;
  for (; i < n; i++) {
    double d = (double)x[i] - mean;
    tail += d * d;
  }
  return lanes_fold(s) + tail;
}

/* sqrt(var + eps) of a row. A variance that is not finite may only be beyond what holds
 * it: its root is not, so it is computed in the widest type that there is. */
static double row_std(double var, const real *x, double mean, int64_t n, double eps) {
  if (isfinite(var)) return sqrt(var + eps);
  long double s = 0;
  for (int64_t i = 0; i < n; i++) {
    long double d = (long double)x[i] - mean;
    s += d * d;
  }
  return (double)sqrtl(s / (long double)n + eps);
}

/* y = (x - centre) scale w + b in one pass; w and b may be missing. */
static void centred_row(real *y, const real *x, real centre, real scale, const real *w,
                        const real *b, int64_t C) {
  if (w && b)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[c] = (x[c] - centre) * scale * w[c] + b[c];
  else if (w)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[c] = (x[c] - centre) * scale * w[c];
  else if (b)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[c] = (x[c] - centre) * scale + b[c];
  else
#pragma omp simd
    for (int64_t c = 0; c < C; c++) y[c] = (x[c] - centre) * scale;
}

void KN(layer_norm_rows)(real *y, real *mean, real *var, const real *x, const real *w,
                         const real *b, int64_t N, int64_t C, double eps) {
  for (int64_t i = 0; i < N; i++) {
    const real *from = x + i * C;
    real *to = y + i * C;
    const double m = row_sum(from, C) / (double)C;
    const double v = row_squares(from, m, C) / (double)C;
    const real centre = (real)m, scale = (real)(1 / row_std(v, from, m, C, eps));
    mean[i] = centre;
    var[i] = (real)v;
    centred_row(to, from, centre, scale, w, b, C);
  }
}

/* The weighted gradient h = gy w, and of it sum[0] = sum h, sum[1] = sum h (x -
 * mean). */
static void row_moments(double sum[2], real *h, const real *gy, const real *x,
                        const real *w, real mean, int64_t C) {
  if (w)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) h[c] = gy[c] * w[c];
  else
#pragma omp simd
    for (int64_t c = 0; c < C; c++) h[c] = gy[c];
  sum[0] = sum[1] = 0;
  KN(norm_grad_sum_row)(sum, h, x, mean, C);
}

/* sum[c] += sum gy and sum[C + c] += sum gy xhat over `rows` of at most GROUP rows. */
static void weight_sums(double *restrict sum, const real *restrict gy,
                        const real *restrict x, const real *mean, const real *scale,
                        int64_t rows, int64_t C) {
  double *restrict moment = sum + C;
  if (rows == GROUP) {
    const real *g0 = gy, *g1 = gy + C, *g2 = g1 + C, *g3 = g2 + C;
    const real *x0 = x, *x1 = x + C, *x2 = x1 + C, *x3 = x2 + C;
    const real m0 = mean[0], m1 = mean[1], m2 = mean[2], m3 = mean[3];
    const real s0 = scale[0], s1 = scale[1], s2 = scale[2], s3 = scale[3];
    for (int64_t c = 0; c < C; c++) {
      sum[c] += ((double)g0[c] + (double)g1[c]) + ((double)g2[c] + (double)g3[c]);
      moment[c] += ((double)(g0[c] * ((x0[c] - m0) * s0)) +
                    (double)(g1[c] * ((x1[c] - m1) * s1))) +
                   ((double)(g2[c] * ((x2[c] - m2) * s2)) +
                    (double)(g3[c] * ((x3[c] - m3) * s3)));
    }
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < C; c++) {
      sum[c] += (double)gy[i * C + c];
      moment[c] += (double)(gy[i * C + c] * ((x[i * C + c] - mean[i]) * scale[i]));
    }
}

/* gx of one row; returns its 1 / sqrt(var + eps). */
static real grad_row(real *gx, const real *gy, const real *x, real mean, real var,
                     const real *w, int64_t C, double eps) {
  const double istd = 1 / row_std((double)var, x, (double)mean, C, eps);
  double sum[2];
  row_moments(sum, gx, gy, x, w, mean, C);
  KN(norm_grad_row)
  (gx, gx, x, mean, (real)istd, (real)(sum[0] / (double)C),
   (real)(sum[1] * istd * istd / (double)C), C);
  return (real)istd;
}

void KN(layer_norm_grad_rows)(real *gx, double *sum, const real *gy, const real *x,
                              const real *mean, const real *var, const real *w,
                              int64_t N, int64_t C, double eps) {
  for (int64_t i = 0; i < N; i += GROUP) {
    const int64_t rows = N - i < GROUP ? N - i : GROUP;
    real scale[GROUP] = {0};
    for (int64_t r = 0; r < rows; r++) {
      const int64_t at = (i + r) * C;
      scale[r] = grad_row(gx + at, gy + at, x + at, mean[i + r], var[i + r], w, C, eps);
    }
    weight_sums(sum, gy + i * C, x + i * C, mean + i, scale, rows, C);
  }
}
