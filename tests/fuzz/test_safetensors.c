/* The reader of .safetensors takes any bytes; what it accepts is saved and read back to
 * the same, and a file never makes it ask for more memory than a few times its size. */
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/tensors.h"
#include "tensor/safetensors.h"

FUZZ(safetensors) {
  static InputFile in;
  Fault fault = {0};
  TensorFile file, again;
  MemoryCount count = {0};
  Err err = safetensors_load(&file, input_file(&in, bytes, n_bytes), &count, &fault);
  must(err == fault.code && count.peak_bytes <= 8 * n_bytes + 64);
  if (err) return;
  const char *path = temp_path("again.safetensors");
  must(!safetensors_save(path, file.tensors, file.n_tensors, file.meta, file.n_meta,
                         &fault));
  must(!safetensors_load(&again, path, &count, &fault));
  must(file.n_meta == again.n_meta);
  must_be_same(&file, &again);
  tensor_file_deinit(&again);
  tensor_file_deinit(&file);
  must(count.now_bytes == 0);
}

FUZZ_CUTS(safetensors)
