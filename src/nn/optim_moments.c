/* optim_moments.c: relatives of Adam: the largest gradient in place of the second
 * moment, Nesterov's momentum, and a rate that waits for the second moment. */
#include "nn/optim_moments.h"
#include "graph/ops.h"
#include <math.h>

#define COMMON OPTIM_COMMON(OPTIM_COUPLED, "0")
static const char *const samples[] = {"", "beta1=0.7 beta2=0.9 weight_decay=0.02",
                                      NULL};
static const OptimSlot slots[] = {MOMENT_SLOTS, {0}};

/* -- what they share with Adam ----------------------------------------------------- */

double moments_correction1(const Optimizer *self, double t) {
  return optim_correction(moments(self)->beta1, t);
}
double moments_correction2(const Optimizer *self, double t) {
  return optim_correction(moments(self)->beta2, t);
}

Node *moments_mean(const Moments *self, OptimUpdate *u, Node *gradient) {
  u->slot[MOMENT1] = op_mix(u->graph, u->slot[MOMENT1], gradient, self->beta1);
  return u->slot[MOMENT1];
}

Node *moments_square(const Moments *self, OptimUpdate *u, Node *gradient) {
  Node *moment = u->slot[MOMENT2];
  return u->slot[MOMENT2] = op_mix_square(u->graph, moment, gradient, self->beta2);
}

Node *moments_step(const Moments *self, const OptimUpdate *u, Node *rate, Node *m,
                   Node *v) {
  Graph *g = u->graph;
  Node *spread = op_mul(g, v, u->number[CORRECTION2]);
  Node *step = op_mul(g, rate, op_mul(g, m, u->number[CORRECTION1]));
  return optim_over_root(g, step, spread, self->eps, self->eps_inside);
}

/* -- Adamax ------------------------------------------------------------------------ */

static const Option adamax_options[] = {
    OPTIM_LR("0.001"),
    OPTIM_MOMENTS("factor by which the largest gradient fades",
                  .open = true,
                  .doc = "added to the absolute gradient (Keras: to the largest one, "
                         "1e-7)"),
    COMMON};
static const OptimSlot adamax_slots[] = {[MOMENT1] = {"moment1", NULL},
                                         [MOMENT2] = {"largest", NULL}, {0}};
static const OptimNumber adamax_numbers[] = {
    [CORRECTION1] = {.value = moments_correction1, .counted = true}, {0}};

static void adamax_rule(const Optimizer *opt, OptimUpdate *u) {
  const Moments *self = moments(opt);
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u), *m = moments_mean(self, u, gradient);
  Node *size = op_add(g, op_abs(g, gradient), graph_scalar(g, self->eps));
  Node *largest = op_maximum(g, op_scale(g, u->slot[MOMENT2], self->beta2), size);
  u->slot[MOMENT2] = largest;
  Node *rate = op_mul(g, u->lr, u->number[CORRECTION1]);
  u->w = op_sub_product(g, u->w, rate, op_div(g, m, largest));
}

const OptimKind optim_adamax = {
    .kind = {OPTIM_RECORD(Moments), .name = "Adamax", .alias = "adamax",
             .options = adamax_options,
             .doc = "Adam with the largest recent gradient in place of the second "
                    "moment.",
             .equation = "m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps); w <- w - "
                         "lr (m / (1 - b1^t)) / u",
             .source = "Kingma & Ba, ICLR 2015, algorithm 2"},
    .samples = samples, .slots = adamax_slots, .numbers = adamax_numbers,
    .rule = adamax_rule};

/* -- NAdam ------------------------------------------------------------------------- */

typedef struct Nadam {
  Moments base;
  double decay;
  /* momentum_product(at) with these options, so that the next one is one factor more */
  double of_beta1, of_decay, at, product;
} Nadam;

/* mu_t = beta1 (1 - 0.96^(t decay) / 2) */
static double momentum_at(const Nadam *self, double t) {
  return self->base.beta1 * (1 - 0.5 * pow(0.96, t * self->decay));
}

/* mu_1 ... mu_t, by the options as they are now: the same after a resume. */
static double momentum_product(const Optimizer *opt, double t) {
  Nadam *self = (Nadam *)opt;
  bool known = self->of_beta1 == self->base.beta1 && self->of_decay == self->decay;
  if (!known || self->at > t || self->at == 0) {
    self->of_beta1 = self->base.beta1;
    self->of_decay = self->decay;
    self->product = 1;
    self->at = 0;
  }
  while (self->at < t) self->product *= momentum_at(self, ++self->at);
  return self->product;
}

static double gradient_share(const Optimizer *opt, double t) {
  const Nadam *self = (const Nadam *)opt;
  return (1 - momentum_at(self, t)) / (1 - momentum_product(opt, t));
}

static double moment_share(const Optimizer *opt, double t) {
  double next = momentum_at((const Nadam *)opt, t + 1);
  return next / (1 - momentum_product(opt, t) * next);
}

enum { GRADIENT_SHARE, MOMENT_SHARE, ROOT };
static const OptimNumber nadam_numbers[] = {
    [GRADIENT_SHARE] = {.value = gradient_share, .counted = true},
    [MOMENT_SHARE] = {.value = moment_share, .counted = true},
    [ROOT] = {.value = moments_correction2, .counted = true}, {0}};

static void nadam_rule(const Optimizer *opt, OptimUpdate *u) {
  const Moments *self = moments(opt);
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u), *m = moments_mean(self, u, gradient);
  Node *v = moments_square(self, u, gradient);
  Node *unbiased = op_mul(g, v, u->number[ROOT]);
  Node *ahead = op_add_product(g, op_mul(g, gradient, u->number[GRADIENT_SHARE]),
                               u->number[MOMENT_SHARE], m);
  Node *step = optim_over_root(g, ahead, unbiased, self->eps, self->eps_inside);
  u->w = op_sub_product(g, u->w, u->lr, step);
}

static const Option nadam_options[] = {
    OPTIM_LR("0.002"),
    OPTIM_MOMENTS("share of the old value in the second moment",
                  .open = true,
                  .doc = "added outside the square root (Keras: 1e-7)"),
    OPTIM_EPS_INSIDE(Moments),
    {.name = "momentum_decay", .kind = OPT_REAL, .offset = offsetof(Nadam, decay),
     .value = "0.004", .lo = 0, .hi = 1e3,
     .doc = "how fast the momentum rises to beta1; 0: it stays at beta1 / 2"},
    COMMON};

const OptimKind optim_nadam = {
    .kind = {OPTIM_RECORD(Nadam), .name = "NAdam", .alias = "nadam Nadam",
             .options = nadam_options,
             .doc = "Adam with Nesterov momentum, which rises to beta1.",
             .equation = "mu_t = b1 (1 - 0.96^(t momentum_decay) / 2), P_t = mu_1 mu_2 "
                         "... mu_t; m, v as in Adam; w <- w - lr ((1 - mu_t) g / (1 - "
                         "P_t) + mu_(t+1) m / (1 - P_(t+1))) / (sqrt(v / (1 - b2^t)) + "
                         "eps)",
             .source = "Dozat, ICLR workshop 2016, algorithm 8"},
    .samples = samples, .slots = slots, .numbers = nadam_numbers, .rule = nadam_rule};

/* -- RAdam ------------------------------------------------------------------------- */

/* Length of the average that the second moment is, at its t-th value. */
static double length_at(const Moments *self, double t) {
  double decay = pow(self->beta2, t);
  return 2 / (1 - self->beta2) - 1 - 2 * t * decay / (1 - decay);
}

/* What the step over the root counts, and what the plain momentum: one of them 0. */
static double adaptive_share(const Optimizer *opt, double t) {
  const Moments *self = moments(opt);
  double most = 2 / (1 - self->beta2) - 1, now = length_at(self, t);
  if (!(now > 5)) return 0;
  double variance = (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now);
  return sqrt(variance * (1 - pow(self->beta2, t)));
}

static double plain_share(const Optimizer *opt, double t) {
  return length_at(moments(opt), t) > 5 ? 0 : 1;
}

enum { MEAN, ADAPTIVE, PLAIN };
static const OptimNumber radam_numbers[] = {
    [MEAN] = {.value = moments_correction1, .counted = true},
    [ADAPTIVE] = {.value = adaptive_share, .counted = true},
    [PLAIN] = {.value = plain_share, .counted = true}, {0}};

static const Option radam_options[] = {
    OPTIM_LR("0.001"),
    OPTIM_MOMENTS("share of the old value in the second moment",
                  .open = true,
                  .doc = "added outside the square root of the second moment as it "
                         "is (TensorFlow Addons: of the corrected one, 1e-7)"),
    OPTIM_EPS_INSIDE(Moments), COMMON};
static const char *const radam_samples[] = {
    "", "beta1=0.7 beta2=0.9 weight_decay=0.02",
    "beta2=0.9 eps_inside=1 eps=1e-3", NULL};

static void radam_rule(const Optimizer *opt, OptimUpdate *u) {
  const Moments *self = moments(opt);
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u), *m = moments_mean(self, u, gradient);
  Node *v = moments_square(self, u, gradient);
  Node *eps = graph_scalar(g, self->eps);
  Node *root = self->eps_inside ? op_sqrt(g, op_add(g, v, eps))
                                : op_add(g, op_sqrt(g, v), eps);
  Node *share = op_add(g, op_div(g, u->number[ADAPTIVE], root), u->number[PLAIN]);
  Node *rate = op_mul(g, u->lr, u->number[MEAN]);
  u->w = op_sub_product(g, u->w, rate, op_mul(g, m, share));
}

const OptimKind optim_radam = {
    .kind = {OPTIM_RECORD(Moments), .name = "RAdam", .alias = "radam",
             .options = radam_options,
             .doc = "Adam that starts as plain momentum and warms up by itself: it "
                    "divides by the second moment only once that is a mean of more "
                    "than 5 values.",
             .equation = "m, v as in Adam; r = 2 / (1 - b2) - 1; r_t = r - 2 t b2^t / "
                         "(1 - b2^t); R_t = sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r - "
                         "2) r_t)); w <- w - lr (m / (1 - b1^t)) (R_t sqrt(1 - b2^t) / "
                         "(sqrt(v) + eps) if r_t > 5 else 1); eps_inside: sqrt(v + "
                         "eps)",
             .source = "Liu et al., ICLR 2020, algorithm 2"},
    .samples = radam_samples, .slots = slots, .numbers = radam_numbers,
    .rule = radam_rule};
