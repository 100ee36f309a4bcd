/* metric_rank.c: is the right class among the largest outputs of a row? */
#include "nn/metric_items.h"
#include <math.h>

typedef struct TopK {
  ClassMetric class;
  int64_t k;
} TopK;

/* Does the row hold fewer than k outputs larger than that of the class, and no NaN?
 * Ties are in favour. */
static bool is_among(const MetricBatch *batch, int64_t row, int64_t class, int64_t k) {
  int64_t width = reading_width(&batch->output.shape), n_larger = 0;
  double own = array_get(&batch->output, row * width + class - 1);
  for (int64_t c = 0; c < width; c++) {
    double other = array_get(&batch->output, row * width + c);
    if (isnan(other)) return false;
    n_larger += other > own;
  }
  return n_larger < k;
}

static Err check_rows(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  int64_t k = ((const TopK *)metric)->k, width = reading_width(&batch->output.shape);
  Err err = metric_check_items(metric, batch, fault);
  if (err || k < width) return err;
  return fault_set(fault, ERR_VALUE,
                   "the right one of %lld classes is always among the %lld largest; "
                   "allowed: k from 1 to %lld",
                   (long long)width, (long long)k, (long long)width - 1);
}

static Err add_rows(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  int64_t k = ((const TopK *)m->metric)->k;
  if (measure_room(m, N_SHARE, fault)) return fault->code;
  while (metric_next(&it, fault))
    metric_count(m, is_among(batch, it.at, it.item.want, k), it.weight);
  return it.err;
}

static Err check(Object *object, Fault *fault) {
  ((ClassMetric *)object)->as = READ_CATEGORICAL;
  ((ClassMetric *)object)->threshold = NAN;
  return metric_check_name(object, fault);
}

static const Option options[] = {
    METRIC_NAME,
    {.name = "k", .kind = OPT_INT, .offset = offsetof(TopK, k), .value = "5",
     .position = 1, .lo = 1, .hi = 1e9, .doc = "number of largest outputs that count"},
    {0}};

const MetricKind metric_top_k = {
    .kind = {.name = "top_k_accuracy",
             .alias = "top_k top_k_categorical_accuracy "
                      "sparse_top_k_categorical_accuracy TopKCategoricalAccuracy",
             .family = &metric_family, .size = sizeof(TopK), .options = options,
             .check = check,
             .example = "local set = data.spirals { n = 90, classes = 7 }\n"
                        "local top_3 = train.top_k_accuracy(3)\n"
                        "train.fit(nn.Sequential { nn.Dense(7) }, set,\n"
                        "  { loss = \"cross_entropy\", metrics = { top_3 } })",
             .doc = "Share of rows whose class is among the k largest outputs. Ties "
                    "count as right, a row with a NaN as wrong.",
             .equation = "p = mean_n(fewer than k outputs of row n are above y[n, "
                         "t_n]); standard error sqrt(p (1 - p) / n)",
             .source = "Russakovsky et al., IJCV 115 (2015), section 4.1"},
    .goal = GOAL_MAX, .high = 1, .share = true, .check = check_rows, .add = add_rows,
    .estimate = metric_share};
