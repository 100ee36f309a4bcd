/* file.h: tensors in files. One record per format, chosen by how the name of a file
 * ends: .safetensors and .npz hold tensors by name, .npy holds one.
 *
 * A file is not trusted: what it says of sizes is checked against its true size before
 * memory for a tensor is asked for; what cannot be held exactly is refused
 * (filetype.h). */
#ifndef TENSOR_FILE_H
#define TENSOR_FILE_H

#include "base/input.h"
#include "tensor/tensor.h"

typedef struct NamedTensor {
  char *name;
  Tensor *tensor;
} NamedTensor;

typedef struct NamedText {
  char *name, *text;
} NamedText;

/* Tensors and metadata in the order of the file. The one of a .npy has the name "". */
typedef struct TensorFile {
  NamedTensor *tensors;
  int n_tensors;
  NamedText *meta;
  int n_meta;
  NamedText *left_out; /* what no tensor can hold (text, objects), and why */
  int n_left_out;
} TensorFile;

void tensor_file_deinit(TensorFile *file);
const char *tensor_file_meta(const TensorFile *file, const char *name);

typedef struct TensorFormat {
  const char *suffix; /* ".npz" */
  bool named;         /* tensors by name; else exactly one without */
  bool packs;         /* can compress */
  /* Fills `out`, which is empty; the caller frees it, also after a failure. */
  Err (*read)(TensorFile *out, Input *in, MemoryCount *count, Fault *fault);
  /* Errors of writing are seen by who owns the file. */
  Err (*write)(FILE *file, const NamedTensor *tensors, int n_tensors, bool compress,
               Fault *fault);
} TensorFormat;

/* The format of a file of this name; NULL and a fault that lists them all. */
const TensorFormat *tensor_format(const char *path, Fault *fault);

/* Fills `out`, to be freed with tensor_file_deinit (also after a failure: it is empty).
 * What cannot be used is ERR_DATA and names the file and the tensor. */
Err tensor_file_load(TensorFile *out, const char *path, MemoryCount *count,
                     Fault *fault) WARN_UNUSED;
/* The same in this format, whatever the file is called. */
Err tensor_file_load_as(const TensorFormat *format, TensorFile *out, const char *path,
                        MemoryCount *count, Fault *fault) WARN_UNUSED;
/* Writes so that a reader sees all or nothing, borrowing everything. Names must
 * differ. */
Err tensor_file_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     bool compress, Fault *fault) WARN_UNUSED;

/* Room in `out` for n tensors that a reader will add or leave out. */
Err tensor_file_reserve(TensorFile *out, int n, Fault *fault) WARN_UNUSED;

#endif
