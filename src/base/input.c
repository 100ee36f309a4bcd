/* input.c: see input.h. */
#include "base/input.h"
#include "base/file.h"
#include "base/ints.h"
#include "base/pack.h"
#include "base/sys.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Err read_fault(Fault *fault) {
  if (errno == FILE_IS_NONE) return fault_set(fault, ERR_DATA, "%s", file_error());
  return fault_set(fault, ERR_DATA, "cannot be read: %s", strerror(errno));
}

Err input_open(Input *out, const char *path, Fault *fault) {
  *out = (Input){0};
  struct stat at;
  int fd = file_open(path);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
  if (!file || fstat(fd, &at) != 0) {
    Err err = read_fault(fault);
    if (file) fclose(file);
    else if (fd >= 0) close(fd);
    return err;
  }
  *out = (Input){.file = file, .n_bytes = at.st_size};
  return ERR_OK;
}

void input_memory(Input *out, const void *bytes, size_t n_bytes) {
  *out = (Input){.memory = bytes, .n_bytes = (int64_t)n_bytes};
}

void input_part(Input *out, const Input *in, int64_t n_bytes, uint32_t crc) {
  must(n_bytes >= 0 && n_bytes <= input_left(in) && !in->unpack);
  *out = *in;
  out->borrowed = true;
  input_seal(out, n_bytes, crc);
}

void input_seal(Input *in, int64_t n_bytes, uint32_t crc) {
  in->n_bytes = in->at + n_bytes;
  in->sealed = true;
  in->crc = 0;
  in->crc_wanted = crc;
}

Err input_open_packed(Input *out, const char *path, Fault *fault) {
  Input file;
  *out = (Input){0};
  unsigned char magic[2] = {0};
  Err err = input_open(&file, path, fault);
  if (!err && file.n_bytes >= 2) err = input_read(&file, magic, 2, fault);
  if (!err) err = input_seek(&file, 0, fault);
  if (!err && !pack_is_gzip(magic)) {
    *out = file;
    return ERR_OK;
  }
  if (!err) err = unpack_open(out, &file, file.n_bytes, PACK_GZIP, fault);
  if (!err) {
    out->file = file.file; /* closed with `out` */
    return ERR_OK;
  }
  input_close(&file);
  return err;
}

void input_close(Input *in) {
  unpack_close(in->unpack);
  if (in->file && !in->borrowed) fclose(in->file);
  *in = (Input){0};
}

static Err read_raw(const Input *in, void *out, size_t n_bytes, size_t *n_read,
                    Fault *fault) {
  if (in->unpack) return unpack_read(in->unpack, out, n_bytes, n_read, fault);
  *n_read = (size_t)least((int64_t)n_bytes, input_left(in));
  if (in->memory) {
    memcpy(out, in->memory + in->at, *n_read);
    return ERR_OK;
  }
  errno = 0;
  if (fread(out, 1, *n_read, in->file) == *n_read) return ERR_OK;
  return ferror(in->file) ? read_fault(fault) : fault_set(fault, ERR_DATA, "truncated");
}

/* Up to n_bytes; fewer only at the end. */
static Err read_some(Input *in, void *out, size_t n_bytes, size_t *n_read,
                     Fault *fault) {
  Err err = read_raw(in, out, n_bytes, n_read, fault);
  if (err) return err;
  in->at += (int64_t)*n_read;
  if (in->sealed) in->crc = crc_add(in->crc, out, *n_read);
  return ERR_OK;
}

Err input_read(Input *in, void *out, int64_t n_bytes, Fault *fault) {
  must(n_bytes >= 0);
  if (n_bytes == 0) return ERR_OK;
  size_t n_read = 0;
  Err err = ERR_OK;
  if (n_bytes <= input_left(in))
    err = read_some(in, out, (size_t)n_bytes, &n_read, fault);
  if (err || (int64_t)n_read == n_bytes) return err;
  return fault_set(fault, ERR_DATA, "truncated");
}

Err input_seek(Input *in, int64_t at, Fault *fault) {
  must(!in->unpack && at >= 0 && at <= in->n_bytes);
  in->at = at;
  if (in->file && fseeko(in->file, (off_t)at, SEEK_SET) != 0) return read_fault(fault);
  return ERR_OK;
}

Err input_end(Input *in, Fault *fault) {
  Err err = in->unpack ? unpack_end(in->unpack, fault) : ERR_OK;
  if (err) return err;
  if (input_left(in) > 0 && (!in->unpack || in->sealed))
    return fault_set(fault, ERR_DATA, "has bytes after the data");
  if (in->sealed && in->crc != in->crc_wanted)
    return fault_set(fault, ERR_DATA, "damaged: the checksum is wrong");
  return ERR_OK;
}

/* What is small is not worth the question. */
enum { MEMORY_ASKED = 1 << 20 };

Err memory_holds(int64_t n_bytes, Fault *fault) {
  if (n_bytes <= MEMORY_ASKED) return ERR_OK;
  int64_t free_bytes = memory_free();
  if (n_bytes <= free_bytes) return ERR_OK;
  return fault_set(fault, ERR_MEMORY, "takes %.3g GB of memory, %.3g GB are free",
                   (double)n_bytes / 1e9, (double)free_bytes / 1e9);
}

Err memory_holds_all(int64_t n, int64_t n_bytes_each, Fault *fault) {
  int64_t n_bytes = 0;
  if (__builtin_mul_overflow(n, n_bytes_each, &n_bytes)) n_bytes = INT64_MAX;
  return memory_holds(n_bytes, fault);
}

Err input_holds(const Input *in, int64_t n_bytes, Fault *fault) {
  if (n_bytes > input_left(in))
    return fault_set(fault, ERR_DATA, "truncated: cannot hold %lld bytes more",
                     (long long)n_bytes);
  return memory_holds(n_bytes, fault);
}

/* What is packed grows piece by piece: its size is not known before. */
Err input_rest(Input *in, int64_t limit_bytes, Text *out, Fault *fault) {
  enum { PIECE = 1 << 16 };
  char *piece = malloc(PIECE);
  if (!piece) return fault_memory(fault, PIECE);
  Err err = ERR_OK;
  size_t n_read = 1;
  int64_t asked_at = 0;
  while (!err && n_read > 0) {
    err = read_some(in, piece, PIECE, &n_read, fault);
    if (err) break;
    text_add_bytes(out, piece, n_read);
    int64_t n = (int64_t)out->n_bytes;
    if (n > limit_bytes)
      err = fault_set(fault, ERR_DATA, "larger than %lld bytes",
                      (long long)limit_bytes);
    else if (out->failed) err = fault_memory(fault, out->n_bytes);
    else if (n >= asked_at) { /* the text doubles: would it fit once more? */
      err = memory_holds(2 * n, fault);
      asked_at = 2 * n;
    }
  }
  free(piece);
  return err ? err : input_end(in, fault);
}
