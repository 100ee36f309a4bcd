/* ops_walk.c: walking over the output of an elementwise op.
 *
 * Axes along which all inputs go on alike are merged first, so without broadcasting a
 * block is one run of BLOCK elements, and with it a run is as long as the shapes
 * allow. */
#include "graph/ops_walk.h"
#include "kernel/kernel.h"

enum { TILE = 1024, MAX_ARGS = 3 };

int64_t count_blocks(const OpCall *call) {
  return (shape_count(&call->out[0].shape) + BLOCK - 1) / BLOCK;
}

/* Merged axes, innermost first; strides in elements; where the walk stands. */
typedef struct Walk {
  int n_in, rank;
  int64_t dim[MAX_RANK];
  int64_t stride[MAX_ARGS][MAX_RANK];
  int64_t index[MAX_RANK];
  int64_t offset[MAX_ARGS];
} Walk;

static int64_t stride_along(const Shape *in, int axis) {
  return axis >= 0 && in->dim[axis] != 1 ? shape_stride(in, axis) : 0;
}

static void walk_init(Walk *w, const OpCall *call) {
  const Shape *out = &call->out[0].shape;
  must(call->n_in <= MAX_ARGS);
  *w = (Walk){.n_in = call->n_in};
  for (int axis = out->rank - 1; axis >= 0; axis--) {
    int64_t stride[MAX_ARGS];
    bool merge = w->rank > 0;
    if (out->dim[axis] == 1) continue;
    for (int i = 0; i < w->n_in; i++) {
      const Shape *in = &call->in[i].shape;
      stride[i] = stride_along(in, axis - (out->rank - in->rank));
      if (merge && stride[i] != w->stride[i][w->rank - 1] * w->dim[w->rank - 1])
        merge = false;
    }
    if (merge) {
      w->dim[w->rank - 1] *= out->dim[axis];
      continue;
    }
    for (int i = 0; i < w->n_in; i++) w->stride[i][w->rank] = stride[i];
    w->dim[w->rank++] = out->dim[axis];
  }
  if (w->rank == 0) w->dim[w->rank++] = 1;
}

/* To the output element `at`. */
static void walk_seek(Walk *w, int64_t at) {
  for (int k = 0; k < w->rank; k++) {
    w->index[k] = at % w->dim[k];
    at /= w->dim[k];
    for (int i = 0; i < w->n_in; i++) w->offset[i] += w->index[k] * w->stride[i][k];
  }
}

/* Past n elements of the innermost axis, which has at least that many left. */
static void walk_advance(Walk *w, int64_t n) {
  w->index[0] += n;
  for (int i = 0; i < w->n_in; i++) w->offset[i] += n * w->stride[i][0];
  for (int k = 0; w->index[k] == w->dim[k] && k + 1 < w->rank; k++) {
    w->index[k] = 0;
    w->index[k + 1]++;
    for (int i = 0; i < w->n_in; i++)
      w->offset[i] += w->stride[i][k + 1] - w->dim[k] * w->stride[i][k];
  }
}

/* n elements from `offset` on as reals: in place, or converted into `buffer`. */
const real *as_reals(const Array *a, int64_t offset, int64_t n, real *buffer) {
  if (a->dtype == DT_REAL) return (const real *)a->data + offset;
  if (a->dtype == DT_INT32)
    kernels()->real_from_int32(buffer, (const int32_t *)a->data + offset, n);
  else
    kernels()->real_from_uint8(buffer, (const uint8_t *)a->data + offset, n);
  return buffer;
}

void run_block(const OpCall *call, int64_t block, RunFn *run) {
  Walk w;
  real buffer[MAX_ARGS][TILE];
  int64_t at = block * BLOCK;
  int64_t end = shape_count(&call->out[0].shape);
  if (at + BLOCK < end) end = at + BLOCK;
  bool integers = false;
  for (int i = 0; i < call->n_in; i++) integers |= call->in[i].dtype != DT_REAL;
  walk_init(&w, call);
  walk_seek(&w, at);
  while (at < end) {
    const real *in[MAX_ARGS];
    int64_t stride[MAX_ARGS];
    int64_t n = w.dim[0] - w.index[0];
    if (n > end - at) n = end - at;
    if (integers && n > TILE) n = TILE;
    for (int i = 0; i < w.n_in; i++) {
      stride[i] = w.stride[i][0];
      in[i] = as_reals(&call->in[i], w.offset[i], stride[i] ? n : 1, buffer[i]);
    }
    run(call, (real *)call->out[0].data + at, in, stride, n);
    at += n;
    walk_advance(&w, n);
  }
}
