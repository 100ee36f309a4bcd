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

/* Behind the tallies, of f1 whose error is wanted: how often one of two classes was
 * taken for the other, 2 and 1, 3 and 1, 3 and 2, ... */
static int64_t n_pairs(int64_t classes) { return classes * (classes - 1) / 2; }
static int64_t pair_of(int64_t a, int64_t b) { /* from 1 */
  return a > b ? n_pairs(a - 1) + b - 1 : n_pairs(b - 1) + a - 1;
}

static void count_at(Measure *m, int64_t question, bool got, bool want, double weight) {
  double *v = &m->v[FIRST_TALLY + TALLY * question];
  if (got && want) v[0] += weight;
  else if (got) v[1] += weight;
  else if (want) v[2] += weight;
}

static Err add_items(Measure *m, const MetricBatch *batch, bool pairs, Fault *fault) {
  Items it = metric_items(m->metric, batch);
  const Item *item = &it.item;
  int64_t behind = FIRST_TALLY + TALLY * it.width;
  if (measure_room(m, behind + (pairs ? n_pairs(it.width) : 0), fault))
    return fault->code;
  m->v[SINGLE] = it.width == (it.binary ? 1 : 2);
  while (metric_next(&it, fault)) {
    for (int64_t c = 1; c <= (it.binary ? 1 : it.width); c++) {
      int64_t class = it.binary ? 2 : c;
      count_at(m, it.binary ? item->place : c - 1, item->got == class,
               item->want == class, it.weight);
    }
    if (pairs && !it.binary && item->got && item->got != item->want)
      m->v[behind + pair_of(item->got, item->want)] += it.weight;
  }
  return it.err;
}

static Err add_tallies(Measure *m, const MetricBatch *batch, Fault *fault) {
  return add_items(m, batch, false, fault);
}

static Err add_f1(Measure *m, const MetricBatch *batch, Fault *fault) {
  int64_t classes = reading_width(&batch->output.shape);
  if (m->with_error && n_pairs(classes) > (int64_t)(m->limit_bytes / sizeof *m->v))
    return fault_set(fault, ERR_VALUE,
                     "the standard error needs counts of all pairs of %lld classes, "
                     "more than %lld MB; measure it without",
                     (long long)classes, (long long)(m->limit_bytes >> 20));
  return add_items(m, batch, m->with_error, fault);
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

/* How fast f1 falls with the wrong items. */
static double f1_slope(const Tally *t) {
  double all = 2 * t->hits + t->alarms + t->misses;
  return share(2 * t->hits, all * all);
}

/* What was counted, as it lies in the measure. */
typedef struct Tallies {
  const double *v; /* of the first */
  int64_t n;
  const double *pairs; /* NULL: not counted */
  Average average;     /* never AUTO */
} Tallies;

static Tallies tallies_of(const Measure *m, bool pairs) {
  Average average = (Average)((const TallyMetric *)m->metric)->average;
  Tallies all = {m->v + FIRST_TALLY, (m->n - FIRST_TALLY) / TALLY, NULL, average};
  while (pairs && FIRST_TALLY + TALLY * all.n + n_pairs(all.n) > m->n) all.n--;
  if (pairs) all.pairs = all.v + TALLY * all.n;
  if (average == AVERAGE_AUTO)
    all.average = m->v[SINGLE] ? AVERAGE_BINARY : AVERAGE_MACRO;
  return all;
}

static Tally tally_at(const Tallies *all, int64_t q) {
  const double *v = &all->v[TALLY * q];
  return (Tally){v[0], v[1], v[2]};
}

/* What is made of one tally: a share, and the square of its standard error. */
typedef double (*OfTally)(const Tally *);

/* The mean over classes that occur or are predicted; the error is that of independent
 * ones but for `covariance`. */
static Estimate mean_of(const Tallies *all, OfTally share_of, OfTally variance_of,
                        double covariance) {
  double sum = 0, variance = 0, n_met = 0;
  for (int64_t q = 0; q < all->n; q++) {
    Tally t = tally_at(all, q);
    if (t.hits + t.alarms + t.misses == 0) continue;
    sum += share_of(&t);
    variance += variance_of(&t);
    n_met++;
  }
  return (Estimate){share(sum, n_met),
                    n_met > 0 ? sqrt(variance + covariance) / n_met : NAN};
}

/* All counts together; or those of the last question, of class 2 or of yes. */
static Tally counts_of(const Tallies *tallies) {
  Tally all = {0};
  int64_t first = tallies->average == AVERAGE_BINARY ? tallies->n - 1 : 0;
  for (int64_t q = first; q < tallies->n; q++) {
    Tally t = tally_at(tallies, q);
    all = (Tally){all.hits + t.hits, all.alarms + t.alarms, all.misses + t.misses};
  }
  return all;
}

/* A wrong item counts against two classes at once: what that adds to the variance of
 * their f1, or of that of all counts together. */
static double f1_covariance(const Tallies *tallies) {
  Tally all = counts_of(tallies);
  const double *pair = tallies->pairs;
  double sum = 0;
  if (!pair || tallies->average == AVERAGE_BINARY) return 0;
  for (int64_t a = 1; a < tallies->n; a++)
    for (int64_t b = 0; b < a; b++) {
      Tally x = tally_at(tallies, a), y = tally_at(tallies, b);
      bool micro = tallies->average == AVERAGE_MICRO;
      sum += *pair++ * f1_slope(micro ? &all : &x) * f1_slope(micro ? &all : &y);
    }
  return 2 * sum;
}

static Err finish_tallies(const Measure *m, bool pairs, OfTally share_of,
                          OfTally variance_of, Estimate *out, Fault *fault) {
  if (!m->n) return ERR_OK;
  Tallies tallies = tallies_of(m, pairs);
  if (tallies.average == AVERAGE_BINARY && !m->v[SINGLE])
    return fault_set(fault, ERR_VALUE,
                     "average = \"binary\" is for two classes or one yes-no output, "
                     "not for %lld; allowed here: \"macro\", \"micro\"",
                     (long long)tallies.n);
  Tally all = counts_of(&tallies);
  double covariance = f1_covariance(&tallies);
  *out = tallies.average == AVERAGE_MACRO
             ? mean_of(&tallies, share_of, variance_of, covariance)
             : (Estimate){share_of(&all), sqrt(variance_of(&all) + covariance)};
  return ERR_OK;
}

static Err finish_precision(const Measure *m, Graph *graph, Estimate *out,
                            Fault *fault) {
  (void)graph;
  return finish_tallies(m, false, precision_of, precision_variance, out, fault);
}

static Err finish_recall(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  (void)graph;
  return finish_tallies(m, false, recall_of, recall_variance, out, fault);
}

static Err finish_f1(const Measure *m, Graph *graph, Estimate *out, Fault *fault) {
  (void)graph;
  return finish_tallies(m, m->with_error, f1_of, f1_variance, out, fault);
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
    .finish = finish_precision};

const MetricKind metric_recall = {
    .kind = {.name = "recall", .family = &metric_family, .size = sizeof(TallyMetric),
             .options = options, .check = metric_check_class_options,
             .doc = "Of the rows of a class, the share that is predicted as it; 0 "
                    "where there are none.",
             .equation = "r = hits / (hits + misses); standard error sqrt(r (1 - r) / "
                         "(hits + misses))",
             .source = "van Rijsbergen, Information Retrieval, chapter 7"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_tallies,
    .finish = finish_recall};

const MetricKind metric_f1 = {
    .kind = {.name = "f1", .alias = "f1_score", .family = &metric_family,
             .size = sizeof(TallyMetric), .options = options,
             .check = metric_check_class_options,
             .doc = "Harmonic mean of precision and recall. With average = \"macro\": "
                    "the mean over the classes.",
             .equation = "f1 = 2 a / (2 a + b), a hits, b false alarms and misses; "
                         "standard error 2 sqrt(a b (a + b)) / (2 a + b)^2; of a mean "
                         "of C classes sqrt(sum_c(e_c^2) + 2 sum_cd(n_cd s_c s_d)) / "
                         "C, n_cd items of one of two classes taken for the other, s = "
                         "2 a / (2 a + b)^2",
             .source = "van Rijsbergen, Information Retrieval, chapter 7; Takahashi et "
                       "al., Applied Intelligence 52 (2022)"},
    .goal = GOAL_MAX, .high = 1, .check = metric_check_items, .add = add_f1,
    .finish = finish_f1};
