/* schedule_cosine.c: schedules along half a cosine: once, with restarts, one cycle. */
#include "nn/schedule.h"
#include <math.h>
#include <stddef.h>

typedef const Schedule S;

/* From `first` to `last` along half a cosine, at the share `part` of the way. */
static double along_cosine(double first, double last, double part) {
  return last + (first - last) * (1 + cos(M_PI * part)) / 2;
}

/* -- cosine ------------------------------------------------------------------------ */

typedef struct Cosine {
  Schedule schedule;
  int64_t steps; /* epochs or steps of the descent */
  double final;  /* factor at its end */
} Cosine;

static double cosine_factor(S *self, double t) {
  const Cosine *s = (const Cosine *)self;
  return along_cosine(1, s->final, t < s->steps ? t / s->steps : 1);
}

static const Option cosine_options[] = {
    {.name = "steps", .kind = OPT_INT, .offset = offsetof(Cosine, steps), .position = 1,
     .lo = 1, .hi = 1e9, .alias = "decay_steps T_max",
     .doc = "epochs or steps until the end of the descent"},
    {.name = "final", .kind = OPT_REAL, .offset = offsetof(Cosine, final), .value = "0",
     .position = 2, .lo = 0, .hi = 1, .alias = "alpha",
     .doc = "rate at the end, as a share of lr"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_cosine = {
    .kind = {.name = "cosine", .alias = "cosine_decay CosineAnnealingLR",
             .family = &schedule_family, .size = sizeof(Cosine),
             .options = cosine_options, .check = schedule_check_first,
             .call = "optim.cosine(2)",
             .doc = "Falls along half a cosine, then stays.",
             .equation = "rate = lr (final + (1 - final) (1 + cos(pi min(1, t / "
                         "steps))) / 2)",
             .source = "Loshchilov & Hutter, ICLR 2017, eq. 5"},
    .factor = cosine_factor};

/* -- cosine_restarts --------------------------------------------------------------- */

typedef struct Restarts {
  Schedule schedule;
  int64_t steps;              /* epochs or steps of the first descent */
  double mult, height, final; /* of each length, each begin, to the one before; the
                                 factor at the ends */
} Restarts;

static double restarts_factor(S *self, double t) {
  const Restarts *r = (const Restarts *)self;
  double length = (double)r->steps, n = floor(t / length), first = n * length;
  if (r->mult > 1) {
    n = floor(log(t / length * (r->mult - 1) + 1) / log(r->mult) + 1e-9);
    first = length * (pow(r->mult, n) - 1) / (r->mult - 1);
    length *= pow(r->mult, n);
  }
  return along_cosine(pow(r->height, n), r->final, (t - first) / length);
}

static const Option restarts_options[] = {
    {.name = "steps", .kind = OPT_INT, .offset = offsetof(Restarts, steps),
     .position = 1, .lo = 1, .hi = 1e9, .alias = "first_decay_steps T_0",
     .doc = "epochs or steps of the first descent"},
    {.name = "mult", .kind = OPT_REAL, .offset = offsetof(Restarts, mult), .value = "1",
     .lo = 1, .hi = 1e3, .alias = "t_mul T_mult",
     .doc = "how much longer each descent is than the one before (Keras: 2)"},
    {.name = "height", .kind = OPT_REAL, .offset = offsetof(Restarts, height),
     .value = "1", .lo = 0, .hi = 1, .open = true, .alias = "m_mul",
     .doc = "factor on the highest rate at each restart"},
    {.name = "final", .kind = OPT_REAL, .offset = offsetof(Restarts, final),
     .value = "0", .lo = 0, .hi = 1, .alias = "alpha",
     .doc = "rate at the end of each descent, as a share of lr"},
    SCHEDULE_PER, SCHEDULE_WARMUP, {0}};

const ScheduleKind schedule_cosine_restarts = {
    .kind = {.name = "cosine_restarts",
             .alias = "cosine_decay_restarts CosineAnnealingWarmRestarts SGDR",
             .family = &schedule_family, .size = sizeof(Restarts),
             .options = restarts_options, .check = schedule_check_first,
             .call = "optim.cosine_restarts(2)",
             .doc = "Falls along half a cosine, again and again from the top.",
             .equation = "rate = lr (final + (height^n - final) (1 + cos(pi s)) / 2), "
                         "s: share of the n-th descent, n from 0",
             .source = "Loshchilov & Hutter, ICLR 2017, eq. 5"},
    .factor = restarts_factor};

/* -- one_cycle --------------------------------------------------------------------- */

typedef struct OneCycle {
  Schedule schedule;
  int64_t steps;             /* epochs or steps of all */
  double part, begin, final; /* share of the rise; factors at begin and end */
} OneCycle;

static double one_cycle_factor(S *self, double t) {
  const OneCycle *c = (const OneCycle *)self;
  double last = (double)c->steps - 1, top = c->part * (double)c->steps - 1;
  if (t >= last) return c->final;
  if (t <= top) return along_cosine(c->begin, 1, t / top);
  return along_cosine(1, c->final, (t - top) / (last - top));
}

static Err one_cycle_check(Object *object, Fault *fault) {
  Err err = schedule_check_first(object, fault);
  const OneCycle *c = (const OneCycle *)object;
  if (err || c->part * (double)c->steps > 1) return err;
  return fault_set(fault, ERR_VALUE,
                   "optim.one_cycle: %g of %lld %ss is no rise; allowed: more than one",
                   c->part, (long long)c->steps, schedule_per_names[c->schedule.per]);
}

static const Option one_cycle_options[] = {
    {.name = "steps", .kind = OPT_INT, .offset = offsetof(OneCycle, steps),
     .position = 1, .lo = 1, .hi = 1e9, .alias = "total_steps",
     .doc = "epochs or steps of the rise and the descent together"},
    {.name = "part", .kind = OPT_REAL, .offset = offsetof(OneCycle, part),
     .value = "0.3", .lo = 0, .hi = 1, .open = true, .open_hi = true,
     .alias = "pct_start", .doc = "share of them that the rise takes"},
    {.name = "begin", .kind = OPT_REAL, .offset = offsetof(OneCycle, begin),
     .value = "0.04", .lo = 0, .hi = 1,
     .doc = "rate at the start, as a share of lr (PyTorch: 1 / div_factor)"},
    {.name = "final", .kind = OPT_REAL, .offset = offsetof(OneCycle, final),
     .value = "4e-6", .lo = 0, .hi = 1,
     .doc = "rate at the end, as a share of lr (PyTorch: 1 / div_factor / "
            "final_div_factor)"},
    SCHEDULE_PER, {0}};

const ScheduleKind schedule_one_cycle = {
    .kind = {.name = "one_cycle", .alias = "OneCycleLR", .family = &schedule_family,
             .size = sizeof(OneCycle), .options = one_cycle_options,
             .check = one_cycle_check,
             .call = "optim.one_cycle(4)",
             .doc = "Rises to lr, then falls to nearly 0, each along half a cosine. "
                    "The momentum does not change.",
             .equation = "rate = lr (b + (a - b) (1 + cos(pi s)) / 2), s from 0 to 1; "
                         "rise: a = begin, b = 1; descent: a = 1, b = final",
             .source = "Smith & Topin, arXiv:1708.07120, section 2"},
    .factor = one_cycle_factor};
