/* test_seek.c: a step that evaluates again changes nothing where it is interrupted.
 * What else holds of it: tests/nn/test_optim_lbfgs.lua, test_optimizers.c. */
#include "base/sys.h"
#include "graph/ops.h"
#include "test.h"
#include "train/train.h"
#include <string.h>

enum { N = 3 };

typedef struct World {
  Graph graph;
  Fault fault;
  Variable *p;
  Optimizer *optimizer;
} World;

static void open_world(World *w, bool naive) {
  static const double start[N] = {-1.2, 1, 0.5};
  *w = (World){0};
  assert_int_equal(graph_open(&w->graph, 1, 1, &w->fault), ERR_OK);
  w->graph.naive = naive;
  w->p = variable_new("p", &w->fault);
  Node *value = graph_from_doubles(&w->graph, DT_REAL, &SHAPE_OF(N), start);
  assert_int_equal(variable_assign(&w->graph, w->p, value), ERR_OK);
  const Kind *kind = family_find(&optim_family, "LBFGS", &w->fault);
  w->optimizer = optimizer_of_sample(kind, "line_search=strong_wolfe max_iter=9",
                                     &w->fault);
  assert_non_null(w->optimizer);
}

static void close_world(World *w) {
  object_release(w->optimizer);
  variable_release(w->p);
  graph_close(&w->graph);
}

/* The sum of (p^2 - 1)^2 and p. */
static Err forward(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  World *w = ctx;
  Node *p = variable_read(graph, w->p);
  Node *well = op_square(graph,
                         op_sub(graph, op_square(graph, p), graph_scalar(graph, 1)));
  Node *loss = op_sum(graph, op_add(graph, well, p), ALL_AXES, false);
  return step_output(out, loss, fault) ? fault->code : graph_ok(graph, fault);
}

static Err step(World *w) {
  StepTarget target = {.variables = &w->p, .n_variables = 1};
  StepOutputs out = {0};
  int scope = graph_scope_begin(&w->graph);
  Err err = train_step(&w->graph, &target, w->optimizer, forward, w, NULL, &out,
                       &w->fault);
  graph_scope_end(&w->graph, scope);
  step_outputs_deinit(&out);
  return err;
}

static void values(World *w, double out[N]) {
  const Tensor *t = graph_value(&w->graph, w->p->current);
  for (int i = 0; i < N; i++) out[i] = array_get(&t->a, i);
}

/* -- interrupts -------------------------------------------------------------------- */

/* LBFGS, whose evaluations are counted; before number `interrupted` Ctrl-C is pressed.
 */
static OptimKind counting;
static const OptimKind *lbfgs;
static Err (*evaluate)(void *ctx, Node *const *w, double *loss, Node **gradient,
                       Fault *fault);
static int n_evaluations, interrupted;

static Err evaluate_counted(void *ctx, Node *const *w, double *loss, Node **gradient,
                            Fault *fault) {
  if (++n_evaluations == interrupted) interrupt_raise();
  return evaluate(ctx, w, loss, gradient, fault);
}

static Err search_counted(const Optimizer *self, OptimSearch *search, Fault *fault) {
  evaluate = search->evaluate;
  search->evaluate = evaluate_counted;
  return lbfgs->search(self, search, fault);
}

static void count_in(World *w) {
  lbfgs = (const OptimKind *)w->optimizer->object.kind;
  counting = *lbfgs;
  counting.search = search_counted;
  w->optimizer->object.kind = &counting.kind;
  n_evaluations = 0;
}

/* Before each of its evaluations; afterwards the step is done as if nothing had been.
 */
static void check_interrupted(bool naive) {
  double start[N], wanted[N], got[N];
  int n = 1;
  for (int at = 0; at <= n; at++) {
    World w;
    open_world(&w, naive);
    values(&w, start);
    count_in(&w);
    interrupted = at;
    Err err = step(&w);
    assert_int_equal(err, at ? ERR_INTERRUPT : ERR_OK);
    interrupt_clear();
    fault_clear(&w.fault);
    values(&w, got);
    if (at == 0) {
      memcpy(wanted, got, sizeof got);
      n = n_evaluations;
      assert_in_range(n, 4, 60);
    } else {
      assert_memory_equal(got, start, sizeof got);
      assert_int_equal(w.optimizer->t, 0);
      assert_int_equal(w.optimizer->n_slots, 0);
      assert_int_equal(step(&w), ERR_OK);
      values(&w, got);
      assert_memory_equal(got, wanted, sizeof got);
    }
    close_world(&w);
  }
}

TEST(an_interrupt_before_any_evaluation_changes_nothing) {
  check_interrupted(false);
  check_interrupted(true);
}
