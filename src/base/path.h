/* path.h: the path of a file, as long as an expression or a block lasts:
 *
 *   file_exists(path_of("%s/trials/%s", store->directory, id).s)
 *
 * One that is longer than the system takes is cut, and still too long: whatever opens,
 * makes or removes it fails with "File name too long", as with the whole path. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <limits.h>

typedef struct Path {
  char s[PATH_MAX + 1]; /* the system takes PATH_MAX - 1 bytes, and a zero */
} Path;

Path path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
