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

enum { ROWS_MAX = 12, VECTORS_MAX = MASKED ? 4 : 2 };

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
#define TILES_FOUR(X, v) X(1, v) X(2, v) X(3, v) X(4, v)
#define TILES_FIVE(X, v) TILES_FOUR(X, v) X(5, v)
#define TILES_SIX(X, v) TILES_FIVE(X, v) X(6, v)
#define TILES_EIGHT(X, v) TILES_SIX(X, v) X(7, v) X(8, v)
#define TILES_TWELVE(X, v) TILES_EIGHT(X, v) X(9, v) X(10, v) X(11, v) X(12, v)
#if defined SIMD_avx512
#define TILES(X) TILES_TWELVE(X, 1) TILES_TWELVE(X, 2) TILES_EIGHT(X, 3) TILES_SIX(X, 4)
static const int rows_of[] = {0, 12, 12, 8, 6};
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

/* -- sums of taps that lie side by side -------------------------------------------- */

/* A tile: some lines by all taps of each, of which one element of x serves all: as tap
 * s of pixel j - s. */
enum { SLIDE_TAPS = MASKED ? 5 : 3, SLIDE_LINES = MASKED ? 8 : 4 };

/* Adds the elements at `at` of the lines for taps `first` to `end`; b: the pixel that
 * tap 0 belongs to. */
INLINE void slide_by(Vector sum[][SLIDE_TAPS], const real *const *x, int64_t at,
                     const real *b, int lines, int first, int end) {
  Vector v[SLIDE_TAPS];
  UNROLL
  for (int s = first; s < end; s++) v[s] = load(b - s * WIDTH);
  UNROLL
  for (int k = 0; k < lines; k++) {
    real element = x[k][at];
    UNROLL
    for (int s = first; s < end; s++) sum[k][s] = muladd(element, v[s], sum[k][s]);
  }
}

/* One row; x at `at`: what tap 0 of its first pixel sees. */
INLINE void slide_row(const ConvSlide *t, Vector sum[][SLIDE_TAPS],
                      const real *const *x, int64_t at, const real *b, int lines,
                      int taps) {
  int64_t begin = at + t->begin, all = at + t->n, end = at + t->end;
  UNROLL
  for (int s = 1; s < taps; s++, at++, b += WIDTH)
    if (at >= begin) slide_by(sum, x, at, b, lines, 0, s);
  for (; at < all; at++, b += WIDTH) slide_by(sum, x, at, b, lines, 0, taps);
  UNROLL
  for (int s = 1; s < taps; s++, at++, b += WIDTH)
    if (at < end) slide_by(sum, x, at, b, lines, s, taps);
}

INLINE void slide_run(const ConvSlide *t, real *c, const int32_t *tap, int lines,
                      int taps) {
  Vector sum[SLIDE_LINES][SLIDE_TAPS];
  const real *x[SLIDE_LINES];
  UNROLL
  for (int k = 0; k < lines; k++) {
    x[k] = t->x + tap[k * taps];
    UNROLL
    for (int s = 0; s < taps; s++) sum[k][s] = (Vector){0};
  }
  for (int64_t o = 0; o < t->n_rows[0]; o++)
    for (int64_t i = 0; i < t->n_rows[1]; i++)
      slide_row(t, sum, x, o * t->x_step[0] + i * t->x_step[1],
                t->b + (o * t->b_step[0] + i * t->b_step[1]) * WIDTH, lines, taps);
  UNROLL
  for (int k = 0; k < lines; k++) {
    UNROLL
    for (int s = 0; s < taps; s++, c += WIDTH) store(c, load(c) + sum[k][s]);
  }
}

#ifdef SIMD_avx512
#define SLIDES(X) TILES_EIGHT(X, 3) TILES_FIVE(X, 5)
static const int lines_of[] = {[3] = 8, [5] = 5};
#else
#define SLIDES(X) TILES_FOUR(X, 3)
static const int lines_of[] = {[3] = 4};
#endif

#define SLIDE(lines, taps)                                        \
  static void slide_##lines##_##taps(const ConvSlide *t, real *c, \
                                     const int32_t *tap) {        \
    slide_run(t, c, tap, lines, taps);                            \
  }
SLIDES(SLIDE)
#undef SLIDE

typedef void (*SlideRun)(const ConvSlide *t, real *c, const int32_t *tap);
static const SlideRun slides[SLIDE_TAPS + 1][SLIDE_LINES + 1] = {
#define SLIDE(lines, taps) [taps][lines] = slide_##lines##_##taps,
    SLIDES(SLIDE)
#undef SLIDE
};

bool KN(conv_slides)(int64_t S) { return S <= SLIDE_TAPS && slides[S][1]; }

void KN(conv_slide)(const ConvSlide *t) {
  int64_t n_tiles = divide_up(t->n_lines, lines_of[t->S]);
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t k = tile * t->n_lines / n_tiles, end = (tile + 1) * t->n_lines / n_tiles;
    slides[t->S][end - k](t, t->c + k * t->S * WIDTH, t->tap + k * t->S);
  }
}

/* -- vectors of pixels of some results --------------------------------------------- */

/* A tile: some results by some vectors of pixels, which share what they see of x. */
enum { ALONG_ROWS = 6, ALONG_VECTORS = MASKED ? 4 : 2 };

typedef struct Along {
  const ConvAlong *all;
  real *y[ALONG_VECTORS]; /* of the first result */
  const real *x[ALONG_VECTORS];
  int n[ALONG_VECTORS]; /* pixels of a vector */
} Along;

INLINE Vector load_first(const real *p, int n, bool whole) {
  return whole ? load(p) : load_part(p, n);
}

/* Results `first` on. */
INLINE void along_run(const Along *t, int64_t first, int rows, int vectors,
                      bool whole) {
  const ConvAlong *a = t->all;
  Vector sum[ALONG_ROWS][ALONG_VECTORS];
  const real *x[ALONG_VECTORS];
  int n[ALONG_VECTORS];
  UNROLL
  for (int j = 0; j < vectors; j++) {
    x[j] = t->x[j];
    n[j] = t->n[j];
    UNROLL
    for (int i = 0; i < rows; i++) sum[i][j] = (Vector){0};
  }
  const real *b = a->b + first;
  const int32_t *step = a->step;
  for (const int32_t *end = step + a->K; step < end; step++, b += a->lanes) {
    int64_t at = *step;
    Vector v[ALONG_VECTORS];
    UNROLL
    for (int j = 0; j < vectors; j++) v[j] = load_first(x[j] + at, n[j], whole);
    UNROLL
    for (int i = 0; i < rows; i++) {
      real s = b[i];
      UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = muladd(s, v[j], sum[i][j]);
    }
  }
  UNROLL
  for (int j = 0; j < vectors; j++) {
    real *y = t->y[j] + first * a->y_result;
    UNROLL
    for (int i = 0; i < rows; i++, y += a->y_result) {
      Vector v = sum[i][j];
      if (a->add) v += load_first(y, n[j], whole);
      if (whole) store(y, v);
      else store_first(y, v, n[j]);
    }
  }
}

#ifdef SIMD_avx512
#define ALONGS(X) TILES_SIX(X, 1) TILES_SIX(X, 2) TILES_SIX(X, 3) TILES_SIX(X, 4)
#else
#define ALONGS(X) TILES_SIX(X, 1) TILES_SIX(X, 2)
#endif
#define ALONG(rows, vectors)                                              \
  static void along_##rows##_##vectors(const Along *t, int64_t first,     \
                                       bool whole) {                      \
    if (whole) along_run(t, first, rows, vectors, true);                  \
    else along_run(t, first, rows, vectors, false);                       \
  }
ALONGS(ALONG)
#undef ALONG

typedef void (*AlongRun)(const Along *tile, int64_t first, bool whole);
static const AlongRun along_tiles[ALONG_VECTORS + 1][ALONG_ROWS + 1] = {
#define ALONG(rows, vectors) [vectors][rows] = along_##rows##_##vectors,
    ALONGS(ALONG)
#undef ALONG
};

/* Vectors of a row: the last one lies over the end of the one before, where that is
 * there and sums are not added, and so taken twice. */
static bool rows_are_whole(const ConvAlong *a) {
  return a->n >= WIDTH && (!a->add || a->n % WIDTH == 0);
}

void KN(conv_along)(const ConvAlong *a) {
  Along t = {.all = a};
  int64_t of_row = divide_up(a->n, WIDTH), n = a->n_images * a->n_rows * of_row;
  int64_t n_tiles = divide_up(a->M, ALONG_ROWS), at = 0, row = 0, image = 0;
  bool whole = rows_are_whole(a);
  for (int64_t i = 0; i < n; i += ALONG_VECTORS) {
    int vectors = (int)least(ALONG_VECTORS, n - i);
    for (int j = 0; j < vectors; j++) {
      int64_t place = whole ? least(at, a->n - WIDTH) : at;
      t.y[j] = a->y + image * a->y_image + row * a->y_row + place;
      t.x[j] = a->x + image * a->x_image + row * a->x_row + place;
      t.n[j] = first_of(a->n - place);
      at += WIDTH;
      if (at < a->n) continue;
      at = 0;
      if (++row < a->n_rows) continue;
      row = 0;
      image++;
    }
    for (int64_t tile = 1, m = 0, end; m < a->M; tile++, m = end) {
      end = tile * a->M / n_tiles;
      along_tiles[vectors][end - m](&t, m, whole);
    }
  }
}

/* -- vectors of pixels of one result ----------------------------------------------- */

/* A tile: rows of its image by some vectors. */
enum { IMAGE_ROWS = 6, IMAGE_VECTORS = 2 };

typedef struct Image {
  real *y;
  const real *x, *b;
  const int32_t *step;
  int64_t y_row, x_row;
  int64_t K, lanes;
  int64_t last_at; /* the last vector's place: behind the others, or over the end of the
                      one before, which has the same sums there */
  int last;        /* pixels of the last vector */
  bool add;
} Image;

INLINE void image_end(const Image *t, Vector sum[][IMAGE_VECTORS], int rows,
                      int vectors, bool whole) {
  UNROLL
  for (int i = 0; i < rows; i++) {
    real *y = t->y + i * t->y_row;
    UNROLL
    for (int j = 0; j < vectors; j++) {
      bool all = whole || j < vectors - 1;
      real *at = j < vectors - 1 ? y + j * WIDTH : y + t->last_at;
      Vector v = sum[i][j];
      if (t->add) v += load_first(at, t->last, all);
      if (all) store(at, v);
      else store_first(at, v, t->last);
    }
  }
}

INLINE void image_run(const Image *t, int rows, int vectors, bool whole) {
  Vector sum[IMAGE_ROWS][IMAGE_VECTORS];
  const real *x[IMAGE_ROWS];
  UNROLL
  for (int i = 0; i < rows; i++) {
    x[i] = t->x + i * t->x_row;
    UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (Vector){0};
  }
  const real *b = t->b;
  const int32_t *step = t->step;
  for (const int32_t *end = step + t->K; step < end; step++, b += t->lanes) {
    int64_t at = *step, last_at = at + t->last_at;
    UNROLL
    for (int i = 0; i < rows; i++) {
      UNROLL
      for (int j = 0; j < vectors; j++) {
        Vector v = j < vectors - 1 ? load(x[i] + at + j * WIDTH)
                                   : load_first(x[i] + last_at, t->last, whole);
        sum[i][j] = muladd(*b, v, sum[i][j]);
      }
    }
  }
  image_end(t, sum, rows, vectors, whole);
}

#define IMAGE(rows, vectors)                                \
  static void image_##rows##_##vectors(const Image *t) {    \
    if (t->last == WIDTH) image_run(t, rows, vectors, true); \
    else image_run(t, rows, vectors, false);                \
  }
TILES_SIX(IMAGE, 1)
TILES_SIX(IMAGE, 2)
#undef IMAGE

typedef void (*ImageRun)(const Image *tile);
static const ImageRun image_tiles[IMAGE_VECTORS + 1][IMAGE_ROWS + 1] = {
#define IMAGE(rows, vectors) [vectors][rows] = image_##rows##_##vectors,
    TILES_SIX(IMAGE, 1) TILES_SIX(IMAGE, 2)
#undef IMAGE
};

void KN(conv_rows)(real *y, int64_t y_row, const real *x, int64_t x_row,
                   const int32_t *step, int64_t K, const real *b, int64_t lanes,
                   int64_t n_rows, int64_t n, bool add) {
  Image t = {.b = b, .step = step, .y_row = y_row, .x_row = x_row, .K = K,
             .lanes = lanes, .add = add};
  int64_t n_tiles = divide_up(n_rows, IMAGE_ROWS);
  for (int64_t j = 0; j < n; j += IMAGE_VECTORS * WIDTH) {
    int64_t pixels = least(IMAGE_VECTORS * WIDTH, n - j);
    int64_t vectors = divide_up(pixels, WIDTH);
    bool over = !add && j + pixels >= WIDTH;
    t.last_at = over ? pixels - WIDTH : (vectors - 1) * WIDTH;
    t.last = (int)(pixels - t.last_at);
    for (int64_t tile = 1, i = 0, end; i < n_rows; tile++, i = end) {
      end = tile * n_rows / n_tiles;
      t.y = y + i * y_row + j;
      t.x = x + i * x_row + j;
      image_tiles[vectors][end - i](&t);
    }
  }
}

/* -- sums along pixels ------------------------------------------------------------- */

enum { DOTS = 12 }; /* taps side by side */

static real fold(Vector v) {
  real part[WIDTH], sum = 0;
  store(part, v);
  for (int half = WIDTH / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) part[l] += part[l + half];
  sum += part[0];
  return sum;
}

/* Images of y's gradient and of x: rows of n pixels. */
typedef struct Dots {
  const real *gy, *x;
  int64_t gy_row, gy_image, x_row, x_image;
  int64_t n_images, n_rows, n;
} Dots;

INLINE void dots_row(Vector *sum, const real *gy, const real *x, const int32_t *step,
                     int64_t n, int taps) {
  int64_t j = 0;
  for (; j + WIDTH <= n; j += WIDTH) {
    Vector v = load(gy + j);
    UNROLL
    for (int k = 0; k < taps; k++)
      sum[k] = add_product(v, load(x + step[k] + j), sum[k]);
  }
  if (j == n) return;
  int rest = (int)(n - j);
  Vector v = load_part(gy + j, rest);
  UNROLL
  for (int k = 0; k < taps; k++)
    sum[k] = add_product(v, load_part(x + step[k] + j, rest), sum[k]);
}

INLINE void dots_run(real *c, int64_t lanes, const Dots *t, const int32_t *step,
                     int taps) {
  Vector sum[DOTS];
  UNROLL
  for (int k = 0; k < taps; k++) sum[k] = (Vector){0};
  for (int64_t image = 0; image < t->n_images; image++) {
    const real *gy = t->gy + image * t->gy_image, *x = t->x + image * t->x_image;
    for (int64_t i = 0; i < t->n_rows; i++, gy += t->gy_row, x += t->x_row)
      dots_row(sum, gy, x, step, t->n, taps);
  }
  UNROLL
  for (int k = 0; k < taps; k++) c[k * lanes] += fold(sum[k]);
}

#define DOT(taps, unused)                                                \
  static void dots_##taps(real *c, int64_t lanes, const Dots *t,         \
                          const int32_t *step) {                         \
    dots_run(c, lanes, t, step, taps);                                   \
  }
TILES_TWELVE(DOT, 0)
#undef DOT

typedef void (*DotsRun)(real *c, int64_t lanes, const Dots *t, const int32_t *step);
static const DotsRun dots_tiles[DOTS + 1] = {
#define DOT(taps, unused) [taps] = dots_##taps,
    TILES_TWELVE(DOT, 0)
#undef DOT
};

void KN(conv_dots)(real *c, int64_t lanes, const real *gy, int64_t gy_row,
                   int64_t gy_image, const real *x, int64_t x_row, int64_t x_image,
                   const int32_t *step, int64_t K, int64_t n_images, int64_t n_rows,
                   int64_t n) {
  const Dots t = {.gy = gy, .x = x, .gy_row = gy_row, .gy_image = gy_image,
                  .x_row = x_row, .x_image = x_image, .n_images = n_images,
                  .n_rows = n_rows, .n = n};
  int64_t n_tiles = divide_up(K, DOTS);
  for (int64_t tile = 0; tile < n_tiles; tile++) {
    int64_t k = tile * K / n_tiles, end = (tile + 1) * K / n_tiles;
    dots_tiles[end - k](c + k * lanes, lanes, &t, step + k);
  }
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

static bool all_zero(Vector v) {
  real sum = 0;
  for (int l = 0; l < WIDTH; l++) sum += v[l];
  return sum == 0;
}

/* x * 0 is NaN where x is infinite or NaN. */
bool KN(conv_finite)(const real *x, int64_t n) {
  Vector zero[4] = {{0}};
  int64_t i = 0;
  for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
    UNROLL
    for (int j = 0; j < 4; j++) zero[j] += load(x + i + j * WIDTH) * 0;
  }
  for (; i < n; i += WIDTH) zero[0] += load_part(x + i, first_of(n - i)) * 0;
  return all_zero((zero[0] + zero[1]) + (zero[2] + zero[3]));
}

/* Some rows of y, as copy_square has them; `zero`: of sums of x * 0. */
INLINE void take_square(real *b, int64_t lanes, const real *y, int64_t stride, int M,
                        int n, bool whole, Vector zero[4]) {
  Vector v[WIDTH] = {{0}}; /* analyzers do not see that all are set */
  UNROLL
  for (int i = 0; i < WIDTH; i++) {
    v[i] = load_first(y + (i < M ? i : M - 1) * stride, n, whole);
    zero[i % 4] += v[i] * 0;
  }
  transpose(v);
  UNROLL
  for (int i = 0; i < WIDTH; i++) store(b + i * lanes, v[i]);
}

bool KN(conv_take)(real *b, const real *y, int64_t stride, int64_t lanes, int64_t n,
                   int64_t M) {
  Vector zero[4] = {{0}};
  for (int64_t m = 0; m < M; m += WIDTH)
    for (int64_t j = 0; j < n; j += WIDTH) {
      real *to = b + j * lanes + m;
      const real *from = y + m * stride + j;
      int rows = first_of(M - m), columns = first_of(n - j);
      if (columns == WIDTH) take_square(to, lanes, from, stride, rows, WIDTH, 1, zero);
      else take_square(to, lanes, from, stride, rows, columns, 0, zero);
    }
  return all_zero((zero[0] + zero[1]) + (zero[2] + zero[3]));
}

/* Two vectors of y; j is even. */
INLINE void weave_pair(real *y, const real *const *x, int64_t j) {
  Vector even = load(x[0] + j / 2), odd = load(x[1] + j / 2);
  store(y + j, low(even, odd));
  store(y + j + WIDTH, high(even, odd));
}

/* y[j] = x[j % step][j / step]. The last pair of vectors begins earlier. */
void KN(conv_weave)(real *y, const real *const *x, int64_t step, int64_t n) {
  int64_t j = 0, two = 2 * WIDTH;
  if (step == 2 && n >= two) {
    for (; j + two <= n; j += two) weave_pair(y, x, j);
    weave_pair(y, x, (n - two) / 2 * 2);
    j = n / 2 * 2;
  }
  for (int64_t phase = 0; phase < least(step, n - j); phase++) {
    const real *from = x[phase];
    for (int64_t i = j / step, at = j + phase; at < n; i++, at += step) y[at] = from[i];
  }
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
