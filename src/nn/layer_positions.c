/* layer_positions.c: layers that tell the steps of a sequence [N, T, F] apart, by
 * adding something for each position. Positions count from the first step that counts,
 * so that padding on the left shifts nothing. */
#include "nn/nn.h"
#include "graph/ops.h"
#include "nn/positions.h"
#include <math.h>
#include <stdio.h>

Node *positions_of(Graph *graph, Node *mask) {
  if (!mask) return NULL;
  int64_t N = mask->shape.dim[0], T = mask->shape.dim[1];
  Node *first = graph_apply(graph, &op_record_argmax, &mask, 1, (Attr[]){{.i = 1}}, 1);
  Node *number = op_arange(graph, 2, 1, T);
  Node *behind = op_sub(graph, number, op_reshape(graph, first, &SHAPE_OF(N, 1)));
  return op_cast(graph, op_maximum(graph, behind, graph_scalar(graph, 1)), DT_INT32);
}

/* Rows of the table at the steps of x. */
static Node *at_positions(Graph *graph, Node *table, const Shape *x, Node *mask) {
  int64_t T = x->dim[1];
  if (mask) return op_gather(graph, table, positions_of(graph, mask));
  if (!table || table->shape.dim[0] == T) return table;
  return op_slice(graph, table, (int64_t[]){0, 0}, (int64_t[]){T, x->dim[2]},
                  (int64_t[]){1, 1});
}

/* -- SinePositionEncoding ---------------------------------------------------------- */

typedef struct SinePositions {
  Layer layer;
  bool scale;
  double base;
  Tensor *table; /* of the longest sequence yet; NULL: none */
  double table_base;
} SinePositions;

static void sine_deinit(Object *object) {
  tensor_release(((SinePositions *)object)->table);
  layer_deinit(object);
}

static double sine_at(double base, int64_t p, int64_t f, int64_t F) {
  double angle = (double)p * pow(base, -(double)(f - f % 2) / (double)F);
  return f % 2 ? cos(angle) : sin(angle);
}

/* The table of T positions or more, of F features, kept for the next forward. */
static Tensor *sine_table(Graph *graph, SinePositions *self, int64_t T, int64_t F) {
  const Shape want = SHAPE_OF(T, F), *have = self->table ? &self->table->a.shape : NULL;
  if (have && have->dim[0] >= T && have->dim[1] == F && self->table_base == self->base)
    return self->table;
  Tensor *t = tensor_new(&graph->memory, DT_REAL, &want, &graph->fault);
  if (!t) return NULL;
  for (int64_t i = 0; i < T * F; i++)
    array_set(&t->a, i, sine_at(self->base, i / F, i % F, F));
  tensor_release(self->table);
  self->table = t;
  self->table_base = self->base;
  return t;
}

static Ports sine_ports(Graph *graph, Layer *layer, const Ports *in) {
  SinePositions *self = (SinePositions *)layer;
  if (!layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  Node *x = op_cast(graph, in->v[0].x, DT_REAL), *mask = in->v[0].mask;
  if (!x || x->shape.rank != 3)
    return layer_ports_of(x ? layer_refuse(graph, layer, "[N, T, F]", &x->shape) : NULL,
                          NULL);
  Tensor *table = sine_table(graph, self, x->shape.dim[1], x->shape.dim[2]);
  if (!table) return (Ports){0};
  Node *sines = at_positions(graph, graph_const(graph, table), &x->shape, mask);
  if (self->scale) x = op_scale(graph, x, sqrt((double)x->shape.dim[2]));
  return layer_ports_of(op_add(graph, x, sines), mask);
}

#define AT(type, field) .offset = offsetof(type, field)

static const Option sine_options[] = {
    {.name = "scale", .kind = OPT_BOOL, AT(SinePositions, scale), .value = "false",
     .doc = "multiply the input by sqrt(F) first, as in the paper"},
    {.name = "base", .kind = OPT_REAL, AT(SinePositions, base), .value = "10000",
     .lo = 1, .hi = 1e30, .open = true, .alias = "max_wavelength",
     .doc = "of the wavelengths, which go from 2 pi to 2 pi base"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_sine_positions = {
    .kind = {.name = "SinePositionEncoding", .alias = "PositionalEncoding",
             .family = &layer_family, .size = sizeof(SinePositions),
             .options = sine_options, .deinit = sine_deinit,
             .example = "print(nn.SinePositionEncoding()(tensor.zeros(1, 3, 4)))",
             .doc = "Adds sines and cosines of each step's position to sequences [N, "
                    "T, F]: attention cannot tell steps apart by themselves. Positions "
                    "count from the first step that counts.",
             .equation = "y[t, 2i] = x[t, 2i] + sin(t base^(-2i / F)), y[t, 2i+1] = "
                         "x[t, 2i+1] + cos(t base^(-2i / F)), t from 0",
             .source = "Vaswani et al., NIPS 2017, section 3.5"},
    .prefix = "sine_position_encoding", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {.in = {{3, {2, 3, 4}}}, .out = {3, {2, 3, 4}}},
        {{{"scale", "true"}, {"base", "100"}}, {{3, {1, 4, 3}}}, {3, {1, 4, 3}}},
        LAYER_SAMPLES_END},
    .ports = sine_ports};

/* -- PositionEmbedding ------------------------------------------------------------- */

typedef struct PositionEmbedding {
  Layer layer;
  int64_t n;
  Init *init;
} PositionEmbedding;

enum { WEIGHT };
static const char *const position_vars[] = {"weight", NULL};

static Err position_check(Object *object, Fault *fault) {
  return layer_declare((Layer *)object, WEIGHT, true, fault);
}

static Err position_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const PositionEmbedding *self = (const PositionEmbedding *)layer;
  const Shape *x = &in->v[0].x->shape;
  if (x->rank != 3) return layer_refuse_input(layer, "[N, T, F]", x, fault);
  return layer_give(graph, layer, WEIGHT, self->init, &SHAPE_OF(self->n, x->dim[2]),
                    (double)self->n, (double)x->dim[2], fault);
}

static Ports position_ports(Graph *graph, Layer *layer, const Ports *in) {
  const PositionEmbedding *self = (const PositionEmbedding *)layer;
  if (!layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  Node *x = op_cast(graph, in->v[0].x, DT_REAL), *mask = in->v[0].mask;
  int64_t F = layer->var[WEIGHT]->current->shape.dim[1];
  if (!x) return (Ports){0};
  if (x->shape.rank != 3 || x->shape.dim[2] != F || x->shape.dim[1] > self->n) {
    char expects[96];
    snprintf(expects, sizeof expects, "[N, T, %lld] of up to %lld steps", (long long)F,
             (long long)self->n);
    return layer_ports_of(layer_refuse(graph, layer, expects, &x->shape), NULL);
  }
  Node *rows = at_positions(graph, layer_read(graph, layer, WEIGHT), &x->shape, mask);
  return layer_ports_of(op_add(graph, x, rows), mask);
}

static const Option position_options[] = {
    {.name = "n", .kind = OPT_INT, AT(PositionEmbedding, n), .position = 1, .lo = 1,
     .hi = 1e9, .alias = "sequence_length max_length", .sizes = true,
     .doc = "number of positions: of the longest sequence"},
    {.name = "init", .kind = OPT_OBJECT, AT(PositionEmbedding, init),
     .family = &init_family, .value = "uniform", .alias = "initializer",
     .doc = "initial weight"},
    LAYER_REGULARIZER(WEIGHT, "weight", NULL),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_position_embedding = {
    .kind = {.name = "PositionEmbedding", .family = &layer_family,
             .size = sizeof(PositionEmbedding), .options = position_options,
             .check = position_check, .deinit = layer_deinit,
             .example = "print(nn.PositionEmbedding(8)(tensor.zeros(1, 3, 4)))",
             .doc = "Adds a trained vector for each position to sequences [N, T, F]. "
                    "Positions count from the first step that counts. weight [n, F].",
             .equation = "y[t] = x[t] + weight[t]",
             .source = "Gehring et al., ICML 2017, section 3.1; Vaswani et al., NIPS "
                       "2017, section 3.5"},
    .prefix = "position_embedding", .gives_steps = true,
    .knows_masks = true, .vars = position_vars,
    .units_axis = 1,
    .samples = (const LayerSample[]){
        {{{"n", "3"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 4}}},
        {{{"n", "5"}}, {{3, {2, 2, 1}}}, {3, {2, 2, 1}}},
        LAYER_SAMPLES_END},
    .build = position_build, .ports = position_ports};
