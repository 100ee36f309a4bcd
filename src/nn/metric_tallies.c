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
  Average average = (Average)((const TallyMetric *)m->metric)->average;
  *value = NAN;
  if (!m->n) return ERR_OK;
  if (average == AVERAGE_AUTO) average = m->v[SINGLE] ? AVERAGE_BINARY : AVERAGE_MACRO;
  if (average != AVERAGE_BINARY) {
    *value = averaged(m, average, of);
    return ERR_OK;
  }
  if (!m->v[SINGLE])
    return fault_set(fault, ERR_VALUE,
                     "average = \"binary\" is for two classes or one yes-no output, "
                     "not for %lld; allowed here: \"macro\", \"micro\"",
                     (long long)((m->n - FIRST_TALLY) / TALLY));
  const double *v = &m->v[m->n - TALLY]; /* of class 2, or of yes */
  *value = of(&(Tally){v[0], v[1], v[2]});
  return ERR_OK;
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
             .equation = "p = hits / (hits + false alarms)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_precision};

const MetricKind metric_recall = {
    .kind = {.name = "recall", .family = &metric_family, .size = sizeof(TallyMetric),
             .options = options, .check = metric_check_class_options,
             .doc = "Of the rows of a class, the share that is predicted as it; 0 "
                    "where there are none.",
             .equation = "r = hits / (hits + misses)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_recall};

const MetricKind metric_f1 = {
    .kind = {.name = "f1", .alias = "f1_score", .family = &metric_family,
             .size = sizeof(TallyMetric), .options = options,
             .check = metric_check_class_options,
             .doc = "Harmonic mean of precision and recall. With average = \"macro\": "
                    "the mean over the classes.",
             .equation = "f1 = 2 hits / (2 hits + false alarms + misses)",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_f1};
