/* ints.h: small arithmetic on counts and sizes. */
#ifndef BASE_INTS_H
#define BASE_INTS_H

#include <stdint.h>

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
/* a / b, rounded up; a >= 0, b > 0. */
static inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
