/* safetensors.h: named tensors in a file, in the format of the same name.
 *
 * Layout: u64 little-endian length of the header; the header, a JSON object
 * {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets"}, ...}, padded
 * with blanks to a multiple of 8; the tensors' bytes, row-major, without gaps.
 *
 * Lengths, offsets, gaps, overlaps, shapes and dtypes are checked against the file's
 * true size before memory for a tensor is asked for. */
#ifndef TENSOR_SAFETENSORS_H
#define TENSOR_SAFETENSORS_H

#include "tensor/file.h"

enum { SAFETENSORS_HEADER_LIMIT = 100000000 };

extern const TensorFormat safetensors_format;

/* As a TensorFormat reads. */
Err safetensors_read(TensorFile *out, Input *in, MemoryCount *count,
                     Fault *fault) WARN_UNUSED;

/* tensor_file_save and tensor_file_load in this format, whatever the file's name, with
 * metadata. Names must differ and not be "__metadata__": ERR_VALUE. */
Err safetensors_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     const NamedText *meta, int n_meta, Fault *fault) WARN_UNUSED;
Err safetensors_load(TensorFile *out, const char *path, MemoryCount *count,
                     Fault *fault) WARN_UNUSED;

#endif
