/* level.c: levels of factors, as people read them; see level.h. */
#include "lab/level.h"
#include <stdlib.h>

bool level_is_word(const char *level) {
  char *end;
  if ((*level >= 'a' && *level <= 'z') || (*level >= 'A' && *level <= 'Z'))
    return !text_has_word("true false none yes no on off", level);
  strtod(level, &end);
  return *end != 0;
}

bool level_tells(const char *level, int n_factors) {
  return n_factors < 2 && level_is_word(level);
}

void level_add(const char *factor, const char *level, int n_factors, Text *out) {
  if (level_tells(level, n_factors)) text_add(out, level);
  else text_addf(out, "%s=%s", factor, level);
}
