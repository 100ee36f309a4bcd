/* pack.h: deflate, gzip and their checksum; the door to zlib. */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/input.h"

typedef enum PackForm { PACK_DEFLATE, PACK_GZIP } PackForm;

/* Do the first two bytes of a file say that it is gzipped? */
static inline bool pack_is_gzip(const unsigned char *b) {
  return b[0] == 0x1f && b[1] == 0x8b;
}

/* Most bytes that n_packed bytes can unpack to. */
int64_t unpack_bound(int64_t n_packed);

/* Makes `out` the unpacked bytes of the next n_packed bytes of `in`, which is borrowed
 * and read as `out` is. gzip: one member or several in a row. Ended by
 * input_close(out). */
Err unpack_open(Input *out, Input *in, int64_t n_packed, PackForm form,
                Fault *fault) WARN_UNUSED;

/* What input.c calls. `n_read` is 0 at the end. */
Err unpack_read(struct Unpack *unpack, void *out, size_t n_bytes, size_t *n_read,
                Fault *fault) WARN_UNUSED;
Err unpack_end(struct Unpack *unpack, Fault *fault) WARN_UNUSED;
void unpack_close(struct Unpack *unpack); /* NULL is a no-op */

/* Writes bytes to a file, packed by deflate; its errors are seen by the file's
 * owner. */
typedef struct Packer Packer;
Packer *pack_open(FILE *file, Fault *fault);
void pack_write(Packer *packer, const void *bytes, size_t n_bytes);
/* Frees the packer; the number of bytes written. */
int64_t pack_close(Packer *packer);

/* The checksum of gzip and zip, continued from `crc` (0 at the start). */
uint32_t crc_add(uint32_t crc, const void *bytes, size_t n_bytes);

#endif
