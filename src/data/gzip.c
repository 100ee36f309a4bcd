/* gzip.c: the door to zlib. */
#include "data/gzip.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

struct GzipFile {
  gzFile handle;
  int64_t bound;
};

/* deflate shrinks at most 1032 to 1 (zlib's technical notes). */
enum { DEFLATE_RATIO = 1032, CHUNK = 1 << 20 };

GzipFile *gzip_open(const char *path, Fault *fault) {
  struct stat at;
  if (stat(path, &at) != 0) {
    fault_set(fault, ERR_DATA, "cannot be read: %s", strerror(errno));
    return NULL;
  }
  if (!S_ISREG(at.st_mode)) {
    fault_set(fault, ERR_DATA, "is not a file");
    return NULL;
  }
  GzipFile *file = calloc(1, sizeof *file);
  if (!file) {
    fault_memory(fault, sizeof *file);
    return NULL;
  }
  errno = 0;
  file->handle = gzopen(path, "rbe");
  if (!file->handle) {
    fault_set(fault, ERR_DATA, "cannot be read: %s",
              errno ? strerror(errno) : "out of memory");
    free(file);
    return NULL;
  }
  gzbuffer(file->handle, 1 << 16);
  bool packed = !gzdirect(file->handle);
  file->bound = (int64_t)at.st_size * (packed ? DEFLATE_RATIO : 1);
  return file;
}

void gzip_close(GzipFile *file) {
  if (!file) return;
  gzclose_r(file->handle);
  free(file);
}

int64_t gzip_bound(const GzipFile *file) { return file->bound; }

static Err read_fault(GzipFile *file, Fault *fault) {
  int code;
  const char *text = gzerror(file->handle, &code);
  if (code == Z_ERRNO) text = strerror(errno);
  if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
    return fault_set(fault, ERR_DATA, "truncated");
  return fault_set(fault, ERR_DATA, "damaged: %s", text);
}

Err gzip_read(GzipFile *file, void *out, int64_t n_bytes, Fault *fault) {
  unsigned char *at = out;
  while (n_bytes > 0) {
    unsigned n = n_bytes < CHUNK ? (unsigned)n_bytes : CHUNK;
    int n_read = gzread(file->handle, at, n);
    if (n_read <= 0) return read_fault(file, fault);
    at += n_read;
    n_bytes -= n_read;
  }
  return ERR_OK;
}

Err gzip_end(GzipFile *file, Fault *fault) {
  unsigned char byte;
  int n = gzread(file->handle, &byte, 1);
  if (n > 0) return fault_set(fault, ERR_DATA, "has bytes after the data");
  int code;
  gzerror(file->handle, &code);
  return n == 0 && (code == Z_OK || code == Z_STREAM_END) ? ERR_OK
                                                          : read_fault(file, fault);
}

uint32_t gzip_crc32(uint32_t before, const void *bytes, size_t n_bytes) {
  return (uint32_t)crc32_z(before, bytes, n_bytes);
}
