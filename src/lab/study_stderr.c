/* study_stderr.c: what trials say on stderr; see study_stderr.h. */
#include "lab/study_stderr.h"
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
  SHOWN_BYTES = 1 << 16,
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

static void pass_on(ShownLines *shown, const char *line, size_t n_bytes) {
  Text text = {0};
  line = last_state(line, &n_bytes);
  if (!n_bytes || shown->n_bytes >= SHOWN_BYTES) return;
  if (!shown->lines) shown->lines = json_map();
  text_add_bytes(&text, line, n_bytes);
  if (!text.failed && !json_find(shown->lines, text.data)) {
    json_put_bool(shown->lines, text.data, true);
    shown->n_bytes += n_bytes + 1;
    err_print("%s\n", text.data);
    if (shown->n_bytes >= SHOWN_BYTES)
      err_print("what trials say from here on is only in the " TRIAL_STDERR
                " of each\n");
  }
  text_deinit(&text);
}

void shown_lines_deinit(ShownLines *shown) {
  json_free(shown->lines);
  *shown = (ShownLines){0};
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

void log_reader_add(LogReader *reader, ShownLines *shown, const char *bytes,
                    size_t n_bytes) {
  Text *tail = &reader->tail;
  size_t begin = tail->n_bytes;
  text_add_bytes(tail, bytes, n_bytes);
  if (tail->failed) return;
  for (char *c; (c = memchr(tail->data + begin, 0, tail->n_bytes - begin));) *c = '?';
  while (begin > 0 && tail->data[begin - 1] != '\n') begin--;
  char *line = tail->data + begin, *end;
  for (; (end = memchr(line, '\n', tail->n_bytes - (size_t)(line - tail->data)));
       line = end + 1)
    pass_on(shown, line, (size_t)(end - line));
  keep_tail(tail);
}

/* -- the file of a trial ----------------------------------------------------------- */

static ino_t inode_of(const char *path) {
  struct stat at;
  return stat(path, &at) == 0 ? at.st_ino : 0;
}

void log_reader_follow(LogReader *reader, const char *directory) {
  Text path = {0};
  text_addf(&path, "%s/" TRIAL_STDERR, directory);
  free(reader->log);
  reader->log = path.failed ? NULL : path.data;
  if (path.failed) text_deinit(&path);
  reader->earlier = reader->log ? inode_of(reader->log) : 0;
  reader->inode = 0;
  reader->n_read = 0;
  text_deinit(&reader->tail); /* of the trial before */
}

/* The file, at the place up to which it was read, and its size; -1: it is not there, or
 * not yet the one. */
static int open_log(LogReader *reader, off_t *n_bytes) {
  struct stat at;
  int fd = reader->log ? file_open_own(reader->log, O_RDONLY) : -1;
  if (fd < 0) return -1;
  bool ours = fstat(fd, &at) == 0 && S_ISREG(at.st_mode) &&
              at.st_ino != reader->earlier;
  if (ours && at.st_ino != reader->inode) reader->n_read = 0;
  if (ours) reader->inode = at.st_ino;
  *n_bytes = at.st_size;
  if (ours && lseek(fd, reader->n_read, SEEK_SET) >= 0) return fd;
  close(fd);
  return -1;
}

/* Reads so much of what is there now: it may be written faster than it is read. */
static void read_log(LogReader *reader, ShownLines *shown, off_t most) {
  char buffer[READ_BYTES];
  off_t size;
  int fd = open_log(reader, &size);
  if (fd < 0) return;
  off_t end = size - reader->n_read > most ? reader->n_read + most : size;
  for (ssize_t n; reader->n_read < end && (n = read(fd, buffer, sizeof buffer)) > 0;
       reader->n_read += n)
    log_reader_add(reader, shown, buffer, (size_t)n);
  close(fd);
}

void log_reader_read(LogReader *reader, ShownLines *shown) {
  read_log(reader, shown, LOG_READ_BYTES);
}

void log_reader_end(LogReader *reader, ShownLines *shown) {
  read_log(reader, shown, INT64_MAX);
  const Text *tail = &reader->tail;
  if (tail->n_bytes && !tail->failed && tail->data[tail->n_bytes - 1] != '\n')
    log_reader_add(reader, shown, "\n", 1);
  free(reader->log);
  reader->log = NULL;
}

void log_reader_deinit(LogReader *reader) {
  text_deinit(&reader->tail);
  free(reader->log);
  *reader = (LogReader){0};
}
