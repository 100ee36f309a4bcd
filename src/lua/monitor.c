/* monitor.c: what a person sees of a fit, and what the record keeps of it.
 *
 * On a terminal one line is redrawn with a bar, iterations, speed and the time left of the
 * epoch; elsewhere only the line at the end of each epoch is printed. Both go to stderr. */
#include "lua/lab.h"
#include "base/out.h"
#include "base/sys.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR_CELLS = 24 };
static const double redraw_s = 0.1;

static bool silent(const Session *s, const FitRun *run) {
  return s->quiet || !run->fit->verbose;
}

static bool draws_bar(const Session *s, const FitRun *run) {
  return !silent(s, run) && out_progress_on();
}

/* -- the record ---------------------------------------------------------------------- */

static bool has_own_record(const FitRun *run) {
  return run->fit->record && *run->fit->record;
}

static Err open_own_record(Session *s, const FitRun *run, Fault *fault) {
  if (s->recorded_fit)
    return fault_set(fault, ERR_VALUE, "train.fit: option \"record\": the fit that this one "
                     "is part of keeps a record of its own already");
  Json *meta = json_map();
  describe_trial(s, NULL, meta);
  if (trial_init(&s->fit_trial, s->runs, run->fit->record, json_share(s->config), meta, fault))
    return fault->code;
  s->recorded_fit = run->number;
  return ERR_OK;
}

/* Where rows of this fit go; NULL: nowhere. */
static Err record_of(Session *s, const FitRun *run, Trial **out, Fault *fault) {
  *out = has_own_record(run) ? &s->fit_trial : NULL;
  return run->fit->record ? ERR_OK : session_trial(s, out, fault);
}

/* The final values of the fit: of the epoch whose weights the net has, then of the test. */
static void put_values(const FitRun *run, Json *out, const char *prefix) {
  const History *h = run->history;
  char key[HISTORY_NAME + 32];
  int64_t row = h->best_epoch ? h->best_epoch - 1 : h->n_rows - 1;
  for (int c = 0; row >= 0 && c < h->n_columns; c++) {
    if (strcmp(h->column[c].name, "time_s") == 0) continue;
    snprintf(key, sizeof key, "%s%s", prefix, h->column[c].name);
    json_put_number(out, key, h->column[c].v[row]);
  }
  for (int i = 0; i < h->n_test; i++) {
    snprintf(key, sizeof key, "%s%s", prefix, h->test[i].name);
    json_put_number(out, key, h->test[i].value);
  }
}

static void put_row_count(Json *out, const char *prefix, const char *set, const Metric *metric,
                          int64_t n) {
  char key[HISTORY_NAME + 32];
  snprintf(key, sizeof key, "%s%s%s", prefix, set, metric_name(metric));
  if (n > 0) json_put_int(out, key, n);
}

/* How many rows the metrics are shares of that are such. */
static void put_rows(const FitRun *run, Json *out, const char *prefix) {
  const Fit *fit = run->fit;
  for (int i = 0; i < fit->metrics.n; i++) {
    const Metric *metric = (const Metric *)fit->metrics.v[i];
    if (!metric_kind(metric)->share) continue;
    put_row_count(out, prefix, "", metric, run->n_train);
    put_row_count(out, prefix, "val_", metric, run->n_validation);
    put_row_count(out, prefix, "test_", metric, fit->test ? dataset_n(fit->test) : 0);
  }
}

static void close_own_record(Session *s, const FitRun *run, const Fault *fault) {
  Json *values = json_map();
  put_values(run, values, "");
  close_record(&s->fit_trial, values, fault);   /* the fit is learned, its record told lost */
  json_free(values);
  trial_deinit(&s->fit_trial);
  s->recorded_fit = 0;
}

/* -- the sink ------------------------------------------------------------------------ */

/* A record that cannot be opened is closed again: a fit that is refused has no end. */
static Err open_records(Session *s, const FitRun *run, Fault *fault) {
  Trial *trial;
  if (has_own_record(run) && open_own_record(s, run, fault)) return fault->code;
  Err err = record_of(s, run, &trial, fault);
  if (!err && trial) err = trial_open(trial, fault);
  if (err && s->recorded_fit == run->number) close_own_record(s, run, fault);
  return err;
}

static Err monitor_begin(void *ctx, const FitRun *run, Fault *fault) {
  Session *s = ctx;
  s->last_drawn_s = 0;
  if (!silent(s, run))
    err_print("training on %lld, validating on %lld, %lld iterations per epoch of %lld\n",
              (long long)run->n_train, (long long)run->n_validation,
              (long long)run->n_batches, (long long)run->fit->batch_size);
  return open_records(s, run, fault);
}

static void monitor_batch(void *ctx, const FitRun *run) {
  Session *s = ctx;
  double now = clock_s();
  if (!draws_bar(s, run) || (now - s->last_drawn_s < redraw_s && run->batch < run->n_batches))
    return;
  s->last_drawn_s = now;
  char bar[BAR_CELLS + 1];
  int filled = (int)(BAR_CELLS * run->batch / run->n_batches);
  for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
  bar[BAR_CELLS] = 0;
  double elapsed = now - run->epoch_start_s, rate = (double)run->batch / elapsed;
  out_progress("epoch %lld/%lld [%s] %lld/%lld  loss %.4f  %.0f it/s  ETA %.0f s",
               (long long)run->epoch, (long long)run->fit->epochs, bar,
               (long long)run->batch, (long long)run->n_batches, run->loss, rate,
               (double)(run->n_batches - run->batch) / rate);
}

/* Columns that the line shows under another form, or not at all. */
static bool shown_apart(const char *name) {
  return strcmp(name, "epoch") == 0 || strcmp(name, "time_s") == 0 || strcmp(name, "lr") == 0;
}

static void print_epoch(const FitRun *run) {
  const History *h = run->history;
  Text line = {0};
  text_addf(&line, "epoch %lld/%lld", (long long)run->epoch, (long long)run->fit->epochs);
  for (int c = 0; c < h->n_columns; c++) {
    double v = h->column[c].v[h->n_rows - 1];
    if (!shown_apart(h->column[c].name) && !isnan(v))
      text_addf(&line, "  %s %.4f", h->column[c].name, v);
  }
  text_addf(&line, "  %.2f s", history_get(h, "time_s", h->n_rows - 1));
  out_progress_end(false);
  if (!line.failed) err_print("%s\n", line.data);
  text_deinit(&line);
}

/* Row number `row` of the history, from 0, into the record. */
static Err record_row(const FitRun *run, Trial *trial, int64_t row, Fault *fault) {
  const History *h = run->history;
  const char *names[HISTORY_COLUMNS];
  double values[HISTORY_COLUMNS];
  for (int c = 0; c < h->n_columns; c++) {
    names[c] = h->column[c].name;
    values[c] = h->column[c].v[row];
  }
  return trial_row(trial, (int)run->number, names, values, h->n_columns, fault);
}

static Err monitor_epoch(void *ctx, const FitRun *run, Fault *fault) {
  Session *s = ctx;
  Trial *trial;
  if (!silent(s, run)) print_epoch(run);
  if (record_of(s, run, &trial, fault) || !trial) return fault->code;
  return record_row(run, trial, run->history->n_rows - 1, fault);
}

static void print_restored(const FitRun *run, bool finished) {
  if (finished)
    err_print("fit %lld is finished: its results are taken from its checkpoint\n",
              (long long)run->number);
  else
    err_print("going on from a checkpoint: epoch %lld/%lld, iteration %lld/%lld\n",
              (long long)run->epoch, (long long)run->fit->epochs, (long long)run->batch,
              (long long)run->n_batches);
}

/* The record of this attempt begins anew: it gets the rows that others have trained. */
static Err monitor_restored(void *ctx, const FitRun *run, bool finished, Fault *fault) {
  Session *s = ctx;
  Trial *trial;
  if (!silent(s, run)) print_restored(run, finished);
  if (record_of(s, run, &trial, fault) || !trial) return fault->code;
  for (int64_t row = 0; row < run->history->n_rows; row++)
    if (record_row(run, trial, row, fault)) return fault->code;
  return ERR_OK;
}

/* A net that cannot be read again was read a moment ago: no reason to lose the fit. */
static void add_weights(Session *s, const FitRun *run) {
  Fault fault = {0};
  if (session_add_net(s, run->net, &fault)) err_print("warning: %s\n", fault.text);
}

/* Results: "val_accuracy" of the first fit, "fit2.val_accuracy" of the second. */
static void monitor_end(void *ctx, const FitRun *run, const Fault *fault) {
  Session *s = ctx;
  char prefix[32] = "";
  out_progress_end(fault->code != ERR_OK);
  if (run->number > 1) snprintf(prefix, sizeof prefix, "fit%lld.", (long long)run->number);
  put_values(run, s->results, prefix);
  if (s->in_trial) put_rows(run, s->rows, prefix);
  if (s->in_trial && !fault->code) add_weights(s, run);
  if (s->recorded_fit == run->number) close_own_record(s, run, fault);
}

FitSink session_sink(Session *s) {
  return (FitSink){.ctx = s, .begin = monitor_begin, .restored = monitor_restored,
                   .batch = monitor_batch, .epoch = monitor_epoch, .end = monitor_end};
}
