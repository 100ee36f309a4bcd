/* test_history.c: what nodes that forgot their inputs still know, and the products of
 * the chain rule. */
#include "graph/ops.h"
#include "test.h"

static Graph graph;
static int scope;

static void open_graph(void) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  scope = graph_scope_begin(&graph);
}

static void close_graph(void) {
  graph_scope_end(&graph, scope);
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

static Node *pair(double a, double b) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2), (double[]){a, b});
}

static Node *total(Node *x) { return op_sum(&graph, x, ALL_AXES, false); }

/* Element 0 of the gradient of the sum of y by x. */
static double slope(Node *y, Node *x) {
  Node *g = NULL;
  assert_int_equal(graph_grad(&graph, total(y), NULL, &x, 1, &g), ERR_OK);
  return array_get(&graph_value(&graph, g)->a, 0);
}

static void refused(Node *y, Node *x, const char *word) {
  Node *g = NULL;
  Fault fault = {0};
  assert_int_not_equal(graph_grad(&graph, total(y), NULL, &x, 1, &g), ERR_OK);
  assert_int_equal(graph_ok(&graph, &fault), ERR_VALUE);
  if (!strstr(fault.text, word)) fail_msg("\"%s\" does not say %s", fault.text, word);
}

/* Held, as by a handle of Lua, and evaluated. */
static Node *evaluated(Node *x) {
  Node *held = node_hold(x);
  assert_int_equal(graph_eval(&graph, &held, 1), ERR_OK);
  return held;
}

TEST(leaves_and_computed_tensors_are_told_apart) {
  open_graph();
  Node *a = node_hold(pair(1, 2)), *b = node_hold(pair(3, 4));
  Node *twice = evaluated(op_scale(&graph, a, 2)),
       *thrice = evaluated(op_scale(&graph, a, 3));
  Node *sum = evaluated(op_add(&graph, twice, b));
  assert_true(slope(op_mul(&graph, twice, thrice), twice) == 3);
  assert_true(slope(op_mul(&graph, twice, b), b) == 2);
  refused(op_mul(&graph, sum, twice), twice, "forgot its inputs");
  refused(sum, a, "forgot its inputs");
  refused(sum, b, "forgot its inputs");
  assert_true(slope(op_mul(&graph, sum, thrice), thrice) == 5);
  Node *held[] = {a, b, twice, thrice, sum};
  for (int i = 0; i < 5; i++) node_drop(held[i]);
  close_graph();
}

/* Nobody held it when its reader forgot: then it is not known, and never a silent
 * zero. */
TEST(a_tensor_that_nobody_held_is_refused) {
  open_graph();
  Node *a = pair(1, 2), *inner = op_scale(&graph, a, 2);
  Node *outer = evaluated(op_scale(&graph, inner, 2));
  refused(outer, inner, "not known");
  node_drop(outer);
  close_graph();
}

TEST(a_variable_is_hidden_by_no_tensor_that_does_not_depend_on_it) {
  open_graph();
  Fault fault = {0};
  for (int i = 0; i < 300; i++) {
    Variable *v = variable_new(NULL, &fault);
    assert_int_equal(variable_assign(&graph, v, pair(1, 1)), ERR_OK);
    Node *read = variable_read(&graph, v);
    Node *x = evaluated(op_add(&graph, pair(i, i), pair(1, 1)));
    assert_true(slope(op_mul(&graph, read, x), read) == i + 1);
    node_drop(x);
    variable_release(v);
  }
  close_graph();
}

TEST(integers_are_refused_by_name_and_place) {
  open_graph();
  Fault fault = {0};
  Variable *v = variable_new("labels", &fault);
  assert_int_equal(variable_assign(&graph, v, op_cast(&graph, pair(1, 2), DT_INT32)),
                   ERR_OK);
  Node *read = variable_read(&graph, v), *x = pair(1, 2);
  refused(op_mul(&graph, read, x), read,
          "tensor 1 to differentiate by (labels) is int32");
  variable_release(v);
  close_graph();
}

/* -- chain_mul, chain_div, chain_both ---------------------------------------------- */

static const double odd[] = {0.0,  -0.0,     1.0,       -2.5, 1e-30,
                             1e30, INFINITY, -INFINITY, NAN};
enum { N_ODD = sizeof odd / sizeof *odd, N_PAIRS = N_ODD * N_ODD };

static Node *all_pairs(bool first) {
  double v[N_PAIRS];
  for (int i = 0; i < N_PAIRS; i++) v[i] = odd[first ? i / N_ODD : i % N_ODD];
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(N_PAIRS), v);
}

static bool same_bits(real a, real b) { return memcmp(&a, &b, sizeof a) == 0; }

/* Where the plain result is a number, those bits; where it is NaN: 0 if a gradient is
 * 0. */
TEST(the_products_of_the_chain_rule) {
  open_graph();
  Node *g = all_pairs(true), *d = all_pairs(false);
  Node *both = graph_apply(&graph, &op_record_chain_both, (Node *[]){g, d}, 2, NULL, 0);
  Node *node[] = {op_chain_mul(&graph, g, d), op_chain_div(&graph, g, d), both};
  Node *plain[] = {op_mul(&graph, g, d), op_div(&graph, g, d), op_mul(&graph, g, d)};
  for (int k = 0; k < 3; k++) {
    const real *y = tensor_reals(graph_value(&graph, node[k]));
    const real *want = tensor_reals(graph_value(&graph, plain[k]));
    for (int i = 0; i < N_PAIRS; i++) {
      bool nothing = odd[i / N_ODD] == 0 || (k == 2 && odd[i % N_ODD] == 0);
      bool ok = !isnan((double)want[i]) ? same_bits(y[i], want[i])
                : nothing               ? y[i] == 0
                                        : isnan((double)y[i]);
      if (!ok)
        fail_msg("product %d of %g and %g is %g", k, odd[i / N_ODD], odd[i % N_ODD],
                 (double)y[i]);
    }
  }
  close_graph();
}

TEST(setting_the_seed_restarts_counts_and_a_rollback_puts_them_back) {
  open_graph();
  graph.count = (RunCounts){.nets = 3, .fits = 2, .fit_streams = 2};
  graph_begin(&graph);
  graph_seed(&graph, 9);
  graph_restart_counts(&graph);
  assert_int_equal(graph.count.nets, 0);
  assert_int_equal(graph.count.fits, 2);
  assert_int_equal(graph.count.fit_streams, 0);
  assert_int_not_equal(graph.count.seeding, 0);
  graph_rollback(&graph);
  assert_int_equal(graph.seed, 1);
  assert_int_equal(graph.count.nets, 3);
  assert_int_equal(graph.count.fit_streams, 2);
  assert_int_equal(graph.count.seeding, 0);
  close_graph();
}
