/* average.c: averages of weights, ema and swa: the net is measured with the average of
 * its weights and trained with the weights themselves.
 *
 *   steps, weights ─► EPOCH_TRAINED: average in ─► validation, EPOCH_END, checkpoints
 *        ▲                                                                │
 *        └──────────────── EPOCH_BEGIN: weights back ◄────────────────────┘
 *
 * So early stopping, checkpoints and callbacks see the weights that were measured. All
 * real values of the net are averaged, running statistics too; or these are found anew
 * for the average whenever it comes in. */
#include "graph/ops.h"
#include "train/held.h"
#include "train/refresh.h"
#include "train/train.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { AVERAGED, RECOMPUTED };
static const char *const statistics_names[] = {"averaged", "recomputed", NULL};

typedef struct Average {
  Callback callback;
  double decay;         /* of ema */
  int64_t start, every; /* epoch of swa's first; steps of ema */
  bool restore;
  int statistics; /* AVERAGED or RECOMPUTED */
  /* private */
  int64_t n;                  /* values averaged so far */
  int64_t n_steps;            /* since the last of them */
  int64_t last_epoch;         /* of swa: whose weights are averaged already */
  HeldState average, weights; /* weights: while the net has the average */
} Average;

static void average_deinit(Object *object) {
  Average *a = (Average *)object;
  held_drop(&a->average);
  held_drop(&a->weights);
}

static void forget(Average *a) {
  average_deinit(&a->callback.object);
  a->n = a->n_steps = a->last_epoch = 0;
}

/* Two would take each other's average for the weights. */
static Err average_begin(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  const ObjectList *all = &run->fit->callbacks;
  for (int i = 0; i < all->n; i++)
    if (all->v[i]->kind->deinit == average_deinit && all->v[i] != self)
      return fault_set(fault, ERR_VALUE,
                       "train.%s: a fit has one average; allowed: ema or swa",
                       a->callback.object.kind->name);
  forget(a);
  return ERR_OK;
}

/* -- the average ------------------------------------------------------------------- */

/* average + share (weights - average), of each real value; others are taken over. The
 * nodes are borrowed. */
static Err emit(Graph *graph, const Average *a, Node *share, Node **out, Fault *fault) {
  for (int i = 0; i < a->average.n; i++) {
    Held *held = &a->average.v[i];
    Node *now = graph_detach(graph, variable_read(graph, held->variable));
    out[i] = now;
    if (!now || !held->value || now->dtype != DT_REAL) continue;
    out[i] = op_add_product(graph, held->value, share, op_sub(graph, now, held->value));
  }
  return graph_ok(graph, fault);
}

/* The average moves by that share towards the weights as they are. */
static Err move(Average *a, FitRun *run, double share, Fault *fault) {
  Graph *graph = run->graph;
  if (a->n == 0 || !a->average.v) return held_take(&a->average, run->net, fault);
  size_t n_bytes = ((size_t)a->average.n + 1) * sizeof(Node *);
  Node **next = malloc(n_bytes);
  if (!next) return fault_memory(fault, n_bytes);
  int scope = graph_scope_begin(graph);
  Err err = emit(graph, a, graph_scalar(graph, share), next, fault);
  if (!err && graph_eval(graph, next, a->average.n)) err = graph_ok(graph, fault);
  for (int i = 0; !err && i < a->average.n; i++) {
    Held *held = &a->average.v[i];
    Node *old = held->value;
    held->value = node_hold(next[i]);
    node_drop(old);
  }
  graph_scope_end(graph, scope);
  free(next);
  return err;
}

static Err add(Average *a, FitRun *run, double share, Fault *fault) {
  Err err = move(a, run, share, fault);
  if (!err) a->n++;
  return err;
}

/* -- in and out -------------------------------------------------------------------- */

static Err refresh(FitRun *run, Fault *fault) {
  const BatchOptions options = {.batch_size = run->fit->batch_size,
                                .shuffle = SHUFFLE_NONE,
                                .drop_last = run->fit->drop_last};
  return refresh_statistics(run->graph, run->net, run->train, &options, fault);
}

static Err swap_out(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  Err err = a->weights.v ? held_put_back(&a->weights, run->graph, fault) : ERR_OK;
  held_drop(&a->weights);
  return err;
}

/* Once an epoch, also where a fit goes on from a checkpoint of its validation. All or
 * nothing: interrupted while statistics are found, it is done again by a fit that goes
 * on. */
static Err swap_in(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  if (a->n == 0 || a->weights.v) return ERR_OK;
  Err err = held_take(&a->weights, run->net, fault);
  if (!err) err = held_put_back(&a->average, run->graph, fault);
  if (!err && a->statistics == RECOMPUTED) err = refresh(run, fault);
  if (err) (void)!swap_out(a, run, &(Fault){0});
  return err;
}

/* The net ends with the average, unless its weights are asked for. */
static Err average_end(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  Err err = a->restore ? swap_out(self, run, fault) : ERR_OK;
  forget(a);
  return err;
}

static Err ema_step(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  if (++a->n_steps < a->every) return ERR_OK;
  a->n_steps = 0;
  return add(a, run, 1 - a->decay, fault);
}

/* Of n values the next one is one share in n + 1. */
static Err swa_epoch(void *self, FitRun *run, Fault *fault) {
  Average *a = self;
  if (run->epoch < a->start || a->weights.v) return ERR_OK;
  bool done = a->last_epoch == run->epoch;
  Err err = done ? ERR_OK : add(a, run, 1 / (double)(a->n + 1), fault);
  if (!err) a->last_epoch = run->epoch;
  return err ? err : swap_in(a, run, fault);
}

/* -- checkpoints ------------------------------------------------------------------- */

enum { PART = 48 };

static const char *weights_part(char buffer[PART], const char *part) {
  snprintf(buffer, PART, "%.32s.weights", part);
  return buffer;
}

static Err average_save(void *self, const FitRun *run, Checkpoint *c, const char *part,
                        Fault *fault) {
  const Average *a = self;
  char own[PART];
  Json *map = json_map();
  json_put_int(map, "values", a->n);
  json_put_int(map, "steps", a->n_steps);
  json_put_int(map, "epoch", a->last_epoch);
  json_put_bool(map, "in", a->weights.v != NULL);
  json_put(c->state, part, map);
  Err err = a->n ? held_save(&a->average, run, c, part, fault) : ERR_OK;
  if (err || !a->weights.v) return err;
  return held_save(&a->weights, run, c, weights_part(own, part), fault);
}

static Err average_load(void *self, FitRun *run, const Checkpoint *c, const char *part,
                        Fault *fault) {
  Average *a = self;
  char own[PART];
  const Json *map = checkpoint_part(c, part);
  bool in = false;
  if (!json_find_int(map, "values", &a->n) ||
      !json_find_int(map, "steps", &a->n_steps) || !json_find_bool(map, "in", &in))
    return fault_set(fault, ERR_DATA, "the average of the weights is missing");
  (void)json_find_int(map, "epoch", &a->last_epoch); /* older files: before this one */
  Err err = a->n ? held_load(&a->average, run, c, part, "average of", fault) : ERR_OK;
  if (err || !in) return err;
  return held_load(&a->weights, run, c, weights_part(own, part), "weights of", fault);
}

/* -- records ----------------------------------------------------------------------- */

#define RESTORE                                                                        \
  {.name = "restore", .kind = OPT_BOOL, .offset = offsetof(Average, restore),          \
   .value = "false",                                                                   \
   .doc = "the net ends with its own weights instead of their average"},               \
  {.name = "statistics", .kind = OPT_CHOICE, .offset = offsetof(Average, statistics),  \
   .value = "averaged", .choices = statistics_names, .alias = "update_bn",             \
   .yes = "recomputed", .no = "averaged",                                              \
   .doc = "running statistics of BatchNorm that go with the average: the average of "  \
          "those of the weights, or recomputed, by a pass over the training rows at "  \
          "the end of each epoch, as the mean over its batches (PyTorch: update_bn), " \
          "which is right for any average and takes about a third of an epoch more; "  \
          "in that pass dropouts and random transforms draw nothing"}

static const Option ema_options[] = {
    {.name = "decay", .kind = OPT_REAL, .offset = offsetof(Average, decay),
     .value = "0.999", .alias = "ema_momentum momentum", .position = 1, .lo = 0,
     .hi = 1,
     .open_hi = true, .doc = "share of the old average in the new one (Keras: 0.99)"},
    {.name = "every", .kind = OPT_INT, .offset = offsetof(Average, every), .value = "1",
     .lo = 1, .hi = 1e9, .doc = "steps from one average to the next"},
    RESTORE, {0}};

static const Option swa_options[] = {
    {.name = "start", .kind = OPT_INT, .offset = offsetof(Average, start), .value = "1",
     .position = 1, .lo = 1, .hi = 1e9,
     .doc = "first epoch whose weights are averaged; a constant rate from there on "
            "is what the authors use"},
    RESTORE, {0}};

#define SEEN                                                                           \
  "Validation, early stopping, checkpoints and callbacks see the net with the "        \
  "average, steps see its own weights. Running statistics are averaged likewise; "     \
  "statistics = \"recomputed\" finds those of the average."

const CallbackKind callback_ema = {
    .kind = {.name = "ema", .alias = "SwapEMAWeights", .family = &callback_family,
             .size = sizeof(Average), .options = ema_options, .deinit = average_deinit,
             .doc = "Keeps an exponential moving average of the weights over the "
                    "steps, from the weights after the first step on. " SEEN,
             .equation = "a <- decay a + (1 - decay) w, after each step; at first a = "
                         "w",
             .source = "Polyak & Juditsky, SIAM J. Control and Optimization 30, 1992"},
    .events = {.on = {[FIT_BEGIN] = average_begin, [FIT_EPOCH_BEGIN] = swap_out,
                      [FIT_BATCH_END] = ema_step, [FIT_EPOCH_TRAINED] = swap_in,
                      [FIT_TRAINED] = average_end},
               .save = average_save, .load = average_load}};

const CallbackKind callback_swa = {
    .kind = {.name = "swa", .alias = "SWA", .family = &callback_family,
             .size = sizeof(Average), .options = swa_options, .deinit = average_deinit,
             .doc = "Averages the weights at ends of epochs, in equal shares. " SEEN,
             .equation = "a <- a + (w - a) / n, n: number of epochs from `start` on",
             .source = "Izmailov et al., UAI 2018, algorithm 1"},
    .events = {.on = {[FIT_BEGIN] = average_begin, [FIT_EPOCH_BEGIN] = swap_out,
                      [FIT_EPOCH_TRAINED] = swa_epoch, [FIT_TRAINED] = average_end},
               .save = average_save, .load = average_load}};
