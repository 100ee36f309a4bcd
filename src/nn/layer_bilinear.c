/* layer_bilinear.c: a form that is linear in each of two inputs. */
#include "nn/linear.h"
#include "graph/ops.h"

typedef struct Bilinear {
  Linear linear;
  int64_t units;
} Bilinear;

enum { WEIGHT, BIAS };
static const char *const bilinear_vars[] = {"weight", "bias", NULL};

static int64_t features(const Shape *x) {
  return x->rank < 2 ? 0 : x->dim[x->rank - 1];
}

/* Two tensors that differ in their last axis alone. */
static bool is_pair(const Ports *in) {
  if (in->n != 2) return false;
  const Shape *x = &in->v[0].x->shape, *z = &in->v[1].x->shape;
  Shape same = *x;
  if (x->rank < 2 || z->rank != x->rank) return false;
  same.dim[x->rank - 1] = features(z);
  return shape_equal(&same, z);
}

static Err refuse_pair(const Layer *layer, const Ports *in, Fault *fault) {
  char x[SHAPE_TEXT] = "", z[SHAPE_TEXT] = "";
  shape_text(x, &in->v[0].x->shape);
  if (in->n > 1) shape_text(z, &in->v[1].x->shape);
  return fault_set(fault, ERR_SHAPE,
                   "%s: takes two tensors, [N, I] and [N, J], got %d: %s%s%s",
                   layer->name, in->n, x, *z ? " " : "", z);
}

static Err bilinear_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Bilinear *self = (Bilinear *)layer;
  if (!is_pair(in)) return refuse_pair(layer, in, fault);
  int64_t I = features(&in->v[0].x->shape), J = features(&in->v[1].x->shape);
  return linear_give(graph, &self->linear, &SHAPE_OF(I, J, self->units), BIAS,
                     self->units, (double)I * (double)J, (double)self->units, fault);
}

/* x W as [.., J, K], times z along J, summed. */
static Node *form(Graph *graph, Node *x, Node *z, Node *w, int64_t J, int64_t K) {
  if (!x || !z || !w) return NULL;
  int last = x->shape.rank;
  Shape parts = x->shape, column = z->shape;
  parts.rank = column.rank = last + 1;
  parts.dim[last - 1] = J;
  parts.dim[last] = K;
  column.dim[last] = 1;
  Node *y = op_matmul(graph, x, op_reshape(graph, w, &SHAPE_OF(-1, J * K)));
  y = op_mul(graph, op_reshape(graph, y, &parts), op_reshape(graph, z, &column));
  return op_sum(graph, y, 1u << (last - 1), false);
}

static Ports bilinear_ports(Graph *graph, Layer *layer, const Ports *in) {
  const Bilinear *self = (const Bilinear *)layer;
  const Shape *w = &layer->var[WEIGHT]->current->shape;
  Fault fault = {0};
  if (!is_pair(in) || in->v[0].x->shape.rank >= MAX_RANK ||
      features(&in->v[0].x->shape) != w->dim[0] ||
      features(&in->v[1].x->shape) != w->dim[1]) {
    (void)!refuse_pair(layer, in, &fault);
    fault_pass(&graph->fault, &fault);
    return (Ports){0};
  }
  Node *y = form(graph, op_cast(graph, in->v[0].x, DT_REAL),
                 op_cast(graph, in->v[1].x, DT_REAL), layer_read(graph, layer, WEIGHT),
                 w->dim[1], self->units);
  if (self->linear.bias) y = op_add(graph, y, layer_read(graph, layer, BIAS));
  return layer_ports_of(layer_activated(graph, layer, y), NULL);
}

static const Option bilinear_options[] = {
    {.name = "units", .kind = OPT_INT, .offset = offsetof(Bilinear, units),
     .position = 1, .lo = 1, .hi = 1e6, .alias = "out_features", .sizes = true,
     .doc = "number of outputs, the last axis of the result"},
    LINEAR_OPTIONS,
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_bilinear = {
    .kind = {.name = "Bilinear", .family = &layer_family, .size = sizeof(Bilinear),
             .options = bilinear_options, .check = linear_check,
             .deinit = layer_deinit,
             .example = "print(nn.Bilinear(3)(tensor.randn(4, 6), tensor.randn(4, 5)))",
             .doc = "Multiplies two inputs, net(x, z), by a weight for each pair of "
                    "their elements: [N, I] and [N, J] -> [N, units], on their last "
                    "axes. weight [I, J, units], bias [units]; each unit has I J "
                    "inputs.",
             .equation = "y_k = sum_ij x_i weight_ijk z_j + bias_k",
             .source = "Tenenbaum & Freeman, Neural Computation 12, 2000, eq. 1"},
    .prefix = "bilinear", .vars = bilinear_vars,
    .activation = offsetof(Linear, activation), .units_axis = 3,
    .samples = (const LayerSample[]){
        {{{"units", "3"}}, {{2, {4, 2}}, {2, {4, 5}}}, {2, {4, 3}}},
        {{{"units", "2"}, {"bias", "false"}, {"activation", "tanh"}},
         {{3, {2, 3, 2}}, {3, {2, 3, 1}}}, {3, {2, 3, 2}}},
        LAYER_SAMPLES_END},
    .build = bilinear_build, .ports = bilinear_ports};
