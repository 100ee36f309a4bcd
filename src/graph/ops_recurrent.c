/* ops_recurrent.c: a long short-term memory over a whole sequence, as one op.
 *
 *   a_t = x_t W_x + h_{t-1} W_h + b                 [N, 4 H], in the order i f g o
 *   i, f, o = sigmoid of their parts,  g = tanh
 *   c_t = f c_{t-1} + i g,    h_t = o tanh(c_t)
 *
 * where the mask of a step is above 1/2; elsewhere h and c stay what they were, and
 * x_t, which may be anything, is not used. x is [N, T, F]; weight [F + H + 1, 4 H] is
 * W_x, W_h and b one below the other; a state [N, 2 H] is h beside c.
 *
 * Derivation. With d for dL/d, from the last step back, at steps that count:
 *   dc += dh o (1 - tanh(c_t)^2)
 *   da = (dc g i (1 - i), dc c_{t-1} f (1 - f), dc i (1 - g^2), dh tanh(c_t) o (1 - o))
 *   dx_t = da W_x^T,   dh_{t-1} = da W_h^T,   dc_{t-1} = dc f
 * and dW_x, dW_h, db are the sums over steps of x_t^T da, h_{t-1}^T da and da: one
 * product each at the end. The gradient op computes the steps forward again, so that
 * the forward keeps nothing; it is differentiated through its expansion, the gradient
 * of the plain equations.
 *
 * Runs. Blocks of ROWS examples go through all steps on their own. Sizes of all
 * products depend on the shape alone.
 *
 * Sources: Hochreiter, Schmidhuber, Neural Computation 9, 1997; Gers, Schmidhuber,
 * Cummins, Neural Computation 12, 2000 (the forget gate). */
#include "graph/ops.h"
#include "base/ints.h"
#include "graph/graph_private.h"
#include "kernel/gemm.h"
#include "kernel/kernel.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, COLUMNS = 64, GATES = 4 };
enum { X, WEIGHT, STATE, MASK, N_FORWARD };            /* inputs of lstm */
enum { G_Y, G_STATE, G_X, G_WEIGHT, G_FIRST, G_MASK }; /* inputs of lstm_grad */

typedef struct Lstm {
  int64_t N, T, F, H;
  const real *x, *weight, *state, *mask; /* NULL before a run */
} Lstm;

/* From the inputs of lstm, which stand at `in`. */
static Lstm lstm_of(const Array *in) {
  const Shape *x = &in[X].shape;
  return (Lstm){.N = x->dim[0], .T = x->dim[1], .F = x->dim[2],
                .H = in[STATE].shape.dim[1] / 2, .x = in[X].data,
                .weight = in[WEIGHT].data,
                .state = in[STATE].data, .mask = in[MASK].data};
}

/* The rows of the weight behind those of x: those of h, then the bias. */
static const real *weight_h(const Lstm *v) { return v->weight + v->F * GATES * v->H; }
static const real *bias_of(const Lstm *v) { return weight_h(v) + v->H * GATES * v->H; }

/* -- shapes ------------------------------------------------------------------------ */

/* Do the inputs of lstm, which stand at `in`, fit? */
static Err check_inputs(const OpInfer *io, Node *const *in) {
  const Shape *x = &in[X]->shape, *w = &in[WEIGHT]->shape, *s = &in[STATE]->shape;
  const Shape *m = &in[MASK]->shape;
  char text[4][SHAPE_TEXT];
  for (int i = 0; i < io->n_in; i++)
    if (infer_need_real(io, i)) return io->fault->code;
  if (x->rank == 3 && w->rank == 2 && s->rank == 2 && m->rank == 2 &&
      s->dim[1] % 2 == 0 && s->dim[0] == x->dim[0] &&
      w->dim[0] == x->dim[2] + s->dim[1] / 2 + 1 && w->dim[1] == 2 * s->dim[1] &&
      m->dim[0] == x->dim[0] && m->dim[1] == x->dim[1])
    return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "got x %s, weight %s, state %s, mask %s; allowed: [N, T, F], [F + H "
                   "+ 1, 4 H], [N, 2 H], [N, T]",
                   shape_text(text[0], x), shape_text(text[1], w),
                   shape_text(text[2], s), shape_text(text[3], m));
}

static Err lstm_infer(OpInfer *io) {
  if (check_inputs(io, io->in)) return io->fault->code;
  const Shape *x = &io->in[X]->shape, *s = &io->in[STATE]->shape;
  io->out_shape[0] = SHAPE_OF(x->dim[0], x->dim[1], s->dim[1] / 2);
  io->out_shape[1] = *s;
  return ERR_OK;
}

static Err lstm_grad_infer(OpInfer *io) {
  if (check_inputs(io, io->in + G_X)) return io->fault->code;
  for (int o = 0; o < 3; o++) io->out_shape[o] = io->in[G_X + o]->shape;
  const Shape *y = &io->in[G_Y]->shape, *s = &io->in[G_FIRST]->shape;
  if (y->rank == 3 && y->dim[2] == s->dim[1] / 2 &&
      shape_equal(&io->in[G_STATE]->shape, s))
    return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "the gradients do not fit the results");
}

/* -- one step of a block of rows --------------------------------------------------- */

static void multiply(const Gemm *gemm) {
  for (int64_t b = 0, n = gemm_blocks(gemm); b < n; b++) gemm_run_block(gemm, b);
}

/* Where a step of n rows, from row `first` on, reads and writes. */
typedef struct Step {
  int64_t first, n, t;
  real *x;             /* [n, F]: 0 where the step does not count */
  real *gates;         /* [n, 4 H]: i f g o */
  real *hidden;        /* [n, 4 H]: for the product with h */
  const real *h0, *c0; /* [n, H]: before */
  real *h1, *c1;       /* after */
} Step;

static bool counts(const Lstm *v, int64_t row, int64_t t) {
  return v->mask[row * v->T + t] > (real)0.5;
}

static void take_inputs(const Lstm *v, const Step *s) {
  for (int64_t r = 0; r < s->n; r++) {
    real *to = s->x + r * v->F;
    const real *from = v->x + ((s->first + r) * v->T + s->t) * v->F;
    if (counts(v, s->first + r, s->t)) memcpy(to, from, (size_t)v->F * sizeof *to);
    else memset(to, 0, (size_t)v->F * sizeof *to);
  }
}

static void cell_row(const Lstm *v, const Step *s, int64_t r) {
  int64_t H = v->H;
  real *a = s->gates + r * GATES * H;
  const real *hidden = s->hidden + r * GATES * H, *c0 = s->c0 + r * H;
  const real *bias = bias_of(v);
  real *c1 = s->c1 + r * H, *h1 = s->h1 + r * H;
  for (int64_t j = 0; j < GATES * H; j++) a[j] += hidden[j] + bias[j];
  kernels()->sigmoid(a, a, 2 * H);
  kernels()->tanh(a + 2 * H, a + 2 * H, H);
  kernels()->sigmoid(a + 3 * H, a + 3 * H, H);
  for (int64_t j = 0; j < H; j++) c1[j] = a[H + j] * c0[j] + a[j] * a[2 * H + j];
  kernels()->tanh(h1, c1, H);
  for (int64_t j = 0; j < H; j++) h1[j] *= a[3 * H + j];
}

static void cell(const Lstm *v, const Step *s) {
  int64_t H = v->H;
  take_inputs(v, s);
  multiply(&(Gemm){.M = s->n, .N = GATES * H, .K = v->F, .a = s->x, .b = v->weight,
                   .c = s->gates});
  multiply(&(Gemm){.M = s->n, .N = GATES * H, .K = H, .a = s->h0, .b = weight_h(v),
                   .c = s->hidden});
  for (int64_t r = 0; r < s->n; r++) {
    if (counts(v, s->first + r, s->t)) {
      cell_row(v, s, r);
      continue;
    }
    memcpy(s->h1 + r * H, s->h0 + r * H, (size_t)H * sizeof(real));
    memcpy(s->c1 + r * H, s->c0 + r * H, (size_t)H * sizeof(real));
  }
}

/* The rows of a state, h and c apart. */
static void split_state(const Lstm *v, const real *state, int64_t first, int64_t n,
                        real *h, real *c) {
  for (int64_t r = 0; r < n; r++) {
    const real *from = state + (first + r) * 2 * v->H;
    memcpy(h + r * v->H, from, (size_t)v->H * sizeof *h);
    memcpy(c + r * v->H, from + v->H, (size_t)v->H * sizeof *c);
  }
}

static void join_state(const Lstm *v, real *state, int64_t first, int64_t n,
                       const real *h, const real *c) {
  for (int64_t r = 0; r < n; r++) {
    real *to = state + (first + r) * 2 * v->H;
    memcpy(to, h + r * v->H, (size_t)v->H * sizeof *h);
    memcpy(to + v->H, c + r * v->H, (size_t)v->H * sizeof *c);
  }
}

static int64_t lstm_work(const Lstm *v) {
  return 2 * v->N * v->T * GATES * v->H * (v->F + v->H + 8);
}

/* -- lstm -------------------------------------------------------------------------- */

/* Memory of a block: x, gates, hidden, and h and c twice. */
static int64_t block_reals(const Lstm *v) {
  return (ROWS * (v->F + 2 * GATES * v->H + 4 * v->H) + 15) / 16 * 16;
}

static void lstm_split(const OpCall *call, OpSplit *split) {
  Lstm v = lstm_of(call->in);
  split->n_blocks[0] = divide_up(v.N, ROWS);
  split->scratch_bytes = (size_t)(split->n_blocks[0] * block_reals(&v)) * sizeof(real);
  split->work = lstm_work(&v);
}

static void lstm_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Lstm v = lstm_of(call->in);
  int64_t H = v.H, first = block * ROWS, n = least(ROWS, v.N - first);
  real *at = (real *)call->scratch + block * block_reals(&v), *y = call->out[0].data;
  Step s = {.first = first, .n = n, .x = at, .gates = at + ROWS * v.F};
  s.hidden = s.gates + ROWS * GATES * H;
  real *h = s.hidden + ROWS * GATES * H, *c = h + ROWS * H;
  split_state(&v, v.state, first, n, h, c);
  s.h0 = h, s.c0 = c, s.h1 = c + ROWS * H, s.c1 = s.h1 + ROWS * H;
  for (s.t = 0; s.t < v.T; s.t++) {
    cell(&v, &s);
    for (int64_t r = 0; r < n; r++)
      memcpy(y + ((first + r) * v.T + s.t) * H, s.h1 + r * H, (size_t)H * sizeof *y);
    memcpy(h, s.h1, (size_t)(n * H) * sizeof *h);
    memcpy(c, s.c1, (size_t)(n * H) * sizeof *c);
  }
  join_state(&v, call->out[1].data, first, n, h, c);
}

/* -- lstm_grad --------------------------------------------------------------------- */

/* Of all steps, one behind the other, each with all rows: what the weights' products
 * take. */
typedef struct Tape {
  real *x, *gates; /* [T, N, F], [T, N, 4 H]: of a step gone back through: da */
  real *h, *c;     /* [T + 1, N, H]: before each step; then the last */
  real *blocks;    /* memory of the blocks */
} Tape;

static int64_t grad_block_reals(const Lstm *v) {
  return (ROWS * (GATES * v->H + 4 * v->H + v->F) + 15) / 16 * 16;
}

static Tape tape_of(const Lstm *v, void *scratch) {
  int64_t steps = v->T * v->N;
  Tape tape = {.x = scratch};
  tape.gates = tape.x + steps * v->F;
  tape.h = tape.gates + steps * GATES * v->H;
  tape.c = tape.h + (steps + v->N) * v->H;
  tape.blocks = tape.c + (steps + v->N) * v->H;
  return tape;
}

/* Of weight_ih, or of weight_hh, which lies behind it. */
static Gemm weight_product(const Lstm *v, const Tape *tape, real *gw, bool of_h) {
  return (Gemm){.M = of_h ? v->H : v->F, .N = GATES * v->H, .K = v->T * v->N,
                .transpose_a = true, .a = of_h ? tape->h : tape->x, .b = tape->gates,
                .c = gw && of_h ? gw + v->F * GATES * v->H : gw};
}

static void lstm_grad_split(const OpCall *call, OpSplit *split) {
  Lstm v = lstm_of(call->in + G_X);
  Tape tape = {0};
  Gemm x = weight_product(&v, &tape, NULL, false),
       h = weight_product(&v, &tape, NULL, true);
  int64_t steps = v.T * v.N;
  split->n_blocks[0] = divide_up(v.N, ROWS);
  split->n_blocks[1] = gemm_blocks(&x) + gemm_blocks(&h) +
                       divide_up(GATES * v.H, COLUMNS);
  split->scratch_bytes = (size_t)(steps * (v.F + GATES * v.H) +
                                  2 * (steps + v.N) * v.H +
                                  split->n_blocks[0] * grad_block_reals(&v)) *
                         sizeof(real);
  split->work = 4 * lstm_work(&v);
}

/* What flows back through a block of rows. */
typedef struct Back {
  real *dh, *dc;          /* [n, H] */
  real *tanh_c, *product; /* [H], [n, H] */
  real *dx;               /* [n, F] */
} Back;

/* da of a row in place of its gates; dc moves to the step before. */
static void back_row(const Lstm *v, real *a, const real *c0, const real *c1,
                     const real *dh, real *dc, real *tanh_c) {
  int64_t H = v->H;
  kernels()->tanh(tanh_c, c1, H);
  for (int64_t j = 0; j < H; j++) {
    real i = a[j], f = a[H + j], g = a[2 * H + j], o = a[3 * H + j], th = tanh_c[j];
    real d = dc[j] + dh[j] * o * (1 - th * th);
    a[j] = d * g * i * (1 - i);
    a[H + j] = d * c0[j] * f * (1 - f);
    a[2 * H + j] = d * i * (1 - g * g);
    a[3 * H + j] = dh[j] * th * o * (1 - o);
    dc[j] = d * f;
  }
}

static void back_step(const Lstm *v, const Tape *tape, const Back *b, int64_t first,
                      int64_t n, int64_t t, const real *gy, real *gx) {
  int64_t H = v->H, at = t * v->N + first;
  real *a = tape->gates + at * GATES * H;
  for (int64_t r = 0; r < n; r++) {
    const real *from = gy + ((first + r) * v->T + t) * H;
    for (int64_t j = 0; j < H; j++) b->dh[r * H + j] += from[j];
    if (counts(v, first + r, t))
      back_row(v, a + r * GATES * H, tape->c + (at + r) * H,
               tape->c + (at + v->N + r) * H, b->dh + r * H, b->dc + r * H, b->tanh_c);
    else memset(a + r * GATES * H, 0, (size_t)(GATES * H) * sizeof *a);
  }
  multiply(&(Gemm){.M = n, .N = H, .K = GATES * H, .transpose_b = true, .a = a,
                   .b = weight_h(v),
                   .c = b->product});
  multiply(&(Gemm){.M = n, .N = v->F, .K = GATES * H, .transpose_b = true, .a = a,
                   .b = v->weight,
                   .c = b->dx});
  for (int64_t r = 0; r < n; r++) {
    if (counts(v, first + r, t))
      memcpy(b->dh + r * H, b->product + r * H, (size_t)H * sizeof *a);
    memcpy(gx + ((first + r) * v->T + t) * v->F, b->dx + r * v->F,
           (size_t)v->F * sizeof *a);
  }
}

/* All steps of a block of rows forward, onto the tape, then back. */
static void grad_rows(const OpCall *call, int64_t block) {
  Lstm v = lstm_of(call->in + G_X);
  Tape tape = tape_of(&v, call->scratch);
  int64_t H = v.H, first = block * ROWS, n = least(ROWS, v.N - first);
  real *memory = tape.blocks + block * grad_block_reals(&v);
  split_state(&v, v.state, first, n, tape.h + first * H, tape.c + first * H);
  for (int64_t t = 0; t < v.T; t++) {
    int64_t at = t * v.N + first, next = at + v.N;
    cell(&v, &(Step){.first = first, .n = n, .t = t, .x = tape.x + at * v.F,
                     .gates = tape.gates + at * GATES * H, .hidden = memory,
                     .h0 = tape.h + at * H, .c0 = tape.c + at * H,
                     .h1 = tape.h + next * H,
                     .c1 = tape.c + next * H});
  }
  real *rest = memory + ROWS * GATES * H;
  Back b = {.dh = rest, .dc = rest + ROWS * H, .tanh_c = rest + 2 * ROWS * H,
            .product = rest + 3 * ROWS * H, .dx = rest + 4 * ROWS * H};
  split_state(&v, call->in[G_STATE].data, first, n, b.dh, b.dc);
  for (int64_t t = v.T - 1; t >= 0; t--)
    back_step(&v, &tape, &b, first, n, t, call->in[G_Y].data, call->out[0].data);
  join_state(&v, call->out[2].data, first, n, b.dh, b.dc);
}

/* Columns of db, in double. */
static void grad_bias(const Lstm *v, const Tape *tape, real *gb, int64_t block) {
  int64_t width = GATES * v->H, first = block * COLUMNS,
          n = least(COLUMNS, width - first);
  double sum[COLUMNS] = {0};
  for (int64_t i = 0; i < v->T * v->N; i++)
    for (int64_t j = 0; j < n; j++)
      sum[j] += (double)tape->gates[i * width + first + j];
  for (int64_t j = 0; j < n; j++) gb[first + j] = (real)sum[j];
}

static void lstm_grad_run(const OpCall *call, int phase, int64_t block) {
  if (phase == 0) {
    grad_rows(call, block);
    return;
  }
  Lstm v = lstm_of(call->in + G_X);
  Tape tape = tape_of(&v, call->scratch);
  real *gw = call->out[1].data;
  Gemm x = weight_product(&v, &tape, gw, false),
       h = weight_product(&v, &tape, gw, true);
  int64_t n_x = gemm_blocks(&x), n_h = gemm_blocks(&h);
  if (block < n_x) gemm_run_block(&x, block);
  else if (block < n_x + n_h) gemm_run_block(&h, block - n_x);
  else grad_bias(&v, &tape, gw + (v.F + v.H) * GATES * v.H, block - n_x - n_h);
}

/* -- the plain equations ----------------------------------------------------------- */

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* A step of one example in plain loops: the gates a [4 H], from which c moves on; h
 * follows. */
static void plain_step(int64_t F, int64_t H, const double *w, const double *x,
                       double *h, double *c, double *a) {
  int64_t width = GATES * H;
  for (int64_t j = 0; j < width; j++) {
    a[j] = w[(F + H) * width + j];
    for (int64_t k = 0; k < F; k++) a[j] += x[k] * w[k * width + j];
    for (int64_t k = 0; k < H; k++) a[j] += h[k] * w[(F + k) * width + j];
    a[j] = j / H == 2 ? tanh(a[j]) : logistic(a[j]);
  }
  for (int64_t j = 0; j < H; j++) {
    c[j] = a[H + j] * c[j] + a[j] * a[2 * H + j];
    h[j] = a[3 * H + j] * tanh(c[j]);
  }
}

static void lstm_reference(const OpCall *call, const double *const *in,
                           double *const *out) {
  const Shape *x = &call->in[X].shape;
  int64_t N = x->dim[0], T = x->dim[1], F = x->dim[2],
          H = call->in[STATE].shape.dim[1] / 2;
  double *a = malloc((size_t)(GATES * H) * sizeof *a);
  must(a);
  memcpy(out[1], in[STATE], (size_t)(N * 2 * H) * sizeof *a);
  for (int64_t i = 0; i < N * T; i++) {
    double *h = out[1] + i / T * 2 * H;
    if (in[MASK][i] > 0.5) plain_step(F, H, in[WEIGHT], in[X] + i * F, h, h + H, a);
    memcpy(out[0] + i * H, h, (size_t)H * sizeof *a);
  }
  free(a);
}

/* A step back: a becomes da; what flows into x, the weights and the state (d: dh beside
 * dc). */
static void plain_back(int64_t F, int64_t H, const double *w, const double *x,
                       const double *state, double *a, double *d, double *gx,
                       double *gw) {
  int64_t width = GATES * H;
  for (int64_t j = 0; j < H; j++) {
    double i = a[j], f = a[H + j], z = a[2 * H + j], o = a[3 * H + j];
    double th = tanh(f * state[H + j] + i * z),
           dc = d[H + j] + d[j] * o * (1 - th * th);
    a[j] = dc * z * i * (1 - i);
    a[H + j] = dc * state[H + j] * f * (1 - f);
    a[2 * H + j] = dc * i * (1 - z * z);
    a[3 * H + j] = d[j] * th * o * (1 - o);
    d[H + j] = dc * f;
    d[j] = 0;
  }
  for (int64_t j = 0; j < width; j++) {
    for (int64_t k = 0; k < F; k++) {
      gx[k] += a[j] * w[k * width + j];
      gw[k * width + j] += a[j] * x[k];
    }
    for (int64_t k = 0; k < H; k++) {
      d[k] += a[j] * w[(F + k) * width + j];
      gw[(F + k) * width + j] += a[j] * state[k];
    }
    gw[(F + H) * width + j] += a[j];
  }
}

static void lstm_grad_reference(const OpCall *call, const double *const *in,
                                double *const *out) {
  const Shape *x = &call->in[G_X].shape;
  int64_t N = x->dim[0], T = x->dim[1], F = x->dim[2],
          S = call->in[G_FIRST].shape.dim[1];
  int64_t H = S / 2;
  double *states = malloc((size_t)((T + 1) * S + T * 2 * S) * sizeof *states);
  must(states);
  double *gates = states + (T + 1) * S;
  for (int o = 0; o < 3; o++)
    memset(out[o], 0, (size_t)shape_count(&call->out[o].shape) * sizeof **out);
  for (int64_t n = 0; n < N; n++) {
    double *d = memcpy(out[2] + n * S, in[G_STATE] + n * S, (size_t)S * sizeof *d);
    memcpy(states, in[G_FIRST] + n * S, (size_t)S * sizeof *states);
    for (int64_t t = 0; t < T; t++) {
      double *next = memcpy(states + (t + 1) * S, states + t * S,
                            (size_t)S * sizeof *next);
      if (in[G_MASK][n * T + t] > 0.5)
        plain_step(F, H, in[G_WEIGHT], in[G_X] + (n * T + t) * F, next, next + H,
                   gates + t * 2 * S);
    }
    for (int64_t t = T - 1; t >= 0; t--) {
      int64_t at = n * T + t;
      for (int64_t j = 0; j < H; j++) d[j] += in[G_Y][at * H + j];
      if (in[G_MASK][at] > 0.5)
        plain_back(F, H, in[G_WEIGHT], in[G_X] + at * F, states + t * S,
                   gates + t * 2 * S, d, out[0] + at * F, out[1]);
    }
  }
  free(states);
}

/* Elements from `start` of axis `axis`. */
static Node *part(Graph *g, Node *x, int axis, int64_t start, int64_t n) {
  int64_t from[MAX_RANK] = {0}, count[MAX_RANK], step[MAX_RANK];
  for (int a = 0; x && a < x->shape.rank; a++) {
    count[a] = a == axis ? n : x->shape.dim[a];
    step[a] = 1;
  }
  from[axis] = start;
  return x ? op_slice(g, x, from, count, step) : NULL;
}

static Node *step_of(Graph *g, Node *x, int64_t t) {
  Node *step = part(g, x, 1, t, 1);
  return step ? op_reshape(g, step, &SHAPE_OF(x->shape.dim[0], x->shape.dim[2])) : NULL;
}

/* From the inputs of lstm at `in`: its results by simpler ops. */
static void compose(Graph *g, Node *const *in, Node **out) {
  const Shape *x = &in[X]->shape;
  int64_t N = x->dim[0], T = x->dim[1], F = x->dim[2], H = in[STATE]->shape.dim[1] / 2;
  Node *w_x = part(g, in[WEIGHT], 0, 0, F), *w_h = part(g, in[WEIGHT], 0, F, H);
  Node *b = part(g, in[WEIGHT], 0, F + H, 1), *zero = graph_scalar(g, 0);
  Node *h = part(g, in[STATE], 1, 0, H), *c = part(g, in[STATE], 1, H, H), *y = NULL;
  for (int64_t t = 0; t < T && !g->fault.code; t++) {
    Node *on = op_gt(g, part(g, in[MASK], 1, t, 1), graph_scalar(g, 0.5));
    Node *a = op_matmul(g, op_where(g, on, step_of(g, in[X], t), zero), w_x);
    a = op_add(g, op_add(g, a, op_matmul(g, h, w_h)), b);
    Node *i = op_sigmoid(g, part(g, a, 1, 0, H)),
         *f = op_sigmoid(g, part(g, a, 1, H, H));
    Node *z = op_tanh(g, part(g, a, 1, 2 * H, H));
    Node *o = op_sigmoid(g, part(g, a, 1, 3 * H, H));
    Node *next = op_add(g, op_mul(g, f, c), op_mul(g, i, z));
    h = op_where(g, on, op_mul(g, o, op_tanh(g, next)), h);
    c = op_where(g, on, next, c);
    Node *step = op_reshape(g, h, &SHAPE_OF(N, 1, H));
    y = y ? op_concat(g, (Node *[]){y, step}, 2, 1) : step;
  }
  out[0] = y;
  out[1] = op_concat(g, (Node *[]){h, c}, 2, 1);
}

static void lstm_expand(Graph *g, Node *y, Node **out) { compose(g, y->in, out); }

/* The gradient of the plain equations. */
static void lstm_grad_expand(Graph *g, Node *node, Node **out) {
  Node *in[N_FORWARD], *results[2] = {0};
  for (int i = 0; i < MASK; i++) in[i] = graph_track(g, node->in[G_X + i]);
  in[MASK] = node->in[G_MASK];
  compose(g, in, results);
  if (!g->fault.code &&
      grad_many(g, results, (Node *[]){node->in[G_Y], node->in[G_STATE]}, 2, in, MASK,
                out))
    out[0] = NULL;
}

static void lstm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx) {
  Node *in[] = {gy[0] ? gy[0] : op_full(g, 0, &y->out_shape[0]),
                gy[1] ? gy[1] : op_full(g, 0, &y->out_shape[1]), y->in[X],
                y->in[WEIGHT],
                y->in[STATE], y->in[MASK]};
  Node *all = graph_apply(g, &op_record_lstm_grad, in, 6, NULL, 0);
  for (int i = 0; i < MASK; i++)
    if (want[i]) gx[i] = graph_pick(g, all, i);
}

Node *op_lstm(Graph *g, Node *x, Node *weight, Node *state, Node *mask) {
  return graph_apply(g, &op_record_lstm, (Node *[]){x, weight, state, mask}, 4, NULL,
                     0);
}

/* -- records ----------------------------------------------------------------------- */

#define SEQUENCE(n, t, f, h)                                                           \
  {.shape = {3, {n, t, f}}}, {.shape = {2, {f + h + 1, 4 * h}}, .lo = -1, .hi = 1},    \
      {.shape = {2, {n, 2 * h}}}, {.shape = {2, {n, t}}, .lo = 0, .hi = 1}
#define BACKWARD(n, t, f, h)                                                           \
  {.shape = {3, {n, t, h}}}, {.shape = {2, {n, 2 * h}}}, SEQUENCE(n, t, f, h)

static const Sample lstm_samples[] = {{4, {SEQUENCE(1, 1, 1, 1)}, 0, NULL},
                                      {4, {SEQUENCE(3, 4, 2, 3)}, 0, NULL},
                                      {4, {SEQUENCE(19, 3, 5, 2)}, 0, NULL},
                                      SAMPLES_END};
static const Sample lstm_grad_samples[] = {{6, {BACKWARD(1, 1, 1, 1)}, 0, NULL},
                                           {6, {BACKWARD(3, 4, 2, 3)}, 0, NULL},
                                           {6, {BACKWARD(19, 3, 5, 2)}, 0, NULL},
                                           SAMPLES_END};

#define LSTM_SOURCE                                                                    \
  "Hochreiter & Schmidhuber, Neural Computation 9, 1997; Gers et al., Neural "         \
  "Computation 12, 2000"

const Op op_record_lstm = {
    .name = "lstm", .n_in = 4, .n_out = 2, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"x", "weight", "state", "mask"},
    .doc = "a long short-term memory over x [N, T, F]: its h at each step [N, T, H] "
           "and the last h beside c [N, 2 H]; steps whose mask [N, T] is 0 change "
           "nothing",
    .equation = "c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)",
    .source = LSTM_SOURCE, .infer = lstm_infer, .split = lstm_split, .run = lstm_run,
    .vjp = lstm_vjp, .expand = lstm_expand, .reference = lstm_reference,
    .samples = lstm_samples};

const Op op_record_lstm_grad = {
    .name = "lstm_grad", .n_in = 6, .n_out = 3, .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "gstate", "x", "weight", "state", "mask"},
    .doc = "the gradients of lstm's x, weight and state, given those of its results",
    .equation = "back through time", .source = LSTM_SOURCE,
    .infer = lstm_grad_infer, .phases = op_two_phases,
    .split = lstm_grad_split, .run = lstm_grad_run,
    .expand = lstm_grad_expand, .reference = lstm_grad_reference,
    .samples = lstm_grad_samples};
