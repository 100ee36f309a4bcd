/* ops_gated.c: elementwise ops that let x through by a gate that x itself opens.
 *
 *   silu   y = x s(x), s the logistic function
 *     dy/dx = s + x s (1 - s)
 *   gelu   y = x Phi(x), Phi(x) = erfc(-x / sqrt 2) / 2, with the density
 *          p(x) = e^(-x^2 / 2) / sqrt(2 pi)
 *     dy/dx = Phi(x) + x p(x)            (op gelu_slope)
 *     d2y/dx2 = p(x) (2 - x^2)           (op gelu_curve)
 *     d3y/dx3 = p(x) (x^3 - 4 x)
 *   mish   y = x t, t = tanh(softplus(x))
 *     dy/dx = t + x (1 - t^2) s(x)
 *   tanh_shrink   y = x - tanh(x)
 *     dy/dx = tanh(x)^2
 *
 * Each is one op, not a product of two: where the gate is shut the product's digits
 * would be lost, and -inf times 0 is NaN, not the limit, -0. */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "kernel/kernel.h"
#include <math.h>

static const double ONE_OVER_SQRT_2PI = 0.39894228040143268;
static const double SQRT_HALF = 0.70710678118654752;

/* -- references -------------------------------------------------------------------- */

static double density(double x) { return ONE_OVER_SQRT_2PI * exp(-x * x / 2); }

/* Phi(x); what vanishes below -40 must not meet infinity. */
static double distribution(double x) { return 0.5 * erfc(-SQRT_HALF * x); }

static double bounded(double x) { return x < -1e3 ? -1e3 : x > 1e3 ? 1e3 : x; }

static double silu(double x) {
  double b = x < -1e3 ? -1e3 : x;
  return b < 0 ? b * exp(b) / (1 + exp(b)) : b / (1 + exp(-b));
}

static double gelu(double x) {
  double b = x < -1e3 ? -1e3 : x;
  return b * distribution(b);
}

static double gelu_slope(double x) {
  double b = bounded(x);
  return distribution(b) + b * density(b);
}

static double gelu_curve(double x) {
  double b = bounded(x);
  return density(b) * (2 - b * b);
}

static double mish(double x) {
  double b = x < -1e3 ? -1e3 : x, e = exp(b > 300 ? 300 : b), w = e * (e + 2);
  return b * (w / (w + 2));
}

static double tanh_shrink(double x) {
  double z = x * x, k = 0;
  for (int n = 27; n >= 3; n -= 2) k = z / (n + k);
  return fabs(x) < 1.5 ? x * (k / (1 + k)) : x - tanh(x);
}

/* -- gradients --------------------------------------------------------------------- */

/* Of x times a gate whose derivative is `slope`. Beyond 1000 that is 0: x is cut off
 * there, for infinity times 0 is not. */
static Node *gate_gradient(Graph *g, Node *x, Node *gy, Node *gate, Node *slope) {
  Node *by_gate = op_chain_mul(g, gy, op_clip(g, x, -1e3, 1e3));
  return op_add(g, op_chain_mul(g, gy, gate), op_chain_mul(g, by_gate, slope));
}

static Node *one_less(Graph *g, Node *x) { return op_sub(g, graph_scalar(g, 1), x); }

/* As of x * sigmoid(x), whose bits these are. */
static Node *silu_gradient(Graph *g, Node *x, Node *gy) {
  Node *s = op_sigmoid(g, x);
  return gate_gradient(g, x, gy, s, op_mul(g, s, one_less(g, s)));
}

static Node *mish_gradient(Graph *g, Node *x, Node *gy) {
  Node *t = op_tanh(g, op_softplus(g, x));
  Node *slope = op_mul(g, one_less(g, op_square(g, t)), op_sigmoid(g, x));
  return gate_gradient(g, x, gy, t, slope);
}

/* p(x) (x^3 - 4 x), which is 0 beyond 40. */
static Node *gelu_third(Graph *g, Node *x) {
  Node *b = op_clip(g, x, -40, 40);
  Node *square = op_square(g, b);
  Node *p = op_scale(g, op_exp(g, op_scale(g, square, -0.5)), ONE_OVER_SQRT_2PI);
  return op_mul(g, p, op_mul(g, b, op_sub(g, square, graph_scalar(g, 4))));
}

/* X(op, gradient of x): g is the graph, x and gy are the nodes. */
#define GATED(X)                                                                       \
  X(silu, silu_gradient(g, x, gy))                                                     \
  X(gelu, op_chain_mul(g, gy, op_gelu_slope(g, x)))                                    \
  X(gelu_slope, op_chain_mul(g, gy, op_gelu_curve(g, x)))                              \
  X(gelu_curve, op_chain_mul(g, gy, gelu_third(g, x)))                                 \
  X(mish, mish_gradient(g, x, gy))                                                     \
  X(tanh_shrink, op_chain_mul(g, gy, op_square(g, op_tanh(g, x))))

#define X(op, gradient)                                                                \
  static void vjp_##op(Graph *g, Node *y, Node *const *gys, const bool *want,          \
                       Node **gx) {                                                    \
    Node *gy = gys[0];                                                                 \
    Node *x = y->in[0];                                                                \
    if (want[0]) gx[0] = gradient;                                                     \
  }                                                                                    \
  static double scalar_##op(const double *in, const Attr *attr) {                      \
    (void)attr;                                                                        \
    return op(in[0]);                                                                  \
  }                                                                                    \
  static void kernel_##op(const OpCall *call, real *y, const real *const *in,          \
                          const int64_t *stride, int64_t n) {                          \
    (void)call, (void)stride;                                                          \
    kernels()->op(y, in[0], n);                                                        \
  }
GATED(X)
#undef X

/* -- records ----------------------------------------------------------------------- */

/* A scalar, odd sizes, more than one block, both tails, integers. */
static const Sample samples[] = {
    {1, {{.shape = {0, {0}}}}, 0, NULL},
    {1, {{.shape = {3, {3, 1, 7}}}}, 0, NULL},
    {1, {{.shape = {2, {130, 129}}}}, 0, NULL},
    {1, {{.shape = {2, {9, 5}}, .lo = -14, .hi = -2}}, 0, NULL},
    {1, {{.shape = {1, {33}}, .lo = 2, .hi = 30}}, 0, NULL},
    {1, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = -9, .hi = 9}}, 0, NULL},
    SAMPLES_END};

#define COMMON(op)                                                                     \
  .name = #op, .n_in = 1, .n_out = 1, .infer = infer_broadcast,                        \
  .split = elements_split_heavy,                                                       \
  .run = elements_run_block, .tile = kernel_##op, .vjp = vjp_##op,                     \
  .scalar = scalar_##op, .samples = samples

const Op op_record_silu = {
    COMMON(silu), .alias = "swish", .flags = OP_ELEMENTWISE,
    .doc = "x times its sigmoid; 0 at -inf.",
    .equation = "y = x / (1 + exp(-x))",
    .source = "Elfwing et al., Neural Networks 107, 2018",
};

const Op op_record_gelu = {
    COMMON(gelu), .flags = OP_ELEMENTWISE,
    .doc = "x times the standard normal distribution function of x; the tail below 0 "
           "keeps its digits.",
    .equation = "y = x erfc(-x / sqrt(2)) / 2",
    .source = "Hendrycks & Gimpel, arXiv:1606.08415, section 2",
};

const Op op_record_gelu_slope = {
    COMMON(gelu_slope), .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .doc = "The derivative of gelu.",
    .equation = "y = erfc(-x / sqrt(2)) / 2 + x e^(-x^2 / 2) / sqrt(2 pi)",
};

const Op op_record_gelu_curve = {
    COMMON(gelu_curve), .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .doc = "The second derivative of gelu.",
    .equation = "y = (2 - x^2) e^(-x^2 / 2) / sqrt(2 pi)",
};

const Op op_record_mish = {
    COMMON(mish), .flags = OP_ELEMENTWISE,
    .doc = "x times the tanh of its softplus; 0 at -inf.",
    .equation = "y = x tanh(log(1 + exp(x)))",
    .source = "Misra, BMVC 2020",
};

const Op op_record_tanh_shrink = {
    COMMON(tanh_shrink), .flags = OP_ELEMENTWISE,
    .doc = "x minus its hyperbolic tangent; keeps its digits near 0.",
    .equation = "y = x - tanh(x)",
};
