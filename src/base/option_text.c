/* option_text.c: options that are texts, words out of a list, and lists of texts. */
#include "base/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- text -------------------------------------------------------------------------- */

static void text_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  (void)opt;
  snprintf(buffer, n_bytes, "a string");
}

static Err text_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  if (given->value.kind != VALUE_TEXT) return option_refuse_given(o, opt, given, fault);
  char *copy = text_copy(given->value.as.text);
  if (!copy) return fault_memory(fault, strlen(given->value.as.text) + 1);
  char **field = option_field(o, opt);
  free(*field);
  *field = copy;
  return ERR_OK;
}

static void text_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  const char *text = *(char *const *)field;
  if (text) *out = (Value){.kind = VALUE_TEXT, .as.text = text};
}

static void text_clear(void *field, const Option *opt) {
  (void)opt;
  free(*(char **)field);
  *(char **)field = NULL;
}

const OptionType option_text = {.allowed = text_allowed, .set = text_set,
                                .get = text_get,
                                .clear = text_clear, .quiet = true};

/* -- choice ------------------------------------------------------------------------ */

void option_words_allowed(const char *const *words, char *buffer, size_t n_bytes) {
  size_t used = (size_t)snprintf(buffer, n_bytes, "one of");
  for (int i = 0; words[i] && used < n_bytes; i++)
    used += (size_t)snprintf(buffer + used, n_bytes - used, "%s \"%s\"", i ? "," : "",
                             words[i]);
}

Err option_word(const Object *o, const Option *opt, const char *word, int *out,
                Fault *fault) {
  int n = 0;
  for (; opt->choices[n]; n++)
    if (strcmp(opt->choices[n], word) == 0) {
      *out = n;
      return ERR_OK;
    }
  const char *nearest = text_nearest(word, opt->choices, n);
  char got[192];
  snprintf(got, sizeof got,
           nearest ? "\"%.64s\" (did you mean \"%.64s\"?)" : "\"%.64s\"", word,
           nearest);
  return option_refuse(o, opt, got, fault);
}

static void choice_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  option_words_allowed(opt->choices, buffer, n_bytes);
  size_t used = strlen(buffer);
  if (opt->yes)
    snprintf(buffer + used, n_bytes - used, ", or true, which is \"%s\"", opt->yes);
  used = strlen(buffer);
  if (opt->no)
    snprintf(buffer + used, n_bytes - used, ", or false, which is \"%s\"", opt->no);
}

/* A choice between "auto", "true" and "false" takes booleans too, and one that says
 * what they stand for. */
static Err choice_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  const Value *v = &given->value;
  const char *word = v->kind == VALUE_TEXT ? v->as.text : NULL;
  if (v->kind == VALUE_BOOL) {
    word = v->as.boolean ? opt->yes : opt->no;
    if (!word) word = v->as.boolean ? "true" : "false";
  }
  if (!word) return option_refuse_given(o, opt, given, fault);
  return option_word(o, opt, word, option_field(o, opt), fault);
}

static void choice_get(const void *field, const Option *opt, Value *out) {
  *out = (Value){.kind = VALUE_TEXT, .as.text = opt->choices[*(const int *)field]};
}

const OptionType option_choice = {
    .allowed = choice_allowed, .set = choice_set, .get = choice_get};

/* -- texts ------------------------------------------------------------------------- */

static void texts_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  (void)opt;
  snprintf(buffer, n_bytes, "a string, a number, or a list of them");
}

static void texts_clear(void *field, const Option *opt) {
  (void)opt;
  TextList *list = field;
  for (int i = 0; i < list->n; i++) free(list->v[i]);
  free(list->v);
  free(list->number);
  *list = (TextList){0};
}

/* The text of one item into list->v[list->n], or false: it is neither text nor
 * number. */
static bool take_text(TextList *list, const Given *given) {
  const Value *v = &given->value;
  char number[32];
  bool integer = v->kind == VALUE_INT;
  const char *text = v->kind == VALUE_TEXT ? v->as.text : number;
  list->number[list->n] = integer || v->kind == VALUE_REAL;
  if (list->number[list->n])
    text_number(number, integer ? (double)v->as.integer : v->as.real);
  else if (v->kind != VALUE_TEXT) return false;
  list->v[list->n] = text_copy(text);
  return true;
}

static Err take_texts(const Object *o, const Option *opt, const Given *given,
                      TextList *list, int n, Fault *fault) {
  bool listed = given->value.kind == VALUE_LIST, fits = true;
  for (; list->n < n; list->n++) {
    Given item = *given;
    if (listed) given_item(given, list->n, &item);
    fits = take_text(list, &item);
    if (listed) given_done(&item);
    if (!fits || !list->v[list->n]) break;
  }
  if (list->n == n) return ERR_OK;
  if (fits) return fault_memory(fault, 0);
  return listed ? option_refuse(o, opt, "a list with something else", fault)
                : option_refuse_given(o, opt, given, fault);
}

/* Numbers in the list stay numbers: `number` marks them, so that the text "3" stays a
 * text. */
static Err texts_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  int n = given->value.kind == VALUE_LIST ? given->value.as.n_items : 1;
  TextList list = {0, calloc((size_t)n + 1, sizeof *list.v),
                   calloc((size_t)n + 1, sizeof *list.number)};
  Err err = list.v && list.number
                ? take_texts(o, opt, given, &list, n, fault)
                : fault_memory(fault, ((size_t)n + 1) * sizeof *list.v);
  TextList *field = option_field(o, opt);
  texts_clear(err ? &list : field, opt);
  if (!err) *field = list;
  return err;
}

static void texts_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_LIST, .as.n_items = ((const TextList *)field)->n};
}

static void texts_item(const void *field, int i, Value *out) {
  const TextList *list = field;
  *out = (Value){.kind = VALUE_TEXT, .as.text = list->v[i]};
  if (!list->number[i]) return;
  char *end;
  long long integer = strtoll(list->v[i], &end, 10);
  *out = *end ? (Value){.kind = VALUE_REAL, .as.real = strtod(list->v[i], NULL)}
              : (Value){.kind = VALUE_INT, .as.integer = integer};
}

const OptionType option_texts = {.allowed = texts_allowed, .set = texts_set,
                                 .get = texts_get,
                                 .item = texts_item, .clear = texts_clear,
                                 .quiet = true};
