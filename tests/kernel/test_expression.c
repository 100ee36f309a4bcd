/* test_expression.c: an expression gives the bytes of its steps, each computed alone
 * over whole arrays, at every level; it writes nothing beyond its streams. What a step
 * computes is tested as an op (tests/graph). */
#include "test.h"
#include "base/philox.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

enum { N_OPS_OF_STEPS = 0
#define STEP(name, value) +1
#include "kernel/step.def"
#undef STEP
};

/* Registers: streams, numbers, and what is kept between steps. */
enum { STREAMS = 5, NUMBERS = 2, KEPT = 3, REGISTERS = STREAMS + NUMBERS + KEPT };
enum { N_STEPS = 14, MOST = 3 * EXPRESSION_BLOCK + 7 };

typedef struct Arrays {
  real v[REGISTERS][MOST + 1]; /* one more element as a guard */
} Arrays;

static Arrays whole, alone;
static const real numbers[NUMBERS] = {(real)0.25, (real)-1.5};

static uint32_t die(uint32_t sides) {
  static uint64_t at;
  return philox_word((Stream){philox_key(1, "test", "expression"), 0}, at++) % sides;
}

/* A register that has a value: those that are kept are written in their order at first.
 */
static int operand(int n_kept) {
  return (int)die((uint32_t)(STREAMS + NUMBERS + n_kept));
}

static void make_steps(ExpressionStep *steps) {
  for (int k = 0; k < N_STEPS; k++) {
    int n_kept = k < KEPT ? k : KEPT;
    ExpressionStep *s = &steps[k];
    *s = (ExpressionStep){.op = (ExpressionOp)(1 + die(N_OPS_OF_STEPS)),
                          .p = (real)0.75, .q = (real)0.25};
    for (int i = 0; i < EXPRESSION_OPERANDS; i++) s->in[i] = operand(n_kept);
    int any = (int)die(STREAMS + KEPT);
    s->out = k < KEPT || any >= STREAMS
                 ? STREAMS + NUMBERS + (k < KEPT ? k : any - STREAMS)
                 : any;
  }
}

static void fill(Arrays *x) {
  for (int r = 0; r < REGISTERS; r++)
    for (int i = 0; i <= MOST; i++) {
      bool number = r >= STREAMS && r < STREAMS + NUMBERS;
      x->v[r][i] = number ? numbers[r - STREAMS]
                          : (real)((r * 31 + i * 7) % 23) / 8 - 1;
    }
}

/* Each step with all its registers as streams. */
static void run_alone(const Kernels *k, const ExpressionStep *steps, int64_t n) {
  real *stream[REGISTERS];
  for (int r = 0; r < REGISTERS; r++) stream[r] = alone.v[r];
  for (int i = 0; i < N_STEPS; i++) {
    Expression e = {.steps = &steps[i], .n_steps = 1, .n_streams = REGISTERS,
                    .n_registers = REGISTERS};
    k->expression(&e, stream, NULL, n);
  }
}

static void check(const Kernels *k, const ExpressionStep *steps, int64_t n) {
  real *stream[STREAMS];
  Expression e = {.steps = steps, .n_steps = N_STEPS, .n_streams = STREAMS,
                  .n_numbers = NUMBERS, .n_registers = REGISTERS};
  fill(&whole);
  fill(&alone);
  for (int r = 0; r < STREAMS; r++) stream[r] = whole.v[r];
  k->expression(&e, stream, numbers, n);
  run_alone(k, steps, n);
  for (int r = 0; r < STREAMS; r++)
    assert_memory_equal(whole.v[r], alone.v[r], sizeof whole.v[r]);
}

TEST(an_expression_gives_the_bytes_of_its_steps) {
  static const int64_t sizes[] = {0, 1, EXPRESSION_BLOCK - 1, EXPRESSION_BLOCK,
                                  EXPRESSION_BLOCK + 1, MOST};
  ExpressionStep steps[N_STEPS];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int program = 0; program < 200; program++) {
      make_steps(steps);
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        check(tables[level], steps, sizes[s]);
    }
}

/* What is written over its own operand. */
TEST(a_stream_may_be_given_twice) {
  const ExpressionStep steps[] = {{.op = EXPR_square, .out = 2, .in = {0}},
                                  {.op = EXPR_add, .out = 1, .in = {2, 0}}};
  Expression e = {.steps = steps, .n_steps = 2, .n_streams = 2, .n_registers = 3};
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int64_t n = 1; n <= MOST; n += 97) {
      fill(&whole);
      real *stream[] = {whole.v[0], whole.v[0]};
      fill(&alone);
      tables[level]->expression(&e, stream, NULL, n);
      for (int64_t i = 0; i < n; i++) {
        real x = alone.v[0][i];
        assert_true(whole.v[0][i] == x * x + x);
      }
      assert_true(whole.v[0][n] == alone.v[0][n]);
    }
}
