/* test_pool.c: pooling kernels of every level that this processor has, against loops by
 * the definition, over windows drawn at random: tails, edges, ties, NaN. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

enum { ROUNDS = 400, MOST = 64 * 64 };

static uint64_t word_at;
static int64_t draw(int64_t lo, int64_t hi) {
  Stream stream = {philox_key(1, "test", "pool"), 0};
  return lo + philox_word(stream, word_at++) % (uint32_t)(hi - lo + 1);
}

/* Sizes around those of vectors; every other one with the windows that are met most. */
static PoolPlane draw_plane(void) {
  PoolPlane v = {.adaptive = draw(0, 3) == 0, .divisor = (PoolDivisor)draw(0, 2),
                 .positive = draw(0, 1)};
  bool plain = draw(0, 2) == 0;
  for (int i = 0; i < 2; i++) {
    v.n[i] = draw(1, 40);
    v.kernel[i] = plain ? 2 : draw(1, 4);
    v.stride[i] = plain ? 2 : draw(1, 4);
    v.dilation[i] = plain ? 1 : draw(1, 3);
    v.before[i] = plain ? 0 : draw(0, v.kernel[i] - 1);
    v.after[i] = plain ? 0 : draw(0, v.kernel[i] - 1);
    int64_t reach = (v.kernel[i] - 1) * v.dilation[i] + 1;
    int64_t room = v.n[i] + v.before[i] + v.after[i] - reach;
    v.size[i] = v.adaptive ? draw(1, 45) : room < 0 ? 0 : room / v.stride[i] + 1;
  }
  return v;
}

/* Has the image the element k of window `at`, and which? Beyond those of the window:
 * k = -1. */
static bool element(const PoolPlane *v, int way, int64_t at, int64_t k, int64_t *out) {
  int64_t n = v->n[way], P = v->size[way];
  *out = v->adaptive ? at * n / P + k
                     : at * v->stride[way] - v->before[way] + k * v->dilation[way];
  return *out >= 0 && *out < n;
}

static int64_t elements(const PoolPlane *v, int way, int64_t at) {
  int64_t n = v->n[way], P = v->size[way];
  return v->adaptive ? ((at + 1) * n + P - 1) / P - at * n / P : v->kernel[way];
}

typedef struct Found {
  int64_t n, n_padded, at[2048], best;
} Found;

static void find(Found *f, const PoolPlane *v, const real *x, int64_t p, int64_t q) {
  int64_t i, j;
  *f = (Found){.best = -1};
  for (int64_t r = 0; r < elements(v, 0, p); r++)
    for (int64_t s = 0; s < elements(v, 1, q); s++) {
      bool inside = element(v, 0, p, r, &i);
      inside = element(v, 1, q, s, &j) && inside;
      f->n_padded += i < v->n[0] + v->after[0] && j < v->n[1] + v->after[1];
      if (!inside) continue;
      int64_t here = f->at[f->n++] = i * v->n[1] + j;
      if (f->best < 0 || x[here] > x[f->best] || (isnan(x[here]) && !isnan(x[f->best])))
        f->best = here;
    }
}

/* Windows with padding alone are refused before. */
static bool is_allowed(const PoolPlane *v) {
  for (int way = 0; way < 2; way++)
    for (int64_t at = 0; at < v->size[way]; at++)
      if (pool_window(v, way, at).n < 1) return false;
  return v->size[0] > 0 && v->size[1] > 0;
}

/* Few values, so that many are equal. */
static void fill(real *x, int64_t n, bool nan) {
  for (int64_t i = 0; i < n; i++)
    x[i] = nan && draw(0, 9) == 0 ? (real)NAN : (real)draw(-4, 4) / 4;
}

static void same(real got, real want) {
  bool ok = (isnan(got) && isnan(want)) ||
            fabs((double)got - (double)want) <= 16 * REAL_EPS * fmax(1, fabs(want));
  if (!ok) fail_msg("got %.9g, want %.9g", (double)got, (double)want);
}

static real x[MOST], z[MOST], gy[MOST], y[MOST], mean[MOST], picked[MOST], gx[MOST],
    spread[MOST];
static double want_gx[MOST], want_spread[MOST], row[MOST];
static int32_t at[MOST];

static void check(const PoolPlane *v) {
  static Found f;
  int64_t n_x = v->n[0] * v->n[1];
  memset(want_gx, 0, sizeof want_gx);
  memset(want_spread, 0, sizeof want_spread);
  for (int64_t i = 0; i < v->size[0] * v->size[1]; i++) {
    double sum = 0;
    find(&f, v, x, i / v->size[1], i % v->size[1]);
    double divisor = v->divisor == POOL_SUM            ? 1
                     : v->divisor == POOL_WITH_PADDING ? (double)f.n_padded
                                                       : (double)f.n;
    for (int64_t k = 0; k < f.n; k++) sum += (double)z[f.at[k]];
    for (int64_t k = 0; k < f.n; k++) want_spread[f.at[k]] += (double)gy[i] / divisor;
    bool counts = !v->positive || x[f.best] > 0;
    if (counts) want_gx[f.best] += (double)gy[i];
    same(y[i], x[f.best]);
    same(picked[i], counts ? z[f.best] : 0);
    same(mean[i], (real)(sum / divisor));
  }
  for (int64_t i = 0; i < n_x; i++) {
    same(gx[i], (real)want_gx[i]);
    same(spread[i], (real)want_spread[i]);
  }
}

TEST(kernels_of_every_level_follow_the_definition) {
  for (SimdLevel level = 0; level <= simd_level(); level++) {
    const Kernels *k = tables[level];
    for (int round = word_at = 0; round < ROUNDS; round++) {
      PoolPlane v = draw_plane();
      if (!is_allowed(&v)) continue;
      fill(x, v.n[0] * v.n[1], round % 4 == 0);
      fill(z, v.n[0] * v.n[1], false);
      fill(gy, v.size[0] * v.size[1], false);
      real *behind_y = y + v.size[0] * v.size[1], *behind_gx = gx + v.n[0] * v.n[1];
      *behind_y = *behind_gx = 77;
      k->pool_max(y, x, &v, (real *)row);
      k->pool_max_pick(picked, x, z, &v, (real *)row, at);
      k->pool_max_grad(gx, x, gy, &v, (real *)row, at);
      k->pool_mean(mean, z, &v, row);
      k->pool_mean_grad(spread, gy, &v, row);
      assert_true(*behind_y == 77 && *behind_gx == 77);
      check(&v);
    }
  }
}
