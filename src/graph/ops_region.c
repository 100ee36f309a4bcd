/* ops_region.c: ops that put tensors into parts of others: slice, padding,
 * concatenation.
 *
 * A Region names a part of the larger array, the whole: element c of an axis of the
 * part is element start + c * step of the whole. Each element of the result is one of
 * an input, or zero:
 *
 *   y = slice(x, r)       gx = slice_grad(gy, r): zeros, with gy put at r
 *   y = slice_grad(x, r)  gx = slice(gy, r)
 *   y = pad(x)            gx = slice(gy, the inner part)
 *   y = concat(x1, x2..)  gxi = slice(gy, the part of xi)
 *
 * They work for all dtypes, by size of element, and run as Moves (kernel/move.h). */
#include "graph/known.h"
#include "graph/ops_move.h"
#include "base/ints.h"
#include <string.h>

enum { ZERO_BLOCK = 1 << 16 };

static void *element(const Array *a, int64_t i) {
  return (char *)a->data + i * (int64_t)dtype_bytes(a->dtype);
}

static void zero_block(const Array *out, int64_t block) {
  int64_t n_bytes = shape_count(&out->shape) * (int64_t)dtype_bytes(out->dtype);
  int64_t at = block * ZERO_BLOCK;
  memset((char *)out->data + at, 0,
         (size_t)(n_bytes - at < ZERO_BLOCK ? n_bytes - at : ZERO_BLOCK));
}

static int64_t zero_blocks(const Array *out) {
  return divide_up(shape_count(&out->shape) * (int64_t)dtype_bytes(out->dtype),
                   ZERO_BLOCK);
}

static void reference_zero(double *out, const Shape *s) {
  for (int64_t i = 0; i < shape_count(s); i++) out[i] = 0;
}

/* The place of element c of each axis of the part in the whole: start + c * step. */
typedef struct Region {
  int64_t start[MAX_RANK];
  int64_t count[MAX_RANK];
  int64_t step[MAX_RANK];
} Region;

/* From a list of ranges. */
static Region region_of_ranges(const Attr *list) {
  Region r = {{0}, {0}, {0}};
  for (int a = 0; 3 * a < list->i; a++) {
    r.start[a] = list[1 + 3 * a].i;
    r.count[a] = list[2 + 3 * a].i;
    r.step[a] = list[3 + 3 * a].i;
  }
  return r;
}

/* The inner part of an array padded by a list of pads. */
static Region region_of_pads(const Attr *list, const Shape *inner) {
  Region r = {{0}, {0}, {0}};
  for (int a = 0; a < inner->rank; a++) {
    r.start[a] = list[1 + 2 * a].i;
    r.count[a] = inner->dim[a];
    r.step[a] = 1;
  }
  return r;
}

/* Returns the words. */
static int region_to_attr(Attr *attr, const Region *r, int rank) {
  int n = 0;
  attr[n++].i = 3 * rank;
  for (int a = 0; a < rank; a++) {
    attr[n++].i = r->start[a];
    attr[n++].i = r->count[a];
    attr[n++].i = r->step[a];
  }
  return n;
}

static Shape region_shape(const Region *r, int rank) {
  Shape s = {rank, {0}};
  for (int a = 0; a < rank; a++) s.dim[a] = r->count[a];
  return s;
}

static Err check_region(const Region *r, const Shape *whole, Fault *fault) {
  for (int a = 0; a < whole->rank; a++) {
    int64_t n = whole->dim[a], first = r->start[a], last, way;
    if (r->count[a] < 0 || r->step[a] == 0)
      return fault_set(fault, ERR_SHAPE,
                       "axis %d: count %lld, step %lld; allowed: a count of 0 and "
                       "more, a step other than 0",
                       a + 1, (long long)r->count[a], (long long)r->step[a]);
    if (r->count[a] == 0) continue;
    if (__builtin_mul_overflow(r->count[a] - 1, r->step[a], &way) ||
        __builtin_add_overflow(first, way, &last) || first < 0 || first >= n ||
        last < 0 || last >= n)
      return fault_set(fault, ERR_SHAPE,
                       "axis %d: %lld elements from %lld on by %lld; allowed: within 1 "
                       "to %lld",
                       a + 1, (long long)r->count[a], (long long)first + 1,
                       (long long)r->step[a], (long long)n);
  }
  return ERR_OK;
}

/* The copy between a part and its region of the whole; `into`: from part to whole.
 * `at`: where in the whole it begins. */
static Move region_move(const Array *whole, const Array *part, const Region *r,
                        bool into, int64_t *at) {
  Move m = elements_move_over(part);
  int64_t *of_whole = into ? m.out_stride : m.x_stride;
  int64_t *of_part = into ? m.x_stride : m.out_stride;
  *at = 0;
  for (int a = 0; a < m.rank; a++) {
    int64_t stride = shape_stride(&whole->shape, a);
    *at += r->start[a] * stride;
    of_whole[a] = r->step[a] * stride;
    of_part[a] = shape_stride(&part->shape, a);
  }
  move_fold(&m);
  return m;
}

/* Phase 0: zeros everywhere. Phase 1: the part, at its region. */
static void embed_split(const OpCall *c, const Region *r, OpSplit *split) {
  int64_t at;
  Move m = region_move(&c->out[0], &c->in[0], r, true, &at);
  split->n_blocks[0] = zero_blocks(&c->out[0]);
  split->n_blocks[1] = move_blocks(&m);
}

static void embed_run(const OpCall *c, const Region *r, int phase, int64_t block) {
  if (phase == 0) {
    zero_block(&c->out[0], block);
    return;
  }
  int64_t at;
  Move m = region_move(&c->out[0], &c->in[0], r, true, &at);
  move_block(&m, element(&c->out[0], at), c->in[0].data, block);
}

/* Index in the whole of element i of the part. */
static int64_t region_index(const Region *r, const Shape *whole, const Shape *part,
                            int64_t i) {
  int64_t at[MAX_RANK];
  shape_unravel(at, part, i);
  for (int a = 0; a < part->rank; a++) at[a] = r->start[a] + at[a] * r->step[a];
  return shape_ravel(at, whole);
}

static void embed_reference(const OpCall *c, const Region *r, const double *x,
                            double *out) {
  const Shape *whole = &c->out[0].shape, *part = &c->in[0].shape;
  reference_zero(out, whole);
  for (int64_t i = 0; i < shape_count(part); i++)
    out[region_index(r, whole, part, i)] = x[i];
}

static Node *slice_region(Graph *g, Node *x, const Region *r) {
  Attr attr[RANGES_ROOM];
  int n = region_to_attr(attr, r, x ? x->shape.rank : 0);
  return graph_apply(g, &op_record_slice, (Node *[]){x}, 1, attr, n);
}

/* Zeros of the shape `whole`, with x at the region. */
static Node *embed_region(Graph *g, Node *x, const Shape *whole, const Region *r) {
  Attr attr[SHAPE_ROOM + RANGES_ROOM];
  int n = shape_to_attr(attr, whole);
  n += region_to_attr(attr + n, r, whole->rank);
  return graph_apply(g, &op_record_slice_grad, (Node *[]){x}, 1, attr, n);
}

/* -- slice ------------------------------------------------------------------------- */

static Err slice_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  if (io->attr[0].i != 3 * x->rank)
    return fault_set(io->fault, ERR_SHAPE, "got %lld ranges, allowed: %d, one an axis",
                     (long long)io->attr[0].i / 3, x->rank);
  Region r = region_of_ranges(io->attr);
  if (check_region(&r, x, io->fault)) return io->fault->code;
  io->out_shape[0] = region_shape(&r, x->rank);
  return infer_same_dtype(io);
}

static void slice_split(const OpCall *c, OpSplit *split) {
  int64_t at;
  Region r = region_of_ranges(c->attr);
  Move m = region_move(&c->in[0], &c->out[0], &r, false, &at);
  split->n_blocks[0] = move_blocks(&m);
  split->work = 2 * shape_count(&c->out[0].shape);
}

static void slice_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  int64_t at;
  Region r = region_of_ranges(c->attr);
  Move m = region_move(&c->in[0], &c->out[0], &r, false, &at);
  move_block(&m, c->out[0].data, element(&c->in[0], at), block);
}

/* One stretch of the input: from the last axis on all is taken, then one axis in part,
 * then one element each. */
static int64_t slice_view(const Node *node) {
  const Shape *x = &node->in[0]->shape;
  Region r = region_of_ranges(node->attr);
  int64_t at = 0;
  bool whole = true;
  for (int a = x->rank - 1; a >= 0; a--) {
    if (r.count[a] == 0) return 0;
    if (r.count[a] > 1 && (!whole || r.step[a] != 1)) return -1;
    if (r.count[a] != x->dim[a]) whole = false;
    at += r.start[a] * shape_stride(x, a);
  }
  return at;
}

static void slice_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  const Shape *x = &y->in[0]->shape;
  Region r = region_of_ranges(y->attr);
  if (want[0]) gx[0] = embed_region(g, gy[0], x, &r);
}

static void slice_reference(const OpCall *c, const double *const *in,
                            double *const *out) {
  const Shape *whole = &c->in[0].shape, *part = &c->out[0].shape;
  Region r = region_of_ranges(c->attr);
  for (int64_t i = 0; i < shape_count(part); i++)
    out[0][i] = in[0][region_index(&r, whole, part, i)];
}

static const Sample slice_samples[] = {
    {1, {{.shape = {1, {1}}}}, ATTRS(ATTR_LIST({0}, {1}, {1}))},
    {1, {{.shape = {2, {7, 5}}}}, ATTRS(ATTR_LIST({2}, {3}, {1}, {0}, {5}, {1}))},
    {1, {{.shape = {2, {7, 5}}}}, ATTRS(ATTR_LIST({1}, {3}, {2}, {4}, {5}, {-1}))},
    {1, {{.shape = {3, {4, 5, 6}}}},
     ATTRS(ATTR_LIST({2}, {1}, {1}, {3}, {2}, {-2}, {1}, {2}, {3}))},
    {1, {{.shape = {2, {3, 4}}}}, ATTRS(ATTR_LIST({1}, {0}, {1}, {0}, {4}, {1}))},
    {1, {{.shape = {2, {211, 303}}}},
     ATTRS(ATTR_LIST({3}, {200}, {1}, {301}, {151}, {-2}))},
    {1, {{.shape = {2, {211, 303}}}},
     ATTRS(ATTR_LIST({11}, {150}, {1}, {0}, {303}, {1}))},
    {1, {{.shape = {2, {9, 4}}, .dtype = DT_UINT8, .lo = 0, .hi = 255}},
     ATTRS(ATTR_LIST({8}, {5}, {-2}, {1}, {3}, {1}))},
    SAMPLES_END};

const Op op_record_slice = {
    .name = "slice",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_VIEW,
    .attrs = OP_ATTRS({.name = "ranges", .kind = ATTR_RANGES,
                       .doc = "one for each axis, ends inclusive: t:slice(2, {1, 3}), "
                              "or in a list, t:slice{nil, {1, 3}} and t[{2, {1, 3}}]; "
                              "t:slice{1, 3} is {1, 3} of the first axis"}),
    .doc = "The part of x in a range of each axis; no copy where it is one stretch of "
           "memory.",
    .equation = "y[c1, c2, ..] = x[first1 + c1 step1, first2 + c2 step2, ..]",
    .infer = slice_infer,
    .split = slice_split,
    .run = slice_run,
    .view = slice_view,
    .vjp = slice_vjp,
    .reference = slice_reference,
    .samples = slice_samples,
    .known = known_slice,
};

Node *op_slice(Graph *g, Node *x, const int64_t *start, const int64_t *count,
               const int64_t *step) {
  Region r = {{0}, {0}, {0}};
  for (int a = 0; x && a < x->shape.rank; a++) {
    r.start[a] = start[a];
    r.count[a] = count[a];
    r.step[a] = step[a];
  }
  return slice_region(g, x, &r);
}

/* -- slice_grad -------------------------------------------------------------------- */

static Region slice_grad_region(const Attr *attr) {
  return region_of_ranges(attr_behind(attr));
}

static Err slice_grad_infer(OpInfer *io) {
  if (attr_check_shape(io->attr, 0, io->fault)) return io->fault->code;
  Shape whole = shape_from_attr(io->attr);
  must(attr_behind(io->attr)->i == 3 * whole.rank);
  Region r = slice_grad_region(io->attr);
  if (check_region(&r, &whole, io->fault)) return io->fault->code;
  Shape part = region_shape(&r, whole.rank);
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (!shape_equal(&part, &io->in[0]->shape))
    return fault_set(io->fault, ERR_SHAPE, "gy is %s, the region %s",
                     shape_text(got, &io->in[0]->shape), shape_text(want, &part));
  io->out_shape[0] = whole;
  return infer_same_dtype(io);
}

static void slice_grad_split(const OpCall *c, OpSplit *split) {
  Region r = slice_grad_region(c->attr);
  embed_split(c, &r, split);
}

static void slice_grad_run(const OpCall *c, int phase, int64_t block) {
  Region r = slice_grad_region(c->attr);
  embed_run(c, &r, phase, block);
}

static void slice_grad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                           Node **gx) {
  Region r = slice_grad_region(y->attr);
  if (want[0]) gx[0] = slice_region(g, gy[0], &r);
}

static void slice_grad_reference(const OpCall *c, const double *const *in,
                                 double *const *out) {
  Region r = slice_grad_region(c->attr);
  embed_reference(c, &r, in[0], out[0]);
}

static const Sample slice_grad_samples[] = {
    {1, {{.shape = {1, {1}}}}, ATTRS(ATTR_LIST({1}), ATTR_LIST({0}, {1}, {1}))},
    {1, {{.shape = {2, {3, 5}}}},
     ATTRS(ATTR_LIST({7}, {5}), ATTR_LIST({1}, {3}, {2}, {4}, {5}, {-1}))},
    {1, {{.shape = {3, {1, 2, 2}}}},
     ATTRS(ATTR_LIST({4}, {5}, {6}),
           ATTR_LIST({2}, {1}, {1}, {3}, {2}, {-2}, {1}, {2}, {3}))},
    {1, {{.shape = {2, {200, 151}}}},
     ATTRS(ATTR_LIST({211}, {303}), ATTR_LIST({3}, {200}, {1}, {301}, {151}, {-2}))},
    SAMPLES_END};

const Op op_record_slice_grad = {
    .name = "slice_grad",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy"},
    .attrs = OP_ATTRS({.name = "shape", .kind = ATTR_SHAPE,
                       .doc = "dims of what was sliced"},
                      {.name = "ranges", .kind = ATTR_RANGES,
                       .doc = "as of the slice"}),
    .doc = "gradient of slice: zeros, with gy put where it was taken from",
    .equation = "y[first1 + c1 step1, ..] = gy[c1, ..]; 0 elsewhere",
    .infer = slice_grad_infer,
    .phases = op_two_phases, .split = slice_grad_split,
    .run = slice_grad_run,
    .vjp = slice_grad_vjp,
    .reference = slice_grad_reference,
    .samples = slice_grad_samples,
};

/* -- pad --------------------------------------------------------------------------- */

static Err pad_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  Attr dims[SHAPE_ROOM];
  Shape padded = *x;
  if (io->attr[0].i != 2 * x->rank)
    return fault_set(io->fault, ERR_SHAPE, "got %lld pads, allowed: %d, one an axis",
                     (long long)io->attr[0].i / 2, x->rank);
  for (int a = 0; a < x->rank; a++) {
    int64_t before = io->attr[1 + 2 * a].i, after = io->attr[2 + 2 * a].i;
    if (before < 0 || after < 0 ||
        __builtin_add_overflow(x->dim[a], before, &padded.dim[a]) ||
        __builtin_add_overflow(padded.dim[a], after, &padded.dim[a]))
      return fault_set(io->fault, ERR_SHAPE,
                       "axis %d: %lld before and %lld after, allowed: 0 and more",
                       a + 1, (long long)before, (long long)after);
  }
  shape_to_attr(dims, &padded);
  if (attr_check_shape(dims, 0, io->fault)) return io->fault->code;
  io->out_shape[0] = padded;
  return infer_same_dtype(io);
}

static void pad_split(const OpCall *c, OpSplit *split) {
  Region r = region_of_pads(c->attr, &c->in[0].shape);
  embed_split(c, &r, split);
}

static void pad_run(const OpCall *c, int phase, int64_t block) {
  Region r = region_of_pads(c->attr, &c->in[0].shape);
  embed_run(c, &r, phase, block);
}

static void pad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  Region r = region_of_pads(y->attr, &y->in[0]->shape);
  if (want[0]) gx[0] = slice_region(g, gy[0], &r);
}

static void pad_reference(const OpCall *c, const double *const *in,
                          double *const *out) {
  Region r = region_of_pads(c->attr, &c->in[0].shape);
  embed_reference(c, &r, in[0], out[0]);
}

static const Sample pad_samples[] = {
    {1, {{.shape = {1, {1}}}}, ATTRS(ATTR_LIST({0}, {1}))},
    {1, {{.shape = {2, {3, 5}}}}, ATTRS(ATTR_LIST({1}, {2}, {0}, {3}))},
    {1, {{.shape = {4, {2, 1, 3, 3}}}},
     ATTRS(ATTR_LIST({0}, {0}, {0}, {0}, {1}, {1}, {2}, {1}))},
    {1, {{.shape = {2, {201, 133}}}}, ATTRS(ATTR_LIST({5}, {4}, {3}, {2}))},
    {1, {{.shape = {1, {4}}, .dtype = DT_INT32, .lo = -9, .hi = 9}},
     ATTRS(ATTR_LIST({2}, {1}))},
    SAMPLES_END};

const Op op_record_pad = {
    .name = "pad",
    .n_in = 1,
    .n_out = 1,
    .attrs = OP_ATTRS({.name = "pads", .kind = ATTR_PADS,
                       .doc = "how many zeros to add before and after, for each axis"}),
    .doc = "Adds zeros around x.",
    .equation = "y[before1 + i, before2 + j, ..] = x[i, j, ..], elsewhere 0",
    .infer = pad_infer,
    .phases = op_two_phases, .split = pad_split,
    .run = pad_run,
    .vjp = pad_vjp,
    .reference = pad_reference,
    .samples = pad_samples,
};

Node *op_pad(Graph *g, Node *x, const int64_t *before, const int64_t *after) {
  int rank = x ? x->shape.rank : 0;
  Attr attr[PADS_ROOM] = {{.i = 2 * rank}};
  for (int a = 0; a < rank; a++) {
    attr[1 + 2 * a].i = before[a];
    attr[2 + 2 * a].i = after[a];
  }
  return graph_apply(g, &op_record_pad, (Node *[]){x}, 1, attr, 1 + 2 * rank);
}

/* -- concat ------------------------------------------------------------------------ */

static Err concat_infer(OpInfer *io) {
  if (io->n_in == 0)
    return fault_set(io->fault, ERR_VALUE, "no inputs, allowed: 1 to %d", MAX_IN);
  const Shape *first = &io->in[0]->shape;
  int axis = (int)io->attr[0].i;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (io->attr[0].i < 0 || io->attr[0].i >= first->rank)
    return fault_set(io->fault, ERR_SHAPE, "axis %d of %s, allowed: 1 to %d", axis + 1,
                     shape_text(a, first), first->rank);
  Shape sum = *first;
  for (int i = 1; i < io->n_in; i++) {
    const Node *x = io->in[i];
    Shape like = x->shape;
    if (x->dtype != io->in[0]->dtype)
      return fault_set(io->fault, ERR_VALUE, "input %d is %s, input 1 %s; cast one",
                       i + 1, dtype_name(x->dtype), dtype_name(io->in[0]->dtype));
    if (like.rank == first->rank) like.dim[axis] = first->dim[axis];
    if (!shape_equal(&like, first))
      return fault_set(io->fault, ERR_SHAPE,
                       "input %d is %s, input 1 %s; allowed: equal but for axis %d",
                       i + 1, shape_text(b, &x->shape), shape_text(a, first), axis + 1);
    sum.dim[axis] += x->shape.dim[axis];
  }
  io->out_shape[0] = sum;
  return infer_same_dtype(io);
}

/* Where input i goes in the output. */
static Region concat_region(const Shape *x, int axis, int64_t start) {
  Region r = {{0}, {0}, {0}};
  for (int a = 0; a < x->rank; a++) {
    r.count[a] = x->dim[a];
    r.step[a] = 1;
  }
  r.start[axis] = start;
  return r;
}

/* The blocks of input 0 come first, then those of input 1, ... */
static void concat_split(const OpCall *c, OpSplit *split) {
  int axis = (int)c->attr[0].i;
  int64_t start = 0, at, n = 0;
  for (int i = 0; i < c->n_in; i++) {
    Region r = concat_region(&c->in[i].shape, axis, start);
    Move m = region_move(&c->out[0], &c->in[i], &r, true, &at);
    n += move_blocks(&m);
    start += c->in[i].shape.dim[axis];
  }
  split->n_blocks[0] = n;
}

static void concat_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  int axis = (int)c->attr[0].i;
  int64_t start = 0, at;
  for (int i = 0; i < c->n_in; i++) {
    Region r = concat_region(&c->in[i].shape, axis, start);
    Move m = region_move(&c->out[0], &c->in[i], &r, true, &at);
    int64_t n = move_blocks(&m);
    if (block < n) {
      move_block(&m, element(&c->out[0], at), c->in[i].data, block);
      return;
    }
    block -= n;
    start += c->in[i].shape.dim[axis];
  }
}

static void concat_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                       Node **gx) {
  int axis = (int)y->attr[0].i;
  int64_t start = 0;
  for (int i = 0; i < y->n_in; i++) {
    Region r = concat_region(&y->in[i]->shape, axis, start);
    if (want[i]) gx[i] = slice_region(g, gy[0], &r);
    start += y->in[i]->shape.dim[axis];
  }
}

static void concat_reference(const OpCall *c, const double *const *in,
                             double *const *out) {
  int axis = (int)c->attr[0].i;
  int64_t start = 0, at[MAX_RANK];
  for (int k = 0; k < c->n_in; k++) {
    const Shape *x = &c->in[k].shape;
    for (int64_t i = 0; i < shape_count(x); i++) {
      shape_unravel(at, x, i);
      at[axis] += start;
      out[0][shape_ravel(at, &c->out[0].shape)] = in[k][i];
    }
    start += x->dim[axis];
  }
}

static const Sample concat_samples[] = {
    {2, {{.shape = {1, {1}}}, {.shape = {1, {1}}}}, ATTRS({0})},
    {1, {{.shape = {3, {2, 3, 5}}}}, ATTRS({2})},
    {3, {{.shape = {2, {3, 5}}}, {.shape = {2, {1, 5}}}, {.shape = {2, {4, 5}}}},
     ATTRS({0})},
    {3, {{.shape = {3, {3, 5, 2}}}, {.shape = {3, {3, 1, 2}}}, {.shape = {3, {3, 4,
                                                                              2}}}},
     ATTRS({1})},
    {2, {{.shape = {2, {3, 0}}}, {.shape = {2, {3, 2}}}}, ATTRS({1})},
    {3, {{.shape = {2, {131, 203}}}, {.shape = {2, {131, 1}}}, {.shape = {2, {131,
                                                                              77}}}},
     ATTRS({1})},
    {2, {{.shape = {2, {2, 3}}, .dtype = DT_UINT8, .lo = 0, .hi = 255},
         {.shape = {2, {1, 3}}, .dtype = DT_UINT8, .lo = 0, .hi = 255}}, ATTRS({0})},
    SAMPLES_END};

const Op op_record_concat = {
    .name = "concat",
    .alias = "cat concatenate",
    .n_in = ANY_NUMBER,
    .n_out = 1,
    .attrs = OP_ATTRS({.name = "axis", .kind = ATTR_AXIS, .value = "1",
                       .doc = "the axis along which they are joined"}),
    .doc = "Joins tensors along one axis; their other sizes are equal.",
    .equation = "y[.., i, ..] = x1[.., i, ..], then those of x2, ..",
    .infer = concat_infer,
    .split = concat_split,
    .run = concat_run,
    .vjp = concat_vjp,
    .reference = concat_reference,
    .samples = concat_samples,
    .known = known_concat,
};

Node *op_concat(Graph *g, Node *const *x, int n, int axis) {
  return graph_apply(g, &op_record_concat, x, n, (Attr[]){{.i = axis}}, 1);
}
