/* lanes.h: how a row is summed: LANES partial sums side by side, folded in halves. The
 * number of lanes and the order of the fold are constants, so a sum depends on the row
 * alone. */
#ifndef KERNEL_VECTOR_LANES_H
#define KERNEL_VECTOR_LANES_H

enum { LANES = 16 };

/* Indexed by constants alone, so that the lanes stay in registers. */
static inline double fold(const double s[LANES]) {
  double half[LANES / 2] = {0}, quarter[LANES / 4] = {0};
  for (int l = 0; l < LANES / 2; l++) half[l] = s[l] + s[l + LANES / 2];
  for (int l = 0; l < LANES / 4; l++) quarter[l] = half[l] + half[l + LANES / 4];
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

#endif
