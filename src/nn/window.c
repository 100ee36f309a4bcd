/* window.c: see window.h. */
#include "nn/window.h"
#include "base/ints.h"

const char *const window_paddings[] = {"valid", "same", NULL};

static int64_t reach_of(const Window *w) { return (w->kernel - 1) * w->dilation + 1; }

void window_pad(Window *w, const Sides *padding, int axis) {
  const int64_t *v = padding->v;
  int64_t both = 0;
  if (padding->word == PADDING_SAME)
    both = most(0, (divide_up(w->n, w->stride) - 1) * w->stride + reach_of(w) - w->n);
  bool given = padding->word == WORD_NONE, sided = padding->n == 4;
  w->before = given ? v[sided ? 2 * axis : axis] : both / 2;
  w->after = given ? v[sided ? 2 * axis + 1 : axis] : both - both / 2;
}

int64_t window_positions(const Window *w, bool ceil) {
  int64_t room = w->n + w->before + w->after - reach_of(w);
  if (room < 0) return 0;
  if (!ceil) return room / w->stride + 1;
  int64_t positions = divide_up(room, w->stride) + 1;
  /* The last one begins within the image or the padding before it. */
  return positions - ((positions - 1) * w->stride >= w->n + w->before);
}
