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

int64_t image_row_bytes(const Image *image) {
  return image->width * image->channels * (image->bits / 8);
}

/* Takes over nothing of `out` but its warning. */
static Err image_new(Image *out, int64_t height, int64_t width, int channels, int bits,
                     Fault *fault) {
  int64_t n_bytes = height * width * channels * (bits / 8);
  Err err = memory_holds(n_bytes, fault);
  if (err) return err;
  out->height = height;
  out->width = width;
  out->channels = channels;
  out->bits = bits;
  out->pixels = malloc((size_t)n_bytes);
  return out->pixels ? ERR_OK : fault_memory(fault, (size_t)n_bytes);
}

Err image_reserve(Image *out, int64_t height, int64_t width, int channels, int bits,
                  size_t n_bytes, int64_t per_byte, Fault *fault) {
  if (height < 1 || width < 1 || height > IMAGE_PIXELS_MAX / width)
    return fault_set(fault, ERR_DATA,
                     "a picture of %lld x %lld pixels, allowed: up to %d pixels in all",
                     (long long)height, (long long)width, IMAGE_PIXELS_MAX);
  if (height * width / per_byte > (int64_t)n_bytes)
    return fault_set(fault, ERR_DATA,
                     "truncated: %zu bytes cannot hold %lld x %lld pixels", n_bytes,
                     (long long)height, (long long)width);
  return image_new(out, height, width, channels, bits, fault);
}

/* -- decoding ---------------------------------------------------------------------- */

typedef struct ImageFormat {
  const char *magic;
  Err (*decode)(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault);
} ImageFormat;

static const ImageFormat formats[] = {{"\x89PNG\r\n\x1a\n", png_decode},
                                      {"\xff\xd8\xff", jpeg_decode}};

static void put_sample(Image *image, int64_t i, int value) {
  if (image->bits == 16) ((uint16_t *)image->pixels)[i] = (uint16_t)value;
  else ((uint8_t *)image->pixels)[i] = (uint8_t)value;
}

/* Pixel i of one picture to pixel i of another, which may be the same memory where
 * pixels shrink; from 2 and 4 channels, the last one is transparency. */
static void convert_pixel(Image *out, const Image *in, int64_t i) {
  int64_t at = i * in->channels, to = i * out->channels;
  int last = out->channels - 1, first = image_sample(in, at);
  if (last == 0 && in->channels >= 3)
    first = (299 * first + 587 * image_sample(in, at + 1) +
             114 * image_sample(in, at + 2) + 500) /
            1000;
  put_sample(out, to, first);
  for (int k = 1; k <= last; k++)
    put_sample(out, to + k, in->channels >= 3 ? image_sample(in, at + k) : first);
}

/* In place where pixels shrink. */
static Err convert(Image *image, int channels, Fault *fault) {
  int from = image->channels, to = channels ? channels : from >= 3 ? 3 : 1;
  int64_t n = image->height * image->width;
  if (to == from) return ERR_OK;
  Image out = *image;
  out.channels = to;
  if (to > from) {
    Err err = image_new(&out, image->height, image->width, to, image->bits, fault);
    if (err) return err;
  }
  for (int64_t i = 0; i < n; i++) convert_pixel(&out, image, i);
  if (to > from) free(image->pixels);
  *image = out;
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

/* -- another size ------------------------------------------------------------------ */

/* Of one axis: new element i is the sum of weight[i][k] times old element first[i] +
 * k. */
typedef struct Weights {
  int64_t n, most; /* new elements; weights of each, at most */
  int64_t *first, *count;
  double *weight; /* one allocation for all, at `first` */
} Weights;

static Err weights_init(Weights *out, int64_t n_old, int64_t n_new, Fault *fault) {
  double scale = (double)n_old / (double)n_new, radius = fmax(scale, 1);
  *out = (Weights){.n = n_new, .most = 2 * (int64_t)ceil(radius) + 2};
  size_t n_bytes = (size_t)n_new *
                   (2 * sizeof(int64_t) + (size_t)out->most * sizeof(double));
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

/* [height, width, c] samples to [height, n, c]. */
static void resize_rows(float *out, const float *in, const Image *size,
                        const Weights *w) {
  int c = size->channels;
  for (int64_t y = 0; y < size->height; y++)
    for (int64_t i = 0; i < w->n; i++)
      for (int k = 0; k < c; k++) {
        const float *at = in + (y * size->width + w->first[i]) * c + k;
        double sum = 0;
        for (int64_t j = 0; j < w->count[i]; j++)
          sum += w->weight[i * w->most + j] * (double)at[j * c];
        out[(y * w->n + i) * c + k] = (float)sum;
      }
}

/* [height, row] to [n, row] samples; `row` counts width and channels. */
static void resize_columns(Image *out, const float *in, const Weights *w) {
  int64_t row = out->width * out->channels;
  for (int64_t i = 0; i < w->n; i++)
    for (int64_t x = 0; x < row; x++) {
      const float *at = in + w->first[i] * row + x;
      double sum = 0;
      for (int64_t j = 0; j < w->count[i]; j++)
        sum += w->weight[i * w->most + j] * (double)at[j * row];
      put_sample(out, i * row + x, (int)(sum + 0.5));
    }
}

/* Room for the samples as floats, which hold 16 bits exactly, then for the picture
 * between the two steps. NULL and a fault. */
static float *new_samples(const Image *in, int64_t n_between, Fault *fault) {
  int64_t n = in->height * in->width * in->channels;
  int64_t n_bytes = (n + n_between) * (int64_t)sizeof(float);
  if (memory_holds(n_bytes, fault)) return NULL;
  float *samples = malloc((size_t)n_bytes);
  if (!samples) fault_memory(fault, (size_t)n_bytes);
  for (int64_t i = 0; samples && i < n; i++) samples[i] = (float)image_sample(in, i);
  return samples;
}

Err image_resize(Image *out, const Image *in, int64_t height, int64_t width,
                 Fault *fault) {
  *out = (Image){0};
  memcpy(out->warning, in->warning, sizeof out->warning);
  Weights rows = {0}, columns = {0};
  int64_t n = in->height * in->width * in->channels;
  float *samples = new_samples(in, in->height * width * in->channels, fault);
  Err err = samples ? ERR_OK : fault->code;
  if (!err) err = weights_init(&rows, in->width, width, fault);
  if (!err) err = weights_init(&columns, in->height, height, fault);
  if (!err) err = image_new(out, height, width, in->channels, in->bits, fault);
  if (!err) {
    resize_rows(samples + n, samples, in, &rows);
    resize_columns(out, samples + n, &columns);
  }
  free(samples);
  free(rows.first);
  free(columns.first);
  return err;
}
