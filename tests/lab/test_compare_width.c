/* Comparisons on narrow terminals and in files: nothing is wider than asked for, and
 * nothing that a reader needs is left out. */
#include "base/out.h"
#include "lab/compare_study.h"

/* One of four factors changes at a time; levels and factors have long names. */
static Study *wide_ablation(int n_seeds) {
  static const char *const inits[] = {"he_normal", "glorot_uniform", "orthogonal"};
  static const char *const rates[] = {"0.001", "0.0003"};
  static const char *const schedules[] = {"constant", "cosine_with_warmup"};
  Study *study = study_new();
  study->factors[1] = (CompareFactor){"initializer", inits, 3, 0};
  study->factors[2] = (CompareFactor){"learning_rate", rates, 2, 0};
  study->factors[3] = (CompareFactor){"schedule", schedules, 2, 0};
  study->spec.n_factors = 4;
  for (int64_t seed = 1; seed <= n_seeds; seed++)
    for (int f = -1; f < 4; f++) {
      CompareTrial *trial = add(study, f == 0, f == 1, seed,
                                0.8 - 0.01 * f + noise(f + 1, 0, seed));
      study->levels[trial - study->trials][2] = f == 2;
      study->levels[trial - study->trials][3] = f == 3;
    }
  return study;
}

static void check_width(const Compare *c, int width) {
  char *text = text_of(c, width, COMPARE_ALL | COMPARE_REACH);
  check_clean(text, width);
  free(text);
}

TEST(no_line_is_wider_than_a_narrow_terminal) {
  Study *study = wide_ablation(8);
  study->trials[0].state = COMPARE_DIVERGED;
  study->trials[6].state = COMPARE_FAILED;
  study->trials[12].state = COMPARE_MISSING;
  study->spec.cell_contrasts = true;
  Compare *c = compare(study);
  for (int width = 50; width <= 140; width++) check_width(c, width);
  char *text = text_of(c, 60, COMPARE_CELLS);
  assert_non_null(strstr(text, "  cell "));
  assert_non_null(strstr(text, "learning_rate=0.0003"));
  free(text);
  text = text_of(c, 140, COMPARE_CELLS);
  assert_non_null(strstr(text, "  activation  initializer "));
  free(text);
  finish(study, c);
}

TEST(what_seeds_find_fits_at_any_size) {
  Study *study = wide_ablation(7);
  study->spec.high = 0;
  for (int64_t i = 0; i < study->n; i++) study->trials[i].value *= 1e13;
  Compare *c = compare(study);
  for (int width = 50; width <= 140; width++) {
    char *text = text_of(c, width, COMPARE_REACH);
    check_clean(text, width);
    assert_non_null(strstr(text, " 7")); /* the planned number */
    free(text);
  }
  finish(study, c);
}

/* Ten columns of means beside the names have no room side by side. */
TEST(a_wide_matrix_goes_on_below) {
  static const char *const names[] = {"level_a", "level_b", "level_c", "level_d",
                                      "level_e",
                                      "level_f", "level_g", "level_h", "level_i",
                                      "level_j"};
  Study *study = study_new();
  study->factors[1] = (CompareFactor){"setting", names, 10, 0};
  for (int64_t seed = 1; seed <= 6; seed++)
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 10; b++)
        add(study, a, b, seed, 0.5 + 0.02 * a * b + noise(a, b, seed));
  Compare *c = compare(study);
  check_width(c, 60);
  check_says(c, COMPARE_EFFECTS,
             "level_a  level_b  level_c  level_d  level_e  level_f  level_g "
             " level_h  level_i  level_j\n");
  char *text = text_of(c, 60, COMPARE_EFFECTS);
  const char *last = strstr(text, "  level_i  level_j\n");
  assert_true(last && strstr(last, "  sigmoid "));
  free(text);
  finish(study, c);
}

/* On 80 columns too, and rather than numbers that can be done without. */
TEST(what_a_verdict_was_made_from_is_never_left_out) {
  Study *study = study_new();
  fill(study, 8);
  find(study, 1, 0, 4)->state = COMPARE_DIVERGED;
  find(study, 1, 1, 5)->state = COMPARE_DIVERGED;
  for (int64_t seed = 1; seed <= 3; seed++)
    find(study, 2, 1, seed)->state = COMPARE_MISSING;
  Compare *c = compare(study);
  char *text = text_of(c, 80, COMPARE_CONTRASTS);
  assert_non_null(strstr(text, "  worse (typical\n"));
  assert_non_null(strstr(text, "  better (typical\n"));
  assert_non_null(strstr(text, "  runs, 6/8\n"));
  assert_non_null(strstr(text, "  seeds, 2/3\n"));
  assert_non_null(strstr(text, "  settings)\n"));
  assert_null(strstr(text, "d_z"));
  free(text);
  text = text_of(c, 60, COMPARE_CONTRASTS);
  assert_non_null(strstr(text, "6/8\n"));
  assert_non_null(strstr(text, "  settings)\n"));
  free(text);
  check_says(c, COMPARE_CONTRASTS, "  worse (typical runs, 6/8 seeds)\n");
  check_says(c, COMPARE_CONTRASTS, "  worse (5/8 seeds)\n");
  check_says(c, COMPARE_CONTRASTS,
             "  better (typical runs, 6/8 seeds, 2/3 settings)\n");
  check_says(c, COMPARE_CONTRASTS, "d_z");
  finish(study, c);
}

/* `runner compare NAME > file`: whole tables, and sentences that can be read. */
TEST(a_file_takes_whole_tables_and_short_sentences) {
  unsetenv("COLUMNS");
  Study *study = wide_ablation(8);
  study->spec.cell_contrasts = true;
  Compare *c = compare(study);
  char *text = text_of(c, OUT_NO_LIMIT, COMPARE_CONTRASTS);
  assert_non_null(strstr(text, "95 % of won"));
  free(text);
  text = text_of(c, OUT_NO_LIMIT, COMPARE_VERDICTS | COMPARE_WORDS | COMPARE_REACH);
  check_clean(text, 80);
  free(text);
  finish(study, c);
}
