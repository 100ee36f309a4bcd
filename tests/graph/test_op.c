/* test_op.c: what every op promises, checked for each record of the table on each of
 * its samples: complete records, outputs that are written in full and nothing else,
 * values against the plain double reference and against the expansion, equal bytes for
 * any number of threads. Adding an op adds it here. */
#include "graph/sample.h"
#include "base/ints.h"

/* One sample of one op, with its node evaluated. */
typedef struct Case {
  const Op *op;
  int k;
  int n_in;
  Tensor *in[MAX_SAMPLE_IN];
  Graph *graph;
  Node *node; /* NULL: could not be made or computed; was printed */
} Case;

static bool case_init(Case *c, Graph *graph, const Op *op, int k) {
  *c = (Case){.op = op, .k = k, .n_in = op->samples[k].n_in, .graph = graph};
  for (int i = 0; i < c->n_in; i++) c->in[i] = sample_tensor(op, k, i);
  c->node = sample_node(graph, op, k, c->in);
  if (c->node && graph_eval(graph, &c->node, 1)) {
    print_error("%s, sample %d: %s\n", op->name, k + 1, graph->fault.text);
    fault_clear(&graph->fault);
    c->node = NULL;
  }
  return c->node != NULL;
}

static void case_deinit(Case *c) {
  for (int i = 0; i < c->n_in; i++) tensor_release(c->in[i]);
}

/* Calls check(case) for every sample of every op; the test fails if one answers
 * false. */
static void for_every_sample(int threads, bool (*check)(Case *c, void *ctx),
                             void *ctx) {
  Graph graph;
  Fault fault = {0};
  int n_failed = 0;
  assert_int_equal(graph_open(&graph, threads, 1, &fault), ERR_OK);
  graph.par.threshold = 1;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    for (int k = 0; op_is_run(op) && k < sample_count(op); k++) {
      int scope = graph_scope_begin(&graph);
      Case c;
      if (!case_init(&c, &graph, op, k) || !check(&c, ctx)) n_failed++;
      case_deinit(&c);
      graph_scope_end(&graph, scope);
    }
  }
  graph_close(&graph);
  assert_int_equal(n_failed, 0);
}

/* -- records ----------------------------------------------------------------------- */

static const char *missing_in_record(const Op *op) {
  if (!op->doc) return "doc";
  if (!op->equation) return "equation";
  if (!op->infer || !op->run) return "infer or run";
  if (sample_count(op) < 3) return "at least three samples";
  if (!op->vjp && !op->expand) return "vjp or expand";
  if (!op->scalar && !op->reference) return "scalar or reference";
  if ((op->flags & OP_ELEMENTWISE) && !op->scalar) return "scalar of an elementwise op";
  if ((op->flags & OP_NO_GRAD) && op->vjp != vjp_none) return "vjp_none of OP_NO_GRAD";
  if ((op->flags & OP_VIEW) && !op->view) return "view of OP_VIEW";
  if (!op->by_row != !op->run_rows) return "by_row or run_rows";
  return NULL;
}

TEST(every_record_is_complete) {
  int n_failed = 0;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    const char *missing = op_is_run(op) ? missing_in_record(op) : NULL;
    if (missing) print_error("%s: its record lacks %s\n", op->name, missing);
    n_failed += missing != NULL;
    for (int k = 0; k < N_OPS; k++) {
      const Op *other = op_table[k];
      bool twice = op != other && (strcmp(op->name, other->name) == 0 ||
                                   text_has_word(other->alias, op->name));
      if (twice) print_error("%s is a name of two ops\n", op->name);
      n_failed += twice;
    }
  }
  assert_int_equal(n_failed, 0);
}

/* -- what run writes --------------------------------------------------------------- */

static bool outputs_as_inferred(const Case *c) {
  for (int o = 0; o < c->node->n_out; o++) {
    const Tensor *t = c->node->value[o];
    if (shape_equal(&t->a.shape, &c->node->out_shape[o]) &&
        t->a.dtype == c->node->out_dtype[o])
      continue;
    print_error("%s, sample %d: output %d is not as inferred\n", c->op->name, c->k + 1,
                o);
    return false;
  }
  return true;
}

/* Junk in outputs, scratch and behind the inputs must not be seen, blocks run in any
 * order, and nothing is written but the outputs. */
static bool check_writes(Case *c, void *ctx) {
  (void)ctx;
  const char *wrong = NULL;
  Direct d;
  direct_init(&d, c->node, c->in, c->n_in);
  direct_run(&d);
  for (int o = 0; o < d.call.n_out; o++) {
    size_t n = array_bytes(&d.out[o]);
    if (n && memcmp(d.out[o].data, c->node->value[o]->a.data, n))
      wrong = "its result depends on what was in memory before, or on the order of "
              "blocks";
    if (!guarded_intact(d.out[o].data, n)) wrong = "it writes outside its output";
  }
  for (int i = 0; i < c->n_in; i++) {
    size_t n = array_bytes(&d.in[i]);
    if (n && memcmp(d.in[i].data, c->in[i]->a.data, n)) wrong = "it writes to an input";
    if (!guarded_intact(d.in[i].data, n)) wrong = "it writes around an input";
  }
  if (!guarded_intact(d.call.scratch, op_memory_bytes(&d.split, 1)))
    wrong = "it writes outside its scratch";
  direct_deinit(&d);
  if (wrong) print_error("%s, sample %d: %s\n", c->op->name, c->k + 1, wrong);
  return outputs_as_inferred(c) && !wrong;
}

TEST(the_attributes_of_every_sample_are_those_of_its_record) {
  for (int i = 0; i < N_OPS; i++)
    for (int k = 0; k < sample_count(op_table[i]); k++) {
      const Sample *s = &op_table[i]->samples[k];
      if (!attr_fit(op_table[i]->attrs, s->attr, s->n_attr))
        fail_msg("%s, sample %d", op_table[i]->name, k + 1);
    }
}

TEST(every_op_writes_all_of_its_outputs_and_nothing_else) {
  for_every_sample(1, check_writes, NULL);
}

/* -- values ------------------------------------------------------------------------ */

/* Largest |got - want| in units of eps max(1, |want|inf); infinite where one of them is
 * not finite and the other not the same, and where integers differ at all. */
static double error_units(const Array *got, const double *want) {
  double norm = 1, worst = 0;
  int64_t n = shape_count(&got->shape);
  for (int64_t i = 0; i < n; i++)
    if (isfinite(want[i])) norm = fmax(norm, fabs(want[i]));
  for (int64_t i = 0; i < n; i++) {
    double v = array_get(got, i);
    bool same = v == want[i] || (isnan(v) && isnan(want[i]));
    double error = same ? 0 : fabs(v - want[i]) / (REAL_EPS * norm);
    if (isnan(error) || (!same && got->dtype != DT_REAL)) error = INFINITY;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/* Element i of the (broadcast) result, as an element of an input. */
static int64_t broadcast_index(const Shape *in, const Shape *out, int64_t i) {
  int64_t flat = 0, stride = 1;
  for (int a = out->rank - 1; a >= 0; a--) {
    int b = a - (out->rank - in->rank);
    int64_t at = i % out->dim[a];
    i /= out->dim[a];
    if (b < 0) continue;
    if (in->dim[b] != 1) flat += at * stride;
    stride *= in->dim[b];
  }
  return flat;
}

static void reference_scalar(const Case *c, const double *const *in, double *out) {
  const Shape *shape = &c->node->out_shape[0];
  for (int64_t i = 0; i < shape_count(shape); i++) {
    double x[MAX_SAMPLE_IN];
    for (int k = 0; k < c->n_in; k++)
      x[k] = in[k][broadcast_index(&c->in[k]->a.shape, shape, i)];
    out[i] = c->op->scalar(x, c->node->attr);
  }
}

static void reference_values(const Case *c, double *const *out) {
  Array in_arrays[MAX_SAMPLE_IN], out_arrays[MAX_OUT];
  double *in[MAX_SAMPLE_IN] = {0};
  for (int i = 0; i < c->n_in; i++) {
    in[i] = array_doubles(&c->in[i]->a);
    in_arrays[i] = (Array){c->in[i]->a.shape, c->in[i]->a.dtype, NULL};
  }
  for (int o = 0; o < c->node->n_out; o++)
    out_arrays[o] = (Array){c->node->out_shape[o], c->node->out_dtype[o], NULL};
  OpCall call = {.op = c->op, .n_in = c->n_in, .n_out = c->node->n_out,
                 .n_attr = c->node->n_attr, .in = in_arrays, .out = out_arrays,
                 .attr = c->node->attr};
  if (c->op->scalar) reference_scalar(c, (const double *const *)in, out[0]);
  else c->op->reference(&call, (const double *const *)in, out);
  for (int i = 0; i < c->n_in; i++) free(in[i]);
}

static double tolerance_of(const Op *op) {
  return op->tolerance > 0 ? op->tolerance : 16;
}

/* Largest error against the reference so far, per op. */
typedef struct Worst {
  double units[N_OPS];
} Worst;

static int op_id(const Op *op) {
  int id = 0;
  while (op_table[id] != op) id++;
  return id;
}

static bool check_reference(Case *c, void *ctx) {
  Worst *worst = ctx;
  double *want[MAX_OUT] = {0}, units = 0;
  if (!c->op->scalar && !c->op->reference) return false;
  for (int o = 0; o < c->node->n_out; o++) {
    size_t n = (size_t)shape_count(&c->node->out_shape[o]);
    want[o] = malloc((n + 1) * sizeof(double));
    assert_non_null(want[o]);
    for (size_t i = 0; i < n; i++) want[o][i] = NAN;
  }
  reference_values(c, want);
  for (int o = 0; o < c->node->n_out; o++) {
    double error = error_units(&c->node->value[o]->a, want[o]);
    if (!(error <= tolerance_of(c->op))) {
      print_error("%s, sample %d, output %d: off by %g eps, allowed %g\n", c->op->name,
                  c->k + 1, o, error, tolerance_of(c->op));
    }
    if (!(error <= units)) units = error;
    free(want[o]);
  }
  double *seen = &worst->units[op_id(c->op)];
  if (!(units <= *seen)) *seen = units;
  return units <= tolerance_of(c->op);
}

TEST(every_op_agrees_with_its_double_reference) {
  static Worst worst;
  for_every_sample(1, check_reference, &worst);
  for (int id = 0; verbose() && id < N_OPS; id++)
    if (op_is_run(op_table[id]))
      print_message("%-28s %2d samples  error %7.2f of %4g eps\n", op_table[id]->name,
                    sample_count(op_table[id]), worst.units[id],
                    tolerance_of(op_table[id]));
}

static bool check_expansion(Case *c, void *ctx) {
  (void)ctx;
  if (!c->op->expand) return true;
  /* The evaluated node has forgotten its inputs: expand one that has not. */
  Node *fresh = sample_node(c->graph, c->op, c->k, c->in), *out[MAX_OUT] = {0};
  if (!fresh) return false;
  c->op->expand(c->graph, fresh, out);
  bool good = !c->graph->fault.code;
  for (int o = 0; good && o < c->node->n_out; o++) {
    Tensor *t = out[o] ? graph_value(c->graph, out[o]) : NULL;
    if (!t) continue;
    good = shape_equal(&t->a.shape, &c->node->out_shape[o]);
    double *want = array_doubles(&t->a);
    double error = good ? error_units(&c->node->value[o]->a, want) : INFINITY;
    good = error <= 4 * tolerance_of(c->op);
    if (!good)
      print_error("%s, sample %d, output %d: off by %g eps from its expansion\n",
                  c->op->name, c->k + 1, o, error);
    free(want);
  }
  Fault fault = {0};
  if (graph_ok(c->graph, &fault)) {
    print_error("%s, sample %d: expansion: %s\n", c->op->name, c->k + 1, fault.text);
    return false;
  }
  return good;
}

TEST(large_ops_agree_with_their_expansion) {
  for_every_sample(1, check_expansion, NULL);
}

/* -- threads ----------------------------------------------------------------------- */

/* Does the executor run it in several blocks? */
static bool several_blocks(Case *c, bool is_view) {
  if (is_view) return false;
  Array out[MAX_OUT], in[MAX_SAMPLE_IN];
  for (int i = 0; i < c->n_in; i++) in[i] = c->in[i]->a;
  for (int o = 0; o < c->node->n_out; o++) out[o] = c->node->value[o]->a;
  OpCall call = {.op = c->op, .n_in = c->n_in, .n_out = c->node->n_out,
                 .n_attr = c->node->n_attr, .in = in, .out = out,
                 .attr = c->node->attr};
  OpSplit split = split_of_call(&call);
  bool several = false;
  for (int phase = 0; phase < split.n_phases; phase++)
    several = several || (split.n_blocks[phase] > 1 && split.work >= split.n_phases);
  free(split.n_blocks);
  return several;
}

static bool check_threads(Case *c, void *ctx) {
  int *n_shared_ops = ctx;
  static const int threads[] = {2, 7};
  bool good = true;
  for (int t = 0; good && t < 2; t++) {
    Node *again = sample_node(c->graph, c->op, c->k, c->in);
    bool is_view = c->op->view && c->op->view(again) >= 0;
    int64_t n_shared = c->graph->par.n_shared;
    c->graph->par.threads = threads[t];
    good = !graph_eval(c->graph, &again, 1);
    c->graph->par.threads = 1;
    for (int o = 0; good && o < again->n_out; o++) {
      const Array *a = &again->value[o]->a;
      good = !array_bytes(a) ||
             !memcmp(a->data, c->node->value[o]->a.data, array_bytes(a));
    }
    if (!good)
      print_error("%s, sample %d: other bytes with %d threads\n", c->op->name, c->k + 1,
                  threads[t]);
    if (good && several_blocks(c, is_view)) {
      good = c->graph->par.n_shared > n_shared;
      *n_shared_ops += good;
      if (!good)
        print_error("%s, sample %d: %d threads, but one took all blocks\n", c->op->name,
                    c->k + 1, threads[t]);
    }
  }
  return good;
}

TEST(every_op_gives_equal_bytes_for_1_2_and_7_threads) {
  int n_shared = 0;
  for_every_sample(1, check_threads, &n_shared);
  assert_true(n_shared > 0);
}

/* -- rows -------------------------------------------------------------------------- */

/* Phase 0 by pieces of rows, the last one first; then the other phases. */
static void run_by_rows(const OpCall *call, const OpSplit *split, int64_t n_rows,
                        int64_t piece) {
  for (int64_t first = (n_rows - 1) / piece * piece; first >= 0; first -= piece)
    call->op->run_rows(call, first, least(piece, n_rows - first));
  for (int p = 1; p < split->n_phases; p++)
    for (int64_t b = 0; b < split->n_blocks[p]; b++) call->op->run(call, p, b);
}

static bool check_rows(Case *c, void *ctx) {
  OpByRow how = {.out = 1, .step = 1};
  const Node *like = sample_node(c->graph, c->op, c->k, c->in);
  if (!c->op->by_row || !c->op->by_row(like, &how)) return true;
  Array in[MAX_SAMPLE_IN], out[MAX_OUT];
  for (int i = 0; i < c->n_in; i++) in[i] = c->in[i]->a;
  bool good = true;
  for (int64_t pieces = 1; good && pieces <= 3; pieces++) {
    for (int o = 0; o < c->node->n_out; o++) {
      out[o] = c->node->value[o]->a;
      out[o].data = malloc(array_bytes(&out[o]) + 1);
      assert_non_null(out[o].data);
    }
    OpCall call = {.op = c->op, .n_in = c->n_in, .n_out = c->node->n_out,
                   .n_attr = c->node->n_attr, .in = in, .out = out,
                   .attr = c->node->attr};
    OpSplit split = split_of_call(&call);
    call.scratch = malloc(op_memory_bytes(&split, 1) + 1);
    assert_non_null(call.scratch);
    op_set_own(&call, &split);
    run_by_rows(&call, &split, c->node->shape.dim[0], pieces * how.step);
    for (int o = 0; o < c->node->n_out; o++) {
      good = good &&
             !memcmp(out[o].data, c->node->value[o]->a.data, array_bytes(&out[o]));
      free(out[o].data);
    }
    free(call.scratch);
    free(split.n_blocks);
    if (!good)
      print_error("%s, sample %d: other bytes by pieces of %d rows\n", c->op->name,
                  c->k + 1, (int)(pieces * how.step));
  }
  *(int *)ctx += good;
  return good;
}

TEST(every_op_by_rows_gives_equal_bytes_in_pieces_of_any_size) {
  int n_checked = 0;
  for_every_sample(1, check_rows, &n_checked);
  assert_true(n_checked > 5);
}

/* -- ranges of updates ------------------------------------------------------------- */

enum { RANGE_ROUNDS = 4000 };

/* A rate, decay or element of any size, also at the very ends of what a real can
 * hold. */
static double any_size(const Op *op, int round, int64_t i) {
#ifdef REAL_DOUBLE
  const double ends = 308;
#else
  const double ends = 38;
#endif
  double u = test_uniform(op, "size", round, 2 * i),
         s = test_uniform(op, "size", round, 2 * i + 1);
  if (s < 0.1) return 0;
  if (s < 0.2) return s < 0.15 ? 1 : -1;
  return (s < 0.6 ? 1 : -1) * pow(10, ends * (2 * u - 1) * (s < 0.8 ? 1 : 0.25));
}

static Range range_of(const Array *a) {
  Range range = {0, 0};
  for (int64_t i = 0; i < shape_count(&a->shape); i++) {
    double x = array_get(a, i);
    range.lo = x < range.lo ? x : range.lo;
    range.hi = x > range.hi ? x : range.hi;
  }
  return range;
}

/* Outputs lie where the record says, but for rounding. */
static bool holds(const Array *a, Range range) {
  for (int64_t i = 0; i < shape_count(&a->shape); i++) {
    double x = array_get(a, i);
    if (isfinite(x) && x >= range.lo * (1 + 1e-5) && x <= range.hi * (1 + 1e-5))
      continue;
    print_error("%.9g is not in [%.9g, %.9g]\n", x, range.lo, range.hi);
    return false;
  }
  return true;
}

static bool check_range(Case *c, void *ctx) {
  const Op *op = c->op;
  int *proved = ctx;
  if (!op->range || shape_count(&c->in[0]->a.shape) > 40) return true;
  bool right = true;
  for (int round = 0; right && round < RANGE_ROUNDS; round++) {
    Direct d;
    Range in[MAX_SAMPLE_IN], out[MAX_OUT];
    int64_t n = 0;
    direct_init(&d, c->node, c->in, op->samples[c->k].n_in);
    for (int i = 0; i < d.call.n_in; i++) {
      bool real_ones = d.in[i].dtype == DT_REAL; /* integers stay the sample's */
      for (int64_t e = 0; real_ones && e < shape_count(&d.in[i].shape); e++)
        array_set(&d.in[i], e, any_size(op, round, n++));
      in[i] = range_of(&d.in[i]);
    }
    op->range(&d.call, in, out);
    direct_run(&d);
    for (int o = 0; o < d.call.n_out; o++) {
      if (!range_known(out[o])) continue;
      ++*proved;
      right = right && holds(&d.out[o], out[o]);
    }
    direct_deinit(&d);
  }
  return right;
}

TEST(results_of_updates_lie_where_their_records_say) {
  int proved = 0;
  for_every_sample(1, check_range, &proved);
  assert_true(proved > RANGE_ROUNDS);
}

/* -- steps of expressions ---------------------------------------------------------- */

enum { STEP_ELEMENTS = 2 * EXPRESSION_BLOCK + 3 };

/* By the record's tile, and by an expression of the step alone; input k is a number
 * where bit k of `numbers` is set. */
static void run_step(const Op *op, unsigned numbers, real in[][STEP_ELEMENTS],
                     real *tile, real *expression) {
  OpCall call = {.op = op, .n_in = op->n_in, .n_out = 1, .attr = op->samples[0].attr,
                 .n_attr = op->samples[0].n_attr};
  ExpressionStep step = op_step(&call);
  const real *inputs[EXPRESSION_OPERANDS];
  int64_t stride[EXPRESSION_OPERANDS];
  real *stream[EXPRESSION_OPERANDS + 1] = {expression}, number[EXPRESSION_OPERANDS];
  Expression e = {.steps = &step, .n_steps = 1, .n_streams = 1};
  for (int k = 0; k < op->n_in; k++) {
    inputs[k] = in[k];
    stride[k] = !(numbers >> k & 1);
    if (stride[k]) stream[step.in[k] = e.n_streams++] = in[k];
  }
  for (int k = 0; k < op->n_in; k++) {
    if (stride[k]) continue;
    step.in[k] = e.n_streams + e.n_numbers;
    number[e.n_numbers++] = in[k][0];
  }
  e.n_registers = e.n_streams + e.n_numbers;
  op->tile(&call, tile, inputs, stride, STEP_ELEMENTS);
  kernels()->expression(&e, stream, number, STEP_ELEMENTS);
}

/* Of NaNs either may be kept. */
static bool same_real(real a, real b) {
  return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

TEST(every_step_of_an_expression_gives_the_bytes_of_its_op) {
  static real in[EXPRESSION_OPERANDS][STEP_ELEMENTS], tile[STEP_ELEMENTS],
      expression[STEP_ELEMENTS];
  static const real special[] = {0, (real)-0.0, INFINITY, -INFINITY, NAN};
  int n_ops = 0;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    if (!op->step) continue;
    n_ops++;
    assert_true(op->n_in <= EXPRESSION_OPERANDS);
    for (int k = 0; k < op->n_in; k++)
      for (int i = 0; i < STEP_ELEMENTS; i++) {
        double u = test_uniform(op, "step", k, i);
        in[k][i] = i % 17 == 3 + k ? special[i / 17 % 5]
                                   : (real)sample_value(&op->samples[0].in[k], u);
      }
    for (unsigned numbers = 0; numbers < (1u << op->n_in) - 1; numbers++) {
      run_step(op, numbers, in, tile, expression);
      for (int i = 0; i < STEP_ELEMENTS; i++)
        if (!same_real(tile[i], expression[i]))
          fail_msg("%s: element %d is %g, wanted %g", op->name, i,
                   (double)expression[i], (double)tile[i]);
    }
  }
  assert_true(n_ops >= 20);
}
