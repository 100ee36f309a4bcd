/* schedule_decay.c: schedules that stay, fall or rise by a formula of t. */
#include "nn/schedule.h"
#include <math.h>
#include <stddef.h>

typedef const Schedule S;

/* -- constant ---------------------------------------------------------------------- */

static double constant_factor(S *self, double t) {
  (void)self, (void)t;
  return 1;
}

static const Option constant_options[] = {SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_constant = {
    .kind = {.name = "constant", .family = &schedule_family, .size = sizeof(Schedule),
             .options = constant_options, .doc = "Constant learning rate.",
             .equation = "rate = lr"},
    .factor = constant_factor};

/* -- step -------------------------------------------------------------------------- */

typedef struct Stairs {
  Schedule schedule;
  int64_t every; /* epochs or steps of one stair */
  double gamma;  /* factor from stair to stair */
} Stairs;

static double step_factor(S *self, double t) {
  const Stairs *s = (const Stairs *)self;
  return pow(s->gamma, floor(t / s->every));
}

static const Option step_options[] = {
    {.name = "every", .kind = OPT_INT, .offset = offsetof(Stairs, every), .position = 1,
     .lo = 1, .hi = 1e9, .alias = "step_size",
     .doc = "epochs or steps between two cuts"},
    {.name = "gamma", .kind = OPT_REAL, .offset = offsetof(Stairs, gamma),
     .value = "0.1",
     .position = 2, .lo = 0, .hi = 1e9, .doc = "factor on the rate at each cut"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_step = {
    .kind = {.name = "step", .alias = "step_decay StepLR", .family = &schedule_family,
             .size = sizeof(Stairs), .options = step_options,
             .check = schedule_check_first,
             .call = "optim.step(2)",
             .doc = "Multiplies the rate by gamma every so many epochs or steps.",
             .equation = "rate = lr gamma^floor(t / every)"},
    .factor = step_factor};

/* -- multi_step -------------------------------------------------------------------- */

typedef struct Milestones {
  Schedule schedule;
  RealList at;  /* epochs or steps at which a stair ends, ascending */
  double gamma; /* factor from stair to stair */
} Milestones;

static double multi_step_factor(S *self, double t) {
  const Milestones *m = (const Milestones *)self;
  double factor = 1;
  for (int i = 0; i < m->at.n && m->at.v[i] <= t; i++) factor *= m->gamma;
  return factor;
}

static Err multi_step_check(Object *object, Fault *fault) {
  const Milestones *m = (const Milestones *)object;
  if (m->at.n == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.multi_step: option \"milestones\" is missing: a list of "
                     "epochs or steps");
  for (int i = 1; i < m->at.n; i++)
    if (m->at.v[i] <= m->at.v[i - 1])
      return fault_set(fault, ERR_VALUE,
                       "optim.multi_step: option \"milestones\": got %g after %g, "
                       "allowed: ascending numbers",
                       m->at.v[i], m->at.v[i - 1]);
  return ERR_OK;
}

static const Option multi_step_options[] = {
    {.name = "milestones", .kind = OPT_REALS, .offset = offsetof(Milestones, at),
     .position = 1, .lo = 0, .hi = 1e9, .alias = "boundaries",
     .doc = "epochs or steps, counted from 0, at which the rate is cut"},
    {.name = "gamma", .kind = OPT_REAL, .offset = offsetof(Milestones, gamma),
     .value = "0.1", .position = 2, .lo = 0, .hi = 1e9,
     .doc = "factor on the rate at each cut"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_multi_step = {
    .kind = {.name = "multi_step", .alias = "MultiStepLR piecewise_constant",
             .family = &schedule_family, .size = sizeof(Milestones),
             .options = multi_step_options, .check = multi_step_check,
             .call = "optim.multi_step { 1, 3 }",
             .doc = "Multiplies the rate by gamma at each of the given times.",
             .equation = "rate = lr gamma^n, n: number of milestones <= t"},
    .factor = multi_step_factor};

/* -- polynomial, inverse_time ------------------------------------------------------ */

typedef struct Polynomial {
  Schedule schedule;
  int64_t steps;       /* epochs or steps of the descent */
  double power, final; /* of the remaining share; factor at the end */
} Polynomial;

static double polynomial_factor(S *self, double t) {
  const Polynomial *p = (const Polynomial *)self;
  double left = t < p->steps ? 1 - t / p->steps : 0;
  return p->final + (1 - p->final) * pow(left, p->power);
}

static const Option polynomial_options[] = {
    {.name = "steps", .kind = OPT_INT, .offset = offsetof(Polynomial, steps),
     .position = 1, .lo = 1, .hi = 1e9, .alias = "decay_steps total_iters",
     .doc = "epochs or steps until the end of the descent"},
    {.name = "power", .kind = OPT_REAL, .offset = offsetof(Polynomial, power),
     .value = "1", .position = 2, .lo = 0, .hi = 1e3, .open = true,
     .doc = "power of the remaining time; 1: a straight line"},
    {.name = "final", .kind = OPT_REAL, .offset = offsetof(Polynomial, final),
     .value = "0", .lo = 0, .hi = 1,
     .doc = "rate at the end, as a share of lr (Keras: a rate, 1e-4)"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_polynomial = {
    .kind = {.name = "polynomial", .alias = "polynomial_decay PolynomialLR linear",
             .family = &schedule_family, .size = sizeof(Polynomial),
             .options = polynomial_options, .check = schedule_check_first,
             .call = "optim.polynomial(2)",
             .doc = "Falls as a power of the remaining time, then stays; by default "
                    "along a straight line.",
             .equation = "rate = lr (final + (1 - final) max(0, 1 - t / steps)^power)"},
    .factor = polynomial_factor};

typedef struct InverseTime {
  Schedule schedule;
  double decay; /* growth of 1 / rate per epoch or step, as a share of 1 / lr */
} InverseTime;

static double inverse_time_factor(S *self, double t) {
  return 1 / (1 + ((const InverseTime *)self)->decay * t);
}

static const Option inverse_time_options[] = {
    {.name = "decay", .kind = OPT_REAL, .offset = offsetof(InverseTime, decay),
     .position = 1, .lo = 0, .hi = 1e9, .open = true, .alias = "decay_rate rate",
     .doc = "after 1 / decay epochs or steps the rate is halved (with per = \"step\" "
            "the option decay of Keras's optimizers)"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_inverse_time = {
    .kind = {.name = "inverse_time", .alias = "inverse_time_decay",
             .family = &schedule_family, .size = sizeof(InverseTime),
             .options = inverse_time_options, .check = schedule_check_first,
             .call = "optim.inverse_time(0.5)",
             .doc = "Falls as the inverse of the time: fast at first, then ever more "
                    "slowly.",
             .equation = "rate = lr / (1 + decay t)",
             .source = "Robbins & Monro, Annals of Mathematical Statistics 22, 1951"},
    .factor = inverse_time_factor};

/* -- exponential ------------------------------------------------------------------- */

typedef struct Exponential {
  Schedule schedule;
  double gamma; /* factor per epoch or step */
} Exponential;

static double exponential_factor(S *self, double t) {
  return pow(((const Exponential *)self)->gamma, t);
}

static const Option exponential_options[] = {
    {.name = "gamma", .kind = OPT_REAL, .offset = offsetof(Exponential, gamma),
     .position = 1, .lo = 0, .hi = 1e9, .open = true, .alias = "decay_rate",
     .doc = "factor on the rate after every epoch or step"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_exponential = {
    .kind = {.name = "exponential", .alias = "exponential_decay ExponentialLR",
             .family = &schedule_family, .size = sizeof(Exponential),
             .options = exponential_options, .check = schedule_check_first,
             .call = "optim.exponential(0.9)",
             .doc = "Multiplies the rate by gamma after every epoch or step.",
             .equation = "rate = lr gamma^t"},
    .factor = exponential_factor};

/* -- warmup ------------------------------------------------------------------------ */

typedef struct Rise {
  Schedule schedule;
  int64_t steps; /* epochs or steps of it */
} Rise;

static double warmup_factor(S *self, double t) {
  int64_t steps = ((const Rise *)self)->steps;
  return t < steps ? (t + 1) / steps : 1;
}

static const Option warmup_options[] = {
    {.name = "steps", .kind = OPT_INT, .offset = offsetof(Rise, steps), .position = 1,
     .lo = 1, .hi = 1e9, .doc = "epochs or steps until lr is reached"},
    SCHEDULE_PER, {0}};

const ScheduleKind schedule_warmup = {
    .kind = {.name = "warmup", .alias = "linear_warmup", .family = &schedule_family,
             .size = sizeof(Rise), .options = warmup_options,
             .check = schedule_check_first, .call = "optim.warmup(2)",
             .doc = "Rises linearly to lr, then stays.",
             .equation = "rate = lr min(1, (t + 1) / steps)"},
    .factor = warmup_factor};
