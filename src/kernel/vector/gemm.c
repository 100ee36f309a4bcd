/* gemm.c: products of matrices that stay in the caches, and of a matrix and a vector.
 *
 * Matrix times matrix. A tile of C, some rows by a few vectors of columns, stays in
 * registers while k runs over a chunk: each k loads one row of the tile's B and
 * broadcasts one element of A per row. Nothing is packed but what must be:
 *   A   is read where it lies, either way round, or copied, rows of a chunk by k, where
 *       it is transposed and far;
 *   B   is read where it lies, or copied, a panel of one chunk at a time, where it is
 *       transposed, or where a panel ends within a vector, the level has no cheap
 *       masked loads and the panel cannot begin earlier instead. The copy lies on the
 *       stack, its rows filled up to whole vectors.
 *
 * Invariant: an element of C is a sum over chunks of K, each a chain over k in order,
 *     c = (a[0] b[0] + a[1] b[1] + ...) + (a[s] b[s] + ...) + ...
 * and the chunks depend on K alone. So its bits are the same in every tile and panel,
 * in a C of any size and for either way in which A and B are stored. A panel may
 * compute columns of the one before it once more.
 *
 * Tile. With R rows and V vectors a step of k has R V multiply-adds and R + V loads.
 * Two units with a latency of 4 want R V >= 8 sums in flight, and as few loads as there
 * can be; R V sums, V vectors of B and an element of A must fit in 32 (avx512) or 16
 * registers. Hence 6 x 4, 8 x 3 and 12 x 2 (six rows of four vectors take .8 to .97 of
 * the time of twelve of two), or 6 x 2 and 4 x 3; where C is one vector wide, 12 rows.
 * Rows and vectors are shared out evenly: 100 rows make 17 tiles of 5 or 6, not 16 of 6
 * and a slow one of 4. Four steps of k at a time leave the multiply-adds more of what a
 * core decodes, which counts most where two threads share one: there 9 to 12 % of the
 * time, elsewhere 1 to 2 %.
 *
 * Caches. A chunk of a panel (DEPTH rows of four vectors, 64 KB at most) is read again
 * by every tile below it; BAND rows of a chunk of A (256 KB), again by every panel.
 * Where B or C lies in memory, its rows are so far apart that no processor foresees
 * them, and all in the same few places of a cache: a panel of B is fetched and copied
 * while the one before it is in use, and the lines of a tile of C are fetched a tile
 * ahead. They are asked for one by one, between steps of k: a core waits for few lines
 * at once, and all those of a tile in a row held it up for a fifth of the time.
 *
 * Matrix times vector. Both walk the matrix along its contiguous rows, some rows at
 * once or some vectors of columns, so that FLIGHT vectors of sums do not wait for each
 * other. A sum over K uses LANES partial sums in real for at most CHUNK elements and
 * adds those in double, or adds up in the order of k. */
#include "kernel/kernel.h"
#include "kernel/vector/vector.h"

/* -- a panel of B, copied ---------------------------------------------------------- */

/* y[k, j] = x[k * stride + j], likewise, filled up with zeros. */
static void copy_padded(real *y, const real *x, int64_t K, int64_t n, int64_t stride) {
  int64_t row = (n + WIDTH - 1) / WIDTH * WIDTH;
  for (int64_t k = 0; k < K; k++, x += stride, y += row) {
    int64_t j = 0;
    for (; j + WIDTH <= n; j += WIDTH) store(y + j, load(x + j));
    if (j < n) store(y + j, load_part(x + j, (int)(n - j)));
  }
}

/* -- a tile of C ------------------------------------------------------------------- */

#if defined SIMD_plain
enum { VECTORS_MAX = 2 };
#elif defined SIMD_avx512
enum { VECTORS_MAX = 4 };
#else
enum { VECTORS_MAX = 3 };
#endif
enum { ROWS_MAX = 12, DEPTH = GEMM_DEPTH, BAND = 256 };
enum { LINE = 64 / (int)sizeof(real) }; /* of a cache */

/* c[i, j] (+)= sum_k a[i, k] b[k, j]. Of the last vector of columns, `last`
 * elements. */
typedef struct Tile {
  real *c;
  const real *a, *b;
  int64_t row_c, row_b;
  int64_t stride_a; /* of A's rows, or of k where A is transposed */
  int64_t K;
  int last;
  bool add;  /* to C; else C is not read */
  int again; /* with `add`: elements of each row that have their sums already; fewer
                than WIDTH */
  const real *const *lines; /* of a tile that fetches: an even number, see Lines */
  int64_t n_lines;
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

/* The last vector of C's rows, of which `last` elements are there. Without masks the
 * rows go through memory; a call between sums would put all of them there. */
#ifdef SIMD_avx512
INLINE void tile_end_last(const Tile *t, real *c, Vector sum[][VECTORS_MAX], int rows,
                          int j) {
  UNROLL
  for (int i = 0; i < rows; i++, c += t->row_c)
    store_part(c, t->add ? load_part(c, t->last) + sum[i][j] : sum[i][j], t->last);
}
#else
static void rows_part(const Tile *t, real *c, const real *x, int rows) {
  for (int i = 0; i < rows; i++, c += t->row_c, x += WIDTH) {
    if (!t->add) copy_part(c, x, t->last);
    for (int j = 0; t->add && j < t->last; j++) c[j] += x[j];
  }
}
INLINE void tile_end_last(const Tile *t, real *c, Vector sum[][VECTORS_MAX], int rows,
                          int j) {
  real x[ROWS_MAX * WIDTH];
  UNROLL
  for (int i = 0; i < rows; i++) store(x + i * WIDTH, sum[i][j]);
  rows_part(t, c, x, rows);
}
#endif

/* The first vectors of C's rows, all of whose elements are there. */
INLINE void tile_end_whole(const Tile *t, Vector sum[][VECTORS_MAX], int rows,
                           int vectors, bool add) {
  real *c = t->c;
  int64_t row_c = t->row_c;
  int again = t->again;
  UNROLL
  for (int i = 0; i < rows; i++, c += row_c) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      Vector old = add ? load(c + j * WIDTH) : sum[i][j];
      Vector new = add ? old + sum[i][j] : old;
      store(c + j * WIDTH,
            add && !MASKED && j == 0 ? chosen(lanes_before(again), old, new) : new);
    }
  }
}

INLINE void tile_end(const Tile *t, Vector sum[][VECTORS_MAX], int rows, int vectors) {
  if (!MASKED && t->last == WIDTH) {
    if (t->add) tile_end_whole(t, sum, rows, vectors, true);
    else tile_end_whole(t, sum, rows, vectors, false);
    return;
  }
  if (t->add) tile_end_whole(t, sum, rows, vectors - 1, true);
  else tile_end_whole(t, sum, rows, vectors - 1, false);
  tile_end_last(t, t->c + (vectors - 1) * WIDTH, sum, rows, vectors - 1);
}

/* A is read by rows, by columns, where it is transposed, or by rows while memory is
 * fetched. */
typedef enum Way { BY_ROWS, BY_COLUMNS, FETCHING, N_WAYS } Way;

INLINE void tile_run(const Tile *t, Way way, int rows, int vectors) {
  Vector sum[ROWS_MAX][VECTORS_MAX];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (Vector){0};
  }
  const real *a = t->a, *b = t->b;
  int64_t stride = t->stride_a, row_b = t->row_b, K = t->K;
  int last = t->last;
  const real *const *line = t->lines;
  for (int64_t n = t->n_lines; way == FETCHING && n > 0 && K >= 4; n -= 2, K -= 4) {
    UNROLL
    for (int k = 0; k < 4; k++, a++, b += row_b) {
      if (k % 2 == 0) __builtin_prefetch(line[k / 2], 0, 2);
      tile_step(sum, a, stride, b, last, rows, vectors);
    }
    line += 2;
  }
  UNROLL_FOUR
  for (int64_t k = 0; k < K; k++) {
    tile_step(sum, a, way == BY_COLUMNS ? 1 : stride, b, last, rows, vectors);
    a += way == BY_COLUMNS ? stride : 1;
    b += row_b;
  }
  tile_end(t, sum, rows, vectors);
}

/* One row by two whole panels side by side: one alone has too few sums in flight.
 * step_a: from k to k. */
static void tile_pair(const Tile *t, const Tile *u, int64_t step_a) {
  Vector sum_t[1][VECTORS_MAX], sum_u[1][VECTORS_MAX];
  UNROLL
  for (int j = 0; j < VECTORS_MAX; j++) sum_t[0][j] = sum_u[0][j] = (Vector){0};
  const real *a = t->a, *b_t = t->b, *b_u = u->b;
  int64_t row_t = t->row_b, row_u = u->row_b, K = t->K;
  int last_t = t->last, last_u = u->last;
  UNROLL_FOUR
  for (int64_t k = 0; k < K; k++) {
    tile_step(sum_t, a, 0, b_t, last_t, 1, VECTORS_MAX);
    tile_step(sum_u, a, 0, b_u, last_u, 1, VECTORS_MAX);
    a += step_a, b_t += row_t, b_u += row_u;
  }
  tile_end(t, sum_t, 1, VECTORS_MAX);
  tile_end(u, sum_u, 1, VECTORS_MAX);
}

/* Tiles that there is code for: rows, vectors. */
#define TILES_SIX(X, v) X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TILES_TWELVE(X, v) \
  TILES_SIX(X, v) X(7, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v)
#if defined SIMD_avx512
#define TILES(X)                                                                       \
  TILES_TWELVE(X, 1) TILES_TWELVE(X, 2) TILES_SIX(X, 3) X(7, 3) X(8, 3) TILES_SIX(X, 4)
static const int rows_of[] = {0, 12, 12, 8, 6};
#elif defined SIMD_avx2
#define TILES(X) TILES_TWELVE(X, 1) TILES_SIX(X, 2) X(1, 3) X(2, 3) X(3, 3) X(4, 3)
static const int rows_of[] = {0, 12, 6, 4};
#else
#define TILES(X) TILES_TWELVE(X, 1) TILES_SIX(X, 2)
static const int rows_of[] = {0, 12, 6};
#endif

#define TILE(rows, vectors)                              \
  static void tile_##rows##_##vectors(const Tile *t) {   \
    tile_run(t, BY_ROWS, rows, vectors);                    \
  }                                                      \
  static void tile_t_##rows##_##vectors(const Tile *t) { \
    tile_run(t, BY_COLUMNS, rows, vectors);                 \
  }                                                      \
  static void tile_f_##rows##_##vectors(const Tile *t) { \
    tile_run(t, FETCHING, rows, vectors);           \
  }
TILES(TILE)
#undef TILE

typedef void (*TileRun)(const Tile *tile);
static const TileRun tiles[VECTORS_MAX + 1][ROWS_MAX + 1][N_WAYS] = {
#define TILE(rows, vectors)                                                \
  [vectors][rows] = {tile_##rows##_##vectors, tile_t_##rows##_##vectors,   \
                     tile_f_##rows##_##vectors},
    TILES(TILE)
#undef TILE
};

/* -- matrix times matrix ----------------------------------------------------------- */

/* Lines of a cache that a tile fetches, one with every second step of k; what would be
 * too many is left out. */
enum { LINES_MAX = DEPTH / 2 };
typedef struct Lines {
  const real *at[LINES_MAX + 1];
  int64_t n;
} Lines;

/* Those of n_rows rows of n reals. */
static void add_lines(Lines *lines, const real *p, int64_t n_rows, int64_t stride,
                      int64_t n) {
  for (int64_t i = 0; i < n_rows; i++, p += stride)
    for (int64_t j = 0; j < n && lines->n < LINES_MAX; j += LINE)
      lines->at[lines->n++] = p + j;
}

static void fetch_with(Tile *t, Lines *lines) {
  if (lines->n % 2) lines->at[lines->n] = lines->at[lines->n - 1], lines->n++;
  t->lines = lines->at, t->n_lines = lines->n;
}

/* Lines of memory that is wanted next: `n` from `from` on. */
typedef struct Ahead {
  const real *from;
  int64_t n;
} Ahead;

static void fetch_result(const real *c, int64_t rows, int64_t row_c, int64_t columns) {
  for (int64_t i = 0; i < rows; i++, c += row_c)
    for (int64_t j = 0; j < columns; j += LINE) __builtin_prefetch(c + j, 1, 3);
}

/* Tiles from top to bottom of a panel; `t` is the first. far_c: lines of C are fetched
 * a tile ahead. */
static void panel(Tile t, int64_t M, int vectors, bool transposed, const Ahead *ahead,
                  bool far_c) {
  const real *a = t.a;
  real *c = t.c;
  int64_t n_tiles = divide_up(M, rows_of[vectors]);
  Way way = transposed ? BY_COLUMNS : ahead->n ? FETCHING : BY_ROWS;
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t i = tile * M / n_tiles, end = (tile + 1) * M / n_tiles;
    Lines lines; /* of which most stay as they are */
    if (way == FETCHING) {
      int64_t first = tile * ahead->n / n_tiles;
      lines.n = 0;
      add_lines(&lines, ahead->from + first * LINE,
                (tile + 1) * ahead->n / n_tiles - first, LINE, 1);
      fetch_with(&t, &lines);
    }
    if (far_c)
      fetch_result(c + end * t.row_c, least(end - i, M - end), t.row_c,
                   vectors * WIDTH);
    t.a = a + i * (transposed ? 1 : t.stride_a);
    t.c = c + i * t.row_c;
    tiles[vectors][end - i][way](&t);
  }
}

/* With 16 registers tiles of four rows by three vectors are as fast as six by two, and
 * twelve by one are not: so an odd number of vectors has a panel of three. */
static int64_t panel_count(int64_t n_vectors) {
#ifdef SIMD_avx2
  return n_vectors > 3 ? n_vectors / 2 : 1;
#else
  return divide_up(n_vectors, VECTORS_MAX);
#endif
}

/* Of B: its first column, its columns, and in how many vectors; how many of the columns
 * the panel before it has, too. */
typedef struct Panel {
  int64_t j, n;
  int vectors, again;
} Panel;

/* Panel p of n_panels. */
static Panel panel_at(int64_t N, int64_t p, int64_t n_panels) {
  int64_t n_vectors = divide_up(N, WIDTH);
  int64_t first = p * n_vectors / n_panels, end = (p + 1) * n_vectors / n_panels;
  int64_t j = first * WIDTH;
  return (Panel){j, least(N, end * WIDTH) - j, (int)(end - first), 0};
}

/* The same; where the last one would end within a vector it begins as much earlier. */
static Panel panel_of(int64_t N, int64_t p, int64_t n_panels) {
  Panel at = panel_at(N, p, n_panels);
  int64_t again = at.vectors * WIDTH - at.n;
  if (MASKED || again > at.j) return at;
  return (Panel){at.j - again, at.n + again, at.vectors, (int)again};
}

/* Part i of n of it. */
static Ahead part_of(const Ahead *all, int64_t i, int64_t n) {
  int64_t first = i * all->n / n;
  return (Ahead){all->from + first * LINE, (i + 1) * all->n / n - first};
}

/* A band of rows, one chunk of K. */
static void band(real *c, const real *a, const real *b, int64_t M, int64_t N, int64_t K,
                 const GemmStrides *s, bool add, const Ahead *fetched) {
  real copy[DEPTH * VECTORS_MAX * WIDTH] __attribute__((aligned(VECTOR_BYTES)));
  int64_t n_panels = panel_count(divide_up(N, WIDTH));
  for (int64_t p = 0; p < n_panels; p++) {
    Panel at = panel_of(N, p, n_panels);
    Tile t = {.c = c + at.j, .a = a, .b = b, .row_c = s->c, .row_b = s->b,
              .stride_a = s->a, .K = K, .add = add, .again = at.again,
              .last = (int)at.n - (at.vectors - 1) * WIDTH};
    t.b += at.j * (s->transpose_b ? s->b : 1);
    bool copied = s->transpose_b || (!MASKED && t.last < WIDTH);
    if (copied && s->transpose_b) copy_transposed(copy, t.b, K, at.n, s->b);
    else if (copied) copy_padded(copy, t.b, K, at.n, s->b);
    if (copied) t.b = copy, t.row_b = at.vectors * WIDTH;
    Ahead ahead = part_of(fetched, p, n_panels);
    panel(t, M, at.vectors, s->transpose_a, &ahead, s->far_c);
  }
}

void KN(gemm)(real *c, const real *a, const real *b, int64_t M, int64_t N, int64_t K,
              const GemmStrides *s) {
  int64_t n_chunks = divide_up(K, DEPTH), n_bands = divide_up(M, BAND);
  Ahead all = {s->ahead, divide_up(s->n_ahead, LINE)};
  for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
    int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
    for (int64_t m = 0; m < n_bands; m++) {
      int64_t i = m * M / n_bands, rows = (m + 1) * M / n_bands - i;
      Ahead ahead = part_of(&all, chunk * n_bands + m, n_chunks * n_bands);
      band(c + i * s->c, a + (s->transpose_a ? k * s->a + i : i * s->a + k),
           b + (s->transpose_b ? k : k * s->b), rows, N, depth, s, chunk > 0, &ahead);
    }
  }
}

/* -- of a B, or into a C, that lies in memory -------------------------------------- */

/* A panel of a chunk of B as it is stored: rows of n reals, `stride` apart, or columns,
 * where it is transposed. It is copied to `to`. */
typedef struct Rows {
  real *to;
  const real *from;
  int64_t n_rows, n, stride;
  bool transposed;
} Rows;

/* Columns are copied all at once, with the last of them. */
static void copy_rows(const Rows *r, int64_t first, int64_t end) {
  int64_t row = divide_up(r->n, WIDTH) * WIDTH;
  if (!r->transposed)
    copy_padded(r->to + first * row, r->from + first * r->stride, end - first, r->n,
                r->stride);
  else if (end == r->n_rows)
    copy_transposed(r->to, r->from, r->n, r->n_rows, r->stride);
}

/* Tiles from top to bottom of a panel of t.K rows of B. With each of them come lines of
 * C that the one below writes, and some rows of the panel that is next, while those
 * before them are copied. */
static void far_panel(Tile t, int64_t M, int vectors, const Rows *next) {
  const real *a = t.a;
  real *c = t.c;
  int64_t n_tiles = divide_up(M, rows_of[vectors]), copied = 0, fetched = 0;
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t i = tile * M / n_tiles, end = (tile + 1) * M / n_tiles;
    copy_rows(next, copied, fetched);
    copied = fetched;
    fetched = (tile + 1) * next->n_rows / n_tiles;
    Lines lines;
    lines.n = 0;
    add_lines(&lines, c + end * t.row_c, least(end - i, M - end), t.row_c,
              vectors * WIDTH);
    add_lines(&lines, next->from + copied * next->stride, fetched - copied,
              next->stride, next->n);
    fetch_with(&t, &lines);
    t.a = a + i * t.stride_a;
    t.c = c + i * t.row_c;
    tiles[vectors][end - i][FETCHING](&t);
  }
  copy_rows(next, copied, fetched);
}

enum { FAR_BAND = 256 }; /* rows of A that a panel of B is copied for */

/* Panel p of n of a chunk of B; behind the last panel comes the first of the next band
 * of A or, after the last band, chunk. No rows: there is none. */
static Rows far_rows(const real *b, int64_t N, int64_t K, const GemmStrides *s,
                     int64_t chunk, bool last_band, int64_t p, int64_t n) {
  int64_t n_chunks = divide_up(K, DEPTH);
  if (p == n) chunk += last_band, p = 0;
  if (chunk == n_chunks || n == 0) return (Rows){.from = b};
  Panel at = panel_of(N, p, n);
  int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
  if (s->transpose_b)
    return (Rows){.from = b + at.j * s->b + k, .n_rows = at.n, .n = depth,
                  .stride = s->b, .transposed = true};
  return (Rows){.from = b + k * s->b + at.j, .n_rows = depth, .n = at.n,
                .stride = s->b};
}

void KN(gemm_far)(real *c, const real *a, const real *b, int64_t M, int64_t N,
                  int64_t K, const GemmStrides *s) {
  real copy[2][DEPTH * VECTORS_MAX * WIDTH] __attribute__((aligned(VECTOR_BYTES)));
  real turned[FAR_BAND * DEPTH] __attribute__((aligned(VECTOR_BYTES)));
  int64_t n_panels = panel_count(divide_up(N, WIDTH)), n_chunks = divide_up(K, DEPTH);
  int64_t n_bands = divide_up(M, FAR_BAND), n_done = 0;
  Rows here = far_rows(b, N, K, s, 0, false, 0, n_panels);
  here.to = copy[0];
  copy_rows(&here, 0, here.n_rows);
  for (int64_t part = 0; part < n_chunks * n_bands; part++) {
    int64_t chunk = part / n_bands, m = part % n_bands;
    int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
    int64_t i = m * M / n_bands, rows = (m + 1) * M / n_bands - i;
    Tile t = {.a = a + i * s->a + k, .stride_a = s->a, .row_c = s->c, .K = depth,
              .add = chunk > 0};
    if (s->transpose_a) {
      copy_transposed(turned, a + k * s->a + i, rows, depth, s->a);
      t.a = turned, t.stride_a = divide_up(depth, WIDTH) * WIDTH;
    }
    for (int64_t p = 0; p < n_panels; p++) {
      Panel at = panel_of(N, p, n_panels);
      Rows next = far_rows(b, N, K, s, chunk, m + 1 == n_bands, p + 1, n_panels);
      next.to = copy[++n_done % 2];
      t.c = c + i * s->c + at.j;
      t.b = here.to, t.row_b = at.vectors * WIDTH;
      t.last = (int)at.n - (at.vectors - 1) * WIDTH;
      t.again = chunk > 0 ? at.again : 0;
      far_panel(t, rows, at.vectors, &next);
      here = next;
    }
  }
}

/* -- B copied once, for many products ---------------------------------------------- */

/* Of one panel of a chunk, whose rows are filled up to a multiple of WIDTH. They lie
 * panel by panel of a chunk, chunk by chunk. */
static int64_t packed_reals(int64_t depth, int vectors) {
  return divide_up(depth, WIDTH) * WIDTH * vectors * WIDTH;
}

static int64_t packed_panels(int64_t N) {
  return divide_up(divide_up(N, WIDTH), VECTORS_MAX);
}

void KN(gemm_pack)(real *out, const real *b, int64_t N, int64_t K, int64_t stride,
                   bool transposed) {
  int64_t n_chunks = divide_up(K, DEPTH);
  int64_t n_panels = packed_panels(N);
  for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
    int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
    for (int64_t p = 0; p < n_panels; p++) {
      Panel at = panel_at(N, p, n_panels);
      if (transposed) copy_transposed(out, b + at.j * stride + k, depth, at.n, stride);
      else copy_padded(out, b + k * stride + at.j, depth, at.n, stride);
      out += packed_reals(depth, at.vectors);
    }
  }
}

/* Lines that are written next: they come while others are. */
static void fetch_written(const real *p, int64_t n) {
  for (int64_t i = 0; i < n; i += LINE) __builtin_prefetch(p + i, 1, 3);
}

/* Rows first .. first + n - 1 of a chunk of K. */
static void pack_chunk_rows(real *out, const real *b, int64_t N, int64_t K,
                            int64_t stride, int64_t first, int64_t n) {
  int64_t n_panels = packed_panels(N);
  for (int64_t p = 0; p < n_panels; p++) {
    Panel at = panel_at(N, p, n_panels);
    real *to = out + first * at.vectors * WIDTH;
    out += packed_reals(K, at.vectors);
    int64_t row = p + 1 < n_panels ? panel_at(N, p + 1, n_panels).vectors * WIDTH : 0;
    fetch_written(out + first * row, n * row);
    copy_padded(to, b + at.j, n, at.n, stride);
  }
}

void KN(gemm_pack_rows)(real *out, const real *b, int64_t N, int64_t K, int64_t stride,
                        int64_t first, int64_t n) {
  int64_t n_chunks = divide_up(K, DEPTH);
  for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
    int64_t k = chunk * K / n_chunks, depth = (chunk + 1) * K / n_chunks - k;
    int64_t from = most(first, k), end = least(first + n, k + depth);
    if (from < end)
      pack_chunk_rows(out, b + (from - first) * stride, N, depth, stride, from - k,
                      end - from);
    out += packed_reals(depth, (int)divide_up(N, WIDTH));
  }
}

/* The first tile of a panel, with K rows from k on. */
static Tile packed_tile(const GemmPacked *g, real *c, const real *a, int64_t k,
                        int64_t K, Panel at, const real *packed) {
  return (Tile){.c = c + at.j, .a = a + (g->transposed ? k * g->row_a : k),
                .b = packed, .row_c = g->row_c, .row_b = at.vectors * WIDTH,
                .stride_a = g->row_a, .K = K,
                .last = (int)at.n - (at.vectors - 1) * WIDTH, .add = g->add || k > 0};
}

/* A panel, or, of a single row, two; says how many. */
static int packed_panel(const Tile *t, const GemmPacked *g, int64_t p, int64_t n_panels,
                        int vectors, const Ahead *ahead) {
  bool two = g->M == 1 && vectors == VECTORS_MAX && p + 1 < n_panels;
  Panel at = panel_at(g->N, two ? p + 1 : p, n_panels);
  if (!two || at.vectors < VECTORS_MAX) {
    panel(*t, g->M, vectors, g->transposed, ahead, false);
    return 1;
  }
  Tile u = *t;
  u.c += vectors * WIDTH;
  u.b += packed_reals(t->K, vectors);
  u.last = (int)at.n - (at.vectors - 1) * WIDTH;
  tile_pair(t, &u, g->transposed ? g->row_a : 1);
  return 2;
}

void KN(gemm_packed)(real *c, const real *a, const real *packed, const GemmPacked *g) {
  int64_t n_chunks = most(1, divide_up(g->K, DEPTH)); /* of no K: zeros */
  int64_t n_panels = packed_panels(g->N);
  Ahead all = {g->ahead, divide_up(g->n_ahead, LINE)};
  for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
    int64_t k = chunk * g->K / n_chunks, depth = (chunk + 1) * g->K / n_chunks - k;
    for (int64_t p = 0, n; p < n_panels; p += n) {
      Panel at = panel_at(g->N, p, n_panels);
      Tile t = packed_tile(g, c, a, k, depth, at, packed);
      Ahead ahead = part_of(&all, chunk * n_panels + p, n_chunks * n_panels);
      n = packed_panel(&t, g, p, n_panels, at.vectors, &ahead);
      packed += n * packed_reals(depth, at.vectors);
    }
  }
}

/* -- matrix times vector ----------------------------------------------------------- */

enum { LANES = 32, CHUNK = 4096, DOT_VECTORS = LANES / WIDTH };
enum { FLIGHT = 8 }; /* vectors of sums in flight */
enum { DOT_ROWS = FLIGHT / DOT_VECTORS > 1 ? FLIGHT / DOT_VECTORS : 1 };

/* sum[i] += x[i] . v, of the rows x[0], x[1] .. */
INLINE void dot_rows(double *sum, const real *x, int64_t stride, const real *v,
                     int64_t K, int rows) {
  Vector lane[DOT_ROWS][DOT_VECTORS];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < DOT_VECTORS; j++) lane[i][j] = (Vector){0};
  }
  int64_t whole = K / LANES * LANES;
  for (int64_t k = 0; k < whole; k += LANES) {
    UNROLL
    for (int j = 0; j < DOT_VECTORS; j++) {
      Vector factor = load(v + k + j * WIDTH);
      UNROLL
      for (int i = 0; i < rows; i++)
        lane[i][j] += load(x + i * stride + k + j * WIDTH) * factor;
    }
  }
  double half[DOT_ROWS][LANES / 4], chunk[DOT_ROWS] = {0};
  for (int i = 0; i < rows; i++) {
    real part[LANES];
    UNROLL
    for (int j = 0; j < DOT_VECTORS; j++) store(part + j * WIDTH, lane[i][j]);
    for (int l = 0; l < LANES / 4; l++)
      half[i][l] = ((double)part[l] + (double)part[l + LANES / 2]) +
                   ((double)part[l + LANES / 4] + (double)part[l + 3 * LANES / 4]);
  }
  for (int l = 0; l < LANES / 4; l++) {
    UNROLL
    for (int i = 0; i < rows; i++) chunk[i] += half[i][l];
  }
  for (int64_t k = whole; k < K; k++) {
    UNROLL
    for (int i = 0; i < rows; i++) chunk[i] += (double)(x[i * stride + k] * v[k]);
  }
  UNROLL
  for (int i = 0; i < rows; i++) sum[i] += chunk[i];
}

INLINE void rows_times(real *y, const real *x, const real *v, int64_t K, int64_t stride,
                       int rows) {
  double sum[DOT_ROWS] = {0};
  for (int64_t k = 0; k < K; k += CHUNK)
    dot_rows(sum, x + k, stride, v + k, least(CHUNK, K - k), rows);
  for (int i = 0; i < rows; i++) y[i] = (real)sum[i];
}

void KN(gemv_rows)(real *y, const real *x, const real *v, int64_t n, int64_t K,
                   int64_t stride) {
  int64_t i = 0;
  for (; i + DOT_ROWS <= n; i += DOT_ROWS)
    rows_times(y + i, x + i * stride, v, K, stride, DOT_ROWS);
  for (; i < n; i++) rows_times(y + i, x + i * stride, v, K, stride, 1);
}

/* Some vectors of columns, which stay in registers over all of K; of the last one,
 * `last` elements. */
INLINE void columns_times(real *y, const real *x, const real *v, int64_t K,
                          int64_t stride, int vectors, int last) {
  Vector sum[FLIGHT];
  UNROLL
  for (int j = 0; j < vectors; j++) sum[j] = (Vector){0};
  for (int64_t k = 0; k < K; k++, x += stride) {
    Vector factor = v[k] - (Vector){0};
    UNROLL
    for (int j = 0; j < vectors; j++) {
      Vector row = last < WIDTH && j == vectors - 1 ? load_part(x + j * WIDTH, last)
                                                    : load(x + j * WIDTH);
      sum[j] += factor * row;
    }
  }
  UNROLL
  for (int j = 0; j < vectors; j++)
    store_first(y + j * WIDTH, sum[j], j == vectors - 1 ? last : WIDTH);
}

void KN(gemv_columns)(real *y, const real *x, const real *v, int64_t n, int64_t K,
                      int64_t stride) {
  int64_t j = 0;
  for (; j + FLIGHT * WIDTH <= n; j += FLIGHT * WIDTH)
    columns_times(y + j, x + j, v, K, stride, FLIGHT, WIDTH);
  for (; j + 2 * WIDTH <= n; j += 2 * WIDTH)
    columns_times(y + j, x + j, v, K, stride, 2, WIDTH);
  for (; j < n; j += WIDTH)
    columns_times(y + j, x + j, v, K, stride, 1, first_of(n - j));
}
