/* conv_plan.c: what a convolution reads where: grids, taps, windows and slabs. */
#include "kernel/conv_private.h"
#include <string.h>

enum {
  SLAB_PIXELS = 200,      /* of one grid and several images, at most */
  BAND_PIXELS = 400,      /* of one image, about */
  SLAB_REALS = 8192,      /* of sources and results, for which both may be more */
  FEW_RESULTS = 3,
  MAX_PARTS = 32,
  MAX_WINDOW = 1 << 26    /* elements; a place in it is an int32_t */
};
/* Elements of windows beyond which they are mostly zeros, per element of the sources
 * and the results. */
static const double MAX_ZEROS = 64;
/* Of sums with vectors of results: taps that turning them takes; what tiles of one
 * vector reach. */
static const double TURN_TAPS = 10, ONE_VECTOR = 0.8;

/* -- taps -------------------------------------------------------------------------- */

bool conv_offset(const ConvPlan *p, int axis, int64_t phase, int64_t in_kernel,
                 int64_t *offset) {
  const Conv *v = &p->v;
  int64_t reach = in_kernel * v->dilation[axis];
  if (!p->to_x) {
    *offset = reach - v->before[axis];
    return true;
  }
  int64_t from = phase + v->before[axis] - reach;
  *offset = from / v->stride[axis];
  return from % v->stride[axis] == 0;
}

int64_t conv_offsets(const ConvPlan *p, int axis, int64_t phase) {
  int64_t n = 0, size = axis == CONV_ROWS ? p->v.R : p->v.S, offset;
  for (int64_t k = 0; k < size; k++) n += conv_offset(p, axis, phase, k, &offset);
  return n;
}

static int64_t grid_size(const ConvPlan *p, int axis, int64_t phase) {
  return divide_up(p->out_size[axis] - phase, p->step[axis]);
}

static void set_grids(ConvPlan *p) {
  for (int axis = 0; axis < 2; axis++)
    p->grids[axis] = least(p->step[axis], p->out_size[axis]);
  p->n_grids = p->grids[0] > CONV_GRIDS || p->grids[1] > CONV_GRIDS
                   ? CONV_GRIDS + 1
                   : p->grids[0] * p->grids[1];
}

ConvGrid conv_grid(const ConvPlan *p, int64_t number) {
  ConvGrid g = {0};
  for (int64_t i = 0;; i++) {
    g.phase[0] = i / p->grids[1];
    g.phase[1] = i % p->grids[1];
    for (int axis = 0; axis < 2; axis++)
      g.size[axis] = grid_size(p, axis, g.phase[axis]);
    g.row_taps = p->planes * conv_offsets(p, CONV_COLUMNS, g.phase[1]);
    g.n_taps = conv_offsets(p, CONV_ROWS, g.phase[0]) * g.row_taps;
    if (i == number) return g;
    g.at_tap += g.n_taps;
    g.at_packed += (g.n_taps + CONV_SLACK) * p->lanes;
    g.at_pixel += p->slab_images * p->slab_rows * g.size[1];
  }
}

/* -- windows ----------------------------------------------------------------------- */

/* Where windows begin, and the rows or columns of one for `size` pixels of a phase,
 * over all phases. */
static void span_axis(ConvPlan *p, int axis, int64_t limit) {
  int64_t kernel = axis == CONV_ROWS ? p->v.R : p->v.S, offset, end = 0;
  bool any = false;
  p->first[axis] = 0;
  for (int64_t phase = 0; phase < p->grids[axis]; phase++)
    for (int64_t k = 0; k < kernel; k++) {
      if (!conv_offset(p, axis, phase, k, &offset)) continue;
      int64_t last = offset +
                     (least(grid_size(p, axis, phase), limit) - 1) * p->walk[axis];
      p->first[axis] = any ? least(p->first[axis], offset) : offset;
      end = any ? most(end, last + 1) : last + 1;
      any = true;
    }
  p->room[axis] = any ? end - p->first[axis] : 1;
}

static bool reaches_out(const ConvPlan *p, int axis) {
  return p->first[axis] < 0 || p->first[axis] + p->room[axis] > p->size[axis];
}

/* Vectors of pixels are filled as far as a stretch of pixels fills them; those of
 * results as far as results do, and the sums must be turned to images, which takes as
 * long as some ten taps. */
static ConvWay best_way(const ConvPlan *p) {
  const Kernels *k = kernels();
  if (p->walk[CONV_COLUMNS] != 1 || p->M == 0) return CONV_ACROSS;
  if (p->M <= FEW_RESULTS) return CONV_IMAGE;
  if (p->n_grids > 1) return CONV_ACROSS;
  int64_t n = p->pitch == p->out_size[1] ? p->out_size[0] * p->out_size[1]
                                         : p->out_size[1];
  double along = (double)n / (double)k->conv_lane(n, k->conv_panels(n));
  double taps = (double)(p->planes * p->v.R * p->v.S);
  double across = (double)p->M / (double)p->lanes * taps / (taps + TURN_TAPS);
  if (k->conv_panels(p->M) == 1 && p->lanes == k->conv_lane(1, 1)) across *= ONE_VECTOR;
  if (across >= along) return CONV_ACROSS;
  bool product = p->v.R * p->v.S == 1 && n > p->out_size[1] && !p->padded;
  return product && p->planes > 0 ? CONV_PRODUCT : CONV_ALONG;
}

static void set_window(ConvPlan *p) {
  span_axis(p, CONV_COLUMNS, INT64_MAX);
  span_axis(p, CONV_ROWS, INT64_MAX);
  p->padded = reaches_out(p, CONV_ROWS) || reaches_out(p, CONV_COLUMNS);
  span_axis(p, CONV_ROWS, p->slab_rows);
  p->pitch = p->padded ? p->room[CONV_COLUMNS] : p->size[CONV_COLUMNS];
  p->plane = p->pitch * (p->padded ? p->room[CONV_ROWS] : p->size[CONV_ROWS]);
  p->image = p->plane * p->planes * (p->padded ? 1 : p->v.G);
  p->way = best_way(p);
}

int64_t conv_window_reals(const ConvPlan *p) {
  return p->padded ? p->image * p->slab_images : 0;
}

/* Would the window be too large, or nearly all of it zeros? Asked before it is sized in
 * whole numbers, which might not hold it. */
static bool window_is_waste(const ConvPlan *p) {
  double room[2], sources = (double)p->size[0] * (double)p->size[1];
  double results = (double)p->out_size[0] * (double)p->out_size[1];
  for (int axis = 0; axis < 2; axis++) {
    double kernel = (double)(axis == CONV_ROWS ? p->v.R : p->v.S);
    double pixels = (double)p->out_size[axis] / (double)p->step[axis];
    room[axis] = pixels * (double)p->walk[axis] + kernel * (double)p->v.dilation[axis];
  }
  return room[0] * room[1] > MAX_ZEROS * (sources + results) + 4096;
}

/* -- slabs ------------------------------------------------------------------------- */

static void set_slabs(ConvPlan *p) {
  int64_t rows = grid_size(p, 0, 0), columns = grid_size(p, 1, 0);
  int64_t pixels = most(rows * columns, 1),
          room = SLAB_REALS / most(p->planes + p->M, 1);
  int64_t in_parts = most(SLAB_PIXELS, pixels * p->v.N * p->v.G / MAX_PARTS);
  int64_t n_images = most(SLAB_PIXELS, least(room, in_parts)) / pixels;
  p->slab_images = least(most(n_images, 1), most(p->v.N, 1));
  p->n_bands = least(divide_up(pixels, most(BAND_PIXELS, room)), most(rows, 1));
  p->slab_rows = divide_up(most(rows, 1), p->n_bands);
  p->n_bands = divide_up(most(rows, 1), p->slab_rows);
  p->n_slabs = p->v.G * divide_up(p->v.N, p->slab_images) * p->n_bands;
  p->n_parts = most(1, least(p->n_slabs, MAX_PARTS));
}

ConvSlab conv_slab(const ConvPlan *p, int64_t number) {
  int64_t band = number % p->n_bands, rest = number / p->n_bands;
  ConvSlab s = {.group = rest % p->v.G, .image = rest / p->v.G * p->slab_images,
                .row = band * p->slab_rows};
  s.n_images = least(p->slab_images, p->v.N - s.image);
  s.n_rows = least(p->slab_rows, grid_size(p, 0, 0) - s.row);
  return s;
}

ConvPlan conv_plan(const Conv *v, bool to_x) {
  ConvPlan p = {.v = *v, .to_x = to_x, .M = to_x ? v->c : v->f,
                .planes = to_x ? v->f : v->c};
  p.lanes = kernels()->conv_lane(p.M, kernels()->conv_panels(p.M));
  int64_t x[2] = {v->H, v->W}, y[2] = {v->P, v->Q};
  for (int axis = 0; axis < 2; axis++) {
    p.size[axis] = to_x ? y[axis] : x[axis];
    p.out_size[axis] = to_x ? x[axis] : y[axis];
    p.walk[axis] = to_x ? 1 : v->stride[axis];
    p.step[axis] = to_x ? v->stride[axis] : 1;
  }
  set_grids(&p);
  set_slabs(&p);
  p.plain = p.n_grids > CONV_GRIDS || window_is_waste(&p);
  if (p.plain) return p;
  set_window(&p);
  p.plain = p.image * p.slab_images > MAX_WINDOW;
  p.taps = p.planes * v->R * v->S;
  p.pixels = p.slab_images * p.slab_rows * p.out_size[1] * p.grids[0];
  return p;
}

/* -- runs -------------------------------------------------------------------------- */

static ConvRun run_of_row(const ConvPlan *p, const ConvGrid *g, int64_t i) {
  ConvRun run = {.row = i, .n_rows = 1};
  int64_t number = 0, row;
  for (int64_t r = 0; r < p->v.R; r++) {
    if (!conv_offset(p, CONV_ROWS, g->phase[0], r, &row)) continue;
    row += i * p->walk[0];
    if (row >= 0 && row < p->size[0]) {
      if (run.hi == 0) run.lo = number;
      run.hi = number + 1;
    }
    number++;
  }
  return run;
}

int conv_runs(const ConvPlan *p, const ConvGrid *g, int64_t row, int64_t end,
              ConvRun *run) {
  int n = 0;
  for (; row < end && n < CONV_RUNS - 1; row++) {
    ConvRun next = run_of_row(p, g, row);
    if (n > 0 && next.lo == run[n - 1].lo && next.hi == run[n - 1].hi)
      run[n - 1].n_rows++;
    else run[n++] = next;
  }
  if (row < end)
    run[n++] = (ConvRun){row, end - row, 0, conv_offsets(p, CONV_ROWS, g->phase[0])};
  return n;
}

/* -- lists ------------------------------------------------------------------------- */

void conv_list_taps(const ConvPlan *p, const ConvGrid *g, int32_t *tap) {
  int64_t row, column;
  for (int64_t r = 0; r < p->v.R; r++) {
    if (!conv_offset(p, CONV_ROWS, g->phase[0], r, &row)) continue;
    for (int64_t plane = 0; plane < p->planes; plane++) {
      int64_t from = plane * p->plane + (row - p->first[0]) * p->pitch;
      for (int64_t s = 0; s < p->v.S; s++)
        if (conv_offset(p, CONV_COLUMNS, g->phase[1], s, &column))
          *tap++ = (int32_t)(from + column - p->first[1]);
    }
  }
}

int32_t *conv_list_pixels(const ConvPlan *p, const ConvGrid *g, int64_t n_images,
                          int64_t row, int64_t n_rows, int32_t *pixel) {
  for (int64_t image = 0; image < n_images; image++)
    for (int64_t i = row; i < row + n_rows; i++)
      for (int64_t j = 0; j < g->size[1]; j++)
        *pixel++ = (int32_t)(image * p->image + i * p->walk[0] * p->pitch +
                             j * p->walk[1]);
  return pixel;
}

/* -- windows, filled --------------------------------------------------------------- */

void conv_clear_window(const ConvPlan *p, real *window) {
  int64_t n = conv_window_reals(p);
  if (n > 0) memset(window, 0, (size_t)n * sizeof *window);
}

/* Columns around the image stay zeros, and so do rows where every slab has the same. */
static void fill_plane(const ConvPlan *p, const ConvSlab *s, const real *source,
                       real *to) {
  int64_t row = p->first[0] + s->row * p->walk[0], room = p->room[0];
  int64_t before = least(most(-row, 0), room), column = p->first[1];
  int64_t end = most(least(p->size[0] - row, room), before);
  int64_t left = least(most(-column, 0), p->pitch);
  int64_t n = least(p->size[1] - column, p->pitch) - left;
  if (p->n_bands > 1) {
    memset(to, 0, (size_t)(before * p->pitch) * sizeof *to);
    memset(to + end * p->pitch, 0, (size_t)((room - end) * p->pitch) * sizeof *to);
  }
  if (end > before && n > 0)
    kernels()->conv_copy(to + before * p->pitch + left, p->pitch,
                         source + (row + before) * p->size[1] + column + left,
                         p->size[1], end - before, n);
}

const real *conv_fill_window(const ConvPlan *p, const ConvSlab *s, const real *sources,
                             real *window) {
  int64_t n = p->size[0] * p->size[1];
  sources += (s->image * p->v.G + s->group) * p->planes * n;
  if (!p->padded)
    return sources + (p->first[0] + s->row * p->walk[0]) * p->size[1] + p->first[1];
  for (int64_t i = 0; i < s->n_images; i++)
    for (int64_t plane = 0; plane < p->planes; plane++)
      fill_plane(p, s, sources + (i * p->v.G * p->planes + plane) * n,
                 window + i * p->image + plane * p->plane);
  return window;
}
