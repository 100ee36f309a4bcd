/* ops_attention.c: scaled dot-product attention of several heads, as one op.
 *
 * q is [N, Q, H D], k [N, S, H D], v [N, S, H E]: of head h columns h D .. (h + 1) D,
 * or E. For each example and head, one product of small matrices where they lie:
 *
 *   z = q k^T / sqrt(D)        [Q, S]
 *   p = softmax(z) over the keys that the query may see, exactly 0 elsewhere; all 0
 *       where it may see none
 *   y = (p keep) v             [Q, E]
 *
 * mask, [N, S] or [N, Q, S], is above 1/2 where a key may be seen; a causal query t
 * sees no key after t. keep [N, H, Q, S], all 1 where it is left out, is of dropout.
 *
 * Derivation. With d for dL/d, and dp that of p as it was before keep:
 *   dp = (dy v^T) keep,   dv = (p keep)^T dy
 *   dz = p (dp - sum_s dp p),   dq = dz k / sqrt(D),   dk = dz^T q / sqrt(D)
 * A key that is not seen has p = 0, and so takes and gives nothing. The gradient op
 * gets p instead of the mask: it is differentiated through its expansion, whose p leads
 * back to attention.
 *
 * Runs. A block is some pairs of example and head; q goes through it in tiles of ROWS
 * queries, whose scores stay in the cache.
 *
 * Source: Vaswani et al., NIPS 2017, sections 3.2.1 and 3.2.2. */
#include "graph/ops.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <string.h>

enum { Q, K, V, MASK, KEEP, N_IN };                  /* inputs of attention */
enum { G_Y, G_Q, G_K, G_V, G_P, G_KEEP, N_GRAD_IN }; /* inputs of attention_grad */
enum { HEADS, CAUSAL };                              /* attributes */
enum { ROWS = 64, BLOCK_WORK = 300000, MOST_BLOCKS = 64 };

typedef struct Attention {
  int64_t N, Q, S, H, D, E; /* examples, queries, keys, heads, columns of k and of v */
  int64_t group;            /* pairs of a block */
  real scale;
} Attention;

/* Of q, k and v at `in`. */
static Attention attention_of(const Array *in, int64_t heads) {
  const Shape *q = &in[0].shape, *v = &in[2].shape;
  Attention a = {.N = q->dim[0], .Q = q->dim[1], .S = v->dim[1], .H = heads,
                 .D = q->dim[2] / heads, .E = v->dim[2] / heads};
  a.scale = (real)(1 / sqrt((double)a.D));
  int64_t work = 2 * a.Q * a.S * (a.D + a.E + 16) + 1;
  a.group = most(BLOCK_WORK / work, 1);
  a.group = most(a.group, divide_up(a.N * a.H, MOST_BLOCKS));
  return a;
}

static int64_t blocks_of(const Attention *a) {
  return divide_up(a->N * a->H, a->group);
}

static int64_t work_of(const Attention *a) {
  return 2 * a->N * a->H * a->Q * a->S * (a->D + a->E + 16);
}

/* -- shapes ------------------------------------------------------------------------ */

static Err refuse_shapes(const OpInfer *io, Node *const *in, int64_t heads) {
  char text[3][SHAPE_TEXT];
  return fault_set(io->fault, ERR_SHAPE,
                   "got q %s, k %s, v %s with %lld heads; allowed: [N, Q, H D], [N, S, "
                   "H D], [N, S, H E], at least one key",
                   shape_text(text[0], &in[0]->shape),
                   shape_text(text[1], &in[1]->shape),
                   shape_text(text[2], &in[2]->shape), (long long)heads);
}

/* Do q, k and v at `in` fit? */
static Err check_inputs(const OpInfer *io, Node *const *in) {
  const Shape *q = &in[0]->shape, *k = &in[1]->shape, *v = &in[2]->shape;
  int64_t heads = io->attr[HEADS].i;
  for (int i = 0; i < io->n_in; i++)
    if (infer_need_real(io, i)) return io->fault->code;
  bool ranks = q->rank == 3 && k->rank == 3 && v->rank == 3;
  if (ranks && q->dim[0] == k->dim[0] && k->dim[0] == v->dim[0] &&
      q->dim[2] == k->dim[2] && k->dim[1] == v->dim[1] && k->dim[1] > 0 &&
      q->dim[2] > 0 && v->dim[2] > 0 && q->dim[2] % heads == 0 &&
      v->dim[2] % heads == 0)
    return ERR_OK;
  return refuse_shapes(io, in, heads);
}

static Err check_shape(const OpInfer *io, int i, const Shape *want,
                       const Shape *other) {
  const Shape *got = &io->in[i]->shape;
  char text[3][SHAPE_TEXT];
  if (shape_equal(got, want) || (other && shape_equal(got, other))) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s%s%s",
                   io->op->inputs[i], shape_text(text[0], got),
                   shape_text(text[1], want), other ? " or " : "",
                   other ? shape_text(text[2], other) : "");
}

static Err attention_infer(OpInfer *io) {
  if (check_inputs(io, io->in)) return io->fault->code;
  const Shape *q = &io->in[Q]->shape, *v = &io->in[V]->shape;
  const Shape p = SHAPE_OF(q->dim[0], io->attr[HEADS].i, q->dim[1], v->dim[1]);
  const Shape keys = SHAPE_OF(q->dim[0], v->dim[1]);
  const Shape pairs = SHAPE_OF(q->dim[0], q->dim[1], v->dim[1]);
  if (io->n_in > MASK && check_shape(io, MASK, &keys, &pairs)) return io->fault->code;
  if (io->n_in > KEEP && check_shape(io, KEEP, &p, NULL)) return io->fault->code;
  io->out_shape[0] = SHAPE_OF(q->dim[0], q->dim[1], v->dim[2]);
  io->out_shape[1] = p;
  return ERR_OK;
}

static Err attention_grad_infer(OpInfer *io) {
  if (check_inputs(io, io->in + G_Q)) return io->fault->code;
  const Shape *q = &io->in[G_Q]->shape, *v = &io->in[G_V]->shape;
  const Shape p = SHAPE_OF(q->dim[0], io->attr[HEADS].i, q->dim[1], v->dim[1]);
  const Shape y = SHAPE_OF(q->dim[0], q->dim[1], v->dim[2]);
  for (int o = 0; o < 3; o++) io->out_shape[o] = io->in[G_Q + o]->shape;
  if (check_shape(io, G_Y, &y, NULL) || check_shape(io, G_P, &p, NULL))
    return io->fault->code;
  return io->n_in > G_KEEP ? check_shape(io, G_KEEP, &p, NULL) : ERR_OK;
}

/* -- attention --------------------------------------------------------------------- */

/* c = op(a) op(b), of rows that far apart. */
static void multiply(real *c, const real *a, const real *b, int64_t M, int64_t N,
                     int64_t K_, GemmStrides strides) {
  if (M > 0) kernels()->gemm(c, a, b, M, N, K_, &strides);
}

/* The element of [N, steps, H width] at which the pair's matrix begins; its rows are H
 * width apart. */
static int64_t pair_at(const Attention *a, int64_t pair, int64_t steps, int64_t width) {
  return (pair / a->H * steps * a->H + pair % a->H) * width;
}

static void attention_split(const OpCall *call, OpSplit *split) {
  Attention a = attention_of(call->in, call->attr[HEADS].i);
  split->n_blocks[0] = blocks_of(&a);
  split->work = work_of(&a);
  if (call->n_in > KEEP) split->own_bytes = (size_t)(ROWS * a.S) * sizeof(real);
}

/* Queries first .. first + n - 1 of a pair. */
static void attend(const OpCall *call, const Attention *a, int64_t pair, int64_t first,
                   int64_t n, real *kept) {
  const real *q = (const real *)call->in[Q].data + pair_at(a, pair, a->Q, a->D);
  const real *k = (const real *)call->in[K].data + pair_at(a, pair, a->S, a->D);
  const real *v = (const real *)call->in[V].data + pair_at(a, pair, a->S, a->E);
  real *y = (real *)call->out[0].data + pair_at(a, pair, a->Q, a->E);
  int64_t at = (pair * a->Q + first) * a->S, row = a->H * a->D, row_v = a->H * a->E;
  real *p = (real *)call->out[1].data + at;
  SoftmaxMask see = {.causal = call->attr[CAUSAL].i ? first : a->S};
  if (call->n_in > MASK) {
    bool pairs = call->in[MASK].shape.rank == 3;
    see.stride = pairs ? a->S : 0;
    see.mask = (const real *)call->in[MASK].data +
               pair / a->H * (pairs ? a->Q * a->S : a->S) + first * see.stride;
  }
  multiply(p, q + first * row, k, n, a->S, a->D,
           (GemmStrides){.a = row, .b = row, .c = a->S, .transpose_b = true});
  kernels()->masked_softmax_rows(p, p, n, a->S, a->scale, &see);
  if (kept) {
    kernels()->mul(kept, p, 1, (const real *)call->in[KEEP].data + at, 1, n * a->S);
    p = kept;
  }
  multiply(y + first * row_v, p, v, n, a->E, a->S,
           (GemmStrides){.a = a->S, .b = row_v, .c = row_v});
}

static void attention_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Attention a = attention_of(call->in, call->attr[HEADS].i);
  int64_t end = least((block + 1) * a.group, a.N * a.H);
  real *kept = op_own(call);
  for (int64_t pair = block * a.group; pair < end; pair++)
    for (int64_t first = 0; first < a.Q; first += ROWS)
      attend(call, &a, pair, first, least(ROWS, a.Q - first), kept);
}

/* -- attention_grad ---------------------------------------------------------------- */

/* Scores of a pair, a block's own: dz, and p with keep. */
static int64_t scores_of(const Attention *a, bool keep) {
  return (keep ? 2 : 1) * a->Q * a->S;
}

static void attention_grad_split(const OpCall *call, OpSplit *split) {
  Attention a = attention_of(call->in + G_Q, call->attr[HEADS].i);
  split->n_blocks[0] = blocks_of(&a);
  split->work = 3 * work_of(&a);
  split->own_bytes = (size_t)scores_of(&a, call->n_in > G_KEEP) * sizeof(real);
}

static void attend_back(const OpCall *call, const Attention *a, int64_t pair,
                        real *dz) {
  int64_t of_q = pair_at(a, pair, a->Q, a->D), of_k = pair_at(a, pair, a->S, a->D);
  int64_t of_v = pair_at(a, pair, a->S, a->E), scores = a->Q * a->S;
  int64_t row = a->H * a->D, row_v = a->H * a->E;
  const real *gy = (const real *)call->in[G_Y].data + pair_at(a, pair, a->Q, a->E);
  const real *p = (const real *)call->in[G_P].data + pair * scores, *used = p;
  const real *keep = NULL;
  multiply(dz, gy, (const real *)call->in[G_V].data + of_v, a->Q, a->S, a->E,
           (GemmStrides){.a = row_v, .b = row_v, .c = a->S, .transpose_b = true});
  if (call->n_in > G_KEEP) {
    keep = (const real *)call->in[G_KEEP].data + pair * scores;
    kernels()->mul(dz + scores, p, 1, keep, 1, scores);
    kernels()->mul(dz, dz, 1, keep, 1, scores);
    used = dz + scores;
  }
  multiply((real *)call->out[2].data + of_v, used, gy, a->S, a->E, a->Q,
           (GemmStrides){.a = a->S, .b = row_v, .c = row_v, .transpose_a = true});
  kernels()->softmax_grad_rows(dz, dz, p, a->Q, a->S, a->scale);
  multiply((real *)call->out[0].data + of_q, dz,
           (const real *)call->in[G_K].data + of_k, a->Q, a->D, a->S,
           (GemmStrides){.a = a->S, .b = row, .c = row});
  multiply((real *)call->out[1].data + of_k, dz,
           (const real *)call->in[G_Q].data + of_q, a->S, a->D, a->Q,
           (GemmStrides){.a = a->S, .b = row, .c = row, .transpose_a = true});
}

static void attention_grad_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  Attention a = attention_of(call->in + G_Q, call->attr[HEADS].i);
  int64_t end = least((block + 1) * a.group, a.N * a.H);
  real *dz = op_own(call);
  for (int64_t pair = block * a.group; pair < end; pair++)
    attend_back(call, &a, pair, dz);
}

/* -- the plain equations ----------------------------------------------------------- */

static Node *transposed(Graph *g, Node *x) {
  return op_transpose(g, x, (int[]){0, 1, 3, 2});
}

/* [N, T, H W] -> [N, H, T, W], and back. */
static Node *by_heads(Graph *g, Node *x, int64_t heads) {
  const Shape *s = &x->shape;
  Node *parts = op_reshape(g, x,
                           &SHAPE_OF(s->dim[0], s->dim[1], heads, s->dim[2] / heads));
  return op_transpose(g, parts, (int[]){0, 2, 1, 3});
}

static Node *of_heads(Graph *g, Node *x) {
  if (!x) return NULL;
  const Shape s = x->shape;
  return op_reshape(g, op_transpose(g, x, (int[]){0, 2, 1, 3}),
                    &SHAPE_OF(s.dim[0], s.dim[2], s.dim[1] * s.dim[3]));
}

/* What dp, [N, H, Q, S], makes of q and k; p is 0 where nothing flows. */
static void flow_to_scores(Graph *g, Node *q, Node *k, Node *p, Node *dp, Node **gq,
                           Node **gk) {
  int64_t heads = p->shape.dim[1];
  int64_t columns = q->shape.dim[2] / heads;
  double scale = 1 / sqrt((double)columns);
  Node *along = op_sum(g, op_chain_mul(g, p, dp), 1u << 3, true);
  Node *dz = op_scale(g, op_chain_mul(g, p, op_sub(g, dp, along)), scale);
  *gq = of_heads(g, op_matmul(g, dz, by_heads(g, k, heads)));
  *gk = of_heads(g, op_matmul(g, transposed(g, dz), by_heads(g, q, heads)));
}

/* gy v^T of each head: what flows to p keep. */
static Node *flow_to_weights(Graph *g, Node *gy, Node *v, int64_t heads) {
  return op_matmul(g, by_heads(g, gy, heads), transposed(g, by_heads(g, v, heads)));
}

static void attention_grad_expand(Graph *g, Node *y, Node **out) {
  Node *const *in = y->in;
  Node *p = in[G_P], *keep = y->n_in > G_KEEP ? in[G_KEEP] : NULL;
  int64_t heads = p->shape.dim[1];
  Node *gy = by_heads(g, in[G_Y], heads);
  Node *dp = flow_to_weights(g, in[G_Y], in[G_V], heads);
  Node *used = keep ? op_mul(g, p, keep) : p;
  if (keep) dp = op_mul(g, dp, keep);
  flow_to_scores(g, in[G_Q], in[G_K], p, dp, &out[0], &out[1]);
  out[2] = of_heads(g, op_matmul(g, transposed(g, used), gy));
}

static Node *sum_of(Graph *g, Node *a, Node *b) {
  return a && b ? op_add(g, a, b) : a ? a : b;
}

static void attention_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                          Node **gx) {
  Node *p = graph_pick(g, y, 1), *by_y = NULL, *by_p[2] = {NULL, NULL};
  if (gy[0]) {
    Node *in[N_GRAD_IN] = {gy[0], y->in[Q], y->in[K], y->in[V], p};
    if (y->n_in > KEEP) in[G_KEEP] = y->in[KEEP];
    by_y = graph_apply(g, &op_record_attention_grad, in, y->n_in > KEEP ? 6 : 5,
                       y->attr, 1);
  }
  if (gy[1] && p) flow_to_scores(g, y->in[Q], y->in[K], p, gy[1], &by_p[0], &by_p[1]);
  for (int i = Q; i <= V; i++) {
    if (!want[i]) continue;
    Node *first = by_y ? graph_pick(g, by_y, i) : NULL;
    gx[i] = sum_of(g, first, i < V ? by_p[i] : NULL);
  }
  if (y->n_in > KEEP && want[KEEP] && gy[0])
    gx[KEEP] = op_mul(g, p, flow_to_weights(g, gy[0], y->in[V], y->attr[HEADS].i));
}

/* -- references -------------------------------------------------------------------- */

/* May query t of an example see key s? */
static bool sees(const OpCall *call, const double *const *in, int64_t n, int64_t t,
                 int64_t s) {
  const Shape *q = &call->in[Q].shape, *k = &call->in[K].shape;
  if (call->attr[CAUSAL].i && s > t) return false;
  if (call->n_in <= MASK) return true;
  bool pairs = call->in[MASK].shape.rank == 3;
  return in[MASK][(pairs ? n * q->dim[1] + t : n) * k->dim[1] + s] > 0.5;
}

static double dot(const double *x, const double *y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
  return sum;
}

/* p of one query. */
static void plain_scores(const OpCall *call, const double *const *in,
                         const Attention *a, int64_t pair, int64_t t, double *p) {
  const double *q = in[Q] + pair_at(a, pair, a->Q, a->D) + t * a->H * a->D;
  const double *k = in[K] + pair_at(a, pair, a->S, a->D);
  double m = -INFINITY, sum = 0;
  for (int64_t s = 0; s < a->S; s++) {
    bool seen = sees(call, in, pair / a->H, t, s);
    p[s] = seen ? dot(q, k + s * a->H * a->D, a->D) / sqrt((double)a->D) : -INFINITY;
    m = fmax(m, p[s]);
  }
  for (int64_t s = 0; s < a->S; s++)
    sum += p[s] = p[s] == -INFINITY ? 0 : exp(p[s] - m);
  for (int64_t s = 0; s < a->S && sum > 0; s++) p[s] /= sum;
}

static void attention_reference(const OpCall *call, const double *const *in,
                                double *const *out) {
  Attention a = attention_of(call->in, call->attr[HEADS].i);
  for (int64_t pair = 0; pair < a.N * a.H; pair++)
    for (int64_t t = 0; t < a.Q; t++) {
      double *p = out[1] + (pair * a.Q + t) * a.S;
      double *y = out[0] + pair_at(&a, pair, a.Q, a.E) + t * a.H * a.E;
      plain_scores(call, in, &a, pair, t, p);
      memset(y, 0, (size_t)a.E * sizeof *y);
      for (int64_t s = 0; s < a.S; s++) {
        const double *v = in[V] + pair_at(&a, pair, a.S, a.E) + s * a.H * a.E;
        double w = p[s] *
                   (call->n_in > KEEP ? in[KEEP][(pair * a.Q + t) * a.S + s] : 1);
        for (int64_t e = 0; e < a.E; e++) y[e] += w * v[e];
      }
    }
}

/* What flows from one query and key of a pair, given dp p summed over the keys. */
static void plain_back(const Attention *a, const double *const *in, double *const *out,
                       int64_t pair, int64_t t, int64_t s, double dz) {
  int64_t q = pair_at(a, pair, a->Q, a->D) + t * a->H * a->D;
  int64_t k = pair_at(a, pair, a->S, a->D) + s * a->H * a->D;
  for (int64_t d = 0; d < a->D; d++) {
    out[0][q + d] += dz * in[G_K][k + d];
    out[1][k + d] += dz * in[G_Q][q + d];
  }
}

static void attention_grad_reference(const OpCall *call, const double *const *in,
                                     double *const *out) {
  Attention a = attention_of(call->in + G_Q, call->attr[HEADS].i);
  for (int o = 0; o < 3; o++)
    memset(out[o], 0, (size_t)shape_count(&call->out[o].shape) * sizeof **out);
  for (int64_t i = 0; i < a.N * a.H * a.Q; i++) {
    int64_t pair = i / a.Q, t = i % a.Q;
    const double *gy = in[G_Y] + pair_at(&a, pair, a.Q, a.E) + t * a.H * a.E;
    double along = 0;
    for (int pass = 0; pass < 2; pass++)
      for (int64_t s = 0; s < a.S; s++) {
        int64_t v = pair_at(&a, pair, a.S, a.E) + s * a.H * a.E;
        double keep = call->n_in > G_KEEP ? in[G_KEEP][i * a.S + s] : 1;
        double p = in[G_P][i * a.S + s], dp = keep * dot(gy, in[G_V] + v, a.E);
        if (!pass) along += dp * p;
        else plain_back(&a, in, out, pair, t, s, p * (dp - along) / sqrt((double)a.D));
        for (int64_t e = 0; pass && e < a.E; e++) out[2][v + e] += p * keep * gy[e];
      }
  }
}

/* -- records ----------------------------------------------------------------------- */

static Node *attention(Graph *g, Node *const *in, int n_in, int64_t heads,
                       bool causal) {
  return graph_apply(g, &op_record_attention, in, n_in,
                     (Attr[]){{.i = heads}, {.i = causal}}, 2);
}

Node *op_attention(Graph *g, Node *q, Node *k, Node *v, Node *mask, Node *keep,
                   int64_t heads, bool causal) {
  Node *in[N_IN] = {q, k, v, mask, keep};
  if (!q || !k || !v) return NULL;
  if (keep && !mask)
    in[MASK] = op_full(g, 1, &SHAPE_OF(k->shape.dim[0], k->shape.dim[1]));
  return attention(g, in, keep ? 5 : mask ? 4 : 3, heads, causal);
}

/* [N, S, 1]: does a query see the key? NULL: there is none, or the mask does not fit,
 * as the op will say. */
static Node *seen_keys(Graph *g, Node *mask, const Shape *keys) {
  int rank = mask->shape.rank;
  if ((rank != 2 && rank != 3) || keys->rank != 3 || mask->shape.dim[1] == 0)
    return NULL;
  if (mask->shape.dim[0] != keys->dim[0] || mask->shape.dim[rank - 1] != keys->dim[1])
    return NULL;
  if (rank == 3) mask = op_max(g, mask, 1u << 1, false);
  Node *steps = op_reshape(g, mask, &SHAPE_OF(keys->dim[0], keys->dim[1], 1));
  return op_gt(g, steps, graph_scalar(g, 0.5));
}

/* Of a user, whose keys may hold anything where none sees them: 0 in their place. */
static Node *attention_make(Graph *g, Node *const *given, int n_in, const Attr *attr,
                            int n_attr) {
  Node *in[N_IN] = {0}, *seen = NULL;
  must(n_attr == 2 && n_in >= 3 && n_in <= N_IN);
  for (int i = 0; i < n_in; i++) in[i] = op_cast(g, given[i], DT_REAL);
  if (n_in > MASK && in[MASK] && in[K]) seen = seen_keys(g, in[MASK], &in[K]->shape);
  for (int i = K; seen && i <= V; i++)
    in[i] = op_where(g, seen, in[i], graph_scalar(g, 0));
  return attention(g, in, n_in, attr[HEADS].i, attr[CAUSAL].i);
}

#define HEADS_ATTR                                                                     \
  {.name = "heads", .kind = ATTR_INT, .value = "1", .lo = 1, .hi = 0x1p31,             \
   .doc = "H, into which the last axes are divided"}

#define TENSORS(n, q, s, w, u)                                                         \
  {.shape = {3, {n, q, w}}}, {.shape = {3, {n, s, w}}}, {.shape = {3, {n, s, u}}}
#define IN_0_1(...)                                                                    \
  { .shape = {__VA_ARGS__}, .lo = 0, .hi = 1 }
static const Sample attention_samples[] = {
    {3, {TENSORS(1, 1, 1, 1, 1)}, ATTRS({.i = 1}, {.i = 0})},
    {3, {TENSORS(2, 3, 4, 6, 4)}, ATTRS({.i = 2}, {.i = 0})},
    {3, {TENSORS(2, 5, 5, 4, 4)}, ATTRS({.i = 4}, {.i = 1})},
    {4, {TENSORS(3, 3, 7, 4, 2), IN_0_1(2, {3, 7})}, ATTRS({.i = 2}, {.i = 0})},
    {4, {TENSORS(2, 4, 3, 3, 6), IN_0_1(3, {2, 4, 3})}, ATTRS({.i = 3}, {.i = 1})},
    {5, {TENSORS(2, 3, 5, 2, 2), IN_0_1(2, {2, 5}), IN_0_1(4, {2, 2, 3, 5})},
     ATTRS({.i = 2}, {.i = 0})},
    {3, {TENSORS(2, 70, 33, 34, 6)}, ATTRS({.i = 2}, {.i = 1})},
    SAMPLES_END};
#define BACKWARD(n, q, s, w, u, h)                                                     \
  {.shape = {3, {n, q, u}}}, TENSORS(n, q, s, w, u), IN_0_1(4, {n, h, q, s})
static const Sample attention_grad_samples[] = {
    {5, {BACKWARD(1, 1, 1, 1, 1, 1)}, ATTRS({.i = 1})},
    {5, {BACKWARD(2, 3, 4, 6, 4, 2)}, ATTRS({.i = 2})},
    {6, {BACKWARD(2, 3, 5, 2, 2, 2), IN_0_1(4, {2, 2, 3, 5})}, ATTRS({.i = 2})},
    {5, {BACKWARD(2, 33, 17, 34, 6, 2)}, ATTRS({.i = 2})},
    SAMPLES_END};

#define ATTENTION_SOURCE "Vaswani et al., NIPS 2017, section 3.2"

const Op op_record_attention = {
    .name = "attention", .n_in = N_IN, .n_out = 2, .n_optional = 2,
    .inputs = (const char *const[]){"q", "k", "v", "mask", "keep"},
    .attrs = OP_ATTRS(HEADS_ATTR,
                      {.name = "causal", .kind = ATTR_BOOL, .value = "false",
                       .doc = "a query sees no key after its own place"}),
    .doc = "Scaled dot-product attention of several heads: queries [N, Q, H D], keys "
           "[N, S, H D], values [N, S, H E] -> [N, Q, H E]. Second result: the weights "
           "of the values [N, H, Q, S]. mask [N, S] or [N, Q, S]: 1 where a key may be "
           "seen; elsewhere its weight is 0 whatever it holds, and a query that sees "
           "no key gets zeros. keep multiplies the weights, as dropout does.",
    .equation = "y = softmax(q k^T / sqrt(D)) v, for each head",
    .source = ATTENTION_SOURCE, .make = attention_make, .infer = attention_infer,
    .split = attention_split, .run = attention_run, .vjp = attention_vjp,
    .reference = attention_reference, .samples = attention_samples};

const Op op_record_attention_grad = {
    .name = "attention_grad", .n_in = N_GRAD_IN, .n_out = 3, .n_optional = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"gy", "q", "k", "v", "p", "keep"},
    .attrs = OP_ATTRS(HEADS_ATTR),
    .doc = "the gradients of attention's q, k and v, given that of its result",
    .equation = "gz = p (gp - sum(gp p)), gp = gy v^T; gq = gz k / sqrt(D), gk = gz^T "
                "q / sqrt(D), gv = p^T gy",
    .source = ATTENTION_SOURCE, .infer = attention_grad_infer,
    .split = attention_grad_split, .run = attention_grad_run,
    .expand = attention_grad_expand, .reference = attention_grad_reference,
    .samples = attention_grad_samples};
