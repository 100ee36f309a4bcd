/* What probes measured, in windows of steps. */
#include "test.h"
#include "train/probe_log.h"

static Fault fault;

static int open_series(ProbeLog *log, const char *layer) {
  int i = probe_log_series(log, "gradients", layer, "norm", &fault);
  assert_true(i >= 0);
  return i;
}

static void add(ProbeLog *log, int series, double value) {
  assert_int_equal(probe_log_add(log, series, value, &fault), ERR_OK);
}

TEST(a_hundred_thousand_steps) {
  ProbeLog log = {0};
  int s = open_series(&log, "dense_1.weight");
  for (int64_t step = 1; step <= 100000; step++) {
    probe_log_step(&log, step);
    add(&log, s, (double)(step % 7));
  }
  const ProbeSeries *series = &log.v[s];
  int64_t next = 1, n = 0;
  assert_int_equal(series->n, 83);
  for (int i = 0; i < series->n; i++) {
    const ProbeWindow *w = &series->v[i];
    double sum = 0;
    for (int64_t step = w->first; step <= w->last; step++) sum += (double)(step % 7);
    assert_int_equal(w->first, next);
    assert_int_equal(w->n, w->last - w->first + 1);
    CHECK_NEAR(probe_window_mean(w), sum / (double)w->n, 1e-12);
    CHECK_NEAR(w->value, (double)(w->last % 7), 0);
    if (w->n >= 7) CHECK_NEAR(w->max - w->min, 6, 0);
    next = w->last + 1;
    n += w->n;
  }
  assert_int_equal(n, 100000);
  probe_log_deinit(&log);
}

TEST(never_more_windows_than_allowed) {
  ProbeLog log = {0};
  int s = open_series(&log, "dense_1.weight");
  for (int64_t step = 1; step < INT64_MAX / 2; step += 1 + step / 20) {
    probe_log_step(&log, step);
    add(&log, s, 1);
  }
  assert_int_equal(log.v[s].n, PROBE_WINDOWS);
  assert_true(log.v[s].v[PROBE_WINDOWS - 1].end == INT64_MAX);
  probe_log_deinit(&log);
}

TEST(series_that_are_measured_now_and_then) {
  ProbeLog log = {0};
  int a = open_series(&log, "a"), b = -1;
  for (int64_t step = 1; step <= 60; step++) {
    probe_log_step(&log, step);
    add(&log, a, -(double)step);
    if (step == 30) b = open_series(&log, "b");
    if (step >= 30 && step != 50) add(&log, b, step == 40 ? NAN : (double)step);
  }
  assert_int_equal(open_series(&log, "a"), a);
  assert_int_equal(log.n, 2);
  const ProbeWindow *first = &log.v[b].v[0];
  assert_int_equal(first->first, 30);
  assert_int_equal(first->last, 32);
  assert_int_equal(first->end, log.v[a].v[15].end);
  CHECK_NEAR(log.v[a].v[15].min, -32, 0);
  CHECK_NEAR(log.v[a].v[15].max, -29, 0);
  const ProbeWindow *last = &log.v[b].v[log.v[b].n - 1];
  assert_int_equal(last->last, 60);
  CHECK_NEAR(last->value, 60, 0);
  probe_log_deinit(&log);
}
