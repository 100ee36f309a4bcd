/* image.h: pictures in files. */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "base/fault.h"
#include <stdint.h>

/* Samples row by row, the channels of a pixel together. */
typedef struct Image {
  int64_t height, width;
  int channels;      /* 1 grey, 3 red green blue */
  int bits;          /* of a sample: 8, or 16 where the file has 16 */
  void *pixels;      /* height * width * channels of uint8_t or uint16_t */
  char warning[128]; /* what the decoder warned of; "": nothing */
} Image;

int64_t image_row_bytes(const Image *image);
/* Sample i, from 0. */
static inline int image_sample(const Image *image, int64_t i) {
  return image->bits == 16 ? ((const uint16_t *)image->pixels)[i]
                           : ((const uint8_t *)image->pixels)[i];
}

/* A decoder's limit; larger pictures are refused before memory is asked for. */
enum { IMAGE_PIXELS_MAX = 1 << 26 };

void image_deinit(Image *image); /* of all zero: a no-op */

/* A PNG or JPEG file's bytes, recognized by their content, with 1 or 3 channels, or 0:
 * those of the file. Transparency is dropped, grey of colour is 0.299 r + 0.587 g +
 * 0.114 b. ERR_DATA for what is damaged or cut off. */
Err image_decode(Image *out, const unsigned char *bytes, size_t n_bytes, int channels,
                 Fault *fault) WARN_UNUSED;

/* The picture in another size: bilinear, each new pixel the mean of those it covers,
 * weighted by a triangle as wide as two old or two new pixels, whichever is more. */
Err image_resize(Image *out, const Image *in, int64_t height, int64_t width,
                 Fault *fault) WARN_UNUSED;

/* -- for decoders ------------------------------------------------------------------ */

/* Memory for a picture of which a pixel takes at least 1 / per_byte bytes of a file of
 * n_bytes; decoders may have 2 or 4 channels, the last one transparency. */
Err image_reserve(Image *out, int64_t height, int64_t width, int channels, int bits,
                  size_t n_bytes, int64_t per_byte, Fault *fault) WARN_UNUSED;

/* The doors to libpng and libjpeg-turbo. */
Err png_decode(Image *out, const unsigned char *bytes, size_t n_bytes,
               Fault *fault) WARN_UNUSED;
Err jpeg_decode(Image *out, const unsigned char *bytes, size_t n_bytes,
                Fault *fault) WARN_UNUSED;

#endif
