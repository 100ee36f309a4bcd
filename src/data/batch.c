/* batch.c: rows into batches.
 *
 * A batch is computed as (x - shift) * scale in real, elementwise, so its bits depend
 * on the row alone. Filling allocates nothing; batches_next allocates only when it
 * cannot reuse what the caller holds. */
#include "data/buckets.h"
#include "data/dataset.h"
#include <stdlib.h>
#include <string.h>

const char *const shuffle_names[] = {"epoch", "once", "none", NULL};

/* -- one row ----------------------------------------------------------------------- */

/* n features that share one pair. */
static void uniform_u8(real *out, const uint8_t *x, int64_t n, real shift, real scale) {
  for (int64_t j = 0; j < n; j++) out[j] = ((real)x[j] - shift) * scale;
}
static void uniform_i32(real *out, const int32_t *x, int64_t n, real shift,
                        real scale) {
  for (int64_t j = 0; j < n; j++) out[j] = ((real)x[j] - shift) * scale;
}
static void uniform_real(real *out, const real *x, int64_t n, real shift, real scale) {
  for (int64_t j = 0; j < n; j++) out[j] = (x[j] - shift) * scale;
}

/* n features with a pair each. */
static void each_u8(real *out, const uint8_t *x, int64_t n, const real *shift,
                    const real *scale) {
  for (int64_t j = 0; j < n; j++) out[j] = ((real)x[j] - shift[j]) * scale[j];
}
static void each_i32(real *out, const int32_t *x, int64_t n, const real *shift,
                     const real *scale) {
  for (int64_t j = 0; j < n; j++) out[j] = ((real)x[j] - shift[j]) * scale[j];
}
static void each_real(real *out, const real *x, int64_t n, const real *shift,
                      const real *scale) {
  for (int64_t j = 0; j < n; j++) out[j] = (x[j] - shift[j]) * scale[j];
}

static void fill_uniform(real *out, const Array *x, int64_t at, int64_t n, real shift,
                         real scale) {
  switch (x->dtype) {
  case DT_UINT8:
    uniform_u8(out, (const uint8_t *)x->data + at, n, shift, scale);
    return;
  case DT_INT32:
    uniform_i32(out, (const int32_t *)x->data + at, n, shift, scale);
    return;
  default: break;
  }
  const real *from = (const real *)x->data + at;
  if (shift == 0 && scale == 1) memcpy(out, from, (size_t)n * sizeof *out);
  else uniform_real(out, from, n, shift, scale);
}

static void fill_each(real *out, const Array *x, int64_t at, int64_t n,
                      const real *shift, const real *scale) {
  switch (x->dtype) {
  case DT_UINT8: each_u8(out, (const uint8_t *)x->data + at, n, shift, scale); return;
  case DT_INT32: each_i32(out, (const int32_t *)x->data + at, n, shift, scale); return;
  default: each_real(out, (const real *)x->data + at, n, shift, scale); return;
  }
}

/* What is missing in the row becomes its mean, transformed. */
static void fill_gaps(const Dataset *set, int64_t row, real *out) {
  int64_t n = set->n_features, run = n / set->affine.n;
  const real *x = (const real *)set->rows->x->a.data + row * n;
  for (int64_t j = 0; j < n; j++)
    if (isnan(x[j]))
      out[j] = ((real)set->means->v[j] - set->shift[j / run]) * set->scale[j / run];
}

static void fill_values(const Dataset *set, int64_t row, real *out) {
  const Array *x = &set->rows->x->a;
  int64_t n = set->n_features, at = row * n;
  if (set->affine.n == n && n > 1) {
    fill_each(out, x, at, n, set->shift, set->scale);
    return;
  }
  int64_t run = n / set->affine.n;
  for (int64_t k = 0; k < set->affine.n; k++)
    fill_uniform(out + k * run, x, at + k * run, run, set->shift[k], set->scale[k]);
}

/* From where a row of the source draws. */
static Stream row_stream(const Augment *augment, int64_t row) {
  return (Stream){augment->key, augment->epoch << 40 | (uint64_t)row};
}

/* `row` of the source. */
static void fill_row(const Dataset *set, int64_t row, real *out,
                     const Augment *augment) {
  real *first = set->chain ? set->chain->scratch : out;
  fill_values(set, row, first);
  if (set->means) fill_gaps(set, row, first);
  if (!set->chain) return;
  Stream draw = {0};
  if (augment) draw = row_stream(augment, row);
  chain_row(set->chain, out, augment ? &draw : NULL);
}

/* How many rows, from the first on, lie one behind the other in the source. */
static int64_t rows_in_order(const Dataset *set, const int64_t *rows, int64_t n) {
  int64_t first = dataset_row(set, rows[0]), in_order = 1;
  while (in_order < n && dataset_row(set, rows[in_order]) == first + in_order)
    in_order++;
  return in_order;
}

/* Rows that go through no chain and whose features share one pair: as long ones. */
static void fill_rows(const Dataset *set, const int64_t *rows, int64_t n, real *out,
                      const Augment *augment) {
  bool plain = !set->chain && !set->means && set->affine.n == 1;
  int64_t each = set->n_features, n_given = shape_count(&set->given), m = 1;
  for (int64_t i = 0; i < n; i += m) {
    int64_t row = dataset_row(set, rows[i]);
    m = plain ? rows_in_order(set, rows + i, n - i) : 1;
    if (plain)
      fill_uniform(out + i * each, &set->rows->x->a, row * each, m * each,
                   set->shift[0], set->scale[0]);
    else fill_row(set, row, out + i * n_given, augment);
  }
}

/* Rows of targets or weights as they are. */
static void copy_rows(const Dataset *set, const Array *from, const int64_t *rows,
                      int64_t n, const Array *to) {
  must(to->dtype == from->dtype);
  size_t n_bytes = (size_t)shape_stride(&from->shape, 0) * dtype_bytes(from->dtype);
  for (int64_t i = 0, m; i < n; i += m) {
    m = rows_in_order(set, rows + i, n - i);
    memcpy((char *)to->data + (size_t)i * n_bytes,
           (const char *)from->data + (size_t)dataset_row(set, rows[i]) * n_bytes,
           (size_t)m * n_bytes);
  }
}

/* Each row, as it is in x and y (data NULL: not wanted), mixed with another one of the
 * set, which has drawn by itself what the chain does to it. */
static void mix_rows(const Dataset *set, const int64_t *rows, int64_t n, const Array *x,
                     const Array *y, const Augment *augment) {
  enum { AFTER_CHAIN = 1 << 20 };
  const Mixer *mixer = set->mixer;
  const Tensor *targets = set->rows->y;
  int64_t n_x = shape_count(&set->given);
  int64_t n_y = targets && y && y->data ? shape_stride(&targets->a.shape, 0) : 0;
  for (int64_t i = 0; i < n; i++) {
    RowDraw draw = {row_stream(augment, dataset_row(set, rows[i])), AFTER_CHAIN};
    uint64_t at = philox_below(draw.stream, draw.first + ROW_WORDS, (uint64_t)set->n);
    int64_t other = dataset_row(set, (int64_t)at);
    real *row = x->data ? (real *)x->data + i * n_x : NULL;
    if (row) fill_row(set, other, mixer->other, augment);
    double share = transform_kind(mixer->transform)
                       ->mix(mixer->transform, row, mixer->other, &set->given, &draw);
    real *to = n_y ? (real *)y->data + i * n_y : NULL;
    const real *from = n_y ? tensor_reals(targets) + other * n_y : NULL;
    for (int64_t j = 0; j < n_y && share < 1; j++)
      to[j] = (real)(share * (double)to[j] + (1 - share) * (double)from[j]);
  }
}

void dataset_fill(const Dataset *set, const int64_t *rows, int64_t n, const Array *x,
                  const Array *y, const Augment *augment) {
  must(set->rows && !dataset_lacks(set));
  if (x->data) {
    int64_t n_given = shape_count(&set->given);
    must(x->dtype == DT_REAL && shape_count(&x->shape) == n * n_given);
    fill_rows(set, rows, n, x->data, augment);
  }
  if (y && y->data && set->rows->y) copy_rows(set, &set->rows->y->a, rows, n, y);
  if (set->mixer && augment) mix_rows(set, rows, n, x, y, augment);
}

/* -- batches ----------------------------------------------------------------------- */

static Err open_buckets(Batches *b, Fault *fault) {
  const Dataset *set = b->set;
  if (!set->n_buckets || !b->options.training) return ERR_OK;
  b->whole = calloc(1, sizeof *b->whole);
  if (!b->whole) return fault_memory(fault, sizeof *b->whole);
  b->buckets = buckets_new(&set->rows->mask->a, set->index, set->n, set->n_buckets,
                           fault);
  return b->buckets ? ERR_OK : ERR_MEMORY;
}

Err batches_open(Batches *out, Dataset *set, const BatchOptions *options,
                 Fault *fault) {
  *out = (Batches){0};
  if (options->batch_size < 1)
    return fault_set(fault, ERR_VALUE, "batch_size: got %lld, allowed: 1 or more",
                     (long long)options->batch_size);
  Err err = dataset_need_rows(set, "batches", fault);
  if (err) return err;
  int64_t n = set->n, size = options->batch_size;
  must(n > 0);
  if (options->drop_last && n < size)
    return fault_set(fault, ERR_DATA,
                     "data set is empty: %s has %lld rows, less than one batch of "
                     "%lld, and drop_last leaves out what is not full",
                     set->name, (long long)n, (long long)size);
  int64_t *order = malloc((size_t)n * sizeof *order);
  if (!order) return fault_memory(fault, (size_t)n * sizeof *order);
  Dataset *complete = dataset_complete(set, set, fault);
  if (!complete) {
    free(order);
    return fault->code;
  }
  *out = (Batches){.set = complete,
                   .options = *options,
                   .n_rows = n,
                   .n_batches = n / size + (n % size != 0 && !options->drop_last),
                   .order = order};
  err = open_buckets(out, fault);
  if (err) {
    batches_close(out);
    return err;
  }
  for (int64_t i = 0; i < n; i++) order[i] = i;
  batches_epoch(out, 0);
  return ERR_OK;
}

void batches_close(Batches *batches) {
  dataset_release(batches->set);
  free(batches->order);
  buckets_free(batches->buckets);
  if (batches->whole) batch_deinit(batches->whole);
  free(batches->whole);
  *batches = (Batches){0};
}

void batches_epoch(Batches *b, int64_t epoch) {
  b->at = 0;
  b->epoch = epoch;
  bool drawn = b->options.shuffle != SHUFFLE_NONE;
  Stream stream = b->options.order;
  if (b->options.shuffle == SHUFFLE_EPOCH) stream.draw += (uint64_t)epoch;
  if (drawn) philox_shuffle(b->order, b->n_rows, stream);
  if (!b->buckets) return;
  Stream of_batches = {philox_key(stream.key, "buckets", NULL), stream.draw};
  buckets_order(b->buckets, b->order, b->n_rows, b->options.batch_size,
                drawn ? &of_batches : NULL);
}

/* Row numbers of the next batch (borrowed, valid until the next epoch), 0 at the end.
 */
static int64_t next_rows(Batches *b, const int64_t **rows) {
  *rows = NULL;
  if (b->at >= b->n_batches) return 0;
  int64_t first = b->at * b->options.batch_size, left = b->n_rows - first;
  b->at++;
  *rows = b->order + first;
  return left < b->options.batch_size ? left : b->options.batch_size;
}

/* `*t` is made a tensor of n rows of that shape that no one else holds. */
static Err own_rows(Tensor **t, MemoryCount *memory, DType dtype, const Shape *row,
                    int64_t n, Fault *fault) {
  Shape shape = {.rank = row->rank + 1, .dim = {n}};
  for (int i = 0; i < row->rank; i++) shape.dim[i + 1] = row->dim[i];
  if (*t && (*t)->refs == 1 && (*t)->storage->refs == 1 && (*t)->a.dtype == dtype &&
      shape_equal(&(*t)->a.shape, &shape))
    return ERR_OK;
  tensor_release(*t);
  *t = tensor_new(memory, dtype, &shape, fault);
  return *t ? ERR_OK : ERR_MEMORY;
}

static Shape row_shape(const Tensor *from) {
  Shape row = {.rank = from->a.shape.rank - 1};
  for (int i = 0; i < row.rank; i++) row.dim[i] = from->a.shape.dim[i + 1];
  return row;
}

/* The same of rows as `from` has them; NULL where that is. */
static Err own_like(Tensor **t, MemoryCount *memory, const Tensor *from, int64_t n,
                    Fault *fault) {
  if (!from) {
    tensor_release(*t);
    *t = NULL;
    return ERR_OK;
  }
  Shape row = row_shape(from);
  return own_rows(t, memory, from->a.dtype, &row, n, fault);
}

static Err own_batch(const Dataset *set, Batch *batch, int64_t n, Fault *fault) {
  MemoryCount *memory = set->source->memory;
  const Rows *rows = set->rows;
  Err err = own_rows(&batch->x[0], memory, DT_REAL, &set->given, n, fault);
  for (int i = 0; !err && i < rows->n_more; i++) {
    Shape row = row_shape(rows->more[i]);
    err = own_rows(&batch->x[i + 1], memory, DT_REAL, &row, n, fault);
  }
  batch->n_x = 1 + rows->n_more;
  if (!err) err = own_like(&batch->y, memory, rows->y, n, fault);
  if (!err) err = own_like(&batch->weight, memory, rows->weight, n, fault);
  return err ? err : own_like(&batch->mask, memory, rows->mask, n, fault);
}

/* Rows of a further input, as reals. */
static void fill_more(const Dataset *set, const Array *from, const int64_t *rows,
                      int64_t n, const Array *to) {
  int64_t n_row = shape_stride(&from->shape, 0);
  for (int64_t i = 0; i < n; i++)
    fill_uniform((real *)to->data + i * n_row, from, dataset_row(set, rows[i]) * n_row,
                 n_row, 0, 1);
}

/* Where the weight is 0 a number that is not finite is 0: in a product with a gradient
 * of 0 it would be NaN. `x` has the first axes of the weights, or is left as it is. */
static void quiet_weightless(const Array *x, const Array *weight) {
  if (!shape_begins(&x->shape, &weight->shape)) return;
  int64_t n_weights = shape_count(&weight->shape),
          run = shape_count(&x->shape) / n_weights;
  real *v = x->data;
  for (int64_t i = 0; i < n_weights; i++)
    for (int64_t j = 0; ((const real *)weight->data)[i] == 0 && j < run; j++)
      if (!isfinite(v[i * run + j])) v[i * run + j] = 0;
}

/* Tokens of the rows hidden, by the row's own stream; where nothing is trained always
 * the same ones. */
static void hide_tokens(const Dataset *set, const int64_t *rows, int64_t n,
                        const Array *x, const Array *weight, const Augment *augment) {
  int64_t t = shape_stride(&x->shape, 0);
  const Augment still = {set->masker->key, 0};
  for (int64_t i = 0; i < n; i++)
    masker_row(set->masker, (real *)x->data + i * t, (real *)weight->data + i * t, t,
               row_stream(augment ? augment : &still, dataset_row(set, rows[i])));
}

static Err fill_batch(Batches *b, const int64_t *rows, int64_t n, Batch *batch,
                      Fault *fault) {
  const Dataset *set = b->set;
  Err err = own_batch(set, batch, n, fault);
  if (err) return err;
  Augment augment = {b->options.augment.key,
                     b->options.augment.draw + (uint64_t)b->epoch};
  dataset_fill(set, rows, n, &batch->x[0]->a, batch->y ? &batch->y->a : NULL,
               b->options.training ? &augment : NULL);
  for (int i = 1; i < batch->n_x; i++)
    fill_more(set, &set->rows->more[i - 1]->a, rows, n, &batch->x[i]->a);
  if (batch->mask) copy_rows(set, &set->rows->mask->a, rows, n, &batch->mask->a);
  if (!batch->weight) return ERR_OK;
  copy_rows(set, &set->rows->weight->a, rows, n, &batch->weight->a);
  if (set->masker)
    hide_tokens(set, rows, n, &batch->x[0]->a, &batch->weight->a,
                b->options.training ? &augment : NULL);
  for (int i = 0; i < batch->n_x; i++)
    quiet_weightless(&batch->x[i]->a, &batch->weight->a);
  return ERR_OK;
}

/* `from`, cut to `steps` where it has the steps of the mask, into `*to`; NULL: none. */
static Err cut_part(const Batches *b, const Tensor *from, int64_t steps, Tensor **to,
                    Fault *fault) {
  MemoryCount *memory = b->set->source->memory;
  if (!from) return own_like(to, memory, NULL, 0, fault);
  Shape row = row_shape(from);
  int64_t n = from->a.shape.dim[0];
  bool cut = row.rank > 0 && row.dim[0] == b->buckets->t;
  if (cut) row.dim[0] = steps;
  Err err = own_rows(to, memory, from->a.dtype, &row, n, fault);
  if (!err && cut) buckets_cut(b->buckets, &from->a, &(*to)->a);
  if (!err && !cut)
    memcpy((*to)->a.data, from->a.data,
           (size_t)tensor_count(from) * dtype_bytes(from->a.dtype));
  return err;
}

/* Rows of like lengths, cut to the steps that they need. */
static Err fill_cut(Batches *b, const int64_t *rows, int64_t n, Batch *batch,
                    Fault *fault) {
  Batch *whole = b->whole;
  int64_t steps = buckets_steps(b->buckets, rows, n);
  Err err = fill_batch(b, rows, n, whole, fault);
  batch->n_x = whole->n_x;
  for (int i = 0; i < whole->n_x && !err; i++)
    err = cut_part(b, whole->x[i], steps, &batch->x[i], fault);
  if (!err) err = cut_part(b, whole->y, steps, &batch->y, fault);
  if (!err) err = cut_part(b, whole->weight, steps, &batch->weight, fault);
  return err ? err : cut_part(b, whole->mask, steps, &batch->mask, fault);
}

Err batches_next(Batches *b, Batch *batch, bool *more, Fault *fault) {
  const int64_t *rows;
  int64_t n = next_rows(b, &rows);
  *more = n > 0;
  if (n == 0) return ERR_OK;
  Err err = b->buckets ? fill_cut(b, rows, n, batch, fault)
                       : fill_batch(b, rows, n, batch, fault);
  if (!err) return ERR_OK;
  *more = false;
  b->at--;
  return err;
}

void batch_deinit(Batch *batch) {
  for (int i = 0; i < MAX_INPUTS; i++) tensor_release(batch->x[i]);
  tensor_release(batch->y);
  tensor_release(batch->weight);
  tensor_release(batch->mask);
  *batch = (Batch){0};
}
