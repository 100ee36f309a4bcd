/* seek.c: a step that evaluates loss and gradients again before it ends, at points
 * that its optimizer chooses.
 *
 *   the function's graph ─► first evaluation ─► optimizer ─► new values
 *                                                ▲    │
 *                                                └────┴─ the same graph at other
 *                                                        parameters, by the same plan
 *
 * The function ran once. So each evaluation has the same draws, and what happens beside
 * the loss happens once: results, gauges and assigned values (running statistics) are
 * those of the first evaluation, as in any other step. Parameters keep their values
 * until the step commits. */
#include "train/seek.h"
#include "base/sys.h"
#include <math.h>
#include <stdlib.h>

static Graph *graph_of(const SeekStep *step) { return step->commit->graph; }

static int first_gradient(const SeekStep *step) {
  const StepCommit *c = step->commit;
  return c->n_out + c->assigned.n + c->n_gauges;
}

static Err release_and(Tensor **list, int n, Err err) {
  for (int i = 0; list && i < n; i++) tensor_release(list[i]);
  free(list);
  return err;
}

static Tensor **new_list(int n, Fault *fault) {
  Tensor **list = calloc((size_t)n + 1, sizeof *list);
  if (!list) fault_memory(fault, (size_t)n * sizeof *list);
  return list;
}

/* -- one evaluation ---------------------------------------------------------------- */

/* By the naive executor, at `at` (NULL: the parameters as they are), into all[root]. */
static Err run_naive(const SeekStep *step, Tensor *const *at, Tensor **all,
                     Fault *fault) {
  Graph *graph = graph_of(step);
  const EvalAt what = {.root = step->root,
                       .n_roots = first_gradient(step) + step->n_params,
                       .leaf = plan_is_leaf, .v = step->commit->updated.v, .at = at,
                       .n_v = at ? step->n_params : 0};
  return graph_eval_at(graph, &what, all) ? graph_ok(graph, fault) : ERR_OK;
}

static Err run_planned(const SeekStep *step, Fault *fault) {
  Graph *graph = graph_of(step);
  if (cached_compute(graph, step->commit->cached)) return graph_ok(graph, fault);
  return interrupt_pending() ? fault_set(fault, ERR_INTERRUPT, "interrupted") : ERR_OK;
}

/* Memory for gradients, where the plan will write them. */
static Err place_gradients(const SeekStep *step, Tensor **gradient, Fault *fault) {
  void **data = step->commit->cached->root_data + first_gradient(step);
  for (int i = 0; i < step->n_params; i++) {
    const Node *like = step->commit->updated.v[i]->current;
    gradient[i] = tensor_new(&graph_of(step)->memory, like->dtype, &like->shape, fault);
    if (!gradient[i]) return fault->code;
    data[i] = gradient[i]->a.data;
  }
  return ERR_OK;
}

/* -- the first --------------------------------------------------------------------- */

/* Roots by the naive executor to where those of a plan would be. */
static void distribute(SeekStep *step, Tensor **all) {
  const StepCommit *c = step->commit;
  int gradients = first_gradient(step);
  for (int r = 0; r < c->n_out; r++) step->out[r] = tensor_retain(all[r]);
  for (int i = 0; i < c->assigned.n; i++)
    c->spare[i] = tensor_retain(all[c->n_out + i]);
  for (int i = 0; i < c->n_gauges; i++)
    step->gauge[i] = *tensor_reals(all[gradients - 1 - i]);
  for (int i = 0; i < step->n_params; i++)
    step->gradient[i] = tensor_retain(all[gradients + i]);
}

static Err evaluate_first(SeekStep *step, Fault *fault) {
  int n_roots = first_gradient(step) + step->n_params;
  step->gradient = new_list(step->n_params, fault);
  if (!step->gradient) return fault->code;
  if (step->commit->cached) {
    Err err = place_gradients(step, step->gradient, fault);
    return err ? err : run_planned(step, fault);
  }
  Tensor **all = new_list(n_roots, fault);
  if (!all) return fault->code;
  Err err = run_naive(step, NULL, all, fault);
  if (!err) distribute(step, all);
  return release_and(all, n_roots, err);
}

/* -- the others -------------------------------------------------------------------- */

/* What the optimizer calls. Results, assigned values and gauges go where they are not
 * looked at. */
typedef struct Again {
  const SeekStep *step;
  Tensor **unused; /* of a plan: for results, then assigned values */
  real *gauge;
  Tensor **at; /* one list, of the parameters of this evaluation */
} Again;

static Err again_init(Again *a, const SeekStep *step, Fault *fault) {
  const StepCommit *c = step->commit;
  *a = (Again){.step = step, .at = new_list(step->n_params, fault),
               .unused = new_list(c->n_out + c->assigned.n, fault),
               .gauge = calloc((size_t)c->n_gauges + 1, sizeof *a->gauge)};
  if (!a->gauge) return fault_memory(fault, (size_t)c->n_gauges * sizeof *a->gauge);
  if (!a->at || !a->unused) return fault->code;
  for (int r = 0; c->cached && r < c->n_out + c->assigned.n; r++) {
    const Array *like = &(r < c->n_out ? step->out[r] : c->spare[r - c->n_out])->a;
    a->unused[r] = tensor_new(&c->graph->memory, like->dtype, &like->shape, fault);
    if (!a->unused[r]) return fault->code;
  }
  return ERR_OK;
}

static void again_deinit(Again *a) {
  const StepCommit *c = a->step->commit;
  (void)release_and(a->unused, c->n_out + c->assigned.n, ERR_OK);
  free(a->gauge);
  free(a->at);
}

/* The plan reads the parameters there, and writes what is not wanted elsewhere. */
static void point_plan_at(const Again *a) {
  const StepCommit *c = a->step->commit;
  CachedPlan *cached = c->cached;
  for (int i = 0; i < cached->n_in; i++)
    if (cached->in[i].from == FROM_VARIABLE && cached->in[i].index < a->step->n_params)
      cached->in_data[i] = a->at[cached->in[i].index]->a.data;
  for (int r = 0; r < c->n_out + c->assigned.n; r++)
    cached->root_data[r] = a->unused[r]->a.data;
  for (int i = 0; i < c->n_gauges; i++)
    cached->root_data[first_gradient(a->step) - 1 - i] = &a->gauge[i];
}

static Err evaluate_planned(const Again *a, Tensor **gradient, double *loss,
                            Fault *fault) {
  point_plan_at(a);
  Err err = place_gradients(a->step, gradient, fault);
  if (!err) err = run_planned(a->step, fault);
  *loss = array_get(&a->unused[0]->a, 0);
  return err;
}

static Err evaluate_naively(const Again *a, Tensor **gradient, double *loss,
                            Fault *fault) {
  const SeekStep *step = a->step;
  int n = first_gradient(step), n_roots = n + step->n_params;
  Tensor **all = new_list(n_roots, fault);
  if (!all) return fault->code;
  Err err = run_naive(step, a->at, all, fault);
  if (!err) *loss = array_get(&all[0]->a, 0);
  for (int i = 0; !err && i < step->n_params; i++)
    gradient[i] = tensor_retain(all[n + i]);
  return release_and(all, n_roots, err);
}

static bool all_finite(Graph *graph, Tensor *const *list, int n) {
  for (int i = 0; i < n; i++)
    if (!array_is_finite(graph, &list[i]->a)) return false;
  return true;
}

static Err put_values(Graph *graph, Tensor **made, Node **out, int n, Fault *fault) {
  for (int i = 0; i < n; i++) {
    Node *node = graph_const(graph, made[i]);
    if (!node) return graph_ok(graph, fault);
    optim_put(&out[i], node);
  }
  return ERR_OK;
}

static Err evaluate(void *ctx, Node *const *w, double *loss, Node **gradient,
                    Fault *fault) {
  const Again *a = ctx;
  Graph *graph = graph_of(a->step);
  int n = a->step->n_params;
  Tensor **made = new_list(n, fault);
  if (!made) return fault->code;
  for (int i = 0; i < n; i++) a->at[i] = node_value(w[i]);
  Err err = (a->step->commit->cached ? evaluate_planned
                                     : evaluate_naively)(a, made, loss, fault);
  if (!err && !(isfinite(*loss) && all_finite(graph, made, n))) *loss = INFINITY;
  if (!err) err = put_values(graph, made, gradient, n, fault);
  return release_and(made, n, err);
}

/* -- the optimizer's part ---------------------------------------------------------- */

static bool can_begin(const SeekStep *step) {
  const StepCommit *c = step->commit;
  return isfinite(array_get(&step->out[0]->a, 0)) &&
         all_finite(c->graph, c->spare, c->assigned.n) &&
         all_finite(c->graph, step->gradient, step->n_params);
}

/* Parameters, slots and gradients as nodes of lists in one block. */
static Err list_nodes(const SeekStep *step, OptimSearch *s, Fault *fault) {
  const StepCommit *c = step->commit;
  int n_vars = c->updated.n, n = step->n_params;
  Node **list = calloc((size_t)(n_vars + n) + 1, sizeof *list);
  if (!list) return fault_memory(fault, (size_t)n_vars * sizeof *list);
  *s = (OptimSearch){.graph = c->graph, .n = n, .n_slots = n_vars / n - 1, .w = list,
                     .slot = list + n, .gradient = list + n_vars,
                     .loss = array_get(&step->out[0]->a, 0), .evaluate = evaluate};
  Err err = ERR_OK;
  for (int i = 0; !err && i < n_vars; i++) {
    Tensor *value = node_value(c->updated.v[i]->current);
    err = put_values(c->graph, &value, &list[i], 1, fault);
  }
  return err ? err : put_values(c->graph, step->gradient, s->gradient, n, fault);
}

/* Are they all finite? */
static bool take_values(const StepCommit *c, const OptimSearch *s) {
  must(s->w);
  for (int i = 0; i < c->updated.n; i++)
    c->fresh[i] = tensor_retain(node_value(s->w[i]));
  return all_finite(c->graph, c->fresh, c->updated.n);
}

static Err search(const SeekStep *step, bool *finite, Fault *fault) {
  const StepCommit *c = step->commit;
  Again again = {0};
  OptimSearch s = {0};
  int scope = graph_scope_begin(c->graph);
  Err err = again_init(&again, step, fault);
  if (!err) err = list_nodes(step, &s, fault);
  s.ctx = &again;
  if (!err) err = optimizer_search(step->optimizer, c->updated.v, &s, fault);
  if (!err) *finite = take_values(c, &s);
  for (int i = 0; s.w && i < c->updated.n + step->n_params; i++)
    optim_put(&s.w[i], NULL);
  free(s.w);
  again_deinit(&again);
  graph_scope_end(c->graph, scope);
  return err;
}

Err seek(SeekStep *step, bool *finite, Fault *fault) {
  Err err = evaluate_first(step, fault);
  *finite = !err && can_begin(step);
  if (*finite) err = search(step, finite, fault);
  Tensor **gradient = step->gradient;
  step->gradient = NULL;
  return release_and(gradient, step->n_params, err);
}
