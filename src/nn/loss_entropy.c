/* loss_entropy.c: cross-entropies.
 *
 * They are computed from logits z wherever they can be, because log(softmax(z)) and
 * log(sigmoid(z)) lose all digits where the probability is small:
 *
 *   categorical  -log p_y = log sum_j exp(z_j) - z_y
 *   binary       t softplus(-z) + (1 - t) softplus(z)
 *
 * An output that a softmax or sigmoid made is folded: its input are the logits. Only
 * where there are no logits, probabilities are taken, not smaller than 1e-7. That an
 * output is a probability is known from the ops that made it (graph/known.c), through
 * all ops that keep it one; the categorical forms divide rows that need not sum to 1 by
 * their sum, as Keras does.
 *
 * A class with target 0 adds 0 even where its probability is 0 and log p is -inf: a
 * masked class has no share in value and gradient. */
#include "nn/loss.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

#define SMALLEST_P 1e-7

typedef enum FromLogits { LOGITS_AUTO, LOGITS_TRUE, LOGITS_FALSE } FromLogits;

typedef struct EntropyLoss {
  Loss loss;
  int from_logits; /* FromLogits */
  double smoothing;
} EntropyLoss;

/* -- form -------------------------------------------------------------------------- */

static FromLogits said(const Loss *loss) {
  return (FromLogits)((const EntropyLoss *)loss)->from_logits;
}

static bool folds_softmax(const Loss *loss) {
  return strcmp(loss_kind(loss)->fold, op_record_softmax.name) == 0;
}

/* The logits of an output that the op to be folded made, before any reshape that kept
 * its rows; NULL: it did not, or has forgotten. */
static Node *logits_below(const Loss *loss, const Node *output) {
  const Node *made = output;
  while (made->op == &op_record_reshape && made->in) made = made->in[0];
  if (!made->in || strcmp(made->op->name, loss_kind(loss)->fold) != 0) return NULL;
  if (!folds_softmax(loss)) return made->in[0];
  int last = made->shape.rank - 1, own = output->shape.rank - 1;
  bool rows = made->attr[0].i == last && own >= 0 &&
              made->shape.dim[last] == output->shape.dim[own];
  return rows ? made->in[0] : NULL;
}

static LossForm entropy_form(const Loss *loss, const Node *output) {
  if (said(loss) == LOGITS_TRUE) return FORM_LOGITS;
  if (logits_below(loss, output)) return FORM_FOLDED;
  if (said(loss) == LOGITS_FALSE || known_probabilities(&output->known))
    return folds_softmax(loss) && !known_distributions(&output->known)
               ? FORM_NORMALIZED
               : FORM_PROBABILITIES;
  if (output->known.logs) return folds_softmax(loss) ? FORM_LOGITS : FORM_UNKNOWN;
  return output->net_output ? FORM_LOGITS : FORM_UNKNOWN;
}

const char *loss_form_text(const Loss *loss, LossForm form) {
  bool softmax = loss_kind(loss)->fold && folds_softmax(loss);
  switch (form) {
  case FORM_FOLDED:
    return softmax ? "the softmax of the output is folded in"
                   : "the sigmoid of the output is folded in";
  case FORM_LOGITS:
    return softmax ? "outputs are logits: the loss applies softmax"
                   : "outputs are logits: the loss applies sigmoid";
  case FORM_PROBABILITIES: return "outputs are probabilities";
  case FORM_NORMALIZED:
    return "outputs are probabilities that need not sum to 1: the loss divides them by "
           "their sum; softmax gives a distribution";
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
               "classes, so each row is divided by its sum; end the net with softmax "
               "over the last axis, or with no activation",
               loss->object.kind->name);
  Node *sum = op_sum(graph, p, 1u << (p->shape.rank - 1), true);
  Node *zero = graph_scalar(graph, 0), *one = graph_scalar(graph, 1);
  if (!sum) return NULL;
  return op_div(graph, p, op_where(graph, op_eq(graph, sum, zero), one, sum));
}

/* What an op folded, under the shape of its output. */
static Node *folded(Graph *graph, const Loss *loss, Node *output) {
  Node *z = logits_below(loss, output);
  return shape_equal(&z->shape, &output->shape) ? z
                                                : op_reshape(graph, z, &output->shape);
}

/* Logits may be of any sign and size. What cannot be below 0 nor beyond some number is
 * more likely a sum of probabilities than that. */
static void warn_of_bounds(Graph *graph, const Loss *loss, const Node *output) {
  const Known *k = &output->known;
  bool bounded = k->lo >= 0 && isfinite(k->hi);
  if (!bounded || said(loss) != LOGITS_AUTO) return;
  graph_warn(graph, WARN_BOUNDED, NULL,
             "loss.%s: the outputs lie from %.4g to %.4g, and are taken for logits; "
             "say from_logits = false if they are probabilities, true if not",
             loss->object.kind->name, k->lo, k->hi);
}

/* Sets *z to the logits, or *p to the probabilities; false after a fault. */
static bool take_form(Graph *graph, const Loss *loss, Node *output, Node **z,
                      Node **p) {
  *z = *p = NULL;
  switch (entropy_form(loss, output)) {
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
    fault_set(&graph->fault, ERR_VALUE,
              "%s: say from_logits = true or from_logits = false",
              output->known.logs
                  ? "the outputs are logarithms of probabilities "
                    "(log_softmax), which belong to categorical_crossentropy or "
                    "sparse_categorical_crossentropy"
                  : "the output is a plain tensor, not made by a net, softmax "
                    "or sigmoid");
  }
  return *z || *p;
}

/* The share `smoothing` of each target is spread evenly over the classes. */
static Node *smoothed(Graph *graph, const Loss *loss, Node *t, double n_classes) {
  double s = ((const EntropyLoss *)loss)->smoothing;
  if (s == 0) return t;
  return op_add(graph, op_scale(graph, t, 1 - s), graph_scalar(graph, s / n_classes));
}

/* -- binary cross-entropy ---------------------------------------------------------- */

/* The target as a share t of yes, what a yes and a no would cost, and what that follows
 * from: logits z, or (NULL) the probabilities p of yes and q of no. */
typedef struct YesNo {
  Node *t, *if_one, *if_zero, *z, *p, *q;
} YesNo;

static bool binary_terms(Graph *graph, const Loss *loss, Node *output, Node *target,
                         YesNo *out) {
  bool labels = target->dtype != DT_REAL;
  Node *t = labels ? loss_conform(graph, output, target) : target, *z, *p;
  *out = (YesNo){0};
  if (!t) return false;
  if (!shape_equal(&output->shape, &t->shape)) {
    loss_refuse(graph,
                labels && output->shape.rank > 1
                    ? "output and target must have the same shape; for labels "
                      "of several classes use sparse_categorical_crossentropy"
                    : "output and target must have the same shape",
                output, target);
    return false;
  }
  t = loss_shares(graph, loss, t);
  if (!t || !take_form(graph, loss, output, &z, &p)) return false;
  if (z) {
    *out = (YesNo){.t = t, .z = z};
    out->if_one = op_softplus(graph, op_neg(graph, z));
    out->if_zero = op_softplus(graph, z);
  } else {
    *out = (YesNo){.t = t, .p = p};
    out->if_one = op_neg(graph, op_log(graph, p));
    Node *rest = op_sub(graph, graph_scalar(graph, 1), output);
    out->q = op_clip(graph, rest, SMALLEST_P, 1);
    out->if_zero = op_neg(graph, op_log(graph, out->q));
  }
  return true;
}

/* t if_one + (1 - t) if_zero */
static Node *by_target(Graph *graph, Node *t, Node *if_one, Node *if_zero) {
  Node *rest = op_sub(graph, graph_scalar(graph, 1), t);
  return op_add(graph, op_mul(graph, t, if_one), op_mul(graph, rest, if_zero));
}

static Node *binary_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  YesNo v;
  if (!binary_terms(graph, loss, output, target, &v)) return NULL;
  return by_target(graph, smoothed(graph, loss, v.t, 2), v.if_one, v.if_zero);
}

typedef struct Focal {
  EntropyLoss entropy;
  double gamma, alpha; /* alpha NaN: both count alike */
} Focal;

static Node *focal_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  const Focal *self = (const Focal *)loss;
  bool balanced = !isnan(self->alpha);
  Node *gamma = graph_scalar(graph, self->gamma);
  YesNo v;
  if (!binary_terms(graph, loss, output, target, &v)) return NULL;
  Node *p = v.z ? op_sigmoid(graph, v.z) : v.p;
  Node *q = v.z ? op_sigmoid(graph, op_neg(graph, v.z)) : v.q;
  Node *if_one = op_mul(graph, op_pow(graph, q, gamma), v.if_one);
  Node *if_zero = op_mul(graph, op_pow(graph, p, gamma), v.if_zero);
  if (balanced) {
    if_one = op_scale(graph, if_one, self->alpha);
    if_zero = op_scale(graph, if_zero, 1 - self->alpha);
  }
  return by_target(graph, smoothed(graph, loss, v.t, 2), if_one, if_zero);
}

/* -- categorical cross-entropy ----------------------------------------------------- */

/* -sum_j terms_j over the last axis. */
static Node *cross_entropy(Graph *graph, Node *terms) {
  if (!terms) return NULL;
  return op_neg(graph, op_sum(graph, terms, 1u << (terms->shape.rank - 1), false));
}

/* Targets that are distributions over the classes, smoothed; `refusal` says what others
 * belong to. */
static Node *class_shares(Graph *graph, const Loss *loss, Node *output, Node *target,
                          const char *refusal) {
  if (output->shape.rank < 2 || !shape_equal(&output->shape, &target->shape))
    return loss_refuse(graph, refusal, output, target);
  if (loss_one_class(graph, output)) return NULL;
  double n_classes = (double)output->shape.dim[output->shape.rank - 1];
  return smoothed(graph, loss, loss_shares(graph, loss, target), n_classes);
}

static Node *categorical_values(Graph *graph, const Loss *loss, Node *output,
                                Node *target) {
  Node *z, *p;
  Node *t = class_shares(graph, loss, output, target,
                         "output and target must have the same shape [N, C]; for "
                         "labels use sparse_categorical_crossentropy");
  if (!t || !take_form(graph, loss, output, &z, &p)) return NULL;
  if (p) return cross_entropy(graph, op_mul(graph, t, op_log(graph, p)));
  Node *terms = op_mul(graph, t, op_log_softmax(graph, z, z->shape.rank - 1));
  Node *zero = graph_scalar(graph, 0);
  return cross_entropy(graph, op_where(graph, op_eq(graph, t, zero), zero, terms));
}

typedef struct ClassFocal {
  EntropyLoss entropy;
  double gamma;
} ClassFocal;

/* 1 - p from log p, which keeps its digits where p is near 1. */
static Node *one_less(Graph *graph, Node *log_p) {
  return op_neg(graph, op_expm1(graph, log_p));
}

/* -sum_j t_j (1 - p_j)^gamma log p_j; a target of 0 adds 0. */
static Node *focal_rows(Graph *graph, const Loss *loss, Node *output, Node *t) {
  Node *z, *p;
  if (!t || !take_form(graph, loss, output, &z, &p)) return NULL;
  Node *zero = graph_scalar(graph, 0);
  Node *gamma = graph_scalar(graph, ((const ClassFocal *)loss)->gamma);
  Node *log_p = z ? op_log_softmax(graph, z, z->shape.rank - 1) : op_log(graph, p);
  Node *easy = op_pow(graph, one_less(graph, log_p), gamma);
  Node *terms = op_mul(graph, t, op_mul(graph, easy, log_p));
  return cross_entropy(graph, op_where(graph, op_eq(graph, t, zero), zero, terms));
}

static Node *categorical_focal_values(Graph *graph, const Loss *loss, Node *output,
                                      Node *target) {
  Node *t = class_shares(graph, loss, output, target,
                         "output and target must have the same shape [N, C]; for "
                         "labels use sparse_categorical_focal");
  return focal_rows(graph, loss, output, t);
}

static Node *sparse_focal_values(Graph *graph, const Loss *loss, Node *output,
                                 Node *target) {
  Node *labels = loss_labels(graph, output, target);
  if (!labels) return NULL;
  int64_t c = output->shape.dim[output->shape.rank - 1];
  Node *hot = op_reshape(graph, op_one_hot(graph, labels, c), &output->shape);
  return focal_rows(graph, loss, output, smoothed(graph, loss, hot, (double)c));
}

/* The cross-entropy less the entropy of the targets, which the output does not
 * change. */
static Node *kl_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  Node *entropy = categorical_values(graph, loss, output, target);
  if (!entropy) return NULL;
  Node *zero = graph_scalar(graph, 0), *t = op_cast(graph, target, DT_REAL);
  Node *is_zero = op_eq(graph, t, zero);
  Node *log_t = op_log(graph, op_where(graph, is_zero, graph_scalar(graph, 1), t));
  return op_sub(graph, entropy, cross_entropy(graph, op_mul(graph, t, log_t)));
}

/* Of labels: v, and the share `smoothing` of the cross-entropy with even targets. */
static Node *with_even_targets(Graph *graph, const Loss *loss, Node *v, Node *z,
                               Node *p, const Shape *rows) {
  double s = ((const EntropyLoss *)loss)->smoothing;
  if (s == 0) return v;
  Node *log_p = z ? op_log_softmax(graph, z, 1)
                  : op_reshape(graph, op_log(graph, p), rows);
  Node *even = op_scale(graph, op_mean(graph, log_p, 1u << 1, false), -s);
  return op_add(graph, op_scale(graph, v, 1 - s), even);
}

static Node *sparse_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  Node *z, *p, *v;
  Node *labels = loss_labels(graph, output, target);
  if (!labels || !take_form(graph, loss, output, &z, &p)) return NULL;
  int64_t c = output->shape.dim[output->shape.rank - 1], n = labels->shape.dim[0];
  if (p) {
    Node *log_p = op_reshape(graph, op_log(graph, p), &SHAPE_OF(n, c));
    v = cross_entropy(graph, op_mul(graph, op_one_hot(graph, labels, c), log_p));
  } else {
    if (z->shape.rank != 2) z = op_reshape(graph, z, &SHAPE_OF(n, c));
    v = op_softmax_cross_entropy(graph, z, labels);
  }
  v = with_even_targets(graph, loss, v, z, p, &SHAPE_OF(n, c));
  Shape rows = output->shape;
  return --rows.rank == 1 ? v : op_reshape(graph, v, &rows);
}

/* -- records ----------------------------------------------------------------------- */

static const char *const from_logits_names[] = {"auto", "true", "false", NULL};

#define FROM_LOGITS                                                                    \
  {.name = "from_logits", .kind = OPT_CHOICE,                                          \
   .offset = offsetof(EntropyLoss, from_logits), .value = "auto",                      \
   .choices = from_logits_names,                                                       \
   .doc = "are outputs logits (true) or probabilities (false)? auto: what softmax or " \
          "sigmoid made is folded into a stable form; what is known to lie from 0 to " \
          "1 is a probability; any other output of a net is a logit (with a warning "  \
          "where it cannot be below 0 nor beyond some number); a plain tensor is an "  \
          "error. false: rows of several classes that need not sum to 1 are divided "  \
          "by their sum"}
#define LABEL_SMOOTHING                                                                \
  {.name = "label_smoothing", .kind = OPT_REAL,                                        \
   .offset = offsetof(EntropyLoss, smoothing), .value = "0", .lo = 0, .hi = 1,         \
   .doc = "share of each target that is spread evenly over the classes (Szegedy et "   \
          "al., CVPR 2016, section 7)"}
static const Option options[] = {FROM_LOGITS, LABEL_SMOOTHING, {0}};
static const Option focal_options[] = {
    {.name = "gamma", .kind = OPT_REAL, .offset = offsetof(Focal, gamma), .value = "2",
     .position = 1, .lo = 0, .hi = 100,
     .doc = "the larger, the less outputs that are already right count; 0: "
            "binary_crossentropy"},
    {.name = "alpha", .kind = OPT_REAL, .offset = offsetof(Focal, alpha),
     .value = "none", .lo = 0, .hi = 1,
     .doc = "weight of yes; that of no is 1 - alpha (in the paper 0.25)"},
    FROM_LOGITS, LABEL_SMOOTHING, {0}};

const LossKind loss_binary = {
    .kind = {.name = "binary_crossentropy",
             .alias = "binary_cross_entropy bce BCELoss BCEWithLogitsLoss",
             .family = &loss_family, .size = sizeof(EntropyLoss), .options = options,
             .example = "local y, t = tensor {{ 0.2, 0.7 }}, tensor {{ 0, 1 }}\n"
                        "local options = { from_logits = false }\n"
                        "print(loss.binary_crossentropy(y, t, options))",
             .doc = "Cross-entropy of independent yes-no outputs, mean over all of "
                    "them. Targets are numbers from 0 to 1 of the output's shape; "
                    "integers are labels, 1 for no and 2 for yes.",
             .equation = "L = mean(-t log p - (1 - t) log(1 - p)), p = sigmoid(z)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.2"},
    .values = binary_values, .form = entropy_form, .fold = "sigmoid",
    .targets = TARGETS_YES_NO};

const LossKind loss_focal = {
    .kind = {.name = "focal",
             .alias = "binary_focal_crossentropy BinaryFocalCrossentropy",
             .family = &loss_family, .size = sizeof(Focal), .options = focal_options,
             .example = "local y, t = tensor {{ 0.2, 0.7 }}, tensor {{ 0, 1 }}\n"
                        "print(loss.focal(y, t, { from_logits = false }))",
             .doc = "Binary cross-entropy in which outputs that are already right "
                    "count less. Targets as for binary_crossentropy.",
             .equation = "L = mean(-alpha t (1 - p)^gamma log p - (1 - alpha) (1 - t) "
                         "p^gamma log(1 - p)), p = sigmoid(z); without alpha: both "
                         "weights are 1",
             .source = "Lin et al., ICCV 2017, eq. 5"},
    .values = focal_values, .form = entropy_form, .fold = "sigmoid",
    .targets = TARGETS_YES_NO};

static const Option class_focal_options[] = {
    {.name = "gamma", .kind = OPT_REAL, .offset = offsetof(ClassFocal, gamma),
     .value = "2", .position = 1, .lo = 0, .hi = 100,
     .doc = "the larger, the less a class counts whose probability is already near 1; "
            "0: the cross-entropy"},
    FROM_LOGITS, LABEL_SMOOTHING, {0}};

const LossKind loss_categorical_focal = {
    .kind = {.name = "categorical_focal",
             .alias = "categorical_focal_crossentropy CategoricalFocalCrossentropy",
             .family = &loss_family, .size = sizeof(ClassFocal),
             .options = class_focal_options,
             .example = "local y, t = tensor {{ 2, -1 }}, tensor {{ 0.7, 0.3 }}\n"
                        "print(loss.categorical_focal(y, t,\n"
                        "  { from_logits = true }))",
             .doc = "Categorical cross-entropy in which rows that are already right "
                    "count less. Targets are as for categorical_crossentropy. Keras "
                    "also multiplies by alpha = 0.25; here class_weight says what "
                    "classes count.",
             .equation = "L = mean_n(-sum_j t_nj (1 - p_nj)^gamma log p_nj), p = "
                         "softmax(z)",
             .source = "Lin et al., ICCV 2017, eq. 4"},
    .values = categorical_focal_values, .form = entropy_form, .fold = "softmax",
    .targets = TARGETS_DISTRIBUTIONS};

const LossKind loss_sparse_focal = {
    .kind = {.name = "sparse_categorical_focal", .family = &loss_family,
             .size = sizeof(ClassFocal), .options = class_focal_options,
             .example = "local y = tensor {{ 2, -1 }, { 0, 1 }}\n"
                        "local labels = tensor { 1, 2 }\n"
                        "print(loss.sparse_categorical_focal(y, labels,\n"
                        "  { from_logits = true }))",
             .doc = "The loss categorical_focal for targets that are labels [N], "
                    "counted from 1.",
             .equation = "L = mean_n(-(1 - p[n, t_n])^gamma log p[n, t_n]), p = "
                         "softmax(z)",
             .source = "Lin et al., ICCV 2017, eq. 4"},
    .values = sparse_focal_values, .form = entropy_form, .fold = "softmax",
    .targets = TARGETS_LABELS};

const LossKind loss_categorical = {
    .kind = {.name = "categorical_crossentropy",
             .alias = "categorical_cross_entropy cce",
             .family = &loss_family, .size = sizeof(EntropyLoss), .options = options,
             .example = "local y, t = tensor {{ 2, -1 }}, tensor {{ 0.7, 0.3 }}\n"
                        "print(loss.categorical_crossentropy(y, t,\n"
                        "  { from_logits = true }))",
             .doc = "Cross-entropy of classes, mean over the rows. Targets are "
                    "distributions [N, C], one-hot rows for example: each share from 0 "
                    "to 1, rows need not sum to 1. A share of 0 adds 0.",
             .equation = "L = mean_n(-sum_j t_nj log p_nj), p = softmax(z)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
    .values = categorical_values, .form = entropy_form, .fold = "softmax",
    .targets = TARGETS_DISTRIBUTIONS};

const LossKind loss_kl_divergence = {
    .kind = {.name = "kl_divergence", .alias = "kld KLDivergence KLDivLoss",
             .family = &loss_family, .size = sizeof(EntropyLoss), .options = options,
             .example = "local y, t = tensor {{ 2, -1 }}, tensor {{ 0.7, 0.3 }}\n"
                        "print(loss.kl_divergence(y, t, { from_logits = true }))",
             .doc = "Kullback-Leibler divergence of the output from the target. "
                    "Targets are distributions [N, C]. It is the categorical "
                    "cross-entropy minus the entropy of the targets, and has the same "
                    "gradient.",
             .equation = "L = mean_n(sum_j t_nj log(t_nj / p_nj)), p = softmax(z)",
             .source = "Goodfellow et al., Deep Learning, eq. 3.50"},
    .values = kl_values, .form = entropy_form, .fold = "softmax",
    .targets = TARGETS_DISTRIBUTIONS};

const LossKind loss_sparse = {
    .kind = {.name = "sparse_categorical_crossentropy",
             .alias = "sparse_categorical_cross_entropy cross_entropy CrossEntropyLoss",
             .family = &loss_family, .size = sizeof(EntropyLoss), .options = options,
             .example = "local y = tensor {{ 2, -1 }, { 0, 1 }}\n"
                        "local labels = tensor { 1, 2 }\n"
                        "print(loss.sparse_categorical_crossentropy(y, labels,\n"
                        "  { from_logits = true }))",
             .doc = "Cross-entropy of classes, mean over the rows. Targets are labels "
                    "[N], counted from 1.",
             .equation = "L = mean_n(-log p[n, t_n]), p = softmax(z)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.3"},
    .values = sparse_values, .form = entropy_form, .fold = "softmax",
    .targets = TARGETS_LABELS};
