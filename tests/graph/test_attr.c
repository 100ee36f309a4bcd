/* Attributes as words: lists of any length, any number of attributes, what people read
 * of them. */
#include "graph/words.h"
#include "graph/ops.h"
#include "graph/plan.h"
#include "test.h"

enum { MANY = 5000 };

/* Its value, by the naive executor or a plan, is the words that were given. */
static void check_words(const int64_t *one, int n_one, const int64_t *other,
                        int n_other) {
  static Attr want[WORDS_MOST];
  int n = words_attr(want, one, n_one, other, n_other);
  assert_true(attr_fit(op_words.attrs, want, n));
  for (int planned = 0; planned < 2; planned++) {
    Graph g;
    Fault fault = {0};
    assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
    g.checked = true;
    Node *y = words_node(&g, one, n_one, other, n_other);
    assert_non_null(y);
    assert_int_equal(y->n_attr, n);
    assert_int_equal(planned ? plan_eval(&g, &y, 1) : graph_eval(&g, &y, 1), ERR_OK);
    for (int k = 0; k < n; k++) {
      bool is_real = k == n - WORDS_DIGITS - 1;
      CHECK_NEAR(array_get(&node_value(y)->a, k),
                 is_real ? want[k].f : (double)want[k].i, 0);
    }
    graph_close(&g);
  }
}

TEST(lists_of_none_one_and_many_reach_the_kernel_naive_and_planned) {
  static int64_t many[MANY];
  for (int k = 0; k < MANY; k++) many[k] = k - 2000;
  check_words(NULL, 0, NULL, 0);
  check_words((int64_t[]){11}, 1, NULL, 0);
  check_words(NULL, 0, (int64_t[]){-3}, 1);
  check_words((int64_t[]){1, 2}, 2, (int64_t[]){3}, 1);
  check_words(many, MANY, many, 40);
}

TEST(words_that_are_not_those_of_the_record_do_not_fit) {
  Attr attr[64];
  int n = words_attr(attr, (int64_t[]){1, 2}, 2, NULL, 0);
  const OpAttr *pads = op_record_pad.attrs;
  assert_true(attr_fit(op_words.attrs, attr, n));
  assert_false(attr_fit(op_words.attrs, attr, n - 1));
  assert_false(attr_fit(op_words.attrs, attr, n + 1));
  attr[0].i = 1;
  assert_false(attr_fit(op_words.attrs, attr, n));
  attr[0].i = -1;
  assert_false(attr_fit(op_words.attrs, attr, n));
  attr[0].i = INT64_MAX;
  assert_false(attr_fit(op_words.attrs, attr, n));
  assert_true(attr_fit(NULL, NULL, 0));
  assert_false(attr_fit(pads, (Attr[]){{2}, {0}}, 2));
  assert_false(attr_fit(pads, (Attr[]){{1}, {0}}, 2));
  assert_true(attr_fit(pads, (Attr[]){{2}, {0}, {1}}, 3));
}

TEST(a_set_of_axes_is_a_list_in_order) {
  Attr attr[AXES_ROOM];
  assert_int_equal(axes_to_attr(attr, 5, 4), 3);
  assert_int_equal(attr[0].i, 2);
  assert_int_equal(attr[1].i, 0);
  assert_int_equal(attr[2].i, 2);
  assert_int_equal(attr_axes(attr), 5);
  assert_int_equal(axes_to_attr(attr, ALL_AXES, 3), 4);
  assert_int_equal(attr_axes(attr), 7);
  assert_int_equal(axes_to_attr(attr, 0, 3), 1);
  assert_int_equal(attr_axes(attr), 0);
  assert_int_equal(axes_to_attr(attr, ALL_AXES, 0), 1);
}

static void check_printed(Node *node, const char *want) {
  Text text = {0};
  assert_non_null(node);
  attr_print_all(&text, node->op->attrs, node->attr, false);
  assert_string_equal(text.n_bytes ? text.data : "", want);
  text_deinit(&text);
}

TEST(attributes_are_printed_as_lua_gives_them) {
  Graph g;
  Fault fault = {0};
  assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
  Node *x = op_full(&g, 1, &SHAPE_OF(3, 4, 5));
  check_printed(op_sum(&g, x, 5, true), ", axes = {1, 3}, keepdims = true");
  check_printed(op_transpose(&g, x, NULL), ", axes = {3, 2, 1}");
  check_printed(op_reshape(&g, x, &SHAPE_OF(-1, 6)), ", shape = {-1, 6}");
  check_printed(op_cast(&g, x, DT_INT32), ", dtype = \"int32\"");
  check_printed(op_clip(&g, x, -1, 0.5), ", lo = -1, hi = 0.5");
  check_printed(op_concat(&g, &x, 1, 1), ", axis = 2");
  check_printed(op_tanh(&g, x), "");
  check_printed(op_slice(&g, x, (int64_t[]){0, 1, 4}, (int64_t[]){2, 0, 3},
                         (int64_t[]){1, 1, -2}),
                ", ranges = {{1, 2}, {2, 1}, {5, 1, -2}}");
  check_printed(op_pad(&g, x, (int64_t[]){0, 1, 2}, (int64_t[]){3, 4, 5}),
                ", pads = {{0, 3}, {1, 4}, {2, 5}}");
  check_printed(op_dropout_mask(&g, &SHAPE_SCALAR, 0.5, (Stream){1, 2}),
                ", shape = {}, rate = 0.5");
  assert_int_equal(graph_ok(&g, &fault), ERR_OK);
  graph_close(&g);
}

static void check_allowed(const OpAttr *attr, const char *want) {
  char text[128];
  assert_string_equal(attr_allowed(attr, text, sizeof text), want);
}

TEST(what_is_allowed_follows_from_the_record) {
  const OpAttr *a = op_words.attrs;
  check_allowed(&a[0], "a list of whole numbers");
  check_allowed(&a[2], "2 whole numbers, or one for both, from 1 to 9");
  check_allowed(&a[3], "a list of 1 to 3 whole numbers");
  check_allowed(&a[4], "a number");
  check_allowed(&a[5], "a whole number from 0 to 9");
  check_allowed(op_record_conv2d.attrs + 1,
                "4 whole numbers, or one for all, from 0 to 1e+09");
}
