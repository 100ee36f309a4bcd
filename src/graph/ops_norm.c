/* ops_norm.c: batch and layer normalization with the statistics of the batch at hand.
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
 * In batch norm w is constant within a group and comes out in front:
 *   gx = w istd (gy - <gy> - xhat <gy xhat>),   gw = sum gy xhat,   gb = sum gy
 * Gradients that flow into the outputs m and v add gm / n + gv 2 (x - m) / n.
 *
 * The _grad ops take m and v as inputs. They are differentiated through their
 * expansions, where m and v are inputs; what flows there comes back to the norm's
 * outputs m and v: so second derivatives are complete.
 *
 * Batch norm of [N, C]: a block takes COLUMNS channels through all passes while they
 * lie in the cache; of more axes: one channel. Variances are merged from two-pass
 * tiles, sums run in double. The weight gradients of a layer norm are summed per block
 * of rows into scratch, and over the blocks in a second phase. Blocks depend on the
 * shape.
 *
 * Ioffe, Szegedy, arXiv:1502.03167, algorithm 1; Ba, Kiros, Hinton, arXiv:1607.06450,
 * section 3. */
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>
#include <string.h>

/* Channels of a block, for [N, C]; elements of a block of rows; blocks of rows of a
 * layer norm's gradient; operations per element. */
enum { COLUMNS = 64, BLOCK = 16384, MAX_PARTS = 64, NORM_WORK = 8 };

static const real *reals(const Array *a) { return a->data; }
static real *out_reals(const OpCall *call, int o) { return call->out[o].data; }

/* Input `i`, from element `at` on, or NULL where it was left out. */
static const real *optional(const OpCall *call, int i, int64_t at) {
  return call->n_in > i ? reals(&call->in[i]) + at : NULL;
}

/* -- what both check --------------------------------------------------------------- */

static Err need_reals(const OpInfer *io) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < io->n_in; i++) err = infer_need_real(io, i);
  return err;
}

/* Has input i the shape [n]? `what`: of which there is one each. */
static Err need_vector(const OpInfer *io, int i, int64_t n, const char *what) {
  if (i >= io->n_in) return ERR_OK;
  const Shape *s = &io->in[i]->shape;
  char got[SHAPE_TEXT], x[SHAPE_TEXT];
  if (s->rank == 1 && s->dim[0] == n) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "%s: got %s, allowed: %lld, one per %s of x %s", io->op->inputs[i],
                   shape_text(got, s), (long long)n, what,
                   shape_text(x, &io->out_shape[0]));
}

static Err need_same(const OpInfer *io, int i, const Shape *shape) {
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (shape_equal(&io->in[i]->shape, shape)) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s as x",
                   io->op->inputs[i], shape_text(got, &io->in[i]->shape),
                   shape_text(want, shape));
}

static Node *as_real(Graph *g, Node *x) {
  return x && x->dtype != DT_REAL ? op_cast(g, x, DT_REAL) : x;
}

/* 1 / sqrt(v + eps) as nodes. */
static Node *inverse_std(Graph *g, Node *variance, double eps) {
  return op_reciprocal(g, op_sqrt(g, op_add(g, variance, graph_scalar(g, eps))));
}

/* w (x - m) / sqrt(v + eps) + b with inputs that may be left out. */
static Node *apply_norm(Graph *g, const Op *op, Node *x, Node *weight, Node *bias,
                        const Shape *per_weight, double eps) {
  if (!x) return NULL;
  if (bias && !weight) weight = op_full(g, 1, per_weight);
  Node *in[3] = {x, as_real(g, weight), as_real(g, bias)};
  int n_in = bias ? 3 : weight ? 2 : 1;
  return graph_apply(g, op, in, n_in, (Attr[]){{.f = eps}}, 1);
}

#define EPS_ATTR                                                                       \
  OP_ATTRS({.name = "eps", .kind = ATTR_REAL, .value = "1e-5", .lo = 0, .hi = 1e30,    \
            .doc = "added to the variance"})

/* -- batch norm: layout ------------------------------------------------------------ */

/* x as [N, C, S]. */
typedef struct Channels {
  int64_t N, C, S;
  double n; /* values per channel */
} Channels;

static Channels channels_of(const Shape *x) {
  Channels l = {.N = x->dim[0], .C = x->dim[1], .S = shape_stride(x, 1)};
  l.n = (double)l.N * (double)l.S;
  return l;
}

/* Channels along contiguous rows: blocks of COLUMNS; else each channel is a block. */
static bool by_columns(const Channels *l) { return l->S == 1; }

static void channel_split(const Shape *x, OpSplit *split) {
  Channels l = channels_of(x);
  split->n_blocks[0] = by_columns(&l) ? divide_up(l.C, COLUMNS) : l.C;
  split->work = NORM_WORK * shape_count(x);
}

/* sqrt(variance + eps) of channel c, whose variance is not finite: it may only be
 * beyond what holds it, its root is not: computed in the widest type that there is. */
static double wide_std(const Array *x, int64_t c, double mean, double eps) {
  Channels l = channels_of(&x->shape);
  long double s = 0;
  for (int64_t i = 0; i < l.N * l.S; i++) {
    int64_t at = (i / l.S * l.C + c) * l.S + i % l.S;
    long double d = (long double)reals(x)[at] - mean;
    s += d * d;
  }
  return (double)sqrtl(s / l.n + eps);
}

/* All axes but that of the channels. */
static unsigned channel_axes(const Shape *x) { return ((1u << x->rank) - 1) & ~2u; }

static Err check_channels(const OpInfer *io, const Shape *x) {
  char text[SHAPE_TEXT];
  if (x->rank < 2)
    return fault_set(io->fault, ERR_SHAPE,
                     "x: got %s, allowed: 2 axes or more, [batch, channels, ...]",
                     shape_text(text, x));
  Channels l = channels_of(x);
  if (l.n < 2)
    return fault_set(io->fault, ERR_SHAPE,
                     "needs at least 2 values per channel, got %lld (x is %s)",
                     (long long)(l.N * l.S), shape_text(text, x));
  return ERR_OK;
}

/* -- batch norm -------------------------------------------------------------------- */

enum { B_X, B_WEIGHT, B_BIAS };         /* inputs */
enum { B_Y, B_MEAN, B_VARIANCE };       /* outputs */
enum { COUNT, MEAN, SQUARES, N_STATE }; /* planes of a state (reduce.c) */

static Err batch_norm_infer(OpInfer *io) {
  const Shape *x = &io->in[B_X]->shape;
  io->out_shape[B_Y] = *x;
  if (need_reals(io) || check_channels(io, x)) return io->fault->code;
  if (need_vector(io, B_WEIGHT, x->dim[1], "channel") ||
      need_vector(io, B_BIAS, x->dim[1], "channel"))
    return io->fault->code;
  io->out_shape[B_MEAN] = io->out_shape[B_VARIANCE] = SHAPE_OF(x->dim[1]);
  return ERR_OK;
}

static void batch_norm_split(const OpCall *call, OpSplit *split) {
  channel_split(&call->in[B_X].shape, split);
}

/* From the states of n channels, which begin at `first`: the outputs m and v, and scale
 * and shift of the normalization. */
static void channel_factors(const OpCall *call, const double *mean,
                            const double *squares, int64_t first, int64_t n,
                            real *scale, real *shift) {
  double count = channels_of(&call->in[B_X].shape).n, eps = call->attr[0].f;
  const real *w = optional(call, B_WEIGHT, first), *b = optional(call, B_BIAS, first);
  real *m = out_reals(call, B_MEAN) + first, *v = out_reals(call, B_VARIANCE) + first;
  double std[COLUMNS];
  must(n <= COLUMNS);
  for (int64_t c = 0; c < n; c++) {
    m[c] = (real)mean[c];
    v[c] = (real)(squares[c] / count);
    std[c] = sqrt(squares[c] / count + eps);
  }
  for (int64_t c = 0; c < n; c++)
    if (!isfinite(squares[c]))
      std[c] = wide_std(&call->in[B_X], first + c, mean[c], eps);
  for (int64_t c = 0; c < n; c++) {
    scale[c] = (real)((w ? (double)w[c] : 1) / std[c]);
    shift[c] = b ? b[c] : 0;
  }
}

static void batch_norm_columns(const OpCall *call, int64_t block) {
  Channels l = channels_of(&call->in[B_X].shape);
  int64_t first = block * COLUMNS, n = least(l.C - first, COLUMNS);
  const real *x = reals(&call->in[B_X]) + first;
  double state[N_STATE * COLUMNS] = {0};
  real scale[COLUMNS], shift[COLUMNS];
  kernels()->reduce_var_columns(state, x, l.N, l.C, n);
  channel_factors(call, state + MEAN * n, state + SQUARES * n, first, n, scale, shift);
  kernels()->norm_columns(out_reals(call, B_Y) + first, x,
                          out_reals(call, B_MEAN) + first, scale, shift, l.N, l.C, n);
}

static void batch_norm_channel(const OpCall *call, int64_t c) {
  Channels l = channels_of(&call->in[B_X].shape);
  const real *x = reals(&call->in[B_X]);
  double state[N_STATE] = {0};
  real scale, shift;
  for (int64_t i = 0; i < l.N; i++)
    kernels()->reduce_var_row(state, x + (i * l.C + c) * l.S, l.S);
  channel_factors(call, &state[MEAN], &state[SQUARES], c, 1, &scale, &shift);
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_row(out_reals(call, B_Y) + at, x + at, out_reals(call, B_MEAN)[c],
                        scale, shift, l.S);
  }
}

static void batch_norm_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Channels l = channels_of(&call->in[B_X].shape);
  if (by_columns(&l)) batch_norm_columns(call, block);
  else batch_norm_channel(call, block);
}

static void batch_norm_reference(const OpCall *call, const double *const *in,
                                 double *const *out) {
  Channels l = channels_of(&call->in[B_X].shape);
  for (int64_t c = 0; c < l.C; c++) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < l.N; i++)
      for (int64_t s = 0; s < l.S; s++) mean += in[B_X][(i * l.C + c) * l.S + s] / l.n;
    for (int64_t i = 0; i < l.N; i++)
      for (int64_t s = 0; s < l.S; s++)
        variance += pow(in[B_X][(i * l.C + c) * l.S + s] - mean, 2) / l.n;
    double w = call->n_in > B_WEIGHT ? in[B_WEIGHT][c] : 1;
    double b = call->n_in > B_BIAS ? in[B_BIAS][c] : 0;
    for (int64_t i = 0; i < l.N; i++)
      for (int64_t s = 0; s < l.S; s++) {
        int64_t at = (i * l.C + c) * l.S + s;
        out[B_Y][at] = w * (in[B_X][at] - mean) / sqrt(variance + call->attr[0].f) + b;
      }
    out[B_MEAN][c] = mean;
    out[B_VARIANCE][c] = variance;
  }
}

/* What flows into m and v, per group of n values, added to gx (which may be NULL). All
 * are nodes that broadcast against x. */
static Node *add_statistics(Graph *g, Node *gx, Node *x, Node *mean, Node *g_mean,
                            Node *g_variance, double n) {
  if (g_variance) {
    Node *part = op_mul(g, op_sub(g, x, mean), op_scale(g, g_variance, 2 / n));
    gx = gx ? op_add(g, gx, part) : part;
  }
  if (g_mean) {
    Node *part = op_scale(g, g_mean, 1 / n);
    gx = gx ? op_add(g, gx, part) : op_broadcast_to(g, part, &x->shape);
  }
  return gx;
}

/* Of either norm, whose gradient is the op `grad`; `spread` makes of what there is per
 * group of n values a node that broadcasts against x. */
static void norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx,
                     const Op *grad, Node *(*spread)(Graph *, Node *, const Shape *),
                     double n) {
  Node *x = y->in[B_X], *mean = graph_pick(g, y, B_MEAN);
  const Shape *s = &x->shape;
  if (gy[B_Y]) {
    Node *in[] = {gy[B_Y], x, mean, graph_pick(g, y, B_VARIANCE),
                  y->n_in > B_WEIGHT ? y->in[B_WEIGHT] : NULL};
    Node *all = graph_apply(g, grad, in, y->n_in > B_WEIGHT ? 5 : 4, y->attr,
                            y->n_attr);
    for (int i = 0; i < y->n_in; i++)
      if (want[i]) gx[i] = graph_pick(g, all, i);
  }
  if (!want[B_X]) return;
  Node *g_mean = gy[B_MEAN] ? spread(g, gy[B_MEAN], s) : NULL;
  Node *g_variance = gy[B_VARIANCE] ? spread(g, gy[B_VARIANCE], s) : NULL;
  gx[B_X] = add_statistics(g, gx[B_X], x, spread(g, mean, s), g_mean, g_variance, n);
}

static void batch_norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                           Node **gx) {
  norm_vjp(g, y, gy, want, gx, &op_record_batch_norm_grad, op_channels,
           channels_of(&y->in[B_X]->shape).n);
}

Node *op_batch_norm(Graph *g, Node *x, Node *weight, Node *bias, double eps) {
  x = as_real(g, x);
  Shape channels = SHAPE_OF(x && x->shape.rank > 1 ? x->shape.dim[1] : 1);
  return apply_norm(g, &op_record_batch_norm, x, weight, bias, &channels, eps);
}

static Node *batch_norm_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                             int n_attr) {
  must(n_attr == 1);
  return op_batch_norm(g, in[0], n_in > 1 ? in[1] : NULL, n_in > 2 ? in[2] : NULL,
                       attr[0].f);
}

#define EPS ATTRS({.f = 1e-5})
static const Sample batch_norm_samples[] = {
    {3, {{.shape = {2, {2, 1}}}, {.shape = {1, {1}}}, {.shape = {1, {1}}}}, EPS},
    {1, {{.shape = {2, {5, 3}}}}, EPS},
    {2, {{.shape = {2, {5, 3}}}, {.shape = {1, {3}}}}, EPS},
    {3, {{.shape = {2, {7, 5}}}, {.shape = {1, {5}}}, {.shape = {1, {5}}}}, EPS},
    {3, {{.shape = {4, {2, 3, 5, 3}}}, {.shape = {1, {3}}}, {.shape = {1, {3}}}}, EPS},
    {1, {{.shape = {3, {1, 2, 7}}}}, EPS},
    {3, {{.shape = {2, {37, 133}}}, {.shape = {1, {133}}}, {.shape = {1, {133}}}}, EPS},
    SAMPLES_END};

const Op op_record_batch_norm = {
    .name = "batch_norm",
    .n_in = 3,
    .n_out = 3,
    .n_optional = 2,
    .inputs = (const char *const[]){"x", "weight", "bias"},
    .attrs = EPS_ATTR,
    .doc = "Scales each channel of x [N, C, ...] to mean 0 and variance 1 over the "
           "batch, times weight [C] plus bias [C] (left out: 1 and 0). Further "
           "results: the batch's mean [C] and biased variance [C].",
    .equation = "y = weight (x - mean(x)) / sqrt(var(x) + eps) + bias",
    .source = "Ioffe & Szegedy, ICML 2015, algorithm 1",
    .make = batch_norm_make,
    .infer = batch_norm_infer,
    .split = batch_norm_split,
    .run = batch_norm_run,
    .vjp = batch_norm_vjp,
    .reference = batch_norm_reference,
    .tolerance = 64,
    .samples = batch_norm_samples,
};

/* -- batch norm's gradient --------------------------------------------------------- */

enum { G_Y, G_X, G_MEAN, G_VARIANCE, G_WEIGHT }; /* inputs, of both gradients */
enum { GX, GWEIGHT, GBIAS };                     /* outputs, of both gradients */

static Err batch_norm_grad_infer(OpInfer *io) {
  const Shape *x = &io->in[G_X]->shape;
  io->out_shape[GX] = *x;
  if (need_reals(io) || check_channels(io, x) || need_same(io, G_Y, x))
    return io->fault->code;
  for (int i = G_MEAN; i <= G_WEIGHT; i++)
    if (need_vector(io, i, x->dim[1], "channel")) return io->fault->code;
  io->out_shape[GWEIGHT] = io->out_shape[GBIAS] = SHAPE_OF(x->dim[1]);
  return ERR_OK;
}

static void batch_norm_grad_split(const OpCall *call, OpSplit *split) {
  channel_split(&call->in[G_X].shape, split);
}

/* From sum gy and sum gy (x - m) of n channels from `first` on: gw, gb, and the factors
 * in gx = scale (gy - offset - (x - m) slope). */
static void gradient_factors(const OpCall *call, const double *sum,
                             const double *moment, int64_t first, int64_t n,
                             real *scale, real *offset, real *slope) {
  double count = channels_of(&call->in[G_X].shape).n, eps = call->attr[0].f;
  const real *v = reals(&call->in[G_VARIANCE]) + first;
  const real *m = reals(&call->in[G_MEAN]) + first;
  const real *w = optional(call, G_WEIGHT, first);
  double std[COLUMNS];
  must(n <= COLUMNS);
  for (int64_t c = 0; c < n; c++) std[c] = sqrt((double)v[c] + eps);
  for (int64_t c = 0; c < n; c++)
    if (!isfinite(v[c]))
      std[c] = wide_std(&call->in[G_X], first + c, (double)m[c], eps);
  for (int64_t c = 0; c < n; c++) {
    double istd = 1 / std[c];
    scale[c] = (real)((w ? (double)w[c] : 1) * istd);
    offset[c] = (real)(sum[c] / count);
    slope[c] = (real)(moment[c] * istd * istd / count);
    out_reals(call, GWEIGHT)[first + c] = (real)(moment[c] * istd);
    out_reals(call, GBIAS)[first + c] = (real)sum[c];
  }
}

static void batch_norm_grad_columns(const OpCall *call, int64_t block) {
  Channels l = channels_of(&call->in[G_X].shape);
  int64_t first = block * COLUMNS, n = least(l.C - first, COLUMNS);
  const real *gy = reals(&call->in[G_Y]) + first, *x = reals(&call->in[G_X]) + first;
  const real *mean = reals(&call->in[G_MEAN]) + first;
  double sums[2 * COLUMNS] = {0};
  real scale[COLUMNS], offset[COLUMNS], slope[COLUMNS];
  kernels()->norm_grad_sum_columns(sums, gy, x, mean, l.N, l.C, n);
  gradient_factors(call, sums, sums + n, first, n, scale, offset, slope);
  kernels()->norm_grad_columns(out_reals(call, GX) + first, gy, x, mean, scale, offset,
                               slope, l.N, l.C, n);
}

static void batch_norm_grad_channel(const OpCall *call, int64_t c) {
  Channels l = channels_of(&call->in[G_X].shape);
  const real *gy = reals(&call->in[G_Y]), *x = reals(&call->in[G_X]);
  real mean = reals(&call->in[G_MEAN])[c], scale, offset, slope;
  double sums[2] = {0};
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_grad_sum_row(sums, gy + at, x + at, mean, l.S);
  }
  gradient_factors(call, &sums[0], &sums[1], c, 1, &scale, &offset, &slope);
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_grad_row(out_reals(call, GX) + at, gy + at, x + at, mean, scale,
                             offset, slope, l.S);
  }
}

static void batch_norm_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Channels l = channels_of(&call->in[G_X].shape);
  if (by_columns(&l)) batch_norm_grad_columns(call, block);
  else batch_norm_grad_channel(call, block);
}

static void batch_norm_grad_reference(const OpCall *call, const double *const *in,
                                      double *const *out) {
  Channels l = channels_of(&call->in[G_X].shape);
  for (int64_t c = 0; c < l.C; c++) {
    double istd = 1 / sqrt(in[G_VARIANCE][c] + call->attr[0].f);
    double w = call->n_in > G_WEIGHT ? in[G_WEIGHT][c] : 1, gw = 0, gb = 0;
    for (int64_t i = 0; i < l.N; i++)
      for (int64_t s = 0; s < l.S; s++) {
        int64_t at = (i * l.C + c) * l.S + s;
        gb += in[G_Y][at];
        gw += in[G_Y][at] * (in[G_X][at] - in[G_MEAN][c]) * istd;
      }
    for (int64_t i = 0; i < l.N; i++)
      for (int64_t s = 0; s < l.S; s++) {
        int64_t at = (i * l.C + c) * l.S + s;
        double xhat = (in[G_X][at] - in[G_MEAN][c]) * istd;
        out[GX][at] = w * istd * (in[G_Y][at] - gb / l.n - xhat * gw / l.n);
      }
    out[GWEIGHT][c] = gw;
    out[GBIAS][c] = gb;
  }
}

static void batch_norm_grad_expand(Graph *g, Node *y, Node **out) {
  Node *gy = y->in[G_Y], *x = y->in[G_X];
  const Shape *s = &x->shape;
  unsigned axes = channel_axes(s);
  Node *istd = op_channels(g, inverse_std(g, y->in[G_VARIANCE], y->attr[0].f), s);
  Node *xhat = op_mul(g, op_sub(g, x, op_channels(g, y->in[G_MEAN], s)), istd);
  Node *along = op_mul(g, gy, xhat);
  Node *inner = op_sub(g, op_sub(g, gy, op_mean(g, gy, axes, true)),
                       op_mul(g, xhat, op_mean(g, along, axes, true)));
  Node *w = y->n_in > G_WEIGHT ? op_channels(g, y->in[G_WEIGHT], s) : NULL;
  out[GX] = op_mul(g, w ? op_mul(g, w, istd) : istd, inner);
  out[GWEIGHT] = op_sum(g, along, axes, false);
  out[GBIAS] = op_sum(g, gy, axes, false);
}

/* Mean and variance are inputs of their own here; the variance stays well above 0. */
#define VARIANCE_OF(n)                                                                 \
  { {1, {n}}, DT_REAL, 0.5, 2 }
static const Sample batch_norm_grad_samples[] = {
    {5, {{.shape = {2, {2, 1}}}, {.shape = {2, {2, 1}}}, {.shape = {1, {1}}},
         VARIANCE_OF(1), {.shape = {1, {1}}}}, EPS},
    {4, {{.shape = {2, {5, 3}}}, {.shape = {2, {5, 3}}}, {.shape = {1, {3}}},
         VARIANCE_OF(3)}, EPS},
    {5, {{.shape = {2, {7, 5}}}, {.shape = {2, {7, 5}}}, {.shape = {1, {5}}},
         VARIANCE_OF(5), {.shape = {1, {5}}}}, EPS},
    {5, {{.shape = {4, {2, 3, 5, 3}}}, {.shape = {4, {2, 3, 5, 3}}}, {.shape = {1,
                                                                                {3}}},
         VARIANCE_OF(3), {.shape = {1, {3}}}}, EPS},
    {5, {{.shape = {2, {37, 133}}}, {.shape = {2, {37, 133}}}, {.shape = {1, {133}}},
         VARIANCE_OF(133), {.shape = {1, {133}}}}, EPS},
    SAMPLES_END};

static const char *const grad_inputs[] = {"gy", "x", "mean", "variance", "weight"};

const Op op_record_batch_norm_grad = {
    .name = "batch_norm_grad",
    .n_in = 5,
    .n_out = 3,
    .n_optional = 1,
    .flags = OP_INTERNAL,
    .inputs = grad_inputs,
    .attrs = EPS_ATTR,
    .doc = "gradient of batch_norm: gy and x [N, C, ...], mean, variance, weight [C] "
           "-> gx [N, C, ...], gweight [C], gbias [C]",
    .equation = "gx = w istd (gy - mean(gy) - xhat mean(gy xhat)), gweight = sum(gy "
                "xhat), gbias = sum(gy)",
    .source = "Ioffe, Szegedy, 2015, arXiv:1502.03167, section 3",
    .infer = batch_norm_grad_infer,
    .split = batch_norm_grad_split,
    .run = batch_norm_grad_run,
    .expand = batch_norm_grad_expand,
    .reference = batch_norm_grad_reference,
    .tolerance = 64,
    .samples = batch_norm_grad_samples,
};

/* -- layer norm -------------------------------------------------------------------- */

/* x as [N, D]. */
typedef struct Rows {
  int64_t N, D;
} Rows;

static Rows rows_of(const Shape *x) {
  Rows r = {.N = 1, .D = x->dim[x->rank - 1]};
  for (int a = 0; a < x->rank - 1; a++) r.N *= x->dim[a];
  return r;
}

static int64_t rows_per_block(const Rows *r) { return most(BLOCK / r->D, 1); }

/* The shape of one value per row: x without its last axis. */
static Shape per_row(const Shape *x) {
  Shape s = *x;
  s.dim[--s.rank] = 0;
  return s;
}

/* A node with one value per row, to broadcast against x. */
static Node *keep_last(Graph *g, Node *v, const Shape *x) {
  Shape s = *x;
  s.dim[s.rank - 1] = 1;
  return op_reshape(g, v, &s);
}

static Err check_rows(const OpInfer *io, const Shape *x) {
  char text[SHAPE_TEXT];
  if (x->rank == 0)
    return fault_set(io->fault, ERR_SHAPE, "x is a scalar; allowed: 1 axis or more");
  if (x->dim[x->rank - 1] == 0)
    return fault_set(io->fault, ERR_SHAPE, "the last axis of x %s has no elements",
                     shape_text(text, x));
  return ERR_OK;
}

static Err layer_norm_infer(OpInfer *io) {
  const Shape *x = &io->in[B_X]->shape;
  io->out_shape[B_Y] = *x;
  if (need_reals(io) || check_rows(io, x)) return io->fault->code;
  int64_t D = x->dim[x->rank - 1];
  if (need_vector(io, B_WEIGHT, D, "value of the last axis") ||
      need_vector(io, B_BIAS, D, "value of the last axis"))
    return io->fault->code;
  io->out_shape[B_MEAN] = io->out_shape[B_VARIANCE] = per_row(x);
  return ERR_OK;
}

static void layer_norm_split(const OpCall *call, OpSplit *split) {
  Rows r = rows_of(&call->in[B_X].shape);
  split->n_blocks[0] = divide_up(r.N, rows_per_block(&r));
  split->work = NORM_WORK * r.N * r.D;
}

static void layer_norm_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Rows r = rows_of(&call->in[B_X].shape);
  int64_t first = block * rows_per_block(&r);
  kernels()->layer_norm_rows(out_reals(call, B_Y) + first * r.D,
                             out_reals(call, B_MEAN) + first,
                             out_reals(call, B_VARIANCE) + first,
                             reals(&call->in[B_X]) + first * r.D,
                             optional(call, B_WEIGHT, 0), optional(call, B_BIAS, 0),
                             least(r.N - first, rows_per_block(&r)), r.D,
                             call->attr[0].f);
}

static void layer_norm_reference(const OpCall *call, const double *const *in,
                                 double *const *out) {
  Rows r = rows_of(&call->in[B_X].shape);
  for (int64_t i = 0; i < r.N; i++) {
    const double *x = in[B_X] + i * r.D;
    double mean = 0, variance = 0;
    for (int64_t d = 0; d < r.D; d++) mean += x[d] / (double)r.D;
    for (int64_t d = 0; d < r.D; d++) variance += pow(x[d] - mean, 2) / (double)r.D;
    for (int64_t d = 0; d < r.D; d++)
      out[B_Y][i * r.D + d] = (x[d] - mean) / sqrt(variance + call->attr[0].f) *
                                  (call->n_in > B_WEIGHT ? in[B_WEIGHT][d] : 1) +
                              (call->n_in > B_BIAS ? in[B_BIAS][d] : 0);
    out[B_MEAN][i] = mean;
    out[B_VARIANCE][i] = variance;
  }
}

static void layer_norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                           Node **gx) {
  norm_vjp(g, y, gy, want, gx, &op_record_layer_norm_grad, keep_last,
           (double)rows_of(&y->in[B_X]->shape).D);
}

Node *op_layer_norm(Graph *g, Node *x, Node *weight, Node *bias, double eps) {
  x = as_real(g, x);
  Shape last = SHAPE_OF(x && x->shape.rank > 0 ? x->shape.dim[x->shape.rank - 1] : 1);
  return apply_norm(g, &op_record_layer_norm, x, weight, bias, &last, eps);
}

static Node *layer_norm_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                             int n_attr) {
  must(n_attr == 1);
  return op_layer_norm(g, in[0], n_in > 1 ? in[1] : NULL, n_in > 2 ? in[2] : NULL,
                       attr[0].f);
}

static const Sample layer_norm_samples[] = {
    {3, {{.shape = {2, {1, 1}}}, {.shape = {1, {1}}}, {.shape = {1, {1}}}}, EPS},
    {1, {{.shape = {1, {5}}}}, EPS},
    {2, {{.shape = {2, {3, 5}}}, {.shape = {1, {5}}}}, EPS},
    {3, {{.shape = {3, {2, 3, 7}}}, {.shape = {1, {7}}}, {.shape = {1, {7}}}}, EPS},
    {3, {{.shape = {2, {131, 133}}}, {.shape = {1, {133}}}, {.shape = {1, {133}}}},
     EPS},
    SAMPLES_END};

const Op op_record_layer_norm = {
    .name = "layer_norm",
    .n_in = 3,
    .n_out = 3,
    .n_optional = 2,
    .inputs = (const char *const[]){"x", "weight", "bias"},
    .attrs = EPS_ATTR,
    .doc = "Scales x to mean 0 and variance 1 along its last axis, of D values, times "
           "weight [D] plus bias [D] (left out: 1 and 0). Further results: mean and "
           "biased variance, of the shape of x without its last axis.",
    .equation = "y = weight (x - mean(x)) / sqrt(var(x) + eps) + bias",
    .source = "Ba et al., arXiv:1607.06450, section 3",
    .make = layer_norm_make,
    .infer = layer_norm_infer,
    .split = layer_norm_split,
    .run = layer_norm_run,
    .vjp = layer_norm_vjp,
    .reference = layer_norm_reference,
    .tolerance = 64,
    .samples = layer_norm_samples,
};

/* -- layer norm's gradient --------------------------------------------------------- */

static Err layer_norm_grad_infer(OpInfer *io) {
  const Shape *x = &io->in[G_X]->shape;
  io->out_shape[GX] = *x;
  if (need_reals(io) || check_rows(io, x) || need_same(io, G_Y, x))
    return io->fault->code;
  Shape rows = per_row(x);
  for (int i = G_MEAN; i <= G_VARIANCE; i++)
    if (!shape_equal(&io->in[i]->shape, &rows)) {
      char got[SHAPE_TEXT], want[SHAPE_TEXT];
      return fault_set(io->fault, ERR_SHAPE,
                       "%s: got %s, allowed: %s, one per row of x", grad_inputs[i],
                       shape_text(got, &io->in[i]->shape), shape_text(want, &rows));
    }
  int64_t D = x->dim[x->rank - 1];
  if (need_vector(io, G_WEIGHT, D, "value of the last axis")) return io->fault->code;
  io->out_shape[GWEIGHT] = io->out_shape[GBIAS] = SHAPE_OF(D);
  return ERR_OK;
}

/* Phase 0 takes `step` rows a block, and sums gy and gy xhat over them into the block's
 * part of the scratch, 2 D doubles; phase 1 adds the parts, COLUMNS values a block. */
typedef struct Parts {
  Rows rows;
  int64_t step, n;
} Parts;

static Parts parts_of(const OpCall *call) {
  Parts p = {.rows = rows_of(&call->in[G_X].shape)};
  p.step = most(rows_per_block(&p.rows), divide_up(p.rows.N, MAX_PARTS));
  p.n = divide_up(p.rows.N, p.step);
  return p;
}

static void layer_norm_grad_split(const OpCall *call, OpSplit *split) {
  Parts p = parts_of(call);
  split->n_blocks[0] = p.n;
  split->n_blocks[1] = divide_up(p.rows.D, COLUMNS);
  split->work = 2 * NORM_WORK * p.rows.N * p.rows.D;
  split->scratch_bytes = (size_t)(p.n * 2 * p.rows.D) * sizeof(double);
}

static void layer_norm_grad_part(const OpCall *call, const Parts *p, int64_t block) {
  int64_t first = block * p->step, at = first * p->rows.D;
  double *sums = (double *)call->scratch + block * 2 * p->rows.D;
  memset(sums, 0, (size_t)(2 * p->rows.D) * sizeof *sums);
  kernels()->layer_norm_grad_rows(out_reals(call, GX) + at, sums,
                                  reals(&call->in[G_Y]) + at,
                                  reals(&call->in[G_X]) + at,
                                  reals(&call->in[G_MEAN]) + first,
                                  reals(&call->in[G_VARIANCE]) + first,
                                  optional(call, G_WEIGHT, 0),
                                  least(p->rows.N - first, p->step), p->rows.D,
                                  call->attr[0].f);
}

static void layer_norm_grad_run(const OpCall *call, int phase, int64_t block) {
  Parts p = parts_of(call);
  if (phase == 0) {
    layer_norm_grad_part(call, &p, block);
    return;
  }
  const double *parts = call->scratch;
  int64_t D = p.rows.D, end = least(D, (block + 1) * COLUMNS);
  for (int64_t d = block * COLUMNS; d < end; d++) {
    double gb = 0, gw = 0;
    for (int64_t i = 0; i < p.n; i++) {
      gb += parts[i * 2 * D + d];
      gw += parts[i * 2 * D + D + d];
    }
    out_reals(call, GBIAS)[d] = (real)gb;
    out_reals(call, GWEIGHT)[d] = (real)gw;
  }
}

static void layer_norm_grad_reference(const OpCall *call, const double *const *in,
                                      double *const *out) {
  Rows r = rows_of(&call->in[G_X].shape);
  for (int64_t d = 0; d < r.D; d++) out[GWEIGHT][d] = out[GBIAS][d] = 0;
  for (int64_t i = 0; i < r.N; i++) {
    const double *gy = in[G_Y] + i * r.D, *x = in[G_X] + i * r.D;
    const double *w = call->n_in > G_WEIGHT ? in[G_WEIGHT] : NULL;
    double istd = 1 / sqrt(in[G_VARIANCE][i] + call->attr[0].f), mean = in[G_MEAN][i];
    double h = 0, along = 0;
    for (int64_t d = 0; d < r.D; d++) {
      double xhat = (x[d] - mean) * istd;
      h += gy[d] * (w ? w[d] : 1) / (double)r.D;
      along += gy[d] * (w ? w[d] : 1) * xhat / (double)r.D;
      out[GWEIGHT][d] += gy[d] * xhat;
      out[GBIAS][d] += gy[d];
    }
    for (int64_t d = 0; d < r.D; d++)
      out[GX][i * r.D + d] = istd * (gy[d] * (w ? w[d] : 1) - h -
                                     (x[d] - mean) * istd * along);
  }
}

static void layer_norm_grad_expand(Graph *g, Node *y, Node **out) {
  Node *gy = y->in[G_Y], *x = y->in[G_X];
  const Shape *s = &x->shape;
  unsigned last = 1u << (s->rank - 1), others = last - 1;
  Node *istd = keep_last(g, inverse_std(g, y->in[G_VARIANCE], y->attr[0].f), s);
  Node *xhat = op_mul(g, op_sub(g, x, keep_last(g, y->in[G_MEAN], s)), istd);
  Node *h = y->n_in > G_WEIGHT ? op_mul(g, gy, y->in[G_WEIGHT]) : gy;
  Node *along = op_mean(g, op_mul(g, h, xhat), last, true);
  Node *inner = op_sub(g, op_sub(g, h, op_mean(g, h, last, true)),
                       op_mul(g, xhat, along));
  out[GX] = op_mul(g, istd, inner);
  Node *gw = op_mul(g, gy, xhat);
  out[GWEIGHT] = others ? op_sum(g, gw, others, false) : gw;
  out[GBIAS] = others ? op_sum(g, gy, others, false) : gy;
}

static const Sample layer_norm_grad_samples[] = {
    {5, {{.shape = {2, {1, 1}}}, {.shape = {2, {1, 1}}}, {.shape = {1, {1}}},
         VARIANCE_OF(1), {.shape = {1, {1}}}}, EPS},
    {4, {{.shape = {1, {5}}}, {.shape = {1, {5}}}, {.shape = {0, {0}}},
         {{0, {0}}, DT_REAL, 0.5, 2}}, EPS},
    {5, {{.shape = {2, {3, 5}}}, {.shape = {2, {3, 5}}}, {.shape = {1, {3}}},
         VARIANCE_OF(3), {.shape = {1, {5}}}}, EPS},
    {5, {{.shape = {3, {2, 3, 7}}}, {.shape = {3, {2, 3, 7}}}, {.shape = {2, {2, 3}}},
         {{2, {2, 3}}, DT_REAL, 0.5, 2}, {.shape = {1, {7}}}}, EPS},
    {5, {{.shape = {2, {131, 133}}}, {.shape = {2, {131, 133}}}, {.shape = {1, {131}}},
         VARIANCE_OF(131), {.shape = {1, {133}}}}, EPS},
    SAMPLES_END};

const Op op_record_layer_norm_grad = {
    .name = "layer_norm_grad",
    .n_in = 5,
    .n_out = 3,
    .n_optional = 1,
    .flags = OP_INTERNAL,
    .inputs = grad_inputs,
    .attrs = EPS_ATTR,
    .doc = "gradient of layer_norm: gy and x [.., D], mean and variance [..], weight "
           "[D] -> gx [.., D], gweight [D], gbias [D]",
    .equation = "h = gy w, gx = istd (h - mean(h) - xhat mean(h xhat)), "
                "gweight = sum(gy xhat), gbias = sum(gy)",
    .source = "Ba et al., arXiv:1607.06450, section 3",
    .infer = layer_norm_grad_infer,
    .phases = op_two_phases, .split = layer_norm_grad_split,
    .run = layer_norm_grad_run,
    .expand = layer_norm_grad_expand,
    .reference = layer_norm_grad_reference,
    .tolerance = 64,
    .samples = layer_norm_grad_samples,
};
