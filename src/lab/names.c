/* names.c: the names of what stands in a store; see names.h. */
#include "lab/names.h"
#include "base/file.h"
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool fits(char c, char form) {
  if (form == '#') return is_digit(c);
  if (form == 'x') return is_digit(c) || (c >= 'a' && c <= 'f');
  return c == form;
}

/* What stands behind a begin of that form ('#': a digit, 'x': one in hex); NULL: it
 * begins otherwise. */
static const char *behind(const char *name, const char *form) {
  for (; *form; name++, form++)
    if (!fits(*name, *form)) return NULL;
  return name;
}

static bool ends_with(const char *name, const char *end) {
  size_t n = strlen(name), n_end = strlen(end);
  return n >= n_end && strcmp(name + n - n_end, end) == 0;
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

bool name_is_checkpoint(const char *name) {
  return behind(name, "checkpoint-") && ends_with(name, ".safetensors");
}

bool name_is_product(const char *name) {
  return name_is_metrics(name) || name_is_checkpoint(name) || name_is_probes(name) ||
         file_is_temporary(name);
}
