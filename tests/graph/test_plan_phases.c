/* Ops of any number of phases: each phase sees what those before it have written, and
 * ops that run beside each other have as many as each needs. */
#include "graph/ops.h"
#include "graph/plan.h"
#include "base/ints.h"
#include "test.h"
#include <stdlib.h>

/* Sums along the rows, an element a phase: y[i, t] = y[i, t - 1] + x[i, t]. */

static Err running_sum_infer(OpInfer *io) {
  io->out_shape[0] = io->in[0]->shape;
  return ERR_OK;
}

static int running_sum_phases(const OpCall *call) {
  return (int)most(call->in[0].shape.dim[1], 1);
}

/* A block is a row in some phases, all rows in others; some threads, too. */
static void running_sum_split(const OpCall *call, OpSplit *split) {
  for (int p = 0; p < split->n_phases; p++)
    split->n_blocks[p] = p % 3 == 1 ? 1 : call->in[0].shape.dim[0];
  split->work = (int64_t)split->n_phases << 24;
}

static void running_sum_run(const OpCall *call, int phase, int64_t block) {
  const Shape *s = &call->in[0].shape;
  const real *x = call->in[0].data;
  real *y = call->out[0].data;
  int64_t end = phase % 3 == 1 ? s->dim[0] : block + 1;
  if (phase >= s->dim[1]) return;
  for (int64_t i = block; i < end; i++) {
    int64_t at = i * s->dim[1] + phase;
    y[at] = phase ? y[at - 1] + x[at] : x[at];
  }
}

static const Op op_running_sum = {
    .name = "running_sum", .n_in = 1, .n_out = 1, .infer = running_sum_infer,
    .phases = running_sum_phases, .split = running_sum_split, .run = running_sum_run,
    .vjp = vjp_none};

enum { ROWS = 5 };

/* Element i of the input with T columns. */
static double element(int64_t T, int64_t i) {
  return (double)((i * 37 + T * 11) % 101) / 8 - 6;
}

static Node *running_sum(Graph *g, int64_t T) {
  double *v = malloc((size_t)(ROWS * T + 1) * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < ROWS * T; i++) v[i] = element(T, i);
  Node *x = graph_from_doubles(g, DT_REAL, &SHAPE_OF(ROWS, T), v);
  free(v);
  return graph_apply(g, &op_running_sum, &x, 1, NULL, 0);
}

static void check_sums(const Node *y, int64_t T) {
  assert_non_null(node_value(y));
  const real *got = node_value(y)->a.data;
  for (int64_t i = 0; i < ROWS; i++) {
    real sum = 0;
    for (int64_t t = 0; t < T; t++) {
      sum += (real)element(T, i * T + t);
      assert_memory_equal(&got[i * T + t], &sum, sizeof sum);
    }
  }
}

/* By the naive executor, then as one plan, in which all are beside each other. */
TEST(ops_of_any_number_of_phases_run_beside_each_other) {
  static const int64_t T[] = {1, 0, 2, 3, 1, 4, 20, 1000};
  enum { ALL = sizeof T / sizeof *T };
  for (int threads = 1; threads <= 3; threads += 2)
    for (int planned = 0; planned < 2; planned++) {
      const int N = threads == 1 ? ALL : ALL - 1;
      Graph g;
      Node *y[ALL];
      Fault fault = {0};
      assert_int_equal(graph_open(&g, threads, 1, &fault), ERR_OK);
      for (int k = 0; k < N; k++) y[k] = running_sum(&g, T[k]);
      assert_int_equal(planned ? plan_eval(&g, y, N) : graph_eval(&g, y, N), ERR_OK);
      for (int k = 0; k < N; k++) check_sums(y[k], T[k]);
      assert_int_equal(graph_ok(&g, &fault), ERR_OK);
      graph_close(&g);
    }
}

TEST(a_plan_keeps_as_many_blocks_as_its_ops_have_phases) {
  Graph g;
  Fault fault = {0};
  Text text = {0};
  assert_int_equal(graph_open(&g, 1, 1, &fault), ERR_OK);
  g.dump = &text;
  Node *y[] = {running_sum(&g, 7), running_sum(&g, 2)};
  Plan *plan = plan_new(&g, y, 2);
  assert_non_null(plan);
  plan_dump(plan, &text);
  /* Rows, one, rows, rows, one, rows, rows; and rows, one. */
  if (!strstr(text.data, "9 phases of 33 blocks in all")) fail_msg("%s", text.data);
  assert_int_equal(plan_size(plan).n_jobs, 1);
  plan_free(plan);
  text_deinit(&text);
  graph_close(&g);
}
