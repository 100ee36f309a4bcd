/* test_optimizers.c: what holds of every optimizer, shown on the samples of its record:
 * a planned step gives the bytes of the naive one, with any number of threads, and
 * training that is stopped, saved and continued those of training that runs through. */
#include "graph/ops.h"
#include "options.h"
#include "test.h"
#include "train/checkpoint.h"
#include "train/train.h"

enum { ROWS = 6, COLUMNS = 70, UNITS = 33, STEPS = 6, MOST_VALUES = 60000 };

typedef struct World {
  Graph graph;
  Fault fault;
  Layer *net;
  Optimizer *optimizer;
} World;

static void add_dense(World *w, int units) {
  const Kind *kind = family_find(&layer_family, "Dense", &w->fault);
  Object *layer = object_new(kind, &w->fault);
  Err err = give_number(layer, option_at(kind, 1), units, &w->fault);
  assert_int_equal(err, ERR_OK);
  assert_int_equal(object_ready(layer, NULL, &w->fault), ERR_OK);
  assert_int_equal(layer_add(w->net, (Layer *)layer, &w->fault), ERR_OK);
  object_release(layer);
}

static void open_world(World *w, const Kind *kind, const char *sample, int threads) {
  *w = (World){0};
  assert_int_equal(graph_open(&w->graph, threads, 1, &w->fault), ERR_OK);
  w->graph.par.threshold = 1;
  w->graph.checked = true;
  w->net = (Layer *)family_make(&layer_family, "Sequential", &w->fault);
  add_dense(w, UNITS);
  add_dense(w, 1);
  w->optimizer = optimizer_of_sample(kind, sample, &w->fault);
  if (!w->optimizer) fail_msg("optim.%s: %s: %s", kind->name, sample, w->fault.text);
}

static void close_world(World *w) {
  object_release(w->net);
  object_release(w->optimizer);
  graph_close(&w->graph);
}

static Err forward(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  World *w = ctx;
  double x[ROWS * COLUMNS], t[ROWS];
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = (i * 37 % 101) / 50.0 - 1;
  for (int i = 0; i < ROWS; i++) t[i] = i % 3 - 1;
  Node *inputs = graph_from_doubles(graph, DT_REAL, &SHAPE_OF(ROWS, COLUMNS), x);
  Node *targets = graph_from_doubles(graph, DT_REAL, &SHAPE_OF(ROWS, 1), t);
  Node *error = op_sub(graph, op_tanh(graph, layer_call(graph, w->net, inputs)),
                       targets);
  Node *loss = op_mean(graph, op_square(graph, error), ALL_AXES, false);
  return step_output(out, loss, fault) ? fault->code : graph_ok(graph, fault);
}

static void train(World *w, int steps) {
  StepTarget target = {.nets = &w->net, .n_nets = 1};
  StepOutputs out = {0};
  for (int i = 0; i < steps; i++) {
    int scope = graph_scope_begin(&w->graph);
    out.n = 0;
    if (train_step(&w->graph, &target, w->optimizer, forward, w, NULL, &out, &w->fault))
      fail_msg("%s", w->fault.text);
    graph_scope_end(&w->graph, scope);
  }
  step_outputs_deinit(&out);
}

static void take(World *w, const Variable *v, double *out, int *n) {
  const Tensor *t = graph_value(&w->graph, v->current);
  for (int64_t k = 0; k < tensor_count(t); k++) {
    assert_true(*n < MOST_VALUES);
    out[(*n)++] = array_get(&t->a, k);
  }
}

/* All parameters and their slots, one after the other. */
static int values(World *w, double *out) {
  StateList list;
  int n = 0;
  assert_int_equal(layer_trained(w->net, &list, &w->fault), ERR_OK);
  for (int i = 0; i < list.n; i++) {
    take(w, list.v[i], out, &n);
    for (int s = 0; optimizer_slot_at(w->optimizer, s); s++) {
      const Variable *slot = optimizer_slot(w->optimizer, list.v[i], s);
      if (slot) take(w, slot, out, &n);
    }
  }
  state_deinit(&list);
  return n;
}

static double wanted[MOST_VALUES], got[MOST_VALUES];

static int trained_values(const Kind *kind, const char *sample, int threads, bool naive,
                          double *out) {
  World w;
  open_world(&w, kind, sample, threads);
  w.graph.naive = naive;
  train(&w, STEPS);
  int n = values(&w, out);
  close_world(&w);
  return n;
}

static void check_same(const Kind *kind, const char *sample, int n_wanted, int n) {
  assert_int_equal(n, n_wanted);
  for (int i = 0; i < n; i++)
    if (!(got[i] == wanted[i]))
      fail_msg("optim.%s: %s: value %d is %g, wanted %g", kind->name, sample, i, got[i],
               wanted[i]);
}

static void for_each_sample(void (*check)(const Kind *kind, const char *sample)) {
  for (const Kind *const *kind = optim_family.kinds; *kind; kind++) {
    const char *const *sample = ((const OptimKind *)*kind)->samples;
    if (!sample || !*sample) fail_msg("optim.%s has no samples", (*kind)->name);
    for (; *sample; sample++) check(*kind, *sample);
  }
}

static void check_threads(const Kind *kind, const char *sample) {
  int n = trained_values(kind, sample, 1, true, wanted);
  check_same(kind, sample, n, trained_values(kind, sample, 1, false, got));
  check_same(kind, sample, n, trained_values(kind, sample, 7, false, got));
}

TEST(every_optimizer_gives_the_same_bytes_planned_and_with_any_number_of_threads) {
  for_each_sample(check_threads);
}

static void save(World *w, Checkpoint *c) {
  StateList list;
  Fault *fault = &w->fault;
  assert_int_equal(checkpoint_init(c, fault), ERR_OK);
  assert_int_equal(checkpoint_add_net(c, "net", &w->graph, w->net, fault), ERR_OK);
  assert_int_equal(checkpoint_add_optimizer(c, "optimizer", w->optimizer, fault),
                   ERR_OK);
  assert_int_equal(layer_parameters(w->net, &list, fault), ERR_OK);
  Err err = checkpoint_add_slots(c, "optimizer", "", &w->graph, w->optimizer, &list,
                                 NULL, fault);
  assert_int_equal(err, ERR_OK);
  state_deinit(&list);
}

static void load(World *w, const Checkpoint *c) {
  StateList list;
  Fault *fault = &w->fault;
  assert_int_equal(checkpoint_get_net(c, "net", &w->graph, w->net, fault), ERR_OK);
  assert_int_equal(checkpoint_get_optimizer(c, "optimizer", w->optimizer, fault),
                   ERR_OK);
  assert_int_equal(layer_parameters(w->net, &list, fault), ERR_OK);
  Err err = checkpoint_get_slots(c, "optimizer", "", &w->graph, w->optimizer, &list,
                                 fault);
  assert_int_equal(err, ERR_OK);
  state_deinit(&list);
}

static void check_resumed(const Kind *kind, const char *sample) {
  World first, second;
  Checkpoint c;
  int n = trained_values(kind, sample, 1, false, wanted);
  open_world(&first, kind, sample, 1);
  train(&first, STEPS / 2);
  save(&first, &c);
  close_world(&first);
  open_world(&second, kind, "", 1); /* the options are in the checkpoint */
  load(&second, &c);
  train(&second, STEPS - STEPS / 2);
  int n_got = values(&second, got);
  close_world(&second);
  checkpoint_deinit(&c);
  check_same(kind, sample, n, n_got);
}

TEST(every_optimizer_goes_on_from_a_checkpoint_as_if_it_had_never_stopped) {
  for_each_sample(check_resumed);
}
