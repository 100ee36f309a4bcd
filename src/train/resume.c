/* resume.c: a fit into a checkpoint, and out of one.
 *
 *   part        holds
 *   begin       what the fit was asked to do: another one's checkpoint is not taken
 *   fit         stage, epoch, batch, rows (their weights) and running sum of the loss
 *               of the epoch
 *   metric1     what the first metric has added up in the epoch, and so on
 *   net         values and settings of the net
 *   optimizer   steps, rate, settings, slots of the net's parameters and their updates
 *   history     its columns, best epoch, test measures; of a finished fit matrices and
 *               curves
 *   callback1   what the first callback remembers, and so on for all listeners
 *   graph       seed and position of all streams, numbers of nets and fits
 *   (own)       of the floor above
 *
 * Doubles are kept as bytes: a NaN is the same NaN afterwards. Order in the data
 * follows from the fit's stream and the epoch, so the number of batches done is all
 * there is to keep. The streams are put back last: nothing that putting back calls can
 * shift them. */
#include "base/out.h"
#include "base/record_json.h"
#include "base/sys.h"
#include "train/fit_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stage_names[FIT_STAGES] = {
    [FIT_NEW] = "new",     [FIT_IN_EPOCH] = "in epoch",
     [FIT_BETWEEN] = "between epochs",
    [FIT_UNTESTED] = "ended", [FIT_FINISHED] = "finished"};

enum { PART_NAME = 32 };

/* "callback1": of a listener that keeps something. */
static const char *listener_part(char buffer[PART_NAME], const Listener *listener) {
  snprintf(buffer, PART_NAME, "%s%d", listener->part, listener->number);
  return buffer;
}

/* -- what the fit was asked to do -------------------------------------------------- */

static Json *set_json(const Dataset *set) {
  if (!set || !dataset_loaded(set)) return NULL;
  Json *map = json_map(), *shape = json_list();
  for (int i = 0; i < dataset_inputs(set); i++) {
    Shape features = dataset_input(set, i);
    for (int k = 0; k < features.rank; k++) json_push_int(shape, features.dim[k]);
  }
  json_put_text(map, "name", dataset_name(set));
  json_put_int(map, "rows", dataset_n(set));
  json_put(map, "features", shape);
  if (dataset_weights(set, 0).data) json_put_bool(map, "weighted", true);
  if (dataset_mask(set, 0).data) json_put_bool(map, "masked", true);
  if (dataset_inputs(set) > 1) json_put_int(map, "inputs", dataset_inputs(set));
  return map;
}

static Json *weights_json(const Work *w) {
  const Tensor *weight = w->run.fit->class_weight;
  Json *list = json_list();
  for (int64_t i = 0; i < tensor_count(weight); i++)
    json_push_number(list, array_get(&weight->a, i));
  return list;
}

static Err describe(Work *w) {
  LayerList layers;
  Err err = layer_list(w->run.net, &layers, w->fault);
  if (err) return err;
  Json *map = json_map(), *net = json_map();
  for (int i = 0; i < layers.n; i++)
    json_put(net, layers.v[i]->name,
             object_values(&layers.v[i]->object, &layer_family));
  free(layers.v);
  json_put_int(map, "seed", (int64_t)w->run.graph->seed);
  json_put(map, "data", set_json(w->train));
  if (w->validation) json_put(map, "validation", set_json(w->validation));
  json_put(map, "options", object_values(&w->run.fit->object, NULL));
  if (w->run.fit->class_weight) json_put(map, "class_weight", weights_json(w));
  json_put(map, "net", net);
  w->begin = map;
  return ERR_OK;
}

/* -- the history ------------------------------------------------------------------- */

static Err save_test(const History *h, Checkpoint *c, Json *map, Fault *fault) {
  Json *test = json_list();
  size_t n_bytes = (size_t)h->n_test * sizeof(double);
  double *value = malloc(n_bytes + 1);
  for (int i = 0; value && i < h->n_test; i++) {
    json_push_text(test, h->test[i].name);
    value[i] = h->test[i].value;
  }
  json_put(map, "test", test);
  Err err = value ? checkpoint_add_bytes(c, "history.test", "values", value, n_bytes,
                                         fault)
                  : fault_memory(fault, n_bytes);
  free(value);
  return err;
}

static Err save_tables(const History *h, Checkpoint *c, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < h->n_tables; i++)
    err = checkpoint_add(c, "history.table", h->table[i].name, h->table[i].value,
                         fault);
  return err;
}

/* Those that a fit with these metrics can have, in the order in which it makes them. */
static Err load_tables(const Work *w, const Checkpoint *c) {
  static const char *const prefixes[] = {"", "val_", "test_"};
  const ObjectList *metrics = &w->run.fit->metrics;
  char name[HISTORY_NAME];
  Err err = ERR_OK;
  for (int k = 0; k < 3 * metrics->n && !err; k++) {
    const Metric *metric = (const Metric *)metrics->v[k % metrics->n];
    snprintf(name, sizeof name, "%s%.40s", prefixes[k / metrics->n],
             metric_name(metric));
    Tensor *table = checkpoint_find(c, "history.table", name);
    if (table)
      err = history_table(w->run.history, name, metric_kind(metric)->columns, table,
                          w->fault);
  }
  return err;
}

static Err save_history(const Work *w, Checkpoint *c, Fault *fault) {
  const History *h = w->run.history;
  Json *map = json_map();
  Err err = ERR_OK;
  for (int i = 0; !err && i < h->n_columns; i++)
    err = checkpoint_add_bytes(c, "history", h->column[i].name, h->column[i].v,
                               (size_t)h->n_rows * sizeof(double), fault);
  json_put_int(map, "rows", h->n_rows);
  json_put_int(map, "best_epoch", h->best_epoch);
  json_put_bool(map, "stopped", h->stopped);
  json_put(c->state, "history", map);
  if (!err && w->stage == FIT_FINISHED) err = save_tables(h, c, fault);
  return err ? err : save_test(h, c, map, fault);
}

static Err load_test(History *h, const Checkpoint *c, const Json *test, Fault *fault) {
  int64_t n = test && json_kind(test) == JSON_KIND_LIST ? json_count(test) : -1;
  if (n < 0)
    return fault_set(fault, ERR_DATA, "the history's test measures are missing");
  size_t n_bytes = (size_t)n * sizeof(double);
  double *value = malloc(n_bytes + 1);
  if (!value) return fault_memory(fault, n_bytes);
  Err err = checkpoint_get_bytes(c, "history.test", "values", value, n_bytes, fault);
  for (int64_t i = 0; !err && i < n; i++) {
    const char *name = "";
    err = json_get_text(json_item(test, i), &name)
              ? history_test(h, name, value[i], fault)
              : fault_set(fault, ERR_DATA, "the history's test measures have no names");
  }
  free(value);
  return err;
}

static Err load_history(Work *w, const Checkpoint *c) {
  History *h = w->run.history;
  const Json *map = checkpoint_part(c, "history");
  int64_t rows;
  if (!json_find_int(map, "rows", &rows) ||
      !json_find_int(map, "best_epoch", &h->best_epoch) ||
      !json_find_bool(map, "stopped", &h->stopped))
    return fault_set(w->fault, ERR_DATA, "the history is missing");
  while (h->n_rows < rows) {
    Err err = history_row(h, w->fault);
    if (err) return err;
  }
  for (int i = 0; i < h->n_columns; i++) {
    Err err = checkpoint_get_bytes(c, "history", h->column[i].name, h->column[i].v,
                                   (size_t)rows * sizeof(double), w->fault);
    if (err) return err;
  }
  Err err = load_tables(w, c);
  return err ? err : load_test(h, c, json_find(map, "test"), w->fault);
}

/* -- net and optimizer, listeners -------------------------------------------------- */

static Err save_training(const Work *w, Checkpoint *c, Fault *fault) {
  return checkpoint_add_training(c, w->run.graph, w->run.net, w->run.fit->optimizer,
                                 fault);
}

/* The options of loss, metrics and callbacks too: a callback may have changed them. */
static Err load_training(Work *w, const Checkpoint *c) {
  Fit *fit = w->run.fit;
  Err err = object_set_values(&fit->object, checkpoint_part(c, "options"), NULL,
                              w->fault);
  return err ? err
             : checkpoint_get_training(c, w->run.graph, w->run.net, fit->optimizer,
                                       w->fault);
}

static Err save_listeners(const Work *w, Checkpoint *c, Fault *fault) {
  char part[PART_NAME];
  Err err = ERR_OK;
  for (int i = 0; !err && i < w->n_listeners; i++) {
    const Listener *l = &w->listeners[i];
    if (l->events->save)
      err = l->events->save(l->self, &w->run, c, listener_part(part, l), fault);
  }
  return err;
}

static Err load_listeners(Work *w, const Checkpoint *c) {
  char part[PART_NAME];
  Err err = ERR_OK;
  for (int i = 0; !err && i < w->n_listeners; i++) {
    const Listener *l = &w->listeners[i];
    if (l->events->load)
      err = l->events->load(l->self, &w->run, c, listener_part(part, l), w->fault);
  }
  return err;
}

/* -- metrics in the middle of an epoch --------------------------------------------- */

static const char *metric_part(char buffer[PART_NAME], int i) {
  snprintf(buffer, PART_NAME, "metric%d", i + 1);
  return buffer;
}

static Err save_kept(const KeptRows *kept, Checkpoint *c, const char *part,
                     const char *name, Json *map, Fault *fault) {
  Json *row = json_map(), *shape = json_list();
  for (int i = 0; kept->n_bytes && i < kept->shape.rank; i++)
    json_push_int(shape, kept->shape.dim[i]);
  json_put_text(row, "dtype", dtype_name(kept->dtype));
  json_put(row, "shape", shape);
  json_put(map, name, row);
  if (!kept->n_bytes) return ERR_OK;
  return checkpoint_add_bytes(c, part, name, kept->bytes, kept->n_bytes, fault);
}

static Err load_kept(KeptRows *kept, const Checkpoint *c, const char *part,
                     const char *name, const Json *map, Fault *fault) {
  const Json *row = json_find(map, name), *list = row ? json_find(row, "shape") : NULL;
  const char *type = "";
  Shape shape = {0};
  bool fits = list && json_kind(list) == JSON_KIND_LIST &&
              json_count(list) <= MAX_RANK && json_find_text(row, "dtype", &type);
  for (; fits && shape.rank < json_count(list); shape.rank++)
    fits = json_get_int(json_item(list, shape.rank), &shape.dim[shape.rank]) &&
           shape.dim[shape.rank] >= 0;
  DType dtype;
  if (!fits || !dtype_parse(&dtype, type) || !shape_countable(&shape))
    return fault_set(fault, ERR_DATA, "the rows of a metric are missing");
  if (!shape.rank) return ERR_OK;
  size_t n_bytes = (size_t)shape_count(&shape) * dtype_bytes(dtype);
  unsigned char *bytes = malloc(n_bytes + 1);
  if (!bytes) return fault_memory(fault, n_bytes);
  free(kept->bytes);
  *kept = (KeptRows){bytes, n_bytes, n_bytes, shape, dtype};
  return checkpoint_get_bytes(c, part, name, bytes, n_bytes, fault);
}

static Err save_measure(const Work *w, const Measure *m, Checkpoint *c,
                        const char *part, Fault *fault) {
  const FitCheckpointer *cp = w->run.checkpointer;
  char state[PART_NAME + 8];
  Json *map = json_map();
  json_put_int(map, "numbers", m->n);
  json_put_bool(map, "state", m->state != NULL);
  Err err = save_kept(&m->output, c, part, "outputs", map, fault);
  if (!err) err = save_kept(&m->target, c, part, "targets", map, fault);
  if (!err && m->weight.n_bytes)
    err = save_kept(&m->weight, c, part, "weights", map, fault);
  json_put(c->state, part, map);
  if (!err && m->n)
    err = checkpoint_add_bytes(c, part, "numbers", m->v, (size_t)m->n * sizeof *m->v,
                               fault);
  snprintf(state, sizeof state, "%s.state", part);
  if (err || !m->state || !cp->add_held) return err;
  return cp->add_held(cp->ctx, m->state, c, state, fault);
}

static Err load_measure(Work *w, Measure *m, const Checkpoint *c, const char *part) {
  const FitCheckpointer *cp = w->run.checkpointer;
  const Json *map = checkpoint_part(c, part);
  char state[PART_NAME + 8];
  int64_t n;
  bool held;
  if (!json_find_int(map, "numbers", &n) || n < 0 ||
      !json_find_bool(map, "state", &held))
    return fault_set(w->fault, ERR_DATA, "what a metric added up is missing");
  Err err = measure_begin(m, w->fault);
  if (!err && n) err = measure_room(m, n, w->fault);
  if (!err && n)
    err = checkpoint_get_bytes(c, part, "numbers", m->v, (size_t)n * sizeof *m->v,
                               w->fault);
  if (!err) err = load_kept(&m->output, c, part, "outputs", map, w->fault);
  if (!err) err = load_kept(&m->target, c, part, "targets", map, w->fault);
  if (!err && json_find(map, "weights"))
    err = load_kept(&m->weight, c, part, "weights", map, w->fault);
  snprintf(state, sizeof state, "%s.state", part);
  if (err || !held || !cp->get_held) return err;
  return cp->get_held(cp->ctx, &m->state, c, state, w->fault);
}

static Err save_measures(const Work *w, Checkpoint *c, Fault *fault) {
  char part[PART_NAME];
  Err err = ERR_OK;
  for (int i = 0; !err && w->stage == FIT_IN_EPOCH && i < w->measures.n; i++)
    err = save_measure(w, &w->measures.v[i], c, metric_part(part, i), fault);
  return err;
}

static Err load_measures(Work *w, const Checkpoint *c) {
  char part[PART_NAME];
  Err err = ERR_OK;
  for (int i = 0; !err && w->stage == FIT_IN_EPOCH && i < w->measures.n; i++)
    err = load_measure(w, &w->measures.v[i], c, metric_part(part, i));
  return err;
}

/* -- the place in the fit ---------------------------------------------------------- */

static Err save_place(const Work *w, Checkpoint *c, Fault *fault) {
  Json *map = json_map();
  double elapsed = clock_s() - w->run.epoch_start_s;
  json_put_text(map, "stage", stage_names[w->stage]);
  json_put_int(map, "number", w->run.number);
  json_put_int(map, "epoch", w->run.epoch);
  json_put_int(map, "batch", w->run.batch);
  json_put_number(map, "rows", w->total);
  json_put_bool(map, "stop", w->run.stop);
  json_put(c->state, "fit", map);
  json_put(c->state, "begin", json_share(w->begin));
  json_put(c->state, "options", object_values(&w->run.fit->object, NULL));
  Err err = checkpoint_add_bytes(c, "fit", "sums", &w->sum, sizeof w->sum, fault);
  if (err) return err;
  return checkpoint_add_bytes(c, "fit", "elapsed_s", &elapsed, sizeof elapsed, fault);
}

static Err load_place(Work *w, const Checkpoint *c) {
  double elapsed;
  const Json *map = checkpoint_part(c, "fit");
  if (!json_find_int(map, "epoch", &w->run.epoch) ||
      !json_find_int(map, "batch", &w->run.batch) ||
      !json_find_number(map, "rows", &w->total) ||
      !json_find_bool(map, "stop", &w->run.stop))
    return fault_set(w->fault, ERR_DATA, "the place in the data is missing");
  Err err = checkpoint_get_bytes(c, "fit", "sums", &w->sum, sizeof w->sum, w->fault);
  if (!err)
    err = checkpoint_get_bytes(c, "fit", "elapsed_s", &elapsed, sizeof elapsed,
                               w->fault);
  if (err) return err;
  w->run.epoch_start_s = clock_s() - elapsed;
  if (w->total > 0) w->run.loss = w->sum / w->total;
  return ERR_OK;
}

/* -- finding and putting back ------------------------------------------------------ */

static FitStage stage_of(const Checkpoint *c) {
  const char *name = "";
  json_find_text(checkpoint_part(c, "fit"), "stage", &name);
  for (int stage = FIT_IN_EPOCH; stage < FIT_STAGES; stage++)
    if (strcmp(stage_names[stage], name) == 0) return (FitStage)stage;
  return FIT_NEW;
}

Err fit_find_checkpoint(Work *w) {
  FitCheckpointer *cp = w->run.checkpointer;
  bool found = false;
  if (!cp) return ERR_OK;
  Err err = describe(w);
  if (!err) err = cp->read(cp->ctx, w->run.number, &w->saved, &found, w->fault);
  if (err || !found) return err;
  Text why = {0};
  w->stage = stage_of(&w->saved);
  if (json_difference(checkpoint_part(&w->saved, "begin"), w->begin, &why)) {
    err_print("train.fit: the checkpoint of fit %lld is another fit's (%s); it starts "
              "over\n",
              (long long)w->run.number, why.data ? why.data : "?");
    w->stage = FIT_NEW;
  }
  text_deinit(&why);
  if (w->stage == FIT_NEW) checkpoint_deinit(&w->saved);
  return ERR_OK;
}

Err fit_restore(Work *w) {
  const Checkpoint *c = &w->saved;
  const FitCheckpointer *cp = w->run.checkpointer;
  Err err = load_place(w, c);
  if (!err) err = load_training(w, c);
  if (!err) err = load_measures(w, c);
  if (!err) err = fit_remember(w);
  if (!err) err = load_history(w, c);
  if (!err) err = load_listeners(w, c);
  if (!err && cp->get_own) err = cp->get_own(cp->ctx, c, w->fault);
  if (!err) err = checkpoint_get_streams(c, w->run.graph, w->fault);
  if (err) {
    fault_prefix(w->fault, "train.fit: checkpoint of fit %lld",
                 (long long)w->run.number);
    return err;
  }
  checkpoint_deinit(&w->saved);
  w->run.finished = w->stage == FIT_FINISHED;
  return fit_tell(w, FIT_RESTORED);
}

/* -- keeping ----------------------------------------------------------------------- */

static Err fill(const Work *w, Checkpoint *c, Fault *fault) {
  const FitCheckpointer *cp = w->run.checkpointer;
  Err err = checkpoint_init(c, fault);
  if (!err) err = save_place(w, c, fault);
  if (!err) err = save_training(w, c, fault);
  if (!err) err = save_measures(w, c, fault);
  if (!err) err = save_history(w, c, fault);
  if (!err) err = save_listeners(w, c, fault);
  if (!err && cp->add_own) err = cp->add_own(cp->ctx, c, fault);
  return err ? err : checkpoint_add_streams(c, w->run.graph, fault);
}

/* Not interrupted: it may be the interrupt for which it is kept. */
static Err keep(Work *w, Fault *fault) {
  FitCheckpointer *cp = w->run.checkpointer;
  Checkpoint c = {0};
  interrupt_hold();
  Err err = fill(w, &c, fault);
  if (err) checkpoint_deinit(&c);
  else err = cp->write(cp->ctx, w->run.number, w->stage == FIT_FINISHED, &c, fault);
  interrupt_release();
  return err;
}

static void warn(const Work *w, const Fault *fault) {
  err_print("train.fit: no checkpoint of fit %lld was kept: %s\n",
            (long long)w->run.number, fault->text);
}

/* Training is worth more than its checkpoint: it goes on without. */
static Err keep_or_warn(void *self, FitRun *run, Fault *fault) {
  (void)run, (void)fault;
  Fault why = {0};
  if (keep(self, &why)) warn(self, &why);
  return ERR_OK;
}

static bool asked(const FitRun *run) {
  const FitCheckpointer *cp = run->checkpointer;
  return cp->asked_to_stop && cp->asked_to_stop(cp->ctx);
}

static Err stop(Fault *fault) { return fault_set(fault, ERR_INTERRUPT, "interrupted"); }

static Err stop_if_asked(void *self, FitRun *run, Fault *fault) {
  (void)self;
  return asked(run) ? stop(fault) : ERR_OK;
}

/* Between epochs: one if it is time, or if it is asked to stop. */
static Err keep_between(void *self, FitRun *run, Fault *fault) {
  FitCheckpointer *cp = run->checkpointer;
  if (asked(run)) {
    Err err = keep_or_warn(self, run, fault);
    return err ? err : stop(fault);
  }
  if (clock_s() - cp->last_s < cp->interval_s) return ERR_OK;
  Fault why = {0};
  Err err = keep(self, &why);
  cp->last_s = clock_s();
  if (err == ERR_SCRIPT) return fault_pass(fault, &why);
  if (err) warn(self, &why);
  return ERR_OK;
}

const Events fit_keeper = {
    .on = {[FIT_BATCH_END] = stop_if_asked, [FIT_EPOCH_DONE] = keep_between,
           [FIT_CUT] = keep_or_warn, [FIT_TESTED] = keep_or_warn}};
