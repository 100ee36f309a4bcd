/* edit.c: chooses between libedit and plain lines, and keeps the history file.
 *
 * Reading waits in interrupt_wait alone, so that Ctrl-C is seen at once and none is
 * lost. */
#include "cli/edit.h"
#include "base/sys.h"
#include "cli/history.h"
#include "cli/libedit.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Editor {
  Libedit *libedit; /* NULL: plain lines */
  char *history;    /* path; NULL: none */
  char *last;       /* statement remembered last: repeated ones count once */
};

bool edit_more(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&input, 1, 0) > 0 && (input.revents & POLLIN);
}

/* -- plain lines ------------------------------------------------------------------- */

/* One byte; 0 at the end of input, -1 when interrupted. */
static int read_byte(char *byte) {
  for (;;) {
    if (interrupt_pending()) return -1;
    if (!interrupt_wait(STDIN_FILENO)) continue;
    ssize_t n = read(STDIN_FILENO, byte, 1);
    if (n >= 0) return (int)n;
    if (errno != EINTR) return 0;
  }
}

static EditResult plain_line(const char *prompt, Text *out) {
  fputs(prompt, stdout);
  fflush(stdout);
  for (char byte;;) {
    int n = read_byte(&byte);
    if (n < 0) return EDIT_INTERRUPT;
    if (n == 0) return out->n_bytes ? EDIT_LINE : EDIT_END;
    if (byte == '\n') return EDIT_LINE;
    text_add_bytes(out, &byte, 1);
  }
}

/* -- the editor -------------------------------------------------------------------- */

static bool terminal_can_edit(void) {
  const char *terminal = getenv("TERM");
  return terminal && *terminal && strcmp(terminal, "dumb") != 0 &&
         isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void recall(void *ctx, const char *statement) {
  Editor *editor = ctx;
  libedit_remember(editor->libedit, statement);
}

Editor *edit_open(const char *history, EditComplete *complete, void *ctx) {
  Editor *editor = calloc(1, sizeof *editor);
  if (!editor) return NULL;
  if (terminal_can_edit()) editor->libedit = libedit_open(complete, ctx);
  if (!editor->libedit || !history) return editor;
  editor->history = text_copy(history);
  history_read(history, recall, editor);
  return editor;
}

void edit_close(Editor *editor) {
  if (!editor) return;
  if (editor->libedit) libedit_close(editor->libedit);
  free(editor->history);
  free(editor->last);
  free(editor);
}

EditResult edit_line(Editor *editor, const char *prompt, Text *out) {
  return editor->libedit ? libedit_line(editor->libedit, prompt, out)
                         : plain_line(prompt, out);
}

void edit_remember(Editor *editor, const char *statement) {
  bool blank = !statement[strspn(statement, " \t\n")];
  if (blank || !editor->libedit ||
      (editor->last && strcmp(editor->last, statement) == 0))
    return;
  free(editor->last);
  editor->last = text_copy(statement);
  libedit_remember(editor->libedit, statement);
  if (editor->history) history_add(editor->history, statement);
}
