/* The table of what a fit measured: columns, rows, and measures after the last epoch.
 */
#include "test.h"
#include "train/history.h"

static Fault fault;

TEST(a_row_is_nan_until_it_is_set) {
  History h = {0};
  assert_int_equal(history_column(&h, "epoch", &fault), ERR_OK);
  assert_int_equal(history_column(&h, "loss", &fault), ERR_OK);
  assert_int_equal(history_column(&h, "epoch", &fault), ERR_OK);
  assert_int_equal(h.n_columns, 2);
  assert_int_equal(history_row(&h, &fault), ERR_OK);
  history_set(&h, "loss", 0.5);
  assert_true(isnan(history_get(&h, "epoch", 0)));
  assert_true(history_get(&h, "loss", 0) == 0.5);
  history_deinit(&h);
  assert_true(h.n_columns == 0 && h.n_rows == 0);
}

TEST(what_is_not_there_is_nan) {
  History h = {0};
  assert_int_equal(history_find(&h, "loss"), -1);
  assert_true(isnan(history_get(&h, "loss", 0)));
  assert_int_equal(history_column(&h, "loss", &fault), ERR_OK);
  assert_int_equal(history_row(&h, &fault), ERR_OK);
  assert_true(isnan(history_get(&h, "loss", 1)) && isnan(history_get(&h, "loss", -1)));
  assert_true(isnan(history_get(&h, "los", 0)));
  history_deinit(&h);
}

TEST(many_columns_and_rows_stay_what_they_are) {
  enum { COLUMNS = 100, ROWS = 1000 };
  History h = {0};
  char name[16];
  for (int i = 0; i < COLUMNS; i++) {
    snprintf(name, sizeof name, "m%d", i);
    assert_int_equal(history_column(&h, name, &fault), ERR_OK);
  }
  for (int r = 0; r < ROWS; r++) {
    assert_int_equal(history_row(&h, &fault), ERR_OK);
    for (int i = 0; i < COLUMNS; i++) h.column[i].v[r] = 1000.0 * i + r;
  }
  assert_int_equal(h.n_rows, ROWS);
  for (int i = 0; i < COLUMNS; i++) {
    snprintf(name, sizeof name, "m%d", i);
    for (int r = 0; r < ROWS; r += 111)
      assert_true(history_get(&h, name, r) == 1000.0 * i + r);
  }
  history_deinit(&h);
}

TEST(measures_of_the_test_set_are_beside_the_rows) {
  History h = {0};
  char name[16];
  for (int i = 0; i < 20; i++) {
    snprintf(name, sizeof name, "test_m%d", i);
    assert_int_equal(history_test(&h, name, i, &fault), ERR_OK);
  }
  assert_int_equal(h.n_test, 20);
  assert_string_equal(h.test[19].name, "test_m19");
  assert_true(h.test[0].value == 0 && h.test[19].value == 19);
  history_deinit(&h);
}
