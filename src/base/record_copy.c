/* record_copy.c: copies of objects with all objects among their options. */
#include "base/record_copy.h"
#include <math.h>
#include <stdlib.h>

static Object *made_of(const ObjectCopies *copies, const Object *object) {
  for (int64_t i = 0; i < copies->n; i++)
    if (copies->v[i].of == object) return object_retain(copies->v[i].copy);
  return NULL;
}

static Err remember(ObjectCopies *copies, Object *of, Object *copy, Fault *fault) {
  Err err = ARRAY_ROOM(copies->v, copies->room, copies->n + 1, fault);
  if (err) return err;
  copies->v[copies->n++] = (ObjectCopy){of, object_retain(copy)};
  return ERR_OK;
}

void object_copies_deinit(ObjectCopies *copies) {
  for (int64_t i = 0; i < copies->n; i++) object_release(copies->v[i].copy);
  free(copies->v);
  *copies = (ObjectCopies){0};
}

/* The value with copies in the place of objects; these are the caller's. */
static Err copy_value(ObjectCopies *copies, Value *value, Fault *fault) {
  if (value->kind != VALUE_OBJECT) return ERR_OK;
  value->as.ref = object_copy(value->as.ref, copies, fault);
  return value->as.ref ? ERR_OK : fault->code;
}

static void release_value(const Value *value) {
  if (value->kind == VALUE_OBJECT) object_release(value->as.ref);
}

static Err copy_list(const Object *from, const Option *opt, Object *to, int n,
                     ObjectCopies *copies, Fault *fault) {
  Value *items = calloc((size_t)n + 1, sizeof *items);
  if (!items) return fault_memory(fault, ((size_t)n + 1) * sizeof *items);
  Err err = ERR_OK;
  int done = 0;
  for (; done < n && !err; done++) {
    option_item(from, opt, done, &items[done]);
    err = copy_value(copies, &items[done], fault);
  }
  Given given = {.value = {.kind = VALUE_LIST, .as.n_items = n}, .items = items,
                 .trusted = true};
  if (!err) err = option_set(to, opt, &given, fault);
  for (int i = 0; i < done; i++) release_value(&items[i]);
  free(items);
  return err;
}

static Err copy_option(const Object *from, const Option *opt, Object *to,
                       ObjectCopies *copies, Fault *fault) {
  Given given = {.trusted = true};
  Value *value = &given.value;
  option_get(from, opt, value);
  if (value->kind == VALUE_LIST)
    return copy_list(from, opt, to, value->as.n_items, copies, fault);
  if (value->kind == VALUE_NIL ||
      (value->kind == VALUE_REAL && isnan(value->as.real))) {
    option_clear(to, opt);
    return ERR_OK;
  }
  Err err = copy_value(copies, value, fault);
  if (err) return err;
  err = option_set(to, opt, &given, fault);
  release_value(value);
  return err;
}

Object *object_copy(Object *object, ObjectCopies *copies, Fault *fault) {
  Object *copy = made_of(copies, object);
  if (copy) return copy;
  copy = object_new(object->kind, fault);
  Err err = copy ? ERR_OK : fault->code;
  for (const Option *opt = object->kind->options; !err && opt && opt->name; opt++)
    err = copy_option(object, opt, copy, copies, fault);
  if (!err) err = object_ready(copy, NULL, fault);
  if (!err) err = remember(copies, object, copy, fault);
  if (!err) return copy;
  object_release(copy);
  return NULL;
}
