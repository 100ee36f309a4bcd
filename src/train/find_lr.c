/* find_lr.c: the learning-rate range test.
 *
 * A fit whose rate rises from step to step, until the loss grows or is no number; then
 * net, optimizer and streams are put back from a checkpoint of before, so the next fit
 * is as if there had been none. */
#include "train/find_lr.h"
#include "base/array.h"
#include "train/checkpoint.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* -- the rate ---------------------------------------------------------------------- */

typedef struct Rising {
  Schedule schedule;
  const FindLr *asked;
  int64_t first; /* updates that the optimizer has done before */
} Rising;

static double rate_at(const FindLr *f, int64_t step) {
  return f->low * pow(f->high / f->low, (double)step / (double)(f->steps - 1));
}

/* Rates of groups keep their share of the optimizer's. */
static Err rising_rate(const Schedule *self, int64_t t, double lr, double *out,
                       Fault *fault) {
  const Rising *r = (const Rising *)self;
  double base = r->asked->optimizer->lr;
  (void)fault;
  *out = rate_at(r->asked, t - r->first) * (base > 0 ? lr / base : 1);
  return ERR_OK;
}

static const ScheduleKind rising_kind = {
    .kind = {.name = "rising", .family = &schedule_family, .size = sizeof(Rising),
             .doc = "The rates of find_lr."},
    .rate = rising_rate};

/* -- the fit ----------------------------------------------------------------------- */

typedef struct Curve {
  const FindLr *asked;
  LrCurve *out;
  double mean, lowest; /* of the losses, an exponential one */
  double sum;          /* of the losses of steps that wait for an update ... */
  int n_waiting;       /* ... and how many these are */
  bool done;
} Curve;

/* Takes the loss of an update, the mean over its steps; ends the fit where the curve
 * ends. */
static Err take_step(void *self, FitRun *run, Fault *fault) {
  Curve *c = self;
  c->sum += run->batch_loss;
  c->n_waiting++;
  if (run->fit->optimizer->n_gathered) return ERR_OK;
  double loss = c->sum / c->n_waiting;
  c->sum = c->n_waiting = 0;
  LrCurve *out = c->out;
  const double keep = c->asked->smooth;
  Err err = ARRAY_ROOM(out->v, out->room, out->n + 1, fault);
  if (err) return err;
  int n = ++out->n;
  c->mean = keep * c->mean + (1 - keep) * loss;
  double smoothed = c->mean / (1 - pow(keep, n));
  out->v[n - 1] = (LrPoint){run->fit->optimizer->rate, loss, smoothed};
  if (n == 1 || smoothed < c->lowest) c->lowest = smoothed;
  bool grows = n > 5 && smoothed - c->lowest > c->asked->stop * fabs(c->lowest);
  c->done = grows || n >= c->asked->steps;
  return c->done ? fault_set(fault, ERR_INTERRUPT, "the curve ends") : ERR_OK;
}

static const Events curve_events = {.on = {[FIT_BATCH_END] = take_step}};

/* Returns new. */
static Fit *fit_of(const FindLr *f, Fault *fault) {
  Fit *fit = (Fit *)object_new(&fit_kind, fault);
  if (!fit) return NULL;
  object_release(fit->optimizer);
  fit->loss = object_retain(f->loss);
  fit->optimizer = object_retain(f->optimizer);
  fit->batch_size = f->batch_size;
  fit->epochs = f->steps; /* more than enough: the last update ends it */
  fit->verbose = 0;
  return fit;
}

/* ERR_OK where the curve has ended, also at a loss that is no number. */
static Err run_fit(Graph *graph, const FindLr *f, Layer *net, Dataset *set,
                   LrCurve *out, Fault *fault) {
  Curve curve = {.asked = f, .out = out};
  const Listener listener = {&curve_events, &curve, NULL, 0};
  const FitHost host = {&listener, 1, NULL};
  History history;
  Fit *fit = fit_of(f, fault);
  if (!fit) return fault->code;
  Err err = fit_run(graph, fit, net, set, &host, &history, fault);
  history_deinit(&history);
  object_release(fit);
  if (!curve.done && !(err == ERR_NONFINITE && out->n > 0)) return err;
  fault_clear(fault);
  return ERR_OK;
}

/* With the rising rate in place of the optimizer's schedule. */
static Err run_rising(Graph *graph, const FindLr *f, Layer *net, Dataset *set,
                      LrCurve *out, Fault *fault) {
  Optimizer *opt = f->optimizer;
  Schedule *own = opt->schedule;
  double decay = opt->decay;
  Rising *rising = (Rising *)object_new(&rising_kind.kind, fault);
  if (!rising) return fault->code;
  rising->schedule.per = PER_STEP;
  rising->asked = f;
  rising->first = opt->t;
  opt->schedule = &rising->schedule;
  opt->decay = 0;
  Err err = run_fit(graph, f, net, set, out, fault);
  opt->schedule = own;
  opt->decay = decay;
  object_release(rising);
  return err;
}

/* -- before and after -------------------------------------------------------------- */

typedef struct Before {
  Checkpoint checkpoint;
  OptimMark mark;
  Object *trained; /* what the net remembers of its training; retained; NULL: nothing */
} Before;

static Err note_before(Before *out, Graph *graph, Layer *net, Optimizer *opt,
                       Fault *fault) {
  Checkpoint *c = &out->checkpoint;
  *out = (Before){.mark = optimizer_mark(opt), .trained = object_retain(net->trained)};
  Err err = checkpoint_init(c, fault);
  if (!err) err = checkpoint_add_training(c, graph, net, opt, fault);
  return err ? err : checkpoint_add_streams(c, graph, fault);
}

/* What the net remembers of its training is put back as the object that it was: a
 * checkpoint leaves out functions of the user. */
static Err put_back(const Before *before, Graph *graph, Layer *net, Optimizer *opt,
                    Fault *fault) {
  const Checkpoint *c = &before->checkpoint;
  optimizer_rollback(opt, &before->mark);
  Err err = checkpoint_get_training(c, graph, net, opt, fault);
  object_release(net->trained);
  net->trained = object_retain(before->trained);
  return err ? err : checkpoint_get_streams(c, graph, fault);
}

/* As net:build does, so that what is put back is the net as it begins. */
static Err build(Graph *graph, Layer *net, Dataset *set, Fault *fault) {
  IntList shape[MAX_PORTS];
  Err err = dataset_load(set, fault);
  if (err || layer_built(net)) return err;
  int n = dataset_inputs(set);
  for (int i = 0; i < n && i < MAX_PORTS; i++) {
    Shape features = dataset_input(set, i);
    shape[i] = (IntList){.n = features.rank};
    for (int k = 0; k < features.rank; k++) shape[i].v[k] = features.dim[k];
  }
  int scope = graph_scope_begin(graph);
  err = layer_build(graph, net, shape, n, fault);
  if (!err) err = graph_ok(graph, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* -- what the curve says ----------------------------------------------------------- */

/* Slopes are those over a tenth of the curve, so that they are more than noise; its
 * first tenth, over which the mean loss settles, is left out. */
static void look_at(LrCurve *curve) {
  double steepest = 0;
  int best = 0, wide = curve->n / 10 > 2 ? curve->n / 10 : 2;
  for (int i = 1; i < curve->n; i++)
    if (curve->v[i].smoothed < curve->v[best].smoothed) best = i;
  curve->lowest = curve->n ? curve->v[best].rate : NAN;
  curve->suggestion = NAN;
  for (int i = 2 * wide; i <= best; i++) {
    const LrPoint *from = &curve->v[i - wide], *to = &curve->v[i];
    double slope = (to->smoothed - from->smoothed) / log(to->rate / from->rate);
    if (slope >= steepest) continue;
    steepest = slope;
    curve->suggestion = curve->v[i - wide / 2].rate;
  }
}

void lr_curve_deinit(LrCurve *curve) {
  free(curve->v);
  *curve = (LrCurve){0};
}

Err find_lr(Graph *graph, const FindLr *asked, Layer *net, Dataset *set, LrCurve *out,
            Fault *fault) {
  Before before = {0};
  *out = (LrCurve){0};
  Err err = build(graph, net, set, fault);
  if (!err) err = note_before(&before, graph, net, asked->optimizer, fault);
  if (!err) {
    Fault own = {0};
    err = run_rising(graph, asked, net, set, out, fault);
    if (put_back(&before, graph, net, asked->optimizer, err ? &own : fault) && !err)
      err = fault->code;
  }
  look_at(out);
  checkpoint_deinit(&before.checkpoint);
  object_release(before.trained);
  return err;
}

/* -- options ----------------------------------------------------------------------- */

static Err check(Object *object, Fault *fault) {
  const FindLr *f = (const FindLr *)object;
  if (!f->loss)
    return fault_set(fault, ERR_VALUE,
                     "train.find_lr: \"loss\" is missing: a loss or its name");
  if (f->high > f->low) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.find_lr: option \"high\": got %g, allowed: more than low, %g",
                   f->high, f->low);
}

#define AT(field) .offset = offsetof(FindLr, field)
static const Option options[] = {
    {.name = "loss", .kind = OPT_OBJECT, AT(loss), .family = &loss_family,
     .doc = "what is minimized"},
    {.name = "optimizer", .kind = OPT_OBJECT, AT(optimizer), .family = &optim_family,
     .value = "SGD", .doc = "the optimizer whose learning rate is looked for"},
    {.name = "batch_size", .kind = OPT_INT, AT(batch_size), .value = "32", .lo = 1,
     .hi = 1e9, .doc = "rows per step"},
    {.name = "low", .kind = OPT_REAL, AT(low), .value = "1e-6", .alias = "start_lr",
     .lo = 0, .hi = 1e9, .open = true, .doc = "first learning rate"},
    {.name = "high", .kind = OPT_REAL, AT(high), .value = "10", .alias = "end_lr",
     .lo = 0, .hi = 1e9, .open = true, .doc = "last learning rate"},
    {.name = "steps", .kind = OPT_INT, AT(steps), .value = "100", .alias = "num_iter",
     .lo = 5, .hi = 1e6,
     .doc = "number of steps from the first rate to the last, by equal factors"},
    {.name = "smooth", .kind = OPT_REAL, AT(smooth), .value = "0.8", .lo = 0, .hi = 1,
     .open_hi = true,
     .doc = "share of the old value in the smoothed loss"},
    {.name = "stop", .kind = OPT_REAL, AT(stop), .value = "3", .lo = 0, .hi = 1e9,
     .open = true,
     .doc = "the test ends where the smoothed loss is above its lowest value by more "
            "than this many times that"},
    {0}};

const Kind find_lr_kind = {
    .name = "find_lr", .family = &find_lr_family, .size = sizeof(FindLr),
    .options = options, .check = check,
    .doc = "A learning-rate range test: how the loss changes while the rate rises from "
           "step to step.",
    .source = "Smith, WACV 2017, section 3.3"};
static const Kind *const kinds[] = {&find_lr_kind, NULL};
const Family find_lr_family = {.name = "range test", .module = "train", .kinds = kinds};
