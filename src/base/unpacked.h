/* unpacked.h: what a gzipped file unpacks to, kept in the user's cache: a data set that
 * is read by every program is unpacked once.
 *
 * Where: $XDG_CACHE_HOME/runner, else ~/.cache/runner. A copy has the name of its file
 * with the checksum and the size that the last bytes of a gzipped file give, and is
 * held against these whenever it is read. Copies may be removed at any time; several
 * processes may make the same one at once. */
#ifndef BASE_UNPACKED_H
#define BASE_UNPACKED_H

#include "base/input.h"

/* Opens the copy; input_end says whether its bytes are right. `anew`: makes it before,
 * else only where there is none. False where there cannot be one: the file is not
 * gzipped, or nothing can be written there; no fault. */
bool unpacked_open(Input *out, const char *path, bool anew);

#endif
