/* test_values.c: what is looked at again is computed by a plan: the bytes, what stays,
 * and when no plan is made. */
#include "allocations.h"
#include "base/sys.h"
#include "graph/bound.h"
#include "graph/ops.h"

static Graph graph;

static void open_graph(void) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
}

static void close_graph(void) {
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

static int n_plans(PlanUse use) { return graph.plans[use].n; }

static Node *ones(int64_t n, int64_t m) {
  return op_full(&graph, 0.3, &SHAPE_OF(n, m));
}

/* A chain of elementwise ops and a product; *middle is a node in its midst. */
static Node *chain(Node *x, double by, Node **middle) {
  Node *y = op_matmul(&graph, x, op_transpose(&graph, x, NULL));
  for (int i = 0; i < 6; i++) {
    y = op_tanh(&graph,
                op_add(&graph, op_scale(&graph, y, by), graph_scalar(&graph, by)));
    if (i == 2 && middle) *middle = y;
  }
  return y;
}

static bool same_bytes(const Tensor *a, const Tensor *b) {
  return shape_equal(&a->a.shape, &b->a.shape) &&
         memcmp(a->a.data, b->a.data, (size_t)tensor_count(a) * sizeof(real)) == 0;
}

/* Looks at the chain on an n x 3 input; compares with the naive executor. */
static void look(int64_t n, double by) {
  int scope = graph_scope_begin(&graph);
  Node *x = ones(n, 3), *want = chain(x, by, NULL), *got = chain(x, by, NULL);
  assert_int_equal(graph_eval(&graph, &want, 1), ERR_OK);
  assert_true(same_bytes(graph_value(&graph, got), node_value(want)));
  assert_null(got->in);
  graph_scope_end(&graph, scope);
}

TEST(a_plan_is_made_at_second_sight_and_numbers_are_its_inputs) {
  open_graph();
  look(5, 0.5);
  assert_int_equal(n_plans(PLANS_OF_VALUES), 0);
  look(5, 0.25);
  assert_int_equal(n_plans(PLANS_OF_VALUES), 1);
  uint64_t used = graph.plans[PLANS_OF_VALUES].v[0]->used;
  look(5, 0.125);
  assert_true(graph.plans[PLANS_OF_VALUES].v[0]->used > used);
  assert_int_equal(n_plans(PLANS_OF_VALUES), 1);
  assert_int_equal(n_plans(PLANS_OF_STEPS), 0);
  close_graph();
}

TEST(the_naive_executor_and_small_expressions_make_none) {
  open_graph();
  for (int i = 0; i < 4; i++) {
    int scope = graph_scope_begin(&graph);
    assert_non_null(
        graph_value(&graph, op_add(&graph, ones(4, 3), graph_scalar(&graph, i))));
    graph_scope_end(&graph, scope);
  }
  graph.naive = true;
  for (int i = 0; i < 4; i++) look(5, 0.5);
  assert_int_equal(n_plans(PLANS_OF_VALUES), 0);
  close_graph();
}

TEST(what_is_held_keeps_its_value) {
  open_graph();
  for (int i = 0; i < 4; i++) {
    int scope = graph_scope_begin(&graph);
    Node *middle, *x = ones(7, 3), *y = chain(x, 0.5, &middle);
    node_hold(middle);
    node_hold(y);
    assert_non_null(graph_value(&graph, y));
    assert_non_null(node_value(middle));
    Node *again = chain(x, 0.5, NULL);
    assert_int_equal(graph_eval(&graph, &again, 1), ERR_OK);
    assert_true(same_bytes(node_value(again), node_value(y)));
    node_drop(middle);
    node_drop(y);
    graph_scope_end(&graph, scope);
  }
  assert_int_equal(n_plans(PLANS_OF_VALUES), 1);
  close_graph();
}

/* A variable's expression keeps its history: its value does not stand for its
 * inputs. */
TEST(an_expression_of_a_variable_can_still_be_differentiated) {
  open_graph();
  Fault fault = {0};
  Variable *v = variable_new("v", &fault);
  for (int i = 0; i < 4; i++) {
    int scope = graph_scope_begin(&graph);
    assert_int_equal(variable_assign(&graph, v, op_scale(&graph, ones(3, 3), i)),
                     ERR_OK);
    Node *read = variable_read(&graph, v), *y = node_hold(chain(read, 0.5, NULL)),
         *g = NULL;
    assert_non_null(graph_value(&graph, y));
    Node *later = chain(y, 0.5, NULL), *same = chain(y, 0.5, NULL);
    assert_int_equal(graph_eval(&graph, &same, 1), ERR_OK);
    assert_true(same_bytes(graph_value(&graph, later), node_value(same)));
    assert_int_equal(graph_grad(&graph, op_sum(&graph, y, ALL_AXES, false), NULL, &read,
                                1, &g),
                     ERR_OK);
    assert_non_null(graph_value(&graph, g));
    node_drop(y);
    graph_scope_end(&graph, scope);
  }
  variable_release(v);
  close_graph();
}

TEST(thousands_of_shapes_do_not_grow_the_cache_nor_plan_again_and_again) {
  open_graph();
  for (int64_t n = 1; n <= 1000; n++) {
    look(n % 250 + 1, 0.5);
    look(n % 250 + 1, 0.5);
  }
  assert_true(n_plans(PLANS_OF_VALUES) <= CACHE_PLANS);
  uint64_t made = 0;
  for (int i = 0; i < n_plans(PLANS_OF_VALUES); i++) {
    const CachedPlan *plan = graph.plans[PLANS_OF_VALUES].v[i];
    if (plan->made > made) made = plan->made;
  }
  /* The same shapes in turn: those that have a plan keep it. */
  for (int64_t n = 1; n <= 100; n++) look(n, 0.5);
  int64_t first = graph.plan_uses;
  for (int round = 0; round < 5; round++)
    for (int64_t n = 1; n <= 100; n++) look(n, 0.5);
  int n_new = 0;
  for (int i = 0; i < n_plans(PLANS_OF_VALUES); i++)
    n_new += graph.plans[PLANS_OF_VALUES].v[i]->made > (uint64_t)first;
  assert_true(n_new < CACHE_PLANS);
  assert_int_equal(n_plans(PLANS_OF_STEPS), 0);
  close_graph();
}

/* -- batch after batch ------------------------------------------------------------- */

typedef struct Batch {
  Tensor *x;
  int n_emitted;
} Batch;

static Err emit(void *ctx, Node **out, int *n_out, Fault *fault) {
  Batch *batch = ctx;
  batch->n_emitted++;
  out[0] = chain(graph_const(&graph, batch->x), 0.5, NULL);
  out[1] = op_sum(&graph, out[0], ALL_AXES, false);
  *n_out = 2;
  return graph_ok(&graph, fault);
}

static Tensor *batch_of(int64_t n, double value) {
  Fault fault = {0};
  Tensor *t = tensor_new(&graph.memory, DT_REAL, &SHAPE_OF(n, 3), &fault);
  for (int64_t i = 0; i < tensor_count(t); i++)
    array_set(&t->a, i, value / (double)(i + 1));
  return t;
}

TEST(batches_run_again_build_nothing_and_allocate_nothing) {
  open_graph();
  if (COUNTS_ALLOCATIONS) assert_allocations_count();
  Fault fault = {0};
  Batch batch = {0};
  Repeat repeat = {.graph = &graph, .emit = emit, .ctx = &batch, .bindable = true};
  for (int i = 1; i <= 20; i++) {
    batch.x = batch_of(i == 20 ? 3 : 6, i);
    PlanArgs args = {&batch.x, 1};
    int64_t before = n_allocations;
    assert_int_equal(repeat_run(&repeat, &args, 1, 20 - i, &fault), ERR_OK);
    if (COUNTS_ALLOCATIONS && i > 2 && i < 20) assert_int_equal(n_allocations, before);
    int scope = graph_scope_begin(&graph), n_emitted = batch.n_emitted;
    Node *want[2];
    int n;
    assert_int_equal(emit(&batch, want, &n, &fault), ERR_OK);
    batch.n_emitted = n_emitted;
    assert_int_equal(graph_eval(&graph, want, n), ERR_OK);
    for (int k = 0; k < n; k++)
      assert_true(same_bytes(repeat.value[k], node_value(want[k])));
    graph_scope_end(&graph, scope);
    tensor_release(batch.x);
  }
  assert_int_equal(batch.n_emitted, 2);
  repeat_end(&repeat);
  close_graph();
}

TEST(an_interrupt_stops_a_batch_and_the_next_run_is_whole) {
  open_graph();
  Fault fault = {0};
  Batch batch = {.x = batch_of(6, 1)};
  PlanArgs args = {&batch.x, 1};
  Repeat repeat = {.graph = &graph, .emit = emit, .ctx = &batch, .bindable = true};
  for (int i = 0; i < 6; i++) {
    interrupt_raise();
    assert_int_equal(repeat_run(&repeat, &args, 1, 20, &fault), ERR_INTERRUPT);
    assert_int_equal(repeat.n_values, 0);
    interrupt_clear();
    fault_clear(&fault);
    assert_int_equal(repeat_run(&repeat, &args, 1, 20, &fault), ERR_OK);
    assert_int_equal(repeat.n_values, 2);
  }
  assert_int_equal(batch.n_emitted, 2);
  repeat_end(&repeat);
  tensor_release(batch.x);
  close_graph();
}
