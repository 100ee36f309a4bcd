/* study_pool.h: runs the trials of a study in worker processes. */
#ifndef LAB_STUDY_POOL_H
#define LAB_STUDY_POOL_H

#include "lab/study.h"

typedef struct PoolOptions {
  int jobs;       /* worker processes; 0: as many as cores */
  int threads;    /* of each worker; 0: cores / jobs, at least 1 */
  bool fail_fast; /* a trial that fails ends the study */
  const char *runs;
  const char *script; /* what workers run, with these words */
  char *const *words;
  int n_words;
  const Json *hello; /* the first message to each worker */
  bool tuning;       /* its trials choose parameters: they need only the metric */
} PoolOptions;

/* Runs what is left of a study that has a store. Workers are started from this
 * program's own file, keep running from trial to trial, and are replaced when they die;
 * the trial of one that died is run again, STUDY_DEATHS times at most, then it counts
 * as failed.
 *
 * SIGINT once: running trials are finished, and with them the programs that they
 * started; twice: they keep a checkpoint and stop, or are killed if they do not in
 * twenty seconds; a third ends the program, and all others with it. SIGTERM and
 * SIGUSR1: as SIGINT twice.
 *
 * ERR_INTERRUPT after a signal, with trials left or while tuning; ERR_STORAGE when a
 * trial's files could not be written; ERR_USAGE when the script changed while the study
 * ran, or another process ran trials of it with other code. In each case what is done
 * is kept. */
Err pool_run(Study *study, const PoolOptions *options, Fault *fault) WARN_UNUSED;

/* Fills in jobs and threads. Returns true when more threads than cores were asked
 * for. */
bool pool_share_cores(PoolOptions *options);

#endif
