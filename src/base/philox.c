/* philox.c: Philox 4x32-10.
 *
 * One round, on counter words c and key words k (paper, section 4.3):
 *   (hi0, lo0) = M0 * c0      (hi1, lo1) = M1 * c2
 *   c' = (hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0)      k' = k + (W0, W1)
 * The counter is (block, draw), the key the stream's. */
#include "base/philox.h"
#include <string.h>

void philox_block(uint32_t out[4], Stream stream, uint64_t block) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
  uint32_t c2 = (uint32_t)stream.draw, c3 = (uint32_t)(stream.draw >> 32);
  uint32_t k0 = (uint32_t)stream.key, k1 = (uint32_t)(stream.key >> 32);
  for (int round = 0; round < PHILOX_ROUNDS; round++) {
    uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
    uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

uint32_t philox_word(Stream stream, uint64_t i) {
  uint32_t words[4];
  philox_block(words, stream, i / 4);
  return words[i % 4];
}

/* A bijection of 64 bits in which every input bit moves about half of the output bits:
 * the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t h) {
  h += 0x9E3779B97F4A7C15;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
  return h ^ (h >> 31);
}

/* Takes in a string, eight bytes at a time in little-endian order, then its length: so
 * ("ab", "c") and ("a", "bc") differ. */
static uint64_t absorb(uint64_t h, const char *string) {
  size_t n = string ? strlen(string) : 0;
  for (size_t i = 0; i < n; i += 8) {
    uint64_t word = 0;
    for (size_t j = i; j < n && j < i + 8; j++) {
      word |= (uint64_t)(unsigned char)string[j] << (8 * (j - i));
    }
    h = mix(h ^ word);
  }
  return mix(h ^ n);
}

uint64_t philox_key(uint64_t seed, const char *purpose, const char *name) {
  return absorb(absorb(mix(seed), purpose), name);
}

/* Integer i uses the words 2 i and 2 i + 1. */
uint64_t philox_below(Stream stream, uint64_t i, uint64_t n) {
  uint32_t words[4];
  philox_block(words, stream, i / 2);
  const uint32_t *w = words + 2 * (i % 2);
  uint64_t bits = (uint64_t)w[0] << 32 | w[1];
  __extension__ typedef unsigned __int128 Wide;
  return (uint64_t)(((Wide)bits * n) >> 64);
}

void philox_shuffle(int64_t *order, int64_t n, Stream stream) {
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = (int64_t)philox_below(stream, (uint64_t)i, (uint64_t)i + 1);
    int64_t swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
}
