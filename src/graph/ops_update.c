/* ops_update.c: optimizer steps as ops: whole tensors in, new values out.
 *
 * Rates and factors are inputs of no axes, so that changing one changes no structure.
 * An optional slot comes last among the inputs; without it the op has fewer outputs.
 *
 * Ranges. The bounds of all inputs bound every intermediate result, by the triangle
 * inequality. While these stay below RANGE_LIMIT nothing overflows, so nothing becomes
 * NaN either. */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>

static const real *reals(const OpCall *call, int i) { return call->in[i].data; }

/* Elements of some rows, and those of a block. */
typedef struct Stretch {
  int64_t at, n;
} Stretch;

static Stretch stretch_of_block(const OpCall *call, int64_t block) {
  int64_t at = block * BLOCK;
  return (Stretch){at, least(shape_count(&call->in[0].shape) - at, BLOCK)};
}

static Stretch stretch_of_rows(const OpCall *call, int64_t first, int64_t n) {
  const Shape *w = &call->in[0].shape;
  int64_t row = shape_count(w) / w->dim[0];
  return (Stretch){first * row, n * row};
}

static bool update_by_row(const Node *node, OpByRow *how) {
  if (node->shape.rank == 0 || node->shape.dim[0] == 0) return false;
  for (int k = 0; k < node->n_in; k++)
    if (node->in[k]->shape.rank > 0) how->in |= 1u << k;
  how->out = (1u << node->n_out) - 1;
  return true;
}

static void update_split(const OpCall *call, OpSplit *split) {
  int64_t n = shape_count(&call->in[0].shape);
  split->n_blocks[0] = n > BLOCK ? (n + BLOCK - 1) / BLOCK : 1;
}

/* Input `i`: real, of w's shape (`scalar`: of no axes). */
static Err check_input(OpInfer *io, int i, bool scalar) {
  const Node *x = io->in[i];
  const Shape *want = scalar ? &SHAPE_SCALAR : &io->in[0]->shape;
  char got[SHAPE_TEXT], allowed[SHAPE_TEXT];
  if (infer_need_real(io, i)) return io->fault->code;
  if (!shape_equal(&x->shape, want))
    return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s", io->op->inputs[i],
                     shape_text(got, &x->shape), shape_text(allowed, want));
  return ERR_OK;
}

/* -- clipping ---------------------------------------------------------------------- */

static Err clip_factor_infer(OpInfer *io) {
  io->out_shape[0] = io->in[0]->shape;
  return infer_need_real(io, 0);
}

/* A factor that counts as zero would stop the training without a word. */
static void clip_factor_tile(const OpCall *call, real *y, const real *const *in,
                             const int64_t *stride, int64_t n) {
  real limit = (real)call->attr[0].f;
  (void)stride;
  for (int64_t i = 0; i < n; i++) {
    real factor = in[0][i] <= limit ? 1 : limit / in[0][i];
    y[i] = (double)factor >= REAL_SMALLEST ? factor : (real)NAN;
  }
}

static double clip_factor_scalar(const double *in, const Attr *attr) {
  return in[0] <= attr[0].f ? 1 : attr[0].f / in[0];
}

#define CLIP_SAMPLE(shape_, limit)                                                     \
  {.n_in = 1, .in = {{shape_, DT_REAL, 0, 2}}, ATTRS({.f = limit})}
static const Sample clip_factor_samples[] = {
    CLIP_SAMPLE(SHAPE_SCALAR, 1), CLIP_SAMPLE(SHAPE_OF(1), 0.5),
    CLIP_SAMPLE(SHAPE_OF(3, 7), 1.5), SAMPLES_END};

const Op op_record_clip_factor = {
    .name = "clip_factor", .n_in = 1, .n_out = 1,
    .flags = OP_ELEMENTWISE | OP_NO_GRAD | OP_INTERNAL,
    .inputs = (const char *const[]){"norm"},
    .attrs = OP_ATTRS({.name = "limit", .kind = ATTR_REAL, .lo = 0, .hi = 1e9,
                       .doc = "the largest norm that is left as it is"}),
    .doc = "The factor that brings a norm down to a limit; NaN for a norm that is not "
           "finite or so large that the factor would count as 0.",
    .equation = "y = min(1, limit / norm)",
    .source = "Pascanu, Mikolov, Bengio, \"On the difficulty of training recurrent "
              "neural networks\", ICML 2013, algorithm 1",
    .infer = clip_factor_infer, .split = elements_split, .run = elements_run_block,
    .tile = clip_factor_tile, .scalar = clip_factor_scalar, .vjp = vjp_none,
    .samples = clip_factor_samples,
};

Node *op_clip_factor(Graph *g, Node *norm, double limit) {
  return graph_apply(g, &op_record_clip_factor, &norm, 1, (Attr[]){{.f = limit}}, 1);
}

/* -- SGD --------------------------------------------------------------------------- */

enum { SGD_W, SGD_G, SGD_LR, SGD_MOMENTUM, SGD_DECAY, SGD_SCALE, SGD_VELOCITY, SGD_IN };

static Err sgd_infer(OpInfer *io) {
  for (int i = 0; i < io->n_in; i++)
    if (check_input(io, i, i >= SGD_LR && i <= SGD_SCALE)) return io->fault->code;
  io->n_out = io->n_in > SGD_VELOCITY ? 2 : 1;
  for (int o = 0; o < io->n_out; o++) io->out_shape[o] = io->in[SGD_W]->shape;
  return ERR_OK;
}

static void sgd_step(const OpCall *call, Stretch s) {
  const Kernels *k = kernels();
  int64_t at = s.at, n = s.n;
  const real *w = reals(call, SGD_W) + at, *g = reals(call, SGD_G) + at;
  real lr = *reals(call, SGD_LR), momentum = *reals(call, SGD_MOMENTUM);
  real decay = *reals(call, SGD_DECAY), scale = *reals(call, SGD_SCALE);
  real *w_out = (real *)call->out[0].data + at;
  if (call->n_in == SGD_VELOCITY) {
    k->update_sgd(w_out, w, g, n, lr, decay, scale);
    return;
  }
  k->update_momentum(w_out, (real *)call->out[1].data + at, w, g,
                     reals(call, SGD_VELOCITY) + at, n, lr, momentum, decay, scale,
                     call->attr[0].i != 0);
}

static void sgd_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  sgd_step(call, stretch_of_block(call, block));
}

static void sgd_run_rows(const OpCall *call, int64_t first, int64_t n) {
  sgd_step(call, stretch_of_rows(call, first, n));
}

static void sgd_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  double lr = *in[SGD_LR], mu = *in[SGD_MOMENTUM];
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++) {
    double w = in[SGD_W][i], g = *in[SGD_SCALE] * in[SGD_G][i] + *in[SGD_DECAY] * w;
    double step = g;
    if (call->n_in > SGD_VELOCITY) {
      double v = mu * in[SGD_VELOCITY][i] + g;
      out[1][i] = v;
      step = call->attr[0].i ? g + mu * v : v;
    }
    out[0][i] = w - lr * step;
  }
}

static void sgd_range(const OpCall *call, const Range *in, Range *out) {
  bool moving = call->n_in > SGD_VELOCITY;
  double w = range_size(in[SGD_W]), mu = range_size(in[SGD_MOMENTUM]);
  double g = range_size(in[SGD_SCALE]) * range_size(in[SGD_G]) +
             range_size(in[SGD_DECAY]) * w;
  double v = moving ? mu * range_size(in[SGD_VELOCITY]) + g : g;
  double step = moving && call->attr[0].i ? g + mu * v : v; /* nesterov */
  w += range_size(in[SGD_LR]) * step;
  bool holds = step <= RANGE_LIMIT && v <= RANGE_LIMIT && w <= RANGE_LIMIT;
  out[0] = holds ? range_around(w) : RANGE_UNKNOWN;
  if (moving) out[1] = holds ? range_around(v) : RANGE_UNKNOWN;
}

#define RATE(lo, hi)                                                                   \
  { {0, {0}}, DT_REAL, lo, hi }

#define SGD_INPUTS(n)                                                                  \
  {.shape = {1, {n}}}, {.shape = {1, {n}}}, RATE(0.05, 0.2), RATE(0.8, 0.95),          \
      RATE(0.001, 0.1), RATE(0.3, 0.9)
#define SGD_PLAIN(n)                                                                   \
  {                                                                                    \
    .n_in = 6, .in = {SGD_INPUTS(n)}, ATTRS({.i = 0})                                  \
  }
#define SGD_MOVING(n, nesterov)                                                        \
  {.n_in = 7, .in = {SGD_INPUTS(n), {.shape = {1, {n}}}},                              \
   ATTRS({.i = (nesterov)})}

static const Sample sgd_samples[] = {
    SGD_PLAIN(1),     SGD_PLAIN(33),     SGD_PLAIN(20000),     SGD_MOVING(1, 0),
    SGD_MOVING(33, 0), SGD_MOVING(33, 1), SGD_MOVING(20000, 1), SAMPLES_END};

static const char *const sgd_inputs[] = {"w",     "gw",           "lr",
                                         "momentum", "weight_decay", "scale",
                                         "velocity"};

const Op op_record_sgd_update = {
    .name = "sgd_update", .n_in = SGD_IN, .n_out = 2, .n_optional = 1,
    .flags = OP_UPDATE | OP_NO_GRAD | OP_INTERNAL, .inputs = sgd_inputs,
    .attrs = OP_ATTRS({.name = "nesterov", .kind = ATTR_BOOL, .value = "false",
                       .doc = "step along g + momentum v instead of v"}),
    .doc = "One step of gradient descent: new w, and new v where there is one.",
    .equation = "g = scale gw + weight_decay w; v' = momentum v + g; w' = w - lr v' "
                "(nesterov: w - lr (g + momentum v'); no v: w - lr g)",
    .source = "Sutskever et al., \"On the importance of initialization and momentum\", "
              "ICML 2013, section 2",
    .infer = sgd_infer, .split = update_split, .run = sgd_run,
    .by_row = update_by_row, .run_rows = sgd_run_rows, .vjp = vjp_none,
    .range = sgd_range,
    .reference = sgd_reference, .samples = sgd_samples,
};

Node *op_sgd_update(Graph *g, Node *w, Node *gw, Node *velocity, Node *lr,
                    Node *momentum, Node *weight_decay, Node *scale, bool nesterov) {
  Node *in[SGD_IN] = {w, gw, lr, momentum, weight_decay, scale, velocity};
  return graph_apply(g, &op_record_sgd_update, in, velocity ? SGD_IN : SGD_VELOCITY,
                     &(Attr){.i = nesterov}, 1);
}

/* -- Adam -------------------------------------------------------------------------- */

enum {
  ADAM_W, ADAM_G, ADAM_M, ADAM_V, ADAM_LR, ADAM_C1, ADAM_C2, ADAM_DECAY, ADAM_SCALE,
  ADAM_IN
};
enum { BETA1, BETA2, EPS, DECOUPLED, ADAM_ATTRS };

static Err adam_infer(OpInfer *io) {
  for (int i = 0; i < io->n_in; i++)
    if (check_input(io, i, i >= ADAM_LR)) return io->fault->code;
  for (int o = 0; o < io->n_out; o++) io->out_shape[o] = io->in[ADAM_W]->shape;
  return ERR_OK;
}

static void adam_step(const OpCall *call, Stretch s) {
  const Attr *attr = call->attr;
  real lr = *reals(call, ADAM_LR), decay = *reals(call, ADAM_DECAY);
  bool decoupled = attr[DECOUPLED].i != 0;
  AdamRates rates = {
      .lr = lr, .scale = *reals(call, ADAM_SCALE),
      .beta1 = (real)attr[BETA1].f, .rest1 = (real)(1 - attr[BETA1].f),
      .beta2 = (real)attr[BETA2].f, .rest2 = (real)(1 - attr[BETA2].f),
      .correction1 = *reals(call, ADAM_C1), .correction2 = *reals(call, ADAM_C2),
      .eps = (real)attr[EPS].f, .coupled = decoupled ? 0 : decay,
      .shrink = decoupled ? lr * decay : 0};
  real *out[3];
  for (int o = 0; o < 3; o++) out[o] = (real *)call->out[o].data + s.at;
  kernels()->update_adam(out[0], out[1], out[2], reals(call, ADAM_W) + s.at,
                         reals(call, ADAM_G) + s.at, reals(call, ADAM_M) + s.at,
                         reals(call, ADAM_V) + s.at, s.n, &rates);
}

static void adam_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  adam_step(call, stretch_of_block(call, block));
}

static void adam_run_rows(const OpCall *call, int64_t first, int64_t n) {
  adam_step(call, stretch_of_rows(call, first, n));
}

static void adam_reference(const OpCall *call, const double *const *in,
                           double *const *out) {
  const Attr *attr = call->attr;
  double b1 = attr[BETA1].f, b2 = attr[BETA2].f, lr = *in[ADAM_LR];
  double decay = *in[ADAM_DECAY];
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++) {
    double w = in[ADAM_W][i], g = *in[ADAM_SCALE] * in[ADAM_G][i];
    if (!attr[DECOUPLED].i) g += decay * w;
    double m = b1 * in[ADAM_M][i] + (1 - b1) * g;
    double v = b2 * in[ADAM_V][i] + (1 - b2) * g * g;
    double step = lr * (m * *in[ADAM_C1]) / (sqrt(v * *in[ADAM_C2]) + attr[EPS].f);
    out[0][i] = w - step - (attr[DECOUPLED].i ? lr * decay * w : 0);
    out[1][i] = m;
    out[2][i] = v;
  }
}

/* A step is at most lr c1 |m| / eps: far too much, but all that is asked. */
static void adam_range(const OpCall *call, const Range *in, Range *out) {
  const Attr *attr = call->attr;
  bool decoupled = attr[DECOUPLED].i != 0;
  double w = range_size(in[ADAM_W]), lr = range_size(in[ADAM_LR]);
  double decay = range_size(in[ADAM_DECAY]), eps = (double)(real)attr[EPS].f;
  double g = range_size(in[ADAM_SCALE]) * range_size(in[ADAM_G]) +
             (decoupled ? 0 : decay * w);
  double m = attr[BETA1].f * range_size(in[ADAM_M]) + (1 - attr[BETA1].f) * g;
  double v = attr[BETA2].f * in[ADAM_V].hi + (1 - attr[BETA2].f) * (g * g);
  double first = m * range_size(in[ADAM_C1]), second = v * range_size(in[ADAM_C2]);
  w += lr * first / eps + (decoupled ? lr * decay * w : 0);
  bool holds = eps >= REAL_SMALLEST && in[ADAM_V].lo >= 0 && in[ADAM_C2].lo >= 0 &&
               m <= RANGE_LIMIT && g * g <= RANGE_LIMIT && v <= RANGE_LIMIT &&
               first <= RANGE_LIMIT && lr * first <= RANGE_LIMIT &&
               lr * decay <= RANGE_LIMIT && second <= RANGE_LIMIT && w <= RANGE_LIMIT;
  out[0] = holds ? range_around(w) : RANGE_UNKNOWN;
  out[1] = holds ? range_around(m) : RANGE_UNKNOWN;
  out[2] = holds ? (Range){0, v} : RANGE_UNKNOWN;
}

#define ADAM_SAMPLE(n, decoupled)                                                      \
  {.n_in = ADAM_IN,                                                                    \
   .in = {{.shape = {1, {n}}}, {.shape = {1, {n}}}, {.shape = {1, {n}}},               \
          {{1, {n}}, DT_REAL, 0.01, 2}, RATE(0.05, 0.2), RATE(1, 10), RATE(1, 100),    \
          RATE(0.001, 0.1), RATE(0.3, 0.9)},                                           \
   ATTRS({.f = 0.9}, {.f = 0.999}, {.f = 1e-8}, {.i = (decoupled)})}

static const Sample adam_samples[] = {ADAM_SAMPLE(1, 0),     ADAM_SAMPLE(33, 0),
                                      ADAM_SAMPLE(33, 1),    ADAM_SAMPLE(20000, 0),
                                      ADAM_SAMPLE(20000, 1), SAMPLES_END};

static const char *const adam_inputs[] = {
    "w",  "gw",          "m",           "v",
    "lr", "correction1", "correction2", "weight_decay", "scale"};

const Op op_record_adam_update = {
    .name = "adam_update", .n_in = ADAM_IN, .n_out = 3,
    .flags = OP_UPDATE | OP_NO_GRAD | OP_INTERNAL, .inputs = adam_inputs,
    .attrs = OP_ATTRS({.name = "beta1", .kind = ATTR_REAL, .value = "0.9", .lo = 0,
                       .hi = 1,
                       .doc = "decay of the first moment"},
                      {.name = "beta2", .kind = ATTR_REAL, .value = "0.999",
                       .lo = 0, .hi = 1,
                       .doc = "decay of the second moment"},
                      {.name = "eps", .kind = ATTR_REAL, .value = "1e-8", .lo = 0,
                       .hi = 1e9,
                       .doc = "added to the root"},
                      {.name = "decoupled", .kind = ATTR_BOOL, .value = "false",
                       .doc = "decay the weight itself (AdamW), not by way of the "
                              "gradient"}),
    .doc = "One step of Adam: new w, m, v. correction_k = 1 / (1 - beta_k^t).",
    .equation = "g = scale gw + weight_decay w (decoupled: scale gw); "
                "m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; w' = w "
                "- lr correction1 m' / (sqrt(correction2 v') + eps) (decoupled: - lr "
                "weight_decay w)",
    .source = "Kingma, Ba, \"Adam\", ICLR 2015, algorithm 1; Loshchilov, Hutter, "
              "\"Decoupled weight decay regularization\", ICLR 2019, algorithm 2",
    .infer = adam_infer, .split = update_split, .run = adam_run,
    .by_row = update_by_row, .run_rows = adam_run_rows, .vjp = vjp_none,
    .range = adam_range,
    .reference = adam_reference, .samples = adam_samples,
};

Node *op_adam_update(Graph *g, Node *w, Node *gw, Node *m, Node *v, Node *lr,
                     Node *correction1, Node *correction2, Node *weight_decay,
                     Node *scale, double beta1, double beta2, double eps,
                     bool decoupled) {
  Node *in[ADAM_IN] = {w,           gw,          m,            v,    lr,
                       correction1, correction2, weight_decay, scale};
  Attr attr[ADAM_ATTRS] = {{.f = beta1}, {.f = beta2}, {.f = eps}, {.i = decoupled}};
  return graph_apply(g, &op_record_adam_update, in, ADAM_IN, attr, ADAM_ATTRS);
}
