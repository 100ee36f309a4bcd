/* history.c: see history.h. */
#include "cli/history.h"
#include "base/file.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- the place --------------------------------------------------------------------- */

static char *join(const char *directory, const char *name) {
  Text path = {0};
  text_addf(&path, "%s/%s", directory, name);
  if (path.failed) text_deinit(&path);
  return path.data;
}

static bool is_directory(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static const char under_state[] = "runner/history";

char *history_path(void) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  if (state && *state == '/') return join(state, under_state);
  if (!home || !is_directory(home)) return NULL;
  char *usual = join(home, ".local/state");
  bool there = usual && is_directory(usual);
  char *path = there ? join(usual, under_state) : join(home, ".runner_history");
  free(usual);
  return path;
}

/* -- one statement as one line ----------------------------------------------------- */

static void encode(Text *out, const char *statement) {
  for (const char *p = statement; *p; p++) {
    if (*p == '\n') text_add(out, "\\n");
    else if (*p == '\\') text_add(out, "\\\\");
    else text_add_bytes(out, p, 1);
  }
  text_add(out, "\n");
}

/* In place: it only gets shorter. */
static void decode(char *line) {
  char *to = line;
  for (const char *p = line; *p; p++) {
    if (*p == '\\' && (p[1] == 'n' || p[1] == '\\')) *to++ = *++p == 'n' ? '\n' : '\\';
    else *to++ = *p;
  }
  *to = 0;
}

/* -- the file ---------------------------------------------------------------------- */

/* Start of the last HISTORY_LINES lines. */
static char *last_lines(char *text, size_t n_bytes) {
  char *at = text + n_bytes;
  for (int n = 0; at > text; at--)
    if (at[-1] == '\n' && at < text + n_bytes && ++n == HISTORY_LINES) break;
  return at;
}

/* Replaces the file by what is kept of it; only its owner may read it. */
static void cut(const char *path, const char *text) {
  Fault ignored = {0};
  mode_t mask = umask(077);
  (void)!file_put(path, text, strlen(text), PUBLISH_REPLACE, &ignored);
  umask(mask);
}

void history_read(const char *path, void (*add)(void *ctx, const char *statement),
                  void *ctx) {
  enum { LIMIT_BYTES = 16 * HISTORY_BYTES };
  Text text = {0};
  Fault ignored = {0};
  if (!file_read(path, LIMIT_BYTES, &text, &ignored) && text.n_bytes) {
    char *line = last_lines(text.data, text.n_bytes);
    if (line > text.data) cut(path, line);
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
      *end = 0;
      decode(line);
      if (*line) add(ctx, line);
    }
  }
  text_deinit(&text);
}

/* The directory of states and ours in it, but nothing above: a home that is not there
 * is not made. */
static void make_directories_of(const char *path) {
  size_t n = strlen(path), n_under = strlen(under_state);
  char *copy = n > n_under && strcmp(path + n - n_under, under_state) == 0
                   ? text_copy(path)
                   : NULL;
  if (!copy) return;
  copy[n - n_under - 1] = 0;
  mkdir(copy, 0700);
  copy[n - n_under - 1] = '/';
  *strrchr(copy, '/') = 0;
  mkdir(copy, 0700);
  free(copy);
}

void history_add(const char *path, const char *statement) {
  Text line = {0};
  encode(&line, statement);
  if (!line.failed && line.n_bytes <= HISTORY_BYTES) {
    make_directories_of(path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
      (void)!write(file, line.data, line.n_bytes);
      close(file);
    }
  }
  text_deinit(&line);
}
