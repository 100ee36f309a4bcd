/* The training step: what it computes, and that a failed one changes nothing. */
#include "options.h"
#include "test.h"
#include "allocations.h"
#include "base/sys.h"
#include "graph/ops.h"
#include "train/train.h"

typedef struct World {
  Graph graph;
  Fault fault;
  Layer *net;
  Optimizer *optimizer;
  double factor; /* on the loss */
} World;

static const double inputs[] = {0.5, -1, 2, 0.25, 1, 1}, targets[] = {1, 0, -1};

static void open_world(World *w, const char *optimizer) {
  *w = (World){.factor = 1};
  assert_int_equal(graph_open(&w->graph, 1, 1, &w->fault), ERR_OK);
  w->net = (Layer *)family_make(&layer_family, "Sequential", &w->fault);
  const char *kinds[] = {"Dense", "BatchNorm", "Dropout", "Dense"};
  for (int i = 0; i < 4; i++) {
    const Kind *kind = family_find(&layer_family, kinds[i], &w->fault);
    Object *layer = object_new(kind, &w->fault);
    const Option *first = option_at(kind, 1);
    if (first) {
      double value = i == 0 ? 8 : i == 2 ? 0.25 : 1;
      assert_int_equal(give_number(layer, first, value, &w->fault), ERR_OK);
    }
    assert_int_equal(object_ready(layer, NULL, &w->fault), ERR_OK);
    assert_int_equal(layer_add(w->net, (Layer *)layer, &w->fault), ERR_OK);
    object_release(layer);
  }
  w->optimizer = (Optimizer *)family_make(&optim_family, optimizer, &w->fault);
  w->optimizer->lr = 0.1;
}

static void close_world(World *w) {
  object_release(w->net);
  object_release(w->optimizer);
  graph_close(&w->graph);
}

static Err forward(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  World *w = ctx;
  Node *x = graph_from_doubles(graph, DT_REAL, &SHAPE_OF(3, 2), inputs);
  Node *t = graph_from_doubles(graph, DT_REAL, &SHAPE_OF(3, 1), targets);
  Node *y = layer_call(graph, w->net, x);
  Node *loss = op_mean(graph, op_square(graph, op_sub(graph, y, t)), ALL_AXES, false);
  loss = op_mul(graph, loss, graph_scalar(graph, w->factor));
  if (step_output(out, loss, fault) || step_output(out, y, fault)) return fault->code;
  return graph_ok(graph, fault);
}

static Err step(World *w, double *loss) {
  StepOutputs out = {0};
  int scope = graph_scope_begin(&w->graph);
  StepTarget target = {.nets = &w->net, .n_nets = 1};
  fault_clear(&w->fault);
  Err err = train_step(&w->graph, &target, w->optimizer, forward, w, NULL, &out,
                       &w->fault);
  if (!err) {
    *loss = array_get(&node_value(out.v[0])->a, 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(tensor_count(node_value(out.v[1])), 3);
  }
  step_outputs_deinit(&out);
  graph_scope_end(&w->graph, scope);
  return err;
}

/* All numbers of the net's state, one after the other. */
static int state_numbers(World *w, double *out) {
  StateList list;
  int n = 0;
  assert_int_equal(layer_state(w->net, &list, &w->fault), ERR_OK);
  for (int i = 0; i < list.n; i++) {
    Tensor *t = graph_value(&w->graph, list.v[i]->current);
    for (int64_t k = 0; k < tensor_count(t); k++) out[n++] = array_get(&t->a, k);
  }
  state_deinit(&list);
  return n;
}

static void check_same(const double *a, const double *b, int n) {
  for (int i = 0; i < n; i++) assert_true(a[i] == b[i]);
}

TEST(steps_lower_the_loss) {
  World w;
  open_world(&w, "Adam");
  double first = 0, last = 0;
  assert_int_equal(step(&w, &first), ERR_OK);
  for (int i = 0; i < 150; i++) assert_int_equal(step(&w, &last), ERR_OK);
  assert_true(last < first / 2);
  assert_int_equal(w.optimizer->t, 151);
  close_world(&w);
}

TEST(a_thousand_evaluations_of_other_shapes_push_out_no_plan_of_a_step) {
  World w;
  open_world(&w, "SGD");
  double loss;
  for (int i = 0; i < 3; i++) assert_int_equal(step(&w, &loss), ERR_OK);
  PlanStore *steps = &w.graph.plans[PLANS_OF_STEPS];
  int n = steps->n;
  uint64_t made = steps->v[n - 1]->made, used = steps->v[n - 1]->used;
  assert_true(n > 0);
  for (int64_t rows = 1; rows <= 1000; rows++) {
    int scope = graph_scope_begin(&w.graph);
    for (int again = 0; again < 3; again++) {
      Node *y = layer_call(&w.graph, w.net, op_full(&w.graph, 0.5, &SHAPE_OF(rows, 2)));
      assert_non_null(graph_value(&w.graph, y));
    }
    graph_scope_end(&w.graph, scope);
  }
  assert_true(w.graph.plans[PLANS_OF_VALUES].n > 0);
  assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(steps->n, n);
  assert_int_equal(steps->v[n - 1]->made, made);
  assert_true(steps->v[n - 1]->used > used);
  close_world(&w);
}

TEST(a_step_is_w_minus_lr_times_gradient) {
  World w;
  open_world(&w, "SGD");
  double loss, after = 0;
  Node *x = graph_from_doubles(&w.graph, DT_REAL, &SHAPE_OF(3, 2), inputs);
  assert_non_null(layer_call(&w.graph, w.net, x));
  StateList list;
  assert_int_equal(layer_parameters(w.net, &list, &w.fault), ERR_OK);
  Variable *bias = list.v[list.n - 1];
  assert_string_equal(bias->name, "dense_2.bias");
  double before = array_get(&graph_value(&w.graph, bias->current)->a, 0);
  assert_int_equal(step(&w, &loss), ERR_OK);
  after = array_get(&graph_value(&w.graph, bias->current)->a, 0);
  state_deinit(&list);
  World u; /* runs the same forward again, for its output */
  open_world(&u, "SGD");
  StepOutputs out = {0};
  u.graph.training = true;
  assert_int_equal(forward(&u, &u.graph, &out, &u.fault), ERR_OK);
  Tensor *y = graph_value(&u.graph, out.v[1]);
  step_outputs_deinit(&out);
  double gradient = 0; /* of the mean square by the last bias */
  for (int i = 0; i < 3; i++) gradient += 2.0 / 3 * (array_get(&y->a, i) - targets[i]);
  CHECK_NEAR(after, before - 0.1 * gradient, 1e-5);
  close_world(&u);
  close_world(&w);
}

TEST(a_step_that_is_not_finite_changes_nothing_and_says_where) {
  World w, reference;
  open_world(&w, "Adam");
  open_world(&reference, "Adam");
  double before[200], after[200], loss = 0, again = 0;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(step(&w, &loss), ERR_OK);
    assert_int_equal(step(&reference, &again), ERR_OK);
  }
  int n = state_numbers(&w, before);
  w.factor = INFINITY;
  assert_int_equal(step(&w, &loss), ERR_NONFINITE);
  assert_non_null(strstr(w.fault.text, "step 4: the loss is not finite"));
  assert_int_equal(state_numbers(&w, after), n);
  check_same(before, after, n);
  assert_int_equal(w.optimizer->t, 3);
  w.factor = 1;
  assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(step(&reference, &again), ERR_OK);
  assert_true(loss == again); /* the same draws, the same moments */
  state_numbers(&w, before);
  state_numbers(&reference, after);
  check_same(before, after, n);
  close_world(&w);
  close_world(&reference);
}

TEST(a_bad_parameter_is_named) {
  World w;
  open_world(&w, "SGD");
  double loss;
  assert_int_equal(step(&w, &loss), ERR_OK);
  StateList list;
  assert_int_equal(layer_state(w.net, &list, &w.fault), ERR_OK);
  double bad[] = {1, NAN, 1, 1, 1, 1, 1, 1};
  Node *value = graph_from_doubles(&w.graph, DT_REAL, &SHAPE_OF(8), bad);
  assert_string_equal(list.v[1]->name, "dense_1.bias");
  assert_int_equal(variable_assign(&w.graph, list.v[1], value), ERR_OK);
  state_deinit(&list);
  assert_int_equal(step(&w, &loss), ERR_NONFINITE);
  assert_non_null(strstr(w.fault.text, "dense_1.bias"));
  assert_non_null(strstr(w.fault.text, "[2]"));
  close_world(&w);
}

TEST(an_interrupted_step_changes_nothing) {
  World w;
  open_world(&w, "SGD");
  double before[200], after[200], loss;
  assert_int_equal(step(&w, &loss), ERR_OK);
  int n = state_numbers(&w, before);
  interrupt_raise();
  Err err = step(&w, &loss);
  interrupt_clear();
  assert_int_equal(err, ERR_INTERRUPT);
  state_numbers(&w, after);
  check_same(before, after, n);
  close_world(&w);
}

TEST(frozen_parameters_stay) {
  World w;
  open_world(&w, "SGD");
  double loss, before[200], after[200];
  assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(layer_freeze(w.net, "dense_1", true, &w.fault), ERR_OK);
  int n = state_numbers(&w, before);
  assert_int_equal(step(&w, &loss), ERR_OK);
  state_numbers(&w, after);
  check_same(before, after, 2 * 8 + 8);
  assert_true(before[n - 1] != after[n - 1]);
  assert_int_equal(layer_freeze(w.net, "*", true, &w.fault), ERR_OK);
  assert_int_equal(step(&w, &loss), ERR_VALUE);
  assert_non_null(strstr(w.fault.text, "nothing to train"));
  close_world(&w);
}

TEST(a_step_inside_a_step_is_refused) {
  World w;
  open_world(&w, "SGD");
  double loss;
  assert_int_equal(step(&w, &loss), ERR_OK);
  StepTarget target = {.nets = &w.net, .n_nets = 1};
  StepOutputs out = {0};
  graph_begin(&w.graph);
  assert_int_equal(train_step(&w.graph, &target, w.optimizer, forward, &w, NULL, &out,
                              &w.fault),
                   ERR_VALUE);
  graph_rollback(&w.graph);
  close_world(&w);
}

/* -- replay ------------------------------------------------------------------------ */

static void traced_step(World *w, Replay *replay) {
  StepOutputs out = {0};
  int scope = graph_scope_begin(&w->graph);
  StepTarget target = {.nets = &w->net, .n_nets = 1};
  StepCapture capture = {.replay = replay};
  assert_int_equal(train_step(&w->graph, &target, w->optimizer, forward, w, &capture,
                              &out, &w->fault),
                   ERR_OK);
  step_outputs_deinit(&out);
  graph_scope_end(&w->graph, scope);
}

typedef struct Replays {
  World *world;
  Replay *replay;
  int64_t n_counted;
} Replays;

static void count_replays(void *ctx) {
  Replays *r = ctx;
  const PlanArgs none = {0};
  for (int k = 0; k < 5; k++) {
    bool done = false;
    int64_t before = n_allocations;
    assert_true(replay_ready(r->replay, 0, &none));
    assert_int_equal(replay_run(r->replay, &none, NULL, &done, &r->world->fault),
                     ERR_OK);
    assert_true(done);
    if (k > 0) r->n_counted += n_allocations - before;
  }
}

/* Begins a replay of the net's step, and replays it on each number of threads. */
static void check_replays(World *w, int threads) {
  w->graph.par.threads = threads;
  w->graph.par.threshold = 1;
  Replays r = {w, replay_new(&w->fault), 0};
  traced_step(w, r.replay);
  if (COUNTS_ALLOCATIONS) assert_allocations_count();
  par_team(&w->graph.par, count_replays, &r);
  assert_int_equal(r.n_counted, 0);
  replay_free(r.replay);
}

/* Batch norm, dropout, Adam: running statistics, draws and slots are among what it
 * writes. */
TEST(a_replayed_step_allocates_nothing) {
  static const int threads[] = {1, 2, 7};
  for (int t = 0; t < 3 && COUNTS_ALLOCATIONS; t++) {
    World w;
    open_world(&w, "Adam");
    double loss;
    assert_int_equal(step(&w, &loss), ERR_OK);
    check_replays(&w, threads[t]);
    assert_int_equal(w.optimizer->t, 7);
    close_world(&w);
  }
}

/* -- counts ------------------------------------------------------------------------ */

static int64_t updates(World *w, int i) {
  StateList list;
  assert_int_equal(layer_parameters(w->net, &list, &w->fault), ERR_OK);
  int64_t t = optimizer_updates(w->optimizer, list.v[i]);
  state_deinit(&list);
  return t;
}

TEST(each_parameter_counts_its_own_updates) {
  World w;
  open_world(&w, "Adam");
  double loss;
  assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(layer_freeze(w.net, "dense_1", true, &w.fault), ERR_OK);
  for (int i = 0; i < 3; i++) assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(layer_freeze(w.net, "dense_1", false, &w.fault), ERR_OK);
  check_replays(&w, 2);
  assert_int_equal(w.optimizer->t, 10);
  assert_int_equal(updates(&w, 0), 7);
  assert_int_equal(updates(&w, 3), 10);
  close_world(&w);
}

TEST(a_failed_step_leaves_the_optimizer_as_it_was) {
  World w;
  open_world(&w, "Adam");
  double loss;
  w.factor = INFINITY;
  assert_int_equal(step(&w, &loss), ERR_NONFINITE);
  assert_int_equal(w.optimizer->n_slots, 0);
  assert_true(w.optimizer->rate == 0);
  w.factor = 1;
  assert_int_equal(step(&w, &loss), ERR_OK);
  interrupt_raise();
  w.optimizer->lr = 0.05;
  Err err = step(&w, &loss);
  interrupt_clear();
  assert_int_equal(err, ERR_INTERRUPT);
  assert_true(w.optimizer->rate == 0.1);
  assert_int_equal(updates(&w, 0), 1);
  close_world(&w);
}

/* Another step updates a part of what a replay updates: it is captured anew. */
TEST(a_replay_ends_when_its_groups_fall_apart) {
  World w;
  open_world(&w, "Adam");
  double loss;
  const PlanArgs none = {0};
  bool done = true;
  assert_int_equal(step(&w, &loss), ERR_OK);
  Replay *replay = replay_new(&w.fault);
  traced_step(&w, replay);
  assert_int_equal(layer_freeze(w.net, "dense_1", true, &w.fault), ERR_OK);
  assert_int_equal(step(&w, &loss), ERR_OK);
  assert_int_equal(layer_freeze(w.net, "dense_1", false, &w.fault), ERR_OK);
  assert_int_equal(replay_run(replay, &none, NULL, &done, &w.fault), ERR_OK);
  assert_false(done);
  assert_int_equal(w.optimizer->t, 3);
  traced_step(&w, replay);
  assert_int_equal(replay_run(replay, &none, NULL, &done, &w.fault), ERR_OK);
  assert_true(done);
  assert_int_equal(updates(&w, 0), 4);
  assert_int_equal(updates(&w, 3), 5);
  replay_free(replay);
  close_world(&w);
}

/* -- new values that are not finite ------------------------------------------------ */

/* What a step of one parameter w = (1, 2) does: the loss, and what is assigned to
 * `other`. */
typedef enum Trouble {
  FINE, GRADIENT_NAN, UPDATE_INF, ASSIGNED_INF, SLOT_INF, N_TROUBLES
} Trouble;

static const char *const told[N_TROUBLES] = {
    [GRADIENT_NAN] = "step 3: the gradient of dense_9.weight is not finite (nan at "
                     "[1])",
    [UPDATE_INF] = "step 3: the new value of dense_9.weight is not finite",
    [ASSIGNED_INF] = "step 3: what the function assigned to running is not finite "
                     "(inf at [1])",
    [SLOT_INF] = " is not finite (inf at [1])",
};

#ifdef REAL_DOUBLE
#define HUGE_FACTOR 1e200
#else
#define HUGE_FACTOR 1e30
#endif

typedef struct Small {
  Graph graph;
  Fault fault;
  Optimizer *optimizer;
  Variable *w, *other;
  Tensor *x;      /* its argument */
  Replay *replay; /* NULL: none */
} Small;

/* loss = sum(sqrt((a w)^2) + b w), and noise; running = c d. x holds a, b, c, d. */
static Err small_forward(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  Small *s = ctx;
  Node *x = graph_const(graph, s->x), *w = variable_read(graph, s->w);
  Node *part[4];
  for (int i = 0; i < 4; i++)
    part[i] = op_slice(graph, x, (int64_t[]){i}, (int64_t[]){1}, (int64_t[]){1});
  Node *noise = op_random_normal(graph, &SHAPE_OF(2), 0, 1,
                                 graph_draw(graph, "user", "noise"));
  Node *distance = op_sqrt(graph, op_square(graph, op_mul(graph, part[0], w)));
  Node *loss = op_sum(graph, op_add(graph, distance, op_mul(graph, part[1], w)),
                      ALL_AXES, false);
  loss = op_add(graph, loss,
                op_scale(graph, op_sum(graph, noise, ALL_AXES, false), 1e-3));
  if (step_output(out, loss, fault)) return fault->code;
  Node *running = op_mul(graph, part[2], part[3]);
  if (running && variable_assign(graph, s->other, running))
    return graph_ok(graph, fault);
  return graph_ok(graph, fault);
}

/* At 0 the root has no slope; b^2 overflows in the second moment, c d where it is
 * assigned. */
static void set_trouble(Small *s, Trouble trouble) {
  double a = trouble == GRADIENT_NAN ? 0 : 1, b = trouble == SLOT_INF ? HUGE_FACTOR : 1;
  double c = trouble == ASSIGNED_INF ? HUGE_FACTOR : 2;
  const double numbers[] = {a, b, c, c};
  for (int i = 0; i < 4; i++) array_set(&s->x->a, i, numbers[i]);
  s->optimizer->lr = trouble == UPDATE_INF ? INFINITY : 0.1;
}

static void small_open(Small *s, const char *optimizer, bool naive, bool replayed) {
  *s = (Small){.replay = replayed ? replay_new(&s->fault) : NULL};
  assert_int_equal(graph_open(&s->graph, 1, 1, &s->fault), ERR_OK);
  s->graph.naive = naive;
  s->optimizer = (Optimizer *)family_make(&optim_family, optimizer, &s->fault);
  s->w = variable_new("dense_9.weight", &s->fault);
  s->other = variable_new("running", &s->fault);
  s->x = tensor_new(&s->graph.memory, DT_REAL, &SHAPE_OF(4), &s->fault);
  int scope = graph_scope_begin(&s->graph);
  assert_int_equal(variable_assign(&s->graph, s->w,
                                   graph_from_doubles(&s->graph, DT_REAL, &SHAPE_OF(2),
                                                      (double[]){1, 2})),
                   ERR_OK);
  assert_int_equal(variable_assign(&s->graph, s->other,
                                   graph_from_doubles(&s->graph, DT_REAL, &SHAPE_OF(1),
                                                      (double[]){5})),
                   ERR_OK);
  graph_scope_end(&s->graph, scope);
}

static void small_close(Small *s) {
  replay_free(s->replay);
  variable_release(s->w);
  variable_release(s->other);
  tensor_release(s->x);
  object_release(s->optimizer);
  graph_close(&s->graph);
}

static Err small_step(Small *s) {
  PlanArgs args = {&s->x, 1};
  bool done = false;
  fault_clear(&s->fault);
  if (s->replay && replay_ready(s->replay, 0, &args)) {
    Err err = replay_run(s->replay, &args, NULL, &done, &s->fault);
    if (err || done) return err;
  }
  StepOutputs out = {0};
  int scope = graph_scope_begin(&s->graph);
  StepTarget target = {.variables = &s->w, .n_variables = 1};
  StepCapture capture = {.replay = s->replay, .args = args};
  Err err = train_step(&s->graph, &target, s->optimizer, small_forward, s,
                       s->replay ? &capture : NULL, &out, &s->fault);
  step_outputs_deinit(&out);
  graph_scope_end(&s->graph, scope);
  return err;
}

/* w, other, slots, t, draws. */
static int small_numbers(Small *s, double out[24]) {
  int n = 0;
  const Variable *v[32] = {s->w, s->other};
  int n_vars = 2;
  for (int k = 0; optimizer_slot_at(s->optimizer, k); k++)
    v[n_vars++] = optimizer_slot(s->optimizer, s->w, k);
  for (int i = 0; i < n_vars; i++) {
    const Tensor *t = v[i] ? graph_value(&s->graph, v[i]->current) : NULL;
    for (int64_t k = 0; t && k < tensor_count(t); k++) out[n++] = array_get(&t->a, k);
  }
  out[n++] = (double)s->optimizer->t;
  for (int i = 0; i < s->graph.n_counters; i++)
    out[n++] = (double)s->graph.counters[i].count;
  return n;
}

/* Is it said of which slot the new value is bad? `slot`: the one that holds squares. */
static void check_told(const Small *s, Trouble trouble, const char *slot) {
  char of[96];
  snprintf(of, sizeof of, "step 3: the new value of dense_9.weight.%s is not", slot);
  bool right = strstr(s->fault.text, told[trouble]) &&
               (trouble != SLOT_INF || strstr(s->fault.text, of));
  if (!right) fail_msg("%s", s->fault.text);
}

/* Two good steps, a bad one, two good ones: as four good ones. */
static void check_refused(const char *optimizer, const char *slot, Trouble trouble,
                          bool naive, bool replayed) {
  Small s, reference;
  double before[24], after[24];
  small_open(&s, optimizer, naive, replayed);
  small_open(&reference, optimizer, false, false);
  for (int i = 0; i < 4; i++) {
    set_trouble(&s, FINE);
    set_trouble(&reference, FINE);
    if (i == 2) {
      int n = small_numbers(&s, before);
      set_trouble(&s, trouble);
      assert_int_equal(small_step(&s), ERR_NONFINITE);
      check_told(&s, trouble, slot);
      assert_int_equal(s.fault.place.step, 3);
      if (trouble != ASSIGNED_INF && trouble != GRADIENT_NAN)
        assert_string_equal(s.fault.place.layer, "dense_9");
      assert_int_equal(small_numbers(&s, after), n);
      check_same(before, after, n);
      set_trouble(&s, FINE);
    }
    assert_int_equal(small_step(&s), ERR_OK);
    assert_int_equal(small_step(&reference), ERR_OK);
  }
  int n = small_numbers(&s, before);
  assert_int_equal(small_numbers(&reference, after), n);
  check_same(before, after, n);
  small_close(&s);
  small_close(&reference);
}

TEST(a_step_with_a_finite_loss_whose_new_values_are_not_changes_nothing) {
  for (int way = 0; way < 3; way++)
    for (int trouble = GRADIENT_NAN; trouble < N_TROUBLES; trouble++) {
      check_refused("Adam", "moment2", trouble, way == 1, way == 2);
      check_refused("AdamW", "moment2", trouble, way == 1, way == 2);
      check_refused("RMSprop", "square", trouble, way == 1, way == 2);
      if (trouble != SLOT_INF)
        check_refused("Lion", "none", trouble, way == 1, way == 2);
      if (trouble != SLOT_INF)
        check_refused("SGD", "none", trouble, way == 1, way == 2);
    }
}

/* Without eps nothing is proved of Adam: each step goes to new memory, to the same
 * bytes. */
TEST(steps_that_cannot_be_proved_give_the_same) {
  Small s[3];
  double numbers[3][24];
  int n = 0;
  for (int way = 0; way < 3; way++) {
    small_open(&s[way], "Adam", way == 1, way == 2);
    const Option *eps = option_find(s[way].optimizer->object.kind, "eps",
                                    &s[way].fault);
    assert_int_equal(give_number(&s[way].optimizer->object, eps, 0, &s[way].fault),
                     ERR_OK);
    for (int i = 0; i < 5; i++) {
      set_trouble(&s[way], FINE);
      assert_int_equal(small_step(&s[way]), ERR_OK);
    }
    n = small_numbers(&s[way], numbers[way]);
    check_same(numbers[0], numbers[way], n);
  }
  for (int way = 0; way < 3; way++) small_close(&s[way]);
}

/* A bound that is only known to hold grows from step to step; then it is measured
 * again. */
TEST(a_bound_that_has_grown_is_measured_again) {
  Small s;
  small_open(&s, "SGD", false, true);
  s.optimizer->weight_decay = 10;
  for (int i = 0; i < 1200; i++) {
    set_trouble(&s, FINE);
    array_set(&s.x->a, 1, 3); /* w becomes -0.1 times its gradient, its bound doubles */
    assert_int_equal(small_step(&s), ERR_OK);
  }
  assert_true(isfinite(s.w->hi) && s.w->bounded == s.w->version);
  small_close(&s);
}

/* Another value than it has. */
static void change_option(Object *object, const Option *option, Fault *fault) {
  const void *field = option_field(object, option);
  bool half = option->lo < 0.5 && (option->hi >= 0.5 || option->hi == option->lo);
  Err err = option->kind == OPT_BOOL
                ? give_bool(object, option, !*(const bool *)field, fault)
                : give_number(object, option, half ? 0.5 : option->lo, fault);
  if (err) fail_msg("%s", fault->text);
}

enum { MOST_NUMBERS = 256 }; /* of the optimizer with the most slots */

/* Two steps, then the option is another, then two more; w, slots and so on
 * afterwards. */
static int numbers_by_option(const Kind *kind, const Option *option, bool naive,
                             double out[MOST_NUMBERS]) {
  Small s;
  small_open(&s, kind->name, naive, false);
  for (int i = 0; i < 4; i++) {
    if (i == 2) change_option(&s.optimizer->object, option, &s.fault);
    set_trouble(&s, FINE);
    assert_int_equal(small_step(&s), ERR_OK);
  }
  int n = small_numbers(&s, out);
  small_close(&s);
  return n;
}

/* No plan of other options is used again: the naive executor has none. */
TEST(every_option_that_is_set_between_steps_counts_from_the_next_one) {
  double planned[MOST_NUMBERS], naive[MOST_NUMBERS];
  int n_tried = 0;
  for (const Kind *const *kind = optim_family.kinds; *kind; kind++)
    for (const Option *option = (*kind)->options; option->name; option++) {
      if (option->kind != OPT_REAL && option->kind != OPT_BOOL) continue;
      int n = numbers_by_option(*kind, option, false, planned);
      assert_int_equal(numbers_by_option(*kind, option, true, naive), n);
      check_same(planned, naive, n);
      n_tried++;
    }
  assert_true(n_tried >= 20);
}

/* -- rules that make it hard ------------------------------------------------------- */

/* New values that are old ones, read old ones after these were replaced, or read all
 * elements of new ones: none of it may be seen, whatever is written in place. */
enum { BEFORE, AFTER, SPAN, SAME, N_HARD };
static const OptimSlot hard_slots[] = {[BEFORE] = {"before", NULL},
                                       [AFTER] = {"after", NULL},
                                       [SPAN] = {"span", NULL}, [SAME] = {"same", NULL},
                                       {0}};

static void hard_rule(const Optimizer *self, OptimUpdate *u) {
  (void)self;
  Graph *g = u->graph;
  Node *w = u->w, *before = u->slot[BEFORE];
  u->w = op_sub_product(g, w, u->lr, op_add(g, optim_gradient(u), before));
  u->slot[AFTER] = op_add(g, op_mul(g, w, u->lr), op_square(g, u->slot[AFTER]));
  u->slot[SPAN] = op_mul(g, u->slot[SPAN], op_norm(g, u->w, ALL_AXES, false));
  u->slot[SPAN] = op_add(g, u->slot[SPAN], u->g);
  u->slot[BEFORE] = w;
}

static const Option hard_options[] = {OPTIM_LR("0.1"),
                                      OPTIM_COMMON(OPTIM_COUPLED, "0")};
static const OptimKind hard_kind = {
    .kind = {OPTIM_RECORD(Optimizer), .name = "Hard", .options = hard_options,
             .doc = "Hard."},
    .slots = hard_slots, .rule = hard_rule};

TEST(a_rule_sees_old_values_whatever_it_writes_over) {
  Small s[3];
  double numbers[3][24];
  for (int way = 0; way < 3; way++) {
    small_open(&s[way], "SGD", way == 1, way == 2);
    s[way].graph.checked = true;
    object_release(s[way].optimizer);
    s[way].optimizer = (Optimizer *)object_new(&hard_kind.kind, &s[way].fault);
    for (int i = 0; i < 6; i++) {
      set_trouble(&s[way], FINE);
      Err err = small_step(&s[way]);
      if (err) fail_msg("%s", s[way].fault.text);
    }
    int n = small_numbers(&s[way], numbers[way]);
    assert_int_equal(n, 2 + 1 + 4 * 2 + 2);
    check_same(numbers[0], numbers[way], n);
  }
  for (int way = 0; way < 3; way++) small_close(&s[way]);
}

/* A rule's group is proved finite, as a fused update is: all of its values stay in
 * place. */
TEST(rules_are_proved_and_written_in_place) {
  static const char *const names[] = {"RMSprop", "Lion", "Adam", "SGD"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    Small s;
    small_open(&s, names[k], false, true);
    s.graph.checked = true;
    const void *data = NULL;
    for (int i = 0; i < 8; i++) {
      set_trouble(&s, FINE);
      assert_int_equal(small_step(&s), ERR_OK);
      assert_true(i < 2 || s.w->bounded == s.w->version);
      assert_true(i < 2 || node_value(s.w->current)->a.data == data);
      data = node_value(s.w->current)->a.data;
    }
    small_close(&s);
  }
}
