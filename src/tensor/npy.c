/* npy.c: see npy.h. */
#include "tensor/npy.h"
#include "base/ints.h"
#include "base/zip.h"
#include "tensor/filetype.h"
#include <stdlib.h>
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { HEADER_LIMIT = 1 << 16, MAGIC_BYTES = 8, ALIGNMENT = 64 };

/* -- the header's dictionary ------------------------------------------------------- */

typedef struct Header {
  char descr[24];
  bool fortran_order;
  Shape shape;
  bool unusable; /* a good file of what no tensor holds, as the fault says */
} Header;

/* Takes the character that comes next, blanks aside; false if it is another one. */
static bool take(const char **at, char c) {
  *at += strspn(*at, " \n");
  if (**at != c) return false;
  ++*at;
  return true;
}

/* Takes 'text' or "text" of less than n_bytes. */
static bool take_text(const char **at, char *out, size_t n_bytes) {
  *at += strspn(*at, " ");
  char quote = **at;
  if (quote != '\'' && quote != '"') return false;
  const char *begin = *at + 1, *end = strchr(begin, quote);
  if (!end || (size_t)(end - begin) >= n_bytes) return false;
  memcpy(out, begin, (size_t)(end - begin));
  out[end - begin] = 0;
  *at = end + 1;
  return true;
}

static bool take_size(const char **at, int64_t *out) {
  *at += strspn(*at, " ");
  if (**at < '0' || **at > '9') return false;
  for (*out = 0; **at >= '0' && **at <= '9'; ++*at)
    if (__builtin_mul_overflow(*out, 10, out) ||
        __builtin_add_overflow(*out, **at - '0', out))
      return false;
  if (**at == 'L') ++*at; /* as Python 2 wrote a long one */
  return true;
}

static Err not_a_header(Fault *fault, const char *what) {
  return fault_set(fault, ERR_DATA, "its header is damaged: %s", what);
}

/* (), (3,), (3, 4) */
static Err take_shape(const char **at, Header *header, Fault *fault) {
  Shape *out = &header->shape;
  *out = SHAPE_SCALAR;
  if (!take(at, '(')) return not_a_header(fault, "'shape'");
  while (!take(at, ')')) {
    if (out->rank == MAX_RANK) {
      header->unusable = true;
      return fault_set(fault, ERR_DATA, "has more than %d axes", MAX_RANK);
    }
    if (!take_size(at, &out->dim[out->rank++])) return not_a_header(fault, "'shape'");
    if (!take(at, ',') && **at != ')') return not_a_header(fault, "'shape'");
  }
  return ERR_OK;
}

static Err take_descr(const char **at, Header *header, Fault *fault) {
  *at += strspn(*at, " ");
  if (**at == '[' || **at == '(') {
    header->unusable = true;
    return fault_set(fault, ERR_DATA, "is an array of records; allowed: of numbers");
  }
  return take_text(at, header->descr, sizeof header->descr)
             ? ERR_OK
             : not_a_header(fault, "'descr'");
}

static Err take_order(const char **at, bool *out, Fault *fault) {
  *at += strspn(*at, " ");
  *out = strncmp(*at, "True", 4) == 0;
  if (!*out && strncmp(*at, "False", 5) != 0)
    return not_a_header(fault, "'fortran_order'");
  *at += *out ? 4 : 5;
  return ERR_OK;
}

static Err parse_header(const char *at, Header *out, Fault *fault) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  bool seen[3] = {0};
  if (!take(&at, '{')) return not_a_header(fault, "no dictionary");
  while (!take(&at, '}')) {
    char key[24];
    if (!take_text(&at, key, sizeof key) || !take(&at, ':'))
      return not_a_header(fault, "a key");
    int i = 0;
    while (i < 3 && strcmp(keys[i], key) != 0) i++;
    if (i == 3 || seen[i]) return not_a_header(fault, "a key");
    seen[i] = true;
    Err err = i == 0   ? take_descr(&at, out, fault)
              : i == 1 ? take_order(&at, &out->fortran_order, fault)
                       : take_shape(&at, out, fault);
    if (err) return err;
    if (!take(&at, ',') && *at != '}') return not_a_header(fault, "a comma is missing");
  }
  if (at[strspn(at, " \n")]) return not_a_header(fault, "more than a dictionary");
  for (int i = 0; i < 3; i++)
    if (!seen[i]) return not_a_header(fault, keys[i]);
  return ERR_OK;
}

static Err read_header(Input *in, Header *out, Fault *fault) {
  unsigned char b[MAGIC_BYTES], length[4] = {0};
  Err err = input_read(in, b, MAGIC_BYTES, fault);
  if (err) return err;
  if (memcmp(b, magic, sizeof magic) != 0)
    return fault_set(fault, ERR_DATA, "is no .npy file");
  if (b[6] < 1 || b[6] > 3 || b[7] != 0)
    return fault_set(fault, ERR_DATA, "is of version %d.%d; allowed: 1.0, 2.0, 3.0",
                     b[6], b[7]);
  err = input_read(in, length, b[6] == 1 ? 2 : 4, fault);
  if (err) return err;
  uint32_t n = little_32(length);
  if (n > HEADER_LIMIT)
    return fault_set(fault, ERR_DATA, "header of %u bytes, allowed: up to %d", n,
                     HEADER_LIMIT);
  char *text = malloc(n + 1);
  if (!text) return fault_memory(fault, n);
  err = input_read(in, text, n, fault);
  text[n] = 0;
  if (!err && memchr(text, 0, n)) err = not_a_header(fault, "a zero byte");
  if (!err) err = parse_header(text, out, fault);
  free(text);
  return err;
}

/* -- the elements ------------------------------------------------------------------ */

/* '<f4' to a type and its byte order: '<' low byte first, '>' high, '|' and '='
 * ours. */
static Err find_type(Header *header, const FileType **type, bool *swap, Fault *fault) {
  char types[128];
  const char *descr = header->descr;
  *type = strchr("<>|=", *descr) && *descr ? filetype_coded(descr + 1) : NULL;
  header->unusable = !*type;
  if (!*type)
    return fault_set(fault, ERR_DATA, "elements of type '%s' cannot be used (%s can)",
                     descr, filetype_list(true, types, sizeof types));
  *swap = *descr == '>';
  return ERR_OK;
}

/* `out` row-major from `in` with the first axis fastest: its element (i, j, ...) lies
 * at i + dim 0 (j + dim 1 (...)). */
static void to_row_major(const Array *in, Array *out) {
  const Shape *shape = &out->shape;
  size_t size = dtype_bytes(out->dtype);
  int64_t n = shape_count(shape), place[MAX_RANK] = {0}, step[MAX_RANK] = {1}, at = 0;
  for (int k = 0; k < shape->rank; k++)
    step[k] = k ? step[k - 1] * shape->dim[k - 1] : 1;
  for (int64_t i = 0; i < n; i++) {
    memcpy((char *)out->data + (size_t)i * size,
           (const char *)in->data + (size_t)at * size, size);
    for (int k = shape->rank - 1; k >= 0; k--) {
      at += step[k];
      if (++place[k] < shape->dim[k]) break;
      at -= step[k] * shape->dim[k];
      place[k] = 0;
    }
  }
}

static Tensor *turned(Tensor *t, MemoryCount *count, Fault *fault) {
  Tensor *out = NULL;
  if (!memory_holds(tensor_count(t) * (int64_t)dtype_bytes(t->a.dtype), fault))
    out = tensor_new(count, t->a.dtype, &t->a.shape, fault);
  if (out) to_row_major(&t->a, &out->a);
  tensor_release(t);
  return out;
}

/* As npy_read; *unusable: there is no tensor, and no damage. */
static Tensor *read_array(Input *in, MemoryCount *count, bool *unusable, Fault *fault) {
  Header header = {0};
  const FileType *type = NULL;
  bool swap = false;
  Err err = read_header(in, &header, fault);
  if (!err) err = find_type(&header, &type, &swap, fault);
  *unusable = header.unusable;
  Tensor *t = err ? NULL : filetype_tensor(type, &header.shape, in, count, fault);
  if (!t) return NULL;
  err = filetype_read(type, swap, in, &t->a, fault);
  if (!err) err = input_end(in, fault);
  if (!err)
    return header.fortran_order && t->a.shape.rank > 1 ? turned(t, count, fault) : t;
  tensor_release(t);
  return NULL;
}

Tensor *npy_read(Input *in, MemoryCount *count, Fault *fault) {
  bool unusable;
  return read_array(in, count, &unusable, fault);
}

static Err add_tensor(TensorFile *out, const char *name, size_t n_name, Tensor *t,
                      Fault *fault) {
  NamedTensor *added = &out->tensors[out->n_tensors++];
  added->tensor = t;
  added->name = malloc(n_name + 1);
  if (!added->name) return fault_memory(fault, n_name);
  memcpy(added->name, name, n_name);
  added->name[n_name] = 0;
  return ERR_OK;
}

static Err read_one(TensorFile *out, Input *in, MemoryCount *count, Fault *fault) {
  Err err = tensor_file_reserve(out, 1, fault);
  if (err) return err;
  Tensor *t = npy_read(in, count, fault);
  return t ? add_tensor(out, "", 0, t, fault) : fault->code;
}

/* -- .npz -------------------------------------------------------------------------- */

/* An entry of text, objects or records does not spoil the others. The rest of its bytes
 * is read all the same, up to the checksum, so that damage is not taken for another
 * type. */
static Err leave_out(TensorFile *out, Input *in, const char *name, size_t n_name,
                     Fault *fault) {
  unsigned char bytes[4096];
  NamedText *added = &out->left_out[out->n_left_out];
  added->name = text_copy(name);
  added->text = text_copy(fault->text);
  if (!added->name || !added->text) return fault_memory(fault, n_name);
  added->name[n_name] = 0;
  out->n_left_out++;
  fault_clear(fault);
  while (input_left(in) > 0) {
    Err err = input_read(in, bytes, least(input_left(in), (int64_t)sizeof bytes),
                         fault);
    if (err) return err;
  }
  return input_end(in, fault);
}

/* A name that is no array's is refused: np.savez writes none. */
static Err read_entry(TensorFile *out, const ZipFile *zip, const ZipEntry *entry,
                      MemoryCount *count, Fault *fault) {
  size_t n = strlen(entry->name), n_suffix = strlen(npy_format.suffix);
  if (n < n_suffix || strcmp(entry->name + n - n_suffix, npy_format.suffix) != 0)
    return fault_set(fault, ERR_DATA, "\"%s\" is no .npy file", entry->name);
  Input in;
  Err err = zip_entry_open(&in, zip, entry, fault);
  if (!err) {
    bool unusable = false;
    Tensor *t = read_array(&in, count, &unusable, fault);
    if (t) err = add_tensor(out, entry->name, n - n_suffix, t, fault);
    else if (unusable) err = leave_out(out, &in, entry->name, n - n_suffix, fault);
    else err = fault->code;
  }
  input_close(&in);
  if (err) fault_prefix(fault, "array \"%s\"", entry->name);
  return err;
}

/* Nothing but what is left out: the first says why. */
static Err nothing_left(const TensorFile *out, Fault *fault) {
  const NamedText *first = out->left_out;
  if (out->n_tensors > 0 || out->n_left_out == 0) return ERR_OK;
  return fault_set(fault, ERR_DATA, "holds no array of numbers; \"%s\": %s",
                   first->name, first->text);
}

Err npz_read(TensorFile *out, Input *in, MemoryCount *count, Fault *fault) {
  ZipFile zip;
  Err err = zip_open(&zip, in, fault);
  if (!err) err = memory_holds(zip.n_bytes, fault);
  if (!err) err = tensor_file_reserve(out, zip.n, fault);
  for (int i = 0; i < zip.n && !err; i++)
    err = read_entry(out, &zip, &zip.entries[i], count, fault);
  if (!err) err = nothing_left(out, fault);
  zip_close(&zip);
  return err;
}

/* -- writing ----------------------------------------------------------------------- */

/* Adds everything before the elements: with the length it is a multiple of 64 bytes. */
static Err build_header(const Tensor *t, Text *out, Fault *fault) {
  const FileType *type = filetype_of(t->a.dtype);
  const Shape *shape = &t->a.shape;
  Text dict = {0};
  text_addf(&dict, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
            type->n_bytes > 1 ? '<' : '|', type->code);
  for (int i = 0; i < shape->rank; i++)
    text_addf(&dict, i ? ", %lld" : "%lld", (long long)shape->dim[i]);
  text_add(&dict, shape->rank == 1 ? ",), }" : "), }");
  while ((MAGIC_BYTES + 2 + dict.n_bytes + 1) % ALIGNMENT != 0 && !dict.failed)
    text_add(&dict, " ");
  text_add(&dict, "\n");
  unsigned char rest[4] = {1, 0, (unsigned char)(dict.n_bytes & 255),
                           (unsigned char)(dict.n_bytes >> 8)};
  text_add_bytes(out, magic, sizeof magic);
  text_add_bytes(out, rest, sizeof rest);
  bool failed = dict.failed;
  if (!failed) text_add_bytes(out, dict.data, dict.n_bytes);
  text_deinit(&dict);
  return failed || out->failed ? fault_memory(fault, out->n_bytes) : ERR_OK;
}

static size_t data_bytes(const Tensor *t) {
  return (size_t)tensor_count(t) * dtype_bytes(t->a.dtype);
}

static Err write_one(FILE *file, const NamedTensor *tensors, int n_tensors,
                     bool compress, Fault *fault) {
  must(n_tensors == 1 && !compress);
  const Tensor *t = tensors->tensor;
  Text header = {0};
  Err err = build_header(t, &header, fault);
  if (!err) {
    fwrite(header.data, 1, header.n_bytes, file);
    fwrite(t->a.data, 1, data_bytes(t), file);
  }
  text_deinit(&header);
  return err;
}

static Err write_entry(ZipWriter *zip, const NamedTensor *named, Fault *fault) {
  Text header = {0}, name = {0};
  text_addf(&name, "%s%s", named->name, npy_format.suffix);
  Err err = name.failed ? fault_memory(fault, name.n_bytes)
                        : build_header(named->tensor, &header, fault);
  if (!err)
    err = zip_add(zip, name.data, header.data, header.n_bytes, named->tensor->a.data,
                  data_bytes(named->tensor), fault);
  if (err) fault_prefix(fault, "array \"%s\"", named->name);
  text_deinit(&header);
  text_deinit(&name);
  return err;
}

static Err write_archive(FILE *file, const NamedTensor *tensors, int n_tensors,
                         bool compress, Fault *fault) {
  ZipWriter zip;
  zip_begin(&zip, file, compress ? ZIP_DEFLATED : ZIP_STORED);
  Err err = ERR_OK;
  for (int i = 0; i < n_tensors && !err; i++)
    err = write_entry(&zip, &tensors[i], fault);
  Err end = zip_finish(&zip, fault);
  return err ? err : end;
}

const TensorFormat npy_format = {
    .suffix = ".npy", .read = read_one, .write = write_one};
const TensorFormat npz_format = {.suffix = ".npz", .named = true, .packs = true,
                                 .read = npz_read, .write = write_archive};
