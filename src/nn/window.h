/* window.h: windows of layers that move along an axis: where they begin, how many there
 * are.
 *
 *   reach       (kernel - 1) dilation + 1
 *   positions   floor((n + before + after - reach) / stride) + 1
 *   "valid"     no padding
 *   "same"      as much that there are ceil(n / stride); where it is odd, one more at
 *               the end (Keras)
 *   "causal"    reach - 1 before, nothing behind
 *   numbers     so many on each side */
#ifndef NN_WINDOW_H
#define NN_WINDOW_H

#include "nn/nn.h"

enum { PADDING_VALID, PADDING_SAME, PADDING_CAUSAL };
extern const char *const window_paddings[];        /* without the last */
extern const char *const window_causal_paddings[]; /* all */

#define WINDOW_PADDING(type, field, text)                                              \
  {.name = "padding", .kind = OPT_SIDES, .offset = offsetof(type, field),              \
   .value = "valid", .lo = 0, .hi = 1e9, .choices = window_paddings,                   \
   .doc = text " on each side, or of rows and columns, or at the top, the bottom, the "\
          "left, the right. \"valid\": none; \"same\": as many as give ceil(n / "      \
          "stride) positions, an odd one at the end as in Keras"}

/* Along one axis of n elements. */
typedef struct Window {
  int64_t n, kernel, stride, dilation, before, after;
} Window;

/* Sets before and after; axis 0: rows, 1: columns. */
void window_pad(Window *w, const Sides *padding, int axis);
/* The same along the only axis, of a number before it and one behind, or a word. */
void window_pad_steps(Window *w, const IntPair *padding);
/* May be below 1: the kernel does not fit. `ceil`: also those that reach beyond the
 * end, if they begin before it. */
int64_t window_positions(const Window *w, bool ceil);
/* Has it one in the sequences x [N, T, F]? Else a fault, which calls it `what`. */
bool window_has_steps(Graph *graph, const Layer *layer, const Window *w, bool ceil,
                      const char *what, const Shape *x);

#endif
