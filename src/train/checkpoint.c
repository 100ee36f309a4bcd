/* checkpoint.c: checkpoints as values and as files; see checkpoint.h. */
#include "train/checkpoint.h"
#include "base/array.h"
#include "base/pack.h"
#include "base/version.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the value --------------------------------------------------------------------- */

Err checkpoint_init(Checkpoint *out, Fault *fault) {
  *out = (Checkpoint){.state = json_map()};
  return out->state ? ERR_OK : fault_memory(fault, 0);
}

void checkpoint_deinit(Checkpoint *c) {
  json_free(c->state);
  for (int i = 0; i < c->n_tensors; i++) {
    free(c->tensors[i].name);
    tensor_release(c->tensors[i].tensor);
  }
  free(c->tensors);
  *c = (Checkpoint){0};
}

Err checkpoint_add(Checkpoint *c, const char *part, const char *name, Tensor *tensor,
                   Fault *fault) {
  Err err = ARRAY_ROOM(c->tensors, c->room, c->n_tensors + 1, fault);
  if (err) return err;
  Text full = {0};
  text_addf(&full, "%s.%s", part, name);
  if (full.failed) {
    text_deinit(&full);
    return fault_memory(fault, strlen(name));
  }
  c->tensors[c->n_tensors++] = (NamedTensor){full.data, tensor_retain(tensor)};
  return ERR_OK;
}

Tensor *checkpoint_find(const Checkpoint *c, const char *part, const char *name) {
  size_t n_part = strlen(part);
  for (int i = 0; i < c->n_tensors; i++) {
    const char *full = c->tensors[i].name;
    if (strncmp(full, part, n_part) == 0 && full[n_part] == '.' &&
        strcmp(full + n_part + 1, name) == 0)
      return c->tensors[i].tensor;
  }
  return NULL;
}

Err checkpoint_add_bytes(Checkpoint *c, const char *part, const char *name,
                         const void *bytes, size_t n_bytes, Fault *fault) {
  Tensor *t = tensor_new(NULL, DT_UINT8, &SHAPE_OF((int64_t)n_bytes), fault);
  if (!t) return fault->code;
  if (n_bytes) memcpy(t->a.data, bytes, n_bytes);
  Err err = checkpoint_add(c, part, name, t, fault);
  tensor_release(t);
  return err;
}

Err checkpoint_get_bytes(const Checkpoint *c, const char *part, const char *name,
                         void *out, size_t n_bytes, Fault *fault) {
  const Tensor *t = checkpoint_find(c, part, name);
  if (!t || t->a.dtype != DT_UINT8 || tensor_count(t) != (int64_t)n_bytes)
    return fault_set(fault, ERR_DATA, "the checkpoint has no \"%s.%s\" of %zu bytes",
                     part, name, n_bytes);
  if (n_bytes) memcpy(out, t->a.data, n_bytes);
  return ERR_OK;
}

Json *checkpoint_part(const Checkpoint *c, const char *part) {
  return json_find(c->state, part);
}

/* -- files ------------------------------------------------------------------------- */

/* Version 1 had one count of updates for all parameters of an optimizer: a fit would
 * not go on from it to the bytes of one that ran through. */
static const char format_name[] = "runner checkpoint", format_version[] = "2";

/* Whoever goes on from a checkpoint must come to the bytes of a run that was never
 * stopped: only what computes the same bytes can. */
enum { NUMERICS_TEXT = 16 };
static char *numerics_text(char buffer[NUMERICS_TEXT]) {
  snprintf(buffer, NUMERICS_TEXT, "%d", NUMERICS);
  return buffer;
}

/* Of everything but the layout of the file, which the reader checks by itself. */
static uint32_t checksum(const NamedTensor *tensors, int n_tensors, const char *state) {
  uint32_t crc = crc_add(0, state, strlen(state) + 1);
  for (int i = 0; i < n_tensors; i++) {
    const Array *a = &tensors[i].tensor->a;
    char shape[SHAPE_TEXT], type[SHAPE_TEXT + 32];
    int n = snprintf(type, sizeof type, "%s %s", dtype_name(a->dtype),
                     shape_text(shape, &a->shape));
    crc = crc_add(crc, tensors[i].name, strlen(tensors[i].name) + 1);
    crc = crc_add(crc, type, (size_t)n);
    crc = crc_add(crc, a->data, (size_t)shape_count(&a->shape) * dtype_bytes(a->dtype));
  }
  return crc;
}

Err checkpoint_save(const Checkpoint *c, const char *path, Fault *fault) {
  Text state = {0};
  char crc[16], numerics[NUMERICS_TEXT];
  Err err = json_write(c->state, 0, &state, fault);
  if (!err) {
    snprintf(crc, sizeof crc, "%08x",
             (unsigned)checksum(c->tensors, c->n_tensors, state.data));
    NamedText meta[] = {{"format", (char *)format_name},
                        {"version", (char *)format_version},
                        {"numerics", numerics_text(numerics)},
                        {"real", REAL_NAME},
                        {"crc32", crc},
                        {"state", state.data}};
    err = safetensors_save(path, c->tensors, c->n_tensors, meta,
                           sizeof meta / sizeof *meta, fault);
  }
  text_deinit(&state);
  return err;
}

static bool meta_is(const TensorFile *file, const char *name, const char *wanted) {
  const char *text = tensor_file_meta(file, name);
  return text && strcmp(text, wanted) == 0;
}

/* The state; NULL and a fault when the file is not what was written. */
static Json *check_file(const TensorFile *file, Fault *fault) {
  const char *state = tensor_file_meta(file, "state");
  char numerics[NUMERICS_TEXT];
  if (!meta_is(file, "format", format_name) || !state) {
    fault_set(fault, ERR_DATA, "is no checkpoint");
  } else if (!meta_is(file, "version", format_version)) {
    const char *version = tensor_file_meta(file, "version");
    fault_set(fault, ERR_DATA, "is of version %.16s; allowed: %s",
              version ? version : "?", format_version);
  } else if (!meta_is(file, "numerics", numerics_text(numerics))) {
    const char *other = tensor_file_meta(file, "numerics");
    fault_set(fault, ERR_DATA,
              "was made by a runner that computes other bytes (numerics %.16s); this "
              "one has numerics %s",
              other ? other : "1", numerics);
  } else if (!meta_is(file, "real", REAL_NAME)) {
    const char *type = tensor_file_meta(file, "real");
    fault_set(fault, ERR_DATA, "was written by a build with %.16s; this one has %s",
              type ? type : "?", REAL_NAME);
  } else {
    char crc[16];
    snprintf(crc, sizeof crc, "%08x",
             (unsigned)checksum(file->tensors, file->n_tensors, state));
    if (meta_is(file, "crc32", crc)) return json_parse(state, strlen(state), fault);
    fault_set(fault, ERR_DATA, "is damaged: its checksum is %s", crc);
  }
  return NULL;
}

Err checkpoint_load(Checkpoint *out, const char *path, MemoryCount *memory,
                    Fault *fault) {
  *out = (Checkpoint){0};
  TensorFile file;
  Err err = safetensors_load(&file, path, memory, fault);
  if (err) return err;
  out->state = check_file(&file, fault);
  if (out->state) {
    out->tensors = file.tensors;
    out->room = out->n_tensors = file.n_tensors;
    file.tensors = NULL;
    file.n_tensors = 0;
  } else {
    fault_prefix(fault, "%s", path);
    err = fault->code;
  }
  tensor_file_deinit(&file);
  return err;
}
