/* test_plan_verify.c: the verifier passes what the passes make, and refuses each thing
 * that must hold once it is broken by hand. */
#include "graph/ops.h"
#include "graph/plan_compile.h"
#include "test.h"

/* tanh(x w + b) twice, its sum, and a gradient: groups, views, updates' memory,
 * scratch. */
static void make(Graph *g, Node **root) {
  Node *x = op_full(g, 0.5, &SHAPE_OF(6, 4)), *b = op_full(g, 0.25, &SHAPE_OF(4));
  Node *w = graph_track(g, op_full(g, 0.125, &SHAPE_OF(4, 4)));
  Node *y = op_tanh(g, op_add(g, op_matmul(g, x, w), b));
  y = op_mul(g, op_tanh(g, op_add(g, op_matmul(g, y, w), b)), y);
  root[0] = op_sum(g, op_square(g, y), ALL_AXES, false);
  assert_int_equal(graph_grad(g, root[0], NULL, &w, 1, &root[1]), ERR_OK);
}

typedef struct Bench {
  Graph graph;
  Node *root[2];
  Compiler c;
  Fault fault;
} Bench;

/* Compiles up to and including the pass of that name, which must verify; the pass. */
static const PlanPass *compile_to(Bench *b, const char *name) {
  Fault fault = {0};
  assert_int_equal(graph_open(&b->graph, 1, 1, &fault), ERR_OK);
  make(&b->graph, b->root);
  b->fault = fault;
  b->c = (Compiler){.plan = calloc(1, sizeof(Plan))};
  assert_int_equal(compiler_init(&b->c, &b->graph, b->root, 2), ERR_OK);
  for (const PlanPass *pass = plan_passes;; pass++) {
    assert_non_null(pass->name);
    assert_int_equal(pass->run(&b->c), ERR_OK);
    assert_int_equal(pass->verify(&b->c, &b->fault), ERR_OK);
    if (strcmp(pass->name, name) == 0) return pass;
  }
}

/* After a hand broke something: refused with this text. */
static void refused(Bench *b, const PlanPass *pass, const char *text) {
  assert_int_not_equal(pass->verify(&b->c, &b->fault), ERR_OK);
  if (!strstr(b->fault.text, text))
    fail_msg("got \"%s\", want \"%s\"", b->fault.text, text);
  compiler_deinit(&b->c);
  plan_free(b->c.plan);
  graph_close(&b->graph);
}

static int64_t first_member(const Compiler *c) {
  for (int64_t i = 0;; i++)
    if (plan_computes(c, i) && c->spots[i].group != NOBODY) return i;
}

static int64_t find_op(const Compiler *c, const char *name) {
  for (int64_t i = 0;; i++)
    if (plan_computes(c, i) && strcmp(c->walk.v[i]->op->name, name) == 0) return i;
}

/* A value in the arena, not the first one if `other`. */
static int64_t in_arena(const Compiler *c, int64_t after) {
  for (int64_t i = after; i < c->walk.n; i++)
    if (plan_computes(c, i) && life_of(c, value_of(i, 0))->place.kind == IN_ARENA)
      return i;
  fail_msg("no value in the arena");
  return 0;
}

TEST(an_alias_beyond_its_value_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "resolve");
  b.c.spots[b.c.walk.n - 1].offset = 1 << 20;
  refused(&b, pass, "beyond the end");
}

TEST(a_member_that_is_not_elementwise_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "group");
  b.c.spots[find_op(&b.c, "matmul")].group = b.c.spots[first_member(&b.c)].group;
  refused(&b, pass, "not elementwise");
}

TEST(a_group_read_before_it_ran_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "group");
  b.c.groups[b.c.spots[first_member(&b.c)].group].last = b.c.walk.n - 1;
  refused(&b, pass, "read before it ran");
}

TEST(a_node_before_what_it_reads_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "order");
  Compiler *c = &b.c;
  int64_t last = find_op(c, "sum");
  c->spots[last].item = 0;
  c->item_nodes[c->item_first[0]] = last;
  refused(&b, pass, "before what it reads");
}

TEST(items_of_one_job_that_read_each_other_are_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "jobs");
  for (int item = 0; item < b.c.n_items; item++) b.c.item_job[item] = 0;
  b.c.plan->n_compute_jobs = 1;
  refused(&b, pass, "another of its job");
}

TEST(a_call_of_another_op_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "calls");
  b.c.plan->items[0].members[0].call->op = &op_record_constant;
  refused(&b, pass, "another op");
}

TEST(two_values_at_one_place_are_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "place");
  Compiler *c = &b.c;
  for (int64_t i = 0; i < c->walk.n; i++)
    for (int o = 0; o < MAX_OUT; o++)
      if (life_of(c, value_of(i, o))->place.kind == IN_ARENA)
        life_of(c, value_of(i, o))->place.offset = 0;
  refused(&b, pass, "two values at one place");
}

TEST(a_value_outside_the_arena_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "place");
  life_of(&b.c, value_of(in_arena(&b.c, 0), 0))->place.offset += 1 << 20;
  refused(&b, pass, "outside the arena");
}

TEST(a_pointer_beyond_its_memory_is_refused) {
  Bench b;
  const PlanPass *pass = compile_to(&b, "connect");
  b.c.plan->items[0].members[0].out[0] = (PlanPlace){IN_ROOT, 7, 0};
  refused(&b, pass, "beyond its memory");
}

TEST(plans_of_a_checked_graph_are_verified_and_said_to_people) {
  Fault fault = {0};
  Graph g;
  Node *root[2];
  Text dump = {0}, shown = {0};
  assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
  g.checked = true;
  g.dump = &dump;
  make(&g, root);
  Plan *plan = plan_new(&g, root, 2);
  assert_non_null(plan);
  plan_dump(plan, &shown);
  for (const PlanPass *pass = plan_passes; pass->name; pass++)
    assert_non_null(strstr(shown.data, pass->name));
  text_deinit(&shown);
  plan_free(plan);
  graph_close(&g);
}
