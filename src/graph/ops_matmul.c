/* ops_matmul.c: the matrix product.
 *
 *   y = A B,  A = x or x^T,  B = y or y^T  (the last two axes)
 *
 * Gradient, with g that of the product (Goodfellow, Bengio, Courville, "Deep Learning",
 * section 6.5.6): gA = g B^T and gB = A^T g; of a transposed operand the transpose of
 * that,
 *
 *            x plain          x transposed              y plain          y transposed
 *   gx       g B^T            B g^T            gy       A^T g            g^T A
 *
 * each again one matmul with flags, so no transposed copy is ever made.
 *
 * Batches: either both operands have the same leading axes, or one has none and is used
 * for every item; its gradient is then summed over them. Items of [.., M, K] x [K, N]
 * lie one behind the other and so are one product with all rows.
 *
 * An operand that is itself a transpose is folded into the flag only if it is tracked:
 * others forget their inputs once they have been computed, and looking at a value must
 * not change a bit of what follows. */
#include "graph/ops_matmul.h"
#include "graph/ops.h"

enum { X, Y, TRANSPOSE_X = 0, TRANSPOSE_Y, N_SLOTS };
enum {
  BATCH_WORK = 20000, /* small products share a block until they make this much */
  ROWS_WEIGHTS = 1 << 17 /* elements of a y that stays in a near cache of each thread */
};

/* -- shapes ------------------------------------------------------------------------ */

/* The matrix of an operand as it is multiplied. */
typedef struct Matrix {
  int64_t rows, columns;
} Matrix;

static Matrix matrix_of(const Shape *s, bool transposed) {
  int64_t last = s->dim[s->rank - 1], before = s->dim[s->rank - 2];
  return transposed ? (Matrix){last, before} : (Matrix){before, last};
}

static int64_t batch_count(const Shape *s) {
  int64_t n = 1;
  for (int a = 0; a < s->rank - 2; a++) n *= s->dim[a];
  return n;
}

static bool same_batch(const Shape *x, const Shape *y) {
  if (x->rank != y->rank) return false;
  for (int a = 0; a < x->rank - 2; a++)
    if (x->dim[a] != y->dim[a]) return false;
  return true;
}

static Err check_operand(const OpInfer *io, int i) {
  const Shape *s = &io->in[i]->shape;
  char text[SHAPE_TEXT];
  if (infer_need_real(io, i)) return io->fault->code;
  if (s->rank < 2)
    return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: at least %d axes",
                     io->op->inputs[i], shape_text(text, s), s->rank == 0 ? 1 : 2);
  return ERR_OK;
}

static Err matmul_infer(OpInfer *io) {
  if (check_operand(io, X) || check_operand(io, Y)) return io->fault->code;
  const Shape *x = &io->in[X]->shape, *y = &io->in[Y]->shape;
  bool tx = io->attr[TRANSPOSE_X].i, ty = io->attr[TRANSPOSE_Y].i;
  Matrix a = matrix_of(x, tx), b = matrix_of(y, ty);
  char x_text[SHAPE_TEXT], y_text[SHAPE_TEXT];
  if (a.columns != b.rows)
    return fault_set(io->fault, ERR_SHAPE,
                     "inner sizes differ: %s%s and %s%s: %lld and %lld",
                     shape_text(x_text, x), tx ? " (transposed)" : "",
                     shape_text(y_text, y), ty ? " (transposed)" : "",
                     (long long)a.columns, (long long)b.rows);
  if (x->rank > 2 && y->rank > 2 && !same_batch(x, y))
    return fault_set(io->fault, ERR_SHAPE,
                     "leading axes differ: %s and %s; allowed: the same, or none in "
                     "one",
                     shape_text(x_text, x), shape_text(y_text, y));
  Shape *out = &io->out_shape[0];
  *out = x->rank > y->rank ? *x : *y;
  out->dim[out->rank - 2] = a.rows;
  out->dim[out->rank - 1] = b.columns;
  return ERR_OK;
}

/* -- run --------------------------------------------------------------------------- */

/* n products; operands and result of the next lie `step` elements on (0: the same). */
typedef struct Batch {
  Gemm gemm;
  int64_t n, step_a, step_b, step_c;
  int64_t blocks; /* of one product */
  int64_t group;  /* products per block, where one is one block */
} Batch;

static double batch_work(const Batch *b) {
  return 2.0 * (double)b->gemm.M * (double)b->gemm.N * (double)b->gemm.K;
}

static Batch batch_of(const OpCall *call) {
  const Shape *x = &call->in[X].shape, *y = &call->in[Y].shape;
  bool tx = call->attr[TRANSPOSE_X].i, ty = call->attr[TRANSPOSE_Y].i;
  Matrix a = matrix_of(x, tx), b = matrix_of(y, ty);
  bool flat = y->rank == 2 && !tx;
  int64_t n_x = batch_count(x), n_y = batch_count(y);
  Batch p = {.gemm = {.M = flat ? n_x * a.rows : a.rows, .N = b.columns, .K = a.columns,
                      .transpose_a = tx, .transpose_b = ty, .a = call->in[X].data,
                      .b = call->in[Y].data, .c = call->out[0].data},
             .n = flat ? 1 : x->rank > 2 ? n_x : n_y,
             .step_a = x->rank > 2 ? a.rows * a.columns : 0,
             .step_b = y->rank > 2 ? b.rows * b.columns : 0,
             .step_c = a.rows * b.columns};
  p.blocks = gemm_blocks(&p.gemm);
  double each = batch_work(&p);
  bool alone = p.blocks > 1 || each >= BATCH_WORK;
  p.group = alone ? 1 : (int64_t)(BATCH_WORK / (each + 1)) + 1;
  return p;
}

static void matmul_split(const OpCall *call, OpSplit *split) {
  Batch p = batch_of(call);
  split->n_blocks[0] = p.blocks * ((p.n + p.group - 1) / p.group);
  split->work = (int64_t)(batch_work(&p) * (double)p.n);
}

static void matmul_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Batch p = batch_of(call);
  int64_t first = block / p.blocks * p.group;
  for (int64_t i = first; i < first + p.group && i < p.n; i++) {
    Gemm g = p.gemm;
    g.a += i * p.step_a;
    g.b += i * p.step_b;
    g.c += i * p.step_c;
    gemm_run_block(&g, block % p.blocks);
  }
}

Gemm matmul_gemm(const Shape *x, const Shape *y, const Attr *attr) {
  bool tx = attr[TRANSPOSE_X].i, ty = attr[TRANSPOSE_Y].i;
  Matrix a = matrix_of(x, tx), b = matrix_of(y, ty);
  return (Gemm){.M = a.rows, .N = b.columns, .K = b.rows, .transpose_a = tx,
                .transpose_b = ty};
}

/* Rows of one matrix by a matrix of weights that every thread may read for itself. */
static bool matmul_by_row(const Node *node, OpByRow *how) {
  const Shape *x = &node->in[X]->shape, *y = &node->in[Y]->shape;
  how->in = 1u << X;
  if (x->rank != 2 || y->rank != 2) return false;
  Gemm gemm = matmul_gemm(x, y, node->attr);
  return gemm.N * gemm.K <= ROWS_WEIGHTS && gemm_goes_by_rows(&gemm);
}

static void matmul_run_rows(const OpCall *call, int64_t first, int64_t n) {
  Gemm gemm = matmul_gemm(&call->in[X].shape, &call->in[Y].shape, call->attr);
  const Array *ahead = call->ahead;
  gemm.a = call->in[X].data;
  gemm.b = call->in[Y].data;
  gemm.c = call->out[0].data;
  gemm_run_rows(&gemm, first, n, ahead ? ahead->data : NULL,
                ahead ? shape_count(&ahead->shape) : 0);
}

/* Whatever the order of the K products of an element. */
static void matmul_range(const OpCall *call, const Range *in, Range *out) {
  const Shape *x = &call->in[X].shape;
  Matrix a = matrix_of(x, call->attr[TRANSPOSE_X].i);
  out[0] = range_around((double)a.columns * range_size(in[X]) * range_size(in[Y]));
}

static void matmul_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  const Shape *x = &call->in[X].shape, *y = &call->in[Y].shape;
  bool tx = call->attr[TRANSPOSE_X].i, ty = call->attr[TRANSPOSE_Y].i;
  Matrix a = matrix_of(x, tx), b = matrix_of(y, ty);
  int64_t n = batch_count(x->rank > 2 ? x : y);
  double *c = out[0];
  for (int64_t s = 0; s < n; s++) {
    const double *xs = in[X] + (x->rank > 2 ? s * a.rows * a.columns : 0);
    const double *ys = in[Y] + (y->rank > 2 ? s * b.rows * b.columns : 0);
    for (int64_t i = 0; i < a.rows; i++)
      for (int64_t j = 0; j < b.columns; j++) {
        double sum = 0;
        for (int64_t k = 0; k < a.columns; k++)
          sum += xs[tx ? k * a.rows + i : i * a.columns + k] *
                 ys[ty ? j * b.rows + k : k * b.columns + j];
        *c++ = sum;
      }
  }
}

/* -- gradient ---------------------------------------------------------------------- */

static Node *product(Graph *g, Node *x, Node *y, bool tx, bool ty) {
  Attr attr[N_SLOTS] = {[TRANSPOSE_X] = {.i = tx}, [TRANSPOSE_Y] = {.i = ty}};
  return graph_apply(g, &op_record_matmul, (Node *[]){x, y}, 2, attr, N_SLOTS);
}

/* All rows of all items as one matrix. */
static Node *flatten(Graph *g, Node *x) {
  Shape s = SHAPE_OF(batch_count(&x->shape) * x->shape.dim[x->shape.rank - 2],
                     x->shape.dim[x->shape.rank - 1]);
  return x->shape.rank == 2 ? x : op_reshape(g, x, &s);
}

static void matmul_vjp(Graph *g, Node *node, Node *const *gy, const bool *want,
                       Node **gx) {
  Node *x = node->in[X], *y = node->in[Y], *gc = gy[0];
  bool tx = node->attr[TRANSPOSE_X].i, ty = node->attr[TRANSPOSE_Y].i;
  if (want[X]) {
    Node *gradient = tx ? product(g, y, gc, ty, true) : product(g, gc, y, false, !ty);
    gx[X] = op_sum_to(g, gradient, &x->shape);
  }
  if (!want[Y]) return;
  if (y->shape.rank == 2 && !tx) { /* sums over items inside the product */
    x = flatten(g, x);
    gc = flatten(g, gc);
    if (!x || !gc) return;
  }
  Node *gradient = ty ? product(g, gc, x, true, tx) : product(g, x, gc, !tx, false);
  gx[Y] = op_sum_to(g, gradient, &y->shape);
}

/* -- constructor ------------------------------------------------------------------- */

/* Swaps `node` the last two axes of its input, and will it always know so? */
static bool swaps_last(const Node *node) {
  int rank = node->shape.rank;
  if (node->op != &op_record_transpose || !node->tracked || !node->in || rank < 2)
    return false;
  for (int a = 0; a < rank - 2; a++)
    if (node->attr[1 + a].i != a) return false;
  return node->attr[rank - 1].i == rank - 1;
}

/* As real, a vector as a matrix of one row or column, a transpose as the flag. */
static Node *prepare(Graph *g, Node *x, bool as_column, bool *transposed) {
  if (x->dtype != DT_REAL) x = op_cast(g, x, DT_REAL);
  if (!x) return NULL;
  if (x->shape.rank == 1) {
    *transposed = false;
    int64_t n = x->shape.dim[0];
    return op_reshape(g, x, as_column ? &SHAPE_OF(n, 1) : &SHAPE_OF(1, n));
  }
  if (!swaps_last(x)) return x;
  *transposed = !*transposed;
  return x->in[0];
}

static Node *matmul_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                         int n_attr) {
  must(n_in == 2 && n_attr == N_SLOTS);
  if (!in[X] || !in[Y]) return NULL;
  bool row = in[X]->shape.rank == 1, column = in[Y]->shape.rank == 1;
  bool tx = attr[TRANSPOSE_X].i, ty = attr[TRANSPOSE_Y].i;
  Node *x = prepare(g, in[X], false, &tx), *y = prepare(g, in[Y], true, &ty);
  Node *out = product(g, x, y, tx, ty);
  if (!out || (!row && !column)) return out;
  Shape s = {0, {0}};
  for (int a = 0; a < out->shape.rank; a++) {
    int from_last = out->shape.rank - a;
    bool dropped = (row && from_last == 2) || (column && from_last == 1);
    if (!dropped) s.dim[s.rank++] = out->shape.dim[a];
  }
  return op_reshape(g, out, &s);
}

Node *op_matmul(Graph *g, Node *x, Node *y) {
  return matmul_make(g, (Node *[]){x, y}, 2, (Attr[N_SLOTS]){{0}}, N_SLOTS);
}

/* -- record ------------------------------------------------------------------------ */

#define OPERANDS(...) .n_in = 2, .in = {__VA_ARGS__}
#define PLAIN ATTRS({.i = 0}, {.i = 0})
static const Sample matmul_samples[] = {
    {OPERANDS({.shape = {2, {1, 1}}}, {.shape = {2, {1, 1}}}), PLAIN},
    {OPERANDS({.shape = {2, {5, 7}}}, {.shape = {2, {7, 3}}}), PLAIN},
    {OPERANDS({.shape = {2, {7, 5}}}, {.shape = {2, {7, 3}}}),
     ATTRS({.i = 1}, {.i = 0})},
    {OPERANDS({.shape = {2, {5, 7}}}, {.shape = {2, {3, 7}}}),
     ATTRS({.i = 0}, {.i = 1})},
    {OPERANDS({.shape = {2, {7, 5}}}, {.shape = {2, {3, 7}}}),
     ATTRS({.i = 1}, {.i = 1})},
    {OPERANDS({.shape = {2, {1, 37}}}, {.shape = {2, {37, 41}}}), PLAIN},
    {OPERANDS({.shape = {2, {41, 37}}}, {.shape = {2, {37, 1}}}), PLAIN},
    {OPERANDS({.shape = {2, {33, 65}}}, {.shape = {2, {65, 47}}}), PLAIN},
    {OPERANDS({.shape = {3, {2, 3, 5}}}, {.shape = {2, {5, 4}}}), PLAIN},
    {OPERANDS({.shape = {3, {2, 5, 3}}}, {.shape = {2, {4, 5}}}),
     ATTRS({.i = 1}, {.i = 1})},
    {OPERANDS({.shape = {2, {3, 5}}}, {.shape = {3, {2, 5, 4}}}), PLAIN},
    {OPERANDS({.shape = {4, {2, 2, 3, 5}}}, {.shape = {4, {2, 2, 4, 5}}}),
     ATTRS({.i = 0}, {.i = 1})},
    {OPERANDS({.shape = {3, {5, 17, 19}}}, {.shape = {3, {5, 19, 23}}}), PLAIN},
    SAMPLES_END};

const Op op_record_matmul = {
    .name = "matmul",
    .n_in = 2,
    .n_out = 1,
    .inputs = (const char *const[]){"x", "y"},
    .attrs = OP_ATTRS({.name = "transpose_x", .kind = ATTR_BOOL, .value = "false",
                       .doc = "use x with its last two axes swapped"},
                      {.name = "transpose_y", .kind = ATTR_BOOL, .value = "false",
                       .doc = "use y with its last two axes swapped"}),
    .doc = "Matrix product over the last two axes: [.., M, K] x [K, N] or [.., K, N] "
           "-> [.., M, N]. A vector is a row on the left, a column on the right, and "
           "its axis is dropped from the result.",
    .equation = "out[.., i, j] = sum_k x[.., i, k] y[.., k, j]",
    .make = matmul_make,
    .infer = matmul_infer,
    .split = matmul_split,
    .range = matmul_range,
    .run = matmul_run,
    .by_row = matmul_by_row,
    .run_rows = matmul_run_rows,
    .vjp = matmul_vjp,
    .reference = matmul_reference,
    .samples = matmul_samples,
};
