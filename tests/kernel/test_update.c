/* test_update.c: optimizer kernels of every level against plain loops in double, the
 * same bits in place as apart, and tails that stay inside. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const int64_t sizes[] = {1, 15, 16, 17, 1000, 20001};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 20001 };
#define TOLERANCE (8 * REAL_EPS)

/* Weights, gradient, slots, and what becomes of them; one more element as a guard. */
typedef struct Arrays {
  real w[MOST + 1], g[MOST + 1], m[MOST + 1], v[MOST + 1];
  real w_out[MOST + 1], m_out[MOST + 1], v_out[MOST + 1];
} Arrays;

static Arrays a, b;

static void fill(Arrays *x) {
  Stream stream = {philox_key(1, "test", "update"), 0};
  for (int64_t i = 0; i <= MOST; i++) {
    uint32_t words[4];
    philox_block(words, stream, (uint64_t)i);
    x->w[i] = (real)(2 * philox_unit(words[0]) - 1);
    x->g[i] = (real)(2 * philox_unit(words[1]) - 1);
    x->m[i] = (real)(2 * philox_unit(words[2]) - 1);
    x->v[i] = (real)(0.01 + philox_unit(words[3]));
    x->w_out[i] = x->m_out[i] = x->v_out[i] = 77;
  }
}

static void check_guards(const Arrays *x, int64_t n) {
  assert_true(x->w_out[n] == 77 && x->m_out[n] == 77 && x->v_out[n] == 77);
}

TEST(sgd_agrees_with_a_plain_loop) {
  const real lr = (real)0.1, decay = (real)0.01, scale = (real)0.5;
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      int64_t n = sizes[s];
      fill(&a);
      tables[level]->update_sgd(a.w_out, a.w, a.g, n, lr, decay, scale);
      for (int64_t i = 0; i < n; i++) {
        double w = a.w[i], g = (double)scale * a.g[i] + (double)decay * w;
        CHECK_NEAR(a.w_out[i], w - (double)lr * g, TOLERANCE);
      }
      check_guards(&a, n);
      fill(&b);
      tables[level]->update_sgd(b.w, b.w, b.g, n, lr, decay, scale);
      assert_memory_equal(b.w, a.w_out, (size_t)n * sizeof(real));
    }
}

static void check_momentum(const Kernels *k, int64_t n, bool nesterov) {
  const real lr = (real)0.1, mu = (real)0.9, decay = (real)0.01, scale = (real)0.5;
  fill(&a);
  k->update_momentum(a.w_out, a.v_out, a.w, a.g, a.v, n, lr, mu, decay, scale,
                     nesterov);
  for (int64_t i = 0; i < n; i++) {
    double w = a.w[i], g = (double)scale * a.g[i] + (double)decay * w;
    double v = (double)mu * a.v[i] + g, step = nesterov ? g + (double)mu * v : v;
    CHECK_NEAR(a.v_out[i], v, TOLERANCE);
    CHECK_NEAR(a.w_out[i], w - (double)lr * step, TOLERANCE);
  }
  check_guards(&a, n);
  fill(&b);
  k->update_momentum(b.w, b.v, b.w, b.g, b.v, n, lr, mu, decay, scale, nesterov);
  assert_memory_equal(b.w, a.w_out, (size_t)n * sizeof(real));
  assert_memory_equal(b.v, a.v_out, (size_t)n * sizeof(real));
}

TEST(momentum_agrees_with_a_plain_loop) {
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      check_momentum(tables[level], sizes[s], false);
      check_momentum(tables[level], sizes[s], true);
    }
}

static void check_adam(const Kernels *k, int64_t n, double coupled, double shrink) {
  const AdamRates r = {.lr = (real)0.01, .scale = (real)0.5, .beta1 = (real)0.9,
                       .rest1 = (real)0.1, .beta2 = (real)0.999, .rest2 = (real)0.001,
                       .correction1 = (real)1.5, .correction2 = (real)20,
                       .eps = (real)1e-8, .coupled = (real)coupled,
                       .shrink = (real)shrink};
  fill(&a);
  k->update_adam(a.w_out, a.m_out, a.v_out, a.w, a.g, a.m, a.v, n, &r);
  for (int64_t i = 0; i < n; i++) {
    double w = a.w[i], g = (double)r.scale * a.g[i] + (double)r.coupled * w;
    double m = (double)r.beta1 * a.m[i] + (double)r.rest1 * g;
    double v = (double)r.beta2 * a.v[i] + (double)r.rest2 * g * g;
    double root = sqrt(v * (double)r.correction2) + (double)r.eps;
    CHECK_NEAR(a.m_out[i], m, TOLERANCE);
    CHECK_NEAR(a.v_out[i], v, TOLERANCE);
    CHECK_NEAR(a.w_out[i],
               w - (double)r.lr * m * (double)r.correction1 / root -
                   (double)r.shrink * w,
               TOLERANCE);
  }
  check_guards(&a, n);
  fill(&b);
  k->update_adam(b.w, b.m, b.v, b.w, b.g, b.m, b.v, n, &r);
  assert_memory_equal(b.w, a.w_out, (size_t)n * sizeof(real));
  assert_memory_equal(b.m, a.m_out, (size_t)n * sizeof(real));
  assert_memory_equal(b.v, a.v_out, (size_t)n * sizeof(real));
}

TEST(adam_agrees_with_a_plain_loop) {
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int s = 0; s < N_SIZES; s++) {
      check_adam(tables[level], sizes[s], 0, 0);
      check_adam(tables[level], sizes[s], 0.01, 0);
      check_adam(tables[level], sizes[s], 0, 0.001);
    }
}
