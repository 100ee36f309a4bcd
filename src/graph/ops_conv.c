/* ops_conv.c: the convolution of images, and its two gradients.
 *
 * With x [N, C, H, W], w [F, C / G, R, S] and y [N, F, P, Q], all three are sums of the
 * same products: that of (n, f, p, q, c, r, s) pairs
 *
 *   y[n, f, p, q],   w[f, c, r, s],   x[n, g C/G + c, p stride - pad + r dilation, ...]
 *
 * where g = f / (F / G) is the group of f; an x outside of the image is 0 (padding).
 *
 *   conv2d          (x, w) -> y        y = sum x w
 *   conv2d_data     (y, w) -> x        the gradient of x, given that of y
 *   conv2d_weight   (y, x) -> w        the gradient of w, given that of y
 *
 * The sum of y (x w) is linear in each of the three, so each op's gradients are the
 * other two and second derivatives are complete (Goodfellow et al., "Deep Learning",
 * section 9.5).
 *
 * Runs: kernel/conv.h.
 *
 * Source: Dumoulin, Visin, "A guide to convolution arithmetic", arXiv:1603.07285. */
#include "graph/ops.h"
#include "kernel/conv.h"
#include <string.h>

enum { X, W, Y, N_ROLES };

/* What the inputs and the output of an op are. */
typedef struct Roles {
  int in[2], out;
  ConvResult result;
} Roles;
static const Roles forward_roles = {{X, W}, Y, CONV_Y},
                   data_roles = {{Y, W}, X, CONV_X}, weight_roles = {{Y, X}, W, CONV_W};

/* -- attributes: lists of two or four, the groups, the size of a gradient ---------- */

enum { ROWS, COLUMNS };
/* Words of all but the size; with it. */
enum { STEP_WORDS = 3 + 5 + 3 + 1, CONV_WORDS = STEP_WORDS + 3 };

static int steps_to_attr(Attr *attr, const ConvSteps *v) {
  const int64_t pads[] = {v->before[ROWS], v->after[ROWS], v->before[COLUMNS],
                          v->after[COLUMNS]};
  int n = ints_to_attr(attr, v->stride, 2);
  n += ints_to_attr(attr + n, pads, 4);
  n += ints_to_attr(attr + n, v->dilation, 2);
  attr[n++].i = v->groups;
  return n;
}

static ConvSteps steps_from_attr(const Attr *attr) {
  const Attr *stride = attr + 1, *pads = attr_behind(attr) + 1;
  const Attr *dilation = attr_behind(attr_behind(attr)) + 1;
  return (ConvSteps){.stride = {stride[ROWS].i, stride[COLUMNS].i},
                     .before = {pads[0].i, pads[2].i}, .after = {pads[1].i, pads[3].i},
                     .dilation = {dilation[ROWS].i, dilation[COLUMNS].i},
                     .groups = dilation[2].i};
}

/* Rows and columns of the result of a gradient. */
static const Attr *size_in_attr(const Attr *attr) { return attr + STEP_WORDS + 1; }

/* -- sizes ------------------------------------------------------------------------- */

static Conv conv_of(const Shape *x, const Shape *w, const Shape *y, const Attr *attr) {
  ConvSteps steps = steps_from_attr(attr);
  Conv v = {.N = x->dim[0], .G = steps.groups, .c = w->dim[1], .H = x->dim[2],
            .W = x->dim[3], .f = w->dim[0] / steps.groups, .R = w->dim[2],
            .S = w->dim[3], .P = y->dim[2], .Q = y->dim[3]};
  must(v.P > 0 && v.Q > 0);
  for (int way = 0; way < 2; way++) {
    v.stride[way] = steps.stride[way];
    v.before[way] = steps.before[way];
    v.dilation[way] = steps.dilation[way];
  }
  return v;
}

static Conv conv_of_call(const OpCall *call, const Roles *roles) {
  const Shape *shape[N_ROLES];
  for (int i = 0; i < 2; i++) shape[roles->in[i]] = &call->in[i].shape;
  shape[roles->out] = &call->out[0].shape;
  return conv_of(shape[X], shape[W], shape[Y], call->attr);
}

/* -- shapes ------------------------------------------------------------------------ */

/* Positions along the rows or columns of images x; below 1: the kernel does not fit. */
static int64_t positions(const ConvSteps *v, int way, const Shape *x, const Shape *w) {
  int64_t n = x->dim[2 + way] + v->before[way] + v->after[way];
  int64_t room = n - (w->dim[2 + way] - 1) * v->dilation[way] - 1;
  return room < 0 ? 0 : room / v->stride[way] + 1;
}

static Err check_rank(const OpInfer *io) {
  char got[SHAPE_TEXT];
  for (int i = 0; i < 2; i++) {
    if (infer_need_real(io, i)) return io->fault->code;
    if (io->in[i]->shape.rank != 4)
      return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: 4 axes",
                       io->op->inputs[i], shape_text(got, &io->in[i]->shape));
  }
  return ERR_OK;
}

/* Do x, w and y belong together? */
static Err check_shapes(const OpInfer *io, const Shape *x, const Shape *w,
                        const Shape *y) {
  ConvSteps steps = steps_from_attr(io->attr);
  char xs[SHAPE_TEXT], ws[SHAPE_TEXT], ys[SHAPE_TEXT];
  int64_t G = steps.groups, P = positions(&steps, ROWS, x, w),
          Q = positions(&steps, COLUMNS, x, w);
  if (x->dim[1] != w->dim[1] * G || w->dim[0] % G)
    return fault_set(io->fault, ERR_SHAPE,
                     "x is %s, the weight %s in %lld groups; allowed: [N, C, H, W] and "
                     "[filters, C / groups, kernel, kernel], filters a multiple of the "
                     "groups",
                     shape_text(xs, x), shape_text(ws, w), (long long)G);
  if (P < 1 || Q < 1)
    return fault_set(io->fault, ERR_SHAPE,
                     "a kernel of %lldx%lld, with its dilation, is larger than the "
                     "padded image; got [N, C, H, W] = %s",
                     (long long)w->dim[2], (long long)w->dim[3], shape_text(xs, x));
  if (y->dim[0] == x->dim[0] && y->dim[1] == w->dim[0] && y->dim[2] == P &&
      y->dim[3] == Q)
    return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "the gradient is %s for x %s and the weight %s", shape_text(ys, y),
                   shape_text(xs, x), shape_text(ws, w));
}

static Err conv2d_infer(OpInfer *io) {
  if (check_rank(io)) return io->fault->code;
  const Shape *x = &io->in[0]->shape, *w = &io->in[1]->shape;
  ConvSteps steps = steps_from_attr(io->attr);
  io->out_shape[0] = SHAPE_OF(x->dim[0], w->dim[0], positions(&steps, ROWS, x, w),
                              positions(&steps, COLUMNS, x, w));
  return check_shapes(io, x, w, &io->out_shape[0]);
}

static Err conv2d_data_infer(OpInfer *io) {
  if (check_rank(io)) return io->fault->code;
  const Shape *y = &io->in[0]->shape, *w = &io->in[1]->shape;
  const Attr *size = size_in_attr(io->attr);
  io->out_shape[0] = SHAPE_OF(y->dim[0], w->dim[1] * steps_from_attr(io->attr).groups,
                              size[ROWS].i, size[COLUMNS].i);
  return check_shapes(io, &io->out_shape[0], w, y);
}

static Err conv2d_weight_infer(OpInfer *io) {
  if (check_rank(io)) return io->fault->code;
  const Shape *y = &io->in[0]->shape, *x = &io->in[1]->shape;
  const Attr *size = size_in_attr(io->attr);
  io->out_shape[0] = SHAPE_OF(y->dim[1], x->dim[1] / steps_from_attr(io->attr).groups,
                              size[ROWS].i, size[COLUMNS].i);
  return check_shapes(io, x, &io->out_shape[0], y);
}

/* -- runs -------------------------------------------------------------------------- */

static void split_as(const OpCall *call, const Roles *roles, OpSplit *split) {
  Conv v = conv_of_call(call, roles);
  for (int phase = 0; phase < CONV_PHASES; phase++)
    split->n_blocks[phase] = conv_blocks(&v, roles->result, phase);
  ConvBytes bytes = conv_bytes(&v, roles->result);
  split->scratch_bytes = bytes.shared;
  split->own_bytes = bytes.own;
  split->work = 2 * v.N * v.G * v.f * v.P * v.Q * v.c * v.R * v.S;
}

static void run_as(const OpCall *call, const Roles *roles, int phase, int64_t block) {
  Conv v = conv_of_call(call, roles);
  conv_run_block(&v, roles->result, phase, block, call->out[0].data,
                 (const real *[]){call->in[0].data, call->in[1].data},
                 (ConvMemory){call->scratch, op_own(call)});
}

static void conv2d_split(const OpCall *call, OpSplit *split) {
  split_as(call, &forward_roles, split);
}
static void conv2d_data_split(const OpCall *call, OpSplit *split) {
  split_as(call, &data_roles, split);
}
static void conv2d_weight_split(const OpCall *call, OpSplit *split) {
  split_as(call, &weight_roles, split);
}

static void conv2d_run(const OpCall *call, int phase, int64_t block) {
  run_as(call, &forward_roles, phase, block);
}
static void conv2d_data_run(const OpCall *call, int phase, int64_t block) {
  run_as(call, &data_roles, phase, block);
}
static void conv2d_weight_run(const OpCall *call, int phase, int64_t block) {
  run_as(call, &weight_roles, phase, block);
}

/* -- what holds of all three ------------------------------------------------------- */

/* Each element of the result is a sum of so many products at most. */
static void range_of_sums(const Range *in, Range *out, int64_t n) {
  out[0] = range_around((double)n * range_size(in[0]) * range_size(in[1]));
}

static void conv2d_range(const OpCall *call, const Range *in, Range *out) {
  Conv v = conv_of_call(call, &forward_roles);
  range_of_sums(in, out, v.c * v.R * v.S);
}

static void conv2d_data_range(const OpCall *call, const Range *in, Range *out) {
  Conv v = conv_of_call(call, &data_roles);
  range_of_sums(in, out, v.f * v.R * v.S);
}

static void conv2d_weight_range(const OpCall *call, const Range *in, Range *out) {
  Conv v = conv_of_call(call, &weight_roles);
  range_of_sums(in, out, v.N * v.P * v.Q);
}

/* The row or column of x for position `at` and element `in_kernel` of the kernel. */
static int64_t place(const Conv *v, int way, int64_t at, int64_t in_kernel) {
  return at * v->stride[way] - v->before[way] + in_kernel * v->dilation[way];
}

/* Places of the three factors of a product; false: the x is padding. */
static bool places(const Conv *v, int64_t n, int64_t f, int64_t position, int64_t k,
                   int64_t at[N_ROLES]) {
  int64_t c = k / (v->R * v->S), r = k / v->S % v->R, s = k % v->S;
  int64_t row = place(v, ROWS, position / v->Q, r);
  int64_t column = place(v, COLUMNS, position % v->Q, s);
  if (row < 0 || row >= v->H || column < 0 || column >= v->W) return false;
  at[X] = (((n * v->G + f / v->f) * v->c + c) * v->H + row) * v->W + column;
  at[W] = f * v->c * v->R * v->S + k;
  at[Y] = (n * v->G * v->f + f) * v->P * v->Q + position;
  return true;
}

static void sum_products(const OpCall *call, const Roles *roles,
                         const double *const *in, double *out) {
  Conv v = conv_of_call(call, roles);
  int64_t at[N_ROLES], image = v.P * v.Q, F = v.G * v.f, K = v.c * v.R * v.S;
  memset(out, 0, (size_t)shape_count(&call->out[0].shape) * sizeof *out);
  for (int64_t i = 0; i < v.N * F * image; i++)
    for (int64_t k = 0; k < K; k++)
      if (places(&v, i / (F * image), i / image % F, i % image, k, at))
        out[at[roles->out]] += in[0][at[roles->in[0]]] * in[1][at[roles->in[1]]];
}

static void conv2d_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  sum_products(call, &forward_roles, in, out[0]);
}

static void conv2d_data_reference(const OpCall *call, const double *const *in,
                                  double *const *out) {
  sum_products(call, &data_roles, in, out[0]);
}

static void conv2d_weight_reference(const OpCall *call, const double *const *in,
                                    double *const *out) {
  sum_products(call, &weight_roles, in, out[0]);
}

/* -- gradients --------------------------------------------------------------------- */

static Node *apply_sized(Graph *g, const Op *op, Node *a, Node *b, const Attr *attr,
                         const Shape *of) {
  Attr own[CONV_WORDS];
  memcpy(own, attr, STEP_WORDS * sizeof *own);
  ints_to_attr(own + STEP_WORDS, of->dim + 2, 2);
  return graph_apply(g, op, (Node *[]){a, b}, 2, own, CONV_WORDS);
}

static Node *forward_of(Graph *g, Node *x, Node *w, const Attr *attr) {
  return graph_apply(g, &op_record_conv2d, (Node *[]){x, w}, 2, attr, STEP_WORDS);
}

static Node *data_of(Graph *g, Node *y, Node *w, const Attr *attr, const Shape *x) {
  return apply_sized(g, &op_record_conv2d_data, y, w, attr, x);
}

static Node *weight_of(Graph *g, Node *y, Node *x, const Attr *attr, const Shape *w) {
  return apply_sized(g, &op_record_conv2d_weight, y, x, attr, w);
}

static void conv2d_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                       Node **gx) {
  if (want[0]) gx[0] = data_of(g, gy[0], y->in[1], y->attr, &y->in[0]->shape);
  if (want[1]) gx[1] = weight_of(g, gy[0], y->in[0], y->attr, &y->in[1]->shape);
}

static void conv2d_data_vjp(Graph *g, Node *x, Node *const *gy, const bool *want,
                            Node **gx) {
  if (want[0]) gx[0] = forward_of(g, gy[0], x->in[1], x->attr);
  if (want[1]) gx[1] = weight_of(g, x->in[0], gy[0], x->attr, &x->in[1]->shape);
}

static void conv2d_weight_vjp(Graph *g, Node *w, Node *const *gy, const bool *want,
                              Node **gx) {
  if (want[0]) gx[0] = forward_of(g, w->in[1], gy[0], w->attr);
  if (want[1]) gx[1] = data_of(g, w->in[0], gy[0], w->attr, &w->in[1]->shape);
}

Node *op_conv2d(Graph *g, Node *x, Node *w, const ConvSteps *steps) {
  Attr attr[STEP_WORDS];
  must(steps_to_attr(attr, steps) == STEP_WORDS);
  return forward_of(g, x, w, attr);
}

Node *op_conv2d_data(Graph *g, Node *y, Node *w, const ConvSteps *steps,
                     const int64_t size[2]) {
  Attr attr[CONV_WORDS];
  int n = steps_to_attr(attr, steps);
  must(n + ints_to_attr(attr + n, size, 2) == CONV_WORDS);
  return graph_apply(g, &op_record_conv2d_data, (Node *[]){y, w}, 2, attr, CONV_WORDS);
}

/* -- records ----------------------------------------------------------------------- */

#define CONV_ATTRS                                                                     \
  {.name = "stride", .kind = ATTR_INTS, .lo = 1, .hi = 1e9, .n_least = 2, .n_most = 2, \
   .doc = "rows and columns from one position to the next"},                           \
  {.name = "padding", .kind = ATTR_INTS, .lo = 0, .hi = 1e9, .n_least = 4,             \
   .n_most = 4, .doc = "zeros at the top, the bottom, the left, the right"},           \
  {.name = "dilation", .kind = ATTR_INTS, .lo = 1, .hi = 1e9, .n_least = 2,            \
   .n_most = 2, .doc = "rows and columns from one element of the kernel to the next"}, \
  {.name = "groups", .kind = ATTR_INT, .lo = 1, .hi = 1e9, .doc = "of channels"}
#define SIZE_ATTR                                                                      \
  {.name = "size", .kind = ATTR_INTS, .lo = 0, .hi = 1e9, .n_least = 2, .n_most = 2,   \
   .doc = "rows and columns of the result"}

/* Strides, paddings (top, bottom, left, right), dilations, groups; of a gradient the
 * size of the result. */
#define SAMPLE(a, b, ...)                                                              \
  {.n_in = 2, .in = {{.shape = {4, a}}, {.shape = {4, b}}}, ATTRS(__VA_ARGS__)}
#define DIMS(...)                                                                      \
  { __VA_ARGS__ }
#define I(n)                                                                           \
  { .i = n }
#define STEPS(sh, sw, pt, pb, pl, pr, dh, dw, g)                                       \
  ATTR_LIST(I(sh), I(sw)), ATTR_LIST(I(pt), I(pb), I(pl), I(pr)),                      \
      ATTR_LIST(I(dh), I(dw)), I(g)
#define SIZED(sh, sw, pt, pb, pl, pr, dh, dw, g, h, w)                                 \
  STEPS(sh, sw, pt, pb, pl, pr, dh, dw, g), ATTR_LIST(I(h), I(w))

static const Sample conv2d_samples[] = {
    SAMPLE(DIMS(1, 1, 1, 1), DIMS(1, 1, 1, 1), STEPS(1, 1, 0, 0, 0, 0, 1, 1, 1)),
    SAMPLE(DIMS(2, 3, 5, 7), DIMS(4, 3, 3, 2), STEPS(1, 1, 0, 0, 0, 0, 1, 1, 1)),
    SAMPLE(DIMS(3, 4, 6, 5), DIMS(6, 2, 3, 3), STEPS(2, 1, 1, 1, 1, 2, 1, 2, 2)),
    SAMPLE(DIMS(1, 3, 1, 9), DIMS(3, 1, 1, 4), STEPS(1, 3, 0, 0, 2, 1, 1, 1, 3)),
    SAMPLE(DIMS(35, 1, 4, 4), DIMS(2, 1, 2, 2), STEPS(1, 1, 0, 1, 0, 1, 1, 1, 1)),
    SAMPLE(DIMS(0, 1, 4, 4), DIMS(2, 1, 2, 2), STEPS(1, 1, 0, 0, 0, 0, 1, 1, 1)),
    SAMPLE(DIMS(2, 0, 4, 4), DIMS(2, 0, 2, 2), STEPS(1, 1, 0, 0, 0, 0, 1, 1, 1)),
    SAMPLE(DIMS(1, 2, 12, 300), DIMS(2, 2, 3, 3),
           STEPS(1, 1, 0, 0, 1, 1, 1, 1, 1)),
    SAMPLES_END};
static const Sample conv2d_data_samples[] = {
    SAMPLE(DIMS(1, 1, 1, 1), DIMS(1, 1, 1, 1), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1)),
    SAMPLE(DIMS(2, 4, 3, 6), DIMS(4, 3, 3, 2), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 5, 7)),
    SAMPLE(DIMS(3, 6, 3, 4), DIMS(6, 2, 3, 3), SIZED(2, 1, 1, 1, 1, 2, 1, 2, 2, 6, 5)),
    SAMPLE(DIMS(35, 2, 4, 4), DIMS(2, 1, 2, 2), SIZED(1, 1, 0, 1, 0, 1, 1, 1, 1, 4, 4)),
    SAMPLE(DIMS(1, 2, 10, 300), DIMS(2, 2, 3, 3),
           SIZED(1, 1, 0, 0, 1, 1, 1, 1, 1, 12, 300)),
    /* one pixel, which only one of two elements of the kernel meets */
    SAMPLE(DIMS(1, 2, 1, 2), DIMS(2, 1, 1, 2), SIZED(1, 3, 0, 0, 3, 2, 1, 1, 1, 1, 1)),
    SAMPLE(DIMS(0, 2, 3, 3), DIMS(2, 1, 2, 2), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 4, 4)),
    SAMPLE(DIMS(2, 2, 3, 3), DIMS(2, 0, 2, 2), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 4, 4)),
    SAMPLES_END};
static const Sample conv2d_weight_samples[] = {
    SAMPLE(DIMS(1, 1, 1, 1), DIMS(1, 1, 1, 1), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1)),
    SAMPLE(DIMS(2, 4, 3, 6), DIMS(2, 3, 5, 7), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 3, 2)),
    SAMPLE(DIMS(3, 6, 3, 4), DIMS(3, 4, 6, 5), SIZED(2, 1, 1, 1, 1, 2, 1, 2, 2, 3, 3)),
    SAMPLE(DIMS(35, 2, 4, 4), DIMS(35, 1, 4, 4),
           SIZED(1, 1, 0, 1, 0, 1, 1, 1, 1, 2, 2)),
    SAMPLE(DIMS(1, 2, 10, 300), DIMS(1, 2, 12, 300),
           SIZED(1, 1, 0, 0, 1, 1, 1, 1, 1, 3, 3)),
    SAMPLE(DIMS(0, 2, 3, 3), DIMS(0, 1, 4, 4), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 2, 2)),
    SAMPLE(DIMS(2, 2, 3, 3), DIMS(2, 0, 4, 4), SIZED(1, 1, 0, 0, 0, 0, 1, 1, 1, 2, 2)),
    SAMPLES_END};

#define CONV_SOURCE                                                                    \
  "Goodfellow, Bengio & Courville, Deep Learning, 2016, chapter 9; Dumoulin & Visin, " \
  "arXiv:1603.07285"

const Op op_record_conv2d = {
    .name = "conv2d", .n_in = 2, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x", "weight"}, .attrs = OP_ATTRS(CONV_ATTRS),
    .doc = "images [N, C, H, W] under a kernel [filters, C / groups, kh, kw]",
    .equation = "y[n, f, p, q] = sum_crs x[n, c, p stride + r dilation - pad, ...] "
                "w[f, c, r, s]",
    .source = CONV_SOURCE,
    .infer = conv2d_infer, .phases = op_two_phases,
    .split = conv2d_split, .run = conv2d_run,
    .range = conv2d_range,
    .vjp = conv2d_vjp, .reference = conv2d_reference, .samples = conv2d_samples};

const Op op_record_conv2d_data = {
    .name = "conv2d_data", .n_in = 2, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "weight"},
    .attrs = OP_ATTRS(CONV_ATTRS, SIZE_ATTR),
    .doc = "the gradient of conv2d's images, given that of its result",
    .equation = "gx[n, c, i, j] = sum gy[n, f, p, q] w[f, c, r, s]",
    .source = CONV_SOURCE,
    .infer = conv2d_data_infer, .phases = op_two_phases, .split = conv2d_data_split,
    .run = conv2d_data_run,
    .range = conv2d_data_range, .vjp = conv2d_data_vjp,
    .reference = conv2d_data_reference,
    .samples = conv2d_data_samples};

const Op op_record_conv2d_weight = {
    .name = "conv2d_weight", .n_in = 2, .n_out = 1, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "x"},
    .attrs = OP_ATTRS(CONV_ATTRS, SIZE_ATTR),
    .doc = "the gradient of conv2d's kernel, given that of its result",
    .equation = "gw[f, c, r, s] = sum gy[n, f, p, q] x[n, c, i, j]",
    .source = CONV_SOURCE,
    .infer = conv2d_weight_infer, .phases = op_two_phases, .split = conv2d_weight_split,
    .run = conv2d_weight_run,
    .range = conv2d_weight_range, .vjp = conv2d_weight_vjp,
    .reference = conv2d_weight_reference, .samples = conv2d_weight_samples};
