/* safetensors.h: named tensors in a file, in the format of the same name.
 *
 * Layout: u64 little-endian length of the header; the header, a JSON object
 * {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets"}, ...}, padded
 * with blanks to a multiple of 8; the tensors' bytes, row-major, without gaps.
 *
 * A file is not trusted: lengths, offsets, gaps, overlaps, shapes and dtypes are checked
 * against the file's true size before memory for a tensor is asked for.
 *
 * Types. real is written as F32 or F64 by build. On load F16, BF16, F32, F64 become real
 * (F64 rounds in the float build; a finite number that would become infinite is refused),
 * I8 I16 U16 I32 become int32, U8 and BOOL uint8; U32, I64 and U64 become int32 when every
 * value fits and are refused otherwise. Other types are refused. */
#ifndef TENSOR_SAFETENSORS_H
#define TENSOR_SAFETENSORS_H

#include "tensor/tensor.h"

enum { SAFETENSORS_HEADER_LIMIT = 100000000 };

typedef struct NamedTensor {
  char *name;
  Tensor *tensor;
} NamedTensor;

typedef struct NamedText {
  char *name, *text;
} NamedText;

/* Tensors and metadata in the order of the header. */
typedef struct TensorFile {
  NamedTensor *tensors;
  int n_tensors;
  NamedText *meta;
  int n_meta;
} TensorFile;

/* Writes atomically, borrowing everything. Names must differ and not be "__metadata__". */
Err safetensors_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     const NamedText *meta, int n_meta, Fault *fault) WARN_UNUSED;

/* Fills `out`, to be freed with tensor_file_deinit (also after a failure: it is empty).
 * What cannot be used is ERR_DATA and names the file and the tensor. */
Err safetensors_load(TensorFile *out, const char *path, MemoryCount *count,
                     Fault *fault) WARN_UNUSED;

void tensor_file_deinit(TensorFile *file);
/* Borrowed, NULL when there is none of that name. */
Tensor *tensor_file_find(const TensorFile *file, const char *name);
const char *tensor_file_meta(const TensorFile *file, const char *name);

#endif
