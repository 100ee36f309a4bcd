/* out.c: stdout, its copies in logs, stderr, the progress line.
 *
 * Until a log is open what is printed is kept in `kept`; from its opening on every
 * write goes to both. While output is diverted descriptors 1 and 2 are files, so that
 * what others write there (io.stdout of Lua, programs that a script starts) lands in
 * them too. The first error of each is remembered: it is not a reason to stop in the
 * middle of a print, but out_flush, or the end of the log, reports it. */
#include "base/out.h"
#include "base/sys.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPOSED_BYTES = 1024 }; /* of a text that needs no memory */

typedef struct Log {
  char *path; /* NULL: the place is free */
  FILE *file;
  int error; /* errno of the first write that failed */
} Log;

static struct Out {
  Text kept;            /* printed before there was a log */
  size_t dropped_bytes; /* of it, what did not fit */
  Log log[OUT_LOGS];
  int stdout_errno; /* of the first write that failed */
  struct Diverted {
    char *path;   /* of what descriptor 1 is; NULL: nothing is diverted */
    int saved[2]; /* what descriptors 1 and 2 were */
    int error;
  } diverted;
  bool progress; /* the progress line is on the terminal */
} out;

/* A flush that failed may give its bytes up: the next would say that all is well. */
static void flush_stdout(void) {
  if (!out.stdout_errno && fflush(stdout) != 0) out.stdout_errno = errno;
}

static void wipe_progress(void) {
  if (!out.progress) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  out.progress = false;
}

static void keep(const char *bytes, size_t n_bytes) {
  size_t room = OUT_KEPT_BYTES - out.kept.n_bytes;
  size_t n = out.dropped_bytes > 0 || out.kept.failed ? 0
             : n_bytes < room                         ? n_bytes
                                                      : room;
  text_add_bytes(&out.kept, bytes, n);
  out.dropped_bytes += n_bytes - n;
}

static void log_write(Log *log, const void *bytes, size_t n_bytes) {
  bool whole = fwrite(bytes, 1, n_bytes, log->file) == n_bytes &&
               fflush(log->file) == 0;
  if (!whole && !log->error) log->error = errno ? errno : EIO;
}

/* To all logs; false when there is none. */
static bool write_logs(const void *bytes, size_t n_bytes) {
  bool any = false;
  for (Log *log = out.log; log < out.log + OUT_LOGS; log++) {
    if (!log->path) continue;
    log_write(log, bytes, n_bytes);
    any = true;
  }
  return any;
}

void out_write(const void *bytes, size_t n_bytes) {
  if (n_bytes == 0) return;
  wipe_progress();
  errno = 0;
  bool diverted = out.diverted.path != NULL;
  int *error = diverted ? &out.diverted.error : &out.stdout_errno;
  bool whole = fwrite(bytes, 1, n_bytes, stdout) == n_bytes;
  if (diverted) whole = fflush(stdout) == 0 && whole; /* programs write there, too */
  if (!whole && !*error) *error = errno ? errno : EIO;
  if (!write_logs(bytes, n_bytes) && !diverted) keep(bytes, n_bytes);
}

static void write_clean(const char *text) {
  Text clean = {0};
  text_add_clean_lines(&clean, text);
  if (!clean.failed && clean.n_bytes) out_write(clean.data, clean.n_bytes);
  else if (clean.failed && !out.stdout_errno) out.stdout_errno = ENOMEM;
  text_deinit(&clean);
}

static void write_plain(const char *text) { out_write(text, strlen(text)); }

/* The text in `buffer`, or new where it is longer; NULL on lack of memory, with what
 * fits in `buffer`. */
static char *compose(char buffer[COMPOSED_BYTES], const char *format, va_list args) {
  char *text = buffer;
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(buffer, COMPOSED_BYTES, format, args);
  must(n >= 0);
  if (n >= COMPOSED_BYTES && (text = malloc((size_t)n + 1)))
    vsnprintf(text, (size_t)n + 1, format, again);
  va_end(again);
  return text;
}

static void print(void (*write)(const char *), const char *format, va_list args) {
  char buffer[COMPOSED_BYTES], *text = compose(buffer, format, args);
  if (text) write(text);
  else if (!out.stdout_errno) out.stdout_errno = ENOMEM;
  if (text != buffer) free(text);
}

void out_print(const char *format, ...) {
  va_list args;
  va_start(args, format);
  print(write_plain, format, args);
  va_end(args);
}

void out_say(const char *format, ...) {
  va_list args;
  va_start(args, format);
  print(write_clean, format, args);
  va_end(args);
}

void out_data(const void *bytes, size_t n_bytes) {
  Text text = {0};
  if (terminal_columns(stdout) <= 0) {
    out_write(bytes, n_bytes);
    return;
  }
  text_add_bytes(&text, bytes, n_bytes);
  if (text.data && !text.failed) write_clean(text.data);
  else if (text.failed && !out.stdout_errno) out.stdout_errno = ENOMEM;
  text_deinit(&text);
}

Err out_json(Json *json, Fault *fault) {
  Text text = {0};
  Err err = json_write_lines(json, &text, fault);
  if (!err) out_data(text.data, text.n_bytes);
  json_free(json);
  text_deinit(&text);
  return err;
}

/* Whatever a script's error says, no terminal is made to do things by it. */
static void put_error(const char *before, const char *text, const char *after) {
  Text clean = {0};
  text_add_clean_lines(&clean, text);
  wipe_progress();
  flush_stdout(); /* keeps the order on a shared terminal */
  fprintf(stderr, "%s%s%s", before, clean.data && !clean.failed ? clean.data : "",
          after);
  fflush(stderr);
  text_deinit(&clean);
}

void err_print(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char buffer[COMPOSED_BYTES], *text = compose(buffer, format, args);
  va_end(args);
  put_error("", text ? text : buffer, ""); /* without memory what fits */
  if (text != buffer) free(text);
}

static bool colour_on(FILE *file) {
  const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return terminal_columns(file) > 0 && !(refused && *refused) && terminal &&
         strcmp(terminal, "dumb") != 0;
}

void err_print_red(const char *text) {
  bool colour = colour_on(stderr);
  put_error(colour ? "\033[31m" : "", text, colour ? "\033[0m\n" : "\n");
}

/* -- progress ---------------------------------------------------------------------- */

bool out_progress_on(void) { return terminal_columns(stderr) > 0; }

static int wanted_columns(int otherwise) {
  const char *wanted = getenv("COLUMNS");
  long n = wanted ? strtol(wanted, NULL, 10) : 0;
  return n > 0 && n < OUT_NO_LIMIT ? (int)n : otherwise;
}

static int columns_or(int otherwise) {
  int columns = terminal_columns(stdout);
  return columns > 0 ? columns : wanted_columns(otherwise);
}

int out_columns(void) { return columns_or(80); }
int out_page_columns(void) { return wanted_columns(80); }
int out_table_columns(void) { return columns_or(OUT_NO_LIMIT); }

bool out_colour_on(void) { return colour_on(stdout); }

/* Bytes of the first `columns` characters of UTF-8 text. */
static size_t cut_at(const char *text, int columns) {
  size_t i = 0;
  for (; text[i]; i++)
    if (((unsigned char)text[i] & 0xC0) != 0x80 && columns-- == 0) break;
  return i;
}

void out_progress(const char *format, ...) {
  int columns = terminal_columns(stderr);
  if (columns <= 0) return;
  char line[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  Text clean = {0};
  text_add_clean(&clean, line);
  const char *shown = clean.data && !clean.failed ? clean.data : "";
  if (!out.progress) flush_stdout();
  fprintf(stderr, "\r%.*s\033[K", (int)cut_at(shown, columns - 1), shown);
  text_deinit(&clean);
  fflush(stderr);
  out.progress = true;
}

void out_progress_end(bool leave) {
  if (!leave) wipe_progress();
  else if (out.progress) fputs("\n", stderr);
  out.progress = false;
}

/* -- the log ----------------------------------------------------------------------- */

/* Nothing is written through a link; of a pipe no reader is waited for. */
enum {
  LOG_FLAGS = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
              O_CLOEXEC
};

static void log_kept(Log *log) {
  if (out.kept.n_bytes > 0) log_write(log, out.kept.data, out.kept.n_bytes);
  if (out.dropped_bytes > 0) {
    char note[96];
    int n = snprintf(note, sizeof note, "\n[%zu bytes printed here were not kept]\n",
                     out.dropped_bytes);
    log_write(log, note, (size_t)n);
  }
  text_deinit(&out.kept);
  out.kept = (Text){0};
  out.dropped_bytes = 0;
}

static Err cannot_create(const char *path, Fault *fault) {
  return fault_set(fault, ERR_STORAGE, "%s: cannot be created: %s", path,
                   strerror(errno));
}

static Err write_fault(const char *path, int error, Fault *fault) {
  if (!error) return ERR_OK;
  return fault_set(fault, ERR_STORAGE, "%s: cannot be written: %s", path,
                   strerror(error));
}

Err out_tee_begin(const char *path, int *log, Fault *fault) {
  int place = 0;
  while (place < OUT_LOGS && out.log[place].path) place++;
  must(place < OUT_LOGS);
  Log new = {.path = text_copy(path)};
  if (!new.path) return fault_memory(fault, strlen(path));
  int fd = open(path, LOG_FLAGS, 0666);
  new.file = fd < 0 ? NULL : fdopen(fd, "wb");
  if (!new.file) {
    Err err = cannot_create(path, fault);
    if (fd >= 0) close(fd);
    free(new.path);
    return err;
  }
  out.log[place] = new;
  *log = place + 1;
  log_kept(&out.log[place]);
  return ERR_OK;
}

Err out_tee_end(int *log, Fault *fault) {
  if (*log == OUT_NO_LOG) return ERR_OK;
  Log *ended = &out.log[*log - 1];
  if (fclose(ended->file) != 0 && !ended->error) ended->error = errno;
  Err err = write_fault(ended->path, ended->error, fault);
  free(ended->path);
  *ended = (Log){0};
  *log = OUT_NO_LOG;
  return err;
}

/* -- other places for descriptors 1 and 2 ------------------------------------------ */

/* Several processes may write, each at the end. Above the descriptors that it will
 * replace. */
static int open_above(const char *path) {
  int fd = open(path, LOG_FLAGS | O_APPEND, 0666);
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  close(fd);
  return above;
}

/* Both are opened, or none. */
static bool open_both(const char *const paths[2], int fds[2], Fault *fault) {
  for (int i = 0; i < 2; i++) {
    fds[i] = open_above(paths[i]);
    if (fds[i] >= 0) continue;
    cannot_create(paths[i], fault);
    if (i > 0) close(fds[0]);
    return false;
  }
  return true;
}

/* What was written before comes out before what follows. */
static void flush_both(void) {
  if (fflush(stdout) != 0 && !out.stdout_errno) out.stdout_errno = errno;
  fflush(stderr);
}

Err out_divert(const char *out_path, const char *err_path, Fault *fault) {
  int fds[2];
  must(!out.diverted.path);
  char *path = text_copy(out_path);
  if (!path) return fault_memory(fault, strlen(out_path));
  if (!open_both((const char *const[]){out_path, err_path}, fds, fault)) {
    free(path);
    return fault->code;
  }
  wipe_progress();
  flush_both();
  out.diverted = (struct Diverted){.path = path};
  for (int i = 0; i < 2; i++) {
    out.diverted.saved[i] = fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC,
                                  STDERR_FILENO + 1);
    dup2(fds[i], STDOUT_FILENO + i);
    close(fds[i]);
  }
  return ERR_OK;
}

Err out_divert_end(Fault *fault) {
  struct Diverted *d = &out.diverted;
  if (!d->path) return ERR_OK;
  if (fflush(stdout) != 0 && !d->error) d->error = errno;
  fflush(stderr);
  for (int i = 0; i < 2; i++) {
    if (d->saved[i] >= 0) dup2(d->saved[i], STDOUT_FILENO + i);
    close(d->saved[i] >= 0 ? d->saved[i] : STDOUT_FILENO + i); /* -1: it was closed */
  }
  Err err = write_fault(d->path, d->error, fault);
  free(d->path);
  *d = (struct Diverted){0};
  return err;
}

Err out_flush(Fault *fault) {
  flush_stdout();
  if (out.stdout_errno)
    return fault_set(fault, ERR_STORAGE, "standard output: cannot be written: %s",
                     strerror(out.stdout_errno));
  Err err = ERR_OK;
  for (const Log *log = out.log; !err && log < out.log + OUT_LOGS; log++)
    if (log->path) err = write_fault(log->path, log->error, fault);
  return err;
}
