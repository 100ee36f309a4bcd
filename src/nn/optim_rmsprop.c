/* optim_rmsprop.c: the gradient divided by the root of its mean square.
 *
 * eps is added outside the root, as everywhere here and in PyTorch; Keras and Graves
 * add it inside, as eps_inside does. The rate is no part of the velocity, as in SGD and
 * PyTorch. A variance that rounding made negative counts as 0. */
#include "graph/ops.h"
#include "nn/optim.h"

typedef struct RmsProp {
  Optimizer base;
  double rho, momentum, eps;
  bool centered, eps_inside;
} RmsProp;

#define AT(field) .offset = offsetof(RmsProp, field)
static const Option options[] = {
    OPTIM_LR("0.001"),
    {.name = "rho", .kind = OPT_REAL, AT(rho), .value = "0.9", .alias = "alpha",
     .lo = 0,
     .hi = 1, .open_hi = true,
     .doc = "share of the old value in the mean square (PyTorch: alpha, 0.99)"},
    {.name = "momentum", .kind = OPT_REAL, AT(momentum), .value = "0", .lo = 0, .hi = 1,
     .doc = "share of the old velocity in the new one"},
    {.name = "eps", .kind = OPT_REAL, AT(eps), .value = "1e-8", .alias = "epsilon",
     .lo = 0,
     .hi = 1e9, .doc = "added outside the square root (Keras: 1e-7, inside)"},
    OPTIM_EPS_INSIDE(RmsProp),
    {.name = "centered", .kind = OPT_BOOL, AT(centered), .value = "false",
     .doc = "divide by the standard deviation of the gradient instead"},
    OPTIM_COMMON(OPTIM_COUPLED, "0")};

static bool is_centered(const Optimizer *self) {
  return ((const RmsProp *)self)->centered;
}
static bool has_momentum(const Optimizer *self) {
  return ((const RmsProp *)self)->momentum != 0;
}

enum { SQUARE, MEAN, VELOCITY };
static const OptimSlot slots[] = {[SQUARE] = {"square", NULL},
                                  [MEAN] = {"mean", is_centered},
                                  [VELOCITY] = {"velocity", has_momentum}, {0}};

enum { MOMENTUM };
static const OptimNumber numbers[] = {[MOMENTUM] = {AT(momentum)}, {0}};

static void rule(const Optimizer *opt, OptimUpdate *u) {
  const RmsProp *self = (const RmsProp *)opt;
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u);
  Node *s = u->slot[SQUARE] = op_mix_square(g, u->slot[SQUARE], gradient, self->rho);
  if (self->centered) {
    Node *mean = u->slot[MEAN] = op_mix(g, u->slot[MEAN], gradient, self->rho);
    s = op_spread(g, s, mean);
  }
  Node *step = optim_over_root(g, gradient, s, self->eps, self->eps_inside);
  if (u->slot[VELOCITY])
    step = u->slot[VELOCITY] = op_add_product(g, step, u->number[MOMENTUM],
                                              u->slot[VELOCITY]);
  u->w = op_sub_product(g, u->w, u->lr, step);
}

static const char *const samples[] = {"",
                                      "centered=1",
                                      "momentum=0.9",
                                      "momentum=0.9 centered=1",
                                      "eps_inside=1 eps=1e-7",
                                      "rho=0.99 weight_decay=0.02",
                                      NULL};

const OptimKind optim_rmsprop = {
    .kind = {OPTIM_RECORD(RmsProp), .name = "RMSprop", .alias = "rmsprop",
             .options = options,
             .doc = "Divides each gradient by the root of the running mean of its "
                    "square; with momentum if wanted.",
             .equation = "s <- rho s + (1 - rho) g^2; v <- momentum v + g / (sqrt(s) + "
                         "eps); w <- w - lr v; centered: m <- rho m + (1 - rho) g, and "
                         "s - m^2 under the root",
             .source = "Hinton, \"Neural networks for machine learning\", lecture 6e, "
                       "2012; centered: Graves, arXiv:1308.0850, section 4.2"},
    .samples = samples, .slots = slots, .numbers = numbers, .rule = rule};
