/* philox.h: counter-based random numbers, Philox 4x32-10.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011, section 4.3. A stream is a 64-bit key made from (seed, purpose, name); word
 * i of its draw number d is a pure function of (key, d, i). Nothing is stored but
 * counts. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

/* Multipliers and key increments of a round, for
 * philox.c and the vector code of kernel/. */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u
enum { PHILOX_ROUNDS = 10 };

/* Where in a stream a draw begins: words (key, draw, 0), (key, draw, 1) ... belong to
 * it. `draw` is the step or call count, so that draws of any size never overlap. */
typedef struct Stream {
  uint64_t key;
  uint64_t draw;
} Stream;

/* The key of the stream named (seed, purpose, name), for example
 * (1, "init", "net1/dense_1.weight"). `name` may be NULL. */
uint64_t philox_key(uint64_t seed, const char *purpose, const char *name);

/* The block of four words number `block` of the draw. */
void philox_block(uint32_t out[4], Stream stream, uint64_t block);

/* Word number i of the draw: philox_block(i / 4)[i % 4]. */
uint32_t philox_word(Stream stream, uint64_t i);

/* A word as a number in [0, 1): its upper 24 bits, exact in float and in double. */
static inline double philox_unit(uint32_t word) {
  return (double)(word >> 8) * 0x1p-24;
}

/* An integer in [0, n), from two words of the draw, without bias worth noting
 * (multiply-shift on 64 bits). */
uint64_t philox_below(Stream stream, uint64_t i, uint64_t n);

/* A random order of 0 .. n - 1 (Fisher-Yates). */
void philox_shuffle(int64_t *order, int64_t n, Stream stream);

#endif
