/* test_gemm.c: products against plain double loops, block by block, on both routes; our
 * kernels against their definition, bit by bit; the choice of BLIS's kernel set. Kernel
 * set and SIMD level are chosen once per process, so every test runs in a child of its
 * own, whose exit status is the verdict. RUNNER_VERBOSE=1 prints the route of each
 * shape. */
#include "test.h"
#include "base/sys.h"
#include "kernel/gemm.h"
#include "kernel/kernel.h"
#include <sys/wait.h>
#include <unistd.h>

/* Runs check() in a child with RUNNER_SIMD = `simd` and BLIS_ARCH_TYPE = `choice`
 * (NULL: unset); its answer. */
static int in_child_at(const char *simd, const char *choice,
                       int (*check)(const char *choice)) {
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (choice) setenv("BLIS_ARCH_TYPE", choice, 1);
    else unsetenv("BLIS_ARCH_TYPE");
    if (simd) setenv("RUNNER_SIMD", simd, 1);
    else unsetenv("RUNNER_SIMD");
    int status = check(choice);
    fflush(NULL);
    _exit(status);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status))
    fail_msg("BLIS_ARCH_TYPE=%s: killed by signal %d", choice ? choice : "(unset)",
             WTERMSIG(status));
  return WEXITSTATUS(status);
}

static int in_child(const char *choice, int (*check)(const char *choice)) {
  return in_child_at(NULL, choice, check);
}

/* -- one product ------------------------------------------------------------------- */

static real *values(int64_t n, uint64_t key) {
  real *v = malloc((size_t)(n + 1) * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    v[i] = (real)((double)(key >> 40) / 0x1p23 - 1);
  }
  return v;
}

static double element(const Gemm *g, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t k = 0; k < g->K; k++)
    sum += (double)g->a[g->transpose_a ? k * g->M + i : i * g->K + k] *
           (double)g->b[g->transpose_b ? j * g->K + k : k * g->N + j];
  return sum;
}

static bool describe(const Gemm *g, const char *what, int64_t at) {
  fprintf(stderr, "%s, %s: %s at %lld of %lldx%lldx%lld, transposes %d %d\n",
          simd_name(simd_level()), gemm_kernel_set(), what, (long long)at,
          (long long)g->M, (long long)g->N, (long long)g->K, g->transpose_a,
          g->transpose_b);
  return false;
}

static void show_route(const Gemm *g) {
  printf("%s, %s: %lldx%lldx%lld %c%c: %s, %lld blocks\n", simd_name(simd_level()),
         gemm_kernel_set(), (long long)g->M, (long long)g->N, (long long)g->K,
         g->transpose_a ? 'T' : 'N', g->transpose_b ? 'T' : 'N', gemm_route(g),
         (long long)gemm_blocks(g));
}

/* Every element of C against the loop (each `stride`-th of them). */
static bool right(const Gemm *g, int64_t stride) {
  double tolerance = 4 * REAL_EPS * (double)(g->K + 1);
  for (int64_t at = 0; at < g->M * g->N; at += stride)
    if (!(fabs((double)g->c[at] - element(g, at / g->N, at % g->N)) <= tolerance))
      return describe(g, "wrong", at);
  return true;
}

/* Each block run alone into NaNs writes elements that no other block writes; together
 * they write all. */
static bool blocks_tile(const Gemm *g) {
  int64_t n = g->M * g->N;
  char *times = calloc((size_t)n + 1, 1);
  assert_non_null(times);
  for (int64_t block = 0; block < gemm_blocks(g); block++) {
    for (int64_t at = 0; at < n; at++) g->c[at] = (real)NAN;
    gemm_run_block(g, block);
    for (int64_t at = 0; at < n; at++) times[at] = (char)(times[at] + !isnan(g->c[at]));
  }
  bool once = true;
  for (int64_t at = 0; at < n && once; at++)
    if (times[at] != 1) once = describe(g, "not written exactly once", at);
  free(times);
  return once;
}

/* C starts as NaN and has a guard behind it. Backwards: any order of blocks is
 * right. */
static bool product_right(int64_t M, int64_t N, int64_t K, bool ta, bool tb,
                          int64_t stride) {
  Gemm g = {.M = M, .N = N, .K = K, .transpose_a = ta, .transpose_b = tb};
  real *a = values(M * K, 1), *b = values(K * N, 2), *c = values(M * N, 3);
  g.a = a, g.b = b, g.c = c;
  for (int64_t i = 0; i < M * N; i++) c[i] = (real)NAN;
  c[M * N] = 77;
  for (int64_t block = gemm_blocks(&g); block-- > 0;) gemm_run_block(&g, block);
  bool ok = c[M * N] == 77 || describe(&g, "guard overwritten", M * N);
  ok = ok && right(&g, stride);
  if (ok && gemm_blocks(&g) > 1) ok = blocks_tile(&g);
  if (getenv("RUNNER_VERBOSE") && stride > 1) show_route(&g);
  free(a), free(b), free(c);
  return ok;
}

static bool all_transposes_right(int64_t M, int64_t N, int64_t K, int64_t stride) {
  bool ok = true;
  for (int t = 0; t < 4; t++) ok = product_right(M, N, K, t & 1, t & 2, stride) && ok;
  return ok;
}

static bool start(void) {
  Fault fault = {0};
  if (!gemm_init(&fault)) return true;
  fprintf(stderr, "%s\n", fault.text);
  return false;
}

/* -- products ---------------------------------------------------------------------- */

static const int64_t small_sizes[] = {1, 2, 3, 7, 16, 31, 33, 65};
enum { N_SMALL = sizeof small_sizes / sizeof *small_sizes };

static bool small_right(void) {
  bool ok = true;
  for (int m = 0; m < N_SMALL; m++)
    for (int n = 0; n < N_SMALL; n++)
      for (int k = 0; k < N_SMALL; k++)
        ok = ok &&
             all_transposes_right(small_sizes[m], small_sizes[n], small_sizes[k], 1);
  return ok;
}

static bool large_right(void) {
  static const int64_t shapes[][3] = {{32, 300, 784},  {128, 512, 512}, {784, 300, 32},
                                      {1, 1500, 900},  {1500, 1, 900},  {257, 511, 259},
                                      {1000, 10, 300}, {3, 2000, 400},  {1, 1, 10001},
                                      {32, 100, 100},  {100, 32, 784},
                                       {4200, 260, 500}};
  bool ok = true;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    ok = all_transposes_right(shapes[s][0], shapes[s][1], shapes[s][2], 137) && ok;
  return ok;
}

static int small_verdict(const char *choice) {
  (void)choice;
  return start() && small_right() ? 0 : 1;
}
static int large_verdict(const char *choice) {
  (void)choice;
  return start() && large_right() ? 0 : 1;
}

TEST(small_products_are_right_in_all_transposes) {
  assert_int_equal(in_child(NULL, small_verdict), 0);
}
TEST(large_products_are_right_and_blocks_write_each_element_once) {
  assert_int_equal(in_child(NULL, large_verdict), 0);
}

/* Levels and sets that meet: both routes at each level. A set that the processor or the
 * build lacks is refused, and passes. */
static int level_verdict(const char *choice) {
  Fault fault = {0};
  (void)choice;
  if (gemm_init(&fault)) return 0;
  return small_right() && large_right() ? 0 : 1;
}

TEST(products_are_right_at_all_levels_with_all_sets) {
  static const char *const levels[] = {"plain", "avx2", "avx512"};
  static const char *const sets[] = {"0", "3", "5", "20"}; /* of 0.9.0 */
  for (int level = 0; level < 3; level++)
    for (int set = 0; set < 4; set++)
      if (in_child_at(levels[level], sets[set], level_verdict) != 0)
        fail_msg("RUNNER_SIMD=%s BLIS_ARCH_TYPE=%s", levels[level], sets[set]);
}

static int empty_verdict(const char *choice) {
  (void)choice;
  if (!start()) return 1;
  bool ok = product_right(3, 5, 0, false, false, 1) &&
            product_right(1, 9, 0, false, true, 1) &&
            product_right(9, 1, 0, true, false, 1) &&
            product_right(0, 5, 4, false, false, 1) &&
            product_right(5, 0, 4, true, true, 1) &&
            product_right(0, 0, 0, false, false, 1);
  return ok ? 0 : 1;
}

TEST(an_inner_size_of_zero_gives_zeros) {
  assert_int_equal(in_child(NULL, empty_verdict), 0);
}

/* Large products give several threads work; small ones stay whole. */
static int cut_verdict(const char *choice) {
  (void)choice;
  if (!start()) return 1;
  Gemm small = {.M = 32, .N = 10, .K = 100}, large = {.M = 256, .N = 2048, .K = 2048};
  Gemm gradient = {.M = 784, .N = 512, .K = 128, .transpose_a = true};
  return gemm_blocks(&small) == 1 && gemm_blocks(&large) >= 8 &&
                 gemm_blocks(&gradient) >= 2
             ? 0
             : 1;
}

TEST(large_products_are_cut_and_small_ones_are_not) {
  assert_int_equal(in_child(NULL, cut_verdict), 0);
}

/* -- our kernels, bit by bit ------------------------------------------------------- */

static real muladd(real a, real b, real c) {
  if (simd_level() == SIMD_PLAIN) return a * b + c;
  return sizeof(real) == sizeof(float) ? (real)fmaf((float)a, (float)b, (float)c)
                                       : (real)fma((double)a, (double)b, (double)c);
}

/* The definition: chunks of at most 256 in k, each a chain from zero, added in
 * order. */
static real chain(const real *a, const real *b, int64_t N, int64_t K) {
  int64_t n = (K + 255) / 256;
  real sum = 0;
  for (int64_t chunk = 0; chunk < n; chunk++) {
    real part = 0;
    for (int64_t k = chunk * K / n; k < (chunk + 1) * K / n; k++)
      part = muladd(a[k], b[k * N], part);
    sum = chunk == 0 ? part : sum + part;
  }
  return sum;
}

static real *transposed(const real *x, int64_t rows, int64_t columns) {
  real *y = malloc((size_t)(rows * columns) * sizeof *y);
  assert_non_null(y);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) y[j * rows + i] = x[i * columns + j];
  return y;
}

static bool same(real x, real y) { return x == y || (isnan(x) && isnan(y)); }

/* Some rows at a time, the last ones first. */
static void pack_by_rows(real *packed, const real *b, const Gemm *g, int64_t stride) {
  enum { ROWS = 7 };
  for (int64_t k = (g->K - 1) / ROWS * ROWS; k >= 0; k -= ROWS)
    kernels()->gemm_pack_rows(packed, b + k * stride, g->N, g->K, stride, k,
                              g->K - k < ROWS ? g->K - k : ROWS);
}

/* The same of a B that was copied first; by_rows: in another way, and the product
 * fetches something meanwhile. */
static void packed_product(real *c, const real *a, const real *b, const Gemm *g,
                           const GemmStrides *s, bool by_rows) {
  real *packed = aligned_alloc(64,
                               GEMM_PACKED(g->N, g->K) * sizeof *packed / 64 * 64 + 64);
  assert_non_null(packed);
  GemmPacked form = {.M = g->M, .N = g->N, .K = g->K, .row_a = s->a, .row_c = s->c,
                     .transposed = s->transpose_a};
  if (by_rows) {
    pack_by_rows(packed, b, g, s->b);
    form.ahead = b, form.n_ahead = g->N * g->K;
  } else {
    kernels()->gemm_pack(packed, b, g->N, g->K, s->b, s->transpose_b);
  }
  kernels()->gemm_packed(c, a, packed, &form);
  free(packed);
}

/* All four ways to store A and B, into rows of C that lie 3 further apart than they
 * need; C holds NaN before, and what lies between its rows stays. Then with a packed
 * B, in two ways. */
static bool kernel_exact(int64_t M, int64_t N, int64_t K, bool special) {
  real *a = values(M * K, 1), *b = values(K * N, 2);
  if (special) {
    a[(M - 1) * K] = (real)INFINITY;
    b[0] = 0;
    b[(K - 1) * N + N - 1] = (real)NAN;
  }
  real *at = transposed(a, M, K), *bt = transposed(b, K, N);
  real *want = values(M * N, 3), *c = values(M * (N + 3), 4);
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) want[i * N + j] = chain(a + i * K, b + j, N, K);
  bool ok = true;
  for (int t = 0; t < 10 && ok; t++) {
    bool ta = t & 1, tb = t & 2;
    GemmStrides strides = {.a = ta ? M : K, .b = tb ? K : N, .c = N + 3,
                           .transpose_a = ta, .transpose_b = tb};
    for (int64_t i = 0; i < M * (N + 3); i++) c[i] = i % (N + 3) < N ? (real)NAN : 77;
    Gemm g = {.M = M, .N = N, .K = K, .transpose_a = ta, .transpose_b = tb};
    if (t < 4) kernels()->gemm(c, ta ? at : a, tb ? bt : b, M, N, K, &strides);
    else packed_product(c, ta ? at : a, tb ? bt : b, &g, &strides, t >= 8);
    for (int64_t i = 0; i < M * (N + 3) && ok; i++) {
      int64_t row = i / (N + 3), column = i % (N + 3);
      ok = same(c[i], column < N ? want[row * N + column] : 77) ||
           describe(&g, "not the sum in order", i);
    }
  }
  free(a), free(b), free(at), free(bt), free(want), free(c);
  return ok;
}

/* A product of nothing is 0. */
static bool packed_nothing(void) {
  enum { M = 3, N = 20 };
  real c[M * N], a[1] = {0}, b[1] = {0};
  for (int i = 0; i < M * N; i++) c[i] = (real)NAN;
  Gemm g = {.M = M, .N = N, .K = 0};
  packed_product(c, a, b, &g, &(GemmStrides){.a = 0, .b = N, .c = N}, false);
  bool ok = true;
  for (int i = 0; i < M * N && ok; i++) ok = c[i] == 0 || describe(&g, "not 0", i);
  return ok;
}

static int exact_verdict(const char *choice) {
  static const int64_t sides[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  11, 12, 13, 15,
                                  16, 17,
                                  23, 25, 31, 32, 33, 37, 47, 48, 49, 63, 64, 65, 70};
  static const int64_t depths[] = {1, 2, 3, 7, 8, 16, 17, 33};
  static const int64_t deep[][3] = {{5, 50, 255}, {13, 33, 256}, {9, 49, 257},
                                    {32, 10, 784}, {300, 20, 600}, {2, 17, 1025},
                                    {1, 181, 300}, {1, 384, 156}};
  (void)choice;
  if (!start()) return 1;
  bool ok = packed_nothing();
  for (size_t m = 0; m < sizeof sides / sizeof *sides; m++)
    for (size_t n = 0; n < sizeof sides / sizeof *sides; n++)
      for (size_t k = 0; k < sizeof depths / sizeof *depths && ok; k++)
        ok = kernel_exact(sides[m], sides[n], depths[k], (m + n + k) % 5 == 0);
  for (size_t s = 0; s < sizeof deep / sizeof *deep && ok; s++)
    ok = kernel_exact(deep[s][0], deep[s][1], deep[s][2], s % 2);
  return ok ? 0 : 1;
}

TEST(our_kernels_sum_in_the_order_that_they_say_at_all_levels) {
  assert_int_equal(in_child_at("plain", NULL, exact_verdict), 0);
  assert_int_equal(in_child_at("avx2", NULL, exact_verdict), 0);
  assert_int_equal(in_child_at("avx512", NULL, exact_verdict), 0);
}

/* Products whose B or C lies in memory, or whose rows share sets of the caches. */
static bool far_exact(const Gemm *f) {
  Gemm g = *f;
  real *a = values(g.M * g.K, 1), *b = values(g.K * g.N, 2), *c = values(g.M * g.N, 3);
  real *rows = g.transpose_a ? transposed(a, g.K, g.M) : a;
  real *columns = g.transpose_b ? transposed(b, g.N, g.K) : b;
  g.a = a, g.b = b, g.c = c;
  for (int64_t i = 0; i < g.M * g.N; i++) c[i] = (real)NAN;
  c[g.M * g.N] = 77;
  for (int64_t block = gemm_blocks(&g); block-- > 0;) gemm_run_block(&g, block);
  bool ok = c[g.M * g.N] == 77 || describe(&g, "guard overwritten", g.M * g.N);
  for (int64_t at = 0; at < g.M * g.N && ok; at += 37)
    ok = c[at] == chain(rows + at / g.N * g.K, columns + at % g.N, g.N, g.K) ||
         describe(&g, "not the sum in order", at);
  if (rows != a) free(rows);
  if (columns != b) free(columns);
  free(a), free(b), free(c);
  return ok;
}

static int far_verdict(const char *choice) {
  static const Gemm products[] = {
      {.M = 64, .N = 1024, .K = 1100}, {.M = 41, .N = 514, .K = 2100},
      {.M = 7, .N = 550, .K = 2000},   {.M = 3, .N = 1536, .K = 5},
      {.M = 600, .N = 1280, .K = 100, .transpose_a = true},
      {.M = 520, .N = 1024, .K = 7, .transpose_a = true},
      {.M = 1400, .N = 190, .K = 261, .transpose_a = true},
      {.M = 555, .N = 530, .K = 261, .transpose_a = true}, /* with AVX2, BLIS's */
      {.M = 67, .N = 75, .K = 300, .transpose_b = true},
      {.M = 300, .N = 130, .K = 140, .transpose_b = true},
      {.M = 130, .N = 300, .K = 270, .transpose_a = true, .transpose_b = true}};
  (void)choice;
  if (!start()) return 1;
  if (sizeof(real) != sizeof(float) || simd_level() == SIMD_PLAIN) return 0;
  bool ok = true;
  for (size_t s = 0; s < sizeof products / sizeof *products; s++)
    if (strcmp(gemm_route(&products[s]), "tiles") == 0)
      ok = far_exact(&products[s]) && ok;
  return ok ? 0 : 1;
}

TEST(products_from_memory_are_summed_as_all_are) {
  assert_int_equal(in_child_at("avx2", "3", far_verdict), 0);
  assert_int_equal(in_child_at("avx512", NULL, far_verdict), 0);
}

/* -- the kernel set ---------------------------------------------------------------- */

enum { RIGHT, WRONG, REFUSED };

/* A choice is refused with a text that shows it, or gives right products. */
static int choice_verdict(const char *choice) {
  Fault fault = {0};
  if (gemm_init(&fault)) {
    bool clear = fault.code == ERR_USAGE && strstr(fault.text, "BLIS_ARCH_TYPE") &&
                 strstr(fault.text, choice) && strstr(fault.text, "allowed");
    if (!clear) fprintf(stderr, "unclear: %s\n", fault.text);
    return clear ? REFUSED : WRONG;
  }
  return all_transposes_right(33, 65, 31, 1) && all_transposes_right(210, 220, 230, 7)
             ? RIGHT
             : WRONG;
}

TEST(every_number_is_a_right_kernel_set_or_is_refused) {
  int n_right = 0;
  for (int id = -2; id <= 40; id++) {
    char choice[16];
    snprintf(choice, sizeof choice, "%d", id);
    int verdict = in_child(choice, choice_verdict);
    if (verdict == WRONG) fail_msg("BLIS_ARCH_TYPE=%s", choice);
    n_right += verdict == RIGHT;
  }
  assert_true(n_right >= 2); /* BLIS's own choice (-1) and generic at least */
}

TEST(words_and_numbers_out_of_range_are_refused) {
  static const char *const wrong[] = {"haswell", "0x", "3 ", "1e0", "99", "-7",
                                      "99999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (in_child(wrong[i], choice_verdict) != REFUSED)
      fail_msg("BLIS_ARCH_TYPE=%s is not refused", wrong[i]);
}

static int unset_verdict(const char *choice) {
  (void)choice;
  if (!start()) return 1;
  const char *set = gemm_kernel_set();
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool skx = avx2 && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl");
  if (skx) return strcmp(set, "skx") != 0;
  if (avx2) return strcmp(set, "haswell") != 0;
  return 0;
}

TEST(without_a_choice_the_set_follows_the_processor) {
  assert_int_equal(in_child(NULL, unset_verdict), 0);
  assert_int_equal(in_child("", unset_verdict), 0);
}

/* 0 and 3 are skx and haswell in BLIS 0.9.0. */
static int name_verdict(const char *choice) {
  Fault fault = {0};
  if (gemm_init(&fault)) return 0; /* not on this processor */
  if (strcmp(gemm_version(), "0.9.0") != 0) return 0;
  const char *want = strcmp(choice, "0") == 0 ? "skx" : "haswell";
  return strcmp(gemm_kernel_set(), want) != 0 || !large_right();
}

TEST(skx_and_haswell_are_taken_when_asked_for_and_right) {
  assert_int_equal(in_child("0", name_verdict), 0);
  assert_int_equal(in_child("3", name_verdict), 0);
}
