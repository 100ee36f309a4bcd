/* draws.h: numbers of some distributions, made of words of a stream, in double. */
#ifndef DATA_DRAWS_H
#define DATA_DRAWS_H

#include "base/philox.h"

/* Two independent N(0, 1) of two words (Box and Muller 1958): the first word in (0,
 * 1]. */
void draw_normals(double out[2], uint32_t a, uint32_t b);

/* Words of a draw, one after the other. */
typedef struct Words {
  Stream stream;
  uint64_t at; /* of the next one */
} Words;

/* Uniform in [lo, hi), of one word. */
double words_uniform(Words *words, double lo, double hi);
/* An integer in [0, n), of two words. */
int64_t words_below(Words *words, int64_t n);
/* N(0, 1), of two words. */
double words_normal(Words *words);
/* Gamma(a, 1), a > 0, of as many words as it takes: Marsaglia, Tsang, "A simple method
 * for generating gamma variables", ACM TOMS 2000. */
double words_gamma(Words *words, double a);
/* Beta(a, b), of two of these. */
double words_beta(Words *words, double a, double b);

#endif
