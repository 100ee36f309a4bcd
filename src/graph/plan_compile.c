/* plan_compile.c: what all passes of the compiler ask: leaves, values, memory. */
#include "graph/plan_compile.h"
#include <stdlib.h>

/* One of the values of an evaluated node with several: each is a leaf of its own. */
static bool is_part_of_leaf(const Node *node) {
  return node->op == &op_record_pick && node->in[0]->n_out > 1 &&
         node->in[0]->value[0] && plan_is_leaf(node->in[0]);
}

bool plan_is_leaf(const Node *node) {
  if (!node->in) return true;
  if (node->op == &op_record_constant) return true;
  if (node->op == &op_record_read && node->value[0]) return true;
  if (node->op == &op_record_read)
    return node->in[0]->value[0] != NULL || !node->in[0]->in;
  if (is_part_of_leaf(node)) return true;
  return node->value[0] && (!node->tracked || node->graph->begins_at_values);
}

Tensor *plan_leaf_value(const Node *leaf) {
  if (leaf->value[0]) return leaf->value[0];
  return leaf->in[0]->value[leaf->op == &op_record_pick ? leaf->attr[0].i : 0];
}

void *plan_leaf_data(const Node *leaf) { return plan_leaf_value(leaf)->a.data; }

void *plan_alloc(Compiler *c, size_t n_bytes) {
  enum { BLOCK_BYTES = 1 << 16, ALIGNED = 16 };
  PlanBlock *block = c->plan->blocks;
  size_t n = (n_bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
  if (!block || block->n_free < n) {
    size_t room = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    block = calloc(1, sizeof *block + room);
    if (!block) {
      fault_memory(&c->graph->fault, n_bytes);
      return NULL;
    }
    *block = (PlanBlock){.next = c->plan->blocks, .at = block->data, .n_free = room};
    c->plan->blocks = block;
  }
  void *at = block->at;
  block->at += n;
  block->n_free -= n;
  return at;
}

size_t plan_value_bytes(const Node *node, int output) {
  size_t n = (size_t)shape_count(&node->out_shape[output]);
  return n * dtype_bytes(node->out_dtype[output]);
}

Err compiler_init(Compiler *c, Graph *graph, Node *const *roots, int n_roots) {
  c->graph = graph;
  c->roots = roots;
  c->n_roots = n_roots;
  if (walk_collect(graph, &c->walk, roots, n_roots, plan_is_leaf))
    return graph->fault.code;
  size_t n = (size_t)c->walk.n + 1;
  c->spots = calloc(n, sizeof *c->spots);
  c->groups = calloc(n, sizeof *c->groups);
  c->lives = calloc(n * MAX_OUT, sizeof *c->lives);
  c->item_first = calloc(n + 1, sizeof *c->item_first);
  c->item_nodes = calloc(n, sizeof *c->item_nodes);
  c->item_job = calloc(n, sizeof *c->item_job);
  c->item_chain = calloc(n, sizeof *c->item_chain);
  c->turns = calloc(n, sizeof *c->turns);
  c->copy_root = calloc((size_t)n_roots + 1, sizeof *c->copy_root);
  bool all = c->spots && c->groups && c->lives && c->item_first && c->item_nodes &&
             c->item_job && c->item_chain && c->turns && c->copy_root;
  return all ? ERR_OK : fault_memory(&graph->fault, n * sizeof *c->lives);
}

void compiler_deinit(Compiler *c) {
  walk_deinit(&c->walk);
  free(c->spots);
  free(c->groups);
  free(c->lives);
  free(c->item_first);
  free(c->item_nodes);
  free(c->item_job);
  free(c->item_chain);
  free(c->turns);
  free(c->copy_root);
}
