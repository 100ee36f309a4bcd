/* ops_lstm.c: the long short-term memory, a cell of recurrent.h.
 *
 *   i, f, o = sigmoid(a + u W_h + b of their parts),  g = tanh(its part)
 *   c = f c_0 + i g,    h = o tanh(c)
 *
 * with the parts of a in the order i f g o. With peepholes, p_i c_0, p_f c_0 and p_o c
 * are added inside the sigmoids; the bias is then b, p_i, p_f, p_o. The state is h and
 * c.
 *
 * Derivation. With d for dL/d:
 *   dc += dh o (1 - tanh(c)^2)  (+ da_o p_o)
 *   da = (dc g i (1 - i), dc c_0 f (1 - f), dc i (1 - g^2), dh tanh(c) o (1 - o))
 *   dc_0 = dc f  (+ da_i p_i + da_f p_f),    du = da W_h^T
 *
 * Sources: Hochreiter, Schmidhuber, Neural Computation 9, 1997; Gers, Schmidhuber,
 * Cummins, Neural Computation 12, 2000 (the forget gate); Gers, Schraudolph,
 * Schmidhuber, JMLR 3, 2002 (peepholes). */
#include "graph/recurrent.h"
#include <string.h>

enum { GATES = 4, KEPT = 6, BIAS = 4, WITH_PEEPHOLES = 7 };

static bool has_peepholes(const Recurrent *v) {
  return v->cell->n_bias == WITH_PEEPHOLES;
}

static void lstm_step(const Recurrent *v, const CellStep *s) {
  int64_t H = v->H;
  bool peepholes = has_peepholes(v);
  for (int64_t r = 0; r < s->n; r++)
    if (s->on[r])
      kernels()->lstm_cell(s->h + r * H, s->rest + r * H, s->kept + r * KEPT * H,
                           s->a + r * GATES * H, v->bias, H, peepholes);
}

static void lstm_back(const Recurrent *v, const CellBack *s) {
  int64_t H = v->H;
  bool peepholes = has_peepholes(v);
  for (int64_t r = 0; r < s->n; r++) {
    if (!s->on[r]) continue;
    const real *kept = s->kept + r * KEPT * H, *c0 = s->rest0 + r * s->rest0_step;
    real *da = s->da + r * GATES * H, *dh = s->dh + r * H;
    kernels()->lstm_cell_back(da, s->drest + r * H, dh, kept, c0, v->bias, H,
                              peepholes);
    if (peepholes) kernels()->lstm_peepholes_back(s->bias + BIAS * H, da, kept, c0, H);
    memset(dh, 0, (size_t)H * sizeof *dh);
  }
  recurrent_product_back(v, s, 0, s->du, true);
}

static double complex logistic(double complex x) { return 1 / (1 + cexp(-x)); }

static void plain(const PlainStep *s, bool peepholes) {
  int64_t H = s->H;
  const double complex *b = s->bias, *peep = b + BIAS * H;
  plain_product(s->a, s->u, s->w_h, H, GATES * H);
  for (int64_t j = 0; j < H; j++) {
    double complex *a = s->a + j, c0 = s->rest[j], peep_o = 0;
    for (int k = 0; k < GATES; k++) a[k * H] += b[k * H + j];
    if (peepholes) a[0] += peep[j] * c0, a[H] += peep[H + j] * c0;
    if (peepholes) peep_o = peep[2 * H + j];
    double complex c = logistic(a[H]) * c0 + logistic(a[0]) * ctanh(a[2 * H]);
    s->rest[j] = c;
    s->h[j] = logistic(a[3 * H] + peep_o * c) * ctanh(c);
  }
}

static void plain_lstm(const PlainStep *s) { plain(s, false); }
static void plain_peepholes(const PlainStep *s) { plain(s, true); }

static void compose(Graph *g, ComposeStep *s, bool peepholes) {
  int64_t H = s->H;
  Node *a = op_add(g, s->a, compose_product(g, s, 0, s->u)), *part[GATES];
  for (int k = 0; k < GATES; k++)
    part[k] = op_add(g, compose_part(g, a, H, k, 1), compose_bias(g, s, k));
  for (int k = 0; peepholes && k < 2; k++)
    part[k] = op_add(g, part[k], op_mul(g, compose_bias(g, s, BIAS + k), s->rest));
  Node *fresh = op_mul(g, op_sigmoid(g, part[0]), op_tanh(g, part[2]));
  s->rest = op_add(g, op_mul(g, op_sigmoid(g, part[1]), s->rest), fresh);
  if (peepholes)
    part[3] = op_add(g, part[3], op_mul(g, compose_bias(g, s, BIAS + 2), s->rest));
  s->h = op_mul(g, op_sigmoid(g, part[3]), op_tanh(g, compose_rest(g, s)));
}

static void compose_lstm(Graph *g, ComposeStep *s) { compose(g, s, false); }
static void compose_peepholes(Graph *g, ComposeStep *s) { compose(g, s, true); }

#define LSTM_CELL                                                                      \
  .gates = GATES, .states = 2, .kept = KEPT, .n_products = 1, .columns = {GATES},      \
  .n_parts = 1, .parts = {{.n = GATES, .x = true}}, .step = lstm_step, .back = lstm_back

static const Cell lstm = {LSTM_CELL, .n_bias = BIAS, .plain = plain_lstm,
                          .compose = compose_lstm};
static const Cell lstm_peepholes = {LSTM_CELL, .n_bias = WITH_PEEPHOLES,
                                    .plain = plain_peepholes,
                                    .compose = compose_peepholes};
static const CellOps lstm_ops = {
    .grad = &op_record_lstm_grad, .n_forms = 2,
    .forms = (const Cell *const[]){&lstm, &lstm_peepholes}};

#define SEQUENCE(n, t, f, h, bias) RECURRENT_SAMPLE(n, t, f, h, GATES, 2, bias)
#define BACK(n, t, f, h, bias) RECURRENT_BACK(n, t, f, h, GATES, 2, bias)

static const Sample lstm_samples[] = {
    {4, {SEQUENCE(1, 1, 1, 1, BIAS)}, ATTRS({LSTM_PLAIN}, {0}, {0})},
    {4, {SEQUENCE(3, 4, 2, 3, BIAS)}, ATTRS({LSTM_PLAIN}, {1}, {0})},
    {4, {SEQUENCE(3, 4, 2, 3, WITH_PEEPHOLES)}, ATTRS({LSTM_PEEPHOLES}, {0}, {0})},
    {5, {SEQUENCE(4, 3, 2, 2, BIAS), RECURRENT_DROP(4, 2)},
     ATTRS({LSTM_PLAIN}, {0}, {0})},
    {4, {SEQUENCE(19, 3, 5, 2, BIAS)}, ATTRS({LSTM_PLAIN}, {0}, {0})},
    SAMPLES_END};
static const Sample lstm_grad_samples[] = {
    {6, {BACK(1, 1, 1, 1, BIAS)}, ATTRS({LSTM_PLAIN}, {0}, {1})},
    {6, {BACK(3, 4, 2, 3, BIAS)}, ATTRS({LSTM_PLAIN}, {1}, {0})},
    {6, {BACK(3, 4, 2, 3, WITH_PEEPHOLES)}, ATTRS({LSTM_PEEPHOLES}, {0}, {1})},
    {6, {BACK(19, 3, 5, 2, BIAS)}, ATTRS({LSTM_PLAIN}, {0}, {1})},
    {6, {RECURRENT_BACK_OF(3, 4, 2, 3, GATES, 2, BIAS, 0)},
     ATTRS({LSTM_PLAIN}, {1}, {1})},
    SAMPLES_END};

#define LSTM_SOURCE                                                                    \
  "Hochreiter & Schmidhuber, Neural Computation 9, 1997; Gers et al., Neural "         \
  "Computation 12, 2000"

const Op op_record_lstm = {
    .name = "lstm", RECURRENT_OP(lstm),
    .doc = "a long short-term memory over x [N, T, F]: its h at each step [N, T, H] "
           "and the last h beside c [N, 2 H]; steps whose mask [N, T] is 0 change "
           "nothing",
    .equation = "c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)",
    .source = LSTM_SOURCE, .samples = lstm_samples};

const Op op_record_lstm_grad = {
    .name = "lstm_grad", RECURRENT_GRAD_OP(lstm),
    .doc = "the gradients of lstm's weight, state, x and drop, given those of its "
           "results",
    .source = LSTM_SOURCE, .samples = lstm_grad_samples};
