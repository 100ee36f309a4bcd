/* Elementwise kernels of every level that this processor has, against the C library in
 * double: accuracy over bit patterns of all magnitudes, special values, and tails that
 * give the bits of the main loop. LONG=1 in the environment visits all 2^32 floats and
 * prints the largest error of each function and level; LONG=tanh does so for tanh
 * only. */
#include "test.h"
#include "base/par.h"
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
#define NEXT nextafter
enum { DIGITS = DBL_MANT_DIG };
#else
#define SMALLEST FLT_MIN
#define LARGEST FLT_MAX
#define NEXT nextafterf
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

/* Wide enough that the argument's rounding does not show in the tail. */
#ifdef REAL_DOUBLE
typedef long double Wide;
#define ERFC erfcl
#define EXP expl
#define VANISHED 100 /* where all of gelu is 0 but for the sign */
#else
typedef double Wide;
#define ERFC erfc
#define EXP exp
#define VANISHED 30
#endif

static Wide bounded(double x) {
  return x < -VANISHED ? -VANISHED : x > VANISHED ? VANISHED : x;
}
static Wide r_density(Wide x) {
  return EXP(-x * x / 2) * (Wide)0.398942280401432677939946L;
}
static Wide r_distribution(Wide x) {
  return ERFC(-x * (Wide)0.707106781186547524400844L) / 2;
}
static double r_silu(double x) {
  Wide b = x < -1000 ? -1000 : x, e = EXP(b < 0 ? b : -b);
  return (double)(b < 0 ? b * e / (1 + e) : b / (1 + e));
}
static double r_mish(double x) {
  Wide b = x < -1000 ? -1000 : x, e = EXP(b > 300 ? 300 : b), w = e * (e + 2);
  return (double)(b * (w / (w + 2)));
}
static double r_tanh_shrink(double x) {
  Wide z = (Wide)x * x, k = 0;
  for (int n = 61; n >= 3; n -= 2) k = z / (n + k);
  return fabs(x) < 4 ? (double)(x * (k / (1 + k))) : x - tanh(x);
}
static double r_gelu(double x) {
  Wide b = x < 0 ? bounded(x) : x;
  return (double)(b * r_distribution(b));
}
static double r_gelu_slope(double x) {
  Wide b = bounded(x);
  return (double)(r_distribution(b) + b * r_density(b));
}
static double r_gelu_curve(double x) {
  Wide b = bounded(x);
  return (double)(r_density(b) * (2 - b * b));
}
/* Sizes of their terms, which cancel at one place. */
static double size_of_slope(double x) {
  Wide b = bounded(x);
  return (double)(r_distribution(b) + fabs((double)b) * r_density(b));
}
static double size_of_curve(double x) {
  Wide b = bounded(x);
  return (double)(r_density(b) * (2 + b * b));
}

static const real elu_alpha = (real)1.3;
static double r_elu(double x) { return x > 0 ? x : elu_alpha * expm1(x); }

typedef struct UnaryCase {
  const char *name;
  void (*kernel)(real *, const real *, int64_t);
  void (*kernel_with)(real *, const real *, int64_t, real); /* or this, */
  real parameter;                                           /* with this */
  double (*want)(double);
  double ulp;             /* allowed error */
  double (*size)(double); /* NULL: the result's; units are those of the larger one */
} UnaryCase;

#define UNARY(X)                                                                       \
  X(neg, r_neg, 0) X(abs, fabs, 0) X(sign, r_sign, 0) X(square, r_square, 0.5)         \
  X(sqrt, sqrt, 0.5) X(reciprocal, r_reciprocal, 0.5) X(exp, exp, 2)                   \
  X(expm1, expm1, 2) X(log, log, 2) X(log1p, log1p, 2) X(sin, sin, 2) X(cos, cos, 2)   \
  X(tanh, tanh, 2) X(erf, erf, 2) X(floor, floor, 0) X(ceil, ceil, 0) X(round, rint, 0)\
  X(sigmoid, r_sigmoid, 2) X(softplus, r_softplus, 2) X(relu, r_relu, 0)               \
  X(selu, r_selu, 2) X(silu, r_silu, 4) X(gelu, r_gelu, GELU_ULP)\
  X(tanh_shrink, r_tanh_shrink, 4) X(mish, r_mish, 6)
/* ... and the size of terms that cancel. */
#define UNARY_SIZED(X)                                                                 \
  X(gelu_slope, r_gelu_slope, GELU_ULP, size_of_slope)                                 \
  X(gelu_curve, r_gelu_curve, GELU_ULP, size_of_curve)

#ifdef REAL_DOUBLE
#define GELU_ULP 8
#else
#define GELU_ULP 1
#endif

#define X(...) +1
enum { N_UNARY = 1 UNARY(X) UNARY_SIZED(X) }; /* and elu */
#undef X

static UnaryCase unary_case(SimdLevel level, int i) {
  const Kernels *k = tables[level];
  const UnaryCase cases[N_UNARY] = {
#define X(function, reference, error) \
  {.name = #function, .kernel = k->function, .want = reference, .ulp = error},
      UNARY(X)
#undef X
#define X(function, reference, error, sizes)                                           \
  {.name = #function, .kernel = k->function, .want = reference, .ulp = error,          \
   .size = sizes},
      UNARY_SIZED(X)
#undef X
      {.name = "elu", .kernel_with = k->elu, .parameter = elu_alpha, .want = r_elu,
       .ulp = 2},
  };
  return cases[i];
}

static void unary_run(const UnaryCase *c, real *y, const real *x, int64_t n) {
  if (c->kernel) c->kernel(y, x, n);
  else c->kernel_with(y, x, n, c->parameter);
}

/* -- error ------------------------------------------------------------------------- */

/* |got - want| in units in the last place of want, or of `size` if that is larger;
 * special values must be met exactly. */
static double ulp_error(double got, double want, double size) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  double rounded = (real)want;
  if (fabs(rounded) > LARGEST) return got == rounded ? 0 : INFINITY;
  if (want == 0 && size == 0)
    return got == 0 && !signbit(got) == !signbit(want) ? 0 : INFINITY;
  if (fabs(want) < SMALLEST && fabs(got) <= SMALLEST) return 0;
  if (fabs(want) < SMALLEST && size < SMALLEST) return INFINITY;
  int exponent;
  frexp(fabs(want) > size ? want : size, &exponent);
  double error = ldexp(fabs(got - want), DIGITS - exponent);
  return isnan(error) ? INFINITY : error;
}

static double case_error(const UnaryCase *c, double x, double got) {
  return ulp_error(got, c->want(x), c->size ? c->size(x) : 0);
}

/* A denormal argument may count as itself or as zero. */
static double unary_error(const UnaryCase *c, double x, double got) {
  double error = case_error(c, x, got);
  if (fabs(x) < SMALLEST && x != 0) {
    double zero = copysign(0, x), flushed = case_error(c, zero, got);
    if (flushed < error) error = flushed;
    if (c->want(zero) == 0 && fabs(got) <= SMALLEST) error = 0;
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

/* -- many arguments ---------------------------------------------------------------- */

enum { TILE = 4096, BLOCK = 65536 };

/* The largest error of some results, at argument x. */
typedef struct Worst {
  double error;
  real x, got;
} Worst;

static void worsen(Worst *worst, const Worst *other) {
  if (!(other->error <= worst->error)) *worst = *other;
}

/* unary_error without its special cases, for speed: at least as large. */
static double error_bound(real got, double want) {
#ifdef REAL_DOUBLE
  return got == want ? 0 : INFINITY;
#else
  uint64_t bits;
  memcpy(&bits, &want, sizeof bits);
  uint64_t exponent = bits >> 52 & 0x7ff;
  if (exponent - 897 < 253) { /* 2^-126 <= |want| < 2^127 */
    double per_ulp;
    bits = (1023 + 23 + 1023 - exponent) << 52;
    memcpy(&per_ulp, &bits, sizeof bits);
    return fabs(got - want) * per_ulp;
  }
  float rounded = (float)want;
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  return memcmp(&got, &rounded, sizeof got) == 0 ? 0 : INFINITY;
#endif
}

static Worst tile_worst(const UnaryCase *c, const real *x, const real *y,
                        const double *want, int n) {
  Worst worst = {0};
  for (int i = 0; i < n; i++) {
    if (error_bound(y[i], want[i]) <= worst.error) continue;
    double error = unary_error(c, x[i], y[i]);
    if (!(error <= worst.error)) worst = (Worst){error, x[i], y[i]};
  }
  return worst;
}

/* Function `index` of every level at n <= TILE arguments, against one reference; where
 * denormals are off, they are off for the kernels alone. */
static void check_tile(int index, bool denormals_off, const real *x, int n,
                       Worst *worst) {
  double want[TILE];
  real y[SIMD_LEVELS][TILE];
  Worst here = {0};
  UnaryCase c = unary_case(SIMD_PLAIN, index);
  for (int i = 0; i < n; i++) want[i] = c.want(x[i]);
  for (int level = 0; level <= (int)simd_level(); level++) {
    c = unary_case((SimdLevel)level, index);
    unsigned control = denormals_off ? par_denormals_off() : 0;
    unary_run(&c, y[level], x, n);
    if (denormals_off) par_denormals_restore(control);
    bool same = level > 0 && memcmp(y[level], y[level - 1], sizeof *x * (size_t)n) == 0;
    if (!same) here = tile_worst(&c, x, y[level], want, n);
    worsen(&worst[level], &here);
  }
}

/* Prints the errors where asked to, and fails if one is too large. */
static void judge(int index, const Worst *worst, bool print, double seconds) {
  if (print) printf("%-11s", unary_case(SIMD_PLAIN, index).name);
  for (int level = 0; print && level <= (int)simd_level(); level++)
    printf("%s %.4f ulp at %-16a  ", simd_name((SimdLevel)level), worst[level].error,
           (double)worst[level].x);
  if (print) printf("%5.0f s\n", seconds);
  fflush(stdout);
  for (int level = 0; level <= (int)simd_level(); level++) {
    UnaryCase c = unary_case((SimdLevel)level, index);
    const Worst *w = &worst[level];
    if (!(w->error <= c.ulp))
      fail_msg("%s (%s) at %.9g (%a): got %.17g, want %.17g: %g ulp, allowed %g",
               c.name, simd_name((SimdLevel)level), (double)w->x, (double)w->x,
               (double)w->got, c.want(w->x), w->error, c.ulp);
  }
}

/* Patterns i * step for i < n. */
typedef struct Sweep {
  int index;
  uint64_t n;
  uint32_t step;
  unsigned control;            /* with denormals */
  Worst (*worst)[SIMD_LEVELS]; /* of each block */
} Sweep;

static void sweep_block(void *ctx, int64_t block) {
  const Sweep *s = ctx;
  unsigned control = par_denormals_off();
  par_denormals_restore(s->control);
  uint64_t end = ((uint64_t)block + 1) * BLOCK;
  if (end > s->n) end = s->n;
  real x[TILE];
  for (uint64_t first = (uint64_t)block * BLOCK; first < end; first += TILE) {
    int n = end - first < TILE ? (int)(end - first) : TILE;
    for (int i = 0; i < n; i++)
      x[i] = real_of_pattern((uint32_t)(first + (uint64_t)i) * s->step);
    check_tile(s->index, true, x, n, s->worst[block]);
  }
  par_denormals_restore(control);
}

/* The blocks' results are merged in order, so the threads do not show. */
static void sweep(Par *par, int index, uint64_t n, uint32_t step, bool print) {
  int64_t n_blocks = (int64_t)((n + BLOCK - 1) / BLOCK);
  Sweep s = {.index = index, .n = n, .step = step};
  s.control = par_denormals_off();
  par_denormals_restore(s.control);
  s.worst = calloc((size_t)n_blocks, sizeof *s.worst);
  assert_non_null(s.worst);
  double begin = clock_s();
  par_for(par, n_blocks, (int64_t)n, sweep_block, &s);
  Worst worst[SIMD_LEVELS] = {0};
  for (int64_t b = 0; b < n_blocks; b++) {
    for (int level = 0; level < SIMD_LEVELS; level++)
      worsen(&worst[level], &s.worst[b][level]);
  }
  free(s.worst);
  judge(index, worst, print, clock_s() - begin);
}

/* The double build's functions are the C library's: samples are enough. */
TEST(unary_kernels_are_accurate) {
  const char *wanted = getenv("LONG");
  bool one = false;
  Par par;
  par_init(&par, 0);
  for (int i = 0; i < N_UNARY; i++)
    one |= wanted && strcmp(wanted, unary_case(SIMD_PLAIN, i).name) == 0;
  for (int i = 0; i < N_UNARY; i++) {
    const char *name = unary_case(SIMD_PLAIN, i).name;
    bool all = wanted && sizeof(real) == 4 && (!one || strcmp(wanted, name) == 0);
    if (all) sweep(&par, i, (uint64_t)1 << 32, 1, true);
    else sweep(&par, i, 100000, 42949673, false);
  }
}

/* Where formulas meet, results overflow, vanish or stop being normal; zero to either
 * side, the denormals, infinity, NaN. */
static const double edges[] = {
    0, FLT_TRUE_MIN, FLT_MIN, 0x1p-24, 0x1p-13, 0.35, 0.5, 0.625, 0.7071067811865476,
    0.751791524693564, 1, 1.4142135623730951, 4, 6, 8.5, 9.02, 9.5, 13.05, 13.3, 14,
    15.94,
    16.64, 17.33, 18, 37.5, 38.5, 40, 87.33654, 88.37626, 88.722835, 92, 103.27893,
    103.97208,
    174, 200, 700, 708.4, 745.1, 1400, 0x1p20, 0x1p23, 0x1.fp63, 0x1p64, 0x1p126,
    FLT_MAX,
    INFINITY, NAN};

TEST(unary_kernels_are_accurate_around_edges) {
  enum { AROUND = 500 };
  real x[4 * AROUND];
  for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) {
    for (int i = 0; i < AROUND; i++) {
      real up = (real)edges[e];
      real down = up;
      if (i > 0) up = NEXT(x[4 * i - 4], INFINITY);
      if (i > 0) down = NEXT(x[4 * i - 2], -INFINITY);
      x[4 * i] = up, x[4 * i + 1] = -up, x[4 * i + 2] = down, x[4 * i + 3] = -down;
    }
    for (int i = 0; i < N_UNARY * 2; i++) {
      Worst worst[SIMD_LEVELS] = {0};
      check_tile(i / 2, i % 2, x, 4 * AROUND, worst);
      judge(i / 2, worst, false, 0);
    }
  }
}

/* Dense where the interesting things happen: 200,000 points of [-110, 110]. */
TEST(unary_kernels_are_accurate_near_zero) {
  enum { POINTS = 200000, TILES = POINTS / 4000 };
  for (int i = 0; i < N_UNARY; i++) {
    Worst worst[SIMD_LEVELS] = {0};
    for (int tile = 0; tile < TILES; tile++) {
      real x[4000];
      for (int k = 0; k < 4000; k++)
        x[k] = (real)((tile * 4000 + k - POINTS / 2) * 0.0011);
      check_tile(i, false, x, 4000, worst);
    }
    judge(i, worst, false, 0);
  }
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
    for (int k = 0; k < N_UNARY * N_SIZES; k++) {
      UnaryCase c = unary_case((SimdLevel)level, k / N_SIZES);
      int n = sizes[k % N_SIZES];
      y[n] = 12345;
      unary_run(&c, y, x, n);
      assert_true(y[n] == 12345);
      for (int i = 0; i < n; i++) {
        unary_run(&c, &alone, &x[i], 1);
        if (!same_value(alone, y[i]))
          fail_msg("%s: %a alone, %a among %d", c.name, (double)alone, (double)y[i], n);
        assert_true(unary_error(&c, x[i], y[i]) <= c.ulp);
      }
      real again[MAX_SIZE];
      memcpy(again, x, sizeof again);
      unary_run(&c, again, again, n);
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
    if (!(ulp_error(y[i], c->want(u, v), 0) <= c->ulp))
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

/* Where in a call two NaNs meet does not matter: the first is the result. Others too:
 * of a difference and a quotient. */
TEST(of_two_nans_the_first_is_the_result_in_the_body_and_at_the_end) {
  const real nan[] = {(real)NAN, (real)-NAN};
  real a[MAX_SIZE], b[MAX_SIZE], y[MAX_SIZE];
  for (int i = 0; i < MAX_SIZE; i++) a[i] = nan[i % 2], b[i] = nan[i % 3 == 0];
  for (int level = 0; level <= (int)simd_level(); level++) {
    const Kernels *k = tables[level];
    const BinaryCase cases[] = {
#define X(op) {.name = #op, .kernel = k->op},
        X(add) X(mul) X(sub) X(div) X(chain_mul) X(chain_both) X(chain_div)
#undef X
    };
    for (int c = 0; c < (int)(sizeof cases / sizeof *cases) * N_SIZES; c++) {
      const BinaryCase *binary = &cases[c / N_SIZES];
      int n = sizes[c % N_SIZES];
      binary->kernel(y, a, 1, b, 1, n);
      assert_memory_equal(y, a, (size_t)n * sizeof *y);
      binary->kernel(y, a, 1, b, 0, n);
      assert_memory_equal(y, a, (size_t)n * sizeof *y);
      binary->kernel(y, nan + 1, 0, b, 1, n);
      for (int i = 0; i < n; i++) assert_memory_equal(&y[i], nan + 1, sizeof *y);
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
