/* test_known.c: what an op claims of its values before they are computed holds for each
 * of its samples: for inputs whose bounds are given, and for inputs that are
 * distributions. */
#include "graph/sample.h"
#include "graph/ops.h"

static Graph graph;

static int64_t row_length(const Array *a) {
  return a->shape.rank ? a->shape.dim[a->shape.rank - 1] : 0;
}

/* The tightest bounds of the values. */
static Known bounds_of(const Tensor *t) {
  Known k = KNOWN_NOTHING;
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double v = array_get(&t->a, i);
    k.lo = i ? fmin(k.lo, v) : v;
    k.hi = i ? fmax(k.hi, v) : v;
  }
  return k;
}

/* Makes every row positive with the sum 1; false for what has no rows or is not
 * real. */
static bool make_distributions(Tensor *t) {
  int64_t n = row_length(&t->a);
  if (t->a.dtype != DT_REAL || n == 0) return false;
  for (int64_t r = 0; r < tensor_count(t); r += n) {
    double sum = 0;
    for (int64_t c = 0; c < n; c++) sum += fabs(array_get(&t->a, r + c));
    for (int64_t c = 0; c < n; c++)
      array_set(&t->a, r + c, fabs(array_get(&t->a, r + c)) / sum);
  }
  return true;
}

static double near_zero(double v) { return 1e-4 * fmax(1, fabs(v)); }

static bool holds(const Known *k, const Array *a) {
  int64_t n = row_length(a);
  double sum = 0, exps = 0;
  for (int64_t i = 0; i < shape_count(&a->shape); i++) {
    double v = array_get(a, i);
    if (isnan(v)) continue;
    bool inside = v >= k->lo - near_zero(v) && v <= k->hi + near_zero(v);
    if (!inside) return false;
    sum += v;
    exps += exp(v);
    if (n == 0 || (i + 1) % n) continue;
    bool total = isnan(k->total) || fabs(sum - k->total) <= near_zero(k->total);
    bool logs = !k->logs || fabs(exps - 1) <= 1e-4;
    if (!total || !logs) return false;
    sum = exps = 0;
  }
  return true;
}

static void check_sample(const Op *op, int s, bool distributions) {
  const Sample *sample = &op->samples[s];
  Node *in[MAX_SAMPLE_IN];
  int scope = graph_scope_begin(&graph);
  for (int i = 0; i < sample->n_in; i++) {
    Tensor *t = sample_tensor(op, s, i);
    bool rows = distributions && make_distributions(t);
    in[i] = graph_const(&graph, t);
    in[i]->known = bounds_of(t);
    if (rows) in[i]->known.total = 1;
    tensor_release(t);
  }
  Node *y = graph_apply(&graph, op, in, sample->n_in, sample->attr, sample->n_attr);
  const Tensor *value = y ? graph_value(&graph, y) : NULL;
  if (value && !holds(&y->known, &value->a))
    fail_msg("%s, sample %d: known [%g, %g], total %g, does not hold", op->name, s + 1,
             y->known.lo, y->known.hi, y->known.total);
  fault_clear(&graph.fault); /* indices that were scaled */
  graph_scope_end(&graph, scope);
}

TEST(what_ops_claim_of_their_values_holds) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int i = 0; i < N_OPS; i++) {
    const Op *op = op_table[i];
    if (!op_is_run(op) || !op->known || op == &op_record_dropout_mask) continue;
    for (int s = 0; s < sample_count(op); s++) {
      check_sample(op, s, false);
      check_sample(op, s, true);
    }
  }
  graph_close(&graph);
}

static Node *data(int64_t n, int64_t c) {
  return op_random_normal(&graph, &SHAPE_OF(n, c), 0, 1,
                          graph_draw(&graph, "user", "x"));
}

static bool is_distribution(const Node *p) {
  assert_non_null(p);
  return known_distributions(&p->known);
}

TEST(distributions_stay_known_through_what_keeps_their_rows) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *p = op_softmax(&graph, data(6, 4), -1), *q = op_softmax(&graph, data(6, 4), -1);
  Node *half = graph_scalar(&graph, 0.5);
  assert_true(is_distribution(p));
  assert_false(known_distributions(&data(6, 4)->known));
  assert_true(is_distribution(op_reshape(&graph, p, &SHAPE_OF(2, 3, 4))));
  assert_false(is_distribution(op_reshape(&graph, p, &SHAPE_OF(4, 6))));
  assert_true(is_distribution(op_clip(&graph, p, 1e-6, 1)));
  assert_false(is_distribution(op_clip(&graph, p, 0.2, 1)));
  assert_true(is_distribution(
      op_slice(&graph, p, (int64_t[]){1, 0}, (int64_t[]){3, 4}, (int64_t[]){1, 1})));
  assert_false(is_distribution(
      op_slice(&graph, p, (int64_t[]){0, 1}, (int64_t[]){6, 3}, (int64_t[]){1, 1})));
  assert_true(is_distribution(op_concat(&graph, (Node *[]){p, q}, 2, 0)));
  assert_false(is_distribution(op_concat(&graph, (Node *[]){p, q}, 2, 1)));
  assert_false(is_distribution(op_transpose(&graph, p, NULL)));
  assert_true(is_distribution(op_mul(&graph, op_add(&graph, p, q), half)));
  Node *three = op_reshape(&graph, p, &SHAPE_OF(2, 3, 4));
  assert_true(is_distribution(op_mean(&graph, three, 1u, false)));
  assert_false(is_distribution(op_mean(&graph, three, 4u, false)));
  assert_true(is_distribution(graph_detach(&graph, graph_track(&graph, p))));
  assert_false(is_distribution(op_softmax(&graph, data(6, 4), 0)));
  graph_close(&graph);
}

TEST(activations_written_by_hand_are_known) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *z = data(6, 4), *one = graph_scalar(&graph, 1);
  Node *e = op_exp(&graph, op_sub(&graph, z, op_max(&graph, z, 2u, true)));
  assert_true(is_distribution(op_div(&graph, e, op_sum(&graph, e, 2u, true))));
  assert_false(is_distribution(op_div(&graph, e, op_sum(&graph, e, 1u, true))));
  assert_false(is_distribution(op_div(&graph, z, op_sum(&graph, z, 2u, true))));
  Node *below = op_add(&graph, one, op_exp(&graph, op_neg(&graph, z)));
  Node *s = op_div(&graph, one, below);
  assert_true(known_probabilities(&s->known));
  assert_true(known_probabilities(&op_reciprocal(&graph, below)->known));
  assert_true(known_probabilities(&op_sub(&graph, one, s)->known));
  Node *half = op_scale(&graph, op_tanh(&graph, op_scale(&graph, z, 0.5)), 0.5);
  assert_true(
      known_probabilities(&op_add(&graph, half, graph_scalar(&graph, 0.5))->known));
  assert_false(known_probabilities(&op_tanh(&graph, z)->known));
  assert_false(known_probabilities(&op_relu(&graph, z)->known));
  assert_true(op_log_softmax(&graph, z, 1)->known.logs);
  assert_true(op_log(&graph, op_softmax(&graph, z, 1))->known.logs);
  assert_true(is_distribution(op_exp(&graph, op_log_softmax(&graph, z, 1))));
  assert_false(op_log_softmax(&graph, z, 0)->known.logs);
  graph_close(&graph);
}

/* x / (sum x + 1e-7), and what else keeps a divisor from 0. */
TEST(rows_divided_by_no_less_than_their_sum_are_probabilities) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *z = data(6, 4), *r = op_relu(&graph, z), *eps = graph_scalar(&graph, 1e-7);
  Node *sum = op_sum(&graph, r, 2u, true), *more = op_add(&graph, sum, eps);
  assert_true(known_probabilities(&op_div(&graph, r, more)->known));
  assert_false(is_distribution(op_div(&graph, r, more)));
  assert_true(known_probabilities(&op_div(&graph, r, op_add(&graph, eps, sum))->known));
  assert_true(
      known_probabilities(&op_div(&graph, r, op_maximum(&graph, sum, eps))->known));
  assert_false(
      known_probabilities(&op_div(&graph, r, op_minimum(&graph, sum, eps))->known));
  assert_false(
      known_probabilities(&op_div(&graph, r, op_sub(&graph, sum, eps))->known));
  assert_false(known_probabilities(&op_div(&graph, z, more)->known));
  graph_close(&graph);
}

TEST(a_reciprocal_of_what_may_be_minus_0_has_no_upper_bound) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *z = data(6, 4), *zero = graph_scalar(&graph, 0);
  Node *above = op_neg(&graph, op_minimum(&graph, z, zero));
  assert_false(known_probabilities(&op_reciprocal(&graph, above)->known));
  Node *logs = op_neg(&graph, op_log_softmax(&graph, z, 1));
  assert_false(known_probabilities(&op_reciprocal(&graph, logs)->known));
  graph_close(&graph);
}

TEST(powers_and_comparisons_of_probabilities_are_known) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *z = data(6, 4), *p = op_sigmoid(&graph, z), *two = graph_scalar(&graph, 2);
  Node *sharp = op_pow(&graph, op_softmax(&graph, z, 1), two);
  assert_true(known_probabilities(&op_pow(&graph, p, two)->known));
  assert_true(is_distribution(op_div(&graph, sharp, op_sum(&graph, sharp, 2u, true))));
  assert_false(known_probabilities(&op_pow(&graph, p, op_neg(&graph, two))->known));
  assert_false(known_probabilities(&op_pow(&graph, z, two)->known));
  assert_false(known_probabilities(&op_pow(&graph, p, z)->known));
  Node *where = op_gt(&graph, z, p);
  assert_true(known_probabilities(&op_mul(&graph, where, p)->known));
  assert_true(known_probabilities(&op_square(&graph, op_sin(&graph, z))->known));
  graph_close(&graph);
}

static Node *mix(Node *g, Node *a, Node *rest, Node *b) {
  return op_add(&graph, op_mul(&graph, g, a), op_mul(&graph, b, rest));
}

TEST(mixtures_of_distributions_are_distributions) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  Node *one = graph_scalar(&graph, 1), *two = graph_scalar(&graph, 2);
  Node *p = op_softmax(&graph, data(6, 4), 1), *q = op_softmax(&graph, data(6, 4), 1);
  Node *g = op_sigmoid(&graph, data(6, 1)), *each = op_sigmoid(&graph, data(6, 4));
  assert_true(is_distribution(mix(g, p, op_sub(&graph, one, g), q)));
  assert_true(is_distribution(mix(op_sub(&graph, one, g), p, g, q)));
  Node *single = mix(each, p, op_sub(&graph, one, each),
                     q); /* a weight for each element */
  assert_true(known_probabilities(&single->known));
  assert_false(is_distribution(single));
  assert_false(known_probabilities(&mix(g, p, op_sub(&graph, two, g), q)->known));
  assert_false(known_probabilities(&mix(g, p, op_sub(&graph, one, each), q)->known));
  Node *free = data(6, 1);
  assert_false(known_probabilities(&mix(free, p, op_sub(&graph, one, free), q)->known));
  assert_false(
      known_probabilities(&mix(g, data(6, 4), op_sub(&graph, one, g), q)->known));
  graph_close(&graph);
}
