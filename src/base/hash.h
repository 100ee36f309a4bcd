/* hash.h: hashes by which things in memory are found again. What is written to files is
 * named by SHA-256 (sha256.h); streams of random numbers have a mixing of their own
 * (philox.c). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash so far with one more word taken in. */
static inline uint64_t hash_word(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 29;
}

/* FNV-1a (Fowler, Noll, Vo): the hash so far, HASH_BEGIN at first, with n_bytes more.
 */
#define HASH_BEGIN UINT64_C(0xCBF29CE484222325)
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n_bytes) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < n_bytes; i++) hash = (hash ^ b[i]) * UINT64_C(0x100000001B3);
  return hash;
}

#endif
