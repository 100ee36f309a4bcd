/* test_loops.c: each loop of loop.def is the rule of an optimizer, with the options of
 * a sample or with clipping and weight decay, and gives the bytes of its steps. With
 * the environment variable LOOPS, all lines that loop.def may have are printed. */
#include "base/sys.h"
#include "base/text.h"
#include "graph/plan_private.h"
#include "kernel/kernel.h"
#include "nn/optim.h"
#include "test.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const char *const step_names[] = {
    "none",
#define STEP(name, value) #name,
#include "kernel/step.def"
#undef STEP
};

static const char *const loop_names[] = {
    "none",
#define LOOP(name, ...) #name,
#include "kernel/loop.def"
#undef LOOP
};

enum { N_LOOPS = 0
#define LOOP(...) +1
#include "kernel/loop.def"
#undef LOOP
};

enum { ROWS = 30, COLUMNS = 40, MOST = 24, SIZE = 3 * EXPRESSION_BLOCK + 7 };

static int n_used[N_LOOPS + 1];

/* -- one expression ---------------------------------------------------------------- */

static void print_operand(Text *out, int in) {
  static const char letters[] = {'L', 'N', 'V'};
  if (in == 0) text_add(out, ", NONE");
  else
    text_addf(out, ", %c(%d)", letters[(in - 1) / EXPRESSION_REGISTERS],
              (in - 1) % EXPRESSION_REGISTERS);
}

/* What follows the name in loop.def. */
static void print_steps(Text *out, const Expression *e) {
  LoopStep steps[EXPRESSION_STEPS];
  bool read[EXPRESSION_REGISTERS + 1] = {false};
  expression_as_loop(e, steps);
  for (int k = 0; k < e->n_steps; k++)
    for (int i = 0; i < EXPRESSION_OPERANDS; i++)
      if (steps[k].in[i] <= e->n_streams) read[steps[k].in[i]] = true;
  text_add(out, ",\n    ");
  for (int j = 1; j <= e->n_streams; j++)
    if (read[j]) text_addf(out, " READ(%d)", j - 1);
  for (int k = 0; k < e->n_steps; k++) {
    const LoopStep *s = &steps[k];
    text_addf(out, "%s\n     %s(%d, %s", k ? "" : ",", s->stream ? "WRITE" : "STEP", k,
              step_names[s->op]);
    for (int i = 0; i < EXPRESSION_OPERANDS; i++) print_operand(out, s->in[i]);
    if (s->stream) text_addf(out, ", %d", s->stream - 1);
    text_add(out, ")");
  }
  text_add(out, ")\n");
}

/* A line of loop.def, where no other has these steps. */
static void print_line(const Expression *e, const char *kind, const char *sample) {
  static Text printed;
  static int n_printed;
  Text steps = {0};
  print_steps(&steps, e);
  if (!printed.data || !strstr(printed.data, steps.data)) {
    text_addf(&printed, "%s", steps.data);
    printf("LOOP(%s_%d%s", kind, ++n_printed, steps.data);
    printf("     /* %s */\n", sample);
  }
  text_deinit(&steps);
}

/* Values of both signs and many sizes, zeros among them. */
static void fill(real (*x)[SIZE + 1], int n) {
  for (int j = 0; j < n; j++)
    for (int i = 0; i <= SIZE; i++) {
      int at = (j * 31 + i * 7) % 97;
      x[j][i] = at % 11 == 0 ? 0 : (real)ldexp(at - 48, at % 13 - 9);
    }
}

static void check_bytes(const Kernels *k, const Expression *e, int64_t n, bool zeros) {
  static real whole[EXPRESSION_REGISTERS][SIZE + 1],
      single[EXPRESSION_REGISTERS][SIZE + 1];
  real *in[EXPRESSION_REGISTERS], *out[EXPRESSION_REGISTERS];
  real number[EXPRESSION_REGISTERS];
  Expression steps = *e;
  steps.loop = 0;
  fill(whole, e->n_streams);
  fill(single, e->n_streams);
  for (int j = 0; j < e->n_streams; j++) in[j] = single[j], out[j] = whole[j];
  for (int j = 0; j < e->n_numbers; j++) number[j] = zeros ? 0 : (real)(0.75 - 0.3 * j);
  k->expression(&steps, in, number, n);
  k->expression(e, out, number, n);
  for (int j = 0; j < e->n_streams; j++)
    for (int i = 0; i <= SIZE; i++) {
      bool none = whole[j][i] != whole[j][i] && single[j][i] != single[j][i];
      if (!none) assert_memory_equal(&whole[j][i], &single[j][i], sizeof(real));
    }
}

static void check_expression(const Expression *e, const char *kind,
                             const char *sample) {
  static const int64_t sizes[] = {0, 1, 3, 8, 31, EXPRESSION_BLOCK, SIZE};
  if (getenv("LOOPS")) print_line(e, kind, sample);
  n_used[e->loop]++;
  for (SimdLevel level = 0; e->loop && level <= simd_level(); level++)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
      for (int zeros = 0; zeros < 2; zeros++)
        check_bytes(tables[level], e, sizes[s], zeros);
}

/* -- rules ------------------------------------------------------------------------- */

typedef struct Rule {
  Graph graph;
  Fault fault;
  Optimizer *optimizer;
  Variable *w, *slot[MOST];
  Node *number[2 * MOST], *root[1 + MOST];
  OptimNumbers numbers;
} Rule;

/* Of a vector or a matrix, which may have different rules. */
static Node *values(Graph *g, bool vector) {
  static const double zeros[ROWS * COLUMNS];
  Shape shape = vector ? SHAPE_OF(ROWS * COLUMNS) : SHAPE_OF(ROWS, COLUMNS);
  return graph_from_doubles(g, DT_REAL, &shape, zeros);
}

static void emit(Rule *r, bool vector) {
  Graph *g = &r->graph;
  Optimizer *opt = r->optimizer;
  bool grouped = false;
  r->w = variable_new("w", &r->fault);
  assert_false(variable_assign(g, r->w, values(g, vector)));
  assert_false(optimizer_slots(g, opt, &r->w, 1, r->slot));
  assert_false(optim_numbers_init(&r->numbers, opt, &r->w, 1, &r->fault));
  assert_false(optimizer_begin(opt, &r->w, &r->numbers, &grouped, &r->fault));
  assert_true(grouped && r->numbers.n <= 2 * MOST);
  for (int i = 0; i < r->numbers.n; i++)
    r->number[i] = graph_scalar(g, r->numbers.value[i]);
  Node *gradient = values(g, vector);
  assert_false(optimizer_emit(g, opt, &r->numbers, r->number, NULL, &r->w, r->slot,
                              &gradient, r->root, r->root + 1));
}

static void check_rule(const Kind *kind, const char *sample, bool vector) {
  Rule r = {0};
  assert_false(graph_open(&r.graph, 1, 1, &r.fault));
  r.optimizer = optimizer_of_sample(kind, sample, &r.fault);
  assert_non_null(r.optimizer);
  int n_slots = optimizer_slots_each(r.optimizer);
  assert_true(n_slots <= MOST);
  emit(&r, vector);
  Plan *plan = plan_new(&r.graph, r.root, 1 + n_slots);
  assert_non_null(plan);
  for (int i = 0; i < plan->n_items; i++) {
    const PlanItem *item = &plan->items[i];
    bool large = shape_count(&item->members[0].call->out[0].shape) > 1;
    if (item->expression && large)
      check_expression(&item->expression->steps, kind->name, sample);
  }
  plan_free(plan);
  optim_numbers_deinit(&r.numbers);
  variable_release(r.w);
  object_release(r.optimizer);
  graph_close(&r.graph);
}

static void check_samples(const Kind *kind, const char *const *sample) {
  for (; *sample; sample++)
    for (int vector = 0; vector < 2; vector++) check_rule(kind, *sample, vector);
}

TEST(each_loop_is_the_rule_of_an_optimizer_and_gives_its_bytes) {
  static const char *const common[] = {"clipnorm=1", "weight_decay=0.01",
                                       "clipnorm=1 weight_decay=0.01", NULL};
  for (const Kind *const *kind = optim_family.kinds; *kind; kind++) {
    if (((const OptimKind *)*kind)->joint) continue; /* no pass over one parameter */
    check_samples(*kind, ((const OptimKind *)*kind)->samples);
    check_samples(*kind, common);
  }
  for (int i = 1; i <= N_LOOPS; i++)
    if (!n_used[i])
      fail_msg("%s of loop.def is no rule; LOOPS=1 prints all", loop_names[i]);
}
