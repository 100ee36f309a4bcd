/* conv.c: the convolution and the gradient of its images, which are the same sums over
 * other taps (conv_private.h).
 *
 * The first phase packs the weights, [taps][lanes] for each panel of results, and lists
 * taps and pixels. In the second, each part takes its slabs: it fills the window, then
 * sums each panel over all taps, CONV_DEPTH of them at a time, which stay in the
 * nearest cache while all pixels of the slab go by; then puts the sums,
 * [pixels][lanes], where they belong.
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
  size_t tap, pixel, packed;
  size_t parts; /* of each: window, sums */
  size_t n_bytes;
} Memory;

static int64_t n_panels(const ConvPlan *p) { return kernels()->conv_panels(p->M); }

static int64_t packed_reals(const ConvPlan *p) {
  return conv_aligned((p->taps + p->n_grids * CONV_SLACK) * p->lanes);
}

static int64_t sums_reals(const ConvPlan *p) {
  int64_t panels = n_panels(p), lanes = 0, pixels = 0;
  for (int64_t i = 0; i < panels; i++)
    lanes = most(lanes,
                 kernels()->conv_lane(p->M, i + 1) - kernels()->conv_lane(p->M, i));
  for (int64_t i = 0; i < p->grids[1]; i++)
    pixels = most(pixels, conv_grid(p, i).size[1]);
  return (p->slab_images * p->slab_rows * pixels + CONV_SLACK) * lanes;
}

static int64_t part_reals(const ConvPlan *p) {
  return conv_aligned(conv_window_reals(p)) + conv_aligned(sums_reals(p));
}

static Memory memory_of(const ConvPlan *p) {
  Memory m = {.tap = (size_t)conv_aligned(p->v.G * n_panels(p)) * sizeof(int32_t)};
  m.pixel = m.tap + (size_t)conv_aligned(p->taps) * sizeof(int32_t);
  m.packed = m.pixel + (size_t)conv_aligned(p->pixels) * sizeof(int32_t);
  m.parts = m.packed + (size_t)(p->v.G * packed_reals(p)) * sizeof(real);
  m.n_bytes = m.parts + (size_t)(p->n_parts * part_reals(p)) * sizeof(real);
  return m;
}

/* What a block finds there. */
typedef struct Shared {
  int32_t *finite; /* of each panel of each group: are all weights? */
  int32_t *tap, *pixel;
  real *packed, *parts;
} Shared;

static Shared shared_of(const ConvPlan *p, void *scratch) {
  Memory m = memory_of(p);
  char *at = scratch;
  void *tap = at + m.tap, *pixel = at + m.pixel;
  void *packed = at + m.packed, *parts = at + m.parts;
  return (Shared){scratch, tap, pixel, packed, parts};
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
      conv_list_taps(p, &g, shared->tap + g.at_tap);
      list_runs(p, &g, shared->pixel + g.at_pixel);
    }
    real *b = shared->packed + group * packed_reals(p) + g.at_packed +
              lane * (g.n_taps + CONV_SLACK);
    finite = pack(p, &g, b, w, least(lanes, p->M - lane), lanes) && finite;
  }
  shared->finite[block] = finite;
}

/* -- the second phase -------------------------------------------------------------- */

/* The results of a grid that a slab has; rows of its runs count from those of the
 * grid. */
typedef struct Piece {
  const ConvPlan *p;
  const ConvSlab *slab;
  const ConvGrid *grid;
  int n_runs;
  ConvRun run[CONV_RUNS];
} Piece;

/* The first pixel of a run in the list of pixels; in the sums. */
static int64_t listed_at(const Piece *piece, const ConvRun *run) {
  return piece->p->slab_images * (run->row - piece->slab->row) * piece->grid->size[1];
}
static int64_t summed_at(const Piece *piece, const ConvRun *run) {
  return piece->slab->n_images * (run->row - piece->slab->row) * piece->grid->size[1];
}

/* The first pixel of a row of the grid, of result m of an image. */
static real *result_at(const Piece *piece, real *out, int64_t image, int64_t m,
                       int64_t row) {
  const ConvPlan *p = piece->p;
  int64_t plane = ((piece->slab->image + image) * p->v.G + piece->slab->group) * p->M;
  row = piece->grid->phase[0] + row * p->step[0];
  return out + ((plane + m) * p->out_size[0] + row) * p->out_size[1] +
         piece->grid->phase[1];
}

static void put_apart(const Piece *piece, const ConvRun *run, real *row, const real *c,
                      int64_t lanes) {
  const ConvPlan *p = piece->p;
  for (int64_t i = 0; i < run->n_rows; i++, row += p->step[0] * p->out_size[1])
    for (int64_t j = 0; j < piece->grid->size[1]; j++, c += lanes)
      row[j * p->step[1]] = *c;
}

/* Sums [pixels][lanes] of M results to where they belong. */
static void put_run(const Piece *piece, const ConvRun *run, real *out, const real *c,
                    int64_t first, int64_t M, int64_t lanes) {
  const ConvPlan *p = piece->p;
  int64_t n = run->n_rows * piece->grid->size[1];
  c += summed_at(piece, run) * lanes;
  for (int64_t image = 0; image < piece->slab->n_images; image++, c += n * lanes) {
    if (p->n_grids == 1)
      kernels()->conv_put(result_at(piece, out, image, first, run->row),
                          p->out_size[0] * p->out_size[1], c, lanes, n, M);
    else
      for (int64_t m = 0; m < M; m++)
        put_apart(piece, run, result_at(piece, out, image, first + m, run->row), c + m,
                  lanes);
  }
}

/* Adds taps k to `end`, those that a run sees, to its sums. */
static void sum_run(const Piece *piece, const ConvRun *run, const Shared *shared,
                    const real *x, real *c, const real *b, int64_t lanes, int64_t k,
                    int64_t end) {
  const ConvPlan *p = piece->p;
  const ConvGrid *g = piece->grid;
  int64_t taps = conv_row_taps(p, g), first = run->lo * taps, last = run->hi * taps;
  bool begins = k <= first;
  int64_t n = piece->slab->n_images * run->n_rows * g->size[1];
  c += summed_at(piece, run) * lanes;
  k = most(k, first);
  end = least(end, last);
  if (k < end)
    kernels()->conv_sums(c, x, shared->pixel + g->at_pixel + listed_at(piece, run), n,
                         shared->tap + g->at_tap + k, end - k, b + k * lanes, lanes,
                         !begins);
  else if (first == last) memset(c, 0, (size_t)(n * lanes) * sizeof *c);
}

/* The sums of M results, with vectors of pixels, where they belong. Rows of a run that
 * follow each other without a gap are one stretch. */
static void sum_along(const Piece *piece, const ConvRun *run, const Shared *shared,
                      const real *x, real *out, const real *b, int64_t first, int64_t M,
                      int64_t lanes) {
  const ConvPlan *p = piece->p;
  const ConvGrid *g = piece->grid;
  int64_t taps = conv_row_taps(p, g), k = run->lo * taps, K = run->hi * taps - k;
  int64_t columns = g->size[1], plane = p->out_size[0] * columns;
  bool flat = p->pitch == columns && p->walk[0] == 1;
  int64_t n = flat ? run->n_rows * columns : columns, n_rows = flat ? 1 : run->n_rows;
  x += (run->row - piece->slab->row) * p->walk[0] * p->pitch;
  for (int64_t image = 0; image < piece->slab->n_images; image++)
    for (int64_t i = 0; i < n_rows; i++) {
      real *y = result_at(piece, out, image, first, run->row + i);
      const real *from = x + image * p->image + i * p->walk[0] * p->pitch;
      for (int64_t m = 0; K == 0 && m < M; m++)
        memset(y + m * plane, 0, (size_t)n * sizeof *y);
      for (int64_t t = 0; K > 0 && t < conv_pieces(K); t++) {
        int64_t at = k + conv_piece(K, t), depth = k + conv_piece(K, t + 1) - at;
        kernels()->conv_along(y, plane, from, shared->tap + at, depth, b + at * lanes,
                              lanes, M, n, t > 0);
      }
    }
}

static void sum_panel(const Piece *piece, const Shared *shared, const real *x, real *c,
                      const real *b, int64_t lanes) {
  int64_t K = piece->grid->n_taps;
  for (int64_t i = 0; i < conv_pieces(K); i++)
    for (int r = 0; r < piece->n_runs; r++)
      sum_run(piece, &piece->run[r], shared, x, c, b, lanes, conv_piece(K, i),
              conv_piece(K, i + 1));
}

/* One panel of a piece; c: room for its sums. */
static void run_panel(const Piece *piece, int64_t panel, const Shared *shared,
                      const real *x, real *c, real *out) {
  const ConvPlan *p = piece->p;
  const ConvGrid *g = piece->grid;
  int64_t lane = kernels()->conv_lane(p->M, panel);
  int64_t lanes = kernels()->conv_lane(p->M, panel + 1) - lane;
  int64_t M = least(lanes, p->M - lane);
  const real *b = shared->packed + piece->slab->group * packed_reals(p) + g->at_packed +
                  lane * (g->n_taps + CONV_SLACK);
  if (!p->along) sum_panel(piece, shared, x, c, b, lanes);
  for (int r = 0; r < piece->n_runs; r++) {
    if (p->along) sum_along(piece, &piece->run[r], shared, x, out, b, lane, M, lanes);
    else put_run(piece, &piece->run[r], out, c, lane, M, lanes);
  }
}

static void run_slab(const ConvPlan *p, const ConvSlab *slab, const Shared *shared,
                     real *part, real *out, const real *sources) {
  const real *x = conv_fill_window(p, slab, sources, part);
  real *c = part + conv_aligned(conv_window_reals(p));
  for (int64_t i = 0; i < p->n_grids; i++) {
    ConvGrid g = conv_grid(p, i);
    Piece piece = {.p = p, .slab = slab, .grid = &g};
    piece.n_runs = conv_runs(p, &g, slab->row,
                             least(slab->row + slab->n_rows, g.size[0]), piece.run);
    for (int64_t panel = 0; panel < n_panels(p); panel++)
      run_panel(&piece, panel, shared, x, c, out);
  }
}

/* -- term by term ------------------------------------------------------------------ */

/* Of one pixel of a grid, result m. */
static double plain_sum(const ConvPlan *p, const int64_t phase[2], int64_t i, int64_t j,
                        const real *sources, const real *w, int64_t m) {
  const Conv *v = &p->v;
  int64_t area = v->R * v->S, row, column;
  int64_t plane_step = p->to_x ? v->c * area : area;
  double sum = 0;
  w += m * (p->to_x ? area : p->planes * area);
  for (int64_t plane = 0; plane < p->planes; plane++)
    for (int64_t r = 0; r < v->R; r++) {
      if (!conv_offset(p, CONV_ROWS, phase[0], r, &row)) continue;
      row += i * p->walk[0];
      if (row < 0 || row >= p->size[0]) continue;
      for (int64_t s = 0; s < v->S; s++) {
        if (!conv_offset(p, CONV_COLUMNS, phase[1], s, &column)) continue;
        column += j * p->walk[1];
        if (column < 0 || column >= p->size[1]) continue;
        sum += (double)sources[(plane * p->size[0] + row) * p->size[1] + column] *
               (double)w[plane * plane_step + r * v->S + s];
      }
    }
  return sum;
}

static void plain_slab(const ConvPlan *p, const ConvSlab *s, real *out,
                       const real *sources, const real *w) {
  int64_t n = p->out_size[0] * p->out_size[1], columns = p->out_size[1];
  int64_t end = least(p->out_size[0], (s->row + s->n_rows) * p->step[0]);
  w += s->group * p->v.f * p->v.c * p->v.R * p->v.S;
  for (int64_t image = s->image; image < s->image + s->n_images; image++) {
    int64_t set = image * p->v.G + s->group;
    const real *x = sources + set * p->planes * p->size[0] * p->size[1];
    for (int64_t m = 0; m < p->M; m++)
      for (int64_t row = s->row * p->step[0]; row < end; row++)
        for (int64_t column = 0; column < columns; column++) {
          int64_t phase[2] = {row % p->step[0], column % p->step[1]};
          out[(set * p->M + m) * n + row * columns + column] = (real)
              plain_sum(p, phase, row / p->step[0], column / p->step[1], x, w, m);
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
                     const real *const in[2], void *scratch) {
  Shared shared = {0};
  if (!p->plain) shared = shared_of(p, scratch);
  real *own = p->plain ? NULL : shared.parts + part * part_reals(p);
  if (own) conv_clear_window(p, own);
  int64_t end = p->n_slabs * (part + 1) / p->n_parts;
  for (int64_t i = p->n_slabs * part / p->n_parts; i < end; i++) {
    ConvSlab slab = conv_slab(p, i);
    if (p->plain || (p->padded && !group_finite(p, &shared, slab.group)))
      plain_slab(p, &slab, out, in[0], in[1]);
    else run_slab(p, &slab, &shared, own, out, in[0]);
  }
}

int64_t conv_blocks(const Conv *v, ConvResult result, int phase) {
  if (result == CONV_W) return conv_weight_blocks(v, phase);
  ConvPlan p = conv_plan(v, result == CONV_X);
  if (phase == 1) return p.n_parts;
  return p.plain ? 1 : most(1, v->G * n_panels(&p));
}

size_t conv_scratch_bytes(const Conv *v, ConvResult result) {
  if (result == CONV_W) return conv_weight_bytes(v);
  ConvPlan p = conv_plan(v, result == CONV_X);
  return p.plain ? 0 : memory_of(&p).n_bytes;
}

void conv_run_block(const Conv *v, ConvResult result, int phase, int64_t block,
                    real *out, const real *const in[2], void *scratch) {
  if (result == CONV_W) {
    conv_weight_run(v, phase, block, out, in, scratch);
    return;
  }
  ConvPlan p = conv_plan(v, result == CONV_X);
  if (phase == 1) {
    run_part(&p, block, out, in, scratch);
    return;
  }
  if (p.plain || n_panels(&p) == 0) return;
  Shared shared = shared_of(&p, scratch);
  prepare(&p, &shared, block, in[1]);
}
