/* methods.h: the methods of a data set as records, so that their options are checked
 * and documented like all others. */
#ifndef DATA_METHODS_H
#define DATA_METHODS_H

#include "data/data.h"

/* Each record is an Object made for one call. seed 0: the seed of the run. */
typedef struct SplitCall {
  Object object;
  double part; /* below 1: a fraction; else a number of rows */
  bool shuffle, stratify;
  int64_t seed;
} SplitCall;

typedef struct ShuffleCall {
  Object object;
  int64_t seed;
} ShuffleCall;

typedef struct TakeCall {
  Object object;
  int64_t n;
} TakeCall;

typedef struct BucketsCall {
  Object object;
  int64_t n;
} BucketsCall;

typedef struct OnlyCall {
  Object object;
  TextList classes; /* names, and labels as numbers */
  bool renumber;
} OnlyCall;

typedef struct LabelsCall {
  Object object;
  int64_t n, seed;
} LabelsCall;

typedef enum BalanceBy { BALANCE_REPEAT, BALANCE_DROP } BalanceBy;
typedef struct BalanceCall {
  Object object;
  int by; /* a BalanceBy */
  int64_t seed;
} BalanceCall;

typedef struct MaskTokensCall {
  Object object;
  double share, hidden, other;
  int64_t seed;
} MaskTokensCall;

typedef struct FoldCall {
  Object object;
  int64_t k, seed;
  bool shuffle, stratify;
} FoldCall;

typedef struct NormalizeCall {
  Object object;
  int per; /* a Per */
} NormalizeCall;

typedef struct TransformCall {
  Object object;
  ObjectList transforms;
} TransformCall;

typedef struct BatchesCall {
  Object object;
  int64_t batch_size;
  int shuffle; /* a ShuffleMode */
  bool drop_last;
  int64_t seed;
  bool training;
  char *name; /* of the streams; NULL: the data set's name */
} BatchesCall;

extern const Kind split_method, shuffle_method, take_method, only_method, labels_method;
extern const Kind balance_method, k_fold_method, normalize_method, transform_method;
extern const Kind batches_method, mask_tokens_method, buckets_method;
extern const Family dataset_methods; /* all of them; module "set" */

#endif
