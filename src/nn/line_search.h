/* line_search.h: how far to go along a direction, by the strong Wolfe conditions: the
 * value falls by a share of what the slope promises, and the slope is a share of what
 * it was. */
#ifndef NN_LINE_SEARCH_H
#define NN_LINE_SEARCH_H

#include "base/fault.h"

/* A point of the line. What the caller keeps of it beside these numbers (its gradient)
 * lies in a room of the caller's: the start's in room 0, and a point that is looked at
 * gets a room that no point in use has. */
enum { LINE_ROOMS = 4 };
typedef struct LinePoint {
  double t;        /* how far from the start */
  double f, slope; /* the value there, and its derivative by t */
  int room;
} LinePoint;

typedef struct LineSearch {
  double share, slope_share; /* c1, c2 of the conditions: 1e-4 and 0.9 as a rule */
  int most;                  /* points that are looked at */
  double least;              /* a bracket that is shorter is not divided */
  /* Fills f and slope of a point of which t and room are set. A value that is not
   * finite counts as infinite: the point is too far. */
  Err (*look)(void *ctx, LinePoint *point, Fault *fault);
  void *ctx;
  int n_looks; /* read-only: points looked at */
} LineSearch;

/* From `start`, of t 0 and slope below 0, with the first try at `t`. *out is a point
 * that fulfils the conditions or, where none was found, the lowest of the last bracket:
 * perhaps the start itself. Its value is finite, if that of the start is. */
Err line_search(LineSearch *search, const LinePoint *start, double t, LinePoint *out,
                Fault *fault) WARN_UNUSED;

#endif
