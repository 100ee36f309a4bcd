/* metric.c: metrics over the rows of a set, and the goals that their names imply; see
 * metric.h. */
#include "nn/metric.h"
#include "base/array.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- the family -------------------------------------------------------------------- */

#define METRIC(name) extern const MetricKind metric_##name;
#include "nn/metrics.def"
#undef METRIC

static const Kind *const metric_kinds[] = {
#define METRIC(name) &metric_##name.kind,
#include "nn/metrics.def"
#undef METRIC
    NULL};

const Family metric_family = {
    .name = "metric", .module = "train", .kinds = metric_kinds,
    .from_function = &metric_function.kind,
    .example = EXAMPLE_OF_FIT("metrics = { %s }")};

const char *metric_name(const Metric *metric) {
  return metric->name ? metric->name : metric->object.kind->name;
}

/* What a history, and the table given to a callback, hold beside the measures. */
static const char *const taken[] = {"loss", "epoch", "lr", "time_s", "best_epoch",
                                    "stopped",
                                    "probes", "epochs", "net", NULL};

static bool is_taken(const char *name) {
  if (strncmp(name, "val_", 4) == 0 || strncmp(name, "test_", 5) == 0) return true;
  for (int i = 0; taken[i]; i++)
    if (strcmp(taken[i], name) == 0) return true;
  return false;
}

/* Names of columns, too, are written into tables where quotes mean something. */
static bool is_name(const char *name) {
  size_t n = strlen(name);
  return n <= METRIC_NAME_BYTES && text_is_name(name, n) && !strchr(name, '"');
}

Err metric_check_name(Object *object, Fault *fault) {
  const Metric *metric = (const Metric *)object;
  bool is_file = metric_kind(metric)->table != NULL;
  if (metric->name && is_file && strchr(metric->name, '/'))
    return fault_set(fault, ERR_VALUE,
                     "train.%s: option \"name\": got \"%.60s\", allowed: a name "
                     "without /, which is part of a file's",
                     object->kind->name, metric->name);
  if (!metric->name || (is_name(metric->name) && !is_taken(metric->name)))
    return ERR_OK;
  if (is_name(metric->name))
    return fault_set(fault, ERR_VALUE,
                     "train.%s: option \"name\": \"%s\" is, or may become, the name of "
                     "another column of the history; allowed: any other, not beginning "
                     "with val_ or test_",
                     object->kind->name, metric->name);
  return fault_set(fault, ERR_VALUE,
                   "train.%s: option \"name\": got \"%.60s\", allowed: 1 to %d bytes, "
                   "" TEXT_NAME " \"",
                   object->kind->name, metric->name, METRIC_NAME_BYTES);
}

/* -- a measure --------------------------------------------------------------------- */

void measure_init(Measure *m, Metric *metric) {
  *m = (Measure){.metric = object_retain(metric), .limit_bytes = MEASURE_LIMIT_BYTES};
}

void measure_deinit(Measure *m) {
  object_release(m->metric);
  callable_release(m->state);
  free(m->v);
  free(m->output.bytes);
  free(m->target.bytes);
  free(m->weight.bytes);
  *m = (Measure){0};
}

Err measure_begin(Measure *m, Fault *fault) {
  (void)fault;
  m->n = 0;
  m->output.n_bytes = m->target.n_bytes = m->weight.n_bytes = 0;
  callable_release(m->state);
  m->state = NULL;
  return ERR_OK;
}

Err measure_room(Measure *m, int64_t n, Fault *fault) {
  Err err = ARRAY_ROOM(m->v, m->room, n, fault);
  for (; !err && m->n < n; m->n++) m->v[m->n] = 0;
  return err;
}

Err metric_keep(KeptRows *kept, const Array *rows, Fault *fault) {
  size_t n_bytes = (size_t)shape_count(&rows->shape) * dtype_bytes(rows->dtype);
  if (!kept->n_bytes) {
    kept->shape = rows->shape;
    kept->shape.dim[0] = 0;
    kept->dtype = rows->dtype;
  }
  Shape next = kept->shape;
  next.dim[0] = rows->shape.dim[0];
  if (!shape_equal(&next, &rows->shape) || kept->dtype != rows->dtype) {
    char had[SHAPE_TEXT], got[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE,
                     "metric: rows of one shape can be measured together, got %s after "
                     "%s; give { add = f, finish = g }",
                     shape_text(got, &rows->shape), shape_text(had, &kept->shape));
  }
  Err err = ARRAY_ROOM(kept->bytes, kept->room, (int64_t)(kept->n_bytes + n_bytes),
                       fault);
  if (err) return err;
  if (n_bytes) memcpy(kept->bytes + kept->n_bytes, rows->data, n_bytes);
  kept->n_bytes += n_bytes;
  kept->shape.dim[0] += rows->shape.dim[0];
  return ERR_OK;
}

Array metric_target(const Array *output, const Array *target) {
  Array out = *target;
  if (shape_differ_by_one(&output->shape, &target->shape)) out.shape = output->shape;
  return out;
}

static Err prefixed(const Metric *metric, Err err, Fault *fault) {
  if (err && err != ERR_SCRIPT) fault_prefix(fault, "%s", metric_name(metric));
  return err;
}

Err metric_check(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  const MetricKind *kind = metric_kind(metric);
  if (batch->output.shape.rank < 1 || batch->target.shape.rank < 1) {
    char o[SHAPE_TEXT], t[SHAPE_TEXT];
    fault_set(fault, ERR_SHAPE,
              "outputs and targets must have rows; got output %s and target "
              "%s",
              shape_text(o, &batch->output.shape), shape_text(t, &batch->target.shape));
    return prefixed(metric, ERR_SHAPE, fault);
  }
  if (batch->weight.data && !shape_begins(&batch->output.shape, &batch->weight.shape)) {
    char o[SHAPE_TEXT], w[SHAPE_TEXT];
    fault_set(fault, ERR_SHAPE,
              "weights must be one per row of the outputs, or per step of a row; got "
              "output %s and weights %s",
              shape_text(o, &batch->output.shape), shape_text(w, &batch->weight.shape));
    return prefixed(metric, ERR_SHAPE, fault);
  }
  return kind->check ? prefixed(metric, kind->check(metric, batch, fault), fault)
                     : ERR_OK;
}

Err measure_add(Measure *m, const MetricBatch *batch, Fault *fault) {
  Err err = metric_check(m->metric, batch, fault);
  if (err) return err;
  return prefixed(m->metric, metric_kind(m->metric)->add(m, batch, fault), fault);
}

double metric_share_error(double p, double n) {
  return n > 0 ? sqrt(p * (1 - p) / n) : NAN;
}

double metric_mean_error(double spread, double total, double squares) {
  bool several = squares < total * total; /* one row has no spread */
  return total > 0 && several ? sqrt(spread / total * squares) / total : NAN;
}

void metric_end_row(double v[N_OF_ROWS], double sum, double count) {
  if (count == 0) return;
  metric_spread(&v[ROW_MEAN], &v[ROW_SPREAD], sum / count, count, v[OF_COUNT]);
  v[ROW_SQUARES] += count * count;
}

Estimate metric_mean_of_rows(const double v[N_OF_ROWS]) {
  return (Estimate){v[OF_COUNT] > 0 ? v[OF_SUM] / v[OF_COUNT] : NAN,
                    metric_mean_error(v[ROW_SPREAD], v[OF_COUNT], v[ROW_SQUARES])};
}

Err measure_finish(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  const MetricKind *kind = metric_kind(m->metric);
  *out = (Estimate){NAN, NAN};
  if (kind->estimate && m->n) *out = kind->estimate(m);
  if (!kind->finish) return ERR_OK;
  return prefixed(m->metric, kind->finish(m, graph, out, fault), fault);
}

/* -- which way is better ----------------------------------------------------------- */

static bool is_word(const Kind *kind, const char *name) {
  return strcmp(kind->name, name) == 0 || text_has_word(kind->alias, name);
}

static const Kind *kind_of_name(const Family *family, const char *name) {
  for (int i = 0; family->kinds[i]; i++)
    if (is_word(family->kinds[i], name)) return family->kinds[i];
  return NULL;
}

/* Behind "fit2.", then "val_" or "test_". */
static const char *measure_of(const char *column) {
  if (strncmp(column, "fit", 3) == 0) {
    size_t digits = strspn(column + 3, "0123456789");
    if (digits && column[3 + digits] == '.') column += 3 + digits + 1;
  }
  if (strncmp(column, "val_", 4) == 0) return column + 4;
  return strncmp(column, "test_", 5) == 0 ? column + 5 : column;
}

NamedMeasure measure_named(const char *column) {
  const char *name = measure_of(column);
  const MetricKind *metric = (const MetricKind *)kind_of_name(&metric_family, name);
  if (metric) return (NamedMeasure){metric->goal, metric->low, metric->high};
  bool loss = strcmp(name, "loss") == 0 || kind_of_name(&loss_family, name);
  return (NamedMeasure){.goal = loss ? GOAL_MIN : GOAL_NONE};
}

Goal measure_goal(const char *column, Object *const *metrics, int n) {
  const char *name = measure_of(column);
  Goal goal = GOAL_NONE;
  for (int i = 0; goal == GOAL_NONE && i < n; i++) {
    const Metric *metric = (const Metric *)metrics[i];
    if (strcmp(metric_name(metric), name) != 0) continue;
    goal = metric->goal != GOAL_NONE ? (Goal)metric->goal : metric_kind(metric)->goal;
  }
  return goal == GOAL_NONE ? measure_named(column).goal : goal;
}

void metric_add_goal_missing(Text *out, const char *column, const char *option) {
  const char *names[64] = {"loss"};
  int n = 1;
  for (int i = 0; metric_kinds[i] && n < 64; i++)
    if (((const MetricKind *)metric_kinds[i])->goal != GOAL_NONE)
      names[n++] = metric_kinds[i]->name;
  const char *nearest = text_nearest(measure_of(column), names, n);
  text_addf(out,
            "option \"%s\" is missing: whether more or less %s is better does not "
            "follow from its name%s%s%s; allowed: \"max\" or \"min\"",
            option, column, nearest ? " (did you mean \"" : "", nearest ? nearest : "",
            nearest ? "\"?)" : "");
}
