/* origins.c: what nodes that forgot their inputs were computed from.
 *
 * Three sets of serials, each sorted and shared by all nodes that have the same one:
 *
 *   variables   by the serial of their first read; complete
 *   leaves      other tensors that were not computed: the ORIGINS_MAX oldest
 *   made        tensors that were computed and that a script could still name: likewise
 *
 * A set that had to leave out some (`more`) is still complete up to its last serial:
 * what a loop makes by the thousand is young, what a user names is old.
 *
 * They are made when a node forgets (exec.c, history.c), never when a node is made. A
 * number in an expression, as the 2 of 2 * x, is no leaf: it has no name. */
#include "graph/graph_private.h"
#include <stdlib.h>

struct SerialSet {
  int refs, n;
  bool more; /* than these: it is complete up to the last of them */
  uint64_t v[];
};

static void set_release(SerialSet *set) {
  if (set && --set->refs == 0) free(set);
}

static SerialSet *set_retain(SerialSet *set) {
  if (set) set->refs++;
  return set;
}

static SerialSet *set_new(int n, bool more) {
  SerialSet *set = malloc(sizeof *set + (size_t)n * sizeof *set->v);
  if (set) *set = (SerialSet){.refs = 1, .n = n, .more = more};
  return set;
}

/* The first of n sorted serials from number i on that is not below v; it may be near.
 */
static int first_from(const uint64_t *serials, int i, int n, uint64_t v) {
  int lo = i, hi = i; /* those before lo are below v */
  for (int stride = 1; hi < n && serials[hi] < v; stride *= 2)
    lo = hi + 1, hi += stride;
  if (hi > n) hi = n;
  while (lo < hi) {
    int middle = lo + (hi - lo) / 2;
    if (serials[middle] < v) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

/* Are all of sorted b among sorted a? */
static bool has_all(const uint64_t *a, int n_a, const uint64_t *b, int n_b) {
  bool all = n_b <= n_a;
  for (int k = 0, i = 0; all && k < n_b; k++) {
    i = first_from(a, i, n_a, b[k]);
    all = i < n_a && a[i] == b[k];
  }
  return all;
}

static bool set_has(const SerialSet *set, uint64_t serial) {
  return set && has_all(set->v, set->n, &serial, 1);
}

/* Sorted a and b as one sorted list without repetitions; returns its length. */
static int merge(const uint64_t *a, int n_a, const uint64_t *b, int n_b,
                 uint64_t *out) {
  int i = 0, k = 0, n = 0;
  while (i < n_a || k < n_b) {
    uint64_t next = k == n_b || (i < n_a && a[i] <= b[k]) ? a[i] : b[k];
    i += i < n_a && a[i] == next;
    k += k < n_b && b[k] == next;
    out[n++] = next;
  }
  return n;
}

/* Is the set complete as far as this serial? */
static bool set_reaches(const SerialSet *set, uint64_t serial) {
  return !set || !set->more || serial <= set->v[set->n - 1];
}

/* How many of n sorted serials the set is complete for. */
static int n_reached(const SerialSet *set, const uint64_t *v, int n) {
  while (n > 0 && !set_reaches(set, v[n - 1])) n--;
  return n;
}

static SerialSet *set_union(const SerialSet *a, const SerialSet *b, int limit) {
  int n_a = n_reached(b, a->v, a->n), n_b = n_reached(a, b->v, b->n);
  SerialSet *all = set_new(n_a + n_b, a->more || b->more);
  if (!all) return NULL;
  all->n = merge(a->v, n_a, b->v, n_b, all->v);
  if (all->n > limit) {
    all->n = limit;
    all->more = true;
  }
  return all;
}

/* Does `a` say all that both say? */
static bool set_covers(const SerialSet *a, const SerialSet *b) {
  if (b->more && (!a->more || a->v[a->n - 1] > b->v[b->n - 1])) return false;
  int n = n_reached(a, b->v, b->n);
  return has_all(a->v, a->n, b->v, n);
}

/* *set becomes its union with another, shared where one of them says all; false: no
 * memory. */
static bool set_join(SerialSet **set, SerialSet *other, int limit) {
  SerialSet *old = *set, *all;
  if (!other || other == old || (old && set_covers(old, other))) return true;
  if (!old || set_covers(other, old)) all = set_retain(other);
  else all = set_union(old, other, limit);
  if (!all) return false;
  set_release(old);
  *set = all;
  return true;
}

static bool set_add(SerialSet **set, uint64_t serial, int limit) {
  if (set_has(*set, serial) || !set_reaches(*set, serial)) return true;
  SerialSet *one = set_new(1, false);
  if (!one) return false;
  one->v[0] = serial;
  bool ok = set_join(set, one, limit);
  set_release(one);
  return ok;
}

/* Can all of `a` be in `b`? */
static bool set_within(const SerialSet *a, const SerialSet *b) {
  if (!a) return true;
  if (!b || (a->more && !b->more)) return false;
  return has_all(b->v, b->n, a->v, n_reached(b, a->v, a->n));
}

/* -- of a node --------------------------------------------------------------------- */

static int limit_of(OriginKind kind) {
  return kind == ORIGIN_VARIABLE ? INT32_MAX : ORIGINS_MAX;
}

void origins_free(Origins *from, int64_t n) {
  for (int64_t i = 0; from && i < n; i++)
    for (int kind = 0; kind < N_ORIGINS; kind++) set_release(from[i].set[kind]);
  free(from);
}

static bool is_number(const Node *node) {
  return node->op == &op_record_constant && node->shape.rank == 0 && !node->handles;
}

bool origin_is_leaf(const Node *node) { return node->n_in == 0 || node_is_leaf(node); }

/* What `in` is to those who read it; `below`: what it was computed from, where it still
 * knows its inputs. */
static bool add_input(Origins *from, const Node *in, const Origins *below) {
  if (in->var)
    return set_add(&from->set[ORIGIN_VARIABLE], in->var->first_read, INT32_MAX);
  if (origin_is_leaf(in))
    return is_number(in) || set_add(&from->set[ORIGIN_LEAF], in->serial, ORIGINS_MAX);
  const Origins *more = in->forgotten ? in->from : below;
  bool ok = true;
  for (int kind = 0; ok && more && kind < N_ORIGINS; kind++)
    ok = set_join(&from->set[kind], more->set[kind], limit_of(kind));
  bool named = in->forgotten || in->handles > 0;
  return ok && (!named || set_add(&from->set[ORIGIN_MADE], in->serial, ORIGINS_MAX));
}

bool origins_of_inputs(const Node *node, Origins *below) {
  bool ok = true;
  for (int k = 0; ok && k < node->n_in; k++)
    ok = add_input(&below[node->index], node->in[k], &below[node->in[k]->index]);
  return ok;
}

bool origins_keep(Node *node, const Origins *from) {
  bool any = false;
  for (int kind = 0; kind < N_ORIGINS; kind++) {
    any = any || from->set[kind];
    if (from->set[kind] && from->set[kind]->more) node->graph->many_origins = true;
  }
  if (!any) return true;
  Origins *kept = malloc(sizeof *kept);
  if (!kept) return false;
  for (int kind = 0; kind < N_ORIGINS; kind++)
    kept->set[kind] = set_retain(from->set[kind]);
  origins_free(node->from, 1);
  node->from = kept;
  return true;
}

Err origins_find(Graph *graph, Node *const *nodes, int n) {
  Walk walk = {0};
  if (walk_collect(graph, &walk, nodes, n, origin_is_leaf)) return graph->fault.code;
  Origins *below = calloc((size_t)walk.n + 1, sizeof *below);
  bool ok = below != NULL;
  for (int64_t i = 0; ok && i < walk.n; i++)
    if (walk.v[i]->in && !origin_is_leaf(walk.v[i]))
      ok = origins_of_inputs(walk.v[i], below);
  for (int k = 0; ok && k < n; k++)
    if (nodes[k]->in && !origin_is_leaf(nodes[k]))
      ok = origins_keep(nodes[k], &below[nodes[k]->index]);
  origins_free(below, walk.n);
  walk_deinit(&walk);
  return ok ? ERR_OK : fault_memory(&graph->fault, (size_t)walk.n * sizeof *below);
}

/* -- questions --------------------------------------------------------------------- */

static const SerialSet *set_of(const Node *node, OriginKind kind) {
  return node->from ? node->from->set[kind] : NULL;
}

/* Was all that `wrt` was computed from also below `node`? Else it was not below it. */
static bool could_lie_below(const Node *node, const Node *wrt) {
  for (int kind = 0; kind < N_ORIGINS; kind++)
    if (!set_within(set_of(wrt, kind), set_of(node, kind))) return false;
  return true;
}

Hidden origins_hide(const Node *node, const Node *wrt) {
  if (!node->forgotten || node == wrt || (wrt->tracked && !node->tracked))
    return NOT_HIDDEN;
  if (wrt->var)
    return set_has(set_of(node, ORIGIN_VARIABLE), wrt->var->first_read) ? HIDDEN
                                                                        : NOT_HIDDEN;
  if (node->serial < wrt->serial) return NOT_HIDDEN;
  OriginKind kind = origin_is_leaf(wrt) ? ORIGIN_LEAF : ORIGIN_MADE;
  const SerialSet *set = set_of(node, kind);
  if (set_has(set, wrt->serial)) return HIDDEN;
  bool complete = set_reaches(set, wrt->serial);
  if (kind == ORIGIN_LEAF) return complete ? NOT_HIDDEN : PERHAPS_HIDDEN;
  if (complete && (wrt->forgotten || wrt->handles > 0)) return NOT_HIDDEN;
  return could_lie_below(node, wrt) ? PERHAPS_HIDDEN : NOT_HIDDEN;
}
