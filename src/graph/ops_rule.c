/* ops_rule.c: ops that rules of optimizers are written with, beside the elementwise
 * ones.
 *
 * A rule is an expression of elements: the planner runs it as one pass over parameter,
 * gradient and slots. What appears in most rules is one op here instead of three. renew
 * ties a new value to the one that it replaces, so that the planner knows what may be
 * written over. */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "graph/range.h"
#include "kernel/kernel.h"

/* Inputs 0 and `other`: real, of one shape, which is the output's. */
static Err infer_alike(OpInfer *io, int other) {
  const Shape *x = &io->in[0]->shape, *z = &io->in[other]->shape;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (infer_need_real(io, 0) || infer_need_real(io, other)) return io->fault->code;
  if (!shape_equal(x, z))
    return fault_set(io->fault, ERR_SHAPE, "shapes differ: %s and %s", shape_text(a, x),
                     shape_text(b, z));
  io->out_shape[0] = *x;
  return ERR_OK;
}

/* Op.tile of an op that is a step: an expression of that step alone. */
static void step_tile(const OpCall *call, real *y, const real *const *in,
                      const int64_t *stride, int64_t n) {
  ExpressionStep step = op_step(call);
  real *stream[EXPRESSION_OPERANDS + 1], number[EXPRESSION_OPERANDS];
  int n_streams = 0, n_numbers = 0;
  for (int k = 0; k < call->n_in; k++)
    if (stride[k]) stream[step.in[k] = n_streams++] = (real *)in[k];
  stream[step.out = n_streams++] = y;
  for (int k = 0; k < call->n_in; k++) {
    if (stride[k]) continue;
    step.in[k] = n_streams + n_numbers;
    number[n_numbers++] = *in[k];
  }
  Expression e = {.steps = &step, .n_steps = 1, .n_streams = n_streams,
                  .n_numbers = n_numbers, .n_registers = n_streams + n_numbers};
  kernels()->expression(&e, stream, number, n);
}

#define RULE_OP(op)                                                                    \
  .name = #op, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,                      \
  .split = elements_split, .run = elements_run_block, .tile = step_tile,               \
  .step = EXPR_##op, .range = op##_range, .vjp = op##_vjp, .scalar = op##_scalar

/* -- mix --------------------------------------------------------------------------- */

static Err mix_infer(OpInfer *io) { return infer_alike(io, 1); }

static double mix_scalar(const double *in, const Attr *attr) {
  return attr[0].f * in[0] + (1 - attr[0].f) * in[1];
}

static void mix_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  if (want[0]) gx[0] = op_scale(g, gy[0], y->attr[0].f);
  if (want[1]) gx[1] = op_scale(g, gy[0], 1 - y->attr[0].f);
}

static void mix_range(const OpCall *call, const Range *in, Range *out) {
  double keep = (double)(real)call->attr[0].f,
         rest = (double)(real)(1 - call->attr[0].f);
  out[0] = range_sum(range_product((Range){keep, keep}, in[0]),
                     range_product((Range){rest, rest}, in[1]));
}

#define ALIKE(shape_)                                                                  \
  {shape_, DT_REAL, 0, 0}, { shape_, DT_REAL, 0, 0 }
#define MIX(shape, keep)                                                               \
  {                                                                                    \
    .n_in = 2, .in = {ALIKE(shape)}, ATTRS({.f = keep})                                \
  }
static const Sample mix_samples[] = {MIX(SHAPE_SCALAR, 0.9), MIX(SHAPE_OF(3, 7), 0.25),
                                     MIX(SHAPE_OF(20001), 0.999), SAMPLES_END};

#define KEEP                                                                           \
  { .name = "keep", .kind = ATTR_REAL, .lo = 0, .hi = 1, .doc = "share of x" }
const Op op_record_mix = {
    RULE_OP(mix), .n_in = 2, .attrs = OP_ATTRS(KEEP),
    .doc = "x moved towards y: an exponential moving average.",
    .equation = "z = keep x + (1 - keep) y",
    .infer = mix_infer, .samples = mix_samples};

Node *op_mix(Graph *g, Node *x, Node *y, double keep) {
  return graph_apply(g, &op_record_mix, (Node *[]){x, y}, 2, &(Attr){.f = keep}, 1);
}

/* -- mix_square -------------------------------------------------------------------- */

static double mix_square_scalar(const double *in, const Attr *attr) {
  return attr[0].f * in[0] + (1 - attr[0].f) * (in[1] * in[1]);
}

static void mix_square_vjp(Graph *g, Node *z, Node *const *gz, const bool *want,
                           Node **gx) {
  double keep = z->attr[0].f;
  if (want[0]) gx[0] = op_scale(g, gz[0], keep);
  if (want[1]) gx[1] = op_chain_mul(g, gz[0], op_scale(g, z->in[1], 2 * (1 - keep)));
}

static void mix_square_range(const OpCall *call, const Range *in, Range *out) {
  Range both[2] = {in[0]};
  range_square(call, &in[1], &both[1]);
  mix_range(call, both, out);
}

const Op op_record_mix_square = {
    RULE_OP(mix_square), .n_in = 2, .attrs = OP_ATTRS(KEEP),
    .doc = "x moved towards the square of y: a moving average of squares.",
    .equation = "z = keep x + (1 - keep) y^2",
    .infer = mix_infer, .samples = mix_samples};

Node *op_mix_square(Graph *g, Node *x, Node *y, double keep) {
  return graph_apply(g, &op_record_mix_square, (Node *[]){x, y}, 2, &(Attr){.f = keep},
                     1);
}

/* -- over_root --------------------------------------------------------------------- */

static double over_root_scalar(const double *in, const Attr *attr) {
  return in[0] / (sqrt(in[1]) + attr[0].f);
}

/* With r the root of y: d/dx = 1 / (r + eps), d/dy = -z / (r + eps) / (2 r). */
static void over_root_vjp(Graph *g, Node *z, Node *const *gz, const bool *want,
                          Node **gx) {
  Node *root = op_sqrt(g, z->in[1]);
  Node *x_gradient = op_chain_div(g, gz[0],
                                  op_add(g, root, graph_scalar(g, z->attr[0].f)));
  if (want[0]) gx[0] = x_gradient;
  if (want[1])
    gx[1] = op_neg(g, op_chain_div(g, op_chain_mul(g, x_gradient, z),
                                   op_scale(g, root, 2)));
}

static void over_root_range(const OpCall *call, const Range *in, Range *out) {
  double eps = (double)(real)call->attr[0].f;
  Range quotient[2] = {in[0]};
  range_sqrt(call, &in[1], &quotient[1]);
  quotient[1] = range_sum(quotient[1], (Range){eps, eps});
  out[0] = RANGE_UNKNOWN;
  if (range_known(quotient[1])) range_div(call, quotient, out);
}

#define OVER_ROOT(shape_, eps)                                                         \
  {.n_in = 2, .in = {{shape_, DT_REAL, 0, 0}, {shape_, DT_REAL, 0.1, 3}},              \
   ATTRS({.f = eps})}
static const Sample over_root_samples[] = {OVER_ROOT(SHAPE_SCALAR, 1e-8),
                                           OVER_ROOT(SHAPE_OF(3, 7), 0.5),
                                           OVER_ROOT(SHAPE_OF(20001), 1e-3),
                                           SAMPLES_END};

const Op op_record_over_root = {
    RULE_OP(over_root), .n_in = 2,
    .attrs = OP_ATTRS({.name = "eps", .kind = ATTR_REAL, .lo = 0, .hi = 1e9,
                       .doc = "added to the root"}),
    .doc = "x over the root of y, as of a mean square.",
    .equation = "z = x / (sqrt(y) + eps)",
    .infer = mix_infer, .samples = over_root_samples};

Node *op_over_root(Graph *g, Node *x, Node *y, double eps) {
  return graph_apply(g, &op_record_over_root, (Node *[]){x, y}, 2, &(Attr){.f = eps},
                     1);
}

/* -- spread ------------------------------------------------------------------------ */

static double spread_scalar(const double *in, const Attr *attr) {
  (void)attr;
  double x = in[0] - in[1] * in[1];
  return isnan(x) || x > 0 ? x : 0;
}

/* Through the ops that it stands for. */
static void spread_vjp(Graph *g, Node *z, Node *const *gz, const bool *want,
                       Node **gx) {
  Node *zero = graph_scalar(g, 0);
  Node *inside = op_where(g, op_gt(g, z, zero), gz[0], zero);
  if (want[0]) gx[0] = inside;
  if (want[1]) gx[1] = op_chain_mul(g, inside, op_scale(g, z->in[1], -2));
}

static void spread_range(const OpCall *call, const Range *in, Range *out) {
  Range square, limits[2] = {RANGE_UNKNOWN, {0, 0}};
  range_square(call, &in[1], &square);
  if (range_known(square)) range_sub(call, (Range[]){in[0], square}, &limits[0]);
  out[0] = RANGE_UNKNOWN;
  if (range_known(limits[0])) range_maximum(call, limits, out);
}

#define SPREAD(shape_)                                                                 \
  {.n_in = 2, .in = {{shape_, DT_REAL, 1, 3}, {shape_, DT_REAL, -0.9, 0.9}}}
static const Sample spread_samples[] = {SPREAD(SHAPE_SCALAR), SPREAD(SHAPE_OF(3, 7)),
                                        SPREAD(SHAPE_OF(20001)), SAMPLES_END};

const Op op_record_spread = {
    RULE_OP(spread), .n_in = 2,
    .doc = "The variance of which x is the mean square and y the mean; one that "
           "rounding made negative is 0.",
    .equation = "z = max(x - y^2, 0)", .infer = mix_infer, .samples = spread_samples};

Node *op_spread(Graph *g, Node *x, Node *y) {
  return graph_apply(g, &op_record_spread, (Node *[]){x, y}, 2, NULL, 0);
}

/* -- x plus or minus a product ----------------------------------------------------- */

enum { X, FACTOR, Z };

static Err product_infer(OpInfer *io) {
  char got[SHAPE_TEXT];
  if (infer_need_real(io, FACTOR)) return io->fault->code;
  if (io->in[FACTOR]->shape.rank)
    return fault_set(io->fault, ERR_SHAPE, "a: got %s, allowed: a tensor without axes",
                     shape_text(got, &io->in[FACTOR]->shape));
  return infer_alike(io, Z);
}

static double add_product_scalar(const double *in, const Attr *attr) {
  (void)attr;
  return in[X] + in[FACTOR] * in[Z];
}

static double sub_product_scalar(const double *in, const Attr *attr) {
  (void)attr;
  return in[X] - in[FACTOR] * in[Z];
}

static void product_vjp(Graph *g, const Node *y, Node *x_gradient, Node *gy,
                        const bool *want, Node **gx) {
  if (want[X]) gx[X] = x_gradient;
  if (want[FACTOR])
    gx[FACTOR] = op_sum_to(g, op_chain_mul(g, gy, y->in[Z]), &SHAPE_SCALAR);
  if (want[Z]) gx[Z] = op_chain_mul(g, gy, y->in[FACTOR]);
}

static void add_product_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                            Node **gx) {
  product_vjp(g, y, gy[0], gy[0], want, gx);
}

static void sub_product_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                            Node **gx) {
  product_vjp(g, y, gy[0], op_neg(g, gy[0]), want, gx);
}

static void add_product_range(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = range_sum(in[X], range_product(in[FACTOR], in[Z]));
}

static void sub_product_range(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  Range product = range_product(in[FACTOR], in[Z]);
  out[0] = range_sum(in[X], (Range){-product.hi, -product.lo});
}

#define PRODUCT(shape_)                                                                \
  {.n_in = 3, .in = {{shape_, DT_REAL, 0, 0}, {SHAPE_SCALAR, DT_REAL, 0.1, 0.9},       \
                     {shape_, DT_REAL, 0, 0}}}
static const Sample product_samples[] = {PRODUCT(SHAPE_SCALAR), PRODUCT(SHAPE_OF(3, 7)),
                                         PRODUCT(SHAPE_OF(20001)), SAMPLES_END};

static const char *const product_inputs[] = {"x", "a", "y"};

const Op op_record_add_product = {
    RULE_OP(add_product), .n_in = 3, .inputs = product_inputs,
    .doc = "x and a number's product with y; a has no axes.", .equation = "z = x + a y",
    .infer = product_infer, .samples = product_samples};

const Op op_record_sub_product = {
    RULE_OP(sub_product), .n_in = 3, .inputs = product_inputs,
    .doc = "x without a number's product with y; a has no axes.",
    .equation = "z = x - a y",
    .infer = product_infer, .samples = product_samples};

Node *op_add_product(Graph *g, Node *x, Node *a, Node *y) {
  return graph_apply(g, &op_record_add_product, (Node *[]){x, a, y}, 3, NULL, 0);
}

Node *op_sub_product(Graph *g, Node *x, Node *a, Node *y) {
  return graph_apply(g, &op_record_sub_product, (Node *[]){x, a, y}, 3, NULL, 0);
}

/* -- renew ------------------------------------------------------------------------- */

static Err renew_infer(OpInfer *io) { return infer_alike(io, RENEW_OLD); }

static void renew_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = count_blocks(call);
}

static void renew_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  int64_t n = shape_count(&call->out[0].shape), at = block * BLOCK;
  if (n - at > BLOCK) n = at + BLOCK;
  const real *x = call->in[RENEW_NEW].data;
  for (real *y = call->out[0].data; at < n; at++) y[at] = x[at];
}

static void renew_reference(const OpCall *call, const double *const *in,
                            double *const *out) {
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++)
    out[0][i] = in[RENEW_NEW][i];
}

static int64_t renew_view(const Node *node) {
  (void)node;
  return 0;
}

#define RENEW(shape)                                                                   \
  {                                                                                    \
    .n_in = 2, .in = { ALIKE(shape) }                                                  \
  }
static const Sample renew_samples[] = {RENEW(SHAPE_SCALAR), RENEW(SHAPE_OF(3, 7)),
                                       RENEW(SHAPE_OF(20001)), SAMPLES_END};

const Op op_record_renew = {
    .name = "renew", .n_in = 2, .n_out = 1, .flags = OP_VIEW | OP_NO_GRAD | OP_INTERNAL,
    .inputs = (const char *const[]){"new", "old"},
    .doc = "The new value of a variable, in the place of the old one.",
    .equation = "y = new",
    .infer = renew_infer, .split = renew_split, .run = renew_run, .view = renew_view,
    .vjp = vjp_none, .reference = renew_reference, .samples = renew_samples};

Node *op_renew(Graph *g, Node *value, Node *old) {
  return graph_apply(g, &op_record_renew, (Node *[]){value, old}, 2, NULL, 0);
}
