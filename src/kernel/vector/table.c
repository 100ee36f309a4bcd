/* table.c: the table of one SIMD level. */
#include "kernel/kernel.h"

#define TABLE_PASTE(level) kernel_table_##level
#define TABLE_EXPAND(level) TABLE_PASTE(level)

extern const Kernels TABLE_EXPAND(SIMD_LEVEL);
const Kernels TABLE_EXPAND(SIMD_LEVEL) = {
#define KERNEL(type, name, args) .name = KN(name),
#include "kernel/kernel.def"
#undef KERNEL
};
