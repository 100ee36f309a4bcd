/* What names of measures tell. */
#include "lab/measure.h"
#include "test.h"

TEST(the_goal_follows_from_a_word) {
  assert_int_equal(measure_goal("val_accuracy"), MEASURE_MAX);
  assert_int_equal(measure_goal("layer2_loss"), MEASURE_MIN);
  assert_int_equal(measure_goal("Test F1"), MEASURE_MAX);
  assert_int_equal(measure_goal("error"), MEASURE_MIN);
}

TEST(nothing_follows_from_other_words_or_from_two_that_disagree) {
  assert_int_equal(measure_goal(""), MEASURE_UNKNOWN);
  assert_int_equal(measure_goal("cost"), MEASURE_UNKNOWN);
  assert_int_equal(measure_goal("glossary"), MEASURE_UNKNOWN);
  assert_int_equal(measure_goal("diff1"), MEASURE_UNKNOWN);
  assert_int_equal(measure_goal("accuracy_loss"), MEASURE_UNKNOWN);
}

TEST(shares_are_named_by_whole_words_too) {
  assert_true(measure_is_share("val_accuracy") && measure_is_share("f1") &&
              measure_is_share("test.AUC"));
  assert_false(measure_is_share("diff1") || measure_is_share("saucer") ||
               measure_is_share("score") || measure_is_share(""));
}
