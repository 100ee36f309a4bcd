/* schedule_chain.c: schedules made of others: one after the other, and all at once.
 * What t counts, epochs or steps, is said by the parts, all alike. */
#include "nn/schedule.h"
#include <stddef.h>

typedef struct Chain {
  Schedule schedule;
  ObjectList parts; /* of Schedule */
  RealList at;      /* of sequential: where the next part begins, ascending */
} Chain;

static const Schedule *part(const Chain *chain, int i) {
  return (const Schedule *)chain->parts.v[i];
}

static Err check_parts(Object *object, Fault *fault) {
  Chain *chain = (Chain *)object;
  if (chain->parts.n == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.%s: option \"schedules\" is missing: a list of schedules",
                     object->kind->name);
  chain->schedule.per = part(chain, 0)->per;
  for (int i = 1; i < chain->parts.n; i++)
    if (part(chain, i)->per != chain->schedule.per)
      return fault_set(fault, ERR_VALUE,
                       "optim.%s: schedule %d counts %ss and the first one %ss; "
                       "allowed: per = \"%s\" in all of them",
                       object->kind->name, i + 1,
                       schedule_per_names[part(chain, i)->per],
                       schedule_per_names[chain->schedule.per],
                       schedule_per_names[chain->schedule.per]);
  return ERR_OK;
}

#define PARTS                                                                          \
  {.name = "schedules", .kind = OPT_OBJECTS, .offset = offsetof(Chain, parts),         \
   .family = &schedule_family, .value = "none", .position = 1,                         \
   .doc = "the schedules; each counts epochs or steps as it says"}

/* -- sequential -------------------------------------------------------------------- */

static Err sequential_rate(const Schedule *self, int64_t t, double lr, double *out,
                           Fault *fault) {
  const Chain *chain = (const Chain *)self;
  int i = 0;
  while (i < chain->at.n && chain->at.v[i] <= (double)t) i++;
  int64_t first = i ? (int64_t)chain->at.v[i - 1] : 0;
  return schedule_rate(part(chain, i), t - first, lr, out, fault);
}

static Err sequential_check(Object *object, Fault *fault) {
  const Chain *chain = (const Chain *)object;
  Err err = check_parts(object, fault);
  if (!err && chain->at.n != chain->parts.n - 1)
    return fault_set(fault, ERR_VALUE,
                     "optim.sequential: option \"milestones\": got %d, allowed: %d, "
                     "where the second and further schedules begin",
                     chain->at.n, chain->parts.n - 1);
  for (int i = 0; !err && i < chain->at.n; i++)
    if (chain->at.v[i] != (double)(int64_t)chain->at.v[i] ||
        (i && chain->at.v[i] <= chain->at.v[i - 1]))
      return fault_set(fault, ERR_VALUE,
                       "optim.sequential: option \"milestones\": got %g, allowed: "
                       "ascending whole numbers",
                       chain->at.v[i]);
  return err;
}

static const Option sequential_options[] = {
    PARTS,
    {.name = "milestones", .kind = OPT_REALS, .offset = offsetof(Chain, at), .lo = 1,
     .hi = 1e9, .value = "none", .position = 2,
     .doc = "epochs or steps, counted from 0, at which the next schedule begins, with "
            "a time of its own from 0"},
    {0}};

const ScheduleKind schedule_sequential = {
    .kind = {.name = "sequential", .alias = "SequentialLR", .family = &schedule_family,
             .size = sizeof(Chain), .options = sequential_options,
             .check = sequential_check,
             .call = "optim.sequential({ optim.warmup(2), optim.cosine(9) }, 2)",
             .doc = "Applies one schedule after the other.",
             .equation = "rate = rate_i(t - m_i), m_i <= t < m_(i+1)"},
    .rate = sequential_rate};

/* -- chained ----------------------------------------------------------------------- */

/* Each part takes the rate of the one before for its base rate. */
static Err chained_rate(const Schedule *self, int64_t t, double lr, double *out,
                        Fault *fault) {
  const Chain *chain = (const Chain *)self;
  Err err = ERR_OK;
  *out = lr;
  for (int i = 0; !err && i < chain->parts.n; i++)
    err = schedule_rate(part(chain, i), t, *out, out, fault);
  return err;
}

static const Option chained_options[] = {PARTS, {0}};

const ScheduleKind schedule_chained = {
    .kind = {.name = "chained", .alias = "ChainedScheduler", .family = &schedule_family,
             .size = sizeof(Chain), .options = chained_options, .check = check_parts,
             .call = "optim.chained { optim.warmup(2), optim.cosine(9) }",
             .doc = "Applies several schedules at once: their factors are multiplied.",
             .equation = "rate = rate_n(t, ... rate_2(t, rate_1(t, lr)))"},
    .rate = chained_rate};
