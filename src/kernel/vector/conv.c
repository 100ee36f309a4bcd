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

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

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

/* -- between lanes and images ------------------------------------------------------ */

/* The first n elements of a vector. */
INLINE void store_first(real *y, Vector v, int n) {
  if (n == WIDTH) {
    store(y, v);
    return;
  }
  real part[WIDTH];
  store(part, v);
  for (int i = 0; i < n; i++) y[i] = part[i];
}

void KN(conv_put)(real *y, int64_t stride, const real *c, int64_t lanes, int64_t n,
                  int64_t M) {
  for (int64_t j = 0; j < n; j += WIDTH)
    for (int64_t m = 0; m < M; m += WIDTH) {
      Vector v[WIDTH];
      UNROLL
      for (int i = 0; i < WIDTH; i++) v[i] = load(c + (j + i) * lanes + m);
      transpose(v);
      int n_rows = least(WIDTH, M - m), n_there = least(WIDTH, n - j);
      UNROLL
      for (int i = 0; i < WIDTH; i++)
        if (i < n_rows) store_first(y + (m + i) * stride + j, v[i], n_there);
    }
}

/* x * 0 is NaN where x is infinite or NaN. */
static bool all_finite(const real *x, int64_t n) {
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
  for (int64_t m = 0; m < M; m++) finite = all_finite(y + m * stride, n) && finite;
  for (int64_t m = 0; m < M; m += WIDTH)
    for (int64_t j = 0; j < n; j += WIDTH)
      copy_square(b + j * lanes + m, lanes, y + m * stride + j, stride,
                  least(WIDTH, M - m), least(WIDTH, n - j));
  return finite;
}

INLINE void zeros(real *w, int64_t n) {
  for (int64_t i = 0; i < n; i++) w[i] = 0;
}

INLINE void copy_row(real *w, const real *x, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(w + i, load(x + i));
  if (n >= WIDTH) store(w + n - WIDTH, load(x + n - WIDTH));
  else
    for (; i < n; i++) w[i] = x[i];
}

void KN(conv_window)(real *w, int64_t pitch, const real *x, int64_t row, int64_t n,
                     int64_t columns, int64_t before, int64_t after) {
  for (int64_t i = 0; i < n; i++, w += pitch, x += row) {
    zeros(w, before);
    copy_row(w + before, x, columns);
    zeros(w + before + columns, after);
  }
}
