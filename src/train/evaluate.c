/* evaluate.c: loss and metrics over a data set, without training. */
#include "graph/bound.h"
#include "base/hash.h"
#include "nn/trained.h"
#include "train/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

Err train_check_targets(const Loss *loss, const Dataset *set, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t row = 0; !err && row < dataset_n(set);) {
    Array targets = dataset_targets(set, row);
    err = loss_check_targets(loss, &targets, row, fault);
    row += targets.shape.dim[0];
  }
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
                       const Node *output, int64_t n_rows, Fault *fault) {
  MetricBatch batch = {.graph = graph, .output = {output->shape, output->dtype, NULL},
                       .reading = measures->reading};
  int64_t *n_out = batch.output.shape.dim;
  Err err = ERR_OK;
  if (measures->n == 0 || n_rows == 0 || *n_out % n_rows) return ERR_OK;
  int64_t per_row = *n_out / n_rows;
  for (int64_t row = 0; !err && row < dataset_n(set);) {
    Array t = dataset_targets(set, row);
    row += t.shape.dim[0];
    *n_out = per_row * t.shape.dim[0];
    batch.target = metric_target(&batch.output, &t);
    for (int i = 0; !err && i < measures->n; i++)
      err = metric_check(measures->v[i].metric, &batch, fault);
  }
  if (err) fault_prefix(fault, "data set %s", dataset_name(set));
  return err;
}

Err measures_add(Measures *measures, Graph *graph, const Tensor *output,
                 const Batch *batch, Fault *fault) {
  MetricBatch rows = {.graph = graph, .output = output->a,
                      .target = metric_target(&output->a, &batch->y->a),
                      .reading = measures->reading};
  if (batch->weight) rows.weight = batch->weight->a;
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++)
    err = measure_add(&measures->v[i], &rows, fault);
  return err;
}

Err measures_finish(const Measures *measures, Graph *graph, double *value,
                    Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < measures->n; i++)
    err = measure_finish(&measures->v[i], graph, &value[i], fault);
  return err;
}

/* -- a set ------------------------------------------------------------------------- */

typedef struct Evaluation {
  Graph *graph;
  Layer *net;
  Loss *loss; /* NULL: not measured */
  Measures measures;
  Repeat repeat;
  bool watched;         /* functions of the user run between batches */
  uint64_t settings[2]; /* of what emit makes, without and with a loss */
  Batches batches;
  Batch batch;
  double weight;     /* of the batch's rows in all: without weights, their number */
  double sum, total; /* of the loss, each batch times its weight; of the weights */
} Evaluation;

/* Of rows that all have the weight 0 there is no mean loss, and they add nothing to
 * it. */
static bool has_loss(const Evaluation *e) { return e->loss && e->weight > 0; }

/* Nodes of one batch: the output, then the loss, unless there is none. */
static Err emit(void *ctx, Node **out, int *n_out, Fault *fault) {
  Evaluation *e = ctx;
  Graph *graph = e->graph;
  Node *x = graph_const(graph, e->batch.x), *y = graph_const(graph, e->batch.y);
  out[0] = layer_call(graph, e->net, x);
  y = loss_conform(graph, out[0], y);
  LossBatch rows = {.output = out[0], .target = y};
  if (e->batch.weight) rows.weight = graph_const(graph, e->batch.weight);
  if (has_loss(e)) out[1] = loss_apply(graph, e->loss, &rows);
  *n_out = has_loss(e) ? 2 : 1;
  if (graph->fault.code) return graph_ok(graph, fault);
  must(out[0]);
  const Loss *reads = e->loss ? e->loss : layer_loss(e->net);
  return measures_check(&e->measures, graph, reads, out[0], y, fault);
}

/* Everything whose setting changes what emit makes. */
static void note_settings(Evaluation *e) {
  uint64_t of_loss = object_signature(e->loss ? &e->loss->object : NULL);
  e->settings[0] = object_signature(&e->net->object);
  e->settings[1] = hash_word(e->settings[0], of_loss + 1);
}

static Err add_batch(Evaluation *e, Fault *fault) {
  Tensor *args[] = {e->batch.x, e->batch.y, e->batch.weight};
  int64_t n_rows = e->batch.x->a.shape.dim[0], size = e->batches.options.batch_size;
  int64_t n_like = n_rows < size ? 1 : e->batches.n_rows / size - e->batches.at + 1;
  Repeat *repeat = &e->repeat;
  e->weight = weight_total(e->batch.weight, n_rows);
  e->total += e->weight;
  if (e->watched) note_settings(e);
  Err err = repeat_run(repeat, &(PlanArgs){args, args[2] ? 3 : 2},
                       e->settings[has_loss(e)], n_like, fault);
  if (err) return err;
  if (has_loss(e)) e->sum += array_get(&repeat->value[1]->a, 0) * e->weight;
  return measures_add(&e->measures, e->graph, repeat->value[0], &e->batch, fault);
}

static Err add_all(Evaluation *e, Dataset *set, int64_t batch_size, double *value,
                   Fault *fault) {
  BatchOptions options = {.batch_size = batch_size, .shuffle = SHUFFLE_NONE};
  bool more = true;
  bool own = object_has_call(&e->net->object) ||
             (e->loss && object_has_call(&e->loss->object));
  for (int i = 0; i < e->measures.n; i++)
    e->watched |= object_has_call(&e->measures.v[i].metric->object);
  note_settings(e);
  e->repeat = (Repeat){.graph = e->graph, .emit = emit, .ctx = e, .bindable = !own};
  Err err = batches_open(&e->batches, set, &options, fault);
  while (!err && !(err = batches_next(&e->batches, &e->batch, &more, fault)) && more)
    err = add_batch(e, fault);
  value[0] = e->loss ? e->sum / e->total : NAN;
  repeat_end(&e->repeat);
  batch_deinit(&e->batch);
  batches_close(&e->batches);
  if (!err && e->loss && !(e->total > 0))
    err = fault_set(fault, ERR_DATA,
                    "data set %s: its weights sum to 0, so there is no mean loss",
                    dataset_name(set));
  return err ? err : measures_finish(&e->measures, e->graph, value + 1, fault);
}

Err train_evaluate(Graph *graph, Layer *net, Dataset *set, Loss *loss,
                   const ObjectList *metrics, int64_t batch_size, double *value,
                   Fault *fault) {
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
  if (!err) err = add_all(&e, set, batch_size, value, fault);
  measures_close(&e.measures);
  graph->training = training;
  return err;
}
