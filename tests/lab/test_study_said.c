/* What trials say on stderr, on its way to the screen. */
#include "lab/study_said.h"
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

static Voice follow_new_log(size_t n_bytes, const char *last) {
  Voice voice = {0};
  char *log = text_copy(temp_path(TRIAL_STDERR));
  remove(log);
  *strrchr(log, '/') = 0;
  voice_follow(&voice, log);
  make_log(n_bytes, last);
  free(log);
  return voice;
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

TEST(who_says_more_at_a_time_than_can_be_heard_lets_others_in) {
  Told told = {0};
  Voice voice = follow_new_log(3 * HEAR_BYTES, "last");
  screen_begin();
  voice_hear(&voice, &told);
  off_t first = voice.n_read;
  voice_hear(&voice, &told);
  off_t second = voice.n_read;
  voice_pause(&voice, &told);
  char *said = screen_end();
  assert_true(first >= HEAR_BYTES && first < 2 * HEAR_BYTES);
  assert_true(second > first && second < 3 * HEAR_BYTES);
  assert_string_equal(said, "one\ntwo\nlast\n");
  assert_int_equal(voice.n_read, 3 * HEAR_BYTES + 4);
  free(said);
  voice_deinit(&voice);
  told_deinit(&told);
}

static void add(Voice *voice, Told *told, const char *bytes, size_t n_bytes) {
  voice_add(voice, told, bytes, n_bytes);
}
#define ADD(text) add(&voice, &told, text, sizeof(text) - 1)

TEST(each_whole_line_is_shown_once) {
  Told told = {0};
  Voice voice = {0};
  screen_begin();
  ADD("a line\na li");
  ADD("ne\nline\na line and more\n\nline\r\nx\ry\n");
  voice_pause(&voice, &told);
  char *said = screen_end();
  assert_string_equal(said, "a line\nline\na line and more\ny\n");
  free(said);
  voice_deinit(&voice);
  told_deinit(&told);
}

/* A zero byte ends no line, and hides no other. */
TEST(zero_bytes_are_shown_as_control_characters_are) {
  Told told = {0};
  Voice voice = {0};
  screen_begin();
  ADD("ab\n");
  ADD("ab\0cd\nab\0ef\n\0\n");
  ADD("last\0word");
  voice_pause(&voice, &told);
  char *said = screen_end();
  assert_string_equal(said, "ab\nab?cd\nab?ef\n?\nlast?word\n");
  free(said);
  voice_deinit(&voice);
  told_deinit(&told);
}

TEST(the_screen_gets_so_much_and_says_so) {
  Told told = {0};
  Voice voice = {0};
  screen_begin();
  for (int i = 0; i < 40000; i++) {
    char line[32];
    int n = snprintf(line, sizeof line, "%d\n", i);
    voice_add(&voice, &told, line, (size_t)n);
  }
  char *said = screen_end();
  assert_true(strlen(said) > (1 << 16) && strlen(said) < (1 << 16) + 100);
  assert_int_equal(strncmp(said, "0\n1\n2\n", 6), 0);
  assert_non_null(strstr(said, "\nwhat trials say from here on"));
  free(said);
  voice_deinit(&voice);
  told_deinit(&told);
}
