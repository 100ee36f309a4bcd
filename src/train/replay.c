/* replay.c: steps run again without building their graph.
 *
 * A traced step leaves in its Replay the plan and where each input comes from: a variable,
 * an argument, a number of the optimizer, a constant. A replayed step fills the pointers,
 * draws the streams anew, runs the plan and commits. In the steady state it allocates
 * nothing: parameters are written in place, what the function assigned (running statistics)
 * swaps between two tensors, and the results stay in the same memory. */
#include "train/replay.h"
#include "base/sys.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Input {
  Variable *variable;          /* retained, or NULL */
  Tensor *constant;            /* retained, or NULL: argument */
  int arg;
} Input;

struct Replay {
  Graph *graph;
  CachedPlan *cached;          /* pinned; NULL: nothing to replay */
  Optimizer *optimizer;        /* retained */
  uint64_t signature;
  uint64_t seed;
  uint32_t seeding;            /* streams are known by keys, which come from the seed */
  Input *in;                   /* of those that come from the trace; per input */
  uint64_t *draw_key;
  Variable **vars, **assigned; /* retained */
  Tensor **spare;              /* next values of `assigned` */
  Tensor **out;                /* memory of the results */
  Tensor **fresh;              /* new values of vars that somebody else holds; else NULL */
  int n_in, n_draws, n_vars, n_assigned, n_gauges, n_out;
  Shape arg_shape[REPLAY_ARGS];
  DType arg_dtype[REPLAY_ARGS];
  int n_args;
  OptimNumbers numbers;        /* of the first n_params of vars */
};

Replay *replay_new(Fault *fault) {
  Replay *r = calloc(1, sizeof *r);
  if (!r) fault_memory(fault, sizeof *r);
  return r;
}

void replay_clear(Replay *r) {
  for (int i = 0; r->in && i < r->n_in; i++) {
    variable_release(r->in[i].variable);
    tensor_release(r->in[i].constant);
  }
  for (int i = 0; r->vars && i < r->n_vars; i++) variable_release(r->vars[i]);
  for (int i = 0; r->assigned && i < r->n_assigned; i++) variable_release(r->assigned[i]);
  for (int i = 0; r->spare && i < r->n_assigned; i++) tensor_release(r->spare[i]);
  for (int i = 0; r->out && i < r->n_out; i++) tensor_release(r->out[i]);
  for (int i = 0; r->fresh && i < r->n_vars; i++) tensor_release(r->fresh[i]);
  if (r->cached) r->cached->pins--;
  object_release(r->optimizer);
  optim_numbers_deinit(&r->numbers);
  free(r->in);
  free(r->draw_key);
  free(r->vars);
  free(r->assigned);
  free(r->spare);
  free(r->out);
  free(r->fresh);
  *r = (Replay){0};
}

void replay_free(Replay *r) {
  if (!r) return;
  replay_clear(r);
  free(r);
}

/* -- capture ------------------------------------------------------------------------- */

static bool args_differ(const ReplayArgs *args) {
  for (int i = 0; i < args->n; i++)
    for (int k = 0; k < i; k++)
      if (args->v[i]->a.data == args->v[k]->a.data) return false;
  return args->n <= REPLAY_ARGS;
}

static Input input_of(const Graph *graph, const Node *leaf, const ReplayArgs *args) {
  if (variable_read_at_begin(graph, leaf)) return (Input){.variable = variable_retain(leaf->var)};
  const void *data = leaf_data(leaf);
  for (int k = 0; k < args->n; k++)
    if (args->v[k]->a.data == data) return (Input){.arg = k};
  const Node *holder = leaf->value[0] ? leaf : leaf->in[0];
  return (Input){.constant = tensor_retain(holder->value[0])};
}

static Variable **retain_all(Variable *const *v, int n) {
  Variable **out = malloc(((size_t)n + 1) * sizeof *out);
  if (!out) return NULL;
  for (int i = 0; i < n; i++) out[i] = variable_retain(v[i]);
  return out;
}

static bool make_tensors(Replay *r, Node *const *root) {
  Fault fault = {0};
  for (int i = 0; i < r->n_out; i++) {
    r->out[i] = tensor_new(&r->graph->memory, root[i]->dtype, &root[i]->shape, &fault);
    if (!r->out[i]) return false;
  }
  for (int i = 0; i < r->n_assigned; i++) {
    const Node *like = root[r->n_out + i];
    r->spare[i] = tensor_new(&r->graph->memory, like->dtype, &like->shape, &fault);
    if (!r->spare[i]) return false;
  }
  return true;
}

void replay_capture(Replay *r, const ReplayStep *step) {
  replay_clear(r);
  const CachedPlan *cached = step->cached;
  if (!args_differ(&step->args)) return;
  r->graph = step->graph;
  r->optimizer = object_retain(step->optimizer);
  r->signature = step->signature;
  r->seed = step->graph->seed;
  r->seeding = step->graph->count.seeding;
  r->n_in = cached->n_in;
  r->n_draws = cached->n_draws;
  r->in = calloc((size_t)r->n_in + 1, sizeof *r->in);
  r->draw_key = calloc((size_t)r->n_draws + 1, sizeof *r->draw_key);
  r->vars = retain_all(step->vars, step->n_vars);
  r->n_vars = r->vars ? step->n_vars : 0;
  r->assigned = retain_all(step->assigned, step->n_assigned);
  r->n_assigned = r->assigned ? step->n_assigned : 0;
  r->n_gauges = step->n_gauges;
  r->n_out = step->n_out;
  r->spare = calloc((size_t)r->n_assigned + 1, sizeof *r->spare);
  r->out = calloc((size_t)r->n_out + 1, sizeof *r->out);
  r->fresh = calloc((size_t)r->n_vars + 1, sizeof *r->fresh);
  bool room = r->in && r->draw_key && r->vars && r->assigned && r->spare && r->out && r->fresh;
  room = room && !optim_numbers_init(&r->numbers, step->optimizer, step->vars,
                                     step->n_params, &(Fault){0});
  if (!room || !make_tensors(r, step->root)) {
    replay_clear(r);
    return;
  }
  for (int i = 0; i < r->n_in; i++)
    if (cached->in[i].from == FROM_TRACE)
      r->in[i] = input_of(step->graph, step->trace->v[cached->in[i].index], &step->args);
  for (int i = 0; i < r->n_draws; i++) {
    const Node *draw = step->trace->v[cached->draw[i]];
    r->draw_key[i] = (uint64_t)draw->attr[draw->n_attr - 2].i;
  }
  r->n_args = step->args.n;
  for (int k = 0; k < r->n_args; k++) {
    r->arg_shape[k] = step->args.v[k]->a.shape;
    r->arg_dtype[k] = step->args.v[k]->a.dtype;
  }
  r->cached = step->cached;
  r->cached->pins++;
}

bool replay_ready(const Replay *r, uint64_t signature, const ReplayArgs *args) {
  if (!r->cached || r->signature != signature || r->n_args != args->n) return false;
  if (r->seed != r->graph->seed || r->seeding != r->graph->count.seeding) return false;
  if (!args_differ(args)) return false;
  for (int k = 0; k < args->n; k++)
    if (!shape_equal(&r->arg_shape[k], &args->v[k]->a.shape) ||
        r->arg_dtype[k] != args->v[k]->a.dtype)
      return false;
  return true;
}

/* -- run ----------------------------------------------------------------------------- */

/* A value given to the variable meanwhile may not have been computed. */
static Err settle(Replay *r, Variable *v) {
  if (!v || node_value(v->current)) return ERR_OK;
  return graph_eval(r->graph, &v->current, 1);
}

static Err settle_all(Replay *r, Fault *fault) {
  for (int i = 0; i < r->n_vars; i++)
    if (settle(r, r->vars[i])) return graph_ok(r->graph, fault);
  for (int i = 0; i < r->n_in; i++)
    if (settle(r, r->in[i].variable)) return graph_ok(r->graph, fault);
  return ERR_OK;
}

static void bind_inputs(Replay *r, const ReplayArgs *args) {
  CachedPlan *c = r->cached;
  for (int i = 0; i < c->n_in; i++) {
    const PlanSource *source = &c->in[i];
    const Input *in = &r->in[i];
    switch (source->from) {
    case FROM_VARIABLE: c->in_data[i] = leaf_data(r->vars[source->index]->current); break;
    case FROM_NUMBER: c->in_data[i] = &r->numbers.input[source->index]; break;
    case FROM_CONSTANT: c->in_data[i] = source->constant->a.data; break;
    case FROM_TRACE:
      c->in_data[i] = in->variable   ? leaf_data(in->variable->current)
                      : in->constant ? in->constant->a.data
                                     : args->v[in->arg]->a.data;
      break;
    }
  }
  for (int i = 0; i < r->n_draws; i++)
    c->streams[i] = graph_draw_again(r->graph, r->draw_key[i]);
}

static int first_update(const Replay *r) { return r->n_out + r->n_assigned + r->n_gauges; }

/* A result that the user still holds is left to him. */
static Err bind_roots(Replay *r, Gauges *gauges, Fault *fault) {
  CachedPlan *c = r->cached;
  MemoryCount *memory = &r->graph->memory;
  for (int i = 0; i < r->n_out; i++) {
    Tensor *old = r->out[i];
    if (old->refs > 1 || old->storage->refs > 1) {
      Tensor *made = tensor_new(memory, old->a.dtype, &old->a.shape, fault);
      if (!made) return fault->code;
      r->out[i] = made;
      tensor_release(old);
    }
    c->root_data[i] = r->out[i]->a.data;
  }
  for (int i = 0; i < r->n_assigned; i++) c->root_data[r->n_out + i] = r->spare[i]->a.data;
  for (int i = 0; i < r->n_gauges; i++)
    c->root_data[first_update(r) - 1 - i] = &gauges->value[i];
  for (int i = 0; i < r->n_vars; i++) {
    const Tensor *value = node_value(r->vars[i]->current);
    void *data = value->a.data;
    if (!variable_owned(r->vars[i])) {
      r->fresh[i] = tensor_new(memory, value->a.dtype, &value->a.shape, fault);
      if (!r->fresh[i]) return fault->code;
      data = r->fresh[i]->a.data;
    }
    c->root_data[first_update(r) + i] = data;
  }
  return ERR_OK;
}

/* `*tensor` becomes the variable's value; its old one is the next spare, if it is free. */
static Err give(Replay *r, Variable *v, Tensor **tensor, bool keep_spare, Fault *fault) {
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

static VariableList variables_of(const Replay *r) {
  return (VariableList){r->vars, r->n_vars};
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
  cached_commit(r->graph, r->cached);
  cached_keep_ranges(r->cached, variables_of(r));
  return ERR_OK;
}

/* The updates into new memory: of no variable is it proved that its new value is finite. */
static Err commit_apart(Replay *r, bool *finite, Fault *fault) {
  for (int i = 0; i < r->n_vars; i++) {
    const Tensor *value = node_value(r->vars[i]->current);
    if (r->fresh[i]) continue;
    r->fresh[i] = tensor_new(&r->graph->memory, value->a.dtype, &value->a.shape, fault);
    if (!r->fresh[i]) return fault->code;
    r->cached->root_data[first_update(r) + i] = r->fresh[i]->a.data;
  }
  cached_redirect(r->graph, r->cached);
  cached_commit(r->graph, r->cached);
  for (int i = 0; *finite && i < r->n_vars; i++)
    *finite = array_is_finite(r->graph, &r->fresh[i]->a);
  return ERR_OK;
}

/* *grouped is false where the parameters' numbers of updates fit the plan no more. */
static Err compute(Replay *r, const ReplayArgs *args, Gauges *gauges, bool *grouped,
                   Fault *fault) {
  Err err = optimizer_begin(r->optimizer, r->vars, &r->numbers, grouped, fault);
  if (err || !*grouped) return err;
  err = settle_all(r, fault);
  if (!err) err = bind_roots(r, gauges, fault);
  if (err) return err;
  bind_inputs(r, args);
  return cached_compute(r->graph, r->cached) ? graph_ok(r->graph, fault) : ERR_OK;
}

/* Computes, checks, and commits what is finite; *finite stays false where a traced step is
 * to group the parameters anew. */
static Err run(Replay *r, const ReplayArgs *args, Gauges *gauges, bool *finite, Fault *fault) {
  bool grouped = false;
  must(r->n_gauges == gauges_asked(gauges) * r->numbers.n_params);
  Err err = gauges_begin(gauges, r->numbers.n_params, fault);
  if (!err) err = compute(r, args, gauges, &grouped, fault);
  if (err || !grouped) return err;
  *finite = isfinite((double)*tensor_reals(r->out[0]));
  for (int i = 0; *finite && i < r->n_assigned; i++)
    *finite = array_is_finite(r->graph, &r->spare[i]->a);
  if (!*finite) return ERR_OK;
  bool proved = cached_proves_finite(r->graph, r->cached, variables_of(r));
  if (interrupt_pending()) return fault_set(fault, ERR_INTERRUPT, "interrupted");
  if (!proved) err = commit_apart(r, finite, fault);
  return !err && *finite ? commit(r, proved, fault) : err;
}

Err replay_run(Replay *r, const ReplayArgs *args, Gauges *gauges, bool *done, Fault *fault) {
  Graph *graph = r->graph;
  Optimizer *optimizer = object_retain(r->optimizer);   /* also if the replay is cleared */
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

Tensor *replay_out(const Replay *r, int i) { return r->out[i]; }
