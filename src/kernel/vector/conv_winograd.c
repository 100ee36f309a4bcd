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

/* -- pixels to points -------------------------------------------------------------- */

/* A row of pixels: WIDTH tiles, of which each begins two pixels behind the one before.
 */
INLINE void row_to_points(Vector *v, const real *x, int points) {
  Vector d[MOST];
  UNROLL
  for (int k = 0; k < points; k += 2) load_pairs(x + k, &d[k], &d[k + 1]);
  to_points(v, d, points);
}

/* Columns of tiles, from the top down: the rows of the tile at hand go around. */
INLINE void take_columns(real *to, int64_t point, const real *x, int64_t pitch,
                         int64_t rows, int64_t columns, int points) {
  Vector seen[MOST][MOST];
  for (int k = 0; k < points - 2; k++) row_to_points(seen[k], x + k * pitch, points);
  for (int64_t i = 0; i < rows; i++) {
    int64_t top = 2 * i % points;
    for (int k = points - 2; k < points; k++)
      row_to_points(seen[(top + k) % points], x + (2 * i + k) * pitch, points);
    for (int j = 0; j < points; j++) {
      Vector d[MOST], v[MOST];
      UNROLL
      for (int k = 0; k < points; k++) d[k] = seen[(top + k) % points][j];
      to_points(v, d, points);
      UNROLL
      for (int k = 0; k < points; k++)
        store(to + (k * points + j) * point + i * columns, v[k]);
    }
  }
}

void KN(winograd_take)(real *to, int64_t point, const real *x, int64_t pitch,
                       int64_t rows, int64_t columns, int points) {
  for (int64_t j = 0; j < columns; j += WIDTH) {
    int64_t at = begins_at(j, columns);
    if (points == 4) take_columns(to + at, point, x + 2 * at, pitch, rows, columns, 4);
    else take_columns(to + at, point, x + 2 * at, pitch, rows, columns, MOST);
  }
}

/* -- gradients of pixels to points ------------------------------------------------- */

/* WIDTH tiles. */
INLINE void spread_tiles(real *to, int64_t point, const real *gy, int64_t pitch,
                         int points) {
  Vector row[2][MOST];
  UNROLL
  for (int k = 0; k < 2; k++) {
    Vector first, second;
    load_pairs(gy + k * pitch, &first, &second);
    spread(row[k], first, second, points);
  }
  for (int j = 0; j < points; j++) {
    Vector v[MOST];
    spread(v, row[0][j], row[1][j], points);
    UNROLL
    for (int k = 0; k < points; k++) store(to + (k * points + j) * point, v[k]);
  }
}

void KN(winograd_spread)(real *to, int64_t point, const real *gy, int64_t pitch,
                         int64_t rows, int64_t columns, int points) {
  for (int64_t i = 0; i < rows; i++, to += columns, gy += 2 * pitch)
    for (int64_t j = 0; j < columns; j += WIDTH) {
      int64_t at = begins_at(j, columns);
      if (points == 4) spread_tiles(to + at, point, gy + 2 * at, pitch, 4);
      else spread_tiles(to + at, point, gy + 2 * at, pitch, MOST);
    }
}

/* -- products to results ----------------------------------------------------------- */

/* The first n of a row of 2 WIDTH pixels. */
INLINE void put_row(real *y, Vector left, Vector right, int64_t n) {
  store_first(y, left, first_of(n));
  if (n > WIDTH) store_first(y + WIDTH, right, first_of(n - WIDTH));
}

/* WIDTH tiles: one row of pixels or two, n of them each. Adds 0 times each to `zero`.
 */
INLINE void put_tiles(real *y, int64_t row, const real *m, int64_t point, int n_rows,
                      int64_t n, Vector *zero, int points) {
  Vector half[2][MOST], v[2];
  for (int j = 0; j < points; j++) {
    Vector d[MOST];
    UNROLL
    for (int k = 0; k < points; k++) d[k] = load(m + (k * points + j) * point);
    from_points(v, d, points);
    half[0][j] = v[0];
    half[1][j] = v[1];
  }
  for (int k = 0; k < n_rows; k++, y += row) {
    from_points(v, half[k], points);
    *zero += v[0] * 0 + v[1] * 0;
    put_row(y, low(v[0], v[1]), high(v[0], v[1]), n);
  }
}

bool KN(winograd_put)(real *y, int64_t row, const real *m, int64_t point,
                      int64_t n_rows, int64_t n_columns, int points) {
  int64_t columns = divide_up(n_columns, 2);
  Vector zero = {0};
  for (int64_t i = 0; i < n_rows; i += 2, m += columns)
    for (int64_t j = 0; j < columns; j += WIDTH) {
      int64_t at = begins_at(j, columns), n = n_columns - 2 * at;
      real *to = y + i * row + 2 * at;
      int rows = (int)least(2, n_rows - i);
      if (points == 4) put_tiles(to, row, m + at, point, rows, n, &zero, 4);
      else put_tiles(to, row, m + at, point, rows, n, &zero, MOST);
    }
  real sum = 0;
  for (int l = 0; l < WIDTH; l++) sum += zero[l];
  return sum == 0;
}
