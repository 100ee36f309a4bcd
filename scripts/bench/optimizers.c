/* optimizers.c: the pass of each optimizer over a parameter, its gradient and its
 * slots: the commit of a plan, on one thread, in turn.
 *
 *   optimizers ELEMENTS ROUNDS
 *
 * One line for each sample of each record whose rule is of one parameter: name,
 * options, slots, then the nanoseconds per element of each round (the fastest of
 * several passes), separated by tabs and blanks. */
#include "base/sys.h"
#include "graph/plan.h"
#include "nn/optim.h"
#include <stdio.h>
#include <stdlib.h>

enum {
  MOST_CASES = 64,
  MOST_NODES = 64,
  MOST_SLOTS = 8,
  MOST_NUMBERS = 16,
  PASSES = 5
};

typedef struct Pass {
  const char *name, *sample;
  Graph graph;
  Fault fault;
  Optimizer *optimizer;
  Variable *w, *slot[MOST_SLOTS];
  int n_slots;
  Plan *plan;
  void *in[MOST_NODES], *root[1 + MOST_SLOTS];
} Pass;

static void need(const Pass *pass, bool ok) {
  if (ok) return;
  const Fault *fault = pass->graph.fault.code ? &pass->graph.fault : &pass->fault;
  fprintf(stderr, "optimizers: %s: %s\n", pass->name, fault->text);
  exit(1);
}

/* A tensor of small numbers, of both signs. */
static Node *values(Pass *pass, int64_t n, int64_t period) {
  Graph *graph = &pass->graph;
  Tensor *t = tensor_new(&graph->memory, DT_REAL, &SHAPE_OF(n), &pass->fault);
  need(pass, t);
  for (int64_t i = 0; i < n; i++)
    tensor_reals(t)[i] = (real)(i % period) / (real)period - (real)0.45;
  Node *node = graph_const(graph, t);
  tensor_release(t);
  return node;
}

static void begin_variables(Pass *pass, int64_t n) {
  Graph *graph = &pass->graph;
  pass->w = variable_new("w", &pass->fault);
  need(pass, pass->w && !variable_assign(graph, pass->w, values(pass, n, 101)));
  pass->n_slots = optimizer_slots_each(pass->optimizer);
  need(pass, pass->n_slots <= MOST_SLOTS);
  need(pass, !optimizer_slots(graph, pass->optimizer, &pass->w, 1, pass->slot));
}

/* The new values of the parameter and its slots. */
static void emit(Pass *pass, int64_t n, Node **root) {
  Graph *graph = &pass->graph;
  Optimizer *opt = pass->optimizer;
  OptimNumbers numbers;
  Node *number[MOST_NUMBERS], *gradient = values(pass, n, 37);
  bool grouped = false;
  need(pass, !optim_numbers_init(&numbers, opt, &pass->w, 1, &pass->fault));
  need(pass, !optimizer_begin(opt, &pass->w, &numbers, &grouped, &pass->fault));
  need(pass, grouped && numbers.n <= MOST_NUMBERS);
  for (int i = 0; i < numbers.n; i++) number[i] = graph_scalar(graph, numbers.value[i]);
  need(pass, !optimizer_emit(graph, opt, &numbers, number, NULL, &pass->w, pass->slot,
                             &gradient, root, root + 1));
  optim_numbers_deinit(&numbers);
}

static void *memory_of(Pass *pass, const Variable *v) {
  Tensor *value = graph_value(&pass->graph, v->current);
  need(pass, value);
  return value->a.data;
}

static void pass_begin(Pass *pass, const Kind *kind, const char *sample, int64_t n) {
  Node *root[1 + MOST_SLOTS], *const *leaves;
  pass->name = kind->name;
  pass->sample = sample;
  need(pass, !graph_open(&pass->graph, 1, 1, &pass->fault));
  need(pass, (pass->optimizer = optimizer_of_sample(kind, sample, &pass->fault)));
  begin_variables(pass, n);
  pass->root[0] = memory_of(pass, pass->w);
  for (int s = 0; s < pass->n_slots; s++)
    pass->root[1 + s] = memory_of(pass, pass->slot[s]);
  emit(pass, n, root);
  need(pass, (pass->plan = plan_new(&pass->graph, root, 1 + pass->n_slots)));
  int n_leaves = plan_leaves(pass->plan, &leaves);
  need(pass, n_leaves <= MOST_NODES);
  for (int i = 0; i < n_leaves; i++) pass->in[i] = plan_leaf_data(leaves[i]);
}

/* Seconds of the fastest pass. */
static double pass_run(Pass *pass) {
  PlanRun run = {pass->in, pass->root, NULL};
  double best = 1e9;
  need(pass, !plan_compute(&pass->graph, pass->plan, &run));
  for (int i = 0; i < PASSES; i++) {
    double begin = clock_s();
    plan_commit(&pass->graph, pass->plan);
    double took = clock_s() - begin;
    if (took < best) best = took;
  }
  return best;
}

int main(int argc, char **argv) {
  static Pass pass[MOST_CASES];
  int64_t n = argc > 1 ? atoll(argv[1]) : 270000;
  int n_rounds = argc > 2 ? atoi(argv[2]) : 31, n_cases = 0;
  for (const Kind *const *kind = optim_family.kinds; *kind; kind++)
    for (const char *const *sample = ((const OptimKind *)*kind)->samples; *sample;
         sample++)
      if (n_cases < MOST_CASES && !((const OptimKind *)*kind)->joint)
        pass_begin(&pass[n_cases++], *kind, *sample, n);
  double *seconds = calloc((size_t)n_rounds * (size_t)n_cases + 1, sizeof *seconds);
  for (int r = 0; seconds && r < n_rounds; r++)
    for (int i = 0; i < n_cases; i++) seconds[r * n_cases + i] = pass_run(&pass[i]);
  for (int i = 0; seconds && i < n_cases; i++) {
    printf("%s\t%s\t%d\t", pass[i].name, pass[i].sample, pass[i].n_slots);
    for (int r = 0; r < n_rounds; r++)
      printf("%s%.4f", r ? " " : "", 1e9 * seconds[r * n_cases + i] / (double)n);
    printf("\n");
  }
  free(seconds);
  return 0;
}
