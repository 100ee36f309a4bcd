/* The file of statements: where it is, and that nothing is made above its own
 * directory. */
#include "cli/history.h"
#include "tempdir.h"
#include "test.h"
#include <sys/stat.h>

static bool exists(const char *name) { return access(temp_path(name), F_OK) == 0; }

static void assert_path(const char *wanted) {
  char *path = history_path();
  if (wanted) assert_string_equal(path, temp_path(wanted));
  else assert_null(path);
  free(path);
}

static void add_statement(void) {
  char *path = history_path();
  assert_non_null(path);
  history_add(path, "1 + 1");
  free(path);
}

TEST(a_home_that_is_not_there_is_not_made) {
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", temp_path("nowhere/deep"), 1);
  assert_path(NULL);
  unsetenv("HOME");
  assert_path(NULL);
  temp_file("file", "", 0);
  setenv("HOME", temp_path("file"), 1);
  assert_path(NULL);
  assert_false(exists("nowhere"));
}

TEST(a_home_has_the_file_itself_or_a_directory_of_states) {
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", temp_path("home"), 1);
  mkdir(temp_path("home"), 0700);
  assert_path("home/.runner_history");
  add_statement();
  assert_true(exists("home/.runner_history"));
  mkdir(temp_path("home/.local"), 0700);
  assert_path("home/.runner_history");
  mkdir(temp_path("home/.local/state"), 0700);
  assert_path("home/.local/state/runner/history");
  add_statement();
  assert_true(exists("home/.local/state/runner/history"));
}

TEST(a_directory_of_states_is_made_but_not_what_it_lies_in) {
  setenv("XDG_STATE_HOME", temp_path("state"), 1);
  add_statement();
  assert_true(exists("state/runner/history"));
  setenv("XDG_STATE_HOME", temp_path("far/away/state"), 1);
  add_statement();
  assert_false(exists("far"));
}
