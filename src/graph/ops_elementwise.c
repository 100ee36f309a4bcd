/* ops_elementwise.c: ops in which output element i depends on the elements i of the
 * inputs alone, after NumPy broadcasting.
 *
 * Shapes and types. The output has the broadcast shape. Arithmetic and comparisons give
 * reals: of integers they are exact, rounded once. What only selects (maximum, minimum,
 * clip, where) keeps an integer type, so that large int32 stay what they are. How
 * blocks run: ops_walk.h.
 *
 * Gradients. With g the gradient of y, that of input i is g * dy/dx_i, summed over the
 * axes along which x_i was repeated (op_sum_to). The tables below give dy/dx as
 * graph-building expressions, in terms of y instead of x where that is cheaper: y
 * exists anyway. Masks are selections, and g is multiplied by op_chain_mul, so that a
 * branch not taken has the gradient 0, also where its slope is infinite. Steps (sign,
 * floor, comparisons) have gradient zero and say OP_NO_GRAD. */
#include "graph/known.h"
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "graph/range.h"
#include "kernel/kernel.h"
#include <math.h>

/* -- shapes ------------------------------------------------------------------------ */

static Err infer_selection(OpInfer *io) {
  io->out_dtype[0] = infer_selected(io);
  return infer_broadcast(io);
}

/* Has the integer type all numbers that its own become when limited to [lo, hi]? */
static bool limits_fit(DType dtype, double lo, double hi) {
  int least = dtype_least(dtype), most = dtype_most(dtype);
  return (lo <= least || (lo <= most && floor(lo) == lo)) &&
         (hi >= most || (hi >= least && floor(hi) == hi));
}

static Err infer_clip(OpInfer *io) {
  if (!(io->attr[0].f <= io->attr[1].f)) {
    return fault_set(io->fault, ERR_VALUE, "lo: got %g, allowed: at most hi, here %g",
                     io->attr[0].f, io->attr[1].f);
  }
  DType dtype = infer_selected(io);
  bool fits = dtype == DT_REAL || limits_fit(dtype, io->attr[0].f, io->attr[1].f);
  if (fits) io->out_dtype[0] = dtype;
  return infer_broadcast(io);
}

/* -- gradients: what the tables need ----------------------------------------------- */

/* a where x > 0, else b. */
static Node *above_zero(Graph *g, Node *x, Node *a, Node *b) {
  return op_where(g, op_gt(g, x, graph_scalar(g, 0)), a, b);
}

/* The gradient of y = relu(x); by the op itself that made gy of y, where it can. */
static Node *relu_gradient(Graph *g, Node *y, Node *gy) {
  bool can = gy && gy->op->above_zero && gy->in && gy->in[0] == y;
  return can ? gy->op->above_zero(g, gy) : above_zero(g, y, gy, graph_scalar(g, 0));
}

static Node *plus(Graph *g, Node *x, double constant) {
  return op_add(g, x, graph_scalar(g, constant));
}

static const double SELU_ALPHA = 1.6732632423543772;
static const double SELU_SCALE = 1.0507009873554805;
static const double TWO_OVER_SQRT_PI = 1.1283791670955126;

static double sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

/* -- one input --------------------------------------------------------------------- */

/* X(op, reference in double, gradient of x). In the reference x is the element; in the
 * gradient g is the graph, x and y are the nodes, gy is the gradient of y. */
#define UNARY(X)                                                                       \
  X(neg, -x, op_neg(g, gy))                                                            \
  X(abs, fabs(x), op_chain_mul(g, gy, op_sign(g, x)))                                  \
  X(square, x * x, op_chain_mul(g, gy, op_scale(g, x, 2)))                             \
  X(sqrt, sqrt(x), op_chain_div(g, op_scale(g, gy, 0.5), y))                           \
  X(reciprocal, 1 / x, op_neg(g, op_chain_mul(g, gy, op_square(g, y))))                \
  X(exp, exp(x), op_chain_mul(g, gy, y))                                               \
  X(expm1, expm1(x), op_chain_mul(g, gy, plus(g, y, 1)))                               \
  X(log, log(x), op_chain_div(g, gy, x))                                               \
  X(log1p, log1p(x), op_chain_div(g, gy, plus(g, x, 1)))                               \
  X(sin, sin(x), op_chain_mul(g, gy, op_cos(g, x)))                                    \
  X(cos, cos(x), op_neg(g, op_chain_mul(g, gy, op_sin(g, x))))                         \
  X(tanh, tanh(x), op_chain_mul(g, gy, op_sub(g, graph_scalar(g, 1), op_square(g, y))))\
  X(erf, erf(x), op_chain_mul(g, gy, op_scale(g, op_exp(g, op_neg(g, op_square(g, x))),\
                                        TWO_OVER_SQRT_PI)))                            \
  X(sigmoid, sigmoid(x),                                                               \
    op_chain_mul(g, gy, op_mul(g, y, op_sub(g, graph_scalar(g, 1), y))))               \
  X(softplus, fmax(x, 0) + log1p(exp(-fabs(x))), op_chain_mul(g, gy, op_sigmoid(g, x)))\
  X(relu, x <= 0 ? 0 : x, relu_gradient(g, y, gy))                                     \
  X(selu, SELU_SCALE * (x > 0 ? x : SELU_ALPHA * expm1(x)),                            \
    above_zero(g, y, op_scale(g, gy, SELU_SCALE),                                      \
               op_chain_mul(g, gy, plus(g, y, SELU_SCALE * SELU_ALPHA))))

/* X(op, reference): steps. */
#define UNARY_STEP(X)                                                                  \
  X(sign, x > 0 ? 1 : x < 0 ? -1 : x) X(floor, floor(x)) X(ceil, ceil(x))              \
  X(round, rint(x))

#define X(op, reference, gradient)                                                     \
  static void vjp_##op(Graph *g, Node *y, Node *const *gys, const bool *want,          \
                       Node **gx) {                                                    \
    Node *gy = gys[0];                                                                 \
    Node *x = y->in[0];                                                                \
    (void)x;                                                                           \
    if (want[0]) gx[0] = gradient;                                                     \
  }
UNARY(X)
#undef X

#define X(op, reference, ...)                                                          \
  static double scalar_##op(const double *in, const Attr *attr) {                      \
    double x = in[0];                                                                  \
    (void)attr;                                                                        \
    return reference;                                                                  \
  }                                                                                    \
  static void kernel_##op(const OpCall *call, real *y, const real *const *in,          \
                          const int64_t *stride, int64_t n) {                          \
    (void)call, (void)stride;                                                          \
    kernels()->op(y, in[0], n);                                                        \
  }
UNARY(X)
UNARY_STEP(X)
#undef X

/* -- one input, with parameters ---------------------------------------------------- */

/* X(op, reference, gradient of x, kernel call): as above; p[] are the parameters. */
#define UNARY_PARAMETERS(X)                                                            \
  X(leaky_relu, x > 0 ? x : p[0].f * x,                                                \
    above_zero(g, x, gy, op_scale(g, gy, p[0].f)), leaky_relu(y, x, n, (real)p[0].f))  \
  X(elu, x > 0 ? x : p[0].f * expm1(x),                                                \
    above_zero(g, x, gy, op_chain_mul(g, gy, plus(g, y, p[0].f))),                     \
    elu(y, x, n, (real)p[0].f))                                                        \
  X(clip, x < p[0].f ? p[0].f : x > p[1].f ? p[1].f : x,                               \
    op_where(g, op_mul(g, op_ge(g, x, graph_scalar(g, p[0].f)),                        \
                       op_le(g, x, graph_scalar(g, p[1].f))),                          \
             gy, graph_scalar(g, 0)),                                                  \
    clip(y, x, n, (real)p[0].f, (real)p[1].f))

#define X(op, reference, gradient, kernel)                                             \
  static double scalar_##op(const double *in, const Attr *p) {                         \
    double x = in[0];                                                                  \
    return reference;                                                                  \
  }                                                                                    \
  static void vjp_##op(Graph *g, Node *y, Node *const *gys, const bool *want,          \
                       Node **gx) {                                                    \
    Node *gy = gys[0];                                                                 \
    Node *x = y->in[0];                                                                \
    const Attr *p = y->attr;                                                           \
    if (want[0]) gx[0] = gradient;                                                     \
  }                                                                                    \
  static void kernel_##op(const OpCall *call, real *y, const real *const *in,          \
                          const int64_t *stride, int64_t n) {                          \
    const Attr *p = call->attr;                                                        \
    const real *x = in[0];                                                             \
    (void)stride;                                                                      \
    kernels()->kernel;                                                                 \
  }
UNARY_PARAMETERS(X)
#undef X

/* -- two inputs -------------------------------------------------------------------- */

/* x^y = exp(y log x):  d/dx = y x^(y-1),  d/dy = x^y log x.
 * At y = 0 the first is 0, also for x = 0: the exponent is taken as 0 there. At x = 0,
 * y >= 0 the second is 0: log x is taken as 0 there. */
static Node *pow_by_base(Graph *g, Node *x, Node *y, Node *gy) {
  Node *zero = graph_scalar(g, 0);
  Node *exponent = op_where(g, op_eq(g, y, zero), zero, plus(g, y, -1));
  return op_chain_mul(g, gy, op_mul(g, y, op_pow(g, x, exponent)));
}

static Node *pow_by_exponent(Graph *g, Node *x, Node *y, Node *out, Node *gy) {
  Node *zero = graph_scalar(g, 0);
  Node *flat = op_mul(g, op_eq(g, x, zero), op_ge(g, y, zero));
  Node *base = op_where(g, flat, graph_scalar(g, 1), x);
  return op_chain_mul(g, gy, op_mul(g, out, op_log(g, base)));
}

/* gy where `greater(a, b)`; at a tie each side takes half. */
static Node *winner(Graph *g, Node *greater, Node *tie, Node *gy) {
  Node *half = op_where(g, tie, op_scale(g, gy, 0.5), graph_scalar(g, 0));
  return op_where(g, greater, gy, half);
}

/* X(op, reference, gradient of x, gradient of y): x and y are the inputs, z is the
 * output, gz its gradient. */
#define BINARY(X)                                                                      \
  X(add, x + y, gz, gz)                                                                \
  X(sub, x - y, gz, op_neg(g, gz))                                                     \
  X(mul, x * y, op_chain_mul(g, gz, y), op_chain_mul(g, gz, x))                        \
  X(div, x / y, op_chain_div(g, gz, y),                                                \
    op_neg(g, op_chain_div(g, op_chain_mul(g, gz, z), y)))                             \
  X(pow, pow(x, y), pow_by_base(g, x, y, gz), pow_by_exponent(g, x, y, z, gz))         \
  X(maximum, isnan(x) || x > y ? x : y,                                                \
    winner(g, op_gt(g, x, y), op_eq(g, x, y), gz),                                     \
    winner(g, op_lt(g, x, y), op_eq(g, x, y), gz))                                     \
  X(minimum, isnan(x) || x < y ? x : y,                                                \
    winner(g, op_lt(g, x, y), op_eq(g, x, y), gz),                                     \
    winner(g, op_gt(g, x, y), op_eq(g, x, y), gz))

/* X(op, reference): steps. */
#define BINARY_STEP(X)                                                                 \
  X(eq, x == y) X(ne, x != y) X(lt, x < y) X(le, x <= y) X(gt, x > y) X(ge, x >= y)

#define X(op, reference, gradient_x, gradient_y)                                       \
  static void vjp_##op(Graph *g, Node *z, Node *const *gzs, const bool *want,          \
                       Node **gx) {                                                    \
    Node *gz = gzs[0];                                                                 \
    Node *x = z->in[0];                                                                \
    Node *y = z->in[1];                                                                \
    if (want[0]) gx[0] = op_sum_to(g, gradient_x, &x->shape);                          \
    if (want[1]) gx[1] = op_sum_to(g, gradient_y, &y->shape);                          \
  }
BINARY(X)
#undef X

#define X(op, reference, ...)                                                          \
  static double scalar_##op(const double *in, const Attr *attr) {                      \
    double x = in[0];                                                                  \
    double y = in[1];                                                                  \
    (void)attr;                                                                        \
    return reference;                                                                  \
  }                                                                                    \
  static void kernel_##op(const OpCall *call, real *y, const real *const *in,          \
                          const int64_t *stride, int64_t n) {                          \
    (void)call;                                                                        \
    kernels()->op(y, in[0], stride[0], in[1], stride[1], n);                           \
  }
BINARY(X)
BINARY_STEP(X)
#undef X

/* -- where ------------------------------------------------------------------------- */

static double scalar_where(const double *in, const Attr *attr) {
  (void)attr;
  return in[0] != 0 ? in[1] : in[2];
}

static void kernel_where(const OpCall *call, real *y, const real *const *in,
                         const int64_t *stride, int64_t n) {
  (void)call;
  kernels()->where(y, in[0], stride[0], in[1], stride[1], in[2], stride[2], n);
}

static void vjp_where(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  Node *condition = y->in[0];
  Node *zero = graph_scalar(g, 0);
  if (want[1])
    gx[1] = op_sum_to(g, op_where(g, condition, gy[0], zero), &y->in[1]->shape);
  if (want[2])
    gx[2] = op_sum_to(g, op_where(g, condition, zero, gy[0]), &y->in[2]->shape);
}

/* -- samples ----------------------------------------------------------------------- */

/* One input: a scalar, one element, odd sizes, more than one block, integers. */
#define ONE_INPUT(...)                                                                 \
  {1, {{.shape = {0, {0}}, __VA_ARGS__}}, 0, NULL},                                    \
  {1, {{.shape = {1, {1}}, __VA_ARGS__}}, 0, NULL},                                    \
  {1, {{.shape = {3, {3, 1, 7}}, __VA_ARGS__}}, 0, NULL},                              \
  {1, {{.shape = {2, {130, 129}}, __VA_ARGS__}}, 0, NULL}

static const Sample samples_any[] = {
    ONE_INPUT(.lo = 0),
    {1, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = 1, .hi = 9}}, 0, NULL},
    {1, {{.shape = {1, {1030}}, .dtype = DT_UINT8, .lo = 1, .hi = 3}}, 0, NULL},
    SAMPLES_END};
static const Sample samples_positive[] = {
    ONE_INPUT(.lo = 0.1, .hi = 3),
    {1, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = 1, .hi = 9}}, 0, NULL},
    SAMPLES_END};
static const Sample samples_above_minus_one[] = {
    ONE_INPUT(.lo = -0.8, .hi = 3),
    {1, {{.shape = {2, {5, 3}}, .dtype = DT_UINT8, .lo = 0, .hi = 9}}, 0, NULL},
    SAMPLES_END};
/* Steps: values well inside the treads. */
static const Sample samples_treads[] = {
    ONE_INPUT(.lo = -2.45, .hi = -2.05),
    {1, {{.shape = {2, {5, 3}}, .lo = 0.6, .hi = 0.9}}, 0, NULL},
    {1, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = -9, .hi = 9}}, 0, NULL},
    SAMPLES_END};

/* One real input and parameters, away from the kinks that these make. */
#define WITH_PARAMETERS(...)                                                           \
  {1, {{.shape = {1, {1}}}}, ATTRS(__VA_ARGS__)},                                      \
  {1, {{.shape = {3, {3, 1, 7}}}}, ATTRS(__VA_ARGS__)},                                \
  {1, {{.shape = {2, {130, 129}}}}, ATTRS(__VA_ARGS__)},                               \
  {1, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = -3, .hi = 3}},                  \
   ATTRS(__VA_ARGS__)}

static const Sample samples_slope[] = {
    WITH_PARAMETERS({.f = 0.01}), WITH_PARAMETERS({.f = -0.5}), SAMPLES_END};
static const Sample samples_alpha[] = {
    WITH_PARAMETERS({.f = 1}), WITH_PARAMETERS({.f = 0.3}), SAMPLES_END};
static const Sample samples_clip[] = {
    WITH_PARAMETERS({.f = -0.0371}, {.f = 0.0293}),
    {1, {{.shape = {2, {7, 5}}, .lo = -1.9, .hi = -1.1}}, ATTRS({.f = -1}, {.f = 1})},
    {1, {{.shape = {2, {7, 5}}, .lo = -0.9, .hi = 0.9}}, ATTRS({.f = -1}, {.f = 1})},
    SAMPLES_END};

/* Two inputs: the same shape, each broadcast along inner, outer and middle axes, a
 * scalar on either side, more than one block with and without broadcasting, integers.
 * The arguments are their ranges. */
#define TWO_INPUTS(x_lo, x_hi, y_lo, y_hi)                                             \
  {2, {{.shape = {1, {1}}, .lo = x_lo, .hi = x_hi},                                    \
       {.shape = {1, {1}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                         \
  {2, {{.shape = {2, {3, 5}}, .lo = x_lo, .hi = x_hi},                                 \
       {.shape = {1, {5}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                         \
  {2, {{.shape = {3, {7, 1, 33}}, .lo = x_lo, .hi = x_hi},                             \
       {.shape = {2, {4, 33}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                     \
  {2, {{.shape = {2, {4, 1}}, .lo = x_lo, .hi = x_hi},                                 \
       {.shape = {2, {4, 9}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                      \
  {2, {{.shape = {0, {0}}, .lo = x_lo, .hi = x_hi},                                    \
       {.shape = {3, {3, 1, 7}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                   \
  {2, {{.shape = {2, {6, 5}}, .lo = x_lo, .hi = x_hi},                                 \
       {.shape = {0, {0}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                         \
  {2, {{.shape = {2, {130, 129}}, .lo = x_lo, .hi = x_hi},                             \
       {.shape = {2, {130, 129}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                  \
  {2, {{.shape = {2, {130, 1}}, .lo = x_lo, .hi = x_hi},                               \
       {.shape = {2, {1, 129}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                    \
  {2, {{.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = 1, .hi = 3},                    \
       {.shape = {1, {3}}, .lo = y_lo, .hi = y_hi}}, 0, NULL},                         \
  {2, {{.shape = {1, {1030}}, .dtype = DT_UINT8, .lo = 1, .hi = 3},                    \
       {.shape = {0, {0}}, .dtype = DT_INT32, .lo = 1, .hi = 3}}, 0, NULL}

/* Integers of which several round to the same float. */
#define LARGE_INTEGERS                                                                 \
  {2, {{.shape = {2, {31, 33}}, .dtype = DT_INT32, .lo = 16777216, .hi = 16777219},    \
       {.shape = {1, {33}}, .dtype = DT_INT32, .lo = 16777216, .hi = 16777219}}, 0,    \
   NULL}

static const Sample samples_select[] = {TWO_INPUTS(0, 0, -1.9, 1.8), LARGE_INTEGERS,
                                        SAMPLES_END};
static const Sample samples_two[] = {TWO_INPUTS(0, 0, -1.9, 1.8), SAMPLES_END};
static const Sample samples_divisor[] = {TWO_INPUTS(0, 0, 0.5, 3), SAMPLES_END};
static const Sample samples_pow[] = {TWO_INPUTS(0.2, 2.5, -2, 2), SAMPLES_END};

static const Sample samples_where[] = {
    {3, {{.shape = {1, {1}}}, {.shape = {1, {1}}}, {.shape = {1, {1}}}}, 0, NULL},
    {3, {{.shape = {2, {3, 5}}, .dtype = DT_UINT8, .lo = 0, .hi = 1},
         {.shape = {1, {5}}}, {.shape = {2, {3, 1}}}}, 0, NULL},
    {3, {{.shape = {2, {4, 1}}, .dtype = DT_INT32, .lo = 0, .hi = 1},
         {.shape = {3, {7, 1, 33}}}, {.shape = {2, {4, 33}}}}, 0, NULL},
    {3, {{.shape = {2, {6, 7}}, .dtype = DT_INT32, .lo = 0, .hi = 2},
         {.shape = {0, {0}}}, {.shape = {0, {0}}}}, 0, NULL},
    {3, {{.shape = {2, {130, 129}}, .dtype = DT_UINT8, .lo = 0, .hi = 1},
         {.shape = {2, {130, 129}}}, {.shape = {0, {0}}}}, 0, NULL},
    {3, {{.shape = {2, {31, 33}}, .lo = -1, .hi = 1},
         {.shape = {1, {33}}, .dtype = DT_INT32, .lo = 16777216, .hi = 16777219},
         {.shape = {0, {0}}, .dtype = DT_UINT8, .lo = 0, .hi = 255}}, 0, NULL},
    SAMPLES_END};

/* -- records ----------------------------------------------------------------------- */

#define COMMON(op)                                                                     \
  .name = #op, .n_out = 1, .run = elements_run_block, .tile = kernel_##op,             \
  .scalar = scalar_##op
#define STEP(op) COMMON(op), .step = EXPR_##op

const Op op_record_neg = {
    STEP(neg), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "The negative of x.", .equation = "y = -x",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_neg,
    .samples = samples_any, .known = known_neg, .range = range_neg,
};

const Op op_record_abs = {
    STEP(abs), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Absolute value. Its gradient at 0 is 0.", .equation = "y = |x|",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_abs,
    .samples = samples_any, .known = known_abs, .range = range_abs,
};

const Op op_record_sign = {
    STEP(sign), .n_in = 1, .flags = OP_ELEMENTWISE | OP_NO_GRAD,
    .doc = "1 for positive, -1 for negative elements; 0 and NaN stay.",
    .equation = "y = x / |x| if x ~= 0 else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_any, .known = known_increasing, .range = range_sign,
};

const Op op_record_square = {
    STEP(square), .n_in = 1, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "Square.", .equation = "y = x^2",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_square,
    .samples = samples_any, .known = known_square, .range = range_square,
};

const Op op_record_sqrt = {
    STEP(sqrt), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Square root; NaN below 0.", .equation = "y = sqrt(x)",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_sqrt,
    .samples = samples_positive, .known = known_increasing, .range = range_sqrt,
};

const Op op_record_reciprocal = {
    STEP(reciprocal), .n_in = 1, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "One over x.", .equation = "y = 1 / x",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_reciprocal,
    .samples = samples_any, .known = known_reciprocal,
};

const Op op_record_exp = {
    COMMON(exp), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Exponential.", .equation = "y = exp(x)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_exp,
    .samples = samples_any, .known = known_exp,
};

const Op op_record_expm1 = {
    COMMON(expm1), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Exponential minus 1, exact near 0.", .equation = "y = exp(x) - 1",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_expm1,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_log = {
    COMMON(log), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Natural logarithm; -inf at 0, NaN below.", .equation = "y = log(x)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_log,
    .samples = samples_positive, .known = known_log,
};

const Op op_record_log1p = {
    COMMON(log1p), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Natural logarithm of 1 + x, exact near 0.", .equation = "y = log(1 + x)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_log1p,
    .samples = samples_above_minus_one, .known = known_increasing,
};

const Op op_record_sin = {
    COMMON(sin), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Sine of an angle in radians.", .equation = "y = sin(x)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_sin,
    .samples = samples_any, .known = known_wave,
};

const Op op_record_cos = {
    COMMON(cos), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Cosine of an angle in radians.", .equation = "y = cos(x)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_cos,
    .samples = samples_any, .known = known_wave,
};

const Op op_record_tanh = {
    COMMON(tanh), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Hyperbolic tangent.",
    .equation = "y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_tanh,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_erf = {
    COMMON(erf), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Error function.",
    .equation = "y = 2 / sqrt(pi) (integral from 0 to x of exp(-t^2) dt)",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_erf,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_floor = {
    COMMON(floor), .n_in = 1, .flags = OP_ELEMENTWISE | OP_NO_GRAD,
    .doc = "Largest integer not above x.", .equation = "y = floor(x)",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_treads, .known = known_increasing,
};

const Op op_record_ceil = {
    COMMON(ceil), .n_in = 1, .flags = OP_ELEMENTWISE | OP_NO_GRAD,
    .doc = "Smallest integer not below x.", .equation = "y = ceil(x)",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_treads, .known = known_increasing,
};

const Op op_record_round = {
    COMMON(round), .n_in = 1, .flags = OP_ELEMENTWISE | OP_NO_GRAD,
    .doc = "Nearest integer; halves go to the even one.", .equation = "y = round(x)",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_treads, .known = known_increasing,
};

const Op op_record_sigmoid = {
    COMMON(sigmoid), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Logistic function: maps any number into (0, 1).",
    .equation = "y = 1 / (1 + exp(-x))",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_sigmoid,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_softplus = {
    COMMON(softplus), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Smooth form of relu: near 0 for very negative x, near x for large x.",
    .equation = "y = log(1 + exp(x))",
    .source = "Dugas et al., NIPS 2000",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_softplus,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_relu = {
    STEP(relu), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Rectified linear unit. Its gradient at 0 is 0.",
    .equation = "y = max(x, 0)",
    .source = "Nair & Hinton, ICML 2010, section 2",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_relu,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_leaky_relu = {
    COMMON(leaky_relu), .n_in = 1, .flags = OP_ELEMENTWISE,
    .attrs = OP_ATTRS({.name = "negative_slope", .kind = ATTR_REAL, .value = "0.01",
                       .doc = "slope for x < 0"}),
    .doc = "Rectified linear unit with a slope for negative elements.",
    .equation = "y = x if x > 0 else negative_slope x",
    .source = "Maas et al., ICML 2013, section 2",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_leaky_relu,
    .samples = samples_slope,
};

const Op op_record_elu = {
    COMMON(elu), .n_in = 1, .flags = OP_ELEMENTWISE,
    .attrs = OP_ATTRS({.name = "alpha", .kind = ATTR_REAL, .value = "1",
                       .doc = "the result approaches -alpha for x -> -inf"}),
    .doc = "Exponential linear unit.",
    .equation = "y = x if x > 0 else alpha (exp(x) - 1)",
    .source = "Clevert et al., ICLR 2016, section 3",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_elu,
    .samples = samples_alpha,
};

const Op op_record_selu = {
    COMMON(selu), .n_in = 1, .flags = OP_ELEMENTWISE,
    .doc = "Scaled exponential linear unit: keeps mean 0 and variance 1.",
    .equation = "y = 1.0507009873554805 elu(x, alpha), alpha = 1.6732632423543772",
    .source = "Klambauer et al., NIPS 2017, section 2",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_selu,
    .samples = samples_any, .known = known_increasing,
};

const Op op_record_clip = {
    STEP(clip), .n_in = 1, .flags = OP_ELEMENTWISE,
    .attrs = OP_ATTRS({.name = "lo", .kind = ATTR_REAL, .doc = "lower limit"},
                      {.name = "hi", .kind = ATTR_REAL, .doc = "upper limit"}),
    .doc = "x limited to [lo, hi]; the gradient passes inside, limits included. "
           "Between whole limits integers stay integers.",
    .equation = "y = min(max(x, lo), hi)",
    .infer = infer_clip, .split = elements_split, .vjp = vjp_clip,
    .samples = samples_clip,
    .known = known_clip,
};

const Op op_record_add = {
    STEP(add), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "Sum of two elements; of int32 exact, then rounded once to real.",
    .equation = "z = x + y",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_add,
    .samples = samples_two, .known = known_add, .range = range_add,
};

const Op op_record_sub = {
    STEP(sub), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "Difference of two elements; of int32 exact, then rounded once to real.",
    .equation = "z = x - y",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_sub,
    .samples = samples_two, .known = known_sub, .range = range_sub,
};

const Op op_record_mul = {
    STEP(mul), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "Product of two elements.", .equation = "z = x y",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_mul,
    .samples = samples_two, .known = known_mul, .range = range_mul,
};

const Op op_record_div = {
    STEP(div), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "Quotient of two elements.", .equation = "z = x / y",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_div,
    .samples = samples_divisor, .known = known_div, .range = range_div,
};

const Op op_record_pow = {
    COMMON(pow), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT,
    .doc = "x to the power y; NaN for x < 0 unless y is an integer.",
    .equation = "z = x^y",
    .infer = infer_broadcast, .split = elements_split_heavy, .vjp = vjp_pow,
    .samples = samples_pow, .known = known_pow,
};

const Op op_record_maximum = {
    STEP(maximum), .n_in = 2, .flags = OP_ELEMENTWISE,
    .doc = "The larger of two elements; NaN wins. Equal ones share the gradient. Of "
           "integers an integer.",
    .equation = "z = max(x, y)",
    .infer = infer_selection, .split = elements_split, .vjp = vjp_maximum,
    .samples = samples_select, .known = known_maximum, .range = range_maximum,
};

const Op op_record_minimum = {
    STEP(minimum), .n_in = 2, .flags = OP_ELEMENTWISE,
    .doc = "The smaller of two elements; NaN wins. Equal ones share the gradient. Of "
           "integers an integer.",
    .equation = "z = min(x, y)",
    .infer = infer_selection, .split = elements_split, .vjp = vjp_minimum,
    .samples = samples_select, .known = known_minimum, .range = range_minimum,
};

const Op op_record_eq = {
    STEP(eq), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x equals y, else 0; int32 are compared exactly. x == y is Lua's "
           "own: are they one and the same tensor? x:item() == y:item() compares two "
           "numbers.",
    .equation = "z = 1 if x == y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

const Op op_record_ne = {
    STEP(ne), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x differs from y, else 0.", .equation = "z = 1 if x ~= y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

const Op op_record_lt = {
    STEP(lt), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x is below y, else 0.", .equation = "z = 1 if x < y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

const Op op_record_le = {
    STEP(le), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x is at most y, else 0.", .equation = "z = 1 if x <= y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

const Op op_record_gt = {
    STEP(gt), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x is above y, else 0.", .equation = "z = 1 if x > y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

const Op op_record_ge = {
    STEP(ge), .n_in = 2, .flags = OP_ELEMENTWISE | OP_EXACT | OP_NO_GRAD,
    .doc = "1 where x is at least y, else 0.", .equation = "z = 1 if x >= y else 0",
    .infer = infer_broadcast, .split = elements_split, .vjp = vjp_none,
    .samples = samples_select, .known = known_truth,
};

static const char *const where_inputs[] = {"condition", "x", "y"};

const Op op_record_where = {
    STEP(where), .n_in = 3, .n_conditions = 1, .flags = OP_ELEMENTWISE,
    .inputs = where_inputs,
    .doc = "x where the condition is not 0, else y; of integers an integer.",
    .equation = "z = x if condition ~= 0 else y",
    .infer = infer_selection, .split = elements_split, .vjp = vjp_where,
    .samples = samples_where, .known = known_where,
};

/* -- constructors ------------------------------------------------------------------ */

Node *op_leaky_relu(Graph *g, Node *x, double negative_slope) {
  return graph_apply(g, &op_record_leaky_relu, &x, 1, &(Attr){.f = negative_slope}, 1);
}

Node *op_elu(Graph *g, Node *x, double alpha) {
  return graph_apply(g, &op_record_elu, &x, 1, &(Attr){.f = alpha}, 1);
}

Node *op_clip(Graph *g, Node *x, double lo, double hi) {
  return graph_apply(g, &op_record_clip, &x, 1, (Attr[]){{.f = lo}, {.f = hi}}, 2);
}

Node *op_where(Graph *g, Node *condition, Node *x, Node *y) {
  return graph_apply(g, &op_record_where, (Node *[]){condition, x, y}, 3, NULL, 0);
}

Node *op_scale(Graph *g, Node *x, double factor) {
  return op_mul(g, x, graph_scalar(g, factor));
}
