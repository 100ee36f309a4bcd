/* metric_accuracy.c: the share of items that are right. */
#include "nn/metric_items.h"
#include <math.h>

enum { HITS, ITEMS, N_ACCURACY };

static Err add_accuracy(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = metric_reading(m->metric, batch);
  Err err = measure_room(m, N_ACCURACY, fault);
  int64_t n = metric_n_items(batch, &reading);
  if (err) return err;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    if (item.got == item.want) m->v[HITS] += w;
    m->v[ITEMS] += w;
  }
  return ERR_OK;
}

static Err finish_accuracy(const Measure *m, Graph *graph, double *value,
                           Fault *fault) {
  (void)graph, (void)fault;
  *value = m->n && m->v[ITEMS] > 0 ? m->v[HITS] / m->v[ITEMS] : NAN;
  return ERR_OK;
}

static double error(const Measure *m, double value) {
  return metric_share_error(value, m->n ? m->v[ITEMS] : 0);
}

static const Option options[] = {METRIC_READ, METRIC_THRESHOLD, {0}};

const MetricKind metric_accuracy = {
    .kind = {.name = "accuracy", .alias = "acc", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = options,
             .check = metric_check_class_options,
             .doc = "Share of rows whose largest output is that of the right class. Of "
                    "yes-no outputs: the share that is on the right side of the "
                    "threshold. An output that is NaN is wrong.",
             .equation = "p = mean_n(argmax_j y_nj = t_n); mean_nj([y_nj >= threshold] "
                         "= t_nj); standard error sqrt(p (1 - p) / n)",
             .source = "Goodfellow et al., Deep Learning, 5.1.2"},
    .goal = GOAL_MAX, .high = 1, .share = true, .check = metric_check_items,
    .add = add_accuracy,
    .finish = finish_accuracy, .error = error, .read = metric_read};
