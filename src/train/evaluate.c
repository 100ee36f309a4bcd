/* evaluate.c: loss and metrics over a data set, without training. */
#include "train/train.h"
#include <math.h>

Err train_check_targets(const Loss *loss, const Dataset *set, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t row = 0; !err && row < dataset_n(set); row++) {
    Array targets = dataset_targets(set, row);
    err = loss_check_targets(loss, &targets, row, fault);
  }
  if (err) fault_prefix(fault, "data set %s: loss.%s", dataset_name(set),
                        loss->object.kind->name);
  return err;
}

/* Nodes of one batch: loss (unless NULL) and metrics. */
static Err emit(Graph *graph, Layer *net, Loss *loss, const ObjectList *metrics, Node *x,
                Node *y, Node **out) {
  Node *output = layer_call(graph, net, x);
  y = loss_conform(graph, output, y);
  int n = 0;
  if (loss) out[n++] = loss_apply(graph, loss, output, y);
  for (int i = 0; metrics && i < metrics->n; i++)
    out[n++] = metric_apply(graph, (Metric *)metrics->v[i], loss, output, y);
  return graph->fault.code;
}

/* Adds the batch's values, weighted by its rows. */
static Err add_batch(Graph *graph, Layer *net, Loss *loss, const ObjectList *metrics,
                     Tensor *x, Tensor *y, double *sum) {
  Node *out[STEP_OUT];
  int n_metrics = metrics ? metrics->n : 0, first = loss ? 0 : 1;
  int scope = graph_scope_begin(graph);
  Err err = emit(graph, net, loss, metrics, graph_const(graph, x), graph_const(graph, y), out);
  if (!err) err = graph_eval(graph, out, n_metrics + 1 - first);
  for (int i = first; !err && i <= n_metrics; i++) {
    const Tensor *value = node_value(out[i - first]);
    if (tensor_count(value) != 1) {
      char got[SHAPE_TEXT];
      err = fault_set(&graph->fault, ERR_SHAPE, "metric: must give one number, got %s",
                      shape_text(got, &value->a.shape));
    } else {
      sum[i] += array_get(&value->a, 0) * (double)x->a.shape.dim[0];
    }
  }
  graph_scope_end(graph, scope);
  return err;
}

Err train_evaluate(Graph *graph, Layer *net, Dataset *set, Loss *loss,
                   const ObjectList *metrics, int64_t batch_size, double *value,
                   Fault *fault) {
  int n_metrics = metrics ? metrics->n : 0;
  must(n_metrics < STEP_OUT);
  Err err = dataset_need_rows(set, "evaluation", fault);
  if (err) return err;
  if (!dataset_has_y(set))
    return fault_set(fault, ERR_DATA, "data set %s has no targets", dataset_name(set));
  if (dataset_lacks(set))
    return fault_set(fault, ERR_DATA, "values are missing in %s, and whose means fill them in "
                     "is not said: set:impute(train), or impute() for its own; the parts of a "
                     "split know it", dataset_name(set));
  if (loss && (err = train_check_targets(loss, set, fault))) return err;
  Batches batches = {0};
  BatchOptions options = {.batch_size = batch_size, .shuffle = SHUFFLE_NONE};
  Tensor *x = NULL, *y = NULL;
  bool training = graph->training, more = true;
  graph->training = false;
  for (int i = 0; i <= n_metrics; i++) value[i] = 0;
  err = batches_open(&batches, set, &options, fault);
  while (!err && !(err = batches_next(&batches, &x, &y, &more, fault)) && more)
    if (add_batch(graph, net, loss, metrics, x, y, value)) err = graph_ok(graph, fault);
  for (int i = 0; i <= n_metrics; i++) value[i] /= (double)batches.n_rows;
  if (!loss) value[0] = NAN;
  tensor_release(x);
  tensor_release(y);
  batches_close(&batches);
  graph->training = training;
  return err;
}
