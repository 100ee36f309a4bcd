/* record_words.c: values of options as words, for keys that are compared exactly. What
 * has no fixed size is written with its length before it, so no two values give the
 * same words. */
#include "base/record.h"
#include <string.h>

/* Words that are written where there is room, and counted anyway. */
typedef struct Words {
  uint64_t *out; /* NULL: counted only */
  int n;
} Words;

static void put(Words *words, uint64_t word) {
  if (words->out) words->out[words->n] = word;
  words->n++;
}

static void put_pointer(Words *words, const void *p) {
  put(words, (uint64_t)(uintptr_t)p);
}

static void put_real(Words *words, double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  put(words, bits);
}

static void put_text(Words *words, const char *text) {
  size_t n = strlen(text) + 1;
  put(words, n);
  for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    memcpy(&word, text + at, n - at < sizeof word ? n - at : sizeof word);
    put(words, word);
  }
}

static void put_option(Words *words, const Object *object, const Option *opt);

static void put_object(Words *words, const Object *object) {
  put_pointer(words, object->kind);
  for (const Option *opt = object->kind->options; opt && opt->name; opt++)
    put_option(words, object, opt);
}

/* What kind of value it is comes first: an option may take several. */
static void put_value(Words *words, const Value *value) {
  put(words, value->kind);
  switch (value->kind) {
  case VALUE_NIL: break;
  case VALUE_BOOL: put(words, value->as.boolean); break;
  case VALUE_INT: put(words, (uint64_t)value->as.integer); break;
  case VALUE_REAL: put_real(words, value->as.real); break;
  case VALUE_TEXT: put_text(words, value->as.text); break;
  case VALUE_LIST: put(words, (uint64_t)value->as.n_items); break;
  case VALUE_OBJECT: put_object(words, value->as.ref); break;
  default: put_pointer(words, value->as.ref); break;
  }
}

static void put_option(Words *words, const Object *object, const Option *opt) {
  Value value, item;
  option_get(object, opt, &value);
  put_value(words, &value);
  for (int i = 0; value.kind == VALUE_LIST && i < value.as.n_items; i++) {
    option_item(object, opt, i, &item);
    put_value(words, &item);
  }
}

int option_words(const Object *object, const Option *opt, uint64_t *out) {
  Words words = {.out = out};
  put_option(&words, object, opt);
  return words.n;
}
