/* ops_gru.c: the gated recurrent unit, a cell of recurrent.h, in two forms.
 *
 *   r, z = sigmoid(a + u W_h + b of their parts)
 *   n = tanh(a_n + b_n + r (u W_n + b_q))      reset after the product (PyTorch)
 *   n = tanh(a_n + b_n + (r u) W_n)            reset before it (the paper, Keras)
 *   h = (1 - z) n + z h_0
 *
 * with the parts of a, W_h and the bias in the order r z n (q).
 *
 * Derivation. With d for dL/d, q = u W_n + b_q and m = r u:
 *   da_n = dh (1 - z) (1 - n^2),   da_z = dh (h_0 - n) z (1 - z),   dh_0 = dh z
 *   after:  da_r = da_n q r (1 - r),    du = (da_r, da_z, da_n r) W_h^T
 *   before: dm = da_n W_n^T,  da_r = dm u r (1 - r),  du = dm r + (da_r, da_z) W_rz^T
 *
 * In the second form W_h is two matrices, of r z and of n. Sources: Cho et al.,
 * arXiv:1406.1078, equations 5 to 8. */
#include "graph/recurrent.h"
#include <string.h>

enum { GATES = 3, KEPT = 4 };

/* -- reset after the product ------------------------------------------------------- */

enum { JOINED, FRESH, PAST }; /* its parts: r and z; a_n; q */

static void after_step(const Recurrent *v, const CellStep *s) {
  int64_t H = v->H, width = GATES * H;
  real *q = s->spare;
  recurrent_product(v, PAST, q, H, s->used, recurrent_taken(v), s->n, false);
  for (int64_t r = 0; r < s->n; r++)
    if (s->on[r])
      kernels()->gru_cell(s->h + r * H, s->kept + r * KEPT * H, s->a + r * width,
                          q + r * H, v->bias, H);
}

static void after_back(const Recurrent *v, const CellBack *s) {
  int64_t H = v->H, width = GATES * H;
  for (int64_t r = 0; r < s->n; r++)
    if (s->on[r])
      kernels()->gru_cell_back(s->da + r * width, s->dq + r * H, s->dh + r * H,
                               s->kept + r * KEPT * H, s->h0 + r * s->h0_step, H);
  kernels()->reduce_sum_columns(s->bias + width, s->dq, s->n, H, H);
  recurrent_product_back(v, s, JOINED, s->du, true);
  recurrent_product_back(v, s, PAST, s->du, true);
}

static double complex logistic(double complex x) { return 1 / (1 + cexp(-x)); }

static void after_plain(const PlainStep *s) {
  int64_t H = s->H;
  double complex *a = s->a, *q = s->spare;
  const double complex *b = s->bias;
  plain_product(q, s->u, s->w_h, H, GATES * H);
  for (int64_t j = 0; j < H; j++) {
    double complex r = logistic(a[j] + q[j] + b[j]);
    double complex z = logistic(a[H + j] + q[H + j] + b[H + j]);
    double complex n = ctanh(a[2 * H + j] + b[2 * H + j] +
                             r * (q[2 * H + j] + b[3 * H + j]));
    s->h[j] = (1 - z) * n + z * s->h[j];
  }
}

/* (1 - z) n + z h */
static Node *renewed(Graph *g, Node *n, Node *z, Node *h) {
  return op_add(g, n, op_mul(g, z, op_sub(g, h, n)));
}

/* a + q + b of part k, through the sigmoid; its columns in q are the same. */
static Node *gate(Graph *g, const ComposeStep *s, Node *q, int k) {
  Node *sum = op_add(g, compose_part(g, s->a, s->H, k, 1),
                     compose_part(g, q, s->H, k, 1));
  return op_sigmoid(g, op_add(g, sum, compose_bias(g, s, k)));
}

static void after_compose(Graph *g, ComposeStep *s) {
  Node *q = compose_product(g, s, 0, s->u), *r = gate(g, s, q, 0);
  Node *past = op_add(g, compose_part(g, q, s->H, 2, 1), compose_bias(g, s, 3));
  Node *fresh = op_add(g, compose_part(g, s->a, s->H, 2, 1), compose_bias(g, s, 2));
  Node *n = op_tanh(g, op_add(g, fresh, op_mul(g, r, past)));
  s->h = renewed(g, n, gate(g, s, q, 1), s->h);
}

/* -- reset before the product ------------------------------------------------------ */

enum { RESET_UPDATE, RENEW }; /* its products, and parts: of r and z, and of n */

static void before_step(const Recurrent *v, const CellStep *s) {
  int64_t H = v->H, width = GATES * H;
  real *m = s->spare;
  recurrent_product(v, RESET_UPDATE, s->a, width, s->used, recurrent_taken(v), s->n,
                    true);
  for (int64_t r = 0; r < s->n; r++) {
    const real *a = s->a + r * width;
    if (s->on[r])
      kernels()->gru_reset(m + r * H, s->kept + r * KEPT * H, a,
                           s->used + r * recurrent_taken(v), v->bias, H);
    else memset(m + r * H, 0, (size_t)H * sizeof *m);
  }
  recurrent_product(v, RENEW, s->a + 2 * H, width, m, H, s->n, true);
  for (int64_t r = 0; r < s->n; r++)
    if (s->on[r])
      kernels()->gru_renew(s->h + r * H, s->kept + r * KEPT * H, s->a + r * width,
                           v->bias, H);
}

static void before_back(const Recurrent *v, const CellBack *s) {
  int64_t H = v->H, width = GATES * H;
  for (int64_t r = 0; r < s->n; r++) {
    const real *kept = s->kept + r * KEPT * H;
    if (!s->on[r]) continue;
    kernels()->gru_renew_back(s->da + r * width, s->dh + r * H, kept,
                              s->h0 + r * s->h0_step, H);
    const real *u = s->used + r * recurrent_taken(v);
    for (int64_t j = 0; j < H; j++) s->second[r * H + j] = kept[j] * u[j];
  }
  recurrent_product_back(v, s, RENEW, s->spare, false);
  for (int64_t r = 0; r < s->n; r++)
    if (s->on[r])
      kernels()->gru_reset_back(s->da + r * width, s->du + r * H, s->spare + r * H,
                                s->kept + r * KEPT * H,
                                s->used + r * recurrent_taken(v), H);
  recurrent_product_back(v, s, RESET_UPDATE, s->du, true);
}

static void before_plain(const PlainStep *s) {
  int64_t H = s->H;
  double complex *a = s->a, *q = s->spare, *m = s->spare + 2 * H;
  const double complex *b = s->bias, *w_n = s->w_h + 2 * H * H;
  plain_product(q, s->u, s->w_h, H, 2 * H);
  for (int64_t j = 0; j < H; j++) m[j] = logistic(a[j] + q[j] + b[j]) * s->u[j];
  plain_product(a + 2 * H, m, w_n, H, H);
  for (int64_t j = 0; j < H; j++) {
    double complex z = logistic(a[H + j] + q[H + j] + b[H + j]);
    double complex n = ctanh(a[2 * H + j] + b[2 * H + j]);
    s->h[j] = (1 - z) * n + z * s->h[j];
  }
}

static void before_compose(Graph *g, ComposeStep *s) {
  Node *q = compose_product(g, s, RESET_UPDATE, s->u);
  Node *m = op_mul(g, gate(g, s, q, 0), s->u);
  Node *a = op_add(g, compose_part(g, s->a, s->H, 2, 1),
                   compose_product(g, s, RENEW, m));
  Node *n = op_tanh(g, op_add(g, a, compose_bias(g, s, 2)));
  s->h = renewed(g, n, gate(g, s, q, 1), s->h);
}

/* -- records ----------------------------------------------------------------------- */

static const Cell after = {.gates = GATES, .states = 1, .n_bias = 4, .kept = KEPT,
                           .n_products = 1, .columns = {GATES}, .n_parts = 3,
                           .parts = {[JOINED] = {0, 2, true, 0, 0},
                                     [FRESH] = {2, 1, true, -1, 0},
                                     [PAST] = {0, 1, false, 0, 2}},
                           .step = after_step,
                           .back = after_back, .plain = after_plain,
                           .compose = after_compose};
static const Cell before = {.gates = GATES, .states = 1, .n_bias = 3, .kept = KEPT,
                            .n_products = 2, .columns = {2, 1}, .n_parts = 2,
                            .parts = {[RESET_UPDATE] = {0, 2, true, 0, 0},
                                      [RENEW] = {2, 1, true, 1, 0}},
                            .step = before_step,
                            .back = before_back, .plain = before_plain,
                            .compose = before_compose};
static const CellOps gru_ops = {.grad = &op_record_gru_grad, .n_forms = 2,
                                .forms = (const Cell *const[]){&after, &before}};

#define SEQUENCE(n, t, f, h, bias) RECURRENT_SAMPLE(n, t, f, h, GATES, 1, bias)
#define BACK(n, t, f, h, bias) RECURRENT_BACK(n, t, f, h, GATES, 1, bias)

static const Sample gru_samples[] = {
    {4, {SEQUENCE(1, 1, 1, 1, 4)}, ATTRS({GRU_RESET_AFTER}, {0}, {0})},
    {4, {SEQUENCE(3, 4, 2, 3, 4)}, ATTRS({GRU_RESET_AFTER}, {1}, {0})},
    {4, {SEQUENCE(3, 4, 2, 3, 3)}, ATTRS({GRU_RESET_BEFORE}, {0}, {0})},
    {5, {SEQUENCE(4, 3, 2, 2, 4), RECURRENT_DROP(4, 2)},
     ATTRS({GRU_RESET_AFTER}, {0}, {0})},
    {5, {SEQUENCE(4, 3, 2, 2, 3), RECURRENT_DROP(4, 2)},
     ATTRS({GRU_RESET_BEFORE}, {0}, {0})},
    {4, {SEQUENCE(19, 3, 5, 2, 4)}, ATTRS({GRU_RESET_AFTER}, {0}, {0})},
    SAMPLES_END};
static const Sample gru_grad_samples[] = {
    {6, {BACK(1, 1, 1, 1, 4)}, ATTRS({GRU_RESET_AFTER}, {0}, {1})},
    {6, {BACK(3, 4, 2, 3, 4)}, ATTRS({GRU_RESET_AFTER}, {1}, {0})},
    {6, {BACK(3, 4, 2, 3, 3)}, ATTRS({GRU_RESET_BEFORE}, {0}, {1})},
    {6, {BACK(19, 3, 5, 2, 3)}, ATTRS({GRU_RESET_BEFORE}, {0}, {1})},
    SAMPLES_END};

#define GRU_SOURCE "Cho et al., arXiv:1406.1078, equations 5 to 8"

const Op op_record_gru = {
    .name = "gru", RECURRENT_OP(gru),
    .doc = "a gated recurrent unit over x [N, T, F]: its h at each step [N, T, H] and "
           "the last h [N, H]; steps whose mask [N, T] is 0 change nothing",
    .equation = "n = tanh(a_n + r q), h = (1 - z) n + z h",
    .source = GRU_SOURCE, .samples = gru_samples};

const Op op_record_gru_grad = {
    .name = "gru_grad", RECURRENT_GRAD_OP(gru),
    .doc = "the gradients of gru's weight, state, x and drop, given those of its "
           "results",
    .source = GRU_SOURCE, .samples = gru_grad_samples};
