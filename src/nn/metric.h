/* metric.h: what is measured beside the loss. A metric makes a 0-axis node, the mean over a
 * batch; over an epoch the means are summed, weighted by the rows of the batches. */
#ifndef NN_METRIC_H
#define NN_METRIC_H

#include "nn/loss.h"

typedef struct Metric {
  Object object;
  char *name;                  /* of the column; NULL: the kind's name */
  Callable *function;          /* of the user: f(output, target) -> scalar */
} Metric;

typedef struct MetricKind {
  Kind kind;
  Node *(*apply)(Graph *graph, Metric *metric, const Loss *loss, Node *output,
                 Node *target);
} MetricKind;

extern const Family metric_family;       /* module "train" */

/* `loss` may be NULL; it says whether one output is a logit (threshold 0) or a probability
 * (threshold 1/2). NULL after a fault in graph->fault. */
Node *metric_apply(Graph *graph, Metric *metric, const Loss *loss, Node *output,
                   Node *target);
const char *metric_name(const Metric *metric);

#endif
