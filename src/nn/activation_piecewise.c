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
             .doc = "The input itself.", .equation = "y = x"},
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
             .size = sizeof(Activation), .doc = "Rectifier.",
             .equation = "y = max(x, 0)",
             .source = "Nair & Hinton, ICML 2010, section 2"},
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
             .doc = "Rectifier that leaks.",
             .equation = "y = x if x > 0 else negative_slope x",
             .source = "Maas et al., ICML 2013, section 2"},
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
     .position = 1, .lo = 0, .hi = 1e6, .doc = "minus the limit for x -> -inf"},
    {0}};

const ActivationKind activation_elu = {
    .kind = {.name = "elu", .alias = "ELU", .family = &activation_family,
             .size = sizeof(Elu), .options = elu_options,
             .doc = "Exponential linear unit.",
             .equation = "y = x if x > 0 else alpha (exp(x) - 1)",
             .source = "Clevert et al., ICLR 2016, eq. 15"},
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
             .doc = "Scaled exponential linear unit: keeps mean 0, variance 1.",
             .equation = "y = 1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))",
             .source = "Klambauer et al., NIPS 2017, eq. 2"},
    .apply = selu_apply, .gain = selu_gain, .reference = selu_value};
