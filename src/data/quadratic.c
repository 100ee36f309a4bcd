/* quadratic.c: the noisy quadratic of DeepOBS (Schneider, Balles, Hennig, "DeepOBS: a
 * deep learning optimizer benchmark suite", ICLR 2019, problem quadratic_deep).
 *
 * The loss of a batch at the parameters t is the mean over its rows x of
 * 1/2 (t - x)' H (t - x). H has nine eigenvalues of ten in (0, 1), the others in
 * (30, 60), as deep networks have them (Chaudhari et al., "Entropy-SGD", ICLR 2017), in
 * axes turned at random. */
#include "data/draws.h"
#include "data/sources.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Quadratic {
  Source source;
  int64_t n, n_features, seed;
  double noise;
} Quadratic;

enum { PART_TRAIN, PART_TEST, PART_HESSIAN };
static const char *const parts[] = {
    [PART_TRAIN] = "train", [PART_TEST] = "test", [PART_HESSIAN] = "hessian", NULL};

static Words words_of(const Quadratic *q, int part) {
  return (Words){source_stream(&q->source, q->seed, "noisy_quadratic", (uint64_t)part),
                 0};
}

/* Row i less its share of those before it, twice for the digits, and of length 1. */
static void make_orthogonal(double *rows, int64_t i, int64_t d) {
  double *own = rows + i * d, length = 0;
  for (int64_t k = 0; k < 2 * i; k++) {
    const double *other = rows + k % i * d;
    double share = 0;
    for (int64_t j = 0; j < d; j++) share += own[j] * other[j];
    for (int64_t j = 0; j < d; j++) own[j] -= share * other[j];
  }
  for (int64_t j = 0; j < d; j++) length += own[j] * own[j];
  for (int64_t j = 0; j < d; j++) own[j] /= sqrt(length);
}

/* sum over k of e_k r_k r_k', with orthonormal rows r. */
static Err load_hessian(const Quadratic *q, Rows *out, Fault *fault) {
  int64_t d = q->n_features;
  Words words = words_of(q, PART_HESSIAN);
  out->x = tensor_new(q->source.memory, DT_REAL, &SHAPE_OF(d, d), fault);
  double *sum = out->x ? calloc(2 * (size_t)(d * d), sizeof *sum) : NULL;
  if (!sum) return fault_memory(fault, 2 * (size_t)(d * d) * sizeof *sum);
  double *rows = sum + d * d;
  for (int64_t i = 0; i < d * d; i++) rows[i] = words_normal(&words);
  for (int64_t k = 0; k < d; k++) {
    bool steep = k >= d - d / 10;
    double e = steep ? words_uniform(&words, 30, 60) : words_uniform(&words, 0, 1);
    const double *r = rows + k * d;
    make_orthogonal(rows, k, d);
    for (int64_t i = 0; i < d * d; i++) sum[i] += e * r[i / d] * r[i % d];
  }
  for (int64_t i = 0; i < d * d; i++) tensor_reals(out->x)[i] = (real)sum[i];
  free(sum);
  return ERR_OK;
}

static Err quadratic_load(Source *source, int part, Rows *out, Fault *fault) {
  const Quadratic *q = (const Quadratic *)source;
  if (part == PART_HESSIAN) return load_hessian(q, out, fault);
  Words words = words_of(q, part);
  out->x = tensor_new(source->memory, DT_REAL, &SHAPE_OF(q->n, q->n_features), fault);
  if (!out->x) return fault->code;
  for (int64_t i = 0; i < q->n * q->n_features; i++)
    tensor_reals(out->x)[i] = (real)(q->noise * words_normal(&words));
  return ERR_OK;
}

#define AT(field) .offset = offsetof(Quadratic, field)
static const Option quadratic_options[] = {
    COUNT_OPTION(Quadratic, "number of rows of .train, and of .test"),
    {.name = "features", .kind = OPT_INT, AT(n_features), .value = "100", .lo = 1,
     .hi = 1e4, .doc = "number of parameters"},
    {.name = "noise", .kind = OPT_REAL, AT(noise), .value = "0.6", .lo = 0, .hi = 1e6,
     .doc = "standard deviation of the rows"},
    SEED_OPTION(Quadratic),
    {0}};

const SourceKind dataset_noisy_quadratic = {
    .kind = {.name = "noisy_quadratic", .family = &dataset_family,
             .size = sizeof(Quadratic),
             .options = quadratic_options, .deinit = source_deinit,
             .doc = "The noisy quadratic of DeepOBS: x are the minima of the rows of "
                    ".train and .test, and .hessian:tensors() is H [features, "
                    "features]. DeepOBS starts at t = 1.",
             .equation = "loss = (t - x)^T H (t - x) / 2, x ~ N(0, noise^2); 9 of 10 "
                         "eigenvalues of H are uniform in (0, 1), the others in (30, "
                         "60)",
             .source = "Schneider, Balles, Hennig, \"DeepOBS: a deep learning "
                       "optimizer benchmark suite\", ICLR 2019"},
    .parts = parts,
    .draws = true,
    .load = quadratic_load};
