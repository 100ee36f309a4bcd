/* What decides a contrast, and what a verdict says beside: floors, failures, looks,
 * seeds. */
#include "lab/compare_study.h"
#include "lab/stat.h"

/* One factor with two levels, relu and tanh; the differences of the seeds are given. */
static Study *study_of(const double *differences, int n) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  study->factors[0].n_levels = 2;
  for (int i = 0; i < n; i++) {
    double value = 0.5 + 0.01 * i;
    add(study, 0, 0, i + 1, value);
    add(study, 1, 0, i + 1, value + differences[i]);
  }
  return study;
}

static CompareVerdict verdict_of(const double *differences, int n, double resolution) {
  Study *study = study_of(differences, n);
  study->spec.resolution = resolution;
  Compare *c = compare(study);
  CompareVerdict verdict = c->contrasts[0].verdict;
  finish(study, c);
  return verdict;
}

/* The default of five seeds decides what is clear: 33 points with an interval of 31
 * to 35. */
TEST(five_seeds_decide_what_is_clear) {
  static const double differences[] = {0.33, 0.31, 0.35, 0.34, 0.32};
  Study *study = study_of(differences, 5);
  Compare *c = compare(study);
  const StatPaired *paired = &c->contrasts[0].complete.paired;
  assert_true(paired->p_flip == 0.0625 && paired->p < 0.001);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_BETTER);
  char *text = text_of(c, 80, COMPARE_ALL);
  static const char first[] = "Decided: 1 of 1 contrast of test_accuracy (95 % "
                              "intervals, p):\n"
                              "  activation: tanh beats relu by 33.0 points (31.0 to "
                              "35.0, p < .001)\n";
  if (strncmp(text, first, sizeof first - 1) != 0)
    fail_msg("the page begins so:\n%.200s", text);
  free(text);
  check_says(c, COMPARE_VERDICTS,
             "The sign-flip test, which assumes no distribution, disagrees with the t "
             "test at 5 % in 1 of 1 contrast: it takes 6 seeds to come below .05 at "
             "all.\n");
  finish(study, c);
}

TEST(below_four_seeds_there_is_no_verdict) {
  static const double clear[] = {0.330, 0.331, 0.332, 0.333};
  for (int n = 1; n <= 4; n++) {
    Study *study = study_of(clear, n);
    Compare *c = compare(study);
    assert_int_equal(c->contrasts[0].verdict,
                     n < 4 ? COMPARE_UNTESTED : COMPARE_BETTER);
    if (n < 4) {
      check_says(c, COMPARE_VERDICTS,
                 "Nothing is decided of 1 contrast of test_accuracy.\n"
                 "Too few seeds to test: 1; a verdict takes at least 4");
      check_says(c, COMPARE_CONTRASTS, "  too few seeds\n");
      assert_true(isnan(c->contrasts[0].complete.p_holm));
    }
    compare_free(c);
    study->spec.rope = 0.5; /* equivalence is a verdict too */
    c = compare(study);
    assert_int_equal(c->contrasts[0].verdict,
                     n < 4 ? COMPARE_UNTESTED : COMPARE_EQUIVALENT);
    finish(study, c);
  }
}

/* Some contrasts have seeds enough, one has not. */
TEST(contrasts_with_too_few_seeds_are_named) {
  Study *study = study_new();
  fill(study, 5);
  for (int64_t seed = 3; seed <= 5; seed++)
    for (int b = 0; b < 2; b++) find(study, 1, b, seed)->state = COMPARE_MISSING;
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 1)->verdict, COMPARE_UNTESTED);
  assert_int_equal(contrast(c, 0, 2)->verdict, COMPARE_WORSE);
  check_says(c, COMPARE_VERDICTS, "Decided so far: 2 of 3 contrasts of test_accuracy");
  check_says(c, COMPARE_VERDICTS,
             "Too few seeds to test: 1; a verdict takes at least 4:\n"
             "  activation: tanh against relu (2 seeds)\n");
  finish(study, c);
}

/* -- the floor of the sd ----------------------------------------------------------- */

/* One row of 100 in each of five seeds, always the same: chance makes such
 * differences. */
TEST(the_sd_is_no_smaller_than_the_steps_of_the_metric_allow) {
  static const double same[] = {0.01, 0.01, 0.01, 0.01, 0.01};
  static const double near[] = {0.01, 0.01, 0.01, 0.01, 0.01000001};
  Study *study = study_of(near, 5);
  study->spec.resolution = 0.01;
  Compare *c = compare(study);
  const StatPaired *paired = &c->contrasts[0].complete.paired;
  CHECK_NEAR(paired->sd_used, 0.01 / sqrt(6), 1e-15);
  CHECK_NEAR(paired->t, paired->mean / (paired->sd_used / sqrt(5)), 1e-12);
  CHECK_NEAR(paired->interval.high - paired->mean,
             2.7764451 * paired->sd_used / sqrt(5), 1e-8);
  assert_true(paired->sd < 1e-8);
  finish(study, c);
  assert_int_equal(verdict_of(same, 5, 0.01), COMPARE_BETTER);    /* t = 5.5 */
  assert_int_equal(verdict_of(same, 5, 0.03), COMPARE_UNDECIDED); /* t = 1.8 */
  assert_int_equal(verdict_of(near, 5, 0), COMPARE_BETTER);
}

TEST(the_floor_falls_with_the_settings_that_are_averaged) {
  Study *study = study_new();
  fill(study, 5);
  study->spec.resolution = 0.2;
  Compare *c = compare(study);
  CHECK_NEAR(contrast(c, 0, 1)->complete.paired.sd_used, 0.2 / sqrt(6 * 2), 1e-15);
  CHECK_NEAR(contrast(c, 1, 1)->complete.paired.sd_used, 0.2 / sqrt(6 * 3), 1e-15);
  finish(study, c);
}

/* Resamples of values that agree by chance would be sure of it. */
TEST(the_floor_of_the_sd_holds_for_bootstrap_too) {
  static const double same[] = {0.01, 0.01, 0.01, 0.01, 0.01};
  Study *study = study_of(same, 5);
  study->spec.resolution = 0.01;
  study->spec.rope = 0.012;
  for (int bootstrap = 0; bootstrap < 2; bootstrap++) {
    study->spec.bootstrap = bootstrap;
    Compare *c = compare(study);
    const StatPaired *paired = &c->contrasts[0].complete.paired;
    double half = stat_t_critical(0.05, 4) * 0.01 / sqrt(6) / sqrt(5);
    CHECK_NEAR(paired->interval.low, 0.01 - half, 1e-12);
    CHECK_NEAR(paired->interval.high, 0.01 + half, 1e-12);
    assert_true(c->contrasts[0].verdict != COMPARE_EQUIVALENT);
    compare_free(c);
  }
  free(study);
}

/* No spread, and no step is known: signs alone decide. */
TEST(without_spread_and_resolution_signs_decide) {
  double same[8];
  for (int i = 0; i < 8; i++) same[i] = 0.02;
  for (int n = 4; n <= 8; n++)
    assert_int_equal(verdict_of(same, n, 0),
                     n < 6 ? COMPARE_UNDECIDED : COMPARE_BETTER);
  Study *study = study_of(same, 5);
  Compare *c = compare(study);
  check_says(c, COMPARE_VERDICTS,
             "tanh against relu: +2.0 points (2.0 to 2.0, p = .063): 6 "
             "seeds\n");
  check_says(c, COMPARE_CONTRASTS,
             "  inf  .063    .063  5/5 "); /* the p that decides */
  check_says(c, COMPARE_CONTRASTS,
             "  inf  .063    .063  5/5 "); /* the p that decides */
  check_silent(c, COMPARE_VERDICTS, "disagrees");
  finish(study, c);
}

/* -- seeds that it would take ------------------------------------------------------ */

TEST(undecided_contrasts_tell_the_seeds_that_they_would_take) {
  static const double unclear[] = {0.02, -0.01, 0.03, 0.01, -0.005};
  Study *study = study_of(unclear, 5);
  study->spec.looks_of_more = 2;
  Compare *c = compare(study);
  const StatPaired *paired = &c->contrasts[0].complete.paired;
  int needed = stat_pairs_needed(paired->d_z,
                                 0.025); /* seeds that are added are looked at */
  assert_true(needed > 5 && stat_power(paired->d_z, needed, 0.025) >= 0.8 &&
              stat_power(paired->d_z, needed - 1, 0.025) < 0.8);
  char want[200];
  snprintf(want, sizeof want,
           "Undecided: 1, no clear difference; behind each, the seeds that would "
           "decide one as large as it looks:\n  activation: tanh against relu: ");
  check_says(c, COMPARE_VERDICTS, want);
  snprintf(want, sizeof want, "): %d seeds\n", needed);
  check_says(c, COMPARE_VERDICTS, want);
  finish(study, c);
  static const double hardly[] = {0.0201, -0.02, 0.02, -0.02};
  study = study_of(hardly, 4);
  c = compare(study);
  check_says(c, COMPARE_VERDICTS, "): over 1000 seeds\n");
  finish(study, c);
}

/* Adding the seeds that are proposed is another look at results, and decides what looks
 * alike. */
TEST(the_seeds_named_decide_when_they_are_added) {
  double same[8];
  for (int i = 0; i < 8; i++) same[i] = 0.02;
  for (int n = 5; n <= 7; n++) {
    Study *study = study_of(same, n);
    study->spec.looks = n > 5 ? 2 : 1;
    study->spec.looks_of_more = 2;
    Compare *c = compare(study);
    assert_int_equal(c->contrasts[0].verdict,
                     n < 7 ? COMPARE_UNDECIDED : COMPARE_BETTER);
    if (n < 7) check_says(c, COMPARE_VERDICTS, "): 7 seeds\n");
    finish(study, c);
  }
}

/* Those that are planned already are none to be added. */
TEST(planned_seeds_are_no_further_look) {
  double same[8];
  for (int i = 0; i < 8; i++) same[i] = 0.02;
  Study *study = study_of(same, 8);
  study->spec.looks_of_more = 2;
  for (int i = 0; i < study->n; i++)
    if (study->trials[i].seed > 5) study->trials[i].state = COMPARE_MISSING;
  Compare *c = compare(study);
  check_says(c, COMPARE_VERDICTS, "p = .063, 5 of 8 seeds): 6 seeds\n");
  finish(study, c);
}

TEST(what_is_the_same_in_each_seed_takes_no_seeds) {
  static const double none[] = {0, 0, 0, 0, 0};
  Study *study = study_of(none, 5);
  Compare *c = compare(study);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_UNDECIDED);
  check_says(c, COMPARE_VERDICTS, "tanh against relu: the same in each of 5 seeds\n");
  finish(study, c);
}

/* -- runs that went wrong ---------------------------------------------------------- */

/* Nine seeds; relu learns always, tanh in all but the first `n` of them. */
static Study *failing(int n, CompareState state, double value) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  study->factors[0].n_levels = 2;
  for (int64_t seed = 1; seed <= 9; seed++) {
    add(study, 0, 0, seed, 0.8 + noise(0, 0, seed));
    CompareTrial *trial = add(study, 1, 0, seed, 0.85 + noise(1, 0, seed));
    if (seed > n) continue;
    trial->state = state;
    trial->value = value + noise(2, 0, seed) / 20;
  }
  return study;
}

TEST(shares_of_runs_that_went_wrong_are_compared_by_themselves) {
  static const CompareState states[] = {COMPARE_FAILED, COMPARE_DIVERGED,
                                        COMPARE_COMPLETE};
  for (int i = 0; i < 3; i++) {
    Study *study = failing(5, states[i], 0.1);
    Compare *c = compare(study);
    const CompareContrast *tanh = &c->contrasts[0];
    CompareRuns runs = tanh->runs_a;
    assert_int_equal(runs.n, 9);
    assert_int_equal(runs.n_failed, i == 0 ? 5 : 0);
    assert_int_equal(runs.n_diverged, i == 1 ? 5 : 0);
    assert_int_equal(runs.n_floored, i == 2 ? 5 : 0);
    assert_true(tanh->uneven);
    CHECK_NEAR(tanh->p_wrong, 2 * 126.0 / 8568, 1e-12); /* 9 over 5, of 18 over 5 */
    check_says(c, COMPARE_VERDICTS,
               "Runs that failed, diverged or are at the floor, where the two differ "
               "(Fisher's exact test, p):\n  activation: 5 of 9 runs of tanh, 0 of 9 "
               "runs of relu: a clear difference (p = .029)\n");
    finish(study, c);
  }
}

TEST(a_verdict_speaks_of_typical_runs_where_some_went_wrong) {
  Study *study = failing(1, COMPARE_FAILED, 0);
  Compare *c = compare(study);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_BETTER);
  check_says(c, COMPARE_VERDICTS, "tanh beats relu in typical runs by ");
  check_says(c, COMPARE_VERDICTS,
             "1 of 9 runs of tanh, 0 of 9 runs of relu: no clear difference (p = 1)\n");
  check_says(c, COMPARE_VERDICTS, "A verdict on typical runs is none on means");
  find(study, 0, 0, 9)->state = COMPARE_FAILED; /* as often on both sides */
  compare_free(c);
  c = compare(study);
  assert_false(c->contrasts[0].uneven);
  check_silent(c, COMPARE_ALL, "typical");
  finish(study, c);
}

TEST(a_level_that_learns_nothing_is_at_the_floor_like_runs_that_do_not) {
  Study *study = failing(3, COMPARE_COMPLETE, 0.1);
  study->factors[0].n_levels = 3;
  for (int64_t seed = 1; seed <= 9; seed++)
    add(study, 2, 0, seed, 0.1 + noise(3, 0, seed) / 20);
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 1)->runs_a.n_floored, 3);
  assert_int_equal(contrast(c, 0, 2)->runs_a.n_floored, 9);
  assert_int_equal(contrast(c, 0, 2)->runs_b.n_floored, 0);
  finish(study, c);
}

TEST(one_seed_that_makes_most_of_a_difference_is_named) {
  static const double one[] = {0.01, 0.01, 0.03, 0.011, 0.009};
  Study *study = study_of(one, 5);
  Compare *c = compare(study);
  assert_int_equal(c->contrasts[0].complete.dominant, 2);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_BETTER);
  check_says(c, COMPARE_VERDICTS, "tanh beats relu in typical runs by ");
  check_says(c, COMPARE_VERDICTS,
             "One seed makes more than half of the sum of squares:\n"
             "  activation: tanh against relu, seed 3\n");
  finish(study, c);
}

/* -- looks ------------------------------------------------------------------------- */

TEST(looks_share_the_level) {
  static const double differences[] = {0.02, 0.03, 0.005, 0.025, 0.01};
  Study *study = study_of(differences, 5);
  Compare *c = compare(study);
  double p = c->contrasts[0].complete.p_holm;
  assert_true(p > 0.01 && p < 0.025);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_BETTER);
  check_silent(c, COMPARE_ALL, "Looks");
  compare_free(c);
  study->spec.looks = 5;
  c = compare(study);
  CHECK_NEAR(c->level, 0.01, 1e-15);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_UNDECIDED);
  check_says(c, COMPARE_VERDICTS,
             "Looks: 5. Seeds were added when there were results, so p is compared "
             "with .05 / 5 = .01.\n");
  CHECK_NEAR(compare_reach(c).finds[1].sds, stat_smallest(5, 0.01), 1e-12);
  finish(study, c);
}

/* -- what the seeds can show ------------------------------------------------------- */

TEST(plan_names_the_smallest_difference_that_is_found) {
  Study *study = study_new();
  fill(study, 7);
  for (int i = 0; i < study->n; i++) study->trials[i].state = COMPARE_MISSING;
  Compare *c = compare(study);
  static const int seeds[] = {4, 5, 6, 7, 8, 10};
  CompareReach reach = compare_reach(c);
  assert_int_equal(reach.n, 6);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(reach.finds[i].n_seeds, seeds[i]);
    CHECK_NEAR(reach.finds[i].sds, stat_smallest(seeds[i], 0.05 / 3), 1e-12);
    assert_true(isnan(reach.finds[i].difference));
  }
  check_says(c, COMPARE_REACH,
             "7 seeds find a difference of 1.62 sd or more with probability .8, "
             "corrected for 3 contrasts. ");
  check_says(c, COMPARE_REACH,
             "\n  seeds     4     5     6     7     8    10\n"
             "  in sd  3.12  2.29  1.88  1.62  1.45  1.22\n");
  check_silent(c, COMPARE_REACH, "in points");
  finish(study, c);
}

TEST(with_results_plan_tells_it_in_the_unit_of_the_metric) {
  Study *study = study_new();
  study->spec.looks_of_more = 2;
  fill(study, 5);
  Compare *c = compare(study);
  double sds[3];
  for (int i = 0; i < 3; i++) sds[i] = c->contrasts[i].complete.paired.sd;
  double low = fmin(sds[0], fmin(sds[1], sds[2])),
         high = fmax(sds[0], fmax(sds[1], sds[2]));
  const CompareFind find = compare_reach(c).finds[1];
  CHECK_NEAR(c->sd, sds[0] + sds[1] + sds[2] - low - high, 1e-15);
  CHECK_NEAR(find.difference, find.sds * c->sd, 1e-15);
  check_says(c, COMPARE_REACH, "\n  in points  ");
  for (int i = 0; i < 5; i++) { /* 4, 5, 6, 8, 10: more than 5 are a second look */
    double level = i < 2 ? 0.05 : 0.025;
    CHECK_NEAR(compare_reach(c).finds[i].level, level, 1e-15);
    CHECK_NEAR(compare_reach(c).finds[i].sds,
               stat_smallest(compare_reach(c).finds[i].n_seeds, level / 3), 1e-12);
  }
  check_says(c, COMPARE_REACH,
             "More than 5 seeds are given with the look that they would add. ");
  check_says(c, COMPARE_REACH, " points so far, with probability .8");
  finish(study, c);
}

TEST(few_seeds_are_called_too_few) {
  Study *study = study_new();
  fill(study, 3);
  Compare *c = compare(study);
  assert_int_equal(compare_reach(c).n, 5);
  check_says(c, COMPARE_REACH,
             "3 seeds are too few for a verdict, which takes at least 4; ");
  compare_free(c);
  study->n = 0;
  fill(study, 12);
  c = compare(study);
  assert_int_equal(compare_reach(c).n, 6);
  assert_int_equal(compare_reach(c).finds[5].n_seeds, 12);
  finish(study, c);
}

TEST(json_tells_what_a_verdict_was_made_from) {
  Study *study = failing(1, COMPARE_FAILED, 0);
  study->spec.resolution = 0.001;
  study->spec.looks = 2;
  Compare *c = compare(study);
  Json *json = compare_json(c);
  const Json *first = json_item(json_find(json, "contrasts"), 0);
  const Json *complete = json_find(first, "complete"),
             *reach = json_find(json, "reach");
  double level = 0, p = 0, resolution = 0;
  int64_t n = 0, looks = 0;
  bool typical = false;
  assert_true(json_find_number(json, "level", &level) && level == 0.025);
  assert_true(json_find_int(json, "looks", &looks) && looks == 2);
  assert_true(json_find_number(json, "resolution", &resolution));
  CHECK_NEAR(resolution, 0.001, 0);
  assert_true(json_find_number(complete, "p_sign_flip", &p) && p == 2.0 / 256);
  assert_true(json_find_int(json_find(first, "runs_a"), "failed", &n) && n == 1);
  assert_true(json_find_bool(first, "typical_runs", &typical) && typical);
  assert_int_equal(json_count(json_find(reach, "finds")), 6);
  json_free(json);
  finish(study, c);
}
