/* metric_tallies.c: precision, recall, f1.
 *
 * Of C classes, or of C yes-no outputs, each is a question of its own: is it this one?
 * Their hits, false alarms and misses are added up, and precision, recall and f1 made
 * of them. */
#include "nn/metric_items.h"
#include <math.h>

typedef enum Average {
  AVERAGE_AUTO,
  AVERAGE_BINARY,
  AVERAGE_MACRO,
  AVERAGE_MICRO
} Average;
static const char *const average_names[] = {"auto", "binary", "macro", "micro", NULL};

typedef struct TallyMetric {
  ClassMetric class;
  int average; /* Average */
} TallyMetric;

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
  Reading reading = metric_reading(m->metric, batch);
  bool binary = reading.as == READ_BINARY;
  int64_t width = reading_width(&batch->output.shape),
          n = metric_n_items(batch, &reading);
  Err err = measure_room(m, FIRST_TALLY + TALLY * width, fault);
  if (err) return err;
  m->v[SINGLE] = binary ? width == 1 : width == 2;
  for (int64_t i = 0; i < n; i++) {
    Item item = {0};
    double w = metric_weight(batch, i, n);
    if (w == 0) continue;
    if ((err = metric_item(batch, &reading, i, &item, fault))) return err;
    for (int64_t c = 1; c <= (binary ? 1 : width); c++) {
      int64_t class = binary ? 2 : c;
      count_at(m, binary ? item.place : c - 1, item.got == class, item.want == class,
               w);
    }
  }
  return ERR_OK;
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

static double precision_of(const Tally *t) {
  return share(t->hits, t->hits + t->alarms);
}
static double recall_of(const Tally *t) { return share(t->hits, t->hits + t->misses); }
static double f1_of(const Tally *t) {
  return share(2 * t->hits, 2 * t->hits + t->alarms + t->misses);
}

/* Squares of standard errors, of shares of so many items. f1 by its derivatives with
 * respect to the counts, which are multinomial. */
static double precision_variance(const Tally *t) {
  double p = precision_of(t);
  return share(p * (1 - p), t->hits + t->alarms);
}
static double recall_variance(const Tally *t) {
  double r = recall_of(t);
  return share(r * (1 - r), t->hits + t->misses);
}
static double f1_variance(const Tally *t) {
  double wrong = t->alarms + t->misses, all = 2 * t->hits + wrong;
  return share(4 * t->hits * wrong * (t->hits + wrong), all * all * all * all);
}

static Tally tally_at(const Measure *m, int64_t q) {
  const double *v = &m->v[FIRST_TALLY + TALLY * q];
  return (Tally){v[0], v[1], v[2]};
}

static int64_t count_questions(const Measure *m) {
  return (m->n - FIRST_TALLY) / TALLY;
}

/* The sum over classes that occur or are predicted; how many these are; and the counts
 * of all together. */
static double sum_of(const Measure *m, double (*of)(const Tally *), Tally *all,
                     double *n_met) {
  double sum = 0;
  *all = (Tally){0};
  *n_met = 0;
  for (int64_t q = 0; q < count_questions(m); q++) {
    Tally t = tally_at(m, q);
    *all = (Tally){all->hits + t.hits, all->alarms + t.alarms, all->misses + t.misses};
    if (t.hits + t.alarms + t.misses == 0) continue;
    sum += of(&t);
    ++*n_met;
  }
  return sum;
}

static Average average_of(const Measure *m) {
  Average average = (Average)((const TallyMetric *)m->metric)->average;
  if (average != AVERAGE_AUTO) return average;
  return m->v[SINGLE] ? AVERAGE_BINARY : AVERAGE_MACRO;
}

static Err finish_tallies(const Measure *m, double (*of)(const Tally *), double *value,
                          Fault *fault) {
  *value = NAN;
  if (!m->n) return ERR_OK;
  Average average = average_of(m);
  Tally all;
  double n_met;
  if (average != AVERAGE_BINARY) {
    double sum = sum_of(m, of, &all, &n_met);
    *value = average == AVERAGE_MICRO ? of(&all) : share(sum, n_met);
    return ERR_OK;
  }
  if (!m->v[SINGLE])
    return fault_set(fault, ERR_VALUE,
                     "average = \"binary\" is for two classes or one yes-no output, "
                     "not for %lld; allowed here: \"macro\", \"micro\"",
                     (long long)count_questions(m));
  Tally last = tally_at(m, count_questions(m) - 1); /* of class 2, or of yes */
  *value = of(&last);
  return ERR_OK;
}

/* Of the mean over classes as if they were independent samples. */
static double tallies_error(const Measure *m, double (*variance)(const Tally *)) {
  if (!m->n) return NAN;
  Average average = average_of(m);
  Tally all;
  double n_met, sum = sum_of(m, variance, &all, &n_met);
  if (average == AVERAGE_MACRO) return n_met > 0 ? sqrt(sum) / n_met : NAN;
  if (average == AVERAGE_BINARY) all = tally_at(m, count_questions(m) - 1);
  return sqrt(variance(&all));
}

static double precision_error(const Measure *m, double value) {
  (void)value;
  return tallies_error(m, precision_variance);
}
static double recall_error(const Measure *m, double value) {
  (void)value;
  return tallies_error(m, recall_variance);
}
static double f1_error(const Measure *m, double value) {
  (void)value;
  return tallies_error(m, f1_variance);
}

static Err finish_precision(const Measure *m, Graph *graph, double *value,
                            Fault *fault) {
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

/* -- records ----------------------------------------------------------------------- */

static const Option options[] = {
    METRIC_READ, METRIC_THRESHOLD,
    {.name = "average", .kind = OPT_CHOICE, .offset = offsetof(TallyMetric, average),
     .value = "auto", .choices = average_names,
     .doc = "binary: of class 2, or of yes; macro: the mean over classes, or over "
            "yes-no outputs, that occur or are predicted; micro: of all their counts; "
            "auto: binary where there are two classes or one output, else macro"},
    {0}};

const MetricKind metric_precision = {
    .kind = {.name = "precision", .family = &metric_family, .size = sizeof(TallyMetric),
             .options = options, .check = metric_check_class_options,
             .doc = "Of the rows that are predicted as a class, the share that belongs "
                    "to it; 0 where none is predicted.",
             .equation = "p = hits / (hits + false alarms); standard error sqrt(p (1 - "
                         "p) / (hits + false alarms))",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_precision, .error = precision_error};

const MetricKind metric_recall = {
    .kind = {.name = "recall", .family = &metric_family, .size = sizeof(TallyMetric),
             .options = options, .check = metric_check_class_options,
             .doc = "Of the rows of a class, the share that is predicted as it; 0 "
                    "where there are none.",
             .equation = "r = hits / (hits + misses); standard error sqrt(r (1 - r) / "
                         "(hits + misses))",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_recall, .error = recall_error};

const MetricKind metric_f1 = {
    .kind = {.name = "f1", .alias = "f1_score", .family = &metric_family,
             .size = sizeof(TallyMetric), .options = options,
             .check = metric_check_class_options,
             .doc = "Harmonic mean of precision and recall. With average = \"macro\": "
                    "the mean over the classes.",
             .equation = "f1 = 2 a / (2 a + b), a hits, b false alarms and misses; "
                         "standard error 2 sqrt(a b (a + b)) / (2 a + b)^2",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_f1, .error = f1_error};
