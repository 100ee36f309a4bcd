/* The readers of .npy and .npz take any bytes; what they accept is written and read
 * back to the same. The first byte picks the format. */
#include "fuzz/fuzz.h"
#include "fuzz/tensors.h"
#include "tensor/npy.h"

FUZZ(numpy) {
  static const TensorFormat *const formats[] = {&npy_format, &npz_format};
  if (n_bytes > 0) read_and_write(formats[bytes[0] % 2], bytes + 1, n_bytes - 1);
}

FUZZ_CUTS(numpy)
