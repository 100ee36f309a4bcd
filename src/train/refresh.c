/* refresh.c: running statistics by a pass over the rows; see refresh.h. */
#include "train/refresh.h"
#include "base/sys.h"
#include "train/train.h"
#include <stdlib.h>

/* A variable that a forward assigned: the sum of what it got, batch by batch. */
typedef struct Statistic {
  Variable *v; /* borrowed from the state */
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

/* Is anything assigned at all? */
static Err add_batch(Graph *graph, Statistic *all, int n, bool *any, Fault *fault) {
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
    *any = true;
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
  bool more = true, any = true;
  double n_batches = 0;
  Err err = ERR_OK;
  while (!err && any && !(err = batches_next(batches, &batch, &more, fault)) && more) {
    any = n_batches > 0;
    n_batches++;
    err = forward(graph, net, &batch, fault);
    if (!err) err = add_batch(graph, all, n, &any, fault);
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

Err refresh_statistics(Graph *graph, Layer *net, Dataset *set,
                       const BatchOptions *options, Fault *fault) {
  StateList state;
  Batches batches;
  Err err = layer_state(net, &state, fault);
  if (err) return err;
  Statistic *all = calloc((size_t)state.n + 1, sizeof *all);
  if (!all) err = fault_memory(fault, (size_t)state.n * sizeof *all);
  for (int i = 0; all && i < state.n; i++)
    all[i] = (Statistic){.v = state.v[i], .version = state.v[i]->version};
  if (!err && !(err = batches_open(&batches, set, options, fault))) {
    err = pass(graph, net, &batches, all, state.n, fault);
    batches_close(&batches);
  }
  for (int i = 0; all && i < state.n; i++) free(all[i].sum);
  free(all);
  state_deinit(&state);
  return err;
}
