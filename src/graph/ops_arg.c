/* ops_arg.c: the place of the largest or smallest element along an axis.
 *
 * Indices count from 1; the first of equals is taken, and a NaN before any number. The
 * array is seen as [A, n, C] with n the axis: along n where C is 1, else down C
 * columns. */
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>

enum { BLOCK = 1 << 14, MAX_TILE = 256 }; /* elements of a block; columns of a unit */

/* A unit is a row of n, or a tile of columns. */
typedef struct ArgPlan {
  int64_t A, n, C, n_tiles, n_units, block_units;
} ArgPlan;

static ArgPlan arg_plan(const OpCall *call) {
  const Shape *x = &call->in[0].shape;
  int axis = (int)call->attr[0].i;
  ArgPlan p = {.A = 1, .n = x->dim[axis], .C = shape_stride(x, axis)};
  for (int a = 0; a < axis; a++) p.A *= x->dim[a];
  p.n_tiles = divide_up(p.C, MAX_TILE);
  p.n_units = p.A * p.n_tiles;
  p.block_units = most(1, BLOCK / (p.n * most(1, least(p.C, MAX_TILE))));
  return p;
}

static void arg_split(const OpCall *call, OpSplit *split) {
  ArgPlan p = arg_plan(call);
  split->n_blocks[0] = most(1, divide_up(p.n_units, p.block_units));
}

/* Integers, exactly: not by way of reals, which would make large ones equal. */
static void arg_integers(const Array *x, int64_t offset, const ArgPlan *p, int64_t N,
                         int32_t *place, bool smallest) {
  double sign = smallest ? -1 : 1;
  for (int64_t c = 0; c < N; c++) {
    double best = -INFINITY;
    for (int64_t r = 0; r < p->n; r++) {
      double v = sign * array_get(x, offset + r * p->C + c);
      if (!(v > best)) continue;
      best = v;
      place[c] = (int32_t)r;
    }
  }
}

static void arg_run(const OpCall *call, int64_t block, bool smallest) {
  const Kernels *k = kernels();
  const Array *x = &call->in[0];
  ArgPlan p = arg_plan(call);
  int64_t end = least(p.n_units, (block + 1) * p.block_units);
  for (int64_t unit = block * p.block_units; unit < end; unit++) {
    int64_t row = unit / p.n_tiles, column = unit % p.n_tiles * MAX_TILE;
    int64_t offset = row * p.n * p.C + column, N = least(MAX_TILE, p.C - column);
    int32_t *place = (int32_t *)call->out[0].data + row * p.C + column;
    if (x->dtype != DT_REAL) arg_integers(x, offset, &p, N, place, smallest);
    else if (p.C == 1)
      *place = (int32_t)k->arg_row((const real *)x->data + offset, p.n, smallest);
    else k->arg_columns(place, (const real *)x->data + offset, p.n, p.C, N, smallest);
    for (int64_t c = 0; c < N; c++) place[c]++;
  }
}

static void argmax_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  arg_run(call, block, false);
}

static void argmin_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  arg_run(call, block, true);
}

static Err arg_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  int64_t axis = io->attr[0].i;
  char text[SHAPE_TEXT];
  if (axis < 0 || axis >= x->rank)
    return fault_set(io->fault, ERR_SHAPE, "axis: got %lld, but x has %d (%s)",
                     (long long)axis + 1, x->rank, shape_text(text, x));
  if (x->dim[axis] < 1 || x->dim[axis] > INT32_MAX)
    return fault_set(io->fault, ERR_SHAPE,
                     "x is %s: got %lld elements along axis %lld, allowed: 1 to %d",
                     shape_text(text, x), (long long)x->dim[axis], (long long)axis + 1,
                     INT32_MAX);
  for (int a = 0; a < x->rank; a++)
    if (a != axis) io->out_shape[0].dim[io->out_shape[0].rank++] = x->dim[a];
  io->out_dtype[0] = DT_INT32;
  return ERR_OK;
}

static void arg_reference(const OpCall *call, const double *const *in,
                          double *const *out, double sign) {
  const Shape *x = &call->in[0].shape;
  int axis = (int)call->attr[0].i;
  int64_t n = x->dim[axis], C = shape_stride(x, axis);
  for (int64_t o = 0; o < shape_count(&call->out[0].shape); o++) {
    const double *v = in[0] + o / C * n * C + o % C;
    int64_t place = 0;
    for (int64_t r = 1; r < n; r++) {
      double best = sign * v[place * C], here = sign * v[r * C];
      if (!isnan(best) && (isnan(here) || here > best)) place = r;
    }
    out[0][o] = (double)(place + 1);
  }
}

static void argmax_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  arg_reference(call, in, out, 1);
}

static void argmin_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  arg_reference(call, in, out, -1);
}

/* -- samples ----------------------------------------------------------------------- */

#define ARG_SAMPLE(axis, ...)                                                          \
  {.n_in = 1, .in = {{.shape = __VA_ARGS__}}, ATTRS({.i = (axis)})}

static const Sample arg_samples[] = {
    ARG_SAMPLE(0, {1, {1}}),         ARG_SAMPLE(1, {2, {5, 33}}),
    ARG_SAMPLE(0, {2, {9, 5}}),      ARG_SAMPLE(1, {3, {4, 3, 7}}),
    ARG_SAMPLE(0, {2, {70, 300}}),   ARG_SAMPLE(0, {1, {20001}}),
    ARG_SAMPLE(1, {2, {2100, 10}}),
    {.n_in = 1, .in = {{{2, {7, 21}}, DT_INT32, -9, 9}}, ATTRS({.i = 1})},
    SAMPLES_END};

/* -- records ----------------------------------------------------------------------- */

#define ARG_ATTRS                                                                      \
  {.name = "axis", .kind = ATTR_AXIS, .value = "-1", .doc = "the axis to search along"}

const Op op_record_argmax = {
    .name = "argmax", .n_in = 1, .n_out = 1, .flags = OP_NO_GRAD,
    .attrs = OP_ATTRS(ARG_ATTRS),
    .doc = "Index, from 1, of the first largest element along an axis; int32. NaN "
           "wins.",
    .equation = "y = min {i : x_i = max_j x_j}",
    .infer = arg_infer, .split = arg_split, .run = argmax_run, .vjp = vjp_none,
    .reference = argmax_reference, .samples = arg_samples,
};

const Op op_record_argmin = {
    .name = "argmin", .n_in = 1, .n_out = 1, .flags = OP_NO_GRAD,
    .attrs = OP_ATTRS(ARG_ATTRS),
    .doc = "Index, from 1, of the first smallest element along an axis; int32. NaN "
           "wins.",
    .equation = "y = min {i : x_i = min_j x_j}",
    .infer = arg_infer, .split = arg_split, .run = argmin_run, .vjp = vjp_none,
    .reference = argmin_reference, .samples = arg_samples,
};

/* -- constructors ------------------------------------------------------------------ */
