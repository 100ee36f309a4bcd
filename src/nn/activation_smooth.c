/* activation_smooth.c: activations that are smooth everywhere. Gradients come from the
 * ops that they emit. */
#include "nn/activation.h"
#include "graph/ops.h"
#include <math.h>

typedef const Activation A;

/* -- sigmoid, tanh ----------------------------------------------------------------- */

static Node *sigmoid_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_sigmoid(g, x);
}
static double sigmoid_gain(A *self) {
  (void)self;
  return 1;
}

static long double sigmoid_value(A *self, long double x) {
  (void)self;
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

const ActivationKind activation_sigmoid = {
    .kind = {.name = "sigmoid", .alias = "Sigmoid logistic",
             .family = &activation_family,
             .size = sizeof(Activation), .doc = "Logistic function.",
             .equation = "y = 1 / (1 + exp(-x))",
             .source = "Goodfellow et al., Deep Learning, 6.3.2"},
    .apply = sigmoid_apply, .gain = sigmoid_gain, .reference = sigmoid_value};

static Node *tanh_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_tanh(g, x);
}
static double tanh_gain(A *self) {
  (void)self;
  return 5.0 / 3;
}
static long double tanh_value(A *self, long double x) {
  (void)self;
  return tanhl(x);
}

const ActivationKind activation_tanh = {
    .kind = {.name = "tanh", .alias = "Tanh", .family = &activation_family,
             .size = sizeof(Activation), .doc = "Hyperbolic tangent.",
             .equation = "y = tanh(x)",
             .source = "LeCun et al., Efficient BackProp, 1998, section 4.4"},
    .apply = tanh_apply, .gain = tanh_gain, .reference = tanh_value};

/* -- softmax, softplus ------------------------------------------------------------- */

static Node *softmax_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return x ? op_softmax(g, x, x->shape.rank - 1) : NULL;
}

const ActivationKind activation_softmax = {
    .kind = {.name = "softmax", .alias = "Softmax", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Positive numbers that sum to 1 over the last axis.",
             .equation = "y_i = exp(x_i) / sum_j exp(x_j)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
    .apply = softmax_apply};

static Node *softplus_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_softplus(g, x);
}

static long double softplus_value(A *self, long double x) {
  (void)self;
  return (x <= 0 ? 0 : x) + log1pl(expl(-fabsl(x)));
}

const ActivationKind activation_softplus = {
    .kind = {.name = "softplus", .alias = "Softplus", .family = &activation_family,
             .size = sizeof(Activation), .doc = "Smooth rectifier.",
             .equation = "y = log(1 + exp(x))", .source = "Dugas et al., NIPS 2000"},
    .apply = softplus_apply, .reference = softplus_value};

/* -- silu, gelu -------------------------------------------------------------------- */

static Node *silu_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_silu(g, x);
}

static long double silu_value(A *self, long double x) {
  return isinf(x) && x < 0 ? -0.0L : x * sigmoid_value(self, x);
}

const ActivationKind activation_silu = {
    .kind = {.name = "silu", .alias = "swish SiLU", .family = &activation_family,
             .size = sizeof(Activation), .doc = "Input times its sigmoid.",
             .equation = "y = x / (1 + exp(-x))",
             .source = "Elfwing et al., Neural Networks 107, 2018"},
    .apply = silu_apply, .reference = silu_value};

static Node *gelu_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_gelu(g, x);
}

static long double gelu_value(A *self, long double x) {
  (void)self;
  return isinf(x) && x < 0 ? -0.0L : x * erfcl(-x * 0.70710678118654752440L) / 2;
}

const ActivationKind activation_gelu = {
    .kind = {.name = "gelu", .alias = "GELU", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Input times the normal distribution function, exact.",
             .equation = "y = x/2 (1 + erf(x / sqrt 2))",
             .source = "Hendrycks & Gimpel, arXiv:1606.08415, section 2"},
    .apply = gelu_apply, .reference = gelu_value};
