/* cifar.c: CIFAR-10 in its binary version.
 *
 * Each file is a number of records: a byte for the label, from 0, then 3072 bytes for a
 * red, a green and a blue plane of 32 x 32 pixels, row-major. */
#include "data/sources.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS, CLASSES = 10, FILES_MAX = 5 };

static const char *const cifar_parts[] = {"train", "test", NULL};
static const char *const cifar_files[][FILES_MAX + 1] = {
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
     "data_batch_5.bin", NULL},
    {"test_batch.bin", NULL}};
static const char *const cifar_classes[CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
    "truck"};
static const char cifar_directory[] = "cifar-10-batches-bin";

typedef struct Cifar {
  Source source;
  char *dir;
  bool scale;
} Cifar;

/* -- one file ---------------------------------------------------------------------- */

Err cifar10_count(const Input *in, int64_t *n, Fault *fault) {
  *n = in->n_bytes / RECORD;
  if (*n > 0 && in->n_bytes % RECORD == 0) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "has %lld bytes, allowed: records of %d bytes "
                   "(truncated?)",
                   (long long)in->n_bytes, RECORD);
}

Err cifar10_parse(Input *in, Rows *out, int64_t first, Fault *fault) {
  int64_t n = 0;
  Err err = cifar10_count(in, &n, fault);
  must(err || first + n <= out->x->a.shape.dim[0]);
  for (int64_t i = 0; i < n && !err; i++) {
    unsigned char label = 0;
    err = input_read(in, &label, 1, fault);
    if (!err && label >= CLASSES)
      err = fault_set(fault, ERR_DATA, "label %d in record %lld, allowed: 0 to %d",
                      label, (long long)(i + 1), CLASSES - 1);
    if (!err)
      err = input_read(in, (uint8_t *)out->x->a.data + (first + i) * PIXELS, PIXELS,
                       fault);
    ((int32_t *)out->y->a.data)[first + i] = label + 1;
  }
  return err ? err : input_end(in, fault);
}

/* -- all of a part ----------------------------------------------------------------- */

/* dir NULL: none is known. */
static Err cifar_missing(const char *dir, const char *file, Fault *fault) {
  return fault_set(fault, ERR_DATA,
                   "%s %s%s\n"
                   "dir = names the directory of the binary version's files "
                   "(data_batch_1.bin ... data_batch_5.bin, test_batch.bin); else they "
                   "are looked for in RUNNER_DATA and in its %s",
                   file, dir ? "is not in " : "is not found: no directory is given",
                   dir ? dir : "", cifar_directory);
}

/* The file in the directory, or in the one that the archive unpacks to. */
static Err find_file(const char *dir, const char *file, char path[4096], Fault *fault) {
  const char *const inside[] = {"", cifar_directory};
  for (int i = 0; i < 2; i++) {
    int n = snprintf(path, 4096, "%s/%s%s%s", dir, inside[i], i ? "/" : "", file);
    if (n < 4096 && access(path, F_OK) == 0) return ERR_OK;
  }
  return cifar_missing(dir, file, fault);
}

static Err new_rows(int64_t n, MemoryCount *memory, Rows *out, Fault *fault) {
  Err err = memory_holds(n * PIXELS, fault);
  if (err) return err;
  out->x = tensor_new(memory, DT_UINT8, &SHAPE_OF(n, 3, 32, 32), fault);
  out->y = out->x ? tensor_new(memory, DT_INT32, &SHAPE_OF(n), fault) : NULL;
  if (!out->y) return fault->code;
  out->n_classes = CLASSES;
  for (int i = 0; i < CLASSES && !err; i++)
    err = names_add(&out->class_names, cifar_classes[i], strlen(cifar_classes[i]),
                    fault);
  return err;
}

typedef struct Records {
  char path[4096];
  Input in;
  int64_t n; /* records */
} Records;

static Err open_batches(const char *dir, const char *const *files, Records *out,
                        int64_t *n_rows, Fault *fault) {
  for (int i = 0; files[i]; i++) {
    Err err = find_file(dir, files[i], out[i].path, fault);
    if (err) return err;
    err = input_open(&out[i].in, out[i].path, fault);
    if (!err) err = cifar10_count(&out[i].in, &out[i].n, fault);
    if (err) {
      fault_prefix(fault, "%s", out[i].path);
      return err;
    }
    *n_rows += out[i].n;
  }
  return ERR_OK;
}

static Err cifar_load(Source *source, int part, Rows *out, Fault *fault) {
  const Cifar *cifar = (const Cifar *)source;
  const char *const *files = cifar_files[part];
  const char *dir = cifar->dir ? cifar->dir : getenv("RUNNER_DATA");
  if (!dir || !*dir) return cifar_missing(NULL, files[0], fault);
  Records *batches = calloc(FILES_MAX, sizeof *batches);
  if (!batches) return fault_memory(fault, FILES_MAX * sizeof *batches);
  int64_t n_rows = 0, first = 0;
  Err err = open_batches(dir, files, batches, &n_rows, fault);
  if (!err) err = new_rows(n_rows, source->memory, out, fault);
  for (int i = 0; files[i] && !err; i++) {
    err = cifar10_parse(&batches[i].in, out, first, fault);
    if (err) fault_prefix(fault, "%s", batches[i].path);
    first += batches[i].n;
  }
  for (int i = 0; i < FILES_MAX; i++) input_close(&batches[i].in);
  free(batches);
  if (cifar->scale) out->scale = 1.0 / 255;
  return err;
}

static const Option cifar_options[] = {
    {.name = "dir", .kind = OPT_TEXT, .offset = offsetof(Cifar, dir), .position = 1,
     .value = "none",
     .doc = "directory of the six .bin files, or the one that holds their directory "
            "cifar-10-batches-bin; none: RUNNER_DATA"},
    {.name = "scale", .kind = OPT_BOOL, .offset = offsetof(Cifar, scale),
     .value = "true",
     .doc = "batches hold x / 255, from 0 to 1"},
    {0}};

const SourceKind dataset_cifar10 = {
    .kind = {.name = "cifar10",
             .family = &dataset_family,
             .size = sizeof(Cifar),
             .options = cifar_options,
             .deinit = source_deinit,
             .doc = "CIFAR-10: 60,000 colour images [3, 32, 32] in 10 classes, from "
                    "the binary version. .train has 50,000 of them, .test 10,000. They "
                    "are read at first use.",
             .source = "Krizhevsky, \"Learning Multiple Layers of Features from Tiny "
                       "Images\", 2009"},
    .parts = cifar_parts,
    .load = cifar_load};
