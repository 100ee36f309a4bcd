/* test_grad.c: the gradient of every op, on each of its samples.
 *
 *   L(x) = sum over outputs o of sum(c_o * y_o(x)),   c fixed and pseudo-random
 *   first:   dL/dx                 against central differences of L
 *   second:  d/d(x, c) of sum over i of sum(d_i * dL/dx_i), against central differences
 *            of dL/dx; through c also for ops that are linear in x
 *
 * |analytic - numeric| <= tolerance * max(1, |numeric|inf). An input without gradient
 * is an input whose differences are zero. Values are compared in the double build
 * alone; in both, gradients are equal bytes for any number of threads. Of a large input
 * a fixed choice of elements is probed. */
#include "graph/sample.h"
#include "graph/ops.h"

enum { MAX_LEAVES = MAX_SAMPLE_IN + MAX_OUT };

/* The variables of L: the real inputs, and the weights c of the real outputs. */
typedef struct Leaves {
  const Op *op;
  int k;
  int n_in, n_out;
  Tensor *in[MAX_SAMPLE_IN];
  Tensor *c[MAX_OUT]; /* NULL: that output is not real */
} Leaves;

static bool is_real_tensor(const Tensor *t) { return t && t->a.dtype == DT_REAL; }

/* Fixed weights in +-[0.5, 1.5]: list `purpose` of the op. */
static Tensor *weights(const Op *op, int k, const Shape *shape, const char *purpose) {
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, DT_REAL, shape, &fault);
  assert_non_null(t);
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double u = test_uniform(op, purpose, k, i);
    array_set(&t->a, i, u < 0.5 ? -0.5 - 2 * u : 2 * u - 0.5);
  }
  return t;
}

static void leaves_deinit(Leaves *l) {
  for (int i = 0; i < l->n_in; i++) tensor_release(l->in[i]);
  for (int o = 0; o < l->n_out; o++) tensor_release(l->c[o]);
}

/* `probe`: a node of the op, for the shapes of its outputs. */
static void leaves_init(Leaves *l, const Op *op, int k, const Node *probe) {
  char purpose[32];
  *l = (Leaves){.op = op, .k = k, .n_in = op->samples[k].n_in, .n_out = probe->n_out};
  for (int i = 0; i < l->n_in; i++) l->in[i] = sample_tensor(op, k, i);
  for (int o = 0; o < l->n_out; o++) {
    snprintf(purpose, sizeof purpose, "weight of output %d", o);
    if (probe->out_dtype[o] == DT_REAL)
      l->c[o] = weights(op, k, &probe->out_shape[o], purpose);
  }
}

/* dL/dx as nodes; x and c are tracked leaves, in `leaf`, real inputs first. */
typedef struct First {
  int n_x, n_leaves;
  Node *leaf[MAX_LEAVES];
  Node *grad[MAX_SAMPLE_IN];
} First;

static bool printed_fault(Graph *graph, const Leaves *l, const char *what) {
  Fault fault = {0};
  if (!graph_ok(graph, &fault)) return false;
  print_error("%s, sample %d: %s: %s\n", l->op->name, l->k + 1, what, fault.text);
  return true;
}

static Node *add_nodes(Graph *graph, Node *sum, Node *x) {
  return sum ? op_add(graph, sum, x) : x;
}

static bool first_gradient(First *f, Graph *graph, const Leaves *l) {
  const Sample *s = &l->op->samples[l->k];
  Node *in[MAX_SAMPLE_IN], *loss = NULL;
  *f = (First){0};
  for (int i = 0; i < l->n_in; i++) {
    in[i] = graph_const(graph, l->in[i]);
    if (is_real_tensor(l->in[i])) f->leaf[f->n_x++] = in[i] = graph_track(graph, in[i]);
  }
  f->n_leaves = f->n_x;
  Node *y = graph_apply(graph, l->op, in, l->n_in, s->attr, s->n_attr);
  for (int o = 0; y && o < l->n_out; o++) {
    if (!l->c[o]) continue;
    Node *c = f->leaf[f->n_leaves++] = graph_track(graph, graph_const(graph, l->c[o]));
    Node *picked = l->n_out > 1 ? graph_pick(graph, y, o) : y;
    loss = add_nodes(graph, loss,
                     op_sum(graph, op_mul(graph, picked, c), ALL_AXES, false));
  }
  if (loss) (void)!graph_grad(graph, loss, NULL, f->leaf, f->n_x, f->grad);
  return !printed_fault(graph, l, "gradient") && loss;
}

static bool evaluate(Graph *graph, const Leaves *l, Node *const *nodes, int n) {
  (void)!graph_eval(graph, nodes, n);
  return !printed_fault(graph, l, "evaluation");
}

/* Calls check(graph, leaves) for every sample of every op that has real inputs and
 * outputs and is not flagged; the test fails if one answers false. */
static void for_every_gradient(bool (*check)(Graph *graph, const Leaves *l)) {
  Graph graph;
  Fault fault = {0};
  int n_failed = 0;
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  graph.par.threshold = 1;
  for (int id = 0; id < N_OPS; id++) {
    const Op *op = op_table[id];
    if (!op_is_run(op) || (op->flags & OP_NO_GRAD)) continue;
    for (int k = 0; k < sample_count(op); k++) {
      int scope = graph_scope_begin(&graph);
      Tensor *in[MAX_SAMPLE_IN];
      bool any_x = false, any_y = false;
      for (int i = 0; i < op->samples[k].n_in; i++) {
        in[i] = sample_tensor(op, k, i);
        any_x = any_x || is_real_tensor(in[i]);
      }
      Node *probe = sample_node(&graph, op, k, in);
      for (int o = 0; probe && o < probe->n_out; o++)
        any_y = any_y || probe->out_dtype[o] == DT_REAL;
      for (int i = 0; i < op->samples[k].n_in; i++) tensor_release(in[i]);
      if (!probe) n_failed++;
      if (any_x && any_y) {
        Leaves l;
        leaves_init(&l, op, k, probe);
        if (!check(&graph, &l)) n_failed++;
        leaves_deinit(&l);
      }
      graph_scope_end(&graph, scope);
    }
  }
  graph_close(&graph);
  assert_int_equal(n_failed, 0);
}

/* -- equal bytes ------------------------------------------------------------------- */

static bool gradient_values(Graph *graph, const Leaves *l, int threads, Tensor **out,
                            int *n) {
  First f;
  bool good = first_gradient(&f, graph, l);
  graph->par.threads = threads;
  good = good && evaluate(graph, l, f.grad, f.n_x);
  graph->par.threads = 1;
  *n = good ? f.n_x : 0;
  for (int i = 0; i < *n; i++) out[i] = tensor_retain(node_value(f.grad[i]));
  return good;
}

static bool check_gradient_bytes(Graph *graph, const Leaves *l) {
  Tensor *one[MAX_SAMPLE_IN], *seven[MAX_SAMPLE_IN];
  int n_one, n_seven;
  bool good = gradient_values(graph, l, 1, one, &n_one);
  good = gradient_values(graph, l, 7, seven, &n_seven) && good;
  for (int i = 0; good && i < n_one; i++) {
    size_t n = array_bytes(&one[i]->a);
    good = n == array_bytes(&seven[i]->a) &&
           (n == 0 || !memcmp(one[i]->a.data, seven[i]->a.data, n));
    if (!good)
      print_error("%s, sample %d: other gradient bytes with 7 threads\n", l->op->name,
                  l->k + 1);
  }
  for (int i = 0; i < n_one; i++) tensor_release(one[i]);
  for (int i = 0; i < n_seven; i++) tensor_release(seven[i]);
  return good;
}

TEST(every_gradient_gives_equal_bytes_for_1_and_7_threads) {
  for_every_gradient(check_gradient_bytes);
}

/* -- values, in double ------------------------------------------------------------- */

#ifdef REAL_DOUBLE

enum { PROBES = 40, PROBES_SECOND = 12, PROBES_SECOND_LARGE = 4, LARGE = 4096 };
static const double step = 1e-5;

/* Element number p of the `n_probes` that are looked at, of n. */
static int64_t probed(const Leaves *l, int64_t n, int n_probes, int p) {
  if (n <= n_probes) return p;
  if (p == 0) return 0;
  if (p == 1) return n - 1;
  return (int64_t)(test_uniform(l->op, "probe", l->k, p) * (double)n);
}

/* Pairs (analytic, numeric) of one leaf. */
typedef struct Pairs {
  int n;
  double analytic[PROBES], numeric[PROBES];
} Pairs;

/* |analytic - numeric|inf / max(1, |numeric|inf) */
static double pairs_error(const Pairs *p) {
  double norm = 1, worst = 0;
  for (int i = 0; i < p->n; i++) norm = fmax(norm, fabs(p->numeric[i]));
  for (int i = 0; i < p->n; i++) {
    double error = fabs(p->analytic[i] - p->numeric[i]) / norm;
    if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
  }
  return worst;
}

/* sum of c * (plus - minus) over all outputs: small where little changes, so that the
 * difference of large sums loses nothing. */
static double weighted_change(const Leaves *l, const Direct *d, double *const *minus) {
  double sum = 0;
  for (int o = 0; o < l->n_out; o++) {
    const real *plus = d->out[o].data;
    if (!l->c[o]) continue;
    for (int64_t i = 0; i < tensor_count(l->c[o]); i++)
      sum += tensor_reals(l->c[o])[i] * (plus[i] - minus[o][i]);
  }
  return sum;
}

/* dL / d(element e of input i), by running the op's kernel twice. */
static double numeric_first(const Leaves *l, Direct *d, int i, int64_t e) {
  real *x = d->in[i].data, x0 = x[e];
  double *minus[MAX_OUT] = {0};
  x[e] = x0 - step;
  direct_run(d);
  for (int o = 0; o < l->n_out; o++) minus[o] = array_doubles(&d->out[o]);
  x[e] = x0 + step;
  direct_run(d);
  double width = x[e] - (x0 - step);
  double change = weighted_change(l, d, minus);
  x[e] = x0;
  for (int o = 0; o < l->n_out; o++) free(minus[o]);
  return change / width;
}

static bool close_enough(const Leaves *l, const char *what, int leaf,
                         const Pairs *pairs, double tolerance, double *worst) {
  double error = pairs_error(pairs);
  if (!(error <= *worst)) *worst = error;
  if (error <= tolerance) return true;
  print_error("%s, sample %d: %s gradient by leaf %d: off by %g, allowed %g\n",
              l->op->name, l->k + 1, what, leaf + 1, error, tolerance);
  for (int p = 0; p < pairs->n && p < 5; p++)
    print_error("    analytic %.12g, numeric %.12g\n", pairs->analytic[p],
                pairs->numeric[p]);
  return false;
}

static double worst_first[N_OPS], worst_second[N_OPS];

static int op_id(const Op *op) {
  int id = 0;
  while (op_table[id] != op) id++;
  return id;
}

static bool check_first(Graph *graph, const Leaves *l) {
  First f;
  if (!first_gradient(&f, graph, l) || !evaluate(graph, l, f.grad, f.n_x)) return false;
  Direct d;
  bool good = true;
  Node *node = sample_node(graph, l->op, l->k, l->in);
  direct_init(&d, node, l->in, l->n_in);
  for (int i = 0, leaf = 0; i < l->n_in; i++) {
    if (!is_real_tensor(l->in[i])) continue;
    const Tensor *g = node_value(f.grad[leaf]);
    int64_t n = tensor_count(l->in[i]);
    Pairs pairs = {.n = n < PROBES ? (int)n : PROBES};
    for (int p = 0; p < pairs.n; p++) {
      int64_t e = probed(l, n, PROBES, p);
      pairs.analytic[p] = array_get(&g->a, e);
      pairs.numeric[p] = numeric_first(l, &d, i, e);
    }
    good = close_enough(l, "first", leaf, &pairs, 1e-6, &worst_first[op_id(l->op)]) &&
           good;
    leaf++;
  }
  direct_deinit(&d);
  return good;
}

TEST(every_gradient_agrees_with_central_differences) {
  for_every_gradient(check_first);
  for (int id = 0; verbose() && id < N_OPS; id++)
    if (worst_first[id] > 0)
      print_message("%-28s gradient error %.2g\n", op_table[id]->name, worst_first[id]);
}

/* Leaf number j of First, as the tensor in which to move an element. */
static Tensor *leaf_tensor(const Leaves *l, int j) {
  for (int i = 0; i < l->n_in; i++)
    if (is_real_tensor(l->in[i]) && j-- == 0) return l->in[i];
  for (int o = 0; o < l->n_out; o++)
    if (l->c[o] && j-- == 0) return l->c[o];
  return NULL;
}

/* Returns new: dL/dx with element e of tensor `t` moved by `by`. */
static bool moved_gradients(Graph *graph, const Leaves *l, Tensor *t, int64_t e,
                            double by, Tensor **out, int *n) {
  real *x = tensor_reals(t), x0 = x[e];
  x[e] = x0 + by;
  int scope = graph_scope_begin(graph);
  bool good = gradient_values(graph, l, 1, out, n);
  graph_scope_end(graph, scope);
  x[e] = x0;
  return good;
}

static bool numeric_second(Graph *graph, const Leaves *l, Tensor *const *d, Tensor *t,
                           int64_t e, double *out) {
  Tensor *minus[MAX_SAMPLE_IN], *plus[MAX_SAMPLE_IN];
  int n_minus, n_plus;
  double sum = 0;
  bool good = moved_gradients(graph, l, t, e, -step, minus, &n_minus);
  good = moved_gradients(graph, l, t, e, step, plus, &n_plus) && good;
  for (int i = 0; good && i < n_plus; i++)
    for (int64_t k = 0; k < tensor_count(plus[i]); k++)
      sum += tensor_reals(d[i])[k] *
             (tensor_reals(plus[i])[k] - tensor_reals(minus[i])[k]);
  for (int i = 0; i < n_minus; i++) tensor_release(minus[i]);
  for (int i = 0; i < n_plus; i++) tensor_release(plus[i]);
  double x0 = tensor_reals(t)[e];
  *out = sum / ((x0 + step) - (x0 - step));
  return good;
}

/* sum over i of sum(d_i * grad_i), differentiated by all leaves. */
static bool second_gradient(First *f, Graph *graph, const Leaves *l, Tensor *const *d,
                            Node **out) {
  Node *sum = NULL;
  for (int i = 0; i < f->n_x; i++) {
    Node *term = op_mul(graph, f->grad[i], graph_const(graph, d[i]));
    sum = add_nodes(graph, sum, op_sum(graph, term, ALL_AXES, false));
  }
  if (sum) (void)!graph_grad(graph, sum, NULL, f->leaf, f->n_leaves, out);
  return !printed_fault(graph, l, "second gradient") && sum;
}

/* Weights for the elements of dL/dx; the caller releases them. */
static void second_weights(const Leaves *l, Tensor **d) {
  char purpose[32];
  int n = 0;
  for (int i = 0; i < l->n_in; i++) {
    if (!is_real_tensor(l->in[i])) continue;
    snprintf(purpose, sizeof purpose, "weight of gradient %d", i);
    d[n++] = weights(l->op, l->k, &l->in[i]->a.shape, purpose);
  }
}

static bool check_second(Graph *graph, const Leaves *l) {
  First f;
  Node *second[MAX_LEAVES];
  Tensor *d[MAX_SAMPLE_IN] = {0};
  if (!first_gradient(&f, graph, l)) return false;
  second_weights(l, d);
  bool good = second_gradient(&f, graph, l, d, second) &&
              evaluate(graph, l, second, f.n_leaves);
  for (int j = 0; good && j < f.n_leaves; j++) {
    Tensor *t = leaf_tensor(l, j);
    int64_t n = tensor_count(t);
    int probes = n > LARGE ? PROBES_SECOND_LARGE : PROBES_SECOND;
    Pairs pairs = {.n = n < probes ? (int)n : probes};
    for (int p = 0; good && p < pairs.n; p++) {
      int64_t e = probed(l, n, probes, p);
      pairs.analytic[p] = array_get(&node_value(second[j])->a, e);
      good = numeric_second(graph, l, d, t, e, &pairs.numeric[p]);
    }
    good = good &&
           close_enough(l, "second", j, &pairs, 1e-5, &worst_second[op_id(l->op)]);
  }
  for (int i = 0; i < f.n_x; i++) tensor_release(d[i]);
  return good;
}

TEST(every_gradient_of_a_gradient_agrees_with_central_differences) {
  for_every_gradient(check_second);
  for (int id = 0; verbose() && id < N_OPS; id++)
    if (worst_second[id] > 0)
      print_message("%-28s second gradient error %.2g\n", op_table[id]->name,
                    worst_second[id]);
}

#endif
