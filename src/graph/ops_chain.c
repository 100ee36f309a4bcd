/* ops_chain.c: the products of the chain rule.
 *
 *   gx = gy dy/dx,   but 0 where gy is 0, also where dy/dx is infinite or NaN
 *
 * A selection (where, maximum, clip, a slice) gives the branch not taken the gradient
 * 0, and 0 times the slope of sqrt at 0 would be NaN. So a gradient of exactly 0 is
 * absorbing in every rule of elementwise ops and reductions that multiplies; any other
 * one is multiplied plainly, so that what is infinite or NaN comes through. Finite
 * results have the bits of the plain product.
 *
 * Gradients of gradients. z = g d is linear in g and d. The gradient h of z goes on to
 * g as h d, as above; to d as h g, a product of two gradients: 0 where either is
 * (chain_both), for where g is 0 nothing depends on d, even where h is infinite. No
 * rule may replace such a product by a constant 0: at a minimum g is 0, too, and higher
 * derivatives are not. */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "kernel/kernel.h"
#include <math.h>

static double nothing_stays(double g, double y) { return g == 0 && isnan(y) ? 0 : y; }

static double scalar_mul(const double *in, const Attr *attr) {
  (void)attr;
  return nothing_stays(in[0], in[0] * in[1]);
}

static double scalar_both(const double *in, const Attr *attr) {
  (void)attr;
  double y = in[0] * in[1];
  return nothing_stays(in[0], nothing_stays(in[1], y));
}

static double scalar_div(const double *in, const Attr *attr) {
  (void)attr;
  return nothing_stays(in[0], in[0] / in[1]);
}

#define X(op)                                                                          \
  static void tile_##op(const OpCall *call, real *y, const real *const *in,            \
                        const int64_t *stride, int64_t n) {                            \
    (void)call;                                                                        \
    kernels()->chain_##op(y, in[0], stride[0], in[1], stride[1], n);                   \
  }
X(mul)
X(both)
X(div)
#undef X

static void vjp_mul(Graph *g, Node *z, Node *const *gz, const bool *want, Node **gx) {
  Node *x = z->in[0], *d = z->in[1];
  if (want[0]) gx[0] = op_sum_to(g, op_chain_mul(g, gz[0], d), &x->shape);
  if (want[1]) gx[1] = op_sum_to(g, op_chain_both(g, gz[0], x), &d->shape);
}

/* Of h g: to h it goes on as above, to g as to any gradient. */
static void vjp_both(Graph *g, Node *z, Node *const *gz, const bool *want, Node **gx) {
  Node *h = z->in[0], *x = z->in[1];
  if (want[0]) gx[0] = op_sum_to(g, op_chain_both(g, gz[0], x), &h->shape);
  if (want[1]) gx[1] = op_sum_to(g, op_chain_mul(g, gz[0], h), &x->shape);
}

static void vjp_div(Graph *g, Node *z, Node *const *gz, const bool *want, Node **gx) {
  Node *x = z->in[0], *d = z->in[1];
  if (want[0]) gx[0] = op_sum_to(g, op_chain_div(g, gz[0], d), &x->shape);
  if (want[1])
    gx[1] = op_sum_to(g, op_neg(g, op_chain_div(g, op_chain_both(g, gz[0], z), d)),
                      &d->shape);
}

/* Factors of both signs; divisors away from 0; broadcast either way; several blocks. */
#define SAMPLES(d_lo, d_hi)                                                            \
  {2, {{.shape = {0, {0}}}, {.shape = {0, {0}}, .lo = d_lo, .hi = d_hi}}, 0, NULL},    \
  {2, {{.shape = {2, {3, 5}}}, {.shape = {1, {5}}, .lo = d_lo, .hi = d_hi}}, 0, NULL}, \
  {2, {{.shape = {1, {7}}}, {.shape = {3, {3, 1, 7}}, .lo = d_lo, .hi = d_hi}}, 0,     \
   NULL},                                                                              \
  {2, {{.shape = {2, {130, 129}}},                                                     \
       {.shape = {2, {130, 129}}, .lo = d_lo, .hi = d_hi}}, 0, NULL},                  \
  {2, {{.shape = {2, {5, 3}}}, {.shape = {2, {5, 3}}, .dtype = DT_INT32, .lo = 1,      \
       .hi = 3}}, 0, NULL}

static const Sample samples_mul[] = {SAMPLES(-1.9, 1.8), SAMPLES_END};
static const Sample samples_div[] = {SAMPLES(0.5, 3), SAMPLES_END};

static const char *const chain_inputs[] = {"gradient", "d"};

const Op op_record_chain_mul = {
    .name = "chain_mul", .n_in = 2, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .inputs = chain_inputs,
    .doc = "A gradient times a derivative; 0 where the gradient is 0.",
    .equation = "z = 0 if x = 0, else x y",
    .infer = infer_broadcast, .split = elements_split, .run = elements_run_block,
    .tile = tile_mul, .vjp = vjp_mul, .scalar = scalar_mul, .samples = samples_mul,
};

const Op op_record_chain_both = {
    .name = "chain_both", .n_in = 2, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .doc = "The product of two gradients; 0 where one is 0.",
    .equation = "z = 0 if x = 0 or y = 0, else x y",
    .infer = infer_broadcast, .split = elements_split, .run = elements_run_block,
    .tile = tile_both, .vjp = vjp_both, .scalar = scalar_both, .samples = samples_mul,
};

const Op op_record_chain_div = {
    .name = "chain_div", .n_in = 2, .n_out = 1, .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .inputs = chain_inputs,
    .doc = "A gradient divided by the inverse of a derivative; 0 where the gradient "
           "is 0.",
    .equation = "z = 0 if x = 0, else x / y",
    .infer = infer_broadcast, .split = elements_split, .run = elements_run_block,
    .tile = tile_div, .vjp = vjp_div, .scalar = scalar_div, .samples = samples_div,
};
