/* metric_function.c: a metric of the user.
 *
 *   f(output, target) -> [N]        averaged over all rows
 *   f(output, target) -> a number   called once, on all rows in order
 *   { begin, add, finish }          adds batch after batch to a state of its own
 *
 * Which of the first two it is shows what f returns, so rows are kept until all are
 * there. Beyond the limit they go to f in parts: one that returns [N] does not mind. */
#include "nn/metric.h"
#include "graph/graph.h"
#include "nn/activation.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct FunctionMetric {
  Metric metric;
  Callable *function; /* this, or the others */
  Callable *begin, *add, *finish;
  IntList range;
} FunctionMetric;

static const FunctionMetric *own(const Measure *m) {
  return (const FunctionMetric *)m->metric;
}

/* -- all rows, or parts of them ---------------------------------------------------- */

/* What f returned for some rows, in all. */
typedef struct Parts {
  double sum, count; /* each value times its weight; of these weights */
  bool whole;        /* one number for all rows */
} Parts;

/* v: of what f returned for earlier parts, the sum, each times its weight, and these
 * weights. */
enum { SUM, COUNT, N_PARTS };

static Node *kept_node(Graph *graph, const KeptRows *kept) {
  Tensor *t = tensor_new(&graph->memory, kept->dtype, &kept->shape, &graph->fault);
  if (!t) return NULL;
  if (kept->n_bytes) memcpy(t->a.data, kept->bytes, kept->n_bytes);
  Node *node = graph_const(graph, t);
  tensor_release(t);
  return node;
}

/* Has it the first axes of `of`: one value for each row, for each step of a row ...
 * ? */
static bool is_by_row(const Shape *shape, const Shape *of) {
  return shape->rank >= 1 && shape_begins(of, shape);
}

static Err add_values(const Measure *m, const Array *values, Parts *parts,
                      Fault *fault) {
  const KeptRows *kept = &m->weight;
  MetricBatch rows = {0};
  if (kept->n_bytes) rows.weight = (Array){kept->shape, kept->dtype, kept->bytes};
  int64_t n = shape_count(&values->shape), n_weights = shape_count(&rows.weight.shape);
  if (rows.weight.data && n % n_weights != 0)
    return fault_set(fault, ERR_SHAPE,
                     "the data set has %lld weights for %lld values of the function; "
                     "allowed: one value for each weight",
                     (long long)n_weights, (long long)n);
  for (int64_t i = 0; i < n; i++) {
    double w = metric_weight(&rows, i, n);
    if (w == 0) continue;
    parts->sum += w * array_get(values, i);
    parts->count += w;
  }
  return ERR_OK;
}

/* One value per row, summed; or `whole`: one number for all of them. */
static Err take_result(const Measure *m, Graph *graph, Node *y, Parts *parts,
                       Fault *fault) {
  const Tensor *t = graph_value(graph, y);
  if (!t) return graph_ok(graph, fault);
  const Shape *shape = &t->a.shape, *rows = &m->output.shape;
  bool by_row = is_by_row(shape, rows) || is_by_row(shape, &m->target.shape) ||
                (shape->rank == 2 && shape->dim[0] == rows->dim[0] &&
                 shape->dim[1] == 1);
  *parts = (Parts){.whole = tensor_count(t) == 1 && !by_row};
  if (parts->whole && m->weight.n_bytes)
    return fault_set(fault, ERR_VALUE,
                     "the function returned one number, which the weights of the data "
                     "set cannot be part of; allowed: one value per row, or { add = "
                     "function(state, output, target, weight) ..., finish = f }");
  if (!by_row && !parts->whole) {
    char got[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE,
                     "the function must return one number, or one per row, [%lld]; got "
                     "%s: matrices and curves are not recorded yet",
                     (long long)rows->dim[0], shape_text(got, shape));
  }
  if (!parts->whole) return add_values(m, &t->a, parts, fault);
  *parts = (Parts){.whole = true, .sum = array_get(&t->a, 0), .count = 1};
  return ERR_OK;
}

static Err call_on_rows(const Measure *m, Graph *graph, Parts *parts, Fault *fault) {
  int scope = graph_scope_begin(graph);
  Node *output = kept_node(graph, &m->output), *target = kept_node(graph, &m->target);
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = output && target ? callable_node(graph, own(m)->function, in, 2, "") : NULL;
  Err err = y ? take_result(m, graph, y, parts, fault) : graph_ok(graph, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* What is kept goes to the function, which must not want all rows at once. */
static Err use_part(Measure *m, Graph *graph, Fault *fault) {
  Parts parts = {0};
  Err err = call_on_rows(m, graph, &parts, fault);
  if (!err && parts.whole)
    err = fault_set(fault, ERR_VALUE,
                    "the function returns one number for all rows, whose outputs and "
                    "targets are more than %lld MB; give { add = function(state, "
                    "output, target) ... return state end, finish = function(state) "
                    "... end }",
                    (long long)(m->limit_bytes >> 20));
  if (!err) err = measure_room(m, N_PARTS, fault);
  if (err) return err;
  m->v[SUM] += parts.sum;
  m->v[COUNT] += parts.count;
  m->output.n_bytes = m->target.n_bytes = m->weight.n_bytes = 0;
  return ERR_OK;
}

static Err keep_rows(Measure *m, const MetricBatch *batch, Fault *fault) {
  size_t more = (size_t)shape_count(&batch->output.shape) *
                    dtype_bytes(batch->output.dtype) +
                (size_t)shape_count(&batch->target.shape) *
                    dtype_bytes(batch->target.dtype);
  Err err = ERR_OK;
  if (m->output.n_bytes &&
      m->output.n_bytes + m->target.n_bytes + more > m->limit_bytes)
    err = use_part(m, batch->graph, fault);
  if (!err) err = metric_keep(&m->output, &batch->output, fault);
  if (!err && batch->weight.data) err = metric_keep(&m->weight, &batch->weight, fault);
  return err ? err : metric_keep(&m->target, &batch->target, fault);
}

static Err finish_rows(const Measure *m, Graph *graph, double *value, Fault *fault) {
  Parts parts = {0};
  *value = NAN;
  if (!m->output.n_bytes) return ERR_OK;
  Err err = call_on_rows(m, graph, &parts, fault);
  if (err) return err;
  if (parts.whole && m->n)
    return fault_set(fault, ERR_SHAPE,
                     "the function returned one number per row for the first rows, and "
                     "one number for the last");
  double sum = m->n ? m->v[SUM] + parts.sum : parts.sum;
  *value = sum / (m->n ? m->v[COUNT] + parts.count : parts.count);
  return ERR_OK;
}

/* -- begin, add, finish ------------------------------------------------------------ */

static Value state_value(const Measure *m) {
  if (!m->state) return (Value){.kind = VALUE_NIL};
  return (Value){.kind = VALUE_HELD, .as.ref = m->state};
}

static Err set_state(Measure *m, const Value *value, const char *who, Fault *fault) {
  if (value->kind != VALUE_HELD)
    return fault_set(fault, ERR_VALUE, "%s returned nothing; allowed: the state", who);
  callable_release(m->state);
  m->state = value->as.ref;
  return ERR_OK;
}

static Err add_to_state(Measure *m, const MetricBatch *batch, Fault *fault) {
  const FunctionMetric *f = own(m);
  Graph *graph = batch->graph;
  Value out = {.kind = VALUE_HELD};
  int64_t first = m->n;
  Err err = measure_room(m, 1, fault); /* v[0]: there were rows */
  if (!err && first == 0 && f->begin) {
    err = f->begin->call(f->begin, NULL, 0, &out, 1, fault);
    if (!err) err = set_state(m, &out, "begin", fault);
  }
  if (err) return err;
  KeptRows y = {0}, t = {0}, w = {0};
  int scope = graph_scope_begin(graph);
  err = metric_keep(&y, &batch->output, fault);
  if (!err) err = metric_keep(&t, &batch->target, fault);
  if (!err && batch->weight.data) err = metric_keep(&w, &batch->weight, fault);
  Value in[4] = {
      state_value(m), {.kind = VALUE_NODE}, {.kind = VALUE_NODE}, {.kind = VALUE_NIL}};
  if (!err && (!(in[1].as.ref = kept_node(graph, &y)) ||
               !(in[2].as.ref = kept_node(graph, &t))))
    err = graph_ok(graph, fault);
  if (!err && w.n_bytes) {
    in[3] = (Value){.kind = VALUE_NODE, .as.ref = kept_node(graph, &w)};
    if (!in[3].as.ref) err = graph_ok(graph, fault);
  }
  out = (Value){.kind = VALUE_HELD};
  if (!err) err = f->add->call(f->add, in, w.n_bytes ? 4 : 3, &out, 1, fault);
  if (!err) err = set_state(m, &out, "add", fault);
  graph_scope_end(graph, scope);
  free(y.bytes);
  free(t.bytes);
  free(w.bytes);
  return err;
}

static Err finish_state(const Measure *m, Graph *graph, double *value, Fault *fault) {
  const FunctionMetric *f = own(m);
  Value in = state_value(m);
  int scope = graph_scope_begin(graph);
  Node *y = callable_node(graph, f->finish, &in, 1, "finish");
  const Tensor *t = y ? graph_value(graph, y) : NULL;
  Err err = t ? ERR_OK : graph_ok(graph, fault);
  char got[SHAPE_TEXT];
  if (t && tensor_count(t) != 1)
    err = fault_set(fault, ERR_SHAPE, "finish must return one number, got %s",
                    shape_text(got, &t->a.shape));
  else if (t) *value = array_get(&t->a, 0);
  graph_scope_end(graph, scope);
  return err;
}

/* -- the record -------------------------------------------------------------------- */

static Err add_function(Measure *m, const MetricBatch *batch, Fault *fault) {
  return own(m)->function ? keep_rows(m, batch, fault) : add_to_state(m, batch, fault);
}

static Err finish_function(const Measure *m, Graph *graph, double *value,
                           Fault *fault) {
  *value = NAN;
  if (own(m)->function) return finish_rows(m, graph, value, fault);
  return m->n ? finish_state(m, graph, value, fault) : ERR_OK;
}

static Err function_check(Object *object, Fault *fault) {
  const FunctionMetric *f = (const FunctionMetric *)object;
  bool parts = f->begin || f->add || f->finish;
  if (metric_check_name(object, fault)) return fault->code;
  if (f->function && parts)
    return fault_set(fault, ERR_VALUE,
                     "train.metric: both a function and %s are given; allowed: "
                     "f(output, target), or add and finish",
                     f->add ? "add" : "finish");
  if (!f->function && !parts)
    return fault_set(fault, ERR_VALUE,
                     "train.metric: \"function\" is missing: f(output, target) -> one "
                     "number, or one per row");
  if (parts && (!f->add || !f->finish))
    return fault_set(fault, ERR_VALUE, "train.metric: \"%s\" is missing: %s",
                     f->add ? "finish" : "add",
                     f->add ? "f(state) -> number"
                            : "f(state, output, target) -> state");
  if (f->range.n == 0 || (f->range.n == 2 && f->range.v[0] < f->range.v[1]))
    return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.metric: option \"range\": allowed: the smallest and the "
                   "largest value, as in { 0, 1 }");
}

/* In the order of Goal. */
static const char *const goal_names[] = {"auto", "min", "max", NULL};

#define AT(field) .offset = offsetof(FunctionMetric, field)

static const Option options[] = {
    {.name = "function", .kind = OPT_CALL, AT(function), .value = "none",
     .position = 1,
     .doc = "f(output, target) -> [N], a value for each row, whose mean is taken, by "
            "the weights of a data set that has some; or -> one number, then it is "
            "called once, with the outputs and targets of all rows in order (up to 256 "
            "MB of them)"},
    METRIC_NAME,
    {.name = "goal", .kind = OPT_CHOICE, .offset = offsetof(Metric, goal),
     .value = "auto",
     .choices = goal_names,
     .doc = "which way is better, for early_stopping and checkpoint. auto: known from "
            "the name, if it is that of a metric or a loss"},
    {.name = "range", .kind = OPT_INTS, AT(range),
     .doc = "smallest and largest value that the metric can have, as in { 0, 1 }"},
    {.name = "begin", .kind = OPT_CALL, AT(begin),
     .doc = "f() -> state, before the first batch; without it the state begins as nil"},
    {.name = "add", .kind = OPT_CALL, AT(add),
     .doc = "f(state, output, target, weight) -> state, for each batch, in place of a "
            "function of all rows; weight is nil where the data set has none"},
    {.name = "finish", .kind = OPT_CALL, AT(finish),
     .doc = "f(state) -> number, after the last batch"},
    {0}};

const MetricKind metric_function = {
    .kind = {.name = "metric", .family = &metric_family, .size = sizeof(FunctionMetric),
             .options = options, .check = function_check,
             .call = "train.metric(function(output, target) return output:max() end, "
                     "{ goal = \"max\" })",
             .doc = "A metric of the user: a function of outputs and targets, or { "
                    "begin = f, add = g, finish = h } that adds batch after batch. It "
                    "is exact over all rows, whatever the batches.",
             .equation = "m = f(y, t); m = mean_n f(y, t)_n"},
    .add = add_function, .finish = finish_function};
