/* gemm.h: products of matrices, and the only door to BLIS. C = op(A) op(B), row-major,
 * beta = 0: C is never read.
 *
 * Behind it are our own kernels and BLIS's, called with one thread on blocks of the
 * product. Route and blocks depend on M, N, K, the transposes, the SIMD level and
 * BLIS's kernel set alone; the caller hands blocks to its threads. */
#ifndef KERNEL_GEMM_H
#define KERNEL_GEMM_H

#include "base/fault.h"
#include "base/real.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct Gemm {
  int64_t M, N, K;
  bool transpose_a; /* A is stored [K, M] */
  bool transpose_b; /* B is stored [N, K] */
  const real *a, *b;
  real *c; /* [M, N] */
} Gemm;

/* Selects BLIS's kernel set and initialises BLIS; call before any other thread and
 * before anything below (else BLIS chooses for itself). A second call changes nothing.
 * The environment variable BLIS_ARCH_TYPE, when set, is the choice; a fault (ERR_USAGE)
 * when it names no kernel set that this build and processor have. */
Err gemm_init(Fault *fault) WARN_UNUSED;
int64_t gemm_blocks(const Gemm *gemm);
void gemm_run_block(const Gemm *gemm, int64_t block);
/* Is a row of C the same whichever rows are computed with it? */
bool gemm_goes_by_rows(const Gemm *gemm);
/* Of such a product: rows first .. first + n - 1 of C. Meanwhile n_ahead reals of
 * memory may be fetched, for what comes next; ahead may be NULL where there are none.
 */
void gemm_run_rows(const Gemm *gemm, int64_t first, int64_t n, const real *ahead,
                   int64_t n_ahead);
/* May rows of C be had some at a time from a copy of B, which is made once? */
bool gemm_goes_by_copy(const Gemm *gemm);
size_t gemm_copy_bytes(const Gemm *gemm);
/* Copies rows first .. first + n - 1 of B. */
void gemm_copy_rows(const Gemm *gemm, real *copy, int64_t first, int64_t n);
/* Rows first .. first + n - 1 of C, to c. */
void gemm_run_copied(const Gemm *gemm, const real *copy, int64_t first, int64_t n,
                     real *c);
/* What computes the product: "vector" (our loops for one row or column), "tiles" (our
 * kernels) or "blis". */
const char *gemm_route(const Gemm *gemm);
/* "0.9.0" and "skx", for --version. */
const char *gemm_version(void);
const char *gemm_kernel_set(void);

#endif
