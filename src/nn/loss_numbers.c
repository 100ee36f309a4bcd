/* loss_numbers.c: losses of numbers, over all elements of outputs and targets. */
#include "nn/loss.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

/* output - target, of equal shapes: [N, 1] against [N] would broadcast to [N, N]. */
static Node *difference(Graph *graph, Node *output, Node *target) {
  return loss_same_shape(graph, output, target) ? op_sub(graph, output, target) : NULL;
}

static Node *mse_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  (void)loss;
  return op_square(graph, difference(graph, output, target));
}

static Node *mae_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  (void)loss;
  return op_abs(graph, difference(graph, output, target));
}

const LossKind loss_mse = {
    .kind = {.name = "mse", .alias = "mean_squared_error MeanSquaredError MSELoss",
             .family = &loss_family, .size = sizeof(Loss),
             .doc = "Mean squared error over all elements.",
             .equation = "L = mean((y - t)^2)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.1"},
    .values = mse_values, .targets = TARGETS_NUMBERS};

const LossKind loss_mae = {
    .kind = {.name = "mae", .alias = "mean_absolute_error L1Loss",
             .family = &loss_family,
             .size = sizeof(Loss), .doc = "Mean absolute error over all elements.",
             .equation = "L = mean(|y - t|)"},
    .values = mae_values, .targets = TARGETS_NUMBERS};

/* -- robust: straight lines far out
 * ------------------------------------------------- */

typedef struct Huber {
  Loss loss;
  double delta;
} Huber;

/* With c = min(|d|, delta): c (|d| - c / 2), which is d^2 / 2 up to delta and a
 * straight line beyond. */
static Node *huber_of(Graph *graph, Node *d, double delta) {
  Node *size = op_abs(graph, d);
  Node *c = op_minimum(graph, size, graph_scalar(graph, delta));
  return op_mul(graph, c, op_sub(graph, size, op_scale(graph, c, 0.5)));
}

static Node *huber_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  double delta = ((const Huber *)loss)->delta;
  return huber_of(graph, difference(graph, output, target), delta);
}

static Node *smooth_l1_values(Graph *graph, const Loss *loss, Node *output,
                              Node *target) {
  double beta = ((const Huber *)loss)->delta;
  Node *d = difference(graph, output, target);
  return op_scale(graph, huber_of(graph, d, beta), 1 / beta);
}

/* With a = |d|: log(1 + (e^a - 1)^2 e^-a / 2) up to 1, which keeps its digits near 0;
 * beyond it a + log(1 + e^-2a) - log 2, which overflows nowhere. */
static Node *log_cosh_values(Graph *graph, const Loss *loss, Node *output,
                             Node *target) {
  (void)loss;
  Node *one = graph_scalar(graph, 1);
  Node *a = op_abs(graph, difference(graph, output, target));
  Node *c = op_minimum(graph, a, one);
  Node *rise = op_mul(graph, op_square(graph, op_expm1(graph, c)),
                      op_exp(graph, op_neg(graph, c)));
  Node *near = op_log1p(graph, op_scale(graph, rise, 0.5));
  Node *tail = op_log1p(graph, op_exp(graph, op_scale(graph, a, -2)));
  Node *far = op_sub(graph, op_add(graph, a, tail), graph_scalar(graph, M_LN2));
  return op_where(graph, op_lt(graph, a, one), near, far);
}

#define DELTA(word, also)                                                              \
  {{.name = word, .kind = OPT_REAL, .offset = offsetof(Huber, delta), .value = "1",    \
    .alias = also, .position = 1, .lo = 0, .hi = 1e30, .open = true,                   \
    .doc = "size of the error at which the parabola becomes a straight line"},         \
   {0}}
static const Option huber_options[] = DELTA("delta", "beta");
static const Option smooth_l1_options[] = DELTA("beta", "delta");

const LossKind loss_huber = {
    .kind = {.name = "huber", .alias = "Huber HuberLoss", .family = &loss_family,
             .size = sizeof(Huber), .options = huber_options,
             .doc = "Squared error near 0, absolute error beyond delta: outliers count "
                    "less than with mse.",
             .equation = "L = mean(d^2 / 2 if |d| <= delta else delta (|d| - delta / "
                         "2)), d = y - t",
             .source = "Huber, Annals of Mathematical Statistics 35, 1964"},
    .values = huber_values, .targets = TARGETS_NUMBERS};

const LossKind loss_smooth_l1 = {
    .kind = {.name = "smooth_l1", .alias = "SmoothL1Loss", .family = &loss_family,
             .size = sizeof(Huber), .options = smooth_l1_options,
             .doc = "Absolute error that becomes a parabola below beta: huber / beta.",
             .equation = "L = mean(d^2 / (2 beta) if |d| <= beta else |d| - beta / "
                         "2), d = y - t",
             .source = "Girshick, ICCV 2015, eq. 3"},
    .values = smooth_l1_values, .targets = TARGETS_NUMBERS};

const LossKind loss_log_cosh = {
    .kind = {.name = "log_cosh", .alias = "logcosh LogCosh", .family = &loss_family,
             .size = sizeof(Loss),
             .doc = "Half the squared error near 0, the absolute error minus log 2 far "
                    "out, smooth in between.",
             .equation = "L = mean(log(cosh(y - t)))"},
    .values = log_cosh_values, .targets = TARGETS_NUMBERS};

/* -- poisson ----------------------------------------------------------------------- */

typedef struct Poisson {
  Loss loss;
  bool log_input;
  double eps;
} Poisson;

static Node *poisson_values(Graph *graph, const Loss *loss, Node *output,
                            Node *target) {
  const Poisson *self = (const Poisson *)loss;
  if (!loss_same_shape(graph, output, target)) return NULL;
  Node *log_rate = self->log_input
                       ? output
                       : op_log(graph,
                                op_add(graph, output, graph_scalar(graph, self->eps)));
  Node *rate = self->log_input ? op_exp(graph, output) : output;
  return op_sub(graph, rate, op_mul(graph, target, log_rate));
}

static const Option poisson_options[] = {
    {.name = "log_input", .kind = OPT_BOOL, .offset = offsetof(Poisson, log_input),
     .value = "true", .doc = "the output is the logarithm of the rate (Keras: false)"},
    {.name = "eps", .kind = OPT_REAL, .offset = offsetof(Poisson, eps), .value = "1e-7",
     .alias = "epsilon", .lo = 0, .hi = 1,
     .doc = "added to a rate before its logarithm is taken (PyTorch: 1e-8)"},
    {0}};

const LossKind loss_poisson = {
    .kind = {.name = "poisson", .alias = "Poisson PoissonNLLLoss",
             .family = &loss_family, .size = sizeof(Poisson),
             .options = poisson_options,
             .doc = "Minus the log-likelihood of counts under a Poisson law, without "
                    "the part that does not depend on the output.",
             .equation = "L = mean(exp(y) - t y); log_input = false: L = mean(y - t "
                         "log(y + eps))",
             .source = "McCullagh & Nelder, Generalized Linear Models, 1989, 6.2"},
    .values = poisson_values, .targets = TARGETS_NUMBERS};

/* -- cosine ------------------------------------------------------------------------ */

/* 1 - cos of the angle between rows; a row of zeros is at right angles to all. */
static Node *cosine_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  (void)loss;
  if (!loss_same_shape(graph, output, target)) return NULL;
  if (output->shape.rank < 2)
    return loss_refuse(graph, "output and target must be rows [N, D]", output, target);
  unsigned last = 1u << (output->shape.rank - 1);
  Node *dot = op_sum(graph, op_mul(graph, output, target), last, false);
  Node *lengths = op_mul(graph, op_sum(graph, op_square(graph, output), last, false),
                         op_sum(graph, op_square(graph, target), last, false));
  Node *least = graph_scalar(graph, 1e-16);
  Node *root = op_sqrt(graph, op_maximum(graph, lengths, least));
  return op_sub(graph, graph_scalar(graph, 1), op_div(graph, dot, root));
}

const LossKind loss_cosine = {
    .kind = {.name = "cosine", .family = &loss_family, .size = sizeof(Loss),
             .alias = "cosine_similarity CosineSimilarity CosineEmbeddingLoss",
             .doc = "1 minus the cosine of the angle between each row of the output "
                    "and of the target: from 0 to 2 (Keras leaves out the 1).",
             .equation = "L = mean_n(1 - y_n t_n / max(|y_n| |t_n|, 1e-8))"},
    .values = cosine_values, .targets = TARGETS_NUMBERS};
