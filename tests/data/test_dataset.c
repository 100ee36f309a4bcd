/* Views, splits, transforms, batches, on sets of tensors. */
#include "given_set.h"
#include "data/data.h"
#include "data/dataset.h"
#include "test.h"

/* n rows of 2 x 3 features; feature j of row i is 10 i + j; labels i mod 3 + 1. */
static Dataset *numbered(int64_t n, DType dtype) {
  Fault fault = {0};
  Tensor *x = tensor_new(NULL, dtype, &SHAPE_OF(n, 2, 3), &fault);
  Tensor *y = tensor_new(NULL, DT_INT32, &SHAPE_OF(n), &fault);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < 6; j++) array_set(&x->a, 6 * i + j, (double)(10 * i + j));
    array_set(&y->a, i, (double)(i % 3 + 1));
  }
  Source *source = source_of(x, y, 0, 1, NULL, &fault);
  tensor_release(x);
  tensor_release(y);
  if (!source) fail_msg("%s", fault.text);
  Dataset *set = dataset_open(source, 0, &fault);
  object_release(source);
  assert_int_equal(dataset_load(set, &fault), ERR_OK);
  return set;
}

/* Row numbers of the source that the set's rows have, known by their first feature. */
static void source_rows_of(Dataset *set, int64_t *out) {
  Fault fault = {0};
  for (int64_t i = 0; i < dataset_n(set); i++) {
    Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(1, 2, 3), &fault);
    Tensor *y = tensor_new(NULL, DT_INT32, &SHAPE_OF(1), &fault);
    dataset_fill(set, &i, 1, &x->a, &y->a, NULL);
    out[i] = (int64_t)(tensor_reals(x)[0] / 10);
    assert_int_equal(((int32_t *)y->a.data)[0], out[i] % 3 + 1);
    tensor_release(x);
    tensor_release(y);
  }
}

TEST(rows_are_filled_for_every_type) {
  const DType types[] = {DT_UINT8, DT_INT32, DT_REAL};
  for (int t = 0; t < 3; t++) {
    Dataset *set = numbered(7, types[t]);
    int64_t rows[7];
    source_rows_of(set, rows);
    for (int i = 0; i < 7; i++) assert_int_equal(rows[i], i);
    assert_int_equal(dataset_classes(set), 3);
    dataset_release(set);
  }
}

TEST(shuffle_is_a_permutation_and_repeats) {
  Fault fault = {0};
  Dataset *set = numbered(50, DT_REAL);
  Stream stream = {philox_key(3, "order", "a"), 0};
  Dataset *a = dataset_shuffle(set, stream, &fault);
  Dataset *b = dataset_shuffle(set, stream, &fault);
  stream.draw = 1;
  Dataset *c = dataset_shuffle(set, stream, &fault);
  int64_t ra[50], rb[50], rc[50];
  int seen[50] = {0};
  source_rows_of(a, ra);
  source_rows_of(b, rb);
  source_rows_of(c, rc);
  for (int i = 0; i < 50; i++) seen[ra[i]]++;
  for (int i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
  assert_memory_equal(ra, rb, sizeof ra);
  assert_memory_not_equal(ra, rc, sizeof ra);
  Dataset *first = dataset_take(a, 5, &fault);
  int64_t rf[5];
  source_rows_of(first, rf);
  assert_memory_equal(rf, ra, sizeof rf);
  Dataset *picked = dataset_subset(first, (int64_t[]){4, 4, 0}, 3, &fault);
  int64_t rp[3];
  source_rows_of(picked, rp);
  assert_true(rp[0] == ra[4] && rp[1] == ra[4] && rp[2] == ra[0]);
  assert_null(dataset_subset(first, (int64_t[]){5}, 1, &fault));
  assert_non_null(strstr(fault.text, "row 6 of set, allowed: 1 to 5"));
  Dataset *all[] = {set, a, b, c, first, picked};
  for (int i = 0; i < 6; i++) dataset_release(all[i]);
}

static void check_split(SplitOptions options, int64_t n, int64_t want_first) {
  Fault fault = {0};
  Dataset *set = numbered(n, DT_UINT8), *a, *b, *a2, *b2;
  if (dataset_split(set, &options, &a, &b, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(dataset_split(set, &options, &a2, &b2, &fault), ERR_OK);
  assert_int_equal(dataset_n(a), want_first);
  assert_int_equal(dataset_n(a) + dataset_n(b), n);
  int64_t rows[26], again[26];
  int seen[26] = {0};
  source_rows_of(a, rows);
  source_rows_of(b, rows + want_first);
  source_rows_of(a2, again);
  assert_memory_equal(rows, again, (size_t)want_first * sizeof *rows);
  for (int64_t i = 0; i < n; i++) seen[rows[i]]++;
  for (int64_t i = 0; i < n; i++) assert_int_equal(seen[i], 1);
  for (int64_t i = 1; i < want_first; i++) assert_true(rows[i] > rows[i - 1]);
  if (options.stratify) {
    int count[3] = {0};
    for (int64_t i = 0; i < want_first; i++) count[rows[i] % 3]++;
    for (int c = 0; c < 3; c++) assert_true(abs(3 * count[c] - (int)want_first) <= 3);
  }
  if (!options.shuffle && !options.stratify)
    for (int64_t i = 0; i < n; i++) assert_int_equal(rows[i], i);
  Dataset *all[] = {set, a, b, a2, b2};
  for (int i = 0; i < 5; i++) dataset_release(all[i]);
}

TEST(splits_share_the_rows_out) {
  Stream stream = {philox_key(1, "split", "fit1"), 0};
  check_split((SplitOptions){.fraction = 0.9, .shuffle = true, .stream = stream}, 20,
              18);
  check_split((SplitOptions){.fraction = 0.9}, 20, 18);
  check_split((SplitOptions){.fraction = 1e-9}, 20, 1);
  check_split((SplitOptions){.fraction = 0.999}, 20, 19);
  check_split((SplitOptions){.n_first = 7, .shuffle = true, .stream = stream}, 20, 7);
  check_split((SplitOptions){.n_first = 10, .stratify = true, .shuffle = true,
                             .stream = stream}, 25, 10);
  check_split((SplitOptions){.fraction = 0.5, .stratify = true}, 26, 13);
}

/* 70,000 labels, 1 for each class but the first, which has half of them. */
TEST(splits_share_many_classes_out) {
  enum { N = 70000, HALF = N / 2 };
  Fault fault = {0};
  Tensor *x = tensor_new(NULL, DT_UINT8, &SHAPE_OF(N, 1), &fault);
  Tensor *y = tensor_new(NULL, DT_INT32, &SHAPE_OF(N), &fault);
  for (int i = 0; i < N; i++) {
    array_set(&x->a, i, 0);
    array_set(&y->a, i, i < HALF ? 1 : 2 + i - HALF);
  }
  Source *source = source_of(x, y, 0, 1, NULL, &fault);
  Dataset *set = dataset_open(source, 0, &fault), *a, *b;
  assert_int_equal(dataset_load(set, &fault), ERR_OK);
  assert_int_equal(dataset_classes(set), HALF + 1);
  SplitOptions split = {.n_first = HALF + 1, .stratify = true};
  assert_int_equal(dataset_split(set, &split, &a, &b, &fault), ERR_OK);
  /* Remainders of 1/2 for the large class, a little more for the others: their
   * first. */
  assert_int_equal(dataset_n(a), HALF + 1);
  for (int i = 0; i < HALF + 1; i++)
    assert_int_equal(dataset_row(a, i), i < HALF / 2 ? i : HALF / 2 + i);
  dataset_release(a);
  dataset_release(b);
  dataset_release(set);
  object_release(source);
  tensor_release(x);
  tensor_release(y);
}

static void bad_split(SplitOptions options, int64_t n, const char *text) {
  Fault fault = {0};
  Dataset *set = numbered(n, DT_REAL), *a, *b;
  assert_true(dataset_split(set, &options, &a, &b, &fault) != ERR_OK);
  if (!strstr(fault.text, text)) fail_msg("got \"%s\", want \"%s\"", fault.text, text);
  assert_null(a);
  assert_null(b);
  dataset_release(set);
}

TEST(splits_that_cannot_be_are_refused) {
  bad_split((SplitOptions){.fraction = 0}, 5, "got 0, allowed: a fraction");
  bad_split((SplitOptions){.fraction = 1.5}, 5, "got 1.5");
  bad_split((SplitOptions){.fraction = NAN}, 5, "got nan");
  bad_split((SplitOptions){.n_first = 5}, 5, "got 5 rows, allowed: 1 to 4");
  bad_split((SplitOptions){.n_first = -1}, 5, "got -1 rows");
  bad_split((SplitOptions){.fraction = 0.5}, 1, "one row");
  bad_split((SplitOptions){.fraction = 0.5}, 0, "data set is empty");
}

/* -- transforms -------------------------------------------------------------------- */

/* Mean and deviation of each group of features over all rows, by the plain formulas. */
static void check_normal(Dataset *set, Per per) {
  Fault fault = {0};
  int64_t n = dataset_n(set);
  Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(n, 2, 3), &fault);
  for (int64_t i = 0; i < n; i++) {
    Array row = {SHAPE_OF(1, 2, 3), DT_REAL, tensor_reals(x) + 6 * i};
    dataset_fill(set, &i, 1, &row, NULL, NULL);
  }
  int64_t groups = per == PER_ALL ? 1 : per == PER_CHANNEL ? 2 : 6, run = 6 / groups;
  for (int64_t g = 0; g < groups; g++) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = g * run; j < (g + 1) * run; j++) {
        double v = (double)tensor_reals(x)[6 * i + j];
        sum += v;
        squares += v * v;
      }
    double count = (double)(n * run);
    CHECK_NEAR(sum / count, 0, 1e-6);
    CHECK_NEAR(squares / count, 1, 1e-5);
  }
  tensor_release(x);
}

TEST(normalized_sets_have_mean_0_and_deviation_1) {
  const DType types[] = {DT_UINT8, DT_INT32, DT_REAL};
  const Per pers[] = {PER_ALL, PER_CHANNEL, PER_FEATURE};
  Fault fault = {0};
  for (int t = 0; t < 3; t++)
    for (int p = 0; p < 3; p++) {
      Dataset *set = numbered(25, types[t]), *other = numbered(7, types[t]);
      Transform *a = transform_normalize(set, pers[p], &fault);
      Dataset *normal = dataset_apply(set, a, &fault);
      check_normal(normal, pers[p]);
      /* After other transforms, finer and coarser ones. */
      for (int q = 0; q < 3; q++) {
        Transform *shifted = transform_normalize(other, PER_ALL, &fault);
        Dataset *scaled = dataset_apply(normal, shifted, &fault);
        Transform *b = transform_normalize(scaled, pers[q], &fault);
        Dataset *twice = dataset_apply(scaled, b, &fault);
        check_normal(twice, pers[q]);
        object_release(shifted);
        object_release(b);
        dataset_release(scaled);
        dataset_release(twice);
      }
      object_release(a);
      dataset_release(normal);
      dataset_release(other);
      dataset_release(set);
    }
}

TEST(a_transform_of_the_training_rows_serves_others) {
  Fault fault = {0};
  Dataset *set = numbered(20, DT_UINT8), *train, *rest;
  SplitOptions options = {.n_first = 10};
  assert_int_equal(dataset_split(set, &options, &train, &rest, &fault), ERR_OK);
  Transform *t = transform_normalize(train, PER_FEATURE, &fault);
  assert_int_equal(transform_n(t), 6);
  CHECK_NEAR(transform_shift(t, 2), 47, 1e-12);
  CHECK_NEAR(transform_scaling(t, 2), 1 / sqrt(825.0), 1e-12);
  Dataset *normal = dataset_apply(rest, t, &fault);
  Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(1, 2, 3), &fault);
  dataset_fill(normal, (int64_t[]){0}, 1, &x->a, NULL, NULL);
  CHECK_NEAR((double)tensor_reals(x)[2], (102 - 47) / sqrt(825.0), 1e-6);
  tensor_release(x);
  object_release(t);
  Dataset *all[] = {set, train, rest, normal};
  for (int i = 0; i < 4; i++) dataset_release(all[i]);
}

TEST(constant_features_are_centred_only) {
  Fault fault = {0};
  Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(3, 2), &fault);
  for (int i = 0; i < 3; i++) {
    tensor_reals(x)[2 * i] = (real)0.1;
    tensor_reals(x)[2 * i + 1] = (real)i;
  }
  Source *source = source_of(x, NULL, 0, 1, NULL, &fault);
  Dataset *set = dataset_open(source, 0, &fault);
  Transform *t = transform_normalize(set, PER_FEATURE, &fault);
  CHECK_NEAR(transform_shift(t, 0), 0.1, 1e-7);
  CHECK_NEAR(transform_scaling(t, 0), 1, 0);
  CHECK_NEAR(transform_scaling(t, 1), sqrt(1.5), 1e-7);
  Dataset *other = numbered(3, DT_REAL);
  assert_null(dataset_apply(other, t, &fault));
  assert_int_equal(fault.code, ERR_SHAPE);
  object_release(t);
  fault_clear(&fault);
  tensor_reals(x)[0] = (real)NAN;
  assert_null(transform_normalize(set, PER_ALL, &fault));
  assert_non_null(strstr(fault.text, "not finite"));
  dataset_release(other);
  dataset_release(set);
  object_release(source);
  tensor_release(x);
}

/* -- labels ------------------------------------------------------------------------ */

static void set_refused(const double *labels, int64_t n, int64_t classes, int64_t base,
                        const char *text) {
  Fault fault = {0};
  Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 1), &fault);
  Tensor *y = tensor_new(NULL, DT_REAL, &SHAPE_OF(n), &fault);
  for (int64_t i = 0; i < n; i++) array_set(&y->a, i, labels[i]);
  for (int64_t i = 0; i < 2; i++) array_set(&x->a, i, 0);
  if (source_of(x, y, classes, base, NULL, &fault)) fail_msg("accepted");
  if (!strstr(fault.text, text)) fail_msg("got \"%s\", want \"%s\"", fault.text, text);
  tensor_release(x);
  tensor_release(y);
}

TEST(labels_out_of_range_are_refused) {
  set_refused((double[]){1, 0}, 2, 2, 1,
              "label 0 in row 2, allowed: whole numbers from 1 to 2 (labels count from "
              "1");
  set_refused((double[]){3, 1}, 2, 2, 1, "label 3 in row 1");
  set_refused((double[]){1.5, 1}, 2, 2, 1, "label 1.5 in row 1");
  set_refused((double[]){1, NAN}, 2, 2, 1, "label nan in row 2");
  set_refused((double[]){-1, 1}, 2, 2, 0,
              "label -1 in row 1, allowed: whole numbers from 0 to 1");
  set_refused((double[]){1, 1, 1}, 3, 2, 1, "x has 2 rows, y has 3");
}

TEST(real_targets_stay_as_they_are) {
  Fault fault = {0};
  Tensor *x = tensor_new(NULL, DT_UINT8, &SHAPE_OF(2, 1), &fault);
  Tensor *y = tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 2), &fault);
  for (int i = 0; i < 2; i++) array_set(&x->a, i, 200 + i);
  for (int i = 0; i < 4; i++) array_set(&y->a, i, i + 0.5);
  Source *source = source_of(x, y, 0, 1, NULL, &fault);
  Dataset *set = dataset_open(source, 0, &fault);
  assert_int_equal(dataset_load(set, &fault), ERR_OK);
  assert_false(dataset_has_labels(set));
  Batch batch = {0};
  Batches b;
  bool more;
  BatchOptions options = {.batch_size = 2, .shuffle = SHUFFLE_NONE};
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_OK);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  CHECK_NEAR(array_get(&batch.x[0]->a, 1), 201, 0);
  CHECK_NEAR(array_get(&batch.y->a, 3), 3.5, 0);
  batches_close(&b);
  Dataset *first, *second;
  SplitOptions split = {.n_first = 1, .stratify = true};
  assert_int_equal(dataset_split(set, &split, &first, &second, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "stratify needs labels"));
  batch_deinit(&batch);
  tensor_release(x);
  tensor_release(y);
  dataset_release(set);
  object_release(source);
}

/* -- batches ----------------------------------------------------------------------- */

/* Walks an epoch; checks that each row comes once; returns the number of batches. */
static int walk(Batches *b, int64_t n, int64_t *order, bool whole) {
  Batch batch = {0};
  Fault fault = {0};
  bool more = true;
  int64_t at = 0;
  int count = 0;
  while (batches_next(b, &batch, &more, &fault) == ERR_OK && more) {
    count++;
    for (int64_t i = 0; i < batch.x[0]->a.shape.dim[0]; i++)
      order[at++] = (int64_t)(tensor_reals(batch.x[0])[6 * i] / 10);
  }
  int seen[32] = {0};
  for (int64_t i = 0; i < at; i++) seen[order[i]]++;
  for (int64_t i = 0; i < n; i++) assert_true(whole ? seen[i] == 1 : seen[i] <= 1);
  batch_deinit(&batch);
  return count;
}

TEST(batches_cover_the_set_in_an_order_of_their_own) {
  Fault fault = {0};
  Dataset *set = numbered(20, DT_UINT8);
  Stream stream = {philox_key(1, "order", "fit1"), 0};
  BatchOptions options = {.batch_size = 6, .order = stream};
  Batches b;
  int64_t first[20], second[20], again[20];
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_OK);
  assert_int_equal(b.n_batches, 4);
  assert_int_equal(walk(&b, 20, first, true), 4);
  batches_epoch(&b, 1);
  assert_int_equal(walk(&b, 20, second, true), 4);
  batches_epoch(&b, 0);
  walk(&b, 20, again, true);
  assert_memory_not_equal(first, second, sizeof first);
  assert_memory_equal(first, again, sizeof first);
  batches_close(&b);

  options.shuffle = SHUFFLE_ONCE;
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_OK);
  batches_epoch(&b, 1);
  walk(&b, 20, again, true);
  assert_memory_equal(first, again, sizeof first);
  batches_close(&b);

  options.shuffle = SHUFFLE_NONE;
  options.drop_last = true;
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_OK);
  assert_int_equal(b.n_batches, 3);
  assert_int_equal(walk(&b, 20, again, false), 3);
  for (int i = 0; i < 18; i++) assert_int_equal(again[i], i);
  batches_close(&b);
  dataset_release(set);
}

TEST(batches_reuse_what_nobody_else_holds) {
  Fault fault = {0};
  Dataset *set = numbered(20, DT_UINT8);
  BatchOptions options = {.batch_size = 8, .shuffle = SHUFFLE_NONE};
  Batches b;
  Batch batch = {0};
  bool more;
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_OK);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  Tensor *old_x = batch.x[0], *old_y = batch.y;
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  assert_ptr_equal(batch.x[0], old_x);
  assert_ptr_equal(batch.y, old_y);
  Tensor *kept = tensor_retain(batch.x[0]);
  batches_epoch(&b, 0);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  assert_ptr_not_equal(batch.x[0], kept);
  CHECK_NEAR((double)tensor_reals(kept)[0], 80, 0);
  CHECK_NEAR((double)tensor_reals(batch.x[0])[0], 0, 0);
  Tensor *view = tensor_view(batch.x[0], 0, &SHAPE_OF(48), &fault);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  CHECK_NEAR((double)tensor_reals(view)[0], 0, 0);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  assert_true(more);
  assert_int_equal(batch.x[0]->a.shape.dim[0], 4);
  assert_int_equal(batches_next(&b, &batch, &more, &fault), ERR_OK);
  assert_false(more);
  batches_close(&b);
  batches_close(&b);
  tensor_release(kept);
  tensor_release(view);
  batch_deinit(&batch);
  dataset_release(set);
}

TEST(batches_that_cannot_be_are_refused) {
  Fault fault = {0};
  Dataset *set = numbered(5, DT_REAL), *empty = numbered(0, DT_REAL);
  Batches b;
  BatchOptions options = {.batch_size = 0};
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "batch_size: got 0"));
  fault_clear(&fault);
  options = (BatchOptions){.batch_size = 6, .drop_last = true};
  assert_int_equal(batches_open(&b, set, &options, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "data set is empty"));
  fault_clear(&fault);
  options.drop_last = false;
  assert_int_equal(batches_open(&b, empty, &options, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "data set is empty: set"));
  fault_clear(&fault);
  assert_null(dataset_take(set, 6, &fault));
  assert_non_null(strstr(fault.text, "got 6 rows, allowed: 1 to 5"));
  dataset_release(set);
  dataset_release(empty);
}
