/* fann.c: the .data files of FANN, the Fast Artificial Neural Network Library.
 *
 *   rows inputs outputs          numbers, with blanks or line ends between them:
 *   x x x ...                    a row's inputs
 *   y y ...                      its outputs, and so on
 *
 * The three numbers of the head say how many must follow: neither more nor less. */
#include "data/plain.h"
#include "data/sources.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct FannSource {
  Source source;
  char *path;
  bool labels;
} FannSource;

/* The numbers of a file, one after the other. */
typedef struct Numbers {
  const char *at;
  int64_t line; /* of the next one, from 1 */
} Numbers;

static void skip_blanks(Numbers *in) {
  for (; isspace((unsigned char)*in->at); in->at++) in->line += *in->at == '\n';
}

static Err next_number(Numbers *in, double *out, Fault *fault) {
  enum { SHOWN = 20 };
  skip_blanks(in);
  char *end;
  *out = strtod(in->at, &end);
  if (end > in->at && (!*end || isspace((unsigned char)*end)) && isfinite(*out)) {
    in->at = end;
    return ERR_OK;
  }
  if (!*in->at)
    return fault_set(fault, ERR_DATA, "ends in line %lld, where a number is missing",
                     (long long)in->line);
  int n = (int)strcspn(in->at, " \t\r\n\v\f");
  return fault_set(fault, ERR_DATA, "line %lld: got \"%.*s\", allowed: a finite number",
                   (long long)in->line, n < SHOWN ? n : SHOWN, in->at);
}

/* Rows, inputs and outputs. `n_bytes`: of the file, in which each number takes two. */
static Err read_head(Numbers *in, int64_t n_bytes, int64_t size[3], Fault *fault) {
  static const char *const names[] = {"rows", "inputs", "outputs"};
  for (int i = 0; i < 3; i++) {
    double n;
    Err err = next_number(in, &n, fault);
    if (err) return err;
    if (n < 1 || n != floor(n) || n > (double)n_bytes)
      return fault_set(fault, ERR_DATA,
                       "the head says %g %s; allowed: as many as the file has, 1 or "
                       "more",
                       n, names[i]);
    size[i] = (int64_t)n;
  }
  double wanted = (double)size[0] * (double)(size[1] + size[2]);
  if (2 * wanted <= (double)n_bytes + 1) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "the head says %lld rows of %lld inputs and %lld outputs, more than "
                   "%lld bytes can be",
                   (long long)size[0], (long long)size[1], (long long)size[2],
                   (long long)n_bytes);
}

static Err read_run(Numbers *in, real *out, int64_t n, Fault *fault) {
  for (int64_t i = 0; i < n; i++) {
    double v;
    Err err = next_number(in, &v, fault);
    if (err) return err;
    if (fabs(v) > REAL_MAX)
      return fault_set(fault, ERR_DATA, "line %lld: %g is too large for a real",
                       (long long)in->line, v);
    out[i] = (real)v;
  }
  return ERR_OK;
}

static Err read_rows(Numbers *in, const int64_t size[3], Rows *out, Fault *fault) {
  for (int64_t i = 0; i < size[0]; i++) {
    Err err = read_run(in, tensor_reals(out->x) + i * size[1], size[1], fault);
    if (!err) err = read_run(in, tensor_reals(out->y) + i * size[2], size[2], fault);
    if (err) return err;
  }
  skip_blanks(in);
  if (!*in->at) return ERR_OK;
  return fault_set(fault, ERR_DATA, "line %lld: more numbers than the head says",
                   (long long)in->line);
}

/* The largest output of each row is its class. */
static Err outputs_to_labels(Rows *out, MemoryCount *memory, Fault *fault) {
  int64_t n = out->y->a.shape.dim[0], n_classes = out->y->a.shape.dim[1];
  if (n_classes < 2)
    return fault_set(fault, ERR_VALUE,
                     "option \"labels\": a row has one output; allowed: one for each "
                     "class");
  Tensor *labels = tensor_new(memory, DT_INT32, &SHAPE_OF(n), fault);
  if (!labels) return fault->code;
  for (int64_t i = 0; i < n; i++) {
    const real *y = tensor_reals(out->y) + i * n_classes;
    int32_t best = 0;
    for (int32_t k = 1; k < n_classes; k++)
      if (y[k] > y[best]) best = k;
    ((int32_t *)labels->a.data)[i] = best + 1;
  }
  tensor_release(out->y);
  out->y = labels;
  out->n_classes = n_classes;
  return ERR_OK;
}

Err fann_parse(Source *source, Input *in, Rows *out, Fault *fault) {
  Text text = {0};
  int64_t size[3] = {0};
  Err err = plain_read(in, &text, fault);
  Numbers numbers = {text.data, 1};
  if (!err) err = read_head(&numbers, (int64_t)text.n_bytes, size, fault);
  if (!err) {
    out->x = tensor_new(source->memory, DT_REAL, &SHAPE_OF(size[0], size[1]), fault);
    out->y = tensor_new(source->memory, DT_REAL, &SHAPE_OF(size[0], size[2]), fault);
    if (!out->x || !out->y) err = ERR_MEMORY;
  }
  if (!err) err = read_rows(&numbers, size, out, fault);
  if (!err && ((const FannSource *)source)->labels)
    err = outputs_to_labels(out, source->memory, fault);
  text_deinit(&text);
  return err;
}

static Err fann_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  return source_read(source, ((FannSource *)source)->path, fann_parse, out, fault);
}

static const Option fann_options[] = {
    {.name = "path", .kind = OPT_TEXT, .offset = offsetof(FannSource, path),
     .position = 1, .doc = "text file, plain or gzipped"},
    {.name = "labels", .kind = OPT_BOOL, .offset = offsetof(FannSource, labels),
     .value = "false",
     .doc = "there is one output for each class: y is the class of the largest one"},
    {0}};

const SourceKind dataset_fann = {
    .kind = {.name = "fann", .family = &dataset_family, .size = sizeof(FannSource),
             .options = fann_options, .deinit = source_deinit,
             .call = "data.fann \"xor.data\"",
             .doc = "A training file of FANN, as fann_read_train_from_file takes: the "
                    "numbers of rows, inputs and outputs, then each row's inputs and "
                    "outputs. y are the outputs, [n, outputs]."},
    .load = fann_load};
