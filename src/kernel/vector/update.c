/* update.c: optimizer updates, one pass over weights, gradients and slots.
 *
 * Outputs may be the very inputs they replace (w_out = w and so on), hence no restrict:
 * `omp simd` says what holds either way, that no element depends on another. Every step
 * is one correctly rounded operation, so tails give the same bits as full vectors. */
#include "kernel/kernel.h"
#include <math.h>

static inline real root(real x) {
#ifdef REAL_DOUBLE
  return sqrt(x);
#else
  return sqrtf(x);
#endif
}

void KN(update_sgd)(real *w_out, const real *w, const real *g, int64_t n, real lr,
                    real weight_decay, real scale) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    w_out[i] = w[i] - lr * (scale * g[i] + weight_decay * w[i]);
}

static inline void momentum(real *w_out, real *v_out, const real *w, const real *g,
                            const real *v, int64_t n, real lr, real mu,
                            real weight_decay, real scale, bool nesterov) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    real gradient = scale * g[i] + weight_decay * w[i];
    real velocity = mu * v[i] + gradient;
    v_out[i] = velocity;
    w_out[i] = w[i] - lr * (nesterov ? gradient + mu * velocity : velocity);
  }
}

void KN(update_momentum)(real *w_out, real *v_out, const real *w, const real *g,
                         const real *v, int64_t n, real lr, real mu, real weight_decay,
                         real scale, bool nesterov) {
  if (nesterov) momentum(w_out, v_out, w, g, v, n, lr, mu, weight_decay, scale, true);
  else momentum(w_out, v_out, w, g, v, n, lr, mu, weight_decay, scale, false);
}

/* One of `coupled` and `shrink` is zero: decay inside the gradient, or of the
 * weight. */
void KN(update_adam)(real *w_out, real *m_out, real *v_out, const real *w,
                     const real *g, const real *m, const real *v, int64_t n,
                     const AdamRates *rates) {
  const AdamRates r = *rates;
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    real gradient = r.scale * g[i] + r.coupled * w[i];
    real first = r.beta1 * m[i] + r.rest1 * gradient;
    real second = r.beta2 * v[i] + r.rest2 * (gradient * gradient);
    real step = r.lr * (first * r.correction1) / (root(second * r.correction2) + r.eps);
    m_out[i] = first;
    v_out[i] = second;
    w_out[i] = w[i] - step - r.shrink * w[i];
  }
}
