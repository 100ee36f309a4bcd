/* transform_mix.c: rows mixed with others: mixup, CutMix.
 *
 * The other row is drawn, as all else, by the row's own stream, of all rows of the set
 * at hand; targets are mixed by the share of each. So they are shares themselves:
 * labels become distributions, [n, classes], also where nothing is trained and mixed.
 */
#include "data/dataset.h"
#include "data/draws.h"
#include "base/fault.h"
#include <math.h>
#include <string.h>

typedef struct Mix {
  Transform transform;
  double alpha, p;
} Mix;

static Dataset *mix_join(Transform *self, Dataset *set, Fault *fault) {
  if (dataset_load(set, fault)) return NULL;
  if (set->rows->weight) {
    fault_set(fault, ERR_VALUE,
              "data.%s: %s has weights of rows, which a mixture of two has not; "
              "allowed: a set without",
              self->object.kind->name, set->name);
    return NULL;
  }
  if (!dataset_has_y(set)) return dataset_with_mixer(set, self, fault);
  Dataset *shares = dataset_one_hot(set, fault);
  Dataset *out = shares ? dataset_with_mixer(shares, self, fault) : NULL;
  dataset_release(shares);
  return out;
}

/* The share that a row keeps: Beta(alpha, alpha), 1 where it is not mixed. */
static double drawn_share(const Mix *mix, Words *words) {
  if (words_uniform(words, 0, 1) >= mix->p || mix->alpha == 0) return 1;
  return words_beta(words, mix->alpha, mix->alpha);
}

#define MIX_OPTIONS(alpha_)                                                            \
  {.name = "alpha", .kind = OPT_REAL, .offset = offsetof(Mix, alpha), .position = 1,   \
   .value = alpha_, .lo = 0, .hi = 1e3,                                                \
   .doc = "the share that a row keeps is drawn from Beta(alpha, alpha): a small "      \
          "alpha mixes little, 1 evenly, 0 not at all"},                               \
  {.name = "p", .kind = OPT_REAL, .offset = offsetof(Mix, p), .value = "1", .lo = 0,   \
   .hi = 1, .doc = "probability that it is done to a row"}
#define MIX_DOC                                                                        \
  "Labels become distributions, [n, classes], so the loss is "                         \
  "categorical_crossentropy (other sets: set:one_hot()) and accuracy counts the "      \
  "larger share. It is the last of a set's transforms; where nothing is trained rows " \
  "stay as they are."

/* -- mixup ------------------------------------------------------------------------- */

static double mixup_mix(const Transform *self, real *x, const real *other,
                        const Shape *shape, const RowDraw *draw) {
  Words words = {transform_row_stream(draw), 0};
  double share = drawn_share((const Mix *)self, &words);
  int64_t n = x ? shape_count(shape) : 0;
  for (int64_t i = 0; i < n && share < 1; i++)
    x[i] = (real)(share * (double)x[i] + (1 - share) * (double)other[i]);
  return share;
}

static const Option mixup_options[] = {MIX_OPTIONS("0.2"), {0}};
static const TransformSample mixup_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"alpha", 1, {1, {9}}}, {"alpha", 0, {3, {1, 1, 6}}},
    {"p", 0.5, {2, {4, 4}}}, {"alpha", 0.001, {1, {3}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_mixup = {
    .kind = {.name = "mixup", .alias = "MixUp", .family = &transform_family,
             .size = sizeof(Mix), .options = mixup_options,
             .doc = "Each row mixed with another one of the set, rows of any shape. "
                    MIX_DOC,
             .equation = "x = s x_i + (1 - s) x_j, y = s y_i + (1 - s) y_j, s ~ "
                         "Beta(alpha, alpha)",
             .source = "Zhang, Cisse, Dauphin, Lopez-Paz, \"mixup: beyond empirical "
                       "risk minimization\", ICLR 2018"},
    .draws = true, .shape = transform_keeps, .mix = mixup_mix, .join = mix_join,
    .samples = mixup_samples};

/* -- cutmix ------------------------------------------------------------------------ */

/* From `*first` to before `*end`, of n: as wide as the share's root says, about a place
 * drawn, cut off at the sides. */
static void drawn_run(Words *words, int64_t n, double share, int64_t *first,
                      int64_t *end) {
  double half = floor(sqrt(1 - share) * (double)n) / 2;
  double middle = floor(words_uniform(words, 0, (double)n));
  *first = (int64_t)fmax(floor(middle - half), 0);
  *end = (int64_t)fmin(floor(middle + half), (double)n);
}

static double cutmix_mix(const Transform *self, real *x, const real *other,
                         const Shape *shape, const RowDraw *draw) {
  Words words = {transform_row_stream(draw), 0};
  double share = drawn_share((const Mix *)self, &words);
  int64_t columns = shape->dim[shape->rank - 1], rows = shape->dim[shape->rank - 2];
  int64_t n = x ? shape_count(shape) / columns : 0, top, bottom, left, right;
  drawn_run(&words, rows, share, &top, &bottom);
  drawn_run(&words, columns, share, &left, &right);
  if (right <= left || bottom <= top) return 1;
  for (int64_t i = 0; i < n; i++)
    if (i % rows >= top && i % rows < bottom)
      memcpy(x + i * columns + left, other + i * columns + left,
             (size_t)(right - left) * sizeof *x);
  return 1 - (double)((bottom - top) * (right - left)) / (double)(rows * columns);
}

static const Option cutmix_options[] = {MIX_OPTIONS("1"), {0}};
static const TransformSample cutmix_samples[] = {
    {NULL, 0, {2, {5, 7}}}, {"alpha", 5, {3, {3, 4, 4}}}, {"alpha", 0, {3, {1, 1, 6}}},
    {"p", 0.5, {2, {4, 4}}}, {"alpha", 0.001, {2, {1, 1}}}, {NULL, 0, {0, {0}}}};

const TransformKind transform_cutmix = {
    .kind = {.name = "cutmix", .alias = "CutMix", .family = &transform_family,
             .size = sizeof(Mix), .options = cutmix_options,
             .doc = "A rectangle of each picture, [H, W] or [C, H, W], taken from "
                    "another one of the set. " MIX_DOC,
             .equation = "sides sqrt(1 - s) H and sqrt(1 - s) W about a uniform place, "
                         "s ~ Beta(alpha, alpha); y = t y_i + (1 - t) y_j, t: share of "
                         "the area that stays",
             .source = "Yun, Han, Oh, Chun, Choe, Yoo, \"CutMix: regularization "
                       "strategy to train strong classifiers with localizable "
                       "features\", ICCV 2019"},
    .draws = true, .shape = transform_keeps_planes, .mix = cutmix_mix, .join = mix_join,
    .samples = cutmix_samples};
