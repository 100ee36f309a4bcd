/* Types of elements in files: what each becomes, in both orders of bytes, and what is
 * refused. */
#include "tensor/filetype.h"
#include "test.h"
#include <float.h>

/* The value that the bytes become; NAN and the code where they are refused. */
static double one(const char *name, const void *bytes, bool swap, Err *err) {
  const FileType *type = filetype_named(name);
  assert_non_null(type);
  Fault fault = {0};
  Input in;
  input_memory(&in, bytes, (size_t)type->n_bytes);
  Tensor *t = filetype_tensor(type, &SHAPE_OF(1), &in, NULL, &fault);
  assert_non_null(t);
  assert_int_equal(t->a.dtype, type->dtype);
  *err = filetype_read(type, swap, &in, &t->a, &fault);
  double value = *err ? (double)NAN : array_get(&t->a, 0);
  tensor_release(t);
  return value;
}

static void check(const char *name, const void *bytes, double want) {
  Err err;
  unsigned char turned[8];
  int n = filetype_named(name)->n_bytes;
  for (int i = 0; i < n; i++) turned[i] = ((const unsigned char *)bytes)[n - 1 - i];
  double got = one(name, bytes, false, &err), other = one(name, turned, true, &err);
  if (!(got == want || (isnan(got) && isnan(want))))
    fail_msg("%s: got %g, want %g", name, got, want);
  assert_true(got == other || (isnan(got) && isnan(other)));
  assert_int_equal(err, ERR_OK);
}

static void refuse(const char *name, const void *bytes) {
  Err err;
  one(name, bytes, false, &err);
  assert_int_equal(err, ERR_DATA);
}

TEST(half_precision_at_its_edges) {
  static const struct {
    uint16_t bits;
    double want;
  } cases[] = {{0x0000, 0},
               {0x3c00, 1},
               {0xc000, -2},
               {0x0001, 0x1p-24},
               {0x03ff, 1023 * 0x1p-24},
               {0x0400, 0x1p-14},
               {0x7bff, 65504},
               {0x7c00, INFINITY},
               {0xfc00, -INFINITY},
               {0x7e00, NAN},
               {0xfc01, NAN}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check("F16", &cases[i].bits, cases[i].want);
}

TEST(brain_floats_are_the_upper_half_of_floats) {
  static const struct {
    uint16_t bits;
    double want;
  } cases[] = {{0x3f80, 1},         {0xc040, -3},  {0x7f80, INFINITY},
               {0xff80, -INFINITY}, {0x7fc0, NAN}, {0x7f7f, 0x1.fep127}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check("BF16", &cases[i].bits, cases[i].want);
}

TEST(doubles_are_rounded_and_never_become_infinite) {
  double third = 1.0 / 3, large = DBL_MAX, inf = -INFINITY, nan = NAN;
  check("F64", &third, (double)(real)third);
  check("F64", &inf, -INFINITY);
  check("F64", &nan, NAN);
  if (sizeof(real) == sizeof large) check("F64", &large, large);
  else refuse("F64", &large);
}

TEST(integers_are_taken_where_they_fit) {
  int64_t most = INT32_MAX, least = INT32_MIN, more = most + 1, less = least - 1;
  uint64_t huge = UINT64_MAX, unsigned_most = INT32_MAX;
  uint32_t u32 = INT32_MAX, too_large = UINT32_MAX;
  int16_t i16 = INT16_MIN;
  uint16_t u16 = UINT16_MAX;
  int8_t i8 = INT8_MIN;
  uint8_t u8 = UINT8_MAX, yes = 1, no_truth = 2;
  int32_t i32 = INT32_MIN;
  check("I64", &most, INT32_MAX);
  check("I64", &least, INT32_MIN);
  refuse("I64", &more);
  refuse("I64", &less);
  check("U64", &unsigned_most, INT32_MAX);
  refuse("U64", &huge);
  check("U32", &u32, INT32_MAX);
  refuse("U32", &too_large);
  check("I16", &i16, INT16_MIN);
  check("U16", &u16, UINT16_MAX);
  check("I8", &i8, INT8_MIN);
  check("U8", &u8, UINT8_MAX);
  check("I32", &i32, INT32_MIN);
  check("BOOL", &yes, 1);
  refuse("BOOL", &no_truth);
}

TEST(every_type_has_its_names_and_every_dtype_its_type) {
  assert_null(filetype_named("f4"));
  assert_null(filetype_named(""));
  assert_null(filetype_coded("F32"));
  static const DType dtypes[] = {DT_REAL, DT_INT32, DT_UINT8};
  for (int i = 0; i < 3; i++) {
    const FileType *type = filetype_of(dtypes[i]);
    assert_true(type->same && type->dtype == dtypes[i]);
    assert_int_equal(type->n_bytes, dtype_bytes(dtypes[i]));
    assert_ptr_equal(filetype_named(type->name), type);
    assert_ptr_equal(filetype_coded(type->code), type);
  }
  char names[128], cut[6];
  assert_non_null(strstr(filetype_list(false, names, sizeof names), " BF16 "));
  assert_null(strstr(filetype_list(true, names, sizeof names), "BF16"));
  assert_string_equal(filetype_list(false, cut, sizeof cut), "F64 F");
}

TEST(sizes_that_overflow_are_none) {
  const FileType *f32 = filetype_named("F32"), *u8 = filetype_named("U8");
  assert_int_equal(filetype_bytes(f32, &(Shape){0}), 4);
  assert_int_equal(filetype_bytes(f32, &SHAPE_OF(3, 5)), 60);
  assert_int_equal(filetype_bytes(f32, &SHAPE_OF(3, 0)), 0);
  assert_int_equal(filetype_bytes(u8, &SHAPE_OF(INT64_MAX / 8)), INT64_MAX / 8);
  assert_int_equal(filetype_bytes(u8, &SHAPE_OF(INT64_MAX / 8 + 1)), -1);
  assert_int_equal(filetype_bytes(u8, &SHAPE_OF(INT64_MAX, 0)), -1);
  assert_int_equal(filetype_bytes(u8, &SHAPE_OF(-1)), -1);
  assert_int_equal(filetype_bytes(u8, &SHAPE_OF((int64_t)1 << 32, (int64_t)1 << 32)),
                   -1);
}

TEST(more_than_the_bytes_hold_is_refused_before_memory_is_asked_for) {
  Fault fault = {0};
  Input in;
  input_memory(&in, "12345678", 8);
  const FileType *f32 = filetype_named("F32");
  assert_null(filetype_tensor(f32, &SHAPE_OF(3), &in, NULL, &fault));
  assert_int_equal(fault.code, ERR_DATA);
  fault_clear(&fault);
  assert_null(filetype_tensor(f32, &SHAPE_OF((int64_t)1 << 60), &in, NULL, &fault));
  assert_int_equal(fault.code, ERR_DATA);
  fault_clear(&fault);
  Tensor *t = filetype_tensor(f32, &SHAPE_OF(2), &in, NULL, &fault);
  assert_non_null(t);
  tensor_release(t);
}

/* More elements than are converted at once, the last of which does not fit: its number
 * is named. */
TEST(long_arrays_are_read_in_pieces) {
  enum { N = 5000 };
  static int64_t v[N];
  for (int i = 0; i < N; i++) v[i] = i;
  for (int bad = 0; bad < 2; bad++) {
    if (bad) v[N - 1] = INT64_MAX;
    Fault fault = {0};
    Input in;
    input_memory(&in, v, sizeof v);
    const FileType *i64 = filetype_named("I64");
    Tensor *t = filetype_tensor(i64, &SHAPE_OF(N), &in, NULL, &fault);
    Err err = filetype_read(i64, false, &in, &t->a, &fault);
    assert_int_equal(err, bad ? ERR_DATA : ERR_OK);
    for (int i = 0; i < N - 1; i++) assert_true(array_get(&t->a, i) == i);
    if (bad) assert_non_null(strstr(fault.text, "element 5000 (I64)"));
    tensor_release(t);
  }
}
