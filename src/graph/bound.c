/* bound.c: plans run again without a trace; see bound.h. */
#include "graph/bound.h"
#include <stdlib.h>

/* -- binding ----------------------------------------------------------------------- */

static bool args_differ(const PlanArgs *args) {
  for (int i = 0; i < args->n; i++)
    for (int k = 0; k < i; k++)
      if (args->v[i]->a.data == args->v[k]->a.data) return false;
  return args->n <= BOUND_ARGS;
}

/* What a leaf of the trace will be in later runs. */
static PlanSource source_of(const Graph *graph, const Node *leaf,
                            const PlanArgs *args) {
  if (variable_read_at_begin(graph, leaf))
    return (PlanSource){.from = FROM_READ, .variable = variable_retain(leaf->var)};
  const void *data = plan_leaf_data(leaf);
  for (int k = 0; k < args->n; k++)
    if (args->v[k]->a.data == data)
      return (PlanSource){.from = FROM_ARGUMENT, .index = k};
  return (PlanSource){.from = FROM_CONSTANT,
                      .constant = tensor_retain(plan_leaf_value(leaf))};
}

static void bind_source(BoundPlan *b, int i, const Trace *trace, const PlanArgs *args) {
  const PlanSource *source = &b->cached->in[i];
  if (source->from == FROM_TRACE) {
    b->in[i] = source_of(b->graph, trace->v[source->index], args);
    return;
  }
  b->in[i] = *source;
  if (source->constant) tensor_retain(source->constant);
}

static bool make_out(BoundPlan *b, Node *const *root, int n_out) {
  for (; b->n_out < n_out; b->n_out++) {
    const Node *like = root[b->n_out];
    b->out[b->n_out] = tensor_new(&b->graph->memory, like->dtype, &like->shape,
                                  &(Fault){0});
    if (!b->out[b->n_out]) return false;
  }
  return true;
}

static void note_args(BoundPlan *b, const PlanArgs *args) {
  b->n_args = args->n;
  for (int k = 0; k < args->n; k++) {
    b->arg_shape[k] = args->v[k]->a.shape;
    b->arg_dtype[k] = args->v[k]->a.dtype;
  }
}

void bound_take(BoundPlan *b, Graph *graph, CachedPlan *cached, const Trace *trace,
                Node *const *root, int n_out, const PlanArgs *args,
                uint64_t signature) {
  *b = (BoundPlan){.graph = graph, .signature = signature, .seed = graph->seed,
                   .seeding = graph->count.seeding, .reshaped = graph->n_reshaped};
  if (!args_differ(args)) return;
  b->in = calloc((size_t)cached->n_in + 1, sizeof *b->in);
  b->draw_key = calloc((size_t)cached->n_draws + 1, sizeof *b->draw_key);
  b->out = calloc((size_t)n_out + 1, sizeof *b->out);
  b->cached = cached;
  cached->pins++;
  if (!b->in || !b->draw_key || !b->out || !make_out(b, root, n_out)) {
    bound_release(b);
    return;
  }
  for (int i = 0; i < cached->n_in; i++) bind_source(b, i, trace, args);
  for (int i = 0; i < cached->n_draws; i++) {
    const Node *draw = trace->v[cached->draw[i]];
    b->draw_key[i] = (uint64_t)draw->attr[draw->n_attr - 2].i;
  }
  note_args(b, args);
}

void bound_release(BoundPlan *b) {
  for (int i = 0; b->in && i < b->cached->n_in; i++) {
    variable_release(b->in[i].variable);
    tensor_release(b->in[i].constant);
  }
  for (int i = 0; b->out && i < b->n_out; i++) tensor_release(b->out[i]);
  if (b->cached) b->cached->pins--;
  free(b->in);
  free(b->draw_key);
  free(b->out);
  *b = (BoundPlan){0};
}

bool bound_fits(const BoundPlan *b, uint64_t signature, const PlanArgs *args) {
  if (!b->cached || b->signature != signature || b->n_args != args->n) return false;
  if (b->seed != b->graph->seed || b->seeding != b->graph->count.seeding) return false;
  if (b->reshaped != b->graph->n_reshaped || !args_differ(args)) return false;
  for (int k = 0; k < args->n; k++)
    if (!shape_equal(&b->arg_shape[k], &args->v[k]->a.shape) ||
        b->arg_dtype[k] != args->v[k]->a.dtype)
      return false;
  return true;
}

/* -- a run ------------------------------------------------------------------------- */

static Err settle(Graph *graph, const Variable *v, Fault *fault) {
  Node *value = v->current;
  if (node_value(value) || !graph_eval(graph, &value, 1)) return ERR_OK;
  return graph_ok(graph, fault);
}

static Err settle_all(BoundPlan *b, VariableList variables, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < variables.n; i++)
    err = settle(b->graph, variables.v[i], fault);
  for (int i = 0; !err && i < b->cached->n_in; i++)
    if (b->in[i].variable) err = settle(b->graph, b->in[i].variable, fault);
  return err;
}

/* A result that has another holder is left to it: a new tensor takes its place. */
static Err free_out(BoundPlan *b, int i, Fault *fault) {
  Tensor *old = b->out[i];
  if (old->refs == 1 && old->storage->refs == 1) return ERR_OK;
  Tensor *made = tensor_new(&b->graph->memory, old->a.dtype, &old->a.shape, fault);
  if (!made) return fault->code;
  b->out[i] = made;
  tensor_release(old);
  return ERR_OK;
}

Err bound_begin(BoundPlan *b, const PlanArgs *args, VariableList variables,
                const real *numbers, Fault *fault) {
  Err err = settle_all(b, variables, fault);
  for (int i = 0; !err && i < b->n_out; i++) {
    err = free_out(b, i, fault);
    b->cached->root_data[i] = b->out[i]->a.data;
  }
  if (err) return err;
  cached_bind(b->cached, b->graph,
              &(PlanGiven){.in = b->in, .variables = variables, .numbers = numbers,
                           .args = args->v, .draw_key = b->draw_key});
  return ERR_OK;
}
