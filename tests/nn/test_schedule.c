/* Schedules: the rate at chosen times, and of every kind that it begins, goes on and
 * ends as a rate may. */
#include "options.h"
#include "test.h"
#include "nn/schedule.h"

static Fault fault;

/* An option of a schedule; a NULL name ends a list. */
typedef struct Setting {
  const char *name;
  double value;
} Setting;

static double rate(const char *name, int64_t t, const Setting *settings) {
  fault = (Fault){0};
  Object *s = object_new(family_find(&schedule_family, name, &fault), &fault);
  for (; settings->name; settings++) {
    const Option *opt = option_find(s->kind, settings->name, &fault);
    assert_int_equal(give_number(s, opt, settings->value, &fault), ERR_OK);
  }
  double out = NAN;
  assert_int_equal(schedule_rate((Schedule *)s, t, 2, &out, &fault), ERR_OK);
  object_release(s);
  return out;
}

static const Setting stairs[] = {{"every", 3}, {"gamma", 0.5}, {0}};
static const Setting half[] = {{"gamma", 0.5}, {0}};
static const Setting descent[] = {{"steps", 4}, {"final", 0.1}, {0}};
static const Setting rise[] = {{"steps", 4}, {0}};
static const Setting warm[] = {{"every", 3}, {"gamma", 0.5}, {"warmup", 4}, {0}};

TEST(schedules) {
  CHECK_NEAR(rate("step", 2, stairs), 2, 1e-12);
  CHECK_NEAR(rate("step", 3, stairs), 1, 1e-12);
  CHECK_NEAR(rate("exponential", 3, half), 0.25, 1e-12);
  CHECK_NEAR(rate("cosine", 0, descent), 2, 1e-12);
  CHECK_NEAR(rate("cosine", 2, descent), 2 * 0.55, 1e-12);
  CHECK_NEAR(rate("cosine", 9, descent), 0.2, 1e-12);
  CHECK_NEAR(rate("warmup", 1, rise), 1, 1e-12);
  CHECK_NEAR(rate("step", 0, warm), 0.5, 1e-12);
  CHECK_NEAR(rate("step", 7, warm), 1, 1e-12);
}

/* -- every kind -------------------------------------------------------------------- */

/* A schedule of the kind, whose required option at place 1 is `first`; one made of
 * others has one part. */
static Schedule *schedule_of(const Kind *kind, double first, double warmup) {
  fault = (Fault){0};
  Object *s = object_new(kind, &fault);
  assert_non_null(s);
  const Option *opt = option_at(kind, 1);
  if (opt && opt->kind == OPT_OBJECTS)
    assert_int_equal(option_set_text(s, opt, "constant", &fault), ERR_OK);
  else if (opt) assert_int_equal(give_number(s, opt, first, &fault), ERR_OK);
  opt = option_find(kind, "warmup", NULL);
  if (opt && warmup > 0) assert_int_equal(give_number(s, opt, warmup, &fault), ERR_OK);
  return (Schedule *)s;
}

/* Kinds whose option is a factor; the others take a number of steps. */
static double first_of(const Kind *kind) {
  const Option *opt = option_at(kind, 1);
  return opt && opt->kind != OPT_INT ? 0.5 : 4;
}

static double rate_of(const Schedule *s, int64_t t, double lr) {
  double out = NAN;
  if (schedule_rate(s, t, lr, &out, &fault)) fail_msg("%s", fault.text);
  return out;
}

TEST(every_rate_is_a_share_of_lr_at_any_time) {
  static const int64_t times[] = {0, 1, 2, 3,    4,          5,
                                  7, 8, 9, 1000, 1000000007, INT64_MAX};
  for (int k = 0; schedule_family.kinds[k]; k++) {
    const Kind *kind = schedule_family.kinds[k];
    Schedule *s = schedule_of(kind, first_of(kind), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
      double rate = rate_of(s, times[i], 2);
      if (!(rate >= 0 && rate <= 2)) fail_msg("%s: rate %g", kind->name, rate);
      CHECK_NEAR(rate_of(s, times[i], 8), 4 * rate, 1e-12 * rate);
      assert_true(rate_of(s, times[i], 0) == 0);
    }
    object_release(s);
  }
}

TEST(a_warmup_rises_in_equal_steps_and_then_the_schedule_begins) {
  for (int k = 0; schedule_family.kinds[k]; k++) {
    const Kind *kind = schedule_family.kinds[k];
    if (!option_find(kind, "warmup", NULL)) continue;
    Schedule *plain = schedule_of(kind, first_of(kind), 0);
    Schedule *risen = schedule_of(kind, first_of(kind), 3);
    for (int t = 0; t < 3; t++)
      CHECK_NEAR(rate_of(risen, t, 2), 2 * (t + 1) / 3.0, 1e-15);
    for (int t = 0; t < 20; t++)
      assert_true(rate_of(risen, t + 3, 2) == rate_of(plain, t, 2));
    object_release(plain);
    object_release(risen);
  }
}

/* At a restart the rate is that of the top, one step before nearly that of the end. */
TEST(restarts_come_at_whole_descents) {
  fault = (Fault){0};
  Schedule *s = schedule_of(family_find(&schedule_family, "cosine_restarts", &fault), 4,
                            0);
  for (int n = 0; n < 1000; n++) assert_true(rate_of(s, 4 * n, 1) == 1);
  const Option *mult = option_find(s->object.kind, "mult", &fault);
  assert_int_equal(give_number(&s->object, mult, 2, &fault), ERR_OK);
  int64_t begin = 0, length = 4;
  for (int n = 0; n < 24; n++, begin += length, length *= 2) {
    CHECK_NEAR(rate_of(s, begin, 1), 1, 1e-6);
    if (begin) assert_true(rate_of(s, begin - 1, 1) < 0.5);
  }
  object_release(s);
}

TEST(a_rate_that_is_none_is_refused) {
  double out;
  Schedule *s = schedule_of(family_find(&schedule_family, "constant", &fault), 0, 0);
  assert_int_equal(schedule_rate(s, 0, INFINITY, &out, &fault), ERR_VALUE);
  fault_clear(&fault);
  assert_int_equal(schedule_rate(s, 7, -1, &out, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "the rate at epoch 7 is -1"));
  fault_clear(&fault);
  assert_int_equal(schedule_rate(s, 7, NAN, &out, &fault), ERR_VALUE);
  object_release(s);
}
