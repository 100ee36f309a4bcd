/* gemm.c: the door to products of matrices, and to BLIS, which alone includes its
 * header.
 *
 * Invariant: the bits of C depend on M, N, K, the transposes, the SIMD level and the
 * kernel set, never on threads. The route and the cut into blocks are pure functions of
 * these. C is never read before it is written.
 *
 * Routes.
 *   vector  one row or one column: our own loops (vector/gemm.c).
 *   tiles   our own kernels, which pack nothing that need not be. With AVX-512 they
 *           reach 150 to 230 GF/s of 232, where BLIS's skx kernels, which pack both
 *           operands and compute whole tiles at the edges, reach 60 to 130 on the
 *           products of a batch of 32 with 100 to 300 units, and 150 to 200 with 512.
 *           With AVX2 most take 0.7 to 0.95 of the time of BLIS's unpacked ones, a
 *           few up to 1.1. Where rows of B or C are far apart, or in memory, they copy
 *           B a panel ahead: 0.7 to 0.9 from 64 rows on; with AVX-512, which copies
 *           a transposed A, too, 0.45 to 0.8 where rows are of 2,048 and 0.85 to 0.95
 *           where of 512.
 *   BLIS    large products, where packing pays, and those for which its kernels were
 *           measured to be faster or are wider than ours: one call per block of its
 *           serial library.
 *
 * Blocks of tiles. Kernels cost the same on any part of C but for copies of B, where it
 * is transposed or far, and of an A that is both: so C is halved, the longer side first
 * (columns, where B alone is copied), while a block keeps work for some microseconds
 * and a tile's height and a panel's width, or, of what copies, enough to be worth them.
 * The pieces of a side differ by one step at most, the larger first: threads that take
 * blocks in order end together.
 *
 * Blocks of BLIS. It packs both operands of a call (skx always; haswell where M, N and
 * K are all above its threshold of 200), so a row block packs B again and a column
 * block packs A again. Measured against one call, the time lost is about
 *     cost * (1 / block_rows - 1 / M + 1 / block_columns - 1 / N)
 * with cost 24 for small products, 12 for large ones and 1.5 where nothing is packed.
 * Blocks are halved, the longer side first, while the loss stays within LOSS and a
 * block keeps enough work to be worth a thread.
 *
 * Kernel set. BLIS 0.9.0 knows processors by vendor and brand text and falls back to
 * `haswell` or `generic` on those newer than itself, so the set is chosen here by CPU
 * features and handed over in BLIS_ARCH_TYPE, which BLIS reads when it initialises. It
 * takes any text there for a number and aborts on one it does not know: so a user's
 * value is checked before BLIS sees it. */
#include "kernel/gemm.h"
#include "base/sys.h"
#include "kernel/kernel.h"
#include <blis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the kernel set ---------------------------------------------------------------- */

enum { HAS_SSE3 = 1, HAS_AVX = 2, HAS_FMA4 = 4, HAS_FMA = 8, HAS_AVX2 = 16,
       HAS_AVX512_SKX = 32, HAS_AVX512_KNL = 64 };

typedef struct KernelSet {
  arch_t id;
  unsigned needs;
} KernelSet;

/* The sets in this build of BLIS, each with what its kernels and its compilation
 * use. */
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
    if ((long)kernel_sets[i].id == id && set_usable(&kernel_sets[i], has))
      return ERR_OK;
  if (id == -1) return ERR_OK;
  bool known = id >= 0 && id < BLIS_NUM_ARCHS;
  return fault_set(fault, ERR_USAGE,
                   "environment variable BLIS_ARCH_TYPE: got %ld%s%s%s; allowed on "
                   "this machine: %s; unset it for the best",
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

/* BLIS aborts when asked for its set before it is initialised with a set chosen. What
 * it would check of each call is ours to hold. */
static arch_t begin_blis(void) {
  bli_init();
  bli_error_checking_level_set(BLIS_NO_ERROR_CHECKING);
  return bli_arch_query_id();
}

static arch_t kernel_set(void) {
  static _Atomic int chosen = -1; /* every thread gets the same */
  int set = chosen;
  if (set < 0) chosen = set = (int)begin_blis();
  return (arch_t)set;
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
  if (best)
    unsetenv("BLIS_ARCH_TYPE"); /* programs that we start choose for themselves */
  return ERR_OK;
}

const char *gemm_version(void) { return bli_info_get_version_str(); }

const char *gemm_kernel_set(void) { return bli_arch_string(kernel_set()); }

/* -- the route --------------------------------------------------------------------- */

typedef enum Route { ROUTE_VECTOR, ROUTE_TILES, ROUTE_BLIS } Route;

enum {
  LARGE_PRODUCT = 1 << 29,   /* M N K from which packing can pay */
  THIN = 256,                /* columns of C for which it does not */
  LONG = 4096,               /* rows, and K, that spread A over too much memory */
  TINY_PRODUCT = 1 << 18,    /* M N K of which setting up a call of BLIS is a part */
  SMALL_PRODUCT = 1 << 22,
  ROWS_LEAST = 6,            /* with fewer AVX2 has too few sums in flight */
  UNPACKED_SIDE = 200,       /* haswell: nothing is packed up to this M, N or K */
  WIDE = 1024,               /* reals of a row: from here on sets of a cache run out */
  PAGE = 4096,               /* bytes after which places have the same set */
  FAR_B = 1 << 20,           /* elements of a B that lies in memory, ... */
  FAR_C = 1 << 18,           /* ... and of the C of a transposed A */
  LARGE_B = 1 << 18,         /* the same with AVX-512 */
  LARGE_C = 1 << 17,
  COPIED_FOR = 64,           /* rows of C for which a copy of B pays there, ... */
  COPIED_WIDE = 256,         /* ... columns, for one of a transposed A, and K: */
  COPIED_DEEP = 64, COPIED_DEEP_B = 128
};

/* Do our kernels with AVX-512 keep up with BLIS, which packs, on a large product? */
static bool large_tiles_win(const Gemm *g) {
  if (g->N <= THIN && !g->transpose_a) return true;
  return sizeof(real) == sizeof(float) && g->M <= LONG && g->K <= LONG;
}

/* Do calls of BLIS on this product pack their operands? */
static bool packs(const Gemm *g) {
  arch_t set = kernel_set();
  if (set == BLIS_ARCH_SKX || set == BLIS_ARCH_KNL) return true;
  return g->M > UNPACKED_SIDE && g->N > UNPACKED_SIDE && g->K > UNPACKED_SIDE;
}

/* Do rows of n reals lie so that their beginnings share a few sets of the caches? */
static bool rows_share_sets(int64_t n, int64_t n_bytes) {
  return n >= WIDE && n * (int64_t)sizeof(real) % n_bytes == 0;
}

/* With AVX2 our kernels win where BLIS packs nothing; but each k of a transposed A is a
 * row. In double they were measured for small products alone. */
static bool avx2_tiles_win(const Gemm *g, double product) {
  if (sizeof(real) == sizeof(float))
    return !packs(g) && !(g->transpose_a && rows_share_sets(g->M, PAGE));
  return g->M >= ROWS_LEAST && product < TINY_PRODUCT;
}

/* BLIS's kernels of penryn are as wide as our plain ones. */
static bool tiles_win(const Gemm *g) {
  arch_t set = kernel_set();
  double product = (double)g->M * (double)g->N * (double)g->K;
  switch (simd_level()) {
  case SIMD_AVX512: return product < LARGE_PRODUCT || large_tiles_win(g);
  case SIMD_AVX2:
    return set != BLIS_ARCH_SKX && set != BLIS_ARCH_KNL && avx2_tiles_win(g, product);
  default:
    return set == BLIS_ARCH_GENERIC ||
           (set == BLIS_ARCH_PENRYN && product < SMALL_PRODUCT);
  }
}

/* With AVX-512 copies pay also where a B is transposed: the next panel comes from afar
 * while one is in use. */
static bool is_far_avx512(const Gemm *g) {
  if (g->M < COPIED_FOR) return false;
  if (g->transpose_a && (g->N < COPIED_WIDE || g->K < COPIED_DEEP)) return false;
  if (g->transpose_b) return g->K >= COPIED_DEEP_B;
  return g->transpose_a ? g->M * g->N >= FAR_C : g->K * g->N >= LARGE_B;
}

/* Do rows of B or C share sets of the caches, or lie in memory? Sums are the same. */
static bool is_far(const Gemm *g) {
  if (sizeof(real) != sizeof(float)) return false;
  if (simd_level() == SIMD_AVX512) return is_far_avx512(g);
  if (simd_level() != SIMD_AVX2 || g->transpose_b) return false;
  return rows_share_sets(g->N, PAGE / 4) ||
         (g->transpose_a ? g->M * g->N >= FAR_C : g->K * g->N >= FAR_B);
}

/* The C of a transposed A has few terms for each element: with AVX-512 waiting for its
 * lines took a fifth of the time where all of it does not stay near. */
static bool fetches_c(const Gemm *g) {
  return simd_level() == SIMD_AVX512 && g->transpose_a && g->M * g->N >= LARGE_C;
}

static Route route_of(const Gemm *g) {
  if (g->M <= 1 || g->N <= 1 || g->K == 0) return ROUTE_VECTOR;
  return tiles_win(g) ? ROUTE_TILES : ROUTE_BLIS;
}

const char *gemm_route(const Gemm *gemm) {
  static const char *const names[] = {
      [ROUTE_VECTOR] = "vector", [ROUTE_TILES] = "tiles", [ROUTE_BLIS] = "blis"};
  return names[route_of(gemm)];
}

/* -- blocks ------------------------------------------------------------------------ */

enum {
  BLOCK_MAX = 16,            /* blocks of one product, unless they take long:
                                BLOCK_WORK */
  TILES_WORK = 500000,       /* floating-point operations that are worth a block */
  TILES_ROWS = 16,           /* least rows and columns of a block */
  TILES_COLUMNS = 48,
  COPIED_SIDE = 128,         /* the same where B is copied for rows, or a panel ahead */
  COPIED_SIDE_A = 256,       /* and where a transposed A is, too */
  TILES_STEP = 16,           /* columns: a cache line */
  BLIS_WORK = 1000000,
  LARGE_WORK = 1 << 28,      /* from here on packing weighs less */
  ROW_STEP = 12,             /* multiples of the rows and columns of the sets'
                                kernels: */
  COLUMN_STEP = 32,          /* skx 32 x 12 (transposed), haswell 6 x 16 */
  VECTOR_WORK = 65536        /* matrix elements per block of a matrix-vector product */
};
static const double LOSS = 0.1;
/* Floating-point operations of a block, at most about: an interrupt waits for its
 * end. */
static const double BLOCK_WORK = 4e9;

/* How C is cut: pieces of its two sides, at multiples of the steps. */
typedef struct Plan {
  Route route;
  int64_t n_rows, n_columns;
  int64_t row_step, column_step;
} Plan;

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t step) { return divide_up(a, step) * step; }

static double work_of(const Gemm *g) {
  return 2.0 * (double)g->M * (double)g->N * (double)g->K;
}

/* How many blocks there may be, if each is to have at least this work. */
static double most_blocks(double work, double least) {
  return fmin(fmax(BLOCK_MAX, 2 * work / BLOCK_WORK), work / least);
}

static void cut_tiles(Plan *p, const Gemm *g) {
  bool far = is_far(g), copies_a = far && g->transpose_a;
  bool copies_b = far || g->transpose_b;
  int64_t least_side = copies_a ? COPIED_SIDE_A : COPIED_SIDE;
  int64_t least_rows = copies_b ? least_side : TILES_ROWS;
  int64_t least_columns = far ? least_side : TILES_COLUMNS;
  p->column_step = TILES_STEP;
  double n_max = most_blocks(work_of(g), TILES_WORK);
  for (int n = 2; n <= n_max; n *= 2) {
    int64_t rows = g->M / p->n_rows, columns = g->N / p->n_columns;
    bool may_rows = rows >= 2 * least_rows, may_columns = columns >= 2 * least_columns;
    bool columns_first = (copies_b && !copies_a) || columns > rows || !may_rows;
    if (may_columns && columns_first) p->n_columns *= 2;
    else if (may_rows) p->n_rows *= 2;
    else break;
  }
}

static void cut_blis(Plan *p, const Gemm *g) {
  double work = work_of(g);
  double M = (double)g->M, N = (double)g->N, rows = M, columns = N;
  bool packing = packs(g);
  double cost = !packing ? 1.5 : work < LARGE_WORK ? 24 : 12;
  /* A block must not fall below the threshold that the whole product is above. */
  double least = packing && kernel_set() != BLIS_ARCH_SKX ? UNPACKED_SIDE + 1 : 32;
  double n_max = most_blocks(work, BLIS_WORK);
  for (double n = 2; n <= n_max; n *= 2) {
    double *side = rows > columns ? &rows : &columns, half = *side / 2;
    double loss = cost *
                  (1 / rows - 1 / M + 1 / columns - 1 / N + 1 / half - 1 / *side);
    if (half < least || loss > LOSS) break;
    *side = half;
  }
  p->row_step = ROW_STEP, p->column_step = COLUMN_STEP;
  p->n_rows = divide_up(g->M, round_up((int64_t)rows, ROW_STEP));
  p->n_columns = divide_up(g->N, round_up((int64_t)columns, COLUMN_STEP));
}

static void cut_vector(Plan *p, const Gemm *g) {
  int64_t tile = round_up(divide_up(VECTOR_WORK, g->K), COLUMN_STEP);
  p->row_step = p->column_step = COLUMN_STEP;
  p->n_rows = divide_up(g->M, tile);
  p->n_columns = divide_up(g->N, tile);
}

static Plan gemm_plan(const Gemm *g) {
  Plan p = {.route = route_of(g), .n_rows = 1, .n_columns = 1, .row_step = 1,
            .column_step = 1};
  if (g->M == 0 || g->N == 0 || g->K == 0) return p;
  if (p.route == ROUTE_TILES) cut_tiles(&p, g);
  else if (p.route == ROUTE_BLIS) cut_blis(&p, g);
  else cut_vector(&p, g);
  return p;
}

int64_t gemm_blocks(const Gemm *gemm) {
  must(gemm->M >= 0 && gemm->N >= 0 && gemm->K >= 0);
  Plan p = gemm_plan(gemm);
  return p.n_rows * p.n_columns;
}

/* Where piece i of n of a side begins. */
static int64_t piece(int64_t size, int64_t step, int64_t n, int64_t i) {
  if (i == 0 || i == n) return i ? size : 0;
  int64_t at = divide_up(i * divide_up(size, step), n) * step;
  return at < size ? at : size;
}

/* -- one block --------------------------------------------------------------------- */

static void blis_block(const Gemm *g, real *c, const real *a, const real *b, int64_t m,
                       int64_t n) {
  bool ta = g->transpose_a, tb = g->transpose_b;
  inc_t row_a = ta ? 1 : g->K, column_a = ta ? g->M : 1;
  inc_t row_b = tb ? 1 : g->N, column_b = tb ? g->K : 1;
  real one = 1, zero = 0;
  rntm_t serial = BLIS_RNTM_INITIALIZER; /* else BLIS looks it up behind a lock */
#ifdef REAL_DOUBLE
  bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, g->K, &one, (real *)a, row_a,
               column_a, (real *)b, row_b, column_b, &zero, c, g->N, 1, NULL, &serial);
#else
  bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, g->K, &one, (real *)a, row_a,
               column_a, (real *)b, row_b, column_b, &zero, c, g->N, 1, NULL, &serial);
#endif
}

static GemmStrides strides_of(const Gemm *g) {
  return (GemmStrides){.a = g->transpose_a ? g->M : g->K,
                       .b = g->transpose_b ? g->K : g->N,
                       .c = g->N,
                       .transpose_a = g->transpose_a,
                       .transpose_b = g->transpose_b,
                       .far_c = fetches_c(g)};
}

static void tiles_block(const Gemm *g, real *c, const real *a, const real *b, int64_t m,
                        int64_t n) {
  GemmStrides strides = strides_of(g);
  if (is_far(g)) kernels()->gemm_far(c, a, b, m, n, g->K, &strides);
  else kernels()->gemm(c, a, b, m, n, g->K, &strides);
}

/* The matrix has rows along the outputs, or along k; a single row is contiguous either
 * way. */
static void vector_block(const Gemm *g, real *c, const real *a, const real *b,
                         int64_t m, int64_t n) {
  const Kernels *k = kernels();
  if (g->N == 1 && (!g->transpose_a || g->M == 1))
    k->gemv_rows(c, a, b, m, g->K, g->transpose_a ? 1 : g->K);
  else if (g->N == 1) k->gemv_columns(c, a, b, m, g->K, g->M);
  else if (g->transpose_b) k->gemv_rows(c, b, a, n, g->K, g->K);
  else k->gemv_columns(c, b, a, n, g->K, g->N);
}

void gemm_run_block(const Gemm *gemm, int64_t block) {
  const Gemm *g = gemm;
  Plan p = gemm_plan(g);
  must(block >= 0 && block < p.n_rows * p.n_columns);
  if (g->M == 0 || g->N == 0) return;
  int64_t row = block % p.n_rows, column = block / p.n_rows;
  int64_t i = piece(g->M, p.row_step, p.n_rows, row);
  int64_t j = piece(g->N, p.column_step, p.n_columns, column);
  int64_t m = piece(g->M, p.row_step, p.n_rows, row + 1) - i;
  int64_t n = piece(g->N, p.column_step, p.n_columns, column + 1) - j;
  const real *a = g->a + (g->transpose_a ? i : i * g->K);
  const real *b = g->b + (g->transpose_b ? j * g->K : j);
  real *c = g->c + i * g->N + j;
  if (g->K == 0) memset(c, 0, (size_t)(m * n) * sizeof *c);
  else if (p.route == ROUTE_TILES) tiles_block(g, c, a, b, m, n);
  else if (p.route == ROUTE_BLIS) blis_block(g, c, a, b, m, n);
  else vector_block(g, c, a, b, m, n);
}

/* BLIS's kernels differ with the size of what they are given. A single column is a sum
 * for each row. */
bool gemm_goes_by_rows(const Gemm *g) {
  return g->M > 1 && g->N > 0 && g->K > 0 && !g->transpose_a &&
         route_of(g) != ROUTE_BLIS;
}

void gemm_run_rows(const Gemm *g, int64_t first, int64_t n, const real *ahead,
                   int64_t n_ahead) {
  const real *a = g->a + first * g->K;
  real *c = g->c + first * g->N;
  GemmStrides strides = strides_of(g);
  strides.ahead = ahead;
  strides.n_ahead = n_ahead;
  if (route_of(g) == ROUTE_TILES) kernels()->gemm(c, a, g->b, n, g->N, g->K, &strides);
  else kernels()->gemv_rows(c, a, g->b, n, g->K, g->K);
}

bool gemm_goes_by_copy(const Gemm *g) {
  return route_of(g) == ROUTE_TILES && !g->transpose_b;
}

size_t gemm_copy_bytes(const Gemm *g) {
  return (size_t)GEMM_PACKED(g->N, g->K) * sizeof(real);
}

void gemm_copy_rows(const Gemm *g, real *copy, int64_t first, int64_t n) {
  kernels()->gemm_pack_rows(copy, g->b + first * g->N, g->N, g->K, g->N, first, n);
}

void gemm_run_copied(const Gemm *g, const real *copy, int64_t first, int64_t n,
                     real *c) {
  const GemmPacked form = {.M = n, .N = g->N, .K = g->K, .row_c = g->N,
                           .row_a = g->transpose_a ? g->M : g->K,
                           .transposed = g->transpose_a};
  kernels()->gemm_packed(c, g->a + first * (g->transpose_a ? 1 : g->K), copy, &form);
}
