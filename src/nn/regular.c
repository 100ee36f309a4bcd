/* regular.c: regularizers and constraints; see regular.h. */
#include "nn/regular.h"
#include "graph/ops.h"
#include <stddef.h>

/* -- regularizers ------------------------------------------------------------------ */

Node *regularizer_penalty(Graph *graph, const Regularizer *self, Node *x, double n) {
  Node *sum = NULL;
  const double factor[] = {self->l1 / n, self->l2 / n};
  for (int i = 0; i < 2; i++) {
    if (factor[i] == 0) continue;
    Node *size = (i ? op_square : op_abs)(graph, op_cast(graph, x, DT_REAL));
    Node *part = op_scale(graph, op_sum(graph, size, ALL_AXES, false), factor[i]);
    sum = sum ? op_add(graph, sum, part) : part;
  }
  return sum ? sum : graph_scalar(graph, 0);
}

#define FACTOR(name_, field, at, ...)                                                  \
  {.name = name_, .kind = OPT_REAL, .offset = offsetof(Regularizer, field),            \
   .value = "0.01", .position = at, .lo = 0, .hi = 1e30, __VA_ARGS__}
static const char l1_doc[] = "factor of the sum of absolute weights";
static const char l2_doc[] = "factor of the sum of squared weights";
static const Option l1_options[] = {
    FACTOR("l1", l1, 1, .alias = "factor", .doc = l1_doc), {0}};
static const Option l2_options[] = {
    FACTOR("l2", l2, 1, .alias = "factor", .doc = l2_doc), {0}};
static const Option l1_l2_options[] = {FACTOR("l1", l1, 1, .doc = l1_doc),
                                       FACTOR("l2", l2, 2, .doc = l2_doc),
                                       {0}};

#define REGULARIZER(name_, alias_, text, formula, paper)                               \
  static const Kind name_##_kind = {                                                   \
      .name = #name_, .alias = alias_, .family = &regularizer_family,                  \
      .size = sizeof(Regularizer), .options = name_##_options, .doc = text,            \
      .equation = formula, .source = paper}

REGULARIZER(l1, "L1",
            "Adds the sum of absolute weights to the loss (lasso): many "
            "weights become 0 or nearly so.",
            "loss + l1 sum |w|", "Tibshirani, JRSS B 58, 1996");
REGULARIZER(l2, "L2",
            "Adds the sum of squared weights to the loss (ridge). PyTorch's "
            "weight_decay d is l2 = d / 2.",
            "loss + l2 sum w^2", "Goodfellow et al., Deep Learning, 7.1.1");
REGULARIZER(l1_l2, "L1L2 L1_L2", "Adds both sums to the loss, as l1 and l2 do.",
            "loss + l1 sum |w| + l2 sum w^2", "Zou & Hastie, JRSS B 67, 2005");

static const Kind *const regularizers[] = {&l1_kind, &l2_kind, &l1_l2_kind, NULL};
const Family regularizer_family = {
    .name = "regularizer", .module = "nn", .kinds = regularizers,
    .example = "print(nn.Dense(3, { weight_regularizer = %s }))"};

/* -- constraints ------------------------------------------------------------------- */

typedef struct ConstraintKind {
  Kind kind;
  Node *(*factor)(Graph *graph, const Constraint *self, Node *norm);
} ConstraintKind;

Node *constraint_apply(Graph *graph, const Constraint *self, Node *w, int units_axis) {
  const ConstraintKind *kind = (const ConstraintKind *)self->object.kind;
  if (!w) return NULL;
  bool units = w->shape.rank > 1;
  if (units_axis < 0) units_axis = w->shape.rank - 1;
  unsigned inner = ((1u << w->shape.rank) - 1) & ~(1u << units_axis);
  Node *norm = op_norm(graph, w, units ? inner : ALL_AXES, units);
  return op_mul(graph, w, kind->factor(graph, self, norm));
}

static Node *max_factor(Graph *graph, const Constraint *self, Node *norm) {
  return op_clip_factor(graph, norm, self->max);
}

static Node *unit_factor(Graph *graph, const Constraint *self, Node *norm) {
  (void)self;
  return op_reciprocal(graph, op_maximum(graph, norm, graph_scalar(graph, 1e-7)));
}

static const Option max_options[] = {
    {.name = "max", .kind = OPT_REAL, .offset = offsetof(Constraint, max),
     .value = "2", .alias = "max_value", .position = 1, .lo = 0, .hi = 1e30,
     .open = true, .doc = "largest norm of the weights of one unit"},
    {0}};

static const ConstraintKind max_norm = {
    .kind = {.name = "max_norm", .alias = "MaxNorm", .family = &constraint_family,
             .size = sizeof(Constraint), .options = max_options,
             .doc = "Limits the norm of the weights of each unit: after each update, "
                    "larger ones are scaled down to the limit.",
             .equation = "w <- w min(1, max / |w|)",
             .source = "Srivastava et al., JMLR 15, 2014, section 5.1"},
    .factor = max_factor};

static const ConstraintKind unit_norm = {
    .kind = {.name = "unit_norm", .alias = "UnitNorm", .family = &constraint_family,
             .size = sizeof(Constraint),
             .doc = "Scales the weights of each unit to norm 1 after each update.",
             .equation = "w <- w / max(|w|, 1e-7)",
             .source = "Salimans & Kingma, NeurIPS 2016, section 2 (norm and direction "
                       "apart)"},
    .factor = unit_factor};

static const Kind *const constraints[] = {&max_norm.kind, &unit_norm.kind, NULL};
const Family constraint_family = {
    .name = "constraint", .module = "nn", .kinds = constraints,
    .example = "print(nn.Dense(3, { weight_constraint = %s }))"};
