/* ops_pool.c: the largest element and the mean of windows of images [N, C, H, W], and
 * their gradients.
 *
 *   max_pool        (x) -> y        y = the largest x of each window
 *   max_pool_grad   (x, gy) -> gx   each gy goes to the place of its largest x
 *   max_pool_pick   (x, z) -> y     the z at those places
 *   mean_pool       (x) -> y        y = the sum of the x of each window, over a divisor
 *   mean_pool_grad  (gy) -> gx      the transpose of that
 *
 * For given places the second and the third are the transposes of each other, and so
 * are the last two, so second derivatives are complete; places themselves have no
 * derivative. Windows and divisors: PoolPlane (kernel.h). Elements outside of the image
 * are in no window: a padding never is the largest, and adds 0 to a sum.
 *
 * A sequence [N, T, F] is taken as an image [N, 1, T, F] by windows of one column.
 *
 * Source: Goodfellow et al., "Deep Learning", section 9.3; Scherer, Mueller, Behnke,
 * "Evaluation of pooling operations", ICANN 2010. */
#include "graph/ops.h"
#include "base/ints.h"
#include <stdint.h>
#include <string.h>

enum { ROWS, COLUMNS };
enum { BLOCK = 16384, WORK = 4 }; /* elements of a block, about; operations for each */

/* -- attributes: five lists, what windows are, the size of a gradient -------------- */

/* Of all but the last attribute; with the size of mean_pool_grad; of the ops of places,
 * with what counts. */
enum { STEP_WORDS = 3 * 3 + 5 + 3 + 2, POOL_WORDS = STEP_WORDS + 3,
       PLACES_WORDS = STEP_WORDS + 1 };

static int plane_to_attr(Attr *attr, const PoolPlane *v) {
  const int64_t pads[] = {v->before[ROWS], v->after[ROWS], v->before[COLUMNS],
                          v->after[COLUMNS]};
  int n = ints_to_attr(attr, v->kernel, 2);
  n += ints_to_attr(attr + n, v->stride, 2);
  n += ints_to_attr(attr + n, pads, 4);
  n += ints_to_attr(attr + n, v->dilation, 2);
  n += ints_to_attr(attr + n, v->size, 2);
  attr[n++].i = v->adaptive;
  attr[n++].i = v->divisor;
  return n;
}

/* Of an image with `x`'s rows and columns. */
static PoolPlane plane_of(const Attr *attr, const int64_t *rows_columns) {
  const Attr *kernel = attr, *stride = attr_behind(kernel), *pads = attr_behind(stride);
  const Attr *dilation = attr_behind(pads), *size = attr_behind(dilation);
  PoolPlane v = {.adaptive = size[3].i != 0, .divisor = (PoolDivisor)size[4].i};
  for (int i = 0; i < 2; i++) {
    v.n[i] = rows_columns[i];
    v.kernel[i] = kernel[1 + i].i;
    v.stride[i] = stride[1 + i].i;
    v.before[i] = pads[1 + 2 * i].i;
    v.after[i] = pads[2 + 2 * i].i;
    v.dilation[i] = dilation[1 + i].i;
    v.size[i] = size[1 + i].i;
  }
  return v;
}

/* Rows and columns of the result of mean_pool_grad. */
static Shape whole_shape(const Shape *gy, const Attr *attr) {
  const Attr *size = attr + STEP_WORDS + 1;
  return SHAPE_OF(gy->dim[0], gy->dim[1], size[ROWS].i, size[COLUMNS].i);
}

static PoolPlane plane_of_call(const OpCall *call) {
  return plane_of(call->attr, call->in[0].shape.dim + 2);
}

static Shape pooled_shape(const Shape *x, const PoolPlane *v) {
  return SHAPE_OF(x->dim[0], x->dim[1], v->size[ROWS], v->size[COLUMNS]);
}

/* -- shapes ------------------------------------------------------------------------ */

static Err check_images(const OpInfer *io) {
  char got[SHAPE_TEXT];
  for (int i = 0; i < io->n_in; i++) {
    const Shape *x = &io->in[i]->shape;
    if (infer_need_real(io, i)) return io->fault->code;
    if (x->rank != 4)
      return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: 4 axes",
                       io->op->inputs[i], shape_text(got, x));
  }
  return ERR_OK;
}

static bool all_inside(const PoolPlane *v, int way) {
  int64_t reach = (v->kernel[way] - 1) * v->dilation[way];
  return v->before[way] == 0 && (v->size[way] - 1) * v->stride[way] + reach < v->n[way];
}

/* Has each window an element of the image? */
static Err check_windows(const OpInfer *io, const PoolPlane *v, const Shape *x) {
  static const char *const what[] = {"row", "column"};
  char got[SHAPE_TEXT];
  if (v->n[ROWS] < 1 || v->n[COLUMNS] < 1 || v->n[ROWS] > INT32_MAX / v->n[COLUMNS])
    return fault_set(io->fault, ERR_SHAPE,
                     "x: got %s, allowed: images of 1 to %d "
                     "pixels",
                     shape_text(got, x), INT32_MAX);
  for (int way = 0; way < 2; way++) {
    if (v->size[way] < 1)
      return fault_set(io->fault, ERR_SHAPE,
                       "a window of %lldx%lld, with its dilation, is larger than the "
                       "padded image; got [N, C, H, W] = %s",
                       (long long)v->kernel[ROWS], (long long)v->kernel[COLUMNS],
                       shape_text(got, x));
    if (v->adaptive || all_inside(v, way)) continue;
    for (int64_t at = 0; at < v->size[way]; at++)
      if (pool_window(v, way, at).n < 1)
        return fault_set(io->fault, ERR_SHAPE,
                         "window %lld of the %ss has padding alone (image %s); "
                         "allowed: windows with an element of the image",
                         (long long)at + 1, what[way], shape_text(got, x));
  }
  return ERR_OK;
}

static Err check_same(const OpInfer *io, int i, const Shape *want) {
  char got[SHAPE_TEXT], text[SHAPE_TEXT];
  if (shape_equal(&io->in[i]->shape, want)) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s", io->op->inputs[i],
                   shape_text(got, &io->in[i]->shape), shape_text(text, want));
}

static Err pool_infer(OpInfer *io) {
  if (check_images(io)) return io->fault->code;
  const Shape *x = &io->in[0]->shape;
  PoolPlane v = plane_of(io->attr, x->dim + 2);
  io->out_shape[0] = pooled_shape(x, &v);
  return check_windows(io, &v, x);
}

static Err max_pool_grad_infer(OpInfer *io) {
  Err err = pool_infer(io);
  if (err) return err;
  Shape pooled = io->out_shape[0];
  io->out_shape[0] = io->in[0]->shape;
  return check_same(io, 1, &pooled);
}

static Err max_pool_pick_infer(OpInfer *io) {
  Err err = pool_infer(io);
  return err ? err : check_same(io, 1, &io->in[0]->shape);
}

static Err mean_pool_grad_infer(OpInfer *io) {
  if (check_images(io)) return io->fault->code;
  Shape x = whole_shape(&io->in[0]->shape, io->attr);
  PoolPlane v = plane_of(io->attr, x.dim + 2);
  Shape pooled = pooled_shape(&x, &v);
  io->out_shape[0] = x;
  Err err = check_windows(io, &v, &x);
  return err ? err : check_same(io, 0, &pooled);
}

/* -- runs: blocks of images of one channel, each with memory for rows -------------- */

static int64_t planes(const Shape *x) { return x->dim[0] * x->dim[1]; }

static int64_t block_planes(const PoolPlane *v) {
  return most(1, BLOCK / (v->n[ROWS] * v->n[COLUMNS]));
}

/* Bytes of a block's own memory: a row of reals or of doubles, a row of places. */
static size_t row_bytes(const PoolPlane *v) {
  size_t n = (size_t)most(v->n[COLUMNS], v->size[COLUMNS]);
  return n * (sizeof(double) + sizeof(int32_t));
}

static void split_planes(const PoolPlane *v, const Shape *x, OpSplit *split) {
  split->n_blocks[0] = divide_up(planes(x), block_planes(v));
  split->own_bytes = row_bytes(v);
  split->work = WORK * shape_count(x);
}

static void pool_split(const OpCall *call, OpSplit *split) {
  PoolPlane v = plane_of_call(call);
  split_planes(&v, &call->in[0].shape, split);
}

static void mean_pool_grad_split(const OpCall *call, OpSplit *split) {
  PoolPlane v = plane_of(call->attr, call->out[0].shape.dim + 2);
  split_planes(&v, &call->out[0].shape, split);
}

/* What a block works on. */
typedef struct Part {
  PoolPlane v;
  int64_t first, end; /* images of one channel */
  int64_t n_x, n_y;   /* elements of one, before pooling and behind it */
  void *row;
  int32_t *at;
} Part;

static Part part_of(const OpCall *call, const Shape *x, int64_t block) {
  PoolPlane v = plane_of(call->attr, x->dim + 2);
  int64_t n = block_planes(&v), widest = most(v.n[COLUMNS], v.size[COLUMNS]);
  double *row = op_own(call);
  return (Part){.v = v, .first = block * n, .end = least(planes(x), (block + 1) * n),
                .n_x = v.n[ROWS] * v.n[COLUMNS], .n_y = v.size[ROWS] * v.size[COLUMNS],
                .row = row, .at = (int32_t *)(void *)(row + widest)};
}

static const real *reals_of(const OpCall *call, int i) { return call->in[i].data; }

static void max_pool_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Part p = part_of(call, &call->in[0].shape, block);
  const real *x = reals_of(call, 0);
  real *y = call->out[0].data;
  for (int64_t i = p.first; i < p.end; i++)
    kernels()->pool_max(y + i * p.n_y, x + i * p.n_x, &p.v, p.row);
}

static void max_pool_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Part p = part_of(call, &call->in[0].shape, block);
  p.v.positive = call->attr[STEP_WORDS].i;
  const real *x = reals_of(call, 0), *gy = reals_of(call, 1);
  real *gx = call->out[0].data;
  for (int64_t i = p.first; i < p.end; i++)
    kernels()->pool_max_grad(gx + i * p.n_x, x + i * p.n_x, gy + i * p.n_y, &p.v, p.row,
                             p.at);
}

static void max_pool_pick_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Part p = part_of(call, &call->in[0].shape, block);
  p.v.positive = call->attr[STEP_WORDS].i;
  const real *x = reals_of(call, 0), *z = reals_of(call, 1);
  real *y = call->out[0].data;
  for (int64_t i = p.first; i < p.end; i++)
    kernels()->pool_max_pick(y + i * p.n_y, x + i * p.n_x, z + i * p.n_x, &p.v, p.row,
                             p.at);
}

static void mean_pool_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Part p = part_of(call, &call->in[0].shape, block);
  const real *x = reals_of(call, 0);
  real *y = call->out[0].data;
  for (int64_t i = p.first; i < p.end; i++)
    kernels()->pool_mean(y + i * p.n_y, x + i * p.n_x, &p.v, p.row);
}

static void mean_pool_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Part p = part_of(call, &call->out[0].shape, block);
  const real *gy = reals_of(call, 0);
  real *gx = call->out[0].data;
  for (int64_t i = p.first; i < p.end; i++)
    kernels()->pool_mean_grad(gx + i * p.n_x, gy + i * p.n_y, &p.v, p.row);
}

/* -- plain references, by the definition: every element of every window ------------ */

/* Where element number k of window `at` is along an axis, and whether the image has
 * it. */
static bool element_at(const PoolPlane *v, int way, int64_t at, int64_t k,
                       int64_t *out) {
  int64_t n = v->n[way], P = v->size[way];
  *out = v->adaptive ? at * n / P + k
                     : at * v->stride[way] - v->before[way] + k * v->dilation[way];
  return *out >= 0 && *out < n;
}

static int64_t elements_of(const PoolPlane *v, int way, int64_t at) {
  int64_t n = v->n[way], P = v->size[way];
  return v->adaptive ? divide_up((at + 1) * n, P) - at * n / P : v->kernel[way];
}

/* The places in the image of the elements of window (p, q), into `out`; how many; and
 * how many there are with the padding. */
static int64_t places(const PoolPlane *v, int64_t p, int64_t q, int64_t *out,
                      int64_t *padded) {
  int64_t n = 0, row, column;
  *padded = 0;
  for (int64_t r = 0; r < elements_of(v, ROWS, p); r++)
    for (int64_t s = 0; s < elements_of(v, COLUMNS, q); s++) {
      bool inside = element_at(v, ROWS, p, r, &row);
      inside = element_at(v, COLUMNS, q, s, &column) && inside;
      if (inside) out[n++] = row * v->n[COLUMNS] + column;
      *padded += row < v->n[ROWS] + v->after[ROWS] &&
                 column < v->n[COLUMNS] + v->after[COLUMNS];
    }
  return n;
}

enum { REFERENCE_ROOM = 1024 }; /* elements of a window in the samples */

typedef struct PlacedWindow {
  int64_t in_x, in_y; /* of its image: the first element; of its result: the place */
  int64_t n, at[REFERENCE_ROOM];
  double divisor;
} PlacedWindow;

/* Number `i` of all windows of all images. */
static void placed_window(PlacedWindow *out, const PoolPlane *v, int64_t i) {
  int64_t n_y = v->size[ROWS] * v->size[COLUMNS], position = i % n_y, padded;
  must((v->adaptive ? v->n[ROWS] * v->n[COLUMNS]
                    : v->kernel[ROWS] * v->kernel[COLUMNS]) <= REFERENCE_ROOM);
  out->in_x = i / n_y * v->n[ROWS] * v->n[COLUMNS];
  out->in_y = i;
  out->n = places(v, position / v->size[COLUMNS], position % v->size[COLUMNS], out->at,
                  &padded);
  out->divisor = v->divisor == POOL_SUM            ? 1
                 : v->divisor == POOL_WITH_PADDING ? (double)padded
                                                   : (double)out->n;
}

static int64_t n_windows(const PoolPlane *v, const Shape *x) {
  return planes(x) * v->size[ROWS] * v->size[COLUMNS];
}

/* The place of the largest. */
static int64_t largest_in(const PlacedWindow *w, const double *x) {
  int64_t best = w->in_x + w->at[0];
  for (int64_t k = 1; k < w->n; k++)
    if (x[w->in_x + w->at[k]] > x[best]) best = w->in_x + w->at[k];
  return best;
}

/* Does the window of this largest element count? */
static bool counts(const OpCall *call, double largest) {
  return !call->attr[STEP_WORDS].i || largest > 0;
}

static void max_pool_reference(const OpCall *call, const double *const *in,
                               double *const *out) {
  PoolPlane v = plane_of_call(call);
  PlacedWindow w;
  for (int64_t i = 0; i < n_windows(&v, &call->in[0].shape); i++) {
    placed_window(&w, &v, i);
    out[0][i] = in[0][largest_in(&w, in[0])];
  }
}

static void max_pool_grad_reference(const OpCall *call, const double *const *in,
                                    double *const *out) {
  PoolPlane v = plane_of_call(call);
  PlacedWindow w;
  memset(out[0], 0, (size_t)shape_count(&call->out[0].shape) * sizeof *out[0]);
  for (int64_t i = 0; i < n_windows(&v, &call->in[0].shape); i++) {
    placed_window(&w, &v, i);
    int64_t at = largest_in(&w, in[0]);
    if (counts(call, in[0][at])) out[0][at] += in[1][i];
  }
}

static void max_pool_pick_reference(const OpCall *call, const double *const *in,
                                    double *const *out) {
  PoolPlane v = plane_of_call(call);
  PlacedWindow w;
  for (int64_t i = 0; i < n_windows(&v, &call->in[0].shape); i++) {
    placed_window(&w, &v, i);
    int64_t at = largest_in(&w, in[0]);
    out[0][i] = counts(call, in[0][at]) ? in[1][at] : 0;
  }
}

static void mean_pool_reference(const OpCall *call, const double *const *in,
                                double *const *out) {
  PoolPlane v = plane_of_call(call);
  PlacedWindow w;
  for (int64_t i = 0; i < n_windows(&v, &call->in[0].shape); i++) {
    double sum = 0;
    placed_window(&w, &v, i);
    for (int64_t k = 0; k < w.n; k++) sum += in[0][w.in_x + w.at[k]];
    out[0][i] = sum / w.divisor;
  }
}

static void mean_pool_grad_reference(const OpCall *call, const double *const *in,
                                     double *const *out) {
  const Shape *x = &call->out[0].shape;
  PoolPlane v = plane_of(call->attr, x->dim + 2);
  PlacedWindow w;
  memset(out[0], 0, (size_t)shape_count(x) * sizeof *out[0]);
  for (int64_t i = 0; i < n_windows(&v, x); i++) {
    placed_window(&w, &v, i);
    for (int64_t k = 0; k < w.n; k++) out[0][w.in_x + w.at[k]] += in[0][i] / w.divisor;
  }
}

/* -- gradients --------------------------------------------------------------------- */

/* An op of the places of the largest x, in windows as `attr` says. */
static Node *apply_places(Graph *g, const Op *op, Node *x, Node *other,
                          const Attr *attr, bool positive) {
  Attr own[PLACES_WORDS];
  memcpy(own, attr, STEP_WORDS * sizeof *own);
  own[STEP_WORDS].i = positive;
  return graph_apply(g, op, (Node *[]){x, other}, 2, own, PLACES_WORDS);
}

static void max_pool_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                         Node **gx) {
  if (want[0])
    gx[0] = apply_places(g, &op_record_max_pool_grad, y->in[0], gy[0], y->attr, false);
}

static void max_pool_grad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                              Node **gx) {
  if (want[1])
    gx[1] = apply_places(g, &op_record_max_pool_pick, y->in[0], gy[0], y->attr,
                         y->attr[STEP_WORDS].i);
}

static void max_pool_pick_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                              Node **gx) {
  if (want[1])
    gx[1] = apply_places(g, &op_record_max_pool_grad, y->in[0], gy[0], y->attr,
                         y->attr[STEP_WORDS].i);
}

static Node *max_pool_grad_above_zero(Graph *g, Node *gx) {
  return apply_places(g, &op_record_max_pool_grad, gx->in[0], gx->in[1], gx->attr,
                      true);
}

static void mean_pool_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                          Node **gx) {
  Attr attr[POOL_WORDS];
  if (!want[0]) return;
  memcpy(attr, y->attr, STEP_WORDS * sizeof *attr);
  ints_to_attr(attr + STEP_WORDS, y->in[0]->shape.dim + 2, 2);
  gx[0] = graph_apply(g, &op_record_mean_pool_grad, (Node *[]){gy[0]}, 1, attr,
                      POOL_WORDS);
}

static void mean_pool_grad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                               Node **gx) {
  if (want[0]) gx[0] = graph_apply(g, &op_record_mean_pool, gy, 1, y->attr, STEP_WORDS);
}

static Node *pool(Graph *g, const Op *op, Node *x, const PoolPlane *v) {
  Attr attr[STEP_WORDS];
  must(plane_to_attr(attr, v) == STEP_WORDS);
  return graph_apply(g, op, (Node *[]){x}, 1, attr, STEP_WORDS);
}

Node *op_max_pool(Graph *g, Node *x, const PoolPlane *v) {
  return pool(g, &op_record_max_pool, x, v);
}

Node *op_mean_pool(Graph *g, Node *x, const PoolPlane *v) {
  return pool(g, &op_record_mean_pool, x, v);
}

/* -- records ----------------------------------------------------------------------- */

#define TWO(name_, lo_, text)                                                          \
  {.name = name_, .kind = ATTR_INTS, .lo = lo_, .hi = 1e9, .n_least = 2, .n_most = 2,  \
   .doc = text}
#define POOL_ATTRS                                                                     \
  TWO("kernel", 1, "rows and columns of a window"),                                    \
  TWO("stride", 1, "rows and columns from one window to the next"),                    \
  {.name = "padding", .kind = ATTR_INTS, .lo = 0, .hi = 1e9, .n_least = 4,             \
   .n_most = 4, .doc = "at the top, the bottom, the left, the right"},                 \
  TWO("dilation", 1, "rows and columns from one element of a window to the next"),     \
  TWO("size", 0, "rows and columns of windows"),                                       \
  {.name = "adaptive", .kind = ATTR_BOOL,                                              \
   .doc = "windows that share the image, in place of the above"},                      \
  {.name = "divisor", .kind = ATTR_INT, .lo = 0, .hi = POOL_SUM,                       \
   .doc = "of a mean: the elements without padding, with it, 1"}

#define POSITIVE_ATTR                                                                  \
  {.name = "positive", .kind = ATTR_BOOL,                                              \
   .doc = "windows whose largest element is not above 0 count as 0"}

/* Kernel, stride, padding (top, bottom, left, right), dilation, windows; adaptive,
 * divisor. */
#define DIMS(...)                                                                      \
  { __VA_ARGS__ }
#define I(n)                                                                           \
  { .i = n }
#define STEPS(kh, kw, sh, sw, pt, pb, pl, pr, dh, dw, P, Q, adaptive, divisor)         \
  ATTR_LIST(I(kh), I(kw)), ATTR_LIST(I(sh), I(sw)),                                    \
      ATTR_LIST(I(pt), I(pb), I(pl), I(pr)), ATTR_LIST(I(dh), I(dw)),                  \
      ATTR_LIST(I(P), I(Q)), I(adaptive), I(divisor)
#define ONE(a, ...)                                                                    \
  { .n_in = 1, .in = {{.shape = {4, a}}}, ATTRS(__VA_ARGS__) }
#define PAIR(a, b, ...)                                                                \
  {.n_in = 2, .in = {{.shape = {4, a}}, {.shape = {4, b}}}, ATTRS(__VA_ARGS__)}

#define SINGLE STEPS(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0)
#define PLAIN STEPS(2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 3, 9, 0, 0)        /* 7 x 19 */
#define SHORT STEPS(2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 5, 7, 0, 0)        /* 11 x 15 */
#define OVERLAPPING STEPS(3, 2, 2, 1, 1, 1, 1, 0, 1, 1, 4, 20, 0, 1) /* 7 x 20 */
#define DILATED STEPS(2, 3, 1, 2, 0, 1, 2, 2, 2, 3, 5, 9, 0, 0)      /* 6 x 19 */
#define ONE_COLUMN STEPS(3, 1, 3, 1, 0, 0, 0, 0, 1, 1, 4, 33, 0, 2)  /* 11 x 33 */
#define SHARED STEPS(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 3, 5, 1, 0)       /* 5 x 7 */
#define MANY STEPS(2, 3, 2, 3, 0, 0, 0, 0, 1, 1, 20, 13, 0, 0)       /* 40 x 41 */

static const Sample max_pool_samples[] = {
    ONE(DIMS(1, 1, 1, 1), SINGLE), ONE(DIMS(2, 3, 7, 19), PLAIN),
    ONE(DIMS(2, 2, 11, 15), SHORT),
    ONE(DIMS(3, 1, 7, 20), OVERLAPPING), ONE(DIMS(1, 2, 6, 19), DILATED),
    ONE(DIMS(2, 1, 11, 33), ONE_COLUMN), ONE(DIMS(2, 2, 5, 7), SHARED),
    ONE(DIMS(5, 7, 40, 41), MANY), ONE(DIMS(0, 3, 7, 19), PLAIN), SAMPLES_END};
static const Sample max_pool_grad_samples[] = {
    PAIR(DIMS(1, 1, 1, 1), DIMS(1, 1, 1, 1), SINGLE, I(0)),
    PAIR(DIMS(2, 3, 7, 19), DIMS(2, 3, 3, 9), PLAIN, I(0)),
    PAIR(DIMS(2, 2, 11, 15), DIMS(2, 2, 5, 7), SHORT, I(1)),
    PAIR(DIMS(3, 1, 7, 20), DIMS(3, 1, 4, 20), OVERLAPPING, I(1)),
    PAIR(DIMS(1, 2, 6, 19), DIMS(1, 2, 5, 9), DILATED, I(0)),
    PAIR(DIMS(2, 1, 11, 33), DIMS(2, 1, 4, 33), ONE_COLUMN, I(0)),
    PAIR(DIMS(2, 2, 5, 7), DIMS(2, 2, 3, 5), SHARED, I(1)),
    PAIR(DIMS(5, 7, 40, 41), DIMS(5, 7, 20, 13), MANY, I(0)),
    PAIR(DIMS(3, 1, 7, 19), DIMS(3, 1, 3, 9), PLAIN, I(1)),
    PAIR(DIMS(2, 0, 7, 19), DIMS(2, 0, 3, 9), PLAIN, I(0)), SAMPLES_END};
static const Sample max_pool_pick_samples[] = {
    PAIR(DIMS(1, 1, 1, 1), DIMS(1, 1, 1, 1), SINGLE, I(0)),
    PAIR(DIMS(2, 3, 7, 19), DIMS(2, 3, 7, 19), PLAIN, I(0)),
    PAIR(DIMS(3, 1, 7, 20), DIMS(3, 1, 7, 20), OVERLAPPING, I(1)),
    PAIR(DIMS(2, 2, 5, 7), DIMS(2, 2, 5, 7), SHARED, I(1)), SAMPLES_END};
static const Sample mean_pool_grad_samples[] = {
    ONE(DIMS(1, 1, 1, 1), SINGLE, ATTR_LIST(I(1), I(1))),
    ONE(DIMS(2, 3, 3, 9), PLAIN, ATTR_LIST(I(7), I(19))),
    ONE(DIMS(3, 1, 4, 20), OVERLAPPING, ATTR_LIST(I(7), I(20))),
    ONE(DIMS(1, 2, 5, 9), DILATED, ATTR_LIST(I(6), I(19))),
    ONE(DIMS(2, 1, 4, 33), ONE_COLUMN, ATTR_LIST(I(11), I(33))),
    ONE(DIMS(2, 2, 3, 5), SHARED, ATTR_LIST(I(5), I(7))),
    ONE(DIMS(5, 7, 20, 13), MANY, ATTR_LIST(I(40), I(41))), SAMPLES_END};

#define POOL_SOURCE                                                                    \
  "Goodfellow, Bengio & Courville, Deep Learning, 2016, section 9.3; Scherer, Mueller "\
  "& Behnke, ICANN 2010"

const Op op_record_max_pool = {
    .name = "max_pool", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x"}, .attrs = OP_ATTRS(POOL_ATTRS),
    .doc = "the largest element of each window of images [N, C, H, W]",
    .equation = "y[n, c, p, q] = max x[n, c, i, j] over the window (p, q)",
    .source = POOL_SOURCE,
    .infer = pool_infer, .split = pool_split, .run = max_pool_run, .vjp = max_pool_vjp,
    .reference = max_pool_reference, .samples = max_pool_samples};

const Op op_record_max_pool_grad = {
    .name = "max_pool_grad", .n_in = 2, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x", "gy"},
    .attrs = OP_ATTRS(POOL_ATTRS, POSITIVE_ATTR),
    .doc = "gradient of max_pool: each gy at the place of the largest x of its window",
    .equation = "gx[n, c, i, j] = sum of gy[n, c, p, q] whose largest x is at (i, j)",
    .source = POOL_SOURCE,
    .infer = max_pool_grad_infer, .split = pool_split, .run = max_pool_grad_run,
    .vjp = max_pool_grad_vjp, .above_zero = max_pool_grad_above_zero,
    .reference = max_pool_grad_reference, .samples = max_pool_grad_samples};

const Op op_record_max_pool_pick = {
    .name = "max_pool_pick", .n_in = 2, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x", "z"},
    .attrs = OP_ATTRS(POOL_ATTRS, POSITIVE_ATTR),
    .doc = "the elements of z at the place of the largest x of each window",
    .equation = "y[n, c, p, q] = z[n, c, i, j], (i, j) the place of the largest x",
    .source = POOL_SOURCE,
    .infer = max_pool_pick_infer, .split = pool_split, .run = max_pool_pick_run,
    .vjp = max_pool_pick_vjp, .reference = max_pool_pick_reference,
    .samples = max_pool_pick_samples};

const Op op_record_mean_pool = {
    .name = "mean_pool", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x"}, .attrs = OP_ATTRS(POOL_ATTRS),
    .doc = "the mean, or the sum, of each window of images [N, C, H, W]",
    .equation = "y[n, c, p, q] = sum x[n, c, i, j] / divisor over the window (p, q)",
    .source = POOL_SOURCE,
    .infer = pool_infer, .split = pool_split, .run = mean_pool_run,
    .vjp = mean_pool_vjp, .reference = mean_pool_reference,
    .samples = max_pool_samples};

const Op op_record_mean_pool_grad = {
    .name = "mean_pool_grad", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy"},
    .attrs = OP_ATTRS(POOL_ATTRS, TWO("whole", 1, "rows and columns of the result")),
    .doc = "gradient of mean_pool's images, given that of its result",
    .equation = "gx[n, c, i, j] = sum gy[n, c, p, q] / divisor over the windows with "
                "(i, j)",
    .source = POOL_SOURCE,
    .infer = mean_pool_grad_infer, .split = mean_pool_grad_split,
    .run = mean_pool_grad_run, .vjp = mean_pool_grad_vjp,
    .reference = mean_pool_grad_reference, .samples = mean_pool_grad_samples};
