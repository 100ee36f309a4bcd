/* Pictures: decoding, resizing, and files that lie. */
#include "data/hostile_image.h"
#include <png.h>
#include <turbojpeg.h>

typedef struct File {
  unsigned char bytes[1 << 14];
  size_t n;
} File;

static File png_file(int format, int width, int height, const void *pixels,
                     const void *colors) {
  File file = {.n = sizeof file.bytes};
  png_image png = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)width,
                   .height = (png_uint_32)height, .format = (png_uint_32)format,
                   .colormap_entries = 2};
  png_alloc_size_t n = file.n;
  if (!png_image_write_to_memory(&png, file.bytes, &n, 0, pixels, 0, colors)) abort();
  file.n = n;
  return file;
}

static File jpeg_file(int format, int width, int height, const uint8_t *pixels,
                      int flags) {
  File file = {.n = 0};
  tjhandle jpeg = tjInitCompress();
  unsigned char *bytes = NULL;
  unsigned long n = 0;
  if (tjCompress2(jpeg, pixels, width, 0, height, format, &bytes, &n,
                  format == TJPF_GRAY ? TJSAMP_GRAY : TJSAMP_444, 100, flags) != 0)
    abort();
  must(n <= sizeof file.bytes);
  memcpy(file.bytes, bytes, n);
  file.n = n;
  tjFree(bytes);
  tjDestroy(jpeg);
  return file;
}

static void decodes(const File *file, int channels, int height, int width,
                    int got_channels, const uint8_t *want, int tolerance) {
  Image image;
  Fault fault = {0};
  if (image_decode(&image, file->bytes, file->n, channels, &fault))
    fail_msg("%s", fault.text);
  assert_int_equal(image.height, height);
  assert_int_equal(image.width, width);
  assert_int_equal(image.channels, got_channels);
  assert_int_equal(image.bits, 8);
  for (int i = 0; i < height * width * got_channels; i++)
    if (abs(image_sample(&image, i) - want[i]) > tolerance)
      fail_msg("sample %d: got %d, want %d", i, image_sample(&image, i), want[i]);
  image_deinit(&image);
}

static const uint8_t rgb[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30};
static const uint8_t rgb_grey[4] = {76, 150, 29, 18};
static const uint8_t grey[6] = {0, 50, 100, 150, 200, 250};

TEST(png_of_all_sorts) {
  File file = png_file(PNG_FORMAT_RGB, 2, 2, rgb, NULL);
  decodes(&file, 0, 2, 2, 3, rgb, 0);
  decodes(&file, 3, 2, 2, 3, rgb, 0);
  decodes(&file, 1, 2, 2, 1, rgb_grey, 0);
  file = png_file(PNG_FORMAT_GRAY, 3, 2, grey, NULL);
  decodes(&file, 0, 2, 3, 1, grey, 0);
  uint8_t tripled[18];
  for (int i = 0; i < 18; i++) tripled[i] = grey[i / 3];
  decodes(&file, 3, 2, 3, 3, tripled, 0);
  static const uint8_t rgba[8] = {255, 0, 0, 0, 1, 2, 3, 128};
  file = png_file(PNG_FORMAT_RGBA, 2, 1, rgba, NULL);
  decodes(&file, 0, 1, 2, 3, (const uint8_t[]){255, 0, 0, 1, 2, 3}, 0);
  decodes(&file, 1, 1, 2, 1, (const uint8_t[]){76, 2}, 0);
  static const uint8_t ga[4] = {7, 0, 9, 255};
  file = png_file(PNG_FORMAT_GA, 2, 1, ga, NULL);
  decodes(&file, 0, 1, 2, 1, (const uint8_t[]){7, 9}, 0);
  decodes(&file, 3, 1, 2, 3, (const uint8_t[]){7, 7, 7, 9, 9, 9}, 0);
  static const uint8_t indices[3] = {1, 0, 1}, colors[6] = {1, 2, 3, 40, 50, 60};
  file = png_file(PNG_FORMAT_RGB_COLORMAP, 3, 1, indices, colors);
  decodes(&file, 0, 1, 3, 3, (const uint8_t[]){40, 50, 60, 1, 2, 3, 40, 50, 60}, 0);
}

TEST(jpeg_grey_and_colour) {
  uint8_t pixels[16 * 16 * 3], want[16 * 16];
  for (int i = 0; i < 256; i++) {
    pixels[3 * i] = pixels[3 * i + 1] = pixels[3 * i + 2] = (uint8_t)(i / 16 * 10);
    want[i] = (uint8_t)(i / 16 * 10);
  }
  File file = jpeg_file(TJPF_RGB, 16, 16, pixels, 0);
  decodes(&file, 0, 16, 16, 3, pixels, 3);
  decodes(&file, 1, 16, 16, 1, want, 3);
  file = jpeg_file(TJPF_GRAY, 16, 16, want, TJFLAG_PROGRESSIVE);
  decodes(&file, 0, 16, 16, 1, want, 3);
  decodes(&file, 3, 16, 16, 3, pixels, 3);
}

/* -- another size ------------------------------------------------------------------ */

static void resizes(const uint8_t *in, int height, int width, int channels,
                    int new_height, int new_width, const uint8_t *want) {
  Image out, image = {.height = height, .width = width, .channels = channels, .bits = 8,
                      .pixels = (uint8_t *)in};
  Fault fault = {0};
  assert_int_equal(image_resize(&out, &image, new_height, new_width, &fault), ERR_OK);
  assert_memory_equal(out.pixels, want,
                      (size_t)new_height * (size_t)new_width * (size_t)channels);
  image_deinit(&out);
}

/* New pixel centres lie at old coordinates (i + 1/2) old / new - 1/2. */
TEST(resizing_is_bilinear) {
  resizes(grey, 2, 3, 1, 2, 3, grey);
  resizes((const uint8_t[]){0, 100}, 1, 2, 1, 1, 4, (const uint8_t[]){0, 25, 75, 100});
  resizes((const uint8_t[]){0, 100}, 2, 1, 1, 4, 1, (const uint8_t[]){0, 25, 75, 100});
  resizes((const uint8_t[]){0, 40, 80, 120}, 2, 2, 1, 1, 1, (const uint8_t[]){60});
  resizes((const uint8_t[]){7}, 1, 1, 1, 2, 2, (const uint8_t[]){7, 7, 7, 7});
  resizes((const uint8_t[]){0, 200, 100, 0}, 1, 2, 2, 1, 1, (const uint8_t[]){50, 100});
  /* Shrunk by 2: weights 1/8 3/8 3/8 1/8, cut at the edge and made to sum to 1. */
  resizes((const uint8_t[]){0, 0, 70, 140}, 1, 4, 1, 1, 2, (const uint8_t[]){10, 90});
}

/* A constant stays what it is, in any size. */
TEST(resizing_keeps_a_constant) {
  for (int h = 1; h < 40; h += 13)
    for (int w = 1; w < 40; w += 7) {
      uint8_t in[17 * 5], want[40 * 40];
      memset(in, 255, sizeof in);
      memset(want, 255, sizeof want);
      resizes(in, 17, 5, 1, h, w, want);
    }
}

/* 16 bits keep theirs: the mean of two neighbours, and what is no multiple of 257. */
TEST(resizing_keeps_16_bits) {
  uint16_t in[] = {1000, 65535, 3, 40001};
  Image out, image = {.height = 2, .width = 2, .channels = 1, .bits = 16, .pixels = in};
  Fault fault = {0};
  assert_int_equal(image_resize(&out, &image, 1, 1, &fault), ERR_OK);
  assert_int_equal(out.bits, 16);
  assert_int_equal(image_sample(&out, 0), (1000 + 65535 + 3 + 40001 + 2) / 4);
  image_deinit(&out);
}

/* -- pictures that are damaged a little -------------------------------------------- */

/* The file with `n` bytes put in at `at`. */
static File with_bytes(const File *file, size_t at, const void *bytes, size_t n) {
  File out = {.n = file->n + n};
  memcpy(out.bytes, file->bytes, at);
  memcpy(out.bytes + at, bytes, n);
  memcpy(out.bytes + at + n, file->bytes + at, file->n - at);
  return out;
}

/* What libjpeg only warns of is read, and the warning goes with it. */
TEST(jpeg_with_a_warning_is_read) {
  static const uint8_t square[64] = {9, 8, 7};
  File good = jpeg_file(TJPF_GRAY, 8, 8, square, 0);
  File odd = with_bytes(&good, good.n - 2, "junk", 4);
  Image image[2];
  Fault fault = {0};
  assert_int_equal(image_decode(&image[0], good.bytes, good.n, 0, &fault), ERR_OK);
  assert_int_equal(image_decode(&image[1], odd.bytes, odd.n, 0, &fault), ERR_OK);
  assert_string_equal(image[0].warning, "");
  assert_non_null(strstr(image[1].warning, "extraneous bytes"));
  assert_memory_equal(image[0].pixels, image[1].pixels, 64);
  Image small;
  assert_int_equal(image_resize(&small, &image[1], 4, 4, &fault), ERR_OK);
  assert_string_equal(small.warning, image[1].warning);
  image_deinit(&small);
  image_deinit(&image[0]);
  image_deinit(&image[1]);
  File behind = with_bytes(&good, good.n, "junk", 4);
  decodes(&behind, 0, 8, 8, 1, square, 3);
}

/* The end of a small picture within a segment is not that of the file. */
TEST(jpeg_that_is_cut_off_is_refused) {
  static const uint8_t square[64] = {9, 8, 7};
  static const char segment[] = "\xff\xe1\0\x09"
                                "Exif\xff\xd9\xff";
  File file = jpeg_file(TJPF_GRAY, 8, 8, square, 0);
  file = with_bytes(&file, 2, segment, sizeof segment - 1);
  decodes(&file, 0, 8, 8, 1, square, 3);
  Fault fault = {0};
  Image image;
  for (size_t n = 0; n < file.n; n++)
    if (!image_decode(&image, file.bytes, n, 0, &fault)) fail_msg("read %zu bytes", n);
}

TEST(jpeg_of_inks_is_refused_by_name) {
  uint8_t inks[4 * 64] = {0};
  File file = jpeg_file(TJPF_CMYK, 8, 8, inks, 0);
  Image image;
  Fault fault = {0};
  assert_int_equal(image_decode(&image, file.bytes, file.n, 0, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "is a YCCK picture"));
}

/* -- hostile files ----------------------------------------------------------------- */

TEST(pictures_cut_and_flipped) {
  uint8_t pixels[16 * 16 * 3];
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i);
  File files[] = {png_file(PNG_FORMAT_RGB, 2, 2, rgb, NULL),
                  png_file(PNG_FORMAT_GRAY, 16, 16, pixels, NULL)};
  for (int i = 0; i < 2; i++) {
    refuses_prefixes(read_image, files[i].bytes, 0, files[i].n);
    survives_flips(read_image, files[i].bytes, files[i].n);
  }
  File file = jpeg_file(TJPF_RGB, 8, 8, pixels, 0);
  refuses_prefixes(read_image, file.bytes, 0, file.n);
  survives_flips(read_image, file.bytes, file.n);
  file = jpeg_file(TJPF_GRAY, 16, 16, pixels, TJFLAG_PROGRESSIVE);
  survives_flips(read_image, file.bytes, file.n);
}

/* Sizes that a file of this many bytes cannot have. */
TEST(pictures_that_lie_about_their_size) {
  static const uint8_t square[64];
  File file = jpeg_file(TJPF_GRAY, 8, 8, square, 0);
  for (size_t i = 0; i + 9 < file.n; i++)
    if (file.bytes[i] == 0xff && file.bytes[i + 1] == 0xc0) {
      memcpy(file.bytes + i + 5, "\xea\x60\xea\x60", 4);
      refuses(read_image, file.bytes, file.n, "allowed: up to");
      memcpy(file.bytes + i + 5, "\x0f\xff\x0f\xff", 4);
      refuses(read_image, file.bytes, file.n, "cannot hold");
    }
  refuses(read_image, "GIF89a", 6, "no PNG or JPEG");
  refuses(read_image, "", 0, "no PNG or JPEG");
}
