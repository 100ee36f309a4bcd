/* test_ops_move.c: what the samples cannot show of the ops that move and choose
 * elements: views, inferred dims, refusals. */
#include "graph/item.h"
#include "test.h"
#include "graph/ops.h"

static Graph graph;

static void open_graph(void) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
}

/* 1, 2, 3 ... in the given shape. */
static Node *counting(DType dtype, Shape shape) {
  double v[64];
  assert_true(shape_count(&shape) <= 64);
  for (int i = 0; i < 64; i++) v[i] = i + 1;
  return graph_from_doubles(&graph, dtype, &shape, v);
}

static void check_values(Node *node, Shape shape, const double *want) {
  Tensor *t = graph_value(&graph, node);
  assert_non_null(t);
  assert_true(shape_equal(&t->a.shape, &shape));
  for (int64_t i = 0; i < shape_count(&shape); i++)
    CHECK_NEAR(array_get(&t->a, i), want[i], 0);
}

/* The fault that making or computing `node` left behind. */
static void check_refused(Node *node, const char *text) {
  Fault fault = {0};
  if (node) assert_null(graph_value(&graph, node));
  assert_int_not_equal(graph_ok(&graph, &fault), ERR_OK);
  if (!strstr(fault.text, text)) fail_msg("got \"%s\", want \"%s\"", fault.text, text);
}

TEST(a_reshape_shares_storage_and_infers_one_dim) {
  open_graph();
  Node *x = node_hold(counting(DT_REAL, SHAPE_OF(2, 6)));
  Node *y = op_reshape(&graph, x, &SHAPE_OF(3, -1));
  check_values(y, SHAPE_OF(3, 4), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  assert_ptr_equal(node_value(y)->storage, node_value(x)->storage);
  check_refused(op_reshape(&graph, x, &SHAPE_OF(5, -1)),
                "cannot make 5x-1 of 2x6 (12 elements)");
  check_refused(op_reshape(&graph, x, &SHAPE_OF(-1, -1)), "two dims are -1");
  check_refused(op_reshape(&graph, x, &SHAPE_OF(-2, 6)), "dim -2 of axis 1");
  node_drop(x);
  graph_close(&graph);
}

static Node *slice2(Node *x, int64_t s0, int64_t c0, int64_t k0, int64_t s1, int64_t c1,
                    int64_t k1) {
  return op_slice(&graph, x, (int64_t[]){s0, s1}, (int64_t[]){c0, c1},
                  (int64_t[]){k0, k1});
}

TEST(a_slice_is_a_view_exactly_where_it_is_one_stretch) {
  open_graph();
  Node *x = node_hold(counting(DT_INT32, SHAPE_OF(4, 3)));
  Storage *storage = node_value(x)->storage;
  Node *rows = slice2(x, 1, 2, 1, 0, 3, 1), *part = slice2(x, 2, 1, 1, 1, 2, 1);
  Node *column = slice2(x, 0, 4, 1, 1, 1, 1),
       *backwards = slice2(x, 3, 2, -2, 2, 3, -1);
  check_values(rows, SHAPE_OF(2, 3), (double[]){4, 5, 6, 7, 8, 9});
  check_values(part, SHAPE_OF(1, 2), (double[]){8, 9});
  check_values(column, SHAPE_OF(4, 1), (double[]){2, 5, 8, 11});
  check_values(backwards, SHAPE_OF(2, 3), (double[]){12, 11, 10, 6, 5, 4});
  assert_ptr_equal(node_value(rows)->storage, storage);
  assert_ptr_equal(node_value(part)->storage, storage);
  assert_ptr_not_equal(node_value(column)->storage, storage);
  assert_ptr_not_equal(node_value(backwards)->storage, storage);
  check_refused(slice2(x, 2, 3, 1, 0, 3, 1), "axis 1: 3 elements from 3 on by 1");
  check_refused(slice2(x, 0, 1, 1, 0, 2, 0), "axis 2: count 2, step 0");
  node_drop(x);
  graph_close(&graph);
}

TEST(a_slice_of_a_slice_is_a_view_of_a_view) {
  open_graph();
  Node *x = node_hold(counting(DT_REAL, SHAPE_OF(6, 2)));
  Node *y = slice2(slice2(x, 1, 5, 1, 0, 2, 1), 2, 2, 1, 0, 2, 1);
  check_values(y, SHAPE_OF(2, 2), (double[]){7, 8, 9, 10});
  assert_ptr_equal(node_value(y)->storage, node_value(x)->storage);
  node_drop(x);
  graph_close(&graph);
}

TEST(shapes_that_do_not_fit_are_refused) {
  open_graph();
  Node *x = counting(DT_REAL, SHAPE_OF(2, 3)), *u = counting(DT_UINT8, SHAPE_OF(2, 3));
  check_refused(op_broadcast_to(&graph, x, &SHAPE_OF(3, 3)),
                "cannot repeat 2x3 to 3x3");
  check_refused(op_broadcast_to(&graph, x, &SHAPE_OF(3)), "cannot repeat 2x3 to 3");
  check_refused(op_broadcast_to(&graph, counting(DT_REAL, SHAPE_SCALAR),
                                &SHAPE_OF(1LL << 31, 1LL << 31, 1LL << 31)),
                "more elements than can be counted");
  check_refused(op_transpose(&graph, x, (int[]){0, 0}), "axis 1 at place 2");
  check_refused(op_concat(&graph, (Node *[]){x, u}, 2, 0), "input 2 is uint8");
  check_refused(op_concat(&graph, (Node *[]){x, counting(DT_REAL, SHAPE_OF(2, 2))}, 2,
                          0),
                "input 2 is 2x2, input 1 2x3");
  check_refused(op_concat(&graph, (Node *[]){x}, 1, 2), "axis 3 of 2x3");
  check_refused(op_pad(&graph, x, (int64_t[]){0, -1}, (int64_t[]){0, 0}), "axis 2: -1");
  check_refused(op_gather(&graph, counting(DT_REAL, SHAPE_SCALAR), u), "x is a scalar");
  check_refused(op_one_hot(&graph, u, 0), "classes: got 0");
  graph_close(&graph);
}

static Node *indices(DType dtype, const double *v, int64_t n) {
  return graph_from_doubles(&graph, dtype, &SHAPE_OF(n), v);
}

TEST(an_index_may_be_int32_uint8_or_a_whole_real) {
  open_graph();
  Node *x = counting(DT_REAL, SHAPE_OF(3, 2));
  for (int d = 0; d < N_DTYPES; d++) {
    Node *index = indices((DType)d, (double[]){3, 1, 3}, 3);
    check_values(op_gather(&graph, x, index), SHAPE_OF(3, 2),
                 (double[]){5, 6, 1, 2, 5, 6});
    check_values(op_one_hot(&graph, index, 3), SHAPE_OF(3, 3),
                 (double[]){0, 0, 1, 1, 0, 0, 0, 0, 1});
  }
  graph_close(&graph);
}

TEST(an_index_out_of_range_is_refused_with_value_position_and_range) {
  open_graph();
  Node *x = counting(DT_REAL, SHAPE_OF(10, 2));
  Node *high = indices(DT_INT32, (double[]){1, 2, 3, 4, 11}, 5);
  check_refused(op_gather(&graph, x, high),
                "gather: index 11 at position 5 is out of range: allowed 1 to 10");
  check_refused(op_one_hot(&graph, high, 10),
                "one_hot: index 11 at position 5 is out of range: allowed 1 to 10");
  check_refused(op_gather(&graph, x, indices(DT_INT32, (double[]){3, 0}, 2)),
                "index 0 at position 2 is out of range: allowed 1 to 10 (indices count "
                "from 1; 0 needs mask_zero = true)");
  check_refused(op_gather(&graph, x, indices(DT_REAL, (double[]){2.5}, 1)),
                "index 2.5 at position 1 is not a whole number: allowed 1 to 10");
  check_refused(op_gather(&graph, x, indices(DT_REAL, (double[]){NAN}, 1)),
                "out of range");
  graph_close(&graph);
}

/* The gradient alone is computed: gather itself never runs, so it cannot be the one to
 * refuse. */
TEST(the_gradient_of_a_gather_checks_its_index) {
  open_graph();
  Node *x = graph_track(&graph, counting(DT_REAL, SHAPE_OF(3, 2))), *g;
  Node *y = op_gather(&graph, x, indices(DT_INT32, (double[]){4}, 1));
  Node *sum = op_sum(&graph, y, ALL_AXES, false);
  assert_int_equal(graph_grad(&graph, sum, NULL, &x, 1, &g), ERR_OK);
  check_refused(g, "index 4 at position 1 is out of range: allowed 1 to 3");
  graph_close(&graph);
}

TEST(a_gradient_through_an_expansion_goes_on_to_what_is_below) {
  open_graph();
  Node *x = graph_track(&graph, counting(DT_REAL, SHAPE_OF(1, 2))), *first, *second;
  Node *label = indices(DT_INT32, (double[]){1}, 1);
  Node *loss = op_softmax_cross_entropy(&graph, x, label);
  assert_int_equal(graph_grad(&graph, loss, NULL, &x, 1, &first), ERR_OK);
  Node *square = op_sum(&graph, op_square(&graph, first), ALL_AXES, false);
  assert_int_equal(graph_grad(&graph, square, NULL, &x, 1, &second), ERR_OK);
  /* p1 = 1 / (1 + e), first = (p1 - 1, p2) = (-p2, p2), d(2 p2^2) = 4 p2 (-p1 p2, p1
   * p2) */
  double p2 = exp(1) / (1 + exp(1)), want = 4 * p2 * p2 * (1 - p2);
  Tensor *t = graph_value(&graph, second);
  assert_non_null(t);
  CHECK_NEAR(array_get(&t->a, 0), -want, 1e-6);
  CHECK_NEAR(array_get(&t->a, 1), want, 1e-6);
  graph_close(&graph);
}

/* A graph so deep that its nodes would be evaluated on their own accord keeps its order
 * and its history while it is differentiated. */
TEST(a_deep_graph_without_variables_can_be_differentiated) {
  enum { DEPTH = 400 };
  open_graph();
  Node *x = counting(DT_REAL, SHAPE_OF(1)), *y = x, *g;
  double value = 1, slope = 1;
  for (int i = 0; i < DEPTH; i++) {
    y = op_sin(&graph, op_sin(&graph, y));
    for (int k = 0; k < 2; k++) {
      slope *= cos(value);
      value = sin(value);
    }
  }
  assert_int_equal(graph_grad(&graph, y, NULL, &x, 1, &g), ERR_OK);
  CHECK_NEAR(item_of(&graph, g), slope, 1e-5 * slope);
  graph_close(&graph);
}
