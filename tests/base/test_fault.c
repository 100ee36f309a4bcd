/* Faults: the first one stays, words are put around it, nothing is written past its
 * end. */
#include "base/fault.h"
#include "test.h"

TEST(the_first_fault_stays) {
  Fault fault = {0};
  assert_int_equal(fault_set(&fault, ERR_SHAPE, "%dx%d", 3, 4), ERR_SHAPE);
  assert_int_equal(fault_set(&fault, ERR_MEMORY, "echo"), ERR_MEMORY);
  assert_int_equal(fault.code, ERR_SHAPE);
  assert_string_equal(fault.text, "3x4");
  fault_clear(&fault);
  assert_int_equal(fault.code, ERR_OK);
  assert_int_equal(fault_memory(&fault, 12), ERR_MEMORY);
  assert_string_equal(fault.text, "out of memory (12 bytes wanted)");
}

TEST(without_a_fault_the_code_is_returned) {
  assert_int_equal(fault_set(NULL, ERR_DATA, "not kept"), ERR_DATA);
  fault_prefix(NULL, "before");
  fault_suffix(NULL, "behind");
  Fault none = {0};
  fault_prefix(&none, "before");
  fault_suffix(&none, "behind");
  assert_int_equal(none.code, ERR_OK);
  assert_string_equal(none.text, "");
}

TEST(words_are_put_before_and_behind) {
  Fault fault = {0};
  assert_int_equal(fault_set(&fault, ERR_VALUE, "got %s", "100%"), ERR_VALUE);
  fault_prefix(&fault, "nn.%s", "Dense");
  fault_suffix(&fault, " (line %d)", 7);
  assert_string_equal(fault.text, "nn.Dense: got 100% (line 7)");
}

/* A text that ends at the last byte, one byte sooner, one byte too late. */
TEST(long_texts_are_cut_at_the_end) {
  static char text[2 * FAULT_TEXT];
  for (int n = FAULT_TEXT - 2; n <= FAULT_TEXT + 1; n++) {
    struct {
      Fault fault;
      char guard[8];
    } it = {.guard = "guarded"};
    memset(text, 'x', sizeof text);
    text[n] = 0;
    assert_int_equal(fault_set(&it.fault, ERR_DATA, "%s", text), ERR_DATA);
    size_t want = n < FAULT_TEXT ? (size_t)n : FAULT_TEXT - 1;
    assert_int_equal(strlen(it.fault.text), want);
    fault_suffix(&it.fault, "%s", text);
    assert_int_equal(strlen(it.fault.text), FAULT_TEXT - 1);
    fault_prefix(&it.fault, "file");
    assert_int_equal(strncmp(it.fault.text, "file: xxx", 9), 0);
    assert_int_equal(strlen(it.fault.text), FAULT_TEXT - 1);
    fault_prefix(&it.fault, "%s", text);
    assert_int_equal(it.fault.text[FAULT_TEXT - 1], 0);
    assert_string_equal(it.guard, "guarded");
  }
}

TEST(all_that_is_known_is_passed_on) {
  Fault from = {.place = {.step = 12, .layer = "dense_1"}, .located = true}, to = {0};
  assert_int_equal(fault_set(&from, ERR_NONFINITE, "NaN"), ERR_NONFINITE);
  assert_int_equal(fault_pass(&to, &from), ERR_NONFINITE);
  assert_string_equal(to.text, "NaN");
  assert_int_equal(to.place.step, 12);
  assert_string_equal(to.place.layer, "dense_1");
  assert_true(to.located);
  Fault other = {0};
  assert_int_equal(fault_set(&other, ERR_DATA, "first"), ERR_DATA);
  assert_int_equal(fault_pass(&other, &from), ERR_NONFINITE);
  assert_string_equal(other.text, "first");
  fault_clear(&to);
  assert_int_equal(to.place.step, 0);
  assert_false(to.located);
}

/* As README.md says: 1 for most, 2 usage, 3 interrupted, 4 storage. */
TEST(exit_statuses) {
  assert_int_equal(err_exit_status(ERR_OK), 0);
  assert_int_equal(err_exit_status(ERR_SCRIPT), 1);
  assert_int_equal(err_exit_status(ERR_USAGE), 2);
  assert_int_equal(err_exit_status(ERR_INTERRUPT), 3);
  assert_int_equal(err_exit_status(ERR_STORAGE), 4);
}
