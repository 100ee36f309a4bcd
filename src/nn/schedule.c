/* schedule.c: the family of schedules, their rates, and functions of the user as
 * such. */
#include "nn/schedule.h"
#include "base/real.h"
#include <math.h>
#include <stddef.h>

const char *const schedule_per_names[] = {"epoch", "step", NULL};

Err schedule_check_first(Object *object, Fault *fault) {
  const Option *opt = option_at(object->kind, 1);
  Value value;
  option_get(object, opt, &value);
  if ((value.kind == VALUE_INT ? (double)value.as.integer : value.as.real) > 0)
    return ERR_OK;
  return fault_set(fault, ERR_VALUE, "optim.%s: option \"%s\" is missing: %s",
                   object->kind->name, opt->name, opt->doc);
}

/* -- functions of the user --------------------------------------------------------- */

typedef struct FunctionSchedule {
  Schedule schedule;
  Callable *function; /* f(t, lr) -> rate */
} FunctionSchedule;

static Err function_rate(const Schedule *self, int64_t t, double lr, double *out,
                         Fault *fault) {
  Callable *function = ((const FunctionSchedule *)self)->function;
  Value in[2] = {{.kind = VALUE_INT, .as.integer = t},
                 {.kind = VALUE_REAL, .as.real = lr}};
  Value result = {0};
  Err err = function->call(function, in, 2, &result, 1, fault);
  if (err) return err;
  char got[32];
  *out = result.as.real;
  if (result.kind == VALUE_REAL) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "schedule: the function returned %s; allowed: a number, the "
                   "rate",
                   value_text(&result, got, sizeof got));
}

static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL,
     .offset = offsetof(FunctionSchedule, function),
     .position = 1, .doc = "f(t, lr) -> rate"},
    SCHEDULE_PER, {0}};

static const ScheduleKind schedule_function = {
    .kind = {.name = "function", .family = &schedule_family,
             .size = sizeof(FunctionSchedule), .options = function_options,
             .doc = "A function of the user.", .equation = "rate = f(t, lr)"},
    .rate = function_rate};

/* -- the family -------------------------------------------------------------------- */

#define SCHEDULE(name) extern const ScheduleKind schedule_##name;
#include "nn/schedules.def"
#undef SCHEDULE

static const Kind *const schedule_kinds[] = {
#define SCHEDULE(name) &schedule_##name.kind,
#include "nn/schedules.def"
#undef SCHEDULE
    NULL};

const Family schedule_family = {
    .name = "schedule", .module = "optim", .kinds = schedule_kinds,
    .from_function = &schedule_function.kind,
    .example = EXAMPLE_OF_FIT("optimizer = optim.SGD(0.1, { schedule = %s })")};

/* -- the rate ---------------------------------------------------------------------- */

Err schedule_rate(const Schedule *s, int64_t t, double lr, double *out, Fault *fault) {
  const ScheduleKind *kind = (const ScheduleKind *)s->object.kind;
  if (kind->rate) {
    Err err = kind->rate(s, t, lr, out, fault);
    if (err) return err;
  } else if (t < s->warmup) {
    *out = lr * (double)(t + 1) / (double)s->warmup;
  } else {
    *out = lr * kind->factor(s, (double)(t - s->warmup));
  }
  if (*out >= 0 && isfinite((real)*out)) return ERR_OK; /* finite as steps take it */
  return fault_set(fault, ERR_VALUE,
                   "schedule \"%s\": the rate at %s %lld is %g, allowed: a finite "
                   "number of at least 0",
                   kind->kind.name, schedule_per_names[s->per], (long long)t,
                   isnan(*out) ? NAN : *out);
}
