/* random.c: draws, LANES blocks of Philox 4x32-10 at a time (see base/philox.h, whose
 * philox_block gives the same words). Element i is a function of (stream, i) alone. */
#include "kernel/kernel.h"
#include <math.h>
#include <string.h>

enum { LANES = 16, WORDS = 4 * LANES };

typedef struct Block {
  uint32_t c0, c1, c2, c3;
} Block;

static inline Block mix(Block b, uint32_t k0, uint32_t k1) {
  uint64_t p0 = (uint64_t)PHILOX_M0 * b.c0, p1 = (uint64_t)PHILOX_M1 * b.c2;
  return (Block){(uint32_t)(p1 >> 32) ^ b.c1 ^ k0, (uint32_t)p1,
                 (uint32_t)(p0 >> 32) ^ b.c3 ^ k1, (uint32_t)p0};
}

/* The words of blocks first .. first + LANES - 1, in order. The counter is
 * (block low, block high, draw low, draw high). The rounds are unrolled so that the
 * loop over lanes is the one that is vectorised, with its state in registers. */
static inline void words(uint32_t out[WORDS], Stream stream, uint64_t first) {
  const uint32_t k0 = (uint32_t)stream.key, k1 = (uint32_t)(stream.key >> 32);
  const uint32_t d0 = (uint32_t)stream.draw, d1 = (uint32_t)(stream.draw >> 32);
#pragma omp simd
  for (int j = 0; j < LANES; j++) {
    uint64_t block = first + (uint64_t)j;
    Block b = {(uint32_t)block, (uint32_t)(block >> 32), d0, d1};
#pragma GCC unroll 10
    for (uint32_t round = 0; round < PHILOX_ROUNDS; round++)
      b = mix(b, k0 + round * PHILOX_W0, k1 + round * PHILOX_W1);
    out[4 * j] = b.c0;
    out[4 * j + 1] = b.c1;
    out[4 * j + 2] = b.c2;
    out[4 * j + 3] = b.c3;
  }
}

void KN(random_words)(uint32_t *out, Stream stream, uint64_t first_block,
                      int64_t n_blocks) {
  for (int64_t b = 0; b < n_blocks; b += LANES) {
    uint32_t w[WORDS];
    int64_t n = n_blocks - b < LANES ? n_blocks - b : LANES;
    words(w, stream, first_block + (uint64_t)b);
    memcpy(out + 4 * b, w, (size_t)n * 4 * sizeof *w);
  }
}

void KN(random_uniform)(real *out, Stream stream, uint64_t first, int64_t n, double lo,
                        double hi) {
  for (int64_t i = 0; i < n; i += WORDS) {
    uint32_t w[WORDS];
    real y[WORDS];
    words(w, stream, (first + (uint64_t)i) / 4);
    for (int j = 0; j < WORDS; j++)
      y[j] = (real)(lo + (hi - lo) * ((double)(int32_t)(w[j] >> 8) * 0x1p-24));
    memcpy(out + i, y, (size_t)(n - i < WORDS ? n - i : WORDS) * sizeof *y);
  }
}

/* unit < rate is the same as word >> 8 < ceil(rate 2^24), in integers. */
void KN(random_mask)(real *out, Stream stream, uint64_t first, int64_t n, double rate) {
  const int32_t threshold = (int32_t)ceil(rate * 0x1p24);
  const real kept = (real)(1 / (1 - rate));
  for (int64_t i = 0; i < n; i += WORDS) {
    uint32_t w[WORDS];
    real y[WORDS];
    words(w, stream, (first + (uint64_t)i) / 4);
    for (int j = 0; j < WORDS; j++)
      y[j] = (int32_t)(w[j] >> 8) < threshold ? (real)0 : kept;
    memcpy(out + i, y, (size_t)(n - i < WORDS ? n - i : WORDS) * sizeof *y);
  }
}
