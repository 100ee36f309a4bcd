/* Comparisons of studies: what is compared with what, and what is said of it. */
#include "lab/compare_study.h"
#include "lab/stat.h"

static const char *const optimizers[] = {"sgd", "adam"};
static const char *const momenta[] = {"0", "0.9"};

/* -- contrasts --------------------------------------------------------------------- */

TEST(a_contrast_is_a_mean_over_settings_for_each_seed) {
  Study *study = study_new();
  double want = 0;
  fill(study, 10);
  for (int64_t seed = 1; seed <= 10; seed++)
    for (int b = 0; b < 2; b++)
      want += (find(study, 1, b, seed)->value - find(study, 0, b, seed)->value) / 20;
  Compare *c = compare(study);
  const CompareContrast *tanh = contrast(c, 0, 1);
  assert_int_equal(c->n_contrasts, 3);
  assert_int_equal(tanh->b, 0);
  assert_int_equal(tanh->complete.paired.n, 10);
  assert_int_equal(tanh->n_settings, 2);
  assert_int_equal(tanh->complete.n_settings, 2);
  CHECK_NEAR(tanh->complete.paired.mean, want, 1e-14);
  const StatPaired *paired = &tanh->complete.paired;
  CHECK_NEAR(paired->p_flip, 2.0 / 1024, 0);
  CHECK_NEAR(paired->p, stat_t_tail(paired->mean / paired->sd * sqrt(10), 9), 1e-15);
  double holm = fmax(paired->p,
                     2 * fmin(paired->p, contrast(c, 1, 1)->complete.paired.p));
  CHECK_NEAR(tanh->complete.p_holm, holm, 1e-15); /* sigmoid's is the smallest */
  assert_int_equal(tanh->verdict, COMPARE_WORSE);
  assert_int_equal(contrast(c, 1, 1)->verdict, COMPARE_BETTER);
  CHECK_NEAR(tanh->complete.paired.won, 0, 0);
  check_says(c, COMPARE_VERDICTS,
             "Decided: 3 of 3 contrasts of test_accuracy (95 % intervals, p after "
             "Holm):\n");
  check_says(c, COMPARE_VERDICTS,
             "\n  activation: relu beats sigmoid by 19.81 points (19.49 to 20.13, p < "
             ".001)\n");
  check_says(c, COMPARE_VERDICTS, "\n  norm: batch beats none by ");
  finish(study, c);
}

TEST(a_metric_to_be_minimized_turns_the_verdicts) {
  Study *study = study_new();
  study->spec.goal = COMPARE_MIN;
  study->spec.metric = "val_loss";
  study->spec.low = study->spec.high = 0;
  fill(study, 10);
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 2)->verdict, COMPARE_BETTER);
  CHECK_NEAR(contrast(c, 0, 2)->complete.paired.won, 1, 0);
  assert_true(contrast(c, 0, 2)->complete.paired.won_interval.low > 0.5);
  assert_int_equal(contrast(c, 1, 1)->verdict, COMPARE_WORSE);
  assert_int_equal(c->cells[c->order[0]].levels[0], 2);
  assert_int_equal(c->cells[c->order[0]].levels[1], 0);
  check_says(c, COMPARE_VERDICTS, "sigmoid beats relu by 0.1981 (0.1949 to 0.2013, ");
  check_silent(c, COMPARE_ALL, "points");
  finish(study, c);
}

TEST(the_order_of_trials_does_not_matter) {
  Study *study = study_new();
  fill(study, 7);
  find(study, 1, 1, 3)->state = COMPARE_DIVERGED;
  study->spec.bootstrap = true;
  Compare *c = compare(study);
  for (int i = 0; i < study->n / 2; i++) {
    CompareTrial swap = study->trials[i];
    study->trials[i] = study->trials[study->n - 1 - i];
    study->trials[study->n - 1 - i] = swap;
  }
  Compare *turned = compare(study);
  Json *a = compare_json(c), *b = compare_json(turned);
  Text first = {0}, second = {0};
  assert_int_equal(json_write(a, 0, &first, NULL), ERR_OK);
  assert_int_equal(json_write(b, 0, &second, NULL), ERR_OK);
  assert_string_equal(first.data, second.data);
  json_free(a);
  json_free(b);
  text_deinit(&first);
  text_deinit(&second);
  compare_free(turned);
  finish(study, c);
}

TEST(a_missing_trial_costs_its_seed) {
  Study *study = study_new();
  fill(study, 10);
  find(study, 1, 0, 4)->state = COMPARE_MISSING;
  find(study, 2, 1, 5)->state = COMPARE_FAILED;
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 1)->complete.paired.n, 9);
  assert_int_equal(contrast(c, 0, 1)->complete.n_settings, 2);
  assert_int_equal(c->runs.n_missing, 1);
  assert_int_equal(c->runs.n_failed, 1);
  assert_int_equal(c->grid.n_seeds, 8);
  check_says(c, COMPARE_WORDS, "Incomplete: 2 of 60 trials have no result (1 failed)");
  check_says(c, COMPARE_EFFECTS, "6 of 6 cells x 8 of 10 seeds.");
  finish(study, c);
}

/* Three of five seeds lack a trial in one of three settings: the block with all seeds
 * is a bit smaller than that with all settings, but it has seeds enough for a
 * verdict. */
TEST(seeds_are_worth_more_than_settings) {
  static const char *const both[] = {"relu", "tanh"}, *const three[] = {"none", "batch",
                                                                        "layer"};
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"activation", both, 2, 0};
  study->factors[1] = (CompareFactor){"norm", three, 3, 0};
  for (int64_t seed = 1; seed <= 5; seed++)
    for (int a = 0; a < 2; a++)
      for (int b = 0; b < 3; b++)
        if (b < 2 || seed > 2 || a == 0)
          add(study, a, b, seed, 0.8 - 0.03 * a + 0.05 * b + noise(a, b, seed));
  find(study, 1, 1, 5)->state = COMPARE_MISSING;
  find(study, 1, 1, 4)->state = COMPARE_MISSING;
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 1)->complete.paired.n, 5);
  assert_int_equal(contrast(c, 0, 1)->complete.n_settings, 1);
  check_says(c, COMPARE_VERDICTS, ", 1 of 3 settings)");
  finish(study, c);
}

TEST(a_skipped_cell_is_no_setting) {
  Study *study = study_new();
  fill(study, 10);
  int kept = 0;
  for (int i = 0; i < study->n; i++)
    if (study->trials[i].levels[0] != 2 || study->trials[i].levels[1] != 1)
      study->trials[kept++] = study->trials[i];
  study->n = kept;
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 2)->n_settings, 1);
  assert_int_equal(contrast(c, 0, 1)->n_settings, 2);
  assert_int_equal(contrast(c, 1, 1)->n_settings, 2);
  check_says(c, COMPARE_EFFECTS,
             "4 of 5 cells x 10 of 10 seeds: activation without sigmoid.");
  check_silent(c, COMPARE_WORDS, "Incomplete");
  finish(study, c);
}

/* -- diverged trials --------------------------------------------------------------- */

TEST(diverged_trials_are_counted_both_ways) {
  Study *study = study_new();
  fill(study, 10);
  for (int64_t seed = 1; seed <= 2; seed++) {
    find(study, 0, 0, seed)->state = COMPARE_DIVERGED; /* the baseline itself */
    find(study, 0, 1, seed)->value = INFINITY;         /* counts as diverged */
  }
  Compare *c = compare(study);
  assert_int_equal(c->runs.n_diverged, 4);
  const CompareContrast *tanh = contrast(c, 0, 1);
  assert_int_equal(tanh->runs_b.n_diverged, 4);
  assert_int_equal(tanh->complete.paired.n, 8);
  assert_int_equal(tanh->imputed.paired.n, 10);
  assert_int_equal(tanh->complete.verdict, COMPARE_WORSE);
  assert_int_equal(tanh->imputed.verdict, COMPARE_UNDECIDED);
  assert_int_equal(tanh->verdict, COMPARE_UNDECIDED);
  assert_true(tanh->disputed);
  check_says(c, COMPARE_VERDICTS,
             "\n  activation: tanh against relu depends on how 4 diverged trials "
             "count: left out, tanh is worse; counted as the worst value, there is no "
             "clear difference\n");
  check_says(c, COMPARE_CONTRASTS, "diverged as worst");
  CHECK_NEAR(c->cells[0].imputed.min, c->worst, 0);
  finish(study, c);
}

TEST(a_level_that_always_diverges_is_worse) {
  Study *study = study_new();
  fill(study, 10);
  for (int i = 0; i < study->n; i++)
    if (study->levels[i][0] == 1) study->trials[i].state = COMPARE_DIVERGED;
  Compare *c = compare(study);
  const CompareContrast *tanh = contrast(c, 0, 1);
  assert_int_equal(tanh->complete.paired.n, 0);
  assert_int_equal(tanh->verdict, COMPARE_WORSE);
  assert_false(tanh->disputed);
  check_says(c, COMPARE_VERDICTS, "no seed is complete");
  finish(study, c);
}

/* Sums of the largest doubles overflow: no mean of them is one, no sd, no p. */
TEST(what_is_too_large_for_sums_counts_as_diverged) {
  Study *study = study_new();
  study->spec.low = study->spec.high = 0;
  study->spec.goal = COMPARE_MIN;
  fill(study, 6);
  for (int64_t seed = 1; seed <= 6; seed++)
    find(study, 1, 0, seed)->value = 1.7e308 - 1e305 * (double)seed;
  find(study, 2, 0, 1)->value = -1e144;
  find(study, 2, 0, 2)->value = 1e144; /* its mean is small again */
  Compare *c = compare(study);
  assert_int_equal(c->runs.n_diverged, 6);
  assert_int_equal(contrast(c, 0, 1)->runs_a.n_diverged, 6);
  for (int i = 0; i < c->n_cells; i++)
    assert_true(isnan(c->cells[i].sample.sd) || isfinite(c->cells[i].sample.sd));
  check_says(c, COMPARE_CELLS, "-1e+144  1e+144");
  finish(study, c);
}

TEST(nothing_to_say_when_everything_diverged_or_is_to_come) {
  Study *study = study_new();
  fill(study, 5);
  for (int i = 0; i < study->n; i++) study->trials[i].state = COMPARE_DIVERGED;
  Compare *c = compare(study);
  check_says(c, COMPARE_ALL,
             "No trial has a value of test_accuracy: all that ran diverged.");
  compare_free(c);
  study->trials[0].state = COMPARE_FAILED;
  c = compare(study);
  check_says(c, COMPARE_ALL, "all that ran diverged or failed.");
  compare_free(c);
  for (int i = 0; i < study->n; i++) study->trials[i].state = COMPARE_MISSING;
  c = compare(study);
  check_says(c, COMPARE_ALL, "No trial has a value of test_accuracy yet.");
  assert_int_equal(c->n_contrasts, 3);
  finish(study, c);
}

/* -- significance ------------------------------------------------------------------ */

/* One seed far off widens the interval over 0; all signs are the same. */
TEST(one_seed_far_off_decides_nothing_whatever_sign_flips_say) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  for (int64_t seed = 1; seed <= 10; seed++) {
    add(study, 0, 0, seed, 0);
    add(study, 1, 0, seed, seed == 10 ? 0.9 : 0.01);
  }
  Compare *c = compare(study);
  const StatPaired *paired = &c->contrasts[0].complete.paired;
  assert_true(paired->p_flip < 0.05 && paired->p > 0.05);
  assert_true(paired->interval.low < 0);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_UNDECIDED);
  check_says(c, COMPARE_VERDICTS,
             "disagrees with the t test at 5 % in 1 of 1 contrast:\n"
             "  activation: tanh against relu: p = .295, by sign-flip p = .002\n");
  finish(study, c);
}

TEST(equivalent_needs_a_rope_that_holds_the_interval) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  for (int64_t seed = 1; seed <= 8; seed++) {
    add(study, 0, 0, seed, 0.8 + noise(0, 0, seed));
    add(study, 1, 0, seed, 0.8 + noise(1, 0, seed));
  }
  Compare *c = compare(study);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_UNDECIDED);
  StatInterval interval = c->contrasts[0].complete.paired.interval;
  double reach = fmax(fabs(interval.low), fabs(interval.high));
  compare_free(c);
  study->spec.rope = reach * 1.001;
  c = compare(study);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_EQUIVALENT);
  check_says(c, COMPARE_VERDICTS, "\nEquivalent: 1, the 95 % interval is within ");
  check_says(c, COMPARE_VERDICTS, "\n  activation: tanh is equivalent to relu (");
  compare_free(c);
  study->spec.rope = reach * 0.999;
  c = compare(study);
  assert_int_equal(c->contrasts[0].verdict, COMPARE_UNDECIDED);
  finish(study, c);
}

TEST(cells_are_compared_on_request) {
  Study *study = study_new();
  fill(study, 12);
  int a[] = {1, 1}, b[] = {2, 0}, no_cell[] = {1, -1};
  ComparePair pairs[] = {{a, b}, {no_cell, b}, {a, a}};
  study->spec.pairs = pairs;
  study->spec.n_pairs = 1;
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 4);
  assert_int_equal(c->contrasts[3].factor, -1);
  assert_int_equal(c->contrasts[3].verdict, COMPARE_BETTER);
  check_says(c, COMPARE_VERDICTS, "\n  tanh, batch beats sigmoid, norm=none by ");
  compare_free(c);
  study->spec.n_pairs = 0;
  study->spec.cell_contrasts = true;
  c = compare(study);
  assert_int_equal(c->n_contrasts, 3 + 5);
  check_says(c, COMPARE_CONTRASTS, "tanh, batch - baseline");
  check_says(c, COMPARE_CONTRASTS, "relu: batch - norm=none");
  check_says(c, COMPARE_VERDICTS, "\n  relu beats tanh at norm=none by");
  compare_free(c);
  study->spec.cell_contrasts = false;
  study->spec.n_pairs = 2;
  check_refused(study, "activation=tanh norm=-");
  pairs[1] = pairs[2];
  check_refused(study, "a contrast of a cell with itself");
  finish(study, NULL);
}

TEST(what_is_drawn_is_not_compared_but_what_is_crossed_with_it_is) {
  Study *study = study_new();
  study->spec.drawn[0] = true;
  fill(study, 8);
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 1);
  assert_int_equal(contrast(c, 1, 1)->n_settings, 3);
  check_silent(c, COMPARE_CELLS, "baseline");
  check_silent(c, COMPARE_WORDS, "Not compared");
  study->spec.drawn[1] = true;
  compare_free(c);
  c = compare(study);
  assert_int_equal(c->n_contrasts, 0);
  check_says(c, COMPARE_REACH, "points that are drawn have no baseline");
  finish(study, c);
}

/* -- spaces that are no plain grid ------------------------------------------------- */

TEST(the_first_level_serves_where_no_baseline_is_given) {
  Study *study = study_new();
  study->factors[0].baseline = -1;
  fill(study, 8);
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 1)->b, 0);
  check_says(c, COMPARE_WORDS,
             "No baseline was given; the first level serves: activation = relu.");
  finish(study, c);
}

/* adam has no momentum: sgd is averaged over its own before they are compared. */
TEST(a_factor_of_one_level_only_is_averaged_over) {
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"optimizer", optimizers, 2, 0};
  study->factors[1] = (CompareFactor){"momentum", momenta, 2, 0};
  for (int64_t seed = 1; seed <= 8; seed++) {
    add(study, 0, 0, seed, 0.1);
    add(study, 0, 1, seed, 0.3);
    add(study, 1, -1, seed, 0.5 + 0.001 * (double)seed);
  }
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 2);
  const CompareContrast *adam = contrast(c, 0, 1), *momentum = contrast(c, 1, 1);
  assert_int_equal(adam->n_settings, 1);
  CHECK_NEAR(adam->complete.paired.mean, 0.3045, 1e-12);
  CHECK_NEAR(momentum->complete.paired.mean, 0.2, 1e-12);
  check_says(c, COMPARE_EFFECTS,
             "2 of 3 cells x 8 of 8 seeds: optimizer = sgd; momentum without -.");
  finish(study, c);
}

/* The momentum is there first and says no more than the optimizer does. */
TEST(a_level_that_follows_from_another_factor_hides_nothing) {
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"momentum", momenta, 2, 0};
  study->factors[1] = (CompareFactor){"optimizer", optimizers, 2, 0};
  for (int64_t seed = 1; seed <= 8; seed++) {
    add(study, 1, 0, seed, 0.3 + noise(0, 0, seed));
    add(study, -1, 1, seed, 0.5 + noise(1, 0, seed));
  }
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 1);
  assert_int_equal(contrast(c, 1, 1)->verdict, COMPARE_BETTER);
  check_says(c, COMPARE_CELLS, "throughout: momentum = 0.9 (where it applies)");
  check_says(c, COMPARE_VERDICTS, "Best mean: adam with");
  check_says(c, COMPARE_EFFECTS, "on all 2 cells x 8 seeds");
  finish(study, c);
}

TEST(factors_that_change_together_count_as_one) {
  Study *study = study_new();
  static const char *const rates[] = {"0.1", "0.2", "0.3"};
  study->factors[1] = (CompareFactor){"lr", rates, 3, -1};
  for (int64_t seed = 1; seed <= 8; seed++)
    for (int a = 0; a < 3; a++) add(study, a, 2 - a, seed, 0.1 * a + noise(a, 0, seed));
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 2);
  assert_int_equal(c->alias[1], 0);
  check_says(c, COMPARE_CONTRASTS, "activation+lr");
  check_says(c, COMPARE_CONTRASTS, "tanh+0.2 - relu+0.3");
  check_says(c, COMPARE_EFFECTS, "all 3 cells x 8 seeds");
  finish(study, c);
}

TEST(no_factors_no_trials_one_seed) {
  Study *study = study_new();
  Compare *c = compare(study);
  assert_int_equal(c->n_cells, 0);
  check_says(c, COMPARE_ALL, "No trial has a value of test_accuracy yet.");
  compare_free(c);
  study->spec.n_factors = 0;
  for (int64_t seed = 1; seed <= 4; seed++)
    add(study, 0, 0, seed, 0.5 + 0.01 * (double)seed);
  c = compare(study);
  assert_int_equal(c->n_cells, 1);
  check_says(c, COMPARE_VERDICTS, "test_accuracy 52.5 % (95 % CI ");
  compare_free(c);
  study->n = 0;
  study->spec.n_factors = 2;
  fill(study, 1);
  c = compare(study);
  assert_true(isnan(c->cells[0].sample.sd));
  assert_true(isnan(c->grid.effects[0].omega2) && c->grid.effects[0].eta2 > 0.5);
  check_says(c, COMPARE_VERDICTS,
             "Too few seeds to test: 3; a verdict takes at least 4, and there is 1.\n");
  finish(study, c);
}

/* -- the grid, flags --------------------------------------------------------------- */

TEST(shares_and_margins_are_those_of_the_grid) {
  Study *study = study_new();
  fill(study, 6);
  Compare *c = compare(study);
  const CompareGrid *grid = &c->grid;
  assert_true(grid->whole);
  assert_int_equal(grid->n_factors, 2);
  assert_int_equal(grid->n_effects, 6);
  assert_int_equal(grid->n_margins, 3 + 2 + 6);
  double sum = 0, mean = 0;
  for (int i = 0; i < grid->n_effects - 1; i++) sum += grid->effects[i].eta2;
  CHECK_NEAR(sum, 1, 1e-12);
  assert_true(grid->effects[0].eta2 > grid->effects[1].eta2);
  for (int64_t seed = 1; seed <= 6; seed++)
    mean += (find(study, 2, 0, seed)->value + find(study, 2, 1, seed)->value) / 12;
  CHECK_NEAR(grid->margins[2].sample.mean, mean, 1e-14);
  assert_int_equal(grid->margins[2].level_a, 2);
  CHECK_NEAR(grid->margins[5 + 3].sample.mean, c->cells[3].sample.mean, 1e-14);
  finish(study, c);
}

TEST(floors_ceilings_and_unequal_variances_are_flagged) {
  Study *study = study_new();
  fill(study, 10);
  Compare *c = compare(study);
  assert_int_equal(c->n_floor + c->n_ceiling, 0);
  assert_false(c->unequal);
  compare_free(c);
  for (int64_t seed = 1; seed <= 10; seed++) {
    find(study, 2, 0, seed)->value = seed % 3 ? 0.1 : 0.1012;
    find(study, 2, 1, seed)->value = seed % 4 ? 0.1 : 0.1008;
    find(study, 0, 1, seed)->value = 0.995;
    find(study, 1, 0, seed)->value = seed % 2 ? 0.5 : 0.9;
  }
  c = compare(study);
  assert_int_equal(c->n_floor, 2);
  assert_int_equal(c->n_ceiling, 1);
  assert_true(c->cells[4].floor && c->cells[5].floor && c->cells[1].ceiling);
  assert_true(c->unequal);
  check_says(c, COMPARE_WORDS, "Floor: 2 cells are at the bad end");
  check_says(c, COMPARE_WORDS, "Unequal variances: the sd of cells goes from ");
  check_says(c, COMPARE_CELLS, "floor");
  finish(study, c);
}

TEST(intervals_by_bootstrap_on_request) {
  Study *study = study_new();
  fill(study, 10);
  Compare *plain = compare(study);
  study->spec.bootstrap = true;
  Compare *c = compare(study), *again = compare(study);
  StatInterval a = c->cells[0].sample.interval, b = plain->cells[0].sample.interval;
  assert_true(a.low != b.low && fabs(a.low - b.low) < 0.5 * (b.high - b.low));
  assert_memory_equal(&a, &again->cells[0].sample.interval, sizeof a);
  check_says(c, COMPARE_CELLS, "by bootstrap-t");
  for (int i = 0; i < c->grid.n_margins; i++) { /* the means over others as well */
    a = c->grid.margins[i].sample.interval, b = plain->grid.margins[i].sample.interval;
    assert_true(a.low != b.low && a.low < b.high && a.high > b.low);
  }
  compare_free(plain);
  compare_free(again);
  finish(study, c);
}

/* -- errors ------------------------------------------------------------------------ */

TEST(what_does_not_fit_is_refused) {
  Study *study = study_new();
  fill(study, 3);
  add(study, 2, 1, 3, 0.5);
  check_refused(study, "trial activation=sigmoid norm=batch seed=3 is given twice");
  study->levels[study->n - 1][0] = 3;
  check_refused(study,
                "level number 3 of factor \"activation\", allowed: 0 to 2, or -1");
  study->n--;
  study->spec.rope = -1;
  check_refused(study, "rope is -1, allowed: 0 or more");
  study->spec.rope = NAN;
  check_refused(study, "rope is ");
  study->spec.rope = 0;
  study->factors[0].baseline = 3;
  check_refused(study, "baseline of factor \"activation\"");
  free(study);
}

/* -- output ------------------------------------------------------------------------ */

TEST(json_holds_the_results_and_no_nan) {
  Study *study = study_new();
  fill(study, 2);
  Compare *c = compare(study);
  Json *json = compare_json(c);
  Text text = {0};
  Fault fault = {0};
  assert_int_equal(json_write(json, 2, &text, &fault), ERR_OK);
  assert_null(strstr(text.data, "nan"));
  Json *read = json_parse(text.data, text.n_bytes, &fault);
  assert_non_null(read);
  const Json *cell = json_item(json_find(read, "cells"), 0);
  const char *level = NULL;
  double mean = 0;
  assert_true(json_find_text(json_find(cell, "levels"), "norm", &level));
  assert_string_equal(level, "batch");
  assert_true(json_find_number(cell, "mean", &mean));
  CHECK_NEAR(mean, c->cells[c->order[0]].sample.mean, 0);
  assert_int_equal(json_kind(json_find(cell, "interval")), JSON_KIND_NULL);
  assert_int_equal(json_count(json_find(read, "contrasts")), 3);
  json_free(read);
  json_free(json);
  text_deinit(&text);
  finish(study, c);
}

TEST(names_cannot_break_the_output) {
  static const char *const bad[] = {"re\x1B[2Jlu", "\xFF\xFEsw\xC2\x9Bish\n", "a\tb"};
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"acti\rvation", bad, 3, 0};
  study->spec.name = "na\x07me";
  fill(study, 8);
  find(study, 1, 1, 3)->state = COMPARE_DIVERGED;
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_ALL | COMPARE_REACH);
  check_clean(text, 80);
  free(text);
  finish(study, c);
}

/* -- any study --------------------------------------------------------------------- */

typedef struct Random {
  Stream stream;
  uint64_t word;
} Random;

static int below(Random *random, int n) {
  return (int)philox_below(random->stream, random->word++, (uint64_t)n);
}

/* Up to four factors, cells left out, levels that do not apply, trials in all
 * states. */
static Study *random_study(Random *random) {
  static const char *const names[] = {"one", "two", "three", "four"};
  Study *study = study_new();
  CompareSpec *spec = &study->spec;
  spec->n_factors = below(random, 5);
  spec->goal = below(random, 2) ? COMPARE_MAX : COMPARE_MIN;
  spec->high = below(random, 2);
  spec->rope = below(random, 3) ? 0 : 0.01;
  spec->cell_contrasts = below(random, 4) == 0;
  spec->drawn[below(random, 4)] = below(random, 8) == 0;
  spec->bootstrap = below(random, 20) == 0;
  int n_cells = 1, n_seeds = 1 + below(random, 10), full = below(random, 3);
  for (int f = 0; f < spec->n_factors; f++) {
    int n = 1 + below(random, 4);
    study->factors[f] = (CompareFactor){names[f], names, n, below(random, n + 1) - 1};
    n_cells *= n;
  }
  int mixed = below(random, 3), spread = below(random, 3);
  for (int cell = 0; cell < n_cells; cell++) {
    if (full == 0 && below(random, 3) == 0) continue;
    for (int seed = 0; seed < n_seeds && study->n < TRIALS_MAX; seed++) {
      int *levels = study->levels[study->n], rest = cell;
      for (int f = 0; f < spec->n_factors; f++) {
        levels[f] = rest % study->factors[f].n_levels;
        rest /= study->factors[f].n_levels;
      }
      if (full == 1 && spec->n_factors > 1 && levels[0] == 0) {
        if (levels[1] > 0) continue;
        levels[1] = -1;
      }
      double value = spread == 0 ? 0.5
                                 : 0.1 * below(random, 10) + 1e-3 * below(random, 9);
      CompareState state = mixed ? COMPARE_COMPLETE : (CompareState)below(random, 4);
      study->trials[study->n++] = (CompareTrial){levels, seed * 3, state, value, NULL};
    }
  }
  return study;
}

static void check_contrast(const Compare *c, const CompareContrast *contrast) {
  const CompareAnalysis *both[] = {&contrast->complete, &contrast->imputed};
  for (int i = 0; i < 2; i++) {
    const StatPaired *paired = &both[i]->paired;
    assert_true(paired->p_flip > 0 && paired->p_flip <= 1);
    if (paired->n >= STAT_TEST_MIN)
      assert_true(both[i]->p_holm >= paired->p && both[i]->p_holm <= 1);
    assert_int_equal(both[i]->verdict == COMPARE_UNTESTED, paired->n < STAT_TEST_MIN);
    assert_int_equal(isnan(both[i]->p_holm), paired->n < STAT_TEST_MIN);
    assert_true(paired->n <= c->n_seeds && both[i]->n_settings <= contrast->n_settings);
    assert_true((paired->n == 0) == (both[i]->n_settings == 0));
    if (both[i]->verdict == COMPARE_EQUIVALENT) assert_true(c->spec.rope > 0);
    if (both[i]->verdict == COMPARE_BETTER || both[i]->verdict == COMPARE_WORSE)
      assert_true(both[i]->p_holm < 0.05 && paired->n >= 4);
  }
  assert_true(2 * contrast->imputed.paired.n * contrast->imputed.n_settings >=
              contrast->complete.paired.n * contrast->complete.n_settings);
}

/* Little noise beside large effects is no floor: all cells have it. */
TEST(the_worst_cells_of_a_quiet_study_are_at_no_floor) {
  Study *study = study_new();
  for (int64_t seed = 1; seed <= 6; seed++)
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 2; b++)
        add(study, a, b, seed, 0.8 - 0.2 * a + 0.02 * noise(a, b, seed));
  Compare *c = compare(study);
  assert_int_equal(c->n_floor + c->n_ceiling, 0);
  finish(study, c);
}

/* Differences that are equal but for rounding decide no number of decimals. */
TEST(rounding_is_no_spread) {
  Study *study = study_new();
  for (int64_t seed = 1; seed <= 6; seed++)
    for (int a = 0; a < 3; a++)
      add(study, a, 0, seed, 0.8 - 0.1 * a + noise(0, 0, seed));
  Compare *c = compare(study);
  check_says(c, COMPARE_CONTRASTS, "-10.00 to -10.00");
  finish(study, c);
}

/* Equal values of an accuracy on 100 rows are no end of the scale. */
TEST(a_coarse_measure_has_no_ends_of_its_own) {
  Study *study = study_new();
  fill(study, 6);
  for (int i = 0; i < study->n; i++)
    study->trials[i].value = round(50 * study->trials[i].value) / 50;
  Compare *c = compare(study);
  assert_int_equal(c->n_floor + c->n_ceiling, 0);
  finish(study, c);
}

TEST(the_best_cell_tells_who_shares_its_mean_and_what_is_noted_of_it) {
  Study *study = study_new();
  fill(study, 2);
  for (int64_t seed = 1; seed <= 2; seed++) {
    find(study, 0, 1, seed)->value = find(study, 1, 1, seed)->value = 0.9;
    find(study, 0, 1, seed)->note = "lr=0.1";
  }
  Compare *c = compare(study);
  check_says(c, COMPARE_VERDICTS, "Best mean: relu, batch (lr=0.1) with test_accuracy");
  check_says(c, COMPARE_VERDICTS, "1 other cell has the same mean");
  check_says(c, COMPARE_CELLS, "lr=0.1");
  finish(study, c);
}

TEST(one_contrast_needs_no_correction) {
  Study *study = study_new();
  for (int64_t seed = 1; seed <= 6; seed++)
    for (int b = 0; b < 2; b++)
      add(study, 0, b, seed, 0.8 + 0.05 * b + noise(0, b, seed));
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 1);
  check_silent(c, COMPARE_ALL, "Holm");
  check_silent(c, COMPARE_EFFECTS,
               "Means over everything else"); /* the cells tell them */
  finish(study, c);
}

TEST(any_study_has_a_page) {
  Random random = {{philox_key(9, "any study", NULL), 0}, 0};
  int n = getenv("LONG") ? 20000 : 200;
  for (; random.stream.draw < (uint64_t)n; random.stream.draw++) {
    random.word = 0;
    Study *study = random_study(&random);
    Compare *c = compare(study);
    for (int i = 0; i < c->n_contrasts; i++) check_contrast(c, &c->contrasts[i]);
    assert_int_equal(c->runs.n_planned, study->n);
    int width = 50 + below(&random, 110);
    char *text = text_of(c, width, COMPARE_ALL | COMPARE_REACH);
    check_clean(text, width);
    free(text);
    Json *json = compare_json(c);
    Text bytes = {0};
    assert_int_equal(json_write(json, 0, &bytes, NULL), ERR_OK);
    text_deinit(&bytes);
    json_free(json);
    finish(study, c);
  }
}
