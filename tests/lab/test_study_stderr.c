/* What trials say on stderr, on its way to the screen. */
#include "lab/study_stderr.h"
#include "base/out.h"
#include "lab/trial.h"
#include "tempdir.h"
#include "test.h"

/* A trial that has said this much in lines that repeat; the last one has no end. */
static void make_log(size_t n_bytes, const char *last) {
  Text text = {0};
  while (text.n_bytes < n_bytes) text_add(&text, "one\ntwo\n");
  text_add(&text, last);
  temp_file(TRIAL_STDERR, text.data, text.n_bytes);
  text_deinit(&text);
}

static LogReader follow_new_log(size_t n_bytes, const char *last) {
  LogReader reader = {0};
  char *log = text_copy(temp_path(TRIAL_STDERR));
  remove(log);
  *strrchr(log, '/') = 0;
  log_reader_follow(&reader, log);
  make_log(n_bytes, last);
  free(log);
  return reader;
}

/* What the screen gets from here to `screen_end`, which gives it, new. */
static void screen_begin(void) {
  Fault fault = {0};
  assert_int_equal(out_divert(temp_path("out"), temp_path("screen"), &fault), ERR_OK);
}

static char *screen_end(void) {
  Fault fault = {0};
  assert_int_equal(out_divert_end(&fault), ERR_OK);
  return temp_read(temp_path("screen"), NULL);
}

TEST(a_trial_that_says_much_at_a_time_is_read_in_parts) {
  ShownLines shown = {0};
  LogReader reader = follow_new_log(3 * LOG_READ_BYTES, "last");
  screen_begin();
  log_reader_read(&reader, &shown);
  off_t first = reader.n_read;
  log_reader_read(&reader, &shown);
  off_t second = reader.n_read;
  log_reader_end(&reader, &shown);
  char *said = screen_end();
  assert_true(first >= LOG_READ_BYTES && first < 2 * LOG_READ_BYTES);
  assert_true(second > first && second < 3 * LOG_READ_BYTES);
  assert_string_equal(said, "one\ntwo\nlast\n");
  assert_int_equal(reader.n_read, 3 * LOG_READ_BYTES + 4);
  free(said);
  log_reader_deinit(&reader);
  shown_lines_deinit(&shown);
}

static void add(LogReader *reader, ShownLines *shown, const char *bytes,
                size_t n_bytes) {
  log_reader_add(reader, shown, bytes, n_bytes);
}
#define ADD(text) add(&reader, &shown, text, sizeof(text) - 1)

TEST(each_whole_line_is_shown_once) {
  ShownLines shown = {0};
  LogReader reader = {0};
  screen_begin();
  ADD("a line\na li");
  ADD("ne\nline\na line and more\n\nline\r\nx\ry\n");
  log_reader_end(&reader, &shown);
  char *said = screen_end();
  assert_string_equal(said, "a line\nline\na line and more\ny\n");
  free(said);
  log_reader_deinit(&reader);
  shown_lines_deinit(&shown);
}

/* A zero byte ends no line, and hides no other. */
TEST(zero_bytes_are_shown_as_control_characters_are) {
  ShownLines shown = {0};
  LogReader reader = {0};
  screen_begin();
  ADD("ab\n");
  ADD("ab\0cd\nab\0ef\n\0\n");
  ADD("last\0word");
  log_reader_end(&reader, &shown);
  char *said = screen_end();
  assert_string_equal(said, "ab\nab?cd\nab?ef\n?\nlast?word\n");
  free(said);
  log_reader_deinit(&reader);
  shown_lines_deinit(&shown);
}

TEST(the_screen_gets_so_much_and_says_so) {
  ShownLines shown = {0};
  LogReader reader = {0};
  screen_begin();
  for (int i = 0; i < 40000; i++) {
    char line[32];
    int n = snprintf(line, sizeof line, "%d\n", i);
    log_reader_add(&reader, &shown, line, (size_t)n);
  }
  char *said = screen_end();
  assert_true(strlen(said) > (1 << 16) && strlen(said) < (1 << 16) + 100);
  assert_int_equal(strncmp(said, "0\n1\n2\n", 6), 0);
  assert_non_null(strstr(said, "\nwhat trials say from here on"));
  free(said);
  log_reader_deinit(&reader);
  shown_lines_deinit(&shown);
}
