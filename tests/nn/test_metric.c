/* Metrics against values computed by hand, over batches of different sizes; what their
 * names and options say. Every metric of the table is measured here. */
#include "options.h"
#include "test.h"
#include "base/record_json.h"
#include "graph/ops.h"
#include "nn/nn.h"
#include <math.h>
#include <string.h>

static Fault fault;
static Graph graph;

static const Reading logits = {READ_BINARY, 0, true, false, false};
static const Reading classes = {READ_CATEGORICAL, 0, true, false, false};
static const Reading shares = {READ_CATEGORICAL, 0.5, false, false, false};
static const Reading numbers = {READ_BINARY, 0.5, false, true, false};
static const Reading divided = {READ_CATEGORICAL, 0.5, false, false, true};
static const Reading unknown = {READ_UNKNOWN, 0, true, false, false};

static Metric *metric_of(const char *name) {
  fault = (Fault){0};
  Metric *metric = (Metric *)family_make(&metric_family, name, &fault);
  assert_non_null(metric);
  const Option *k = option_named(metric->object.kind, "k");
  if (k && give_number(&metric->object, k, 2, &fault)) fail_msg("%s", fault.text);
  return metric;
}

static void set(Metric *metric, const char *option, const char *value) {
  const Option *opt = option_find(metric->object.kind, option, &fault);
  assert_int_equal(option_set_text(&metric->object, opt, value, &fault), ERR_OK);
}

/* `rows` outputs of `width` and their targets: integers [rows] for t_width 0. */
typedef struct Rows {
  int64_t rows, width, t_width;
  const double *output, *target;
} Rows;

static const double *weights; /* of the rows that are measured; NULL: none */

static Array array_of(const double *values, int64_t from, int64_t n, int64_t width,
                      bool integer, Tensor **out) {
  Shape shape = integer ? SHAPE_OF(n) : SHAPE_OF(n, width);
  int64_t step = integer ? 1 : width;
  *out = tensor_new(NULL, integer ? DT_INT32 : DT_REAL, &shape, &fault);
  for (int64_t i = 0; i < n * step; i++)
    array_set(&(*out)->a, i, values[from * step + i]);
  return (*out)->a;
}

static Err add_rows(Measure *m, const Rows *r, int64_t from, int64_t n,
                    Reading reading) {
  Tensor *y, *t;
  MetricBatch batch = {.graph = &graph, .reading = reading};
  batch.output = array_of(r->output, from, n, r->width, false, &y);
  batch.target = array_of(r->target, from, n, r->t_width, r->t_width == 0, &t);
  batch.target = metric_target(&batch.output, &batch.target);
  Tensor *w = tensor_new(NULL, DT_REAL, &SHAPE_OF(n), &fault);
  for (int64_t i = 0; weights && i < n; i++) array_set(&w->a, i, weights[from + i]);
  if (weights) batch.weight = w->a;
  Err err = measure_add(m, &batch, &fault);
  tensor_release(w);
  tensor_release(y);
  tensor_release(t);
  return err;
}

static double standard_error; /* of what was measured last */

/* In batches of `size`. */
static Err measure(Metric *metric, const Rows *r, int64_t size, Reading reading,
                   double *value) {
  Measure m;
  fault = (Fault){0};
  measure_init(&m, metric);
  m.with_error = true;
  Err err = measure_begin(&m, &fault);
  for (int64_t at = 0; !err && at < r->rows; at += size)
    err = add_rows(&m, r, at, r->rows - at < size ? r->rows - at : size, reading);
  Estimate estimate = {NAN, NAN};
  if (!err) err = measure_finish(&m, &graph, &estimate, &fault);
  if (!err) *value = estimate.value;
  standard_error = estimate.error;
  measure_deinit(&m);
  return err;
}

static bool same(double a, double b) {
  return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

/* For any batches the same bits, and what is right. Takes the metric. */
static void gives(Metric *metric, const Rows *r, Reading reading, double right) {
  double first = NAN, value = NAN, first_error = NAN;
  for (int64_t size = r->rows; size >= 1; size--) {
    if (measure(metric, r, size, reading, &value)) fail_msg("%s", fault.text);
    if (size == r->rows) first = value, first_error = standard_error;
    assert_true(same(first, value) && same(first_error, standard_error));
  }
  if (isnan(right)) assert_true(isnan(value));
  else CHECK_NEAR(value, right, 1e-6);
  object_release(metric);
}

static void refuses(Metric *metric, const Rows *r, Reading reading, const char *what) {
  double value;
  assert_int_not_equal(measure(metric, r, r->rows, reading, &value), ERR_OK);
  if (!strstr(fault.text, what)) fail_msg("does not say \"%s\": %s", what, fault.text);
  object_release(metric);
}

/* -- accuracy ---------------------------------------------------------------------- */

static const double three[] = {1, 2, 3, 5, 4, 0, 0, 0, 7, 2, 9, 1, -1, -2, -3},
                    label[] = {3, 1, 3, 1, 2};
static const Rows five = {5, 3, 0, three, label};

TEST(accuracy_of_classes_is_the_share_of_the_largest) {
  gives(metric_of("acc"), &five, classes, 3.0 / 5);
  double hot[15] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0};
  gives(metric_of("accuracy"), &(Rows){5, 3, 3, three, hot}, classes, 3.0 / 5);
  double mixed[15] = {.3, 0, .7, .6, .4, 0, 0, .2, .8, .9, .1, 0, 0, 1, 0};
  gives(metric_of("accuracy"), &(Rows){5, 3, 3, three, mixed}, classes, 3.0 / 5);
}

TEST(accuracy_of_yes_no_outputs_counts_each) {
  double y[] = {-1, -2, -3, 9, 8, 7}, all[] = {1, 1, 1, 0, 0, 0},
         some[] = {0, 1, 0, 1, 1, 0};
  gives(metric_of("accuracy"), &(Rows){2, 3, 3, y, all}, logits, 0);
  gives(metric_of("accuracy"), &(Rows){2, 3, 3, y, some}, logits, 4.0 / 6);
  double one[] = {0.2, -0.2, 0.6, 0.4}, labels[] = {2, 1, 2, 2};
  gives(metric_of("accuracy"), &(Rows){4, 1, 0, one, labels}, logits, 1);
  double yes[] = {0, 0, 1, 0};
  gives(metric_of("accuracy"), &(Rows){4, 1, 1, one, yes}, numbers, 1);
  Metric *high = metric_of("accuracy");
  set(high, "kind", "binary");
  const Option *threshold = option_find(high->object.kind, "threshold", &fault);
  assert_int_equal(give_number(&high->object, threshold, 0.3, &fault), ERR_OK);
  gives(high, &(Rows){4, 1, 1, one, yes}, unknown, 3.0 / 4);
}

TEST(nan_is_no_class) {
  double y[] = {NAN, NAN, NAN, 0, 0, NAN, NAN, 0, 1, 0}, labels[] = {1, 2, 1, 1, 1};
  gives(metric_of("accuracy"), &(Rows){5, 2, 0, y, labels}, classes, 1.0 / 5);
  double one[] = {NAN, -INFINITY, INFINITY, NAN}, want[] = {2, 1, 2, 1};
  gives(metric_of("accuracy"), &(Rows){4, 1, 0, one, want}, logits, 0.5);
  gives(metric_of("recall"), &(Rows){4, 1, 0, one, want}, logits, 0.5);
  gives(metric_of("precision"), &(Rows){4, 1, 0, one, want}, logits, 1);
  gives(metric_of("auc"), &(Rows){4, 1, 0, one, want}, logits, NAN);
}

TEST(accuracy_says_what_it_cannot_count) {
  double y[] = {0.1, 0.2, 0.3, 0.4}, zeros[] = {0, 1}, four[] = {4, 1},
         big[] = {1, 2, 3, 0};
  refuses(metric_of("accuracy"), &(Rows){2, 2, 2, y, big}, unknown,
          "kind = \"categorical\"");
  refuses(metric_of("accuracy"), &(Rows){2, 2, 0, y, zeros}, classes,
          "labels from 1 to 2");
  refuses(metric_of("accuracy"), &(Rows){2, 2, 0, y, four}, classes, "a target is 4");
  refuses(metric_of("accuracy"), &(Rows){2, 1, 0, y, zeros}, logits,
          "1 (no) and 2 (yes)");
  refuses(metric_of("accuracy"), &(Rows){4, 1, 1, y, big}, numbers, "a target is 2");
  refuses(metric_of("accuracy"), &(Rows){2, 1, 0, y, four}, classes,
          "kind = \"binary\"");
  refuses(metric_of("accuracy"), &(Rows){2, 2, 0, y, four}, logits, "2x2 and target 2");
  Metric *both = metric_of("accuracy");
  set(both, "kind", "categorical");
  const Option *threshold = option_find(both->object.kind, "threshold", &fault);
  assert_int_equal(give_number(&both->object, threshold, 0.3, &fault), ERR_OK);
  assert_int_equal(object_ready(&both->object, NULL, &fault), ERR_VALUE);
  object_release(both);
}

/* -- precision, recall, f1 --------------------------------------------------------- */

/* Yes: 3 of 7; predicted 4, of which 2. */
static const double yes_no[] = {1, 2, -1, 3, 4, -2, -3},
                    is_yes[] = {1, 0, 1, 1, 0, 0, 0};
static const Rows seven = {7, 1, 1, yes_no, is_yes};

TEST(precision_recall_and_f1_of_a_yes) {
  gives(metric_of("precision"), &seven, logits, 2.0 / 4);
  gives(metric_of("recall"), &seven, logits, 2.0 / 3);
  gives(metric_of("f1"), &seven, logits, 4.0 / 7);
  double never[] = {-1, -1, -1, -1, -1, -1, -1};
  gives(metric_of("precision"), &(Rows){7, 1, 1, never, is_yes}, logits, 0);
  gives(metric_of("f1"), &(Rows){7, 1, 1, never, is_yes}, logits, 0);
}

TEST(of_two_classes_the_second_is_the_yes) {
  double two[14], labels[7];
  for (int i = 0; i < 7; i++) {
    two[2 * i] = 1;
    two[2 * i + 1] = 1 + yes_no[i];
    labels[i] = 1 + is_yes[i];
  }
  Rows r = {7, 2, 0, two, labels};
  gives(metric_of("precision"), &r, classes, 2.0 / 4);
  gives(metric_of("recall"), &r, classes, 2.0 / 3);
  gives(metric_of("f1"), &r, classes, 4.0 / 7);
  Metric *macro = metric_of("recall");
  set(macro, "average", "macro");
  gives(macro, &r, classes, (2.0 / 3 + 2.0 / 4) / 2);
}

/* Predicted 3 1 3 2 1 for 3 1 3 1 2 of four classes: the fourth does not occur. Hits,
 * alarms, misses: 1 1 1, 0 1 1, 2 0 0. */
TEST(several_classes_are_averaged) {
  double four[] = {1, 2, 3, -9, 5, 4, 0, -9, 0, 0, 7, -9, 2, 9, 1, -9, -1, -2, -3, -9};
  Rows r = {5, 4, 0, four, label};
  gives(metric_of("precision"), &r, classes, (1.0 / 2 + 0 + 1) / 3);
  gives(metric_of("recall"), &r, classes, (1.0 / 2 + 0 + 1) / 3);
  gives(metric_of("f1"), &r, classes, (1.0 / 2 + 0 + 1) / 3);
  Metric *micro = metric_of("f1");
  set(micro, "average", "micro");
  gives(micro, &r, classes, 6.0 / 10);
  Metric *binary = metric_of("f1");
  set(binary, "average", "binary");
  refuses(binary, &r, classes, "\"macro\", \"micro\"");
}

TEST(several_yes_no_outputs_are_averaged) {
  double y[] = {1, -1, 1, 1, -1, 1}, t[] = {1, 0, 0, 1, 0, 1};
  gives(metric_of("precision"), &(Rows){3, 2, 2, y, t}, logits, (1.0 / 2 + 1) / 2);
  gives(metric_of("recall"), &(Rows){3, 2, 2, y, t}, logits, 1);
}

/* -- auc --------------------------------------------------------------------------- */

TEST(balanced_accuracy_is_the_mean_over_classes_that_occur) {
  gives(metric_of("balanced_accuracy"), &five, classes, (0 + 1.0 / 2 + 1) / 3);
  double y[] = {1, 0, 5, 4, 2, 1, 0, 1}, label_of[] = {1, 1, 1, 2}; /* 3 of 3, 1 of 1 */
  gives(metric_of("balanced_accuracy"), &(Rows){4, 2, 0, y, label_of}, classes, 1);
  label_of[0] = 2;
  gives(metric_of("balanced_accuracy"), &(Rows){4, 2, 0, y, label_of}, classes,
        3.0 / 4);
  gives(metric_of("balanced_accuracy"), &(Rows){2, 2, 0, y, (double[]){1, 1}}, classes,
        1);
  double score[] = {1, -1, 2, 3, -2}, yes[] = {1, 1, 1, 0, 0}; /* 2 of 3, 1 of 2 */
  gives(metric_of("balanced_accuracy"), &(Rows){5, 1, 1, score, yes}, logits,
        (2.0 / 3 + 0.5) / 2);
}

TEST(auc_is_the_share_of_pairs_in_order) {
  double score[] = {0.1, 0.4, 0.35, 0.8}, yes[] = {0, 0, 1, 1};
  gives(metric_of("auc"), &(Rows){4, 1, 1, score, yes}, logits, 0.75);
  double tied[] = {1, 1, 1, 2, 2}, some[] = {0, 1, 0, 1, 0};
  /* Pairs of yes and no: 1:1 1:1 1:2 2:1 2:1 2:2 -> .5 .5 0 1 1 .5 */
  gives(metric_of("auc"), &(Rows){5, 1, 1, tied, some}, logits, 3.5 / 6);
  double same[] = {1, 1, 1, 1};
  gives(metric_of("auc"), &(Rows){4, 1, 1, same, yes}, logits, 0.5);
  gives(metric_of("auc"), &(Rows){4, 1, 1, score, same}, logits, NAN);
}

TEST(auc_of_classes_is_one_against_the_rest) {
  double two[] = {0, 0.1, 0, 0.4, 0, 0.35, 0, 0.8}, labels[] = {1, 1, 2, 2};
  gives(metric_of("auc"), &(Rows){4, 2, 0, two, labels}, classes, 0.75);
  double p[] = {.8, .1, .1, .3, .4, .3, .5, .3, .2, .2, .2, .6}, want[] = {1, 2, 2, 3};
  /* class 1: .8 over all: 1; class 2: .4 and .3 over .1 and .2: 1; class 3: .6: 1 */
  gives(metric_of("auc"), &(Rows){4, 3, 0, p, want}, shares, 1);
  double z[] = {0, 0, 0, 9, 9, 9.5}, three_of[] = {3, 1};
  /* By probability .33 against .45 for the third, .33 against .27 for the first. */
  gives(metric_of("auc"), &(Rows){2, 3, 0, z, three_of}, classes, 0);
}

/* Outputs of sigmoids under a categorical loss: its probabilities are the shares of the
 * sum. */
TEST(auc_divides_what_the_loss_divides) {
  double two[] = {.9, .8, .1, .02}, labels[] = {2, 1}, none[] = {0, 0, 0, 0};
  gives(metric_of("auc"), &(Rows){2, 2, 0, two, labels}, divided, 1);
  gives(metric_of("auc"), &(Rows){2, 2, 0, two, labels}, shares, 0);
  gives(metric_of("auc"), &(Rows){2, 2, 0, none, labels}, divided, 0.5);
  double three_p[] = {.9, .8, .1, .1, .02, 0}, third[] = {2, 3};
  /* class 2: .44 against .17; class 3: 0 against .06 */
  gives(metric_of("auc"), &(Rows){2, 3, 0, three_p, third}, divided, 0.5);
}

TEST(auc_keeps_scores_up_to_a_limit) {
  Measure m;
  Metric *auc = metric_of("auc");
  measure_init(&m, auc);
  m.limit_bytes = 8 * (1 + 2 * 10);
  assert_int_equal(measure_begin(&m, &fault), ERR_OK);
  assert_int_equal(add_rows(&m, &seven, 0, 7, logits), ERR_OK);
  assert_int_equal(add_rows(&m, &seven, 0, 4, logits), ERR_VALUE);
  assert_non_null(strstr(fault.text, "auc: the scores of all rows"));
  measure_deinit(&m);
  object_release(auc);
}

/* -- numbers ----------------------------------------------------------------------- */

TEST(errors_are_those_of_all_elements) {
  double y[] = {1, 2, 3}, t[] = {1, 2, 6};
  Rows r = {3, 1, 1, y, t};
  gives(metric_of("mse"), &r, numbers, 3);
  gives(metric_of("mae"), &r, numbers, 1);
  gives(metric_of("rmse"), &r, numbers, sqrt(3));
  gives(metric_of("r2"), &r, numbers, 1 - 9.0 / 14);
  gives(metric_of("mse"), &(Rows){3, 1, 0, y, t}, numbers, 3); /* [3] against [3, 1] */
  double constant[] = {2, 2, 2};
  gives(metric_of("r2"), &(Rows){3, 1, 1, y, constant}, numbers, NAN);
  refuses(metric_of("rmse"), &(Rows){1, 3, 1, y, t}, numbers, "1x3 and target 1x1");
}

/* A mean of 10^6 would cost E[x^2] - E[x]^2 all digits in float, most of them in
 * double. */
TEST(r2_is_of_targets_far_from_zero_too) {
  double y[8], t[8];
  for (int i = 0; i < 8; i++) {
    t[i] = 1048576 + i % 2;
    y[i] = 1048576 + (i == 0);
  }
  gives(metric_of("r2"), &(Rows){8, 1, 1, y, t}, numbers, 1 - 5.0 / 2);
}

/* -- weights ----------------------------------------------------------------------- */

/* Row i of `from` times[i] times into `to`. */
static void repeat(const Rows *from, const int *times, double *output, double *target,
                   Rows *to) {
  int64_t n = 0, step = from->t_width ? from->t_width : 1;
  for (int64_t i = 0; i < from->rows; i++)
    for (int k = 0; k < times[i]; k++, n++) {
      memcpy(output + n * from->width, from->output + i * from->width,
             (size_t)from->width * sizeof *output);
      memcpy(target + n * step, from->target + i * step, (size_t)step * sizeof *target);
    }
  *to = (Rows){n, from->width, from->t_width, output, target};
}

static double measured(const char *name, const Rows *rows, Reading reading,
                       const double *w) {
  Metric *metric = metric_of(name);
  double value = NAN;
  weights = w;
  if (measure(metric, rows, 2, reading, &value)) fail_msg("%s", fault.text);
  object_release(metric);
  weights = NULL;
  return value;
}

static void gives_weighted(const char *name, const Rows *rows, Reading reading,
                           const double *w, double right) {
  weights = w;
  gives(metric_of(name), rows, reading, right);
  weights = NULL;
}

/* Weighted, unweighted, and with a row of weight 0 that no other can outweigh. */
static void counts_weights(const char *name, const Rows *rows, Reading reading,
                           double lost) {
  const int times[] = {2, 1, 3, 0, 1};
  const double weight[] = {2, 1, 3, 0, 1}, ones[] = {1, 1, 1, 1, 1};
  double output[64], target[64], spoilt[64];
  Rows more, bad = *rows;
  repeat(rows, times, output, target, &more);
  double want = measured(name, &more, reading, NULL);
  gives_weighted(name, rows, reading, weight, want);
  memcpy(spoilt, rows->output, (size_t)(rows->rows * rows->width) * sizeof *spoilt);
  spoilt[3 * rows->width] = lost;
  bad.output = spoilt;
  gives_weighted(name, &bad, reading, weight, want);
  want = measured(name, rows, reading, NULL);
  double value = measured(name, rows, reading, ones);
  assert_true(memcmp(&value, &want, sizeof value) == 0);
}

TEST(a_row_of_weight_2_counts_as_two_and_one_of_0_not_at_all) {
  double y[] = {0.2, -1, 3, 0.5, 2}, t[] = {0, 1, 2.5, -1, 4}, yes[] = {0, 1, 1, 0, 0};
  const Rows some = {5, 1, 1, y, t}, sides = {5, 1, 1, y, yes};
  for (const Kind *const *k = metric_family.kinds; *k; k++) {
    const MetricKind *kind = (const MetricKind *)*k;
    if (*k == metric_family.from_function) continue;
    bool both_ways = option_named(*k, "kind"), of_rows = option_named(*k, "k");
    if (both_ways || of_rows) {
      if (!kind->table) counts_weights((*k)->name, &five, classes, NAN);
      if (both_ways && !kind->table) counts_weights((*k)->name, &sides, logits, NAN);
    } else {
      counts_weights((*k)->name, &some, numbers, NAN);
    }
  }
  const double none[] = {0, 0, 0, 0, 0};
  gives_weighted("mse", &some, numbers, none, NAN);
  gives_weighted("acc", &five, classes, none, NAN);
}

/* -- standard errors --------------------------------------------------------------- */

TEST(every_number_has_a_standard_error) {
  double y[] = {0.2, -1, 3, 0.5, 2}, t[] = {0.5, 1, 2.5, -1, 4},
         yes[] = {0, 1, 1, 0, 0};
  const Rows some = {5, 1, 1, y, t}, sides = {5, 1, 1, y, yes};
  for (const Kind *const *k = metric_family.kinds; *k; k++) {
    const MetricKind *kind = (const MetricKind *)*k;
    if (*k == metric_family.from_function || kind->table) continue;
    bool both_ways = option_named(*k, "kind"), of_rows = option_named(*k, "k");
    measured((*k)->name, both_ways || of_rows ? &five : &some,
             both_ways || of_rows ? classes : numbers, NULL);
    if (!(standard_error >= 0 && isfinite(standard_error)))
      fail_msg("%s: %g", (*k)->name, standard_error);
    if (both_ways) measured((*k)->name, &sides, logits, NULL);
    if (!(standard_error >= 0 && isfinite(standard_error)))
      fail_msg("%s of yes-no outputs: %g", (*k)->name, standard_error);
  }
}

/* -- a function of the user -------------------------------------------------------- */

/* The mean error of each row, or that of all of them. */
typedef struct Mean {
  Callable callable;
  bool by_row;
  int calls;
} Mean;

static Err mean_error(Callable *self, const Value *in, int n_in, Value *out, int n_out,
                      Fault *f) {
  Mean *mean = (Mean *)self;
  (void)n_in, (void)n_out, (void)f;
  mean->calls++;
  Node *error = op_sub(&graph, in[0].as.ref, in[1].as.ref);
  unsigned axes = mean->by_row ? 1u << 1 : ALL_AXES;
  *out = (Value){.kind = VALUE_NODE, .as.ref = op_mean(&graph, error, axes, false)};
  return ERR_OK;
}

static void keep(Callable *self) { (void)self; }

/* Beyond the limit, values of rows are added up part by part; one number is an
 * error. */
TEST(rows_are_kept_up_to_a_limit) {
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  double y[20], t[20];
  for (int i = 0; i < 20; i++) y[i] = i, t[i] = 0;
  Rows r = {20, 1, 1, y, t};
  Mean mean = {.callable = {1, mean_error, keep}};
  Object *metric = object_new(metric_family.from_function, &fault);
  const Option *opt = option_find(metric->kind, "function", &fault);
  assert_int_equal(option_set_call(metric, opt, &mean.callable, &fault), ERR_OK);
  for (int by_row = 0; by_row < 2; by_row++)
    for (int limited = 0; limited < 2; limited++) {
      Measure m;
      Estimate estimate;
      Err err = ERR_OK;
      measure_init(&m, (Metric *)metric);
      fault = (Fault){0};
      mean.by_row = by_row;
      mean.calls = 0;
      if (limited) m.limit_bytes = 10 * sizeof(real);
      assert_int_equal(measure_begin(&m, &fault), ERR_OK);
      for (int64_t at = 0; !err && at < 20; at += 3)
        err = add_rows(&m, &r, at, 20 - at < 3 ? 20 - at : 3, numbers);
      if (limited && !by_row) {
        assert_int_equal(err, ERR_VALUE);
        assert_non_null(strstr(fault.text, "{ add = function(state, output, target)"));
      } else {
        assert_int_equal(err, ERR_OK);
        for (int again = 0; again < 2; again++) {
          assert_int_equal(measure_finish(&m, &graph, &estimate, &fault), ERR_OK);
          CHECK_NEAR(estimate.value, 9.5, 1e-6);
        }
        assert_int_equal(mean.calls, limited ? 5 + 2 : 2);
      }
      measure_deinit(&m);
    }
  object_release(metric);
  graph_close(&graph);
}

/* -- names ------------------------------------------------------------------------- */

TEST(goal_and_range_follow_from_the_record) {
  static const struct { const char *name; Goal goal; double high; } rows[] = {
      {"loss", GOAL_MIN, 0},          {"val_loss", GOAL_MIN, 0},
      {"accuracy", GOAL_MAX, 1},      {"fit3.test_acc", GOAL_MAX, 1},
      {"val_f1", GOAL_MAX, 1},        {"val_auc", GOAL_MAX, 1},
      {"val_r2", GOAL_MAX, 0},        {"precision", GOAL_MAX, 1},
      {"test_recall", GOAL_MAX, 1},   {"val_rmse", GOAL_MIN, 0},
      {"mean_squared_error", GOAL_MIN, 0}, {"fit1.val_CrossEntropyLoss", GOAL_MIN, 0},
      {"score", GOAL_NONE, 0},        {"layer2_loss", GOAL_NONE, 0},
      {"", GOAL_NONE, 0},             {"val_", GOAL_NONE, 0},
      {"val_val_loss", GOAL_NONE, 0}, {"fit.loss", GOAL_NONE, 0},
      {"metric", GOAL_NONE, 0},       {"Accuracy", GOAL_NONE, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    NamedMeasure named = measure_named(rows[i].name);
    if (named.goal != rows[i].goal || named.high != rows[i].high || named.low != 0)
      fail_msg("%s: %d, %g to %g", rows[i].name, (int)named.goal, named.low,
               named.high);
  }
}

TEST(records_of_metrics_are_whole) {
  for (const Kind *const *k = metric_family.kinds; *k; k++) {
    const MetricKind *kind = (const MetricKind *)*k;
    assert_non_null(kind->kind.doc);
    assert_non_null(kind->kind.equation);
    assert_true(kind->add && !kind->finish + !kind->estimate + !kind->table == 2);
    assert_true(kind->low <= kind->high);
    if (*k == metric_family.from_function) continue;
    assert_non_null(kind->kind.source);
    assert_true((kind->goal != GOAL_NONE) == !kind->table);
  }
}

/* An option called "kind" does not stand in the place of the object's own. */
TEST(options_of_a_metric_are_told_and_put_back) {
  Metric *told = metric_of("f1"), *back = metric_of("f1");
  set(told, "kind", "binary");
  set(told, "average", "micro");
  Json *values = object_values(&told->object, NULL);
  assert_int_equal(object_set_values(&back->object, values, NULL, &fault), ERR_OK);
  Json *again = object_values(&back->object, NULL);
  Text difference = {0};
  assert_false(json_difference(values, again, &difference));
  const char *kind = NULL;
  assert_true(json_find_text(values, "kind", &kind));
  assert_string_equal(kind, "f1");
  text_deinit(&difference);
  json_free(values);
  json_free(again);
  object_release(told);
  object_release(back);
}
