/* weights.c: what the rows of a batch count: by the data set, by their class, by a
 * mask. */
#include "train/train.h"

double weight_total(const Tensor *weight, int64_t n_rows) {
  double total = 0;
  if (!weight) return (double)n_rows;
  for (int64_t i = 0; i < tensor_count(weight); i++) total += array_get(&weight->a, i);
  return total;
}

static Err refuse_shapes(const Tensor *weight, const Tensor *labels, Fault *fault) {
  char w[SHAPE_TEXT], y[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE,
                   "train.fit: option \"class_weight\": weights %s of the set do not "
                   "fit its labels %s",
                   shape_text(w, &weight->a.shape), shape_text(y, &labels->a.shape));
}

/* `*out` is made a tensor of that shape that no one else holds. */
static Err own_like(Tensor **out, const Shape *shape, MemoryCount *memory,
                    Fault *fault) {
  Tensor *t = *out;
  if (t && t->refs == 1 && t->storage->refs == 1 && shape_equal(&t->a.shape, shape))
    return ERR_OK;
  tensor_release(t);
  *out = tensor_new(memory, DT_REAL, shape, fault);
  return *out ? ERR_OK : fault->code;
}

Err weight_by_mask(Tensor **out, const Array *weight, const Array *mask,
                   MemoryCount *memory, Fault *fault) {
  const Array *finer = weight->data && weight->shape.rank > mask->shape.rank ? weight
                                                                             : mask;
  must(!weight->data || shape_begins(&finer->shape, &weight->shape));
  must(shape_begins(&finer->shape, &mask->shape));
  if (own_like(out, &finer->shape, memory, fault)) return fault->code;
  int64_t n = tensor_count(*out), per_mask = n / shape_count(&mask->shape);
  int64_t per_weight = weight->data ? n / shape_count(&weight->shape) : 1;
  for (int64_t i = 0; i < n; i++) {
    double w = weight->data ? array_get(weight, i / per_weight) : 1;
    array_set(&(*out)->a, i, w * array_get(mask, i / per_mask));
  }
  return ERR_OK;
}

Err weight_of_rows(Tensor **room, const Dataset *set, int64_t row, const Shape *of,
                   bool masked, Array *out, Fault *fault) {
  Array mask = masked ? dataset_mask(set, row) : (Array){0};
  *out = dataset_weights(set, row);
  if (out->data && !shape_begins(of, &out->shape)) *out = (Array){0};
  if (!mask.data || !shape_begins(of, &mask.shape)) return ERR_OK;
  if (weight_by_mask(room, out, &mask, NULL, fault) || !*room) return fault->code;
  *out = (*room)->a;
  return ERR_OK;
}

/* What label i counts by its class. At steps that do not count it may be any. */
static double class_weight(const Batch *batch, const Tensor *by_class, int64_t i) {
  const Tensor *mask = batch->mask, *y = batch->y;
  if (mask && shape_equal(&mask->a.shape, &y->a.shape) && array_get(&mask->a, i) == 0)
    return 0;
  int64_t label = (int64_t)array_get(&y->a, i);
  must(label >= 1 && label <= tensor_count(by_class));
  return array_get(&by_class->a, label - 1);
}

Err weight_by_class(Tensor **out, const Batch *batch, const Tensor *by_class,
                    MemoryCount *memory, Fault *fault) {
  const Tensor *y = batch->y, *w = batch->weight;
  bool finer = w && w->a.shape.rank > y->a.shape.rank;
  if (w && !(finer ? shape_begins(&w->a.shape, &y->a.shape)
                   : shape_begins(&y->a.shape, &w->a.shape)))
    return refuse_shapes(w, y, fault);
  if (own_like(out, finer ? &w->a.shape : &y->a.shape, memory, fault))
    return fault->code;
  int64_t n = tensor_count(*out), per_label = n / tensor_count(y);
  int64_t per_weight = w ? n / tensor_count(w) : 1;
  for (int64_t i = 0; i < n; i++) {
    double weight = w ? array_get(&w->a, i / per_weight) : 1;
    array_set(&(*out)->a, i, weight * class_weight(batch, by_class, i / per_label));
  }
  return ERR_OK;
}

Err weight_check_classes(const Tensor *by_class, const Dataset *set, Fault *fault) {
  if (!dataset_has_labels(set))
    return fault_set(fault, ERR_DATA,
                     "train.fit: option \"class_weight\": the targets of %s are no "
                     "labels; allowed: a data set with classes, or a weight for each "
                     "row, as in data.set(x, y, { weight = w })",
                     dataset_name(set));
  int64_t n = dataset_classes(set);
  if (tensor_count(by_class) == n) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "train.fit: option \"class_weight\": got %lld weights, allowed: one "
                   "for each of the %lld classes of %s, in their order",
                   (long long)tensor_count(by_class), (long long)n, dataset_name(set));
}
