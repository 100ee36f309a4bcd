/* Characters of UTF-8: every code point there and back, and what is none. */
#include "test.h"
#include "base/utf8.h"

TEST(every_character_is_written_and_read_back) {
  for (uint32_t code = 0; code <= 0x10FFFF; code++) {
    if (code >= 0xD800 && code < 0xE000) continue;
    char bytes[4];
    uint32_t got = 0;
    size_t n = utf8_put(bytes, code);
    size_t want = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (n != want || utf8_next(bytes, bytes + n, &got) != n || got != code)
      fail_msg("U+%04X: %zu bytes, read as U+%04X", (unsigned)code, n, (unsigned)got);
    if (n > 1) assert_int_equal(utf8_next(bytes, bytes + n - 1, &got), 0);
  }
}

TEST(what_is_no_character_is_none) {
  static const char *const none[] = {
      "\x80", "\xBF", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xE0\x9F\xBF",
      "\xF0\x80\x80\xAF", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
      "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3\x28", "\xE2\x28\xA1",
      "\xE2\x82\x28", "\xF0\x28\x8C\xBC"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    uint32_t code;
    if (utf8_next(none[i], none[i] + strlen(none[i]), &code))
      fail_msg("sequence %zu is read as U+%04X", i, (unsigned)code);
  }
}
