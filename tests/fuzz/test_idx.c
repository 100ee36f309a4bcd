/* The reader of IDX takes any bytes, plain and gzipped. The first byte says how the
 * rest is given: as it is, packed into a good gzip file, or as images beside labels. */
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "data/sources.h"
#include <zlib.h>

enum { PLAIN, PACKED, IMAGES, WAYS };

static void read_one(const uint8_t *bytes, size_t n_bytes) {
  static InputFile in;
  Fault fault = {0};
  MemoryCount count = {0};
  Tensor *t = idx_read(input_file(&in, bytes, n_bytes), false, &count, &fault);
  must(!t == (fault.code != ERR_OK));
  tensor_release(t);
  must(count.now_bytes == 0);
}

static void read_packed(const uint8_t *bytes, size_t n_bytes) {
  uint8_t packed[1 << 14];
  z_stream z = {.next_in = (uint8_t *)bytes, .avail_in = (unsigned)n_bytes,
                .next_out = packed, .avail_out = sizeof packed};
  must(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  int status = deflate(&z, Z_FINISH);
  size_t n = sizeof packed - z.avail_out;
  deflateEnd(&z);
  if (status == Z_STREAM_END) read_one(packed, n);
}

/* The second byte is the length of the labels' file; classes and base follow. */
static void read_images(const uint8_t *bytes, size_t n_bytes) {
  static InputFile images, labels;
  if (n_bytes < 3) return;
  size_t n_labels = bytes[0] < n_bytes - 3 ? bytes[0] : n_bytes - 3;
  Fault fault = {0};
  MemoryCount count = {0};
  Rows rows = {0};
  const uint8_t *at = bytes + 3;
  const char *y = input_file(&labels, at, n_labels);
  const char *x = input_file(&images, at + n_labels, n_bytes - 3 - n_labels);
  IdxFiles files = {.images = x, .labels = y, .n_classes = bytes[1] % 16,
                    .label_base = bytes[2] % 2, .scale = bytes[2] & 2};
  Err err = idx_load(&files, &count, &rows, &fault);
  must(err == fault.code);
  tensor_release(rows.x);
  tensor_release(rows.y);
  must(count.now_bytes == 0);
}

FUZZ(idx) {
  static void (*const ways[WAYS])(const uint8_t *, size_t) = {
      [PLAIN] = read_one, [PACKED] = read_packed, [IMAGES] = read_images};
  if (n_bytes > 0) ways[bytes[0] % WAYS](bytes + 1, n_bytes - 1);
}

FUZZ_CUTS(idx)
