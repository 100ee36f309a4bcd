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

/* -- mix --------------------------------------------------------------------------- */

static Err mix_infer(OpInfer *io) { return infer_alike(io, 1); }

static void mix_tile(const OpCall *call, real *y, const real *const *in,
                     const int64_t *stride, int64_t n) {
  double keep = call->attr[0].f;
  (void)stride;
  kernels()->mix(y, in[0], in[1], n, (real)keep, (real)(1 - keep));
}

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
    .n_in = 2, .in = {ALIKE(shape)}, .n_attr = 1, .attr = { {.f = keep} }              \
  }
static const Sample mix_samples[] = {MIX(SHAPE_SCALAR, 0.9), MIX(SHAPE_OF(3, 7), 0.25),
                                     MIX(SHAPE_OF(20001), 0.999), SAMPLES_END};

const Op op_record_mix = {
    .name = "mix", .n_in = 2, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .attrs = {{.name = "keep", .kind = ATTR_REAL, .lo = 0, .hi = 1,
               .doc = "share of x"}},
    .doc = "x moved towards y: an exponential moving average.",
    .equation = "z = keep x + (1 - keep) y",
    .infer = mix_infer, .split = elements_split, .run = elements_run_block,
    .tile = mix_tile,
    .range = mix_range, .vjp = mix_vjp, .scalar = mix_scalar, .samples = mix_samples};

Node *op_mix(Graph *g, Node *x, Node *y, double keep) {
  return graph_apply(g, &op_record_mix, (Node *[]){x, y}, 2, &(Attr){.f = keep}, 1);
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

static void add_tile(const OpCall *call, real *y, const real *const *in,
                     const int64_t *stride, int64_t n) {
  (void)call, (void)stride;
  kernels()->add_product(y, in[X], *in[FACTOR], in[Z], n);
}

static void sub_tile(const OpCall *call, real *y, const real *const *in,
                     const int64_t *stride, int64_t n) {
  (void)call, (void)stride;
  kernels()->add_product(y, in[X], -*in[FACTOR], in[Z], n);
}

static double add_scalar(const double *in, const Attr *attr) {
  (void)attr;
  return in[X] + in[FACTOR] * in[Z];
}

static double sub_scalar(const double *in, const Attr *attr) {
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

static void add_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  product_vjp(g, y, gy[0], gy[0], want, gx);
}

static void sub_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  product_vjp(g, y, gy[0], op_neg(g, gy[0]), want, gx);
}

static void add_range(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = range_sum(in[X], range_product(in[FACTOR], in[Z]));
}

static void sub_range(const OpCall *call, const Range *in, Range *out) {
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
    .name = "add_product", .n_in = 3, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .inputs = product_inputs,
    .doc = "x and a number's product with y; a has no axes.", .equation = "z = x + a y",
    .infer = product_infer, .split = elements_split, .run = elements_run_block,
    .tile = add_tile, .range = add_range, .vjp = add_vjp, .scalar = add_scalar,
    .samples = product_samples};

const Op op_record_sub_product = {
    .name = "sub_product", .n_in = 3, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .inputs = product_inputs,
    .doc = "x without a number's product with y; a has no axes.",
    .equation = "z = x - a y",
    .infer = product_infer, .split = elements_split, .run = elements_run_block,
    .tile = sub_tile, .range = sub_range, .vjp = sub_vjp, .scalar = sub_scalar,
    .samples = product_samples};

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
