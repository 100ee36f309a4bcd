/* ops_shape.c: ops that give the elements of a tensor another shape and compute
 * nothing: reshape, broadcast_to, transpose; and what they share with ops_region.c.
 *
 * They work for all dtypes, by size of element. Each output element is one input
 * element, so each gradient is another move (or a sum, where elements were repeated):
 *
 *   y = reshape(x)        gx = reshape(gy)
 *   y = broadcast_to(x)   gx = sum of gy over the axes along which x was repeated
 *   y = transpose(x, p)   gx = transpose(gy, p^-1)
 *
 * All run as Moves (kernel/move.h). */
#include "graph/known.h"
#include "graph/ops_move.h"

_Static_assert((int)MOVE_RANK >= (int)MAX_RANK, "a move holds every axis of a tensor");

Err attr_check_shape(const Attr *attr, int64_t low, Fault *fault) {
  if (attr[0].i < 0 || attr[0].i > MAX_RANK)
    return fault_set(fault, ERR_SHAPE, "a shape of %lld axes, allowed: 0 to %d",
                     (long long)attr[0].i, MAX_RANK);
  Shape s = shape_from_attr(attr);
  char text[SHAPE_TEXT];
  int64_t n = 8;
  for (int a = 0; a < s.rank; a++) {
    if (s.dim[a] < low)
      return fault_set(fault, ERR_SHAPE, "dim %lld of axis %d in %s, allowed: %s",
                       (long long)s.dim[a], a + 1, shape_text(text, &s),
                       low < 0 ? "0 and more, or one -1" : "0 and more");
    if (s.dim[a] > 0 && __builtin_mul_overflow(n, s.dim[a], &n))
      return fault_set(fault, ERR_SHAPE, "%s has more elements than can be counted",
                       shape_text(text, &s));
  }
  return ERR_OK;
}

Err infer_same_dtype(OpInfer *io) {
  io->out_dtype[0] = io->in[0]->dtype;
  return ERR_OK;
}

/* -- moves ------------------------------------------------------------------------- */

Move elements_move_over(const Array *a) {
  Move m = {.rank = a->shape.rank, .elem_bytes = dtype_bytes(a->dtype)};
  for (int i = 0; i < m.rank; i++) m.size[i] = a->shape.dim[i];
  return m;
}

void shape_unravel(int64_t *at, const Shape *s, int64_t flat) {
  for (int a = s->rank - 1; a >= 0; a--) {
    at[a] = flat % s->dim[a];
    flat /= s->dim[a];
  }
}

int64_t shape_ravel(const int64_t *at, const Shape *s) {
  int64_t flat = 0;
  for (int a = 0; a < s->rank; a++) flat = flat * s->dim[a] + at[a];
  return flat;
}

/* -- reshape ----------------------------------------------------------------------- */

static Err reshape_infer(OpInfer *io) {
  if (attr_check_shape(io->attr, -1, io->fault)) return io->fault->code;
  Shape s = shape_from_attr(io->attr);
  const Shape *x = &io->in[0]->shape;
  char from[SHAPE_TEXT], to[SHAPE_TEXT];
  int free_axis = -1;
  int64_t rest = 1;
  for (int a = 0; a < s.rank; a++) {
    if (s.dim[a] >= 0) {
      rest *= s.dim[a];
    } else if (free_axis >= 0) {
      return fault_set(io->fault, ERR_SHAPE, "two dims are -1 in %s, allowed: one",
                       shape_text(to, &s));
    } else {
      free_axis = a;
    }
  }
  shape_text(to, &s);
  if (free_axis >= 0) s.dim[free_axis] = rest > 0 ? shape_count(x) / rest : 0;
  if (shape_count(&s) != shape_count(x) || (free_axis >= 0 && rest == 0))
    return fault_set(io->fault, ERR_SHAPE, "cannot make %s of %s (%lld elements)", to,
                     shape_text(from, x), (long long)shape_count(x));
  io->out_shape[0] = s;
  return infer_same_dtype(io);
}

static Move reshape_move(const OpCall *c) {
  Move m = {.rank = 1, .elem_bytes = dtype_bytes(c->out[0].dtype)};
  m.size[0] = shape_count(&c->out[0].shape);
  m.out_stride[0] = m.x_stride[0] = 1;
  move_fold(&m);
  return m;
}

static void reshape_split(const OpCall *c, OpSplit *split) {
  Move m = reshape_move(c);
  split->n_blocks[0] = move_blocks(&m);
}

static void reshape_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  Move m = reshape_move(c);
  move_block(&m, c->out[0].data, c->in[0].data, block);
}

static int64_t reshape_view(const Node *node) {
  (void)node;
  return 0;
}

static void reshape_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                        Node **gx) {
  if (want[0]) gx[0] = op_reshape(g, gy[0], &y->in[0]->shape);
}

static void reshape_reference(const OpCall *c, const double *const *in,
                              double *const *out) {
  for (int64_t i = 0; i < shape_count(&c->out[0].shape); i++) out[0][i] = in[0][i];
}

static const Sample reshape_samples[] = {
    {1, {{.shape = {0, {0}}}}, ATTRS({2}, {1}, {1})},
    {1, {{.shape = {2, {3, 5}}}}, ATTRS({1}, {15})},
    {1, {{.shape = {3, {2, 7, 3}}}}, ATTRS({2}, {6}, {-1})},
    {1, {{.shape = {2, {257, 129}}}}, ATTRS({3}, {129}, {-1}, {1})},
    {1, {{.shape = {2, {4, 6}}, .dtype = DT_UINT8, .lo = 0, .hi = 255}},
     ATTRS({1}, {-1})},
    SAMPLES_END};

const Op op_record_reshape = {
    .name = "reshape",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_VIEW,
    .attrs = OP_ATTRS({.name = "shape", .kind = ATTR_SHAPE,
                       .doc = "the new sizes; one may be -1: what remains"}),
    .doc = "The same elements, in row-major order, under another shape; no copy.",
    .equation = "y[i] = x[i], i counting in row-major order",
    .infer = reshape_infer,
    .split = reshape_split,
    .run = reshape_run,
    .view = reshape_view,
    .vjp = reshape_vjp,
    .reference = reshape_reference,
    .samples = reshape_samples,
    .known = known_reshape,
};

Node *op_reshape(Graph *g, Node *x, const Shape *shape) {
  Attr attr[SHAPE_ROOM];
  if (x && shape_equal(&x->shape, shape)) return x;
  int n = shape_to_attr(attr, shape);
  return graph_apply(g, &op_record_reshape, (Node *[]){x}, 1, attr, n);
}

Node *op_channels(Graph *g, Node *v, const Shape *x) {
  if (!v || x->rank == 2) return v;
  Shape shape = {.rank = x->rank - 1, .dim = {v->shape.dim[0], 1, 1, 1, 1, 1}};
  return op_reshape(g, v, &shape);
}

/* -- broadcast_to ------------------------------------------------------------------ */

static Err broadcast_infer(OpInfer *io) {
  if (attr_check_shape(io->attr, 0, io->fault)) return io->fault->code;
  Shape s = shape_from_attr(io->attr), both;
  const Shape *x = &io->in[0]->shape;
  char from[SHAPE_TEXT], to[SHAPE_TEXT];
  if (!shape_broadcast(&both, x, &s) || !shape_equal(&both, &s))
    return fault_set(io->fault, ERR_SHAPE,
                     "cannot repeat %s to %s; allowed: the same dims, or 1, from the "
                     "last axis on",
                     shape_text(from, x), shape_text(to, &s));
  io->out_shape[0] = s;
  return infer_same_dtype(io);
}

static Move broadcast_move(const OpCall *c) {
  const Shape *x = &c->in[0].shape, *y = &c->out[0].shape;
  Move m = elements_move_over(&c->out[0]);
  int missing = y->rank - x->rank;
  for (int a = 0; a < y->rank; a++) {
    m.out_stride[a] = shape_stride(y, a);
    if (a >= missing && x->dim[a - missing] != 1)
      m.x_stride[a] = shape_stride(x, a - missing);
  }
  move_fold(&m);
  return m;
}

static void broadcast_split(const OpCall *c, OpSplit *split) {
  Move m = broadcast_move(c);
  split->n_blocks[0] = move_blocks(&m);
}

static void broadcast_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  Move m = broadcast_move(c);
  move_block(&m, c->out[0].data, c->in[0].data, block);
}

static void broadcast_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                          Node **gx) {
  if (want[0]) gx[0] = op_sum_to(g, gy[0], &y->in[0]->shape);
}

static void broadcast_reference(const OpCall *c, const double *const *in,
                                double *const *out) {
  const Shape *x = &c->in[0].shape, *y = &c->out[0].shape;
  int missing = y->rank - x->rank;
  int64_t at[MAX_RANK];
  for (int64_t i = 0; i < shape_count(y); i++) {
    shape_unravel(at, y, i);
    for (int a = 0; a < x->rank; a++)
      if (x->dim[a] == 1) at[missing + a] = 0;
    out[0][i] = in[0][shape_ravel(at + missing, x)];
  }
}

static const Sample broadcast_samples[] = {
    {1, {{.shape = {0, {0}}}}, ATTRS({1}, {1})},
    {1, {{.shape = {0, {0}}}}, ATTRS({2}, {3}, {5})},
    {1, {{.shape = {1, {5}}}}, ATTRS({2}, {3}, {5})},
    {1, {{.shape = {2, {7, 1}}}}, ATTRS({2}, {7}, {9})},
    {1, {{.shape = {3, {3, 1, 5}}}}, ATTRS({4}, {2}, {3}, {4}, {5})},
    {1, {{.shape = {3, {1, 6, 1}}}}, ATTRS({3}, {5}, {6}, {3})},
    {1, {{.shape = {2, {1, 131}}}}, ATTRS({2}, {257}, {131})},
    {1, {{.shape = {2, {257, 1}}}}, ATTRS({2}, {257}, {131})},
    {1, {{.shape = {1, {3}}, .dtype = DT_INT32, .lo = -9, .hi = 9}},
     ATTRS({2}, {2}, {3})},
    SAMPLES_END};

const Op op_record_broadcast_to = {
    .name = "broadcast_to",
    .n_in = 1,
    .n_out = 1,
    .attrs = OP_ATTRS({.name = "shape", .kind = ATTR_SHAPE,
                       .doc = "the sizes of the result"}),
    .doc = "Repeats x along new axes and along axes of one element.",
    .equation = "y[i, j, ..] = x[i', j', ..], where i' = i, or the only one",
    .infer = broadcast_infer,
    .split = broadcast_split,
    .run = broadcast_run,
    .vjp = broadcast_vjp,
    .reference = broadcast_reference,
    .samples = broadcast_samples,
    .known = known_broadcast,
};

Node *op_broadcast_to(Graph *g, Node *x, const Shape *shape) {
  Attr attr[SHAPE_ROOM];
  if (x && shape_equal(&x->shape, shape)) return x;
  int n = shape_to_attr(attr, shape);
  return graph_apply(g, &op_record_broadcast_to, (Node *[]){x}, 1, attr, n);
}

Node *op_full(Graph *g, double value, const Shape *shape) {
  return op_broadcast_to(g, graph_scalar(g, value), shape);
}

/* -- transpose --------------------------------------------------------------------- */

static Err transpose_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  unsigned seen = 0;
  if (io->attr[0].i != x->rank)
    return fault_set(io->fault, ERR_SHAPE, "the order has %lld axes, allowed: %d, as x",
                     (long long)io->attr[0].i, x->rank);
  io->out_shape[0].rank = x->rank;
  for (int a = 0; a < x->rank; a++) {
    int64_t p = io->attr[1 + a].i;
    if (p < 0 || p >= x->rank || seen & 1u << p)
      return fault_set(io->fault, ERR_SHAPE,
                       "the order has axis %lld at place %d; allowed: each axis from 1 "
                       "to %d once",
                       (long long)p + 1, a + 1, x->rank);
    seen |= 1u << p;
    io->out_shape[0].dim[a] = x->dim[p];
  }
  return infer_same_dtype(io);
}

static Move transpose_move(const OpCall *c) {
  Move m = elements_move_over(&c->out[0]);
  for (int a = 0; a < m.rank; a++) {
    m.out_stride[a] = shape_stride(&c->out[0].shape, a);
    m.x_stride[a] = shape_stride(&c->in[0].shape, (int)c->attr[1 + a].i);
  }
  move_fold(&m);
  return m;
}

static void transpose_split(const OpCall *c, OpSplit *split) {
  Move m = transpose_move(c);
  split->n_blocks[0] = move_blocks(&m);
}

static void transpose_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  Move m = transpose_move(c);
  move_block(&m, c->out[0].data, c->in[0].data, block);
}

static void transpose_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                          Node **gx) {
  int inverse[MAX_RANK] = {0};
  for (int a = 0; a < y->shape.rank; a++) inverse[y->attr[1 + a].i] = a;
  if (want[0]) gx[0] = op_transpose(g, gy[0], inverse);
}

static void transpose_reference(const OpCall *c, const double *const *in,
                                double *const *out) {
  const Shape *x = &c->in[0].shape, *y = &c->out[0].shape;
  int64_t at[MAX_RANK] = {0}, from[MAX_RANK] = {0};
  for (int64_t i = 0; i < shape_count(y); i++) {
    shape_unravel(at, y, i);
    for (int a = 0; a < y->rank; a++) from[c->attr[1 + a].i] = at[a];
    out[0][i] = in[0][shape_ravel(from, x)];
  }
}

static const Sample transpose_samples[] = {
    {1, {{.shape = {2, {1, 1}}}}, ATTRS(ATTR_LIST({1}, {0}))},
    {1, {{.shape = {2, {3, 5}}}}, ATTRS(ATTR_LIST({1}, {0}))},
    {1, {{.shape = {3, {3, 5, 7}}}}, ATTRS(ATTR_LIST({2}, {1}, {0}))},
    {1, {{.shape = {3, {3, 5, 7}}}}, ATTRS(ATTR_LIST({1}, {0}, {2}))},
    {1, {{.shape = {4, {2, 9, 11, 3}}}}, ATTRS(ATTR_LIST({0}, {3}, {1}, {2}))},
    {1, {{.shape = {6, {2, 3, 1, 2, 3, 2}}}},
     ATTRS(ATTR_LIST({4}, {1}, {5}, {0}, {2}, {3}))},
    {1, {{.shape = {2, {211, 163}}}}, ATTRS(ATTR_LIST({1}, {0}))},
    {1, {{.shape = {2, {9, 17}}, .dtype = DT_UINT8, .lo = 0, .hi = 255}},
     ATTRS(ATTR_LIST({1}, {0}))},
    SAMPLES_END};

const Op op_record_transpose = {
    .name = "transpose",
    .n_in = 1,
    .n_out = 1,
    .attrs = OP_ATTRS({.name = "axes", .kind = ATTR_PERM,
                       .doc = "the axes of x in their new order"}),
    .doc = "Puts the axes of x in another order.",
    .equation = "shape(y)[a] = shape(x)[axes[a]]; of two axes: y[i, j] = x[j, i]",
    .infer = transpose_infer,
    .split = transpose_split,
    .run = transpose_run,
    .vjp = transpose_vjp,
    .reference = transpose_reference,
    .samples = transpose_samples,
    .known = known_transpose,
};

Node *op_transpose(Graph *g, Node *x, const int *perm) {
  int rank = x ? x->shape.rank : 0;
  Attr attr[SHAPE_ROOM] = {{.i = rank}};
  for (int a = 0; a < rank; a++) attr[1 + a].i = perm ? perm[a] : rank - 1 - a;
  return graph_apply(g, &op_record_transpose, (Node *[]){x}, 1, attr, 1 + rank);
}
