/* train.h: the training step, fit, measures, callbacks.
 *
 * Compute, check, commit: a step builds its graph inside a transaction, computes all of
 * it, checks (loss and new values finite, interrupt), and then commits parameters,
 * slots, statistics, streams and counters together. A step that fails or is interrupted
 * changes nothing. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "data/data.h"
#include "graph/bound.h"
#include "graph/cache.h"
#include "nn/nn.h"
#include "train/event.h"
#include "train/gauge.h"
#include "train/probe.h"
#include "train/replay.h"

/* -- the step ---------------------------------------------------------------------- */

/* How often in a row one and the same step was planned anew, for a warning. All zero at
 * first; kept by whoever calls the step again and again. */
typedef struct StepWatch {
  int n_misses;
  uint64_t plan; /* CachedPlan.made of the last */
} StepWatch;

/* What a step trains: nets and single variables. Borrowed, valid as long as the
 * step. */
typedef struct StepTarget {
  Layer *const *nets;
  int n_nets;
  Variable *const *variables;
  int n_variables;
  StepWatch *watch; /* NULL: no warnings */
  Gauges *gauges;   /* NULL: nothing more is asked */
} StepTarget;

/* For a step that is to be replayed later (replay.h). */
typedef struct StepCapture {
  Replay *replay;
  PlanArgs args;
  uint64_t signature;
} StepCapture;

/* What the function of a step gives: first the loss. All zero is empty; the caller's,
 * who may use one for many steps. */
typedef struct StepOutputs {
  Node **v;
  int n;
  int64_t room;
  int weight; /* the output that says what the gradient counts where steps accumulate;
                 0: none does, all count alike */
} StepOutputs;
Err step_output(StepOutputs *out, Node *node, Fault *fault) WARN_UNUSED;
void step_outputs_deinit(StepOutputs *out);

/* Builds the forward part: the first output is the loss (one element), further nodes
 * are evaluated with it. graph->training is set while it runs. */
typedef Err (*StepFunction)(void *ctx, Graph *graph, StepOutputs *out, Fault *fault);

/* One training step. Afterwards the outputs are evaluated; they are borrowed from the
 * graph's current scope. `capture` (NULL: none) is filled when the step succeeds.
 * Faults: of the function; ERR_NONFINITE, where the loss, a new value of a parameter or
 * slot, or what the function assigned is not finite, with step number, first bad layer,
 * op and index; ERR_INTERRUPT. */
Err train_step(Graph *graph, const StepTarget *target, Optimizer *optimizer,
               StepFunction function, void *ctx, const StepCapture *capture,
               StepOutputs *out, Fault *fault) WARN_UNUSED;

/* Warns, once in a session, where the graph of a step broadcasts [N, 1] and [N], one
 * that is trained and one that is given, to [N, N]. */
void step_warn_of_pairs(Graph *graph, const Trace *trace);

/* Warns, once in a session, where the loss depends on a variable of the script that
 * no step trains, with its name and line. */
void step_warn_of_untrained(Graph *graph, const Trace *trace, const Node *loss);

/* Before the first step: may each target that counts, of a set that has some, be one of
 * this loss? ERR_DATA that names set, loss and row. */
Err train_check_targets(const Loss *loss, const Dataset *set, Fault *fault) WARN_UNUSED;

/* -- fit --------------------------------------------------------------------------- */

/* Of `verbose`: each epoch, in one line where it can be drawn anew. */
enum { FIT_ONE_LINE = -1 };

typedef struct Fit {
  Object object;
  Loss *loss;
  Optimizer *optimizer;
  int64_t epochs, batch_size;
  double validation;        /* share of the training set; NaN: none */
  Dataset *validation_data; /* NULL: none */
  Dataset *test;            /* NULL: none */
  Tensor *class_weight; /* real, of each class, 0 or more; NULL: all classes alike */
  ObjectList metrics;   /* of Metric */
  ObjectList callbacks; /* of Callback */
  ObjectList probes;    /* of Probe */
  int shuffle;          /* Shuffle: epoch, once, none */
  bool drop_last;
  int64_t verbose; /* for the sink: show every so many epochs, 0: none; or
                      FIT_ONE_LINE ... */
  char *record;    /* ... and where to record: NULL: as usual; "": nowhere; else
                      the name of a record of this fit alone */
} Fit;

extern const Kind fit_kind;                 /* of fit_family; module "train" */
extern const RefType class_weight_ref_type; /* of the option: a tensor */
extern const Family fit_family;

/* Trains `net` on `set`. `history` is filled epoch by epoch and stays valid after a
 * fault: it is the caller's (history_deinit); that of a fit that was refused is empty.
 * A fit that fails before its first step is done has changed nothing: its number and
 * its draws are the next one's. `host` may be NULL. With a checkpointer that has a
 * checkpoint of the fit, the fit goes on from there, to the same bytes as if it had run
 * through; from the checkpoint of a finished one it takes the results. */
Err fit_run(Graph *graph, Fit *fit, Layer *net, Dataset *set, const FitHost *host,
            History *history, Fault *fault) WARN_UNUSED;

/* -- measures ---------------------------------------------------------------------- */

/* The metrics of a list over the same rows. All zero: none. */
typedef struct Measures {
  Measure *v;
  int n;
  Reading reading; /* of the outputs: set by measures_check */
  bool tables;     /* matrices are measured; else only checked */
} Measures;

/* What there is beside the values of n metrics: standard errors, NaN where none is
 * known (NULL: not wanted), and matrices, which the caller sets to NULL: that stays
 * where the metric is a number, else a new one is the caller's. */
typedef struct MeasureDetails {
  double *error;
  Tensor **table;
} MeasureDetails;

/* ERR_VALUE, in a text that begins with `who`: two have one name. */
Err measures_open(Measures *out, const ObjectList *metrics, const char *who,
                  Fault *fault) WARN_UNUSED;
void measures_close(Measures *measures);
/* Forgets the rows. */
Err measures_begin(Measures *measures, Fault *fault) WARN_UNUSED;
/* Once the nodes of a batch are there, before anything is computed: how the loss (or
 * NULL) reads such outputs, and whether all can be measured on them. */
Err measures_check(Measures *measures, Graph *graph, const Loss *loss,
                   const Node *output, const Node *target, Fault *fault) WARN_UNUSED;
/* Then, whether the targets of a whole set can be measured: before any step, what
 * adding them would refuse later. `output` is of a batch of n_rows; masked: with a
 * mask. */
Err measures_check_set(const Measures *measures, Graph *graph, Dataset *set,
                       const Port *output, int64_t n_rows, Fault *fault) WARN_UNUSED;
/* weight NULL: all rows count alike. */
Err measures_add(Measures *measures, Graph *graph, const Tensor *output,
                 const Tensor *target, const Tensor *weight, Fault *fault) WARN_UNUSED;
/* value[0 .. n - 1], and the details, unless NULL. Changes nothing. */
Err measures_finish(const Measures *measures, Graph *graph, double *value,
                    const MeasureDetails *details, Fault *fault) WARN_UNUSED;

/* -- weights ----------------------------------------------------------------------- */

/* The batch's inputs as nodes, the first with its mask. */
Ports batch_inputs(Graph *graph, const Batch *batch);
/* What a plan of the batch is given: all its tensors, with `weight` in place of its
 * own; returns how many. */
int batch_args(const Batch *batch, Tensor *weight, Tensor *out[BOUND_ARGS]);
/* What n_rows rows count in all: the sum of their weights; NULL: their number. */
double weight_total(const Tensor *weight, int64_t n_rows);
/* ERR_DATA, ERR_VALUE: the set has no labels, or another number of classes. */
Err weight_check_classes(const Tensor *by_class, const Dataset *set,
                         Fault *fault) WARN_UNUSED;
/* The batch's weights, each times that of its row's class, in `*out`: NULL or a tensor
 * of the caller, filled again where no one else refers to it and its shape fits. */
Err weight_by_class(Tensor **out, const Batch *batch, const Tensor *by_class,
                    MemoryCount *memory, Fault *fault) WARN_UNUSED;
/* The same of weights (data NULL: all 1) times a mask: one has the first axes of the
 * other. */
Err weight_by_mask(Tensor **out, const Array *weight, const Array *mask,
                   MemoryCount *memory, Fault *fault) WARN_UNUSED;
/* What rows of the set count, those that dataset_targets gives from `row` on, by their
 * weights and, where `masked`, by their mask, as far as these have the first axes of
 * `of`; data NULL: all alike. `*room` is NULL or the caller's. */
Err weight_of_rows(Tensor **room, const Dataset *set, int64_t row, const Shape *of,
                   bool masked, Array *out, Fault *fault) WARN_UNUSED;

/* Loss (unless NULL) and metrics over a set, in inference mode, exact over all its
 * rows, into value[0 .. n], where value[0] is the loss (NaN without one). Without a
 * loss, outputs are read as by the one that the net was trained with. `details` NULL:
 * not wanted, and no matrix is measured. */
Err train_evaluate(Graph *graph, Layer *net, Dataset *set, Loss *loss,
                   const ObjectList *metrics, int64_t batch_size, double *value,
                   const MeasureDetails *details, Fault *fault) WARN_UNUSED;

/* -- callbacks --------------------------------------------------------------------- */

typedef struct Callback {
  Object object;
} Callback;

/* A kind that remembers anything from epoch to epoch saves and loads it. */
typedef struct CallbackKind {
  Kind kind;
  Events events; /* `self` is the Callback */
} CallbackKind;

extern const Family callback_family; /* module "train" */

#endif
