/* activation.c: the records of the activations. Adding one is one record and its line in
 * activation_kinds. Each acts elementwise, softmax over the last axis; gradients come from
 * the ops that they emit. */
#include "nn/activation.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

typedef Activation A;

static Node *apply_linear(Graph *g, A *a, Node *x) { (void)g, (void)a; return x; }
static Node *apply_relu(Graph *g, A *a, Node *x) { (void)a; return op_relu(g, x); }
static Node *apply_selu(Graph *g, A *a, Node *x) { (void)a; return op_selu(g, x); }
static Node *apply_sigmoid(Graph *g, A *a, Node *x) { (void)a; return op_sigmoid(g, x); }
static Node *apply_tanh(Graph *g, A *a, Node *x) { (void)a; return op_tanh(g, x); }
static Node *apply_silu(Graph *g, A *a, Node *x) { (void)a; return op_silu(g, x); }
static Node *apply_gelu(Graph *g, A *a, Node *x) { (void)a; return op_gelu(g, x); }
static Node *apply_softplus(Graph *g, A *a, Node *x) { (void)a; return op_softplus(g, x); }
static Node *apply_elu(Graph *g, A *a, Node *x) { return op_elu(g, x, a->alpha); }

static Node *apply_leaky_relu(Graph *g, A *a, Node *x) {
  return op_leaky_relu(g, x, a->slope);
}

static Node *apply_softmax(Graph *g, A *a, Node *x) {
  (void)a;
  return x ? op_softmax(g, x, x->shape.rank - 1) : NULL;
}

static Err call_for_one(Graph *graph, Callable *function, const Value *in, int n_in,
                        Value *out) {
  if (graph->fault.code) return graph->fault.code;
  return function->call(function, in, n_in, out, 1, &graph->fault);
}

static Node *refuse_result(Graph *graph, const char *what, const Value *got,
                           const char *allowed) {
  char type[32];
  fault_set(&graph->fault, ERR_VALUE, "%s%sthe function returned %s; allowed: %s", what,
            *what ? ": " : "", value_text(got, type, sizeof type), allowed);
  return NULL;
}

Node *callable_node(Graph *graph, Callable *function, const Value *in, int n_in,
                    const char *what) {
  Value out = {0};
  if (call_for_one(graph, function, in, n_in, &out)) return NULL;
  if (out.kind == VALUE_REAL) return graph_scalar(graph, out.as.real);
  if (out.kind == VALUE_NODE) return out.as.ref;
  return refuse_result(graph, what, &out, "one tensor or number");
}

Node *callable_tensor(Graph *graph, Callable *function, const Value *in, int n_in,
                      const char *what) {
  Value out = {0};
  if (call_for_one(graph, function, in, n_in, &out)) return NULL;
  return out.kind == VALUE_NODE ? out.as.ref : refuse_result(graph, what, &out, "one tensor");
}

static Node *apply_function(Graph *graph, A *a, Node *x) {
  if (!x) return NULL;
  Value in = {.kind = VALUE_NODE, .as.ref = x};
  Node *y = callable_node(graph, a->function, &in, 1, "activation");
  if (!y || shape_equal(&y->shape, &x->shape)) return y;
  char want[SHAPE_TEXT], got[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "activation: the function must return the shape of its input, %s, got %s",
            shape_text(want, &x->shape), shape_text(got, &y->shape));
  return NULL;
}

/* -- records ----------------------------------------------------------------------- */

static const Option leaky_relu_options[] = {
    {.name = "negative_slope", .kind = OPT_REAL, .offset = offsetof(A, slope),
     .value = "0.01", .alias = "alpha slope", .position = 1, .lo = 0, .hi = 1,
     .doc = "slope for x < 0 (Keras: 0.3)"},
    {0}};
static const Option elu_options[] = {
    {.name = "alpha", .kind = OPT_REAL, .offset = offsetof(A, alpha), .value = "1",
     .position = 1, .lo = 0, .hi = 1e6, .doc = "minus the limit for x -> -inf"},
    {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(A, function), .position = 1,
     .doc = "f(x) -> tensor of the same shape"},
    {0}};

static double gain_one(double slope) { (void)slope; return 1; }
static double gain_tanh(double slope) { (void)slope; return 5.0 / 3; }
static double gain_relu(double slope) { (void)slope; return sqrt(2); }
static double gain_leaky_relu(double slope) { return sqrt(2 / (1 + slope * slope)); }
static double gain_selu(double slope) { (void)slope; return 0.75; }

/* -- references --------------------------------------------------------------------- */

#define VALUE(id, ...)                                                                 \
  static long double value_##id(const A *a, long double x) {                           \
    (void)a;                                                                           \
    return __VA_ARGS__;                                                                \
  }
VALUE(linear, x)
VALUE(relu, x <= 0 ? 0 : x)
VALUE(leaky_relu, x > 0 ? x : a->slope == 0 && !isnan(x) ? 0 : a->slope * x)
VALUE(elu, x > 0 ? x : a->alpha * expm1l(x))
VALUE(selu, 1.0507009873554804934L * (x > 0 ? x : 1.6732632423543772848L * expm1l(x)))
VALUE(sigmoid, x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)))
VALUE(tanh, tanhl(x))
VALUE(softplus, (x <= 0 ? 0 : x) + log1pl(expl(-fabsl(x))))
VALUE(silu, isinf(x) && x < 0 ? -0.0L : x * value_sigmoid(a, x))
VALUE(gelu, isinf(x) && x < 0 ? -0.0L : x * erfcl(-x * 0.70710678118654752440L) / 2)
#define value_softmax NULL
#define value_function NULL

/* name, other names, options, gain, doc, equation, source; emits apply_<name>; judged by
 * value_<name> */
#define ACTIVATION(id, other, options_, gain_, doc_, equation_, source_)               \
  static const ActivationKind activation_##id = {                                      \
      {.name = #id, .alias = other, .family = &activation_family,                      \
       .size = sizeof(Activation), .options = options_, .doc = doc_,                   \
       .equation = equation_, .source = source_},                                      \
      apply_##id, gain_, value_##id};

ACTIVATION(linear, "identity Identity none", NULL, gain_one, "The input itself.", "y = x",
           NULL)
ACTIVATION(relu, "ReLU", NULL, gain_relu, "Rectifier.", "y = max(x, 0)",
           "Nair & Hinton, ICML 2010, section 2")
ACTIVATION(leaky_relu, "LeakyReLU", leaky_relu_options, gain_leaky_relu,
           "Rectifier that leaks.",
           "y = x if x > 0 else negative_slope x", "Maas et al., ICML 2013, section 2")
ACTIVATION(elu, "ELU", elu_options, NULL, "Exponential linear unit.",
           "y = x if x > 0 else alpha (exp(x) - 1)", "Clevert et al., ICLR 2016, eq. 15")
ACTIVATION(selu, "SELU", NULL, gain_selu,
           "Scaled exponential linear unit: keeps mean 0, variance 1.",
           "y = 1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))",
           "Klambauer et al., NIPS 2017, eq. 2")
ACTIVATION(sigmoid, "Sigmoid logistic", NULL, gain_one, "Logistic function.",
           "y = 1 / (1 + exp(-x))", "Goodfellow et al., Deep Learning, 6.3.2")
ACTIVATION(tanh, "Tanh", NULL, gain_tanh, "Hyperbolic tangent.", "y = tanh(x)",
           "LeCun et al., Efficient BackProp, 1998, section 4.4")
ACTIVATION(softplus, "Softplus", NULL, NULL, "Smooth rectifier.", "y = log(1 + exp(x))",
           "Dugas et al., NIPS 2000")
ACTIVATION(softmax, "Softmax", NULL, NULL,
           "Positive numbers that sum to 1 over the last axis.",
           "y_i = exp(x_i) / sum_j exp(x_j)",
           "Goodfellow et al., Deep Learning, 6.2.2.3")
ACTIVATION(silu, "swish SiLU", NULL, NULL, "Input times its sigmoid.",
           "y = x / (1 + exp(-x))",
           "Elfwing et al., Neural Networks 107, 2018")
ACTIVATION(gelu, "GELU", NULL, NULL,
           "Input times the normal distribution function, exact.",
           "y = x/2 (1 + erf(x / sqrt 2))",
           "Hendrycks & Gimpel, arXiv:1606.08415, section 2")
ACTIVATION(function, NULL, function_options, NULL, "A function of the user.",
           "y = f(x)", NULL)

static const Kind *const activation_kinds[] = {
    &activation_linear.kind,  &activation_relu.kind,    &activation_leaky_relu.kind,
    &activation_elu.kind,     &activation_selu.kind,    &activation_sigmoid.kind,
    &activation_tanh.kind,    &activation_softmax.kind, &activation_softplus.kind,
    &activation_silu.kind,    &activation_gelu.kind,    NULL};

const Family activation_family = {"activation", "nn", activation_kinds,
                                  &activation_function.kind};

Node *activation_apply(Graph *graph, Activation *activation, Node *x) {
  if (!x || graph->fault.code) return NULL;
  const ActivationKind *kind = (const ActivationKind *)activation->object.kind;
  return kind->apply(graph, activation, x);
}
