/* allocations.h: counts what a test program allocates and frees, by functions of the C
 * library's names that take precedence over its own. In one file of a program. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include "test.h"

static _Atomic int64_t n_allocations;

#if !defined(WATCHED_HEAP) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n) {
  n_allocations++;
  return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  n_allocations++;
  return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  n_allocations++;
  return __libc_realloc(p, n);
}
void *aligned_alloc(size_t a, size_t n) {
  n_allocations++;
  return __libc_memalign(a, n);
}
void free(void *p) {
  n_allocations += p != NULL;
  __libc_free(p);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

/* The counter counts: where it does not, a test of "none" could not fail. */
static inline void assert_allocations_count(void) {
  int64_t before = n_allocations;
  void *volatile block = malloc(1);
  free(block);
  assert_int_equal(n_allocations - before, 2);
}

#endif
