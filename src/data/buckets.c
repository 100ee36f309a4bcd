/* buckets.c: see buckets.h. */
#include "data/buckets.h"
#include "base/ints.h"
#include <stdlib.h>
#include <string.h>

void buckets_free(Buckets *buckets) {
  if (!buckets) return;
  free(buckets->steps);
  free(buckets->of);
  free(buckets->room);
  free(buckets);
}

static Buckets *new_buckets(int64_t n_rows, int64_t most_buckets, Fault *fault) {
  Buckets *b = calloc(1, sizeof *b);
  if (b) b->steps = calloc((size_t)most(most_buckets, 1), sizeof *b->steps);
  if (b) b->of = malloc((size_t)most(n_rows, 1) * sizeof *b->of);
  if (b) b->room = malloc(2 * (size_t)most(n_rows, 1) * sizeof *b->room);
  if (b && b->steps && b->of && b->room) return b;
  buckets_free(b);
  fault_memory(fault, (size_t)n_rows * sizeof *b->of);
  return NULL;
}

/* The first step of the row that counts, and the one behind the last; of a row without
 * any 0 and 0. */
typedef struct Span {
  int64_t first, end;
} Span;

static Span span_of(const Array *mask, int64_t row) {
  int64_t t = mask->shape.dim[1];
  Span span = {0, 0};
  for (int64_t k = 0; k < t; k++) {
    if (array_get(mask, row * t + k) == 0) continue;
    if (span.end == 0) span.first = k;
    span.end = k + 1;
  }
  return span;
}

/* Do all rows end with the last step, and some begin behind the first one? */
static bool padded_left(const Array *mask, const int64_t *rows, int64_t n) {
  bool any = false;
  for (int64_t i = 0; i < n; i++) {
    Span span = span_of(mask, rows ? rows[i] : i);
    if (span.end > 0 && span.end < mask->shape.dim[1]) return false;
    any |= span.first > 0;
  }
  return any;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* The ends of even shares of the sorted lengths, each once. */
static void set_steps(Buckets *b, const int64_t *sorted, int64_t n, int64_t most_n) {
  for (int64_t k = 1; k <= most_n; k++) {
    int64_t steps = most(sorted[most(k * n / most_n, 1) - 1], 1);
    if (b->n == 0 || steps > b->steps[b->n - 1]) b->steps[b->n++] = steps;
  }
}

/* The first whose rows may have so many steps. */
static int64_t bucket_for(const Buckets *b, int64_t steps) {
  int64_t k = 0;
  while (k < b->n - 1 && b->steps[k] < steps) k++;
  return k;
}

Buckets *buckets_new(const Array *mask, const int64_t *rows, int64_t n, int64_t most_n,
                     Fault *fault) {
  must(n > 0 && most_n > 0);
  Buckets *b = new_buckets(n, most_n, fault);
  if (!b) return NULL;
  int64_t *sorted = b->room;
  b->t = mask->shape.dim[1];
  b->left = padded_left(mask, rows, n);
  for (int64_t i = 0; i < n; i++) {
    Span span = span_of(mask, rows ? rows[i] : i);
    b->of[i] = sorted[i] = b->left && span.end > 0 ? b->t - span.first : span.end;
  }
  qsort(sorted, (size_t)n, sizeof *sorted, by_size);
  set_steps(b, sorted, n, most_n);
  for (int64_t i = 0; i < n; i++) b->of[i] = bucket_for(b, b->of[i]);
  return b;
}

/* -- order ------------------------------------------------------------------------- */

/* Bucket after bucket, from `order` into `out`. */
static void sort_rows(const Buckets *b, const int64_t *order, int64_t n, int64_t *out) {
  int64_t at = 0;
  for (int64_t k = 0; k < b->n; k++)
    for (int64_t i = 0; i < n; i++)
      if (b->of[order[i]] == k) out[at++] = order[i];
}

void buckets_order(Buckets *b, int64_t *order, int64_t n, int64_t size,
                   const Stream *stream) {
  int64_t n_full = n / size, *sorted = b->room, *batch = b->room + n;
  sort_rows(b, order, n, sorted);
  for (int64_t k = 0; k < n_full; k++) batch[k] = k;
  if (stream) philox_shuffle(batch, n_full, *stream);
  memcpy(order, sorted, (size_t)n * sizeof *order);
  for (int64_t k = 0; k < n_full; k++)
    memcpy(order + k * size, sorted + batch[k] * size, (size_t)size * sizeof *order);
}

int64_t buckets_steps(const Buckets *b, const int64_t *rows, int64_t n) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++) k = most(k, b->of[rows[i]]);
  return b->steps[k];
}

void buckets_cut(const Buckets *b, const Array *from, const Array *to) {
  int64_t n = to->shape.dim[0], steps = to->shape.dim[1];
  size_t step = (size_t)shape_stride(&from->shape, 1) * dtype_bytes(from->dtype);
  size_t first = b->left ? (size_t)(b->t - steps) : 0;
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)to->data + (size_t)(i * steps) * step,
           (const char *)from->data + ((size_t)(i * b->t) + first) * step,
           (size_t)steps * step);
}
