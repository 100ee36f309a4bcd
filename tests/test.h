/* test.h: a C test program. Tests register themselves; main and the report are
 * cmocka's.
 *
 *   #include "test.h"
 *   TEST(shape_count_of_scalar_is_one) { assert_int_equal(shape_count(&s), 1); }
 *
 * Comparisons of numbers are written so that NaN fails: assert_true(fabs(a - b) <=
 * tol). */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TESTS_MAX = 256 };
static struct CMUnitTest tests_all[TESTS_MAX];
static size_t n_tests_all;

#define TEST(name)                                                                     \
  static void test_##name(void **state);                                               \
  __attribute__((constructor)) static void register_##name(void) {                     \
    tests_all[n_tests_all++] =                                                         \
        (struct CMUnitTest){#name, test_##name, NULL, NULL, NULL};                     \
  }                                                                                    \
  static void test_##name(void **state __attribute__((unused)))

/* |got - want| <= tol, with a message that shows both. */
#define CHECK_NEAR(got, want, tol)                                                     \
  do {                                                                                 \
    double got_ = (got), want_ = (want), tol_ = (tol);                                 \
    if (!(fabs(got_ - want_) <= tol_))                                                 \
      fail_msg("%s = %.17g, want %.17g +- %g", #got, got_, want_, tol_);               \
  } while (0)

int main(void) {
  return _cmocka_run_group_tests("runner", tests_all, n_tests_all, NULL, NULL) != 0;
}

#endif
