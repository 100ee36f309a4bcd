/* zip.h: archives in the ZIP format, as .npz files are.
 *
 * Reading trusts the central directory at the end, whose entries may have been written
 * with sizes unknown before (data descriptors) or beyond 32 bits (zip64). Entries are
 * stored or deflated; encrypted ones, other methods and several disks are refused.
 * Everything is checked when the archive is opened: each entry's own header must agree,
 * and entries must not overlap one another or the directory, so an archive unpacks to
 * at most unpack_bound(its size). */
#ifndef BASE_ZIP_H
#define BASE_ZIP_H

#include "base/input.h"

typedef enum ZipMethod { ZIP_STORED = 0, ZIP_DEFLATED = 8 } ZipMethod;

typedef struct ZipEntry {
  char *name;
  int method, flags; /* as in the file */
  uint32_t crc;
  int64_t n_packed, n_bytes;
  int64_t header_at, data_at;
} ZipEntry;

typedef struct ZipFile {
  /* read-only */
  ZipEntry *entries; /* in the order of the directory */
  int n;
  int64_t n_bytes; /* of all entries, unpacked */
  /* private */
  Input *in;
} ZipFile;

/* Borrows `in` until zip_close, which is to be called also after a failure. */
Err zip_open(ZipFile *out, Input *in, Fault *fault) WARN_UNUSED;
void zip_close(ZipFile *zip);

/* The entry's bytes, one entry at a time: unpacked, with the checksum looked at by
 * input_end. Closed by input_close. */
Err zip_entry_open(Input *out, const ZipFile *zip, const ZipEntry *entry,
                   Fault *fault) WARN_UNUSED;

/* Writing, to a file that can seek. Errors of writing are seen by the file's owner. The
 * same entries give the same bytes: no time is written. */
typedef struct ZipWriter {
  FILE *file;
  ZipMethod method;
  int64_t wide_from; /* sizes and offsets from here on are written as zip64 */
  /* private */
  Text directory;
  int64_t n;
  int64_t at; /* where the next entry begins */
} ZipWriter;

void zip_begin(ZipWriter *out, FILE *file, ZipMethod method);
/* One entry of two pieces of bytes. */
Err zip_add(ZipWriter *zip, const char *name, const void *head, size_t n_head,
            const void *body, size_t n_body, Fault *fault) WARN_UNUSED;
/* Writes the directory and frees; also to be called after a failure. */
Err zip_finish(ZipWriter *zip, Fault *fault) WARN_UNUSED;

#endif
