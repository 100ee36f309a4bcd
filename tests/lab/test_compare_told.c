/* What is told beside the numbers: what lacks, what was done about it, what is no result. */
#include "lab/compare_study.h"

TEST(what_is_used_where_trials_lack_is_told_whatever_they_lack_for) {
  static const CompareState states[] = {COMPARE_MISSING, COMPARE_FAILED, COMPARE_DIVERGED};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    Study *study = study_new();
    fill(study, 8);
    find(study, 1, 1, 5)->state = states[i];
    Compare *c = compare(study);
    check_says(c, COMPARE_WORDS, "2 of 3 contrasts lack trials. Such a contrast uses the "
                                 "largest complete block of settings and seeds, or a smaller "
                                 "one, of at least half its size, that has seeds enough for "
                                 "significance.");
    finish(study, c);
  }
}

TEST(a_complete_study_lacks_nothing) {
  Study *study = study_new();
  fill(study, 8);
  Compare *c = compare(study);
  check_silent(c, COMPARE_WORDS, "lack");
  finish(study, c);
}
