/* The program's environment variables: what they may be, and what is said of others. */
#include "base/environment.h"
#include "base/sys.h"
#include "test.h"

static Fault fault;

static Err checked(const char *name, const char *value) {
  fault_clear(&fault);
  setenv(name, value, 1);
  Err err = env_check(&fault);
  unsetenv(name);
  return err;
}

static void clear_all(void) {
  for (const EnvVariable *v = env_variables; v->name; v++) unsetenv(v->name);
}

TEST(listed_values_are_taken_and_others_refused) {
  clear_all();
  for (const EnvVariable *v = env_variables; v->name; v++) {
    assert_int_equal(checked(v->name, ""), ERR_OK); /* as if it were not there */
    for (int i = 0; v->values && v->values[i] && !v->fits; i++)
      assert_int_equal(checked(v->name, v->values[i]), ERR_OK);
    if (!v->values && !v->fits) continue; /* a directory: any text */
    assert_int_equal(checked(v->name, "surely not"), ERR_USAGE);
    assert_int_equal(strncmp(fault.text, v->name, strlen(v->name)), 0);
    assert_non_null(strstr(fault.text, "allowed: "));
  }
}

TEST(the_nearest_value_is_proposed) {
  clear_all();
  assert_int_equal(checked("RUNNER_EXECUTOR", "naiv"), ERR_USAGE);
  assert_non_null(strstr(fault.text, "did you mean naive?"));
}

TEST(a_level_that_the_processor_lacks_is_refused) {
  clear_all();
  for (int level = 0; level < SIMD_LEVELS; level++)
    assert_int_equal(checked("RUNNER_SIMD", simd_names[level]),
                     level <= (int)simd_best() ? ERR_OK : ERR_USAGE);
}

TEST(counts) {
  static const struct {
    const char *value;
    Err err;
  } cases[] = {{"1", ERR_OK},     {"9223372036854775807", ERR_OK},
               {"0", ERR_USAGE},  {"-1", ERR_USAGE},
               {"1x", ERR_USAGE}, {"1.5", ERR_USAGE},
               {" ", ERR_USAGE},  {"9223372036854775808", ERR_USAGE}};
  clear_all();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(checked("RUNNER_PAR_THRESHOLD", cases[i].value), cases[i].err);
}

TEST(names_of_others_are_left_alone) {
  clear_all();
  assert_int_equal(checked("RUNNER_OF_ANOTHER_PROGRAM", "anything"), ERR_OK);
}

TEST(a_value_is_compared_whole) {
  clear_all();
  assert_false(env_is("RUNNER_CHECKED", "1"));
  setenv("RUNNER_CHECKED", "1", 1);
  assert_true(env_is("RUNNER_CHECKED", "1"));
  assert_false(env_is("RUNNER_CHECKED", "10"));
  assert_false(env_is("RUNNER_CHECKED", ""));
  clear_all();
}
