/* metric_balanced.c: the accuracy as if all classes were equally frequent. */
#include "nn/metric_items.h"
#include <math.h>

/* Of each class (of each yes-no output: of its noes, of its yeses) the weight of the
 * items that are right, and of all. */
enum { HITS, ITEMS, BIN };

static Err add_balanced(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  if (measure_room(m, BIN * it.width * (it.binary ? 2 : 1), fault)) return fault->code;
  while (metric_next(&it, fault)) {
    const Item *item = &it.item;
    double *bin = &m->v[BIN * ((it.binary ? 2 * item->place : 0) + item->want - 1)];
    if (item->got == item->want) bin[HITS] += it.weight;
    bin[ITEMS] += it.weight;
  }
  return it.err;
}

/* The classes are independent samples. */
static Estimate balanced(const Measure *m) {
  double sum = 0, variance = 0, n_met = 0;
  for (int64_t i = 0; i + BIN <= m->n; i += BIN) {
    double n = m->v[i + ITEMS], p = m->v[i + HITS] / n;
    if (n == 0) continue;
    double own = metric_share_error(p, n);
    sum += p;
    variance += own * own;
    n_met++;
  }
  return n_met > 0 ? (Estimate){sum / n_met, sqrt(variance) / n_met}
                   : (Estimate){NAN, NAN};
}

static const Option options[] = {METRIC_READ, METRIC_THRESHOLD, {0}};

const MetricKind metric_balanced_accuracy = {
    .kind = {.name = "balanced_accuracy", .alias = "balanced_accuracy_score",
             .family = &metric_family, .size = sizeof(ClassMetric), .options = options,
             .check = metric_check_class_options,
             .doc = "The share of right rows in each class, mean over the classes that "
                    "occur: what the accuracy would be if all were equally frequent. "
                    "Of a yes-no output, yes and no are the classes.",
             .equation = "mean_c(p_c), p_c = hits_c / rows_c; standard error "
                         "sqrt(sum_c(p_c (1 - p_c) / rows_c)) / C",
             .source = "Brodersen et al., ICPR 2010, section II"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_balanced,
    .estimate = balanced};
