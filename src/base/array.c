/* array.c: room for arrays that grow.
 *
 * The pointer is read and written as bytes: a pointer to any type of item comes as void
 * *. */
#include "base/array.h"
#include "base/ints.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 64 }; /* of a block that is new */

Err array_grow(void *v, int64_t *room, int64_t n, size_t item_bytes, Fault *fault) {
  must(item_bytes > 0 && *room >= 0 && n > *room);
  const int64_t largest = PTRDIFF_MAX / (int64_t)item_bytes;
  int64_t doubled = *room <= largest / 2 ? 2 * *room : largest;
  int64_t first = FIRST_BYTES / (int64_t)item_bytes;
  int64_t wanted = most(n, most(doubled, first));
  size_t n_bytes = n <= largest ? (size_t)wanted * item_bytes : SIZE_MAX;
  void *old, *larger;
  memcpy(&old, v, sizeof old);
  larger = n <= largest ? realloc(old, n_bytes) : NULL;
  if (!larger) return fault ? fault_memory(fault, n_bytes) : ERR_MEMORY;
  memcpy(v, &larger, sizeof larger);
  *room = wanted;
  return ERR_OK;
}
