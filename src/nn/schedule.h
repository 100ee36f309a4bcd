/* schedule.h: schedules as records: rate = lr * factor(t), where t counts epochs or
 * steps from 0. The first `warmup` of them rise linearly to 1; the schedule proper
 * begins after them. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include "base/record.h"

typedef enum SchedulePer { PER_EPOCH, PER_STEP } SchedulePer;

/* The struct of each kind begins with this one; its further fields are its options. */
typedef struct Schedule {
  Object object;
  int per;        /* SchedulePer: what t counts */
  int64_t warmup; /* epochs or steps of the rise; 0: none */
} Schedule;

typedef struct ScheduleKind {
  Kind kind;
  double (*factor)(const Schedule *self, double t);
  /* In place of the factor: the rate itself; without a warmup. */
  Err (*rate)(const Schedule *self, int64_t t, double lr, double *out, Fault *fault);
} ScheduleKind;

extern const Family schedule_family; /* module "optim" */

/* The rate at time t for base rate lr; a fault from a user's function, or when the rate
 * is negative or not finite. */
Err schedule_rate(const Schedule *schedule, int64_t t, double lr, double *out,
                  Fault *fault) WARN_UNUSED;

/* -- for the kinds ----------------------------------------------------------------- */

extern const char *const schedule_per_names[];

#define SCHEDULE_PER                                                                   \
  {.name = "per", .kind = OPT_CHOICE, .offset = offsetof(Schedule, per),               \
   .value = "epoch", .choices = schedule_per_names,                                    \
   .doc = "what t counts; epochs are only known in train.fit"}
#define SCHEDULE_WARMUP                                                                \
  {.name = "warmup", .kind = OPT_INT, .offset = offsetof(Schedule, warmup),            \
   .value = "0", .lo = 0, .hi = 1e9,                                                   \
   .doc = "epochs or steps of a linear rise to lr before t begins to count"}

/* A check: the number at position 1 is given. It has no default: what was never given
 * is 0, which is out of its range. */
Err schedule_check_first(Object *object, Fault *fault);

#endif
