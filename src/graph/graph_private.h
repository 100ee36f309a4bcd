/* graph_private.h: what the files of the graph's core share: not for other floors.
 *
 * Each of these files calls those before it alone:
 *
 *   attr, op                   what a record says of attributes and of the work
 *   walk, origins, node        nodes are made, kept, listed and freed
 *   streams                    where draws come from
 *   exec, history, apply       they are computed and cut; an op is applied to them
 *   variable                   what changes; transactions
 *   known, ops_*, grad         what is known, computed and differentiated
 *   plan_compile, plan_arena, plan_proof, plan_verify, plan_emit, plan, plan_run, cache
 *   session, bound, values     opens and closes it all; values by plans
 *
 * One circle is left, of ops_elementwise, ops_reduce and ops_shape: the gradient of a
 * sum broadcasts, and that of what was broadcast sums. scripts/check-tree finds any
 * other. */
#ifndef GRAPH_GRAPH_PRIVATE_H
#define GRAPH_GRAPH_PRIVATE_H

#include "graph/op.h"
#include "base/array.h"

/* Expressions without variables, and assignments to a variable, are evaluated when a
 * chain of pending ones gets this long, so that loops `s = s + 1` and `v:assign(v + 1)`
 * stay small. */
enum { MAX_PENDING_DEPTH = 1000 };

/* One assignment that a rollback takes back. */
typedef struct Undo {
  Variable *var; /* retained */
  Node *old;     /* held; NULL: it had no value */
} Undo;

/* Nodes reachable from some roots, in the order in which they were made, so that inputs
 * come before their users. */
typedef struct Walk {
  Node **v;
  int64_t n, room;
} Walk;

/* Collects into `walk`, which starts all zero. Does not go below a node for which
 * `stop` answers yes (NULL: goes everywhere). Each node's `index` is its place.
 * Iterative: the graph may be a chain of any length. */
Err walk_collect(Graph *graph, Walk *walk, Node *const *roots, int n,
                 bool (*stop)(const Node *node));
void walk_deinit(Walk *walk);
/* After an evaluation that computed those nodes of the walk for which fresh[i] is set:
 * what is not tracked and has its value forgets its inputs. */
Err walk_forget(Graph *graph, const Walk *walk, const bool *fresh);

/* The node itself, of shapes and types that are known; retains its inputs. Borrowed. */
Node *node_new(Graph *graph, const Op *op, Node *const *in, int n_in, const Attr *attr,
               int n_attr, const Shape *out_shape, const DType *out_dtype, int n_out);

void node_drop_values(Node *node);
/* From now on it is a leaf with its value: how that was computed is forgotten. */
void node_forget_inputs(Node *node);

static inline bool node_is_leaf(const Node *node) {
  return (node->op->flags & OP_LEAF) != 0;
}

/* Of all outputs together. */
size_t node_value_bytes(const Node *node);
/* Gives the session's free blocks of nodes back. */
void node_free_blocks(Graph *graph);

/* Frees the struct, once it has neither owners nor reads. */
void variable_free_unused(Variable *v);

/* -- origins.c --------------------------------------------------------------------- */

/* How many leaves, and how many computed tensors, a node that forgot its inputs
 * remembers: the oldest. */
enum { ORIGINS_MAX = 1024 };

typedef struct SerialSet SerialSet;
typedef enum OriginKind {
  ORIGIN_VARIABLE,
  ORIGIN_LEAF,
  ORIGIN_MADE,
  N_ORIGINS
} OriginKind;

struct Origins {
  SerialSet *set[N_ORIGINS]; /* shared, not changed once made; NULL: empty */
};

/* An array of n, as of one node or, by index, of those of a walk. */
void origins_free(Origins *from, int64_t n);
/* Fills below[node->index], all zero at first, from the inputs of a node of the walk,
 * after those of the inputs; false: no memory. */
bool origins_of_inputs(const Node *node, Origins *below);
/* They become the node's `from`; false: no memory. */
bool origins_keep(Node *node, const Origins *from);
/* Sets `from` of each of the nodes that still knows its inputs. */
Err origins_find(Graph *graph, Node *const *nodes, int n);

/* Not computed from anything that a gradient could flow to? */
bool origin_is_leaf(const Node *node);

/* Did the node, which has forgotten its inputs, depend on `wrt`? Exact for variables,
 * and for others where at most ORIGINS_MAX lie below it, or where `wrt` is older than
 * those that it does not remember; else PERHAPS. */
typedef enum Hidden { NOT_HIDDEN, HIDDEN, PERHAPS_HIDDEN } Hidden;
Hidden origins_hide(const Node *node, const Node *wrt);

/* -- the other files --------------------------------------------------------------- */

/* Evaluates or cuts what has grown too long below a new node. */
Err history_limit(Graph *graph, Node *node);
/* Do values wait for the node's evaluation that take much more memory than its own? */
bool history_heavy(const Node *node);
/* Fault: a gradient that would flow through `node`, which hides its past. */
Err history_lost(Graph *graph, const Node *node, Hidden how);

/* "train.lua:12: dense_2: matmul" for messages about one node. */
char *node_label(char *buffer, size_t n_bytes, const Node *node);

/* graph_grad for several outputs at once: seeds[k] flows into ys[k]; both may
 * repeat. */
Err grad_many(Graph *graph, Node *const *ys, Node *const *seeds, int n_ys,
              Node *const *wrt, int n, Node **out);

#endif
