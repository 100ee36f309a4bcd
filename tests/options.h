/* options.h: values of C as options of objects. */
#ifndef TESTS_OPTIONS_H
#define TESTS_OPTIONS_H

#include "base/record.h"

static inline Err give_number(Object *o, const Option *opt, double value,
                              Fault *fault) {
  Given given = {.value = {.kind = VALUE_REAL, .as.real = value}};
  return option_set(o, opt, &given, fault);
}

static inline Err give_bool(Object *o, const Option *opt, bool value, Fault *fault) {
  Given given = {.value = {.kind = VALUE_BOOL, .as.boolean = value}};
  return option_set(o, opt, &given, fault);
}

#endif
