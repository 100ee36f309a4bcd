/* element.h: what an op does to one element, f_<op>; elementary functions are in
 * vmath.h. */
#ifndef KERNEL_VECTOR_ELEMENT_H
#define KERNEL_VECTOR_ELEMENT_H

#include "kernel/vector/vmath.h"

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

/* x - tanh(x). As tanh(x) = x / (1 + k) with Lambert's k = x^2 / (3 + x^2 / (5 + ...)),
 * it is x k / (1 + k), where nothing cancels; so many terms are exact below 1.5. */
VMATH real f_tanh_shrink(real x) {
  double d = x, z = d * d, k = 0;
  for (int n = 27; n >= 3; n -= 2) k = z / (n + k);
  real near = (real)(d * (k / (1 + k)));
  return x > (real)-1.5 && x < (real)1.5 ? near : x - f_tanh(x);
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

/* A NaN among the two is the result: in b, because the comparison is false. The first
 * choice is one instruction, which takes a denormal for 0. (Of a != a, which excludes
 * a > b, gcc makes branches in some rules of optimizers.) */
VMATH real f_maximum(real a, real b) {
  real y = a > b ? a : b;
  return __builtin_isnan(a) ? a : y;
}
VMATH real f_minimum(real a, real b) {
  real y = a < b ? a : b;
  return __builtin_isnan(a) ? a : y;
}

VMATH real f_where(real condition, real a, real b) { return condition != 0 ? a : b; }

VMATH real f_clip(real x, real lo, real hi) {
  real above = x < lo ? lo : x;
  return above > hi ? hi : above;
}

/* Of rules of optimizers (graph/ops_rule.c). */
VMATH real f_mix(real x, real y, real keep, real rest) { return keep * x + rest * y; }
VMATH real f_over_root(real x, real y, real eps) { return x / (f_sqrt(y) + eps); }
VMATH real f_add_product(real x, real a, real y) { return x + a * y; }

#endif
