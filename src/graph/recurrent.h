/* recurrent.h: recurrent cells over a whole sequence, as one op each: the walk that all
 * share (ops_recurrent.c), and what a cell says of itself (ops_rnn.c, ops_lstm.c,
 * ops_gru.c).
 *
 * Letters: N examples of T steps with F features; H units; x [N, T, F]. A cell has a
 * state of S matrices [N, H], the first of which is h, its result; at each step
 *
 *   a = x W_x [N, G H],    u = h drop,    (u W_h) [N, G H],    bias [B H]
 *
 * enter it. drop [N, H], which may be left out, is the dropout of what the products
 * take, the same at all steps. W_h is one matrix [H, G H], or several side by side, for
 * a cell of which one product depends on another. `weight` is flat: W_x, then the
 * matrices of W_h, then the bias, row by row. A state [N, S H] is its parts side by
 * side. The mask [N, T] is 1 at the steps that count; elsewhere the state stays what it
 * was, and x may be anything.
 *
 * Attributes: form (of the cell), reverse (the last step first), keep (a third result:
 * what the way back needs). Results: h of all steps [N, T, H], in their places, and the
 * last state [N, S H]. */
#ifndef GRAPH_RECURRENT_H
#define GRAPH_RECURRENT_H

#include "graph/op.h"
#include "graph/ops.h"
#include <complex.h>

typedef struct Cell Cell;

enum { CELL_PRODUCTS = 2, CELL_PARTS = 3 };

/* A run: its sizes, arrays and packed weights. */
typedef struct Recurrent {
  const Cell *cell;
  int64_t N, T, F, H;
  bool reverse;
  const real *x, *weight, *state, *mask, *drop; /* drop: NULL: none */
  const real *bias;                             /* the end of the weight */
  real *y, *kept; /* results; kept: of step s and example r in row s N + r */
  real *taken;    /* in the same rows, [F + H]: x and u, what products take */
  bool keep;      /* else there are neither */
  /* packed, of each part: W_x, or [W_x; W_h]; W_h alone, on the way back transposed */
  real *packed_x[CELL_PARTS], *packed_h[CELL_PARTS];
  const real *ahead; /* what a step's products fetch meanwhile: n_ahead reals */
  int64_t n_ahead;
} Recurrent;

/* A step of a block of n examples. */
typedef struct CellStep {
  int64_t n;
  const bool *on;   /* of each: does the step count? */
  real *a;          /* [n, G H]: x W_x, of parts that are joined x W_x + u W_h; may be
                       written */
  real *spare;      /* [n, G H] */
  const real *used; /* [n, H], rows F + H apart: u, or 0 */
  real *h, *rest;   /* [n, H], [n, (S - 1) H]: the state, to be replaced */
  real *kept;       /* [n, kept H] */
} CellStep;

/* The same on the way back. Rows of examples for which the step does not count are set
 * already: da and dq are 0. */
typedef struct CellBack {
  int64_t n;
  const bool *on;
  const real *h0, *rest0;      /* the state before the step ... */
  int64_t h0_step, rest0_step; /* ... from row to row */
  const real *kept;
  const real *used; /* [n, H], rows F + H apart: u */
  real *second;     /* [n, H]: what a second product took */
  real *da;         /* [n, G H] */
  real *dq;         /* [n, H]: of the part of the products that is none of a */
  real *dh, *drest; /* [n, H]: of the state after the step; what flows past the
                       products to that before it takes their place */
  real *du;         /* [n, H]: of u, to be added to; it may be dh */
  real *spare;      /* [n, H] */
  double *bias;     /* [B H]: to be added to; the sums of da are there */
} CellBack;

/* The plain equations for one example, in numbers a + b i: with a tiny b in one of
 * them, the results' b is the derivative, to all digits (Squire & Trapp, SIAM Review
 * 40, 1998). */
typedef struct PlainStep {
  int64_t H;
  double complex *a, *spare; /* [G H] */
  const double complex *w_h, *bias, *u;
  double complex *h, *rest;
} PlainStep;

/* The same as nodes. */
typedef struct ComposeStep {
  int64_t H;
  Node *a, *u, *h, *rest;      /* [N, G H], [N, H] ... */
  Node *w_h[CELL_PRODUCTS];    /* [H, columns H] */
  Node *bias;                  /* [B, H] */
  Node *gain_h[CELL_PRODUCTS]; /* of the normalized products, NULL: as they are */
  const RecurrentNorms *norms; /* NULL: none */
} ComposeStep;

/* Some columns of products, in H: of a, from `first` on, to which x W_x adds them (x);
 * of W_h, those from `at` on of matrix p (-1: none). A part is joined where both lie
 * one above the other in the weight: it is one product, of [x u]. */
typedef struct CellPart {
  int first, n;
  bool x;
  int p, at;
} CellPart;

struct Cell {
  int gates, states, n_bias; /* G, S, B */
  int kept;                  /* what a row keeps, in H; it begins with the rest */
  int n_products, columns[CELL_PRODUCTS]; /* of each matrix of W_h, in H */
  int n_parts;
  CellPart parts[CELL_PARTS];
  void (*step)(const Recurrent *v, const CellStep *s);
  void (*back)(const Recurrent *v, const CellBack *s);
  void (*plain)(const PlainStep *s);
  /* Replaces h and rest. */
  void (*compose)(Graph *g, ComposeStep *s);
};

/* Op.own of both ops of a cell. */
typedef struct CellOps {
  const Op *grad;
  int n_forms;
  const Cell *const *forms;
} CellOps;

/* Inputs of a cell's op, and of its gradient's; results of that; attributes of both. */
enum { IN_X, IN_WEIGHT, IN_STATE, IN_MASK, IN_DROP };
enum { G_Y, G_STATE, G_X, G_KEPT_Y = G_X + IN_MASK + 1, G_KEPT, G_DROP };
enum { GRAD_WEIGHT, GRAD_STATE, GRAD_X, GRAD_DROP };
enum { ATTR_FORM, ATTR_REVERSE, ATTR_KEEP, ATTR_INPUTS = ATTR_KEEP };
/* Which inputs beside weight and state have a gradient: none, x, or x and drop. */
enum { INPUTS_NONE, INPUTS_X, INPUTS_ALL };

/* -- sizes ------------------------------------------------------------------------- */

static inline const Cell *recurrent_cell(const Op *op, const Attr *attr) {
  const CellOps *ops = op->own;
  must(attr[ATTR_FORM].i >= 0 && attr[ATTR_FORM].i < ops->n_forms);
  return ops->forms[attr[ATTR_FORM].i];
}

static inline int64_t recurrent_columns(const Cell *cell) {
  int64_t sum = 0;
  for (int p = 0; p < cell->n_products; p++) sum += cell->columns[p];
  return sum;
}

static inline int64_t recurrent_weight_size(const Cell *cell, int64_t F, int64_t H) {
  return (F * cell->gates + H * recurrent_columns(cell) + cell->n_bias) * H;
}

/* Where matrix p of W_h begins in the weight, and behind the last the bias. */
static inline int64_t recurrent_weight_place(const Recurrent *v, int p) {
  int64_t at = v->F * v->cell->gates * v->H;
  for (int i = 0; i < p; i++) at += v->H * v->cell->columns[i] * v->H;
  return at;
}

/* From the first inputs of a cell's op, which are at `in`. */
static inline Recurrent recurrent_of(const Op *op, const Attr *attr, const Array *in) {
  Recurrent v = {.cell = recurrent_cell(op, attr), .N = in[IN_X].shape.dim[0],
                 .T = in[IN_X].shape.dim[1], .F = in[IN_X].shape.dim[2],
                 .reverse = attr[ATTR_REVERSE].i, .x = in[IN_X].data,
                 .weight = in[IN_WEIGHT].data, .state = in[IN_STATE].data,
                 .mask = in[IN_MASK].data};
  v.H = in[IN_STATE].shape.dim[1] / v.cell->states;
  if (v.weight) v.bias = v.weight + recurrent_weight_place(&v, v.cell->n_products);
  return v;
}

static inline int64_t recurrent_width(const Recurrent *v) {
  return v->cell->gates * v->H;
}
/* Of a row of `taken`. */
static inline int64_t recurrent_taken(const Recurrent *v) { return v->F + v->H; }
static inline int64_t recurrent_rest(const Recurrent *v) {
  return (v->cell->states - 1) * v->H;
}

/* The step in x of the s-th one that is taken. */
static inline int64_t recurrent_time(const Recurrent *v, int64_t s) {
  return v->reverse ? v->T - 1 - s : s;
}

/* -- for cells --------------------------------------------------------------------- */

/* out (+)= u W_h of a part that is not joined: n rows, row_out and row_u apart. */
void recurrent_product(const Recurrent *v, int part, real *out, int64_t row_out,
                       const real *u, int64_t row_u, int64_t n, bool add);
/* On the way back: out [n, H] (+)= d W_h^T, where d is the part of da, or dq. */
void recurrent_product_back(const Recurrent *v, const CellBack *s, int part, real *out,
                            bool add);
/* out [columns H] (+)= u W_h of plain numbers. */
void plain_product(double complex *out, const double complex *u,
                   const double complex *w, int64_t H, int64_t columns);
/* Columns first H to (first + n) H, and row i as [1, H]. */
Node *compose_part(Graph *g, Node *x, int64_t H, int first, int n);
Node *compose_bias(Graph *g, const ComposeStep *s, int i);
/* u W_h of matrix p, and the rest as h sees it. */
Node *compose_product(Graph *g, const ComposeStep *s, int p, Node *u);
Node *compose_rest(Graph *g, const ComposeStep *s);

/* -- records ----------------------------------------------------------------------- */

Err recurrent_infer(OpInfer *io);
void recurrent_split(const OpCall *call, OpSplit *split);
void recurrent_run(const OpCall *call, int phase, int64_t block);
void recurrent_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx);
void recurrent_expand(Graph *g, Node *y, Node **out);
void recurrent_reference(const OpCall *call, const double *const *in,
                         double *const *out);
Err recurrent_grad_infer(OpInfer *io);
int recurrent_grad_phases(const OpCall *call);
void recurrent_grad_split(const OpCall *call, OpSplit *split);
void recurrent_grad_run(const OpCall *call, int phase, int64_t block);
void recurrent_grad_expand(Graph *g, Node *node, Node **out);
void recurrent_grad_reference(const OpCall *call, const double *const *in,
                              double *const *out);
extern const char *const recurrent_inputs[], *const recurrent_grad_inputs[];
extern const OpAttr recurrent_attrs[], recurrent_grad_attrs[];

/* Fields of the record of a cell's op, and of its gradient's. */
#define RECURRENT_OP(word)                                                             \
  .n_in = 5, .n_out = 2, .n_optional = 1, .flags = OP_INTERNAL, .own = &word##_ops,    \
  .inputs = recurrent_inputs, .attrs = recurrent_attrs, .infer = recurrent_infer,      \
  .phases = op_two_phases, .split = recurrent_split, .run = recurrent_run,             \
  .vjp = recurrent_vjp, .expand = recurrent_expand, .reference = recurrent_reference
#define RECURRENT_GRAD_OP(word)                                                        \
  .n_in = 9, .n_out = 2, .n_optional = 3, .flags = OP_INTERNAL, .own = &word##_ops,    \
  .inputs = recurrent_grad_inputs, .attrs = recurrent_grad_attrs,                      \
  .equation = "back through time", .infer = recurrent_grad_infer,                      \
  .phases = recurrent_grad_phases, .split = recurrent_grad_split,                      \
  .run = recurrent_grad_run, .expand = recurrent_grad_expand,                          \
  .reference = recurrent_grad_reference

/* Inputs of samples: N, T, F, H of a cell with G gates, S states and a bias of B. */
#define RECURRENT_SAMPLE(n, t, f, h, G, S, B)                                          \
  {.shape = {3, {n, t, f}}},                                                           \
      {.shape = {1, {((f) + (h)) * (G) * (h) + (B) * (h)}}, .lo = -1, .hi = 1},        \
      {.shape = {2, {n, (S) * (h)}}}, {.shape = {2, {n, t}}, .lo = 0, .hi = 1}
#define RECURRENT_DROP(n, h)                                                           \
  { .shape = {2, {n, h}}, .lo = 0, .hi = 2 }
#define RECURRENT_BACK_OF(n, t, f, h, G, S, B, y)                                      \
  {.shape = {3, {n, t, y}}}, {.shape = {2, {n, (S) * (h)}}},                           \
      RECURRENT_SAMPLE(n, t, f, h, G, S, B)
#define RECURRENT_BACK(n, t, f, h, G, S, B) RECURRENT_BACK_OF(n, t, f, h, G, S, B, h)

#endif
