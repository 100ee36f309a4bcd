/* plan_proof.c: may the updates of a run be written over the old values?
 *
 * A step whose new values are not all finite must change nothing, but updates write
 * over what they read. So before they run, the ranges of all that they read are brought
 * together:
 *
 *   parameters, slots   known since the last commit, which followed from a proof
 *   gradients           that are a product follow from the ranges of its factors, which
 *                       are smaller and are measured beside the job that multiplies
 *                       them
 *   everything else     is measured at the end
 *
 * and the record of each op of the commit gives where its results then lie (Op.range):
 * of an update, or of the members of a rule, one after the other. Where that proves
 * nothing, what is known and what follows may be far too wide: all inputs of the
 * updates are then measured. That leaves the steps that come near the end of what a
 * real can hold; they are written elsewhere and looked at. */
#include "graph/plan_compile.h"
#include "base/ints.h"
#include "kernel/kernel.h"
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

typedef struct Watching {
  Compiler *c;
  int *of_node; /* the watch of each node, of a late one its first result; NOBODY */
  int n_room, n_made;
} Watching;

/* How `watched` marks a result of an earlier call among watches; its own inverse. */
static int made_code(int made) { return -1 - made; }

/* A new watch of input k of the member. */
static int add_watch(Watching *w, const Node *node, const PlanMember *m, int k) {
  Plan *plan = w->c->plan;
  bool given = m->in[k].kind == IN_INPUT && m->in[k].offset == 0;
  must(plan->n_watches < w->n_room);
  plan->given[plan->n_watches] = given ? m->in[k].index : NOBODY;
  plan->watches[plan->n_watches] =
      (PlanWatch){.array = &m->call->in[k],
                  .n_elements = shape_count(&m->call->in[k].shape),
                  .n_parts = block_count(&m->call->in[k]), .job = NOBODY,
                  .next = NOBODY};
  return w->of_node[node->index] = plan->n_watches++;
}

/* What makes the node, all of it, from less than it is; else NULL. */
static const PlanMember *maker_of(const Compiler *c, const Node *node) {
  const Spot *spot = &c->spots[node->index];
  const Node *base = c->walk.v[spot->value / MAX_OUT];
  int item = c->spots[base->index].item;
  if (item == NOBODY || spot->offset || !base->op->range || base->n_in != 2)
    return NULL;
  if (base->op->flags & OP_UPDATE || c->plan->items[item].is_group) return NULL;
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
  job->n_measured += watch->n_parts;
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
  int item = w->c->spots[base->index].item;
  int next = item == NOBODY ? NOBODY : w->c->item_job[item] + 1;
  if (next != NOBODY && next < w->c->plan->n_compute_jobs) measure_in(w, added, next);
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
  const PlanMember *maker = maker_of(c, node);
  int from[2] = {NOBODY, NOBODY};
  for (int i = 0; maker && i < 2; i++)
    from[i] = watch_factor(w, c->walk.v[spot->value / MAX_OUT], maker, i);
  int added = add_watch(w, node, m, k);
  if (!maker) watch_made(w, added, c->walk.v[spot->value / MAX_OUT]);
  PlanWatch *watch = &c->plan->watches[added];
  watch->maker = maker ? maker->call : NULL;
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

static void add_late(Compiler *c, const PlanMember *m) {
  size_t n_bytes = (size_t)m->call->n_attr * sizeof(Attr);
  PlanLate *late = &c->plan->late[c->plan->n_late++];
  *late = (PlanLate){.call = *m->call};
  Attr *attr = n_bytes ? plan_alloc(c, n_bytes) : NULL;
  if (attr) late->call.attr = memcpy(attr, m->call->attr, n_bytes);
  for (int o = 0; o < m->call->n_out; o++)
    late->root[o] = m->out[o].kind == IN_ROOT ? m->out[o].index : NOBODY;
}

/* All members of an item of the commit; returns where the next item's inputs are
 * listed. */
static int *watch_item(Watching *w, int item, int *watched) {
  Compiler *c = w->c;
  const PlanItem *it = &c->plan->items[item];
  for (int m = 0; m < it->n_members; m++) {
    int64_t i = c->item_nodes[c->item_first[item] + m];
    const Node *node = c->walk.v[i];
    for (int k = 0; k < node->n_in; k++)
      *watched++ = watch_input(w, node, &it->members[m], k);
    add_late(c, &it->members[m]);
    w->of_node[i] = w->n_made;
    w->n_made += node->n_out;
    if (!node->op->range) c->plan->unprovable = true;
  }
  return watched;
}

static void number_parts(Plan *plan, int64_t *n_parts) {
  for (int i = 0; i < plan->n_watches; i++) {
    plan->watches[i].first_part = *n_parts;
    *n_parts += plan->watches[i].n_parts;
  }
}

static Err list_watches(Watching *w) {
  Compiler *c = w->c;
  Plan *plan = c->plan;
  int n_late = 0, n_inputs = 0, n_made = 0;
  count_late(plan, &n_late, &n_inputs, &n_made);
  w->n_room = 3 * n_inputs + 1;
  size_t n_room = (size_t)w->n_room;
  plan->watches = plan_alloc(c, n_room * sizeof *plan->watches);
  plan->given = plan_alloc(c, n_room * sizeof *plan->given);
  plan->ranges = plan_alloc(c, n_room * sizeof *plan->ranges);
  plan->open = plan_alloc(c, n_room * sizeof *plan->open);
  plan->late = plan_alloc(c, ((size_t)n_late + 1) * sizeof *plan->late);
  plan->watched = plan_alloc(c, ((size_t)n_inputs + 1) * sizeof *plan->watched);
  plan->made = plan_alloc(c, ((size_t)n_made + 1) * sizeof *plan->made);
  if (c->graph->fault.code) return c->graph->fault.code;
  int *watched = plan->watched;
  for (int item = first_update(plan); item < plan->n_items; item++)
    watched = watch_item(w, item, watched);
  for (int r = 0; r < c->n_roots; r++) /* new values that are not made at commit */
    if (plan_renews(c->roots[r]) &&
        !c->spots[c->spots[c->roots[r]->index].value / MAX_OUT].late)
      plan->unprovable = true;
  int64_t n_parts = 0;
  number_parts(plan, &n_parts);
  plan->parts = plan_alloc(c, ((size_t)n_parts + 1) * sizeof *plan->parts);
  plan->pending = plan_alloc(c, ((size_t)n_parts + 1) * sizeof *plan->pending);
  return c->graph->fault.code;
}

Err plan_watch(Compiler *c) {
  size_t n = (size_t)c->walk.n + 1;
  Watching w = {.c = c, .of_node = malloc(n * sizeof *w.of_node)};
  if (!w.of_node) return fault_memory(&c->graph->fault, n * sizeof *w.of_node);
  for (int64_t i = 0; i < c->walk.n; i++) w.of_node[i] = NOBODY;
  Err err = list_watches(&w);
  free(w.of_node);
  return err;
}

/* -- measuring --------------------------------------------------------------------- */

/* Of an array with so many elements. */
static Range measure(const Array *a, int64_t n_elements, int64_t block) {
  int64_t at = block * BLOCK, n = least(n_elements - at, BLOCK);
  real lo, hi;
  kernels()->reduce_bounds(&lo, &hi, (const real *)a->data + at, n);
  Range range = {(double)lo, (double)hi};
  return range_known(range) ? range : RANGE_UNKNOWN;
}

static void measure_part(const Plan *plan, const PlanWatch *watch, int64_t block) {
  plan->parts[watch->first_part + block] = measure(watch->array, watch->n_elements,
                                                   block);
}

void plan_measure_beside(const Plan *plan, const PlanJob *job, int64_t block) {
  const PlanWatch *watch = &plan->watches[job->watch];
  for (; block >= watch->n_parts; watch = &plan->watches[watch->next])
    block -= watch->n_parts;
  measure_part(plan, watch, block);
}

static void measure_pending(void *ctx, int64_t i) {
  const Plan *plan = ctx;
  measure_part(plan, plan->pending[i].watch, plan->pending[i].block);
}

static Range join_parts(const Plan *plan, const PlanWatch *watch) {
  Range all = {0, 0};
  const Range *part = plan->parts + watch->first_part;
  for (int64_t i = watch->n_parts; i > 0; i--, part++) {
    if (part->lo < all.lo) all.lo = part->lo;
    if (part->hi > all.hi) all.hi = part->hi;
  }
  return all;
}

static Range follow(const Plan *plan, const PlanWatch *watch) {
  Range in[2] = {plan->ranges[watch->from[0]], plan->ranges[watch->from[1]]};
  Range made[MAX_OUT] = {RANGE_UNKNOWN};
  if (range_known(in[0]) && range_known(in[1]))
    watch->maker->op->range(watch->maker, in, made);
  return made[0];
}

/* -- proving ----------------------------------------------------------------------- */

/* Of a number, which is known exactly: a divisor has a distance from 0. */
static Range range_of_number(const Array *a) {
  double x = *(const real *)a->data;
  if (fabs(x) < REAL_SMALLEST) x = 0;
  return isfinite(x) ? (Range){x, x} : RANGE_UNKNOWN;
}

/* The range, where it is known before anything is measured at the end; that of a number
 * is the number. */
static Range early_range(const Plan *plan, const PlanWatch *w, bool exact) {
  if (w->job != NOBODY) return join_parts(plan, w);
  bool number = w->n_elements == 1 && (exact || !w->maker);
  return number ? range_of_number(w->array) : RANGE_UNKNOWN;
}

/* Fills the ranges of what is known; returns how many watches are left, in `open`. */
static int take_known(Plan *plan, const Range *known, bool exact) {
  int n_open = 0;
  for (int i = 0; i < plan->n_watches; i++) {
    int given = plan->given[i];
    if (!exact && known && given != NOBODY && range_known(known[given]))
      plan->ranges[i] = known[given];
    else plan->open[n_open++] = i;
  }
  return n_open;
}

/* The range of each watch; `exact`: from its own elements, whatever is known. */
static void find_ranges(Graph *graph, Plan *plan, const Range *known, bool exact) {
  int n_open = take_known(plan, known, exact);
  int64_t n = 0, work = 0;
  for (const int *i = plan->open; i < plan->open + n_open; i++) {
    PlanWatch *w = &plan->watches[*i];
    Range early = plan->ranges[*i] = early_range(plan, w, exact);
    bool open = w->job == NOBODY && !range_known(early) && w->n_elements > 1;
    w->pending = open && (exact || !w->maker);
    if (!w->pending) continue;
    for (int64_t block = 0; block < w->n_parts; block++)
      plan->pending[n++] = (PlanPiece){w, block};
    work += w->n_elements;
  }
  par_for(&graph->par, n, work, measure_pending, plan);
  for (const int *i = plan->open; i < plan->open + n_open; i++) {
    const PlanWatch *w = &plan->watches[*i];
    if (w->pending) plan->ranges[*i] = join_parts(plan, w);
    else if (w->maker && !exact) plan->ranges[*i] = follow(plan, w);
  }
}

/* One call, whose inputs have the ranges that `watched` names, into `made`; may its
 * results be written? */
static bool prove_call(const Plan *plan, const PlanLate *late, const int *watched,
                       Range *made, Range *out) {
  const OpCall *call = &late->call;
  Range in[MAX_IN];
  bool holds = true;
  for (int k = 0; k < call->n_in; k++) {
    in[k] = watched[k] < 0 ? plan->made[made_code(watched[k])]
                           : plan->ranges[watched[k]];
    holds = holds && range_known(in[k]);
  }
  if (!holds) return false;
  call->op->range(call, in, made);
  for (int o = 0; o < call->n_out; o++) {
    holds = holds && range_known(made[o]);
    if (late->root[o] != NOBODY) out[late->root[o]] = made[o];
  }
  return holds;
}

static bool prove(Graph *graph, Plan *plan, const Range *known, bool exact,
                  Range *out) {
  const int *watched = plan->watched;
  Range *made = plan->made;
  find_ranges(graph, plan, known, exact);
  for (const PlanLate *late = plan->late; late < plan->late + plan->n_late; late++) {
    if (!prove_call(plan, late, watched, made, out)) return false;
    watched += late->call.n_in;
    made += late->call.n_out;
  }
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
  if (!range_known(measure(looking->array, looking->n_elements, block)))
    atomic_store_explicit(&looking->bad, true, memory_order_relaxed);
}

bool array_is_finite(Graph *graph, const Array *a) {
  if (a->dtype != DT_REAL) return true;
  int64_t n = shape_count(&a->shape);
  if (n <= BLOCK) return range_known(measure(a, n, 0));
  Looking looking = {.array = a, .n_elements = n};
  par_for(&graph->par, divide_up(n, BLOCK), n, look_block, &looking);
  return !atomic_load_explicit(&looking.bad, memory_order_relaxed);
}
