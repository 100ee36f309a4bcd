/* plateau.c: reduce_on_plateau: the rate falls when a measure has stopped improving.
 *
 * While the fit lasts the optimizer's schedule is one of this callback's own around
 * the one that was there, with a factor that falls. It is saved with the optimizer's
 * options. */
#include "train/train.h"
#include "train/watch.h"
#include <math.h>
#include <stddef.h>

/* -- the schedule ------------------------------------------------------------------ */

typedef struct Plateau {
  Schedule schedule;
  Schedule *inner;      /* NULL: the rate as it is */
  double factor, least; /* least rate: no lower by this factor */
} Plateau;

static Err plateau_rate(const Schedule *self, int64_t t, double lr, double *out,
                        Fault *fault) {
  const Plateau *p = (const Plateau *)self;
  *out = lr;
  Err err = p->inner ? schedule_rate(p->inner, t, lr, out, fault) : ERR_OK;
  *out = fmax(*out * p->factor, fmin(*out, p->least));
  return err;
}

static const Option plateau_options[] = {
    {.name = "schedule", .kind = OPT_OBJECT, .offset = offsetof(Plateau, inner),
     .family = &schedule_family, .doc = "what it was"},
    {.name = "factor", .kind = OPT_REAL, .offset = offsetof(Plateau, factor),
     .value = "1", .lo = 0, .hi = 1, .doc = "on its rate"},
    {.name = "least", .kind = OPT_REAL, .offset = offsetof(Plateau, least),
     .value = "0", .lo = 0, .hi = 1e9, .doc = "rate that the factor leaves"},
    {0}};

/* Never made by its name. */
static const ScheduleKind plateau_kind = {
    .kind = {.name = "plateau", .family = &schedule_family, .size = sizeof(Plateau),
             .options = plateau_options, .doc = "The rate times a factor."},
    .rate = plateau_rate};

/* -- the callback ------------------------------------------------------------------ */

typedef struct Reduce {
  Callback callback;
  Watch watch;
  double factor, min_lr;
  int64_t patience, cooldown;
  /* private */
  Plateau *plateau;        /* retained while the fit lasts */
  int64_t waited, resting; /* epochs without a better value; left of the cooldown */
} Reduce;

static Err reduce_begin(void *self, FitRun *run, Fault *fault) {
  Reduce *r = self;
  Optimizer *optimizer = run->fit->optimizer;
  Err err = watch_begin(&r->watch, run, "reduce_on_plateau", fault);
  Plateau *p = err ? NULL : (Plateau *)object_new(&plateau_kind.kind, fault);
  if (!p) return err ? err : fault->code;
  p->inner = optimizer->schedule; /* takes it over */
  p->schedule.per = p->inner ? p->inner->per : PER_EPOCH;
  p->least = r->min_lr;
  r->waited = r->resting = 0;
  r->plateau = object_retain(p);
  optimizer->schedule = &p->schedule;
  return ERR_OK;
}

static Err reduce_epoch(void *self, FitRun *run, Fault *fault) {
  Reduce *r = self;
  (void)fault;
  bool better = watch_better(&r->watch, run), rests = r->resting > 0;
  r->resting -= rests;
  r->waited = better || rests ? 0 : r->waited + 1;
  if (r->waited < r->patience) return ERR_OK;
  r->plateau->factor *= r->factor;
  r->resting = r->cooldown;
  r->waited = 0;
  return ERR_OK;
}

/* The schedule that was there comes back, unless the script has put in another. */
static Err reduce_end(void *self, FitRun *run, Fault *fault) {
  Reduce *r = self;
  Optimizer *optimizer = run->fit->optimizer;
  (void)fault;
  if (r->plateau && optimizer->schedule == &r->plateau->schedule) {
    optimizer->schedule = object_retain(r->plateau->inner);
    object_release(r->plateau);
  }
  object_release(r->plateau);
  r->plateau = NULL;
  return ERR_OK;
}

static void reduce_deinit(Object *object) {
  object_release(((Reduce *)object)->plateau);
}

static Err reduce_save(void *self, const FitRun *run, Checkpoint *c, const char *part,
                       Fault *fault) {
  const Reduce *r = self;
  Json *map = json_map();
  (void)run, (void)fault;
  watch_put(&r->watch, map);
  json_put_int(map, "waited", r->waited);
  json_put_int(map, "resting", r->resting);
  json_put(c->state, part, map);
  return ERR_OK;
}

static Err reduce_load(void *self, FitRun *run, const Checkpoint *c, const char *part,
                       Fault *fault) {
  Reduce *r = self;
  const Json *map = checkpoint_part(c, part);
  (void)run;
  Err err = watch_get(&r->watch, map, fault);
  if (err || (json_find_int(map, "waited", &r->waited) &&
              json_find_int(map, "resting", &r->resting)))
    return err;
  return fault_set(fault, ERR_DATA, "reduce_on_plateau: what it remembers is missing");
}

static const Option options[] = {
    WATCH_MONITOR(Reduce, "val_loss"),
    {.name = "factor", .kind = OPT_REAL, .offset = offsetof(Reduce, factor),
     .value = "0.1", .position = 1, .lo = 0, .hi = 1, .open = true, .open_hi = true,
     .doc = "factor on the rate, each time"},
    {.name = "patience", .kind = OPT_INT, .offset = offsetof(Reduce, patience),
     .value = "10", .lo = 1, .hi = 1e9,
     .doc = "epochs without a better value before the rate falls (PyTorch: one more)"},
    {.name = "min_delta", .kind = OPT_REAL, .offset = offsetof(Reduce, watch.min_delta),
     .value = "1e-4", .alias = "threshold", .lo = 0, .hi = 1e9,
     .doc = "smallest improvement that counts (PyTorch: a share of the value)"},
    {.name = "cooldown", .kind = OPT_INT, .offset = offsetof(Reduce, cooldown),
     .value = "0", .lo = 0, .hi = 1e9,
     .doc = "epochs after a fall of the rate in which nothing is counted"},
    {.name = "min_lr", .kind = OPT_REAL, .offset = offsetof(Reduce, min_lr),
     .value = "0", .lo = 0, .hi = 1e9, .doc = "smallest rate"},
    {0}};

const CallbackKind callback_reduce_on_plateau = {
    .kind = {.name = "reduce_on_plateau", .alias = "ReduceLROnPlateau",
             .family = &callback_family, .size = sizeof(Reduce), .options = options,
             .deinit = reduce_deinit,
             .doc = "Lowers the learning rate when a measure has not improved for "
                    "`patience` epochs, on top of the optimizer's schedule. After the "
                    "fit the rate is again what it was.",
             .equation = "rate <- max(min_lr, factor rate)"},
    .events = {.on = {[FIT_BEGIN] = reduce_begin, [FIT_EPOCH_END] = reduce_epoch,
                      [FIT_TRAINED] = reduce_end},
               .save = reduce_save, .load = reduce_load}};
