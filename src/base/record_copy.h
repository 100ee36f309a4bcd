/* record_copy.h: copies of objects with all objects among their options.
 *
 * What an object is beside its options is made anew, as for any new object. Functions
 * of the user and things of upper floors are shared. */
#ifndef BASE_RECORD_COPY_H
#define BASE_RECORD_COPY_H

#include "base/array.h"
#include "base/record.h"

/* What was copied so far: an object that is met twice has one copy. All zero: nothing.
 */
typedef struct ObjectCopy {
  const Object *of; /* borrowed: lives as long as what is copied */
  Object *copy;     /* retained */
} ObjectCopy;
typedef struct ObjectCopies {
  ObjectCopy *v;
  int64_t n, room;
} ObjectCopies;

/* Returns new; NULL and a fault. */
Object *object_copy(Object *object, ObjectCopies *copies, Fault *fault);
void object_copies_deinit(ObjectCopies *copies);

#endif
