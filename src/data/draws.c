/* draws.c: see draws.h. */
#include "data/draws.h"
#include <math.h>

void draw_normals(double out[2], uint32_t a, uint32_t b) {
  double radius = sqrt(-2 * log(1 - philox_unit(a))), angle = 2 * M_PI * philox_unit(b);
  out[0] = radius * cos(angle);
  out[1] = radius * sin(angle);
}

static double next_unit(Words *words) {
  return philox_unit(philox_word(words->stream, words->at++));
}

double words_uniform(Words *words, double lo, double hi) {
  return lo + (hi - lo) * next_unit(words);
}

int64_t words_below(Words *words, int64_t n) {
  uint64_t at = words->at;
  words->at += 2;
  return (int64_t)philox_below(words->stream, at, (uint64_t)n);
}

double words_normal(Words *words) {
  double pair[2];
  uint32_t a = philox_word(words->stream, words->at);
  draw_normals(pair, a, philox_word(words->stream, words->at + 1));
  words->at += 2;
  return pair[0];
}

/* Of a < 1: that of a + 1, times u^(1/a). */
double words_gamma(Words *words, double a) {
  double boost = a < 1 ? pow(1 - next_unit(words), 1 / a) : 1;
  double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double x = words_normal(words), v = 1 + c * x, u = 1 - next_unit(words);
    v = v * v * v;
    if (v > 0 && log(u) < x * x / 2 + d - d * v + d * log(v)) return d * v * boost;
  }
}

/* Where both underflow, at a tiny a, one of them is all: as likely as not. */
double words_beta(Words *words, double a, double b) {
  double x = words_gamma(words, a), y = words_gamma(words, b);
  if (x + y > 0) return x / (x + y);
  return next_unit(words) < a / (a + b) ? 1 : 0;
}

bool words_rectangle(Words *words, const int64_t size[2], double smallest,
                     double largest, double ratio, int64_t least, Rectangle *out) {
  enum { TRIES = 10 };
  double rows = (double)size[0], columns = (double)size[1], turn = log(ratio);
  for (int i = 0; i < TRIES; i++) {
    double area = words_uniform(words, smallest, largest) * (rows * columns);
    double proportion = exp(words_uniform(words, -turn, turn));
    double h = floor(sqrt(area / proportion) + 0.5);
    double w = floor(sqrt(area * proportion) + 0.5);
    double down = words_uniform(words, 0, 1), right = words_uniform(words, 0, 1);
    if (h < (double)least || w < (double)least || h > rows || w > columns) continue;
    *out = (Rectangle){(int64_t)(down * (rows - h + 1)),
                       (int64_t)(right * (columns - w + 1)), (int64_t)h, (int64_t)w};
    return true;
  }
  return false;
}
