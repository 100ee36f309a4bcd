/* filetype.h: the types of elements that files of tensors have, and what becomes of
 * them.
 *
 * F16, BF16, F32, F64 become real (F64 rounds in the float build; a finite number that
 * would become infinite is refused), I8 I16 U16 I32 become int32, U8 and BOOL uint8;
 * U32, I64 and U64 become int32 when every value fits and are refused otherwise. */
#ifndef TENSOR_FILETYPE_H
#define TENSOR_FILETYPE_H

#include "base/input.h"
#include "tensor/tensor.h"

typedef struct FileType {
  const char *name; /* in .safetensors: "F32" */
  const char *code; /* in .npy: "f4"; NULL: there is none */
  int n_bytes;
  DType dtype; /* what it becomes */
  bool same;   /* the bytes are those of the tensor */
  bool (*convert)(Array *out, int64_t i, const unsigned char *bytes); /* else */
} FileType;

/* NULL: no such type. */
const FileType *filetype_named(const char *name);
const FileType *filetype_coded(const char *code);
/* The type in which a tensor is written. */
const FileType *filetype_of(DType dtype);

/* "F64 F32 ...": all names, or all codes. Writes to and returns `buffer`. */
char *filetype_list(bool codes, char *buffer, size_t n_bytes);

/* Bytes that a file holds of the shape, or -1 when its sizes, zeros aside, multiply to
 * more than int64_t holds (so strides of an empty tensor cannot overflow either). */
int64_t filetype_bytes(const FileType *type, const Shape *shape);
/* Returns new, contents undefined: what the elements that come next in `in` become.
 * NULL and a fault where they cannot be there, or memory does not hold them. */
Tensor *filetype_tensor(const FileType *type, const Shape *shape, const Input *in,
                        MemoryCount *count, Fault *fault);

/* The elements of `out`, in its order, from the next bytes of `in`; `swap`: each has
 * its highest byte first. */
Err filetype_read(const FileType *type, bool swap, Input *in, Array *out,
                  Fault *fault) WARN_UNUSED;

#endif
