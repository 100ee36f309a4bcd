/* draws.h: numbers of some distributions, made of words of a stream, in double. */
#ifndef DATA_DRAWS_H
#define DATA_DRAWS_H

#include "base/philox.h"
#include <stdbool.h>

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

/* A part of a picture: its first row and column, and how many there are. */
typedef struct Rectangle {
  int64_t top, left, rows, columns;
} Rectangle;

/* By a share of the area, uniform in [smallest, largest), and a proportion, its
 * logarithm uniform in [-log ratio, log ratio); the place is uniform. Tried ten times:
 * false where none had `least` rows and columns and fitted into the picture. */
bool words_rectangle(Words *words, const int64_t size[2], double smallest,
                     double largest, double ratio, int64_t least, Rectangle *out);

#endif
