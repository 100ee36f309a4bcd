/* step.c: one training step: compute, check, commit.
 *
 *   begin ─► forward (the caller's function) ─► structure known? ─ no ─► gradients,
 *                                                   │     updates, plan, into the cache
 *                                                   ▼
 *            bind ─► compute ─► finite? interrupted? ─► commit, else roll back
 *
 * The forward graph is built by each step; what follows from it is looked up.
 * Parameters and slots are updated in place where no one else holds their values, else
 * in new memory, so snapshots and pending expressions keep what they saw.
 *
 * Everything that a step commits is finite: the loss and what the function assigned are
 * looked at; of parameters and slots it is proved before they are written
 * (plan_proof.c), and where it cannot be, they are written to new memory and looked at
 * there.
 *
 * Where the optimizer searches (nn/optim.h), the graph ends with the gradients, and the
 * new values come from evaluating it again (seek.c). */
#include "train/train.h"
#include "base/array.h"
#include "base/out.h"
#include "base/sys.h"
#include "graph/cache.h"
#include "graph/ops.h"
#include "train/commit.h"
#include "train/nonfinite.h"
#include "train/seek.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One step in progress. Roots: results of the function, variables that it assigned,
 * what is asked of the gradients (gauge.h), then the updated variables (parameters,
 * slots); of a step that searches the gradients. */
typedef struct Step {
  Graph *graph;
  const StepTarget *target;
  const StepCapture *capture; /* NULL: none */
  Optimizer *optimizer;
  Fault *fault;
  uint64_t first_serial;
  bool built;      /* before the step: else its plan draws initial values too */
  bool searches;   /* the optimizer evaluates again */
  Variable **vars; /* parameters, each once, then slots; borrowed */
  bool *own;       /* of vars: the step alone holds the value */
  int n_params, n_vars;
  int64_t var_room, own_room;
  Variable **assigned; /* by the function; borrowed */
  Node **root;
  Node **grads;  /* of the parameters; NULL: a known plan has them */
  Tensor **made; /* memory of the roots, n_made, with those of the updated variables
                    behind all others; NULL: the variable's own */
  int n_out, n_assigned, n_gauges, n_roots, n_made;
  int weight;  /* StepOutputs.weight */
  Trace trace; /* of the forward graph */
  OptimNumbers numbers;
} Step;

static int first_gauge(const Step *step) { return step->n_out + step->n_assigned; }
static int first_update(const Step *step) { return first_gauge(step) + step->n_gauges; }

static Err graph_fault(Step *step) { return graph_ok(step->graph, step->fault); }

/* -- what is trained --------------------------------------------------------------- */

static Err vars_room(Step *step, int n) {
  int64_t wanted = step->n_vars + n;
  if (wanted > step->var_room) wanted *= 2; /* slots follow */
  Err err = ARRAY_ROOM(step->vars, step->var_room, wanted, step->fault);
  return err ? err : ARRAY_ROOM(step->own, step->own_room, step->var_room, step->fault);
}

/* Is the variable in the list? Those that are know their place. */
static bool is_at_place(Variable *const *list, int n, const Variable *v) {
  return v->place >= 0 && v->place < n && list[v->place] == v;
}

static Err add_params(Step *step, Variable *const *v, int n) {
  Err err = vars_room(step, n);
  for (int i = 0; !err && i < n; i++) {
    bool wanted = v[i]->trainable && !v[i]->frozen && v[i]->has_value;
    if (!wanted || is_at_place(step->vars, step->n_vars, v[i])) continue;
    must(step->vars);
    v[i]->place = step->n_vars;
    step->vars[step->n_vars++] = v[i];
  }
  step->n_params = step->n_vars;
  return err;
}

static Err list_params(Step *step) {
  const StepTarget *target = step->target;
  step->n_vars = 0;
  for (int i = 0; i < target->n_nets; i++) {
    StateList list;
    Err err = layer_trained(target->nets[i], &list, step->fault);
    optimizer_meet(step->optimizer, list.v, list.n);
    if (!err) err = add_params(step, list.v, list.n);
    state_deinit(&list);
    if (err) return err;
  }
  optimizer_meet(step->optimizer, target->variables, target->n_variables);
  return add_params(step, target->variables, target->n_variables);
}

static bool all_built(const StepTarget *target) {
  for (int i = 0; i < target->n_variables; i++)
    if (!target->variables[i]->has_value) return false;
  for (int i = 0; i < target->n_nets; i++)
    if (!layer_built(target->nets[i])) return false;
  return true;
}

/* Initial values that were not read yet are computed now: those of parameters that
 * the function does not read would be in no trace. What it assigned is computed by the
 * plan. */
static Err settle_vars(Step *step) {
  Graph *graph = step->graph;
  for (int i = 0; i < step->n_vars; i++) {
    Node *value = step->vars[i]->current;
    if (variable_at_begin(graph, step->vars[i]) != value || node_value(value)) continue;
    if (graph_eval(graph, &value, 1)) return graph_fault(step);
  }
  return ERR_OK;
}

/* The slots follow the parameters. */
static Err list_slots(Step *step) {
  Graph *graph = step->graph;
  int n = step->n_params, n_slots = n * optimizer_slots_each(step->optimizer);
  if (vars_room(step, n_slots)) return step->fault->code;
  if (optimizer_slots(graph, step->optimizer, step->vars, n, step->vars + n))
    return graph_fault(step);
  step->n_vars = n + n_slots;
  return ERR_OK;
}

/* Before the function runs: what it reads of a value is its own affair. */
static void note_owned(Step *step, int first) {
  for (int i = first; i < step->n_vars; i++)
    step->own[i] = variable_owned(step->vars[i]);
}

/* -- forward ----------------------------------------------------------------------- */

static Err check_loss(const Node *loss, Fault *fault) {
  if (loss && shape_count(&loss->shape) == 1 && loss->dtype == DT_REAL) return ERR_OK;
  char got[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE,
                   "step: the function must return a loss with one element first, got "
                   "%s",
                   loss ? shape_text(got, &loss->shape) : "nothing");
}

Err step_output(StepOutputs *out, Node *node, Fault *fault) {
  Err err = ARRAY_ROOM(out->v, out->room, out->n + 1, fault);
  if (!err) out->v[out->n++] = node;
  return err;
}

void step_outputs_deinit(StepOutputs *out) {
  free(out->v);
  *out = (StepOutputs){0};
}

/* The loss with what layers add to it. */
static Node *penalized(Graph *graph, Node *loss, Node *penalty) {
  return penalty ? op_add(graph, loss, op_reshape(graph, penalty, &loss->shape)) : loss;
}

static Err forward(Step *step, StepFunction function, void *ctx, StepOutputs *out) {
  Graph *graph = step->graph;
  bool training = graph->training;
  graph->training = true;
  Err err = function(ctx, graph, out, step->fault);
  graph->training = training;
  Node *penalty = graph_take_penalty(graph);
  if (!err) err = graph_fault(step);
  step->n_out = out->n;
  step->weight = out->weight;
  if (!err) err = check_loss(out->n ? out->v[0] : NULL, step->fault);
  if (!err) out->v[0] = penalized(graph, out->v[0], penalty);
  return err ? err : graph_fault(step);
}

/* Variables that the function assigned, each once, without those that are updated
 * anyway. */
static Err list_assigned(Step *step, int n_before_slots) {
  step->assigned = calloc((size_t)n_before_slots + 1, sizeof *step->assigned);
  if (!step->assigned) return fault_memory(step->fault, 0);
  for (int i = 0; i < n_before_slots; i++) {
    Variable *v = graph_assigned(step->graph, i);
    if (is_at_place(step->vars, step->n_params, v)) continue;
    if (is_at_place(step->assigned, step->n_assigned, v)) continue;
    v->place = step->n_assigned;
    step->assigned[step->n_assigned++] = v;
  }
  return ERR_OK;
}

static Err list_roots(Step *step, Node *const *out) {
  step->n_gauges = gauges_asked(step->target->gauges) * step->n_params;
  step->n_made = first_update(step) + step->n_vars;
  step->n_roots = step->searches ? first_update(step) + step->n_params : step->n_made;
  step->root = calloc((size_t)step->n_made + 1, sizeof *step->root);
  step->made = calloc((size_t)step->n_made + 1, sizeof *step->made);
  if (!step->root || !step->made) return fault_memory(step->fault, 0);
  for (int i = 0; i < step->n_out; i++) step->root[i] = out[i];
  for (int i = 0; i < step->n_assigned; i++) {
    must(step->assigned[i]);
    step->root[step->n_out + i] = step->assigned[i]->current;
  }
  return ERR_OK;
}

/* -- structure --------------------------------------------------------------------- */

/* A gradient that is a parameter itself would change while updates read it: it gets
 * memory of its own. */
static Node *apart_from_variables(Graph *graph, Node *gradient) {
  const Node *base = gradient;
  while (base->in && (base->op->view || base->op == &op_record_pick))
    base = base->in[0];
  return base->var ? op_scale(graph, gradient, 1) : gradient;
}

/* Those of the last parameters first, as their gradients are computed: each is looked
 * at while it is in a near cache. */
static void emit_gauges(const Step *step, Node *const *grads) {
  const Gauges *gauges = step->target->gauges;
  Node **root = step->root + first_gauge(step);
  for (int i = step->n_params - 1; i >= 0; i--)
    for (int k = gauges_asked(gauges) - 1; k >= 0; k--)
      *root++ = gauges->ask[k](step->graph, grads[i]);
}

/* Where the value of root r goes, which is what is asked of a gradient. */
static real *gauge_value(const Step *step, int r) {
  return &step->target->gauges->value[first_update(step) - 1 - r];
}

/* Gradients, what is asked of them, and updates: the last roots. */
static Err emit_updates(Step *step, Node *const *number) {
  Graph *graph = step->graph;
  int n = step->n_params;
  free(step->grads);
  Node **grads = step->grads = calloc((size_t)n + 1, sizeof *grads);
  Node **wrt = malloc(((size_t)n + 1) * sizeof *wrt);
  if (!wrt || !grads) {
    free(wrt);
    return fault_memory(&graph->fault, (size_t)n * sizeof *wrt);
  }
  Node **update = step->root + first_update(step);
  for (int i = 0; i < n; i++) wrt[i] = variable_read(graph, step->vars[i]);
  if (!graph->fault.code && !graph_grad(graph, step->root[0], NULL, wrt, n, grads)) {
    for (int i = 0; i < n; i++) grads[i] = apart_from_variables(graph, grads[i]);
    emit_gauges(step, grads);
    if (step->searches) memcpy(update, grads, (size_t)n * sizeof *grads);
    else
      (void)!optimizer_emit(graph, step->optimizer, &step->numbers, number,
                            step->weight ? step->root[step->weight] : NULL, step->vars,
                            step->vars + n, grads, update, update + n);
  }
  free(wrt);
  return graph->fault.code;
}

/* As nodes, in a list that the caller frees; NULL and a fault of the graph: no
 * memory. */
static Node **emit_numbers(Step *step) {
  Graph *graph = step->graph;
  const OptimNumbers *numbers = &step->numbers;
  Node **number = malloc((size_t)numbers->n * sizeof *number);
  if (!number) fault_memory(&graph->fault, (size_t)numbers->n * sizeof *number);
  for (int i = 0; number && i < numbers->n; i++)
    number[i] = graph_scalar(graph, numbers->value[i]);
  return number;
}

/* The same with the optimizer's numbers as they are. */
static Err emit_all(Step *step) {
  Node **number = emit_numbers(step);
  if (number) (void)!emit_updates(step, number);
  free(number);
  return step->graph->fault.code;
}

/* Parameters that the function assigned: what their updates begin with. Added to the
 * roots; returns how many. */
static int add_assigned_params(Step *step, Node **root) {
  int n = 0;
  for (int i = 0; i < step->n_params; i++) {
    Variable *v = step->vars[i];
    if (variable_at_begin(step->graph, v) != v->current)
      root[n++] = variable_read(step->graph, v);
  }
  return n;
}

static Err take_trace(Step *step, Trace *trace) {
  const Gauges *gauges = step->target->gauges;
  int n = optimizer_words(step->optimizer, &step->numbers, NULL);
  size_t n_bytes = ((size_t)n + 2 + (size_t)gauges_asked(gauges)) * sizeof(uint64_t);
  int n_roots = first_gauge(step);
  n_roots += add_assigned_params(step, step->root + n_roots);
  if (step->graph->fault.code) return step->graph->fault.code;
  uint64_t *words = malloc(n_bytes);
  if (!words) return fault_memory(&step->graph->fault, n_bytes);
  n = optimizer_words(step->optimizer, &step->numbers, words);
  words[n++] = (uint64_t)step->n_params;
  words[n++] = (uint64_t)step->n_out;
  for (int k = 0; k < gauges_asked(gauges); k++)
    words[n++] = (uint64_t)(uintptr_t)gauges->ask[k];
  Err err = trace_list(trace, step->graph, step->root, n_roots, step->first_serial);
  if (!err)
    err = trace_key(trace, step->graph, step->root, n_roots,
                    (VariableList){step->vars, step->n_vars}, words, n);
  free(words);
  return err;
}

static void capture(const Step *step, CachedPlan *cached, const Trace *trace) {
  replay_capture(step->capture->replay,
                 &(ReplayStep){.graph = step->graph, .cached = cached, .trace = trace,
                               .optimizer = step->optimizer, .vars = step->vars,
                               .assigned = step->assigned, .root = step->root,
                               .n_params = step->n_params, .n_vars = step->n_vars,
                               .n_assigned = step->n_assigned,
                               .n_gauges = step->n_gauges,
                               .n_out = step->n_out, .weight = step->weight,
                               .args = step->capture->args,
                               .signature = step->capture->signature});
}

/* Planning costs more than a step: the user is warned when one and the same step is
 * planned anew each time. */
static void count_miss(const Step *step) {
  enum { MANY = 8 };
  StepWatch *watch = step->target->watch;
  if (!watch || ++watch->n_misses != MANY) return;
  Text what = {0};
  bool known = trace_difference(&step->trace, step->graph, watch->plan, &what);
  err_print("train.step: the graph was another one in each of the last %d calls of "
            "this step, so each was planned anew%s%s\n",
            MANY, known ? "; the last difference: " : "", known ? what.data : "");
  text_deinit(&what);
}

/* Is this the step whose stages are asked for? */
static bool is_dumped(const Step *step) {
  const Text *out = step->graph->dump;
  return out && step->built && !out->n_bytes;
}

/* Writes the stages for people and stops. */
static Err dump(Step *step, const CachedPlan *cached) {
  if (!is_dumped(step)) return ERR_OK;
  Graph *graph = step->graph;
  Text *out = graph->dump;
  text_add(out, "-- forward graph\n");
  graph_dump(graph, step->root, first_gauge(step), out);
  text_add(out, "\n-- with gradients and updates\n");
  graph_dump(graph, step->root, step->n_roots, out);
  text_add(out, "\n-- plan: jobs, items, groups (+ and |), memory\n");
  plan_dump(cached->plan, out);
  return fault_set(&graph->fault, ERR_INTERRUPT, "stopped after planning");
}

/* Gradients, updates and the plan of it all, into the cache. */
static CachedPlan *make_plan(Step *step) {
  CachedPlan *cached = NULL;
  Node **number = emit_numbers(step);
  if (number && !emit_updates(step, number))
    cached = cache_add(step->graph, PLANS_OF_STEPS, &step->trace, step->root,
                       step->n_roots, (VariableList){step->vars, step->n_vars}, number,
                       step->numbers.n);
  free(number);
  return cached && dump(step, cached) ? NULL : cached;
}

/* The plan of this step's structure, from the cache or made now; bound to its values.
 * One whose stages are asked for is made, also where the step that built the net has
 * made its like. */
static CachedPlan *find_plan(Step *step) {
  Graph *graph = step->graph;
  VariableList variables = {step->vars, step->n_vars};
  Trace *trace = &step->trace;
  if (take_trace(step, trace)) return NULL;
  CachedPlan *cached = is_dumped(step) ? NULL
                                       : cache_find(graph, PLANS_OF_STEPS, trace);
  StepWatch *watch = step->target->watch;
  if (!cached) count_miss(step);
  else if (watch) watch->n_misses = 0;
  if (!cached) step_warn_of_pairs(graph, trace);
  if (!cached) step_warn_of_untrained(graph, trace, step->root[0]);
  if (!cached) cached = make_plan(step);
  if (cached && watch) watch->plan = cached->made;
  if (cached)
    cached_bind(cached, graph,
                &(PlanGiven){.in = cached->in, .trace = trace, .variables = variables,
                             .numbers = step->numbers.input});
  if (cached && step->capture && step->built) capture(step, cached, trace);
  return cached;
}

/* -- results ----------------------------------------------------------------------- */

static Err make_results(Step *step, CachedPlan *cached) {
  for (int r = 0; r < step->n_out; r++) {
    const Node *like = step->root[r];
    step->made[r] = tensor_new(&step->graph->memory, like->dtype, &like->shape,
                               step->fault);
    if (!step->made[r]) return step->fault->code;
    cached->root_data[r] = step->made[r]->a.data;
  }
  return ERR_OK;
}

static Err hand_over(Step *step, Node **out) {
  for (int r = 0; r < step->n_out; r++) {
    out[r] = commit_value(step->graph, &step->made[r], step->fault);
    if (!out[r]) return step->fault->code;
  }
  return ERR_OK;
}

/* Of what the step assigned and updates: with the memory that a plan keeps, or all in
 * `made`. */
static StepCommit commit_of(const Step *step, CachedPlan *cached) {
  return (StepCommit){.graph = step->graph,
                      .cached = cached,
                      .updated = {step->vars, step->n_vars},
                      .assigned = {step->assigned, step->n_assigned},
                      .n_out = step->n_out,
                      .n_gauges = step->n_gauges,
                      .spare = (cached ? cached->spare : step->made) + step->n_out,
                      .fresh = step->made + first_update(step)};
}

/* -- compute and check ------------------------------------------------------------- */

static Err check_interrupt(Step *step) {
  if (!interrupt_pending()) return ERR_OK;
  return fault_set(step->fault, ERR_INTERRUPT, "interrupted");
}

/* A value that is not finite would be committed: says which. What is computed for that
 * forgets its inputs, and the trace only borrows its nodes. */
static Err refuse(Step *step) {
  Graph *graph = step->graph;
  Node **update = step->root + first_update(step);
  Trace *trace = &step->trace;
  int64_t n_traced = trace->n;
  for (int64_t i = 0; i < n_traced; i++) node_retain(trace->v[i]);
  bool all = step->grads || !emit_all(step);
  fault_clear(&graph->fault);
  Err err = nonfinite_fault(
      &(NonfiniteStep){.graph = graph,
                       .number = optimizer_update_number(step->optimizer),
                       .loss = step->root[0],
                       .assigned = step->assigned,
                       .assigned_to = step->root + step->n_out,
                       .n_assigned = step->n_assigned, .vars = step->vars,
                       .update = update,
                       .n_vars = all && !step->searches ? step->n_vars : 0,
                       .gradient = step->grads,
                       .n_params = all ? step->n_params : 0},
      step->fault);
  trace_expire(trace, graph);
  for (int64_t i = 0; i < n_traced; i++) node_release(trace->v[i]);
  return err;
}

static Err run_planned(Step *step, Node **out) {
  Graph *graph = step->graph;
  const Gauges *gauges = step->target->gauges;
  CachedPlan *cached = find_plan(step);
  if (!cached) return graph_fault(step);
  StepCommit commit = commit_of(step, cached);
  bool finite = false, proved = false;
  Err err = make_results(step, cached);
  if (!err)
    err = commit_begin(&commit, step->own, gauges ? gauges->value : NULL, step->fault);
  if (!err && cached_compute(graph, cached)) err = graph_fault(step);
  if (!err) err = commit_check(&commit, &finite, &proved, step->fault);
  if (!err && !finite) err = refuse(step);
  if (err) return err;
  trace_expire(&step->trace, graph);
  err = hand_over(step, out);
  return err ? err : commit_apply(&commit, proved, step->fault);
}

/* Is the root what is asked of a gradient? */
static bool is_gauge(const Step *step, int r) {
  return r >= first_gauge(step) && r < first_update(step);
}

/* The same by the naive executor: every step builds and computes its whole graph. */
static Err run_naive(Step *step, Node **out) {
  Graph *graph = step->graph;
  if (emit_all(step) || graph_eval(graph, step->root, step->n_roots))
    return graph_fault(step);
  bool finite = isfinite(array_get(&node_value(step->root[0])->a, 0));
  for (int r = step->n_out; finite && r < step->n_roots; r++)
    finite = is_gauge(step, r) || array_is_finite(graph, &node_value(step->root[r])->a);
  Err err = !finite ? refuse(step) : check_interrupt(step);
  for (int r = 0; !err && r < step->n_roots; r++) {
    Tensor *value = node_value(step->root[r]);
    if (is_gauge(step, r)) *gauge_value(step, r) = *tensor_reals(value);
    else step->made[r] = tensor_retain(value);
  }
  StepCommit commit = commit_of(step, NULL);
  if (!err) err = hand_over(step, out);
  return err ? err : commit_apply(&commit, false, step->fault);
}

/* A parameter that the function assigned would be read in two ways. */
static Err check_search(const Step *step) {
  for (int i = 0; i < step->n_params; i++) {
    const Variable *v = step->vars[i];
    if (variable_at_begin(step->graph, v) != v->current)
      return fault_set(step->fault, ERR_VALUE,
                       "step: the function assigned %s, which optim.%s is to change by "
                       "a search: assign it after the step",
                       v->name ? v->name : "a variable",
                       step->optimizer->object.kind->name);
  }
  return ERR_OK;
}

/* The first evaluation, by a plan or naively, then all others. */
static Err search(Step *step, const StepCommit *commit, bool *finite) {
  const Gauges *gauges = step->target->gauges;
  SeekStep s = {.optimizer = step->optimizer, .commit = commit,
                .n_params = step->n_params, .out = step->made,
                .gauge = gauges ? gauges->value : NULL, .root = step->root};
  return seek(&s, finite, step->fault);
}

static Err run_searched(Step *step, Node **out) {
  const Gauges *gauges = step->target->gauges;
  bool finite = false;
  if (check_search(step)) return step->fault->code;
  CachedPlan *cached = step->graph->naive ? NULL : find_plan(step);
  if (step->graph->naive ? emit_all(step) : !cached) return graph_fault(step);
  StepCommit commit = commit_of(step, cached), first = commit;
  first.updated.n = 0;
  Err err = cached ? make_results(step, cached) : ERR_OK;
  if (!err && cached)
    err = commit_begin(&first, NULL, gauges ? gauges->value : NULL, step->fault);
  if (!err) err = search(step, &commit, &finite);
  if (!err && !finite) err = refuse(step);
  if (err) return err;
  trace_expire(&step->trace, step->graph);
  err = hand_over(step, out);
  return err ? err : commit_apply(&commit, false, step->fault);
}

/* The slots are there. */
static Err begin_numbers(Step *step) {
  bool grouped = true;
  Err err = optimizer_check_groups(step->optimizer, step->fault);
  if (!err)
    err = optim_numbers_init(&step->numbers, step->optimizer, step->vars,
                             step->n_params, step->fault);
  if (!err)
    err = optimizer_begin(step->optimizer, step->vars, &step->numbers, &grouped,
                          step->fault);
  must(grouped);
  return err;
}

static Err run(Step *step, StepFunction function, void *ctx, StepOutputs *out) {
  Graph *graph = step->graph;
  step->built = all_built(step->target);
  step->searches = optimizer_searches(step->optimizer);
  Err err = step->built ? list_params(step) : ERR_OK;
  if (err) return err;
  note_owned(step, 0);
  if ((err = forward(step, function, ctx, out))) return err;
  int n_assignments = 0;
  while (graph_assigned(graph, n_assignments)) n_assignments++;
  if (!step->built && (err = list_params(step))) return err;
  if (step->n_params == 0)
    return fault_set(step->fault, ERR_VALUE,
                     "step: nothing to train: no variable that is built and not "
                     "frozen");
  if ((err = list_slots(step)) || (err = settle_vars(step))) return err;
  note_owned(step, step->built ? step->n_params : 0);
  if ((err = list_assigned(step, n_assignments)) || (err = list_roots(step, out->v)))
    return err;
  if (!step->built) memset(step->own, 0, (size_t)step->n_vars * sizeof *step->own);
  for (int i = 0; i < step->n_params; i++)
    if (variable_at_begin(graph, step->vars[i]) != step->vars[i]->current)
      step->own[i] = false;
  if ((err = gauges_begin(step->target->gauges, step->n_params, step->fault)))
    return err;
  if ((err = begin_numbers(step))) return err;
  if (step->searches) return run_searched(step, out->v);
  return graph->naive ? run_naive(step, out->v) : run_planned(step, out->v);
}

Err train_step(Graph *graph, const StepTarget *target, Optimizer *optimizer,
               StepFunction function, void *ctx, const StepCapture *capture,
               StepOutputs *out, Fault *fault) {
  if (graph->in_transaction)
    return fault_set(fault, ERR_VALUE, "step: a step was called inside a step");
  Step step = {.graph = graph, .target = target, .capture = capture,
               .optimizer = optimizer, .fault = fault};
  OptimMark mark = optimizer_mark(optimizer);
  out->n = out->weight = 0;
  graph_begin(graph);
  step.first_serial = graph->first_serial;
  Err err = graph_ok(graph, fault);
  if (!err) err = run(&step, function, ctx, out);
  trace_expire(&step.trace, graph);
  trace_deinit(&step.trace);
  if (err) {
    graph_rollback(graph);
    optimizer_rollback(optimizer, &mark);
    if (capture) replay_clear(capture->replay);
  } else {
    Node *weight = step.weight ? out->v[step.weight] : NULL;
    optimizer_count(optimizer, step.vars, step.n_params,
                    weight ? array_get(&node_value(weight)->a, 0) : 1);
    if (target->gauges) gauges_take(target->gauges, step.vars, step.n_params);
    graph_commit(graph);
  }
  for (int r = 0; step.made && r < step.n_made; r++) tensor_release(step.made[r]);
  optim_numbers_deinit(&step.numbers);
  free(step.vars);
  free(step.own);
  free(step.assigned);
  free(step.root);
  free(step.grads);
  free(step.made);
  return err;
}
