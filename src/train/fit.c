/* fit.c: epochs of steps over a data set.
 *
 *   split off validation ─► check everything that can be checked ─► epochs:
 *     batches in the epoch's order ─► train_step ─► running means
 *     ─► validation ─► a row of the history
 *   ─► matrices and curves ─► test
 *
 * Listeners hear of each of these (event.h).
 * Training measures are over the rows of the epoch, taken while the weights change: a
 * step gives loss and outputs, metrics add them up (nn/metric.h). Validation and test
 * are measured afterwards, in inference mode. What is random (split, order) comes from
 * streams of the fit's number, so nothing else shifts it. */
#include "base/hash.h"
#include "base/sys.h"
#include "nn/trained.h"
#include "train/fit_private.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- options ----------------------------------------------------------------------- */

static Err fit_check(Object *object, Fault *fault) {
  const Fit *fit = (const Fit *)object;
  if (!fit->loss)
    return fault_set(fault, ERR_VALUE,
                     "train.fit: \"loss\" is missing: a loss or its name");
  if (fit->validation_data && !isnan(fit->validation))
    return fault_set(fault, ERR_VALUE,
                     "train.fit: both validation and validation_data are given");
  if (fit->validation >= 1)
    return fault_set(fault, ERR_VALUE,
                     "train.fit: option \"validation\": got %g, allowed: a share "
                     "between 0 and 1, or a data set",
                     fit->validation);
  return ERR_OK;
}

static void *retain_weights(void *weights) { return tensor_retain(weights); }
static void release_weights(void *weights) { tensor_release(weights); }
const RefType class_weight_ref_type = {
    "list of numbers, or a table by label or name of a class", retain_weights,
    release_weights};

#define AT(field) .offset = offsetof(Fit, field)

static const Option fit_options[] = {
    {.name = "loss", .kind = OPT_OBJECT, AT(loss), .family = &loss_family,
     .doc = "what is minimized. The column loss is the mean over the epoch, while the "
            "weights change, with the penalties of regularizers, as in Keras. val_loss "
            "and test_loss are of the loss alone, in inference, as in PyTorch (Keras "
            "adds the penalties); metrics are without penalties everywhere"},
    {.name = "optimizer", .kind = OPT_OBJECT, AT(optimizer), .family = &optim_family,
     .value = "SGD",
     .doc = "how the loss is minimized; an optimizer that has trained goes on from "
            "there"},
    {.name = "epochs", .kind = OPT_INT, AT(epochs), .value = "1", .lo = 1, .hi = 1e9,
     .doc = "number of times that the whole training set is seen"},
    {.name = "batch_size", .kind = OPT_INT, AT(batch_size), .value = "32", .lo = 1,
     .hi = 1e9, .doc = "rows per step"},
    {.name = "validation", .kind = OPT_REAL, AT(validation), .value = "none", .lo = 0,
     .hi = 1, .open = true, .open_hi = true, .alias = "validation_split",
     .doc = "share of the training set that is split off, at random; or a data set"},
    {.name = "validation_data", .kind = OPT_REF, AT(validation_data),
     .ref_type = &dataset_ref_type,
     .doc = "data set that is measured after every epoch"},
    {.name = "test", .kind = OPT_REF, AT(test), .ref_type = &dataset_ref_type,
     .alias = "test_data",
     .doc = "data set that is measured once, at the end"},
    {.name = "class_weight", .kind = OPT_REF, AT(class_weight),
     .ref_type = &class_weight_ref_type,
     .doc = "what a row of each class counts in the loss that is trained, times its "
            "own weight: { 1, 2, 0.5 }, one for each class, or { cat = 2 }, the others "
            "1. The loss is sum(w v) / sum(w), as PyTorch's; Keras divides by the "
            "number of rows. Metrics, validation and test do not see it, as in "
            "Keras"},
    {.name = "metrics", .kind = OPT_OBJECTS, AT(metrics), .family = &metric_family,
     .value = "none",
     .doc = "what is measured beside the loss. A matrix or curve once, at the end, by "
            "the weights that the net then has: h.val_confusion_matrix, and "
            "table.val_confusion_matrix.csv of the record"},
    {.name = "callbacks", .kind = OPT_OBJECTS, AT(callbacks),
     .family = &callback_family,
     .value = "none", .doc = "called after every epoch"},
    {.name = "probes", .kind = OPT_OBJECTS, AT(probes), .family = &probe_family,
     .value = "none", .doc = "measure the net at every step: h.probes of the history, "
                             "and probes.csv of the record"},
    {.name = "shuffle", .kind = OPT_CHOICE, AT(shuffle), .value = "epoch",
     .choices = shuffle_names, .yes = "epoch", .no = "none",
     .doc = "order of the rows: a new one every epoch, one for all epochs, or as the "
            "set has it"},
    {.name = "drop_last", .kind = OPT_BOOL, AT(drop_last), .value = "false",
     .doc = "leave out a last batch that is not full"},
    {.name = "verbose", .kind = OPT_INT, AT(verbose), .value = "true", .lo = 0,
     .hi = 1e9,
     .yes = "-1", .no = "0",
     .doc = "show progress: true: on a terminal in one line, which is drawn anew, "
            "else a line per epoch; n: a line for every n-th epoch and the last"},
    {.name = "record", .kind = OPT_TEXT, AT(record), .value = "none",
     .doc = "a record of this fit alone, in runs/<record>/<time>/, at the prompt as "
            "in a script; true: under the script's name, or \"prompt\"; false: none at "
            "all; default: a script's fits are recorded with the script"},
    {0}};

const Kind fit_kind = {.name = "fit", .family = &fit_family, .size = sizeof(Fit),
                       .options = fit_options, .check = fit_check,
                       .doc = "Trains a net on a data set."};

static const Kind *const fit_kinds[] = {&fit_kind, NULL};
const Family fit_family = {.name = "fit", .module = "train", .kinds = fit_kinds};

/* -- columns ----------------------------------------------------------------------- */

static const char *measure_name(const Work *w, int i) {
  return i ? metric_name((const Metric *)w->run.fit->metrics.v[i - 1]) : "loss";
}

/* "val_accuracy"; a metric's name is no longer than METRIC_NAME_BYTES. */
static const char *prefixed(char name[HISTORY_NAME], const char *prefix,
                            const char *measure) {
  snprintf(name, HISTORY_NAME, "%s%.40s", prefix, measure);
  return name;
}

/* Is it a matrix or curve, of which there is none for each epoch? */
static bool is_table(const Work *w, int i) {
  return i && metric_kind((const Metric *)w->run.fit->metrics.v[i - 1])->table;
}

/* Columns: epoch, loss, metrics, val_..., lr, time_s. */
static Err open_columns(Work *w) {
  History *history = w->run.history;
  char name[HISTORY_NAME];
  Err err = history_column(history, "epoch", w->fault);
  for (int i = 0; !err && i <= fit_n_metrics(w); i++)
    if (!is_table(w, i)) err = history_column(history, measure_name(w, i), w->fault);
  for (int i = 0; !err && w->validation && i <= fit_n_metrics(w); i++)
    if (!is_table(w, i))
      err = history_column(history, prefixed(name, "val_", measure_name(w, i)),
                           w->fault);
  if (!err) err = history_column(history, "lr", w->fault);
  return err ? err : history_column(history, "time_s", w->fault);
}

/* -- preparation ------------------------------------------------------------------- */

static Err check_set(const Loss *loss, Dataset *set, const char *what, Fault *fault) {
  Err err = dataset_need_rows(set, what, fault);
  if (err || dataset_has_y(set))
    return err ? err : train_check_targets(loss, set, fault);
  return fault_set(fault, ERR_DATA, "data set %s has no targets (%s)",
                   dataset_name(set), what);
}

/* A set to be measured on (NULL: none), which numbers classes and tokens as the one
 * that is trained on. */
static Err check_beside(const Loss *loss, Dataset *set, const Dataset *train,
                        const char *what, Fault *fault) {
  if (!set) return ERR_OK;
  Err err = check_set(loss, set, what, fault);
  if (err) return err;
  err = dataset_check_numbers(set, train, fault);
  if (err) fault_prefix(fault, "train.fit: %s", what);
  return err;
}

/* The set to be measured on, with what it lacks filled in by the means of the rows that
 * are trained on, unless something else is decided. Returns new. */
static Dataset *complete_like(Work *w, Dataset *set) {
  return dataset_complete(set, dataset_lacks(set) ? w->train : set, w->fault);
}

static Err split_sets(Work *w, Dataset *set) {
  const Fit *fit = w->run.fit;
  Err err = check_set(fit->loss, set, "training", w->fault);
  if (!err && fit->class_weight)
    err = weight_check_classes(fit->class_weight, set, w->fault);
  if (!err)
    err = check_beside(fit->loss, fit->validation_data, set, "validation", w->fault);
  if (!err) err = check_beside(fit->loss, fit->test, set, "test", w->fault);
  if (err) return err;
  if (isnan(fit->validation)) {
    w->train = dataset_complete(set, set, w->fault);
    if (w->train && fit->validation_data)
      w->validation = complete_like(w, fit->validation_data);
    return w->train && (w->validation || !fit->validation_data) ? ERR_OK
                                                                : w->fault->code;
  }
  char name[32];
  snprintf(name, sizeof name, "fit%d", w->stream);
  SplitOptions options = {.fraction = 1 - fit->validation, .shuffle = true,
                          .stream = graph_draw_once(w->run.graph, "split", name)};
  return dataset_split(set, &options, &w->train, &w->validation, w->fault);
}

static Err open_batches(Work *w) {
  const Fit *fit = w->run.fit;
  char name[32];
  snprintf(name, sizeof name, "fit%d", w->stream);
  BatchOptions options = {.batch_size = fit->batch_size,
                          .shuffle = (ShuffleMode)fit->shuffle,
                          .drop_last = fit->drop_last,
                          .order = graph_draw_once(w->run.graph, "order", name),
                          .training = true,
                          .augment = graph_draw_once(w->run.graph, "augment", name)};
  Err err = batches_open(&w->batches, w->train, &options, w->fault);
  if (err) return err;
  int64_t n = w->batches.n_rows, last = n % fit->batch_size;
  bool single = fit->batch_size == 1 || n == 1 || (last == 1 && !fit->drop_last);
  const Layer *norm = single ? layer_needs_batches(w->run.net) : NULL;
  if (norm)
    return fault_set(w->fault, ERR_VALUE,
                     "train.fit: %lld rows in batches of %lld leave a batch of one "
                     "row, which %s cannot normalize; use drop_last = true or another "
                     "batch_size",
                     (long long)n, (long long)fit->batch_size, norm->object.kind->name);
  w->run.train = w->train;
  w->run.n_batches = w->batches.n_batches;
  w->run.n_train = n;
  w->run.n_validation = w->validation ? dataset_n(w->validation) : 0;
  return ERR_OK;
}

/* -- listeners --------------------------------------------------------------------- */

static Err list_listeners(Work *w, const FitHost *host) {
  const ObjectList *callbacks = &w->run.fit->callbacks;
  int n_host = host ? host->n_listeners : 0;
  size_t most = (size_t)(n_host + callbacks->n + 2);
  w->listeners = calloc(most, sizeof *w->listeners);
  if (!w->listeners) return fault_memory(w->fault, most * sizeof *w->listeners);
  for (int i = 0; i < n_host; i++) w->listeners[w->n_listeners++] = host->listeners[i];
  for (int i = 0; i < callbacks->n; i++) {
    const CallbackKind *kind = (const CallbackKind *)callbacks->v[i]->kind;
    w->listeners[w->n_listeners++] = (Listener){&kind->events, callbacks->v[i],
                                                callback_family.name, i + 1};
  }
  if (w->run.fit->probes.n)
    w->listeners[w->n_listeners++] = (Listener){&probe_events, &w->probes,
                                                probe_family.name, 1};
  if (w->run.checkpointer)
    w->listeners[w->n_listeners++] = (Listener){&fit_keeper, w, NULL, 0};
  return ERR_OK;
}

static Err tell_one(Work *w, int i, FitEvent event) {
  must(w->listeners && i < w->n_listeners);
  const Listener *listener = &w->listeners[i];
  must(listener->events);
  FitHandler handler = listener->events->on[event];
  return handler ? handler(listener->self, &w->run, w->fault) : ERR_OK;
}

Err fit_tell(Work *w, FitEvent event) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < w->n_listeners; i++) err = tell_one(w, i, event);
  return err;
}

static Err begin_all(Work *w) {
  Err err = ERR_OK;
  int n = w->stage < FIT_UNTESTED ? w->n_listeners : 0;
  while (w->n_begun < n && !(err = tell_one(w, w->n_begun, FIT_BEGIN))) w->n_begun++;
  if (!err) err = fit_tell(w, FIT_STARTED);
  w->started = !err;
  return err;
}

/* The first fault stays. Not interrupted: it may be an interrupt after which weights
 * are put back. */
static Err end_training(Work *w, Err err) {
  interrupt_hold();
  while (w->n_begun) {
    Err own = tell_one(w, --w->n_begun, FIT_TRAINED);
    if (!err) err = own;
  }
  interrupt_release();
  return err;
}

/* `err` with which a part of the fit ends after which it could go on from here. */
static Err end_part(Work *w, Err err) {
  if (err == ERR_INTERRUPT) (void)!fit_tell(w, FIT_CUT);
  return err;
}

/* -- one epoch --------------------------------------------------------------------- */

/* What the batch's rows count in the loss; NULL: all alike. */
static Tensor *row_weight(const Work *w) {
  return w->loss_weight ? w->loss_weight : w->batch.weight;
}

/* Before the first step, of which nothing may stay if a metric is refused later. */
static Err check_measures(Work *w, const Port *output, const Node *y) {
  Graph *graph = w->run.graph;
  Dataset *const sets[] = {w->train, w->validation, w->run.fit->test};
  Err err = measures_check(&w->measures, graph, w->run.fit->loss, output->x, y,
                           w->fault);
  for (int i = 0; !err && !w->stepped && i < 3; i++)
    if (sets[i])
      err = measures_check_set(&w->measures, graph, sets[i], output,
                               batch_rows(&w->batch), w->fault);
  return err;
}

/* Outputs of a step: the loss, the net's output where something is measured on it, its
 * mask where it has one, what the rows count where gradients of several steps make one
 * update. */
static Err batch_forward(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  Work *w = ctx;
  Fit *fit = w->run.fit;
  Tensor *weight = row_weight(w);
  const Ports in = batch_inputs(graph, &w->batch);
  const Port output = layer_call_one(graph, w->run.net, &in);
  Node *y = loss_conform(graph, output.x, graph_const(graph, w->batch.y));
  LossBatch batch = {.output = output.x, .target = y, .mask = output.mask,
                     .weight = weight ? graph_const(graph, weight) : NULL};
  Node *loss = loss_apply(graph, fit->loss, &batch);
  if (!loss || !output.x) return graph_ok(graph, fault);
  w->masked = output.mask != NULL;
  Err err = step_output(out, loss, fault);
  if (!err && fit->metrics.n) err = step_output(out, output.x, fault);
  if (!err && w->masked) err = step_output(out, output.mask, fault);
  if (!err && optimizer_accumulates(fit->optimizer)) {
    out->weight = out->n;
    err = step_output(out, loss_total(graph, &batch), fault);
  }
  return err ? err : check_measures(w, &output, y);
}

/* `weight` (or NULL) times the mask of the outputs, in `*out`; without a mask as it is.
 */
static Err counted(Work *w, Tensor *weight, const Tensor *mask, Tensor **room,
                   const Tensor **out) {
  const Array none = {0};
  *out = weight;
  if (!mask) return ERR_OK;
  Err err = weight_by_mask(room, weight ? &weight->a : &none, &mask->a,
                           &w->run.graph->memory, w->fault);
  *out = *room;
  return err;
}

/* What a step gave; output NULL where nothing is measured on it. */
static Err take_batch(Work *w, const Tensor *loss, const Tensor *output,
                      const Tensor *mask) {
  const Tensor *weight = NULL, *of_loss = NULL;
  Err err = counted(w, row_weight(w), mask, &w->counted_loss, &of_loss);
  if (err) return err;
  w->run.batch_loss = array_get(&loss->a, 0);
  w->batch_weight = weight_total(of_loss, batch_rows(&w->batch));
  if (!output) return ERR_OK;
  err = counted(w, w->batch.weight, mask, &w->counted, &weight);
  return err ? err
             : measures_add(&w->measures, w->run.graph, output, w->batch.y, weight,
                            w->fault);
}

/* Which output of a step the mask is, where there is one. */
static int mask_output(const Work *w) { return fit_n_metrics(w) ? 2 : 1; }

/* A batch by replaying an earlier one of the same shape and settings, if there is
 * one. */
static Err replay_batch(Work *w, const StepCapture *capture, bool *done) {
  *done = false;
  if (!capture || !replay_ready(w->replay, capture->signature, &capture->args))
    return ERR_OK;
  Err err = replay_run(w->replay, &capture->args, probes_gauges(&w->probes), done,
                       w->fault);
  if (err || !*done) return err;
  return take_batch(w, replay_out(w->replay, 0),
                    fit_n_metrics(w) ? replay_out(w->replay, 1) : NULL,
                    w->masked ? replay_out(w->replay, mask_output(w)) : NULL);
}

static Err trace_batch(Work *w, const StepCapture *capture) {
  Graph *graph = w->run.graph;
  StepOutputs *out = &w->outputs;
  StepTarget target = {.nets = &w->run.net, .n_nets = 1, .watch = &w->watch,
                       .gauges = probes_gauges(&w->probes)};
  int scope = graph_scope_begin(graph);
  Err err = train_step(graph, &target, w->run.fit->optimizer, batch_forward, w, capture,
                       out, w->fault);
  if (!err)
    err = take_batch(w, node_value(out->v[0]),
                     fit_n_metrics(w) ? node_value(out->v[1]) : NULL,
                     w->masked ? node_value(out->v[mask_output(w)]) : NULL);
  graph_scope_end(graph, scope);
  return err;
}

/* Everything whose setting changes what a step does. */
static uint64_t settings(const Work *w) {
  return hash_word(object_signature(&w->run.net->object),
                   object_signature(&w->run.fit->object));
}

static Err train_batch(Work *w) {
  Tensor *args[BOUND_ARGS];
  int n_args = batch_args(&w->batch, row_weight(w), args);
  StepCapture capture = {w->replay, {args, n_args}, w->replay ? settings(w) : 0};
  const StepCapture *kept = w->replay ? &capture : NULL;
  bool done;
  Err err = replay_batch(w, kept, &done);
  if (!err && !done) err = trace_batch(w, kept);
  if (!err && !w->remembered) err = fit_remember(w);
  if (err) return err;
  if (!w->stepped) w->run.first_loss = w->run.batch_loss;
  w->stepped = true;
  w->sum += w->run.batch_loss * w->batch_weight;
  w->total += w->batch_weight;
  w->run.loss = w->sum / w->total;
  return ERR_OK;
}

/* Before a step: by the classes of its rows too, where the fit says so. */
static Err weigh_batch(Work *w) {
  const Tensor *by_class = w->run.fit->class_weight;
  if (!by_class) return ERR_OK;
  return weight_by_class(&w->loss_weight, &w->batch, by_class, &w->run.graph->memory,
                         w->fault);
}

Err fit_remember(Work *w) {
  w->remembered = true;
  const Vocabulary *vocabulary = dataset_vocabulary(w->train);
  Text text = {0};
  Err err = vocabulary ? vocabulary_text(vocabulary, &text, w->fault) : ERR_OK;
  if (!err)
    err = layer_remember(w->run.net, w->run.fit->loss, &w->run.fit->metrics, text.data,
                         w->fault);
  text_deinit(&text);
  return err;
}

/* From batch number run.batch on: 0, or where a checkpoint was taken. */
static Err train_epoch(Work *w) {
  bool more = true;
  batches_epoch(&w->batches, w->run.epoch - 1);
  w->batches.at = w->run.batch;
  for (;;) {
    Err err = batches_next(&w->batches, &w->batch, &more, w->fault);
    if (err || !more) return err;
    if ((err = weigh_batch(w))) return err;
    w->run.fit->optimizer->last = w->run.batch + 1 == w->run.n_batches;
    if ((err = train_batch(w))) return err;
    w->run.batch++;
    if ((err = fit_tell(w, FIT_BATCH_END))) return err;
  }
}

static Err measure_validation(Work *w) {
  const Fit *fit = w->run.fit;
  if (!w->validation) return ERR_OK;
  return train_evaluate(w->run.graph, w->run.net, w->validation, fit->loss,
                        &fit->metrics, fit->batch_size, w->validation_value, NULL,
                        w->fault);
}

static Err record_epoch(Work *w) {
  History *history = w->run.history;
  Err err = history_row(history, w->fault);
  if (err) return err;
  history_set(history, "epoch", (double)w->run.epoch);
  for (int i = 0; i <= fit_n_metrics(w); i++) {
    char name[HISTORY_NAME];
    if (is_table(w, i)) continue;
    history_set(history, measure_name(w, i), w->value[i]);
    if (w->validation)
      history_set(history, prefixed(name, "val_", measure_name(w, i)),
                  w->validation_value[i]);
  }
  history_set(history, "lr", w->run.fit->optimizer->rate);
  history_set(history, "time_s", clock_s() - w->run.epoch_start_s);
  return ERR_OK;
}

static Err begin_epoch(Work *w) {
  w->run.batch = 0;
  w->sum = w->total = 0;
  optimizer_forget_gathered(w->run.fit->optimizer);
  w->run.epoch_start_s = clock_s();
  Err err = measures_begin(&w->measures, w->fault);
  return err ? err : fit_tell(w, FIT_EPOCH_BEGIN);
}

/* Before validation: a metric of the user may keep what it adds up in a place of its
 * own. */
static Err finish_epoch(Work *w) {
  w->value[0] = w->sum / w->total;
  return measures_finish(&w->measures, w->run.graph, w->value + 1, NULL, w->fault);
}

/* Listeners are not interrupted where there are checkpoints: what they remember would
 * be neither that of this epoch nor that of the next. */
static Err end_epoch(Work *w) {
  if (w->run.checkpointer) interrupt_hold();
  Err err = record_epoch(w);
  if (!err) err = fit_tell(w, FIT_EPOCH_END);
  if (w->run.checkpointer) interrupt_release();
  return err;
}

/* An epoch, or the rest of the one in which a checkpoint was taken. */
static Err one_epoch(Work *w) {
  w->run.fit->optimizer->epoch = w->run.epoch;
  Err err = w->stage == FIT_IN_EPOCH ? ERR_OK : begin_epoch(w);
  if (err) return err;
  w->stage = FIT_IN_EPOCH;
  err = train_epoch(w);
  if (!err) err = finish_epoch(w);
  if (!err) err = fit_tell(w, FIT_EPOCH_TRAINED);
  if (!err) err = measure_validation(w);
  if (err) return end_part(w, err);
  err = end_epoch(w);
  if (err) return err;
  w->stage = FIT_BETWEEN;
  return fit_tell(w, FIT_EPOCH_DONE);
}

/* -- the whole --------------------------------------------------------------------- */

/* What was measured over a set at the end, the loss too where there is one. */
static Err note_results(Work *w, const char *prefix, const Loss *loss,
                        const ObjectList *metrics, Tensor *const *table) {
  History *history = w->run.history;
  char name[HISTORY_NAME];
  Err err = ERR_OK;
  if (loss)
    err = history_test(history, prefixed(name, prefix, "loss"), w->value[0], w->fault);
  for (int i = 0; !err && i < metrics->n; i++) {
    const Metric *metric = (const Metric *)metrics->v[i];
    prefixed(name, prefix, metric_name(metric));
    err = table[i] ? history_table(history, name, metric_kind(metric)->columns,
                                   table[i], w->fault)
                   : history_test(history, name, w->value[i + 1], w->fault);
  }
  return err;
}

static Err measure_end(Work *w, Dataset *set, const char *prefix, Loss *loss,
                       const ObjectList *metrics) {
  size_t n_bytes = ((size_t)metrics->n + 1) * sizeof(Tensor *);
  Tensor **table = calloc(1, n_bytes);
  if (!table) return fault_memory(w->fault, n_bytes);
  Err err = train_evaluate(w->run.graph, w->run.net, set, loss, metrics,
                           w->run.fit->batch_size, w->value,
                           &(MeasureDetails){NULL, table}, w->fault);
  if (!err) err = note_results(w, prefix, loss, metrics, table);
  for (int i = 0; i < metrics->n; i++) tensor_release(table[i]);
  free(table);
  return err;
}

/* Matrices and curves have no epochs: they are measured once, with the weights that the
 * net ends with. Outputs are read as by the loss that the net was trained with. */
static Err measure_tables(Work *w) {
  size_t n_bytes = ((size_t)fit_n_metrics(w) + 1) * sizeof(Object *);
  ObjectList tables = {0, malloc(n_bytes)};
  if (!tables.v) return fault_memory(w->fault, n_bytes);
  for (int i = 1; i <= fit_n_metrics(w); i++)
    if (is_table(w, i)) tables.v[tables.n++] = w->run.fit->metrics.v[i - 1];
  Err err = tables.n ? measure_end(w, w->train, "", NULL, &tables) : ERR_OK;
  if (!err && tables.n && w->validation)
    err = measure_end(w, w->validation, "val_", NULL, &tables);
  free(tables.v);
  return err;
}

static Err measure_test(Work *w) {
  const Fit *fit = w->run.fit;
  if (!fit->test) return ERR_OK;
  Dataset *test = complete_like(w, fit->test);
  if (!test) return w->fault->code;
  Err err = measure_end(w, test, "test_", fit->loss, &fit->metrics);
  dataset_release(test);
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

/* Epochs and test, or what a checkpoint leaves of them. */
static Err run_stages(Work *w) {
  Err err = ERR_OK;
  if (w->stage < FIT_UNTESTED) {
    err = end_training(w, run_epochs(w));
    if (err) return err;
    w->stage = FIT_UNTESTED;
  }
  if (w->stage == FIT_FINISHED) return ERR_OK;
  err = measure_tables(w);
  if (!err) err = measure_test(w);
  if (err) return end_part(w, err);
  w->stage = FIT_FINISHED;
  return fit_tell(w, FIT_TESTED);
}

/* Steps of built-in parts alone are replayed: a user's function runs at every step.
 * Metrics are no part of a step. */
static Err prepare_replay(Work *w) {
  const Fit *fit = w->run.fit;
  bool own = object_has_call(&w->run.net->object) ||
             object_has_call(&fit->loss->object);
  if (own || w->run.graph->naive) return ERR_OK;
  w->replay = replay_new(w->fault);
  return w->replay ? ERR_OK : w->fault->code;
}

static Err make_values(Work *w) {
  size_t n = 1 + (size_t)fit_n_metrics(w);
  w->value = calloc(n, sizeof *w->value);
  w->validation_value = calloc(n, sizeof *w->validation_value);
  return w->value && w->validation_value ? ERR_OK
                                         : fault_memory(w->fault, n * sizeof(double));
}

static Err prepare(Work *w, const FitHost *host, Dataset *set) {
  Err err = probes_open(&w->probes, &w->run.fit->probes, &w->run.history->probes,
                        "train.fit", w->fault);
  if (!err) err = list_listeners(w, host);
  if (!err) err = split_sets(w, set);
  if (!err) err = open_batches(w);
  if (!err)
    err = measures_open(&w->measures, &w->run.fit->metrics, "train.fit", w->fault);
  if (!err) err = make_values(w);
  if (!err) err = open_columns(w);
  if (!err) err = prepare_replay(w);
  return err ? err : fit_find_checkpoint(w);
}

/* What a fit changes before its first step. */
typedef struct Before {
  RunCounts count;
  uint64_t seed;
  int n_counters;
  Counter *counters; /* owned */
  int64_t epoch;     /* of the optimizer: of a fit that this one is part of */
} Before;

static Err note_before(const Work *w, Before *out) {
  const Graph *graph = w->run.graph;
  size_t n_bytes = (size_t)graph->n_counters * sizeof(Counter);
  *out = (Before){graph->count, graph->seed, graph->n_counters, malloc(n_bytes + 1),
                  w->run.fit->optimizer->epoch};
  if (!out->counters) return fault_memory(w->fault, n_bytes);
  if (n_bytes) memcpy(out->counters, graph->counters, n_bytes);
  return ERR_OK;
}

/* Of a checkpoint that could not be put back some may have been. There is room for
 * counters that were there. */
static void put_back(Work *w, const Before *before, Err err) {
  Graph *graph = w->run.graph;
  w->run.fit->optimizer->epoch = before->epoch;
  w->run.fit->optimizer->last = false;
  if (!err || w->stepped || !before->counters) return;
  graph->count = before->count;
  must(!graph_set_streams(graph, before->seed, before->counters, before->n_counters,
                          NULL));
}

static void work_deinit(Work *w) {
  replay_free(w->replay);
  probes_close(&w->probes);
  measures_close(&w->measures);
  batch_deinit(&w->batch);
  tensor_release(w->loss_weight);
  tensor_release(w->counted_loss);
  tensor_release(w->counted);
  batches_close(&w->batches);
  dataset_release(w->train);
  dataset_release(w->validation);
  checkpoint_deinit(&w->saved);
  json_free(w->begin);
  step_outputs_deinit(&w->outputs);
  free(w->value);
  free(w->validation_value);
  free(w->listeners);
}

Err fit_run(Graph *graph, Fit *fit, Layer *net, Dataset *set, const FitHost *host,
            History *history, Fault *fault) {
  *history = (History){0};
  Work w = {.run = {.graph = graph, .net = net, .fit = fit, .history = history,
                    .first_loss = NAN,
                    .checkpointer = host ? host->checkpointer : NULL},
            .fault = fault};
  Before before;
  Err err = note_before(&w, &before);
  w.run.number = ++graph->count.fits;
  w.stream = ++graph->count.fit_streams;
  if (!err) err = prepare(&w, host, set);
  if (!err) err = begin_all(&w);
  if (!err && w.stage != FIT_NEW) {
    err = fit_restore(&w);
    w.stepped = !err;
  }
  err = err ? end_training(&w, err) : run_stages(&w);
  put_back(&w, &before, err);
  Err own = w.started ? fit_tell(&w, FIT_ENDED) : ERR_OK;
  if (!err) err = own;
  if (!w.started) history_deinit(history);
  work_deinit(&w);
  free(before.counters);
  return err;
}
