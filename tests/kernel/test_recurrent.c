/* test_recurrent.c: the gates of recurrent cells, which have functions of their own, at
 * every level that this processor has: how far they are off, that they stay within
 * their range, and that NaN stays NaN. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

enum { H = 37 };

/* In units of the last place of a real near y. */
static double units_off(double got, double want) {
  const double eps = sizeof(real) == sizeof(float) ? 0x1p-24 : 0x1p-53;
  int exponent;
  frexp(want, &exponent);
  return fabs(got - want) / ldexp(eps, exponent);
}

/* What is kept of a step whose gates all see `a` and whose c was 0: i, f, g, o. */
static void gates_of(SimdLevel level, const real *a, real *kept) {
  real h[H] = {0}, c[H] = {0}, bias[4 * H] = {0}, all[4 * H];
  for (int k = 0; k < 4 * H; k++) all[k] = a[k % H];
  tables[level]->lstm_cell(h, c, kept, all, bias, H, false);
}

static void check_gate(const char *what, double a, double got, double want,
                       double most) {
  double off = units_off(got, want);
  if (!(off <= most) || !(fabs(got) <= 1))
    fail_msg("%s of %.9g: %.9g, not %.9g: %.1f units off, %.1f allowed", what, a, got,
             want, off, most);
}

static void check_gates(SimdLevel level, const real *a) {
  real kept[6 * H];
  gates_of(level, a, kept);
  for (int j = 0; j < H; j++) {
    double x = (double)a[j], s = 1 / (1 + exp(-x));
    check_gate("sigmoid", x, (double)kept[H + j], s, 3);
    check_gate("sigmoid", x, (double)kept[4 * H + j], s, 3);
    check_gate("tanh", x, (double)kept[3 * H + j], tanh(x), 6);
  }
}

TEST(gates_are_off_by_a_few_units) {
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int k = 0; k < 4000; k++) {
      real a[H];
      double scale = k % 2 ? 80 : 0.08; /* small ones, too */
      for (int j = 0; j < H; j++) a[j] = (real)(scale * ((k * H + j) / 74000.0 - 1));
      check_gates(level, a);
    }
}

TEST(gates_of_what_is_not_finite) {
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    real a[H] = {(real)INFINITY, -(real)INFINITY, (real)NAN}, kept[6 * H];
    gates_of(level, a, kept);
    check_gate("sigmoid", INFINITY, (double)kept[H], 1, 0);
    check_gate("tanh", INFINITY, (double)kept[3 * H], 1, 6);
    assert_true(kept[H + 1] >= 0 && kept[H + 1] < (real)1e-37);
    check_gate("tanh", -INFINITY, (double)kept[3 * H + 1], -1, 6);
    for (int part = 0; part < 6; part++) assert_true(isnan(kept[part * H + 2]));
  }
}
