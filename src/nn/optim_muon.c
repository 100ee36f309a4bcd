/* optim_muon.c: matrices step along the nearest orthogonal matrix to their momentum,
 * found by Newton and Schulz; everything else by AdamW.
 *
 *   X = M / |M|;  five times  A = X X^T,  X <- a X + (b A + c A A) X
 *
 * moves all singular values of X towards 1, some of them to .7 or 1.2: it is the
 * direction that counts. A weight of more than two axes is a matrix of its first axis
 * and all others. Products of matrices read what the update writes, so they are
 * computed before it (plan.c). */
#include "graph/ops.h"
#include "nn/optim_moments.h"
#include <math.h>

typedef struct Muon {
  Moments base;
  double momentum, adam_lr;
  int64_t iterations;
  bool nesterov;
} Muon;

#define AT(field) .offset = offsetof(Muon, field)
static const Option options[] = {
    OPTIM_LR("0.02"),
    {.name = "momentum", .kind = OPT_REAL, AT(momentum), .value = "0.95", .lo = 0,
     .hi = 1, .open_hi = true, .doc = "share of the old value in a matrix's momentum"},
    {.name = "nesterov", .kind = OPT_BOOL, AT(nesterov), .value = "true",
     .doc = "take the gradient's step from where the momentum leads (Nesterov)"},
    {.name = "iterations", .kind = OPT_INT, AT(iterations), .value = "5",
     .alias = "ns_steps", .lo = 1, .hi = 20,
     .doc = "number of Newton-Schulz iterations, which make the matrix orthogonal"},
    {.name = "adam_lr", .kind = OPT_REAL, AT(adam_lr), .value = "0.0003", .lo = 0,
     .hi = 1e9,
     .doc = "learning rate of AdamW for what is no matrix; schedule and groups change "
            "it as they do lr"},
    OPTIM_MOMENTS("share of the old value in the second moment of AdamW",
                  .doc = "added outside the square root of AdamW"),
    OPTIM_EPS_INSIDE(Moments),
    OPTIM_COMMON("each step takes the rate times this share off w itself (decoupled)",
                 "0")};

/* Of matrices the first is the momentum, the second stays 0. */
static const OptimSlot slots[] = {MOMENT_SLOTS, {0}};

/* What the rate of AdamW is of that of matrices. */
static double adam_share(const Optimizer *self, double t) {
  (void)t;
  return self->lr > 0 ? ((const Muon *)self)->adam_lr / self->lr : 0;
}

enum { ADAM_SHARE = CORRECTIONS };
static const OptimNumber numbers[] = {MOMENT_CORRECTIONS,
                                      [ADAM_SHARE] = {.value = adam_share}, {0}};

/* One iteration, by the coefficients that Keller Jordan found. */
static Node *iterate(Graph *g, Node *x) {
  Node *a = op_matmul(g, x, op_transpose(g, x, NULL));
  Node *b = op_add(g, op_scale(g, a, -4.7750), op_scale(g, op_matmul(g, a, a), 2.0315));
  return op_add(g, op_scale(g, x, 3.4445), op_matmul(g, b, x));
}

/* Of a matrix [rows, columns], of which the smaller side is multiplied. */
static Node *orthogonal(Graph *g, Node *m, int64_t iterations) {
  bool tall = m->shape.dim[0] > m->shape.dim[1];
  Node *size = op_sqrt(g, op_sum(g, op_square(g, m), ALL_AXES, false));
  Node *x = op_div(g, m, op_add(g, size, graph_scalar(g, 1e-7)));
  if (tall) x = op_transpose(g, x, NULL);
  for (int64_t i = 0; i < iterations; i++) x = iterate(g, x);
  return tall ? op_transpose(g, x, NULL) : x;
}

/* A step of the weight W [in, out] of Y = X W, or [out, ...]: its elements are about
 * as large as those of a square matrix. */
static Node *matrix_step(const Muon *self, OptimUpdate *u, Node *gradient) {
  Graph *g = u->graph;
  const Shape *shape = &u->w->shape;
  bool dense = shape->rank == 2;
  Shape flat = SHAPE_OF(shape->dim[0], shape_count(shape) / shape->dim[0]);
  Node *m = op_add(g, op_scale(g, u->slot[MOMENT1], self->momentum), gradient);
  u->slot[MOMENT1] = m;
  if (self->nesterov) m = op_add(g, gradient, op_scale(g, m, self->momentum));
  Node *x = orthogonal(g, dense ? m : op_reshape(g, m, &flat), self->iterations);
  double out = (double)flat.dim[dense], in = (double)flat.dim[!dense];
  x = op_scale(g, x, out > in ? sqrt(out / in) : 1);
  return op_mul(g, u->lr, dense ? x : op_reshape(g, x, shape));
}

static Node *adam_step(const Moments *self, OptimUpdate *u, Node *gradient,
                       Node *rate) {
  Node *m = moments_mean(self, u, gradient), *v = moments_square(self, u, gradient);
  return moments_step(self, u, rate, m, v);
}

static void rule(const Optimizer *opt, OptimUpdate *u) {
  const Muon *self = (const Muon *)opt;
  Graph *g = u->graph;
  bool matrix = u->w->shape.rank >= 2;
  Node *rate = matrix ? u->lr : op_mul(g, u->lr, u->number[ADAM_SHARE]), *w = u->w;
  Node *gradient = optim_scaled(u);
  Node *step = matrix ? matrix_step(self, u, gradient)
                      : adam_step(&self->base, u, gradient, rate);
  u->w = op_sub(g, w, step);
  if (u->decayed) u->w = op_sub_product(g, u->w, op_mul(g, rate, u->weight_decay), w);
}

static const char *const samples[] = {"", "nesterov=0 momentum=0.5",
                                      "weight_decay=0.1 iterations=2 clipnorm=0.5",
                                      NULL};

const OptimKind optim_muon = {
    .kind = {OPTIM_RECORD(Muon), .name = "Muon", .alias = "muon", .options = options,
             .doc = "Matrices step along the orthogonal matrix that is nearest to "
                    "their momentum, everything else (biases, norms) by AdamW. First "
                    "and last layers are matrices, too; the authors give them to "
                    "AdamW.",
             .equation = "m <- momentum m + g;  X = (g + momentum m) / |.|, then "
                         "iterations times X <- 3.4445 X + (-4.7750 A + 2.0315 A A) X, "
                         "A = X X^T;  w <- w - lr (sqrt(max(1, out / in)) X + "
                         "weight_decay w)",
             .source = "Jordan et al., \"Muon: an optimizer for hidden layers in "
                       "neural networks\", 2024, algorithm 2"},
    .samples = samples, .slots = slots, .numbers = numbers, .rule = rule};
