/* dump.c: a graph for people: one line per node, in order. */
#include "graph/graph_private.h"

void graph_dump(Graph *graph, Node *const *roots, int n, Text *out) {
  Walk walk = {0};
  if (walk_collect(graph, &walk, roots, n, NULL)) return;
  for (int64_t i = 0; i < walk.n; i++) {
    Node *node = walk.v[i];
    char shape[SHAPE_TEXT];
    text_addf(out, "%%%lld = %s(", (long long)i + 1, node->op->name);
    for (int k = 0; node->in && k < node->n_in; k++)
      text_addf(out, "%s%%%lld", k ? ", " : "", (long long)node->in[k]->index + 1);
    attr_print_all(out, node->op->attrs, node->attr, !node->in || !node->n_in);
    text_addf(out, ")  %s %s", shape_text(shape, &node->shape),
              dtype_name(node->dtype));
    if (node->var && node->var->name) text_addf(out, "  %s", node->var->name);
    if (node->layer) text_addf(out, "  in %s", node->layer);
    if (node->file) text_addf(out, "  %s:%d", node->file, node->line);
    text_add(out, "\n");
  }
  walk_deinit(&walk);
}
