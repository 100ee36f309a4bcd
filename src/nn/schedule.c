/* schedule.c: the records of the schedules: rate = lr * factor(t), where t counts epochs or
 * steps from 0. The first `warmup` of them rise linearly to 1; the schedule proper begins
 * after them. */
#include "nn/optim.h"
#include <math.h>
#include <stddef.h>

typedef const Schedule S;

static double factor_constant(S *s, double t) { (void)s, (void)t; return 1; }
static double factor_step(S *s, double t) { return pow(s->gamma, floor(t / s->every)); }
static double factor_exponential(S *s, double t) { return pow(s->gamma, t); }

static double factor_cosine(S *s, double t) {
  double part = t < s->steps ? t / s->steps : 1;
  return s->final + (1 - s->final) * (1 + cos(M_PI * part)) / 2;
}

static double factor_warmup(S *s, double t) { return t < s->steps ? (t + 1) / s->steps : 1; }

/* -- records ----------------------------------------------------------------------- */

static const char *const per_names[] = {"epoch", "step", NULL};

#define AT(field) .offset = offsetof(Schedule, field)
#define PER                                                                            \
  {.name = "per", .kind = OPT_CHOICE, AT(per), .value = "epoch", .choices = per_names, \
   .doc = "what t counts; epochs are known inside train.fit alone"}
#define WARMUP                                                                         \
  {.name = "warmup", .kind = OPT_INT, AT(warmup), .value = "0", .lo = 0, .hi = 1e9,    \
   .doc = "length of a linear rise before"}

static const Option constant_options[] = {PER, WARMUP, {0}};
static const Option step_options[] = {
    {.name = "every", .kind = OPT_INT, AT(every), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "step_size", .doc = "length of one stair"},
    {.name = "gamma", .kind = OPT_REAL, AT(gamma), .value = "0.1", .position = 2, .lo = 0,
     .hi = 1e9, .doc = "factor from stair to stair"},
    PER, WARMUP, {0}};
static const Option exponential_options[] = {
    {.name = "gamma", .kind = OPT_REAL, AT(gamma), .position = 1, .lo = 0, .hi = 1e9,
     .open = true, .alias = "decay_rate", .doc = "factor per epoch or step"},
    PER, WARMUP, {0}};
static const Option cosine_options[] = {
    {.name = "steps", .kind = OPT_INT, AT(steps), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "decay_steps T_max", .doc = "length of the descent"},
    {.name = "final", .kind = OPT_REAL, AT(final), .value = "0", .position = 2, .lo = 0,
     .hi = 1, .alias = "alpha", .doc = "factor at the end"},
    PER, WARMUP, {0}};
static const Option warmup_options[] = {
    {.name = "steps", .kind = OPT_INT, AT(steps), .position = 1, .lo = 1, .hi = 1e9,
     .doc = "length of the rise"},
    PER, {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, AT(function), .position = 1,
     .doc = "f(t, lr) -> rate"},
    PER, {0}};

/* A required number has no default: what was never given is still 0. */
static Err check_given(Object *object, Fault *fault) {
  S *s = (S *)object;
  const Option *opt = option_at(object->kind, 1);
  double value = opt->kind == OPT_INT ? (double)*(int64_t *)option_field(object, opt)
                                      : *(double *)option_field(object, opt);
  if (value > 0) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "optim.%s: option \"%s\" is missing: %s",
                   s->object.kind->name, opt->name, opt->doc);
}

static const ScheduleKind
    schedule_constant = {{.name = "constant", .family = &schedule_family,
                          .size = sizeof(Schedule), .options = constant_options,
                          .doc = "The base rate.", .equation = "rate = lr"},
                         factor_constant},
    schedule_step = {{.name = "step", .alias = "step_decay StepLR",
                      .family = &schedule_family, .size = sizeof(Schedule),
                      .options = step_options, .check = check_given,
                      .doc = "Falls in stairs.",
                      .equation = "rate = lr gamma^floor(t / every)"},
                     factor_step},
    schedule_exponential = {{.name = "exponential",
                             .alias = "exponential_decay ExponentialLR",
                             .family = &schedule_family, .size = sizeof(Schedule),
                             .options = exponential_options, .check = check_given,
                             .doc = "Falls by a factor.", .equation = "rate = lr gamma^t"},
                            factor_exponential},
    schedule_cosine = {{.name = "cosine", .alias = "cosine_decay CosineAnnealingLR",
                        .family = &schedule_family, .size = sizeof(Schedule),
                        .options = cosine_options, .check = check_given,
                        .doc = "Falls along half a cosine.",
                        .equation = "rate = lr (final + (1 - final) (1 + cos(pi t / "
                                    "steps)) / 2)",
                        .source = "Loshchilov & Hutter, ICLR 2017, eq. 5"},
                       factor_cosine},
    schedule_warmup = {{.name = "warmup", .alias = "linear_warmup",
                        .family = &schedule_family, .size = sizeof(Schedule),
                        .options = warmup_options, .check = check_given,
                        .doc = "Rises linearly, then stays.",
                        .equation = "rate = lr min(1, (t + 1) / steps)"},
                       factor_warmup},
    schedule_function = {{.name = "function", .family = &schedule_family,
                          .size = sizeof(Schedule), .options = function_options,
                          .doc = "A function of the user.", .equation = "rate = f(t, lr)"},
                         NULL};

static const Kind *const schedule_kinds[] = {
    &schedule_constant.kind, &schedule_step.kind,   &schedule_exponential.kind,
    &schedule_cosine.kind,   &schedule_warmup.kind, NULL};

const Family schedule_family = {"schedule", "optim", schedule_kinds,
                                &schedule_function.kind};

/* -- the rate ---------------------------------------------------------------------- */

static Err rate_by_function(Schedule *s, int64_t t, double lr, double *out, Fault *fault) {
  Value in[2] = {{.kind = VALUE_INT, .as.integer = t}, {.kind = VALUE_REAL, .as.real = lr}};
  Value result = {0};
  Err err = s->function->call(s->function, in, 2, &result, 1, fault);
  if (err) return err;
  char got[32];
  *out = result.as.real;
  if (result.kind == VALUE_REAL) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "schedule: the function returned %s; allowed: a number, the "
                   "rate", value_text(&result, got, sizeof got));
}

Err schedule_rate(Schedule *s, int64_t t, double lr, double *out, Fault *fault) {
  const ScheduleKind *kind = (const ScheduleKind *)s->object.kind;
  if (!kind->factor) {
    Err err = rate_by_function(s, t, lr, out, fault);
    if (err) return err;
  } else if (t < s->warmup) {
    *out = lr * (double)(t + 1) / (double)s->warmup;
  } else {
    *out = lr * kind->factor(s, (double)(t - s->warmup));
  }
  if (*out >= 0 && isfinite((real)*out)) return ERR_OK;   /* finite as steps take it */
  return fault_set(fault, ERR_VALUE,
                   "schedule \"%s\": the rate at %s %lld is %g, allowed: a finite number of "
                   "at least 0", kind->kind.name, per_names[s->per], (long long)t,
                   isnan(*out) ? NAN : *out);
}
