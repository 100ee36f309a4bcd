/* test_gemm.c: products against plain double loops, tile by tile; the choice of BLIS's
 * kernel set. BLIS initialises once per process, so every test runs in a child of its own,
 * whose exit status is the verdict. */
#include "test.h"
#include "kernel/gemm.h"
#include <sys/wait.h>
#include <unistd.h>

/* Runs check() in a child with BLIS_ARCH_TYPE = `choice` (NULL: unset); its answer. */
static int in_child(const char *choice, int (*check)(const char *choice)) {
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (choice) setenv("BLIS_ARCH_TYPE", choice, 1);
    else unsetenv("BLIS_ARCH_TYPE");
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

/* -- one product --------------------------------------------------------------------- */

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
  fprintf(stderr, "%s: %s at %lld of %lldx%lldx%lld, transposes %d %d\n",
          gemm_kernel_set(), what, (long long)at, (long long)g->M, (long long)g->N,
          (long long)g->K, g->transpose_a, g->transpose_b);
  return false;
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

/* C starts as NaN and has a guard behind it. Backwards: any order of blocks is right. */
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

/* -- products ------------------------------------------------------------------------ */

static const int64_t small_sizes[] = {1, 2, 3, 7, 16, 31, 33, 65};
enum { N_SMALL = sizeof small_sizes / sizeof *small_sizes };

static bool small_right(void) {
  bool ok = true;
  for (int m = 0; m < N_SMALL; m++)
    for (int n = 0; n < N_SMALL; n++)
      for (int k = 0; k < N_SMALL; k++)
        ok = ok && all_transposes_right(small_sizes[m], small_sizes[n], small_sizes[k], 1);
  return ok;
}

static bool large_right(void) {
  static const int64_t shapes[][3] = {{32, 300, 784},  {128, 512, 512}, {784, 300, 32},
                                      {1, 1500, 900},  {1500, 1, 900},  {257, 511, 259},
                                      {1000, 10, 300}, {3, 2000, 400},  {1, 1, 10001}};
  bool ok = true;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    ok = all_transposes_right(shapes[s][0], shapes[s][1], shapes[s][2], 37) && ok;
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

static int empty_verdict(const char *choice) {
  (void)choice;
  if (!start()) return 1;
  bool ok = product_right(3, 5, 0, false, false, 1) && product_right(1, 9, 0, false, true, 1) &&
            product_right(9, 1, 0, true, false, 1) && product_right(0, 5, 4, false, false, 1) &&
            product_right(5, 0, 4, true, true, 1) && product_right(0, 0, 0, false, false, 1);
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
  return gemm_blocks(&small) == 1 && gemm_blocks(&large) >= 8 && gemm_blocks(&gradient) >= 2
             ? 0 : 1;
}

TEST(large_products_are_cut_and_small_ones_are_not) {
  assert_int_equal(in_child(NULL, cut_verdict), 0);
}

/* -- the kernel set ------------------------------------------------------------------ */

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
             ? RIGHT : WRONG;
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
  bool skx = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
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
