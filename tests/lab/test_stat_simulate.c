/* What the statistics promise, on simulated studies: coverage, false alarms, power.
 *
 * LONG=1 runs the numbers of studies that the bounds are meant for, and prints the
 * rates; without it a few hundred, whose rates only have to be within four standard
 * errors. The draws are fixed, so a rate is the same in every run. */
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
      assert_int_equal(stat_bootstrap_t(values, n_values, resample, &interval, NULL),
                       0);
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
  double by_t = coverage(false, true, 10, n),
         by_bootstrap = coverage(true, true, 10, n);
  show("coverage, t, lognormal, n = 10", by_t, n);
  show("coverage, bootstrap-t, lognormal, n = 10", by_bootstrap, n);
  assert_true(by_bootstrap >= 0.91 - slack(0.91, n) && by_bootstrap >= by_t);
}

/* -- studies ----------------------------------------------------------------------- */

enum { LEVELS = 7, SEEDS_MAX = 10 }; /* six contrasts with the baseline */

/* How a run turns out, of two standard normal draws: one that all levels share in a
 * seed, one of its own (rho is .5 where it is their sum), and an even one from 0 to
 * 1. */
typedef double Law(double shared, double own, double even);

static double normal_law(double shared, double own, double even) {
  (void)even;
  return sqrt(0.5) * (shared + own);
}

static double lognormal_law(double shared, double own, double even) {
  return exp(normal_law(shared, own, even));
}

/* A fifth of the runs learns nothing. */
static double failing_law(double shared, double own, double even) {
  return even < 0.2 ? -8 : normal_law(shared, own, even);
}

/* Student's t with two degrees of freedom, by its inverse, of the normal's own
 * place. */
static double heavy_law(double shared, double own, double even) {
  double u = erfc(-normal_law(shared, own, even) * M_SQRT1_2) / 2, v = 2 * u - 1;
  return v * sqrt(2 / (1 - v * v));
}

/* The share that is right of 100 rows: sd between seeds and within them of about two
 * rows. */
static double coarse_law(double shared, double own, double even) {
  return round(100 * (0.9 + 0.02 * normal_law(shared, own, even))) / 100;
}

/* Half of the runs are at chance. */
static double half_floored_law(double shared, double own, double even) {
  return even < 0.5 ? 0.1 : 0.8 + 0.05 * normal_law(shared, own, even);
}

static double tight_law(double shared, double own, double even) {
  return exp(0.5) + 0.05 * normal_law(shared, own, even);
}

/* With the mean of the law that fails in a fifth of the runs. */
static double sound_law(double shared, double own, double even) {
  return normal_law(shared, own, even) - 8 * 0.2;
}

typedef struct Setup {
  const char *name;
  Law *baseline, *others;
  double resolution;
  int n_levels, n_seeds;
  double effect; /* of level 1, added */
} Setup;

/* One study; the verdicts of its contrasts with level 0. */
static void run_study(const Setup *setup, Normal *normal, CompareVerdict *verdicts) {
  static const char *const names[LEVELS] = {"a", "b", "c", "d", "e", "f", "g"};
  static const int levels[LEVELS] = {0, 1, 2, 3, 4, 5, 6};
  CompareFactor factor = {"factor", names, setup->n_levels, 0};
  CompareSpec spec = {.metric = "score", .factors = &factor, .n_factors = 1,
                      .resolution = setup->resolution};
  CompareTrial trials[LEVELS * SEEDS_MAX];
  int n = 0;
  for (int seed = 0; seed < setup->n_seeds; seed++) {
    double shared = draw(normal);
    for (int level = 0; level < setup->n_levels; level++) {
      Law *law = level ? setup->others : setup->baseline;
      double own = draw(normal), value = law(shared, own, draw_unit(normal));
      if (level == 1) value += setup->effect;
      trials[n++] = (CompareTrial){.levels = &levels[level], .seed = seed,
                                   .state = COMPARE_COMPLETE, .value = value};
    }
  }
  Compare *compare = NULL;
  assert_int_equal(compare_new(&compare, &spec, trials, n, NULL), ERR_OK);
  assert_int_equal(compare->n_contrasts, setup->n_levels - 1);
  for (int i = 0; i < setup->n_levels - 1; i++)
    verdicts[i] = compare->contrasts[i].verdict;
  compare_free(compare);
}

/* Shares of studies in which anything that is not so was claimed, and in which the
 * effect was found. */
static void simulate(const Setup *setup, int n, double *false_alarm, double *power) {
  Normal normal = {{philox_key(12, "studies", setup->name), (uint64_t)setup->n_seeds},
                   0};
  int alarms = 0, found = 0;
  for (int i = 0; i < n; i++) {
    CompareVerdict verdicts[LEVELS - 1];
    run_study(setup, &normal, verdicts);
    bool alarm = false;
    for (int k = 0; k < setup->n_levels - 1; k++)
      alarm = alarm ||
              (verdicts[k] != COMPARE_UNDECIDED && (k > 0 || setup->effect == 0));
    alarms += alarm;
    found += verdicts[0] == COMPARE_BETTER;
  }
  *false_alarm = (double)alarms / n;
  *power = (double)found / n;
}

static const int sizes[] = {4, 5, 8, 10};

/* The family-wise error where no level differs, at each number of seeds. */
static void check_false_alarms(const char *name, Law *law, double resolution) {
  int n = is_long() ? 20000 : 150;
  for (int i = 0; i < 4; i++) {
    Setup setup = {name, law, law, resolution, LEVELS, sizes[i], 0};
    double false_alarm, power;
    char what[80];
    simulate(&setup, n, &false_alarm, &power);
    snprintf(what, sizeof what, "false alarms, %s, n = %d", name, sizes[i]);
    show(what, false_alarm, n);
    assert_true(false_alarm <= 0.055 + slack(0.055, n));
  }
}

TEST(false_alarms_normal) { check_false_alarms("normal", normal_law, 0); }
TEST(false_alarms_lognormal) { check_false_alarms("lognormal", lognormal_law, 0); }
TEST(false_alarms_failing) { check_false_alarms("a fifth fails", failing_law, 0); }
TEST(false_alarms_heavy) { check_false_alarms("t with 2 df", heavy_law, 0); }
TEST(false_alarms_coarse) { check_false_alarms("100 rows", coarse_law, 0.01); }
TEST(false_alarms_floored) { check_false_alarms("half floored", half_floored_law, 0); }

/* Equal means of different shapes are not the hypothesis that is tested: how often they
 * are found different is printed. */
TEST(shapes_that_differ_are_told_apart) {
  if (!is_long()) return;
  for (int i = 0; i < 4; i++) {
    Setup setups[] = {
        {"tight against lognormal", tight_law, lognormal_law, 0, LEVELS, sizes[i], 0},
        {"others fail in a fifth", sound_law, failing_law, 0, LEVELS, sizes[i], 0}};
    for (int k = 0; k < 2; k++) {
      double told, power;
      char what[80];
      simulate(&setups[k], 4000, &told, &power);
      snprintf(what, sizeof what, "told apart, %s, n = %d", setups[k].name, sizes[i]);
      show(what, told, 4000);
      assert_true(told >= 0 && told <= 1);
    }
  }
}

/* The differences of pairs have an sd of 1: the effect is d_z. */
static void check_power(const char *name, int n_levels, int n_seeds, double effect,
                        double want) {
  int n = is_long() ? 20000 : 200;
  Setup setup = {name, normal_law, normal_law, 0, n_levels, n_seeds, effect};
  double false_alarm, power;
  char what[80];
  simulate(&setup, n, &false_alarm, &power);
  snprintf(what, sizeof what, "power, %s, n = %d", name, n_seeds);
  show(what, power, n);
  CHECK_NEAR(power, want, 0.02 + slack(want, n));
  assert_true(false_alarm <= 0.055 + slack(0.055, n));
}

TEST(power_of_one_contrast) {
  check_power("1.5 sd, one contrast", 2, 5, 1.5, 0.71);
  check_power("1.5 sd, one contrast", 2, 8, 1.5, 0.95);
  check_power("1.5 sd, one contrast", 2, 10, 1.5, 0.99);
}

TEST(power_of_one_among_six) {
  check_power("1.5 sd, one of six", LEVELS, 5, 1.5, 0.28);
  check_power("1.5 sd, one of six", LEVELS, 8, 1.5, 0.71);
  check_power("1.5 sd, one of six", LEVELS, 10, 1.5, 0.88);
  check_power("3 sd, one of six", LEVELS, 5, 3, 0.87);
}
