/* option_number.c: options that are truth values, numbers, and lists or pairs of
 * numbers. */
#include "base/record.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- ranges ------------------------------------------------------------------------ */

static bool has_range(const Option *opt) { return opt->lo != 0 || opt->hi != 0; }

static bool in_range(const Option *opt, double value) {
  if (!isfinite(value)) return false;
  if (!has_range(opt)) return true;
  return (opt->open ? value > opt->lo : value >= opt->lo) &&
         (opt->open_hi ? value < opt->hi : value <= opt->hi);
}

/* Both ends, and whether they belong to the range: the words say what in_range checks.
 * `what`: "a number"; `any`: the words where there is no range. */
static void describe_range(const Option *opt, const char *what, const char *any,
                           char *buffer, size_t n_bytes) {
  char lo[32], hi[32];
  if (!has_range(opt)) snprintf(buffer, n_bytes, "%s", any);
  else
    snprintf(buffer, n_bytes, "%s %s %s %s %s", what, opt->open ? "above" : "from",
             text_number(lo, opt->lo),
             opt->open_hi ? (opt->open ? "and below" : "to below")
                          : (opt->open ? "and up to" : "to"),
             text_number(hi, opt->hi));
}

/* Appends, as snprintf does. */
static void add_words(char *buffer, size_t n_bytes, const char *words) {
  size_t used = strlen(buffer);
  snprintf(buffer + used, n_bytes - used, "%s", words);
}

/* The value as one integer in the option's range, or a refusal. */
static Err take_integer(const Object *o, const Option *opt, const Given *given,
                        int64_t *out, Fault *fault) {
  int64_t value;
  if (!given_integer(given, &value) ||
      !(given->trusted || in_range(opt, (double)value)))
    return option_refuse_given(o, opt, given, fault);
  *out = value;
  return ERR_OK;
}

/* -- bool -------------------------------------------------------------------------- */

static void bool_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  (void)opt;
  snprintf(buffer, n_bytes, "true or false");
}

static Err bool_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  if (given->value.kind != VALUE_BOOL) return option_refuse_given(o, opt, given, fault);
  *(bool *)option_field(o, opt) = given->value.as.boolean;
  return ERR_OK;
}

static void bool_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_BOOL, .as.boolean = *(const bool *)field};
}

const OptionType option_bool = {
    .allowed = bool_allowed, .set = bool_set, .get = bool_get};

/* -- int --------------------------------------------------------------------------- */

static void int_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  size_t used = opt->yes ? (size_t)snprintf(buffer, n_bytes, "true, false, or ") : 0;
  if (used < n_bytes)
    describe_range(opt, "an integer", "an integer", buffer + used, n_bytes - used);
}

static Err int_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  bool is_bool = given->value.kind == VALUE_BOOL;
  const char *number = !is_bool ? NULL : given->value.as.boolean ? opt->yes : opt->no;
  if (!number) return take_integer(o, opt, given, option_field(o, opt), fault);
  *(int64_t *)option_field(o, opt) = strtoll(number, NULL, 10);
  return ERR_OK;
}

static void int_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_INT, .as.integer = *(const int64_t *)field};
}

const OptionType option_int = {.allowed = int_allowed, .set = int_set, .get = int_get};

/* -- real -------------------------------------------------------------------------- */

static void real_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  size_t used = opt->yes ? (size_t)snprintf(buffer, n_bytes, "true, false, or ") : 0;
  if (used < n_bytes)
    describe_range(opt, "a number", "a finite number", buffer + used, n_bytes - used);
}

/* One number in the option's range, or a refusal. */
static Err take_real(const Object *o, const Option *opt, const Given *given,
                     double *out, Fault *fault) {
  const Value *v = &given->value;
  bool number = v->kind == VALUE_REAL || v->kind == VALUE_INT;
  double value = v->kind == VALUE_INT ? (double)v->as.integer : v->as.real;
  if (!number || !(given->trusted || in_range(opt, value)))
    return option_refuse_given(o, opt, given, fault);
  *out = value;
  return ERR_OK;
}

static Err real_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  return take_real(o, opt, given, option_field(o, opt), fault);
}

static void real_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_REAL, .as.real = *(const double *)field};
}

static void real_clear(void *field, const Option *opt) {
  (void)opt;
  *(double *)field = NAN;
}

const OptionType option_real = {
    .allowed = real_allowed, .set = real_set, .get = real_get, .clear = real_clear};

/* -- ints -------------------------------------------------------------------------- */

static void ints_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  char lo[32], hi[32];
  if (has_range(opt))
    snprintf(buffer, n_bytes, "an integer from %s to %s, or a list of such",
             text_number(lo, opt->lo), text_number(hi, opt->hi));
  else snprintf(buffer, n_bytes, "a list of integers");
}

/* The items of a list of at most `most`, or one integer, into `out`; how many into
 * *n. */
static Err take_integers(const Object *o, const Option *opt, const Given *given,
                         int64_t *out, int most, int *n, Fault *fault) {
  *n = 1;
  if (given->value.kind != VALUE_LIST) return take_integer(o, opt, given, out, fault);
  char many[48];
  snprintf(many, sizeof many, "a list of more than %d", most);
  *n = given->value.as.n_items;
  if (*n > most) return option_refuse(o, opt, many, fault);
  Err err = ERR_OK;
  for (int i = 0; !err && i < *n; i++) {
    Given item;
    given_item(given, i, &item);
    err = given_integer(&item, &out[i])
              ? take_integer(o, opt, &item, &out[i], fault)
              : option_refuse(o, opt, "a list with something else", fault);
    given_done(&item);
  }
  return err;
}

static Err ints_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  IntList list = {0};
  enum { MOST = sizeof list.v / sizeof list.v[0] };
  Err err = take_integers(o, opt, given, list.v, MOST, &list.n, fault);
  if (!err) *(IntList *)option_field(o, opt) = list;
  return err;
}

static void ints_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_LIST, .as.n_items = ((const IntList *)field)->n};
}

static void ints_item(const void *field, int i, Value *out) {
  *out = (Value){.kind = VALUE_INT, .as.integer = ((const IntList *)field)->v[i]};
}

const OptionType option_ints = {.allowed = ints_allowed, .set = ints_set,
                                .get = ints_get,
                                .item = ints_item, .quiet = true};

/* -- reals ------------------------------------------------------------------------- */

static void reals_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  describe_range(opt, "a number", "a finite number", buffer, n_bytes);
  add_words(buffer, n_bytes, ", or a list of such");
}

static Err reals_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  bool listed = given->value.kind == VALUE_LIST;
  RealList list = {.n = listed ? given->value.as.n_items : 1};
  list.v = calloc((size_t)list.n + 1, sizeof *list.v);
  if (!list.v) return fault_memory(fault, ((size_t)list.n + 1) * sizeof *list.v);
  Err err = listed ? ERR_OK : take_real(o, opt, given, list.v, fault);
  for (int i = 0; listed && !err && i < list.n; i++) {
    Given item;
    given_item(given, i, &item);
    err = take_real(o, opt, &item, &list.v[i], fault);
    given_done(&item);
  }
  RealList *field = option_field(o, opt);
  free(err ? list.v : field->v);
  if (!err) *field = list;
  return err;
}

static void reals_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_LIST, .as.n_items = ((const RealList *)field)->n};
}

static void reals_item(const void *field, int i, Value *out) {
  *out = (Value){.kind = VALUE_REAL, .as.real = ((const RealList *)field)->v[i]};
}

static void reals_clear(void *field, const Option *opt) {
  (void)opt;
  free(((RealList *)field)->v);
  *(RealList *)field = (RealList){0};
}

const OptionType option_reals = {.allowed = reals_allowed, .set = reals_set,
                                 .get = reals_get,
                                 .item = reals_item, .clear = reals_clear,
                                 .quiet = true};

/* -- pair, sides, int_or_word ------------------------------------------------------ */

/* Behind what is said of numbers: the words. */
static void add_choices(const Option *opt, char *buffer, size_t n_bytes) {
  if (!opt->choices) return;
  add_words(buffer, n_bytes, ", or ");
  size_t used = strlen(buffer);
  option_words_allowed(opt->choices, buffer + used, n_bytes - used);
}

static void pair_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  describe_range(opt, "an integer", "an integer", buffer, n_bytes);
  add_words(buffer, n_bytes, ", or two, as in { 3, 5 }");
  add_choices(opt, buffer, n_bytes);
}

static Err pair_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  IntPair pair = {.word = WORD_NONE};
  int n = 2;
  Err err = given->value.kind == VALUE_TEXT && opt->choices
                ? option_word(o, opt, given->value.as.text, &pair.word, fault)
                : take_integers(o, opt, given, pair.v, 2, &n, fault);
  if (err) return err;
  if (given->value.kind == VALUE_LIST && n != 2)
    return option_refuse(o, opt, n ? "a list of one" : "an empty list", fault);
  if (n == 1) pair.v[1] = pair.v[0];
  *(IntPair *)option_field(o, opt) = pair;
  return ERR_OK;
}

static void pair_get(const void *field, const Option *opt, Value *out) {
  const IntPair *pair = field;
  if (opt->choices && pair->word != WORD_NONE)
    *out = (Value){.kind = VALUE_TEXT, .as.text = opt->choices[pair->word]};
  else *out = (Value){.kind = VALUE_LIST, .as.n_items = 2};
}

static void pair_item(const void *field, int i, Value *out) {
  *out = (Value){.kind = VALUE_INT, .as.integer = ((const IntPair *)field)->v[i]};
}

const OptionType option_pair = {
    .allowed = pair_allowed, .set = pair_set, .get = pair_get, .item = pair_item};

static void sides_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  describe_range(opt, "an integer", "an integer", buffer, n_bytes);
  add_words(buffer, n_bytes,
            ", two for rows and columns, as in { 3, 5 }, or four for top, bottom, left "
            "and right");
  add_choices(opt, buffer, n_bytes);
}

static Err sides_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  Sides sides = {.word = WORD_NONE, .n = 2};
  int n = 2;
  Err err = given->value.kind == VALUE_TEXT && opt->choices
                ? option_word(o, opt, given->value.as.text, &sides.word, fault)
                : take_integers(o, opt, given, sides.v, 4, &n, fault);
  if (err) return err;
  if (given->value.kind == VALUE_LIST && n != 2 && n != 4) {
    char got[32];
    snprintf(got, sizeof got, "a list of %d", n);
    return option_refuse(o, opt, got, fault);
  }
  if (n == 1) sides.v[1] = sides.v[0];
  if (n == 4) sides.n = 4;
  *(Sides *)option_field(o, opt) = sides;
  return ERR_OK;
}

static void sides_get(const void *field, const Option *opt, Value *out) {
  const Sides *sides = field;
  if (opt->choices && sides->word != WORD_NONE)
    *out = (Value){.kind = VALUE_TEXT, .as.text = opt->choices[sides->word]};
  else *out = (Value){.kind = VALUE_LIST, .as.n_items = sides->n};
}

static void sides_item(const void *field, int i, Value *out) {
  *out = (Value){.kind = VALUE_INT, .as.integer = ((const Sides *)field)->v[i]};
}

const OptionType option_sides = {
    .allowed = sides_allowed, .set = sides_set, .get = sides_get, .item = sides_item};

static void int_or_word_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  describe_range(opt, "an integer", "an integer", buffer, n_bytes);
  add_choices(opt, buffer, n_bytes);
}

static Err int_or_word_set(Object *o, const Option *opt, const Given *given,
                           Fault *fault) {
  IntOrWord value = {.word = WORD_NONE};
  Err err = given->value.kind == VALUE_TEXT
                ? option_word(o, opt, given->value.as.text, &value.word, fault)
                : take_integer(o, opt, given, &value.number, fault);
  if (!err) *(IntOrWord *)option_field(o, opt) = value;
  return err;
}

static void int_or_word_get(const void *field, const Option *opt, Value *out) {
  const IntOrWord *value = field;
  if (value->word == WORD_NONE)
    *out = (Value){.kind = VALUE_INT, .as.integer = value->number};
  else *out = (Value){.kind = VALUE_TEXT, .as.text = opt->choices[value->word]};
}

const OptionType option_int_or_word = {
    .allowed = int_or_word_allowed, .set = int_or_word_set, .get = int_or_word_get};
