/* node.c: making, keeping and freeing nodes; scopes; the session. */
#include "graph/cache.h"
#include "graph/graph_private.h"
#include "base/out.h"
#include "base/sys.h"
#include "kernel/gemm.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Grows an array to hold one more; false on lack of memory. */
static bool grow(void **v, int n, int *capacity, size_t item_bytes) {
  if (n < *capacity) return true;
  int wanted = *capacity ? 2 * *capacity : 64;
  void *larger = realloc(*v, (size_t)wanted * item_bytes);
  if (!larger) return false;
  *v = larger;
  *capacity = wanted;
  return true;
}

/* -- session ------------------------------------------------------------------------- */

#ifdef RUNNER_CHECKED
enum { CHECKED_BUILD = true };
#else
enum { CHECKED_BUILD = false };
#endif

Err graph_open(Graph *graph, int threads, uint64_t seed, Fault *fault) {
  if (gemm_init(fault)) return fault->code;
  *graph = (Graph){.seed = seed, .checked = CHECKED_BUILD};
  par_init(&graph->par, threads);
  return ERR_OK;
}

static void free_blocks(Graph *graph) {
  for (int c = 0; c < NODE_CLASSES; c++)
    while (graph->free_nodes[c]) {
      Node *next = graph->free_nodes[c]->link;
      free(graph->free_nodes[c]);
      graph->free_nodes[c] = next;
    }
}

void graph_close(Graph *graph) {
  if (graph->in_transaction) graph_rollback(graph);
  graph_scope_end(graph, 0);
  for (int i = 0; i < graph->n_interned; i++) free(graph->interned[i]);
  free(graph->interned);
  cache_clear(graph);
  free_blocks(graph);
  free(graph->arena);
  free(graph->pool);
  free(graph->counters);
  free(graph->counters_at_begin);
  free(graph->undo);
  free(graph->kept);
  free(graph->void_steps);
  *graph = (Graph){0};
}

Err graph_ok(Graph *graph, Fault *fault) {
  Err code = graph->fault.code;
  if (code) fault_pass(fault, &graph->fault);
  fault_clear(&graph->fault);
  return code;
}

const char *graph_intern(Graph *graph, const char *string) {
  if (!string) return NULL;
  for (int i = graph->n_interned - 1; i >= 0; i--)
    if (strcmp(graph->interned[i], string) == 0) return graph->interned[i];
  char *copy = text_copy(string);
  if (!copy || !grow((void **)&graph->interned, graph->n_interned,
                     &graph->interned_capacity, sizeof(char *))) {
    free(copy);
    return NULL; /* a label is missing: no reason to stop */
  }
  return graph->interned[graph->n_interned++] = copy;
}

int graph_scope_begin(Graph *graph) { return graph->n_pool; }

void graph_scope_end(Graph *graph, int scope) {
  while (graph->n_pool > scope) node_release(graph->pool[--graph->n_pool]);
}

/* Hands a new node over to the current scope; NULL when there is no room. */
static Node *scope_add(Graph *graph, Node *node) {
  if (!grow((void **)&graph->pool, graph->n_pool, &graph->pool_capacity, sizeof(Node *))) {
    node_release(node);
    fault_memory(&graph->fault, sizeof(Node *));
    return NULL;
  }
  return graph->pool[graph->n_pool++] = node;
}

Node *graph_borrow(Graph *graph, Node *node) {
  return node ? scope_add(graph, node_retain(node)) : NULL;
}

bool graph_keep(Graph *graph, Node *node) {
  if (!node->step || node->step != graph->step || graph->n_kept == GRAPH_KEPT) return false;
  if (!grow((void **)&graph->kept, graph->n_kept, &graph->kept_capacity, sizeof(Node *)))
    return false;
  graph->kept[graph->n_kept++] = node_hold(node);
  return true;
}

void graph_warn(Graph *graph, GraphWarning which, const Node *node, const char *format, ...) {
  if (graph->warned & 1u << which) return;
  graph->warned |= 1u << which;
  char text[640], place[160] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char *file = node ? node->file : graph->file;
  if (file) snprintf(place, sizeof place, "%.128s:%d: ", file, node ? node->line : graph->line);
  err_print("warning: %s%s\n", place, text);
}

/* -- streams ------------------------------------------------------------------------- */

Stream graph_draw(Graph *graph, const char *purpose, const char *name) {
  return graph_draw_again(graph, philox_key(graph->seed, purpose, name));
}

Stream graph_draw_once(const Graph *graph, const char *purpose, const char *name) {
  return (Stream){philox_key(graph->seed, purpose, name), 0};
}

Stream graph_draw_again(Graph *graph, uint64_t key) {
  for (int i = 0; i < graph->n_counters; i++)
    if (graph->counters[i].key == key) return (Stream){key, graph->counters[i].count++};
  if (!grow((void **)&graph->counters, graph->n_counters, &graph->counter_capacity,
            sizeof(Counter))) {
    fault_memory(&graph->fault, sizeof(Counter));
    return (Stream){key, 0};
  }
  graph->counters[graph->n_counters++] = (Counter){key, 1};
  return (Stream){key, 0};
}

void graph_seed(Graph *graph, uint64_t seed) {
  graph->seed = seed;
  graph->n_counters = 0;
}

void graph_restart_counts(Graph *graph) {
  graph->count.nets = graph->count.fit_streams = 0;
  graph->count.seeding = ++graph->n_seedings;
}

bool graph_is_void(const Graph *graph, uint32_t step) {
  int lo = 0, hi = graph->n_void_steps;
  while (lo < hi) {
    int middle = lo + (hi - lo) / 2;
    if (graph->void_steps[middle] < step) lo = middle + 1;
    else hi = middle;
  }
  return lo < graph->n_void_steps && graph->void_steps[lo] == step;
}

void graph_void_names(Graph *graph) {
  if (!graph->named) return;
  if (grow((void **)&graph->void_steps, graph->n_void_steps, &graph->void_capacity,
           sizeof *graph->void_steps))
    graph->void_steps[graph->n_void_steps++] = graph->step;
}

Err graph_set_streams(Graph *graph, uint64_t seed, const Counter *counters, int n,
                      Fault *fault) {
  if (n > graph->counter_capacity) {
    size_t n_bytes = (size_t)n * sizeof *counters;
    Counter *larger = realloc(graph->counters, n_bytes);
    if (!larger) return fault_memory(fault, n_bytes);
    graph->counters = larger;
    graph->counter_capacity = n;
  }
  if (n) memcpy(graph->counters, counters, (size_t)n * sizeof *counters);
  graph->n_counters = n;
  graph->seed = seed;
  return ERR_OK;
}

/* -- life ---------------------------------------------------------------------------- */

static size_t align8(size_t n) { return (n + 7) & ~(size_t)7; }

/* The shape and type of a single output are the node's own; several are listed behind. */
static size_t listed(int n_out) { return n_out > 1 ? (size_t)n_out : 0; }

static size_t block_bytes(int n_in, int n_attr, int n_out) {
  return align8(sizeof(Node)) + (size_t)n_in * sizeof(Node *) +
         (size_t)n_attr * sizeof(Attr) + listed(n_out) * (sizeof(Shape) + sizeof(DType));
}

static size_t block_class(size_t n_bytes) {
  return (n_bytes + NODE_CLASS_BYTES - 1) / NODE_CLASS_BYTES;
}

/* The block that will be taken next is on its way to the cache meanwhile: since it was freed,
 * the products of a step have gone through there. */
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
                 .n_in = n_in, .n_attr = n_attr, .n_out = n_out, .in = (Node **)(block + in_at),
                 .attr = (Attr *)(block + attr_at),
                 .out_shape = n_out > 1 ? (Shape *)(block + shape_at) : &node->shape,
                 .out_dtype = n_out > 1 ? (DType *)(block + dtype_at) : &node->dtype,
                 .layer = graph->layer,
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
  history_inherit(node);
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
  return node->tracked && node->in && node->n_in && !(node->op->flags & OP_LEAF) &&
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
    if (n->var) variable_unread(n->var, n);
    give_block(n);
  }
}

Tensor *node_value(const Node *node) { return node->value[0]; }

char *node_label(char *buffer, size_t n_bytes, const Node *node) {
  char place[160] = "";
  if (node->file) snprintf(place, sizeof place, "%.128s:%d: ", node->file, node->line);
  snprintf(buffer, n_bytes, "%s%s%s%s", place, node->layer ? node->layer : "",
           node->layer ? ": " : "", node->op->name);
  return buffer;
}

/* -- constructors -------------------------------------------------------------------- */

Node *graph_const(Graph *graph, Tensor *value) {
  if (!value || graph->fault.code) return NULL;
  Node *node = node_new(graph, &op_record_constant, NULL, 0, NULL, 0, &value->a.shape,
                        &value->a.dtype, 1);
  if (!node) return NULL;
  node->value[0] = tensor_retain(value);
  if (node->shape.rank == 0) node->known.lo = node->known.hi = array_get(&value->a, 0);
  return node;
}

Node *graph_from_doubles(Graph *graph, DType dtype, const Shape *shape, const double *v) {
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

/* Nothing flows through it even where x is a leaf: it may be differentiated by. Of one that
 * is cut it is another, so that detaching in a loop makes no chain. */
Node *graph_detach(Graph *graph, Node *x) {
  if (!x || graph->fault.code || graph_expired(graph, x)) return NULL;
  if (x->op == &op_record_read && !x->var && x->in) x = x->in[0];
  Node *node = node_new(graph, &op_record_read, &x, 1, NULL, 0, &x->shape, &x->dtype, 1);
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
            "this tensor was made inside a step that has ended; return it from the step's "
            "function to keep it");
  return true;
}

Node *graph_pick(Graph *graph, Node *node, int i) {
  if (!node || graph->fault.code) return NULL;
  must(i >= 0 && i < node->n_out);
  Attr which = {.i = i};
  Node *pick = node_new(graph, &op_record_pick, &node, 1, &which, 1, &node->out_shape[i],
                        &node->out_dtype[i], 1);
  if (pick && i == 0) pick->known = node->known;
  return pick;
}

Node *graph_track(Graph *graph, Node *x) {
  Node *node = graph_pick(graph, x, 0);
  if (!node) return NULL;
  node->tracked = true;
  return node;
}

/* Puts op and layer before the text of infer's fault. */
static void apply_failed(Graph *graph, const Op *op) {
  if (graph->layer) fault_prefix(&graph->fault, "%s: %s", graph->layer, op->name);
  else fault_prefix(&graph->fault, "%s", op->name);
}

Node *graph_apply(Graph *graph, const Op *op, Node *const *in, int n_in, const Attr *attr,
                  int n_attr) {
  if (graph->fault.code) return NULL;
  for (int i = 0; i < n_in; i++)
    if (!in[i]) return NULL;
  must(op->n_in == ANY_NUMBER || (n_in <= op->n_in && n_in >= op->n_in - op->n_optional));
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

/* -- walks --------------------------------------------------------------------------- */

static bool walk_push(Walk *walk, Node *node) {
  if (walk->n == walk->capacity) {
    int64_t wanted = walk->capacity ? 2 * walk->capacity : 1024;
    Node **larger = realloc(walk->v, (size_t)wanted * sizeof *larger);
    if (!larger) return false;
    walk->v = larger;
    walk->capacity = wanted;
  }
  walk->v[walk->n++] = node;
  return true;
}

static int by_serial(const void *a, const void *b) {
  uint64_t x = (*(Node *const *)a)->serial, y = (*(Node *const *)b)->serial;
  return (x > y) - (x < y);
}

/* Most nodes of a walk were made one after the other: each goes straight to its place in a
 * table of serials; the few older ones are sorted before them. False: not worth it, or no
 * memory; nothing has changed. */
static bool place_by_serial(Walk *walk) {
  enum { FEW = 32 };
  uint64_t last = 0;
  int64_t room = 4 * walk->n, n_old = 0, n = 0;
  if (walk->n < FEW) return false;
  for (int64_t i = 0; i < walk->n; i++)
    if (walk->v[i]->serial > last) last = walk->v[i]->serial;
  uint64_t first = last > (uint64_t)room ? last - (uint64_t)room : 0;
  Node **table = calloc((size_t)room + 1, sizeof *table);
  if (!table) return false;
  for (int64_t i = 0; i < walk->n; i++) {
    Node *node = walk->v[i];
    if (node->serial < first) walk->v[n_old++] = node;
    else table[node->serial - first] = node;
  }
  if (n_old) qsort(walk->v, (size_t)n_old, sizeof *walk->v, by_serial);
  n = n_old;
  for (int64_t i = 0; n < walk->n; i++)
    if (table[i]) walk->v[n++] = table[i];
  free(table);
  return true;
}

Err walk_collect(Graph *graph, Walk *walk, Node *const *roots, int n,
                 bool (*stop)(const Node *node)) {
  uint64_t mark = ++graph->walk;
  bool room = true;
  for (int i = 0; i < n; i++) {
    if (roots[i]->mark == mark) continue;
    roots[i]->mark = mark;
    room = room && walk_push(walk, roots[i]);
  }
  /* The list is its own queue: those behind `at` are found, not yet looked into. */
  for (int64_t at = 0; room && at < walk->n; at++) {
    Node *node = walk->v[at];
    if (!node->in || (stop && stop(node))) continue;
    for (int i = 0; room && i < node->n_in; i++) {
      if (node->in[i]->mark == mark) continue;
      node->in[i]->mark = mark;
      room = walk_push(walk, node->in[i]);
    }
  }
  if (!room) {
    size_t n_bytes = (size_t)walk->capacity * sizeof(Node *);
    walk_deinit(walk);
    return fault_memory(&graph->fault, n_bytes);
  }
  if (!place_by_serial(walk) && walk->n)
    qsort(walk->v, (size_t)walk->n, sizeof *walk->v, by_serial);
  for (int64_t i = 0; i < walk->n; i++) walk->v[i]->index = i;
  return ERR_OK;
}

void walk_deinit(Walk *walk) {
  free(walk->v);
  *walk = (Walk){0};
}
