/* IDX files, good and hostile, and Fashion-MNIST where it is installed. */
#include "options.h"
#include "data/sources.h"
#include "files.h"
#include "test.h"

static Source *idx_source(const char *images, const char *labels, double label_base,
                          double classes) {
  Fault fault = {0};
  Object *o = family_make(&dataset_family, "spirals", &fault);
  object_release(o);
  const Kind *kind = family_find(&dataset_family, "idx", &fault);
  o = object_new(kind, &fault);
  assert_non_null(o);
  Err err = option_set_text(o, option_find(kind, "images", &fault), images, &fault);
  if (!err && labels)
    err = option_set_text(o, option_find(kind, "labels", &fault), labels, &fault);
  if (!err)
    err = give_number(o, option_find(kind, "label_base", &fault), label_base, &fault);
  if (!err) err = give_number(o, option_find(kind, "classes", &fault), classes, &fault);
  if (err) fail_msg("%s", fault.text);
  return (Source *)o;
}

static void check_images(const char *images, const char *labels) {
  Fault fault = {0};
  Source *source = idx_source(images, labels, 0, 0);
  Dataset *set = dataset_open(source, 0, &fault);
  object_release(source);
  int64_t n;
  if (dataset_count(set, &n, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(n, 5);
  Shape f = dataset_input(set, 0);
  assert_true(shape_equal(&f, &SHAPE_OF(1, 2, 3)));
  assert_int_equal(dataset_classes(set), 3);
  Tensor *x = tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 1, 2, 3), &fault);
  Tensor *y = tensor_new(NULL, DT_INT32, &SHAPE_OF(2), &fault);
  dataset_fill(set, (int64_t[]){4, 0}, 2, &x->a, &y->a, NULL);
  for (int j = 0; j < 6; j++) {
    CHECK_NEAR((double)tensor_reals(x)[j], (24 + j) * 7 % 256 / 255.0, 1e-7);
    CHECK_NEAR((double)tensor_reals(x)[6 + j], j * 7 / 255.0, 1e-7);
  }
  assert_int_equal(((int32_t *)y->a.data)[0], 2);
  assert_int_equal(((int32_t *)y->a.data)[1], 1);
  tensor_release(x);
  tensor_release(y);
  dataset_release(set);
}

TEST(plain_and_gzipped_files_read_the_same) {
  Bytes images = image_bytes(5, 2, 3), labels = label_bytes(5, 3);
  check_images(put_plain("x", &images), put_plain("y", &labels));
  check_images(put_gz("x.gz", &images), put_gz("y.gz", &labels));
}

TEST(nothing_is_read_before_it_is_needed) {
  Fault fault = {0};
  Source *source = idx_source(temp_path("not yet"), NULL, 0, 0);
  Dataset *set = dataset_open(source, 0, &fault);
  assert_non_null(set);
  assert_string_equal(dataset_name(set), "idx");
  assert_int_equal(dataset_load(set, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "not yet: cannot be read"));
  Bytes images = image_bytes(2, 2, 2);
  put_plain("not yet", &images);
  fault_clear(&fault);
  assert_int_equal(dataset_load(set, &fault), ERR_OK);
  assert_false(dataset_has_y(set));
  dataset_release(set);
  object_release(source);
}

static void refused(const char *images, const char *labels, double base, double classes,
                    const char *text) {
  Fault fault = {0};
  Source *source = idx_source(images, labels, base, classes);
  if (source_rows(source, 0, &fault)) fail_msg("accepted; expected \"%s\"", text);
  if (fault.code != ERR_DATA || !strstr(fault.text, text))
    fail_msg("got %d \"%s\", want \"%s\"", fault.code, fault.text, text);
  object_release(source);
}

TEST(files_that_are_not_idx_are_refused) {
  Bytes b = image_bytes(2, 2, 2);
  refused("/", NULL, 0, 0, "is not a file");
  b.v[0] = 1;
  refused(put_plain("magic", &b), NULL, 0, 0, "magic: is not an IDX file");
  b = image_bytes(2, 2, 2), b.v[2] = 0x0A;
  refused(put_plain("type", &b), NULL, 0, 0, "not an IDX file");
  b = image_bytes(2, 2, 2), b.v[3] = 0;
  refused(put_plain("rank0", &b), NULL, 0, 0, "not an IDX file");
  b.v[3] = 7;
  refused(put_plain("rank7", &b), NULL, 0, 0, "not an IDX file");
  b = label_bytes(4, 2);
  refused(put_plain("labels", &b), NULL, 0, 0, "are these labels?");
}

TEST(truncated_and_trailing_bytes_are_refused) {
  Bytes whole = image_bytes(3, 2, 2);
  for (size_t n = 0; n < whole.n; n++) {
    Bytes b = whole;
    b.n = n;
    refused(put_plain("cut", &b), NULL, 0, 0, "cut: truncated");
    refused(put_gz("cut.gz", &b), NULL, 0, 0, "cut.gz: truncated");
  }
  Bytes b = whole;
  bytes_add(&b, "x", 1);
  refused(put_plain("long", &b), NULL, 0, 0, "bytes after the data");
  refused(put_gz("long.gz", &b), NULL, 0, 0, "bytes after the data");
}

TEST(damaged_gzip_is_refused) {
  Bytes whole = image_bytes(6, 8, 8);
  size_t n;
  char *packed = temp_read(put_gz("whole.gz", &whole), &n);
  for (size_t cut = 20; cut < n; cut += 7)
    refused(temp_file("part.gz", packed, cut), NULL, 0, 0, "truncated");
  packed[n - 6] ^= 1; /* the checksum */
  refused(temp_file("sum.gz", packed, n), NULL, 0, 0, "damaged");
  free(packed);
}

TEST(sizes_that_lie_are_refused_before_memory_is_asked_for) {
  Bytes b = idx_header(8, SIZES(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF));
  refused(put_plain("huge", &b), NULL, 0, 0, "cannot hold");
  refused(put_gz("huge.gz", &b), NULL, 0, 0, "cannot hold");
  b = idx_header(8, SIZES(0x10000000, 1, 1));
  refused(put_plain("large", &b), NULL, 0, 0, "cannot hold");
  b = idx_header(8, SIZES(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0));
  refused(put_plain("zero", &b), NULL, 0, 0, "cannot hold");
}

TEST(images_and_labels_must_match) {
  Bytes images = image_bytes(5, 2, 2), labels = label_bytes(4, 3);
  refused(put_plain("x5", &images), put_plain("y4", &labels), 0, 0, "y4 has 4 labels,");
  labels = label_bytes(5, 3);
  const char *x = put_plain("x5", &images), *y = put_plain("y5", &labels);
  refused(x, y, 1, 0,
          "y5: label 0 in row 1, allowed: whole numbers from 1 to 65536 (labels count "
          "from 1");
  refused(x, y, 0, 2, "y5: label 2 in row 3, allowed: whole numbers from 0 to 1");
  refused(x, x, 0, 0, "expected one axis");
}

/* Else memory for two thousand million classes would be asked for. */
TEST(labels_that_lie_make_no_classes) {
  Bytes images = image_bytes(2, 2, 2), labels = idx_header(0x0C, SIZES(2));
  bytes_add(&labels, "\x7F\xFF\xFF\xFF\0\0\0\1", 8);
  const char *x = put_plain("x2", &images), *y = put_plain("y2", &labels);
  refused(x, y, 0, 0,
          "y2: label 2147483647 in row 1, allowed: whole numbers from 0 to 65535 "
          "(classes = n allows more)");
  refused(x, y, -1000000000, 0, "to -999934465");
}

TEST(other_types_are_big_endian) {
  Bytes b = idx_header(0x0D, SIZES(1, 2));
  bytes_add(&b, "\x3F\xC0\0\0\xC0\0\0\0", 8);
  Fault fault = {0};
  Source *source = idx_source(put_plain("float", &b), NULL, 0, 0);
  const Rows *rows = source_rows(source, 0, &fault);
  assert_non_null(rows);
  CHECK_NEAR(array_get(&rows->x->a, 0), 1.5, 0);
  CHECK_NEAR(array_get(&rows->x->a, 1), -2, 0);
  object_release(source);
  b = idx_header(0x0B, SIZES(1, 2));
  bytes_add(&b, "\xFF\xFE\x01\x02", 4);
  source = idx_source(put_plain("short", &b), NULL, 0, 0);
  rows = source_rows(source, 0, &fault);
  CHECK_NEAR(array_get(&rows->x->a, 0), -2, 0);
  CHECK_NEAR(array_get(&rows->x->a, 1), 258, 0);
  object_release(source);
}

/* 1e300 is a double alone, infinity a float too. */
TEST(numbers_that_a_real_does_not_hold_are_refused) {
  Bytes b = idx_header(0x0E, SIZES(2, 2));
  bytes_add(&b, "\x3F\xF0\0\0\0\0\0\0\x7F\xF0\0\0\0\0\0\0", 16);
  bytes_add(&b, "\x3F\xF0\0\0\0\0\0\0\x7E\x37\xE4\x3C\x88\x00\x75\x9C", 16);
  const char *path = put_plain("wide", &b);
  if (sizeof(real) == sizeof(float))
    refused(path, NULL, 0, 0, "wide: element 4 (in row 2) is 1e+300, which type float");
  Fault fault = {0};
  Tensor *t = idx_read(path, false, NULL, &fault);
  assert_true((t != NULL) == (sizeof(real) == sizeof(double)));
  if (t) CHECK_NEAR(array_get(&t->a, 3) / 1e300, 1, 1e-15);
  tensor_release(t);
}

TEST(an_empty_file_is_an_empty_set) {
  Bytes images = idx_header(8, SIZES(0, 2, 2)), labels = label_bytes(0, 1);
  Fault fault = {0};
  Source *source = idx_source(put_plain("x0", &images), put_plain("y0", &labels), 0, 0);
  Dataset *set = dataset_open(source, 0, &fault);
  Batches batches;
  BatchOptions options = {.batch_size = 2};
  assert_int_equal(batches_open(&batches, set, &options, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "data set is empty: idx"));
  fault_clear(&fault);
  assert_null(dataset_take(set, 1, &fault));
  assert_non_null(strstr(fault.text, "data set is empty"));
  fault_clear(&fault);
  assert_null(transform_normalize(set, PER_ALL, &fault));
  assert_non_null(strstr(fault.text, "data set is empty"));
  dataset_release(set);
  object_release(source);
}

TEST(missing_fashion_mnist_names_what_is_wanted) {
  char *old = getenv("RUNNER_DATA") ? strdup(getenv("RUNNER_DATA")) : NULL;
  Fault fault = {0};
  setenv("RUNNER_DATA", temp_path("nowhere"), 1);
  Source *source = (Source *)family_make(&dataset_family, "fashion_mnist", &fault);
  assert_null(source_rows(source, 1, &fault));
  assert_int_equal(fault.code, ERR_DATA);
  const char *const words[] = {
      "nowhere", "dataset-fashion-mnist", "RUNNER_DATA", "train-images-idx3-ubyte",
      "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_non_null(strstr(fault.text, words[i]));
  object_release(source);
  if (old) setenv("RUNNER_DATA", old, 1);
  else unsetenv("RUNNER_DATA");
  free(old);
}

TEST(fashion_mnist_reads_from_runner_data) {
  char *old = getenv("RUNNER_DATA") ? strdup(getenv("RUNNER_DATA")) : NULL;
  Fault fault = {0};
  Bytes images = image_bytes(3, 28, 28), labels = label_bytes(3, 10);
  put_gz("t10k-images-idx3-ubyte.gz", &images);
  put_plain("t10k-labels-idx1-ubyte", &labels);
  temp_path("");
  setenv("RUNNER_DATA", temp_root, 1);
  Source *source = (Source *)family_make(&dataset_family, "fashion_mnist", &fault);
  assert_int_equal(source_parts(source), 2);
  Dataset *test = dataset_open(source, 1, &fault);
  assert_string_equal(dataset_name(test), "fashion_mnist.test");
  if (dataset_load(test, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(dataset_n(test), 3);
  assert_int_equal(dataset_classes(test), 10);
  assert_string_equal(dataset_class_name(test, 10), "Ankle boot");
  assert_null(dataset_class_name(test, 11));
  dataset_release(test);
  object_release(source);
  images = image_bytes(3, 28, 27);
  put_gz("t10k-images-idx3-ubyte.gz", &images);
  source = (Source *)family_make(&dataset_family, "fashion_mnist", &fault);
  assert_null(source_rows(source, 1, &fault));
  assert_non_null(strstr(fault.text, "28 x 28"));
  object_release(source);
  if (old) setenv("RUNNER_DATA", old, 1);
  else unsetenv("RUNNER_DATA");
  free(old);
}

TEST(installed_fashion_mnist_is_whole) {
  if (access("/usr/share/datasets/fashion-mnist", F_OK) != 0) skip();
  Fault fault = {0};
  MemoryCount memory = {0};
  Source *source = (Source *)family_make(&dataset_family, "fashion_mnist", &fault);
  source->memory = &memory;
  Dataset *train = dataset_open(source, 0, &fault),
          *test = dataset_open(source, 1, &fault);
  assert_true(memory.now_bytes == 0);
  int64_t n;
  if (dataset_count(train, &n, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(n, 60000);
  if (dataset_count(test, &n, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(n, 10000);
  assert_true(memory.now_bytes < 57000000); /* images stay bytes */
  Transform *t = transform_normalize(train, PER_ALL, &fault);
  CHECK_NEAR(transform_shift(t, 0), 0.2860, 1e-4);
  CHECK_NEAR(1 / transform_scaling(t, 0), 0.3530, 1e-4);
  object_release(t);
  dataset_release(train);
  dataset_release(test);
  object_release(source);
}
