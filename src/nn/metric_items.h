/* metric_items.h: what the metrics of classes and of yes-no answers share.
 *
 * All of them read outputs as the loss does (reading.h), or as their options say. What
 * is counted is an item: a row of outputs read by its largest, or one yes-no output. An
 * item whose output is NaN has no class: it is wrong, and no prediction of any
 * class. */
#ifndef NN_METRIC_ITEMS_H
#define NN_METRIC_ITEMS_H

#include "nn/metric.h"
#include <stddef.h>

/* Base of the metrics of classes: first member of the struct of one that has more
 * options. */
typedef struct ClassMetric {
  Metric metric;
  int as;           /* ReadAs; READ_UNKNOWN: as the loss does */
  double threshold; /* NaN: that of the loss */
} ClassMetric;

#define METRIC_READ                                                                    \
  METRIC_NAME,                                                                         \
  {.name = "kind", .kind = OPT_CHOICE, .offset = offsetof(ClassMetric, as),            \
   .value = "auto", .choices = metric_as_names,                                        \
   .doc = "how outputs are read. categorical: the class of a row is that of its "      \
          "largest output; binary: each output is a yes or a no; auto: as the loss "   \
          "reads them (mse and mae: binary, with one output)"}

#define METRIC_THRESHOLD                                                               \
  {.name = "threshold", .kind = OPT_REAL, .offset = offsetof(ClassMetric, threshold),  \
   .value = "none", .lo = -1e30, .hi = 1e30,                                           \
   .doc = "an output of at least this is a yes; default: 0 for logits, 1/2 for "       \
          "probabilities and for mse and mae"}

extern const char *const metric_as_names[];
/* Check of a kind with these options. */
Err metric_check_class_options(Object *object, Fault *fault) WARN_UNUSED;

/* MetricKind.read, MetricKind.check. */
void metric_read(const Metric *metric, Reading *reading);
Err metric_check_items(const Metric *metric, const MetricBatch *batch,
                       Fault *fault) WARN_UNUSED;

/* An item: what it was read as and what it is, 1 .. n_classes (yes-no: 1 no, 2 yes);
 * got 0: NaN, or there are targets alone. `place`: of the yes-no output in its row,
 * from 0. */
typedef struct Item {
  int64_t place, got, want;
} Item;

/* How the metric reads the batch. */
Reading metric_reading(const Metric *metric, const MetricBatch *batch);

/* The items of a batch that count, one after the other:
 *
 *   Items it = metric_items(metric, batch);
 *   while (metric_next(&it, fault)) ... it.item, it.weight
 *   return it.err;
 */
typedef struct Items {
  const MetricBatch *batch;
  Reading reading;
  bool binary;      /* yes-no outputs */
  int64_t n, width; /* items of the batch, those of weight 0 too; outputs of a row */
  int64_t at;       /* number of the item, from 0 */
  Item item;
  double weight; /* above 0 */
  Err err;       /* a target that is none ended it */
} Items;

Items metric_items(const Metric *metric, const MetricBatch *batch);
bool metric_next(Items *items, Fault *fault) WARN_UNUSED;

/* Numbers of a metric that is a share of items: weights of those that are right, of
 * all. */
enum { SHARE_RIGHT, SHARE_ALL, N_SHARE };
static inline void metric_count(Measure *m, bool right, double weight) {
  if (right) m->v[SHARE_RIGHT] += weight;
  m->v[SHARE_ALL] += weight;
}
Estimate metric_share(const Measure *m);

/* What makes probabilities of a row of `width` outputs from `at` on, as the loss does:
 * each is divided by the sum, of logits behind exp(y - most). */
typedef struct RowScale {
  double most, sum;
} RowScale;
RowScale metric_row_scale(const MetricBatch *batch, const Reading *reading, int64_t at,
                          int64_t width);
/* Output i before it is divided. */
double metric_share_at(const MetricBatch *batch, const Reading *reading, int64_t i,
                       double most);

#endif
