/* callbacks.c: the records of the callbacks: early_stopping, checkpoint, schedule, and
 * a function of the user. */
#include "train/held.h"
#include "train/train.h"
#include "train/watch.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* -- early stopping ---------------------------------------------------------------- */

typedef struct EarlyStopping {
  Callback callback;
  Watch watch;
  int64_t patience;
  bool restore_best;
  HeldState held; /* after the best epoch */
} EarlyStopping;

static void early_stopping_deinit(Object *object) {
  held_drop(&((EarlyStopping *)object)->held);
}

/* Also after a fault. */
static Err restore_state(EarlyStopping *stop, const FitRun *run, Fault *fault) {
  Err err = held_put_back(&stop->held, run->graph, fault);
  if (!err) run->history->best_epoch = stop->watch.best_epoch;
  return err;
}

static Err early_stopping_begin(void *self, FitRun *run, Fault *fault) {
  EarlyStopping *stop = self;
  return watch_begin(&stop->watch, run, "early_stopping", fault);
}

static Err early_stopping_epoch(void *self, FitRun *run, Fault *fault) {
  EarlyStopping *stop = self;
  if (watch_better(&stop->watch, run))
    return stop->restore_best ? held_take(&stop->held, run->net, fault) : ERR_OK;
  if (run->epoch - stop->watch.best_epoch >= stop->patience) run->stop = true;
  return ERR_OK;
}

/* However the fit ends. */
static Err early_stopping_end(void *self, FitRun *run, Fault *fault) {
  EarlyStopping *stop = self;
  Err err = ERR_OK;
  if (stop->held.v && stop->watch.best_epoch != run->epoch)
    err = restore_state(stop, run, fault);
  held_drop(&stop->held);
  return err;
}

static Err early_stopping_save(void *self, const FitRun *run, Checkpoint *c,
                               const char *part, Fault *fault) {
  const EarlyStopping *stop = self;
  Json *map = json_map();
  watch_put(&stop->watch, map);
  json_put_bool(map, "held", stop->held.v != NULL);
  json_put(c->state, part, map);
  return stop->held.v ? held_save(&stop->held, run, c, part, fault) : ERR_OK;
}

static Err early_stopping_load(void *self, FitRun *run, const Checkpoint *c,
                               const char *part, Fault *fault) {
  EarlyStopping *stop = self;
  const Json *map = checkpoint_part(c, part);
  bool held = false;
  Err err = watch_get(&stop->watch, map, fault);
  if (!err && !json_find_bool(map, "held", &held))
    err = fault_set(fault, ERR_DATA, "early_stopping: what it remembers is missing");
  return !err && held ? held_load(&stop->held, run, c, part, "best", fault) : err;
}

static const Option early_stopping_options[] = {
    WATCH_MONITOR(EarlyStopping, "val_loss"),
    {.name = "patience", .kind = OPT_INT, .offset = offsetof(EarlyStopping, patience),
     .value = "5", .position = 1, .lo = 1, .hi = 1e9,
     .doc = "epochs without a better value before the fit ends (Keras: 0)"},
    {.name = "min_delta", .kind = OPT_REAL,
     .offset = offsetof(EarlyStopping, watch.min_delta), .value = "0", .lo = 0,
     .hi = 1e9,
     .doc = "smallest improvement that counts"},
    {.name = "restore_best", .kind = OPT_BOOL,
     .offset = offsetof(EarlyStopping, restore_best), .value = "true",
     .alias = "restore_best_weights",
     .doc = "the net ends with the weights of the best epoch, also where the fit is "
            "interrupted or fails (Keras: false)"},
    {0}};

const CallbackKind callback_early_stopping = {
    .kind = {.name = "early_stopping", .alias = "EarlyStopping",
             .family = &callback_family,
             .size = sizeof(EarlyStopping), .options = early_stopping_options,
             .deinit = early_stopping_deinit,
             .doc = "Ends the fit when a measure has not improved for `patience` "
                    "epochs."},
    .events = {.on = {[FIT_BEGIN] = early_stopping_begin,
                      [FIT_EPOCH_END] = early_stopping_epoch,
                      [FIT_TRAINED] = early_stopping_end},
               .save = early_stopping_save, .load = early_stopping_load}};

/* -- checkpoint -------------------------------------------------------------------- */

typedef struct SaveNet {
  Callback callback;
  Watch watch;
  char *path;
  bool best_only;
} SaveNet;

static Err checkpoint_begin(void *self, FitRun *run, Fault *fault) {
  SaveNet *c = self;
  return c->best_only ? watch_begin(&c->watch, run, "checkpoint", fault) : ERR_OK;
}

/* The path, with {epoch} replaced by the epoch's number. */
static void add_path(Text *out, const char *path, int64_t epoch) {
  const char *mark = strstr(path, "{epoch}");
  if (!mark) {
    text_add(out, path);
    return;
  }
  text_add_bytes(out, path, (size_t)(mark - path));
  text_addf(out, "%lld%s", (long long)epoch, mark + strlen("{epoch}"));
}

static Err checkpoint_epoch(void *self, FitRun *run, Fault *fault) {
  SaveNet *c = self;
  if (c->best_only && !watch_better(&c->watch, run)) return ERR_OK;
  Text path = {0};
  add_path(&path, c->path, run->epoch);
  Err err = path.failed ? fault_memory(fault, strlen(c->path))
                        : layer_save(run->graph, run->net, path.data, fault);
  text_deinit(&path);
  return err;
}

static Err checkpoint_save_watch(void *self, const FitRun *run, Checkpoint *c,
                                 const char *part, Fault *fault) {
  (void)run, (void)fault;
  Json *map = json_map();
  watch_put(&((SaveNet *)self)->watch, map);
  json_put(c->state, part, map);
  return ERR_OK;
}

static Err checkpoint_load_watch(void *self, FitRun *run, const Checkpoint *c,
                                 const char *part, Fault *fault) {
  (void)run;
  return watch_get(&((SaveNet *)self)->watch, checkpoint_part(c, part), fault);
}

static const Option checkpoint_options[] = {
    {.name = "path", .kind = OPT_TEXT, .offset = offsetof(SaveNet, path), .position = 1,
     .alias = "filepath", .doc = "file to write; {epoch} becomes the epoch's number"},
    WATCH_MONITOR(SaveNet, "val_loss"),
    {.name = "save_best_only", .kind = OPT_BOOL, .offset = offsetof(SaveNet, best_only),
     .value = "false", .doc = "write only when the monitored value is the best so far"},
    {0}};

static Err checkpoint_check(Object *object, Fault *fault) {
  if (((SaveNet *)object)->path) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "train.checkpoint: \"path\" is missing: a string");
}

const CallbackKind callback_checkpoint = {
    .kind = {.name = "checkpoint", .alias = "ModelCheckpoint",
             .family = &callback_family,
             .size = sizeof(SaveNet), .options = checkpoint_options,
             .check = checkpoint_check,
             .call = "train.checkpoint \"best.safetensors\"",
             .doc = "Writes the net's state after every epoch, as net:save does."},
    .events = {.on = {[FIT_BEGIN] = checkpoint_begin,
                      [FIT_EPOCH_END] = checkpoint_epoch},
               .save = checkpoint_save_watch, .load = checkpoint_load_watch}};

/* -- schedule ---------------------------------------------------------------------- */

typedef struct ScheduleCallback {
  Callback callback;
  Schedule *schedule;
} ScheduleCallback;

static Err schedule_begin(void *self, FitRun *run, Fault *fault) {
  Optimizer *optimizer = run->fit->optimizer;
  if (optimizer->schedule)
    return fault_set(fault, ERR_VALUE,
                     "train.schedule: the optimizer has a schedule already");
  optimizer->schedule = object_retain(((ScheduleCallback *)self)->schedule);
  return ERR_OK;
}

/* Takes away what it gave; one that the script has put there meanwhile stays. */
static Err schedule_end(void *self, FitRun *run, Fault *fault) {
  Optimizer *optimizer = run->fit->optimizer;
  (void)fault;
  if (optimizer->schedule != ((ScheduleCallback *)self)->schedule) return ERR_OK;
  object_release(optimizer->schedule);
  optimizer->schedule = NULL;
  return ERR_OK;
}

static Err schedule_check(Object *object, Fault *fault) {
  if (((ScheduleCallback *)object)->schedule) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.schedule: \"schedule\" is missing: a function or a schedule");
}

static const Option schedule_options[] = {
    {.name = "schedule", .kind = OPT_OBJECT,
     .offset = offsetof(ScheduleCallback, schedule), .position = 1,
     .family = &schedule_family,
     .doc = "f(epoch, lr) -> learning rate, epochs counted from 0; or one of optim's "
            "schedules"},
    {0}};

const CallbackKind callback_schedule = {
    .kind = {.name = "schedule", .alias = "LearningRateScheduler",
             .family = &callback_family, .size = sizeof(ScheduleCallback),
             .options = schedule_options, .check = schedule_check,
             .call = "train.schedule(function(epoch, lr) return lr / (1 + epoch) end)",
             .doc = "Sets the learning rate of the optimizer during this fit, epoch by "
                    "epoch."},
    .events = {.on = {[FIT_BEGIN] = schedule_begin, [FIT_TRAINED] = schedule_end}}};

/* -- a function of the user -------------------------------------------------------- */

typedef struct FunctionCallback {
  Callback callback;
  Callable *function;
  Callable *state, *restore; /* what it remembers, and back; both or none */
} FunctionCallback;

/* The columns of the epoch's row, then epochs and net. */
static void list_fields(const FitRun *run, Value *field) {
  const History *history = run->history;
  for (int i = 0; i < history->n_columns; i++, field++) {
    const char *name = history->column[i].name;
    if (strcmp(name, "epoch") == 0)
      *field = (Value){.kind = VALUE_INT, .name = name, .as.integer = run->epoch};
    else
      *field = (Value){.kind = VALUE_REAL, .name = name,
                       .as.real = history->column[i].v[history->n_rows - 1]};
  }
  *field++ = (Value){
      .kind = VALUE_INT, .name = "epochs", .as.integer = run->fit->epochs};
  *field = (Value){.kind = VALUE_OBJECT, .name = "net", .as.ref = run->net};
}

static Err function_epoch(void *self, FitRun *run, Fault *fault) {
  enum { MORE = 2 };
  Value result = {0};
  int n = run->history->n_columns + MORE;
  Value *field = malloc((size_t)n * sizeof *field);
  if (!field) return fault_memory(fault, (size_t)n * sizeof *field);
  list_fields(run, field);
  Value in = {.kind = VALUE_FIELDS, .as.fields = {field, n}};
  Callable *function = ((FunctionCallback *)self)->function;
  Err err = function->call(function, &in, 1, &result, 1, fault);
  free(field);
  if (err || result.kind == VALUE_NIL) return err;
  char got[32];
  if (result.kind != VALUE_BOOL)
    return fault_set(fault, ERR_VALUE,
                     "callback: the function returned %s; allowed: true, which ends "
                     "the fit, false or nothing",
                     value_text(&result, got, sizeof got));
  if (result.as.boolean) run->stop = true;
  return ERR_OK;
}

static Err function_save(void *self, const FitRun *run, Checkpoint *c, const char *part,
                         Fault *fault) {
  const FunctionCallback *f = self;
  const FitCheckpointer *cp = run->checkpointer;
  if (!f->state || !cp->add_call) return ERR_OK;
  return cp->add_call(cp->ctx, f->state, c, part, fault);
}

static Err function_load(void *self, FitRun *run, const Checkpoint *c, const char *part,
                         Fault *fault) {
  const FunctionCallback *f = self;
  const FitCheckpointer *cp = run->checkpointer;
  if (!f->restore || !cp->get_call) return ERR_OK;
  return cp->get_call(cp->ctx, f->restore, c, part, fault);
}

static Err function_check(Object *object, Fault *fault) {
  const FunctionCallback *f = (FunctionCallback *)object;
  if (!f->function)
    return fault_set(fault, ERR_VALUE,
                     "train.callback: \"function\" is missing: a function");
  if (!f->state == !f->restore) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.callback: \"%s\" is missing: a callback that remembers "
                   "something gives both state and restore",
                   f->state ? "restore" : "state");
}

static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL,
     .offset = offsetof(FunctionCallback, function),
     .alias = "epoch_end", .position = 1,
     .doc = "f(info), called after every epoch; the fit ends when it returns true"},
    {.name = "state", .kind = OPT_CALL, .offset = offsetof(FunctionCallback, state),
     .doc = "f() -> what the callback remembers from epoch to epoch, for checkpoints: "
            "a number, text, boolean, tensor, or a table of those"},
    {.name = "restore", .kind = OPT_CALL, .offset = offsetof(FunctionCallback, restore),
     .doc = "f(what state gave), when the fit goes on from a checkpoint"},
    {0}};

const CallbackKind callback_function = {
    .kind = {.name = "callback", .family = &callback_family,
             .size = sizeof(FunctionCallback), .options = function_options,
             .check = function_check,
             .call = "train.callback(function(info) return info.loss < 0.01 end)",
             .doc = "Calls a function of the user after every epoch with a table: "
                    "epoch, epochs, net and the columns of the history. One that "
                    "remembers something has state and restore: train.callback(f, { "
                    "state = g, restore = h }), or a table with the methods "
                    "epoch_end(self, info), state(self) and restore(self, what)."},
    .events = {.on = {[FIT_EPOCH_END] = function_epoch},
               .save = function_save, .load = function_load}};

#define CALLBACK(name) extern const CallbackKind callback_##name;
#include "train/callbacks.def"
#undef CALLBACK

static const Kind *const callback_kinds[] = {
#define CALLBACK(name) &callback_##name.kind,
#include "train/callbacks.def"
#undef CALLBACK
    NULL};

const Family callback_family = {
    .name = "callback", .module = "train", .kinds = callback_kinds,
    .from_function = &callback_function.kind,
    .example = EXAMPLE_OF_FIT("validation = 0.2, callbacks = { %s }")};
