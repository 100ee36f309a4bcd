/* record.c: objects from records: defaults, options by name and position, checks.
 *
 * Every option is written by option_set, which checks type and range, so an object
 * never holds a value that its record does not allow. It leaves the object as it was
 * when it refuses. */
#include "base/record.h"
#include "base/hash.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- labels and messages ----------------------------------------------------------- */

char *kind_label(const Kind *kind, char *buffer, size_t n_bytes) {
  snprintf(buffer, n_bytes, "%s.%s", kind->family->module, kind->name);
  return buffer;
}

/* -- lookup ------------------------------------------------------------------------ */

int option_count(const Kind *kind) {
  int n = 0;
  while (kind->options && kind->options[n].name) n++;
  return n;
}

const Option *option_named(const Kind *kind, const char *name) {
  for (const Option *opt = kind->options; opt && opt->name; opt++)
    if (strcmp(opt->name, name) == 0 || text_has_word(opt->alias, name)) return opt;
  return NULL;
}

const Option *option_find(const Kind *kind, const char *name, Fault *fault) {
  const Option *found = option_named(kind, name);
  if (found) return found;
  const char *names[65] = {0};
  int n = option_count(kind);
  must(n <= 64);
  for (int i = 0; i < n; i++) names[i] = kind->options[i].name;
  char label[96];
  const char *nearest = text_nearest(name, names, n);
  kind_label(kind, label, sizeof label);
  if (nearest)
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; did you mean \"%s\"?",
              label, name, nearest);
  else if (n == 0)
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; it has no options", label,
              name);
  else {
    char list[512];
    option_words_allowed(names, list, sizeof list);
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; allowed: %s", label, name,
              list);
  }
  return NULL;
}

const Option *option_at(const Kind *kind, int position) {
  for (const Option *opt = kind->options; opt && opt->name; opt++)
    if (opt->position == position) return opt;
  return NULL;
}

enum { MAX_KINDS = 128 };

static int kind_names(const Family *family, const char *names[MAX_KINDS + 1]) {
  int n = 0;
  for (; family->kinds[n]; n++) {
    must(n < MAX_KINDS);
    names[n] = family->kinds[n]->name;
  }
  names[n] = NULL;
  return n;
}

const char *family_nearest(const Family *family, const char *name) {
  const char *names[MAX_KINDS + 1];
  return text_nearest(name, names, kind_names(family, names));
}

const Kind *family_find(const Family *family, const char *name, Fault *fault) {
  for (int i = 0; family->kinds[i]; i++) {
    const Kind *kind = family->kinds[i];
    if (strcmp(kind->name, name) == 0 || text_has_word(kind->alias, name)) return kind;
  }
  if (!fault) return NULL;
  const char *names[MAX_KINDS + 1], *nearest = family_nearest(family, name);
  if (nearest)
    fault_set(fault, ERR_VALUE, "unknown %s \"%s\"; did you mean \"%s\"?", family->name,
              name, nearest);
  else {
    char list[1024];
    kind_names(family, names);
    option_words_allowed(names, list, sizeof list);
    fault_set(fault, ERR_VALUE, "unknown %s \"%s\"; allowed: %s", family->name, name,
              list);
  }
  return NULL;
}

Object *family_make(const Family *family, const char *name, Fault *fault) {
  const Kind *kind = family_find(family, name, fault);
  Object *object = kind ? object_new(kind, fault) : NULL;
  if (object && object_ready(object, NULL, fault)) {
    object_release(object);
    return NULL;
  }
  return object;
}

/* -- life -------------------------------------------------------------------------- */

/* A default as it is written in a record: true, a number, or a text. */
static Given given_of_text(const char *text) {
  char *end;
  double number = strtod(text, &end);
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
    return (Given){.value = {.kind = VALUE_BOOL, .as.boolean = *text == 't'}};
  if (end != text && !*end)
    return (Given){.value = {.kind = VALUE_REAL, .as.real = number}};
  return (Given){.value = {.kind = VALUE_TEXT, .as.text = text}};
}

/* Without one the field stays zero. */
static Err option_set_default(Object *o, const Option *opt, Fault *fault) {
  if (!opt->value) return ERR_OK;
  Given given = given_of_text(opt->value);
  if (strcmp(opt->value, "none") != 0) return option_set(o, opt, &given, fault);
  option_clear(o, opt);
  return ERR_OK;
}

Object *object_new(const Kind *kind, Fault *fault) {
  Object *o = calloc(1, kind->size ? kind->size : sizeof *o);
  if (!o) {
    fault_memory(fault, kind->size);
    return NULL;
  }
  o->kind = kind;
  o->refs = 1;
  for (const Option *opt = kind->options; opt && opt->name; opt++)
    if (option_set_default(o, opt, fault)) {
      object_release(o);
      return NULL;
    }
  return o;
}

void option_clear(Object *o, const Option *opt) {
  const OptionType *type = option_type(opt);
  o->version++;
  if (type->clear) type->clear(option_field(o, opt), opt);
}

Err object_ready(Object *o, const bool *given, Fault *fault) {
  for (int i = 0; given && i < option_count(o->kind); i++) {
    const Option *opt = &o->kind->options[i];
    if (opt->position && !opt->value && !given[i]) {
      char label[96], allowed[512];
      return fault_set(fault, ERR_VALUE, "%s: \"%s\" is missing: %s (%s)",
                       kind_label(o->kind, label, sizeof label), opt->name,
                       option_allowed(opt, allowed, sizeof allowed), opt->doc);
    }
  }
  return o->kind->check ? o->kind->check(o, fault) : ERR_OK;
}

void *object_retain(void *object) {
  Object *o = object;
  if (o) o->refs++;
  return o;
}

void object_release(void *object) {
  Object *o = object;
  if (!o || --o->refs > 0) return;
  if (o->kind->deinit) o->kind->deinit(o);
  for (const Option *opt = o->kind->options; opt && opt->name; opt++)
    option_clear(o, opt);
  free(o);
}

/* -- setting ----------------------------------------------------------------------- */

Err option_set(Object *o, const Option *opt, const Given *given, Fault *fault) {
  Err err = option_type(opt)->set(o, opt, given, fault);
  if (!err) o->version++;
  return err;
}

Err option_set_text(Object *o, const Option *opt, const char *value, Fault *fault) {
  Given given = {.value = {.kind = VALUE_TEXT, .as.text = value}};
  return option_set(o, opt, &given, fault);
}

Err option_set_object(Object *o, const Option *opt, Object *value, Fault *fault) {
  Given given = {.value = {.kind = VALUE_OBJECT, .as.ref = value}};
  return option_set(o, opt, &given, fault);
}

Err option_set_objects(Object *o, const Option *opt, Object *const *v, int n,
                       Fault *fault) {
  Value *items = calloc((size_t)n + 1, sizeof *items);
  if (!items) return fault_memory(fault, ((size_t)n + 1) * sizeof *items);
  for (int i = 0; i < n; i++) items[i] = (Value){.kind = VALUE_OBJECT, .as.ref = v[i]};
  Given given = {.value = {.kind = VALUE_LIST, .as.n_items = n}, .items = items};
  Err err = option_set(o, opt, &given, fault);
  free(items);
  return err;
}

Err option_set_call(Object *o, const Option *opt, Callable *value, Fault *fault) {
  Given given = {.value = {.kind = VALUE_HELD, .as.ref = value}, .what = "a function"};
  return option_set(o, opt, &given, fault);
}

/* -- what an object is made of ----------------------------------------------------- */

/* Is asked for at each step: options that hold no objects cost a look at their type. */
uint64_t object_signature(const Object *object) {
  uint64_t hash = hash_word((uint64_t)(uintptr_t)object, object ? object->version : 0);
  const Object *inner;
  if (!object) return hash;
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    Object *(*nested)(const void *, int) = option_type(opt)->nested;
    if (!nested) continue;
    const void *field = option_field(object, opt);
    for (int i = 0; (inner = nested(field, i)); i++)
      hash = hash_word(hash, object_signature(inner));
  }
  return hash;
}

bool object_has_call(const Object *object) {
  Value value;
  const Object *inner;
  if (!object) return false;
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    Object *(*nested)(const void *, int) = option_type(opt)->nested;
    const void *field = option_field(object, opt);
    option_get(object, opt, &value);
    if (value.kind == VALUE_HELD) return true;
    for (int i = 0; nested && (inner = nested(field, i)); i++)
      if (object_has_call(inner)) return true;
  }
  return false;
}
