/* op.c: the table of all ops. */
#include "graph/op.h"

const Op *const op_table[N_OPS] = {
#define OP(name) [OP_##name] = &op_record_##name,
#include "graph/ops.def"
#undef OP
};

ExpressionStep op_step(const OpCall *call) {
  const Attr *attr = call->attr;
  ExpressionStep step = {.op = call->op->step, .n_in = call->n_in};
  if (call->n_attr == 0) return step;
  step.p = (real)attr[0].f;
  step.q = (real)(call->n_attr > 1 ? attr[1].f : 1 - attr[0].f);
  return step;
}

int op_phases(const OpCall *call) {
  int n = call->op->phases ? call->op->phases(call) : 1;
  must(n >= 1);
  return n;
}

int op_two_phases(const OpCall *call) {
  (void)call;
  return 2;
}

OpSplit op_split(const OpCall *call, int n_phases, int64_t *n_blocks) {
  OpSplit split = {.n_phases = n_phases, .n_blocks = n_blocks};
  for (int p = 0; p < n_phases; p++) n_blocks[p] = 1;
  for (int i = 0; i < call->n_in; i++) split.work += shape_count(&call->in[i].shape);
  for (int o = 0; o < call->n_out; o++) split.work += shape_count(&call->out[o].shape);
  if (call->op->split) call->op->split(call, &split);
  return split;
}

static size_t lines(size_t n_bytes) { return (n_bytes + 63) / 64 * 64; }

size_t op_memory_bytes(const OpSplit *split, int threads) {
  if (split->own_bytes == 0) return split->scratch_bytes;
  return lines(split->scratch_bytes) + (size_t)threads * lines(split->own_bytes);
}

void op_set_own(OpCall *call, const OpSplit *split) {
  call->own = lines(split->scratch_bytes);
  call->own_bytes = lines(split->own_bytes);
}

void *op_own(const OpCall *call) {
  if (call->own_bytes == 0) return NULL;
  return (char *)call->scratch + call->own + (size_t)par_seat() * call->own_bytes;
}

DType infer_selected(const OpInfer *io) {
  DType widest = DT_UINT8;
  for (int i = io->op->n_conditions; i < io->n_in; i++) {
    if (io->in[i]->dtype == DT_REAL) return DT_REAL;
    if (io->in[i]->dtype == DT_INT32) widest = DT_INT32;
  }
  return widest;
}

Err infer_broadcast(OpInfer *io) {
  Shape shape = io->in[0]->shape;
  for (int i = 1; i < io->n_in; i++) {
    const Shape so_far = shape;
    const Shape *next = &io->in[i]->shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!shape_broadcast(&shape, &so_far, next)) {
      return fault_set(io->fault, ERR_SHAPE,
                       "shapes %s and %s do not fit: got different sizes of an axis, "
                       "allowed: equal ones, or 1",
                       shape_text(a, &so_far), shape_text(b, next));
    }
  }
  io->out_shape[0] = shape;
  return ERR_OK;
}

Err infer_need_real(const OpInfer *io, int i) {
  static const char *const plain[] = {"x", "y", "z"};
  if (io->in[i]->dtype == DT_REAL) return ERR_OK;
  return fault_set(io->fault, ERR_VALUE, "%s: got %s, allowed: real",
                   io->op->inputs ? io->op->inputs[i] : plain[i],
                   dtype_name(io->in[i]->dtype));
}

void vjp_none(Graph *graph, Node *y, Node *const *gy, const bool *want, Node **gx) {
  (void)graph, (void)y, (void)gy, (void)want, (void)gx;
}
