/* run_name.c: names of the directories in runs/; see run_name.h. */
#include "lab/run_name.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

bool run_name_is_hidden(const char *name) {
  static const char index[] = "index.sqlite"; /* index.h; -wal, -shm, -journal */
  return name[0] == '.' || strncmp(name, index, sizeof index - 1) == 0;
}

bool run_name_is_taken(const char *name) {
  return run_name_is_hidden(name) || strcmp(name, "trials") == 0;
}

char *run_name_of(const char *script) {
  char *name = text_copy(file_name(script));
  if (!name) return NULL;
  char *end = strrchr(name, '.');
  if (end && end != name && strcmp(end, ".lua") == 0) *end = 0;
  for (char *s = name; *s; s++)
    if ((unsigned char)*s <= ' ' || *s == 0x7F || (s == name && *s == '.')) *s = '_';
  if (!run_name_is_taken(name)) return name;
  char *free_name = text_copy(path_of("_%s", name).s);
  free(name);
  return free_name;
}

Err run_name_nearest(const char *runs, const char *name, char **out, Fault *fault) {
  FileNames names;
  int n = 0;
  *out = NULL;
  Err err = file_names(runs, &names, fault);
  if (err) return err;
  for (int i = 0; i < names.n; i++) {
    if (run_name_is_hidden(names.v[i]) || !file_is_directory(runs, names.v[i]))
      continue;
    char *shown = names.v[i];
    names.v[i] = names.v[n];
    names.v[n++] = shown;
  }
  const char *nearest = text_nearest(name, (const char *const *)names.v, n);
  if (nearest && !(*out = text_copy(nearest)))
    err = fault_memory(fault, strlen(nearest));
  file_names_deinit(&names);
  return err;
}
