/* reading.h: what the outputs of a net say of classes. This is the one place that turns
 * outputs into classes: accuracy and its kin, in fit and in evaluate, and
 * predict_classes ask it, so that they agree. */
#ifndef NN_READING_H
#define NN_READING_H

#include "nn/loss.h"
#include "tensor/tensor.h"

typedef enum ReadAs {
  READ_UNKNOWN,                /* neither the loss nor the targets decide it */
  READ_CATEGORICAL,            /* the class of a row is that of its largest output */
  READ_BINARY                  /* each output is a yes at its threshold or above it */
} ReadAs;

typedef struct Reading {
  ReadAs as;
  double threshold; /* of yes-no outputs: 0 for logits, 1/2 for probabilities */
  bool logits;      /* outputs are logits, not probabilities */
  bool numbers;     /* integer targets are numbers (of mse, mae), not labels */
  bool divided;     /* probabilities that the loss divides by their row's sum */
} Reading;

/* How a loss reads `output`: a categorical one by the largest, a binary one by the
 * threshold of its form, mse and mae at 1/2 where there is one output. Of a loss of the
 * user, integer targets beside several outputs are labels of the largest. Without a
 * loss (NULL), integer targets are such labels, or with one output 1 and 2; `target`
 * NULL: such. Outputs that are known to be probabilities are such, others count as
 * logits. */
Reading reading_of(const Loss *loss, const Node *output, const Node *target);

/* Outputs in a row of `outputs`: its last axis, 1 where there is none. */
int64_t reading_width(const Shape *outputs);
/* Number of the largest of `n` values from `at` on, from 1; 0: one of them is NaN, and
 * NaN is never a class. */
int64_t reading_largest(const Array *outputs, int64_t at, int64_t n);
/* 2: yes, 1: no, 0: the value is NaN. */
int reading_yes(const Reading *reading, double value);

#endif
