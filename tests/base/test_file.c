/* Files: what is no file is not opened nor waited for, and what is removed lies behind
 * no link. */
#include "base/file.h"
#include "base/input.h"
#include "base/out.h"
#include "tempdir.h"
#include "test.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void make_socket(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_true(strlen(path) < sizeof at.sun_path);
  strcpy(at.sun_path, path);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  close(fd);
}

static void check_unread(const char *path) {
  Fault fault = {0};
  Text text = {0};
  Input input;
  bool there = false;
  assert_int_equal(file_read(path, 100, &text, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "is not a file"));
  fault_clear(&fault);
  assert_int_equal(file_read_any(path, 100, &text, &there, &fault), ERR_DATA);
  assert_true(there);
  fault_clear(&fault);
  assert_int_equal(input_open(&input, path, &fault), ERR_DATA);
  assert_string_equal(fault.text, "is not a file");
  text_deinit(&text);
}

/* Without the mend the test waits for a writer, until its time is over. */
TEST(what_is_no_file_is_not_read) {
  char fifo[512], socket_path[512];
  snprintf(fifo, sizeof fifo, "%s", temp_path("fifo"));
  snprintf(socket_path, sizeof socket_path, "%s", temp_path("s"));
  assert_int_equal(mkfifo(fifo, 0600), 0);
  make_socket(socket_path);
  const char *paths[] = {fifo, socket_path, "/dev/null", "/dev/zero", temp_path(".")};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) check_unread(paths[i]);
}

/* What a record is written to. */
TEST(what_is_no_file_is_not_written) {
  Fault fault = {0};
  GrowingFile grown;
  char target[512], linked[512], fifo[512];
  snprintf(target, sizeof target, "%s", temp_file("target", "abc", 3));
  snprintf(linked, sizeof linked, "%s", temp_path("linked"));
  snprintf(fifo, sizeof fifo, "%s", temp_path("pipe"));
  assert_int_equal(symlink(target, linked), 0);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  const char *paths[] = {linked, fifo};
  for (int i = 0; i < 2; i++) {
    fault_clear(&fault);
    assert_int_equal(file_grow(&grown, paths[i], 0, &fault), ERR_STORAGE);
    assert_non_null(strstr(fault.text, "is not a file"));
    fault_clear(&fault);
    int log = OUT_NO_LOG;
    assert_int_equal(out_tee_begin(paths[i], &log, &fault), ERR_STORAGE);
  }
  char *left = temp_read(target, NULL);
  assert_string_equal(left, "abc");
  free(left);
}

TEST(what_is_removed_lies_behind_no_link) {
  Fault fault = {0};
  char far[512], tree[512], path[1024];
  snprintf(far, sizeof far, "%s", temp_path("far"));
  snprintf(tree, sizeof tree, "%s", temp_path("tree"));
  snprintf(path, sizeof path, "%s/a/b", tree);
  assert_int_equal(file_make_dirs(path, &fault), ERR_OK);
  assert_int_equal(mkdir(far, 0700), 0);
  snprintf(path, sizeof path, "%s/kept", far);
  assert_int_equal(file_put(path, "x", 1, PUBLISH_DRAFT, &fault), ERR_OK);
  snprintf(path, sizeof path, "%s/a/link", tree);
  assert_int_equal(symlink(far, path), 0);
  snprintf(path, sizeof path, "%s/a/b/file", tree);
  assert_int_equal(file_put(path, "x", 1, PUBLISH_DRAFT, &fault), ERR_OK);
  assert_int_equal(file_remove(tree, &fault), ERR_OK);
  assert_false(file_exists(tree));
  snprintf(path, sizeof path, "%s/kept", far);
  assert_true(file_exists(path));
  assert_int_equal(symlink(far, tree), 0); /* the path itself */
  assert_int_equal(file_remove(tree, &fault), ERR_OK);
  assert_int_not_equal(access(tree, F_OK), 0);
  assert_true(file_exists(path));
  assert_int_equal(file_remove(tree, &fault), ERR_OK);
  assert_int_equal(file_remove("/nonexistent-place/below", &fault), ERR_OK);
}

/* A file in the working directory, and one whose directory is the root. */
TEST(paths_of_one_part_are_removed) {
  Fault fault = {0};
  char here[1024];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(temp_path(".")), 0);
  assert_int_equal(file_put("plain", "x", 1, PUBLISH_DRAFT, &fault), ERR_OK);
  assert_int_equal(file_remove("plain", &fault), ERR_OK);
  assert_false(file_exists("plain"));
  assert_int_equal(file_remove("/no-such-file-at-the-root", &fault), ERR_OK);
  assert_int_equal(chdir(here), 0);
}
