/* optim_sgd.c: stochastic gradient descent, with momentum if wanted. */
#include "graph/ops.h"
#include "nn/optim.h"

typedef struct Sgd {
  Optimizer base;
  double momentum, dampening;
  bool nesterov;
} Sgd;

#define AT(field) .offset = offsetof(Sgd, field)
static const Option options[] = {
    OPTIM_LR("0.01"),
    {.name = "momentum", .kind = OPT_REAL, AT(momentum), .value = "0", .lo = 0, .hi = 1,
     .doc = "share of the old velocity in the new one"},
    {.name = "dampening", .kind = OPT_REAL, AT(dampening), .value = "0", .lo = 0,
     .hi = 1,
     .doc = "share of the gradient that the velocity leaves out, but for the first "
            "(PyTorch's)"},
    {.name = "nesterov", .kind = OPT_BOOL, AT(nesterov), .value = "false",
     .doc = "take the gradient's step from where the velocity leads (Nesterov)"},
    OPTIM_COMMON(OPTIM_COUPLED, "0")};

static Err check(Object *object, Fault *fault) {
  const Sgd *self = (const Sgd *)object;
  if (self->nesterov && self->momentum == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.SGD: nesterov = true needs a momentum above 0");
  if (self->dampening != 0 && (self->nesterov || self->momentum == 0))
    return fault_set(fault, ERR_VALUE,
                     "optim.SGD: dampening needs a momentum above 0, without nesterov");
  return ERR_OK;
}

static bool has_momentum(const Optimizer *self) {
  return ((const Sgd *)self)->momentum != 0;
}

enum { VELOCITY };
static const OptimSlot slots[] = {[VELOCITY] = {"velocity", has_momentum}, {0}};

static bool is_dampened(const Optimizer *self) {
  return ((const Sgd *)self)->dampening != 0;
}

/* The first velocity is the gradient. */
static double gradient_share(const Optimizer *self, double t) {
  return t == 1 ? 1 : 1 - ((const Sgd *)self)->dampening;
}

enum { MOMENTUM, GRADIENT_SHARE };
static const OptimNumber numbers[] = {
    [MOMENTUM] = {AT(momentum)},
    [GRADIENT_SHARE] = {.value = gradient_share, .counted = true,
                        .wanted = is_dampened},
    {0}};

static void rule(const Optimizer *self, OptimUpdate *u) {
  Node *step = optim_gradient(u), *momentum = u->number[MOMENTUM];
  Node *g = is_dampened(self) ? op_mul(u->graph, step, u->number[GRADIENT_SHARE])
                              : step;
  if (u->slot[VELOCITY])
    step = u->slot[VELOCITY] = op_add_product(u->graph, g, momentum, u->slot[VELOCITY]);
  if (u->slot[VELOCITY] && ((const Sgd *)self)->nesterov)
    step = op_add_product(u->graph, g, momentum, step);
  u->w = op_sub_product(u->graph, u->w, u->lr, step);
}

static void fused(const Optimizer *self, OptimUpdate *u) {
  if (is_dampened(self)) {
    rule(self, u);
    return;
  }
  Node *v = u->slot[VELOCITY];
  Node *made = op_sgd_update(u->graph, u->w, u->g, v, u->lr, u->number[MOMENTUM],
                             u->weight_decay, u->scale, ((const Sgd *)self)->nesterov);
  u->w = graph_pick(u->graph, made, 0);
  if (v) u->slot[VELOCITY] = graph_pick(u->graph, made, 1);
}

static const char *const samples[] = {
    "", "momentum=0.9", "momentum=0.9 nesterov=1",
    "momentum=0.5 weight_decay=0.02 global_clipnorm=0.1",
    "momentum=0.9 dampening=0.3 decay=0.1", "momentum=0.9 accumulate=2",
    "clipnorm=0.5 lookahead=2", NULL};

const OptimKind optim_sgd = {
    .kind = {OPTIM_RECORD(Sgd), .name = "SGD", .alias = "sgd", .options = options,
             .check = check,
             .doc = "Stochastic gradient descent, with momentum if wanted.",
             .equation = "v <- momentum v + (1 - dampening) g, at first g;  w <- w - "
                         "lr v;  nesterov: w <- w - lr (g + momentum v)",
             .source = "Sutskever et al., ICML 2013, section 2"},
    .samples = samples, .slots = slots, .numbers = numbers, .rule = rule,
    .fused = fused};
