/* hostile.h: what every reader of a file must survive: each prefix of a good file is
 * refused, and no flipped bit crashes it. A reader gets a block of exactly the bytes,
 * so that a sanitizer sees it read beyond them. */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include "base/input.h"
#include "test.h"

/* Reads the file, frees what it got, and says whether it was accepted; sets the
 * fault. */
typedef bool Reader(Input *in, Fault *fault);

static inline bool hostile_read(Reader *reader, const void *bytes, size_t n,
                                Fault *fault) {
  unsigned char *exact = malloc(n ? n : 1);
  if (n) memcpy(exact, bytes, n);
  Input in;
  input_memory(&in, exact, n);
  bool accepted = reader(&in, fault);
  input_close(&in);
  free(exact);
  if (accepted == (fault->code != ERR_OK))
    fail_msg("accepted: %d, fault %d \"%s\"", accepted, fault->code, fault->text);
  return accepted;
}

static inline void accepts(Reader *reader, const void *bytes, size_t n) {
  Fault fault = {0};
  if (!hostile_read(reader, bytes, n, &fault)) fail_msg("refused: %s", fault.text);
}

static inline void refuses(Reader *reader, const void *bytes, size_t n,
                           const char *text) {
  Fault fault = {0};
  if (hostile_read(reader, bytes, n, &fault))
    fail_msg("accepted; expected \"%s\"", text);
  if (!strstr(fault.text, text)) fail_msg("got \"%s\", want \"%s\"", fault.text, text);
}

/* Prefixes from `first` bytes on. */
static inline void refuses_prefixes(Reader *reader, const void *bytes, size_t first,
                                    size_t n) {
  accepts(reader, bytes, n);
  for (size_t i = first; i < n; i++) {
    Fault fault = {0};
    if (hostile_read(reader, bytes, i, &fault))
      fail_msg("accepted the first %zu of %zu bytes", i, n);
  }
}

static inline void survives_flips(Reader *reader, const void *bytes, size_t n) {
  unsigned char *copy = malloc(n);
  memcpy(copy, bytes, n);
  for (size_t i = 0; i < 8 * n; i++) {
    Fault fault = {0};
    copy[i / 8] ^= (unsigned char)(1 << i % 8);
    hostile_read(reader, copy, n, &fault);
    copy[i / 8] ^= (unsigned char)(1 << i % 8);
  }
  free(copy);
}

#endif
