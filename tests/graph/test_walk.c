/* The nodes below some roots: each once, inputs before what is made of them. */
#include "graph/graph_private.h"
#include "graph/ops.h"
#include "test.h"

static Graph graph;

static void open_graph(void) {
  assert_int_equal(graph_open(&graph, 1, 1, &(Fault){0}), ERR_OK);
}

static void close_graph(void) {
  assert_int_equal(graph_ok(&graph, NULL), ERR_OK);
  graph_close(&graph);
}

static Node *leaf(void) {
  return graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2), (double[]){1, 2});
}

/* The walk's nodes in the order in which they were made, each with its place. */
static void check_order(const Walk *walk) {
  for (int64_t i = 0; i < walk->n; i++) {
    assert_int_equal(walk->v[i]->index, i);
    if (i) assert_true(walk->v[i - 1]->serial < walk->v[i]->serial);
    for (int k = 0; walk->v[i]->in && k < walk->v[i]->n_in; k++)
      assert_true(walk->v[i]->in[k]->index < i);
  }
}

/* n sums of the node before and one of the first. */
static Node *ladder(Node *first, int n) {
  Node *x = first;
  for (int i = 0; i < n; i++) x = op_add(&graph, x, first);
  return x;
}

/* Few nodes are sorted, many go to their place in a table, very old ones before it. */
TEST(nodes_come_in_the_order_in_which_they_were_made) {
  static const int lengths[] = {0, 1, 30, 31, 32, 33, 900};
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    open_graph();
    int scope = graph_scope_begin(&graph), n = lengths[k];
    Node *old = leaf();
    ladder(old, 3 * n); /* makes the first one old; not below the root */
    Node *root = ladder(op_neg(&graph, old), n);
    Walk walk = {0};
    assert_int_equal(walk_collect(&graph, &walk, &root, 1, NULL), ERR_OK);
    assert_int_equal(walk.n, n + 2);
    check_order(&walk);
    walk_deinit(&walk);
    graph_scope_end(&graph, scope);
    close_graph();
  }
}

TEST(roots_that_are_the_same_or_below_each_other_are_there_once) {
  open_graph();
  int scope = graph_scope_begin(&graph);
  Node *a = leaf(), *b = op_neg(&graph, a);
  Node *roots[] = {b, a, b};
  Walk walk = {0};
  assert_int_equal(walk_collect(&graph, &walk, roots, 3, NULL), ERR_OK);
  assert_int_equal(walk.n, 2);
  check_order(&walk);
  walk_deinit(&walk);
  assert_int_equal(walk_collect(&graph, &walk, roots, 0, NULL), ERR_OK);
  assert_int_equal(walk.n, 0);
  walk_deinit(&walk);
  graph_scope_end(&graph, scope);
  close_graph();
}

static const Node *limit;
static bool at_limit(const Node *node) { return node == limit; }

TEST(nothing_below_a_stop_is_found_unless_another_way_leads_there) {
  open_graph();
  int scope = graph_scope_begin(&graph);
  Node *a = leaf(), *b = op_neg(&graph, a);
  Node *c = op_neg(&graph, b), *d = op_add(&graph, c, a);
  Walk walk = {0};
  limit = b;
  assert_int_equal(walk_collect(&graph, &walk, &c, 1, at_limit), ERR_OK);
  assert_int_equal(walk.n, 2); /* b and c */
  walk_deinit(&walk);
  assert_int_equal(walk_collect(&graph, &walk, &d, 1, at_limit), ERR_OK);
  assert_int_equal(walk.n, 4);
  check_order(&walk);
  walk_deinit(&walk);
  graph_scope_end(&graph, scope);
  close_graph();
}
