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
#include "base/ints.h"
#include "base/json.h"
#include "tensor/filetype.h"
#include <stdlib.h>
#include <string.h>

static const char metadata_key[] = "__metadata__";

/* -- saving ------------------------------------------------------------------------ */

static Json *entry_json(const Tensor *t, int64_t begin, int64_t end) {
  Json *entry = json_map(), *shape = json_list(), *offsets = json_list();
  json_put_text(entry, "dtype", filetype_of(t->a.dtype)->name);
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
static Err build_header(const NamedTensor *tensors, int n_tensors,
                        const NamedText *meta, int n_meta, Text *out, Fault *fault) {
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

static Err write_all(FILE *file, const NamedTensor *tensors, int n_tensors,
                     const NamedText *meta, int n_meta, Fault *fault) {
  Text header = {0};
  Err err = build_header(tensors, n_tensors, meta, n_meta, &header, fault);
  if (!err) {
    uint64_t n_bytes = header.n_bytes;
    fwrite(&n_bytes, sizeof n_bytes, 1, file);
    fwrite(header.data, 1, header.n_bytes, file);
    for (int i = 0; i < n_tensors; i++) {
      const Tensor *t = tensors[i].tensor;
      fwrite(t->a.data, 1, (size_t)data_bytes(t), file);
    }
  }
  text_deinit(&header);
  return err;
}

Err safetensors_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     const NamedText *meta, int n_meta, Fault *fault) {
  NewFile file;
  Err err = file_begin(&file, path, fault);
  if (err) return err;
  err = write_all(file.file, tensors, n_tensors, meta, n_meta, fault);
  if (!err) return file_publish(&file, PUBLISH_REPLACE, fault); /* sees failed writes */
  fault_prefix(fault, "%s", path);
  file_abandon(&file);
  return err;
}

static Err write_tensors(FILE *file, const NamedTensor *tensors, int n_tensors,
                         bool compress, Fault *fault) {
  must(!compress);
  return write_all(file, tensors, n_tensors, NULL, 0, fault);
}

/* -- loading: the header ----------------------------------------------------------- */

typedef struct Entry {
  const char *name; /* borrowed from the header */
  const FileType *type;
  Shape shape;
  int64_t begin, end; /* in the data */
} Entry;

/* One file being loaded. */
typedef struct Load {
  Input *in;
  int64_t n_data; /* bytes of data, which begin behind the header */
  Json *header;
  Entry *entries; /* in the order of the header */
  int n;
} Load;

static Err read_header(Load *load, Fault *fault) {
  Input *in = load->in;
  unsigned char length[8];
  if (in->n_bytes < 8)
    return fault_set(fault, ERR_DATA,
                     "truncated: %lld bytes, the header's length takes 8",
                     (long long)in->n_bytes);
  Err err = input_read(in, length, 8, fault);
  if (err) return err;
  uint64_t n = little_64(length);
  if (n > SAFETENSORS_HEADER_LIMIT)
    return fault_set(fault, ERR_DATA,
                     "header of %llu bytes, allowed: up to %d (is this a safetensors "
                     "file?)",
                     (unsigned long long)n, SAFETENSORS_HEADER_LIMIT);
  if ((int64_t)n > input_left(in))
    return fault_set(fault, ERR_DATA,
                     "truncated: header of %llu bytes in a file of %lld",
                     (unsigned long long)n, (long long)in->n_bytes);
  char *bytes = malloc(n ? n : 1);
  if (!bytes) return fault_memory(fault, n);
  err = input_read(in, bytes, (int64_t)n, fault);
  if (!err) load->header = json_parse(bytes, n, fault);
  free(bytes);
  if (!load->header) return fault->code;
  if (json_kind(load->header) != JSON_KIND_MAP)
    return fault_set(fault, ERR_DATA, "header is not a JSON object");
  load->n_data = input_left(in);
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

static Err parse_entry(const Load *load, Entry *entry, const Json *json, Fault *fault) {
  const char *type = NULL;
  if (json_kind(json) != JSON_KIND_MAP)
    return fault_set(fault, ERR_DATA, "its description is not a JSON object");
  if (!json_find_text(json, "dtype", &type))
    return fault_set(fault, ERR_DATA, "\"dtype\" is missing");
  entry->type = filetype_named(type);
  if (!entry->type) {
    char types[128];
    return fault_set(fault, ERR_DATA, "dtype %.20s cannot be used (%s can)", type,
                     filetype_list(false, types, sizeof types));
  }
  Err err = parse_shape(entry, json_find(json, "shape"), fault);
  if (err) return err;
  const Json *offsets = json_find(json, "data_offsets");
  if (!offsets || json_kind(offsets) != JSON_KIND_LIST || json_count(offsets) != 2 ||
      !json_get_int(json_item(offsets, 0), &entry->begin) ||
      !json_get_int(json_item(offsets, 1), &entry->end))
    return fault_set(fault, ERR_DATA, "\"data_offsets\" are not two whole numbers");
  if (entry->begin < 0 || entry->end < entry->begin || entry->end > load->n_data)
    return fault_set(fault, ERR_DATA,
                     "data at %lld to %lld lie outside of the %lld bytes there are "
                     "(truncated?)",
                     (long long)entry->begin, (long long)entry->end,
                     (long long)load->n_data);
  char text[SHAPE_TEXT];
  if (filetype_bytes(entry->type, &entry->shape) != entry->end - entry->begin)
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
      err = fault_set(fault, ERR_DATA,
                      "tensor \"%s\": data begin at %lld, expected %lld: "
                      "%s",
                      sorted[i]->name, (long long)sorted[i]->begin, (long long)at,
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
  if (!out->meta)
    return fault_memory(fault, (size_t)json_count(map) * sizeof *out->meta);
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

/* -- loading: the tensors ---------------------------------------------------------- */

/* The tensor's bytes are what comes next in the file. */
static Err load_tensor(const Entry *entry, Input *in, NamedTensor *out,
                       MemoryCount *count, Fault *fault) {
  out->name = text_copy(entry->name);
  if (!out->name) return fault_memory(fault, strlen(entry->name));
  out->tensor = filetype_tensor(entry->type, &entry->shape, in, count, fault);
  Err err = out->tensor ? filetype_read(entry->type, false, in, &out->tensor->a, fault)
                        : fault->code;
  if (err) fault_prefix(fault, "tensor \"%s\"", entry->name);
  return err;
}

Err safetensors_read(TensorFile *out, Input *in, MemoryCount *count, Fault *fault) {
  Load load = {.in = in};
  int64_t data_at = 0;
  Err err = read_header(&load, fault);
  if (!err) {
    data_at = in->at;
    err = parse_entries(&load, out, fault);
  }
  if (!err) err = tensor_file_reserve(out, load.n, fault);
  for (int i = 0; i < load.n && !err; i++) {
    err = input_seek(in, data_at + load.entries[i].begin, fault);
    if (!err)
      err = load_tensor(&load.entries[i], in, &out->tensors[out->n_tensors++], count,
                        fault);
  }
  json_free(load.header);
  free(load.entries);
  return err;
}

Err safetensors_load(TensorFile *out, const char *path, MemoryCount *count,
                     Fault *fault) {
  return tensor_file_load_as(&safetensors_format, out, path, count, fault);
}

const TensorFormat safetensors_format = {.suffix = ".safetensors", .named = true,
                                         .read = safetensors_read,
                                         .write = write_tensors};
