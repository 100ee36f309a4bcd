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
  static const Kernels *_Atomic chosen; /* every thread would choose the same */
  const Kernels *table = chosen;
  if (!table) chosen = table = tables[simd_level()];
  return table;
}
