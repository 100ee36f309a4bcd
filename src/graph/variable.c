/* variable.c: the only things that change, and the transactions that let a failed step
 * change nothing.
 *
 * A variable points at the node it stands for now. Assigning points it at another one;
 * the old node stays as it was for whoever holds it. So a pending expression keeps the
 * value that it had at its line, snapshots cost nothing, and an undo is a pointer put
 * back. */
#include "base/record.h"
#include "graph/graph_private.h"
#include <stdlib.h>
#include <string.h>

Variable *variable_new(const char *name, Fault *fault) {
  Variable *v = calloc(1, sizeof *v);
  if (!v) {
    fault_memory(fault, sizeof *v);
    return NULL;
  }
  v->refs = 1;
  v->trainable = true;
  if (name && variable_rename(v, name, fault)) {
    variable_release(v);
    return NULL;
  }
  return v;
}

Variable *variable_retain(Variable *v) {
  v->refs++;
  return v;
}

Variable *variable_claim(Variable *v) {
  v->loose = false;
  return variable_retain(v);
}

/* What it stands for may, not yet computed, lead back to a read of it: reads are
 * counted apart, and the last owner cuts the circle. */
void variable_release(Variable *v) {
  if (!v || --v->refs > 0) return;
  Node *current = v->current;
  v->current = NULL;
  v->has_value = false;
  v->n_reads++; /* stays until its value is gone */
  node_drop(current);
  v->n_reads--;
  variable_free_unused(v);
}

void variable_limit(Variable *v, struct Object *limit, int units_axis) {
  if (limit) object_retain(limit);
  object_release(v->limit);
  v->limit = limit;
  v->units_axis = units_axis;
}

Err variable_rename(Variable *v, const char *name, Fault *fault) {
  char *copy = text_copy(name);
  if (!copy) return fault_memory(fault, strlen(name) + 1);
  free(v->name);
  v->name = copy;
  return ERR_OK;
}

Node *variable_read(Graph *graph, Variable *v) {
  if (graph->fault.code) return NULL;
  if (!v->has_value) {
    fault_set(&graph->fault, ERR_VALUE,
              "%s has no value yet: its net is not built; call net:build(shape) or use "
              "the net first",
              v->name ? v->name : "variable");
    return NULL;
  }
  /* Its other users may go away, by a collection, while the caller works with it. */
  bool expired = v->leaf && v->leaf->step && v->leaf->step != graph->step;
  if (v->leaf && !expired) return graph_borrow(graph, v->leaf);
  Node *leaf = node_new(graph, &op_record_read, &v->current, 1, NULL, 0,
                        &v->current->shape, &v->current->dtype, 1);
  if (!leaf) return NULL;
  if (!v->first_read) v->first_read = leaf->serial;
  leaf->tracked = true;
  leaf->var = v;
  leaf->history = 0;
  v->n_reads++;
  return v->leaf = leaf;
}

void variable_touch(Variable *v) {
  v->leaf = NULL;
  v->version++;
}

static Err remember(Graph *graph, Variable *v) {
  Err err = ARRAY_ROOM(graph->undo, graph->undo_room, graph->n_undo + 1, &graph->fault);
  if (err) return err;
  Node *old = v->has_value ? node_hold(v->current) : NULL;
  graph->undo[graph->n_undo++] = (Undo){variable_retain(v), old};
  if (v->assigned_in != graph->step) v->before = old;
  v->assigned_in = graph->step;
  return ERR_OK;
}

/* Assignments in a row whose values were not looked at make a chain: it is computed
 * when it has become long. A transaction computes its own at its end. */
static Err shorten_chain(Graph *graph, Variable *v, Node *value) {
  bool pending = v->has_value && !v->current->value[0];
  v->n_pending = pending ? v->n_pending + 1 : 0;
  if (graph->in_transaction || graph->n_gradients) return ERR_OK;
  if (v->n_pending <= MAX_PENDING_DEPTH && !history_heavy(value)) return ERR_OK;
  return graph_eval(graph, &value, 1);
}

/* Points v at `value` (NULL: at nothing), which it holds from now on. */
static void point(Variable *v, Node *value) {
  node_drop(v->current);
  v->current = value;
  v->has_value = value != NULL;
  v->leaf = NULL;
  v->version++;
}

bool variable_fits(const Variable *v, const Shape *shape) {
  if (!v->has_value) return true;
  Shape want = v->current->shape;
  if (v->any_rows && want.rank > 0 && shape->rank > 0) want.dim[0] = shape->dim[0];
  return shape_equal(shape, &want);
}

Err variable_assign(Graph *graph, Variable *v, Node *value) {
  /* In a transaction the history goes with its nodes. */
  if (!graph->in_transaction) value = graph_untracked(graph, value);
  if (!value) return graph->fault.code ? graph->fault.code : ERR_VALUE;
  if (!variable_fits(v, &value->shape) ||
      (v->has_value && value->dtype != v->current->dtype)) {
    char got[SHAPE_TEXT], want[SHAPE_TEXT];
    return fault_set(&graph->fault, ERR_SHAPE, "%s: got %s %s, allowed: %s %s",
                     v->name ? v->name : "variable", shape_text(got, &value->shape),
                     dtype_name(value->dtype), shape_text(want, &v->current->shape),
                     dtype_name(v->current->dtype));
  }
  if (shorten_chain(graph, v, value)) return graph->fault.code;
  if (graph->in_transaction && remember(graph, v)) return graph->fault.code;
  if (v->has_value && !shape_equal(&value->shape, &v->current->shape))
    graph->n_reshaped++;
  point(v, node_hold(value));
  return ERR_OK;
}

static bool node_owned(const Node *node) {
  const Tensor *value = node ? node->value[0] : NULL;
  return value && node->refs == 1 && value->refs == 1 && value->storage->refs == 1;
}

bool variable_owned(const Variable *v) { return node_owned(v->current); }

bool variable_can_swap(const Graph *graph, const Variable *v) {
  return node_owned(variable_is_assigned(graph, v) ? v->before : v->current);
}

void variable_swap(Graph *graph, Variable *v, Tensor **t) {
  must(variable_can_swap(graph, v));
  if (variable_is_assigned(graph, v)) point(v, node_hold(v->before));
  else variable_touch(v);
  Tensor *old = v->current->value[0];
  v->current->value[0] = *t;
  *t = old;
}

/* -- transactions ------------------------------------------------------------------ */

void graph_begin(Graph *graph) {
  must(!graph->in_transaction);
  graph->in_transaction = true;
  graph->named = false;
  graph->first_serial = graph->next_serial + 1;
  graph->step = ++graph->n_steps;
  graph->n_counters_at_begin = graph->n_counters;
  graph->seed_at_begin = graph->seed;
  graph->count_at_begin = graph->count;
  if (!graph->n_counters) return;
  if (ARRAY_ROOM(graph->counters_at_begin, graph->begin_room, graph->n_counters,
                 &graph->fault)) {
    graph->n_counters_at_begin = 0;
    return;
  }
  memcpy(graph->counters_at_begin, graph->counters,
         (size_t)graph->n_counters * sizeof(Counter));
}

static void forget_undo(Graph *graph) {
  for (int i = 0; i < graph->n_undo; i++) {
    node_drop(graph->undo[i].old);
    variable_release(graph->undo[i].var);
  }
  graph->n_undo = 0;
  while (graph->n_kept) node_drop(graph->kept[--graph->n_kept]);
  graph->in_transaction = false;
  graph->step = 0;
}

void graph_commit(Graph *graph) {
  must(graph->in_transaction);
  for (int i = 0; i < graph->n_undo; i++) node_outlive(graph->undo[i].var->current);
  forget_undo(graph);
}

/* What the transaction named is named no more. */
static void void_names(Graph *graph) {
  if (!graph->named) return;
  if (!ARRAY_ROOM(graph->void_steps, graph->void_room, graph->n_void_steps + 1, NULL))
    graph->void_steps[graph->n_void_steps++] = graph->step;
}

void graph_rollback(Graph *graph) {
  must(graph->in_transaction);
  for (int i = graph->n_undo - 1; i >= 0; i--) {
    point(graph->undo[i].var, graph->undo[i].old);
    graph->undo[i].old = NULL;
  }
  if (graph->n_counters_at_begin)
    memcpy(graph->counters, graph->counters_at_begin,
           (size_t)graph->n_counters_at_begin * sizeof(Counter));
  graph->n_counters = graph->n_counters_at_begin;
  graph->seed = graph->seed_at_begin;
  graph->count = graph->count_at_begin;
  void_names(graph);
  forget_undo(graph);
}

bool graph_is_void(const Graph *graph, uint32_t step) {
  int lo = 0, hi = graph->n_void_steps;
  while (lo < hi) {
    int middle = lo + (hi - lo) / 2;
    if (graph->void_steps[middle] < step) lo = middle + 1;
    else hi = middle;
  }
  return lo < graph->n_void_steps && graph->void_steps[lo] == step;
}

Variable *graph_assigned(const Graph *graph, int i) {
  return i < graph->n_undo ? graph->undo[i].var : NULL;
}
