/* metric.c: the records of the metrics. */
#include "nn/metric.h"
#include "graph/ops.h"
#include "nn/activation.h"
#include <stddef.h>

/* -- accuracy ---------------------------------------------------------------------- */

static Node *refuse(Graph *graph, const Node *output, const Node *target) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "accuracy: targets must be labels [N], or of the output's shape; got output %s "
            "and target %s", shape_text(o, &output->shape), shape_text(t, &target->shape));
  return NULL;
}

/* One output per row: yes when it is at least the threshold; without a loss that says what
 * the output is, it is a logit unless a sigmoid made it, as in predict_classes. Integer
 * targets are labels 1 and 2, others numbers from 0 to 1. */
static Node *binary_accuracy(Graph *graph, const Loss *loss, Node *output, Node *target) {
  if (shape_count(&output->shape) != shape_count(&target->shape))
    return refuse(graph, output, target);
  bool logit = loss ? loss_form(loss, output) == FORM_LOGITS :
                      output->net_output && output->op != &op_record_sigmoid;
  bool labels = target->dtype != DT_REAL;
  Node *yes = op_ge(graph, output, graph_scalar(graph, logit ? 0 : 0.5));
  Node *is = op_ge(graph, target, graph_scalar(graph, labels ? 1.5 : 0.5));
  Node *hit = op_eq(graph, yes, op_reshape(graph, is, &output->shape));
  return op_mean(graph, hit, ALL_AXES, false);
}

static Node *apply_accuracy(Graph *graph, Metric *metric, const Loss *loss, Node *output,
                            Node *target) {
  (void)metric;
  const Shape *o = &output->shape, *t = &target->shape;
  if (o->rank < 2 || o->dim[o->rank - 1] == 1)
    return binary_accuracy(graph, loss, output, target);
  int last = o->rank - 1;
  Node *got = op_argmax(graph, output, last), *want = target;
  if (shape_equal(o, t)) want = op_argmax(graph, target, last);
  else if (shape_count(t) * o->dim[last] != shape_count(o))
    return refuse(graph, output, target);
  if (!got || !want) return NULL;
  want = op_reshape(graph, want, &got->shape);
  return op_mean(graph, op_eq(graph, got, want), ALL_AXES, false);
}

/* -- a function of the user -------------------------------------------------------- */

static Node *apply_function(Graph *graph, Metric *metric, const Loss *loss, Node *output,
                            Node *target) {
  (void)loss;
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = callable_node(graph, metric->function, in, 2, "metric");
  return y && y->shape.rank ? op_mean(graph, y, ALL_AXES, false) : y;
}

/* -- records ----------------------------------------------------------------------- */

#define NAME                                                                           \
  {.name = "name", .kind = OPT_TEXT, .offset = offsetof(Metric, name),                 \
   .doc = "of its column in the history"}

static const Option accuracy_options[] = {NAME, {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(Metric, function),
     .position = 1, .doc = "f(output, target) -> number, the mean over the batch"},
    NAME,
    {0}};

static Err function_check(Object *object, Fault *fault) {
  if (((const Metric *)object)->function) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "train.metric: \"function\" is missing: "
                   "f(output, target) -> number");
}

static const MetricKind metric_accuracy = {
    {.name = "accuracy", .alias = "acc", .family = &metric_family, .size = sizeof(Metric),
     .options = accuracy_options,
     .doc = "Share of rows whose largest output is the target; with one output, of those "
            "on the right side of 1/2.",
     .equation = "mean_n(argmax_j y_nj = t_n)"},
    apply_accuracy};
static const MetricKind metric_function = {
    {.name = "metric", .family = &metric_family, .size = sizeof(Metric),
     .options = function_options, .check = function_check, .doc = "A function of the user.",
     .equation = "m = f(y, t)"},
    apply_function};

static const Kind *const metric_kinds[] = {&metric_accuracy.kind, &metric_function.kind,
                                           NULL};

const Family metric_family = {"metric", "train", metric_kinds, &metric_function.kind};

Node *metric_apply(Graph *graph, Metric *metric, const Loss *loss, Node *output,
                   Node *target) {
  if (!output || !target || graph->fault.code) return NULL;
  const MetricKind *kind = (const MetricKind *)metric->object.kind;
  return kind->apply(graph, metric, loss, output, target);
}

const char *metric_name(const Metric *metric) {
  return metric->name ? metric->name : metric->object.kind->name;
}
