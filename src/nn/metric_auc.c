/* metric_auc.c: the curve of hits against false alarms, and the area under it. */
#include "nn/metric_items.h"
#include "base/array.h"
#include <math.h>
#include <stdlib.h>

typedef struct Scored {
  double score;
  double yes; /* weight of the row if it is, 0 if it is not */
  double no;  /* 0 if it is, the weight of the row if it is not */
  int64_t row;
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

/* Score and answer of an item into `v`, of each question that it belongs to. */
static void put_scores(const Items *it, int64_t questions, double *v) {
  int64_t own = it->binary ? 1 : questions;
  if (it->binary) v[0] = array_get(&it->batch->output, it->at);
  else score_classes(it->batch, &it->reading, it->at * it->width, it->width, v);
  for (int64_t q = 0; q < own; q++) {
    bool yes = it->item.want == (questions == 1 || it->binary ? 2 : q + 1);
    v[2 * q + 1] = yes ? it->weight : -it->weight;
  }
}

static Err add_scores(Measure *m, const MetricBatch *batch, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  int64_t questions = !it.binary && it.width == 2 ? 1 : it.width;
  int64_t rows = it.binary ? it.n / it.width : it.n, at = m->n ? m->n : FIRST_SCORED;
  int64_t end = at + 2 * rows * questions;
  if ((uint64_t)end * sizeof *m->v > m->limit_bytes)
    return fault_set(fault, ERR_VALUE,
                     "the scores of all rows are more than %lld MB; measure fewer rows",
                     (long long)(m->limit_bytes >> 20));
  Err err = measure_room(m, end, fault);
  if (err) return err;
  m->v[QUESTIONS] = (double)questions;
  while (metric_next(&it, fault))
    put_scores(&it, questions, &m->v[at + 2 * it.at * (it.binary ? 1 : questions)]);
  return it.err;
}

static int by_score(const void *a, const void *b) {
  double x = ((const Scored *)a)->score, y = ((const Scored *)b)->score;
  return (x > y) - (x < y);
}

/* The rows from `i` on with its score; their weights as yes and as no. Returns where
 * they end. */
static int64_t tied(const Scored *row, int64_t i, int64_t n, double *yes, double *no) {
  int64_t end = i;
  *yes = *no = 0;
  for (; end < n && row[end].score == row[i].score; end++) {
    *yes += row[end].yes;
    *no += row[end].no;
  }
  return end;
}

/* False, and the rows are as they were, if a score is NaN. */
static bool sort_rows(Scored *row, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (isnan(row[i].score)) return false;
  qsort(row, (size_t)n, sizeof *row, by_score);
  return true;
}

/* Sorts the rows, and gives the share of pairs of a yes and a no, by the product of
 * their weights, in which the yes has the larger score, ties a half. NaN: no such pair,
 * or a score is NaN. */
static double area(Scored *row, int64_t n) {
  double yes = 0, no = 0, above = 0, yes_here, no_here;
  if (!sort_rows(row, n)) return NAN;
  for (int64_t i = 0; i < n;) {
    i = tied(row, i, n, &yes_here, &no_here);
    above += yes_here * (no + no_here / 2);
    yes += yes_here;
    no += no_here;
  }
  return above / (yes * no);
}

/* -- standard errors --------------------------------------------------------------- */

/* Of one question with P yes and N no, by Hanley and McNeil. */
static double error_of_one(double a, double yes, double no) {
  double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
  double sum = a * (1 - a) + (yes - 1) * (q1 - a * a) + (no - 1) * (q2 - a * a);
  return sqrt(sum / (yes * no));
}

/* How much each row moves the area of a question: a yes by the share of noes below it,
 * a no by that of yeses above it, less the area; the structural components of DeLong et
 * al. Rows are sorted. */
static void add_influence(const Scored *row, int64_t n, double auc, double yes,
                          double no, double *influence) {
  double yes_above = yes, no_below = 0, yes_here, no_here;
  for (int64_t i = 0, end; i < n; i = end) {
    end = tied(row, i, n, &yes_here, &no_here);
    yes_above -= yes_here;
    double of_yes = (no_below + no_here / 2) / no - auc;
    double of_no = (yes_above + yes_here / 2) / yes - auc;
    for (int64_t k = i; k < end; k++)
      influence[row[k].row] += row[k].yes / yes * of_yes + row[k].no / no * of_no;
    no_below += no_here;
  }
}

/* Of the mean over questions, which share their rows: what all of them move it by adds
 * up row by row, so that it does not matter how the questions hang together. */
static double error_of_mean(const Measure *m, const double *influence, int64_t rows,
                            double n_known) {
  int64_t questions = (int64_t)m->v[QUESTIONS];
  double sum = 0, total = 0, squares = 0;
  for (int64_t i = 0; i < rows; i++) {
    const double *v = &m->v[FIRST_SCORED + 2 * i * questions];
    double w = 0;
    for (int64_t q = 0; q < questions; q++) w = fmax(w, fabs(v[2 * q + 1]));
    sum += influence[i] * influence[i];
    total += w;
    squares += w * w;
  }
  double n = total * total / squares;
  return sqrt(sum * n / (n - 1)) / n_known;
}

/* -- the whole --------------------------------------------------------------------- */

static int64_t count_rows(const Measure *m) {
  if (m->n <= FIRST_SCORED) return 0;
  return (m->n - FIRST_SCORED) / (2 * (int64_t)m->v[QUESTIONS]);
}

/* The rows of a question that count, their weights as yes and as no. */
static int64_t rows_of(const Measure *m, int64_t q, int64_t rows, Scored *row,
                       double *yes, double *no) {
  int64_t questions = (int64_t)m->v[QUESTIONS], n = 0;
  *yes = *no = 0;
  for (int64_t i = 0; i < rows; i++) {
    const double *v = &m->v[FIRST_SCORED + 2 * (i * questions + q)];
    if (v[1] == 0) continue;
    row[n] = (Scored){v[0], fmax(v[1], 0), fmax(-v[1], 0), i};
    *yes += row[n].yes;
    *no += row[n++].no;
  }
  return n;
}

static Estimate mean_area(const Measure *m, int64_t rows, Scored *row,
                          double *influence) {
  Estimate one = {NAN, NAN};
  double sum = 0, n_known = 0;
  for (int64_t q = 0; q < (int64_t)m->v[QUESTIONS]; q++) {
    double yes, no;
    int64_t n = rows_of(m, q, rows, row, &yes, &no);
    if (yes == 0 || no == 0) continue;
    double auc = area(row, n);
    sum += auc;
    n_known++;
    one = (Estimate){auc, error_of_one(auc, yes, no)};
    if (influence) add_influence(row, n, auc, yes, no, influence);
  }
  if (m->v[QUESTIONS] == 1 || n_known == 0) return one;
  return (Estimate){sum / n_known,
                    influence ? error_of_mean(m, influence, rows, n_known) : NAN};
}

static Err finish_auc(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  (void)graph;
  size_t rows = (size_t)count_rows(m);
  if (!rows) return ERR_OK;
  bool several = m->with_error && m->v[QUESTIONS] != 1;
  Scored *row = malloc(rows * sizeof *row);
  double *influence = several ? calloc(rows, sizeof *influence) : NULL;
  Err err = row && (influence || !several)
                ? ERR_OK
                : fault_memory(fault, rows * (sizeof *row + sizeof *influence));
  if (!err) *out = mean_area(m, (int64_t)rows, row, influence);
  free(row);
  free(influence);
  return err;
}

/* -- the curve --------------------------------------------------------------------- */

typedef struct RocCurve {
  ClassMetric class;
  int64_t points; /* at most so many of each question */
} RocCurve;

/* Points: class, share of the noes, of the yeses that are at or above the threshold. */
enum { CLASS, FALSE_RATE, TRUE_RATE, THRESHOLD, POINT };

static const char *const point_columns[] = {"class", "fpr", "tpr", "threshold", NULL};

typedef struct Curve {
  double *v; /* numbers of points; owned */
  int64_t n, room;
} Curve;

static Err add_point(Curve *curve, const double point[POINT], Fault *fault) {
  Err err = ARRAY_ROOM(curve->v, curve->room, curve->n + POINT, fault);
  for (int i = 0; !err && i < POINT; i++) curve->v[curve->n++] = point[i];
  return err;
}

static int64_t count_scores(const Scored *row, int64_t n) {
  int64_t scores = 0;
  double yes, no;
  for (int64_t i = 0; i < n; scores++) i = tied(row, i, n, &yes, &no);
  return scores;
}

/* Down from the largest score, where nothing is a yes above it: a point for each score,
 * or, of more than there may be, those that are about equally far apart on the curve.
 * Rows are sorted. */
static Err add_curve(Curve *curve, const Scored *row, int64_t n, double class,
                     double yes, double no, int64_t most, Fault *fault) {
  bool all = count_scores(row, n) < most;
  double point[POINT] = {class, 0, 0, INFINITY}, kept = 0, hits = 0, alarms = 0;
  Err err = add_point(curve, point, fault);
  for (int64_t i = n - 1; !err && i >= 0; i--) {
    hits += row[i].yes;
    alarms += row[i].no;
    if (i > 0 && row[i - 1].score == row[i].score) continue;
    double along = (hits / yes + alarms / no) / 2 * (double)(most - 1);
    if (!all && i > 0 && floor(along) <= kept) continue;
    kept = floor(along);
    point[FALSE_RATE] = alarms / no;
    point[TRUE_RATE] = hits / yes;
    point[THRESHOLD] = row[i].score;
    err = add_point(curve, point, fault);
  }
  return err;
}

/* Of each question that has both sides, and no score that is NaN. */
static Err add_curves(const Measure *m, int64_t rows, Scored *row, Curve *curve,
                      Fault *fault) {
  int64_t questions = (int64_t)m->v[QUESTIONS];
  int64_t most = ((const RocCurve *)m->metric)->points;
  Err err = ERR_OK;
  for (int64_t q = 0; !err && q < questions; q++) {
    double yes, no, class = questions == 1 ? 2 : (double)q + 1;
    int64_t n = rows_of(m, q, rows, row, &yes, &no);
    if (yes > 0 && no > 0 && sort_rows(row, n))
      err = add_curve(curve, row, n, class, yes, no, most, fault);
  }
  return err;
}

static Err roc_table(const Measure *m, Tensor **out, Fault *fault) {
  Curve curve = {0};
  int64_t rows = count_rows(m);
  size_t n_bytes = ((size_t)rows + 1) * sizeof(Scored);
  Scored *row = malloc(n_bytes);
  Err err = row ? ERR_OK : fault_memory(fault, n_bytes);
  if (!err && rows) err = add_curves(m, rows, row, &curve, fault);
  if (!err &&
      !(*out = tensor_new(NULL, DT_REAL, &SHAPE_OF(curve.n / POINT, POINT), fault)))
    err = fault->code;
  for (int64_t i = 0; !err && i < curve.n; i++) array_set(&(*out)->a, i, curve.v[i]);
  free(curve.v);
  free(row);
  return err;
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
                    "two classes, or yes-no outputs: the mean of each against the "
                    "rest. NaN where only one side occurs.",
             .equation = "a = (sum of ranks of yes - P (P + 1) / 2) / (P N), P yes "
                         "and N no; standard error, of one question, sqrt((a (1 - a) + "
                         "(P - 1) (a / (2 - a) - a^2) + (N - 1) (2 a^2 / (1 + a) - "
                         "a^2)) / (P N)); of the mean of C questions sqrt(n / (n - 1) "
                         "sum_i(d_i^2)) / C, d_i the sum over questions of (share of "
                         "noes below row i - a) / P of a yes, (share of yeses above - "
                         "a) / N of a no",
             .source = "Hanley and McNeil, Radiology 143 (1982); DeLong et al., "
                       "Biometrics 44 (1988)"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_scores,
    .finish = finish_auc};

static const Option roc_options[] = {
    METRIC_READ,
    {.name = "points", .kind = OPT_INT, .offset = offsetof(RocCurve, points),
     .value = "201", .position = 1, .lo = 2, .hi = 1e6,
     .doc = "at most so many points of each class; of more scores, points of the same "
            "curve about equally far apart"},
    {0}};

const MetricKind metric_roc_curve = {
    .kind = {.name = "roc_curve", .alias = "roc", .family = &metric_family,
             .size = sizeof(RocCurve), .options = roc_options, .check = check_scores,
             .example = "local set = data.moons { n = 90, noise = 0.3 }\n"
                        "local net = nn.Sequential { nn.Dense(2) }\n"
                        "local options = { loss = \"cross_entropy\", test = set,\n"
                        "  metrics = { \"roc_curve\" } }\n"
                        "print(train.fit(net, set, options).test_roc_curve)",
             .doc = "The points of the ROC curve, as rows: class, false positive rate, "
                    "true positive rate, threshold. A row is a yes where its score is "
                    "at least the threshold; the first point, at infinity, is (0, 0), "
                    "the last (1, 1). The score is the output of a yes-no, the "
                    "probability of a class; of two classes there is one curve, of the "
                    "second, by the difference of their outputs. A class that does not "
                    "occur, or with a score that is NaN, has none. net:evaluate "
                    "returns it, train.fit measures it at the end; it cannot be "
                    "monitored: auc can.",
             .equation = "tpr = yeses with score >= threshold / P, fpr = noes with "
                         "score >= threshold / N",
             .source = "Fawcett, Pattern Recognition Letters 27 (2006)"},
    .check = metric_check_items, .add = add_scores, .table = roc_table,
    .columns = point_columns};
