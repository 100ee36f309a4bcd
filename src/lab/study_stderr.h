/* study_stderr.h: what the trials of a study say on stderr, on its way to the screen.
 *
 *   a trial's stderr.log ─┐
 *   pipe of a worker ─────┴─► LogReader: lines, last part ─► ShownLines ─► screen
 *
 * The file holds all of it, byte by byte; the screen gets what a terminal would still
 * show of a line in the end (a bar that is drawn again and again, its last state),
 * once, however many trials say it, and the first 64 KiB of such lines. */
#ifndef LAB_STUDY_STDERR_H
#define LAB_STUDY_STDERR_H

#include "base/json.h"
#include "base/text.h"
#include <sys/types.h>

/* Lines that are on the screen. All zero: none. */
typedef struct ShownLines {
  Json *lines;    /* a map whose keys they are */
  size_t n_bytes; /* of all of them, their ends included */
} ShownLines;
void shown_lines_deinit(ShownLines *shown);

/* What one worker says, and the trial that it runs. All zero: nothing yet. */
typedef struct LogReader {
  Text tail; /* what was said last; what is behind its last line end is not on
                the screen yet */
  char *log; /* the file that is followed; NULL: none */
  ino_t earlier, inode; /* of an earlier attempt's file, which is not read; of ours */
  off_t n_read;
} LogReader;

/* Takes what was read elsewhere. */
void log_reader_add(LogReader *reader, ShownLines *shown, const char *bytes,
                    size_t n_bytes);
/* A trial is about to begin: stderr.log in this directory, once it is new, is the next
 * to be read. */
void log_reader_follow(LogReader *reader, const char *directory);
/* Reads what was added to it, up to LOG_READ_BYTES: the rest of a trial that says more
 * at a time is read at the next calls, and other trials in between. */
enum { LOG_READ_BYTES = 1 << 20 };
void log_reader_read(LogReader *reader, ShownLines *shown);
/* Reads all that is there now, and takes the last line, with or without its end:
 * nothing more comes of this trial. */
void log_reader_end(LogReader *reader, ShownLines *shown);
void log_reader_deinit(LogReader *reader);

#endif
