/* script.c: which script a plan or a trial came from; see script.h. */
#include "lab/script.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *script_path(const char *script) { return realpath(script, NULL); }

/* Where to look for it; borrowed. */
static const char *place_of(const Json *map) {
  const char *path = json_text_or(map, "script_path", NULL);
  return path ? path : json_text_or(map, "script", NULL);
}

static bool is_file(const char *path) {
  struct stat at;
  return path && stat(path, &at) == 0 && S_ISREG(at.st_mode);
}

/* Both are there, and are two. */
static bool are_two(const char *a, const char *b) {
  struct stat one, two;
  if (!a || !b || stat(a, &one) != 0 || stat(b, &two) != 0) return false;
  return one.st_ino != two.st_ino || one.st_dev != two.st_dev;
}

bool script_is_other(const Json *now, const Json *earlier) {
  const char *script = json_text_or(now, "script", NULL);
  const char *before = json_text_or(earlier, "script", NULL);
  if (!before) return false;
  if (!script) return true;
  return strcmp(file_name(script), file_name(before)) != 0 ||
         are_two(place_of(now), place_of(earlier));
}

bool script_is_another_there(const Json *now, const Json *earlier) {
  return script_is_other(now, earlier) && is_file(place_of(earlier));
}

/* The path below the directory; NULL: it is not below it. */
static const char *below(const char *path, const char *directory) {
  char *whole = realpath(directory, NULL);
  if (!whole) return NULL;
  size_t n = strcmp(whole, "/") == 0 ? 0 : strlen(whole);
  bool inside = strncmp(path, whole, n) == 0 && path[n] == '/';
  free(whole);
  return inside ? path + n + 1 : NULL;
}

bool script_is_of_tree(const char *script, const char *runs) {
  char *path = script_path(script);
  if (!path) return false;
  const char *record = below(path, runs);
  bool of_tree = below(path, ".") && !(record && strchr(record, '/'));
  free(path);
  return of_tree;
}
