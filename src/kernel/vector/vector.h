/* vector.h: vectors of a SIMD level, for kernels that keep sums in registers: loads,
 * stores, multiply-add, transposition. Included by files of kernel/vector alone. */
#ifndef KERNEL_VECTOR_VECTOR_H
#define KERNEL_VECTOR_VECTOR_H

#include "base/ints.h"
#include "base/real.h"
#include <stdint.h>
#include <string.h>
#if defined SIMD_avx2 || defined SIMD_avx512
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_FOUR _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_FOUR _Pragma("GCC unroll 4")
#endif

/* -- vectors ----------------------------------------------------------------------- */

#if defined SIMD_avx512
enum { VECTOR_BYTES = 64, MASKED = 1 };
#elif defined SIMD_avx2
enum { VECTOR_BYTES = 32, MASKED = 0 };
#else
enum { VECTOR_BYTES = 16, MASKED = 0 };
#endif
enum { WIDTH = VECTOR_BYTES / (int)sizeof(real) };

typedef real Vector __attribute__((vector_size(VECTOR_BYTES)));
/* A whole number in each lane; in a condition, all of its bits or none. */
#ifdef REAL_DOUBLE
typedef int64_t Mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t Mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

INLINE Vector load(const real *p) {
  Vector v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(real *p, Vector v) { memcpy(p, &v, sizeof v); }

/* add_product: a * b + c, rounded once where the level has FMA, else twice.
 * load_part: the first n elements, 1 <= n <= WIDTH, then zeros; touches no others. */
#if defined SIMD_avx512 && defined REAL_DOUBLE
INLINE Vector add_product(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
INLINE Vector load_part(const real *p, int n) {
  return (Vector)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
INLINE void store_part(real *p, Vector v, int n) {
  _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#elif defined SIMD_avx512
INLINE Vector add_product(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
INLINE Vector load_part(const real *p, int n) {
  return (Vector)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void store_part(real *p, Vector v, int n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined SIMD_avx2 && defined REAL_DOUBLE
INLINE Vector add_product(Vector a, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
INLINE Vector load_part(const real *p, int n) {
  __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
  return (Vector)_mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane));
}
#elif defined SIMD_avx2
INLINE Vector add_product(Vector a, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
INLINE Vector load_part(const real *p, int n) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return (Vector)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
}
#else
INLINE Vector add_product(Vector a, Vector b, Vector c) { return a * b + c; }
INLINE Vector load_part(const real *p, int n) {
  Vector v = {0};
  for (int i = 0; i < WIDTH; i++)
    if (i < n) v[i] = p[i];
  return v;
}
#endif

/* n < WIDTH elements. */
INLINE void copy_part(real *y, const real *x, int n) {
  UNROLL
  for (int some = WIDTH / 2; some; some /= 2) {
    if (!(n & some)) continue;
    memcpy(y, x, (size_t)some * sizeof *y);
    y += some;
    x += some;
  }
}

/* The first n elements of a vector. */
INLINE void store_first(real *y, Vector v, int n) {
  if (n == WIDTH) {
    store(y, v);
    return;
  }
  real part[WIDTH];
  store(part, v);
  copy_part(y, part, n);
}

/* The same with one factor for all lanes. */
INLINE Vector muladd(real a, Vector b, Vector c) {
  return add_product(a - (Vector){0}, b, c); /* a, with its sign where it is 0 */
}

/* The first n lanes. */
INLINE Mask lanes_before(int n) {
  Mask lane = {0};
  UNROLL
  for (int i = 0; i < WIDTH; i++) lane[i] = i;
  return lane < n;
}

/* a where the mask is, else b. */
INLINE Vector chosen(Mask mask, Vector a, Vector b) {
  return (Vector)((mask & (Mask)a) | (~mask & (Mask)b));
}

/* low(a, b) = a[0] b[0] a[1] b[1] ... of the first halves, high(a, b) of the second;
 * evens(a, b) = a[0] a[2] ... b[0] b[2] ..., odds(a, b) those between. */
#if defined SIMD_avx512 && !defined REAL_DOUBLE
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif defined SIMD_avx512 || (defined SIMD_avx2 && !defined REAL_DOUBLE)
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#elif defined SIMD_avx2 || !defined REAL_DOUBLE
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#else
#define LOW 0, 2
#define HIGH 1, 3
#define EVEN LOW
#define ODD HIGH
#endif
INLINE Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, LOW); }
INLINE Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, HIGH); }
INLINE Vector evens(Vector a, Vector b) { return __builtin_shufflevector(a, b, EVEN); }
INLINE Vector odds(Vector a, Vector b) { return __builtin_shufflevector(a, b, ODD); }

/* Of 2 WIDTH elements those of even numbers, and the others. */
#if defined SIMD_avx2 && !defined REAL_DOUBLE
/* Loads by halves spare moves from half to half, which take longer. */
INLINE void load_pairs(const real *x, Vector *even, Vector *odd) {
  __m256 first = _mm256_loadu2_m128(x + 8, x),
         second = _mm256_loadu2_m128(x + 12, x + 4);
  *even = (Vector)_mm256_shuffle_ps(first, second, 0x88);
  *odd = (Vector)_mm256_shuffle_ps(first, second, 0xdd);
}
#else
INLINE void load_pairs(const real *x, Vector *even, Vector *odd) {
  Vector first = load(x), second = load(x + WIDTH);
  *even = evens(first, second);
  *odd = odds(first, second);
}
#endif

/* -- transposed -------------------------------------------------------------------- */

#if defined SIMD_avx2 && !defined REAL_DOUBLE
/* Squares of four by four within each half, then halves change places: few moves from
 * half to half, which take longer. */
INLINE Vector low_pairs(Vector a, Vector b) {
  return (Vector)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
}
INLINE Vector high_pairs(Vector a, Vector b) {
  return (Vector)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
}
INLINE void transpose(Vector *row) {
  Vector pair[WIDTH], square[WIDTH];
  UNROLL
  for (int i = 0; i < WIDTH; i += 2) {
    pair[i] = (Vector)_mm256_unpacklo_ps((__m256)row[i], (__m256)row[i + 1]);
    pair[i + 1] = (Vector)_mm256_unpackhi_ps((__m256)row[i], (__m256)row[i + 1]);
  }
  UNROLL
  for (int i = 0; i < WIDTH; i += 4) {
    square[i] = low_pairs(pair[i], pair[i + 2]);
    square[i + 1] = high_pairs(pair[i], pair[i + 2]);
    square[i + 2] = low_pairs(pair[i + 1], pair[i + 3]);
    square[i + 3] = high_pairs(pair[i + 1], pair[i + 3]);
  }
  UNROLL
  for (int i = 0; i < 4; i++) {
    __m256 upper = (__m256)square[i], lower = (__m256)square[i + 4];
    row[i] = (Vector)_mm256_permute2f128_ps(upper, lower, 0x20);
    row[i + 4] = (Vector)_mm256_permute2f128_ps(upper, lower, 0x31);
  }
}
#else
/* Interleaving row i with row i + WIDTH / 2 moves the top bit of the row's number to
 * the bottom of the column's; log2(WIDTH) times that transposes. */
INLINE void transpose(Vector *row) {
  UNROLL
  for (int bit = 1; bit < WIDTH; bit *= 2) {
    Vector next[WIDTH];
    UNROLL
    for (int i = 0; i < WIDTH / 2; i++) {
      next[2 * i] = low(row[i], row[i + WIDTH / 2]);
      next[2 * i + 1] = high(row[i], row[i + WIDTH / 2]);
    }
    UNROLL
    /* cppcheck-suppress uninitvar ; WIDTH is even: both halves are set */
    for (int i = 0; i < WIDTH; i++) row[i] = next[i];
  }
}
#endif

/* Of n elements, those of the first vector. */
INLINE int first_of(int64_t n) { return (int)least(WIDTH, n); }

/* WIDTH rows of x, each n elements, transposed; of the last rows only n_rows are there,
 * and the last of them repeats for the others. */
INLINE void copy_square(real *y, int64_t row, const real *x, int64_t stride, int n_rows,
                        int n) {
  Vector v[WIDTH];
  if (n == WIDTH) {
    UNROLL
    for (int i = 0; i < WIDTH; i++)
      v[i] = load(x + (i < n_rows ? i : n_rows - 1) * stride);
  } else {
    UNROLL
    for (int i = 0; i < WIDTH; i++)
      v[i] = load_part(x + (i < n_rows ? i : n_rows - 1) * stride, n);
  }
  transpose(v);
  UNROLL
  for (int i = 0; i < WIDTH; i++) store(y + i * row, v[i]);
}

/* y[k, j] = x[j * stride + k], K rows of n columns. Rows are filled up to whole vectors
 * with numbers that matter to no element of a result; rows of y up to a multiple of
 * WIDTH are written. */
__attribute__((unused)) static void copy_transposed(real *y, const real *x, int64_t K,
                                                    int64_t n, int64_t stride) {
  int64_t row = (n + WIDTH - 1) / WIDTH * WIDTH;
  for (int64_t j = 0; j < n; j += WIDTH)
    for (int64_t k = 0; k < K; k += WIDTH)
      copy_square(y + k * row + j, row, x + j * stride + k, stride, first_of(n - j),
                  first_of(K - k));
}

#endif
