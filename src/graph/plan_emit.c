/* plan_emit.c: the passes that write what is run: the calls of the items, before their
 * values have places, and afterwards the pointers into those. */
#include "graph/plan_compile.h"
#include <string.h>

/* -- calls ------------------------------------------------------------------------- */

/* The call of one node, without pointers. */
static OpCall *emit_call(Compiler *c, const Node *node) {
  OpCall *call = plan_alloc(c, sizeof *call);
  Array *in = plan_alloc(c, (size_t)node->n_in * sizeof *in);
  Array *out = plan_alloc(c, (size_t)node->n_out * sizeof *out);
  Attr *attr = plan_alloc(c, (size_t)node->n_attr * sizeof *attr);
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
  m->in = plan_alloc(c, (size_t)node->n_in * sizeof *m->in);
  m->out = plan_alloc(c, (size_t)node->n_out * sizeof *m->out);
  bool grouped = c->spots[i].group != NOBODY;
  if (grouped) m->elements = plan_alloc(c, sizeof *m->elements);
  if (!m->call || !m->in || !m->out || (grouped && !m->elements))
    return c->graph->fault.code;
  if (grouped) elements_init(m->elements, m->call);
  m->layer = node->layer;
  m->file = node->file;
  m->line = node->line;
  return ERR_OK;
}

/* Elementwise work per element and member, about: as the naive executor's ops say. */
enum { WORK_PER_ELEMENT = 8 };

static Err split_item(Compiler *c, PlanItem *item) {
  const OpCall *call = item->members[0].call;
  bool renews = item->n_members > 1 && !item->is_group;
  int n_phases = item->is_group ? 1 : renews ? RENEWAL_PHASES : op_phases(call);
  int64_t *n_blocks = plan_alloc(c, (size_t)n_phases * sizeof *n_blocks);
  if (!n_blocks) return c->graph->fault.code;
  if (renews) {
    plan_cut_renewal(item, n_blocks);
    return ERR_OK;
  }
  if (!item->is_group) {
    item->split = op_split(call, n_phases, n_blocks);
    return ERR_OK;
  }
  if (plan_cut_tiles(c, item)) return c->graph->fault.code;
  const PlanTiles *t = item->tiles;
  n_blocks[0] = (t->n + t->block - 1) / t->block;
  item->split = (OpSplit){.n_phases = 1, .n_blocks = n_blocks,
                          .work = t->n * WORK_PER_ELEMENT * item->n_members};
  return ERR_OK;
}

/* Before placing: calls and splits, from which the scratch memory follows. */
static Err emit_item(Compiler *c, int item) {
  PlanItem *it = &c->plan->items[item];
  int first = c->item_first[item];
  it->n_members = c->item_first[item + 1] - first;
  it->is_group = c->spots[c->item_nodes[first]].group != NOBODY;
  it->members = plan_alloc(c, (size_t)it->n_members * sizeof *it->members);
  if (!it->members) return c->graph->fault.code;
  for (int m = 0; m < it->n_members; m++)
    if (emit_member(c, &it->members[m], c->item_nodes[first + m]))
      return c->graph->fault.code;
  if (split_item(c, it)) return c->graph->fault.code;
  it->scratch_bytes = op_memory_bytes(&it->split, c->graph->par.threads);
  op_set_own(it->members[0].call, &it->split);
  c->plan->size.naive_bytes += plan_rounded(it->scratch_bytes);
  for (int m = 0; m < it->n_members; m++)
    if (it->members[m].call->op->flags & OP_DRAW) c->plan->n_draws++;
  return ERR_OK;
}

Err emit_calls(Compiler *c) {
  c->plan->n_items = c->n_items;
  c->plan->items = plan_alloc(c, ((size_t)c->n_items + 1) * sizeof *c->plan->items);
  if (!c->plan->items) return c->graph->fault.code;
  for (int item = 0; item < c->n_items; item++)
    if (emit_item(c, item)) return c->graph->fault.code;
  return plan_emit_chains(c);
}

void print_calls(const Compiler *c, Text *out) {
  int64_t n_blocks = 0, n_phases = 0;
  for (int item = 0; item < c->n_items; item++) {
    const OpSplit *split = &c->plan->items[item].split;
    n_phases += split->n_phases;
    for (int p = 0; p < split->n_phases; p++) n_blocks += split->n_blocks[p];
  }
  text_addf(out, "%lld phases of %lld blocks in all\n", (long long)n_phases,
            (long long)n_blocks);
}

/* -- connect ----------------------------------------------------------------------- */

static PlanPlace place_of(const Compiler *c, const Node *in) {
  const Spot *spot = &c->spots[in->index];
  PlanPlace place = life_of(c, spot->value)->place;
  place.offset += spot->offset;
  return place;
}

/* After placing: where each pointer of the calls comes from. */
static void connect_item(Compiler *c, int item) {
  PlanItem *it = &c->plan->items[item];
  for (int m = 0; m < it->n_members; m++) {
    int64_t i = c->item_nodes[c->item_first[item] + m];
    const Node *node = c->walk.v[i];
    PlanMember *member = &it->members[m];
    for (int k = 0; k < node->n_in; k++) member->in[k] = place_of(c, node->in[k]);
    for (int o = 0; o < node->n_out; o++)
      member->out[o] = life_of(c, value_of(i, o))->place;
    if (node->op->flags & OP_DRAW) {
      c->plan->draw_attr[c->plan->n_draws] = (Attr *)member->call->attr +
                                             (node->n_attr - 2);
      c->plan->draws[c->plan->n_draws++] = c->walk.v[i];
    }
  }
  if (it->is_group) plan_place_tiles(it);
}

static Err emit_jobs(Compiler *c) {
  Plan *plan = c->plan;
  plan->jobs = plan_alloc(c, ((size_t)plan->n_jobs + 1) * sizeof *plan->jobs);
  if (!plan->jobs) return ERR_MEMORY;
  for (int item = 0; item < c->n_items; item++) {
    PlanJob *job = &plan->jobs[c->item_job[item]];
    const OpSplit *split = &plan->items[item].split;
    if (job->n_items == 0) job->first_item = item;
    job->watch = NOBODY;
    job->n_items++;
    if (split->n_phases > job->n_phases) job->n_phases = split->n_phases;
    job->work += split->work;
  }
  return ERR_OK;
}

static void add_share(PlanPhase *phase, PlanShare *shares, int item, int watch,
                      int64_t n_blocks) {
  shares[phase->n_shares++] = (PlanShare){phase->n_blocks, item, watch};
  phase->n_blocks += n_blocks;
}

/* The shares in a phase of the job, from `shares` on; returns their end. */
static PlanShare *fill_phase(const Plan *plan, const PlanJob *job, int p,
                             PlanShare *shares) {
  PlanPhase *phase = &job->phases[p];
  phase->shares = shares;
  for (int w = p == 0 ? job->watch : NOBODY; w != NOBODY; w = plan->watches[w].next)
    add_share(phase, shares, NOBODY, w, plan->watches[w].n_parts);
  for (int item = job->first_item; item < job->first_item + job->n_items; item++) {
    const OpSplit *split = &plan->items[item].split;
    const PlanChain *chain = p == 0 ? plan->items[item].chain : NULL;
    if (chain && item == chain->first_item)
      add_share(phase, shares, item, NOBODY, plan_chain_blocks(chain));
    else if (!chain && p < split->n_phases)
      add_share(phase, shares, item, NOBODY, split->n_blocks[p]);
  }
  return shares + phase->n_shares;
}

/* After plan_watch. */
static Err emit_phases(Compiler *c) {
  Plan *plan = c->plan;
  size_t n_shares = (size_t)plan->n_watches, n_phases = 0;
  for (int item = 0; item < plan->n_items; item++)
    n_shares += (size_t)plan->items[item].split.n_phases;
  for (int j = 0; j < plan->n_jobs; j++) n_phases += (size_t)plan->jobs[j].n_phases;
  PlanShare *shares = plan_alloc(c, (n_shares + 1) * sizeof *shares);
  PlanPhase *phases = plan_alloc(c, (n_phases + 1) * sizeof *phases);
  if (!shares || !phases) return ERR_MEMORY;
  for (PlanJob *job = plan->jobs; job < plan->jobs + plan->n_jobs; job++) {
    job->phases = phases;
    phases += job->n_phases;
    for (int p = 0; p < job->n_phases; p++) shares = fill_phase(plan, job, p, shares);
  }
  return ERR_OK;
}

static Err emit_checks(Compiler *c) {
  Plan *plan = c->plan;
  plan->checked = plan_alloc(c, ((size_t)plan->n_items + 1) * sizeof *plan->checked);
  if (!plan->checked) return ERR_MEMORY;
  for (int item = 0; item < plan->n_items; item++)
    if (plan->items[item].members[0].call->op->check)
      plan->checked[plan->n_checked++] = item;
  return ERR_OK;
}

static Err emit_copies(Compiler *c) {
  Plan *plan = c->plan;
  plan->copies = plan_alloc(c, ((size_t)c->n_roots + 1) * sizeof *plan->copies);
  if (!plan->copies) return ERR_MEMORY;
  for (int late = 0; late < 2; late++) {
    for (int r = 0; r < c->n_roots; r++) {
      int64_t value = c->copy_root[r];
      if (value == NOBODY) continue;
      bool at_commit = plan_renews(c->roots[r]) || c->spots[value / MAX_OUT].late;
      if (at_commit != (late == 1)) continue;
      plan->copies[plan->n_copies++] =
          (PlanCopy){.from = place_of(c, c->roots[r]), .to = {IN_ROOT, r, 0},
                     .n_bytes = plan_value_bytes(c->roots[r], 0)};
    }
    if (!late) plan->n_compute_copies = plan->n_copies;
  }
  return ERR_OK;
}

/* Where the next fix into the arena goes, and the next other one. */
typedef struct FixPlace {
  PlanFix *fixes; /* NULL: they are counted */
  int arena, other;
} FixPlace;

static void add_fix(FixPlace *at, void **where, PlanPlace place) {
  if (place.kind == IN_TILE) return;
  int *next = place.kind == IN_ARENA ? &at->arena : &at->other;
  if (at->fixes) at->fixes[*next] = (PlanFix){where, place};
  ++*next;
}

static void add_fixes(const Plan *plan, FixPlace *at) {
  for (int i = 0; i < plan->n_items; i++) {
    PlanItem *item = &plan->items[i];
    for (int m = 0; m < item->n_members; m++) {
      PlanMember *member = &item->members[m];
      OpCall *call = member->call;
      for (int k = 0; k < call->n_in; k++)
        add_fix(at, &((Array *)call->in)[k].data, member->in[k]);
      for (int o = 0; o < call->n_out; o++)
        add_fix(at, &call->out[o].data, member->out[o]);
      if (item->scratch_bytes)
        add_fix(at, &call->scratch, (PlanPlace){IN_ARENA, 0, item->scratch});
    }
  }
  for (int i = 0; i < plan->n_copies; i++) {
    add_fix(at, &plan->copies[i].source, plan->copies[i].from);
    add_fix(at, &plan->copies[i].target, plan->copies[i].to);
  }
  for (int i = 0; i < plan->pending.n_spans; i++)
    add_fix(at, &plan->pending.spans[i].x, plan->span_place[i]);
}

static void count_fixes(Plan *plan) {
  FixPlace count = {0};
  add_fixes(plan, &count);
  plan->n_arena_fixes = count.arena;
  plan->n_fixes = count.arena + count.other;
}

static void list_fixes(Plan *plan) {
  FixPlace at = {.fixes = plan->fixes, .other = plan->n_arena_fixes};
  add_fixes(plan, &at);
}

static Err emit_fixes(Compiler *c) {
  Plan *plan = c->plan;
  count_fixes(plan);
  plan->fixes = plan_alloc(c, ((size_t)plan->n_fixes + 1) * sizeof *plan->fixes);
  if (!plan->fixes) return ERR_MEMORY;
  list_fixes(plan);
  return ERR_OK;
}

static Err emit_leaves(Compiler *c) {
  Plan *plan = c->plan;
  plan->leaves = plan_alloc(c, ((size_t)c->walk.n + 1) * sizeof *plan->leaves);
  plan->draws = plan_alloc(c, ((size_t)plan->n_draws + 1) * sizeof *plan->draws);
  plan->draw_attr = plan_alloc(c,
                               ((size_t)plan->n_draws + 1) * sizeof *plan->draw_attr);
  if (!plan->leaves || !plan->draws || !plan->draw_attr) return ERR_MEMORY;
  plan->n_draws = 0; /* counted again by connect */
  for (int64_t i = 0; i < c->walk.n; i++)
    if (plan_is_leaf(c->walk.v[i])) plan->leaves[plan->n_leaves++] = c->walk.v[i];
  return ERR_OK;
}

Err emit_pointers(Compiler *c) {
  if (emit_leaves(c)) return c->graph->fault.code;
  for (int item = 0; item < c->n_items; item++) {
    connect_item(c, item);
    if (plan_find_expression(c, item)) return c->graph->fault.code;
  }
  if (emit_jobs(c) || emit_checks(c) || emit_copies(c) || plan_watch(c) ||
      emit_phases(c) || emit_fixes(c))
    return c->graph->fault.code;
  return ERR_OK;
}

void print_pointers(const Compiler *c, Text *out) {
  text_addf(out, "%d pointers to fill in, %d draws, %d copies\n", c->plan->n_fixes,
            c->plan->n_draws, c->plan->n_copies);
}
