/* optim_lbfgs.c: L-BFGS: steps along the inverse Hessian that the last steps and the
 * changes of the gradient over them suggest, of all parameters together.
 *
 * One gradient a step, as torch.optim.LBFGS does it with max_iter = 1: no search along
 * the line, so the rate has to fit. Pairs that are not there yet are zeros, whose share
 * in all sums is 0: every step has the same structure. */
#include "graph/ops.h"
#include "nn/optim.h"
#include <math.h>
#include <stdlib.h>

enum { MOST_PAIRS = 10 };

typedef struct Lbfgs {
  Optimizer base;
  int64_t history;
} Lbfgs;

static const Option options[] = {
    OPTIM_LR("1"),
    {.name = "history", .kind = OPT_INT, .offset = offsetof(Lbfgs, history),
     .value = "10", .alias = "history_size", .lo = 1, .hi = MOST_PAIRS,
     .doc = "pairs of a step and a change of the gradient that are kept (PyTorch: "
            "100)"},
    OPTIM_COMMON(OPTIM_COUPLED, "0")};

/* The last gradient and step; then the pairs, the newest first. */
enum { GRADIENT, STEP, PAIRS };
static int step_of(int64_t k) { return PAIRS + 2 * (int)k; }
static int change_of(int64_t k) { return PAIRS + 2 * (int)k + 1; }

#define PAIR(n)                                                                        \
  static bool wants_##n(const Optimizer *self) {                                       \
    return ((const Lbfgs *)self)->history >= (n);                                      \
  }
PAIR(1)
PAIR(2)
PAIR(3)
PAIR(4)
PAIR(5)
PAIR(6)
PAIR(7)
PAIR(8)
PAIR(9)
PAIR(10)
#undef PAIR
#define PAIR(n)                                                                        \
  {"step" #n, wants_##n}, { "change" #n, wants_##n }
static const OptimSlot slots[] = {[GRADIENT] = {"gradient", NULL},
                                  [STEP] = {"step", NULL},
                                  PAIR(1), PAIR(2), PAIR(3), PAIR(4), PAIR(5),
                                  PAIR(6), PAIR(7), PAIR(8), PAIR(9), PAIR(10),
                                  {0}};

static double is_first(const Optimizer *self, double t) {
  (void)self;
  return t == 1;
}
enum { FIRST };
static const OptimNumber numbers[] = {[FIRST] = {.value = is_first, .counted = true},
                                      {0}};

/* -- vectors of all parameters ----------------------------------------------------- */

typedef struct Whole {
  Graph *graph;
  OptimUpdate *const *u;
  int n;
} Whole;

/* What is made next belongs to the rule of parameter i. */
static Graph *in_rule(const Whole *w, int i) {
  w->graph->rule = w->u[i]->rule;
  return w->graph;
}

static Node *dot(const Whole *w, Node *const *x, Node *const *y) {
  Node *sum = NULL;
  for (int i = 0; i < w->n; i++) {
    Graph *g = in_rule(w, i);
    Node *own = op_sum(g, op_mul(g, x[i], y[i]), ALL_AXES, false);
    sum = sum ? op_add(g, sum, own) : own;
  }
  return sum;
}

/* x <- x + a y */
static void add(const Whole *w, Node **x, Node *a, Node *const *y) {
  for (int i = 0; i < w->n; i++) x[i] = op_add_product(in_rule(w, i), x[i], a, y[i]);
}

/* x / y where y is above 0, else `other`. */
static Node *quotient(Graph *g, Node *x, Node *y, double other) {
  Node *some = op_gt(g, y, graph_scalar(g, 0));
  Node *safe = op_where(g, some, y, graph_scalar(g, 1));
  return op_where(g, some, op_div(g, x, safe), graph_scalar(g, other));
}

/* -- one step ---------------------------------------------------------------------- */

/* Of each parameter: gradient and direction, the pairs. */
typedef struct Vectors {
  int64_t n_pairs;
  Node **gradient, **direction, **change, **last;
  Node **s[MOST_PAIRS], **y[MOST_PAIRS];
} Vectors;

static bool vectors_init(Vectors *v, const Whole *w, int64_t n_pairs) {
  must(n_pairs > 0 && n_pairs <= MOST_PAIRS);
  size_t n = (size_t)w->n, n_lists = 4 + 2 * (size_t)n_pairs;
  Node **room = calloc(n * n_lists, sizeof(Node *));
  *v = (Vectors){.n_pairs = n_pairs, .gradient = room};
  if (!room) {
    fault_memory(&w->graph->fault, n * n_lists * sizeof(Node *));
    return false;
  }
  v->direction = room + n;
  v->change = room + 2 * n;
  v->last = room + 3 * n;
  for (int64_t k = 0; k < n_pairs; k++) {
    v->s[k] = room + (4 + 2 * (size_t)k) * n;
    v->y[k] = v->s[k] + n;
  }
  return true;
}

/* The last step joins the pairs where the gradient has grown along it; then the oldest
 * goes. */
static void take_pair(const Whole *w, Vectors *v) {
  for (int i = 0; i < w->n; i++) {
    Graph *g = in_rule(w, i);
    v->gradient[i] = optim_gradient(w->u[i]);
    v->change[i] = op_sub(g, v->gradient[i], w->u[i]->slot[GRADIENT]);
    v->last[i] = w->u[i]->slot[STEP];
  }
  Node *least = graph_scalar(w->graph, 1e-10);
  Node *joins = op_gt(w->graph, dot(w, v->change, v->last), least);
  for (int i = 0; i < w->n; i++) {
    Graph *g = in_rule(w, i);
    Node **slot = w->u[i]->slot;
    for (int64_t k = 0; k < v->n_pairs; k++) {
      Node *s = k ? slot[step_of(k - 1)] : v->last[i];
      Node *y = k ? slot[change_of(k - 1)] : v->change[i];
      v->s[k][i] = op_where(g, joins, s, slot[step_of(k)]);
      v->y[k][i] = op_where(g, joins, y, slot[change_of(k)]);
    }
  }
}

/* The two loops: minus the inverse Hessian times the gradient. */
static void find_direction(const Whole *w, Vectors *v) {
  Graph *g = w->graph;
  Node *one = graph_scalar(g, 1), *share[MOST_PAIRS], *inverse[MOST_PAIRS];
  for (int i = 0; i < w->n; i++)
    v->direction[i] = op_neg(in_rule(w, i), v->gradient[i]);
  for (int64_t k = 0; k < v->n_pairs; k++) {
    inverse[k] = quotient(g, one, dot(w, v->y[k], v->s[k]), 0);
    share[k] = op_mul(g, dot(w, v->s[k], v->direction), inverse[k]);
    add(w, v->direction, op_neg(g, share[k]), v->y[k]);
  }
  Node *scale = quotient(g, dot(w, v->y[0], v->s[0]), dot(w, v->y[0], v->y[0]), 1);
  for (int i = 0; i < w->n; i++)
    v->direction[i] = op_mul(in_rule(w, i), v->direction[i], scale);
  for (int64_t k = v->n_pairs; k-- > 0;) {
    Node *back = op_mul(g, dot(w, v->y[k], v->direction), inverse[k]);
    add(w, v->direction, op_sub(g, share[k], back), v->s[k]);
  }
}

/* The first step is no longer than the rate in the sum of its sizes. */
static Node *first_share(const Whole *w, const Vectors *v) {
  Graph *g = w->graph;
  Node *size = NULL, *one = graph_scalar(g, 1);
  for (int i = 0; i < w->n; i++) {
    Node *own = op_sum(in_rule(w, i), op_abs(g, v->gradient[i]), ALL_AXES, false);
    size = size ? op_add(g, size, own) : own;
  }
  return op_where(g, w->u[0]->number[FIRST],
                  op_minimum(g, one, quotient(g, one, size, 1)), one);
}

static void joint(const Optimizer *opt, OptimUpdate *const *u, int n) {
  const Whole w = {u[0]->graph, u, n};
  Vectors v;
  if (!vectors_init(&v, &w, ((const Lbfgs *)opt)->history)) return;
  take_pair(&w, &v);
  find_direction(&w, &v);
  Node *share = first_share(&w, &v);
  for (int i = 0; i < n; i++) {
    Graph *g = in_rule(&w, i);
    Node *rate = op_mul(g, u[i]->lr, share);
    u[i]->slot[GRADIENT] = v.gradient[i];
    u[i]->slot[STEP] = op_mul(g, v.direction[i], rate);
    for (int64_t k = 0; k < v.n_pairs; k++) {
      u[i]->slot[step_of(k)] = v.s[k][i];
      u[i]->slot[change_of(k)] = v.y[k][i];
    }
  }
  free(v.gradient);
}

static void rule(const Optimizer *opt, OptimUpdate *u) {
  (void)opt;
  u->w = op_add(u->graph, u->w, u->slot[STEP]);
}

static const char *const samples[] = {"lr=0.5", "lr=0.5 history=3 weight_decay=0.02",
                                      "lr=0.5 history=2 accumulate=2", NULL};

const OptimKind optim_lbfgs = {
    .kind = {OPTIM_RECORD(Lbfgs), .name = "LBFGS", .alias = "lbfgs",
             .options = options,
             .doc = "Steps along an estimate of the inverse Hessian, of all parameters "
                    "together, from the last steps and gradients. For full batches: "
                    "gradients of different rows say nothing of curvature.",
             .equation = "s = w_t - w_(t-1), y = g_t - g_(t-1), kept where y s > "
                         "1e-10;  w <- w - lr H g, H by the two loops from (y s / y y) "
                         "I;  the first step: - lr min(1, 1 / sum |g|) g",
             .source = "Nocedal & Wright, Numerical Optimization, 2006, algorithms 7.4 "
                       "and 7.5"},
    .samples = samples, .slots = slots, .numbers = numbers, .joint = joint,
    .rule = rule};
