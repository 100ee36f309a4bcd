/* cache.c: traces, their keys, and the plans kept under them. */
#include "graph/cache.h"
#include "base/hash.h"
#include "base/ints.h"
#include "graph/graph_private.h"
#include <stdlib.h>
#include <string.h>

/* -- keys -------------------------------------------------------------------------- */

/* Room for n more words. */
static bool key_reserve(Trace *t, size_t n) {
  enum { FIRST = 4096 };
  return !ARRAY_ROOM(t->key, t->key_room, most((int64_t)(t->n_key + n), FIRST), NULL);
}

/* Into room that was reserved. */
static void key_put(Trace *t, uint64_t word) { t->key[t->n_key++] = word; }

/* Four chains at once: one multiplication does not wait for the one before. */
static uint64_t key_hash(const uint64_t *key, size_t n) {
  enum { CHAINS = 4 };
  uint64_t hash[CHAINS] = {1, 2, 3, 4}, all = n;
  for (size_t i = 0; i < n; i++) hash[i % CHAINS] = hash_word(hash[i % CHAINS], key[i]);
  for (int c = 0; c < CHAINS; c++) all = hash_word(all, hash[c]);
  return all;
}

enum { SHAPE_WORDS = 1 + MAX_RANK };

static void put_shape(Trace *t, const Node *node) {
  key_put(t, (uint64_t)node->dtype << 8 | (uint64_t)node->shape.rank);
  for (int i = 0; i < node->shape.rank; i++) key_put(t, (uint64_t)node->shape.dim[i]);
}

static int64_t variable_place(VariableList list, const Variable *v) {
  bool there = v && v->place >= 0 && v->place < list.n && list.v[v->place] == v;
  return there ? v->place : -1;
}

static void note_places(VariableList list) {
  for (int i = 0; i < list.n; i++) list.v[i]->place = i;
}

/* The place of the variable that a leaf stands for at the begin of the step; -1: of
 * none. */
static int64_t leaf_place(const Graph *graph, VariableList list, const Node *leaf) {
  return variable_read_at_begin(graph, leaf) ? variable_place(list, leaf->var) : -1;
}

static bool put_leaf(Trace *t, const Graph *graph, const Node *node,
                     VariableList variables) {
  if (!key_reserve(t, 1 + SHAPE_WORDS)) return false;
  key_put(t, (uint64_t)(leaf_place(graph, variables, node) + 1) << 8 | 1);
  put_shape(t, node);
  return true;
}

/* An op whose data can be refused names its layer and line: part of the key, so that
 * they are right. */
static bool put_node(Trace *t, const Node *node) {
  int n_attr = node->op->flags & OP_DRAW ? node->n_attr - 2 : node->n_attr;
  if (!key_reserve(t, (size_t)(5 + node->n_in + n_attr) + SHAPE_WORDS)) return false;
  key_put(t, (uint64_t)(uintptr_t)node->op);
  key_put(t, (uint64_t)node->n_in << 8 | node->tracked << 1);
  for (int k = 0; k < node->n_in; k++) key_put(t, (uint64_t)node->in[k]->index);
  for (int k = 0; k < n_attr; k++) key_put(t, (uint64_t)node->attr[k].i);
  if (node->n_in == 0) put_shape(t, node);
  if (!node->op->check) return true;
  key_put(t, (uint64_t)node->line);
  key_put(t, (uint64_t)(uintptr_t)node->file);
  key_put(t, (uint64_t)(uintptr_t)node->layer);
  return true;
}

/* -- traces ------------------------------------------------------------------------ */

/* Evaluates values that variables were given before and that are not computed yet. */
static Err settle(Graph *graph, const Walk *walk, uint64_t first_serial, bool *any) {
  *any = false;
  for (int64_t i = 0; i < walk->n; i++) {
    Node *node = walk->v[i];
    if (node->op != &op_record_read || plan_is_leaf(node)) continue;
    if (node->in[0]->serial >= first_serial) continue;
    if (graph_eval(graph, &node->in[0], 1)) return graph->fault.code;
    *any = true;
  }
  return ERR_OK;
}

Err trace_list(Trace *out, Graph *graph, Node *const *roots, int n,
               uint64_t first_serial) {
  Walk walk = {0};
  bool again = true;
  *out = (Trace){0};
  while (again) {
    walk_deinit(&walk);
    if (walk_collect(graph, &walk, roots, n, plan_is_leaf)) return graph->fault.code;
    if (settle(graph, &walk, first_serial, &again)) {
      walk_deinit(&walk);
      return graph->fault.code;
    }
  }
  out->v = walk.v;
  out->n = walk.n;
  return ERR_OK;
}

static bool put_nodes(Trace *t, const Graph *graph, VariableList variables) {
  t->start = malloc(((size_t)t->n + 1) * sizeof *t->start);
  bool ok = t->start != NULL;
  for (int64_t i = 0; ok && i < t->n; i++) {
    t->start[i] = t->n_key;
    ok = plan_is_leaf(t->v[i]) ? put_leaf(t, graph, t->v[i], variables)
                               : put_node(t, t->v[i]);
  }
  if (ok) t->start[t->n] = t->n_key;
  return ok;
}

Err trace_key(Trace *t, Graph *graph, Node *const *roots, int n, VariableList variables,
              const uint64_t *words, int n_words) {
  note_places(variables);
  bool ok = put_nodes(t, graph, variables) &&
            key_reserve(t, (size_t)(n + n_words) + (size_t)variables.n * SHAPE_WORDS);
  if (!ok) return fault_memory(&graph->fault, 2 * t->n_key * sizeof(uint64_t));
  for (int r = 0; r < n; r++) key_put(t, (uint64_t)roots[r]->index);
  for (int w = 0; w < n_words; w++) key_put(t, words[w]);
  for (int i = 0; i < variables.n; i++) {
    const Node *value = variables.v[i]->current;
    if (value) put_shape(t, value);
    else key_put(t, 0);
  }
  t->hash = key_hash(t->key, t->n_key);
  return ERR_OK;
}

void trace_expire(Trace *trace, const Graph *graph) {
  for (int64_t i = 0; i < trace->n; i++) node_retain(trace->v[i]);
  for (int64_t i = 0; i < trace->n; i++) {
    Node *node = trace->v[i];
    if (node->step == graph->step && node->in) node_forget_inputs(node);
  }
  for (int64_t i = 0; i < trace->n; i++) node_release(trace->v[i]);
  trace->n = 0;
}

void trace_deinit(Trace *trace) {
  free(trace->v);
  free(trace->start);
  free(trace->key);
  *trace = (Trace){0};
}

/* -- plans ------------------------------------------------------------------------- */

static void cached_free(CachedPlan *c) {
  if (!c) return;
  for (int i = 0; c->in && i < c->n_in; i++) tensor_release(c->in[i].constant);
  plan_free(c->plan);
  free(c->in);
  free(c->draw);
  free(c->key);
  free(c->in_data);
  for (int i = 0; c->spare && i < c->n_roots; i++) tensor_release(c->spare[i]);
  free(c->spare);
  free(c->root_data);
  free(c->known);
  free(c->proved);
  free(c->streams);
  free(c);
}

void cache_clear(Graph *graph) {
  for (int use = 0; use < N_PLAN_USES; use++) {
    PlanStore *store = &graph->plans[use];
    for (int i = 0; i < store->n; i++) cached_free(store->v[i]);
    free(store->v);
    *store = (PlanStore){0};
  }
}

/* -- in what two graphs differ, for people ----------------------------------------- */

/* The words of one node: see put_leaf and put_node. */
static bool is_leaf_words(const uint64_t *words) { return (words[0] & 0xff) == 1; }

static const char *words_op(const uint64_t *words) {
  return is_leaf_words(words) ? "a tensor that is given"
                              : ((const Op *)(uintptr_t)words[0])->name;
}

static void add_shape_was(Text *out, const uint64_t *words) {
  char text[SHAPE_TEXT];
  Shape shape = {.rank = (int)(words[0] & 0xff)};
  for (int i = 0; i < shape.rank; i++) shape.dim[i] = (int64_t)words[1 + i];
  text_addf(out, "was %s %s", shape_text(text, &shape),
            dtype_name((DType)(words[0] >> 8)));
}

/* The attribute of the node that word number `word` of all of them is part of. */
static const char *attr_name(const Node *node, size_t word) {
  const Attr *at = node->attr;
  for (const OpAttr *a = node->op->attrs; a && a->name; a++) {
    at += attr_length(a->kind, at);
    if (node->attr + word < at) return a->name;
  }
  return "options";
}

/* Both have the same words before number `at`. */
static void add_what_differs(Text *out, const Node *node, const uint64_t *words,
                             const uint64_t *old, size_t at) {
  bool leaf = is_leaf_words(words), draws = !leaf && (node->op->flags & OP_DRAW);
  size_t n_in = (size_t)node->n_in, n_attr = (size_t)node->n_attr - (draws ? 2 : 0);
  if (at == 0 && leaf && is_leaf_words(old)) text_add(out, "was another variable");
  else if (at == 0) text_addf(out, "was %s", words_op(old));
  else if (leaf) add_shape_was(out, old + 1);
  else if (at == 1) text_add(out, "had other inputs");
  else if (at < 2 + n_in) text_add(out, "read other values");
  else if (at < 2 + n_in + n_attr)
    text_addf(out, "\"%s\" was another", attr_name(node, at - 2 - n_in));
  else if (n_in == 0) add_shape_was(out, old + 2 + n_attr);
  else text_add(out, "was made in another line");
}

static const CachedPlan *plan_made(const Graph *graph, uint64_t made) {
  const PlanStore *store = &graph->plans[PLANS_OF_STEPS];
  for (int i = 0; i < store->n; i++)
    if (store->v[i]->made == made) return store->v[i];
  return NULL;
}

bool trace_difference(const Trace *trace, const Graph *graph, uint64_t made,
                      Text *out) {
  const CachedPlan *last = plan_made(graph, made);
  if (!last) return false;
  size_t n = last->n_key < trace->n_key ? last->n_key : trace->n_key, at = 0;
  while (at < n && last->key[at] == trace->key[at]) at++;
  if (trace->n == 0 || at >= trace->start[trace->n]) {
    text_add(out, "what is returned or trained, or a setting of the optimizer");
    return true;
  }
  int64_t i = 0;
  while (trace->start[i + 1] <= at) i++;
  size_t first = trace->start[i];
  char label[256], shape[SHAPE_TEXT];
  text_addf(out, "%s (%s): ", node_label(label, sizeof label, trace->v[i]),
            shape_text(shape, &trace->v[i]->shape));
  if (at >= last->n_key) text_add(out, "was not there");
  else
    add_what_differs(out, trace->v[i], trace->key + first, last->key + first,
                     at - first);
  return true;
}

/* -- finding and making ------------------------------------------------------------ */

CachedPlan *cache_find(Graph *graph, PlanUse use, const Trace *trace) {
  const PlanStore *store = &graph->plans[use];
  for (int i = 0; i < store->n; i++) {
    CachedPlan *c = store->v[i];
    if (c->hash != trace->hash || c->n_key != trace->n_key) continue;
    if (memcmp(c->key, trace->key, c->n_key * sizeof *c->key) != 0) continue;
    c->used = ++graph->plan_uses;
    return c;
  }
  return NULL;
}

/* Planning walked over more than the trace: its nodes get their places in it back. */
static void note_nodes(const Trace *trace) {
  for (int64_t i = 0; i < trace->n; i++) trace->v[i]->index = i;
}

/* After note_nodes; -1: not there. */
static int64_t trace_place(const Trace *trace, const Node *node) {
  bool there = node->index >= 0 && node->index < trace->n &&
               trace->v[node->index] == node;
  return there ? node->index : -1;
}

static PlanSource source_of(const Graph *graph, const Trace *trace,
                            VariableList variables, Node *const *numbers, int n_numbers,
                            const Node *leaf) {
  int64_t at = leaf_place(graph, variables, leaf);
  if (at >= 0) return (PlanSource){.from = FROM_VARIABLE, .index = at};
  for (int k = 0; k < n_numbers; k++)
    if (numbers[k] == leaf) return (PlanSource){.from = FROM_NUMBER, .index = k};
  at = trace_place(trace, leaf);
  if (at >= 0) return (PlanSource){.from = FROM_TRACE, .index = at};
  return (PlanSource){.from = FROM_CONSTANT,
                      .constant = tensor_retain(plan_leaf_value(leaf))};
}

static bool allocate(CachedPlan *c, const Trace *trace) {
  c->in = calloc((size_t)c->n_in + 1, sizeof *c->in);
  c->draw = calloc((size_t)c->n_draws + 1, sizeof *c->draw);
  c->key = malloc(trace->n_key * sizeof *c->key + 1);
  c->in_data = calloc((size_t)c->n_in + 1, sizeof *c->in_data);
  c->root_data = calloc((size_t)c->n_roots + 1, sizeof *c->root_data);
  c->known = calloc((size_t)c->n_in + 1, sizeof *c->known);
  c->proved = calloc((size_t)c->n_roots + 1, sizeof *c->proved);
  for (int r = 0; c->proved && r < c->n_roots; r++) c->proved[r] = RANGE_UNKNOWN;
  c->spare = calloc((size_t)c->n_roots + 1, sizeof *c->spare);
  c->streams = calloc((size_t)c->n_draws + 1, sizeof *c->streams);
  return c->in && c->draw && c->key && c->in_data && c->root_data && c->known &&
         c->proved && c->spare && c->streams;
}

/* Of those without pins the one unused for longest; -1: none. */
static int oldest_free(const PlanStore *store) {
  int oldest = -1;
  for (int i = 0; i < store->n; i++) {
    must(store->v[i]);
    if (store->v[i]->pins) continue;
    if (oldest < 0 || store->v[i]->used < store->v[oldest]->used) oldest = i;
  }
  return oldest;
}

bool cache_has_room(const Graph *graph, PlanUse use, uint64_t n_uses) {
  const PlanStore *store = &graph->plans[use];
  if (store->n < CACHE_PLANS) return true;
  int oldest = oldest_free(store);
  return oldest >= 0 && store->v[oldest]->used + n_uses <= graph->plan_uses;
}

/* The place for a new plan: one more, or that of the plan unused for longest. */
static CachedPlan **make_room(PlanStore *store) {
  if (!store->v) store->v = calloc(CACHE_PLANS, sizeof *store->v);
  if (!store->v) return NULL;
  if (store->n < CACHE_PLANS) return &store->v[store->n++];
  int oldest = oldest_free(store);
  if (oldest < 0) return NULL;
  cached_free(store->v[oldest]);
  return &store->v[oldest];
}

static bool fill(CachedPlan *c, const Graph *graph, const Trace *trace,
                 VariableList variables, Node *const *numbers, int n_numbers) {
  Node *const *leaves, *const *draws;
  c->n_in = plan_leaves(c->plan, &leaves);
  c->n_draws = plan_draws(c->plan, &draws);
  if (!allocate(c, trace)) return false;
  note_nodes(trace);
  for (int i = 0; i < c->n_in; i++)
    c->in[i] = source_of(graph, trace, variables, numbers, n_numbers, leaves[i]);
  for (int i = 0; i < c->n_draws; i++) c->draw[i] = trace_place(trace, draws[i]);
  memcpy(c->key, trace->key, trace->n_key * sizeof *c->key);
  c->n_key = trace->n_key;
  c->hash = trace->hash;
  plan_release_nodes(c->plan);
  return true;
}

CachedPlan *cache_add(Graph *graph, PlanUse use, const Trace *trace, Node *const *roots,
                      int n_roots, VariableList variables, Node *const *numbers,
                      int n_numbers) {
  CachedPlan *c = calloc(1, sizeof *c);
  if (!c) {
    fault_memory(&graph->fault, sizeof *c);
    return NULL;
  }
  c->n_roots = n_roots;
  c->plan = plan_new(graph, roots, n_roots);
  CachedPlan **room = NULL;
  if (c->plan && fill(c, graph, trace, variables, numbers, n_numbers))
    room = make_room(&graph->plans[use]);
  if (!room) {
    cached_free(c);
    fault_memory(&graph->fault, sizeof *c);
    return NULL;
  }
  c->made = c->used = ++graph->plan_uses;
  return *room = c;
}

/* -- running ----------------------------------------------------------------------- */

static Stream draw_stream(const Node *draw) {
  const Attr *attr = draw->attr + draw->n_attr - 2;
  return (Stream){(uint64_t)attr[0].i, (uint64_t)attr[1].i};
}

static void *source_data(const PlanSource *source, const Graph *graph,
                         const PlanGiven *given) {
  switch (source->from) {
  case FROM_TRACE: return plan_leaf_data(given->trace->v[source->index]);
  case FROM_VARIABLE:
    return plan_leaf_data(variable_at_begin(graph, given->variables.v[source->index]));
  case FROM_READ: return plan_leaf_data(variable_at_begin(graph, source->variable));
  case FROM_NUMBER: return (void *)&given->numbers[source->index];
  case FROM_CONSTANT: return source->constant->a.data;
  case FROM_ARGUMENT: return given->args[source->index]->a.data;
  }
  return NULL;
}

/* Where the elements lie, of a variable that the plan may update. */
static Range source_range(const PlanSource *source, const PlanGiven *given) {
  if (source->from != FROM_VARIABLE) return RANGE_UNKNOWN;
  const Variable *v = given->variables.v[source->index];
  return v->bounded == v->version ? (Range){v->lo, v->hi} : RANGE_UNKNOWN;
}

void cached_bind(CachedPlan *c, Graph *graph, const PlanGiven *given) {
  for (int i = 0; i < c->n_in; i++) {
    c->in_data[i] = source_data(&given->in[i], graph, given);
    c->known[i] = source_range(&given->in[i], given);
  }
  for (int i = 0; i < c->n_draws; i++)
    c->streams[i] = given->trace ? draw_stream(given->trace->v[c->draw[i]])
                                 : graph_draw_again(graph, given->draw_key[i]);
}

Err cached_compute(Graph *graph, CachedPlan *c) {
  return plan_compute(graph, c->plan, &(PlanRun){c->in_data, c->root_data, c->streams});
}

void cached_redirect(Graph *graph, CachedPlan *c) {
  plan_redirect(graph, c->plan, &(PlanRun){c->in_data, c->root_data, c->streams});
}

bool cached_proves_finite(Graph *graph, CachedPlan *c) {
  return plan_proves_finite(graph, c->plan, c->known, c->proved);
}

void cached_keep_ranges(const CachedPlan *c, VariableList variables) {
  const Range *range = c->proved + c->n_roots - variables.n;
  for (int i = 0; i < variables.n; i++) {
    Variable *v = variables.v[i];
    v->lo = range[i].lo;
    v->hi = range[i].hi;
    v->bounded = v->version;
  }
}
