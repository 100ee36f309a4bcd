/* window.c: see window.h. */
#include "nn/window.h"
#include "base/ints.h"

const char *const window_paddings[] = {"valid", "same", NULL};
const char *const window_causal_paddings[] = {"valid", "same", "causal", NULL};

static int64_t reach_of(const Window *w) { return (w->kernel - 1) * w->dilation + 1; }

static void pad_by_word(Window *w, int word) {
  int64_t positions = divide_up(w->n, w->stride), both = 0;
  if (word == PADDING_CAUSAL) w->before = reach_of(w) - 1;
  if (word == PADDING_SAME) both = (positions - 1) * w->stride + reach_of(w) - w->n;
  if (both <= 0) return;
  w->before = both / 2;
  w->after = both - both / 2;
}

void window_pad(Window *w, const Sides *padding, int axis) {
  const int64_t *v = padding->v;
  bool sided = padding->n == 4;
  w->before = w->after = 0;
  if (padding->word != WORD_NONE) {
    pad_by_word(w, padding->word);
    return;
  }
  w->before = v[sided ? 2 * axis : axis];
  w->after = v[sided ? 2 * axis + 1 : axis];
}

void window_pad_steps(Window *w, const IntPair *padding) {
  const int64_t *v = padding->v;
  window_pad(w, &(Sides){padding->word, 4, {v[0], v[1]}}, 0);
}

int64_t window_positions(const Window *w, bool ceil) {
  int64_t room = w->n + w->before + w->after - reach_of(w);
  /* With `ceil` the first one may be larger than the image, by less than a stride. */
  if (room < 0) return ceil && room > -w->stride;
  if (!ceil) return room / w->stride + 1;
  int64_t positions = divide_up(room, w->stride) + 1;
  /* The last one begins within the image or the padding before it. */
  return positions - ((positions - 1) * w->stride >= w->n + w->before);
}

bool window_has_steps(Graph *graph, const Layer *layer, const Window *w, bool ceil,
                      const char *what, const Shape *x) {
  char got[SHAPE_TEXT];
  if (window_positions(w, ceil) > 0) return true;
  fault_set(&graph->fault, ERR_SHAPE,
            "%s: a %s of %lld steps, with its dilation, is larger than the padded "
            "sequence; got [N, T, F] = %s",
            layer->name, what, (long long)w->kernel, shape_text(got, x));
  return false;
}
