/* What is kept of stdout before there is a log, and whole files. */
#include "base/file.h"
#include "base/out.h"
#include "tempdir.h"
#include "test.h"
#include <fcntl.h>
#include <sys/stat.h>

/* stdout goes to /dev/null meanwhile. */
static int silence(void) {
  fflush(stdout);
  int old = dup(1);
  if (!freopen("/dev/null", "w", stdout)) abort();
  return old;
}

static void restore(int old) {
  fflush(stdout);
  dup2(old, 1);
  close(old);
}

TEST(the_log_has_what_was_printed_before_it) {
  Fault fault = {0};
  int old = silence();
  out_print("one %d\n", 1);
  char *long_text = calloc(1, 5001);
  memset(long_text, 'x', 5000);
  out_print("%s\n", long_text);
  err_print("%s", "");
  int log = OUT_NO_LOG;
  Err begun = out_tee_begin(temp_path("log"), &log, &fault);
  out_write("a\0b", 3);
  Err flushed = out_flush(&fault);
  Err ended = out_tee_end(&log, &fault);
  out_print("not logged\n");
  restore(old);
  assert_int_equal(begun, ERR_OK);
  assert_int_equal(flushed, ERR_OK);
  assert_int_equal(ended, ERR_OK);
  size_t n;
  char *logged = temp_read(temp_path("log"), &n);
  assert_int_equal(n, 6 + 5001 + 3);
  assert_memory_equal(logged, "one 1\nxxx", 9);
  assert_memory_equal(logged + n - 3, "a\0b", 3);
  free(logged);
  free(long_text);
}

TEST(what_is_kept_is_bounded) {
  Fault fault = {0};
  int old = silence();
  char block[1000];
  memset(block, 'y', sizeof block);
  for (int i = 0; i < 1200; i++) out_write(block, sizeof block);
  int log = OUT_NO_LOG;
  Err err = out_tee_begin(temp_path("big"), &log, &fault);
  if (!err) err = out_tee_end(&log, &fault);
  restore(old);
  assert_int_equal(err, ERR_OK);
  size_t n;
  char *logged = temp_read(temp_path("big"), &n);
  assert_true(n > OUT_KEPT_BYTES && n < OUT_KEPT_BYTES + 100);
  assert_non_null(strstr(logged + OUT_KEPT_BYTES, "bytes printed here were not kept"));
  free(logged);
}

TEST(a_log_that_cannot_be_is_a_storage_fault) {
  Fault fault = {0};
  int log = OUT_NO_LOG;
  assert_int_equal(out_tee_begin(temp_path("no/log"), &log, &fault), ERR_STORAGE);
  assert_int_equal(log, OUT_NO_LOG);
  assert_non_null(strstr(fault.text, "no/log"));
  if (access("/dev/full", W_OK) != 0) return;
  fault_clear(&fault);
  int old = silence();
  Err begun = out_tee_begin("/dev/full", &log, &fault);
  out_print("lost\n");
  Err flushed = out_flush(&fault);
  Fault again = {0};
  Err ended = out_tee_end(&log, &again);
  restore(old);
  assert_int_equal(begun, ERR_OK);
  assert_int_equal(flushed, ERR_STORAGE);
  assert_int_equal(ended, ERR_STORAGE);
}

/* A script's log and that of one of its fits, which may end in either order. */
TEST(two_logs_may_be_open) {
  Fault fault = {0};
  int old = silence(), first = OUT_NO_LOG, second = OUT_NO_LOG;
  Err err = out_tee_begin(temp_path("first"), &first, &fault);
  out_print("a");
  if (!err) err = out_tee_begin(temp_path("second"), &second, &fault);
  out_print("b");
  if (!err) err = out_tee_end(&first, &fault);
  out_print("c");
  if (!err) err = out_tee_end(&second, &fault);
  out_print("d");
  restore(old);
  assert_int_equal(err, ERR_OK);
  size_t n;
  char *ab = temp_read(temp_path("first"), &n),
       *bc = temp_read(temp_path("second"), &n);
  assert_memory_equal(ab, "ab", 2);
  assert_memory_equal(bc, "bc", 2);
  free(ab);
  free(bc);
}

/* By whichever way it gets to descriptors 1 and 2, programs included. */
TEST(what_is_diverted_is_in_the_files_alone) {
  Fault fault = {0};
  fflush(stderr);
  int old = silence(), old_error = dup(2);
  Err err = out_divert(temp_path("said"), temp_path("wrong"), &fault);
  out_print("door ");
  fputs("stdio ", stdout);
  fflush(stdout);
  int status = system("printf program; printf 'no line end' >&2");
  err_print("warning\n");
  if (!err) err = out_divert_end(&fault);
  out_print("after\n");
  Err again = out_divert_end(&fault);
  restore(old);
  dup2(old_error, 2);
  close(old_error);
  assert_int_equal(err, ERR_OK);
  assert_int_equal(again, ERR_OK);
  assert_int_equal(status, 0);
  size_t n;
  char *said = temp_read(temp_path("said"), &n);
  assert_int_equal(n, strlen("door stdio program"));
  assert_memory_equal(said, "door stdio program", n);
  char *wrong = temp_read(temp_path("wrong"), &n);
  assert_int_equal(n, strlen("no line endwarning\n"));
  assert_memory_equal(wrong, "no line endwarning\n", n);
  free(said);
  free(wrong);
}

/* What was closed before is so afterwards, and its number is taken for nothing else. */
TEST(closed_descriptors_are_closed_again) {
  Fault fault = {0};
  fflush(stderr);
  fflush(stdout);
  int old[2] = {dup(1), dup(2)};
  close(1);
  close(2);
  Err err = out_divert(temp_path("some"), temp_path("other"), &fault);
  bool whole = write(1, "out", 3) == 3 && write(2, "err", 3) == 3;
  if (!err) err = out_divert_end(&fault);
  bool open_after = fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
  for (int i = 0; i < 2; i++) {
    dup2(old[i], 1 + i);
    close(old[i]);
  }
  assert_int_equal(err, ERR_OK);
  assert_true(whole);
  assert_false(open_after);
  size_t n;
  char *some = temp_read(temp_path("some"), &n),
       *other = temp_read(temp_path("other"), &n);
  assert_memory_equal(some, "out", 3);
  assert_memory_equal(other, "err", 3);
  free(some);
  free(other);
}

TEST(files_that_cannot_be_divert_nothing) {
  Fault fault = {0};
  assert_int_equal(out_divert(temp_path("here"), temp_path("no/where"), &fault),
                   ERR_STORAGE);
  assert_non_null(strstr(fault.text, "no/where"));
  fault_clear(&fault);
  assert_int_equal(out_divert_end(&fault), ERR_OK);
  if (access("/dev/full", W_OK) != 0) return;
  int old = silence();
  Err begun = out_divert("/dev/full", temp_path("empty"), &fault);
  out_print("lost\n");
  Err ended = out_divert_end(&fault);
  Fault none = {0};
  Err flushed = out_flush(&none);
  restore(old);
  assert_int_equal(begun, ERR_OK);
  assert_int_equal(ended, ERR_STORAGE);
  assert_int_equal(flushed, ERR_OK);
}

TEST(files_are_replaced_whole_or_not_at_all) {
  Fault fault = {0};
  const char *path = temp_path("f");
  assert_int_equal(file_put(path, "old", 3, PUBLISH_ONCE, &fault), ERR_OK);
  assert_int_equal(file_put(path, "new", 3, PUBLISH_ONCE, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "already there"));
  fault_clear(&fault);
  NewFile file;
  assert_int_equal(file_begin(&file, path, &fault), ERR_OK);
  fputs("half", file.file);
  file_abandon(&file);
  file_abandon(&file);
  Text text = {0};
  assert_int_equal(file_read(path, 3, &text, &fault), ERR_OK);
  assert_string_equal(text.data, "old");
  assert_int_equal(file_put(path, "newer", 5, PUBLISH_REPLACE, &fault), ERR_OK);
  assert_int_equal(file_read(path, 3, &text, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "larger than 3"));
  text_deinit(&text);
}

TEST(directories_are_made_with_those_above) {
  Fault fault = {0};
  struct stat at;
  assert_int_equal(file_make_dirs(temp_path("d/e/f"), &fault), ERR_OK);
  assert_int_equal(file_make_dirs(temp_path("d/e/f/"), &fault), ERR_OK);
  assert_int_equal(stat(temp_path("d/e/f"), &at), 0);
  assert_true(S_ISDIR(at.st_mode));
}
