/* ops_resample.c: images [N, C, H, W] of another size.
 *
 * Pixel p of P along an axis of n pixels is at s in the image, which lies between two
 * of its pixels, low = floor(s) and low + 1 (the last one at most), at part = s - low:
 *
 *   nearest           s = floor(p n / P)
 *   linear            s = max((p + 1/2) n / P - 1/2, 0)      centres of pixels match
 *   linear, aligned   s = p (n - 1) / (P - 1); 0 if P = 1    corners match
 *
 *   y = x[low] (1 - part) + x[low + 1] part, along the rows and then the columns
 *
 * resample and resample_grad are linear and the transposes of each other, so each is
 * the other's gradient. */
#include "graph/ops.h"
#include "base/ints.h"
#include <string.h>

enum { ROWS, COLUMNS };
enum { BLOCK = 16384, WORK = 6 }; /* elements of a block, about; operations for each */

/* -- attributes: the size of y, linear, aligned; of a gradient, the size of x ------ */

enum { RESAMPLE_WORDS = 3 + 2, GRAD_WORDS = RESAMPLE_WORDS + 3 };

static const Attr *size_of(const Attr *attr) { return attr + 1; }
static const Attr *whole_of(const Attr *attr) { return attr + RESAMPLE_WORDS + 1; }

static ResampleTap tap_at(const Attr *attr, int64_t at, int64_t n, int64_t P) {
  bool linear = attr[3].i != 0, aligned = attr[4].i != 0;
  int64_t nearest = at * n / P;
  double s = 0;
  if (!linear) s = (double)nearest;
  else if (!aligned) s = ((double)at + 0.5) * (double)n / (double)P - 0.5;
  else if (P > 1) s = (double)at * (double)(n - 1) / (double)(P - 1);
  int64_t low = least(s > 0 ? (int64_t)s : 0, n - 1);
  double part = s > (double)low ? s - (double)low : 0;
  int64_t high = least(low + 1, n - 1);
  return (ResampleTap){(int32_t)low, (int32_t)high, (real)(high > low ? part : 0)};
}

/* -- shapes ------------------------------------------------------------------------ */

static Err check_image(const OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  char got[SHAPE_TEXT];
  if (infer_need_real(io, 0)) return io->fault->code;
  if (x->rank == 4 && x->dim[2] > 0 && x->dim[3] > 0) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "%s: got %s, allowed: 4 axes, a row and a column at least",
                   io->op->inputs[0], shape_text(got, x));
}

static Err resample_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  const Attr *size = size_of(io->attr);
  if (check_image(io)) return io->fault->code;
  io->out_shape[0] = SHAPE_OF(x->dim[0], x->dim[1], size[ROWS].i, size[COLUMNS].i);
  return ERR_OK;
}

static Err resample_grad_infer(OpInfer *io) {
  const Shape *gy = &io->in[0]->shape;
  const Attr *size = size_of(io->attr), *whole = whole_of(io->attr);
  char got[SHAPE_TEXT];
  if (check_image(io)) return io->fault->code;
  io->out_shape[0] = SHAPE_OF(gy->dim[0], gy->dim[1], whole[ROWS].i, whole[COLUMNS].i);
  if (gy->dim[2] == size[ROWS].i && gy->dim[3] == size[COLUMNS].i) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "gy: got %s, allowed: images of %lldx%lld",
                   shape_text(got, gy), (long long)size[ROWS].i,
                   (long long)size[COLUMNS].i);
}

/* -- runs -------------------------------------------------------------------------- */

/* Both images of a block: the taps of y in x, and memory for a row of x. */
typedef struct Resample {
  int64_t P, Q, H, W, planes, per_block;
  ResampleTap *rows, *columns;
  real *row;
} Resample;

static Resample sizes_of(const Shape *x, const Shape *y) {
  Resample r = {.H = x->dim[2], .W = x->dim[3], .P = y->dim[2], .Q = y->dim[3],
                .planes = x->dim[0] * x->dim[1]};
  r.per_block = most(1, BLOCK / (r.H * r.W + r.P * r.Q));
  return r;
}

static size_t block_bytes(const Resample *r) {
  size_t taps = (size_t)(r->P + r->Q) * sizeof(ResampleTap);
  return taps + (size_t)r->W * sizeof(real);
}

static Resample prepare(const OpCall *call, const Shape *x, const Shape *y) {
  Resample r = sizes_of(x, y);
  r.rows = op_own(call);
  r.columns = r.rows + r.P;
  r.row = (real *)(void *)(r.columns + r.Q);
  for (int64_t p = 0; p < r.P; p++) r.rows[p] = tap_at(call->attr, p, r.H, r.P);
  for (int64_t q = 0; q < r.Q; q++) r.columns[q] = tap_at(call->attr, q, r.W, r.Q);
  return r;
}

static void split_planes(const Shape *x, const Shape *y, OpSplit *split) {
  Resample r = sizes_of(x, y);
  split->n_blocks[0] = divide_up(r.planes, r.per_block);
  split->own_bytes = block_bytes(&r);
  split->work = WORK * (shape_count(x) + shape_count(y));
}

static void resample_split(const OpCall *call, OpSplit *split) {
  split_planes(&call->in[0].shape, &call->out[0].shape, split);
}

static void resample_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Resample r = prepare(call, &call->in[0].shape, &call->out[0].shape);
  const real *x = call->in[0].data;
  real *y = call->out[0].data;
  int64_t end = least(r.planes, (block + 1) * r.per_block);
  for (int64_t i = block * r.per_block; i < end; i++)
    kernels()->resample(y + i * r.P * r.Q, x + i * r.H * r.W, r.rows, r.columns, r.P,
                        r.Q, r.W, r.row);
}

static void resample_grad_split(const OpCall *call, OpSplit *split) {
  split_planes(&call->out[0].shape, &call->in[0].shape, split);
}

static void resample_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Resample r = prepare(call, &call->out[0].shape, &call->in[0].shape);
  const real *gy = call->in[0].data;
  real *gx = call->out[0].data;
  int64_t end = least(r.planes, (block + 1) * r.per_block);
  for (int64_t i = block * r.per_block; i < end; i++) {
    memset(gx + i * r.H * r.W, 0, (size_t)(r.H * r.W) * sizeof *gx);
    kernels()->resample_grad(gx + i * r.H * r.W, gy + i * r.P * r.Q, r.rows, r.columns,
                             r.P, r.Q, r.W, r.row);
  }
}

/* -- plain references: each pair of pixels, by its weight -------------------------- */

/* How much of pixel `from` of n there is in pixel `at` of P. */
static double weight_of(const Attr *attr, int64_t at, int64_t from, int64_t n,
                        int64_t P) {
  bool linear = attr[3].i != 0, aligned = attr[4].i != 0;
  if (!linear) return from == at * n / P;
  double s = aligned ? (P > 1 ? (double)at * (double)(n - 1) / (double)(P - 1) : 0)
                     : ((double)at + 0.5) * (double)n / (double)P - 0.5;
  s = s < 0 ? 0 : s > (double)(n - 1) ? (double)(n - 1) : s;
  double away = s - (double)from;
  away = away < 0 ? -away : away;
  return away < 1 ? 1 - away : 0;
}

static void add_weighted(const OpCall *call, const Shape *x, const Shape *y, bool back,
                         const double *in, double *out) {
  int64_t n_x = x->dim[2] * x->dim[3], n_y = y->dim[2] * y->dim[3];
  memset(out, 0, (size_t)shape_count(&call->out[0].shape) * sizeof *out);
  for (int64_t i = 0; i < x->dim[0] * x->dim[1] * n_y; i++)
    for (int64_t k = 0; k < n_x; k++) {
      int64_t to = i % n_y, pixel = i / n_y * n_x + k;
      double w = weight_of(call->attr, to / y->dim[3], k / x->dim[3], x->dim[2],
                           y->dim[2]) *
                 weight_of(call->attr, to % y->dim[3], k % x->dim[3], x->dim[3],
                           y->dim[3]);
      if (back) out[pixel] += w * in[i];
      else out[i] += w * in[pixel];
    }
}

static void resample_reference(const OpCall *call, const double *const *in,
                               double *const *out) {
  add_weighted(call, &call->in[0].shape, &call->out[0].shape, false, in[0], out[0]);
}

static void resample_grad_reference(const OpCall *call, const double *const *in,
                                    double *const *out) {
  add_weighted(call, &call->out[0].shape, &call->in[0].shape, true, in[0], out[0]);
}

/* -- gradients --------------------------------------------------------------------- */

static void resample_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                         Node **gx) {
  Attr attr[GRAD_WORDS];
  if (!want[0]) return;
  memcpy(attr, y->attr, RESAMPLE_WORDS * sizeof *attr);
  ints_to_attr(attr + RESAMPLE_WORDS, y->in[0]->shape.dim + 2, 2);
  gx[0] = graph_apply(g, &op_record_resample_grad, (Node *[]){gy[0]}, 1, attr,
                      GRAD_WORDS);
}

static void resample_grad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                              Node **gx) {
  if (want[0])
    gx[0] = graph_apply(g, &op_record_resample, (Node *[]){gy[0]}, 1, y->attr,
                        RESAMPLE_WORDS);
}

Node *op_resample(Graph *g, Node *x, const int64_t size[2], bool linear, bool aligned) {
  Attr attr[RESAMPLE_WORDS];
  int n = ints_to_attr(attr, size, 2);
  attr[n++].i = linear;
  attr[n++].i = aligned;
  return graph_apply(g, &op_record_resample, (Node *[]){x}, 1, attr, n);
}

/* -- records ----------------------------------------------------------------------- */

#define SIZE(name_, text)                                                              \
  {.name = name_, .kind = ATTR_INTS, .lo = 1, .hi = 1e9, .n_least = 2, .n_most = 2,    \
   .doc = text}
#define RESAMPLE_ATTRS                                                                 \
  SIZE("size", "rows and columns of y"),                                               \
  {.name = "linear", .kind = ATTR_BOOL, .doc = "between pixels, not the nearest one"}, \
  {.name = "aligned", .kind = ATTR_BOOL, .doc = "corners match, not centres"}
#define I(n)                                                                           \
  { .i = n }
#define IMAGES(n, c, h, w, ...)                                                        \
  {.n_in = 1, .in = {{.shape = {4, {n, c, h, w}}}}, ATTRS(__VA_ARGS__)}
#define TO(P, Q, linear, aligned) ATTR_LIST(I(P), I(Q)), I(linear), I(aligned)

static const Sample resample_samples[] = {
    IMAGES(1, 1, 1, 1, TO(1, 1, 0, 0)), IMAGES(2, 3, 4, 5, TO(8, 15, 0, 0)),
    IMAGES(2, 1, 5, 7, TO(3, 9, 0, 0)), IMAGES(2, 3, 4, 5, TO(8, 15, 1, 0)),
    IMAGES(1, 2, 7, 5, TO(3, 1, 1, 0)), IMAGES(1, 2, 4, 5, TO(7, 1, 1, 1)),
    IMAGES(5, 7, 20, 21, TO(40, 33, 1, 1)), IMAGES(0, 2, 3, 3, TO(6, 6, 1, 0)),
    SAMPLES_END};
static const Sample resample_grad_samples[] = {
    IMAGES(1, 1, 1, 1, TO(1, 1, 0, 0), ATTR_LIST(I(1), I(1))),
    IMAGES(2, 3, 8, 15, TO(8, 15, 0, 0), ATTR_LIST(I(4), I(5))),
    IMAGES(2, 3, 8, 15, TO(8, 15, 1, 0), ATTR_LIST(I(4), I(5))),
    IMAGES(1, 2, 7, 1, TO(7, 1, 1, 1), ATTR_LIST(I(4), I(5))),
    IMAGES(5, 7, 40, 33, TO(40, 33, 1, 1), ATTR_LIST(I(20), I(21))), SAMPLES_END};

const Op op_record_resample = {
    .name = "resample", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x"}, .attrs = OP_ATTRS(RESAMPLE_ATTRS),
    .doc = "images [N, C, H, W] of another size",
    .equation = "y[p] = x[low] (1 - part) + x[low + 1] part, along rows and columns",
    .infer = resample_infer, .split = resample_split, .run = resample_run,
    .vjp = resample_vjp, .reference = resample_reference, .samples = resample_samples};

const Op op_record_resample_grad = {
    .name = "resample_grad", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy"},
    .attrs = OP_ATTRS(RESAMPLE_ATTRS, SIZE("whole", "rows and columns of x")),
    .doc = "gradient of resample's images, given that of its result",
    .equation = "gx[i] = sum of gy[p] (1 - part) at low, gy[p] part at low + 1",
    .infer = resample_grad_infer, .split = resample_grad_split,
    .run = resample_grad_run, .vjp = resample_grad_vjp,
    .reference = resample_grad_reference, .samples = resample_grad_samples};
