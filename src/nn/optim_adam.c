/* optim_adam.c: Adam, and AdamW, whose weight decay goes apart from the gradient. */
#include "graph/ops.h"
#include "nn/optim_moments.h"

typedef struct Adam {
  Moments base;
  bool amsgrad;
} Adam;

#define OPTIONS(decay_doc, decay_default)                                              \
  OPTIM_LR("0.001"),                                                                   \
  OPTIM_MOMENTS("share of the old value in the second moment",                         \
                .doc = "added outside the square root (Keras: 1e-7, before "           \
                       "the correction of bias)"),                                     \
  OPTIM_EPS_INSIDE(Moments),                                                           \
  {.name = "amsgrad", .kind = OPT_BOOL, .offset = offsetof(Adam, amsgrad),             \
   .value = "false",                                                                   \
   .doc = "divide by the largest second moment so far (Reddi et al., ICLR 2018, "      \
          "algorithm 2)"},                                                             \
  OPTIM_COMMON(decay_doc, decay_default)

static const Option adam_options[] = {OPTIONS(OPTIM_COUPLED, "0")};
static const Option adamw_options[] = {
    OPTIONS("each step takes lr times this share off w (decoupled; Keras: 0.004)",
            "0.01")};

static bool is_amsgrad(const Optimizer *self) { return ((const Adam *)self)->amsgrad; }

enum { LARGEST = MOMENTS };
static const OptimSlot slots[] = {MOMENT_SLOTS, [LARGEST] = {"largest", is_amsgrad},
                                  {0}};
static const OptimNumber numbers[] = {MOMENT_CORRECTIONS, {0}};

static void rule(const Optimizer *opt, OptimUpdate *u, bool decoupled) {
  const Moments *self = moments(opt);
  Graph *g = u->graph;
  Node *gradient = decoupled ? optim_scaled(u) : optim_gradient(u), *w = u->w;
  Node *m = moments_mean(self, u, gradient), *v = moments_square(self, u, gradient);
  if (is_amsgrad(opt)) v = u->slot[LARGEST] = op_maximum(g, u->slot[LARGEST], v);
  u->w = op_sub(g, w, moments_step(self, u, u->lr, m, v));
  if (decoupled && u->decayed)
    u->w = op_sub_product(g, u->w, op_mul(g, u->lr, u->weight_decay), w);
}

static void rule_coupled(const Optimizer *self, OptimUpdate *u) {
  rule(self, u, false);
}
static void rule_decoupled(const Optimizer *self, OptimUpdate *u) {
  rule(self, u, true);
}

static void fused(const Optimizer *opt, OptimUpdate *u, bool decoupled) {
  const Moments *self = moments(opt);
  if (is_amsgrad(opt) || self->eps_inside) {
    rule(opt, u, decoupled);
    return;
  }
  Node *made = op_adam_update(u->graph, u->w, u->g, u->slot[MOMENT1], u->slot[MOMENT2],
                              u->lr, u->number[CORRECTION1], u->number[CORRECTION2],
                              u->weight_decay, u->scale, self->beta1, self->beta2,
                              self->eps, decoupled);
  u->w = graph_pick(u->graph, made, 0);
  u->slot[MOMENT1] = graph_pick(u->graph, made, 1);
  u->slot[MOMENT2] = graph_pick(u->graph, made, 2);
}

static void fused_coupled(const Optimizer *self, OptimUpdate *u) {
  fused(self, u, false);
}
static void fused_decoupled(const Optimizer *self, OptimUpdate *u) {
  fused(self, u, true);
}

static const char *const samples[] = {"", "beta1=0.7 eps=0.001", "weight_decay=0.02",
                                      "clipnorm=0.5", "amsgrad=1 eps_inside=1",
                                      "accumulate=3 lookahead=2 weight_decay=0.02",
                                      NULL};

const OptimKind optim_adam = {
    .kind = {OPTIM_RECORD(Adam), .name = "Adam", .alias = "adam",
             .options = adam_options,
             .doc = "Steps along the running mean of the gradient, divided by the root "
                    "of the running mean of its square; both are corrected for "
                    "starting at 0.",
             .equation = "m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - "
                         "lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps); t: "
                         "number of updates of this w; amsgrad: v the largest so far; "
                         "eps_inside: sqrt(v / (1 - b2^t) + eps)",
             .source = "Kingma & Ba, ICLR 2015, algorithm 1"},
    .samples = samples, .slots = slots, .numbers = numbers, .rule = rule_coupled,
    .fused = fused_coupled};

const OptimKind optim_adamw = {
    .kind = {OPTIM_RECORD(Adam), .name = "AdamW", .alias = "adamw",
             .options = adamw_options,
             .doc = "Adam whose weight decay is apart from the gradient (decoupled).",
             .equation = "as Adam, and w <- w - lr weight_decay w",
             .source = "Loshchilov & Hutter, ICLR 2019, algorithm 2"},
    .samples = samples, .slots = slots, .numbers = numbers, .rule = rule_decoupled,
    .fused = fused_decoupled};
