/* masker.c: see masker.h. What is drawn goes by the tokens that may be chosen, not by
 * their steps, so that padding on either side gives the same. */
#include "data/masker.h"
#include "data/draws.h"
#include <stdlib.h>

Masker *masker_retain(Masker *masker) {
  if (masker) masker->refs++;
  return masker;
}

void masker_release(Masker *masker) {
  if (masker && --masker->refs == 0) free(masker);
}

static bool may_be_chosen(const Masker *m, real x, real weight) {
  int64_t number = (int64_t)x;
  return weight != 0 && number > 0 && number != m->mask && number != m->fixed[0] &&
         number != m->fixed[1];
}

enum { NEVER = -1 };

/* Weights: 1 of those that are chosen, 0 of others that might be, NEVER of the rest.
 * Gives how many are chosen, and how many might be. */
static int64_t choose(const Masker *m, const real *x, real *weight, int64_t t,
                      Words *words, int64_t *n_able) {
  int64_t n = 0;
  *n_able = 0;
  for (int64_t k = 0; k < t; k++) {
    bool able = may_be_chosen(m, x[k], weight[k]);
    bool chosen = able && words_uniform(words, 0, 1) < m->share;
    weight[k] = able ? chosen : NEVER;
    *n_able += able;
    n += chosen;
  }
  return n;
}

/* Where none is: of those that might be, the one with that place among them. */
static void choose_one(real *weight, int64_t t, int64_t place) {
  for (int64_t k = 0; k < t; k++)
    if (weight[k] == 0 && place-- == 0) weight[k] = 1;
}

static real instead(const Masker *m, real x, Words *words) {
  double u = words_uniform(words, 0, 1);
  if (u < m->hidden) return (real)m->mask;
  if (u < m->hidden + m->other) return (real)(1 + words_below(words, m->n_tokens));
  return x;
}

void masker_row(const Masker *m, real *x, real *weight, int64_t t, Stream stream) {
  Words words = {stream, 0};
  int64_t n_able;
  if (choose(m, x, weight, t, &words, &n_able) == 0 && n_able > 0)
    choose_one(weight, t, words_below(&words, n_able));
  for (int64_t k = 0; k < t; k++) {
    if (weight[k] == 1) x[k] = instead(m, x[k], &words);
    else weight[k] = 0;
  }
}
