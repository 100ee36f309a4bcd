/* measure.c: what the name of a measure tells; see measure.h. */
#include "lab/measure.h"
#include <stddef.h>
#include <string.h>
#include <strings.h>

typedef struct Word {
  const char *text;
  MeasureGoal goal;
  bool share;
} Word;

static const Word words[] = {
    {"accuracy", MEASURE_MAX, true},
    {"acc", MEASURE_MAX, true},
    {"auc", MEASURE_MAX, true},
    {"precision", MEASURE_MAX, true},
    {"recall", MEASURE_MAX, true},
    {"f1", MEASURE_MAX, true},
    {"r2", MEASURE_MAX, false},
    {"score", MEASURE_MAX, false},
    {"loss", MEASURE_MIN, false},
    {"mse", MEASURE_MIN, false},
    {"mae", MEASURE_MIN, false},
    {"rmse", MEASURE_MIN, false},
    {"error", MEASURE_MIN, false},
    {"err", MEASURE_MIN, false},
    {"nll", MEASURE_MIN, false},
    {"perplexity", MEASURE_MIN, false},
    {"entropy", MEASURE_MIN, false},
    {"crossentropy", MEASURE_MIN, false},
    {"divergence", MEASURE_MIN, false},
    {"hinge", MEASURE_MIN, false},
    {"huber", MEASURE_MIN, false}};

static bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static const Word *known_word(const char *text, size_t n_bytes) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i].text) == n_bytes && strncasecmp(words[i].text, text, n_bytes) == 0)
      return &words[i];
  return NULL;
}

/* The first known word from *at on, behind which *at then stands; NULL: there is none. */
static const Word *next_word(const char **at) {
  while (**at) {
    const char *begin = *at;
    while (is_word_byte(**at)) ++*at;
    const Word *word = known_word(begin, (size_t)(*at - begin));
    if (word) return word;
    if (**at) ++*at;
  }
  return NULL;
}

MeasureGoal measure_goal(const char *name) {
  bool max = false, min = false;
  for (const Word *word; (word = next_word(&name));) {
    max |= word->goal == MEASURE_MAX;
    min |= word->goal == MEASURE_MIN;
  }
  if (max == min) return MEASURE_UNKNOWN;
  return max ? MEASURE_MAX : MEASURE_MIN;
}

bool measure_is_share(const char *name) {
  bool share = false;
  for (const Word *word; (word = next_word(&name));) share |= word->share;
  return share;
}
