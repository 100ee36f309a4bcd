/* input.h: bytes to be read in order: of a file, of memory, or unpacked from another
 * input.
 *
 * What a reader of a file format reads from, so that it works on all three, and so that
 * every size that a file claims can be held against the bytes that there are. Faults
 * are ERR_DATA and leave out the name of the file: who opened it puts it before them.
 *
 * A reader asks input_holds before it asks for memory: of a file that holds less than
 * its header says nothing is allocated, nor of one that unpacks to more than the
 * machine has free. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/fault.h"
#include "base/text.h"
#include <stdint.h>
#include <stdio.h>

struct Unpack;

typedef struct Input {
  /* read-only */
  int64_t n_bytes; /* in all; of a packed input: the most it can unpack to */
  int64_t at;      /* bytes read so far */
  /* private */
  FILE *file;
  const unsigned char *memory;
  struct Unpack *unpack;
  bool borrowed; /* the file is another input's */
  bool sealed;   /* n_bytes is exact, and the checksum must come out right: */
  uint32_t crc, crc_wanted;
} Input;

/* A regular file: its size is known. */
Err input_open(Input *out, const char *path, Fault *fault) WARN_UNUSED;
/* The same, unpacked where the content begins as gzip does. */
Err input_open_packed(Input *out, const char *path, Fault *fault) WARN_UNUSED;
/* Bytes that are borrowed as long as the input is open. */
void input_memory(Input *out, const void *bytes, size_t n_bytes);
/* The next n_bytes of `in`, with their checksum (crc_add). `in` is borrowed and must
 * not be read meanwhile. */
void input_part(Input *out, const Input *in, int64_t n_bytes, uint32_t crc);
/* From now on `in` is known to hold n_bytes more, with that checksum. */
void input_seal(Input *in, int64_t n_bytes, uint32_t crc);
void input_close(Input *in); /* of all zero: a no-op */

static inline int64_t input_left(const Input *in) { return in->n_bytes - in->at; }

/* Exactly n_bytes more, else a fault: truncated, or damaged. */
Err input_read(Input *in, void *out, int64_t n_bytes, Fault *fault) WARN_UNUSED;
/* Goes on at byte `at`, from 0 to n_bytes; not in a packed input. */
Err input_seek(Input *in, int64_t at, Fault *fault) WARN_UNUSED;
/* A fault unless everything was read (and the checksum of what was packed is right). */
Err input_end(Input *in, Fault *fault) WARN_UNUSED;

/* Can n_bytes more be there, and would they fit into memory? Else a fault. */
Err input_holds(const Input *in, int64_t n_bytes, Fault *fault) WARN_UNUSED;
/* Adds all that is left to `out`, and ends. More than limit_bytes is a fault. */
Err input_rest(Input *in, int64_t limit_bytes, Text *out, Fault *fault) WARN_UNUSED;

/* A fault (ERR_MEMORY) where a block of that size would take more than the machine has
 * free. */
Err memory_holds(int64_t n_bytes, Fault *fault) WARN_UNUSED;
/* The same of n things, however large the product is. */
Err memory_holds_all(int64_t n, int64_t n_bytes_each, Fault *fault) WARN_UNUSED;

#endif
