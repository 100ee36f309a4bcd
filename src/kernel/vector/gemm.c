/* gemm.c: products of matrices that stay in the caches, and of a matrix and a vector.
 *
 * Matrix times matrix. A tile of C, some rows by a few vectors of columns, stays in
 * registers while k runs over a chunk: each k loads one row of the tile's B and
 * broadcasts one element of A per row. Nothing is packed but what must be:
 *   A   is read where it lies, either way round;
 *   B   is read where it lies, or copied, a panel of one chunk at a time, where it is
 *       transposed, or where a panel ends within a vector and the level has no cheap
 *       masked loads. The copy lies on the stack, its rows filled up to whole vectors.
 *
 * Invariant: an element of C is a sum over chunks of K, each a chain over k in order,
 *     c = (a[0] b[0] + a[1] b[1] + ...) + (a[s] b[s] + ...) + ...
 * and the chunks depend on K alone. So its bits are the same in every tile and panel,
 * in a C of any size and for either way in which A and B are stored.
 *
 * Tile. With R rows and V vectors a step of k has R V multiply-adds and R + V loads.
 * Two units with a latency of 4 want R V >= 8 sums in flight, and R V >= R + V, lest
 * loads hold them up; R V sums, V vectors of B and an element of A must fit in 32
 * (avx512) or 16 registers. Hence 8 x 3 and 12 x 2, or 6 x 2; where C is one vector
 * wide, 12 rows. Rows and vectors are shared out evenly: 100 rows make 13 tiles of 7 or
 * 8, not 12 of 8 and a slow one of 4.
 *
 * Caches. A chunk of a panel (DEPTH rows of three vectors, 48 KB at most) is read again
 * by every tile below it; BAND rows of a chunk of A (256 KB), again by every panel.
 *
 * Matrix times vector. Both walk the matrix along its contiguous rows. A sum over K
 * uses LANES partial sums in real for at most CHUNK elements and adds those in double,
 * or adds up in the order of k. Lanes are indexed by constants alone, so that they stay
 * in registers. */
#include "kernel/kernel.h"
#include <string.h>
#if defined SIMD_avx2 || defined SIMD_avx512
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* -- vectors ----------------------------------------------------------------------- */

#if defined SIMD_avx512
enum { VECTOR_BYTES = 64, MASKED = 1 };
#elif defined SIMD_avx2
enum { VECTOR_BYTES = 32, MASKED = 0 };
#else
enum { VECTOR_BYTES = 16, MASKED = 0 };
#endif
enum { WIDTH = VECTOR_BYTES / (int)sizeof(real) };

typedef real Vector __attribute__((vector_size(VECTOR_BYTES)));

INLINE Vector load(const real *p) {
  Vector v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(real *p, Vector v) { memcpy(p, &v, sizeof v); }

/* muladd: s * b + c, rounded once where the level has FMA, else twice.
 * load_part: the first n elements, 1 <= n <= WIDTH, then zeros; touches no others. */
#if defined SIMD_avx512 && defined REAL_DOUBLE
INLINE Vector muladd(real s, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_pd(_mm512_set1_pd(s), (__m512d)b, (__m512d)c);
}
INLINE Vector load_part(const real *p, int n) {
  return (Vector)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
INLINE void store_part(real *p, Vector v, int n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#elif defined SIMD_avx512
INLINE Vector muladd(real s, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_ps(_mm512_set1_ps(s), (__m512)b, (__m512)c);
}
INLINE Vector load_part(const real *p, int n) {
  return (Vector)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void store_part(real *p, Vector v, int n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined SIMD_avx2 && defined REAL_DOUBLE
INLINE Vector muladd(real s, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_pd(_mm256_set1_pd(s), (__m256d)b, (__m256d)c);
}
INLINE Vector load_part(const real *p, int n) {
  __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
  return (Vector)_mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane));
}
#elif defined SIMD_avx2
INLINE Vector muladd(real s, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_ps(_mm256_set1_ps(s), (__m256)b, (__m256)c);
}
INLINE Vector load_part(const real *p, int n) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return (Vector)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
}
#else
INLINE Vector muladd(real s, Vector b, Vector c) { return s * b + c; }
INLINE Vector load_part(const real *p, int n) {
  Vector v = {0};
  memcpy(&v, p, (size_t)n * sizeof *p);
  return v;
}
#endif

/* low(a, b) = a[0] b[0] a[1] b[1] ... of the first halves, high(a, b) of the second. */
#if defined SIMD_avx512 && !defined REAL_DOUBLE
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined SIMD_avx512 || (defined SIMD_avx2 && !defined REAL_DOUBLE)
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif defined SIMD_avx2 || !defined REAL_DOUBLE
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#else
#define LOW 0, 2
#define HIGH 1, 3
#endif
INLINE Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, LOW); }
INLINE Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, HIGH); }

/* -- a panel of B, copied ---------------------------------------------------------- */

/* Interleaving row i with row i + WIDTH / 2 moves the top bit of the row's number to
 * the bottom of the column's; log2(WIDTH) times that transposes. */
INLINE void transpose(Vector *row) {
  UNROLL
  for (int bit = 1; bit < WIDTH; bit *= 2) {
    Vector next[WIDTH];
    UNROLL
    for (int i = 0; i < WIDTH / 2; i++) {
      next[2 * i] = low(row[i], row[i + WIDTH / 2]);
      next[2 * i + 1] = high(row[i], row[i + WIDTH / 2]);
    }
    UNROLL
    for (int i = 0; i < WIDTH; i++) row[i] = next[i];
  }
}

static int least(int64_t a, int64_t b) { return (int)(a < b ? a : b); }

/* WIDTH rows of x, each n elements, transposed; of the last rows only n_rows are there,
 * and the last of them repeats for the others. */
INLINE void copy_square(real *y, int64_t row, const real *x, int64_t stride, int n_rows,
                        int n) {
  Vector v[WIDTH];
  if (n == WIDTH) {
    UNROLL
    for (int i = 0; i < WIDTH; i++)
      v[i] = load(x + (i < n_rows ? i : n_rows - 1) * stride);
  } else {
    UNROLL
    for (int i = 0; i < WIDTH; i++)
      v[i] = load_part(x + (i < n_rows ? i : n_rows - 1) * stride, n);
  }
  transpose(v);
  UNROLL
  for (int i = 0; i < WIDTH; i++) store(y + i * row, v[i]);
}

/* y[k, j] = x[j * stride + k], K rows of n columns. Rows are filled up to whole vectors
 * with numbers that matter to no element of C; rows of y up to a multiple of WIDTH are
 * written. */
static void copy_transposed(real *y, const real *x, int64_t K, int64_t n,
                            int64_t stride) {
  int64_t row = (n + WIDTH - 1) / WIDTH * WIDTH;
  for (int64_t j = 0; j < n; j += WIDTH)
    for (int64_t k = 0; k < K; k += WIDTH)
      copy_square(y + k * row + j, row, x + j * stride + k, stride, least(WIDTH, n - j),
                  least(WIDTH, K - k));
}

/* y[k, j] = x[k * stride + j], likewise, filled up with zeros. */
static void copy_padded(real *y, const real *x, int64_t K, int64_t n, int64_t stride) {
  int64_t row = (n + WIDTH - 1) / WIDTH * WIDTH;
  for (int64_t k = 0; k < K; k++)
    for (int64_t j = 0; j < n; j += WIDTH)
      store(y + k * row + j, load_part(x + k * stride + j, least(WIDTH, n - j)));
}

/* -- a tile of C ------------------------------------------------------------------- */

enum { ROWS_MAX = 12, VECTORS_MAX = MASKED ? 3 : 2, DEPTH = 256, BAND = 256 };

/* c[i, j] (+)= sum_k a[i, k] b[k, j]. Of the last vector of columns, `last`
 * elements. */
typedef struct Tile {
  real *c;
  const real *a, *b;
  int64_t row_c, row_b;
  int64_t stride_a; /* of A's rows, or of k where A is transposed */
  int64_t K;
  int last;
  bool add; /* to C; else C is not read */
} Tile;

/* One step of k; `a` is the element of the tile's first row. */
INLINE void tile_step(Vector sum[][VECTORS_MAX], const real *a, int64_t step_a,
                      const real *b, int last, int rows, int vectors) {
  Vector v[VECTORS_MAX];
  UNROLL
  for (int j = 0; j < vectors; j++)
    v[j] = MASKED && j == vectors - 1 ? load_part(b + j * WIDTH, last)
                                      : load(b + j * WIDTH);
  UNROLL
  for (int i = 0; i < rows; i++) {
    real s = a[i * step_a];
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = muladd(s, v[j], sum[i][j]);
  }
}

/* The last vector of C's rows: all its elements are there where n = WIDTH. Without
 * masks the rows go through memory; a call between sums would put all of them there. */
#ifdef SIMD_avx512
INLINE void tile_end_last(const Tile *t, real *c, Vector sum[][VECTORS_MAX], int rows,
                          int j) {
  UNROLL
  for (int i = 0; i < rows; i++, c += t->row_c)
    store_part(c, t->add ? load_part(c, t->last) + sum[i][j] : sum[i][j], t->last);
}
#else
INLINE void copy_part(real *y, const real *x, int n) {
  UNROLL
  for (int some = WIDTH / 2; some; some /= 2) {
    if (!(n & some)) continue;
    memcpy(y, x, (size_t)some * sizeof *y);
    y += some;
    x += some;
  }
}
static void rows_part(const Tile *t, real *c, const real *x, int rows) {
  for (int i = 0; i < rows; i++, c += t->row_c, x += WIDTH) {
    if (!t->add) copy_part(c, x, t->last);
    for (int j = 0; t->add && j < t->last; j++) c[j] += x[j];
  }
}
INLINE void tile_end_last(const Tile *t, real *c, Vector sum[][VECTORS_MAX], int rows,
                          int j) {
  real x[ROWS_MAX * WIDTH];
  if (t->last == WIDTH) {
    UNROLL
    for (int i = 0; i < rows; i++, c += t->row_c)
      store(c, t->add ? load(c) + sum[i][j] : sum[i][j]);
  } else {
    UNROLL
    for (int i = 0; i < rows; i++) store(x + i * WIDTH, sum[i][j]);
    rows_part(t, c, x, rows);
  }
}
#endif

INLINE void tile_end(const Tile *t, Vector sum[][VECTORS_MAX], int rows, int vectors) {
  real *c = t->c;
  UNROLL
  for (int i = 0; i < rows; i++, c += t->row_c) {
    UNROLL
    for (int j = 0; j < vectors - 1; j++)
      store(c + j * WIDTH, t->add ? load(c + j * WIDTH) + sum[i][j] : sum[i][j]);
  }
  tile_end_last(t, t->c + (vectors - 1) * WIDTH, sum, rows, vectors - 1);
}

INLINE void tile_run(const Tile *t, bool transposed, int rows, int vectors) {
  Vector sum[ROWS_MAX][VECTORS_MAX];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (Vector){0};
  }
  const real *a = t->a, *b = t->b;
  int64_t stride = t->stride_a, row_b = t->row_b, K = t->K;
  int last = t->last;
  for (int64_t k = 0; k < K; k++) {
    tile_step(sum, a, transposed ? 1 : stride, b, last, rows, vectors);
    a += transposed ? stride : 1;
    b += row_b;
  }
  tile_end(t, sum, rows, vectors);
}

/* Tiles that there is code for: rows, vectors. */
#define TILES_SIX(X, v) X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TILES_TWELVE(X, v) \
  TILES_SIX(X, v) X(7, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v)
#if defined SIMD_avx512
#define TILES(X) TILES_TWELVE(X, 1) TILES_TWELVE(X, 2) TILES_SIX(X, 3) X(7, 3) X(8, 3)
static const int rows_of[] = {0, 12, 12, 8};
#else
#define TILES(X) TILES_TWELVE(X, 1) TILES_SIX(X, 2)
static const int rows_of[] = {0, 12, 6};
#endif

#define TILE(rows, vectors)                              \
  static void tile_##rows##_##vectors(const Tile *t) {   \
    tile_run(t, false, rows, vectors);                   \
  }                                                      \
  static void tile_t_##rows##_##vectors(const Tile *t) { \
    tile_run(t, true, rows, vectors);                    \
  }
TILES(TILE)
#undef TILE

typedef void (*TileRun)(const Tile *tile);
static const TileRun tiles[VECTORS_MAX + 1][ROWS_MAX + 1][2] = {
#define TILE(rows, vectors) \
  [vectors][rows] = {tile_##rows##_##vectors, tile_t_##rows##_##vectors},
    TILES(TILE)
#undef TILE
};

/* -- matrix times matrix ----------------------------------------------------------- */

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Tiles from top to bottom of a panel; `t` is the first. */
static void panel(Tile t, int64_t M, int vectors, bool transposed) {
  const real *a = t.a;
  real *c = t.c;
  int64_t n_tiles = divide_up(M, rows_of[vectors]);
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t i = tile * M / n_tiles, end = (tile + 1) * M / n_tiles;
    t.a = a + i * (transposed ? 1 : t.stride_a);
    t.c = c + i * t.row_c;
    tiles[vectors][end - i][transposed](&t);
  }
}

/* A band of rows, one chunk of K. */
static void band(real *c, const real *a, const real *b, int64_t M, int64_t N, int64_t K,
                 const GemmStrides *s, bool add) {
  real copy[DEPTH * VECTORS_MAX * WIDTH] __attribute__((aligned(VECTOR_BYTES)));
  int64_t n_vectors = divide_up(N, WIDTH), n_panels = divide_up(n_vectors, VECTORS_MAX);
  for (int64_t p = 0; p < n_panels; p++) {
    int64_t first = p * n_vectors / n_panels, end = (p + 1) * n_vectors / n_panels;
    int64_t j = first * WIDTH, n = least(N, end * WIDTH) - j;
    int vectors = (int)(end - first);
    Tile t = {.c = c + j, .a = a, .b = b, .row_c = s->c, .row_b = s->b,
              .stride_a = s->a, .K = K, .add = add,
              .last = (int)(n - (vectors - 1) * WIDTH)};
    t.b += j * (s->transpose_b ? s->b : 1);
    bool copied = s->transpose_b || (!MASKED && t.last < WIDTH);
    if (copied && s->transpose_b) copy_transposed(copy, t.b, K, n, s->b);
    else if (copied) copy_padded(copy, t.b, K, n, s->b);
    if (copied) t.b = copy, t.row_b = vectors * WIDTH;
    panel(t, M, vectors, s->transpose_a);
  }
}

void KN(gemm)(real *c, const real *a, const real *b, int64_t M, int64_t N, int64_t K,
              const GemmStrides *s) {
  int64_t n_chunks = divide_up(K, DEPTH), n_bands = divide_up(M, BAND);
  for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
    int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
    for (int64_t m = 0; m < n_bands; m++) {
      int64_t i = m * M / n_bands, rows = (m + 1) * M / n_bands - i;
      band(c + i * s->c, a + (s->transpose_a ? k * s->a + i : i * s->a + k),
           b + (s->transpose_b ? k : k * s->b), rows, N, depth, s, chunk > 0);
    }
  }
}

/* -- matrix times vector ----------------------------------------------------------- */

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
