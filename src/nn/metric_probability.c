/* metric_probability.c: metrics of the probabilities themselves: perplexity, and how
 * far confidence is from accuracy. */
#include "nn/metric_items.h"
#include <math.h>

/* -- perplexity -------------------------------------------------------------------- */

/* Mean and spread of the items' cross-entropies. */
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

static double item_surprise(const Items *it) {
  const MetricBatch *batch = it->batch;
  const Reading *reading = &it->reading;
  int64_t width = it->width, i = it->at;
  if (it->binary) {
    double t = array_get(&batch->target, i);
    bool label = batch->target.dtype != DT_REAL && !reading->numbers;
    return yes_no_surprise(reading, array_get(&batch->output, i), label ? t - 1 : t);
  }
  RowScale row = metric_row_scale(batch, reading, i * width, width);
  if (!shape_equal(&batch->output.shape, &batch->target.shape))
    return surprise(batch, reading, &row, i * width, it->item.want);
  double sum = 0;
  for (int64_t c = 1; c <= width; c++) {
    double t = array_get(&batch->target, i * width + c - 1);
    if (t != 0) sum += t * surprise(batch, reading, &row, i * width, c);
  }
  return sum;
}

static Err add_surprises(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  if (measure_room(m, N_PERPLEXITY, fault)) return fault->code;
  while (metric_next(&it, fault)) {
    double w = it.weight;
    m->v[SEEN] += w;
    metric_spread(&m->v[MEAN], &m->v[SPREAD], item_surprise(&it), w, m->v[SEEN]);
    m->v[SQUARES] += w * w;
  }
  return it.err;
}

static Estimate perplexity(const Measure *m) {
  double value = m->v[SEEN] > 0 ? exp(m->v[MEAN]) : NAN;
  double of_mean = metric_mean_error(m->v[SPREAD], m->v[SEEN], m->v[SQUARES]);
  return (Estimate){value, value * of_mean};
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
    .estimate = perplexity};

/* -- calibration ------------------------------------------------------------------- */

typedef struct Calibration {
  ClassMetric class;
  int64_t bins;
} Calibration;

/* Of each bin: weight of the items, and that times their confidence, times whether they
 * are right. Behind all bins, of each: mean and spread of the items' gaps, right (1 or
 * 0) - confidence, and the sum of the squares of their weights. */
enum { WEIGHT, SURE, RIGHT, BIN, GAP = 0, GAP_SPREAD, GAP_SQUARES, GAPS };

static int64_t n_bins(const Measure *m) {
  return ((const Calibration *)m->metric)->bins;
}

/* The probability of the class that the item is read as. */
static double confidence(const Items *it) {
  int64_t got = it->item.got, at = it->at * it->width;
  if (!got) return NAN;
  if (!it->binary) {
    RowScale row = metric_row_scale(it->batch, &it->reading, at, it->width);
    return exp(-surprise(it->batch, &it->reading, &row, at, got));
  }
  double y = array_get(&it->batch->output, it->at);
  double yes = it->reading.logits ? 1 / (1 + exp(-y)) : y;
  return got == 2 ? yes : 1 - yes;
}

static void count_confidence(Measure *m, double sure, bool right, double weight) {
  int64_t bins = n_bins(m);
  double at = ceil(sure * (double)bins) - 1;
  int64_t bin = at > 0 ? at < (double)bins ? (int64_t)at : bins - 1 : 0;
  double *v = &m->v[BIN * bin], *gaps = &m->v[BIN * bins + GAPS * bin];
  v[WEIGHT] += weight;
  v[SURE] += weight * sure;
  v[RIGHT] += right ? weight : 0;
  metric_spread(&gaps[GAP], &gaps[GAP_SPREAD], right - sure, weight, v[WEIGHT]);
  gaps[GAP_SQUARES] += weight * weight;
}

static Err add_confidences(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  if (measure_room(m, (BIN + GAPS) * n_bins(m), fault)) return fault->code;
  while (metric_next(&it, fault))
    count_confidence(m, confidence(&it), it.item.got == it.item.want, it.weight);
  return it.err;
}

/* With the sign of its bin's mean gap the gap of an item is one of many whose mean is
 * the calibration error: its error is theirs, the derivative of that mean. */
static Estimate calibration(const Measure *m) {
  int64_t bins = n_bins(m);
  const double *gaps = &m->v[BIN * bins];
  double gap = 0, total = 0, spread = 0, squares = 0;
  for (int64_t b = 0; b < BIN * bins; b += BIN) {
    gap += fabs(m->v[b + RIGHT] - m->v[b + SURE]);
    total += m->v[b + WEIGHT];
  }
  double value = total > 0 ? gap / total : NAN;
  for (int64_t b = 0; b < bins; b++, gaps += GAPS) {
    double off = fabs(gaps[GAP]) - value;
    spread += gaps[GAP_SPREAD] + m->v[BIN * b + WEIGHT] * off * off;
    squares += gaps[GAP_SQUARES];
  }
  return (Estimate){value, metric_mean_error(spread, total, squares)};
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
                    "calibrated net, too, more so with few rows in a bin; there the "
                    "standard error is up to 1.7 times too large. NaN where an output "
                    "is NaN.",
             .equation = "ece = sum_b (n_b / n) |right_b - confidence_b|; standard "
                         "error sd(s_b (right - confidence)) / sqrt(n) over rows, s_b "
                         "the sign of right_b - confidence_b (delta method)",
             .source = "Guo et al., ICML 2017, eq. 3; van der Vaart, Asymptotic "
                       "Statistics, chapter 3"},
    .goal = GOAL_MIN, .high = 1, .check = metric_check_items, .add = add_confidences,
    .estimate = calibration};
