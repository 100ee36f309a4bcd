/* idx.c: the IDX format of MNIST and its relatives, and Fashion-MNIST.
 *
 * Layout, big-endian: two zero bytes, a byte for the type of the elements, a byte for
 * the number of axes; a 32-bit size per axis; the elements, row-major. Nothing may
 * follow. Files may be gzipped. Sizes are held against the size of the file before
 * memory is asked for. */
#include "base/unpacked.h"
#include "data/sources.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- one file ---------------------------------------------------------------------- */

typedef struct IdxType {
  int code, n_bytes;
  DType dtype;
  double (*get)(const unsigned char *bytes); /* NULL: bytes are the tensor's */
} IdxType;

static uint32_t big_endian_32(const unsigned char *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static double get_int8(const unsigned char *b) { return (int8_t)b[0]; }
static double get_int16(const unsigned char *b) { return (int16_t)(b[0] << 8 | b[1]); }
static double get_int32(const unsigned char *b) { return (int32_t)big_endian_32(b); }
static double get_float(const unsigned char *b) {
  uint32_t bits = big_endian_32(b);
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
static double get_double(const unsigned char *b) {
  uint64_t bits = (uint64_t)big_endian_32(b) << 32 | big_endian_32(b + 4);
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

static const IdxType idx_types[] = {
    {0x08, 1, DT_UINT8, NULL},      {0x09, 1, DT_INT32, get_int8},
    {0x0B, 2, DT_INT32, get_int16}, {0x0C, 4, DT_INT32, get_int32},
    {0x0D, 4, DT_REAL, get_float},  {0x0E, 8, DT_REAL, get_double},
};

static const IdxType *idx_type(int code) {
  for (size_t i = 0; i < sizeof idx_types / sizeof *idx_types; i++)
    if (idx_types[i].code == code) return &idx_types[i];
  return NULL;
}

static Err read_header(Input *in, const IdxType **type, Shape *shape, Fault *fault) {
  unsigned char b[4];
  Err err = input_read(in, b, 4, fault);
  if (err) return err;
  *type = idx_type(b[2]);
  if (b[0] || b[1] || !*type || b[3] < 1 || b[3] > MAX_RANK)
    return fault_set(fault, ERR_DATA,
                     "is not an IDX file (magic %02x%02x%02x%02x, expected 0000, a "
                     "type 08 09 0b 0c 0d 0e, 1 to %d axes)",
                     b[0], b[1], b[2], b[3], MAX_RANK);
  shape->rank = b[3];
  int64_t n_bytes = (*type)->n_bytes;
  for (int i = 0; i < shape->rank; i++) {
    unsigned char size[4];
    err = input_read(in, size, 4, fault);
    if (err) return err;
    shape->dim[i] = big_endian_32(size);
    /* Zeros do not hide an overflow of the other sizes. */
    if (__builtin_mul_overflow(n_bytes, shape->dim[i] ? shape->dim[i] : 1, &n_bytes))
      n_bytes = INT64_MAX;
  }
  char text[SHAPE_TEXT];
  if (n_bytes == INT64_MAX || (n_bytes > input_left(in) && shape_count(shape) > 0))
    return fault_set(fault, ERR_DATA, "truncated: a file of this size cannot hold %s",
                     shape_text(text, shape));
  return memory_holds(shape_count(shape) * (int64_t)dtype_bytes((*type)->dtype), fault);
}

static Err too_large(const Shape *shape, int64_t element, double value, Fault *fault) {
  int64_t row = element / shape_stride(shape, 0) + 1;
  return fault_set(fault, ERR_DATA,
                   "element %lld (in row %lld) is %g, which type %s does not hold",
                   (long long)(element + 1), (long long)row, value, REAL_NAME);
}

static Err read_elements(Input *in, const IdxType *type, Array *a, Fault *fault) {
  int64_t n = shape_count(&a->shape);
  if (!type->get) return input_read(in, a->data, n, fault);
  unsigned char buffer[1 << 12];
  int64_t per_chunk = (int64_t)sizeof buffer / type->n_bytes;
  for (int64_t first = 0; first < n; first += per_chunk) {
    int64_t n_now = n - first < per_chunk ? n - first : per_chunk;
    Err err = input_read(in, buffer, n_now * type->n_bytes, fault);
    if (err) return err;
    for (int64_t i = 0; i < n_now; i++) {
      double v = type->get(buffer + i * type->n_bytes);
      if (!real_holds(v)) return too_large(&a->shape, first + i, v, fault);
      array_set(a, first + i, v);
    }
  }
  return ERR_OK;
}

Tensor *idx_parse(Input *in, MemoryCount *memory, Fault *fault) {
  const IdxType *type = NULL;
  Shape shape = {0};
  if (read_header(in, &type, &shape, fault)) return NULL;
  must(type);
  Tensor *t = tensor_new(memory, type->dtype, &shape, fault);
  if (!t) return NULL;
  Err err = read_elements(in, type, &t->a, fault);
  if (!err) err = input_end(in, fault);
  if (!err) return t;
  tensor_release(t);
  return NULL;
}

/* From the copy in the user's cache; NULL where there is none, or no right one. */
static Tensor *read_unpacked(const char *path, MemoryCount *memory) {
  Tensor *t = NULL;
  for (int anew = 0; !t && anew <= 1; anew++) {
    Input in;
    Fault none = {0};
    if (unpacked_open(&in, path, anew)) t = idx_parse(&in, memory, &none);
    input_close(&in);
  }
  return t;
}

Tensor *idx_read(const char *path, bool cached, MemoryCount *memory, Fault *fault) {
  Tensor *copy = cached ? read_unpacked(path, memory) : NULL;
  if (copy) return copy;
  Input in;
  Err err = input_open_packed(&in, path, fault);
  Tensor *t = err ? NULL : idx_parse(&in, memory, fault);
  input_close(&in);
  if (!t) fault_prefix(fault, "%s", path);
  return t;
}

/* -- images and labels ------------------------------------------------------------- */

/* Images are NCHW: [n, h, w] has one channel. */
static Tensor *with_channel(Tensor *x, Fault *fault) {
  if (x->a.shape.rank != 3) return tensor_retain(x);
  const int64_t *d = x->a.shape.dim;
  return tensor_view(x, 0, &SHAPE_OF(d[0], 1, d[1], d[2]), fault);
}

static Err read_labels(const IdxFiles *files, MemoryCount *memory, Rows *out,
                       Fault *fault) {
  Tensor *y = idx_read(files->labels, files->cached, memory, fault);
  if (!y) return fault->code;
  Err err = ERR_OK;
  if (y->a.shape.rank == 1 && y->a.shape.dim[0] != out->x->a.shape.dim[0])
    err = fault_set(fault, ERR_DATA, "%s has %lld labels, %s has %lld images",
                    files->labels, (long long)y->a.shape.dim[0], files->images,
                    (long long)out->x->a.shape.dim[0]);
  if (!err) {
    err = labels_convert(y, files->n_classes, files->label_base, memory, out, fault);
    if (err) fault_prefix(fault, "%s", files->labels);
  }
  tensor_release(y);
  return err;
}

Err idx_load(const IdxFiles *files, MemoryCount *memory, Rows *out, Fault *fault) {
  Tensor *x = idx_read(files->images, files->cached, memory, fault);
  if (!x) return fault->code;
  out->x = with_channel(x, fault);
  tensor_release(x);
  if (!out->x) return fault->code;
  if (out->x->a.shape.rank < 2)
    return fault_set(fault, ERR_DATA, "%s: has one axis; are these labels?",
                     files->images);
  if (files->scale && out->x->a.dtype == DT_UINT8) out->scale = 1.0 / 255;
  return files->labels ? read_labels(files, memory, out, fault) : ERR_OK;
}

/* -- kind idx ---------------------------------------------------------------------- */

typedef struct Idx {
  Source source;
  char *images, *labels;
  int64_t label_base, n_classes;
  bool scale;
} Idx;

static Err idx_source_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const Idx *idx = (const Idx *)source;
  IdxFiles files = {.images = idx->images, .labels = idx->labels,
                    .n_classes = idx->n_classes, .label_base = idx->label_base,
                    .scale = idx->scale};
  return idx_load(&files, source->memory, out, fault);
}

static const Option idx_options[] = {
    {.name = "images", .kind = OPT_TEXT, .offset = offsetof(Idx, images), .position = 1,
     .doc = "file of [n, h, w] images or [n, ...features] rows, plain or gzipped"},
    {.name = "labels", .kind = OPT_TEXT, .offset = offsetof(Idx, labels), .position = 2,
     .value = "none", .doc = "file of [n] labels, plain or gzipped; none: rows only"},
    {.name = "label_base", .kind = OPT_INT, .offset = offsetof(Idx, label_base),
     .value = "0", .lo = -1e9, .hi = 1e9,
     .doc = "label of the first class in the file (labels seen from Lua count from 1)"},
    {.name = "classes", .kind = OPT_INT, .offset = offsetof(Idx, n_classes),
     .value = "0",
     .lo = 0, .hi = 1e9, .doc = "number of classes; 0: the largest label of the file"},
    {.name = "scale", .kind = OPT_BOOL, .offset = offsetof(Idx, scale), .value = "true",
     .doc = "batches of unsigned bytes hold x / 255"},
    {0}};

const SourceKind dataset_idx = {
    .kind = {.name = "idx",
             .family = &dataset_family,
             .size = sizeof(Idx),
             .options = idx_options,
             .deinit = source_deinit,
             .call = "data.idx \"images.idx.gz\"",
             .doc = "Files in IDX format, as MNIST and its relatives have. Images "
                    "become [1, h, w] and stay uint8 in memory."},
    .load = idx_source_load};

/* -- kind fashion_mnist ------------------------------------------------------------ */

static const char fashion_directory[] = "/usr/share/datasets/fashion-mnist";
static const char *const fashion_parts[] = {"train", "test", NULL};
static const char *const fashion_files[][2] = {
    {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
    {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};
enum { FASHION_CLASSES = 10 };
static const char *const fashion_classes[FASHION_CLASSES] = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};

typedef struct Fashion {
  Source source;
  char *dir;
  bool scale;
} Fashion;

/* The file in one of the forms and places it may have; false when there is none. */
static bool fashion_find(const char *dir, const char *file, Text *out) {
  static const char *const forms[] = {"%s/%s.gz", "%s/%s", "%s/fashion-mnist/%s.gz",
                                      "%s/fashion-mnist/%s"};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    char path[4096];
    int n = snprintf(path, sizeof path, forms[i], dir, file);
    if (n < (int)sizeof path && access(path, F_OK) == 0) {
      text_add(out, path);
      return !out->failed;
    }
  }
  return false;
}

static Err fashion_missing(const char *dir, const char *file, Fault *fault) {
  return fault_set(fault, ERR_DATA,
                   "%s is not in %s\n"
                   "Install the Debian package dataset-fashion-mnist, or set "
                   "RUNNER_DATA to a directory that holds\n"
                   "  %s.gz\n  %s.gz\n  %s.gz\n  %s.gz\n"
                   "(or the same unpacked, without .gz)",
                   file, dir, fashion_files[0][0], fashion_files[0][1],
                   fashion_files[1][0], fashion_files[1][1]);
}

Err fashion_mnist_check(Fault *fault) {
  const char *dir = getenv("RUNNER_DATA");
  if (!dir || !*dir) dir = fashion_directory;
  for (int i = 0; i < 4; i++) {
    Text path = {0};
    const char *file = fashion_files[i / 2][i % 2];
    bool there = fashion_find(dir, file, &path);
    text_deinit(&path);
    if (!there) return fashion_missing(dir, file, fault);
  }
  return ERR_OK;
}

static Err fashion_load(Source *source, int part, Rows *out, Fault *fault) {
  Fashion *fashion = (Fashion *)source;
  const char *dir = fashion->dir ? fashion->dir : getenv("RUNNER_DATA");
  if (!dir || !*dir) dir = fashion_directory;
  Text paths[2] = {{0}, {0}};
  Err err = ERR_OK;
  for (int i = 0; i < 2 && !err; i++)
    if (!fashion_find(dir, fashion_files[part][i], &paths[i]))
      err = fashion_missing(dir, fashion_files[part][i], fault);
  IdxFiles files = {.images = paths[0].data, .labels = paths[1].data,
                    .n_classes = FASHION_CLASSES, .scale = fashion->scale,
                    .cached = true};
  if (!err) err = idx_load(&files, source->memory, out, fault);
  char text[SHAPE_TEXT];
  const Shape *x = out->x ? &out->x->a.shape : NULL;
  must(err || x);
  if (!err && (x->rank != 4 || x->dim[1] != 1 || x->dim[2] != 28 || x->dim[3] != 28 ||
               out->x->a.dtype != DT_UINT8))
    err = fault_set(fault, ERR_DATA,
                    "%s: images of shape %s, expected n x 1 x 28 x 28 unsigned bytes",
                    paths[0].data, shape_text(text, x));
  for (int i = 0; i < FASHION_CLASSES && !err; i++)
    err = names_add(&out->class_names, fashion_classes[i], strlen(fashion_classes[i]),
                    fault);
  text_deinit(&paths[0]);
  text_deinit(&paths[1]);
  return err;
}

static const Option fashion_options[] = {
    {.name = "dir", .kind = OPT_TEXT, .offset = offsetof(Fashion, dir), .value = "none",
     .doc = "directory of the four files; none: RUNNER_DATA, else "
            "/usr/share/datasets/fashion-mnist"},
    {.name = "scale", .kind = OPT_BOOL, .offset = offsetof(Fashion, scale),
     .value = "true", .doc = "batches hold x / 255, from 0 to 1"},
    {0}};

const SourceKind dataset_fashion_mnist = {
    .kind = {.name = "fashion_mnist",
             .family = &dataset_family,
             .size = sizeof(Fashion),
             .options = fashion_options,
             .deinit = source_deinit,
             .doc = "Fashion-MNIST: 70,000 grey images [1, 28, 28] of clothing in 10 "
                    "classes. .train has 60,000 of them, .test 10,000. They are read "
                    "at first use; what the gzipped files unpack to, 55 MB, is kept in "
                    "~/.cache/runner (or $XDG_CACHE_HOME/runner) for the next time.",
             .source = "Xiao, Rasul, Vollgraf, \"Fashion-MNIST\", arXiv:1708.07747"},
    .parts = fashion_parts,
    .load = fashion_load};
