/* ops_normalize.c: a normalization with statistics that are given, as one op: what
 * batch normalization is in inference, one pass over x instead of three.
 *
 * The bytes are those of its expansion (x - mean) scale + bias, and so are those of its
 * gradient, which is that of the expansion:
 *   gx = gy scale,  gmean = -sum gx,  gscale = sum gy (x - mean),  gbias = sum gy */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "graph/range.h"
#include "kernel/kernel.h"

enum { X, MEAN, SCALE, BIAS, N_IN };

static Err normalize_infer(OpInfer *io) {
  const Shape *mean = &io->in[MEAN]->shape;
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (infer_broadcast(io)) return io->fault->code;
  for (int i = 0; i < N_IN; i++) {
    const Shape *same = i == X ? &io->out_shape[0] : mean;
    if (infer_need_real(io, i)) return io->fault->code;
    if (!shape_equal(&io->in[i]->shape, same))
      return fault_set(io->fault, ERR_SHAPE, "%s: got %s, allowed: %s",
                       io->op->inputs[i], shape_text(got, &io->in[i]->shape),
                       shape_text(want, same));
  }
  return ERR_OK;
}

static void normalize_tile(const OpCall *call, real *y, const real *const *in,
                           const int64_t *stride, int64_t n) {
  (void)call;
  kernels()->normalize(y, in[X], in[MEAN], in[SCALE], in[BIAS], stride[MEAN], n);
}

static double normalize_scalar(const double *in, const Attr *attr) {
  (void)attr;
  return (in[X] - in[MEAN]) * in[SCALE] + in[BIAS];
}

static void normalize_range(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  Range centred = range_sum(in[X], (Range){-in[MEAN].hi, -in[MEAN].lo});
  out[0] = range_sum(range_product(centred, in[SCALE]), in[BIAS]);
}

static void normalize_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                          Node **gx) {
  const Shape *each = &y->in[MEAN]->shape;
  Node *through = op_chain_mul(g, gy[0], y->in[SCALE]);
  Node *centred = want[SCALE] ? op_sub(g, y->in[X], y->in[MEAN]) : NULL;
  if (want[X]) gx[X] = through;
  if (want[MEAN]) gx[MEAN] = op_sum_to(g, op_neg(g, through), each);
  if (want[SCALE]) gx[SCALE] = op_sum_to(g, op_chain_mul(g, gy[0], centred), each);
  if (want[BIAS]) gx[BIAS] = op_sum_to(g, gy[0], each);
}

#define NORMALIZE(x, each)                                                             \
  {N_IN, {{.shape = x}, {.shape = each}, {.shape = each}, {.shape = each}}, 0, NULL}

static const Sample normalize_samples[] = {NORMALIZE(SHAPE_OF(1, 1), SHAPE_OF(1)),
                                           NORMALIZE(SHAPE_OF(4, 3), SHAPE_OF(3)),
                                           NORMALIZE(SHAPE_OF(2, 3, 5), SHAPE_OF(3, 1)),
                                           NORMALIZE(SHAPE_OF(2, 1, 7), SHAPE_OF(1, 1)),
                                           NORMALIZE(SHAPE_OF(130, 129), SHAPE_OF(129)),
                                           SAMPLES_END};

const Op op_record_normalize = {
    .name = "normalize", .n_in = N_IN, .n_out = 1,
    .flags = OP_ELEMENTWISE | OP_INTERNAL,
    .inputs = (const char *const[]){"x", "mean", "scale", "bias"},
    .doc = "x with a mean taken away, scaled and shifted: a batch normalization with "
           "given statistics",
    .equation = "y = (x - mean) scale + bias",
    .source = "Ioffe, Szegedy, arXiv:1502.03167, algorithm 2",
    .infer = normalize_infer, .split = elements_split, .run = elements_run_block,
    .tile = normalize_tile, .range = normalize_range, .vjp = normalize_vjp,
    .scalar = normalize_scalar, .samples = normalize_samples};

Node *op_normalize(Graph *g, Node *x, Node *mean, Node *scale, Node *bias) {
  return graph_apply(g, &op_record_normalize, (Node *[]){x, mean, scale, bias}, N_IN,
                     NULL, 0);
}
