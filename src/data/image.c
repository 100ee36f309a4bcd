/* image.c: see image.h. */
#include "data/image.h"
#include "base/input.h"
#include "base/ints.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void image_deinit(Image *image) {
  free(image->pixels);
  *image = (Image){0};
}

static Err image_new(Image *out, int64_t height, int64_t width, int channels,
                     Fault *fault) {
  int64_t n_bytes = height * width * channels;
  Err err = memory_holds(n_bytes, fault);
  if (err) return err;
  *out = (Image){height, width, channels, malloc((size_t)n_bytes)};
  return out->pixels ? ERR_OK : fault_memory(fault, (size_t)n_bytes);
}

Err image_reserve(Image *out, int64_t height, int64_t width, int channels, size_t n_bytes,
                  int64_t per_byte, Fault *fault) {
  if (height < 1 || width < 1 || height > IMAGE_PIXELS_MAX / width)
    return fault_set(fault, ERR_DATA, "a picture of %lld x %lld pixels, allowed: up to %d "
                     "pixels in all", (long long)height, (long long)width, IMAGE_PIXELS_MAX);
  if (height * width / per_byte > (int64_t)n_bytes)
    return fault_set(fault, ERR_DATA, "truncated: %zu bytes cannot hold %lld x %lld pixels",
                     n_bytes, (long long)height, (long long)width);
  return image_new(out, height, width, channels, fault);
}

/* -- decoding ------------------------------------------------------------------------ */

typedef struct ImageFormat {
  const char *magic;
  Err (*decode)(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault);
} ImageFormat;

static const ImageFormat formats[] = {{"\x89PNG\r\n\x1a\n", png_decode},
                                      {"\xff\xd8\xff", jpeg_decode}};

/* A pixel of `from` channels to one of `to`; from 2 and 4 have transparency last. */
static void convert_pixel(uint8_t *out, int to, const uint8_t *in, int from) {
  if (to == 1 && from >= 3)
    out[0] = (uint8_t)((299 * in[0] + 587 * in[1] + 114 * in[2] + 500) / 1000);
  else
    for (int k = 0; k < to; k++) out[k] = in[from >= 3 ? k : 0];
}

/* In place where pixels shrink. */
static Err convert(Image *image, int channels, Fault *fault) {
  int from = image->channels, to = channels ? channels : from >= 3 ? 3 : 1;
  int64_t n = image->height * image->width;
  if (to == from) return ERR_OK;
  Image out = *image;
  if (to > from) {
    Err err = image_new(&out, image->height, image->width, to, fault);
    if (err) return err;
  }
  for (int64_t i = 0; i < n; i++)
    convert_pixel(out.pixels + i * to, to, image->pixels + i * from, from);
  if (to > from) free(image->pixels);
  *image = out;
  image->channels = to;
  return ERR_OK;
}

Err image_decode(Image *out, const unsigned char *bytes, size_t n_bytes, int channels,
                 Fault *fault) {
  *out = (Image){0};
  size_t i = 0, n_formats = sizeof formats / sizeof *formats;
  for (; i < n_formats; i++) {
    size_t n = strlen(formats[i].magic);
    if (n_bytes >= n && memcmp(bytes, formats[i].magic, n) == 0) break;
  }
  if (i == n_formats) return fault_set(fault, ERR_DATA, "is no PNG or JPEG file");
  Err err = formats[i].decode(out, bytes, n_bytes, fault);
  if (!err) err = convert(out, channels, fault);
  if (err) image_deinit(out);
  return err;
}

/* -- another size -------------------------------------------------------------------- */

/* Of one axis: new element i is the sum of weight[i][k] times old element first[i] + k. */
typedef struct Weights {
  int64_t n, most;             /* new elements; weights of each, at most */
  int64_t *first, *count;
  double *weight;              /* one allocation for all, at `first` */
} Weights;

static Err weights_init(Weights *out, int64_t n_old, int64_t n_new, Fault *fault) {
  double scale = (double)n_old / (double)n_new, radius = fmax(scale, 1);
  *out = (Weights){.n = n_new, .most = 2 * (int64_t)ceil(radius) + 2};
  size_t n_bytes = (size_t)n_new * (2 * sizeof(int64_t) + (size_t)out->most * sizeof(double));
  out->first = malloc(n_bytes);
  if (!out->first) return fault_memory(fault, n_bytes);
  out->count = out->first + n_new;
  out->weight = (double *)(void *)(out->count + n_new);
  for (int64_t i = 0; i < n_new; i++) {
    double centre = ((double)i + 0.5) * scale, sum = 0;
    int64_t first = most(0, (int64_t)floor(centre - radius));
    int64_t end = least(n_old, (int64_t)ceil(centre + radius));
    double *w = out->weight + i * out->most;
    must(end > first && end - first <= out->most);
    for (int64_t k = 0; k < end - first; k++) {
      w[k] = fmax(0, 1 - fabs((double)(first + k) + 0.5 - centre) / radius);
      sum += w[k];
    }
    for (int64_t k = 0; k < end - first; k++) w[k] /= sum;
    out->first[i] = first;
    out->count[i] = end - first;
  }
  return ERR_OK;
}

/* [height, width, c] bytes to [height, n, c]. */
static void resize_rows(float *out, const Image *in, const Weights *w) {
  int c = in->channels;
  for (int64_t y = 0; y < in->height; y++)
    for (int64_t i = 0; i < w->n; i++)
      for (int k = 0; k < c; k++) {
        const uint8_t *at = in->pixels + (y * in->width + w->first[i]) * c + k;
        double sum = 0;
        for (int64_t j = 0; j < w->count[i]; j++)
          sum += w->weight[i * w->most + j] * at[j * c];
        out[(y * w->n + i) * c + k] = (float)sum;
      }
}

/* [height, row] to [n, row] bytes; `row` counts width and channels. */
static void resize_columns(uint8_t *out, const float *in, int64_t row, const Weights *w) {
  for (int64_t i = 0; i < w->n; i++)
    for (int64_t x = 0; x < row; x++) {
      const float *at = in + w->first[i] * row + x;
      double sum = 0;
      for (int64_t j = 0; j < w->count[i]; j++)
        sum += w->weight[i * w->most + j] * (double)at[j * row];
      out[i * row + x] = (uint8_t)(sum + 0.5);
    }
}

Err image_resize(Image *out, const Image *in, int64_t height, int64_t width,
                 Fault *fault) {
  *out = (Image){0};
  Weights rows = {0}, columns = {0};
  int64_t row = width * in->channels, n_bytes = in->height * row * (int64_t)sizeof(float);
  float *between = NULL;
  Err err = memory_holds(n_bytes, fault);
  if (!err) {
    between = malloc((size_t)n_bytes);
    if (!between) err = fault_memory(fault, (size_t)n_bytes);
  }
  if (!err) err = weights_init(&rows, in->width, width, fault);
  if (!err) err = weights_init(&columns, in->height, height, fault);
  if (!err) err = image_new(out, height, width, in->channels, fault);
  if (!err) {
    resize_rows(between, in, &rows);
    resize_columns(out->pixels, between, row, &columns);
  }
  free(between);
  free(rows.first);
  free(columns.first);
  return err;
}
