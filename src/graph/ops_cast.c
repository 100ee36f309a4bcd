/* ops_cast.c: the same values as another type.
 *
 * To reals each is rounded to the nearest; to integers it must be one of the new type,
 * or the op refuses the data and names the place. */
#include "graph/known.h"
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "kernel/kernel.h"
#include <math.h>
#include <string.h>

static Err infer_cast(OpInfer *io) {
  int64_t dtype = io->attr[0].i;
  must(dtype >= 0 && dtype < N_DTYPES);
  io->out_shape[0] = io->in[0]->shape;
  io->out_dtype[0] = (DType)dtype;
  return ERR_OK;
}

/* Integers out of reals or wider integers: each value must be one of the new type. */
static Err check_cast(const OpCall *call, Fault *fault) {
  DType to = call->out[0].dtype;
  const Array *in = &call->in[0];
  if (to == DT_REAL || in->dtype == to || in->dtype == DT_UINT8) return ERR_OK;
  double lo = dtype_least(to), hi = dtype_most(to);
  int64_t n = shape_count(&in->shape);
  for (int64_t i = 0; i < n; i++) {
    double x = array_get(in, i);
    if (!(x >= lo && x <= hi && floor(x) == x)) {
      return fault_set(fault, ERR_DATA,
                       "to %s: element %lld is %.10g, allowed: integers from %.0f to "
                       "%.0f",
                       dtype_name(to), (long long)(i + 1), x, lo, hi);
    }
  }
  return ERR_OK;
}

/* n elements of `out` from `offset` on. The only narrow path through reals is int32 to
 * uint8, whose values are small. */
static void store_reals(Array *out, int64_t offset, const real *x, int64_t n) {
  if (out->dtype == DT_INT32)
    kernels()->int32_from_real((int32_t *)out->data + offset, x, n);
  else kernels()->uint8_from_real((uint8_t *)out->data + offset, x, n);
}

static void run_cast(const OpCall *call, int phase, int64_t block) {
  const Array *in = &call->in[0];
  Array *out = &call->out[0];
  (void)phase;
  int64_t end = shape_count(&out->shape);
  if ((block + 1) * BLOCK < end) end = (block + 1) * BLOCK;
  enum { TILE = 1024 };
  for (int64_t at = block * BLOCK; at < end; at += TILE) {
    int64_t n = at + TILE < end ? TILE : end - at;
    if (in->dtype == out->dtype) {
      size_t size = dtype_bytes(in->dtype);
      size_t offset = (size_t)at * size;
      memcpy((char *)out->data + offset, (char *)in->data + offset, (size_t)n * size);
    } else if (out->dtype == DT_REAL) {
      elements_as_reals(in, at, n, (real *)out->data + at);
    } else {
      real buffer[TILE];
      store_reals(out, at, elements_as_reals(in, at, n, buffer), n);
    }
  }
}

static double scalar_cast(const double *in, const Attr *attr) {
  (void)attr;
  return in[0];
}

/* Real to real alone has a gradient: integers are not differentiable. */
static void vjp_cast(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  (void)g;
  if (want[0] && y->dtype == DT_REAL) gx[0] = gy[0];
}

static const Sample samples_cast[] = {
    {1, {{.shape = {1, {1}}, .lo = 7, .hi = 7}}, ATTRS({.i = DT_INT32})},
    {1, {{.shape = {2, {3, 5}}, .lo = 255, .hi = 255}}, ATTRS({.i = DT_UINT8})},
    {1, {{.shape = {2, {3, 5}}}}, ATTRS({.i = DT_REAL})},
    {1, {{.shape = {2, {130, 129}}, .dtype = DT_UINT8, .hi = 255}},
     ATTRS({.i = DT_REAL})},
    {1, {{.shape = {1, {1030}}, .dtype = DT_INT32, .lo = -999, .hi = 999}},
     ATTRS({.i = DT_REAL})},
    {1, {{.shape = {2, {31, 41}}, .dtype = DT_INT32, .hi = 255}},
     ATTRS({.i = DT_UINT8})},
    {1, {{.shape = {2, {31, 41}}, .dtype = DT_UINT8, .hi = 255}},
     ATTRS({.i = DT_INT32})},
    {1, {{.shape = {2, {3, 5}}, .dtype = DT_INT32, .lo = -9, .hi = 9}},
     ATTRS({.i = DT_INT32})},
    SAMPLES_END};

const Op op_record_cast = {
    .name = "cast", .n_out = 1, .run = run_cast, .scalar = scalar_cast, .n_in = 1,
    .flags = OP_ELEMENTWISE,
    .attrs = OP_ATTRS({.name = "dtype", .kind = ATTR_DTYPE,
                       .doc = "\"real\", \"int32\" or \"uint8\""}),
    .doc = "The same values as another type; to an integer type each must fit.",
    .equation = "y = x",
    .infer = infer_cast, .check = check_cast, .split = elements_split, .vjp = vjp_cast,
    .samples = samples_cast, .known = known_same,
};

Node *op_cast(Graph *g, Node *x, DType dtype) {
  if (!x || x->dtype == dtype) return x;
  return graph_apply(g, &op_record_cast, &x, 1, &(Attr){.i = dtype}, 1);
}
