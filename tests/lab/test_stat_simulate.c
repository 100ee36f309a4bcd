/* What the statistics promise, on simulated studies: coverage, false alarms, power.
 *
 * LONG=1 runs the numbers of studies that the bounds are meant for, and prints the rates;
 * without it a few hundred, whose rates only have to be within four standard errors.
 * The draws are fixed, so a rate is the same in every run. */
#include "lab/compare.h"
#include "test.h"

/* Standard normal draws (Box and Muller) of one stream. */
typedef struct Normal {
  Stream stream;
  uint64_t word;
} Normal;

static double draw_unit(Normal *normal) {
  return (philox_word(normal->stream, normal->word++) + 0.5) * 0x1p-32;
}

static double draw(Normal *normal) {
  double radius = sqrt(-2 * log(draw_unit(normal)));
  return radius * cos(2 * 3.14159265358979323846 * draw_unit(normal));
}

static bool is_long(void) { return getenv("LONG") != NULL; }

/* Four standard errors of a rate, in the short run. */
static double slack(double rate, int n) {
  return is_long() ? 0 : 4 * sqrt(rate * (1 - rate) / n);
}

static void show(const char *what, double rate, int n) {
  if (is_long()) printf("%-40s %.4f of %d\n", what, rate, n);
}

static double coverage(bool bootstrap, bool skewed, int n_values, int n_samples) {
  Normal normal = {{philox_key(11, "coverage", skewed ? "skewed" : "normal"), 0}, 0};
  Stream resample = {philox_key(11, "coverage resample", NULL), 0};
  int covered = 0;
  double mean = skewed ? exp(0.75 * 0.75 / 2) : 5;
  for (int i = 0; i < n_samples; i++) {
    double values[16];
    for (int k = 0; k < n_values; k++)
      values[k] = skewed ? exp(0.75 * draw(&normal)) : 5 + draw(&normal);
    StatInterval interval = stat_t_interval(stat_mean(values, n_values),
                                            stat_sd(values, n_values), n_values, 0.05);
    resample.draw = (uint64_t)i;
    if (bootstrap)
      assert_int_equal(stat_bootstrap_t(values, n_values, resample, &interval, NULL), 0);
    covered += interval.low <= mean && mean <= interval.high;
  }
  return (double)covered / n_samples;
}

TEST(t_intervals_cover_at_five_seeds) {
  int n = is_long() ? 200000 : 2000;
  double rate = coverage(false, false, 5, n);
  show("coverage, t, normal, n = 5", rate, n);
  assert_true(rate >= 0.94 - slack(0.95, n) && rate <= 0.96 + slack(0.95, n));
}

/* On skewed data the bootstrap is the better of the two. */
TEST(bootstrap_intervals_cover_skewed_data) {
  int n = is_long() ? 4000 : 60;
  double by_t = coverage(false, true, 10, n), by_bootstrap = coverage(true, true, 10, n);
  show("coverage, t, lognormal, n = 10", by_t, n);
  show("coverage, bootstrap-t, lognormal, n = 10", by_bootstrap, n);
  assert_true(by_bootstrap >= 0.91 - slack(0.91, n) && by_bootstrap >= by_t);
}

/* -- studies ------------------------------------------------------------------------- */

enum { LEVELS = 7, SEEDS_MAX = 12 };   /* six contrasts with the baseline */

/* One study: configurations that share a seed correlate by rho = .5, their sd is 1; level
 * 1 is `effect` above the others. Returns the verdicts of its contrasts. */
static void run_study(Normal *normal, int n_seeds, double effect,
                      CompareVerdict verdicts[LEVELS - 1]) {
  static const char *const names[LEVELS] = {"a", "b", "c", "d", "e", "f", "g"};
  static const int levels[LEVELS] = {0, 1, 2, 3, 4, 5, 6};
  CompareFactor factor = {"factor", names, LEVELS, 0};
  CompareSpec spec = {.metric = "score", .factors = &factor, .n_factors = 1};
  CompareTrial trials[LEVELS * SEEDS_MAX];
  int n = 0;
  for (int seed = 0; seed < n_seeds; seed++) {
    double shared = sqrt(0.5) * draw(normal);
    for (int level = 0; level < LEVELS; level++) {
      double value = shared + sqrt(0.5) * draw(normal) + (level == 1 ? effect : 0);
      trials[n++] = (CompareTrial){.levels = &levels[level], .seed = seed,
                                    .state = COMPARE_COMPLETE, .value = value};
    }
  }
  Compare *compare = NULL;
  assert_int_equal(compare_new(&compare, &spec, trials, n, NULL), ERR_OK);
  assert_int_equal(compare->n_contrasts, LEVELS - 1);
  for (int i = 0; i < LEVELS - 1; i++) verdicts[i] = compare->contrasts[i].verdict;
  compare_free(compare);
}

/* Shares of studies in which anything that is not so was claimed, and in which the effect
 * was found. */
static void simulate(int n_seeds, double effect, int n, double *false_alarm,
                     double *power) {
  Normal normal = {{philox_key(12, "studies", NULL), (uint64_t)n_seeds}, 0};
  int alarms = 0, found = 0;
  for (int i = 0; i < n; i++) {
    CompareVerdict verdicts[LEVELS - 1];
    run_study(&normal, n_seeds, effect, verdicts);
    bool alarm = false;
    for (int k = 0; k < LEVELS - 1; k++)
      alarm = alarm || (verdicts[k] != COMPARE_UNDECIDED && (k > 0 || effect == 0));
    alarms += alarm;
    found += verdicts[0] == COMPARE_BETTER;
  }
  *false_alarm = (double)alarms / n;
  *power = (double)found / n;
}

static void check_false_alarms(int n_seeds, const char *what) {
  int n = is_long() ? 20000 : 400;
  double false_alarm, power;
  simulate(n_seeds, 0, n, &false_alarm, &power);
  show(what, false_alarm, n);
  assert_true(false_alarm <= 0.053 + slack(0.053, n));
}

TEST(false_alarms_at_eight_seeds) { check_false_alarms(8, "false alarms, n = 8"); }
TEST(false_alarms_at_twelve_seeds) { check_false_alarms(12, "false alarms, n = 12"); }

static void check_power(int n_seeds, double least, const char *what) {
  int n = is_long() ? 20000 : 400;
  double false_alarm, power;
  simulate(n_seeds, 1.5, n, &false_alarm, &power);
  show(what, power, n);
  assert_true(power >= least - slack(least, n));
  assert_true(false_alarm <= 0.053 + slack(0.053, n));
}

TEST(power_at_eight_seeds) { check_power(8, 0.5, "power, effect 1.5 sd, n = 8"); }
TEST(power_at_twelve_seeds) { check_power(12, 0.9, "power, effect 1.5 sd, n = 12"); }
