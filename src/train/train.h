/* train.h: the training step, fit, callbacks.
 *
 * Compute, check, commit: a step builds its graph inside a transaction, computes all of it,
 * checks (loss and new values finite, interrupt), and then commits parameters, slots,
 * statistics, streams and counters together. A step that fails or is interrupted changes
 * nothing. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "data/data.h"
#include "graph/cache.h"
#include "nn/nn.h"
#include "train/checkpoint.h"
#include "train/replay.h"

/* -- the step ---------------------------------------------------------------------- */

/* How often in a row one and the same step was planned anew, for a warning. All zero at
 * first; kept by whoever calls the step again and again. */
typedef struct StepWatch {
  int n_misses;
  uint64_t plan;               /* CachedPlan.made of the last */
} StepWatch;

/* What a step trains: nets and single variables. Borrowed, valid as long as the step. */
typedef struct StepTarget {
  Layer *const *nets;
  int n_nets;
  Variable *const *variables;
  int n_variables;
  StepWatch *watch;            /* NULL: nobody is warned */
} StepTarget;

/* For a step that is to be replayed later (replay.h). */
typedef struct StepCapture {
  Replay *replay;
  ReplayArgs args;
  uint64_t signature;
} StepCapture;

enum { STEP_OUT = 32 };

/* Builds the forward part: out[0] is the loss (one element), further nodes are evaluated
 * with it. *n_out <= STEP_OUT. graph->training is set while it runs. */
typedef Err (*StepFunction)(void *ctx, Graph *graph, Node **out, int *n_out, Fault *fault);

/* One training step. Afterwards out[0 .. *n_out - 1] are evaluated; they are borrowed from
 * the graph's current scope. `capture` (NULL: none) is filled when the step succeeds. Faults:
 * of the function; ERR_NONFINITE, where the loss, a new value of a parameter or slot, or what
 * the function assigned is not finite, with step number, first bad layer, op and index;
 * ERR_INTERRUPT. */
Err train_step(Graph *graph, const StepTarget *target, Optimizer *optimizer,
               StepFunction function, void *ctx, const StepCapture *capture, Node **out,
               int *n_out, Fault *fault) WARN_UNUSED;

/* Warns, once in a session, where the graph of a step broadcasts [N, 1] and [N], one that is
 * trained and one that is given, to [N, N]. */
void step_warn_of_pairs(Graph *graph, const Trace *trace);

/* Warns, once in a session, where the loss depends on a variable of the script that nobody
 * trains, with its name and line. */
void step_warn_of_untrained(Graph *graph, const Trace *trace, const Node *loss);

/* Before the first step: may each target of a set that has some be one of this loss? ERR_DATA
 * that names set, loss and row. */
Err train_check_targets(const Loss *loss, const Dataset *set, Fault *fault) WARN_UNUSED;

/* -- history ----------------------------------------------------------------------- */

enum { HISTORY_COLUMNS = 32, HISTORY_NAME = 48 };

typedef struct HistoryColumn {
  char name[HISTORY_NAME];     /* "epoch", "loss", "val_accuracy", "lr", "time_s" */
  double *v;                   /* one per row */
} HistoryColumn;

/* One row per finished epoch; columns are fixed before the first. */
typedef struct History {
  int n_columns;
  HistoryColumn column[HISTORY_COLUMNS];
  int64_t n_rows, capacity;
  int n_test;                  /* measured once, after the last epoch */
  struct { char name[HISTORY_NAME]; double value; } test[HISTORY_COLUMNS];
  int64_t best_epoch;          /* whose weights the net ends with; 0: the last */
  bool stopped;                /* by a callback, before the last epoch */
} History;

void history_deinit(History *history);
/* Adds a column unless it is there; a fault beyond HISTORY_COLUMNS. */
Err history_column(History *history, const char *name, Fault *fault) WARN_UNUSED;
/* Opens a row of NaN; history_set then fills its columns, which must be there. */
Err history_row(History *history, Fault *fault) WARN_UNUSED;
void history_set(History *history, const char *name, double value);
/* Index of a column, -1: none. */
int history_find(const History *history, const char *column);
/* Value of a column in a row (from 0); NaN when there is none. */
double history_get(const History *history, const char *column, int64_t row);

/* -- fit --------------------------------------------------------------------------- */

/* Of `verbose`: each epoch, in one line where it can be drawn anew. */
enum { FIT_ONE_LINE = -1 };

typedef struct Fit {
  Object object;
  Loss *loss;
  Optimizer *optimizer;
  int64_t epochs, batch_size;
  double validation;           /* share of the training set; NaN: none */
  Dataset *validation_data;    /* NULL: none */
  Dataset *test;               /* NULL: none */
  ObjectList metrics;          /* of Metric */
  ObjectList callbacks;        /* of Callback */
  int shuffle;                 /* Shuffle: epoch, once, none */
  bool drop_last;
  int64_t verbose;             /* for the sink: show every so many epochs, 0: none; or
                                  FIT_ONE_LINE ... */
  char *record;                /* ... and where to record: NULL: as usual; "": nowhere; else
                                  the name of a record of this fit alone */
} Fit;

extern const Kind fit_kind;              /* of fit_family; module "train" */
extern const Family fit_family;

/* A fit in progress, for callbacks and sinks. All read-only to them but `stop`. */
typedef struct FitRun {
  Graph *graph;
  Layer *net;
  Fit *fit;
  History *history;            /* at epoch end: the row just made is n_rows - 1 */
  int64_t number;              /* of the fit in this run, from 1 */
  int64_t epoch;               /* from 1 */
  int64_t batch, n_batches;    /* batches done in this epoch, and in all of it */
  int64_t n_train, n_validation;
  double loss;                 /* running mean of this epoch */
  double first_loss;           /* of the fit's first step; NaN where a checkpoint was put back */
  double epoch_start_s;        /* on the clock of clock_s */
  bool stop;                   /* a callback asks to end after this epoch */
  FitCheckpointer *checkpointer;   /* NULL: none */
} FitRun;

/* Where progress goes: the floor above draws bars and writes records. Any may be NULL. An
 * error ends the fit; one of `begin` leaves nothing that `end` would have to end. */
typedef struct FitSink {
  void *ctx;
  Err (*begin)(void *ctx, const FitRun *run, Fault *fault);
  /* After begin, in a fit that goes on from a checkpoint: the rows of the history that are
   * there, `run->batch` batches of epoch `run->epoch` (done if all); `finished`: nothing is
   * left to do. */
  Err (*restored)(void *ctx, const FitRun *run, bool finished, Fault *fault);
  void (*batch)(void *ctx, const FitRun *run);
  Err (*epoch)(void *ctx, const FitRun *run, Fault *fault);
  /* After the test measures, or after a fault (its code not ERR_OK). */
  void (*end)(void *ctx, const FitRun *run, const Fault *fault);
  FitCheckpointer *checkpointer;   /* where checkpoints are kept; NULL: nowhere */
} FitSink;

/* Trains `net` on `set`. `history` is filled epoch by epoch and stays valid after a fault:
 * it is the caller's (history_deinit); that of a fit that was refused is empty. A fit that
 * fails before its first step is done has changed nothing: its number and its draws are the
 * next one's. `sink` may be NULL. With a checkpointer that has a
 * checkpoint of the fit, the fit goes on from there, to the same bytes as if it had run
 * through; from the checkpoint of a finished one it takes the results. */
Err fit_run(Graph *graph, Fit *fit, Layer *net, Dataset *set, const FitSink *sink,
            History *history, Fault *fault) WARN_UNUSED;

/* -- measures ---------------------------------------------------------------------- */

/* The metrics of a list over the same rows. All zero: none. */
typedef struct Measures {
  Measure *v;
  int n;
  Reading reading;             /* of the outputs: set by measures_check */
} Measures;

/* ERR_VALUE that `who` tells: two have one name. */
Err measures_open(Measures *out, const ObjectList *metrics, const char *who, Fault *fault)
    WARN_UNUSED;
void measures_close(Measures *measures);
/* Forgets the rows. */
Err measures_begin(Measures *measures, Fault *fault) WARN_UNUSED;
/* Once the nodes of a batch are there, before anything is computed: how the loss (or NULL)
 * reads such outputs, and whether all can be measured on them. */
Err measures_check(Measures *measures, Graph *graph, const Loss *loss, const Node *output,
                   const Node *target, Fault *fault) WARN_UNUSED;
/* Then, whether the targets of a whole set can be measured: before any step, what adding them
 * would refuse later. `output` is of a batch of n_rows. */
Err measures_check_set(const Measures *measures, Graph *graph, Dataset *set,
                       const Node *output, int64_t n_rows, Fault *fault) WARN_UNUSED;
Err measures_add(Measures *measures, Graph *graph, const Tensor *output, const Tensor *target,
                 Fault *fault) WARN_UNUSED;
/* value[0 .. n - 1]. Changes nothing. */
Err measures_finish(const Measures *measures, Graph *graph, double *value,
                    Fault *fault) WARN_UNUSED;

/* Loss (unless NULL) and metrics over a set, in inference mode, exact over all its rows, into
 * value[0 .. n], where value[0] is the loss (NaN without one). Without a loss, outputs are
 * read as by the one that the net was trained with. */
Err train_evaluate(Graph *graph, Layer *net, Dataset *set, Loss *loss,
                   const ObjectList *metrics, int64_t batch_size, double *value,
                   Fault *fault) WARN_UNUSED;

/* -- callbacks --------------------------------------------------------------------- */

typedef struct Callback { Object object; } Callback;

typedef struct CallbackKind {
  Kind kind;
  /* Any may be NULL. Called in the order of the list, `end` in the reverse order. Each that
   * has begun gets its end, also after a fault (`err`, which is in `fault`): what it changed
   * in begin it puts back. One whose begin failed gets none: it has changed nothing. */
  Err (*begin)(Callback *callback, FitRun *run, Fault *fault);
  Err (*epoch_begin)(Callback *callback, FitRun *run, Fault *fault);
  Err (*epoch_end)(Callback *callback, FitRun *run, Fault *fault);
  Err (*end)(Callback *callback, FitRun *run, Err err, Fault *fault);
  /* What it remembers from epoch to epoch, as the part `part` of a checkpoint, and back,
   * after begin. A kind that remembers anything must have both: a fit that was resumed ends
   * as one that ran through. */
  Err (*save)(Callback *callback, const FitRun *run, Checkpoint *c, const char *part,
              Fault *fault);
  Err (*load)(Callback *callback, FitRun *run, const Checkpoint *c, const char *part,
              Fault *fault);
} CallbackKind;

extern const Family callback_family;     /* module "train" */

#endif
