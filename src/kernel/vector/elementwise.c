/* elementwise.c: one function per elementwise op.
 *
 * What an op does to one element is an inline function f_<op>, in element.h or vmath.h.
 * The kernels are loops over it, written once per number of inputs; `f` is a constant
 * in each use, so the compiler inlines it and vectorises the loop. Pointers may be
 * equal: element i is read before it is written, and no other element is touched. */
#include "kernel/kernel.h"
#include "kernel/vector/element.h"

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
  for (int64_t i = 0; i < n; i++) y[i] = f_clip(x[i], lo, hi);
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
