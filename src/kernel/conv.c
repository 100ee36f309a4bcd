/* conv.c: the convolution and the gradient of its images, which are the same sums over
 * other taps (conv_private.h).
 *
 * The first phase packs the weights, [taps][lanes] for each panel of results, and lists
 * grids, taps and pixels. In the second, each part takes its slabs: it fills the
 * window, then sums each panel over all taps, CONV_DEPTH of them at a time, in one of
 * four ways (ConvWay), of which the sizes decide. Across, sums are [pixels][lanes]
 * until they are put where they belong, and weights stay in the nearest cache while all
 * pixels of the slab go by. Results of several grids lie apart, and are woven together
 * once all grids of a phase of rows are there.
 *
 * Zeros around an image stand for terms that are none. Times a finite weight they add
 * nothing; where a weight is infinite or NaN, the sums of a group are taken term by
 * term. */
#include "kernel/conv.h"
#include "kernel/conv_private.h"
#include <string.h>

/* -- memory ------------------------------------------------------------------------ */

/* Bytes from the beginning of the scratch memory. */
typedef struct Memory {
  size_t grid, tap, pixel, packed;
  size_t n_bytes;
} Memory;

static int64_t n_panels(const ConvPlan *p) { return kernels()->conv_panels(p->M); }

static int64_t packed_reals(const ConvPlan *p) {
  return conv_aligned((p->taps + p->n_grids * CONV_SLACK) * p->lanes);
}

/* Of a panel, at most. */
static int64_t most_lanes(const ConvPlan *p) {
  int64_t lanes = 0;
  for (int64_t i = 0, n = n_panels(p); i < n; i++)
    lanes = most(lanes,
                 kernels()->conv_lane(p->M, i + 1) - kernels()->conv_lane(p->M, i));
  return lanes;
}

static int64_t slab_pixels(const ConvPlan *p) {
  return p->slab_images * p->slab_rows * conv_grid(p, 0).size[1];
}

static int64_t sums_reals(const ConvPlan *p) {
  if (p->way != CONV_ACROSS) return 0;
  return conv_aligned((slab_pixels(p) + CONV_SLACK) * most_lanes(p));
}

/* Results of one grid that its phase of rows must be woven of. */
static int64_t apart_reals(const ConvPlan *p) {
  return conv_aligned(slab_pixels(p) * least(p->M, most_lanes(p)));
}

/* Of a block of the second phase: window, sums, results of grids. */
static int64_t own_reals(const ConvPlan *p) {
  return conv_aligned(conv_window_reals(p)) + sums_reals(p) +
         (p->n_grids > 1 ? p->grids[1] * apart_reals(p) : 0);
}

static size_t grid_bytes(const ConvPlan *p) {
  return divide_up(p->n_grids * (int64_t)sizeof(ConvGrid), 64) * 64;
}

static Memory memory_of(const ConvPlan *p) {
  Memory m = {.grid = (size_t)conv_aligned(p->v.G * n_panels(p)) * sizeof(int32_t)};
  m.tap = m.grid + grid_bytes(p);
  m.pixel = m.tap + (size_t)conv_aligned(p->taps) * sizeof(int32_t);
  m.packed = m.pixel + (size_t)conv_aligned(p->pixels) * sizeof(int32_t);
  m.n_bytes = m.packed + (size_t)(p->v.G * packed_reals(p)) * sizeof(real);
  return m;
}

/* What a block finds there. */
typedef struct Shared {
  int32_t *finite; /* of each panel of each group: are all weights? */
  ConvGrid *grid;
  int32_t *tap, *pixel;
  real *packed;
} Shared;

static Shared shared_of(const ConvPlan *p, void *scratch) {
  Memory m = memory_of(p);
  char *at = scratch;
  void *grid = at + m.grid, *tap = at + m.tap, *pixel = at + m.pixel;
  void *packed = at + m.packed;
  return (Shared){scratch, grid, tap, pixel, packed};
}

/* -- the first phase: weights, lists ----------------------------------------------- */

/* Pixels of a slab, run by run. Where a slab is a band of rows, these come one after
 * the other in any case. */
static void list_runs(const ConvPlan *p, const ConvGrid *g, int32_t *pixel) {
  ConvRun run[CONV_RUNS];
  int n = conv_runs(p, g, 0, least(p->slab_rows, g->size[0]), run);
  for (int i = 0; i < n; i++)
    pixel = conv_list_pixels(p, g, p->slab_images, run[i].row, run[i].n_rows, pixel);
}

/* Packs the weights of M results, w the first one's, for the taps of a grid; to one
 * panel. Are all finite? */
static bool pack(const ConvPlan *p, const ConvGrid *g, real *b, const real *w,
                 int64_t M, int64_t lanes) {
  const Conv *v = &p->v;
  int64_t area = v->R * v->S, unused;
  int64_t plane_step = p->to_x ? v->c * area : area;
  int64_t result_step = p->to_x ? area : v->c * area;
  /* Of a row of the kernel all at once, or one by one where some meet no pixel. */
  int64_t n = conv_offsets(p, CONV_COLUMNS, g->phase[1]) == v->S ? v->S : 1;
  bool finite = true;
  for (int64_t r = 0; r < v->R; r++) {
    if (!conv_offset(p, CONV_ROWS, g->phase[0], r, &unused)) continue;
    for (int64_t plane = 0; plane < p->planes; plane++) {
      const real *row = w + plane * plane_step + r * v->S;
      for (int64_t s = 0; s < v->S; s += n) {
        if (!conv_offset(p, CONV_COLUMNS, g->phase[1], s, &unused)) continue;
        finite = kernels()->conv_take(b, row + s, result_step, lanes, n, M) && finite;
        b += n * lanes;
      }
    }
  }
  return finite;
}

static void prepare(const ConvPlan *p, const Shared *shared, int64_t block,
                    const real *w) {
  int64_t group = block / n_panels(p), panel = block % n_panels(p);
  int64_t area = p->v.R * p->v.S, lane = kernels()->conv_lane(p->M, panel);
  int64_t lanes = kernels()->conv_lane(p->M, panel + 1) - lane;
  w += group * p->v.f * p->v.c * area + lane * (p->to_x ? 1 : p->planes) * area;
  bool finite = true;
  for (int64_t i = 0; i < p->n_grids; i++) {
    ConvGrid g = conv_grid(p, i);
    if (block == 0) {
      shared->grid[i] = g;
      conv_list_taps(p, &g, shared->tap + g.at_tap);
      if (p->way == CONV_ACROSS) list_runs(p, &g, shared->pixel + g.at_pixel);
    }
    real *b = shared->packed + group * packed_reals(p) + g.at_packed +
              lane * (g.n_taps + CONV_SLACK);
    finite = pack(p, &g, b, w, least(lanes, p->M - lane), lanes) && finite;
  }
  shared->finite[block] = finite;
}

/* -- the second phase -------------------------------------------------------------- */

/* Some results of all in a group. */
typedef struct Panel {
  int64_t number, first, M, lanes;
} Panel;

static Panel panel_of(const ConvPlan *p, int64_t number) {
  Panel l = {.number = number, .first = kernels()->conv_lane(p->M, number)};
  l.lanes = kernels()->conv_lane(p->M, number + 1) - l.first;
  l.M = least(l.lanes, p->M - l.first);
  return l;
}

/* The results of a grid that a slab has; rows count from those of the grid. */
typedef struct Piece {
  const ConvPlan *p;
  const Shared *shared;
  const ConvSlab *slab;
  const ConvGrid *grid;
  const real *x; /* what the slab sees */
  int64_t n_rows;
  const ConvRun *run;
  int n_runs;
  real *to;                  /* its first result, of a panel's first */
  int64_t image, plane, row; /* elements: from image to image, result to result ... */
} Piece;

/* The first pixel of a run in the list of pixels; in the sums. */
static int64_t listed_at(const Piece *piece, const ConvRun *run) {
  return piece->p->slab_images * (run->row - piece->slab->row) * piece->grid->size[1];
}
static int64_t summed_at(const Piece *piece, const ConvRun *run) {
  return piece->slab->n_images * (run->row - piece->slab->row) * piece->grid->size[1];
}

static const real *weights_of(const Piece *piece, const Panel *l) {
  return piece->shared->packed + piece->slab->group * packed_reals(piece->p) +
         piece->grid->at_packed + l->first * (piece->grid->n_taps + CONV_SLACK);
}

static real *result_at(const Piece *piece, int64_t image, int64_t m, int64_t row) {
  return piece->to + image * piece->image + m * piece->plane +
         (row - piece->slab->row) * piece->row;
}

/* Results lie in the images, one grid alone; else by themselves. */
static void aim_at_images(Piece *piece, real *out, int64_t first) {
  const ConvPlan *p = piece->p;
  piece->row = p->out_size[1];
  piece->plane = p->out_size[0] * piece->row;
  piece->image = p->v.G * p->M * piece->plane;
  piece->to = out + piece->slab->image * piece->image + piece->slab->row * piece->row +
              (piece->slab->group * p->M + first) * piece->plane;
}
static void aim_apart(Piece *piece, real *apart, int64_t M) {
  piece->row = piece->grid->size[1];
  piece->plane = piece->n_rows * piece->row;
  piece->image = M * piece->plane;
  piece->to = apart;
}

/* Adds taps k to `end`, those that a run sees, to its sums. */
static void sum_run(const Piece *piece, const ConvRun *run, real *c, const real *b,
                    int64_t lanes, int64_t k, int64_t end) {
  const ConvGrid *g = piece->grid;
  int64_t first = run->lo * g->row_taps, last = run->hi * g->row_taps;
  bool begins = k <= first;
  int64_t n = piece->slab->n_images * run->n_rows * g->size[1];
  c += summed_at(piece, run) * lanes;
  k = most(k, first);
  end = least(end, last);
  if (k < end)
    kernels()->conv_sums(c, piece->x,
                         piece->shared->pixel + g->at_pixel + listed_at(piece, run), n,
                         piece->shared->tap + g->at_tap + k, end - k, b + k * lanes,
                         lanes, !begins);
  else if (first == last) memset(c, 0, (size_t)(n * lanes) * sizeof *c);
}

/* One panel; c: room for its sums, [pixels][lanes]. */
static void sum_across(const Piece *piece, const Panel *l, real *c) {
  const real *b = weights_of(piece, l);
  int64_t K = piece->grid->n_taps;
  for (int64_t i = 0; i < conv_pieces(K); i++)
    for (int r = 0; r < piece->n_runs; r++)
      sum_run(piece, &piece->run[r], c, b, l->lanes, conv_piece(K, i),
              conv_piece(K, i + 1));
  for (int r = 0; r < piece->n_runs; r++) {
    const ConvRun *run = &piece->run[r];
    int64_t n = run->n_rows * piece->grid->size[1];
    const real *from = c + summed_at(piece, run) * l->lanes;
    for (int64_t i = 0; i < piece->slab->n_images; i++, from += n * l->lanes)
      kernels()->conv_put(result_at(piece, i, 0, run->row), piece->plane, from,
                          l->lanes, n, l->M);
  }
}

/* Pixels of a panel that see no taps. */
static void clear_along(const ConvAlong *a) {
  for (int64_t image = 0; image < a->n_images; image++)
    for (int64_t m = 0; m < a->M; m++)
      memset(a->y + image * a->y_image + m * a->y_result, 0,
             (size_t)(a->n_rows * a->n) * sizeof *a->y);
}

/* One panel. Rows of a run that follow each other without a gap are one stretch. */
static void sum_along(const Piece *piece, const Panel *l) {
  const ConvPlan *p = piece->p;
  const ConvGrid *g = piece->grid;
  ConvAlong a = {.M = l->M, .lanes = l->lanes, .n_images = piece->slab->n_images,
                 .y_result = piece->plane, .y_image = piece->image, .y_row = piece->row,
                 .x_image = p->image, .x_row = p->walk[0] * p->pitch};
  for (int r = 0; r < piece->n_runs; r++) {
    const ConvRun *run = &piece->run[r];
    int64_t first = run->lo * g->row_taps, K = run->hi * g->row_taps - first;
    a.y = result_at(piece, 0, 0, run->row);
    a.x = piece->x + (run->row - piece->slab->row) * a.x_row;
    a.n_rows = a.x_row == g->size[1] ? 1 : run->n_rows;
    a.n = run->n_rows / a.n_rows * g->size[1];
    if (K == 0) clear_along(&a);
    for (int64_t i = 0; K > 0 && i < conv_pieces(K); i++) {
      int64_t k = first + conv_piece(K, i);
      a.K = first + conv_piece(K, i + 1) - k;
      a.step = piece->shared->tap + g->at_tap + k;
      a.b = weights_of(piece, l) + k * l->lanes;
      a.add = i > 0;
      kernels()->conv_along(&a);
    }
  }
}

/* All results of a kernel of one element: products of matrices, image by image. */
static void multiply(const Piece *piece, const real *w) {
  const ConvPlan *p = piece->p;
  int64_t n = piece->n_rows * piece->grid->size[1];
  const GemmStrides strides = {.a = p->v.c, .b = p->plane, .c = piece->plane,
                               .transpose_a = p->to_x};
  w += piece->slab->group * p->v.f * p->v.c;
  for (int64_t image = 0; image < piece->slab->n_images; image++)
    kernels()->gemm(result_at(piece, image, 0, piece->slab->row), w,
                    piece->x + image * p->image, p->M, n, p->planes, &strides);
}

/* Results one by one, of all rows together. */
static void sum_image(const Piece *piece, const Panel *l) {
  const ConvPlan *p = piece->p;
  const ConvGrid *g = piece->grid;
  const real *b = weights_of(piece, l);
  int64_t n = g->size[1], K = g->n_taps, x_row = p->walk[0] * p->pitch;
  for (int64_t image = 0; image < piece->slab->n_images; image++)
    for (int64_t m = 0; m < l->M; m++) {
      real *y = result_at(piece, image, m, piece->slab->row);
      for (int64_t i = 0; K == 0 && i < piece->n_rows; i++)
        memset(y + i * piece->row, 0, (size_t)n * sizeof *y);
      for (int64_t i = 0; K > 0 && i < conv_pieces(K); i++) {
        int64_t k = conv_piece(K, i), end = conv_piece(K, i + 1);
        kernels()->conv_rows(y, piece->row, piece->x + image * p->image, x_row,
                             piece->shared->tap + g->at_tap + k, end - k,
                             b + k * l->lanes + m, l->lanes, piece->n_rows, n, i > 0);
      }
    }
}

/* Rows of results of all grids of a phase of rows, which lie apart; of each the next
 * row is behind its last. */
static void weave(const Piece *first, const Panel *l, int64_t apart, real *out) {
  const ConvPlan *p = first->p;
  const ConvSlab *s = first->slab;
  const real *from[CONV_GRIDS];
  for (int64_t k = 0; k < p->grids[1]; k++) from[k] = first->to + k * apart;
  int64_t row = first->grid->phase[0] + s->row * p->step[0];
  for (int64_t image = s->image; image < s->image + s->n_images; image++)
    for (int64_t m = 0; m < l->M; m++) {
      int64_t plane = (image * p->v.G + s->group) * p->M + l->first + m;
      real *y = out + (plane * p->out_size[0] + row) * p->out_size[1];
      for (int64_t i = 0; i < first->n_rows; i++, y += p->step[0] * p->out_size[1]) {
        kernels()->conv_weave(y, from, p->step[1], p->out_size[1]);
        for (int64_t k = 0; k < p->grids[1]; k++) from[k] += first->grid[k].size[1];
      }
    }
}

/* A panel of all grids of a phase of rows; `piece` has the first of them. */
static void run_panel(Piece piece, const Panel *l, real *c, real *out) {
  const ConvPlan *p = piece.p;
  real *apart = c + sums_reals(p);
  int64_t n_apart = p->n_grids > 1 ? apart_reals(p) : 0;
  const Piece first = piece;
  for (int64_t k = 0; k < p->grids[1]; k++) {
    piece.grid = first.grid + k;
    if (n_apart) aim_apart(&piece, apart + k * n_apart, l->M);
    else aim_at_images(&piece, out, l->first);
    if (p->way == CONV_IMAGE) sum_image(&piece, l);
    else if (p->way == CONV_ALONG) sum_along(&piece, l);
    else sum_across(&piece, l, c);
  }
  piece.grid = first.grid;
  piece.to = apart;
  if (n_apart) weave(&piece, l, n_apart, out);
}

static void run_slab(const ConvPlan *p, const ConvSlab *slab, const Shared *shared,
                     real *own, real *out, const real *const in[2]) {
  ConvRun run[CONV_RUNS];
  Piece piece = {.p = p, .shared = shared, .slab = slab, .run = run,
                 .x = conv_fill_window(p, slab, in[0], own)};
  real *c = own + conv_aligned(conv_window_reals(p));
  for (int64_t i = 0; i < p->grids[0]; i++) {
    piece.grid = &shared->grid[i * p->grids[1]];
    int64_t end = least(slab->row + slab->n_rows, piece.grid->size[0]);
    piece.n_rows = end - slab->row;
    if (p->way != CONV_IMAGE)
      piece.n_runs = conv_runs(p, piece.grid, slab->row, end, run);
    if (p->way == CONV_PRODUCT) {
      aim_at_images(&piece, out, 0);
      multiply(&piece, in[1]);
      continue;
    }
    for (int64_t k = 0; k < n_panels(p); k++) {
      Panel l = panel_of(p, k);
      run_panel(piece, &l, c, out);
    }
  }
}

/* -- blocks ------------------------------------------------------------------------ */

static bool group_finite(const ConvPlan *p, const Shared *shared, int64_t group) {
  for (int64_t i = 0, n = n_panels(p); i < n; i++)
    if (!shared->finite[group * n + i]) return false;
  return true;
}

static void run_part(const ConvPlan *p, int64_t part, real *out,
                     const real *const in[2], ConvMemory memory) {
  Shared shared = {0};
  if (!p->plain) {
    shared = shared_of(p, memory.shared);
    conv_clear_window(p, memory.own);
  }
  int64_t end = p->n_slabs * (part + 1) / p->n_parts;
  for (int64_t i = p->n_slabs * part / p->n_parts; i < end; i++) {
    ConvSlab slab = conv_slab(p, i);
    if (p->plain || (p->padded && !group_finite(p, &shared, slab.group)))
      conv_plain_slab(p, &slab, out, in[0], in[1]);
    else run_slab(p, &slab, &shared, memory.own, out, in);
  }
}

int64_t conv_blocks(const Conv *v, ConvResult result, int phase) {
  if (conv_is_winograd(v, result)) return conv_winograd_blocks(v, result, phase);
  if (result == CONV_W) return conv_weight_blocks(v, phase);
  ConvPlan p = conv_plan(v, result == CONV_X);
  if (phase == 1) return p.n_parts;
  return p.plain ? 1 : most(1, v->G * n_panels(&p));
}

ConvBytes conv_bytes(const Conv *v, ConvResult result) {
  if (conv_is_winograd(v, result)) return conv_winograd_bytes(v, result);
  if (result == CONV_W) return conv_weight_bytes(v);
  ConvPlan p = conv_plan(v, result == CONV_X);
  if (p.plain) return (ConvBytes){0, 0};
  return (ConvBytes){memory_of(&p).n_bytes, (size_t)own_reals(&p) * sizeof(real)};
}

void conv_run_block(const Conv *v, ConvResult result, int phase, int64_t block,
                    real *out, const real *const in[2], ConvMemory memory) {
  if (conv_is_winograd(v, result)) {
    conv_winograd_run(v, result, phase, block, out, in, memory);
    return;
  }
  if (result == CONV_W) {
    conv_weight_run(v, phase, block, out, in, memory);
    return;
  }
  ConvPlan p = conv_plan(v, result == CONV_X);
  if (phase == 1) {
    run_part(&p, block, out, in, memory);
    return;
  }
  if (p.plain || n_panels(&p) == 0) return;
  Shared shared = shared_of(&p, memory.shared);
  prepare(&p, &shared, block, in[1]);
}
