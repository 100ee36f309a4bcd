/* kernel.h: loops on raw pointers. Knows no tensor.
 *
 * Files in kernel/vector/ are compiled once per SIMD level (plain, avx2, avx512) from
 * one source, with FMA contraction off; each level gives one table of functions. The
 * level is chosen once per process. A kernel is one line in <family>.def and one
 * function `void KN(name)(...)` in vector/<family>.c.
 *
 * Letters: N rows or batch, C channels or columns, M x K times K x N in a product, n
 * elements. Outputs first, then inputs, then sizes. Strides of inputs, where there are
 * any, are 0 (one element, broadcast) or 1.
 *
 * Bits: a kernel's result depends on its arguments alone; sums use a fixed number of
 * lanes and accumulate in double across tiles. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "base/philox.h"
#include "base/real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Euclidean norms. The square of a double may leave the range of double: a state has a
 * sum of squares for each of three sizes of |x|, those of the outer two scaled by
 * powers of 2 (Blue, "A portable Fortran program to find the Euclidean norm of a
 * vector", 1978; the bounds are LAPACK's). Floats are all of middle size. */
enum { NORM_SMALL, NORM_MIDDLE, NORM_LARGE, NORM_STATE };
#define NORM_TINY 0x1p-511 /* below: small, and scaled up */
#define NORM_HUGE 0x1p486  /* above: large, and scaled down */
#define NORM_UP 0x1p537
#define NORM_DOWN 0x1p-538

typedef struct RealSpan {
  void *x; /* reals */
  int64_t n;
} RealSpan;

/* Factors of one Adam step. */
typedef struct AdamRates {
  real lr, scale;    /* scale: of the gradient */
  real beta1, rest1; /* rest1 = 1 - beta1, rounded once */
  real beta2, rest2;
  real correction1, correction2; /* 1 / (1 - beta^t) */
  real eps;
  real coupled; /* weight decay added to the gradient */
  real shrink;  /* lr * weight decay, taken from the weight itself */
} AdamRates;

/* An expression is several elementwise ops on arrays of one size, one after the other.
 * Its registers hold as many elements as are taken at a time: first of the streams,
 * which are arrays, then of the numbers, then of what one step leaves to a later one.
 */
typedef enum ExpressionOp {
  EXPR_NONE,
#define STEP(name, value) EXPR_##name,
#include "kernel/step.def"
#undef STEP
} ExpressionOp;

enum {
  EXPRESSION_BLOCK = 256,
  EXPRESSION_REGISTERS = 32,
  EXPRESSION_OPERANDS = 3,
  EXPRESSION_STEPS = 32 /* of a loop */
};

typedef struct ExpressionStep {
  ExpressionOp op;
  int n_in; /* operands that it has; a search for its loop needs them */
  int out, in[EXPRESSION_OPERANDS]; /* registers; of operands that it has not: any */
  real p, q;                        /* its numbers in step.def */
} ExpressionStep;

typedef struct Expression {
  const ExpressionStep *steps;
  int n_steps, n_streams, n_numbers;
  int n_registers; /* in all; at most EXPRESSION_REGISTERS */
  int loop;        /* of loop.def, that is these steps; 0: none */
} Expression;

/* The number of the loop in loop.def, from 1, that is just these steps; 0: none. */
int expression_loop(const Expression *e);

/* A step of such a loop: what `in` and `stream` are, loop.c says. */
typedef struct LoopStep {
  ExpressionOp op;
  int in[EXPRESSION_OPERANDS], stream;
} LoopStep;

/* The steps in this form; which is which of their registers makes no difference. */
void expression_as_loop(const Expression *e, LoopStep *out);

/* Strides of the rows of the matrices of a product, as they are stored. */
typedef struct GemmStrides {
  int64_t a, b, c;
  bool transpose_a, transpose_b; /* A is stored [K, M], B [N, K] */
  bool far_c;                    /* C lies in memory: its lines are fetched ahead */
  /* Memory that may be fetched meanwhile, for what the caller does next; none where A
   * is transposed. */
  const real *ahead;
  int64_t n_ahead;
} GemmStrides;

/* Windows that move over an image of one channel: along rows (0) and columns (1) `size`
 * positions. Adaptive: window i of n elements is from floor(i n / size) to
 * ceil((i + 1) n / size). Every window has an element of the image. */
typedef enum PoolDivisor {
  POOL_WITHOUT_PADDING, /* of a mean: the elements of the image in the window */
  POOL_WITH_PADDING,    /* those of the image and its padding */
  POOL_SUM              /* 1 */
} PoolDivisor;
typedef struct PoolPlane {
  int64_t n[2], size[2], kernel[2], stride[2], before[2], after[2], dilation[2];
  bool adaptive;
  PoolDivisor divisor;
  bool positive; /* places of the largest: of windows alone where it is above 0 */
} PoolPlane;

/* The elements of the image in a window along one axis. */
typedef struct PoolWindow {
  int64_t first, n, step;
  int64_t counted; /* the same with those of the padding, as `divisor` says */
} PoolWindow;

static inline PoolWindow pool_window(const PoolPlane *v, int way, int64_t at) {
  int64_t n = v->n[way], step = v->dilation[way];
  if (v->adaptive) {
    int64_t P = v->size[way], first = at * n / P, end = ((at + 1) * n + P - 1) / P;
    return (PoolWindow){first, end - first, 1, end - first};
  }
  int64_t start = at * v->stride[way] - v->before[way];
  int64_t skipped = start < 0 ? (-start + step - 1) / step : 0;
  int64_t first = start + skipped * step, room = n + v->after[way] - start;
  int64_t inside = first < n ? (n - 1 - first) / step + 1 : 0;
  int64_t padded = room > 0 ? (room - 1) / step + 1 : 0, K = v->kernel[way];
  inside = inside < K - skipped ? inside : K - skipped;
  return (PoolWindow){first, inside, step,
                      v->divisor == POOL_WITHOUT_PADDING ? inside
                      : padded < K                       ? padded
                                                         : K};
}

/* Products are summed in chunks of K of at most so many rows of B. */
enum { GEMM_DEPTH = 256 };
/* Reals of a B [K, N] that is copied for many products, at most: see gemm_pack. */
#define GEMM_PACKED(N, K) (((K) + 16 * ((K) / 256 + 1)) * (((N) + 15) / 16 * 16))
typedef struct GemmPacked {
  int64_t M, N, K;
  int64_t row_a, row_c; /* from row to row, or of an A stored [K, M] (transposed) */
  bool transposed;
  bool add; /* to C, which else is not read */
  /* Memory that may be fetched meanwhile, for what the caller does next; none where A
   * is transposed. */
  const real *ahead;
  int64_t n_ahead;
} GemmPacked;

/* Sums over taps with pixels side by side, of M results of rows of n pixels:
 *   y[g * y_image + m * y_result + i * y_row + j]
 *     (+)= sum_k b[k * lanes + m] x[g * x_image + i * x_row + step[k] + j]
 * with `add` to what y holds. No other elements are read. n, K >= 1. */
typedef struct ConvAlong {
  real *y;
  const real *x, *b;
  const int32_t *step;
  int64_t K, lanes, M;
  int64_t n_images, n_rows, n;
  int64_t y_result, y_image, y_row, x_image, x_row;
  bool add;
} ConvAlong;

/* Sums over rows of n pixels of what the S taps of a row of the kernel see, which lie
 * side by side, for one vector of results:
 *   c[(k * S + s) * WIDTH + l]
 *     += sum over o, i, j of b[(o * b_step[0] + i * b_step[1] + j) * WIDTH + l]
 *                            x[o * x_step[0] + i * x_step[1] + tap[k * S] + j + s]
 * for o < n_rows[0], i < n_rows[1], j < n in this order, of those terms alone with
 * begin <= j + s < end: no others are read. begin < S <= n <= end. */
typedef struct ConvSlide {
  real *c;
  const real *x, *b;
  const int32_t *tap;
  int64_t n_lines, S, n, begin, end;
  int64_t n_rows[2], x_step[2], b_step[2];
} ConvSlide;

/* Convolutions by tiles: points along a side of one, at most; how many tiles kernels
 * may write where there are fewer; pixels of a row of x that tiles are taken from;
 * reals of tiles on half of the way, with one axis at points. */
enum { WINOGRAD_POINTS = 6, WINOGRAD_SLACK = 16 };
#define WINOGRAD_PIXELS(columns) (2 * ((columns) < 16 ? 16 : (columns)) + 4)
#define WINOGRAD_HALF(rows, columns) \
  (2 * WINOGRAD_POINTS * (((rows) + 2) * (columns) + WINOGRAD_SLACK))

/* What the rows of a softmax see: row i columns 0 .. causal + i, where the mask, if
 * any, is above 1/2; that of the next row is `stride` on. */
typedef struct SoftmaxMask {
  const real *mask; /* NULL: none */
  int64_t stride, causal;
} SoftmaxMask;

/* A pixel between two others: `part` of high, the rest of low. */
typedef struct ResampleTap {
  int32_t low, high;
  real part;
} ResampleTap;

typedef struct Kernels {
#define KERNEL(type, name, args) type(*name) args;
#include "kernel/kernel.def"
#undef KERNEL
} Kernels;

/* The table of the level in use. */
const Kernels *kernels(void);

#ifdef SIMD_LEVEL /* inside kernel/vector: avx512, avx2 or plain */
#define KN_PASTE(name, level) kernel_##name##_##level
#define KN_EXPAND(name, level) KN_PASTE(name, level)
#define KN(name) KN_EXPAND(name, SIMD_LEVEL)
#define KERNEL(type, name, args) type KN(name) args;
#include "kernel/kernel.def"
#undef KERNEL
#endif

#endif
