/* Elementwise kernels of every level that this processor has, against the C library in
 * double: accuracy over bit patterns of all magnitudes, special values, and tails that
 * give the bits of the main loop. LONG=1 in the environment visits all 2^32 floats. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"
#include <float.h>

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

#ifdef REAL_DOUBLE
#define SMALLEST DBL_MIN
#define LARGEST DBL_MAX
enum { DIGITS = DBL_MANT_DIG };
#else
#define SMALLEST FLT_MIN
#define LARGEST FLT_MAX
enum { DIGITS = FLT_MANT_DIG };
#endif

/* -- references -------------------------------------------------------------------- */

static double r_neg(double x) { return -x; }
static double r_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double r_square(double x) { return x * x; }
static double r_reciprocal(double x) { return 1 / x; }
static double r_sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
static double r_softplus(double x) {
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double r_relu(double x) { return x <= 0 ? 0 : x; }
static double r_selu(double x) {
  return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
}

typedef void (*Unary)(real *, const real *, int64_t);
typedef struct UnaryCase {
  const char *name;
  Unary kernel;
  double (*want)(double);
  double ulp;              /* allowed error */
} UnaryCase;

#define UNARY(X)                                                                       \
  X(neg, r_neg, 0) X(abs, fabs, 0) X(sign, r_sign, 0) X(square, r_square, 0.5)         \
  X(sqrt, sqrt, 0.5) X(reciprocal, r_reciprocal, 0.5) X(exp, exp, 2)                   \
  X(expm1, expm1, 2) X(log, log, 2) X(log1p, log1p, 2) X(sin, sin, 2) X(cos, cos, 2)   \
  X(tanh, tanh, 2) X(erf, erf, 2) X(floor, floor, 0) X(ceil, ceil, 0) X(round, rint, 0)\
  X(sigmoid, r_sigmoid, 2) X(softplus, r_softplus, 2) X(relu, r_relu, 0)               \
  X(selu, r_selu, 4)

enum { MAX_UNARY = 32 };

static int unary_cases(const Kernels *k, UnaryCase *out) {
  int n = 0;
#define X(name, want, ulp) out[n++] = (UnaryCase){#name, k->name, want, ulp};
  UNARY(X)
#undef X
  return n;
}

/* -- error ------------------------------------------------------------------------- */

/* |got - want| in units in the last place of want; special values must be met
 * exactly. */
static double ulp_error(double got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  double rounded = (real)want;
  if (fabs(rounded) > LARGEST) return got == rounded ? 0 : INFINITY;
  if (want == 0) return got == 0 && !signbit(got) == !signbit(want) ? 0 : INFINITY;
  if (fabs(want) < SMALLEST) return fabs(got) <= SMALLEST ? 0 : INFINITY;
  int exponent;
  frexp(want, &exponent);
  double error = ldexp(fabs(got - want), DIGITS - exponent);
  return isnan(error) ? INFINITY : error;
}

/* A denormal argument may count as itself or as zero. */
static double unary_error(const UnaryCase *c, double x, double got) {
  double error = ulp_error(got, c->want(x));
  if (fabs(x) < SMALLEST) {
    double at_zero = c->want(copysign(0, x));
    double flushed = ulp_error(got, at_zero);
    if (flushed < error) error = flushed;
    if (at_zero == 0 && fabs(got) <= SMALLEST) error = 0;
  }
  return error;
}

/* The real whose upper (float: all) bits are `pattern`. */
static real real_of_pattern(uint32_t pattern) {
  real x;
#ifdef REAL_DOUBLE
  uint64_t bits = (uint64_t)pattern << 32 | (pattern * 2654435761u);
  memcpy(&x, &bits, sizeof x);
#else
  memcpy(&x, &pattern, sizeof x);
#endif
  return x;
}

enum { TILE = 4096 };

/* Patterns first, first + step ...: n of them, in tiles. */
static void sweep(const UnaryCase *c, const char *level, uint64_t n, uint32_t step) {
  static real x[TILE], y[TILE];
  double worst = 0, worst_x = 0;
  for (uint64_t first = 0; first < n; first += TILE) {
    for (int i = 0; i < TILE; i++) x[i] = real_of_pattern((uint32_t)(first + i) * step);
    c->kernel(y, x, TILE);
    for (int i = 0; i < TILE; i++) {
      double error = unary_error(c, x[i], y[i]);
      if (!(error <= worst)) worst = error, worst_x = x[i];
    }
  }
  if (getenv("LONG"))
    printf("%-11s %-7s %.3f ulp at %a\n", c->name, level, worst, worst_x);
  real at = (real)worst_x;
  real got;
  c->kernel(&got, &at, 1);
  if (!(worst <= c->ulp)) {
    fail_msg("%s (%s) at %.9g: got %.17g, want %.17g: %g ulp, allowed %g", c->name,
             level, worst_x, (double)got, c->want(worst_x), worst, c->ulp);
  }
}

TEST(unary_kernels_are_accurate) {
  bool all = getenv("LONG") != NULL;
  for (int level = 0; level <= (int)simd_level(); level++) {
    UnaryCase cases[MAX_UNARY];
    int n = unary_cases(tables[level], cases);
    for (int i = 0; i < n; i++) {
      sweep(&cases[i], simd_name(level), all ? (uint64_t)1 << 32 : 100000,
            all ? 1 : 42949673);
    }
  }
}

/* Dense where the interesting things happen: 200,001 points of [-110, 110]. */
TEST(unary_kernels_are_accurate_near_zero) {
  enum { POINTS = 200001 };
  real *x = malloc(POINTS * sizeof *x);
  real *y = malloc(POINTS * sizeof *y);
  for (int i = 0; i < POINTS; i++) x[i] = (real)((i - POINTS / 2) * 0.0011);
  for (int level = 0; level <= (int)simd_level(); level++) {
    UnaryCase cases[MAX_UNARY];
    int n = unary_cases(tables[level], cases);
    for (int k = 0; k < n; k++) {
      cases[k].kernel(y, x, POINTS);
      for (int i = 0; i < POINTS; i++) {
        double error = unary_error(&cases[k], x[i], y[i]);
        if (!(error <= cases[k].ulp))
          fail_msg("%s (%s) at %.9g: got %.9g: %g ulp", cases[k].name, simd_name(level),
                   (double)x[i], (double)y[i], error);
      }
    }
  }
  free(x);
  free(y);
}

/* -- tails ------------------------------------------------------------------------- */

static const real specials[] = {0, (real)-0.0, 1, -1, 2, -2, (real)0.5, (real)-0.5,
                                3, -3, (real)2.5, (real)-2.5, 100, -100,
                                INFINITY, -INFINITY, NAN,
                                (real)1e-30, (real)-1e-30, (real)1e30, (real)-1e30,
                                (real)1e7, (real)-1e7, (real)0.7, (real)-0.7, 10, -10};
enum { N_SPECIALS = sizeof specials / sizeof *specials };
static const int sizes[] = {1, 7, 16, 33, 1000};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MAX_SIZE = 1000 };

/* Any NaN stands for all: its sign and payload are not promised. */
static bool same_value(real a, real b) {
  return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

TEST(unary_kernels_give_equal_bits_in_tails_and_in_place) {
  real x[MAX_SIZE], y[MAX_SIZE + 1], alone;
  for (int i = 0; i < MAX_SIZE; i++) {
    x[i] = i < N_SPECIALS ? specials[i] : (real)((i * 37 % 400 - 200) * 0.173);
  }
  for (int level = 0; level <= (int)simd_level(); level++) {
    UnaryCase cases[MAX_UNARY];
    int n_cases = unary_cases(tables[level], cases);
    for (int k = 0; k < n_cases * N_SIZES; k++) {
      const UnaryCase *c = &cases[k / N_SIZES];
      int n = sizes[k % N_SIZES];
      y[n] = 12345;
      c->kernel(y, x, n);
      assert_true(y[n] == 12345);
      for (int i = 0; i < n; i++) {
        c->kernel(&alone, &x[i], 1);
        if (!same_value(alone, y[i]))
          fail_msg("%s: %a alone, %a among %d", c->name, (double)alone, (double)y[i],
                   n);
        assert_true(unary_error(c, x[i], y[i]) <= c->ulp);
      }
      real again[MAX_SIZE];
      memcpy(again, x, sizeof again);
      c->kernel(again, again, n);
      for (int i = 0; i < n; i++) assert_true(same_value(again[i], y[i]));
    }
  }
}

/* -- two inputs -------------------------------------------------------------------- */

static double r_add(double a, double b) { return a + b; }
static double r_sub(double a, double b) { return a - b; }
static double r_mul(double a, double b) { return a * b; }
static double r_div(double a, double b) { return a / b; }
static double r_max(double a, double b) { return isnan(a) || a > b ? a : b; }
static double r_min(double a, double b) { return isnan(a) || a < b ? a : b; }
static double r_eq(double a, double b) { return a == b; }
static double r_ne(double a, double b) { return a != b; }
static double r_lt(double a, double b) { return a < b; }
static double r_le(double a, double b) { return a <= b; }
static double r_gt(double a, double b) { return a > b; }
static double r_ge(double a, double b) { return a >= b; }

#define BINARY(X)                                                                      \
  X(add, r_add, 0.5) X(sub, r_sub, 0.5) X(mul, r_mul, 0.5) X(div, r_div, 0.5)          \
  X(pow, pow, 1) X(maximum, r_max, 0) X(minimum, r_min, 0) X(eq, r_eq, 0)              \
  X(ne, r_ne, 0) X(lt, r_lt, 0) X(le, r_le, 0) X(gt, r_gt, 0) X(ge, r_ge, 0)

typedef struct BinaryCase {
  const char *name;
  void (*kernel)(real *, const real *, int64_t, const real *, int64_t, int64_t);
  double (*want)(double, double);
  double ulp;
} BinaryCase;

static void check_binary(const BinaryCase *c, const real *a, int64_t sa, const real *b,
                         int64_t sb, int n) {
  real y[MAX_SIZE + 1], alone;
  y[n] = 12345;
  c->kernel(y, a, sa, b, sb, n);
  assert_true(y[n] == 12345);
  for (int i = 0; i < n; i++) {
    double u = a[sa * i], v = b[sb * i];
    if (!(ulp_error(y[i], c->want(u, v)) <= c->ulp))
      fail_msg("%s(%g, %g), strides %d %d: got %.9g", c->name, u, v, (int)sa, (int)sb,
               (double)y[i]);
    c->kernel(&alone, &a[sa * i], 1, &b[sb * i], 1, 1);
    assert_true(same_value(alone, y[i]));
  }
}

TEST(binary_kernels_are_right_for_all_strides) {
  real a[MAX_SIZE], b[MAX_SIZE];
  for (int i = 0; i < MAX_SIZE; i++) {
    a[i] = specials[i % N_SPECIALS];
    b[i] = specials[i / N_SPECIALS % N_SPECIALS];
  }
  for (int level = 0; level <= (int)simd_level(); level++) {
    const Kernels *k = tables[level];
    const BinaryCase cases[] = {
#define X(name, want, ulp) {#name, k->name, want, ulp},
        BINARY(X)
#undef X
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      for (int s = 0; s < N_SIZES; s++) {
        check_binary(&cases[i], a, 1, b, 1, sizes[s]);
        for (int j = 0; j < N_SPECIALS; j++) {
          check_binary(&cases[i], a, 1, &specials[j], 0, sizes[s]);
          check_binary(&cases[i], &specials[j], 0, a, 1, sizes[s]);
          check_binary(&cases[i], &specials[j], 0, &specials[3], 0, sizes[s]);
        }
      }
    }
  }
}

TEST(where_selects_for_all_strides) {
  real c[33], a[33], b[33], y[34];
  for (int i = 0; i < 33; i++) {
    c[i] = (real)(i % 3 == 0);
    a[i] = (real)i;
    b[i] = (real)-i;
  }
  c[3] = NAN;
  for (int level = 0; level <= (int)simd_level(); level++) {
    for (int combo = 0; combo < 8; combo++) {
      int sc = combo & 1, sa = combo >> 1 & 1, sb = combo >> 2;
      y[33] = 12345;
      tables[level]->where(y, c + 1 - sc, sc, a + 2, sa, b + 2, sb, 31);
      assert_true(y[33] == 12345);
      for (int i = 0; i < 31; i++) {
        real want = (c + 1 - sc)[sc * i] != 0 ? (a + 2)[sa * i] : (b + 2)[sb * i];
        assert_true(y[i] == want);
      }
    }
  }
}

/* -- parameters and types ---------------------------------------------------------- */

TEST(kernels_with_parameters_are_right) {
  real x[33], y[33];
  for (int i = 0; i < 33; i++) x[i] = (real)((i - 16) * 0.37);
  x[0] = NAN;
  for (int level = 0; level <= (int)simd_level(); level++) {
    const Kernels *k = tables[level];
    k->leaky_relu(y, x, 33, (real)0.25);
    assert_true(isnan(y[0]));
    for (int i = 1; i < 33; i++) assert_true(y[i] == (x[i] > 0 ? x[i] : x[i] / 4));
    k->clip(y, x, 33, (real)-1.5, 2);
    assert_true(isnan(y[0]));
    for (int i = 1; i < 33; i++)
      assert_true(y[i] == (x[i] < -1.5 ? (real)-1.5 : x[i] > 2 ? 2 : x[i]));
    k->elu(y, x, 33, (real)1.5);
    assert_true(isnan(y[0]));
    for (int i = 1; i < 33; i++)
      CHECK_NEAR(y[i], x[i] > 0 ? x[i] : 1.5 * expm1(x[i]), 4 * REAL_EPS);
  }
}

TEST(conversions_keep_integers) {
  enum { N = 300 };
  int32_t i32[N];
  uint8_t u8[N];
  real y[N];
  for (int i = 0; i < N; i++) i32[i] = (i - 150) * 111848, u8[i] = (uint8_t)i;
  for (int level = 0; level <= (int)simd_level(); level++) {
    int32_t back[N];
    uint8_t back8[N];
    tables[level]->real_from_int32(y, i32, N);
    tables[level]->int32_from_real(back, y, N);
    assert_memory_equal(back, i32, sizeof i32);
    tables[level]->real_from_uint8(y, u8, N);
    tables[level]->uint8_from_real(back8, y, N);
    assert_memory_equal(back8, u8, sizeof u8);
  }
}
