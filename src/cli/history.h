/* history.h: the statements of earlier sessions: a text file of one statement a line,
 * in which "\n" is a newline and "\\" a backslash. A statement is added in one write,
 * so that sessions side by side lose nothing; a file grown too long is replaced
 * whole. */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "base/text.h"

enum { HISTORY_LINES = 2000, HISTORY_BYTES = 1 << 20 };

/* Where it is: $XDG_STATE_HOME/runner/history, else ~/.local/state/runner/history where
 * the directory ~/.local/state is there, else ~/.runner_history. To be freed; NULL:
 * nowhere. */
char *history_path(void);

/* Calls add(ctx, statement) for the last HISTORY_LINES, oldest first. A file that
 * cannot be read has none; one that is too long is cut to these. */
void history_read(const char *path, void (*add)(void *ctx, const char *statement),
                  void *ctx);

/* Adds one; a file that cannot be written is no reason to stop. */
void history_add(const char *path, const char *statement);

#endif
