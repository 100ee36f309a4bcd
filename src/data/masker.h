/* masker.h: tokens of a row that are hidden, and are to be found again: masked language
 * modelling (Devlin, Chang, Lee, Toutanova, "BERT", NAACL 2019, section 3.1, task 1).
 *
 * Of the tokens of a row a share is chosen, one at least; these are the steps that
 * count. Most of the chosen become the number of "<mask>", some another token, the
 * others stay. Padding is never chosen, nor what marks the start and the end. */
#ifndef DATA_MASKER_H
#define DATA_MASKER_H

#include "base/philox.h"
#include "base/real.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct Masker {
  int refs;
  double share;         /* of the tokens, that is chosen */
  double hidden, other; /* of the chosen: that become "<mask>", another token */
  int64_t n_tokens;     /* numbers 1 ... n_tokens */
  int64_t mask;         /* the number of "<mask>", which is never chosen */
  int64_t fixed[2];     /* others that are never chosen; 0: none */
  uint64_t key;         /* of the stream where nothing is trained */
} Masker;

Masker *masker_retain(Masker *masker); /* NULL is a no-op */
void masker_release(Masker *masker);   /* NULL is a no-op */

/* Hides tokens of x, t numbers, by the words of the stream: `weight`, which is 1 at the
 * tokens and 0 at padding, stays 1 where one was chosen. */
void masker_row(const Masker *masker, real *x, real *weight, int64_t t, Stream stream);

#endif
