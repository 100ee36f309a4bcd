/* convolutions.c: convolutions and their gradients alone, for the bench (images.py).
 * Reads orders from stdin, one per line, and answers each with "ok" or "no":
 *
 *   make ID RESULT N C H F R STRIDE PAD GROUPS   RESULT: y, x or w; square images
 *   run ID COUNT                                 COUNT times
 *   drop ID
 *
 * The threads take blocks as those of a plan do; denormals count as zero. */
#include "base/par.h"
#include "kernel/conv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1 << 10, NUMBERS = 8 };

/* One convolution at a time. */
typedef struct Worker {
  Par par;
  char id[32];
  Conv conv;
  ConvResult result;
  real *in[2], *out;
  ConvMemory memory; /* own: of all threads, */
  size_t own_bytes;  /* of each so much */
  int phase;
} Worker;

static real *values(int64_t n) {
  real *v = malloc((size_t)(n + 1) * sizeof *v);
  for (int64_t i = 0; v && i < n; i++)
    v[i] = (real)((double)(i * 7919 % 1000) / 500 - 1);
  return v;
}

static void drop(Worker *w) {
  free(w->in[0]);
  free(w->in[1]);
  free(w->out);
  free(w->memory.shared);
  free(w->memory.own);
  w->in[0] = w->in[1] = w->out = NULL;
  w->memory = (ConvMemory){0};
  w->id[0] = '\0';
}

static const char *make(Worker *w, const char *id) {
  const char *kinds = "yxw", *kind = strtok(NULL, " \n");
  const char *found = kind ? strchr(kinds, kind[0]) : NULL;
  int64_t n[NUMBERS];
  for (int i = 0; i < NUMBERS; i++) {
    const char *word = strtok(NULL, " \n");
    if (!word || !found || strlen(id) >= sizeof w->id)
      return "no: make ID y|x|w N C H F R STRIDE PAD GROUPS";
    n[i] = atoll(word);
  }
  drop(w);
  int64_t P = (n[2] + 2 * n[6] - n[4]) / n[5] + 1;
  w->result = (ConvResult)(found - kinds);
  w->conv = (Conv){.N = n[0], .G = n[7], .c = n[1] / n[7], .H = n[2], .W = n[2],
                   .f = n[3] / n[7], .R = n[4], .S = n[4], .P = P, .Q = P,
                   .stride = {n[5], n[5]}, .before = {n[6], n[6]}, .dilation = {1, 1}};
  int64_t sizes[3] = {n[0] * n[3] * P * P, n[0] * n[1] * n[2] * n[2],
                      n[3] * w->conv.c * n[4] * n[4]};
  w->in[0] = values(sizes[w->result == CONV_Y ? CONV_X : CONV_Y]);
  w->in[1] = values(sizes[w->result == CONV_W ? CONV_X : CONV_W]);
  w->out = values(sizes[w->result]);
  ConvBytes bytes = conv_bytes(&w->conv, w->result);
  w->own_bytes = (bytes.own + 127) / 64 * 64;
  w->memory.shared = aligned_alloc(64, (bytes.shared + 127) / 64 * 64);
  w->memory.own = aligned_alloc(64, (size_t)w->par.threads * w->own_bytes);
  if (!w->in[0] || !w->in[1] || !w->out || !w->memory.shared || !w->memory.own)
    return "no: out of memory";
  strcpy(w->id, id);
  return "ok";
}

static void run_block(void *ctx, int64_t block) {
  Worker *w = ctx;
  char *own = (char *)w->memory.own + (size_t)par_seat() * w->own_bytes;
  conv_run_block(&w->conv, w->result, w->phase, block, w->out,
                 (const real *[]){w->in[0], w->in[1]},
                 (ConvMemory){w->memory.shared, own});
}

static void run(Worker *w, long count) {
  const Conv *v = &w->conv;
  int64_t work = 2 * v->N * v->G * v->f * v->P * v->Q * v->c * v->R * v->S;
  for (long i = 0; i < count; i++)
    for (w->phase = 0; w->phase < CONV_PHASES; w->phase++)
      par_for(&w->par, conv_blocks(v, w->result, w->phase), work, run_block, w);
}

static const char *obey(Worker *w, char *line) {
  const char *verb = strtok(line, " \n"), *id = strtok(NULL, " \n");
  if (!verb || !id) return "no: allowed: make, run or drop, and a name";
  if (strcmp(verb, "make") == 0) return make(w, id);
  if (strcmp(w->id, id) != 0) return "no: unknown name";
  const char *count = strtok(NULL, " \n");
  if (strcmp(verb, "drop") == 0) drop(w);
  else if (strcmp(verb, "run") == 0 && count) run(w, atol(count));
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
  if (argc != 2 || atoi(argv[1]) < 1) {
    fprintf(stderr, "usage: convolutions THREADS\n");
    return 2;
  }
  par_init(&worker.par, atoi(argv[1]));
  par_team(&worker.par, serve, &worker);
  drop(&worker);
  return 0;
}
