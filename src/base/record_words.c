/* record_words.c: values of options as words, for keys that are compared exactly. What is of
 * no fixed size is told with its length before it, so no two values give the same words. */
#include "base/record.h"
#include <string.h>

/* Words that are written where there is room, and counted anyway. */
typedef struct Words {
  uint64_t *out;               /* NULL: counted only */
  int n;
} Words;

static void put(Words *words, uint64_t word) {
  if (words->out) words->out[words->n] = word;
  words->n++;
}

static void put_pointer(Words *words, const void *p) { put(words, (uint64_t)(uintptr_t)p); }

static void put_real(Words *words, double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  put(words, bits);
}

static void put_text(Words *words, const char *text) {
  size_t n = text ? strlen(text) + 1 : 0;
  put(words, n);
  for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    memcpy(&word, text + at, n - at < sizeof word ? n - at : sizeof word);
    put(words, word);
  }
}

static void put_option(Words *words, const Object *object, const Option *opt);

static void put_object(Words *words, const Object *object) {
  put_pointer(words, object ? object->kind : NULL);
  const Option *opt = object ? object->kind->options : NULL;
  for (; opt && opt->name; opt++) put_option(words, object, opt);
}

static void put_texts(Words *words, const TextList *list) {
  put(words, (uint64_t)list->n);
  for (int i = 0; i < list->n; i++) {
    put(words, list->number[i]);
    put_text(words, list->v[i]);
  }
}

static void put_option(Words *words, const Object *object, const Option *opt) {
  const void *field = option_field(object, opt);
  switch (opt->kind) {
  case OPT_BOOL: put(words, *(const bool *)field); break;
  case OPT_INT: put(words, (uint64_t)*(const int64_t *)field); break;
  case OPT_REAL: put_real(words, *(const double *)field); break;
  case OPT_TEXT: put_text(words, *(char *const *)field); break;
  case OPT_CHOICE: put(words, (uint64_t)*(const int *)field); break;
  case OPT_TEXTS: put_texts(words, field); break;
  case OPT_INTS: {
    const IntList *list = field;
    put(words, (uint64_t)list->n);
    for (int i = 0; i < list->n; i++) put(words, (uint64_t)list->v[i]);
    break;
  }
  case OPT_OBJECT: put_object(words, *(Object *const *)field); break;
  case OPT_OBJECTS: {
    const ObjectList *list = field;
    put(words, (uint64_t)list->n);
    for (int i = 0; i < list->n; i++) put_object(words, list->v[i]);
    break;
  }
  case OPT_CALL:
  case OPT_REF: put_pointer(words, *(void *const *)field); break;
  case OPT_NONE: break;
  }
}

int option_words(const Object *object, const Option *opt, uint64_t *out) {
  Words words = {.out = out};
  put_option(&words, object, opt);
  return words.n;
}
