/* ops_leaf.c: the nodes that hold or rename a value; none of them computes.
 *
 *   constant  a given tensor
 *   read      what its input is, cut for the gradient: a variable at one moment, a
 *             detached value, or a fresh leaf to differentiate by
 *   pick      one output of a node with several; the gradient flows into that output */
#include "graph/op.h"

static Err infer_leaf(OpInfer *io) {
  return fault_set(io->fault, ERR_VALUE, "is made by the graph, not applied");
}

static void run_leaf(const OpCall *call, int phase, int64_t block) {
  (void)phase, (void)block;
  must(!call);
}

const Op op_record_constant = {
    .name = "constant", .n_in = 0, .n_out = 1, .flags = OP_LEAF | OP_INTERNAL,
    .doc = "a given value", .infer = infer_leaf, .run = run_leaf, .vjp = vjp_none};

const Op op_record_read = {
    .name = "read", .n_in = 1, .n_out = 1, .flags = OP_LEAF | OP_INTERNAL,
    .doc = "a variable at one moment, or a value without its history",
    .infer = infer_leaf, .run = run_leaf, .vjp = vjp_none};

const Op op_record_pick = {
    .name = "pick", .n_in = 1, .n_out = 1, .flags = OP_INTERNAL,
    .attrs = OP_ATTRS({.name = "output", .kind = ATTR_INT,
                       .doc = "which output, from 0"}),
    .doc = "one output of an op that has several",
    .infer = infer_leaf, .run = run_leaf, .vjp = vjp_none};
