/* pool_pairs.c: the largest of windows of 2 x 2 that do not overlap, and its gradient:
 * by far the most frequent pooling. Vectors of even and odd columns of two rows.
 *
 * Of equal elements the first wins (row by row), and the first NaN wins over all, as in
 * pool.c. The last vector of a row begins where it ends with the row, where a row is as
 * long as one: what is written twice is the same. A shorter row is taken as a whole
 * vector, too, where the image goes on that far: what is written behind its end is of
 * rows that have their turn later. */
#include "kernel/kernel.h"
#include "kernel/vector/vector.h"

INLINE Mask is_nan(Vector v) {
  Vector same = v;
  return (Mask)(v != same);
}

/* Does v win over `best`, which comes before it? It does where it is not at most that:
 * larger, or NaN. */
INLINE Mask beats(Vector v, Vector best) { return ~((Mask)(v <= best) | is_nan(best)); }

/* n pairs of neighbours, at most a vector of them. */
INLINE void load_some_pairs(const real *x, int n, Vector *even, Vector *odd) {
  if (n == WIDTH) {
    load_pairs(x, even, odd);
    return;
  }
  Vector a = load_part(x, first_of(2 * n)), b = {0};
  if (2 * n > WIDTH) b = load_part(x + WIDTH, 2 * n - WIDTH);
  *even = evens(a, b);
  *odd = odds(a, b);
}

INLINE void store_pairs(real *x, int n, Vector even, Vector odd) {
  store_first(x, low(even, odd), first_of(2 * n));
  if (2 * n > WIDTH) store_first(x + WIDTH, high(even, odd), 2 * n - WIDTH);
}

INLINE void max_of(real *y, const real *up, const real *below, int n) {
  Vector a, b, c, d;
  load_some_pairs(up, n, &a, &b);
  load_some_pairs(below, n, &c, &d);
  Vector best_up = chosen(beats(b, a), b, a), best = chosen(beats(d, c), d, c);
  store_first(y, chosen(beats(best, best_up), best, best_up), n);
}

/* How many windows of a row shorter than a vector are computed at once, where n_rows
 * rows of Q windows are left of the image. */
INLINE int at_once(int64_t n_rows, int64_t Q, int64_t W) {
  bool whole = n_rows * Q >= WIDTH && (2 * n_rows - 1) * W >= 2 * WIDTH;
  return whole ? WIDTH : (int)Q;
}

void KN(pool_max_pairs)(real *y, const real *x, int64_t W, int64_t P, int64_t Q) {
  for (int64_t p = 0; p < P; p++, y += Q, x += 2 * W) {
    int64_t q = 0;
    for (; q + WIDTH <= Q; q += WIDTH) max_of(y + q, x + 2 * q, x + W + 2 * q, WIDTH);
    if (q == Q) continue;
    q = Q < WIDTH ? 0 : Q - WIDTH;
    max_of(y + q, x + 2 * q, x + W + 2 * q, Q < WIDTH ? at_once(P - p, Q, W) : WIDTH);
  }
}

INLINE void grad_of(real *g_up, real *g_below, const real *up, const real *below,
                    const real *gy, int n, bool positive) {
  Vector a, b, c, d, zero = {0}, g = n == WIDTH ? load(gy) : load_part(gy, n);
  load_some_pairs(up, n, &a, &b);
  load_some_pairs(below, n, &c, &d);
  Mask right_up = beats(b, a), right = beats(d, c);
  Vector best_up = chosen(right_up, b, a), best_below = chosen(right, d, c);
  Mask is_below = beats(best_below, best_up);
  if (positive)
    g = chosen((Mask)(chosen(is_below, best_below, best_up) > zero), g, zero);
  Vector of_up = chosen(is_below, zero, g), of_below = chosen(is_below, g, zero);
  store_pairs(g_up, n, chosen(right_up, zero, of_up), chosen(right_up, of_up, zero));
  store_pairs(g_below, n, chosen(right, zero, of_below), chosen(right, of_below, zero));
}

void KN(pool_max_grad_pairs)(real *gx, const real *x, const real *gy, int64_t W,
                             int64_t P, int64_t Q, bool positive) {
  for (int64_t p = 0; p < P; p++, gy += Q, x += 2 * W, gx += 2 * W) {
    int n = Q < WIDTH ? at_once(P - p, Q, W) : WIDTH;
    if (n < WIDTH) grad_of(gx, gx + W, x, x + W, gy, n, positive);
    for (int64_t q = 0; q < Q && n == WIDTH; q += WIDTH) {
      int64_t at = q + WIDTH > Q && Q >= WIDTH ? Q - WIDTH : q;
      grad_of(gx + 2 * at, gx + W + 2 * at, x + 2 * at, x + W + 2 * at, gy + at, WIDTH,
              positive);
    }
    for (int64_t i = 2 * Q; i < W; i++) gx[i] = gx[W + i] = 0;
  }
}
