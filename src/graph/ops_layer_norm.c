/* ops_layer_norm.c: layer normalization: of each row of the last axis (ops_norm.h).
 *
 * Rows go by themselves. The sums over them, for the gradients of weight and bias, are
 * taken over parts of some rows, in double, and then over the parts: which rows make a
 * part depends on the shape.
 *
 * Ba, Kiros, Hinton, arXiv:1607.06450, section 3. */
#include "graph/ops_norm.h"
#include "base/ints.h"
#include <math.h>
#include <string.h>

/* Elements of a block of rows; of the gradient: rows of a part, parts at most, values
 * of the sums in a block. */
enum { BLOCK = 16384, PART_ROWS = 16, MAX_PARTS = 64, COLUMNS = 64 };

/* -- layer norm -------------------------------------------------------------------- */

/* x as [N, D]. */
typedef struct Rows {
  int64_t N, D;
} Rows;

static Rows rows_of(const Shape *x) {
  Rows r = {.N = 1, .D = x->dim[x->rank - 1]};
  for (int a = 0; a < x->rank - 1; a++) r.N *= x->dim[a];
  return r;
}

static int64_t rows_per_block(const Rows *r) { return most(BLOCK / r->D, 1); }

/* The shape of one value per row: x without its last axis. */
static Shape per_row(const Shape *x) {
  Shape s = *x;
  s.dim[--s.rank] = 0;
  return s;
}

/* A node with one value per row, to broadcast against x. */
static Node *keep_last(Graph *g, Node *v, const Shape *x) {
  Shape s = *x;
  s.dim[s.rank - 1] = 1;
  return op_reshape(g, v, &s);
}

static Err check_rows(const OpInfer *io, const Shape *x) {
  char text[SHAPE_TEXT];
  if (x->rank == 0)
    return fault_set(io->fault, ERR_SHAPE, "x is a scalar; allowed: 1 axis or more");
  if (x->dim[x->rank - 1] == 0)
    return fault_set(io->fault, ERR_SHAPE, "the last axis of x %s has no elements",
                     shape_text(text, x));
  return ERR_OK;
}

static Err layer_norm_infer(OpInfer *io) {
  const Shape *x = &io->in[B_X]->shape;
  io->out_shape[B_Y] = *x;
  if (norm_need_reals(io) || check_rows(io, x)) return io->fault->code;
  int64_t D = x->dim[x->rank - 1];
  if (norm_need_vector(io, B_WEIGHT, D, "value of the last axis") ||
      norm_need_vector(io, B_BIAS, D, "value of the last axis"))
    return io->fault->code;
  io->out_shape[B_MEAN] = io->out_shape[B_VARIANCE] = per_row(x);
  return ERR_OK;
}

static void layer_norm_split(const OpCall *call, OpSplit *split) {
  Rows r = rows_of(&call->in[B_X].shape);
  split->n_blocks[0] = divide_up(r.N, rows_per_block(&r));
  split->work = NORM_WORK * r.N * r.D;
}

/* Rows first .. first + n - 1 of x as a matrix. */
static void layer_norm_part(const OpCall *call, int64_t D, int64_t first, int64_t n) {
  kernels()->layer_norm_rows(norm_out(call, B_Y) + first * D,
                             norm_out(call, B_MEAN) + first,
                             norm_out(call, B_VARIANCE) + first,
                             norm_reals(&call->in[B_X]) + first * D,
                             norm_optional(call, B_WEIGHT, 0),
                             norm_optional(call, B_BIAS, 0), n, D, call->attr[0].f);
}

static void layer_norm_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Rows r = rows_of(&call->in[B_X].shape);
  int64_t first = block * rows_per_block(&r);
  layer_norm_part(call, r.D, first, least(r.N - first, rows_per_block(&r)));
}

/* Rows of the matrix in one of axis 0. */
static int64_t rows_within(const Shape *x) { return rows_of(x).N / x->dim[0]; }

static bool layer_norm_by_row(const Node *node, OpByRow *how) {
  how->in = 1u << B_X;
  how->out = 1u << B_Y | 1u << B_MEAN | 1u << B_VARIANCE;
  return node->shape.rank > 1 && node->shape.dim[0] > 0;
}

static void layer_norm_run_rows(const OpCall *call, int64_t first, int64_t n) {
  const Shape *x = &call->in[B_X].shape;
  int64_t each = rows_within(x);
  layer_norm_part(call, rows_of(x).D, first * each, n * each);
}

static void layer_norm_reference(const OpCall *call, const double *const *in,
                                 double *const *out) {
  Rows r = rows_of(&call->in[B_X].shape);
  for (int64_t i = 0; i < r.N; i++) {
    const double *x = in[B_X] + i * r.D;
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < r.D; d++) mean += x[d] / (double)r.D;
    for (int64_t d = 0; d < r.D; d++) variance += pow(x[d] - mean, 2) / (double)r.D;
    for (int64_t d = 0; d < r.D; d++)
      out[B_Y][i * r.D + d] = (x[d] - mean) / sqrt(variance + call->attr[0].f) *
                                  (call->n_in > B_WEIGHT ? in[B_WEIGHT][d] : 1) +
                              (call->n_in > B_BIAS ? in[B_BIAS][d] : 0);
    out[B_MEAN][i] = mean;
    out[B_VARIANCE][i] = variance;
  }
}

static void layer_norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                           Node **gx) {
  norm_vjp(g, y, gy, want, gx, &op_record_layer_norm_grad, keep_last,
           (double)rows_of(&y->in[B_X]->shape).D);
}

Node *op_layer_norm(Graph *g, Node *x, Node *weight, Node *bias, double eps) {
  x = norm_as_real(g, x);
  Shape last = SHAPE_OF(x && x->shape.rank > 0 ? x->shape.dim[x->shape.rank - 1] : 1);
  return norm_apply(g, &op_record_layer_norm, x, weight, bias, &last, eps);
}

static Node *layer_norm_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                             int n_attr) {
  must(n_attr == 1);
  return op_layer_norm(g, in[0], n_in > 1 ? in[1] : NULL, n_in > 2 ? in[2] : NULL,
                       attr[0].f);
}

static const Sample layer_norm_samples[] = {
    {3, {{.shape = {2, {1, 1}}}, {.shape = {1, {1}}}, {.shape = {1, {1}}}}, NORM_EPS},
    {1, {{.shape = {1, {5}}}}, NORM_EPS},
    {2, {{.shape = {2, {3, 5}}}, {.shape = {1, {5}}}}, NORM_EPS},
    {3, {{.shape = {3, {2, 3, 7}}}, {.shape = {1, {7}}}, {.shape = {1, {7}}}},
     NORM_EPS},
    {3, {{.shape = {2, {131, 133}}}, {.shape = {1, {133}}}, {.shape = {1, {133}}}},
     NORM_EPS},
    SAMPLES_END};

const Op op_record_layer_norm = {
    .name = "layer_norm",
    .n_in = 3,
    .n_out = 3,
    .n_optional = 2,
    .inputs = (const char *const[]){"x", "weight", "bias"},
    .attrs = NORM_EPS_ATTR,
    .doc = "Scales x to mean 0 and variance 1 along its last axis, of D values, times "
           "weight [D] plus bias [D] (left out: 1 and 0). Further results: mean and "
           "biased variance, of the shape of x without its last axis.",
    .equation = "y = weight (x - mean(x)) / sqrt(var(x) + eps) + bias",
    .source = "Ba et al., arXiv:1607.06450, section 3",
    .make = layer_norm_make,
    .infer = layer_norm_infer,
    .split = layer_norm_split,
    .run = layer_norm_run,
    .by_row = layer_norm_by_row,
    .run_rows = layer_norm_run_rows,
    .vjp = layer_norm_vjp,
    .reference = layer_norm_reference,
    .tolerance = 64,
    .samples = layer_norm_samples,
};

/* -- layer norm's gradient --------------------------------------------------------- */

static Err layer_norm_grad_infer(OpInfer *io) {
  const Shape *x = &io->in[G_X]->shape;
  io->out_shape[GX] = *x;
  if (norm_need_reals(io) || check_rows(io, x) || norm_need_same(io, G_Y, x))
    return io->fault->code;
  Shape rows = per_row(x);
  for (int i = G_MEAN; i <= G_VARIANCE; i++)
    if (!shape_equal(&io->in[i]->shape, &rows)) {
      char got[SHAPE_TEXT], want[SHAPE_TEXT];
      return fault_set(io->fault, ERR_SHAPE,
                       "%s: got %s, allowed: %s, one per row of x", norm_grad_inputs[i],
                       shape_text(got, &io->in[i]->shape), shape_text(want, &rows));
    }
  int64_t D = x->dim[x->rank - 1];
  if (norm_need_vector(io, G_WEIGHT, D, "value of the last axis"))
    return io->fault->code;
  io->out_shape[GWEIGHT] = io->out_shape[GBIAS] = SHAPE_OF(D);
  return ERR_OK;
}

/* Phase 0 takes `step` rows a block, a power of 2, and sums gy and gy xhat over them
 * into the block's part of the scratch, 2 D doubles; phase 1 adds the parts, COLUMNS
 * values a block. */
typedef struct Parts {
  Rows rows;
  int64_t step, n;
} Parts;

static Parts parts_of_shape(const Shape *x) {
  Parts p = {.rows = rows_of(x)};
  for (p.step = PART_ROWS; p.step * MAX_PARTS < p.rows.N;) p.step *= 2;
  p.n = divide_up(p.rows.N, p.step);
  return p;
}

static Parts parts_of(const OpCall *call) {
  return parts_of_shape(&call->in[G_X].shape);
}

static void layer_norm_grad_split(const OpCall *call, OpSplit *split) {
  Parts p = parts_of(call);
  split->n_blocks[0] = p.n;
  split->n_blocks[1] = divide_up(p.rows.D, COLUMNS);
  split->work = 2 * NORM_WORK * p.rows.N * p.rows.D;
  split->scratch_bytes = (size_t)(p.n * 2 * p.rows.D) * sizeof(double);
}

static void layer_norm_grad_part(const OpCall *call, const Parts *p, int64_t block) {
  int64_t first = block * p->step, at = first * p->rows.D;
  double *sums = (double *)call->scratch + block * 2 * p->rows.D;
  memset(sums, 0, (size_t)(2 * p->rows.D) * sizeof *sums);
  kernels()->layer_norm_grad_rows(norm_out(call, GX) + at, sums,
                                  norm_reals(&call->in[G_Y]) + at,
                                  norm_reals(&call->in[G_X]) + at,
                                  norm_reals(&call->in[G_MEAN]) + first,
                                  norm_reals(&call->in[G_VARIANCE]) + first,
                                  norm_optional(call, G_WEIGHT, 0),
                                  least(p->rows.N - first, p->step), p->rows.D,
                                  call->attr[0].f);
}

static void layer_norm_grad_run(const OpCall *call, int phase, int64_t block) {
  Parts p = parts_of(call);
  if (phase == 0) {
    layer_norm_grad_part(call, &p, block);
    return;
  }
  const double *parts = call->scratch;
  int64_t D = p.rows.D, end = least(D, (block + 1) * COLUMNS);
  for (int64_t d = block * COLUMNS; d < end; d++) {
    double gb = 0, gw = 0;
    for (int64_t i = 0; i < p.n; i++) {
      gb += parts[i * 2 * D + d];
      gw += parts[i * 2 * D + D + d];
    }
    norm_out(call, GBIAS)[d] = (real)gb;
    norm_out(call, GWEIGHT)[d] = (real)gw;
  }
}

static bool layer_norm_grad_by_row(const Node *node, OpByRow *how) {
  how->in = 1u << G_Y | 1u << G_X | 1u << G_MEAN | 1u << G_VARIANCE;
  how->step = parts_of_shape(&node->in[G_X]->shape).step;
  return node->shape.rank == 2;
}

static void layer_norm_grad_run_rows(const OpCall *call, int64_t first, int64_t n) {
  Parts p = parts_of(call);
  for (int64_t at = first; at < first + n; at += p.step)
    layer_norm_grad_part(call, &p, at / p.step);
}

static void layer_norm_grad_reference(const OpCall *call, const double *const *in,
                                      double *const *out) {
  Rows r = rows_of(&call->in[G_X].shape);
  for (int64_t d = 0; d < r.D; d++) out[GWEIGHT][d] = out[GBIAS][d] = 0;
  for (int64_t i = 0; i < r.N; i++) {
    const double *gy = in[G_Y] + i * r.D, *x = in[G_X] + i * r.D;
    const double *w = call->n_in > G_WEIGHT ? in[G_WEIGHT] : NULL;
    double istd = 1 / sqrt(in[G_VARIANCE][i] + call->attr[0].f), mean = in[G_MEAN][i];
    double h = 0, along = 0;
    for (int64_t d = 0; d < r.D; d++) {
      double xhat = (x[d] - mean) * istd;
      h += gy[d] * (w ? w[d] : 1) / (double)r.D;
      along += gy[d] * (w ? w[d] : 1) * xhat / (double)r.D;
      out[GWEIGHT][d] += gy[d] * xhat;
      out[GBIAS][d] += gy[d];
    }
    for (int64_t d = 0; d < r.D; d++)
      out[GX][i * r.D + d] = istd * (gy[d] * (w ? w[d] : 1) - h -
                                     (x[d] - mean) * istd * along);
  }
}

static void layer_norm_grad_expand(Graph *g, Node *y, Node **out) {
  Node *gy = y->in[G_Y], *x = y->in[G_X];
  const Shape *s = &x->shape;
  unsigned last = 1u << (s->rank - 1), others = last - 1;
  Node *istd = keep_last(g, norm_inverse_std(g, y->in[G_VARIANCE], y->attr[0].f), s);
  Node *xhat = op_mul(g, op_sub(g, x, keep_last(g, y->in[G_MEAN], s)), istd);
  Node *h = y->n_in > G_WEIGHT ? op_mul(g, gy, y->in[G_WEIGHT]) : gy;
  Node *along = op_mean(g, op_mul(g, h, xhat), last, true);
  Node *inner = op_sub(g, op_sub(g, h, op_mean(g, h, last, true)),
                       op_mul(g, xhat, along));
  out[GX] = op_mul(g, istd, inner);
  Node *gw = op_mul(g, gy, xhat);
  out[GWEIGHT] = others ? op_sum(g, gw, others, false) : gw;
  out[GBIAS] = others ? op_sum(g, gy, others, false) : gy;
}

static const Sample layer_norm_grad_samples[] = {
    {5, {{.shape = {2, {1, 1}}}, {.shape = {2, {1, 1}}}, {.shape = {1, {1}}},
         NORM_VARIANCE(1), {.shape = {1, {1}}}}, NORM_EPS},
    {4, {{.shape = {1, {5}}}, {.shape = {1, {5}}}, {.shape = {0, {0}}},
         {{0, {0}}, DT_REAL, 0.5, 2}}, NORM_EPS},
    {5, {{.shape = {2, {3, 5}}}, {.shape = {2, {3, 5}}}, {.shape = {1, {3}}},
         NORM_VARIANCE(3), {.shape = {1, {5}}}}, NORM_EPS},
    {5, {{.shape = {3, {2, 3, 7}}}, {.shape = {3, {2, 3, 7}}}, {.shape = {2, {2, 3}}},
         {{2, {2, 3}}, DT_REAL, 0.5, 2}, {.shape = {1, {7}}}}, NORM_EPS},
    {5, {{.shape = {2, {131, 133}}}, {.shape = {2, {131, 133}}}, {.shape = {1, {131}}},
         NORM_VARIANCE(131), {.shape = {1, {133}}}}, NORM_EPS},
    SAMPLES_END};

const Op op_record_layer_norm_grad = {
    .name = "layer_norm_grad",
    .n_in = 5,
    .n_out = 3,
    .n_optional = 1,
    .flags = OP_INTERNAL,
    .inputs = norm_grad_inputs,
    .attrs = NORM_EPS_ATTR,
    .doc = "gradient of layer_norm: gy and x [.., D], mean and variance [..], weight "
           "[D] -> gx [.., D], gweight [D], gbias [D]",
    .equation = "h = gy w, gx = istd (h - mean(h) - xhat mean(h xhat)), "
                "gweight = sum(gy xhat), gbias = sum(gy)",
    .source = "Ba et al., arXiv:1607.06450, section 3",
    .infer = layer_norm_grad_infer,
    .phases = op_two_phases, .split = layer_norm_grad_split,
    .run = layer_norm_grad_run,
    .by_row = layer_norm_grad_by_row,
    .run_rows = layer_norm_grad_run_rows,
    .expand = layer_norm_grad_expand,
    .reference = layer_norm_grad_reference,
    .tolerance = 64,
    .samples = layer_norm_grad_samples,
};
