/* study_said.h: what the trials of a study say on stderr, on its way to the screen.
 *
 *   a trial's stderr.log ─┐
 *   pipe of a worker ─────┴─► Voice: lines, last part ─► Told: each line once ─► screen
 *
 * The file holds all of it, byte by byte; the screen gets what a terminal would still
 * show of a line in the end (a bar that is drawn again and again, its last state),
 * once, however many trials say it, and the first 64 KiB of such lines. */
#ifndef LAB_STUDY_SAID_H
#define LAB_STUDY_SAID_H

#include "base/json.h"
#include "base/text.h"
#include <sys/types.h>

/* Lines that were passed on. All zero: none. */
typedef struct Told {
  Json *lines;    /* a map whose keys they are */
  size_t n_bytes; /* of all of them, their ends included */
} Told;
void told_deinit(Told *told);

/* One who speaks: a worker, and the trial that it runs. All zero but for nothing said
 * yet. */
typedef struct Voice {
  Text tail;            /* what was said last; what stands behind its last line end was
                           not passed on yet */
  char *log;            /* the file that is followed; NULL: none */
  ino_t earlier, inode; /* of an earlier attempt's file, which is not read; of ours */
  off_t n_read;
} Voice;

/* Takes what was read elsewhere. */
void voice_add(Voice *voice, Told *told, const char *bytes, size_t n_bytes);
/* A trial is about to begin: stderr.log in this directory, once it is new, is the next
 * to be read. */
void voice_follow(Voice *voice, const char *directory);
/* Reads what was added to it, up to HEAR_BYTES: who says more than that at a time is
 * heard on at the next call, and others in between. */
enum { HEAR_BYTES = 1 << 20 };
void voice_hear(Voice *voice, Told *told);
/* Reads all that stands there now, and takes the last line, with or without its end:
 * nothing more comes of this trial. */
void voice_pause(Voice *voice, Told *told);
void voice_deinit(Voice *voice);

#endif
