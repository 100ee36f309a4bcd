/* filetype.c: see filetype.h. */
#include "tensor/filetype.h"
#include "base/ints.h"
#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers lie low byte first");

/* -- one element ------------------------------------------------------------------- */

static bool from_f64(Array *out, int64_t i, const unsigned char *bytes) {
  double v;
  memcpy(&v, bytes, sizeof v);
  ((real *)out->data)[i] = (real)v;
  return real_holds(v);
}

static bool from_f32(Array *out, int64_t i, const unsigned char *bytes) {
  float v;
  memcpy(&v, bytes, sizeof v);
  ((real *)out->data)[i] = (real)v;
  return true;
}

static bool from_bf16(Array *out, int64_t i, const unsigned char *bytes) {
  uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24;
  return from_f32(out, i, (const unsigned char *)&bits);
}

/* sign 1, exponent 5 (bias 15), fraction 10 bits. */
static bool from_f16(Array *out, int64_t i, const unsigned char *bytes) {
  int exponent = bytes[1] >> 2 & 31;
  int fraction = (bytes[1] & 3) << 8 | bytes[0];
  double v = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
             : exponent     ? ldexp(1024 + fraction, exponent - 25)
                            : ldexp(fraction, -24);
  ((real *)out->data)[i] = (real)(bytes[1] & 128 ? -v : v);
  return true;
}

static bool put_int(Array *out, int64_t i, int64_t v) {
  ((int32_t *)out->data)[i] = (int32_t)v;
  return v >= INT32_MIN && v <= INT32_MAX;
}

static bool from_i8(Array *out, int64_t i, const unsigned char *bytes) {
  return put_int(out, i, (int8_t)bytes[0]);
}
static bool from_i16(Array *out, int64_t i, const unsigned char *bytes) {
  int16_t v;
  memcpy(&v, bytes, sizeof v);
  return put_int(out, i, v);
}
static bool from_u16(Array *out, int64_t i, const unsigned char *bytes) {
  uint16_t v;
  memcpy(&v, bytes, sizeof v);
  return put_int(out, i, v);
}
static bool from_u32(Array *out, int64_t i, const unsigned char *bytes) {
  uint32_t v;
  memcpy(&v, bytes, sizeof v);
  return put_int(out, i, v);
}
static bool from_i64(Array *out, int64_t i, const unsigned char *bytes) {
  int64_t v;
  memcpy(&v, bytes, sizeof v);
  return put_int(out, i, v);
}
static bool from_u64(Array *out, int64_t i, const unsigned char *bytes) {
  uint64_t v;
  memcpy(&v, bytes, sizeof v);
  return put_int(out, i, v > INT32_MAX ? INT64_MAX : (int64_t)v);
}
static bool from_bool(Array *out, int64_t i, const unsigned char *bytes) {
  ((uint8_t *)out->data)[i] = bytes[0];
  return bytes[0] <= 1;
}

/* -- the table --------------------------------------------------------------------- */

enum { REAL_IS_DOUBLE = sizeof(real) == sizeof(double) };

static const FileType file_types[] = {
    {"F64", "f8", 8, DT_REAL, REAL_IS_DOUBLE, from_f64},
    {"F32", "f4", 4, DT_REAL, !REAL_IS_DOUBLE, from_f32},
    {"F16", "f2", 2, DT_REAL, false, from_f16},
    {"BF16", NULL, 2, DT_REAL, false, from_bf16},
    {"I64", "i8", 8, DT_INT32, false, from_i64},
    {"I32", "i4", 4, DT_INT32, true, NULL},
    {"I16", "i2", 2, DT_INT32, false, from_i16},
    {"I8", "i1", 1, DT_INT32, false, from_i8},
    {"U64", "u8", 8, DT_INT32, false, from_u64},
    {"U32", "u4", 4, DT_INT32, false, from_u32},
    {"U16", "u2", 2, DT_INT32, false, from_u16},
    {"U8", "u1", 1, DT_UINT8, true, NULL},
    {"BOOL", "b1", 1, DT_UINT8, false, from_bool},
};
enum { N_FILE_TYPES = sizeof file_types / sizeof *file_types };

const FileType *filetype_named(const char *name) {
  for (int i = 0; i < N_FILE_TYPES; i++)
    if (strcmp(file_types[i].name, name) == 0) return &file_types[i];
  return NULL;
}

const FileType *filetype_coded(const char *code) {
  for (int i = 0; i < N_FILE_TYPES; i++)
    if (file_types[i].code && strcmp(file_types[i].code, code) == 0)
      return &file_types[i];
  return NULL;
}

const FileType *filetype_of(DType dtype) {
  for (int i = 0; i < N_FILE_TYPES; i++)
    if (file_types[i].same && file_types[i].dtype == dtype) return &file_types[i];
  must(!"a type for every dtype");
  return NULL;
}

char *filetype_list(bool codes, char *buffer, size_t n_bytes) {
  size_t used = 0;
  for (int i = 0; i < N_FILE_TYPES && used < n_bytes; i++) {
    const char *name = codes ? file_types[i].code : file_types[i].name;
    if (name)
      used += (size_t)snprintf(buffer + used, n_bytes - used, used ? " %s" : "%s",
                               name);
  }
  return buffer;
}

/* -- sizes ------------------------------------------------------------------------- */

int64_t filetype_bytes(const FileType *type, const Shape *shape) {
  int64_t n = 8;
  bool empty = false;
  for (int i = 0; i < shape->rank; i++) {
    int64_t dim = shape->dim[i];
    empty |= dim == 0;
    if (dim < 0 || __builtin_mul_overflow(n, dim ? dim : 1, &n)) return -1;
  }
  return empty ? 0 : n / 8 * type->n_bytes;
}

Tensor *filetype_tensor(const FileType *type, const Shape *shape, const Input *in,
                        MemoryCount *count, Fault *fault) {
  char text[SHAPE_TEXT];
  int64_t n_bytes = filetype_bytes(type, shape);
  if (n_bytes < 0 || n_bytes > input_left(in)) {
    fault_set(fault, ERR_DATA, "truncated: %lld bytes cannot hold %s of shape %s",
              (long long)input_left(in), type->name, shape_text(text, shape));
    return NULL;
  }
  if (memory_holds(shape_count(shape) * (int64_t)dtype_bytes(type->dtype), fault))
    return NULL;
  return tensor_new(count, type->dtype, shape, fault);
}

/* -- many elements ----------------------------------------------------------------- */

static void turn_bytes(unsigned char *at, int64_t n, int size) {
  for (int64_t i = 0; i < n; i++, at += size)
    for (int k = 0; k < size / 2; k++) {
      unsigned char byte = at[k];
      at[k] = at[size - 1 - k];
      at[size - 1 - k] = byte;
    }
}

static Err read_converted(const FileType *type, bool swap, Input *in, Array *out,
                          Fault *fault) {
  unsigned char buffer[1 << 13];
  int64_t n = shape_count(&out->shape), size = type->n_bytes;
  int64_t per_chunk = (int64_t)sizeof buffer / size;
  for (int64_t first = 0; first < n; first += per_chunk) {
    int64_t n_now = least(n - first, per_chunk);
    Err err = input_read(in, buffer, n_now * size, fault);
    if (err) return err;
    if (swap) turn_bytes(buffer, n_now, type->n_bytes);
    for (int64_t i = 0; i < n_now; i++)
      if (!type->convert(out, first + i, buffer + i * size))
        return fault_set(fault, ERR_DATA, "element %lld (%s) does not fit type %s",
                         (long long)(first + i + 1), type->name,
                         dtype_name(out->dtype));
  }
  return ERR_OK;
}

Err filetype_read(const FileType *type, bool swap, Input *in, Array *out,
                  Fault *fault) {
  if (!type->same) return read_converted(type, swap, in, out, fault);
  int64_t n = shape_count(&out->shape);
  Err err = input_read(in, out->data, n * type->n_bytes, fault);
  if (!err && swap) turn_bytes(out->data, n, type->n_bytes);
  return err;
}
