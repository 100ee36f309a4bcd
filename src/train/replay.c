/* replay.c: steps run again without building their graph.
 *
 * A traced step leaves in its Replay the plan and where each input comes from: a
 * variable, an argument, a number of the optimizer, a constant. A replayed step fills
 * the pointers, draws the streams anew, runs the plan and commits. In the steady state
 * it allocates nothing: parameters are written in place, what the function assigned
 * (running statistics) swaps between two tensors, and the results stay in the same
 * memory. */
#include "train/replay.h"
#include "train/commit.h"
#include "train/seek.h"
#include <stdlib.h>

struct Replay {
  Graph *graph;
  BoundPlan bound;             /* all zero: nothing to replay */
  Optimizer *optimizer;        /* retained */
  Variable **vars, **assigned; /* retained */
  Tensor **spare, **fresh;     /* of `assigned`, of `vars`: commit.h */
  int n_vars, n_assigned, n_gauges;
  int weight;           /* StepOutputs.weight */
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
  r->weight = step->weight;
  r->spare = calloc((size_t)r->n_assigned + 1, sizeof *r->spare);
  r->fresh = calloc((size_t)r->n_vars + 1, sizeof *r->fresh);
  bool room = r->vars && r->assigned && r->spare && r->fresh;
  room = room && !optim_numbers_init(&r->numbers, step->optimizer, step->vars,
                                     step->n_params, &(Fault){0});
  if (!room) replay_clear(r);
}

bool replay_ready(const Replay *r, uint64_t signature, const PlanArgs *args) {
  return bound_fits(&r->bound, signature, args);
}

/* -- run --------------------------------------------------------------------------- */

static StepCommit commit_of(const Replay *r) {
  return (StepCommit){.graph = r->graph,
                      .cached = r->bound.cached,
                      .updated = {r->vars, r->n_vars},
                      .assigned = {r->assigned, r->n_assigned},
                      .n_out = r->bound.n_out,
                      .n_gauges = r->n_gauges,
                      .spare = r->spare,
                      .fresh = r->fresh};
}

/* *grouped is false where the parameters' numbers of updates fit the plan no more. */
static Err compute(Replay *r, const StepCommit *commit, const PlanArgs *args,
                   Gauges *gauges, bool *grouped, Fault *fault) {
  Err err = optimizer_begin(r->optimizer, r->vars, &r->numbers, grouped, fault);
  if (err || !*grouped) return err;
  err = bound_begin(&r->bound, args, commit->updated, r->numbers.input, fault);
  StepCommit placed = *commit;
  if (optimizer_searches(r->optimizer)) placed.updated.n = 0;
  if (!err) err = commit_begin(&placed, NULL, gauges ? gauges->value : NULL, fault);
  if (err || optimizer_searches(r->optimizer)) return err;
  return cached_compute(r->graph, commit->cached) ? graph_ok(r->graph, fault) : ERR_OK;
}

/* A step that evaluates again: all evaluations (seek.h). */
static Err search(const Replay *r, const StepCommit *commit, bool *finite,
                  Fault *fault) {
  SeekStep s = {.optimizer = r->optimizer, .commit = commit,
                .n_params = r->numbers.n_params, .out = r->bound.out};
  return seek(&s, finite, fault);
}

/* Computes, checks, and commits what is finite; *finite stays false where a traced step
 * is to group the parameters anew. */
static Err run(Replay *r, const PlanArgs *args, Gauges *gauges, bool *finite,
               Fault *fault) {
  bool grouped = false, proved = false;
  must(r->n_gauges == gauges_asked(gauges) * r->numbers.n_params);
  StepCommit commit = commit_of(r);
  Err err = gauges_begin(gauges, r->numbers.n_params, fault);
  if (!err) err = compute(r, &commit, args, gauges, &grouped, fault);
  if (err || !grouped) return err;
  err = optimizer_searches(r->optimizer)
            ? search(r, &commit, finite, fault)
            : commit_check(&commit, finite, &proved, fault);
  return !err && *finite ? commit_apply(&commit, proved, fault) : err;
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
    double weight = r->weight ? array_get(&replay_out(r, r->weight)->a, 0) : 1;
    optimizer_count(optimizer, r->vars, r->numbers.n_params, weight);
    if (gauges) gauges_take(gauges, r->vars, r->numbers.n_params);
    graph_commit(graph);
  }
  object_release(optimizer);
  graph_scope_end(graph, scope);
  return err;
}

Tensor *replay_out(const Replay *r, int i) { return r->bound.out[i]; }
