/* ops_norm.h: what the ops of batch and layer norm share.
 *
 * Both normalize groups of n values that share a mean m and a biased variance v:
 *   xhat = (x - m) istd,   istd = 1 / sqrt(v + eps),   y = w xhat + b
 * a channel of x [N, C, ...] for batch norm (n = N S, with S values per channel and
 * sample), a row of the last axis for layer norm (n = D).
 *
 * With h = dL/dxhat (= w gy) and means <.> over a group:
 *   dm/dx_j = 1/n,   dv/dx_j = 2 (x_j - m) / n,   d istd/dv = -istd^3 / 2
 *   gx_j = istd h_j - istd <h> - istd xhat_j <h xhat>
 *        = istd (h_j - <h> - xhat_j <h xhat>)
 * Gradients that flow into the outputs m and v add gm / n + gv 2 (x - m) / n.
 *
 * The _grad ops take m and v as inputs. They are differentiated through their
 * expansions, where m and v are inputs; what flows there comes back to the norm's
 * outputs m and v: so second derivatives are complete. */
#ifndef GRAPH_OPS_NORM_H
#define GRAPH_OPS_NORM_H

#include "graph/ops.h"

enum { B_X, B_WEIGHT, B_BIAS };                  /* inputs, of both norms */
enum { B_Y, B_MEAN, B_VARIANCE };                /* outputs */
enum { G_Y, G_X, G_MEAN, G_VARIANCE, G_WEIGHT }; /* inputs, of both gradients */
enum { GX, GWEIGHT, GBIAS };                     /* outputs */
enum { NORM_WORK = 8 };                          /* operations per element */

#define NORM_EPS ATTRS({.f = 1e-5})
#define NORM_EPS_ATTR                                                                  \
  OP_ATTRS({.name = "eps", .kind = ATTR_REAL, .value = "1e-5", .lo = 0, .hi = 1e30,    \
            .doc = "added to the variance"})

/* A sample of variances. */
#define NORM_VARIANCE(n)                                                               \
  { {1, {n}}, DT_REAL, 0.5, 2 }

extern const char *const norm_grad_inputs[];

static inline const real *norm_reals(const Array *a) { return a->data; }
static inline real *norm_out(const OpCall *call, int o) { return call->out[o].data; }

/* Input `i`, from element `at` on, or NULL where it was left out. */
static inline const real *norm_optional(const OpCall *call, int i, int64_t at) {
  return call->n_in > i ? norm_reals(&call->in[i]) + at : NULL;
}

Err norm_need_reals(const OpInfer *io);
/* Has input i the shape [n]? `what`: of which there is one each. */
Err norm_need_vector(const OpInfer *io, int i, int64_t n, const char *what);
Err norm_need_same(const OpInfer *io, int i, const Shape *shape);

Node *norm_as_real(Graph *g, Node *x);
/* 1 / sqrt(v + eps) as nodes. */
Node *norm_inverse_std(Graph *g, Node *variance, double eps);
/* w (x - m) / sqrt(v + eps) + b with inputs that may be left out. */
Node *norm_apply(Graph *g, const Op *op, Node *x, Node *weight, Node *bias,
                 const Shape *per_weight, double eps);
/* Of either norm, whose gradient is the op `grad`; `spread` makes of what there is per
 * group of n values a node that broadcasts against x. */
void norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx,
              const Op *grad, Node *(*spread)(Graph *, Node *, const Shape *),
              double n);

#endif
