/* activation_smooth.c: activations that are smooth everywhere. Gradients come from the
 * ops that they emit. */
#include "nn/activation.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

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
             .size = sizeof(Activation),
             .doc = "Logistic function: maps any number into (0, 1). Far from 0 its "
                    "gradient nearly vanishes.",
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
             .doc = "Turns the last axis into a distribution: positive numbers that "
                    "sum to 1.",
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
             .size = sizeof(Activation),
             .doc = "Smooth form of relu: near 0 for very negative inputs, near x for "
                    "large ones.",
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
             .size = sizeof(Activation),
             .doc = "Input times its sigmoid, also called swish: smooth, with a small "
                    "dip below 0.",
             .equation = "y = x / (1 + exp(-x))",
             .source = "Elfwing et al., Neural Networks 107, 2018"},
    .init = "he_normal",
    .apply = silu_apply, .reference = silu_value};

/* The exact one, or its approximation, whose tanh is a sigmoid:
 * (1 + tanh u) / 2 = sigmoid(2 u). */
typedef struct Gelu {
  Activation activation;
  int form; /* GeluForm */
} Gelu;

typedef enum GeluForm { GELU_EXACT, GELU_TANH } GeluForm;
static const char *const gelu_forms[] = {"none", "tanh", NULL};

static const double gelu_slope = 1.5957691216057307118, gelu_cube = 0.044715;

/* What is missing to the rectifier, for a = |x|: a sigmoid(-2 u(a)), small in the
 * tails. From 100 on it is 0, as infinity times 0 is not. */
static Node *gelu_tanh(Graph *g, Node *x) {
  Node *zero = graph_scalar(g, 0), *above = op_gt(g, x, zero);
  Node *a = op_where(g, above, x, op_neg(g, x));
  a = op_minimum(g, a, graph_scalar(g, 100));
  Node *grown = op_add(g, graph_scalar(g, 1), op_scale(g, op_square(g, a), gelu_cube));
  Node *tail = op_sigmoid(g, op_scale(g, op_mul(g, a, grown), -gelu_slope));
  return op_sub(g, op_where(g, above, x, zero), op_mul(g, a, tail));
}

static Node *gelu_apply(Graph *g, A *self, Node *x) {
  return ((const Gelu *)self)->form == GELU_TANH ? gelu_tanh(g, x) : op_gelu(g, x);
}

static long double gelu_value(A *self, long double x) {
  if (isinf(x) && x < 0) return -0.0L;
  if (((const Gelu *)self)->form == GELU_EXACT)
    return x * erfcl(-x * 0.70710678118654752440L) / 2;
  return x * sigmoid_value(self, gelu_slope * x * (1 + gelu_cube * x * x));
}

static const Option gelu_options[] = {
    {.name = "approximate", .kind = OPT_CHOICE, .offset = offsetof(Gelu, form),
     .value = "none", .position = 1, .choices = gelu_forms, .yes = "tanh", .no = "none",
     .doc = "\"tanh\": y = x (1 + tanh(sqrt(2 / pi) (x + .044715 x^3))) / 2"},
    {0}};

const ActivationKind activation_gelu = {
    .kind = {.name = "gelu", .alias = "GELU", .family = &activation_family,
             .size = sizeof(Gelu), .options = gelu_options,
             .doc = "Input times the standard normal distribution function of it.",
             .equation = "y = x (1 + erf(x / sqrt(2))) / 2",
             .source = "Hendrycks & Gimpel, arXiv:1606.08415, section 2"},
    .init = "he_normal",
    .apply = gelu_apply, .reference = gelu_value};

/* -- log_sigmoid, log_softmax ------------------------------------------------------ */

static Node *log_sigmoid_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_neg(g, op_softplus(g, op_neg(g, x)));
}

static long double log_sigmoid_value(A *self, long double x) {
  return -softplus_value(self, -x);
}

const ActivationKind activation_log_sigmoid = {
    .kind = {.name = "log_sigmoid", .alias = "logsigmoid LogSigmoid",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Logarithm of the sigmoid, without loss of digits where the "
                    "sigmoid is near 0.",
             .equation = "y = -log(1 + exp(-x))"},
    .apply = log_sigmoid_apply, .reference = log_sigmoid_value};

static Node *log_softmax_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return x ? op_log_softmax(g, x, x->shape.rank - 1) : NULL;
}

const ActivationKind activation_log_softmax = {
    .kind = {.name = "log_softmax", .alias = "LogSoftmax", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Logarithm of softmax over the last axis, without loss of digits.",
             .equation = "y_i = x_i - log sum_j exp(x_j)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
    .apply = log_softmax_apply};

/* -- softsign, tanh_shrink, mish --------------------------------------------------- */

/* Beyond 1e30 it is 1: infinity over infinity is not. */
static Node *softsign_apply(Graph *g, A *self, Node *x) {
  (void)self;
  Node *b = op_clip(g, x, -1e30, 1e30);
  return op_div(g, b, op_add(g, op_abs(g, b), graph_scalar(g, 1)));
}

static long double softsign_value(A *self, long double x) {
  (void)self;
  return isinf(x) ? (x > 0 ? 1 : -1) : x / (1 + fabsl(x));
}

const ActivationKind activation_softsign = {
    .kind = {.name = "softsign", .alias = "Softsign", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Like tanh, but it approaches its limits -1 and 1 slowly.",
             .equation = "y = x / (1 + |x|)",
             .source = "Glorot & Bengio, AISTATS 2010, section 2"},
    .apply = softsign_apply, .gain = sigmoid_gain, .reference = softsign_value};

static Node *tanh_shrink_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_tanh_shrink(g, x);
}

static long double tanh_shrink_value(A *self, long double x) {
  (void)self;
  long double z = x * x, k = 0;
  for (int n = 61; n >= 3; n -= 2) k = z / (n + k);
  return fabsl(x) < 4 ? x * (k / (1 + k)) : x - tanhl(x);
}

const ActivationKind activation_tanh_shrink = {
    .kind = {.name = "tanh_shrink", .alias = "tanhshrink Tanhshrink",
             .family = &activation_family, .size = sizeof(Activation),
             .doc = "Input minus its hyperbolic tangent: nearly flat around 0, a "
                    "straight line far out.",
             .equation = "y = x - tanh(x)"},
    .apply = tanh_shrink_apply, .reference = tanh_shrink_value};

static Node *mish_apply(Graph *g, A *self, Node *x) {
  (void)self;
  return op_mish(g, x);
}

static long double mish_value(A *self, long double x) {
  return isinf(x) && x < 0 ? -0.0L : x * tanhl(softplus_value(self, x));
}

const ActivationKind activation_mish = {
    .kind = {.name = "mish", .alias = "Mish", .family = &activation_family,
             .size = sizeof(Activation),
             .doc = "Input times the tanh of its softplus: smooth, with a small dip "
                    "below 0.",
             .equation = "y = x tanh(log(1 + exp(x)))",
             .source = "Misra, BMVC 2020"},
    .init = "he_normal",
    .apply = mish_apply, .reference = mish_value};
