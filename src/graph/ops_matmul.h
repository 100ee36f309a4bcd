/* ops_matmul.h: what a matrix product is to kernel/gemm.h. */
#ifndef GRAPH_OPS_MATMUL_H
#define GRAPH_OPS_MATMUL_H

#include "graph/op.h"
#include "kernel/gemm.h"

/* Of two matrices, x and y of a matmul with these attributes; without their elements.
 */
Gemm matmul_gemm(const Shape *x, const Shape *y, const Attr *attr);

#endif
