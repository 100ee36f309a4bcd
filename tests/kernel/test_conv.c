/* test_conv.c: convolutions and their gradients against plain double loops, over random
 * sizes and options and chosen ones, at each SIMD level that this processor has: one
 * level is chosen per process, so each is tried in a child. Blocks are run in order and
 * backwards, for equal bits; what they do not write stays NaN. CONV_SEED=n: other
 * random shapes. */
#include "test.h"
#include "base/par.h"
#include "base/sys.h"
#include "kernel/conv.h"
#include <sys/wait.h>
#include <unistd.h>

static const char *const result_names[] = {"y", "x", "w"};

typedef struct Arrays {
  int64_t n[3]; /* elements of y, x, w, as ConvResult counts them */
  real *in[3];
  real *out, *again;
  double *want, *size; /* sums, and sums of the products' sizes */
} Arrays;

/* -- one convolution --------------------------------------------------------------- */

static void fill(real *x, int64_t n, uint64_t key) {
  for (int64_t i = 0; i < n; i++) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    x[i] = (real)((double)(key >> 40) / 0x1p23 - 1);
  }
}

static void *room(size_t n_bytes) {
  void *p = malloc(n_bytes + 1);
  assert_non_null(p);
  return p;
}

static Arrays arrays_of(const Conv *v) {
  Arrays a = {.n = {v->N * v->G * v->f * v->P * v->Q, v->N * v->G * v->c * v->H * v->W,
                    v->G * v->f * v->c * v->R * v->S}};
  int64_t most = 0;
  for (int i = 0; i < 3; i++) {
    a.in[i] = room((size_t)a.n[i] * sizeof(real));
    fill(a.in[i], a.n[i], (uint64_t)i + 1);
    most = a.n[i] > most ? a.n[i] : most;
  }
  a.out = room((size_t)most * sizeof(real));
  a.again = room((size_t)most * sizeof(real));
  a.want = room((size_t)most * sizeof(double));
  a.size = room((size_t)most * sizeof(double));
  return a;
}

static void free_arrays(Arrays *a) {
  for (int i = 0; i < 3; i++) free(a->in[i]);
  free(a->out);
  free(a->again);
  free(a->want);
  free(a->size);
}

/* The operands of a result: the other two, in the order that conv_run_block has. */
static void operands(const Arrays *a, ConvResult result, const real *in[2]) {
  in[0] = a->in[result == CONV_Y ? CONV_X : CONV_Y];
  in[1] = a->in[result == CONV_W ? CONV_X : CONV_W];
}

static void add_term(const Arrays *a, ConvResult result, const int64_t at[3]) {
  double factor[3];
  for (int i = 0; i < 3; i++) factor[i] = (double)a->in[i][at[i]];
  double term = 1;
  for (int i = 0; i < 3; i++)
    if (i != (int)result) term *= factor[i];
  a->want[at[result]] += term;
  a->size[at[result]] += fabs(term);
}

/* All products of one pixel of y. */
static void add_pixel(const Conv *v, const Arrays *a, ConvResult result, int64_t y) {
  int64_t q = y % v->Q, p = y / v->Q % v->P, f = y / (v->P * v->Q) % (v->G * v->f);
  int64_t n = y / (v->P * v->Q * v->G * v->f), g = f / v->f;
  for (int64_t c = 0; c < v->c; c++)
    for (int64_t r = 0; r < v->R; r++)
      for (int64_t s = 0; s < v->S; s++) {
        int64_t row = p * v->stride[0] - v->before[0] + r * v->dilation[0];
        int64_t column = q * v->stride[1] - v->before[1] + s * v->dilation[1];
        if (row < 0 || row >= v->H || column < 0 || column >= v->W) continue;
        int64_t plane = (n * v->G + g) * v->c + c;
        add_term(a, result,
                 (int64_t[]){y, (plane * v->H + row) * v->W + column,
                             ((f * v->c + c) * v->R + r) * v->S + s});
      }
}

static void sum_plainly(const Conv *v, const Arrays *a, ConvResult result) {
  for (int64_t i = 0; i < a->n[result]; i++) a->want[i] = a->size[i] = 0;
  for (int64_t y = 0; y < a->n[CONV_Y]; y++) add_pixel(v, a, result, y);
}

static void run(const Conv *v, const Arrays *a, ConvResult result, real *out,
                bool backwards) {
  ConvBytes bytes = conv_bytes(v, result);
  ConvMemory memory = {aligned_alloc(64, (bytes.shared + 127) / 64 * 64),
                       aligned_alloc(64, (bytes.own + 127) / 64 * 64)};
  assert_non_null(memory.shared);
  assert_non_null(memory.own);
  memset(memory.shared, 0xff, bytes.shared); /* NaN */
  memset(memory.own, 0xff, bytes.own);
  for (int64_t i = 0; i < a->n[result]; i++) out[i] = NAN;
  const real *in[2];
  operands(a, result, in);
  for (int phase = 0; phase < CONV_PHASES; phase++)
    for (int64_t b = 0, n = conv_blocks(v, result, phase); b < n; b++)
      conv_run_block(v, result, phase, backwards ? n - 1 - b : b, out, in, memory);
  free(memory.shared);
  free(memory.own);
}

/* Infinite and NaN sums alike; others up to rounding. */
static bool close_to(double got, double want, double size, double n_terms) {
  if (isnan(want)) return isnan(got);
  if (isinf(want)) return got == want;
  return fabs(got - want) <= (8 + sqrt(n_terms)) * REAL_EPS * size + 1e-30;
}

static bool is_right(const Conv *v, const Arrays *a, ConvResult result) {
  double n_terms = (double)(result == CONV_Y   ? v->c * v->R * v->S
                            : result == CONV_X ? v->f * v->R * v->S
                                               : v->N * v->P * v->Q);
  run(v, a, result, a->out, false);
  run(v, a, result, a->again, true);
  sum_plainly(v, a, result);
  bool ok = memcmp(a->out, a->again, (size_t)a->n[result] * sizeof(real)) == 0;
  if (!ok) printf("%s: other bytes backwards\n", result_names[result]);
  for (int64_t i = 0; ok && i < a->n[result]; i++) {
    ok = close_to((double)a->out[i], a->want[i], a->size[i], n_terms);
    if (!ok)
      printf("%s[%lld] = %g, want %g\n", result_names[result], (long long)i,
             (double)a->out[i], a->want[i]);
  }
  return ok;
}

static void print(const Conv *v) {
  printf("N %lld G %lld c %lld f %lld image %lldx%lld kernel %lldx%lld result "
         "%lldx%lld "
         "stride %lld %lld before %lld %lld dilation %lld %lld\n",
         (long long)v->N, (long long)v->G, (long long)v->c, (long long)v->f,
         (long long)v->H, (long long)v->W, (long long)v->R, (long long)v->S,
         (long long)v->P, (long long)v->Q, (long long)v->stride[0],
         (long long)v->stride[1], (long long)v->before[0], (long long)v->before[1],
         (long long)v->dilation[0], (long long)v->dilation[1]);
}

static bool all_right(const Conv *v) {
  Arrays a = arrays_of(v);
  bool ok = true;
  for (int result = 0; ok && result < 3; result++)
    ok = is_right(v, &a, (ConvResult)result);
  if (!ok) print(v);
  free_arrays(&a);
  return ok;
}

/* -- shapes ------------------------------------------------------------------------ */

typedef struct Shape {
  int64_t N, G, c, f, H, W, R, S;
  int64_t stride[2], pads[4], dilation[2]; /* pads: top, bottom, left, right */
} Shape;

/* P or Q below 1: the kernel does not fit. */
static Conv conv_of(const Shape *s) {
  Conv v = {.N = s->N, .G = s->G, .c = s->c, .H = s->H, .W = s->W, .f = s->f,
            .R = s->R, .S = s->S};
  int64_t size[2] = {s->H, s->W}, kernel[2] = {s->R, s->S}, positions[2];
  for (int i = 0; i < 2; i++) {
    v.stride[i] = s->stride[i];
    v.before[i] = s->pads[2 * i];
    v.dilation[i] = s->dilation[i];
    int64_t spare = size[i] + s->pads[2 * i] + s->pads[2 * i + 1] -
                    (kernel[i] - 1) * s->dilation[i] - 1;
    positions[i] = spare < 0 ? 0 : spare / s->stride[i] + 1;
  }
  v.P = positions[0];
  v.Q = positions[1];
  return v;
}

/* The last three: mostly zeros, many phases. */
static const Shape chosen[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {2, 1, 5, 33, 14, 14, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}},
    {9, 1, 17, 20, 7, 7, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 1, 32, 28, 28, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}},
    {3, 2, 9, 17, 9, 7, 3, 3, {1, 1}, {0, 2, 2, 0}, {1, 1}},
    {3, 1, 5, 18, 9, 7, 3, 3, {2, 1}, {3, 0, 0, 2}, {2, 1}},
    {3, 1, 5, 5, 6, 2, 3, 3, {1, 1}, {1, 1, 2, 3}, {1, 1}},
    {3, 1, 5, 5, 6, 4, 3, 3, {1, 1}, {1, 1, 3, 1}, {1, 1}},
    {2, 1, 7, 20, 8, 9, 5, 5, {1, 1}, {4, 1, 1, 4}, {1, 1}},
    {2, 1, 3, 6, 31, 33, 5, 5, {1, 1}, {2, 2, 4, 0}, {1, 1}},
    {3, 1, 3, 16, 9, 31, 3, 3, {2, 2}, {1, 0, 0, 1}, {1, 1}},
    {2, 1, 40, 50, 6, 6, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {2, 1, 9, 7, 8, 9, 1, 1, {2, 2}, {0, 0, 0, 0}, {1, 1}},
    {3, 24, 1, 1, 9, 10, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {70, 6, 1, 1, 7, 14, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 2, 20, 30, 9, 8, 1, 1, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {3, 1, 20, 18, 12, 13, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}},
    {2, 5, 1, 2, 11, 10, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 3, 4, 23, 5, 3, 2, {1, 1}, {4, 4, 3, 3}, {4, 2}},
    {1, 1, 2, 3, 50, 60, 11, 11, {4, 4}, {2, 2, 2, 2}, {1, 1}},
    {1, 1, 100, 3, 5, 5, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 1, 2, 5, 1, 3, 3, {1, 2}, {1, 1, 1, 1}, {1, 1}},
    {0, 1, 2, 3, 5, 5, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 0, 3, 5, 5, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 3, 0, 5, 5, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {2, 1, 3, 2, 0, 5, 3, 3, {1, 1}, {2, 2, 1, 1}, {1, 1}},
    {1, 1, 2, 2, 4, 4, 3, 3, {1000, 1}, {1000, 1000, 1, 1}, {1, 1}},
    {2, 1, 2, 2, 5, 4, 3, 2, {1, 70}, {300, 300, 90, 100}, {300, 90}},
    {1, 1, 1, 2, 130, 120, 1, 1, {100, 90}, {0, 0, 0, 0}, {1, 1}},
};

/* Those that are computed by tiles: several slabs and images in one, odd sizes, rows of
 * tiles longer than vectors and bands of them, padding on one side alone, groups. */
static const Shape by_tiles[] = {
    {2, 1, 24, 25, 14, 14, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}},
    {1, 1, 33, 26, 9, 13, 5, 5, {1, 1}, {4, 1, 0, 3}, {1, 1}},
    {1, 1, 24, 24, 7, 40, 5, 5, {1, 1}, {2, 2, 1, 2}, {1, 1}},
    {20, 2, 26, 24, 6, 12, 5, 5, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {1, 1, 24, 24, 22, 9, 5, 5, {1, 1}, {3, 2, 4, 4}, {1, 1}},
    {1, 1, 49, 50, 14, 13, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
    {1, 2, 48, 52, 9, 23, 3, 3, {1, 1}, {2, 1, 0, 2}, {1, 1}},
    {1, 1, 48, 48, 20, 14, 3, 3, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {1, 1, 48, 50, 4, 40, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
};

static bool chosen_right(void) {
  bool ok = true;
  for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
    Conv v = conv_of(&chosen[i]);
    assert_true(v.P > 0 && v.Q > 0);
    ok = all_right(&v) && ok;
  }
  for (size_t i = 0; i < sizeof by_tiles / sizeof *by_tiles; i++) {
    Conv v = conv_of(&by_tiles[i]);
    ok = all_right(&v) && ok;
  }
  return ok;
}

/* -- random ones ------------------------------------------------------------------- */

static int64_t draw(uint64_t *state, int64_t lo, int64_t hi) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return lo + (int64_t)((*state >> 33) % (uint64_t)(hi - lo + 1));
}

static Shape random_shape(uint64_t *s) {
  Shape v = {.N = draw(s, 1, 9), .G = draw(s, 1, 3) == 3 ? draw(s, 2, 5) : 1,
             .c = draw(s, 1, 10), .f = draw(s, 1, 20), .H = draw(s, 1, 16),
             .W = draw(s, 1, 16), .R = draw(s, 1, 5), .S = draw(s, 1, 5)};
  for (int i = 0; i < 2; i++) {
    v.stride[i] = draw(s, 1, 4) == 4 ? draw(s, 2, 4) : 1;
    v.dilation[i] = draw(s, 1, 4) == 4 ? draw(s, 2, 3) : 1;
  }
  for (int i = 0; i < 4; i++) v.pads[i] = draw(s, 0, 4);
  return v;
}

static bool random_right(void) {
  const char *seed = getenv("CONV_SEED");
  uint64_t state = seed ? (uint64_t)atoll(seed) : 1;
  bool ok = true;
  for (int i = 0; i < 60; i++) {
    Shape s = random_shape(&state);
    Conv v = conv_of(&s);
    if (v.P > 0 && v.Q > 0) ok = all_right(&v) && ok;
  }
  return ok;
}

/* -- what is not finite ------------------------------------------------------------ */

/* One infinite or NaN element in each operand: it reaches the sums that it is a term
 * of, and no others, be there padding or not. */
static bool odd_right(void) {
  static const Shape shapes[] = {
      {3, 1, 2, 3, 6, 7, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
      {2, 2, 1, 1, 6, 7, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
      {2, 1, 5, 18, 6, 7, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}},
      {2, 1, 2, 9, 7, 6, 3, 2, {2, 1}, {1, 1, 0, 1}, {1, 2}},
      {2, 1, 3, 2, 6, 6, 2, 2, {1, 1}, {0, 0, 0, 0}, {1, 1}},
      {2, 1, 24, 25, 8, 9, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}},
      {1, 1, 48, 49, 6, 12, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}}};
  enum { N = sizeof shapes / sizeof *shapes };
  static const real odd[] = {INFINITY, -INFINITY, NAN};
  bool ok = true;
  for (int i = 0; i < N * 3 * 3; i++) {
    Conv v = conv_of(&shapes[i / 9]);
    Arrays a = arrays_of(&v);
    int which = i % 3;
    a.in[which][a.n[which] / 2] = odd[i / 3 % 3];
    a.in[which][0] = odd[i / 3 % 3];
    for (int result = 0; result < 3; result++)
      if (result != which) ok = is_right(&v, &a, (ConvResult)result) && ok;
    if (!ok) print(&v);
    free_arrays(&a);
  }
  return ok;
}

/* -- levels ------------------------------------------------------------------------ */

static void check_levels(bool (*check)(void)) {
  for (SimdLevel level = 0; level < SIMD_LEVELS; level++) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      setenv("RUNNER_SIMD", simd_name(level), 1);
      par_denormals_off();
      bool ok = simd_level() != level || check();
      fflush(NULL);
      _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      fail_msg("RUNNER_SIMD=%s", simd_name(level));
  }
}

TEST(chosen_shapes_are_right) { check_levels(chosen_right); }
TEST(random_shapes_are_right) { check_levels(random_right); }
TEST(what_is_not_finite_reaches_its_own_sums_alone) { check_levels(odd_right); }
