/* Values of the user's language: each kind has words, and a function its owners. */
#include "base/value.h"
#include "test.h"

static const RefType set_type = {.name = "data set"};

TEST(each_kind_has_words) {
  char buffer[64];
  for (int kind = 0; kind <= VALUE_MANY; kind++) {
    Value value = {.kind = (ValueKind)kind};
    if (kind == VALUE_REF) value.ref_type = &set_type;
    if (kind == VALUE_OTHER) value.as.text = "thread";
    if (kind == VALUE_MANY) value.as.integer = 5000000000;
    const char *words = value_text(&value, buffer, sizeof buffer);
    assert_non_null(words);
    assert_true(strlen(words) > 3);
  }
}

TEST(what_the_words_are) {
  char buffer[64];
  Value ref = {.kind = VALUE_REF, .ref_type = &set_type};
  Value other = {.kind = VALUE_OTHER, .as.text = "thread"};
  Value many = {.kind = VALUE_MANY, .as.integer = 5000000000};
  assert_string_equal(value_text(&ref, buffer, sizeof buffer), "a data set");
  assert_string_equal(value_text(&other, buffer, sizeof buffer), "a thread");
  assert_string_equal(value_text(&many, buffer, sizeof buffer), "5000000000 values");
  assert_string_equal(value_text(&many, buffer, 5), "5000"); /* cut, and terminated */
}

static int n_freed;
static void note_free(Callable *self) {
  (void)self;
  n_freed++;
}

TEST(a_function_is_freed_by_its_last_owner) {
  Callable f = {.refs = 1, .free = note_free};
  assert_ptr_equal(callable_retain(&f), &f);
  callable_release(&f);
  assert_int_equal(n_freed, 0);
  callable_release(&f);
  assert_int_equal(n_freed, 1);
  assert_null(callable_retain(NULL));
  callable_release(NULL);
}
