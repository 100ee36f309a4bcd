/* move.c: copies between strided planes, and sums of chosen rows.
 *
 * Nothing here depends on what an element means but in the last two: copies are by size
 * of element (1, 4 or 8 bytes), one variant each from move_plane.h. */
#include "base/fault.h"
#include "kernel/kernel.h"
#include "kernel/vector/vector.h"

#define ELEMENT uint8_t
#define PLANE(name) plane1_##name
#include "kernel/vector/move_plane.h"
#undef ELEMENT
#undef PLANE
#define ELEMENT uint32_t
#define PLANE(name) plane4_##name
#include "kernel/vector/move_plane.h"
#undef ELEMENT
#undef PLANE
#define ELEMENT uint64_t
#define PLANE(name) plane8_##name
#include "kernel/vector/move_plane.h"
#undef ELEMENT
#undef PLANE

void KN(move_plane)(void *out, const void *x, size_t elem_bytes, const int64_t size[2],
                    const int64_t out_stride[2], const int64_t x_stride[2]) {
  switch (elem_bytes) {
  case 1: plane1_copy(out, x, size, out_stride, x_stride); break;
  case 4: plane4_copy(out, x, size, out_stride, x_stride); break;
  case 8: plane8_copy(out, x, size, out_stride, x_stride); break;
  default: must(!"an element of 1, 4 or 8 bytes");
  }
}

void KN(sum_of_rows)(real *out, const real *x, const int64_t *row, int64_t n_rows,
                     int64_t stride, int64_t n) {
  enum { TILE = 256 };
  double sum[TILE];
  for (int64_t j = 0; j < n; j += TILE) {
    int64_t width = n - j < TILE ? n - j : TILE;
    for (int64_t k = 0; k < width; k++) sum[k] = 0;
    for (int64_t i = 0; i < n_rows; i++) {
      const real *p = x + row[i] * stride + j;
      for (int64_t k = 0; k < width; k++) sum[k] += (double)p[k];
    }
    for (int64_t k = 0; k < width; k++) out[j + k] = (real)sum[k];
  }
}

/* Vector by vector of the row, the last one first: what it writes beyond the row's end
 * is written again, as what the next rows begin with. */
void KN(repeat_row)(real *out, const real *row, int64_t n, int64_t times) {
  const int64_t end = n * times;
  if (n < 1) return;
  for (int64_t j = (n - 1) / WIDTH * WIDTH; j >= 0; j -= WIDTH) {
    int part = first_of(n - j);
    Vector v = part < WIDTH ? load_part(row + j, part) : load(row + j);
    int64_t i = j;
    for (; i + WIDTH <= end; i += n) store(out + i, v);
    for (; i < end; i += n) store_first(out + i, v, part);
  }
}
