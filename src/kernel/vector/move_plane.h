/* move_plane.h: template of move.c, included once per size of element.
 * ELEMENT: the unsigned type; PLANE(name): the name of its variant. */

enum { PLANE(tile) = 8 };

/* Rows of out are columns of x: x_row is the distance of neighbours along j in x, where
 * those along i lie side by side. Whole tiles keep 8 lines of each side in the nearest
 * cache, whatever the strides; the edges go element by element. */
static void PLANE(transpose)(ELEMENT *restrict out, const ELEMENT *restrict x,
                             const int64_t size[2], int64_t out_row, int64_t x_row) {
  enum { T = PLANE(tile) };
  int64_t whole_i = size[0] / T * T, whole_j = size[1] / T * T;
  for (int64_t j = 0; j < whole_j; j += T)
    for (int64_t i = 0; i < whole_i; i += T)
      for (int64_t a = 0; a < T; a++)
        for (int64_t b = 0; b < T; b++)
          out[(i + a) * out_row + j + b] = x[(j + b) * x_row + i + a];
  for (int64_t i = 0; i < size[0]; i++)
    for (int64_t j = i < whole_i ? whole_j : 0; j < size[1]; j++)
      out[i * out_row + j] = x[j * x_row + i];
}

static void PLANE(copy)(ELEMENT *restrict out, const ELEMENT *restrict x,
                        const int64_t size[2], const int64_t out_stride[2],
                        const int64_t x_stride[2]) {
  int64_t out_step = out_stride[1], x_step = x_stride[1];
  if (out_step == 1 && x_step != 1 && x_stride[0] == 1) {
    PLANE(transpose)(out, x, size, out_stride[0], x_step);
    return;
  }
  for (int64_t i = 0; i < size[0]; i++) {
    ELEMENT *o = out + i * out_stride[0];
    const ELEMENT *p = x + i * x_stride[0];
    if (out_step == 1 && x_step == 1)
      for (int64_t j = 0; j < size[1]; j++) o[j] = p[j];
    else if (out_step == 1 && x_step == 0)
      for (int64_t j = 0; j < size[1]; j++) o[j] = p[0];
    else
      for (int64_t j = 0; j < size[1]; j++) o[j * out_step] = p[j * x_step];
  }
}
