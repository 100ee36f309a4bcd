/* names.c: the names of what this program puts below the directory of runs; see
 * names.h. */
#include "lab/names.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool fits(char c, char form) {
  if (form == '#') return is_digit(c);
  if (form == 'x') return is_digit(c) || (c >= 'a' && c <= 'f');
  return c == form;
}

/* The rest of a name that begins in that form ('#': a digit, 'x': one in hex); NULL: it
 * begins otherwise. */
static const char *behind(const char *name, const char *form) {
  for (; *form; name++, form++)
    if (!fits(*name, *form)) return NULL;
  return name;
}

/* Is it an integer of at least one digit, and then `end`? */
static bool is_number(const char *text, const char *end) {
  size_t n = strspn(text, "0123456789");
  return n > 0 && strcmp(text + n, end) == 0;
}

#define HASH "xxxxxxxxxxxxxxxx-"

bool name_is_trial(const char *name) {
  const char *seed = behind(name, HASH "s");
  return seed && is_number(seed + (*seed == '-'), "");
}

bool name_is_run(const char *name) {
  const char *rest = behind(name, "########T######Z");
  return rest && (!*rest || (*rest == '-' && is_number(rest + 1, "")));
}

bool name_is_source(const char *name) {
  const char *file = behind(name, HASH);
  return file && *file;
}

bool name_is_metrics(const char *name) {
  const char *rest = behind(name, "metrics");
  return rest &&
         (strcmp(rest, ".csv") == 0 || (*rest == '-' && is_number(rest + 1, ".csv")));
}

bool name_is_probes(const char *name) {
  const char *rest = behind(name, "probes");
  return rest && (*rest == '.' || (*rest == '-' && is_number(rest + 1, ".csv")));
}

bool name_is_table(const char *name) {
  const char *rest = behind(name, "table");
  if (rest && *rest == '-') rest += 1 + strspn(rest + 1, "0123456789");
  return rest && *rest == '.' && text_ends_with(rest + 1, ".csv");
}

bool name_is_checkpoint(const char *name) {
  return behind(name, "checkpoint-") && text_ends_with(name, ".safetensors");
}

bool name_is_product(const char *name) {
  return name_is_metrics(name) || name_is_checkpoint(name) || name_is_probes(name) ||
         name_is_table(name) || file_is_temporary(name);
}

/* -- of experiments and scripts ---------------------------------------------------- */

bool name_is_hidden(const char *name) {
  static const char index[] = "index.sqlite"; /* index.h; -wal, -shm, -journal */
  return name[0] == '.' || strncmp(name, index, sizeof index - 1) == 0;
}

bool name_is_taken(const char *name) {
  return name_is_hidden(name) || strcmp(name, "trials") == 0;
}

char *name_of_script(const char *script) {
  char *name = text_copy(file_name(script));
  if (!name) return NULL;
  char *end = strrchr(name, '.');
  if (end && end != name && strcmp(end, ".lua") == 0) *end = 0;
  for (char *s = name; *s; s++)
    if ((unsigned char)*s <= ' ' || *s == 0x7F || (s == name && *s == '.')) *s = '_';
  if (!name_is_taken(name)) return name;
  char *free_name = text_copy(path_of("_%s", name).s);
  free(name);
  return free_name;
}

Err name_nearest(const char *runs, const char *name, char **out, Fault *fault) {
  FileNames names;
  int n = 0;
  *out = NULL;
  Err err = file_names(runs, &names, fault);
  if (err) return err;
  for (int i = 0; i < names.n; i++) {
    if (name_is_hidden(names.v[i]) || !file_is_directory(runs, names.v[i])) continue;
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
