/* compare_words.h: what the sentences of a comparison share. */
#ifndef LAB_COMPARE_WORDS_H
#define LAB_COMPARE_WORDS_H

#include "lab/compare_show.h"

typedef struct Words {
  const Compare *compare;
  Shown shown;
  int width;
  Text *out;
} Words;

/* Adds the text, cleaned, as a paragraph whose first line begins after `indent` blanks and the
 * others two further; frees it, and it may be filled again. */
void words_say(const Words *words, int indent, Text *text);

static inline const char *words_plural(int n) { return n == 1 ? "" : "s"; }

/* "p = .012", "p < .001" */
void words_add_p(double p, Text *text);

/* Each adds its part of the page (compare.h). */
void compare_add_verdicts(const Compare *compare, int width, Text *out);
void compare_add_reach(const Compare *compare, int width, Text *out);
void compare_add_words(const Compare *compare, int width, Text *out);

#endif
