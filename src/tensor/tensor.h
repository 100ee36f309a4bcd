/* tensor.h: values. A Tensor is an immutable row-major array in shared storage.
 *
 * All tensors are contiguous: a view (reshape, leading-axis slice) shares the storage
 * of its parent at an offset; a transpose is a copy. So kernels need no strides except
 * for broadcasting. Tensors never compute; kernels never see a tensor. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "base/fault.h"
#include "base/real.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/value.h"
#include <stdint.h>

enum { MAX_RANK = 6 };

typedef struct Shape {
  int rank;              /* 0: a scalar, one element */
  int64_t dim[MAX_RANK]; /* each >= 0 */
} Shape;

#define SHAPE_OF(...)                                                                  \
  ((Shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define SHAPE_SCALAR ((Shape){0, {0}})

int64_t shape_count(const Shape *shape); /* number of elements */
/* Can the elements be counted, exactly also as a double? */
bool shape_countable(const Shape *shape);
bool shape_equal(const Shape *a, const Shape *b);
/* Is one of them the other and an axis of 1 behind it, as [N, 1] and [N]? */
bool shape_differ_by_one(const Shape *a, const Shape *b);
/* Has `shape` the first axes of `of`, perhaps all? */
bool shape_begins(const Shape *of, const Shape *shape);
/* Elements per step of `axis` (product of the dims after it). */
int64_t shape_stride(const Shape *shape, int axis);
/* An axis as users count, from 1, where -1 is the last of `rank`, from 0: one that is
 * below 0 or not below the rank is none. */
static inline int64_t shape_axis(int rank, int64_t axis) {
  return axis < 0 ? rank + axis : axis - 1;
}
/* NumPy broadcasting; false when they do not fit. `out` may be one of them. */
bool shape_broadcast(Shape *out, const Shape *a, const Shape *b);
/* "3x4", "scalar"; writes to and returns `buffer` (at least SHAPE_TEXT bytes). */
enum { SHAPE_TEXT = 128 };
char *shape_text(char *buffer, const Shape *shape);

typedef enum DType { DT_REAL, DT_INT32, DT_UINT8, N_DTYPES } DType;
size_t dtype_bytes(DType dtype);
const char *dtype_name(DType dtype); /* "real", "int32", "uint8" */
/* The ends of an integer type. */
int dtype_least(DType dtype);
int dtype_most(DType dtype);
bool dtype_parse(DType *out, const char *name); /* float/double mean real */

/* Bytes that live tensors hold, for the collector; shared by all storages of a
 * session. */
typedef struct MemoryCount {
  size_t now_bytes, peak_bytes;
} MemoryCount;

typedef struct Storage {
  int refs;
  size_t n_bytes;
  MemoryCount *count;  /* NULL: not counted; outlives the storage */
  unsigned char *data; /* 64-byte aligned, with room to the next multiple of 64 */
} Storage;

/* What kernels and ops see: no ownership. */
typedef struct Array {
  Shape shape;
  DType dtype;
  void *data;
} Array;

typedef struct Tensor {
  /* private */
  int refs;
  Storage *storage;
  /* read-only */
  Array a;
} Tensor;

/* Returns new, contents undefined. */
Tensor *tensor_new(MemoryCount *count, DType dtype, const Shape *shape, Fault *fault);
/* Returns new: the same elements from `offset` (in elements) on, with another shape. */
Tensor *tensor_view(Tensor *t, int64_t offset, const Shape *shape, Fault *fault);
Tensor *tensor_retain(Tensor *t);
void tensor_release(Tensor *t); /* NULL is a no-op */

/* Of options that hold a Tensor *. */
extern const RefType tensor_ref_type;

/* Adds shape, type and values. */
void tensor_hash(const Tensor *t, Sha256 *hash);
static inline int64_t tensor_count(const Tensor *t) { return shape_count(&t->a.shape); }
static inline real *tensor_reals(const Tensor *t) { return (real *)t->a.data; }
/* Element i (flat, from 0) as a double; element set from a double. */
double array_get(const Array *a, int64_t i);
void array_set(Array *a, int64_t i, double value);
/* Index of the first element outside [lo, hi], NaN too; -1: none. */
int64_t array_first_outside(const Array *a, double lo, double hi);

/* Adds what a person wants to see: all elements of a small tensor, rows aligned; a
 * large one is summarised: shape, dtype, min, mean, max and edge rows. `columns`:
 * width. */
void tensor_print(Text *out, const Tensor *t, int columns);

#endif
