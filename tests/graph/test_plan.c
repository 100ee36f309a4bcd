/* test_plan.c: a plan gives what the naive executor gives, byte for byte: on random
 * graphs, with 1, 2 and 7 threads, with an arena full of NaN, run again with other
 * values.
 *
 * A graph that fails is made smaller as long as it fails, and printed.
 *   FUZZ_GRAPHS=n   how many graphs (3,000; with LONG set 200,000)
 *   FUZZ_SEED=n     only this one, printed with its plan */
#include "graph/program_make.h"
#include "graph/plan.h"
#include "allocations.h"
#include "base/sys.h"
#include <signal.h>
#include <unistd.h>

/* -- results of a program ---------------------------------------------------------- */

typedef struct Results {
  int n;
  size_t n_bytes[MAX_ROOTS];
  void *data[MAX_ROOTS]; /* guarded */
} Results;

static void results_init(Results *out, Node *const *roots, int n) {
  out->n = n;
  for (int r = 0; r < n; r++) {
    out->n_bytes[r] = (size_t)shape_count(&roots[r]->shape) *
                      dtype_bytes(roots[r]->dtype);
    out->data[r] = guarded_new(out->n_bytes[r]);
  }
}

static void results_deinit(Results *x) {
  for (int r = 0; r < x->n; r++) guarded_free(x->data[r]);
  x->n = 0;
}

/* NULL: equal. */
static const char *difference(const Results *want, const Results *got,
                              const char *when) {
  static char text[160];
  for (int r = 0; r < want->n; r++) {
    const unsigned char *a = want->data[r], *b = got->data[r];
    if (!guarded_intact(b, got->n_bytes[r])) {
      snprintf(text, sizeof text, "%s: wrote beside root %d", when, r + 1);
      return text;
    }
    for (size_t i = 0; i < want->n_bytes[r]; i++)
      if (a[i] != b[i]) {
        snprintf(text, sizeof text, "%s: root %d differs at byte %zu", when, r + 1, i);
        return text;
      }
  }
  return NULL;
}

/* -- running a plan ---------------------------------------------------------------- */

enum { MAX_LEAVES = 4000 };

/* What a plan is given, of one build of its graph. */
typedef struct Given {
  void *in[MAX_LEAVES];
  Stream draw[MAX_LEAVES];
} Given;

static void given_init(Given *out, const Plan *plan) {
  Node *const *leaves, *const *draws;
  int n_leaves = plan_leaves(plan, &leaves), n_draws = plan_draws(plan, &draws);
  assert_true(n_leaves <= MAX_LEAVES && n_draws <= MAX_LEAVES);
  for (int i = 0; i < n_leaves; i++) out->in[i] = plan_leaf_value(leaves[i])->a.data;
  for (int i = 0; i < n_draws; i++) {
    const Attr *attr = draws[i]->attr + draws[i]->n_attr - 2;
    out->draw[i] = (Stream){(uint64_t)attr[0].i, (uint64_t)attr[1].i};
  }
}

static void scramble_arena(Graph *graph) {
  if (graph->arena) memset(graph->arena, JUNK_BYTE, graph->arena_bytes);
}

static Err run_plan(Graph *graph, Plan *plan, const Given *given, Results *out) {
  PlanRun run = {given->in, out->data, given->draw};
  for (int r = 0; r < out->n; r++) memset(out->data[r], JUNK_BYTE, out->n_bytes[r]);
  scramble_arena(graph);
  Err err = plan_compute(graph, plan, &run);
  if (!err) plan_commit(graph, plan);
  return err;
}

/* -- one program, checked ---------------------------------------------------------- */

static const int thread_counts[] = {1, 2, 7};
enum { N_GRAPHS = 3 };

typedef struct Bench {
  Graph graph[N_GRAPHS];
  int which; /* graph that runs the plans */
  int64_t n_plans, n_nodes, n_items, n_groups;
} Bench;

static void bench_open(Bench *bench) {
  Fault fault = {0};
  *bench = (Bench){.which = 0};
  for (int g = 0; g < N_GRAPHS; g++) {
    assert_int_equal(graph_open(&bench->graph[g], thread_counts[g], 1, &fault), ERR_OK);
    bench->graph[g].par.threshold = 1;
    bench->graph[g].checked = true;
  }
}

static void bench_close(Bench *bench) {
  for (int g = 0; g < N_GRAPHS; g++) graph_close(&bench->graph[g]);
}

static bool run_naive(Graph *graph, Node *const *roots, int n, Results *out) {
  results_init(out, roots, n);
  if (graph_eval(graph, roots, n)) return false;
  for (int r = 0; r < n; r++)
    if (out->n_bytes[r])
      memcpy(out->data[r], roots[r]->value[0]->a.data, out->n_bytes[r]);
  return true;
}

/* The naive result with other values, and what the plan of the same structure is given
 * for them; `build` stays open, for the values are in it. */
static bool other_values(Graph *graph, const Program *p, Build *build, Given *given,
                         Results *want) {
  Node *roots[MAX_ROOTS];
  bool ok = build_program(build, graph, p, p->seed + 1, roots);
  Plan *plan = ok ? plan_new(graph, roots, p->n_roots) : NULL;
  if (plan) given_init(given, plan);
  plan_free(plan);
  return plan && run_naive(graph, roots, p->n_roots, want);
}

static const char *check_runs(Graph *graph, const Program *p, Plan *plan,
                              const Results *want) {
  static Given given, other;
  Node *const *leaves;
  const char *bad = NULL;
  Build build;
  Results got = {.n = want->n}, want_other = {0};
  for (int r = 0; r < got.n; r++)
    got.data[r] = guarded_new(got.n_bytes[r] = want->n_bytes[r]);
  PlanSize size = plan_size(plan);
  given_init(&given, plan);
  if (plan_leaves(plan, &leaves) < 0) bad = "no leaves";
  if (size.arena_bytes > size.naive_bytes)
    bad = "the arena is larger than naive buffers";
  if (!bad && run_plan(graph, plan, &given, &got)) bad = "a run fails";
  if (!bad) bad = difference(want, &got, "first run");
  bool has_other = other_values(graph, p, &build, &other, &want_other);
  fault_clear(&graph->fault); /* the other values may be ones that an op refuses */
  if (!bad && has_other && run_plan(graph, plan, &other, &got))
    bad = "another run fails";
  if (!bad && has_other) bad = difference(&want_other, &got, "other values");
  if (!bad && run_plan(graph, plan, &given, &got)) bad = "a third run fails";
  if (!bad) bad = difference(want, &got, "first values again");
  build_end(&build);
  results_deinit(&want_other);
  results_deinit(&got);
  return bad;
}

/* plan_eval: values come to stand in the nodes themselves. */
static const char *check_eval(Graph *graph, const Program *p, const Results *want) {
  const char *bad = NULL;
  Node *roots[MAX_ROOTS];
  Build build;
  if (!build_program(&build, graph, p, p->seed, roots)) bad = "a second build fails";
  scramble_arena(graph);
  if (!bad && plan_eval(graph, roots, p->n_roots)) bad = "plan_eval fails";
  for (int r = 0; !bad && r < p->n_roots; r++) {
    const Tensor *value = node_value(roots[r]);
    if (!value) bad = "plan_eval left a root without value";
    else if (want->n_bytes[r] && memcmp(value->a.data, want->data[r], want->n_bytes[r]))
      bad = "plan_eval gives other bytes";
  }
  build_end(&build);
  return bad;
}

static void count_plan(Bench *bench, PlanSize size) {
  bench->n_plans++;
  bench->n_nodes += size.n_nodes;
  bench->n_items += size.n_items;
  bench->n_groups += size.n_groups;
}

/* What is wrong with the program's plan; NULL: nothing, or there is no naive result. */
static const char *check_program(Bench *bench, const Program *p, bool show) {
  Graph *graph = &bench->graph[bench->which];
  Node *roots[MAX_ROOTS];
  Results want = {0};
  Build build;
  const char *bad = NULL;
  bool ok = build_program(&build, &bench->graph[0], p, p->seed, roots) &&
            run_naive(&bench->graph[0], roots, p->n_roots, &want);
  fault_clear(&bench->graph[0].fault);
  build_end(&build);
  if (ok) {
    graph->rule = p->seed % 3 == 0; /* as an optimizer's: groups become expressions */
    ok = build_program(&build, graph, p, p->seed, roots);
    Plan *plan = ok ? plan_new(graph, roots, p->n_roots) : NULL;
    if (show && plan) {
      Text text = {0};
      plan_dump(plan, &text);
      print_error("%s", text.data);
      text_deinit(&text);
    }
    bad = plan ? check_runs(graph, p, plan, &want) : "cannot be planned";
    if (plan) count_plan(bench, plan_size(plan));
    plan_free(plan);
    if (bad && graph->fault.code) print_error("%s: %s\n", bad, graph->fault.text);
    fault_clear(&graph->fault);
    build_end(&build);
    if (!bad) bad = check_eval(graph, p, &want);
    fault_clear(&graph->fault);
  }
  results_deinit(&want);
  return bad;
}

/* -- making a failing program smaller ---------------------------------------------- */

static bool still_fails(Bench *bench, const Program *p, Program *best) {
  if (!check_program(bench, p, false)) return false;
  *best = *p;
  return true;
}

static bool drop_root(Bench *bench, Program *best) {
  for (int r = 0; best->n_roots > 1 && r < best->n_roots; r++) {
    Program p = *best;
    memmove(p.root + r, p.root + r + 1, (size_t)(p.n_roots - r - 1) * sizeof *p.root);
    p.n_roots--;
    if (still_fails(bench, &p, best)) return true;
  }
  return false;
}

/* All uses of step `i` as uses of step `by`. */
static void replace_uses(Program *p, int i, int by) {
  for (int r = 0; r < p->n_roots; r++)
    if (p->root[r] == i) p->root[r] = by;
  for (int s = i + 1; s < p->n; s++)
    for (int k = 0; k < p->step[s].n_in; k++)
      if (p->step[s].in[k] == i) p->step[s].in[k] = by;
}

static bool bypass_step(Bench *bench, Program *best, int i) {
  const Step *s = &best->step[i];
  for (int k = 0; k < s->n_in; k++) {
    if (s->in[k] < 0) continue;
    const Step *x = &best->step[s->in[k]];
    if (!shape_equal(&x->shape, &s->shape) || x->dtype != s->dtype || x->n_out > 1)
      continue;
    Program p = *best;
    replace_uses(&p, i, s->in[k]);
    if (still_fails(bench, &p, best)) return true;
  }
  return false;
}

static bool make_constant(Bench *bench, Program *best, int i) {
  if (best->step[i].kind == STEP_VALUE) return false;
  Program p = *best;
  Step *s = &p.step[i];
  bool range = s->lo < s->hi;
  *s = (Step){.kind = STEP_VALUE, .shape = s->shape, .dtype = s->dtype, .n_out = 1,
              .lo = range ? s->lo : s->dtype == DT_REAL ? -2 : 1,
              .hi = range ? s->hi : s->dtype == DT_REAL ? 2 : 1};
  return still_fails(bench, &p, best);
}

static bool drop_wrt(Bench *bench, Program *best, int i) {
  if (best->step[i].kind != STEP_GRADIENT || best->step[i].n_in < 4) return false;
  Program p = *best;
  p.step[i].n_in--;
  for (int s = i + 1; s < p.n; s++)
    if (p.step[s].kind == STEP_GRADIENT_MORE && p.step[s].in[0] == i &&
        p.step[s].attr[0].i >= p.step[i].n_in - 2)
      p.step[s].attr[0].i = 0;
  return still_fails(bench, &p, best);
}

static void shrink(Bench *bench, Program *best) {
  for (bool smaller = true; smaller;) {
    smaller = drop_root(bench, best);
    bool live[MAX_STEPS];
    program_live(best, live);
    for (int i = best->n - 1; i >= 0 && !smaller; i--)
      smaller = live[i] && (bypass_step(bench, best, i) ||
                            make_constant(bench, best, i) || drop_wrt(bench, best, i));
  }
}

/* -- random graphs ----------------------------------------------------------------- */

static uint64_t seed_at_work;

/* A crash, too, says which graph it was. */
static void on_crash(int number) {
  char text[64] = "test_plan: crashed at seed ", digits[24];
  size_t n = strlen(text), n_digits = 0;
  for (uint64_t s = seed_at_work; s || !n_digits; s /= 10)
    digits[n_digits++] = (char)('0' + s % 10);
  while (n_digits) text[n++] = digits[--n_digits];
  text[n++] = '\n';
  if (write(STDERR_FILENO, text, n) < 0) _exit(1);
  signal(number, SIG_DFL);
  raise(number);
}

static int64_t environment(const char *name, int64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static bool one_graph(Bench *bench, uint64_t seed, bool show) {
  static Program p;
  seed_at_work = seed;
  program_make(&p, &bench->graph[0], seed);
  if (show) print_program(&p);
  const char *bad = check_program(bench, &p, show);
  if (!bad) return true;
  print_error("seed %llu, %d threads: %s; shrunk:\n", (unsigned long long)seed,
              thread_counts[bench->which], bad);
  shrink(bench, &p);
  print_program(&p);
  bad = check_program(bench, &p, true);
  print_error("%s\n", bad ? bad : "(fails no more)");
  return false;
}

typedef struct Fuzz {
  Bench bench;
  uint64_t first, end, by;
  int n_failed;
} Fuzz;

static void fuzz(void *ctx) {
  Fuzz *f = ctx;
  for (uint64_t seed = f->first; seed < f->end && f->n_failed < 3; seed += f->by)
    f->n_failed += !one_graph(&f->bench, seed, f->end - f->first == 1);
}

/* Every graph with one thread, every so many with more: sharing tiny jobs takes longer
 * than the jobs. */
static void fuzz_threads(int which, uint64_t by) {
  static Fuzz f;
  f = (Fuzz){.first = 1, .by = by};
  int64_t seed = environment("FUZZ_SEED", 0);
  f.end = 1 + (uint64_t)environment("FUZZ_GRAPHS", getenv("LONG") ? 200000 : 3000);
  if (seed) {
    f.first = (uint64_t)seed;
    f.end = f.first + 1;
  }
  bench_open(&f.bench);
  f.bench.which = which;
  void (*before[2])(int) = {signal(SIGSEGV, on_crash), signal(SIGABRT, on_crash)};
  par_team(&f.bench.graph[which].par, fuzz, &f);
  signal(SIGSEGV, before[0]);
  signal(SIGABRT, before[1]);
  if (verbose())
    print_message("%lld plans: %lld nodes, %lld items, %lld groups\n",
                  (long long)f.bench.n_plans, (long long)f.bench.n_nodes,
                  (long long)f.bench.n_items, (long long)f.bench.n_groups);
  bench_close(&f.bench);
  assert_int_equal(f.n_failed, 0);
}

TEST(random_graphs_one_thread) { fuzz_threads(0, 1); }
TEST(random_graphs_two_threads) { fuzz_threads(1, 5); }
TEST(random_graphs_seven_threads) { fuzz_threads(2, 11); }

/* -- a training step --------------------------------------------------------------- */

enum { N_PARAMETERS = 6, STEP_ROOTS = 2 * N_PARAMETERS + 1, STEP_HIDDEN = 90 };

/* Two layers with batch norm, dropout and momentum; roots: new values, velocities,
 * loss. */
typedef struct Net {
  Node *w[N_PARAMETERS], *velocity[N_PARAMETERS], *labels, *x;
  Node *root[STEP_ROOTS];
} Net;

static Node *filled(Graph *g, DType dtype, Shape shape, double lo, double hi,
                    uint64_t seed) {
  Step s = {.kind = STEP_VALUE, .shape = shape, .dtype = dtype, .lo = lo, .hi = hi};
  Build b = {.graph = g, .values = seed};
  return build_value(&b, &s, (int)seed);
}

static Node *net_loss(Graph *g, const Net *net, int64_t batch, uint64_t draw) {
  Stream s = {philox_key(1, "dropout", "net"), draw};
  Node *h = op_add(g, op_matmul(g, net->x, net->w[0]), net->w[1]);
  h = op_tanh(g, op_batch_norm(g, h, net->w[2], net->w[3], 1e-5));
  h = op_mul(g, h, op_dropout_mask(g, &SHAPE_OF(batch, STEP_HIDDEN), 0.3, s));
  h = op_add(g, op_matmul(g, h, net->w[4]), net->w[5]);
  g->layer = "loss";
  Node *rows = op_softmax_cross_entropy(g, h, net->labels);
  g->layer = NULL;
  return op_mean(g, rows, ALL_AXES, false);
}

static void net_init(Net *net, Graph *g, int64_t batch, uint64_t seed,
                     double last_label) {
  const Shape shapes[N_PARAMETERS] = {SHAPE_OF(50, STEP_HIDDEN), SHAPE_OF(STEP_HIDDEN),
                                      SHAPE_OF(STEP_HIDDEN), SHAPE_OF(STEP_HIDDEN),
                                      SHAPE_OF(STEP_HIDDEN, 10), SHAPE_OF(10)};
  Node *gradient[N_PARAMETERS], *rate = graph_scalar(g, 0.1),
                                *zero = graph_scalar(g, 0);
  g->file = "net";
  g->line = 12;
  net->x = filled(g, DT_REAL, SHAPE_OF(batch, 50), -2, 2, seed);
  net->labels = filled(g, DT_INT32, SHAPE_OF(batch), 1, last_label, seed + 1);
  for (int k = 0; k < N_PARAMETERS; k++) {
    net->w[k] = filled(g, DT_REAL, shapes[k], -0.3, 0.3, seed + 2 + (uint64_t)k);
    net->velocity[k] = filled(g, DT_REAL, shapes[k], -0.1, 0.1, seed + 9 + (uint64_t)k);
  }
  Node *loss = net_loss(g, net, batch, seed);
  assert_int_equal(graph_grad(g, loss, NULL, net->w, N_PARAMETERS, gradient), ERR_OK);
  for (int k = 0; k < N_PARAMETERS; k++) {
    Node *y = op_sgd_update(g, net->w[k], gradient[k], net->velocity[k], rate, rate,
                            zero, rate, true);
    net->root[2 * k] = graph_pick(g, y, 0);
    net->root[2 * k + 1] = graph_pick(g, y, 1);
  }
  net->root[STEP_ROOTS - 1] = loss;
}

/* A plan of the step, with what it is given and memory for its roots. */
typedef struct Planned {
  Net net;
  Plan *plan;
  Given given;
  Results got;
} Planned;

static void planned_init(Planned *p, Graph *g, int64_t batch, uint64_t seed) {
  net_init(&p->net, g, batch, seed, 10);
  p->plan = plan_new(g, p->net.root, STEP_ROOTS);
  assert_non_null(p->plan);
  given_init(&p->given, p->plan);
  p->got.n = STEP_ROOTS;
  for (int r = 0; r < STEP_ROOTS; r++) {
    p->got.n_bytes[r] = (size_t)shape_count(&p->net.root[r]->shape) * sizeof(real);
    p->got.data[r] = guarded_new(p->got.n_bytes[r]);
  }
}

static void planned_deinit(Planned *p) {
  results_deinit(&p->got);
  plan_free(p->plan);
}

static void assert_as_naive(Graph *g, Planned *p) {
  assert_int_equal(graph_eval(g, p->net.root, STEP_ROOTS), ERR_OK);
  for (int r = 0; r < STEP_ROOTS; r++)
    assert_memory_equal(p->got.data[r], p->net.root[r]->value[0]->a.data,
                        p->got.n_bytes[r]);
}

static void graph_for_test(Graph *g, int threads) {
  Fault fault = {0};
  assert_int_equal(graph_open(g, threads, 1, &fault), ERR_OK);
  g->par.threshold = 1;
  g->checked = true;
}

TEST(a_plan_runs_on_after_a_larger_one_moved_the_arena) {
  static Planned small, large;
  Graph g;
  graph_for_test(&g, 1);
  planned_init(&small, &g, 8, 1);
  planned_init(&large, &g, 300, 2);
  assert_int_equal(run_plan(&g, small.plan, &small.given, &small.got), ERR_OK);
  assert_int_equal(run_plan(&g, large.plan, &large.given, &large.got), ERR_OK);
  assert_as_naive(&g, &large);
  memset(small.got.data[0], 0, small.got.n_bytes[0]);
  assert_int_equal(run_plan(&g, small.plan, &small.given, &small.got), ERR_OK);
  assert_as_naive(&g, &small);
  planned_deinit(&small);
  planned_deinit(&large);
  graph_close(&g);
}

/* Value `r` of those that a step changes: weights and velocities in turn. */
static Tensor *state_of(const Net *net, int r) {
  return (r % 2 ? net->velocity : net->w)[r / 2]->value[0];
}

/* Roots are the memory of what they update: three steps in place, and three naive
 * ones. */
TEST(updates_write_over_what_they_read) {
  static Planned p;
  Graph g;
  graph_for_test(&g, 2);
  planned_init(&p, &g, 40, 3);
  for (int r = 0; r < STEP_ROOTS - 1; r++) {
    guarded_free(p.got.data[r]);
    p.got.data[r] = state_of(&p.net, r)->a.data;
  }
  for (int step = 0; step < 3; step++) {
    int scope = graph_scope_begin(&g);
    Net naive;
    net_init(&naive, &g, 40, 3, 10);
    for (int r = 0; r < STEP_ROOTS - 1; r++)
      memcpy(state_of(&naive, r)->a.data, p.got.data[r], p.got.n_bytes[r]);
    assert_int_equal(graph_eval(&g, naive.root, STEP_ROOTS), ERR_OK);
    PlanRun run = {p.given.in, p.got.data, p.given.draw};
    assert_int_equal(plan_compute(&g, p.plan, &run), ERR_OK);
    plan_commit(&g, p.plan);
    for (int r = 0; r < STEP_ROOTS; r++)
      assert_memory_equal(p.got.data[r], naive.root[r]->value[0]->a.data,
                          p.got.n_bytes[r]);
    graph_scope_end(&g, scope);
  }
  for (int r = 0; r < STEP_ROOTS - 1; r++) p.got.data[r] = NULL;
  planned_deinit(&p);
  graph_close(&g);
}

typedef struct Counted {
  Graph *graph;
  Planned *planned;
  int64_t n;
} Counted;

static void count_in_run(void *ctx) {
  Counted *c = ctx;
  PlanRun run = {c->planned->given.in, c->planned->got.data, c->planned->given.draw};
  for (int k = 0; k < 4; k++) {
    int64_t before = n_allocations;
    assert_int_equal(plan_compute(c->graph, c->planned->plan, &run), ERR_OK);
    plan_commit(c->graph, c->planned->plan);
    if (k > 0) c->n += n_allocations - before;
  }
}

TEST(a_run_allocates_nothing) {
  for (int t = 0; t < N_GRAPHS && COUNTS_ALLOCATIONS; t++) {
    static Planned p;
    Graph g;
    graph_for_test(&g, thread_counts[t]);
    planned_init(&p, &g, 64, 4);
    Counted counted = {&g, &p, 0};
    assert_allocations_count();
    par_team(&g.par, count_in_run, &counted);
    assert_int_equal(counted.n, 0);
    planned_deinit(&p);
    graph_close(&g);
  }
}

/* -- faults ------------------------------------------------------------------------ */

TEST(data_that_an_op_refuses_names_op_layer_and_line_as_naive_does) {
  Graph g;
  Net net;
  char want[sizeof g.fault.text];
  graph_for_test(&g, 1);
  net_init(&net, &g, 30, 5, 14);
  Err code = graph_eval(&g, net.root, STEP_ROOTS);
  assert_int_equal(code, ERR_DATA);
  snprintf(want, sizeof want, "%s", g.fault.text);
  assert_non_null(strstr(want, "net:12: loss: softmax_cross_entropy"));
  fault_clear(&g.fault);
  assert_int_equal(plan_eval(&g, net.root, STEP_ROOTS), code);
  assert_string_equal(g.fault.text, want);
  for (int r = 0; r < STEP_ROOTS; r++) assert_null(node_value(net.root[r]));
  fault_clear(&g.fault);
  graph_close(&g);
}

TEST(of_several_refusals_the_first_made_is_told) {
  Graph g;
  graph_for_test(&g, 1);
  Node *x = filled(&g, DT_REAL, SHAPE_OF(3, 4), -2, 2, 1), *two = graph_scalar(&g, 2);
  Node *bad[3],
      *index = graph_from_doubles(&g, DT_INT32, &SHAPE_OF(2), (double[]){1, 9});
  g.file = "lines";
  for (int k = 0; k < 3; k++) {
    g.line = k + 1;
    Node *scaled = op_mul(&g, op_mul(&g, x, two), two);
    bad[k] = op_gather(&g, k == 1 ? op_tanh(&g, scaled) : scaled, index);
  }
  Node *roots[] = {bad[2], op_add(&g, bad[1], bad[2]), bad[0]};
  for (int n = 1; n <= 3; n++) {
    char want[sizeof g.fault.text];
    assert_int_equal(graph_eval(&g, roots, n), ERR_DATA);
    snprintf(want, sizeof want, "%s", g.fault.text);
    fault_clear(&g.fault);
    assert_int_equal(plan_eval(&g, roots, n), ERR_DATA);
    assert_string_equal(g.fault.text, want);
    fault_clear(&g.fault);
  }
  graph_close(&g);
}

TEST(an_interrupt_stops_a_run_before_anything_is_committed) {
  static Planned p;
  Graph g;
  graph_for_test(&g, 1);
  planned_init(&p, &g, 20, 6);
  interrupt_raise();
  assert_int_equal(run_plan(&g, p.plan, &p.given, &p.got), ERR_INTERRUPT);
  interrupt_clear();
  for (int r = 0; r < STEP_ROOTS - 1; r++)
    for (size_t i = 0; i < p.got.n_bytes[r]; i++)
      assert_int_equal(((unsigned char *)p.got.data[r])[i], JUNK_BYTE);
  fault_clear(&g.fault);
  assert_int_equal(run_plan(&g, p.plan, &p.given, &p.got), ERR_OK);
  assert_as_naive(&g, &p);
  planned_deinit(&p);
  graph_close(&g);
}

/* Rows shorter, equal and longer than what is written out for a group, in arrays of
 * less and more than a tile and a block. */
static const int64_t row_widths[] = {1, 3, 16, 20, 100, 255, 256, 257, 600, 1024, 1030};
static const int64_t row_counts[] = {1, 2, 5, 26, 64, 300};
enum { N_ROW_CASES = 11 * 6 };

/* Values of both, which are one expression twice. */
static void assert_planned_as_naive(Graph *g, Node *const y[2]) {
  assert_int_equal(plan_eval(g, y, 1), ERR_OK);
  assert_int_equal(graph_eval(g, y + 1, 1), ERR_OK);
  const Tensor *got = node_value(y[0]), *want = node_value(y[1]);
  size_t n = (size_t)shape_count(&y[0]->shape);
  assert_memory_equal(got->a.data, want->a.data, n * sizeof(real));
}

TEST(rows_that_repeat_in_a_group_give_the_bytes_of_the_naive_executor) {
  for (int i = 0; i < N_ROW_CASES; i++) {
    Graph g;
    int64_t n = row_counts[i % 6], c = row_widths[i / 6];
    graph_for_test(&g, 1 + i % 2);
    Node *x = filled(&g, DT_REAL, SHAPE_OF(n, c), -2, 2, 1), *y[2];
    Node *a = filled(&g, DT_REAL, SHAPE_OF(c), -2, 2, 2);
    Node *b = filled(&g, DT_REAL, SHAPE_OF(1, c), -2, 2, 3);
    Node *column = filled(&g, DT_REAL, SHAPE_OF(n, 1), -2, 2, 4);
    Node *one = filled(&g, DT_REAL, SHAPE_OF(1), -2, 2, 5);
    for (int k = 0; k < 2; k++) {
      y[k] = op_mul(&g, op_sub(&g, op_add(&g, x, a), b), a);
      y[k] = op_where(&g, op_gt(&g, y[k], one), op_sub(&g, b, y[k]),
                      op_mul(&g, a, y[k]));
      y[k] = op_tanh(&g, op_add(&g, op_mul(&g, y[k], column), op_add(&g, a, y[k])));
    }
    assert_planned_as_naive(&g, y);
    graph_close(&g);
  }
}

/* NaNs of both signs, and which of them comes first changes: sums and products of two
 * keep the bytes of one, wherever the element falls in a run of a kernel. */
static Node *nans(Graph *g, Shape shape, int64_t first) {
  Tensor *t = tensor_new(&g->memory, DT_REAL, &shape, &g->fault);
  assert_non_null(t);
  for (int64_t i = 0; i < shape_count(&shape); i++)
    tensor_reals(t)[i] = (real)copysign(NAN, (i + first) % 3 ? 1 : -1);
  Node *node = graph_const(g, t);
  tensor_release(t);
  return node;
}

TEST(which_of_two_nans_a_group_keeps_is_as_in_the_naive_executor) {
  for (int i = 0; i < N_ROW_CASES; i++) {
    Graph g;
    int64_t n = row_counts[i % 6], c = row_widths[i / 6];
    graph_for_test(&g, 1 + i % 2);
    Node *x = nans(&g, SHAPE_OF(n, c), 0), *row = nans(&g, SHAPE_OF(c), 1), *y[2];
    for (int k = 0; k < 2; k++) {
      y[k] = op_add(&g, op_mul(&g, op_neg(&g, x), row), op_neg(&g, x));
      y[k] = op_chain_mul(&g, op_add(&g, row, y[k]), op_mul(&g, row, x));
    }
    assert_planned_as_naive(&g, y);
    graph_close(&g);
  }
}

TEST(a_plan_of_leaves_alone_only_copies) {
  Graph g;
  graph_for_test(&g, 1);
  Node *x = filled(&g, DT_REAL, SHAPE_OF(5, 3), -2, 2, 1);
  Node *roots[] = {x, x, op_reshape(&g, x, &SHAPE_OF(15))};
  Plan *plan = plan_new(&g, roots, 3);
  assert_non_null(plan);
  assert_int_equal(plan_size(plan).n_jobs, 0);
  Given given;
  Results got = {0};
  given_init(&given, plan);
  results_init(&got, roots, 3);
  assert_int_equal(run_plan(&g, plan, &given, &got), ERR_OK);
  for (int r = 0; r < 3; r++)
    assert_memory_equal(got.data[r], x->value[0]->a.data, got.n_bytes[r]);
  interrupt_raise();
  assert_int_equal(run_plan(&g, plan, &given, &got), ERR_INTERRUPT);
  interrupt_clear();
  fault_clear(&g.fault);
  results_deinit(&got);
  plan_free(plan);
  graph_close(&g);
}

/* -- an op that is interrupted between its blocks ---------------------------------- */

enum { STOP_BLOCKS = 5 };
static int n_stop_runs;

static Err stop_infer(OpInfer *io) {
  io->out_shape[0] = io->in[0]->shape;
  return ERR_OK;
}

static void stop_split(const OpCall *call, OpSplit *split) {
  (void)call;
  split->n_blocks[0] = STOP_BLOCKS;
}

/* As if Ctrl-C came during the second block. */
static void stop_run(const OpCall *call, int phase, int64_t block) {
  (void)call, (void)phase, (void)block;
  if (++n_stop_runs == 2) interrupt_raise();
}

static const Op op_stop = {.name = "stop", .n_in = 1, .n_out = 1, .infer = stop_infer,
                           .split = stop_split, .run = stop_run, .vjp = vjp_none};

TEST(an_interrupt_leaves_out_the_blocks_that_are_left) {
  Graph g;
  graph_for_test(&g, 1);
  for (int planned = 0; planned < 2; planned++) {
    Node *x = filled(&g, DT_REAL, SHAPE_OF(4), -2, 2, 1);
    Node *y = graph_apply(&g, &op_stop, &x, 1, NULL, 0);
    n_stop_runs = 0;
    Err err = planned ? plan_eval(&g, &y, 1) : graph_eval(&g, &y, 1);
    interrupt_clear();
    assert_int_equal(err, ERR_INTERRUPT);
    assert_int_equal(n_stop_runs, 2);
    assert_null(node_value(y));
    fault_clear(&g.fault);
  }
  graph_close(&g);
}

/* Products, of too few rows for a chain, and of each a norm that nothing reads: the
 * products live no longer for that, and there are no more jobs but one. */
TEST(what_nothing_reads_is_made_soon_after_what_it_reads) {
  enum { N = 20 };
  PlanSize size[2];
  for (int k = 0; k < 2; k++) {
    Graph g;
    graph_for_test(&g, 3);
    Node *x = filled(&g, DT_REAL, SHAPE_OF(30, 30), -1, 1, 1), *y[N], *roots[N + 1];
    for (int i = 0; i < N; i++) y[i] = op_matmul(&g, i ? y[i - 1] : x, x);
    roots[0] = y[N - 1];
    for (int i = 0; i < N; i++) roots[i + 1] = op_norm(&g, y[i], ALL_AXES, false);
    Plan *plan = plan_new(&g, roots, k ? N + 1 : 1);
    assert_non_null(plan);
    size[k] = plan_size(plan);
    plan_free(plan);
    graph_close(&g);
  }
  assert_int_equal(size[1].n_jobs, size[0].n_jobs + 1);
  assert_true(size[1].arena_bytes <= 2 * size[0].arena_bytes);
}

/* -- long chains ------------------------------------------------------------------- */

/* tanh(h w + x), `n` times, and its gradient, whose way back needs every h. */
static PlanSize size_of_chain(int n) {
  Graph g;
  Fault fault = {0};
  assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
  Node *x = filled(&g, DT_REAL, SHAPE_OF(2, 3), -2, 2, 1), *roots[2];
  Node *w = graph_track(&g, filled(&g, DT_REAL, SHAPE_OF(3, 3), -0.3, 0.3, 2)), *h = x;
  g.whole_history = 1;
  for (int i = 0; i < n; i++) h = op_tanh(&g, op_add(&g, op_matmul(&g, h, w), x));
  roots[0] = op_mean(&g, h, ALL_AXES, false);
  assert_int_equal(graph_grad(&g, roots[0], NULL, &w, 1, &roots[1]), ERR_OK);
  Plan *plan = plan_new(&g, roots, 2);
  assert_non_null(plan);
  PlanSize size = plan_size(plan);
  plan_free(plan);
  graph_close(&g);
  return size;
}

TEST(twice_the_chain_takes_about_twice_the_planning_and_memory) {
  PlanSize before = size_of_chain(250);
  for (int n = 500; n <= 4000; n *= 2) {
    PlanSize size = size_of_chain(n);
    assert_true(size.n_nodes >= 7 * n);
    assert_true((double)size.n_looks <= 2.3 * (double)before.n_looks);
    assert_true((double)size.arena_bytes <= 2.05 * (double)before.arena_bytes);
    before = size;
  }
}
