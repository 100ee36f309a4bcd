/* Names of levels and measures. */
#include "base/text.h"
#include "test.h"
#include <string.h>

static bool is_name(const char *text) { return text_is_name(text, strlen(text)); }

TEST(names_are_of_utf8_and_of_signs_that_filters_leave) {
  assert_true(is_name("val_accuracy"));
  assert_true(is_name("0.001"));
  assert_true(is_name("größe"));
  assert_true(is_name("(a+b)/c"));
  assert_true(is_name("\xe2\x82\xac"));
  static const char *const none[] = {"", " ", "a b", "a\tb", "a\nb", "a=b", "a,b", "a<", ">a", "!",
                                     "\xff", "caf\xe9", "\xc0\xaf", "\xed\xa0\x80", "\x7f",
                                     "\xc2\x9b" "31m", "\x1b[0m"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (is_name(none[i])) fail_msg("\"%s\" is a name", none[i]);
  assert_false(text_is_name("a\0b", 3));
  assert_false(text_is_name("\xe2\x82\xac", 2));
}
