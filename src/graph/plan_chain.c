/* plan_chain.c: chains: rows that stay with their thread.
 *
 * Most of a step works example by example: products with weights, what is elementwise,
 * norms along the features, softmax and loss, and the way back through all of these. A
 * chain is a run of such items in one job: a thread takes some rows of the batch and
 * goes through all items with them, so what one leaves to the next is in its cache, and
 * threads meet at the end of the chain, not after every item. Sums over the batch, as
 * gradients of weights are, come in the jobs after it.
 *
 *   stage    0     1      2     3      4
 *            rest  chain  rest  chain  rest ..
 *
 * An item by rows that reads another of its chain along, row by row, shares its stage.
 * All else waits: for a chain to end, or for what it reads before it begins.
 *
 * Bits. A row is the same whatever rows come with it (Op.by_row), so how many a thread
 * takes at a time is free, and may depend on the number of threads. */
#include "graph/plan_compile.h"
#include "base/ints.h"
#include "base/sys.h"
#include <stdlib.h>

enum {
  ROWS_LEAST = 16, /* of a block: products of fewer cost more for each row */
  ELEMENTS = 8192  /* of a value, in a block: about so many stay in the first cache */
};

/* -- what works by rows ------------------------------------------------------------ */

static int64_t rows_of(const Node *node) {
  return node->shape.rank > 0 ? node->shape.dim[0] : 0;
}

/* Is the node the leader of an item of that kind, and no end? */
static bool takes_turn(const Compiler *c, int64_t i, bool late) {
  return plan_computes(c, i) && plan_leader(c, i) == i && !c->spots[i].is_end &&
         c->spots[i].late == late;
}

/* Does the value have the rows of the batch, one after the other? */
static bool has_rows(const Compiler *c, const Node *in, int64_t n_rows) {
  const Spot *spot = &c->spots[in->index];
  const Node *base = c->walk.v[spot->value / MAX_OUT];
  int output = (int)(spot->value % MAX_OUT);
  return rows_of(in) == n_rows && spot->offset == 0 &&
         base->out_shape[output].rank > 0 && base->out_shape[output].dim[0] == n_rows &&
         shape_count(&in->shape) == shape_count(&base->out_shape[output]);
}

/* How a node goes by rows; false where it does not. Row i of something elementwise
 * reads row i of inputs that have as many axes, and rows. */
static bool by_row(const Node *node, OpByRow *how) {
  *how = (OpByRow){.out = 1, .step = 1};
  if (node->shape.rank == 0) return false;
  if (node->op->by_row) return node->op->by_row(node, how);
  bool elementwise = (node->op->flags & OP_ELEMENTWISE) && node->op->tile &&
                     node->dtype == DT_REAL;
  for (int k = 0; elementwise && k < node->n_in; k++)
    if (node->in[k]->shape.rank == node->shape.rank &&
        node->in[k]->shape.dim[0] == node->shape.dim[0])
      how->in |= 1u << k;
  return elementwise;
}

static bool is_product(const Node *node) { return node->op == &op_record_matmul; }

/* The rows that most products by row have (Boyer and Moore's vote); 0: none has enough
 * to be shared. */
static int64_t batch_rows(const Compiler *c) {
  int64_t rows = 0, votes = 0;
  OpByRow how;
  for (int64_t i = 0; i < c->walk.n; i++) {
    const Node *node = c->walk.v[i];
    if (!plan_computes(c, i) || !is_product(node) || rows_of(node) < 2 * ROWS_LEAST ||
        !by_row(node, &how))
      continue;
    if (votes == 0) rows = rows_of(node);
    votes += rows_of(node) == rows ? 1 : -1;
  }
  return rows;
}

/* What data are checked before its item runs must be there before the chain does. */
static bool checks_given(const Compiler *c, const Node *node, unsigned checked) {
  for (int k = 0; k < node->n_in; k++)
    if (checked >> k & 1 &&
        !plan_is_leaf(c->walk.v[c->spots[node->in[k]->index].value / MAX_OUT]))
      return false;
  return true;
}

/* May the item of leader i be part of a chain? */
static bool may_chain(const Compiler *c, int64_t i, int64_t n_rows) {
  for (int64_t m = plan_first_node(c, i); m != NOBODY; m = c->spots[m].next) {
    const Node *node = c->walk.v[m];
    OpByRow how;
    if ((node->op->flags & OP_ELEMENTWISE) && c->spots[i].group == NOBODY) return false;
    if (rows_of(node) != n_rows || node->op->flags & OP_UPDATE || !by_row(node, &how) ||
        !checks_given(c, node, how.checked))
      return false;
  }
  return true;
}

/* Late items want the ranges of what they read, some of which are measured beside the
 * job that makes it (plan_proof.c): that is never a chain. */
static void exclude_late_inputs(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int k = 0; c->spots[i].late && k < c->walk.v[i]->n_in; k++) {
      int64_t value = c->spots[c->walk.v[i]->in[k]->index].value;
      OpByRow how;
      if (plan_computes(c, value / MAX_OUT) &&
          by_row(c->walk.v[value / MAX_OUT], &how) && how.out >> value % MAX_OUT & 1)
        c->spots[plan_leader(c, value / MAX_OUT)].chained = false;
    }
}

static void find_chained(Compiler *c) {
  c->n_rows = batch_rows(c);
  if (c->n_rows == 0) return;
  for (int64_t i = 0; i < c->walk.n; i++)
    c->spots[i].chained = takes_turn(c, i, false) && may_chain(c, i, c->n_rows);
  exclude_late_inputs(c);
}

/* -- stages ------------------------------------------------------------------------ */

/* Does the node read the value of `in`, made in a chain, row by row in it? */
static bool reads_along(const Compiler *c, const Node *node, int k) {
  int64_t value = c->spots[node->in[k]->index].value;
  OpByRow how, made;
  return by_row(node, &how) && how.in >> k & 1 &&
         by_row(c->walk.v[value / MAX_OUT], &made) && made.out >> value % MAX_OUT & 1 &&
         has_rows(c, node->in[k], c->n_rows);
}

/* The first stage in which the item of leader i finds what member m of it reads. */
static int stage_for(const Compiler *c, int64_t i, int64_t m, int stage) {
  const Node *node = c->walk.v[m];
  bool chained = c->spots[i].chained;
  for (int k = 0; k < node->n_in; k++) {
    int64_t maker = c->spots[node->in[k]->index].value / MAX_OUT;
    int64_t of = plan_leader(c, maker);
    if (!plan_computes(c, maker) || of == i) continue;
    int from = c->spots[of].stage;
    if (c->spots[of].chained != chained) from++;
    else if (chained && !reads_along(c, node, k)) from += 2;
    if (from > stage) stage = from;
  }
  return stage;
}

static void find_stage(Compiler *c, int64_t i) {
  int stage = c->spots[i].chained ? 1 : 0;
  for (int64_t m = plan_first_node(c, i); m != NOBODY; m = c->spots[m].next)
    stage = stage_for(c, i, m, stage);
  c->spots[i].stage = stage;
}

/* -- turns ------------------------------------------------------------------------- */

/* Leaders by stage, within one in the order of the walk. */
static Err sort_turns(Compiler *c, bool late) {
  int last = 0;
  for (int64_t i = 0; i < c->walk.n; i++)
    if (takes_turn(c, i, late) && c->spots[i].stage > last) last = c->spots[i].stage;
  int64_t *next = calloc((size_t)last + 2, sizeof *next);
  if (!next) return fault_memory(&c->graph->fault, (size_t)last * sizeof *next);
  for (int64_t i = 0; i < c->walk.n; i++)
    if (takes_turn(c, i, late)) next[c->spots[i].stage + 1]++;
  for (int s = 0; s <= last; s++) next[s + 1] += next[s];
  c->n_turns = next[last + 1];
  for (int64_t i = 0; i < c->walk.n; i++)
    if (takes_turn(c, i, late)) c->turns[next[c->spots[i].stage]++] = i;
  free(next);
  return ERR_OK;
}

/* A stage without a product, or of one item, is none to be gone through by rows. */
static void drop_poor_chains(Compiler *c) {
  for (int64_t k = 0, end; k < c->n_turns; k = end) {
    int stage = c->spots[c->turns[k]].stage;
    bool product = false;
    for (end = k; end < c->n_turns && c->spots[c->turns[end]].stage == stage; end++)
      product = product || is_product(c->walk.v[c->turns[end]]);
    for (int64_t i = k; i < end && !(product && end - k > 1); i++)
      c->spots[c->turns[i]].chained = false;
  }
}

Err plan_find_turns(Compiler *c) {
  find_chained(c);
  for (int64_t i = 0; i < c->walk.n; i++)
    if (takes_turn(c, i, false)) find_stage(c, i);
  if (sort_turns(c, false)) return c->graph->fault.code;
  drop_poor_chains(c);
  return ERR_OK;
}

/* The last of the items that makes what the late item of leader i reads, or what a late
 * one before it does. */
static int made_last(const Compiler *c, int64_t i) {
  int last = 0;
  for (int64_t m = plan_first_node(c, i); m != NOBODY; m = c->spots[m].next)
    for (int k = 0; k < c->walk.v[m]->n_in; k++) {
      int64_t maker = c->spots[c->walk.v[m]->in[k]->index].value / MAX_OUT;
      int64_t of = plan_leader(c, maker);
      int from = c->spots[of].late ? c->spots[of].stage : c->spots[of].item;
      if (of != i && from > last) last = from;
    }
  return last;
}

Err plan_find_late_turns(Compiler *c) {
  for (int64_t i = 0; i < c->walk.n; i++)
    if (takes_turn(c, i, true)) c->spots[i].stage = made_last(c, i);
  return sort_turns(c, true);
}

/* -- cutting ----------------------------------------------------------------------- */

/* Rows of a block: as many as stay in a near cache, and so few that all threads have
 * equal shares. Steps are powers of 2: the largest is a multiple of all. */
static int64_t rows_of_block(const Compiler *c, const PlanChain *chain) {
  int64_t widest = 1, step = 1, threads = c->graph->par.threads, n_rows = chain->n_rows;
  int end = chain->first_item + chain->n_items;
  for (int at = c->item_first[chain->first_item]; at < c->item_first[end]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    OpByRow how;
    if (by_row(node, &how)) step = most(step, how.step);
    widest = most(widest, shape_count(&node->shape) / n_rows);
  }
  int64_t n = divide_up(n_rows, most(ROWS_LEAST, ELEMENTS / widest));
  n = least(divide_up(n, threads) * threads, n_rows / ROWS_LEAST);
  return divide_up(divide_up(n_rows, n), step) * step;
}

/* With each product come the weights of the next one. */
static void fetch_ahead(const Plan *plan, const PlanChain *chain) {
  const Array *ahead = NULL;
  for (int i = chain->first_item + chain->n_items - 1; i >= chain->first_item; i--) {
    OpCall *call = plan->items[i].members[0].call;
    if (call->op != &op_record_matmul) continue;
    call->ahead = ahead;
    ahead = &call->in[1];
  }
}

Err plan_emit_chains(Compiler *c) {
  for (int item = 0; item < c->n_items;) {
    int first = item++;
    if (c->item_chain[first] == NOBODY) continue;
    PlanChain *chain = plan_alloc(c, sizeof *chain);
    if (!chain) return c->graph->fault.code;
    while (item < c->n_items && c->item_chain[item] == first) item++;
    *chain = (PlanChain){first, item - first, c->n_rows, 0};
    chain->block = rows_of_block(c, chain);
    for (int i = first; i < item; i++) c->plan->items[i].chain = chain;
    fetch_ahead(c->plan, chain);
  }
  return ERR_OK;
}

/* -- memory ------------------------------------------------------------------------ */

enum { SPARE = 16 }; /* values whose memory waits for an heir, at most */

/* Values of a chain that nothing reads any more. */
typedef struct Spare {
  int64_t value[SPARE];
  int n;
} Spare;

static void add_spare(Spare *spare, int64_t value) {
  for (int i = 0; i < spare->n; i++)
    if (spare->value[i] == value) return;
  if (spare->n == SPARE) spare->value[0] = spare->value[--spare->n];
  spare->value[spare->n++] = value;
}

/* The rows of a value lie where those of a spare one do, which is as wide. */
static void take_spare(Compiler *c, Spare *spare, int64_t value) {
  Life *life = life_of(c, value);
  if (life->place.kind != IN_ARENA || life->inherits) return;
  for (int i = 0; i < spare->n; i++) {
    Life *old = life_of(c, spare->value[i]);
    if (old->n_bytes != life->n_bytes) continue;
    old->heir = value;
    life->inherits = true;
    spare->value[i] = spare->value[--spare->n];
    return;
  }
}

/* Is the item of a chain the last that reads what another of the chain makes? */
static bool ends_here(const Compiler *c, int64_t value, int item) {
  const Life *life = life_of(c, value);
  int maker = c->spots[value / MAX_OUT].item;
  return maker != NOBODY && maker != item &&
         c->item_chain[maker] == c->item_chain[item] && life->last_item == item &&
         life->dies == life->born && life->heir == NOBODY &&
         life->place.kind == IN_ARENA;
}

/* An item of a chain writes over rows that those before it have read for the last time:
 * other threads are at other rows, wherever they are in the chain. */
static void reuse_in_item(Compiler *c, Spare *spare, int item) {
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    int64_t i = c->item_nodes[at];
    OpByRow how;
    if (!by_row(c->walk.v[i], &how)) continue;
    for (int o = 0; o < c->walk.v[i]->n_out; o++)
      if (how.out >> o & 1) take_spare(c, spare, value_of(i, o));
  }
  for (int at = c->item_first[item]; at < c->item_first[item + 1]; at++) {
    const Node *node = c->walk.v[c->item_nodes[at]];
    for (int k = 0; k < node->n_in; k++) {
      int64_t value = c->spots[node->in[k]->index].value;
      if (ends_here(c, value, item)) add_spare(spare, value);
    }
  }
}

void plan_reuse_rows(Compiler *c) {
  Spare spare = {.n = 0};
  for (int item = 0; item < c->n_items; item++) {
    if (c->item_chain[item] == NOBODY || c->item_chain[item] == item) spare.n = 0;
    if (c->item_chain[item] != NOBODY) reuse_in_item(c, &spare, item);
  }
}

/* -- running ----------------------------------------------------------------------- */

int64_t plan_chain_blocks(const PlanChain *chain) {
  return divide_up(chain->n_rows, chain->block);
}

void plan_run_chain(const Plan *plan, const PlanChain *chain, int64_t block,
                    bool may_stop) {
  int64_t first = block * chain->block;
  int64_t n = least(chain->block, chain->n_rows - first);
  const PlanItem *item = plan->items + chain->first_item;
  for (const PlanItem *end = item + chain->n_items; item < end; item++) {
    const OpCall *call = item->members[0].call;
    if (may_stop && interrupt_pending()) return;
    if (item->is_group) plan_run_rows(item, chain->n_rows, first, n);
    else call->op->run_rows(call, first, n);
  }
}
