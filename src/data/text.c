/* text.c: plain text for language models: windows of characters or words.
 *
 * Each token of the vocabulary is a class, and the class names are the tokens. A row is
 * a window of `length` tokens, by number; its target is the token behind it, or, at
 * every place of the window, the one behind that. Windows begin every `step` tokens. */
#include "data/plain.h"
#include "data/sources.h"
#include "data/token_rows.h"
#include <stdlib.h>
#include <string.h>

typedef enum Predict { PREDICT_NEXT, PREDICT_EACH } Predict;

typedef struct TextSource {
  Source source;
  char *path, *package;
  VocabularyPlan plan;
  int64_t length, step;
  int predict; /* a Predict */
} TextSource;

/* -- windows ----------------------------------------------------------------------- */

static Err new_rows(const TextSource *s, int64_t n, Rows *out, Fault *fault) {
  DType dtype = tokens_dtype(out->vocabulary->tokens.n);
  bool each = s->predict == PREDICT_EACH;
  int64_t per_token = (int64_t)dtype_bytes(dtype) + (each ? 4 : 0);
  Err err = memory_holds_all(n, s->length * per_token, fault);
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
                     "has %lld %s, a window and the one behind it take %lld",
                     (long long)n_ids, token_sorts[out->vocabulary->sort],
                     (long long)s->length + 1);
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
  static const char *const no_more[] = {NULL};
  const TextSource *s = (const TextSource *)source;
  Text text = {0};
  TokenCount count = {.plan = &s->plan};
  int32_t *ids = NULL;
  int64_t n = 0;
  Err err = plain_read(in, &text, fault);
  if (!err) err = token_count_add(&count, text.data, text.n_bytes, fault);
  if (!err) {
    out->vocabulary = token_count_end(&count, no_more, fault);
    err = out->vocabulary ? tokens_are_classes(out, fault) : ERR_MEMORY;
  }
  if (!err)
    ids = vocabulary_encode(out->vocabulary, text.data, text.n_bytes, 1, &n, fault);
  if (!err) err = ids ? cut_windows(s, ids, n, out, fault) : fault->code;
  free(ids);
  token_count_deinit(&count);
  text_deinit(&text);
  return err;
}

/* -- the kind ---------------------------------------------------------------------- */

static Err text_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const TextSource *s = (const TextSource *)source;
  Err err = package_check(s->path, s->package, fault);
  return err ? err : source_read(source, s->path, text_parse, out, fault);
}

static Err text_check(Object *object, Fault *fault) {
  return vocabulary_plan_check(&((TextSource *)object)->plan, "data.text", fault);
}

static void text_add_key(const Source *source, Text *out) {
  vocabulary_plan_add_key(&((const TextSource *)source)->plan, out);
}

static const char *const predict_names[] = {
    [PREDICT_NEXT] = "next", [PREDICT_EACH] = "each", NULL};

#define AT(field) .offset = offsetof(TextSource, field)

static const Option text_options[] = {
    {.name = "path", .kind = OPT_TEXT, AT(path), .position = 1,
     .doc = "text file in UTF-8, plain or gzipped"},
    {.name = "length", .kind = OPT_INT, AT(length), .value = "32", .lo = 1, .hi = 1e6,
     .doc = "characters, or words, in a window"},
    {.name = "step", .kind = OPT_INT, AT(step), .value = "0", .lo = 0, .hi = 1e9,
     .doc = "characters, or words, from the start of a window to that of the next; 0: "
            "length"},
    {.name = "predict", .kind = OPT_CHOICE, AT(predict), .value = "next",
     .choices = predict_names,
     .doc = "next: y is the character, or word, after the window, [n]; each: at "
            "each place of the window the one after it, [n, length]"},
    VOCABULARY_OPTIONS(TextSource, plan, "false"),
    PACKAGE_OPTION(TextSource, package),
    {0}};

const SourceKind dataset_text = {
    .kind = {.name = "text",
             .family = &dataset_family,
             .size = sizeof(TextSource),
             .options = text_options,
             .check = text_check,
             .deinit = source_deinit,
             .call = "data.text \"book.txt\"",
             .doc = "Windows [length] of the characters, or words, of a text, by "
                    "number, for predicting the next one. The tokens are the class "
                    "names, and set.vocabulary makes texts of numbers. nn.Embedding "
                    "takes x as it is; x:one_hot(classes) makes inputs for other "
                    "layers."},
    .add_key = text_add_key,
    .load = text_load};
