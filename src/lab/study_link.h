/* study_link.h: what the coordinator of a study and its workers say to each other: JSON
 * values, one a line, over a pair of sockets.
 *
 *   coordinator -> worker   { hello } first; then one job after the other: { trial, id,
 *                           seed, cell: {factor: level}, config, fingerprint }
 *   worker -> coordinator   { trial, outcome, message }, once per job
 *
 * The end of the stream ends the worker. */
#ifndef LAB_STUDY_LINK_H
#define LAB_STUDY_LINK_H

#include "base/json.h"

/* What became of a job. */
typedef enum JobOutcome {
  JOB_ENDED,                 /* published: the directory says how it ended */
  JOB_TAKEN,                 /* another process runs, has published or removes it */
  JOB_STOPPED,               /* interrupted, after a checkpoint where there is one */
  JOB_STORAGE,               /* its files could not be written; ends the study */
  JOB_CODE,                  /* the script is not what it was; ends the study */
  JOB_OUTCOMES
} JobOutcome;

typedef struct Link {
  int fd; /* -1: closed */
  /* private */
  Text received;
  size_t taken; /* bytes of it that were given out */
} Link;

/* False when the other side is gone. ERR_MEMORY shows as gone too. */
bool link_send(Link *link, const Json *message);
/* Waits for bytes and takes them; false at the end of the stream. */
bool link_receive(Link *link);
/* The next whole line among those received; NULL: there is none. Returns new. A line
 * that is no JSON closes the link. */
Json *link_next(Link *link);
void link_close(Link *link);

const char *job_outcome_name(JobOutcome outcome);
/* JOB_OUTCOMES for a text that is none. */
JobOutcome job_outcome_parse(const char *name);

#endif
