/* layer_shape.c: layers that change the shape of each example: Reshape, Permute,
 * RepeatVector. Axis 1 is the batch, which stays. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <stdio.h>

typedef struct Listed {
  Layer layer;
  IntList list;
} Listed;

#define AT(type, field) .offset = offsetof(type, field)

/* -- Reshape ----------------------------------------------------------------------- */

static Err reshape_check(Object *object, Fault *fault) {
  const IntList *shape = &((Listed *)object)->list;
  int n_open = 0;
  for (int i = 0; i < shape->n; i++) {
    n_open += shape->v[i] == -1;
    if (shape->v[i] < 1 && shape->v[i] != -1)
      return fault_set(fault, ERR_VALUE,
                       "nn.Reshape: option \"shape\": got %lld, allowed: sizes of 1 "
                       "and "
                       "more, and one -1, which follows",
                       (long long)shape->v[i]);
  }
  if (shape->n < MAX_RANK && n_open < 2) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "nn.Reshape: option \"shape\": got %d sizes, %d of them -1; "
                   "allowed: "
                   "up to %d, one -1",
                   shape->n, n_open, MAX_RANK - 1);
}

static Node *reshape_forward(Graph *graph, Layer *layer, Node *x) {
  const IntList *list = &((const Listed *)layer)->list;
  if (x->shape.rank < 1) return layer_refuse(graph, layer, "[N, ...]", &x->shape);
  int64_t have = shape_stride(&x->shape, 0), known = 1;
  int open = -1;
  Shape shape = {.rank = list->n + 1, .dim = {x->shape.dim[0]}};
  for (int i = 0; i < list->n; i++) {
    shape.dim[i + 1] = list->v[i];
    if (list->v[i] == -1) open = i + 1;
    else known *= list->v[i];
  }
  if (open >= 0) shape.dim[open] = have / known;
  if (open >= 0 ? have % known == 0 : have == known)
    return op_reshape(graph, x, &shape);
  char expects[96];
  snprintf(expects, sizeof expects, "examples of %s%lld numbers",
           open >= 0 ? "a multiple of " : "", (long long)known);
  return layer_refuse(graph, layer, expects, &x->shape);
}

static const Option reshape_options[] = {
    {.name = "shape", .kind = OPT_INTS, AT(Listed, list), .position = 1,
     .alias = "target_shape",
     .doc = "sizes of one example, without the batch axis; one may be -1: it follows "
            "from the others"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_reshape = {
    .kind = {.name = "Reshape", .family = &layer_family, .size = sizeof(Listed),
             .options = reshape_options, .check = reshape_check, .deinit = layer_deinit,
             .call = "nn.Reshape { 2, 3 }",
             .doc = "Gives the numbers of each example another shape, in the same "
                    "order: [N, ...] -> [N, shape].",
             .equation = "y[n, i] = x[n, i], i counting in row-major order",
             .source = "Chollet et al., Keras, 2015 (Reshape)"},
    .prefix = "reshape",
    .samples = (const LayerSample[]){
        {{{"shape", "2 3"}}, {{2, {4, 6}}}, {3, {4, 2, 3}}},
        {{{"shape", "2 -1 2"}}, {{3, {2, 4, 3}}}, {4, {2, 2, 3, 2}}},
        {{{"shape", "-1"}}, {{4, {1, 2, 3, 2}}}, {2, {1, 12}}},
        LAYER_SAMPLES_END},
    .forward = reshape_forward};

/* -- Permute ----------------------------------------------------------------------- */

static Err permute_check(Object *object, Fault *fault) {
  const IntList *axes = &((Listed *)object)->list;
  unsigned seen = 0;
  for (int i = 0; i < axes->n; i++) {
    int64_t axis = axes->v[i];
    bool fits = axis >= 2 && axis <= axes->n + 1 && !(seen & 1u << axis);
    if (!fits)
      return fault_set(fault, ERR_VALUE,
                       "nn.Permute: option \"axes\": got %lld as number %d, allowed: "
                       "each of 2 to %d once; axis 1 is the batch, which stays",
                       (long long)axis, i + 1, axes->n + 1);
    seen |= 1u << axis;
  }
  return ERR_OK;
}

static Node *permute_forward(Graph *graph, Layer *layer, Node *x) {
  const IntList *axes = &((const Listed *)layer)->list;
  int perm[MAX_RANK] = {0};
  if (x->shape.rank != axes->n + 1) {
    char expects[64];
    snprintf(expects, sizeof expects, "the batch axis and %d others", axes->n);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  for (int i = 0; i < axes->n; i++) perm[i + 1] = (int)axes->v[i] - 1;
  return op_transpose(graph, x, perm);
}

static const Option permute_options[] = {
    {.name = "axes", .kind = OPT_INTS, AT(Listed, list), .position = 1, .alias = "dims",
     .doc = "the axes in their new order, from 2 on (axis 1 is the batch): { 3, 2 } "
            "swaps rows and columns (Keras counts without the batch: (2, 1))"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_permute = {
    .kind = {.name = "Permute", .family = &layer_family, .size = sizeof(Listed),
             .options = permute_options, .check = permute_check, .deinit = layer_deinit,
             .example = "print(nn.Permute { 3, 2 }(tensor.randn(4, 2, 3)))",
             .doc = "Puts the axes of each example in another order.",
             .equation = "{ 3, 2 }: y[n, j, i] = x[n, i, j]",
             .source = "Chollet et al., Keras, 2015 (Permute)"},
    .prefix = "permute",
    .samples = (const LayerSample[]){
        {{{"axes", "3 2"}}, {{3, {2, 4, 3}}}, {3, {2, 3, 4}}},
        {{{"axes", "4 2 3"}}, {{4, {1, 2, 3, 5}}}, {4, {1, 5, 2, 3}}},
        LAYER_SAMPLES_END},
    .forward = permute_forward};

/* -- RepeatVector ------------------------------------------------------------------ */

typedef struct RepeatVector {
  Layer layer;
  int64_t n;
} RepeatVector;

static Node *repeat_vector_forward(Graph *graph, Layer *layer, Node *x) {
  if (x->shape.rank != 2) return layer_refuse(graph, layer, "[N, F]", &x->shape);
  int64_t N = x->shape.dim[0], F = x->shape.dim[1];
  Node *row = op_reshape(graph, x, &SHAPE_OF(N, 1, F));
  return op_broadcast_to(graph, row, &SHAPE_OF(N, ((const RepeatVector *)layer)->n, F));
}

static const Option repeat_vector_options[] = {
    {.name = "n", .kind = OPT_INT, AT(RepeatVector, n), .position = 1, .lo = 1,
     .hi = 1e9, .doc = "number of steps"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_repeat_vector = {
    .kind = {.name = "RepeatVector", .family = &layer_family,
             .size = sizeof(RepeatVector), .options = repeat_vector_options,
             .deinit = layer_deinit,
             .call = "nn.RepeatVector(2)",
             .doc = "Repeats the features at each of n steps: [N, F] -> [N, n, F], as "
                    "between an encoder and a decoder of sequences.",
             .equation = "y[n, t, f] = x[n, f]",
             .source = "Chollet et al., Keras, 2015 (RepeatVector)"},
    .prefix = "repeat_vector", .gives_steps = true,
    .samples = (const LayerSample[]){
        {{{"n", "3"}}, {{2, {2, 4}}}, {3, {2, 3, 4}}},
        {{{"n", "1"}}, {{2, {3, 1}}}, {3, {3, 1, 1}}},
        LAYER_SAMPLES_END},
    .forward = repeat_vector_forward};
