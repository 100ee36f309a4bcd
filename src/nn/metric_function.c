/* metric_function.c: a metric of the user.
 *
 *   f(output, target) -> [N]        averaged over all rows
 *   f(output, target) -> a number   called once, on all rows in order
 *   { begin, add, finish }          adds batch after batch to a state of its own
 *
 * Which of the first two it is shows what f returns, so rows are kept until all are
 * there. Beyond the limit they go to f in parts: one that returns [N] does not mind.
 *
 * Standard errors: of a mean over rows that of a mean; of one number by the jackknife,
 * which calls f once more for each group of rows that is left out, and only where the
 * error is wanted; of the third form what finish returns beside the number. */
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
  int64_t jackknife; /* groups of rows; 0: none */
} FunctionMetric;

static const FunctionMetric *own(const Measure *m) {
  return (const FunctionMetric *)m->metric;
}

/* -- all rows, or parts of them ---------------------------------------------------- */

/* What f returned for some rows; `v` of a measure is that of all earlier parts. */
typedef struct Result {
  double v[N_OF_ROWS]; /* values, each times its weight */
  bool whole;          /* one number for all rows: OF_SUM */
} Result;

/* Adds what came of further rows. Spreads by Chan et al., as those of a mean are. */
static void join(double v[N_OF_ROWS], const double more[N_OF_ROWS]) {
  double before = v[OF_COUNT], n = more[OF_COUNT], off = more[ROW_MEAN] - v[ROW_MEAN];
  v[OF_SUM] += more[OF_SUM];
  v[OF_COUNT] += n;
  v[ROW_SQUARES] += more[ROW_SQUARES];
  if (n == 0) return;
  v[ROW_MEAN] += off * n / v[OF_COUNT];
  v[ROW_SPREAD] += more[ROW_SPREAD] + off * off * before * n / v[OF_COUNT];
}

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

static Err add_values(const Measure *m, const Array *values, double v[N_OF_ROWS],
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
  int64_t width = n / values->shape.dim[0];
  double sum = 0, count = 0;
  for (int64_t i = 0; i < n; i++) {
    double w = metric_weight(&rows, i, n);
    if (i % width == 0) sum = count = 0;
    if (w != 0) {
      double x = w * array_get(values, i);
      v[OF_SUM] += x;
      v[OF_COUNT] += w;
      sum += x;
      count += w;
    }
    if ((i + 1) % width == 0) metric_end_row(v, sum, count);
  }
  return ERR_OK;
}

/* One value per row, summed; or `whole`: one number for all of them. */
static Err take_result(const Measure *m, const KeptRows *outputs,
                       const KeptRows *targets, const Tensor *t, Result *out,
                       Fault *fault) {
  const Shape *shape = &t->a.shape, *rows = &outputs->shape;
  bool by_row = is_by_row(shape, rows) || is_by_row(shape, &targets->shape) ||
                (shape->rank == 2 && shape->dim[0] == rows->dim[0] &&
                 shape->dim[1] == 1);
  *out = (Result){.whole = tensor_count(t) == 1 && !by_row};
  if (out->whole && m->weight.n_bytes)
    return fault_set(fault, ERR_VALUE,
                     "the function returned one number, which the weights of the data "
                     "set cannot be part of; allowed: one value per row, or { add = "
                     "function(state, output, target, weight) ..., finish = f }");
  if (!by_row && !out->whole) {
    char got[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE,
                     "the function must return one number, or one per row, [%lld]; got "
                     "%s, and matrices of functions are not recorded",
                     (long long)rows->dim[0], shape_text(got, shape));
  }
  if (!out->whole) return add_values(m, &t->a, out->v, fault);
  out->v[OF_SUM] = array_get(&t->a, 0);
  out->v[OF_COUNT] = 1;
  return ERR_OK;
}

/* Calls the function on these rows, all that are kept or some of them. */
static Err call_on(const Measure *m, Graph *graph, const KeptRows *outputs,
                   const KeptRows *targets, Result *out, Fault *fault) {
  int scope = graph_scope_begin(graph);
  Node *output = kept_node(graph, outputs), *target = kept_node(graph, targets);
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = output && target ? callable_node(graph, own(m)->function, in, 2, "") : NULL;
  const Tensor *t = y ? graph_value(graph, y) : NULL;
  Err err = t ? take_result(m, outputs, targets, t, out, fault)
              : graph_ok(graph, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* What is kept goes to the function, which must not want all rows at once. */
static Err use_part(Measure *m, Graph *graph, Fault *fault) {
  Result result = {0};
  Err err = call_on(m, graph, &m->output, &m->target, &result, fault);
  if (!err && result.whole)
    err = fault_set(fault, ERR_VALUE,
                    "the function returns one number for all rows, whose outputs and "
                    "targets are more than %lld MB; give { add = function(state, "
                    "output, target) ... return state end, finish = function(state) "
                    "... end }",
                    (long long)(m->limit_bytes >> 20));
  if (!err) err = measure_room(m, N_OF_ROWS, fault);
  if (err) return err;
  join(m->v, result.v);
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

/* -- the jackknife ----------------------------------------------------------------- */

/* The rows without every `groups`th, from number `first` on, so that rows in the order
 * of their classes leave no class out. */
static Err leave_out(const KeptRows *all, int64_t groups, int64_t first, KeptRows *out,
                     Fault *fault) {
  int64_t n = all->shape.dim[0];
  Array row = {all->shape, all->dtype, NULL};
  Err err = ERR_OK;
  row.shape.dim[0] = 1;
  size_t n_bytes = all->n_bytes / (size_t)n;
  out->n_bytes = 0;
  for (int64_t i = 0; !err && i < n; i++) {
    row.data = all->bytes + (size_t)i * n_bytes;
    if (i % groups != first) err = metric_keep(out, &row, fault);
  }
  return err;
}

/* Of one number of all rows: how far it moves where a group is left out. */
static Err jackknife(const Measure *m, Graph *graph, double *error, Fault *fault) {
  KeptRows outputs = {0}, targets = {0};
  int64_t n = m->output.shape.dim[0], groups = own(m)->jackknife;
  double mean = 0, spread = 0;
  Err err = ERR_OK;
  if (groups > n) groups = n;
  for (int64_t g = 0; !err && groups > 1 && g < groups; g++) {
    Result result = {0};
    err = leave_out(&m->output, groups, g, &outputs, fault);
    if (!err) err = leave_out(&m->target, groups, g, &targets, fault);
    if (!err) err = call_on(m, graph, &outputs, &targets, &result, fault);
    if (!err && !result.whole)
      err = fault_set(fault, ERR_SHAPE,
                      "the function returned one number for all rows, and one per row "
                      "where some are left out for the standard error; allowed: one "
                      "number, or jackknife = 0");
    metric_spread(&mean, &spread, result.v[OF_SUM], 1, (double)g + 1);
  }
  if (groups > 1) *error = sqrt(spread * (double)(groups - 1) / (double)groups);
  free(outputs.bytes);
  free(targets.bytes);
  return err;
}

static Err finish_rows(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  Result result = {0};
  if (!m->output.n_bytes) return ERR_OK;
  Err err = call_on(m, graph, &m->output, &m->target, &result, fault);
  if (err) return err;
  if (result.whole && m->n)
    return fault_set(fault, ERR_SHAPE,
                     "the function returned one number per row for the first rows, and "
                     "one number for the last");
  if (result.whole) {
    out->value = result.v[OF_SUM];
    return m->with_error ? jackknife(m, graph, &out->error, fault) : ERR_OK;
  }
  double all[N_OF_ROWS] = {0};
  if (m->n) memcpy(all, m->v, sizeof all);
  join(all, result.v);
  *out = metric_mean_of_rows(all);
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

static Err take_number(Graph *graph, const Value *result, double *out, Fault *fault) {
  Node *y = callable_result(graph, result, "finish");
  const Tensor *t = y ? graph_value(graph, y) : NULL;
  char got[SHAPE_TEXT];
  if (!t) return graph_ok(graph, fault);
  if (tensor_count(t) != 1)
    return fault_set(fault, ERR_SHAPE, "finish must return one number, got %s",
                     shape_text(got, &t->a.shape));
  *out = array_get(&t->a, 0);
  return ERR_OK;
}

/* The number, and its standard error where there is a second result. */
static Err finish_state(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  Callable *finish = own(m)->finish;
  Value in = state_value(m), results[2] = {{0}, {0}};
  int scope = graph_scope_begin(graph);
  Err err = finish->call(finish, &in, 1, results, 2, fault);
  if (!err) err = take_number(graph, &results[0], &out->value, fault);
  if (!err && results[1].kind != VALUE_NIL)
    err = take_number(graph, &results[1], &out->error, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* -- the record -------------------------------------------------------------------- */

static Err add_function(Measure *m, const MetricBatch *batch, Fault *fault) {
  return own(m)->function ? keep_rows(m, batch, fault) : add_to_state(m, batch, fault);
}

static Err finish_function(const Measure *m, Graph *graph, Estimate *out,
                           Fault *fault) {
  if (own(m)->function) return finish_rows(m, graph, out, fault);
  return m->n ? finish_state(m, graph, out, fault) : ERR_OK;
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
  if (f->range.n != 0 && !(f->range.n == 2 && f->range.v[0] < f->range.v[1]))
    return fault_set(fault, ERR_VALUE,
                     "train.metric: option \"range\": allowed: the smallest and the "
                     "largest value, as in { 0, 1 }");
  return f->jackknife != 1 ? ERR_OK
                           : fault_set(fault, ERR_VALUE,
                                       "train.metric: option \"jackknife\": got 1, "
                                       "allowed: 0, or an integer from 2 to 1000");
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
     .doc = "f(state) -> number, after the last batch; or number, its standard error"},
    {.name = "jackknife", .kind = OPT_INT, AT(jackknife), .value = "20", .lo = 0,
     .hi = 1000,
     .doc = "groups of rows, each left out in turn, by which a function that returns "
            "one number gets its standard error, where one is asked for: right for "
            "what changes smoothly with the rows (means, ratios, correlations), not "
            "for a maximum; 0: none"},
    {0}};

const MetricKind metric_function = {
    .kind = {.name = "metric", .family = &metric_family, .size = sizeof(FunctionMetric),
             .options = options, .check = function_check,
             .call = "train.metric(function(output, target) return output:max() end, "
                     "{ goal = \"max\" })",
             .doc = "A metric of the user: a function of outputs and targets, or { "
                    "begin = f, add = g, finish = h } that adds batch after batch. It "
                    "is exact over all rows, whatever the batches.",
             .equation = "m = f(y, t); m = mean_n f(y, t)_n; standard error of a mean "
                         "sd / sqrt(n); of one number sqrt((G - 1) / G sum_g(m_g - "
                         "mean(m_g))^2), m_g without group g of G",
             .source = "Shao and Tu, The Jackknife and Bootstrap, 2.3.2"},
    .add = add_function, .finish = finish_function};
