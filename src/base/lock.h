/* lock.h: the lock of a directory, or of a file.
 *
 * A lock of the kernel on the file "lock" in it: it ends with the process that took it,
 * in whatever way that ends, and belongs to the descriptor, which no child inherits.
 * Asking whether it is held takes nothing, so that readers never stop
 * workers. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/fault.h"

enum { LOCK_NONE = -1 };

/* LOCK_NONE in *out, without a fault, when a live process has it, or the directory is
 * gone: `rm` may take it away at any moment. */
Err lock_take(const char *directory, int *out, Fault *fault) WARN_UNUSED;

/* Ends it. `remove`: and removes the file, since this directory is not locked
 * again. */
void lock_drop(int lock, const char *directory, bool remove);

bool lock_held(const char *directory);

/* The same of any file, which is made if it is not there. A process that removes it
 * holds its lock. */
Err lock_take_file(const char *path, int *out, Fault *fault) WARN_UNUSED;
bool lock_file_held(const char *path);

#endif
