/* Keys of graphs: what a plan depends on differs in them, what is an input does not;
 * and the plans that are kept under them. */
#include "test.h"
#include "graph/cache.h"
#include "graph/ops.h"
#include "graph/words.h"

static Graph graph;

static void begin(void) {
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
}

static void end(void) {
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

/* tanh(by * x) summed over the axes, of x that is `value` everywhere. */
static Node *expression(const Shape *shape, double value, double by, unsigned axes) {
  Node *x = op_full(&graph, value, shape);
  return op_sum(&graph, op_tanh(&graph, op_scale(&graph, x, by)), axes, false);
}

static Trace trace_of(Node *root, const uint64_t *words, int n_words) {
  Trace trace;
  assert_int_equal(trace_list(&trace, &graph, &root, 1, 0), ERR_OK);
  assert_int_equal(trace_key(&trace, &graph, &root, 1, (VariableList){0}, words,
                             n_words),
                   ERR_OK);
  return trace;
}

static bool same_key(const Trace *a, const Trace *b) {
  bool same = a->n_key == b->n_key &&
              memcmp(a->key, b->key, a->n_key * sizeof *a->key) == 0;
  if (same) assert_true(a->hash == b->hash);
  return same;
}

/* Has the second the key of the first? Ends both. */
static bool alike(Trace a, Trace b) {
  bool same = same_key(&a, &b);
  trace_deinit(&a);
  trace_deinit(&b);
  return same;
}

static Trace plain(Node *root) { return trace_of(root, NULL, 0); }

TEST(numbers_and_values_are_no_part_of_a_key) {
  begin();
  assert_true(alike(plain(expression(&SHAPE_OF(3, 4), 0.5, 2, 1)),
                    plain(expression(&SHAPE_OF(3, 4), 0.5, 3, 1))));
  Fault fault = {0};
  Tensor *one = tensor_new(NULL, DT_REAL, &SHAPE_OF(3), &fault);
  Tensor *other = tensor_new(NULL, DT_REAL, &SHAPE_OF(3), &fault);
  assert_true(alike(plain(op_tanh(&graph, graph_const(&graph, one))),
                    plain(op_tanh(&graph, graph_const(&graph, other)))));
  tensor_release(one);
  tensor_release(other);
  end();
}

TEST(ops_shapes_attributes_words_and_sharing_are) {
  static const uint64_t words[][2] = {{1, 2}, {1, 3}};
  begin();
  const Shape *shape = &SHAPE_OF(3, 4);
  Node *x = op_full(&graph, 0.5, shape), *y = op_full(&graph, 0.5, shape);
  assert_false(alike(plain(op_tanh(&graph, x)), plain(op_sigmoid(&graph, x))));
  assert_false(alike(plain(expression(shape, 0.5, 2, 1)),
                     plain(expression(&SHAPE_OF(4, 3), 0.5, 2, 1))));
  assert_false(
      alike(plain(expression(shape, 0.5, 2, 1)), plain(expression(shape, 0.5, 2, 2))));
  assert_false(alike(plain(op_add(&graph, x, x)), plain(op_add(&graph, x, y))));
  assert_false(alike(trace_of(x, words[0], 2), trace_of(x, words[1], 2)));
  assert_false(alike(trace_of(x, words[0], 2), trace_of(x, words[0], 1)));
  assert_true(alike(trace_of(x, words[0], 2), trace_of(x, words[0], 2)));
  end();
}

/* A plan of the value of an expression whose product has n columns. */
static CachedPlan *add(int64_t n, PlanUse use, Trace *out) {
  Node *root = expression(&SHAPE_OF(2, n), 0.5, 2, 1);
  *out = plain(root);
  CachedPlan *made = cache_add(&graph, use, out, &root, 1, (VariableList){0}, NULL, 0);
  assert_non_null(made);
  return made;
}

TEST(a_plan_is_found_by_its_key_in_its_own_store) {
  begin();
  Trace trace, other;
  CachedPlan *plan = add(5, PLANS_OF_VALUES, &trace);
  add(6, PLANS_OF_VALUES, &other);
  assert_ptr_equal(cache_find(&graph, PLANS_OF_VALUES, &trace), plan);
  assert_null(cache_find(&graph, PLANS_OF_STEPS, &trace));
  trace_deinit(&other);
  other = plain(expression(&SHAPE_OF(2, 5), 0.25, 7, 1));
  assert_ptr_equal(cache_find(&graph, PLANS_OF_VALUES, &other), plan);
  trace_deinit(&other);
  other = plain(expression(&SHAPE_OF(2, 7), 0.5, 2, 1));
  assert_null(cache_find(&graph, PLANS_OF_VALUES, &other));
  trace_deinit(&other);
  trace_deinit(&trace);
  end();
}

TEST(the_plan_unused_for_longest_makes_room_unless_it_is_pinned) {
  enum { N = CACHE_PLANS };
  begin();
  Trace trace[N + 1];
  CachedPlan *plan[N];
  for (int i = 0; i < N; i++) {
    assert_true(cache_has_room(&graph, PLANS_OF_STEPS, 0));
    plan[i] = add(i + 1, PLANS_OF_STEPS, &trace[i]);
  }
  for (int i = 0; i < N; i++)
    assert_ptr_equal(cache_find(&graph, PLANS_OF_STEPS, &trace[i]), plan[i]);
  assert_false(cache_has_room(&graph, PLANS_OF_STEPS, N));
  assert_true(cache_has_room(&graph, PLANS_OF_STEPS, N - 1));
  plan[0]->pins++;
  add(N + 1, PLANS_OF_STEPS, &trace[N]);
  assert_int_equal(graph.plans[PLANS_OF_STEPS].n, N);
  assert_non_null(cache_find(&graph, PLANS_OF_STEPS, &trace[0]));
  assert_null(cache_find(&graph, PLANS_OF_STEPS, &trace[1]));
  assert_non_null(cache_find(&graph, PLANS_OF_STEPS, &trace[2]));
  assert_non_null(cache_find(&graph, PLANS_OF_STEPS, &trace[N]));
  plan[0]->pins--;
  for (int i = 0; i <= N; i++) trace_deinit(&trace[i]);
  end();
}

static void assert_differs(uint64_t made, Node *root, const char *part) {
  Trace trace = plain(root);
  Text text = {0};
  assert_true(trace_difference(&trace, &graph, made, &text));
  if (!strstr(text.data, part)) fail_msg("\"%s\" is not in \"%s\"", part, text.data);
  text_deinit(&text);
  trace_deinit(&trace);
}

TEST(what_differs_is_named) {
  begin();
  Trace trace;
  uint64_t made = add(5, PLANS_OF_STEPS, &trace)->made;
  assert_differs(made, expression(&SHAPE_OF(2, 6), 0.5, 2, 1), "was another");
  assert_differs(made, expression(&SHAPE_OF(2, 5), 0.5, 2, 2), "\"axes\" was another");
  Node *x = op_full(&graph, 0.5, &SHAPE_OF(2, 5));
  x = op_sigmoid(&graph, op_scale(&graph, x, 2));
  assert_differs(made, op_sum(&graph, x, 1, false), "was tanh");
  Text text = {0};
  assert_false(trace_difference(&trace, &graph, made + 1000, &text));
  assert_int_equal(text.n_bytes, 0);
  trace_deinit(&trace);
  end();
}

TEST(lists_of_the_same_values_are_told_apart_by_where_they_end) {
  static const int64_t v[] = {1, 2, 3, 0};
  begin();
  assert_true(alike(plain(words_node(&graph, v, 2, v, 3)),
                    plain(words_node(&graph, v, 2, v, 3))));
  for (int n = 0; n < 3; n++)
    assert_false(alike(plain(words_node(&graph, v, n, v + n, 3 - n)),
                       plain(words_node(&graph, v, n + 1, v + n + 1, 2 - n))));
  assert_false(alike(plain(words_node(&graph, v, 3, v, 0)),
                     plain(words_node(&graph, v, 4, v, 0))));
  Node *root = words_node(&graph, v, 2, v + 2, 1);
  Trace trace = plain(root);
  uint64_t made = cache_add(&graph, PLANS_OF_STEPS, &trace, &root, 1, (VariableList){0},
                            NULL, 0)
                      ->made;
  assert_differs(made, words_node(&graph, v, 1, v + 1, 2), "\"one\" was another");
  assert_differs(made, words_node(&graph, v, 2, v + 2, 2), "\"other\" was another");
  trace_deinit(&trace);
  end();
}
