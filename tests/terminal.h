/* terminal.h: the program in a terminal of the test's own (a pseudo-terminal).
 *
 * What the program writes is read as it comes, without escape sequences and carriage
 * returns; terminal_expect goes forward through it. Nothing here waits for a time to
 * pass: each wait is for a text, and fails the test when nothing at all happens for
 * PATIENCE. */
#ifndef TESTS_TERMINAL_H
#define TESTS_TERMINAL_H

#include "base/sys.h"
#include "base/text.h"
#include "tempdir.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static const double PATIENCE = 30; /* seconds */

typedef struct Terminal {
  int fd;
  pid_t pid; /* the first program there, which is waited for ... */
  pid_t job; /* ... and $RUNNER: the same, or a job of the first */
  Text seen;
  size_t at;      /* what was expected so far ends here */
  double moved_s; /* when something was last read or written */
  int escape;     /* of an escape sequence: 0 outside, 1 after ESC, 2 inside */
} Terminal;

/* Becomes $RUNNER with these words (NULL-terminated, at most 6). */
static inline void terminal_exec(const char *const *words) {
  char *args[8] = {getenv("RUNNER")};
  for (int i = 0; words && words[i]; i++) args[i + 1] = (char *)words[i];
  const char *home = temp_path("home");
  setenv("HOME", home, 1);
  setenv("XDG_STATE_HOME", home, 1);
  setenv("TERM", "xterm", 1);
  setenv("NO_COLOR", "1", 1);
  if (chdir(temp_root) || !args[0]) _exit(126);
  execv(args[0], args);
  _exit(127);
}

/* Runs it in a terminal of that width, as the first program there: nothing lets it go
 * on once it is stopped. */
static inline Terminal terminal_open(int columns, const char *const *words) {
  Terminal t = {.moved_s = clock_s()};
  struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
  (void)temp_path("home"); /* the same for all */
  t.pid = t.job = forkpty(&t.fd, NULL, NULL, &size);
  if (t.pid == 0) terminal_exec(words);
  assert_true(t.pid > 0);
  fcntl(t.fd, F_SETFL, O_NONBLOCK);
  return t;
}

/* The foreground job of what is as a shell to it; ends with its status. */
static inline void terminal_shell(int tell, const char *const *words) {
  int status = 0;
  signal(SIGTTOU, SIG_IGN);
  pid_t job = fork();
  setpgid(job, job);
  tcsetpgrp(0, job ? job : getpid());
  if (job == 0) {
    signal(SIGTTOU, SIG_DFL);
    terminal_exec(words);
  }
  if (write(tell, &job, sizeof job) < 0) _exit(125);
  while (waitpid(job, &status, 0) < 0 && errno == EINTR) continue;
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* As terminal_open, but started as shells do: Ctrl-Z stops it. */
static inline Terminal terminal_open_job(int columns, const char *const *words) {
  Terminal t = {.moved_s = clock_s()};
  struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
  int pipe_fds[2];
  (void)temp_path("home");
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  t.pid = forkpty(&t.fd, NULL, NULL, &size);
  if (t.pid == 0) terminal_shell(pipe_fds[1], words);
  close(pipe_fds[1]);
  assert_true(t.pid > 0 && read(pipe_fds[0], &t.job, sizeof t.job) == sizeof t.job);
  close(pipe_fds[0]);
  fcntl(t.fd, F_SETFL, O_NONBLOCK);
  return t;
}

static inline void terminal_take(Terminal *t, unsigned char c) {
  if (t->escape == 1) t->escape = c == '[' || c == '(' || c == ']' ? 2 : 0;
  else if (t->escape == 2) t->escape = c >= 0x40 && c != '[' ? 0 : 2;
  else if (c == 27) t->escape = 1;
  else if (c != '\r' && c != 7) text_add_bytes(&t->seen, &c, 1);
}

/* Reads what is there; false when the program has closed the terminal. */
static inline bool terminal_read(Terminal *t) {
  unsigned char bytes[4096];
  ssize_t n = read(t->fd, bytes, sizeof bytes);
  if (n > 0) t->moved_s = clock_s();
  for (ssize_t i = 0; i < n; i++) terminal_take(t, bytes[i]);
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static inline bool terminal_hangs(const Terminal *t) {
  return clock_s() - t->moved_s > PATIENCE;
}

/* Waits for a moment; false at the end of the program. */
static inline bool terminal_wait(Terminal *t, short events) {
  struct pollfd file = {.fd = t->fd, .events = events};
  if (poll(&file, 1, 100) <= 0) return true;
  return (file.revents & (POLLIN | POLLHUP)) ? terminal_read(t) : true;
}

static inline void terminal_fail(Terminal *t, const char *wanted) {
  enum { SHOWN = 500 };
  text_add_bytes(&t->seen, "", 1);
  size_t n = t->seen.n_bytes - t->at, from = t->at + (n > SHOWN ? n - SHOWN : 0);
  kill(t->pid, SIGKILL);
  fail_msg("not seen: \"%s\" in: %s", wanted, t->seen.data + from);
}

/* Types the text; reads meanwhile, so that neither side waits for the other for
 * ever. */
static inline void terminal_type(Terminal *t, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t n = write(t->fd, text, left);
    if (n > 0) text += n, left -= (size_t)n, t->moved_s = clock_s();
    else if (!terminal_wait(t, POLLIN | POLLOUT) || terminal_hangs(t))
      terminal_fail(t, "room to type");
  }
}

/* Waits until the text comes, behind what was expected before. */
static inline void terminal_expect(Terminal *t, const char *text) {
  for (t->moved_s = clock_s();;) {
    char *found = t->seen.n_bytes > t->at
                      ? memmem(t->seen.data + t->at, t->seen.n_bytes - t->at, text,
                               strlen(text))
                      : NULL;
    if (found) {
      t->at = (size_t)(found - t->seen.data) + strlen(text);
      return;
    }
    if (!terminal_wait(t, POLLIN) || terminal_hangs(t)) {
      terminal_fail(t, text);
      return;
    }
  }
}

/* A line, then what it prints, then the next prompt. */
static inline void terminal_line(Terminal *t, const char *line, const char *output) {
  terminal_type(t, line);
  terminal_type(t, "\r");
  terminal_expect(t, "\n");
  t->at--; /* of a line that prints nothing the prompt follows */
  if (output) terminal_expect(t, output);
  terminal_expect(t, "\n> ");
}

/* Waits for the end of the program, which must have that exit status. */
static inline void terminal_end(Terminal *t, int status) {
  int got = 0;
  t->moved_s = clock_s();
  while (terminal_wait(t, POLLIN))
    if (terminal_hangs(t)) terminal_fail(t, "the end of the program");
  assert_int_equal(waitpid(t->pid, &got, 0), t->pid);
  if (!WIFEXITED(got) || WEXITSTATUS(got) != status)
    fail_msg("wait status %#x, want exit status %d, after: %s", got, status,
             t->seen.data ? t->seen.data : "");
  close(t->fd);
  text_deinit(&t->seen);
}

#endif
