/* replay.h: runs a fuzz target on the files of its corpus, in the order of their
 * names. */
#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

#include "tempdir.h"
#include "test.h"
#include "base/fault.h"
#include <dirent.h>

typedef void FuzzTarget(const uint8_t *bytes, size_t n_bytes);

enum { REPLAY_CUT_BYTES = 512 };

static inline int replay_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* Bytes of exactly their length, so that a read beyond them is seen. */
static inline void replay_bytes(FuzzTarget *target, const char *bytes, size_t n_bytes) {
  uint8_t *copy = malloc(n_bytes ? n_bytes : 1);
  must(copy);
  memcpy(copy, bytes, n_bytes);
  target(copy, n_bytes);
  free(copy);
}

static inline void replay_file(const char *path, FuzzTarget *target, bool cut) {
  size_t n;
  char *bytes = temp_read(path, &n);
  must(bytes);
  if (getenv("FUZZ_VERBOSE")) fprintf(stderr, "replay %s\n", path);
  if (!cut) replay_bytes(target, bytes, n);
  for (size_t k = 0; cut && n <= REPLAY_CUT_BYTES && k < n; k++)
    replay_bytes(target, bytes, k);
  free(bytes);
}

static inline void replay_all(const char *name, FuzzTarget *target, bool cut) {
  char directory[256], path[600];
  struct dirent **entries;
  snprintf(directory, sizeof directory, "tests/fuzz/corpus/%s", name);
  int n = scandir(directory, &entries, replay_visible, alphasort);
  if (n <= 0) fail_msg("%s: no corpus", directory);
  for (int i = 0; i < n; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
    replay_file(path, target, cut);
    free(entries[i]);
  }
  free(entries);
}

static inline void replay_corpus(const char *name, FuzzTarget *target) {
  replay_all(name, target, false);
}

static inline void replay_cut(const char *name, FuzzTarget *target) {
  replay_all(name, target, true);
}

#endif
