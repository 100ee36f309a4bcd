/* reading.c: what the outputs of a net say of classes; see reading.h. */
#include "nn/reading.h"
#include <math.h>

int64_t reading_width(const Shape *outputs) {
  return outputs->rank < 2 ? 1 : outputs->dim[outputs->rank - 1];
}

/* Without a loss: by the targets, and by what is known of the output. */
static Reading by_targets(const Node *output, const Node *target) {
  bool shares = known_probabilities(&output->known);
  Reading r = {.threshold = shares ? 0.5 : 0, .logits = !shares};
  if (!target || target->dtype != DT_REAL)
    r.as = reading_width(&output->shape) > 1 ? READ_CATEGORICAL : READ_BINARY;
  return r;
}

Reading reading_of(const Loss *loss, const Node *output, const Node *target) {
  Reading r = by_targets(output, target);
  if (!loss) return r;
  LossForm form = loss_form(loss, output);
  r.as = READ_UNKNOWN;
  switch (loss_targets(loss)) {
  case TARGETS_LABELS:
  case TARGETS_DISTRIBUTIONS: r.as = READ_CATEGORICAL; break;
  case TARGETS_YES_NO: r.as = READ_BINARY; break;
  case TARGETS_NUMBERS:
    r.numbers = true;
    r.logits = false;
    r.threshold = 0.5;
    if (reading_width(&output->shape) == 1) r.as = READ_BINARY;
    return r;
  case TARGETS_ALIKE: return r;
  case TARGETS_OWN:
    if (target && target->dtype != DT_REAL && reading_width(&output->shape) > 1)
      r.as = READ_CATEGORICAL;
    return r;
  }
  r.logits = form == FORM_LOGITS;
  r.divided = form == FORM_NORMALIZED;
  r.threshold = r.logits ? 0 : 0.5;
  return r;
}

/* Every training step asks for each of its rows: without jumps, which no processor
 * foretells. */
static int64_t largest_real(const real *v, int64_t n) {
  int64_t best = 0;
  real most = n ? v[0] : 0;
  bool nan = false;
  for (int64_t i = 0; i < n; i++) {
    bool more = v[i] > most;
    most = more ? v[i] : most;
    best = more ? i : best;
    nan |= v[i] != v[i];
  }
  return nan ? 0 : best + 1;
}

static int64_t largest_integer(const Array *outputs, int64_t at, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (array_get(outputs, at + i) > array_get(outputs, at + best)) best = i;
  return best + 1;
}

int64_t reading_largest(const Array *outputs, int64_t at, int64_t n) {
  if (outputs->dtype != DT_REAL) return largest_integer(outputs, at, n);
  return largest_real((const real *)outputs->data + at, n);
}

int reading_yes(const Reading *reading, double value) {
  if (isnan(value)) return 0;
  return value >= reading->threshold ? 2 : 1;
}
