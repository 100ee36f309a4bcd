/* gzip.h: reading files that may be gzipped, checksums; the door to zlib. */
#ifndef DATA_GZIP_H
#define DATA_GZIP_H

#include "base/fault.h"
#include <stdint.h>

typedef struct GzipFile GzipFile;

/* Plain or gzip, told by the content. NULL and ERR_DATA else; texts leave out the path. */
GzipFile *gzip_open(const char *path, Fault *fault);
void gzip_close(GzipFile *file);                     /* NULL is a no-op */

/* Most bytes that the file can hold when unpacked, by its size on disk. */
int64_t gzip_bound(const GzipFile *file);

/* Exactly n_bytes more, else ERR_DATA: truncated, or damaged. */
Err gzip_read(GzipFile *file, void *out, int64_t n_bytes, Fault *fault) WARN_UNUSED;

/* ERR_DATA unless everything was read and the checksum fits. */
Err gzip_end(GzipFile *file, Fault *fault) WARN_UNUSED;

/* CRC-32 (ISO 3309) of the bytes, going on from that of the bytes before them; 0 at first. */
uint32_t gzip_crc32(uint32_t before, const void *bytes, size_t n_bytes);

#endif
