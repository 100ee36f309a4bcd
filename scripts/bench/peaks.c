/* peaks.c: what this machine can do at best, for the bounds of the bench.
 *
 *   peaks THREADS BYTES...
 *
 * prints `fma GFLOPS`, single-precision fused multiply-adds without memory, then for
 * each BYTES `copy BYTES GBYTES_PER_S`: copying half of a working set of so many bytes
 * onto its other half, where a byte read and a byte written count as two. A step whose
 * data fit in a cache is thus held against the speed of that cache.
 *
 * Each thread measures its own rate over a few milliseconds and the rates are added;
 * the best of several rounds counts, because a peak is wanted and other load only takes
 * away. Standard C with the compiler's vector types; built for the machine that builds
 * it. */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined __AVX512F__
enum { LANES = 16 };
#elif defined __AVX__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

/* Chains of dependent operations that run side by side: latency times units, and
 * more. */
enum { CHAINS = 12, ROUNDS = 12 };

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* -- arithmetic -------------------------------------------------------------------- */

/* x <- x a + b in each chain; the sum of all, so that nothing is left out. */
static float multiply_add(int64_t n, float a, float b) {
  Vector x[CHAINS], va = {0}, vb = {0};
  va = va + a;
  vb = vb + b;
  for (int c = 0; c < CHAINS; c++) x[c] = vb * (float)c;
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < CHAINS; c++) x[c] = x[c] * va + vb;
  float sum = 0;
  for (int c = 0; c < CHAINS; c++)
    for (int lane = 0; lane < LANES; lane++) sum += x[c][lane];
  return sum;
}

static double fma_rate(void) {
  const int64_t n = 400000;
  double start = now_s();
  volatile float sink = multiply_add(n, 0.5f, 1.0f);
  (void)sink;
  return 2.0 * LANES * CHAINS * (double)n / (now_s() - start);
}

/* -- copying ----------------------------------------------------------------------- */

static double copy_rate(char *to, const char *from, size_t n_bytes) {
  int64_t n = 0;
  double start = now_s(), passed;
  do {
    memcpy(to, from, n_bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
    n++;
    passed = now_s() - start;
  } while (passed < 4e-3);
  return 2.0 * (double)n_bytes * (double)n / passed;
}

static double best_copy(int threads, size_t working_set) {
  size_t half = working_set / 2 / (size_t)threads;
  double best = 0;
  char *memory = malloc(2 * half * (size_t)threads);
  if (!memory) {
    fprintf(stderr, "peaks: no memory for %zu bytes\n", working_set);
    exit(1);
  }
  for (int round = 0; round < ROUNDS; round++) {
    double sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    {
      char *own = memory + 2 * half * (size_t)omp_get_thread_num();
      if (round == 0) memset(own, 1, 2 * half);
#pragma omp barrier
      sum = copy_rate(own + half, own, half);
    }
    if (sum > best) best = sum;
  }
  free(memory);
  return best;
}

static double best_fma(int threads) {
  double best = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum = fma_rate();
    if (sum > best) best = sum;
  }
  return best;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 0;
  if (threads < 1) {
    fprintf(stderr, "usage: peaks THREADS BYTES...\n");
    return 2;
  }
  printf("fma %.3f\n", best_fma(threads) / 1e9);
  for (int i = 2; i < argc; i++) {
    long long bytes = atoll(argv[i]);
    if (bytes < 4096) {
      fprintf(stderr, "peaks: %s: allowed: at least 4096 bytes\n", argv[i]);
      return 2;
    }
    printf("copy %lld %.3f\n", bytes, best_copy(threads, (size_t)bytes) / 1e9);
  }
  return 0;
}
