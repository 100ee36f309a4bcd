/* loss.h: losses as records, and the one place that weights, masks and averages.
 *
 *   output, target ─► kind->values: one value per example ─► weight, mask ─► one number
 *
 * Without weights the loss is the mean of all values. With weights w, of which a mask
 * is a part (w m), it is sum(w v) / sum(w), where v is the mean of an example's values:
 * PyTorch's rule (Keras divides by their number, whatever they are). Weights that sum
 * to 0 are an error. A value of weight 0 is left out, also where it is NaN, and no
 * gradient flows to it; its target may be anything. */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include "base/record.h"
#include "graph/graph.h"

/* What a cross-entropy takes its input for. */
typedef enum LossForm {
  FORM_PLAIN,                  /* not a cross-entropy */
  FORM_FOLDED,                 /* made by softmax or sigmoid, perhaps reshaped since:
                                  folded, computed from logits */
  FORM_LOGITS,                 /* any other output of a net, or from_logits = true */
  FORM_PROBABILITIES,          /* known to be such, or from_logits = false */
  FORM_NORMALIZED,             /* the same where a row need not sum to 1: divided by its
                                  sum */
  FORM_UNKNOWN                 /* a plain tensor, nothing said: an error; so are
                                  logarithms of probabilities for a loss of yes or no */
} LossForm;

/* Base of every loss: first member of each kind's own struct. */
typedef struct Loss {
  Object object;
} Loss;

/* What the targets of a loss say about its outputs: what may stand in them, and how an
 * accuracy is counted, follow from it. */
typedef enum LossTargets {
  TARGETS_OWN,                 /* a function of the user: it alone knows */
  TARGETS_NUMBERS,             /* numbers of any size, of the output's shape */
  TARGETS_YES_NO,              /* how much each output is a yes, from 0 to 1; integers
                                  are labels: 1 no, 2 yes */
  TARGETS_LABELS,              /* a class label from 1 for each row of C outputs */
  TARGETS_DISTRIBUTIONS,       /* for each row of C outputs C shares from 0 to 1 */
  TARGETS_ALIKE                /* labels from 1, which say what rows are alike and
                                  nothing of their outputs */
} LossTargets;

typedef struct LossKind {
  Kind kind;
  /* One value per example, [N]; per step of a sequence, [N, T]; or per element, [N,
   * ...], of which the example's value is the mean. One number: the function of a user
   * alone. NULL after a fault, which is then in graph->fault. */
  Node *(*values)(Graph *graph, const Loss *loss, Node *output, Node *target);
  /* In its place, of a loss that couples rows: values [P] of pairs of them, or the
   * like, and what each counts by the rows' weights [N] (NULL: all 1), 0 where it is
   * none. Rows of weight 0 may hold anything. */
  Node *(*coupled)(Graph *graph, const Loss *loss, Node *output, Node *target,
                   Node *weight, Node **counts);
  /* What it takes the output for; NULL: FORM_PLAIN. */
  LossForm (*form)(const Loss *loss, const Node *output);
  const char *fold; /* the op it folds, "softmax" or "sigmoid"; NULL: none */
  LossTargets targets;
} LossKind;

extern const Family loss_family; /* module "loss" */

static inline const LossKind *loss_kind(const Loss *loss) {
  return (const LossKind *)loss->object.kind;
}

/* One batch as nodes. Weight and mask are [N], or [N, T] for the steps of sequences;
 * NULL: every value counts once. */
typedef struct LossBatch {
  Node *output, *target, *weight, *mask;
  bool part;    /* of rows that are averaged further: weights that are all 0 are
                   no error, the loss is NaN */
  Node **pairs; /* gets, of a loss that couples rows, the sum of what its values count,
                   which 0 makes NaN of `part`; NULL: not wanted */
} LossBatch;

/* The loss of a batch, a node without axes. NULL after a fault, which is then in
 * graph->fault. */
Node *loss_apply(Graph *graph, const Loss *loss, const LossBatch *batch);
/* What its rows count in all, a node without axes: the sum of weights and mask, else
 * the number of rows. */
Node *loss_total(Graph *graph, const LossBatch *batch);
/* Its values, before they are weighted and averaged. */
Node *loss_values(Graph *graph, const Loss *loss, Node *output, Node *target);

LossTargets loss_targets(const Loss *loss);
/* A target of that type which the loss may have, for one that does not count. */
double loss_stand_in(const Loss *loss, DType dtype);

/* The target under the output's shape where the two differ by a last axis of 1 alone,
 * [N] and [N, 1]; else as it is. Fit and evaluate give targets so to losses and
 * metrics. */
Node *loss_conform(Graph *graph, Node *output, Node *target);

/* ERR_DATA that names the first value which targets of this loss may not hold: before
 * any step, what an op would refuse later. `t` holds some rows of a data set, the first
 * of which is number `first_row`, from 0. */
Err loss_check_targets(const Loss *loss, const Array *t, int64_t first_row,
                       Fault *fault) WARN_UNUSED;

/* The form that loss_apply would take for this output. */
LossForm loss_form(const Loss *loss, const Node *output);
/* In words, for summary: "the softmax of the output is folded in"; "" for
 * FORM_PLAIN. */
const char *loss_form_text(const Loss *loss, LossForm form);

/* -- for the kinds ----------------------------------------------------------------- */

/* Records what the loss expects and which shapes it got, with the reshape that makes
 * them equal where one does; returns NULL. */
Node *loss_refuse(Graph *graph, const char *expects, const Node *output,
                  const Node *target);
bool loss_same_shape(Graph *graph, const Node *output, const Node *target);
/* One label for each row of the output [.., C], as [n]; NULL after a fault. */
Node *loss_labels(Graph *graph, const Node *output, Node *target);
/* Targets from 0 to 1, of integers by their labels where the loss is of yes and no;
 * what refuses others when it is computed names the loss. */
Node *loss_shares(Graph *graph, const Loss *loss, Node *target);
/* A fault where the output has one class: its probability is always 1, there is nothing
 * to learn. */
bool loss_one_class(Graph *graph, const Node *output);

#endif
