/* checkpoint.h: what training needs to go on as if it had never stopped.
 *
 * A Checkpoint holds tensors by name and a map of plain values (`state`). What belongs
 * together shares a part: the tensors "net.dense_1.weight" and the map state.net are of
 * the part "net". Its tensors are snapshots: what trains on writes elsewhere.
 *
 *   fit_run                  FitCheckpointer                the floor above
 *   end of an epoch, stop ─► write(ctx, fit, checkpoint) ─► files of a directory
 *   begin ◄───────────────── read(ctx, fit, checkpoint) ◄── the newest that is whole
 *
 * A fit's checkpoint has, besides its net, optimizer, history, callbacks and place in
 * the data, the streams of the whole session: what is drawn after the fit is drawn as
 * if it had run through. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "base/json.h"
#include "nn/nn.h"
#include "tensor/safetensors.h"

typedef struct Checkpoint {
  Json *state;
  NamedTensor *tensors; /* names owned, tensors retained */
  int n_tensors;
  int64_t room; /* of tensors */
} Checkpoint;

/* All zero is empty too; deinit of that is a no-op. */
Err checkpoint_init(Checkpoint *out, Fault *fault) WARN_UNUSED;
void checkpoint_deinit(Checkpoint *checkpoint);

/* "<part>.<name>"; add retains, find borrows, NULL: not there. */
Err checkpoint_add(Checkpoint *c, const char *part, const char *name, Tensor *tensor,
                   Fault *fault) WARN_UNUSED;
Tensor *checkpoint_find(const Checkpoint *c, const char *part, const char *name);

/* Plain bytes (doubles, counters), bit by bit; get copies exactly n_bytes or is
 * ERR_DATA. */
Err checkpoint_add_bytes(Checkpoint *c, const char *part, const char *name,
                         const void *bytes, size_t n_bytes, Fault *fault) WARN_UNUSED;
Err checkpoint_get_bytes(const Checkpoint *c, const char *part, const char *name,
                         void *out, size_t n_bytes, Fault *fault) WARN_UNUSED;

/* The map state.<part>; NULL on get: not there. */
Json *checkpoint_part(const Checkpoint *c, const char *part);

/* -- files ------------------------------------------------------------------------- */

/* .safetensors with metadata: format and version, numerics (base/version.h), floating
 * type, the state as JSON, and the CRC-32 of names, types, shapes and bytes of all
 * tensors and of the state. Written whole or not at all. ERR_STORAGE. */
Err checkpoint_save(const Checkpoint *c, const char *path, Fault *fault) WARN_UNUSED;
/* ERR_DATA for what is no checkpoint, is damaged, or of another version, numerics or
 * floating type; `out` is then empty. */
Err checkpoint_load(Checkpoint *out, const char *path, MemoryCount *memory,
                    Fault *fault) WARN_UNUSED;

/* -- nets, optimizers, streams ----------------------------------------------------- */

/* A net: values of its variables, which are frozen, options and streams of its layers,
 * its number in the run. Put back, a net that was not built is, and draws nothing for
 * it. */
Err checkpoint_add_net(Checkpoint *c, const char *part, Graph *graph, Layer *net,
                       Fault *fault) WARN_UNUSED;
Err checkpoint_get_net(const Checkpoint *c, const char *part, Graph *graph, Layer *net,
                       Fault *fault) WARN_UNUSED;

/* An optimizer: options, steps done, rate; its slots, and how often it has updated each
 * variable, are those of some variables, given in groups whose names, with `prefix`
 * before them, differ. *n counts the variables that have any (NULL: not wanted). */
Err checkpoint_add_optimizer(Checkpoint *c, const char *part, const Optimizer *opt,
                             Fault *fault) WARN_UNUSED;
Err checkpoint_get_optimizer(const Checkpoint *c, const char *part, Optimizer *opt,
                             Fault *fault) WARN_UNUSED;
Err checkpoint_add_slots(Checkpoint *c, const char *part, const char *prefix,
                         Graph *graph, const Optimizer *opt, const StateList *variables,
                         int *n, Fault *fault) WARN_UNUSED;
Err checkpoint_get_slots(const Checkpoint *c, const char *part, const char *prefix,
                         Graph *graph, Optimizer *opt, const StateList *variables,
                         Fault *fault) WARN_UNUSED;

/* All that steps change of a net: the parts "net" and "optimizer", with the slots of
 * its parameters. */
Err checkpoint_add_training(Checkpoint *c, Graph *graph, Layer *net,
                            const Optimizer *opt, Fault *fault) WARN_UNUSED;
Err checkpoint_get_training(const Checkpoint *c, Graph *graph, Layer *net,
                            Optimizer *opt, Fault *fault) WARN_UNUSED;

/* The values of some variables, and assigned to them again. */
Err checkpoint_add_values(Checkpoint *c, const char *part, Graph *graph,
                          const StateList *variables, Fault *fault) WARN_UNUSED;
Err checkpoint_get_values(const Checkpoint *c, const char *part, Graph *graph,
                          const StateList *variables, Fault *fault) WARN_UNUSED;

/* Seed and position of every stream, numbers of nets and fits: the part "graph". */
Err checkpoint_add_streams(Checkpoint *c, const Graph *graph, Fault *fault) WARN_UNUSED;
Err checkpoint_get_streams(const Checkpoint *c, Graph *graph, Fault *fault) WARN_UNUSED;

/* -- of a fit ---------------------------------------------------------------------- */

/* Who keeps the checkpoints of fits; given to fit_run by its host. Functions that may
 * be NULL say so. Fits are numbered as they begin in the run, from 1. */
typedef struct FitCheckpointer {
  void *ctx;
  double interval_s; /* least time between two at ends of epochs; 0: at each */
  double last_s;     /* when one was written last (clock_s); `write` and fits set it */
  /* Keeps a checkpoint of the fit, which it takes; `finished`: its last, with the
   * results. A fault becomes a warning, and the fit goes on. */
  Err (*write)(void *ctx, int64_t fit, bool finished, Checkpoint *c, Fault *fault);
  /* The newest of the fit that is whole; else *found is false. A fault ends the fit. */
  Err (*read)(void *ctx, int64_t fit, Checkpoint *out, bool *found, Fault *fault);
  /* To be answered after every step: shall the fit keep a checkpoint now and end with
   * ERR_INTERRUPT? So does a step that a signal interrupts. NULL: never asked. */
  bool (*asked_to_stop)(void *ctx);
  /* What the floor above has to remember besides, into the checkpoint and back. NULL:
   * it has nothing. */
  Err (*add_own)(void *ctx, Checkpoint *c, Fault *fault);
  Err (*get_own)(void *ctx, const Checkpoint *c, Fault *fault);
  /* What a function of the user returns, as the part `part`, and another one called
   * with it. NULL: such functions are not called. */
  Err (*add_call)(void *ctx, Callable *state, Checkpoint *c, const char *part,
                  Fault *fault);
  Err (*get_call)(void *ctx, Callable *restore, const Checkpoint *c, const char *part,
                  Fault *fault);
  /* A value held for the user (VALUE_HELD) as the part, and back: *held is new. NULL:
   * such values cannot be kept. */
  Err (*add_held)(void *ctx, Callable *held, Checkpoint *c, const char *part,
                  Fault *fault);
  Err (*get_held)(void *ctx, Callable **held, const Checkpoint *c, const char *part,
                  Fault *fault);
} FitCheckpointer;

#endif
