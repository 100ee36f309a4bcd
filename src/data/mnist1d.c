/* mnist1d.c: MNIST-1D (Greydanus, Kobak, "Scaling down deep learning with MNIST-1D",
 * ICML 2024), by its published generator; the numbers drawn are our own.
 *
 * A template of 12 points for each class; an example is one that was padded, stretched,
 * scaled, moved round, put on smooth noise, sheared and sampled at 40 points. Example i
 * takes draw i of the stream "data", so it does not depend on how many there are but
 * for the normalization of the whole. */
#include "data/draws.h"
#include "data/sources.h"
#include "base/ints.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, POINTS = 12, LONG = 72, LENGTH = 40, PART_TRAIN = 0 };

static const double templates[CLASSES][POINTS] = {
    {5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5},
    {5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5},
    {5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5},
    {5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5},
    {5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5},
    {5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5},
    {5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5},
    {5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5},
    {5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5}};

typedef struct Mnist1d {
  Source source;
  int64_t n, seed;
  bool permute, sequence;
} Mnist1d;

/* -- one example ------------------------------------------------------------------- */

/* The template of mean 0 and sd 1, from its first value on, over 6. */
static void standard_template(int64_t label, double *out) {
  double mean = 0, square = 0;
  const double *t = templates[label];
  for (int i = 0; i < POINTS; i++) mean += t[i] / POINTS;
  for (int i = 0; i < POINTS; i++) square += (t[i] - mean) * (t[i] - mean) / POINTS;
  for (int i = 0; i < POINTS; i++) out[i] = (t[i] - t[0]) / sqrt(square) / 6;
}

/* n points of x at m even places from its first to its last one. */
static void resample(const double *x, int n, double *out, int m) {
  for (int i = 0; i < m; i++) {
    double at = (double)i * (n - 1) / (m - 1);
    int left = (int)least((int64_t)at, n - 2);
    out[i] = x[left] + (at - left) * (x[left + 1] - x[left]);
  }
}

/* Gaussian filter of sigma 2, cut off at 4 sigma, edges reflected (d c b a | a b c
 * d). */
static void smooth(const double *x, double *out) {
  enum { REACH = 8 };
  double weight[REACH + 1], total = 0;
  for (int k = 0; k <= REACH; k++) {
    weight[k] = exp(-k * k / 8.0);
    total += k ? 2 * weight[k] : 1;
  }
  for (int i = 0; i < LONG; i++) {
    out[i] = 0;
    for (int k = -REACH; k <= REACH; k++) {
      int j = i + k;
      j = j < 0 ? -j - 1 : j >= LONG ? 2 * LONG - 1 - j : j;
      out[i] += weight[abs(k)] / total * x[j];
    }
  }
}

/* Padded, stretched, scaled and moved round. */
static void move_template(int64_t label, Words *words, double *out) {
  enum { LEAST_PAD = 36, MOST_PAD = 60, MOST_MOVE = 48 };
  double x[POINTS + MOST_PAD] = {0}, stretched[LONG];
  int pad = LEAST_PAD + (int)words_uniform(words, 0, MOST_PAD - LEAST_PAD + 1);
  double scale = 1 + 0.4 * words_uniform(words, -0.5, 0.5);
  int by = (int)words_uniform(words, 0, MOST_MOVE);
  standard_template(label, x);
  for (int i = 0; i < POINTS; i++) x[i] += 1e-8; /* so that only padding is 0 */
  resample(x, POINTS + pad, stretched, LONG);
  for (int i = 0; i < LONG; i++) out[(i + by) % LONG] = scale * stretched[i];
}

static void make_example(int64_t label, Stream stream, double *out) {
  Words words = {stream, 0};
  double x[LONG], noise[LONG], smoothed[LONG];
  move_template(label, &words, x);
  double shear = 0.75 * words_uniform(&words, -0.5, 0.5);
  for (int i = 0; i < LONG; i++) noise[i] = 0.25 * words_normal(&words);
  smooth(noise, smoothed);
  for (int i = 0; i < LONG; i++) {
    if (x[i] == 0) x[i] = smoothed[i];
    x[i] += 0.02 * words_normal(&words) - shear * ((double)i / (LONG - 1) - 0.5);
  }
  resample(x, LONG, out, LENGTH);
}

/* -- all of them ------------------------------------------------------------------- */

static Stream draw_of(const Mnist1d *m, const char *what, uint64_t number) {
  return source_stream(&m->source, m->seed, what, number);
}

/* Mean 0 and sd 1 over all numbers. */
static void normalize(double *x, int64_t n) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < n; i++) mean += x[i];
  mean /= (double)n;
  for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
  double sd = sqrt(square / (double)n);
  for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) / sd;
}

/* Examples in the order drawn; `place`: where each point of a row goes. */
static Err take_rows(const Mnist1d *m, const double *x, const int64_t *order,
                     const int64_t *place, int64_t first, int64_t n, Rows *out,
                     Fault *fault) {
  Shape shape = m->sequence ? SHAPE_OF(n, LENGTH, 1) : SHAPE_OF(n, LENGTH);
  out->x = tensor_new(m->source.memory, DT_REAL, &shape, fault);
  if (out->x) out->y = tensor_new(m->source.memory, DT_INT32, &SHAPE_OF(n), fault);
  if (!out->x || !out->y) return fault->code;
  out->n_classes = CLASSES;
  for (int64_t i = 0; i < n; i++) {
    int64_t row = order[first + i];
    for (int j = 0; j < LENGTH; j++)
      tensor_reals(out->x)[i * LENGTH + place[j]] = (real)x[row * LENGTH + j];
    ((int32_t *)out->y->a.data)[i] = (int32_t)(row % CLASSES) + 1;
  }
  return ERR_OK;
}

static Err mnist1d_load(Source *source, int part, Rows *out, Fault *fault) {
  const Mnist1d *m = (const Mnist1d *)source;
  int64_t n_train = m->n - m->n / 5, place[LENGTH];
  double *x = calloc((size_t)m->n * LENGTH, sizeof *x);
  int64_t *order = malloc((size_t)m->n * sizeof *order);
  Err err = x && order ? ERR_OK
                       : fault_memory(fault, (size_t)m->n * LENGTH * sizeof *x);
  if (!err) {
    for (int64_t i = 0; i < m->n; i++)
      make_example(i % CLASSES, draw_of(m, "mnist1d", (uint64_t)i), x + i * LENGTH);
    normalize(x, m->n * LENGTH);
    philox_shuffle(order, m->n, draw_of(m, "mnist1d.order", 0));
    for (int j = 0; j < LENGTH; j++) place[j] = j;
    if (m->permute) philox_shuffle(place, LENGTH, draw_of(m, "mnist1d.places", 0));
    err = part == PART_TRAIN
              ? take_rows(m, x, order, place, 0, n_train, out, fault)
              : take_rows(m, x, order, place, n_train, m->n - n_train, out, fault);
  }
  free(x);
  free(order);
  return err;
}

static const char *const parts[] = {"train", "test", NULL};
static const Option mnist1d_options[] = {
    {.name = "n", .kind = OPT_INT, .offset = offsetof(Mnist1d, n), .position = 1,
     .value = "5000", .lo = 10, .hi = 1e7,
     .doc = "number of examples, equally many of each class; four of five are .train"},
    {.name = "permute", .kind = OPT_BOOL, .offset = offsetof(Mnist1d, permute),
     .value = "false",
     .doc = "put the 40 places of all rows into one random order, so that neighbours "
            "mean nothing"},
    {.name = "sequence", .kind = OPT_BOOL, .offset = offsetof(Mnist1d, sequence),
     .value = "false",
     .doc = "rows are sequences of 40 steps, [40, 1], as recurrent layers take them"},
    SEED_OPTION(Mnist1d),
    {0}};

const SourceKind dataset_mnist1d = {
    .kind = {.name = "mnist1d", .family = &dataset_family, .size = sizeof(Mnist1d),
             .options = mnist1d_options, .deinit = source_deinit,
             .doc = "MNIST-1D: ten shapes of 40 numbers, padded, stretched, moved and "
                    "under noise, in .train and .test. They are made by the published "
                    "procedure, with random numbers of this library. A linear model "
                    "gets 32 % of the test rows right, a perceptron 65 %, a "
                    "convolutional net 92 %.",
             .source = "Greydanus, Kobak, \"Scaling down deep learning with "
                       "MNIST-1D\", ICML 2024"},
    .parts = parts,
    .draws = true,
    .load = mnist1d_load};
