/* npy.h: NumPy's files: .npy holds one array, .npz is a zip file of them (np.save,
 * np.savez, np.savez_compressed; NumPy Enhancement Proposal 1 and numpy.lib.format).
 *
 * Layout of .npy: "\x93NUMPY", a byte each for the version's two numbers, the length of
 * the header (2 bytes in version 1, 4 in 2 and 3, low byte first), the header, the
 * elements. The header is a Python dictionary, {'descr': '<f4', 'fortran_order': False,
 * 'shape': (3, 4), }, blanks and a newline.
 *
 * Read are all types of filetype.h in both byte orders, row-major or column-major; not
 * complex numbers, text, times, objects and records, which in an archive are left out.
 * Written is version 1, row-major. */
#ifndef TENSOR_NPY_H
#define TENSOR_NPY_H

#include "tensor/file.h"

extern const TensorFormat npy_format, npz_format;

/* One array from where `in` is to its end. NULL and a fault else. */
Tensor *npy_read(Input *in, MemoryCount *count, Fault *fault);
/* As a TensorFormat reads: every entry of the archive must be a .npy. */
Err npz_read(TensorFile *out, Input *in, MemoryCount *count, Fault *fault) WARN_UNUSED;

#endif
