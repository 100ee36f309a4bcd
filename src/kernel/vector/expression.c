/* expression.c: several elementwise ops as one pass over memory.
 *
 * The arrays are taken EXPRESSION_BLOCK elements at a time. A register is a pointer to
 * so many: into a stream, which goes on from block to block, or to memory on the stack,
 * which holds a number in each element, or what one step leaves to a later one. A block
 * is so small that the processor has the next step under way while a root or a quotient
 * is still being computed, and so large that choosing the step costs little beside it.
 * The last block, which is not full, is computed on copies.
 *
 * The expressions of loop.def, which are the rules of optimizers, are loops of their
 * own: values between steps stay in the processor's registers, and other steps run
 * while a root or a quotient is being computed. The steps are the same functions of one
 * element, so the bytes are, too. */
#include "kernel/kernel.h"
#include "kernel/vector/element.h"
#include <string.h>

/* Of a constant number of elements: that the loop counts seldom is a tenth of its time.
 */
#if defined __GNUC__ && !defined __clang__
#define BLOCK_LOOP VECTOR_LOOP _Pragma("GCC unroll 8")
#else
#define BLOCK_LOOP
#endif

VMATH void run_steps(const Expression *e, real *const *at) {
  for (const ExpressionStep *s = e->steps, *end = s + e->n_steps; s < end; s++) {
    real *y = at[s->out];
    const real *a = at[s->in[0]], *b = at[s->in[1]], *c = at[s->in[2]];
    const real P = s->p, Q = s->q, N = *b;
    switch (s->op) {
#define A a[i]
#define B b[i]
#define C c[i]
#define STEP(name, value)                                                              \
  case EXPR_##name:                                                                    \
    BLOCK_LOOP                                                                         \
    for (int i = 0; i < EXPRESSION_BLOCK; i++) y[i] = value;                           \
    break;
#include "kernel/step.def"
#undef STEP
#undef A
#undef B
#undef C
    case EXPR_NONE: break;
    }
  }
}

/* The n elements that are left, as a block of copies. */
static void run_rest(const Expression *e, real *const *at, const real *number,
                     int64_t n) {
  real room[EXPRESSION_REGISTERS][EXPRESSION_BLOCK], *copy[EXPRESSION_REGISTERS];
  size_t n_bytes = (size_t)n * sizeof(real);
  for (int k = 0; k < e->n_streams; k++) {
    copy[k] = room[k];
    memcpy(room[k], at[k], n_bytes);
    memset(room[k] + n, 0, sizeof room[k] - n_bytes);
  }
  KN(expression)(e, copy, number, EXPRESSION_BLOCK);
  for (const ExpressionStep *s = e->steps; s < e->steps + e->n_steps; s++)
    if (s->out < e->n_streams) memcpy(at[s->out], room[s->out], n_bytes);
}

/* -- loops ------------------------------------------------------------------------- */

#define STEP(name, value)                                                              \
  VMATH real step_##name(real A, real B, real C, real P, real Q) {                     \
    const real N = B;                                                                  \
    (void)A, (void)C, (void)P, (void)Q, (void)N;                                       \
    return value;                                                                      \
  }
#include "kernel/step.def"
#undef STEP

/* Numbers of the steps, streams, numbers of the expression: none of them is written. */
typedef struct LoopArgs {
  real p[EXPRESSION_STEPS], q[EXPRESSION_STEPS], number[EXPRESSION_REGISTERS];
} LoopArgs;

#define READ(j) const real L##j = stream[j][i];
#define L(j) L##j
#define N(j) x->number[j]
#define V(k) V##k
#define NONE 0
#define STEP(k, op, a, b, c) const real V##k = step_##op(a, b, c, x->p[k], x->q[k]);
#define WRITE(k, op, a, b, c, to) STEP(k, op, a, b, c) stream[to][i] = V##k;
#define LOOP(name, reads, ...)                                                         \
  static void name(real *const *stream, const LoopArgs *restrict x, int64_t n) {       \
    VECTOR_LOOP                                                                        \
    for (int64_t i = 0; i < n; i++) {                                                  \
      reads __VA_ARGS__                                                                \
    }                                                                                  \
  }
#include "kernel/loop.def"
#undef LOOP

static void run_loop(const Expression *e, real *const *stream, const real *number,
                     int64_t n) {
  static void (*const loops[])(real *const *, const LoopArgs *, int64_t) = {
#define LOOP(name, ...) name,
#include "kernel/loop.def"
#undef LOOP
  };
  LoopArgs x;
  for (int k = 0; k < e->n_steps; k++) {
    x.p[k] = e->steps[k].p;
    x.q[k] = e->steps[k].q;
  }
  for (int k = 0; k < e->n_numbers; k++) x.number[k] = number[k];
  loops[e->loop - 1](stream, &x, n);
}

void KN(expression)(const Expression *e, real *const *stream, const real *number,
                    int64_t n) {
  if (e->loop) {
    run_loop(e, stream, number, n);
    return;
  }
  _Alignas(64) real room[EXPRESSION_REGISTERS][EXPRESSION_BLOCK];
  real *at[EXPRESSION_REGISTERS];
  for (int k = 0; k < e->n_registers; k++)
    at[k] = k < e->n_streams ? stream[k] : room[k];
  for (int k = 0; k < e->n_numbers; k++)
    for (int i = 0; i < EXPRESSION_BLOCK; i++) room[e->n_streams + k][i] = number[k];
  for (; n >= EXPRESSION_BLOCK; n -= EXPRESSION_BLOCK) {
    run_steps(e, at);
    for (int k = 0; k < e->n_streams; k++) at[k] += EXPRESSION_BLOCK;
  }
  if (n > 0) run_rest(e, at, number, n);
}
