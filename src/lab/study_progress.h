/* study_progress.h: what a person sees of a study while it runs: on a terminal one line
 * that is redrawn, elsewhere a line now and then; on stderr, as all progress. */
#ifndef LAB_STUDY_PROGRESS_H
#define LAB_STUDY_PROGRESS_H

#include "lab/study.h"

typedef struct StudyProgress {
  double start_s, shown_s;
  int64_t done_at_start;
  int64_t n_diverged; /* in this run */
  int n_shown;        /* lines about trials that did not end well */
  int n_again;        /* the same of those that are run again */
} StudyProgress;

/* "240 trials: 97 done, 3 failed, 140 to run, by 2 workers of 1 thread". workers 0:
 * here. */
void study_progress_begin(StudyProgress *p, const Study *study, int workers,
                          int threads);
/* Shows it if it is time to. `stopping`: nothing new is begun. */
void study_progress_show(StudyProgress *p, const Study *study, int running,
                         bool stopping);
/* Prints a line about a trial that failed or diverged. */
void study_progress_trial(StudyProgress *p, const Study *study, int64_t trial);
/* Prints that it is run again, and why, when that happens for the first time. */
void study_progress_again(StudyProgress *p, const Study *study, int64_t trial,
                          const char *why);
void study_progress_end(StudyProgress *p, const Study *study);

/* "1 h 12 min", "12 min 5 s", "3.2 s" into `buffer` of at least 32 bytes. */
char *study_duration_text(double seconds, char *buffer);

#endif
