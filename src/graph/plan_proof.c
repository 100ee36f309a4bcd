/* plan_proof.c: may the updates of a run be written over the old values?
 *
 * A step whose new values are not all finite must change nothing, but updates write over
 * what they read. So before they run, the ranges of all that they read are brought together:
 *
 *   parameters, slots   known since the last commit, which followed from a proof
 *   gradients, factors  measured: one reading, in blocks that threads take
 *
 * and each update's record tells where its results then lie (Op.range). That holds for all
 * steps but those that come near the end of what a real can hold; such a step is written
 * elsewhere and looked at. */
#include "graph/plan_compile.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

static int64_t block_count(int64_t n) { return divide_up(n, BLOCK); }

/* -- when a plan is made ------------------------------------------------------------- */

static int first_update(const Plan *plan) {
  return plan->n_compute_jobs < plan->n_jobs ? plan->jobs[plan->n_compute_jobs].first_item
                                             : plan->n_items;
}

/* The watch of input k of the update; each node is watched once. One that is an update's
 * result is not there when the others are measured. */
static int watch_of(Compiler *c, int *of_node, const Node *update, const PlanMember *m, int k) {
  Plan *plan = c->plan;
  int *watch = &of_node[update->in[k]->index];
  if (*watch == NOBODY) {
    bool given = m->in[k].kind == IN_INPUT && m->in[k].offset == 0;
    const Spot *spot = &c->spots[update->in[k]->index];
    if (c->spots[spot->value / MAX_OUT].late) plan->chained = true;
    *watch = plan->n_watches++;
    plan->watches[*watch] = (PlanWatch){.array = &m->call->in[k],
                                        .n = shape_count(&m->call->in[k].shape),
                                        .input = given ? m->in[k].index : NOBODY};
  }
  return *watch;
}

static Err list_watches(Compiler *c, int *of_node) {
  Plan *plan = c->plan;
  int n_inputs = 0;
  int64_t n_blocks = 0;
  for (int item = first_update(plan); item < plan->n_items; item++)
    n_inputs += plan->items[item].members[0].call->n_in;
  plan->watches = plan_alloc(c, ((size_t)n_inputs + 1) * sizeof *plan->watches);
  plan->watched = plan_alloc(c, ((size_t)n_inputs + 1) * sizeof *plan->watched);
  if (!plan->watches || !plan->watched) return c->graph->fault.code;
  int *watched = plan->watched;
  for (int item = first_update(plan); item < plan->n_items; item++) {
    const PlanMember *m = &plan->items[item].members[0];
    const Node *update = c->walk.v[c->item_nodes[c->item_first[item]]];
    for (int k = 0; k < update->n_in; k++) *watched++ = watch_of(c, of_node, update, m, k);
  }
  for (int i = 0; i < plan->n_watches; i++) n_blocks += block_count(plan->watches[i].n);
  plan->pieces = plan_alloc(c, ((size_t)n_blocks + 1) * sizeof *plan->pieces);
  return c->graph->fault.code;
}

Err plan_watch(Compiler *c) {
  int *of_node = malloc(((size_t)c->walk.n + 1) * sizeof *of_node);
  if (!of_node) return fault_memory(&c->graph->fault, (size_t)c->walk.n * sizeof *of_node);
  for (int64_t i = 0; i < c->walk.n; i++) of_node[i] = NOBODY;
  Err err = list_watches(c, of_node);
  free(of_node);
  return err;
}

/* -- measuring ----------------------------------------------------------------------- */

static Range measure(const Array *a, int64_t first, int64_t n) {
  real lo, hi;
  kernels()->reduce_bounds(&lo, &hi, (const real *)a->data + first, least(n - first, BLOCK));
  Range range = {(double)lo, (double)hi};
  return range_known(range) ? range : RANGE_UNKNOWN;
}

static Range range_of_number(double x) {
  if (!isfinite(x)) return RANGE_UNKNOWN;
  return x < 0 ? (Range){x, 0} : (Range){0, x};
}

static void measure_piece(void *ctx, int64_t i) {
  PlanPiece *piece = (PlanPiece *)ctx + i;
  piece->range = measure(piece->watch->array, piece->first, piece->watch->n);
}

/* The range that is given, that of a number, or else pieces to be measured, which join it. */
static int64_t begin_watch(PlanWatch *w, const Range *known, PlanPiece *piece) {
  bool given = known && w->input != NOBODY && range_known(known[w->input]);
  w->range = given ? known[w->input] : (Range){0, 0};
  w->known = true;
  if (given) return 0;
  if (w->n == 1) {
    w->range = range_of_number((double)*(const real *)w->array->data);
    w->known = range_known(w->range);
    return 0;
  }
  int64_t n = 0;
  for (int64_t first = 0; first < w->n; first += BLOCK)
    piece[n++] = (PlanPiece){.watch = w, .first = first};
  return n;
}

static void join(PlanWatch *w, Range part) {
  if (part.lo < w->range.lo) w->range.lo = part.lo;
  if (part.hi > w->range.hi) w->range.hi = part.hi;
  w->known = w->known && range_known(part);
}

/* The ranges of all watches. */
static void measure_all(Graph *graph, Plan *plan, const Range *known) {
  int64_t n = 0, work = 0;
  for (PlanWatch *w = plan->watches; w < plan->watches + plan->n_watches; w++) {
    int64_t n_pieces = begin_watch(w, known, plan->pieces + n);
    n += n_pieces;
    work += n_pieces ? w->n : 0;
  }
  par_for(&graph->par, n, work, measure_piece, plan->pieces);
  for (int64_t i = 0; i < n; i++) join(plan->pieces[i].watch, plan->pieces[i].range);
}

/* -- proving ------------------------------------------------------------------------- */

/* One update, whose inputs have the watches `watched`. */
static bool prove_update(const Plan *plan, const PlanMember *m, const int *watched, Range *out) {
  const OpCall *call = m->call;
  Range in[MAX_IN], made[MAX_OUT];
  bool holds = call->op->range != NULL;
  for (int k = 0; k < call->n_in; k++) {
    const PlanWatch *watch = &plan->watches[watched[k]];
    in[k] = watch->range;
    holds = holds && watch->known;
  }
  if (!holds) return false;
  call->op->range(call, in, made);
  for (int o = 0; o < call->n_out; o++) {
    holds = holds && range_known(made[o]);
    if (m->out[o].kind == IN_ROOT) out[m->out[o].index] = made[o];
  }
  return holds;
}

static bool prove(Graph *graph, Plan *plan, const Range *known, Range *out) {
  bool holds = true;
  const int *watched = plan->watched;
  measure_all(graph, plan, known);
  for (int item = first_update(plan); holds && item < plan->n_items; item++) {
    const PlanMember *m = &plan->items[item].members[0];
    holds = prove_update(plan, m, watched, out);
    watched += m->call->n_in;
  }
  return holds;
}

/* What is known may have grown far beyond what is: then all is measured. */
bool plan_proves_finite(Graph *graph, Plan *plan, const Range *known, Range *out) {
  if (plan->chained) return false;
  return prove(graph, plan, known, out) || (known && prove(graph, plan, NULL, out));
}

/* -- looking ------------------------------------------------------------------------- */

typedef struct Looking {
  const Array *array;
  int64_t n;
  atomic_bool bad;
} Looking;

static void look_block(void *ctx, int64_t block) {
  Looking *looking = ctx;
  if (!range_known(measure(looking->array, block * BLOCK, looking->n)))
    atomic_store_explicit(&looking->bad, true, memory_order_relaxed);
}

bool array_is_finite(Graph *graph, const Array *a) {
  if (a->dtype != DT_REAL) return true;
  Looking looking = {.array = a, .n = shape_count(&a->shape)};
  par_for(&graph->par, block_count(looking.n), looking.n, look_block, &looking);
  return !atomic_load_explicit(&looking.bad, memory_order_relaxed);
}
