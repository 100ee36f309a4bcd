/* ops_index.c: ops that take elements by number: gather, its gradient, one_hot.
 *
 * Indices count from 1 and are data, not structure: int32, uint8, or reals that are
 * whole numbers; `check` refuses the others before anything runs. Nothing flows back
 * into them.
 *
 *   y = gather(x, i)           y[p, :] = x[i[p] - 1, :]
 *   gx = gather_grad(gy, i)    gx[r, :] = sum of gy[p, :] over the p with i[p] - 1 == r
 *   gather_grad's own gradient is gather again.
 *
 * With mask_zero the index 0 is allowed: it is padding, gives zeros and takes nothing
 * back.
 *
 * gather_grad adds without races: phase 0 sorts the positions p by row (counting sort,
 * so positions of one row stay in order), phase 1 sums the rows of the result
 * independently, in double, in that order. So its bits do not depend on the threads. */
#include "graph/known.h"
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <stdio.h>
#include <string.h>

enum { BLOCK = 16384, COLUMNS = 512 };

/* Elements of one row: of one step along axis 0. */
static int64_t row_elements(const Shape *s) { return s->rank ? shape_stride(s, 0) : 1; }

/* Index number p, from 0. */
static int64_t index_at(const Array *index, int64_t p) {
  return (int64_t)array_get(index, p) - 1;
}

/* Are all of them allowed? Those of a batch mostly are. */
static bool integers_fit(const int32_t *v, int64_t count, int64_t lo, int64_t n) {
  bool outside = false;
  for (int64_t p = 0; p < count; p++) outside |= v[p] < lo || v[p] > n;
  return !outside;
}

/* Where number p of the index is: "in row 2, step 3" of one of two axes. */
static const char *index_place(const Array *index, int64_t p, char buffer[64]) {
  const Shape *s = &index->shape;
  if (s->rank == 2)
    snprintf(buffer, 64, "in row %lld, step %lld", (long long)(p / s->dim[1]) + 1,
             (long long)(p % s->dim[1]) + 1);
  else snprintf(buffer, 64, "at position %lld", (long long)p + 1);
  return buffer;
}

/* Are all whole numbers from lo to n? `why` ends the refusal of one that is out of
 * range. */
static Err check_index(const Array *index, int64_t lo, int64_t n, const char *why,
                       Fault *fault) {
  int64_t count = shape_count(&index->shape);
  if (index->dtype == DT_INT32 && integers_fit(index->data, count, lo, n))
    return ERR_OK;
  for (int64_t p = 0; p < count; p++) {
    double v = array_get(index, p);
    char got[32], place[64];
    bool inside = v >= (double)lo && v <= (double)n;
    if (inside && v == (double)(int64_t)v) continue;
    text_number(got, v);
    index_place(index, p, place);
    if (inside)
      return fault_set(fault, ERR_DATA,
                       "index %s %s is not a whole number: allowed %lld to %lld", got,
                       place, (long long)lo, (long long)n);
    return fault_set(fault, ERR_DATA,
                     "index %s %s is out of range: allowed %lld to %lld%s", got, place,
                     (long long)lo, (long long)n, why);
  }
  return ERR_OK;
}

/* The same of rows of which there are n, with 0 for padding where that is allowed. */
static Err check_rows(const Array *index, bool mask_zero, int64_t n, Fault *fault) {
  return check_index(index, mask_zero ? 0 : 1, n,
                     mask_zero ? " (indices count from 1; 0 is padding)"
                               : " (indices count from 1; 0 needs mask_zero = true)",
                     fault);
}

/* -- gather ------------------------------------------------------------------------ */

static Err gather_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape, *index = &io->in[1]->shape;
  Shape *y = &io->out_shape[0];
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (x->rank == 0)
    return fault_set(io->fault, ERR_SHAPE, "x is a scalar; allowed: 1 axis or more");
  if (index->rank + x->rank - 1 > MAX_RANK)
    return fault_set(io->fault, ERR_SHAPE,
                     "rows of %s by an index of %s have more than %d axes",
                     shape_text(a, x), shape_text(b, index), MAX_RANK);
  *y = *index;
  for (int i = 1; i < x->rank; i++) y->dim[y->rank++] = x->dim[i];
  io->out_dtype[0] = io->in[0]->dtype;
  return ERR_OK;
}

static Err gather_check(const OpCall *c, Fault *fault) {
  return check_rows(&c->in[1], c->attr[0].i, c->in[0].shape.dim[0], fault);
}

/* Positions per block. */
static int64_t gather_rows(const OpCall *c) {
  return most(BLOCK / most(row_elements(&c->in[0].shape), 1), 1);
}

static void gather_split(const OpCall *c, OpSplit *split) {
  split->n_blocks[0] = divide_up(shape_count(&c->in[1].shape), gather_rows(c));
  split->work = 2 * shape_count(&c->out[0].shape) + shape_count(&c->in[1].shape);
}

static void gather_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  int64_t rows = gather_rows(c), first = block * rows;
  int64_t end = least(first + rows, shape_count(&c->in[1].shape));
  size_t n_bytes = (size_t)row_elements(&c->in[0].shape) * dtype_bytes(c->in[0].dtype);
  char *out = (char *)c->out[0].data;
  const char *x = (const char *)c->in[0].data;
  for (int64_t p = first; p < end; p++) {
    int64_t r = index_at(&c->in[1], p);
    if (r < 0) memset(out + (size_t)p * n_bytes, 0, n_bytes);
    else memcpy(out + (size_t)p * n_bytes, x + (size_t)r * n_bytes, n_bytes);
  }
}

static Node *gather_grad(Graph *g, Node *gy, Node *index, int64_t rows,
                         bool mask_zero) {
  return graph_apply(g, &op_record_gather_grad, (Node *[]){gy, index}, 2,
                     (Attr[]){{.i = rows}, {.i = mask_zero}}, 2);
}

static void gather_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                       Node **gx) {
  if (want[0])
    gx[0] = gather_grad(g, gy[0], y->in[1], y->in[0]->shape.dim[0], y->attr[0].i);
}

static void gather_reference(const OpCall *c, const double *const *in,
                             double *const *out) {
  int64_t n = row_elements(&c->in[0].shape);
  for (int64_t p = 0; p < shape_count(&c->in[1].shape); p++)
    for (int64_t j = 0; j < n; j++)
      out[0][p * n + j] = in[1][p] >= 1 ? in[0][((int64_t)in[1][p] - 1) * n + j] : 0;
}

static const Sample gather_samples[] = {
    {2, {{.shape = {1, {1}}},
         {.shape = {1, {1}}, .dtype = DT_INT32, .lo = 1, .hi = 1}}, ATTRS({.i = 0})},
    {2, {{.shape = {2, {5, 3}}},
         {.shape = {1, {7}}, .dtype = DT_INT32, .lo = 1, .hi = 5}}, ATTRS({.i = 0})},
    {2, {{.shape = {3, {4, 3, 2}}},
         {.shape = {2, {3, 5}}, .dtype = DT_UINT8, .lo = 1, .hi = 4}}, ATTRS({.i = 0})},
    {2, {{.shape = {1, {9}}},
         {.shape = {0, {0}}, .dtype = DT_INT32, .lo = 1, .hi = 9}}, ATTRS({.i = 0})},
    {2, {{.shape = {2, {61, 129}}},
         {.shape = {1, {301}}, .dtype = DT_INT32, .lo = 1, .hi = 61}}, ATTRS({.i = 0})},
    {2, {{.shape = {2, {4, 3}}, .dtype = DT_UINT8, .lo = 0, .hi = 255},
         {.shape = {1, {6}}, .dtype = DT_INT32, .lo = 1, .hi = 4}}, ATTRS({.i = 0})},
    {2, {{.shape = {2, {5, 3}}},
         {.shape = {2, {4, 6}}, .dtype = DT_INT32, .lo = 0, .hi = 5}}, ATTRS({.i = 1})},
    SAMPLES_END};

#define MASK_ZERO                                                                      \
  {.name = "mask_zero", .kind = ATTR_BOOL, .value = "false",                           \
   .doc = "the index 0 is allowed: it stands for padding and gives zeros"}

const Op op_record_gather = {
    .name = "gather",
    .n_in = 2,
    .n_out = 1,
    .inputs = (const char *const[]){"x", "index"},
    .attrs = OP_ATTRS(MASK_ZERO),
    .doc = "Picks rows of x by number, counted from 1: x [n, ..] and an index of any "
           "shape -> the index's shape, then [..].",
    .equation = "y[p, ..] = x[index[p], ..]",
    .infer = gather_infer,
    .check = gather_check,
    .split = gather_split,
    .run = gather_run,
    .vjp = gather_vjp,
    .reference = gather_reference,
    .samples = gather_samples,
    .known = known_gather,
};

static Node *gather(Graph *g, Node *x, Node *index, bool mask_zero) {
  return graph_apply(g, &op_record_gather, (Node *[]){x, index}, 2,
                     (Attr[]){{.i = mask_zero}}, 1);
}

Node *op_gather(Graph *g, Node *x, Node *index) { return gather(g, x, index, false); }

Node *op_embed(Graph *g, Node *x, Node *index) { return gather(g, x, index, true); }

/* -- gather_grad ------------------------------------------------------------------- */

static Err gather_grad_infer(OpInfer *io) {
  const Shape *gy = &io->in[0]->shape, *index = &io->in[1]->shape;
  Shape *y = &io->out_shape[0];
  Shape lead = *gy;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (index->rank <= gy->rank) lead.rank = index->rank;
  if (!shape_equal(&lead, index))
    return fault_set(io->fault, ERR_SHAPE,
                     "gy is %s, the index %s; allowed: gy begins with the axes of the "
                     "index",
                     shape_text(a, gy), shape_text(b, index));
  if (infer_need_real(io, 0)) return io->fault->code;
  if (io->attr[0].i < 0 || gy->rank - index->rank + 1 > MAX_RANK)
    return fault_set(io->fault, ERR_SHAPE,
                     "%lld rows of %s, allowed: 0 and more, of less than %d axes",
                     (long long)io->attr[0].i, shape_text(a, gy), MAX_RANK);
  *y = (Shape){1, {io->attr[0].i}};
  for (int i = index->rank; i < gy->rank; i++) y->dim[y->rank++] = gy->dim[i];
  return ERR_OK;
}

static Err gather_grad_check(const OpCall *c, Fault *fault) {
  return check_rows(&c->in[1], c->attr[1].i, c->attr[0].i, fault);
}

/* The scratch: positions sorted by row; those of row r stand at first[r] .. first[r +
 * 1]. `next` is used while sorting. */
typedef struct Sorted {
  int64_t *first;    /* rows + 1 */
  int64_t *next;     /* rows */
  int64_t *position; /* one per index */
} Sorted;

static Sorted sorted_of(const OpCall *c) {
  int64_t rows = c->attr[0].i;
  int64_t *v = c->scratch;
  return (Sorted){v, v + rows + 1, v + 2 * rows + 1};
}

/* A block of phase 1 is `rows` rows of up to COLUMNS columns: about BLOCK additions
 * when the indices are spread evenly. */
typedef struct GradTiles {
  int64_t rows, n_row_tiles, n_column_tiles;
} GradTiles;

static GradTiles grad_tiles(const OpCall *c) {
  int64_t rows = c->attr[0].i, columns = row_elements(&c->out[0].shape);
  if (rows == 0 || columns == 0) return (GradTiles){1, 0, 0};
  int64_t per_row = 1 + shape_count(&c->in[1].shape) / rows;
  int64_t tile = most(BLOCK / (per_row * least(columns, COLUMNS)), 1);
  return (GradTiles){tile, divide_up(rows, tile), divide_up(columns, COLUMNS)};
}

static void gather_grad_split(const OpCall *c, OpSplit *split) {
  int64_t rows = c->attr[0].i, n = shape_count(&c->in[1].shape);
  GradTiles t = grad_tiles(c);
  split->n_blocks[1] = t.n_row_tiles * t.n_column_tiles;
  split->scratch_bytes = (size_t)(2 * rows + 1 + n) * sizeof(int64_t);
}

static void sort_positions(const OpCall *c) {
  Sorted s = sorted_of(c);
  int64_t rows = c->attr[0].i, n = shape_count(&c->in[1].shape);
  memset(s.first, 0, (size_t)(rows + 1) * sizeof *s.first);
  for (int64_t p = 0; p < n; p++) s.first[index_at(&c->in[1], p) + 1]++;
  s.first[0] = 0; /* padding is in no row */
  for (int64_t r = 0; r < rows; r++) {
    s.first[r + 1] += s.first[r];
    s.next[r] = s.first[r];
  }
  for (int64_t p = 0; p < n; p++) {
    int64_t r = index_at(&c->in[1], p);
    if (r >= 0) s.position[s.next[r]++] = p;
  }
}

static void gather_grad_run(const OpCall *c, int phase, int64_t block) {
  if (phase == 0) {
    sort_positions(c);
    return;
  }
  Sorted s = sorted_of(c);
  GradTiles t = grad_tiles(c);
  must(t.n_column_tiles > 0);
  int64_t columns = row_elements(&c->out[0].shape);
  int64_t r = block / t.n_column_tiles * t.rows, end = least(r + t.rows, c->attr[0].i);
  int64_t j = block % t.n_column_tiles * COLUMNS, width = least(COLUMNS, columns - j);
  real *out = c->out[0].data;
  const real *gy = c->in[0].data;
  for (; r < end; r++)
    kernels()->sum_of_rows(out + r * columns + j, gy + j, s.position + s.first[r],
                           s.first[r + 1] - s.first[r], columns, width);
}

static void gather_grad_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                            Node **gx) {
  if (want[0]) gx[0] = gather(g, gy[0], y->in[1], y->attr[1].i);
}

static void gather_grad_reference(const OpCall *c, const double *const *in,
                                  double *const *out) {
  int64_t n = row_elements(&c->out[0].shape);
  for (int64_t i = 0; i < shape_count(&c->out[0].shape); i++) out[0][i] = 0;
  for (int64_t p = 0; p < shape_count(&c->in[1].shape); p++)
    for (int64_t j = 0; in[1][p] >= 1 && j < n; j++)
      out[0][((int64_t)in[1][p] - 1) * n + j] += in[0][p * n + j];
}

static const Sample gather_grad_samples[] = {
    {2, {{.shape = {1, {1}}}, {.shape = {1, {1}}, .dtype = DT_INT32, .lo = 1, .hi = 1}},
     ATTRS({1}, {.i = 0})},
    {2, {{.shape = {2, {7, 3}}},
         {.shape = {1, {7}}, .dtype = DT_INT32, .lo = 1, .hi = 5}},
     ATTRS({5}, {.i = 0})},
    {2, {{.shape = {3, {3, 5, 2}}},
         {.shape = {2, {3, 5}}, .dtype = DT_UINT8, .lo = 1, .hi = 4}},
     ATTRS({6}, {.i = 0})},
    {2, {{.shape = {1, {301}}},
         {.shape = {1, {301}}, .dtype = DT_INT32, .lo = 2, .hi = 3}},
     ATTRS({3}, {.i = 0})},
    {2, {{.shape = {2, {131, 521}}},
         {.shape = {1, {131}}, .dtype = DT_INT32, .lo = 1, .hi = 61}},
     ATTRS({61}, {.i = 0})},
    {2, {{.shape = {3, {4, 6, 3}}},
         {.shape = {2, {4, 6}}, .dtype = DT_INT32, .lo = 0, .hi = 5}},
     ATTRS({5}, {.i = 1})},
    SAMPLES_END};

const Op op_record_gather_grad = {
    .name = "gather_grad",
    .n_in = 2,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "index"},
    .attrs = OP_ATTRS({.name = "rows", .kind = ATTR_INT, .lo = 0, .hi = 0x1p53,
                       .doc = "rows of what was gathered from"},
                      MASK_ZERO),
    .doc = "gradient of gather: the rows of gy added up where they were taken from",
    .equation = "y[r, ..] = sum over p with index[p] = r of gy[p, ..]",
    .infer = gather_grad_infer,
    .check = gather_grad_check,
    .phases = op_two_phases, .split = gather_grad_split,
    .run = gather_grad_run,
    .vjp = gather_grad_vjp,
    .reference = gather_grad_reference,
    .samples = gather_grad_samples,
};

/* -- one_hot ----------------------------------------------------------------------- */

static Err one_hot_infer(OpInfer *io) {
  Shape *y = &io->out_shape[0];
  if (io->attr[0].i < 1)
    return fault_set(io->fault, ERR_VALUE, "classes: got %lld, allowed: 1 and more",
                     (long long)io->attr[0].i);
  if (io->in[0]->shape.rank == MAX_RANK)
    return fault_set(io->fault, ERR_SHAPE, "the index has %d axes, allowed: 0 to %d",
                     MAX_RANK, MAX_RANK - 1);
  *y = io->in[0]->shape;
  y->dim[y->rank++] = io->attr[0].i;
  return ERR_OK;
}

static Err one_hot_check(const OpCall *c, Fault *fault) {
  return check_index(&c->in[0], 1, c->attr[0].i,
                     " (they count from 1; of labels, label_base = 0 converts)", fault);
}

static int64_t one_hot_rows(const OpCall *c) { return most(BLOCK / c->attr[0].i, 1); }

static void one_hot_split(const OpCall *c, OpSplit *split) {
  split->n_blocks[0] = divide_up(shape_count(&c->in[0].shape), one_hot_rows(c));
}

static void one_hot_run(const OpCall *c, int phase, int64_t block) {
  (void)phase;
  int64_t classes = c->attr[0].i, first = block * one_hot_rows(c);
  int64_t end = least(first + one_hot_rows(c), shape_count(&c->in[0].shape));
  real *out = c->out[0].data;
  memset(out + first * classes, 0, (size_t)((end - first) * classes) * sizeof *out);
  for (int64_t p = first; p < end; p++) out[p * classes + index_at(&c->in[0], p)] = 1;
}

static void one_hot_reference(const OpCall *c, const double *const *in,
                              double *const *out) {
  int64_t classes = c->attr[0].i;
  for (int64_t p = 0; p < shape_count(&c->in[0].shape); p++)
    for (int64_t k = 0; k < classes; k++)
      out[0][p * classes + k] = in[0][p] == (double)(k + 1);
}

static const Sample one_hot_samples[] = {
    {1, {{.shape = {1, {1}}, .dtype = DT_INT32, .lo = 1, .hi = 1}}, ATTRS({1})},
    {1, {{.shape = {1, {7}}, .dtype = DT_INT32, .lo = 1, .hi = 5}}, ATTRS({5})},
    {1, {{.shape = {0, {0}}, .dtype = DT_UINT8, .lo = 1, .hi = 3}}, ATTRS({3})},
    {1, {{.shape = {2, {3, 5}}, .dtype = DT_UINT8, .lo = 1, .hi = 10}}, ATTRS({10})},
    {1, {{.shape = {1, {3001}}, .dtype = DT_INT32, .lo = 1, .hi = 11}}, ATTRS({11})},
    SAMPLES_END};

const Op op_record_one_hot = {
    .name = "one_hot",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_NO_GRAD,
    .inputs = (const char *const[]){"index"},
    .attrs = OP_ATTRS({.name = "classes", .kind = ATTR_INT, .lo = 1, .hi = 0x1p31,
                       .doc = "length of the new last axis"}),
    .doc = "Turns numbers, counted from 1, into rows of zeros with one 1: [..] -> [.., "
           "classes].",
    .equation = "y[.., k] = 1 if k == index[..] else 0",
    .infer = one_hot_infer,
    .check = one_hot_check,
    .split = one_hot_split,
    .run = one_hot_run,
    .vjp = vjp_none,
    .reference = one_hot_reference,
    .samples = one_hot_samples,
};

Node *op_one_hot(Graph *g, Node *index, int64_t classes) {
  return graph_apply(g, &op_record_one_hot, (Node *[]){index}, 1,
                     (Attr[]){{.i = classes}}, 1);
}
