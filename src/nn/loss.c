/* loss.c: the family of losses; values of examples weighted, masked and averaged. */
#include "nn/loss.h"
#include "base/ints.h"
#include "graph/ops.h"
#include <stdio.h>

/* -- the family -------------------------------------------------------------------- */

#define LOSS(name) extern const LossKind loss_##name;
#include "nn/losses.def"
#undef LOSS
extern const LossKind loss_function; /* made of a function, never by its name */

static const Kind *const loss_kinds[] = {
#define LOSS(name) &loss_##name.kind,
#include "nn/losses.def"
#undef LOSS
    NULL};

const Family loss_family = {
    .name = "loss", .module = "loss", .kinds = loss_kinds,
    .from_function = &loss_function.kind,
    .example = "print(%s(tensor {{ 0.2, 0.7 }}, tensor {{ 0, 1 }}))"};

/* -- shapes ------------------------------------------------------------------------ */

Node *loss_conform(Graph *graph, Node *output, Node *target) {
  if (!output || !target || !shape_differ_by_one(&output->shape, &target->shape))
    return target;
  return op_reshape(graph, target, &output->shape);
}

/* What is said of two shapes ends with what makes them equal, where that is a
 * reshape. */
Node *loss_refuse(Graph *graph, const char *expects, const Node *output,
                  const Node *target) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT], hint[2 * SHAPE_TEXT] = "";
  if (shape_differ_by_one(&output->shape, &target->shape)) {
    size_t n = (size_t)snprintf(hint, sizeof hint,
                                "; give the target the output's shape with "
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

bool loss_one_class(Graph *graph, const Node *output) {
  if (output->shape.dim[output->shape.rank - 1] != 1) return false;
  char o[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "the output %s has one class, whose probability is always 1; for yes or no "
            "use binary_crossentropy, with sigmoid or with logits",
            shape_text(o, &output->shape));
  return true;
}

bool loss_same_shape(Graph *graph, const Node *output, const Node *target) {
  if (shape_equal(&output->shape, &target->shape)) return true;
  loss_refuse(graph, "output and target must have the same shape", output, target);
  return false;
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

Node *loss_labels(Graph *graph, const Node *output, Node *target) {
  if (!labels_fit(&output->shape, &target->shape))
    return loss_refuse(graph,
                       "output must be [N, C] and target one label per row, [N], "
                       "or [N, T, C] and one label per step, [N, T]",
                       output, target);
  if (loss_one_class(graph, output)) return NULL;
  return op_reshape(graph, target, &SHAPE_OF(shape_count(&target->shape)));
}

Node *loss_shares(Graph *graph, const Loss *loss, Node *target) {
  const char *outer = graph->layer;
  char name[80];
  snprintf(name, sizeof name, "loss.%s", loss->object.kind->name);
  graph->layer = graph_intern(graph, name);
  Node *t = op_targets(graph, target, loss_targets(loss) == TARGETS_YES_NO);
  graph->layer = outer;
  return t;
}

/* -- targets ----------------------------------------------------------------------- */

LossTargets loss_targets(const Loss *loss) { return loss_kind(loss)->targets; }

static Err check_labels(const Array *t, int64_t before, Fault *fault) {
  Err err = op_labels_check(t, 0, before, fault);
  if (err && t->dtype == DT_REAL && t->shape.rank > 1)
    fault_suffix(fault,
                 "; shares of classes, as of set:one_hot() and data.mixup(), are "
                 "for losses as categorical_crossentropy");
  return err;
}

Err loss_check_targets(const Loss *loss, const Array *t, int64_t first_row,
                       Fault *fault) {
  int64_t per_row = t->shape.rank ? most(shape_stride(&t->shape, 0), 1) : 1;
  switch (loss_targets(loss)) {
  case TARGETS_YES_NO: return op_targets_check(t, true, first_row, fault);
  case TARGETS_DISTRIBUTIONS: return op_targets_check(t, false, first_row, fault);
  case TARGETS_LABELS:
  case TARGETS_ALIKE: return check_labels(t, first_row * per_row, fault);
  case TARGETS_OWN:
  case TARGETS_NUMBERS: break;
  }
  return ERR_OK;
}

LossForm loss_form(const Loss *loss, const Node *output) {
  const LossKind *kind = loss_kind(loss);
  return kind->form ? kind->form(loss, output) : FORM_PLAIN;
}

/* -- weights ----------------------------------------------------------------------- */

/* `x` with axes of 1 behind its own. */
static Node *with_rank(Graph *graph, Node *x, int rank) {
  if (x->shape.rank >= rank) return x;
  Shape shape = x->shape;
  while (shape.rank < rank) shape.dim[shape.rank++] = 1;
  return op_reshape(graph, x, &shape);
}

/* What each value counts: weight times mask, where both are given; NULL: nothing is, or
 * a fault. */
static Node *joint_weight(Graph *graph, Node *weight, Node *mask) {
  if (!weight || !mask) return weight ? weight : mask;
  return op_mul(graph, with_rank(graph, weight, mask->shape.rank),
                with_rank(graph, mask, weight->shape.rank));
}

static Node *refuse_weight(Graph *graph, const Node *weight, const Node *values) {
  char w[SHAPE_TEXT], v[SHAPE_TEXT];
  if (values->shape.rank == 0)
    fault_set(&graph->fault, ERR_SHAPE,
              "the function returned one number, which weights and masks cannot be "
              "part of; allowed with them: one value per row, [N]");
  else
    fault_set(&graph->fault, ERR_SHAPE,
              "weights must be one per row, [N], or one per step of a row, [N, T]; got "
              "weights %s for values %s",
              shape_text(w, &weight->shape), shape_text(v, &values->shape));
  return NULL;
}

/* The weight with the first axes of `of`: last axes of 1 that this lacks are dropped.
 * NULL, without a fault: it does not fit. */
static Node *first_axes(Graph *graph, Node *weight, const Shape *of) {
  Shape shape = weight->shape;
  while (shape.rank > 1 && shape.dim[shape.rank - 1] == 1 && !shape_begins(of, &shape))
    shape.rank--;
  if (shape.rank < 1 || !shape_begins(of, &shape)) return NULL;
  return shape.rank < weight->shape.rank ? op_reshape(graph, weight, &shape) : weight;
}

double loss_stand_in(const Loss *loss, DType dtype) {
  LossTargets targets = loss_targets(loss);
  return targets == TARGETS_LABELS || targets == TARGETS_ALIKE ||
         (targets == TARGETS_YES_NO && dtype != DT_REAL);
}

/* The target where the weight is not 0, else one that the loss may have: what is there
 * is not looked at. Of numbers of any size it is: weighted_mean leaves out what comes
 * of it. */
static Node *counted_target(Graph *graph, const Loss *loss, Node *target,
                            Node *weight) {
  LossTargets targets = loss_targets(loss);
  if (!target || targets == TARGETS_OWN || targets == TARGETS_NUMBERS) return target;
  Node *w = first_axes(graph, weight, &target->shape), *zero = graph_scalar(graph, 0);
  if (!w || !zero) return target;
  double value = loss_stand_in(loss, target->dtype);
  Node *other = graph_from_doubles(graph, target->dtype, &SHAPE_SCALAR, &value);
  Node *left_out = op_eq(graph, with_rank(graph, w, target->shape.rank), zero);
  return other ? op_where(graph, left_out, other, target) : NULL;
}

/* sum(w v) / sum(w), v the mean over the axes that the weights do not have. A v of
 * weight 0 is another branch of a `where`: neither its value nor its gradient arrives.
 */
static Node *weighted_mean(Graph *graph, Node *values, Node *weight, bool part) {
  Node *w = first_axes(graph, weight, &values->shape), *zero = graph_scalar(graph, 0);
  if (!w) return refuse_weight(graph, weight, values);
  w = op_weights(graph, w, part);
  if (!w || !zero) return NULL;
  unsigned own = ((1u << values->shape.rank) - 1) & ~((1u << w->shape.rank) - 1);
  Node *v = own ? op_mean(graph, values, own, false) : values;
  v = op_where(graph, op_eq(graph, w, zero), zero, v);
  return op_div(graph, op_sum(graph, op_mul(graph, v, w), ALL_AXES, false),
                op_sum(graph, w, ALL_AXES, false));
}

Node *loss_total(Graph *graph, const LossBatch *batch) {
  Node *weight = joint_weight(graph, batch->weight, batch->mask);
  if (weight) return op_sum(graph, weight, ALL_AXES, false);
  if (!batch->output || graph->fault.code) return NULL;
  return graph_scalar(graph, (double)batch->output->shape.dim[0]);
}

/* -- the loss ---------------------------------------------------------------------- */

/* A softmax of one unit is 1, whatever goes in. */
static bool always_one(const Node *output) {
  int rank = output->shape.rank;
  return rank > 0 && output->shape.dim[rank - 1] == 1 &&
         known_distributions(&output->known);
}

/* `weight` and `counts`: of a loss that couples rows. */
static Node *values_of(Graph *graph, const Loss *loss, Node *output, Node *target,
                       Node *weight, Node **counts) {
  const LossKind *kind = loss_kind(loss);
  if (loss_targets(loss) == TARGETS_OWN || !always_one(output))
    return kind->coupled ? kind->coupled(graph, loss, output, target, weight, counts)
                         : kind->values(graph, loss, output, target);
  fault_set(&graph->fault, ERR_VALUE,
            "the output is the softmax of one unit, which is always 1: use sigmoid, "
            "with binary_crossentropy for yes or no");
  return NULL;
}

static Node *prefixed(Graph *graph, const Loss *loss, Node *made) {
  if (!made && graph->fault.code != ERR_SCRIPT)
    fault_prefix(&graph->fault, "loss.%s", loss->object.kind->name);
  return made;
}

Node *loss_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  if (!output || !target || graph->fault.code) return NULL;
  Node *counts = NULL;
  return prefixed(graph, loss, values_of(graph, loss, output, target, NULL, &counts));
}

/* Of a loss that couples rows. */
static Node *coupled_mean(Graph *graph, const Loss *loss, const LossBatch *batch,
                          Node *target, Node *weight) {
  Node *output = batch->output, *counts = NULL;
  if (!output || !target || graph->fault.code) return NULL;
  const Shape rows = SHAPE_OF(output->shape.rank ? output->shape.dim[0] : 1);
  Node *w = weight ? first_axes(graph, weight, &rows) : NULL;
  if (weight && !w) return refuse_weight(graph, weight, output);
  Node *values = values_of(graph, loss, output, target, w, &counts);
  if (batch->pairs) *batch->pairs = op_sum(graph, counts, ALL_AXES, false);
  return values && counts ? weighted_mean(graph, values, counts, batch->part) : NULL;
}

Node *loss_apply(Graph *graph, const Loss *loss, const LossBatch *batch) {
  Node *weight = joint_weight(graph, batch->weight, batch->mask);
  Node *target = weight ? counted_target(graph, loss, batch->target, weight)
                        : batch->target;
  if (loss_kind(loss)->coupled)
    return prefixed(graph, loss, coupled_mean(graph, loss, batch, target, weight));
  Node *values = loss_values(graph, loss, batch->output, target);
  if (!values) return NULL;
  if (weight)
    return prefixed(graph, loss, weighted_mean(graph, values, weight, batch->part));
  return values->shape.rank ? op_mean(graph, values, ALL_AXES, false) : values;
}
