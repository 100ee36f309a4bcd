/* Copies of what gzipped files unpack to: made once, checked whenever they are read,
 * and missed by none where there can be none. */
#include "test.h"
#include "tempdir.h"
#include "base/unpacked.h"
#include "base/file.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

static Fault fault;

static const char *put_gz(const char *name, const char *text, const char *mode) {
  static char path[512];
  snprintf(path, sizeof path, "%s", temp_path(name));
  gzFile file = gzopen(path, mode);
  if (!file || gzputs(file, text) < 0 || gzclose(file) != Z_OK) abort();
  return path;
}

/* The one file in the cache. */
static const char *only_copy(void) {
  FileNames names;
  static char path[512];
  assert_int_equal(file_names(temp_path("cache/runner"), &names, &fault), ERR_OK);
  assert_int_equal(names.n, 1);
  snprintf(path, sizeof path, "%s/%s", temp_path("cache/runner"), names.v[0]);
  file_names_deinit(&names);
  return path;
}

static void begin_cache(void) {
  assert_int_equal(file_remove(temp_path("cache"), &fault), ERR_OK);
  setenv("XDG_CACHE_HOME", temp_path("cache"), 1);
}

/* Reads as many bytes; does it end well, as this text? */
static bool reads(Input *in, const char *text) {
  char out[64] = {0};
  size_t n = strlen(text);
  bool ok = input_read(in, out, (int64_t)n, &fault) == ERR_OK &&
            memcmp(out, text, n) == 0 && input_end(in, &fault) == ERR_OK;
  fault_clear(&fault);
  input_close(in);
  return ok;
}

TEST(a_copy_is_made_once_and_read_then) {
  Input in;
  begin_cache();
  const char *path = put_gz("x.gz", "some bytes", "wb");
  assert_true(unpacked_open(&in, path, false) && reads(&in, "some bytes"));
  struct stat first, second;
  assert_int_equal(stat(only_copy(), &first), 0);
  assert_true(unpacked_open(&in, path, false) && reads(&in, "some bytes"));
  assert_int_equal(stat(only_copy(), &second), 0);
  assert_int_equal(first.st_ino, second.st_ino);
  assert_true(unpacked_open(&in, path, true) && reads(&in, "some bytes"));
  assert_int_equal(stat(only_copy(), &second), 0);
  assert_int_not_equal(first.st_ino, second.st_ino);
}

/* Another content of the same name has a copy of its own. */
TEST(a_file_that_changed_is_unpacked_anew) {
  Input in;
  begin_cache();
  assert_true(unpacked_open(&in, put_gz("x.gz", "old", "wb"), false) &&
              reads(&in, "old"));
  assert_true(unpacked_open(&in, put_gz("x.gz", "new", "wb"), false) &&
              reads(&in, "new"));
}

TEST(a_damaged_copy_is_seen_and_made_anew) {
  static const char *const damaged[] = {"some bytez", "some byte", "some bytes!", ""};
  begin_cache();
  const char *path = put_gz("x.gz", "some bytes", "wb");
  Input in;
  assert_true(unpacked_open(&in, path, false) && reads(&in, "some bytes"));
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    assert_int_equal(file_put(only_copy(), damaged[i], strlen(damaged[i]),
                              PUBLISH_REPLACE, &fault),
                     ERR_OK);
    /* Of the right size it is seen when it was read, else before. */
    bool right = unpacked_open(&in, path, false) && reads(&in, "some bytes");
    assert_true(right == (strlen(damaged[i]) != strlen("some bytes")));
    assert_true(unpacked_open(&in, path, true) && reads(&in, "some bytes"));
    assert_true(unpacked_open(&in, path, false) && reads(&in, "some bytes"));
  }
}

/* Of several members the last bytes know only the last. */
TEST(what_has_no_copy_says_so) {
  Input in;
  begin_cache();
  assert_false(unpacked_open(&in,
                             temp_file("plain", "plain bytes, and more of them", 29),
                             false));
  assert_false(unpacked_open(&in, temp_file("short", "\x1f\x8b", 2), false));
  assert_false(unpacked_open(&in, temp_path("none"), false));
  assert_false(unpacked_open(&in, temp_path("."), false));
  put_gz("two.gz", "first", "wb");
  assert_false(unpacked_open(&in, put_gz("two.gz", "second", "ab"), false));
  input_close(&in);
  const char *path = put_gz("x.gz", "some bytes", "wb");
  setenv("XDG_CACHE_HOME", "relative", 1); /* is to be ignored */
  setenv("HOME", "/dev/null", 1);
  assert_false(unpacked_open(&in, path, false));
  unsetenv("HOME");
  assert_false(unpacked_open(&in, path, false));
  setenv("HOME", temp_path("home"), 1);
  assert_true(unpacked_open(&in, path, false) && reads(&in, "some bytes"));
  assert_true(file_exists(temp_path("home/.cache/runner")));
}

TEST(many_that_start_at_once_read_the_same) {
  begin_cache();
  const char *path = put_gz("x.gz", "some bytes", "wb");
  enum { N = 12 };
  for (int i = 0; i < N; i++)
    if (fork() == 0) {
      Input in;
      _exit(!(unpacked_open(&in, path, i % 3 == 0) && reads(&in, "some bytes")));
    }
  for (int i = 0; i < N; i++) {
    int status;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
  }
  (void)only_copy();
}
