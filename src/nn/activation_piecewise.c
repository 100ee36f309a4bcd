/* activation_piecewise.c: activations of two pieces that meet at 0, and of one.
 * Gradients come from the ops that they emit. */
#include "nn/activation.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

typedef const Activation A;

/* -- linear ------------------------------------------------------------------------ */

static Node *linear_apply(Graph *g, A *self, Node *x) {
  (void)g, (void)self;
  return x;
}
static double linear_gain(A *self) {
  (void)self;
  return 1;
}
static long double linear_value(A *self, long double x) {
  (void)self;
  return x;
}

const ActivationKind activation_linear = {
    .kind = {.name = "linear", .alias = "identity Identity none",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Passes its input on unchanged.", .equation = "y = x"},
    .apply = linear_apply, .gain = linear_gain, .reference = linear_value};

/* -- relu -------------------------------------------------------------------------- */

static Node *relu_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_relu(g, x);
}
static double relu_gain(A *self) {
  (void)self;
  return sqrt(2);
}
static long double relu_value(A *self, long double x) {
  (void)self;
  return x <= 0 ? 0 : x;
}

const ActivationKind activation_relu = {
    .kind = {.name = "relu", .alias = "ReLU", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Rectified linear unit: the input where it is positive, else 0. "
                    "Its gradient at 0 is 0.",
             .equation = "y = max(x, 0)",
             .source = "Nair & Hinton, ICML 2010, section 2"},
    .init = "he_normal",
    .apply = relu_apply, .gain = relu_gain, .reference = relu_value};

/* -- leaky_relu -------------------------------------------------------------------- */

typedef struct LeakyRelu {
  Activation activation;
  double slope;
} LeakyRelu;

static double slope_of(A *self) { return ((const LeakyRelu *)self)->slope; }

static Node *leaky_relu_apply(Graph *g, A *self, Node *x) {
  return op_leaky_relu(g, x, slope_of(self));
}

static double leaky_relu_gain(A *self) {
  return sqrt(2 / (1 + slope_of(self) * slope_of(self)));
}

static long double leaky_relu_value(A *self, long double x) {
  double slope = slope_of(self);
  return x > 0 ? x : slope == 0 && !isnan(x) ? 0 : slope * x;
}

static const Option leaky_relu_options[] = {
    {.name = "negative_slope", .kind = OPT_REAL, .offset = offsetof(LeakyRelu, slope),
     .value = "0.01", .alias = "alpha slope", .position = 1, .lo = 0, .hi = 1,
     .doc = "slope for x < 0 (Keras: 0.3)"},
    {0}};

const ActivationKind activation_leaky_relu = {
    .kind = {.name = "leaky_relu", .alias = "LeakyReLU", .family = &activation_family,
             .size = sizeof(LeakyRelu), .options = leaky_relu_options,
             .doc = "Rectified linear unit with a small slope for negative inputs, so "
                    "that no unit stops learning.",
             .equation = "y = x if x > 0 else negative_slope x",
             .source = "Maas et al., ICML 2013, section 2"},
    .init = "he_normal",
    .apply = leaky_relu_apply, .gain = leaky_relu_gain, .reference = leaky_relu_value};

/* -- elu, selu --------------------------------------------------------------------- */

typedef struct Elu {
  Activation activation;
  double alpha;
} Elu;

static Node *elu_apply(Graph *g, A *self, Node *x) {
  return op_elu(g, x, ((const Elu *)self)->alpha);
}

static long double elu_value(A *self, long double x) {
  return x > 0 ? x : ((const Elu *)self)->alpha * expm1l(x);
}

static const Option elu_options[] = {
    {.name = "alpha", .kind = OPT_REAL, .offset = offsetof(Elu, alpha), .value = "1",
     .position = 1, .lo = 0, .hi = 1e6,
     .doc = "the output approaches -alpha for x -> -inf"},
    {0}};

const ActivationKind activation_elu = {
    .kind = {.name = "elu", .alias = "ELU", .family = &activation_family,
             .size = sizeof(Elu), .options = elu_options,
             .doc = "Exponential linear unit.",
             .equation = "y = x if x > 0 else alpha (exp(x) - 1)",
             .source = "Clevert et al., ICLR 2016, eq. 15"},
    .init = "he_normal",
    .apply = elu_apply, .reference = elu_value};

static Node *selu_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_selu(g, x);
}
static double selu_gain(A *self) {
  (void)self;
  return 0.75;
}

static long double selu_value(A *self, long double x) {
  (void)self;
  return 1.0507009873554804934L * (x > 0 ? x : 1.6732632423543772848L * expm1l(x));
}

const ActivationKind activation_selu = {
    .kind = {.name = "selu", .alias = "SELU", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Scaled exponential linear unit: keeps activations near mean 0 and "
                    "variance 1 from layer to layer, with weights from lecun_normal.",
             .equation = "y = 1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))",
             .source = "Klambauer et al., NIPS 2017, eq. 2"},
    .init = "lecun_normal",
    .apply = selu_apply, .gain = selu_gain, .reference = selu_value};

typedef struct Celu {
  Activation activation;
  double alpha;
} Celu;

static double alpha_of(A *self) { return ((const Celu *)self)->alpha; }

static Node *celu_apply(Graph *g, A *self, Node *x) {
  double alpha = alpha_of(self);
  Node *zero = graph_scalar(g, 0), *above = op_gt(g, x, zero);
  Node *below = op_scale(g, op_where(g, above, zero, x), 1 / alpha);
  return op_where(g, above, x, op_scale(g, op_expm1(g, below), alpha));
}

static long double celu_value(A *self, long double x) {
  return x > 0 ? x : alpha_of(self) * expm1l(x / alpha_of(self));
}

static const Option celu_options[] = {
    {.name = "alpha", .kind = OPT_REAL, .offset = offsetof(Celu, alpha), .value = "1",
     .position = 1, .lo = 0.1, .hi = 1e6,
     .doc = "the output approaches -alpha for x -> -inf"},
    {0}};

const ActivationKind activation_celu = {
    .kind = {.name = "celu", .alias = "CELU", .family = &activation_family,
             .size = sizeof(Celu), .options = celu_options,
             .doc = "Exponential linear unit whose slope at 0 is 1 for every alpha.",
             .equation = "y = x if x > 0 else alpha (exp(x / alpha) - 1)",
             .source = "Barron, arXiv:1704.07483, eq. 2"},
    .init = "he_normal",
    .apply = celu_apply, .reference = celu_value};

/* -- between two bounds ------------------------------------------------------------ */

static Node *hard_tanh_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_clip(g, x, -1, 1);
}
static long double bounded(long double x, long double lo, long double hi) {
  return x < lo ? lo : x > hi ? hi : x;
}
static long double hard_tanh_value(A *self, long double x) {
  (void)self;
  return bounded(x, -1, 1);
}

const ActivationKind activation_hard_tanh = {
    .kind = {.name = "hard_tanh", .alias = "hardtanh Hardtanh",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Tanh made of straight lines: the input, limited to [-1, 1].",
             .equation = "y = min(1, max(-1, x))",
             .source = "Collobert, thesis, Paris 6, 2004"},
    .apply = hard_tanh_apply, .reference = hard_tanh_value};

static Node *relu6_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_clip(g, x, 0, 6);
}
static long double relu6_value(A *self, long double x) {
  (void)self;
  return bounded(x, 0, 6);
}

const ActivationKind activation_relu6 = {
    .kind = {.name = "relu6", .alias = "ReLU6", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Rectified linear unit that is limited to 6.",
             .equation = "y = min(6, max(0, x))",
             .source = "Krizhevsky, Convolutional deep belief networks, 2010"},
    .init = "he_normal",
    .apply = relu6_apply, .gain = relu_gain, .reference = relu6_value};

/* x + 3 is exact near -3. */
static Node *hard_sigmoid_apply(Graph *g, A *self, Node *x) {
  (void)self;
  Node *raised = op_add(g, x, graph_scalar(g, 3));
  return op_scale(g, op_clip(g, raised, 0, 6), 1.0 / 6);
}
static long double hard_sigmoid_value(A *self, long double x) {
  (void)self;
  return bounded(x + 3, 0, 6) / 6;
}

const ActivationKind activation_hard_sigmoid = {
    .kind = {.name = "hard_sigmoid", .alias = "hardsigmoid Hardsigmoid",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Sigmoid made of straight lines: 0 below -3, 1 above 3.",
             .equation = "y = min(6, max(0, x + 3)) / 6",
             .source = "Howard et al., ICCV 2019, section 5.2"},
    .apply = hard_sigmoid_apply, .reference = hard_sigmoid_value};

/* Below -3 it is 0: -infinity times 0 is not. */
static Node *hard_swish_apply(Graph *g, A *self, Node *x) {
  Node *b = op_maximum(g, x, graph_scalar(g, -3));
  return op_mul(g, b, hard_sigmoid_apply(g, self, b));
}
static long double hard_swish_value(A *self, long double x) {
  return x <= -3 ? -0.0L : x * hard_sigmoid_value(self, x);
}

const ActivationKind activation_hard_swish = {
    .kind = {.name = "hard_swish", .alias = "hardswish Hardswish hard_silu",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Input times its hard_sigmoid: silu made of simple arithmetic.",
             .equation = "y = x min(6, max(0, x + 3)) / 6",
             .source = "Howard et al., ICCV 2019, section 5.2"},
    .init = "he_normal",
    .apply = hard_swish_apply, .reference = hard_swish_value};

/* -- shrinking --------------------------------------------------------------------- */

typedef struct Shrink {
  Activation activation;
  double lambda;
} Shrink;

static double lambda_of(A *self) { return ((const Shrink *)self)->lambda; }

static Node *soft_shrink_apply(Graph *g, A *self, Node *x) {
  double lambda = lambda_of(self);
  return lambda == 0 ? x : op_sub(g, x, op_clip(g, x, -lambda, lambda));
}
static long double soft_shrink_value(A *self, long double x) {
  return x - bounded(x, -(real)lambda_of(self), (real)lambda_of(self));
}

static Node *hard_shrink_apply(Graph *g, A *self, Node *x) {
  double lambda = lambda_of(self);
  if (lambda == 0) return x;
  Node *within = op_le(g, op_abs(g, x), graph_scalar(g, lambda));
  return op_where(g, within, graph_scalar(g, 0), x);
}
static long double hard_shrink_value(A *self, long double x) {
  return fabsl(x) <= (real)lambda_of(self) ? 0 : x;
}

static const Option shrink_options[] = {
    {.name = "lambda", .kind = OPT_REAL, .offset = offsetof(Shrink, lambda),
     .value = "0.5", .alias = "lambd threshold", .position = 1, .lo = 0, .hi = 1e6,
     .doc = "inputs from -lambda to lambda become 0"},
    {0}};

const ActivationKind activation_soft_shrink = {
    .kind = {.name = "soft_shrink", .alias = "softshrink Softshrink",
             .family = &activation_family, .size = sizeof(Shrink),
             .options = shrink_options,
             .doc = "Moves each input by lambda towards 0; what lies within lambda of "
                    "0 becomes 0.",
             .equation = "y = x - min(lambda, max(-lambda, x))",
             .source = "Donoho, IEEE Trans. Information Theory 41, 1995"},
    .apply = soft_shrink_apply, .reference = soft_shrink_value};

const ActivationKind activation_hard_shrink = {
    .kind = {.name = "hard_shrink", .alias = "hardshrink Hardshrink",
             .family = &activation_family, .size = sizeof(Shrink),
             .options = shrink_options,
             .doc = "Sets inputs from -lambda to lambda to 0 and keeps the others.",
             .equation = "y = x if |x| > lambda else 0"},
    .apply = hard_shrink_apply, .reference = hard_shrink_value};

/* -- step -------------------------------------------------------------------------- */

/* sign keeps NaN, and has no gradient. */
static Node *step_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_relu(g, op_sign(g, x));
}
static long double step_value(A *self, long double x) {
  (void)self;
  return x > 0 ? 1 : isnan(x) ? x : 0;
}

const ActivationKind activation_step = {
    .kind = {.name = "step", .alias = "heaviside Heaviside",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Heaviside's step, the unit of the first perceptrons: 1 for "
                    "positive inputs, else 0. Its gradient is 0 everywhere: layers "
                    "below it learn nothing.",
             .equation = "y = 1 if x > 0 else 0",
             .source = "Rosenblatt, Psychological Review 65, 1958"},
    .apply = step_apply, .reference = step_value};
