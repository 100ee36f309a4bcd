/* The reader of .safetensors takes any bytes; what it accepts is saved and read back to
 * the same, and a file never makes it ask for more memory than a few times its size. */
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "tensor/safetensors.h"
#include <string.h>

static void same(const TensorFile *a, const TensorFile *b) {
  must(a->n_tensors == b->n_tensors && a->n_meta == b->n_meta);
  for (int i = 0; i < a->n_tensors; i++) {
    const Tensor *t = a->tensors[i].tensor;
    const Tensor *u = tensor_file_find(b, a->tensors[i].name);
    must(u && u->a.dtype == t->a.dtype && shape_equal(&u->a.shape, &t->a.shape));
    size_t n = (size_t)tensor_count(t) * dtype_bytes(t->a.dtype);
    must(n == 0 || memcmp(u->a.data, t->a.data, n) == 0);
  }
}

FUZZ(safetensors) {
  static InputFile in;
  Fault fault = {0};
  TensorFile file, again;
  MemoryCount count = {0};
  Err err = safetensors_load(&file, input_file(&in, bytes, n_bytes), &count, &fault);
  must(err == fault.code && count.peak_bytes <= 8 * n_bytes + 64);
  if (err) return;
  const char *path = temp_path("again.safetensors");
  must(!safetensors_save(path, file.tensors, file.n_tensors, file.meta, file.n_meta, &fault));
  must(!safetensors_load(&again, path, &count, &fault));
  same(&file, &again);
  tensor_file_deinit(&again);
  tensor_file_deinit(&file);
  must(count.now_bytes == 0);
}

FUZZ_CUTS(safetensors)
