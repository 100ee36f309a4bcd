/* option_object.c: options that are objects of families, functions of the user, and
 * things of upper floors. */
#include "base/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- object ------------------------------------------------------------------------ */

static void object_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  const char *name = opt->family->name;
  snprintf(buffer, n_bytes, "%s %s or its name%s",
           strchr("aeiou", name[0]) ? "an" : "a", name,
           opt->family->from_function ? ", or a function" : "");
}

/* The new value in place of the old. */
static Err put_object(Object **field, Object *object, const Fault *fault) {
  if (!object) return fault ? fault->code : ERR_VALUE;
  object_release(*field);
  *field = object;
  return ERR_OK;
}

static Err object_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  return put_object(option_field(o, opt), given_object(o, opt, given, fault), fault);
}

static void object_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  Object *object = *(Object *const *)field;
  if (object) *out = (Value){.kind = VALUE_OBJECT, .as.ref = object};
}

static void object_clear(void *field, const Option *opt) {
  (void)opt;
  object_release(*(Object **)field);
  *(Object **)field = NULL;
}

static Object *object_nested(const void *field, int i) {
  return i ? NULL : *(Object *const *)field;
}

const OptionType option_object = {.allowed = object_allowed, .set = object_set,
                                  .get = object_get, .clear = object_clear,
                                  .nested = object_nested};

/* -- objects ----------------------------------------------------------------------- */

static void objects_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  snprintf(buffer, n_bytes, "a list of %ss", opt->family->name);
}

static void objects_clear(void *field, const Option *opt) {
  (void)opt;
  ObjectList *list = field;
  for (int i = 0; i < list->n; i++) object_release(list->v[i]);
  free(list->v);
  *list = (ObjectList){0};
}

static Err objects_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  bool listed = given->value.kind == VALUE_LIST;
  int n = listed ? given->value.as.n_items : 1;
  ObjectList list = {0, calloc((size_t)n + 1, sizeof *list.v)};
  if (!list.v) return fault_memory(fault, ((size_t)n + 1) * sizeof *list.v);
  for (; list.n < n; list.n++) {
    Given item = *given;
    if (listed) given_item(given, list.n, &item);
    list.v[list.n] = given_object(o, opt, &item, fault);
    if (listed) given_done(&item);
    if (!list.v[list.n]) break;
  }
  ObjectList *field = option_field(o, opt);
  bool made = list.n == n;
  objects_clear(made ? field : &list, opt);
  if (made) *field = list;
  return made ? ERR_OK : fault ? fault->code : ERR_VALUE;
}

static void objects_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_LIST, .as.n_items = ((const ObjectList *)field)->n};
}

static void objects_item(const void *field, int i, Value *out) {
  *out = (Value){.kind = VALUE_OBJECT, .as.ref = ((const ObjectList *)field)->v[i]};
}

static Object *objects_nested(const void *field, int i) {
  const ObjectList *list = field;
  return i < list->n ? list->v[i] : NULL;
}

const OptionType option_objects = {
    .allowed = objects_allowed, .set = objects_set, .get = objects_get,
    .item = objects_item,
    .clear = objects_clear, .nested = objects_nested, .gathers = true};

/* -- word_or_object ---------------------------------------------------------------- */

static void word_or_object_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  option_words_allowed(opt->choices, buffer, n_bytes);
  size_t used = strlen(buffer);
  snprintf(buffer + used, n_bytes - used, ", or ");
  used = strlen(buffer);
  object_allowed(opt, buffer + used, n_bytes - used);
}

static int word_index(const Option *opt, const Value *value) {
  for (int i = 0; value->kind == VALUE_TEXT && opt->choices[i]; i++)
    if (strcmp(opt->choices[i], value->as.text) == 0) return i;
  return WORD_NONE;
}

static Err word_or_object_set(Object *o, const Option *opt, const Given *given,
                              Fault *fault) {
  WordOrObject *field = option_field(o, opt);
  int word = word_index(opt, &given->value);
  Object *object = word == WORD_NONE ? given_object(o, opt, given, fault) : NULL;
  if (word == WORD_NONE && !object) return fault ? fault->code : ERR_VALUE;
  object_release(field->object);
  *field = (WordOrObject){word, object};
  return ERR_OK;
}

static void word_or_object_get(const void *field, const Option *opt, Value *out) {
  const WordOrObject *value = field;
  *out = value->object
             ? (Value){.kind = VALUE_OBJECT, .as.ref = value->object}
             : (Value){.kind = VALUE_TEXT, .as.text = opt->choices[value->word]};
}

static void word_or_object_clear(void *field, const Option *opt) {
  (void)opt;
  object_release(((WordOrObject *)field)->object);
  *(WordOrObject *)field = (WordOrObject){0};
}

static Object *word_or_object_nested(const void *field, int i) {
  return i ? NULL : ((const WordOrObject *)field)->object;
}

const OptionType option_word_or_object = {
    .allowed = word_or_object_allowed, .set = word_or_object_set,
    .get = word_or_object_get,
    .clear = word_or_object_clear, .nested = word_or_object_nested};

/* -- call -------------------------------------------------------------------------- */

static void call_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  (void)opt;
  snprintf(buffer, n_bytes, "a function");
}

static Err call_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  Callable **field = option_field(o, opt), *call = given_call(o, opt, given, fault);
  if (!call) return fault ? fault->code : ERR_VALUE;
  callable_release(*field);
  *field = call;
  return ERR_OK;
}

static void call_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  Callable *call = *(Callable *const *)field;
  if (call) *out = (Value){.kind = VALUE_HELD, .as.ref = call};
}

static void call_clear(void *field, const Option *opt) {
  (void)opt;
  callable_release(*(Callable **)field);
  *(Callable **)field = NULL;
}

const OptionType option_call = {.allowed = call_allowed, .set = call_set,
                                .get = call_get,
                                .clear = call_clear, .textless = true};

/* -- ref --------------------------------------------------------------------------- */

static void ref_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  snprintf(buffer, n_bytes, "a %s", opt->ref_type->name);
}

static void ref_clear(void *field, const Option *opt) {
  void **thing = field;
  if (*thing) opt->ref_type->release(*thing);
  *thing = NULL;
}

static Err ref_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  void **field = option_field(o, opt), *thing = given_ref(o, opt, given, fault);
  if (!thing) return fault ? fault->code : ERR_VALUE;
  ref_clear(field, opt);
  *field = thing;
  return ERR_OK;
}

static void ref_get(const void *field, const Option *opt, Value *out) {
  void *thing = *(void *const *)field;
  if (thing)
    *out = (Value){.kind = VALUE_REF, .ref_type = opt->ref_type, .as.ref = thing};
}

const OptionType option_ref = {.allowed = ref_allowed, .set = ref_set, .get = ref_get,
                               .clear = ref_clear, .textless = true};

/* -- refs -------------------------------------------------------------------------- */

static void refs_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  snprintf(buffer, n_bytes, "a %s, or a list of them", opt->ref_type->name);
}

static void refs_clear(void *field, const Option *opt) {
  RefList *list = field;
  for (int i = 0; i < list->n; i++) opt->ref_type->release(list->v[i]);
  free(list->v);
  *list = (RefList){0};
}

static Err refs_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  bool listed = given->value.kind == VALUE_LIST;
  int n = listed ? given->value.as.n_items : 1;
  RefList list = {0, calloc((size_t)n + 1, sizeof *list.v), opt->ref_type};
  if (!list.v) return fault_memory(fault, ((size_t)n + 1) * sizeof *list.v);
  for (; list.n < n; list.n++) {
    Given item = *given;
    if (listed) given_item(given, list.n, &item);
    list.v[list.n] = given_ref(o, opt, &item, fault);
    if (listed) given_done(&item);
    if (!list.v[list.n]) break;
  }
  RefList *field = option_field(o, opt);
  bool made = list.n == n;
  refs_clear(made ? field : &list, opt);
  if (made) *field = list;
  return made ? ERR_OK : fault ? fault->code : ERR_VALUE;
}

static void refs_get(const void *field, const Option *opt, Value *out) {
  (void)opt;
  *out = (Value){.kind = VALUE_LIST, .as.n_items = ((const RefList *)field)->n};
}

static void refs_item(const void *field, int i, Value *out) {
  const RefList *list = field;
  *out = (Value){.kind = VALUE_REF, .ref_type = list->type, .as.ref = list->v[i]};
}

const OptionType option_refs = {
    .allowed = refs_allowed, .set = refs_set, .get = refs_get, .item = refs_item,
    .clear = refs_clear, .textless = true};
