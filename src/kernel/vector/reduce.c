/* reduce.c: sums, variances, extremes, bounds and places, along rows and down columns.
 *
 * A row is n contiguous elements; columns are M rows of N elements, `stride` elements
 * apart. A state is what is known so far and is added to:
 *   sum       the sum
 *   max, min  the extreme (-inf, +inf at first); NaN wins and stays
 *   var       three planes: count n, mean m, sum of squares about the mean q
 *   norm      three planes: sums of squares by size (kernel.h)
 * For columns each plane is N doubles long. All sums run in double; the number of lanes
 * and the sizes of tiles are constants, so a result depends on the arguments alone.
 *
 * Variance: per tile in two passes (mean, then squares about it), tiles merged by
 *   d = m_b - m_a,  n = n_a + n_b, m = m_a + d n_b / n, q = q_a + q_b + d^2 n_a n_b / n
 * (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
 * sample variances", 1979). */
#include "kernel/kernel.h"
#include "base/ints.h"
#include "kernel/vector/lanes.h"
#include <string.h>

enum {
  TILE = 1024,      /* elements of a row that two passes find in the cache */
  COLUMNS = 256,    /* columns worked on at a time */
  ROWS = 32,        /* rows of a tile of columns that two passes find in the cache */
  SCAN = 64         /* elements compared before asking whether one was equal */
};

/* -- sum --------------------------------------------------------------------------- */

static inline double short_sum(const real *x, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += (double)x[i];
  return s;
}

static inline double row_sum(const real *x, int64_t n) {
  if (n < LANES) return short_sum(x, n);
  double s[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) s[j] += (double)x[i + j];
  for (int64_t j = 0; i + j < n; j++) s[j] += (double)x[i + j];
  return fold(s);
}

void KN(reduce_sum_row)(double *sum, const real *x, int64_t n) {
  *sum += row_sum(x, n);
}

/* Four rows at a time, so that the sums are loaded and stored a quarter as often. */
static inline void column_sums(double *restrict sum, const real *restrict x, int64_t M,
                               int64_t stride, int64_t N) {
  int64_t r = 0;
  for (; r + 4 <= M; r += 4) {
    const real *x0 = x + r * stride, *x1 = x0 + stride, *x2 = x1 + stride,
               *x3 = x2 + stride;
    for (int64_t c = 0; c < N; c++)
      sum[c] += ((double)x0[c] + (double)x1[c]) + ((double)x2[c] + (double)x3[c]);
  }
  for (; r < M; r++)
    for (int64_t c = 0; c < N; c++) sum[c] += (double)x[r * stride + c];
}

void KN(reduce_sum_columns)(double *sum, const real *x, int64_t M, int64_t stride,
                            int64_t N) {
  for (int64_t c = 0; c < N; c += COLUMNS)
    column_sums(sum + c, x + c, M, stride, least(N - c, COLUMNS));
}

/* -- variance ---------------------------------------------------------------------- */

static inline double row_squares(const real *x, int64_t n, double mean) {
  double s[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) {
      double d = (double)x[i + j] - mean;
      s[j] += d * d;
    }
  for (int64_t j = 0; i + j < n; j++) {
    double d = (double)x[i + j] - mean;
    s[j] += d * d;
  }
  return fold(s);
}

void KN(reduce_var_row)(double *state, const real *x, int64_t n) {
  for (int64_t i = 0; i < n; i += TILE) {
    int64_t n_tile = least(n - i, TILE);
    double n_b = (double)n_tile, n_a = state[0], total = n_a + n_b;
    double mean = row_sum(x + i, n_tile) / n_b;
    double squares = row_squares(x + i, n_tile, mean);
    double d = mean - state[1];
    state[0] = total;
    state[1] += d * (n_b / total);
    state[2] += squares + d * d * (n_a * n_b / total);
  }
}

static inline double square(double x) { return x * x; }

/* Row by row in each column, four at a time in memory. */
static inline void column_squares(double *restrict q, const real *restrict x,
                                  const double *restrict mean, int64_t M,
                                  int64_t stride, int64_t N) {
  int64_t r = 0;
  for (; r + 4 <= M; r += 4) {
    const real *x0 = x + r * stride, *x1 = x0 + stride, *x2 = x1 + stride,
               *x3 = x2 + stride;
    for (int64_t c = 0; c < N; c++)
      q[c] = (((q[c] + square((double)x0[c] - mean[c])) +
               square((double)x1[c] - mean[c])) +
              square((double)x2[c] - mean[c])) +
             square((double)x3[c] - mean[c]);
  }
  for (; r < M; r++)
    for (int64_t c = 0; c < N; c++) q[c] += square((double)x[r * stride + c] - mean[c]);
}

/* One tile of at most ROWS rows and COLUMNS columns. */
static inline void column_tile_var(double *restrict count, double *restrict mean,
                                   double *restrict squares, const real *restrict x,
                                   int64_t M, int64_t stride, int64_t N) {
  double m[COLUMNS], q[COLUMNS];
  for (int64_t c = 0; c < N; c++) m[c] = q[c] = 0;
  column_sums(m, x, M, stride, N);
  double n_b = (double)M, n_a = count[0], total = n_a + n_b;
  for (int64_t c = 0; c < N; c++) m[c] /= n_b;
  column_squares(q, x, m, M, stride, N);
  for (int64_t c = 0; c < N; c++) {
    double d = m[c] - mean[c];
    count[c] = total;
    mean[c] += d * (n_b / total);
    squares[c] += q[c] + d * d * (n_a * n_b / total);
  }
}

void KN(reduce_var_columns)(double *state, const real *x, int64_t M, int64_t stride,
                            int64_t N) {
  for (int64_t r = 0; r < M; r += ROWS)
    for (int64_t c = 0; c < N; c += COLUMNS)
      column_tile_var(state + c, state + N + c, state + 2 * N + c, x + r * stride + c,
                      least(M - r, ROWS), stride, least(N - c, COLUMNS));
}

/* -- norm -------------------------------------------------------------------------- */

/* The square of x where it belongs to the size, else 0. NaN is of middle size. */
static inline double square_of_size(double x, int size) {
#ifdef REAL_DOUBLE
  double a = x < 0 ? -x : x;
  bool small = a<NORM_TINY, large = a> NORM_HUGE;
  if (size == NORM_SMALL) return small ? (a * NORM_UP) * (a * NORM_UP) : 0;
  if (size == NORM_LARGE) return large ? (a * NORM_DOWN) * (a * NORM_DOWN) : 0;
  return (small | large) ? 0 : a * a;
#else
  return size == NORM_MIDDLE ? x * x : 0;
#endif
}

static inline double row_squares_of_size(const real *x, int64_t n, int size) {
  double s[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) s[j] += square_of_size((double)x[i + j], size);
  for (int64_t j = 0; i + j < n; j++) s[j] += square_of_size((double)x[i + j], size);
  return fold(s);
}

/* Each size by a loop of its own: of floats two do nothing. */
void KN(reduce_norm_row)(double *state, const real *x, int64_t n) {
  for (int64_t i = 0; i < n; i += TILE) {
    int64_t m = least(n - i, TILE);
    state[NORM_MIDDLE] += row_squares_of_size(x + i, m, NORM_MIDDLE);
#ifdef REAL_DOUBLE
    state[NORM_SMALL] += row_squares_of_size(x + i, m, NORM_SMALL);
    state[NORM_LARGE] += row_squares_of_size(x + i, m, NORM_LARGE);
#endif
  }
}

#ifdef REAL_DOUBLE
void KN(reduce_quick_norm_row)(double *state, const real *x, int64_t n) {
  KN(reduce_norm_row)(state, x, n);
}
#else
/* The squares of a tile, summed in floats; false: some of them may be too large or too
 * small for that. What has become 0 is, of sums that are not too small, too little to
 * matter. */
static inline bool quick_squares(double *sum, const real *x, int64_t n) {
  static const double least_sum = 1e-28, most_sum = 1e37;
  real s[2 * LANES] = {0};
  int64_t i = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES)
    for (int j = 0; j < 2 * LANES; j++) s[j] += x[i + j] * x[i + j];
  for (int64_t j = 0; i + j < n; j++) s[j] += x[i + j] * x[i + j];
  double lanes[LANES];
  for (int j = 0; j < LANES; j++) lanes[j] = (double)s[j] + (double)s[j + LANES];
  *sum = fold(lanes);
  return *sum >= least_sum && *sum <= most_sum;
}

void KN(reduce_quick_norm_row)(double *state, const real *x, int64_t n) {
  double sum;
  for (int64_t i = 0; i < n; i += TILE) {
    int64_t m = least(n - i, TILE);
    state[NORM_MIDDLE] += quick_squares(&sum, x + i, m)
                              ? sum
                              : row_squares_of_size(x + i, m, NORM_MIDDLE);
  }
}
#endif

/* One tile of at most ROWS rows and COLUMNS columns, summed before it joins: fewer
 * roundings. */
static inline void norm_tile(double *sum, const real *x, int64_t M, int64_t stride,
                             int64_t N, int size) {
  double s[COLUMNS] = {0};
  for (int64_t r = 0; r < M; r++)
    for (int64_t c = 0; c < N; c++)
      s[c] += square_of_size((double)x[r * stride + c], size);
  for (int64_t c = 0; c < N; c++) sum[c] += s[c];
}

void KN(reduce_norm_columns)(double *state, const real *x, int64_t M, int64_t stride,
                             int64_t N) {
  for (int64_t r = 0; r < M; r += ROWS)
    for (int64_t c = 0; c < N; c += COLUMNS)
      for (int size = 0; size < NORM_STATE; size++)
        norm_tile(state + size * N + c, x + r * stride + c, least(M - r, ROWS), stride,
                  least(N - c, COLUMNS), size);
}

/* -- extremes ---------------------------------------------------------------------- */

/* NaN replaces any number, and no number replaces a NaN. */
static inline real better(real best, real x, bool smallest) {
  return ((smallest ? x < best : x > best) | (x != x)) ? x : best;
}

static inline real row_extreme(real best, const real *x, int64_t n, bool smallest) {
  real s[2 * LANES];
  for (int j = 0; j < 2 * LANES; j++) s[j] = best;
  int64_t i = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES)
    for (int j = 0; j < 2 * LANES; j++) s[j] = better(s[j], x[i + j], smallest);
  for (int64_t j = 0; i + j < n; j++) s[j] = better(s[j], x[i + j], smallest);
  for (int width = LANES; width > 0; width /= 2)
    for (int j = 0; j < width; j++) s[j] = better(s[j], s[j + width], smallest);
  return s[0];
}

static inline void column_extremes(double *restrict best, const real *restrict x,
                                   int64_t M, int64_t stride, int64_t N,
                                   bool smallest) {
  real b[COLUMNS];
  for (int64_t c = 0; c < N; c++) b[c] = (real)best[c];
  for (int64_t r = 0; r < M; r++)
    for (int64_t c = 0; c < N; c++) b[c] = better(b[c], x[r * stride + c], smallest);
  for (int64_t c = 0; c < N; c++) best[c] = (double)b[c];
}

void KN(reduce_max_row)(double *best, const real *x, int64_t n) {
  *best = (double)row_extreme((real)*best, x, n, false);
}

void KN(reduce_min_row)(double *best, const real *x, int64_t n) {
  *best = (double)row_extreme((real)*best, x, n, true);
}

void KN(reduce_max_columns)(double *best, const real *x, int64_t M, int64_t stride,
                            int64_t N) {
  for (int64_t c = 0; c < N; c += COLUMNS)
    column_extremes(best + c, x + c, M, stride, least(N - c, COLUMNS), false);
}

void KN(reduce_min_columns)(double *best, const real *x, int64_t M, int64_t stride,
                            int64_t N) {
  for (int64_t c = 0; c < N; c += COLUMNS)
    column_extremes(best + c, x + c, M, stride, least(N - c, COLUMNS), true);
}

/* -- bounds ------------------------------------------------------------------------ */

#ifdef REAL_DOUBLE
typedef int64_t Word;
typedef uint64_t Magnitude;
#else
typedef int32_t Word;
typedef uint32_t Magnitude;
#endif

static inline Word word_of(real x) {
  Word word;
  memcpy(&word, &x, sizeof word);
  return word;
}

static inline real real_of(Word word) {
  real x;
  memcpy(&x, &word, sizeof x);
  return x;
}

/* Bounds with lo <= 0 <= hi of the elements of all spans; NaN or infinite where one is.
 *
 * Words of positive numbers are ordered as the numbers, NaN behind inf; those of
 * negative ones, taken without a sign, lie above and are ordered by size. So two
 * integer maxima give both ends, at two operations a vector. */
static inline void widen(Word *high, Magnitude *low, real x) {
  const Word word = word_of(x);
  *high = word > *high ? word : *high;
  *low = (Magnitude)word > *low ? (Magnitude)word : *low;
}

/* Lanes that leave registers free; of few elements. */
enum { WORDS = 128 / sizeof(Word), FEW_WORDS = WORDS / 4 };

/* At least n_lanes elements; the last lanes take some of them again, which changes
 * nothing. */
static inline void widen_lanes(Word *restrict highs, Magnitude *restrict lows,
                               int n_lanes, const real *x, int64_t n) {
  for (int64_t i = 0; i + n_lanes <= n; i += n_lanes)
    for (int j = 0; j < n_lanes; j++) widen(&highs[j], &lows[j], x[i + j]);
  for (int j = 0; j < n_lanes; j++) widen(&highs[j], &lows[j], x[n - n_lanes + j]);
}

/* Lanes begin with an element, not with zeros: gcc clears arrays by an instruction that
 * is slow to start. */
void KN(reduce_bounds)(real *lo, real *hi, const RealSpan *spans, int n_spans) {
  const RealSpan *end = spans + n_spans;
  Word high = n_spans > 0 && spans->n > 0 ? word_of(*(const real *)spans->x) : 0;
  Magnitude low = (Magnitude)high, lows[WORDS];
  Word highs[WORDS];
  for (int j = 0; j < WORDS; j++) highs[j] = high;
  for (int j = 0; j < WORDS; j++) lows[j] = low;
  for (const RealSpan *s = spans; s < end; s++) {
    if (s->n >= WORDS) widen_lanes(highs, lows, WORDS, s->x, s->n);
    else if (s->n >= FEW_WORDS) widen_lanes(highs, lows, FEW_WORDS, s->x, s->n);
    else
      for (int64_t i = 0; i < s->n; i++) widen(&high, &low, ((const real *)s->x)[i]);
  }
  for (int j = 0; j < WORDS; j++) {
    high = highs[j] > high ? highs[j] : high;
    low = lows[j] > low ? lows[j] : low;
  }
  *hi = high > 0 ? real_of(high) : 0;
  *lo = (Word)low < 0 ? real_of((Word)low) : 0;
}

/* -- places of extremes ------------------------------------------------------------ */

/* Is x the value sought: equal to it, or NaN where that is sought? */
static inline bool is_value(real x, real value) {
  return (x == value) | ((x != x) & (value != value));
}

/* Index, from 0, of the first NaN, else of the first extreme; n at smallest 1. */
int64_t KN(arg_row)(const real *x, int64_t n, bool smallest) {
  real value = smallest ? row_extreme(x[0], x, n, true)
                        : row_extreme(x[0], x, n, false);
  int64_t i = 0;
  for (; i + SCAN <= n; i += SCAN) {
    int found = 0;
    for (int j = 0; j < SCAN; j++) found |= is_value(x[i + j], value);
    if (found) break;
  }
  while (i < n - 1 && !is_value(x[i], value)) i++;
  return i;
}

static inline void arg_column_tile(int32_t *restrict index, const real *restrict x,
                                   int64_t M, int64_t stride, int64_t N,
                                   bool smallest) {
  real best[COLUMNS];
  int32_t place[COLUMNS];
  for (int64_t c = 0; c < N; c++) best[c] = x[c];
  for (int64_t c = 0; c < N; c++) place[c] = 0;
  for (int64_t r = 1; r < M; r++)
    for (int64_t c = 0; c < N; c++) {
      real v = x[r * stride + c];
      bool take = (smallest ? v < best[c] : v > best[c]) |
                  ((v != v) & (best[c] == best[c]));
      best[c] = take ? v : best[c];
      place[c] = take ? (int32_t)r : place[c];
    }
  for (int64_t c = 0; c < N; c++) index[c] = place[c];
}

/* As arg_row, for each of N columns. */
void KN(arg_columns)(int32_t *index, const real *x, int64_t M, int64_t stride,
                     int64_t N, bool smallest) {
  for (int64_t c = 0; c < N; c += COLUMNS) {
    int64_t n = least(N - c, COLUMNS);
    if (smallest) arg_column_tile(index + c, x + c, M, stride, n, true);
    else arg_column_tile(index + c, x + c, M, stride, n, false);
  }
}
