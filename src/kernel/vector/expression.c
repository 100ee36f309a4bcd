/* expression.c: several elementwise ops as one pass over memory.
 *
 * The arrays are taken EXPRESSION_BLOCK elements at a time. A register is a pointer to
 * so many: into a stream, which goes on from block to block, or to memory on the stack,
 * which holds a number in each element, or what one step leaves to a later one. A block
 * is so small that the processor has the next step under way while a root or a quotient
 * is still being computed, and so large that choosing the step costs little beside it.
 * The last block, which is not full, is computed on copies. */
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

void KN(expression)(const Expression *e, real *const *stream, const real *number,
                    int64_t n) {
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
