/* given_set.h: a data set of tensors, as data.set makes it. */
#ifndef TESTS_DATA_GIVEN_SET_H
#define TESTS_DATA_GIVEN_SET_H

#include "data/data.h"
#include "options.h"

static inline Err give_tensor(Object *o, const char *name, Tensor *t, Fault *fault) {
  Given given = {
      .value = {.kind = VALUE_REF, .ref_type = &tensor_ref_type, .as.ref = t}};
  return t ? option_set(o, option_named(o->kind, name), &given, fault) : ERR_OK;
}

/* Its rows are read; new, or NULL and a fault. y NULL: it has no targets. */
static inline Source *source_of(Tensor *x, Tensor *y, int64_t n_classes,
                                int64_t label_base, MemoryCount *memory, Fault *fault) {
  const Kind *kind = family_find(&dataset_family, "set", fault);
  Object *o = kind ? object_new(kind, fault) : NULL;
  if (!o) return NULL;
  ((Source *)o)->memory = memory;
  Err err = give_tensor(o, "x", x, fault);
  if (!err) err = give_tensor(o, "y", y, fault);
  if (!err)
    err = give_number(o, option_named(kind, "classes"), (double)n_classes, fault);
  if (!err)
    err = give_number(o, option_named(kind, "label_base"), (double)label_base, fault);
  if (!err) err = object_ready(o, NULL, fault);
  if (!err && source_rows((Source *)o, 0, fault)) return (Source *)o;
  object_release(o);
  return NULL;
}

#endif
