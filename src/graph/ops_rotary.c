/* ops_rotary.c: positions as rotations.
 *
 *   y[2 i]     = x[2 i] cos(a) - x[2 i + 1] sin(a)
 *   y[2 i + 1] = x[2 i] sin(a) + x[2 i + 1] cos(a),   a = (p - 1) base^(-2 i / D)
 *
 * for each pair of columns i of each head of x [N, T, H D]. p, from 1, is the step's
 * number, or that of positions [N, T]. The gradient turns back: the same op with the
 * other sign. Nothing flows into positions: they are integers.
 *
 * Angles are reduced to a turn in double before they are rounded to float, so that late
 * positions lose no digits.
 *
 * Source: Su et al., RoFormer, Neurocomputing 568, 2024, eq. 15 and 34. */
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"

enum { X, POSITIONS, HEADS = 0, BASE, INVERSE, N_ATTRS, BLOCK = 8192 };

static const double turn = 6.283185307179586476925;

static Err rotary_infer(OpInfer *io) {
  const Shape *x = &io->in[X]->shape;
  int64_t heads = io->attr[HEADS].i;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (infer_need_real(io, X)) return io->fault->code;
  if (x->rank != 3 || x->dim[2] % heads || x->dim[2] / heads % 2)
    return fault_set(io->fault, ERR_SHAPE,
                     "got %s with %lld heads; allowed: [N, T, H D] of even D",
                     shape_text(a, x), (long long)heads);
  const Node *p = io->n_in > POSITIONS ? io->in[POSITIONS] : NULL;
  if (p && (p->dtype != DT_INT32 || p->shape.rank != 2 ||
            p->shape.dim[0] != x->dim[0] || p->shape.dim[1] != x->dim[1]))
    return fault_set(io->fault, ERR_SHAPE,
                     "positions: got %s, allowed: int32 [N, T] of x %s",
                     shape_text(b, &p->shape), shape_text(a, x));
  io->out_shape[0] = *x;
  return ERR_OK;
}

/* Columns of a head, and steps of a block. */
static int64_t columns_of(const OpCall *call) {
  return call->in[X].shape.dim[2] / call->attr[HEADS].i;
}
static int64_t steps_of(const OpCall *call) {
  return most(BLOCK / most(call->in[X].shape.dim[2], 1), 1);
}

/* A block's own memory: D / 2 doubles, then D / 2 angles, their cosines and sines. */
static size_t block_bytes(int64_t D) {
  return (size_t)(D / 2) * sizeof(double) + (size_t)(2 * D) * sizeof(real);
}

static void rotary_split(const OpCall *call, OpSplit *split) {
  const Shape *x = &call->in[X].shape;
  split->n_blocks[0] = divide_up(x->dim[0] * x->dim[1], steps_of(call));
  split->work = 6 * shape_count(x) + 40 * x->dim[0] * x->dim[1] * columns_of(call);
  split->own_bytes = block_bytes(columns_of(call));
}

/* By which pair i of a head turns from one position to the next. */
static double turn_of(const OpCall *call, int64_t i) {
  return pow(call->attr[BASE].f, -2.0 * (double)i / (double)columns_of(call));
}

/* Within a turn where it is to be rounded. */
static real rounded(double angle) {
  if (sizeof(real) == sizeof angle) return (real)angle;
  return (real)(angle - floor(angle / turn) * turn);
}

static double position_of(const OpCall *call, int64_t step) {
  if (call->n_in > POSITIONS) return ((const int32_t *)call->in[POSITIONS].data)[step];
  return (double)(step % call->in[X].shape.dim[1] + 1);
}

/* Pairs of one head. */
static void rotate(real *y, const real *x, const real *c, const real *s, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    real a = x[2 * i], b = x[2 * i + 1];
    y[2 * i] = a * c[i] - b * s[i];
    y[2 * i + 1] = a * s[i] + b * c[i];
  }
}

static void rotary_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  const Shape *x = &call->in[X].shape;
  int64_t D = columns_of(call), first = block * steps_of(call), width = x->dim[2];
  int64_t end = least(first + steps_of(call), x->dim[0] * x->dim[1]);
  double *turns = op_own(call), sign = call->attr[INVERSE].i ? -1 : 1;
  real *a = (real *)(void *)(turns + D / 2), *c = a + D / 2, *s = a + D;
  for (int64_t i = 0; i < D / 2; i++) turns[i] = turn_of(call, i);
  for (int64_t step = first; step < end; step++) {
    double p = position_of(call, step);
    for (int64_t i = 0; i < D / 2; i++) a[i] = rounded((p - 1) * turns[i]);
    kernels()->cos(c, a, D / 2);
    kernels()->sin(s, a, D / 2);
    for (int64_t i = 0; i < D / 2; i++) s[i] *= (real)sign;
    for (int64_t h = 0; h < width; h += D)
      rotate((real *)call->out[0].data + step * width + h,
             (const real *)call->in[X].data + step * width + h, c, s, D / 2);
  }
}

static Node *rotary(Graph *g, Node *x, Node *positions, int64_t heads, double base,
                    bool inverse) {
  Attr attr[N_ATTRS] = {{.i = heads}, {.f = base}, {.i = inverse}};
  return graph_apply(g, &op_record_rotary, (Node *[]){x, positions}, positions ? 2 : 1,
                     attr, N_ATTRS);
}

Node *op_rotary(Graph *g, Node *x, Node *positions, int64_t heads, double base) {
  return rotary(g, x, positions, heads, base, false);
}

static void rotary_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                       Node **gx) {
  if (want[X])
    gx[X] = rotary(g, gy[0], y->n_in > POSITIONS ? y->in[POSITIONS] : NULL,
                   y->attr[HEADS].i, y->attr[BASE].f, !y->attr[INVERSE].i);
}

static void rotary_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  const Shape *x = &call->in[X].shape;
  int64_t D = columns_of(call);
  for (int64_t at = 0; at < shape_count(x); at += 2) {
    int64_t step = at / x->dim[2], i = at % D / 2;
    double p = call->n_in > POSITIONS ? in[POSITIONS][step]
                                      : (double)(step % x->dim[1] + 1);
    double a = (p - 1) * pow(call->attr[BASE].f, -2.0 * (double)i / (double)D);
    double s = call->attr[INVERSE].i ? -sin(a) : sin(a), c = cos(a);
    out[0][at] = in[X][at] * c - in[X][at + 1] * s;
    out[0][at + 1] = in[X][at] * s + in[X][at + 1] * c;
  }
}

static const Sample rotary_samples[] = {
    {1, {{.shape = {3, {1, 1, 2}}}}, ATTRS({.i = 1}, {.f = 10000}, {.i = 0})},
    {1, {{.shape = {3, {2, 5, 12}}}}, ATTRS({.i = 3}, {.f = 100}, {.i = 1})},
    {2, {{.shape = {3, {3, 7, 8}}},
         {.shape = {2, {3, 7}}, .dtype = DT_INT32, .lo = 1, .hi = 5000}},
     ATTRS({.i = 2}, {.f = 10000}, {.i = 0})},
    {1, {{.shape = {3, {2, 131, 66}}}}, ATTRS({.i = 1}, {.f = 10000}, {.i = 0})},
    SAMPLES_END};

const Op op_record_rotary = {
    .name = "rotary", .n_in = 2, .n_out = 1, .n_optional = 1,
    .inputs = (const char *const[]){"x", "positions"},
    .attrs = OP_ATTRS({.name = "heads", .kind = ATTR_INT, .value = "1", .lo = 1,
                       .hi = 0x1p31, .doc = "into which the last axis is divided"},
                      {.name = "base", .kind = ATTR_REAL, .value = "10000",
                       .doc = "of the wavelengths"},
                      {.name = "inverse", .kind = ATTR_BOOL, .value = "false",
                       .doc = "turn back"}),
    .doc = "Turns each pair of columns of x [N, T, H D] by an angle that grows with "
           "the step, so that products of two steps depend on their distance alone. "
           "positions [N, T], from 1, in place of the steps' numbers.",
    .equation = "(y[2i], y[2i+1]) = (x[2i], x[2i+1]) turned by (p - 1) base^(-2 i / D)",
    .source = "Su et al., RoFormer, arXiv:2104.09864, section 3.2.2",
    .infer = rotary_infer, .split = rotary_split, .run = rotary_run,
    .vjp = rotary_vjp, .reference = rotary_reference, .samples = rotary_samples};
