/* file.c: see file.h. */
#include "tensor/file.h"
#include "base/file.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"
#include <stdlib.h>
#include <string.h>

static const TensorFormat *const formats[] = {&npy_format, &npz_format,
                                              &safetensors_format};
enum { N_FORMATS = sizeof formats / sizeof *formats };

const TensorFormat *tensor_format(const char *path, Fault *fault) {
  char list[64];
  size_t used = 0;
  for (int i = 0; i < N_FORMATS; i++) {
    const char *suffix = formats[i]->suffix;
    if (text_ends_with(path, suffix)) return formats[i];
    used += (size_t)snprintf(list + used, sizeof list - used, i ? " %s" : "%s", suffix);
  }
  fault_set(fault, ERR_VALUE, "\"%s\": unknown format; allowed: %s", path, list);
  return NULL;
}

Err tensor_file_load(TensorFile *out, const char *path, MemoryCount *count,
                     Fault *fault) {
  *out = (TensorFile){0};
  const TensorFormat *format = tensor_format(path, fault);
  return format ? tensor_file_load_as(format, out, path, count, fault) : fault->code;
}

Err tensor_file_load_as(const TensorFormat *format, TensorFile *out, const char *path,
                        MemoryCount *count, Fault *fault) {
  *out = (TensorFile){0};
  Input in;
  Err err = input_open(&in, path, fault);
  if (!err) err = format->read(out, &in, count, fault);
  input_close(&in);
  if (!err) return ERR_OK;
  fault_prefix(fault, "%s", path);
  tensor_file_deinit(out);
  return err;
}

Err tensor_file_save(const char *path, const NamedTensor *tensors, int n_tensors,
                     bool compress, Fault *fault) {
  const TensorFormat *format = tensor_format(path, fault);
  if (!format) return fault->code;
  if (compress && !format->packs)
    return fault_set(fault, ERR_VALUE, "%s: %s files are not compressed", path,
                     format->suffix);
  if (!format->named) must(n_tensors == 1);
  NewFile file;
  Err err = file_begin(&file, path, fault);
  if (err) return err;
  err = format->write(file.file, tensors, n_tensors, compress, fault);
  if (!err) return file_publish(&file, PUBLISH_REPLACE, fault); /* sees failed writes */
  fault_prefix(fault, "%s", path);
  file_abandon(&file);
  return err;
}

Err tensor_file_reserve(TensorFile *out, int n, Fault *fault) {
  out->tensors = calloc((size_t)n + 1, sizeof *out->tensors);
  out->left_out = calloc((size_t)n + 1, sizeof *out->left_out);
  return out->tensors && out->left_out
             ? ERR_OK
             : fault_memory(fault, (size_t)n * sizeof *out->tensors);
}

static void texts_free(NamedText *texts, int n) {
  for (int i = 0; i < n; i++) {
    free(texts[i].name);
    free(texts[i].text);
  }
  free(texts);
}

void tensor_file_deinit(TensorFile *file) {
  for (int i = 0; i < file->n_tensors; i++) {
    free(file->tensors[i].name);
    tensor_release(file->tensors[i].tensor);
  }
  texts_free(file->meta, file->n_meta);
  texts_free(file->left_out, file->n_left_out);
  free(file->tensors);
  *file = (TensorFile){0};
}

const char *tensor_file_meta(const TensorFile *file, const char *name) {
  for (int i = 0; i < file->n_meta; i++)
    if (strcmp(file->meta[i].name, name) == 0) return file->meta[i].text;
  return NULL;
}
