/* history.c: how much of its past an expression keeps.
 *
 * Tracked nodes keep what they were computed from, for graph_grad; the others are
 * pending only until their values are needed. Both would let a loop fill the memory,
 * so:
 *
 *   tracked    when more than MAX_HISTORY nodes lie below a new one, the older half is
 *              cut off: those of it that the newer half reads are evaluated and forget
 *              their inputs. All ways into the past cross that line, so it is let go
 *   untracked  evaluated when its chain is long or what it waits for large
 *
 * Values do not change by either. A gradient that would flow across a cut is a fault.
 *
 * Counting. `history` adds up over the inputs and so counts a node once per way to it:
 * an upper bound. Only when it exceeds the limit are the nodes counted, and not again
 * before SLACK more have been made: a walk of about MAX_HISTORY nodes costs each of
 * them a few.
 *
 * What is forgotten leaves behind which tensors it was computed from: origins.c. */
#include "graph/graph_private.h"
#include <stdlib.h>

enum { MAX_HISTORY = 10000, SLACK = 1000 };
static const size_t max_pending_bytes = (size_t)32 << 20;

/* Would the evaluation free much more than it makes? */
bool history_heavy(const Node *node) {
  return node->pending_bytes > max_pending_bytes &&
         node->pending_bytes / 8 > node_value_bytes(node);
}

/* -- the cut ----------------------------------------------------------------------- */

/* Nodes of the older half that the newer half reads; -1 for lack of memory. */
static int list_border(const Walk *walk, Node ***out) {
  int64_t half = walk->n / 2;
  Node **border = *out = malloc((size_t)walk->n * sizeof *border);
  int n = 0;
  for (int64_t i = half; border && i < walk->n; i++) {
    Node *node = walk->v[i];
    for (int k = 0; node->in && !node_is_leaf(node) && k < node->n_in; k++) {
      Node *in = node->in[k];
      if (in->index < 0 || in->index >= half || node_is_leaf(in) || !in->in) continue;
      border[n++] = in;
      in->index = -1; /* listed */
    }
  }
  return border ? n : -1;
}

static Err cut(Graph *graph, Node *node, const Walk *walk) {
  Node **border;
  int n = list_border(walk, &border);
  if (n < 0) return fault_memory(&graph->fault, (size_t)walk->n * sizeof *border);
  Err err = graph_eval(graph, border, n);
  if (!err) err = origins_find(graph, border, n);
  for (int i = 0; !err && i < n; i++)
    if (border[i]->in) node_forget_inputs(border[i]);
  free(border);
  node->history = walk->n - walk->n / 2 + n;
  return err;
}

static Err count_and_cut(Graph *graph, Node *node) {
  Walk walk = {0};
  if (walk_collect(graph, &walk, &node, 1, node_is_leaf)) return graph->fault.code;
  graph->counted_at = graph->next_serial;
  node->history = walk.n;
  Err err = walk.n > MAX_HISTORY ? cut(graph, node, &walk) : ERR_OK;
  walk_deinit(&walk);
  return err;
}

Err history_limit(Graph *graph, Node *node) {
  if (graph->in_transaction || graph->n_gradients) return ERR_OK;
  if (!node->tracked)
    return node->depth > MAX_PENDING_DEPTH || history_heavy(node)
               ? graph_eval(graph, &node, 1)
               : ERR_OK;
  if (node->history <= MAX_HISTORY || graph->whole_history) return ERR_OK;
  if (graph->next_serial < graph->counted_at + SLACK) return ERR_OK;
  return count_and_cut(graph, node);
}

/* -- what was lost ----------------------------------------------------------------- */

Err history_lost(Graph *graph, const Node *node, Hidden how) {
  char label[256];
  node_label(label, sizeof label, node);
  if (how == PERHAPS_HIDDEN)
    return fault_set(&graph->fault, ERR_VALUE,
                     "grad: %s was evaluated and forgot its inputs; of the tensors "
                     "below it %d are remembered, and whether one to differentiate by "
                     "was among the others is not known; make that one a "
                     "tensor.variable, or use "
                     "grad(f)",
                     label, ORIGINS_MAX);
  if (node->tracked)
    return fault_set(&graph->fault, ERR_VALUE,
                     "grad: more than %d nodes lie below y; its history was cut at %s; "
                     "differentiate inside train.step or grad(f), which keep all of "
                     "it, or detach what is not to be differentiated",
                     MAX_HISTORY, label);
  return fault_set(&graph->fault, ERR_VALUE,
                   "grad: y no longer knows how it was computed: %s was evaluated and "
                   "forgot its inputs; make the tensor to differentiate by a "
                   "tensor.variable, or use grad(f)",
                   label);
}
