/* probe_log.h: what the probes of a fit measured, step by step, in windows.
 *
 * A series is one quantity that one probe measures of one tensor of the net. It keeps
 * no value of its own but windows of steps, of each the mean, the smallest, the largest
 * and the last value. Windows grow with the number of the step, by an eighth:
 *
 *   1 | 2 | ... | 7 | 8 9 | 10 11 | 12 13 | 14 15 | 16 17 18 | ... | 94 ... 105 | ...
 *
 * They are the same in every fit, however long it is, so that fits are compared window
 * by window: 83 for 100,000 steps, and never more than PROBE_WINDOWS. */
#ifndef TRAIN_PROBE_LOG_H
#define TRAIN_PROBE_LOG_H

#include "base/fault.h"
#include <stdint.h>

enum { PROBE_WINDOWS = 200 };

typedef struct ProbeWindow {
  int64_t first, last;         /* steps in which it was measured, from 1 */
  int64_t end;                 /* the last step that the window takes */
  int64_t n;                   /* values */
  double sum, min, max, value; /* `value`: the last */
} ProbeWindow;

static inline double probe_window_mean(const ProbeWindow *w) {
  return w->sum / (double)w->n;
}

typedef struct ProbeSeries {
  char *probe, *layer, *quantity; /* "gradients", "dense_1.weight", "norm"; owned */
  ProbeWindow *v;
  int n;
  int64_t room;
} ProbeSeries;

/* All zero is empty. Series in the order in which they were first measured. */
typedef struct ProbeLog {
  ProbeSeries *v;
  int n;
  int64_t room;
  int64_t step,
      window_end; /* the step measured last, the end of its window; 0: none was */
  int n_windows;  /* up to that one */
} ProbeLog;

void probe_log_deinit(ProbeLog *log);

/* The number of the series, made where there is none; -1 and a fault: no memory. */
int probe_log_series(ProbeLog *log, const char *probe, const char *layer,
                     const char *quantity, Fault *fault);
/* Room for n windows of a series. */
Err probe_log_room(ProbeSeries *series, int n, Fault *fault) WARN_UNUSED;
/* The values of `step` follow; steps only grow. */
void probe_log_step(ProbeLog *log, int64_t step);
/* The value of that step. */
Err probe_log_add(ProbeLog *log, int series, double value, Fault *fault) WARN_UNUSED;

/* The number of a window that ends with that step, from 0. */
int probe_window_number(int64_t end);
/* Takes in the values of the next window. */
void probe_window_join(ProbeWindow *window, const ProbeWindow *next);

/* The names of the columns of a log as a table in long form, NULL-terminated, and the
 * last six of them of one window. */
enum {
  PROBE_NAMES = 3,
  PROBE_NUMBERS = 6,
  PROBE_WHOLE = 2
}; /* the first two are steps */
extern const char *const probe_columns[PROBE_NAMES + PROBE_NUMBERS + 1];
void probe_window_numbers(const ProbeWindow *window, double out[PROBE_NUMBERS]);

#endif
