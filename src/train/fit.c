/* fit.c: epochs of steps over a data set.
 *
 *   split off validation ─► check everything that can be checked ─► epochs:
 *     batches in the epoch's order ─► train_step ─► running means
 *     ─► validation ─► a row of the history ─► sink ─► callbacks
 *   ─► callbacks end ─► test
 *
 * Training measures are means over the epoch, taken while the weights change; validation
 * and test are measured afterwards, in inference mode. What is random (split, order) comes
 * from streams of the fit's number, so nothing else shifts it. */
#include "train/fit_private.h"
#include "base/sys.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* -- options ----------------------------------------------------------------------- */

static Err fit_check(Object *object, Fault *fault) {
  const Fit *fit = (const Fit *)object;
  if (!fit->loss)
    return fault_set(fault, ERR_VALUE, "train.fit: \"loss\" is missing: a loss or its name");
  if (fit->validation_data && !isnan(fit->validation))
    return fault_set(fault, ERR_VALUE,
                     "train.fit: both validation and validation_data are given");
  if (fit->validation >= 1)
    return fault_set(fault, ERR_VALUE, "train.fit: option \"validation\": got %g, allowed: "
                     "a share between 0 and 1, or a data set", fit->validation);
  if (fit->metrics.n > MAX_METRICS)
    return fault_set(fault, ERR_VALUE, "train.fit: %d metrics, allowed: at most %d",
                     fit->metrics.n, MAX_METRICS);
  return ERR_OK;
}

static void fit_deinit(Object *object) {
  Fit *fit = (Fit *)object;
  dataset_release(fit->validation_data);
  dataset_release(fit->test);
}

#define AT(field) .offset = offsetof(Fit, field)

static const Option fit_options[] = {
    {.name = "loss", .kind = OPT_OBJECT, AT(loss), .family = &loss_family,
     .doc = "what is minimized"},
    {.name = "optimizer", .kind = OPT_OBJECT, AT(optimizer), .family = &optim_family,
     .value = "SGD", .doc = "how it is minimized"},
    {.name = "epochs", .kind = OPT_INT, AT(epochs), .value = "1", .lo = 1, .hi = 1e9,
     .doc = "times that the whole training set is seen"},
    {.name = "batch_size", .kind = OPT_INT, AT(batch_size), .value = "32", .lo = 1,
     .hi = 1e9, .doc = "rows per step"},
    {.name = "validation", .kind = OPT_REAL, AT(validation), .value = "none", .lo = 0,
     .hi = 1, .open = true, .alias = "validation_split",
     .doc = "share of the training set that is split off, at random; or a data set"},
    {.name = "validation_data", .kind = OPT_REF, AT(validation_data), .ref_type = "dataset",
     .doc = "measured after every epoch"},
    {.name = "test", .kind = OPT_REF, AT(test), .ref_type = "dataset", .alias = "test_data",
     .doc = "measured once, at the end"},
    {.name = "metrics", .kind = OPT_OBJECTS, AT(metrics), .family = &metric_family,
     .value = "none", .doc = "measured beside the loss"},
    {.name = "callbacks", .kind = OPT_OBJECTS, AT(callbacks), .family = &callback_family,
     .value = "none", .doc = "called after every epoch"},
    {.name = "shuffle", .kind = OPT_CHOICE, AT(shuffle), .value = "epoch",
     .choices = shuffle_names, .doc = "new order every epoch, one order, or as it is"},
    {.name = "drop_last", .kind = OPT_BOOL, AT(drop_last), .value = "false",
     .doc = "leave out a last batch that is not full"},
    {.name = "verbose", .kind = OPT_BOOL, AT(verbose), .value = "true",
     .doc = "show progress"},
    {.name = "record", .kind = OPT_TEXT, AT(record), .value = "none",
     .doc = "a record of this fit alone, in runs/<record>/<time>/, at the prompt as in a "
            "script; true: under the script's name, or \"prompt\"; false: none at all; "
            "default: a script's fits are recorded with the script"},
    {0}};

const Kind fit_kind = {.name = "fit", .family = &fit_family, .size = sizeof(Fit),
                       .options = fit_options, .check = fit_check, .deinit = fit_deinit,
                       .doc = "Trains a net on a data set."};

static const Kind *const fit_kinds[] = {&fit_kind, NULL};
const Family fit_family = {"fit", "train", fit_kinds, NULL};

/* -- columns --------------------------------------------------------------------- */

static const char *measure_name(const Work *w, int i) {
  return i ? metric_name((const Metric *)w->run.fit->metrics.v[i - 1]) : "loss";
}

/* A column of a measure: its own, else one measure would overwrite the other. */
static Err measure_column(Work *w, const char *name) {
  History *history = w->run.history;
  bool taken = history_find(history, name) >= 0 || strcmp(name, "lr") == 0 ||
               strcmp(name, "time_s") == 0;
  if (!taken) return history_column(history, name, w->fault);
  return fault_set(w->fault, ERR_VALUE,
                   "train.fit: option \"metrics\": two columns of the history would be "
                   "called \"%s\"; give the metric another name, as in "
                   "train.metric(f, { name = \"...\" })", name);
}

/* Columns: epoch, loss, metrics, val_..., lr, time_s. */
static Err open_columns(Work *w) {
  History *history = w->run.history;
  Err err = history_column(history, "epoch", w->fault);
  for (int i = 0; !err && i <= n_metrics(w); i++)
    err = measure_column(w, measure_name(w, i));
  for (int i = 0; !err && w->validation && i <= n_metrics(w); i++) {
    char name[HISTORY_NAME];
    snprintf(name, sizeof name, "val_%.40s", measure_name(w, i));
    err = measure_column(w, name);
  }
  if (!err) err = history_column(history, "lr", w->fault);
  return err ? err : history_column(history, "time_s", w->fault);
}

/* -- preparation ------------------------------------------------------------------- */

static Err check_set(Dataset *set, const char *what, Fault *fault) {
  Err err = dataset_need_rows(set, what, fault);
  if (err || dataset_has_y(set)) return err;
  return fault_set(fault, ERR_DATA, "data set %s has no targets (%s)", dataset_name(set),
                   what);
}

static Err split_sets(Work *w, Dataset *set) {
  const Fit *fit = w->run.fit;
  Err err = check_set(set, "training", w->fault);
  if (!err && fit->validation_data)
    err = check_set(fit->validation_data, "validation", w->fault);
  if (!err && fit->test) err = check_set(fit->test, "test", w->fault);
  if (err) return err;
  if (isnan(fit->validation)) {
    w->train = dataset_retain(set);
    w->validation = fit->validation_data ? dataset_retain(fit->validation_data) : NULL;
    return ERR_OK;
  }
  char name[32];
  snprintf(name, sizeof name, "fit%d", w->stream);
  SplitOptions options = {.fraction = 1 - fit->validation, .shuffle = true,
                          .stream = graph_draw(w->run.graph, "split", name)};
  return dataset_split(set, &options, &w->train, &w->validation, w->fault);
}

static Err open_batches(Work *w) {
  const Fit *fit = w->run.fit;
  char name[32];
  snprintf(name, sizeof name, "fit%d", w->stream);
  BatchOptions options = {.batch_size = fit->batch_size,
                          .shuffle = (ShuffleMode)fit->shuffle,
                          .drop_last = fit->drop_last,
                          .order = graph_draw(w->run.graph, "order", name)};
  Err err = batches_open(&w->batches, w->train, &options, w->fault);
  if (err) return err;
  int64_t n = w->batches.n_rows, last = n % fit->batch_size;
  bool single = fit->batch_size == 1 || n == 1 || (last == 1 && !fit->drop_last);
  if (single && layer_needs_batches(w->run.net))
    return fault_set(w->fault, ERR_VALUE,
                     "train.fit: %lld rows in batches of %lld leave a batch of one row, "
                     "which BatchNorm cannot normalize; use drop_last = true or another "
                     "batch_size", (long long)n, (long long)fit->batch_size);
  w->run.n_batches = w->batches.n_batches;
  w->run.n_train = n;
  w->run.n_validation = w->validation ? dataset_n(w->validation) : 0;
  return ERR_OK;
}

/* -- callbacks and sink ------------------------------------------------------------ */

static Err begin_all(Work *w) {
  Err err = ERR_OK;
  for (int i = 0; !err && w->stage < FIT_ENDED && i < w->run.fit->callbacks.n;
       i++, w->n_begun++)
    if (callback_kind(w, i)->begin)
      err = callback_kind(w, i)->begin(callback_at(w, i), &w->run, w->fault);
  if (err || !w->sink) return err;
  w->sink_begun = true;
  return w->sink->begin ? w->sink->begin(w->sink->ctx, &w->run, w->fault) : ERR_OK;
}

static Err epoch_begin_all(Work *w) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < w->run.fit->callbacks.n; i++)
    if (callback_kind(w, i)->epoch_begin)
      err = callback_kind(w, i)->epoch_begin(callback_at(w, i), &w->run, w->fault);
  return err;
}

static Err epoch_end_all(Work *w) {
  Err err = ERR_OK;
  if (w->sink && w->sink->epoch) err = w->sink->epoch(w->sink->ctx, &w->run, w->fault);
  for (int i = 0; !err && i < w->run.fit->callbacks.n; i++)
    if (callback_kind(w, i)->epoch_end)
      err = callback_kind(w, i)->epoch_end(callback_at(w, i), &w->run, w->fault);
  return err;
}

/* Each that has begun gets its end; the first fault stands. */
static Err end_all(Work *w, Err err) {
  for (int i = 0; i < w->n_begun; i++) {
    if (!callback_kind(w, i)->end) continue;
    Err own = callback_kind(w, i)->end(callback_at(w, i), &w->run, err, w->fault);
    if (!err) err = own;
  }
  return err;
}

/* -- one epoch --------------------------------------------------------------------- */

static Err batch_forward(void *ctx, Graph *graph, Node **out, int *n_out, Fault *fault) {
  Work *w = ctx;
  Fit *fit = w->run.fit;
  Node *x = graph_const(graph, w->x), *y = graph_const(graph, w->y);
  Node *output = layer_call(graph, w->run.net, x);
  out[0] = loss_apply(graph, fit->loss, output, y);
  for (int i = 0; i < fit->metrics.n; i++)
    out[1 + i] = metric_apply(graph, (Metric *)fit->metrics.v[i], fit->loss, output, y);
  *n_out = 1 + fit->metrics.n;
  return graph_ok(graph, fault);
}

/* A batch by replaying an earlier one of the same shape and settings, if there is one. */
static Err replay_batch(Work *w, const StepCapture *capture, bool *done) {
  *done = false;
  if (!capture || !replay_ready(w->replay, capture->signature, &capture->args)) return ERR_OK;
  Err err = replay_run(w->replay, &capture->args, done, w->fault);
  for (int i = 0; !err && *done && i <= n_metrics(w); i++)
    w->value[i] = array_get(&replay_out(w->replay, i)->a, 0);
  return err;
}

static Err trace_batch(Work *w, const StepCapture *capture) {
  Graph *graph = w->run.graph;
  Node *out[STEP_OUT];
  int n_out = 0;
  StepTarget target = {.nets = &w->run.net, .n_nets = 1, .watch = &w->watch};
  int scope = graph_scope_begin(graph);
  Err err = train_step(graph, &target, w->run.fit->optimizer, batch_forward, w, capture, out,
                       &n_out, w->fault);
  for (int i = 0; !err && i < n_out; i++) w->value[i] = array_get(&node_value(out[i])->a, 0);
  graph_scope_end(graph, scope);
  return err;
}

/* Everything whose setting changes what a step does. */
static uint64_t settings(const Work *w) {
  return object_signature(&w->run.net->object) ^
         object_signature(&w->run.fit->object) * 0x9E3779B97F4A7C15u;
}

static Err train_batch(Work *w) {
  Tensor *args[] = {w->x, w->y};
  StepCapture capture = {w->replay, {args, 2}, w->replay ? settings(w) : 0};
  const StepCapture *kept = w->replay ? &capture : NULL;
  bool done;
  Err err = replay_batch(w, kept, &done);
  if (!err && !done) err = trace_batch(w, kept);
  if (err) return err;
  int64_t n = w->x->a.shape.dim[0];
  for (int i = 0; i <= n_metrics(w); i++) w->sum[i] += w->value[i] * (double)n;
  w->n_rows += n;
  w->run.loss = w->sum[0] / (double)w->n_rows;
  return ERR_OK;
}

/* From batch number run.batch on: 0, or where a checkpoint was taken. */
static Err train_epoch(Work *w) {
  bool more = true;
  batches_epoch(&w->batches, w->run.epoch - 1);
  w->batches.at = w->run.batch;
  for (;;) {
    Err err = batches_next(&w->batches, &w->x, &w->y, &more, w->fault);
    if (err || !more) return err;
    if ((err = train_batch(w))) return err;
    w->run.batch++;
    if (w->sink && w->sink->batch) w->sink->batch(w->sink->ctx, &w->run);
    if ((err = fit_stop_if_asked(w))) return err;
  }
}

static Err measure_validation(Work *w, double *value) {
  const Fit *fit = w->run.fit;
  if (!w->validation) return ERR_OK;
  return train_evaluate(w->run.graph, w->run.net, w->validation, fit->loss, &fit->metrics,
                        fit->batch_size, value, w->fault);
}

static Err record_epoch(Work *w, const double *validation) {
  History *history = w->run.history;
  Err err = history_row(history, w->fault);
  if (err) return err;
  history_set(history, "epoch", (double)w->run.epoch);
  for (int i = 0; i <= n_metrics(w); i++) {
    char name[HISTORY_NAME];
    history_set(history, measure_name(w, i), w->sum[i] / (double)w->n_rows);
    snprintf(name, sizeof name, "val_%.40s", measure_name(w, i));
    if (w->validation) history_set(history, name, validation[i]);
  }
  history_set(history, "lr", w->run.fit->optimizer->rate);
  history_set(history, "time_s", clock_s() - w->run.epoch_start_s);
  return ERR_OK;
}

static Err begin_epoch(Work *w) {
  w->run.batch = w->n_rows = 0;
  for (int i = 0; i <= n_metrics(w); i++) w->sum[i] = 0;
  w->run.epoch_start_s = clock_s();
  return epoch_begin_all(w);
}

/* Callbacks are not interrupted where there are checkpoints: what they remember would be
 * neither that of this epoch nor that of the next. */
static Err end_epoch(Work *w, const double *validation) {
  if (w->run.checkpointer) interrupt_hold();
  Err err = record_epoch(w, validation);
  if (!err) err = epoch_end_all(w);
  if (w->run.checkpointer) interrupt_release();
  return err;
}

/* An epoch, or the rest of the one in which a checkpoint was taken. */
static Err one_epoch(Work *w) {
  double validation[1 + MAX_METRICS];
  w->run.fit->optimizer->epoch = w->run.epoch;
  Err err = w->stage == FIT_IN_EPOCH ? ERR_OK : begin_epoch(w);
  if (err) return err;
  w->stage = FIT_IN_EPOCH;
  err = train_epoch(w);
  if (!err) err = measure_validation(w, validation);
  if (err) return fit_keep_at_stop(w, err);
  err = end_epoch(w, validation);
  if (err) return err;
  w->stage = FIT_BETWEEN;
  return fit_keep_between(w);
}

/* -- the whole --------------------------------------------------------------------- */

static Err measure_test(Work *w) {
  const Fit *fit = w->run.fit;
  History *history = w->run.history;
  double value[1 + MAX_METRICS];
  if (!fit->test) return ERR_OK;
  Err err = train_evaluate(w->run.graph, w->run.net, fit->test, fit->loss, &fit->metrics,
                           fit->batch_size, value, w->fault);
  for (int i = 0; !err && i <= n_metrics(w); i++) {
    snprintf(history->test[i].name, HISTORY_NAME, "test_%.40s", measure_name(w, i));
    history->test[i].value = value[i];
    history->n_test = i + 1;
  }
  return err;
}

static Err run_epochs(Work *w) {
  int64_t epochs = w->run.fit->epochs;
  int64_t first = w->stage == FIT_IN_EPOCH ? w->run.epoch : w->run.epoch + 1;
  Err err = ERR_OK;
  for (int64_t e = first; !err && e <= epochs && !w->run.stop; e++) {
    w->run.epoch = e;
    err = one_epoch(w);
  }
  w->run.history->stopped = w->run.stop && w->run.epoch < epochs;
  return err;
}

/* Epochs, the callbacks' end, test; or what a checkpoint leaves of them. */
static Err run_stages(Work *w) {
  Err err = ERR_OK;
  if (w->stage < FIT_ENDED) {
    err = run_epochs(w);
    if (w->run.checkpointer) interrupt_hold();
    err = end_all(w, err);
    if (w->run.checkpointer) interrupt_release();
    w->n_begun = 0;
    w->run.fit->optimizer->epoch = 0;
    if (err) return err;
    w->stage = FIT_ENDED;
  }
  if (w->stage == FIT_FINISHED) return ERR_OK;
  if ((err = measure_test(w))) return fit_keep_at_stop(w, err);
  w->stage = FIT_FINISHED;
  fit_keep_results(w);
  return ERR_OK;
}

/* Steps of built-in parts alone are replayed: a user's function runs at every step. */
static Err prepare_replay(Work *w) {
  const Fit *fit = w->run.fit;
  bool own = object_has_call(&w->run.net->object) || object_has_call(&fit->loss->object);
  for (int i = 0; i < fit->metrics.n; i++) own = own || object_has_call(fit->metrics.v[i]);
  if (own || w->run.graph->naive) return ERR_OK;
  w->replay = replay_new(w->fault);
  return w->replay ? ERR_OK : w->fault->code;
}

static Err prepare(Work *w, Dataset *set) {
  Err err = split_sets(w, set);
  if (!err) err = open_batches(w);
  if (!err) err = open_columns(w);
  if (!err) err = prepare_replay(w);
  return err ? err : fit_find_checkpoint(w);
}

Err fit_run(Graph *graph, Fit *fit, Layer *net, Dataset *set, const FitSink *sink,
            History *history, Fault *fault) {
  *history = (History){0};
  Work w = {.run = {.graph = graph, .net = net, .fit = fit, .history = history,
                    .number = ++graph->count.fits,
                    .checkpointer = sink ? sink->checkpointer : NULL},
            .stream = ++graph->count.fit_streams, .sink = sink, .fault = fault};
  Err err = prepare(&w, set);
  if (!err) err = begin_all(&w);
  if (!err && w.stage != FIT_NEW) err = fit_restore(&w);
  err = err ? end_all(&w, err) : run_stages(&w);
  fit->optimizer->epoch = 0;
  if (w.sink_begun && w.sink->end) w.sink->end(w.sink->ctx, &w.run, fault);
  replay_free(w.replay);
  tensor_release(w.x);
  tensor_release(w.y);
  batches_close(&w.batches);
  dataset_release(w.train);
  dataset_release(w.validation);
  checkpoint_deinit(&w.saved);
  json_free(w.begin);
  return err;
}
