/* step.c: one training step: compute, check, commit.
 *
 *   begin ─► forward (the caller's function) ─► gradients ─► updates ─► assignments
 *         ─► compute everything ─► loss finite? interrupted? ─► commit, else roll back
 *
 * Parameters, slots and running statistics are assigned while nothing is computed yet; so
 * what the transaction lists is all that the step changes, and it is computed together. */
#include "train/train.h"
#include "base/sys.h"
#include "graph/ops.h"
#include <math.h>
#include <stdlib.h>

/* One step in progress. */
typedef struct Step {
  Graph *graph;
  const StepTarget *target;
  Optimizer *optimizer;
  Variable **params;           /* trained: each once; borrowed */
  int n_params;
  Fault *fault;
} Step;

/* -- what is trained --------------------------------------------------------------- */

static Err add_params(Step *step, Variable *const *v, int n) {
  int room = step->n_params + n;
  Variable **larger = realloc(step->params, ((size_t)room + 1) * sizeof *larger);
  if (!larger) return fault_memory(step->fault, (size_t)room * sizeof *larger);
  step->params = larger;
  for (int i = 0; i < n; i++) {
    bool wanted = v[i]->trainable && !v[i]->frozen && v[i]->has_value;
    for (int k = 0; wanted && k < step->n_params; k++) wanted = step->params[k] != v[i];
    if (wanted) step->params[step->n_params++] = v[i];
  }
  return ERR_OK;
}

/* Called after the forward, which builds what was not built. */
static Err list_params(Step *step) {
  const StepTarget *target = step->target;
  for (int i = 0; i < target->n_nets; i++) {
    StateList list;
    Err err = layer_parameters(target->nets[i], &list, step->fault);
    if (!err) err = add_params(step, list.v, list.n);
    state_deinit(&list);
    if (err) return err;
  }
  Err err = add_params(step, target->variables, target->n_variables);
  if (err || step->n_params) return err;
  return fault_set(step->fault, ERR_VALUE,
                   "step: nothing to train: no variable that is built and not frozen");
}

/* -- building ---------------------------------------------------------------------- */

static Err check_loss(const Node *loss, Fault *fault) {
  if (loss && shape_count(&loss->shape) == 1 && loss->dtype == DT_REAL) return ERR_OK;
  char got[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE,
                   "step: the function must return a loss with one element first, got %s",
                   loss ? shape_text(got, &loss->shape) : "nothing");
}

static Err forward(Step *step, StepFunction function, void *ctx, Node **out, int *n_out) {
  Graph *graph = step->graph;
  bool training = graph->training;
  graph->training = true;
  *n_out = 0;
  Err err = function(ctx, graph, out, n_out, step->fault);
  graph->training = training;
  if (!err) err = graph_ok(graph, step->fault);
  return err ? err : check_loss(*n_out ? out[0] : NULL, step->fault);
}

/* Gradients and updates; afterwards every trained variable and slot stands for its new
 * value, not computed yet. */
static Err update(Step *step, Node *loss) {
  Graph *graph = step->graph;
  int n = step->n_params, n_assign = 0;
  Node **wrt = malloc(2 * (size_t)n * sizeof *wrt), **grads = wrt + n;
  Assignment *assign = malloc((size_t)n * (1 + OPTIM_SLOTS) * sizeof *assign);
  if (!wrt || !assign) fault_memory(&graph->fault, (size_t)n * sizeof *assign);
  for (int i = 0; wrt && i < n; i++) wrt[i] = variable_read(graph, step->params[i]);
  if (!graph->fault.code && !graph_grad(graph, loss, NULL, wrt, n, grads) &&
      !optimizer_emit(graph, step->optimizer, step->params, grads, n, assign, &n_assign))
    for (int i = 0; i < n_assign; i++)
      if (variable_assign(graph, assign[i].variable, assign[i].value)) break;
  free(wrt);
  free(assign);
  return graph_ok(graph, step->fault);
}

/* -- computing and checking -------------------------------------------------------- */

/* Computes the results and the new value of everything that the step assigned. */
static Err compute(Step *step, Node *const *out, int n_out) {
  Graph *graph = step->graph;
  int n_assigned = 0, n = 0;
  while (graph_assigned(graph, n_assigned)) n_assigned++;
  size_t n_bytes = (size_t)(n_out + n_assigned) * sizeof(Node *);
  Node **roots = malloc(n_bytes);
  if (!roots) return fault_memory(step->fault, n_bytes);
  while (n < n_out) {
    roots[n] = out[n];
    n++;
  }
  for (int i = 0; i < n_assigned; i++) roots[n++] = graph_assigned(graph, i)->current;
  Err err = graph_eval(graph, roots, n);
  free(roots);
  return err ? graph_ok(graph, step->fault) : ERR_OK;
}

static Err check_finite(Step *step, Node *loss, const Node *value) {
  double x = array_get(&node_value(value)->a, 0);
  if (isfinite(x)) {
    if (!interrupt_pending()) return ERR_OK;
    return fault_set(step->fault, ERR_INTERRUPT, "interrupted");
  }
  Text why = {0};
  graph_explain_nonfinite(step->graph, loss, &why);
  fault_clear(&step->graph->fault);   /* of the search itself */
  Err err = fault_set(step->fault, ERR_NONFINITE, "step %lld: the loss is not finite (%g)%s%s",
                      (long long)step->optimizer->t, x, why.n_bytes ? ": " : "",
                      why.n_bytes ? why.data : "");
  text_deinit(&why);
  return err;
}

static Err run(Step *step, StepFunction function, void *ctx, Node **out, int *n_out) {
  Err err = forward(step, function, ctx, out, n_out);
  if (err) return err;
  Node *loss = out[0];
  if ((err = list_params(step)) || (err = update(step, loss))) return err;
  for (int i = 0; i < *n_out; i++) out[i] = graph_detach(step->graph, out[i]);
  err = graph_ok(step->graph, step->fault);
  if (!err) err = compute(step, out, *n_out);
  return err ? err : check_finite(step, loss, out[0]);
}

Err train_step(Graph *graph, const StepTarget *target, Optimizer *optimizer,
               StepFunction function, void *ctx, Node **out, int *n_out, Fault *fault) {
  if (graph->in_transaction)
    return fault_set(fault, ERR_VALUE, "step: a step was called inside a step");
  Step step = {.graph = graph, .target = target, .optimizer = optimizer, .fault = fault};
  int64_t t = optimizer->t;
  graph_begin(graph);
  Err err = graph_ok(graph, fault);
  if (!err) err = run(&step, function, ctx, out, n_out);
  if (err) {
    graph_rollback(graph);
    optimizer->t = t;
  } else {
    graph_commit(graph);
  }
  free(step.params);
  return err;
}
