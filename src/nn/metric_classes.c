/* metric_classes.c: the metrics of classes and of yes-no answers.
 *
 * All of them read outputs as the loss does (reading.h), or as their options say. What is
 * counted is an item: a row of outputs read by its largest, or one yes-no output. An item
 * whose output is NaN has no class: it is wrong, and no prediction of any class.
 *
 * Of C classes, or of C yes-no outputs, each is a question of its own: is it this one? Their
 * hits, false alarms and misses are added up, and precision, recall and f1 made of them. */
#include "nn/metric.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum Average { AVERAGE_AUTO, AVERAGE_BINARY, AVERAGE_MACRO, AVERAGE_MICRO } Average;
static const char *const average_names[] = {"auto", "binary", "macro", "micro", NULL};
static const char *const as_names[] = {"auto", "categorical", "binary", NULL};

typedef struct ClassMetric {
  Metric metric;
  int as;                      /* ReadAs; READ_UNKNOWN: as the loss does */
  double threshold;            /* NaN: that of the loss */
  int average;                 /* Average */
} ClassMetric;

/* -- items ----------------------------------------------------------------------------- */

/* An item: what it was read as and what it is, 1 .. n_classes (yes-no: 1 no, 2 yes); got 0:
 * NaN, or there are targets alone. `place`: of the yes-no output in its row, from 0. */
typedef struct Item {
  int64_t place, got, want;
} Item;

static void read_class_metric(const Metric *metric, Reading *reading) {
  const ClassMetric *c = (const ClassMetric *)metric;
  if (c->as != READ_UNKNOWN) reading->as = (ReadAs)c->as;
  if (!isnan(c->threshold)) reading->threshold = c->threshold;
}

static Reading reading_for(const Metric *metric, const MetricBatch *batch) {
  Reading reading = batch->reading;
  read_class_metric(metric, &reading);
  return reading;
}

static bool is_distribution(const MetricBatch *batch) {
  return shape_equal(&batch->output.shape, &batch->target.shape);
}

static int64_t n_items(const MetricBatch *batch, const Reading *reading) {
  int64_t n = shape_count(&batch->output.shape);
  return reading->as == READ_BINARY ? n : n / reading_width(&batch->output.shape);
}

static Err bad_label(const MetricBatch *batch, double got, const char *allowed, Fault *fault) {
  char number[32];
  return fault_set(fault, ERR_DATA, "a target is %s; allowed: %s%s", text_number(number, got),
                   allowed, batch->target.dtype != DT_REAL && got == 0
                                ? "; :cast \"real\" makes numbers of labels, label_base = 0 "
                                  "counts them from 0" : "");
}

static Err yes_no_item(const MetricBatch *batch, const Reading *reading, int64_t i, Item *out,
                       Fault *fault) {
  double t = array_get(&batch->target, i);
  bool label = batch->target.dtype != DT_REAL && !reading->numbers;
  if (label && t != 1 && t != 2) return bad_label(batch, t, "labels 1 (no) and 2 (yes)", fault);
  if (!label && !(t >= 0 && t <= 1)) return bad_label(batch, t, "numbers from 0 to 1", fault);
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

static Err item_at(const MetricBatch *batch, const Reading *reading, int64_t i, Item *out,
                   Fault *fault) {
  return reading->as == READ_BINARY ? yes_no_item(batch, reading, i, out, fault)
                                    : class_item(batch, i, out, fault);
}

/* -- what can be measured ---------------------------------------------------------------- */

static Err refuse_shapes(const MetricBatch *batch, const char *allowed, Fault *fault) {
  char o[SHAPE_TEXT], t[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE, "targets must be %s; got output %s and target %s", allowed,
                   shape_text(o, &batch->output.shape), shape_text(t, &batch->target.shape));
}

static Err check_class_shapes(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  Reading reading = reading_for(metric, batch);
  int64_t width = reading_width(&batch->output.shape);
  int64_t n = shape_count(&batch->output.shape), n_targets = shape_count(&batch->target.shape);
  const char *name = metric->object.kind->name;
  if (reading.as == READ_UNKNOWN)
    return fault_set(fault, ERR_VALUE, "whether outputs are classes or yes-no answers does not "
                     "follow from the loss: say so, as in train.%s { kind = \"categorical\" } "
                     "(or \"binary\")", name);
  if (reading.as == READ_BINARY)
    return n == n_targets ? ERR_OK
           : refuse_shapes(batch, "of the outputs' shape, one for each yes-no output", fault);
  if (width == 1)
    return fault_set(fault, ERR_SHAPE, "one output has no classes; for a yes-no output say "
                     "kind = \"binary\"");
  if (is_distribution(batch) || n_targets * width == n) return ERR_OK;
  return refuse_shapes(batch, "labels [N], or of the outputs' shape", fault);
}

static Err check_classes(const Metric *metric, const MetricBatch *batch, Fault *fault) {
  Err err = check_class_shapes(metric, batch, fault);
  if (err || !batch->target.data || batch->output.data) return err;
  Reading reading = reading_for(metric, batch);
  for (int64_t i = 0; !err && i < n_items(batch, &reading); i++) {
    Item item = {0};
    err = item_at(batch, &reading, i, &item, fault);
  }
  return err;
}

/* -- accuracy -------------------------------------------------------------------------- */

enum { HITS, ITEMS, N_ACCURACY };

static Err add_accuracy(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = reading_for(m->metric, batch);
  Err err = measure_room(m, N_ACCURACY, fault);
  int64_t n = n_items(batch, &reading);
  if (err) return err;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if ((err = item_at(batch, &reading, i, &item, fault))) return err;
    if (item.got == item.want) m->v[HITS] += w;
    m->v[ITEMS] += w;
  }
  return ERR_OK;
}

static Err finish_accuracy(const Measure *m, Graph *graph, double *value, Fault *fault) {
  (void)graph, (void)fault;
  *value = m->n && m->v[ITEMS] > 0 ? m->v[HITS] / m->v[ITEMS] : NAN;
  return ERR_OK;
}

/* -- precision, recall, f1 ----------------------------------------------------------------- */

/* Of each question (class, or yes-no output), behind whether there is one only. */
typedef struct Tally {
  double hits, alarms, misses; /* alarms: predicted wrongly, misses: not predicted */
} Tally;

enum { SINGLE, FIRST_TALLY, TALLY = 3 };

static void count_at(Measure *m, int64_t question, bool got, bool want, double weight) {
  double *v = &m->v[FIRST_TALLY + TALLY * question];
  if (got && want) v[0] += weight;
  else if (got) v[1] += weight;
  else if (want) v[2] += weight;
}

static Err add_tallies(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = reading_for(m->metric, batch);
  bool binary = reading.as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape), n = n_items(batch, &reading);
  Err err = measure_room(m, FIRST_TALLY + TALLY * width, fault);
  if (err) return err;
  m->v[SINGLE] = binary ? width == 1 : width == 2;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if ((err = item_at(batch, &reading, i, &item, fault))) return err;
    for (int64_t c = 1; c <= (binary ? 1 : width); c++) {
      int64_t class = binary ? 2 : c;
      count_at(m, binary ? item.place : c - 1, item.got == class, item.want == class, w);
    }
  }
  return ERR_OK;
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

static double precision_of(const Tally *t) { return share(t->hits, t->hits + t->alarms); }
static double recall_of(const Tally *t) { return share(t->hits, t->hits + t->misses); }
static double f1_of(const Tally *t) {
  return share(2 * t->hits, 2 * t->hits + t->alarms + t->misses);
}

/* Classes that neither occur nor are predicted are left out of the mean. */
static double averaged(const Measure *m, Average average, double (*of)(const Tally *)) {
  int64_t n = (m->n - FIRST_TALLY) / TALLY, n_met = 0;
  Tally all = {0};
  double sum = 0;
  for (int64_t q = 0; q < n; q++) {
    const double *v = &m->v[FIRST_TALLY + TALLY * q];
    Tally t = {v[0], v[1], v[2]};
    all = (Tally){all.hits + t.hits, all.alarms + t.alarms, all.misses + t.misses};
    if (t.hits + t.alarms + t.misses == 0) continue;
    sum += of(&t);
    n_met++;
  }
  if (average == AVERAGE_MICRO) return of(&all);
  return share(sum, (double)n_met);
}

static Err finish_tallies(const Measure *m, double (*of)(const Tally *), double *value,
                          Fault *fault) {
  Average average = (Average)((const ClassMetric *)m->metric)->average;
  *value = NAN;
  if (!m->n) return ERR_OK;
  if (average == AVERAGE_AUTO) average = m->v[SINGLE] ? AVERAGE_BINARY : AVERAGE_MACRO;
  if (average != AVERAGE_BINARY) {
    *value = averaged(m, average, of);
    return ERR_OK;
  }
  if (!m->v[SINGLE])
    return fault_set(fault, ERR_VALUE, "average = \"binary\" is for two classes or one yes-no "
                     "output, not for %lld; allowed here: \"macro\", \"micro\"",
                     (long long)((m->n - FIRST_TALLY) / TALLY));
  const double *v = &m->v[m->n - TALLY];   /* of class 2, or of yes */
  *value = of(&(Tally){v[0], v[1], v[2]});
  return ERR_OK;
}

static Err finish_precision(const Measure *m, Graph *graph, double *value, Fault *fault) {
  (void)graph;
  return finish_tallies(m, precision_of, value, fault);
}

static Err finish_recall(const Measure *m, Graph *graph, double *value, Fault *fault) {
  (void)graph;
  return finish_tallies(m, recall_of, value, fault);
}

static Err finish_f1(const Measure *m, Graph *graph, double *value, Fault *fault) {
  (void)graph;
  return finish_tallies(m, f1_of, value, fault);
}

/* -- auc ------------------------------------------------------------------------------- */

typedef struct Scored {
  double score;
  double yes;                  /* weight of the row if it is, 0 if it is not */
  double no;                   /* 0 if it is, the weight of the row if it is not */
} Scored;

/* v[0]: questions; then of each row, for each question, score and signed weight: above 0 a
 * yes, below 0 a no. Rows of weight 0 are not there. */
enum { QUESTIONS, FIRST_SCORED };

/* What makes a row of outputs probabilities, as the loss does: divided by the sum, of logits
 * behind exp(y - most). */
typedef struct RowScale {
  double most, sum;
} RowScale;

static double share_at(const MetricBatch *batch, const Reading *reading, int64_t i, double most) {
  double value = array_get(&batch->output, i);
  return reading->logits ? exp(value - most) : value;
}

static RowScale row_scale(const MetricBatch *batch, const Reading *reading, int64_t at,
                          int64_t width) {
  RowScale row = {-INFINITY, 0};
  for (int64_t c = 0; c < width; c++) row.most = fmax(row.most, array_get(&batch->output, at + c));
  if (!reading->logits && !reading->divided) return (RowScale){row.most, 1};
  for (int64_t c = 0; c < width; c++) row.sum += share_at(batch, reading, at + c, row.most);
  if (row.sum == 0) row.sum = 1;   /* zeros stay */
  return row;
}

/* Scores of the classes of a row: their probabilities. Of two, one question: where the loss
 * does not divide them, the difference of the outputs, which orders rows as the probability of
 * class 2 does, with its ties. */
static void score_classes(const MetricBatch *batch, const Reading *reading, int64_t at,
                          int64_t width, double *score) {
  if (width == 2 && !reading->divided) {
    score[0] = array_get(&batch->output, at + 1) - array_get(&batch->output, at);
    return;
  }
  RowScale row = row_scale(batch, reading, at, width);
  for (int64_t c = width == 2 ? 1 : 0, q = 0; c < width; c++, q++)
    score[2 * q] = share_at(batch, reading, at + c, row.most) / row.sum;
}

/* Score and answer of item i into `v`, of each question that it belongs to. */
static void put_scores(const MetricBatch *batch, const Reading *reading, int64_t i,
                       const Item *item, int64_t questions, double weight, double *v) {
  bool binary = reading->as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape), own = binary ? 1 : questions;
  if (binary) v[0] = array_get(&batch->output, i);
  else score_classes(batch, reading, i * width, width, v);
  for (int64_t q = 0; q < own; q++)
    v[2 * q + 1] = item->want == (questions == 1 || binary ? 2 : q + 1) ? weight : -weight;
}

static Err add_scores(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = reading_for(m->metric, batch);
  bool binary = reading.as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape), n = n_items(batch, &reading);
  int64_t questions = binary ? width : width == 2 ? 1 : width;
  int64_t rows = binary ? n / width : n, at = m->n ? m->n : FIRST_SCORED;
  int64_t end = at + 2 * rows * questions;
  if ((uint64_t)end * sizeof *m->v > m->limit_bytes)
    return fault_set(fault, ERR_VALUE, "the scores of all rows are more than %lld MB; measure "
                     "fewer rows", (long long)(m->limit_bytes >> 20));
  Err err = measure_room(m, end, fault);
  if (err) return err;
  m->v[QUESTIONS] = (double)questions;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if ((err = item_at(batch, &reading, i, &item, fault))) return err;
    put_scores(batch, &reading, i, &item, questions, w,
               &m->v[at + 2 * i * (binary ? 1 : questions)]);
  }
  return ERR_OK;
}

static int by_score(const void *a, const void *b) {
  double x = ((const Scored *)a)->score, y = ((const Scored *)b)->score;
  return (x > y) - (x < y);
}

/* The share of pairs of a yes and a no, by the product of their weights, in which the yes has
 * the larger score, ties a half. NaN: no such pair, or a score is NaN. */
static double area(Scored *row, int64_t n) {
  double yes = 0, no = 0, above = 0;
  for (int64_t i = 0; i < n; i++)
    if (isnan(row[i].score)) return NAN;
  qsort(row, (size_t)n, sizeof *row, by_score);
  for (int64_t i = 0, end; i < n; i = end) {
    double yes_here = 0, no_here = 0;
    for (end = i; end < n && row[end].score == row[i].score; end++) {
      yes_here += row[end].yes;
      no_here += row[end].no;
    }
    above += yes_here * (no + no_here / 2);
    yes += yes_here;
    no += no_here;
  }
  return above / (yes * no);
}

static Err finish_auc(const Measure *m, Graph *graph, double *value, Fault *fault) {
  (void)graph;
  *value = NAN;
  if (m->n <= FIRST_SCORED) return ERR_OK;
  int64_t questions = (int64_t)m->v[QUESTIONS];
  int64_t rows = (m->n - FIRST_SCORED) / (2 * questions), n_known = 0;
  Scored *row = malloc((size_t)rows * sizeof *row);
  if (!row) return fault_memory(fault, (size_t)rows * sizeof *row);
  double sum = 0;
  bool undefined = false;
  for (int64_t q = 0; q < questions; q++) {
    double yes = 0, no = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < rows; i++) {
      const double *v = &m->v[FIRST_SCORED + 2 * (i * questions + q)];
      if (v[1] == 0) continue;
      row[n++] = (Scored){v[0], fmax(v[1], 0), fmax(-v[1], 0)};
      yes += row[n - 1].yes;
      no += row[n - 1].no;
    }
    if (yes == 0 || no == 0) continue;
    double auc = area(row, n);
    undefined = undefined || isnan(auc);
    sum += auc;
    n_known++;
  }
  free(row);
  if (n_known && !undefined) *value = sum / (double)n_known;
  return ERR_OK;
}

/* -- records ------------------------------------------------------------------------- */

#define AT(field) .offset = offsetof(ClassMetric, field)
#define READ                                                                           \
  METRIC_NAME,                                                                         \
  {.name = "kind", .kind = OPT_CHOICE, AT(as), .value = "auto", .choices = as_names,   \
   .doc = "how outputs are read: categorical, a row's class is that of its largest "   \
          "output; binary, each output is a yes or a no; auto: as the loss does (mse " \
          "and mae: binary, with one output)"}

#define THRESHOLD                                                                      \
  {.name = "threshold", .kind = OPT_REAL, AT(threshold), .value = "none", .lo = -1e30, \
   .hi = 1e30,                                                                         \
   .doc = "an output of at least this is a yes; default: 0 for logits, 1/2 for "       \
          "probabilities, and for mse and mae"}

static Err check_options(Object *object, Fault *fault) {
  const ClassMetric *c = (const ClassMetric *)object;
  if (metric_check_name(object, fault)) return fault->code;
  if (isnan(c->threshold) || c->as != READ_CATEGORICAL) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "train.%s: option \"threshold\" is of yes-no outputs; with "
                   "kind = \"categorical\" the largest output counts", object->kind->name);
}

static Err check_scores(Object *object, Fault *fault) {
  ((ClassMetric *)object)->threshold = NAN;
  return metric_check_name(object, fault);
}

static const Option accuracy_options[] = {READ, THRESHOLD, {0}};
static const Option score_options[] = {READ, {0}};
static const Option tally_options[] = {
    READ, THRESHOLD,
    {.name = "average", .kind = OPT_CHOICE, AT(average), .value = "auto",
     .choices = average_names,
     .doc = "binary: of class 2, or of yes; macro: the mean over classes, or over yes-no "
            "outputs, that occur or are predicted; micro: of all their counts; auto: binary "
            "where there are two classes or one output, else macro"},
    {0}};

const MetricKind metric_accuracy = {
    .kind = {.name = "accuracy", .alias = "acc", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = accuracy_options,
             .check = check_options,
             .doc = "Share of rows whose largest output is the target's; of yes-no outputs, "
                    "share of outputs on the right side of the threshold. An output that is "
                    "NaN is wrong.",
             .equation = "mean_n(argmax_j y_nj = t_n); mean_nj([y_nj >= threshold] = t_nj)",
             .source = "Goodfellow et al., Deep Learning, 5.1.2"},
    .goal = GOAL_MAX, .high = 1, .share = true, .check = check_classes, .add = add_accuracy,
    .finish = finish_accuracy, .read = read_class_metric};

const MetricKind metric_precision = {
    .kind = {.name = "precision", .family = &metric_family, .size = sizeof(ClassMetric),
             .options = tally_options, .check = check_options,
             .doc = "Share of those predicted as a class that are of it; 0 where none is.",
             .equation = "p = hits / (hits + false alarms)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = check_classes, .add = add_tallies,
    .finish = finish_precision};

const MetricKind metric_recall = {
    .kind = {.name = "recall", .family = &metric_family, .size = sizeof(ClassMetric),
             .options = tally_options, .check = check_options,
             .doc = "Share of a class that is predicted as it; 0 where it does not occur.",
             .equation = "r = hits / (hits + misses)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = check_classes, .add = add_tallies,
    .finish = finish_recall};

const MetricKind metric_f1 = {
    .kind = {.name = "f1", .alias = "f1_score", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = tally_options, .check = check_options,
             .doc = "Harmonic mean of precision and recall; macro: the mean of each class's.",
             .equation = "f1 = 2 hits / (2 hits + false alarms + misses)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = check_classes, .add = add_tallies,
    .finish = finish_f1};

const MetricKind metric_auc = {
    .kind = {.name = "auc", .alias = "roc_auc", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = score_options, .check = check_scores,
             .doc = "Area under the curve of hits against false alarms: the probability that a "
                    "yes has a larger score than a no, ties counted half, over all rows; of "
                    "more than two classes the mean of one against the rest. NaN where only "
                    "one side occurs.",
             .equation = "auc = (sum of ranks of yes - P (P + 1) / 2) / (P N)",
             .source = "Hanley and McNeil, Radiology 143 (1982)"},
    .goal = GOAL_MAX, .high = 1, .check = check_classes, .add = add_scores,
    .finish = finish_auc};
