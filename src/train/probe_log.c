/* probe_log.c: series of windows; see probe_log.h. */
#include "train/probe_log.h"
#include "base/array.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

const char *const probe_columns[] = {"probe", "layer", "quantity", "step_first",
                                     "step_last",
                                     "mean",  "min",   "max",      "last",       NULL};

void probe_window_numbers(const ProbeWindow *w, double out[PROBE_NUMBERS]) {
  const double numbers[PROBE_NUMBERS] = {
      (double)w->first, (double)w->last, probe_window_mean(w), w->min, w->max,
      w->value};
  memcpy(out, numbers, sizeof numbers);
}

static void series_deinit(ProbeSeries *s) {
  free(s->probe);
  free(s->layer);
  free(s->quantity);
  free(s->v);
}

void probe_log_deinit(ProbeLog *log) {
  for (int i = 0; i < log->n; i++) series_deinit(&log->v[i]);
  free(log->v);
  *log = (ProbeLog){0};
}

static bool is_series(const ProbeSeries *s, const char *probe, const char *layer,
                      const char *quantity) {
  return strcmp(s->layer, layer) == 0 && strcmp(s->probe, probe) == 0 &&
         strcmp(s->quantity, quantity) == 0;
}

int probe_log_series(ProbeLog *log, const char *probe, const char *layer,
                     const char *quantity, Fault *fault) {
  for (int i = 0; i < log->n; i++)
    if (is_series(&log->v[i], probe, layer, quantity)) return i;
  if (ARRAY_ROOM(log->v, log->room, log->n + 1, fault)) return -1;
  ProbeSeries made = {.probe = text_copy(probe), .layer = text_copy(layer),
                      .quantity = text_copy(quantity)};
  if (!made.probe || !made.layer || !made.quantity) {
    series_deinit(&made);
    return fault_memory(fault, sizeof made), -1;
  }
  log->v[log->n] = made;
  return log->n++;
}

/* The last step of window number `number`, from 0, which begins behind step `before`.
 */
static int64_t end_of(int number, int64_t before) {
  return number + 1 == PROBE_WINDOWS ? INT64_MAX : before + 1 + (before + 1) / 8;
}

void probe_log_step(ProbeLog *log, int64_t step) {
  while (log->window_end < step)
    log->window_end = end_of(log->n_windows++, log->window_end);
  log->step = step;
}

int probe_window_number(int64_t end) {
  int number = 0;
  for (int64_t at = end_of(0, 0); at < end; at = end_of(number, at)) number++;
  return number;
}

void probe_window_join(ProbeWindow *w, const ProbeWindow *next) {
  w->last = next->last;
  w->end = next->end;
  w->n += next->n;
  w->sum += next->sum;
  w->min = next->min < w->min ? next->min : w->min;
  w->max = next->max > w->max ? next->max : w->max;
  w->value = next->value;
}

Err probe_log_room(ProbeSeries *s, int n, Fault *fault) {
  return ARRAY_ROOM(s->v, s->room, n, fault);
}

static ProbeWindow *open_window(const ProbeLog *log, ProbeSeries *s, Fault *fault) {
  if (s->n && s->v[s->n - 1].end == log->window_end) return &s->v[s->n - 1];
  if (probe_log_room(s, s->n + 1, fault)) return NULL;
  s->v[s->n] = (ProbeWindow){.first = log->step, .end = log->window_end};
  return &s->v[s->n++];
}

Err probe_log_add(ProbeLog *log, int series, double value, Fault *fault) {
  ProbeWindow *w = open_window(log, &log->v[series], fault);
  if (!w) return fault->code;
  bool first = w->n++ == 0;
  w->last = log->step;
  w->sum += value;
  w->min = first || value < w->min ? value : w->min;
  w->max = first || value > w->max ? value : w->max;
  w->value = value;
  return ERR_OK;
}
