/* fit_record.c: what the record of a run, and the results of a trial, keep of a fit.
 *
 * Rows go to the record of the run, or to one of the fit alone (the option "record").
 */
#include "lua/run_record.h"
#include "base/out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_own_record(const FitRun *run) {
  return run->fit->record && *run->fit->record;
}

static Err open_own_record(Session *s, const FitRun *run, Fault *fault) {
  if (s->record->fit_number)
    return fault_set(fault, ERR_VALUE,
                     "train.fit: option \"record\": the fit that this one is part of "
                     "keeps a record of its own already");
  Json *meta = json_map();
  run_record_describe(s, meta);
  if (trial_init(&s->record->fit, s->launch.runs, run->fit->record,
                 json_share(s->record->config), meta, fault))
    return fault->code;
  s->record->fit_number = run->number;
  return ERR_OK;
}

/* Are its final values needed after the fit? A trial needs those of all its fits. */
static bool keeps_results(const Session *s, const FitRun *run) {
  bool refused = run->fit->record && !*run->fit->record;
  return s->in_trial || (s->launch.script && !refused);
}

/* Where rows of this fit go; NULL: nowhere. */
static Err record_of(Session *s, const FitRun *run, Trial **out, Fault *fault) {
  *out = has_own_record(run) ? &s->record->fit : NULL;
  return run->fit->record ? ERR_OK : run_record_trial(s, out, fault);
}

/* The final values of the fit: of the epoch whose weights the net has, then of the
 * test. */
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

static void put_row_count(Json *out, const char *prefix, const char *set,
                          const Metric *metric, int64_t n) {
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
  /* the weights are trained; the lost record is only a warning */
  run_record_end(&s->record->fit, values, fault);
  json_free(values);
  trial_deinit(&s->record->fit);
  s->record->fit_number = 0;
}

/* -- the listener ------------------------------------------------------------------ */

/* A record that cannot be opened is closed again: a fit that is refused has no end. */
static Err open_records(Session *s, const FitRun *run, Fault *fault) {
  Trial *trial;
  if (has_own_record(run) && open_own_record(s, run, fault)) return fault->code;
  Err err = record_of(s, run, &trial, fault);
  if (!err && trial) err = trial_open(trial, fault);
  if (err && s->record->fit_number == run->number) close_own_record(s, run, fault);
  return err;
}

static Err record_begin(void *self, FitRun *run, Fault *fault) {
  return open_records(self, run, fault);
}

/* Row number `row` of the history, from 0, into the record. */
static Err record_row(const FitRun *run, Trial *trial, int64_t row, Fault *fault) {
  const History *h = run->history;
  size_t n = (size_t)h->n_columns;
  const char **names = malloc(n * sizeof *names);
  double *values = malloc(n * sizeof *values);
  for (size_t c = 0; names && values && c < n; c++) {
    names[c] = h->column[c].name;
    values[c] = h->column[c].v[row];
  }
  Err err = names && values
                ? trial_row(trial, (int)run->number, names, values, h->n_columns, fault)
                : fault_memory(fault, n * (sizeof *names + sizeof *values));
  free(names);
  free(values);
  return err;
}

static Err record_epoch(void *self, FitRun *run, Fault *fault) {
  Trial *trial;
  if (record_of(self, run, &trial, fault) || !trial) return fault->code;
  return record_row(run, trial, run->history->n_rows - 1, fault);
}

/* The record of this attempt begins anew: it gets the rows that others have trained. */
static Err record_restored(void *self, FitRun *run, Fault *fault) {
  Trial *trial;
  if (record_of(self, run, &trial, fault) || !trial) return fault->code;
  for (int64_t row = 0; row < run->history->n_rows; row++)
    if (record_row(run, trial, row, fault)) return fault->code;
  return ERR_OK;
}

static Err record_probes(Session *s, const FitRun *run, Fault *fault) {
  const ProbeLog *log = &run->history->probes;
  Trial *trial;
  char name[32] = "probes";
  if (!log->n || record_of(s, run, &trial, fault) || !trial) return fault->code;
  if (run->number > 1) snprintf(name, sizeof name, "probes-%d", (int)run->number);
  return run_record_probes(trial, name, log, fault);
}

static Err record_tables(Session *s, const FitRun *run, Fault *fault) {
  const History *h = run->history;
  Trial *trial;
  if (!h->n_tables || record_of(s, run, &trial, fault) || !trial) return fault->code;
  for (int i = 0; i < h->n_tables; i++)
    if (run_record_table(trial, run->number, &h->table[i], fault)) return fault->code;
  return ERR_OK;
}

/* A net that cannot be read again was read a moment ago: no reason to lose the fit. */
static void add_weights(Session *s, const FitRun *run) {
  Fault fault = {0};
  if (session_add_net(s, run->net, &fault)) err_print("warning: %s\n", fault.text);
}

/* How the net's parameters got their initial values, beside what else is known of the
 * run. */
static Err record_inits(Session *s, const FitRun *run, const char *prefix,
                        Fault *fault) {
  Trial *trial;
  char key[64];
  if (record_of(s, run, &trial, fault) || !trial) return fault->code;
  Json *inits = layer_init_record(run->net, fault);
  if (!inits) return fault->code;
  snprintf(key, sizeof key, "%sinit", prefix);
  if (json_count(inits)) json_put_shared(trial->meta, key, inits);
  json_free(inits);
  return ERR_OK;
}

/* Results: "val_accuracy" of the first fit, "fit2.val_accuracy" of the second. */
static Err record_end(void *self, FitRun *run, Fault *fault) {
  Session *s = self;
  char prefix[32] = "";
  if (run->number > 1)
    snprintf(prefix, sizeof prefix, "fit%lld.", (long long)run->number);
  Fault own = {0};
  if (keeps_results(s, run)) put_values(run, s->record->results, prefix);
  if (s->in_trial) put_rows(run, s->record->rows, prefix);
  if (s->in_trial && !fault->code) add_weights(s, run);
  if (record_probes(s, run, &own) || record_tables(s, run, &own) ||
      record_inits(s, run, prefix, &own))
    fault_pass(fault, &own);
  if (s->record->fit_number == run->number) close_own_record(s, run, fault);
  return own.code;
}

const Events fit_record = {
    .on = {[FIT_STARTED] = record_begin, [FIT_RESTORED] = record_restored,
           [FIT_EPOCH_END] = record_epoch, [FIT_ENDED] = record_end}};
