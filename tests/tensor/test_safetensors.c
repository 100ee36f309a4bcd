/* Round trips, and files that lie. */
#include "tensor/safetensors.h"
#include "tempdir.h"
#include "test.h"

/* A file of a header text (padded to `n_header`, 0: its length) and `n_data` bytes. */
static const char *craft(const char *header, size_t n_header, const void *data,
                         size_t n_data) {
  static char bytes[4096];
  size_t n = n_header ? n_header : strlen(header);
  uint64_t length = n;
  memcpy(bytes, &length, 8);
  memset(bytes + 8, ' ', n);
  memcpy(bytes + 8, header, strlen(header));
  if (n_data) memcpy(bytes + 8 + n, data, n_data);
  return temp_file("crafted.safetensors", bytes, 8 + n + n_data);
}

static void refused(const char *header, const void *data, size_t n_data,
                    const char *text) {
  TensorFile file;
  MemoryCount count = {0};
  Fault fault = {0};
  Err err = safetensors_load(&file, craft(header, 0, data, n_data), &count, &fault);
  if (err != ERR_DATA || !strstr(fault.text, text))
    fail_msg("%s: got %d \"%s\", want \"%s\"", header, err, fault.text, text);
  assert_non_null(strstr(fault.text, "crafted.safetensors"));
  assert_int_equal(file.n_tensors, 0);
  assert_true(count.now_bytes == 0);
}

TEST(what_is_saved_is_loaded) {
  Fault fault = {0};
  Tensor *w = tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 3), &fault);
  Tensor *n = tensor_new(NULL, DT_INT32, &SHAPE_SCALAR, &fault);
  Tensor *u = tensor_new(NULL, DT_UINT8, &SHAPE_OF(5), &fault);
  Tensor *e = tensor_new(NULL, DT_REAL, &SHAPE_OF(0, 4), &fault);
  for (int i = 0; i < 6; i++) tensor_reals(w)[i] = (real)(i / 3.0 - 0.7);
  tensor_reals(w)[5] = (real)NAN;
  array_set(&n->a, 0, -123456789);
  for (int i = 0; i < 5; i++) array_set(&u->a, i, 250 + i);
  char *names[] = {"dense_1.weight", "step", "odd \"name\"\n\xc3\xa9", "empty"};
  NamedTensor all[] = {{names[0], w}, {names[1], n}, {names[2], u}, {names[3], e}};
  NamedText meta[] = {{"format", "runner"}, {"net", "{\"a\": [1]}"}};
  const char *path = temp_path("a.safetensors");
  assert_int_equal(safetensors_save(path, all, 4, meta, 2, &fault), ERR_OK);
  assert_int_equal(safetensors_save(path, all, 4, meta, 2, &fault), ERR_OK);

  size_t n_bytes;
  char *bytes = temp_read(path, &n_bytes);
  uint64_t header;
  memcpy(&header, bytes, 8);
  assert_true(header % 8 == 0);
  assert_true(bytes[8] == '{');
  free(bytes);

  TensorFile file;
  assert_int_equal(safetensors_load(&file, path, NULL, &fault), ERR_OK);
  assert_int_equal(file.n_tensors, 4);
  for (int i = 0; i < 4; i++) {
    assert_string_equal(file.tensors[i].name, all[i].name);
    const Array *a = &file.tensors[i].tensor->a, *b = &all[i].tensor->a;
    assert_int_equal(a->dtype, b->dtype);
    assert_true(shape_equal(&a->shape, &b->shape));
    assert_memory_equal(a->data, b->data,
                        (size_t)shape_count(&a->shape) * dtype_bytes(a->dtype));
  }
  assert_string_equal(tensor_file_meta(&file, "net"), "{\"a\": [1]}");
  assert_null(tensor_file_meta(&file, "none"));
  tensor_file_deinit(&file);
  for (int i = 0; i < 4; i++) tensor_release(all[i].tensor);
}

TEST(an_empty_file_of_tensors_is_fine) {
  TensorFile file;
  Fault fault = {0};
  const char *path = temp_path("none.safetensors");
  assert_int_equal(safetensors_save(path, NULL, 0, NULL, 0, &fault), ERR_OK);
  assert_int_equal(safetensors_load(&file, path, NULL, &fault), ERR_OK);
  assert_int_equal(file.n_tensors, 0);
  tensor_file_deinit(&file);
}

TEST(saving_refuses_bad_names_and_places) {
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, DT_UINT8, &SHAPE_OF(1), &fault);
  array_set(&t->a, 0, 0);
  NamedTensor twice[] = {{"a", t}, {"a", t}}, meta = {"__metadata__", t};
  const char *path = temp_path("b.safetensors");
  assert_int_equal(safetensors_save(path, twice, 2, NULL, 0, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "twice"));
  fault_clear(&fault);
  assert_int_equal(safetensors_save(path, &meta, 1, NULL, 0, &fault), ERR_VALUE);
  assert_int_equal(access(path, F_OK), -1);
  fault_clear(&fault);
  const char *nowhere = temp_path("no/such/place.safetensors");
  assert_int_equal(safetensors_save(nowhere, twice, 1, NULL, 0, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "no/such/place"));
  tensor_release(t);
}

static void loads_as(const char *dtype, const void *bytes, int n_bytes, DType want,
                     double value, double tol) {
  char header[128];
  snprintf(header, sizeof header,
           "{\"t\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%d]}}", dtype,
           n_bytes);
  TensorFile file;
  Fault fault = {0};
  const char *path = craft(header, 0, bytes, (size_t)n_bytes);
  Err err = safetensors_load(&file, path, NULL, &fault);
  if (err) fail_msg("%s: %s", dtype, fault.text);
  assert_int_equal(file.tensors[0].tensor->a.dtype, want);
  CHECK_NEAR(array_get(&file.tensors[0].tensor->a, 0), value, tol);
  tensor_file_deinit(&file);
}

TEST(other_types_are_converted_when_exact) {
  loads_as("F32", &(float){0.1f}, 4, DT_REAL, (double)0.1f, 0);
  loads_as("F64", &(double){0.1}, 8, DT_REAL, 0.1, sizeof(real) == 8 ? 0 : 1e-8);
  loads_as("F16", &(uint16_t){0x3C00}, 2, DT_REAL, 1, 0);
  loads_as("F16", &(uint16_t){0xC500}, 2, DT_REAL, -5, 0);
  loads_as("F16", &(uint16_t){0x0001}, 2, DT_REAL, ldexp(1, -24), 0);
  loads_as("F16", &(uint16_t){0x7BFF}, 2, DT_REAL, 65504, 0);
  loads_as("BF16", &(uint16_t){0xBFC0}, 2, DT_REAL, -1.5, 0);
  loads_as("I8", &(int8_t){-7}, 1, DT_INT32, -7, 0);
  loads_as("I16", &(int16_t){-300}, 2, DT_INT32, -300, 0);
  loads_as("U16", &(uint16_t){65535}, 2, DT_INT32, 65535, 0);
  loads_as("U32", &(uint32_t){7}, 4, DT_INT32, 7, 0);
  loads_as("I64", &(int64_t){-5}, 8, DT_INT32, -5, 0);
  loads_as("U64", &(uint64_t){5}, 8, DT_INT32, 5, 0);
  loads_as("BOOL", &(uint8_t){1}, 1, DT_UINT8, 1, 0);
}

#define ONE(dtype, shape, offsets) \
  "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

TEST(values_that_do_not_fit_are_refused) {
  refused(ONE("I64", "[1]", "[0,8]"), &(int64_t){1LL << 31}, 8, "does not fit");
  refused(ONE("U32", "[1]", "[0,4]"), &(uint32_t){1U << 31}, 4, "does not fit");
  refused(ONE("U64", "[1]", "[0,8]"), &(uint64_t){UINT64_MAX}, 8, "does not fit");
  refused(ONE("BOOL", "[1]", "[0,1]"), "\2", 1, "does not fit");
  if (sizeof(real) == 4)
    refused(ONE("F64", "[1]", "[0,8]"), &(double){1e300}, 8, "does not fit");
  refused(ONE("C64", "[1]", "[0,8]"), "12345678", 8, "cannot be used");
}

TEST(headers_that_lie_are_refused) {
  char zeros[64] = {0};
  refused("{", NULL, 0, "not valid JSON");
  refused("[]", NULL, 0, "not a JSON object");
  refused("{} x", NULL, 0, "not valid JSON");
  refused("{\"t\":1}", NULL, 0, "not a JSON object");
  refused("{\"t\":{\"shape\":[1],\"data_offsets\":[0,1]}}", zeros, 1, "dtype");
  refused(ONE("U8", "[2]", "[0,2]"), zeros, 1, "outside");
  refused(ONE("U8", "[2]", "[0,2]"), zeros, 3, "after the last");
  refused(ONE("U8", "[2]", "[1,3]"), zeros, 3, "gap");
  refused(ONE("U8", "[2]", "[2,0]"), zeros, 2, "outside");
  refused(ONE("U8", "[2]", "[-2,0]"), zeros, 2, "outside");
  refused(ONE("U8", "[2]", "[0,2,4]"), zeros, 2, "two whole numbers");
  refused(ONE("U8", "[2]", "[0,2.5]"), zeros, 2, "two whole numbers");
  refused(ONE("F32", "[2]", "[0,4]"), zeros, 4, "do not fit");
  refused(ONE("U8", "[-2]", "[0,2]"), zeros, 2, "not a size");
  refused(ONE("U8", "2", "[0,2]"), zeros, 2, "not a list");
  refused(ONE("U8", "[1,1,1,1,1,1,2]", "[0,2]"), zeros, 2, "7 axes");
  refused(ONE("F32", "[4294967296,4294967296]", "[0,0]"), NULL, 0, "do not fit");
  refused(ONE("F32", "[4611686018427387904,4611686018427387904,0]", "[0,0]"), NULL, 0,
          "do not fit");
  refused(ONE("F32", "[4611686018427387904]", "[0,0]"), NULL, 0, "do not fit");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
          zeros, 3, "overlap");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
          "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
          zeros, 2, "not valid JSON");
  refused("{\"__metadata__\":{\"a\":1}}", NULL, 0, "not text");
  refused("{\"__metadata__\":\"a\"}", NULL, 0, "not a JSON object");
}

TEST(deep_nesting_is_refused) {
  static char header[2001];
  memset(header, '[', 2000);
  refused(header, NULL, 0, "nested deeper");
}

static void refused_bytes(const void *bytes, size_t n, const char *text) {
  TensorFile file;
  Fault fault = {0};
  const char *path = temp_file("raw.safetensors", bytes, n);
  assert_int_equal(safetensors_load(&file, path, NULL, &fault), ERR_DATA);
  if (!strstr(fault.text, text)) fail_msg("got \"%s\", want \"%s\"", fault.text, text);
}

TEST(lengths_that_lie_are_refused) {
  refused_bytes("", 0, "truncated");
  refused_bytes("1234567", 7, "truncated");
  refused_bytes("\x40\0\0\0\0\0\0\0{}", 10, "truncated");
  refused_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "allowed: up to");
  refused_bytes("\x01\xe1\xf5\x05\0\0\0\0{}", 10, "allowed: up to");
  TensorFile file;
  Fault fault = {0};
  Err err = safetensors_load(&file, temp_path("missing"), NULL, &fault);
  assert_int_equal(err, ERR_DATA);
  assert_non_null(strstr(fault.text, "missing: cannot be read"));
  fault_clear(&fault);
  assert_int_equal(safetensors_load(&file, "/", NULL, &fault), ERR_DATA);
}

/* Every prefix of a good file is refused, and none reads out of bounds. */
TEST(every_truncation_is_refused) {
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, DT_REAL, &SHAPE_OF(3), &fault);
  for (int i = 0; i < 3; i++) tensor_reals(t)[i] = (real)i;
  NamedTensor named = {"a", t};
  const char *path = temp_path("whole.safetensors");
  assert_int_equal(safetensors_save(path, &named, 1, NULL, 0, &fault), ERR_OK);
  size_t n;
  char *bytes = temp_read(path, &n);
  for (size_t i = 0; i < n; i++) {
    TensorFile file;
    Fault short_fault = {0};
    const char *cut = temp_file("cut.safetensors", bytes, i);
    assert_int_equal(safetensors_load(&file, cut, NULL, &short_fault), ERR_DATA);
  }
  free(bytes);
  tensor_release(t);
}
