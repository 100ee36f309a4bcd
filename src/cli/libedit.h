/* libedit.h: the door to libedit; private to edit.c. Built without it, libedit_open
 * gives NULL and nothing else is called. */
#ifndef CLI_LIBEDIT_H
#define CLI_LIBEDIT_H

#include "cli/edit.h"

typedef struct Libedit Libedit;

Libedit *libedit_open(EditComplete *complete, void *ctx);
void libedit_close(Libedit *editor);
EditResult libedit_line(Libedit *editor, const char *prompt, Text *out);
void libedit_remember(Libedit *editor, const char *statement);

#endif
