/* graph_private.h: what the files of the graph's core share: not for other floors. */
#ifndef GRAPH_GRAPH_PRIVATE_H
#define GRAPH_GRAPH_PRIVATE_H

#include "graph/op.h"

/* Expressions without variables, and assignments to a variable, are evaluated when a chain
 * of pending ones gets this long, so that loops `s = s + 1` and `v:assign(v + 1)` stay
 * small. */
enum { MAX_PENDING_DEPTH = 1000 };

/* One assignment that a rollback takes back. */
typedef struct Undo {
  Variable *var;         /* retained */
  Node *old;             /* held; NULL: it had no value */
} Undo;

/* Nodes reachable from some roots, in the order in which they were made, so that inputs
 * come before their users. */
typedef struct Walk {
  Node **v;
  int64_t n, capacity;
} Walk;

/* Collects into `walk`, which starts all zero. Does not go below a node for which `stop`
 * answers yes (NULL: goes everywhere). Each node's `index` is its place. Iterative: the
 * graph may be a chain of any length. */
Err walk_collect(Graph *graph, Walk *walk, Node *const *roots, int n,
                 bool (*stop)(const Node *node));
void walk_deinit(Walk *walk);

/* A node without inputs inferred by anybody: const, read, pick. */
Node *node_new(Graph *graph, const Op *op, Node *const *in, int n_in, const Attr *attr,
               int n_attr, const Shape *out_shape, const DType *out_dtype, int n_out);

void node_drop_values(Node *node);

/* A read of the variable is gone. */
void variable_unread(Variable *v, const Node *read);

/* Computes the value of one node whose inputs have theirs. */
Err node_compute(Graph *graph, Node *node);

/* "train.lua:12: dense_2: matmul" for messages about one node. */
char *node_label(char *buffer, size_t n_bytes, const Node *node);

/* graph_grad for several outputs at once: seeds[k] flows into ys[k]; both may repeat. */
Err grad_many(Graph *graph, Node *const *ys, Node *const *seeds, int n_ys,
              Node *const *wrt, int n, Node **out);

#endif
