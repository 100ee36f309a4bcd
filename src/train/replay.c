/* replay.c: steps run again without building their graph.
 *
 * A traced step leaves in its Replay the plan and where each input comes from: a
 * variable, an argument, a number of the optimizer, a constant. A replayed step fills
 * the pointers, draws the streams anew, runs the plan and commits. In the steady state
 * it allocates nothing: parameters are written in place, what the function assigned
 * (running statistics) swaps between two tensors, and the results stay in the same
 * memory. */
#include "train/replay.h"
#include "base/sys.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct Replay {
  Graph *graph;
  BoundPlan bound;             /* all zero: nothing to replay */
  Optimizer *optimizer;        /* retained */
  Variable **vars, **assigned; /* retained */
  Tensor **spare;              /* next values of `assigned` */
  Tensor **fresh;              /* new values of vars that others hold, too; else NULL */
  int n_vars, n_assigned, n_gauges;
  OptimNumbers numbers; /* of the first n_params of vars */
};

Replay *replay_new(Fault *fault) {
  Replay *r = calloc(1, sizeof *r);
  if (!r) fault_memory(fault, sizeof *r);
  return r;
}

void replay_clear(Replay *r) {
  bound_release(&r->bound);
  for (int i = 0; r->vars && i < r->n_vars; i++) variable_release(r->vars[i]);
  for (int i = 0; r->assigned && i < r->n_assigned; i++)
    variable_release(r->assigned[i]);
  for (int i = 0; r->spare && i < r->n_assigned; i++) tensor_release(r->spare[i]);
  for (int i = 0; r->fresh && i < r->n_vars; i++) tensor_release(r->fresh[i]);
  object_release(r->optimizer);
  optim_numbers_deinit(&r->numbers);
  free(r->vars);
  free(r->assigned);
  free(r->spare);
  free(r->fresh);
  *r = (Replay){0};
}

void replay_free(Replay *r) {
  if (!r) return;
  replay_clear(r);
  free(r);
}

/* -- capture ----------------------------------------------------------------------- */

static Variable **retain_all(Variable *const *v, int n) {
  Variable **out = malloc(((size_t)n + 1) * sizeof *out);
  if (!out) return NULL;
  for (int i = 0; i < n; i++) out[i] = variable_retain(v[i]);
  return out;
}

static bool make_spare(Replay *r, Node *const *value) {
  for (int i = 0; i < r->n_assigned; i++) {
    r->spare[i] = tensor_new(&r->graph->memory, value[i]->dtype, &value[i]->shape,
                             &(Fault){0});
    if (!r->spare[i]) return false;
  }
  return true;
}

void replay_capture(Replay *r, const ReplayStep *step) {
  replay_clear(r);
  r->graph = step->graph;
  bound_take(&r->bound, step->graph, step->cached, step->trace, step->root, step->n_out,
             &step->args, step->signature);
  if (!r->bound.cached) return;
  r->optimizer = object_retain(step->optimizer);
  r->vars = retain_all(step->vars, step->n_vars);
  r->n_vars = r->vars ? step->n_vars : 0;
  r->assigned = retain_all(step->assigned, step->n_assigned);
  r->n_assigned = r->assigned ? step->n_assigned : 0;
  r->n_gauges = step->n_gauges;
  r->spare = calloc((size_t)r->n_assigned + 1, sizeof *r->spare);
  r->fresh = calloc((size_t)r->n_vars + 1, sizeof *r->fresh);
  bool room = r->vars && r->assigned && r->spare && r->fresh;
  room = room && !optim_numbers_init(&r->numbers, step->optimizer, step->vars,
                                     step->n_params, &(Fault){0});
  if (!room || !make_spare(r, step->root + step->n_out)) replay_clear(r);
}

bool replay_ready(const Replay *r, uint64_t signature, const PlanArgs *args) {
  return bound_fits(&r->bound, signature, args);
}

/* -- run --------------------------------------------------------------------------- */

static VariableList variables_of(const Replay *r) {
  return (VariableList){r->vars, r->n_vars};
}

/* Memory of the roots that `vars` are. */
static void **update_data(const Replay *r) {
  return r->bound.cached->root_data + r->bound.n_out + r->n_assigned + r->n_gauges;
}

/* New memory for the value of variable `i`. */
static Err make_fresh(Replay *r, int i, Fault *fault) {
  const Tensor *value = node_value(r->vars[i]->current);
  r->fresh[i] = tensor_new(&r->graph->memory, value->a.dtype, &value->a.shape, fault);
  if (!r->fresh[i]) return fault->code;
  update_data(r)[i] = r->fresh[i]->a.data;
  return ERR_OK;
}

static Err bind_updates(Replay *r, Gauges *gauges, Fault *fault) {
  void **root_data = r->bound.cached->root_data + r->bound.n_out;
  for (int i = 0; i < r->n_assigned; i++) root_data[i] = r->spare[i]->a.data;
  for (int i = 0; i < r->n_gauges; i++) update_data(r)[-1 - i] = &gauges->value[i];
  for (int i = 0; i < r->n_vars; i++) {
    if (variable_owned(r->vars[i]))
      update_data(r)[i] = plan_leaf_data(r->vars[i]->current);
    else if (make_fresh(r, i, fault)) return fault->code;
  }
  return ERR_OK;
}

/* `*tensor` becomes the variable's value; its old one is the next spare, if it is
 * free. */
static Err give(Replay *r, Variable *v, Tensor **tensor, bool keep_spare,
                Fault *fault) {
  Graph *graph = r->graph;
  if (keep_spare && variable_owned(v)) {
    *tensor = variable_swap(v, *tensor);
    return ERR_OK;
  }
  Shape shape = (*tensor)->a.shape;
  DType dtype = (*tensor)->a.dtype;
  Node *value = graph_const(graph, *tensor);
  if (value) node_outlive(value);
  if (!value || variable_assign(graph, v, value)) return graph_ok(graph, fault);
  tensor_release(*tensor);
  *tensor = keep_spare ? tensor_new(&graph->memory, dtype, &shape, fault) : NULL;
  return keep_spare && !*tensor ? fault->code : ERR_OK;
}

static Err commit(Replay *r, bool proved, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < r->n_assigned; i++)
    err = give(r, r->assigned[i], &r->spare[i], true, fault);
  for (int i = 0; !err && i < r->n_vars; i++) {
    if (r->fresh[i]) err = give(r, r->vars[i], &r->fresh[i], false, fault);
    else variable_touch(r->vars[i]);
  }
  if (err || !proved) return err;
  cached_commit(r->graph, r->bound.cached);
  cached_keep_ranges(r->bound.cached, variables_of(r));
  return ERR_OK;
}

/* The updates into new memory: of no variable is it proved that its new value is
 * finite. */
static Err commit_apart(Replay *r, bool *finite, Fault *fault) {
  for (int i = 0; i < r->n_vars; i++)
    if (!r->fresh[i] && make_fresh(r, i, fault)) return fault->code;
  cached_redirect(r->graph, r->bound.cached);
  cached_commit(r->graph, r->bound.cached);
  for (int i = 0; *finite && i < r->n_vars; i++)
    *finite = array_is_finite(r->graph, &r->fresh[i]->a);
  return ERR_OK;
}

/* *grouped is false where the parameters' numbers of updates fit the plan no more. */
static Err compute(Replay *r, const PlanArgs *args, Gauges *gauges, bool *grouped,
                   Fault *fault) {
  Err err = optimizer_begin(r->optimizer, r->vars, &r->numbers, grouped, fault);
  if (err || !*grouped) return err;
  err = bound_begin(&r->bound, args, variables_of(r), r->numbers.input, fault);
  if (!err) err = bind_updates(r, gauges, fault);
  if (err) return err;
  return cached_compute(r->graph, r->bound.cached) ? graph_ok(r->graph, fault) : ERR_OK;
}

/* Computes, checks, and commits what is finite; *finite stays false where a traced step
 * is to group the parameters anew. */
static Err run(Replay *r, const PlanArgs *args, Gauges *gauges, bool *finite,
               Fault *fault) {
  bool grouped = false;
  must(r->n_gauges == gauges_asked(gauges) * r->numbers.n_params);
  Err err = gauges_begin(gauges, r->numbers.n_params, fault);
  if (!err) err = compute(r, args, gauges, &grouped, fault);
  if (err || !grouped) return err;
  *finite = isfinite((double)*tensor_reals(r->bound.out[0]));
  for (int i = 0; *finite && i < r->n_assigned; i++)
    *finite = array_is_finite(r->graph, &r->spare[i]->a);
  if (!*finite) return ERR_OK;
  bool proved = cached_proves_finite(r->graph, r->bound.cached, variables_of(r));
  if (interrupt_pending()) return fault_set(fault, ERR_INTERRUPT, "interrupted");
  if (!proved) err = commit_apart(r, finite, fault);
  return !err && *finite ? commit(r, proved, fault) : err;
}

Err replay_run(Replay *r, const PlanArgs *args, Gauges *gauges, bool *done,
               Fault *fault) {
  Graph *graph = r->graph;
  Optimizer *optimizer = object_retain(
      r->optimizer); /* also if the replay is cleared */
  OptimMark mark = optimizer_mark(optimizer);
  int scope = graph_scope_begin(graph);
  *done = false;
  graph_begin(graph);
  Err err = run(r, args, gauges, done, fault);
  if (err || !*done) {
    graph_rollback(graph);
    optimizer_rollback(optimizer, &mark);
    for (int i = 0; r->fresh && i < r->n_vars; i++) {
      tensor_release(r->fresh[i]);
      r->fresh[i] = NULL;
    }
  } else {
    optimizer_count(optimizer, r->vars, r->numbers.n_params);
    if (gauges) gauges_take(gauges, r->vars, r->numbers.n_params);
    graph_commit(graph);
  }
  object_release(optimizer);
  graph_scope_end(graph, scope);
  return err;
}

Tensor *replay_out(const Replay *r, int i) { return r->bound.out[i]; }
