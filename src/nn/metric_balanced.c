/* metric_balanced.c: the accuracy as if all classes were equally frequent. */
#include "nn/metric_items.h"
#include <math.h>

/* Of each class (of each yes-no output: of its noes, of its yeses) the weight of the
 * items that are right, and of all. */
enum { HITS, ITEMS, BIN };

static Err add_balanced(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = metric_reading(m->metric, batch);
  bool binary = reading.as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape),
          n = metric_n_items(batch, &reading);
  Err err = measure_room(m, BIN * width * (binary ? 2 : 1), fault);
  for (int64_t i = 0; !err && i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    double *bin = &m->v[BIN * ((binary ? 2 * item.place : 0) + item.want - 1)];
    if (item.got == item.want) bin[HITS] += w;
    bin[ITEMS] += w;
  }
  return err;
}

static Err finish_balanced(const Measure *m, Graph *graph, double *value,
                           Fault *fault) {
  (void)graph, (void)fault;
  double sum = 0, n_met = 0;
  for (int64_t i = 0; i + BIN <= m->n; i += BIN) {
    if (m->v[i + ITEMS] == 0) continue;
    sum += m->v[i + HITS] / m->v[i + ITEMS];
    n_met++;
  }
  *value = n_met > 0 ? sum / n_met : NAN;
  return ERR_OK;
}

/* The classes are independent samples. */
static double error(const Measure *m, double value) {
  (void)value;
  double sum = 0, n_met = 0;
  for (int64_t i = 0; i + BIN <= m->n; i += BIN) {
    double n = m->v[i + ITEMS];
    if (n == 0) continue;
    double own = metric_share_error(m->v[i + HITS] / n, n);
    sum += own * own;
    n_met++;
  }
  return n_met > 0 ? sqrt(sum) / n_met : NAN;
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
    .finish = finish_balanced, .error = error};
