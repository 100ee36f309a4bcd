/* libedit.c: the only door to libedit (histedit.h).
 *
 * Characters are read by read_character, which waits where a signal is seen; libedit's
 * own signal handling stays off. A pending interrupt ends the line with EDIT_INTERRUPT.
 * Ctrl-Z gives the terminal back as it was before it stops the program.
 *
 * One editor per process: libedit gives its prompt function the EditLine, whose client
 * data is the Libedit. */
#include "cli/libedit.h"
#ifndef HAVE_LIBEDIT

Libedit *libedit_open(EditComplete *complete, void *ctx) {
  (void)complete, (void)ctx;
  return NULL;
}
void libedit_close(Libedit *editor) { (void)editor; }
EditResult libedit_line(Libedit *editor, const char *prompt, Text *out) {
  (void)editor, (void)prompt, (void)out;
  return EDIT_END;
}
void libedit_remember(Libedit *editor, const char *statement) {
  (void)editor, (void)statement;
}

#else
#include "base/out.h"
#include "base/sys.h"
#include "cli/history.h"
#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct Libedit {
  EditLine *line;
  History *history;
  EditComplete *complete;
  void *ctx;
  const char *prompt;
  char shown[64]; /* the prompt with its colour */
  bool ended;     /* there is no more input */
};

static Libedit *self(EditLine *line) {
  void *data = NULL;
  el_get(line, EL_CLIENTDATA, &data);
  return data;
}

/* -- characters -------------------------------------------------------------------- */

/* The terminal has another size, was another's for a while, or is to be so. */
static volatile sig_atomic_t terminal_changed;
static void on_terminal_signal(int number) { terminal_changed = number; }

static void watch_signal(int number) {
  struct sigaction action = {.sa_handler = on_terminal_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
}

/* Outside of lines Ctrl-Z does what it did, which is put back. */
static void watch_stop(struct sigaction *before) {
  sigaction(SIGTSTP, NULL, before);
  if (before->sa_handler != SIG_IGN) watch_signal(SIGTSTP);
}

static void redraw(EditLine *line) {
  int number = terminal_changed;
  terminal_changed = 0;
  if (number == SIGTSTP) {
    el_set(line, EL_PREP_TERM, 0);
    process_stop(); /* and here it goes on */
    terminal_changed = 0;
  }
  if (number == SIGCONT || number == SIGTSTP) el_set(line, EL_PREP_TERM, 1);
  el_resize(line);
  el_set(line, EL_REFRESH);
}

/* A byte; false at the end of input or when interrupted. */
static bool read_byte(EditLine *line, char *byte) {
  for (;;) {
    if (interrupt_pending()) return false;
    if (terminal_changed) redraw(line);
    if (!interrupt_wait(STDIN_FILENO)) continue;
    ssize_t n = read(STDIN_FILENO, byte, 1);
    if (n == 1) return true;
    if (n < 0 && errno == EINTR) continue;
    self(line)->ended = true;
    return false;
  }
}

/* One character of UTF-8; what is none is read as U+FFFD. */
static int read_character(EditLine *line, wchar_t *out) {
  mbstate_t state = {0};
  for (;;) {
    char byte;
    if (!read_byte(line, &byte)) return -1;
    size_t n = mbrtowc(out, &byte, 1, &state);
    if (n == (size_t)-2) continue;
    if (n == (size_t)-1) *out = 0xFFFD;
    return 1;
  }
}

/* -- completion -------------------------------------------------------------------- */

/* Bytes that all words have in common. */
static size_t common_bytes(const EditWords *words) {
  const char *first = words->words.data, *word = first;
  size_t n = strlen(first);
  for (int i = 1; i < words->n; i++) {
    word += strlen(word) + 1;
    size_t same = 0;
    while (same < n && word[same] == first[same]) same++;
    n = same;
  }
  while (n > 0 && ((unsigned char)first[n] & 0xC0) == 0x80) n--; /* whole characters */
  return n;
}

static void list_words(const EditWords *words) {
  enum { MOST = 200 };
  int width = 0, column = 0, shown = words->n < MOST ? words->n : MOST;
  const char *word = words->words.data;
  for (int i = 0; i < words->n; i++, word += strlen(word) + 1)
    if ((int)strlen(word) > width) width = (int)strlen(word);
  int per_line = out_columns() / (width + 2);
  word = words->words.data;
  for (int i = 0; i < shown; i++, word += strlen(word) + 1) {
    fputs(column == 0 ? "\n" : "", stdout);
    printf(column + 1 < per_line ? "%-*s  " : "%-*s", width, word);
    column = column + 1 < per_line ? column + 1 : 0;
  }
  if (shown < words->n) printf("\n... and %d more", words->n - shown);
  fputs("\n", stdout);
}

/* Text typed before the cursor; to be freed. */
static char *before_cursor(EditLine *line) {
  const LineInfo *info = el_line(line);
  return strndup(info->buffer, (size_t)(info->cursor - info->buffer));
}

/* Tab: goes on as far as it is clear how; else shows what is possible. In front of a
 * line it is an indentation, inside pasted text a blank. */
static unsigned char on_tab(EditLine *line, int character) {
  (void)character;
  Libedit *editor = self(line);
  char *before = before_cursor(line);
  unsigned char result = CC_ERROR;
  if (!before) return CC_ERROR;
  if (edit_more() || !before[strspn(before, " \t\n")]) {
    free(before);
    return el_insertstr(line, "  ") ? CC_ERROR : CC_REFRESH;
  }
  EditWords words = {0};
  editor->complete(editor->ctx, before, &words);
  if (words.n > 0 && !words.words.failed) {
    size_t common = common_bytes(&words);
    if (common > words.n_typed) {
      char *more = strndup(words.words.data + words.n_typed, common - words.n_typed);
      if (more && el_insertstr(line, more) == 0) result = CC_REFRESH;
      free(more);
    } else if (words.n > 1) {
      list_words(&words);
      result = CC_REDISPLAY;
    }
  }
  text_deinit(&words.words);
  free(before);
  return result;
}

/* -- opening ----------------------------------------------------------------------- */

/* Escape sequences of the prompt are between \1, which takes no place. */
static char *show_prompt(EditLine *line) {
  Libedit *editor = self(line);
  snprintf(editor->shown, sizeof editor->shown,
           out_colour_on() ? "\1\033[1;32m\1%s\1\033[0m\1" : "%s", editor->prompt);
  return editor->shown;
}

/* Characters are UTF-8, also where the environment names no locale. */
static void use_utf8(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static void bind_keys(EditLine *line) {
  static const char *const keys[][2] = {
      {"^I", "runner-complete"}, {"^R", "em-inc-search-prev"},
      {"\\e[3~", "ed-delete-next-char"}, {"\\e[1~", "ed-move-to-beg"},
      {"\\e[4~", "ed-move-to-end"}, {"\\e[H", "ed-move-to-beg"},
      {"\\e[F", "ed-move-to-end"}, {"\\e[1;5C", "em-next-word"},
      {"\\e[1;5D", "ed-prev-word"}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    el_set(line, EL_BIND, keys[i][0], keys[i][1], NULL);
}

static void set_up(Libedit *editor) {
  EditLine *line = editor->line;
  HistEvent event;
  history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
  el_set(line, EL_CLIENTDATA, editor);
  el_set(line, EL_EDITOR, "emacs");
  el_set(line, EL_SIGNAL, 0);
  el_set(line, EL_HIST, history, editor->history);
  el_set(line, EL_PROMPT_ESC, show_prompt, '\1');
  el_set(line, EL_GETCFN, read_character);
  el_wset(line, EL_ADDFN, L"runner-complete", L"completes names",
          on_tab); /* el_set leaks */
  bind_keys(line);
  el_source(line, NULL);
}

Libedit *libedit_open(EditComplete *complete, void *ctx) {
  Libedit *editor = calloc(1, sizeof *editor);
  if (!editor) return NULL;
  use_utf8();
  *editor = (Libedit){.line = el_init("runner", stdin, stdout, stderr),
                      .history = history_init(), .complete = complete, .ctx = ctx,
                      .prompt = ""};
  if (!editor->line || !editor->history) {
    libedit_close(editor);
    return NULL;
  }
  set_up(editor);
  watch_signal(SIGWINCH);
  watch_signal(SIGCONT);
  return editor;
}

void libedit_close(Libedit *editor) {
  if (editor->line) el_end(editor->line);
  if (editor->history) history_end(editor->history);
  free(editor);
}

/* -- lines ------------------------------------------------------------------------- */

EditResult libedit_line(Libedit *editor, const char *prompt, Text *out) {
  int n = 0;
  struct sigaction before;
  editor->prompt = prompt;
  fflush(stdout);
  watch_stop(&before);
  el_set(editor->line, EL_PREP_TERM, 1); /* before the prompt is seen, not after it */
  if (terminal_changed) el_resize(editor->line);
  terminal_changed = 0; /* while there was no line to be drawn again */
  const char *typed = el_gets(editor->line, &n);
  sigaction(SIGTSTP, &before, NULL);
  if (!typed) return n < 0 && !editor->ended ? EDIT_INTERRUPT : EDIT_END;
  size_t length = strlen(typed);
  if (length && typed[length - 1] == '\n') length--;
  text_add_bytes(out, typed, length);
  return EDIT_LINE;
}

void libedit_remember(Libedit *editor, const char *statement) {
  HistEvent event;
  history(editor->history, &event, H_ENTER, statement);
}
#endif
