/* edit.h: lines typed by a person: with editing, history and completion where the
 * program was built with libedit and a terminal allows it, else plain lines. */
#ifndef CLI_EDIT_H
#define CLI_EDIT_H

#include "base/text.h"

typedef enum EditResult {
  EDIT_LINE,                   /* a line, without its newline */
  EDIT_END,                    /* Ctrl-D, or no more input */
  EDIT_INTERRUPT               /* Ctrl-C or another interrupt, which is still pending */
} EditResult;

/* Words that may take the place of the last n_typed bytes before the cursor, each ended
 * by a zero byte; they begin with these bytes. */
typedef struct EditWords {
  size_t n_typed;
  int n;
  Text words;
} EditWords;

/* Fills `out` (zero on entry) for the text before the cursor. */
typedef void EditComplete(void *ctx, const char *before, EditWords *out);

typedef struct Editor Editor;

/* `history`: a file, see history.h; NULL: none is kept. NULL on lack of memory. */
Editor *edit_open(const char *history, EditComplete *complete, void *ctx);
void edit_close(Editor *editor); /* puts the terminal back; NULL is a no-op */

/* Shows the prompt, in colour where there is one, and waits for a line into `out`. */
EditResult edit_line(Editor *editor, const char *prompt, Text *out);

/* Adds a statement, of several lines perhaps, to the history. */
void edit_remember(Editor *editor, const char *statement);

/* Is more typed or pasted already? */
bool edit_more(void);

#endif
