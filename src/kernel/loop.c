/* loop.c: which expressions are loops of their own; see loop.def.
 *
 * A step of a loop is known by its op, by where its operands come from and by which
 * stream it writes: by the same numbers in the lines of loop.def and of an expression,
 * whatever registers that has. 0 is none. */
#include "kernel/kernel.h"
#include <string.h>

enum { FIRST_STREAM = 1, FIRST_NUMBER = FIRST_STREAM + EXPRESSION_REGISTERS,
       FIRST_VALUE = FIRST_NUMBER + EXPRESSION_REGISTERS };

#define READ(stream)
#define L(stream) (FIRST_STREAM + (stream))
#define N(number) (FIRST_NUMBER + (number))
#define V(step) (FIRST_VALUE + (step))
#define NONE 0
#define STEP(k, op, a, b, c) {EXPR_##op, {a, b, c}, 0},
#define WRITE(k, op, a, b, c, to) {EXPR_##op, {a, b, c}, L(to)},
#define LOOP(name, reads, ...) static const LoopStep name[] = {__VA_ARGS__};
#include "kernel/loop.def"
#undef LOOP

static const struct {
  const LoopStep *steps;
  size_t n_bytes;
} loops[] = {
#define LOOP(name, ...) {name, sizeof name},
#include "kernel/loop.def"
#undef LOOP
};

void expression_as_loop(const Expression *e, LoopStep *out) {
  int holds[EXPRESSION_REGISTERS] = {0};
  for (int r = 0; r < e->n_streams; r++) holds[r] = L(r);
  for (int r = 0; r < e->n_numbers; r++) holds[e->n_streams + r] = N(r);
  for (int k = 0; k < e->n_steps; k++) {
    const ExpressionStep *s = &e->steps[k];
    out[k] = (LoopStep){.op = s->op, .stream = s->out < e->n_streams ? L(s->out) : 0};
    for (int i = 0; i < s->n_in; i++) out[k].in[i] = holds[s->in[i]];
    holds[s->out] = V(k);
  }
}

int expression_loop(const Expression *e) {
  LoopStep steps[EXPRESSION_STEPS];
  if (e->n_steps > EXPRESSION_STEPS) return 0;
  expression_as_loop(e, steps);
  size_t n_bytes = (size_t)e->n_steps * sizeof *steps;
  for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
    if (loops[i].n_bytes == n_bytes && !memcmp(loops[i].steps, steps, n_bytes))
      return (int)i + 1;
  return 0;
}
