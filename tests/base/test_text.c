/* Numbers as texts. */
#include "base/text.h"
#include "test.h"

static void assert_measure(double value, const char *wanted) {
  char buffer[32];
  assert_string_equal(text_measure(buffer, value), wanted);
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
