/* plan.c: compiling a graph: aliases, groups, jobs, lifetimes, items.
 *
 * Passes, each a function, in this order:
 *   resolve    views, picks and reads become aliases of the value that they rename
 *   group      elementwise nodes of one shape join the group of a producer, so that they run
 *              tile by tile in one pass. A group runs where its last member stood; it is
 *              closed as soon as somebody outside reads a member, so nobody waits for it
 *   order      items (a group, or one other node), late updates apart
 *   jobs       neighbours that do not depend on each other share one parallel job
 *   place      every value gets its memory: a root's, a tile's within its group, or an
 *              offset in the arena that is free from the job that makes it to the last that
 *              reads it. An output of a group may take the place of an input that ends there
 *   emit       items with calls whose pointers are filled in at each run
 *
 * Values are numbered node * MAX_OUT + output. */
#include "graph/plan_private.h"
#include <stdlib.h>
#include <string.h>

enum { NOBODY = -1 };

/* Of one node of the walk, while compiling. */
typedef struct Spot {
  int64_t value;         /* the value that output 0 stands for: its own, or an alias's */
  size_t offset;         /* in bytes, into that value */
  int group;             /* NOBODY: none */
  int item;              /* that computes it; NOBODY: leaf or alias */
  bool late;             /* an update that only updates read: runs at commit */
} Spot;

typedef struct Group {
  const Shape *shape;
  int64_t last;          /* node at which it runs */
  int n_members;
  bool closed;
} Group;

/* Of one value. */
typedef struct Life {
  PlanPlace place;
  int born, dies;        /* jobs; born NOBODY: not computed here */
  int last_item;         /* that reads it */
  int n_readers;         /* items that read it */
  bool outside;          /* read by another item than its own, or a root */
  int64_t heir;          /* value that takes over its memory; NOBODY */
  size_t n_bytes;
} Life;

typedef struct Compiler {
  Graph *graph;
  Plan *plan;
  Walk walk;
  Spot *spots;
  Group *groups;
  int n_groups;
  Life *lives;           /* per value */
  int *item_first;       /* per item: its nodes in item_nodes */
  int64_t *item_nodes;
  int *item_job;
  int n_items, n_updates;
  int64_t *copy_root;    /* roots that are copied at the end */
} Compiler;

/* One of the values of an evaluated node with several: each is a leaf of its own. */
static bool is_part_of_leaf(const Node *node) {
  return node->op == &op_record_pick && node->in[0]->n_out > 1 && node->in[0]->value[0] &&
         plan_is_leaf(node->in[0]);
}

bool plan_is_leaf(const Node *node) {
  if (!node->in) return true;
  if (node->op == &op_record_constant) return true;
  if (node->op == &op_record_read && node->value[0]) return true;
  if (node->op == &op_record_read) return node->in[0]->value[0] != NULL || !node->in[0]->in;
  if (is_part_of_leaf(node)) return true;
  return node->value[0] && !node->tracked;
}

Tensor *plan_leaf_value(const Node *leaf) {
  if (leaf->value[0]) return leaf->value[0];
  return leaf->in[0]->value[leaf->op == &op_record_pick ? leaf->attr[0].i : 0];
}

static void *plan_alloc(Compiler *c, size_t n_bytes) {
  PlanBlock *block = calloc(1, sizeof *block + n_bytes);
  if (!block) {
    fault_memory(&c->graph->fault, n_bytes);
    return NULL;
  }
  block->next = c->plan->blocks;
  c->plan->blocks = block;
  return block->data;
}

static int64_t value_of(int64_t node, int output) { return node * MAX_OUT + output; }
static Node *producer(const Compiler *c, int64_t value) { return c->walk.v[value / MAX_OUT]; }

/* -- resolve ------------------------------------------------------------------------- */

static bool is_alias(const Node *node, int64_t *offset) {
  *offset = 0;
  if (node->op == &op_record_pick || node->op == &op_record_read) return true;
  *offset = node->op->view ? node->op->view(node) : NOBODY;
  return *offset >= 0;
}

static void resolve(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++) {
    Node *node = c->walk.v[i];
    Spot *spot = &c->spots[i];
    int64_t offset;
    *spot = (Spot){value_of(i, 0), 0, NOBODY, NOBODY, false};
    if (plan_is_leaf(node) || !is_alias(node, &offset)) continue;
    const Spot *base = &c->spots[node->in[0]->index];
    int output = node->op == &op_record_pick ? (int)node->attr[0].i : 0;
    spot->value = base->value + output;
    spot->offset = base->offset + (size_t)offset * dtype_bytes(node->dtype);
  }
}

static bool computes(const Compiler *c, int64_t i) {
  return !plan_is_leaf(c->walk.v[i]) && c->spots[i].value == value_of(i, 0);
}

/* -- group --------------------------------------------------------------------------- */

static bool fusable(const Node *node) {
  return (node->op->flags & OP_ELEMENTWISE) && node->op->tile && shape_count(&node->shape) > 0;
}

/* The whole of the value, element for element: what a tile can hand on. */
static bool is_direct(const Compiler *c, const Node *in) {
  const Spot *spot = &c->spots[in->index];
  const Node *base = producer(c, spot->value);
  return spot->offset == 0 && spot->value % MAX_OUT == 0 &&
         shape_equal(&in->shape, &base->shape);
}

/* The group whose member makes the value that `in` stands for. */
static int group_of(const Compiler *c, const Node *in) {
  return c->spots[c->spots[in->index].value / MAX_OUT].group;
}

/* Does the node read other elements of the group's members than its own? */
static bool reads_across(const Compiler *c, const Node *node, int g) {
  for (int k = 0; k < node->n_in; k++)
    if (group_of(c, node->in[k]) == g && !is_direct(c, node->in[k])) return true;
  return false;
}

/* The open group of a producer that `node` may join; NOBODY. */
static int group_to_join(const Compiler *c, const Node *node) {
  int best = NOBODY;
  for (int k = 0; k < node->n_in; k++) {
    int g = group_of(c, node->in[k]);
    if (g == NOBODY || c->groups[g].closed || reads_across(c, node, g)) continue;
    if (c->groups[g].n_members == PLAN_MEMBERS) continue;
    if (!shape_equal(c->groups[g].shape, &node->shape)) continue;
    if (best == NOBODY || c->groups[g].last > c->groups[best].last) best = g;
  }
  return best;
}

static void group(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++) {
    Node *node = c->walk.v[i];
    if (!computes(c, i)) continue;
    int g = NOBODY;
    if (fusable(node)) {
      g = group_to_join(c, node);
      if (g == NOBODY) {
        g = c->n_groups++;
        c->groups[g] = (Group){.shape = &node->shape};
      }
      c->groups[g].last = i;
      c->groups[g].n_members++;
    }
    c->spots[i].group = g;
    for (int k = 0; k < node->n_in; k++) {
      int of = group_of(c, node->in[k]);
      if (of != NOBODY && of != g) c->groups[of].closed = true;
    }
  }
}

/* -- order --------------------------------------------------------------------------- */

/* From the last node to the first, so that all readers of a node are known before it. */
static void find_late(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++)
    c->spots[i].late = computes(c, i) && (c->walk.v[i]->op->flags & OP_UPDATE);
  for (int64_t i = c->walk.n - 1; i >= 0; i--) {
    const Node *node = c->walk.v[i];
    if (!computes(c, i) || c->spots[i].late) continue;
    for (int k = 0; k < node->n_in; k++)
      c->spots[c->spots[node->in[k]->index].value / MAX_OUT].late = false;
  }
}

static void add_item(Compiler *c, int64_t last, int *n_nodes) {
  int g = c->spots[last].group;
  c->item_first[c->n_items] = *n_nodes;
  for (int64_t i = g == NOBODY ? last : 0; i <= last; i++) {
    if (g != NOBODY && (c->spots[i].group != g || !computes(c, i))) continue;
    c->spots[i].item = c->n_items;
    c->item_nodes[(*n_nodes)++] = i;
  }
  c->item_first[++c->n_items] = *n_nodes;
}

static void order(Compiler *c) {
  int n_nodes = 0;
  find_late(c);
  for (int late = 0; late < 2; late++)
    for (int64_t i = 0; i < c->walk.n; i++) {
      if (!computes(c, i) || c->spots[i].late != (late == 1)) continue;
      int g = c->spots[i].group;
      if (g != NOBODY && c->groups[g].last != i) continue;
      add_item(c, i, &n_nodes);
      c->n_updates += late;
    }
}

/* -- jobs ---------------------------------------------------------------------------- */

static int item_of_value(const Compiler *c, int64_t value) {
  return c->spots[value / MAX_OUT].item;
}

/* Does the item read what an item of this job makes? */
static bool depends_on_job(const Compiler *c, int item, int job) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    for (int k = 0; k < node->n_in; k++) {
      int of = item_of_value(c, c->spots[node->in[k]->index].value);
      if (of != NOBODY && of != item && c->item_job[of] == job) return true;
    }
  }
  return false;
}

static void jobs(Compiler *c) {
  int job = NOBODY, first_update = c->n_items - c->n_updates;
  for (int item = 0; item < c->n_items; item++) {
    bool fresh = job == NOBODY || item == first_update || depends_on_job(c, item, job);
    c->item_job[item] = fresh ? ++job : job;
  }
  c->plan->n_jobs = job + 1;
  c->plan->n_compute_jobs =
      first_update < c->n_items ? c->item_job[first_update] : c->plan->n_jobs;
}

/* -- place --------------------------------------------------------------------------- */

static size_t rounded(size_t n) { return (n + 63) / 64 * 64; }

static size_t value_bytes(const Node *node, int output) {
  size_t n = (size_t)shape_count(&node->out_shape[output]);
  return n * dtype_bytes(node->out_dtype[output]);
}

static void begin_life(Compiler *c, int64_t i) {
  Node *node = c->walk.v[i];
  int item = c->spots[i].item;
  for (int o = 0; o < node->n_out; o++) {
    Life *life = &c->lives[value_of(i, o)];
    int job = item == NOBODY ? NOBODY : c->item_job[item];
    *life = (Life){.place = {.kind = IN_ARENA}, .born = job, .dies = job, .heir = NOBODY,
                   .last_item = NOBODY, .n_bytes = value_bytes(node, o)};
    if (item != NOBODY) c->plan->size.naive_bytes += rounded(life->n_bytes);
  }
}

static void read_values(Compiler *c, int item) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    for (int k = 0; k < node->n_in; k++) {
      int64_t value = c->spots[node->in[k]->index].value;
      Life *life = &c->lives[value];
      if (c->item_job[item] > life->dies) life->dies = c->item_job[item];
      if (life->last_item != item) life->n_readers++;
      life->last_item = item;
      if (item_of_value(c, value) != item) life->outside = true;
    }
  }
}

static void live(Compiler *c) {
  int n_inputs = 0;
  for (int64_t i = 0; i < c->walk.n; i++) {
    begin_life(c, i);
    if (!plan_is_leaf(c->walk.v[i])) continue;
    c->lives[value_of(i, 0)].place = (PlanPlace){IN_INPUT, n_inputs++, 0};
  }
  for (int item = 0; item < c->n_items; item++) read_values(c, item);
}

/* A root gets its value computed in place; where that cannot be (a leaf, a part of a value,
 * a value that is a root already) it is copied at the end. */
static void place_roots(Compiler *c, Node *const *roots, int n_roots) {
  for (int r = 0; r < n_roots; r++) {
    const Spot *spot = &c->spots[roots[r]->index];
    Life *life = &c->lives[spot->value];
    bool whole = spot->offset == 0 && life->n_bytes == value_bytes(roots[r], 0);
    bool own = whole && life->place.kind == IN_ARENA && life->born != NOBODY;
    c->copy_root[r] = own ? NOBODY : spot->value;
    life->outside = true;
    if (own) life->place = (PlanPlace){IN_ROOT, r, 0};
    else if (life->born != NOBODY) life->dies = c->plan->n_jobs;
  }
}

/* Tile slots of one group: taken by members in order, free after the last reader. */
static void place_tiles(Compiler *c, int item) {
  int64_t free_at[PLAN_TILES];
  int first = c->item_first[item], end = c->item_first[item + 1];
  for (int t = 0; t < PLAN_TILES; t++) free_at[t] = 0;
  for (int at = first; at < end; at++) {
    int64_t i = c->item_nodes[at];
    Life *life = &c->lives[value_of(i, 0)];
    if (life->outside || life->place.kind != IN_ARENA) continue;
    int64_t last = at;
    for (int later = at + 1; later < end; later++) {
      const Node *node = c->walk.v[c->item_nodes[later]];
      for (int k = 0; k < node->n_in; k++)
        if (c->spots[node->in[k]->index].value == value_of(i, 0)) last = later;
    }
    for (int t = 0; t < PLAN_TILES; t++) {
      if (free_at[t] > at) continue;
      life->place = (PlanPlace){IN_TILE, t, 0};
      free_at[t] = last; /* the last reader may write over it */
      break;
    }
  }
}

static bool reads(const Compiler *c, int64_t node, int64_t value, bool indirectly) {
  const Node *reader = c->walk.v[node];
  for (int k = 0; k < reader->n_in; k++)
    if (c->spots[reader->in[k]->index].value == value &&
        (!indirectly || !is_direct(c, reader->in[k])))
      return true;
  return false;
}

/* Is `value` read by a later member of the item, by one that does not go along with the
 * tiles, or by another item of the same job? */
static bool read_otherwise(const Compiler *c, int64_t value, int item, int at) {
  for (int q = c->item_first[item]; q < c->item_first[item + 1]; q++)
    if (reads(c, c->item_nodes[q], value, q <= at)) return true;
  for (int other = item - 1; other >= 0 && c->item_job[other] == c->item_job[item]; other--)
    for (int q = c->item_first[other]; q < c->item_first[other + 1]; q++)
      if (reads(c, c->item_nodes[q], value, false)) return true;
  return false;
}

/* The output of a group's member over an input that nobody reads afterwards. */
static void inherit(Compiler *c, int item) {
  int end = c->item_first[item + 1];
  for (int at = c->item_first[item]; at < end; at++) {
    int64_t i = c->item_nodes[at];
    Node *node = c->walk.v[i];
    Life *life = &c->lives[value_of(i, 0)];
    if (c->spots[i].group == NOBODY || life->place.kind != IN_ARENA) continue;
    for (int k = 0; k < node->n_in; k++) {
      int64_t value = c->spots[node->in[k]->index].value;
      Life *old = &c->lives[value];
      if (old->place.kind != IN_ARENA || old->heir != NOBODY || old->born == NOBODY ||
          old->dies != life->born || old->last_item != item || old->born == life->born ||
          old->n_bytes != life->n_bytes || !is_direct(c, node->in[k]))
        continue;
      if (read_otherwise(c, value, item, at)) continue;
      old->heir = value_of(i, 0);
      break;
    }
  }
}

/* One stretch of arena: a value with its heirs, or an item's scratch memory. */
typedef struct Stretch {
  int64_t value;         /* NOBODY: scratch of `item` */
  int item, born, dies;
  size_t n_bytes, offset;
} Stretch;

static int by_size(const void *a, const void *b) {
  const Stretch *x = a, *y = b;
  if (x->n_bytes != y->n_bytes) return x->n_bytes < y->n_bytes ? 1 : -1;
  if (x->born != y->born) return x->born - y->born;
  return (x->value > y->value) - (x->value < y->value);
}

static int by_offset(const void *a, const void *b) {
  const Stretch *x = *(Stretch *const *)a, *y = *(Stretch *const *)b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool overlap(const Stretch *a, const Stretch *b) {
  return a->born <= b->dies && b->born <= a->dies;
}

/* Largest first, each at the lowest offset that is free for all of its life. */
static size_t assign_offsets(Stretch *s, int n, Stretch **beside) {
  size_t total = 0;
  qsort(s, (size_t)n, sizeof *s, by_size);
  for (int i = 0; i < n; i++) {
    int n_beside = 0;
    for (int k = 0; k < i; k++)
      if (overlap(&s[i], &s[k])) beside[n_beside++] = &s[k];
    if (n_beside) qsort(beside, (size_t)n_beside, sizeof *beside, by_offset);
    size_t at = 0;
    for (int k = 0; k < n_beside; k++) {
      if (at + rounded(s[i].n_bytes) <= beside[k]->offset) break;
      size_t end = beside[k]->offset + rounded(beside[k]->n_bytes);
      if (end > at) at = end;
    }
    s[i].offset = at;
    if (at + rounded(s[i].n_bytes) > total) total = at + rounded(s[i].n_bytes);
  }
  return total;
}

static int list_stretches(const Compiler *c, Stretch *out) {
  int n = 0;
  bool *inherited = calloc((size_t)c->walk.n * MAX_OUT + 1, 1);
  if (!inherited) return NOBODY;
  int64_t n_values = c->walk.n * MAX_OUT;
  for (int64_t v = 0; v < n_values; v++)
    if (v % MAX_OUT < producer(c, v)->n_out && c->lives[v].heir != NOBODY)
      inherited[c->lives[v].heir] = true;
  for (int64_t v = 0; v < n_values; v++) {
    const Life *life = &c->lives[v];
    bool computed = v % MAX_OUT < producer(c, v)->n_out && life->born != NOBODY;
    if (!computed || life->place.kind != IN_ARENA || inherited[v]) continue;
    int dies = life->dies;
    for (int64_t heir = life->heir; heir != NOBODY; heir = c->lives[heir].heir)
      dies = c->lives[heir].dies;
    out[n++] = (Stretch){v, NOBODY, life->born, dies, life->n_bytes, 0};
  }
  free(inherited);
  for (int item = 0; item < c->n_items; item++) {
    size_t scratch = c->plan->items[item].split.scratch_bytes;
    int job = c->item_job[item];
    if (scratch) out[n++] = (Stretch){NOBODY, item, job, job, scratch, 0};
  }
  return n;
}

static Err place(Compiler *c) {
  size_t most = (size_t)c->walk.n * MAX_OUT + (size_t)c->n_items + 1;
  Stretch *s = malloc(most * sizeof *s), **beside = malloc(most * sizeof *beside);
  int n = s && beside ? list_stretches(c, s) : NOBODY;
  if (n == NOBODY) {
    fault_memory(&c->graph->fault, most * sizeof *s);
  } else {
    c->plan->size.arena_bytes = assign_offsets(s, n, beside);
    for (int i = 0; i < n; i++) {
      if (s[i].value == NOBODY) c->plan->items[s[i].item].scratch = s[i].offset;
      for (int64_t v = s[i].value; v != NOBODY; v = c->lives[v].heir)
        c->lives[v].place.offset = s[i].offset;
    }
  }
  free(s);
  free(beside);
  return c->graph->fault.code;
}

/* -- emit ---------------------------------------------------------------------------- */

/* The call of one node, without pointers. */
static OpCall *emit_call(Compiler *c, const Node *node) {
  OpCall *call = plan_alloc(c, sizeof *call);
  Array *in = plan_alloc(c, ((size_t)node->n_in + 1) * sizeof *in);
  Array *out = plan_alloc(c, (size_t)node->n_out * sizeof *out);
  Attr *attr = plan_alloc(c, ((size_t)node->n_attr + 1) * sizeof *attr);
  if (!call || !in || !out || !attr) return NULL;
  for (int k = 0; k < node->n_in; k++)
    in[k] = (Array){node->in[k]->shape, node->in[k]->dtype, NULL};
  for (int o = 0; o < node->n_out; o++)
    out[o] = (Array){node->out_shape[o], node->out_dtype[o], NULL};
  if (node->n_attr) memcpy(attr, node->attr, (size_t)node->n_attr * sizeof *attr);
  *call = (OpCall){.op = node->op, .n_in = node->n_in, .n_out = node->n_out,
                   .n_attr = node->n_attr, .in = in, .out = out, .attr = attr};
  return call;
}

static Err emit_member(Compiler *c, PlanMember *m, int64_t i) {
  const Node *node = c->walk.v[i];
  m->call = emit_call(c, node);
  m->in = plan_alloc(c, ((size_t)node->n_in + 1) * sizeof *m->in);
  m->out = plan_alloc(c, (size_t)node->n_out * sizeof *m->out);
  if (!m->call || !m->in || !m->out) return c->graph->fault.code;
  m->layer = node->layer;
  m->file = node->file;
  m->line = node->line;
  return ERR_OK;
}

/* Before placing: calls and splits, which tell the scratch memory. */
static Err emit_item(Compiler *c, int item) {
  PlanItem *it = &c->plan->items[item];
  int first = c->item_first[item];
  it->n_members = c->item_first[item + 1] - first;
  it->is_group = c->spots[c->item_nodes[first]].group != NOBODY;
  it->members = plan_alloc(c, (size_t)it->n_members * sizeof *it->members);
  for (int m = 0; it->members && m < it->n_members; m++)
    if (emit_member(c, &it->members[m], c->item_nodes[first + m])) break;
  if (c->graph->fault.code) return c->graph->fault.code;
  plan_split(it);
  c->plan->size.naive_bytes += rounded(it->split.scratch_bytes);
  for (int m = 0; m < it->n_members; m++)
    if (it->members[m].call->op->flags & OP_DRAW) c->plan->n_draws++;
  return ERR_OK;
}

static PlanPlace place_of(const Compiler *c, const Node *in) {
  const Spot *spot = &c->spots[in->index];
  PlanPlace place = c->lives[spot->value].place;
  place.offset += spot->offset;
  return place;
}

/* After placing: where each pointer of the calls comes from. */
static void connect(Compiler *c, int item) {
  PlanItem *it = &c->plan->items[item];
  for (int m = 0; m < it->n_members; m++) {
    int64_t i = c->item_nodes[c->item_first[item] + m];
    const Node *node = c->walk.v[i];
    PlanMember *member = &it->members[m];
    for (int k = 0; k < node->n_in; k++) member->in[k] = place_of(c, node->in[k]);
    for (int o = 0; o < node->n_out; o++)
      member->out[o] = c->lives[value_of(i, o)].place;
    if (it->is_group) elements_init(&member->elements, member->call);
    if (node->op->flags & OP_DRAW) {
      c->plan->draw_attr[c->plan->n_draws] =
          (Attr *)member->call->attr + (node->n_attr - 2);
      c->plan->draws[c->plan->n_draws++] = c->walk.v[i];
    }
  }
}

static Err emit_jobs(Compiler *c) {
  Plan *plan = c->plan;
  plan->jobs = plan_alloc(c, ((size_t)plan->n_jobs + 1) * sizeof *plan->jobs);
  if (!plan->jobs) return ERR_MEMORY;
  for (int item = 0; item < c->n_items; item++) {
    PlanJob *job = &plan->jobs[c->item_job[item]];
    if (job->n_items == 0) job->first_item = item;
    job->n_items++;
    plan_add_to_job(job, &plan->items[item]);
  }
  return ERR_OK;
}

static Err emit_checks(Compiler *c) {
  Plan *plan = c->plan;
  plan->checked = plan_alloc(c, ((size_t)plan->n_items + 1) * sizeof *plan->checked);
  if (!plan->checked) return ERR_MEMORY;
  for (int item = 0; item < plan->n_items; item++)
    if (plan->items[item].members[0].call->op->check) plan->checked[plan->n_checked++] = item;
  return ERR_OK;
}

static Err emit_copies(Compiler *c, Node *const *roots, int n_roots) {
  Plan *plan = c->plan;
  plan->copies = plan_alloc(c, ((size_t)n_roots + 1) * sizeof *plan->copies);
  if (!plan->copies) return ERR_MEMORY;
  for (int late = 0; late < 2; late++) {
    for (int r = 0; r < n_roots; r++) {
      int64_t value = c->copy_root[r];
      if (value == NOBODY || c->spots[value / MAX_OUT].late != (late == 1)) continue;
      plan->copies[plan->n_copies++] =
          (PlanCopy){.from = place_of(c, roots[r]), .to = {IN_ROOT, r, 0},
                     .n_bytes = value_bytes(roots[r], 0)};
    }
    if (!late) plan->n_compute_copies = plan->n_copies;
  }
  return ERR_OK;
}

static Err emit_leaves(Compiler *c) {
  Plan *plan = c->plan;
  plan->leaves = plan_alloc(c, ((size_t)c->walk.n + 1) * sizeof *plan->leaves);
  plan->draws = plan_alloc(c, ((size_t)plan->n_draws + 1) * sizeof *plan->draws);
  plan->draw_attr = plan_alloc(c, ((size_t)plan->n_draws + 1) * sizeof *plan->draw_attr);
  if (!plan->leaves || !plan->draws || !plan->draw_attr) return ERR_MEMORY;
  plan->n_draws = 0; /* counted again by connect */
  for (int64_t i = 0; i < c->walk.n; i++)
    if (plan_is_leaf(c->walk.v[i])) plan->leaves[plan->n_leaves++] = c->walk.v[i];
  return ERR_OK;
}

/* -- all passes ---------------------------------------------------------------------- */

static Err allocate(Compiler *c, int n_roots) {
  size_t n = (size_t)c->walk.n + 1;
  c->spots = calloc(n, sizeof *c->spots);
  c->groups = calloc(n, sizeof *c->groups);
  c->lives = calloc(n * MAX_OUT, sizeof *c->lives);
  c->item_first = calloc(n + 1, sizeof *c->item_first);
  c->item_nodes = calloc(n, sizeof *c->item_nodes);
  c->item_job = calloc(n, sizeof *c->item_job);
  c->copy_root = calloc((size_t)n_roots + 1, sizeof *c->copy_root);
  bool all = c->spots && c->groups && c->lives && c->item_first && c->item_nodes &&
             c->item_job && c->copy_root;
  return all ? ERR_OK : fault_memory(&c->graph->fault, n * sizeof *c->lives);
}

static Err compile(Compiler *c, Node *const *roots, int n_roots) {
  Graph *graph = c->graph;
  if (walk_collect(graph, &c->walk, roots, n_roots, plan_is_leaf)) return graph->fault.code;
  if (allocate(c, n_roots)) return graph->fault.code;
  resolve(c);
  group(c);
  order(c);
  jobs(c);
  c->plan->n_items = c->n_items;
  c->plan->items = plan_alloc(c, ((size_t)c->n_items + 1) * sizeof *c->plan->items);
  if (!c->plan->items) return graph->fault.code;
  for (int item = 0; item < c->n_items; item++)
    if (emit_item(c, item)) return graph->fault.code;
  live(c);
  place_roots(c, roots, n_roots);
  for (int item = 0; item < c->n_items; item++) {
    if (c->plan->items[item].is_group) place_tiles(c, item);
  }
  for (int item = 0; item < c->n_items; item++) inherit(c, item);
  if (place(c) || emit_leaves(c)) return graph->fault.code;
  for (int item = 0; item < c->n_items; item++) connect(c, item);
  if (emit_jobs(c) || emit_checks(c) || emit_copies(c, roots, n_roots)) return graph->fault.code;
  return plan_list_fixes(c->plan, graph);
}

Plan *plan_new(Graph *graph, Node *const *roots, int n_roots) {
  if (graph->fault.code) return NULL;
  Compiler c = {.graph = graph, .plan = calloc(1, sizeof(Plan))};
  if (!c.plan) {
    fault_memory(&graph->fault, sizeof(Plan));
    return NULL;
  }
  Err err = compile(&c, roots, n_roots);
  c.plan->size.n_nodes = (int)c.walk.n;
  c.plan->size.n_groups = c.n_groups;
  c.plan->size.n_items = c.n_items;
  c.plan->size.n_jobs = c.plan->n_jobs;
  walk_deinit(&c.walk);
  free(c.spots);
  free(c.groups);
  free(c.lives);
  free(c.item_first);
  free(c.item_nodes);
  free(c.item_job);
  free(c.copy_root);
  if (!err) return c.plan;
  plan_free(c.plan);
  return NULL;
}
