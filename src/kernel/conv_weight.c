/* conv_weight.c: the gradient of a convolution's weights.
 *
 * It is the sum over all pixels of y's gradient times what the taps of the pixel see:
 * with the window and the lists of the forward sum (conv_private.h), now taps are rows
 * and pixels are summed over. Of each slab y's gradient is turned to [pixels][lanes].
 *
 * A part adds up its slabs in order, in real; the second phase adds up the parts in
 * double. Where weights are so many that parts of them would take much memory, there
 * are fewer, and panels are shared out instead.
 *
 * Where the taps of a row of the kernel see neighbours, an element of x is loaded once
 * for all of them, for one vector of results at a time: it slides along y's gradient.
 * Then columns outside of x need not be there; nor need rows, if rows of the kernel are
 * summed one by one, and x is read where it lies.
 *
 * Zeros around an image are no terms: where y's gradient is not finite, a slab with a
 * window is summed term by term. */
#include "kernel/conv_private.h"
#include <string.h>

enum {
  BLOCKS = 16,         /* about, of the first phase */
  PARTS_REALS = 1 << 20, /* of the sums of all parts, unless one has more */
  ROW_TAPS = 12, /* that are worth a call */
  FEW = 4 /* lanes per result of which vectors of results make too little */
};

typedef struct Cut {
  ConvPlan p;
  int64_t K, n_panels;
  int64_t n_slabs;           /* of a group */
  int64_t n_parts, n_splits; /* of slabs, of panels */
  int64_t sums;              /* reals of all panels of a part */
  int64_t window, turned;    /* reals of a block: x, y's gradient */
  bool dots;                 /* results are too few for vectors of them */
  bool slides;               /* an element of x serves all taps of a row at once */
  bool by_kernel_row;        /* each sums over the pixels that it sees */
  bool in_place;             /* without a window */
  size_t own_bytes;          /* these two, taps, pixels */
} Cut;

/* The memory of a block. */
typedef struct Own {
  real *window, *turned;
  int32_t *tap, *pixel;
} Own;

/* Panels that slide are one vector. */
static int64_t lanes_of(const Cut *c, int64_t panel, int64_t *lane) {
  int64_t width = kernels()->conv_lane(1, 1);
  *lane = c->slides ? panel * width : kernels()->conv_lane(c->p.M, panel);
  return c->slides ? width : kernels()->conv_lane(c->p.M, panel + 1) - *lane;
}

static int64_t n_blocks(const Cut *c) { return c->p.v.G * c->n_parts * c->n_splits; }

static size_t sums_bytes(const Cut *c) {
  return (size_t)(c->p.v.G * c->n_parts * c->sums) * sizeof(real);
}

static Own own_of(const Cut *c, void *memory) {
  void *tap = (char *)memory + (size_t)(c->window + c->turned) * sizeof(real);
  Own own = {.window = memory, .tap = tap};
  own.turned = own.window + c->window;
  own.pixel = own.tap + conv_aligned(c->K);
  return own;
}

static void size_memory(Cut *c) {
  int64_t lanes = 0, lane;
  for (int64_t i = 0; i < c->n_panels; i++) lanes = most(lanes, lanes_of(c, i, &lane));
  c->window = conv_aligned(conv_window_reals(&c->p));
  c->turned = conv_aligned((c->p.pixels + CONV_SLACK) * lanes);
  c->own_bytes = (size_t)(c->window + c->turned) * sizeof(real) +
                 (size_t)(conv_aligned(c->K) + conv_aligned(c->p.pixels)) *
                     sizeof(int32_t);
}

/* Do taps of a row of the kernel see what lies side by side? */
static bool may_slide(const Conv *v) {
  return v->stride[CONV_COLUMNS] == 1 && v->dilation[CONV_COLUMNS] == 1 &&
         v->Q >= v->S && kernels()->conv_slides(v->S);
}

/* Does every pixel see a column of x, so that those outside may be left out? */
static bool may_leave_out(const Conv *v) {
  int64_t before = v->before[CONV_COLUMNS];
  return before < v->S && v->Q <= before + v->W;
}

static void read_in_place(ConvPlan *p) {
  p->padded = false;
  p->pitch = p->v.W;
  p->plane = p->v.H * p->pitch;
  p->image = p->v.G * p->planes * p->plane;
}

static Cut cut_of(const Conv *v) {
  Cut c = {.p = conv_plan(v, false), .K = v->c * v->R * v->S};
  if (c.p.plain) return c;
  c.dots = c.p.walk[CONV_COLUMNS] == 1 && v->f * FEW <= c.p.lanes;
  c.by_kernel_row = c.p.padded && c.K / v->R >= ROW_TAPS;
  c.slides = !c.dots && may_slide(v);
  c.in_place = c.slides && c.by_kernel_row && may_leave_out(v);
  if (c.in_place) read_in_place(&c.p);
  c.n_panels = c.slides ? c.p.lanes / kernels()->conv_lane(1, 1)
                        : kernels()->conv_panels(v->f);
  c.n_slabs = c.p.n_slabs / v->G;
  c.sums = conv_aligned((c.K + CONV_SLACK) * c.p.lanes);
  int64_t most_parts = least(divide_up(BLOCKS, v->G),
                             PARTS_REALS / most(1, c.sums * v->G));
  c.n_parts = most(1, least(c.n_slabs, most_parts));
  int64_t splits = divide_up(BLOCKS, v->G * c.n_parts);
  c.n_splits = most(1, least(c.n_panels, splits));
  size_memory(&c);
  return c;
}

/* -- the first phase: sums of parts ------------------------------------------------ */

/* One panel of a slab: y's gradient [pixels][lanes], and where its sums go. */
typedef struct Panel {
  real *sums, *turned;
  const real *gy; /* of the group's first image */
  int64_t first, M, lanes;
} Panel;

static ConvSlab slab_of(const Cut *c, int64_t group, int64_t number) {
  int64_t n = c->p.n_bands;
  return conv_slab(&c->p, (number / n * c->p.v.G + group) * n + number % n);
}

/* Result m of an image of the slab, at its first row. */
static const real *gradient_at(const ConvPlan *p, const ConvSlab *s, const real *gy,
                               int64_t image, int64_t m) {
  int64_t plane = ((s->image + image) * p->v.G + s->group) * p->M + m;
  return gy + (plane * p->v.P + s->row) * p->v.Q;
}

/* How many rows of pixels follow each other in an image before the next image: all of
 * them, unless those that a row of the kernel does not see are to be left out. */
static int64_t rows_together(const Cut *c, int64_t n_images, int64_t n_rows) {
  return c->by_kernel_row && !c->slides && n_images > 1 ? 1 : n_rows;
}

/* Rows of all images. Are all elements finite? */
static bool turn(const Cut *c, const ConvSlab *s, const Panel *panel) {
  const ConvPlan *p = &c->p;
  bool finite = true;
  real *to = panel->turned;
  int64_t n_rows = rows_together(c, s->n_images, s->n_rows), n = n_rows * p->v.Q;
  for (int64_t row = 0; row < s->n_rows; row += n_rows)
    for (int64_t i = 0; i < s->n_images; i++, to += n * panel->lanes)
      finite = kernels()->conv_take(to,
                                    gradient_at(p, s, panel->gy, i, panel->first) +
                                        row * p->v.Q,
                                    p->v.P * p->v.Q, panel->lanes, n, panel->M) &&
               finite;
  return finite;
}

/* The sum of one weight over a slab, term by term; k: the number of its tap. */
static double plain_sum(const ConvPlan *p, const ConvSlab *s, const real *gy,
                        const real *x, int64_t m, int64_t k) {
  const Conv *v = &p->v;
  int64_t plane = k / v->S % v->c, row, column, r_offset, s_offset;
  conv_offset(p, CONV_ROWS, 0, k / (v->S * v->c), &r_offset);
  conv_offset(p, CONV_COLUMNS, 0, k % v->S, &s_offset);
  double sum = 0;
  for (int64_t image = 0; image < s->n_images; image++) {
    const real *y = gradient_at(p, s, gy, image, m);
    const real *from = x + (((s->image + image) * v->G + s->group) * v->c + plane) *
                               v->H * v->W;
    for (int64_t i = 0; i < s->n_rows; i++) {
      row = (s->row + i) * p->walk[0] + r_offset;
      if (row < 0 || row >= v->H) continue;
      for (int64_t j = 0; j < v->Q; j++) {
        column = j * p->walk[1] + s_offset;
        if (column < 0 || column >= v->W) continue;
        sum += (double)y[i * v->Q + j] * (double)from[row * v->W + column];
      }
    }
  }
  return sum;
}

static void plain_panel(const Cut *c, const ConvSlab *s, const Panel *panel,
                        const real *x) {
  for (int64_t k = 0; k < c->K; k++)
    for (int64_t m = 0; m < panel->M; m++)
      panel->sums[k * panel->lanes + m] += (real)plain_sum(&c->p, s, panel->gy, x,
                                                           panel->first + m, k);
}

/* Rows of a slab whose pixels see something with row r of the kernel, or with any. */
static void rows_seen(const Cut *c, const ConvSlab *s, int64_t r, int64_t *from,
                      int64_t *end) {
  const ConvPlan *p = &c->p;
  int64_t offset;
  *from = 0;
  *end = s->n_rows;
  if (!c->by_kernel_row) return;
  conv_offset(p, CONV_ROWS, 0, r, &offset);
  while (*from < *end && (s->row + *from) * p->walk[0] + offset < 0) ++*from;
  while (*from < *end && (s->row + *end - 1) * p->walk[0] + offset >= p->size[0])
    --*end;
}

/* The sums of a slab with vectors of pixels. */
static void add_dots(const Cut *c, const ConvSlab *s, const Panel *panel,
                     const Own *own, const real *window) {
  const ConvPlan *p = &c->p;
  int64_t image = p->v.G * p->M * p->v.P * p->v.Q;
  for (int64_t m = 0; m < panel->M; m++)
    kernels()->conv_dots(panel->sums + m, panel->lanes,
                         gradient_at(p, s, panel->gy, 0, panel->first + m), p->v.Q,
                         image, window, p->walk[0] * p->pitch, p->image, own->tap, c->K,
                         s->n_images, s->n_rows, p->v.Q);
}

static bool gradient_finite(const ConvPlan *p, const ConvSlab *s, const Panel *panel) {
  bool finite = true;
  for (int64_t i = 0; i < s->n_images; i++)
    for (int64_t m = 0; m < panel->M; m++)
      finite = kernels()->conv_finite(gradient_at(p, s, panel->gy, i, panel->first + m),
                                      s->n_rows * p->v.Q) &&
               finite;
  return finite;
}

/* Taps that are summed over the same rows of a slab. */
typedef struct Stretch {
  int64_t tap, n_taps, row, n_rows;
} Stretch;

static void sum_stretch(const Cut *c, const ConvSlab *s, const Panel *panel,
                        const Own *own, const real *x, const Stretch *stretch) {
  int64_t lanes = panel->lanes, pixels = s->n_images * c->p.v.Q;
  int64_t first = stretch->row * pixels;
  kernels()->conv_sums(panel->sums + stretch->tap * lanes, x, own->tap + stretch->tap,
                       stretch->n_taps, own->pixel + first, stretch->n_rows * pixels,
                       panel->turned + first * lanes, lanes, true);
}

/* In the order of list_pixels. */
static void slide_stretch(const Cut *c, const ConvSlab *s, const Panel *panel,
                          const Own *own, const real *x, const Stretch *stretch) {
  const ConvPlan *p = &c->p;
  int64_t Q = p->v.Q, S = p->v.S, x_row = p->walk[0] * p->pitch;
  int images = c->by_kernel_row, rows = !images;
  ConvSlide slide = {.c = panel->sums + stretch->tap * panel->lanes,
                     .x = x + stretch->row * x_row,
                     .b = panel->turned + stretch->row * Q * panel->lanes,
                     .tap = own->tap + stretch->tap, .n_lines = stretch->n_taps / S,
                     .S = S, .n = Q, .end = Q + S - 1};
  if (c->in_place) {
    slide.begin = p->v.before[CONV_COLUMNS];
    slide.end = slide.begin + p->v.W;
  }
  slide.n_rows[rows] = stretch->n_rows;
  slide.x_step[rows] = x_row;
  slide.b_step[rows] = Q;
  slide.n_rows[images] = s->n_images;
  slide.x_step[images] = p->image;
  slide.b_step[images] = s->n_rows * Q;
  kernels()->conv_slide(&slide);
}

/* Taps of one row of the kernel are summed over the pixels that it sees; those of all
 * rows together where one has too few for whole tiles. */
static void add_slab(const Cut *c, const ConvSlab *s, const Panel *panel,
                     const Own *own, const real *window, const real *x) {
  const ConvPlan *p = &c->p;
  bool finite = c->dots ? !p->padded || gradient_finite(p, s, panel)
                        : turn(c, s, panel);
  if (!finite && p->padded) {
    plain_panel(c, s, panel, x);
    return;
  }
  if (c->dots) {
    add_dots(c, s, panel, own, window);
    return;
  }
  int64_t n = c->by_kernel_row ? p->v.R : 1, end;
  for (int64_t r = 0; r < n; r++) {
    Stretch stretch = {.tap = c->K * r / n, .n_taps = c->K / n};
    rows_seen(c, s, r, &stretch.row, &end);
    stretch.n_rows = end - stretch.row;
    if (stretch.n_rows <= 0) continue;
    if (c->slides) slide_stretch(c, s, panel, own, window, &stretch);
    else sum_stretch(c, s, panel, own, window, &stretch);
  }
}

/* Pixels of a slab of n_images, as turn() has them. */
static void list_pixels(const Cut *c, int64_t n_images, const Own *own) {
  ConvGrid grid = conv_grid(&c->p, 0);
  int32_t *pixel = own->pixel;
  int64_t n_rows = rows_together(c, n_images, c->p.slab_rows);
  for (int64_t row = 0; row < c->p.slab_rows; row += n_rows)
    pixel = conv_list_pixels(&c->p, &grid, n_images, row, n_rows, pixel);
}

static Panel panel_of(const Cut *c, int64_t number, real *sums, const Own *own,
                      const real *gy) {
  Panel panel = {.turned = own->turned, .gy = gy};
  panel.lanes = lanes_of(c, number, &panel.first);
  panel.M = least(panel.lanes, c->p.M - panel.first);
  panel.sums = sums + panel.first * (c->K + CONV_SLACK);
  return panel;
}

static real *sums_of(const Cut *c, void *scratch, int64_t group, int64_t part) {
  return (real *)scratch + (group * c->n_parts + part) * c->sums;
}

static void sum_part(const Cut *c, int64_t block, const real *const in[2],
                     ConvMemory memory) {
  int64_t part = block % c->n_parts, split = block / c->n_parts % c->n_splits;
  int64_t group = block / (c->n_parts * c->n_splits);
  int64_t first = c->n_panels * split / c->n_splits;
  int64_t end = c->n_panels * (split + 1) / c->n_splits;
  int64_t last_slab = c->n_slabs * (part + 1) / c->n_parts, listed = 0;
  real *sums = sums_of(c, memory.shared, group, part);
  Own own = own_of(c, memory.own);
  ConvGrid grid = conv_grid(&c->p, 0);
  conv_list_taps(&c->p, &grid, own.tap);
  conv_clear_window(&c->p, own.window);
  for (int64_t k = first; k < end; k++) {
    Panel panel = panel_of(c, k, sums, &own, in[0]);
    memset(panel.sums, 0, (size_t)(c->K * panel.lanes) * sizeof(real));
  }
  for (int64_t i = c->n_slabs * part / c->n_parts; i < last_slab; i++) {
    ConvSlab slab = slab_of(c, group, i);
    const real *window = conv_fill_window(&c->p, &slab, in[1], own.window);
    if (!c->dots && !c->slides && slab.n_images != listed) {
      listed = slab.n_images;
      list_pixels(c, listed, &own);
    }
    for (int64_t k = first; k < end; k++) {
      Panel panel = panel_of(c, k, sums, &own, in[0]);
      add_slab(c, &slab, &panel, &own, window, in[1]);
    }
  }
}

/* -- the second phase: the sum of all parts, one panel ------------------------- */

static void add_parts(const Cut *c, int64_t block, real *w, void *scratch) {
  const Conv *v = &c->p.v;
  int64_t group = block / c->n_panels, lane, part[BLOCKS];
  int64_t lanes = lanes_of(c, block % c->n_panels, &lane);
  real *sums = sums_of(c, scratch, group, 0) + lane * (c->K + CONV_SLACK);
  for (int64_t i = 0; i < c->n_parts; i++) part[i] = i;
  kernels()->sum_of_rows(sums, sums, part, c->n_parts, c->sums, c->K * lanes);
  w += (group * c->p.M + lane) * c->K;
  for (int64_t r = 0; r < v->R; r++)
    for (int64_t plane = 0; plane < v->c; plane++, sums += v->S * lanes)
      kernels()->conv_put(w + (plane * v->R + r) * v->S, c->K, sums, lanes, v->S,
                          least(lanes, c->p.M - lane));
}

/* Filter number `block` alone. */
static void plain_filter(const ConvPlan *p, int64_t block, real *w,
                         const real *const in[2]) {
  int64_t K = p->planes * p->v.R * p->v.S;
  ConvSlab all = {.group = block / p->M, .n_images = p->v.N, .n_rows = p->v.P};
  for (int64_t k = 0; k < K; k++) {
    int64_t plane = k / p->v.S % p->planes, r = k / (p->v.S * p->planes);
    w[block * K + (plane * p->v.R + r) * p->v.S + k % p->v.S] = (real)
        plain_sum(p, &all, in[0], in[1], block % p->M, k);
  }
}

void conv_weight_plainly(const Conv *v, int64_t filter, real *w,
                         const real *const in[2]) {
  ConvPlan p = conv_plan(v, false);
  plain_filter(&p, filter, w, in);
}

/* -- blocks ------------------------------------------------------------------------ */

int64_t conv_weight_blocks(const Conv *v, int phase) {
  Cut c = cut_of(v);
  if (c.p.plain) return phase == 0 ? 0 : v->G * v->f;
  return phase == 0 ? n_blocks(&c) : v->G * c.n_panels;
}

ConvBytes conv_weight_bytes(const Conv *v) {
  Cut c = cut_of(v);
  if (c.p.plain) return (ConvBytes){0, 0};
  return (ConvBytes){sums_bytes(&c), c.own_bytes};
}

void conv_weight_run(const Conv *v, int phase, int64_t block, real *w,
                     const real *const in[2], ConvMemory memory) {
  Cut c = cut_of(v);
  if (c.p.plain) {
    if (phase == 1) plain_filter(&c.p, block, w, in);
    return;
  }
  if (phase == 0) sum_part(&c, block, in, memory);
  else add_parts(&c, block, w, memory.shared);
}
