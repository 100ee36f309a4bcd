/* conv_winograd.c: images to tiles and back, for convolutions with fewer products
 * (kernel/conv_winograd.c, which has the matrices).
 *
 * Lanes are neighbouring tiles of a row of them. Where a row of tiles is shorter than a
 * vector, elements behind it are written, too: rows are written in order, and the last
 * has room behind it. Else the last vector begins earlier, and has the same numbers
 * where the one before it ends. So no number depends on the width of vectors. */
#include "kernel/kernel.h"
#include "kernel/vector/vector.h"

enum { MOST = WINOGRAD_POINTS };

/* Where the vector with tile j of a row begins. */
static int64_t begins_at(int64_t j, int64_t columns) {
  return columns < WIDTH ? 0 : least(j, columns - WIDTH);
}

/* -- of a side of a tile ----------------------------------------------------------- */

/* What the pixels, as many as points, are at them. Of six, the points but 2, -1/2 and
 * infinity share the factor q of their polynomials, x x - 3/2 x - 1; and 0, 1, -1 and
 * infinity u. */
INLINE void to_points(Vector *v, const Vector *d, int points) {
  if (points == 4) {
    v[0] = d[0] - d[2];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
    return;
  }
  Vector q[4], u[2];
  UNROLL
  for (int i = 0; i < 4; i++) q[i] = muladd((real)-1.5, d[i + 1], d[i + 2] - d[i]);
  UNROLL
  for (int i = 0; i < 2; i++) u[i] = d[i + 3] - d[i + 1];
  v[0] = q[2] - q[0];
  v[1] = q[2] + q[1];
  v[2] = q[2] - q[1];
  v[3] = muladd((real)0.5, u[0], u[1]);
  v[4] = muladd(-2, u[0], u[1]);
  v[5] = q[3] - q[1];
}

/* The two results of the products at all points. */
INLINE void from_points(Vector y[2], const Vector *m, int points) {
  y[0] = m[0] + (m[1] + m[2]);
  y[1] = m[1] - m[2] + m[points - 1];
  if (points == 4) return;
  y[0] += m[3] + m[4];
  y[1] += muladd((real)-0.5, m[4], m[3] + m[3]);
}

/* What the gradients of two results are at all points. */
INLINE void spread(Vector *v, Vector first, Vector second, int points) {
  v[0] = first;
  v[1] = first + second;
  v[2] = first - second;
  v[points - 1] = second;
  if (points == 4) return;
  v[3] = muladd(2, second, first);
  v[4] = muladd((real)-0.5, second, first);
}

/* Every point has lines of its own, and stores would wait for them: asks for those of n
 * tiles at the points of column j, if there is one, while other work is done. */
INLINE void fetch_points(const real *to, int64_t point, int64_t n, int j, int points) {
  enum { LINE = 64 / (int)sizeof(real) };
  if (j == points) return;
  for (int k = 0; k < points; k++)
    for (int64_t i = 0; i < n; i += LINE)
      __builtin_prefetch(to + (k * points + j) * point + i, 1, 3);
}

/* -- pixels to points -------------------------------------------------------------- */

/* A row of pixels: WIDTH tiles, of which each begins two pixels behind the one before.
 */
INLINE void row_to_points(Vector *v, const real *x, int points) {
  Vector d[MOST];
  UNROLL
  for (int k = 0; k < points; k += 2) load_pairs(x + k, &d[k], &d[k + 1]);
  to_points(v, d, points);
}

/* Of each point along rows, rows of even numbers, then those of odd ones. */
INLINE void take_tiles(real *to, int64_t point, const real *x, int64_t pitch,
                       int64_t rows, int64_t columns, real *half, int points) {
  int64_t n = rows * columns, n_rows = 2 * rows + points - 2;
  int64_t line = n_rows / 2 * columns + WINOGRAD_SLACK;
  fetch_points(to, point, n, 0, points);
  for (int64_t i = 0; i < n_rows; i++)
    for (int64_t j = 0; j < columns; j += WIDTH) {
      int64_t at = begins_at(j, columns);
      Vector v[MOST];
      row_to_points(v, x + i * pitch + 2 * at, points);
      UNROLL
      for (int k = 0; k < points; k++)
        store(half + (2 * k + i % 2) * line + i / 2 * columns + at, v[k]);
    }
  for (int j = 0; j < points; j++, half += 2 * line) {
    fetch_points(to, point, n, j + 1, points);
    for (int64_t i = 0; i < n; i += WIDTH) {
      int64_t at = begins_at(i, n);
      Vector d[MOST], v[MOST];
      UNROLL
      for (int k = 0; k < points; k++)
        d[k] = load(half + k % 2 * line + k / 2 * columns + at);
      to_points(v, d, points);
      UNROLL
      for (int k = 0; k < points; k++) store(to + (k * points + j) * point + at, v[k]);
    }
  }
}

void KN(winograd_take)(real *to, int64_t point, const real *x, int64_t pitch,
                       int64_t rows, int64_t columns, real *half, int points) {
  if (points == 4) take_tiles(to, point, x, pitch, rows, columns, half, 4);
  else take_tiles(to, point, x, pitch, rows, columns, half, MOST);
}

/* -- gradients of pixels to points ------------------------------------------------- */

INLINE void spread_tiles(real *to, int64_t point, const real *gy, int64_t pitch,
                         int64_t n, real *half, int points) {
  int64_t line = n + WINOGRAD_SLACK;
  fetch_points(to, point, n, 0, points);
  for (int64_t i = 0; i < n; i += WIDTH) {
    int64_t at = begins_at(i, n);
    UNROLL
    for (int k = 0; k < 2; k++) {
      Vector first, second, v[MOST];
      load_pairs(gy + k * pitch + 2 * at, &first, &second);
      spread(v, first, second, points);
      UNROLL
      for (int j = 0; j < points; j++) store(half + (2 * j + k) * line + at, v[j]);
    }
  }
  for (int j = 0; j < points; j++, half += 2 * line) {
    fetch_points(to, point, n, j + 1, points);
    for (int64_t i = 0; i < n; i += WIDTH) {
      int64_t at = begins_at(i, n);
      Vector v[MOST];
      spread(v, load(half + at), load(half + line + at), points);
      UNROLL
      for (int k = 0; k < points; k++) store(to + (k * points + j) * point + at, v[k]);
    }
  }
}

void KN(winograd_spread)(real *to, int64_t point, const real *gy, int64_t pitch,
                         int64_t n, real *half, int points) {
  if (points == 4) spread_tiles(to, point, gy, pitch, n, half, 4);
  else spread_tiles(to, point, gy, pitch, n, half, MOST);
}

/* -- products to results ----------------------------------------------------------- */

/* The first n of a row of 2 WIDTH pixels. */
INLINE void put_row(real *y, Vector left, Vector right, int64_t n) {
  store_first(y, left, first_of(n));
  if (n > WIDTH) store_first(y + WIDTH, right, first_of(n - WIDTH));
}

INLINE bool put_tiles(real *y, int64_t row, const real *m, int64_t point,
                      int64_t n_rows, int64_t n_columns, real *half, int points) {
  int64_t columns = divide_up(n_columns, 2), n = divide_up(n_rows, 2) * columns;
  int64_t line = n + WINOGRAD_SLACK;
  for (int j = 0; j < points; j++)
    for (int64_t i = 0; i < n; i += WIDTH) {
      int64_t at = begins_at(i, n);
      Vector d[MOST], v[2];
      UNROLL
      for (int k = 0; k < points; k++) d[k] = load(m + (k * points + j) * point + at);
      from_points(v, d, points);
      store(half + j * line + at, v[0]);
      store(half + (points + j) * line + at, v[1]);
    }
  Vector zero = {0};
  for (int64_t i = 0; i < n_rows; i++, y += row)
    for (int64_t j = 0; j < columns; j += WIDTH) {
      int64_t at = begins_at(j, columns);
      const real *from = half + i % 2 * points * line + i / 2 * columns + at;
      Vector d[MOST], v[2];
      UNROLL
      for (int k = 0; k < points; k++) d[k] = load(from + k * line);
      from_points(v, d, points);
      zero += chosen(lanes_before(first_of(columns - at)), v[0] * 0 + v[1] * 0,
                     (Vector){0});
      put_row(y + 2 * at, low(v[0], v[1]), high(v[0], v[1]), n_columns - 2 * at);
    }
  real sum = 0;
  for (int l = 0; l < WIDTH; l++) sum += zero[l];
  return sum == 0;
}

bool KN(winograd_put)(real *y, int64_t row, const real *m, int64_t point,
                      int64_t n_rows, int64_t n_columns, real *half, int points) {
  if (points == 4) return put_tiles(y, row, m, point, n_rows, n_columns, half, 4);
  return put_tiles(y, row, m, point, n_rows, n_columns, half, MOST);
}
