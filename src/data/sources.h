/* sources.h: what the kinds of sources share; private to data/. */
#ifndef DATA_SOURCES_H
#define DATA_SOURCES_H

#include "base/input.h"
#include "data/data.h"

extern const SourceKind fashion_mnist_kind, idx_kind, set_kind;
extern const SourceKind spirals_kind, moons_kind, circles_kind, xor_kind;

/* Releases the rows; every kind's deinit is this or calls it. */
void source_deinit(Object *object);

/* An IDX file's bytes as a tensor; NULL and a fault else. */
Tensor *idx_parse(Input *in, MemoryCount *memory, Fault *fault);
/* Reads an IDX file, plain or gzipped, into a tensor: unsigned bytes stay uint8, other
 * whole numbers become int32, floating-point ones real. NULL and ERR_DATA with the path. */
Tensor *idx_read(const char *path, MemoryCount *memory, Fault *fault);

/* Images and labels of two files into `out`. [n, h, w] becomes [n, 1, h, w]. */
Err idx_load(const char *images, const char *labels, int64_t n_classes,
             int64_t label_base, bool scale, MemoryCount *memory, Rows *out, Fault *fault)
    WARN_UNUSED;

/* y as int32 labels from 1 into out->y, their number into out->n_classes; see
 * source_from_tensors. Faults begin with what the caller puts before them. */
Err labels_convert(const Tensor *y, int64_t n_classes, int64_t label_base,
                   MemoryCount *memory, Rows *out, Fault *fault) WARN_UNUSED;

#endif
