/* program.h: graphs as data: a list of steps from which the same graph can be built
 * again, with these values or others, in any session; printed for people.
 * program_make.h makes them at random.
 *
 * A step makes one node; its inputs are steps before it. Attributes are concrete, so
 * that a program stays what it is when other steps are taken out. A step that nothing
 * below the roots needs is not built. Values are a pure function of (values, step,
 * element). */
#ifndef TESTS_GRAPH_PROGRAM_H
#define TESTS_GRAPH_PROGRAM_H

#include "graph/sample.h"
#include "graph/ops.h"

enum { MAX_STEPS = 96, MAX_STEP_IN = 10, MAX_WRT = 6, MAX_ROOTS = 16 };
enum { STEP_ATTRS = AXES_ROOM + 4 }; /* the most words of attributes */

typedef enum StepKind {
  STEP_VALUE,                  /* a constant */
  STEP_VARIABLE,               /* a read of a new variable that stands for in[0] */
  STEP_APPLY,
  STEP_PICK,                   /* output attr[0] of in[0] */
  STEP_GRADIENT,               /* of in[0] with in[1] flowing in (-1: none), by in[2] */
  STEP_GRADIENT_MORE,          /* by in[2 + attr[0]] of the gradient in[0] */
  STEP_DETACH, STEP_TRACK,     /* of in[0] */
  STEP_EVALUATED               /* in[0], computed naively while the graph is built */
} StepKind;

typedef struct Step {
  StepKind kind;
  const Op *op;
  int n_in, in[MAX_STEP_IN], n_attr;
  Attr attr[STEP_ATTRS];
  Shape shape; /* of what it makes */
  DType dtype;
  int n_out;
  double lo, hi; /* values lie there; only integers: what indices may be */
} Step;

typedef struct Program {
  uint64_t seed;
  int n, n_roots;
  Step step[MAX_STEPS];
  int root[MAX_ROOTS];
} Program;

/* -- random numbers ---------------------------------------------------------------- */

typedef struct Dice {
  uint64_t state;
} Dice;

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
 * 2014. */
static inline uint64_t dice_word(Dice *d) {
  uint64_t z = d->state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static inline int64_t dice_below(Dice *d, int64_t n) {
  return (int64_t)(dice_word(d) >> 33) % n;
}

static inline bool dice_one_in(Dice *d, int n) { return dice_below(d, n) == 0; }

static inline double dice_between(Dice *d, double lo, double hi) {
  return lo + (hi - lo) * (double)(dice_word(d) >> 11) * 0x1p-53;
}

/* Returns a constant: numbers of [-size, size]. */
static inline Node *dice_values(Graph *g, Dice *d, const Shape *shape, double size) {
  int64_t n = shape_count(shape);
  double *v = malloc((size_t)(n + 1) * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) v[i] = dice_between(d, -size, size);
  Node *node = graph_from_doubles(g, DT_REAL, shape, v);
  free(v);
  return node;
}

/* -- building ---------------------------------------------------------------------- */

typedef struct Build {
  Graph *graph;
  uint64_t values;
  int scope;
  Node *node[MAX_STEPS];
  Node *gradient[MAX_STEPS][MAX_WRT];
  Variable *variable[MAX_STEPS];
} Build;

static inline void build_begin(Build *b, Graph *graph, uint64_t values) {
  memset(b, 0, sizeof *b);
  b->graph = graph;
  b->values = values;
  b->scope = graph_scope_begin(graph);
}

static inline void build_end(Build *b) {
  graph_scope_end(b->graph, b->scope);
  for (int i = 0; i < MAX_STEPS; i++) variable_release(b->variable[i]);
}

/* Now and then a zero, a whole number or a large one. */
static inline double step_element(const Step *s, Dice *d) {
  if (s->dtype != DT_REAL)
    return s->lo + (double)dice_below(d, (int64_t)(s->hi - s->lo) + 1);
  double v = dice_between(d, s->lo, s->hi);
  int64_t special = dice_below(d, 64);
  return special == 0 ? 0 : special == 1 ? rint(v) : special == 2 ? 64 * v : v;
}

static inline Node *build_value(Build *b, const Step *s, int i) {
  Tensor *t = tensor_new(&b->graph->memory, s->dtype, &s->shape, &b->graph->fault);
  Dice d = {b->values * 0x2545F4914F6CDD1Du + (uint64_t)i * 0xD1B54A32D192ED03u};
  assert_non_null(t);
  for (int64_t e = 0; e < tensor_count(t); e++)
    array_set(&t->a, e, step_element(s, &d));
  Node *node = graph_const(b->graph, t);
  tensor_release(t);
  return node;
}

static inline Node *build_variable(Build *b, int i, Node *value) {
  Variable *v = b->variable[i] = variable_new(NULL, &b->graph->fault);
  if (!v || variable_assign(b->graph, v, value)) return NULL;
  return variable_read(b->graph, v);
}

static inline Node *build_gradient(Build *b, const Step *s, int i) {
  Node *wrt[MAX_WRT], *gy = s->in[1] < 0 ? NULL : b->node[s->in[1]];
  int n = s->n_in - 2;
  for (int k = 0; k < n; k++) wrt[k] = b->node[s->in[2 + k]];
  if (graph_grad(b->graph, b->node[s->in[0]], gy, wrt, n, b->gradient[i])) return NULL;
  return b->gradient[i][0];
}

static inline Node *build_apply(Build *b, const Step *s) {
  Node *in[MAX_STEP_IN];
  for (int k = 0; k < s->n_in; k++) in[k] = b->node[s->in[k]];
  return graph_apply(b->graph, s->op, in, s->n_in, s->attr, s->n_attr);
}

static inline Node *build_evaluated(Build *b, Node *x) {
  return graph_eval(b->graph, &x, 1) ? NULL : x;
}

/* NULL, with the graph's fault, where the step cannot be. */
static inline Node *build_step(Build *b, const Step *s, int i) {
  Node *x = s->n_in && s->in[0] >= 0 ? b->node[s->in[0]] : NULL;
  b->graph->file = "program";
  b->graph->line = i + 1;
  switch (s->kind) {
  case STEP_VALUE: return b->node[i] = build_value(b, s, i);
  case STEP_VARIABLE: return b->node[i] = build_variable(b, i, x);
  case STEP_APPLY: return b->node[i] = build_apply(b, s);
  case STEP_PICK:
    if (s->attr[0].i >= x->n_out) return NULL;
    return b->node[i] = graph_pick(b->graph, x, (int)s->attr[0].i);
  case STEP_GRADIENT: return b->node[i] = build_gradient(b, s, i);
  case STEP_GRADIENT_MORE: return b->node[i] = b->gradient[s->in[0]][s->attr[0].i];
  case STEP_DETACH: return b->node[i] = graph_detach(b->graph, x);
  case STEP_TRACK: return b->node[i] = graph_track(b->graph, x);
  case STEP_EVALUATED: return b->node[i] = build_evaluated(b, x);
  }
  return NULL;
}

static inline void program_live(const Program *p, bool *live) {
  memset(live, 0, MAX_STEPS * sizeof *live);
  for (int r = 0; r < p->n_roots; r++) live[p->root[r]] = true;
  for (int i = p->n - 1; i >= 0; i--)
    for (int k = 0; live[i] && k < p->step[i].n_in; k++)
      if (p->step[i].in[k] >= 0) live[p->step[i].in[k]] = true;
}

/* Builds what the roots need; false, with the graph's fault, where it cannot be. */
static inline bool build_program(Build *b, Graph *graph, const Program *p,
                                 uint64_t values, Node **roots) {
  bool live[MAX_STEPS];
  program_live(p, live);
  build_begin(b, graph, values);
  for (int i = 0; i < p->n; i++)
    if (live[i] && !build_step(b, &p->step[i], i)) return false;
  for (int r = 0; r < p->n_roots; r++) roots[r] = b->node[p->root[r]];
  return true;
}

/* -- printing ---------------------------------------------------------------------- */

static inline void print_step(const Step *s, int i) {
  static const char *const kinds[] = {"value", "variable", "", "pick", "gradient",
                                      "gradient more", "detach", "track", "evaluated"};
  char shape[SHAPE_TEXT];
  print_error("  v%d = %s(", i, s->kind == STEP_APPLY ? s->op->name : kinds[s->kind]);
  for (int k = 0; k < s->n_in; k++) print_error("%sv%d", k ? ", " : "", s->in[k]);
  print_error(")");
  if (s->n_attr) print_error(" [");
  for (int k = 0; k < s->n_attr; k++) {
    if (llabs((long long)s->attr[k].i) < 1000000)
      print_error(k ? " %lld" : "%lld", (long long)s->attr[k].i);
    else print_error(k ? " %g" : "%g", s->attr[k].f);
  }
  print_error("%s  %s %s", s->n_attr ? "]" : "", dtype_name(s->dtype),
              shape_text(shape, &s->shape));
  if (s->kind == STEP_VALUE) print_error(" in %g .. %g", s->lo, s->hi);
  print_error("\n");
}

static inline void print_program(const Program *p) {
  bool live[MAX_STEPS];
  program_live(p, live);
  for (int i = 0; i < p->n; i++)
    if (live[i]) print_step(&p->step[i], i);
  print_error("  roots:");
  for (int r = 0; r < p->n_roots; r++) print_error(" v%d", p->root[r]);
  print_error("\n");
}

#endif
