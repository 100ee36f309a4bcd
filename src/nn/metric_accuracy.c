/* metric_accuracy.c: the share of items that are right. */
#include "nn/metric_items.h"

static Err add_accuracy(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  if (measure_room(m, N_SHARE, fault)) return fault->code;
  while (metric_next(&it, fault))
    metric_count(m, it.item.got == it.item.want, it.weight);
  return it.err;
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
    .add = add_accuracy, .estimate = metric_share, .read = metric_read};
