/* pack.c: the door to zlib; see pack.h.
 *
 * A gzip file may be several members in a row, whose contents follow one another. Bytes
 * behind the last one are a fault. */
#include "base/pack.h"
#include "base/ints.h"
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n_bytes) {
  return (uint32_t)crc32_z(crc, bytes, n_bytes);
}

/* deflate shrinks at most 1032 to 1 (zlib's technical notes). */
enum { DEFLATE_RATIO = 1032 };

int64_t unpack_bound(int64_t n_packed) {
  return n_packed > INT64_MAX / DEFLATE_RATIO ? INT64_MAX : n_packed * DEFLATE_RATIO;
}

/* -- unpacking --------------------------------------------------------------------- */

enum { BUFFER = 1 << 15 };

struct Unpack {
  z_stream z;
  Input in;       /* a copy: its file or memory is the caller's */
  int64_t n_left; /* packed bytes not yet in the buffer */
  PackForm form;
  bool ended; /* at the end of the last member */
  unsigned char buffer[BUFFER];
};

/* zlib's windowBits: 15, negative for bare deflate, with 16 for gzip. */
static int window_bits(PackForm form) { return form == PACK_GZIP ? 15 + 16 : -15; }

Err unpack_open(Input *out, Input *in, int64_t n_packed, PackForm form, Fault *fault) {
  must(n_packed >= 0 && n_packed <= input_left(in) && !in->unpack);
  *out = (Input){0};
  struct Unpack *u = calloc(1, sizeof *u);
  if (!u) return fault_memory(fault, sizeof *u);
  u->in = *in;
  u->n_left = n_packed;
  u->form = form;
  if (inflateInit2(&u->z, window_bits(form)) != Z_OK) {
    free(u);
    return fault_memory(fault, sizeof *u);
  }
  *out = (Input){.n_bytes = unpack_bound(n_packed), .unpack = u};
  return ERR_OK;
}

void unpack_close(struct Unpack *u) {
  if (!u) return;
  inflateEnd(&u->z);
  free(u);
}

static Err fill_buffer(struct Unpack *u, Fault *fault) {
  if (u->z.avail_in > 0 || u->n_left == 0) return ERR_OK;
  int64_t n = least(u->n_left, BUFFER);
  Err err = input_read(&u->in, u->buffer, n, fault);
  if (err) return err;
  u->z.next_in = u->buffer;
  u->z.avail_in = (unsigned)n;
  u->n_left -= n;
  return ERR_OK;
}

static Err damaged(const struct Unpack *u, Fault *fault) {
  return fault_set(fault, ERR_DATA, "damaged: %s",
                   u->z.msg ? u->z.msg : "not what deflate writes");
}

/* At the end of a member: is there another? */
static Err next_member(struct Unpack *u, Fault *fault) {
  Err err = fill_buffer(u, fault);
  if (err) return err;
  u->ended = u->form == PACK_DEFLATE || u->z.avail_in == 0;
  if (!u->ended && inflateReset(&u->z) != Z_OK) return damaged(u, fault);
  return ERR_OK;
}

Err unpack_read(struct Unpack *u, void *out, size_t n_bytes, size_t *n_read,
                Fault *fault) {
  unsigned char *at = out;
  *n_read = 0;
  while (n_bytes > 0 && !u->ended) {
    Err err = fill_buffer(u, fault);
    if (err) return err;
    unsigned n = n_bytes < INT_MAX ? (unsigned)n_bytes : INT_MAX;
    unsigned n_in = u->z.avail_in;
    u->z.next_out = at;
    u->z.avail_out = n;
    int code = inflate(&u->z, Z_NO_FLUSH);
    unsigned n_made = n - u->z.avail_out;
    at += n_made;
    n_bytes -= n_made;
    *n_read += n_made;
    if (code == Z_STREAM_END) err = next_member(u, fault);
    else if (code == Z_MEM_ERROR) err = fault_memory(fault, n);
    else if (code != Z_OK && code != Z_BUF_ERROR) err = damaged(u, fault);
    else if (n_made == 0 && u->z.avail_in == n_in && u->n_left == 0)
      err = fault_set(fault, ERR_DATA, "truncated");
    if (err) return err;
  }
  return ERR_OK;
}

Err unpack_end(struct Unpack *u, Fault *fault) {
  unsigned char byte;
  size_t n_read;
  Err err = unpack_read(u, &byte, 1, &n_read, fault);
  if (err) return err;
  if (n_read > 0 || u->z.avail_in > 0 || u->n_left > 0)
    return fault_set(fault, ERR_DATA, "has bytes after the data");
  return ERR_OK;
}

/* -- packing ----------------------------------------------------------------------- */

struct Packer {
  z_stream z;
  FILE *file;
  int64_t n_written;
  unsigned char buffer[BUFFER];
};

Packer *pack_open(FILE *file, Fault *fault) {
  Packer *p = calloc(1, sizeof *p);
  if (p && deflateInit2(&p->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                        window_bits(PACK_DEFLATE), 8, Z_DEFAULT_STRATEGY) == Z_OK) {
    p->file = file;
    return p;
  }
  fault_memory(fault, sizeof *p);
  free(p);
  return NULL;
}

/* Packs the bytes at next_in; with Z_FINISH also what deflate has kept. */
static void run(Packer *p, int flush) {
  do {
    p->z.next_out = p->buffer;
    p->z.avail_out = BUFFER;
    deflate(&p->z, flush);
    size_t n = BUFFER - p->z.avail_out;
    fwrite(p->buffer, 1, n, p->file); /* its error is seen by the file's owner */
    p->n_written += (int64_t)n;
  } while (p->z.avail_out == 0);
}

void pack_write(Packer *p, const void *bytes, size_t n_bytes) {
  const unsigned char *at = bytes;
  while (n_bytes > 0) {
    unsigned n = n_bytes < INT_MAX ? (unsigned)n_bytes : INT_MAX;
    p->z.next_in = (unsigned char *)at;
    p->z.avail_in = n;
    run(p, Z_NO_FLUSH);
    at += n;
    n_bytes -= n;
  }
}

int64_t pack_close(Packer *p) {
  run(p, Z_FINISH);
  int64_t n = p->n_written;
  deflateEnd(&p->z);
  free(p);
  return n;
}
