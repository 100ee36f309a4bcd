/* event.h: what happens in a fit, and its listeners.
 *
 *   BEGIN ─► STARTED ─► [RESTORED] ─► epochs ─► TRAINED ─► test ─► TESTED ─► ENDED
 *   an epoch: EPOCH_BEGIN ─► BATCH_END ... ─► EPOCH_TRAINED ─► validation ─► EPOCH_END
 * ─► EPOCH_DONE
 *
 * Callbacks, probes, the progress line, the record and the keeper of checkpoints are
 * listeners: a table of functions, any of which may be NULL. They are called in the
 * order of their list: first those of the floor above, then callbacks as the fit lists
 * them, probes, and last the keeper of checkpoints. TRAINED goes from the last to the
 * first. An error ends the fit. */
#ifndef TRAIN_EVENT_H
#define TRAIN_EVENT_H

#include "nn/nn.h"
#include "train/checkpoint.h"
#include "train/history.h"

typedef enum FitEvent {
  FIT_BEGIN,       /* before any epoch, unless none is left to be trained. May refuse
                      the fit: a listener that does has changed nothing */
  FIT_STARTED,     /* all have begun. A listener that fails here has nothing left
                      to end */
  FIT_RESTORED,    /* after that, in a fit that goes on from a checkpoint: the rows of
                      the history are there, and `batch` batches of epoch `epoch` are
                      done */
  FIT_EPOCH_BEGIN,
  FIT_BATCH_END,
  FIT_EPOCH_TRAINED, /* all steps of the epoch are done, nothing is measured after them;
                      comes again where a fit goes on from a checkpoint of that */
  FIT_EPOCH_END,   /* the epoch's row of the history is made */
  FIT_EPOCH_DONE,  /* all listeners have had EPOCH_END */
  FIT_TRAINED,     /* no further step follows, perhaps because of the fault that is in
                      `fault`. To each that has begun, once, and not interrupted: what
                      it changed it puts back */
  FIT_CUT,         /* interrupted where the fit can go on from a checkpoint taken now */
  FIT_TESTED,      /* nothing is left to do */
  FIT_ENDED,       /* the last event, also after a fault, which is in `fault`; not where
                      STARTED failed for a listener */
  FIT_EVENTS
} FitEvent;

typedef struct Fit Fit;

/* A fit in progress. All read-only to listeners but `stop`. */
typedef struct FitRun {
  Graph *graph;
  Layer *net;
  Fit *fit;
  struct Dataset *train;         /* the rows that are trained on */
  History *history;              /* at EPOCH_END: the row just made is n_rows - 1 */
  int64_t number;                /* of the fit in this run, from 1 */
  int64_t epoch;                 /* from 1 */
  int64_t batch, n_batches;      /* batches done in this epoch, and in all of it */
  int64_t n_train, n_validation; /* rows */
  double loss;                   /* running mean of this epoch */
  double batch_loss;             /* of the last step */
  double first_loss; /* of the fit's first step; NaN where a checkpoint was put back */
  double epoch_start_s; /* on the clock of clock_s */
  bool stop;            /* a listener asks to end after this epoch */
  bool finished;        /* nothing is left to do, from a checkpoint of a finished fit */
  FitCheckpointer *checkpointer; /* NULL: none */
} FitRun;

typedef Err (*FitHandler)(void *self, FitRun *run, Fault *fault);

typedef struct Events {
  FitHandler on[FIT_EVENTS];
  /* What it remembers from epoch to epoch, as the part `part` of a checkpoint, and
   * back, after BEGIN. A listener that remembers anything has both: a fit that was
   * resumed ends as one that ran through. */
  Err (*save)(void *self, const FitRun *run, Checkpoint *c, const char *part,
              Fault *fault);
  Err (*load)(void *self, FitRun *run, const Checkpoint *c, const char *part,
              Fault *fault);
} Events;

/* Borrowed, valid as long as the fit. */
typedef struct Listener {
  const Events *events;
  void *self;
  const char *part; /* of checkpoints: "callback" ...; NULL: it keeps nothing ... */
  int number;       /* ... and which of them, from 1 */
} Listener;

/* What the floor above gives to a fit. */
typedef struct FitHost {
  const Listener *listeners;
  int n_listeners;
  FitCheckpointer *checkpointer; /* where checkpoints are kept; NULL: nowhere */
} FitHost;

#endif
