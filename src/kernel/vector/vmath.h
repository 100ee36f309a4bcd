/* vmath.h: elementary functions for the loops of kernel/vector.
 *
 * Each is a pure function of one element, free of branches, so that the compiler turns
 * a loop over it into vector code; main loop and tail run the same operations and give
 * the same bits. Errors are at most 2 ulp where argument and result are normal numbers;
 * denormal arguments and results count as zero. Zeros, infinities and NaN come out as
 * in C.
 *
 * exp, tanh, sigmoid and log, which networks call most, run in float. The others run in
 * double inside and round once: that costs twice the time and needs no care about
 * digits. Polynomials are minimax fits on the stated interval, lowest coefficient first
 * in the comment's formula. FMA is used only where muladd is written, and only at
 * levels with it.
 *
 * In the double build all of them are the C library's. */
#ifndef KERNEL_VECTOR_VMATH_H
#define KERNEL_VECTOR_VMATH_H

#include "base/real.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Before a loop whose iterations are independent although pointers may be equal. */
#if defined __GNUC__ && !defined __clang__
#define VECTOR_LOOP _Pragma("GCC ivdep")
#else
#define VECTOR_LOOP
#endif

#define VMATH static inline __attribute__((always_inline, unused))

/* a * b + c: rounded once where the level has FMA, else twice. */
#if defined SIMD_avx2 || defined SIMD_avx512
VMATH float muladd_f(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
VMATH double muladd_d(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
VMATH float muladd_f(float a, float b, float c) { return a * b + c; }
VMATH double muladd_d(double a, double b, double c) { return a * b + c; }
#endif

#define ONE_OVER_SQRT_2PI 0x1.9884533d43651p-2

#ifdef REAL_DOUBLE
VMATH real muladd(real a, real b, real c) { return muladd_d(a, b, c); }

/* The C library takes a denormal apart by its bits, which goes wrong where the
 * processor counts it as zero. */
VMATH real denormal_to_zero(real x) { return fabs(x) < 0x1p-1022 ? 0 * x : x; }

VMATH real f_exp(real x) { return exp(x); }
VMATH double expm1_d(double x) { return expm1(x); }
VMATH real f_expm1(real x) { return expm1(x); }
VMATH real f_log(real x) { return log(denormal_to_zero(x)); }
VMATH real f_log1p(real x) { return log1p(x); }
VMATH real f_sin(real x) { return sin(x); }
VMATH real f_cos(real x) { return cos(x); }
VMATH real f_tanh(real x) { return tanh(x); }
VMATH real f_erf(real x) { return erf(x); }
VMATH real f_pow(real x, real y) { return pow(denormal_to_zero(x), y); }
VMATH real f_sqrt(real x) { return sqrt(x); }
VMATH real f_sigmoid(real x) {
  real e = exp(-fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
VMATH real f_softplus(real x) { return (x <= 0 ? 0 : x) + log1p(exp(-fabs(x))); }

/* tanh(log(1 + e)) = w / (w + 2), w = e (e + 2), e = e^x; below -700 that is e, as in
 * f_silu. */
VMATH real f_mish(real x) {
  real b = x < -1400 ? -1400 : x;
  real e = exp(b > 30 ? 30 : b), w = e * (e + 2);
  real y = b * (w / (w + 2));
  return x < -700 ? b * 9.85967654375977e-305 * exp(b + 700) : y;
}

/* Below -700 by e^x = e^-700 e^(x + 700): e^x alone would be denormal too early. x +
 * 700 is exact. */
VMATH real f_silu(real x) {
  real y = x * f_sigmoid(x);
  real b = x < -1400 ? -1400 : x;
  return x < -700 ? b * 9.85967654375977e-305 * exp(b + 700) : y;
}

/* See `gelu` below. a^2 = s + its rounding error, which fma gives. */
#define NORMAL_FAR 40.0

VMATH double normal_half(double a) {
  double s = a * a;
  return exp(-0.25 * s) * (1.0 - 0.25 * fma(a, a, -s));
}

/* From 6 on, off by less than 1e-19, the continued fraction of Mills' ratio (Laplace):
 * 1 / (a + 1 / (a + 2 / (a + ...))). Before, erfc(z) / 2 at z = a / sqrt 2; what
 * rounding z lost, d, is put back by the derivative, -2 / sqrt(pi) e^(-z^2). */
VMATH double normal_ratio(double a, double half) {
  if (a > 6.0) {
    double t = a;
    for (int k = 24; k > 0; k--) t = a + k / t;
    return ONE_OVER_SQRT_2PI / t;
  }
  double z = a * 0x1.6a09e667f3bcdp-1;
  double d = fma(a, 0x1.6a09e667f3bcdp-1, -z) - a * 0x1.bdd3413b26456p-55;
  return 0.5 * erfc(z) / (half * half) - d * 0x1.20dd750429b6dp-1;
}
#else

VMATH real muladd(real a, real b, real c) { return muladd_f(a, b, c); }

typedef union FloatBits {
  float f;
  uint32_t u;
} FloatBits;
typedef union DoubleBits {
  double f;
  uint64_t u;
} DoubleBits;

VMATH uint32_t bits_f(float x) { return (FloatBits){.f = x}.u; }
VMATH float float_of(uint32_t b) { return (FloatBits){.u = b}.f; }
VMATH uint64_t bits_d(double x) { return (DoubleBits){.f = x}.u; }
VMATH double double_of(uint64_t b) { return (DoubleBits){.u = b}.f; }

#define SIGN_F 0x80000000u
VMATH float abs_f(float x) { return float_of(bits_f(x) & ~SIGN_F); }
VMATH float copysign_f(float x, float sign) {
  return float_of((bits_f(x) & ~SIGN_F) | (bits_f(sign) & SIGN_F));
}

/* -- in float ---------------------------------------------------------------------- */

/* Adding and subtracting 1.5 * 2^23 rounds to an integer, which is in the low
 * bits. */
#define ROUND_F 0x1.8p23f

/* e^x for -87.33654 <= x <= 88.72283, where the result is normal.
 * n = round(x / ln 2), r = x - n ln 2 with ln 2 in two parts, the first short enough
 * that n times it is exact; e^r = 1 + r + r^2 q(r) on |r| <= ln 2 / 2, q off by 7e-8. n
 * is added to the exponent's bits. */
VMATH float exp_normal_f(float x) {
  float t = muladd_f(x, 0x1.715476p0f, ROUND_F);
  float n = t - ROUND_F;
  float r = muladd_f(n, -0x1.62e4p-1f, x);
  r = muladd_f(n, -0x1.7f7d1cp-20f, r);
  float q = 1.3926250831497612e-3f;
  q = muladd_f(q, r, 8.3632328836826182e-3f);
  q = muladd_f(q, r, 4.1666554212984150e-2f);
  q = muladd_f(q, r, 1.6666576666119928e-1f);
  q = muladd_f(q, r, 0.5f);
  float y = 1.0f + muladd_f(r * r, q, r);
  return float_of(bits_f(y) + (bits_f(t) << 23));
}

VMATH real f_exp(real x) {
  float y = exp_normal_f(x);
  y = x < -87.33654f ? 0.0f : y;
  y = x > 88.722835f ? INFINITY : y;
  return x != x ? x : y;
}

/* |x| < 0.625: x + x z p(z), z = x^2, p off by 4e-8; else 1 - 2 / (e^(2|x|) + 1), which
 * is 1 from 9.02 on. NaN takes the first: it is not at least 0.625. The least of |x|
 * and 9.5 by their bits, which are in the order of the numbers, costs a half of a
 * comparison. e^(2b) has the bits of exp_normal_f in fewer operations: b and h are half
 * of its x and r, so its coefficients are doubled for each; w is half of e^r - 1; the
 * low bits of t are n and the bias of an exponent, so shifted they are 2^n. */
#define TANH_ONE 0x41180000u /* 9.5 */
#define ROUND_BIASED_F (ROUND_F + 127)

VMATH real f_tanh(real x) {
  float a = abs_f(x);
  float z = a * a;
  float p = -6.0967141659081976e-3f;
  p = muladd_f(p, z, 2.0997178999074751e-2f);
  p = muladd_f(p, z, -5.3850909578513581e-2f);
  p = muladd_f(p, z, 1.3332769736976328e-1f);
  p = muladd_f(p, z, -3.3333328944134255e-1f);
  float small = muladd_f(p * z, a, a);
  float b = float_of(bits_f(a) < TANH_ONE ? bits_f(a) : TANH_ONE);
  float t = muladd_f(b, 2 * 0x1.715476p0f, ROUND_BIASED_F);
  float n = t - ROUND_BIASED_F;
  float h = muladd_f(n, -0x1.62e4p-1f / 2, b);
  h = muladd_f(n, -0x1.7f7d1cp-20f / 2, h);
  float q = 32 * 1.3926250831497612e-3f;
  q = muladd_f(q, h, 16 * 8.3632328836826182e-3f);
  q = muladd_f(q, h, 8 * 4.1666554212984150e-2f);
  q = muladd_f(q, h, 4 * 1.6666576666119928e-1f);
  q = muladd_f(q, h, 2 * 0.5f);
  float w = muladd_f(h * h, q, h);
  float e = muladd_f(muladd_f(2.0f, w, 1.0f), float_of(bits_f(t) << 23), 1.0f);
  float large = 1.0f - 2.0f / e;
  float y = a >= 0.625f ? large : small;
  return float_of(bits_f(y) | (bits_f(x) & SIGN_F));
}

/* With e = e^-|x|: 1 / (1 + e), or e / (1 + e) for x < 0. 1 + e is rounded to s; what
 * was lost, e - (s - 1) exactly, is put back to first order, with 1 / s on [1, 2]
 * replaced by a line within 0.05 of it, for what was lost is at most half a unit. */
VMATH float sigmoid_of(float x, float e) {
  float s = 1.0f + e;
  float lost = e - (s - 1.0f);
  float y = (x < 0.0f ? e : 1.0f) / s;
  return y - y * (lost * muladd_f(-0.5f, s, 1.457f));
}

/* Below it, e^x is no normal number. */
#define EXP_LEAST (-87.33654f)

VMATH real f_sigmoid(real x) {
  float a = abs_f(x);
  float y = sigmoid_of(x, exp_normal_f(a < -EXP_LEAST ? -a : EXP_LEAST));
  y = x < EXP_LEAST ? 0.0f : y;
  return x != x ? x : y;
}

/* x sigmoid(x). Where that factor is no normal number any more, the product still may
 * be: there it is x e^x = (x e^-87) e^(x + 87), where x + 87 is exact. */
VMATH real f_silu(real x) {
  float a = abs_f(x);
  float b = x < -174.0f ? -174.0f : x;
  float near = a < -EXP_LEAST ? -a : EXP_LEAST;
  float shifted = b + 87.0f;
  float e = exp_normal_f(x < EXP_LEAST ? shifted : near);
  float tail = b * 0x1.666d0ep-126f * e;
  float y = x * sigmoid_of(x, e);
  y = x < EXP_LEAST ? tail : y;
  return x != x ? x : y;
}

/* x = 2^n (1 + f), 1 + f in [sqrt 1/2, sqrt 2): log x = n ln 2 + f - f^2 / 2 + f^3
 * p(f), p off by 3e-8, summed from the smallest term up. */
VMATH real f_log(real x) {
  const uint32_t half = 0x3f3504f3; /* sqrt 1/2 */
  uint32_t u = bits_f(x) - half;
  float n = (float)((int32_t)u >> 23);
  float f = float_of((u & 0x7fffff) + half) - 1.0f;
  float p = 6.9716114714511778e-2f;
  p = muladd_f(p, f, -1.1479733846637636e-1f);
  p = muladd_f(p, f, 1.1685419923486739e-1f);
  p = muladd_f(p, f, -1.2425687331451106e-1f);
  p = muladd_f(p, f, 1.4249057645697480e-1f);
  p = muladd_f(p, f, -1.6667802319501254e-1f);
  p = muladd_f(p, f, 2.0000715748892102e-1f);
  p = muladd_f(p, f, -2.4999996957950882e-1f);
  p = muladd_f(p, f, 3.3333331180030048e-1f);
  float z = f * f;
  float y = muladd_f(n, 0x1.7f7d1cp-20f, f * z * p);
  y = f + muladd_f(-0.5f, z, y);
  y = muladd_f(n, 0x1.62e4p-1f, y);
  float outside = x <= -0x1p-126f ? NAN : -INFINITY;
  y = x < 0x1p-126f ? outside : y;
  return x < INFINITY ? y : x;
}

/* -- in double --------------------------------------------------------------------- */

#define ROUND_D 0x1.8p52

/* e^x = scale (1 + p) for |x| <= 700; gives p and sets scale, a power of two. As in
 * float, p = r + r^2 q(r), q off by 1.4e-9. */
VMATH double exp_parts(double x, double *scale) {
  double t = muladd_d(x, 0x1.71547652b82fep0, ROUND_D);
  double n = t - ROUND_D;
  double r = muladd_d(n, -0x1.62e42feep-1, x);
  r = muladd_d(n, -0x1.a39ef35793c76p-33, r);
  double q = 1.9891080463998842e-4;
  q = muladd_d(q, r, 1.3933730715792083e-3);
  q = muladd_d(q, r, 8.3333108446478626e-3);
  q = muladd_d(q, r, 4.1666464197405692e-2);
  q = muladd_d(q, r, 1.6666666681704215e-1);
  q = muladd_d(q, r, 0.50000000135387299);
  *scale = double_of((bits_d(t) + 1023) << 52);
  return muladd_d(r * r, q, r);
}

/* log(1 + 2 s / (1 - s)) = 2 s + s z p(z), z = s^2, for |s| <= 1/3; p off by 2e-10. */
VMATH double log_ratio(double s) {
  double z = s * s;
  double p = 0.20787616855746752;
  p = muladd_d(p, z, 0.17464702465440774);
  p = muladd_d(p, z, 0.22264711209001325);
  p = muladd_d(p, z, 0.28570305721883662);
  p = muladd_d(p, z, 0.40000010769949664);
  p = muladd_d(p, z, 0.66666666650023614);
  return muladd_d(s * z, p, 2.0 * s);
}

/* log u for normal u > 0: u = 2^n m, m in [sqrt 1/2, sqrt 2), s = (m - 1) / (m + 1). */
VMATH double log_normal_d(double u) {
  const uint64_t half = 0x3fe6a09e667f3bcd; /* sqrt 1/2 */
  uint64_t shifted = bits_d(u) - half + ((uint64_t)1023 << 52);
  double n = double_of((shifted >> 52) | 0x4330000000000000) - (0x1p52 + 1023.0);
  double m = double_of((shifted & 0xfffffffffffff) + half);
  return muladd_d(n, 0x1.62e42fefa39efp-1, log_ratio((m - 1.0) / (m + 1.0)));
}

/* e^x - 1 = scale p + (scale - 1) for x that was a float. */
VMATH double expm1_d(double x) {
  double a = x > 200.0 ? 200.0 : x;
  a = a < -200.0 ? -200.0 : a;
  double scale;
  double p = exp_parts(a, &scale);
  double y = muladd_d(scale, p, scale - 1.0);
  return x == 0.0 ? x : y;
}

VMATH real f_expm1(real x) { return (float)expm1_d(x); }

/* log u + (x - (u - 1)) / u with u = 1 + x: the second term is what rounding u lost. */
VMATH real f_log1p(real x) {
  double d = x;
  double u = 1.0 + d;
  float y = (float)(log_normal_d(u) + (d - (u - 1.0)) / u);
  float outside = x < -1.0f ? NAN : -INFINITY;
  y = x <= -1.0f ? outside : y;
  y = x == 0.0f ? x : y;
  return x < INFINITY ? y : x;
}

/* max(x, 0) + log(1 + e), e = e^-|x|; 1 + e = (1 + s) / (1 - s) for s = e / (2 + e). */
VMATH real f_softplus(real x) {
  double a = abs_f(x);
  double scale;
  double p = exp_parts(a < 200.0 ? -a : -200.0, &scale);
  double e = muladd_d(scale, p, scale);
  double top = x <= 0.0f ? 0.0 : (double)x;
  return (float)(top + log_ratio(e / (2.0 + e)));
}

/* tanh(log(1 + e)) = w / (w + 2), w = e (e + 2), e = e^x. */
VMATH real f_mish(real x) {
  double b = x < -200.0f ? -200.0 : (double)x, scale;
  double p = exp_parts(b > 30.0 ? 30.0 : b, &scale);
  double e = muladd_d(scale, p, scale), w = e * (e + 2.0);
  return (float)(b * (w / (w + 2.0)));
}

/* |x| < 1: x p(x^2), p off by 3e-11; else 1 - e^-g(|x|), g = -log erfc on [1, 4] off by
 * 2e-8 where erfc <= 0.16; at 4 the result rounds to 1. */
VMATH real f_erf(real x) {
  double a = abs_f(x);
  double z = a * a;
  double p = -9.6670445714869964e-6;
  p = muladd_d(p, z, 1.1265958950625609e-4);
  p = muladd_d(p, z, -8.4840804055351063e-4);
  p = muladd_d(p, z, 5.2210318078580228e-3);
  p = muladd_d(p, z, -2.6865430727670243e-2);
  p = muladd_d(p, z, 1.1283782495236845e-1);
  p = muladd_d(p, z, -3.7612638468028710e-1);
  p = muladd_d(p, z, 1.1283791670615434);
  double b = a < 4.0 ? a : 4.0;
  double g = -1.6371514145936436e-6;
  g = muladd_d(g, b, 4.6058042689189779e-5);
  g = muladd_d(g, b, -5.9680562566077971e-4);
  g = muladd_d(g, b, 4.7595962932662646e-3);
  g = muladd_d(g, b, -2.6421136005663897e-2);
  g = muladd_d(g, b, 1.1008008294882025e-1);
  g = muladd_d(g, b, 6.3182605155916301e-1);
  g = muladd_d(g, b, 1.1302334348419940);
  g = muladd_d(g, b, -3.2013804769879882e-4);
  double scale;
  double e = exp_parts(-g, &scale);
  double large = 1.0 - muladd_d(scale, e, scale);
  float y = (float)(a < 1.0 ? a * p : large);
  return x != x ? x : copysign_f(y, x);
}

/* See `gelu` below. */
#define NORMAL_FAR 18.0

VMATH double normal_half(double a) {
  double scale;
  double p = exp_parts(-0.25 * a * a, &scale); /* the square of a float is exact */
  return muladd_d(scale, p, scale);
}

/* p(t) / (a + 3) with t = (a - 3) / (a + 3), off by 1.2e-9 up to a = 13.6; beyond,
 * values of gelu are 0. */
VMATH double normal_ratio(double a, double half) {
  (void)half;
  double per = 1.0 / (a + 3.0);
  double t = (a - 3.0) * per;
  double p = 5.4992154306587735e-5;
  p = muladd_d(p, t, 1.3249890149971891e-4);
  p = muladd_d(p, t, -2.4443548521658895e-4);
  p = muladd_d(p, t, -1.0335680029142104e-3);
  p = muladd_d(p, t, 1.0242141437114829e-3);
  p = muladd_d(p, t, 6.9695799469593870e-3);
  p = muladd_d(p, t, -1.0462335525470136e-2);
  p = muladd_d(p, t, -4.7262713317308490e-2);
  p = muladd_d(p, t, 2.3001768218102292e-1);
  p = muladd_d(p, t, -5.0933199078118910e-1);
  p = muladd_d(p, t, 7.2908369063068950e-1);
  return p * per;
}

/* sin (r + k pi / 2) for |r| <= pi / 4, z = r^2:
 *   sin r = r (1 + z s(z)), s off by 3e-11
 *   cos r = 1 - z / 2 + z^2 c(z), c off by 2e-12
 * k mod 4 decides which of the two it is, and its sign. */
VMATH double trig_quarter(double r, uint64_t k) {
  double z = r * r;
  double s = 2.7249314054698805e-6;
  s = muladd_d(s, z, -1.9840082012765537e-4);
  s = muladd_d(s, z, 8.3333318659594140e-3);
  s = muladd_d(s, z, -1.6666666663832764e-1);
  s = r * muladd_d(z, s, 1.0);
  double c = -2.7300448619488355e-7;
  c = muladd_d(c, z, 2.4800596435621997e-5);
  c = muladd_d(c, z, -1.3888887664713720e-3);
  c = muladd_d(c, z, 4.1666666664302406e-2);
  c = muladd_d(z * z, c, muladd_d(z, -0.5, 1.0));
  uint64_t odd = 0 - (k & 1);
  uint64_t y = (bits_d(c) & odd) | (bits_d(s) & ~odd);
  return double_of(y ^ ((k & 2) << 62));
}

/* sin (x + quarter pi / 2) for |x| <= TRIG_MAX: n = round(x 2 / pi), r = x - n pi / 2
 * with pi / 2 in three parts of 33, 33 and 53 bits, so that n times the first two is
 * exact. */
#define TRIG_MAX 0x1p20f

VMATH double trig_near(double x, uint64_t quarter) {
  double t = muladd_d(x, 0x1.45f306dc9c883p-1, ROUND_D);
  double n = t - ROUND_D;
  double r = muladd_d(n, -0x1.921fb544p0, x);
  r = muladd_d(n, -0x1.0b4611a6p-34, r);
  r = muladd_d(n, -0x1.3198a2e037073p-69, r);
  return trig_quarter(r, bits_d(t) + quarter);
}

/* 2 / pi after eight zero bits. */
static const uint64_t two_over_pi[4] __attribute__((unused)) = {
    0x00a2f9836e4e4415, 0x29fc2757d1f534dd, 0xc0db6295993c4390, 0x41fe5163abdebbc5};

/* The same for |x| > TRIG_MAX, |x| = m 2^e with m < 2^24. Bits of 2 / pi that count 4
 * or more in 2^e 2 / pi only add whole turns; the 96 bits that follow them, times m,
 * give |x| 2 / pi mod 4 as q 2^-62, off by 2^-61. No multiple of pi / 2 comes nearer to
 * a float than 2^-30 of the way to the next, so 31 bits of r and more are right. */
VMATH double trig_far(float x, uint64_t quarter) {
  uint32_t u = bits_f(x) & ~SIGN_F;
  uint64_t m = (u & 0x7fffff) | 0x800000;
  uint32_t skip = (u >> 23) - 144;
  uint32_t word = skip >> 6 & 1;
  uint32_t shift = skip & 63;
  uint64_t next = two_over_pi[word + 1];
  uint64_t high = two_over_pi[word] << shift | next >> 1 >> (63 - shift);
  uint64_t low = next << shift | two_over_pi[word + 2] >> 1 >> (63 - shift);
  uint64_t q = m * high + (m * (low >> 32) >> 32);
  uint64_t n = (q + ((uint64_t)1 << 61)) >> 62;
  double r = (double)(int64_t)(q - (n << 62)) * 0x1.921fb54442d18p-62;
  bool negative = bits_f(x) >> 31;
  double y = trig_quarter(negative ? -r : r, (negative ? 0 - n : n) + quarter);
  return u < 0x7f800000 ? y : NAN;
}

/* For |x| <= TRIG_MAX only, and for the others; the kernels sin and cos take every
 * x. */
VMATH real f_sin(real x) { return (float)trig_near(x, 0); }
VMATH real f_cos(real x) { return (float)trig_near(x, 1); }
VMATH real f_sin_far(real x) { return (float)trig_far(x, 0); }
VMATH real f_cos_far(real x) { return (float)trig_far(x, 1); }

VMATH real f_pow(real x, real y) { return (float)pow((double)x, (double)y); }
VMATH real f_sqrt(real x) { return sqrtf(x); }
#endif

/* -- gelu -------------------------------------------------------------------------- */

/* Of the normal distribution: half^2 = e^(-x^2 / 2), density c half^2 with c = 1 /
 * sqrt(2 pi), and Phi(-|x|) = half^2 r, where r falls slowly from 1/2 like c / |x|. So
 * the tail for x < 0 keeps its digits, which 1 + erf loses, and half is a normal number
 * wherever the results are. They vanish before -NORMAL_FAR, where x is cut off (NaN is
 * not). */
typedef struct Normal {
  double x, half, r;
} Normal;

VMATH Normal normal_at(real x) {
  double b = x < -NORMAL_FAR ? -NORMAL_FAR : (double)x;
  b = x > NORMAL_FAR ? NORMAL_FAR : b;
  double a = b < 0.0 ? -b : b;
  double half = normal_half(a);
  return (Normal){b, half, normal_ratio(a, half)};
}

/* half^2 y for small and large y */
VMATH double times_exp(const Normal *n, double y) { return n->half * (n->half * y); }

/* x Phi(x) */
VMATH real f_gelu(real x) {
  Normal n = normal_at(x);
  double above = (double)x * (1.0 - times_exp(&n, n.r));
  double tail = times_exp(&n, n.x * n.r);
  return (real)(x < 0 ? tail : above);
}

/* Its derivative: Phi(x) + x c half^2. */
VMATH real f_gelu_slope(real x) {
  Normal n = normal_at(x);
  double tilt = n.x * ONE_OVER_SQRT_2PI;
  double above = (1.0 - times_exp(&n, n.r)) + times_exp(&n, tilt);
  double tail = times_exp(&n, n.r + tilt);
  return (real)(x < 0 ? tail : above);
}

/* Its second derivative: c half^2 (2 - x^2). */
VMATH real f_gelu_curve(real x) {
  Normal n = normal_at(x);
  return (real)times_exp(&n, ONE_OVER_SQRT_2PI * (2.0 - n.x * n.x));
}

#endif
