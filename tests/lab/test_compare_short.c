/* The page that a run ends with: what is decided, the cells drawn, what is open; no
 * table of tests and no shares of variance. */
#include "base/out.h"
#include "lab/compare_study.h"

static const char *at_of(const char *text, const char *part) {
  const char *at = strstr(text, part);
  if (!at) fail_msg("\"%s\" is not in:\n%s", part, text);
  return at;
}

/* Column of the o of an interval that is drawn in the first line; 0: there is none. */
static int middle_of(const char *line) {
  for (int i = 1; line[i] && line[i] != '\n'; i++)
    if (line[i] == 'o' && (strchr("|-", line[i - 1]) || strchr("|-", line[i + 1])))
      return i;
  return 0;
}

/* tanh and relu hardly differ, sigmoid is far below; batch is better. */
static Study *mixed(int n_seeds) {
  Study *study = study_new();
  for (int64_t seed = 1; seed <= n_seeds; seed++)
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 2; b++)
        add(study, a, b, seed, 0.8 - (a == 2 ? 0.2 : 0) + 0.05 * b + noise(a, b, seed));
  return study;
}

TEST(what_is_decided_comes_first_then_cells_then_what_is_open) {
  Study *study = mixed(5);
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_SHORT);
  assert_true(strncmp(text, "Decided: 2 of 3 contrasts of test_accuracy", 42) == 0);
  const char *best = at_of(text, "\nBest mean: "),
             *cells = at_of(text, "\n  activation  norm ");
  const char *open = at_of(text, "\nUndecided: 1,"), *seeds = at_of(open, "seeds\n");
  assert_true(best < cells && cells < open && open < seeds);
  assert_true(middle_of(at_of(cells, "\n  relu ")) > 0);
  at_of(cells, "  baseline\n");
  static const char *const longer[] = {"eta^2", "p flip", "median",
                                       "Brown", "  sd",   "won"};
  for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
    assert_null(strstr(text, longer[i]));
  free(text);
  finish(study, c);
}

/* An interval on the scale of all: the best cell's is the last on the right. */
TEST(intervals_of_cells_share_a_scale) {
  Study *study = mixed(5);
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_SHORT);
  const char *cells = at_of(text, "\n  activation  norm ");
  int first = -1, last = -1;
  for (const char *line = cells + 1; *line && *line != '\n';
       line += strcspn(line, "\n") + 1) {
    int at = middle_of(line);
    if (at && first < 0) first = at;
    if (at) last = at;
  }
  assert_true(first > last && last > 0);
  free(text);
  finish(study, c);
}

TEST(the_short_page_fits_any_terminal) {
  Study *study = mixed(6);
  study->trials[3].state = COMPARE_DIVERGED;
  study->trials[8].state = COMPARE_FAILED;
  study->trials[17].state = COMPARE_MISSING;
  Compare *c = compare(study);
  for (int width = 50; width <= 140; width++) {
    char *text = text_of(c, width, COMPARE_SHORT);
    check_clean(text, width);
    at_of(text, "Diverged: 1 trial of ");
    at_of(text, "Incomplete: 2 of 36 trials");
    free(text);
  }
  char *text = text_of(c, OUT_NO_LIMIT, COMPARE_SHORT);
  at_of(text, "  n "); /* cells differ in it */
  at_of(text, "1 diverged\n");
  free(text);
  finish(study, c);
}

/* One seed: a mean is all there is. */
TEST(a_single_seed_is_a_dot) {
  Study *study = mixed(1);
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_SHORT);
  const char *cells = at_of(text, "\n  activation  norm ");
  at_of(cells, " o\n");
  assert_null(strstr(cells, "|"));
  free(text);
  finish(study, c);
}

TEST(a_study_without_results_has_no_cells) {
  Study *study = mixed(2);
  for (int i = 0; i < study->n; i++) study->trials[i].state = COMPARE_MISSING;
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_SHORT);
  assert_string_equal(text, "study: 0 of 12 trials complete, 12 without a result\n"
                            "No trial has a value of test_accuracy yet.\n");
  free(text);
  finish(study, c);
}
