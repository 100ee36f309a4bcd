/* loss.h: losses as records. A loss makes a 0-axis node from output and target. */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include "base/record.h"
#include "graph/graph.h"

/* What a cross-entropy takes its input for. */
typedef enum LossForm {
  FORM_PLAIN,                  /* not a cross-entropy */
  FORM_FOLDED,                 /* made by softmax or sigmoid: folded, computed from logits */
  FORM_LOGITS,                 /* any other output of a net, or from_logits = true */
  FORM_PROBABILITIES,          /* from_logits = false */
  FORM_UNKNOWN                 /* a plain tensor, nothing said: an error */
} LossForm;

typedef enum FromLogits { LOGITS_AUTO, LOGITS_TRUE, LOGITS_FALSE } FromLogits;

typedef struct Loss {
  Object object;
  int from_logits;             /* FromLogits */
  Callable *function;          /* of the user: f(output, target) -> scalar */
} Loss;

/* What the targets of a loss say about its outputs: what may stand in them, and how an
 * accuracy is counted, follow from it. */
typedef enum LossTargets {
  TARGETS_OWN,                 /* a function of the user: it alone knows */
  TARGETS_NUMBERS,             /* numbers of any size, of the output's shape */
  TARGETS_YES_NO,              /* how much each output is a yes, from 0 to 1; integers are
                                  labels: 1 no, 2 yes */
  TARGETS_LABELS,              /* a class label from 1 for each row of C outputs */
  TARGETS_DISTRIBUTIONS        /* for each row of C outputs C shares from 0 to 1 */
} LossTargets;

typedef struct LossKind {
  Kind kind;
  Node *(*apply)(Graph *graph, Loss *loss, Node *output, Node *target);
  const char *fold;            /* the op it folds, "softmax" or "sigmoid"; NULL: none */
  LossTargets targets;
} LossKind;

extern const Family loss_family;         /* module "loss" */

/* NULL after a fault, which then stands in graph->fault. */
Node *loss_apply(Graph *graph, Loss *loss, Node *output, Node *target);

LossTargets loss_targets(const Loss *loss);

/* The form that loss_apply would take for this output. */
LossForm loss_form(const Loss *loss, const Node *output);
/* In words, for summary: "the softmax of the output is folded in"; "" for FORM_PLAIN. */
const char *loss_form_text(const Loss *loss, LossForm form);

#endif
