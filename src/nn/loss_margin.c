/* loss_margin.c: losses that ask for a margin, and nothing beyond it. */
#include "nn/loss.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

/* max(0, 1 - s y), s = 1 for a yes and -1 for a no. */
static Node *shortfall(Graph *graph, const Loss *loss, Node *output, Node *target) {
  Node *t = target->dtype != DT_REAL ? loss_conform(graph, output, target) : target;
  if (!t || !loss_same_shape(graph, output, t)) return NULL;
  Node *one = graph_scalar(graph, 1);
  Node *side = op_sub(graph, op_scale(graph, loss_shares(graph, loss, t), 2), one);
  return op_relu(graph, op_sub(graph, one, op_mul(graph, side, output)));
}

static Node *squared_hinge_values(Graph *graph, const Loss *loss, Node *output,
                                  Node *target) {
  return op_square(graph, shortfall(graph, loss, output, target));
}

#define MARGIN_TARGETS                                                                 \
  "Targets are 0 for no and 1 for yes, of the output's shape (elsewhere -1 and 1); "   \
  "integers are labels, 1 for no and 2 for yes."

const LossKind loss_hinge = {
    .kind = {.name = "hinge", .alias = "Hinge", .family = &loss_family,
             .size = sizeof(Loss),
             .doc = "How far each output falls short of the margin of 1 on the right "
                    "side of 0. " MARGIN_TARGETS,
             .equation = "L = mean(max(0, 1 - s y)), s = 2 t - 1",
             .source = "Cortes & Vapnik, Machine Learning 20, 1995"},
    .values = shortfall, .targets = TARGETS_YES_NO};

const LossKind loss_squared_hinge = {
    .kind = {.name = "squared_hinge", .alias = "SquaredHinge", .family = &loss_family,
             .size = sizeof(Loss),
             .doc = "The square of hinge, smooth at the margin. " MARGIN_TARGETS,
             .equation = "L = mean(max(0, 1 - s y)^2), s = 2 t - 1"},
    .values = squared_hinge_values, .targets = TARGETS_YES_NO};

/* -- of classes -------------------------------------------------------------------- */

typedef struct MultiMargin {
  Loss loss;
  double margin;
  bool squared;
} MultiMargin;

/* Over all classes, of which the right one adds its margin: that is taken off. */
static Node *multi_margin_values(Graph *graph, const Loss *loss, Node *output,
                                 Node *target) {
  const MultiMargin *self = (const MultiMargin *)loss;
  Node *labels = loss_labels(graph, output, target);
  if (!labels) return NULL;
  int last = output->shape.rank - 1;
  int64_t c = output->shape.dim[last];
  Node *hot = op_reshape(graph, op_one_hot(graph, labels, c), &output->shape);
  Node *margin = graph_scalar(graph, self->margin);
  Node *right = op_mul(graph, output, hot);
  Node *rest = op_sub(graph, output, op_sum(graph, right, 1u << last, true));
  Node *short_of = op_relu(graph, op_add(graph, rest, margin));
  if (self->squared) short_of = op_square(graph, short_of);
  double own = self->squared ? self->margin * self->margin : self->margin;
  Node *sum = op_sum(graph, short_of, 1u << last, false);
  return op_scale(graph, op_sub(graph, sum, graph_scalar(graph, own)), 1 / (double)c);
}

static const Option multi_margin_options[] = {
    {.name = "margin", .kind = OPT_REAL, .offset = offsetof(MultiMargin, margin),
     .value = "1", .position = 1, .lo = 0, .hi = 1e6, .open = true,
     .doc = "difference by which the right class has to lead"},
    {.name = "squared", .kind = OPT_BOOL, .offset = offsetof(MultiMargin, squared),
     .value = "false", .doc = "square what is short of the margin (PyTorch: p = 2)"},
    {0}};

const LossKind loss_multi_margin = {
    .kind = {.name = "multi_margin", .alias = "MultiMarginLoss", .family = &loss_family,
             .size = sizeof(MultiMargin), .options = multi_margin_options,
             .example = "local y = tensor {{ 2, -1 }, { 0, 1 }}\n"
                        "local labels = tensor { 1, 2 }\n"
                        "print(loss.multi_margin(y, labels))",
             .doc = "How far the right class is from leading each other class by the "
                    "margin. Targets are labels [N], counted from 1.",
             .equation = "L = mean_n(sum_(j != t_n) max(0, margin - y[n, t_n] + y[n, "
                         "j]) / C)",
             .source = "Crammer & Singer, JMLR 2, 2001"},
    .values = multi_margin_values, .targets = TARGETS_LABELS};
