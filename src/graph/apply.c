/* apply.c: an op applied to nodes gives a node. What has grown too long below it is
 * evaluated or cut here, never where a node is made by itself. */
#include "graph/graph_private.h"
#include "graph/ops.h"

/* Puts op and layer before the text of infer's fault. */
static void apply_failed(Graph *graph, const Op *op) {
  if (graph->layer) fault_prefix(&graph->fault, "%s: %s", graph->layer, op->name);
  else fault_prefix(&graph->fault, "%s", op->name);
}

Node *graph_apply(Graph *graph, const Op *op, Node *const *in, int n_in,
                  const Attr *attr, int n_attr) {
  if (graph->fault.code) return NULL;
  for (int i = 0; i < n_in; i++)
    if (!in[i]) return NULL;
  must(op->n_in == ANY_NUMBER ||
       (n_in <= op->n_in && n_in >= op->n_in - op->n_optional));
  must(!graph->checked || attr_fit(op->attrs, attr, n_attr));
  OpInfer io = {.op = op, .n_in = n_in, .in = in, .attr = attr, .n_attr = n_attr,
                .n_out = op->n_out, .fault = &graph->fault};
  Err err = op->infer(&io);
  for (int o = 0; !err && o < io.n_out; o++)
    if (!shape_countable(&io.out_shape[o]))
      err = fault_set(&graph->fault, ERR_SHAPE,
                      "the result would have more elements than can be counted");
  if (err) {
    apply_failed(graph, op);
    return NULL;
  }
  Node *node = node_new(graph, op, in, n_in, attr, n_attr, io.out_shape, io.out_dtype,
                        io.n_out);
  return node && !history_limit(graph, node) ? node : NULL;
}

/* -- what layers add to the loss --------------------------------------------------- */

void graph_penalize(Graph *graph, Node *penalty) {
  Node *sum = graph->penalty ? op_add(graph, graph->penalty, penalty) : penalty;
  if (!sum) return;
  node_retain(sum);
  node_release(graph->penalty);
  graph->penalty = sum;
}

Node *graph_take_penalty(Graph *graph) {
  Node *sum = graph_borrow(graph, graph->penalty);
  node_release(graph->penalty);
  graph->penalty = NULL;
  return sum;
}
