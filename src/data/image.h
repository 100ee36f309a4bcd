/* image.h: pictures in files. */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "base/fault.h"
#include <stdint.h>

/* 8 bits a channel, row by row, the channels of a pixel together. */
typedef struct Image {
  int64_t height, width;
  int channels;                /* 1 grey, 3 red green blue */
  uint8_t *pixels;             /* height * width * channels */
} Image;

/* A decoder's limit; larger pictures are refused before memory is asked for. */
enum { IMAGE_PIXELS_MAX = 1 << 26 };

void image_deinit(Image *image);             /* of all zero: a no-op */

/* A PNG or JPEG file's bytes, told by the content, with 1 or 3 channels, or 0: those of
 * the file. Transparency is dropped, 16 bits are cut to 8, grey of colour is
 * 0.299 r + 0.587 g + 0.114 b. ERR_DATA for what is damaged or cut off. */
Err image_decode(Image *out, const unsigned char *bytes, size_t n_bytes, int channels,
                 Fault *fault) WARN_UNUSED;

/* The picture in another size: bilinear, each new pixel the mean of those it covers,
 * weighted by a triangle as wide as two old or two new pixels, whichever is more. */
Err image_resize(Image *out, const Image *in, int64_t height, int64_t width, Fault *fault)
    WARN_UNUSED;

/* -- for decoders -------------------------------------------------------------------- */

/* Memory for a picture of which a pixel takes at least 1 / per_byte bytes of a file of
 * n_bytes; decoders may have 2 or 4 channels, the last one transparency. */
Err image_reserve(Image *out, int64_t height, int64_t width, int channels, size_t n_bytes,
                  int64_t per_byte, Fault *fault) WARN_UNUSED;

/* The doors to libpng and libjpeg-turbo. */
Err png_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault)
    WARN_UNUSED;
Err jpeg_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault)
    WARN_UNUSED;

#endif
