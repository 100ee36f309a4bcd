/* node.c: making, keeping and freeing nodes; scopes.
 *
 * A node that reads a variable keeps the variable's struct, which keeps the node that
 * it stands for: so both are freed here. */
#include "base/record.h"
#include "graph/graph_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- scopes ------------------------------------------------------------------------ */

int graph_scope_begin(Graph *graph) { return graph->n_pool; }

void graph_scope_end(Graph *graph, int scope) {
  while (graph->n_pool > scope) node_release(graph->pool[--graph->n_pool]);
}

/* Hands a new node over to the current scope; NULL when there is no room. */
static Node *scope_add(Graph *graph, Node *node) {
  if (ARRAY_ROOM(graph->pool, graph->pool_room, graph->n_pool + 1, &graph->fault)) {
    node_release(node);
    return NULL;
  }
  return graph->pool[graph->n_pool++] = node;
}

Node *graph_borrow(Graph *graph, Node *node) {
  return node ? scope_add(graph, node_retain(node)) : NULL;
}

bool graph_keep(Graph *graph, Node *node) {
  if (!node->step || node->step != graph->step || graph->n_kept == GRAPH_KEPT)
    return false;
  if (ARRAY_ROOM(graph->kept, graph->kept_room, graph->n_kept + 1, NULL)) return false;
  graph->kept[graph->n_kept++] = node_hold(node);
  return true;
}

/* -- life -------------------------------------------------------------------------- */

static size_t align8(size_t n) { return (n + 7) & ~(size_t)7; }

/* The shape and type of a single output are the node's own; several are listed
 * behind. */
static size_t listed(int n_out) { return n_out > 1 ? (size_t)n_out : 0; }

static size_t block_bytes(int n_in, int n_attr, int n_out) {
  return align8(sizeof(Node)) + (size_t)n_in * sizeof(Node *) +
         (size_t)n_attr * sizeof(Attr) +
         listed(n_out) * (sizeof(Shape) + sizeof(DType));
}

static size_t block_class(size_t n_bytes) {
  return (n_bytes + NODE_CLASS_BYTES - 1) / NODE_CLASS_BYTES;
}

/* The block that will be taken next is on its way to the cache meanwhile: since it was
 * freed, the products of a step have gone through there. */
static void fetch_early(const Node *block, size_t class) {
  for (size_t line = 0; block && line < class; line++)
    __builtin_prefetch((const char *)block + line * NODE_CLASS_BYTES, 1);
}

static void *take_block(Graph *graph, size_t n_bytes) {
  size_t class = block_class(n_bytes);
  Node *block = class < NODE_CLASSES ? graph->free_nodes[class] : NULL;
  if (block) {
    graph->free_nodes[class] = block->link;
    graph->n_free_nodes--;
    fetch_early(block->link, class);
    return block;
  }
  block = malloc(class * NODE_CLASS_BYTES);
  if (!block) fault_memory(&graph->fault, n_bytes);
  return block;
}

static void give_block(Node *node) {
  Graph *graph = node->graph;
  size_t class = block_class(block_bytes(node->n_in, node->n_attr, node->n_out));
  if (class >= NODE_CLASSES || graph->n_free_nodes >= FREE_NODES) {
    free(node);
    return;
  }
  node->link = graph->free_nodes[class];
  graph->free_nodes[class] = node;
  graph->n_free_nodes++;
}

void node_free_blocks(Graph *graph) {
  for (int c = 0; c < NODE_CLASSES; c++)
    while (graph->free_nodes[c]) {
      Node *next = graph->free_nodes[c]->link;
      free(graph->free_nodes[c]);
      graph->free_nodes[c] = next;
    }
}

size_t node_value_bytes(const Node *node) {
  size_t n = 0;
  for (int o = 0; o < node->n_out; o++)
    n += (size_t)shape_count(&node->out_shape[o]) * dtype_bytes(node->out_dtype[o]);
  return n;
}

/* What the node knows about what lies below it. */
static void inherit(Node *node) {
  if (node->step) return; /* its history ends with its transaction: nothing is cut */
  for (int i = 0; i < node->n_in; i++) {
    const Node *in = node->in[i];
    bool pending = !in->value[0];
    if (pending && in->depth >= node->depth) node->depth = in->depth + 1;
    size_t waits = pending ? in->pending_bytes : node_value_bytes(in);
    node->pending_bytes += waits < SIZE_MAX / 2 / MAX_IN ? waits
                                                         : SIZE_MAX / 2 / MAX_IN;
    node->history += in->history < INT32_MAX ? in->history : INT32_MAX;
  }
  node->history += !node_is_leaf(node);
}

Node *node_new(Graph *graph, const Op *op, Node *const *in, int n_in, const Attr *attr,
               int n_attr, const Shape *out_shape, const DType *out_dtype, int n_out) {
  for (int i = 0; i < n_in; i++)
    if (graph_expired(graph, in[i])) return NULL;
  size_t in_at = align8(sizeof(Node)), attr_at = in_at + (size_t)n_in * sizeof(Node *);
  size_t shape_at = attr_at + (size_t)n_attr * sizeof(Attr);
  size_t dtype_at = shape_at + listed(n_out) * sizeof(Shape);
  char *block = take_block(graph, block_bytes(n_in, n_attr, n_out));
  if (!block) return NULL;
  Node *node = (Node *)block;
  *node = (Node){.op = op, .graph = graph, .shape = out_shape[0], .dtype = out_dtype[0],
                 .n_in = n_in, .n_attr = n_attr, .n_out = n_out,
                 .in = (Node **)(block + in_at),
                 .attr = (Attr *)(block + attr_at),
                 .out_shape = n_out > 1 ? (Shape *)(block + shape_at) : &node->shape,
                 .out_dtype = n_out > 1 ? (DType *)(block + dtype_at) : &node->dtype,
                 .layer = graph->layer, .rule = graph->rule,
                 .file = graph->file, .line = graph->line,
                 .serial = ++graph->next_serial, .step = graph->step, .refs = 1};
  if (n_out > 1) memcpy(block + shape_at, out_shape, listed(n_out) * sizeof(Shape));
  if (n_out > 1) memcpy(block + dtype_at, out_dtype, listed(n_out) * sizeof(DType));
  if (n_attr) memcpy(node->attr, attr, (size_t)n_attr * sizeof(Attr));
  for (int i = 0; i < n_in; i++) {
    node->in[i] = node_retain(in[i]);
    if (in[i]->tracked) node->tracked = true;
  }
  node->known = op->known ? op->known(node) : KNOWN_NOTHING;
  inherit(node);
  return scope_add(graph, node);
}

Node *node_retain(Node *node) {
  node->refs++;
  return node;
}

Node *node_hold(Node *node) {
  node->handles++;
  return node_retain(node);
}

/* A value that can be computed again and is larger than its node's own record. */
static bool worth_dropping(const Node *node) {
  enum { SMALL_BYTES = 4096 };
  return node->tracked && node->in && node->n_in && !node_is_leaf(node) &&
         node->value[0] && node->value[0]->storage->n_bytes > SMALL_BYTES;
}

/* What only a history holds keeps no large value: as after an evaluation. */
void node_drop(Node *node) {
  if (!node) return;
  if (--node->handles == 0 && worth_dropping(node)) node_drop_values(node);
  node_release(node);
}

void node_drop_values(Node *node) {
  for (int o = 0; o < node->n_out; o++) {
    tensor_release(node->value[o]);
    node->value[o] = NULL;
  }
}

void variable_free_unused(Variable *v) {
  if (v->refs > 0 || v->n_reads > 0) return;
  object_release(v->limit);
  free(v->name);
  free(v);
}

static void unread(const Node *read) {
  Variable *v = read->var;
  if (v->leaf == read) v->leaf = NULL;
  v->n_reads--;
  variable_free_unused(v);
}

/* Takes one reference away; puts the node before `list` when it was the last. */
static Node *unref(Node *node, Node *list) {
  if (--node->refs > 0) return list;
  node->link = list;
  return node;
}

/* Frees along a list, not by recursion: a chain may be a million nodes long. */
void node_release(Node *node) {
  if (!node) return;
  Node *list = unref(node, NULL);
  while (list) {
    Node *n = list;
    list = n->link;
    for (int i = 0; n->in && i < n->n_in; i++) list = unref(n->in[i], list);
    node_drop_values(n);
    origins_free(n->from, 1);
    if (n->var) unread(n);
    give_block(n);
  }
}

void node_forget_inputs(Node *node) {
  Node **in = node->in;
  node->in = NULL;
  node->history = 0;
  node->forgotten = node->n_in > 0 && !node_is_leaf(node);
  for (int i = 0; i < node->n_in; i++) node_release(in[i]);
}

Tensor *node_value(const Node *node) { return node->value[0]; }

char *node_label(char *buffer, size_t n_bytes, const Node *node) {
  char place[160] = "";
  if (node->file) snprintf(place, sizeof place, "%.128s:%d: ", node->file, node->line);
  snprintf(buffer, n_bytes, "%s%s%s%s", place, node->layer ? node->layer : "",
           node->layer ? ": " : "", node->op->name);
  return buffer;
}

/* -- constructors ------------------------------------------------------------------ */

Node *graph_const(Graph *graph, Tensor *value) {
  if (!value || graph->fault.code) return NULL;
  Node *node = node_new(graph, &op_record_constant, NULL, 0, NULL, 0, &value->a.shape,
                        &value->a.dtype, 1);
  if (!node) return NULL;
  node->value[0] = tensor_retain(value);
  if (node->shape.rank == 0) node->known.lo = node->known.hi = array_get(&value->a, 0);
  return node;
}

Node *graph_from_doubles(Graph *graph, DType dtype, const Shape *shape,
                         const double *v) {
  if (graph->fault.code) return NULL;
  Tensor *t = tensor_new(&graph->memory, dtype, shape, &graph->fault);
  if (!t) return NULL;
  for (int64_t i = 0; i < shape_count(shape); i++) array_set(&t->a, i, v[i]);
  Node *node = graph_const(graph, t);
  tensor_release(t);
  return node;
}

Node *graph_scalar(Graph *graph, double value) {
  return graph_from_doubles(graph, DT_REAL, &SHAPE_SCALAR, &value);
}

/* Nothing flows through it even where x is a leaf: it may be differentiated by. Of one
 * that is cut it is another, so that detaching in a loop makes no chain. */
Node *graph_detach(Graph *graph, Node *x) {
  if (!x || graph->fault.code || graph_expired(graph, x)) return NULL;
  if (x->op == &op_record_read && !x->var && x->in) x = x->in[0];
  Node *node = node_new(graph, &op_record_read, &x, 1, NULL, 0, &x->shape, &x->dtype,
                        1);
  if (!node) return NULL;
  node->known = x->known;
  node->tracked = false;
  node->history = 0;
  return node;
}

Node *graph_untracked(Graph *graph, Node *x) {
  return x && !x->tracked ? x : graph_detach(graph, x);
}

void node_outlive(Node *node) { node->step = 0; }

bool graph_expired(Graph *graph, const Node *node) {
  return graph_step_over(graph, node->step);
}

bool graph_step_over(Graph *graph, uint32_t step) {
  if (!step || step == graph->step) return false;
  fault_set(&graph->fault, ERR_VALUE,
            "this tensor was made inside a step that has ended; return it from the "
            "step's function to keep it");
  return true;
}

Node *graph_pick(Graph *graph, Node *node, int i) {
  if (!node || graph->fault.code) return NULL;
  must(i >= 0 && i < node->n_out);
  Attr which = {.i = i};
  Node *pick = node_new(graph, &op_record_pick, &node, 1, &which, 1,
                        &node->out_shape[i], &node->out_dtype[i], 1);
  if (pick && i == 0) pick->known = node->known;
  return pick;
}

Node *graph_track(Graph *graph, Node *x) {
  Node *node = graph_pick(graph, x, 0);
  if (!node) return NULL;
  node->tracked = true;
  return node;
}
