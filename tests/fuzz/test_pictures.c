/* The readers of PNG, JPEG and CIFAR-10 take any bytes. The first says how many channels are
 * asked for, and to what size a picture goes. */
#include "fuzz/fuzz.h"
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
    must(!image_resize(&resized, &image, 1 + options / 3 % 9, 1 + options / 27, &fault));
    image_deinit(&resized);
  }
  image_deinit(&image);
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
  else read_picture(bytes[0], bytes + 1, n_bytes - 1);
}

FUZZ_CUTS(pictures)
