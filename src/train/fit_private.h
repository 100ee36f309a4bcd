/* fit_private.h: a fit in progress, which fit.c runs and resume.c keeps and puts
 * back. */
#ifndef TRAIN_FIT_PRIVATE_H
#define TRAIN_FIT_PRIVATE_H

#include "train/train.h"

/* How far the fit is: after which of these a checkpoint can be taken. */
typedef enum FitStage {
  FIT_NEW,                     /* no step yet */
  FIT_IN_EPOCH,                /* run.batch batches of epoch run.epoch are done */
  FIT_BETWEEN,                 /* epoch run.epoch is done, for all listeners too */
  FIT_UNTESTED,                /* the weights are final; the test is not measured */
  FIT_FINISHED,
  FIT_STAGES
} FitStage;

typedef struct Work {
  FitRun run;
  int stream;          /* number of the fit since the seed was set: names its streams */
  Listener *listeners; /* the host's, callbacks, probes, the keeper of checkpoints */
  int n_listeners;
  int n_begun;  /* of them: those that are owed FIT_TRAINED */
  bool started; /* all of them: else the fit is refused */
  bool stepped; /* a step is done, here or before a checkpoint */
  FitStage stage;
  Dataset *train, *validation; /* retained */
  Batches batches;
  Batch batch;
  Tensor *loss_weight; /* of the batch, by class_weight too; NULL: the batch's own */
  bool masked;         /* the net's outputs have a mask, the last output of a step */
  Tensor *counted_loss, *counted; /* the batch's weights times that mask: of the loss,
                                with class_weight; of metrics */
  Replay *replay;                 /* NULL: functions of the user run at every step */
  StepWatch watch;
  Probes probes;
  Measures measures;   /* the metrics over the rows of this epoch so far */
  double batch_weight; /* what the rows of the last batch count */
  double sum;          /* the losses of the epoch so far, each times that weight */
  double total;        /* of those weights: without any, the rows */
  StepOutputs outputs; /* of the last traced step */
  double *value, *validation_value; /* of the epoch or the test: loss and metrics */
  bool remembered;                  /* the net knows what it is trained with */
  Json *begin;      /* what the fit was asked to do: only its own checkpoint fits */
  Checkpoint saved; /* the one found; empty: none, or it has been put back */
  Fault *fault;
} Work;

static inline int fit_n_metrics(const Work *w) { return w->run.fit->metrics.n; }

/* Tells all listeners of the event, in their order; the first error ends that. */
Err fit_tell(Work *w, FitEvent event) WARN_UNUSED;

/* From its first step on the net remembers what it is trained with (nn/trained.h). */
Err fit_remember(Work *w) WARN_UNUSED;
/* Before the callbacks begin. Sets the stage to that of the checkpoint, if there is
 * one. */
Err fit_find_checkpoint(Work *w) WARN_UNUSED;
/* Afterwards: everything as it was at the checkpoint. */
Err fit_restore(Work *w) WARN_UNUSED;

/* Keeps checkpoints where run.checkpointer says; `self` is the Work. */
extern const Events fit_keeper;

#endif
