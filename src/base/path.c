/* path.c: the path of a file; see path.h. */
#include "base/path.h"
#include <stdarg.h>
#include <stdio.h>

Path path_of(const char *format, ...) {
  Path path;
  va_list args;
  va_start(args, format);
  vsnprintf(path.s, sizeof path.s, format, args);
  va_end(args);
  return path;
}
