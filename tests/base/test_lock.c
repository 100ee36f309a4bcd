/* Locks of directories and files: one holder at a time, and asking takes nothing. */
#include "base/lock.h"
#include "tempdir.h"
#include "test.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int take(const char *directory) {
  Fault fault = {0};
  int lock = -2;
  assert_int_equal(lock_take(directory, &lock, &fault), ERR_OK);
  return lock;
}

static const char *directory_of(const char *name) {
  const char *path = temp_path(name);
  assert_int_equal(mkdir(path, 0755), 0);
  return path;
}

TEST(one_holder_at_a_time) {
  const char *directory = directory_of("one");
  assert_false(lock_held(directory));
  int lock = take(directory);
  assert_true(lock >= 0);
  assert_true(lock_held(directory));
  assert_int_equal(take(directory), LOCK_NONE);
  lock_drop(lock, directory, false);
  assert_false(lock_held(directory));
  lock = take(directory);
  assert_true(lock >= 0);
  lock_drop(lock, directory, true);
  char path[600];
  snprintf(path, sizeof path, "%s/lock", directory);
  assert_int_equal(access(path, F_OK), -1);
}

TEST(asking_makes_no_file) {
  const char *directory = directory_of("asked");
  assert_false(lock_held(directory));
  assert_int_equal(rmdir(directory), 0);
  assert_false(lock_held(directory));
}

TEST(a_directory_that_is_gone_has_no_lock_and_is_no_fault) {
  assert_int_equal(take(temp_path("never")), LOCK_NONE);
  lock_drop(LOCK_NONE, temp_path("never"), true);
}

TEST(what_cannot_be_a_lock_is_a_fault) {
  Fault fault = {0};
  int lock;
  temp_file("file", "x", 1);
  assert_int_equal(lock_take(temp_path("file"), &lock, &fault), ERR_STORAGE);
  assert_int_equal(lock, LOCK_NONE);
  assert_non_null(strstr(fault.text, "file/lock"));
}

/* The lock of a file that was removed and made again is another one. */
TEST(a_file_that_was_replaced_has_a_new_lock) {
  Fault fault = {0};
  int first, second;
  const char *path = temp_path("replaced");
  assert_int_equal(lock_take_file(path, &first, &fault), ERR_OK);
  assert_true(lock_file_held(path));
  assert_int_equal(unlink(path), 0);
  assert_false(lock_file_held(path));
  assert_int_equal(lock_take_file(path, &second, &fault), ERR_OK);
  assert_true(second >= 0 && second != first);
  close(first);
  assert_true(lock_file_held(path));
  close(second);
  assert_false(lock_file_held(path));
}

/* It ends with the process, in whatever way that ends. */
TEST(a_killed_holder_holds_nothing) {
  const char *directory = directory_of("killed");
  int ready[2];
  char byte;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int lock;
    if (lock_take(directory, &lock, &(Fault){0}) == ERR_OK)
      (void)!write(ready[1], "x", 1);
    for (;;) pause();
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_true(lock_held(directory));
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_false(lock_held(directory));
  close(ready[0]), close(ready[1]);
}
