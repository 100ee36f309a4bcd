/* gemm.c: products of a matrix and a vector, which BLIS packs and so slows down.
 *
 * Both walk the matrix along its contiguous rows. A sum over K uses LANES partial sums in
 * real for at most CHUNK elements and adds those in double, or adds up in the order of k.
 * Lanes are indexed by constants alone, so that they stay in registers. */
#include "kernel/kernel.h"

enum { LANES = 32, CHUNK = 4096 };

static double dot_chunk(const real *restrict x, const real *restrict v, int64_t K) {
  real lane[LANES] = {0};
  int64_t k = 0;
  for (; k + LANES <= K; k += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += x[k + l] * v[k + l];
  double half[LANES / 2], sum = 0;
  for (int l = 0; l < LANES / 2; l++)
    half[l] = (double)lane[l] + (double)lane[l + LANES / 2];
  for (int l = 0; l < LANES / 4; l++) half[l] += half[l + LANES / 4];
  for (int l = 0; l < LANES / 4; l++) sum += half[l];
  for (; k < K; k++) sum += (double)(x[k] * v[k]);
  return sum;
}

void KN(gemv_rows)(real *y, const real *x, const real *v, int64_t n, int64_t K,
                   int64_t stride) {
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t k = 0; k < K; k += CHUNK)
      sum += dot_chunk(x + i * stride + k, v + k, K - k < CHUNK ? K - k : CHUNK);
    y[i] = (real)sum;
  }
}

/* LANES columns at a time stay in registers over all of K. */
static void columns_full(real *restrict y, const real *restrict x,
                         const real *restrict v, int64_t K, int64_t stride) {
  real sum[LANES] = {0};
  for (int64_t k = 0; k < K; k++)
    for (int l = 0; l < LANES; l++) sum[l] += v[k] * x[k * stride + l];
  for (int l = 0; l < LANES; l++) y[l] = sum[l];
}

void KN(gemv_columns)(real *y, const real *x, const real *v, int64_t n, int64_t K,
                      int64_t stride) {
  int64_t j = 0;
  for (; j + LANES <= n; j += LANES) columns_full(y + j, x + j, v, K, stride);
  for (; j < n; j++) {
    real sum = 0;
    for (int64_t k = 0; k < K; k++) sum += v[k] * x[k * stride + j];
    y[j] = sum;
  }
}
