/* PNG: the samples of the file are what is read, for every type, depth and order of
 * rows, whatever is said of gamma and colours; and files that lie. */
#include "data/hostile_image.h"
#include <zlib.h>

typedef struct Png {
  unsigned char bytes[1 << 15];
  size_t n;
} Png;

static void put_32(unsigned char *at, size_t v) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void add_chunk(Png *png, const char *name, const void *data, size_t n) {
  unsigned char *at = png->bytes + png->n;
  must(png->n + n + 12 <= sizeof png->bytes);
  put_32(at, n);
  memcpy(at + 4, name, 4);
  if (n) memcpy(at + 8, data, n);
  put_32(at + 8 + n, crc32(0, at + 4, (unsigned)n + 4));
  png->n += n + 12;
}

/* A type of picture: colour as in IHDR, 2 has colours, 3 a palette, 4 transparency. */
typedef struct Type {
  int colour, channels, depth;
} Type;

typedef struct Spec {
  Type type;
  int width, height;
  bool interlaced;
} Spec;

/* Sample of the picture that all tests draw. */
static int drawn(const Spec *s, int x, int y, int k) {
  return (x * 40503 + y * 30011 + k * 20021 + 77) & ((1 << s->type.depth) - 1);
}

/* Packed rows of one pass, the pixels from (x0, y0) on in steps, each with filter 0. */
static size_t pack_pass(const Spec *s, const int pass[4], unsigned char *out) {
  size_t n = 0;
  if (pass[0] >= s->width) return 0;
  for (int y = pass[1]; y < s->height; y += pass[3]) {
    size_t bit = 0;
    out[n++] = 0;
    for (int x = pass[0]; x < s->width; x += pass[2])
      for (int k = 0; k < s->type.channels; k++)
        for (int b = s->type.depth - 1; b >= 0; b--, bit++) {
          if (bit % 8 == 0) out[n + bit / 8] = 0;
          out[n + bit / 8] |= (unsigned char)((drawn(s, x, y, k) >> b & 1)
                                              << (7 - bit % 8));
        }
    n += (bit + 7) / 8;
  }
  return n;
}

static void add_pixels(Png *png, const Spec *s) {
  static const int adam7[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8},
                                  {2, 0, 4, 4},
                                  {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  static unsigned char raw[1 << 15], packed[1 << 15];
  size_t n = 0;
  if (!s->interlaced) n = pack_pass(s, (const int[]){0, 0, 1, 1}, raw);
  for (int i = 0; s->interlaced && i < 7; i++) n += pack_pass(s, adam7[i], raw + n);
  uLongf n_packed = sizeof packed;
  must(n <= sizeof raw && compress(packed, &n_packed, raw, n) == Z_OK);
  add_chunk(png, "IDAT", packed, n_packed);
}

/* Up to what comes before the pixels. */
static Png begin(const Spec *s) {
  Png png = {.bytes = "\x89PNG\r\n\x1a\n", .n = 8};
  unsigned char head[13] = {0};
  put_32(head, (size_t)s->width);
  put_32(head + 4, (size_t)s->height);
  head[8] = (unsigned char)s->type.depth;
  head[9] = (unsigned char)s->type.colour;
  head[12] = s->interlaced;
  add_chunk(&png, "IHDR", head, sizeof head);
  return png;
}

static void finish(Png *png, const Spec *s) {
  add_pixels(png, s);
  add_chunk(png, "IEND", NULL, 0);
}

/* Entry i of the palette of all tests. */
static int palette(int i, int k) { return (i * 7 + k * 91 + 5) & 255; }

static void add_palette(Png *png, int n) {
  unsigned char colours[768];
  for (int i = 0; i < 3 * n; i++) colours[i] = (unsigned char)palette(i / 3, i % 3);
  add_chunk(png, "PLTE", colours, (size_t)n * 3);
}

static Png png_of(const Spec *s) {
  Png png = begin(s);
  if (s->type.colour == 3) add_palette(&png, 1 << s->type.depth);
  finish(&png, s);
  return png;
}

/* What is to be read at a place: grey of few bits goes up to 255. */
static int expected(const Spec *s, int x, int y, int k) {
  if (s->type.colour == 3) return palette(drawn(s, x, y, 0), k);
  int spread = s->type.depth < 8 ? 255 / ((1 << s->type.depth) - 1) : 1;
  return drawn(s, x, y, k) * spread;
}

static void check_pixels(const Png *png, const Spec *s) {
  Image image;
  Fault fault = {0};
  if (image_decode(&image, png->bytes, png->n, 0, &fault)) fail_msg("%s", fault.text);
  int channels = s->type.colour & 2 ? 3 : 1;
  assert_int_equal(image.width, s->width);
  assert_int_equal(image.height, s->height);
  assert_int_equal(image.channels, channels);
  assert_int_equal(image.bits, s->type.depth == 16 ? 16 : 8);
  for (int y = 0, i = 0; y < s->height; y++)
    for (int x = 0; x < s->width; x++)
      for (int k = 0; k < channels; k++, i++)
        if (image_sample(&image, i) != expected(s, x, y, k))
          fail_msg("type %d, %d bits, interlaced %d, %d x %d, at (%d, %d), channel %d: "
                   "got %d, want %d",
                   s->type.colour, s->type.depth, s->interlaced, s->width, s->height, x,
                   y, k, image_sample(&image, i), expected(s, x, y, k));
  image_deinit(&image);
}

static const Type types[] = {
    {0, 1, 1}, {0, 1, 2}, {0, 1, 4},  {0, 1, 8},  {0, 1, 16}, {2, 3, 8}, {2, 3, 16},
    {3, 1, 1}, {3, 1, 2}, {3, 1, 4},  {3, 1, 8},  {4, 2, 8},  {4, 2, 16}, {6, 4, 8},
    {6, 4, 16}};
enum { N_TYPES = sizeof types / sizeof *types };

/* Small sizes leave some passes of an interlaced picture empty. */
TEST(all_types_in_both_orders) {
  for (int t = 0; t < N_TYPES; t++)
    for (int size = 1; size <= 17; size += size < 9 ? 1 : 8)
      for (int interlaced = 0; interlaced < 2; interlaced++) {
        Spec s = {types[t], size, 18 - size, interlaced};
        Png png = png_of(&s);
        check_pixels(&png, &s);
      }
}

TEST(what_is_said_of_colours_changes_no_sample) {
  unsigned char gamma[4], chroma[32] = {0}, bits[4] = {3, 3, 3, 3};
  static const size_t gammas[] = {1, 45455, 55556, 100000, 0xffffffff};
  for (int t = 0; t < N_TYPES; t++)
    for (size_t g = 0; g < sizeof gammas / sizeof *gammas; g++) {
      Spec s = {types[t], 5, 4, false};
      Png png = begin(&s);
      put_32(gamma, gammas[g]);
      for (int i = 0; i < 8; i++) put_32(chroma + 4 * i, 10000 + 1000 * (size_t)i);
      add_chunk(&png, "gAMA", gamma, 4);
      add_chunk(&png, "cHRM", chroma, 32);
      add_chunk(&png, "sRGB", "", 1);
      add_chunk(&png, "iCCP", "x\0\0no profile", 13);
      add_chunk(&png, "sBIT", bits, s.type.colour == 3 ? 3 : (size_t)s.type.channels);
      if (s.type.colour == 3) add_palette(&png, 1 << s.type.depth);
      add_chunk(&png, "bKGD", bits, 1);
      finish(&png, &s);
      check_pixels(&png, &s);
    }
}

/* Of a palette, and one grey or colour that is not to be seen: dropped like a
 * channel. */
TEST(transparency_is_dropped) {
  for (int t = 0; t < N_TYPES; t++) {
    Spec s = {types[t], 6, 5, t % 2 == 0};
    if (s.type.colour >= 4) continue;
    Png png = begin(&s);
    if (s.type.colour == 3) add_palette(&png, 1 << s.type.depth);
    add_chunk(&png, "tRNS", "\0\1\0\1\0\1",
              s.type.colour == 3 ? 2
              : s.type.colour    ? 6
                                 : 2);
    finish(&png, &s);
    check_pixels(&png, &s);
  }
}

/* Grey of colours in 16 bits, and colours of grey. */
TEST(channels_are_converted_in_16_bits) {
  Spec s = {{2, 3, 16}, 4, 3, true};
  Png png = png_of(&s);
  Image image;
  Fault fault = {0};
  assert_int_equal(image_decode(&image, png.bytes, png.n, 1, &fault), ERR_OK);
  for (int y = 0, i = 0; y < 3; y++)
    for (int x = 0; x < 4; x++, i++)
      assert_int_equal(image_sample(&image, i),
                       (299 * drawn(&s, x, y, 0) + 587 * drawn(&s, x, y, 1) +
                        114 * drawn(&s, x, y, 2) + 500) /
                           1000);
  image_deinit(&image);
  s.type = (Type){4, 2, 16};
  png = png_of(&s);
  assert_int_equal(image_decode(&image, png.bytes, png.n, 3, &fault), ERR_OK);
  for (int i = 0; i < 36; i++)
    assert_int_equal(image_sample(&image, i), drawn(&s, i / 3 % 4, i / 12, 0));
  image_deinit(&image);
}

/* -- hostile files ----------------------------------------------------------------- */

TEST(cut_and_flipped) {
  for (int t = 0; t < N_TYPES; t += 3) {
    Spec s = {types[t], 5, 6, t % 2 == 0};
    Png png = png_of(&s);
    refuses_prefixes(read_image, png.bytes, 0, png.n);
    survives_flips(read_image, png.bytes, png.n);
  }
}

/* A wrong checksum of what makes pixels is damage, of the last chunk too. */
TEST(checksums_count) {
  Spec s = {{0, 1, 16}, 3, 3, true};
  Png png = png_of(&s);
  png.bytes[png.n - 13] ^= 1;
  refuses(read_image, png.bytes, png.n, "damaged");
  png = png_of(&s);
  png.bytes[png.n - 1] ^= 1;
  refuses(read_image, png.bytes, png.n, "damaged");
  png = png_of(&s);
  png.bytes[8 + 8 + 13] ^= 1;
  refuses(read_image, png.bytes, png.n, "damaged");
}

/* Sizes that so few bytes cannot hold, impossible types, pixels that end early, and 1
 * MB of text packed into 1 KB, which is never unpacked. */
TEST(files_that_lie) {
  Spec s = {{0, 1, 16}, 3, 3, false};
  Spec large = {{0, 1, 16}, 8000, 8000, true};
  Png png = begin(&large);
  finish(&png, &s);
  refuses(read_image, png.bytes, png.n, "cannot hold");
  large.width = large.height = 60000;
  png = begin(&large);
  finish(&png, &s);
  refuses(read_image, png.bytes, png.n, "allowed: up to");
  Spec more = {{0, 1, 16}, 3, 4, true};
  png = begin(&more);
  finish(&png, &s);
  refuses(read_image, png.bytes, png.n, "damaged");
  Spec colours = {{3, 1, 4}, 5, 4, true};
  png = begin(&colours);
  add_palette(&png, 15);
  finish(&png, &colours);
  refuses(read_image, png.bytes, png.n, "colour 16 of a palette of 15");
  Spec odd = {{2, 3, 4}, 3, 3, false};
  png = png_of(&odd);
  refuses(read_image, png.bytes, png.n, "damaged");
  static unsigned char zeros[1 << 20], packed[1 << 13] = "x\0";
  uLongf n_packed = sizeof packed - 3;
  must(compress(packed + 3, &n_packed, zeros, sizeof zeros) == Z_OK);
  png = begin(&s);
  add_chunk(&png, "zTXt", packed, n_packed + 3);
  finish(&png, &s);
  check_pixels(&png, &s);
}
