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

extern const Kind split_method, shuffle_method, take_method, normalize_method;
extern const Kind transform_method, batches_method;
extern const Family dataset_methods; /* all of them; module "set" */

#endif
