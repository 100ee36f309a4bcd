/* find_lr.h: the learning-rate range test; see find_lr.c. */
#ifndef TRAIN_FIND_LR_H
#define TRAIN_FIND_LR_H

#include "train/train.h"

typedef struct FindLr {
  Object object;
  Loss *loss;
  Optimizer *optimizer;
  int64_t batch_size, steps;
  double low, high;    /* first and last rate */
  double smooth, stop; /* share of the mean loss that is kept; what ends the curve */
} FindLr;

extern const Kind find_lr_kind;
extern const Family find_lr_family; /* its own; module "train" */

typedef struct LrPoint {
  double rate, loss, smoothed;
} LrPoint;

/* The curve, where it falls most steeply for log(rate), and where it is lowest: NaN
 * where it does not fall. */
typedef struct LrCurve {
  int n;
  LrPoint *v;
  int64_t room;
  double suggestion, lowest;
} LrCurve;
void lr_curve_deinit(LrCurve *curve);

/* Net, optimizer and streams are afterwards as they were; a net that was not built is
 * built, as net:build does. `out` is the caller's also after a fault. */
Err find_lr(Graph *graph, const FindLr *asked, Layer *net, Dataset *set, LrCurve *out,
            Fault *fault) WARN_UNUSED;

#endif
