/* study_said.c: what trials say on stderr; see study_said.h. */
#include "lab/study_said.h"
#include "base/file.h"
#include "base/out.h"
#include "lab/trial.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  TAIL_BYTES = 1500,
  LINE_BYTES = 1 << 16,
  TOLD_BYTES = 1 << 16,
  READ_BYTES = 1 << 14
};

/* -- lines to the screen ----------------------------------------------------------- */

/* What a terminal shows of a line: what was written behind the last carriage return. */
static const char *last_state(const char *line, size_t *n_bytes) {
  const char *end = line + *n_bytes, *begin;
  while (end > line && end[-1] == '\r') end--;
  for (begin = end; begin > line && begin[-1] != '\r'; begin--) continue;
  *n_bytes = (size_t)(end - begin);
  return begin;
}

static void pass_on(Told *told, const char *line, size_t n_bytes) {
  Text text = {0};
  line = last_state(line, &n_bytes);
  if (!n_bytes || told->n_bytes >= TOLD_BYTES) return;
  if (!told->lines) told->lines = json_map();
  text_add_bytes(&text, line, n_bytes);
  if (!text.failed && !json_find(told->lines, text.data)) {
    json_put_bool(told->lines, text.data, true);
    told->n_bytes += n_bytes + 1;
    err_print("%s\n", text.data);
    if (told->n_bytes >= TOLD_BYTES)
      err_print("what trials say from here on stands only in the " TRIAL_STDERR
                " of each\n");
  }
  text_deinit(&text);
}

void told_deinit(Told *told) {
  json_free(told->lines);
  *told = (Told){0};
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
  for (char *c; (c = memchr(tail->data + begin, 0, tail->n_bytes - begin));) *c = '?';
  while (begin > 0 && tail->data[begin - 1] != '\n') begin--;
  char *line = tail->data + begin, *end;
  for (; (end = memchr(line, '\n', tail->n_bytes - (size_t)(line - tail->data)));
       line = end + 1)
    pass_on(told, line, (size_t)(end - line));
  keep_tail(tail);
}

/* -- the file of a trial ----------------------------------------------------------- */

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
  text_deinit(&voice->tail); /* what the trial before said tells nothing of this one */
}

/* The file, at the place up to which it was read, and its size; -1: it is not there, or
 * not yet the one. */
static int open_log(Voice *voice, off_t *n_bytes) {
  struct stat at;
  int fd = voice->log ? file_open_own(voice->log, O_RDONLY) : -1;
  if (fd < 0) return -1;
  bool ours = fstat(fd, &at) == 0 && S_ISREG(at.st_mode) && at.st_ino != voice->earlier;
  if (ours && at.st_ino != voice->inode) voice->n_read = 0;
  if (ours) voice->inode = at.st_ino;
  *n_bytes = at.st_size;
  if (ours && lseek(fd, voice->n_read, SEEK_SET) >= 0) return fd;
  close(fd);
  return -1;
}

/* Reads so much of what stands there now: it may be written faster than it is read. */
static void hear(Voice *voice, Told *told, off_t most) {
  char buffer[READ_BYTES];
  off_t size;
  int fd = open_log(voice, &size);
  if (fd < 0) return;
  off_t end = size - voice->n_read > most ? voice->n_read + most : size;
  for (ssize_t n; voice->n_read < end && (n = read(fd, buffer, sizeof buffer)) > 0;
       voice->n_read += n)
    voice_add(voice, told, buffer, (size_t)n);
  close(fd);
}

void voice_hear(Voice *voice, Told *told) { hear(voice, told, HEAR_BYTES); }

void voice_pause(Voice *voice, Told *told) {
  hear(voice, told, INT64_MAX);
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
