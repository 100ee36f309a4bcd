/* study_said.c: what trials say on stderr; see study_said.h. */
#include "lab/study_said.h"
#include "base/out.h"
#include "lab/trial.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_BYTES = 1500, LINE_BYTES = 1 << 16, TOLD_BYTES = 1 << 16, READ_BYTES = 1 << 14 };

/* -- lines to the screen ------------------------------------------------------------- */

/* What a terminal shows of a line: what was written behind the last carriage return. */
static const char *last_state(const char *line, size_t *n_bytes) {
  const char *end = line + *n_bytes, *begin;
  while (end > line && end[-1] == '\r') end--;
  for (begin = end; begin > line && begin[-1] != '\r'; begin--) continue;
  *n_bytes = (size_t)(end - begin);
  return begin;
}

static void pass_on(Told *told, const char *line, size_t n_bytes) {
  Text whole = {0};          /* between two line ends, as it stands among those told */
  line = last_state(line, &n_bytes);
  text_add(&whole, "\n");
  text_add_bytes(&whole, line, n_bytes);
  text_add(&whole, "\n");
  Text *lines = &told->lines;
  bool new = n_bytes && !whole.failed && !(lines->data && strstr(lines->data, whole.data));
  if (new && lines->n_bytes < TOLD_BYTES) {
    text_add(lines, whole.data);
    err_print("%s", whole.data + 1);
    if (lines->n_bytes >= TOLD_BYTES)
      err_print("what trials say from here on stands only in the " TRIAL_STDERR
                " of each\n");
  }
  text_deinit(&whole);
}

/* Keeps the last part, and a line that has no end yet unless it is endless. */
static void keep_tail(Text *tail) {
  const char *end = tail->data ? memrchr(tail->data, '\n', tail->n_bytes) : NULL;
  size_t open = end ? tail->n_bytes - (size_t)(end + 1 - tail->data) : tail->n_bytes;
  size_t kept = open > TAIL_BYTES && open <= LINE_BYTES ? open : TAIL_BYTES;
  if (tail->n_bytes <= 2 * kept) return;
  memmove(tail->data, tail->data + tail->n_bytes - kept, kept);
  tail->n_bytes = kept;
  tail->data[kept] = 0;
}

void voice_add(Voice *voice, Told *told, const char *bytes, size_t n_bytes) {
  Text *tail = &voice->tail;
  size_t begin = tail->n_bytes;
  text_add_bytes(tail, bytes, n_bytes);
  if (tail->failed) return;
  while (begin > 0 && tail->data[begin - 1] != '\n') begin--;
  char *line = tail->data + begin, *end;
  for (; (end = memchr(line, '\n', tail->n_bytes - (size_t)(line - tail->data)));
       line = end + 1)
    pass_on(told, line, (size_t)(end - line));
  keep_tail(tail);
}

/* -- the file of a trial ------------------------------------------------------------- */

static ino_t inode_of(const char *path) {
  struct stat at;
  return stat(path, &at) == 0 ? at.st_ino : 0;
}

void voice_follow(Voice *voice, const char *directory) {
  Text path = {0};
  text_addf(&path, "%s/" TRIAL_STDERR, directory);
  free(voice->log);
  voice->log = path.failed ? NULL : path.data;
  if (path.failed) text_deinit(&path);
  voice->earlier = voice->log ? inode_of(voice->log) : 0;
  voice->inode = 0;
  voice->n_read = 0;
  text_deinit(&voice->tail);   /* what the trial before said tells nothing of this one */
}

/* The file, at the place up to which it was read; -1: it is not there, or not yet the one. */
static int open_log(Voice *voice) {
  struct stat at;
  int fd = voice->log ? open(voice->log, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
  if (fd < 0) return -1;
  bool ours = fstat(fd, &at) == 0 && S_ISREG(at.st_mode) && at.st_ino != voice->earlier;
  if (ours && at.st_ino != voice->inode) voice->n_read = 0;
  if (ours) voice->inode = at.st_ino;
  if (ours && lseek(fd, voice->n_read, SEEK_SET) >= 0) return fd;
  close(fd);
  return -1;
}

void voice_hear(Voice *voice, Told *told) {
  char buffer[READ_BYTES];
  int fd = open_log(voice);
  if (fd < 0) return;
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0; voice->n_read += n)
    voice_add(voice, told, buffer, (size_t)n);
  close(fd);
}

void voice_pause(Voice *voice, Told *told) {
  voice_hear(voice, told);
  const Text *tail = &voice->tail;
  if (tail->n_bytes && !tail->failed && tail->data[tail->n_bytes - 1] != '\n')
    voice_add(voice, told, "\n", 1);
  free(voice->log);
  voice->log = NULL;
}

void voice_deinit(Voice *voice) {
  text_deinit(&voice->tail);
  free(voice->log);
  *voice = (Voice){0};
}
