/* conv.c: sums of products for convolutions, whose terms lie at listed places.
 *
 * Tile. Some rows by a few vectors of lanes stay in registers while k runs over the
 * list of steps: each k loads the lanes of b and broadcasts one element of x per row,
 * which lies where the row begins plus a step. Forward, rows are pixels and steps
 * elements of the kernel; for gradients of weights it is the other way round. So images
 * are never unfolded.
 *
 * Invariant: an element of C is a chain over k in order, the same in every tile and
 * panel; so its bits depend on neither.
 *
 * Rows and vectors of a tile: as in gemm.c. Rows are pointers here, of which the
 * general registers hold some 10: hence 8 rows of one vector, not 12, with AVX2. */
#include "kernel/kernel.h"
#include "kernel/vector/vector.h"

enum { ROWS_MAX = 12, VECTORS_MAX = MASKED ? 3 : 2 };

/* -- panels ------------------------------------------------------------------------ */

int64_t KN(conv_panels)(int64_t M) {
  return divide_up(divide_up(M, WIDTH), VECTORS_MAX);
}

int64_t KN(conv_lane)(int64_t M, int64_t panel) {
  int64_t n_vectors = divide_up(M, WIDTH), n_panels = divide_up(n_vectors, VECTORS_MAX);
  return n_panels == 0 ? 0 : panel * n_vectors / n_panels * WIDTH;
}

/* -- sums -------------------------------------------------------------------------- */

typedef struct Tile {
  real *c;
  const real *x, *b;
  const int32_t *row, *step;
  int64_t K;
  bool add;
} Tile;

INLINE void tile_end(const Tile *t, Vector sum[][VECTORS_MAX], int rows, int vectors) {
  real *c = t->c;
  UNROLL
  for (int i = 0; i < rows; i++, c += vectors * WIDTH) {
    UNROLL
    for (int j = 0; j < vectors; j++)
      store(c + j * WIDTH, t->add ? load(c + j * WIDTH) + sum[i][j] : sum[i][j]);
  }
}

INLINE void tile_run(const Tile *t, int rows, int vectors) {
  Vector sum[ROWS_MAX][VECTORS_MAX];
  const real *x[ROWS_MAX];
  UNROLL
  for (int i = 0; i < rows; i++) {
    x[i] = t->x + t->row[i];
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (Vector){0};
  }
  const real *b = t->b;
  const int32_t *step = t->step;
  for (const int32_t *end = step + t->K; step < end; step++, b += vectors * WIDTH) {
    int64_t at = *step;
    Vector v[VECTORS_MAX];
    UNROLL
    for (int j = 0; j < vectors; j++) v[j] = load(b + j * WIDTH);
    UNROLL
    for (int i = 0; i < rows; i++) {
      real s = x[i][at];
      UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = muladd(s, v[j], sum[i][j]);
    }
  }
  tile_end(t, sum, rows, vectors);
}

/* Tiles that there is code for: rows, vectors. */
#define TILES_SIX(X, v) X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TILES_EIGHT(X, v) TILES_SIX(X, v) X(7, v) X(8, v)
#define TILES_TWELVE(X, v) TILES_EIGHT(X, v) X(9, v) X(10, v) X(11, v) X(12, v)
#if defined SIMD_avx512
#define TILES(X) TILES_TWELVE(X, 1) TILES_TWELVE(X, 2) TILES_EIGHT(X, 3)
static const int rows_of[] = {0, 12, 12, 8};
#else
#define TILES(X) TILES_EIGHT(X, 1) TILES_SIX(X, 2)
static const int rows_of[] = {0, 8, 6};
#endif

#define TILE(rows, vectors) \
  static void tile_##rows##_##vectors(const Tile *t) { tile_run(t, rows, vectors); }
TILES(TILE)
#undef TILE

typedef void (*TileRun)(const Tile *tile);
static const TileRun tiles[VECTORS_MAX + 1][ROWS_MAX + 1] = {
#define TILE(rows, vectors) [vectors][rows] = tile_##rows##_##vectors,
    TILES(TILE)
#undef TILE
};

void KN(conv_sums)(real *c, const real *x, const int32_t *row, int64_t n,
                   const int32_t *step, int64_t K, const real *b, int64_t lanes,
                   bool add) {
  int64_t vectors = lanes / WIDTH, n_tiles = divide_up(n, rows_of[vectors]);
  Tile t = {.x = x, .b = b, .step = step, .K = K, .add = add};
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t i = tile * n / n_tiles, end = (tile + 1) * n / n_tiles;
    t.c = c + i * lanes;
    t.row = row + i;
    tiles[vectors][end - i](&t);
  }
}

/* -- vectors of pixels ------------------------------------------------------------- */

enum { RESULTS = 6, PIXELS = 2 }; /* of a tile: rows, vectors */

typedef struct Along {
  real *y;
  const real *x, *b;
  const int32_t *step;
  int64_t stride, K, lanes;
  int last; /* pixels of the last vector */
  bool add;
} Along;

INLINE Vector load_first(const real *p, int n, bool whole) {
  return whole ? load(p) : load_part(p, n);
}

INLINE void along_end(const Along *t, Vector sum[][PIXELS], int rows, int vectors) {
  UNROLL
  for (int i = 0; i < rows; i++) {
    real *y = t->y + i * t->stride;
    UNROLL
    for (int j = 0; j < vectors; j++) {
      bool whole = j < vectors - 1 || t->last == WIDTH;
      int n = whole ? WIDTH : t->last;
      Vector v = sum[i][j];
      if (t->add) v += load_first(y + j * WIDTH, n, whole);
      store_first(y + j * WIDTH, v, n);
    }
  }
}

INLINE void along_run(const Along *t, int rows, int vectors, bool whole) {
  Vector sum[RESULTS][PIXELS];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (Vector){0};
  }
  const real *b = t->b;
  const int32_t *step = t->step;
  int last = t->last;
  for (const int32_t *end = step + t->K; step < end; step++, b += t->lanes) {
    const real *x = t->x + *step;
    Vector v[PIXELS];
    UNROLL
    for (int j = 0; j < vectors; j++)
      v[j] = load_first(x + j * WIDTH, last, whole || j < vectors - 1);
    UNROLL
    for (int i = 0; i < rows; i++) {
      real s = b[i];
      UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = muladd(s, v[j], sum[i][j]);
    }
  }
  along_end(t, sum, rows, vectors);
}

#define ALONG(rows, vectors)                              \
  static void along_##rows##_##vectors(const Along *t) {  \
    if (t->last == WIDTH) along_run(t, rows, vectors, 1); \
    else along_run(t, rows, vectors, 0);                  \
  }
TILES_SIX(ALONG, 1)
TILES_SIX(ALONG, 2)
#undef ALONG

typedef void (*AlongRun)(const Along *tile);
static const AlongRun along_tiles[PIXELS + 1][RESULTS + 1] = {
#define ALONG(rows, vectors) [vectors][rows] = along_##rows##_##vectors,
    TILES_SIX(ALONG, 1) TILES_SIX(ALONG, 2)
#undef ALONG
};

void KN(conv_along)(real *y, int64_t stride, const real *x, const int32_t *step,
                    int64_t K, const real *b, int64_t lanes, int64_t M, int64_t n,
                    bool add) {
  int64_t n_tiles = divide_up(M, RESULTS);
  for (int64_t j = 0; j < n; j += PIXELS * WIDTH) {
    int pixels = (int)least(PIXELS * WIDTH, n - j),
        vectors = (pixels + WIDTH - 1) / WIDTH;
    Along t = {.x = x + j, .step = step, .stride = stride, .K = K, .lanes = lanes,
               .last = pixels - (vectors - 1) * WIDTH, .add = add};
    for (int64_t tile = 0; tile < n_tiles; tile++) {
      int64_t m = tile * M / n_tiles, end = (tile + 1) * M / n_tiles;
      t.y = y + m * stride + j;
      t.b = b + m;
      along_tiles[vectors][end - m](&t);
    }
  }
}

/* -- sums along pixels ------------------------------------------------------------- */

enum { DOTS = 8 };

static real fold(Vector v) {
  real part[WIDTH], sum = 0;
  store(part, v);
  for (int half = WIDTH / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) part[l] += part[l + half];
  sum += part[0];
  return sum;
}

INLINE void dots_run(real *c, int64_t lanes, const real *gy, int64_t gy_row,
                     const real *x, int64_t x_row, const int32_t *step, int64_t n_rows,
                     int64_t n, int taps) {
  Vector sum[DOTS];
  UNROLL
  for (int k = 0; k < taps; k++) sum[k] = (Vector){0};
  for (int64_t i = 0; i < n_rows; i++, gy += gy_row, x += x_row) {
    int64_t j = 0;
    for (; j + WIDTH <= n; j += WIDTH) {
      Vector v = load(gy + j);
      UNROLL
      for (int k = 0; k < taps; k++)
        sum[k] = add_product(v, load(x + step[k] + j), sum[k]);
    }
    if (j == n) continue;
    Vector v = load_part(gy + j, (int)(n - j));
    UNROLL
    for (int k = 0; k < taps; k++)
      sum[k] = add_product(v, load_part(x + step[k] + j, (int)(n - j)), sum[k]);
  }
  UNROLL
  for (int k = 0; k < taps; k++) c[k * lanes] += fold(sum[k]);
}

void KN(conv_dots)(real *c, int64_t lanes, const real *gy, int64_t gy_row,
                   const real *x, int64_t x_row, const int32_t *step, int64_t K,
                   int64_t n_rows, int64_t n) {
  int64_t k = 0;
  for (; k + DOTS <= K; k += DOTS)
    dots_run(c + k * lanes, lanes, gy, gy_row, x, x_row, step + k, n_rows, n, DOTS);
  for (; k + 4 <= K; k += 4)
    dots_run(c + k * lanes, lanes, gy, gy_row, x, x_row, step + k, n_rows, n, 4);
  for (; k < K; k++)
    dots_run(c + k * lanes, lanes, gy, gy_row, x, x_row, step + k, n_rows, n, 1);
}

/* -- between lanes and images ------------------------------------------------------ */

void KN(conv_put)(real *y, int64_t stride, const real *c, int64_t lanes, int64_t n,
                  int64_t M) {
  for (int64_t j = 0; j < n; j += WIDTH)
    for (int64_t m = 0; m < M; m += WIDTH) {
      Vector v[WIDTH];
      UNROLL
      for (int i = 0; i < WIDTH; i++) v[i] = load(c + (j + i) * lanes + m);
      transpose(v);
      int n_rows = first_of(M - m), n_there = first_of(n - j);
      UNROLL
      for (int i = 0; i < WIDTH; i++)
        if (i < n_rows) store_first(y + (m + i) * stride + j, v[i], n_there);
    }
}

/* x * 0 is NaN where x is infinite or NaN. */
bool KN(conv_finite)(const real *x, int64_t n) {
  Vector zero = {0};
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) zero += load(x + i) * 0;
  real sum = 0;
  for (; i < n; i++) sum += x[i] * 0;
  for (int l = 0; l < WIDTH; l++) sum += zero[l];
  return sum == 0;
}

bool KN(conv_take)(real *b, const real *y, int64_t stride, int64_t lanes, int64_t n,
                   int64_t M) {
  bool finite = true;
  for (int64_t m = 0; m < M; m++) finite = KN(conv_finite)(y + m * stride, n) && finite;
  for (int64_t m = 0; m < M; m += WIDTH)
    for (int64_t j = 0; j < n; j += WIDTH)
      copy_square(b + j * lanes + m, lanes, y + m * stride + j, stride, first_of(M - m),
                  first_of(n - j));
  return finite;
}

/* Rows of at least `step` elements, by so many; the last begin where they end with the
 * row. */
#define COPY(step)                                                          \
  static void copy_##step(real *w, int64_t pitch, const real *x, int64_t row, \
                          int64_t n, int64_t columns) {                       \
    for (; n > 0; n--, w += pitch, x += row) {                                \
      for (int64_t i = 0; i + (step) < columns; i += (step))                  \
        memcpy(w + i, x + i, (step) * sizeof *w);                             \
      memcpy(w + columns - (step), x + columns - (step), (step) * sizeof *w); \
    }                                                                         \
  }
COPY(1)
COPY(2)
COPY(4)
COPY(8)
#undef COPY

void KN(conv_copy)(real *w, int64_t pitch, const real *x, int64_t row, int64_t n,
                   int64_t columns) {
  if (columns >= 8) copy_8(w, pitch, x, row, n, columns);
  else if (columns >= 4) copy_4(w, pitch, x, row, n, columns);
  else if (columns >= 2) copy_2(w, pitch, x, row, n, columns);
  else if (columns == 1) copy_1(w, pitch, x, row, n, columns);
}
