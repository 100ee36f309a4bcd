/* grad.c: the gradient of a graph is a graph.
 *
 * Reverse accumulation: nodes below the outputs are visited from the last made to the
 * first; each hands the gradients of its outputs to its op's vjp, which emits nodes for
 * the gradients of its inputs; several contributions to one node are added in the order
 * in which they come, so the result does not depend on anything but the graph.
 *
 * The walk stops at reads: what a variable stood for before its last assignment is
 * cut. */
#include "graph/graph_private.h"
#include "graph/ops.h"
#include <stdlib.h>

/* One of those to differentiate by: all reads of a variable, or a node. */
typedef struct Wrt {
  const void *key; /* the variable, else the node */
  int place;       /* in the caller's list */
} Wrt;

/* State of one call. Per node of the walk: does it depend on a wrt; gradients of
 * outputs. */
typedef struct Adjoints {
  Graph *graph;
  Node *const *wrt;
  int n_wrt;
  Wrt *sorted; /* by key, then place */
  Walk walk;
  bool *needed;
  Node **gy; /* MAX_OUT per node; NULL: nothing flows */
} Adjoints;

/* -- what is differentiated by ----------------------------------------------------- */

/* A read of a variable stands for all reads of it; anything else for itself. */
static const void *key_of(const Node *node) {
  return node->var ? (const void *)node->var : node;
}

static int by_key(const void *a, const void *b) {
  const Wrt *x = a, *y = b;
  if (x->key != y->key) return (uintptr_t)x->key < (uintptr_t)y->key ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

/* The first place in the caller's list of what the node stands for; -1: it is not
 * there. */
static int place_of(const Adjoints *a, const Node *node) {
  const void *key = key_of(node);
  int lo = 0, hi = a->n_wrt;
  while (lo < hi) {
    int middle = lo + (hi - lo) / 2;
    if ((uintptr_t)a->sorted[middle].key < (uintptr_t)key) lo = middle + 1;
    else hi = middle;
  }
  return lo < a->n_wrt && a->sorted[lo].key == key ? a->sorted[lo].place : -1;
}

/* Has it forgotten that it was computed from one of them? */
static Hidden hides(const Adjoints *a, const Node *node) {
  Hidden how = NOT_HIDDEN;
  for (int i = 0; node->forgotten && how != HIDDEN && i < a->n_wrt; i++) {
    Hidden this = origins_hide(node, a->wrt[i]);
    if (this != NOT_HIDDEN) how = this;
  }
  return how;
}

/* Finds what computed tensors among them were computed from: so a tensor that the
 * result never depended on differs from one that a node has forgotten, where the
 * history got too long. */
static Err find_origins(Adjoints *a) {
  for (int i = 0; a->graph->many_origins && i < a->n_wrt; i++) {
    Node *node = a->wrt[i];
    if (!node->in || origin_is_leaf(node)) continue;
    if (origins_find(a->graph, &node, 1)) return a->graph->fault.code;
  }
  return ERR_OK;
}

static Err adjoints_init(Adjoints *a, Graph *graph, Node *const *ys, int n_ys,
                         Node *const *wrt, int n) {
  *a = (Adjoints){.graph = graph, .wrt = wrt, .n_wrt = n};
  a->sorted = malloc(((size_t)n + 1) * sizeof *a->sorted);
  if (!a->sorted) return fault_memory(&graph->fault, (size_t)n * sizeof *a->sorted);
  for (int i = 0; i < n; i++) a->sorted[i] = (Wrt){key_of(wrt[i]), i};
  qsort(a->sorted, (size_t)n, sizeof *a->sorted, by_key);
  if (find_origins(a) || walk_collect(graph, &a->walk, ys, n_ys, node_is_leaf))
    return graph->fault.code;
  size_t count = (size_t)a->walk.n;
  a->needed = calloc(count + 1, sizeof *a->needed);
  a->gy = calloc(count * MAX_OUT + 1, sizeof *a->gy);
  if (!a->needed || !a->gy) return fault_memory(&graph->fault, count * sizeof *a->gy);
  for (int64_t i = 0; i < a->walk.n; i++) {
    Node *node = a->walk.v[i];
    bool needed = place_of(a, node) >= 0 || hides(a, node) != NOT_HIDDEN;
    for (int k = 0; !needed && !node_is_leaf(node) && node->in && k < node->n_in; k++)
      needed = a->needed[node->in[k]->index];
    a->needed[i] = needed;
  }
  return ERR_OK;
}

static void adjoints_deinit(Adjoints *a) {
  walk_deinit(&a->walk);
  free(a->sorted);
  free(a->needed);
  free(a->gy);
}

/* -- the walk back ----------------------------------------------------------------- */

static void flow(Adjoints *a, Node *node, int output, Node *g) {
  if (!g) return;
  must(shape_equal(&g->shape, &node->out_shape[output]));
  Node **slot = &a->gy[node->index * MAX_OUT + output];
  *slot = *slot ? op_add(a->graph, *slot, g) : g;
}

/* The same value as `x`, at which a walk stops as long as it is a read. */
static Node *closed_copy(Graph *graph, Node *x) {
  Attr output = {.i = 0};
  return node_new(graph, &op_record_read, &x, 1, &output, 1, &x->shape, &x->dtype, 1);
}

/* vjp of an op that has none of its own: differentiates its expansion. The inputs are
 * replaced by copies that are leaves meanwhile, so that only this op's own dependence
 * counts, and nothing below it is walked (it belongs to a walk that is under way).
 * Afterwards the copies are picks of their inputs: gradients of this gradient pass. */
static void vjp_by_expansion(Graph *graph, Node *y, Node *const *gy, const bool *want,
                             Node **gx) {
  Node *copies[MAX_IN], *wrt[MAX_IN], *grads[MAX_IN], *outs[MAX_OUT] = {0};
  Node *ys[MAX_OUT], *seeds[MAX_OUT];
  int n_wrt = 0, n_ys = 0;
  for (int i = 0; i < y->n_in; i++) {
    copies[i] = closed_copy(graph, y->in[i]);
    if (want[i]) wrt[n_wrt++] = copies[i];
  }
  Node *copy = graph_apply(graph, y->op, copies, y->n_in, y->attr, y->n_attr);
  if (!copy) return;
  y->op->expand(graph, copy, outs);
  for (int o = 0; o < y->n_out; o++) {
    if (!gy[o] || !outs[o]) continue;
    ys[n_ys] = outs[o];
    seeds[n_ys++] = gy[o];
  }
  Err err = grad_many(graph, ys, seeds, n_ys, wrt, n_wrt, grads);
  for (int i = 0; i < y->n_in; i++) copies[i]->op = &op_record_pick;
  for (int i = 0, k = 0; !err && i < y->n_in; i++)
    if (want[i]) gx[i] = grads[k++];
}

static bool differentiable(const Node *node) { return node->dtype == DT_REAL; }

/* Hands the gradients that have arrived at `y` to its inputs. */
static Err propagate(Adjoints *a, Node *y) {
  Node **gy = &a->gy[y->index * MAX_OUT];
  bool any = false;
  for (int o = 0; o < y->n_out; o++) any = any || gy[o];
  if (!any || node_is_leaf(y) || !a->needed[y->index]) return ERR_OK;
  if (y->forgotten) {
    Hidden how = hides(a, y);
    return how == NOT_HIDDEN ? ERR_OK : history_lost(a->graph, y, how);
  }
  if (y->op == &op_record_pick) {
    flow(a, y->in[0], (int)y->attr[0].i, gy[0]);
    return a->graph->fault.code;
  }
  bool want[MAX_IN];
  Node *gx[MAX_IN] = {0};
  bool any_wanted = false;
  for (int i = 0; i < y->n_in; i++) {
    want[i] = a->needed[y->in[i]->index] && differentiable(y->in[i]);
    any_wanted = any_wanted || want[i];
  }
  if (!any_wanted || (y->op->flags & OP_NO_GRAD)) return ERR_OK;
  const char *layer = a->graph->layer, *file = a->graph->file;
  int line = a->graph->line;
  a->graph->layer = y->layer;
  a->graph->file = y->file;
  a->graph->line = y->line;
  if (y->op->vjp) y->op->vjp(a->graph, y, gy, want, gx);
  else vjp_by_expansion(a->graph, y, gy, want, gx);
  for (int i = 0; i < y->n_in; i++)
    if (want[i]) flow(a, y->in[i], 0, gx[i]);
  a->graph->layer = layer;
  a->graph->file = file;
  a->graph->line = line;
  return a->graph->fault.code;
}

/* out[k]: the sum over all nodes of the walk that stand for wrt[k], in order; zeros
 * when y does not reach it. Summed at its first place in the list. */
static Err collect(Adjoints *a, Node **out) {
  Graph *graph = a->graph;
  for (int k = 0; k < a->n_wrt; k++) out[k] = NULL;
  for (int64_t i = 0; i < a->walk.n; i++) {
    int k = place_of(a, a->walk.v[i]);
    Node *g = a->gy[i * MAX_OUT];
    if (k >= 0 && g) out[k] = out[k] ? op_add(graph, out[k], g) : g;
  }
  for (int k = 0; !graph->fault.code && k < a->n_wrt; k++) {
    Node *sum = out[place_of(a, a->wrt[k])];
    out[k] = sum ? sum : op_full(graph, 0, &a->wrt[k]->shape);
  }
  return graph->fault.code;
}

Err grad_many(Graph *graph, Node *const *ys, Node *const *seeds, int n_ys,
              Node *const *wrt, int n, Node **out) {
  Adjoints a;
  graph->n_gradients++;
  Err err = adjoints_init(&a, graph, ys, n_ys, wrt, n);
  for (int k = 0; !err && k < n_ys; k++) flow(&a, ys[k], 0, seeds[k]);
  for (int64_t i = a.walk.n - 1; !err && i >= 0; i--) err = propagate(&a, a.walk.v[i]);
  if (!err) err = collect(&a, out);
  adjoints_deinit(&a);
  graph->n_gradients--;
  return err;
}

static Err check_wrt(Graph *graph, Node *const *wrt, int n) {
  for (int i = 0; i < n; i++) {
    if (differentiable(wrt[i])) continue;
    const char *name = wrt[i]->var ? wrt[i]->var->name : NULL;
    return fault_set(&graph->fault, ERR_VALUE,
                     "grad: tensor %d to differentiate by%s%s%s is %s: only real "
                     "tensors have gradients; allowed: real, as t:cast \"real\" gives",
                     i + 1, name ? " (" : "", name ? name : "", name ? ")" : "",
                     dtype_name(wrt[i]->dtype));
  }
  return ERR_OK;
}

Err graph_grad(Graph *graph, Node *y, Node *gy, Node *const *wrt, int n, Node **out) {
  if (graph->fault.code) return graph->fault.code;
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (!gy && shape_count(&y->shape) != 1)
    return fault_set(&graph->fault, ERR_SHAPE,
                     "grad: y has shape %s; allowed: one element, or give gy of y's "
                     "shape",
                     shape_text(got, &y->shape));
  if (gy && !shape_equal(&gy->shape, &y->shape))
    return fault_set(&graph->fault, ERR_SHAPE, "grad: gy has shape %s, y has shape %s",
                     shape_text(got, &gy->shape), shape_text(want, &y->shape));
  if (y->dtype != DT_REAL)
    return fault_set(&graph->fault, ERR_VALUE, "grad: y is %s; allowed: real",
                     dtype_name(y->dtype));
  if (check_wrt(graph, wrt, n)) return graph->fault.code;
  if (!gy) gy = op_full(graph, 1, &y->shape);
  if (!gy) return graph->fault.code;
  return grad_many(graph, &y, &gy, 1, wrt, n, out);
}
