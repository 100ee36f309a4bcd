/* ints.h: small arithmetic on counts and sizes; numbers as files hold them. */
#ifndef BASE_INTS_H
#define BASE_INTS_H

#include <stdint.h>

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
/* a / b, rounded up; a >= 0, b > 0. */
static inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Numbers of 2, 4 and 8 bytes, the lowest first, at any address. */
static inline uint16_t little_16(const unsigned char *b) {
  return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t little_32(const unsigned char *b) {
  return little_16(b) | (uint32_t)little_16(b + 2) << 16;
}
static inline uint64_t little_64(const unsigned char *b) {
  return little_32(b) | (uint64_t)little_32(b + 4) << 32;
}

#endif
