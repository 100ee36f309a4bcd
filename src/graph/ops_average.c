/* ops_average.c: the moving average of running statistics, as one op: a step of a deep
 * net with batch normalization makes two per layer. */
#include "graph/ops.h"
#include "graph/ops_walk.h"

enum { WEIGHT, FACTOR };

static Err average_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape, *z = &io->in[1]->shape;
  char a[SHAPE_TEXT], b[SHAPE_TEXT];
  if (io->in[0]->dtype != DT_REAL || io->in[1]->dtype != DT_REAL)
    return fault_set(io->fault, ERR_VALUE, "both tensors must be real");
  if (!shape_equal(x, z))
    return fault_set(io->fault, ERR_SHAPE, "shapes differ: %s and %s", shape_text(a, x),
                     shape_text(b, z));
  io->out_shape[0] = *x;
  return ERR_OK;
}

static void average_tile(const OpCall *call, real *y, const real *const *in,
                         const int64_t *stride, int64_t n) {
  real w = (real)call->attr[WEIGHT].f,
       wf = (real)(call->attr[WEIGHT].f * call->attr[FACTOR].f);
  (void)stride;
  for (int64_t i = 0; i < n; i++) y[i] = (1 - w) * in[0][i] + wf * in[1][i];
}

static double average_scalar(const double *in, const Attr *attr) {
  return (1 - attr[WEIGHT].f) * in[0] + attr[WEIGHT].f * attr[FACTOR].f * in[1];
}

static void average_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                        Node **gx) {
  double w = y->attr[WEIGHT].f;
  if (want[0]) gx[0] = op_scale(g, gy[0], 1 - w);
  if (want[1]) gx[1] = op_scale(g, gy[0], w * y->attr[FACTOR].f);
}

#define AVERAGE(shape, weight, factor)                                                 \
  {.n_in = 2, .in = {{shape, DT_REAL, 0, 0}, {shape, DT_REAL, 0, 0}},                  \
   ATTRS({.f = weight}, {.f = factor})}

static const Sample average_samples[] = {AVERAGE(SHAPE_OF(1), 0.1, 1),
                                         AVERAGE(SHAPE_OF(3, 7), 0.25, 1.5),
                                         AVERAGE(SHAPE_OF(20001), 0.5, 1.03),
                                         SAMPLES_END};

const Op op_record_moving_average = {
    .name = "moving_average", .n_in = 2, .n_out = 1,
    .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .attrs = OP_ATTRS({.name = "weight", .kind = ATTR_REAL, .lo = 0, .hi = 1,
                       .doc = "of the new value"},
                      {.name = "factor", .kind = ATTR_REAL, .value = "1",
                       .doc = "on the new value: n / (n - 1) makes a variance "
                              "unbiased"}),
    .doc = "x moved towards z: the running statistics of a normalization",
    .equation = "y = (1 - weight) x + weight factor z",
    .infer = average_infer, .split = elements_split, .run = elements_run_block,
    .tile = average_tile, .vjp = average_vjp, .scalar = average_scalar,
    .samples = average_samples};

Node *op_moving_average(Graph *g, Node *x, Node *z, double weight, double factor) {
  return graph_apply(g, &op_record_moving_average, (Node *[]){x, z}, 2,
                     (Attr[]){{.f = weight}, {.f = factor}}, 2);
}
