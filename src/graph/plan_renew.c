/* plan_renew.c: gradients that are made with the update that reads them.
 *
 * A gradient of weights is mostly a product that is written once and read once, by its
 * update. Then both are one item, at commit: a thread makes some rows of the gradient
 * in memory of its own, and at once renews those rows of the weights and the slots. The
 * whole of such a gradient is never there. What a chain makes (plan_chain.c) is in the
 * cache of its thread for the job after it: there only large gradients gain.
 *
 *   phase 0   y, the right factor, is copied as products read it
 *   phase 1   rows of x^T y, then of the update
 *
 * Its range is not measured; that of its factors bounds it (plan_proof.c). */
#include "graph/ops_matmul.h"
#include "graph/plan_compile.h"
#include "base/ints.h"
#include <stdlib.h>

enum {
  LEAST = 1 << 12,     /* elements of a gradient, */
  LEAST_CHAIN = 1 << 18, /* and where a chain makes y */
  FACTOR = 1 << 17,    /* of y, at most: it is read again for each block */
  ELEMENTS = 48 << 10, /* of the rows of a block, at most, but that there are */
  BLOCKS = 4,          /* so many, of so many rows: */
  ROWS = 12,
  COPIED = 16          /* rows of y that a block copies */
};

/* -- which ones -------------------------------------------------------------------- */

static bool in_chain(const Compiler *c, const Node *in) {
  return c->spots[plan_leader(c, c->spots[in->index].value / MAX_OUT)].chained;
}

static bool is_worth_it(const Compiler *c, const Node *node) {
  if (node->op != &op_record_matmul) return false;
  const Shape *x = &node->in[0]->shape, *y = &node->in[1]->shape;
  if (x->rank != 2 || y->rank != 2) return false;
  Gemm gemm = matmul_gemm(x, y, node->attr);
  int64_t n = shape_count(&node->shape);
  return n >= (in_chain(c, node->in[1]) ? LEAST_CHAIN : LEAST) &&
         shape_count(y) <= FACTOR && shape_count(x) + shape_count(y) < 2 * n &&
         gemm_goes_by_copy(&gemm);
}

/* The node that input k of a late update stands for, if that may be made with it;
 * NOBODY. readers: of each node's values. */
static int64_t product_of(const Compiler *c, const Node *update, int k,
                          const int *readers) {
  const Node *in = update->in[k];
  int64_t i = c->spots[in->index].value / MAX_OUT;
  bool alone = plan_computes(c, i) && readers[i] == 1 && plan_is_direct(c, in) &&
               shape_equal(&in->shape, &update->shape);
  return alone && is_worth_it(c, c->walk.v[i]) ? i : NOBODY;
}

static void join(Compiler *c, int64_t update, const int *readers) {
  const Node *node = c->walk.v[update];
  for (int k = 0; k < node->n_in; k++) {
    int64_t product = product_of(c, node, k, readers);
    if (product == NOBODY) continue;
    c->spots[product].late = true;
    c->spots[product].next = c->spots[product].with = update;
    c->spots[update].with = product;
    return;
  }
}

static void count_readers(const Compiler *c, int *readers) {
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int k = 0; plan_computes(c, i) && k < c->walk.v[i]->n_in; k++)
      readers[c->spots[c->walk.v[i]->in[k]->index].value / MAX_OUT]++;
  for (int r = 0; r < c->n_roots; r++)
    readers[c->spots[c->roots[r]->index].value / MAX_OUT]++;
}

/* Those that are made with their updates have no turn of their own. */
static void drop_turns(Compiler *c) {
  int64_t n = 0;
  for (int64_t k = 0; k < c->n_turns; k++)
    if (!c->spots[c->turns[k]].late) c->turns[n++] = c->turns[k];
  c->n_turns = n;
}

Err plan_join_products(Compiler *c) {
  int *readers = calloc((size_t)c->walk.n + 1, sizeof *readers);
  if (!readers)
    return fault_memory(&c->graph->fault, (size_t)c->walk.n * sizeof *readers);
  count_readers(c, readers);
  for (int64_t i = 0; i < c->walk.n; i++) {
    const Op *op = c->walk.v[i]->op;
    if (c->spots[i].late && op->flags & OP_UPDATE && op->run_rows) join(c, i, readers);
  }
  free(readers);
  drop_turns(c);
  return ERR_OK;
}

/* -- cutting, running -------------------------------------------------------------- */

static Gemm gemm_of(const OpCall *product) {
  Gemm gemm = matmul_gemm(&product->in[0].shape, &product->in[1].shape, product->attr);
  gemm.a = product->in[0].data;
  gemm.b = product->in[1].data;
  return gemm;
}

void plan_cut_renewal(PlanItem *item, int64_t *n_blocks) {
  Gemm gemm = gemm_of(item->members[0].call);
  int64_t fewest = most(divide_up(gemm.M, BLOCKS), ROWS);
  item->rows = least(least(most(ELEMENTS / gemm.N, 1), fewest), gemm.M);
  n_blocks[0] = divide_up(gemm.K, COPIED);
  n_blocks[1] = divide_up(gemm.M, item->rows);
  item->split = (OpSplit){.n_phases = RENEWAL_PHASES, .n_blocks = n_blocks,
                          .scratch_bytes = gemm_copy_bytes(&gemm),
                          .own_bytes = (size_t)(item->rows * gemm.N) * sizeof(real)};
  for (int m = 0; m < item->n_members; m++) {
    int64_t unused;
    item->split.work += op_split(item->members[m].call, 1, &unused).work;
  }
}

/* The update of n rows from `first` on, with those of the gradient at `made`. */
static void renew_rows(const PlanMember *member, int64_t first, int64_t n,
                       const real *made) {
  OpCall update = *member->call;
  Array in[MAX_IN];
  int64_t row = update.out[0].shape.dim[1];
  for (int k = 0; k < update.n_in; k++) {
    in[k] = update.in[k];
    if (member->in[k].kind == IN_TILE) /* from where the first row of all would be */
      in[k].data = (void *)((uintptr_t)made - (size_t)(first * row) * sizeof *made);
  }
  update.in = in;
  update.op->run_rows(&update, first, n);
}

void plan_run_renewal(const PlanItem *item, int phase, int64_t block) {
  const OpCall *product = item->members[0].call;
  Gemm gemm = gemm_of(product);
  if (phase == 0) {
    int64_t first = block * COPIED;
    gemm_copy_rows(&gemm, product->scratch, first, least(COPIED, gemm.K - first));
    return;
  }
  int64_t first = block * item->rows, n = least(item->rows, gemm.M - first);
  real *made = op_own(product);
  gemm_run_copied(&gemm, product->scratch, first, n, made);
  renew_rows(&item->members[1], first, n, made);
}
