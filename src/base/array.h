/* array.h: room for arrays that grow.
 *
 * An array is a pointer, the number of its items, which its owner alone counts, and its
 * room: the number of items that the block behind the pointer can hold. NULL with room
 * 0 is an empty array; free() ends any. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include "base/fault.h"
#include <stdint.h>

/* Makes room for n items in all; `v` is the array's pointer and `room` its int64_t,
 * both as variables. Where there was less, the room at least doubles, so that adding
 * items one by one copies each a few times at most. The items stay, perhaps at another
 * address. Without memory: ERR_MEMORY, in `fault` unless that is NULL, and the array is
 * as it was. */
#define ARRAY_ROOM(v, room, n, fault)                                                  \
  array_room(&(v), &(room), (n), sizeof *(v), (fault))

/* Of ARRAY_ROOM: `v` points to the array's pointer. */
Err array_grow(void *v, int64_t *room, int64_t n, size_t item_bytes,
               Fault *fault) WARN_UNUSED;

static inline WARN_UNUSED Err array_room(void *v, int64_t *room, int64_t n,
                                         size_t item_bytes, Fault *fault) {
  return n <= *room ? ERR_OK : array_grow(v, room, n, item_bytes, fault);
}

#endif
