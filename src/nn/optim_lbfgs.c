/* optim_lbfgs.c: L-BFGS: steps along the inverse Hessian that the last steps and the
 * changes of the gradient over them suggest, of all parameters together.
 *
 *   line_search = "none", max_iter = 1   one gradient a step, whose rate has to fit: a
 *                                        rule, planned as any other
 *   else                                 several evaluations a step (OptimSearch), at
 *                                        the points that torch.optim.LBFGS looks at
 *
 * Pairs that are not there yet are zeros, whose share in all sums is 0: every step has
 * the same structure. A rate of 1 fits the direction once there are pairs. */
#include "graph/ops.h"
#include "nn/line_search.h"
#include "nn/optim.h"
#include <math.h>
#include <stdlib.h>

enum { MOST_PAIRS = 10, MOST_POINTS = 25 };

typedef struct Lbfgs {
  Optimizer base;
  int64_t history, max_iter, max_eval;
  int line_search;
  double tolerance_grad, tolerance_change;
} Lbfgs;

#define AT(field) .offset = offsetof(Lbfgs, field)
enum { SEARCH_NONE, SEARCH_WOLFE };
static const char *const searches_names[] = {"none", "strong_wolfe", NULL};

static const Option options[] = {
    OPTIM_LR("1"),
    {.name = "history", .kind = OPT_INT, AT(history), .value = "10",
     .alias = "history_size", .lo = 1, .hi = MOST_PAIRS,
     .doc = "pairs of a step and a change of the gradient that are kept (PyTorch: "
            "100)"},
    {.name = "line_search", .kind = OPT_CHOICE, AT(line_search), .value = "none",
     .choices = searches_names, .alias = "line_search_fn",
     .doc = "how far each step goes: lr, untested (none, as in PyTorch), or as far as "
            "the strong Wolfe conditions ask, at most 25 evaluations. The function of "
            "the step runs once; its graph is evaluated at each point with the same "
            "draws, and running statistics move once, as at the first"},
    {.name = "max_iter", .kind = OPT_INT, AT(max_iter), .value = "1", .lo = 1,
     .hi = 1e9,
     .doc = "iterations in one step, each with a direction of its own (PyTorch: 20)"},
    {.name = "max_eval", .kind = OPT_INT, AT(max_eval), .value = "0", .lo = 0,
     .hi = 1e9,
     .doc = "evaluations after which a step begins no further iteration; 0: 1.25 "
            "max_iter"},
    {.name = "tolerance_grad", .kind = OPT_REAL, AT(tolerance_grad), .value = "1e-7",
     .lo = 0, .hi = 1e9,
     .doc = "with line_search or max_iter: the step ends, or changes nothing, where no "
            "element of the gradient is larger"},
    {.name = "tolerance_change", .kind = OPT_REAL, AT(tolerance_change),
     .value = "1e-9", .lo = 0, .hi = 1e9,
     .doc = "with line_search or max_iter: the step ends where loss or parameters "
            "change less"},
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

/* The sum of the sizes of all elements. */
static Node *size_of(const Whole *w, Node *const *x) {
  Node *size = NULL;
  for (int i = 0; i < w->n; i++) {
    Graph *g = in_rule(w, i);
    Node *own = op_sum(g, op_abs(g, x[i]), ALL_AXES, false);
    size = size ? op_add(g, size, own) : own;
  }
  return size;
}

/* The first step is no longer than the rate in the sum of its sizes. */
static Node *first_share(const Whole *w, const Vectors *v) {
  Graph *g = w->graph;
  Node *one = graph_scalar(g, 1), *size = size_of(w, v->gradient);
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

/* -- a step of several evaluations ------------------------------------------------- */

static bool searches(const Optimizer *opt) {
  const Lbfgs *self = (const Lbfgs *)opt;
  return self->line_search != SEARCH_NONE || self->max_iter > 1;
}

/* Points are compared by the loss of the step's rows, with the gradient as it is. */
static Err check(Object *object, Fault *fault) {
  const Optimizer *opt = (const Optimizer *)object;
  const char *what = NULL;
  if (!searches(opt)) return ERR_OK;
  if (!isnan(opt->clipnorm)) what = "clipnorm";
  if (!isnan(opt->global_clipnorm)) what = "global_clipnorm";
  if (!isnan(opt->clipvalue)) what = "clipvalue";
  if (opt->accumulate > 1) what = "accumulate";
  if (opt->lookahead > 0) what = "lookahead";
  for (int i = 0; i < opt->groups.n; i++)
    if (!isnan(((const OptimGroup *)opt->groups.v[i])->lr)) what = "lr of a group";
  if (!what) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "optim.LBFGS: \"%s\" does not go with line_search or max_iter: such "
                   "a step compares losses of the same rows along one direction, with "
                   "the whole gradient",
                   what);
}

typedef struct Search {
  const Lbfgs *self;
  OptimSearch *s;
  Whole whole;
  Vectors v;
  Node **direction, **trial;
  Node **room[LINE_ROOMS]; /* gradients at points of the line; the first: s->gradient */
  double slope;            /* along the direction */
  double reach;            /* largest element of the direction */
  double steepness;        /* largest element of the gradient */
  int64_t n_evaluations;
} Search;

static double number_of(const Node *node) { return array_get(&node_value(node)->a, 0); }

static Err compute(const Search *h, Node *const *nodes, int n, Fault *fault) {
  return graph_eval(h->s->graph, nodes, n) ? graph_ok(h->s->graph, fault) : ERR_OK;
}

/* from NULL: nothing is left in the list. */
static void put_all(Node **list, Node *const *from, int n) {
  for (int i = 0; i < n; i++) optim_put(&list[i], from ? from[i] : NULL);
}

/* The largest size of an element. */
static Node *largest(const Whole *w, Node *const *x) {
  Graph *g = w->graph;
  Node *all = NULL;
  for (int i = 0; i < w->n; i++) {
    Node *own = op_max(g, op_abs(g, x[i]), ALL_AXES, false);
    all = all ? op_maximum(g, all, own) : own;
  }
  return all;
}

static Err measure_gradient(Search *h, Fault *fault) {
  Node *node = largest(&h->whole, h->s->gradient);
  Err err = compute(h, &node, 1, fault);
  if (!err) h->steepness = number_of(node);
  return err;
}

/* The weight decay is the gradient of half its share of the squares. */
static Err add_decay(const Search *h, Node *const *w, double *loss, Node **gradient,
                     Fault *fault) {
  const OptimSearch *s = h->s;
  Graph *g = s->graph;
  for (int i = 0; i < s->n; i++) {
    if (s->weight_decay[i] == 0) continue;
    Node *share = graph_scalar(g, s->weight_decay[i]);
    Node *made[] = {op_add_product(g, gradient[i], share, w[i]),
                    op_sum(g, op_square(g, w[i]), ALL_AXES, false)};
    if (compute(h, made, 2, fault)) return fault->code;
    optim_put(&gradient[i], made[0]);
    *loss += s->weight_decay[i] / 2 * number_of(made[1]);
  }
  return ERR_OK;
}

/* The point at t, into `trial`. */
static Err go_to(Search *h, double t, Fault *fault) {
  const OptimSearch *s = h->s;
  Graph *g = s->graph;
  Node *step = graph_scalar(g, t);
  for (int i = 0; i < s->n; i++)
    optim_put(&h->trial[i], op_add_product(g, s->w[i], step, h->direction[i]));
  return compute(h, h->trial, s->n, fault);
}

static Err evaluate(Search *h, double *loss, Node **gradient, Fault *fault) {
  OptimSearch *s = h->s;
  h->n_evaluations++;
  Err err = s->evaluate(s->ctx, h->trial, loss, gradient, fault);
  return err || !isfinite(*loss) ? err : add_decay(h, h->trial, loss, gradient, fault);
}

static Err look(void *ctx, LinePoint *p, Fault *fault) {
  Search *h = ctx;
  Graph *g = h->s->graph;
  int scope = graph_scope_begin(g);
  Err err = go_to(h, p->t, fault);
  if (!err) err = evaluate(h, &p->f, h->room[p->room], fault);
  if (!err && isfinite(p->f)) {
    Node *slope = dot(&h->whole, h->room[p->room], h->direction);
    err = compute(h, &slope, 1, fault);
    if (!err) p->slope = number_of(slope);
  }
  graph_scope_end(g, scope);
  return err;
}

/* What an iteration begins with, in order: the direction, pairs, then numbers. */
enum { SLOPE, REACH, SIZE, REMEMBERED, TURN_NUMBERS };

static Node **list_turn(Search *h, int *n) {
  const Whole *w = &h->whole;
  Graph *g = w->graph;
  const Vectors *v = &h->v;
  size_t each = 1 + 2 * (size_t)v->n_pairs;
  Node **all = calloc((size_t)w->n * each + TURN_NUMBERS, sizeof *all);
  if (!all) fault_memory(&g->fault, (size_t)w->n * each * sizeof *all);
  *n = 0;
  for (int i = 0; all && i < w->n; i++) {
    all[(*n)++] = v->direction[i];
    for (int64_t k = 0; k < v->n_pairs; k++) {
      all[(*n)++] = v->s[k][i];
      all[(*n)++] = v->y[k][i];
    }
  }
  return all;
}

/* 0 where all of the slot is. */
static Node *square_of_slot(const Whole *w, int slot) {
  Graph *g = w->graph;
  Node *sum = graph_scalar(g, 0);
  for (int i = 0; i < w->n; i++)
    sum = op_add(g, sum, op_sum(g, op_square(g, w->u[i]->slot[slot]), ALL_AXES, false));
  return sum;
}

static void keep_turn(Search *h, Node *const *made) {
  const Vectors *v = &h->v;
  for (int i = 0; i < h->s->n; i++) {
    Node **slot = h->whole.u[i]->slot;
    optim_put(&h->direction[i], *made++);
    for (int64_t k = 0; k < v->n_pairs; k++) {
      optim_put(&slot[step_of(k)], *made++);
      optim_put(&slot[change_of(k)], *made++);
    }
    optim_put(&slot[GRADIENT], h->s->gradient[i]);
  }
}

/* The direction at w, pairs and gradient into their slots. *t: the rate, at first no
 * more than goes as far in the sum of all sizes. */
static Err turn(Search *h, double *t, Fault *fault) {
  const Whole *w = &h->whole;
  Graph *g = w->graph;
  int n, scope = graph_scope_begin(g);
  for (int i = 0; i < w->n; i++) w->u[i]->g = h->s->gradient[i];
  Node *before = square_of_slot(w, GRADIENT);
  take_pair(w, &h->v);
  find_direction(w, &h->v);
  Node **made = list_turn(h, &n);
  if (!made) {
    graph_scope_end(g, scope);
    return graph_ok(g, fault);
  }
  Node **number = made + n;
  number[SLOPE] = dot(w, h->s->gradient, h->v.direction);
  number[REACH] = largest(w, h->v.direction);
  number[SIZE] = size_of(w, h->v.gradient);
  number[REMEMBERED] = before;
  Err err = compute(h, made, n + TURN_NUMBERS, fault);
  if (!err) {
    keep_turn(h, made);
    h->slope = number_of(number[SLOPE]);
    h->reach = number_of(number[REACH]);
    bool first = number_of(number[REMEMBERED]) == 0;
    *t = h->s->rate * (first ? fmin(1, 1 / number_of(number[SIZE])) : 1);
  }
  graph_scope_end(g, scope);
  free(made);
  return err;
}

/* The step that was done, of length t, into its slot. Of length 0: the next one begins
 * anew, as the first. */
static Err keep_step(Search *h, double t, Fault *fault) {
  OptimSearch *s = h->s;
  Graph *g = s->graph;
  Err err = ERR_OK;
  for (int i = 0; !err && i < s->n; i++) {
    Node **slot = h->whole.u[i]->slot;
    Node *step = t == 0 ? op_full(g, 0, &s->w[i]->shape)
                        : op_mul(g, h->direction[i], graph_scalar(g, t));
    err = compute(h, &step, 1, fault);
    if (!err) optim_put(&slot[STEP], step);
    for (int k = 0; !err && t == 0 && k < s->n_slots; k++) optim_put(&slot[k], step);
  }
  return err;
}

/* To the point at t of the line, or as far as the search finds; *t 0: nowhere. */
static Err search_line(Search *h, double *t, Fault *fault) {
  OptimSearch *s = h->s;
  LineSearch line = {.share = 1e-4, .slope_share = 0.9, .most = MOST_POINTS,
                     .least = h->self->tolerance_change / h->reach, .look = look,
                     .ctx = h};
  const LinePoint start = {.f = s->loss, .slope = h->slope};
  LinePoint found;
  Err err = line_search(&line, &start, *t, &found, fault);
  if (!err) err = go_to(h, found.t, fault);
  if (err) return err;
  *t = found.t;
  s->loss = found.f;
  put_all(s->w, h->trial, s->n);
  if (found.room) put_all(s->gradient, h->room[found.room], s->n);
  for (int r = 1; r < LINE_ROOMS; r++) put_all(h->room[r], NULL, s->n);
  return measure_gradient(h, fault);
}

/* As far as the rate says; the last iteration leaves the new point unseen. */
static Err step_blindly(Search *h, bool last, double *t, Fault *fault) {
  OptimSearch *s = h->s;
  double loss = s->loss;
  Err err = go_to(h, *t, fault);
  if (!err && !last) err = evaluate(h, &loss, h->room[1], fault);
  if (err) return err;
  if (!isfinite(loss)) {
    *t = 0;
    return ERR_OK;
  }
  s->loss = loss;
  put_all(s->w, h->trial, s->n);
  if (last) return ERR_OK;
  put_all(s->gradient, h->room[1], s->n);
  return measure_gradient(h, fault);
}

/* *more: another iteration follows. */
static Err iterate(Search *h, int64_t number, bool *more, Fault *fault) {
  const Lbfgs *self = h->self;
  bool last = number == self->max_iter;
  int64_t most = self->max_eval ? self->max_eval : self->max_iter * 5 / 4;
  double before = h->s->loss, t = 0;
  *more = false;
  Err err = turn(h, &t, fault);
  if (err) return err;
  if (h->slope > -self->tolerance_change) return keep_step(h, 0, fault);
  int scope = graph_scope_begin(h->s->graph);
  err = self->line_search == SEARCH_WOLFE ? search_line(h, &t, fault)
                                          : step_blindly(h, last, &t, fault);
  if (!err) err = keep_step(h, t, fault);
  graph_scope_end(h->s->graph, scope);
  *more = !last && h->n_evaluations < most && t != 0 &&
          h->steepness > self->tolerance_grad &&
          fabs(t) * h->reach > self->tolerance_change &&
          fabs(h->s->loss - before) >= self->tolerance_change;
  return err;
}

static Err iterate_all(Search *h, Fault *fault) {
  OptimSearch *s = h->s;
  bool more = false;
  Err err = add_decay(h, s->w, &s->loss, s->gradient, fault);
  if (!err) err = measure_gradient(h, fault);
  if (!err) more = h->steepness > h->self->tolerance_grad;
  for (int64_t number = 1; !err && more; number++)
    err = iterate(h, number, &more, fault);
  return err;
}

static Err search(const Optimizer *opt, OptimSearch *s, Fault *fault) {
  enum { LISTS = 2 + LINE_ROOMS - 1 };
  size_t n = (size_t)s->n;
  OptimUpdate *u = calloc(n, sizeof *u), **at = calloc(n, sizeof *at);
  Node **lists = calloc(n * LISTS, sizeof *lists);
  Search h = {.self = (const Lbfgs *)opt, .s = s, .whole = {s->graph, at, s->n},
              .n_evaluations = 1};
  Err err = u && at && lists ? ERR_OK : fault_memory(fault, n * sizeof *u);
  for (size_t i = 0; !err && i < n; i++) {
    at[i] = &u[i];
    u[i] = (OptimUpdate){.graph = s->graph, .slot = s->slot + i * (size_t)s->n_slots};
  }
  if (!err && !vectors_init(&h.v, &h.whole, h.self->history))
    err = graph_ok(s->graph, fault);
  if (!err) {
    h.direction = lists;
    h.trial = lists + n;
    h.room[0] = s->gradient;
    for (size_t r = 1; r < LINE_ROOMS; r++) h.room[r] = lists + (1 + r) * n;
    err = iterate_all(&h, fault);
    put_all(lists, NULL, s->n * LISTS);
  }
  free(h.v.gradient);
  free(lists);
  free(at);
  free(u);
  return err;
}

static const char *const samples[] = {"lr=0.5", "lr=0.5 history=3 weight_decay=0.02",
                                      "lr=0.5 history=2 accumulate=2",
                                      "line_search=strong_wolfe weight_decay=0.02",
                                      "line_search=strong_wolfe history=3 max_iter=4",
                                      "lr=0.2 max_iter=3", NULL};

const OptimKind optim_lbfgs = {
    .kind = {OPTIM_RECORD(Lbfgs), .name = "LBFGS", .alias = "lbfgs",
             .options = options, .check = check,
             .doc = "Steps along an estimate of the inverse Hessian, of all parameters "
                    "together, from the last steps and gradients. For full batches: "
                    "gradients of different rows say nothing of curvature. line_search "
                    "= \"strong_wolfe\" finds how far each step goes and needs no "
                    "lr that fits; the loss of a step is that before it, as of "
                    "every optimizer. A point whose loss is not finite is too far: the "
                    "step is shortened.",
             .equation = "s = w_t - w_(t-1), y = g_t - g_(t-1), kept where y s > "
                         "1e-10;  w <- w - lr H g, H by the two loops from (y s / y y) "
                         "I;  the first step: - lr min(1, 1 / sum |g|) g;  "
                         "strong_wolfe: t in place of lr, f(w + t d) <= f(w) + 1e-4 t "
                         "g d, |g(w + t d) d| <= 0.9 |g d|, d = - H g",
             .example = "local net = nn.Sequential { nn.Dense(8, { activation = "
                        "\"tanh\" }), nn.Dense(2) }\n"
                        "train.fit(net, data.spirals { n = 90, classes = 2 },\n"
                        "  { epochs = 5, batch_size = 90, loss = \"cross_entropy\",\n"
                        "  optimizer = optim.LBFGS { line_search = \"strong_wolfe\" } "
                        "})",
             .source = "Nocedal & Wright, Numerical Optimization, 2006, algorithms 7.4 "
                       "and 7.5; the search: algorithms 3.5 and 3.6"},
    .searches = searches, .search = search,
    .samples = samples, .slots = slots, .numbers = numbers, .joint = joint,
    .rule = rule};
