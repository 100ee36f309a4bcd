/* out.c: stdout, its copy in stdout.log, stderr, the progress line.
 *
 * Until a log is open what is printed is kept in `kept`; from its opening on every write
 * goes to both; or, after out_capture, descriptor 1 is the log, so that what others write
 * there (io.stdout of Lua, programs that a script starts) lands in it too. The first error
 * of either is remembered: it is not a reason to stop in the middle of a print, but
 * out_flush reports it. */
#include "base/out.h"
#include "base/sys.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct Out {
  Text kept;               /* printed before there was a log */
  size_t dropped_bytes;    /* of it, what did not fit */
  FILE *log;
  char *log_path;
  int stdout_errno, log_errno;   /* of the first write that failed */
  bool captured;           /* stdout is the log, or else nothing */
  bool progress;           /* the progress line stands on the terminal */
} out;

static void wipe_progress(void) {
  if (!out.progress) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  out.progress = false;
}

static void keep(const char *bytes, size_t n_bytes) {
  size_t room = OUT_KEPT_BYTES - out.kept.n_bytes;
  size_t n = out.dropped_bytes > 0 || out.kept.failed ? 0 : n_bytes < room ? n_bytes : room;
  text_add_bytes(&out.kept, bytes, n);
  out.dropped_bytes += n_bytes - n;
}

static void log_write(const void *bytes, size_t n_bytes) {
  bool whole = fwrite(bytes, 1, n_bytes, out.log) == n_bytes && fflush(out.log) == 0;
  if (!whole && !out.log_errno) out.log_errno = errno ? errno : EIO;
}

void out_write(const void *bytes, size_t n_bytes) {
  if (n_bytes == 0) return;
  wipe_progress();
  errno = 0;
  bool whole = out.captured ? fflush(stdout) == 0   /* what others wrote stands before */
                            : fwrite(bytes, 1, n_bytes, stdout) == n_bytes;
  if (!whole && !out.stdout_errno) out.stdout_errno = errno ? errno : EIO;
  if (out.log) log_write(bytes, n_bytes);
  else keep(bytes, n_bytes);
}

void out_print(const char *format, ...) {
  char buffer[1024];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  must(n >= 0);
  if ((size_t)n < sizeof buffer) {
    out_write(buffer, (size_t)n);
    return;
  }
  char *large = malloc((size_t)n + 1);
  if (!large) {
    if (!out.stdout_errno) out.stdout_errno = ENOMEM;
    return;
  }
  va_start(args, format);
  vsnprintf(large, (size_t)n + 1, format, args);
  va_end(args);
  out_write(large, (size_t)n);
  free(large);
}

/* Whatever a script's error says, no terminal is made to do things by it. */
static void put_error(const char *before, const char *text, const char *after) {
  Text clean = {0};
  text_add_clean_lines(&clean, text);
  wipe_progress();
  if (!out.stdout_errno) fflush(stdout);   /* keeps the order on a shared terminal */
  fprintf(stderr, "%s%s%s", before, clean.data && !clean.failed ? clean.data : "", after);
  fflush(stderr);
  text_deinit(&clean);
}

void err_print(const char *format, ...) {
  char buffer[1024], *text = buffer;
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(buffer, sizeof buffer, format, args);
  must(n >= 0);
  if ((size_t)n >= sizeof buffer && (text = malloc((size_t)n + 1)))
    vsnprintf(text, (size_t)n + 1, format, again);
  va_end(again);
  va_end(args);
  put_error("", text ? text : buffer, "");   /* without memory what fits */
  if (text != buffer) free(text);
}

void err_print_red(const char *text) {
  bool colour = err_colour_on();
  put_error(colour ? "\033[31m" : "", text, colour ? "\033[0m\n" : "\n");
}

/* -- progress ------------------------------------------------------------------------ */

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

static bool colour_on(FILE *file) {
  const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return terminal_columns(file) > 0 && !(refused && *refused) && terminal &&
         strcmp(terminal, "dumb") != 0;
}

bool out_colour_on(void) { return colour_on(stdout); }
bool err_colour_on(void) { return colour_on(stderr); }

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
  if (!out.progress && !out.stdout_errno) fflush(stdout);
  fprintf(stderr, "\r%.*s\033[K", (int)cut_at(line, columns - 1), line);
  fflush(stderr);
  out.progress = true;
}

void out_progress_end(bool leave) {
  if (!leave) wipe_progress();
  else if (out.progress) fputs("\n", stderr);
  out.progress = false;
}

/* -- the log ------------------------------------------------------------------------- */

static void log_kept(void) {
  if (out.kept.n_bytes > 0) log_write(out.kept.data, out.kept.n_bytes);
  if (out.dropped_bytes > 0) {
    char note[96];
    int n = snprintf(note, sizeof note, "\n[%zu bytes printed here were not kept]\n",
                     out.dropped_bytes);
    log_write(note, (size_t)n);
  }
  text_deinit(&out.kept);
  out.kept = (Text){0};
  out.dropped_bytes = 0;
}

/* Descriptor 1 becomes a copy of `fd`, or of nothing (-1). False and errno when what was
 * written before is lost. */
static bool redirect(int fd) {
  bool whole = fflush(stdout) == 0;
  int error = errno, target = fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (target >= 0) dup2(target, STDOUT_FILENO);
  if (fd < 0 && target >= 0) close(target);
  errno = error;
  return whole;
}

void out_capture(void) {
  must(!out.log);
  out.captured = true;
  redirect(-1);
}

Err out_tee_begin(const char *path, Fault *fault) {
  must(!out.log);
  char *copy = text_copy(path);
  if (!copy) return fault_memory(fault, strlen(path));
  out.log = fopen(path, "wbe");
  if (!out.log) {
    free(copy);
    return fault_set(fault, ERR_STORAGE, "%s: cannot be created: %s", path,
                     strerror(errno));
  }
  out.log_path = copy;
  out.log_errno = 0;
  if (out.captured) {        /* two ways into one file: each goes on at its end */
    fcntl(fileno(out.log), F_SETFL, O_APPEND);
    redirect(fileno(out.log));
  }
  log_kept();
  return ERR_OK;
}

bool out_tee_on(void) { return out.log != NULL; }

static Err log_fault(Fault *fault) {
  if (!out.log_errno) return ERR_OK;
  return fault_set(fault, ERR_STORAGE, "%s: cannot be written: %s", out.log_path,
                   strerror(out.log_errno));
}

Err out_tee_end(Fault *fault) {
  if (!out.log) return ERR_OK;
  if (out.captured && !redirect(-1) && !out.log_errno) out.log_errno = errno;
  if (fclose(out.log) != 0 && !out.log_errno) out.log_errno = errno;
  Err err = log_fault(fault);
  free(out.log_path);
  out.log = NULL;
  out.log_path = NULL;
  out.log_errno = 0;
  return err;
}

Err out_flush(Fault *fault) {
  if (fflush(stdout) != 0 && !out.stdout_errno) out.stdout_errno = errno;
  if (out.stdout_errno)
    return fault_set(fault, ERR_STORAGE, "standard output: cannot be written: %s",
                     strerror(out.stdout_errno));
  return out.log ? log_fault(fault) : ERR_OK;
}
