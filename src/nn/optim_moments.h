/* optim_moments.h: what Adam and its relatives share: the running means of the gradient
 * (first moment) and of its square (second), both from zeros on.
 *
 * A kind's own struct begins with Moments, its slots with MOMENT1 and MOMENT2. */
#ifndef NN_OPTIM_MOMENTS_H
#define NN_OPTIM_MOMENTS_H

#include "nn/optim.h"

typedef struct Moments {
  Optimizer base;
  double beta1, beta2, eps;
  bool eps_inside;
} Moments;

/* Options, of which the last arguments say more about eps. */
#define OPTIM_MOMENTS(second_doc, ...)                                                 \
  {.name = "beta1", .kind = OPT_REAL, .offset = offsetof(Moments, beta1),              \
   .value = "0.9", .alias = "beta_1", .lo = 0, .hi = 1, .open_hi = true,               \
   .doc = "share of the old value in the first moment"},                               \
  {.name = "beta2", .kind = OPT_REAL, .offset = offsetof(Moments, beta2),              \
   .value = "0.999", .alias = "beta_2", .lo = 0, .hi = 1, .open_hi = true,             \
   .doc = second_doc},                                                                 \
  {.name = "eps", .kind = OPT_REAL, .offset = offsetof(Moments, eps), .value = "1e-8", \
   .alias = "epsilon", .lo = 0, .hi = 1e9, __VA_ARGS__}

enum { MOMENT1, MOMENT2, MOMENTS };
#define MOMENT_SLOTS [MOMENT1] = {"moment1", NULL}, [MOMENT2] = {"moment2", NULL}

static inline const Moments *moments(const Optimizer *self) {
  return (const Moments *)self;
}

/* Numbers of a step: 1 / (1 - beta^t), what each moment lacks at its t-th value. */
double moments_correction1(const Optimizer *self, double t);
double moments_correction2(const Optimizer *self, double t);
enum { CORRECTION1, CORRECTION2, CORRECTIONS };
#define MOMENT_CORRECTIONS                                                             \
  [CORRECTION1] = {.value = moments_correction1, .counted = true},                     \
  [CORRECTION2] = {.value = moments_correction2, .counted = true}

/* The moments with this gradient, which the slots become. */
Node *moments_mean(const Moments *self, OptimUpdate *u, Node *gradient);
Node *moments_square(const Moments *self, OptimUpdate *u, Node *gradient);
/* Adam's step, to be taken off the weight, where numbers begin with MOMENT_CORRECTIONS:
 * rate m / (1 - beta1^t) over the root of v / (1 - beta2^t). */
Node *moments_step(const Moments *self, const OptimUpdate *u, Node *rate, Node *m,
                   Node *v);

#endif
