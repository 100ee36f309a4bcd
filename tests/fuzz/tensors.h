/* tensors.h: what is asked of each reader of tensors: that what it accepts, written
 * again, reads as the same, and that nothing stays behind. */
#ifndef TESTS_FUZZ_TENSORS_H
#define TESTS_FUZZ_TENSORS_H

#include "base/pack.h"
#include "tensor/file.h"
#include <string.h>

static inline const Tensor *tensor_named(const TensorFile *file, const char *name) {
  for (int i = 0; i < file->n_tensors; i++)
    if (strcmp(file->tensors[i].name, name) == 0) return file->tensors[i].tensor;
  return NULL;
}

static inline void must_be_same(const TensorFile *a, const TensorFile *b) {
  must(a->n_tensors == b->n_tensors);
  for (int i = 0; i < a->n_tensors; i++) {
    const Tensor *t = a->tensors[i].tensor;
    const Tensor *u = tensor_named(b, a->tensors[i].name);
    must(u && u->a.dtype == t->a.dtype && shape_equal(&u->a.shape, &t->a.shape));
    size_t n = (size_t)tensor_count(t) * dtype_bytes(t->a.dtype);
    must(n == 0 || memcmp(u->a.data, t->a.data, n) == 0);
  }
}

static inline void write_again(const TensorFormat *format, const TensorFile *file) {
  Fault fault = {0};
  char *bytes = NULL;
  size_t n_bytes = 0;
  FILE *stream = open_memstream(&bytes, &n_bytes);
  must(stream);
  must(!format->write(stream, file->tensors, file->n_tensors, false, &fault));
  must(fclose(stream) == 0);
  Input in;
  TensorFile again = {0};
  input_memory(&in, bytes, n_bytes);
  must(!format->read(&again, &in, NULL, &fault));
  must_be_same(file, &again);
  tensor_file_deinit(&again);
  input_close(&in);
  free(bytes);
}

static inline void read_and_write(const TensorFormat *format, const uint8_t *bytes,
                                  size_t n_bytes) {
  Fault fault = {0};
  MemoryCount count = {0};
  TensorFile file = {0};
  Input in;
  input_memory(&in, bytes, n_bytes);
  Err err = format->read(&file, &in, &count, &fault);
  must(err == fault.code);
  must(count.peak_bytes <= 8 * (size_t)unpack_bound((int64_t)n_bytes) + 64);
  if (!err) write_again(format, &file);
  tensor_file_deinit(&file);
  input_close(&in);
  must(count.now_bytes == 0);
}

#endif
