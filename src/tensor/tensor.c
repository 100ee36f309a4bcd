/* tensor.c: shapes, types, storage and views.
 *
 * A storage is one block with a reference count; tensors are small headers that refer
 * to it at an offset. Counts are not atomic: tensors are made and released by the main
 * thread alone; kernels see arrays only. */
#include "tensor/tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- shapes ------------------------------------------------------------------------ */

int64_t shape_count(const Shape *shape) {
  int64_t n = 1;
  for (int i = 0; i < shape->rank; i++) n *= shape->dim[i];
  return n;
}

bool shape_countable(const Shape *shape) {
  int64_t n = 1;
  for (int i = 0; i < shape->rank; i++)
    if (shape->dim[i] < 0 || __builtin_mul_overflow(n, shape->dim[i], &n)) return false;
  return n <= (int64_t)1 << 53;
}

bool shape_equal(const Shape *a, const Shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

bool shape_differ_by_one(const Shape *a, const Shape *b) {
  const Shape *shorter = a->rank < b->rank ? a : b, *longer = a->rank < b->rank ? b : a;
  if (longer->rank != shorter->rank + 1 || longer->dim[shorter->rank] != 1)
    return false;
  for (int i = 0; i < shorter->rank; i++)
    if (longer->dim[i] != shorter->dim[i]) return false;
  return true;
}

bool shape_begins(const Shape *of, const Shape *shape) {
  if (shape->rank > of->rank) return false;
  for (int i = 0; i < shape->rank; i++)
    if (shape->dim[i] != of->dim[i]) return false;
  return true;
}

int64_t shape_stride(const Shape *shape, int axis) {
  int64_t n = 1;
  for (int i = axis + 1; i < shape->rank; i++) n *= shape->dim[i];
  return n;
}

bool shape_broadcast(Shape *out, const Shape *a, const Shape *b) {
  Shape s = {.rank = a->rank > b->rank ? a->rank : b->rank};
  for (int i = 1; i <= s.rank; i++) {
    int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
    int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
    if (da != db && da != 1 && db != 1) return false;
    s.dim[s.rank - i] = da == 1 ? db : da;
  }
  *out = s;
  return true;
}

char *shape_text(char *buffer, const Shape *shape) {
  if (shape->rank == 0) return strcpy(buffer, "scalar");
  size_t used = 0;
  for (int i = 0; i < shape->rank; i++)
    used += (size_t)snprintf(buffer + used, SHAPE_TEXT - used, i ? "x%lld" : "%lld",
                             (long long)shape->dim[i]);
  return buffer;
}

/* -- types ------------------------------------------------------------------------- */

static const struct {
  const char *name;
  size_t n_bytes;
  int least, most; /* of integers */
} dtypes[N_DTYPES] = {
    [DT_REAL] = {"real", sizeof(real), 0, 0},
    [DT_INT32] = {"int32", 4, INT32_MIN, INT32_MAX},
    [DT_UINT8] = {"uint8", 1, 0, UINT8_MAX},
};

size_t dtype_bytes(DType dtype) { return dtypes[dtype].n_bytes; }
const char *dtype_name(DType dtype) { return dtypes[dtype].name; }

int dtype_least(DType dtype) {
  must(dtype != DT_REAL);
  return dtypes[dtype].least;
}

int dtype_most(DType dtype) {
  must(dtype != DT_REAL);
  return dtypes[dtype].most;
}

bool dtype_parse(DType *out, const char *name) {
  if (text_has_word("float double float32 float64", name)) name = "real";
  for (int i = 0; i < N_DTYPES; i++)
    if (strcmp(dtypes[i].name, name) == 0) {
      *out = (DType)i;
      return true;
    }
  return false;
}

/* -- storage ----------------------------------------------------------------------- */

enum { ALIGNMENT = 64 };

/* Large blocks of one size begin at the same place of a page, so arrays that a kernel
 * goes through together would share a few sets of the cache; a processor that finds
 * lines by a hash of their address may then hold one of them at a time, and takes five
 * times as long. So the data begin at one of SHIFTS places, each block at the next:
 * those that are made one after the other differ, wherever malloc puts them. No result
 * depends on it. */
enum { LARGE_BYTES = 1 << 16, SHIFTS = 7, SHIFT_BYTES = 9 * ALIGNMENT };

static size_t next_shift(void) {
  static _Atomic unsigned n_made;
  return n_made++ % SHIFTS * SHIFT_BYTES;
}

/* Header and data in one block of malloc's own alignment: what is freed then fits the
 * next storage of the size, which glibc's aligned blocks do not. */
static Storage *storage_new(MemoryCount *count, size_t n_bytes, Fault *fault) {
  size_t room = (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  size_t shifts = n_bytes >= LARGE_BYTES ? SHIFTS * SHIFT_BYTES : 0;
  size_t block_bytes = sizeof(Storage) + ALIGNMENT + room + shifts;
  Storage *s = block_bytes < n_bytes ? NULL : malloc(block_bytes);
  if (!s) {
    fault_memory(fault, n_bytes);
    return NULL;
  }
  unsigned char *data = (unsigned char *)(s + 1);
  data += -(uintptr_t)data % ALIGNMENT;
  if (shifts) data += next_shift();
  *s = (Storage){.refs = 1, .n_bytes = n_bytes, .count = count, .data = data};
  if (count) {
    count->now_bytes += n_bytes;
    if (count->now_bytes > count->peak_bytes) count->peak_bytes = count->now_bytes;
  }
  return s;
}

static void storage_release(Storage *s) {
  if (--s->refs > 0) return;
  if (s->count) s->count->now_bytes -= s->n_bytes;
  free(s);
}

/* -- tensors ----------------------------------------------------------------------- */

/* Bytes of a tensor, or false where they do not fit into memory at all. */
static bool shape_bytes(size_t *n_bytes, DType dtype, const Shape *shape) {
  int64_t n = (int64_t)dtype_bytes(dtype);
  for (int i = 0; i < shape->rank; i++)
    if (shape->dim[i] < 0 || __builtin_mul_overflow(n, shape->dim[i], &n)) return false;
  *n_bytes = (size_t)n;
  return n <= INT64_MAX / 2;
}

Tensor *tensor_new(MemoryCount *count, DType dtype, const Shape *shape, Fault *fault) {
  size_t n_bytes;
  if (!shape_bytes(&n_bytes, dtype, shape)) {
    char text[SHAPE_TEXT];
    fault_set(fault, ERR_MEMORY, "a tensor of shape %s does not fit into memory",
              shape_text(text, shape));
    return NULL;
  }
  Tensor *t = malloc(sizeof *t);
  Storage *s = t ? storage_new(count, n_bytes, fault) : NULL;
  if (!s) {
    fault_memory(fault, n_bytes);
    free(t);
    return NULL;
  }
  *t = (Tensor){.refs = 1, .storage = s, .a = {*shape, dtype, s->data}};
  return t;
}

Tensor *tensor_view(Tensor *t, int64_t offset, const Shape *shape, Fault *fault) {
  must(offset >= 0 && offset + shape_count(shape) <= tensor_count(t));
  Tensor *view = malloc(sizeof *view);
  if (!view) {
    fault_memory(fault, sizeof *view);
    return NULL;
  }
  char *data = (char *)t->a.data + (size_t)offset * dtype_bytes(t->a.dtype);
  *view = (Tensor){.refs = 1, .storage = t->storage, .a = {*shape, t->a.dtype, data}};
  t->storage->refs++;
  return view;
}

Tensor *tensor_retain(Tensor *t) {
  t->refs++;
  return t;
}

void tensor_release(Tensor *t) {
  if (!t || --t->refs > 0) return;
  storage_release(t->storage);
  free(t);
}

static void *retain_thing(void *tensor) { return tensor_retain(tensor); }
static void release_thing(void *tensor) { tensor_release(tensor); }

const RefType tensor_ref_type = {"tensor", retain_thing, release_thing};

void tensor_hash(const Tensor *t, Sha256 *hash) {
  char shape[SHAPE_TEXT];
  const char *type = dtype_name(t->a.dtype);
  shape_text(shape, &t->a.shape);
  sha256_add(hash, shape, strlen(shape));
  sha256_add(hash, type, strlen(type));
  sha256_add(hash, t->a.data, (size_t)tensor_count(t) * dtype_bytes(t->a.dtype));
}

double array_get(const Array *a, int64_t i) {
  switch (a->dtype) {
  case DT_REAL: return (double)((const real *)a->data)[i];
  case DT_INT32: return ((const int32_t *)a->data)[i];
  default: return ((const uint8_t *)a->data)[i];
  }
}

void array_set(Array *a, int64_t i, double value) {
  switch (a->dtype) {
  case DT_REAL: ((real *)a->data)[i] = (real)value; break;
  case DT_INT32: ((int32_t *)a->data)[i] = (int32_t)value; break;
  default: ((uint8_t *)a->data)[i] = (uint8_t)value; break;
  }
}

int64_t array_first_outside(const Array *a, double lo, double hi) {
  int64_t n = shape_count(&a->shape);
  if (a->dtype != DT_REAL) {
    for (int64_t i = 0; i < n; i++) {
      double v = array_get(a, i);
      if (v < lo || v > hi) return i;
    }
    return -1;
  }
  const real *v = a->data, least_v = (real)lo, most_v = (real)hi;
  for (int64_t i = 0; i < n; i++) {
    bool inside = v[i] >= least_v && v[i] <= most_v;
    if (!inside) return i;
  }
  return -1;
}
