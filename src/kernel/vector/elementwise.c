/* elementwise.c: one function per elementwise op.
 *
 * What an op does to one element is an inline function f_<op>, here or in vmath.h. The
 * kernels are loops over it, written once per number of inputs; `f` is a constant in
 * each use, so the compiler inlines it and vectorises the loop. Pointers may be equal:
 * element i is read before it is written, and no other element is touched. */
#include "kernel/kernel.h"
#include "kernel/vector/vmath.h"

/* -- one element ------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
#define REAL_FN(name) name
#else
#define REAL_FN(name) name##f
#endif

VMATH real f_neg(real x) { return -x; }
VMATH real f_abs(real x) { return REAL_FN(fabs)(x); }
VMATH real f_square(real x) { return x * x; }
VMATH real f_reciprocal(real x) { return 1 / x; }
VMATH real f_floor(real x) { return REAL_FN(floor)(x); }
VMATH real f_ceil(real x) { return REAL_FN(ceil)(x); }
VMATH real f_round(real x) { return REAL_FN(rint)(x); } /* halves to even */

/* NaN and zeros stay what they are. */
VMATH real f_sign(real x) {
  real y = x > 0 ? (real)1 : x;
  return x < 0 ? (real)-1 : y;
}

VMATH real f_relu(real x) { return x <= 0 ? (real)0 : x; }

/* Rounded once, as elu below: factors in double. */
#define SELU_SCALE 1.0507009873554805
#define SELU_BELOW 1.7580993408473768 /* scale times alpha */

VMATH real f_selu(real x) {
  double below = SELU_BELOW * expm1_d(x);
  return (real)(x > 0 ? SELU_SCALE * (double)x : below);
}

/* Of two NaNs an instruction gives the first, and which of two factors or summands is
 * that is the compiler's choice for each loop: the body of one and its end may differ.
 * So the second is dropped here where the first is NaN. Else the bytes of an element
 * would depend on where it falls in a call. */
VMATH real f_add(real a, real b) { return a + (a == a ? b : (real)0); }
VMATH real f_sub(real a, real b) { return a - b; }
VMATH real f_mul(real a, real b) { return a * (a == a ? b : (real)0); }
VMATH real f_div(real a, real b) { return a / b; }

/* A gradient times or by a derivative: nothing stays nothing, also where the derivative
 * is infinite or NaN. Any other gradient is a plain product or quotient, to the bit.
 * _both: of two gradients. */
VMATH real f_chain_mul(real g, real d) {
  real y = f_mul(g, d);
  return g == 0 && y != y ? (real)0 : y;
}
VMATH real f_chain_both(real g, real h) {
  real y = f_mul(g, h);
  return (g == 0 || h == 0) && y != y ? (real)0 : y;
}
VMATH real f_chain_div(real g, real d) {
  real y = g / d;
  return g == 0 && y != y ? (real)0 : y;
}

VMATH real f_eq(real a, real b) { return a == b ? (real)1 : (real)0; }
VMATH real f_ne(real a, real b) { return a != b ? (real)1 : (real)0; }
VMATH real f_lt(real a, real b) { return a < b ? (real)1 : (real)0; }
VMATH real f_le(real a, real b) { return a <= b ? (real)1 : (real)0; }
VMATH real f_gt(real a, real b) { return a > b ? (real)1 : (real)0; }
VMATH real f_ge(real a, real b) { return a >= b ? (real)1 : (real)0; }

/* A NaN among the two is the result: in b, because the comparison is false. */
VMATH real f_maximum(real a, real b) {
  real y = a > b ? a : b;
  return a != a ? a : y;
}
VMATH real f_minimum(real a, real b) {
  real y = a < b ? a : b;
  return a != a ? a : y;
}

VMATH real f_where(real condition, real a, real b) { return condition != 0 ? a : b; }

/* -- loops ------------------------------------------------------------------------- */

VMATH void unary(real (*f)(real), real *y, const real *x, int64_t n) {
  VECTOR_LOOP
  for (int64_t i = 0; i < n; i++) y[i] = f(x[i]);
}

VMATH void binary(real (*f)(real, real), real *y, const real *a, int64_t sa,
                  const real *b, int64_t sb, int64_t n) {
  if (n <= 0) return;
  const real a0 = *a;
  const real b0 = *b;
  if (sa && sb) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f(a[i], b[i]);
  } else if (sa) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f(a[i], b0);
  } else {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f(a0, sb ? b[i] : b0);
  }
}

#define KERNEL(type, name, args)
#define UNARY(name) \
  void KN(name)(real *y, const real *x, int64_t n) { unary(f_##name, y, x, n); }
#define BINARY(name)                                                                   \
  void KN(name)(real *y, const real *a, int64_t sa, const real *b, int64_t sb,         \
                int64_t n) {                                                           \
    binary(f_##name, y, a, sa, b, sb, n);                                              \
  }
#define UNARY_LOOP(name)
#define BINARY_LOOP(name)
#include "kernel/elementwise.def"
#undef KERNEL

/* A common exponent of 2 is a product: the same bits, since x^2 is exact in double. */
void KN(pow)(real *y, const real *a, int64_t sa, const real *b, int64_t sb, int64_t n) {
  if (n > 0 && sb == 0 && *b == 2) binary(f_mul, y, a, sa, a, sa, n);
  else binary(f_pow, y, a, sa, b, sb, n);
}

/* -- sine and cosine --------------------------------------------------------------- */

#ifdef REAL_DOUBLE
void KN(sin)(real *y, const real *x, int64_t n) { unary(f_sin, y, x, n); }
void KN(cos)(real *y, const real *x, int64_t n) { unary(f_cos, y, x, n); }
#else

/* Arguments beyond TRIG_MAX take a dearer formula. The choice is per element; a tile
 * without such elements runs the other alone, and an element gets the same operations,
 * hence the same bits, in both loops. */
enum { TRIG_TILE = 256 };

VMATH void trig(real (*near)(real), real (*far)(real), real *y, const real *x,
                int64_t n) {
  for (int64_t first = 0; first < n; first += TRIG_TILE) {
    int64_t end = first + TRIG_TILE < n ? first + TRIG_TILE : n;
    int n_far = 0;
    VECTOR_LOOP
    for (int64_t i = first; i < end; i++) n_far += !(abs_f(x[i]) <= TRIG_MAX);
    if (n_far == 0) {
      unary(near, y + first, x + first, end - first);
      continue;
    }
    VECTOR_LOOP
    for (int64_t i = first; i < end; i++) {
      real reduced = far(x[i]);
      y[i] = abs_f(x[i]) <= TRIG_MAX ? near(x[i]) : reduced;
    }
  }
}

void KN(sin)(real *y, const real *x, int64_t n) { trig(f_sin, f_sin_far, y, x, n); }
void KN(cos)(real *y, const real *x, int64_t n) { trig(f_cos, f_cos_far, y, x, n); }
#endif

/* -- with parameters --------------------------------------------------------------- */

/* A slope of 0 is one for infinity too: 0 times it would be NaN. */
void KN(leaky_relu)(real *y, const real *x, int64_t n, real slope) {
  const real least = slope == 0 ? (real)-1 : -(real)INFINITY;
  VECTOR_LOOP
  for (int64_t i = 0; i < n; i++) {
    real below = x[i] < least ? least : x[i];
    y[i] = x[i] > 0 ? x[i] : slope * below;
  }
}

void KN(elu)(real *y, const real *x, int64_t n, real alpha) {
  VECTOR_LOOP
  for (int64_t i = 0; i < n; i++) {
    real below = (real)((double)alpha * expm1_d(x[i]));
    y[i] = x[i] > 0 ? x[i] : below;
  }
}

void KN(clip)(real *y, const real *x, int64_t n, real lo, real hi) {
  VECTOR_LOOP
  for (int64_t i = 0; i < n; i++) {
    real above = x[i] < lo ? lo : x[i];
    y[i] = above > hi ? hi : above;
  }
}

void KN(where)(real *y, const real *condition, int64_t sc, const real *a, int64_t sa,
               const real *b, int64_t sb, int64_t n) {
  if (n <= 0) return;
  const real a0 = *a;
  const real b0 = *b;
  if (sc == 0) {
    const bool first = *condition != 0;
    const real *from = first ? a : b;
    const int64_t stride = first ? sa : sb;
    for (int64_t i = 0; i < n; i++) y[i] = from[stride * i];
  } else if (sa && sb) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f_where(condition[i], a[i], b[i]);
  } else if (sa) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f_where(condition[i], a[i], b0);
  } else if (sb) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f_where(condition[i], a0, b[i]);
  } else {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f_where(condition[i], a0, b0);
  }
}

/* (x - mean) scale + bias, to the bit as the three ops. */
VMATH real f_normalize(real x, real mean, real scale, real bias) {
  return f_add(f_mul(f_sub(x, mean), scale), bias);
}

void KN(normalize)(real *y, const real *x, const real *mean, const real *scale,
                   const real *bias, int64_t stride, int64_t n) {
  if (n <= 0) return;
  const real m = *mean, s = *scale, b = *bias;
  if (stride) {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++)
      y[i] = f_normalize(x[i], mean[i], scale[i], bias[i]);
  } else {
    VECTOR_LOOP
    for (int64_t i = 0; i < n; i++) y[i] = f_normalize(x[i], m, s, b);
  }
}

/* -- between types ----------------------------------------------------------------- */

void KN(real_from_int32)(real *y, const int32_t *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (real)x[i];
}

void KN(real_from_uint8)(real *y, const uint8_t *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (real)x[i];
}

void KN(int32_from_real)(int32_t *y, const real *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (int32_t)x[i];
}

void KN(uint8_from_real)(uint8_t *y, const real *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (uint8_t)(int32_t)x[i];
}
