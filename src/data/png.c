/* png.c: the door to libpng. What counts are the samples in the file: no gamma, colour
 * space or significant bits change them (gAMA, cHRM, iCCP, sRGB, sBIT are not read).
 * Palettes become their colours, grey of 1, 2 or 4 bits is spread over 0 to 255 (a bit:
 * 0 or 255), what tRNS makes transparent a channel of its own (of a palette it is
 * dropped); 16 bits stay 16.
 *
 * This is libpng's full interface, since the simplified one converts colour spaces and
 * reads interlaced pictures of 16 bits wrong. A call that fails does not return to its
 * caller: libpng requires that its error callback leaves by a jump. So each of the two
 * steps runs inside guarded(), which holds the only setjmp of the program and no
 * variable that a jump could leave undefined; memory belongs to Decoder and Image, and
 * is freed after either way out. */
#include "data/image.h"
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* libpng stops reading at the last pixel; a file that ends there has been cut off.
 * Chunks are a 32-bit length, four letters, that many bytes, a checksum. */
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

typedef struct Decoder {
  png_structp png;
  png_infop info;
  const unsigned char *at, *end; /* what is left of the file; borrowed */
  Image *rows;                   /* what is read; borrowed */
  jmp_buf failed;
  char message[128];
} Decoder;

/* -- callbacks --------------------------------------------------------------------- */

static _Noreturn void on_error(png_structp png, png_const_charp text) {
  Decoder *d = png_get_error_ptr(png);
  snprintf(d->message, sizeof d->message, "%s", text);
  longjmp(d->failed, 1);
}

/* Of chunks that are not used, or of too many bytes behind the pixels. */
static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void on_read(png_structp png, png_bytep out, size_t n) {
  Decoder *d = png_get_io_ptr(png);
  if (n > (size_t)(d->end - d->at)) png_error(png, "the file ends early");
  memcpy(out, d->at, n);
  d->at += n;
}

/* Runs the step; false when libpng gave up, with its message. */
static bool guarded(Decoder *d, void (*step)(Decoder *)) {
  if (setjmp(d->failed)) return false;
  step(d);
  return true;
}

/* -- the steps --------------------------------------------------------------------- */

static bool is_palette(const Decoder *d) {
  return png_get_color_type(d->png, d->info) == PNG_COLOR_TYPE_PALETTE;
}

/* Size and type, and how rows are to come: of a palette as numbers of its colours,
 * since libpng would make those that it lacks black. */
static void read_header(Decoder *d) {
  png_set_read_fn(d->png, d, on_read);
  png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(d->png, d->info);
  if (is_palette(d)) png_set_packing(d->png);
  else png_set_expand(d->png);
  if (png_get_bit_depth(d->png, d->info) == 16) png_set_swap(d->png);
  png_set_interlace_handling(d->png);
  png_read_update_info(d->png, d->info);
}

/* Each pass of an interlaced picture writes the pixels that it has; then all
 * checksums. */
static void read_rows(Decoder *d) {
  const Image *out = d->rows;
  size_t row = png_get_rowbytes(d->png, d->info);
  must((int64_t)row == image_row_bytes(out));
  int passes = png_get_interlace_type(d->png, d->info) == PNG_INTERLACE_NONE
                   ? 1
                   : PNG_INTERLACE_ADAM7_PASSES;
  for (int pass = 0; pass < passes; pass++)
    for (int64_t y = 0; y < out->height; y++)
      png_read_row(d->png, (png_bytep)out->pixels + (size_t)y * row, NULL);
  png_read_end(d->png, NULL);
}

/* deflate packs 1032 to 1, and eight pixels fit into a byte. */
enum { PIXELS_PER_BYTE = 8 * 1032 };

/* Reads header and rows into *out, as they come. */
static Err read_picture(Decoder *d, Image *out, size_t n_bytes, Fault *fault) {
  d->rows = out;
  if (!guarded(d, read_header))
    return fault_set(fault, ERR_DATA, "damaged: %s", d->message);
  Err err = image_reserve(out, png_get_image_height(d->png, d->info),
                          png_get_image_width(d->png, d->info),
                          png_get_channels(d->png, d->info),
                          png_get_bit_depth(d->png, d->info), n_bytes, PIXELS_PER_BYTE,
                          fault);
  if (!err && !guarded(d, read_rows))
    err = fault_set(fault, ERR_DATA, "damaged: %s", d->message);
  return err;
}

/* The colours of the numbers in `rows`. */
static Err look_up_colours(Decoder *d, const Image *rows, Image *out, size_t n_bytes,
                           Fault *fault) {
  png_colorp colours = NULL;
  int n_colours = 0;
  png_get_PLTE(d->png, d->info, &colours, &n_colours);
  Err err = image_reserve(out, rows->height, rows->width, 3, 8, n_bytes,
                          PIXELS_PER_BYTE, fault);
  uint8_t *to = out->pixels;
  for (int64_t i = 0; !err && i < rows->height * rows->width; i++, to += 3) {
    int number = image_sample(rows, i);
    if (number >= n_colours)
      return fault_set(fault, ERR_DATA,
                       "damaged: a pixel is colour %d of a palette of %d", number + 1,
                       n_colours);
    to[0] = colours[number].red;
    to[1] = colours[number].green;
    to[2] = colours[number].blue;
  }
  return err;
}

static Err decode(Decoder *d, Image *out, size_t n_bytes, Fault *fault) {
  Image rows = {0};
  Err err = read_picture(d, &rows, n_bytes, fault);
  if (!err && is_palette(d)) {
    err = look_up_colours(d, &rows, out, n_bytes, fault);
    image_deinit(&rows);
    return err;
  }
  *out = rows;
  return err;
}

Err png_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault) {
  if (n_bytes < 8 || !is_whole(bytes, n_bytes))
    return fault_set(fault, ERR_DATA, "truncated");
  Decoder d = {.at = bytes, .end = bytes + n_bytes};
  d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
  d.info = d.png ? png_create_info_struct(d.png) : NULL;
  Err err = d.info ? decode(&d, out, n_bytes, fault) : fault_memory(fault, n_bytes);
  png_destroy_read_struct(&d.png, &d.info, NULL);
  return err;
}
