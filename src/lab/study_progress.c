/* study_progress.c: the progress of a study on stderr. */
#include "lab/study_progress.h"
#include "base/out.h"
#include "base/sys.h"
#include <stdio.h>

enum { BAR_CELLS = 20, TRIAL_LINES = 20 };
static const double redraw_s = 0.2, line_s = 30;

char *study_duration_text(double seconds, char *buffer) {
  long s = (long)(seconds + 0.5);
  if (seconds < 10) snprintf(buffer, 32, "%.1f s", seconds);
  else if (s < 60) snprintf(buffer, 32, "%ld s", s);
  else if (s < 3600) snprintf(buffer, 32, "%ld min %ld s", s / 60, s % 60);
  else snprintf(buffer, 32, "%ld h %ld min", s / 3600, s % 3600 / 60);
  return buffer;
}

void study_progress_begin(StudyProgress *p, const Study *study, int workers,
                          int threads) {
  *p = (StudyProgress){.start_s = clock_s(),
                       .done_at_start = study->n_done + study->n_failed};
  p->shown_s = p->start_s;
  err_print("%s: %s: %lld done, %lld failed, %lld to run", study->name,
            text_counted(study->n_trials, "trial").s, (long long)study->n_done,
            (long long)study->n_failed, (long long)study->n_left);
  if (study->n_left && workers)
    err_print(", by %s of %s", text_counted(workers, "worker").s,
              text_counted(threads, "thread").s);
  err_print("\n");
}

/* Seconds that the trials left will take, by those that ended in this run; -1:
 * unknown. */
static double time_left(const StudyProgress *p, const Study *study) {
  int64_t ended = study->n_done + study->n_failed - p->done_at_start;
  if (ended <= 0) return -1;
  return (clock_s() - p->start_s) / (double)ended * (double)study->n_left;
}

static void add_counts(const StudyProgress *p, const Study *s, int running,
                       bool stopping, Text *line) {
  char eta[32];
  double left = time_left(p, s);
  text_addf(line, "%lld/%lld done", (long long)s->n_done, (long long)s->n_trials);
  if (s->n_failed) text_addf(line, ", %lld failed", (long long)s->n_failed);
  text_addf(line, ", %lld left", (long long)s->n_left);
  if (stopping) text_addf(line, ", finishing %d", running);
  else if (left >= 0) text_addf(line, ", ETA %s", study_duration_text(left, eta));
}

/* Adds it where there is room: nothing is cut in the middle. Ends `more`. */
static bool add_fitting(Text *line, Text *more, int width) {
  bool fits = line->data && more->data && !more->failed &&
              text_columns(line->data) + text_columns(more->data) <= width;
  if (fits) text_add(line, more->data);
  text_deinit(more);
  return fits;
}

/* The best cell so far, and its name. */
static void add_best(const Study *s, int width, Text *line) {
  double mean = 0;
  int n = 0, best = study_best(s, &mean, &n);
  Text value = {0}, name = {0};
  if (best < 0) return;
  text_addf(&value, ", best %s %.4g (mean of %d)", s->report, mean, n);
  if (!add_fitting(line, &value, width)) return;
  text_add(&name, ": ");
  study_cell_text(s, best, &name);
  add_fitting(line, &name, width);
}

static void add_bar(const Study *s, Text *line) {
  int64_t ended = s->n_done + s->n_failed;
  int filled = (int)(BAR_CELLS * ended / (s->n_trials > 0 ? s->n_trials : 1));
  text_add(line, "[");
  for (int i = 0; i < BAR_CELLS; i++)
    text_add(line, i < filled ? "=" : i == filled ? ">" : " ");
  text_add(line, "] ");
}

/* In front of the line, if there is room. */
static void put_bar(const Study *s, int width, Text *line) {
  Text bar = {0};
  add_bar(s, &bar);
  text_add(&bar, line->data ? line->data : "");
  if (bar.failed || text_columns(bar.data) > width) return text_deinit(&bar);
  text_deinit(line);
  *line = bar;
}

void study_progress_show(StudyProgress *p, const Study *study, int running,
                         bool stopping) {
  double now = clock_s();
  bool bar = out_progress_on();
  if (now - p->shown_s < (bar ? redraw_s : line_s)) return;
  p->shown_s = now;
  Text line = {0};
  int width = bar ? terminal_columns(stderr) - 1 : OUT_NO_LIMIT;
  add_counts(p, study, running, stopping, &line);
  add_best(study, width, &line);
  if (bar) put_bar(study, width, &line);
  if (line.failed) return text_deinit(&line);
  if (bar) out_progress("%s", line.data);
  else err_print("%s\n", line.data);
  text_deinit(&line);
}

/* "failed: relu, seed 3: the first line of the message", so many times. */
static void print_trial(int *n, const char *others, const Study *study,
                        const StudyTrial *t, const char *what, const char *message) {
  if (++*n > TRIAL_LINES) return;
  Text line = {0};
  text_addf(&line, "%s: ", what);
  study_cell_text(study, t->cell, &line);
  text_addf(&line, ", seed %lld", (long long)t->info.seed);
  text_add(&line, message ? ": " : "");
  if (message) text_add_first_line(&line, message);
  if (!line.failed) err_print("%s\n", line.data);
  if (*n == TRIAL_LINES) err_print("further trials that %s are not listed\n", others);
  text_deinit(&line);
}

void study_progress_trial(StudyProgress *p, const Study *study, int64_t trial) {
  const StudyTrial *t = &study->trials[trial];
  p->n_diverged += t->info.state == TRIAL_DIVERGED;
  if (t->info.state == TRIAL_FAILED || t->info.state == TRIAL_DIVERGED)
    print_trial(&p->n_shown, "do not end well are counted and", study, t,
                trial_state_name(t->info.state), t->info.message);
}

void study_progress_again(StudyProgress *p, const Study *study, int64_t trial,
                          const char *why) {
  if (study->trials[trial].deaths == 1)
    print_trial(&p->n_again, "are run again", study, &study->trials[trial], "run again",
                why);
}

void study_progress_end(StudyProgress *p, const Study *study) {
  char spent[32];
  int64_t ended = study->n_done + study->n_failed - p->done_at_start;
  out_progress_end(false);
  if (ended > 0)
    err_print("%s in %s; %lld diverged, %lld failed, %lld left\n",
              text_counted(ended, "trial").s,
              study_duration_text(clock_s() - p->start_s, spent),
              (long long)p->n_diverged, (long long)study->n_failed,
              (long long)study->n_left);
}
