/* sources.h: what the kinds of sources share; private to data/. */
#ifndef DATA_SOURCES_H
#define DATA_SOURCES_H

#include "base/input.h"
#include "data/data.h"

/* Releases the rows; every kind's deinit is this or calls it. */
void source_deinit(Object *object);

/* Draw `number` of the stream "data" of that name: of the source's own seed, or of the
 * run's where that is 0. */
Stream source_stream(const Source *source, int64_t seed, const char *name,
                     uint64_t number);

/* The option `n` of a struct of that field, of a set that is drawn. */
#define COUNT_OPTION(type, text)                                                       \
  {.name = "n", .kind = OPT_INT, .offset = offsetof(type, n), .position = 1,           \
   .value = "1000", .lo = 1, .hi = 1e9, .doc = text}
/* Said behind it of rows that do not depend on how many there are. */
#define SAME_ROWS                                                                      \
  "; sets of one seed begin with the same rows: one to test on takes another seed, "   \
  "or is split off"
/* The option `seed` of a struct of that field: 0 stands for the run's. */
#define SEED_OPTION(type)                                                              \
  {.name = "seed", .kind = OPT_INT, .offset = offsetof(type, seed), .value = "0",      \
   .lo = 0, .hi = 0x1p53,                                                              \
   .doc = "seed of the random numbers; 0: the seed of the run"}

/* A tensor of rows, all 0: new. */
Tensor *source_zeros(MemoryCount *memory, DType dtype, const Shape *shape,
                     Fault *fault);

/* A source of given rows, which it takes over, also on failure: new. NULL and a fault
 * where they do not fit each other. */
Source *source_of_rows(Rows *rows, MemoryCount *memory, Fault *fault);

/* What a reader has filled, all zero or not. */
void rows_deinit(Rows *rows);

/* A file's bytes as rows, by the options of the source. `out` is empty but for its
 * scale; the caller frees it, also after a failure. */
typedef Err ParseRows(Source *source, Input *in, Rows *out, Fault *fault);
ParseRows csv_parse, text_parse, fann_parse, lines_parse;
/* Opens the file, plain or gzipped, and parses it; faults get its path. */
Err source_read(Source *source, const char *path, ParseRows *parse, Rows *out,
                Fault *fault) WARN_UNUSED;

/* Where the file is not there and a package is named: ERR_DATA that says to install
 * it. */
Err package_check(const char *path, const char *package, Fault *fault) WARN_UNUSED;
#define PACKAGE_OPTION(type, field)                                                    \
  {.name = "package", .kind = OPT_TEXT, .offset = offsetof(type, field),               \
   .value = "none",                                                                    \
   .doc = "package that has the file, as wamerican, which the error names where it "   \
          "is not there"}

/* Records in a CIFAR-10 file, and their rows into x and y of `out` from row `first`
 * on. */
Err cifar10_count(const Input *in, int64_t *n, Fault *fault) WARN_UNUSED;
Err cifar10_parse(Input *in, Rows *out, int64_t first, Fault *fault) WARN_UNUSED;

/* An IDX file's bytes as a tensor; NULL and a fault else. */
Tensor *idx_parse(Input *in, MemoryCount *memory, Fault *fault);
/* Reads an IDX file, plain or gzipped, into a tensor: unsigned bytes stay uint8, other
 * whole numbers become int32, floating-point ones real. NULL and ERR_DATA with the
 * path. `cached`: what it unpacks to is kept in the user's cache (base/unpacked.h). */
Tensor *idx_read(const char *path, bool cached, MemoryCount *memory, Fault *fault);

typedef struct IdxFiles {
  const char *images, *labels;   /* labels NULL: rows only */
  int64_t n_classes, label_base; /* as in labels_convert */
  bool scale;                    /* batches of unsigned bytes hold x / 255 */
  bool cached;                   /* as in idx_read */
} IdxFiles;

/* Images and labels of two files into `out`. [n, h, w] becomes [n, 1, h, w]. */
Err idx_load(const IdxFiles *files, MemoryCount *memory, Rows *out,
             Fault *fault) WARN_UNUSED;

/* y as int32 labels from 1 into out->y, their number into out->n_classes (given, or 0:
 * the largest label, at most 65536 or the number of rows); as data.set says. Faults
 * begin with what the caller puts before them. */
Err labels_convert(const Tensor *y, int64_t n_classes, int64_t label_base,
                   MemoryCount *memory, Rows *out, Fault *fault) WARN_UNUSED;

#endif
