/* gemm.c: the door to BLIS, which alone includes its header.
 *
 * Invariant: the bits of C depend on M, N, K, the transposes and the kernel set, never on
 * threads. C is cut into tiles by gemm_plan, a pure function of these; a tile is one call
 * of BLIS, whose serial library has no threads of its own. beta = 0 throughout.
 *
 * Kernel set. BLIS 0.9.0 knows processors by vendor and brand text and falls back to
 * `haswell` or `generic` on those newer than itself, so the set is chosen here by CPU
 * features and handed over in BLIS_ARCH_TYPE, which BLIS reads when it initialises. It
 * takes any text there for a number and aborts on one it does not know: so a user's value
 * is checked before BLIS sees it.
 *
 * Tiles. BLIS packs both operands of a call (skx always; haswell where M, N and K are all
 * above its threshold of 200), so a row tile packs B again and a column tile packs A
 * again. Measured against one call, the time lost is about
 *     cost * (1 / tile_rows - 1 / M + 1 / tile_columns - 1 / N)
 * with cost 24 for small products, 12 for large ones and 1.5 where nothing is packed.
 * Tiles are halved, the longer side first, while the loss stays within LOSS and a tile
 * keeps enough work to be worth a thread.
 *
 * A product with one row or one column goes to our own loops (vector/gemm.c): BLIS would
 * pack the matrix to use it once. */
#include "kernel/gemm.h"
#include "kernel/kernel.h"
#include <blis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the kernel set ------------------------------------------------------------------ */

enum { HAS_SSE3 = 1, HAS_AVX = 2, HAS_FMA4 = 4, HAS_FMA = 8, HAS_AVX2 = 16,
       HAS_AVX512_SKX = 32, HAS_AVX512_KNL = 64 };

typedef struct KernelSet {
  arch_t id;
  unsigned needs;
} KernelSet;

/* The sets in this build of BLIS, each with what its kernels and its compilation use. */
static const KernelSet kernel_sets[] = {
#ifdef BLIS_CONFIG_SKX
    {BLIS_ARCH_SKX, HAS_AVX512_SKX | HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_KNL
    {BLIS_ARCH_KNL, HAS_AVX512_KNL | HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_HASWELL
    {BLIS_ARCH_HASWELL, HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_SANDYBRIDGE
    {BLIS_ARCH_SANDYBRIDGE, HAS_AVX},
#endif
#ifdef BLIS_CONFIG_PENRYN
    {BLIS_ARCH_PENRYN, HAS_SSE3},
#endif
#ifdef BLIS_CONFIG_ZEN3
    {BLIS_ARCH_ZEN3, HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_ZEN2
    {BLIS_ARCH_ZEN2, HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_ZEN
    {BLIS_ARCH_ZEN, HAS_AVX2 | HAS_FMA},
#endif
#ifdef BLIS_CONFIG_EXCAVATOR
    {BLIS_ARCH_EXCAVATOR, HAS_AVX2 | HAS_FMA | HAS_FMA4},
#endif
#ifdef BLIS_CONFIG_STEAMROLLER
    {BLIS_ARCH_STEAMROLLER, HAS_AVX | HAS_FMA | HAS_FMA4},
#endif
#ifdef BLIS_CONFIG_PILEDRIVER
    {BLIS_ARCH_PILEDRIVER, HAS_AVX | HAS_FMA | HAS_FMA4},
#endif
#ifdef BLIS_CONFIG_BULLDOZER
    {BLIS_ARCH_BULLDOZER, HAS_AVX | HAS_FMA4},
#endif
#ifdef BLIS_CONFIG_GENERIC
    {BLIS_ARCH_GENERIC, 0},
#endif
};
enum { N_KERNEL_SETS = sizeof kernel_sets / sizeof *kernel_sets };

static unsigned cpu_features(void) {
  __builtin_cpu_init();
  unsigned has = 0;
  if (__builtin_cpu_supports("ssse3")) has |= HAS_SSE3;
  if (__builtin_cpu_supports("avx")) has |= HAS_AVX;
  if (__builtin_cpu_supports("fma4")) has |= HAS_FMA4;
  if (__builtin_cpu_supports("fma")) has |= HAS_FMA;
  if (__builtin_cpu_supports("avx2")) has |= HAS_AVX2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    has |= HAS_AVX512_SKX;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512er") && __builtin_cpu_supports("avx512pf"))
    has |= HAS_AVX512_KNL;
  return has;
}

static bool set_usable(const KernelSet *set, unsigned has) {
  return (set->needs & ~has) == 0;
}

/* "0 (skx), 3 (haswell)": what BLIS_ARCH_TYPE may be on this processor. */
static void list_usable(char *buffer, size_t n_bytes, unsigned has) {
  size_t used = 0;
  for (int i = 0; i < N_KERNEL_SETS && used < n_bytes; i++)
    if (set_usable(&kernel_sets[i], has))
      used += (size_t)snprintf(buffer + used, n_bytes - used, "%s%d (%s)",
                               used ? ", " : "", (int)kernel_sets[i].id,
                               bli_arch_string(kernel_sets[i].id));
}

/* A user's choice; -1 is BLIS's word for choosing by itself. */
static Err check_choice(const char *text, unsigned has, Fault *fault) {
  char allowed[512] = "";
  list_usable(allowed, sizeof allowed, has);
  char *end;
  errno = 0;
  long id = strtol(text, &end, 10);
  if (*end != '\0' || errno != 0)
    return fault_set(fault, ERR_USAGE,
                     "environment variable BLIS_ARCH_TYPE: got \"%s\", which is no "
                     "integer; allowed on this machine: %s; unset it for the best",
                     text, allowed);
  for (int i = 0; i < N_KERNEL_SETS; i++)
    if ((long)kernel_sets[i].id == id && set_usable(&kernel_sets[i], has)) return ERR_OK;
  if (id == -1) return ERR_OK;
  bool known = id >= 0 && id < BLIS_NUM_ARCHS;
  return fault_set(fault, ERR_USAGE,
                   "environment variable BLIS_ARCH_TYPE: got %ld%s%s%s; allowed on this "
                   "machine: %s; unset it for the best",
                   id, known ? " (" : "", known ? bli_arch_string((arch_t)id) : "",
                   known ? "), which this processor or this build of BLIS lacks" : "",
                   allowed);
}

/* The best set for the features, or NULL: let BLIS choose. */
static const KernelSet *best_set(unsigned has) {
  static const arch_t order[] = {BLIS_ARCH_SKX, BLIS_ARCH_HASWELL};
  for (size_t k = 0; k < sizeof order / sizeof *order; k++)
    for (int i = 0; i < N_KERNEL_SETS; i++)
      if (kernel_sets[i].id == order[k] && set_usable(&kernel_sets[i], has))
        return &kernel_sets[i];
  return NULL;
}

/* BLIS aborts when asked for its set before it is initialised with a set chosen. */
static arch_t kernel_set(void) {
  bli_init();
  return bli_arch_query_id();
}

Err gemm_init(Fault *fault) {
  unsigned has = cpu_features();
  const char *choice = getenv("BLIS_ARCH_TYPE");
  bool chosen = choice && *choice;
  const KernelSet *best = chosen ? NULL : best_set(has);
  if (chosen) {
    Err err = check_choice(choice, has, fault);
    if (err) return err;
  } else if (best) {
    char text[16];
    snprintf(text, sizeof text, "%d", (int)best->id);
    if (setenv("BLIS_ARCH_TYPE", text, 1)) return fault_memory(fault, sizeof text);
  } else {
    unsetenv("BLIS_ARCH_TYPE");
  }
  kernel_set();
  if (best) unsetenv("BLIS_ARCH_TYPE"); /* programs that we start choose for themselves */
  return ERR_OK;
}

const char *gemm_version(void) { return bli_info_get_version_str(); }

const char *gemm_kernel_set(void) { return bli_arch_string(kernel_set()); }

/* -- tiles --------------------------------------------------------------------------- */

enum {
  BLOCK_MAX = 16,            /* tiles of one product */
  BLOCK_WORK = 1000000,      /* floating-point operations that are worth a tile */
  LARGE_WORK = 1 << 28,      /* from here on packing weighs less */
  UNPACKED_SIDE = 200,       /* haswell: nothing is packed up to this M, N or K */
  ROW_STEP = 12,             /* multiples of the rows and columns of the sets' kernels: */
  COLUMN_STEP = 32,          /* skx 32 x 12 (transposed), haswell 6 x 16 */
  VECTOR_WORK = 65536        /* matrix elements per block of a matrix-vector product */
};
static const double LOSS = 0.1;

typedef struct Plan {
  int64_t rows, columns;     /* of a tile; less in the last one */
  int64_t n_rows, n_columns; /* tiles */
} Plan;

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t step) { return divide_up(a, step) * step; }

/* Do calls of BLIS on this product pack their operands? */
static bool packs(const Gemm *g) {
  arch_t set = kernel_set();
  if (set == BLIS_ARCH_SKX || set == BLIS_ARCH_KNL) return true;
  return g->M > UNPACKED_SIDE && g->N > UNPACKED_SIDE && g->K > UNPACKED_SIDE;
}

static Plan plan_tiles(const Gemm *g) {
  double work = 2.0 * (double)g->M * (double)g->N * (double)g->K;
  double M = (double)g->M, N = (double)g->N, rows = M, columns = N;
  bool packing = packs(g);
  double cost = !packing ? 1.5 : work < LARGE_WORK ? 24 : 12;
  /* A tile must not fall below the threshold that the whole product is above. */
  double least = packing && kernel_set() != BLIS_ARCH_SKX ? UNPACKED_SIDE + 1 : 32;
  double n_max = fmin(BLOCK_MAX, work / BLOCK_WORK);
  for (double n = 2; n <= n_max; n *= 2) {
    double *side = rows > columns ? &rows : &columns, half = *side / 2;
    double loss = cost * (1 / rows - 1 / M + 1 / columns - 1 / N + 1 / half - 1 / *side);
    if (half < least || loss > LOSS) break;
    *side = half;
  }
  Plan p = {.rows = g->M, .columns = g->N};
  if (rows < M) p.rows = round_up((int64_t)rows, ROW_STEP);
  if (columns < N) p.columns = round_up((int64_t)columns, COLUMN_STEP);
  return p;
}

static Plan gemm_plan(const Gemm *g) {
  Plan p = {.rows = g->M, .columns = g->N, .n_rows = 1, .n_columns = 1};
  if (g->M == 0 || g->N == 0 || g->K == 0) return p;
  if (g->M == 1 || g->N == 1) {
    int64_t tile = round_up(divide_up(VECTOR_WORK, g->K), COLUMN_STEP);
    if (g->M > tile) p.rows = tile;
    if (g->N > tile) p.columns = tile;
  } else {
    p = plan_tiles(g);
  }
  p.n_rows = divide_up(g->M, p.rows);
  p.n_columns = divide_up(g->N, p.columns);
  return p;
}

int64_t gemm_blocks(const Gemm *gemm) {
  must(gemm->M >= 0 && gemm->N >= 0 && gemm->K >= 0);
  Plan p = gemm_plan(gemm);
  return p.n_rows * p.n_columns;
}

/* -- one tile ------------------------------------------------------------------------ */

static void blis_gemm(dim_t m, dim_t n, dim_t k, const real *a, inc_t rsa, inc_t csa,
                      const real *b, inc_t rsb, inc_t csb, real *c, inc_t rsc) {
  real one = 1, zero = 0;
#ifdef REAL_DOUBLE
  bli_dgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one, (real *)a, rsa, csa,
            (real *)b, rsb, csb, &zero, c, rsc, 1);
#else
  bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one, (real *)a, rsa, csa,
            (real *)b, rsb, csb, &zero, c, rsc, 1);
#endif
}

/* `x` with rows along the outputs, or along k; y and x begin at the tile. */
static void vector_product(bool rows, real *y, const real *x, const real *v, int64_t n,
                           int64_t K, int64_t stride) {
  if (rows)
    kernels()->gemv_rows(y, x, v, n, K, stride);
  else
    kernels()->gemv_columns(y, x, v, n, K, stride);
}

void gemm_run_block(const Gemm *gemm, int64_t block) {
  const Gemm *g = gemm;
  Plan p = gemm_plan(g);
  must(block >= 0 && block < p.n_rows * p.n_columns);
  if (g->M == 0 || g->N == 0) return;
  int64_t i = block / p.n_columns * p.rows, j = block % p.n_columns * p.columns;
  int64_t m = g->M - i < p.rows ? g->M - i : p.rows;
  int64_t n = g->N - j < p.columns ? g->N - j : p.columns;
  int64_t rsa = g->transpose_a ? 1 : g->K, csa = g->transpose_a ? g->M : 1;
  int64_t rsb = g->transpose_b ? 1 : g->N, csb = g->transpose_b ? g->K : 1;
  const real *a = g->a + i * rsa, *b = g->b + j * csb;
  real *c = g->c + i * g->N + j;
  if (g->K == 0)
    memset(c, 0, (size_t)(m * n) * sizeof *c);
  else if (g->N == 1) /* one row is contiguous either way */
    vector_product(!g->transpose_a || g->M == 1, c, a, b, m, g->K,
                   g->transpose_a ? csa : rsa);
  else if (g->M == 1)
    vector_product(g->transpose_b, c, b, a, n, g->K, g->transpose_b ? csb : rsb);
  else
    blis_gemm(m, n, g->K, a, rsa, csa, b, rsb, csb, c, g->N);
}
