/* Texts: names of levels and measures, numbers for people. */
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
  static const char *const none[] = {"", " ", "a b", "a\tb", "a\nb", "a=b", "a,b", "a<",
                                     ">a", "!",
                                     "\xff", "caf\xe9", "\xc0\xaf", "\xed\xa0\x80",
                                     "\x7f",
                                     ("\xc2\x9b" "31m"), "\x1b[0m"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (is_name(none[i])) fail_msg("\"%s\" is a name", none[i]);
  assert_false(text_is_name("a\0b", 3));
  assert_false(text_is_name("\xe2\x82\xac", 2));
}

TEST(the_nearest_name_has_something_in_common) {
  static const char *const names[] = {"_", "x", "net", "ls"};
  enum { N = sizeof names / sizeof *names };
  assert_null(text_nearest("h", names, N));
  assert_null(text_nearest("rm", names, N));
  assert_null(text_nearest("", names, N));
  assert_string_equal(text_nearest("X", names, N), "x");
  assert_string_equal(text_nearest("ner", names, N), "net");
  assert_string_equal(text_nearest("lss", names, N), "ls");
}

static void assert_measure(double value, const char *wanted) {
  char buffer[32];
  assert_string_equal(text_measure(buffer, value), wanted);
}

/* The fewest digits that give the same number when they are read. */
TEST(numbers_are_as_short_as_they_come_back) {
  const struct { double value; const char *text; } cases[] = {
      {0, "0"}, {-0.5, "-0.5"}, {0.1, "0.1"}, {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"}, {(double)0.1f, "0.10000000149011612"},
      {1e5, "100000"}, {1e22, "1e+22"}, {123456789, "123456789"},
      {1.7976931348623157e308, "1.7976931348623157e+308"}, {5e-324, "5e-324"},
      {2.5e-310, "2.5e-310"}, {-INFINITY, "-inf"}, {NAN, "nan"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char buffer[40];
    assert_string_equal(text_number(buffer, cases[i].value), cases[i].text);
  }
}

TEST(measures_keep_four_digits_and_stay_short) {
  assert_measure(0, "0.0000");
  assert_measure(0.69314718, "0.6931");
  assert_measure(-1.25, "-1.2500");
  assert_measure(99999.4, "99999.4000");
  assert_measure(123456, "1.235e+05");
  assert_measure(21051921916932724479963955200.0, "2.105e+28");
  assert_measure(-1e300, "-1e+300");
  assert_measure(0.00005, "0.0001");
  assert_measure(0.0000321, "3.21e-05");
  assert_measure(NAN, "nan");
  assert_measure(-NAN, "nan");
  assert_measure(INFINITY, "inf");
  assert_measure(-INFINITY, "-inf");
}

TEST(control_characters_are_never_printed) {
  Text out = {0};
  text_add_clean(&out, "a\x1B[31m\tb\n\x7F\xC2\x9B\xFF\xE2\x82\xAC\xE2\x82");
  assert_string_equal(out.data, "a?[31m?b?\?\?\?\?\xE2\x82\xAC?\?");
  text_deinit(&out);
}

TEST(words_are_wrapped) {
  Text out = {0};
  text_add_wrapped(&out, "one two p" NO_BREAK "=" NO_BREAK "1  three", 0, 2, 10);
  assert_string_equal(out.data, "one two\n  p = 1\n  three\n");
  text_deinit(&out);
  text_add_wrapped(&out, "averyverylongword x", 4, 2, 8);
  assert_string_equal(out.data, "averyverylongword\n  x\n");
  text_deinit(&out);
}

TEST(ends_of_texts) {
  assert_true(text_ends_with("a.csv", ".csv"));
  assert_true(text_ends_with(".csv", ".csv"));
  assert_true(text_ends_with("a", ""));
  assert_false(text_ends_with("csv", ".csv"));
  assert_false(text_ends_with("a.csv2", ".csv"));
}
