/* init_orthogonal.c: the orthogonal initializer. */
#include "nn/init.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct Orthogonal {
  Init init;
  double gain;
} Orthogonal;

/* Makes the `n` rows of length `d` (n <= d) orthonormal by modified Gram-Schmidt, in
 * double; done twice, so that they are orthogonal to rounding. */
static void orthonormalize(double *v, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++)
    for (int pass = 0; pass < 2; pass++) {
      double *row = v + i * d, norm = 0;
      for (int64_t j = 0; j < i; j++) {
        const double *other = v + j * d;
        double dot = 0;
        for (int64_t k = 0; k < d; k++) dot += row[k] * other[k];
        for (int64_t k = 0; k < d; k++) row[k] -= dot * other[k];
      }
      for (int64_t k = 0; k < d; k++) norm += row[k] * row[k];
      norm = norm > 0 ? sqrt(norm) : 1;
      for (int64_t k = 0; k < d; k++) row[k] /= norm;
    }
}

/* w = gain times the rows of v, or its columns where there are fewer: v [n, d]
 * orthonormal, n = min(rows, cols). */
static void place_rows(double *w, const double *v, int64_t rows, int64_t cols,
                       double gain) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++)
      w[i * cols + j] = gain * (rows < cols ? v[i * cols + j] : v[j * rows + i]);
}

/* The matrix [rows, cols] of the shape: the first axis against all others; the shorter
 * side becomes orthonormal. */
static Node *orthogonal_make(Graph *graph, const Init *self, const InitCall *call) {
  const Shape *shape = call->shape;
  int64_t count = shape_count(shape), rows = shape->rank ? shape->dim[0] : 1;
  int64_t cols = rows ? count / rows : 0;
  int64_t n = rows < cols ? rows : cols, d = rows < cols ? cols : rows;
  InitCall matrix = {.shape = &SHAPE_OF(n, d), .stream = call->stream};
  Tensor *normal = graph_value(graph, init_normal_law(graph, &matrix, 0, 1, false));
  if (!normal) return NULL;
  double *v = calloc((size_t)(2 * count + 1), sizeof *v);
  if (!v) {
    fault_memory(&graph->fault, (size_t)(2 * count + 1) * sizeof *v);
    return NULL;
  }
  double *w = v + count;
  for (int64_t i = 0; i < count; i++) v[i] = array_get(&normal->a, i);
  orthonormalize(v, n, d);
  place_rows(w, v, rows, cols, ((const Orthogonal *)self)->gain);
  Node *node = graph_from_doubles(graph, DT_REAL, shape, w);
  free(v);
  return node;
}

/* Each of the fewer sides has the length gain in as many elements as the other has. */
static void orthogonal_rule(const Init *self, const InitCall *call, InitRule *out) {
  const Shape *shape = call->shape;
  double rows = shape->rank ? (double)shape->dim[0] : 1;
  double cols = (double)shape_count(shape) / fmax(rows, 1);
  out->gain = ((const Orthogonal *)self)->gain;
  out->std = out->gain / sqrt(fmax(fmax(rows, cols), 1));
}

static const Option orthogonal_options[] = {INIT_GAIN(Orthogonal), {0}};

const InitKind init_orthogonal = {
    .kind = {.name = "orthogonal", .family = &init_family, .size = sizeof(Orthogonal),
             .options = orthogonal_options,
             .doc = "A random orthogonal matrix: its rows or columns, whichever are "
                    "fewer, have length gain and are perpendicular to each other.",
             .equation = "W^T W = gain^2 I, or W W^T where W has fewer rows than "
                         "columns",
             .source = "Saxe et al., ICLR 2014, section 3"},
    .make = orthogonal_make, .rule = orthogonal_rule};
