/* metric_numbers.c: the metrics of numbers: errors and the share of variance explained.
 * Sums over all elements, in double, each times the weight of its row. */
#include "nn/metric.h"
#include <math.h>

static Err check_numbers(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  (void)metric;
  char o[SHAPE_TEXT], t[SHAPE_TEXT];
  if (shape_equal(&batch->output.shape, &batch->target.shape)) return ERR_OK;
  return fault_set(fault, ERR_SHAPE,
                   "output and target must have the same shape; got output %s and "
                   "target %s",
                   shape_text(o, &batch->output.shape),
                   shape_text(t, &batch->target.shape));
}

/* -- errors ------------------------------------------------------------------------ */

static Err add_errors(Measure *m, const MetricBatch *batch, bool squared,
                      Fault *fault) {
  int64_t n = shape_count(&batch->output.shape);
  Err err = measure_room(m, N_OF_ROWS, fault);
  int64_t width = n / batch->output.shape.dim[0];
  double sum = 0, count = 0;
  if (err) return err;
  for (int64_t i = 0; i < n; i++) {
    double e = array_get(&batch->output, i) - array_get(&batch->target, i);
    double w = metric_weight(batch, i, n), x = w * (squared ? e * e : fabs(e));
    if (i % width == 0) sum = count = 0;
    if (w != 0) {
      m->v[OF_SUM] += x;
      m->v[OF_COUNT] += w;
      sum += x;
      count += w;
    }
    if ((i + 1) % width == 0) metric_end_row(m->v, sum, count);
  }
  return ERR_OK;
}

static Err add_squares(Measure *m, const MetricBatch *batch, Fault *fault) {
  return add_errors(m, batch, true, fault);
}

static Err add_distances(Measure *m, const MetricBatch *batch, Fault *fault) {
  return add_errors(m, batch, false, fault);
}

static Estimate mean(const Measure *m) { return metric_mean_of_rows(m->v); }

static Estimate root(const Measure *m) {
  Estimate of = metric_mean_of_rows(m->v);
  double value = sqrt(of.value);
  return (Estimate){value, of.error / (2 * value)};
}

/* -- r2 ---------------------------------------------------------------------------- */

/* SEEN: sum of weights of elements, ROWS: of rows. */
enum { RESIDUAL, SEEN, MEAN, SPREAD, ROWS, N_R2 };

static Err add_r2(Measure *m, const MetricBatch *batch, Fault *fault) {
  int64_t n = shape_count(&batch->output.shape);
  Err err = measure_room(m, N_R2, fault);
  if (err) return err;
  for (int64_t i = 0; i < n; i++) {
    double t = array_get(&batch->target, i), e = array_get(&batch->output, i) - t;
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if (i % (n / batch->output.shape.dim[0]) == 0) m->v[ROWS] += w;
    m->v[RESIDUAL] += w * (e * e);
    m->v[SEEN] += w;
    metric_spread(&m->v[MEAN], &m->v[SPREAD], t, w, m->v[SEEN]);
  }
  return ERR_OK;
}

static Estimate r2(const Measure *m) {
  double value = m->v[SPREAD] > 0 ? 1 - m->v[RESIDUAL] / m->v[SPREAD] : NAN;
  return (Estimate){
      value, value >= 0 ? 2 * sqrt(value) * (1 - value) / sqrt(m->v[ROWS]) : NAN};
}

/* -- records ----------------------------------------------------------------------- */

static const Option options[] = {METRIC_NAME, {0}};

#define EXAMPLE_OF(name)                                                               \
  "train.fit(nn.Sequential { nn.Dense(1) }, data.regression { n = 90 }, {\n"           \
  "  epochs = 2, loss = \"mse\", metrics = { train." name "() } })"

const MetricKind metric_mse = {
    .kind = {.name = "mse", .alias = "mean_squared_error", .family = &metric_family,
             .size = sizeof(Metric), .options = options, .check = metric_check_name,
             .example = EXAMPLE_OF("mse"),
             .doc = "Mean squared error over all elements.",
             .equation = "mse = mean((y - t)^2); standard error sd(mean of a row) / "
                         "sqrt(n)",
             .source = "Goodfellow et al., Deep Learning, 5.1.2"},
    .goal = GOAL_MIN, .check = check_numbers, .add = add_squares, .estimate = mean};

const MetricKind metric_mae = {
    .kind = {.name = "mae", .alias = "mean_absolute_error", .family = &metric_family,
             .size = sizeof(Metric), .options = options, .check = metric_check_name,
             .example = EXAMPLE_OF("mae"),
             .doc = "Mean absolute error over all elements.",
             .equation = "mae = mean(|y - t|); standard error sd(mean of a row) / "
                         "sqrt(n)",
             .source = "Willmott and Matsuura, Climate Research 30 (2005)"},
    .goal = GOAL_MIN, .check = check_numbers, .add = add_distances, .estimate = mean};

const MetricKind metric_rmse = {
    .kind = {.name = "rmse", .alias = "root_mean_squared_error",
             .family = &metric_family,
             .size = sizeof(Metric), .options = options, .check = metric_check_name,
             .example = EXAMPLE_OF("rmse"),
             .doc = "Root of the mean squared error over all elements, in the unit of "
                    "the targets.",
             .equation = "rmse = sqrt(mean((y - t)^2)); standard error that of mse / "
                         "(2 rmse)",
             .source = "Willmott and Matsuura, Climate Research 30 (2005)"},
    .goal = GOAL_MIN, .check = check_numbers, .add = add_squares, .estimate = root};

const MetricKind metric_r2 = {
    .kind = {.name = "r2", .alias = "r2_score", .family = &metric_family,
             .size = sizeof(Metric), .options = options, .check = metric_check_name,
             .example = EXAMPLE_OF("r2"),
             .doc = "Share of the targets' variance that the outputs explain, over all "
                    "elements: 1 is perfect, 0 as good as always giving their mean, "
                    "below 0 worse; NaN where all targets are equal.",
             .equation = "r2 = 1 - sum((y - t)^2) / sum((t - mean(t))^2); standard "
                         "error 2 sqrt(r2) (1 - r2) / sqrt(n), for errors that do not "
                         "depend on y",
             .source = "Draper and Smith, Applied Regression Analysis, 1.3"},
    .goal = GOAL_MAX, .check = check_numbers, .add = add_r2, .estimate = r2};
