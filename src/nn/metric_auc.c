/* metric_auc.c: the area under the curve of hits against false alarms. */
#include "nn/metric_items.h"
#include <math.h>
#include <stdlib.h>

typedef struct Scored {
  double score;
  double yes; /* weight of the row if it is, 0 if it is not */
  double no;  /* 0 if it is, the weight of the row if it is not */
} Scored;

/* v[0]: questions; then of each row, for each question, score and signed weight: above
 * 0 a yes, below 0 a no. Rows of weight 0 are not there. */
enum { QUESTIONS, FIRST_SCORED };

/* Scores of the classes of a row: their probabilities. Of two, one question: where the
 * loss does not divide them, the difference of the outputs, which orders rows as the
 * probability of class 2 does, with its ties. */
static void score_classes(const MetricBatch *batch, const Reading *reading, int64_t at,
                          int64_t width, double *score) {
  if (width == 2 && !reading->divided) {
    score[0] = array_get(&batch->output, at + 1) - array_get(&batch->output, at);
    return;
  }
  RowScale row = metric_row_scale(batch, reading, at, width);
  for (int64_t c = width == 2 ? 1 : 0, q = 0; c < width; c++, q++)
    score[2 * q] = metric_share_at(batch, reading, at + c, row.most) / row.sum;
}

/* Score and answer of item i into `v`, of each question that it belongs to. */
static void put_scores(const MetricBatch *batch, const Reading *reading, int64_t i,
                       const Item *item, int64_t questions, double weight, double *v) {
  bool binary = reading->as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape), own = binary ? 1 : questions;
  if (binary) v[0] = array_get(&batch->output, i);
  else score_classes(batch, reading, i * width, width, v);
  for (int64_t q = 0; q < own; q++)
    v[2 * q + 1] = item->want == (questions == 1 || binary ? 2 : q + 1) ? weight
                                                                        : -weight;
}

static Err add_scores(Measure *m, const MetricBatch *batch, Fault *fault) {
  Reading reading = metric_reading(m->metric, batch);
  bool binary = reading.as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape),
          n = metric_n_items(batch, &reading);
  int64_t questions = binary ? width : width == 2 ? 1 : width;
  int64_t rows = binary ? n / width : n, at = m->n ? m->n : FIRST_SCORED;
  int64_t end = at + 2 * rows * questions;
  if ((uint64_t)end * sizeof *m->v > m->limit_bytes)
    return fault_set(fault, ERR_VALUE,
                     "the scores of all rows are more than %lld MB; measure fewer rows",
                     (long long)(m->limit_bytes >> 20));
  Err err = measure_room(m, end, fault);
  if (err) return err;
  m->v[QUESTIONS] = (double)questions;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    put_scores(batch, &reading, i, &item, questions, w,
               &m->v[at + 2 * i * (binary ? 1 : questions)]);
  }
  return ERR_OK;
}

static int by_score(const void *a, const void *b) {
  double x = ((const Scored *)a)->score, y = ((const Scored *)b)->score;
  return (x > y) - (x < y);
}

/* The share of pairs of a yes and a no, by the product of their weights, in which the
 * yes has the larger score, ties a half. NaN: no such pair, or a score is NaN. */
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

/* By Hanley and McNeil, of one question. */
static double auc_error(const Measure *m, double value) {
  double yes = 0, no = 0, a = value;
  if (m->n <= FIRST_SCORED || m->v[QUESTIONS] != 1) return NAN;
  for (int64_t i = FIRST_SCORED + 1; i < m->n; i += 2) {
    yes += fmax(m->v[i], 0);
    no += fmax(-m->v[i], 0);
  }
  double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
  double sum = a * (1 - a) + (yes - 1) * (q1 - a * a) + (no - 1) * (q2 - a * a);
  return sqrt(sum / (yes * no));
}

static Err check_scores(Object *object, Fault *fault) {
  ((ClassMetric *)object)->threshold = NAN;
  return metric_check_name(object, fault);
}

static const Option options[] = {METRIC_READ, {0}};

const MetricKind metric_auc = {
    .kind = {.name = "auc", .alias = "roc_auc", .family = &metric_family,
             .size = sizeof(ClassMetric), .options = options, .check = check_scores,
             .doc = "Area under the ROC curve: the probability that a yes has a larger "
                    "score than a no, ties counted half, over all rows. Of more than "
                    "two classes: the mean of each class against the rest. NaN where "
                    "only one side occurs.",
             .equation = "a = (sum of ranks of yes - P (P + 1) / 2) / (P N), P yes "
                         "and N no; standard error, of one question, sqrt((a (1 - a) + "
                         "(P - 1) (a / (2 - a) - a^2) + (N - 1) (2 a^2 / (1 + a) - "
                         "a^2)) / (P N))",
             .source = "Hanley and McNeil, Radiology 143 (1982)"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_scores,
    .finish = finish_auc, .error = auc_error};
