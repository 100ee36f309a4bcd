/* held.c: the values of a net's variables, kept by a callback; see held.h. */
#include "train/held.h"
#include <stdlib.h>

void held_drop(HeldState *held) {
  must(held->v || held->n == 0);
  for (int i = 0; i < held->n; i++) {
    node_drop(held->v[i].value);
    variable_release(held->v[i].variable);
  }
  free(held->v);
  *held = (HeldState){0};
}

Err held_take(HeldState *held, Layer *net, Fault *fault) {
  StateList state;
  Err err = layer_state(net, &state, fault);
  if (err) return err;
  Held *v = calloc((size_t)state.n + 1, sizeof *v);
  if (!v) err = fault_memory(fault, (size_t)state.n * sizeof *v);
  for (int i = 0; v && i < state.n; i++) {
    v[i].variable = variable_retain(state.v[i]);
    if (state.v[i]->has_value) v[i].value = node_hold(state.v[i]->current);
  }
  held_drop(held);
  held->v = v;
  held->n = v ? state.n : 0;
  state_deinit(&state);
  return err;
}

Err held_put_back(const HeldState *held, Graph *graph, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < held->n; i++) {
    const Held *one = &held->v[i];
    if (one->value && variable_assign(graph, one->variable, one->value))
      err = graph_ok(graph, fault);
  }
  return err;
}

/* NULL: it joined the net later. `i`: where it is in a net that stayed. */
static Held *held_of(const HeldState *held, const Variable *v, int i) {
  if (i < held->n && held->v[i].variable == v) return &held->v[i];
  for (i = 0; i < held->n; i++)
    if (held->v[i].variable == v) return &held->v[i];
  return NULL;
}

Err held_save(const HeldState *held, const FitRun *run, Checkpoint *c, const char *part,
              Fault *fault) {
  StateList state;
  Err err = layer_state(run->net, &state, fault);
  for (int i = 0; !err && i < state.n; i++) {
    const Held *one = held_of(held, state.v[i], i);
    if (!one || !one->value) continue;
    Tensor *value = graph_value(run->graph, one->value);
    err = value ? checkpoint_add(c, part, state.name[i], value, fault)
                : graph_ok(run->graph, fault);
  }
  state_deinit(&state);
  return err;
}

Err held_load(HeldState *held, FitRun *run, const Checkpoint *c, const char *part,
              const char *what, Fault *fault) {
  StateList state;
  Graph *graph = run->graph;
  int scope = graph_scope_begin(graph);
  Err err = held_take(held, run->net, fault);
  if (!err) err = layer_state(run->net, &state, fault);
  for (int i = 0; !err && i < state.n; i++) {
    Tensor *value = checkpoint_find(c, part, state.name[i]);
    Node *node = value ? graph_const(graph, value) : NULL;
    if (!node) {
      err = graph->fault.code ? graph_ok(graph, fault)
                              : fault_set(fault, ERR_DATA, "the %s %s is missing", what,
                                          state.name[i]);
      break;
    }
    must(i < held->n);
    node_drop(held->v[i].value);
    held->v[i].value = node_hold(node);
  }
  state_deinit(&state);
  graph_scope_end(graph, scope);
  return err;
}
