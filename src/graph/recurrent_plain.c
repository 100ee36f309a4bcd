/* recurrent_plain.c: recurrent cells by their plain equations, example by example and
 * step by step: in numbers, with which the kernels are compared, and as simpler ops,
 * through which their gradients are differentiated. See recurrent.h. */
#include "base/ints.h"
#include "graph/graph_private.h"
#include "graph/ops.h"
#include "graph/recurrent.h"
#include <stdlib.h>
#include <string.h>

/* -- in numbers -------------------------------------------------------------------- */

void plain_product(double complex *out, const double complex *u,
                   const double complex *w, int64_t H, int64_t columns) {
  for (int64_t k = 0; k < H; k++)
    for (int64_t j = 0; j < columns; j++) out[j] += u[k] * w[k * columns + j];
}

/* Inputs of a run in plain numbers; results. */
typedef struct PlainRun {
  Recurrent v;                                /* its sizes */
  double complex *in[IN_DROP + 1], *y, *last; /* in[IN_MASK]: not used */
  const double *mask;
  double complex *a, *u; /* [2 G H], [H] */
} PlainRun;

static void plain_step(const PlainRun *p, int64_t n, int64_t s) {
  const Recurrent *v = &p->v;
  int64_t H = v->H, width = recurrent_width(v), S = H + recurrent_rest(v),
          t = recurrent_time(v, s);
  double complex *h = p->last + n * S;
  const double complex *x = p->in[IN_X] + (n * v->T + t) * v->F;
  if (p->mask[n * v->T + t] > 0.5) {
    for (int64_t j = 0; j < H; j++)
      p->u[j] = p->in[IN_DROP] ? h[j] * p->in[IN_DROP][n * H + j] : h[j];
    memset(p->a, 0, (size_t)(2 * width) * sizeof *p->a);
    plain_product(p->a, x, p->in[IN_WEIGHT], v->F, width);
    v->cell->plain(&(PlainStep){.H = H, .a = p->a, .spare = p->a + width,
                                .w_h = p->in[IN_WEIGHT] + recurrent_weight_place(v, 0),
                                .bias = p->in[IN_WEIGHT] +
                                        recurrent_weight_place(v, v->cell->n_products),
                                .u = p->u, .h = h, .rest = h + H});
  }
  memcpy(p->y + (n * v->T + t) * H, h, (size_t)H * sizeof *h);
}

static void plain_run(const PlainRun *p) {
  const Recurrent *v = &p->v;
  memcpy(p->last, p->in[IN_STATE],
         (size_t)(v->N * (v->H + recurrent_rest(v))) * sizeof *p->last);
  for (int64_t i = 0; i < v->N * v->T; i++) plain_step(p, i / v->T, i % v->T);
}

/* From the first inputs of a cell's op; `drop` may be NULL. */
static PlainRun plain_of(const Recurrent *v, const double *const *in,
                         const double *drop) {
  int64_t n_drop = drop ? v->N * v->H : 0;
  int64_t n[IN_DROP + 1] = {v->N * v->T * v->F,
                            recurrent_weight_size(v->cell, v->F, v->H),
                            v->N * (v->H + recurrent_rest(v)), 0, n_drop};
  int64_t n_y = v->N * v->T * v->H,
          total = n_y + n[IN_STATE] + 2 * recurrent_width(v) + v->H;
  for (int i = 0; i <= IN_DROP; i++) total += n[i];
  PlainRun p = {.v = *v, .mask = in[IN_MASK]};
  double complex *at = calloc((size_t)total, sizeof *at);
  must(at);
  for (int i = 0; i <= IN_DROP; i++) {
    const double *from = i == IN_DROP ? drop : in[i];
    p.in[i] = n[i] ? at : NULL;
    for (int64_t k = 0; k < n[i]; k++) at[k] = from[k];
    at += n[i];
  }
  p.y = at;
  p.last = p.y + n_y;
  p.a = p.last + n[IN_STATE];
  p.u = p.a + 2 * recurrent_width(v);
  return p;
}

static void plain_free(PlainRun *p) { free(p->in[IN_X]); }

void recurrent_reference(const OpCall *call, const double *const *in,
                         double *const *out) {
  Recurrent v = recurrent_of(call->op, call->attr, call->in);
  PlainRun p = plain_of(&v, in, call->n_in > IN_DROP ? in[IN_DROP] : NULL);
  plain_run(&p);
  for (int64_t i = 0; i < shape_count(&call->out[0].shape); i++)
    out[0][i] = creal(p.y[i]);
  for (int64_t i = 0; i < shape_count(&call->out[1].shape); i++)
    out[1][i] = creal(p.last[i]);
  plain_free(&p);
}

/* By complex steps: see PlainStep. */
void recurrent_grad_reference(const OpCall *call, const double *const *in,
                              double *const *out) {
  static const int input_of[] = {[GRAD_WEIGHT] = IN_WEIGHT, [GRAD_STATE] = IN_STATE,
                                 [GRAD_X] = IN_X, [GRAD_DROP] = IN_DROP};
  const double tiny = 0x1p-300;
  Recurrent v = recurrent_of(call->op, call->attr, call->in + G_X);
  PlainRun p = plain_of(&v, in + G_X, call->n_in > G_DROP ? in[G_DROP] : NULL);
  int64_t n_y = shape_count(&call->in[G_Y].shape),
          n_last = v.N * (v.H + recurrent_rest(&v));
  for (int o = 0; o < call->n_out; o++)
    for (int64_t k = 0; k < shape_count(&call->out[o].shape); k++) {
      double complex *moved = p.in[input_of[o]] + k;
      double sum = 0, value = creal(*moved);
      *moved = value + tiny * I;
      plain_run(&p);
      *moved = value;
      for (int64_t i = 0; i < n_y; i++) sum += in[G_Y][i] * (cimag(p.y[i]) / tiny);
      for (int64_t i = 0; i < n_last; i++)
        sum += in[G_STATE][i] * (cimag(p.last[i]) / tiny);
      out[o][k] = sum;
    }
  plain_free(&p);
}

/* -- by simpler ops ---------------------------------------------------------------- */

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

Node *compose_part(Graph *g, Node *x, int64_t H, int first, int n) {
  return part(g, x, 1, first * H, n * H);
}

Node *compose_bias(Graph *g, const ComposeStep *s, int i) {
  return part(g, s->bias, 0, i, 1);
}

Node *compose_product(Graph *g, const ComposeStep *s, int p, Node *u) {
  Node *y = op_matmul(g, u, s->w_h[p]);
  return s->norms ? op_layer_norm(g, y, s->gain_h[p], NULL, s->norms->eps) : y;
}

Node *compose_rest(Graph *g, const ComposeStep *s) {
  const RecurrentNorms *norms = s->norms;
  return norms ? op_layer_norm(g, s->rest, norms->weight, norms->bias, norms->eps)
               : s->rest;
}

/* a normalized, in the parts that the matrices of W_h have. */
static Node *normed_inputs(Graph *g, const Recurrent *v, const RecurrentNorms *norms,
                           Node *a) {
  Node *parts[CELL_PRODUCTS] = {NULL};
  int64_t at = 0;
  for (int p = 0; p < v->cell->n_products; p++) {
    int64_t n = v->cell->columns[p] * v->H;
    parts[p] = op_layer_norm(g, part(g, a, 1, at, n), part(g, norms->gain_x, 0, at, n),
                             NULL, norms->eps);
    at += n;
  }
  return v->cell->n_products > 1 ? op_concat(g, parts, v->cell->n_products, 1)
                                 : parts[0];
}

/* A matrix of the weight, from element `at` on. */
static Node *matrix_of(Graph *g, Node *weight, int64_t at, int64_t rows,
                       int64_t columns) {
  Node *flat = part(g, weight, 0, at, rows * columns);
  return flat ? op_reshape(g, flat, &SHAPE_OF(rows, columns)) : NULL;
}

static Node *step_of(Graph *g, Node *x, int64_t t) {
  Node *step = part(g, x, 1, t, 1);
  return step ? op_reshape(g, step, &SHAPE_OF(x->shape.dim[0], x->shape.dim[2])) : NULL;
}

/* All of x side by side along the steps; x is written over. */
static Node *join_steps(Graph *g, Node **x, int64_t n) {
  while (n > 1 && !g->fault.code) {
    int64_t joined = divide_up(n, MAX_IN);
    for (int64_t i = 0; i < joined; i++)
      x[i] = op_concat(g, x + i * MAX_IN, (int)least(MAX_IN, n - i * MAX_IN), 1);
    n = joined;
  }
  return g->fault.code ? NULL : x[0];
}

/* One step: s has the state, and gets the next. */
static void compose_step(Graph *g, const Recurrent *v, Node *const *in, Node *w_x,
                         int64_t t, ComposeStep *s) {
  Node *zero = graph_scalar(g, 0), *h = s->h, *rest = s->rest;
  Node *on = op_gt(g, part(g, in[IN_MASK], 1, t, 1), graph_scalar(g, 0.5));
  s->a = op_matmul(g, op_where(g, on, step_of(g, in[IN_X], t), zero), w_x);
  if (s->norms) s->a = normed_inputs(g, v, s->norms, s->a);
  s->u = in[IN_DROP] ? op_mul(g, h, in[IN_DROP]) : h;
  v->cell->compose(g, s);
  s->h = op_where(g, on, s->h, h);
  if (rest) s->rest = op_where(g, on, s->rest, rest);
}

/* From the inputs of a cell's op, in[IN_DROP] NULL where there is none: its results. */
static void compose(Graph *g, const Recurrent *v, Node *const *in,
                    const RecurrentNorms *norms, Node **out) {
  int64_t H = v->H, n_rest = recurrent_rest(v);
  Node *w = in[IN_WEIGHT], *w_x = matrix_of(g, w, 0, v->F, recurrent_width(v));
  ComposeStep s = {.H = H, .h = part(g, in[IN_STATE], 1, 0, H)};
  if (n_rest) s.rest = part(g, in[IN_STATE], 1, H, n_rest);
  s.norms = norms;
  for (int p = 0, at = 0; p < v->cell->n_products && norms; p++) {
    s.gain_h[p] = part(g, norms->gain_h, 0, at * H, v->cell->columns[p] * H);
    at += v->cell->columns[p];
  }
  for (int p = 0; p < v->cell->n_products; p++)
    s.w_h[p] = matrix_of(g, w, recurrent_weight_place(v, p), H,
                         v->cell->columns[p] * H);
  s.bias = matrix_of(g, w, recurrent_weight_place(v, v->cell->n_products),
                     v->cell->n_bias, H);
  Node **y = calloc((size_t)v->T, sizeof *y);
  if (!y) {
    fault_memory(&g->fault, (size_t)v->T * sizeof *y);
    return;
  }
  for (int64_t i = 0; i < v->T && !g->fault.code; i++) {
    compose_step(g, v, in, w_x, recurrent_time(v, i), &s);
    if (s.h) y[recurrent_time(v, i)] = op_reshape(g, s.h, &SHAPE_OF(v->N, 1, H));
  }
  out[0] = join_steps(g, y, v->T);
  out[1] = n_rest ? op_concat(g, (Node *[]){s.h, s.rest}, 2, 1) : s.h;
  free(y);
}

static Recurrent sizes_of(const Op *op, const Attr *attr, Node *const *in) {
  Array arrays[IN_MASK + 1] = {0};
  for (int i = 0; i <= IN_MASK; i++) {
    must(in[i]);
    arrays[i].shape = in[i]->shape;
  }
  return recurrent_of(op, attr, arrays);
}

void recurrent_expand(Graph *g, Node *y, Node **out) {
  Node *in[IN_DROP + 1] = {0};
  for (int i = 0; i < y->n_in; i++) in[i] = y->in[i];
  Recurrent v = sizes_of(y->op, y->attr, in);
  compose(g, &v, in, NULL, out);
}

/* The gradient of the plain equations. */
void recurrent_grad_expand(Graph *g, Node *node, Node **out) {
  Node *in[IN_DROP + 1] = {0}, *results[2] = {0}, *grads[IN_DROP + 1];
  for (int i = 0; i < IN_MASK; i++) in[i] = graph_track(g, node->in[G_X + i]);
  in[IN_MASK] = node->in[G_X + IN_MASK];
  if (node->n_in > G_DROP) in[IN_DROP] = graph_track(g, node->in[G_DROP]);
  if (g->fault.code) return;
  Recurrent v = sizes_of(node->op, node->attr, in);
  compose(g, &v, in, NULL, results);
  Node *gy = node->in[G_Y];
  if (gy->shape.dim[2] == 0) gy = op_full(g, 0, &SHAPE_OF(v.N, v.T, v.H));
  Node *wrt[] = {in[IN_WEIGHT], in[IN_STATE], in[IN_X], in[IN_DROP]};
  if (g->fault.code || grad_many(g, results, (Node *[]){gy, node->in[G_STATE]}, 2, wrt,
                                 in[IN_DROP] ? 4 : 3, grads))
    return;
  for (int o = 0; o < node->n_out; o++) out[o] = grads[o];
}

void op_recurrent_normed(Graph *g, const Op *cell, Node *const *in, int n_in,
                         const RecurrentForm *form, const RecurrentNorms *norms,
                         Node **out) {
  /* The op itself, which is not computed, says whether the inputs fit. */
  Node *all = op_recurrent(g, cell, in, n_in, form), *inputs[IN_DROP + 1] = {0};
  if (!all) return;
  for (int i = 0; i < n_in; i++) inputs[i] = in[i];
  Recurrent v = sizes_of(all->op, all->attr, inputs);
  compose(g, &v, inputs, norms, out);
}
