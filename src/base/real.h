/* real.h: the floating type, as Lua's luaconf does it: float, or double with
 * `make REAL=double` (gradient checks run there). */
#ifndef BASE_REAL_H
#define BASE_REAL_H

#ifdef REAL_DOUBLE
typedef double real;
#define REAL_NAME "double"
#define REAL_EPS 2.220446049250313e-16
#define REAL_MAX DBL_MAX
#else
typedef float real;
#define REAL_NAME "float"
#define REAL_EPS 1.1920929e-7
#define REAL_MAX FLT_MAX
#endif

#include <float.h>
#include <math.h>
#include <stdbool.h>

/* Does it stay finite as a real? What is infinite or no number is kept as it is. */
static inline bool real_holds(double value) {
  return !isfinite(value) || isfinite((real)value);
}

#endif
