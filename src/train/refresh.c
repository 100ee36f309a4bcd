/* refresh.c: running statistics by a pass over the rows; see refresh.h. */
#include "train/refresh.h"
#include "base/sys.h"
#include "train/train.h"
#include <stdlib.h>

/* A variable of a normalization: the sum of what a forward assigned to it, batch by
 * batch. */
typedef struct Statistic {
  Variable *v; /* borrowed from the layer */
  uint64_t version;
  double *sum; /* NULL: it was never assigned */
} Statistic;

static int64_t count_of(const Statistic *s) {
  return shape_count(&s->v->current->shape);
}

/* With graph->statistics set: what each normalization assigns is its batch's. */
static Err forward(Graph *graph, Layer *net, const Batch *batch, Fault *fault) {
  bool training = graph->training;
  int scope = graph_scope_begin(graph);
  const Ports in = batch_inputs(graph, batch);
  graph->training = false;
  graph->statistics = true;
  (void)layer_call_ports(graph, net, &in);
  graph->statistics = false;
  graph->training = training;
  graph_scope_end(graph, scope);
  return graph_ok(graph, fault);
}

static Err add_batch(Graph *graph, Statistic *all, int n, Fault *fault) {
  for (int i = 0; i < n; i++) {
    Statistic *s = &all[i];
    if (s->v->version == s->version) continue;
    s->version = s->v->version;
    size_t count = (size_t)count_of(s);
    if (!s->sum) s->sum = calloc(count + 1, sizeof *s->sum);
    if (!s->sum) return fault_memory(fault, count * sizeof *s->sum);
    const Tensor *value = graph_value(graph, s->v->current);
    if (!value) return graph_ok(graph, fault);
    for (size_t k = 0; k < count; k++) s->sum[k] += array_get(&value->a, (int64_t)k);
  }
  return ERR_OK;
}

static Err assign_mean(Graph *graph, const Statistic *s, double n_batches,
                       Fault *fault) {
  int64_t n = count_of(s);
  for (int64_t k = 0; k < n; k++) s->sum[k] /= n_batches;
  Node *mean = graph_from_doubles(graph, DT_REAL, &s->v->current->shape, s->sum);
  if (!mean || variable_assign(graph, s->v, mean)) return graph_ok(graph, fault);
  return ERR_OK;
}

static Err pass(Graph *graph, Layer *net, Batches *batches, Statistic *all, int n,
                Fault *fault) {
  Batch batch = {0};
  bool more = true;
  double n_batches = 0;
  Err err = ERR_OK;
  while (!err && !(err = batches_next(batches, &batch, &more, fault)) && more) {
    n_batches++;
    err = forward(graph, net, &batch, fault);
    if (!err) err = add_batch(graph, all, n, fault);
    if (!err && interrupt_pending())
      err = fault_set(fault, ERR_INTERRUPT, "interrupted");
  }
  batch_deinit(&batch);
  int scope = graph_scope_begin(graph);
  for (int i = 0; !err && i < n; i++)
    if (all[i].sum) err = assign_mean(graph, &all[i], n_batches, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* Does the layer take its batch? What else a forward may assign (recurrent states) is
 * no statistic. */
static bool takes_batch(const Layer *layer) {
  const LayerKind *kind = layer_kind(layer);
  return kind->uses_batch && kind->uses_batch(layer);
}

/* Of all layers that do, unless `out` is NULL; returns how many. */
static int list_statistics(const LayerList *list, Statistic *out) {
  int n = 0;
  for (int i = 0; i < list->n; i++)
    for (int k = 0; takes_batch(list->v[i]) && k < list->v[i]->n_vars; k++) {
      Variable *v = layer_var(list->v[i], k);
      if (v && out) out[n] = (Statistic){.v = v, .version = v->version};
      n += v != NULL;
    }
  return n;
}

Err refresh_statistics(Graph *graph, Layer *net, Dataset *set,
                       const BatchOptions *options, Fault *fault) {
  LayerList list;
  Batches batches;
  Err err = layer_list(net, &list, fault);
  if (err) return err;
  int n = list_statistics(&list, NULL);
  Statistic *all = calloc((size_t)n + 1, sizeof *all);
  if (!all) err = fault_memory(fault, (size_t)n * sizeof *all);
  if (all) (void)list_statistics(&list, all);
  if (all && n > 0 && !(err = batches_open(&batches, set, options, fault))) {
    err = pass(graph, net, &batches, all, n, fault);
    batches_close(&batches);
  }
  for (int i = 0; all && i < n; i++) free(all[i].sum);
  free(all);
  free(list.v);
  return err;
}
