/* What is said beside the numbers: what lacks, what was done about it, what is no
 * result. */
#include "lab/compare_study.h"

TEST(what_is_used_where_trials_lack_is_named_whatever_they_lack_for) {
  static const CompareState states[] = {COMPARE_MISSING, COMPARE_FAILED,
                                        COMPARE_DIVERGED};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    Study *study = study_new();
    fill(study, 8);
    find(study, 1, 1, 5)->state = states[i];
    Compare *c = compare(study);
    check_says(c, COMPARE_WORDS,
               "2 of 3 contrasts lack trials. Such a contrast uses the largest "
               "complete block of settings and seeds, or a smaller one, of at least "
               "half its size, that has seeds enough for a "
               "verdict.");
    finish(study, c);
  }
}

TEST(a_contrast_without_any_trial_lacks_trials_too) {
  Study *study = study_new();
  fill(study, 8);
  for (int64_t seed = 1; seed <= 8; seed++)
    for (int b = 0; b < 2; b++) find(study, 2, b, seed)->state = COMPARE_MISSING;
  Compare *c = compare(study);
  assert_int_equal(contrast(c, 0, 2)->complete.paired.n, 0);
  check_says(c, COMPARE_WORDS, "2 of 3 contrasts lack trials. Such a contrast uses");
  compare_free(c);
  study->spec.n_factors = 1; /* one cell has values: there is no block to use */
  study->n = 0;
  for (int64_t seed = 1; seed <= 8; seed++) {
    add(study, 0, 0, seed, 0.8 + noise(0, 0, seed));
    add(study, 2, 0, seed, 0)->state = COMPARE_MISSING;
  }
  c = compare(study);
  check_says(c, COMPARE_WORDS, "1 of 1 contrast lacks trials.\n");
  finish(study, c);
}

TEST(a_complete_study_lacks_nothing) {
  Study *study = study_new();
  fill(study, 8);
  Compare *c = compare(study);
  check_silent(c, COMPARE_WORDS, "lack");
  finish(study, c);
}

/* -- differences without spread ---------------------------------------------------- */

/* The same difference in each seed, but for what rounding leaves of large values. */
TEST(a_constant_difference_has_no_spread) {
  static const double sizes[] = {0.8, 1000.3, 123456.7};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    Study *study = study_new();
    study->spec.high = 0;
    study->spec.n_factors = 1;
    for (int64_t seed = 1; seed <= 8; seed++)
      for (int a = 0; a < 3; a++)
        add(study, a, 0, seed, sizes[i] * (double)seed - 0.001 * a);
    Compare *c = compare(study);
    const CompareAnalysis *tanh = &contrast(c, 0, 1)->complete;
    CHECK_NEAR(tanh->paired.mean, -0.001, 1e-9);
    CHECK_NEAR(tanh->paired.sd, 0, 0);
    assert_true(tanh->paired.d_z == -INFINITY && tanh->paired.t == -INFINITY);
    CHECK_NEAR(tanh->paired.p_t, 0, 0);
    CHECK_NEAR(tanh->paired.interval.low, tanh->paired.interval.high, 0);
    assert_int_equal(tanh->verdict, COMPARE_WORSE);
    check_says(c, COMPARE_CONTRASTS, "  -inf  ");
    Json *json = compare_json(c);
    double d_z = 0;
    const Json *first = json_item(json_find(json, "contrasts"), 0);
    assert_true(json_find_number(json_find(first, "complete"), "d_z", &d_z));
    assert_true(d_z == -INFINITY);
    json_free(json);
    finish(study, c);
  }
}

/* What is taken for rounding is so for shares of variance and for contrasts. */
TEST(what_contrasts_tell_apart_varies) {
  for (int exponent = 10; exponent <= 16; exponent++) {
    Study *study = study_new();
    study->spec.n_factors = 1;
    for (int64_t seed = 1; seed <= 8; seed++)
      for (int a = 0; a < 3; a++) add(study, a, 0, seed, 0.5 + a * pow(10, -exponent));
    Compare *c = compare(study);
    bool varies = c->grid.n_effects > 0 && !isnan(c->grid.effects[0].eta2);
    assert_int_equal(contrast(c, 0, 2)->verdict == COMPARE_BETTER, varies);
    assert_int_equal(varies, exponent <= 14);
    finish(study, c);
  }
}

/* -- intervals at the end of the range --------------------------------------------- */

TEST(intervals_end_with_the_range_and_say_so) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  static const double high[] = {0.2, 0.9, 1}, low[] = {0, 0.01, 0.3};
  for (int64_t seed = 1; seed <= 3; seed++) {
    add(study, 0, 0, seed, high[seed - 1]);
    add(study, 1, 0, seed, low[seed - 1]);
    add(study, 2, 0, seed, 0.5 + 0.01 * (double)seed);
  }
  Compare *c = compare(study);
  check_says(c, COMPARE_CELLS, " to 100.0 (cut)");
  check_says(c, COMPARE_CELLS, "  0.0 to ");
  char *text = text_of(c, 100, COMPARE_ALL);
  for (char *at = text; (at = strstr(at, " to ")); at++) {
    double end = strtod(at + 4, NULL);
    assert_true(end <= 200);
  }
  free(text);
  compare_free(c);
  study->spec.low = study->spec.high = 0; /* nothing is known of the range */
  c = compare(study);
  check_silent(c, COMPARE_CELLS, "(cut)");
  finish(study, c);
}

TEST(a_study_without_any_value_is_one_line) {
  Study *study = study_new();
  fill(study, 2);
  for (int i = 0; i < study->n; i++)
    study->trials[i].state = i % 2 ? COMPARE_FAILED : COMPARE_MISSING;
  Compare *c = compare(study);
  char *text = text_of(c, 100, COMPARE_ALL);
  assert_string_equal(text,
                      "study: 0 of 12 trials complete, 6 failed, 6 without a result\n"
                      "No trial has a value of test_accuracy yet.\n");
  free(text);
  compare_free(c);
  for (int i = 0; i < study->n; i++) study->trials[i].state = COMPARE_FAILED;
  c = compare(study);
  check_says(c, COMPARE_ALL, "No trial has a value of test_accuracy: all failed.\n");
  finish(study, c);
}

/* -- decimals ---------------------------------------------------------------------- */

/* Two levels of one factor around `value`, 8 seeds. */
static Study *around(double value, double difference, double spread) {
  Study *study = study_new();
  study->spec.n_factors = 1;
  study->spec.high = 0;
  for (int64_t seed = 1; seed <= 8; seed++)
    for (int a = 0; a < 2; a++)
      add(study, a, 0, seed, value + a * difference + 100 * spread * noise(a, 0, seed));
  return study;
}

TEST(large_values_keep_a_small_spread) {
  Study *study = around(1e6, 0.4, 0.2);
  Compare *c = compare(study);
  char want[80], text[40];
  const CompareCell *best = &c->cells[c->order[0]];
  snprintf(want, sizeof want, "  %.2f  ", best->sample.mean);
  check_says(c, COMPARE_CELLS, want);
  snprintf(want, sizeof want, "  %.2f  ", best->sample.sd);
  check_says(c, COMPARE_CELLS, want);
  compare_free(c);
  free(study);
  study = around(1e6, 0.004, 0.0002);
  for (int i = 0; i < study->n; i++) /* seeds differ, more than levels do */
    study->trials[i].value += (double)study->trials[i].seed;
  c = compare(study);
  const StatPaired *paired = &contrast(c, 0, 1)->complete.paired;
  snprintf(text, sizeof text, "%.5f to %.5f", paired->interval.low,
           paired->interval.high);
  check_says(c, COMPARE_CONTRASTS, text);
  finish(study, c);
}

TEST(a_constant_difference_is_not_shown_as_none) {
  Study *study = around(1e6, 0.25, 0);
  Compare *c = compare(study);
  check_says(c, COMPARE_CONTRASTS, "  +0.25   0.25 to 0.25  ");
  finish(study, c);
}

TEST(the_smallest_spread_of_cells_keeps_two_digits) {
  Study *study = study_new();
  fill(study, 8);
  for (int64_t seed = 1; seed <= 8; seed++) {
    CompareTrial *trial = find(study, 2, 0, seed);
    trial->value = 0.6 + 0.01 * (trial->value - 0.6);
  }
  Compare *c = compare(study);
  char want[80];
  const CompareCell *cell = &c->cells[c->order[c->n_cells - 1]];
  assert_true(cell->sample.sd < 1e-4 && cell->sample.sd > 1e-5);
  snprintf(want, sizeof want, "  %.4f  ", 100 * cell->sample.sd);
  check_says(c, COMPARE_CELLS, want);
  finish(study, c);
}

/* -- the best cell ----------------------------------------------------------------- */

TEST(one_cell_with_a_value_was_not_picked) {
  Study *study = study_new();
  fill(study, 3);
  for (int i = 0; i < study->n; i++)
    if (study->levels[i][0] != 1 || study->levels[i][1] != 0)
      study->trials[i].state = i % 2 ? COMPARE_MISSING : COMPARE_FAILED;
  Compare *c = compare(study);
  check_says(c, COMPARE_VERDICTS, "Only one cell has a value: tanh, norm=none with");
  check_silent(c, COMPARE_ALL, "picked");
  compare_free(c);
  for (int i = 0; i < study->n; i++)
    if (study->levels[i][0] == 0) study->trials[i].state = COMPARE_DIVERGED;
  c = compare(study);
  check_says(c, COMPARE_VERDICTS, "Only one cell has a value: tanh, norm=none with");
  check_silent(c, COMPARE_ALL, "same mean");
  compare_free(c);
  find(study, 2, 1, 1)->state = COMPARE_COMPLETE;
  c = compare(study);
  check_says(c, COMPARE_VERDICTS, "It was picked as the best of 2,");
  finish(study, c);
}

/* One trial of the best level is left: the mean of the complete ones would come
 * first. */
TEST(the_table_begins_with_the_cell_that_is_called_best) {
  Study *study = study_new();
  fill(study, 6);
  for (int64_t seed = 2; seed <= 6; seed++)
    find(study, 0, 1, seed)->state = COMPARE_DIVERGED;
  Compare *c = compare(study);
  const CompareCell *first = &c->cells[c->order[0]];
  assert_int_equal(first->levels[0], 1);
  assert_int_equal(first->levels[1], 1);
  check_says(c, COMPARE_VERDICTS, "Best mean: tanh, batch with");
  check_says(c, COMPARE_CELLS, "; sorted with diverged trials as the worst value");
  finish(study, c);
}

/* -- levels that two factors have -------------------------------------------------- */

TEST(a_level_that_two_factors_have_is_named_with_its_factor) {
  static const char *const sizes[] = {"small", "large"}, *const coders[] = {"small",
                                                                            "large"};
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"encoder", sizes, 2, 0};
  study->factors[1] = (CompareFactor){"decoder", coders, 2, 0};
  for (int64_t seed = 1; seed <= 8; seed++)
    for (int a = 0; a < 2; a++)
      for (int b = 0; b < 2; b++)
        add(study, a, b, seed, 0.7 + 0.05 * b - 0.03 * a + noise(a, b, seed));
  study->spec.cell_contrasts = true;
  Compare *c = compare(study);
  check_says(c, COMPARE_VERDICTS, "Best mean: encoder=small, decoder=large with");
  check_says(c, COMPARE_CONTRASTS, "  encoder=large - small  ");
  check_says(c, COMPARE_CONTRASTS, "  decoder=large - small  ");
  check_says(c, COMPARE_CONTRASTS, "  decoder=small: encoder=large - encoder=small  ");
  check_says(c, COMPARE_VERDICTS,
             "encoder: small beats large by"); /* the factor is written there */
  finish(study, c);
}

/* -- the rope of another metric ---------------------------------------------------- */

TEST(a_rope_of_another_metric_is_named_and_not_applied) {
  Study *study = study_new();
  fill(study, 8);
  for (int64_t seed = 1; seed <= 8; seed++)
    for (int b = 0; b < 2; b++)
      find(study, 1, b, seed)->value = find(study, 0, b, seed)->value +
                                       noise(3, b, seed);
  Compare *c = compare(study);
  check_says(c, COMPARE_WORDS, "say with rope = how small");
  compare_free(c);
  study->spec.rope_of = "val_loss";
  c = compare(study);
  check_silent(c, COMPARE_WORDS, "say with rope =");
  check_says(c, COMPARE_WORDS,
             "The script's rope is one of val_loss: to test_accuracy it was not "
             "applied.");
  finish(study, c);
}

/* -- many cells -------------------------------------------------------------------- */

TEST(cells_that_are_not_shown_can_be_listed) {
  static const char *const levels[] = {"a", "b", "c", "d", "e", "f", "g"};
  Study *study = study_new();
  study->factors[0] = (CompareFactor){"first", levels, 7, 0};
  study->factors[1] = (CompareFactor){"second", levels, 7, 0};
  for (int a = 0; a < 7; a++)
    for (int b = 0; b < 7; b++) add(study, a, b, 1, 0.01 * (10 * a + b));
  Compare *c = compare(study);
  check_says(c, COMPARE_CELLS, "and 9 more, the last: first=a, second=a 0.0\n");
  compare_free(c);
  study->spec.listing = "runner ls study --cells";
  c = compare(study);
  check_says(c, COMPARE_CELLS,
             "and 9 more, the last: first=a, second=a 0.0; `runner ls study --cells` "
             "lists all\n");
  compare_free(c);
  for (int b = 0; b < 7; b++) find(study, 0, b, 1)->state = COMPARE_MISSING;
  c = compare(study);
  check_says(c, COMPARE_CELLS,
             "and 9 more, the last: first=a, second=g without a value; `runner");
  finish(study, c);
}
