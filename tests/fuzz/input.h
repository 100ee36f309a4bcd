/* input.h: the fuzzer's bytes as a file in memory: readers take paths. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* One file, kept for the process; each call replaces its content. */
typedef struct InputFile {
  int fd;
  char path[64];
} InputFile;

static inline const char *input_file(InputFile *file, const uint8_t *bytes, size_t n) {
  if (!*file->path) {
    file->fd = memfd_create("input", MFD_CLOEXEC);
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
  }
  if (file->fd < 0 || ftruncate(file->fd, 0) ||
      pwrite(file->fd, bytes, n, 0) != (ssize_t)n)
    abort();
  return file->path;
}

#endif
