/* kernel.c: the choice of a table of kernels. */
#include "kernel/kernel.h"
#include "base/sys.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

const Kernels *kernels(void) {
  static const Kernels *const tables[SIMD_LEVELS] = {
      [SIMD_PLAIN] = &kernel_table_plain,
      [SIMD_AVX2] = &kernel_table_avx2,
      [SIMD_AVX512] = &kernel_table_avx512,
  };
  return tables[simd_level()];
}
