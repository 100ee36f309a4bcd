/* metric.h: what is measured beside the loss.
 *
 *   measure_begin ─► measure_add, batch after batch ─► measure_finish ─► a number and
 *                                                                        its error
 *
 * A metric is exact over all rows, however they are cut into batches: it adds counts
 * and sums in double, or keeps what it needs of the outputs, and makes the number at
 * the end. It sees computed values, no expressions, so a training step is replayed
 * whatever is measured.
 *
 * Rows count what the data set's weights say, as in Keras's weighted_metrics: a row of
 * weight 2 as two, one of weight 0 not at all, whatever it holds. (class_weight is the
 * loss's alone.)
 *
 * The record of a metric says which way is better and in which range its values lie.
 * Early stopping, checkpoints, experiments and tables read both through
 * measure_named. */
#ifndef NN_METRIC_H
#define NN_METRIC_H

#include "nn/loss.h"
#include "nn/reading.h"

typedef enum Goal { GOAL_NONE, GOAL_MIN, GOAL_MAX } Goal; /* NONE: not known */

typedef struct Metric {
  Object object;
  char *name; /* of the column; NULL: the kind's name */
  int goal;   /* Goal, as the user said; GOAL_NONE: the record's */
} Metric;

/* One batch. Targets have the outputs' shape where only a last axis of 1 differs.
 * Weights have the first axes of the outputs, [N] or [N, T]; data NULL: all rows count
 * alike. */
typedef struct MetricBatch {
  Graph *graph;
  Array output, target, weight;
  Reading reading; /* by the loss, or without one by the targets */
} MetricBatch;

/* Rows kept one after the other. */
typedef struct KeptRows {
  unsigned char *bytes;
  size_t n_bytes;
  int64_t room; /* of bytes */
  Shape shape;  /* of all rows */
  DType dtype;
} KeptRows;

/* What the rows come to. */
typedef struct Estimate {
  double value; /* NaN: not defined for these rows */
  /* The standard error of the value, by how many rows there are: how far that of other
   * rows from the same source would be off. Its equation is the record's. NaN: not
   * known, or not wanted. */
  double error;
} Estimate;

/* A metric over the rows seen so far. */
typedef struct Measure {
  Metric *metric;     /* retained */
  size_t limit_bytes; /* of what is kept of all rows */
  bool with_error;    /* the standard error is wanted; else it may be left out */
  /* the kind's own */
  double *v; /* counts, sums, scores: their meaning is the kind's */
  int64_t n, room;
  KeptRows output, target, weight;
  Callable *state; /* of the user; NULL: none */
} Measure;

typedef struct MetricKind {
  Kind kind;
  Goal goal;
  double low, high; /* range of its values; equal: not known, or without ends */
  bool share;       /* of the rows: its values come in steps of 1 / rows */
  /* Before the first batch, of whose arrays only shapes and types are there; or the
   * targets too, which are then looked at. May be NULL. */
  Err (*check)(const Metric *metric, const MetricBatch *batch, Fault *fault);
  Err (*add)(Measure *m, const MetricBatch *batch, Fault *fault);
  /* Of rows that gave numbers. Changes nothing: it may be asked again. One of the two:
   * finish where it may fail, into an estimate of NaN. */
  Estimate (*estimate)(const Measure *m);
  Err (*finish)(const Measure *m, Graph *graph, Estimate *out, Fault *fault);
  /* In place of both: a matrix or the points of a curve, new, with the names of its
   * columns; NULL: its rows and columns are classes, from 1. It is recorded and shown,
   * not monitored. May be NULL. */
  Err (*table)(const Measure *m, Tensor **out, Fault *fault);
  const char *const *columns;
  /* What the metric's options say of how outputs are read. May be NULL. */
  void (*read)(const Metric *metric, Reading *reading);
} MetricKind;

extern const Family metric_family; /* module "train" */

static inline const MetricKind *metric_kind(const Metric *metric) {
  return (const MetricKind *)metric->object.kind;
}

const char *metric_name(const Metric *metric);

/* ERR_SHAPE, ERR_VALUE: it cannot be measured on such outputs and targets. */
Err metric_check(const Metric *metric, const MetricBatch *batch,
                 Fault *fault) WARN_UNUSED;

enum { MEASURE_LIMIT_BYTES = 256 << 20 };

/* All zero is a measure without a metric; deinit of that is a no-op. begin forgets all
 * rows, and may be called again for another epoch: memory stays. */
void measure_init(Measure *m, Metric *metric);
void measure_deinit(Measure *m);
Err measure_begin(Measure *m, Fault *fault) WARN_UNUSED;
Err measure_add(Measure *m, const MetricBatch *batch, Fault *fault) WARN_UNUSED;
Err measure_finish(const Measure *m, Graph *graph, Estimate *out,
                   Fault *fault) WARN_UNUSED;

/* Targets as metrics see them: under the output's shape where the two differ by a last
 * axis of 1 alone. The same values as loss_conform gives in expressions. */
Array metric_target(const Array *output, const Array *target);

/* -- for the kinds ----------------------------------------------------------------- */

#define METRIC_NAME                                                                    \
  {.name = "name", .kind = OPT_TEXT, .offset = offsetof(Metric, name),                 \
   .doc = "name of its column in the history"}

/* A column may be called so, with val_ or test_ before it: the first thing that a
 * kind's own check of its options asks. */
enum { METRIC_NAME_BYTES = 40 };
Err metric_check_name(Object *object, Fault *fault) WARN_UNUSED;

/* What number i of n counts, which are rows of the batch, or the same many parts of
 * each. */
static inline double metric_weight(const MetricBatch *batch, int64_t i, int64_t n) {
  if (!batch->weight.data) return 1;
  return array_get(&batch->weight, i / (n / shape_count(&batch->weight.shape)));
}

/* Standard errors: of a share p of n rows, sqrt(p (1 - p) / n); of a mean over rows of
 * weight w, sd / sqrt(n), by sum(w (x - mean)^2), sum(w) and sum(w^2): sd^2 is their
 * first quotient, n = sum(w)^2 / sum(w^2), which without weights is the number of
 * rows. */
double metric_share_error(double p, double n);
double metric_mean_error(double spread, double total, double squares);

/* A mean and a sum of squared distances from it, by West's update (CACM 22, 1979),
 * never E[x^2] - E[x]^2: one more value x of weight w, where all weights, this one
 * included, are `total`. */
static inline void metric_spread(double *mean, double *spread, double x, double w,
                                 double total) {
  double off = x - *mean;
  *mean += w * off / total;
  *spread += w * off * (x - *mean);
}

/* The mean over elements, each times the weight of its row, and how far the means of
 * rows are apart, of whose elements one may follow from the other: numbers of a
 * measure, in this order. */
enum { OF_SUM, OF_COUNT, ROW_MEAN, ROW_SPREAD, ROW_SQUARES, N_OF_ROWS };
/* A row's elements and weights are added up, into OF_SUM and OF_COUNT too. */
void metric_end_row(double v[N_OF_ROWS], double sum, double count);
Estimate metric_mean_of_rows(const double v[N_OF_ROWS]);

/* Room for `n` numbers in all, new ones 0. */
Err measure_room(Measure *m, int64_t n, Fault *fault) WARN_UNUSED;
/* Appends a batch; ERR_SHAPE where its rows are of another shape than those before. */
Err metric_keep(KeptRows *kept, const Array *rows, Fault *fault) WARN_UNUSED;

/* -- which way is better ----------------------------------------------------------- */

typedef struct NamedMeasure {
  Goal goal;
  double low, high; /* range; equal: not known, or without ends */
} NamedMeasure;

/* What the name of a column says: without "fit<number>.", "val_", "test_" it is "loss",
 * or the name or an alias of a metric or of a loss; else the goal is GOAL_NONE. */
NamedMeasure measure_named(const char *column);
/* The same for a column of a fit with these metrics (`n` of Metric): one of the user
 * may have a goal of its own. */
Goal measure_goal(const char *column, Object *const *metrics, int n);
/* Adds why the option is missing, in the words that all messages use. */
void metric_add_goal_missing(Text *out, const char *column, const char *option);

#endif
