/* .npy and .npz: round trips, zip64, and files that lie. What NumPy writes and reads is
 * tested from Lua, in test_file.lua. */
#include "base/zip.h"
#include "hostile.h"
#include "tempdir.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

static bool read_npy(Input *in, Fault *fault) {
  Tensor *t = npy_read(in, NULL, fault);
  tensor_release(t);
  return t != NULL;
}

static bool read_npz(Input *in, Fault *fault) {
  TensorFile file = {0};
  Err err = npz_read(&file, in, NULL, fault);
  tensor_file_deinit(&file);
  return !err;
}

static bool read_safetensors(Input *in, Fault *fault) {
  TensorFile file = {0};
  Err err = safetensors_read(&file, in, NULL, fault);
  tensor_file_deinit(&file);
  return !err;
}

/* -- good files -------------------------------------------------------------------- */

static void make_tensors(NamedTensor out[3]) {
  static char *const names[] = {"weight", "n", "empty \xc3\xa9"};
  Fault fault = {0};
  out[0] = (NamedTensor){names[0], tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 3), &fault)};
  out[1] = (NamedTensor){names[1], tensor_new(NULL, DT_INT32, &SHAPE_SCALAR, &fault)};
  out[2] = (NamedTensor){names[2], tensor_new(NULL, DT_UINT8, &SHAPE_OF(0, 4), &fault)};
  for (int i = 0; i < 6; i++) tensor_reals(out[0].tensor)[i] = (real)(i / 3.0 - 0.7);
  array_set(&out[1].tensor->a, 0, -123456789);
}

static void free_tensors(NamedTensor tensors[3]) {
  for (int i = 0; i < 3; i++) tensor_release(tensors[i].tensor);
}

static void check_same(const char *path, const NamedTensor *want, int n) {
  Fault fault = {0};
  TensorFile file;
  if (tensor_file_load(&file, path, NULL, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(file.n_tensors, n);
  for (int i = 0; i < n; i++) {
    const Array *a = &file.tensors[i].tensor->a, *b = &want[i].tensor->a;
    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_equal(&a->shape, &b->shape));
    assert_memory_equal(a->data, b->data,
                        (size_t)shape_count(&a->shape) * dtype_bytes(a->dtype));
    if (n > 1) assert_string_equal(file.tensors[i].name, want[i].name);
  }
  tensor_file_deinit(&file);
}

TEST(what_is_saved_is_loaded) {
  NamedTensor tensors[3];
  make_tensors(tensors);
  Fault fault = {0};
  for (int compress = 0; compress < 2; compress++) {
    const char *path = temp_path("a.npz");
    if (tensor_file_save(path, tensors, 3, compress, &fault))
      fail_msg("%s", fault.text);
    check_same(path, tensors, 3);
  }
  for (int i = 0; i < 3; i++) {
    const char *path = temp_path("a.npy");
    if (tensor_file_save(path, &tensors[i], 1, false, &fault))
      fail_msg("%s", fault.text);
    check_same(path, &tensors[i], 1);
  }
  free_tensors(tensors);
}

TEST(equal_tensors_give_equal_bytes) {
  NamedTensor tensors[3];
  make_tensors(tensors);
  Fault fault = {0};
  size_t n[2];
  char *bytes[2];
  for (int i = 0; i < 2; i++) {
    const char *path = temp_path("equal.npz");
    assert_int_equal(tensor_file_save(path, tensors, 3, true, &fault), ERR_OK);
    bytes[i] = temp_read(path, &n[i]);
  }
  assert_int_equal(n[0], n[1]);
  assert_memory_equal(bytes[0], bytes[1], n[0]);
  free(bytes[0]);
  free(bytes[1]);
  free_tensors(tensors);
}

TEST(formats_are_told_by_the_name) {
  Fault fault = {0};
  assert_string_equal(tensor_format("x/y.npz", &fault)->suffix, ".npz");
  assert_null(tensor_format("x.npz.gz", &fault));
  assert_non_null(strstr(fault.text, ".npy .npz .safetensors"));
  fault_clear(&fault);
  NamedTensor tensors[3];
  make_tensors(tensors);
  const char *path = temp_path("packed.safetensors");
  assert_int_equal(tensor_file_save(path, tensors, 3, true, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "not compressed"));
  free_tensors(tensors);
}

/* An archive of one array as zip_begin writes it when sizes from `wide_from` on are
 * wide. */
static const char *wide_archive(ZipMethod method, int64_t wide_from) {
  static const char head[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), "
                             "}\n";
  char bytes[128] = "\x93NUMPY\1";
  bytes[8] = (char)strlen(head);
  bytes[9] = 0;
  memcpy(bytes + 10, head, strlen(head));
  const char *path = temp_path("wide.npz");
  FILE *file = fopen(path, "wb");
  ZipWriter zip;
  Fault fault = {0};
  zip_begin(&zip, file, method);
  zip.wide_from = wide_from;
  for (int i = 0; i < 3; i++) {
    char name[] = {(char)('a' + i), '.', 'n', 'p', 'y', 0};
    Err err = zip_add(&zip, name, bytes, 10 + strlen(head), "hello", 5, &fault);
    assert_int_equal(err, ERR_OK);
  }
  assert_int_equal(zip_finish(&zip, &fault), ERR_OK);
  assert_int_equal(fclose(file), 0);
  return path;
}

TEST(zip64_is_written_and_read) {
  for (int64_t wide_from = 0; wide_from < 400; wide_from += 7) {
    ZipMethod method = wide_from % 2 ? ZIP_STORED : ZIP_DEFLATED;
    const char *path = wide_archive(method, wide_from);
    TensorFile file;
    Fault fault = {0};
    if (tensor_file_load(&file, path, NULL, &fault)) fail_msg("%s", fault.text);
    assert_int_equal(file.n_tensors, 3);
    assert_string_equal(file.tensors[2].name, "c");
    assert_memory_equal(file.tensors[2].tensor->a.data, "hello", 5);
    tensor_file_deinit(&file);
  }
}

/* -- hostile files ----------------------------------------------------------------- */

static void header_refused(const char *dict, const char *text) {
  unsigned char bytes[512] = "\x93NUMPY\1";
  size_t n = strlen(dict);
  bytes[8] = (unsigned char)(n & 255);
  bytes[9] = (unsigned char)(n >> 8);
  memcpy(bytes + 10, dict, n);
  memset(bytes + 10 + n, 1, 8);
  refuses(read_npy, bytes, 10 + n + 8, text);
}

TEST(headers_that_lie_are_refused) {
#define DICT(descr, order, shape) \
  "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"
  header_refused("", "no dictionary");
  header_refused("{", "a key");
  header_refused("{'descr': '<f4'}", "fortran_order");
  header_refused("{'descr': '<f4' 'shape': (2,)}", "a comma");
  header_refused("{'descr': '<f4', 'descr': '<f4'}", "a key");
  header_refused("{'kind': '<f4'}", "a key");
  header_refused(DICT("'<f4", "False", "(2,)"), "a comma");
  header_refused(DICT("4", "False", "(2,)"), "'descr'");
  header_refused(DICT("'<f4'", "None", "(2,)"), "'fortran_order'");
  header_refused(DICT("'<f4'", "False", "2"), "'shape'");
  header_refused(DICT("'<f4'", "False", "(2"), "'shape'");
  header_refused(DICT("'<f4'", "False", "(-2,)"), "'shape'");
  header_refused(DICT("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 2)"), "more than 6 axes");
  header_refused(DICT("'<f4'", "False", "(99999999999999999999,)"), "'shape'");
  header_refused(DICT("'<f4'", "False", "(3,)"), "cannot hold F32 of shape 3");
  header_refused(DICT("'<f4'", "False", "(4294967296, 4294967296)"), "cannot hold");
  header_refused(DICT("'<f4'", "False",
                      "(4611686018427387904, 4611686018427387904, 0)"),
                 "cannot hold");
  header_refused(DICT("'<f4'", "False", "(1,)"), "bytes after the data");
  header_refused(DICT("'<f4'", "False", "(2,)") "x", "more than a dictionary");
  header_refused(DICT("'<c8'", "False", "(1,)"), "type '<c8' cannot be used");
  header_refused(DICT("'f4'", "False", "(2,)"), "type 'f4' cannot be used");
  header_refused(DICT("''", "False", "(2,)"), "type '' cannot be used");
  header_refused(DICT("'|O'", "False", "(1,)"), "type '|O' cannot be used");
  header_refused(DICT("[('a', '<f4')]", "False", "(2,)"), "records");
  refuses(read_npy, "\x93NUMPY\4\0", 8, "version 4.0");
  refuses(read_npy, "\x93NUMPX\1\0", 8, "is no .npy file");
  refuses(read_npy, "\x93NUMPY\2\0\xff\xff\xff\xff", 12, "allowed: up to");
}

TEST(values_that_do_not_fit_are_refused) {
  header_refused(DICT("'<i8'", "False", "(1,)"), "does not fit");
  header_refused(DICT("'>u8'", "False", "(1,)"), "does not fit");
}

static char *fixture(const char *name, size_t *n) {
  char path[128];
  snprintf(path, sizeof path, "tests/tensor/fixtures/%s", name);
  char *bytes = temp_read(path, n);
  assert_non_null(bytes);
  return bytes;
}

static void attack(Reader *reader, const char *name) {
  size_t n;
  char *bytes = fixture(name, &n);
  refuses_prefixes(reader, bytes, 0, n);
  survives_flips(reader, bytes, n);
  free(bytes);
}

TEST(cut_and_flipped_arrays) {
  attack(read_npy, "column_major_high.npy");
  attack(read_npy, "version_3.npy");
}

TEST(cut_and_flipped_archives) {
  attack(read_npz, "streamed.npz");
  attack(read_npz, "compressed.npz");
  size_t n;
  char *bytes = temp_read(wide_archive(ZIP_DEFLATED, 0), &n);
  refuses_prefixes(read_npz, bytes, 0, n);
  survives_flips(read_npz, bytes, n);
  free(bytes);
}

TEST(flipped_safetensors) {
  NamedTensor tensors[3];
  make_tensors(tensors);
  Fault fault = {0};
  const char *path = temp_path("flip.safetensors");
  assert_int_equal(tensor_file_save(path, tensors, 3, false, &fault), ERR_OK);
  size_t n;
  char *bytes = temp_read(path, &n);
  refuses_prefixes(read_safetensors, bytes, 0, n);
  survives_flips(read_safetensors, bytes, n);
  free(bytes);
  free_tensors(tensors);
}

/* Finds the n-th record with that mark. */
static unsigned char *find_mark(char *bytes, size_t n, const char *mark, int nth) {
  for (size_t i = 0; i + 4 <= n; i++)
    if (memcmp(bytes + i, mark, 4) == 0 && nth-- == 0)
      return (unsigned char *)bytes + i;
  fail_msg("no such record");
  return NULL;
}

static void archive_refused(size_t at, int nth, const char *mark, const char *put,
                            size_t n_put, const char *text) {
  size_t n;
  char *bytes = fixture("streamed.npz", &n);
  memcpy(find_mark(bytes, n, mark, nth) + at, put, n_put);
  refuses(read_npz, bytes, n, text);
  free(bytes);
}

TEST(archives_that_lie_are_refused) {
  static const char entry[] = "PK\1\2", local[] = "PK\3\4", end[] = "PK\5\6";
  archive_refused(8, 0, entry, "\x09", 1, "is encrypted");
  archive_refused(10, 0, entry, "\x0c", 1, "method 12");
  archive_refused(16, 0, entry, "\1\2\3\4", 4, "the checksum is wrong");
  archive_refused(24, 0, entry, "\xff\xff\xff\x7f", 4, "cannot unpack to its size");
  archive_refused(20, 0, entry, "\xff\xff\xff\x7f", 4, "lies outside");
  archive_refused(42, 0, entry, "\xff\xff\xff\x7f", 4, "lies outside");
  archive_refused(42, 1, entry, "\0\0\0\0", 4, "differs from its directory");
  archive_refused(46, 0, entry, "d", 1, "differs from its directory");
  archive_refused(0, 0, local, "x", 1, "lies outside");
  archive_refused(10, 0, end, "\xff\x7f", 2, "several disks");
  archive_refused(8, 0, end, "\xff\x7f\xff\x7f", 4, "does not fit into it");
  archive_refused(16, 0, end, "\xff\xff\xff\x7f", 4, "does not fit into it");
  archive_refused(16, 0, end, "\xff\xff\xff\xff", 4, "no zip64 end");
  archive_refused(0, 0, end, "x", 1, "its directory is missing");
}

/* Two entries of the directory that share one entry's bytes: how a small archive would
 * unpack to much. */
TEST(overlapping_entries_are_refused) {
  size_t n;
  char *bytes = temp_read(wide_archive(ZIP_STORED, (int64_t)1 << 31), &n);
  unsigned char *second = find_mark(bytes, n, "PK\1\2", 1);
  unsigned char *local = find_mark(bytes, n, "PK\3\4", 0);
  memset(second + 42, 0, 4); /* where the first one's bytes are */
  local[30] = 'b';
  find_mark(bytes, n, "PK\1\2", 0)[46] = 'b'; /* under one name */
  refuses(read_npz, bytes, n, "holds \"b.npy\" twice");
  free(bytes);
}

/* What protects the machine from a small archive that truly holds much. */
TEST(more_than_the_free_memory_is_refused) {
  Fault fault = {0};
  assert_int_equal(memory_holds(INT64_MAX / 2, &fault), ERR_MEMORY);
  assert_non_null(strstr(fault.text, "GB are free"));
  fault_clear(&fault);
  assert_int_equal(memory_holds(1000, &fault), ERR_OK);
}
