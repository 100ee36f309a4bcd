/* Variables: what is read keeps its value, what does not fit is refused, and a step
 * that is rolled back has changed nothing. */
#include "graph/graph_private.h"
#include "graph/ops.h"
#include "test.h"

static Graph graph;
static int scope;

static void open_graph(void) {
  assert_int_equal(graph_open(&graph, 1, 1, &(Fault){0}), ERR_OK);
  scope = graph_scope_begin(&graph);
}

static void close_graph(void) {
  graph_scope_end(&graph, scope);
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

static Node *number(double x) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(1), &x);
}

static Variable *new_variable(const char *name, double x) {
  Fault fault = {0};
  Variable *v = variable_new(name, &fault);
  assert_non_null(v);
  assert_int_equal(variable_assign(&graph, v, number(x)), ERR_OK);
  return v;
}

static double value(Node *node) { return array_get(&graph_value(&graph, node)->a, 0); }

static double now(Variable *v) { return value(variable_read(&graph, v)); }

TEST(what_was_read_keeps_its_value) {
  open_graph();
  Variable *v = new_variable("v", 1);
  Node *before = variable_read(&graph, v), *sum = op_add(&graph, before, number(10));
  uint64_t version = v->version;
  assert_ptr_equal(variable_read(&graph, v), before);
  assert_int_equal(variable_assign(&graph, v, number(2)), ERR_OK);
  assert_true(v->version > version);
  assert_ptr_not_equal(variable_read(&graph, v), before);
  assert_true(value(sum) == 11 && value(before) == 1 && now(v) == 2);
  variable_release(v);
  close_graph();
}

TEST(before_its_first_value_it_cannot_be_read) {
  open_graph();
  Fault fault = {0};
  Variable *v = variable_new("dense_1.weight", &fault);
  assert_null(variable_read(&graph, v));
  assert_int_equal(graph_ok(&graph, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "dense_1.weight has no value yet"));
  variable_release(v);
  variable_release(NULL);
  close_graph();
}

TEST(shape_and_type_are_those_of_the_first_value) {
  open_graph();
  Variable *v = new_variable("v", 1);
  Node *two = op_full(&graph, 1, &SHAPE_OF(2));
  Node *whole = op_cast(&graph, number(1), DT_INT32);
  for (int i = 0; i < 2; i++) {
    Fault fault = {0};
    assert_int_equal(variable_assign(&graph, v, i ? whole : two), ERR_SHAPE);
    assert_int_equal(graph_ok(&graph, &fault), ERR_SHAPE);
    assert_non_null(strstr(fault.text, i ? "int32" : "got 2 real"));
  }
  assert_true(now(v) == 1);
  variable_release(v);
  close_graph();
}

/* In a transaction: assigned twice, and for the first time. */
TEST(a_rolled_back_step_changes_nothing) {
  open_graph();
  Fault fault = {0};
  Variable *v = new_variable("v", 1), *fresh = variable_new("fresh", &fault);
  Node *held = v->current;
  Stream drawn = graph_draw(&graph, "dropout", "a");
  graph_begin(&graph);
  assert_int_equal(variable_assign(&graph, v, number(2)), ERR_OK);
  assert_int_equal(variable_assign(&graph, v, number(3)), ERR_OK);
  assert_int_equal(variable_assign(&graph, fresh, number(4)), ERR_OK);
  assert_true(now(v) == 3 && now(fresh) == 4);
  assert_ptr_equal(variable_at_begin(&graph, v), held);
  graph_draw(&graph, "dropout", "a");
  graph_draw(&graph, "dropout", "b");
  graph_rollback(&graph);
  assert_ptr_equal(v->current, held);
  assert_true(now(v) == 1);
  assert_false(fresh->has_value);
  assert_int_equal(graph_draw(&graph, "dropout", "a").draw, drawn.draw + 1);
  assert_int_equal(graph_draw(&graph, "dropout", "b").draw, 0);
  variable_release(v);
  variable_release(fresh);
  close_graph();
}

TEST(a_committed_step_stays) {
  open_graph();
  Variable *v = new_variable("v", 1);
  graph_begin(&graph);
  assert_int_equal(variable_assign(&graph, v, number(2)), ERR_OK);
  assert_ptr_equal(graph_assigned(&graph, 0), v);
  assert_null(graph_assigned(&graph, 1));
  graph_commit(&graph);
  assert_true(now(v) == 2);
  assert_ptr_equal(variable_at_begin(&graph, v), v->current);
  variable_release(v);
  close_graph();
}

/* v = v + 1 without a look at it: memory stays bounded, and so does the depth. */
TEST(long_chains_of_assignments) {
  open_graph();
  enum { TIMES = 30000 };
  Variable *v = new_variable("v", 0);
  for (int i = 0; i < TIMES; i++) {
    int inner = graph_scope_begin(&graph);
    Node *next = op_add(&graph, variable_read(&graph, v), number(1));
    assert_int_equal(variable_assign(&graph, v, next), ERR_OK);
    assert_true(v->n_pending <= MAX_PENDING_DEPTH + 1);
    graph_scope_end(&graph, inner);
  }
  assert_true(now(v) == TIMES);
  variable_release(v);
  close_graph();
}

TEST(its_reads_outlive_it) {
  open_graph();
  Variable *v = new_variable("v", 5);
  Node *read = node_hold(variable_read(&graph, v));
  variable_release(v);
  assert_true(value(read) == 5);
  node_drop(read);
  close_graph();
}
