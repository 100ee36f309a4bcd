/* ops_recurrent.c: the walk of recurrent cells through a sequence, forward and back;
 * see recurrent.h.
 *
 * Runs. Blocks of ROWS examples go through all steps on their own. W_x and W_h are
 * packed once (kernel.def, gemm_pack), in the parts of the cell: where both products
 * are summed they are one, of [x u] and [W_x; W_h]. Back, with d for dL/d, from the
 * last step:
 *
 *   (da, dq, du, dh, drest) by the cell,   dx = da W_x^T,   dh += drop du
 *
 * and after each span of some steps dW_x and dW_h += x^T da and u^T (da, dq) of their
 * rows, while these are in the caches; the bias is summed in double. da and dq are
 * packed for that when they have been computed: rows of several KB, read again by
 * columns, cost a sixth of the step. The forward op leaves what the way back needs,
 * where it is asked to; else that computes it again. While a step's product runs, the
 * rows of `kept` that come next are fetched, which are too many for the caches. The
 * gradient op is differentiated through its expansion, the gradient of plain ops.
 *
 * Bits. Sums of products do not depend on the rows beside (vector/gemm.c), so an
 * example's results are those that it has alone, and steps that do not count change
 * none. */
#include "graph/recurrent.h"
#include "base/ints.h"
#include "graph/ops.h"
#include "kernel/kernel.h"
#include <string.h>

enum { ROWS = 16 };
/* Columns of a piece of a factor, and of a cache line: see Back. */
enum { PIECE_LEAST = 48, PIECE_MOST = 128, LINE = 16 };
const char *const recurrent_inputs[] = {"x", "weight", "state", "mask", "drop"};
const char *const recurrent_grad_inputs[] = {"gy", "gstate", "x", "weight", "state",
                                             "mask", "y", "kept", "drop"};
#define FORM_ATTR                                                                      \
  { .name = "form", .kind = ATTR_INT, .lo = 0, .hi = 16 }
#define REVERSE_ATTR                                                                   \
  { .name = "reverse", .kind = ATTR_BOOL }
const OpAttr recurrent_attrs[] = {
    FORM_ATTR, REVERSE_ATTR, {.name = "keep", .kind = ATTR_BOOL}, {.name = NULL}};
const OpAttr recurrent_grad_attrs[] = {
    FORM_ATTR,
    REVERSE_ATTR,
    {.name = "inputs", .kind = ATTR_INT, .lo = 0, .hi = INPUTS_ALL},
    {.name = NULL}};

/* -- shapes ------------------------------------------------------------------------ */

static Err check_inputs(OpInfer *io, Node *const *in) {
  const Cell *cell = recurrent_cell(io->op, io->attr);
  const Shape *x = &in[IN_X]->shape, *w = &in[IN_WEIGHT]->shape,
              *s = &in[IN_STATE]->shape;
  const Shape *m = &in[IN_MASK]->shape;
  char text[4][SHAPE_TEXT];
  for (int i = 0; i < io->n_in; i++)
    if (infer_need_real(io, i)) return io->fault->code;
  if (x->rank == 3 && x->dim[1] >= 1 && w->rank == 1 && s->rank == 2 && m->rank == 2 &&
      s->dim[1] % cell->states == 0 && s->dim[0] == x->dim[0] &&
      w->dim[0] == recurrent_weight_size(cell, x->dim[2], s->dim[1] / cell->states) &&
      m->dim[0] == x->dim[0] && m->dim[1] == x->dim[1])
    return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "got x %s, weight %s, state %s, mask %s; allowed: [N, T, F], T >= "
                   "1, flat, "
                   "[N, %d H], [N, T]",
                   shape_text(text[0], x), shape_text(text[1], w),
                   shape_text(text[2], s), shape_text(text[3], m), cell->states);
}

/* The arrays of the way back have these shapes: h of all steps, what is kept, drop. */
static Shape shape_of_part(const OpInfer *io, Node *const *in, int part) {
  const Cell *cell = recurrent_cell(io->op, io->attr);
  int64_t N = in[IN_X]->shape.dim[0], T = in[IN_X]->shape.dim[1];
  int64_t H = in[IN_STATE]->shape.dim[1] / cell->states;
  int64_t F = in[IN_X]->shape.dim[2];
  if (part == G_KEPT) return SHAPE_OF(N * T, cell->kept * H + F + H);
  return part == G_DROP ? SHAPE_OF(N, H) : SHAPE_OF(N, T, H);
}

static Err check_part(OpInfer *io, Node *const *in, int i, int part) {
  Shape want = shape_of_part(io, in, part);
  char got[SHAPE_TEXT], text[SHAPE_TEXT];
  if (shape_equal(&io->in[i]->shape, &want)) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s", io->op->inputs[i],
                   shape_text(got, &io->in[i]->shape), shape_text(text, &want));
}

Err recurrent_infer(OpInfer *io) {
  if (check_inputs(io, io->in)) return io->fault->code;
  if (io->n_in > IN_DROP && check_part(io, io->in, IN_DROP, G_DROP))
    return io->fault->code;
  io->out_shape[0] = shape_of_part(io, io->in, G_KEPT_Y);
  io->out_shape[1] = io->in[IN_STATE]->shape;
  if (!io->attr[ATTR_KEEP].i) return ERR_OK;
  io->out_shape[io->n_out++] = shape_of_part(io, io->in, G_KEPT);
  return ERR_OK;
}

/* The gradient of h of all steps, where there is none: of no elements. */
static Shape no_gradient(const Shape *x) { return SHAPE_OF(x->dim[0], x->dim[1], 0); }

Err recurrent_grad_infer(OpInfer *io) {
  Node *const *in = io->in + G_X;
  if (check_inputs(io, in)) return io->fault->code;
  for (int i = G_KEPT_Y; i < io->n_in; i++)
    if (check_part(io, in, i, i)) return io->fault->code;
  const Shape none = no_gradient(&in[IN_X]->shape);
  if (!shape_equal(&io->in[G_Y]->shape, &none) && check_part(io, in, G_Y, G_KEPT_Y))
    return io->fault->code;
  if (!shape_equal(&io->in[G_STATE]->shape, &in[IN_STATE]->shape))
    return fault_set(io->fault, ERR_SHAPE, "gstate is not of the state's shape");
  io->out_shape[GRAD_WEIGHT] = in[IN_WEIGHT]->shape;
  io->out_shape[GRAD_STATE] = in[IN_STATE]->shape;
  io->out_shape[GRAD_X] = in[IN_X]->shape;
  io->out_shape[GRAD_DROP] = shape_of_part(io, in, G_DROP);
  io->n_out += (int)io->attr[ATTR_INPUTS].i;
  return ERR_OK;
}

/* -- memory ------------------------------------------------------------------------ */

/* Hands out reals at 64 bytes; without a base, 0, it only counts. */
typedef struct Carve {
  uintptr_t base;
  int64_t used;
} Carve;

static real *take(Carve *c, int64_t n) {
  uintptr_t at = c->base + (size_t)c->used * sizeof(real);
  c->used += divide_up(n, 16) * 16;
  return (real *)at; /* NOLINT: not used without a base */
}

/* What the way back needs lies in one array. */
static void give_kept(Recurrent *v, real *kept) {
  v->kept = kept;
  v->taken = kept ? kept + v->N * v->T * v->cell->kept * v->H : NULL;
}

static int64_t n_blocks_of(const Recurrent *v) { return divide_up(v->N, ROWS); }

/* -- parts of products ------------------------------------------------------------- */

static const CellPart *part_of(const Recurrent *v, int64_t part) {
  return &v->cell->parts[part];
}
static int64_t part_columns(const Recurrent *v, int64_t part) {
  return part_of(v, part)->n * v->H;
}
static bool is_joined(const Recurrent *v, int64_t part) {
  const CellPart *at = part_of(v, part);
  return at->x && at->p == 0 && at->first == at->at &&
         v->cell->columns[0] == v->cell->gates;
}
/* Is there a product of W_h alone? */
static bool has_own(const Recurrent *v, int64_t part) {
  return part_of(v, part)->p >= 0 && !is_joined(v, part);
}
/* What the product with W_x takes: x, or u, too. */
static int64_t input_columns(const Recurrent *v, int64_t part) {
  return is_joined(v, part) ? recurrent_taken(v) : v->F;
}
/* Its first column of W_x, and of W_h, in the weight; whose rows are so far apart. */
static int64_t place_x(const Recurrent *v, int64_t part) {
  return part_of(v, part)->first * v->H;
}
static int64_t place_h(const Recurrent *v, int64_t part) {
  const CellPart *at = part_of(v, part);
  return recurrent_weight_place(v, at->p) + at->at * v->H;
}
static int64_t row_h(const Recurrent *v, int64_t part) {
  return v->cell->columns[part_of(v, part)->p] * v->H;
}

static void take_packed(Recurrent *v, Carve *c) {
  for (int i = 0; i < v->cell->n_parts; i++) {
    int64_t n = part_columns(v, i);
    v->packed_x[i] = part_of(v, i)->x ? take(c, GEMM_PACKED(n, input_columns(v, i)))
                                      : NULL;
    v->packed_h[i] = has_own(v, i) ? take(c, GEMM_PACKED(n, v->H)) : NULL;
  }
}

static void pack(const Recurrent *v, int64_t part) {
  int64_t n = part_columns(v, part);
  if (v->packed_x[part])
    kernels()->gemm_pack(v->packed_x[part], v->weight + place_x(v, part), n,
                         input_columns(v, part), recurrent_width(v), false);
  if (v->packed_h[part])
    kernels()->gemm_pack(v->packed_h[part], v->weight + place_h(v, part), n, v->H,
                         row_h(v, part), false);
}

/* -- a block of examples forward --------------------------------------------------- */

/* Memory of a block. */
typedef struct Block {
  int64_t first, n;
  real *taken;     /* [ROWS, F + H] */
  real *a, *spare; /* [ROWS, G H] */
  real *h, *rest;  /* [ROWS, H], [ROWS, (S - 1) H] */
  real *kept;      /* [ROWS, kept H] */
} Block;

static Block take_block(const Recurrent *v, Carve *c, int64_t block) {
  int64_t first = block * ROWS, width = recurrent_width(v);
  Block b = {.first = first, .n = least(ROWS, v->N - first)};
  b.taken = take(c, ROWS * recurrent_taken(v));
  b.a = take(c, ROWS * width);
  b.spare = take(c, ROWS * width);
  b.h = take(c, ROWS * v->H);
  b.rest = take(c, ROWS * recurrent_rest(v));
  b.kept = take(c, ROWS * v->cell->kept * v->H);
  return b;
}

static int64_t block_reals(const Recurrent *v) {
  Carve c = {0};
  take_block(v, &c, 0);
  return c.used;
}

static bool counts(const Recurrent *v, int64_t row, int64_t s) {
  return v->mask[row * v->T + recurrent_time(v, s)] > (real)0.5;
}

static int64_t kept_row(const Recurrent *v, const Block *b, int64_t s) {
  return s * v->N + b->first;
}

/* Rows of x of step s of the block; 0 where it does not count. */
static void take_inputs(const Recurrent *v, const Block *b, int64_t s, real *to) {
  for (int64_t r = 0; r < b->n; r++, to += recurrent_taken(v)) {
    const real *from = v->x + ((b->first + r) * v->T + recurrent_time(v, s)) * v->F;
    if (counts(v, b->first + r, s)) memcpy(to, from, (size_t)v->F * sizeof *to);
    else memset(to, 0, (size_t)v->F * sizeof *to);
  }
}

/* A product of the walk; with that of u and the first part comes what is next. */
static void product(const Recurrent *v, bool fetches, real *out, const real *a,
                    const real *packed, GemmPacked form) {
  if (fetches) form.ahead = v->ahead, form.n_ahead = v->n_ahead;
  kernels()->gemm_packed(out, a, packed, &form);
}

void recurrent_product(const Recurrent *v, int part, real *out, int64_t row_out,
                       const real *u, int64_t row_u, int64_t n, bool add) {
  GemmPacked form = {.M = n, .N = part_columns(v, part), .K = v->H, .row_a = row_u,
                     .row_c = row_out, .add = add};
  product(v, part == 0, out, u, v->packed_h[part], form);
}

/* What the products of step s take. */
static real *taken_of(const Recurrent *v, const Block *b, int64_t s) {
  return v->keep ? v->taken + kept_row(v, b, s) * recurrent_taken(v) : b->taken;
}

/* a of a step, of what its products take. */
static void inputs_of(const Recurrent *v, const Block *b, const real *taken) {
  for (int i = 0; i < v->cell->n_parts; i++) {
    GemmPacked form = {.M = b->n, .N = part_columns(v, i), .K = input_columns(v, i),
                       .row_a = recurrent_taken(v), .row_c = recurrent_width(v)};
    if (part_of(v, i)->x)
      product(v, i == 0 && is_joined(v, i), b->a + place_x(v, i), taken, v->packed_x[i],
              form);
  }
}

/* u of step s; 0 where it does not count. */
static void take_state(const Recurrent *v, const Block *b, const bool *on, real *to) {
  int64_t H = v->H;
  for (int64_t r = 0; r < b->n; r++, to += recurrent_taken(v)) {
    const real *h = b->h + r * H, *drop = v->drop ? v->drop + (b->first + r) * H : NULL;
    if (!on[r]) memset(to, 0, (size_t)H * sizeof *to);
    else if (!drop) memcpy(to, h, (size_t)H * sizeof *to);
    for (int64_t j = 0; on[r] && drop && j < H; j++) to[j] = h[j] * drop[j];
  }
}

/* What a row that does not count keeps: the rest of its state. */
static void keep_rest(const Recurrent *v, real *kept, const real *rest) {
  memset(kept, 0, (size_t)(v->cell->kept * v->H) * sizeof *kept);
  memcpy(kept, rest, (size_t)recurrent_rest(v) * sizeof *kept);
}

static void forward_step(const Recurrent *v, const Block *b, int64_t s) {
  bool on[ROWS];
  int64_t K = v->cell->kept * v->H, H = v->H;
  real *taken = taken_of(v, b, s);
  for (int64_t r = 0; r < b->n; r++) on[r] = counts(v, b->first + r, s);
  take_inputs(v, b, s, taken);
  take_state(v, b, on, taken + v->F);
  inputs_of(v, b, taken);
  CellStep step = {.n = b->n, .on = on, .a = b->a, .spare = b->spare,
                   .used = taken + v->F, .h = b->h, .rest = b->rest,
                   .kept = v->keep ? v->kept + kept_row(v, b, s) * K : b->kept};
  v->cell->step(v, &step);
  for (int64_t r = 0; r < b->n; r++) {
    if (!on[r] && v->keep)
      keep_rest(v, step.kept + r * K, b->rest + r * recurrent_rest(v));
    memcpy(v->y + ((b->first + r) * v->T + recurrent_time(v, s)) * H, b->h + r * H,
           (size_t)H * sizeof *v->y);
  }
}

/* Between the rows of a state and its parts. */
static void split_state(const Recurrent *v, const Block *b, const real *state, real *h,
                        real *rest) {
  int64_t H = v->H, n_rest = recurrent_rest(v);
  for (int64_t r = 0; r < b->n; r++) {
    const real *from = state + (b->first + r) * (H + n_rest);
    memcpy(h + r * H, from, (size_t)H * sizeof *h);
    memcpy(rest + r * n_rest, from + H, (size_t)n_rest * sizeof *h);
  }
}

static void join_state(const Recurrent *v, const Block *b, real *state, const real *h,
                       const real *rest) {
  int64_t H = v->H, n_rest = recurrent_rest(v);
  for (int64_t r = 0; r < b->n; r++) {
    real *to = state + (b->first + r) * (H + n_rest);
    memcpy(to, h + r * H, (size_t)H * sizeof *h);
    memcpy(to + H, rest + r * n_rest, (size_t)n_rest * sizeof *h);
  }
}

static void forward_block(const Recurrent *run, const Block *b) {
  Recurrent v = *run;
  v.n_ahead = v.keep ? b->n * v.cell->kept * v.H : 0;
  split_state(&v, b, v.state, b->h, b->rest);
  for (int64_t s = 0; s < v.T; s++) {
    if (v.keep) v.ahead = v.kept + kept_row(&v, b, s) * v.cell->kept * v.H;
    forward_step(&v, b, s);
  }
}

static int64_t forward_work(const Recurrent *v) {
  int64_t columns = recurrent_columns(v->cell) * v->H;
  return 2 * v->N * v->T * (recurrent_width(v) * (v->F + 16) + columns * v->H);
}

/* -- the op ------------------------------------------------------------------------ */

static Recurrent forward_of(const OpCall *call, Carve *c) {
  Recurrent v = recurrent_of(call->op, call->attr, call->in);
  v.drop = call->n_in > IN_DROP ? call->in[IN_DROP].data : NULL;
  v.y = call->out[0].data;
  v.keep = call->attr[ATTR_KEEP].i;
  if (v.keep) give_kept(&v, call->out[2].data);
  take_packed(&v, c);
  return v;
}

void recurrent_split(const OpCall *call, OpSplit *split) {
  Carve c = {0};
  Recurrent v = forward_of(call, &c);
  split->n_blocks[0] = v.cell->n_parts;
  split->n_blocks[1] = n_blocks_of(&v);
  split->scratch_bytes = (size_t)(c.used + n_blocks_of(&v) * block_reals(&v)) *
                         sizeof(real);
  split->work = forward_work(&v);
}

void recurrent_run(const OpCall *call, int phase, int64_t block) {
  Carve c = {(uintptr_t)call->scratch, 0};
  Recurrent v = forward_of(call, &c);
  if (phase == 0) {
    pack(&v, block);
    return;
  }
  c.used += block * block_reals(&v);
  Block b = take_block(&v, &c, block);
  forward_block(&v, &b);
  join_state(&v, &b, call->out[1].data, b.h, b.rest);
}

/* -- the way back ------------------------------------------------------------------ */

/* All of it; rows of all steps lie in the order of `kept`.
 *
 * Steps are taken in spans, the last one first: all blocks go through its steps, then
 * its part is added to the gradients of the weights. Factors of these products are what
 * the products took, and, packed, the parts of da and dq, each step's when it has been
 * computed. They are cut in pieces of columns, which are the blocks of the products. */
typedef struct Back {
  Recurrent v;
  bool again;                          /* what is kept must be computed first */
  const real *gy, *gstate;             /* gy: NULL: none */
  real *gweight, *gfirst, *gx, *gdrop; /* results; gx, gdrop: NULL: not wanted */
  real *back_x, *back_h[CELL_PARTS];   /* packed: of W_x^T and W_h^T */
  real *second;                        /* [N T, H]: what a second product took */
  real *packed_d[CELL_PARTS];          /* da, dq of a span: see packed_at */
  double *bias;                        /* [blocks, B H] */
  Carve rest;                          /* of the blocks */
} Back;

static int64_t n_pieces(int64_t columns) {
  return columns < 2 * PIECE_LEAST ? 1 : 2 * divide_up(columns, 2 * PIECE_MOST);
}
static int64_t piece_start(int64_t columns, int64_t i) {
  return least(columns, i * divide_up(columns, LINE) / n_pieces(columns) * LINE);
}

/* Of as many rows, about, as a gradient of weights has: then what is added to is read
 * and written no more often than what is added. */
static int64_t n_spans(const Recurrent *v) {
  int64_t rows = divide_up(recurrent_taken(v), GEMM_DEPTH) * GEMM_DEPTH;
  return divide_up(v->T, most(1, rows / most(1, v->N)));
}
static int64_t span_start(const Recurrent *v, int64_t i) {
  return i * v->T / n_spans(v);
}
static int64_t span_rows(const Recurrent *v, int64_t i) {
  return (span_start(v, i + 1) - span_start(v, i)) * v->N;
}

static int64_t piece_reals(const Recurrent *v, int i) {
  int64_t columns = part_columns(v, i), rows = divide_up(v->T, n_spans(v)) * v->N;
  return GEMM_PACKED(divide_up(columns, n_pieces(columns)) + LINE, rows);
}

/* A piece of part i. */
static real *packed_at(const Back *g, int i, int64_t piece) {
  return g->packed_d[i] + piece * piece_reals(&g->v, i);
}

static void take_back(Back *g, Carve *c) {
  const Recurrent *v = &g->v;
  const Cell *cell = v->cell;
  int64_t rows = v->N * v->T, H = v->H;
  if (g->again) {
    g->v.y = take(c, rows * H);
    give_kept(&g->v, take(c, rows * (cell->kept * H + recurrent_taken(v))));
    take_packed(&g->v, c);
  }
  g->back_x = take(c, GEMM_PACKED(v->F, recurrent_width(v)));
  for (int i = 0; i < cell->n_parts; i++)
    g->back_h[i] = part_of(v, i)->p >= 0 ? take(c, GEMM_PACKED(H, part_columns(v, i)))
                                         : NULL;
  g->second = cell->n_products > 1 ? take(c, rows * H) : NULL;
  for (int i = 0; i < cell->n_parts; i++)
    g->packed_d[i] = take(c, n_pieces(part_columns(v, i)) * piece_reals(v, i));
  int64_t per_real = (int64_t)(sizeof(double) / sizeof(real));
  g->bias = (double *)(void *)take(c, n_blocks_of(v) * cell->n_bias * H * per_real);
  g->rest = *c;
}

static Back back_of(const OpCall *call, void *scratch) {
  Carve c = {(uintptr_t)scratch, 0};
  Back g = {.v = recurrent_of(call->op, call->attr, call->in + G_X),
            .again = call->n_in <= G_KEPT,
            .gy = call->in[G_Y].shape.dim[2] ? call->in[G_Y].data : NULL,
            .gstate = call->in[G_STATE].data, .gweight = call->out[GRAD_WEIGHT].data,
            .gfirst = call->out[GRAD_STATE].data};
  if (call->n_out > GRAD_X) g.gx = call->out[GRAD_X].data;
  if (call->n_out > GRAD_DROP) g.gdrop = call->out[GRAD_DROP].data;
  g.v.drop = call->n_in > G_DROP ? call->in[G_DROP].data : NULL;
  g.v.keep = true;
  take_back(&g, &c);
  if (g.again) return g;
  g.v.y = call->in[G_KEPT_Y].data; /* only read from here on */
  give_kept(&g.v, call->in[G_KEPT].data);
  return g;
}

/* Packs number `block`: those of the way forward first, if they are needed. */
static void pack_back(const Back *g, int64_t block) {
  const Recurrent *v = &g->v;
  int64_t n_forward = g->again ? v->cell->n_parts : 0, part = block - n_forward - 1;
  if (block < n_forward) pack(v, block);
  else if (part < 0 && g->gx)
    kernels()->gemm_pack(g->back_x, v->weight, v->F, recurrent_width(v),
                         recurrent_width(v), true);
  else if (part >= 0 && g->back_h[part])
    kernels()->gemm_pack(g->back_h[part], v->weight + place_h(v, part), v->H,
                         part_columns(v, part), row_h(v, part), true);
}

/* A part of da, or dq, and how far its rows are apart. */
static const real *gradient_of(const Recurrent *v, int64_t part, const real *da,
                               const real *dq, int64_t *row) {
  bool of_a = part_of(v, part)->x;
  *row = of_a ? recurrent_width(v) : part_columns(v, part);
  return of_a ? da + place_x(v, part) : dq;
}

void recurrent_product_back(const Recurrent *v, const CellBack *s, int part, real *out,
                            bool add) {
  int64_t row;
  const real *d = gradient_of(v, part, s->da, s->dq, &row);
  GemmPacked form = {.M = s->n, .N = v->H, .K = part_columns(v, part), .row_a = row,
                     .row_c = v->H, .add = add};
  product(v, part == 0, out, d, v->packed_h[part], form);
}

/* What flows back through a block. */
typedef struct Flow {
  Block block;
  real *dh, *drest, *du, *dx; /* [ROWS, H], [ROWS, (S - 1) H], [ROWS, H], [ROWS, F] */
  real *spare;                /* [ROWS, H] */
  real *da, *dq;              /* [ROWS, G H], [ROWS, H] */
} Flow;

static Flow take_flow(const Recurrent *v, Carve *c, int64_t block) {
  Flow f = {.block = take_block(v, c, block), .dh = take(c, ROWS * v->H)};
  f.drest = take(c, ROWS * recurrent_rest(v));
  f.du = take(c, ROWS * v->H);
  f.dx = take(c, ROWS * v->F);
  f.spare = take(c, ROWS * v->H);
  f.da = take(c, ROWS * recurrent_width(v));
  f.dq = take(c, ROWS * v->H);
  return f;
}

static int64_t flow_reals(const Recurrent *v) {
  Carve c = {0};
  take_flow(v, &c, 0);
  return c.used;
}

static void clear_row(real *x, int64_t row, int64_t n) {
  must(x);
  memset(x + row * n, 0, (size_t)n * sizeof *x);
}

/* dh += gy; rows that do not count are cleared where gradients of weights look. */
static void begin_rows(const Back *g, const Flow *f, int64_t s, CellBack *step,
                       bool *on) {
  const Recurrent *v = &g->v;
  int64_t H = v->H, n = f->block.n;
  for (int64_t r = 0; r < n; r++) {
    int64_t row = f->block.first + r;
    int64_t at = (row * v->T + recurrent_time(v, s)) * H;
    for (int64_t j = 0; g->gy && j < H; j++) f->dh[r * H + j] += g->gy[at + j];
    on[r] = counts(v, row, s);
    if (on[r]) continue;
    clear_row(step->da, r, recurrent_width(v));
    clear_row(step->dq, r, H);
    if (step->second) clear_row(step->second, r, H);
  }
}

/* Through the products to the state before, and to x. */
static void end_rows(const Back *g, const Flow *f, int64_t s, const CellBack *step) {
  const Recurrent *v = &g->v;
  int64_t H = v->H, F = v->F;
  GemmPacked form = {.M = step->n, .N = F, .K = recurrent_width(v),
                     .row_a = recurrent_width(v), .row_c = F};
  if (g->gx) kernels()->gemm_packed(f->dx, step->da, g->back_x, &form);
  for (int64_t r = 0; r < step->n; r++) {
    int64_t row = f->block.first + r;
    if (g->gx)
      memcpy(g->gx + (row * v->T + recurrent_time(v, s)) * F, f->dx + r * F,
             (size_t)F * sizeof(real));
    if (!step->on[r] || !v->drop) continue;
    real *dh = f->dh + r * H;
    const real *du = f->du + r * H, *drop = v->drop + row * H;
    for (int64_t j = 0; j < H; j++) dh[j] += du[j] * drop[j];
    for (int64_t j = 0; g->gdrop && j < H; j++)
      g->gdrop[row * H + j] += du[j] * step->h0[r * step->h0_step + j];
  }
}

/* What gradients of weights take of a step. */
static void pack_step(const Back *g, const Flow *f, int64_t span, int64_t s) {
  const Recurrent *v = &g->v;
  int64_t row_first = (s - span_start(v, span)) * v->N + f->block.first;
  for (int i = 0; i < v->cell->n_parts; i++) {
    int64_t columns = part_columns(v, i), row;
    const real *d = gradient_of(v, i, f->da, f->dq, &row);
    for (int64_t piece = 0; piece < n_pieces(columns); piece++) {
      int64_t j = piece_start(columns, piece), end = piece_start(columns, piece + 1);
      kernels()->gemm_pack_rows(packed_at(g, i, piece), d + j, end - j,
                                span_rows(v, span), row, row_first, f->block.n);
    }
  }
}

/* The state before step s: h as the products took it, unless that was dropped. */
static void find_state(const Recurrent *v, const Block *b, int64_t s, CellBack *step) {
  int64_t K = v->cell->kept * v->H, S = v->H + recurrent_rest(v);
  const real *state = v->state + b->first * S;
  step->h0 = step->used;
  step->h0_step = recurrent_taken(v);
  if (v->drop) {
    step->h0 = s ? v->y + (b->first * v->T + recurrent_time(v, s - 1)) * v->H : state;
    step->h0_step = s ? v->T * v->H : S;
  }
  step->rest0 = s ? step->kept - v->N * K : state + v->H;
  step->rest0_step = s ? K : S;
}

static void back_step(const Back *g, const Recurrent *v, const Flow *f, int64_t span,
                      int64_t s, double *bias) {
  const Cell *cell = v->cell;
  int64_t H = v->H, n = f->block.n, at = kept_row(v, &f->block, s);
  int64_t width = recurrent_width(v);
  bool on[ROWS];
  CellBack step = {.n = n, .on = on, .kept = v->kept + at * cell->kept * H,
                   .used = v->taken + at * recurrent_taken(v) + v->F, .da = f->da,
                   .dq = f->dq,
                   .second = g->second ? g->second + at * H : NULL, .dh = f->dh,
                   .drest = f->drest, .du = v->drop ? f->du : f->dh, .spare = f->spare,
                   .bias = bias};
  if (v->drop) memset(f->du, 0, (size_t)(n * H) * sizeof *f->du);
  find_state(v, &f->block, s, &step);
  begin_rows(g, f, s, &step, on);
  cell->back(v, &step);
  kernels()->reduce_sum_columns(bias, step.da, n, width, width);
  pack_step(g, f, span, s);
  end_rows(g, f, s, &step);
}

/* At the end of all steps. */
static void begin_back(const Back *g, const Flow *f, double *bias) {
  const Recurrent *v = &g->v;
  int64_t n_bias = v->cell->n_bias * v->H;
  if (g->again) forward_block(v, &f->block);
  memset(bias, 0, (size_t)n_bias * sizeof *bias);
  if (g->gdrop)
    memset(g->gdrop + f->block.first * v->H, 0,
           (size_t)(f->block.n * v->H) * sizeof(real));
  split_state(v, &f->block, g->gstate, f->dh, f->drest);
}

/* A block through the steps of a span. */
static void back_block(const Back *g, int64_t block, int64_t span) {
  Carve c = g->rest;
  c.used += block * flow_reals(&g->v);
  Flow f = take_flow(&g->v, &c, block);
  Recurrent v = g->v;
  for (int i = 0; i < v.cell->n_parts; i++) v.packed_h[i] = g->back_h[i];
  double *bias = g->bias + block * v.cell->n_bias * v.H;
  int64_t end = span_start(&v, span + 1);
  if (end == v.T) begin_back(g, &f, bias);
  for (int64_t s = end - 1; s >= span_start(&v, span); s--) {
    v.n_ahead = s > 1 ? f.block.n * v.cell->kept * v.H
                      : 0; /* of a step: the rest, too */
    v.ahead = v.kept + kept_row(&v, &f.block, most(0, s - 2)) * v.cell->kept * v.H;
    back_step(g, &v, &f, span, s, bias);
  }
  if (span == 0) join_state(&v, &f.block, g->gfirst, f.dh, f.drest);
}

/* -- gradients of weights ---------------------------------------------------------- */

/* n columns of a part from j on: c += a^T d, of the span's rows of a and d. */
static void weight_piece(const Back *g, int i, int64_t piece, int64_t span) {
  const Recurrent *v = &g->v;
  int64_t columns = part_columns(v, i), j = piece_start(columns, piece);
  int64_t first = span_start(v, span) * v->N, taken = recurrent_taken(v);
  const real *x = v->taken + first * taken, *packed = packed_at(g, i, piece);
  GemmPacked form = {.N = piece_start(columns, piece + 1) - j, .K = span_rows(v, span),
                     .transposed = true, .add = span + 1 < n_spans(v)};
  if (part_of(v, i)->x) {
    form.row_a = taken, form.M = input_columns(v, i), form.row_c = recurrent_width(v);
    kernels()->gemm_packed(g->gweight + place_x(v, i) + j, x, packed, &form);
  }
  if (!has_own(v, i)) return;
  bool second = part_of(v, i)->p > 0;
  form.row_a = second ? v->H : taken, form.M = v->H, form.row_c = row_h(v, i);
  kernels()->gemm_packed(g->gweight + place_h(v, i) + j,
                         second ? g->second + first * v->H : x + v->F, packed, &form);
}

static void sum_bias(const Back *g) {
  const Recurrent *v = &g->v;
  int64_t n = v->cell->n_bias * v->H;
  real *out = g->gweight + recurrent_weight_place(v, v->cell->n_products);
  for (int64_t j = 0; j < n; j++) {
    double sum = 0;
    for (int64_t b = 0; b < n_blocks_of(v); b++) sum += g->bias[b * n + j];
    out[j] = (real)sum;
  }
}

/* Packing; then of each span its steps, and its part of the gradients of weights. */
int recurrent_grad_phases(const OpCall *call) {
  Recurrent v = recurrent_of(call->op, call->attr, call->in + G_X);
  return 1 + 2 * (int)n_spans(&v);
}

void recurrent_grad_split(const OpCall *call, OpSplit *split) {
  Back g = back_of(call, NULL);
  int64_t n = g.v.cell->n_parts, n_products = 0;
  for (int i = 0; i < n; i++) n_products += n_pieces(part_columns(&g.v, i));
  split->n_blocks[0] = 1 + (g.again ? 2 * n : n);
  for (int phase = 1; phase < split->n_phases; phase++)
    split->n_blocks[phase] = phase % 2 ? n_blocks_of(&g.v) : n_products;
  split->n_blocks[split->n_phases - 1]++; /* the bias */
  split->scratch_bytes = (size_t)(g.rest.used + n_blocks_of(&g.v) * flow_reals(&g.v)) *
                         sizeof(real);
  split->work = (g.again ? 3 : 2) * forward_work(&g.v);
}

void recurrent_grad_run(const OpCall *call, int phase, int64_t block) {
  Back g = back_of(call, call->scratch);
  int64_t span = n_spans(&g.v) - 1 - (phase - 1) / 2;
  if (phase == 0) {
    pack_back(&g, block);
    return;
  }
  if (phase % 2) {
    back_block(&g, block, span);
    return;
  }
  for (int i = 0; i < g.v.cell->n_parts; i++) {
    int64_t n = n_pieces(part_columns(&g.v, i));
    if (block >= 0 && block < n) weight_piece(&g, i, block, span);
    block -= n;
  }
  if (block == 0) sum_bias(&g);
}

/* -- gradient ---------------------------------------------------------------------- */

/* The op with what it keeps: itself, or the same again. */
static Node *keeping(Graph *g, Node *y) {
  Attr attr[] = {y->attr[ATTR_FORM], y->attr[ATTR_REVERSE], {.i = true}};
  return y->n_out > 2 ? y : graph_apply(g, y->op, y->in, y->n_in, attr, 3);
}

void recurrent_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  const CellOps *ops = y->op->own;
  bool dropped = y->n_in > IN_DROP, wants_drop = dropped && want[IN_DROP];
  const Shape none = no_gradient(&y->in[IN_X]->shape);
  Node *in[] = {gy[0] ? gy[0] : op_full(g, 0, &none),
                gy[1] ? gy[1] : op_full(g, 0, &y->out_shape[1]), y->in[IN_X],
                y->in[IN_WEIGHT], y->in[IN_STATE], y->in[IN_MASK], NULL, NULL,
                dropped ? y->in[IN_DROP] : NULL};
  int n_in = G_KEPT_Y;
  if (dropped || y->n_out > 2) {
    Node *all = keeping(g, y);
    in[G_KEPT_Y] = all ? graph_pick(g, all, 0) : NULL;
    in[G_KEPT] = all ? graph_pick(g, all, 2) : NULL;
    n_in = dropped ? G_DROP + 1 : G_KEPT + 1;
  }
  int64_t inputs = wants_drop ? INPUTS_ALL : want[IN_X] ? INPUTS_X : INPUTS_NONE;
  Attr attr[] = {y->attr[ATTR_FORM], y->attr[ATTR_REVERSE], {.i = inputs}};
  Node *all = graph_apply(g, ops->grad, in, n_in, attr, 3);
  if (want[IN_WEIGHT]) gx[IN_WEIGHT] = graph_pick(g, all, GRAD_WEIGHT);
  if (want[IN_STATE]) gx[IN_STATE] = graph_pick(g, all, GRAD_STATE);
  if (want[IN_X]) gx[IN_X] = graph_pick(g, all, GRAD_X);
  if (wants_drop) gx[IN_DROP] = graph_pick(g, all, GRAD_DROP);
}

Node *op_recurrent(Graph *g, const Op *cell, Node *const *in, int n_in,
                   const RecurrentForm *form) {
  Attr attr[] = {{.i = form->form}, {.i = form->reverse}, {.i = form->keep}};
  return graph_apply(g, cell, in, n_in, attr, 3);
}
