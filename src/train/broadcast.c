/* broadcast.c: outputs [N, 1] against targets [N] in a loss of the user's own.
 * Broadcasting makes [N, N] of them, every output with every target: it trains, and
 * learns the mean. A loss of the library refuses that, and fit reshapes targets before;
 * in a step's function it can only be seen in the graph: what is trained and what is
 * given meet in such shapes. */
#include "train/train.h"
#include "graph/op.h"

static bool pairs_all(const Node *node) {
  if (!(node->op->flags & OP_ELEMENTWISE) || node->n_in != 2 || !node->in) return false;
  const Node *a = node->in[0], *b = node->in[1];
  if (a->tracked == b->tracked || shape_count(&node->shape) <= shape_count(&a->shape))
    return false;
  return shape_differ_by_one(&a->shape, &b->shape);
}

void step_warn_of_pairs(Graph *graph, const Trace *trace) {
  for (int64_t i = 0; i < trace->n; i++) {
    const Node *node = trace->v[i];
    if (!pairs_all(node)) continue;
    char a[SHAPE_TEXT], b[SHAPE_TEXT], y[SHAPE_TEXT];
    graph_warn(graph, WARN_BROADCAST, node,
               "%s of %s and %s gives %s, every output with every target; give both "
               "one shape: :reshape(n, 1)",
               node->op->name, shape_text(a, &node->in[0]->shape),
               shape_text(b, &node->in[1]->shape), shape_text(y, &node->shape));
    return;
  }
}
