/* Optimizers against the recurrences worked by hand on f(w) = w^2 / 2, so that g = w.
 */
#include "options.h"
#include "test.h"
#include "graph/ops.h"
#include "nn/optim.h"

static Graph graph;
static Fault fault;
static Variable *param;

enum { MOST = 8 }; /* slots of a parameter; numbers of a step */

static Optimizer *begin(const char *name, double w0, double w1) {
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  param = variable_new("w", &fault);
  double w[] = {w0, w1};
  Node *value = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(2), w);
  assert_int_equal(variable_assign(&graph, param, value), ERR_OK);
  Optimizer *opt = (Optimizer *)family_make(&optim_family, name, &fault);
  assert_non_null(opt);
  return opt;
}

/* An option of the kind, as a script sets it. */
static void set_option(Optimizer *opt, const char *name, double value) {
  const Option *option = option_find(opt->object.kind, name, &fault);
  assert_non_null(option);
  Err err = option->kind == OPT_BOOL
                ? give_bool(&opt->object, option, value != 0, &fault)
                : give_number(&opt->object, option, value, &fault);
  if (err) fail_msg("%s", fault.text);
}

static void end(Optimizer *opt) {
  object_release(opt);
  variable_release(param);
  graph_close(&graph);
}

static void step(Optimizer *opt) {
  Node *w = variable_read(&graph, param);
  Node *loss = op_scale(&graph, op_sum(&graph, op_square(&graph, w), ALL_AXES, false),
                        0.5);
  Node *grad;
  assert_int_equal(graph_grad(&graph, loss, NULL, &w, 1, &grad), ERR_OK);
  Node *number[MOST], *new_w = NULL, *new_slot[MOST];
  Variable *slot[MOST];
  OptimNumbers numbers;
  int n_slots = optimizer_slots_each(opt);
  bool grouped = false;
  assert_true(n_slots <= MOST);
  if (optimizer_slots(&graph, opt, &param, 1, slot)) fail_msg("%s", graph.fault.text);
  if (optim_numbers_init(&numbers, opt, &param, 1, &fault) ||
      optimizer_begin(opt, &param, &numbers, &grouped, &fault))
    fail_msg("%s", fault.text);
  assert_true(grouped);
  assert_true(numbers.n <= MOST);
  for (int i = 0; i < numbers.n; i++)
    number[i] = graph_scalar(&graph, numbers.value[i]);
  if (optimizer_emit(&graph, opt, &numbers, number, NULL, &param, slot, &grad, &new_w,
                     new_slot))
    fail_msg("%s", graph.fault.text);
  optimizer_count(opt, &param, 1, 1);
  optim_numbers_deinit(&numbers);
  assert_int_equal(variable_assign(&graph, param, new_w), ERR_OK);
  for (int i = 0; i < n_slots; i++)
    assert_int_equal(variable_assign(&graph, slot[i], new_slot[i]), ERR_OK);
}

static double w_at(int i) {
  return array_get(&graph_value(&graph, param->current)->a, i);
}

TEST(sgd_plain_momentum_and_nesterov) {
  for (int kind = 0; kind < 3; kind++) {
    Optimizer *opt = begin("SGD", 2, -1);
    opt->lr = 0.1;
    double momentum = kind ? 0.9 : 0;
    set_option(opt, "momentum", momentum);
    set_option(opt, "nesterov", kind == 2);
    double w = 2, v = 0;
    for (int i = 0; i < 5; i++) {
      step(opt);
      double g = w;
      v = momentum * v + g;
      w -= 0.1 * (kind == 2 ? g + 0.9 * v : v);
      CHECK_NEAR(w_at(0), w, 1e-5);
      CHECK_NEAR(w_at(1), -w / 2, 1e-5);
    }
    assert_int_equal(opt->t, 5);
    assert_int_equal(opt->n_slots, kind ? 1 : 0);
    end(opt);
  }
}

TEST(sgd_weight_decay_is_coupled) {
  Optimizer *opt = begin("sgd", 2, 0);
  opt->lr = 0.5;
  opt->weight_decay = 0.2;
  step(opt);
  CHECK_NEAR(w_at(0), 2 - 0.5 * (2 + 0.2 * 2), 1e-6);
  end(opt);
}

TEST(adam_and_adamw) {
  for (int decoupled = 0; decoupled < 2; decoupled++) {
    Optimizer *opt = begin(decoupled ? "AdamW" : "Adam", 2, -1);
    opt->lr = 0.1;
    opt->weight_decay = 0.01;
    double w = 2, m = 0, v = 0;
    for (int t = 1; t <= 6; t++) {
      step(opt);
      double g = decoupled ? w : w + 0.01 * w;
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      double move = 0.1 * (m / (1 - pow(0.9, t))) /
                    (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
      w -= move + (decoupled ? 0.1 * 0.01 * w : 0);
      CHECK_NEAR(w_at(0), w, 2e-5);
    }
    end(opt);
  }
}

TEST(clipping) {
  Optimizer *opt = begin("SGD", 3, -4);
  opt->lr = 1;
  opt->clipvalue = 1;
  step(opt);
  CHECK_NEAR(w_at(0), 2, 1e-6);
  CHECK_NEAR(w_at(1), -3, 1e-6);
  end(opt);
  for (int global = 0; global < 2; global++) {
    opt = begin("SGD", 3, -4);
    opt->lr = 1;
    *(global ? &opt->global_clipnorm : &opt->clipnorm) = 1;
    step(opt);
    CHECK_NEAR(w_at(0), 3 - 0.6, 1e-5);
    CHECK_NEAR(w_at(1), -4 + 0.8, 1e-5);
    end(opt);
  }
  opt = begin("SGD", 0, 0);
  opt->lr = 1;
  opt->clipnorm = 1;
  step(opt);
  CHECK_NEAR(w_at(0), 0, 0);
  end(opt);
}

/* An option; a NULL name ends a list. */
typedef struct Setting {
  const char *name;
  double value;
} Setting;

TEST(negative_rate_is_refused) {
  Optimizer *opt = begin("Adam", 0, 0);
  const Option *lr = option_find(opt->object.kind, "learning_rate", &fault);
  assert_int_equal(give_number(&opt->object, lr, -0.1, &fault), ERR_VALUE);
  fault_clear(&fault);
  assert_int_equal(give_number(&opt->object, lr, NAN, &fault), ERR_VALUE);
  end(opt);
}

TEST(epoch_schedule_outside_fit_is_refused) {
  Optimizer *opt = begin("SGD", 1, 1);
  opt->schedule = (Schedule *)family_make(&schedule_family, "constant", &fault);
  OptimNumbers numbers;
  bool grouped;
  assert_int_equal(optim_numbers_init(&numbers, opt, &param, 1, &fault), ERR_OK);
  assert_int_equal(optimizer_begin(opt, &param, &numbers, &grouped, &fault), ERR_VALUE);
  assert_int_equal(opt->t, 0);
  optim_numbers_deinit(&numbers);
  assert_non_null(strstr(fault.text, "per = \"step\""));
  fault_clear(&fault);
  opt->schedule->per = PER_STEP;
  step(opt);
  CHECK_NEAR(w_at(0), 0.99, 1e-6);
  end(opt);
}

/* -- rules ------------------------------------------------------------------------- */

/* Many elements, so that all of a kernel's code runs: tails, full vectors. */
enum { MANY = 1003 };

static void give_many(double size) {
  static double w[MANY];
  for (int i = 0; i < MANY; i++) w[i] = size * ((i * 37 % 101) / 50.0 - 1.01);
  Node *value = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(MANY), w);
  variable_release(param);
  param = variable_new("w", &fault);
  assert_int_equal(variable_assign(&graph, param, value), ERR_OK);
}

/* Values of the parameter, then of its slots, after so many steps. */
static int after_steps(const Kind *kind, const Setting *settings, bool by_rule,
                       real out[4][MANY]) {
  Optimizer *opt = begin(kind->name, 0, 0);
  OptimKind plain = *(const OptimKind *)kind;
  plain.fused = NULL;
  give_many(2);
  if (by_rule) opt->object.kind = &plain.kind;
  for (int k = 0; settings[k].name; k++)
    if (option_named(kind, settings[k].name))
      set_option(opt, settings[k].name, settings[k].value);
  for (int t = 0; t < 9; t++) step(opt);
  const Variable *v[4] = {param};
  int n = 1;
  for (int s = 0; optimizer_slot_at(opt, s); s++) {
    v[n] = optimizer_slot(opt, param, s);
    n += v[n] != NULL;
  }
  for (int i = 0; i < n; i++)
    memcpy(out[i], graph_value(&graph, v[i]->current)->a.data, sizeof out[i]);
  opt->object.kind = kind;
  end(opt);
  return n;
}

TEST(a_fused_update_gives_the_bytes_of_its_rule) {
  static const Setting settings[][6] = {
      {{"lr", 0.05}, {0}},
      {{"lr", 0.05}, {"momentum", 0.9}, {"weight_decay", 0.02}, {0}},
      {{"lr", 0.05}, {"momentum", 0.8}, {"nesterov", 1}, {"clipnorm", 0.5}, {0}},
      {{"lr", 0.05}, {"weight_decay", 0.1}, {"global_clipnorm", 2}, {"beta1", 0.7},
       {"eps", 1e-3}, {0}}};
  static real fused[4][MANY], ruled[4][MANY];
  int n_tried = 0;
  for (const Kind *const *kind = optim_family.kinds; *kind; kind++)
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
      if (!((const OptimKind *)*kind)->fused) continue;
      int n = after_steps(*kind, settings[k], false, fused);
      assert_int_equal(after_steps(*kind, settings[k], true, ruled), n);
      for (int i = 0; i < n; i++)
        assert_memory_equal(fused[i], ruled[i], sizeof fused[i]);
      n_tried++;
    }
  assert_true(n_tried >= 12);
}

/* s of Hinton, m and the velocity of Graves, worked in double. */
static void check_rmsprop(double momentum, bool centered, double decay) {
  Optimizer *opt = begin("rmsprop", 2, -1);
  set_option(opt, "lr", 0.02);
  set_option(opt, "alpha", 0.8);
  set_option(opt, "eps", 1e-3);
  set_option(opt, "momentum", momentum);
  set_option(opt, "centered", centered);
  set_option(opt, "weight_decay", decay);
  double w = 2, s = 0, m = 0, v = 0;
  for (int t = 0; t < 60; t++) {
    step(opt);
    double g = w + decay * w;
    s = 0.8 * s + 0.2 * g * g;
    m = 0.8 * m + 0.2 * g;
    double spread = centered ? s - m * m : s;
    v = momentum * v + g / (sqrt(spread > 0 ? spread : 0) + 1e-3);
    w -= 0.02 * v;
    CHECK_NEAR(w_at(0), w, 2e-4 * fabs(w) + 2e-4);
  }
  assert_int_equal(optimizer_slots_each(opt), 1 + centered + (momentum != 0));
  end(opt);
}

TEST(rmsprop) {
  for (int k = 0; k < 8; k++) check_rmsprop(k & 1 ? 0.5 : 0, k & 2, k & 4 ? 0.1 : 0);
}

/* Of equal gradients the variance is 0: no root of what rounding makes of it. */
TEST(centered_rmsprop_stays_finite_under_a_constant_gradient) {
  Optimizer *opt = begin("RMSprop", 1, 1);
  set_option(opt, "centered", 1);
  set_option(opt, "lr", 0);
  for (int t = 0; t < 300; t++) step(opt);
  assert_true(w_at(0) == 1);
  end(opt);
}

TEST(lion) {
  Optimizer *opt = begin("Lion", 2, 0);
  set_option(opt, "lr", 0.06);
  set_option(opt, "weight_decay", 0.1);
  double w = 2, m = 0;
  for (int t = 0; t < 60; t++) {
    step(opt);
    double c = 0.9 * m + 0.1 * w, g = w;
    m = 0.99 * m + 0.01 * g;
    w -= 0.06 * ((c > 0) - (c < 0) + 0.1 * w);
    CHECK_NEAR(w_at(0), w, 1e-4);
    assert_true(w_at(1) == 0); /* no gradient, no momentum: no step */
  }
  end(opt);
}
