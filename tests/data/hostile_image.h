/* hostile_image.h: the reader of pictures as hostile.h tries readers. */
#ifndef TESTS_DATA_HOSTILE_IMAGE_H
#define TESTS_DATA_HOSTILE_IMAGE_H

#include "data/image.h"
#include "hostile.h"

static inline bool read_image(Input *in, Fault *fault) {
  Text bytes = {0};
  Image image = {0};
  Err err = input_rest(in, 1 << 20, &bytes, fault);
  if (!err)
    err = image_decode(&image, (const unsigned char *)bytes.data, bytes.n_bytes, 0,
                       fault);
  image_deinit(&image);
  text_deinit(&bytes);
  return !err;
}

#endif
