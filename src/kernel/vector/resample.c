/* resample.c: images of another size: each pixel is a mean of two rows of two columns,
 * by their parts. First the two rows are joined along a whole row of the image, then
 * the columns. A pixel whose part is 0 has no share, whatever it holds. */
#include "kernel/kernel.h"
#include "kernel/vector/vmath.h"
#include <string.h>

VMATH real mixed(real low, real high, real part) {
  real both = low * (1 - part) + high * part;
  return part == 0 ? low : both;
}

void KN(resample)(real *y, const real *x, const ResampleTap *rows,
                  const ResampleTap *columns, int64_t P, int64_t Q, int64_t W,
                  real *row) {
  for (int64_t p = 0; p < P; p++, y += Q) {
    const real *low = x + rows[p].low * W, *high = x + rows[p].high * W;
    const real part = rows[p].part;
    if (part == 0) memcpy(row, low, (size_t)W * sizeof *row);
    else
#pragma omp simd
      for (int64_t i = 0; i < W; i++) row[i] = low[i] * (1 - part) + high[i] * part;
    for (int64_t q = 0; q < Q; q++)
      y[q] = mixed(row[columns[q].low], row[columns[q].high], columns[q].part);
  }
}

static void add_row(real *to, const real *row, real part, int64_t W) {
  if (part == 0) return;
#pragma omp simd
  for (int64_t i = 0; i < W; i++) to[i] += row[i] * part;
}

void KN(resample_grad)(real *gx, const real *gy, const ResampleTap *rows,
                       const ResampleTap *columns, int64_t P, int64_t Q, int64_t W,
                       real *row) {
  for (int64_t p = 0; p < P; p++, gy += Q) {
    memset(row, 0, (size_t)W * sizeof *row);
    for (int64_t q = 0; q < Q; q++) {
      row[columns[q].low] += gy[q] * (1 - columns[q].part);
      if (columns[q].part != 0) row[columns[q].high] += gy[q] * columns[q].part;
    }
    add_row(gx + rows[p].low * W, row, 1 - rows[p].part, W);
    add_row(gx + rows[p].high * W, row, rows[p].part, W);
  }
}
