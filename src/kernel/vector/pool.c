/* pool.c: the largest element, and the mean, of windows that move over an image of one
 * channel, and their gradients.
 *
 * A window is a rectangle, so the rows of a window are joined first, element by element
 * along a whole row of the image, then the columns of what that gave. Where windows lie
 * inside of the image, both are loops over neighbours without a branch; the few at the
 * edges go one by one. Windows of 2 x 2 that do not overlap have loops of their own:
 * pool_pairs.c.
 *
 * Of equal elements the first wins (row by row), and the first NaN wins over all. The
 * gradient looks for the winner again: that costs less than to keep where it was. Sums
 * run in double. */
#include "base/ints.h"
#include "kernel/kernel.h"
#include "kernel/vector/vmath.h"
#include <string.h>

enum { ROWS, COLUMNS };

/* Does v win over `best`, which comes before it? */
VMATH bool beats(real v, real best) { return (v > best) | ((v != v) & (best == best)); }
VMATH real winner(real v, real best) { return beats(v, best) ? v : best; }

/* The positions along the columns whose windows are whole. */
typedef struct Inner {
  int64_t first, end;
} Inner;

static Inner inner_positions(const PoolPlane *v) {
  if (v->adaptive) return (Inner){0, 0};
  int64_t stride = v->stride[COLUMNS], before = v->before[COLUMNS];
  int64_t reach = (v->kernel[COLUMNS] - 1) * v->dilation[COLUMNS];
  int64_t first = divide_up(before, stride), last = v->n[COLUMNS] - 1 - reach + before;
  int64_t end = last < 0 ? 0 : least(last / stride + 1, v->size[COLUMNS]);
  return (Inner){first, most(first, end)};
}

/* Position q, but for the first of those the next behind them. */
static int64_t not_inner(const Inner *inner, int64_t q) {
  return q == inner->first ? inner->end : q;
}

/* Windows of 2 x 2, two apart, all of them inside. */
static bool is_plain(const PoolPlane *v) {
  bool plain = !v->adaptive;
  for (int i = 0; i < 2; i++)
    plain = plain && v->kernel[i] == 2 && v->stride[i] == 2 && v->before[i] == 0 &&
            v->dilation[i] == 1 && 2 * v->size[i] <= v->n[i];
  return plain;
}

/* -- the largest ------------------------------------------------------------------- */

static void max_of_rows(real *restrict to, const real *restrict x, const PoolWindow *w,
                        int64_t W) {
  memcpy(to, x + w->first * W, (size_t)W * sizeof *to);
  for (int64_t r = 1; r < w->n; r++) {
    const real *from = x + (w->first + r * w->step) * W;
#pragma omp simd
    for (int64_t i = 0; i < W; i++) to[i] = winner(from[i], to[i]);
  }
}

/* y[q] = the largest of the `n` elements row[q stride + s step]. */
VMATH void max_strided(real *restrict y, const real *restrict row, int64_t Q,
                       int64_t stride, int64_t n, int64_t step) {
  for (int64_t q = 0; q < Q; q++) y[q] = row[q * stride];
  for (int64_t s = 1; s < n; s++) {
    const real *from = row + s * step;
    for (int64_t q = 0; q < Q; q++) y[q] = winner(from[q * stride], y[q]);
  }
}

static void max_inside(real *y, const real *row, const PoolPlane *v, int64_t Q) {
  int64_t stride = v->stride[COLUMNS], n = v->kernel[COLUMNS],
          step = v->dilation[COLUMNS];
  if (stride == 1) max_strided(y, row, Q, 1, n, step);
  else if (stride == 2) max_strided(y, row, Q, 2, n, step);
  else max_strided(y, row, Q, stride, n, step);
}

static real max_at(const real *row, const PoolWindow *w) {
  real best = row[w->first];
  for (int64_t s = 1; s < w->n; s++) best = winner(row[w->first + s * w->step], best);
  return best;
}

void KN(pool_max)(real *y, const real *x, const PoolPlane *v, real *row) {
  if (is_plain(v)) {
    KN(pool_max_pairs)(y, x, v->n[COLUMNS], v->size[ROWS], v->size[COLUMNS]);
    return;
  }
  int64_t W = v->n[COLUMNS], Q = v->size[COLUMNS];
  Inner inner = inner_positions(v);
  for (int64_t p = 0; p < v->size[ROWS]; p++, y += Q) {
    PoolWindow rows = pool_window(v, ROWS, p);
    max_of_rows(row, x, &rows, W);
    if (inner.end > inner.first)
      max_inside(y + inner.first,
                 row + inner.first * v->stride[COLUMNS] - v->before[COLUMNS], v,
                 inner.end - inner.first);
    for (int64_t q = not_inner(&inner, 0); q < Q; q = not_inner(&inner, q + 1)) {
      PoolWindow columns = pool_window(v, COLUMNS, q);
      y[q] = max_at(row, &columns);
    }
  }
}

/* -- where it is ------------------------------------------------------------------- */

/* best[q], at[q]: the largest of the windows of whole rows `rows`, and its place in x;
 * the first of each window is row[q stride]. */
VMATH void find_strided(real *restrict best, int32_t *restrict at,
                        const real *restrict x, const PoolWindow *rows, int64_t W,
                        int64_t first, int64_t Q, int64_t stride, int64_t n,
                        int64_t step) {
  int32_t begin = (int32_t)(rows->first * W + first), by = (int32_t)stride;
  for (int64_t q = 0; q < Q; q++) best[q] = x[begin + q * stride];
  for (int32_t q = 0; q < (int32_t)Q; q++) at[q] = begin + q * by;
  for (int64_t r = 0; r < rows->n; r++)
    for (int64_t s = r ? 0 : 1; s < n; s++) {
      int32_t from = (int32_t)((rows->first + r * rows->step) * W + first + s * step);
      for (int32_t q = 0; q < (int32_t)Q; q++) {
        real value = x[from + q * by];
        bool wins = beats(value, best[q]);
        best[q] = wins ? value : best[q];
        at[q] = wins ? from + q * by : at[q];
      }
    }
}

static void find_inside(real *best, int32_t *at, const real *x, const PoolWindow *rows,
                        const PoolPlane *v, const Inner *inner) {
  int64_t W = v->n[COLUMNS], stride = v->stride[COLUMNS], n = v->kernel[COLUMNS];
  int64_t step = v->dilation[COLUMNS], Q = inner->end - inner->first;
  int64_t first = inner->first * stride - v->before[COLUMNS];
  if (stride == 1) find_strided(best, at, x, rows, W, first, Q, 1, n, step);
  else if (stride == 2) find_strided(best, at, x, rows, W, first, Q, 2, n, step);
  else find_strided(best, at, x, rows, W, first, Q, stride, n, step);
}

static int32_t find_at(const real *x, const PoolWindow *rows, const PoolWindow *columns,
                       int64_t W) {
  int64_t at = rows->first * W + columns->first;
  for (int64_t r = 0; r < rows->n; r++)
    for (int64_t s = 0; s < columns->n; s++) {
      int64_t here = (rows->first + r * rows->step) * W + columns->first +
                     s * columns->step;
      if (beats(x[here], x[at])) at = here;
    }
  return (int32_t)at;
}

/* at[q]: where in x the largest element of each window of row p of the positions is. */
static void find_row(int32_t *at, const real *x, const PoolPlane *v, int64_t p,
                     real *best) {
  Inner inner = inner_positions(v);
  int64_t Q = v->size[COLUMNS];
  PoolWindow rows = pool_window(v, ROWS, p);
  if (inner.end > inner.first) find_inside(best, at + inner.first, x, &rows, v, &inner);
  for (int64_t q = not_inner(&inner, 0); q < Q; q = not_inner(&inner, q + 1)) {
    PoolWindow columns = pool_window(v, COLUMNS, q);
    at[q] = find_at(x, &rows, &columns, v->n[COLUMNS]);
  }
}

VMATH bool counts(const PoolPlane *v, real largest) {
  return !v->positive || largest > 0;
}

void KN(pool_max_grad)(real *gx, const real *x, const real *gy, const PoolPlane *v,
                       real *row, int32_t *at) {
  if (is_plain(v)) {
    int64_t W = v->n[COLUMNS], P = v->size[ROWS], rest = v->n[ROWS] - 2 * P;
    KN(pool_max_grad_pairs)(gx, x, gy, W, P, v->size[COLUMNS], v->positive);
    memset(gx + 2 * P * W, 0, (size_t)(rest * W) * sizeof *gx);
    return;
  }
  int64_t Q = v->size[COLUMNS];
  memset(gx, 0, (size_t)(v->n[ROWS] * v->n[COLUMNS]) * sizeof *gx);
  for (int64_t p = 0; p < v->size[ROWS]; p++, gy += Q) {
    find_row(at, x, v, p, row);
    for (int64_t q = 0; q < Q; q++)
      if (counts(v, x[at[q]])) gx[at[q]] += gy[q];
  }
}

void KN(pool_max_pick)(real *y, const real *x, const real *z, const PoolPlane *v,
                       real *row, int32_t *at) {
  int64_t Q = v->size[COLUMNS];
  for (int64_t p = 0; p < v->size[ROWS]; p++, y += Q) {
    find_row(at, x, v, p, row);
    for (int64_t q = 0; q < Q; q++) y[q] = counts(v, x[at[q]]) ? z[at[q]] : 0;
  }
}

/* -- the mean ---------------------------------------------------------------------- */

static double divisor_of(const PoolPlane *v, const PoolWindow *rows,
                         const PoolWindow *columns) {
  if (v->divisor == POOL_SUM) return 1;
  return (double)rows->counted * (double)columns->counted;
}

static void sum_of_rows(double *restrict to, const real *restrict x,
                        const PoolWindow *w, int64_t W) {
  for (int64_t i = 0; i < W; i++) to[i] = (double)x[w->first * W + i];
  for (int64_t r = 1; r < w->n; r++) {
    const real *from = x + (w->first + r * w->step) * W;
    for (int64_t i = 0; i < W; i++) to[i] += (double)from[i];
  }
}

static double sum_at(const double *row, const PoolWindow *w) {
  double sum = 0;
  for (int64_t s = 0; s < w->n; s++) sum += row[w->first + s * w->step];
  return sum;
}

/* y[q] = the sum of the `n` elements row[q stride + s step], times `factor`. */
VMATH void sum_strided(real *restrict y, const double *restrict row, int64_t Q,
                       int64_t stride, int64_t n, int64_t step, double factor) {
  for (int64_t q = 0; q < Q; q++) {
    double sum = row[q * stride];
    for (int64_t s = 1; s < n; s++) sum += row[q * stride + s * step];
    y[q] = (real)(sum * factor);
  }
}

static void sum_inside(real *y, const double *row, const PoolPlane *v, int64_t Q,
                       double factor) {
  int64_t stride = v->stride[COLUMNS], n = v->kernel[COLUMNS],
          step = v->dilation[COLUMNS];
  if (stride == 1 && n == 1) sum_strided(y, row, Q, 1, 1, step, factor);
  else if (stride == 2 && n == 2 && step == 1) sum_strided(y, row, Q, 2, 2, 1, factor);
  else sum_strided(y, row, Q, stride, n, step, factor);
}

void KN(pool_mean)(real *y, const real *x, const PoolPlane *v, double *row) {
  int64_t W = v->n[COLUMNS], Q = v->size[COLUMNS];
  Inner inner = inner_positions(v);
  for (int64_t p = 0; p < v->size[ROWS]; p++, y += Q) {
    PoolWindow rows = pool_window(v, ROWS, p);
    sum_of_rows(row, x, &rows, W);
    if (inner.end > inner.first) {
      PoolWindow columns = pool_window(v, COLUMNS, inner.first);
      sum_inside(y + inner.first, row + columns.first, v, inner.end - inner.first,
                 1 / divisor_of(v, &rows, &columns));
    }
    for (int64_t q = not_inner(&inner, 0); q < Q; q = not_inner(&inner, q + 1)) {
      PoolWindow columns = pool_window(v, COLUMNS, q);
      y[q] = (real)(sum_at(row, &columns) / divisor_of(v, &rows, &columns));
    }
  }
}

/* row[q stride + s step] += gy[q] factor, for the `n` columns of each window. */
VMATH void spread_strided(double *restrict row, const real *restrict gy, int64_t Q,
                          int64_t stride, int64_t n, int64_t step, double factor) {
  for (int64_t s = 0; s < n; s++)
    for (int64_t q = 0; q < Q; q++)
      row[q * stride + s * step] += (double)gy[q] * factor;
}

static void spread_inside(double *row, const real *gy, const PoolPlane *v, int64_t Q,
                          double factor) {
  int64_t stride = v->stride[COLUMNS], n = v->kernel[COLUMNS],
          step = v->dilation[COLUMNS];
  if (stride == 1) spread_strided(row, gy, Q, 1, n, step, factor);
  else spread_strided(row, gy, Q, stride, n, step, factor);
}

/* What each column of a window of these rows gets: gy over the divisor, summed where
 * windows overlap. */
static void spread_row(double *row, const real *gy, const PoolPlane *v,
                       const PoolWindow *rows) {
  Inner inner = inner_positions(v);
  int64_t Q = v->size[COLUMNS];
  memset(row, 0, (size_t)v->n[COLUMNS] * sizeof *row);
  if (inner.end > inner.first) {
    PoolWindow columns = pool_window(v, COLUMNS, inner.first);
    spread_inside(row + columns.first, gy + inner.first, v, inner.end - inner.first,
                  1 / divisor_of(v, rows, &columns));
  }
  for (int64_t q = not_inner(&inner, 0); q < Q; q = not_inner(&inner, q + 1)) {
    PoolWindow columns = pool_window(v, COLUMNS, q);
    double share = (double)gy[q] / divisor_of(v, rows, &columns);
    for (int64_t s = 0; s < columns.n; s++)
      row[columns.first + s * columns.step] += share;
  }
}

void KN(pool_mean_grad)(real *gx, const real *gy, const PoolPlane *v, double *row) {
  int64_t W = v->n[COLUMNS], Q = v->size[COLUMNS];
  memset(gx, 0, (size_t)(v->n[ROWS] * W) * sizeof *gx);
  for (int64_t p = 0; p < v->size[ROWS]; p++, gy += Q) {
    PoolWindow rows = pool_window(v, ROWS, p);
    spread_row(row, gy, v, &rows);
    for (int64_t r = 0; r < rows.n; r++) {
      real *to = gx + (rows.first + r * rows.step) * W;
#pragma omp simd
      for (int64_t i = 0; i < W; i++) to[i] = (real)((double)to[i] + row[i]);
    }
  }
}
