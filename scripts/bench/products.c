/* products.c: the matrix products of a step alone, through the same door and shared in
 * the same way as in runner: the part of a step that they take.
 *
 *   products THREADS       then on stdin, one answer ("ok ...") per line:
 *     make ID M,N,K,TA,TB ...   the products of one step, in their order
 *     run ID COUNT              computes them all COUNT times
 *     drop ID
 *
 * Each product has operands of its own, as in a step. */
#include "base/par.h"
#include "kernel/gemm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 64, MAX_PRODUCTS = 256, MAX_LINE = 1 << 16 };

typedef struct Products {
  char id[32]; /* "": free */
  int n;
  Gemm gemm[MAX_PRODUCTS];
  real *memory[MAX_PRODUCTS]; /* of one product's three matrices */
} Products;

typedef struct Worker {
  Par par;
  Products set[MAX_SETS];
} Worker;

static Products *find(Worker *worker, const char *id) {
  for (int i = 0; i < MAX_SETS; i++)
    if (strcmp(worker->set[i].id, id) == 0) return &worker->set[i];
  return NULL;
}

/* Operands in -1 .. 1, by a linear congruence. */
static real *random_matrices(int64_t n) {
  real *v = malloc((size_t)n * sizeof *v);
  uint64_t key = 1;
  for (int64_t i = 0; v && i < n; i++) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    v[i] = (real)((double)(key >> 40) / 0x1p23 - 1);
  }
  return v;
}

static bool add_product(Products *set, const char *word) {
  long long M, N, K;
  int ta, tb;
  if (set->n == MAX_PRODUCTS ||
      sscanf(word, "%lld,%lld,%lld,%d,%d", &M, &N, &K, &ta, &tb) != 5 || M < 1 ||
      N < 1 || K < 1)
    return false;
  real *memory = random_matrices(M * K + K * N + M * N);
  if (!memory) return false;
  set->memory[set->n] = memory;
  set->gemm[set->n++] = (Gemm){.M = M, .N = N, .K = K,
                               .transpose_a = ta, .transpose_b = tb,
                               .a = memory, .b = memory + M * K,
                               .c = memory + M * K + K * N};
  return true;
}

static void drop(Products *set) {
  for (int i = 0; i < set->n; i++) free(set->memory[i]);
  *set = (Products){0};
}

static const char *make(Worker *worker, const char *id) {
  Products *set = find(worker, "");
  if (!set || strlen(id) >= sizeof set->id)
    return "no: too many sets or too long a name";
  for (const char *word; (word = strtok(NULL, " \n"));)
    if (!add_product(set, word)) {
      drop(set);
      return "no: a product is M,N,K,TA,TB";
    }
  strcpy(set->id, id);
  return "ok";
}

static void run_block(void *ctx, int64_t block) { gemm_run_block(ctx, block); }

static void run(Worker *worker, Products *set, long count) {
  for (long i = 0; i < count; i++)
    for (int p = 0; p < set->n; p++) {
      Gemm *gemm = &set->gemm[p];
      par_for(&worker->par, gemm_blocks(gemm), 2 * gemm->M * gemm->N * gemm->K,
              run_block, gemm);
    }
}

static const char *obey(Worker *worker, char *line) {
  const char *verb = strtok(line, " \n"), *id = strtok(NULL, " \n");
  if (!verb || !id) return "no: allowed: make, run or drop, and a name";
  if (strcmp(verb, "make") == 0) return make(worker, id);
  Products *set = find(worker, id);
  if (!set) return "no: unknown name";
  const char *count = strtok(NULL, " \n");
  if (strcmp(verb, "drop") == 0) drop(set);
  else if (strcmp(verb, "run") == 0 && count) run(worker, set, atol(count));
  else return "no: allowed: make, run or drop";
  return "ok";
}

static void serve(void *ctx) {
  static char line[MAX_LINE];
  while (fgets(line, sizeof line, stdin)) {
    puts(obey(ctx, line));
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  static Worker worker;
  Fault fault = {0};
  if (argc != 2 || atoi(argv[1]) < 1) {
    fprintf(stderr, "usage: products THREADS\n");
    return 2;
  }
  if (gemm_init(&fault)) {
    fprintf(stderr, "products: %s\n", fault.text);
    return 1;
  }
  par_init(&worker.par, atoi(argv[1]));
  par_team(&worker.par, serve, &worker);
  for (int i = 0; i < MAX_SETS; i++) drop(&worker.set[i]);
  return 0;
}
