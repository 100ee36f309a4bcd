/* files.h: small IDX files made by tests, plain and gzipped. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include "tempdir.h"
#include <stdint.h>
#include <zlib.h>

typedef struct Bytes {
  unsigned char v[1 << 14];
  size_t n;
} Bytes;

static inline void bytes_add(Bytes *b, const void *v, size_t n) {
  memcpy(b->v + b->n, v, n);
  b->n += n;
}

/* Magic and sizes; rank from the number of sizes, which ends at the first -1. */
static inline Bytes idx_header(int type, const int64_t *sizes) {
  Bytes b = {.n = 0};
  int rank = 0;
  while (sizes[rank] >= 0) rank++;
  bytes_add(&b, (unsigned char[]){0, 0, (unsigned char)type, (unsigned char)rank}, 4);
  for (int i = 0; i < rank; i++) {
    uint32_t n = (uint32_t)sizes[i];
    bytes_add(&b, (unsigned char[]){(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                    (unsigned char)(n >> 8), (unsigned char)n}, 4);
  }
  return b;
}

#define SIZES(...) ((const int64_t[]){__VA_ARGS__, -1})

static inline const char *put_plain(const char *name, const Bytes *b) {
  return temp_file(name, b->v, b->n);
}

static inline const char *put_gz(const char *name, const Bytes *b) {
  const char *path = temp_path(name);
  gzFile file = gzopen(path, "wb");
  if (!file || gzwrite(file, b->v, (unsigned)b->n) != (int)b->n) abort();
  if (gzclose(file) != Z_OK) abort();
  return path;
}

/* n images h x w whose pixel k (through all images) is k * 7 mod 256. */
static inline Bytes image_bytes(int n, int h, int w) {
  Bytes b = idx_header(8, SIZES(n, h, w));
  for (int i = 0; i < n * h * w; i++)
    bytes_add(&b, (unsigned char[]){(unsigned char)(i * 7)}, 1);
  return b;
}

/* Labels i mod classes. */
static inline Bytes label_bytes(int n, int classes) {
  Bytes b = idx_header(8, SIZES(n));
  for (int i = 0; i < n; i++)
    bytes_add(&b, (unsigned char[]){(unsigned char)(i % classes)}, 1);
  return b;
}

#endif
