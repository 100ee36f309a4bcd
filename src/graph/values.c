/* values.c: values that are looked at, computed by plans.
 *
 *   first sight   by the naive executor; the key of the graph is noted
 *   later ones    by a plan that is made at the second and kept (cache.h)
 *
 * A plan saves a part of what a run costs and is dear to make, so it is made only where
 * that pays: not for a few nodes, not where something is seen once. Every node that is
 * planned is a debt, which runs of plans pay off: a script whose graphs have always
 * other shapes is computed naively after a while, and plans at the rate at which plans
 * are used. Nor does a plan make room for another that was in use lately, so that more
 * shapes than there are places do not push each other out in turn.
 *
 * The values are those of the naive executor, byte for byte, and so is what stays:
 * nodes that are held from outside are computed too and keep their values, the others
 * are pending as before. A fault of the data is found again by the naive executor,
 * which names the node. */
#include "graph/bound.h"
#include "graph/graph_private.h"
#include <stdlib.h>

enum {
  FEWEST_NODES = 8,            /* that are worth a key */
  LEAST_DEPTH = 3,             /* longest path of pending nodes: less is not looked
                                  into */
  MOST_NODES = 1 << 16,
  NODE_COST = 8,               /* runs that pay for planning a node */
  DEBT_LIMIT = NODE_COST * MOST_NODES,
  IN_USE = 4 * CACHE_PLANS,    /* uses of plans for which one is kept that is not
                                  used */
  MANY_BATCHES = 8             /* for these a plan is made at first sight */
};
/* Of all values of a graph that is planned: the arena, which stays, is no larger. */
static const size_t most_bytes = (size_t)256 << 20;

typedef struct Look {
  Graph *graph;
  Trace trace;
  Node **root;   /* what was asked for, each once, then what is held */
  Tensor **made; /* values of the roots */
  int n_roots;
  bool plain;   /* nothing else is held, nothing was there already */
  bool refused; /* by the run of the plan */
} Look;

/* For a caller who will compute the like of it again. */
typedef struct Again {
  BoundPlan *bound;
  const PlanArgs *args;
  uint64_t signature;
  int64_t n_batches;
} Again;

/* -- what is planned --------------------------------------------------------------- */

static bool is_worth_a_look(const Graph *graph, Node *const *nodes, int n) {
  if (graph->naive || graph->in_transaction) return false;
  for (int i = 0; i < n; i++)
    if (!nodes[i]->value[0] && nodes[i]->depth >= LEAST_DEPTH) return true;
  return false;
}

/* The names of one of several outputs are its own nodes: only those are kept. */
static bool can_be_planned(const Trace *trace) {
  size_t n_bytes = 0;
  int64_t n_computed = 0;
  for (int64_t i = 0; i < trace->n; i++) {
    const Node *node = trace->v[i];
    if (plan_is_leaf(node)) {
      if (node->op == &op_record_pick && !node->value[0]) return false;
      continue;
    }
    if (node->n_out > 1 && node->handles) return false;
    n_computed++;
    n_bytes += (size_t)shape_count(&node->shape) * dtype_bytes(node->dtype);
  }
  return n_computed >= FEWEST_NODES && trace->n <= MOST_NODES && n_bytes <= most_bytes;
}

static bool is_listed(const Look *look, const Node *node) {
  for (int r = 0; r < look->n_roots; r++)
    if (look->root[r] == node) return true;
  return false;
}

static void list_roots(Look *look, Node *const *nodes, int n) {
  for (int i = 0; i < n; i++)
    if (!plan_is_leaf(nodes[i]) && !is_listed(look, nodes[i]))
      look->root[look->n_roots++] = nodes[i];
  int n_asked = look->n_roots;
  look->plain = n_asked == n;
  for (int64_t i = 0; i < look->trace.n; i++) {
    Node *node = look->trace.v[i];
    bool held = node->handles && !plan_is_leaf(node);
    for (int r = 0; held && r < n_asked; r++) held = look->root[r] != node;
    if (held) look->root[look->n_roots++] = node;
  }
  look->plain = look->plain && look->n_roots == n_asked;
}

/* Trace, roots and key; n_roots stays 0 where the naive executor is to do it. */
static Err look_take(Look *look, Node *const *nodes, int n) {
  Graph *graph = look->graph;
  if (trace_list(&look->trace, graph, nodes, n, 0)) return graph->fault.code;
  if (!can_be_planned(&look->trace)) return ERR_OK;
  size_t room = (size_t)look->trace.n + 1;
  look->root = calloc(room, sizeof *look->root);
  look->made = calloc(room, sizeof *look->made);
  if (!look->root || !look->made)
    return fault_memory(&graph->fault, room * sizeof *look->root);
  list_roots(look, nodes, n);
  return trace_key(&look->trace, graph, look->root, look->n_roots, (VariableList){0},
                   NULL, 0);
}

static void look_deinit(Look *look) {
  for (int r = 0; look->made && r < look->n_roots; r++) tensor_release(look->made[r]);
  trace_deinit(&look->trace);
  free(look->root);
  free(look->made);
}

/* -- finding and making ------------------------------------------------------------ */

/* Was the like of it seen before? From now on it was. */
static bool was_seen(Graph *graph, uint64_t key) {
  for (int i = 0; i < PLAN_SIGHTS; i++)
    if (graph->sights[i] == key) return true;
  graph->sights[graph->next_sight] = key;
  graph->next_sight = (graph->next_sight + 1) % PLAN_SIGHTS;
  return false;
}

static bool may_plan(Graph *graph, const Trace *trace, const Again *again) {
  bool seen = was_seen(graph, trace->hash) ||
              (again && again->n_batches >= MANY_BATCHES);
  return seen && graph->plan_debt + NODE_COST * trace->n <= DEBT_LIMIT &&
         cache_has_room(graph, PLANS_OF_VALUES, IN_USE);
}

/* The plan of the look; NULL: by the naive executor, or a fault. */
static CachedPlan *find_plan(Look *look, const Again *again) {
  Graph *graph = look->graph;
  const Trace *trace = &look->trace;
  CachedPlan *cached = cache_find(graph, PLANS_OF_VALUES, trace);
  if (cached || !may_plan(graph, trace, again)) return cached;
  graph->plan_debt += NODE_COST * trace->n;
  return cache_add(graph, PLANS_OF_VALUES, trace, look->root, look->n_roots,
                   (VariableList){0}, NULL, 0);
}

/* -- running ----------------------------------------------------------------------- */

static Err run_plan(Graph *graph, CachedPlan *cached) {
  if (cached_compute(graph, cached)) return graph->fault.code;
  cached_commit(graph, cached);
  cached->used = ++graph->plan_uses;
  int64_t saved = plan_size(cached->plan).n_nodes;
  graph->plan_debt -= saved < graph->plan_debt ? saved : graph->plan_debt;
  return ERR_OK;
}

static Err compute_roots(Look *look, CachedPlan *cached) {
  Graph *graph = look->graph;
  for (int r = 0; r < look->n_roots; r++) {
    const Node *root = look->root[r];
    look->made[r] = tensor_new(&graph->memory, root->dtype, &root->shape,
                               &graph->fault);
    if (!look->made[r]) return graph->fault.code;
    cached->root_data[r] = look->made[r]->a.data;
  }
  cached_bind(cached, graph, &(PlanGiven){.in = cached->in, .trace = &look->trace});
  return run_plan(graph, cached);
}

/* The values become those of their nodes; what needs its inputs no more forgets
 * them. */
static Err keep_values(Look *look) {
  Graph *graph = look->graph;
  Walk walk = {look->trace.v, look->trace.n, look->trace.n};
  bool *fresh = calloc((size_t)walk.n + 1, sizeof *fresh);
  if (!fresh) return fault_memory(&graph->fault, (size_t)walk.n * sizeof *fresh);
  for (int64_t i = 0; i < walk.n; i++) {
    walk.v[i]->index = i;
    fresh[i] = !plan_is_leaf(walk.v[i]);
  }
  for (int r = 0; r < look->n_roots; r++) {
    look->root[r]->value[0] = look->made[r];
    look->made[r] = NULL;
  }
  Err err = walk_forget(graph, &walk, fresh);
  free(fresh);
  return err;
}

/* By a plan, if there is one; what has no value afterwards is the naive executor's. */
static Err by_plan(Look *look, Node *const *nodes, int n, const Again *again) {
  Graph *graph = look->graph;
  if (look_take(look, nodes, n) || look->n_roots == 0) return graph->fault.code;
  CachedPlan *cached = find_plan(look, again);
  if (!cached) return graph->fault.code;
  look->refused = compute_roots(look, cached) != ERR_OK;
  if (look->refused) return graph->fault.code;
  if (again && look->plain && cached->n_draws == 0)
    bound_take(again->bound, graph, cached, &look->trace, look->root, look->n_roots,
               again->args, again->signature);
  return keep_values(look);
}

static Err compute(Graph *graph, Node *const *nodes, int n, const Again *again) {
  if (graph->fault.code) return graph->fault.code;
  if (!is_worth_a_look(graph, nodes, n)) return graph_eval(graph, nodes, n);
  Look look = {.graph = graph};
  graph->begins_at_values = true;
  Err err = by_plan(&look, nodes, n, again);
  graph->begins_at_values = false;
  look_deinit(&look);
  bool again_naively = err == ERR_MEMORY || (look.refused && err != ERR_INTERRUPT);
  if (err && !again_naively) return err;
  fault_clear(&graph->fault);
  return graph_eval(graph, nodes, n);
}

Tensor *graph_value(Graph *graph, Node *node) {
  if (!node || (!node->value[0] && compute(graph, &node, 1, NULL))) return NULL;
  return node->value[0];
}

/* -- batch after batch ------------------------------------------------------------- */

static void drop_values(Repeat *r) {
  while (r->n_values) tensor_release(r->value[--r->n_values]);
}

void repeat_end(Repeat *r) {
  drop_values(r);
  bound_release(&r->bound);
}

/* Retains the value, for the caller. */
static void take_value(Repeat *r, Tensor *value) {
  r->value[r->n_values++] = tensor_retain(value);
}

/* *done is false where the plan does not fit, or refuses the data: then the graph is
 * built, which says where it comes from. */
static Err run_bound(Repeat *r, const PlanArgs *args, uint64_t signature, bool *done,
                     Fault *fault) {
  Graph *graph = r->graph;
  BoundPlan *bound = &r->bound;
  *done = false;
  if (graph->naive || graph->in_transaction || !bound_fits(bound, signature, args))
    return ERR_OK;
  Err err = bound_begin(bound, args, (VariableList){0}, NULL, fault);
  if (!err && run_plan(graph, bound->cached)) err = graph_ok(graph, fault);
  if (err == ERR_INTERRUPT) return err;
  if (err) {
    fault_clear(fault);
    return ERR_OK;
  }
  for (int i = 0; i < bound->n_out; i++) take_value(r, bound->out[i]);
  *done = true;
  return ERR_OK;
}

static Err run_built(Repeat *r, const PlanArgs *args, uint64_t signature,
                     int64_t n_batches, Fault *fault) {
  Graph *graph = r->graph;
  Again again = {&r->bound, args, signature, n_batches};
  Node *out[REPEAT_OUT];
  int n_out = 0, scope = graph_scope_begin(graph);
  bound_release(&r->bound);
  Err err = r->emit(r->ctx, out, &n_out, fault);
  if (!err && compute(graph, out, n_out, r->bindable ? &again : NULL))
    err = graph_ok(graph, fault);
  for (int i = 0; !err && i < n_out; i++) take_value(r, node_value(out[i]));
  graph_scope_end(graph, scope);
  return err;
}

Err repeat_run(Repeat *r, const PlanArgs *args, uint64_t signature, int64_t n_batches,
               Fault *fault) {
  bool done = false;
  drop_values(r);
  Err err = run_bound(r, args, signature, &done, fault);
  return err || done ? err : run_built(r, args, signature, n_batches, fault);
}
