/* Levels as people read them. */
#include "lab/level.h"
#include "test.h"

TEST(levels_that_say_nothing_alone_get_their_factor) {
  static const char *const words[] = {"relu", "inf", "he_normal", "-", "3x3", "Tanh"};
  static const char *const others[] = {"0.1", "-1", ".5", "1e-04", "true", "none", "3"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!level_is_word(words[i])) fail_msg("%s", words[i]);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (level_is_word(others[i])) fail_msg("%s", others[i]);
  Text out = {0};
  level_add("lr", "0.1", 1, &out);
  assert_string_equal(out.data, "lr=0.1");
  level_add("activation", "relu", 1, &out);
  assert_string_equal(out.data, "lr=0.1relu");
  level_add("gate", "relu", 2, &out);
  assert_string_equal(out.data, "lr=0.1relugate=relu");
  text_deinit(&out);
}
