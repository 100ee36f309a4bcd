/* loss.c: the records of the losses. Each is a mean over the batch.
 *
 * Cross-entropies are computed from logits z wherever they can be, because log(softmax(z))
 * and log(sigmoid(z)) lose all digits where the probability is small:
 *
 *   categorical  -log p_y = log sum_j exp(z_j) - z_y
 *   binary       t softplus(-z) + (1 - t) softplus(z)
 *
 * An output that a softmax or sigmoid made is folded: its input are the logits. Only where
 * there are no logits, probabilities are taken, not smaller than 1e-7. */
#include "nn/loss.h"
#include "graph/ops.h"
#include "nn/activation.h"
#include <stddef.h>
#include <string.h>

#define SMALLEST_P 1e-7

static Node *refuse(Graph *graph, const char *expects, const Node *output,
                    const Node *target) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE, "%s; got output %s and target %s", expects,
            shape_text(o, &output->shape), shape_text(t, &target->shape));
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

LossTargets loss_targets(const Loss *loss) {
  return ((const LossKind *)loss->object.kind)->targets;
}

/* -- form -------------------------------------------------------------------------- */

LossForm loss_form(const Loss *loss, const Node *output) {
  const char *fold = ((const LossKind *)loss->object.kind)->fold;
  if (!fold) return FORM_PLAIN;
  if (loss->from_logits == LOGITS_TRUE) return FORM_LOGITS;
  bool softmax = output->op == &op_record_softmax, sigmoid = output->op == &op_record_sigmoid;
  bool own = strcmp(output->op->name, fold) == 0;
  if (softmax && output->attr[0].i != output->shape.rank - 1) own = false;
  if (own && !output->forgotten) return FORM_FOLDED;
  if (loss->from_logits == LOGITS_FALSE || softmax || sigmoid) return FORM_PROBABILITIES;
  return output->net_output ? FORM_LOGITS : FORM_UNKNOWN;
}

const char *loss_form_text(const Loss *loss, LossForm form) {
  const char *fold = ((const LossKind *)loss->object.kind)->fold;
  bool softmax = fold && strcmp(fold, "softmax") == 0;
  switch (form) {
  case FORM_FOLDED:
    return softmax ? "the softmax of the output is folded in" :
                     "the sigmoid of the output is folded in";
  case FORM_LOGITS:
    return softmax ? "outputs are logits: the loss applies softmax" :
                     "outputs are logits: the loss applies sigmoid";
  case FORM_PROBABILITIES: return "outputs are probabilities";
  case FORM_UNKNOWN: return "say from_logits = true or false";
  case FORM_PLAIN: break;
  }
  return "";
}

/* Sets *z to the logits, or *p to the probabilities; false after a fault. */
static bool take_form(Graph *graph, const Loss *loss, Node *output, Node **z, Node **p) {
  *z = *p = NULL;
  switch (loss_form(loss, output)) {
  case FORM_FOLDED: *z = output->in[0]; break;
  case FORM_LOGITS: *z = output; break;
  case FORM_PROBABILITIES: *p = op_clip(graph, output, SMALLEST_P, 1); break;
  default:
    fault_set(&graph->fault, ERR_VALUE,
              "the output is a plain tensor, not made by a net, softmax or sigmoid: say "
              "from_logits = true or from_logits = false");
  }
  return *z || *p;
}

/* -- binary cross-entropy ---------------------------------------------------------- */

/* Integer targets are labels 1 and 2: they become 0 and 1, of the output's shape. */
static Node *binary_target(Graph *graph, Node *output, Node *target) {
  if (target->dtype == DT_REAL || shape_equal(&target->shape, &output->shape)) return target;
  if (shape_count(&target->shape) != shape_count(&output->shape)) return target;
  int64_t n = shape_count(&target->shape);
  Node *labels = op_reshape(graph, target, &SHAPE_OF(n));
  Node *hot = op_one_hot(graph, op_cast(graph, labels, DT_INT32), 2);
  Node *second = op_slice(graph, hot, (int64_t[]){0, 1}, (int64_t[]){n, 1},
                          (int64_t[]){1, 1});
  return op_reshape(graph, second, &output->shape);
}

static Node *apply_binary(Graph *graph, Loss *loss, Node *output, Node *target) {
  Node *t = binary_target(graph, output, target), *z, *p;
  if (!t) return NULL;
  if (!shape_equal(&output->shape, &t->shape))
    return refuse(graph, "output and target must have the same shape", output, target);
  if (!take_form(graph, loss, output, &z, &p)) return NULL;
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

/* -sum_j t_j log p_j over the last axis, mean over the rest. */
static Node *cross_entropy(Graph *graph, Node *t, Node *log_p) {
  if (!log_p) return NULL;
  unsigned last = 1u << (log_p->shape.rank - 1);
  Node *row = op_sum(graph, op_mul(graph, t, log_p), last, false);
  return op_neg(graph, mean_all(graph, row));
}

static Node *apply_categorical(Graph *graph, Loss *loss, Node *output, Node *target) {
  Node *z, *p;
  if (output->shape.rank < 1 || !shape_equal(&output->shape, &target->shape))
    return refuse(graph,
                  "output and target must have the same shape [N, C]; for labels "
                  "use sparse_categorical_crossentropy", output, target);
  if (!take_form(graph, loss, output, &z, &p)) return NULL;
  Node *log_p = z ? op_log_softmax(graph, z, z->shape.rank - 1) : op_log(graph, p);
  return cross_entropy(graph, target, log_p);
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
  if (!take_form(graph, loss, output, &z, &p)) return NULL;
  int64_t c = output->shape.dim[output->shape.rank - 1];
  int64_t n = shape_count(&target->shape);
  Node *labels = op_reshape(graph, op_cast(graph, target, DT_INT32), &SHAPE_OF(n));
  if (p) {
    Node *log_p = op_reshape(graph, op_log(graph, p), &SHAPE_OF(n, c));
    return cross_entropy(graph, op_one_hot(graph, labels, c), log_p);
  }
  if (z->shape.rank != 2) z = op_reshape(graph, z, &SHAPE_OF(n, c));
  return mean_all(graph, op_softmax_cross_entropy(graph, z, labels));
}

/* -- a function of the user -------------------------------------------------------- */

static Node *apply_function(Graph *graph, Loss *loss, Node *output, Node *target) {
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = callable_node(graph, loss->function, in, 2, "loss");
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
     .doc = "is the output a logit? auto: what softmax or sigmoid made is folded, another "
            "output of a net is a logit, a plain tensor is an error"},
    {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(Loss, function),
     .position = 1, .doc = "f(output, target) -> tensor with one element"},
    {0}};

static const LossKind
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
                           "numbers from 0 to 1 of the output's shape, or labels 1 and 2.",
                    .equation = "L = mean(-t log p - (1 - t) log(1 - p)), p = sigmoid(z)",
                    .source = "Goodfellow et al., Deep Learning, 6.2.2.2"},
                   apply_binary, "sigmoid", TARGETS_YES_NO},
    loss_categorical = {{.name = "categorical_crossentropy",
                         .alias = "categorical_cross_entropy cce", .family = &loss_family,
                         .size = sizeof(Loss), .options = entropy_options,
                         .doc = "Mean cross-entropy of classes; targets are distributions "
                                "[N, C], one-hot for example.",
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
                   apply_sparse, "softmax", TARGETS_LABELS},
    loss_function = {{.name = "function", .family = &loss_family, .size = sizeof(Loss),
                      .options = function_options, .doc = "A function of the user.",
                      .equation = "L = f(y, t)"},
                     apply_function, NULL, TARGETS_OWN};

static const Kind *const loss_kinds[] = {
    &loss_mse.kind,         &loss_mae.kind,    &loss_binary.kind,
    &loss_categorical.kind, &loss_sparse.kind, NULL};

const Family loss_family = {"loss", "loss", loss_kinds, &loss_function.kind};

Node *loss_apply(Graph *graph, Loss *loss, Node *output, Node *target) {
  if (!output || !target || graph->fault.code) return NULL;
  const LossKind *kind = (const LossKind *)loss->object.kind;
  Node *node = kind->apply(graph, loss, output, target);
  if (!node && graph->fault.code != ERR_SCRIPT)
    fault_prefix(&graph->fault, "loss.%s", kind->kind.name);
  return node;
}
