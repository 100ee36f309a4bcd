/* optim_lion.c: steps of one size, along the signs of a mixed momentum. */
#include "graph/ops.h"
#include "nn/optim.h"

typedef struct Lion {
  Optimizer base;
  double beta1, beta2;
} Lion;

#define AT(field) .offset = offsetof(Lion, field)
static const Option options[] = {
    OPTIM_LR("0.0001"),
    {.name = "beta1", .kind = OPT_REAL, AT(beta1), .value = "0.9", .alias = "beta_1",
     .lo = 0,
     .hi = 1, .open_hi = true,
     .doc = "share of the momentum in the step; the rest is the gradient's"},
    {.name = "beta2", .kind = OPT_REAL, AT(beta2), .value = "0.99", .alias = "beta_2",
     .lo = 0, .hi = 1, .open_hi = true,
     .doc = "share of the old value in the momentum"},
    OPTIM_COMMON("each step takes lr times this share off w itself (decoupled)", "0")};

enum { MOMENTUM };
static const OptimSlot slots[] = {[MOMENTUM] = {"momentum", NULL}, {0}};

static void rule(const Optimizer *opt, OptimUpdate *u) {
  const Lion *self = (const Lion *)opt;
  Graph *g = u->graph;
  Node *gradient = optim_scaled(u), *m = u->slot[MOMENTUM];
  Node *step = op_sign(g, op_mix(g, m, gradient, self->beta1));
  if (u->decayed) step = op_add_product(g, step, u->weight_decay, u->w);
  u->w = op_sub_product(g, u->w, u->lr, step);
  u->slot[MOMENTUM] = op_mix(g, m, gradient, self->beta2);
}

static const char *const samples[] = {"", "weight_decay=0.1", "beta1=0.5 clipvalue=0.1",
                                      NULL};

const OptimKind optim_lion = {
    .kind = {OPTIM_RECORD(Lion), .name = "Lion", .alias = "lion", .options = options,
             .doc = "Steps of the same size in every element, along the sign of a "
                    "momentum. Weight decay is apart from the gradient (decoupled).",
             .equation = "c = b1 m + (1 - b1) g;  w <- w - lr (sign(c) + weight_decay "
                         "w);  m <- b2 m + (1 - b2) g",
             .source = "Chen et al., \"Symbolic discovery of optimization "
                       "algorithms\", NeurIPS 2023, algorithm 2"},
    .samples = samples, .slots = slots, .rule = rule};
