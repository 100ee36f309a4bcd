/* conv_plain.c: results of a convolution, term by term as they are defined: where what
 * is added beside these terms, a weight times padding or the neighbours of a tile, is
 * not finite, and where a window would be too large. Slow. */
#include "kernel/conv_private.h"

/* Of one pixel of a grid, result m. */
static double plain_sum(const ConvPlan *p, const int64_t phase[2], int64_t i, int64_t j,
                        const real *sources, const real *w, int64_t m) {
  const Conv *v = &p->v;
  int64_t area = v->R * v->S, row, column;
  int64_t plane_step = p->to_x ? v->c * area : area;
  double sum = 0;
  w += m * (p->to_x ? area : p->planes * area);
  for (int64_t plane = 0; plane < p->planes; plane++)
    for (int64_t r = 0; r < v->R; r++) {
      if (!conv_offset(p, CONV_ROWS, phase[0], r, &row)) continue;
      row += i * p->walk[0];
      if (row < 0 || row >= p->size[0]) continue;
      for (int64_t s = 0; s < v->S; s++) {
        if (!conv_offset(p, CONV_COLUMNS, phase[1], s, &column)) continue;
        column += j * p->walk[1];
        if (column < 0 || column >= p->size[1]) continue;
        sum += (double)sources[(plane * p->size[0] + row) * p->size[1] + column] *
               (double)w[plane * plane_step + r * v->S + s];
      }
    }
  return sum;
}

void conv_plain_slab(const ConvPlan *p, const ConvSlab *s, real *out,
                     const real *sources, const real *w) {
  int64_t n = p->out_size[0] * p->out_size[1], columns = p->out_size[1];
  int64_t end = least(p->out_size[0], (s->row + s->n_rows) * p->step[0]);
  w += s->group * p->v.f * p->v.c * p->v.R * p->v.S;
  for (int64_t image = s->image; image < s->image + s->n_images; image++) {
    int64_t set = image * p->v.G + s->group;
    const real *x = sources + set * p->planes * p->size[0] * p->size[1];
    for (int64_t m = 0; m < p->M; m++)
      for (int64_t row = s->row * p->step[0]; row < end; row++)
        for (int64_t column = 0; column < columns; column++) {
          int64_t phase[2] = {row % p->step[0], column % p->step[1]};
          out[(set * p->M + m) * n + row * columns + column] = (real)
              plain_sum(p, phase, row / p->step[0], column / p->step[1], x, w, m);
        }
  }
}
