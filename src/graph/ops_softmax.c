/* ops_softmax.c: softmax, log-softmax, and softmax with cross-entropy in one op.
 *
 * Along an axis, with m = max x:
 *   softmax       y = exp(x - m) / sum exp(x - m)      gx = y (gy - sum(gy y))
 *   log softmax   y = x - m - log sum exp(x - m)       gx = gy - exp(y) sum gy
 *
 * Cross-entropy of logits x [N, C] with class t[i] of row i (counted from 1):
 *   loss[i] = -log p[i, t[i]],   p = softmax(x)
 * It gives p as well, so that its gradient needs no second softmax:
 *   gx[i, c] = gy[i] (p[i, c] - [c = t[i]])
 * (Bishop, "Pattern Recognition and Machine Learning", 4.3.4 and 5.2). What flows into
 * p adds softmax's own gradient. softmax_cross_entropy_grad is differentiated through
 * its expansion, whose p leads back here: so second derivatives are complete.
 *
 * Runs: rows where the axis is the last, else planes of columns
 * (kernel/vector/softmax.c). A block is some rows, or some columns of one plane; each
 * is computed alone, so the bits do not depend on the cut. */
#include "graph/known.h"
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>
#include <stdio.h>

enum { BLOCK = 16384, COLUMNS = 64, LABELS = 256, EXP_WORK = 8 };

/* -- along an axis ----------------------------------------------------------------- */

static Err softmax_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  int64_t axis = io->attr[0].i;
  char text[SHAPE_TEXT];
  if (infer_need_real(io, 0)) return io->fault->code;
  if (x->rank == 0)
    return fault_set(io->fault, ERR_SHAPE, "x is a scalar; allowed: 1 axis or more");
  if (axis < 0 || axis >= x->rank)
    return fault_set(io->fault, ERR_VALUE, "axis %lld of %s, allowed: 1 to %d, or -1",
                     (long long)axis + 1, shape_text(text, x), x->rank);
  if (x->dim[axis] == 0)
    return fault_set(io->fault, ERR_SHAPE, "axis %lld of %s has no elements",
                     (long long)axis + 1, shape_text(text, x));
  io->out_shape[0] = *x;
  return ERR_OK;
}

/* x as [outer, n, inner], n along the axis, and how it is cut. */
typedef struct Layout {
  int64_t outer, n, inner;
  int64_t step;      /* rows, or columns of a plane, per block */
  int64_t per_plane; /* blocks of a plane */
} Layout;

static Layout layout_of(const OpCall *call) {
  const Shape *x = &call->in[0].shape;
  int axis = (int)call->attr[0].i;
  Layout l = {.n = x->dim[axis], .inner = shape_stride(x, axis)};
  l.outer = 1;
  for (int a = 0; a < axis; a++) l.outer *= x->dim[a];
  int64_t step = most(BLOCK / l.n, 1);
  l.step = l.inner == 1 ? step : divide_up(step, COLUMNS) * COLUMNS;
  l.per_plane = divide_up(l.inner, l.step);
  return l;
}

static void softmax_split(const OpCall *call, OpSplit *split) {
  Layout l = layout_of(call);
  split->n_blocks[0] = l.inner == 1 ? divide_up(l.outer, l.step)
                                    : l.outer * l.per_plane;
  split->work = EXP_WORK * l.outer * l.n * l.inner;
}

typedef void RowKernel(real *y, const real *x, int64_t N, int64_t C);
typedef void ColumnKernel(real *y, const real *x, int64_t n, int64_t stride, int64_t N);

static void run_block(const OpCall *call, int64_t block, RowKernel *rows,
                      ColumnKernel *columns) {
  Layout l = layout_of(call);
  real *y = call->out[0].data;
  const real *x = call->in[0].data;
  if (l.inner == 1) {
    int64_t first = block * l.step;
    rows(y + first * l.n, x + first * l.n, least(l.outer - first, l.step), l.n);
    return;
  }
  int64_t first = block % l.per_plane * l.step;
  int64_t at = block / l.per_plane * l.n * l.inner + first;
  columns(y + at, x + at, l.n, l.inner, least(l.inner - first, l.step));
}

static void softmax_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  run_block(call, block, kernels()->softmax_rows, kernels()->softmax_columns);
}

static void log_softmax_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  run_block(call, block, kernels()->log_softmax_rows, kernels()->log_softmax_columns);
}

/* y[k] = x[k] - log sum exp x over n elements, `stride` apart. */
static void log_softmax_line(double *y, const double *x, int64_t n, int64_t stride) {
  double m = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; k++) m = fmax(m, x[k * stride]);
  for (int64_t k = 0; k < n; k++) sum += exp(x[k * stride] - m);
  for (int64_t k = 0; k < n; k++) y[k * stride] = x[k * stride] - m - log(sum);
}

static void log_softmax_reference(const OpCall *call, const double *const *in,
                                  double *const *out) {
  Layout l = layout_of(call);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) {
      int64_t at = o * l.n * l.inner + i;
      log_softmax_line(out[0] + at, in[0] + at, l.n, l.inner);
    }
}

static void softmax_reference(const OpCall *call, const double *const *in,
                              double *const *out) {
  log_softmax_reference(call, in, out);
  for (int64_t i = 0; i < shape_count(&call->out[0].shape); i++)
    out[0][i] = exp(out[0][i]);
}

/* y (gy - sum(gy y)) over `axis`: what softmax hands back. */
static Node *softmax_gradient(Graph *g, Node *y, Node *gy, int axis) {
  Node *along = op_sum(g, op_mul(g, gy, y), 1u << axis, true);
  return op_mul(g, y, op_sub(g, gy, along));
}

static void softmax_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                        Node **gx) {
  if (want[0]) gx[0] = softmax_gradient(g, y, gy[0], (int)y->attr[0].i);
}

static void log_softmax_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                            Node **gx) {
  if (!want[0]) return;
  Node *total = op_sum(g, gy[0], 1u << y->attr[0].i, true);
  gx[0] = op_sub(g, gy[0], op_chain_mul(g, total, op_exp(g, y)));
}

static Node *apply_along(Graph *g, const Op *op, Node *x, int axis) {
  if (x && x->dtype != DT_REAL) x = op_cast(g, x, DT_REAL);
  if (x && axis < 0) axis += x->shape.rank;
  return graph_apply(g, op, (Node *[]){x}, 1, (Attr[]){{.i = axis}}, 1);
}

Node *op_softmax(Graph *g, Node *x, int axis) {
  return apply_along(g, &op_record_softmax, x, axis);
}

Node *op_log_softmax(Graph *g, Node *x, int axis) {
  return apply_along(g, &op_record_log_softmax, x, axis);
}

static Node *softmax_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                          int n_attr) {
  must(n_in == 1 && n_attr == 1);
  return op_softmax(g, in[0], (int)attr[0].i);
}

static Node *log_softmax_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                              int n_attr) {
  must(n_in == 1 && n_attr == 1);
  return op_log_softmax(g, in[0], (int)attr[0].i);
}

static const Sample softmax_samples[] = {
    {1, {{.shape = {1, {1}}}}, ATTRS({.i = 0})},
    {1, {{.shape = {2, {3, 5}}}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {7, 10}}}}, ATTRS({.i = 0})},
    {1, {{.shape = {3, {2, 5, 3}}}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {3, 67}}, .lo = -30, .hi = 30}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {41, 131}}}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {131, 141}}}}, ATTRS({.i = 0})},
    SAMPLES_END};

#define AXIS_ATTR                                                                      \
  OP_ATTRS({.name = "axis", .kind = ATTR_AXIS, .value = "-1",                          \
            .doc = "the axis along which the results sum to 1"})

const Op op_record_softmax = {
    .name = "softmax",
    .n_in = 1,
    .n_out = 1,
    .attrs = AXIS_ATTR,
    .doc = "Exponentials of x, scaled so that they sum to 1 along the axis; any shape. "
           "-inf gives 0; a line with a NaN or inf, or of -inf alone, gives NaN.",
    .equation = "y = exp(x - max(x)) / sum(exp(x - max(x)))",
    .source = "Goodfellow et al., Deep Learning, 6.2.2.3",
    .make = softmax_make,
    .infer = softmax_infer,
    .split = softmax_split,
    .run = softmax_run,
    .vjp = softmax_vjp,
    .reference = softmax_reference,
    .samples = softmax_samples,
    .known = known_softmax,
};

const Op op_record_log_softmax = {
    .name = "log_softmax",
    .n_in = 1,
    .n_out = 1,
    .attrs = AXIS_ATTR,
    .doc = "Logarithm of softmax along the axis, without loss of digits; any shape. "
           "-inf stays; a line with a NaN or inf, or of -inf alone, gives NaN.",
    .equation = "y = x - max(x) - log(sum(exp(x - max(x))))",
    .source = "Goodfellow et al., Deep Learning, 6.2.2.3",
    .make = log_softmax_make,
    .infer = softmax_infer,
    .split = softmax_split,
    .run = log_softmax_run,
    .vjp = log_softmax_vjp,
    .reference = log_softmax_reference,
    .samples = softmax_samples,
    .known = known_log_softmax,
};

/* -- cross-entropy ----------------------------------------------------------------- */

enum { LOSS, PROBABILITIES };

/* Is input i real, [batch, classes]? */
static Err check_logits(const OpInfer *io, int i) {
  const Shape *x = &io->in[i]->shape;
  const char *name = io->op->inputs[i];
  char text[SHAPE_TEXT];
  if (infer_need_real(io, i)) return io->fault->code;
  if (x->rank != 2)
    return fault_set(io->fault, ERR_SHAPE,
                     "%s: got %s, allowed: 2 axes, [batch, classes]", name,
                     shape_text(text, x));
  if (x->dim[1] == 0)
    return fault_set(io->fault, ERR_SHAPE, "%s: %s has no classes", name,
                     shape_text(text, x));
  return ERR_OK;
}

/* Something with one value per row of `x`. */
static Err check_per_row(const char *name, const Node *t, const char *of, const Node *x,
                         Fault *fault) {
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (t->shape.rank == 1 && t->shape.dim[0] == x->shape.dim[0]) return ERR_OK;
  return fault_set(fault, ERR_SHAPE, "%s: got %s, allowed: %lld, one per row of %s %s",
                   name, shape_text(a, &t->shape), (long long)x->shape.dim[0], of,
                   shape_text(b, &x->shape));
}

static Err cross_entropy_infer(OpInfer *io) {
  const Node *x = io->in[0], *labels = io->in[1];
  if (check_logits(io, 0)) return io->fault->code;
  if (check_per_row("labels", labels, "logits", x, io->fault)) return io->fault->code;
  io->out_shape[LOSS] = labels->shape;
  io->out_shape[PROBABILITIES] = x->shape;
  return ERR_OK;
}

/* Are all of them allowed? Those of a batch mostly are. */
static bool integers_fit(const int32_t *t, int64_t n, int32_t most) {
  bool outside = false;
  for (int64_t i = 0; i < n; i++) outside |= t[i] < 1 || t[i] > most;
  return !outside;
}

Err op_labels_check(const Array *labels, int64_t C, int64_t first, Fault *fault) {
  int32_t most = C && C < INT32_MAX ? (int32_t)C : INT32_MAX;
  if (labels->dtype == DT_INT32 &&
      integers_fit(labels->data, shape_count(&labels->shape), most))
    return ERR_OK;
  for (int64_t i = 0; i < shape_count(&labels->shape); i++) {
    double t = array_get(labels, i);
    bool inside = t >= 1 && (C == 0 || t <= (double)C);
    if (inside && t == floor(t)) continue;
    char got[32], allowed[32] = "and more";
    if (C) snprintf(allowed, sizeof allowed, "to %lld", (long long)C);
    return fault_set(fault, ERR_DATA, "label %s at row %lld is %s: allowed 1 %s%s",
                     text_number(got, t), (long long)(first + i) + 1,
                     inside ? "no whole number" : "out of range", allowed,
                     inside ? "" : "; labels count from 1 (label_base = 0 converts)");
  }
  return ERR_OK;
}

static Err cross_entropy_check(const OpCall *call, Fault *fault) {
  return op_labels_check(&call->in[1], call->in[0].shape.dim[1], 0, fault);
}

/* Rows per block: their labels fit into an array on the stack. */
static int64_t rows_per_block(int64_t C) { return least(most(BLOCK / C, 1), LABELS); }

static void cross_entropy_split(const OpCall *call, OpSplit *split) {
  const Shape *x = &call->out[PROBABILITIES].shape;
  split->n_blocks[0] = divide_up(x->dim[0], rows_per_block(x->dim[1]));
  split->work = EXP_WORK * shape_count(x);
}

/* Labels of rows first .. first + n - 1, from 0. */
static void take_labels(int64_t *to, const Array *labels, int64_t first, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (int64_t)array_get(labels, first + i) - 1;
}

/* Rows first .. first + n - 1, n at most as many as of a block. */
typedef void RowsPart(const OpCall *call, int64_t first, int64_t n);

/* Of logits [N, C], any number of rows. */
static void run_parts(const OpCall *call, const Shape *x, int64_t first, int64_t n,
                      RowsPart *part) {
  int64_t room = rows_per_block(x->dim[1]);
  for (int64_t at = first; at < first + n; at += room)
    part(call, at, least(first + n - at, room));
}

/* Those of a block. */
static void run_part(const OpCall *call, const Shape *x, int64_t block,
                     RowsPart *part) {
  int64_t room = rows_per_block(x->dim[1]), first = block * room;
  part(call, first, least(x->dim[0] - first, room));
}

static void cross_entropy_part(const OpCall *call, int64_t first, int64_t n) {
  int64_t C = call->in[0].shape.dim[1], label[LABELS];
  take_labels(label, &call->in[1], first, n);
  kernels()->cross_entropy_rows((real *)call->out[LOSS].data + first,
                                (real *)call->out[PROBABILITIES].data + first * C,
                                (const real *)call->in[0].data + first * C, label, n,
                                C);
}

static void cross_entropy_run_rows(const OpCall *call, int64_t first, int64_t n) {
  run_parts(call, &call->in[0].shape, first, n, cross_entropy_part);
}

static void cross_entropy_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  run_part(call, &call->in[0].shape, block, cross_entropy_part);
}

static bool cross_entropy_by_row(const Node *node, OpByRow *how) {
  (void)node;
  how->in = 1u << 0 | 1u << 1;
  how->out = 1u << LOSS | 1u << PROBABILITIES;
  how->checked = 1u << 1;
  return true;
}

static void cross_entropy_reference(const OpCall *call, const double *const *in,
                                    double *const *out) {
  int64_t N = call->in[0].shape.dim[0], C = call->in[0].shape.dim[1];
  for (int64_t i = 0; i < N; i++) {
    double *p = out[PROBABILITIES] + i * C;
    log_softmax_line(p, in[0] + i * C, C, 1);
    out[LOSS][i] = -p[(int64_t)in[1][i] - 1];
    for (int64_t c = 0; c < C; c++) p[c] = exp(p[c]);
  }
}

static void cross_entropy_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                              Node **gx) {
  if (!want[0]) return;
  Node *p = graph_pick(g, y, PROBABILITIES), *by_loss = NULL, *by_p = NULL;
  if (gy[LOSS])
    by_loss = graph_apply(g, &op_record_softmax_cross_entropy_grad,
                          (Node *[]){gy[LOSS], p, y->in[1]}, 3, NULL, 0);
  if (gy[PROBABILITIES]) by_p = softmax_gradient(g, p, gy[PROBABILITIES], 1);
  gx[0] = by_loss && by_p ? op_add(g, by_loss, by_p) : by_loss ? by_loss : by_p;
}

Node *op_softmax_cross_entropy(Graph *g, Node *logits, Node *labels) {
  if (logits && logits->dtype != DT_REAL) logits = op_cast(g, logits, DT_REAL);
  return graph_apply(g, &op_record_softmax_cross_entropy, (Node *[]){logits, labels}, 2,
                     NULL, 0);
}

static Node *cross_entropy_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                                int n_attr) {
  (void)attr;
  must(n_in == 2 && n_attr == 0);
  return op_softmax_cross_entropy(g, in[0], in[1]);
}

static const Sample cross_entropy_samples[] = {
    {2, {{.shape = {2, {1, 1}}}, {{1, {1}}, DT_INT32, 1, 1}}, 0, NULL},
    {2, {{.shape = {2, {5, 3}}}, {{1, {5}}, DT_INT32, 1, 3}}, 0, NULL},
    {2, {{.shape = {2, {33, 10}}}, {{1, {33}}, DT_UINT8, 1, 10}}, 0, NULL},
    {2, {{{2, {7, 37}}, DT_REAL, -30, 30}, {{1, {7}}, DT_INT32, 1, 37}}, 0, NULL},
    {2, {{.shape = {2, {301, 11}}}, {{1, {301}}, DT_INT32, 1, 11}}, 0, NULL},
    SAMPLES_END};

const Op op_record_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .n_in = 2,
    .n_out = 2,
    .inputs = (const char *const[]){"logits", "labels"},
    .doc = "Cross-entropy of each row of logits [N, C] with its class label [N], "
           "counted from 1: loss [N]. Second result: the probabilities [N, C].",
    .equation = "loss[i] = -log p[i, labels[i]], p = softmax(logits)",
    .source = "Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.4",
    .make = cross_entropy_make,
    .infer = cross_entropy_infer,
    .check = cross_entropy_check,
    .split = cross_entropy_split,
    .run = cross_entropy_run,
    .by_row = cross_entropy_by_row,
    .run_rows = cross_entropy_run_rows,
    .vjp = cross_entropy_vjp,
    .reference = cross_entropy_reference,
    .tolerance = 32,
    .samples = cross_entropy_samples,
};

/* -- its gradient ------------------------------------------------------------------ */

enum { G_LOSS, G_PROBABILITIES, G_LABELS };

static Err cross_entropy_grad_infer(OpInfer *io) {
  const Node *p = io->in[G_PROBABILITIES];
  if (infer_need_real(io, G_LOSS)) return io->fault->code;
  if (check_logits(io, G_PROBABILITIES)) return io->fault->code;
  if (check_per_row("gy", io->in[G_LOSS], "probabilities", p, io->fault) ||
      check_per_row("labels", io->in[G_LABELS], "probabilities", p, io->fault))
    return io->fault->code;
  io->out_shape[0] = p->shape;
  return ERR_OK;
}

static Err cross_entropy_grad_check(const OpCall *call, Fault *fault) {
  return op_labels_check(&call->in[G_LABELS], call->in[G_PROBABILITIES].shape.dim[1], 0,
                         fault);
}

static void cross_entropy_grad_split(const OpCall *call, OpSplit *split) {
  const Shape *p = &call->in[G_PROBABILITIES].shape;
  split->n_blocks[0] = divide_up(p->dim[0], rows_per_block(p->dim[1]));
}

static void cross_entropy_grad_part(const OpCall *call, int64_t first, int64_t n) {
  const Array *p = &call->in[G_PROBABILITIES];
  int64_t C = p->shape.dim[1], label[LABELS];
  take_labels(label, &call->in[G_LABELS], first, n);
  kernels()->cross_entropy_grad_rows((real *)call->out[0].data + first * C,
                                     (const real *)call->in[G_LOSS].data + first,
                                     (const real *)p->data + first * C, label, n, C);
}

static void cross_entropy_grad_run_rows(const OpCall *call, int64_t first, int64_t n) {
  run_parts(call, &call->out[0].shape, first, n, cross_entropy_grad_part);
}

static void cross_entropy_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  run_part(call, &call->out[0].shape, block, cross_entropy_grad_part);
}

static bool cross_entropy_grad_by_row(const Node *node, OpByRow *how) {
  (void)node;
  how->in = 1u << G_LOSS | 1u << G_PROBABILITIES | 1u << G_LABELS;
  how->checked = 1u << G_LABELS;
  return true;
}

static void cross_entropy_grad_reference(const OpCall *call, const double *const *in,
                                         double *const *out) {
  int64_t N = call->out[0].shape.dim[0], C = call->out[0].shape.dim[1];
  for (int64_t i = 0; i < N; i++)
    for (int64_t c = 0; c < C; c++)
      out[0][i * C + c] = in[G_LOSS][i] * (in[G_PROBABILITIES][i * C + c] -
                                           (c + 1 == (int64_t)in[G_LABELS][i]));
}

static void cross_entropy_grad_expand(Graph *g, Node *y, Node **out) {
  Node *p = y->in[G_PROBABILITIES];
  Node *target = op_one_hot(g, y->in[G_LABELS], p->shape.dim[1]);
  Node *gy = op_reshape(g, y->in[G_LOSS], &SHAPE_OF(p->shape.dim[0], 1));
  out[0] = op_mul(g, gy, op_sub(g, p, target));
}

static const Sample cross_entropy_grad_samples[] = {
    {3, {{.shape = {1, {1}}}, {{2, {1, 1}}, DT_REAL, 0.1, 0.9}, {{1, {1}}, DT_INT32, 1,
                                                                 1}}, 0, NULL},
    {3, {{.shape = {1, {5}}}, {{2, {5, 3}}, DT_REAL, 0.1, 0.9}, {{1, {5}}, DT_UINT8, 1,
                                                                 3}}, 0, NULL},
    {3, {{.shape = {1, {301}}}, {{2, {301, 11}}, DT_REAL, 0.1, 0.9},
         {{1, {301}}, DT_INT32, 1, 11}}, 0, NULL},
    SAMPLES_END};

const Op op_record_softmax_cross_entropy_grad = {
    .name = "softmax_cross_entropy_grad",
    .n_in = 3,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "probabilities", "labels"},
    .doc = "gradient of softmax_cross_entropy in its logits: gy [N], probabilities "
           "[N, C], labels [N] -> [N, C]",
    .equation = "gx[i, c] = gy[i] (p[i, c] - [c = labels[i]])",
    .source = "Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.4",
    .infer = cross_entropy_grad_infer,
    .check = cross_entropy_grad_check,
    .split = cross_entropy_grad_split,
    .run = cross_entropy_grad_run,
    .by_row = cross_entropy_grad_by_row,
    .run_rows = cross_entropy_grad_run_rows,
    .expand = cross_entropy_grad_expand,
    .reference = cross_entropy_grad_reference,
    .samples = cross_entropy_grad_samples,
};
