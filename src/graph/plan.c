/* plan.c: compiling a graph, by passes in this order:
 *
 *   resolve    views, picks and reads become aliases of the value that they rename
 *   group      elementwise nodes of one shape join the group of a producer, so that
 *              they run tile by tile in one pass. A group runs in the place of its last
 *              member; it is closed as soon as a node outside reads a member, so that
 *              no node waits for it
 *   order      items (a group, or one other node), late updates apart; those that go
 *              through the batch by rows one after the other are a chain
 *              (plan_chain.c), a gradient and its update one item (plan_renew.c)
 *   jobs       neighbours that do not depend on each other share one parallel job
 *   calls      items get their calls; their splits give blocks and scratch memory
 *   place      every value gets its memory: a root's, a tile's within its group, or an
 *              offset in the arena that is free from the job that makes it to the last
 *              that reads it. An output of a group may take the place of an input that
 *              ends there
 *   connect    each pointer of a call learns where it comes from at a run
 *
 * calls and connect are in plan_emit.c, offsets are found in plan_arena.c. In checked
 * builds, and where graph->checked is set, what must hold after a pass is verified
 * after it (plan_verify.c). */
#include "graph/plan_compile.h"
#include <stdlib.h>

/* -- resolve ----------------------------------------------------------------------- */

static bool is_alias(const Node *node, int64_t *offset) {
  *offset = 0;
  if (node->op == &op_record_pick || node->op == &op_record_read) return true;
  *offset = node->op->view ? node->op->view(node) : NOBODY;
  return *offset >= 0;
}

static Err resolve(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++) {
    Node *node = c->walk.v[i];
    Spot *spot = &c->spots[i];
    int64_t offset;
    *spot = (Spot){.value = value_of(i, 0), .group = NOBODY, .next = NOBODY,
                   .item = NOBODY, .end = NOBODY, .with = NOBODY};
    if (plan_is_leaf(node)) continue;
    spot->computes = !is_alias(node, &offset);
    if (spot->computes) continue;
    const Spot *base = &c->spots[node->in[0]->index];
    int output = node->op == &op_record_pick ? (int)node->attr[0].i : 0;
    spot->value = base->value + output;
    spot->offset = base->offset + (size_t)offset * dtype_bytes(node->dtype);
  }
  return ERR_OK;
}

static void print_resolve(const Compiler *c, Text *out) {
  int64_t n_leaves = 0, n_alias = 0;
  for (int64_t i = 0; i < c->walk.n; i++) {
    bool leaf = plan_is_leaf(c->walk.v[i]);
    n_leaves += leaf;
    n_alias += !leaf && !plan_computes(c, i);
  }
  text_addf(out,
            "%lld nodes: %lld inputs, %lld other names of a value, %lld to compute\n",
            (long long)c->walk.n, (long long)n_leaves, (long long)n_alias,
            (long long)(c->walk.n - n_leaves - n_alias));
}

/* -- group ------------------------------------------------------------------------- */

static bool fusable(const Node *node) {
  return (node->op->flags & OP_ELEMENTWISE) && node->op->tile &&
         node->dtype == DT_REAL && shape_count(&node->shape) > 0;
}

/* The group whose member makes the value that `in` stands for. */
static int group_of(const Compiler *c, const Node *in) {
  return c->spots[c->spots[in->index].value / MAX_OUT].group;
}

/* Does the node read other elements of the group's members than its own? */
static bool reads_across(const Compiler *c, const Node *node, int g) {
  for (int k = 0; k < node->n_in; k++)
    if (group_of(c, node->in[k]) == g && !plan_is_direct(c, node->in[k])) return true;
  return false;
}

/* Rules of optimizers keep apart from the gradients that they read: they run at
 * commit. */
static bool may_join(const Compiler *c, const Node *node, int g) {
  const Group *group = g == NOBODY ? NULL : &c->groups[g];
  return group && !group->closed && group->n_members < PLAN_MEMBERS &&
         group->rule == node->rule && shape_equal(group->shape, &node->shape) &&
         !reads_across(c, node, g);
}

/* The open group of a producer that `node` may join; NOBODY. A rule is one group, also
 * where its parts read the same values and not each other. */
static int group_to_join(const Compiler *c, const Node *node) {
  int best = NOBODY;
  for (int k = 0; k < node->n_in; k++) {
    int g = group_of(c, node->in[k]);
    if (!may_join(c, node, g)) continue;
    if (best == NOBODY || c->groups[g].last > c->groups[best].last) best = g;
  }
  return best == NOBODY && node->rule && may_join(c, node, c->rule_group)
             ? c->rule_group
             : best;
}

/* The node becomes the last member of a group; which. */
static int join_group(Compiler *c, int64_t i) {
  int g = group_to_join(c, c->walk.v[i]);
  if (g == NOBODY) {
    g = c->n_groups++;
    c->groups[g] = (Group){.shape = &c->walk.v[i]->shape, .first = i,
                           .rule = c->walk.v[i]->rule};
    if (c->groups[g].rule) c->rule_group = g;
  } else {
    c->spots[c->groups[g].last].next = i;
  }
  c->groups[g].last = i;
  c->groups[g].n_members++;
  return g;
}

static Err group(Compiler *c) {
  c->rule_group = NOBODY;
  for (int64_t i = 0; i < c->walk.n; i++) {
    Node *node = c->walk.v[i];
    if (!plan_computes(c, i)) continue;
    int g = fusable(node) ? join_group(c, i) : NOBODY;
    c->spots[i].group = g;
    for (int k = 0; k < node->n_in; k++) {
      int of = group_of(c, node->in[k]);
      if (of != NOBODY && of != g) c->groups[of].closed = true;
    }
  }
  return ERR_OK;
}

static void print_group(const Compiler *c, Text *out) {
  int n_members = 0, most = 0;
  for (int g = 0; g < c->n_groups; g++) {
    n_members += c->groups[g].n_members;
    if (c->groups[g].n_members > most) most = c->groups[g].n_members;
  }
  text_addf(out, "%d elementwise nodes in %d groups, the largest of %d\n", n_members,
            c->n_groups, most);
}

/* -- order ------------------------------------------------------------------------- */

/* Groups that make new values, and updates that are one op. */
static void find_updates(Compiler *c) {
  for (int r = 0; r < c->n_roots; r++) {
    int g = group_of(c, c->roots[r]);
    if (plan_renews(c->roots[r]) && g != NOBODY)
      c->groups[g].late = c->groups[g].rule != 0;
  }
  for (int64_t i = 0; i < c->walk.n; i++) {
    int g = c->spots[i].group;
    bool update = g == NOBODY ? c->walk.v[i]->op->flags & OP_UPDATE : c->groups[g].late;
    c->spots[i].late = update && plan_computes(c, i);
  }
}

/* What something in compute reads belongs to compute, and a group as a whole does. Goes
 * from the last node to the first, so that all readers of a node are known before it;
 * returns whether later members of a group have to be looked at again. */
static bool keep_read(Compiler *c) {
  bool again = false;
  for (int64_t i = c->walk.n - 1; i >= 0; i--) {
    const Node *node = c->walk.v[i];
    int g = c->spots[i].group;
    if (!plan_computes(c, i)) continue;
    if (g != NOBODY && !c->groups[g].late) c->spots[i].late = false;
    if (c->spots[i].late) continue;
    if (g != NOBODY && c->groups[g].late) {
      c->groups[g].late = false;
      again = again || i != c->groups[g].last;
    }
    for (int k = 0; k < node->n_in; k++)
      c->spots[c->spots[node->in[k]->index].value / MAX_OUT].late = false;
  }
  return again;
}

static void find_late(Compiler *c) {
  find_updates(c);
  while (keep_read(c)) continue;
}

/* Is it something that nothing reads, smaller than the one value that it is made of? */
static bool is_end(const Compiler *c, int64_t i) {
  const Node *node = c->walk.v[i];
  const Spot *spot = &c->spots[i];
  return plan_computes(c, i) && !spot->read && !spot->late && spot->group == NOBODY &&
         node->n_in == 1 && !(node->op->flags & OP_UPDATE) &&
         shape_count(&node->shape) < shape_count(&node->in[0]->shape);
}

/* Ends, such as the norm of a gradient that a probe asks for, are made in the job after
 * the one that makes what they read, while that is in a near cache. */
static void find_ends(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int k = 0; plan_computes(c, i) && k < c->walk.v[i]->n_in; k++)
      c->spots[c->spots[c->walk.v[i]->in[k]->index].value / MAX_OUT].read = true;
  for (int64_t i = c->walk.n - 1; i >= 0; i--) {
    if (!is_end(c, i)) continue;
    int64_t of = c->spots[c->walk.v[i]->in[0]->index].value / MAX_OUT;
    if (plan_is_leaf(c->walk.v[of]) || c->spots[of].late) continue;
    of = plan_leader(c, of);
    c->spots[i].is_end = true;
    c->spots[i].end = c->spots[of].end;
    c->spots[of].end = i;
  }
}

static void add_item(Compiler *c, int64_t last, int *n_nodes) {
  c->item_first[c->n_items] = *n_nodes;
  c->item_chain[c->n_items] = NOBODY;
  for (int64_t i = plan_first_node(c, last); i != NOBODY; i = c->spots[i].next) {
    c->spots[i].item = c->n_items;
    c->item_nodes[(*n_nodes)++] = i;
  }
  c->item_first[++c->n_items] = *n_nodes;
}

/* Does what is computed with node `last` read what items from number `first` on make?
 * Then it begins a job (below). */
static bool reads_since(const Compiler *c, int64_t last, int first) {
  for (int64_t i = plan_first_node(c, last); i != NOBODY; i = c->spots[i].next)
    for (int k = 0; k < c->walk.v[i]->n_in; k++) {
      int64_t value = c->spots[c->walk.v[i]->in[k]->index].value;
      if (c->spots[value / MAX_OUT].item >= first) return true;
    }
  return false;
}

/* A job ends before the next item: the ends of what it made come first in the next.
 * Returns the number of the item that this one begins with. */
static int add_ends(Compiler *c, int first, int *n_nodes) {
  int next = c->n_items;
  for (int item = first; item < next; item++) {
    int64_t last = c->item_nodes[c->item_first[item + 1] - 1];
    if (c->spots[last].is_end) continue;
    for (int64_t end = c->spots[last].end; end != NOBODY; end = c->spots[end].end)
      add_item(c, end, n_nodes);
  }
  return next;
}

/* Where the turns end that run with turn k: those of its chain, or itself. */
static int64_t end_of_turn(const Compiler *c, int64_t k) {
  const Spot *spot = &c->spots[c->turns[k]];
  int64_t end = k + 1;
  while (spot->chained && end < c->n_turns &&
         c->spots[c->turns[end]].stage == spot->stage)
    end++;
  return end;
}

static void add_turns(Compiler *c, int *n_nodes) {
  int first = 0;
  for (int64_t k = 0, end; k < c->n_turns; k = end) {
    bool reads = false;
    end = end_of_turn(c, k);
    for (int64_t t = k; t < end && !reads; t++)
      reads = reads_since(c, c->turns[t], first);
    if (reads) first = add_ends(c, first, n_nodes);
    int chain = c->spots[c->turns[k]].chained ? c->n_items : NOBODY;
    for (int64_t t = k; t < end; t++) {
      add_item(c, c->turns[t], n_nodes);
      c->item_chain[c->n_items - 1] = chain;
    }
  }
  add_ends(c, first, n_nodes);
}

static Err order(Compiler *c) {
  int n_nodes = 0;
  find_late(c);
  find_ends(c);
  if (plan_find_turns(c) || plan_join_products(c)) return c->graph->fault.code;
  add_turns(c, &n_nodes);
  if (plan_find_late_turns(c)) return c->graph->fault.code;
  for (c->n_updates = 0; c->n_updates < c->n_turns; c->n_updates++)
    add_item(c, c->turns[c->n_updates], &n_nodes);
  return ERR_OK;
}

static void print_order(const Compiler *c, Text *out) {
  text_addf(out, "%d items, %d of them updates at commit\n", c->n_items, c->n_updates);
}

/* -- jobs -------------------------------------------------------------------------- */

static int item_of_value(const Compiler *c, int64_t value) {
  return c->spots[value / MAX_OUT].item;
}

/* Does the item read what an item of this job makes? */
static bool item_depends(const Compiler *c, int item, int job) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    for (int k = 0; k < node->n_in; k++) {
      int of = item_of_value(c, c->spots[node->in[k]->index].value);
      if (of != NOBODY && of < item && c->item_job[of] == job) return true;
    }
  }
  return false;
}

/* Does it, or the rest of the chain that begins with it? */
static bool depends_on_job(const Compiler *c, int item, int job) {
  int chain = c->item_chain[item];
  bool depends = item_depends(c, item, job);
  for (int i = item + 1; chain == item && !depends && i < c->n_items; i++) {
    if (c->item_chain[i] != chain) break;
    depends = item_depends(c, i, job);
  }
  return depends;
}

static Err jobs(Compiler *c) {
  int job = NOBODY, first_update = c->n_items - c->n_updates;
  for (int item = 0; item < c->n_items; item++) {
    bool goes_on = c->item_chain[item] != NOBODY && c->item_chain[item] != item;
    bool fresh = job == NOBODY || item == first_update ||
                 (!goes_on && depends_on_job(c, item, job));
    c->item_job[item] = fresh ? ++job : job;
  }
  c->plan->n_jobs = job + 1;
  c->plan->n_compute_jobs = first_update < c->n_items ? c->item_job[first_update]
                                                      : c->plan->n_jobs;
  return ERR_OK;
}

static void print_jobs(const Compiler *c, Text *out) {
  text_addf(out, "%d jobs, %d of them at commit\n", c->plan->n_jobs,
            c->plan->n_jobs - c->plan->n_compute_jobs);
}

/* -- place ------------------------------------------------------------------------- */

static void begin_life(Compiler *c, int64_t i) {
  Node *node = c->walk.v[i];
  int item = c->spots[i].item;
  for (int o = 0; o < node->n_out; o++) {
    Life *life = life_of(c, value_of(i, o));
    int job = item == NOBODY ? NOBODY : c->item_job[item];
    *life = (Life){.place = {.kind = IN_ARENA}, .born = job, .dies = job,
                   .heir = NOBODY,
                   .last_item = NOBODY, .late_reader = NOBODY,
                   .n_bytes = plan_value_bytes(node, o)};
    if (item != NOBODY) c->plan->size.naive_bytes += plan_rounded(life->n_bytes);
  }
}

/* The node at that place of a late item reads the value that `in` stands for. */
static void read_late(Compiler *c, Life *life, int item, int at, const Node *in) {
  const Node *node = c->walk.v[c->item_nodes[at]];
  bool first = life->late_reader < c->item_first[item];
  if (life->late_reader != NOBODY && first) life->scattered = true;
  bool along = node->op->flags & (OP_ELEMENTWISE | OP_UPDATE) &&
               plan_is_direct(c, in) && shape_equal(&in->shape, &node->shape);
  if (!along) life->scattered = true;
  life->late_reader = at;
}

static void read_values(Compiler *c, int item) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    for (int k = 0; k < node->n_in; k++) {
      int64_t value = c->spots[node->in[k]->index].value;
      Life *life = life_of(c, value);
      bool later = c->item_job[item] > life->dies;
      if (later) life->dies = c->item_job[item];
      if (life->last_item != item) life->n_last = later ? 1 : life->n_last + 1;
      life->last_item = item;
      if (item_of_value(c, value) != item) life->outside = true;
      if (item >= c->n_items - c->n_updates) read_late(c, life, item, at, node->in[k]);
    }
  }
}

static void live(Compiler *c) {
  int n_inputs = 0;
  for (int64_t i = 0; i < c->walk.n; i++) {
    begin_life(c, i);
    if (!plan_is_leaf(c->walk.v[i])) continue;
    life_of(c, value_of(i, 0))->place = (PlanPlace){IN_INPUT, n_inputs++, 0};
  }
  for (int item = 0; item < c->n_items; item++) read_values(c, item);
}

/* May the root's value be computed where it is wanted? A new value of a variable only
 * at commit, by a member after which no other reads the old one. */
static bool may_be_in_place(const Compiler *c, const Node *root) {
  if (!plan_renews(root)) return true;
  const Spot *maker = &c->spots[c->spots[root->index].value / MAX_OUT];
  const Life *old = life_of(c, c->spots[root->in[RENEW_OLD]->index].value);
  if (!maker->late || old->scattered) return false;
  int at = old->late_reader;
  if (at == NOBODY) return true;
  return c->spots[c->item_nodes[at]].item == maker->item &&
         c->item_nodes[at] <= c->spots[root->index].value / MAX_OUT;
}

/* A root gets its value computed in place; where that cannot be (a leaf, a part of a
 * value, a value that is a root already) it is copied at the end. */
static void place_roots(Compiler *c) {
  for (int r = 0; r < c->n_roots; r++) { /* read after all the rest of the commit */
    Life *life = life_of(c, c->spots[c->roots[r]->index].value);
    if (plan_renews(c->roots[r]) && life->born == NOBODY) life->scattered = true;
  }
  for (int r = 0; r < c->n_roots; r++) {
    const Node *root = c->roots[r];
    const Spot *spot = &c->spots[root->index];
    Life *life = life_of(c, spot->value);
    bool whole = spot->offset == 0 && life->n_bytes == plan_value_bytes(root, 0);
    bool own = whole && life->place.kind == IN_ARENA && life->born != NOBODY &&
               may_be_in_place(c, root);
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
    Life *life = life_of(c, value_of(i, 0));
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
        (!indirectly || !plan_is_direct(c, reader->in[k])))
      return true;
  return false;
}

/* Is `value`, which dies in the job of the item, read by a later member of it, by one
 * that does not go along with the tiles, or by another item of that job? */
static bool read_otherwise(const Compiler *c, int64_t value, int item, int at) {
  for (int q = c->item_first[item]; q < c->item_first[item + 1]; q++)
    if (reads(c, c->item_nodes[q], value, q <= at)) return true;
  return life_of(c, value)->n_last > 1;
}

/* Does an item of the same chain make the value? Then both go row by row. */
static bool of_one_chain(const Compiler *c, int64_t value, int item) {
  int maker = item_of_value(c, value);
  return maker != item && c->item_chain[item] != NOBODY &&
         c->item_chain[maker] == c->item_chain[item];
}

/* May the output of the group's member `at` lie where `in` does, an input of that
 * member or of one before it? */
static bool may_inherit(const Compiler *c, const Node *in, int item, int at) {
  int64_t value = c->spots[in->index].value;
  const Life *old = life_of(c, value);
  const Life *life = life_of(c, value_of(c->item_nodes[at], 0));
  return old->place.kind == IN_ARENA && old->heir == NOBODY && old->born != NOBODY &&
         old->dies == life->born && old->last_item == item &&
         (old->born != life->born || of_one_chain(c, value, item)) &&
         old->n_bytes == life->n_bytes && plan_is_direct(c, in) &&
         !read_otherwise(c, value, item, at);
}

static bool inherit_from(Compiler *c, int item, int at, int member) {
  const Node *node = c->walk.v[c->item_nodes[member]];
  int64_t heir = value_of(c->item_nodes[at], 0);
  for (int k = 0; k < node->n_in; k++) {
    if (!may_inherit(c, node->in[k], item, at)) continue;
    life_of(c, c->spots[node->in[k]->index].value)->heir = heir;
    life_of(c, heir)->inherits = true;
    return true;
  }
  return false;
}

/* The output of a group's member over an input that no member reads afterwards. */
static void inherit(Compiler *c, int item) {
  int first = c->item_first[item], end = c->item_first[item + 1];
  for (int at = first; at < end; at++) {
    int64_t i = c->item_nodes[at];
    if (c->spots[i].group == NOBODY) return;
    if (life_of(c, value_of(i, 0))->place.kind != IN_ARENA) continue;
    for (int member = at; member >= first; member--)
      if (inherit_from(c, item, at, member)) break;
  }
}

static int list_stretches(const Compiler *c, Stretch *out) {
  int n = 0;
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int o = 0; plan_computes(c, i) && o < c->walk.v[i]->n_out; o++) {
      const Life *life = life_of(c, value_of(i, o));
      if (life->place.kind != IN_ARENA || life->inherits) continue;
      int dies = life->dies;
      for (int64_t heir = life->heir; heir != NOBODY; heir = life_of(c, heir)->heir)
        dies = life_of(c, heir)->dies;
      out[n++] = (Stretch){value_of(i, o), NOBODY, life->born, dies, life->n_bytes, 0};
    }
  for (int item = 0; item < c->n_items; item++) {
    size_t scratch = c->plan->items[item].scratch_bytes;
    int job = c->item_job[item];
    if (scratch) out[n++] = (Stretch){NOBODY, item, job, job, scratch, 0};
  }
  return n;
}

static Err place_in_arena(Compiler *c) {
  size_t most = (size_t)c->walk.n * MAX_OUT + (size_t)c->n_items + 1;
  Stretch *s = malloc(most * sizeof *s);
  if (!s) return fault_memory(&c->graph->fault, most * sizeof *s);
  int n = list_stretches(c, s);
  StretchesSize size;
  Err err = stretches_place(s, n, c->plan->n_jobs + 1, &size, &c->graph->fault);
  for (int i = 0; !err && i < n; i++) {
    if (s[i].value == NOBODY) c->plan->items[s[i].item].scratch = s[i].offset;
    for (int64_t v = s[i].value; v != NOBODY; v = life_of(c, v)->heir)
      life_of(c, v)->place.offset = s[i].offset;
  }
  c->plan->size.arena_bytes = size.n_bytes;
  c->plan->size.n_looks = size.n_looks;
  free(s);
  return err;
}

static Err place(Compiler *c) {
  live(c);
  place_roots(c);
  for (int item = 0; item < c->n_items; item++)
    if (c->plan->items[item].n_members > 1) place_tiles(c, item);
  for (int item = 0; item < c->n_items; item++) inherit(c, item);
  plan_reuse_rows(c);
  return place_in_arena(c);
}

static void print_place(const Compiler *c, Text *out) {
  int64_t n[4] = {0}, n_heirs = 0;
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int o = 0; plan_computes(c, i) && o < c->walk.v[i]->n_out; o++) {
      n[life_of(c, value_of(i, o))->place.kind]++;
      n_heirs += life_of(c, value_of(i, o))->heir != NOBODY;
    }
  text_addf(out,
            "%lld values in roots, %lld in tiles, %lld in the arena of %zu bytes, "
            "where %lld hand their place on (buffers of the naive executor: %zu "
            "bytes)\n",
            (long long)n[IN_ROOT], (long long)n[IN_TILE], (long long)n[IN_ARENA],
            c->plan->size.arena_bytes, (long long)n_heirs, c->plan->size.naive_bytes);
}

/* -- all passes -------------------------------------------------------------------- */

const PlanPass plan_passes[] = {
    {"resolve", resolve, verify_resolve, print_resolve},
    {"group", group, verify_group, print_group},
    {"order", order, verify_order, print_order},
    {"jobs", jobs, verify_jobs, print_jobs},
    {"calls", emit_calls, verify_calls, print_calls},
    {"place", place, verify_place, print_place},
    {"connect", emit_pointers, verify_connect, print_pointers},
    {0}};

static Err run_pass(Compiler *c, const PlanPass *pass) {
  Graph *graph = c->graph;
  if (pass->run(c)) return graph->fault.code;
  if (graph->dump) {
    text_addf(&c->plan->passes, "%-8s ", pass->name);
    pass->print(c, &c->plan->passes);
  }
  if (!graph->checked || !pass->verify(c, &graph->fault)) return ERR_OK;
  fault_prefix(&graph->fault, "internal error in a plan: after %s", pass->name);
  return graph->fault.code;
}

void plan_free(Plan *plan) {
  if (!plan) return;
  while (plan->blocks) {
    PlanBlock *next = plan->blocks->next;
    free(plan->blocks);
    plan->blocks = next;
  }
  text_deinit(&plan->passes);
  free(plan);
}

Plan *plan_new(Graph *graph, Node *const *roots, int n_roots) {
  if (graph->fault.code) return NULL;
  Compiler c = {.plan = calloc(1, sizeof(Plan))};
  if (!c.plan) {
    fault_memory(&graph->fault, sizeof(Plan));
    return NULL;
  }
  Err err = compiler_init(&c, graph, roots, n_roots);
  for (const PlanPass *pass = plan_passes; !err && pass->name; pass++)
    err = run_pass(&c, pass);
  c.plan->size.n_nodes = (int)c.walk.n;
  c.plan->size.n_groups = c.n_groups;
  c.plan->size.n_items = c.n_items;
  c.plan->size.n_jobs = c.plan->n_jobs;
  compiler_deinit(&c);
  if (!err) return c.plan;
  plan_free(c.plan);
  return NULL;
}
