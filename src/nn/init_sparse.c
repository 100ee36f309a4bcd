/* init_sparse.c: the sparse initializer: each unit has a few inputs alone. */
#include "nn/init.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct Sparse {
  Init init;
  double sparsity, std;
} Sparse;

/* Zeroes `n_zero` of the elements w[0], w[step], ..., of which there are n: those with
 * the smallest keys, which are drawn. */
typedef struct Keyed {
  double key;
  int64_t at;
} Keyed;

static int by_key(const void *a, const void *b) {
  const Keyed *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

static void thin_out(double *w, int64_t step, const Array *keys, int64_t first,
                     Keyed *order, int64_t n, int64_t n_zero) {
  for (int64_t i = 0; i < n; i++)
    order[i] = (Keyed){array_get(keys, first + i), i * step};
  qsort(order, (size_t)n, sizeof *order, by_key);
  for (int64_t i = 0; i < n_zero; i++) w[order[i].at] = 0;
}

/* w [in, out] of a layer of units: a column is a unit's. */
static Node *sparse_make(Graph *graph, const Init *self, const InitCall *call) {
  const Sparse *sparse = (const Sparse *)self;
  const Shape *s = call->shape;
  char got[SHAPE_TEXT];
  if (s->rank != 2) {
    fault_set(&graph->fault, ERR_SHAPE, "init.sparse: got %s, allowed: two axes",
              shape_text(got, s));
    return NULL;
  }
  int64_t n = s->dim[0], units = s->dim[1];
  Node *drawn[2] = {init_normal_law(graph, call, 0, sparse->std, false),
                    op_random_uniform(graph, &SHAPE_OF(units, n), 0, 1,
                                      graph_draw(graph, "init", call->stream))};
  if (graph_eval(graph, drawn, 2)) return NULL;
  const Array *normal = &node_value(drawn[0])->a, *keys = &node_value(drawn[1])->a;
  double *w = calloc((size_t)(n * units) + 1, sizeof *w);
  Keyed *order = calloc((size_t)n + 1, sizeof *order);
  Node *node = NULL;
  if (w && order) {
    for (int64_t i = 0; i < n * units; i++) w[i] = array_get(normal, i);
    for (int64_t u = 0; u < units; u++)
      thin_out(w + u, units, keys, u * n, order, n,
               (int64_t)ceil(sparse->sparsity * (double)n));
    node = graph_from_doubles(graph, DT_REAL, s, w);
  } else {
    fault_memory(&graph->fault, (size_t)(n * units) * sizeof *w);
  }
  free(w);
  free(order);
  return node;
}

static void sparse_rule(const Init *self, const InitCall *call, InitRule *out) {
  const Sparse *sparse = (const Sparse *)self;
  double n = call->shape->rank ? (double)call->shape->dim[0] : 1;
  double kept = 1 - ceil(sparse->sparsity * n) / fmax(n, 1);
  out->std = sparse->std * sqrt(fmax(kept, 0));
}

static const Option sparse_options[] = {
    {.name = "sparsity", .kind = OPT_REAL, .offset = offsetof(Sparse, sparsity),
     .value = "0.9", .position = 1, .lo = 0, .hi = 1,
     .doc = "share of a unit's weights that are 0, rounded up to whole weights"},
    {.name = "std", .kind = OPT_REAL, .offset = offsetof(Sparse, std), .value = "0.01",
     .alias = "stddev", .position = 2, .lo = 0, .hi = 1e6,
     .doc = "standard deviation of the other weights"},
    {0}};

const InitKind init_sparse = {
    .kind = {.name = "sparse", .family = &init_family, .size = sizeof(Sparse),
             .options = sparse_options,
             .doc = "Gives each unit only a few inputs, so that its sum does not grow "
                    "with their number.",
             .equation = "w ~ N(0, std^2), with ceil(sparsity fan_in) zeros in each "
                         "column",
             .source = "Martens, ICML 2010, section 5"},
    .make = sparse_make, .rule = sparse_rule};
