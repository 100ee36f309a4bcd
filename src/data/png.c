/* png.c: the door to libpng, by its simplified interface. Color spaces are left as they
 * are: what counts is the numbers in the file. */
#include "data/image.h"
#include <png.h>
#include <string.h>

/* libpng stops reading at the last pixel; a file that ends there has been cut off. Chunks
 * are a 32-bit length, four letters, that many bytes, a checksum. */
static bool is_whole(const unsigned char *bytes, size_t n_bytes) {
  for (size_t at = 8; n_bytes - at >= 12;) {
    const unsigned char *b = bytes + at;
    size_t n = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
    if (n > n_bytes - at - 12) return false;
    if (memcmp(b + 4, "IEND", 4) == 0) return true;
    at += 12 + n;
  }
  return false;
}

/* deflate packs 1032 to 1, and eight pixels fit into a byte. */
enum { PIXELS_PER_BYTE = 8 * 1032 };

Err png_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault) {
  if (n_bytes < 8 || !is_whole(bytes, n_bytes))
    return fault_set(fault, ERR_DATA, "truncated");
  png_image png = {.version = PNG_IMAGE_VERSION};
  Err err = ERR_OK;
  if (!png_image_begin_read_from_memory(&png, bytes, n_bytes))
    err = fault_set(fault, ERR_DATA, "damaged: %s", png.message);
  bool color = png.format & PNG_FORMAT_FLAG_COLOR, alpha = png.format & PNG_FORMAT_FLAG_ALPHA;
  if (!err)
    err = image_reserve(out, png.height, png.width, (color ? 3 : 1) + alpha, n_bytes,
                        PIXELS_PER_BYTE, fault);
  if (!err) {
    png.format = (color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY) |
                 (alpha ? PNG_FORMAT_FLAG_ALPHA : 0);
    png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    if (!png_image_finish_read(&png, NULL, out->pixels, 0, NULL))
      err = fault_set(fault, ERR_DATA, "damaged: %s", png.message);
  }
  png_image_free(&png);
  return err;
}
