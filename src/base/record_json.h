/* record_json.h: the plain options of objects as JSON, and back.
 *
 * For what has to be compared or put back later: all options of an object, and of the
 * objects among them, but for functions of the user and things of upper floors. */
#ifndef BASE_RECORD_JSON_H
#define BASE_RECORD_JSON_H

#include "base/json.h"
#include "base/record.h"

/* {"kind": "Adam", "lr": 0.001, ..., "schedule": null}: returns new. Objects of the
 * family `except` (NULL: none) are left out. Lack of memory is seen by json_write. */
Json *object_values(const Object *object, const Family *except);

/* Sets every option that differs from `values` (of object_values with the same
 * `except`); where an object among the options is of another kind, one of that kind
 * takes its place. ERR_DATA when they are not the values of such an object. */
Err object_set_values(Object *object, const Json *values, const Family *except,
                      Fault *fault) WARN_UNUSED;

/* Where two values first differ, as in `optimizer.lr: 0.1, then 0.2`; added to `out`.
 * False and nothing when they are equal, whatever the order of keys. */
bool json_difference(const Json *a, const Json *b, Text *out);

#endif
