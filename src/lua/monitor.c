/* monitor.c: what a person sees of a fit, and what the record keeps of it.
 *
 * On a terminal one line is drawn anew for the whole fit: a bar of the epoch, the running loss,
 * what the last epoch measured, the time left; at the end the line of the last epoch stands.
 * Elsewhere a line per epoch, and in a long one a line per 30 s. With `verbose = n` every n-th
 * epoch has a line that stays, on a terminal too. All of it goes to stderr. */
#include "lua/lab.h"
#include "base/out.h"
#include "base/sys.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR_CELLS = 12 };
static const double redraw_s = 0.1, line_s = 30;

static bool silent(const Session *s, const FitRun *run) {
  return s->quiet || !run->fit->verbose;
}

/* Does the epoch get a line that stays? */
static bool has_line(const FitRun *run, int64_t epoch) {
  int64_t every = run->fit->verbose;
  return every == FIT_ONE_LINE ? !out_progress_on() : epoch % every == 0;
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
  describe_trial(s, meta);
  if (trial_init(&s->fit_trial, s->runs, run->fit->record, json_share(s->config), meta, fault))
    return fault->code;
  s->recorded_fit = run->number;
  return ERR_OK;
}

/* Does anybody ask for its final values? A trial does, of all its fits. */
static bool keeps_results(const Session *s, const FitRun *run) {
  bool refused = run->fit->record && !*run->fit->record;
  return s->in_trial || (s->script && !refused);
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
  s->last_drawn_s = out_progress_on() ? 0 : clock_s();
  if (!silent(s, run))
    err_print("training on %lld, validating on %lld, %lld iterations per epoch of %lld\n",
              (long long)run->n_train, (long long)run->n_validation,
              (long long)run->n_batches, (long long)run->fit->batch_size);
  return open_records(s, run, fault);
}

/* Columns that the line shows under another form, or not at all. */
static bool shown_apart(const char *name) {
  return strcmp(name, "epoch") == 0 || strcmp(name, "time_s") == 0 || strcmp(name, "lr") == 0;
}

/* What the last epoch measured; `loss`: the training loss too. */
static void add_measures(Text *line, const History *h, bool loss) {
  for (int c = 0; h->n_rows && c < h->n_columns; c++) {
    const char *name = h->column[c].name;
    double v = h->column[c].v[h->n_rows - 1];
    char number[32];
    if (!shown_apart(name) && !isnan(v) && (loss || strcmp(name, "loss") != 0))
      text_addf(line, "  %s %s", name, text_measure(number, v));
  }
}

/* Of the fit, were all epochs as long as the last one; of the first by its begin. */
static double seconds_left(const FitRun *run, double now) {
  const History *h = run->history;
  double done = (double)run->batch / (double)run->n_batches;
  double epoch_s = h->n_rows ? history_get(h, "time_s", h->n_rows - 1)
                             : (now - run->epoch_start_s) / done;
  return epoch_s * ((double)(run->fit->epochs - run->epoch + 1) - done);
}

/* "epoch 3/10 [=====>      ]  loss 0.4211  val_loss 0.4402  ETA 12 s" */
static void add_progress(Text *line, const FitRun *run, double now) {
  char bar[BAR_CELLS + 1], loss[32];
  int filled = (int)(BAR_CELLS * run->batch / run->n_batches);
  for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
  bar[BAR_CELLS] = 0;
  text_addf(line, "epoch %lld/%lld [%s]  loss %s", (long long)run->epoch,
            (long long)run->fit->epochs, bar, text_measure(loss, run->loss));
  add_measures(line, run->history, false);
  text_addf(line, "  ETA %.0f s", seconds_left(run, now));
}

static void monitor_batch(void *ctx, const FitRun *run) {
  Session *s = ctx;
  if (silent(s, run)) return;      /* before anything is asked: this is done for every batch */
  double now = clock_s(), since_s = now - s->last_drawn_s;
  if (since_s < redraw_s) return;
  bool draws = out_progress_on();
  if (!draws && since_s < line_s) return;
  s->last_drawn_s = now;
  Text line = {0};
  add_progress(&line, run, now);
  if (draws && !line.failed) out_progress("%s", line.data);
  else if (!line.failed) err_print("%s\n", line.data);
  text_deinit(&line);
}

/* The line of the epoch that the history ends with. */
static void print_epoch(const FitRun *run) {
  const History *h = run->history;
  Text line = {0};
  text_addf(&line, "epoch %.0f/%lld", history_get(h, "epoch", h->n_rows - 1),
            (long long)run->fit->epochs);
  add_measures(&line, h, true);
  text_addf(&line, "  %.2f s", history_get(h, "time_s", h->n_rows - 1));
  out_progress_end(false);
  if (!line.failed) err_print("%s\n", line.data);
  text_deinit(&line);
}

/* The last epoch has its line in any case. */
static void print_last(const FitRun *run) {
  const History *h = run->history;
  int64_t epoch = h->n_rows ? (int64_t)history_get(h, "epoch", h->n_rows - 1) : 0;
  if (epoch && !has_line(run, epoch)) print_epoch(run);
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

/* How the loss of that epoch went astray, into `out`; false: it did not. In the first epoch it
 * is held against that of the first step. */
static bool went_astray(const FitRun *run, int64_t row, Text *out) {
  static const char *const losses[] = {"loss", "val_loss"};
  enum { FAR = 1000 };
  const History *h = run->history;
  double first = row ? history_get(h, "loss", 0) : run->first_loss;
  double loss = history_get(h, "loss", row);
  char number[32];
  for (int i = 0; i < 2; i++) {
    if (history_find(h, losses[i]) < 0 || isfinite(history_get(h, losses[i], row))) continue;
    text_addf(out, "%s is %s", losses[i], text_measure(number, history_get(h, losses[i], row)));
    return true;
  }
  if (!(first != 0 && loss >= FAR * fabs(first))) return false;
  text_addf(out, "the loss is %s times that of the first %s",
            text_measure(number, loss / fabs(first)), row ? "epoch" : "step");
  return true;
}

/* Once in a fit. Trials tell it by their results. */
static void warn_of_loss(const Session *s, const FitRun *run) {
  Text now = {0}, before = {0};
  int64_t last = run->history->n_rows - 1;
  bool astray = !s->quiet && went_astray(run, last, &now);
  for (int64_t row = 0; astray && row < last; row++) astray = !went_astray(run, row, &before);
  if (astray && !now.failed)
    err_print("warning: epoch %lld: %s; is the learning rate too large?\n",
              (long long)run->epoch, now.data);
  text_deinit(&now);
  text_deinit(&before);
}

static Err monitor_epoch(void *ctx, const FitRun *run, Fault *fault) {
  Session *s = ctx;
  Trial *trial;
  if (!silent(s, run) && has_line(run, run->epoch)) {
    print_epoch(run);
    s->last_drawn_s = clock_s();
  }
  warn_of_loss(s, run);
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
  if (!silent(s, run)) print_last(run);
  out_progress_end(fault->code != ERR_OK);
  if (fault->code == ERR_INTERRUPT) {
    s->cut_epoch = run->epoch;
    s->cut_epochs = run->fit->epochs;
  }
  if (run->number > 1) snprintf(prefix, sizeof prefix, "fit%lld.", (long long)run->number);
  if (keeps_results(s, run)) put_values(run, s->results, prefix);
  if (s->in_trial) put_rows(run, s->rows, prefix);
  if (s->in_trial && !fault->code) add_weights(s, run);
  if (s->recorded_fit == run->number) close_own_record(s, run, fault);
}

FitSink session_sink(Session *s) {
  return (FitSink){.ctx = s, .begin = monitor_begin, .restored = monitor_restored,
                   .batch = monitor_batch, .epoch = monitor_epoch, .end = monitor_end};
}
