/* ops_rnn.c: the simple recurrent cell of recurrent.h.
 *
 *   h = f(a + u W_h + b),   f = tanh or relu
 *
 * Derivation. da = dh f', where f' = 1 - h^2 or (h > 0); du = da W_h^T.
 *
 * Sources: Elman, Cognitive Science 14, 1990; with relu and W_h = 1 at first, Le,
 * Jaitly, Hinton, arXiv:1504.00941. */
#include "graph/recurrent.h"
#include <string.h>

static bool is_relu(const Recurrent *v);

static void rnn_step(const Recurrent *v, const CellStep *s) {
  int64_t H = v->H;
  bool relu = is_relu(v);
  for (int64_t r = 0; r < s->n; r++) {
    if (!s->on[r]) continue;
    real *a = s->a + r * H, *h = s->h + r * H;
    for (int64_t j = 0; j < H; j++) a[j] += v->bias[j];
    if (relu) kernels()->relu(h, a, H);
    else kernels()->tanh(h, a, H);
    memcpy(s->kept + r * H, h, (size_t)H * sizeof *h);
  }
}

static void rnn_back(const Recurrent *v, const CellBack *s) {
  int64_t H = v->H;
  bool relu = is_relu(v);
  for (int64_t r = 0; r < s->n; r++) {
    if (!s->on[r]) continue;
    const real *h = s->kept + r * H;
    real *da = s->da + r * H, *dh = s->dh + r * H;
    for (int64_t j = 0; relu && j < H; j++) da[j] = h[j] > 0 ? dh[j] : 0;
    for (int64_t j = 0; !relu && j < H; j++) da[j] = dh[j] * (1 - h[j] * h[j]);
    memset(dh, 0, (size_t)H * sizeof *dh);
  }
  recurrent_product_back(v, s, 0, s->du, true);
}

static void plain_rnn(const PlainStep *s) {
  plain_product(s->a, s->u, s->w_h, s->H, s->H);
  for (int64_t j = 0; j < s->H; j++) s->h[j] = ctanh(s->a[j] + s->bias[j]);
}

static void plain_irnn(const PlainStep *s) {
  plain_product(s->a, s->u, s->w_h, s->H, s->H);
  for (int64_t j = 0; j < s->H; j++) {
    double complex a = s->a[j] + s->bias[j];
    s->h[j] = creal(a) > 0 ? a : 0;
  }
}

static Node *compose_sum(Graph *g, const ComposeStep *s) {
  Node *a = op_add(g, s->a, compose_product(g, s, 0, s->u));
  return op_add(g, a, compose_bias(g, s, 0));
}

static void compose_rnn(Graph *g, ComposeStep *s) {
  s->h = op_tanh(g, compose_sum(g, s));
}
static void compose_irnn(Graph *g, ComposeStep *s) {
  s->h = op_relu(g, compose_sum(g, s));
}

#define RNN_CELL                                                                       \
  .gates = 1, .states = 1, .n_bias = 1, .kept = 1, .n_products = 1, .columns = {1},    \
  .n_parts = 1, .parts = {{.n = 1, .x = true}}, .step = rnn_step, .back = rnn_back

static const Cell rnn = {RNN_CELL, .plain = plain_rnn, .compose = compose_rnn};
static const Cell irnn = {RNN_CELL, .plain = plain_irnn, .compose = compose_irnn};
static const CellOps rnn_ops = {.grad = &op_record_rnn_grad, .n_forms = 2,
                                .forms = (const Cell *const[]){&rnn, &irnn}};

static bool is_relu(const Recurrent *v) { return v->cell == &irnn; }

#define SEQUENCE(n, t, f, h) RECURRENT_SAMPLE(n, t, f, h, 1, 1, 1)
#define BACK(n, t, f, h) RECURRENT_BACK(n, t, f, h, 1, 1, 1)

static const Sample rnn_samples[] = {
    {4, {SEQUENCE(1, 1, 1, 1)}, ATTRS({RNN_TANH}, {0}, {0})},
    {4, {SEQUENCE(3, 4, 2, 3)}, ATTRS({RNN_RELU}, {0}, {0})},
    {4, {SEQUENCE(2, 5, 2, 3)}, ATTRS({RNN_RELU}, {1}, {0})},
    {5, {SEQUENCE(4, 3, 2, 2), RECURRENT_DROP(4, 2)}, ATTRS({RNN_TANH}, {0}, {0})},
    {4, {SEQUENCE(19, 3, 5, 2)}, ATTRS({RNN_TANH}, {1}, {0})},
    SAMPLES_END};
static const Sample rnn_grad_samples[] = {
    {6, {BACK(1, 1, 1, 1)}, ATTRS({RNN_TANH}, {0}, {1})},
    {6, {BACK(3, 4, 2, 3)}, ATTRS({RNN_RELU}, {1}, {0})},
    {6, {BACK(19, 3, 5, 2)}, ATTRS({RNN_TANH}, {0}, {1})},
    SAMPLES_END};

#define RNN_SOURCE                                                                     \
  "Elman, Cognitive Science 14, 1990; with relu: Le et al., arXiv:1504.00941"

const Op op_record_rnn = {
    .name = "rnn", RECURRENT_OP(rnn),
    .doc = "a simple recurrent cell over x [N, T, F]: its h at each step [N, T, H] and "
           "the last h [N, H]; steps whose mask [N, T] is 0 change nothing",
    .equation = "h = f(x W_x + h W_h + b), f = tanh or relu",
    .source = RNN_SOURCE, .samples = rnn_samples};

const Op op_record_rnn_grad = {
    .name = "rnn_grad", RECURRENT_GRAD_OP(rnn),
    .doc = "the gradients of rnn's weight, state, x and drop, given those of its "
           "results",
    .source = RNN_SOURCE, .samples = rnn_grad_samples};
