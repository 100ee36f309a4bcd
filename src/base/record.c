/* record.c: objects from records: defaults, options by name and position, checks.
 *
 * Every option is written through one of the option_set functions, which check type and
 * range, so an object never holds a value that its record does not allow. A setter leaves
 * the object as it was when it refuses. */
#include "base/record.h"
#include "base/text.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- labels and messages ------------------------------------------------------------- */

char *kind_label(const Kind *kind, char *buffer, size_t n_bytes) {
  snprintf(buffer, n_bytes, "%s.%s", kind->family->module, kind->name);
  return buffer;
}

static void list_choices(const char *const *choices, char *buffer, size_t n_bytes) {
  size_t used = (size_t)snprintf(buffer, n_bytes, "one of");
  for (int i = 0; choices[i] && used < n_bytes; i++)
    used += (size_t)snprintf(buffer + used, n_bytes - used, "%s \"%s\"", i ? "," : "",
                             choices[i]);
}

static void describe_choice(const Option *opt, char *buffer, size_t n_bytes) {
  list_choices(opt->choices, buffer, n_bytes);
  size_t used = strlen(buffer);
  if (opt->yes)
    snprintf(buffer + used, n_bytes - used, ", or true, which is \"%s\"", opt->yes);
  used = strlen(buffer);
  if (opt->no)
    snprintf(buffer + used, n_bytes - used, ", or false, which is \"%s\"", opt->no);
}

static bool has_range(const Option *opt) { return opt->lo != 0 || opt->hi != 0; }

/* Both ends, and whether they belong to it: what is told is what is checked. */
static void describe_range(const Option *opt, char *buffer, size_t n_bytes) {
  const char *what = opt->kind == OPT_INT ? "an integer" : "a number";
  char lo[32], hi[32];
  if (!has_range(opt))
    snprintf(buffer, n_bytes, opt->kind == OPT_INT ? "an integer" : "a finite number");
  else
    snprintf(buffer, n_bytes, "%s %s %s %s %s", what, opt->open ? "above" : "from",
             text_number(lo, opt->lo),
             opt->open_hi ? (opt->open ? "and below" : "to below")
                          : (opt->open ? "and up to" : "to"),
             text_number(hi, opt->hi));
}

/* Each integer of a list is in the range; one alone is a list of one. */
static void describe_list(const Option *opt, char *buffer, size_t n_bytes) {
  char lo[32], hi[32];
  if (has_range(opt))
    snprintf(buffer, n_bytes, "an integer from %s to %s, or a list of such",
             text_number(lo, opt->lo), text_number(hi, opt->hi));
  else
    snprintf(buffer, n_bytes, "a list of integers");
}

char *option_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  switch (opt->kind) {
  case OPT_BOOL: snprintf(buffer, n_bytes, "true or false"); break;
  case OPT_INT:
  case OPT_REAL: {
    size_t used = opt->yes ? (size_t)snprintf(buffer, n_bytes, "true, false, or ") : 0;
    if (used < n_bytes) describe_range(opt, buffer + used, n_bytes - used);
    break;
  }
  case OPT_TEXT: snprintf(buffer, n_bytes, "a string"); break;
  case OPT_CHOICE: describe_choice(opt, buffer, n_bytes); break;
  case OPT_INTS: describe_list(opt, buffer, n_bytes); break;
  case OPT_TEXTS:
    snprintf(buffer, n_bytes, "a string, a number, or a list of them");
    break;
  case OPT_OBJECT:
    snprintf(buffer, n_bytes, "%s %s or its name%s", strchr("aeiou", opt->family->name[0]) ?
             "an" : "a", opt->family->name,
             opt->family->from_function ? ", or a function" : "");
    break;
  case OPT_OBJECTS: snprintf(buffer, n_bytes, "a list of %ss", opt->family->name); break;
  case OPT_CALL: snprintf(buffer, n_bytes, "a function"); break;
  case OPT_REF: snprintf(buffer, n_bytes, "a %s", opt->ref_type); break;
  case OPT_NONE: buffer[0] = 0; break;
  }
  return buffer;
}

static Err refuse(const Object *o, const Option *opt, const char *got, const char *allowed,
                  Fault *fault) {
  char label[96];
  return fault_set(fault, ERR_VALUE, "%s: option \"%s\": got %s, allowed: %s%s%s",
                   kind_label(o->kind, label, sizeof label), opt->name, got, allowed,
                   opt->hint ? "; " : "", opt->hint ? opt->hint : "");
}

static Err option_refuse(const Object *o, const Option *opt, const char *got, Fault *fault) {
  char allowed[512];
  return refuse(o, opt, got, option_allowed(opt, allowed, sizeof allowed), fault);
}

static Err option_refuse_number(const Object *o, const Option *opt, double value,
                                Fault *fault) {
  char got[32], allowed[512];
  option_allowed(opt, allowed, sizeof allowed);
  return refuse(o, opt, text_number(got, value), allowed, fault);
}

Err option_wrong_type(const Object *o, const Option *opt, const char *got, Fault *fault) {
  return option_refuse(o, opt, got, fault);
}

/* -- lookup -------------------------------------------------------------------------- */

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
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; did you mean \"%s\"?", label,
              name, nearest);
  else if (n == 0)
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; it has no options", label, name);
  else {
    char list[512];
    list_choices(names, list, sizeof list);
    fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; allowed: %s", label, name, list);
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
    list_choices(names, list, sizeof list);
    fault_set(fault, ERR_VALUE, "unknown %s \"%s\"; allowed: %s", family->name, name, list);
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

/* -- life ---------------------------------------------------------------------------- */

static Err option_set_default(Object *o, const Option *opt, Fault *fault) {
  const char *value = opt->value;
  if (opt->kind == OPT_REAL && (!value || strcmp(value, "none") == 0)) {
    *(double *)option_field(o, opt) = value ? NAN : 0;
    return ERR_OK;
  }
  if (!value || strcmp(value, "none") == 0) return ERR_OK;
  switch (opt->kind) {
  case OPT_BOOL: return option_set_bool(o, opt, strcmp(value, "true") == 0, fault);
  case OPT_INT:
    if (opt->yes && !isdigit((unsigned char)*value))
      return option_set_bool(o, opt, strcmp(value, "true") == 0, fault);
    return option_set_number(o, opt, strtod(value, NULL), fault);
  case OPT_REAL: return option_set_number(o, opt, strtod(value, NULL), fault);
  case OPT_TEXT:
  case OPT_CHOICE: return option_set_text(o, opt, value, fault);
  case OPT_OBJECT: {
    Object *object = family_make(opt->family, value, fault);
    Err err = object ? option_set_object(o, opt, object, fault) : fault->code;
    object_release(object);
    return err;
  }
  default: must(!"a default that can be written as text"); return ERR_OK;
  }
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

static void objects_free(ObjectList *list) {
  for (int i = 0; i < list->n; i++) object_release(list->v[i]);
  free(list->v);
  *list = (ObjectList){0};
}

static void texts_free(TextList *list) {
  for (int i = 0; i < list->n; i++) free(list->v[i]);
  free(list->v);
  free(list->number);
  *list = (TextList){0};
}

void option_clear(Object *o, const Option *opt) {
  void *field = option_field(o, opt);
  o->version++;
  switch (opt->kind) {
  case OPT_REAL: *(double *)field = NAN; break;
  case OPT_TEXT:
    free(*(char **)field);
    *(char **)field = NULL;
    break;
  case OPT_TEXTS: texts_free(field); break;
  case OPT_OBJECT:
    object_release(*(Object **)field);
    *(Object **)field = NULL;
    break;
  case OPT_OBJECTS: objects_free(field); break;
  case OPT_CALL:
    callable_release(*(Callable **)field);
    *(Callable **)field = NULL;
    break;
  default: break;
  }
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
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) option_clear(o, opt);
  free(o);
}

const char *value_text(const Value *value, char *buffer, size_t n_bytes) {
  static const char *const texts[] = {
      [VALUE_NIL] = "nothing",       [VALUE_BOOL] = "a boolean", [VALUE_INT] = "a number",
      [VALUE_REAL] = "a number",     [VALUE_TEXT] = "a string",  [VALUE_INTS] = "a list",
      [VALUE_NODE] = "a tensor",     [VALUE_OBJECT] = "an object",
      [VALUE_FIELDS] = "a table"};
  if (value->kind < VALUE_OTHER) return texts[value->kind];
  if (value->kind == VALUE_OTHER) snprintf(buffer, n_bytes, "a %s", value->as.text);
  else snprintf(buffer, n_bytes, "%lld values", (long long)value->as.integer);
  return buffer;
}

Callable *callable_retain(Callable *callable) {
  if (callable) callable->refs++;
  return callable;
}

void callable_release(Callable *callable) {
  if (callable && --callable->refs == 0) callable->free(callable);
}

/* -- setting ------------------------------------------------------------------------- */

static Err option_set_choice(Object *o, const Option *opt, const char *value, Fault *fault) {
  int n = 0;
  for (; opt->choices[n]; n++)
    if (strcmp(opt->choices[n], value) == 0) {
      *(int *)option_field(o, opt) = n;
      o->version++;
      return ERR_OK;
    }
  const char *nearest = text_nearest(value, opt->choices, n);
  char got[192];
  snprintf(got, sizeof got, nearest ? "\"%.64s\" (did you mean \"%.64s\"?)" : "\"%.64s\"",
           value, nearest);
  return option_refuse(o, opt, got, fault);
}

/* A choice between "auto", "true" and "false" takes booleans too, and one that says what they
 * stand for. */
Err option_set_bool(Object *o, const Option *opt, bool value, Fault *fault) {
  const char *stands = value ? opt->yes : opt->no;
  if (opt->kind == OPT_CHOICE)
    return option_set_choice(o, opt, stands ? stands : value ? "true" : "false", fault);
  if (opt->kind != OPT_BOOL && !(opt->kind == OPT_INT && stands))
    return option_refuse(o, opt, value ? "true" : "false", fault);
  if (opt->kind == OPT_BOOL) *(bool *)option_field(o, opt) = value;
  else *(int64_t *)option_field(o, opt) = strtoll(stands, NULL, 10);
  o->version++;
  return ERR_OK;
}

static bool in_range(const Option *opt, double value) {
  if (!isfinite(value)) return false;
  if (!has_range(opt)) return true;
  return (opt->open ? value > opt->lo : value >= opt->lo) &&
         (opt->open_hi ? value < opt->hi : value <= opt->hi);
}

Err option_set_number(Object *o, const Option *opt, double value, Fault *fault) {
  bool integral = value == floor(value) && fabs(value) <= 0x1p53;
  bool typed = opt->kind == OPT_REAL || (opt->kind == OPT_INT && integral);
  if (opt->kind == OPT_TEXTS) {
    char text[32];
    const char *one = text_number(text, value);
    return option_set_texts(o, opt, &one, &(bool){true}, 1, fault);
  }
  if (!typed || !in_range(opt, value)) return option_refuse_number(o, opt, value, fault);
  if (opt->kind == OPT_INT) *(int64_t *)option_field(o, opt) = (int64_t)value;
  else *(double *)option_field(o, opt) = value;
  o->version++;
  return ERR_OK;
}

Err option_set_text(Object *o, const Option *opt, const char *value, Fault *fault) {
  if (opt->kind == OPT_CHOICE) return option_set_choice(o, opt, value, fault);
  if (opt->kind == OPT_TEXTS) return option_set_texts(o, opt, &value, NULL, 1, fault);
  if (opt->kind == OPT_OBJECT || opt->kind == OPT_OBJECTS) {
    Object *object = family_make(opt->family, value, fault);
    if (!object) {
      char label[96];
      fault_prefix(fault, "%s: option \"%s\"", kind_label(o->kind, label, sizeof label),
                   opt->name);
      return fault ? fault->code : ERR_VALUE;
    }
    Err err = opt->kind == OPT_OBJECT ? option_set_object(o, opt, object, fault)
                                      : option_set_objects(o, opt, &object, 1, fault);
    object_release(object);
    return err;
  }
  if (opt->kind != OPT_TEXT) {
    char got[96];
    snprintf(got, sizeof got, "\"%.64s\"", value);
    return option_refuse(o, opt, got, fault);
  }
  char *copy = text_copy(value);
  if (!copy) return fault_memory(fault, strlen(value) + 1);
  char **field = option_field(o, opt);
  free(*field);
  *field = copy;
  o->version++;
  return ERR_OK;
}

Err option_set_ints(Object *o, const Option *opt, const int64_t *v, int n, Fault *fault) {
  IntList list = {.n = n};
  if (opt->kind != OPT_INTS) return option_refuse(o, opt, "a list of integers", fault);
  if (n > (int)(sizeof list.v / sizeof list.v[0]))
    return option_refuse(o, opt, "a list of more than 8", fault);
  for (int i = 0; i < n; i++) {
    if (has_range(opt) && !in_range(opt, (double)v[i])) {
      char got[32];
      return option_refuse(o, opt, text_number(got, (double)v[i]), fault);
    }
    list.v[i] = v[i];
  }
  *(IntList *)option_field(o, opt) = list;
  o->version++;
  return ERR_OK;
}

Err option_set_texts(Object *o, const Option *opt, const char *const *v,
                     const bool *number, int n, Fault *fault) {
  if (opt->kind != OPT_TEXTS) return option_refuse(o, opt, "a list of strings", fault);
  TextList list = {0, calloc((size_t)n + 1, sizeof *list.v),
                   calloc((size_t)n + 1, sizeof *list.number)};
  bool failed = !list.v || !list.number;
  for (int i = 0; i < n && !failed; i++) {
    list.v[list.n] = text_copy(v[i]);
    list.number[list.n] = number && number[i];
    failed = !list.v[list.n];
    list.n += !failed;
  }
  if (failed) {
    texts_free(&list);
    return fault_memory(fault, ((size_t)n + 1) * sizeof *list.v);
  }
  texts_free(option_field(o, opt));
  *(TextList *)option_field(o, opt) = list;
  o->version++;
  return ERR_OK;
}

/* `value` as one of the option's family, or a refusal. */
static Err check_family(Object *o, const Option *opt, Object *value, Fault *fault) {
  if (value->kind->family == opt->family) return ERR_OK;
  char label[96], got[128];
  snprintf(got, sizeof got, "%s", kind_label(value->kind, label, sizeof label));
  return option_refuse(o, opt, got, fault);
}

Err option_set_object(Object *o, const Option *opt, Object *value, Fault *fault) {
  if (opt->kind == OPT_OBJECTS) return option_set_objects(o, opt, &value, 1, fault);
  if (opt->kind != OPT_OBJECT) return option_refuse(o, opt, value->kind->name, fault);
  if (check_family(o, opt, value, fault)) return fault ? fault->code : ERR_VALUE;
  Object **field = option_field(o, opt);
  object_retain(value);
  object_release(*field);
  *field = value;
  o->version++;
  return ERR_OK;
}

Err option_set_objects(Object *o, const Option *opt, Object *const *v, int n,
                       Fault *fault) {
  if (opt->kind != OPT_OBJECTS) return option_refuse(o, opt, "a list", fault);
  for (int i = 0; i < n; i++)
    if (check_family(o, opt, v[i], fault)) return fault ? fault->code : ERR_VALUE;
  ObjectList list = {n, calloc((size_t)n + 1, sizeof *list.v)};
  if (!list.v) return fault_memory(fault, ((size_t)n + 1) * sizeof *list.v);
  for (int i = 0; i < n; i++) list.v[i] = object_retain(v[i]);
  objects_free(option_field(o, opt));
  *(ObjectList *)option_field(o, opt) = list;
  o->version++;
  return ERR_OK;
}

Err option_set_call(Object *o, const Option *opt, Callable *value, Fault *fault) {
  if (opt->kind != OPT_CALL) return option_refuse(o, opt, "a function", fault);
  Callable **field = option_field(o, opt);
  callable_retain(value);
  callable_release(*field);
  *field = value;
  o->version++;
  return ERR_OK;
}

/* -- what an object is made of ------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 29;
}

uint64_t object_signature(const Object *object) {
  uint64_t hash = mix((uint64_t)(uintptr_t)object, object ? object->version : 0);
  if (!object) return hash;
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    const void *field = option_field(object, opt);
    if (opt->kind == OPT_OBJECT) hash = mix(hash, object_signature(*(Object *const *)field));
    if (opt->kind != OPT_OBJECTS) continue;
    const ObjectList *list = field;
    for (int i = 0; i < list->n; i++) hash = mix(hash, object_signature(list->v[i]));
  }
  return hash;
}

bool object_has_call(const Object *object) {
  if (!object) return false;
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    const void *field = option_field(object, opt);
    if (opt->kind == OPT_CALL && *(Callable *const *)field) return true;
    if (opt->kind == OPT_OBJECT && object_has_call(*(Object *const *)field)) return true;
    if (opt->kind != OPT_OBJECTS) continue;
    const ObjectList *list = field;
    for (int i = 0; i < list->n; i++)
      if (object_has_call(list->v[i])) return true;
  }
  return false;
}
