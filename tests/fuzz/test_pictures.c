/* The readers of PNG, JPEG and CIFAR-10 take any bytes. The first says how many
 * channels are asked for, and to what size a picture goes. A PNG is read as it is, then
 * with checksums that are right, which no fuzzer finds. */
#include "fuzz/fuzz.h"
#include "base/pack.h"
#include "data/image.h"
#include "data/sources.h"

static void read_picture(int options, const uint8_t *bytes, size_t n_bytes) {
  static const int channels[] = {0, 1, 3};
  Fault fault = {0};
  Image image = {0}, resized = {0};
  Err err = image_decode(&image, bytes, n_bytes, channels[options % 3], &fault);
  must(err == fault.code);
  /* A picture takes at most what deflate or a JPEG's blocks can hold. */
  must(err || image.height * image.width <= IMAGE_PIXELS_MAX);
  if (!err && image.height * image.width < 1 << 16) {
    must(
        !image_resize(&resized, &image, 1 + options / 3 % 9, 1 + options / 27, &fault));
    image_deinit(&resized);
  }
  image_deinit(&image);
}

static size_t big_endian(const uint8_t *b) {
  return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

/* After 8 bytes, chunks: length, name, data, the checksum of name and data. */
static void read_repaired(int options, const uint8_t *bytes, size_t n_bytes) {
  enum { SIGNATURE = 8, AROUND = 12 };
  uint8_t *copy = malloc(n_bytes);
  must(copy);
  memcpy(copy, bytes, n_bytes);
  for (size_t at = SIGNATURE, n; at + AROUND <= n_bytes; at += AROUND + n) {
    n = big_endian(copy + at);
    if (n > n_bytes - at - AROUND) break;
    uint32_t crc = crc_add(0, copy + at + 4, 4 + n);
    for (int i = 0; i < 4; i++)
      copy[at + 8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
  }
  read_picture(options, copy, n_bytes);
  free(copy);
}

static void read_cifar(const uint8_t *bytes, size_t n_bytes) {
  Fault fault = {0};
  int64_t n = 0;
  Input in;
  input_memory(&in, bytes, n_bytes);
  if (!cifar10_count(&in, &n, &fault)) {
    Rows rows = {.x = tensor_new(NULL, DT_UINT8, &SHAPE_OF(n, 3, 32, 32), &fault),
                 .y = tensor_new(NULL, DT_INT32, &SHAPE_OF(n), &fault)};
    must(rows.x && rows.y && cifar10_parse(&in, &rows, 0, &fault) == fault.code);
    rows_deinit(&rows);
  }
  input_close(&in);
}

FUZZ(pictures) {
  if (n_bytes == 0) return;
  if (bytes[0] == 255) read_cifar(bytes + 1, n_bytes - 1);
  else {
    read_picture(bytes[0], bytes + 1, n_bytes - 1);
    if (n_bytes > 9 && bytes[1] == 0x89)
      read_repaired(bytes[0], bytes + 1, n_bytes - 1);
  }
}

FUZZ_CUTS(pictures)
