/* loss.c: the records of the losses. Each is a mean over the batch.
 *
 * Cross-entropies are computed from logits z wherever they can be, because log(softmax(z))
 * and log(sigmoid(z)) lose all digits where the probability is small:
 *
 *   categorical  -log p_y = log sum_j exp(z_j) - z_y
 *   binary       t softplus(-z) + (1 - t) softplus(z)
 *
 * An output that a softmax or sigmoid made is folded: its input are the logits. Only where
 * there are no logits, probabilities are taken, not smaller than 1e-7. That an output is a
 * probability is known from the ops that made it (graph/known.c), whatever stands between; the
 * categorical forms divide rows that need not sum to 1 by their sum, as Keras does.
 *
 * A class with target 0 adds 0 even where its probability is 0 and log p is -inf: a masked
 * class has no share in value and gradient. */
#include "nn/loss.h"
#include "base/ints.h"
#include "graph/ops.h"
#include "nn/activation.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SMALLEST_P 1e-7

Node *loss_conform(Graph *graph, Node *output, Node *target) {
  if (!output || !target || !shape_differ_by_one(&output->shape, &target->shape)) return target;
  return op_reshape(graph, target, &output->shape);
}

/* What is said of two shapes ends with what makes them equal, where that is a reshape. */
static Node *refuse(Graph *graph, const char *expects, const Node *output,
                    const Node *target) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT], hint[2 * SHAPE_TEXT] = "";
  if (shape_differ_by_one(&output->shape, &target->shape)) {
    size_t n = (size_t)snprintf(hint, sizeof hint, "; give the target the output's shape with "
                                ":reshape(");
    for (int i = 0; i < output->shape.rank && n < sizeof hint; i++)
      n += (size_t)snprintf(hint + n, sizeof hint - n, "%s%lld", i ? ", " : "",
                            (long long)output->shape.dim[i]);
    if (n < sizeof hint) snprintf(hint + n, sizeof hint - n, ")");
  }
  fault_set(&graph->fault, ERR_SHAPE, "%s; got output %s and target %s%s", expects,
            shape_text(o, &output->shape), shape_text(t, &target->shape), hint);
  return NULL;
}

static Node *mean_all(Graph *graph, Node *x) { return op_mean(graph, x, ALL_AXES, false); }

/* -- regression -------------------------------------------------------------------- */

/* output - target, of equal shapes: [N, 1] against [N] would broadcast to [N, N]. */
static Node *difference(Graph *graph, Node *output, Node *target) {
  if (!shape_equal(&output->shape, &target->shape))
    return refuse(graph, "output and target must have the same shape", output, target);
  return op_sub(graph, output, target);
}

static Node *apply_mse(Graph *graph, Loss *loss, Node *output, Node *target) {
  (void)loss;
  return mean_all(graph, op_square(graph, difference(graph, output, target)));
}

static Node *apply_mae(Graph *graph, Loss *loss, Node *output, Node *target) {
  (void)loss;
  return mean_all(graph, op_abs(graph, difference(graph, output, target)));
}

/* -- targets ----------------------------------------------------------------------- */

LossTargets loss_targets(const Loss *loss) {
  return ((const LossKind *)loss->object.kind)->targets;
}

Err loss_check_targets(const Loss *loss, const Array *t, int64_t first_row, Fault *fault) {
  int64_t per_row = t->shape.rank ? most(shape_stride(&t->shape, 0), 1) : 1;
  switch (loss_targets(loss)) {
  case TARGETS_YES_NO: return targets_check(t, true, first_row, fault);
  case TARGETS_DISTRIBUTIONS: return targets_check(t, false, first_row, fault);
  case TARGETS_LABELS: return labels_check(t, 0, first_row * per_row, fault);
  case TARGETS_OWN:
  case TARGETS_NUMBERS: break;
  }
  return ERR_OK;
}

/* -- form -------------------------------------------------------------------------- */

static const LossKind *kind_of(const Loss *loss) { return (const LossKind *)loss->object.kind; }

static bool folds_softmax(const Loss *loss) {
  return strcmp(kind_of(loss)->fold, op_record_softmax.name) == 0;
}

/* The logits of an output that the op to be folded made, before any reshape that kept its
 * rows; NULL: it did not, or has forgotten. */
static Node *logits_below(const Loss *loss, const Node *output) {
  const Node *made = output;
  while (made->op == &op_record_reshape && made->in) made = made->in[0];
  if (!made->in || strcmp(made->op->name, kind_of(loss)->fold) != 0) return NULL;
  if (!folds_softmax(loss)) return made->in[0];
  int last = made->shape.rank - 1, own = output->shape.rank - 1;
  bool rows = made->attr[0].i == last && own >= 0 &&
              made->shape.dim[last] == output->shape.dim[own];
  return rows ? made->in[0] : NULL;
}

LossForm loss_form(const Loss *loss, const Node *output) {
  if (!kind_of(loss)->fold) return FORM_PLAIN;
  if (loss->from_logits == LOGITS_TRUE) return FORM_LOGITS;
  if (logits_below(loss, output)) return FORM_FOLDED;
  if (loss->from_logits == LOGITS_FALSE || known_probabilities(&output->known))
    return folds_softmax(loss) && !known_distributions(&output->known) ? FORM_NORMALIZED
                                                                       : FORM_PROBABILITIES;
  if (output->known.logs) return folds_softmax(loss) ? FORM_LOGITS : FORM_UNKNOWN;
  return output->net_output ? FORM_LOGITS : FORM_UNKNOWN;
}

const char *loss_form_text(const Loss *loss, LossForm form) {
  bool softmax = kind_of(loss)->fold && folds_softmax(loss);
  switch (form) {
  case FORM_FOLDED:
    return softmax ? "the softmax of the output is folded in" :
                     "the sigmoid of the output is folded in";
  case FORM_LOGITS:
    return softmax ? "outputs are logits: the loss applies softmax" :
                     "outputs are logits: the loss applies sigmoid";
  case FORM_PROBABILITIES: return "outputs are probabilities";
  case FORM_NORMALIZED:
    return "outputs are probabilities that need not sum to 1: the loss divides them by their "
           "sum; softmax gives a distribution";
  case FORM_UNKNOWN: return "say from_logits = true or false";
  case FORM_PLAIN: break;
  }
  return "";
}

/* Are the values there, and does each row sum to 1? */
static bool rows_seen_to_sum_to_one(const Node *p) {
  const Tensor *value = node_value(p);
  int64_t c = p->shape.dim[p->shape.rank - 1];
  if (!value || p->dtype != DT_REAL || c == 0) return false;
  for (int64_t r = 0; r < tensor_count(value); r += c) {
    double sum = 0;
    for (int64_t i = 0; i < c; i++) sum += array_get(&value->a, r + i);
    bool one = fabs(sum - 1) <= 1e-3;
    if (!one) return false;
  }
  return true;
}

/* Rows divided by their sums; a row of zeros stays. */
static Node *normalized(Graph *graph, const Loss *loss, Node *p) {
  if (!rows_seen_to_sum_to_one(p))
    graph_warn(graph, WARN_NORMALIZED, NULL,
               "loss.%s: the outputs are probabilities that need not sum to 1 over the "
               "classes, so each row is divided by its sum; end the net with softmax over the "
               "last axis, or with no activation", loss->object.kind->name);
  Node *sum = op_sum(graph, p, 1u << (p->shape.rank - 1), true);
  Node *zero = graph_scalar(graph, 0), *one = graph_scalar(graph, 1);
  if (!sum) return NULL;
  return op_div(graph, p, op_where(graph, op_eq(graph, sum, zero), one, sum));
}

/* What an op folded, under the shape of its output. */
static Node *folded(Graph *graph, const Loss *loss, Node *output) {
  Node *z = logits_below(loss, output);
  return shape_equal(&z->shape, &output->shape) ? z : op_reshape(graph, z, &output->shape);
}

/* Logits may be of any sign and size. What cannot be below 0 nor beyond some number is more
 * likely a sum of probabilities than that. */
static void warn_of_bounds(Graph *graph, const Loss *loss, const Node *output) {
  const Known *k = &output->known;
  bool bounded = k->lo >= 0 && isfinite(k->hi);
  if (!bounded || loss->from_logits != LOGITS_AUTO) return;
  graph_warn(graph, WARN_BOUNDED, NULL,
             "loss.%s: the outputs lie from %.4g to %.4g, and are taken for logits; say "
             "from_logits = false if they are probabilities, true if not",
             loss->object.kind->name, k->lo, k->hi);
}

/* Sets *z to the logits, or *p to the probabilities; false after a fault. */
static bool take_form(Graph *graph, const Loss *loss, Node *output, Node **z, Node **p) {
  *z = *p = NULL;
  switch (loss_form(loss, output)) {
  case FORM_FOLDED: *z = folded(graph, loss, output); break;
  case FORM_LOGITS:
    warn_of_bounds(graph, loss, output);
    *z = output;
    break;
  case FORM_PROBABILITIES: *p = op_clip(graph, output, SMALLEST_P, 1); break;
  case FORM_NORMALIZED:
    *p = op_clip(graph, normalized(graph, loss, output), SMALLEST_P, 1);
    break;
  default:
    fault_set(&graph->fault, ERR_VALUE, "%s: say from_logits = true or from_logits = false",
              output->known.logs ? "the outputs are logarithms of probabilities "
                                   "(log_softmax), which belong to categorical_crossentropy "
                                   "or sparse_categorical_crossentropy" :
                                   "the output is a plain tensor, not made by a net, softmax "
                                   "or sigmoid");
  }
  return *z || *p;
}

/* Targets from 0 to 1; the op that refuses others names the loss. */
static Node *given_targets(Graph *graph, const Loss *loss, Node *target) {
  const char *outer = graph->layer;
  char name[80];
  snprintf(name, sizeof name, "loss.%s", loss->object.kind->name);
  graph->layer = graph_intern(graph, name);
  Node *t = op_targets(graph, target, loss_targets(loss) == TARGETS_YES_NO);
  graph->layer = outer;
  return t;
}

/* -- binary cross-entropy ---------------------------------------------------------- */

static Node *apply_binary(Graph *graph, Loss *loss, Node *output, Node *target) {
  bool labels = target->dtype != DT_REAL;
  Node *t = labels ? loss_conform(graph, output, target) : target, *z, *p;
  if (!t) return NULL;
  if (!shape_equal(&output->shape, &t->shape))
    return refuse(graph, labels && output->shape.rank > 1 ?
                  "output and target must have the same shape; for labels of several classes "
                  "use sparse_categorical_crossentropy" :
                  "output and target must have the same shape", output, target);
  t = given_targets(graph, loss, t);
  if (!t || !take_form(graph, loss, output, &z, &p)) return NULL;
  Node *one = graph_scalar(graph, 1), *if_one, *if_zero;
  if (z) {
    if_one = op_softplus(graph, op_neg(graph, z));
    if_zero = op_softplus(graph, z);
  } else {
    if_one = op_neg(graph, op_log(graph, p));
    Node *q = op_clip(graph, op_sub(graph, one, output), SMALLEST_P, 1);
    if_zero = op_neg(graph, op_log(graph, q));
  }
  return mean_all(graph, op_add(graph, op_mul(graph, t, if_one),
                                op_mul(graph, op_sub(graph, one, t), if_zero)));
}

/* -- categorical cross-entropy ----------------------------------------------------- */

/* -sum_j terms_j over the last axis, mean over the rest. */
static Node *cross_entropy(Graph *graph, Node *terms) {
  if (!terms) return NULL;
  unsigned last = 1u << (terms->shape.rank - 1);
  return op_neg(graph, mean_all(graph, op_sum(graph, terms, last, false)));
}

/* One class has always probability 1: there is nothing to learn. */
static bool one_class(Graph *graph, const Node *output) {
  if (output->shape.dim[output->shape.rank - 1] != 1) return false;
  char o[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "the output %s has one class, whose probability is always 1; for yes or no use "
            "binary_crossentropy, with sigmoid or with logits", shape_text(o, &output->shape));
  return true;
}

static Node *apply_categorical(Graph *graph, Loss *loss, Node *output, Node *target) {
  Node *z, *p;
  if (output->shape.rank < 2 || !shape_equal(&output->shape, &target->shape))
    return refuse(graph,
                  "output and target must have the same shape [N, C]; for labels "
                  "use sparse_categorical_crossentropy", output, target);
  if (one_class(graph, output)) return NULL;
  Node *t = given_targets(graph, loss, target);
  if (!t || !take_form(graph, loss, output, &z, &p)) return NULL;
  if (p) return cross_entropy(graph, op_mul(graph, t, op_log(graph, p)));
  Node *terms = op_mul(graph, t, op_log_softmax(graph, z, z->shape.rank - 1));
  Node *zero = graph_scalar(graph, 0);
  return cross_entropy(graph, op_where(graph, op_eq(graph, t, zero), zero, terms));
}

/* Does `target` hold one label per row of `output`: its shape without the last axis, or
 * with a last axis of 1? */
static bool labels_fit(const Shape *output, const Shape *target) {
  if (output->rank < 2) return false;
  bool one = target->rank == output->rank && target->dim[target->rank - 1] == 1;
  if (target->rank != output->rank - 1 && !one) return false;
  for (int i = 0; i < output->rank - 1; i++)
    if (output->dim[i] != target->dim[i]) return false;
  return true;
}

static Node *apply_sparse(Graph *graph, Loss *loss, Node *output, Node *target) {
  Node *z, *p;
  if (!labels_fit(&output->shape, &target->shape))
    return refuse(graph, "output must be [N, C] and target one label per row, [N]", output,
                  target);
  if (one_class(graph, output) || !take_form(graph, loss, output, &z, &p)) return NULL;
  int64_t c = output->shape.dim[output->shape.rank - 1];
  int64_t n = shape_count(&target->shape);
  Node *labels = op_reshape(graph, target, &SHAPE_OF(n));
  if (p) {
    Node *log_p = op_reshape(graph, op_log(graph, p), &SHAPE_OF(n, c));
    return cross_entropy(graph, op_mul(graph, op_one_hot(graph, labels, c), log_p));
  }
  if (z->shape.rank != 2) z = op_reshape(graph, z, &SHAPE_OF(n, c));
  return mean_all(graph, op_softmax_cross_entropy(graph, z, labels));
}

/* -- a function of the user -------------------------------------------------------- */

static Node *apply_function(Graph *graph, Loss *loss, Node *output, Node *target) {
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = callable_tensor(graph, loss->function, in, 2, "");
  if (y && output->tracked && !y->tracked) {
    fault_set(&graph->fault, ERR_VALUE,
              "what the function returns does not depend on the output, so nothing is learned");
    return NULL;
  }
  if (!y || y->shape.rank == 0) return y;
  if (shape_count(&y->shape) == 1) return op_reshape(graph, y, &SHAPE_SCALAR);
  char got[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE, "the function must return one number, got %s",
            shape_text(got, &y->shape));
  return NULL;
}

/* -- records ----------------------------------------------------------------------- */

static const char *const from_logits_names[] = {"auto", "true", "false", NULL};

static const Option entropy_options[] = {
    {.name = "from_logits", .kind = OPT_CHOICE, .offset = offsetof(Loss, from_logits),
     .value = "auto", .choices = from_logits_names,
     .doc = "is the output a logit? auto: what softmax or sigmoid made is folded, what is "
            "known to lie from 0 to 1 is a probability, another output of a net is a logit "
            "(with a warning where it cannot be below 0 nor beyond some number), a plain "
            "tensor is an error; false: classes whose outputs need not sum to 1 are divided "
            "by their sum"},
    {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(Loss, function),
     .position = 1, .doc = "f(output, target) -> tensor with one element"},
    {0}};

const LossKind
    loss_mse = {{.name = "mse", .alias = "mean_squared_error MeanSquaredError MSELoss",
                 .family = &loss_family, .size = sizeof(Loss),
                 .doc = "Mean squared error over all elements.",
                 .equation = "L = mean((y - t)^2)",
                 .source = "Goodfellow et al., Deep Learning, 6.2.2.1"},
                apply_mse, NULL, TARGETS_NUMBERS},
    loss_mae = {{.name = "mae", .alias = "mean_absolute_error L1Loss",
                 .family = &loss_family, .size = sizeof(Loss),
                 .doc = "Mean absolute error over all elements.",
                 .equation = "L = mean(|y - t|)"},
                apply_mae, NULL, TARGETS_NUMBERS},
    loss_binary = {{.name = "binary_crossentropy",
                    .alias = "binary_cross_entropy bce BCELoss BCEWithLogitsLoss",
                    .family = &loss_family, .size = sizeof(Loss),
                    .options = entropy_options,
                    .doc = "Mean cross-entropy of independent yes-no outputs. Targets are "
                           "numbers from 0 to 1 of the output's shape; integers are "
                           "labels, 1 no and 2 yes.",
                    .equation = "L = mean(-t log p - (1 - t) log(1 - p)), p = sigmoid(z)",
                    .source = "Goodfellow et al., Deep Learning, 6.2.2.2"},
                   apply_binary, "sigmoid", TARGETS_YES_NO},
    loss_categorical = {{.name = "categorical_crossentropy",
                         .alias = "categorical_cross_entropy cce", .family = &loss_family,
                         .size = sizeof(Loss), .options = entropy_options,
                         .doc = "Mean cross-entropy of classes; targets are distributions "
                                "[N, C], one-hot for example: each share from 0 to 1, "
                                "rows need not sum to 1. A share of 0 adds 0.",
                         .equation = "L = mean_n(-sum_j t_nj log p_nj), p = softmax(z)",
                         .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
                        apply_categorical, "softmax", TARGETS_DISTRIBUTIONS},
    loss_sparse = {{.name = "sparse_categorical_crossentropy",
                    .alias = "sparse_categorical_cross_entropy cross_entropy "
                             "CrossEntropyLoss",
                    .family = &loss_family, .size = sizeof(Loss),
                    .options = entropy_options,
                    .doc = "Mean cross-entropy of classes; targets are labels [N] that "
                           "count from 1.",
                    .equation = "L = mean_n(-log p[n, t_n]), p = softmax(z)",
                    .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
                   apply_sparse, "softmax", TARGETS_LABELS};
static const LossKind
    loss_function = {{.name = "function", .family = &loss_family, .size = sizeof(Loss),
                      .options = function_options, .doc = "A function of the user.",
                      .equation = "L = f(y, t)"},
                     apply_function, NULL, TARGETS_OWN};

#define LOSS(name) extern const LossKind loss_##name;
#include "nn/losses.def"
#undef LOSS

static const Kind *const loss_kinds[] = {
#define LOSS(name) &loss_##name.kind,
#include "nn/losses.def"
#undef LOSS
    NULL};

const Family loss_family = {"loss", "loss", loss_kinds, &loss_function.kind};

/* A softmax of one unit is 1, whatever goes in. */
static bool always_one(const Node *output) {
  int rank = output->shape.rank;
  return rank > 0 && output->shape.dim[rank - 1] == 1 && known_distributions(&output->known);
}

Node *loss_apply(Graph *graph, Loss *loss, Node *output, Node *target) {
  if (!output || !target || graph->fault.code) return NULL;
  const LossKind *kind = kind_of(loss);
  Node *node = NULL;
  if (kind->targets != TARGETS_OWN && always_one(output))
    fault_set(&graph->fault, ERR_VALUE,
              "the output is the softmax of one unit, which is always 1: use sigmoid, with "
              "binary_crossentropy for yes or no");
  else
    node = kind->apply(graph, loss, output, target);
  if (!node && graph->fault.code != ERR_SCRIPT)
    fault_prefix(&graph->fault, "loss.%s", kind->kind.name);
  return node;
}
