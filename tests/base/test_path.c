/* Paths in the caller's memory: cut, they are refused; nothing else is touched. */
#include "base/path.h"
#include "base/file.h"
#include "tempdir.h"
#include "test.h"
#include <errno.h>
#include <unistd.h>

TEST(a_path_lasts_as_long_as_its_expression) {
  Fault fault = {0};
  temp_file("there", "x", 1);
  assert_true(file_exists(path_of("%s/%s", temp_path("."), "there").s));
  assert_int_equal(file_remove(path_of("%s/there", temp_path(".")).s, &fault), ERR_OK);
  assert_false(file_exists(path_of("%s/%s", temp_path("."), "there").s));
}

/* "/tmp/.../././...x": so long that the last name is cut to one that is there. */
static Path too_long(const char *name) {
  static char deep[2 * PATH_MAX];
  snprintf(deep, sizeof deep, "%s", temp_path("."));
  while (strlen(deep) < PATH_MAX - 2) strcat(deep, "/");
  deep[PATH_MAX - 2] = 0;
  return path_of("%s/%s", deep, name);
}

TEST(a_path_that_was_cut_is_refused) {
  Fault fault = {0};
  char *bytes = NULL;
  temp_file("x", "kept", 4);
  Path path = too_long("xy");
  assert_int_equal(strlen(path.s), PATH_MAX);
  assert_int_equal(access(path.s, F_OK), -1);
  assert_int_equal(errno, ENAMETOOLONG);
  assert_int_equal(file_remove(path.s, &fault), ERR_STORAGE);
  fault_clear(&fault);
  assert_int_equal(file_put(path.s, "", 0, PUBLISH_REPLACE, &fault), ERR_STORAGE);
  bytes = temp_read(temp_path("x"), NULL);
  assert_string_equal(bytes, "kept");
  free(bytes);
}
