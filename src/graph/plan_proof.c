/* plan_proof.c: may the updates of a run be written over the old values?
 *
 * A step whose new values are not all finite must change nothing, but updates write
 * over what they read. So before they run, the ranges of all that they read are brought
 * together:
 *
 *   parameters, slots   known since the last commit, which followed from a proof
 *   gradients           whose norm a root holds are no larger than that; those that
 *                       are a product follow from the ranges of its factors, which are
 *                       smaller and are measured beside the job that multiplies them
 *   everything else     is measured, large arrays beside the job after the one that
 *                       makes them, small ones together at the end
 *
 * and the record of each op of the commit gives where its results then lie (Op.range):
 * of an update, or of the members of a rule, one after the other. Parameters mostly
 * share one rule: their ranges go into one pool for each of its inputs, and the rule is
 * judged once, for all of them. Where that proves nothing, what is known and what
 * follows may be far too wide: all inputs of the updates are then measured. That leaves
 * the steps that come near the end of what a real can hold; they are written elsewhere
 * and looked at. */
#include "graph/plan_compile.h"
#include "base/ints.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int64_t block_count(const Array *a) {
  return divide_up(shape_count(&a->shape), BLOCK);
}

/* -- when a plan is made ----------------------------------------------------------- */

static int first_update(const Plan *plan) {
  return plan->n_compute_jobs < plan->n_jobs
             ? plan->jobs[plan->n_compute_jobs].first_item
             : plan->n_items;
}

enum {
  SMALL = 1024, /* elements: of more, it matters where they are measured */
  ALIKE = 64    /* late calls that a new one is compared with */
};

typedef struct Watching {
  Compiler *c;
  int *of_node; /* the watch of each node, of a late one its first result; NOBODY */
  const OpCall **cover; /* of each node: what makes a number of it; NULL: nothing */
  PlanPlace *place;     /* of each watch */
  int n_room, n_made;
} Watching;

/* How a result of an earlier call is marked among watches, or pools; its own inverse.
 */
static int made_code(int made) { return -1 - made; }

/* A new watch of input k of the member. */
static int add_watch(Watching *w, const Node *node, const PlanMember *m, int k) {
  Plan *plan = w->c->plan;
  must(plan->n_watches < w->n_room);
  w->place[plan->n_watches] = m->in[k];
  plan->watches[plan->n_watches] =
      (PlanWatch){.array = &m->call->in[k],
                  .n_elements = shape_count(&m->call->in[k].shape),
                  .n_parts = block_count(&m->call->in[k]), .pool = NOBODY,
                  .job = NOBODY, .next = NOBODY};
  return w->of_node[node->index] = plan->n_watches++;
}

/* What makes the node, all of it, from less than it is; else NULL. */
static const PlanMember *maker_of(const Compiler *c, const Node *node) {
  const Spot *spot = &c->spots[node->index];
  const Node *base = c->walk.v[spot->value / MAX_OUT];
  int item = c->spots[base->index].item;
  if (item == NOBODY || spot->offset || !base->op->range || base->n_in != 2)
    return NULL;
  if (base->op->flags & OP_UPDATE || c->plan->items[item].is_group ||
      c->item_chain[item] != NOBODY)
    return NULL;
  int64_t n = shape_count(&base->in[0]->shape) + shape_count(&base->in[1]->shape);
  return n < shape_count(&base->shape) ? &c->plan->items[item].members[0] : NULL;
}

/* The watch is measured beside that job, as blocks of its first phase: before those
 * that read the same, which then find it in the cache, and write over what is there. */
static void measure_in(Watching *w, int index, int job_index) {
  PlanWatch *watch = &w->c->plan->watches[index];
  PlanJob *job = &w->c->plan->jobs[job_index];
  watch->job = job_index;
  watch->next = job->watch;
  job->watch = index;
}

/* A factor of a product: what the run computes is measured where it is multiplied, for
 * its memory may be another's afterwards. */
static int watch_factor(Watching *w, const Node *product, const PlanMember *m, int k) {
  const Node *node = product->in[k];
  if (w->of_node[node->index] != NOBODY) return w->of_node[node->index];
  int added = add_watch(w, node, m, k);
  if (m->in[k].kind != IN_INPUT)
    measure_in(w, added, w->c->item_job[w->c->spots[product->index].item]);
  return added;
}

/* What makes the value is in a job before the last: it is measured in the next one,
 * while it is in a near cache. */
static void watch_made(Watching *w, int added, const Node *base) {
  if (w->c->plan->watches[added].n_elements <= SMALL) return;
  int item = w->c->spots[base->index].item;
  int next = item == NOBODY ? NOBODY : w->c->item_job[item] + 1;
  if (next != NOBODY && next < w->c->plan->n_compute_jobs) measure_in(w, added, next);
}

/* Is the whole of what the node's value is one number, which a root then holds? */
static bool covers(const Compiler *c, const Node *node) {
  int item = c->spots[node->index].item;
  if (!node->op->covers || item == NOBODY || c->spots[node->index].late) return false;
  const PlanPlace *out = &c->plan->items[item].members[0].out[0];
  return shape_count(&node->shape) == 1 && out->kind == IN_ROOT &&
         !c->spots[node->in[0]->index].offset;
}

static void find_covers(Watching *w) {
  const Compiler *c = w->c;
  for (int64_t i = 0; i < c->walk.n; i++) {
    const Node *node = c->walk.v[i];
    if (!covers(c, node)) continue;
    const Spot *spot = &c->spots[node->in[0]->index];
    const Node *base = c->walk.v[spot->value / MAX_OUT];
    bool whole = spot->value % MAX_OUT == 0 &&
                 shape_count(&node->in[0]->shape) == shape_count(&base->shape);
    if (whole) w->cover[base->index] = c->plan->items[c->spots[i].item].members[0].call;
  }
}

/* What is known of all elements of the node, once the run is over; NULL: nothing. */
static const OpCall *cover_of(const Watching *w, const Node *node) {
  int64_t value = w->c->spots[node->index].value;
  return value % MAX_OUT ? NULL : w->cover[value / MAX_OUT];
}

/* The watch that gives the range of input k of the late node: a result of an earlier
 * one is not there when the others are measured. */
static int watch_input(Watching *w, const Node *late, const PlanMember *m, int k) {
  Compiler *c = w->c;
  const Node *node = late->in[k];
  const Spot *spot = &c->spots[node->index];
  int64_t source = spot->value / MAX_OUT;
  if (c->spots[source].late)
    return made_code(w->of_node[source] + (int)(spot->value % MAX_OUT));
  if (w->of_node[node->index] != NOBODY) return w->of_node[node->index];
  const OpCall *cover = cover_of(w, node);
  const PlanMember *maker = cover ? NULL : maker_of(c, node);
  int from[2] = {NOBODY, NOBODY};
  for (int i = 0; maker && i < 2; i++)
    from[i] = watch_factor(w, c->walk.v[spot->value / MAX_OUT], maker, i);
  int added = add_watch(w, node, m, k);
  if (!maker && !cover) watch_made(w, added, c->walk.v[spot->value / MAX_OUT]);
  PlanWatch *watch = &c->plan->watches[added];
  watch->maker = maker ? maker->call : NULL;
  watch->cover = cover;
  memcpy(watch->from, from, sizeof from);
  return added;
}

/* Calls of the commit, their inputs and results. */
static void count_late(const Plan *plan, int *n, int *n_in, int *n_out) {
  for (int item = first_update(plan); item < plan->n_items; item++)
    for (int m = 0; m < plan->items[item].n_members; m++) {
      ++*n;
      *n_in += plan->items[item].members[m].call->n_in;
      *n_out += plan->items[item].members[m].call->n_out;
    }
}

static bool same_shapes(const OpCall *a, const OpCall *b) {
  bool same = true;
  for (int k = 0; same && k < a->n_in; k++)
    same = shape_equal(&a->in[k].shape, &b->in[k].shape);
  return same;
}

/* Do rules of ranges say the same of both, where inputs lie in the same ranges? `in`:
 * the watches of b, and which results it reads. */
static bool is_alike(const PlanLate *late, const OpCall *b, const int *in) {
  const OpCall *a = &late->call;
  bool alike = a->op == b->op && a->n_in == b->n_in && a->n_out == b->n_out &&
               a->n_attr == b->n_attr &&
               !memcmp(a->attr, b->attr, (size_t)a->n_attr * sizeof *a->attr);
  for (int k = 0; alike && k < a->n_in; k++)
    alike = in[k] < 0 ? late->in[k] == in[k] : late->in[k] >= 0;
  bool shapeless = a->op->flags & (OP_ELEMENTWISE | OP_UPDATE);
  return alike && (shapeless || same_shapes(a, b));
}

static PlanLate *find_alike(const Plan *plan, const OpCall *call, const int *in) {
  int n = plan->n_late < ALIKE ? plan->n_late : ALIKE;
  for (PlanLate *late = plan->late; late < plan->late + n; late++)
    if (is_alike(late, call, in)) return late;
  return NULL;
}

static PlanLate *add_late(Watching *w, const OpCall *call, const int *in) {
  Plan *plan = w->c->plan;
  size_t n_bytes = (size_t)call->n_attr * sizeof(Attr);
  must(plan->late);
  PlanLate *late = &plan->late[plan->n_late++];
  *late = (PlanLate){.call = *call, .made = w->n_made};
  w->n_made += call->n_out;
  Attr *attr = plan_alloc(w->c, n_bytes);
  if (attr && n_bytes) late->call.attr = memcpy(attr, call->attr, n_bytes);
  late->in = plan_alloc(w->c, (size_t)call->n_in * sizeof *late->in);
  for (int k = 0; late->in && k < call->n_in; k++)
    late->in[k] = in[k] < 0 ? in[k] : plan->n_pools++;
  if (!call->op->range) plan->unprovable = true;
  return late;
}

/* Everything that is in pool `from` goes into the other one. */
static void merge_pools(Plan *plan, int into, int from) {
  for (int i = 0; i < plan->n_watches; i++)
    if (plan->watches[i].pool == from) plan->watches[i].pool = into;
  for (PlanLate *late = plan->late; late < plan->late + plan->n_late; late++)
    for (int k = 0; k < late->call.n_in; k++)
      if (late->in[k] == from) late->in[k] = into;
}

/* The watch is what input k of the call may be. */
static void put_into_pool(Plan *plan, PlanLate *late, int k, PlanWatch *watch) {
  if (watch->pool == NOBODY) watch->pool = late->in[k];
  else if (watch->pool != late->in[k]) merge_pools(plan, watch->pool, late->in[k]);
}

static void watch_late(Watching *w, const Node *node, const PlanMember *m) {
  Plan *plan = w->c->plan;
  int in[MAX_IN] = {0}, n_in = m->call->n_in;
  for (int k = 0; k < n_in; k++) in[k] = watch_input(w, node, m, k);
  PlanLate *late = find_alike(plan, m->call, in);
  if (!late) late = add_late(w, m->call, in);
  for (int k = 0; k < n_in; k++)
    if (in[k] >= 0) put_into_pool(plan, late, k, &plan->watches[in[k]]);
  for (int o = 0; o < m->call->n_out; o++)
    if (m->out[o].kind == IN_ROOT)
      plan->renewed[plan->n_renewed++] = (PlanRenewed){m->out[o].index, late->made + o};
  w->of_node[node->index] = late->made;
}

static void watch_item(Watching *w, int item) {
  Compiler *c = w->c;
  const PlanItem *it = &c->plan->items[item];
  for (int m = 0; m < it->n_members; m++)
    watch_late(w, c->walk.v[c->item_nodes[c->item_first[item] + m]], &it->members[m]);
}

/* Arrays that widen the same range are one piece, up to the size of a block; the first
 * n_static pieces are complete. */
static void add_span(PlanPending *p, RealSpan span, Range *into) {
  PlanPiece *piece = p->pieces + p->n_pieces - 1;
  bool joins = p->n_pieces > p->n_static && piece->into == into &&
               piece->n_elements + span.n <= BLOCK;
  if (!joins) {
    *++piece = (PlanPiece){.first_span = p->n_spans, .into = into};
    p->n_pieces++;
  }
  piece->n_spans++;
  piece->n_elements += span.n;
  p->work += span.n;
  p->spans[p->n_spans++] = span;
}

static Range *pool_of(const Plan *plan, const PlanWatch *watch) {
  return &plan->pools[watch->pool];
}

/* Are its values bounded by those of others? */
static bool follows(const PlanWatch *w) { return w->maker || w->cover; }

/* A watch goes into the list in which a run finds it. */
static void list_watch(Watching *w, int i) {
  Plan *plan = w->c->plan;
  const PlanWatch *watch = &plan->watches[i];
  must(w->place);
  PlanPlace place = w->place[i];
  bool computed = place.kind != IN_INPUT && watch->job == NOBODY && !follows(watch);
  if (place.kind == IN_INPUT && place.offset == 0)
    plan->known[plan->n_known++] = (PlanKnown){i, place.index, watch->pool};
  else if (computed && watch->n_elements > 1 && watch->n_elements <= SMALL) {
    plan->span_place[plan->pending.n_spans] = place;
    add_span(&plan->pending, (RealSpan){NULL, watch->n_elements}, pool_of(plan, watch));
  } else plan->others[plan->n_others++] = i;
}

static void number_parts(Plan *plan, int64_t *n_parts) {
  for (int i = 0; i < plan->n_watches; i++) {
    plan->watches[i].first_part = *n_parts;
    *n_parts += plan->watches[i].n_parts;
  }
}

static Err need_lists(Watching *w, int n_late, int n_inputs, int n_made) {
  Compiler *c = w->c;
  Plan *plan = c->plan;
  w->n_room = 3 * n_inputs + 1;
  size_t n_room = (size_t)w->n_room, n_results = (size_t)n_made + 1;
  w->place = malloc(n_room * sizeof *w->place);
  if (!w->place) return fault_memory(&c->graph->fault, n_room * sizeof *w->place);
  plan->watches = plan_alloc(c, n_room * sizeof *plan->watches);
  plan->known = plan_alloc(c, n_room * sizeof *plan->known);
  plan->others = plan_alloc(c, n_room * sizeof *plan->others);
  plan->late = plan_alloc(c, ((size_t)n_late + 1) * sizeof *plan->late);
  plan->renewed = plan_alloc(c, n_results * sizeof *plan->renewed);
  plan->made = plan_alloc(c, n_results * sizeof *plan->made);
  return c->graph->fault.code;
}

/* New values that are not made at commit are not judged. */
static bool renews_early(const Compiler *c) {
  for (int r = 0; r < c->n_roots; r++)
    if (plan_renews(c->roots[r]) &&
        !c->spots[c->spots[c->roots[r]->index].value / MAX_OUT].late)
      return true;
  return false;
}

static Err find_watches(Watching *w) {
  Compiler *c = w->c;
  Plan *plan = c->plan;
  int n_late = 0, n_inputs = 0, n_made = 0;
  count_late(plan, &n_late, &n_inputs, &n_made);
  if (need_lists(w, n_late, n_inputs, n_made)) return c->graph->fault.code;
  for (int item = first_update(plan); item < plan->n_items; item++) {
    watch_item(w, item);
    if (c->graph->fault.code) return c->graph->fault.code;
  }
  if (renews_early(c)) plan->unprovable = true;
  for (int i = 0; i < plan->n_watches; i++) /* factors alone */
    if (plan->watches[i].pool == NOBODY) plan->watches[i].pool = plan->n_pools++;
  return ERR_OK;
}

static Err list_watches(Watching *w) {
  Compiler *c = w->c;
  Plan *plan = c->plan;
  int64_t n_parts = 0;
  number_parts(plan, &n_parts);
  size_t n = (size_t)n_parts + 1;
  plan->pools = plan_alloc(c, ((size_t)plan->n_pools + 1) * sizeof *plan->pools);
  plan->parts = plan_alloc(c, n * sizeof *plan->parts);
  plan->pending.pieces = plan_alloc(c, n * sizeof *plan->pending.pieces);
  plan->pending.spans = plan_alloc(c, n * sizeof *plan->pending.spans);
  plan->span_place = plan_alloc(c, n * sizeof *plan->span_place);
  if (c->graph->fault.code) return c->graph->fault.code;
  for (int i = 0; i < plan->n_watches; i++) list_watch(w, i);
  plan->pending.n_static = plan->pending.n_pieces;
  return ERR_OK;
}

Err plan_watch(Compiler *c) {
  size_t n = (size_t)c->walk.n + 1;
  Watching w = {.c = c, .of_node = malloc(n * sizeof *w.of_node),
                .cover = calloc(n, sizeof *w.cover)};
  bool room = w.of_node && w.cover;
  if (!room) fault_memory(&c->graph->fault, n * sizeof *w.of_node);
  for (int64_t i = 0; room && i < c->walk.n; i++) w.of_node[i] = NOBODY;
  if (room) find_covers(&w);
  Err err = room ? find_watches(&w) : c->graph->fault.code;
  if (!err) err = list_watches(&w);
  free(w.of_node);
  free(w.cover);
  free(w.place);
  return err;
}

/* -- measuring --------------------------------------------------------------------- */

static Range measure(const RealSpan *spans, int n_spans) {
  real lo, hi;
  kernels()->reduce_bounds(&lo, &hi, spans, n_spans);
  Range range = {(double)lo, (double)hi};
  return range_known(range) ? range : RANGE_UNKNOWN;
}

/* Of an array with so many elements. */
static RealSpan span_of(const Array *a, int64_t n_elements, int64_t block) {
  int64_t at = block * BLOCK;
  return (RealSpan){(real *)a->data + at, least(n_elements - at, BLOCK)};
}

void plan_measure(const Plan *plan, int index, int64_t block) {
  const PlanWatch *watch = &plan->watches[index];
  RealSpan span = span_of(watch->array, watch->n_elements, block);
  plan->parts[watch->first_part + block] = measure(&span, 1);
}

static void widen(Range *all, Range more) {
  if (more.lo < all->lo) all->lo = more.lo;
  if (more.hi > all->hi) all->hi = more.hi;
}

static Range join_parts(const Plan *plan, const PlanWatch *watch) {
  Range all = {0, 0};
  const Range *part = plan->parts + watch->first_part;
  for (int64_t i = watch->n_parts; i > 0; i--, part++) widen(&all, *part);
  return all;
}

static void measure_piece(void *ctx, int64_t i) {
  const PlanPending *p = ctx;
  PlanPiece *piece = &p->pieces[i];
  piece->found = measure(p->spans + piece->first_span, piece->n_spans);
}

static void measure_pending(Graph *graph, PlanPending *p) {
  par_for(&graph->par, p->n_pieces, p->work, measure_piece, p);
  for (const PlanPiece *piece = p->pieces; piece < p->pieces + p->n_pieces; piece++)
    widen(piece->into, piece->found);
}

/* -- proving ----------------------------------------------------------------------- */

/* The range of nothing: whatever is joined to it is the range then. */
#define RANGE_EMPTY ((Range){INFINITY, -INFINITY})

/* Of a number, which is known exactly: a divisor has a distance from 0. */
static Range range_of_number(const Array *a) {
  double x = *(const real *)a->data;
  if (fabs(x) < REAL_SMALLEST) x = 0;
  return isfinite(x) ? (Range){x, x} : RANGE_UNKNOWN;
}

/* What follows from the factors is as wide as both of them. */
static Range follow(const Plan *plan, const PlanWatch *watch) {
  const OpCall *cover = watch->cover;
  if (cover) return cover->op->covers(*(const real *)cover->out[0].data);
  Range in[2], made[MAX_OUT] = {RANGE_UNKNOWN};
  for (int i = 0; i < 2; i++) in[i] = *pool_of(plan, &plan->watches[watch->from[i]]);
  if (range_known(in[0]) && range_known(in[1]))
    watch->maker->op->range(watch->maker, in, made);
  return made[0];
}

/* Of watch i, unless it follows from others; what is to be measured is then pending. */
static void take_range(Plan *plan, PlanPending *pending, int i, bool exact) {
  const PlanWatch *w = &plan->watches[i];
  Range *pool = pool_of(plan, w);
  if (w->job != NOBODY) widen(pool, join_parts(plan, w));
  else if (follows(w) && !exact) return;
  else if (w->n_elements == 1) widen(pool, range_of_number(w->array));
  else if (w->n_elements == 0) widen(pool, (Range){0, 0});
  else
    for (int64_t block = 0; block < w->n_parts; block++)
      add_span(pending, span_of(w->array, w->n_elements, block), pool);
}

/* Of inputs of the plan. */
static void take_known(Plan *plan, PlanPending *pending, const Range *known,
                       bool exact) {
  for (const PlanKnown *k = plan->known; k < plan->known + plan->n_known; k++)
    if (!exact && known && range_known(known[k->input]))
      widen(&plan->pools[k->pool], known[k->input]);
    else take_range(plan, pending, k->watch, exact);
}

/* The range of each pool; `exact`: from its own elements, whatever is known. */
static void find_ranges(Graph *graph, Plan *plan, const Range *known, bool exact) {
  PlanPending pending = plan->pending;
  for (int i = 0; i < plan->n_pools; i++) plan->pools[i] = RANGE_EMPTY;
  take_known(plan, &pending, known, exact);
  for (const int *i = plan->others; i < plan->others + plan->n_others; i++)
    take_range(plan, &pending, *i, exact);
  measure_pending(graph, &pending);
  for (const int *i = plan->others; !exact && i < plan->others + plan->n_others; i++) {
    const PlanWatch *w = &plan->watches[*i];
    if (follows(w)) widen(pool_of(plan, w), follow(plan, w));
  }
}

/* All calls that are alike; may their results be written? */
static bool prove_late(const Plan *plan, const PlanLate *late) {
  const OpCall *call = &late->call;
  Range in[MAX_IN], *made = plan->made + late->made;
  bool holds = true;
  for (int k = 0; k < call->n_in; k++) {
    in[k] = late->in[k] < 0 ? plan->made[made_code(late->in[k])]
                            : plan->pools[late->in[k]];
    holds = holds && range_known(in[k]);
  }
  if (!holds) return false;
  call->op->range(call, in, made);
  for (int o = 0; o < call->n_out; o++) holds = holds && range_known(made[o]);
  return holds;
}

static bool prove(Graph *graph, Plan *plan, const Range *known, bool exact,
                  Range *out) {
  find_ranges(graph, plan, known, exact);
  for (const PlanLate *late = plan->late; late < plan->late + plan->n_late; late++)
    if (!prove_late(plan, late)) return false;
  for (const PlanRenewed *r = plan->renewed; r < plan->renewed + plan->n_renewed; r++)
    out[r->root] = plan->made[r->made];
  return true;
}

bool plan_proves_finite(Graph *graph, Plan *plan, const Range *known, Range *out) {
  if (plan->unprovable) return false;
  return prove(graph, plan, known, false, out) || prove(graph, plan, known, true, out);
}

/* -- looking ----------------------------------------------------------------------- */

typedef struct Looking {
  const Array *array;
  int64_t n_elements;
  atomic_bool bad;
} Looking;

static void look_block(void *ctx, int64_t block) {
  Looking *looking = ctx;
  RealSpan span = span_of(looking->array, looking->n_elements, block);
  if (!range_known(measure(&span, 1)))
    atomic_store_explicit(&looking->bad, true, memory_order_relaxed);
}

bool array_is_finite(Graph *graph, const Array *a) {
  if (a->dtype != DT_REAL) return true;
  int64_t n = shape_count(&a->shape);
  RealSpan first = span_of(a, n, 0);
  if (n <= BLOCK) return range_known(measure(&first, 1));
  Looking looking = {.array = a, .n_elements = n};
  par_for(&graph->par, divide_up(n, BLOCK), n, look_block, &looking);
  return !atomic_load_explicit(&looking.bad, memory_order_relaxed);
}
