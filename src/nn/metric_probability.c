/* metric_probability.c: metrics of the probabilities themselves: perplexity, and how
 * far confidence is from accuracy. */
#include "nn/metric_items.h"
#include <math.h>

/* -- perplexity -------------------------------------------------------------------- */

/* Mean and spread of the items' cross-entropies, by West's update. */
enum { SEEN, MEAN, SPREAD, SQUARES, N_PERPLEXITY };

/* -log p of a class, as the cross-entropies compute it; of probabilities not more than
 * -log 1e-7. */
static double surprise(const MetricBatch *batch, const Reading *reading,
                       const RowScale *row, int64_t at, int64_t class) {
  double y = array_get(&batch->output, at + class - 1);
  if (reading->logits) return log(row->sum) + row->most - y;
  return isnan(y) ? NAN : -log(fmin(fmax(y / row->sum, 1e-7), 1));
}

static double yes_no_surprise(const Reading *reading, double y, double t) {
  if (reading->logits)
    return (1 - t) * y + (y > 0 ? log1p(exp(-y)) : log1p(exp(y)) - y);
  double p = fmin(fmax(y, 1e-7), 1), q = fmin(fmax(1 - y, 1e-7), 1);
  return isnan(y) ? NAN : -t * log(p) - (1 - t) * log(q);
}

static double item_surprise(const MetricBatch *batch, const Reading *reading, int64_t i,
                            const Item *item) {
  int64_t width = reading_width(&batch->output.shape);
  if (reading->as == READ_BINARY) {
    double t = array_get(&batch->target, i);
    bool label = batch->target.dtype != DT_REAL && !reading->numbers;
    return yes_no_surprise(reading, array_get(&batch->output, i), label ? t - 1 : t);
  }
  RowScale row = metric_row_scale(batch, reading, i * width, width);
  if (!shape_equal(&batch->output.shape, &batch->target.shape))
    return surprise(batch, reading, &row, i * width, item->want);
  double sum = 0;
  for (int64_t c = 1; c <= width; c++) {
    double t = array_get(&batch->target, i * width + c - 1);
    if (t != 0) sum += t * surprise(batch, reading, &row, i * width, c);
  }
  return sum;
}

static Err add_surprises(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = metric_reading(m->metric, batch);
  int64_t n = metric_n_items(batch, &reading);
  Err err = measure_room(m, N_PERPLEXITY, fault);
  for (int64_t i = 0; !err && i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    double x = item_surprise(batch, &reading, i, &item), off = x - m->v[MEAN];
    m->v[SEEN] += w;
    m->v[MEAN] += w * off / m->v[SEEN];
    m->v[SPREAD] += w * off * (x - m->v[MEAN]);
    m->v[SQUARES] += w * w;
  }
  return err;
}

static Err finish_perplexity(const Measure *m, Graph *graph, double *value,
                             Fault *fault) {
  (void)graph, (void)fault;
  *value = m->n && m->v[SEEN] > 0 ? exp(m->v[MEAN]) : NAN;
  return ERR_OK;
}

static double perplexity_error(const Measure *m, double value) {
  if (!m->n) return NAN;
  return value * metric_mean_error(m->v[SPREAD], m->v[SEEN], m->v[SQUARES]);
}

static const Option perplexity_options[] = {METRIC_READ, {0}};

const MetricKind metric_perplexity = {
    .kind = {.name = "perplexity", .alias = "Perplexity", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = perplexity_options,
             .check = metric_check_class_options,
             .doc = "Exponential of the mean cross-entropy: the number of equally "
                    "likely classes among which the outputs leave the choice. Outputs "
                    "are logits or probabilities, as the loss takes them.",
             .equation = "exp(H), H = mean_n(-log p[n, t_n]); standard error exp(H) "
                         "sd(-log p) / sqrt(n)",
             .source = "Jelinek et al., JASA 62 (1977), supplement S63"},
    .goal = GOAL_MIN, .check = metric_check_items, .add = add_surprises,
    .finish = finish_perplexity, .error = perplexity_error};

/* -- calibration ------------------------------------------------------------------- */

typedef struct Calibration {
  ClassMetric class;
  int64_t bins;
} Calibration;

/* Of each bin: weight of the items, and that times their confidence, times whether they
 * are right. */
enum { WEIGHT, SURE, RIGHT, BIN };

/* The probability of the class that the item is read as. */
static double confidence(const MetricBatch *batch, const Reading *reading, int64_t i,
                         const Item *item) {
  int64_t width = reading_width(&batch->output.shape);
  if (reading->as == READ_CATEGORICAL) {
    RowScale row = metric_row_scale(batch, reading, i * width, width);
    return exp(-surprise(batch, reading, &row, i * width, item->got));
  }
  double y = array_get(&batch->output, i);
  double yes = reading->logits ? 1 / (1 + exp(-y)) : y;
  return item->got == 2 ? yes : 1 - yes;
}

static void count_confidence(Measure *m, double sure, bool right, double weight) {
  int64_t bins = ((const Calibration *)m->metric)->bins;
  double at = ceil(sure * (double)bins) - 1;
  int64_t bin = at > 0 ? at < (double)bins ? (int64_t)at : bins - 1 : 0;
  double *v = &m->v[BIN * bin];
  v[WEIGHT] += weight;
  v[SURE] += weight * sure;
  v[RIGHT] += right ? weight : 0;
}

static Err add_confidences(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = metric_reading(m->metric, batch);
  int64_t n = metric_n_items(batch, &reading);
  Err err = measure_room(m, BIN * ((const Calibration *)m->metric)->bins, fault);
  for (int64_t i = 0; !err && i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    double sure = item.got ? confidence(batch, &reading, i, &item) : NAN;
    count_confidence(m, sure, item.got == item.want, w);
  }
  return err;
}

static Err finish_calibration(const Measure *m, Graph *graph, double *value,
                              Fault *fault) {
  (void)graph, (void)fault;
  double gap = 0, total = 0;
  for (int64_t b = 0; b < m->n; b += BIN) {
    gap += fabs(m->v[b + RIGHT] - m->v[b + SURE]);
    total += m->v[b + WEIGHT];
  }
  *value = total > 0 ? gap / total : NAN;
  return ERR_OK;
}

static const Option calibration_options[] = {
    METRIC_READ,
    {.name = "bins", .kind = OPT_INT, .offset = offsetof(Calibration, bins),
     .value = "15", .alias = "n_bins", .position = 1, .lo = 1, .hi = 1e6,
     .doc = "number of bins, of equal width, from confidence 0 to 1"},
    {0}};

const MetricKind metric_calibration_error = {
    .kind = {.name = "calibration_error", .alias = "ece expected_calibration_error",
             .family = &metric_family, .size = sizeof(Calibration),
             .options = calibration_options, .check = metric_check_class_options,
             .doc = "Expected calibration error: how far the share of right answers is "
                    "from their mean confidence, the probability of the class that "
                    "they are read as, over bins of confidence. It is above 0 for a "
                    "calibrated net, too, more so with few rows in a bin. NaN where an "
                    "output is NaN.",
             .equation = "ece = sum_b (n_b / n) |right_b - confidence_b|",
             .source = "Guo et al., ICML 2017, eq. 3"},
    .goal = GOAL_MIN, .high = 1, .check = metric_check_items, .add = add_confidences,
    .finish = finish_calibration};
