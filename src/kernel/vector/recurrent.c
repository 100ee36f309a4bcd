/* recurrent.c: the cells of recurrent layers, one example at one step. The equations
 * are in graph/ops_lstm.c and ops_gru.c; letters here are theirs. Each loop goes over
 * units that do not depend on each other; arrays do not overlap. */
#include "kernel/kernel.h"
#include "kernel/vector/vmath.h"

#define INLINE static inline __attribute__((always_inline))

/* -- the functions of gates -------------------------------------------------------- */

/* Chains of half the length of those in vmath.h: a processor looks ahead over few
 * elements, so what counts is how long one of them takes. For that the sigmoid is off
 * by up to 3 ulp, and tanh by 6, where it is near 1; neither leaves [-1, 1]. */
#ifdef REAL_DOUBLE
INLINE real gate_sigmoid(real x) { return f_sigmoid(x); }
INLINE real gate_tanh(real x) { return f_tanh(x); }
#else
/* x between -most and most; NaN stays. */
INLINE float bounded(float x, float most) {
  float y = x > most ? most : x;
  return y < -most ? -most : y;
}

/* Below -87 it stays what it is there, 1.6e-38. */
INLINE real gate_sigmoid(real x) {
  return 1.0f / (1.0f + exp_normal_f(-bounded(x, 87.0f)));
}

/* x p(z) / q(z), z = x^2, a minimax fit, off by 6e-9 up to 7.9, where it stays: so near
 * to 1 that rounding does not lead beyond. */
INLINE real gate_tanh(real x) {
  float b = bounded(x, 7.9f), z = b * b;
  float p = 1.5428032472985287e-8f, q = 8.598805597957799e-7f;
  p = muladd_f(p, z, 2.202329157406191e-5f);
  q = muladd_f(q, z, 3.4236552794536214e-4f);
  p = muladd_f(p, z, 3.578994962513059e-3f);
  q = muladd_f(q, z, 2.6192249221962727e-2f);
  p = muladd_f(p, z, 1.3450623078068213e-1f);
  q = muladd_f(q, z, 4.6783951079956626e-1f);
  return b * muladd_f(p, z, 1.0f) / muladd_f(q, z, 1.0f);
}
#endif

/* -- gates: each a loop of its own, which compilers turn into vector code ---------- */

INLINE void sigmoid_gate(real *restrict y, const real *restrict a,
                         const real *restrict bias, int64_t n) {
  VECTOR_LOOP
  for (int64_t j = 0; j < n; j++) y[j] = gate_sigmoid(a[j] + bias[j]);
}

INLINE void tanh_gate(real *restrict y, const real *restrict a,
                      const real *restrict bias, int64_t n) {
  VECTOR_LOOP
  for (int64_t j = 0; j < n; j++) y[j] = gate_tanh(a[j] + bias[j]);
}

/* With what a peephole sees of c. */
INLINE void sigmoid_peep(real *restrict y, const real *restrict a,
                         const real *restrict bias, const real *restrict peep,
                         const real *restrict c, int64_t n) {
  VECTOR_LOOP
  for (int64_t j = 0; j < n; j++) y[j] = gate_sigmoid(a[j] + bias[j] + peep[j] * c[j]);
}

/* -- LSTM -------------------------------------------------------------------------- */

INLINE void sigmoid_part(real *y, const real *a, const real *bias, const real *peep,
                         const real *c, int64_t n, bool peepholes) {
  if (peepholes) sigmoid_peep(y, a, bias, peep, c, n);
  else sigmoid_gate(y, a, bias, n);
}

void KN(lstm_cell)(real *restrict h, real *restrict c, real *restrict kept,
                   const real *restrict a, const real *restrict bias, int64_t H,
                   bool peepholes) {
  const real *peep = bias + 4 * H;
  real *i = kept + H, *f = i + H, *g = f + H, *o = g + H, *th = o + H;
  sigmoid_part(i, a, bias, peep, c, H, peepholes);
  sigmoid_part(f, a + H, bias + H, peep + H, c, H, peepholes);
  tanh_gate(g, a + 2 * H, bias + 2 * H, H);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) kept[j] = c[j] = f[j] * c[j] + i[j] * g[j];
  sigmoid_part(o, a + 3 * H, bias + 3 * H, peep + 2 * H, c, H, peepholes);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) th[j] = gate_tanh(c[j]);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) h[j] = o[j] * th[j];
}

INLINE void lstm_back(real *restrict da, real *restrict dc, const real *restrict dh,
                      const real *restrict kept, const real *restrict c0,
                      const real *restrict peep, int64_t H, bool peepholes) {
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) {
    real i = kept[H + j], f = kept[2 * H + j], g = kept[3 * H + j];
    real o = kept[4 * H + j], th = kept[5 * H + j];
    real d_o = dh[j] * th * o * (1 - o), d = dc[j] + dh[j] * o * (1 - th * th);
    if (peepholes) d += d_o * peep[2 * H + j];
    real d_i = d * g * i * (1 - i), d_f = d * c0[j] * f * (1 - f), before = d * f;
    if (peepholes) before += d_i * peep[j] + d_f * peep[H + j];
    da[j] = d_i;
    da[H + j] = d_f;
    da[2 * H + j] = d * i * (1 - g * g);
    da[3 * H + j] = d_o;
    dc[j] = before;
  }
}

void KN(lstm_cell_back)(real *restrict da, real *restrict dc, const real *restrict dh,
                        const real *restrict kept, const real *restrict c0,
                        const real *restrict bias, int64_t H, bool peepholes) {
  const real *peep = bias + 4 * H;
  if (peepholes) lstm_back(da, dc, dh, kept, c0, peep, H, true);
  else lstm_back(da, dc, dh, kept, c0, peep, H, false);
}

void KN(lstm_peepholes_back)(double *restrict sum, const real *restrict da,
                             const real *restrict kept, const real *restrict c0,
                             int64_t H) {
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) {
    sum[j] += (double)da[j] * (double)c0[j];
    sum[H + j] += (double)da[H + j] * (double)c0[j];
    sum[2 * H + j] += (double)da[3 * H + j] * (double)kept[j];
  }
}

/* -- GRU, reset after the product -------------------------------------------------- */

void KN(gru_cell)(real *restrict h, real *restrict kept, const real *restrict a,
                  const real *restrict q, const real *restrict bias, int64_t H) {
  real *r = kept, *z = kept + H, *n = kept + 2 * H, *part = kept + 3 * H;
  VECTOR_LOOP
  for (int64_t j = 0; j < 2 * H; j++) kept[j] = gate_sigmoid(a[j] + bias[j]);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) part[j] = q[j] + bias[3 * H + j];
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++)
    n[j] = gate_tanh(a[2 * H + j] + bias[2 * H + j] + r[j] * part[j]);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) h[j] = (1 - z[j]) * n[j] + z[j] * h[j];
}

void KN(gru_cell_back)(real *restrict da, real *restrict dq, real *restrict dh,
                       const real *restrict kept, const real *restrict h0, int64_t H) {
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) {
    real r = kept[j], z = kept[H + j], n = kept[2 * H + j], d = dh[j];
    real d_n = d * (1 - z) * (1 - n * n), d_z = d * (h0[j] - n) * z * (1 - z);
    real d_r = d_n * kept[3 * H + j] * r * (1 - r);
    da[j] = d_r;
    da[H + j] = d_z;
    da[2 * H + j] = d_n;
    dq[j] = d_n * r;
    dh[j] = d * z;
  }
}

/* -- GRU, reset before the product ------------------------------------------------- */

void KN(gru_reset)(real *restrict m, real *restrict kept, const real *restrict a,
                   const real *restrict u, const real *restrict bias, int64_t H) {
  sigmoid_gate(kept, a, bias, 2 * H);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) m[j] = kept[j] * u[j];
}

void KN(gru_renew)(real *restrict h, real *restrict kept, const real *restrict a,
                   const real *restrict bias, int64_t H) {
  const real *z = kept + H;
  real *n = kept + 2 * H;
  tanh_gate(n, a + 2 * H, bias + 2 * H, H);
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) h[j] = (1 - z[j]) * n[j] + z[j] * h[j];
}

void KN(gru_renew_back)(real *restrict da, real *restrict dh, const real *restrict kept,
                        const real *restrict h0, int64_t H) {
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) {
    real z = kept[H + j], n = kept[2 * H + j], d = dh[j];
    da[H + j] = d * (h0[j] - n) * z * (1 - z);
    da[2 * H + j] = d * (1 - z) * (1 - n * n);
    dh[j] = d * z;
  }
}

void KN(gru_reset_back)(real *restrict da, real *restrict du, const real *restrict dm,
                        const real *restrict kept, const real *restrict u, int64_t H) {
  VECTOR_LOOP
  for (int64_t j = 0; j < H; j++) {
    real r = kept[j];
    da[j] = dm[j] * u[j] * r * (1 - r);
    du[j] += dm[j] * r;
  }
}
