/* fit_private.h: a fit in progress, which fit.c runs and resume.c keeps and puts back. */
#ifndef TRAIN_FIT_PRIVATE_H
#define TRAIN_FIT_PRIVATE_H

#include "train/train.h"

enum { MAX_METRICS = 12 };

/* How far the fit is: after which of these a checkpoint can be taken. */
typedef enum FitStage {
  FIT_NEW,                     /* no step yet */
  FIT_IN_EPOCH,                /* run.batch batches of epoch run.epoch are done */
  FIT_BETWEEN,                 /* epoch run.epoch is done, its callbacks too */
  FIT_ENDED,                   /* the callbacks have ended; the test is not measured */
  FIT_FINISHED,
  FIT_STAGES
} FitStage;

typedef struct Work {
  FitRun run;
  int stream;                  /* number of the fit since the seed was set: names its streams */
  const FitSink *sink;
  bool begun;                  /* all callbacks, then the sink: else the fit is refused */
  bool stepped;                /* a step is done, here or before a checkpoint */
  int n_begun;                 /* callbacks that are to be ended */
  FitStage stage;
  Dataset *train, *validation; /* retained */
  Batches batches;
  Tensor *x, *y;               /* of the batch */
  Replay *replay;              /* NULL: functions of the user run at every step */
  StepWatch watch;
  Measures measures;           /* the metrics over the rows of this epoch so far */
  double batch_loss, sum;      /* the loss of the last batch; over those rows, weighted */
  double value[1 + MAX_METRICS];   /* of the epoch: loss and metrics */
  bool remembered;             /* the net knows what it is trained with */
  int64_t n_rows;
  Json *begin;                 /* what the fit was asked to do: only its own checkpoint fits */
  Checkpoint saved;            /* the one found; empty: none, or it has been put back */
  Fault *fault;
} Work;

static inline int n_metrics(const Work *w) { return w->run.fit->metrics.n; }

static inline const CallbackKind *callback_kind(const Work *w, int i) {
  return (const CallbackKind *)w->run.fit->callbacks.v[i]->kind;
}

static inline Callback *callback_at(const Work *w, int i) {
  return (Callback *)w->run.fit->callbacks.v[i];
}

/* From its first step on the net remembers what it is trained with (nn/trained.h). */
Err fit_remember(Work *w) WARN_UNUSED;
/* Before the callbacks begin. Sets the stage to that of the checkpoint, if there is one. */
Err fit_find_checkpoint(Work *w) WARN_UNUSED;
/* Afterwards: everything as it was at the checkpoint. */
Err fit_restore(Work *w) WARN_UNUSED;

/* ERR_INTERRUPT when the checkpointer is asked to stop. */
Err fit_stop_if_asked(Work *w) WARN_UNUSED;
/* The checkpoint of a fit that ends with `err`, if that is an interrupt; returns `err`. */
Err fit_keep_at_stop(Work *w, Err err) WARN_UNUSED;
/* Between epochs: one if it is time, or if it is asked to stop: then ERR_INTERRUPT. */
Err fit_keep_between(Work *w) WARN_UNUSED;
/* The last one, with the results. */
void fit_keep_results(Work *w);

#endif
