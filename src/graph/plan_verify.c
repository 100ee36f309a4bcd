/* plan_verify.c: what must hold after each pass of plan.c. Written from what a plan is,
 * not from how the passes work: slow, plain loops over all pairs where that is the
 * statement. */
#include "graph/plan_compile.h"
#include <stdlib.h>

/* A statement that does not hold; the first one counts. */
static Err broken(Fault *fault, const char *what, int64_t a, int64_t b) {
  return fault_set(fault, ERR_VALUE, "%s (%lld, %lld)", what, (long long)a,
                   (long long)b);
}

static int64_t value_read(const Compiler *c, const Node *in) {
  return c->spots[in->index].value;
}

/* -- resolve: every node stands for bytes of one value that is computed or given --- */

Err verify_resolve(const Compiler *c, Fault *fault) {
  for (int64_t i = 0; i < c->walk.n; i++) {
    const Spot *spot = &c->spots[i];
    int64_t maker = spot->value / MAX_OUT;
    if (maker < 0 || maker > i)
      return broken(fault, "an alias of a later value", i, maker);
    const Node *node = c->walk.v[i], *base = c->walk.v[maker];
    int output = (int)(spot->value % MAX_OUT);
    if (output >= base->n_out)
      return broken(fault, "an output that is not there", i, output);
    if (c->spots[maker].value != value_of(maker, 0))
      return broken(fault, "an alias of an alias", i, maker);
    if (base->out_dtype[output] != node->dtype)
      return broken(fault, "an alias of another type", i, maker);
    if (spot->offset + plan_value_bytes(node, 0) > plan_value_bytes(base, output))
      return broken(fault, "an alias beyond the end of its value", i, maker);
  }
  return ERR_OK;
}

/* -- group: members may run together, in the place of the last one ----------------- */

/* A node that is not in the group, or a root, may read a member only after the group
 * ran. */
static Err verify_readers(const Compiler *c, int64_t i, Fault *fault) {
  const Node *node = c->walk.v[i];
  for (int k = 0; k < node->n_in && !plan_is_leaf(node); k++) {
    int g = c->spots[value_read(c, node->in[k]) / MAX_OUT].group;
    if (g == NOBODY || g == c->spots[i].group || !plan_computes(c, i)) continue;
    if (c->groups[g].last >= i)
      return broken(fault, "a group read before it ran", i, g);
  }
  return ERR_OK;
}

Err verify_group(const Compiler *c, Fault *fault) {
  int64_t n_members = 0, n_counted = 0;
  for (int64_t i = 0; i < c->walk.n; i++) {
    int g = c->spots[i].group;
    if (verify_readers(c, i, fault)) return fault->code;
    if (g == NOBODY || !plan_computes(c, i)) continue;
    const Node *node = c->walk.v[i];
    n_members++;
    if (!(node->op->flags & OP_ELEMENTWISE))
      return broken(fault, "a member that is not elementwise", i, g);
    if (!shape_equal(&node->shape, c->groups[g].shape))
      return broken(fault, "a member of another shape", i, g);
    if (c->groups[g].last < i)
      return broken(fault, "a member after its group ran", i, g);
  }
  for (int g = 0; g < c->n_groups; g++) n_counted += c->groups[g].n_members;
  return n_members == n_counted
             ? ERR_OK
             : broken(fault, "members miscounted", n_members, n_counted);
}

/* -- order: every node runs once, after what it reads ------------------------------ */

static Err verify_item(const Compiler *c, int item, Fault *fault) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    int64_t i = c->item_nodes[at];
    if (c->spots[i].item != item) return broken(fault, "a node of two items", i, item);
    const Node *node = c->walk.v[i];
    for (int k = 0; k < node->n_in; k++) {
      int64_t maker = value_read(c, node->in[k]) / MAX_OUT;
      int of = c->spots[maker].item;
      if (of > item || (of == item && maker >= i))
        return broken(fault, "a node that runs before what it reads", i, maker);
    }
  }
  return ERR_OK;
}

Err verify_order(const Compiler *c, Fault *fault) {
  int64_t n_computed = 0;
  for (int64_t i = 0; i < c->walk.n; i++) n_computed += plan_computes(c, i);
  if (c->item_first[c->n_items] != n_computed)
    return broken(fault, "nodes that do not run", n_computed,
                  c->item_first[c->n_items]);
  for (int item = 0; item < c->n_items; item++) {
    bool late = c->spots[c->item_nodes[c->item_first[item]]].late;
    if (late != (item >= c->n_items - c->n_updates))
      return broken(fault, "an update among the rest", item, c->n_updates);
    if (verify_item(c, item, fault)) return fault->code;
  }
  return ERR_OK;
}

/* -- jobs: what runs at the same time does not depend on each other ---------------- */

Err verify_jobs(const Compiler *c, Fault *fault) {
  for (int item = 0; item < c->n_items; item++) {
    int job = c->item_job[item];
    if (item && job != c->item_job[item - 1] && job != c->item_job[item - 1] + 1)
      return broken(fault, "jobs out of order", item, job);
    bool late = item >= c->n_items - c->n_updates;
    if (late != (job >= c->plan->n_compute_jobs))
      return broken(fault, "a job of both parts", item, job);
    for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
      const Node *node = c->walk.v[c->item_nodes[at]];
      for (int k = 0; k < node->n_in; k++) {
        int of = c->spots[value_read(c, node->in[k]) / MAX_OUT].item;
        bool before = of != NOBODY && of < item && c->item_chain[item] != NOBODY &&
                      c->item_chain[of] == c->item_chain[item];
        if (of != NOBODY && of != item && c->item_job[of] >= job && !before)
          return broken(fault, "an item that reads another of its job", item, of);
      }
    }
  }
  return ERR_OK;
}

/* -- calls: as many members as nodes, of their ops --------------------------------- */

Err verify_calls(const Compiler *c, Fault *fault) {
  for (int item = 0; item < c->n_items; item++) {
    const PlanItem *it = &c->plan->items[item];
    int first = c->item_first[item], n = c->item_first[item + 1] - first;
    if (it->n_members != n || n > (it->is_group ? PLAN_MEMBERS : it->rows ? 2 : 1))
      return broken(fault, "members of an item", item, it->n_members);
    for (int m = 0; m < n; m++)
      if (it->members[m].call->op != c->walk.v[c->item_nodes[first + m]]->op)
        return broken(fault, "a call of another op", item, m);
    for (int p = 0; p < it->split.n_phases; p++)
      if (it->split.n_blocks[p] < 0) return broken(fault, "a split", item, p);
  }
  return ERR_OK;
}

/* -- place: no value is written over while it is still read ------------------------ */

typedef struct Span {
  size_t from, end;    /* bytes of the arena */
  int born, dies;      /* jobs */
  int64_t value, heir; /* NOBODY: scratch memory */
} Span;

/* The job of each value's last reader, looked up anew from the graph. NULL: no
 * memory. */
static int *last_readers(const Compiler *c) {
  int *last = calloc((size_t)c->walk.n * MAX_OUT + 1, sizeof *last);
  for (int item = 0; last && item < c->n_items; item++)
    for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
      const Node *node = c->walk.v[c->item_nodes[at]];
      for (int o = 0; o < node->n_out; o++) {
        int *own = &last[value_of(c->item_nodes[at], o)];
        if (c->item_job[item] > *own) *own = c->item_job[item];
      }
      for (int k = 0; k < node->n_in; k++)
        if (c->item_job[item] > last[value_read(c, node->in[k])])
          last[value_read(c, node->in[k])] = c->item_job[item];
    }
  for (int r = 0; last && r < c->n_roots; r++)
    last[value_read(c, c->roots[r])] = c->plan->n_jobs;
  return last;
}

static int list_spans(const Compiler *c, const int *last, Span *out) {
  int n = 0;
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int o = 0; plan_computes(c, i) && o < c->walk.v[i]->n_out; o++) {
      int64_t v = value_of(i, o);
      const Life *life = life_of(c, v);
      if (life->place.kind != IN_ARENA) continue;
      out[n++] = (Span){life->place.offset, life->place.offset + life->n_bytes,
                        c->item_job[c->spots[i].item], last[v], v, life->heir};
    }
  for (int item = 0; item < c->n_items; item++) {
    size_t at = c->plan->items[item].scratch, size = c->plan->items[item].scratch_bytes;
    int job = c->item_job[item];
    if (size) out[n++] = (Span){at, at + size, job, job, NOBODY, NOBODY};
  }
  return n;
}

/* An heir is written, element for element, in the place of the only reader of what was
 * there; in a chain it may have an heir in the same job. */
static bool is_heir(const Compiler *c, const Span *old, const Span *new) {
  int64_t heir = old->heir;
  while (heir != NOBODY && heir != new->value) heir = life_of(c, heir)->heir;
  return heir != NOBODY && old->dies == new->born;
}

static Err verify_spans(const Compiler *c, const Span *s, int n, Fault *fault) {
  for (int i = 0; i < n; i++) {
    if (s[i].end > c->plan->size.arena_bytes || s[i].from % 64)
      return broken(fault, "a value outside the arena", s[i].value, (int64_t)s[i].end);
    for (int k = 0; k < i; k++) {
      bool same_time = s[i].born <= s[k].dies && s[k].born <= s[i].dies;
      bool same_bytes = s[i].from < s[k].end && s[k].from < s[i].end;
      bool heir = is_heir(c, &s[i], &s[k]) || is_heir(c, &s[k], &s[i]);
      if (same_time && same_bytes && !heir)
        return broken(fault, "two values at one place", s[i].value, s[k].value);
    }
  }
  return ERR_OK;
}

/* Tiles: a value in one is read within its own item only, and not after the tile's
 * next. */
static Err verify_tiles(const Compiler *c, int item, Fault *fault) {
  int64_t holds[PLAN_TILES];
  for (int t = 0; t < PLAN_TILES; t++) holds[t] = NOBODY;
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    int64_t i = c->item_nodes[at];
    const Node *node = c->walk.v[i];
    for (int k = 0; k < node->n_in; k++) {
      int64_t value = value_read(c, node->in[k]);
      const PlanPlace *place = &life_of(c, value)->place;
      if (place->kind != IN_TILE) continue;
      if (holds[place->index] != value) return broken(fault, "a lost tile", i, value);
    }
    const PlanPlace *own = &life_of(c, value_of(i, 0))->place;
    if (own->kind == IN_TILE) holds[own->index] = value_of(i, 0);
  }
  return ERR_OK;
}

/* A new value that is written over the old one: the old one is not read after its
 * maker ran, and the maker's item only what it makes anew at the same time. */
static Err verify_renewed(const Compiler *c, int r, Fault *fault) {
  const Node *root = c->roots[r];
  const PlanPlace *place = &life_of(c, value_read(c, root))->place;
  if (!plan_renews(root) || place->kind != IN_ROOT || place->index != r) return ERR_OK;
  int64_t maker = value_read(c, root) / MAX_OUT,
          old = value_read(c, root->in[RENEW_OLD]);
  const Spot *spot = &c->spots[maker];
  if (!spot->late) return broken(fault, "a new value before the commit", r, maker);
  for (int at = c->item_first[c->n_items - c->n_updates];
       at < c->item_first[c->n_items]; at++) {
    int64_t i = c->item_nodes[at];
    const Node *node = c->walk.v[i];
    for (int k = 0; k < node->n_in; k++) {
      if (value_read(c, node->in[k]) != old) continue;
      bool along = i <= maker && c->spots[i].item == spot->item &&
                   node->op->flags & (OP_ELEMENTWISE | OP_UPDATE);
      if (!along || !shape_equal(&node->in[k]->shape, &root->shape))
        return broken(fault, "an old value read after it was replaced", r, i);
    }
  }
  return ERR_OK;
}

Err verify_place(const Compiler *c, Fault *fault) {
  size_t most = (size_t)c->walk.n * MAX_OUT + (size_t)c->n_items + 1;
  Span *spans = malloc(most * sizeof *spans);
  int *last = last_readers(c);
  Err err = spans && last ? verify_spans(c, spans, list_spans(c, last, spans), fault)
                          : fault_memory(fault, most * sizeof *spans);
  free(spans);
  free(last);
  for (int item = 0; !err && item < c->n_items; item++)
    err = verify_tiles(c, item, fault);
  for (int r = 0; !err && r < c->n_roots; r++) err = verify_renewed(c, r, fault);
  return err;
}

/* -- connect: every pointer comes from where the value lies ------------------------ */

static Err verify_pointer(const Compiler *c, PlanPlace place, size_t n_bytes,
                          Fault *fault) {
  const Plan *plan = c->plan;
  switch (place.kind) {
  case IN_ARENA:
    if (place.offset + n_bytes <= plan->size.arena_bytes) return ERR_OK;
    break;
  case IN_INPUT:
    if (place.index < plan->n_leaves &&
        place.offset + n_bytes <= plan_value_bytes(plan->leaves[place.index], 0))
      return ERR_OK;
    break;
  case IN_ROOT:
    if (place.index < c->n_roots &&
        place.offset + n_bytes <= plan_value_bytes(c->roots[place.index], 0))
      return ERR_OK;
    break;
  case IN_TILE:
    if (place.index < PLAN_TILES && place.offset == 0) return ERR_OK;
    break;
  }
  return broken(fault, "a pointer beyond its memory", place.kind, place.index);
}

static size_t array_bytes(const Array *a) {
  return (size_t)shape_count(&a->shape) * dtype_bytes(a->dtype);
}

Err verify_connect(const Compiler *c, Fault *fault) {
  for (int item = 0; item < c->n_items; item++) {
    const PlanItem *it = &c->plan->items[item];
    for (int m = 0; m < it->n_members; m++) {
      const PlanMember *member = &it->members[m];
      const OpCall *call = member->call;
      for (int k = 0; k < call->n_in; k++)
        if (verify_pointer(c, member->in[k], array_bytes(&call->in[k]), fault))
          return fault->code;
      for (int o = 0; o < call->n_out; o++)
        if (verify_pointer(c, member->out[o], array_bytes(&call->out[o]), fault))
          return fault->code;
    }
  }
  return ERR_OK;
}
