/* Fits on small sets: history, splits, callbacks, what is refused. */
#include "data/given_set.h"
#include "graph/item.h"
#include "options.h"
#include "test.h"
#include "base/sys.h"
#include "graph/ops.h"
#include "train/train.h"
#include <unistd.h>

typedef struct World {
  Graph graph;
  Fault fault;
  Layer *net;
  Fit *fit;
  Dataset *set;
  History history;
} World;

/* Two blobs of `n` points in the plane, apart by `gap`, classes 1 and 2. */
static Dataset *blobs(World *w, int64_t n, double gap) {
  Stream stream = {philox_key(7, "test", "blobs"), 0};
  Tensor *x = tensor_new(&w->graph.memory, DT_REAL, &SHAPE_OF(n, 2), &w->fault);
  Tensor *y = tensor_new(&w->graph.memory, DT_INT32, &SHAPE_OF(n), &w->fault);
  for (int64_t i = 0; i < n; i++) {
    double side = i % 2 ? gap : -gap;
    for (int k = 0; k < 2; k++)
      array_set(&x->a, 2 * i + k,
                side + philox_unit(philox_word(stream, (uint64_t)(2 * i + k))) - 0.5);
    array_set(&y->a, i, (double)(1 + i % 2));
  }
  Source *source = source_of(x, y, 2, 1, &w->graph.memory, &w->fault);
  assert_non_null(source);
  Dataset *set = dataset_open(source, 0, &w->fault);
  object_release(source);
  tensor_release(x);
  tensor_release(y);
  return set;
}

static void add(World *w, const char *kind_name, double units) {
  const Kind *kind = family_find(&layer_family, kind_name, &w->fault);
  Object *layer = object_new(kind, &w->fault);
  if (units > 0)
    assert_int_equal(give_number(layer, option_at(kind, 1), units, &w->fault), ERR_OK);
  assert_int_equal(object_ready(layer, NULL, &w->fault), ERR_OK);
  assert_int_equal(layer_add(w->net, (Layer *)layer, &w->fault), ERR_OK);
  object_release(layer);
}

static void set_text(World *w, const char *name, const char *value) {
  const Option *opt = option_find(&fit_kind, name, &w->fault);
  assert_int_equal(option_set_text(&w->fit->object, opt, value, &w->fault), ERR_OK);
}

static void open_world(World *w, int64_t n) {
  *w = (World){0};
  assert_int_equal(graph_open(&w->graph, 1, 1, &w->fault), ERR_OK);
  w->net = (Layer *)family_make(&layer_family, "Sequential", &w->fault);
  add(w, "Dense", 8);
  w->fit = (Fit *)object_new(&fit_kind, &w->fault);
  set_text(w, "loss", "cross_entropy");
  set_text(w, "metrics", "acc");
  w->fit->optimizer->lr = 0.2;
  w->fit->epochs = 4;
  w->set = blobs(w, n, 1);
}

static Err run(World *w) {
  history_deinit(&w->history);
  fault_clear(&w->fault);
  return fit_run(&w->graph, w->fit, w->net, w->set, NULL, &w->history, &w->fault);
}

static void close_world(World *w) {
  history_deinit(&w->history);
  dataset_release(w->set);
  object_release(w->fit);
  object_release(w->net);
  graph_close(&w->graph);
}

static double last(const World *w, const char *column) {
  return history_get(&w->history, column, w->history.n_rows - 1);
}

TEST(fit_learns_and_records) {
  World w;
  open_world(&w, 100);
  add(&w, "Dense", 2);
  w.fit->validation = 0.2;
  w.fit->test = blobs(&w, 30, 1);
  if (run(&w)) fail_msg("%s", w.fault.text);
  const char *columns[] = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy",
                           "lr",
                           "time_s"};
  assert_int_equal(w.history.n_columns, 7);
  for (int i = 0; i < 7; i++) assert_string_equal(w.history.column[i].name, columns[i]);
  assert_int_equal(w.history.n_rows, 4);
  assert_true(last(&w, "loss") < history_get(&w.history, "loss", 0));
  assert_true(last(&w, "val_accuracy") >= 0.99);
  CHECK_NEAR(last(&w, "lr"), 0.2, 0);
  assert_int_equal(w.history.n_test, 2);
  assert_string_equal(w.history.test[1].name, "test_accuracy");
  assert_true(w.history.test[1].value >= 0.99);
  assert_int_equal(w.fit->optimizer->t, 4 * 3);
  close_world(&w);
}

TEST(the_same_fit_gives_the_same_numbers) {
  double loss[2];
  for (int i = 0; i < 2; i++) {
    World w;
    open_world(&w, 50);
    add(&w, "Dropout", 0.5);
    add(&w, "Dense", 2);
    assert_int_equal(run(&w), ERR_OK);
    loss[i] = last(&w, "loss");
    close_world(&w);
  }
  assert_true(loss[0] == loss[1]);
}

/* A fit's own streams, for split and order, are drawn from once. */
TEST(fits_leave_no_streams_behind) {
  World w;
  open_world(&w, 40);
  add(&w, "Dense", 2);
  w.fit->validation = 0.25;
  assert_int_equal(run(&w), ERR_OK);
  int n = w.graph.n_counters;
  for (int i = 0; i < 20; i++) assert_int_equal(run(&w), ERR_OK);
  assert_int_equal(w.graph.n_counters, n);
  assert_int_equal(w.graph.count.fits, 21);
  close_world(&w);
}

TEST(a_last_batch_of_one_with_batch_norm_is_refused) {
  World w;
  open_world(&w, 33);
  add(&w, "BatchNorm", 0);
  add(&w, "Dense", 2);
  assert_int_equal(run(&w), ERR_VALUE);
  assert_non_null(strstr(w.fault.text, "batch of one"));
  assert_false(layer_built(w.net));
  w.fit->drop_last = true;
  assert_int_equal(run(&w), ERR_OK);
  close_world(&w);
}

static Callback *callback(World *w, const char *name) {
  Object *object = object_new(family_find(&callback_family, name, &w->fault),
                              &w->fault);
  const Option *opt = option_find(&fit_kind, "callbacks", &w->fault);
  assert_int_equal(option_set_objects(&w->fit->object, opt, &object, 1, &w->fault),
                   ERR_OK);
  object_release(object);
  return (Callback *)object;
}

static void set_option(void *object, const char *name, const char *text,
                       double number) {
  Fault fault = {0};
  const Option *opt = option_find(((Object *)object)->kind, name, &fault);
  assert_int_equal(text ? option_set_text(object, opt, text, &fault)
                        : give_number(object, opt, number, &fault),
                   ERR_OK);
}

/* The rate is far too large, so the loss is best early and gets worse. */
TEST(early_stopping_ends_the_fit_with_the_best_weights) {
  World w;
  open_world(&w, 60);
  add(&w, "Dense", 2);
  w.set = (dataset_release(w.set), blobs(&w, 60, 0.05));
  w.fit->validation = 0.3;
  w.fit->epochs = 60;
  w.fit->optimizer->lr = 4;
  Callback *stop = callback(&w, "early_stopping");
  set_option(stop, "patience", NULL, 3);
  if (run(&w)) fail_msg("%s", w.fault.text);
  assert_true(w.history.stopped);
  assert_true(w.history.n_rows < 60);
  int64_t best = 0;
  for (int64_t i = 1; i < w.history.n_rows; i++)
    if (history_get(&w.history, "val_loss", i) <
        history_get(&w.history, "val_loss", best))
      best = i;
  assert_int_equal(w.history.best_epoch, best + 1);
  assert_int_equal(w.history.n_rows, best + 1 + 3);
  close_world(&w);
}

TEST(a_monitor_that_is_not_measured_is_refused) {
  World w;
  open_world(&w, 40);
  add(&w, "Dense", 2);
  callback(&w, "early_stopping");
  assert_int_equal(run(&w), ERR_VALUE);
  assert_non_null(strstr(w.fault.text, "val_loss"));
  assert_non_null(strstr(w.fault.text, "no validation set"));
  close_world(&w);
}

TEST(schedule_by_epoch) {
  World w;
  open_world(&w, 40);
  add(&w, "Dense", 2);
  Callback *schedule = callback(&w, "schedule");
  Schedule *halve = (Schedule *)object_new(family_find(&schedule_family, "exponential",
                                                       &w.fault),
                                           &w.fault);
  set_option(halve, "gamma", NULL, 0.5);
  const Option *opt = option_find(schedule->object.kind, "schedule", &w.fault);
  assert_int_equal(option_set_object(&schedule->object, opt, &halve->object, &w.fault),
                   ERR_OK);
  object_release(halve);
  assert_int_equal(run(&w), ERR_OK);
  for (int e = 0; e < 4; e++)
    CHECK_NEAR(history_get(&w.history, "lr", e), 0.2 * pow(0.5, e), 1e-12);
  assert_null(w.fit->optimizer->schedule);
  close_world(&w);
}

TEST(checkpoint_writes_what_load_reads) {
  World w;
  open_world(&w, 40);
  add(&w, "Dense", 2);
  const char *directory = getenv("TMPDIR");
  char path[400], first[400];
  snprintf(path, sizeof path, "%s/net-%d-{epoch}.safetensors",
           directory ? directory : "/tmp", (int)getpid());
  snprintf(first, sizeof first, "%s/net-%d-4.safetensors",
           directory ? directory : "/tmp", (int)getpid());
  Callback *save = callback(&w, "checkpoint");
  set_option(save, "path", path, 0);
  if (run(&w)) fail_msg("%s", w.fault.text);
  StateList list;
  assert_int_equal(layer_state(w.net, &list, &w.fault), ERR_OK);
  double want = item_of(&w.graph,
                        op_sum(&w.graph, list.v[0]->current, ALL_AXES, false));
  Node *zero = op_full(&w.graph, 0, &list.v[0]->current->shape);
  assert_int_equal(variable_assign(&w.graph, list.v[0], zero), ERR_OK);
  assert_int_equal(layer_load_file(&w.graph, w.net, first, &w.fault), ERR_OK);
  double got = item_of(&w.graph, op_sum(&w.graph, list.v[0]->current, ALL_AXES, false));
  assert_true(got == want);
  state_deinit(&list);
  for (int e = 1; e <= 4; e++) {
    snprintf(first, sizeof first, "%s/net-%d-%d.safetensors",
             directory ? directory : "/tmp", (int)getpid(), e);
    assert_int_equal(unlink(first), 0);
  }
  close_world(&w);
}

TEST(a_loss_that_is_not_finite_keeps_the_history) {
  World w;
  open_world(&w, 64);
  add(&w, "Dense", 2);
  w.fit->epochs = 50;
  w.fit->optimizer->lr = 1e30;
  w.fit->loss = (object_release(w.fit->loss),
                 (Loss *)family_make(&loss_family, "mse", &w.fault));
  assert_int_equal(run(&w), ERR_SHAPE); /* labels are no targets of mse */
  set_text(&w, "loss", "cross_entropy");
  Err err = run(&w);
  assert_int_equal(err, ERR_NONFINITE);
  assert_non_null(strstr(w.fault.text, "step"));
  assert_non_null(strstr(w.fault.text, "dense_"));
  assert_true(w.history.n_columns > 0);
  close_world(&w);
}

/* -- beginnings and ends ----------------------------------------------------------- */

/* A callback that writes down what is called, and fails where the test says so. */
typedef struct Logged {
  Callback callback;
  char name;
  int fails_at;  /* epoch; 0: its begin; -1: never */
  int raises_at; /* epoch at whose end an interrupt arrives */
} Logged;

static Text journal;

static Err log_call(const Callback *callback, const char *what, bool fails,
                    Fault *fault) {
  const Logged *c = (const Logged *)callback;
  text_addf(&journal, "%s%c ", what, c->name);
  return fails ? fault_set(fault, ERR_SCRIPT, "%c failed", c->name) : ERR_OK;
}

static Err logged_begin(void *self, FitRun *run, Fault *fault) {
  (void)run;
  return log_call(self, "begin ", ((Logged *)self)->fails_at == 0, fault);
}

static Err logged_epoch(void *self, FitRun *run, Fault *fault) {
  const Logged *c = self;
  if (run->epoch == c->raises_at) interrupt_raise();
  return run->epoch == c->fails_at ? log_call(self, "fail ", true, fault) : ERR_OK;
}

static Err logged_end(void *self, FitRun *run, Fault *fault) {
  (void)run;
  return log_call(self, fault->code ? "bad end " : "end ", false, fault);
}

static const CallbackKind logged_kind = {
    .kind = {.name = "logged", .family = &callback_family, .size = sizeof(Logged)},
    .events = {.on = {[FIT_BEGIN] = logged_begin, [FIT_EPOCH_END] = logged_epoch,
                      [FIT_TRAINED] = logged_end}}};

static Logged *logged(World *w, char name) {
  Logged *c = (Logged *)object_new(&logged_kind.kind, &w->fault);
  c->name = name;
  c->fails_at = c->raises_at = -1;
  return c;
}

/* Takes the callbacks. */
static void set_callbacks(World *w, Object **v, int n) {
  const Option *opt = option_find(&fit_kind, "callbacks", &w->fault);
  assert_int_equal(option_set_objects(&w->fit->object, opt, v, n, &w->fault), ERR_OK);
  for (int i = 0; i < n; i++) object_release(v[i]);
}

static void check_journal(const char *want) {
  assert_string_equal(journal.data ? journal.data : "", want);
  text_deinit(&journal);
}

TEST(an_end_for_each_that_began_the_last_first) {
  World w;
  open_world(&w, 40);
  add(&w, "Dense", 2);
  Logged *c[] = {logged(&w, 'a'), logged(&w, 'b'), logged(&w, 'c')};
  set_callbacks(&w, (Object *[]){&c[0]->callback.object, &c[1]->callback.object,
                                 &c[2]->callback.object}, 3);
  assert_int_equal(run(&w), ERR_OK);
  check_journal("begin a begin b begin c end c end b end a ");
  c[1]->fails_at = 2;
  assert_int_equal(run(&w), ERR_SCRIPT);
  assert_string_equal(w.fault.text, "b failed");
  assert_int_equal(w.history.n_rows, 2);
  check_journal("begin a begin b begin c fail b bad end c bad end b bad end a ");
  c[1]->fails_at = 0;
  assert_int_equal(run(&w), ERR_SCRIPT);
  assert_int_equal(w.history.n_columns, 0);
  check_journal("begin a begin b bad end a ");
  close_world(&w);
}

static Err host_started(void *self, FitRun *run, Fault *fault) {
  (void)run;
  text_add(&journal, "begin host ");
  return *(bool *)self ? fault_set(fault, ERR_STORAGE, "no room") : ERR_OK;
}

static Err host_epoch(void *self, FitRun *run, Fault *fault) {
  (void)self;
  return run->epoch == 2 ? fault_set(fault, ERR_STORAGE, "no room") : ERR_OK;
}

static Err host_ended(void *self, FitRun *run, Fault *fault) {
  (void)self, (void)run, (void)fault;
  text_add(&journal, "end host ");
  return ERR_OK;
}

TEST(a_listener_of_the_host_that_cannot_start_has_no_end) {
  static const Events events = {.on = {[FIT_STARTED] = host_started,
                                       [FIT_EPOCH_END] = host_epoch,
                                       [FIT_ENDED] = host_ended}};
  World w;
  bool fails = true;
  const Listener listener = {&events, &fails, NULL, 0};
  const FitHost host = {&listener, 1, NULL};
  open_world(&w, 40);
  add(&w, "Dense", 2);
  Logged *c = logged(&w, 'a');
  set_callbacks(&w, (Object *[]){&c->callback.object}, 1);
  for (int i = 0; i < 2; i++, fails = false) {
    history_deinit(&w.history);
    fault_clear(&w.fault);
    assert_int_equal(fit_run(&w.graph, w.fit, w.net, w.set, &host, &w.history,
                             &w.fault),
                     ERR_STORAGE);
    assert_int_equal(w.graph.count.fits, i);
    assert_int_equal(w.history.n_rows, 2 * i);
    check_journal(i ? "begin a begin host bad end a end host "
                    : "begin a begin host bad end a ");
  }
  close_world(&w);
}

/* A listener that writes down all events, by one letter each. */
#define LETTER(event, letter)                                          \
  static Err letter_##event(void *self, FitRun *run, Fault *fault) {   \
    (void)self, (void)run, (void)fault;                                \
    text_add(&journal, letter);                                        \
    return ERR_OK;                                                     \
  }
LETTER(FIT_BEGIN, "b")
LETTER(FIT_STARTED, "s")
LETTER(FIT_EPOCH_BEGIN, " e")
LETTER(FIT_BATCH_END, ".")
LETTER(FIT_EPOCH_END, "E")
LETTER(FIT_EPOCH_DONE, "D")
LETTER(FIT_TRAINED, " T")
LETTER(FIT_TESTED, "t")
LETTER(FIT_ENDED, "!")
#undef LETTER

TEST(events_come_in_their_order) {
#define ON(event) [event] = letter_##event
  static const Events events = {
      .on = {ON(FIT_BEGIN), ON(FIT_STARTED), ON(FIT_EPOCH_BEGIN), ON(FIT_BATCH_END),
             ON(FIT_EPOCH_END), ON(FIT_EPOCH_DONE), ON(FIT_TRAINED), ON(FIT_TESTED),
             ON(FIT_ENDED)}};
#undef ON
  World w;
  const Listener listener = {&events, &w, NULL, 0};
  const FitHost host = {&listener, 1, NULL};
  open_world(&w, 70);
  add(&w, "Dense", 2);
  w.fit->epochs = 2;
  Logged *c = logged(&w, 'a');
  set_callbacks(&w, (Object *[]){&c->callback.object}, 1);
  for (int i = 0; i < 2; i++) {
    history_deinit(&w.history);
    fault_clear(&w.fault);
    Err err = fit_run(&w.graph, w.fit, w.net, w.set, &host, &w.history, &w.fault);
    assert_int_equal(err, i ? ERR_SCRIPT : ERR_OK);
    check_journal(i ? "bbegin a s e...Efail a bad end a  T!"
                    : "bbegin a s e...ED e...EDend a  Tt!");
    c->fails_at = 1;
  }
  close_world(&w);
}

static double loss_on_all(World *w) {
  double value[2];
  const ObjectList none = {0};
  assert_int_equal(train_evaluate(&w->graph, w->net, w->set, w->fit->loss, &none, 100,
                                  value, NULL, &w->fault),
                   ERR_OK);
  return value[0];
}

/* The loss falls; the worst counts as the best, so that it is the first epoch's. */
static void check_best_after(int fails_at, int raises_at, Err want) {
  World w;
  open_world(&w, 60);
  add(&w, "Dense", 2);
  w.fit->epochs = 9;
  w.fit->validation_data = dataset_retain(w.set);
  Object *stop = object_new(family_find(&callback_family, "early_stopping", &w.fault),
                            &w.fault);
  set_option(stop, "patience", NULL, 100);
  set_option(stop, "mode", "max", 0);
  Logged *c = logged(&w, 'c');
  c->fails_at = fails_at;
  c->raises_at = raises_at;
  set_callbacks(&w, (Object *[]){stop, &c->callback.object}, 2);
  Err err = run(&w);
  interrupt_clear();
  text_deinit(&journal);
  assert_int_equal(err, want);
  assert_int_equal(w.history.n_rows, 4);
  assert_int_equal(w.history.best_epoch, 1);
  assert_true(last(&w, "val_loss") < 0.9 * history_get(&w.history, "val_loss", 0));
  CHECK_NEAR(loss_on_all(&w), history_get(&w.history, "val_loss", 0), 1e-5);
  close_world(&w);
}

TEST(best_weights_after_a_callback_fails) { check_best_after(4, -1, ERR_SCRIPT); }
TEST(best_weights_after_an_interrupt) { check_best_after(-1, 4, ERR_INTERRUPT); }

TEST(an_interrupted_fit_says_so) {
  World w;
  open_world(&w, 64);
  add(&w, "Dense", 2);
  interrupt_raise();
  Err err = run(&w);
  interrupt_clear();
  assert_int_equal(err, ERR_INTERRUPT);
  assert_int_equal(w.history.n_rows, 0);
  close_world(&w);
}
