/* text.c: plain text for language models: windows of characters.
 *
 * Each character that occurs is a class; classes are numbered from 1 in the order of
 * their code points, and class_names holds them: the vocabulary. A row is a window of
 * `length` characters, by number; its target is the character behind it, or, at every
 * place of the window, the one behind that. Windows begin every `step` characters. */
#include "base/ints.h"
#include "base/utf8.h"
#include "data/plain.h"
#include "data/sources.h"
#include <stdlib.h>
#include <string.h>

typedef enum Predict { PREDICT_NEXT, PREDICT_EACH } Predict;

typedef struct TextSource {
  Source source;
  char *path, *vocabulary;
  int64_t length, step;
  int predict; /* a Predict */
} TextSource;

enum { CODES = 0x110000, IN_A_BYTE = 255 };

/* What is left of a text. */
typedef struct Characters {
  const char *at, *end;
} Characters;

static bool next_character(Characters *text, uint32_t *code) {
  if (text->at >= text->end) return false;
  size_t n = utf8_next(text->at, text->end, code);
  must(n > 0); /* plain_read has looked, and Lua's string is checked */
  text->at += n;
  return true;
}

/* -- vocabulary -------------------------------------------------------------------- */

/* Marks in `code_of` (CODES of them, zero) the characters, then numbers those
 * marked. */
static Err number_characters(Characters text, int32_t *code_of, Rows *out,
                             Fault *fault) {
  uint32_t code, largest = 0;
  Err err = ERR_OK;
  while (next_character(&text, &code)) {
    code_of[code] = 1;
    if (code > largest) largest = code;
  }
  for (code = 0; code <= largest && !err; code++) {
    char name[4];
    if (!code_of[code]) continue;
    code_of[code] = (int32_t)++out->n_classes;
    err = names_add(&out->class_names, name, utf8_put(name, code), fault);
  }
  return err;
}

static Err unknown_character(uint32_t code, int64_t line, Fault *fault) {
  char name[5] = {0};
  utf8_put(name, code);
  return fault_set(fault, ERR_DATA,
                   "line %lld: character \"%s\" (U+%04X) is not in the "
                   "vocabulary",
                   (long long)line, name, (unsigned)code);
}

/* The text by number; *n of them. Returns new, NULL and a fault. */
static int32_t *encode(Characters text, const int32_t *code_of, int64_t *n,
                       Fault *fault) {
  int64_t n_bytes = (text.end - text.at) * (int64_t)sizeof(int32_t), line = 1;
  if (memory_holds(n_bytes, fault)) return NULL;
  int32_t *ids = malloc((size_t)most(n_bytes, 1));
  if (!ids) {
    fault_memory(fault, (size_t)n_bytes);
    return NULL;
  }
  uint32_t code;
  for (*n = 0; next_character(&text, &code); line += code == '\n') {
    ids[(*n)++] = code_of[code];
    if (code_of[code]) continue;
    unknown_character(code, line, fault);
    free(ids);
    return NULL;
  }
  return ids;
}

/* -- windows ----------------------------------------------------------------------- */

/* Few characters need one byte each, also in many overlapping windows. */
static Err new_rows(const TextSource *s, int64_t n, Rows *out, Fault *fault) {
  DType dtype = out->n_classes <= IN_A_BYTE ? DT_UINT8 : DT_INT32;
  bool each = s->predict == PREDICT_EACH;
  int64_t cells = 0, n_bytes = 0;
  if (__builtin_mul_overflow(n, s->length, &cells) ||
      __builtin_mul_overflow(cells, (int64_t)dtype_bytes(dtype) + (each ? 4 : 0),
                             &n_bytes))
    n_bytes = INT64_MAX;
  Err err = memory_holds(n_bytes, fault);
  if (err) return err;
  out->x = tensor_new(s->source.memory, dtype, &SHAPE_OF(n, s->length), fault);
  if (!out->x) return fault->code;
  Shape shape = each ? SHAPE_OF(n, s->length) : SHAPE_OF(n);
  out->y = tensor_new(s->source.memory, DT_INT32, &shape, fault);
  return out->y ? ERR_OK : fault->code;
}

static Err cut_windows(const TextSource *s, const int32_t *ids, int64_t n_ids,
                       Rows *out, Fault *fault) {
  if (n_ids <= s->length)
    return fault_set(fault, ERR_DATA,
                     "has %lld characters, a window and the one behind it take %lld",
                     (long long)n_ids, (long long)s->length + 1);
  int64_t step = s->step ? s->step : s->length, n = (n_ids - 1 - s->length) / step + 1;
  Err err = new_rows(s, n, out, fault);
  if (err) return err;
  int32_t *y = out->y->a.data;
  for (int64_t i = 0; i < n; i++) {
    const int32_t *window = ids + i * step;
    for (int64_t k = 0; k < s->length; k++)
      array_set(&out->x->a, i * s->length + k, window[k]);
    if (s->predict == PREDICT_EACH)
      memcpy(y + i * s->length, window + 1, (size_t)s->length * sizeof *y);
    else y[i] = window[s->length];
  }
  return ERR_OK;
}

Err text_parse(Source *source, Input *in, Rows *out, Fault *fault) {
  const TextSource *s = (const TextSource *)source;
  Text text = {0};
  int32_t *ids = NULL, *code_of = NULL;
  Err err = plain_read(in, &text, fault);
  if (!err) {
    code_of = calloc(CODES, sizeof *code_of);
    if (!code_of) err = fault_memory(fault, CODES * sizeof *code_of);
  }
  if (!err) {
    Characters all = {text.data, text.data + text.n_bytes}, known = all;
    if (s->vocabulary)
      known = (Characters){s->vocabulary, s->vocabulary + strlen(s->vocabulary)};
    int64_t n = 0;
    err = number_characters(known, code_of, out, fault);
    if (!err) ids = encode(all, code_of, &n, fault);
    if (!err) err = ids ? cut_windows(s, ids, n, out, fault) : fault->code;
  }
  free(ids);
  free(code_of);
  text_deinit(&text);
  return err;
}

/* -- the kind ---------------------------------------------------------------------- */

static Err text_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return source_read(source, ((TextSource *)source)->path, text_parse, out, fault);
}

static Err text_check(Object *object, Fault *fault) {
  const char *at = ((TextSource *)object)->vocabulary;
  const char *end = at ? at + strlen(at) : at;
  uint32_t code;
  for (size_t n = 0; at && at < end; at += n) {
    n = utf8_next(at, end, &code);
    if (n == 0)
      return fault_set(fault, ERR_VALUE,
                       "data.text: option \"vocabulary\": got bytes that are not "
                       "UTF-8, allowed: a text that has all characters");
  }
  return ERR_OK;
}

static const char *const predict_names[] = {
    [PREDICT_NEXT] = "next", [PREDICT_EACH] = "each", NULL};

#define AT(field) .offset = offsetof(TextSource, field)

static const Option text_options[] = {
    {.name = "path", .kind = OPT_TEXT, AT(path), .position = 1,
     .doc = "text file in UTF-8, plain or gzipped"},
    {.name = "length", .kind = OPT_INT, AT(length), .value = "32", .lo = 1, .hi = 1e6,
     .doc = "characters in a window"},
    {.name = "step", .kind = OPT_INT, AT(step), .value = "0", .lo = 0, .hi = 1e9,
     .doc = "characters from the start of a window to that of the next; 0: length"},
    {.name = "predict", .kind = OPT_CHOICE, AT(predict), .value = "next",
     .choices = predict_names,
     .doc = "next: y is the character after the window, [n]; each: at each place of "
            "the window the one after it, [n, length]"},
    {.name = "vocabulary", .kind = OPT_TEXT, AT(vocabulary), .value = "none",
     .doc = "a text of all characters, which gives them their numbers: "
            "table.concat(set.class_names) for those of another set; none: the "
            "characters that occur"},
    {0}};

const SourceKind dataset_text = {
    .kind = {.name = "text",
             .family = &dataset_family,
             .size = sizeof(TextSource),
             .options = text_options,
             .check = text_check,
             .deinit = source_deinit,
             .call = "data.text \"book.txt\"",
             .doc = "Windows [length] of the characters of a text, by number, for "
                    "predicting the next one. The characters are the class names. "
                    "x:one_hot(classes) makes inputs for a dense layer."},
    .load = text_load};
