/* safetensors.c: the file format; see safetensors.h.
 *
 * Loading goes in three steps, each only after the one before is done:
 *   header   its length against the file's size, then strict JSON
 *   entries  one per tensor: dtype, shape, offsets; sorted by offset they must tile the
 *            data from 0 to its end, without gap or overlap
 *   tensors  allocated, read, converted
 * So the memory asked for is bounded by the size of the file. */
#include "tensor/safetensors.h"
#include "base/file.h"
#include "base/json.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

static const char metadata_key[] = "__metadata__";

/* -- types in files ------------------------------------------------------------------ */

typedef struct FileType {
  const char *name;
  int n_bytes;
  DType dtype;                          /* what it becomes */
  bool same;                            /* the bytes are those of the tensor */
  bool (*convert)(Array *out, int64_t i, const unsigned char *bytes);   /* else */
} FileType;

static bool from_f64(Array *out, int64_t i, const unsigned char *bytes) {
  double v;
  memcpy(&v, bytes, sizeof v);
  ((real *)out->data)[i] = (real)v;
  return !isfinite(v) || isfinite((real)v);
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

enum { REAL_IS_DOUBLE = sizeof(real) == sizeof(double) };

static const FileType file_types[] = {
    {"F64", 8, DT_REAL, REAL_IS_DOUBLE, from_f64},
    {"F32", 4, DT_REAL, !REAL_IS_DOUBLE, from_f32},
    {"F16", 2, DT_REAL, false, from_f16},
    {"BF16", 2, DT_REAL, false, from_bf16},
    {"I64", 8, DT_INT32, false, from_i64},
    {"I32", 4, DT_INT32, true, NULL},
    {"I16", 2, DT_INT32, false, from_i16},
    {"I8", 1, DT_INT32, false, from_i8},
    {"U64", 8, DT_INT32, false, from_u64},
    {"U32", 4, DT_INT32, false, from_u32},
    {"U16", 2, DT_INT32, false, from_u16},
    {"U8", 1, DT_UINT8, true, NULL},
    {"BOOL", 1, DT_UINT8, false, from_bool},
};
enum { N_FILE_TYPES = sizeof file_types / sizeof *file_types };

static const FileType *type_named(const char *name) {
  for (int i = 0; i < N_FILE_TYPES; i++)
    if (strcmp(file_types[i].name, name) == 0) return &file_types[i];
  return NULL;
}

/* "F64 F32 ...": all of them. */
static void list_types(char *buffer, size_t n_bytes) {
  size_t used = 0;
  for (int i = 0; i < N_FILE_TYPES && used < n_bytes; i++)
    used += (size_t)snprintf(buffer + used, n_bytes - used, i ? " %s" : "%s",
                             file_types[i].name);
}

static const FileType *type_of(DType dtype) {
  for (int i = 0; i < N_FILE_TYPES; i++)
    if (file_types[i].same && file_types[i].dtype == dtype) return &file_types[i];
  must(!"a type for every dtype");
  return NULL;
}

/* -- saving -------------------------------------------------------------------------- */

static Json *entry_json(const Tensor *t, int64_t begin, int64_t end) {
  Json *entry = json_map(), *shape = json_list(), *offsets = json_list();
  json_put_text(entry, "dtype", type_of(t->a.dtype)->name);
  for (int i = 0; i < t->a.shape.rank; i++) json_push_int(shape, t->a.shape.dim[i]);
  json_put(entry, "shape", shape);
  json_push_int(offsets, begin);
  json_push_int(offsets, end);
  json_put(entry, "data_offsets", offsets);
  return entry;
}

static int64_t data_bytes(const Tensor *t) {
  return tensor_count(t) * (int64_t)dtype_bytes(t->a.dtype);
}

/* Adds the header's text, padded so that the data begin at a multiple of 8. */
static Err build_header(const NamedTensor *tensors, int n_tensors, const NamedText *meta,
                        int n_meta, Text *out, Fault *fault) {
  Json *header = json_map();
  if (n_meta > 0) {
    Json *map = json_map();
    for (int i = 0; i < n_meta; i++) json_put_text(map, meta[i].name, meta[i].text);
    json_put(header, metadata_key, map);
  }
  int64_t at = 0;
  Err err = ERR_OK;
  for (int i = 0; i < n_tensors && !err; i++) {
    const char *name = tensors[i].name;
    if (strcmp(name, metadata_key) == 0 || json_find(header, name))
      err = fault_set(fault, ERR_VALUE, "tensor name \"%s\" is %s", name,
                      strcmp(name, metadata_key) ? "there twice" : "reserved");
    int64_t end = at + data_bytes(tensors[i].tensor);
    if (!err) json_put(header, name, entry_json(tensors[i].tensor, at, end));
    at = end;
  }
  if (!err) err = json_write(header, 0, out, fault);
  json_free(header);
  while (!err && out->n_bytes % 8 != 0) text_add(out, " ");
  if (!err && out->failed) err = fault_memory(fault, out->n_bytes);
  if (!err && out->n_bytes > SAFETENSORS_HEADER_LIMIT)
    err = fault_set(fault, ERR_VALUE, "header of %zu bytes, allowed: up to %d",
                    out->n_bytes, SAFETENSORS_HEADER_LIMIT);
  return err;
}

Err safetensors_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     const NamedText *meta, int n_meta, Fault *fault) {
  Text header = {0};
  NewFile file = {0};
  Err err = build_header(tensors, n_tensors, meta, n_meta, &header, fault);
  if (err) fault_prefix(fault, "%s", path);
  if (!err) err = file_begin(&file, path, fault);
  if (!err) {
    uint64_t n_bytes = header.n_bytes;
    fwrite(&n_bytes, sizeof n_bytes, 1, file.file);
    fwrite(header.data, 1, header.n_bytes, file.file);
    for (int i = 0; i < n_tensors; i++) {
      const Tensor *t = tensors[i].tensor;
      fwrite(t->a.data, 1, (size_t)data_bytes(t), file.file);
    }
    err = file_publish(&file, PUBLISH_REPLACE, fault);   /* sees failed writes */
  }
  text_deinit(&header);
  return err;
}

/* -- loading: the header ------------------------------------------------------------- */

typedef struct Entry {
  const char *name;          /* borrowed from the header */
  const FileType *type;
  Shape shape;
  int64_t begin, end;        /* in the data */
} Entry;

/* One file being loaded. */
typedef struct Load {
  const char *path;
  FILE *file;
  int64_t data_at;           /* offset of the data in the file */
  int64_t n_data;            /* their bytes */
  Json *header;
  Entry *entries;            /* in the order of the header */
  int n;
} Load;

static Err open_header(Load *load, Fault *fault) {
  load->file = fopen(load->path, "rbe");
  struct stat at;
  if (!load->file || fstat(fileno(load->file), &at) != 0)
    return fault_set(fault, ERR_DATA, "cannot be read: %s", strerror(errno));
  if (!S_ISREG(at.st_mode)) return fault_set(fault, ERR_DATA, "is not a file");
  uint64_t n = 0;
  if (at.st_size < 8 || fread(&n, sizeof n, 1, load->file) != 1)
    return fault_set(fault, ERR_DATA, "truncated: %lld bytes, the header's length takes 8",
                     (long long)at.st_size);
  if (n > SAFETENSORS_HEADER_LIMIT)
    return fault_set(fault, ERR_DATA, "header of %llu bytes, allowed: up to %d "
                     "(is this a safetensors file?)", (unsigned long long)n,
                     SAFETENSORS_HEADER_LIMIT);
  if ((int64_t)n > at.st_size - 8)
    return fault_set(fault, ERR_DATA, "truncated: header of %llu bytes in a file of %lld",
                     (unsigned long long)n, (long long)at.st_size);
  load->data_at = 8 + (int64_t)n;
  load->n_data = at.st_size - load->data_at;
  char *bytes = malloc(n ? n : 1);
  if (!bytes) return fault_memory(fault, n);
  if (fread(bytes, 1, n, load->file) != n)
    fault_set(fault, ERR_DATA, "cannot be read: %s", strerror(errno));
  else load->header = json_parse(bytes, n, fault);
  free(bytes);
  if (!load->header) return fault->code;
  if (json_kind(load->header) != JSON_KIND_MAP)
    return fault_set(fault, ERR_DATA, "header is not a JSON object");
  return ERR_OK;
}

static Err parse_shape(Entry *entry, const Json *list, Fault *fault) {
  if (!list || json_kind(list) != JSON_KIND_LIST)
    return fault_set(fault, ERR_DATA, "\"shape\" is not a list");
  if (json_count(list) > MAX_RANK)
    return fault_set(fault, ERR_DATA, "has %lld axes, allowed: up to %d",
                     (long long)json_count(list), MAX_RANK);
  entry->shape.rank = (int)json_count(list);
  for (int i = 0; i < entry->shape.rank; i++)
    if (!json_get_int(json_item(list, i), &entry->shape.dim[i]) ||
        entry->shape.dim[i] < 0)
      return fault_set(fault, ERR_DATA, "\"shape\" holds what is not a size");
  return ERR_OK;
}

/* Bytes of the shape, or -1 when its sizes, zeros aside, multiply to more than int64_t
 * holds (so strides of an empty tensor cannot overflow either). */
static int64_t entry_bytes(const Entry *entry) {
  int64_t n = 8;
  bool empty = false;
  for (int i = 0; i < entry->shape.rank; i++) {
    int64_t dim = entry->shape.dim[i];
    empty |= dim == 0;
    if (__builtin_mul_overflow(n, dim ? dim : 1, &n)) return -1;
  }
  return empty ? 0 : n / 8 * entry->type->n_bytes;
}

static Err parse_entry(const Load *load, Entry *entry, const Json *json, Fault *fault) {
  const char *type = NULL;
  if (json_kind(json) != JSON_KIND_MAP)
    return fault_set(fault, ERR_DATA, "its description is not a JSON object");
  if (!json_get_text(json_find(json, "dtype"), &type))
    return fault_set(fault, ERR_DATA, "\"dtype\" is missing");
  entry->type = type_named(type);
  if (!entry->type) {
    char types[128];
    list_types(types, sizeof types);
    return fault_set(fault, ERR_DATA, "dtype %.20s cannot be used (%s can)", type, types);
  }
  Err err = parse_shape(entry, json_find(json, "shape"), fault);
  if (err) return err;
  const Json *offsets = json_find(json, "data_offsets");
  if (!offsets || json_kind(offsets) != JSON_KIND_LIST || json_count(offsets) != 2 ||
      !json_get_int(json_item(offsets, 0), &entry->begin) ||
      !json_get_int(json_item(offsets, 1), &entry->end))
    return fault_set(fault, ERR_DATA, "\"data_offsets\" are not two whole numbers");
  if (entry->begin < 0 || entry->end < entry->begin || entry->end > load->n_data)
    return fault_set(fault, ERR_DATA, "data at %lld to %lld lie outside of the %lld "
                     "bytes there are (truncated?)", (long long)entry->begin,
                     (long long)entry->end, (long long)load->n_data);
  char text[SHAPE_TEXT];
  if (entry_bytes(entry) != entry->end - entry->begin)
    return fault_set(fault, ERR_DATA, "%lld bytes of data do not fit %s of shape %s",
                     (long long)(entry->end - entry->begin), entry->type->name,
                     shape_text(text, &entry->shape));
  return ERR_OK;
}

static int by_offset(const void *a, const void *b) {
  const Entry *p = *(const Entry *const *)a, *q = *(const Entry *const *)b;
  if (p->begin != q->begin) return p->begin < q->begin ? -1 : 1;
  return p->end < q->end ? -1 : p->end > q->end;
}

/* The tensors' bytes must be the data's, each once. */
static Err check_tiling(const Load *load, Fault *fault) {
  const Entry **sorted = malloc(((size_t)load->n + 1) * sizeof *sorted);
  if (!sorted) return fault_memory(fault, (size_t)load->n * sizeof *sorted);
  for (int i = 0; i < load->n; i++) sorted[i] = &load->entries[i];
  qsort(sorted, (size_t)load->n, sizeof *sorted, by_offset);
  Err err = ERR_OK;
  int64_t at = 0;
  for (int i = 0; i < load->n && !err; i++) {
    if (sorted[i]->begin != at)
      err = fault_set(fault, ERR_DATA, "tensor \"%s\": data begin at %lld, expected %lld: "
                      "%s", sorted[i]->name, (long long)sorted[i]->begin, (long long)at,
                      sorted[i]->begin < at ? "tensors overlap" : "there is a gap");
    at = sorted[i]->end;
  }
  if (!err && at != load->n_data)
    err = fault_set(fault, ERR_DATA, "%lld bytes after the last tensor",
                    (long long)(load->n_data - at));
  free(sorted);
  return err;
}

static Err parse_meta(TensorFile *out, const Json *map, Fault *fault) {
  if (json_kind(map) != JSON_KIND_MAP)
    return fault_set(fault, ERR_DATA, "\"%s\" is not a JSON object", metadata_key);
  out->meta = calloc((size_t)json_count(map) + 1, sizeof *out->meta);
  if (!out->meta) return fault_memory(fault, (size_t)json_count(map) * sizeof *out->meta);
  for (void *it = json_first(map); it; it = json_next(map, it)) {
    const char *text;
    if (!json_get_text(json_value(it), &text))
      return fault_set(fault, ERR_DATA, "metadata \"%s\" is not text", json_key(it));
    NamedText *meta = &out->meta[out->n_meta++];
    meta->name = text_copy(json_key(it));
    meta->text = text_copy(text);
    if (!meta->name || !meta->text) return fault_memory(fault, strlen(text));
  }
  return ERR_OK;
}

static Err parse_entries(Load *load, TensorFile *out, Fault *fault) {
  int64_t n = json_count(load->header);
  if (n > INT32_MAX) return fault_set(fault, ERR_DATA, "too many tensors");
  load->entries = calloc((size_t)n + 1, sizeof *load->entries);
  if (!load->entries) return fault_memory(fault, (size_t)n * sizeof *load->entries);
  for (void *it = json_first(load->header); it; it = json_next(load->header, it)) {
    Err err;
    if (strcmp(json_key(it), metadata_key) == 0) {
      err = parse_meta(out, json_value(it), fault);
    } else {
      Entry *entry = &load->entries[load->n++];
      entry->name = json_key(it);
      err = parse_entry(load, entry, json_value(it), fault);
      if (err) fault_prefix(fault, "tensor \"%s\"", entry->name);
    }
    if (err) return err;
  }
  return check_tiling(load, fault);
}

/* -- loading: the tensors ------------------------------------------------------------ */

static Err read_bytes(const Load *load, void *out, size_t n_bytes, Fault *fault) {
  if (fread(out, 1, n_bytes, load->file) == n_bytes) return ERR_OK;
  return fault_set(fault, ERR_DATA, "cannot be read: %s",
                   ferror(load->file) ? strerror(errno) : "truncated");
}

static Err read_converted(const Load *load, const Entry *entry, Array *a, Fault *fault) {
  unsigned char buffer[1 << 13];
  int64_t n = shape_count(&a->shape), size = entry->type->n_bytes;
  int64_t per_chunk = (int64_t)sizeof buffer / size;
  for (int64_t first = 0; first < n; first += per_chunk) {
    int64_t n_now = n - first < per_chunk ? n - first : per_chunk;
    Err err = read_bytes(load, buffer, (size_t)(n_now * size), fault);
    if (err) return err;
    for (int64_t i = 0; i < n_now; i++)
      if (!entry->type->convert(a, first + i, buffer + i * size))
        return fault_set(fault, ERR_DATA, "element %lld (%s) does not fit type %s",
                         (long long)(first + i + 1), entry->type->name,
                         dtype_name(a->dtype));
  }
  return ERR_OK;
}

static Err load_tensor(const Load *load, const Entry *entry, NamedTensor *out,
                       MemoryCount *count, Fault *fault) {
  out->name = text_copy(entry->name);
  if (!out->name) return fault_memory(fault, strlen(entry->name));
  out->tensor = tensor_new(count, entry->type->dtype, &entry->shape, fault);
  if (!out->tensor) return fault->code;
  if (fseeko(load->file, (off_t)(load->data_at + entry->begin), SEEK_SET) != 0)
    return fault_set(fault, ERR_DATA, "cannot be read: %s", strerror(errno));
  Err err = entry->type->same
                ? read_bytes(load, out->tensor->a.data,
                             (size_t)(entry->end - entry->begin), fault)
                : read_converted(load, entry, &out->tensor->a, fault);
  if (err) fault_prefix(fault, "tensor \"%s\"", entry->name);
  return err;
}

Err safetensors_load(TensorFile *out, const char *path, MemoryCount *count, Fault *fault) {
  *out = (TensorFile){0};
  Load load = {.path = path};
  Err err = open_header(&load, fault);
  if (!err) err = parse_entries(&load, out, fault);
  if (!err) {
    out->tensors = calloc((size_t)load.n + 1, sizeof *out->tensors);
    if (!out->tensors) err = fault_memory(fault, (size_t)load.n * sizeof *out->tensors);
  }
  for (int i = 0; i < load.n && !err; i++)
    err = load_tensor(&load, &load.entries[i], &out->tensors[out->n_tensors++], count,
                      fault);
  if (err) {
    fault_prefix(fault, "%s", path);
    tensor_file_deinit(out);
  }
  json_free(load.header);
  free(load.entries);
  if (load.file) fclose(load.file);
  return err;
}

void tensor_file_deinit(TensorFile *file) {
  for (int i = 0; i < file->n_tensors; i++) {
    free(file->tensors[i].name);
    tensor_release(file->tensors[i].tensor);
  }
  for (int i = 0; i < file->n_meta; i++) {
    free(file->meta[i].name);
    free(file->meta[i].text);
  }
  free(file->tensors);
  free(file->meta);
  *file = (TensorFile){0};
}

Tensor *tensor_file_find(const TensorFile *file, const char *name) {
  for (int i = 0; i < file->n_tensors; i++)
    if (strcmp(file->tensors[i].name, name) == 0) return file->tensors[i].tensor;
  return NULL;
}

const char *tensor_file_meta(const TensorFile *file, const char *name) {
  for (int i = 0; i < file->n_meta; i++)
    if (strcmp(file->meta[i].name, name) == 0) return file->meta[i].text;
  return NULL;
}
