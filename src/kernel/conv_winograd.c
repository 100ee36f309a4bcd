/* conv_winograd.c: convolutions with fewer products, of 3 x 3 elements (16 for four
 * results in place of 36) and 5 x 5 (36 for four in place of 100), and their gradients:
 * Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
 *
 * Tile. Along an axis four pixels and three weights, or six and five, make two results.
 * Taken for polynomials, of which the values at the points 0, 1, -1 and infinity, and
 * 2 and -1/2 with five weights, are known, they are multiplied point by point:
 *
 *   y = A' [(G w) (B' x)]    with B' x: the pixels at the points, G w: the weights
 *   gw = G' [(A gy) (B' x)]  the same three matrices
 *
 * In a plane both axes are turned so, and 16 or 36 points are left, each a product of
 * matrices: results x sources by sources x tiles, or for the gradient of the weights
 * results x tiles by tiles x sources. The gradient of x is the same sum with the
 * weights the other way round. These points lie where rounding was seen to be least:
 * with three weights the errors are those of a plain sum, with five twice as large.
 * (Four results of three weights would need 36 products for sixteen; but then results
 * at an edge, which are small sums, have the errors of their neighbours.)
 *
 * Slab. Some images, or some rows of tiles of one, of a group; what its sources are at
 * all points is made at once, then the results by some planes at a time. A part is a
 * range of slabs that one thread takes.
 *
 * Where a result is not finite, it may be the fault of a pixel of its tile that it does
 * not see: then a slab is summed term by term, and so are gradients of weights. */
#include "kernel/conv_private.h"
#include <string.h>

enum {
  MOST_AREA = 25,          /* of a kernel */
  MOST_POINTS = WINOGRAD_POINTS * WINOGRAD_POINTS,
  LEAST_PLANES_3 = 48,
  LEAST_PLANES_5 = 24,
  MOST_PLANES = 512,
  LEAST_COLUMNS_3 = 6,      /* of tiles */
  LEAST_COLUMNS_5 = 4,
  MOST_COLUMNS = 512,
  SLAB_REALS = 1 << 16,    /* of sources at all points, unless tiles are fewer than */
  SLAB_TILES = 64,
  PARTS = 16,              /* at most, and half as many where they take more than */
  PARTS_REALS = 1 << 21,
  PLANES = 64,             /* of results at a time, at most */
  SUMS_REALS = 1 << 20,    /* of sums of gradients of all parts, but that there are */
  LEAST_PARTS = 4,
  MOST_SUMS = 1 << 22,     /* of so many */
  WEIGHTS = 512,           /* of a block of the first phase */
  FILTERS = 8              /* of a block that adds up parts */
};

/* G: its row of a finite point has the powers of the point, times a factor. */
typedef struct Point {
  double at, factor;
} Point;
static const Point three[] = {{0, 1}, {1, 0.5}, {-1, 0.5}},
                   five[] = {{0, 1}, {1, -1.0 / 3}, {-1, 1.0 / 3}, {2, 1.0 / 15},
                             {-0.5, -16.0 / 15}};

/* Element k of n of the row of a point; the last is at infinity. */
static double to_point(int64_t point, int64_t k, int64_t n) {
  if (point == n) return k == n - 1;
  Point p = n == 3 ? three[point] : five[point];
  for (int64_t i = 0; i < k; i++) p.factor *= p.at;
  return p.factor;
}

/* Both axes of G as one matrix, of n x n weights; backwards: the other way round. */
static void both_axes(real *out, int64_t n, bool backwards) {
  int64_t area = n * n, points = n + 1;
  for (int64_t i = 0; i < points * points; i++)
    for (int64_t k = 0; k < area; k++) {
      int64_t at = backwards ? area - 1 - k : k;
      *out++ = (real)(to_point(i / points, at / n, n) *
                      to_point(i % points, at % n, n));
    }
}

/* -- sizes ------------------------------------------------------------------------- */

typedef struct Tiles {
  Conv v;
  ConvResult result;
  int64_t M, planes;            /* results and sources of a group */
  int64_t size[2], out_size[2]; /* rows, columns of a source and a result */
  int64_t before[2];            /* where the first tile begins: so far outside */
  int64_t kernel, area;         /* columns of w; elements */
  int64_t points, all;          /* of a side of a tile, and of a tile */
  int64_t n[2];                 /* rows of tiles, columns */
  int64_t slab_images, slab_rows;
  int64_t n_bands, n_slabs, n_parts;
  int64_t line;                /* elements from plane to plane of tiles */
  int64_t sources, others;     /* from point to point: of sources, and below */
  int64_t pitch, window, half; /* of one plane: a row; all; on half of the way */
  int64_t weights;             /* of a group */
} Tiles;

/* Is at most a sixth of what tiles cover outside of the results, and do rows of them
 * nearly fill a vector? */
static bool is_covered(const Conv *v, ConvResult result, int64_t least_columns) {
  bool to_x = result == CONV_X;
  int64_t rows = to_x ? v->H : v->P, columns = to_x ? v->W : v->Q;
  int64_t down = divide_up(rows, 2), across = divide_up(columns, 2);
  return across >= least_columns && across <= MOST_COLUMNS &&
         5 * 4 * down * across <= 6 * rows * columns;
}

/* Fewer products do not outweigh going to points and back where there are few planes;
 * many planes or long rows would take much memory. */
bool conv_is_winograd(const Conv *v, ConvResult result) {
  bool is_3 = v->R == 3 && v->S == 3, is_5 = v->R == 5 && v->S == 5;
  bool fits = (is_3 || is_5) && v->N > 0;
  for (int i = 0; i < 2; i++)
    fits = fits && v->stride[i] == 1 && v->dilation[i] == 1 && v->before[i] < v->R;
  fits = fits && is_covered(v, result, is_5 ? LEAST_COLUMNS_5 : LEAST_COLUMNS_3) &&
         most(v->c, v->f) <= MOST_PLANES &&
         least(v->c, v->f) >= (is_5 ? LEAST_PLANES_5 : LEAST_PLANES_3);
  int64_t sums = v->G * v->f * v->c * (v->R + 1) * (v->R + 1);
  return fits && (result != CONV_W || sums * LEAST_PARTS <= MOST_SUMS);
}

static void set_slabs(Tiles *t) {
  int64_t image = t->n[0] * t->n[1];
  int64_t tiles = most(SLAB_TILES, SLAB_REALS / (t->all * t->planes));
  t->slab_images = least(most(1, tiles / image), t->v.N);
  t->slab_rows = divide_up(t->n[0], divide_up(image, most(tiles, t->n[1])));
  t->n_bands = divide_up(t->n[0], t->slab_rows);
  t->n_slabs = t->v.G * divide_up(t->v.N, t->slab_images) * t->n_bands;
}

/* Of a thread: a window, a plane on half of the way, sources at all points, and of some
 * results, or gradients of all of them, the same; of a gradient of weights a matrix
 * that is turned, too. */
static int64_t turned_reals(const Tiles *t) {
  return t->result == CONV_W ? conv_aligned(GEMM_PACKED(t->planes, t->line)) : 0;
}

static int64_t own_reals(const Tiles *t) {
  return t->window + t->half + t->all * (t->sources + t->others) + turned_reals(t);
}

static void set_parts(Tiles *t) {
  int64_t parts = PARTS * own_reals(t) > PARTS_REALS ? PARTS / 2 : PARTS;
  if (t->result == CONV_W)
    parts = least(parts,
                  most(LEAST_PARTS, SUMS_REALS / (t->all * t->weights * t->v.G)));
  t->n_parts = most(1, least(parts, t->n_slabs));
}

/* From point to point, of so many planes: an odd number of lines of a cache, so that
 * points do not all fall into the same few places of it. */
static int64_t point_of(const Tiles *t, int64_t planes) {
  enum { LINE = 16 };
  return (conv_aligned(planes * t->line) / LINE | 1) * LINE;
}

static Tiles tiles_of(const Conv *v, ConvResult result) {
  bool to_x = result == CONV_X;
  Tiles t = {.v = *v, .result = result, .M = to_x ? v->c : v->f,
             .planes = to_x ? v->f : v->c, .weights = v->f * v->c,
             .kernel = v->R, .area = v->R * v->S, .points = v->R + 1,
             .all = (v->R + 1) * (v->S + 1)};
  int64_t x[2] = {v->H, v->W}, y[2] = {v->P, v->Q};
  for (int i = 0; i < 2; i++) {
    t.size[i] = to_x ? y[i] : x[i];
    t.out_size[i] = to_x ? x[i] : y[i];
    t.before[i] = to_x ? v->R - 1 - v->before[i] : v->before[i];
    t.n[i] = divide_up(t.out_size[i], 2);
  }
  set_slabs(&t);
  int64_t width = kernels()->conv_lane(1, 1);
  int64_t tiles = t.slab_images * t.slab_rows * t.n[1];
  t.line = divide_up(most(tiles, WINOGRAD_SLACK), width) * width;
  t.sources = point_of(&t, t.planes);
  t.others = point_of(&t, result == CONV_W ? t.M : least(t.M, PLANES));
  t.pitch = WINOGRAD_PIXELS(t.n[1]);
  t.window = conv_aligned((2 * t.slab_rows + t.points - 2) * t.pitch);
  t.half = conv_aligned(WINOGRAD_HALF(t.slab_rows, t.n[1]));
  set_parts(&t);
  return t;
}

static ConvSlab slab_of(const Tiles *t, int64_t number) {
  int64_t band = number % t->n_bands, rest = number / t->n_bands;
  ConvSlab s = {.group = rest % t->v.G, .image = rest / t->v.G * t->slab_images,
                .row = band * t->slab_rows};
  s.n_images = least(t->slab_images, t->v.N - s.image);
  s.n_rows = least(t->slab_rows, t->n[0] - s.row);
  return s;
}

/* -- memory ------------------------------------------------------------------------ */

/* What all parts share: weights at all points, or their gradients' sums by parts. */
static int64_t shared_reals(const Tiles *t) {
  int64_t n = t->v.G * t->all * t->weights;
  return conv_aligned(t->result == CONV_W ? n * t->n_parts : n);
}

typedef struct Own {
  real *window, *half, *sources, *others, *turned;
} Own;

static Own own_of(const Tiles *t, void *memory) {
  Own own = {.window = memory};
  own.half = own.window + t->window;
  own.sources = own.half + t->half;
  own.others = own.sources + t->all * t->sources;
  own.turned = own.others + t->all * t->others;
  return own;
}

ConvBytes conv_winograd_bytes(const Conv *v, ConvResult result) {
  Tiles t = tiles_of(v, result);
  return (ConvBytes){(size_t)shared_reals(&t) * sizeof(real),
                     (size_t)own_reals(&t) * sizeof(real)};
}

/* -- planes at points -------------------------------------------------------------- */

/* Where plane k of a slab's image i begins, of planes of the group. */
static int64_t plane_at(const Tiles *t, const ConvSlab *s, int64_t i, int64_t n_planes,
                        int64_t k, const int64_t size[2]) {
  int64_t plane = ((s->image + i) * t->v.G + s->group) * n_planes + k;
  return plane * size[0] * size[1];
}

/* A slab's sources at all points. Each plane is copied to a window, zeros around, which
 * stay there. */
static void sources_to_points(const Tiles *t, const ConvSlab *s, const real *x,
                              const Own *own) {
  int64_t row = 2 * s->row - t->before[0], column = -t->before[1];
  int64_t first = most(row, 0), end = row + 2 * s->n_rows + t->points - 2;
  int64_t n_rows = least(end, t->size[0]) - first;
  int64_t n = least(t->size[1], t->pitch + column);
  memset(own->window, 0, (size_t)t->window * sizeof *own->window);
  for (int64_t k = 0; k < t->planes; k++)
    for (int64_t i = 0; i < s->n_images; i++) {
      const real *from = x + plane_at(t, s, i, t->planes, k, t->size);
      if (n_rows > 0)
        kernels()->conv_copy(own->window + (first - row) * t->pitch - column, t->pitch,
                             from + first * t->size[1], t->size[1], n_rows, n);
      kernels()->winograd_take(own->sources + k * t->line + i * s->n_rows * t->n[1],
                               t->sources, own->window, t->pitch, s->n_rows, t->n[1],
                               own->half, (int)t->points);
    }
}

/* The gradients of a slab's results at all points: rows of even numbers are copied to
 * the window, then those of odd ones. */
static void gradients_to_points(const Tiles *t, const ConvSlab *s, const real *gy,
                                const Own *own) {
  int64_t columns = t->out_size[1], row = 2 * t->n[1], odd = t->window / 2;
  int64_t n_rows = least(2 * s->n_rows, t->out_size[0] - 2 * s->row);
  memset(own->window, 0, (size_t)t->window * sizeof *own->window);
  for (int64_t k = 0; k < t->M; k++)
    for (int64_t i = 0; i < s->n_images; i++) {
      const real *from = gy + plane_at(t, s, i, t->M, k, t->out_size) +
                         2 * s->row * columns;
      for (int64_t j = 0; j < 2; j++)
        kernels()->conv_copy(own->window + j * odd, row, from + j * columns,
                             2 * columns, (n_rows + 1 - j) / 2, columns);
      kernels()->winograd_spread(own->others + k * t->line + i * s->n_rows * t->n[1],
                                 t->others, own->window, odd, s->n_rows * t->n[1],
                                 own->half, (int)t->points);
    }
}

static int64_t slab_tiles(const Tiles *t, const ConvSlab *s) {
  return s->n_images * s->n_rows * t->n[1];
}

/* -- results ----------------------------------------------------------------------- */

/* Weights `first` to `first` + n of a group at all points. */
static void weights_to_points(const Tiles *t, int64_t group, int64_t first, int64_t n,
                              const real *w, real *shared) {
  real axes[MOST_POINTS * MOST_AREA];
  both_axes(axes, t->kernel, t->result == CONV_X);
  const GemmStrides strides = {.a = t->area, .b = t->area, .c = t->weights,
                               .transpose_b = true};
  kernels()->gemm(shared + group * t->all * t->weights + first, axes,
                  w + (group * t->weights + first) * t->area, t->all, n, t->area,
                  &strides);
}

/* Results `first` to `first` + n of a slab; are all finite? */
static bool multiply(const Tiles *t, const ConvSlab *s, int64_t first, int64_t n,
                     const real *shared, const Own *own, real *out) {
  bool to_x = t->result == CONV_X, finite = true;
  const GemmStrides strides = {.a = t->v.c, .b = t->line, .c = t->line,
                               .transpose_a = to_x};
  const real *weights = shared + s->group * t->all * t->weights +
                        first * (to_x ? 1 : t->v.c);
  for (int64_t i = 0; i < t->all; i++)
    kernels()->gemm(own->others + i * t->others, weights + i * t->weights,
                    own->sources + i * t->sources, n, slab_tiles(t, s), t->planes,
                    &strides);
  int64_t n_rows = least(2 * s->n_rows, t->out_size[0] - 2 * s->row);
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < s->n_images; i++) {
      real *y = out + plane_at(t, s, i, t->M, first + k, t->out_size) +
                2 * s->row * t->out_size[1];
      const real *m = own->others + k * t->line + i * s->n_rows * t->n[1];
      finite = kernels()->winograd_put(y, t->out_size[1], m, t->others, n_rows,
                                       t->out_size[1], own->half, (int)t->points) &&
               finite;
    }
  return finite;
}

static void run_slab(const Tiles *t, const ConvSlab *s, const real *shared,
                     const Own *own, real *out, const real *const in[2]) {
  int64_t n = divide_up(t->M, PLANES);
  bool finite = true;
  sources_to_points(t, s, in[0], own);
  for (int64_t i = 0; i < n; i++) {
    int64_t first = t->M * i / n, end = t->M * (i + 1) / n;
    finite = multiply(t, s, first, end - first, shared, own, out) && finite;
  }
  if (finite) return;
  ConvSlab rows = *s;
  rows.row = 2 * s->row;
  rows.n_rows = least(2 * s->n_rows, t->out_size[0] - rows.row);
  ConvPlan plain = conv_plan(&t->v, t->result == CONV_X);
  conv_plain_slab(&plain, &rows, out, in[0], in[1]);
}

static void run_part(const Tiles *t, int64_t part, real *out, const real *const in[2],
                     ConvMemory memory) {
  Own own = own_of(t, memory.own);
  int64_t end = t->n_slabs * (part + 1) / t->n_parts;
  for (int64_t i = t->n_slabs * part / t->n_parts; i < end; i++) {
    ConvSlab slab = slab_of(t, i);
    run_slab(t, &slab, memory.shared, &own, out, in);
  }
}

/* -- gradients of weights ---------------------------------------------------------- */

/* The sums of a part, [G][t->all][filters][channels]. */
static real *sums_of(const Tiles *t, void *scratch, int64_t part) {
  return (real *)scratch + part * t->v.G * t->all * t->weights;
}

static void add_slab(const Tiles *t, const ConvSlab *s, const Own *own, real *sums) {
  int64_t n = slab_tiles(t, s);
  const GemmPacked form = {.M = t->M, .N = t->planes, .K = n, .row_a = t->line,
                           .row_c = t->planes, .add = true};
  sums += s->group * t->all * t->weights;
  for (int64_t i = 0; i < t->all; i++) {
    kernels()->gemm_pack(own->turned, own->sources + i * t->sources, t->planes, n,
                         t->line, true);
    kernels()->gemm_packed(sums + i * t->weights, own->others + i * t->others,
                           own->turned, &form);
  }
}

static void sum_part(const Tiles *t, int64_t part, const real *const in[2],
                     ConvMemory memory) {
  Own own = own_of(t, memory.own);
  real *sums = sums_of(t, memory.shared, part);
  memset(sums, 0, (size_t)(t->v.G * t->all * t->weights) * sizeof *sums);
  int64_t end = t->n_slabs * (part + 1) / t->n_parts;
  for (int64_t i = t->n_slabs * part / t->n_parts; i < end; i++) {
    ConvSlab s = slab_of(t, i);
    sources_to_points(t, &s, in[1], &own);
    gradients_to_points(t, &s, in[0], &own);
    add_slab(t, &s, &own, sums);
  }
}

/* Gradients of some filters: the sum of all parts, from points to weights. */
static void add_parts(const Tiles *t, int64_t block, real *w, const real *const in[2],
                      void *scratch) {
  int64_t n_blocks = divide_up(t->M, FILTERS), group = block / n_blocks;
  int64_t first = block % n_blocks * FILTERS, part[PARTS];
  int64_t n = least(FILTERS, t->M - first) * t->planes;
  real axes[MOST_POINTS * MOST_AREA],
      *sums = sums_of(t, scratch, 0) + group * t->all * t->weights + first * t->planes;
  both_axes(axes, t->kernel, false);
  for (int64_t i = 0; i < t->n_parts; i++) part[i] = i;
  for (int64_t i = 0; i < t->all; i++)
    kernels()->sum_of_rows(sums + i * t->weights, sums + i * t->weights, part,
                           t->n_parts, t->v.G * t->all * t->weights, n);
  const GemmStrides strides = {.a = t->weights, .b = t->area, .c = t->area,
                               .transpose_a = true};
  real *to = w + (group * t->weights + first * t->planes) * t->area;
  kernels()->gemm(to, sums, axes, n, t->area, t->all, &strides);
  if (kernels()->conv_finite(to, n * t->area)) return;
  for (int64_t i = 0; i < n / t->planes; i++)
    conv_weight_plainly(&t->v, group * t->M + first + i, w, in);
}

/* -- blocks ------------------------------------------------------------------------ */

int64_t conv_winograd_blocks(const Conv *v, ConvResult result, int phase) {
  Tiles t = tiles_of(v, result);
  if (result == CONV_W) return phase == 0 ? t.n_parts : v->G * divide_up(t.M, FILTERS);
  return phase == 0 ? v->G * divide_up(t.weights, WEIGHTS) : t.n_parts;
}

void conv_winograd_run(const Conv *v, ConvResult result, int phase, int64_t block,
                       real *out, const real *const in[2], ConvMemory memory) {
  Tiles t = tiles_of(v, result);
  int64_t n = divide_up(t.weights, WEIGHTS), first = block % n * WEIGHTS;
  if (result == CONV_W && phase == 0) sum_part(&t, block, in, memory);
  else if (result == CONV_W) add_parts(&t, block, out, in, memory.shared);
  else if (phase == 1) run_part(&t, block, out, in, memory);
  else
    weights_to_points(&t, block / n, first, least(WEIGHTS, t.weights - first), in[1],
                      memory.shared);
}
