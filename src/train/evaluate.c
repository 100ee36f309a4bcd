/* evaluate.c: loss and metrics over a data set, without training. */
#include "graph/bound.h"
#include "base/hash.h"
#include "nn/trained.h"
#include "train/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- targets ----------------------------------------------------------------------- */

/* The targets with what the loss may have in the place of those that do not count, in
 * `*copy`, which is NULL or the caller's. */
static Err without_uncounted(const Loss *loss, Array *targets, const Array *weight,
                             Tensor **copy, Fault *fault) {
  tensor_release(*copy);
  *copy = tensor_new(NULL, targets->dtype, &targets->shape, fault);
  if (!*copy) return fault->code;
  int64_t n = shape_count(&targets->shape),
          per_weight = n / shape_count(&weight->shape);
  for (int64_t i = 0; i < n; i++)
    array_set(&(*copy)->a, i,
              array_get(weight, i / per_weight) == 0
                  ? loss_stand_in(loss, targets->dtype)
                  : array_get(targets, i));
  *targets = (*copy)->a;
  return ERR_OK;
}

Err train_check_targets(const Loss *loss, const Dataset *set, Fault *fault) {
  Tensor *room = NULL, *copy = NULL;
  Err err = ERR_OK;
  for (int64_t row = 0; !err && row < dataset_n(set);) {
    Array targets = dataset_targets(set, row), weight;
    err = weight_of_rows(&room, set, row, &targets.shape, true, &weight, fault);
    if (!err && weight.data)
      err = without_uncounted(loss, &targets, &weight, &copy, fault);
    if (!err) err = loss_check_targets(loss, &targets, row, fault);
    row += targets.shape.dim[0];
  }
  tensor_release(room);
  tensor_release(copy);
  if (err)
    fault_prefix(fault, "data set %s: loss.%s", dataset_name(set),
                 loss->object.kind->name);
  return err;
}

/* -- measures of a list of metrics ------------------------------------------------- */

static Err check_names(const ObjectList *metrics, const char *who, Fault *fault) {
  for (int i = 0; i < metrics->n; i++)
    for (int k = 0; k < i; k++) {
      const char *name = metric_name((const Metric *)metrics->v[i]);
      if (strcmp(name, metric_name((const Metric *)metrics->v[k])) != 0) continue;
      return fault_set(fault, ERR_VALUE,
                       "%s: option \"metrics\": two of them are called \"%s\"; give "
                       "one another name, as in train.metric(f, { name = \"...\" "
                       "})",
                       who, name);
    }
  return ERR_OK;
}

Err measures_open(Measures *out, const ObjectList *metrics, const char *who,
                  Fault *fault) {
  *out = (Measures){0};
  if (check_names(metrics, who, fault)) return fault->code;
  *out = (Measures){.v = calloc((size_t)metrics->n + 1, sizeof *out->v)};
  if (!out->v) return fault_memory(fault, (size_t)metrics->n * sizeof *out->v);
  for (; out->n < metrics->n; out->n++)
    measure_init(&out->v[out->n], (Metric *)metrics->v[out->n]);
  return measures_begin(out, fault);
}

void measures_close(Measures *measures) {
  for (int i = 0; i < measures->n; i++) measure_deinit(&measures->v[i]);
  free(measures->v);
  *measures = (Measures){0};
}

Err measures_begin(Measures *measures, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++)
    err = measure_begin(&measures->v[i], fault);
  return err;
}

Err measures_check(Measures *measures, Graph *graph, const Loss *loss,
                   const Node *output, const Node *target, Fault *fault) {
  MetricBatch batch = {.graph = graph, .output = {output->shape, output->dtype, NULL}};
  Array t = {target->shape, target->dtype, NULL};
  batch.target = metric_target(&batch.output, &t);
  batch.reading = measures->reading = reading_of(loss, output, target);
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++)
    err = metric_check(measures->v[i].metric, &batch, fault);
  return err;
}

Err measures_check_set(const Measures *measures, Graph *graph, Dataset *set,
                       const Port *output, int64_t n_rows, Fault *fault) {
  const Node *y = output->x;
  MetricBatch batch = {.graph = graph, .output = {y->shape, y->dtype, NULL},
                       .reading = measures->reading};
  int64_t *n_out = batch.output.shape.dim;
  Tensor *room = NULL;
  Err err = ERR_OK;
  if (measures->n == 0 || n_rows == 0 || *n_out % n_rows) return ERR_OK;
  int64_t per_row = *n_out / n_rows;
  for (int64_t row = 0; !err && row < dataset_n(set);) {
    Array t = dataset_targets(set, row);
    *n_out = per_row * t.shape.dim[0];
    batch.target = metric_target(&batch.output, &t);
    err = weight_of_rows(&room, set, row, &batch.output.shape, output->mask != NULL,
                         &batch.weight, fault);
    for (int i = 0; !err && i < measures->n; i++)
      err = metric_check(measures->v[i].metric, &batch, fault);
    row += t.shape.dim[0];
  }
  tensor_release(room);
  if (err) fault_prefix(fault, "data set %s", dataset_name(set));
  return err;
}

Err measures_add(Measures *measures, Graph *graph, const Tensor *output,
                 const Tensor *target, const Tensor *weight, Fault *fault) {
  MetricBatch rows = {.graph = graph, .output = output->a,
                      .target = metric_target(&output->a, &target->a),
                      .reading = measures->reading};
  if (weight) rows.weight = weight->a;
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++)
    if (measures->tables || !metric_kind(measures->v[i].metric)->table)
      err = measure_add(&measures->v[i], &rows, fault);
  return err;
}

Err measures_finish(const Measures *measures, Graph *graph, double *value,
                    const MeasureDetails *details, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++) {
    const Measure *m = &measures->v[i];
    const MetricKind *kind = metric_kind(m->metric);
    Estimate estimate;
    err = measure_finish(m, graph, &estimate, fault);
    value[i] = estimate.value;
    if (details && details->error) details->error[i] = estimate.error;
    if (!err && details && kind->table) err = kind->table(m, &details->table[i], fault);
  }
  return err;
}

/* -- a batch ----------------------------------------------------------------------- */

Ports batch_inputs(Graph *graph, const Batch *batch) {
  Ports in = {.n = batch->n_x};
  for (int i = 0; i < in.n; i++) in.v[i].x = graph_const(graph, batch->x[i]);
  if (batch->mask) in.v[0].mask = graph_const(graph, batch->mask);
  if (graph->fault.code) in.n = 0;
  return in;
}

int batch_args(const Batch *batch, Tensor *weight, Tensor *out[BOUND_ARGS]) {
  int n = 0;
  for (int i = 0; i < batch->n_x; i++) out[n++] = batch->x[i];
  if (batch->y) out[n++] = batch->y;
  if (weight) out[n++] = weight;
  if (batch->mask) out[n++] = batch->mask;
  return n;
}

/* -- a set ------------------------------------------------------------------------- */

typedef struct Evaluation {
  Graph *graph;
  Layer *net;
  Loss *loss; /* NULL: not measured */
  Measures measures;
  Repeat repeat;
  bool watched;      /* functions of the user run between batches */
  uint64_t settings; /* of what emit makes */
  Batches batches;
  Batch batch;
  bool masked;       /* outputs have a mask, the last node of a batch */
  bool coupled;      /* the loss couples rows: what it counts follows it in a batch */
  Tensor *counted;   /* of the batch's rows: weights times that mask */
  double sum, total; /* of the loss, each batch times what it counts; of that */
} Evaluation;

/* Nodes of one batch: the output, the loss, unless there is none, what it counts where
 * it couples rows, the mask where outputs have one. The loss of rows that all have the
 * weight 0, or of which no two make a pair, is NaN, and adds nothing. */
static Err emit(void *ctx, Node **out, int *n_out, Fault *fault) {
  Evaluation *e = ctx;
  Graph *graph = e->graph;
  const Ports in = batch_inputs(graph, &e->batch);
  const Port output = layer_call_one(graph, e->net, &in);
  Node *y = loss_conform(graph, output.x, graph_const(graph, e->batch.y));
  Node *pairs = NULL;
  LossBatch rows = {.output = output.x, .target = y, .mask = output.mask, .part = true,
                    .pairs = &pairs};
  if (e->batch.weight) rows.weight = graph_const(graph, e->batch.weight);
  *n_out = 0;
  out[(*n_out)++] = output.x;
  if (e->loss) out[(*n_out)++] = loss_apply(graph, e->loss, &rows);
  if (pairs) out[(*n_out)++] = pairs;
  if (output.mask) out[(*n_out)++] = output.mask;
  e->coupled = pairs != NULL;
  e->masked = output.mask != NULL;
  if (graph->fault.code) return graph_ok(graph, fault);
  must(output.x);
  const Loss *reads = e->loss ? e->loss : layer_loss(e->net);
  return measures_check(&e->measures, graph, reads, output.x, y, fault);
}

/* Everything whose setting changes what emit makes. */
static void note_settings(Evaluation *e) {
  uint64_t of_loss = object_signature(e->loss ? &e->loss->object : NULL);
  e->settings = hash_word(object_signature(&e->net->object), of_loss + 1);
}

/* What the rows of the batch that was computed count; NULL: all alike. */
static Err find_weight(Evaluation *e, const Tensor **out, Fault *fault) {
  const Tensor *weight = *out = e->batch.weight;
  if (!e->masked) return ERR_OK;
  const Array none = {0};
  Err err = weight_by_mask(&e->counted, weight ? &weight->a : &none,
                           &e->repeat.value[e->repeat.n_values - 1]->a,
                           &e->graph->memory, fault);
  *out = e->counted;
  return err;
}

static Err add_batch(Evaluation *e, Fault *fault) {
  Tensor *args[BOUND_ARGS];
  const Tensor *weight = NULL;
  int n_args = batch_args(&e->batch, e->batch.weight, args);
  int64_t n_rows = batch_rows(&e->batch), size = e->batches.options.batch_size;
  int64_t n_like = n_rows < size ? 1 : e->batches.n_rows / size - e->batches.at + 1;
  Repeat *repeat = &e->repeat;
  if (e->watched) note_settings(e);
  Err err = repeat_run(repeat, &(PlanArgs){args, n_args}, e->settings, n_like, fault);
  if (!err) err = find_weight(e, &weight, fault);
  if (err) return err;
  double total = e->coupled ? array_get(&repeat->value[2]->a, 0)
                            : weight_total(weight, n_rows);
  e->total += total;
  if (e->loss && total > 0) e->sum += array_get(&repeat->value[1]->a, 0) * total;
  return measures_add(&e->measures, e->graph, repeat->value[0], e->batch.y, weight,
                      fault);
}

static Err add_all(Evaluation *e, Dataset *set, int64_t batch_size, double *value,
                   const MeasureDetails *details, Fault *fault) {
  BatchOptions options = {.batch_size = batch_size, .shuffle = SHUFFLE_NONE};
  bool more = true;
  bool own = object_has_call(&e->net->object) ||
             (e->loss && object_has_call(&e->loss->object));
  for (int i = 0; i < e->measures.n; i++) {
    e->watched |= object_has_call(&e->measures.v[i].metric->object);
    e->measures.v[i].with_error = details && details->error;
  }
  note_settings(e);
  e->repeat = (Repeat){.graph = e->graph, .emit = emit, .ctx = e, .bindable = !own};
  Err err = batches_open(&e->batches, set, &options, fault);
  while (!err && !(err = batches_next(&e->batches, &e->batch, &more, fault)) && more)
    err = add_batch(e, fault);
  value[0] = e->loss ? e->sum / e->total : NAN;
  repeat_end(&e->repeat);
  tensor_release(e->counted);
  batch_deinit(&e->batch);
  batches_close(&e->batches);
  if (!err && e->loss && !(e->total > 0))
    err = fault_set(fault, ERR_DATA, "data set %s: %s, so there is no mean loss",
                    dataset_name(set),
                    e->coupled ? "no batch has rows that the loss can compare"
                               : "its weights sum to 0");
  return err ? err : measures_finish(&e->measures, e->graph, value + 1, details, fault);
}

Err train_evaluate(Graph *graph, Layer *net, Dataset *set, Loss *loss,
                   const ObjectList *metrics, int64_t batch_size, double *value,
                   const MeasureDetails *details, Fault *fault) {
  Evaluation e = {.graph = graph, .net = net, .loss = loss};
  Err err = dataset_need_rows(set, "evaluation", fault);
  if (err) return err;
  if (!dataset_has_y(set))
    return fault_set(fault, ERR_DATA, "data set %s has no targets", dataset_name(set));
  if (dataset_lacks(set))
    return fault_set(fault, ERR_DATA,
                     "values are missing in %s, and whose means fill them in is not "
                     "said: set:impute(train), or impute() for its own; the parts of a "
                     "split know it",
                     dataset_name(set));
  if (loss && (err = train_check_targets(loss, set, fault))) return err;
  bool training = graph->training;
  graph->training = false;
  err = measures_open(&e.measures, metrics, "net:evaluate", fault);
  e.measures.tables = details != NULL;
  if (!err) err = add_all(&e, set, batch_size, value, details, fault);
  measures_close(&e.measures);
  graph->training = training;
  return err;
}
