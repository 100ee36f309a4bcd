/* Which contrasts a study has, and how many Holm's adjustment counts. */
#include "lab/compare_study.h"

/* One at a time: relu and none is the base, and each other cell differs in one
 * factor. */
static Study *ablation(int n_seeds) {
  Study *study = study_new();
  for (int64_t seed = 1; seed <= n_seeds; seed++) {
    for (int a = 0; a < 3; a++)
      add(study, a, 0, seed, 0.8 - 0.1 * a + noise(a, 0, seed));
    add(study, 0, 1, seed, 0.85 + noise(0, 1, seed));
  }
  return study;
}

/* The base against each cell is what its levels are compared by already. */
TEST(cells_of_an_ablation_are_compared_once) {
  Study *study = ablation(8);
  Compare *plain = compare(study);
  study->spec.cell_contrasts = true;
  Compare *c = compare(study);
  assert_int_equal(plain->n_contrasts, 3);
  assert_int_equal(c->n_contrasts, 3);
  for (int i = 0; i < 3; i++) {
    assert_true(c->contrasts[i].factor >= 0);
    CHECK_NEAR(c->contrasts[i].complete.p_holm, plain->contrasts[i].complete.p_holm, 0);
  }
  check_says(c, COMPARE_CONTRASTS, "Holm over 3");
  compare_free(plain);
  finish(study, c);
}

TEST(pairs_are_compared_once_whichever_way_round_they_are_asked) {
  Study *study = ablation(8);
  int base[] = {0, 0}, tanh[] = {1, 0}, sigmoid[] = {2, 0}, batch[] = {0, 1};
  ComparePair pairs[] = {{sigmoid, tanh}, {tanh, sigmoid}, {sigmoid, tanh},
                         {base, batch},
                         {batch, tanh}};
  study->spec.pairs = pairs;
  study->spec.n_pairs = 5;
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 3 + 2);
  const CompareContrast *first = &c->contrasts[3], *second = &c->contrasts[4];
  assert_int_equal(c->cells[first->a].levels[0], 2); /* as it was asked first */
  assert_int_equal(c->cells[first->b].levels[0], 1);
  assert_int_equal(c->cells[second->a].levels[1], 1);
  assert_int_equal(c->cells[second->b].levels[0], 1);
  assert_int_equal(c->n_contrasts, 5);
  finish(study, c);
}

/* In a grid a level is a mean over settings: no cell says the same. */
TEST(cells_of_a_grid_are_contrasts_of_their_own) {
  Study *study = study_new();
  fill(study, 8);
  study->spec.cell_contrasts = true;
  Compare *c = compare(study);
  assert_int_equal(c->n_contrasts, 3 + 5);
  finish(study, c);
}
