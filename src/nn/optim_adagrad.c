/* optim_adagrad.c: Adagrad, which sums up the squares of all gradients, and Adadelta,
 * which keeps a moving mean of them and of the squares of its own steps. */
#include "graph/ops.h"
#include "nn/optim.h"

/* -- Adagrad ----------------------------------------------------------------------- */

typedef struct Adagrad {
  Optimizer base;
  double eps, start;
  bool eps_inside;
} Adagrad;

static const Option adagrad_options[] = {
    OPTIM_LR("0.01"),
    {.name = "eps", .kind = OPT_REAL, .offset = offsetof(Adagrad, eps),
     .value = "1e-10", .alias = "epsilon", .lo = 0, .hi = 1e9, .open = true,
     .doc = "added outside the square root (Keras: 1e-7, inside)"},
    {.name = "start", .kind = OPT_REAL, .offset = offsetof(Adagrad, start),
     .value = "0", .alias = "initial_accumulator_value", .lo = 0, .hi = 1e9,
     .doc = "where the sums of squares start (Keras: 0.1)"},
    OPTIM_EPS_INSIDE(Adagrad), OPTIM_COMMON(OPTIM_COUPLED, "0")};

enum { SQUARES };
static const OptimSlot adagrad_slots[] = {[SQUARES] = {"squares", NULL}, {0}};

static void adagrad_rule(const Optimizer *opt, OptimUpdate *u) {
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u);
  Node *s = u->slot[SQUARES] = op_add(g, u->slot[SQUARES], op_square(g, gradient));
  const Adagrad *self = (const Adagrad *)opt;
  if (self->start > 0) s = op_add(g, s, graph_scalar(g, self->start));
  Node *step = optim_over_root(g, gradient, s, self->eps, self->eps_inside);
  u->w = op_sub_product(g, u->w, u->lr, step);
}

static const char *const adagrad_samples[] = {"", "eps=1e-3 weight_decay=0.02",
                                              "eps_inside=1 decay=0.01", "start=0.1",
                                              NULL};

const OptimKind optim_adagrad = {
    .kind = {OPTIM_RECORD(Adagrad), .name = "Adagrad", .alias = "adagrad",
             .options = adagrad_options,
             .doc = "Divides each gradient by the root of the sum of all its squares "
                    "so far, so that steps shrink by themselves.",
             .equation = "s <- s + g^2;  w <- w - lr g / (sqrt(start + s) + eps)",
             .source = "Duchi, Hazan & Singer, JMLR 12, 2011, section 1.1"},
    .samples = adagrad_samples, .slots = adagrad_slots, .rule = adagrad_rule};

/* -- Adadelta ---------------------------------------------------------------------- */

typedef struct Adadelta {
  Optimizer base;
  double rho, eps;
} Adadelta;

#define AT(field) .offset = offsetof(Adadelta, field)
static const Option adadelta_options[] = {
    OPTIM_LR("1"),
    {.name = "rho", .kind = OPT_REAL, AT(rho), .value = "0.9", .lo = 0, .hi = 1,
     .open_hi = true, .doc = "share of the old value in both means (Keras: 0.95)"},
    {.name = "eps", .kind = OPT_REAL, AT(eps), .value = "1e-6", .alias = "epsilon",
     .lo = 0, .hi = 1e9, .open = true,
     .doc = "added to both means, as in the paper (Keras: 1e-7)"},
    OPTIM_COMMON(OPTIM_COUPLED, "0")};

enum { GRADIENTS, STEPS };
static const OptimSlot adadelta_slots[] = {[GRADIENTS] = {"square", NULL},
                                           [STEPS] = {"steps", NULL}, {0}};

static void adadelta_rule(const Optimizer *opt, OptimUpdate *u) {
  const Adadelta *self = (const Adadelta *)opt;
  Graph *g = u->graph;
  Node *gradient = optim_gradient(u), *eps = graph_scalar(g, self->eps);
  Node *s = op_mix_square(g, u->slot[GRADIENTS], gradient, self->rho);
  /* One root of the quotient: a quotient of two roots costs half as much again. */
  Node *steps = op_add(g, u->slot[STEPS], eps);
  Node *unit = op_sqrt(g, op_div(g, steps, op_add(g, s, eps)));
  Node *step = op_mul(g, unit, gradient);
  u->slot[GRADIENTS] = s;
  u->slot[STEPS] = op_mix_square(g, u->slot[STEPS], step, self->rho);
  u->w = op_sub_product(g, u->w, u->lr, step);
}

static const char *const adadelta_samples[] = {"", "rho=0.5 weight_decay=0.02", NULL};

const OptimKind optim_adadelta = {
    .kind = {OPTIM_RECORD(Adadelta), .name = "Adadelta", .alias = "adadelta",
             .options = adadelta_options,
             .doc = "Multiplies each gradient by the root of the mean square of past "
                    "steps over that of past gradients, so that steps have the unit of "
                    "the parameter. Keras multiplies by lr = 0.001.",
             .equation = "s <- rho s + (1 - rho) g^2;  d = g sqrt((x + eps) / (s + "
                         "eps));  x <- rho x + (1 - rho) d^2;  w <- w - lr d",
             .source = "Zeiler, arXiv:1212.5701, algorithm 1"},
    .samples = adadelta_samples, .slots = adadelta_slots, .rule = adadelta_rule};
