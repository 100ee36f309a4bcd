/* tempdir.h: a directory for a test's files, removed at the end of the program. */
#ifndef TESTS_TEMPDIR_H
#define TESTS_TEMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temp_root[256];

static inline int temp_remove_one(const char *path, const struct stat *at, int flag,
                                  struct FTW *walk) {
  (void)at, (void)flag, (void)walk;
  return remove(path);
}

static inline void temp_remove(void) {
  if (*temp_root) nftw(temp_root, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<directory>/name" in one of eight buffers that take turns. */
static inline const char *temp_path(const char *name) {
  static char paths[8][512];
  static int turn;
  if (!*temp_root) {
    const char *base = getenv("TMPDIR");
    snprintf(temp_root, sizeof temp_root, "%s/runner-test-XXXXXX",
             base ? base : "/tmp");
    if (!mkdtemp(temp_root)) abort();
    atexit(temp_remove);
  }
  char *path = paths[turn++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", temp_root, name);
  return path;
}

static inline const char *temp_file(const char *name, const void *bytes, size_t n) {
  const char *path = temp_path(name);
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) abort();
  return path;
}

/* The whole file, terminated; freed by the caller. NULL when there is none. */
static inline char *temp_read(const char *path, size_t *n_bytes) {
  FILE *file = fopen(path, "rb");
  if (n_bytes) *n_bytes = 0;
  if (!file) return NULL;
  char *bytes = calloc(1, 1 << 22);
  size_t n = fread(bytes, 1, (1 << 22) - 1, file);
  fclose(file);
  if (n_bytes) *n_bytes = n;
  return bytes;
}

#endif
