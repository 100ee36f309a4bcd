/* metric_confusion.c: how often each class is taken for each: a matrix. */
#include "nn/metric_items.h"

/* v[0]: classes; then rows of true classes, columns of predicted ones. */
enum { CLASSES, FIRST };

static Err check_items(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  Err err = metric_check_items(metric, batch, fault);
  int64_t width = reading_width(&batch->output.shape);
  if (err || metric_reading(metric, batch).as == READ_CATEGORICAL || width == 1)
    return err;
  return fault_set(fault, ERR_SHAPE,
                   "%lld yes-no outputs have a matrix each; allowed: classes, or one "
                   "yes-no output",
                   (long long)width);
}

static Err add_items(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  int64_t classes = it.binary ? 2 : it.width;
  if (measure_room(m, FIRST + classes * classes, fault)) return fault->code;
  m->v[CLASSES] = (double)classes;
  while (metric_next(&it, fault))
    if (it.item.got)
      m->v[FIRST + (it.item.want - 1) * classes + it.item.got - 1] += it.weight;
  return it.err;
}

static Err table(const Measure *m, Tensor **out, Fault *fault) {
  int64_t classes = m->n ? (int64_t)m->v[CLASSES] : 0;
  *out = tensor_new(NULL, DT_REAL, &SHAPE_OF(classes, classes), fault);
  for (int64_t i = 0; *out && i < classes * classes; i++)
    array_set(&(*out)->a, i, m->v[FIRST + i]);
  return *out ? ERR_OK : fault->code;
}

static const Option options[] = {METRIC_READ, METRIC_THRESHOLD, {0}};

const MetricKind metric_confusion_matrix = {
    .kind = {.name = "confusion_matrix", .alias = "confusion", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = options,
             .check = metric_check_class_options,
             .example = "local h = train.fit(nn.Sequential { nn.Dense(2) },\n"
                        "  data.moons { n = 90 }, { loss = \"cross_entropy\",\n"
                        "  validation = 0.3, metrics = { \"confusion_matrix\" } })\n"
                        "print(h.val_confusion_matrix)",
             .doc = "A matrix of how many rows of each class (down) are taken for each "
                    "class (across). net:evaluate returns it, train.fit measures it at "
                    "the end; it cannot be monitored. Of a yes-no output, no is 1 and "
                    "yes 2. A row whose output is NaN is in no column.",
             .equation = "m[t, j] = number of rows n with t_n = t and argmax_k y[n, k] "
                         "= j",
             .source = "Stehman, Remote Sensing of Environment 62 (1997)"},
    .check = check_items, .add = add_items, .table = table};
