/* commit.c: memory of a step's new values, their check, and their commit; see commit.h.
 */
#include "train/commit.h"
#include "base/sys.h"
#include <math.h>

/* -- memory ------------------------------------------------------------------------ */

/* Where the roots begin that are updates. */
static void **update_data(const StepCommit *c) {
  return c->cached->root_data + c->n_out + c->assigned.n + c->n_gauges;
}

/* *t becomes a tensor like the variable's value, unless it is one. */
static Err need_tensor(const StepCommit *c, Tensor **t, const Variable *v,
                       Fault *fault) {
  const Node *like = v->current;
  if (!*t) *t = tensor_new(&c->graph->memory, like->dtype, &like->shape, fault);
  return *t ? ERR_OK : fault->code;
}

static Err place_update(const StepCommit *c, int i, bool own, Fault *fault) {
  const Variable *v = c->updated.v[i];
  if (!own && need_tensor(c, &c->fresh[i], v, fault)) return fault->code;
  update_data(c)[i] = own ? plan_leaf_data(v->current) : c->fresh[i]->a.data;
  return ERR_OK;
}

Err commit_begin(const StepCommit *c, const bool *own, real *gauges, Fault *fault) {
  void **assigned = c->cached->root_data + c->n_out, **updates = update_data(c);
  Err err = ERR_OK;
  for (int i = 0; !err && i < c->assigned.n; i++) {
    err = need_tensor(c, &c->spare[i], c->assigned.v[i], fault);
    if (!err) assigned[i] = c->spare[i]->a.data;
  }
  for (int i = 0; i < c->n_gauges; i++) updates[-1 - i] = &gauges[i];
  for (int i = 0; !err && i < c->updated.n; i++)
    err = place_update(c, i, own ? own[i] : variable_owned(c->updated.v[i]), fault);
  return err;
}

/* -- check ------------------------------------------------------------------------- */

static bool all_finite(const StepCommit *c, Tensor *const *t, int n) {
  for (int i = 0; i < n; i++)
    if (!array_is_finite(c->graph, &t[i]->a)) return false;
  return true;
}

/* The updates into new memory: of no variable is it proved that its new value is
 * finite. */
static Err commit_apart(const StepCommit *c, bool *finite, Fault *fault) {
  for (int i = 0; i < c->updated.n; i++)
    if (place_update(c, i, false, fault)) return fault->code;
  cached_redirect(c->graph, c->cached);
  cached_commit(c->graph, c->cached);
  *finite = all_finite(c, c->fresh, c->updated.n);
  return ERR_OK;
}

Err commit_check(const StepCommit *c, bool *finite, bool *proved, Fault *fault) {
  *finite = isfinite((double)*(const real *)c->cached->root_data[0]) &&
            all_finite(c, c->spare, c->assigned.n);
  if (!*finite) return ERR_OK;
  *proved = cached_proves_finite(c->graph, c->cached);
  if (interrupt_pending()) return fault_set(fault, ERR_INTERRUPT, "interrupted");
  return *proved ? ERR_OK : commit_apart(c, finite, fault);
}

/* -- commit ------------------------------------------------------------------------ */

Node *commit_value(Graph *graph, Tensor **t, Fault *fault) {
  Node *value = graph_const(graph, *t);
  if (!value) {
    (void)!graph_ok(graph, fault);
    return NULL;
  }
  node_outlive(value);
  tensor_release(*t);
  *t = NULL;
  return value;
}

static Err give(const StepCommit *c, Variable *v, Tensor **t, Fault *fault) {
  Node *value = commit_value(c->graph, t, fault);
  if (!value) return fault->code;
  return variable_assign(c->graph, v, value) ? graph_ok(c->graph, fault) : ERR_OK;
}

Err commit_apply(const StepCommit *c, bool proved, Fault *fault) {
  Variable *const *assigned = c->assigned.v, *const *updated = c->updated.v;
  Err err = ERR_OK;
  for (int i = 0; !err && i < c->assigned.n; i++)
    if (!variable_can_swap(c->graph, assigned[i]))
      err = give(c, assigned[i], &c->spare[i], fault);
  for (int i = 0; !err && i < c->updated.n; i++)
    if (c->fresh[i]) err = give(c, updated[i], &c->fresh[i], fault);
  if (err) return err;
  for (int i = 0; i < c->assigned.n; i++)
    if (c->spare[i]) variable_swap(c->graph, assigned[i], &c->spare[i]);
  for (int i = 0; i < c->updated.n; i++) variable_touch(updated[i]);
  if (!proved) return ERR_OK;
  cached_keep_ranges(c->cached, c->updated);
  cached_commit(c->graph, c->cached);
  return ERR_OK;
}
