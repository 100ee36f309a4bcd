/* metric_items.c: outputs and targets as items of classes; see metric_items.h. */
#include "nn/metric_items.h"
#include <math.h>
#include <stdio.h>

void metric_read(const Metric *metric, Reading *reading) {
  const ClassMetric *c = (const ClassMetric *)metric;
  if (c->as != READ_UNKNOWN) reading->as = (ReadAs)c->as;
  if (!isnan(c->threshold)) reading->threshold = c->threshold;
}

Reading metric_reading(const Metric *metric, const MetricBatch *batch) {
  Reading reading = batch->reading;
  metric_read(metric, &reading);
  return reading;
}

static bool is_distribution(const MetricBatch *batch) {
  return shape_equal(&batch->output.shape, &batch->target.shape);
}

static Err bad_label(const MetricBatch *batch, double got, const char *allowed,
                     Fault *fault) {
  char number[32];
  return fault_set(fault, ERR_DATA, "a target is %s; allowed: %s%s",
                   text_number(number, got), allowed,
                   batch->target.dtype != DT_REAL && got == 0
                       ? "; :cast \"real\" makes numbers of labels, label_base = 0 "
                         "counts them from 0"
                       : "");
}

static Err yes_no_item(const MetricBatch *batch, const Reading *reading, int64_t i,
                       Item *out, Fault *fault) {
  double t = array_get(&batch->target, i);
  bool label = batch->target.dtype != DT_REAL && !reading->numbers;
  if (label && t != 1 && t != 2)
    return bad_label(batch, t, "labels 1 (no) and 2 (yes)", fault);
  if (!label && !(t >= 0 && t <= 1))
    return bad_label(batch, t, "numbers from 0 to 1", fault);
  out->place = i % reading_width(&batch->output.shape);
  if (batch->output.data) out->got = reading_yes(reading, array_get(&batch->output, i));
  out->want = t >= (label ? 2 : 0.5) ? 2 : 1;
  return ERR_OK;
}

static Err class_item(const MetricBatch *batch, int64_t i, Item *out, Fault *fault) {
  int64_t n = reading_width(&batch->output.shape);
  out->place = 0;
  if (batch->output.data) out->got = reading_largest(&batch->output, i * n, n);
  if (is_distribution(batch)) {
    out->want = reading_largest(&batch->target, i * n, n);
    return out->want ? ERR_OK : bad_label(batch, NAN, "numbers from 0 to 1", fault);
  }
  double t = array_get(&batch->target, i);
  out->want = t >= 1 && t <= (double)n ? (int64_t)t : 0;
  if (out->want && (double)out->want == t) return ERR_OK;
  char allowed[64];
  snprintf(allowed, sizeof allowed, "labels from 1 to %lld", (long long)n);
  return bad_label(batch, t, allowed, fault);
}

Items metric_items(const Metric *metric, const MetricBatch *batch) {
  Items items = {.batch = batch, .reading = metric_reading(metric, batch), .at = -1,
                 .n = shape_count(&batch->output.shape),
                 .width = reading_width(&batch->output.shape)};
  items.binary = items.reading.as == READ_BINARY;
  if (!items.binary) items.n /= items.width;
  return items;
}

bool metric_next(Items *it, Fault *fault) {
  while (!it->err && ++it->at < it->n) {
    it->weight = metric_weight(it->batch, it->at, it->n);
    if (it->weight == 0) continue;
    it->item = (Item){0};
    it->err = it->binary
                  ? yes_no_item(it->batch, &it->reading, it->at, &it->item, fault)
                  : class_item(it->batch, it->at, &it->item, fault);
    if (!it->err) return true;
  }
  return false;
}

Estimate metric_share(const Measure *m) {
  double all = m->v[SHARE_ALL], p = all > 0 ? m->v[SHARE_RIGHT] / all : NAN;
  return (Estimate){p, metric_share_error(p, all)};
}

/* -- probabilities ----------------------------------------------------------------- */

double metric_share_at(const MetricBatch *batch, const Reading *reading, int64_t i,
                       double most) {
  double value = array_get(&batch->output, i);
  return reading->logits ? exp(value - most) : value;
}

RowScale metric_row_scale(const MetricBatch *batch, const Reading *reading, int64_t at,
                          int64_t width) {
  RowScale row = {-INFINITY, 0};
  for (int64_t c = 0; c < width; c++)
    row.most = fmax(row.most, array_get(&batch->output, at + c));
  if (!reading->logits && !reading->divided) return (RowScale){row.most, 1};
  for (int64_t c = 0; c < width; c++)
    row.sum += metric_share_at(batch, reading, at + c, row.most);
  if (row.sum == 0) row.sum = 1; /* zeros stay */
  return row;
}

/* -- what can be measured ---------------------------------------------------------- */

static Err refuse_shapes(const MetricBatch *batch, const char *allowed, Fault *fault) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE, "targets must be %s; got output %s and target %s",
                   allowed, shape_text(o, &batch->output.shape),
                   shape_text(t, &batch->target.shape));
}

static Err check_class_shapes(const Metric *metric, const MetricBatch *batch,
                              Fault *fault) {
  Reading reading = metric_reading(metric, batch);
  int64_t width = reading_width(&batch->output.shape);
  int64_t n = shape_count(&batch->output.shape),
          n_targets = shape_count(&batch->target.shape);
  const char *name = metric->object.kind->name;
  if (reading.as == READ_UNKNOWN)
    return fault_set(fault, ERR_VALUE,
                     "whether outputs are classes or yes-no answers does not follow "
                     "from the loss: say so, as in train.%s { kind = \"categorical\" } "
                     "(or \"binary\")",
                     name);
  if (reading.as == READ_BINARY)
    return n == n_targets
               ? ERR_OK
               : refuse_shapes(batch,
                               "of the outputs' shape, one for each yes-no output",
                               fault);
  if (width == 1)
    return fault_set(fault, ERR_SHAPE,
                     "one output has no classes; for a yes-no output say kind = "
                     "\"binary\"");
  if (is_distribution(batch) || n_targets * width == n) return ERR_OK;
  return refuse_shapes(batch, "labels [N], or of the outputs' shape", fault);
}

Err metric_check_items(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  Err err = check_class_shapes(metric, batch, fault);
  if (err || !batch->target.data || batch->output.data) return err;
  Items it = metric_items(metric, batch);
  while (metric_next(&it, fault)) continue;
  return it.err;
}

/* -- options ----------------------------------------------------------------------- */

const char *const metric_as_names[] = {"auto", "categorical", "binary", NULL};

Err metric_check_class_options(Object *object, Fault *fault) {
  const ClassMetric *c = (const ClassMetric *)object;
  if (metric_check_name(object, fault)) return fault->code;
  if (isnan(c->threshold) || c->as != READ_CATEGORICAL) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.%s: option \"threshold\" is of yes-no outputs; with kind = "
                   "\"categorical\" the largest output counts",
                   object->kind->name);
}
