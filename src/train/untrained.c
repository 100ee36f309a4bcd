/* untrained.c: a tensor.variable that the loss of a step depends on, and that no
 * optimizer trains: captured by nn.Lambda or by a loss, where Keras and PyTorch would
 * not find it either. It stays as it is, which looks like a parameter that does not
 * learn.
 *
 * Meant to stay are those that a script assigns itself, and what is read by
 * v:detach(). */
#include "train/train.h"
#include "graph/op.h"
#include "graph/plan.h"
#include <stdlib.h>

/* Marks, by their place in the trace, what the first root is made of by ways that
 * gradients take. Inputs stand before what is made of them. */
static void mark_below(const Trace *trace, const Node *loss, bool *below) {
  below[loss->index] = true;
  for (int64_t i = trace->n - 1; i >= 0; i--) {
    const Node *node = trace->v[i];
    if (!below[i] || !node->tracked || !node->in || plan_is_leaf(node) || node->var)
      continue;
    for (int k = 0; k < node->n_in; k++) below[node->in[k]->index] = true;
  }
}

/* Read as it was made. */
static bool is_forgotten(const Graph *graph, const Node *node) {
  const Variable *v = node->var;
  bool assigned = v && (v->version > 1 || v->assigned_in == graph->step);
  return v && v->loose && v->trainable && !v->frozen && !assigned;
}

/* Of many the first ones: what to do about them follows. */
static void add_names(const Graph *graph, const Trace *trace, const bool *below,
                      Text *out) {
  enum { MOST = 3 };
  int n = 0;
  for (int64_t i = 0; i < trace->n; i++) {
    const Node *node = trace->v[i];
    if (!below[i] || !is_forgotten(graph, node) || ++n > MOST) continue;
    text_add(out, out->n_bytes ? ", " : "");
    if (node->var->name) text_addf(out, "\"%s\" ", node->var->name);
    text_addf(out, "made at %s:%d", node->var->file ? node->var->file : "?",
              node->var->line);
  }
  if (n > MOST) text_addf(out, " and %d more", n - MOST);
}

void step_warn_of_untrained(Graph *graph, const Trace *trace, const Node *loss) {
  if (graph->warned & 1u << WARN_UNTRAINED) return;
  bool *below = calloc((size_t)trace->n + 1, sizeof *below);
  if (!below) return;
  Text names = {0};
  mark_below(trace, loss, below);
  add_names(graph, trace, below, &names);
  if (names.n_bytes && !names.failed)
    graph_warn(graph, WARN_UNTRAINED, NULL,
               "the loss reads a variable that is not trained: %s; give it to "
               "train.step, or make it a field of a table with `forward`, which is a "
               "layer; v:detach() where it is meant to stay",
               names.data);
  text_deinit(&names);
  free(below);
}
