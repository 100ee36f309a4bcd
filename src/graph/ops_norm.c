/* ops_norm.c: batch normalization with the statistics of the batch at hand, and what it
 * shares with layer norm (ops_norm.h, ops_layer_norm.c). w is constant within a group
 * and comes out in front:
 *   gx = w istd (gy - <gy> - xhat <gy xhat>),   gw = sum gy xhat,   gb = sum gy
 *
 * Of [N, C], a block takes COLUMNS channels through all passes while they lie in the
 * cache; of more axes, one channel. Variances are merged from two-pass tiles, sums run
 * in double. Blocks depend on the shape.
 *
 * Ioffe, Szegedy, arXiv:1502.03167, algorithm 1. */
#include "graph/ops_norm.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 64 }; /* channels of a block, for [N, C] */

/* -- what both check --------------------------------------------------------------- */

Err norm_need_reals(const OpInfer *io) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < io->n_in; i++) err = infer_need_real(io, i);
  return err;
}

Err norm_need_vector(const OpInfer *io, int i, int64_t n, const char *what) {
  if (i >= io->n_in) return ERR_OK;
  const Shape *s = &io->in[i]->shape;
  char got[SHAPE_TEXT], x[SHAPE_TEXT];
  if (s->rank == 1 && s->dim[0] == n) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "%s: got %s, allowed: %lld, one per %s of x %s", io->op->inputs[i],
                   shape_text(got, s), (long long)n, what,
                   shape_text(x, &io->out_shape[0]));
}

Err norm_need_same(const OpInfer *io, int i, const Shape *shape) {
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (shape_equal(&io->in[i]->shape, shape)) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s as x",
                   io->op->inputs[i], shape_text(got, &io->in[i]->shape),
                   shape_text(want, shape));
}

Node *norm_as_real(Graph *g, Node *x) {
  return x && x->dtype != DT_REAL ? op_cast(g, x, DT_REAL) : x;
}

Node *norm_inverse_std(Graph *g, Node *variance, double eps) {
  return op_reciprocal(g, op_sqrt(g, op_add(g, variance, graph_scalar(g, eps))));
}

Node *norm_apply(Graph *g, const Op *op, Node *x, Node *weight, Node *bias,
                 const Shape *per_weight, double eps) {
  if (!x) return NULL;
  if (bias && !weight) weight = op_full(g, 1, per_weight);
  Node *in[3] = {x, norm_as_real(g, weight), norm_as_real(g, bias)};
  int n_in = bias ? 3 : weight ? 2 : 1;
  return graph_apply(g, op, in, n_in, (Attr[]){{.f = eps}}, 1);
}

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
    long double d = (long double)norm_reals(x)[at] - mean;
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

enum { COUNT, MEAN, SQUARES, N_STATE }; /* planes of a state (reduce.c) */

static Err batch_norm_infer(OpInfer *io) {
  const Shape *x = &io->in[B_X]->shape;
  io->out_shape[B_Y] = *x;
  if (norm_need_reals(io) || check_channels(io, x)) return io->fault->code;
  if (norm_need_vector(io, B_WEIGHT, x->dim[1], "channel") ||
      norm_need_vector(io, B_BIAS, x->dim[1], "channel"))
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
  const real *w = norm_optional(call, B_WEIGHT, first),
             *b = norm_optional(call, B_BIAS, first);
  real *m = norm_out(call, B_MEAN) + first, *v = norm_out(call, B_VARIANCE) + first;
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
  const real *x = norm_reals(&call->in[B_X]) + first;
  double state[N_STATE * COLUMNS] = {0};
  real scale[COLUMNS], shift[COLUMNS];
  kernels()->reduce_var_columns(state, x, l.N, l.C, n);
  channel_factors(call, state + MEAN * n, state + SQUARES * n, first, n, scale, shift);
  kernels()->norm_columns(norm_out(call, B_Y) + first, x,
                          norm_out(call, B_MEAN) + first, scale, shift, l.N, l.C, n);
}

static void batch_norm_channel(const OpCall *call, int64_t c) {
  Channels l = channels_of(&call->in[B_X].shape);
  const real *x = norm_reals(&call->in[B_X]);
  double state[N_STATE] = {0};
  real scale, shift;
  for (int64_t i = 0; i < l.N; i++)
    kernels()->reduce_var_row(state, x + (i * l.C + c) * l.S, l.S);
  channel_factors(call, &state[MEAN], &state[SQUARES], c, 1, &scale, &shift);
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_row(norm_out(call, B_Y) + at, x + at, norm_out(call, B_MEAN)[c],
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

void norm_vjp(Graph *g, Node *y, Node *const *gy, const bool *want, Node **gx,
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
  x = norm_as_real(g, x);
  Shape channels = SHAPE_OF(x && x->shape.rank > 1 ? x->shape.dim[1] : 1);
  return norm_apply(g, &op_record_batch_norm, x, weight, bias, &channels, eps);
}

static Node *batch_norm_make(Graph *g, Node *const *in, int n_in, const Attr *attr,
                             int n_attr) {
  must(n_attr == 1);
  return op_batch_norm(g, in[0], n_in > 1 ? in[1] : NULL, n_in > 2 ? in[2] : NULL,
                       attr[0].f);
}

static const Sample batch_norm_samples[] = {
    {3, {{.shape = {2, {2, 1}}}, {.shape = {1, {1}}}, {.shape = {1, {1}}}}, NORM_EPS},
    {1, {{.shape = {2, {5, 3}}}}, NORM_EPS},
    {2, {{.shape = {2, {5, 3}}}, {.shape = {1, {3}}}}, NORM_EPS},
    {3, {{.shape = {2, {7, 5}}}, {.shape = {1, {5}}}, {.shape = {1, {5}}}}, NORM_EPS},
    {3, {{.shape = {4, {2, 3, 5, 3}}}, {.shape = {1, {3}}}, {.shape = {1, {3}}}},
     NORM_EPS},
    {1, {{.shape = {3, {1, 2, 7}}}}, NORM_EPS},
    {3, {{.shape = {2, {37, 133}}}, {.shape = {1, {133}}}, {.shape = {1, {133}}}},
     NORM_EPS},
    SAMPLES_END};

const Op op_record_batch_norm = {
    .name = "batch_norm",
    .n_in = 3,
    .n_out = 3,
    .n_optional = 2,
    .inputs = (const char *const[]){"x", "weight", "bias"},
    .attrs = NORM_EPS_ATTR,
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

static Err batch_norm_grad_infer(OpInfer *io) {
  const Shape *x = &io->in[G_X]->shape;
  io->out_shape[GX] = *x;
  if (norm_need_reals(io) || check_channels(io, x) || norm_need_same(io, G_Y, x))
    return io->fault->code;
  for (int i = G_MEAN; i <= G_WEIGHT; i++)
    if (norm_need_vector(io, i, x->dim[1], "channel")) return io->fault->code;
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
  const real *v = norm_reals(&call->in[G_VARIANCE]) + first;
  const real *m = norm_reals(&call->in[G_MEAN]) + first;
  const real *w = norm_optional(call, G_WEIGHT, first);
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
    norm_out(call, GWEIGHT)[first + c] = (real)(moment[c] * istd);
    norm_out(call, GBIAS)[first + c] = (real)sum[c];
  }
}

static void batch_norm_grad_columns(const OpCall *call, int64_t block) {
  Channels l = channels_of(&call->in[G_X].shape);
  int64_t first = block * COLUMNS, n = least(l.C - first, COLUMNS);
  const real *gy = norm_reals(&call->in[G_Y]) + first,
             *x = norm_reals(&call->in[G_X]) + first;
  const real *mean = norm_reals(&call->in[G_MEAN]) + first;
  double sums[2 * COLUMNS] = {0};
  real scale[COLUMNS], offset[COLUMNS], slope[COLUMNS];
  kernels()->norm_grad_sum_columns(sums, gy, x, mean, l.N, l.C, n);
  gradient_factors(call, sums, sums + n, first, n, scale, offset, slope);
  kernels()->norm_grad_columns(norm_out(call, GX) + first, gy, x, mean, scale, offset,
                               slope, l.N, l.C, n);
}

static void batch_norm_grad_channel(const OpCall *call, int64_t c) {
  Channels l = channels_of(&call->in[G_X].shape);
  const real *gy = norm_reals(&call->in[G_Y]), *x = norm_reals(&call->in[G_X]);
  real mean = norm_reals(&call->in[G_MEAN])[c], scale, offset, slope;
  double sums[2] = {0};
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_grad_sum_row(sums, gy + at, x + at, mean, l.S);
  }
  gradient_factors(call, &sums[0], &sums[1], c, 1, &scale, &offset, &slope);
  for (int64_t i = 0; i < l.N; i++) {
    int64_t at = (i * l.C + c) * l.S;
    kernels()->norm_grad_row(norm_out(call, GX) + at, gy + at, x + at, mean, scale,
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
  Node *istd = op_channels(g, norm_inverse_std(g, y->in[G_VARIANCE], y->attr[0].f), s);
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
static const Sample batch_norm_grad_samples[] = {
    {5, {{.shape = {2, {2, 1}}}, {.shape = {2, {2, 1}}}, {.shape = {1, {1}}},
         NORM_VARIANCE(1), {.shape = {1, {1}}}}, NORM_EPS},
    {4, {{.shape = {2, {5, 3}}}, {.shape = {2, {5, 3}}}, {.shape = {1, {3}}},
         NORM_VARIANCE(3)}, NORM_EPS},
    {5, {{.shape = {2, {7, 5}}}, {.shape = {2, {7, 5}}}, {.shape = {1, {5}}},
         NORM_VARIANCE(5), {.shape = {1, {5}}}}, NORM_EPS},
    {5, {{.shape = {4, {2, 3, 5, 3}}}, {.shape = {4, {2, 3, 5, 3}}}, {.shape = {1,
                                                                                {3}}},
         NORM_VARIANCE(3), {.shape = {1, {3}}}}, NORM_EPS},
    {5, {{.shape = {2, {37, 133}}}, {.shape = {2, {37, 133}}}, {.shape = {1, {133}}},
         NORM_VARIANCE(133), {.shape = {1, {133}}}}, NORM_EPS},
    SAMPLES_END};

const char *const norm_grad_inputs[] = {"gy", "x", "mean", "variance", "weight"};

const Op op_record_batch_norm_grad = {
    .name = "batch_norm_grad",
    .n_in = 5,
    .n_out = 3,
    .n_optional = 1,
    .flags = OP_INTERNAL,
    .inputs = norm_grad_inputs,
    .attrs = NORM_EPS_ATTR,
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
