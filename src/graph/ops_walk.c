/* ops_walk.c: walking over the output of an elementwise op.
 *
 * Axes along which all inputs go on alike are merged first, so without broadcasting a
 * block is one run of BLOCK elements, and with it a run is as long as the shapes
 * allow. */
#include "graph/ops_walk.h"
#include "kernel/kernel.h"

enum { TILE = 1024, EXACT_TILE = 256 };

int64_t count_blocks(const OpCall *call) {
  return (shape_count(&call->out[0].shape) + BLOCK - 1) / BLOCK;
}

void elements_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = count_blocks(call);
}

void elements_split_heavy(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = count_blocks(call);
  split->work = 16 * shape_count(&call->out[0].shape);
}

static int64_t stride_along(const Shape *in, int axis) {
  return axis >= 0 && in->dim[axis] != 1 ? shape_stride(in, axis) : 0;
}

static bool is_exact(const OpCall *call) {
  bool any_int32 = false;
  for (int i = 0; i < call->n_in; i++) any_int32 |= call->in[i].dtype == DT_INT32;
  bool rounds = any_int32 && !REAL_HOLDS_INT32 && (call->op->flags & OP_EXACT);
  return rounds || call->out[0].dtype != DT_REAL;
}

void elements_init(Elements *e, const OpCall *call) {
  const Shape *out = &call->out[0].shape;
  must(call->n_in <= MAX_ARGS);
  *e = (Elements){.n_in = call->n_in};
  for (int i = 0; i < e->n_in; i++) e->integers |= call->in[i].dtype != DT_REAL;
  e->exact = is_exact(call);
  for (int axis = out->rank - 1; axis >= 0; axis--) {
    int64_t stride[MAX_ARGS];
    bool merge = e->rank > 0;
    if (out->dim[axis] == 1) continue;
    for (int i = 0; i < e->n_in; i++) {
      const Shape *in = &call->in[i].shape;
      stride[i] = stride_along(in, axis - (out->rank - in->rank));
      if (merge && stride[i] != e->stride[i][e->rank - 1] * e->dim[e->rank - 1])
        merge = false;
    }
    if (merge) {
      e->dim[e->rank - 1] *= out->dim[axis];
      continue;
    }
    for (int i = 0; i < e->n_in; i++) e->stride[i][e->rank] = stride[i];
    e->dim[e->rank++] = out->dim[axis];
  }
  if (e->rank == 0) e->dim[e->rank++] = 1;
}

/* The place of a walk: index per merged axis, offset into each input. */
typedef struct Place {
  int64_t index[MAX_RANK];
  int64_t offset[MAX_ARGS];
} Place;

/* The output element `at` where the innermost axis is the only one. */
static Place place_along(const Elements *e, int64_t at) {
  Place p;
  p.index[0] = at;
  for (int i = 0; i < e->n_in; i++) p.offset[i] = at * e->stride[i][0];
  return p;
}

/* The output element `at`. */
static Place place_of(const Elements *e, int64_t at) {
  Place p = {0};
  for (int k = 0; k < e->rank; k++) {
    p.index[k] = at % e->dim[k];
    at /= e->dim[k];
    for (int i = 0; i < e->n_in; i++) p.offset[i] += p.index[k] * e->stride[i][k];
  }
  return p;
}

/* Past n elements of the innermost axis, which has at least that many left. */
static void place_advance(Place *p, const Elements *e, int64_t n) {
  p->index[0] += n;
  for (int i = 0; i < e->n_in; i++) p->offset[i] += n * e->stride[i][0];
  if (p->index[0] < e->dim[0]) return;
  for (int k = 0; p->index[k] == e->dim[k] && k + 1 < e->rank; k++) {
    p->index[k] = 0;
    p->index[k + 1]++;
    for (int i = 0; i < e->n_in; i++)
      p->offset[i] += e->stride[i][k + 1] - e->dim[k] * e->stride[i][k];
  }
}

/* n elements from `offset` on as reals: in place, or converted into `buffer`. */
const real *elements_as_reals(const Array *a, int64_t offset, int64_t n, real *buffer) {
  if (a->dtype == DT_REAL) return (const real *)a->data + offset;
  if (a->dtype == DT_INT32)
    kernels()->real_from_int32(buffer, (const int32_t *)a->data + offset, n);
  else kernels()->real_from_uint8(buffer, (const uint8_t *)a->data + offset, n);
  return buffer;
}

void elements_fetch(const Array *a, int64_t offset, int64_t n) {
  enum { LINE = 64 };
  const int64_t bytes = (int64_t)dtype_bytes(a->dtype);
  const char *from = (const char *)a->data + offset * bytes;
  for (int64_t i = 0; i < n * bytes; i += LINE) __builtin_prefetch(from + i);
}

/* n output elements from `at` on, whose inputs are at p. */
static void run_exact(const OpCall *call, const Place *p, const int64_t *stride,
                      int64_t at, int64_t n) {
  Array *out = &call->out[0];
  double y[EXACT_TILE];
  for (int64_t j = 0; j < n; j++) {
    double x[MAX_ARGS];
    for (int i = 0; i < call->n_in; i++)
      x[i] = array_get(&call->in[i], p->offset[i] + j * stride[i]);
    y[j] = call->op->scalar(x, call->attr);
  }
  for (int64_t j = 0; j < n; j++) array_set(out, at + j, y[j]);
}

static void run_reals(const OpCall *call, const Place *p, const int64_t *stride,
                      int64_t at, int64_t n) {
  const real *in[MAX_ARGS];
  for (int i = 0; i < call->n_in; i++)
    in[i] = (const real *)call->in[i].data + p->offset[i];
  call->op->tile(call, (real *)call->out[0].data + at, in, stride, n);
}

static void run_converted(const OpCall *call, const Place *p, const int64_t *stride,
                          int64_t at, int64_t n) {
  real buffer[MAX_ARGS][TILE];
  const real *in[MAX_ARGS];
  for (int i = 0; i < call->n_in; i++)
    in[i] = elements_as_reals(&call->in[i], p->offset[i], stride[i] ? n : 1, buffer[i]);
  call->op->tile(call, (real *)call->out[0].data + at, in, stride, n);
}

void elements_run(const Elements *e, const OpCall *call, int64_t first, int64_t end) {
  void (*run)(const OpCall *, const Place *, const int64_t *, int64_t,
              int64_t) = e->exact      ? run_exact
                         : e->integers ? run_converted
                                       : run_reals;
  int64_t stride[MAX_ARGS], most = e->exact      ? EXACT_TILE
                                   : e->integers ? TILE
                                                 : end - first;
  Place p = e->rank == 1 ? place_along(e, first) : place_of(e, first);
  for (int i = 0; i < call->n_in; i++) stride[i] = e->stride[i][0];
  while (first < end) {
    int64_t n = e->dim[0] - p.index[0];
    if (n > end - first) n = end - first;
    if (n > most) n = most;
    run(call, &p, stride, first, n);
    first += n;
    if (first < end) place_advance(&p, e, n);
  }
}

void elements_run_block(const OpCall *call, int phase, int64_t block) {
  Elements e;
  int64_t end = shape_count(&call->out[0].shape), first = block * BLOCK;
  (void)phase;
  elements_init(&e, call);
  elements_run(&e, call, first, first + BLOCK < end ? first + BLOCK : end);
}
